package pull

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/internal/plumbing"
)

// inOurs reports whether our own repository has a blob.
func (d *desk) inOurs(data string) bool {
	d.t.Helper()
	st, _, err := d.p.peek(d.folder)
	if err != nil || st == nil {
		d.t.Fatal(st, err)
	}
	repo, err := d.p.git(st)
	if err != nil {
		d.t.Fatal(err)
	}
	o, err := repo.Objects(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	defer o.Close()
	oid, _ := plumbing.HashBlob("sha1", int64(len(data)), bytes.NewReader([]byte(data)))
	_, err = o.Size(oid)
	return err == nil
}

// TestMovedIsNotCopied: what only makes room keeps its bytes on the disk, and nowhere
// else; an undo gives it its name back, whatever it is.
func TestMovedIsNotCopied(t *testing.T) {
	setup := func(t *testing.T) *desk {
		d := newDesk(t)
		d.src.Commit("main", "one", gittest.Files{"a": "a", "sub/tracked": "t"})
		d.pull()
		d.write("file", "precious")
		d.write("nest/deep/x", "within")
		d.write("sub/mine", "beside")
		os.MkdirAll(filepath.Join(d.folder, "nest/empty/refs"), 0o755)
		os.Chmod(filepath.Join(d.folder, "nest/deep/x"), 0o640)
		d.src.Commit("main", "two", gittest.Files{"file": "theirs", "nest": "theirs", "sub/tracked": gittest.Deleted, "sub": "theirs"})
		d.pull()
		return d
	}
	before := map[string]string{"a": "a", "sub/tracked": "t", "file": "precious", "nest/deep/x": "within", "sub/mine": "beside"}
	t.Run("undone", func(t *testing.T) {
		d := setup(t)
		for _, data := range []string{"precious", "within", "beside"} {
			if d.inOurs(data) {
				t.Errorf("%q was copied", data)
			}
		}
		list, err := d.p.Backups(d.folder)
		if err != nil || len(list) == 0 {
			t.Fatal(list, err)
		}
		var b strings.Builder
		if err := d.p.Recover(t.Context(), d.folder, list[0].ID, "nest/deep/x", &b); err != nil || b.String() != "within" {
			t.Errorf("recovered %q, %v", b.String(), err)
		}
		if _, err := d.p.Undo(t.Context(), d.folder); err != nil {
			t.Fatal(err)
		}
		d.want(before)
		if fi, err := os.Stat(filepath.Join(d.folder, "nest/empty/refs")); err != nil || !fi.IsDir() {
			t.Error("an empty folder is gone", err)
		}
		if fi, err := os.Stat(filepath.Join(d.folder, "nest/deep/x")); err != nil || fi.Mode().Perm() != 0o640 {
			t.Error("its mode is", fi.Mode(), err)
		}
		if left, _ := filepath.Glob(filepath.Join(d.folder, "*__*")); len(left) > 0 {
			t.Error("left:", left)
		}
		d.pull()
		if got := named(d.files()); got["file"] != "theirs" || got["file__TIME"] != "precious" || got["nest__TIME/deep/x"] != "within" {
			t.Errorf("pulled again: %q", got)
		}
		d.sound()
	})
	t.Run("worked on since", func(t *testing.T) {
		d := setup(t)
		at := func(name string) string {
			found, _ := filepath.Glob(filepath.Join(d.folder, name))
			if len(found) != 1 {
				t.Fatal(name, found)
			}
			return found[0]
		}
		os.Remove(at("file__*"))
		os.WriteFile(filepath.Join(at("nest__*"), "deep/new"), []byte("since"), 0o666)
		d.write("sub", "theirs and mine")
		r, err := d.p.Undo(t.Context(), d.folder)
		if err != nil {
			t.Fatal(err)
		}
		got := d.files()
		if got["nest/deep/x"] != "within" || got["nest/deep/new"] != "since" || got["file"] != "" {
			t.Errorf("%q", got)
		}
		all := strings.Join(filesOf(got), "|")
		if !strings.Contains(all, "beside") || !strings.Contains(all, "theirs and mine") {
			t.Errorf("lost: %q", got)
		}
		if len(r.Notes) == 0 || !strings.Contains(r.Notes[0], "file") {
			t.Errorf("nothing is said of the file: %q", r.Notes)
		}
	})
}

func filesOf(files map[string]string) (out []string) {
	for _, data := range files {
		out = append(out, data)
	}
	return out
}

// TestUndoMovedAndReplaced: what was only moved aside cannot go back where the user has
// something else by now. It was never stored, and is not removed for good.
func TestUndoMovedAndReplaced(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a": "a"})
	d.pull()
	d.write("new", "mine, and nowhere else")
	d.src.Commit("main", "two", gittest.Files{"new": "theirs"})
	d.pull()
	d.remove("new")
	if err := os.Symlink("a", filepath.Join(d.folder, "new")); err != nil {
		t.Fatal(err)
	}
	if _, err := d.p.Undo(t.Context(), d.folder); err != nil {
		t.Fatal(err)
	}
	d.nothingLost(map[string]string{"new": "mine, and nowhere else"})
}

// TestUndoMovedAndEdited: what was only moved aside is joined with what the user has made
// of the file that came in its place.
func TestUndoMovedAndEdited(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a": "a"})
	d.pull()
	d.write("new", long("1 mine"))
	d.src.Commit("main", "two", gittest.Files{"new": long()})
	d.pull()
	d.write("new", long("9 mine, later"))
	if _, err := d.p.Undo(t.Context(), d.folder); err != nil {
		t.Fatal(err)
	}
	d.want(map[string]string{"a": "a", "new": long("1 mine", "9 mine, later")})
	d.nothingLost(map[string]string{"new": long("1 mine")})
}

// TestUndoMovedInARow: the user's file followed upstream's new name, and what the user had
// there made room first. Both go back, whatever they hold.
func TestUndoMovedInARow(t *testing.T) {
	for name, there := range map[string]string{"another": "mine too\n", "the same": long("3 mine")} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			d.src.Commit("main", "one", gittest.Files{"old": long(), "z": "z"})
			d.pull()
			d.write("old", long("3 mine"))
			d.write("new", there)
			before := d.files()
			d.src.Commit("main", "two", gittest.Files{"old": gittest.Deleted, "new": long()})
			d.pull()
			if d.files()["new"] != long("3 mine") {
				t.Fatalf("the file did not follow: %q", d.files())
			}
			if _, err := d.p.Undo(t.Context(), d.folder); err != nil {
				t.Fatal(err)
			}
			d.want(before)
			d.noLeftovers()
		})
	}
}

// TestUndoSwappedAndEdited: two files changed places in Drive, which their bytes followed
// without a copy, and the user goes on in one. It goes back as it is now.
func TestUndoSwappedAndEdited(t *testing.T) {
	d := newShared(t)
	a, b := d.up.Add("a.txt", "a\n"), d.up.Add("b.txt", "b\n")
	d.pull()
	d.write("a.txt", "a\nmine\n")
	d.up.Move(a, "b.txt")
	d.up.Move(b, "a.txt")
	d.pull()
	d.want(map[string]string{"a.txt": "b\n", "b.txt": "a\nmine\n"})
	d.write("b.txt", "a\nmine\nlater\n")
	if _, err := d.p.Undo(t.Context(), d.folder); err != nil {
		t.Fatal(err)
	}
	d.want(map[string]string{"a.txt": "a\nmine\nlater\n", "b.txt": "b\n"})
	d.noLeftovers()
}

// TestUndoFolderOfMoved: the source made a file a folder, and the user's own followed a
// new name into it. It goes back first, and leaves room for the file.
func TestUndoFolderOfMoved(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a": long(), "week": "a file\n"})
	d.pull()
	d.write("a", long("3 mine"))
	before := d.files()
	d.src.Commit("main", "two", gittest.Files{"a": gittest.Deleted, "week": gittest.Deleted, "week/a": long()})
	d.pull()
	d.want(map[string]string{"week/a": long("3 mine")})
	if _, err := d.p.Undo(t.Context(), d.folder); err != nil {
		t.Fatal(err)
	}
	d.want(before)
	d.noLeftovers()
}
