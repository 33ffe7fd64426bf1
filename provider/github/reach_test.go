package github_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/provider/github"
)

const (
	oneInstall = `{"id":1,"account":{"login":"ann","id":2},"app_slug":"x","repository_selection":"selected","permissions":{"contents":"write"}}`
	oneRepo    = `{"id":5,"full_name":"ann/data","permissions":{"push":true}}`
)

// lists is a host that answers the two lists with these bodies.
func lists(installations, repos string, head http.Header) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.HasSuffix(r.URL.Path, "/user/installations"):
			io.WriteString(w, installations)
		case strings.HasSuffix(r.URL.Path, "/repositories"):
			for k, v := range head {
				w.Header()[k] = v
			}
			io.WriteString(w, repos)
		default:
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, `{"message":"Not Found"}`)
		}
	})
}

func installed(total, list string) string {
	return `{"total_count":` + total + `,"installations":[` + list + `]}`
}

func holding(total, list string) string {
	return `{"total_count":` + total + `,"repositories":[` + list + `]}`
}

// TestReachWhole: a reach counts as seen whole only if nothing was left out,
// and else stands for everything.
func TestReachWhole(t *testing.T) {
	for _, c := range []struct {
		name, installations, repos string
		head                       http.Header
		unseen                     string
	}{
		{"whole", installed("1", oneInstall), holding("1", oneRepo), nil, ""},
		{"nothing", installed("0", ""), "", nil, ""},
		{"fewer repositories than there are", installed("1", oneInstall), holding("2", oneRepo), nil, "only part"},
		{"more repositories than there are", installed("1", oneInstall), holding("0", oneRepo), nil, "only part"},
		{"no number of repositories", installed("1", oneInstall), `{"repositories":[` + oneRepo + `]}`, nil, "only part"},
		{"a repository twice", installed("1", oneInstall), holding("2", oneRepo+","+oneRepo), nil, "only part"},
		{"a repository without a number", installed("1", oneInstall), holding("1", strings.Replace(oneRepo, "5", "0", 1)), nil, "only part"},
		{"a repository with an odd name", installed("1", oneInstall), holding("1", strings.Replace(oneRepo, "data", `d\u001b[2J`, 1)), nil, "only part"},
		{"an odd repository beside the number", installed("1", oneInstall), holding("1", oneRepo+`,{"id":6,"full_name":"a/b/c"}`), nil, "only part"},
		{"fewer installations than there are", installed("2", oneInstall), holding("1", oneRepo), nil, "only part"},
		{"no number of installations", `{"installations":[` + oneInstall + `]}`, holding("1", oneRepo), nil, "only part"},
		{"an owner with an odd name", installed("1", strings.Replace(oneInstall, "ann", `a\u001b]0;x\u0007`, 1)), holding("1", oneRepo), nil, "only part"},
		{"an owner that is a mark", installed("1", strings.Replace(oneInstall, "ann", "a\u202e", 1)), holding("1", oneRepo), nil, "only part"},
		{"an installation twice", installed("2", oneInstall+","+oneInstall), holding("1", oneRepo), nil, "only part"},
		{"an installation that is null", installed("1", "null"), "", nil, "only part"},
		{"suspended", installed("1", strings.Replace(oneInstall, `"id":1`, `"id":1,"suspended_at":"2026-01-01T00:00:00Z"`, 1)), "", nil, "suspended at ann"},
		{"hidden in a list of repositories", installed("1", oneInstall), holding("1", oneRepo), http.Header{"X-Github-Sso": {"partial-results; organizations=7"}}, "single sign-on"},
		{"hidden without a number", installed("1", oneInstall), holding("1", oneRepo), http.Header{"X-Github-Sso": {"partial-results"}}, "only part"},
	} {
		t.Run(c.name, func(t *testing.T) {
			reach, err := client(t, lists(c.installations, c.repos, c.head), "x").Reach(t.Context(), daypass.NewSecret("ghu_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"))
			if err != nil {
				t.Fatal(err)
			}
			if got := reach.Unseen(); c.unseen == "" && got != "" || !strings.Contains(got, c.unseen) {
				t.Errorf("unseen: %q, want %q", got, c.unseen)
			}
			if c.unseen != "" && c.name != "suspended" && reach.Complete {
				t.Error("it counts as complete")
			}
			if s := reach.Scope("ghes.example", daypass.Forever); s.All != (c.unseen != "") || s.All && s.Repos != nil {
				t.Errorf("the scope is %+v", s)
			}
			for _, in := range reach.Installations {
				if in.Owner != "ann" {
					t.Errorf("the owner %q is shown", in.Owner)
				}
			}
		})
	}
}

// TestJudgeNoGuess: what the host does not show is said to be unknown.
func TestJudgeNoGuess(t *testing.T) {
	all := strings.Replace(oneInstall, "selected", "all", 1)
	hide := http.Header{"X-Github-Sso": {"partial-results; organizations=7,8"}}
	for _, c := range []struct {
		name, installations, repos string
		head                       http.Header
		repo, want                 string
	}{
		{"not chosen", installed("1", oneInstall), holding("1", oneRepo), nil, "ann/paper", "DP-602"},
		{"not installed", installed("1", oneInstall), holding("1", oneRepo), nil, "bob/paper", "DP-601"},
		{"hidden", installed("1", oneInstall), holding("1", oneRepo), hide, "bob/paper", "2 organisations hide behind single sign-on"},
		{"hidden, code", installed("1", oneInstall), holding("1", oneRepo), hide, "bob/paper", "/orgs/bob/sso and run \"daypass login\" again. If it is not, the App is not installed there. [DP-615]"},
		{"all", installed("1", all), holding("1", oneRepo), nil, "ann/paper", "DP-616"},
		{"cut list of repositories", installed("1", all), holding("2", oneRepo), nil, "ann/paper", "DP-617"},
		{"cut list of installations", installed("2", oneInstall), holding("1", oneRepo), nil, "bob/paper", "DP-617"},
		{"known in a cut list", installed("2", oneInstall), holding("9", oneRepo), nil, "ann/data", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl, token := client(t, lists(c.installations, c.repos, c.head), "x"), daypass.NewSecret("ghu_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
			reach, err := cl.Reach(t.Context(), token)
			if err != nil {
				t.Fatal(err)
			}
			repo, _ := daypass.ParseRepo(c.repo)
			err = cl.Judge(t.Context(), token, reach, github.Push{Repo: repo}, "")
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("said %v, want %q", err, c.want)
			}
		})
	}
}

// TestOddTokens: a token of an unknown shape is refused, and handed over to be ended.
func TestOddTokens(t *testing.T) {
	odd, refresh := strings.Repeat("0123456789", 4), "r1_"+strings.Repeat("x", 20)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":%q,"refresh_token":%q,"expires_in":28800,"token_type":"bearer"}`, odd, refresh)
	})
	c := client(t, h, "Iv23liX")
	if _, err := c.Renew(t.Context(), daypass.NewSecret("ghr_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")); !errors.Is(err, daypass.ErrUnreachable) {
		t.Errorf("an odd token: %v", err)
	}
	var got []string
	for _, s := range c.Received() {
		got = append(got, s.Reveal())
	}
	if !slices.Equal(got, []string{odd, refresh}) {
		t.Errorf("%d tokens are handed over to be ended, want 2", len(got))
	}
}

// TestReceivedOnce: a token that was found in the answer is not listed again.
func TestReceivedOnce(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"access_token":"ghu_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","refresh_token":"ghr_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","expires_in":28800,"token_type":"bearer"}`)
	})
	c := client(t, h, "Iv23liX")
	if _, err := c.Renew(t.Context(), daypass.NewSecret("ghr_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")); err != nil {
		t.Fatal(err)
	}
	if n := len(c.Received()); n != 2 {
		t.Errorf("%d tokens, want 2", n)
	}
}

// TestCannotRevoke: only somebody's own server may have no way to end a token.
func TestCannotRevoke(t *testing.T) {
	for _, status := range []int{401, 404, 405} {
		for name, may := range map[string]bool{"github.com": false, "octo.ghe.com": false, "ghes.example": true, "notghe.com": true} {
			host, err := github.ParseHost(name)
			if err != nil {
				t.Fatal(err)
			}
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status) })
			err = github.New(host, "x", fake.Transport(h), time.Now).Revoke(t.Context(), daypass.NewSecret("ghu_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"))
			if err == nil || errors.Is(err, github.ErrCannotRevoke) != may {
				t.Errorf("%s, status %d: %v", name, status, err)
			}
		}
	}
}

func TestOwnURLAlphabet(t *testing.T) {
	h, err := github.ParseHost("github.com")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{
		"https://github.com/a b", "https://github.com/\u202eevil", "https://github.com/\u200b", "https://github.com/é", "https://github.com/\u009b2J",
		"https://github.com/a\x7f", "https://github.com/\x1b[2J", "https://github.com/\xff", "https://github.com/#\u2028", "https://github.com/?\u00a0",
	} {
		if h.OwnURL(link) {
			t.Errorf("OwnURL(%q) is taken", link)
		}
	}
}

// TestTransport: HTTP/1.1 only, also where the server offers HTTP/2, since
// net/http's HTTP/2 can be made to print headers; and no old TLS.
func TestTransport(t *testing.T) {
	ask := func(most uint16) (*http.Response, error) {
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
		srv.EnableHTTP2 = true
		srv.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: most}
		srv.Config.ErrorLog = nil
		srv.StartTLS()
		t.Cleanup(srv.Close)
		tr := github.NewTransport()
		if tr.Proxy == nil || tr.TLSHandshakeTimeout == 0 || tr.ResponseHeaderTimeout == 0 {
			t.Error("no proxy, or no end to waiting")
		}
		tr.TLSClientConfig.RootCAs = x509.NewCertPool()
		tr.TLSClientConfig.RootCAs.AddCert(srv.Certificate())
		t.Cleanup(tr.CloseIdleConnections)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		return tr.RoundTrip(req)
	}
	res, err := ask(tls.VersionTLS13)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.ProtoMajor != 1 {
		t.Errorf("it spoke %s", res.Proto)
	}
	if res, err := ask(tls.VersionTLS11); err == nil {
		res.Body.Close()
		t.Error("it spoke TLS 1.1")
	}
}
