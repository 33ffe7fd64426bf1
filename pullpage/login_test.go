package pullpage

import (
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pull"
)

const (
	hunter   = "ghp_hunter2hunter2hunter2hunter2hunter2x"
	loginURL = "https://u:" + hunter + "@h.example/org/lab-3"
)

// TestLinkWithLogin follows a link that holds a token: it works, and no answer,
// header or file of the page has the token.
func TestLinkWithLogin(t *testing.T) {
	for _, query := range []string{
		"repo=" + url.QueryEscape(loginURL) + "&branch=main&urlpath=lab%2Ftree%2Flab-3%2Findex.ipynb",
		"repo=" + loginURL,
		"repo=" + loginURL + "x&repo=" + loginURL + "&daypass-login=mine",
	} {
		w := newWorld(t, nil)
		seen := func(what string, status int, header http.Header, body string) {
			if text := fmt.Sprint(header, body); strings.Contains(text, "hunter2") {
				t.Errorf("%s shows it: %s", what, text)
			}
			if status >= 400 {
				t.Errorf("%s: %d\n%s", what, status, body)
			}
		}
		framed := w.get("/?"+query, "Sec-Fetch-Dest", "iframe")
		seen("the framed page", framed.Code, framed.Header(), framed.Body.String())
		first := w.get("/?" + query)
		seen("the link", first.Code, first.Header(), first.Body.String())
		to := first.Header().Get("Location")
		if first.Code != http.StatusSeeOther || !strings.HasPrefix(to, "./?") {
			t.Fatalf("%d to %q", first.Code, to)
		}
		page := w.get(strings.TrimPrefix(to, "."))
		seen("the page", page.Code, page.Header(), page.Body.String())
		begun := w.post("/begin", form(t, page.Body.String(), "begin"))
		seen("begin", begun.Code, begun.Header(), begun.Body.String())
		runs := w.pulled()
		if len(runs) != 1 || runs[0].Repo != "https://h.example/org/lab-3" || runs[0].Login.Reveal() != "https://u:"+hunter+"@h.example" {
			t.Fatalf("%+v", runs)
		}
		done := w.get("/" + begun.Header().Get("Location"))
		seen("the end", done.Code, done.Header(), done.Body.String())
		if err := filepath.WalkDir(w.s.c.Settings.State, func(path string, e fs.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() {
				data, _ := os.ReadFile(path)
				if strings.Contains(string(data), "hunter2") {
					t.Errorf("%s holds it", path)
				}
			}
			return err
		}); err != nil {
			t.Error(err)
		}
	}
}

// TestSealOfAnother begins with the sealed login of another server: it is not taken.
func TestSealOfAnother(t *testing.T) {
	other := newWorld(t, nil)
	sealed, err := other.s.sealLogin(daypass.NewSecret("https://u:p@h.example"))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, nil)
	for _, blob := range []string{sealed, "x", "%", strings.Repeat("A", 100)} {
		page := w.get("/?repo=https://h.example/org/lab-3&daypass-login=" + url.QueryEscape(blob))
		begun := w.post("/begin", form(t, page.Body.String(), "begin"))
		if !strings.Contains(begun.Body.String(), "DP-380") {
			t.Errorf("%s: %d", blob, begun.Code)
		}
	}
	if runs := w.pulled(); len(runs) > 0 {
		t.Errorf("%+v", runs)
	}
}

// TestLoginOfAChild hands a login to the one process that pulls, by its environment.
func TestLoginOfAChild(t *testing.T) {
	p, r := stand(t, oneReport)
	r.Login = daypass.NewSecret("https://u:" + hunter + "@h.example")
	p.Environ = Drop(append(p.Environ, pull.LoginVariable+"=left over"))
	if _, err := p.Pull(t.Context(), r, func(pull.Event) {}); err != nil {
		t.Fatal(err)
	}
	if env := noted(t, p, "env"); !strings.Contains(env, pull.LoginVariable+"=https://u:"+hunter) {
		t.Errorf("its environment has\n%s", env)
	}
	if args := noted(t, p, "args"); strings.Contains(args, "hunter2") {
		t.Errorf("called with %q", args)
	}
	files, _ := filepath.Glob(filepath.Join(p.Dir, "*"))
	for _, file := range files {
		if data, _ := os.ReadFile(file); strings.Contains(string(data), "hunter2") || len(data) == 0 {
			t.Errorf("%s: %s", file, data)
		}
	}
	if err := os.Mkdir(r.Folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Undo(t.Context(), r.Folder); err != nil || strings.Contains(noted(t, p, "env"), "hunter2") {
		t.Errorf("an undo is given it: %v", err)
	}
}
