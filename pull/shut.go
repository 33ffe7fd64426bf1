package pull

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/daypass-dev/daypass/merge"
)

// opLeave leaves a path for the next pull.
const opLeave = "leave"

// mayNot is said of a file that is left for the next pull.
const mayNot = "daypass may not read or change it"

// shut reports whether the system refuses one path to us.
func shut(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
}

// leave leaves a path as it is, until a pull may change it.
func (pl *plan) leave(path string) {
	pl.ops = append(pl.ops, op{Do: opLeave, Path: path})
	pl.note(Change{Path: path, What: Kept, Why: mayNot})
}

// closed reports whether a step needs what may not be read. What only makes room
// needs not be.
func (pl *plan) closed(s merge.Step) bool {
	if len(pl.shut) == 0 || s.Do == merge.Aside || s.Do == merge.Keep {
		return false
	}
	for _, o := range pl.ops {
		if o.Do == opMove && o.From == s.Path {
			return false // it has made room
		}
	}
	return pl.shut[s.Path] || s.From != "" && pl.shut[s.From]
}

// refused marks an op that the system does not let us do, and goes on.
func (h *hand) refused(o *op, err error) error {
	if !shut(err) {
		return err
	}
	o.late, o.denied = true, true
	if o.Do == opPut {
		if err := h.clear(o); err != nil && !shut(err) {
			return err
		}
		h.t.forget()
	}
	return nil
}

// tellShut tells of what could not be done.
func (r *run) tellShut(ops []op) {
	for _, o := range ops {
		if !o.denied || o.Do == opLeave {
			continue
		}
		for i := range r.rep.Changes {
			if c := &r.rep.Changes[i]; c.Path == o.Path || c.From != "" && c.From == o.From {
				*c = Change{Path: o.Path, What: Kept, Why: mayNot}
				if o.From != "" {
					c.Path = o.From
				}
			}
		}
	}
}

// tooLate reports whether the user was faster somewhere, so that another round is worth it.
func tooLate(ops []op) bool {
	for _, o := range ops {
		if o.late && !o.denied {
			return true
		}
	}
	return false
}

// placeOf names the file that an error is about.
func placeOf(folder string, err error) string {
	var path *fs.PathError
	var link *os.LinkError
	at := folder
	switch {
	case errors.As(err, &path):
		at = path.Path
	case errors.As(err, &link):
		at = link.New
	}
	if !filepath.IsAbs(at) {
		return filepath.Join(folder, at)
	}
	return at
}
