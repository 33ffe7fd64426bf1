package snapshot_test

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/snapshot"
)

// TestFull fetches onto a disk with too little room.
func TestFull(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("no small disk can be had here: %s", out)
	}
	t.Cleanup(func() { exec.Command("umount", dir).Run() })
	up := gittest.New(t)
	up.Commit("main", "one", gittest.Files{"a": noise(500_000), "b": noise(400_000)})
	url, g := up.Serve(gittest.Options{Filter: true}).Of(up), source(t)
	r, err := g.Git.Create(filepath.Join(dir, "o"), "sha1")
	if err != nil {
		t.Fatal(err)
	}
	tip := look(t, g, url, "")
	if _, err := g.Fetch(t.Context(), r, snapshot.Ask{URL: url, Tip: tip, Depth: 1}); code(err) != "DP-327" {
		t.Errorf("%v", err)
	}
	clean(t, r, "a full disk")
	up.Orphan("main", "small", gittest.Files{"a": "1"})
	fetch(t, g, r, snapshot.Ask{URL: url, Tip: look(t, g, url, ""), Depth: 1})
}
