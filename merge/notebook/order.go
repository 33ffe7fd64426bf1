package notebook

// order puts the cells that live in their places. The upstream's order is the
// frame; a cell that the user moved, or that only the user has, comes right after
// the cell it follows in the user's. So at one place the user's cells come first,
// and the upstream's new ones after them.
func (m *merger) order() []*node {
	stays := m.movedByUser()
	head := &node{}
	last := head
	for _, n := range m.theirs {
		if n != nil && n.alive && !stays[n] {
			last.after(n)
			last = n
		}
	}
	last = head
	for _, n := range m.ours {
		if !n.alive {
			continue
		}
		if !n.placed {
			last.after(n)
		}
		last = n
	}
	var out []*node
	for n := head.next; n != nil; n = n.next {
		out = append(out, n)
	}
	return out
}

// after puts x behind n.
func (n *node) after(x *node) {
	x.next, n.next, x.placed = n.next, x, true
}

// movedByUser are the cells that the two sides have in different places, and whose
// place is the user's doing. Who moved one is asked against the cells that all
// three have in one order.
func (m *merger) movedByUser() map[*node]bool {
	var both []*node
	var at []int
	for _, n := range m.ours {
		if n.alive && n.t != nil {
			both, at = append(both, n), append(at, n.ti)
		}
	}
	frame := make(map[*node]bool, len(both))
	var base []int
	var steady []*node
	run := rising(at)
	if len(run) == len(both) {
		return nil
	}
	for _, k := range run {
		frame[both[k]] = true
		if both[k].b != nil {
			steady, base = append(steady, both[k]), append(base, both[k].bi)
		}
	}
	// rank[i] counts the frame's cells before base cell i.
	mark := make([]bool, len(m.base.cells)+1)
	inFrame := make(map[*node]bool, len(steady))
	for _, k := range rising(base) {
		inFrame[steady[k]] = true
		mark[steady[k].bi] = true
	}
	rank := make([]int, len(mark)+1)
	for i, is := range mark {
		rank[i+1] = rank[i]
		if is {
			rank[i+1]++
		}
	}
	stays := make(map[*node]bool)
	before := 0
	for _, n := range both {
		if inFrame[n] {
			before++
		}
		if !frame[n] && (n.b == nil || rank[n.bi] != before) {
			stays[n] = true
		}
	}
	return stays
}
