package fake

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// issuerBench is an issuer, and a library that reads its tokens as any service
// would.
func issuerBench(t *testing.T, gitlab bool) (*Issuer, *oidc.IDTokenVerifier) {
	t.Helper()
	var i *Issuer
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { i.ServeHTTP(w, r) }))
	t.Cleanup(s.Close)
	var err error
	if i, err = NewIssuer(IssuerConfig{URL: s.URL, GitLab: gitlab}); err != nil {
		t.Fatal(err)
	}
	p, err := oidc.NewProvider(context.Background(), s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return i, p.Verifier(&oidc.Config{ClientID: "us"})
}

func TestIssuerTokens(t *testing.T) {
	for _, gitlab := range []bool{false, true} {
		i, v := issuerBench(t, gitlab)
		job := Job{Repo: "lab/tools", RepoID: 7, OwnerID: 8, Ref: "refs/tags/v1", Protected: true, Environment: "release", Audience: "us"}
		token, err := v.Verify(t.Context(), i.Token(job))
		if err != nil {
			t.Fatal(err)
		}
		claims := map[string]any{}
		if err := token.Claims(&claims); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{
			"repository": "lab/tools", "repository_id": "7", "repository_owner_id": "8", "ref": "refs/tags/v1", "ref_type": "tag", "environment": "release",
			"event_name": "push", "job_workflow_ref": "lab/tools/.github/workflows/release.yml@refs/tags/v1", "sub": "repo:lab/tools:environment:release", "ref_protected": "true",
		}
		if gitlab {
			want = map[string]any{
				"project_path": "lab/tools", "project_id": "7", "namespace_id": "8", "ref": "v1", "ref_path": "refs/tags/v1", "ref_type": "tag", "environment": "release",
				"pipeline_source": "push", "ci_config_ref_uri": i.url[len("http://"):] + "/lab/tools//.gitlab-ci.yml@refs/tags/v1", "sub": "project_path:lab/tools:ref_type:tag:ref:v1",
			}
		}
		for name, value := range want {
			if claims[name] != value {
				t.Errorf("%s is %v, want %v", name, claims[name], value)
			}
		}
		again, err := v.Verify(t.Context(), i.Token(job))
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Claims(&want); err != nil || want["jti"] == claims["jti"] {
			t.Errorf("the same jti twice: %v, %v", want["jti"], err)
		}
	}
}

func TestIssuerFaults(t *testing.T) {
	i, v := issuerBench(t, false)
	job := Job{Audience: "us"}
	for name, f := range map[string]TokenFault{
		"wrong key": TokenWrongKey, "none": TokenUnsigned, "HS256": TokenHS256, "expired": TokenExpired, "early": TokenEarly,
		"unknown key": TokenUnknownKey, "elsewhere": TokenElsewhere,
	} {
		if _, err := v.Verify(t.Context(), i.Faulty(job, f)); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
	// The library tries all keys where a token names none.
	if _, err := v.Verify(t.Context(), i.Faulty(job, TokenNoKey)); err != nil {
		t.Error(err)
	}
	if _, err := v.Verify(t.Context(), i.Token(Job{Audience: "them"})); err == nil {
		t.Error("another's audience is taken")
	}
	if _, err := v.Verify(t.Context(), i.Token(Job{Audience: "us", Claims: map[string]any{"exp": nil}})); err == nil {
		t.Error("a token without an end is taken")
	}
}

func TestIssuerKeys(t *testing.T) {
	i, v := issuerBench(t, true)
	old := i.Token(Job{Audience: "us"})
	if err := i.Rotate(true); err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{old, i.Token(Job{Audience: "us"})} {
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Error(err)
		}
	}
	stop := i.Fault(PathIs("/oauth/discovery/keys"), Fault{Kind: FaultStatus, Status: http.StatusServiceUnavailable})
	if err := i.Rotate(false); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(t.Context(), i.Token(Job{Audience: "us"})); err == nil {
		t.Error("a key that could not be had")
	}
	stop()
	if _, err := v.Verify(t.Context(), i.Token(Job{Audience: "us"})); err != nil || i.Count("/oauth/discovery/keys") < 2 {
		t.Errorf("%v, %d requests", err, i.Count("/oauth/discovery/keys"))
	}
	i.Advance(-2 * time.Hour)
	if _, err := v.Verify(t.Context(), i.Token(Job{Audience: "us"})); err == nil {
		t.Error("a token of two hours ago")
	}
}

func TestIssuerJob(t *testing.T) {
	i, v := issuerBench(t, false)
	address, token := i.Start(Job{Environment: "release"})
	for secret, want := range map[string]int{token: http.StatusOK, "other": http.StatusUnauthorized} {
		req, err := http.NewRequest(http.MethodGet, address+"&audience=us", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+secret)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var reply struct{ Value string }
		err = json.NewDecoder(res.Body).Decode(&reply)
		res.Body.Close()
		if err != nil || res.StatusCode != want {
			t.Fatalf("%d, %v", res.StatusCode, err)
		}
		if want == http.StatusOK {
			if _, err := v.Verify(t.Context(), reply.Value); err != nil {
				t.Error(err)
			}
		}
	}
}
