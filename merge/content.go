package merge

import (
	"bytes"
	"encoding/json"
	"path"
	"strings"

	"github.com/daypass-dev/daypass/merge/notebook"
)

// A Hunk is a place where both sides changed the same lines and the user's stand.
type Hunk struct {
	// First and Count say which lines of Data are the user's side; First is 1 for the
	// first line. Count may be 0: the user removed what upstream changed, and the
	// place is before line First.
	First, Count int
	// Base and Theirs are the lines, each with its end, that were delivered there and
	// that upstream has now.
	Base, Theirs []byte
}

// A Result is one file, merged.
type Result struct {
	Kind   string // "text", "notebook" or "binary"
	Data   []byte
	Kept   int    // the places where the user's side stands and upstream's does not
	Came   int    // the places where upstream's arrived
	Hidden []Hunk // upstream's side of what was kept, for text
	Cells  []notebook.Cell
	Same   bool // Data is what the user has
}

const (
	// MaxText is the most bytes that one version of a text may have to be merged by
	// lines; a larger one is binary.
	MaxText = 16 << 20
	// MaxLines is the same for lines.
	MaxLines = 1 << 20
	// MaxNotebook is the same for notebooks, which hold pictures.
	MaxNotebook = 64 << 20
	// maxWork bounds the search for differences; a second's, about. Beyond it, places
	// become larger than they need be.
	maxWork = 1 << 27
)

// Text merges by lines, byte for byte as git merge-file --ours does: where both sides
// changed the same lines the user's stand, and upstream's are in Hidden. A version
// with a zero byte, or above [MaxText] bytes or [MaxLines] lines, is binary: where
// both changed one, the user's stands.
func Text(base, ours, theirs []byte) Result {
	r := Result{Kind: "text", Data: ours, Same: true}
	if binary(base) || binary(ours) || binary(theirs) {
		r.Kind = "binary"
	}
	switch {
	case bytes.Equal(ours, theirs), bytes.Equal(base, theirs):
		return r
	case bytes.Equal(base, ours):
		r.Data, r.Came, r.Same = theirs, 1, false
		return r
	case r.Kind == "binary":
		r.Kept = 1
		return r
	}
	return text(base, ours, theirs, maxWork)
}

func binary(data []byte) bool {
	return len(data) > MaxText || bytes.IndexByte(data, 0) >= 0 || bytes.Count(data, []byte{'\n'}) > MaxLines
}

func text(base, ours, theirs []byte, work int) Result {
	c := classes{}
	m := merger{base: c.cut(base), ours: c.cut(ours), theirs: c.cut(theirs)}
	n := len(c)
	m.join(diff(m.base.class, m.ours.class, n, &work), diff(m.base.class, m.theirs.class, n, &work))
	r := m.result()
	r.Same = bytes.Equal(r.Data, ours)
	return r
}

// who says whose change a place is.
type who int

const (
	both who = iota
	user
	upstream
)

// A place is where something changed: lines of the base and what they are on either side.
type place struct {
	who             who
	base, nBase     int
	ours, nOurs     int
	theirs, nTheirs int
}

// A merger joins two lists of changes of one base.
type merger struct {
	base, ours, theirs lines
	places             []place
}

// join walks both lists from the top. Changes that overlap or touch become one
// place of both, unless they are the same change.
func (m *merger) join(a, b []change) {
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].old+a[0].n < b[0].old:
			m.add(place{user, a[0].old, a[0].n, a[0].new, a[0].m, m.opposite(b, a[0].old, m.theirs), a[0].n})
			a = a[1:]
			continue
		case len(a) == 0 || b[0].old+b[0].n < a[0].old:
			m.add(place{upstream, b[0].old, b[0].n, m.opposite(a, b[0].old, m.ours), b[0].n, b[0].new, b[0].m})
			b = b[1:]
			continue
		}
		x, y := a[0], b[0]
		if !m.same(x, y) {
			first, end := min(x.old, y.old), max(x.old+x.n, y.old+y.n)
			p := place{who: both, base: first, nBase: end - first, ours: x.new - (x.old - first), theirs: y.new - (y.old - first)}
			p.nOurs = x.new + x.m + (end - x.old - x.n) - p.ours
			p.nTheirs = y.new + y.m + (end - y.old - y.n) - p.theirs
			m.add(p)
		}
		if x.old+x.n >= y.old+y.n {
			b = b[1:]
		}
		if x.old+x.n <= y.old+y.n {
			a = a[1:]
		}
	}
}

// opposite is where an unchanged line of the base is on the side whose next changes are rest.
func (m *merger) opposite(rest []change, line int, side lines) int {
	if len(rest) > 0 {
		return line + rest[0].new - rest[0].old
	}
	return line + side.count() - m.base.count()
}

// same reports whether both sides made one and the same change.
func (m *merger) same(x, y change) bool {
	return x.old == y.old && x.n == y.n && x.m == y.m && m.ours.span(x.new, x.m) == m.theirs.span(y.new, y.m)
}

// add appends a place, or widens the last where they touch.
func (m *merger) add(p place) {
	if len(m.places) > 0 {
		l := &m.places[len(m.places)-1]
		if p.ours <= l.ours+l.nOurs || p.theirs <= l.theirs+l.nTheirs {
			if l.who != p.who {
				l.who = both
			}
			l.nBase, l.nOurs, l.nTheirs = p.base+p.nBase-l.base, p.ours+p.nOurs-l.ours, p.theirs+p.nTheirs-l.theirs
			return
		}
	}
	m.places = append(m.places, p)
}

func (m *merger) result() Result {
	r := Result{Kind: "text"}
	var out strings.Builder
	line, at := 1, 0 // the next line of the result, of the user's
	for _, p := range m.places {
		out.WriteString(m.ours.span(at, p.ours-at))
		line += p.ours - at
		at = p.ours + p.nOurs
		if p.who == upstream {
			out.WriteString(m.theirs.span(p.theirs, p.nTheirs))
			line += p.nTheirs
			r.Came++
			continue
		}
		out.WriteString(m.ours.span(p.ours, p.nOurs))
		if h, ok := m.hidden(p, line); ok && p.who == both {
			r.Hidden = append(r.Hidden, h)
		}
		line += p.nOurs
	}
	out.WriteString(m.ours.span(at, m.ours.count()-at))
	r.Data, r.Kept = []byte(out.String()), len(r.Hidden)
	return r
}

// hidden is upstream's side of a place, without what both have alike at its top and
// bottom; false where nothing of upstream's is missing.
func (m *merger) hidden(p place, line int) (Hunk, bool) {
	ours := m.ours.class[p.ours : p.ours+p.nOurs]
	theirs := m.theirs.class[p.theirs : p.theirs+p.nTheirs]
	h := Hunk{Base: []byte(m.base.span(p.base, p.nBase))}
	for len(ours) > 0 && len(theirs) > 0 && ours[0] == theirs[0] {
		ours, theirs = ours[1:], theirs[1:]
		line, p.theirs = line+1, p.theirs+1
	}
	for len(ours) > 0 && len(theirs) > 0 && ours[len(ours)-1] == theirs[len(theirs)-1] {
		ours, theirs = ours[:len(ours)-1], theirs[:len(theirs)-1]
	}
	h.First, h.Count = line, len(ours)
	h.Theirs = []byte(m.theirs.span(p.theirs, len(theirs)))
	return h, len(theirs) > 0 || p.nBase > 0 && len(ours) > 0
}

// Content merges three versions of a file by what it is: a notebook by its cells,
// text by lines; of anything else the user's is kept. base may be nil: there was none.
func Content(name string, base, ours, theirs []byte) Result {
	if !strings.EqualFold(path.Ext(name), ".ipynb") || max(len(base), len(ours), len(theirs)) > MaxNotebook {
		return Text(base, ours, theirs)
	}
	if bytes.Equal(base, ours) || bytes.Equal(base, theirs) || bytes.Equal(ours, theirs) {
		r := Text(base, ours, theirs)
		r.Kind = "notebook"
		return r
	}
	n, err := notebook.Merge(base, ours, theirs)
	if err == nil {
		return Result{Kind: "notebook", Data: n.Data, Kept: n.Kept, Came: n.Came + n.Removed, Cells: n.Cells, Same: bytes.Equal(n.Data, ours)}
	}
	r := Text(base, ours, theirs)
	if !json.Valid(r.Data) || notebook.Valid(ours) == nil && notebook.Valid(r.Data) != nil {
		// Lines would leave the user with something that does not open.
		return Result{Kind: r.Kind, Data: ours, Kept: 1, Same: true}
	}
	return r
}
