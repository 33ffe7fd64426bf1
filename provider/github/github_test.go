package github_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/provider/github"
)

func TestParseHost(t *testing.T) {
	for in, want := range map[string]string{
		"github.com":                "https github.com https://api.github.com",
		"GitHub.com":                "https github.com https://api.github.com",
		"https://github.com/":       "https github.com https://api.github.com",
		"github.com:443":            "https github.com https://api.github.com",
		"octo.ghe.com":              "https octo.ghe.com https://api.octo.ghe.com",
		"ghes.example":              "https ghes.example https://ghes.example/api/v3",
		"https://ghes.example:8443": "https ghes.example:8443 https://ghes.example:8443/api/v3",
		"http://127.0.0.1:8080":     "http 127.0.0.1:8080 http://127.0.0.1:8080/api/v3",
		"http://localhost:80":       "http localhost http://localhost/api/v3",
		"http://[::1]:8080":         "http [::1]:8080 http://[::1]:8080/api/v3",
		"notghe.com":                "https notghe.com https://notghe.com/api/v3",
		"github.com.evil.example":   "https github.com.evil.example https://github.com.evil.example/api/v3",
		"http://127.0.0.2:1":        "http 127.0.0.2:1 http://127.0.0.2:1/api/v3",
	} {
		h, err := github.ParseHost(in)
		if got := fmt.Sprint(h.Scheme, " ", h.Name, " ", h.API); err != nil || got != want {
			t.Errorf("ParseHost(%q) = %s, %v; want %s", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "http://github.com", "http://10.0.0.1", "ftp://github.com", "https://u:p@github.com", "github.com/x", "github.com.",
		"gîthub.com", "github。com", "git hub.com", "github.com?x", "github.com#x", "https://", "github..com", "-:x", "a\nb", "a\x00b",
		"http://localhost.evil.example", "http://127.0.0.1.evil.example", "github.com:", "javascript:alert(1)", "//github.com",
	} {
		if h, err := github.ParseHost(in); err == nil {
			t.Errorf("ParseHost(%q) = %+v, want an error", in, h)
		}
	}
}

func TestOwnURL(t *testing.T) {
	h, err := github.ParseHost("github.com")
	if err != nil {
		t.Fatal(err)
	}
	for link, want := range map[string]bool{
		"https://github.com/login/device": true, "https://github.com:443/login/device": true,
		"http://github.com/login/device": false, "https://github.com.evil.example/": false, "https://evil@github.com/": false,
		"https://github.com:8443/": false, "https://www.github.com/": false, "javascript:alert(1)": false, "": false,
	} {
		if got := h.OwnURL(link); got != want {
			t.Errorf("OwnURL(%q) = %v", link, got)
		}
	}
}

// client returns a client of a stand-in in memory.
func client(t *testing.T, g http.Handler, id string) *github.Client {
	t.Helper()
	h, err := github.ParseHost("ghes.example")
	if err != nil {
		t.Fatal(err)
	}
	return github.New(h, id, fake.Transport(g), time.Now)
}

func campus(sw fake.Switches) *fake.GitHub {
	sw.RevokeEndpoint = true
	return fake.NewGitHub(fake.GitHubConfig{Kind: fake.EnterpriseServer, Host: "ghes.example", Seed: fake.Campus(), Switches: sw, Now: time.Now})
}

// TestPace: polls keep to the interval that the host asks for, also when it
// asks for a longer one than x/oauth2 would take.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var polls []time.Time
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if strings.HasSuffix(r.URL.Path, "/code") {
				io.WriteString(w, `{"device_code":"d","user_code":"ABCD-EFGH","verification_uri":"https://ghes.example/login/device","expires_in":900,"interval":5}`)
				return
			}
			polls = append(polls, time.Now())
			switch len(polls) {
			case 2:
				io.WriteString(w, `{"error":"slow_down","interval":30}`)
			case 5:
				io.WriteString(w, `{"access_token":"ghu_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","expires_in":28800,"token_type":"bearer"}`)
			default:
				io.WriteString(w, `{"error":"authorization_pending"}`)
			}
		})
		c := client(t, h, "Iv23liX")
		code, err := c.Start(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Await(t.Context(), code, 0); err != nil {
			t.Fatal(err)
		}
		for i, least := range []time.Duration{0, 6 * time.Second, 30 * time.Second, 30 * time.Second, 30 * time.Second} {
			if i > 0 && polls[i].Sub(polls[i-1]) < least {
				t.Errorf("poll %d came after %v, want at least %v", i+1, polls[i].Sub(polls[i-1]), least)
			}
		}
	})
}

// TestHostileCodes: what a host says of its code is not taken on trust.
func TestHostileCodes(t *testing.T) {
	const good = `"device_code":"d","user_code":"ABCD-EFGH","verification_uri":"https://ghes.example/login/device","expires_in":900,"interval":5`
	for _, body := range []string{
		strings.Replace(good, "https://ghes.example", "https://evil.example", 1),
		strings.Replace(good, "https://ghes.example", "http://ghes.example", 1),
		strings.Replace(good, "https://ghes.example", "https://ghes.example@evil.example", 1),
		strings.Replace(good, "ABCD-EFGH", "\\u202eABCD", 1), strings.Replace(good, "ABCD-EFGH", "\\u001b[2J", 1),
		strings.Replace(good, "ABCD-EFGH", "", 1), strings.Replace(good, "ABCD-EFGH", strings.Repeat("A", 200), 1),
		strings.Replace(good, `"device_code":"d",`, "", 1), `"error":1`, "",
	} {
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, "{"+body+"}")
		})
		_, err := client(t, h, "Iv23liX").Start(t.Context())
		if !errors.Is(err, daypass.ErrUnreachable) {
			t.Errorf("{%s}: %v, want it refused", body, err)
		}
		if err != nil && strings.ContainsAny(err.Error(), "\x1b\u202e") {
			t.Errorf("{%s}: the message carries control characters", body)
		}
	}
}

// TestHostileTimes: intervals and lives are held within bounds.
func TestHostileTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, times := range []string{`"expires_in":1000000000000,"interval":0`, `"expires_in":-5,"interval":-1`, `"expires_in":900,"interval":100000000`} {
			polls := 0
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if strings.HasSuffix(r.URL.Path, "/code") {
					io.WriteString(w, `{"device_code":"d","user_code":"ABCD-EFGH","verification_uri":"https://ghes.example/login/device",`+times+`}`)
					return
				}
				polls++
				io.WriteString(w, `{"error":"authorization_pending"}`)
			})
			c := client(t, h, "Iv23liX")
			began := time.Now()
			code, err := c.Start(t.Context())
			if err == nil {
				_, err = c.Await(t.Context(), code, 0)
			}
			if err == nil {
				t.Errorf("%s: a token came from nowhere", times)
			}
			if took := time.Since(began); took > 31*time.Minute || polls > int(took/(6*time.Second))+1 {
				t.Errorf("%s: %d polls in %v", times, polls, took)
			}
		}
	})
}

// TestErrors: each documented error has its own message, kind and next step.
func TestErrors(t *testing.T) {
	for _, c := range []struct {
		code string
		want string
		kind error
	}{
		{"access_denied", "DP-204", daypass.ErrRefused}, {"expired_token", "DP-205", daypass.ErrNoLogin}, {"token_expired", "DP-205", daypass.ErrNoLogin},
		{"device_flow_disabled", "DP-203", daypass.ErrRefused}, {"incorrect_client_credentials", "DP-202", daypass.ErrRefused},
		{"incorrect_device_code", "DP-207", daypass.ErrRefused}, {"unsupported_grant_type", "DP-207", daypass.ErrRefused},
		{"unverified_user_email", "DP-206", daypass.ErrRefused}, {"Not Found", "DP-202", daypass.ErrRefused},
		{"something_new\x1b[2J", "DP-208", daypass.ErrRefused},
	} {
		for _, status := range []int{200, 400, 404} {
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(status)
				fmt.Fprintf(w, `{"error":%s}`, quoteJSON(c.code))
			})
			_, err := client(t, h, "Iv23liX").Start(t.Context())
			if c.want == "DP-208" && status == 404 {
				continue // a host without a device flow
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, c.kind) || strings.Contains(err.Error(), "\x1b") {
				t.Errorf("%s with status %d: %v", c.code, status, err)
			}
		}
	}
}

func quoteJSON(s string) string { return strings.ReplaceAll(fmt.Sprintf("%q", s), `\x1b`, `\u001b`) }

// TestReach reads every page, and what the host hides.
func TestReach(t *testing.T) {
	seed := fake.Campus()
	for i := range 250 {
		id := int64(10000 + i)
		seed.Repos = append(seed.Repos, fake.Repo{ID: id, Owner: fake.CampusUser, Name: fmt.Sprintf("r%d", i), Private: true})
		seed.Installations[1].Repos = append(seed.Installations[1].Repos, id)
	}
	g := fake.NewGitHub(fake.GitHubConfig{Kind: fake.EnterpriseServer, Host: "ghes.example", Seed: seed})
	token, _, err := g.Issue(fake.CampusApp, fake.CampusUser, 0)
	if err != nil {
		t.Fatal(err)
	}
	reach, err := client(t, g, fake.CampusApp).Reach(t.Context(), daypass.NewSecret(token))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(reach.Repositories()); n != 253 {
		t.Errorf("%d repositories, want 253", n)
	}
	if len(reach.HiddenOrgs) != 1 || reach.HiddenOrgs[0] != 2001 && reach.HiddenOrgs[0] != 2002 {
		t.Errorf("hidden: %v", reach.HiddenOrgs)
	}
	for _, r := range reach.Pushable() {
		if r.Name == "handbook" {
			t.Error("a repository that may only be read counts as pushable")
		}
	}
}

// TestRevoke: without a way to end a token, the error says so and where to go.
func TestRevoke(t *testing.T) {
	g := campus(fake.Switches{})
	token, refresh, err := g.Issue(fake.CampusApp, fake.CampusUser, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := client(t, g, fake.CampusApp)
	if err := c.Revoke(t.Context(), daypass.NewSecret(token), daypass.NewSecret(refresh), daypass.Secret{}); err != nil {
		t.Errorf("revoke: %v", err)
	}
	if n := len(g.LiveTokens()) + len(g.LiveRefreshTokens()); n > 0 {
		t.Errorf("%d tokens are alive", n)
	}
	if err := c.Revoke(t.Context(), daypass.Secret{}); err != nil {
		t.Errorf("nothing to revoke: %v", err)
	}
	g.Set(func(s *fake.Switches) { s.RevokeEndpoint = false })
	err = c.Revoke(t.Context(), daypass.NewSecret(token))
	if !errors.Is(err, github.ErrCannotRevoke) || !strings.Contains(err.Error(), "https://ghes.example/settings/apps/authorizations") {
		t.Errorf("without an endpoint: %v", err)
	}
}

// TestNoTokenElsewhere: a redirect of an API request to another host, port or
// scheme is not followed, within the host it is.
func TestNoTokenElsewhere(t *testing.T) {
	for _, to := range []string{"https://evil.example/x", "http://ghes.example/x", "https://ghes.example:8443/x", "https://ghes.example.evil.example/x", "//evil.example/x"} {
		var heard []string
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			heard = append(heard, r.URL.Scheme+"://"+r.Host+" "+r.Header.Get("Authorization"))
			http.Redirect(w, r, to, http.StatusFound)
		})
		_, err := client(t, h, "x").Account(t.Context(), daypass.NewSecret("ghu_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"))
		if !errors.Is(err, daypass.ErrUnreachable) || len(heard) != 1 || !strings.Contains(heard[0], "ghes.example ") {
			t.Errorf("%s: %v, heard at %q", to, err, heard)
		}
	}
	g := campus(fake.Switches{})
	token, _, err := g.Issue(fake.CampusApp, fake.CampusUser, 0)
	if err != nil {
		t.Fatal(err)
	}
	repo, err := client(t, g, "x").Repository(t.Context(), daypass.NewSecret(token), daypass.Repo{Owner: "river-lab", Name: "old-data"})
	if err != nil || repo.Name != "data" {
		t.Errorf("a renamed repository: %v, %v", repo, err)
	}
}

// TestLongAnswers: a host cannot fill memory.
func TestLongAnswers(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"login":"`)
		for range 10000 {
			if _, err := io.WriteString(w, strings.Repeat("x", 1024)); err != nil {
				return
			}
		}
	})
	if _, err := client(t, h, "x").Account(t.Context(), daypass.NewSecret("ghu_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")); !errors.Is(err, daypass.ErrUnreachable) {
		t.Errorf("an endless account: %v", err)
	}
	if _, err := client(t, h, "x").Start(t.Context()); !errors.Is(err, daypass.ErrUnreachable) {
		t.Errorf("an endless code: %v", err)
	}
}

// TestHang: every request has an end of its own.
func TestHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		began := time.Now()
		_, err := client(t, h, "x").Start(context.Background())
		if !errors.Is(err, daypass.ErrUnreachable) || time.Since(began) > 30*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}
