package pull

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/gittest"
)

func TestSplitLogin(t *testing.T) {
	for address, want := range map[string][2]string{
		"https://me:hunter2@h.example/o/b":                                                 {"https://h.example/o/b", "https://me:hunter2@h.example"},
		"HTTPS://:hunter2@h.example:8443/o/b.git":                                          {"https://h.example:8443/o/b.git", "https://:hunter2@h.example:8443"},
		"https://ghp_16C7e42F292c6912E7710c838347Ae178B4a@github.com/a/b":                  {"https://github.com/a/b", "https://ghp_16C7e42F292c6912E7710c838347Ae178B4a@github.com"},
		"https://oauth2:a%2Fb@gitlab.example/a/b":                                          {"https://gitlab.example/a/b", "https://oauth2:a%2Fb@gitlab.example"},
		"https://me@h.example/o/b":                                                         {"https://me@h.example/o/b", ""},
		"https://h.example/o/b":                                                            {"https://h.example/o/b", ""},
		"ssh://git:hunter2@h.example/o/b":                                                  {"ssh://git:hunter2@h.example/o/b", ""},
		"https://hub/git-pull?repo=https://u:hunter2@h.example/o/b&access_token=hunter2xx": {"https://hub/git-pull?repo=https://u:hunter2@h.example/o/b&access_token=hunter2xx", ""},
	} {
		got, login := SplitLogin(address)
		if got != want[0] || login.Reveal() != want[1] {
			t.Errorf("%s: %s, %s", address, got, login.Reveal())
		}
	}
	_, login := SplitLogin("https://me:hunter2@h.example/o/b")
	for _, other := range []string{"https://evil.example/o/b", "http://h.example/o/b", "https://h.example:444/o/b", "git@h.example:o/b", "/local"} {
		if got := (Ask{URL: other, Login: login}).address(); got != other {
			t.Errorf("%s gets %s", other, got)
		}
	}
}

// TestLinkWithLogin pulls, and pulls again, with a password in the address: it works,
// the report warns, and the password is in no file and no event.
func TestLinkWithLogin(t *testing.T) {
	const token = "ghp_hunter2hunter2hunter2hunter2hunter2x"
	d := newDesk(t)
	d.p.Git.Protocols = "file:http"
	d.src.Commit("main", "one", gittest.Files{"a": "a"})
	server := d.src.Serve(gittest.Options{User: "u", Password: token})
	a := d.ask()
	a.URL = strings.Replace(server.Of(d.src), "://", "://u:"+token+"@", 1)
	var told strings.Builder
	a.Events = func(e Event) { told.WriteString(e.Text + "\n") }
	for _, content := range []string{"a", "a", "b"} {
		d.src.Commit("main", "next", gittest.Files{"a": content})
		r, err := d.p.Pull(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "holds a password or token for 127.0.0.1") || r.Source != server.Of(d.src) {
			t.Errorf("%+v", r)
		}
	}
	d.want(map[string]string{"a": "b"})
	wrong := a
	wrong.URL = strings.Replace(a.URL, token, token+"y", 1)
	if _, err := d.p.Pull(t.Context(), wrong); err == nil || strings.Contains(err.Error(), token) {
		t.Errorf("with another password: %v", err)
	}
	if strings.Contains(told.String(), token) {
		t.Errorf("told:\n%s", told.String())
	}
	if origin := d.git("remote", "get-url", "origin"); origin != server.Of(d.src) {
		t.Errorf("origin is %s", origin)
	}
	holds(t, d.home, token)
}

// holds wants a word in no file's content, name or link below a folder.
func holds(t *testing.T, dir, word string) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if strings.Contains(e.Name(), word) {
			t.Errorf("%s is a name", path)
		}
		if !e.Type().IsRegular() {
			return nil
		}
		n++
		data, err := os.ReadFile(path)
		if strings.Contains(string(data), word) {
			t.Errorf("%s holds it", path)
		}
		return err
	})
	if err != nil || n < 5 {
		t.Errorf("%d files were read: %v", n, err)
	}
}

// TestCheckAddress: an address with a password is refused before git is asked about it.
func TestCheckAddress(t *testing.T) {
	var p *daypass.Problem
	if err := CheckAddress("u:hunter2@h.example/o/x"); !errors.As(err, &p) || p.Code != "DP-334" || strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
	if err := CheckAddress("git@h.example:o/x"); err != nil {
		t.Error(err)
	}
}
