package plumbing

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Objects answers questions about a repository's objects. It is for one goroutine.
// What a question starts (one git; two before git 2.36, for contents and for sizes)
// runs until Close.
type Objects struct {
	repo   *Repo
	ctx    context.Context
	open   map[verb]*batch // by what it answers; the one for "" answers all
	plain  bool            // git is too old for that one
	second *Objects        // answers too where many are asked for; nil: nobody does
	// The tree that was walked last, since it is wanted twice, and its files.
	walked OID
	files  []File
}

// A verb is what is asked of an object (git-cat-file(1), --batch-command).
type verb string

const (
	contents verb = "contents"
	info     verb = "info"
)

// A batch is a git cat-file that answers one line with one object.
type batch struct {
	cmd    *exec.Cmd
	in     *os.File
	pipe   *os.File
	out    *bufio.Reader
	single bool  // it wants to hear the verb
	proved bool  // it has answered
	bad    error // what broke the conversation
}

// MaxRead is the largest object that is read whole into memory.
const MaxRead = 256 << 20

// Objects starts nothing before the first question.
func (r *Repo) Objects(ctx context.Context) (*Objects, error) {
	return &Objects{repo: r, ctx: ctx, open: map[verb]*batch{}}, nil
}

// Warm starts what the first questions would wait for. Objects that come later are
// seen too.
func (o *Objects) Warm() error {
	_, err := o.start(contents)
	if err == nil && o.second != nil {
		err = o.second.Warm()
	}
	return err
}

// start returns what answers a verb, and has answered before or may not be able to.
func (o *Objects) start(v verb) (*batch, error) {
	key, mode := verb(""), []string{"cat-file", "--batch-command", "--buffer"}
	if o.plain {
		key, mode = v, []string{"cat-file", map[verb]string{contents: "--batch", info: "--batch-check"}[v]}
	}
	if b := o.open[key]; b != nil {
		return b, b.bad
	}
	cmd := o.repo.Command(o.ctx, mode...)
	in, out, err := talk(cmd)
	if err != nil {
		return nil, err
	}
	b := &batch{cmd: cmd, in: in, pipe: out, out: bufio.NewReaderSize(out, pipeSize), single: !o.plain}
	o.open[key] = b
	return b, nil
}

// objectMemory is what a git may have of memory that reads objects: one that is told as
// pieces of another is made whole there.
const objectMemory = 1 << 30

// pipeSize is how far git may be ahead.
const pipeSize = 256 << 10

// talk starts a program with a pipe either way. Reads and writes block: what the
// runtime does for many connections is in the way of two programs that pass small
// things to and fro.
func talk(cmd *exec.Cmd) (in, out *os.File, err error) {
	var ends [4]*os.File
	if ends[0], ends[1], err = os.Pipe(); err != nil {
		return nil, nil, err
	}
	if ends[2], ends[3], err = os.Pipe(); err != nil {
		ends[0].Close()
		ends[1].Close()
		return nil, nil, err
	}
	for _, f := range ends {
		if err := syscall.SetNonblock(int(f.Fd()), false); err != nil {
			return nil, nil, err
		}
	}
	cmd.Stdin, cmd.Stdout = ends[0], ends[3]
	widen(ends[2])
	err = Start(cmd, objectMemory)
	ends[0].Close()
	ends[3].Close()
	if err != nil {
		ends[1].Close()
		ends[2].Close()
	}
	return ends[1], ends[2], err
}

// ask sends one name and reads the line before the content. A git that ends at once
// knows no single process for all.
func (o *Objects) ask(v verb, oid OID) (*batch, Kind, int64, error) {
	b, err := o.start(v)
	if err != nil {
		return b, "", 0, err
	}
	if !oid.Valid() {
		return b, "", 0, fmt.Errorf("%w: %q", ErrMissing, oid)
	}
	kind, size, err := b.ask(v, oid)
	if b.bad == nil || b.proved || !b.single || o.ctx.Err() != nil {
		return b, kind, size, err
	}
	o.Close()
	o.plain, o.open = true, map[verb]*batch{}
	return o.ask(v, oid)
}

// prove sees to it that what answers a verb is known to be able to.
func (o *Objects) prove(v verb) (*batch, error) {
	b, err := o.start(v)
	if err != nil || b.proved {
		return b, err
	}
	b, _, _, err = o.ask(v, o.repo.Empty())
	if errors.Is(err, ErrMissing) {
		err = nil
	}
	if err == nil && v == contents {
		_, err = b.body(io.Discard, 0)
	}
	return b, err
}

// Modern reports whether git is 2.36 or newer, without another process.
func (o *Objects) Modern() (bool, error) {
	_, err := o.prove(info)
	return !o.plain, err
}

func (b *batch) ask(v verb, oid OID) (Kind, int64, error) {
	if _, err := io.WriteString(b.in, b.line(v, oid)+b.flush()); err != nil {
		b.bad = fmt.Errorf("git cat-file: %w", err)
		return "", 0, b.bad
	}
	return b.head(oid)
}

// line is what is sent.
func (b *batch) line(v verb, oid OID) string {
	if b.single {
		return string(v) + " " + string(oid) + "\n"
	}
	return string(oid) + "\n"
}

// flush is what is sent when answers are waited for: git writes them in pieces as large as
// can be until then.
func (b *batch) flush() string {
	if b.single {
		return "flush\n"
	}
	return ""
}

// head reads the line "OID KIND SIZE", or "OID missing".
func (b *batch) head(oid OID) (Kind, int64, error) {
	line, err := b.out.ReadString('\n')
	if err != nil {
		b.bad = fmt.Errorf("git cat-file: %w", err)
		return "", 0, b.bad
	}
	b.proved = true
	fields := strings.Fields(line)
	if len(fields) == 2 && fields[1] == "missing" {
		return "", 0, fmt.Errorf("%w: %s", ErrMissing, oid)
	}
	if len(fields) == 3 && fields[0] == string(oid) {
		if size, err := strconv.ParseInt(fields[2], 10, 64); err == nil && size >= 0 {
			return Kind(fields[1]), size, nil
		}
	}
	b.bad = fmt.Errorf("git cat-file answers %q", line)
	return "", 0, b.bad
}

// body copies the content and the newline behind it.
func (b *batch) body(w io.Writer, size int64) (int64, error) {
	n, err := io.CopyN(w, b.out, size)
	if err != nil {
		// The rest of this object is in the way of the next.
		b.bad = fmt.Errorf("git cat-file: %w", err)
		return n, err
	}
	if c, err := b.out.ReadByte(); err != nil || c != '\n' {
		b.bad = errors.New("git cat-file lost count")
		return n, b.bad
	}
	return n, nil
}

// Read reads an object whole. Errors: [ErrMissing], [ErrTooLarge] over [MaxRead].
func (o *Objects) Read(oid OID) (Kind, []byte, error) {
	b, kind, size, err := o.ask(contents, oid)
	if err != nil {
		return "", nil, err
	}
	if size > MaxRead {
		_, err := b.body(io.Discard, size)
		return kind, nil, errors.Join(fmt.Errorf("%w: %s has %d bytes", ErrTooLarge, oid, size), err)
	}
	data := make([]byte, size, size+1)
	if _, err := io.ReadFull(b.out, data); err != nil {
		b.bad = fmt.Errorf("git cat-file: %w", err)
		return kind, nil, b.bad
	}
	_, err = b.body(io.Discard, 0)
	return kind, data, err
}

// Copy writes a blob's content to w.
func (o *Objects) Copy(oid OID, w io.Writer) (int64, error) {
	b, kind, size, err := o.ask(contents, oid)
	if err != nil {
		return 0, err
	}
	n, err := b.body(w, size)
	if err == nil && kind != BlobKind {
		err = fmt.Errorf("%w: %s is a %s, no file", ErrObject, oid, kind)
	}
	return n, err
}

// Size returns an object's size without reading it.
func (o *Objects) Size(oid OID) (int64, error) {
	_, _, size, err := o.ask(info, oid)
	return size, err
}

// A Head is what an object is and how large. Its Kind is "" where it is missing.
type Head struct {
	Kind Kind
	Size int64
}

// Heads asks for many objects in one go.
func (o *Objects) Heads(oids []OID) ([]Head, error) {
	out := make([]Head, len(oids))
	err := o.many(info, oids, func(_ worker, _ *batch, i int, h Head) error {
		out[i] = h
		return nil
	})
	return out, err
}

// A Content is that of one blob, to be written somewhere or left.
type Content struct {
	Size int64
	left int64
	b    *batch
}

// WriteTo writes what is left of it, in pieces as large as can be.
func (c *Content) WriteTo(w io.Writer) (int64, error) {
	var n int64
	for c.left > 0 {
		piece, err := c.b.out.Peek(int(min(c.left, int64(c.b.out.Size()))))
		if err != nil {
			c.b.bad = fmt.Errorf("git cat-file: %w", io.ErrUnexpectedEOF)
			return n, c.b.bad
		}
		done, err := w.Write(piece)
		c.b.out.Discard(len(piece))
		n, c.left = n+int64(done), c.left-int64(len(piece))
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// Sizes is [Objects.Heads] for who knows what they are: -1 is missing.
func (o *Objects) Sizes(oids []OID) ([]int64, error) {
	heads, err := o.Heads(oids)
	out := make([]int64, len(heads))
	for i, h := range heads {
		out[i] = h.Size
		if h.Kind == "" {
			out[i] = -1
		}
	}
	return out, err
}

// Close ends what runs. Objects are not asked any more.
func (o *Objects) Close() error {
	var errs []error
	if o.second != nil {
		errs = append(errs, o.second.Close())
	}
	for _, b := range o.open {
		b.in.Close()
		if b.bad != nil {
			kill(b.cmd.Process)
		}
		io.Copy(io.Discard, b.out)
		b.pipe.Close()
		if err := b.cmd.Wait(); b.bad == nil && o.ctx.Err() == nil {
			errs = append(errs, err)
		}
		b.bad = errors.New("the objects are closed")
	}
	return errors.Join(errs...)
}

// Commit reads a commit; an annotated tag is followed to its commit.
func (o *Objects) Commit(oid OID) (Commit, error) {
	oid, err := o.Peel(oid)
	if err != nil {
		return Commit{}, err
	}
	kind, data, err := o.Read(oid)
	if err == nil && kind != CommitKind {
		err = fmt.Errorf("%w: %s is a %s, no commit", ErrObject, oid, kind)
	}
	if err != nil {
		return Commit{}, err
	}
	return parseCommit(data)
}

func parseCommit(data []byte) (Commit, error) {
	var c Commit
	head, message, _ := strings.Cut(string(data), "\n\n")
	c.Message = message
	for line := range strings.SplitSeq(head, "\n") {
		key, value, _ := strings.Cut(line, " ")
		switch key {
		case "tree":
			c.Tree = OID(value)
		case "parent":
			c.Parents = append(c.Parents, OID(value))
		case "author":
			c.Author = parseWho(value)
		case "committer":
			c.Committer = parseWho(value)
		}
	}
	if !c.Tree.Valid() {
		return Commit{}, fmt.Errorf("%w: a commit without a tree", ErrObject)
	}
	return c, nil
}

// parseWho reads "NAME <EMAIL> SECONDS ZONE".
func parseWho(text string) Who {
	name, rest, _ := strings.Cut(text, "<")
	email, when, _ := strings.Cut(rest, ">")
	w := Who{Name: strings.TrimSpace(name), Email: strings.TrimSpace(email)}
	if f := strings.Fields(when); len(f) == 2 {
		seconds, _ := strconv.ParseInt(f[0], 10, 64)
		zone, _ := strconv.Atoi(f[1])
		offset := (zone/100*60 + zone%100) * 60
		w.When = time.Unix(seconds, 0).In(time.FixedZone("", offset))
	}
	return w
}

// Peel follows annotated tags to what they name.
func (o *Objects) Peel(oid OID) (OID, error) {
	for range 8 {
		kind, data, err := o.Read(oid)
		if err != nil || kind != TagKind {
			return oid, err
		}
		target, _, _ := bytes.Cut(data, []byte("\n"))
		oid = OID(strings.TrimPrefix(string(target), "object "))
	}
	return "", fmt.Errorf("%w: a tag of a tag of a tag", ErrObject)
}
