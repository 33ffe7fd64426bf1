package merge

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// A world is random trees on three sides.
type world struct {
	*rand.Rand
	fold         bool
	version      int
	base, theirs map[string]Entry
	renames      map[string]string
	disk         *disk
}

func newWorld(seed uint64) *world {
	w := &world{Rand: rand.New(rand.NewPCG(seed, 7))}
	w.fold = w.IntN(4) == 0
	w.base = map[string]Entry{}
	for range w.IntN(9) {
		w.put(w.base, w.path(), w.entry(fmt.Sprintf("f%d", w.IntN(6))))
	}
	w.theirs, w.renames = w.upstream()
	w.disk = w.student()
	return w
}

func (w *world) path() string {
	names := []string{"a", "b", "c"}
	if w.fold {
		names = []string{"a", "A", "b", "B"}
	}
	var p []string
	for range 1 + w.IntN(3) {
		p = append(p, names[w.IntN(len(names))])
	}
	return strings.Join(p, "/")
}

// entry is a new version of a family of contents, which are similar.
func (w *world) entry(family string) Entry {
	w.version++
	mode := []uint32{Regular, Regular, Regular, Regular, Executable, Symlink}[w.IntN(6)]
	return Entry{mode, fmt.Sprintf("%s.%d", family, w.version)}
}

func family(e Entry) string { return strings.Split(e.OID, ".")[0] }

// put keeps a tree one that git can have: what is in the way goes.
func (w *world) put(t map[string]Entry, p string, e Entry) {
	for q := range t {
		if strings.HasPrefix(q, p+"/") || strings.HasPrefix(p, q+"/") {
			delete(t, q)
		}
	}
	t[p] = e
}

func (w *world) pick(t map[string]Entry) string {
	all := slices.Sorted(maps.Keys(t))
	if len(all) == 0 {
		return ""
	}
	return all[w.IntN(len(all))]
}

func (w *world) upstream() (map[string]Entry, map[string]string) {
	t, ids := maps.Clone(w.base), map[string]string{}
	for p := range t {
		ids[p] = p
	}
	for range w.IntN(7) {
		p := w.pick(t)
		switch w.IntN(8) {
		case 7:
			if p != "" {
				t[p] = chmod(t[p])
			}
		case 0:
			w.put(t, w.path(), w.entry("new"))
		case 1:
			delete(t, p)
		case 2, 3:
			if p != "" {
				t[p] = w.entry(family(t[p]))
			}
		case 4, 5:
			if p != "" {
				w.rename(t, ids, p, w.path())
			}
		case 6:
			if q := w.pick(t); p != "" && p != q {
				t[p], t[q] = t[q], t[p]
				swap(ids, p, q)
			}
		}
	}
	return t, w.known(ids, t)
}

func (w *world) rename(t map[string]Entry, ids map[string]string, p, q string) {
	e := t[p]
	if w.IntN(2) == 0 {
		e = w.entry(family(e))
	}
	delete(t, p)
	w.put(t, q, e)
	for b, now := range ids {
		if now == q {
			delete(ids, b)
		}
	}
	for b, now := range ids {
		if now == p {
			ids[b] = q
		}
	}
}

func swap(ids map[string]string, p, q string) {
	for b, now := range ids {
		switch now {
		case p:
			ids[b] = q
		case q:
			ids[b] = p
		}
	}
}

// known is what the source tells of renames: all, or nothing.
func (w *world) known(ids map[string]string, t map[string]Entry) map[string]string {
	if w.IntN(2) == 0 {
		return nil
	}
	for b, now := range ids {
		if _, ok := t[now]; !ok || now == b {
			delete(ids, b)
		}
	}
	return ids
}

// student has what was delivered, and does what students do.
func (w *world) student() *disk {
	d := newDisk(w.fold)
	t, _ := Input{Fold: w.fold}.tree(w.base)
	for _, k := range slices.Sorted(maps.Keys(t)) {
		if err := d.write(t[k].path, t[k].Entry); err != nil {
			panic(err)
		}
	}
	for range w.IntN(8) {
		w.act(d)
	}
	return d
}

func (w *world) act(d *disk) {
	p := ""
	if all := slices.Sorted(maps.Keys(d.files)); len(all) > 0 {
		p = d.files[all[w.IntN(len(all))]].path
	}
	switch w.IntN(9) {
	case 8:
		if p != "" {
			d.create(p, chmod(d.at(p)))
		}
	case 0:
		d.create(w.path(), w.entry("mine"))
	case 1:
		if p != "" {
			d.remove(p)
		}
	case 2, 3:
		if p != "" {
			d.create(p, w.entry(family(d.at(p))))
		}
	case 4: // moves a file
		if q := w.path(); p != "" && d.kind(q) == "" {
			e := d.at(p)
			if d.create(q, e); d.at(q) == e {
				d.remove(p)
			}
		}
	case 5: // a folder becomes something else
		if dir, _, ok := strings.Cut(p, "/"); ok {
			for _, f := range d.under(dir) {
				d.remove(f)
			}
			maps.DeleteFunc(d.dirs, func(k string, _ bool) bool { return k == d.key(dir) || strings.HasPrefix(k, d.key(dir)+"/") })
			d.create(dir, []Entry{{Symlink, "mine.away"}, {Regular, "mine.file"}, {Mode: 1}}[w.IntN(3)])
		}
	case 6: // an empty folder
		if q := w.path(); d.kind(q) == "" && d.create(q+"/x", Entry{Regular, "x"}) {
			delete(d.files, d.key(q+"/x"))
		}
	case 7: // has upstream's already
		if q := w.pick(w.theirs); q != "" {
			if d.create(q, w.theirs[q]); w.IntN(2) == 0 {
				d.create(q, chmod(w.theirs[q]))
			}
		}
	}
}

func chmod(e Entry) Entry {
	if e.isRegular() {
		e.Mode ^= Regular ^ Executable
	}
	return e
}

// create writes a file where it can be.
func (d *disk) create(p string, e Entry) bool {
	c := d.clone()
	if c.write(p, e) != nil {
		return false
	}
	return d.write(p, e) == nil
}

func TestPlansLoseNothing(t *testing.T) {
	first, n := seeds(t, 20000, 3000000)
	for seed := first; seed < first+uint64(n); seed++ {
		w := newWorld(seed)
		if problem := w.check(); problem != "" {
			t.Fatalf("seed %d: %s", seed, problem)
		}
	}
}

func (w *world) check() string {
	before := w.disk.clone()
	in := w.disk.input(w.base, w.theirs)
	in.Renames = w.renames
	in.Similar = func(b, t Entry) bool { return family(b) == family(t) }
	in.Adopt = len(w.base) == 0 && w.IntN(2) == 0
	steps, err := Plan(in)
	tell := func(format string, args ...any) string {
		return fmt.Sprintf(format, args...) + fmt.Sprintf("\nfold %v adopt %v renames %v\nbase %v\ntheirs %v\ndisk %v %v\nnow %v\nsteps:\n%s",
			w.fold, in.Adopt, w.renames, w.base, w.theirs, before.files, before.dirs, w.disk.files, list(steps))
	}
	if err != nil {
		return tell("%v", err)
	}
	for _, s := range steps {
		if err := w.disk.do(s); err != nil {
			return tell("%s %s: %v", s.Do, s.Path, err)
		}
	}
	if p := w.lost(before, steps); p != "" {
		return tell("%s", p)
	}
	if p := w.arrived(before, steps); p != "" {
		return tell("%s", p)
	}
	again := w.disk.input(w.theirs, w.theirs)
	if more, err := Plan(again); err != nil || len(more) > 0 {
		return tell("again: %v %s", err, list(more))
	}
	return ""
}

func list(steps []Step) string {
	var out strings.Builder
	for _, s := range steps {
		fmt.Fprintf(&out, "  %s %s <- %s  base %v ours %v theirs %v mode %o\n", s.Do, s.Path, s.From, s.Base, s.Ours, s.Theirs, s.Mode)
	}
	return out.String()
}

// lost names a version of the user's own that is neither on the disk nor part of a merge.
func (w *world) lost(before *disk, steps []Step) string {
	delivered, here, used := map[string]bool{}, map[string]int{}, map[string]int{}
	for _, e := range w.base {
		delivered[e.OID] = true
	}
	for _, f := range w.disk.files {
		if strings.HasPrefix(f.path, Between) {
			return "left between: " + f.path
		}
		here[f.OID]++
	}
	for _, s := range steps {
		if s.Do == Merge {
			used[s.Ours.OID]++
		}
		if (s.Do == Take || s.Do == Delete) && s.Ours != (Entry{}) && !delivered[s.Ours.OID] {
			return "overwrites what was not delivered: " + s.Path
		}
		if s.Do == Restore && s.Ours != (Entry{}) {
			return "restores over something: " + s.Path
		}
	}
	had := map[string]int{}
	for _, f := range before.files {
		had[f.OID]++
	}
	for oid, n := range had {
		if !delivered[oid] && here[oid]+used[oid] < n {
			return "lost: " + oid
		}
	}
	return ""
}

// arrived names a file of upstream's that is nowhere, though no step says why.
func (w *world) arrived(before *disk, steps []Step) string {
	told := map[string]bool{}
	for _, s := range steps {
		switch s.Do {
		case Keep, Skip, Merge:
			told[s.Path] = true
		}
	}
	skipped := func(p string) bool {
		_, left := Input{Fold: w.fold}.tree(w.theirs)
		return slices.ContainsFunc(left, func(s Step) bool { return s.Path == p })
	}
	for p, e := range w.theirs {
		now := w.disk.at(p)
		if told[p] || skipped(p) || now.OID == e.OID {
			continue
		}
		if now == (Entry{}) || before.at(p) == (Entry{}) && !w.followed(p, steps) {
			return "did not arrive: " + p
		}
		if b := w.base[p]; b.OID != e.OID && !w.followed(p, steps) {
			return "nobody says why this did not arrive: " + p
		}
	}
	return ""
}

// followed reports whether an edit of the user's came to a path that upstream only renamed.
func (w *world) followed(p string, steps []Step) bool {
	return slices.ContainsFunc(steps, func(s Step) bool { return s.Do == Move && s.Path == p && s.Base.OID == s.Theirs.OID })
}
