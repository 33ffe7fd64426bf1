package pull

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/internal/soak"
	"github.com/daypass-dev/daypass/merge/notebook"
)

// A world is a course that changes, and a student who works in it.
type world struct {
	*desk
	*rand.Rand
	up        map[string]string // upstream's files
	token     int
	delivered bool                // by a pull of ours
	hurt      bool                // objects of the user's were damaged
	cells     map[string][]string // the texts of cells that upstream added since the last pull, by path
	log       []string

	outside string            // a folder that the student's links lead to
	beyond  map[string]string // its files, as the student left them
}

// newWorld makes one of a desk; stream is what kind of life the seed is of.
func newWorld(d *desk, seed, stream uint64) *world {
	return &world{desk: d, Rand: rand.New(rand.NewPCG(seed, stream)), up: map[string]string{}, cells: map[string][]string{}, outside: gittest.TempDir(d.t), beyond: map[string]string{}}
}

// begun is the beginning of a life: a course that the student does not have yet. What
// happened is told where the test fails.
func begun(t *testing.T, seed, stream uint64) *world {
	w := newWorld(newDesk(t), seed, stream)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d\n%s", seed, strings.Join(w.log, "\n"))
		}
	})
	w.p.Limits.File = limit
	w.teach()
	w.teach()
	return w
}

// rest is what the student has done; links that lead out were followed by them alone.
func (w *world) rest() {
	os.Chmod(w.outside, 0o755)
	w.beyond = filesIn(w.t, w.outside)
}

// inside holds that nothing was written, changed or taken where links lead out.
func (w *world) inside() {
	w.t.Helper()
	if now := filesIn(w.t, w.outside); !maps.Equal(now, w.beyond) {
		w.t.Errorf("outside of the folder is %q, and was %q", now, w.beyond)
	}
}

func (w *world) pick(from ...string) string { return from[w.IntN(len(from))] }

func (w *world) path() string {
	if w.IntN(3) == 0 {
		return w.pick("nb.ipynb", "nb.ipynb", "d/nb.ipynb")
	}
	return w.pick("a.txt", "b.txt", "d/a.txt", "d/b.txt", "d", "e/f/g.txt", "e/f", "nb.ipynb", "d/nb.ipynb", "x.bin", "é.txt", "-a b.txt", "E", "Lab.txt", "lab.txt")
}

func (w *world) new() string {
	w.token++
	return fmt.Sprintf("token %d", w.token)
}

type cell = map[string]any

// content makes or changes a file's content; both sides do the same things.
func (w *world) content(path, old string, upstream bool) string {
	switch {
	case strings.HasSuffix(path, ".ipynb"):
		return w.notebook(path, old, upstream)
	case strings.HasSuffix(path, ".bin"):
		return "\x00" + w.new() + strings.Repeat("x", w.IntN(4)/3*limit)
	case old == "" || w.IntN(8) == 0:
		lines := make([]string, 2+w.IntN(12))
		for i := range lines {
			lines[i] = w.new()
		}
		return strings.Join(lines, "\n") + w.pick("\n", "")
	}
	lines := strings.SplitAfter(old, "\n")
	i := w.IntN(len(lines))
	switch w.IntN(3) {
	case 0:
		lines[i] = w.new() + "\n"
	case 1:
		lines = slices.Insert(lines, i, w.new()+"\n")
	default:
		lines = slices.Delete(lines, i, i+1)
	}
	return strings.Join(lines, "")
}

func (w *world) notebook(path, old string, upstream bool) string {
	book := map[string]any{"nbformat": 4, "nbformat_minor": 5, "metadata": map[string]any{}, "cells": []any{}}
	if json.Unmarshal([]byte(old), &book) != nil {
		book["cells"] = []any{}
	}
	cells, _ := book["cells"].([]any)
	add := func() {
		text := w.new()
		if upstream {
			w.cells[path] = append(w.cells[path], text)
		}
		c := cell{"cell_type": "markdown", "id": fmt.Sprintf("c%d", w.token), "metadata": cell{}, "source": []any{text}}
		if w.IntN(2) == 0 {
			c["cell_type"], c["outputs"], c["execution_count"] = "code", []any{}, nil
		}
		cells = slices.Insert(cells, w.IntN(len(cells)+1), any(c))
	}
	for len(cells) < 3 {
		add()
	}
	switch i := w.IntN(len(cells)); w.IntN(4) {
	case 0:
		add()
	case 1:
		c := maps.Clone(cells[i].(cell))
		if text := fmt.Sprint(c["source"]); !upstream || !slices.ContainsFunc(w.cells[path], func(s string) bool { return strings.Contains(text, s) }) {
			c["source"] = []any{w.new()}
			cells[i] = c
		}
	case 2:
		if c := maps.Clone(cells[i].(cell)); c["cell_type"] == "code" {
			c["execution_count"] = w.IntN(100)
			c["outputs"] = []any{cell{"output_type": "stream", "name": "stdout", "text": []any{w.new()}}}
			cells[i] = c
		}
	default:
		if text := fmt.Sprint(cells[i]); !upstream || !slices.ContainsFunc(w.cells[path], func(s string) bool { return strings.Contains(text, s) }) {
			cells = slices.Delete(cells, i, i+1)
		}
	}
	book["cells"] = cells
	out, _ := json.MarshalIndent(book, "", " ")
	return string(out) + "\n"
}

// teach changes upstream.
func (w *world) teach() {
	before := maps.Clone(w.up)
	for range 1 + w.IntN(4) {
		path := w.path()
		switch old, ok := w.up[path]; {
		case ok && w.IntN(4) == 0:
			delete(w.up, path)
			delete(w.cells, path)
		case ok && w.IntN(5) == 0:
			to := "moved-" + w.pick("1", "2") + filepath.Ext(path)
			delete(w.up, path)
			w.up[to] = old
			w.cells[to] = w.cells[path]
			delete(w.cells, path)
		default:
			w.clear(path)
			w.up[path] = w.content(path, old, true)
		}
	}
	changes := gittest.Files{}
	for path, data := range w.up {
		if old, ok := before[path]; !ok || old != data {
			changes[path] = data
		}
	}
	for path := range before {
		if _, ok := w.up[path]; !ok {
			changes[path] = gittest.Deleted
		}
	}
	if len(w.up) == 0 {
		w.up["a.txt"] = "a\n"
		changes["a.txt"] = "a\n"
	}
	w.log = append(w.log, fmt.Sprintf("upstream %q", slices.Sorted(maps.Keys(changes))))
	switch {
	case len(changes) == 0:
	case len(before) > 0 && w.IntN(8) == 0:
		w.src.Amend("main", "again", changes)
	case len(before) > 0 && w.IntN(12) == 0:
		w.src.Orphan("main", "anew", w.up)
	default:
		w.src.Commit("main", "next", changes)
	}
}

// clear makes room for a path in upstream's tree.
func (w *world) clear(path string) {
	for other := range w.up {
		if strings.HasPrefix(other, path+"/") || strings.HasPrefix(path, other+"/") {
			delete(w.up, other)
			delete(w.cells, other)
		}
	}
}

// work is what the student does.
func (w *world) work() {
	defer w.rest()
	for range w.IntN(5) {
		if w.IntN(4) == 0 {
			w.ownGit()
			continue
		}
		switch what, path := w.choose(); {
		case what == 5:
			w.try("add", "-A")
		case what == 6:
			w.try("add", "-A")
			w.try("commit", "-qm", "mine")
		case what == 7 && w.IntN(6) == 0 && w.delivered: // before, nothing could tell what the user changed
			os.RemoveAll(filepath.Join(w.folder, ".git"))
		default:
			w.edit(what, path)
		}
	}
}

// choose says what the student does next, and where.
func (w *world) choose() (what int, path string) {
	path = w.path()
	if here := slices.Sorted(maps.Keys(w.files())); len(here) > 0 && w.IntN(3) > 0 {
		path = strings.TrimSuffix(here[w.IntN(len(here))], "*")
	}
	what = w.IntN(12)
	w.log = append(w.log, fmt.Sprintf("user %d %q", what, path))
	return what, path
}

// edit changes what is at a path.
func (w *world) edit(what int, path string) {
	full := filepath.Join(w.folder, path)
	switch what {
	case 0:
		os.RemoveAll(full)
	case 1:
		os.Rename(full, full+"-mine")
	case 2:
		os.RemoveAll(full)
		os.MkdirAll(filepath.Dir(full), 0o777)
		os.Symlink(w.pick("a.txt", "..", w.outside, "nowhere"), full)
	case 3:
		os.RemoveAll(full)
		os.MkdirAll(full, 0o777)
		os.WriteFile(filepath.Join(full, "inside"), []byte(w.new()), 0o666)
	case 4:
		os.Chmod(full, 0o755)
	default:
		if fi, e := os.Lstat(full); e == nil && !fi.Mode().IsRegular() {
			break
		}
		old, _ := os.ReadFile(full) // nothing where there is none
		os.MkdirAll(filepath.Dir(full), 0o777)
		os.WriteFile(full, []byte(w.content(path, string(old), false)), 0o666)
	}
}

// held holds a pull to its promises.
func (w *world) held(before map[string]string, base map[string]string) {
	w.t.Helper()
	now := w.files()
	have := map[string]bool{}
	for _, data := range now {
		have[data] = true
	}
	w.stored(before, have)
	for path, data := range now {
		if strings.HasSuffix(path, ".ipynb") && notebook.Valid([]byte(data)) != nil && !slices.Contains(slices.Collect(maps.Values(before)), data) {
			w.t.Errorf("%s is no notebook any more: %s", path, data)
		}
	}
	all := strings.Join(slices.Collect(maps.Values(now)), "\x00")
	for path, texts := range w.cells {
		if notebook.Valid([]byte(now[path])) != nil {
			continue // the user has something else there
		}
		for _, text := range texts {
			if !strings.Contains(all, fmt.Sprintf("%q", text)) {
				w.t.Errorf("%s lacks the new cell %q", path, text)
			}
		}
	}
	for path, data := range w.up {
		if len(data) > limit {
			continue
		}
		if old, ok := base[path]; ok && before[path] == old && now[path] != data {
			w.t.Errorf("%s was not touched, and is %q, not upstream's %q", path, now[path], data)
		}
	}
}

// stored holds that each version is on the disk or in our repository, where it
// does not depend on the folder, and that nothing happened outside of it.
func (w *world) stored(before map[string]string, have map[string]bool) {
	w.inside()
	st, _, err := w.p.peek(w.folder)
	if err != nil || st == nil {
		w.t.Fatalf("no state: %v", err)
	}
	all, err := st.manifests()
	if err != nil {
		w.t.Fatal(err)
	}
	kept := map[string]bool{}
	for _, m := range all {
		for _, c := range m.Touches {
			kept[c.Before.OID] = true
		}
	}
	repo, err := w.p.git(st)
	if err != nil {
		w.t.Fatal(err)
	}
	o, _ := repo.Objects(w.t.Context())
	defer o.Close()
	for path, data := range before {
		if have[data] {
			continue
		}
		data = strings.TrimPrefix(data, "link -> ")
		oid, _ := plumbing.HashBlob("sha1", int64(len(data)), bytes.NewReader([]byte(data)))
		if !kept[string(oid)] {
			w.t.Errorf("lost: %s, %q", path, data)
		} else if _, err := o.Size(oid); err != nil {
			w.t.Errorf("%s is in a backup and not stored: %v", path, err)
		}
	}
}

// life is one random history of some rounds.
func life(t *testing.T, seed uint64) {
	w := begun(t, seed, 5)
	switch w.IntN(4) {
	case 0:
		w.clone("--depth", "1")
	case 1:
		w.clone()
	default:
		w.pull()
	}
	base := maps.Clone(w.up)
	for range 5 {
		w.cells = map[string][]string{}
		w.work()
		before := w.files()
		if w.IntN(5) > 0 {
			w.teach()
		}
		w.log = append(w.log, "pull")
		r := w.pull()
		w.delivered = true
		w.log = append(w.log, fmt.Sprintf("%+v", r))
		w.held(before, base)
		settled := w.files()
		if r := w.pull(); !r.Same || !maps.Equal(w.files(), settled) {
			t.Errorf("a second pull did something: %+v", r)
		}
		if t.Failed() {
			return
		}
		base = maps.Clone(w.up)
	}
	if !w.hurt {
		w.sound()
	}
	if out, err := w.try("status"); err != nil && !w.hurt { // damage that no pull came upon stays
		t.Errorf("git status: %s", out)
	}
	w.noLeftovers()
}

// TestRandomHistories plays 300 lives of five pulls each, the same every day, so that a
// change is judged by what it changed; DAYPASS_SOAK plays 10,000 new ones. DAYPASS_SEED
// plays one. Those named below once failed: the user amended the only commit of a shallow
// clone before our first pull; renamed the folder, pulled nothing new, and removed .git;
// made a folder where a sparse checkout leaves a file out; amended the only commit long
// ago, so that git had forgotten it.
func TestRandomHistories(t *testing.T) {
	histories(t, 300, 10_000, life, 1601920312, 2250458590, 2250457546, 2250454903, 2250454596, 3054250451, 3054246900, 3054245156, 3054243321, 284508005, 2250453886, 2250456319, 2250455702, 2250455285, 3278161922)
}

// histories plays lives, the same every day and those named, or so many new ones, or one.
func histories(t *testing.T, lives, long int, life func(*testing.T, uint64), named ...uint64) {
	first, n := soak.Seeds(t, lives, long)
	if soak.One(t) {
		named = nil
	}
	for _, seed := range named {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { life(t, seed) })
	}
	for i := range uint64(n) {
		t.Run(fmt.Sprint(first+i), func(t *testing.T) {
			t.Parallel()
			life(t, first+i)
		})
	}
}
