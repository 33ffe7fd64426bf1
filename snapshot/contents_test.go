package snapshot

import (
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/internal/contenttest"
	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/internal/plumbing"
)

// A shelf is a repository that a folder is brought to.
type shelf struct {
	t    *testing.T
	f    *contenttest.Folder
	c    Content
	repo *plumbing.Repo
	ask  ContentAsk
	now  time.Time
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	g, err := plumbing.Find(os.Getenv, os.Environ())
	if err != nil {
		t.Fatal(err)
	}
	repo, err := g.Create(gittest.TempDir(t)+"/repo.git", "sha1")
	if err != nil {
		t.Fatal(err)
	}
	s := &shelf{t: t, f: contenttest.New(), repo: repo, ask: ContentAsk{Source: contenttest.Source()}, now: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)}
	s.f.Title = "Physics 142"
	s.c = Content{Contents: s.f, Now: func() time.Time { return s.now }}
	return s
}

func (s *shelf) try() (Snapshot, error) {
	s.t.Helper()
	snap, err := s.c.Fetch(s.t.Context(), s.repo, s.ask)
	if err == nil {
		s.ask.Have = snap.Commit
	}
	return snap, err
}

func (s *shelf) fetch() Snapshot {
	s.t.Helper()
	snap, err := s.try()
	if err != nil {
		s.t.Fatal(err)
	}
	return snap
}

// texts are the delivered files.
func (s *shelf) texts(snap Snapshot) map[string]string {
	s.t.Helper()
	o, err := s.repo.Objects(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	defer o.Close()
	out := map[string]string{}
	for _, f := range snap.Files {
		_, data, err := o.Read(f.OID)
		if err != nil {
			s.t.Fatal(err)
		}
		out[f.Path] = string(data)
	}
	return out
}

func (s *shelf) want(snap Snapshot, want map[string]string) {
	s.t.Helper()
	if got := s.texts(snap); !maps.Equal(got, want) {
		s.t.Errorf("got %q\nwant %q", got, want)
	}
}

func (s *shelf) opened(want ...string) {
	s.t.Helper()
	if _, _, opens := s.f.Counts(); !slices.Equal(opens, want) {
		s.t.Errorf("opened %q, want %q", opens, want)
	}
}

func TestContent(t *testing.T) {
	s := newShelf(t)
	a := s.f.Add("lab/a.txt", "a\n")
	s.f.Add("lab/b.bin", "\x00\xff")
	s.f.Set(a, func(f *contenttest.File) { f.Exec = true })
	empty := s.f.Add("empty", "")
	one := s.fetch()
	s.want(one, map[string]string{"lab/a.txt": "a\n", "lab/b.bin": "\x00\xff", "empty": ""})
	if one.Title != "Physics 142" || one.Mark == "" || one.Files[1].Mode != plumbing.Executable || one.Bytes != 4 || len(one.Left) != 0 {
		t.Errorf("%+v", one)
	}
	s.opened("lab/a.txt", "lab/b.bin")

	if again := s.fetch(); again.Commit != one.Commit || again.Tree != one.Tree {
		t.Errorf("the same content is another commit: %+v", again)
	}
	s.opened()

	s.f.Move(a, "week 1/a.txt")
	s.f.Touch(empty)
	two := s.fetch()
	s.want(two, map[string]string{"week 1/a.txt": "a\n", "lab/b.bin": "\x00\xff", "empty": ""})
	if want := map[string]string{"lab/a.txt": "week 1/a.txt"}; !maps.Equal(two.Renames, want) {
		t.Errorf("renames are %v", two.Renames)
	}
	s.opened()

	s.f.Edit(a, "a2\n")
	s.f.Remove(empty)
	s.want(s.fetch(), map[string]string{"week 1/a.txt": "a2\n", "lab/b.bin": "\x00\xff"})
	s.opened("week 1/a.txt")

	other := newShelf(t)
	other.f = s.f
	other.c.Contents = s.f
	if snap := other.fetch(); snap.Commit != s.ask.Have {
		t.Errorf("another who reads the same gets %s, not %s", snap.Commit, s.ask.Have)
	}
	if out, err := s.repo.Command(t.Context(), "fsck", "--strict", "--no-dangling").CombinedOutput(); err != nil {
		t.Errorf("git fsck: %v %s", err, out)
	}
}
