package notebook

import "slices"

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
// three have in one order. None, where the two sides have one order; else a cell
// that is new on both sides is among them.
func (m *merger) movedByUser() map[*node]bool {
	var at []int
	var both []*node
	stays := make(map[*node]bool)
	for _, n := range m.ours {
		if n.alive && n.t != nil {
			at = append(at, n.ti)
			if n.b == nil {
				stays[n] = true
			} else {
				both = append(both, n)
			}
		}
	}
	if slices.IsSorted(at) {
		return nil
	}
	frame, loose := m.frame(both)
	before := make([]int, len(m.base.cells)+1) // how many of the frame's stand before a cell of the base
	for i := range m.base.cells {
		before[i+1] = before[i]
		if frame[i] {
			before[i+1]++
		}
	}
	seen := 0
	for _, n := range both {
		if frame[n.bi] {
			seen++
		}
		if loose[n] && before[n.bi] != seen {
			stays[n] = true
		}
	}
	return stays
}

// frame is which cells of the base stand in one order in all three, and which of
// both do not fit the upstream's order.
func (m *merger) frame(both []*node) (frame []bool, loose map[*node]bool) {
	frame, loose = make([]bool, len(m.base.cells)), make(map[*node]bool)
	at := make([]int, len(both))
	for k, n := range both {
		at[k] = n.ti
		loose[n] = true
	}
	var base []int
	run := rising(at)
	for _, k := range run {
		delete(loose, both[k])
		base = append(base, both[k].bi)
	}
	for _, k := range rising(base) {
		frame[base[k]] = true
	}
	return frame, loose
}
