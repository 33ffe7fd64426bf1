package fake

import (
	"bytes"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestGitStatuses asks as git does, for each row of the table of who gets what.
func TestGitStatuses(t *testing.T) {
	h := newGitHost(t, func(s *Seed) {
		s.Repos[6].Archived = false
		s.Renames["river-lab/old-page"] = "octo-researcher/public-page"
	})
	tok, limited := h.token(CampusUser, 0), h.token(CampusUser, CampusNotesRepo)
	h.clock.pass(time.Second)
	dead, _, _ := h.Issue(CampusApp, CampusUser, 0)
	h.Disconnect(CampusApp, "nobody")
	h.GitHub.mu.Lock()
	h.revoke(dead)
	h.GitHub.mu.Unlock()
	const fetch, push = "git-upload-pack", "git-receive-pack"
	for _, c := range []struct {
		name, repo, service, token string
		status                     int
		body                       string
	}{
		{"public, fetch, nobody", "octo-researcher/public-page", fetch, "", 200, ""},
		{"public, fetch, with .git, other case", "Octo-Researcher/PUBLIC-page.git", fetch, "", 200, ""},
		{"public, fetch, dead token", "octo-researcher/public-page", fetch, dead, 401, gitBadToken},
		{"public, push, nobody", "octo-researcher/public-page", push, "", 401, gitNeedLogin},
		{"public, push, not installed", "octo-researcher/public-page", push, tok, 403, "Permission to octo-researcher/public-page.git denied to octo-researcher.\n"},
		{"private, fetch, nobody", "river-lab/data", fetch, "", 401, gitNotFound},
		{"nothing there, nobody", "river-lab/nothing", fetch, "", 401, gitNotFound},
		{"nothing there", "river-lab/nothing", fetch, tok, 404, gitNotFound},
		{"private, fetch", "river-lab/data", fetch, tok, 200, ""},
		{"private, push", "river-lab/data", push, tok, 200, ""},
		{"private, push, dead token", "river-lab/data", push, dead, 401, gitBadToken},
		{"private, push, made-up token", "river-lab/data", push, "hunter2", 401, gitBadToken},
		{"not installed, fetch", "river-lab/paper", fetch, tok, 404, gitNotFound},
		{"not installed, push", "river-lab/paper", push, tok, 403, "Permission to river-lab/paper.git denied to octo-researcher.\n"},
		{"read only, fetch", "river-lab/handbook", fetch, tok, 200, ""},
		{"read only, push", "river-lab/handbook", push, tok, 403, "Permission to river-lab/handbook.git denied to octo-researcher.\n"},
		{"another's, fetch", "ada/private", fetch, tok, 404, gitNotFound},
		{"another's, push", "ada/private", push, tok, 404, gitNotFound},
		{"outside the limit, push", "river-lab/data", push, limited, 403, "Permission to river-lab/data.git denied to octo-researcher.\n"},
		{"within the limit, push", "octo-researcher/notes", push, limited, 200, ""},
		{"single sign-on", "sso-org/secure", fetch, tok, 403, "The `sso-org' organization has enabled"},
		{"old name, nobody, private", "river-lab/old-data", fetch, "", 401, gitNotFound},
		{"old name, public", "river-lab/old-page", fetch, "", 301, ""},
		{"old name", "river-lab/old-data", push, tok, 301, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			req, _ := http.NewRequest("GET", h.server.URL+"/"+c.repo+"/info/refs?service="+c.service, nil)
			if c.token != "" {
				req.SetBasicAuth("x-access-token", c.token)
			}
			hc := &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
			a := send(t, hc, req)
			if a.status != c.status || c.status >= 400 && !strings.HasPrefix(a.body, c.body) {
				t.Errorf("= %d %q, want %d %q", a.status, a.body, c.status, c.body)
			}
			if got := a.header.Get("WWW-Authenticate"); (a.status == 401) != (got == `Basic realm="GitHub"`) {
				t.Errorf("WWW-Authenticate = %q with %d", got, a.status)
			}
		})
	}
}

func TestGitPushArrives(t *testing.T) {
	h := newGitHost(t, nil)
	tok := h.token(CampusUser, CampusDataRepo)
	w := h.clone("river-lab/data", tok)
	if b, err := os.ReadFile(filepath.Join(w, "gauges.csv")); err != nil || !bytes.Contains(b, []byte("2.41")) {
		t.Errorf("gauges.csv = %q, %v", b, err)
	}
	// More than http.postBuffer, so that git sends it in chunks.
	big := make([]byte, 3<<20)
	for i, x := 0, uint32(1); i < len(big); i++ {
		x = x*1664525 + 1013904223
		big[i] = byte(x >> 24)
	}
	h.commit(w, "big.bin", string(big))
	if out, err := h.run(w, "push", "-q"); err != nil {
		t.Fatalf("push: %v\n%s", err, out)
	}
	bare, err := h.Bare(t.Context(), "river-lab/data")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := h.run(bare, "log", "--format=%s", "main"); err != nil || out != "change big.bin\nBegin\n" {
		t.Errorf("log = %q, %v", out, err)
	}
	if entries, _ := filepath.Glob(filepath.Join(filepath.Dir(bare), ".push-*")); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
	// A second commit after the old token died, as a long session has it.
	h.commit(w, "note", "x")
	h.ExpireTokens()
	out, err := h.run(w, "push", "-q")
	if err == nil || !strings.Contains(out, "Invalid username or token") && !strings.Contains(out, "Authentication failed") {
		t.Errorf("push with an expired token: %v\n%s", err, out)
	}
}

func TestGitFollowsRename(t *testing.T) {
	h := newGitHost(t, nil)
	w := h.clone("river-lab/old-data.git", h.token(CampusUser, 0))
	h.commit(w, "note", "x")
	if out, err := h.run(w, "push", "-q"); err != nil {
		t.Errorf("push to the old name: %v\n%s", err, out)
	}
}

func TestGitWorkflows(t *testing.T) {
	h := newGitHost(t, nil)
	w := h.clone("river-lab/data", h.token(CampusUser, 0))
	h.commit(w, ".github/workflows/ci.yml", "on: push\n")
	out, err := h.run(w, "push")
	want := "! [remote rejected] main -> main (refusing to allow a GitHub App to create or update workflow `.github/workflows/ci.yml` without `workflows` permission)"
	if err == nil || !strings.Contains(out, want) {
		t.Errorf("push: %v\n%s\nwant %s", err, out, want)
	}
	h.Update(func(s *Seed) { s.Apps[0].Permissions["workflows"] = "write" })
	w = h.clone("river-lab/data", h.token(CampusUser, 0))
	h.commit(w, ".github/workflows/ci.yml", "on: push\n")
	if out, err := h.run(w, "push"); err != nil {
		t.Errorf("with the permission: %v\n%s", err, out)
	}
	h.Update(func(s *Seed) { delete(s.Apps[0].Permissions, "workflows") })
	w = h.clone("river-lab/data", h.token(CampusUser, 0))
	h.commit(w, "note", "x")
	if out, err := h.run(w, "push"); err != nil {
		t.Errorf("a workflow that is there already: %v\n%s", err, out)
	}
}

// TestGitPermissions changes what the account accepted, under a token's feet.
func TestGitPermissions(t *testing.T) {
	h := newGitHost(t, nil)
	tok := h.token(CampusUser, 0)
	for _, c := range []struct {
		contents    string
		fetch, push int
	}{{"write", 200, 200}, {"read", 200, 403}, {"", 404, 403}} {
		h.Update(func(s *Seed) {
			s.Installations[0].Permissions = map[string]string{"metadata": "read", "contents": c.contents}
		})
		for service, want := range map[string]int{"git-upload-pack": c.fetch, "git-receive-pack": c.push} {
			req, _ := http.NewRequest("GET", h.server.URL+"/river-lab/data/info/refs?service="+service, nil)
			req.SetBasicAuth("x", tok)
			if a := send(t, http.DefaultClient, req); a.status != want {
				t.Errorf("contents %q, %s = %d %q, want %d", c.contents, service, a.status, a.body, want)
			}
		}
	}
	h.Set(func(s *Switches) { s.HideUninstalled = true })
	req0, _ := http.NewRequest("GET", h.server.URL+"/river-lab/paper/info/refs?service=git-receive-pack", nil)
	req0.SetBasicAuth("x", tok)
	if a := send(t, http.DefaultClient, req0); a.status != 404 {
		t.Errorf("HideUninstalled: push = %d, want 404", a.status)
	}
	h.Update(func(s *Seed) { s.Repos[0].Archived = true; s.Installations[0].Permissions = nil })
	req, _ := http.NewRequest("GET", h.server.URL+"/river-lab/data/info/refs?service=git-receive-pack", nil)
	req.SetBasicAuth(tok, "x-oauth-basic")
	if a := send(t, http.DefaultClient, req); a.status != 403 || a.body != gitArchived {
		t.Errorf("archived = %d %q", a.status, a.body)
	}
}

func TestGitHostilePaths(t *testing.T) {
	h := newGitHost(t, nil)
	tok := h.token(CampusUser, 0)
	for _, path := range []string{
		"/../../etc/passwd/info/refs", "/river-lab/%2e%2e/info/refs", "/river-lab/..%2f5001.git/info/refs", "/./data/info/refs",
		"/river-lab/data/objects/info/packs", "/river-lab/data/HEAD", "/river-lab/da%00ta/info/refs", "//data/info/refs", "/5001.git/x/info/refs",
		"/river-lab/data/../data/info/refs",
	} {
		req, err := http.NewRequest("GET", h.server.URL+path+"?service=git-upload-pack", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("x", tok)
		hc := &http.Client{Timeout: 10 * time.Second}
		if a := send(t, hc, req); a.status != 404 {
			t.Errorf("%s = %d %q, want 404", path, a.status, a.body)
		}
	}
	// The dumb protocol and made-up services are not git's smart ones.
	for _, q := range []string{"", "?service=git-upload-archive", "?service=git-upload-pack%00"} {
		req, _ := http.NewRequest("GET", h.server.URL+"/river-lab/data/info/refs"+q, nil)
		req.SetBasicAuth("x", tok)
		if a := send(t, http.DefaultClient, req); a.status != 404 {
			t.Errorf("info/refs%s = %d, want 404", q, a.status)
		}
	}
}

func TestGitProtocolVersion(t *testing.T) {
	h := newGitHost(t, nil)
	req, _ := http.NewRequest("GET", h.server.URL+"/octo-researcher/public-page/info/refs?service=git-upload-pack", nil)
	req.Header.Set("Git-Protocol", "version=2")
	req.Header.Set("X-Evil", "() { :; }; touch /tmp/x")
	if a := send(t, http.DefaultClient, req); !strings.Contains(a.body, "version 2") {
		t.Errorf("= %q, want version 2", a.body)
	}
}

func TestAddRepo(t *testing.T) {
	h := newGitHost(t, func(s *Seed) { s.Installations[1].All = true })
	r, err := h.AddRepo(t.Context(), Repo{Owner: CampusUser, Name: "empty", Private: true, Files: map[string]string{}})
	if err != nil || r.ID == 0 {
		t.Fatalf("AddRepo = %+v, %v", r, err)
	}
	w := h.clone(r.FullName(), h.token(CampusUser, 0))
	h.commit(w, "first", "x")
	if out, err := h.run(w, "push", "-q", "origin", "HEAD:main"); err != nil {
		t.Errorf("first push: %v\n%s", err, out)
	}
	if _, err := h.AddRepo(t.Context(), Repo{Owner: CampusUser, Name: "Empty"}); err == nil {
		t.Error("the same name twice")
	}
	if _, err := h.Bare(t.Context(), "no/thing"); err == nil {
		t.Error("Bare of nothing")
	}
}

func FuzzGitPath(f *testing.F) {
	f.Add("/river-lab/data.git/info/refs", "service=git-upload-pack")
	f.Add("/../x/info/refs", "service=git-receive-pack")
	f.Add("/a/..git/git-receive-pack", "")
	f.Fuzz(func(t *testing.T, path, query string) {
		for _, method := range []string{"GET", "POST"} {
			repo, s, ok := gitPath(&http.Request{Method: method, URL: &url.URL{Path: path, RawQuery: query}})
			if !ok {
				continue
			}
			owner, name, _ := strings.Cut(repo, "/")
			if !validOwner(owner) || !validName(name) || strings.Contains(s.suffix, "..") || strings.ContainsAny(s.query, "\x00\n&") {
				t.Errorf("%q?%q = %q %+v", path, query, repo, s)
			}
		}
	})
}

func FuzzRewriteReport(f *testing.F) {
	var inner, outer bytes.Buffer
	writePkt(&inner, []byte("unpack ok\n"))
	writePkt(&inner, []byte("ng refs/heads/main pre-receive hook declined\n"))
	inner.WriteString("0000")
	writePkt(&outer, append([]byte{2}, "refusing to allow a GitHub App"...))
	writePkt(&outer, append([]byte{1}, inner.Bytes()...))
	outer.WriteString("0000")
	f.Add(outer.Bytes())
	f.Add([]byte("0005\x01"))
	f.Fuzz(func(t *testing.T, in []byte) {
		out := rewriteReport(in)
		if !bytes.Equal(in, out) && !bytes.Contains(out, []byte("refusing to allow")) {
			t.Errorf("%q became %q", in, out)
		}
	})
}

func TestRewriteReport(t *testing.T) {
	for _, in := range []string{"", "00", "zzzz", "0003", "0005\x03", "000fonly text", "0000"} {
		if got := string(rewriteReport([]byte(in))); got != in {
			t.Errorf("rewriteReport(%q) = %q, want it unchanged", in, got)
		}
	}
}

// TestGitNarrowTokens pushes and fetches with scoped tokens and an
// installation's own.
func TestGitNarrowTokens(t *testing.T) {
	h := newGitHost(t, nil)
	keys, err := appKey()
	if err != nil {
		t.Fatal(err)
	}
	h.Update(func(s *Seed) { s.Apps[5].Keys = []string{keys[1]} })
	b := &bench{GitHub: h.GitHub, t: t, clock: h.clock, hc: http.DefaultClient, web: h.server.URL, api: h.server.URL + "/api/v3"}
	parent := b.push(CampusUser)
	scoped := func(level string, repo int64) string {
		return b.ask("POST", "/token/scoped", fields{"access_token": parent, "target": "river-lab", "repository_ids": []int64{repo}, "permissions": fields{"contents": level}}).text("token")
	}
	write, read, wrong := scoped("write", CampusDataRepo), scoped("read", CampusDataRepo), scoped("write", CampusReadRepo)
	for _, c := range []struct {
		name, repo, token string
		fetch, push       int
	}{
		{"write", "river-lab/data", write, 200, 200},
		{"read", "river-lab/data", read, 200, 403},
		{"another repository's", "river-lab/data", wrong, 404, 403},
		{"write where the user only reads", "river-lab/handbook", wrong, 200, 403},
		{"another account's", "octo-researcher/notes", write, 404, 403},
		{"parent", "octo-researcher/notes", parent, 200, 200},
		{"installation's", "uni-course/homework", b.mint(b.signed(keys[0]), "").text("token"), 200, 403},
		{"installation's, elsewhere", "uni-course/solutions", b.mint(b.signed(keys[0]), "").text("token"), 404, 404},
		{"installation's, no contents", "uni-course/homework", b.mint(b.signed(keys[0]), `{"permissions":{"metadata":"read"}}`).text("token"), 404, 404},
	} {
		for service, want := range map[string]int{"git-upload-pack": c.fetch, "git-receive-pack": c.push} {
			req, _ := http.NewRequest("GET", h.server.URL+"/"+c.repo+".git/info/refs?service="+service, nil)
			req.SetBasicAuth("x-access-token", c.token)
			if a := send(t, http.DefaultClient, req); a.status != want {
				t.Errorf("%s: %s = %d %q, want %d", c.name, service, a.status, a.body, want)
			}
		}
	}
	w := h.clone("river-lab/data", write)
	h.commit(w, "note", "x")
	if out, err := h.run(w, "push"); err != nil {
		t.Errorf("push: %v\n%s", err, out)
	}
	h.Update(func(s *Seed) {
		s.Apps[4].Permissions = map[string]string{"contents": "write", "metadata": "read", "workflows": "write"}
	})
	// The App may now change workflows, but this token was made without.
	h.commit(w, ".github/workflows/ci.yml", "on: push\n")
	out, err := h.run(w, "push")
	if err == nil || !strings.Contains(out, "refusing to allow a GitHub App to create or update workflow `.github/workflows/ci.yml` without `workflows` permission") {
		t.Errorf("push of a workflow: %v\n%s", err, out)
	}
	if out, err := h.run(w, "push", h.url("river-lab/data", parent)); err != nil {
		t.Errorf("push of a workflow with the parent: %v\n%s", err, out)
	}
}
