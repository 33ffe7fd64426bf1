package pull

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/snapshot"
)

// A Puller pulls for one user.
type Puller struct {
	Git      plumbing.Git
	Home     string // where what it keeps lives, absolute: ".../daypass/pulls"
	UserHome string // no folder may be this
	Limits   snapshot.Limits
	Timeout  time.Duration // of a fetch; 0: snapshot's own
	Idle     time.Duration // without a byte; 0: snapshot's own
	Patience time.Duration // for another pull of the folder, and for git's lock; 0: ten seconds
	Now      func() time.Time
	Rand     io.Reader

	step  func(what string) error // before each change of a disk; for tests
	probe func() traits           // nil: looks; for tests
}

// Pull brings a source's content into a folder, and joins it with what the user
// has there. Problems: those of the chapter on pulling content in doc/errors.md.
func (p *Puller) Pull(ctx context.Context, a Ask) (Report, error) {
	if without, login := SplitLogin(a.URL); !login.IsZero() {
		a.URL, a.Login = without, login
	}
	source, err := a.source()
	if err != nil {
		return Report{}, err
	}
	if _, err := p.place(a.Folder, a.Root); err != nil {
		return Report{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var early <-chan look
	if a.Content == nil {
		early = p.lookEarly(ctx, a)
	}
	r, err := p.begin(ctx, a.Folder, a.Root)
	if err != nil {
		return Report{}, err
	}
	defer r.end()
	r.ask, r.source, r.early = a, source, early
	r.rep = Report{Folder: r.folder, Source: source, Ref: a.Ref, DryRun: a.DryRun}
	r.widen()
	if last, ok := r.justDone(); ok {
		return last, nil
	}
	err = r.pull(ctx)
	r.rep.Took = p.Now().Sub(r.began)
	if err != nil {
		return r.rep, tell(r.folder, err)
	}
	if r.finished && r.rep.Same && !a.DryRun {
		if last, ok := r.st.last(); ok {
			last.Took = r.rep.Took
			r.rep = last
		}
	}
	r.warnOfLogin()
	r.event(Done, r.rep.Sentence())
	return r.rep, nil
}

// source is what is asked for as it may be kept and shown.
func (a Ask) source() (string, error) {
	if a.Content != nil {
		return a.Content.Source(), nil
	}
	if len(a.Include) > 0 {
		return "", problemInclude()
	}
	return clean(a.URL)
}

// A look is what the source said.
type look struct {
	tip  snapshot.Tip
	line *snapshot.Line // still open; nil: none
	err  error
}

// lookEarly asks the source while the folder is looked at: the answer takes longest.
func (p *Puller) lookEarly(ctx context.Context, a Ask) <-chan look {
	out := make(chan look, 1)
	go func() {
		tip, line, err := p.source().Call(ctx, a.address(), a.Ref)
		out <- look{tip, line, err}
	}()
	return out
}

// justDone returns what another pull of the same has done while this one waited.
func (r *run) justDone() (Report, bool) {
	if !r.lock.waited || r.st == nil || r.ask.DryRun || r.ask.Backup || len(r.ask.Include) > 0 {
		return Report{}, false
	}
	rec := r.st.rec
	if rec.At.Before(r.began) || rec.Source != r.source || rec.Ref != r.ask.Ref || rec.Path != r.ask.Path || rec.Pending {
		return Report{}, false
	}
	return r.st.last()
}

// pull does what the folder asks for.
func (r *run) pull(ctx context.Context) error {
	there := exists(r.folder)
	if there && empty(r.folder) {
		return r.fill(ctx)
	}
	if there && r.ask.Backup {
		return r.freshInstead(ctx)
	}
	if !there {
		err := r.fresh(ctx)
		if !errors.Is(err, errAppeared) {
			return err
		}
		if err := r.appeared(); err != nil {
			return err
		}
	}
	if err := r.sameSource(); err != nil {
		return err
	}
	return r.update(ctx)
}

// fill pulls into an empty folder where it stands: it may be a mount, somebody may be in
// it, and its rights are its owner's.
func (r *run) fill(ctx context.Context) error {
	if r.st != nil && r.st.rec.Commit != "" {
		r.st = nil // what was in it before
	}
	err := r.update(ctx)
	r.rep.Fresh = err == nil
	return err
}

func (p *Puller) patience() time.Duration {
	if p.Patience > 0 {
		return p.Patience
	}
	return 10 * time.Second
}

// change runs before each change of a disk.
func (p *Puller) change(what string) error {
	if p.step == nil {
		return nil
	}
	return p.step(what)
}
