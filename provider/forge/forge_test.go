package forge

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/provider/deposit"
)

func TestPullHead(t *testing.T) {
	a := fake.NewArtifacts("", nil, map[string]string{"octo/course/7": "ada/course trunk", "octo/course/8": " gone", "octo/course/9": "ada/course --upload-pack=x", "octo/course/10": "../x y"}, nil)
	c := deposit.Config{Host: "github.com", Base: fake.Transport(a)}
	repo := daypass.Repo{Owner: "octo", Name: "course"}
	sha := strings.Repeat("a", 40)
	for n, want := range map[int]Pull{7: {daypass.Repo{Owner: "ada", Name: "course"}, "trunk", sha}, 8: {daypass.Repo{}, "gone", sha}} {
		if p, err := PullHead(t.Context(), c, repo, n); err != nil || p != want {
			t.Errorf("%d: %+v, %v", n, p, err)
		}
	}
	for _, n := range []int{9, 10} {
		if _, err := PullHead(t.Context(), c, repo, n); !errors.Is(err, daypass.ErrUnreachable) {
			t.Errorf("%d: %v", n, err)
		}
	}
	if _, err := PullHead(t.Context(), c, repo, 99); !errors.Is(err, daypass.ErrNoSource) {
		t.Error(err)
	}
	if r := a.Requests()[0]; r.Host != "api.github.com" || r.Token != "" {
		t.Errorf("%+v", r)
	}
}

func TestGitLab(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Host + r.URL.Path + "?" + r.URL.RawQuery {
		case "gitlab.example/.well-known/openid-configuration?":
			w.Write([]byte(`{"claims_supported": ["sub", "https://gitlab.org/claims/groups/owner"]}`))
		case "other.example/.well-known/openid-configuration?":
			w.Write([]byte(`{"claims_supported": ["sub"]}`))
		default:
			status := http.StatusNotFound
			if strings.HasPrefix(r.Host, "down") {
				status = http.StatusServiceUnavailable
			}
			w.WriteHeader(status)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		for host, want := range map[string]bool{"gitlab.example": true, "other.example": false, "none.example": false} {
			if is, err := GitLab(t.Context(), deposit.Config{Host: host, Base: fake.Transport(h)}); err != nil || is != want {
				t.Errorf("%s: %v, %v", host, is, err)
			}
		}
		down := deposit.Config{Host: "down.example", Base: fake.Transport(h)}
		if _, err := GitLab(t.Context(), down); err == nil {
			t.Error("a host that is down says nothing")
		}
	})
}
