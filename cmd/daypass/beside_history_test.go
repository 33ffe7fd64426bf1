package main_test

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/internal/soak"
)

// TestBesideNbgitpullerAtRandom: on histories of all kinds, wherever nbgitpuller
// succeeds and loses nothing, daypass leaves the same files; elsewhere it goes on,
// with nothing of anybody's lost. The same 40 are played every day, with those that
// once failed: the instructor renamed a file where a force-push took back a deletion;
// the student renamed a file, committed that, and renamed it back; kept a file in a
// folder that the instructor renamed; put another file, and a folder, where they had
// deleted one; renamed a file to where they had. DAYPASS_SOAK plays 1,000 new ones.
func TestBesideNbgitpullerAtRandom(t *testing.T) {
	if testing.Short() {
		t.Skip("real pulls")
	}
	first, n := soak.Seeds(t, 40, 1000)
	named := []uint64{1068314299, 2805762921, 2805762494, 3001445796, 3001443376, 1404644134}
	if soak.One(t) {
		named = nil
	}
	peers, program := startPeers(t), filepath.Join(programs(t), "daypass")
	count := &counts{of: map[string]int{}}
	t.Cleanup(func() { count.judge(t, n) })
	for i := range n + len(named) {
		seed := first + uint64(i)
		if i >= n {
			seed = named[i-n]
		}
		t.Run(fmt.Sprint("DAYPASS_SEED=", seed), func(t *testing.T) {
			t.Parallel()
			p := newPair(t, peers, program)
			h := &history{pair: p, judge: p.peer, rng: rand.New(rand.NewPCG(seed, 5)), counts: count, others: map[string]map[string]string{}}
			h.run()
		})
	}
}

// counts are what histories held.
type counts struct {
	mu sync.Mutex
	of map[string]int
}

func (c *counts) add(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of[what]++
}

// judge fails where n histories held too little of what they are there for.
func (c *counts) judge(t *testing.T, n int) {
	t.Logf("%v", c.of)
	if n == 1 {
		return
	}
	for what, least := range map[string]int{"pulls that left the same": n, "notebooks changed by both": n / 8, "binaries changed by both": n / 40, "force-pushes": n / 8, "other branches": n / 20} {
		if c.of[what] < least {
			t.Errorf("%d %s, and %d were to be played: %v", c.of[what], what, least, c.of)
		}
	}
}

// A history is a course at random. Each line that anybody writes is unlike all
// others, so that it can be told who wrote it and whether it is still there.
type history struct {
	*pair
	judge     *nbgitpuller
	rng       *rand.Rand
	counts    *counts
	files     map[string]string            // the instructor's, on the branch that is pulled
	delivered map[string]string            // what of them the last pull brought
	others    map[string]map[string]string // those of the branches that were left
	wild      bool                         // the instructor rewrites history and changes branches
	rewritten bool                         // since the last pull
	last      int                          // line
}

// pool are the names of files; the last one is a folder's, too.
var pool = []string{"a.txt", "b.txt", "data/c.csv", "data/d.txt", "notes.md", "lab/e.py", "lab/deep/f.txt", "README", "é.txt", "two words.txt",
	"lab.ipynb", "lab/two.ipynb", "week 3.ipynb", "plot.png", "data/m.bin", "data"}

const (
	textKind = iota
	notebookKind
	binaryKind
)

func kind(path string) int {
	return map[string]int{".ipynb": notebookKind, ".png": binaryKind, ".bin": binaryKind}[filepath.Ext(path)]
}

// content is a leaf's, without its mode.
func content(leaf string) string {
	_, text, _ := strings.Cut(leaf, " ")
	return text
}

func (h *history) line(who string) string {
	h.last++
	return fmt.Sprintf("%s%d.\n", who, h.last)
}

func (h *history) lines(who string, n int) []string {
	var out []string
	for range n {
		out = append(out, h.line(who))
	}
	return out
}

// fresh is what a new file holds.
func (h *history) fresh(who, path string) string {
	switch kind(path) {
	case notebookKind:
		return h.freshBook(who)
	case binaryKind:
		noise := make([]byte, 300)
		for i := range noise {
			noise[i] = byte(h.rng.IntN(2) * (0x80 + h.rng.IntN(0x80)))
		}
		return "\x89PNG\r\n\x1a\n" + h.line(who) + string(noise)
	}
	return strings.Join(h.lines(who, 6+h.rng.IntN(16)), "")
}

func (h *history) edited(who, path, text string) string {
	switch kind(path) {
	case notebookKind:
		return h.editedBook(who, text)
	case binaryKind:
		return h.fresh(who, path)
	}
	return strings.Join(h.editedLines(who, slices.Collect(strings.Lines(text))), "")
}

// editedLines changes, takes out and puts in a few.
func (h *history) editedLines(who string, lines []string) []string {
	for range 1 + h.rng.IntN(3) {
		at := h.rng.IntN(len(lines) + 1)
		switch h.rng.IntN(4) {
		case 0:
			lines = slices.Insert(lines, at, h.lines(who, 1+h.rng.IntN(2))...)
		case 1:
			if at < len(lines) && len(lines) > 4 {
				lines = slices.Delete(lines, at, at+1)
			}
		default:
			if at < len(lines) {
				lines[at] = h.line(who)
			}
		}
	}
	return lines
}

func (h *history) run() {
	h.wild = h.rng.IntN(3) == 0
	h.files = map[string]string{"lab.ipynb": h.freshBook("T")}
	for _, i := range h.rng.Perm(len(pool) - 1)[:5] {
		h.files[pool[i]] = h.fresh("T", pool[i])
	}
	h.publish()
	h.pull()
	for range 4 {
		h.delivered, h.rewritten = maps.Clone(h.files), false
		h.instructor()
		h.studies()
		r := round{delivered: h.delivered, upstream: h.files, before: tree(h.t, h.ours), removed: h.removed()}
		failed := h.pull()
		r.after = tree(h.t, h.ours)
		if fault := cmp.Or(r.lost(h.t), r.late(h.t), h.invalid(r.after)); fault != "" {
			h.t.Fatalf("daypass: %s", fault)
		}
		h.countChanges(r)
		if h.peer != nil {
			h.compare(r, failed)
		}
	}
	// Never stuck: a further pull goes through and changes nothing.
	h.peer = nil
	before := tree(h.t, h.ours)
	h.pull()
	if d := differ(before, tree(h.t, h.ours)); d != "" {
		h.t.Fatalf("a pull of nothing changes\n%s", d)
	}
}

// countChanges counts what both changed.
func (h *history) countChanges(r round) {
	for path, text := range r.upstream {
		was, known := r.delivered[path]
		if mine, had := r.before[path]; known && had && text != was && content(mine) != was {
			h.counts.add([]string{"texts", "notebooks", "binaries"}[kind(path)] + " changed by both")
		}
	}
}

// compare holds what daypass left beside what nbgitpuller did. Where the two are not
// the same, the history goes on with daypass alone.
func (h *history) compare(r round, failed string) {
	theirs, ours := tree(h.t, h.theirs), maps.Clone(r.after)
	r.after = theirs
	switch {
	case failed != "":
		h.counts.add("failures of nbgitpuller")
	case r.lost(h.t) != "":
		h.counts.add("losses by nbgitpuller")
	case h.rewritten && r.late(h.t) != "":
		h.counts.add("histories that nbgitpuller mixed")
	default:
		taken := deliberate(r, theirs, ours, sync.OnceValue(func() leaves { return h.mergedByGit(r) }))
		if h.rewritten {
			taken = append(taken, h.remerged(r, theirs, ours)...)
		}
		if d := differ(theirs, ours); d != "" {
			h.t.Fatalf("the two differ, beside %q:\n%s", taken, d)
		}
		if len(taken) == 0 {
			h.counts.add("pulls that left the same")
			return
		}
		h.counts.add("differences on purpose")
	}
	h.peer = nil
}

// remerged takes out of both trees the files in which nbgitpuller compared with what
// a rewritten history has in common with the old one, and daypass with what was
// delivered last. What comes of the latter, git says: of renames, too.
func (h *history) remerged(r round, theirs, ours leaves) (taken []string) {
	merged := h.mergedByGit(r)
	for _, path := range slices.Sorted(maps.Keys(union(theirs, ours))) {
		if theirs[path] != ours[path] && kind(path) == textKind && ours[path] == merged[path] {
			taken = append(taken, "what was delivered last is compared with: "+path)
			delete(theirs, path)
			delete(ours, path)
		}
	}
	return taken
}

// mergedByGit is what git makes of what the student has and what the instructor has,
// from what was delivered last.
func (h *history) mergedByGit(r round) leaves {
	repo := gittest.New(h.t)
	delivered := repo.Commit("main", "delivered", gittest.Files(r.delivered))
	changes := func(to map[string]string) gittest.Files {
		files := gittest.Files{}
		for path := range r.delivered {
			files[path] = gittest.Deleted
		}
		maps.Copy(files, to)
		return files
	}
	mine := map[string]string{}
	for path, leaf := range r.before {
		mine[path] = content(leaf)
	}
	repo.Git("update-ref", "refs/heads/theirs", delivered)
	repo.Commit("main", "mine", changes(mine))
	repo.Commit("theirs", "theirs", changes(r.upstream))
	dir := filepath.Join(gittest.TempDir(h.t), "merged")
	gittest.Run(h.t, filepath.Dir(dir), "clone", "-q", "--branch", "main", repo.Dir, dir)
	// Where it stops, what it could not settle stands in the folder as it is.
	h.note("git, from what was delivered: %v", git(dir, "merge", "-q", "-Xours", "origin/theirs"))
	return tree(h.t, dir)
}

// invalid is a notebook that nbformat does not take.
func (h *history) invalid(in leaves) string {
	for path, text := range in {
		if kind(path) == notebookKind {
			if problem := h.judge.invalid(h.t, content(text)); problem != "" {
				return path + ": " + problem
			}
		}
	}
	return ""
}

// A round is what one pull was to do, and what came of it.
type round struct {
	delivered, upstream map[string]string // the instructor's files at the last pull, and now
	before, after       leaves
	removed             map[string]bool // files whose deletion the student committed
}

var students = regexp.MustCompile(`S\d+\.`)

// lost is something of the student's that is nowhere.
func (r round) lost(t *testing.T) string {
	all := slices.Collect(maps.Values(r.after))
	text := strings.Join(all, "\n")
	for path, mine := range r.before {
		_, known := r.delivered[path]
		if kind(path) == binaryKind && students.MatchString(mine) && !slices.Contains(all, mine) || !known && !r.movedAlong() && !r.stands(path) {
			return "the student's " + path + " is lost"
		}
		for _, line := range students.FindAllString(mine, -1) {
			if !strings.Contains(text, line) {
				return fmt.Sprintf("%q of the student's %s is lost", line, path)
			}
		}
	}
	return r.lostCells(t)
}

// stands reports whether a file of the student's is where it was, or aside. One that
// holds what the instructor gave under another name, and has since taken away, may
// make room for a new one.
func (r round) stands(path string) bool {
	for p, was := range r.delivered {
		if r.before[p] == "" && r.upstream[p] == "" && content(r.before[path]) == was {
			return true
		}
	}
	for name, text := range r.after {
		if strings.ReplaceAll(name, "__TIME", "") == strings.ReplaceAll(path, "__TIME", "") && text == r.before[path] {
			return true
		}
	}
	return false
}

// late is something of the instructor's that did not come, or did not go, though
// nothing of the student's stood in its way.
func (r round) late(t *testing.T) string {
	for path, text := range r.upstream {
		was, known := r.delivered[path]
		mine, had := r.before[path]
		got, there := r.after[path]
		switch {
		case !had && known && text == was && r.removed[path]:
			continue
		case students.MatchString(got): // the student's changes are in it
		case !known && r.movedAlong(): // the student's deletions
		case had && known && content(mine) != was:
		case !there || content(got) != text:
			return fmt.Sprintf("%s: %s, and the instructor has %.600q", path, seen(got, there), text)
		}
		if kind(path) == notebookKind {
			if late := r.lateCells(t, path); late != "" {
				return late
			}
		}
	}
	for path, was := range r.delivered {
		_, has := r.upstream[path]
		if got, there := r.after[path]; !has && there && r.before[path] == got && content(got) == was {
			return path + " is still there"
		}
	}
	return ""
}

// movedAlong reports whether the student changed a file that the instructor took away
// or renamed.
func (r round) movedAlong() bool {
	for path, was := range r.delivered {
		if mine, had := r.before[path]; had && r.upstream[path] == "" && content(mine) != was {
			return true
		}
	}
	return false
}

// removed are the delivered files that are not in the student's last commit.
func (h *history) removed() map[string]bool {
	out, has := map[string]bool{}, strings.Split(gittest.Run(h.t, h.ours, "ls-tree", "-r", "-z", "--name-only", "HEAD"), "\x00")
	for path := range h.delivered {
		out[path] = !slices.Contains(has, path)
	}
	return out
}

// free reports whether a path may be written: no file stands above or below it.
func free(path string, there []string) bool {
	return !slices.ContainsFunc(there, func(p string) bool {
		return p == path || strings.HasPrefix(p, path+"/") || strings.HasPrefix(path, p+"/")
	})
}

// instructor is what the instructor does between two pulls.
func (h *history) instructor() {
	h.rewritten = h.wild && h.rng.IntN(3) == 0
	if h.wild && h.rng.IntN(5) == 0 {
		h.switchBranch()
	}
	for range 1 + h.rng.IntN(3) {
		have := slices.Sorted(maps.Keys(h.files))
		name, to := have[h.rng.IntN(len(have))], pool[h.rng.IntN(len(pool))]
		switch h.rng.IntN(6) {
		case 0:
			if free(to, have) {
				h.note("the instructor adds %s", to)
				h.files[to] = h.fresh("T", to)
			}
		case 1:
			if len(have) > 2 {
				h.note("the instructor deletes %s", name)
				delete(h.files, name)
			}
		case 2:
			if free(to, have) && kind(name) == kind(to) {
				h.note("the instructor renames %s to %s", name, to)
				h.files[to] = h.files[name]
				delete(h.files, name)
			}
		default:
			h.note("the instructor edits %s", name)
			h.files[name] = h.edited("T", name, h.files[name])
		}
	}
	h.publish()
}

// switchBranch makes the link name another branch, which goes on from this one where
// it is new.
func (h *history) switchBranch() {
	from, to := cmp.Or(h.branch, "main"), []string{"main", "week2", "week3"}[h.rng.IntN(3)]
	if from == to {
		return
	}
	h.counts.add("other branches")
	h.note("the link's branch: %s, after %s", to, from)
	h.others[from] = maps.Clone(h.files)
	if files, ok := h.others[to]; ok {
		h.files = maps.Clone(files)
	} else {
		h.up.Git("update-ref", "refs/heads/"+to, "refs/heads/"+from)
	}
	h.branch = to
}

// publish commits the instructor's files; where history is rewritten, on an older
// commit or on none.
func (h *history) publish() {
	branch, commit, changes := cmp.Or(h.branch, "main"), h.up.Commit, gittest.Files{}
	for _, path := range pool {
		changes[path] = gittest.Deleted
	}
	maps.Copy(changes, h.files)
	if h.rewritten {
		h.counts.add("force-pushes")
		old, _ := strconv.Atoi(h.up.Git("rev-list", "--count", branch))
		back := h.rng.IntN(min(old, 3))
		h.note("a force-push, %d commits back (0: a history anew)", back)
		if back > 0 {
			h.up.Git("update-ref", "refs/heads/"+branch, fmt.Sprintf("%s~%d", branch, back))
		} else {
			commit = h.up.Orphan
		}
	}
	h.note("the instructor has %q", slices.Sorted(maps.Keys(h.files)))
	commit(branch, "more", changes)
}

// studies is what the student does between two pulls.
func (h *history) studies() {
	for range h.rng.IntN(5) {
		have := slices.Sorted(maps.Keys(tree(h.t, h.ours)))
		if len(have) == 0 {
			break
		}
		name, to := have[h.rng.IntN(len(have))], pool[h.rng.IntN(len(pool))]
		if strings.Contains(name, "__TIME") {
			continue // the two have other times
		}
		h.studentDoes(name, to, have)
	}
}

func (h *history) studentDoes(name, to string, have []string) {
	switch h.rng.IntN(9) {
	case 0:
		if free(to, have) {
			text := h.fresh("S", to)
			h.student("writes "+to, func(dir string) error {
				os.Remove(filepath.Join(dir, to)) // an empty folder
				return put(dir, to, text)
			})
		}
	case 1:
		h.student("deletes "+name, func(dir string) error { return os.Remove(filepath.Join(dir, name)) })
	case 2:
		if free(to, have) && kind(name) == kind(to) {
			h.student("renames "+name+" to "+to, func(dir string) error {
				os.MkdirAll(filepath.Dir(filepath.Join(dir, to)), 0o755)
				os.Remove(filepath.Join(dir, to)) // an empty folder
				return os.Rename(filepath.Join(dir, name), filepath.Join(dir, to))
			})
		}
	case 3:
		h.student("commits", func(dir string) error { return git(dir, "commit", "-qam", "mine", "--allow-empty") })
	case 4:
		h.student("stages "+name, func(dir string) error { return git(dir, "add", "-A", "--", name) })
	default:
		text, err := os.ReadFile(filepath.Join(h.ours, name))
		if err != nil {
			h.t.Fatal(err)
		}
		changed := h.edited("S", name, string(text))
		h.student("edits "+name, func(dir string) error { return put(dir, name, changed) })
	}
}
