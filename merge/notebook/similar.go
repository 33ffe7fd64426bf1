package notebook

import (
	"slices"
	"strings"
)

// maxWords is how many words of a source count for its likeness.
const maxWords = 2048

// similar is how alike two cells' sources are, 0 to 1000: twice the words they share
// over the words they have (Dice). Order does not matter to it: who moved two lines
// of a cell has still that cell.
func similar(a, b *cell) int {
	if a.key == b.key {
		return 1000
	}
	x, y := a.bag(), b.bag()
	if len(x)+len(y) == 0 {
		return 0
	}
	shared := 0
	for i, j := 0, 0; i < len(x) && j < len(y); {
		switch {
		case x[i] < y[j]:
			i++
		case x[i] > y[j]:
			j++
		default:
			shared++
			i++
			j++
		}
	}
	s := 2000 * shared / (len(x) + len(y))
	if a.typ != b.typ {
		s = s * 4 / 5
	}
	return s
}

// bag is a source's words, hashed and sorted.
func (c *cell) bag() []uint32 {
	if c.counted {
		return c.words
	}
	c.counted = true
	var h uint32
	in := false
	for i := 0; i <= len(c.text) && len(c.words) < maxWords; i++ {
		if i < len(c.text) && wordByte(c.text[i]) {
			if !in {
				h, in = 2166136261, true
			}
			h = (h ^ uint32(c.text[i])) * 16777619
			continue
		}
		if in {
			c.words = append(c.words, h)
			in = false
		}
	}
	slices.Sort(c.words)
	return c.words
}

// shareLine reports whether two sources have a line in common that is long enough
// to say something; two of one line need none.
func shareLine(a, b string) bool {
	a, b = strings.TrimSpace(a), strings.TrimSpace(b)
	if !strings.Contains(a, "\n") && !strings.Contains(b, "\n") {
		return true
	}
	have := make(map[string]bool)
	for line := range strings.Lines(a) {
		if line = strings.TrimSpace(line); len(line) >= 4 {
			have[line] = true
		}
	}
	for line := range strings.Lines(b) {
		if have[strings.TrimSpace(line)] {
			return true
		}
	}
	return false
}

func wordByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80
}

// rising returns the places in s of a longest run of rising values; values below
// zero are no part of it. The earliest such run of those that patience finds.
func rising(s []int) []int {
	var tails []int // tails[k]: the place where the best run of k+1 values ends
	prev := make([]int, len(s))
	for i, v := range s {
		if v < 0 {
			continue
		}
		k, _ := slices.BinarySearchFunc(tails, v, func(at, v int) int { return s[at] - v })
		prev[i] = -1
		if k > 0 {
			prev[i] = tails[k-1]
		}
		if k == len(tails) {
			tails = append(tails, i)
		} else {
			tails[k] = i
		}
	}
	if len(tails) == 0 {
		return nil
	}
	out := make([]int, len(tails))
	for k, at := len(tails)-1, tails[len(tails)-1]; k >= 0; k-- {
		out[k] = at
		at = prev[at]
	}
	return out
}
