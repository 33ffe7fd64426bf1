package notebook

import (
	"slices"
	"strconv"
)

// value is text for a place in the result. foreign: it is laid out as the
// upstream's file is. Without text there is no such member.
type value struct {
	s       span
	foreign bool
}

// text lays a value out for a line of the given level.
func (m *merger) text(v value, level int) span {
	if v.foreign && m.restyle {
		return m.our.layout.relay(nil, v.s, level)
	}
	return v.s
}

// write puts the cells into the user's file; around them it stays as it is, but for
// the metadata and the format's minor number.
func (m *merger) write(cells []*node) []byte {
	type edit struct {
		at   [2]int
		text []byte
	}
	meta := m.notebookMeta()
	edits := []edit{{m.our.metaAt, m.text(meta, 1)}, {m.our.cellsAt, nil}}
	if m.minor != m.our.minor {
		edits = append(edits, edit{m.our.minorAt, strconv.AppendInt(nil, int64(m.minor), 10)})
	}
	slices.SortFunc(edits, func(a, b edit) int { return a.at[0] - b.at[0] })
	out := make([]byte, 0, len(m.our.raw)+len(m.their.raw)/4+1024)
	at := 0
	for _, e := range edits {
		out = append(out, m.our.raw[at:e.at[0]]...)
		if e.at == m.our.cellsAt {
			out = m.writeCells(out, cells)
		} else {
			out = append(out, e.text...)
		}
		at = e.at[1]
	}
	return append(out, m.our.raw[at:]...)
}

// writeCells keeps what stands between two cells that followed each other in the
// user's file, so that of a file where nothing came every byte stays.
func (m *merger) writeCells(out []byte, cells []*node) []byte {
	l, raw, all := m.our.layout, m.our.raw, m.our.cells
	if len(cells) == 0 {
		return append(out, "[]"...)
	}
	if first := cells[0].o; first != nil && first.place == 0 {
		out = append(out, raw[m.our.cellsAt[0]:first.at[0]]...)
	} else {
		out = l.line(append(out, '['), 2)
	}
	for i, n := range cells {
		if i > 0 {
			before := cells[i-1].o
			if before != nil && n.o != nil && n.o.place == before.place+1 {
				out = append(out, raw[before.at[1]:n.o.at[0]]...)
			} else {
				out = l.next(out, 2)
			}
		}
		out = m.writeCell(out, n)
	}
	if last := cells[len(cells)-1].o; last != nil && last.place == len(all)-1 {
		return append(out, raw[last.at[1]:m.our.cellsAt[1]]...)
	}
	return append(l.line(out, 1), ']')
}

// writeCell copies a cell that is as one side has it, and else puts it together
// from both sides' members, in the order of the user's.
func (m *merger) writeCell(out []byte, n *node) []byte {
	from, foreign := n.o, false
	if from == nil {
		from, foreign = n.t, true
	}
	var had []member
	untouched := !from.odd
	want := m.wants(n)
	if untouched {
		for _, w := range want {
			if v := from.member(w.name); m.restyle && w.foreign != foreign && len(w.s) > 0 || !equalSpan(v, w.s) {
				untouched = false
			}
		}
	}
	if untouched {
		return append(out, m.text(value{from.raw, foreign}, 2)...)
	}
	had = members(from.raw)
	for i, h := range had {
		had[i].val = m.text(value{h.val, foreign}, 3)
	}
	for _, w := range want {
		had = put(had, w.name, m.text(w.value, 3))
	}
	return m.our.layout.object(out, had, 2)
}

// equalSpan is by place and length first: most values are their own.
func equalSpan(a, b span) bool {
	if len(a) != len(b) {
		return false
	}
	return len(a) == 0 || &a[0] == &b[0] || string(a) == string(b)
}

func (c *cell) member(name string) span {
	switch name {
	case "attachments":
		return c.attached
	case "cell_type":
		return c.typed
	case "execution_count":
		return c.count
	case "id":
		return c.named
	case "metadata":
		return c.meta
	case "outputs":
		return c.outputs
	}
	return c.source
}

// put sets a member, or takes it away where val is empty. A new one stands before
// the first whose name is greater, as nbformat sorts them.
func put(ms []member, name string, val span) []member {
	for i := range ms {
		if ms[i].name != name {
			continue
		}
		if len(val) == 0 {
			return slices.Delete(ms, i, i+1)
		}
		ms[i].val = val
		return ms
	}
	if len(val) == 0 {
		return ms
	}
	at := len(ms)
	for i := range ms {
		if ms[i].name > name {
			at = i
			break
		}
	}
	return slices.Insert(ms, at, member{name, quote(name), val})
}

// quote writes a name that needs no escapes.
func quote(name string) span { return span(`"` + name + `"`) }

type wanted struct {
	name string
	value
}

// wants is what each member of a cell is in the result. A source brings its
// outputs: those of a source that went would lie about the new one. Where the
// source stays, the user's run stays, and an upstream's only where the user has not
// run the cell.
func (m *merger) wants(n *node) []wanted {
	src, foreign := n.o, false
	if n.take || n.o == nil {
		src, foreign = n.t, true
	}
	run, ran := src, foreign
	if n.o != nil && n.take && n.o.key == n.t.key {
		run, ran = n.o, false
	}
	if n.b != nil && n.o != nil && n.t != nil && n.o.key == n.b.key && n.t.key == n.b.key &&
		!same(n.t.outputs, n.b.outputs) && same(n.o.count, n.b.count) && same(n.o.outputs, n.b.outputs) {
		run, ran = n.t, true
	}
	out := make([]wanted, 0, 7)
	add := func(name string, v value) { out = append(out, wanted{name, v}) }
	add("cell_type", value{src.typed, foreign})
	add("source", value{src.source, foreign})
	add("metadata", or(m.cellMeta(n, ran), "{}"))
	if src.typ == "code" {
		add("outputs", or(value{run.outputs, ran}, "[]"))
		add("execution_count", or(value{run.count, ran}, "null"))
		add("attachments", value{})
	} else {
		add("outputs", value{})
		add("execution_count", value{})
		add("attachments", m.attachments(n))
	}
	id := value{}
	if n.id != "" {
		id.s = quote(n.id)
		if n.o == nil {
			id.foreign = true
		}
	}
	add("id", id)
	return out
}

// or is v, or a word that the format demands where there is no value.
func or(v value, word string) value {
	if len(v.s) == 0 {
		v.s = span(word)
	}
	return v
}
