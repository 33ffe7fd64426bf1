package notebook

import (
	"hash/fnv"
	"strconv"
)

// name gives every cell of the result its id, where the format has them: the
// upstream's for a cell that the upstream has, so that the next merge finds it even
// where the user's program made up new ones; else the user's; else one made from
// the content. No two are equal, and nothing is drawn by chance.
func (m *merger) name(cells []*node) {
	if m.minor < 5 {
		return
	}
	used := make(map[string]bool, len(cells))
	give := func(n *node, c *cell) {
		if n.id == "" && c != nil && validID(c.id) && !used[c.id] {
			n.id = c.id
			used[c.id] = true
		}
	}
	for _, n := range m.theirs {
		if n.alive {
			give(n, n.t)
		}
	}
	for _, n := range cells {
		give(n, n.o)
	}
	times := make(map[string]int)
	for _, n := range cells {
		if n.id != "" {
			continue
		}
		c := n.o
		if c == nil || n.take {
			c = n.t
		}
		for n.id == "" || used[n.id] {
			n.id = derived(c.key, times[c.key])
			times[c.key]++
		}
		used[n.id] = true
	}
}

// derived is an id in the form that nbformat makes: eight hexadecimal digits.
func derived(key string, n int) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(key))
	_, _ = h.Write([]byte{0})
	_, _ = h.Write([]byte(strconv.Itoa(n)))
	sum := h.Sum64()
	hex := strconv.FormatUint(uint64(uint32(sum^sum>>32))|1<<32, 16)
	return hex[1:]
}

// validID is nbformat's rule: 1 to 64 letters, digits, hyphens and underscores.
func validID(s string) bool {
	if len(s) < 1 || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		if !wordByte(s[i]) && s[i] != '-' || s[i] >= 0x80 {
			return false
		}
	}
	return true
}
