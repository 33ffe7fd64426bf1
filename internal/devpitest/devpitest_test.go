package devpitest

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// TestPrograms: what other packages' tests stand on works with nothing of ours
// between: a release goes from each kind of client to each other.
func TestPrograms(t *testing.T) {
	s := Start(t, Options{})
	ann := s.AddUser(t, "ann", "a word")
	d := NewDesk(t)
	index := s.URL + "ann/dev/"

	for _, args := range [][]string{{"use", index}, {"login", "ann", "--password", "a word"}} {
		if o := d.Devpi(args...); o.Code != 0 {
			t.Fatalf("%q: %s", args, o.All())
		}
	}
	files := t.TempDir()
	if o := d.Devpi("upload", Wheel("by-devpi", "1.0").Write(t, files)); o.Code != 0 {
		t.Fatal(o.All())
	}
	if o := d.Twine("upload", "--repository-url", index, "-u", "ann", "-p", "a word", Sdist("by_twine", "2.0").Write(t, files), Wheel("by-twine", "2.0").Write(t, files)); o.Code != 0 {
		t.Fatal(o.All())
	}
	if r := s.Upload(t, ann, "ann/dev", Wheel("by-hand", "3.0")); r.Status != http.StatusOK {
		t.Fatalf("%d %s", r.Status, r.Body)
	}

	simple := index + "+simple/"
	for project, version := range map[string]string{"by-devpi": "1.0", "by-twine": "2.0", "by-hand": "3.0"} {
		byPip, byUV := filepath.Join(t.TempDir(), "pip"), filepath.Join(t.TempDir(), "uv")
		if o := d.Pip("install", "--target", byPip, "--index-url", simple, project); o.Code != 0 {
			t.Error(o.All())
		}
		if o := d.UV("pip", "install", "--target", byUV, "--index-url", simple, project); o.Code != 0 {
			t.Error(o.All())
		}
		if a, b := Installed(t, byPip, project), Installed(t, byUV, project); a != version || b != version {
			t.Errorf("%s: pip installed %q, uv %q", project, a, b)
		}
	}
	if o := d.Devpi("token-list"); o.Code == 0 {
		t.Error("a plain client knows tokens")
	}
}

// TestServerLife: a server comes back with what it had, and another secret ends
// sessions.
func TestServerLife(t *testing.T) {
	s := Start(t, Options{Plugin: true, RestrictModify: []string{"root", "ada"}})
	s.Must(t, http.MethodPut, "ann", s.AsRoot(), map[string]string{"password": "a word"})
	ann := User("ann", s.Login(t, "ann", "a word"))
	if r := s.Send(t, http.MethodPut, "ann/dev", ann, map[string]any{}); r.Status != http.StatusForbidden {
		t.Errorf("--restrict-modify: %d", r.Status)
	}
	status := func(who Auth) string {
		var api struct{ Authstatus []any }
		s.Must(t, http.MethodGet, "+api", who, nil).Result(t, &api)
		return api.Authstatus[0].(string)
	}
	s.Kill()
	s.Restart()
	if got := status(ann); got != "ok" {
		t.Error(got)
	}
	token := s.Token(t, s.AsRoot(), "ann", nil)
	if got := status(Bearer(token)); got != "ok" {
		t.Error(got)
	}
	export := s.Export()
	if got, err := filepath.Glob(filepath.Join(export, "dataindex.json")); err != nil || len(got) != 1 {
		t.Error("an export without its list:", got, err)
	}
	s.Rekey()
	if got := status(ann); got == "ok" {
		t.Error("a session outlived the secret")
	}
	if r := s.Send(t, http.MethodGet, "+api", Bearer(token), nil); r.Status != http.StatusForbidden || !strings.Contains(r.Message(), "verification") {
		t.Errorf("a token outlived the secret: %d %s", r.Status, r.Body)
	}
}
