package notebook

import (
	"bytes"
	"strings"
)

// node is one cell in up to three versions.
type node struct {
	b, o, t *cell
	bi, ti  int // places in the base and in the upstream's
	alive   bool
	why     Why
	take    bool   // the source is the upstream's
	id      string // in the result
	next    *node
	placed  bool
}

type merger struct {
	base, our, their *document
	ours, theirs     []*node // by place; of theirs, nil where a cell was twice
	minor            int
	restyle          bool // the upstream's file is laid out in another way
}

// Merge joins ours and theirs, which both come from base. The rules are in the
// package's comment. The error is ErrNot where one of the three is no notebook of
// format 4; bytes that are equal are passed on unread.
func Merge(base, ours, theirs []byte) (Result, error) {
	switch {
	case bytes.Equal(base, ours):
		return Result{Data: theirs}, nil
	case bytes.Equal(base, theirs), bytes.Equal(ours, theirs):
		return Result{Data: ours}, nil
	}
	m := &merger{}
	var err error
	for _, in := range []struct {
		to   **document
		data []byte
	}{{&m.base, base}, {&m.our, ours}, {&m.their, theirs}} {
		if *in.to, err = parse(in.data); err != nil {
			return Result{}, err
		}
	}
	m.minor = max(m.our.minor, m.their.minor)
	m.restyle = m.our.layout != m.their.layout
	m.match()
	for _, n := range m.all() {
		n.decide()
	}
	cells := m.order()
	m.name(cells)
	return m.result(cells), nil
}

// match makes nodes of the three lists of cells.
func (m *merger) match() {
	base := make([]*node, len(m.base.cells))
	for i, c := range m.base.cells {
		base[i] = &node{b: c, bi: i}
	}
	m.theirs = make([]*node, len(m.their.cells))
	al := align(m.base.cells, m.their.cells, false, nil, nil)
	for j, c := range m.their.cells {
		n := &node{}
		if i := al.ba[j]; i >= 0 {
			n = base[i]
		}
		n.t, n.ti = c, j
		m.theirs[j] = n
	}
	m.ours = make([]*node, len(m.our.cells))
	// A cell of the user's that is what the upstream made of a cell is that cell:
	// so a second merge finds what the first one brought.
	kept := make([]bool, len(base))
	for i, n := range base {
		kept[i] = n.t != nil
	}
	al = align(m.base.cells, m.our.cells, true, m.made(), kept)
	for j, c := range m.our.cells {
		n := &node{}
		if i := al.ba[j]; i >= 0 {
			n = base[i]
		}
		n.o = c
		m.ours[j] = n
	}
	m.matchNew()
}

// made is what the upstream made of each cell that it edited, by content, and what
// it made anew; contents that the base has too are no sign of either.
func (m *merger) made() map[string]int {
	was := index(m.base.cells, nil, content)
	like := make(map[string]int)
	for _, n := range m.theirs {
		k := content(n.t)
		if _, ok := was[k]; ok || k == "" {
			continue
		}
		i := -1
		if _, twice := like[k]; !twice && n.b != nil {
			i = n.bi
		}
		like[k] = i
	}
	return like
}

// all are the nodes that one of the two sides has, each once.
func (m *merger) all() []*node {
	out := append([]*node(nil), m.ours...)
	for _, n := range m.theirs {
		if n.o == nil {
			out = append(out, n)
		}
	}
	return out
}

// decide says whether a cell lives, and whose source it has.
func (n *node) decide() {
	n.alive = true
	switch {
	case n.b == nil && n.o == nil:
		n.why, n.take = New, true
	case n.b == nil && n.t == nil:
	case n.b == nil:
		if n.o.key != n.t.key {
			n.why = Kept
		}
	case n.o == nil:
		n.take = true
		n.alive = n.t.key != n.b.key || n.b.locked && n.t.locked
		if n.alive {
			n.why = Returned
		}
	case n.t == nil:
		n.alive = n.o.key != n.b.key || !same(n.o.attached, n.b.attached)
		n.why = Removed
		if n.alive {
			n.why = Stayed
		}
	default:
		n.decideSource()
	}
}

func (n *node) decideSource() {
	edited, updated := n.o.key != n.b.key, n.t.key != n.b.key
	switch {
	case !edited:
		n.take = updated || n.t.text != n.b.text
		if updated {
			n.why = Updated
		}
	case !updated || n.o.key == n.t.key:
	case n.b.locked && n.t.locked:
		n.why, n.take = Locked, true
	default:
		n.why = Kept
	}
}

// result writes the notebook and tells what happened.
func (m *merger) result(cells []*node) Result {
	var r Result
	for i, n := range cells {
		switch n.why {
		case New, Updated, Returned, Locked:
			r.Came++
		case Kept, Stayed:
			r.Kept++
		}
		if n.why != "" {
			r.Cells = append(r.Cells, n.tell(i))
		}
	}
	for _, n := range m.ours {
		if !n.alive {
			r.Removed++
			r.Cells = append(r.Cells, n.tell(-1))
		}
	}
	r.Data = m.write(cells)
	return r
}

func (n *node) tell(index int) Cell {
	c := Cell{Index: index, ID: n.id, Why: n.why}
	if n.o != nil {
		c.Type, c.Ours = n.o.typ, strings.ToValidUTF8(n.o.text, "\uFFFD")
	}
	if n.t != nil {
		c.Theirs = strings.ToValidUTF8(n.t.text, "\uFFFD")
		if n.o == nil || n.take {
			c.Type = n.t.typ
		}
	}
	return c
}
