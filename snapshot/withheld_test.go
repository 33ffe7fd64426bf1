package snapshot

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/contenttest"
	"github.com/daypass-dev/daypass/internal/plumbing"
)

// sharedShelf is one of an access service.
func sharedShelf(t *testing.T) *shelf {
	s := newShelf(t)
	s.ask.Shared = true
	return s
}

// sent is everything that a newcomer is sent: all objects of the commit, unpacked.
func (s *shelf) sent(commit plumbing.OID) string {
	s.t.Helper()
	cmd := s.repo.Command(s.t.Context(), "pack-objects", "--stdout", "-q", "--revs")
	cmd.Stdin = strings.NewReader(string(commit) + "\n")
	pack, err := cmd.Output()
	if err != nil {
		s.t.Fatal(err)
	}
	other := newShelf(s.t)
	in := other.repo.Command(s.t.Context(), "index-pack", "--stdin")
	in.Stdin = strings.NewReader(string(pack))
	if out, err := in.CombinedOutput(); err != nil {
		s.t.Fatalf("%v %s", err, out)
	}
	cmd = other.repo.Command(s.t.Context(), "cat-file", "--batch", "--batch-all-objects")
	all, err := cmd.Output()
	if err != nil {
		s.t.Fatal(err)
	}
	return string(all)
}

func (s *shelf) manifest(commit plumbing.OID) Manifest {
	s.t.Helper()
	o, err := s.repo.Objects(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	defer o.Close()
	_, m, err := readCommit(o, commit)
	if err != nil {
		s.t.Fatal(err)
	}
	return m
}

// TestSharedWithheld: what may not be had any more is named, and in nothing that others
// are given. When it may be had again it is not read again.
func TestSharedWithheld(t *testing.T) {
	s := sharedShelf(t)
	s.f.Add("a", "a")
	x := s.f.AddFile(contenttest.File{Parts: []string{"solution.docx"}, Data: "THE SOLUTION", NoSum: true})
	one := s.fetch()
	s.want(one, map[string]string{"a": "a", "solution.docx": "THE SOLUTION"})
	s.f.Set(x, func(f *contenttest.File) { f.Skip = "its owner does not let viewers download it" })
	two := s.fetch()
	s.want(two, map[string]string{"a": "a"})
	sum, err := plumbing.HashBlob("sha1", 12, strings.NewReader("THE SOLUTION"))
	if err != nil {
		t.Fatal(err)
	}
	if text := s.sent(two.Commit); strings.Contains(text, "THE SOLUTION") || strings.Contains(text, string(sum)) || !strings.Contains(text, "solution.docx") {
		t.Errorf("a newcomer is sent %s", text)
	}
	if !slices.Equal(two.Spared, []string{"solution.docx"}) || two.SparesAll || two.Mark == "" {
		t.Errorf("%+v", two)
	}
	fresh := sharedShelf(t)
	fresh.f, fresh.c.Contents = s.f, s.f
	if got := fresh.fetch(); got.Commit != two.Commit {
		t.Errorf("who never had it makes another commit: %+v", got)
	}
	s.f.Add("b", "b")
	three := s.fetch()
	s.want(three, map[string]string{"a": "a", "b": "b"})
	s.f.Set(x, func(f *contenttest.File) { f.Skip, f.Parts = "", []string{"answers.docx"} })
	s.f.Counts()
	s.want(s.fetch(), map[string]string{"a": "a", "b": "b", "answers.docx": "THE SOLUTION"})
	s.opened()
	if refs, err := s.repo.ListRefs(wholeRefs); err != nil || len(refs) != 1 { // that of the one before
		t.Errorf("%v %v", refs, err)
	}
	s.f.Touch(x)
	s.fetch()
	if refs, err := s.repo.ListRefs(wholeRefs); err != nil || len(refs) != 0 {
		t.Errorf("%v %v", refs, err)
	}
}

// TestSharedRefused: so it is where only the download says no.
func TestSharedRefused(t *testing.T) {
	s := sharedShelf(t)
	s.f.Add("a", "a")
	x := s.f.Add("x", "THE SOLUTION")
	s.fetch()
	s.f.Edit(x, "another solution")
	s.f.OnOpen = func(it daypass.Item, _ int64) (io.ReadCloser, error) {
		return nil, &daypass.Problem{Code: "DP-999", What: "no", Kind: daypass.ErrRefused}
	}
	two := s.fetch()
	s.want(two, map[string]string{"a": "a"})
	if text := s.sent(two.Commit); strings.Contains(strings.ToLower(text), "solution") {
		t.Errorf("a newcomer is sent %s", text)
	}
}

// TestSharedHalf: of what a listing lacks that is not complete, or may be half of one,
// newcomers hear nothing, not even a name. Nothing is forgotten for it.
func TestSharedHalf(t *testing.T) {
	for name, lose := range map[string]func(s *shelf) func(){
		"not complete": func(s *shelf) func() {
			s.f.OnList = func(l *daypass.Listing) error { l.Items, l.Complete = l.Items[:1], false; return nil }
			return func() { s.f.OnList = nil }
		},
		"more than half": func(s *shelf) func() {
			s.f.OnList = func(l *daypass.Listing) error { l.Items = l.Items[:1]; return nil }
			return func() { s.f.OnList = nil }
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := sharedShelf(t)
			s.f.Add("a", "a")
			s.f.Add("secret-exam.txt", "FORTY-TWO")
			s.f.AddFile(contenttest.File{Parts: []string{"secret-notes.docx"}, Data: "NOTES", NoSum: true})
			all := map[string]string{"a": "a", "secret-exam.txt": "FORTY-TWO", "secret-notes.docx": "NOTES"}
			first := s.fetch()
			back := lose(s)
			two := s.fetch()
			s.want(two, map[string]string{"a": "a"})
			if !two.SparesAll || len(two.Spared) != 0 || two.Mark != "" || len(two.Notes) != 1 {
				t.Errorf("%+v", two)
			}
			text := strings.ToLower(s.sent(two.Commit))
			for _, word := range []string{"secret", "forty", "notes.docx", "id000002", "id000003", string(first.Commit), "2 files"} {
				if strings.Contains(text, word) {
					t.Errorf("a newcomer is sent %q in %s", word, text)
				}
			}
			s.now = s.now.Add(20 * time.Hour)
			if again := s.fetch(); again.Commit != two.Commit {
				t.Errorf("it moved: %+v", again)
			}
			s.f.Counts()
			back()
			s.now = s.now.Add(3 * time.Hour)
			three := s.fetch()
			s.want(three, all)
			if s.opened(); three.SparesAll || three.Mark == "" || len(three.Notes) != 0 || three.Commit != first.Commit {
				t.Errorf("%+v", three)
			}

			lose(s)
			lost := s.fetch()
			for ref := range must(s.repo.ListRefs(wholeRefs)) { // what is not given out is damaged
				if err := s.repo.DeleteRef(ref); err != nil {
					t.Fatal(err)
				}
			}
			s.now = s.now.Add(12 * time.Hour)
			if again := s.fetch(); !again.SparesAll || again.Commit != lost.Commit {
				t.Errorf("it is forgotten: %+v", again)
			}
			s.now = s.now.Add(13 * time.Hour)
			last := s.fetch()
			s.want(last, map[string]string{"a": "a"})
			if incomplete := name == "not complete"; last.SparesAll != incomplete || (last.Mark == "") != incomplete {
				t.Errorf("%+v", last)
			}
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestSharedConfirmed: after a day the loss is one.
func TestSharedConfirmed(t *testing.T) {
	s := sharedShelf(t)
	s.f.Add("a", "a")
	ids := []string{s.f.Add("b", "b"), s.f.Add("c", "c")}
	s.fetch()
	s.f.Remove(ids...)
	if got := s.fetch(); !got.SparesAll || !strings.Contains(got.Notes[0], "Whoever has them keeps them for a day") {
		t.Errorf("%+v", got)
	}
	s.now = s.now.Add(25 * time.Hour)
	got := s.fetch()
	s.want(got, map[string]string{"a": "a"})
	if got.SparesAll || got.Mark == "" || len(got.Notes) != 0 || !s.manifest(got.Commit).Lost.IsZero() {
		t.Errorf("%+v", got)
	}
}

// TestSharedLockedAgain: what had vanished and is listed again counts as there, though it is
// locked.
func TestSharedLockedAgain(t *testing.T) {
	s := sharedShelf(t)
	s.f.Add("a", "a")
	s.f.Add("b", "b")
	x := s.f.Add("x", "x")
	s.fetch()
	s.f.OnList = func(l *daypass.Listing) error { l.Items = l.Items[:1]; return nil }
	s.fetch()
	s.f.OnList = nil
	s.f.Set(x, func(f *contenttest.File) { f.Skip = "it is locked" })
	s.fetch()
	s.f.Remove(x)
	if got := s.fetch(); got.SparesAll || len(got.Notes) != 0 {
		t.Errorf("%+v", got)
	}
}

// TestSharedAfterOld: the last commit was made before such things were held back, and has
// them among its files.
func TestSharedAfterOld(t *testing.T) {
	s := newShelf(t)
	s.f.Add("a", "a")
	x := s.f.Add("x", "THE SOLUTION")
	s.fetch()
	s.f.Set(x, func(f *contenttest.File) { f.Skip = "it is locked" })
	old := s.fetch()
	s.want(old, map[string]string{"a": "a", "x": "THE SOLUTION"})
	m := s.manifest(old.Commit)
	data, err := json.Marshal(m)
	if err != nil || strings.Contains(string(data), `"of"`) {
		t.Fatalf("%s %v", data, err)
	}
	s.ask.Shared = true
	now := s.fetch()
	s.want(now, map[string]string{"a": "a"})
	if strings.Contains(s.sent(now.Commit), "SOLUTION") {
		t.Error("it is sent")
	}
	s.f.Set(x, func(f *contenttest.File) { f.Skip = "" })
	s.f.Counts()
	s.want(s.fetch(), map[string]string{"a": "a", "x": "THE SOLUTION"})
	s.opened()
}

// gives makes an origin hold a manifest.
func (o *origin) gives(m Manifest, files map[string]string) plumbing.OID {
	o.t.Helper()
	im, err := o.repo.Import(o.t.Context())
	if err != nil {
		o.t.Fatal(err)
	}
	m.Source, m.Title, m.ByID = o.source, "Lab", true
	var list []plumbing.File
	for _, name := range slices.Sorted(maps.Keys(files)) {
		id, text, _ := strings.Cut(files[name], "|")
		oid, err := im.Blob(int64(len(text)), strings.NewReader(text))
		if err != nil {
			o.t.Fatal(err)
		}
		list = append(list, plumbing.File{Path: name, Mode: plumbing.Regular, OID: oid})
		m.Files = append(m.Files, Stored{Path: name, ID: id, Size: int64(len(text))})
	}
	if err := im.Close(); err != nil {
		o.t.Fatal(err)
	}
	if o.commit, err = WriteContent(o.t.Context(), o.repo, m, list); err != nil {
		o.t.Fatal(err)
	}
	if err := o.repo.WriteRef("refs/daypass/keep/"+string(o.commit), o.commit, ""); err != nil {
		o.t.Fatal(err)
	}
	return o.commit
}

// TestPackedKeeps: who has something keeps it while the service holds it back, and hears
// of its renames; who does not have it gets a note at most.
func TestPackedKeeps(t *testing.T) {
	o, repo := newOrigin(t), newShelf(t).repo
	s := &shelf{t: t, repo: repo}
	have := plumbing.OID("")
	fetch := func() Snapshot {
		t.Helper()
		snap, err := o.packed().Fetch(t.Context(), repo, have, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		have = snap.Commit
		if snap.Mark != string(o.commit) {
			t.Errorf("its mark is %s", snap.Mark)
		}
		return snap
	}
	o.gives(Manifest{Complete: true}, map[string]string{"a": "1|a", "d/x": "2|X", "y": "3|Y"})
	fetch()
	o.gives(Manifest{Complete: true, Left: []Stored{{Path: "x2", ID: "2", Why: "it is locked", Held: true}}}, map[string]string{"a": "1|a2"})
	two := fetch()
	s.want(two, map[string]string{"a": "a2", "x2": "X"}) // y was removed
	if two.Commit == o.commit || two.Renames["d/x"] != "x2" || len(two.Left) != 1 {
		t.Errorf("%+v", two)
	}
	if again := fetch(); again.Commit != two.Commit {
		t.Errorf("it moved: %+v", again)
	}
	o.gives(Manifest{Keep: true}, map[string]string{"b": "4|b"})
	three := fetch()
	s.want(three, map[string]string{"a": "a2", "x2": "X", "b": "b"})
	o.gives(Manifest{Complete: true, Keep: true}, map[string]string{"a": "5|another a", "x2/in": "6|in"})
	s.want(fetch(), map[string]string{"a": "another a", "x2/in": "in", "b": "b"}) // nothing is in the way of what there is
	o.gives(Manifest{Complete: true}, map[string]string{"b3": "4|b", "y": "3|Y"})
	last := fetch()
	s.want(last, map[string]string{"b3": "b", "y": "Y"})
	if last.Renames["b"] != "b3" || last.Commit != o.commit {
		t.Errorf("%+v", last)
	}

	// Who comes by a pack of what changed holds the same as who comes anew.
	o.gives(Manifest{Complete: true, Left: []Stored{{Path: "y", ID: "3", Why: "it is locked", Held: true}}}, map[string]string{"b3": "4|b"})
	fresh := &shelf{t: t, repo: newShelf(t).repo}
	snap, err := o.packed().Fetch(t.Context(), fresh.repo, "", nil, nil)
	if err != nil || snap.Commit != o.commit {
		t.Fatalf("%+v %v", snap, err)
	}
	fresh.want(snap, map[string]string{"b3": "b"})
	o.sent = 0
	s.want(fetch(), map[string]string{"b3": "b", "y": "Y"})

	// What was delivered last cannot be read: what is to stay is told by name.
	have = snap.Files[0].OID
	if got := fetch(); !slices.Equal(got.Spared, []string{"y"}) || len(got.Files) != 1 {
		t.Errorf("%+v", got)
	}

	// No service says what is for one person alone.
	o.gives(Manifest{Complete: true, Of: snap.Commit}, map[string]string{"b3": "4|b"})
	var p *daypass.Problem
	if _, err := o.packed().Fetch(t.Context(), repo, have, nil, nil); !errors.As(err, &p) || p.Code != "DP-460" {
		t.Errorf("it says %v", err)
	}
}

// TestPackedGone: a snapshot that was replaced on the way is asked for anew, once.
func TestPackedGone(t *testing.T) {
	o := newOrigin(t)
	o.has(map[string]string{"a": "1|a"})
	p := o.packed()
	open, gone := p.Open, 1
	p.Open = func(ctx context.Context, of Offer, include []string, have plumbing.OID, from int64, tag string) (PackStream, error) {
		if gone--; gone >= 0 {
			o.has(map[string]string{"a": "1|a2"})
			return PackStream{}, &daypass.Problem{Code: "DP-480", What: "There is no such snapshot", Kind: daypass.ErrRefused}
		}
		return open(ctx, of, include, have, from, tag)
	}
	s := &shelf{t: t, repo: newShelf(t).repo}
	snap, err := p.Fetch(t.Context(), s.repo, "", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.want(snap, map[string]string{"a": "a2"})
	gone = 5
	p2 := o.packed()
	p2.Open = p.Open
	o.has(map[string]string{"a": "1|a3"})
	var problem *daypass.Problem
	if _, err := p2.Fetch(t.Context(), s.repo, "", nil, nil); !errors.As(err, &problem) || problem.Code != "DP-480" || gone != 3 {
		t.Errorf("it says %v, %d", err, gone)
	}
}
