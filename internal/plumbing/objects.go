package plumbing

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Objects answers questions about a repository's objects. It is for one goroutine.
// What a question starts (at most one git for contents and one for sizes) runs until
// Close.
type Objects struct {
	repo     *Repo
	ctx      context.Context
	contents *batch
	sizes    *batch
}

// A batch is a git cat-file that answers one line with one object.
type batch struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	bad error // what broke the conversation
}

// MaxRead is the largest object that is read whole into memory.
const MaxRead = 256 << 20

// Objects starts nothing before the first question.
func (r *Repo) Objects(ctx context.Context) (*Objects, error) {
	return &Objects{repo: r, ctx: ctx}, nil
}

// Warm starts what the first questions would wait for. Objects that come later are
// seen too.
func (o *Objects) Warm() error {
	_, err := o.start(&o.contents, "--batch")
	_, err2 := o.start(&o.sizes, "--batch-check")
	return errors.Join(err, err2)
}

func (o *Objects) start(b **batch, mode string) (*batch, error) {
	if *b != nil {
		return *b, (*b).bad
	}
	cmd := o.repo.Command(o.ctx, "cat-file", mode)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	*b = &batch{cmd: cmd, in: in, out: bufio.NewReaderSize(out, 64<<10)}
	return *b, nil
}

// ask sends one name and reads the line before the content.
func (b *batch) ask(oid OID) (Kind, int64, error) {
	if !oid.Valid() {
		return "", 0, fmt.Errorf("%w: %q", ErrMissing, oid)
	}
	if _, err := io.WriteString(b.in, string(oid)+"\n"); err != nil {
		b.bad = fmt.Errorf("git cat-file: %w", err)
		return "", 0, b.bad
	}
	return b.head(oid)
}

// head reads the line "OID KIND SIZE", or "OID missing".
func (b *batch) head(oid OID) (Kind, int64, error) {
	line, err := b.out.ReadString('\n')
	if err != nil {
		b.bad = fmt.Errorf("git cat-file: %w", err)
		return "", 0, b.bad
	}
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
	b, err := o.start(&o.contents, "--batch")
	if err != nil {
		return "", nil, err
	}
	kind, size, err := b.ask(oid)
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
	b, err := o.start(&o.contents, "--batch")
	if err != nil {
		return 0, err
	}
	kind, size, err := b.ask(oid)
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
	b, err := o.start(&o.sizes, "--batch-check")
	if err != nil {
		return 0, err
	}
	_, size, err := b.ask(oid)
	return size, err
}

// A Head is what an object is and how large. Its Kind is "" where it is missing.
type Head struct {
	Kind Kind
	Size int64
}

// Heads asks for many objects in one go.
func (o *Objects) Heads(oids []OID) ([]Head, error) {
	b, err := o.start(&o.sizes, "--batch-check")
	if err != nil {
		return nil, err
	}
	for _, oid := range oids {
		if !oid.Valid() {
			return nil, fmt.Errorf("%w: %q", ErrMissing, oid)
		}
	}
	sent := make(chan error, 1)
	go func() {
		w := bufio.NewWriterSize(b.in, 32<<10)
		for _, oid := range oids {
			w.WriteString(string(oid))
			w.WriteByte('\n')
		}
		sent <- w.Flush()
	}()
	out := make([]Head, len(oids))
	for i, oid := range oids {
		kind, size, err := b.head(oid)
		if err != nil && !errors.Is(err, ErrMissing) {
			return nil, err
		}
		out[i] = Head{kind, size}
	}
	return out, <-sent
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
	for _, b := range []*batch{o.contents, o.sizes} {
		if b == nil {
			continue
		}
		b.in.Close()
		if b.bad != nil {
			kill(b.cmd.Process)
		}
		io.Copy(io.Discard, b.out)
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
