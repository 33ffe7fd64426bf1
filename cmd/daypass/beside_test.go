package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/internal/process"
)

// nbgitpuller is nbgitpuller as its package has it, in one process for many pulls.
type nbgitpuller struct{ *process.Talk }

const nbgitpullerLoop = `
import json, sys, nbformat
from nbgitpuller import GitPuller
for line in sys.stdin:
    ask, said, error = json.loads(line), [], ""
    try:
        if "notebook" in ask:
            nbformat.validate(nbformat.reads(ask["notebook"], as_version=nbformat.NO_CONVERT))
        else:
            for text in GitPuller(ask["url"], ask["dir"], branch=ask["branch"] or None).pull():
                said.append(text)
    except BaseException as e:
        error = type(e).__name__ + ": " + str(e)
    print(json.dumps({"error": error, "said": "".join(said)}), flush=True)
`

func startNbgitpuller(t *testing.T) *nbgitpuller {
	t.Helper()
	program := process.Installed(t, "DAYPASS_TEST_NBGITPULLER", "pull")
	cmd := exec.Command(filepath.Join(filepath.Dir(program), "python"), "-c", nbgitpullerLoop)
	cmd.Env = append(gittest.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	return &nbgitpuller{process.NewTalk(t, cmd)}
}

// startPeers starts some, so that tests can play beside each other.
func startPeers(t *testing.T) chan *nbgitpuller {
	t.Helper()
	peers := make(chan *nbgitpuller, 4)
	for range cap(peers) {
		peers <- startNbgitpuller(t)
	}
	return peers
}

// pull returns what it said, and its error as text.
func (n *nbgitpuller) pull(t *testing.T, url, branch, dir string) (said, failed string) {
	t.Helper()
	return n.ask(t, map[string]string{"url": url, "branch": branch, "dir": dir})
}

// invalid is what nbformat, which stands beside it, has against a notebook.
func (n *nbgitpuller) invalid(t *testing.T, notebook string) string {
	t.Helper()
	_, problem := n.ask(t, map[string]string{"notebook": notebook})
	return problem
}

func (n *nbgitpuller) ask(t *testing.T, question map[string]string) (said, failed string) {
	t.Helper()
	line, err := json.Marshal(question)
	if err != nil {
		t.Fatal(err)
	}
	var reply struct{ Error, Said string }
	if err := json.Unmarshal(n.Ask(t, line), &reply); err != nil {
		t.Fatal(err)
	}
	return reply.Said, reply.Error
}

// A pair is one course and two students who do the same, one with nbgitpuller and
// one with daypass.
type pair struct {
	t            *testing.T
	peer         *nbgitpuller // nil: the student with daypass goes on alone
	program      string       // daypass
	up           *gittest.Repo
	branch       string // that the link names; "" is none
	theirs, ours string
	home         string
	log          []string // what was done, for whoever reads a failure
}

func newPair(t *testing.T, peers chan *nbgitpuller, program string) *pair {
	peer := <-peers
	t.Cleanup(func() { peers <- peer })
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

// student does the same in both folders, or in the one that is left.
func (p *pair) student(what string, do func(dir string) error) {
	p.t.Helper()
	p.note("the student: %s", what)
	dirs := []string{p.theirs, p.ours}
	if p.peer == nil {
		dirs = dirs[1:]
	}
	for _, dir := range dirs {
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
	for _, path := range slices.Sorted(maps.Keys(union(theirs, ours))) {
		x, inTheirs := theirs[path]
		y, inOurs := ours[path]
		if x == y && inTheirs == inOurs {
			continue
		}
		fmt.Fprintf(&b, "%s\n  nbgitpuller: %s\n  daypass:     %s\n", path, seen(x, inTheirs), seen(y, inOurs))
	}
	return b.String()
}

// union has the files of both.
func union(theirs, ours leaves) leaves {
	all := maps.Clone(theirs)
	maps.Copy(all, ours)
	return all
}

func seen(text string, there bool) string {
	if !there {
		return "(not there)"
	}
	return fmt.Sprintf("%.600q", text)
}

// deliberate takes out of both trees what doc/pull.md lists as done otherwise on
// purpose, and returns what it took out. git is what git makes of what was delivered and
// both sides' changes.
func deliberate(r round, theirs, ours leaves, git func() leaves) (taken []string) {
	for _, path := range slices.Sorted(maps.Keys(theirs)) {
		if why := r.elsewhere(path, theirs, ours); why != "" {
			taken = append(taken, why+": "+path)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(r.upstream)) {
		if theirs[path] == ours[path] {
			continue
		}
		if why := r.otherwise(path, theirs, ours, git); why != "" {
			taken = append(taken, why+": "+path)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(theirs)) {
		if why := r.uncopied(path, theirs, ours); why != "" {
			taken = append(taken, why+": "+path)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(theirs)) {
		if strings.HasSuffix(path, ".ipynb") && ours[path] != "" && ours[path] != theirs[path] {
			taken = append(taken, "notebooks are merged by cells: "+path)
			delete(theirs, path)
			delete(ours, path)
		}
	}
	return taken
}

// aside is the name of a file of the student's that made room.
func aside(path string) string {
	ext := filepath.Ext(path)
	return strings.TrimSuffix(path, ext) + "__TIME" + ext
}

// elsewhere is of a file that nbgitpuller leaves where nobody has it.
func (r round) elsewhere(path string, theirs, ours leaves) string {
	if ours[path] != "" {
		return ""
	}
	for was, mine := range r.before {
		if theirs[was] == "" && theirs[aside(was)] == "" && ours[was] == mine && theirs[path] == mine {
			delete(theirs, path)
			delete(ours, was)
			return "a file of the student's stays in a folder that the instructor renamed"
		}
	}
	if r.upstream[path] == "" && r.before[path] == "" && !strings.Contains(path, "__TIME") {
		delete(theirs, path)
		return "a file that both deleted stays away, though the student had changed it once"
	}
	return ""
}

// otherwise is of a file of the instructor's, of which the two differ.
func (r round) otherwise(path string, theirs, ours leaves, git func() leaves) string {
	before, mine := r.before, aside(path)
	switch {
	case before[path] == "" && theirs[path] == "" && ours[path] == "100644 "+r.upstream[path]:
		delete(ours, path)
		for name, text := range theirs { // a folder of the student's makes room
			if rest, under := strings.CutPrefix(name, path+"/"); under && before[name] == text && ours[mine+"/"+rest] == text {
				delete(theirs, name)
				delete(ours, mine+"/"+rest)
			}
		}
		return "a deleted file comes back, though the deletion was staged"
	case theirs[path] == "" && ours[path] == before[path] && theirs[mine] == before[path]:
		delete(theirs, mine)
		delete(ours, path)
		return "a new file of the student's stays, where a committed deletion left room for it"
	case before[path] != "" && theirs[path] != "" && ours[mine] == theirs[path]:
		delete(theirs, path)
		delete(ours, path)
		delete(ours, mine)
		return "a new file of the instructor's arrives, though the student has one of that name that git knows"
	case r.removed[path] && before[path] != "" && theirs[mine] == before[path] && (kind(path) == notebookKind || ours[path] == git()[path]):
		delete(theirs, path)
		delete(theirs, mine)
		delete(ours, path)
		return "what the student has where a committed deletion left room is their version of the instructor's file"
	}
	return ""
}

// uncopied is of a copy of the student's file that daypass does not make.
func (r round) uncopied(path string, theirs, ours leaves) string {
	name, text := strings.Replace(path, "__TIME", "", 1), theirs[path]
	switch {
	case name == path || ours[path] != "":
		return ""
	case theirs[name] == text:
		delete(theirs, path)
		return "a file of the student's that is the same as the instructor's is adopted, with no copy"
	case content(text) == r.delivered[name] && r.before[name] == text:
		delete(theirs, path)
		return "a file of the student's that is what was delivered is brought up to date, with no copy"
	}
	return ""
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
