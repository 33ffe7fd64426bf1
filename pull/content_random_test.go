package pull

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/internal/contenttest"
	"github.com/daypass-dev/daypass/merge/notebook"
)

// A lecture is a shared folder that changes by ids, and a student who works with what
// came of it. What both do is that of a [world].
type lecture struct {
	*world
	d *shared
	// before and now are the ids' paths and contents at the last pull and since.
	ids map[string]string
	// given is what the student was given last of each id, and hidden are those that the
	// listing lacks now although they are there.
	given  map[string]string
	hidden map[string]bool
}

// data is what the student is to have of an id.
func (l *lecture) data(id string) string {
	if l.held(id) {
		if data, ok := l.given[id]; ok {
			return data
		}
		return notGiven
	}
	return l.d.up.Get(id).Data
}

const notGiven = "\x00withheld"

// held reports whether the source does not give an id now.
func (l *lecture) held(id string) bool { return l.hidden[id] || l.d.up.Get(id).Skip != "" }

func (l *lecture) at(id string) string { return strings.Join(l.d.up.Get(id).Parts, "/") }

// free reports whether nothing of the folder is in the way of a path: otherwise names
// are given that this test does not follow.
func (l *lecture) free(path string) bool {
	for _, id := range l.d.up.IDs() {
		if at := l.at(id); at == path || strings.HasPrefix(at, path+"/") || strings.HasPrefix(path, at+"/") {
			return false
		}
	}
	return true
}

// delivered is how many of the files that were there at the last pull were given.
func (l *lecture) delivered() (n int) {
	if l.given == nil {
		return len(l.ids)
	}
	for id := range l.ids {
		if data, ok := l.given[id]; ok && (len(data) <= limit || !l.held(id)) {
			n++
		}
	}
	return n
}

// teach changes the folder, at most half of it by removals.
func (l *lecture) teach() {
	gone := 0
	for range 1 + l.IntN(4) {
		all := l.d.up.IDs()
		path := l.path()
		what := l.IntN(8)
		if len(all) < 3 || what > 5 {
			if l.free(path) {
				text := l.content(path, "", true)
				l.d.up.AddFile(contenttest.File{Parts: strings.Split(path, "/"), Data: text, NoSum: l.IntN(5) == 0, Exec: l.IntN(9) == 0})
				l.log = append(l.log, "upstream adds "+path)
			}
			continue
		}
		id := all[l.IntN(len(all))]
		was := l.at(id)
		switch {
		case what == 0 && 2*(gone+1) <= l.delivered():
			gone++
			l.d.up.Remove(id)
			delete(l.cells, was)
			l.log = append(l.log, "upstream removes "+was)
		case what < 3:
			to := l.pick("moved-1", "week/moved-2", "z") + filepath.Ext(was)
			if l.IntN(3) == 0 {
				to = path
			}
			if l.free(to) && filepath.Ext(to) == filepath.Ext(was) {
				l.d.up.Move(id, to)
				l.cells[to] = append(l.cells[to], l.cells[was]...)
				delete(l.cells, was)
				l.log = append(l.log, "upstream moves "+was+" to "+to)
			}
		case what == 3: // two change places
			other := all[l.IntN(len(all))]
			if there := l.at(other); there != was && filepath.Ext(there) == filepath.Ext(was) {
				l.d.up.Move(id, there)
				l.d.up.Move(other, was)
				l.cells[was], l.cells[there] = l.cells[there], l.cells[was]
				l.log = append(l.log, "upstream swaps "+was+" and "+there)
			}
		case what == 4 && l.IntN(2) == 0:
			l.d.up.Touch(id)
		default:
			l.d.up.Edit(id, l.content(was, l.data(id), true))
			l.log = append(l.log, "upstream edits "+was)
		}
	}
}

// work is what the student does, without git.
func (l *lecture) work() {
	defer l.rest()
	for range l.IntN(5) {
		what, path := l.choose()
		if what != 5 {
			l.edit(what, path)
		} else if l.IntN(3) == 0 {
			to := l.folder + "'"
			os.Rename(l.folder, to)
			l.folder, l.d.folder = to, to
		}
	}
}

// upstream is what the folder has, by path, but for what is too large.
func (l *lecture) upstream() map[string]string {
	out := map[string]string{}
	for _, id := range l.d.up.IDs() {
		if data := l.data(id); len(data) <= limit && data != notGiven {
			out[l.at(id)] = data
		}
	}
	return out
}

// followed holds that what the user changed is found under upstream's new name, or in a
// place that the pull tells of.
func (l *lecture) followed(before map[string]string, was map[string]string, r Report) {
	now := plainNames(l.files())
	for id, path := range l.ids {
		to := l.at(id)
		mine, ok := before[path]
		if !ok || to == "" || to == path || l.data(id) == notGiven || mine == was[path] || len(l.data(id)) > limit || l.data(id) != was[path] {
			continue
		}
		if _, link := strings.CutPrefix(mine, "link -> "); link || now[to] == mine {
			continue
		}
		// Something of the user's, or of upstream's, was at the new place first.
		if _, stood := before[to]; !stood && !slices.ContainsFunc(r.Changes, func(c Change) bool { return c.From == to || strings.HasPrefix(to, c.From+"/") && c.What == Aside }) {
			l.t.Errorf("%s was changed, and is %q at its new name %s, not %q", path, now[to], to, mine)
		}
	}
}

func plainNames(files map[string]string) map[string]string {
	out := map[string]string{}
	for name, data := range files {
		out[strings.TrimSuffix(name, "*")] = data
	}
	return out
}

// lectureLife is one random history of some rounds.
func lectureLife(t *testing.T, seed uint64) { newLecture(t, seed).live(func() {}, func() {}) }

func newLecture(t *testing.T, seed uint64) *lecture {
	d := newShared(t)
	return &lecture{world: newWorld(d.desk, seed, 6), d: d}
}

// live plays it; more happens upstream before each pull, and after it.
func (l *lecture) live(before, after func()) {
	t, d := l.t, l.d
	defer func() {
		if t.Failed() {
			t.Log(strings.Join(l.log, "\n"))
		}
	}()
	d.p.Limits.File = limit
	l.teach()
	l.teach()
	if l.IntN(4) == 0 {
		l.write("own", "own")
		l.work()
	}
	d.pull()
	after()
	was := l.upstream()
	for range 5 {
		l.note()
		l.work()
		had := l.files()
		if len(l.hidden) == 0 && l.IntN(5) > 0 {
			l.teach()
		}
		before()
		if l.IntN(10) == 0 {
			if _, err := d.p.Undo(t.Context(), d.folder); err != nil {
				t.Errorf("undo: %v", err)
			}
			l.stored(had, values(l.files()))
			l.log = append(l.log, "undo")
			had, was, l.cells, l.ids, l.given = l.files(), map[string]string{}, map[string][]string{}, nil, map[string]string{}
		}
		r := d.pull()
		l.log = append(l.log, fmt.Sprintf("pull %+v", r))
		l.kept(had, was)
		if !slices.ContainsFunc(r.Notes, func(n string) bool { return strings.HasPrefix(n, "More than half") }) {
			l.left(had, was)
		}
		l.followed(plainNames(had), was, r)
		d.settled()
		after()
		if t.Failed() {
			return
		}
		was = l.upstream()
	}
}

// note begins a round.
func (l *lecture) note() {
	l.ids, l.cells = map[string]string{}, map[string][]string{}
	for _, id := range l.d.up.IDs() {
		l.ids[id] = l.at(id)
	}
}

func values(files map[string]string) map[string]bool {
	out := map[string]bool{}
	for _, data := range files {
		out[data] = true
	}
	return out
}

// kept holds a pull to what any pull promises.
func (l *lecture) kept(before, was map[string]string) {
	now := l.files()
	l.stored(before, values(now))
	for path, data := range now {
		if strings.HasSuffix(path, ".ipynb") && notebook.Valid([]byte(data)) != nil && !values(before)[data] {
			l.t.Errorf("%s is no notebook any more: %s", path, data)
		}
	}
	here, stood := plainNames(now), plainNames(before)
	for path, data := range l.upstream() {
		if old, ok := was[path]; ok && stood[path] == old && here[path] != data && l.sameID(path) {
			l.t.Errorf("%s was not touched, and is %q, not upstream's %q", path, here[path], data)
		}
	}
}

// left holds that what upstream removed or moved, and nobody touched, is gone, as it is
// unless more than half went at once.
func (l *lecture) left(before, was map[string]string) {
	now := l.files()
	here, stood := plainNames(now), plainNames(before)
	for path, old := range was {
		_, runs := now[path+"*"] // that is the user's change
		if _, still := l.upstream()[path]; !still && !runs && has(here, path) && stood[path] == old && here[path] == old && !l.tooLarge(path) {
			l.t.Errorf("%s is not upstream's any more, and is here: %q", path, old)
		}
	}
}

func has(files map[string]string, path string) bool {
	_, ok := files[path]
	return ok
}

// tooLarge reports whether upstream's file at a path is left out for its size.
func (l *lecture) tooLarge(path string) bool {
	return slices.ContainsFunc(l.d.up.IDs(), func(id string) bool { return l.at(id) == path })
}

// sameID reports whether a path is that of the same file as before.
func (l *lecture) sameID(path string) bool {
	for id, old := range l.ids {
		if old == path {
			return l.at(id) == path
		}
	}
	return false
}

// TestContentRandomHistories plays 100 lives of five pulls each, the same every day;
// DAYPASS_SOAK plays 5,000 new ones. DAYPASS_SEED plays one. In those named the user
// edited one of two files that had changed places, and undid that.
func TestContentRandomHistories(t *testing.T) {
	histories(t, 100, 5000, lectureLife, 550076616, 550076884)
}
