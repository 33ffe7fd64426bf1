package merge

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// A disk is a folder in memory that carries out steps one by one, and refuses what a
// careful program would: to overwrite what it was not told of.
type disk struct {
	fold  bool
	files map[string]node // by key; mode 0 stands for something that is no file
	dirs  map[string]bool // by key
}

func newDisk(fold bool) *disk {
	return &disk{fold: fold, files: map[string]node{}, dirs: map[string]bool{}}
}

func (d *disk) key(p string) string { return Input{Fold: d.fold}.key(p) }

func (d *disk) clone() *disk {
	return &disk{d.fold, maps.Clone(d.files), maps.Clone(d.dirs)}
}

func (d *disk) kind(p string) string {
	k := d.key(p)
	f, ok := d.files[k]
	switch {
	case ok && f.Mode == Symlink:
		return "link"
	case ok && !f.isFile():
		return "other"
	case ok:
		return "file"
	case d.dirs[k]:
		return "dir"
	}
	return ""
}

func (d *disk) at(p string) Entry {
	if f := d.files[d.key(p)]; f.isFile() {
		return f.Entry
	}
	return Entry{}
}

func (d *disk) under(dir string) []string {
	var out []string
	in := d.key(dir) + "/"
	for k, f := range d.files {
		if strings.HasPrefix(k, in) {
			out = append(out, f.path)
		}
	}
	for k := range d.dirs {
		if strings.HasPrefix(k, in) && d.empty(k) {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

func (d *disk) empty(k string) bool {
	for f := range d.files {
		if strings.HasPrefix(f, k+"/") {
			return false
		}
	}
	for f := range d.dirs {
		if strings.HasPrefix(f, k+"/") {
			return false
		}
	}
	return true
}

// write puts a file, and makes the folders above it.
func (d *disk) write(p string, e Entry) error {
	for dir := range above(p) {
		switch d.kind(dir) {
		case "":
			d.dirs[d.key(dir)] = true
		case "dir":
		default:
			return fmt.Errorf("%s is in the way of %s", dir, p)
		}
	}
	if d.kind(p) == "dir" {
		return fmt.Errorf("%s is a folder", p)
	}
	d.files[d.key(p)] = node{p, e}
	return nil
}

func (d *disk) remove(p string) {
	delete(d.files, d.key(p))
	for dir := path.Dir(p); dir != "." && d.empty(d.key(dir)); dir = path.Dir(dir) {
		delete(d.dirs, d.key(dir))
	}
}

func (d *disk) do(s Step) error {
	place := s.Path
	if s.Do == Move || s.Do == Aside {
		place = s.From
	}
	if s.Do != Skip && d.at(place) != s.Ours {
		return fmt.Errorf("%s has %v", place, d.at(place))
	}
	switch s.Do {
	case Take, Restore:
		return d.write(s.Path, Entry{s.Mode, s.Theirs.OID})
	case Delete:
		d.remove(s.Path)
	case Merge:
		return d.write(s.Path, Entry{s.Mode, merged(s.Base.OID, s.Ours.OID, s.Theirs.OID)})
	case Chmod:
		return d.write(s.Path, Entry{s.Mode, s.Ours.OID})
	case Move:
		if d.key(s.From) != d.key(s.Path) && d.kind(s.Path) != "" {
			return fmt.Errorf("%s is taken", s.Path)
		}
		d.remove(s.From)
		return d.write(s.Path, s.Ours)
	case Aside:
		return d.aside(s.From, s.Path)
	}
	return nil
}

func merged(b, o, t string) string { return o + "+" + t }

func (d *disk) aside(from, to string) error {
	if d.kind(from) == "" || d.kind(to) != "" {
		return fmt.Errorf("%s is %q, %s is %q", from, d.kind(from), to, d.kind(to))
	}
	if path.Dir(from) != path.Dir(to) {
		return fmt.Errorf("another folder")
	}
	f, t := d.key(from), d.key(to)
	for k, n := range maps.Clone(d.files) {
		if k == f || strings.HasPrefix(k, f+"/") {
			delete(d.files, k)
			n.path = to + n.path[len(from):]
			d.files[t+k[len(f):]] = n
		}
	}
	for k := range maps.Clone(d.dirs) {
		if k == f || strings.HasPrefix(k, f+"/") {
			delete(d.dirs, k)
			d.dirs[t+k[len(f):]] = true
		}
	}
	return nil
}

// input is what a plan is asked for this disk.
func (d *disk) input(base, theirs map[string]Entry) Input {
	in := Input{Base: base, Theirs: theirs, Ours: d.at, Prefix: d.kind, Under: d.under, Fold: d.fold, Stamp: "20260102030405"}
	for p, e := range base {
		if d.at(p) != e {
			in.Changed = append(in.Changed, p)
		}
	}
	slices.Sort(in.Changed)
	return in
}
