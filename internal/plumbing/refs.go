package plumbing

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// RefName reports whether name may be a ref's: below refs/, as git check-ref-format
// has it, so that it is no way out of a repository.
func RefName(name string) bool {
	if !strings.HasPrefix(name, "refs/") || strings.HasSuffix(name, "/") || strings.HasSuffix(name, ".") || strings.Contains(name, "..") || strings.Contains(name, "@{") {
		return false
	}
	if strings.ContainsAny(name, " ~^:?*[\\") || strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return false
	}
	for _, part := range strings.Split(name, "/") {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return len(name) <= 1000
}

// ReadRef returns where a ref stands.
func (r *Repo) ReadRef(name string) (OID, bool, error) {
	if !RefName(name) {
		return "", false, fmt.Errorf("%w: %q", ErrRef, name)
	}
	text, err := os.ReadFile(filepath.Join(r.dir, filepath.FromSlash(name)))
	if err == nil {
		oid := OID(strings.TrimSpace(string(text)))
		if len(text) == 0 {
			return "", false, nil // emptied by a power cut
		}
		if !oid.Valid() {
			return "", false, fmt.Errorf("%s holds no object's name", name)
		}
		return oid, true, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", false, err
	}
	packed, err := r.packed()
	oid, ok := packed[name]
	return oid, ok, err
}

// packed reads packed-refs, which git may have written.
func (r *Repo) packed() (map[string]OID, error) {
	text, err := os.ReadFile(filepath.Join(r.dir, "packed-refs"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	out := map[string]OID{}
	for line := range strings.Lines(string(text)) {
		oid, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if ok && OID(oid).Valid() && RefName(name) {
			out[name] = OID(oid)
		}
	}
	return out, err
}

// WriteRef makes a ref stand at new. old, where it is not "", is where it must stand
// now: [ErrMoved]. Another writer at the same moment: [ErrLocked].
func (r *Repo) WriteRef(name string, new, old OID) (err error) {
	if !RefName(name) || !new.Valid() {
		return fmt.Errorf("%w: %q to %q", ErrRef, name, new)
	}
	path := filepath.Join(r.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	lock, err := os.OpenFile(path+".lock", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %s", ErrLocked, name)
	} else if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(path + ".lock")
		}
	}()
	if old != "" {
		if now, _, err := r.ReadRef(name); err != nil || now != old {
			lock.Close()
			return errors.Join(err, fmt.Errorf("%w: %s", ErrMoved, name))
		}
	}
	_, err = lock.WriteString(string(new) + "\n")
	if !r.unflushed {
		err = errors.Join(err, lock.Sync())
	}
	err = errors.Join(err, lock.Close())
	if err != nil {
		return err
	}
	return os.Rename(path+".lock", path)
}

// DeleteRef takes a ref away that [Repo.WriteRef] wrote.
func (r *Repo) DeleteRef(name string) error {
	if !RefName(name) {
		return fmt.Errorf("%w: %q", ErrRef, name)
	}
	err := os.Remove(filepath.Join(r.dir, filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// ListRefs returns the refs below a prefix such as "refs/daypass/".
func (r *Repo) ListRefs(prefix string) (map[string]OID, error) {
	out, err := r.packed()
	if err != nil {
		return nil, err
	}
	if out == nil {
		out = map[string]OID{}
	}
	err = filepath.WalkDir(filepath.Join(r.dir, "refs"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(r.dir, path)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(rel)
		if !strings.HasPrefix(name, prefix) || !RefName(name) {
			return nil
		}
		oid, ok, err := r.ReadRef(name)
		if ok {
			out[name] = oid
		}
		return err
	})
	for name := range out {
		if !strings.HasPrefix(name, prefix) {
			delete(out, name)
		}
	}
	return out, err
}

// Shallow returns the commits whose parents the repository does not have.
func (r *Repo) Shallow() ([]OID, error) { return shallow(r.dir) }

func shallow(dir string) ([]OID, error) {
	text, err := os.ReadFile(filepath.Join(dir, "shallow"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []OID
	for line := range strings.Lines(string(text)) {
		if oid := OID(strings.TrimSpace(line)); oid.Valid() {
			out = append(out, oid)
		}
	}
	return out, err
}

// Borrowed returns the commits at which the histories of the alternates are cut, as
// the repositories say to which their objects belong.
func (r *Repo) Borrowed() ([]OID, error) {
	var out []OID
	for _, objects := range r.alternates {
		some, err := shallow(filepath.Dir(objects))
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return out, nil
}

// AddShallow adds commits to those.
func (r *Repo) AddShallow(oids ...OID) error {
	have, err := r.Shallow()
	if err != nil {
		return err
	}
	text := JoinShallow(have, oids)
	if text == nil {
		return nil
	}
	tmp := filepath.Join(r.dir, "shallow.new")
	if err := os.WriteFile(tmp, text, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(r.dir, "shallow"))
}

// JoinShallow is what a file "shallow" is to hold when commits are added to it; nil where
// all of them are in it.
func JoinShallow(have, add []OID) []byte {
	all := slices.Concat(have, add)
	slices.Sort(all)
	all = slices.Compact(all)
	if len(all) == len(have) {
		return nil
	}
	var text []byte
	for _, oid := range all {
		text = append(text, oid+"\n"...)
	}
	return text
}
