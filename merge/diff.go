package merge

// What follows finds which lines of two texts differ, and puts what could stand at
// several places where git puts it: by Myers, "An O(ND) Difference Algorithm and Its
// Variations" (1986), in linear space, with the limits and the ways to choose that
// xdiff, git's library, has. A merge must not depend on which of the two made it.

// A change says that n lines of the old text from old on became m lines of the new one.
type change struct{ old, n, new, m int }

// diff lists the changes from a to b, from the top. classes is how many numbers of
// lines there are. work bounds it: where it is used up, what is left of a box counts as
// changed as a whole.
func diff(a, b []int32, classes int, work *int) []change {
	x, y := newSide(a), newSide(b)
	reduce(x, y, classes)
	d := differ{x: x, y: y, work: work}
	d.run()
	x.compact(y, work)
	y.compact(x, work)
	return script(x, y)
}

// A side is one of the two texts while they are compared.
type side struct {
	class   []int32
	changed []bool  // of line i at i+1, with an unchanged one before and behind
	kept    []int32 // the lines that the search looks at
	value   []int32 // and their classes
}

func newSide(class []int32) *side { return &side{class: class, changed: make([]bool, len(class)+2)} }

func (s *side) isChanged(i int) bool { return s.changed[i+1] }
func (s *side) mark(i int)           { s.changed[i+1] = true }

// reduce leaves out of the search what both have alike at the top and the bottom,
// lines that the other has not, and among those lines that it has very often.
func reduce(x, y *side, classes int) {
	short := min(len(x.class), len(y.class))
	top := 0
	for top < short && x.class[top] == y.class[top] {
		top++
	}
	bottom := 0
	for bottom < short-top && x.class[len(x.class)-1-bottom] == y.class[len(y.class)-1-bottom] {
		bottom++
	}
	often := make([]int32, 2*classes)
	inX, inY := often[:classes], often[classes:]
	for _, c := range x.class {
		inX[c]++
	}
	for _, c := range y.class {
		inY[c]++
	}
	x.keep(top, len(x.class)-bottom, inY)
	y.keep(top, len(y.class)-bottom, inX)
}

const (
	// often is the most that roughRoot may ask before a line counts as common.
	often = 1024
	// around is how far the search for lonely neighbours goes.
	around = 100
)

// How often the other text has a line.
const (
	never = iota
	some
	many
)

func (s *side) keep(from, to int, other []int32) {
	limit := int32(min(roughRoot(len(s.class)), often))
	how := make([]uint8, len(s.class))
	for i := from; i < to; i++ {
		switch n := other[s.class[i]]; {
		case n == 0:
			how[i] = never
		case n >= limit:
			how[i] = many
		default:
			how[i] = some
		}
	}
	for i := from; i < to; i++ {
		if how[i] == never || how[i] == many && lonely(how, i, from, to) {
			s.mark(i)
			continue
		}
		s.kept, s.value = append(s.kept, int32(i)), append(s.value, s.class[i])
	}
}

// lonely reports whether a common line stands among so many that the other text has
// not that a match would mean little.
func lonely(how []uint8, i, from, to int) bool {
	above, commonAbove := neighbours(how, i, max(from, i-around)-1, -1)
	if above == 0 {
		return false
	}
	below, commonBelow := neighbours(how, i, min(to, i+around+1), 1)
	if below == 0 {
		return false
	}
	const weight = 4
	common := commonAbove + commonBelow + 2
	return common*weight < common+above+below
}

func neighbours(how []uint8, i, end, step int) (absent, common int) {
	for i += step; i != end && how[i] != some; i += step {
		if how[i] == never {
			absent++
		} else {
			common++
		}
	}
	return absent, common
}

// roughRoot is a power of two near the square root.
func roughRoot(n int) int {
	r := 1
	for ; n > 0; n >>= 2 {
		r <<= 1
	}
	return r
}

// script reads the changes off the marks.
func script(x, y *side) []change {
	var all []change
	i, j := 0, 0
	for i < len(x.class) || j < len(y.class) {
		c := change{old: i, new: j}
		for i < len(x.class) && x.isChanged(i) {
			i++
		}
		for j < len(y.class) && y.isChanged(j) {
			j++
		}
		if c.n, c.m = i-c.old, j-c.new; c.n > 0 || c.m > 0 {
			all = append(all, c)
		}
		i, j = i+1, j+1
	}
	return all
}
