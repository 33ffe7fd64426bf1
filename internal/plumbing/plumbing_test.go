package plumbing_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/internal/plumbing"
)

func find(t testing.TB) plumbing.Git {
	t.Helper()
	g, err := plumbing.Find(os.Getenv, os.Environ())
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func objects(t testing.TB, r *plumbing.Repo) *plumbing.Objects {
	t.Helper()
	o, err := r.Objects(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return o
}

func create(t testing.TB, format string, alternates ...string) *plumbing.Repo {
	t.Helper()
	r, err := find(t).Create(filepath.Join(t.TempDir(), "ours"), format)
	if err != nil {
		t.Fatal(err)
	}
	return r.With(alternates...)
}

func TestObjects(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			up := gittest.At(t, filepath.Join(t.TempDir(), "up.git"), format)
			one := up.Commit("main", "one", gittest.Files{"a.txt": "one\n", "100755:d/run": "#!/bin/sh\n", "120000:d/l": "../a.txt", "d/e/é\n\"x": "name", "gone/x": "x", "same/y": "y"})
			two := up.Commit("main", "two\n\nbody", gittest.Files{"a.txt": "two\n", "gone/x": gittest.Deleted, "d.txt": "", "d/e/é\n\"x": gittest.Deleted, "d/e": "now a file"})
			up.Git("tag", "-a", "-m", "v1", "v1", two)
			o := objects(t, create(t, format, filepath.Join(up.Dir, "objects")))

			c, err := o.Commit(plumbing.OID(up.Git("rev-parse", "v1")))
			if err != nil || c.Message != "two\n\nbody" || len(c.Parents) != 1 || string(c.Parents[0]) != one || c.Author.Name != "Teacher" || c.Author.When.Unix() != gittest.Start+120 {
				t.Fatalf("%+v, %v", c, err)
			}
			files, err := o.Files(c.Tree)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range files {
				got = append(got, fmt.Sprintf("%06o blob %s\t%s", uint32(f.Mode), f.OID, f.Path))
			}
			if want := strings.TrimSuffix(up.Git("ls-tree", "-r", "-z", two), "\x00"); strings.Join(got, "\x00") != want {
				t.Errorf("files\n%q\nwant\n%q", got, want)
			}
			if n, err := o.Size(files[0].OID); err != nil || n != 4 {
				t.Errorf("size %d, %v", n, err)
			}
			if _, _, err := o.Read(plumbing.OID(strings.Repeat("1", len(one)))); !errors.Is(err, plumbing.ErrMissing) {
				t.Errorf("missing: %v", err)
			}
			heads, err := o.Heads([]plumbing.OID{files[0].OID, plumbing.OID(strings.Repeat("2", len(one))), files[1].OID})
			if err != nil || heads[0] != (plumbing.Head{Kind: plumbing.BlobKind, Size: 4}) || heads[1] != (plumbing.Head{}) {
				t.Errorf("heads %v, %v", heads, err)
			}
			var b bytes.Buffer
			if n, err := o.Copy(files[0].OID, &b); err != nil || n != 4 || b.String() != "two\n" {
				t.Errorf("copy %d %q %v", n, &b, err)
			}
			if _, err := o.Copy(c.Tree, &b); !errors.Is(err, plumbing.ErrObject) {
				t.Errorf("a tree was copied: %v", err)
			}
			if none, err := o.Files(create(t, format).Empty()); err != nil || len(none) != 0 {
				t.Errorf("empty tree: %v %v", none, err)
			}
		})
	}
}

func TestImport(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			r := create(t, format)
			im, err := r.Import(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			var files []plumbing.File
			for i, data := range []string{"one\n", "", strings.Repeat("large", 500_000)} {
				oid, err := im.Blob(int64(len(data)), strings.NewReader(data))
				if err != nil {
					t.Fatal(err)
				}
				if want, err := plumbing.HashBlob(format, int64(len(data)), strings.NewReader(data)); err != nil || want != oid {
					t.Errorf("blob %s, hashed %s, %v", oid, want, err)
				}
				files = append(files, plumbing.File{Path: fmt.Sprintf("d \"%d\"\n/é", i), Mode: plumbing.Regular, OID: oid})
			}
			who := plumbing.Who{Name: "day<pass>\n", Email: "daypass@localhost", When: time.Unix(1_700_000_000, 0).In(time.FixedZone("", 3600))}
			one, tree, err := im.Commit(plumbing.CommitSpec{Ref: "refs/daypass/x", Author: who, Committer: who, Message: "m\n", Files: files})
			if err != nil {
				t.Fatal(err)
			}
			two, empty, err := im.Commit(plumbing.CommitSpec{Ref: "refs/daypass/x", Author: who, Committer: who, Parents: []plumbing.OID{one}})
			if err != nil || empty != r.Empty() {
				t.Fatalf("empty tree %s, %v", empty, err)
			}
			alone, _, err := im.Commit(plumbing.CommitSpec{Ref: "refs/daypass/x", Author: who, Committer: who, Files: files[:1]})
			if err != nil {
				t.Fatal(err)
			}
			merged, _, err := im.Commit(plumbing.CommitSpec{Ref: "refs/daypass/y", Author: who, Committer: who, Parents: []plumbing.OID{two, alone}})
			if err != nil {
				t.Fatal(err)
			}
			if err := im.Close(); err != nil {
				t.Fatal(err)
			}
			o := objects(t, r)
			for oid, parents := range map[plumbing.OID]int{one: 0, two: 1, alone: 0, merged: 2} {
				c, err := o.Commit(oid)
				if err != nil || len(c.Parents) != parents || c.Author.Name != "daypass" || !c.Author.When.Equal(who.When) {
					t.Errorf("%s: %+v, %v", oid, c, err)
				}
			}
			got, err := o.Files(tree)
			if err != nil || !slices.Equal(got, files) {
				t.Errorf("files %v, %v", got, err)
			}
			if out, err := r.Command(context.Background(), "fsck", "--full", "--strict").CombinedOutput(); err != nil {
				t.Errorf("fsck: %v\n%s", err, out)
			}
			refs, err := r.ListRefs("refs/daypass/")
			if err != nil || refs["refs/daypass/x"] != alone || refs["refs/daypass/y"] != merged || len(refs) != 2 {
				t.Errorf("refs %v, %v", refs, err)
			}
		})
	}
}

func TestImportBroken(t *testing.T) {
	r := create(t, "sha1")
	im, err := r.Import(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := im.Blob(10, strings.NewReader("short")); err == nil {
		t.Error("a short blob was written")
	}
	if _, err := im.Blob(1, strings.NewReader("x")); err == nil {
		t.Error("it goes on after a short blob")
	}
	if err := im.Close(); err == nil {
		t.Error("closed as if all was well")
	}
	im, _ = r.Import(context.Background())
	bad := plumbing.CommitSpec{Ref: "refs/daypass/x", Files: []plumbing.File{{Path: "a", Mode: plumbing.Regular, OID: plumbing.OID(strings.Repeat("1", 40))}}}
	_, _, err = im.Commit(bad)
	if err = errors.Join(err, im.Close()); err == nil {
		t.Error("a commit of what is missing was written")
	}
	for _, ref := range []string{"HEAD", "refs/../../x", "refs/x\nreset refs/y", "../x"} {
		im, _ := r.Import(context.Background())
		if _, _, err := im.Commit(plumbing.CommitSpec{Ref: ref}); !errors.Is(err, plumbing.ErrRef) {
			t.Errorf("%q: %v", ref, err)
		}
		im.Close()
	}
	entries, _ := os.ReadDir(r.Dir())
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "fast_import_crash") {
			t.Errorf("left behind: %s", e.Name())
		}
	}
}

func TestRefs(t *testing.T) {
	r := create(t, "sha1")
	a, b := plumbing.OID(strings.Repeat("a", 40)), plumbing.OID(strings.Repeat("b", 40))
	if err := r.WriteRef("refs/daypass/d/x", a, ""); err != nil {
		t.Fatal(err)
	}
	if err := r.WriteRef("refs/daypass/d/x", b, b); !errors.Is(err, plumbing.ErrMoved) {
		t.Errorf("moved: %v", err)
	}
	if err := r.WriteRef("refs/daypass/d/x", b, a); err != nil {
		t.Error(err)
	}
	if oid, ok, err := r.ReadRef("refs/daypass/d/x"); oid != b || !ok || err != nil {
		t.Errorf("%s %v %v", oid, ok, err)
	}
	os.WriteFile(filepath.Join(r.Dir(), "refs/daypass/d/x.lock"), nil, 0o600)
	if err := r.WriteRef("refs/daypass/d/x", a, ""); !errors.Is(err, plumbing.ErrLocked) {
		t.Errorf("locked: %v", err)
	}
	os.WriteFile(filepath.Join(r.Dir(), "packed-refs"), []byte("# pack-refs with: peeled\n"+string(a)+" refs/daypass/p\n^"+string(b)+"\n"), 0o600)
	if oid, ok, _ := r.ReadRef("refs/daypass/p"); oid != a || !ok {
		t.Errorf("packed: %s", oid)
	}
	if refs, err := r.ListRefs("refs/daypass/"); len(refs) != 2 || err != nil {
		t.Errorf("%v %v", refs, err)
	}
	for _, bad := range []string{"", "HEAD", "refs/", "refs/../config", "refs/a//b", "refs/.a", "refs/a.lock", "refs/a b", "refs/a\n", "refs/a~1", "refs/a@{1}", "refs/a.", "refs/a\\b", "/refs/a", "refs/heads/../../config"} {
		if _, _, err := r.ReadRef(bad); !errors.Is(err, plumbing.ErrRef) {
			t.Errorf("%q is read", bad)
		}
		if err := r.WriteRef(bad, a, ""); !errors.Is(err, plumbing.ErrRef) {
			t.Errorf("%q is written", bad)
		}
	}
	if err := r.AddShallow(b, a); err != nil {
		t.Fatal(err)
	}
	r.AddShallow(a)
	if s, err := r.Shallow(); !slices.Equal(s, []plumbing.OID{a, b}) {
		t.Errorf("%v %v", s, err)
	}
}
