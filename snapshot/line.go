package snapshot

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/daypass-dev/daypass/internal/plumbing"
)

// A Line is a conversation with a source that is kept open between the question where
// a ref stands and the fetch of it: git's own transport, without the git processes
// around it, which ask all over again. It speaks protocol version 2 (gitprotocol-v2(5))
// through the helper's "stateless-connect" (gitremote-helpers(7)). Whatever does not go
// that way, for an old server or an old helper, goes by git fetch.
type Line struct {
	at     address
	cmd    *exec.Cmd
	ctx    context.Context
	cancel context.CancelCauseFunc
	in     io.WriteCloser
	p      *packets
	said   *said
	caps   map[string]string // what the server can do, by name
	once   sync.Once
}

// errOther says that a source has to be asked by git itself.
var errOther = errors.New("it speaks another protocol")

// maxHaves is how many commits the source is told of that are here.
const maxHaves = 256

// What an answer may have before its pack: the ends of a history that is cut are a few.
const (
	maxHead      = 4 << 20 // bytes
	maxHeadLines = 50_000
)

// Call is [Git.Look] for who may fetch next: see Ask.Line. The line is nil where it is
// not of use; else the caller closes it.
func (g Git) Call(ctx context.Context, url, ref string) (Tip, *Line, error) {
	a, p := parseAddress(url, g.Git.Protocols)
	args, names := lookFor(strings.TrimPrefix(ref, "HEAD"))
	if p != nil || plumbing.OID(strings.ToLower(ref)).Valid() || args == nil || a.scheme != "http" && a.scheme != "https" {
		t, err := g.Look(ctx, url, ref)
		return t, nil, err
	}
	l, err := g.dial(ctx, a)
	if err != nil {
		l.cancel(err)
		return Tip{}, nil, problem(ctx, a, "fatal: "+err.Error(), err)
	}
	late := time.AfterFunc(lookTimeout, func() { l.cancel(errTimeout) })
	found, err := l.refs(names)
	late.Stop()
	if err == nil {
		for _, name := range names {
			if t, ok := found.tip(name); ok {
				return t, l, nil
			}
		}
		l.Close()
		return Tip{}, nil, g.without(ctx, a, ref)
	}
	l.Close()
	text := l.said.text()
	if cause := context.Cause(l.ctx); ctx.Err() == nil && errors.Is(cause, errTimeout) {
		err = cause
	} else if ctx.Err() == nil && !strings.Contains(text, "fatal: ") {
		t, err := g.Look(ctx, url, ref)
		return t, nil, err
	}
	return Tip{}, nil, problem(ctx, a, text, err)
}

// dial starts the transport.
func (g Git) dial(ctx context.Context, a address) (*Line, error) {
	l := &Line{at: a, said: &said{}}
	l.ctx, l.cancel = context.WithCancelCause(ctx)
	l.cmd = g.Git.Homeless().Command(l.ctx, a.config(), "remote-"+a.scheme, a.url, a.url)
	l.cmd.Stderr = l.said
	in, err := l.cmd.StdinPipe()
	if err != nil {
		return l, err
	}
	out, err := l.cmd.StdoutPipe()
	if err != nil {
		return l, err
	}
	l.in, l.p = in, &packets{r: bufio.NewReaderSize(out, maxPacket)}
	return l, plumbing.Start(l.cmd, askMemory)
}

// bounded ends the conversation where nothing comes for so long, or where it takes too
// long, until calm is called.
func (l *Line) bounded(idle, timeout time.Duration) (calm func()) {
	quiet := time.AfterFunc(idle, func() { l.cancel(errIdle) })
	late := time.AfterFunc(timeout, func() { l.cancel(errTimeout) })
	l.p.moved = func() { quiet.Reset(idle) }
	return func() {
		l.p.moved = nil
		quiet.Stop()
		late.Stop()
	}
}

// Close ends the conversation. There is nothing that the transport would have to put in
// order.
func (l *Line) Close() {
	l.once.Do(func() {
		l.in.Close()
		l.cmd.Cancel()
		l.cmd.Wait()
		l.cancel(nil)
	})
}

// refs opens the conversation and asks for refs.
func (l *Line) refs(names []string) (refs, error) {
	if _, err := io.WriteString(l.in, "stateless-connect git-upload-pack\n"); err != nil {
		return refs{}, err
	}
	if answer, err := l.p.r.ReadString('\n'); err != nil || answer != "\n" {
		return refs{}, errors.Join(err, errOther)
	}
	if err := l.hello(); err != nil {
		return refs{}, err
	}
	var m message
	m.line("command=ls-refs")
	l.format(&m)
	m.WriteString("0001")
	m.line("peel")
	m.line("symrefs")
	for _, name := range names {
		m.line("ref-prefix ", name)
	}
	m.WriteString("0000")
	if _, err := io.WriteString(l.in, m.String()); err != nil {
		return refs{}, err
	}
	return l.listed()
}

// hello reads what the server can do.
func (l *Line) hello() error {
	l.caps = map[string]string{}
	for n, size := 0, 0; ; n++ {
		text, kind, err := l.p.line()
		size += len(text)
		switch {
		case err != nil:
			return err
		case kind == isFlush && n > 0:
			if _, ok := l.caps["ls-refs"]; !ok {
				return errOther
			}
			return nil
		case kind != isData || n > 1000 || size > maxHead || n == 0 && text != "version 2":
			return errOther
		}
		key, value, _ := strings.Cut(text, "=")
		l.caps[key] = value
	}
}

func (l *Line) format(m *message) {
	if f := l.caps["object-format"]; f != "" {
		m.line("object-format=", f)
	}
}

// listed reads a list of refs, in the form that git ls-remote gives it.
func (l *Line) listed() (refs, error) {
	var b strings.Builder
	for {
		text, kind, err := l.p.line()
		switch {
		case err != nil:
			return refs{}, err
		case kind == isFlush:
			return parseRefs(b.String()), l.end()
		case kind != isData:
			return refs{}, errOther
		case b.Len() > maxRefs:
			return refs{}, errLarge
		}
		fields := strings.Split(text, " ")
		if len(fields) < 2 {
			continue
		}
		b.WriteString(fields[0] + "\t" + fields[1] + "\n")
		for _, f := range fields[2:] {
			if target, ok := strings.CutPrefix(f, "symref-target:"); ok && fields[1] == "HEAD" {
				b.WriteString("ref: " + target + "\tHEAD\n")
			}
			if oid, ok := strings.CutPrefix(f, "peeled:"); ok {
				b.WriteString(oid + "\t" + fields[1] + "^{}\n")
			}
		}
	}
}

// end reads the mark with which the transport ends an answer.
func (l *Line) end() error {
	_, kind, err := l.p.next()
	if err == nil && kind != isEnd {
		err = errOther
	}
	return err
}

// can reports whether the server's fetch knows a feature.
func (l *Line) can(feature string) bool {
	return slices.Contains(strings.Split(l.caps["fetch"], " "), feature)
}

// want is what is asked of a server.
type want struct {
	commit  plumbing.OID
	haves   []plumbing.OID // commits that are here, with all that leads to them
	shallow []plumbing.OID // and where that ends
	depth   int
	filter  string
}

// send asks for a commit; receive gets the answer. What takes more than one question is
// for git: errOther.
func (l *Line) send(w want) error {
	if _, ok := l.caps["fetch"]; !ok || (w.depth > 0 || len(w.shallow) > 0) && !l.can("shallow") {
		return errOther
	}
	_, err := io.WriteString(l.in, l.question(w))
	return err
}

// receive returns the pack, to be read to its end, and the commits at which the history
// was cut.
func (l *Line) receive(w want) (pack io.Reader, cut []plumbing.OID, err error) {
	ready := len(w.haves) == 0
	section, size := "", 0
	for n := 0; ; n++ {
		text, kind, err := l.p.line()
		size += len(text)
		switch {
		case err != nil:
			return nil, nil, err
		case n > maxHeadLines || size > maxHead:
			return nil, nil, errLarge
		case kind == isDelim:
			section = ""
		case kind != isData:
			return nil, nil, errOther
		case section == "":
			if section = text; section == "packfile" && ready {
				return &band{p: l.p, said: l.said}, cut, nil
			}
		case section == "acknowledgments":
			ready = ready || text == "ready"
		case section == "shallow-info" && w.depth > 0 && strings.HasPrefix(text, "shallow "):
			oid := plumbing.OID(strings.TrimPrefix(text, "shallow "))
			if !oid.Valid() {
				return nil, nil, errOther
			}
			cut = append(cut, oid)
		default:
			return nil, nil, errOther
		}
	}
}

func (l *Line) question(w want) string {
	var m message
	m.line("command=fetch")
	l.format(&m)
	m.WriteString("0001")
	m.line("thin-pack")
	m.line("ofs-delta")
	for _, oid := range w.shallow {
		m.line("shallow ", string(oid))
	}
	if w.depth > 0 {
		m.line("deepen ", strconv.Itoa(w.depth))
	}
	if w.filter != "" && l.can("filter") {
		m.line("filter ", w.filter)
	}
	m.line("want ", string(w.commit))
	for _, oid := range w.haves {
		m.line("have ", string(oid))
	}
	if len(w.haves) == 0 {
		m.line("done")
	}
	m.WriteString("0000")
	return m.String()
}
