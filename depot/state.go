package depot

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/daypass-dev/daypass/internal/plumbing"
)

// state is what a key's folder says of itself. It is replaced whole.
type state struct {
	Form     int       `json:"form"`
	Source   string    `json:"source"`
	As       string    `json:"as"`
	Mark     string    `json:"mark"`
	Checked  time.Time `json:"checked"`
	Over     []string  `json:"over,omitempty"`
	Versions []Version `json:"versions"` // the newest last
}

// stateForm is that of versions that hold only what the source gave at the time.
const stateForm = 2

// current reports whether a version is given to who has none: it is the newest, or was
// it a moment ago. What an older one has the source may have withdrawn.
func (st *state) current(id string, now time.Time) bool {
	n := len(st.Versions)
	i := slices.IndexFunc(st.Versions, func(v Version) bool { return v.ID == id })
	return i >= 0 && (i == n-1 || now.Sub(st.Versions[i+1].Made).Abs() < lately)
}

// lately is how long a version is given out that is not the newest any more.
const lately = 5 * time.Minute

// maxVersions is how many states of a source are kept: who has one of them gets what
// changed, everybody else gets everything.
const maxVersions = 20

func (st *state) last() (Version, bool) {
	if st == nil || len(st.Versions) == 0 {
		return Version{}, false
	}
	v := st.Versions[len(st.Versions)-1]
	v.Checked, v.Over = st.Checked, st.Over
	return v, true
}

func (st *state) has(id string) bool {
	return st != nil && slices.ContainsFunc(st.Versions, func(v Version) bool { return v.ID == id })
}

// most drops all versions but the newest n, and returns them.
func (st *state) most(n int) (gone []Version) {
	if over := len(st.Versions) - n; over > 0 {
		gone = slices.Clone(st.Versions[:over])
		st.Versions = slices.Clone(st.Versions[over:])
	}
	return gone
}

// add makes a version the newest, and returns those that have to go for it.
func (st *state) add(v Version) []Version {
	st.Versions = slices.DeleteFunc(st.Versions, func(o Version) bool { return o.ID == v.ID })
	st.Versions = append(st.Versions, v)
	return st.most(maxVersions)
}

// load reads the state again where another process has written it. The caller holds
// s.mu. What cannot be read is none.
func (s *slot) load() *state {
	path := filepath.Join(s.dir, "state.json")
	fi, err := os.Stat(path)
	if err != nil {
		s.state, s.read = nil, nil
		return nil
	}
	if s.read != nil && os.SameFile(fi, s.read) && fi.ModTime().Equal(s.read.ModTime()) && fi.Size() == s.read.Size() {
		return s.state
	}
	s.state, s.read = nil, fi
	data, err := os.ReadFile(path)
	var st state
	if err != nil || json.Unmarshal(data, &st) != nil || st.Form != 1 && st.Form != stateForm {
		return nil
	}
	if st.Form == 1 { // its newest version may hold what the source withholds: it is not given before the source was read anew
		st.Mark, st.Checked = "", time.Time{}
	}
	for _, v := range st.Versions {
		if !plumbing.OID(v.ID).Valid() {
			return nil
		}
	}
	s.state = &st
	return s.state
}

// Title is what a source called itself when its newest version came into the depot in
// dir; "" where there is none. It is of what k's identity read: whom that is told is the
// caller's care.
func Title(dir string, k Key) string {
	name := k.name()
	if name == "" {
		return ""
	}
	v, _ := (&slot{dir: filepath.Join(dir, name)}).load().last()
	return v.Title
}

// Title is [Title] of this depot.
func (d *Depot) Title(k Key) string { return Title(d.c.Dir, k) }

// save replaces the state, durably.
func (s *slot) save(st *state) error {
	st.Form = stateForm
	data, err := json.Marshal(st)
	if err != nil {
		return err
	}
	tmp := filepath.Join(s.dir, ".state-"+word())
	err = errors.Join(writeSynced(tmp, data))
	if err == nil {
		err = os.Rename(tmp, filepath.Join(s.dir, "state.json"))
	}
	if err != nil {
		os.Remove(tmp)
		return err
	}
	return syncDir(s.dir)
}

func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// touch notes that somebody asked, for eviction: once in a minute.
func (s *slot) touch(now time.Time) {
	path := filepath.Join(s.dir, "used")
	fi, err := os.Stat(path)
	switch {
	case err != nil:
		_ = os.WriteFile(path, nil, 0o600) // it is a hint
	case now.Sub(fi.ModTime()).Abs() > time.Minute:
		_ = os.Chtimes(path, now, now)
	}
}
