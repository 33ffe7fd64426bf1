package pull

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/daypass-dev/daypass/internal/gittest"
)

// TestOrigin tells where a clone of nbgitpuller's comes from, and what of a hostile
// one does not count.
func TestOrigin(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a": "a"})
	d.src.Commit("week-2", "one", gittest.Files{"a": "a"})
	d.clone("--branch", "week-2", "--depth", "1")
	want := "file://" + d.src.Dir
	if url, branch := Origin(d.folder); url != want || branch != "week-2" {
		t.Errorf("%q %q", url, branch)
	}
	d.git("checkout", "-q", "-b", "mine")
	if url, branch := Origin(d.folder); url != want || branch != "" {
		t.Errorf("on a branch of the user's own: %q %q", url, branch)
	}
	if url, _ := Origin(d.home); url != "" {
		t.Errorf("of no clone: %q", url)
	}
	config := filepath.Join(d.folder, ".git", "config")
	original, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	mark := filepath.Join(d.home, "ran")
	for what, text := range map[string]string{
		"a password": "[remote \"origin\"]\n\turl = https://u:hunter2@h.example/o/b\n",
		"a command":  "[core]\n\tfsmonitor = touch " + mark + "\n\tsshCommand = touch " + mark + "\n[include]\n\tpath = " + filepath.Join(d.home, "other") + "\n",
	} {
		os.WriteFile(filepath.Join(d.home, "other"), []byte("[remote \"origin\"]\n\turl = https://h.example/o/b\n"), 0o600)
		if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if url, branch := Origin(d.folder); url != "" || branch != "" {
			t.Errorf("%s: %q %q", what, url, branch)
		}
	}
	if exists(mark) {
		t.Error("something ran")
	}
	os.WriteFile(config, original, 0o644)
	if os.Getuid() == 0 {
		os.Chown(config, 12345, -1)
		if url, _ := Origin(d.folder); url != "" {
			t.Errorf("of somebody else's: %q", url)
		}
		os.Chown(config, 0, -1)
	}
	os.Rename(config, config+"2")
	os.Symlink(config+"2", config)
	if url, _ := Origin(d.folder); url != "" {
		t.Errorf("through a link: %q", url)
	}
}
