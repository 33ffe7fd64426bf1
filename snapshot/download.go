package snapshot

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/adler32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/daypass-dev/daypass"
)

// downloads is how many files are read at once.
const downloads = 4

// errSum: what came is not what its sum says. The source may have changed, too.
var errSum = fmt.Errorf("its checksum is another: %w", daypass.ErrChanged)

// errOver: what came is over the limit for one file.
var errOver = errors.New("the file is over the limit")

// partial is where files lie until all are here.
func (g *gather) partial() string { return filepath.Join(g.repo.Dir(), "daypass-partial-content") }

// A fetched is what became of one piece.
type fetched struct {
	piece piece
	file  string // where its bytes are
	err   error
}

// A crew downloads pieces.
type crew struct {
	g      *gather
	ctx    context.Context
	mu     sync.Mutex
	done   int64
	of     int64
	bytes  int64
	spent  int64 // of the limit for all
	all    int64 // of that for all with what is included
	began  time.Time
	report func(Progress)
}

// download brings pieces and returns where each is, by path. What is found too large, or
// is refused, is left out.
func (g *gather) download(ctx context.Context, todo []piece) (map[string]string, error) {
	out := map[string]string{}
	if len(todo) == 0 {
		return out, nil
	}
	if err := os.MkdirAll(g.partial(), 0o700); err != nil {
		return nil, err
	}
	timeout := g.Timeout
	if timeout == 0 {
		timeout = time.Hour
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errTimeout)
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	c := &crew{g: g, ctx: ctx, of: int64(len(todo)), began: time.Now(), report: g.ask.Progress}
	for _, f := range g.m.Files {
		c.all += f.Size
		if !Included(g.ask.Include, f.Path) {
			c.spent += f.Size
		}
	}
	var refusal error
	for _, r := range c.work(todo, stop) {
		switch {
		case r.err == nil:
			out[r.piece.path] = r.file
		case errors.Is(r.err, errOver):
			g.point(r.piece)
		case g.leaves(r.err):
			refusal = r.err
			g.leave(r.piece, reason(r.err))
		default:
			return nil, firstError(context.Cause(ctx), r.err)
		}
	}
	if len(out) == 0 && len(g.m.Files) == 0 && refusal != nil {
		return nil, refusal
	}
	return out, nil
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// leaves reports whether an error is of one file alone: it is left out.
func (g *gather) leaves(err error) bool {
	return (errors.Is(err, daypass.ErrRefused) || errors.Is(err, daypass.ErrNoSource)) && !errors.Is(err, daypass.ErrChanged) && !errors.Is(err, errLarge)
}

// work has some goroutines go through the pieces; the first failure stops them all.
func (c *crew) work(todo []piece, stop context.CancelCauseFunc) []fetched {
	results := make([]fetched, len(todo))
	for i, p := range todo {
		results[i] = fetched{piece: p, err: context.Canceled} // until it was its turn
	}
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(downloads, len(todo)) {
		group.Go(func() {
			for c.ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(todo) {
					return
				}
				r := &results[i]
				if r.file, r.err = c.one(r.piece); r.err != nil && !errors.Is(r.err, errOver) && !c.g.leaves(r.err) {
					stop(r.err)
				}
				c.told(1, 0)
			}
		})
	}
	group.Wait()
	return results
}

func (c *crew) told(files, bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done, c.bytes = c.done+files, c.bytes+bytes
	if c.report == nil {
		return
	}
	p := Progress{Text: "Receiving files", Done: c.done, Total: c.of, Bytes: c.bytes}
	if d := time.Since(c.began).Seconds(); d > 0.2 {
		p.Rate = float64(c.bytes) / d
	}
	c.report(p)
}

// spend counts what is delivered against the limit for all.
func (c *crew) spend(bytes int64, asked bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all += bytes; !asked {
		c.spent += bytes
	}
	return c.g.within(c.spent, c.all)
}

// one brings one piece to a file. What a fetch before has brought of it is gone on with.
func (c *crew) one(p piece) (string, error) {
	file := filepath.Join(c.g.partial(), p.key())
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum, err := hasher(p.Sum)
	if err != nil {
		return "", err
	}
	from, err := resumed(f, p, sum)
	if err == nil {
		err = c.spend(from, Included(c.g.ask.Include, p.path))
	}
	if err != nil {
		return "", err
	}
	for try := 0; from != p.Size || p.Size < 0; try++ {
		n, err := c.read(f, p, from, sum)
		if err == nil {
			break
		}
		if again := p.resumes() && n > from && try < tries && c.ctx.Err() == nil && transient(err); again {
			from = n
			continue
		}
		return "", c.broke(file, p, err)
	}
	_, want, _ := strings.Cut(p.Sum, ":")
	if sum != nil && hex.EncodeToString(sum.Sum(nil)) != want {
		os.Remove(file)
		return "", fmt.Errorf("%s: %w", shown(p.path), errSum)
	}
	return file, nil
}

// tries is how often the reading of one file is taken up again where it broke off.
const tries = 3

// transient reports whether the way may be to blame, and not the file.
func transient(err error) bool {
	for _, final := range []error{daypass.ErrChanged, daypass.ErrRefused, daypass.ErrNoSource, errOver, errIdle, errTimeout, syscall.ENOSPC, syscall.EDQUOT} {
		if errors.Is(err, final) {
			return false
		}
	}
	var p *daypass.Problem
	return !errors.As(err, &p) || errors.Is(err, daypass.ErrUnreachable)
}

// broke says which file could not be read. What is listed and not there may have been
// removed since.
func (c *crew) broke(file string, p piece, err error) error {
	if errors.Is(err, daypass.ErrNoSource) && c.g.round == 1 {
		err = fmt.Errorf("%w: %w", daypass.ErrChanged, err)
	}
	if errors.Is(err, daypass.ErrChanged) || errors.Is(err, errOver) || !p.resumes() {
		os.Remove(file)
	}
	return fmt.Errorf("%s: %w", shown(p.path), err)
}

// resumes reports whether reading can be taken up in the middle: only where it would
// show that what follows is of another version.
func (p piece) resumes() bool { return p.Size >= 0 && (p.Sum != "" || p.Mark != "") }

// key names the file that a piece is brought to. Without a sum nothing would show what a
// power cut has left of it: such a file counts until the machine is started anew.
func (p piece) key() string {
	boot := []byte(nil)
	if p.Sum == "" {
		boot, _ = os.ReadFile("/proc/sys/kernel/random/boot_id")
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %d %q", idOr(p.ID, p.path), p.Mark, p.Sum, p.Size, boot))
	return hex.EncodeToString(sum[:16])
}

// resumed says from where on a piece is to be read. What nothing would show to be of
// another version is not gone on with.
func resumed(f *os.File, p piece, sum hash.Hash) (int64, error) {
	fi, err := f.Stat()
	if err != nil {
		return 0, err
	}
	n := fi.Size()
	if !p.resumes() || n > p.Size {
		return 0, f.Truncate(0)
	}
	if sum != nil {
		_, err = io.Copy(sum, f)
	} else {
		_, err = f.Seek(0, io.SeekEnd)
	}
	return n, err
}

// read reads a piece from an offset on, and returns how far it came.
func (c *crew) read(f *os.File, p piece, from int64, sum hash.Hash) (int64, error) {
	ctx, cancel := context.WithCancelCause(c.ctx)
	defer cancel(nil)
	idle := c.g.Idle
	if idle == 0 {
		idle = 2 * time.Minute
	}
	timer := time.AfterFunc(idle, func() { cancel(errIdle) })
	defer timer.Stop()
	in, err := c.g.Contents.Open(ctx, c.g.ask.Source, p.Item, from)
	n := from
	if err == nil {
		n, err = c.copy(f, p, from, sum, &idleReader{in, timer, idle})
		in.Close()
	}
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return n, err
}

func (c *crew) copy(f *os.File, p piece, n int64, sum hash.Hash, in io.Reader) (int64, error) {
	asked := Included(c.g.ask.Include, p.path)
	buf := make([]byte, 64<<10)
	for {
		k, err := in.Read(buf)
		if k > 0 {
			switch {
			case p.Size >= 0 && n+int64(k) > p.Size:
				return n, fmt.Errorf("it is larger than listed: %w", daypass.ErrChanged)
			case !asked && c.g.over(n+int64(k)):
				return n, errOver
			}
			if _, err := f.Write(buf[:k]); err != nil {
				return n, err
			}
			if n += int64(k); sum != nil {
				sum.Write(buf[:k])
			}
			if err := c.spend(int64(k), asked); err != nil {
				return n, err
			}
			c.told(0, int64(k))
		}
		switch {
		case errors.Is(err, io.EOF) && p.Size >= 0 && n < p.Size:
			return n, fmt.Errorf("it ended after %d of %d bytes: %w", n, p.Size, daypass.ErrChanged)
		case errors.Is(err, io.EOF):
			return n, nil
		case err != nil:
			return n, err
		}
	}
}

// An idleReader puts the end off while something comes.
type idleReader struct {
	io.Reader
	timer *time.Timer
	idle  time.Duration
}

func (r *idleReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if n > 0 {
		r.timer.Reset(r.idle)
	}
	return n, err
}

// hasher makes what a sum is held to; nil where there is none.
func hasher(sum string) (hash.Hash, error) {
	kind, _, _ := strings.Cut(sum, ":")
	switch kind {
	case "":
		return nil, nil
	case "md5":
		return md5.New(), nil
	case "sha1":
		return sha1.New(), nil
	case "sha256":
		return sha256.New(), nil
	case "sha512":
		return sha512.New(), nil
	case "adler32":
		return adler32.New(), nil
	}
	return nil, fmt.Errorf("a checksum of the kind %q is not known", shown(kind))
}
