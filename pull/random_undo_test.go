package pull

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// still holds that nothing that was there before is lost.
func (w *world) still(before map[string]string) {
	w.t.Helper()
	have := map[string]bool{}
	for _, data := range w.files() {
		have[data] = true
	}
	w.stored(before, have)
}

// did notes what was done, and holds that it could be.
func (w *world) did(what string, r Report, err error) {
	w.t.Helper()
	w.log = append(w.log, fmt.Sprintf("%s: %+v, %v", what, r, err))
	if err != nil && !strings.Contains(err.Error(), "[DP-340]") { // of a file that was never delivered
		w.t.Errorf("%s: %v", what, err)
	}
}

// pullAndBack pulls; where that is undone at once, all is as it was.
func (w *world) pullAndBack(before map[string]string) {
	w.t.Helper()
	if w.IntN(5) > 0 {
		w.teach()
	}
	r := w.pull()
	w.did("pull", r, nil)
	w.still(before)
	first := !w.delivered
	w.delivered = true
	if r.Same || r.Undo == "" || w.IntN(2) > 0 {
		return
	}
	now := w.files()
	r, err := w.p.Undo(w.t.Context(), w.folder)
	w.did("undo at once", r, err)
	w.still(now)
	if got := w.files(); !maps.Equal(got, before) {
		w.t.Errorf("undone at once: %q\nwant %q", got, before)
	}
	w.delivered = !first
}

// goBack takes something back: the last pull, a file's own changes, or what a backup has.
func (w *world) goBack(before map[string]string) {
	w.t.Helper()
	defer w.still(before)
	switch w.IntN(3) {
	case 0:
		r, err := w.p.Undo(w.t.Context(), w.folder)
		w.did("undo", r, err)
	case 1:
		path := w.pick(append(slices.Sorted(maps.Keys(w.up)), ".", "d")...)
		r, err := w.p.Reset(w.t.Context(), w.folder, path)
		w.did("reset "+path, r, err)
	default:
		list, err := w.p.Backups(w.folder)
		if err != nil {
			w.t.Error(err)
		}
		if len(list) == 0 || w.hurt { // what was only renamed may be damaged
			return
		}
		b := list[w.IntN(len(list))]
		f := b.Files[w.IntN(len(b.Files))]
		r, err := w.p.Restore(w.t.Context(), w.folder, b.ID, f.Path)
		w.did("restore "+b.ID+" "+f.Path, r, err)
	}
}

// lifeBack is a life of somebody who takes much back.
func lifeBack(t *testing.T, seed uint64) {
	w := begun(t, seed, 7)
	if w.IntN(2) == 0 {
		w.clone("--depth", "1")
	} else {
		w.pull()
		w.delivered = true
	}
	for range 8 {
		w.work()
		before := w.files()
		if st, _, _ := w.p.peek(w.folder); st == nil || w.IntN(2) == 0 {
			w.pullAndBack(before)
		} else {
			w.goBack(before)
		}
		if t.Failed() {
			return
		}
	}
	w.teach()
	w.pull()
	if r := w.pull(); !r.Same {
		t.Errorf("a second pull did something: %+v", r)
	}
	w.noLeftovers()
}

// TestRandomUndos plays lives in which pulls are undone, files reset and backups brought
// back. DAYPASS_SOAK and DAYPASS_SEED are as in TestRandomHistories. In those named, HEAD
// led to a damaged commit, and a file that had become a folder was in the way of itself.
func TestRandomUndos(t *testing.T) {
	histories(t, 40, 2000, lifeBack, 2880279822, 2880279656, 4284810542, 4284810695)
}
