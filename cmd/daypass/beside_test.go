package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/internal/gittest"
)

// nbgitpuller is nbgitpuller as its package has it, in one process for many pulls.
type nbgitpuller struct {
	in  io.WriteCloser
	out *bufio.Reader
}

const nbgitpullerLoop = `
import json, sys
from nbgitpuller import GitPuller
for line in sys.stdin:
    ask, said, error = json.loads(line), [], ""
    try:
        for text in GitPuller(ask["url"], ask["dir"], branch=ask["branch"] or None).pull():
            said.append(text)
    except BaseException as e:
        error = type(e).__name__ + ": " + str(e)
    print(json.dumps({"error": error, "said": "".join(said)}), flush=True)
`

func startNbgitpuller(t *testing.T) *nbgitpuller {
	t.Helper()
	program := os.Getenv("DAYPASS_TEST_NBGITPULLER")
	if program == "" {
		if os.Getenv("DAYPASS_TEST_COMPLETE") != "" {
			t.Fatal("make test installs nbgitpuller, and it is not there")
		}
		t.Skip(`DAYPASS_TEST_NBGITPULLER is not set; eval "$(scripts/tools.sh pull-env)" sets it`)
	}
	cmd := exec.Command(filepath.Join(filepath.Dir(program), "python"), "-c", nbgitpullerLoop)
	cmd.Env = append(gittest.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	return &nbgitpuller{in, bufio.NewReader(out)}
}

// pull returns what it said, and its error as text.
func (n *nbgitpuller) pull(t *testing.T, url, branch, dir string) (said, failed string) {
	t.Helper()
	ask, err := json.Marshal(map[string]string{"url": url, "branch": branch, "dir": dir})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.in.Write(append(ask, '\n')); err != nil {
		t.Fatal(err)
	}
	line, err := n.out.ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var reply struct{ Error, Said string }
	if err := json.Unmarshal(line, &reply); err != nil {
		t.Fatal(err)
	}
	return reply.Said, reply.Error
}

// A pair is one course and two students who do the same, one with nbgitpuller and
// one with daypass.
type pair struct {
	t            *testing.T
	peer         *nbgitpuller
	program      string // daypass
	up           *gittest.Repo
	branch       string // that the link names; "" is none
	theirs, ours string
	home         string
	log          []string // what was done, for whoever reads a failure
}

func newPair(t *testing.T, peer *nbgitpuller, program string) *pair {
	dir := gittest.TempDir(t)
	p := &pair{t: t, peer: peer, program: program, up: gittest.New(t), theirs: filepath.Join(dir, "theirs", "course"), ours: filepath.Join(dir, "ours", "course"), home: filepath.Join(dir, "home")}
	for _, d := range []string{filepath.Dir(p.theirs), filepath.Dir(p.ours), p.home} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(strings.Join(p.log, "\n"))
		}
	})
	return p
}

func (p *pair) note(format string, args ...any) { p.log = append(p.log, fmt.Sprintf(format, args...)) }

// commit is the instructor's.
func (p *pair) commit(files gittest.Files) {
	p.note("the instructor: %q", files)
	p.up.Commit("main", "more", files)
}

// student does the same in both folders.
func (p *pair) student(what string, do func(dir string) error) {
	p.t.Helper()
	p.note("the student: %s", what)
	for _, dir := range []string{p.theirs, p.ours} {
		if err := do(dir); err != nil {
			p.t.Fatalf("%s: %v", what, err)
		}
	}
}

// pull pulls with both. failed is nbgitpuller's error; daypass may have none.
func (p *pair) pull() (failed string) {
	p.t.Helper()
	url := "file://" + p.up.Dir
	if p.peer != nil {
		var said string
		said, failed = p.peer.pull(p.t, url, p.branch, p.theirs)
		p.note("nbgitpuller: %s\n%s", failed, said)
	}
	cmd := exec.Command(p.program, "pull", "--json")
	if p.branch != "" {
		cmd.Args = append(cmd.Args, "--branch", p.branch)
	}
	cmd.Args = append(cmd.Args, url, p.ours)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.home, "DAYPASS_PLAIN=1"}
	out, err := cmd.CombinedOutput()
	p.note("daypass: %v\n%s", err, out)
	if err != nil {
		p.t.Fatalf("daypass pull: %v\n%s", err, out)
	}
	return failed
}

// A leaf is a file as it lies there: "100755 content", "120000 target".
type leaves map[string]string

var stamped = regexp.MustCompile(`__\d{14}`)

// tree reads a folder without .git. Times in names are TIME, so that two pulls
// that were a second apart compare.
func tree(t *testing.T, dir string) leaves {
	t.Helper()
	out := leaves{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, path)
		switch {
		case err != nil:
			return err
		case rel == ".git":
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		}
		name := stamped.ReplaceAllString(filepath.ToSlash(rel), "__TIME")
		if d.Type()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(path)
			out[name] = "120000 " + target
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		out[name] = map[bool]string{true: "100755 ", false: "100644 "}[info.Mode()&0o100 != 0] + string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// differ says where two trees differ, "" for nowhere.
func differ(theirs, ours leaves) string {
	var b strings.Builder
	all := maps.Clone(theirs)
	maps.Copy(all, ours)
	for _, path := range slices.Sorted(maps.Keys(all)) {
		x, inTheirs := theirs[path]
		y, inOurs := ours[path]
		if x == y && inTheirs == inOurs {
			continue
		}
		fmt.Fprintf(&b, "%s\n  nbgitpuller: %s\n  daypass:     %s\n", path, seen(x, inTheirs), seen(y, inOurs))
	}
	return b.String()
}

func seen(text string, there bool) string {
	if !there {
		return "(not there)"
	}
	return fmt.Sprintf("%.600q", text)
}

// deliberate takes out of both trees what doc/pull.md lists as done otherwise on
// purpose, and returns what it took out. before is what the student had, and
// upstream what the instructor has.
func deliberate(theirs, ours, before leaves, upstream map[string][]string) (taken []string) {
	for path := range theirs {
		if upstream[path] == nil && before[path] == "" && ours[path] == "" && !strings.Contains(path, "__TIME") {
			delete(theirs, path)
			taken = append(taken, "a file that both deleted stays away, though the student had changed it once: "+path)
		}
	}
	for path, lines := range upstream {
		if theirs[path] == ours[path] {
			continue
		}
		ext := filepath.Ext(path)
		mine := strings.TrimSuffix(path, ext) + "__TIME" + ext
		switch {
		case before[path] == "" && theirs[path] == "" && ours[path] == "100644 "+strings.Join(lines, ""):
			delete(ours, path)
			taken = append(taken, "a deleted file comes back, though the deletion was staged: "+path)
		case before[path] != "" && theirs[path] != "" && ours[mine] == theirs[path]:
			delete(theirs, path)
			delete(ours, path)
			delete(ours, mine)
			taken = append(taken, "a new file of the instructor's arrives, though the student has one of that name that git knows: "+path)
		}
	}
	for path, text := range theirs {
		if i := strings.Index(path, "__TIME"); i >= 0 && ours[path] == "" && theirs[path[:i]+path[i+len("__TIME"):]] == text {
			delete(theirs, path)
			taken = append(taken, "a file of the student's that is the same as the instructor's is adopted, with no copy: "+path)
		}
	}
	for path := range theirs {
		if strings.HasSuffix(path, ".ipynb") && ours[path] != "" && ours[path] != theirs[path] {
			taken = append(taken, "notebooks are merged by cells: "+path)
			delete(theirs, path)
			delete(ours, path)
		}
	}
	return taken
}

// TestBesideNbgitpullerAtRandom: on histories of all kinds, wherever nbgitpuller
// succeeds and loses nothing, daypass leaves the same files.
func TestBesideNbgitpullerAtRandom(t *testing.T) {
	if testing.Short() {
		t.Skip("real pulls")
	}
	n := 40
	if os.Getenv("DAYPASS_SOAK") != "" {
		n = 300
	}
	peer, first := startNbgitpuller(t), uint64(rand.Uint32())
	program := filepath.Join(programs(t), "daypass")
	if text := os.Getenv("DAYPASS_SEED"); text != "" {
		if _, err := fmt.Sscan(text, &first); err != nil {
			t.Fatal(err)
		}
		n = 1
	}
	count := map[string]int{}
	for i := range n {
		seed := first + uint64(i)
		t.Run(fmt.Sprint("DAYPASS_SEED=", seed), func(t *testing.T) {
			h := &history{pair: newPair(t, peer, program), rng: rand.New(rand.NewPCG(seed, 5)), files: map[string][]string{}}
			for what, n := range h.run() {
				count[what] += n
			}
		})
	}
	t.Logf("%d histories from seed %d: %v", n, first, count)
	if n > 1 && count["pulls that left the same"] < n {
		t.Errorf("too few pulls were compared: %v", count)
	}
}

// A history is a course at random. Each line that anybody writes is unlike all
// others, so that it can be told who wrote it and whether it is still there.
type history struct {
	*pair
	rng   *rand.Rand
	files map[string][]string // the instructor's
	last  int                 // line
}

var pool = []string{"a.txt", "b.txt", "data/c.csv", "data/d.txt", "notes.md", "lab/e.py", "lab/deep/f.txt", "README", "é.txt", "two words.txt", "data"}

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

// edited changes, takes out and puts in a few lines.
func (h *history) edited(who string, lines []string) []string {
	out := slices.Clone(lines)
	for range 1 + h.rng.IntN(3) {
		at := h.rng.IntN(len(out) + 1)
		switch h.rng.IntN(4) {
		case 0:
			out = slices.Insert(out, at, h.lines(who, 1+h.rng.IntN(2))...)
		case 1:
			if at < len(out) && len(out) > 4 {
				out = slices.Delete(out, at, at+1)
			}
		default:
			if at < len(out) {
				out[at] = h.line(who)
			}
		}
	}
	return out
}

func (h *history) run() map[string]int {
	count := map[string]int{}
	first := gittest.Files{}
	for _, i := range h.rng.Perm(len(pool) - 1)[:4] {
		h.files[pool[i]] = h.lines("T", 6+h.rng.IntN(20))
		first[pool[i]] = strings.Join(h.files[pool[i]], "")
	}
	h.commit(first)
	h.pull()
	for range 3 {
		h.instructor()
		written := h.studies()
		before := tree(h.t, h.ours)
		failed := h.pull()
		theirs, ours := tree(h.t, h.theirs), tree(h.t, h.ours)
		if lost := missing(written, ours); lost != "" {
			h.t.Fatalf("daypass lost %q of the student's", lost)
		}
		switch {
		case failed != "":
			count["failures of nbgitpuller"]++
			return count
		case missing(written, theirs) != "":
			count["losses by nbgitpuller"]++
			return count
		}
		if taken := deliberate(theirs, ours, before, h.files); len(taken) > 0 {
			count["differences on purpose"]++
			if d := differ(theirs, ours); d != "" {
				h.t.Fatalf("beside %q:\n%s", taken, d)
			}
			return count
		}
		if d := differ(theirs, ours); d != "" {
			h.t.Fatalf("the two differ:\n%s", d)
		}
		count["pulls that left the same"]++
	}
	return count
}

// missing is a line that is nowhere in a tree.
func missing(lines []string, in leaves) string {
	all := strings.Join(slices.Collect(maps.Values(in)), "\n")
	for _, l := range lines {
		if !strings.Contains(all, l) {
			return l
		}
	}
	return ""
}

// free reports whether a path may be written: no file stands above or below it.
func free(path string, there []string) bool {
	return !slices.ContainsFunc(there, func(p string) bool {
		return p == path || strings.HasPrefix(p, path+"/") || strings.HasPrefix(path, p+"/")
	})
}

func (h *history) instructor() {
	changes := gittest.Files{}
	for range 1 + h.rng.IntN(3) {
		have := slices.Sorted(maps.Keys(h.files))
		name, to := have[h.rng.IntN(len(have))], pool[h.rng.IntN(len(pool))]
		switch h.rng.IntN(6) {
		case 0:
			if free(to, have) {
				h.files[to] = h.lines("T", 6+h.rng.IntN(12))
			}
		case 1:
			if len(have) > 2 {
				delete(h.files, name)
				changes[name] = gittest.Deleted
			}
		case 2:
			if free(to, have) {
				h.files[to] = h.files[name]
				delete(h.files, name)
				changes[name] = gittest.Deleted
			}
		default:
			h.files[name] = h.edited("T", h.files[name])
		}
	}
	for name, lines := range h.files {
		changes[name] = strings.Join(lines, "")
	}
	h.commit(changes)
}

// studies is what the student does; it returns the lines of theirs that are there.
func (h *history) studies() []string {
	for range h.rng.IntN(4) {
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
	var written []string
	for _, text := range tree(h.t, h.ours) {
		for l := range strings.Lines(text) {
			if _, after, ok := strings.Cut(l, "S"); ok {
				written = append(written, "S"+after)
			}
		}
	}
	return written
}

func (h *history) studentDoes(name, to string, have []string) {
	switch h.rng.IntN(8) {
	case 0:
		if free(to, have) {
			text := strings.Join(h.lines("S", 5), "")
			h.student("writes "+to, func(dir string) error { return put(dir, to, text) })
		}
	case 1:
		h.student("deletes "+name, func(dir string) error { return os.Remove(filepath.Join(dir, name)) })
	case 2:
		if free(to, have) {
			h.student("renames "+name+" to "+to, func(dir string) error {
				os.MkdirAll(filepath.Dir(filepath.Join(dir, to)), 0o755)
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
		changed := strings.Join(h.edited("S", slices.Collect(strings.Lines(string(text)))), "")
		h.student("edits "+name, func(dir string) error { return put(dir, name, changed) })
	}
}

func put(dir, name, text string) error {
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

// git is the student's own.
func git(dir string, args ...string) error {
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = dir, gittest.Environ()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("git %q: %w\n%s", args, err, bytes.TrimSpace(out))
	}
	return nil
}
