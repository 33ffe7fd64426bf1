package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/internal/devpitest"
)

// TestJourney5 is the release: a token made by the real devpi client at the
// gateway, narrowed without a network by daypass, uploads one wheel with twine,
// and is refused for another. pip and uv install what was uploaded.
func TestJourney5(t *testing.T) {
	s := newShop(t, devpitest.Options{}, "")
	s.serve()
	api := s.api()
	api.AddUser(t, "alice", "secret")
	desk := devpitest.NewDesk(t)
	desk.Env = map[string]string{"PATH": builtPrograms(t) + ":" + desk.Bin() + ":" + os.Getenv("PATH")}
	must := func(o devpitest.Output, words ...string) devpitest.Output {
		t.Helper()
		if o.Code != 0 {
			t.Fatalf("%d\n%s", o.Code, o.All())
		}
		for _, w := range words {
			if !strings.Contains(o.All(), w) {
				t.Errorf("it does not say %q:\n%s", w, o.All())
			}
		}
		return o
	}
	must(desk.Tokens("use", s.url))
	must(desk.Tokens("login", "alice", "--password", "secret"), "logged in 'alice'")
	must(desk.Tokens("use", "alice/dev"))
	wide := must(desk.Tokens("token-create", "-a", "upload,pkg_read", "-e", "1 day")).Last()
	must(desk.Tokens("token-list"), "allowed=pkg_read,upload")

	// Narrowed with the network out of reach: whatever asks fails.
	file := filepath.Join(desk.Home, "wide")
	if err := os.WriteFile(file, []byte(wide), 0o600); err != nil {
		t.Fatal(err)
	}
	narrow := must(desk.Run("unshare", "--net", "daypass", "pass", "narrow", "--file", file, "--projects", "maps", "--indexes", "alice/dev", "--expires", "1h")).Last()
	if !strings.HasPrefix(narrow, "devpi-") || narrow == wide {
		t.Fatalf("no narrower one: %.20s", narrow)
	}

	maps, other := devpitest.Wheel("maps", "1.0").Write(t, desk.Home), devpitest.Wheel("other", "1.0").Write(t, desk.Home)
	twine := func(user, token, path string) devpitest.Output {
		d := *desk
		d.Env = map[string]string{"TWINE_USERNAME": user, "TWINE_PASSWORD": token, "TWINE_REPOSITORY_URL": s.url + "alice/dev/", "TWINE_NON_INTERACTIVE": "1"}
		return d.Twine("upload", "--disable-progress-bar", path)
	}
	must(twine("__token__", narrow, maps))
	if o := twine("alice", narrow, other); o.Code == 0 || !strings.Contains(o.All(), "Token denied access to project 'other'") || strings.Contains(o.All(), narrow) {
		t.Errorf("another wheel: %d\n%s", o.Code, o.All())
	}
	if status, _ := s.get("alice/dev/other", nil); status == http.StatusOK {
		t.Error("what was refused is there")
	}

	// pip and uv read with it too, and not what it is not for.
	simple := "http://alice:" + narrow + "@" + s.listen + "/alice/dev/+simple/"
	into := filepath.Join(desk.Home, "pip")
	must(desk.Pip("install", "--disable-pip-version-check", "--no-deps", "--no-cache-dir", "--index-url", simple, "--target", into, "maps"))
	if v := devpitest.Installed(t, into, "maps"); v != "1.0" {
		t.Errorf("pip installed %q", v)
	}
	into = filepath.Join(desk.Home, "uv")
	must(desk.UV("pip", "install", "--no-deps", "--no-cache", "--index-url", simple, "--target", into, "maps"))
	if v := devpitest.Installed(t, into, "maps"); v != "1.0" {
		t.Errorf("uv installed %q", v)
	}
	must(twine("alice", wide, other))
	if o := desk.Pip("install", "--disable-pip-version-check", "--no-deps", "--no-cache-dir", "--index-url", simple, "--target", into, "other"); o.Code == 0 {
		t.Errorf("pip installed what the token is not for:\n%s", o.All())
	}

	// Deleted at its root, all of it is over.
	id := strings.Fields(must(desk.Tokens("token-list")).Out)
	for i, w := range id {
		if w == "restrictions:" {
			must(desk.Tokens("token-delete", id[i-1]), "deleted")
			break
		}
	}
	if o := twine("alice", narrow, maps); o.Code == 0 || !strings.Contains(o.All(), "not accepted") {
		t.Errorf("a deleted one: %d\n%s", o.Code, o.All())
	}
	text, err := os.ReadFile(filepath.Join(s.dir, "store", "daypass.db"))
	if err != nil || strings.Contains(string(text)+s.log.String()+s.devpi.Log(1<<20), narrow[len(narrow)-43:]) {
		t.Errorf("a token's end is in the store or a log (%v)", err)
	}
}
