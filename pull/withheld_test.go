package pull

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/contenttest"
	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/snapshot"
)

// A service reads a folder for many, and gives packs out.
type service struct {
	d      *shared
	repo   *plumbing.Repo
	have   plumbing.OID
	source daypass.Source
	sent   bytes.Buffer // the last pack
}

func newService(d *shared) *service {
	repo, err := d.p.Git.Create(filepath.Join(d.t.TempDir(), "service.git"), "sha1")
	if err != nil {
		d.t.Fatal(err)
	}
	return &service{d: d, repo: repo, source: contenttest.Source()}
}

func (s *service) content() *snapshot.Packed {
	s.d.t.Helper()
	p := &snapshot.Packed{Limits: s.d.p.Limits, Find: s.find, Open: s.open}
	if _, err := p.Ask(s.d.t.Context(), nil); err != nil {
		s.d.t.Fatal(err)
	}
	return p
}

func (s *service) find(ctx context.Context, include []string) (snapshot.Offer, error) {
	c := snapshot.Content{Contents: s.d.up, Limits: s.d.p.Limits, Now: s.d.p.Now}
	snap, err := c.Fetch(ctx, s.repo, snapshot.ContentAsk{Source: s.source, Have: s.have, Include: include, Shared: true})
	if err != nil {
		return snapshot.Offer{}, err
	}
	s.have = snap.Commit
	return snapshot.Offer{Commit: snap.Commit, Source: s.source.String(), Title: snap.Title, Bytes: snap.Bytes}, s.repo.WriteRef("refs/daypass/versions/"+string(snap.Commit), snap.Commit, "")
}

func (s *service) open(ctx context.Context, o snapshot.Offer, _ []string, have plumbing.OID, _ int64, _ string) (snapshot.PackStream, error) {
	args, in := []string{"pack-objects", "--stdout", "-q", "--delta-base-offset", "--revs"}, string(o.Commit)+"\n"
	if _, known, err := s.repo.ReadRef("refs/daypass/versions/" + string(have)); have != "" && known && err == nil {
		args, in = append(args, "--thin", "--shallow"), in+"^"+string(have)+"\n"
	}
	cmd := s.repo.Command(ctx, args...)
	cmd.Stdin = strings.NewReader(in)
	pack, err := cmd.Output()
	s.sent.Reset()
	s.sent.Write(pack)
	return snapshot.PackStream{Body: io.NopCloser(bytes.NewReader(pack)), Size: int64(len(pack)), Tag: string(o.Commit) + string(have)}, err
}

// newcomer is what somebody gets who never had anything.
func (s *service) newcomer() map[string]string {
	t := s.d.t
	t.Helper()
	repo, err := s.d.p.Git.Create(filepath.Join(t.TempDir(), "new.git"), "sha1")
	if err != nil {
		t.Fatal(err)
	}
	snap, err := s.content().Fetch(t.Context(), repo, "", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	o, err := repo.Objects(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	out := map[string]string{}
	for _, f := range snap.Files {
		_, data, err := o.Read(f.OID)
		if err != nil {
			t.Fatal(err)
		}
		out[f.Path] = string(data)
	}
	return out
}

// TestContentWithheld: what is withdrawn stays with whoever has it, with their edits, and
// goes when it is sure that it is gone.
func TestContentWithheld(t *testing.T) {
	for _, how := range []string{"read here", "by a service"} {
		t.Run(how, func(t *testing.T) {
			d := newShared(t)
			if how == "by a service" {
				d.by = newService(d)
			}
			a := d.up.Add("a", "a")
			x := d.up.Add("x", long())
			y := d.up.Add("y", "y")
			z := d.up.Add("z", "z")
			d.pull()
			d.write("x", long("1 mine"))
			d.up.Set(x, func(f *contenttest.File) { f.Skip = "it is locked" })
			d.up.Set(y, func(f *contenttest.File) { f.Skip = "it is locked" })
			d.up.Edit(a, "a2")
			r := d.pull()
			d.want(map[string]string{"a": "a2", "x": long("1 mine"), "y": "y", "z": "z"})
			if !slices.ContainsFunc(r.Changes, func(c Change) bool { return c.What == LeftOut && c.Why == "it is locked" }) {
				t.Errorf("%+v", r)
			}
			d.settled()
			if d.by != nil {
				if got := d.by.newcomer(); !maps.Equal(got, map[string]string{"a": "a2", "z": "z"}) {
					t.Errorf("a newcomer gets %q", got)
				}
			}
			d.remove("y")
			d.pull()
			d.want(map[string]string{"a": "a2", "x": long("1 mine"), "y": "y", "z": "z"}) // what they had they get again, of their own
			d.up.Set(x, func(f *contenttest.File) { f.Skip, f.Parts = "", []string{"x2"} })
			d.up.Edit(x, long("9 theirs"))
			d.pull()
			d.want(map[string]string{"a": "a2", "x2": long("1 mine", "9 theirs"), "y": "y", "z": "z"})
			d.up.Remove(y)
			d.pull()
			d.want(map[string]string{"a": "a2", "x2": long("1 mine", "9 theirs"), "z": "z"})
			d.settled()

			d.up.OnList = func(l *daypass.Listing) error { l.Items = l.Items[:1]; return nil }
			d.up.Set(a, func(*contenttest.File) {}) // it is to be listed
			r = d.pull()
			d.want(map[string]string{"a": "a2", "x2": long("1 mine", "9 theirs"), "z": "z"})
			if len(r.Notes) != 1 || !strings.HasPrefix(r.Notes[0], "More than half") {
				t.Errorf("%+v", r)
			}
			d.settled()
			if d.by != nil {
				if got := d.by.newcomer(); !maps.Equal(got, map[string]string{"a": "a2"}) || bytes.Contains(d.by.sent.Bytes(), []byte("x2")) {
					t.Errorf("a newcomer gets %q", got)
				}
			}
			d.up.OnList = nil
			d.up.Move(z, "z2")
			d.pull()
			d.want(map[string]string{"a": "a2", "x2": long("1 mine", "9 theirs"), "z2": "z"})
			d.settled()
		})
	}
}

// TestContentWithheldDamage: so it does where what was delivered last is damaged here.
func TestContentWithheldDamage(t *testing.T) {
	for _, name := range []string{"objects", "repo.git"} {
		for _, hold := range []string{"named", "all"} {
			t.Run(name+" "+hold, func(t *testing.T) {
				t.Parallel()
				d := newShared(t)
				d.by = newService(d)
				d.up.Add("a", "a")
				x, y := d.up.Add("x", "x"), d.up.Add("y", "y")
				d.pull()
				d.remove("y")
				damageContent(d, name)
				if hold == "named" {
					d.up.Set(x, func(f *contenttest.File) { f.Skip = "it is locked" })
					d.up.Set(y, func(f *contenttest.File) { f.Skip = "it is locked" })
				} else {
					d.up.OnList = func(l *daypass.Listing) error { l.Items = l.Items[:1]; return nil }
				}
				d.pull()
				if got := d.files(); got["x"] != "x" || got["a"] != "a" {
					t.Errorf("%q", got)
				}
				d.pull()
				d.settled()
			})
		}
	}
}

func damageContent(d *shared, name string) {
	d.t.Helper()
	st, _, err := d.p.peek(d.folder)
	if err != nil || st == nil {
		d.t.Fatal(err)
	}
	file := filepath.Join(st.repo(), "objects")
	if name == "repo.git" {
		file = st.repo()
	}
	if err := os.RemoveAll(file); err != nil {
		d.t.Fatal(err)
	}
}

// withhold turns files off and on, and hides some, or most, for a pull or two.
func (l *lecture) withhold() {
	all := l.d.up.IDs()
	switch {
	case len(l.hidden) > 0:
		if l.IntN(2) == 0 {
			l.hidden, l.d.up.OnList = nil, nil
			l.d.up.Set(all[0], func(*contenttest.File) {})
			l.log = append(l.log, "upstream shows all")
		}
		return
	case l.IntN(4) == 0 && len(all) > 0:
		l.hide(all)
		return
	}
	for range l.IntN(3) {
		id := l.pick(append(all, "")...)
		if id == "" {
			return
		}
		l.d.up.Set(id, func(f *contenttest.File) {
			if f.Skip == "" {
				f.Skip = "it is locked"
			} else {
				f.Skip = ""
			}
		})
		l.log = append(l.log, fmt.Sprintf("upstream locks %s: %v", l.at(id), l.d.up.Get(id).Skip != ""))
	}
}

// hide makes a listing lack some files, or seem to be whole and lack more than half.
func (l *lecture) hide(all []string) {
	hidden := map[string]bool{}
	complete := l.IntN(2) == 0
	known := 0
	for _, id := range all {
		if _, ok := l.given[id]; ok && l.ids[id] == l.at(id) {
			known++
		}
		if hidden[id] = complete || l.IntN(2) == 0; !hidden[id] {
			delete(hidden, id)
		}
	}
	if known < len(all) || len(l.ids) > len(all) || known < 3 || len(hidden) == 0 {
		return // what was removed in the same moment would be kept, too
	}
	if complete {
		delete(hidden, all[l.IntN(len(all))])
	}
	l.hidden = hidden
	l.d.up.Set(all[0], func(*contenttest.File) {}) // it is to be listed
	l.d.up.OnList = func(list *daypass.Listing) error {
		list.Complete = complete
		list.Items = slices.DeleteFunc(list.Items, func(it daypass.Item) bool { return hidden[it.ID] })
		return nil
	}
	l.log = append(l.log, fmt.Sprintf("upstream hides %d of %d, complete: %v", len(hidden), len(all), complete))
}

// see notes what the student was given, and that a newcomer is given nothing else.
func (l *lecture) see() {
	want := map[string]string{}
	for _, id := range l.d.up.IDs() {
		if data := l.data(id); !l.held(id) {
			l.given[id] = data
			if len(data) <= limit {
				want[l.at(id)] = data
			}
		}
	}
	if l.d.by == nil {
		return
	}
	got := l.d.by.newcomer()
	maps.DeleteFunc(got, func(name, _ string) bool { return strings.HasSuffix(name, ".daypass-pointer") })
	if !maps.Equal(got, want) {
		l.t.Errorf("a newcomer gets %q, not %q", got, want)
	}
}

// TestContentRandomWithheld plays lives in which files are withdrawn, come back, and are
// missing from listings: half of them read here, half by a service that others read too.
func TestContentRandomWithheld(t *testing.T) {
	histories(t, 80, 5000, func(t *testing.T, seed uint64) {
		l := newLecture(t, seed)
		l.given = map[string]string{}
		if seed%2 == 0 {
			l.d.by = newService(l.d)
		}
		l.live(l.withhold, l.see)
	})
}

// TestContentLedWithheld: what another source withholds is nothing that this folder had of
// the one before.
func TestContentLedWithheld(t *testing.T) {
	for _, how := range []string{"read here", "by a service"} {
		t.Run(how, func(t *testing.T) {
			d := newShared(t)
			d.a.Via, d.a.Service = "link:lab-1", "https://hub.example.org/services/daypass"
			d.up.Add("a", "a")
			d.up.Add("x", "x")
			d.pull()
			right := newShared(t)
			right.up.Add("a", "another a")
			locked := right.up.Add("x", "another x")
			right.up.Set(locked, func(f *contenttest.File) { f.Skip = "it is locked" })
			right.up.OnList = func(l *daypass.Listing) error { l.Complete = false; return nil }
			s := contenttest.Source()
			s.ID = "fRight"
			led := d.ask()
			led.Content = Read(snapshot.Content{Contents: right.up, Now: d.p.Now}, s)
			if how == "by a service" {
				right.by = newService(right)
				right.by.source = s
				led.Content = right.by.content()
			}
			if _, err := d.p.Pull(t.Context(), led); err != nil {
				t.Fatal(err)
			}
			d.want(map[string]string{"a": "another a"})
			if r, err := d.p.Pull(t.Context(), led); err != nil || !r.Same {
				t.Errorf("%+v %v", r, err)
			}
		})
	}
}
