package pullpage

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pull"
)

// A Program runs "daypass pull" as a process and in a session of its own, so that
// a pull lands whatever becomes of the page. What the process tells goes into a
// file, which any page of this user can follow: the process holds a lock on it for
// as long as it lives.
type Program struct {
	Path    string   // of daypass
	Dir     string   // for those files, 0700
	Environ []string // of the children
}

// tick is how often a file is looked at.
const tick = 60 * time.Millisecond

// Pull pulls, or follows the same pull that runs already.
func (p Program) Pull(ctx context.Context, r Request, told func(pull.Event)) (pull.Report, error) {
	if err := privateDir(p.Dir); err != nil {
		return pull.Report{}, badState(err)
	}
	name := p.file(r.Folder)
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return pull.Report{}, badState(err)
	}
	defer func() { _ = f.Close() }() // the child has its own
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return pull.Report{}, badState(err)
		}
		if running, ok := p.Running(r.Folder); ok && running != r {
			return pull.Report{}, otherPull(filepath.Base(r.Folder))
		}
		return p.follow(ctx, name, nil, told)
	}
	ended, err := p.start(f, r)
	if err != nil {
		return pull.Report{}, err
	}
	if err := f.Close(); err != nil { // from here on the lock is the child's alone
		return pull.Report{}, badState(err)
	}
	return p.follow(ctx, name, ended, told)
}

// start writes what is asked for into the file, and starts the process.
func (p Program) start(f *os.File, r Request) (<-chan struct{}, error) {
	head, err := json.Marshal(map[string]Request{"ask": r})
	if err != nil {
		return nil, badState(err)
	}
	if err := f.Truncate(0); err != nil {
		return nil, badState(err)
	}
	if _, err := f.Write(append(head, '\n')); err != nil {
		return nil, badState(err)
	}
	args := []string{"pull", "--json", "--root=" + r.Root, "--depth=" + strconv.Itoa(r.Depth)}
	if r.Ref != "" {
		args = append(args, "--branch="+r.Ref)
	}
	if r.Backup {
		args = append(args, "--backup")
	}
	c := p.command(context.Background(), r.Root, append(args, "--", r.Repo, r.Folder)...)
	c.Stdout = f
	if err := c.Start(); err != nil {
		return nil, noProgram(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = c.Wait() // how it went is in the file
		close(ended)
	}()
	return ended, nil
}

func (p Program) command(ctx context.Context, dir string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, p.Path, args...)
	c.Dir, c.Env = dir, p.Environ
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return c
}

// file is where the process of a folder tells how far it is.
func (p Program) file(folder string) string {
	sum := sha256.Sum256([]byte(folder))
	return filepath.Join(p.Dir, hex.EncodeToString(sum[:16])+".jsonl")
}

// Running reads which pull of a folder runs.
func (p Program) Running(folder string) (Request, bool) {
	f, err := os.Open(p.file(folder))
	if err != nil {
		return Request{}, false
	}
	defer func() { _ = f.Close() }() // it was read only
	if !held(f) {
		return Request{}, false
	}
	first, err := bufio.NewReader(io.LimitReader(f, maxLine)).ReadBytes('\n')
	if err != nil {
		return Request{}, false
	}
	var head struct {
		Ask *Request `json:"ask"`
	}
	if json.Unmarshal(first, &head) != nil || head.Ask == nil {
		return Request{}, false
	}
	return *head.Ask, true
}

// held reports whether a process holds the lock.
func held(f *os.File) bool {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if err == nil {
		_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN) // closing gives it back too
	}
	return errors.Is(err, syscall.EWOULDBLOCK)
}

// A line is one that "daypass pull --json" prints.
type line struct {
	Event   *pull.Event   `json:"event"`
	Report  *pull.Report  `json:"report"`
	Problem *problemLine  `json:"problem"`
	Backups []pull.Backup `json:"backups"`
}

type problemLine struct {
	Code string `json:"code"`
	What string `json:"what"`
	Why  string `json:"why"`
	Next string `json:"next"`
	Who  string `json:"who"`
}

func (p *problemLine) problem() error {
	return &daypass.Problem{Code: p.Code, What: p.What, Why: p.Why, Next: p.Next, Who: p.Who}
}

// follow reads the file until the process has ended.
func (p Program) follow(ctx context.Context, name string, ended <-chan struct{}, told func(pull.Event)) (pull.Report, error) {
	f, err := os.Open(name)
	if err != nil {
		return pull.Report{}, badState(err)
	}
	defer func() { _ = f.Close() }() // it was read only
	t := &tail{file: f}
	every := time.NewTicker(tick)
	defer every.Stop()
	for {
		over := false
		select {
		case <-ended:
			over = true
		case <-every.C:
			over = ended == nil && !held(f)
		case <-ctx.Done():
			return pull.Report{}, ctx.Err()
		}
		if over {
			// What was read so far may be of the pull before: its file is written over.
			if _, err := f.Seek(0, io.SeekStart); err != nil {
				return pull.Report{}, badState(err)
			}
			return (&tail{file: f}).end()
		}
		if err := t.read(func(l line) {
			if l.Event != nil {
				told(*l.Event)
			}
		}); err != nil {
			return pull.Report{}, err
		}
	}
}

// A tail reads what was added to a file, by lines.
type tail struct {
	file *os.File
	rest []byte
}

func (t *tail) read(each func(line)) error {
	b, err := io.ReadAll(io.LimitReader(t.file, maxTold))
	if err != nil {
		return badState(err)
	}
	t.rest = append(t.rest, b...)
	for {
		i := bytes.IndexByte(t.rest, '\n')
		if i < 0 {
			if len(t.rest) > maxTold {
				return brokenOff(nil)
			}
			return nil
		}
		var l line
		if err := json.Unmarshal(t.rest[:i], &l); err != nil {
			return brokenOff(err)
		}
		t.rest = t.rest[i+1:]
		each(l)
	}
}

// maxTold bounds a line that a pull tells: the report of 20,000 files fits.
const maxTold = 32 << 20

// end reads what came of a pull whose process has ended.
func (t *tail) end() (pull.Report, error) {
	var last line
	if err := t.read(func(l line) {
		if l.Report != nil || l.Problem != nil {
			last = l
		}
	}); err != nil {
		return pull.Report{}, err
	}
	switch {
	case last.Report != nil:
		return *last.Report, nil
	case last.Problem != nil:
		return pull.Report{}, last.Problem.problem()
	}
	return pull.Report{}, brokenOff(nil)
}

// actFor bounds what is done to files that are here already.
const actFor = 4 * time.Minute

// ask runs "daypass pull" in a folder for something that ends soon.
func (p Program) ask(ctx context.Context, folder string, args ...string) (line, error) {
	// A browser that goes away does not stop half of an undo.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), actFor)
	defer cancel()
	var out bytes.Buffer
	c := p.command(ctx, folder, append([]string{"pull", "--json"}, args...)...)
	c.Stdout = &out
	err := c.Run()
	text := bytes.TrimSpace(out.Bytes())
	if i := bytes.LastIndexByte(text, '\n'); i >= 0 {
		text = text[i+1:]
	}
	var l line
	if json.Unmarshal(text, &l) != nil {
		return line{}, brokenOff(err)
	}
	if l.Problem != nil {
		return line{}, l.Problem.problem()
	}
	if err != nil {
		return line{}, brokenOff(err)
	}
	return l, nil
}

func (p Program) reported(ctx context.Context, folder string, args ...string) (pull.Report, error) {
	l, err := p.ask(ctx, folder, args...)
	if err != nil {
		return pull.Report{}, err
	}
	if l.Report == nil {
		return pull.Report{}, brokenOff(nil)
	}
	return *l.Report, nil
}

// Undo takes back the last pull of a folder.
func (p Program) Undo(ctx context.Context, folder string) (pull.Report, error) {
	return p.reported(ctx, folder, "--undo")
}

// Reset puts the source's version of a file into the folder.
func (p Program) Reset(ctx context.Context, folder, file string) (pull.Report, error) {
	return p.reported(ctx, folder, "--reset="+file)
}

// Restore puts a file of a backup back.
func (p Program) Restore(ctx context.Context, folder, id, file string) (pull.Report, error) {
	return p.reported(ctx, folder, "--recover="+id, "--", file)
}

// Backups lists what is kept for a folder.
func (p Program) Backups(ctx context.Context, folder string) ([]pull.Backup, error) {
	l, err := p.ask(ctx, folder, "--backups")
	return l.Backups, err
}

// Upstream writes the source's version of a file.
func (p Program) Upstream(ctx context.Context, folder, file string, w io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, actFor)
	defer cancel()
	var why bytes.Buffer
	c := p.command(ctx, folder, "pull", "--show-upstream="+file)
	c.Stdout, c.Stderr = w, &why
	if err := c.Run(); err != nil {
		return notShown(strings.TrimSpace(firstLine(why.String())))
	}
	return nil
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	if r := []rune(s); len(r) > 300 {
		s = string(r[:300]) + "…"
	}
	return s
}

// privateDir makes a folder that nobody else can look into, or holds one that is
// there to that.
func privateDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	sys, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return fmt.Errorf("%s is no folder", dir)
	case !ok || int(sys.Uid) != os.Geteuid():
		return fmt.Errorf("%s belongs to somebody else", dir)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("others can look into %s (its mode is %o)", dir, info.Mode().Perm())
	}
	return nil
}
