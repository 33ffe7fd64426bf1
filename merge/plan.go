package merge

import (
	"errors"
	"maps"
	"slices"
	"strings"
)

// Plan says what is to be done to bring a folder from Base to Theirs and lose nothing
// of the user's. The steps can be carried out one after the other: none
// overwrites what a later one needs. Steps that change nothing come first.
//
// What both sides changed is merged; what only one changed is theirs. What the user
// removed comes back as upstream has it now. What upstream removed goes, unless the
// user changed it. What is in the way of upstream's files moves aside.
func Plan(in Input) ([]Step, error) {
	if in.Ours == nil || in.Prefix == nil || in.Under == nil {
		return nil, errors.New("merge: a plan needs to know what is on the disk")
	}
	p := &planner{Input: in, disk: map[string]Entry{}, vacated: map[string]bool{}, claimed: map[string]bool{}}
	for _, path := range in.Leaves {
		p.vacated[p.key(path)] = true
	}
	p.Adopt = in.Adopt && len(in.Base) == 0
	var left, before []Step
	p.base, before = in.tree(in.Base)
	p.theirs, left = in.tree(in.Theirs)
	p.skip(left, before)
	p.sort()
	p.followRenames()
	p.removed()
	p.renamed()
	p.both()
	p.added()
	p.makeRoom()
	return p.order(), nil
}

// A planner collects what is to happen, by the part of the order that it belongs to.
type planner struct {
	Input
	base, theirs tree
	disk         map[string]Entry // answers of Ours, by key
	gone, new    []string         // keys that Base or Theirs alone has, sorted
	common       []string         // keys that both have, and where something may be due
	moves        []rename
	claimed      map[string]bool // keys of Theirs that a rename arrives at
	vacated      map[string]bool // keys whose file leaves before anything is written
	quiet        []Step          // Keep, Adopt, Skip
	deletes      []Step
	asides       []Step
	writes       []Step
	names        map[string]bool // keys that a new name must not have, once asked
}

// A rename is a file of the user's that follows upstream's new name.
type rename struct{ from, to node }

func (p *planner) ours(n node) Entry {
	k := p.key(n.path)
	e, ok := p.disk[k]
	if !ok {
		e = p.Ours(n.path)
		p.disk[k] = e
	}
	return e
}

// skip reports what this disk cannot have, once.
func (p *planner) skip(left, before []Step) {
	known := map[string]Entry{}
	for _, s := range before {
		known[s.Path] = s.Theirs
	}
	for _, s := range left {
		if known[s.Path] != s.Theirs {
			p.quiet = append(p.quiet, s)
		}
	}
}

// sort tells apart where something may be due.
func (p *planner) sort() {
	look := map[string]bool{}
	for _, path := range p.Changed {
		look[p.key(path)] = true
	}
	for k, b := range p.base {
		if t, ok := p.theirs[k]; !ok {
			p.gone = append(p.gone, k)
		} else if b != t || look[k] {
			p.common = append(p.common, k)
		}
	}
	for k := range p.theirs {
		if _, ok := p.base[k]; !ok {
			p.new = append(p.new, k)
		}
	}
	slices.Sort(p.gone)
	slices.Sort(p.common)
	slices.Sort(p.new)
}

// removed goes through what upstream no longer has.
func (p *planner) removed() {
	for _, k := range p.gone {
		b := p.base[k]
		switch o := p.ours(b); {
		case p.vacated[k], o == Entry{}:
		case o == b.Entry:
			p.deletes = append(p.deletes, Step{Do: Delete, Path: b.path, Base: b.Entry, Ours: o})
			p.vacated[k] = true
		default:
			p.quiet = append(p.quiet, Step{Do: Keep, Path: b.path, Base: b.Entry, Ours: o})
		}
	}
}

// renamed writes what the user's files become under upstream's new names, and clears the places.
func (p *planner) renamed() {
	for _, r := range p.moves {
		s := p.decide(r.from.Entry, p.ours(r.from), r.to.Entry)
		s.Path, s.From = r.to.path, r.from.path
		if s.Do != "" {
			p.writes = append(p.writes, s)
		}
		k := p.key(r.to.path)
		there := p.ours(r.to)
		if p.vacated[k] || there == (Entry{}) {
			continue
		}
		if b, ok := p.base[k]; ok && b.Entry == there {
			p.deletes = append(p.deletes, Step{Do: Delete, Path: b.path, Base: b.Entry, Ours: there})
		} else {
			p.aside(r.to.path, there)
		}
		p.vacated[k] = true
	}
}

// both goes through what Base and Theirs have under one name.
func (p *planner) both() {
	for _, k := range p.common {
		b, t := p.base[k], p.theirs[k]
		switch {
		case p.claimed[k]: // another file arrives there
		case p.vacated[k]: // the user's file went where upstream's went; this is a new one
			p.writes = append(p.writes, Step{Do: Take, Path: t.path, Theirs: t.Entry, Mode: t.Mode})
		case p.ours(t) == Entry{}:
			p.writes = append(p.writes, Step{Do: Restore, Path: t.path, Base: b.Entry, Theirs: t.Entry, Mode: t.Mode})
		default:
			s := p.decide(b.Entry, p.ours(t), t.Entry)
			s.Path = t.path
			p.put(s)
		}
	}
}

func (p *planner) put(s Step) {
	switch {
	case s.Do == "":
	case s.Changes():
		p.writes = append(p.writes, s)
	default:
		p.quiet = append(p.quiet, s)
	}
}

// added goes through what upstream has now and had not.
func (p *planner) added() {
	old := map[Entry]bool{} // what was delivered, and the user removed or moved away
	for _, k := range p.gone {
		if b := p.base[k]; p.ours(b) == (Entry{}) {
			old[b.Entry] = true
		}
	}
	for _, k := range p.new {
		t := p.theirs[k]
		if p.claimed[k] {
			continue
		}
		s := Step{Do: Take, Path: t.path, Ours: p.ours(t), Theirs: t.Entry, Mode: t.Mode}
		switch o := s.Ours; {
		case o == Entry{}:
		case o == t.Entry:
			s.Do = Adopt
		case old[o]: // takes the place of what was delivered under another name
		case o.OID == t.OID && o.isRegular() && t.isRegular() && !p.Adopt:
			s.Do = Chmod
		case o.OID == t.OID && o.isRegular() && t.isRegular():
			s.Do = Adopt
		case p.Adopt:
			s.Do = Keep
		default:
			p.aside(t.path, o)
			s.Ours = Entry{}
		}
		p.put(s)
	}
}

// decide joins three versions of one file; none of them is missing. No action:
// nothing is due.
func (p *planner) decide(b, o, t Entry) Step {
	s := Step{Base: b, Ours: o, Theirs: t, Mode: t.Mode}
	if o.isRegular() && o.Mode != b.Mode && b.isRegular() {
		s.Mode = o.Mode // the user's own choice
	}
	switch {
	case b == t, o == t && b == o:
	case o == t:
		s.Do = Adopt
	case o == b:
		s.Do, s.Mode = Take, t.Mode
	case !o.isRegular() || !t.isRegular():
		s.Do = Keep
		if o.isRegular() && b.isRegular() && o.OID == b.OID { // no more than a mode
			s.Do, s.Mode = Take, t.Mode
		}
	case o.OID == b.OID && t.OID != b.OID:
		s.Do = Take
	case o.OID == t.OID || t.OID == b.OID:
		if s.Do = Chmod; s.Mode == o.Mode {
			s.Do = Adopt
		}
		if t.OID == b.OID && s.Do == Adopt {
			s.Do = "" // both changed no more than the mode, or the user's stands
		}
	default:
		s.Do = Merge
		if !b.isRegular() {
			s.Mode = o.Mode
		}
	}
	return s
}

// makeRoom finds what stands in the way of all that is written, and moves it aside.
func (p *planner) makeRoom() {
	seen := map[string]bool{} // folders by key, and whether they are folders on the disk
	for _, r := range p.moves {
		if p.clearWay(r.to.path, seen) && p.ours(r.to) == (Entry{}) {
			p.clearPlace(r.to.path)
		}
	}
	for _, s := range p.writes {
		k := p.key(s.Path)
		if s.Do != Take && s.Do != Restore || p.claimed[k] {
			continue
		}
		if p.clearWay(s.Path, seen) && p.disk[k] == (Entry{}) {
			p.clearPlace(s.Path)
		}
	}
}

// clearWay makes room for the folders above a path, and reports whether all are there.
func (p *planner) clearWay(path string, seen map[string]bool) bool {
	for dir := range above(path) {
		k := p.key(dir)
		stands, known := seen[k]
		if !known {
			kind := p.Prefix(dir)
			stands = kind == "dir"
			seen[k] = stands
			if kind != "" && !stands && !p.vacated[k] {
				p.vacated[k] = true
				p.aside(dir, p.ours(node{path: dir}))
			}
		}
		if !stands {
			return false // nothing stands beneath it
		}
	}
	return true
}

// clearPlace makes room where a file is to be, and Ours found none.
func (p *planner) clearPlace(path string) {
	k := p.key(path)
	if p.vacated[k] {
		return
	}
	switch p.Prefix(path) {
	case "":
		return
	case "dir":
		stays := func(name string) bool { return !p.vacated[p.key(name)] }
		if all := p.Under(path); len(all) > 0 && !slices.ContainsFunc(all, stays) {
			return // it is empty once they have left, and goes with the last
		}
	}
	p.vacated[k] = true
	p.aside(path, Entry{})
}

// aside moves what is at a path out of the way.
func (p *planner) aside(path string, ours Entry) {
	k := p.key(path)
	p.asides = append(p.asides, Step{Do: Aside, From: path, Ours: ours, Base: p.base[k].Entry, Theirs: p.theirs[k].Entry})
}

// order puts the steps so that each finds what it needs, and overwrites nothing that
// another needs: who must make room for others leaves first.
func (p *planner) order() []Step {
	p.nameAsides()
	asided := map[string]bool{}
	for _, s := range p.asides {
		asided[p.key(s.From)] = true
	}
	// What the user kept in a place that moves aside is told by that move alone.
	p.quiet = slices.DeleteFunc(p.quiet, func(q Step) bool { return q.Do == Keep && standsIn(p.key(q.Path), asided) })
	first, then := p.moveSteps(asided)
	byPath := func(a, b Step) int { return strings.Compare(a.Path, b.Path) }
	for _, list := range [][]Step{p.quiet, p.deletes, p.writes} {
		slices.SortStableFunc(list, byPath)
	}
	return slices.Concat(p.quiet, first, p.deletes, p.asides, then, p.writes)
}

// standsIn reports whether a path or a folder above it is in a set.
func standsIn(path string, set map[string]bool) bool {
	for dir := range above(path) {
		if set[dir] {
			return true
		}
	}
	return set[path]
}

// moveSteps lists the moves in two parts: what must leave before anything else does,
// for a place between, and the rest.
func (p *planner) moveSteps(asided map[string]bool) (first, then []Step) {
	starts, dirs := map[string]bool{}, map[string]bool{}
	for _, r := range p.moves {
		k := p.key(r.from.path)
		starts[k] = true
		for dir := range above(k) {
			dirs[dir] = true
		}
	}
	var late []Step
	for _, r := range p.moves {
		from, to := p.key(r.from.path), p.key(r.to.path)
		s := Step{Do: Move, From: r.from.path, Path: r.to.path, Base: r.from.Entry, Ours: p.ours(r.from), Theirs: r.to.Entry}
		if !standsIn(from, asided) && (from == to || !standsIn(to, starts) && !dirs[to]) {
			then = append(then, s)
			continue
		}
		out := s
		out.Path, out.Theirs, out.Temporary = p.free(Between+p.Stamp, ""), Entry{}, true
		first = append(first, out)
		s.From, s.Was = out.Path, out.From
		late = append(late, s)
	}
	return first, append(then, late...)
}

// taken lists the keys that a new name must not have: all files and folders there are.
func (p *planner) taken() map[string]bool {
	all := map[string]bool{}
	for _, t := range []tree{p.base, p.theirs} {
		for k := range maps.Keys(t) {
			all[k] = true
			for dir := range above(k) {
				all[dir] = true
			}
		}
	}
	return all
}
