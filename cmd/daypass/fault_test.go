package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/daypass-dev/daypass/fake"
)

// A bench is one app in a bubble of fake time, with a GitHub in memory.
type bench struct {
	*app
	github   *fake.GitHub
	out, err bytes.Buffer
	env      map[string]string
}

const benchHost = "ghes.example"

func newBench(t *testing.T, sw fake.Switches) *bench {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{"home", "wallet"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	sw.RevokeEndpoint = true
	if sw.AutoApprove == "" {
		sw.AutoApprove = fake.CampusUser
	}
	b := &bench{
		github: fake.NewGitHub(fake.GitHubConfig{Kind: fake.EnterpriseServer, Host: benchHost, Seed: fake.Campus(), Now: time.Now, Switches: sw}),
		env: map[string]string{
			"HOME": filepath.Join(dir, "home"), "DAYPASS_RUNTIME_DIR": filepath.Join(dir, "wallet"), "PATH": os.Getenv("PATH"),
			"GITHUB_HOST": benchHost, "DAYPASS_CLIENT_ID": fake.CampusApp,
		},
	}
	b.app = &app{
		stdin: strings.NewReader(""), stdout: &b.out, stderr: &b.err, now: time.Now, uid: os.Geteuid(),
		getenv: func(k string) string { return b.env[k] }, environ: func() []string { return nil },
		transport: onlyHost{t, fake.Transport(b.github)}, etcConfig: filepath.Join(dir, "etc.yaml"),
	}
	return b
}

// onlyHost fails the test when anything is sent to another host.
type onlyHost struct {
	t    *testing.T
	next http.RoundTripper
}

func (o onlyHost) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != benchHost || r.URL.Scheme != "https" {
		o.t.Errorf("a request went to %s", r.URL.Host)
	}
	return o.next.RoundTrip(r)
}

func (b *bench) do(args ...string) int {
	b.out.Reset()
	b.err.Reset()
	return b.run(context.Background(), append([]string{"daypass"}, args...))
}

// said is all that people saw.
func (b *bench) said() string { return b.out.String() + b.err.String() }

// TestLoginFaults lets every single request of a login fail in every way. Each
// ends in the right exit status and a message with a next step; no token that
// was received stays alive, unless ending it failed, which the message says.
func TestLoginFaults(t *testing.T) {
	for _, args := range [][]string{{"login", "--no-setup"}, {"login", "--no-setup", "--repo", "river-lab/data"}, {"login", "--no-setup", "--renew", "1d"}} {
		var paths []string
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, fake.Switches{})
			if code := b.do(args...); code != 0 {
				t.Fatalf("%v without a fault ended with %d: %s", args, code, b.said())
			}
			for _, r := range b.github.Requests() {
				paths = append(paths, r.Path)
			}
		})
		for n, path := range paths {
			for _, f := range faults() {
				t.Run(fmt.Sprintf("%s/%d%s/%s", strings.Join(args[2:], ""), n+1, strings.ReplaceAll(path, "/", "."), f.name), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { loginFault(t, args, n+1, path, f) })
				})
			}
		}
	}
}

type namedFault struct {
	name string
	fake.Fault
	harmless bool // the answer is true and only late or oddly dated
}

func faults() []namedFault {
	return []namedFault{
		{"html502", fake.Fault{Kind: fake.FaultHTML502}, false},
		{"hang", fake.Fault{Kind: fake.FaultHang}, false},
		{"reset", fake.Fault{Kind: fake.FaultReset}, false},
		{"truncated", fake.Fault{Kind: fake.FaultTruncated}, false},
		{"cut", fake.Fault{Kind: fake.FaultCutJSON}, false},
		{"slow", fake.Fault{Kind: fake.FaultSlow, Delay: time.Millisecond}, true},
		{"stalled", fake.Fault{Kind: fake.FaultSlow, Delay: time.Minute}, false},
		{"redirect", fake.Fault{Kind: fake.FaultRedirect, URL: "https://evil.example/x"}, false},
		{"skew", fake.Fault{Kind: fake.FaultClockSkew, Delay: 3 * time.Hour}, true},
		{"lost", fake.Fault{Kind: fake.FaultLost}, false},
		{"teapot", fake.Fault{Kind: fake.FaultStatus, Status: 418, Body: `{"message":"no"}`}, false},
	}
}

func loginFault(t *testing.T, args []string, n int, path string, f namedFault) {
	b := newBench(t, fake.Switches{})
	f.Times = 1
	b.github.FailNth(n, nil, f.Fault)
	code := b.do(args...)
	said := b.said()
	revoking := strings.HasSuffix(path, "/credentials/revoke")
	switch {
	case f.harmless:
		if code != 0 {
			t.Errorf("ended with %d, want 0: %s", code, said)
		}
	case revoking && code == 0:
		if n := len(b.github.LiveRefreshTokens()); n > 0 && !strings.Contains(said, "could not be told to end it") {
			t.Errorf("%d refresh tokens are alive and nothing is said: %s", n, said)
		}
	case code == 0 && strings.Contains(path, "/repos/"):
		// Looking a repository up as nobody is only a shortcut.
	case code != 5 && code != 4:
		t.Errorf("ended with %d, want 5 or 4: %s", code, said)
	}
	if code != 0 && !hasNextStep(said) {
		t.Errorf("no next step: %s", said)
	}
	if code != 0 && !strings.Contains(said, "could not be ended") && !(f.Kind == fake.FaultLost && strings.HasSuffix(path, "access_token")) {
		if live := b.github.LiveTokens(); len(live) > 0 && !(f.cutsTokens() && strings.HasSuffix(path, "access_token")) {
			t.Errorf("%d tokens are alive after a failed login: %s", len(live), said)
		}
	}
	if tokenIn(said) {
		t.Errorf("a token is shown: %s", said)
	}
	// Whatever happened, the next login works.
	b.github.ClearFaults()
	if code := b.do(args...); code != 0 {
		t.Errorf("the next login ended with %d: %s", code, b.said())
	}
	if code := b.do("status"); code != 0 {
		t.Errorf("status ended with %d: %s", code, b.said())
	}
}

// cutsTokens: of half an answer no more can be ended than was received.
func (f namedFault) cutsTokens() bool {
	return f.Kind == fake.FaultTruncated || f.Kind == fake.FaultCutJSON || f.Delay == time.Minute
}

func hasNextStep(said string) bool {
	return strings.Contains(said, "[DP-") && (strings.Contains(said, "again") || strings.Contains(said, "Check") || strings.Contains(said, "Run"))
}

func tokenIn(s string) bool {
	for _, p := range []string{"ghu_", "ghr_", "gho_"} {
		if i := strings.Index(s, p); i >= 0 && len(s) > i+10 && !strings.Contains(s[i:i+10], "…") {
			return true
		}
	}
	return false
}

// TestLoginHalfAnswer: a token that came in half an answer is ended all the same.
func TestLoginHalfAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, fake.Switches{})
		b.transport = lastByteLost{b.transport}
		if code := b.do("login", "--no-setup"); code != 5 {
			t.Errorf("ended with %d, want 5: %s", code, b.said())
		}
		if live := len(b.github.LiveTokens()) + len(b.github.LiveRefreshTokens()); live > 0 {
			t.Errorf("%d tokens are alive", live)
		}
	})
}

// lastByteLost cuts the last byte of each answer that holds a token.
type lastByteLost struct{ next http.RoundTripper }

func (l lastByteLost) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := l.next.RoundTrip(r)
	if err != nil || !strings.HasSuffix(r.URL.Path, "/access_token") {
		return res, err
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(res.Body); err != nil {
		return nil, err
	}
	res.Body.Close()
	text := b.Bytes()
	if strings.Contains(b.String(), "ghu_") {
		text = text[:len(text)-1]
		res.ContentLength = -1
	}
	res.Body = readCloser{bytes.NewReader(text)}
	return res, nil
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }
