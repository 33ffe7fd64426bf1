package merge

import "math"

// A differ marks what differs between the kept lines of two sides.
type differ struct {
	x, y     *side
	fwd, bwd []int32 // how far the paths on each diagonal have come, from either end
	zero     int     // where diagonal 0 is
	most     int     // the cost at which a search is cut off
	work     *int
}

// A box is a part of both: lines [x0,x1) of the one and [y0,y1) of the other.
type box struct {
	x0, x1, y0, y1 int
	exact          bool // no short cuts
}

const (
	// patience is the cost from which short cuts are looked for, and the least cut-off.
	patience = 256
	// goodRun is how many equal lines one after the other make a path worth following.
	goodRun = 20
	// goodPace is how much further than its cost such a path must have come.
	goodPace = 4
)

func (d *differ) run() {
	n, m := len(d.x.value), len(d.y.value)
	diagonals := n + m + 3
	d.fwd, d.bwd, d.zero = make([]int32, diagonals+1), make([]int32, diagonals+1), m+1
	d.most = max(roughRoot(diagonals), patience)
	// A stack of boxes, not of calls: a hostile text splits off one line at a time.
	todo := []box{{x1: n, y1: m}}
	for len(todo) > 0 {
		b := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		d.shrink(&b)
		if b.x0 == b.x1 || b.y0 == b.y1 || *d.work <= 0 {
			d.markAll(b)
			continue
		}
		x, y, lowExact, highExact := d.split(b)
		todo = append(todo, box{b.x0, x, b.y0, y, lowExact}, box{x, b.x1, y, b.y1, highExact})
	}
}

func (d *differ) shrink(b *box) {
	for b.x0 < b.x1 && b.y0 < b.y1 && d.x.value[b.x0] == d.y.value[b.y0] {
		b.x0, b.y0 = b.x0+1, b.y0+1
	}
	for b.x0 < b.x1 && b.y0 < b.y1 && d.x.value[b.x1-1] == d.y.value[b.y1-1] {
		b.x1, b.y1 = b.x1-1, b.y1-1
	}
}

func (d *differ) markAll(b box) {
	for _, i := range d.x.kept[b.x0:b.x1] {
		d.x.mark(int(i))
	}
	for _, i := range d.y.kept[b.y0:b.y1] {
		d.y.mark(int(i))
	}
}

// A search grows paths from both corners of a box until two meet.
type search struct {
	*differ
	box
	low, high  int // the diagonals of the box
	fmid, bmid int // those of its corners
	fmin, fmax int // those that the paths from the start have reached
	bmin, bmax int
	odd        bool
	run        bool // a path has just had a good run
}

// split finds where to cut a box in two, and which of the parts deserve no short cuts.
func (d *differ) split(b box) (x, y int, lowExact, highExact bool) {
	s := &search{differ: d, box: b, low: b.x0 - b.y1, high: b.x1 - b.y0, fmid: b.x0 - b.y0, bmid: b.x1 - b.y1}
	s.fmin, s.fmax, s.bmin, s.bmax = s.fmid, s.fmid, s.bmid, s.bmid
	s.odd = (s.fmid-s.bmid)&1 != 0
	d.fwd[d.zero+s.fmid], d.bwd[d.zero+s.bmid] = int32(b.x0), int32(b.x1)
	for cost := 1; ; cost++ {
		s.run = false
		if x, y, met := s.forward(); met {
			return x, y, true, true
		}
		if x, y, met := s.backward(); met {
			return x, y, true, true
		}
		*d.work -= s.fmax - s.fmin + s.bmax - s.bmin + 4
		if b.exact && *d.work > 0 {
			continue
		}
		if s.run && cost > patience {
			if x, y, ok := s.goodForward(cost); ok {
				return x, y, true, false
			}
			if x, y, ok := s.goodBackward(cost); ok {
				return x, y, false, true
			}
		}
		if cost >= d.most || *d.work <= 0 {
			return s.furthest()
		}
	}
}

// forward takes the paths from the start one cost further.
func (s *search) forward() (x, y int, met bool) {
	if s.fmin > s.low {
		s.fmin--
		s.fwd[s.zero+s.fmin-1] = -1
	} else {
		s.fmin++
	}
	if s.fmax < s.high {
		s.fmax++
		s.fwd[s.zero+s.fmax+1] = -1
	} else {
		s.fmax--
	}
	xv, yv := s.x.value, s.y.value
	for k := s.fmax; k >= s.fmin; k -= 2 {
		at := s.zero + k
		x := int(max(s.fwd[at-1]+1, s.fwd[at+1]))
		y := x - k
		from := x
		for x < s.x1 && y < s.y1 && xv[x] == yv[y] {
			x, y = x+1, y+1
		}
		s.run = s.run || x-from > goodRun
		*s.work -= x - from
		s.fwd[at] = int32(x)
		if s.odd && s.bmin <= k && k <= s.bmax && int(s.bwd[at]) <= x {
			return x, y, true
		}
	}
	return 0, 0, false
}

// backward does it for those from the end.
func (s *search) backward() (x, y int, met bool) {
	if s.bmin > s.low {
		s.bmin--
		s.bwd[s.zero+s.bmin-1] = math.MaxInt32
	} else {
		s.bmin++
	}
	if s.bmax < s.high {
		s.bmax++
		s.bwd[s.zero+s.bmax+1] = math.MaxInt32
	} else {
		s.bmax--
	}
	xv, yv := s.x.value, s.y.value
	for k := s.bmax; k >= s.bmin; k -= 2 {
		at := s.zero + k
		x := int(min(s.bwd[at-1], s.bwd[at+1]-1))
		y := x - k
		from := x
		for x > s.x0 && y > s.y0 && xv[x-1] == yv[y-1] {
			x, y = x-1, y-1
		}
		s.run = s.run || from-x > goodRun
		*s.work -= from - x
		s.bwd[at] = int32(x)
		if !s.odd && s.fmin <= k && k <= s.fmax && x <= int(s.fwd[at]) {
			return x, y, true
		}
	}
	return 0, 0, false
}

// goodForward looks for a path that has come far and ends in a good run.
func (s *search) goodForward(cost int) (bestX, bestY int, ok bool) {
	best := 0
	for k := s.fmax; k >= s.fmin; k -= 2 {
		x := int(s.fwd[s.zero+k])
		y := x - k
		v := (x - s.x0) + (y - s.y0) - distance(k, s.fmid)
		if v > goodPace*cost && v > best && s.x0+goodRun <= x && x < s.x1 && s.y0+goodRun <= y && y < s.y1 && s.equal(x-goodRun, y-goodRun) {
			best, bestX, bestY = v, x, y
		}
	}
	return bestX, bestY, best > 0
}

func (s *search) goodBackward(cost int) (bestX, bestY int, ok bool) {
	best := 0
	for k := s.bmax; k >= s.bmin; k -= 2 {
		x := int(s.bwd[s.zero+k])
		y := x - k
		v := (s.x1 - x) + (s.y1 - y) - distance(k, s.bmid)
		if v > goodPace*cost && v > best && s.x0 < x && x <= s.x1-goodRun && s.y0 < y && y <= s.y1-goodRun && s.equal(x, y) {
			best, bestX, bestY = v, x, y
		}
	}
	return bestX, bestY, best > 0
}

func (s *search) equal(x, y int) bool {
	for i := range goodRun {
		if s.x.value[x+i] != s.y.value[y+i] {
			return false
		}
	}
	return true
}

func distance(a, b int) int { return max(a-b, b-a) }

// furthest cuts where any path has come furthest.
func (s *search) furthest() (x, y int, lowExact, highExact bool) {
	ahead, aheadX := -1, -1
	for k := s.fmax; k >= s.fmin; k -= 2 {
		x := min(int(s.fwd[s.zero+k]), s.x1)
		x = min(x, s.y1+k)
		if sum := x + x - k; sum > ahead {
			ahead, aheadX = sum, x
		}
	}
	back, backX := math.MaxInt, math.MaxInt
	for k := s.bmax; k >= s.bmin; k -= 2 {
		x := max(int(s.bwd[s.zero+k]), s.x0)
		x = max(x, s.y0+k)
		if sum := x + x - k; sum < back {
			back, backX = sum, x
		}
	}
	if s.x1+s.y1-back < ahead-(s.x0+s.y0) {
		return aheadX, ahead - aheadX, true, false
	}
	return backX, back - backX, false, true
}
