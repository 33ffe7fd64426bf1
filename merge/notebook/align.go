package notebook

// How much a gap between two matched cells may cost to look at closely: pairs of
// cells, and words compared. Beyond, only equal cells are matched, in order.
const (
	maxPairs = 250_000
	maxWork  = 20_000_000
)

// alignment says which cell of a became which of b: a is the base, b a later
// version. Where nothing answers, -1.
type alignment struct {
	a, b   []*cell
	ab, ba []int
	// user is set where b is the user's: then a cell in the place of one that went
	// counts as that one, rewritten. Of the upstream's it counts as a new one, so
	// that it arrives whatever the user did to the old one.
	user bool
	// doubt: ids do not stay with their cells, as where a program numbers them.
	doubt bool
	// firm: ids do stay, so that a new one means a new cell.
	firm bool
	// like is which cell of a the upstream made of a content, where it made one; -1
	// where several, or where it is a new cell of the upstream's. A user's cell with
	// such a content is no other one, rewritten.
	like map[string]int
	// kept is which cells of a the upstream kept: of equal ones, the user's is rather
	// one of these.
	kept []bool
	work int
}

// align matches in this order: what is equal and has one id; what has one name of
// nbgrader's; ids; what the upstream's cell is equal to (like, see Merge); contents
// that stand once on each side; and between these, in order, the most alike.
func align(a, b []*cell, user bool, like map[string]int, kept []bool) *alignment {
	al := &alignment{a: a, b: b, ab: none(len(a)), ba: none(len(b)), user: user, like: like, kept: kept, work: maxWork}
	al.exact()
	al.graded()
	al.judge()
	al.labelled()
	for j, c := range b {
		if i, ok := like[c.key]; ok && i >= 0 && al.free(i, j) {
			al.pair(i, j)
		}
	}
	al.alone()
	if !al.firm || user {
		al.gaps()
	}
	return al
}

func none(n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = -1
	}
	return s
}

func (al *alignment) free(i, j int) bool { return al.ab[i] < 0 && al.ba[j] < 0 }
func (al *alignment) pair(i, j int)      { al.ab[i], al.ba[j] = j, i }

// index is where each name stands among the cells that take part; -1 where it
// stands more than once.
func index(cells []*cell, matched []int, name func(*cell) string) map[string]int {
	at := make(map[string]int, len(cells))
	for i, c := range cells {
		n := name(c)
		if n == "" || matched != nil && matched[i] >= 0 {
			continue
		}
		if _, twice := at[n]; twice {
			i = -1
		}
		at[n] = i
	}
	return at
}

func label(c *cell) string { return c.label }
func grade(c *cell) string { return c.grade }
func content(c *cell) string {
	if c.empty {
		return ""
	}
	return c.key
}

// exact matches cells of one id and one content. Of those that stand twice, the
// first.
func (al *alignment) exact() {
	type both struct{ label, key string }
	at := make(map[both]int, len(al.b))
	for j := len(al.b) - 1; j >= 0; j-- {
		if c := al.b[j]; c.label != "" {
			at[both{c.label, c.key}] = j
		}
	}
	for i, c := range al.a {
		if c.label == "" {
			continue
		}
		if j, ok := at[both{c.label, c.key}]; ok && al.free(i, j) {
			al.pair(i, j)
		}
	}
}

// graded matches nbgrader's names. A student who copies a cell copies its name: then
// the copy with the cell's id is it, else the first.
func (al *alignment) graded() {
	at := index(al.a, nil, grade)
	best := make(map[int]int)
	for j, c := range al.b {
		i, ok := at[c.grade]
		if c.grade == "" || !ok || i < 0 || !al.free(i, j) {
			continue
		}
		if old, ok := best[i]; !ok || al.b[old].label != al.a[i].label && c.label == al.a[i].label {
			best[i] = j
		}
	}
	for i, j := range best {
		al.pair(i, j)
	}
}

// judge looks whether ids are to be trusted. A cell under another one's id, or a
// content that moved on to the next id, says that they are numbers of places.
// Contents that stand under new ids say that a program made these up.
func (al *alignment) judge() {
	ids, of := index(al.b, nil, label), index(al.a, nil, label)
	byA, byB := index(al.a, nil, content), index(al.b, nil, content)
	found, left := 0, 0
	for i, c := range al.a {
		if c.label == "" {
			continue
		}
		j, ok := ids[c.label]
		k, there := byB[content(c)]
		elsewhere := there && k >= 0 && byA[content(c)] == i && al.b[k].label != c.label
		if elsewhere {
			left++
		}
		if !ok || j < 0 {
			continue
		}
		found++
		if al.ab[i] >= 0 || al.ba[j] >= 0 {
			continue
		}
		if m, ok := byA[content(al.b[j])]; ok && m >= 0 && m != i && al.ab[m] < 0 {
			al.doubt = true
		}
		if _, known := of[al.b[max(k, 0)].label]; elsewhere && known {
			al.doubt = true
		}
	}
	al.firm = !al.doubt && found > left
}

// labelled matches ids; where these are in doubt, only what is alike too.
func (al *alignment) labelled() {
	at, of := index(al.b, al.ba, label), index(al.a, al.ab, label)
	for i, c := range al.a {
		j, ok := at[c.label]
		if !ok || j < 0 || of[c.label] != i || !al.free(i, j) {
			continue
		}
		if !al.doubt || similar(c, al.b[j]) >= 500 {
			al.pair(i, j)
		}
	}
}

// alone matches contents that stand once on each side: cells that moved, and all
// cells where a program wrote new ids.
func (al *alignment) alone() {
	at, of := index(al.b, al.ba, content), index(al.a, al.ab, content)
	for i, c := range al.a {
		k := content(c)
		if j, ok := at[k]; ok && j >= 0 && of[k] == i && al.free(i, j) {
			al.pair(i, j)
		}
	}
}

// gaps matches what is left between the cells that are matched in order.
func (al *alignment) gaps() {
	i, j := 0, 0
	for _, at := range rising(al.ab) {
		al.gap(i, at, j, al.ab[at])
		i, j = at+1, al.ab[at]+1
	}
	al.gap(i, len(al.a), j, len(al.b))
}

func (al *alignment) gap(i0, i1, j0, j1 int) {
	var is, js []int
	for i := i0; i < i1; i++ {
		if al.ab[i] < 0 {
			is = append(is, i)
		}
	}
	for j := j0; j < j1; j++ {
		if _, known := al.like[al.b[j].key]; al.ba[j] < 0 && !known {
			js = append(js, j)
		}
	}
	if len(is) == 0 || len(js) == 0 {
		return
	}
	if al.affordable(is, js) {
		al.best(is, js)
	} else {
		al.equal(is, js)
	}
}

func (al *alignment) affordable(is, js []int) bool {
	if len(is)*len(js) > maxPairs {
		return false
	}
	words := 0
	for _, i := range is {
		words += len(al.a[i].bag()) * len(js)
	}
	for _, j := range js {
		words += len(al.b[j].bag()) * len(is)
	}
	al.work -= words + len(is)*len(js)
	return al.work > 0
}

// worth is what it is worth to match two cells; 0: they are not the same cell. That
// a user's cell is one, rewritten, that the upstream deleted says little, and may
// not stand in the way of more.
func (al *alignment) worth(i, j int) int {
	x, y := al.a[i], al.b[j]
	gone := al.kept != nil && !al.kept[i]
	if x.key == y.key {
		equal := 1000
		if x.empty {
			equal = 300
		}
		if gone {
			return equal
		}
		return 2 * equal
	}
	s := similar(x, y)
	loose := al.user && !al.firm
	switch {
	case loose && s >= 400, s >= 600 && shareLine(x.text, y.text) && al.alikeMost(i, j, s):
		if gone {
			return 2 + s/100
		}
		return s
	case loose && x.typ == y.typ && !x.empty && !y.empty:
		if gone {
			return 1
		}
		return 20 + s/20
	}
	return 0
}

// alikeMost reports whether j is clearly more alike to i than to any other cell of
// a. Cells of one pattern are alike without being each other: such a one of the
// upstream's is new, and arrives; and one of the user's with an id of its own is the
// user's own.
func (al *alignment) alikeMost(i, j, s int) bool {
	y := al.b[j]
	for k, x := range al.a {
		if k == i {
			continue
		}
		al.work -= len(x.bag()) + len(y.bag())
		if al.work < 0 || similar(x, y) > s-100 {
			return false
		}
	}
	return true
}

// best is the matching in order that is worth most (as for a longest common
// subsequence, with weights).
func (al *alignment) best(is, js []int) {
	n := len(js)
	score := make([]int, n+1)
	step := make([]byte, len(is)*n)
	for p := range is {
		diag := 0
		for q := range js {
			above, best, how := score[q+1], score[q+1], byte('i')
			if score[q] > best {
				best, how = score[q], 'j'
			}
			if w := al.worth(is[p], js[q]); w > 0 && diag+w > best {
				best, how = diag+w, 'b'
			}
			step[p*n+q] = how
			score[q+1], diag = best, above
		}
	}
	for p, q := len(is)-1, n-1; p >= 0 && q >= 0; {
		switch step[p*n+q] {
		case 'b':
			al.pair(is[p], js[q])
			p, q = p-1, q-1
		case 'i':
			p--
		default:
			q--
		}
	}
}

// equal matches equal cells in order, each as early as it can be.
func (al *alignment) equal(is, js []int) {
	for len(is) > 0 && len(js) > 0 && al.a[is[0]].key == al.b[js[0]].key {
		al.pair(is[0], js[0])
		is, js = is[1:], js[1:]
	}
	for len(is) > 0 && len(js) > 0 && al.a[is[len(is)-1]].key == al.b[js[len(js)-1]].key {
		al.pair(is[len(is)-1], js[len(js)-1])
		is, js = is[:len(is)-1], js[:len(js)-1]
	}
	at := make(map[string][]int)
	for _, j := range js {
		at[al.b[j].key] = append(at[al.b[j].key], j)
	}
	last := -1
	for _, i := range is {
		queue := at[al.a[i].key]
		for len(queue) > 0 && queue[0] <= last {
			queue = queue[1:]
		}
		if len(queue) > 0 {
			last = queue[0]
			al.pair(i, last)
			queue = queue[1:]
		}
		at[al.a[i].key] = queue
	}
}
