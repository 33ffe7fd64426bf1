package fake

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// faultCases say what a client sees, whether over a socket or in memory.
var faultCases = []struct {
	name  string
	fault Fault
	check func(t *testing.T, res *http.Response, body string, err error)
}{
	{"status", Fault{Kind: FaultStatus, Status: 503, Body: "away", Header: http.Header{"Retry-After": {"7"}}}, func(t *testing.T, res *http.Response, body string, err error) {
		if err != nil || res.StatusCode != 503 || body != "away" || res.Header.Get("Retry-After") != "7" {
			t.Errorf("= %v %q %v", res, body, err)
		}
	}},
	{"HTML 502", Fault{Kind: FaultHTML502}, func(t *testing.T, res *http.Response, body string, err error) {
		if err != nil || res.StatusCode != 502 || !strings.Contains(body, "<html>") {
			t.Errorf("= %v %q %v", res, body, err)
		}
	}},
	{"hang", Fault{Kind: FaultHang}, func(t *testing.T, res *http.Response, body string, err error) {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v, want the deadline", err)
		}
	}},
	{"hang with a bound", Fault{Kind: FaultHang, Delay: time.Millisecond}, func(t *testing.T, res *http.Response, body string, err error) {
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("err = %v, want the end of the connection", err)
		}
	}},
	{"reset", Fault{Kind: FaultReset}, func(t *testing.T, res *http.Response, body string, err error) {
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("err = %v, want ECONNRESET", err)
		}
	}},
	{"truncated", Fault{Kind: FaultTruncated}, func(t *testing.T, res *http.Response, body string, err error) {
		if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.HasPrefix(body, "{") {
			t.Errorf("= %q, %v", body, err)
		}
	}},
	{"cut JSON", Fault{Kind: FaultCutJSON}, func(t *testing.T, res *http.Response, body string, err error) {
		if err != nil || !strings.HasPrefix(body, "{") || strings.HasSuffix(body, "}") || int(res.ContentLength) != len(body) {
			t.Errorf("= %q, %v", body, err)
		}
	}},
	{"slow", Fault{Kind: FaultSlow, Delay: time.Microsecond}, func(t *testing.T, res *http.Response, body string, err error) {
		if err != nil || !strings.HasSuffix(body, "}") {
			t.Errorf("= %q, %v", body, err)
		}
	}},
	{"too slow", Fault{Kind: FaultSlow, Delay: time.Second}, func(t *testing.T, res *http.Response, body string, err error) {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v, want the deadline", err)
		}
	}},
	{"redirect", Fault{Kind: FaultRedirect, URL: "https://evil.example/x"}, func(t *testing.T, res *http.Response, body string, err error) {
		if err != nil || res.StatusCode != 307 || res.Header.Get("Location") != "https://evil.example/x" {
			t.Errorf("= %v, %v", res, err)
		}
	}},
	{"clock skew", Fault{Kind: FaultClockSkew, Delay: -3 * time.Hour}, func(t *testing.T, res *http.Response, body string, err error) {
		if err != nil || res.Header.Get("Date") != "Mon, 02 Nov 2026 06:00:00 GMT" || res.StatusCode != 200 {
			t.Errorf("= %v, %v", res, err)
		}
	}},
	{"lost", Fault{Kind: FaultLost}, func(t *testing.T, res *http.Response, body string, err error) {
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("err = %v, want the end of the connection", err)
		}
	}},
	{"late", Fault{Kind: FaultLate, Delay: time.Millisecond}, func(t *testing.T, res *http.Response, body string, err error) {
		if err != nil || res.StatusCode != 200 || !strings.HasSuffix(body, "}") {
			t.Errorf("= %v, %v", res, err)
		}
	}},
	{"too late", Fault{Kind: FaultLate}, func(t *testing.T, res *http.Response, body string, err error) {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v, want the deadline", err)
		}
	}},
}

func ask(ctx context.Context, rt http.RoundTripper, target, token string) (*http.Response, string, error) {
	ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", target, nil)
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := rt.RoundTrip(req)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res, string(body), err
}

func TestFaultsOverSockets(t *testing.T) {
	g := NewGitHub(GitHubConfig{Seed: Campus(), Now: newClock().now})
	tok, _, _ := g.Issue(CampusApp, CampusUser, 0)
	s := httptest.NewServer(g)
	defer s.Close()
	tr := &http.Transport{DisableKeepAlives: true}
	for _, c := range faultCases {
		t.Run(c.name, func(t *testing.T) {
			g.FailNth(1, nil, c.fault)
			res, body, err := ask(t.Context(), tr, s.URL+"/api/v3/user", tok)
			c.check(t, res, body, err)
			if res, _, err := ask(t.Context(), tr, s.URL+"/api/v3/user", tok); err != nil || res.StatusCode != 200 {
				t.Errorf("the next request = %v, %v", res, err)
			}
		})
	}
}

func TestFaultsInMemory(t *testing.T) {
	for _, c := range faultCases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := NewGitHub(GitHubConfig{Kind: GitHubCom, Seed: Campus(), Now: newClock().now})
				tok, _, _ := g.Issue(CampusApp, CampusUser, 0)
				g.FailNth(1, nil, c.fault)
				res, body, err := ask(t.Context(), Transport(g), "https://api.github.com/user", tok)
				c.check(t, res, body, err)
			})
		})
	}
}

func TestWhichRequestFails(t *testing.T) {
	b := newBench(t, GitHubCom, Switches{})
	b.hc.Transport = Transport(b.GitHub) // faults are not GitHub's own answers
	tok, _, _ := b.Issue(CampusApp, CampusUser, 0)
	statuses := func(n int) (out []int) {
		for range n {
			out = append(out, b.get("/user", tok).status)
		}
		return out
	}
	expect := func(want ...int) {
		t.Helper()
		got := statuses(len(want))
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("statuses = %v, want %v", got, want)
			}
		}
	}
	b.FailNth(3, nil, Fault{Kind: FaultHTML502})
	expect(200, 200, 502, 200)
	stop := b.Fault(PathIs("/user"), Fault{Status: 500})
	expect(500, 500)
	if a := b.get("/meta", ""); a.status != 200 {
		t.Errorf("/meta = %d", a.status)
	}
	stop()
	expect(200)
	b.Fault(PathHasPrefix("/us"), Fault{Status: 500, Times: 2})
	expect(500, 500, 200)
	b.Fault(nil, Fault{Status: 500})
	b.ClearFaults()
	expect(200)
}

// TestLostRefresh is the worst moment: the old pair is dead and the new one
// never arrives.
func TestLostRefresh(t *testing.T) {
	b := newBench(t, GitHubCom, Switches{})
	first := b.login(CampusApp, CampusUser)
	b.FailNth(1, nil, Fault{Kind: FaultLost})
	v := "client_id=" + CampusApp + "&grant_type=refresh_token&refresh_token=" + first.text("refresh_token")
	req, _ := http.NewRequest("POST", b.web+"/login/oauth/access_token", strings.NewReader(v))
	if _, err := b.hc.Do(req); err == nil {
		t.Fatal("an answer came")
	}
	live := b.LiveTokens()
	if len(live) != 1 || live[0].Fingerprint == Fingerprint(first.text("access_token")) {
		t.Errorf("live = %+v, want a new one that nobody holds", live)
	}
}

func TestTransport(t *testing.T) {
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", r.Method+" "+r.Host+" "+r.URL.String()+" "+r.UserAgent())
		if r.TLS != nil {
			w.Header().Set("X-TLS", "yes")
		}
		w.Write(body)
	})
	hc := &http.Client{Transport: Transport(echo)}
	res, err := hc.Post("https://a.example/p?q=1", "text/plain", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	if string(body) != "hello" || res.Header.Get("X-Seen") != "POST a.example /p?q=1 Go-http-client/1.1" || res.Header.Get("X-TLS") != "yes" || res.TLS == nil {
		t.Errorf("= %q %v", body, res.Header)
	}
	if res, err = hc.Head("http://a.example"); err != nil || res.TLS != nil {
		t.Errorf("HEAD = %v, %v", res, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", "http://a.example", nil)
	if _, err := hc.Do(req); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled = %v", err)
	}
	defer func() {
		if recover() != "mistake" {
			t.Error("a panic in the handler was lost")
		}
	}()
	Transport(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("mistake") })).RoundTrip(req.Clone(t.Context()))
}
