package clone

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass/internal/plumbing"
)

// errRef says that a ref's file holds what git would not read.
var errRef = errors.New("a broken ref")

// maxChain is how many symbolic refs git follows (refs.c, SYMREF_MAXDEPTH).
const maxChain = 5

// disk is where a ref is kept: HEAD and its kind are each work tree's own, and so are
// some folders (git-worktree(1), "Refs").
func (c *Clone) disk(name string) *disk {
	for _, own := range []string{"refs/bisect/", "refs/worktree/", "refs/rewritten/"} {
		if strings.HasPrefix(name, own) {
			return c.git
		}
	}
	if strings.HasPrefix(name, "refs/") {
		return c.common
	}
	return c.git
}

// A place is what one ref holds: the name of another, or a commit.
type place struct {
	target string
	oid    plumbing.OID
}

// valid reports whether an OID is one of this repository.
func (c *Clone) valid(oid plumbing.OID) bool { return len(oid) == c.size && oid.Valid() }

// loose reads a ref's own file.
func (c *Clone) loose(name string) (place, bool, error) {
	d := c.disk(name)
	kind, ok, err := d.kind(name)
	if err != nil || !ok || kind == fs.ModeDir {
		return place{}, false, err
	}
	if kind == fs.ModeSymlink { // the old form of a symbolic ref
		target, err := d.root.Readlink(name)
		if err != nil || !plumbing.RefName(target) {
			return place{}, false, errors.Join(fmt.Errorf("%w: %s", errRef, name), err)
		}
		return place{target: target}, true, nil
	}
	data, err := d.read(name, 1<<16)
	if errors.Is(err, fs.ErrNotExist) {
		return place{}, false, nil
	}
	if err != nil {
		return place{}, false, err
	}
	if rest, ok := bytes.CutPrefix(data, []byte("ref:")); ok {
		target := string(bytes.Trim(rest, " \t\r\n"))
		if !plumbing.RefName(target) {
			return place{}, false, fmt.Errorf("%w: %s", errRef, name)
		}
		return place{target: target}, true, nil
	}
	if len(data) < c.size || len(data) > c.size && !space(data[c.size]) {
		return place{}, false, fmt.Errorf("%w: %s", errRef, name)
	}
	oid := plumbing.OID(bytes.ToLower(data[:c.size]))
	if !oid.Valid() {
		return place{}, false, fmt.Errorf("%w: %s", errRef, name)
	}
	return place{oid: oid}, true, nil
}

// packed returns what packed-refs says of the names for which want is true.
func (c *Clone) packed(want func(name string) bool) (map[string]plumbing.OID, error) {
	data, err := c.common.read("packed-refs", maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := map[string]plumbing.OID{}
	for line := range bytes.Lines(data) {
		line = bytes.TrimRight(line, "\n")
		if len(line) < c.size+2 || line[0] == '#' || line[0] == '^' || !space(line[c.size]) {
			continue
		}
		name := string(line[c.size+1:])
		if !want(name) {
			continue
		}
		oid := plumbing.OID(line[:c.size])
		if !oid.Valid() {
			return nil, fmt.Errorf("%w: %s in packed-refs", errRef, name)
		}
		out[name] = oid
	}
	return out, nil
}

// resolve follows a ref to the last one, which need not exist.
func (c *Clone) resolve(name string) (last string, oid plumbing.OID, ok bool, err error) {
	for range maxChain + 1 {
		at, ok, err := c.loose(name)
		if err != nil {
			return name, "", false, err
		}
		if !ok {
			packed, err := c.packed(func(n string) bool { return n == name })
			oid, ok := packed[name]
			return name, oid, ok, err
		}
		if at.target == "" {
			return name, at.oid, true, nil
		}
		name = at.target
	}
	return name, "", false, fmt.Errorf("%w: %s leads on and on", errRef, name)
}

// Ref returns what a ref names, through symbolic refs; loose before packed.
func (c *Clone) Ref(name string) (plumbing.OID, bool, error) {
	if !plumbing.RefName(name) && !pseudo(name) {
		return "", false, fmt.Errorf("%w: %q is no ref's name", errRef, name)
	}
	_, oid, ok, err := c.resolve(name)
	return oid, ok, err
}

// pseudo reports whether a name is of HEAD's kind, beside refs/.
func pseudo(name string) bool {
	for _, b := range []byte(name) {
		if (b < 'A' || b > 'Z') && b != '_' {
			return false
		}
	}
	return name == "HEAD" || strings.HasSuffix(name, "_HEAD")
}

// head reads HEAD: where it points to, and what it holds itself.
func (c *Clone) head() (Head, place, error) {
	at, ok, err := c.loose("HEAD")
	if err == nil && !ok {
		err = &fs.PathError{Op: "read", Path: c.git.full("HEAD"), Err: fs.ErrNotExist}
	}
	if err != nil {
		return Head{}, at, err
	}
	if at.target == "" {
		return Head{Commit: at.oid, Detached: true}, at, nil
	}
	name, oid, ok, err := c.resolve(at.target)
	return Head{Branch: name, Commit: oid, Unborn: !ok}, at, err
}

// Head returns where HEAD points to.
func (c *Clone) Head() (Head, error) {
	h, _, err := c.head()
	return h, err
}

// Log returns the values that a ref had by its reflog, the newest first, without
// zeros; none where no log is kept.
func (c *Clone) Log(ref string) ([]plumbing.OID, error) {
	changes, err := c.Changes(ref)
	var out []plumbing.OID
	for _, change := range changes {
		if !zero(change.New) {
			out = append(out, change.New)
		}
	}
	return out, err
}

// A Change is a line of a reflog (gitglossary(7)); zeros stand for a ref that was not
// there, or is not any more.
type Change struct {
	Old, New plumbing.OID
	Message  string // as git wrote it: "commit (amend): week 2"
}

// Changes returns what happened to a ref by its reflog, the newest first; none where no
// log is kept.
func (c *Clone) Changes(ref string) ([]Change, error) {
	if !plumbing.RefName(ref) && !pseudo(ref) {
		return nil, fmt.Errorf("%w: %q is no ref's name", errRef, ref)
	}
	data, err := c.disk(ref).read("logs/"+ref, maxFile)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errKind) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []Change
	for _, line := range slices.Backward(bytes.Split(data, []byte("\n"))) {
		if len(line) < 2*c.size+2 || line[c.size] != ' ' || line[2*c.size+1] != ' ' {
			continue
		}
		_, message, _ := bytes.Cut(line, []byte("\t"))
		change := Change{Old: plumbing.OID(line[:c.size]), New: plumbing.OID(line[c.size+1 : 2*c.size+1]), Message: string(message)}
		if change.Old.Valid() && change.New.Valid() {
			out = append(out, change)
		}
	}
	return out, nil
}

func zero(oid plumbing.OID) bool { return strings.Trim(string(oid), "0") == "" }

// Shallow returns the commits whose parents are not there.
func (c *Clone) Shallow() ([]plumbing.OID, error) {
	data, err := c.common.read("shallow", maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []plumbing.OID
	for line := range strings.Lines(string(data)) {
		oid := plumbing.OID(strings.TrimRight(line, "\n"))
		if !c.valid(oid) {
			return nil, fmt.Errorf("%s holds a line that names no commit", c.common.full("shallow"))
		}
		out = append(out, oid)
	}
	return out, nil
}
