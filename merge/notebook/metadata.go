package notebook

import "slices"

// maxFields is how deep metadata is merged by fields; below, values are whole.
const maxFields = 8

// fields merges values three-way: what one side alone changed is that side's; what
// both changed goes by fields where both are objects, by words where both are tags,
// and is the user's else, but for what upstream names.
type fields struct {
	m        *merger
	upstream []string // names whose clashes the upstream wins, whole
	theirs   []string // names that are the upstream's in any case
	ours     []string // names that are the user's where the user has them
}

func (f fields) merge(b, o, t span, level, depth int) value {
	switch {
	case same(o, t), same(b, t):
		return value{s: o}
	case same(b, o):
		return value{t, true}
	case depth == 0 || len(o) == 0 || len(t) == 0 || o[0] != '{' || t[0] != '{':
		return value{s: o}
	}
	return f.by(b, o, t, level, depth)
}

// by merges two objects field by field.
func (f fields) by(b, o, t span, level, depth int) value {
	bm, om, tm := members(b), members(o), members(t)
	in := func(ms []member) map[string]span {
		at := make(map[string]span, len(ms))
		for _, m := range ms {
			at[m.name] = m.val
		}
		return at
	}
	inB, inO, inT := in(bm), in(om), in(tm)
	all := slices.Clone(om)
	for _, x := range tm {
		if _, ok := inO[x.name]; !ok {
			all = insert(all, x)
		}
	}
	changed := false
	out := all[:0]
	for _, x := range all {
		v := f.field(x.name, inB[x.name], inO[x.name], inT[x.name], level+1, depth-1)
		changed = changed || v.foreign || !equalSpan(v.s, inO[x.name])
		if len(v.s) > 0 {
			out = append(out, member{x.name, x.key, f.m.text(v, level+1)})
		}
	}
	if !changed {
		return value{s: o}
	}
	return value{s: f.m.our.layout.object(nil, out, level)}
}

func (f fields) field(name string, b, o, t span, level, depth int) value {
	if slices.Contains(f.theirs, name) {
		return f.m.prefer(t, o)
	}
	if slices.Contains(f.ours, name) {
		if len(o) == 0 && len(b) == 0 {
			return value{t, true}
		}
		return value{s: o}
	}
	if slices.Contains(f.upstream, name) && !same(b, t) {
		return f.m.prefer(t, o)
	}
	if name == "tags" && !same(b, o) && !same(b, t) && len(o) > 0 && len(t) > 0 && o[0] == '[' && t[0] == '[' {
		return f.m.tags(b, o, t, level)
	}
	return f.merge(b, o, t, level, depth)
}

// prefer is t, as the user's file writes it where it says the same.
func (m *merger) prefer(t, o span) value {
	if same(t, o) {
		return value{s: o}
	}
	return value{t, true}
}

// tags are the user's, with those that the upstream added and without those that
// it took away.
func (m *merger) tags(b, o, t span, level int) value {
	was, is := texts(b), texts(t)
	var out []span
	have := make(map[string]bool)
	for _, e := range elements(o) {
		s, ok := str(e)
		if ok && (was[s] && !is[s] || have[s]) {
			continue
		}
		have[s] = true
		out = append(out, e)
	}
	for _, e := range elements(t) {
		if s, ok := str(e); ok && !was[s] && !have[s] {
			have[s] = true
			out = append(out, e)
		}
	}
	if len(out) == 0 {
		return value{s: span("[]")}
	}
	l := m.our.layout
	text := l.line([]byte{'['}, level+1)
	for i, e := range out {
		if i > 0 {
			text = l.next(text, level+1)
		}
		text = append(text, e...)
	}
	v := value{s: append(l.line(text, level), ']')}
	if same(v.s, o) {
		v.s = o
	}
	return v
}

func texts(list span) map[string]bool {
	out := make(map[string]bool)
	for _, e := range elements(list) {
		if s, ok := str(e); ok {
			out[s] = true
		}
	}
	return out
}

// insert puts a member where its name sorts; into a long list, at its end.
func insert(ms []member, x member) []member {
	at := len(ms)
	if at > 1000 {
		return append(ms, x)
	}
	for i := range ms {
		if ms[i].name > x.name {
			at = i
			break
		}
	}
	return slices.Insert(ms, at, x)
}

// cellMeta merges a cell's metadata. What an instructor's tools say (nbgrader's
// data, whether a cell may be edited or deleted) is the upstream's where it changed
// it. With the upstream's outputs go its notes on when they were made.
func (m *merger) cellMeta(n *node, ran bool) value {
	switch {
	case n.o == nil:
		return value{n.t.meta, true}
	case n.t == nil:
		return value{s: n.o.meta}
	}
	f := fields{m: m, upstream: []string{"nbgrader", "deletable", "editable"}}
	if ran {
		f.theirs = []string{"ExecuteTime", "execution", "executionInfo", "outputId"}
	}
	return f.whole(n.base().meta, n.o.meta, n.t.meta, 3)
}

// whole merges two objects by fields even where one side alone changed them, if
// there are names with rules of their own.
func (f fields) whole(b, o, t span, level int) value {
	if len(f.theirs) == 0 {
		return f.merge(b, o, t, level, maxFields)
	}
	if len(o) == 0 || len(t) == 0 || same(o, t) {
		return f.merge(b, o, t, level, maxFields)
	}
	return f.by(b, o, t, level, maxFields)
}

// base is the cell that both sides come from; one without anything where there is
// none.
func (n *node) base() *cell {
	if n.b == nil {
		return &cell{}
	}
	return n.b
}

// notebookMeta merges the notebook's metadata. The kernel is one thing: a name that
// the upstream changed and the user did not brings its whole kernel, and its
// language; else the user's machine knows best which it runs.
func (m *merger) notebookMeta() value {
	b, o, t := m.base.meta, m.our.meta, m.their.meta
	if same(o, t) {
		return value{s: o}
	}
	f := fields{m: m}
	was, is, new := kernel(b), kernel(o), kernel(t)
	if is == was && new != was {
		f.theirs = []string{"kernelspec", "language_info"}
	} else {
		f.ours = []string{"kernelspec", "language_info"}
	}
	return f.by(b, o, t, 1, maxFields)
}

func kernel(meta span) string {
	name, _ := str(get(members(get(members(meta), "kernelspec")), "name"))
	return name
}

// attachments belong to the source that names them: the upstream's come with its
// source, and where the user's own source stays, none of the user's goes.
func (m *merger) attachments(n *node) value {
	switch {
	case n.o == nil, n.t != nil && n.take:
		return value{n.t.attached, true}
	case n.t == nil:
		return value{s: n.o.attached}
	}
	was := n.base().attached
	if n.why == Kept {
		was = nil
	}
	return fields{m: m}.merge(was, n.o.attached, n.t.attached, 3, maxFields)
}
