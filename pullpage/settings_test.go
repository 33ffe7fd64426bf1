package pullpage

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWrongSettings: whatever is asked for, the page says what is wrong, with a code.
func TestWrongSettings(t *testing.T) {
	told, err := ReadSettings(`{"program":"","home":"","state":"","version":"1.2.3","wrong":{"code":"DP-363","what":"the environment variable NBGITPULLER_DEPTH is not right","why":"it is a number","who":"The admins set it."}}`)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Config){
		"told by daypass page": func(c *Config) { c.Settings = told },
		"a parent elsewhere":   func(c *Config) { c.Settings.Parent = "/elsewhere/courses" },
		"a parent above":       func(c *Config) { c.Settings.Parent = filepath.Dir(c.Root) },
	} {
		w := newWorld(t, change)
		for _, path := range []string{"/", "/?" + lab3, "/report?folder=x"} {
			got := w.get(path)
			if b := got.Body.String(); got.Code != http.StatusInternalServerError || !strings.Contains(b, "<small>DP-363</small>") || strings.Contains(b, "begin") {
				t.Errorf("%s, %s: %d %s", name, path, got.Code, b)
			}
		}
	}
	if _, err := ReadSettings(`{"program":"/p","home":"/h","state":"/s","parent":".hidden"}`); codeOf(err) != "DP-363" {
		t.Errorf("a hidden parent: %v", err)
	}
}

// TestAbsoluteParent: as with nbgitpuller it may name a folder below the root in full.
func TestAbsoluteParent(t *testing.T) {
	real := t.TempDir()
	root := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(real, root); err != nil {
		t.Fatal(err)
	}
	real, err := filepath.EvalSymlinks(real)
	if err != nil {
		t.Fatal(err)
	}
	for parent, want := range map[string]string{root + "/courses/": "courses/lab-3", real + "/a/b": "a/b/lab-3", root: "lab-3"} {
		w := newWorld(t, func(c *Config) { c.Root, c.Settings.Parent = root, parent })
		if b := w.get("/?" + lab3).Body.String(); !strings.Contains(b, "the folder <strong><bdi>"+want+"</bdi>") {
			t.Errorf("%s: no %s\n%s", parent, want, b)
		}
	}
}

// TestTokenOfJupyter: it stands in no page and no address of ours.
func TestTokenOfJupyter(t *testing.T) {
	w := newWorld(t, nil)
	for _, q := range []string{lab3 + "&token=5ecret", "token=5ecret&" + lab3, lab3 + "&%74oken=5ecret", lab3 + "&+token%0a=5ecret&token=5ecret"} {
		for _, header := range [][]string{nil, {"Sec-Fetch-Dest", "iframe"}} {
			got := w.get("/?"+q, header...)
			if got.Code != http.StatusOK || strings.Contains(got.Body.String(), "5ecret") {
				t.Errorf("%s: %d %s", q, got.Code, got.Body)
			}
		}
		sent := w.post("/begin", form(t, w.get("/?"+q).Body.String(), "begin"))
		end := w.get("/" + sent.Header().Get("Location") + "&token=5ecret")
		if end.Code != http.StatusOK || strings.Contains(sent.Header().Get("Location")+end.Body.String(), "5ecret") {
			t.Errorf("%s: %d %s", q, end.Code, end.Body)
		}
	}
	if b := w.get("/?token=5ecret").Body.String(); !strings.Contains(b, "Address of the files") {
		t.Errorf("the first page:\n%s", b)
	}
}
