package pull

import (
	"fmt"
	"os"
	"slices"
)

// identity is what a folder keeps under another name, and what no copy of it has.
type identity struct {
	Dev   uint64 `json:"dev,omitempty"`
	Inode uint64 `json:"inode,omitempty"`
	Born  int64  `json:"born,omitempty"` // nanoseconds; 0: the disk does not say
}

// same reports whether two are of one folder, as far as they tell. The number of a disk
// may be another after each start of the machine; a birth time stays.
func (i identity) same(j identity) bool {
	if i.Inode == 0 || i.Inode != j.Inode {
		return false
	}
	if i.dated() && j.dated() {
		return i.Born == j.Born
	}
	return i.Dev == j.Dev
}

func (i identity) dated() bool { return i.Born != 0 }

// name is by which a state is found.
func (i identity) name() string {
	if i.dated() {
		return fmt.Sprintf("inode %d of %d", i.Inode, i.Born)
	}
	return fmt.Sprintf("inode %d on %d", i.Inode, i.Dev)
}

// renamed returns the state of a folder that has another name now, and no repository
// that would tell; nil where there is none.
func (p *Puller) renamed(folder string) (*store, error) {
	here := identityOf(folder)
	if here.Inode == 0 {
		return nil, nil
	}
	id, err := os.ReadFile(p.key("folders", here.name()))
	if err != nil {
		return nil, ignoreMissing(err)
	}
	s, err := p.load(string(id))
	if err != nil {
		return nil, ignoreMissing(err)
	}
	if s.damaged || !s.rec.Identity.same(here) || identityOf(s.rec.Folder).same(here) {
		return nil, nil
	}
	if !(here.dated() && s.rec.Identity.dated()) && !s.left(folder) {
		return nil, nil // the number may be that of a folder which is gone
	}
	return s, nil
}

// left reports whether a file that was delivered is in a folder, just as it was then.
func (s *store) left(folder string) bool {
	known, err := s.recall("delivered")
	if err != nil {
		return false
	}
	t, err := openTree(folder)
	if err != nil {
		return false
	}
	defer t.close()
	names := make([]string, 0, len(known))
	for name := range known {
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.ContainsFunc(names, func(name string) bool {
		fi, err := t.lstat(name)
		return err == nil && known[name].stat.Same(fi)
	})
}

// noteName remembers where a folder is that was found under another name than before.
func (r *run) noteName() error {
	if !r.st.unnoted || r.ask.DryRun {
		return nil
	}
	return r.claim()
}
