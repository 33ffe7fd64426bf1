package snapshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/pause"
	"github.com/daypass-dev/daypass/internal/plumbing"
)

// A Packed is a source that an access service has made a commit of content of
// ([WriteContent]), and gives out as packs. Find and Open are one request each, and a
// pull makes one of each. Nothing that comes is trusted: it is the commit that was told,
// or nothing.
type Packed struct {
	// Find asks what there is.
	Find func(ctx context.Context, include []string) (Offer, error)
	// Open begins to read the pack of an offer, for who has the commit have, or "" for all
	// of it: from a place on where the pack still has that tag, else from its beginning.
	Open func(ctx context.Context, o Offer, include []string, have plumbing.OID, from int64, tag string) (PackStream, error)

	Limits Limits

	offer *Offer // of the last Find
	asked []string
}

// An Offer is what a service says that a source holds.
type Offer struct {
	Commit plumbing.OID
	Source string // canonical
	Title  string
	Bytes  int64
}

// A PackStream is a pack that comes.
type PackStream struct {
	Body io.ReadCloser
	From int64  // where in the pack it begins
	Size int64  // of the whole pack
	Tag  string // which pack it is; another one has another
}

// Ask asks what there is, so that [Packed.Source] is known. Look and Fetch do not ask
// again.
func (p *Packed) Ask(ctx context.Context, include []string) (Offer, error) {
	if p.offer != nil && slices.Equal(p.asked, include) {
		return *p.offer, nil
	}
	o, err := p.Find(ctx, include)
	if err != nil {
		return Offer{}, err
	}
	if _, ok := daypass.ParseSource(o.Source); !ok || !o.Commit.Valid() {
		return Offer{}, DamagedContent(fmt.Errorf("%w: the service names neither a source nor a commit", errManifest))
	}
	if p.offer != nil && p.offer.Source != o.Source {
		return Offer{}, DamagedContent(errors.New("it is of another source than a moment ago"))
	}
	p.offer, p.asked = &o, slices.Clone(include)
	return o, nil
}

// Source is what was offered; "" before [Packed.Ask].
func (p *Packed) Source() string {
	if p.offer == nil {
		return ""
	}
	return p.offer.Source
}

// Look tells whether the source holds what a Fetch brought: its mark is the commit.
func (p *Packed) Look(ctx context.Context, mark string) (daypass.Seen, error) {
	o, err := p.Ask(ctx, p.asked)
	if err != nil {
		return daypass.Seen{}, err
	}
	source, _ := daypass.ParseSource(o.Source)
	return daypass.Seen{Source: source, Title: o.Title, Mark: string(o.Commit), Same: mark != "" && mark == string(o.Commit)}, nil
}

// Fetch brings the offer into repo, whole or not at all, and says what of it is to be
// delivered. have is what was delivered last; what has come of a pack that broke off is
// kept, and the next fetch goes on with it. Nobody else may be at work in repo
// meanwhile. Problems: DP-460, DP-461, DP-481, DP-327, and those of Find and Open.
func (p *Packed) Fetch(ctx context.Context, repo *plumbing.Repo, have plumbing.OID, include []string, progress func(Progress)) (Snapshot, error) {
	s, err := p.bring(ctx, repo, have, include, progress)
	var gone *daypass.Problem
	if errors.As(err, &gone) && gone.Code == "DP-480" && ctx.Err() == nil { // a newer one took its place on the way
		p.offer = nil
		s, err = p.bring(ctx, repo, have, include, progress)
	}
	return s, err
}

func (p *Packed) bring(ctx context.Context, repo *plumbing.Repo, have plumbing.OID, include []string, progress func(Progress)) (Snapshot, error) {
	o, err := p.Ask(ctx, include)
	if err != nil {
		return Snapshot{}, err
	}
	a := &arriving{p: p, repo: repo, offer: o, include: include, progress: progress}
	if a.have, err = givenOf(ctx, repo, have); err != nil {
		return Snapshot{}, err
	}
	before := packs(repo)
	if o.Commit != a.have {
		if err := a.all(ctx); err != nil {
			return Snapshot{}, err
		}
	}
	s, err := a.read(ctx, have)
	if errors.Is(err, plumbing.ErrMissing) && have != "" {
		// What it is the difference to is damaged here.
		if a.have = ""; a.all(ctx) == nil {
			s, err = a.read(ctx, have)
		}
	}
	if err != nil {
		a.sweep(before)
		return Snapshot{}, err
	}
	s.Mark = string(o.Commit)
	return s, repo.WriteRef(contentRef, o.Commit, "")
}

// read holds what came to what was told.
func (a *arriving) read(ctx context.Context, have plumbing.OID) (Snapshot, error) {
	objects, err := a.repo.Objects(ctx)
	if err != nil {
		return Snapshot{}, err
	}
	defer objects.Close()
	s, m, err := readContent(objects, a.offer.Commit, have, a.p.Limits, a.include)
	if err == nil && (m.Source != a.offer.Source || m.Of != "") {
		err = DamagedContent(errors.New("it is of another source than the service says, or not for others"))
	}
	if err != nil || have == "" {
		return s, err
	}
	return a.keep(ctx, objects, s, m, have)
}

// ownRef is where a commit is kept of what came and what is kept here.
const ownRef = "refs/daypass/own"

// givenOf is the commit that a service gave, of the one that was delivered last.
func givenOf(ctx context.Context, repo *plumbing.Repo, have plumbing.OID) (plumbing.OID, error) {
	if have == "" {
		return "", nil
	}
	o, err := repo.Objects(ctx)
	if err != nil {
		return "", err
	}
	defer o.Close()
	if _, m, err := readCommit(o, have); err == nil && m.Of != "" {
		return m.Of, nil
	}
	return have, nil // what is damaged shows later
}

// keep adds to what came what was delivered before and is withheld by now, or may have
// vanished by mistake: it stays with whoever has it. The two are a commit that nobody
// else is given. Where the last one cannot be read any more, [Snapshot.Spared] is left.
func (a *arriving) keep(ctx context.Context, o *plumbing.Objects, s Snapshot, m Manifest, have plumbing.OID) (Snapshot, error) {
	if len(s.Spared) == 0 && !s.SparesAll {
		return s, nil
	}
	none := Limits{File: -1, Total: -1, Files: -1}
	before, old, err := ReadContent(o, have, "", none)
	var p *daypass.Problem
	if errors.As(err, &p) {
		return s, nil
	} else if err != nil {
		return Snapshot{}, err
	}
	kept := m.spares(old)
	if len(kept) == 0 {
		return s, nil
	}
	own, files := m, slices.Concat(s.Files, s.Rest)
	own.Of, own.Files = s.Commit, slices.Clone(m.Files)
	for _, f := range before.Files {
		if d, ok := kept[f.Path]; ok {
			f.Path = d.Path
			own.Files, files = append(own.Files, d), append(files, f)
		}
	}
	if _, err := own.paths(); err != nil {
		return s, nil
	}
	im, err := a.repo.Import(ctx)
	if err != nil {
		return Snapshot{}, err
	}
	commit, err := own.commit(im, ownRef, files)
	if err = errors.Join(err, im.Close()); err != nil {
		return Snapshot{}, err
	}
	s, _, err = readContent(o, commit, have, Limits{File: a.p.Limits.File, Total: -1, Files: -1}, a.include)
	return s, err
}

// arriving is one pack on its way.
type arriving struct {
	p        *Packed
	repo     *plumbing.Repo
	offer    Offer
	include  []string
	have     plumbing.OID
	progress func(Progress)
	came     int64 // bytes of the pack that are here
}

// What is kept of a pack that has not come whole.
const (
	partFolder = "daypass-pack"
	partData   = "data"
	partName   = "name" // commit, what it is the difference to, tag
)

const packTries = 6 // without anything coming in between

var (
	errPack = errors.New("git does not take the pack")
	errCut  = errors.New("the connection broke off")
)

// all brings the pack, in as many connections as it takes. One that git does not take
// may be the difference to what is damaged here, or may have been damaged on its way:
// all of it is asked for once.
func (a *arriving) all(ctx context.Context) error {
	err := a.tries(ctx)
	if errors.Is(err, errPack) && ctx.Err() == nil {
		a.forget()
		a.have = ""
		err = a.tries(ctx)
	}
	var p *daypass.Problem
	switch {
	case err == nil:
		a.forget()
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, errPack):
		a.forget()
		return DamagedContent(err)
	case errors.Is(err, errNoRoom):
		a.forget()
		return full(address{}, "")
	case errors.As(err, &p):
		return err
	}
	return &daypass.Problem{Code: "DP-481", What: "The content did not come whole from the access service", Why: shown(err.Error()), Kind: daypass.ErrUnreachable, Err: err,
		Next: "Try again: what has come so far need not come again. What you have stays as it is."}
}

func (a *arriving) tries(ctx context.Context) error {
	for failed := 0; ; {
		before := a.came
		err := a.once(ctx)
		if err == nil || !errors.Is(err, errCut) || ctx.Err() != nil {
			return err
		}
		if failed++; a.came > before {
			failed = 0
		}
		if failed == packTries {
			return err
		}
		if !pause.For(ctx, time.Duration(failed)*500*time.Millisecond) {
			return context.Cause(ctx)
		}
	}
}

func (a *arriving) part(name string) string {
	return filepath.Join(a.repo.Dir(), partFolder, name)
}

func (a *arriving) forget() { os.RemoveAll(a.part("")) }

// kept opens what is here of the pack, and says which one it is of.
func (a *arriving) kept() (f *os.File, size int64, tag string, err error) {
	if err := os.Mkdir(a.part(""), 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, 0, "", err
	}
	name, _ := os.ReadFile(a.part(partName))
	if f, err = os.OpenFile(a.part(partData), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, 0, "", err
	}
	lines := strings.Split(string(name), "\n")
	if len(lines) != 3 || lines[0] != string(a.offer.Commit) || lines[1] != string(a.have) || lines[2] == "" {
		return f, 0, "", f.Truncate(0)
	}
	fi, err := f.Stat()
	if err != nil {
		return f, 0, "", err
	}
	return f, fi.Size(), lines[2], nil
}

// once reads as much of the pack as one connection brings. git reads along.
func (a *arriving) once(ctx context.Context) error {
	f, size, tag, err := a.kept()
	if f != nil {
		defer f.Close()
	}
	if err != nil {
		return noRoom(err)
	}
	in, err := a.p.Open(ctx, a.offer, a.include, a.have, size, tag)
	if err != nil {
		if errors.Is(err, daypass.ErrUnreachable) && a.came > 0 {
			return fmt.Errorf("%w: %w", errCut, err)
		}
		return err
	}
	defer in.Body.Close()
	if most := a.most(); in.Size < 0 || most >= 0 && in.Size > most {
		return overLimit(a.offer.Title, "its pack has "+bytesOf(in.Size))
	}
	if in.From != size || in.Tag != tag {
		if in.From != 0 {
			return fmt.Errorf("%w: another part of it came", errCut)
		}
		if err := f.Truncate(0); err != nil {
			return err
		}
		if err := os.WriteFile(a.part(partName), []byte(string(a.offer.Commit)+"\n"+string(a.have)+"\n"+in.Tag), 0o600); err != nil {
			return noRoom(err)
		}
	}
	return a.index(ctx, f, in)
}

// most is how large a pack may be: what is in it is held to the limits when it is here.
// Below 0: what was asked for in spite of its size may have any.
func (a *arriving) most() int64 {
	if t := a.p.Limits.Or().Total; t >= 0 && len(a.include) == 0 {
		return t + t/8 + 64<<20
	}
	return -1
}

// index gives git the pack from its beginning, as it comes, and keeps what comes until
// git has said yes.
func (a *arriving) index(ctx context.Context, f *os.File, in PackStream) error {
	before := packs(a.repo)
	args := []string{"index-pack", "--stdin", "--strict", "--fix-thin"}
	if most := a.most(); most >= 0 {
		args = append(args, "--max-input-size="+strconv.FormatInt(most, 10))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := a.repo.Command(ctx, args...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := plumbing.Start(cmd, fetchMemory); err != nil {
		return err
	}
	err = a.feed(pipe, f, in)
	if err != nil && !errors.Is(err, errPack) {
		cancel()
		cmd.Wait()
		a.sweep(before)
		return err
	}
	if werr := errors.Join(pipe.Close(), cmd.Wait()); werr != nil || err != nil {
		a.sweep(before)
		text := strings.TrimSpace(said.String())
		if strings.Contains(text, "No space left") || strings.Contains(text, "quota") {
			return errNoRoom
		}
		return fmt.Errorf("%w: %s", errPack, shown(text))
	}
	return nil
}

var errNoRoom = errors.New("no room")

func noRoom(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return errNoRoom
	}
	return err
}

// feed copies what is here and then what comes. Its errors are errCut where the source
// ended early, errPack where git did.
func (a *arriving) feed(git io.Writer, f *os.File, in PackStream) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := io.CopyN(git, f, in.From); err != nil {
		return fmt.Errorf("%w: %w", errPack, err)
	}
	a.came = in.From
	buf := make([]byte, 64<<10)
	for a.came < in.Size {
		n, err := in.Body.Read(buf[:min(int64(len(buf)), in.Size-a.came)])
		if n > 0 {
			if _, err := f.Write(buf[:n]); err != nil {
				return noRoom(err)
			}
			if _, err := git.Write(buf[:n]); err != nil {
				return fmt.Errorf("%w: %w", errPack, err)
			}
			a.came += int64(n)
			a.tell(in.Size)
		}
		if err != nil && a.came < in.Size {
			return fmt.Errorf("%w: %w", errCut, err)
		}
	}
	return nil
}

func (a *arriving) tell(size int64) {
	if a.progress != nil {
		a.progress(Progress{Text: "Receiving", Bytes: a.came, BytesTotal: size})
	}
}

// sweep takes away what a git left that was killed, or that said no.
func (a *arriving) sweep(before map[string]int64) {
	sweep(a.repo)
	for name := range packs(a.repo) {
		if _, old := before[name]; !old && strings.HasPrefix(name, "pack/") {
			found, _ := filepath.Glob(filepath.Join(a.repo.Dir(), "objects", strings.TrimSuffix(name, ".pack")+".*"))
			for _, path := range found {
				os.Remove(path)
			}
		}
	}
}
