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
)

// TestNoSecretOfAnAddressIsShown: a password or token in an address, however it is
// written, is on no page, in no address, in no argument of the child and in no file.
func TestNoSecretOfAnAddressIsShown(t *testing.T) {
	t.Parallel()
	const token = "ghp_hunter2hunter2hunter2hunter2hunter2x"
	for _, repo := range []string{
		token + "@github.com:org/lab-3", "x:" + token + "@github.com:org/lab-3", "u:hunter2@github.com/org/lab-3", token + "@github.com/org/lab-3",
		"ssh://git:hunter2@h.example/org/lab-3", "ssh://" + token + "@h.example/org/lab-3", "git+https://u:hunter2@h.example/org/lab-3", "git://u:hunter2@h.example/org/lab-3",
		"https://u:hunter2%zz@h.example/org/lab-3", "https://u:hunter2@h.example:x/org/lab-3", "https:/u:hunter2@h.example/org/lab-3", "https:u:hunter2@h.example/org/lab-3",
		"https://h.example/org/lab-3?private_token=hunter2", "https://h.example/org/lab-3#token=hunter2", "https://h.example/org/lab-3/tree/main?token=hunter2",
		"https://hunter2hunter2hunter2hunt@h.example/org/lab-3?token=1", "https://u:hunter2@h.example/org/lab-3?token=hunter2", "https://hunter2hunter2hunter2hunt@h.example/org/lab-3",
		"http://u:hunter2@h.example/org/lab-3", "https://u:hunter2@h.example/a@b/lab-3", "https://u:hunter2 x@h.example/org/lab-3", `\\u:hunter2@h.example\org`, "https://u:hunter2@@h.example/org/lab-3",
		"https://glpat-hunter2hunter2hunter2:@h.example/org/lab-3", "file://u:hunter2@localhost/x", "ftp://u:hunter2@h/x/y",
		"https://u:hunter2@drive.google.com/drive/folders/1AbCdEfGhIjKl", "https://zenodo.org/records/1234?token=hunter2", "https://u:hunter2@zenodo.org/records/1234", "u:hunter2@hub.example.org/services/daypass/l/ph142-lab1",
	} {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			dry := func(what, text string) {
				if i := strings.Index(text, "hunter2"); i >= 0 {
					t.Errorf("%s: %s shows it: …%s…", repo, what, text[max(0, i-60):min(len(text), i+30)])
				}
			}
			res := w.get("/?repo=" + url.QueryEscape(repo))
			dry("the first answer", fmt.Sprint(res.Header(), res.Body))
			if res.Code == http.StatusSeeOther {
				res = w.get(strings.TrimPrefix(res.Header().Get("Location"), "."))
				dry("the page", fmt.Sprint(res.Header(), res.Body))
			}
			if res.Code == http.StatusOK {
				b := w.post("/begin", form(t, res.Body.String(), "begin"))
				dry("the answer to the button", fmt.Sprint(b.Header(), b.Body))
			}
			for _, r := range w.pulled() {
				dry("an argument", fmt.Sprint(r))
			}
			if err := filepath.WalkDir(w.s.c.Settings.State, func(p string, e fs.DirEntry, err error) error {
				if err == nil && e.Type().IsRegular() {
					text, err := os.ReadFile(p)
					dry(p, string(text))
					return err
				}
				return err
			}); err != nil && !os.IsNotExist(err) {
				t.Error(err)
			}
		})
	}
}

// TestFolderOfAQuery: what belongs to an address is no part of a folder's name.
func TestFolderOfAQuery(t *testing.T) {
	w := newWorld(t, nil)
	for _, target := range []string{"lab-3?x=1", "lab-3#x", "a?/b"} {
		if b := w.get("/?repo=https://github.com/org/lab-3&targetpath=" + url.QueryEscape(target)).Body.String(); !strings.Contains(b, "DP-376") {
			t.Errorf("%q is taken for a folder", target)
		}
	}
}
