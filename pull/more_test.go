package pull

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/internal/gittest"
)

const book = `{
 "cells": [
  {"cell_type": "markdown", "id": "a", "metadata": {}, "source": ["TEXT"]},
  {"cell_type": "code", "execution_count": null, "id": "b", "metadata": {}, "outputs": [], "source": ["CODE"]},
  {"cell_type": "code", "execution_count": null, "id": "c", "metadata": {}, "outputs": [], "source": ["MORE"]}
 ],
 "metadata": {},
 "nbformat": 4,
 "nbformat_minor": 5
}
`

func TestSentence(t *testing.T) {
	d := newDesk(t)
	change := func(from ...string) string { return strings.NewReplacer(from...).Replace(book) }
	d.src.Commit("main", "one", gittest.Files{"n.ipynb": book, "a": long()})
	d.pull()
	d.write("n.ipynb", change("CODE", "my answer", "MORE", "my other answer"))
	d.src.Commit("main", "two", gittest.Files{"n.ipynb": change("CODE", "theirs", "MORE", "theirs", "TEXT", "new text")})
	r := d.pull()
	if got := r.Sentence(); got != "lab-3 was updated. We kept your answers in 2 cells." {
		t.Errorf("%q %+v", got, r)
	}
	if got := d.files()["n.ipynb"]; !strings.Contains(got, "my other answer") || !strings.Contains(got, "new text") {
		t.Errorf("%s", got)
	}
	d.write("a", long("5 mine"))
	d.src.Commit("main", "three", gittest.Files{"a": long("5 theirs")})
	if got := d.pull().Sentence(); got != "lab-3 was updated. We kept your version of 1 file." {
		t.Errorf("%q", got)
	}
	d.remove("a")
	if got := d.pull().Sentence(); got != "lab-3 was updated. 1 file you had deleted came back." {
		t.Errorf("%q", got)
	}
}

func TestUndoTakenOver(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a": long()})
	d.clone("--depth", "1")
	d.write("a", long("9 mine"))
	before, head := d.files(), d.git("rev-parse", "HEAD")
	d.src.Commit("main", "two", gittest.Files{"a": long("1 theirs"), "b": "b"})
	d.pull()
	after := d.files()
	if _, err := d.p.Undo(t.Context(), d.folder); err != nil {
		t.Fatal(err)
	}
	d.want(before)
	if got := d.git("rev-parse", "HEAD"); got != head {
		t.Errorf("HEAD is %s", got)
	}
	dry := d.ask()
	dry.DryRun = true
	if _, err := d.p.Pull(t.Context(), dry); err != nil {
		t.Fatal(err)
	}
	d.want(before)
	d.nothingLost(after)
	d.pull()
	d.want(after)
	d.sound()
}

// TestBigFolderMoves holds that a large folder which makes room is not stored twice,
// and comes back.
func TestBigFolderMoves(t *testing.T) {
	const bigger = 70 << 20
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a": "a"})
	d.pull()
	d.write("data/small", "s")
	d.write("data/big", "")
	if err := os.Truncate(filepath.Join(d.folder, "data/big"), bigger); err != nil {
		t.Fatal(err)
	}
	d.src.Commit("main", "two", gittest.Files{"data": "a file"})
	d.pull()
	if got := named(d.files()); got["data"] != "a file" || len(got["data__TIME/big"]) != bigger || got["data__TIME/small"] != "s" {
		t.Error("the folder was not moved aside")
	}
	if _, err := d.p.Undo(t.Context(), d.folder); err != nil {
		t.Fatal(err)
	}
	if got := d.files(); len(got["data/big"]) != bigger || got["data/small"] != "s" || len(got) != 3 {
		t.Errorf("%d files", len(got))
	}
}

// TestUndoTwice takes back two pulls, the newest first, with work done since.
func TestUndoTwice(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a": long(), "b": "1"})
	d.pull()
	one := d.files()
	d.src.Commit("main", "two", gittest.Files{"a": long("1 two"), "b": "2"})
	d.pull()
	d.src.Commit("main", "three", gittest.Files{"a": long("1 three"), "b": "3"})
	d.pull()
	d.write("a", long("1 three", "9 mine"))
	for range 2 {
		if _, err := d.p.Undo(t.Context(), d.folder); err != nil {
			t.Fatal(err)
		}
	}
	one["a"] = long("9 mine")
	d.want(one)
	d.status(" M a")
}

// TestOldBackups holds that backups go after their time, and not before.
func TestSubmodule(t *testing.T) {
	d := newDesk(t)
	sub := gittest.New(t)
	commit := sub.Commit("main", "sub", gittest.Files{"s": "s"})
	d.src.Commit("main", "one", gittest.Files{"a": "a", "160000:sub": commit, ".gitmodules": "[submodule \"sub\"]\n\tpath = sub\n\turl = file://" + sub.Dir + "\n"})
	d.pull()
	d.status()
	if fi, err := os.Stat(filepath.Join(d.folder, "sub")); err != nil || !fi.IsDir() {
		t.Errorf("no folder for the submodule: %v", err)
	}
	d.src.Commit("main", "two", gittest.Files{"a": "a2"})
	d.pull()
	d.status()
	d.sound()
}

// TestStateIsPrivate holds that nobody else reads what we keep.
func TestStateIsPrivate(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a": "a"})
	d.pull()
	err := filepath.WalkDir(d.p.Home, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := e.Info()
		if err == nil && e.IsDir() && path != d.p.Home && filepath.Dir(path) == d.p.Home && fi.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is %v", path, fi.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
