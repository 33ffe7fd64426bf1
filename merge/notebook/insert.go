package notebook

// matchNew finds the cells that both sides have and the base has not: what a merge
// before this one brought, or what both wrote. First by content behind the same cell;
// then by id where they are alike; at last, where there are no ids, a content that
// stands once on each side.
func (m *merger) matchNew() {
	m.joinInPlace()
	m.joinAlike()
}

func (n *node) newOurs() bool   { return n.b == nil && n.t == nil }
func (n *node) newTheirs() bool { return n.b == nil && n.o == nil }

// join makes one node of the user's new cell at place j and the upstream's n.
func (m *merger) join(j int, n *node) {
	n.o = m.ours[j].o
	m.ours[j] = n
}

// joinInPlace joins equal new cells that follow the same cell.
func (m *merger) joinInPlace() {
	type place struct {
		behind *node
		key    string
	}
	at := make(map[place][]int)
	var behind *node
	for j, n := range m.ours {
		if !n.newOurs() {
			if n.t != nil {
				behind = n
			}
			continue
		}
		k := place{behind, n.o.key}
		at[k] = append(at[k], j)
	}
	behind = nil
	for _, n := range m.theirs {
		if !n.newTheirs() {
			if n.o != nil {
				behind = n
			}
			continue
		}
		k := place{behind, n.t.key}
		if queue := at[k]; len(queue) > 0 {
			m.join(queue[0], n)
			at[k] = queue[1:]
		}
	}
}

func (m *merger) joinAlike() {
	byID, byKey := make(map[string]int), make(map[string]int)
	put := func(at map[string]int, k string, j int) {
		if _, twice := at[k]; twice {
			j = -1
		}
		at[k] = j
	}
	for j, n := range m.ours {
		if n.newOurs() {
			put(byID, n.o.label, j)
			put(byKey, content(n.o), j)
		}
	}
	for _, n := range m.theirs {
		if !n.newTheirs() {
			continue
		}
		if j, ok := byID[n.t.label]; ok && j >= 0 && n.t.label != "" && m.ours[j].newOurs() && similar(m.ours[j].o, n.t) >= 400 {
			m.join(j, n)
			continue
		}
		if j, ok := byKey[content(n.t)]; ok && j >= 0 && !n.t.empty && m.ours[j].newOurs() && (n.t.label == "" || m.ours[j].o.label == "") {
			m.join(j, n)
		}
	}
}
