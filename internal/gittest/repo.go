package gittest

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A TB is what the rig needs of a test; a measure.Stage has it too.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// Deleted as a file's content takes the file away.
const Deleted = "\x00deleted"

// Files are changes by path: the new content, or [Deleted]. A path may begin with a
// mode and a colon: "100755:run.sh", "120000:link" (the content is the target),
// "160000:sub" (the content is a commit).
type Files map[string]string

// A Repo is a bare repository. Its commits have fixed names and dates, so that
// the same calls give the same ids.
type Repo struct {
	Dir    string
	Format string // "sha1" or "sha256"
	t      TB
	clock  int64
}

// Start is the date of a repository's first commit, in seconds; each later one
// comes a minute after.
const Start = 1_700_000_000

// New makes an empty repository in a folder of its own, which goes with the test.
// Its HEAD is refs/heads/main.
func New(t TB) *Repo {
	t.Helper()
	return At(t, filepath.Join(TempDir(t), "course.git"), "sha1")
}

// At makes an empty repository in dir.
func At(t TB, dir, format string) *Repo {
	t.Helper()
	r := &Repo{Dir: dir, Format: format, t: t, clock: Start}
	if out, err := command("init", "-q", "--bare", "--template=", "--object-format="+format, "-b", "main", dir).CombinedOutput(); err != nil {
		t.Fatalf("git init %s: %v\n%s", dir, err, out)
	}
	return r
}

// TempDir makes a folder that goes with the test.
func TempDir(t TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gittest-")
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() {
		Writable(dir)
		os.RemoveAll(dir)
	})
	return dir
}

// Writable makes what lies under dir removable.
func Writable(dir string) {
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			os.Chmod(path, 0o700)
		}
		return nil
	})
}

// Environ is an environment for git in tests: names, dates and nothing of the
// machine's configuration.
func Environ() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "LC_ALL=C", "TZ=UTC",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_ATTR_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Teacher", "GIT_AUTHOR_EMAIL=teacher@example.org", "GIT_AUTHOR_DATE=1700000000 +0000",
		"GIT_COMMITTER_NAME=Teacher", "GIT_COMMITTER_EMAIL=teacher@example.org", "GIT_COMMITTER_DATE=1700000000 +0000",
		"GIT_CONFIG_COUNT=2", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
		"GIT_CONFIG_KEY_1=init.defaultBranch", "GIT_CONFIG_VALUE_1=main",
	}
}

func command(args ...string) *exec.Cmd {
	cmd := exec.Command("git", args...)
	cmd.Env = Environ()
	return cmd
}

// Git runs git on the repository and returns what it prints, without the last
// newline.
func (r *Repo) Git(args ...string) string {
	r.t.Helper()
	return r.Pipe("", args...)
}

// Pipe is [Repo.Git] with standard input.
func (r *Repo) Pipe(in string, args ...string) string {
	r.t.Helper()
	cmd := command(append([]string{"--git-dir=" + r.Dir}, args...)...)
	cmd.Stdin = strings.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return strings.TrimSuffix(string(out), "\n")
}

// Run runs git in a work tree, as a user would, and returns what it prints.
func Run(t TB, dir string, args ...string) string {
	t.Helper()
	cmd := command(args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSuffix(string(out), "\n")
}

// Commit changes files on a branch ("main", or a full ref), which it makes where
// there is none, and returns the commit's id.
func (r *Repo) Commit(branch, message string, files Files) string {
	r.t.Helper()
	ref := full(branch)
	tip, _ := command("--git-dir="+r.Dir, "rev-parse", "-q", "--verify", ref+"^0").Output()
	return r.commit(ref, message, files, strings.TrimSpace(string(tip)))
}

// Orphan makes ref a commit without parents, with these files and no others: what a
// force-push of a rewritten history brings.
func (r *Repo) Orphan(branch, message string, files Files) string {
	r.t.Helper()
	return r.commit(full(branch), message, files, "")
}

// Amend replaces a branch's newest commit, keeping its parents: a force-push.
func (r *Repo) Amend(branch, message string, files Files) string {
	r.t.Helper()
	ref := full(branch)
	id := r.Commit(branch, message, files)
	args := []string{"commit-tree", "-m", message}
	for _, p := range strings.Fields(r.Git("log", "-1", "--format=%P", ref+"^")) {
		args = append(args, "-p", p)
	}
	id = r.Git(append(args, id+"^{tree}")...)
	r.Git("update-ref", ref, id)
	return id
}

func full(branch string) string {
	if strings.HasPrefix(branch, "refs/") {
		return branch
	}
	return "refs/heads/" + branch
}

func (r *Repo) commit(ref, message string, files Files, parent string) string {
	r.t.Helper()
	var b bytes.Buffer
	r.clock += 60
	who := fmt.Sprintf("Teacher <teacher@example.org> %d +0000", r.clock)
	fmt.Fprintf(&b, "reset %s\ncommit %s\nmark :1\nauthor %s\ncommitter %s\ndata %d\n%s\n", ref, ref, who, who, len(message), message)
	if parent != "" {
		fmt.Fprintf(&b, "from %s\n", parent)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		data := files[name]
		mode, path, ok := strings.Cut(name, ":")
		if !ok || len(mode) != 6 {
			mode, path = "100644", name
		}
		switch {
		case data == Deleted:
			fmt.Fprintf(&b, "D %s\n", quote(path))
		case mode == "160000":
			fmt.Fprintf(&b, "M 160000 %s %s\n", data, quote(path))
		default:
			fmt.Fprintf(&b, "M %s inline %s\ndata %d\n%s\n", mode, quote(path), len(data), data)
		}
	}
	b.WriteString("get-mark :1\ndone\n")
	return strings.TrimSpace(r.Pipe(b.String(), "fast-import", "--quiet", "--force", "--done"))
}

func quote(path string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range []byte(path) {
		if c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			fmt.Fprintf(&b, "\\%03o", c)
		} else {
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// An Entry is one of a tree's, as it stands there.
type Entry struct{ Mode, Name, ID string }

// Blob writes a blob.
func (r *Repo) Blob(data string) string {
	r.t.Helper()
	return r.Pipe(data, "hash-object", "-w", "--stdin")
}

// Tree writes a tree with whatever names, in the order given: what git itself would
// refuse to write.
func (r *Repo) Tree(entries ...Entry) string {
	r.t.Helper()
	var b strings.Builder
	for _, e := range entries {
		raw := make([]byte, len(e.ID)/2)
		if _, err := fmt.Sscanf(e.ID, "%x", &raw); err != nil {
			r.t.Fatalf("id %q: %v", e.ID, err)
		}
		fmt.Fprintf(&b, "%s %s\x00%s", e.Mode, e.Name, raw)
	}
	return r.Pipe(b.String(), "hash-object", "-t", "tree", "-w", "--literally", "--stdin")
}

// CommitTree makes a branch a commit of a tree, without parents.
func (r *Repo) CommitTree(branch, tree string) string {
	r.t.Helper()
	id := r.Git("commit-tree", "-m", "tree", tree)
	r.Git("update-ref", full(branch), id)
	return id
}

// Course fills a branch with a repository as courses have them: n files in folders
// of thirty, a few kilobytes each that do not compress to nothing, every tenth a
// notebook.
func (r *Repo) Course(branch string, n int) string {
	r.t.Helper()
	files := Files{}
	seed := uint64(1)
	for i := range n {
		var b strings.Builder
		for b.Len() < 2000+i*13%12000 {
			seed = seed*6364136223846793005 + 1442695040888963407
			fmt.Fprintf(&b, "line %x of file %d, which is there to be merged\n", seed>>40, i)
		}
		name := fmt.Sprintf("week%02d/file%04d.py", i/30, i)
		text := b.String()
		if i%10 == 0 {
			name = fmt.Sprintf("week%02d/lab%04d.ipynb", i/30, i)
			text = fmt.Sprintf("{\n \"cells\": [\n  {\n   \"cell_type\": \"markdown\",\n   \"id\": \"c%d\",\n   \"metadata\": {},\n   \"source\": [\n    %q\n   ]\n  }\n ],\n \"metadata\": {},\n \"nbformat\": 4,\n \"nbformat_minor\": 5\n}\n", i, b.String())
		}
		files[name] = text
	}
	return r.Commit(branch, "course", files)
}
