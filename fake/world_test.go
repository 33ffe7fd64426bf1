package fake

import (
	"bytes"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func newTestWorld(t *testing.T) *World {
	gitProgram(t)
	w, err := NewWorld(WorldConfig{Dir: t.TempDir(), Evil: []string{"sub.github.com"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// TestWorldGit runs real git against https://github.com and its like.
func TestWorldGit(t *testing.T) {
	w := newTestWorld(t)
	for host, g := range w.GitHubs() {
		t.Run(host, func(t *testing.T) {
			tok, _, err := g.Issue(CampusApp, CampusUser, 0)
			if err != nil {
				t.Fatal(err)
			}
			base := "https://" + host
			if host == strings.TrimPrefix(w.URL, "http://") {
				base = w.URL
			}
			remote := strings.Replace(base, "://", "://x-access-token:"+tok+"@", 1) + "/river-lab/data.git"
			dir := filepath.Join(t.TempDir(), "w")
			if out, err := runGit(t, t.TempDir(), w.Env(), "clone", "-q", remote, dir); err != nil {
				t.Fatalf("clone: %v\n%s", err, out)
			}
			if out, err := runGit(t, dir, w.Env(), "push", "-q", "origin", "HEAD:refs/heads/copy"); err != nil {
				t.Fatalf("push: %v\n%s", err, out)
			}
			out, err := runGit(t, t.TempDir(), w.Env(), "ls-remote", base+"/river-lab/data.git")
			if err == nil || !strings.Contains(out, "could not read Username") {
				t.Errorf("without a token: %v\n%s", err, out)
			}
		})
	}
	for _, c := range w.Proxy.Connects() {
		if c.Refused {
			t.Errorf("refused %s", c.Target)
		}
	}
	if n := w.Recorder.Connections(); n != 0 {
		t.Errorf("the recorder had %d visitors", n)
	}
}

func TestWorldClient(t *testing.T) {
	w := newTestWorld(t)
	for host, g := range w.GitHubs() {
		tok, _, _ := g.Issue(CampusApp, CampusUser, 0)
		api := "https://api." + host
		if g.kind == EnterpriseServer {
			api = "https://" + host + "/api/v3"
		}
		if g == w.Local {
			api = w.URL + "/api/v3"
		}
		req, _ := http.NewRequest("GET", api+"/user", nil)
		req.Header.Set("Authorization", "Bearer "+tok)
		if a := send(t, w.Client(), req); a.text("login") != CampusUser {
			t.Errorf("%s = %d %s", api, a.status, a.body)
		}
		mem := &http.Client{Transport: Transport(w.Handler())}
		if a := send(t, mem, req.Clone(t.Context())); a.text("login") != CampusUser {
			t.Errorf("in memory: %s = %d %s", api, a.status, a.body)
		}
	}
	req, _ := http.NewRequest("GET", "https://"+EvilHost+"/take?it", strings.NewReader("gift"))
	req.Header.Set("Authorization", "Bearer ghu_lost")
	if a := send(t, w.Client(), req); a.status != 401 {
		t.Errorf("evil = %d", a.status)
	}
	if a := send(t, w.Client(), mustRequest(t, "https://sub.github.com/user")); a.status != 401 {
		t.Errorf("a sub-domain = %d, want the recorder's 401", a.status)
	}
	heard := w.Recorder.Heard()
	for _, want := range []string{"/take?it", "ghu_lost", "gift"} {
		if !bytes.Contains(heard, []byte(want)) {
			t.Errorf("the recorder did not hear %q: %q", want, heard)
		}
	}
	if _, err := w.Client().Get("https://example.org/"); err == nil {
		t.Error("the proxy led to the real world")
	}
	if got := w.Proxy.Refused(); len(got) != 1 || got[0] != "example.org:443" {
		t.Errorf("refused = %v", got)
	}
	w.Proxy.Down(true)
	if _, err := w.Client().Get("https://github.com/"); err == nil {
		t.Error("a proxy that is down let somebody through")
	}
	w.Proxy.Down(false)
	if _, err := w.Client().Get("https://github.com/"); err != nil {
		t.Error(err)
	}
}

func mustRequest(t *testing.T, target string) *http.Request {
	t.Helper()
	req, err := http.NewRequest("GET", target, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func TestWorldFaultsThroughProxy(t *testing.T) {
	w := newTestWorld(t)
	for _, kind := range []FaultKind{FaultReset, FaultLost} {
		w.Com.FailNth(1, nil, Fault{Kind: kind})
		if _, err := w.Client().Get("https://github.com/"); err == nil {
			t.Errorf("fault %d: an answer came", kind)
		}
	}
	// Close must not wait for a request that hangs.
	w.Com.Fault(nil, Fault{Kind: FaultHang})
	gone := make(chan error, 1)
	go func() { _, err := w.Client().Get("https://github.com/"); gone <- err }()
	for w.Com.Count("/") < 3 {
		select {
		case err := <-gone:
			t.Fatalf("the request ended early: %v", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if err := <-gone; err == nil {
		t.Error("an answer came")
	}
}

func TestRequests(t *testing.T) {
	b := newBench(t, GitHubCom, Switches{})
	tok, _, _ := b.Issue(CampusApp, CampusUser, 0)
	b.get("/user?page=1", tok)
	b.do("GET", b.web+"/river-lab/data/info/refs?service=git-upload-pack", "", "", "Authorization", "Basic eDpnaHVfYmFk", "Cookie", "c=d")
	got := b.Requests()
	if len(got) != 2 || b.Count("/user") != 1 {
		t.Fatalf("Requests = %+v", got)
	}
	r := got[0]
	if r.Method != "GET" || r.Host != "api.github.com" || r.RawQuery != "page=1" || r.Status != 200 || r.Scheme != "bearer" || r.Token != Fingerprint(tok) || r.At != b.clock.now() {
		t.Errorf("= %+v", r)
	}
	r = got[1]
	if r.Scheme != "basic" || r.Username != "x" || r.Token != Fingerprint("ghu_bad") || r.Status != 401 || r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != "" {
		t.Errorf("= %+v", r)
	}
	p := b.login(CampusApp, CampusUser, "repository_id", "5001")
	got = b.Requests()
	if f := got[len(got)-1].Form; f.Get("repository_id") != "5001" || f.Get("device_code") == "" || len(f.Get("device_code")) == 40 {
		t.Errorf("form = %v", f)
	}
	b.refresh(CampusApp, p.text("refresh_token"))
	got = b.Requests()
	if f := got[len(got)-1].Form; f.Get("refresh_token") != Fingerprint(p.text("refresh_token")) {
		t.Errorf("form = %v", f)
	}
	for range maxLog {
		b.GitHub.ServeHTTP(&bufferedResponse{header: http.Header{}}, &http.Request{Method: "GET", URL: &url.URL{Path: "/x"}, Header: http.Header{}, Body: http.NoBody})
	}
	if n := len(b.Requests()); n > maxLog {
		t.Errorf("%d requests remembered, want at most %d", n, maxLog)
	}
	if strings.Contains(Fingerprint(tok), tok[4:]) || Fingerprint("") != "" || !strings.HasPrefix(Fingerprint("password"), "secret_") {
		t.Error("a fingerprint shows the secret")
	}
}
