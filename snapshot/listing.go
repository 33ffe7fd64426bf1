package snapshot

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass"
)

// A piece is a file of a listing that can be delivered, and under which name.
type piece struct {
	daypass.Item
	path string // clean
	was  string // what the source calls it, where that is another; may hold anything
	why  string // it is another
}

// slash is what stands for a "/" within a name.
const slash = "\u2215"

// name gives each file of a listing a path of its own, by the listing alone, so that
// it is the same for all who read it. Names that can be delivered as they are go first,
// of two the file with the older id; a folder's name is the folder's. left is what has no
// name that could be delivered.
func name(items []daypass.Item) (pieces []piece, left []Stored) {
	folders := map[string]bool{}
	for _, it := range items {
		p, why := plain(it)
		if why != "" {
			left = append(left, Stored{Path: p.was, ID: it.ID, Size: max(it.Size, 0), Why: why})
			continue
		}
		for dir := path.Dir(p.path); dir != "."; dir = path.Dir(dir) {
			folders[dir] = true
		}
		pieces = append(pieces, p)
	}
	slices.SortStableFunc(pieces, func(a, b piece) int {
		return cmp.Or(strings.Compare(a.path, b.path), compareBool(a.why != "", b.why != ""), older(a.Item, b.Item))
	})
	taken, tried := map[string]bool{}, map[string]int{}
	var late []*piece
	for i := range pieces {
		p := &pieces[i]
		if folders[p.path] || taken[p.path] {
			late = append(late, p)
			continue
		}
		taken[p.path] = true
	}
	for _, p := range late {
		p.was, p.why = cmp.Or(p.was, p.path), cmp.Or(p.why, "another has its name")
		p.path = another(p.path, p.ID, tried, func(name string) bool { return folders[name] || taken[name] })
		taken[p.path] = true
	}
	return pieces, left
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// older tells which of two files is, by ids that count up; ids that do not are put in some
// order.
func older(a, b daypass.Item) int {
	if digits(a.ID) && digits(b.ID) {
		if c := cmp.Compare(len(a.ID), len(b.ID)); c != 0 {
			return c
		}
	}
	return cmp.Or(strings.Compare(a.ID, b.ID), strings.Compare(a.Sum, b.Sum), strings.Compare(a.Mark, b.Mark), cmp.Compare(a.Size, b.Size))
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// plain is the path that an item has where nothing else is in its way, or why it has
// none.
func plain(it daypass.Item) (piece, string) {
	raw := strings.Join(it.Parts, "/")
	p := piece{Item: it}
	parts := slices.Clone(it.Parts)
	for i, part := range parts {
		if strings.Contains(part, "/") {
			parts[i], p.why = strings.ReplaceAll(part, "/", slash), "its name held a slash"
		}
	}
	clean, why, ok := Name(strings.Join(parts, "/"))
	if !ok {
		p.was = bounded(raw)
		return p, why
	}
	p.path, p.why = clean, cmp.Or(p.why, why)
	if p.path != raw {
		p.was = bounded(raw)
	}
	return p, ""
}

// another is a name beside one that is taken, made from the file's id. tried is how
// far was counted for a name: thousands of files may have the same, and no id.
func another(name, id string, tried map[string]int, taken func(string) bool) string {
	dir, base := path.Split(name)
	ext := path.Ext(base)
	if len(ext) > 20 || ext == base {
		ext = ""
	}
	stem := strings.TrimSuffix(base, ext)
	sum := sha256.Sum256([]byte(id))
	signs := []string{hex.EncodeToString(sum[:4]), hex.EncodeToString(sum[:])}
	if id == "" {
		signs = nil
	} else if idSafe(id) {
		signs = slices.Insert(signs, 0, id[:min(8, len(id))])
	}
	for _, sign := range signs {
		if to := dir + fit(stem, " ("+sign+")"+ext); !taken(to) {
			return to
		}
	}
	for n := max(tried[name], 2); ; n++ {
		if to := dir + fit(stem, fmt.Sprintf(" (%d)%s", n, ext)); !taken(to) {
			tried[name] = n + 1
			return to
		}
	}
}

// idSafe reports whether an id may stand in a file's name.
func idSafe(id string) bool {
	return strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}

// fit puts an ending behind a name and keeps it short enough.
func fit(stem, end string) string {
	if len(stem)+len(end) <= MaxComponent {
		return stem + end
	}
	sum := sha256.Sum256([]byte(stem))
	end = "~" + hex.EncodeToString(sum[:4]) + end
	return strings.ToValidUTF8(stem[:MaxComponent-len(end)], "") + end
}

// pointerEnd ends the name of a file that stands for one that was left out.
const pointerEnd = ".daypass-pointer"

// pointer is the text of such a file.
func (p piece) pointer(why string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "This file was left out: it is %s.\n\nName:   %s\n", why, p.path)
	if p.Size >= 0 {
		fmt.Fprintf(&b, "Size:   %s (%d bytes)\n", bytesOf(p.Size), p.Size)
	}
	if p.Sum != "" {
		fmt.Fprintf(&b, "Sum:    %s\n", shown(p.Sum))
	}
	if p.Web != "" {
		fmt.Fprintf(&b, "Source: %s\n", shown(Redact(p.Web)))
	}
	fmt.Fprintf(&b, "\nTo have it here: daypass pull --include %s\n", quoted(p.path))
	return b.String()
}

// quoted writes a path as a shell takes it, and as a pattern that means only it.
func quoted(name string) string {
	name = strings.NewReplacer("*", `\*`, "?", `\?`, "[", `\[`, `\`, `\\`).Replace(name)
	if strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./") == "" && name[0] != '-' {
		return name
	}
	if name[0] == '-' {
		name = "./" + name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}

// Included reports whether a file is asked for by one of some patterns: each names a
// path, a folder above it, or a file's own name wherever it is, with path.Match's signs.
// "*" is all.
func Included(patterns []string, name string) bool {
	base := path.Base(name)
	for _, p := range patterns {
		p = path.Clean(p)
		for at := name; at != "."; at = path.Dir(at) {
			if ok, err := path.Match(p, at); err == nil && ok {
				return true
			}
		}
		if ok, err := path.Match(p, base); err == nil && ok {
			return true
		}
	}
	return false
}
