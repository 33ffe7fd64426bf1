package snapshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/plumbing"
)

// An origin is an access service's repository, and how it gives packs out.
type origin struct {
	t    *testing.T
	repo *plumbing.Repo
	offers
	finds, opens int
	sent         int64
	cut          []int64 // after how many bytes the next connections break
	tag          string
	change       func(pack []byte) []byte
	lie          func(*PackStream)
}

type offers struct {
	commit plumbing.OID
	source string
}

const packedSource = "drive:drive.google.com/1AbC"

func packedGit(t *testing.T) plumbing.Git {
	t.Helper()
	g, err := plumbing.Find(os.Getenv, os.Environ())
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func newOrigin(t *testing.T) *origin {
	t.Helper()
	repo, err := packedGit(t).Create(filepath.Join(t.TempDir(), "service.git"), "sha1")
	if err != nil {
		t.Fatal(err)
	}
	return &origin{t: t, repo: repo, offers: offers{source: packedSource}, tag: `"one"`}
}

// has makes the origin hold some files.
func (o *origin) has(files map[string]string) { o.gives(Manifest{Complete: true}, files) }

func (o *origin) pack(have plumbing.OID) []byte {
	o.t.Helper()
	if o.change != nil && have == "" && o.commit == emptyTree(o.commit) {
		return o.change(nil)
	}
	args, in := []string{"pack-objects", "--stdout", "-q", "--delta-base-offset", "--revs"}, string(o.commit)+"\n"
	if have != "" {
		args, in = append(args, "--thin", "--shallow"), in+"^"+string(have)+"\n"
	}
	cmd := o.repo.Command(o.t.Context(), args...)
	cmd.Stdin = strings.NewReader(in)
	out, err := cmd.Output()
	if err != nil {
		o.t.Fatal(err)
	}
	if o.change != nil {
		out = o.change(out)
	}
	return out
}

// cutReader ends with an error, as a connection that breaks.
type cutReader struct{ io.Reader }

func (c cutReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (o *origin) packed() *Packed {
	return &Packed{
		Find: func(context.Context, []string) (Offer, error) {
			o.finds++
			return Offer{Commit: o.commit, Source: o.source, Title: "Lab"}, nil
		},
		Open: func(_ context.Context, of Offer, _ []string, have plumbing.OID, from int64, tag string) (PackStream, error) {
			o.opens++
			pack := o.pack(have)
			s := PackStream{Size: int64(len(pack)), Tag: o.tag}
			if tag == o.tag && from <= s.Size {
				s.From = from
			}
			rest := pack[s.From:]
			var body io.Reader = bytes.NewReader(rest)
			if len(o.cut) > 0 {
				body, o.cut = cutReader{io.LimitReader(body, o.cut[0])}, o.cut[1:]
			}
			s.Body = io.NopCloser(io.TeeReader(body, counter{&o.sent}))
			if o.lie != nil {
				o.lie(&s)
			}
			return s, nil
		},
	}
}

type counter struct{ n *int64 }

func (c counter) Write(p []byte) (int, error) { *c.n += int64(len(p)); return len(p), nil }

func (o *origin) client() *plumbing.Repo {
	o.t.Helper()
	r, err := packedGit(o.t).Create(filepath.Join(o.t.TempDir(), "own.git"), "sha1")
	if err != nil {
		o.t.Fatal(err)
	}
	return r
}

func lab(n int, change string) map[string]string {
	files := map[string]string{"lab.ipynb": "id0|" + change}
	for i := range n {
		files[fmt.Sprintf("part%d/f%d.txt", i%5, i)] = fmt.Sprintf("id%d|", i+1) + strings.Repeat(fmt.Sprintf("line %d\n", i*7919), 50)
	}
	return files
}

func TestPacked(t *testing.T) {
	o := newOrigin(t)
	o.has(lab(30, "one"))
	own := o.client()
	p := o.packed()
	s, err := p.Fetch(t.Context(), own, "", nil, nil)
	if err != nil || len(s.Files) != 31 || s.Title != "Lab" || s.Mark != string(o.commit) || s.Commit != o.commit {
		t.Fatalf("%+v %v", s, err)
	}
	if p.Source() != packedSource || o.finds != 1 || o.opens != 1 {
		t.Errorf("%q, %d and %d requests", p.Source(), o.finds, o.opens)
	}
	all := o.sent
	p = o.packed()
	if seen, err := p.Look(t.Context(), s.Mark); err != nil || !seen.Same || seen.Source.String() != packedSource {
		t.Errorf("%+v %v", seen, err)
	}
	files := lab(30, "two")
	files["moved.txt"] = files["part1/f1.txt"]
	delete(files, "part1/f1.txt")
	o.has(files)
	p, o.finds, o.opens, o.sent = o.packed(), 0, 0, 0
	if seen, err := p.Look(t.Context(), s.Mark); err != nil || seen.Same {
		t.Errorf("%+v %v", seen, err)
	}
	next, err := p.Fetch(t.Context(), own, s.Commit, nil, nil)
	if err != nil || next.Renames["part1/f1.txt"] != "moved.txt" || len(next.Files) != 32-1 {
		t.Fatalf("%+v %v", next, err)
	}
	if o.finds != 1 || o.opens != 1 || o.sent*4 > all {
		t.Errorf("%d and %d requests, %d bytes of %d", o.finds, o.opens, o.sent, all)
	}
	if _, err := os.Stat(filepath.Join(own.Dir(), partFolder)); err == nil {
		t.Error("something is left of the pack")
	}
	o.opens = 0
	if again, err := o.packed().Fetch(t.Context(), own, next.Commit, nil, nil); err != nil || again.Commit != next.Commit || o.opens != 0 {
		t.Errorf("%+v %v, %d packs", again, err, o.opens)
	}
}

// A connection that breaks: what came is not asked for again, by this fetch or by the
// next one.
func TestPackedResumes(t *testing.T) {
	o := newOrigin(t)
	o.has(lab(60, "one"))
	size := int64(len(o.pack("")))
	own := o.client()
	o.cut = []int64{100, 1000, 10}
	if _, err := o.packed().Fetch(t.Context(), own, "", nil, nil); err != nil || o.opens != 4 || o.sent != size {
		t.Errorf("%v: %d connections, %d bytes of %d", err, o.opens, o.sent, size)
	}
	own = o.client()
	o.sent, o.cut = 0, []int64{1500, 0, 0, 0, 0, 0, 0, 0}
	_, err := o.packed().Fetch(t.Context(), own, "", nil, nil)
	var p *daypass.Problem
	if !errors.As(err, &p) || p.Code != "DP-481" || !errors.Is(err, daypass.ErrUnreachable) {
		t.Fatalf("%v", err)
	}
	o.cut = nil
	if _, err := o.packed().Fetch(t.Context(), own, "", nil, nil); err != nil || o.sent != size {
		t.Errorf("%v, %d bytes of %d", err, o.sent, size)
	}
	// Another pack under the same id: what came of the old one is of no use.
	own = o.client()
	o.sent, o.cut = 0, []int64{1500, 0, 0, 0, 0, 0, 0, 0}
	o.packed().Fetch(t.Context(), own, "", nil, nil)
	o.tag, o.cut, o.sent = `"two"`, nil, 0
	if _, err := o.packed().Fetch(t.Context(), own, "", nil, nil); err != nil || o.sent != size {
		t.Errorf("%v, %d bytes of %d", err, o.sent, size)
	}
	// What came is damaged on the disk.
	own = o.client()
	o.cut = []int64{1500, 0, 0, 0, 0, 0, 0, 0}
	o.packed().Fetch(t.Context(), own, "", nil, nil)
	if err := os.WriteFile(filepath.Join(own.Dir(), partFolder, partData), bytes.Repeat([]byte{7}, 1400), 0o600); err != nil {
		t.Fatal(err)
	}
	o.cut = nil
	if _, err := o.packed().Fetch(t.Context(), own, "", nil, nil); err != nil {
		t.Error(err)
	}
}

// What the new version is the difference to is damaged here: all of it comes.
func TestPackedHeals(t *testing.T) {
	o := newOrigin(t)
	o.has(lab(30, strings.Repeat("a long enough line\n", 50)))
	own := o.client()
	s, err := o.packed().Fetch(t.Context(), own, "", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	packs, _ := filepath.Glob(filepath.Join(own.Dir(), "objects/pack/*"))
	for _, path := range packs {
		os.Remove(path)
	}
	o.has(lab(30, strings.Repeat("a long enough line\n", 50)+"and one\n"))
	next, err := o.packed().Fetch(t.Context(), own, s.Commit, nil, nil)
	if err != nil || len(next.Files) != 31 {
		t.Fatalf("%+v %v", next, err)
	}
}

// TestPackedHostile is a service, or somebody in its place, that sends something else.
func TestPackedHostile(t *testing.T) {
	blob := func(o *origin, text string) plumbing.OID {
		im, err := o.repo.Import(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		oid, err := im.Blob(int64(len(text)), strings.NewReader(text))
		if err = errors.Join(err, im.Close()); err != nil {
			t.Fatal(err)
		}
		return oid
	}
	commit := func(o *origin, files []plumbing.File, parents ...plumbing.OID) {
		im, err := o.repo.Import(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		who := plumbing.Who{Name: "x", Email: "x@x"}
		o.commit, _, err = im.Commit(plumbing.CommitSpec{Ref: "refs/daypass/evil", Author: who, Committer: who, Message: "x", Files: files, Parents: parents})
		if err = errors.Join(err, im.Close()); err != nil {
			t.Fatal(err)
		}
	}
	manifest := func(o *origin, text string) plumbing.File {
		return plumbing.File{Path: manifestFile, Mode: plumbing.Regular, OID: blob(o, text)}
	}
	good := `{"version":1,"source":"` + packedSource + `","complete":true,"by_id":false,"files":[{"path":"a","size":1}]}`
	for name, row := range map[string]func(o *origin){
		"garbage":            func(o *origin) { o.change = func([]byte) []byte { return []byte("<html>sign in</html>") } },
		"nothing":            func(o *origin) { o.change = func([]byte) []byte { return nil } },
		"a bit flipped":      func(o *origin) { o.change = func(p []byte) []byte { p[len(p)/2] ^= 1; return p } },
		"cut, with its size": func(o *origin) { o.change = func(p []byte) []byte { return p[:len(p)-9] } },
		"another commit":     func(o *origin) { c := o.commit; o.has(lab(1, "x")); o.packOf(c) },
		"no size":            func(o *origin) { o.lie = func(s *PackStream) { s.Size = -1 } },
		"a size without end": func(o *origin) { o.lie = func(s *PackStream) { s.Size = 1 << 50 } },
		"another part":       func(o *origin) { o.lie = func(s *PackStream) { s.From = 5 } },
		"another source":     func(o *origin) { o.source = "drive:drive.google.com/other" },
		"a tree, no commit":  func(o *origin) { o.commit = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"; o.packOf("") },
		"no manifest": func(o *origin) {
			commit(o, []plumbing.File{{Path: "content/a", Mode: plumbing.Regular, OID: blob(o, "x")}})
		},
		"a manifest's way out": func(o *origin) {
			commit(o, []plumbing.File{manifest(o, strings.Replace(good, `"a"`, `"../a"`, 1)), {Path: "content/a", Mode: plumbing.Regular, OID: blob(o, "x")}})
		},
		"a file that is not in": func(o *origin) {
			commit(o, []plumbing.File{manifest(o, good), {Path: "content/b", Mode: plumbing.Regular, OID: blob(o, "x")}})
		},
		"a link that leads away": func(o *origin) {
			commit(o, []plumbing.File{manifest(o, good), {Path: "content/a", Mode: plumbing.Symlink, OID: blob(o, "/etc/passwd")}})
		},
		"a submodule": func(o *origin) {
			commit(o, []plumbing.File{manifest(o, good), {Path: "content/a", Mode: plumbing.Gitlink, OID: o.commit}})
		},
		"something beside": func(o *origin) {
			commit(o, []plumbing.File{manifest(o, good), {Path: "content/a", Mode: plumbing.Regular, OID: blob(o, "x")}, {Path: "hooks/x", Mode: plumbing.Executable, OID: blob(o, "x")}})
		},
		"a parent": func(o *origin) {
			commit(o, []plumbing.File{manifest(o, good), {Path: "content/a", Mode: plumbing.Regular, OID: blob(o, "x")}}, o.commit)
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOrigin(t)
			o.has(lab(10, "one"))
			own := o.client()
			row(o)
			p := o.packed()
			p.Limits = Limits{Total: 1 << 20}
			s, err := p.Fetch(t.Context(), own, "", nil, nil)
			var problem *daypass.Problem
			if err == nil || !errors.As(err, &problem) {
				t.Fatalf("it was taken: %+v %v", s, err)
			}
			left, _ := filepath.Glob(filepath.Join(own.Dir(), "objects/pack/*"))
			if len(left) != 0 {
				t.Errorf("left: %q", left)
			}
			if _, ok, _ := own.ReadRef(contentRef); ok {
				t.Error("it is kept at a ref")
			}
		})
	}
}

// packOf makes the origin send one commit's pack, or that of some commit, whatever is
// offered.
func (o *origin) packOf(commit plumbing.OID) {
	offered := o.commit
	if o.commit = commit; commit == "" {
		o.has(lab(1, "y"))
	}
	pack := o.pack("")
	o.commit = offered
	o.change = func([]byte) []byte { return pack }
}

// Limits are held anew, whatever the service held them to.
func TestPackedLimits(t *testing.T) {
	o := newOrigin(t)
	o.has(map[string]string{"a.txt": "1|a", "big.bin": "2|" + strings.Repeat("0123456789", 1000)})
	p := o.packed()
	p.Limits = Limits{File: 100}
	s, err := p.Fetch(t.Context(), o.client(), "", nil, nil)
	if err != nil || len(s.Files) != 1 || len(s.Left) != 1 || !s.Left[0].TooLarge {
		t.Errorf("%+v %v", s, err)
	}
	for _, l := range []Limits{{Files: 1}, {Total: 50}} {
		p = o.packed()
		p.Limits = l
		var problem *daypass.Problem
		if _, err := p.Fetch(t.Context(), o.client(), "", nil, nil); !errors.As(err, &problem) || problem.Code != "DP-461" {
			t.Errorf("%+v: %v", l, err)
		}
	}
}
