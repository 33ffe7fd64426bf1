package plumbing

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Bounds of a walk: a few hundred bytes of trees that name one another can stand for
// a billion files.
const (
	MaxFiles = 1_000_000
	maxDepth = 512
)

// ErrTooMany is what a walk ends with that finds no end.
var ErrTooMany = errors.New("there are too many files")

// Tree reads one tree, in its own order and with whatever names.
func (o *Objects) Tree(tree OID) ([]Entry, error) {
	if tree == o.repo.Empty() {
		return nil, nil
	}
	kind, data, err := o.Read(tree)
	if err != nil {
		return nil, err
	}
	if kind != TreeKind {
		return nil, fmt.Errorf("%w: %s is a %s, no tree", ErrObject, tree, kind)
	}
	return parseTree(data, len(tree)/2)
}

// parseTree reads "MODE NAME\0ID" again and again; ids have size bytes.
func parseTree(data []byte, size int) ([]Entry, error) {
	var out []Entry
	for len(data) > 0 {
		space := bytes.IndexByte(data, ' ')
		end := bytes.IndexByte(data, 0)
		if space < 0 || space > 7 || end < space || len(data) < end+1+size {
			return nil, fmt.Errorf("%w: a tree is cut short", ErrObject)
		}
		mode := Mode(0)
		for _, c := range data[:space] {
			if c < '0' || c > '7' {
				return nil, fmt.Errorf("%w: a tree has the mode %q", ErrObject, data[:space])
			}
			mode = mode<<3 | Mode(c-'0')
		}
		out = append(out, Entry{Name: string(data[space+1 : end]), Mode: mode.canonical(), OID: hexOID(data[end+1 : end+1+size])})
		data = data[end+1+size:]
	}
	return out, nil
}

func hexOID(raw []byte) OID {
	const digits = "0123456789abcdef"
	var buf [64]byte
	for i, c := range raw {
		buf[2*i], buf[2*i+1] = digits[c>>4], digits[c&15]
	}
	return OID(buf[:2*len(raw)])
}

// canonical is the mode that git makes of what old tools wrote, such as 0100664.
func (m Mode) canonical() Mode {
	switch m &^ 0o7777 {
	case Regular &^ 0o7777:
		if m&0o100 != 0 {
			return Executable
		}
		return Regular
	case Directory:
		return Directory
	}
	return m
}

// Files returns all files below a tree, sorted by path as git's index is. More than
// [MaxFiles]: [ErrTooMany].
func (o *Objects) Files(tree OID) ([]File, error) { return o.FilesUpTo(tree, MaxFiles) }

// FilesUpTo is [Objects.Files] with another bound.
func (o *Objects) FilesUpTo(tree OID, limit int) ([]File, error) {
	if o.walked == tree && tree != "" && len(o.files) <= limit {
		return slices.Clone(o.files), nil
	}
	w := walk{o: o, limit: limit}
	if err := w.all("", tree, 0); err != nil {
		return nil, err
	}
	if !slices.IsSortedFunc(w.files, byPath) {
		slices.SortStableFunc(w.files, byPath)
	}
	o.walked, o.files = tree, w.files
	return slices.Clone(w.files), nil
}

func byPath(a, b File) int { return strings.Compare(a.Path, b.Path) }

type walk struct {
	o     *Objects
	files []File
	steps int // trees and files, since trees without files end no walk either
	limit int
}

func (w *walk) all(prefix string, tree OID, depth int) error {
	entries, err := w.o.Tree(tree)
	if err != nil {
		return err
	}
	if w.steps += 1 + len(entries); w.steps > 2*w.limit || depth > maxDepth {
		return ErrTooMany
	}
	for _, e := range entries {
		if e.Mode == Directory {
			if err := w.all(prefix+e.Name+"/", e.OID, depth+1); err != nil {
				return err
			}
			continue
		}
		if len(w.files) >= w.limit {
			return ErrTooMany
		}
		w.files = append(w.files, File{Path: prefix + e.Name, Mode: e.Mode, OID: e.OID})
	}
	return nil
}
