package merge

import (
	"maps"
	"path"
	"slices"
)

// followRenames finds for each file that the user changed where upstream moved it. What
// the user did not change needs no such care: it goes here and comes there.
func (p *planner) followRenames() {
	p.spelled()
	for _, from := range slices.Sorted(maps.Keys(p.Renames)) {
		b, ok := p.base[p.key(from)]
		t, arrives := p.theirs[p.key(p.Renames[from])]
		if ok && arrives && p.key(b.path) != p.key(t.path) && p.edited(b) {
			p.follow(b, t)
		}
	}
	var edited []node
	for _, k := range p.gone {
		if b := p.base[k]; !p.vacated[k] && b.isRegular() && p.edited(b) {
			edited = append(edited, b)
		}
	}
	if len(edited) > 0 {
		p.likely(edited)
	}
}

// spelled follows a name of which upstream changed only the case, on a disk where that
// is one file.
func (p *planner) spelled() {
	for _, k := range p.common {
		b, t := p.base[k], p.theirs[k]
		if b.path != t.path && p.ours(b) != (Entry{}) {
			p.follow(b, t)
		}
	}
}

func (p *planner) edited(b node) bool {
	o := p.ours(b)
	return o != b.Entry && o != Entry{}
}

// follow makes a rename, unless another came first, or the user has at the new place
// what upstream has.
func (p *planner) follow(b, t node) bool {
	from, to := p.key(b.path), p.key(t.path)
	if p.vacated[from] || p.claimed[to] || from != to && p.ours(t) == t.Entry {
		return false
	}
	p.vacated[from], p.claimed[to] = true, true
	p.moves = append(p.moves, rename{b, t})
	return true
}

// likely asks which new file of upstream's came from which that it removed: the same
// content first, then what is similar, those of one name before others.
func (p *planner) likely(edited []node) {
	var fresh []node
	content, name := map[string][]node{}, map[string][]node{}
	for _, k := range p.new {
		if t := p.theirs[k]; t.isRegular() {
			fresh = append(fresh, t)
			content[t.OID] = append(content[t.OID], t)
			name[path.Base(t.path)] = append(name[path.Base(t.path)], t)
		}
	}
	sameName := func(b, t node) bool { return path.Base(b.path) == path.Base(t.path) }
	sameKind := func(b, t node) bool { return path.Ext(b.path) == path.Ext(t.path) }
	any := func(b, t node) bool { return true }
	asked := 0
	similar := func(b, t node) bool {
		asked++
		return p.Similar(b.Entry, t.Entry)
	}
	for _, is := range []func(b, t node) bool{sameName, sameKind, any} {
		for _, b := range edited {
			p.find(b, content[b.OID], is)
		}
	}
	if p.Similar == nil {
		return
	}
	for _, b := range edited {
		p.find(b, name[path.Base(b.path)], func(b, t node) bool { return asked < MaxSimilar && similar(b, t) })
	}
	otherKind := func(b, t node) bool { return !sameKind(b, t) }
	for _, way := range []func(b, t node) bool{sameKind, otherKind} {
		for _, b := range edited {
			if asked < MaxSimilar {
				p.find(b, fresh, func(b, t node) bool { return asked < MaxSimilar && !sameName(b, t) && way(b, t) && similar(b, t) })
			}
		}
	}
}

func (p *planner) find(b node, fresh []node, is func(b, t node) bool) {
	for _, t := range fresh {
		if p.vacated[p.key(b.path)] {
			return
		}
		if !p.claimed[p.key(t.path)] && is(b, t) {
			p.follow(b, t)
		}
	}
}
