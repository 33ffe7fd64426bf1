package pull

import (
	"errors"
	"io/fs"
	"os"
	"path"

	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/merge"
)

// swap brings the new file to the place of one that was just looked at. Where the
// system can exchange two names, what comes out is looked at once more: a save of the
// user's between the look and the exchange is given its place back.
func (h *hand) swap(o *op, d *os.Root, base string) error {
	if err := h.r.p.change("swap " + o.Path); err != nil {
		return err
	}
	err := exchange(d, o.Temp, base)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return h.putNew(o, d, base) // the user has removed it, and may make another
	case err != nil:
		return d.Rename(o.Temp, base)
	}
	return h.cameOut(o, d, base)
}

// cameOut judges what stood at the place of the new file.
func (h *hand) cameOut(o *op, d *os.Root, base string) error {
	if err := h.r.p.change("swapped " + o.Path); err != nil {
		return err
	}
	if h.tempIs(o, o.Old) {
		return d.Remove(o.Temp)
	}
	o.late = true
	if err := exchange(d, o.Temp, base); err != nil {
		return h.keepTemp(o, d, base)
	}
	if h.tempIs(o, o.New) {
		return d.Remove(o.Temp)
	}
	// They have saved again: that stands, and the save before is beside it.
	if err := exchange(d, o.Temp, base); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return h.keepTemp(o, d, base)
}

// keepTemp gives what is the user's a name of its own: name__STAMP.ext, as others have that
// are moved aside.
func (h *hand) keepTemp(o *op, d *os.Root, base string) error {
	stamp := h.r.p.Now().Format("20060102150405")
	taken := func(name string) bool {
		_, err := d.Lstat(name)
		return err == nil
	}
	for {
		err := rename(d, o.Temp, merge.AsideName(base, stamp, taken))
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
}

// rename gives something in a folder another name, where nothing has that.
func rename(d *os.Root, from, to string) error {
	if err := renameNew(d, from, d, to); !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if _, err := d.Lstat(to); err == nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: fs.ErrExist}
	}
	return d.Rename(from, to)
}

// clear removes what is beside its place, unless that may be the user's and is nowhere
// else: a pull that was killed may have left a save of theirs there.
func (h *hand) clear(o *op) error {
	dir, base := split(o.Path)
	d, err := h.t.dir(dir, false)
	if err != nil || o.Temp == "" {
		return ignoreMissing(ignoreBlocked(err))
	}
	fi, err := d.Lstat(o.Temp)
	if err != nil {
		return ignoreMissing(err)
	}
	empty := fi.Mode().IsRegular() && fi.Size() == 0
	if empty || h.tempIs(o, o.New) || h.tempIs(o, o.Old) || h.known(path.Join(dir, o.Temp)) {
		return d.Remove(o.Temp)
	}
	return h.keepTemp(o, d, base)
}

func ignoreBlocked(err error) error {
	if errors.Is(err, errBlocked) {
		return nil
	}
	return err
}

// known reports whether a file is one that we have.
func (h *hand) known(name string) bool {
	e, _, err := h.t.hash(name, h.r.st.rec.Format)
	if err != nil || e.OID == "" {
		return false
	}
	_, err = h.o.Size(plumbing.OID(e.OID))
	return err == nil
}

// tempIs reports whether the file beside its place is e.
func (h *hand) tempIs(o *op, e merge.Entry) bool {
	dir, _ := split(o.Path)
	now, _, err := h.t.hash(path.Join(dir, o.Temp), h.r.st.rec.Format)
	return err == nil && now != (merge.Entry{}) && (now == e || h.r.disk(now, e) == e)
}

// swapped takes up again what swap was cut off in: the new file is in its place.
func (h *hand) swapped(o *op) error {
	d, base, err := h.t.parent(o.Path, false)
	if err != nil {
		return err
	}
	if _, err := d.Lstat(o.Temp); err != nil {
		return ignoreMissing(err)
	}
	if h.tempIs(o, o.New) {
		return d.Remove(o.Temp)
	}
	return h.cameOut(o, d, base)
}
