package snapshot

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/daypass-dev/daypass/internal/plumbing"
)

// What ends a git that runs too long.
var (
	errIdle    = errors.New("nothing came any more")
	errTimeout = errors.New("it took too long")
	errLarge   = errors.New("more came than is allowed")
)

// What one process of git may have of memory. Who only asks needs little. A file that is
// told as the difference to another one is made whole in memory, and several at a time.
const (
	askMemory   = 256 << 20
	fetchMemory = 1 << 30
)

// maxRefs is how much of a list of refs is read.
const maxRefs = 64 << 20

// said is what git wrote to its standard error: progress apart from the rest.
type said struct {
	mu       sync.Mutex
	line     []byte
	lines    []string // the last ones that are no progress
	progress func(text string, done, total int64)
	moved    time.Time // when something came last
}

// follow has progress told to somebody else from now on.
func (s *said) follow(progress func(text string, done, total int64)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.progress = progress
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moved = time.Now()
	for _, c := range p {
		switch {
		case c == '\n' || c == '\r':
			s.end()
		case len(s.line) < 2000:
			s.line = append(s.line, c)
		}
	}
	return len(p), nil
}

func (s *said) end() {
	line := strings.TrimSpace(string(s.line))
	s.line = s.line[:0]
	if text, done, total, ok := parseProgress(line); ok {
		if s.progress != nil {
			s.progress(text, done, total)
		}
		return
	}
	if line == "" {
		return
	}
	if len(s.lines) >= 40 {
		s.lines = s.lines[1:]
	}
	s.lines = append(s.lines, line)
}

// text is all that was no progress.
func (s *said) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end()
	return strings.Join(s.lines, "\n")
}

func (s *said) since() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.moved
}

// parseProgress reads "Receiving objects:  45% (400/900), 12.3 MiB | 2 MiB/s" and
// "remote: Counting objects: 12, done.", as git's progress.c writes them.
func parseProgress(line string) (text string, done, total int64, ok bool) {
	line = strings.TrimPrefix(line, "remote: ")
	text, rest, found := strings.Cut(line, ": ")
	if !found || text == "" || len(text) > 40 || strings.ContainsAny(text, "'\"/") {
		return "", 0, 0, false
	}
	rest = strings.TrimSpace(rest)
	if _, pair, has := strings.Cut(rest, "% ("); has {
		pair, _, closed := strings.Cut(pair, ")")
		a, b, slash := strings.Cut(pair, "/")
		done, ok1 := number(a)
		total, ok2 := number(b)
		return text, done, total, closed && slash && ok1 && ok2
	}
	count, _, _ := strings.Cut(rest, ",")
	done, ok = number(count)
	return text, done, 0, ok && (rest == count || strings.HasSuffix(rest, "done."))
}

func number(s string) (int64, bool) {
	var n int64
	for _, c := range []byte(s) {
		if c < '0' || c > '9' || n > 1<<50 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, s != ""
}

// limited keeps so many bytes and fails at the next.
type limited struct {
	bytes.Buffer
	max int
}

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > l.max {
		return 0, errLarge
	}
	return l.Buffer.Write(p)
}

// run runs git to its end and returns what it printed and what it said.
func (g Git) run(ctx context.Context, timeout time.Duration, make func(context.Context) *exec.Cmd) (out, text string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errTimeout)
	defer cancel()
	cmd := make(ctx)
	stdout, stderr := &limited{max: maxRefs}, &said{}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	err = plumbing.Run(cmd, askMemory)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return stdout.String(), stderr.text(), err
}

// A watch sees to it that a fetch ends that does not get on, or brings too much.
type watch struct {
	repo    *plumbing.Repo
	said    *said
	idle    time.Duration
	timeout time.Duration
	max     int64 // bytes; less than 0: any
	before  map[string]bool
	report  func(bytes int64)
}

const tick = 100 * time.Millisecond

// until watches until done is closed.
func (w *watch) until(done <-chan struct{}, cancel context.CancelCauseFunc) {
	ticks := time.NewTicker(tick)
	defer ticks.Stop()
	start, moved, last := time.Now(), time.Now(), int64(0)
	for {
		select {
		case <-done:
			w.report(w.bytes())
			return
		case <-ticks.C:
		}
		n := w.bytes()
		if n != last || w.said.since().After(moved) {
			moved, last = time.Now(), n
		}
		w.report(n)
		switch {
		case w.max >= 0 && n > w.max:
			cancel(errLarge)
		case time.Since(moved) > w.idle:
			cancel(errIdle)
		case time.Since(start) > w.timeout:
			cancel(errTimeout)
		}
	}
}

// bytes is what has come since the fetch began.
func (w *watch) bytes() int64 {
	var n int64
	for name, size := range packs(w.repo) {
		if !w.before[name] {
			n += size
		}
	}
	return n
}

// packs are the files in which objects come, those that are not finished too; from a web
// server that only gives files out they may come one by one.
func packs(repo *plumbing.Repo) map[string]int64 {
	out := map[string]int64{}
	objects := filepath.Join(repo.Dir(), "objects")
	folders, _ := os.ReadDir(objects)
	for _, folder := range folders {
		alone := len(folder.Name()) == 2
		if !alone && folder.Name() != "pack" {
			continue
		}
		entries, _ := os.ReadDir(filepath.Join(objects, folder.Name()))
		for _, e := range entries {
			name := e.Name()
			if !alone && !strings.HasPrefix(name, "tmp_pack_") && !strings.HasSuffix(name, ".pack") && !strings.HasSuffix(name, ".pack.temp") {
				continue
			}
			if info, err := e.Info(); err == nil {
				out[folder.Name()+"/"+name] = info.Size()
			}
		}
	}
	return out
}

// sweep takes away what a git left that was killed. Nobody else may be at work in the
// repository.
func sweep(repo *plumbing.Repo) {
	for _, pattern := range []string{"objects/pack/tmp_*", "objects/pack/.tmp-*", "objects/pack/*.temp", "objects/??/*.temp", "objects/??/tmp_obj_*", "shallow.lock", "config.lock", "packed-refs.lock", "refs/daypass/*.lock", "refs/daypass/*/*.lock"} {
		found, _ := filepath.Glob(filepath.Join(repo.Dir(), pattern))
		for _, path := range found {
			os.Remove(path)
		}
	}
	for _, pattern := range []string{"refs/daypass/*", "refs/daypass/*/*"} {
		found, _ := filepath.Glob(filepath.Join(repo.Dir(), pattern))
		for _, path := range found {
			if fi, err := os.Lstat(path); err == nil && fi.Mode().IsRegular() && fi.Size() == 0 {
				os.Remove(path) // a power cut's: git stumbles over it
			}
		}
	}
}
