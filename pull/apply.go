package pull

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/merge"
)

// fewFiles is up to how many files each is made durable by itself; more are by
// one flush of their disk.
const fewFiles = 16

// A hand carries ops out on a folder.
type hand struct {
	r      *run
	t      *tree
	o      *plumbing.Objects
	replay bool
	seen   map[string]plumbing.Stat // what was hashed while planning
}

// stage writes the new files beside their places. Nothing is changed yet, so a
// disk that is full is found out in time.
func (h *hand) stage(ops []op) error {
	few := len(ops) <= fewFiles
	for i := range ops {
		o := &ops[i]
		if o.Do != opPut || blocked(ops[:i], o.Path) {
			continue
		}
		if err := h.r.p.change("stage"); err != nil {
			return err
		}
		if err := h.stageOne(o, few); err != nil && !errors.Is(err, errBlocked) {
			if err := h.refused(o, err); err != nil {
				return err
			}
		}
	}
	if few {
		return nil
	}
	return syncDisk(h.r.folder)
}

// blocked reports whether an earlier op must make room for a path first.
func blocked(before []op, name string) bool {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		for _, o := range before {
			if o.From == dir || (o.Do == opDelete || o.Do == opMove) && o.Path == dir {
				return true
			}
		}
	}
	return false
}

func (h *hand) stageOne(o *op, durable bool) error {
	dir, _ := split(o.Path)
	d, err := h.t.dir(dir, true)
	if err != nil {
		return err
	}
	if _, err := d.Lstat(o.Temp); err == nil {
		if err := d.Remove(o.Temp); err != nil {
			return err
		}
	}
	content := func(w io.Writer) error { _, err := h.o.Copy(plumbing.OID(o.New.OID), w); return err }
	if _, err := place(d, o.Temp, content, o.New, o.stagePerm(), h.r.st.rec.Disk); err != nil {
		d.Remove(o.Temp)
		return err
	}
	if o.New.Mode == merge.Symlink || !durable {
		return nil
	}
	f, err := d.Open(o.Temp)
	if err != nil {
		return err
	}
	h.r.later.sync(f)
	return nil
}

// unstage removes what stage wrote and what of it is not in place.
func unstage(t *tree, ops []op) {
	for _, o := range ops {
		if o.Do != opPut {
			continue
		}
		dir, _ := split(o.Path)
		if d, err := t.dir(dir, false); err == nil {
			d.Remove(o.Temp)
		}
		for made := o.Made; made != "" && dir != "" && len(dir) >= len(made); dir, _ = split(dir) {
			t.forget()
			d, base, err := t.parent(dir, false)
			if err != nil || d.Remove(base) != nil {
				break
			}
		}
	}
}

// firstMissing is the first folder on the way to a path that is not there.
func (t *tree) firstMissing(name string) string {
	for i := 0; i < len(name); i++ {
		if name[i] == '/' && t.kind(name[:i]) == "" {
			return name[:i]
		}
	}
	return ""
}

// carry does the ops in their order; those for which the user was faster are
// marked late.
// What is begun is finished: no context ends it halfway.
func (h *hand) carry(ops []op) error {
	for i := range ops {
		if err := h.r.p.change(ops[i].Do + " " + ops[i].Path); err != nil {
			return err
		}
		if err := h.refused(&ops[i], h.one(&ops[i])); err != nil {
			return err
		}
	}
	return nil
}

func (h *hand) one(o *op) error {
	switch {
	case o.denied:
		return nil
	case o.Do == opLeave:
		o.late, o.denied = true, true
		return nil
	}
	switch o.Do {
	case opPut:
		return h.put(o)
	case opChmod:
		return h.chmod(o)
	case opDelete:
		return h.remove(o)
	}
	return h.move(o)
}

// stands reports whether what is at a path is still e. Where it looks as it did
// when it was hashed it is not read again.
func (h *hand) stands(name string, e merge.Entry) (bool, fs.FileInfo, error) {
	fi, err := h.t.lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return e == merge.Entry{}, nil, nil
	}
	if err != nil {
		return false, nil, err
	}
	if e == (merge.Entry{}) {
		return false, fi, nil
	}
	if seen, ok := h.seen[name]; ok && seen.Same(fi) {
		return true, fi, nil
	}
	now, fi, err := h.t.hash(name, h.r.st.rec.Format)
	if errors.Is(err, errMoving) {
		return false, fi, nil
	}
	return h.r.disk(now, e) == e, fi, err
}

// put brings the new file to its place.
func (h *hand) put(o *op) error {
	if h.replay {
		if done, _, err := h.stands(o.Path, o.New); err != nil {
			return err
		} else if done {
			return h.swapped(o)
		}
	}
	same, fi, err := h.stands(o.Path, o.Old)
	if err != nil {
		return err
	}
	if !same || fi != nil && fi.IsDir() {
		o.late = true
		if err := h.clear(o); err != nil {
			return err
		}
		unstage(h.t, []op{*o})
		return nil
	}
	d, base, err := h.t.parent(o.Path, true)
	if errors.Is(err, errBlocked) {
		o.late = true
		return nil
	}
	if err != nil {
		return err
	}
	if h.replay && !h.tempIs(o, o.New) {
		if err := h.clear(o); err != nil {
			return err
		}
	}
	if _, err := d.Lstat(o.Temp); err != nil {
		if err := errors.Join(h.stageOne(o, true), h.r.later.wait()); err != nil {
			return err
		}
	}
	if p := o.placePerm(fi); p != 0 {
		if err := d.Chmod(o.Temp, p); err != nil {
			return err
		}
	}
	if fi == nil {
		return h.putNew(o, d, base)
	}
	return h.swap(o, d, base)
}

// stagePerm is what the new file has until it is in its place: nobody else reads
// there what they might not read in the end. 0: what any new file has.
func (o *op) stagePerm() fs.FileMode {
	if o.Perm != 0 || o.Old.Mode == merge.Regular || o.Old.Mode == merge.Executable {
		return 0o600
	}
	return 0
}

// placePerm is what it has then: that of what it replaces (nil: nothing), and no
// more than it had when it was there before. 0: as it was made.
func (o *op) placePerm(old fs.FileInfo) fs.FileMode {
	if o.New.Mode == merge.Symlink {
		return 0
	}
	p := fs.FileMode(o.Perm)
	if old != nil && old.Mode().IsRegular() {
		if p == 0 {
			p = 0o777
		}
		p &= old.Mode().Perm()
	}
	if p == 0 {
		return 0
	}
	return perm(p, o.New.Mode)
}

// putNew brings a file to a place where none is, and never over one that is made
// there in this moment.
func (h *hand) putNew(o *op, d *os.Root, base string) error {
	err := d.Link(o.Temp, base)
	switch {
	case err == nil:
		return d.Remove(o.Temp)
	case errors.Is(err, fs.ErrExist):
		o.late = true
		return d.Remove(o.Temp)
	}
	if err = rename(d, o.Temp, base); errors.Is(err, fs.ErrExist) { // no hard links on this disk
		o.late = true
		return d.Remove(o.Temp)
	}
	return err
}

// perm is what a file gets that takes another's place: what that one had, but for
// the right to execute, which is git's to say.
func perm(old fs.FileMode, mode uint32) fs.FileMode {
	p := old.Perm()
	if mode == merge.Executable {
		return p | p&0o444>>2
	}
	return p &^ 0o111
}

func (h *hand) chmod(o *op) error {
	d, base, err := h.t.parent(o.Path, false)
	if err != nil {
		o.late = true
		return ignoreMissing(err)
	}
	fi, err := d.Lstat(base)
	if err != nil || !fi.Mode().IsRegular() {
		o.late = true
		return ignoreMissing(err)
	}
	return d.Chmod(base, perm(fi.Mode(), o.New.Mode))
}

// remove removes a file, and the folders that it leaves empty. It takes it out of its
// place first and looks at what that is, so that a save of this moment is given back.
func (h *hand) remove(o *op) error {
	d, base, err := h.t.parent(o.Path, false)
	if err != nil {
		return ignoreMissing(ignoreBlocked(err)) // it is gone
	}
	if _, err := d.Lstat(o.Temp); h.replay && o.Temp != "" && err == nil {
		return h.removed(o, d, base)
	}
	same, fi, err := h.stands(o.Path, o.Old)
	if err != nil {
		return err
	}
	if fi == nil {
		return nil // already, or by the user: both want it gone
	}
	if !same || fi.IsDir() {
		o.late = !h.replay
		return nil
	}
	if err := h.r.p.change("remove " + o.Path); err != nil {
		return err
	}
	if o.Temp == "" { // the journal of an older daypass
		err = d.Remove(base)
	} else if err = rename(d, base, o.Temp); err == nil {
		return h.removed(o, d, base)
	}
	if ignoreMissing(err) == nil {
		h.t.prune(o.Path)
		h.t.forget()
	}
	return ignoreMissing(err)
}

// removed judges what was taken out of its place.
func (h *hand) removed(o *op, d *os.Root, base string) error {
	if err := h.r.p.change("removed " + o.Path); err != nil {
		return err
	}
	if h.tempIs(o, o.Old) {
		if err := d.Remove(o.Temp); err != nil {
			return err
		}
		h.t.prune(o.Path)
		h.t.forget()
		return nil
	}
	o.late = true
	err := rename(d, o.Temp, base)
	if errors.Is(err, fs.ErrExist) {
		return h.keepTemp(o, d, base)
	}
	return err
}

// move renames within the folder, never over anything.
func (h *hand) move(o *op) error {
	fi, err := h.t.lstat(o.From)
	if err != nil {
		return ignoreMissing(err)
	}
	// On a disk without case a file may have its new name already.
	if there, err := h.t.lstat(o.Path); err == nil && !(os.SameFile(fi, there) && strings.EqualFold(o.From, o.Path)) {
		o.late = !h.replay
		return nil
	}
	if o.Dir != fi.IsDir() {
		return nil // replayed: something new has this name by now
	}
	if !o.Dir && (h.replay || !o.User) {
		same, _, err := h.stands(o.From, o.Old)
		if err != nil {
			return err
		}
		if !same {
			o.late = !h.replay
			return nil
		}
	}
	to, base, err := h.t.parent(o.Path, true)
	if err != nil {
		o.late = true
		return ignoreMissing(err)
	}
	if to, err = to.OpenRoot("."); err != nil { // the next one opened may close it
		return err
	}
	defer to.Close()
	from, name, err := h.t.parent(o.From, false)
	if err != nil {
		return ignoreMissing(err)
	}
	if err := h.r.p.change("move " + o.Path); err != nil {
		return err
	}
	if err := h.rename(o, from, name, to, base); errors.Is(err, fs.ErrExist) {
		o.late = true
		return nil
	} else if err != nil {
		return ignoreMissing(err)
	}
	h.t.forget()
	if !o.Dir {
		h.t.prune(o.From)
		h.t.forget()
	}
	return nil
}

// rename moves from one folder to another, where nothing is. Both were opened component by
// component, so no link is on the way.
func (h *hand) rename(o *op, from *os.Root, name string, to *os.Root, base string) error {
	err := renameNew(from, name, to, base)
	unsure := errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrExist) && strings.EqualFold(o.From, o.Path)
	if !unsure {
		return err
	}
	fi, err := from.Lstat(name)
	if err != nil {
		return err
	}
	// On a disk without case a file may have its new name already.
	if there, err := to.Lstat(base); err == nil && !(os.SameFile(fi, there) && strings.EqualFold(o.From, o.Path)) {
		return fs.ErrExist
	}
	return h.t.root.Rename(o.From, o.Path)
}
