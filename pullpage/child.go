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
	"slices"
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
	for range 500 { // each time another pull has just ended
		report, again, err := p.pullOnce(ctx, r, told)
		if !again {
			return report, err
		}
		select {
		case <-ctx.Done():
			return pull.Report{}, ctx.Err()
		case <-time.After(tick / 6):
		}
	}
	return pull.Report{}, otherPull(filepath.Base(r.Folder))
}

// pullOnce begins a pull or follows the one that runs; again says that what it met
// was over already, so that its report is not the one that is waited for.
func (p Program) pullOnce(ctx context.Context, r Request, told func(pull.Event)) (_ pull.Report, again bool, _ error) {
	name := p.file(r.Folder)
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return pull.Report{}, false, badState(err)
	}
	defer func() { _ = f.Close() }() // what follows has its own
	switch free, err := lock(f); {
	case err != nil:
		return pull.Report{}, false, badState(err)
	case !free:
		return p.join(ctx, f, r, told)
	case !current(f, name):
		return pull.Report{}, true, nil // another began in between
	case r.Only:
		return pull.Report{}, false, tooOld()
	}
	next, ended, err := p.start(name, r)
	if err != nil {
		return pull.Report{}, false, err
	}
	defer func() { _ = next.Close() }() // it was read only
	report, err := follow(ctx, next, ended, told)
	return report, false, err
}

// lock takes the lock of a file, or reports that a pull holds it. Who only looks
// shares it for a moment, and then it is taken after that.
func lock(f *os.File) (bool, error) {
	for range 1000 {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil || !errors.Is(err, syscall.EWOULDBLOCK) {
			return err == nil, err
		}
		if held(f) {
			return false, nil
		}
		time.Sleep(time.Millisecond)
	}
	return false, errors.New("others look at its files all the time")
}

// current reports whether the file is still the one of that name: each pull writes
// into a new one.
func current(f *os.File, name string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Lstat(name)
	return err == nil && os.SameFile(a, b)
}

// join follows the pull that holds the file. One that had ended before somebody asked
// is none to follow: its report is of what was there then.
func (p Program) join(ctx context.Context, f *os.File, r Request, told func(pull.Event)) (_ pull.Report, again bool, _ error) {
	before := &tail{file: f}
	over, ask := false, (*Request)(nil)
	if err := before.read(func(l line) {
		over = over || l.Report != nil || l.Problem != nil
		if l.Ask != nil {
			ask = l.Ask
		}
	}); err != nil {
		return pull.Report{}, false, err
	}
	if over || ask == nil {
		return pull.Report{}, true, nil
	}
	if !ask.same(r) {
		return pull.Report{}, false, otherPull(filepath.Base(r.Folder))
	}
	report, err := follow(ctx, f, nil, told)
	return report, false, err
}

// start makes the file of a new pull, which its process holds from the start, puts it
// in the place of the one before, and starts the process.
func (p Program) start(name string, r Request) (_ *os.File, _ <-chan struct{}, err error) {
	f, err := os.CreateTemp(p.Dir, ".new-*")
	if err != nil {
		return nil, nil, badState(err)
	}
	defer func() {
		err = errors.Join(err, f.Close()) // from here on the lock is the child's alone
	}()
	head, err := json.Marshal(line{Ask: &r})
	if err == nil {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err == nil {
		_, err = f.Write(append(head, '\n'))
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return nil, nil, errors.Join(badState(err), os.Remove(f.Name()))
	}
	out, err := os.Open(name) // whoever has the lock of the one before is alone here
	if err != nil {
		return nil, nil, badState(err)
	}
	ended, err := p.run(f, r)
	if err != nil {
		return nil, nil, errors.Join(err, out.Close())
	}
	return out, ended, nil
}

// run starts the process.
func (p Program) run(f *os.File, r Request) (<-chan struct{}, error) {
	args := []string{"pull", "--json", "--root=" + r.Root, "--depth=" + strconv.Itoa(r.Depth)}
	if r.Ref != "" {
		args = append(args, "--branch="+r.Ref)
	}
	if r.Backup {
		args = append(args, "--backup")
	}
	if r.Include != "" {
		args = append(args, "--include="+r.Include)
	}
	c := p.command(context.Background(), r.Root, append(args, "--", r.Repo, r.Folder)...)
	c.Stdout = f
	if !r.Login.IsZero() {
		c.Env = append(slices.Clone(c.Env), pull.LoginVariable+"="+r.Login.Reveal())
	}
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
	var head line
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

// A line is one that "daypass pull --json" prints. The first of a file is what was
// asked for.
type line struct {
	Ask     *Request      `json:"ask,omitempty"`
	Event   *pull.Event   `json:"event,omitempty"`
	Report  *pull.Report  `json:"report,omitempty"`
	Problem *problemLine  `json:"problem,omitempty"`
	Backups []pull.Backup `json:"backups,omitempty"`
	Link    *Told         `json:"link,omitempty"`
	Folder  string        `json:"folder,omitempty"`
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

// follow reads the file from its start until the process has ended.
func follow(ctx context.Context, f *os.File, ended <-chan struct{}, told func(pull.Event)) (pull.Report, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return pull.Report{}, badState(err)
	}
	t := &tail{file: f}
	var last line
	each := func(l line) {
		switch {
		case l.Event != nil:
			told(*l.Event)
		case l.Report != nil || l.Problem != nil:
			last = l
		}
	}
	every := time.NewTicker(tick)
	defer every.Stop()
	for over := false; !over; {
		select {
		case <-ended:
			over = true
		case <-every.C:
			over = ended == nil && !held(f)
		case <-ctx.Done():
			return pull.Report{}, ctx.Err()
		}
		if err := t.read(each); err != nil {
			return pull.Report{}, err
		}
	}
	switch {
	case last.Report != nil:
		return *last.Report, nil
	case last.Problem != nil:
		return pull.Report{}, last.Problem.problem()
	}
	return pull.Report{}, brokenOff(nil)
}

// A tail reads what was added to a file, by lines.
type tail struct {
	file *os.File
	rest []byte
}

// maxTold bounds a line that a pull tells: the report of 20,000 files with the
// longest paths fits.
const maxTold = 256 << 20

// read reads to the end of the file.
func (t *tail) read(each func(line)) error {
	buf := make([]byte, 256<<10)
	for {
		n, err := t.file.Read(buf)
		t.rest = append(t.rest, buf[:n]...)
		if n > 0 && bytes.IndexByte(buf[:n], '\n') >= 0 {
			if err := t.lines(each); err != nil {
				return err
			}
		}
		switch {
		case len(t.rest) > maxTold:
			return brokenOff(errTooLarge)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return badState(err)
		}
	}
}

// lines hands the whole lines on.
func (t *tail) lines(each func(line)) error {
	for {
		i := bytes.IndexByte(t.rest, '\n')
		if i < 0 {
			t.rest = bytes.Clone(t.rest)
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

// actFor bounds what is done to files that are here already.
const actFor = 4 * time.Minute

// ask runs "daypass pull" in a folder for something that ends soon.
func (p Program) ask(ctx context.Context, folder string, args ...string) (line, error) {
	// A browser that goes away does not stop half of an undo.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), actFor)
	defer cancel()
	return p.tells(ctx, folder, append([]string{"pull", "--json"}, args...)...)
}

// linkFor bounds the question what a link brings.
const linkFor = time.Minute

// Link asks the access service what one of its links brings.
func (p Program) Link(ctx context.Context, name string) (Told, error) {
	ctx, cancel := context.WithTimeout(ctx, linkFor)
	defer cancel()
	l, err := p.tells(ctx, "/", "resolve", "--json", "--", linkPrefix+name)
	var told *daypass.Problem
	switch {
	case errors.As(err, &told) && told.Kind == nil && l.Problem != nil:
		no := *told
		no.Kind = daypass.ErrRefused
		return Told{}, &no
	case err != nil:
		return Told{}, err
	case l.Link == nil || l.Link.Name != name:
		return Told{}, brokenOff(nil)
	}
	return *l.Link, nil
}

// whereFor bounds the question what a folder is called.
const whereFor = 30 * time.Second

// Where asks into which folder below dir a source goes that nobody has named one for: as
// it calls itself, or where it is already.
func (p Program) Where(ctx context.Context, dir, repo string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, whereFor)
	defer cancel()
	l, err := p.tells(ctx, dir, "pull", "--json", "--where", "--", repo)
	if err == nil && l.Folder == "" {
		err = brokenOff(nil)
	}
	return l.Folder, err
}

// tells runs daypass and reads the last line that it prints.
func (p Program) tells(ctx context.Context, dir string, args ...string) (line, error) {
	var out bytes.Buffer
	c := p.command(ctx, dir, args...)
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
		return l, l.Problem.problem()
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
