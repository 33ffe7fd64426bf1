package merge

// A group is lines [start,end) of a side that changed, all that stand together. It may be empty:
// there is one before, between and after any two unchanged lines, so that both sides
// have equally many.
type group struct{ start, end int }

func (s *side) first() group {
	g := group{}
	for s.isChanged(g.end) {
		g.end++
	}
	return g
}

func (s *side) next(g *group) bool {
	if g.end == len(s.class) {
		return false
	}
	g.start, g.end = g.end+1, g.end+1
	for s.isChanged(g.end) {
		g.end++
	}
	return true
}

func (s *side) previous(g *group) bool {
	if g.start == 0 {
		return false
	}
	g.start, g.end = g.start-1, g.start-1
	for s.isChanged(g.start - 1) {
		g.start--
	}
	return true
}

// slideDown moves a group one line down where that says the same, and takes in the one
// that it meets.
func (s *side) slideDown(g *group) bool {
	if g.end == len(s.class) || s.class[g.start] != s.class[g.end] {
		return false
	}
	s.changed[g.start+1], s.changed[g.end+1] = false, true
	g.start, g.end = g.start+1, g.end+1
	for s.isChanged(g.end) {
		g.end++
	}
	return true
}

func (s *side) slideUp(g *group) bool {
	if g.start == 0 || s.class[g.start-1] != s.class[g.end-1] {
		return false
	}
	g.start, g.end = g.start-1, g.end-1
	s.changed[g.start+1], s.changed[g.end+1] = true, false
	for s.isChanged(g.start - 1) {
		g.start--
	}
	return true
}

// compact puts each group that could stand at several places beside a group of the
// other side, else as far down as it goes, and joins groups that meet.
func (s *side) compact(other *side, work *int) {
	g, o := s.first(), other.first()
	for more := true; more && *work > 0; {
		if g.end > g.start {
			s.settle(&g, other, &o, work)
		}
		more = s.next(&g)
		other.next(&o)
	}
}

func (s *side) settle(g *group, other *side, o *group, work *int) {
	top, beside := 0, false
	for size := -1; size != g.end-g.start && *work > 0; {
		size = g.end - g.start
		for s.slideUp(g) {
			other.previous(o)
			*work--
		}
		top, beside = g.end, o.end > o.start
		for s.slideDown(g) {
			other.next(o)
			beside = beside || o.end > o.start
			*work--
		}
	}
	if g.end == top || !beside {
		return
	}
	for o.end == o.start {
		s.slideUp(g)
		other.previous(o)
	}
}
