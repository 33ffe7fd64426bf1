package pullpage

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/pull"
)

func (w *world) write(name, text string) {
	w.t.Helper()
	full := filepath.Join(w.root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// TestWhatStartsWithAKernel: which names beside a notebook count.
func TestWhatStartsWithAKernel(t *testing.T) {
	for name, counts := range map[string]bool{
		"lab-3/w/ipykernel_launcher.py": true, "lab-3/w/IPYKERNEL_LAUNCHER.PY": true, "lab-3/w/ipykernel/__init__.py": true, "lab-3/w/re.py": true, "lab-3/w/re.pyc": true,
		"lab-3/w/enum.cpython-311-x86_64-linux-gnu.so": true, "lab-3/w/urllib/__init__.py": true, "lab-3/w/bash_kernel.py": true, "lab-3/w/profile_default/startup/a.py": true,
		"lab-3/w/.Rprofile": true, "lab-3/w/.RData": true, "lab-3/w/.Renviron": true, "lab-3/w/Project.toml": true, "lab-3/Project.toml": true, "lab-3/Manifest-v1.11.toml": true,
		"lab-3/w/.octaverc": true, "lab-3/w/collections/data.csv": false, "lab-3/w/helpers.py": false, "lab-3/w/data.RData": false, "lab-3/.Rprofile": false, "lab-3/re.py": false,
		"Project.toml": false, "lab-3/w/x/re.py": false, "lab-3/w/re.txt": false, "lab-3/w/kernel.py": false, "lab-3/w/pyproject.toml": false,
	} {
		w := newWorld(t, nil)
		w.write("lab-3/w/lab.ipynb", "{}")
		w.write(name, "x")
		b := w.s.begins(Link{Folder: "lab-3"}, Target{File: "lab-3/w/lab.ipynb", Kernel: true})
		if got := len(b.Files) > 0; got != counts {
			t.Errorf("%s counts: %v, want %v (%q)", name, got, counts, b.Files)
		}
		if b := w.s.begins(Link{Folder: "lab-3"}, Target{File: "lab-3/w"}); len(b.Files) > 0 {
			t.Errorf("a folder starts %q", b.Files)
		}
	}
	for _, s := range starters {
		if s.source == "" || len(s.names) == 0 {
			t.Errorf("%v has no source", s.names)
		}
	}
}

// TestNotebooksThatRun: a notebook opens by itself until such a file comes or changes.
func TestNotebooksThatRun(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Settings.Owners = []string{"github.com"} })
	file, commit := "", commitA
	w.run = func(_ context.Context, r Request, _ func(pull.Event)) (pull.Report, error) {
		w.write("lab-3/index.ipynb", "{}")
		if file != "" {
			w.write("lab-3/ipykernel_launcher.py", file)
		}
		return pull.Report{Folder: r.Folder, New: commit, Same: file == ""}, nil
	}
	asks := func() bool {
		t.Helper()
		b := w.click(lab3).Body.String()
		if asks := strings.Contains(b, "can run <bdi>lab-3/ipykernel_launcher.py</bdi> at once"); asks == strings.Contains(b, `id="go" href="/user/ada/lab/tree`) {
			t.Fatalf("it asks and leads there, or neither:\n%s", b)
		}
		return strings.Contains(b, "Open it?")
	}
	if asks() {
		t.Fatal("a plain notebook asks")
	}
	file, commit = "one", strings.Repeat("2", 40)
	if !asks() {
		t.Fatal("it does not ask")
	}
	file = ""
	page := w.click(lab3).Body.String() // nothing new, and the answer was never given
	if !strings.Contains(page, "Open it?") {
		t.Fatal("the second click does not ask")
	}
	late := form(t, page, "open")
	w.write("lab-3/ipykernel_launcher.py", "another")
	if got := w.post("/open", late); got.Code != http.StatusForbidden {
		t.Errorf("what was not shown is agreed to: %d", got.Code)
	}
	sent := form(t, w.click(lab3).Body.String(), "open")
	if got := w.post("/open", sent); got.Code != http.StatusSeeOther || got.Header().Get("Location") != "../lab/tree/lab-3/index.ipynb" {
		t.Fatalf("%d %v", got.Code, got.Header())
	}
	commit = strings.Repeat("3", 40)
	if asks() {
		t.Error("it asks again though the file is the same")
	}
	file, commit = "three", strings.Repeat("4", 40)
	if !asks() {
		t.Error("it does not ask after a change of the file")
	}
	// Where it cannot be looked into it asks, too.
	if err := os.Rename(w.root+"/lab-3", w.root+"/real"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(t.TempDir(), w.root+"/lab-3"); err != nil {
		t.Fatal(err)
	}
	if b := w.s.begins(Link{Folder: "lab-3"}, Target{File: "lab-3/index.ipynb", Kernel: true}); len(b.Files) == 0 {
		t.Error("a folder behind a link runs nothing")
	}
}

// TestStartersBehindLinks: a link is what it leads to, whichever that is tomorrow.
func TestStartersBehindLinks(t *testing.T) {
	w := newWorld(t, nil)
	course := w.root + "/course"
	w.write("course/x.ipynb", "{}")
	w.write("course/lib/__init__.py", "1")
	to, err := checkTarget("lab/tree/course/x.ipynb")
	if err != nil {
		t.Fatal(err)
	}
	begins := func() beginning { return w.s.begins(Link{Folder: "course"}, to) }
	link := func(target, name string) {
		t.Helper()
		if err := os.Symlink(target, course+"/"+name); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range starters {
		for _, name := range s.names {
			link("lib", name)
			link("lib/__init__.py", name+".py")
			want := 1
			if s.module {
				want = 2
			}
			if b := begins(); len(b.Files) != want {
				t.Errorf("%s: %q", name, b.Files)
			}
			for _, suffix := range []string{"", ".py"} {
				if err := os.Remove(course + "/" + name + suffix); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for name, make := range map[string]func(){
		"a folder": func() { link("lib", "collections") }, "a file": func() { link("lib/__init__.py", "re.py") },
		"a file inside":    func() { w.write("course/enum/other.py", ""); link("../lib/__init__.py", "enum/__init__.py") },
		"a link to a link": func() { link("lib", "l2"); link("l2", "types") },
		"a cycle":          func() { link(".", "urllib") }, "nothing": func() { link("gone", "io.py") }, "outside": func() { link("/etc", "stat") },
	} {
		make()
		one := begins()
		if len(one.Files) == 0 {
			t.Errorf("%s: nothing is asked", name)
		}
		w.write("course/lib/__init__.py", name)
		if two := begins(); two.Sum == one.Sum && name != "nothing" && name != "outside" {
			t.Errorf("%s: what it leads to changed and the sum did not", name)
		}
		for _, n := range []string{"collections", "re.py", "enum", "types", "l2", "urllib", "io.py", "stat"} {
			if err := os.RemoveAll(course + "/" + n); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestWhatTargetsRun: what opens with scripts or a kernel, however the address says it.
func TestWhatTargetsRun(t *testing.T) {
	for address, want := range map[string][2]bool{ // runs, starts a kernel
		"tree/c/x.html": {true, false}, "nbclassic/tree/c/x.SVG": {true, false}, "retro/tree/c/x.pdf": {true, false}, "tree/c": {}, "tree/c.git": {}, "tree/c/x.md": {},
		"notebooks/c/x.html": {true, true}, "nbclassic/notebooks/c/x.svg": {true, true}, "nbclassic/edit/c/x.html": {},
		"lab/tree/c/x.html": {}, "edit/c/x.html": {}, "lab/tree/c/x.md": {}, "lab/tree/c/x.ipynb": {false, true}, "doc/tree/c/x.IPYNB": {false, true},
		"notebooks/c/x.md": {false, true}, "lab/tree/c/x.md?factory=Notebook": {false, true}, "lab/workspaces/w/tree/c/x.ipynb": {false, true},
		"lab/tree/RTC:c/x.ipynb": {true, true}, "files/c/x.html": {true, false},
	} {
		to, err := checkTarget(address)
		if got := [2]bool{to.Runs, to.Kernel}; err != nil || got != want {
			t.Errorf("%s: %v, want %v (%v)", address, got, want, err)
		}
	}
}
