package snapshot

import (
	"context"
	"errors"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/plumbing"
)

// Refs of the repository that a fetch uses. What they name stays there until the next.
const (
	fetchedRef = "refs/daypass/fetched"
	haveRef    = "refs/daypass/have"
)

// remoteName is what the source is called in git's configuration of one command.
const remoteName = "daypass"

// Fetch brings what a.Tip names into repo, whole or not at all, and says what of it is
// to be delivered. Nobody else may be at work in repo meanwhile.
//
// With a depth the history is cut there each time, so that a source whose history was
// rewritten does not bring the whole of it. Where the ref has moved since [Git.Look],
// and the source does not give what it named then, what it names now is fetched: see
// the snapshot's Tip.
//
// A fetch that is broken off leaves nothing half. git cannot go on in the middle of a
// pack. So where a single commit's pack breaks off that is worth it, its files are
// fetched some at a time from sources that can: what has come is kept, by the next
// fetch too, which goes on with what is missing. Everywhere else the next one begins
// anew, from a.Have and all refs of repo. Problems: DP-310 to DP-329.
func (g Git) Fetch(ctx context.Context, repo *plumbing.Repo, a Ask) (Snapshot, error) {
	g.Limits = g.Limits.Or()
	at, p := parseAddress(a.URL, g.Git.Protocols)
	if p != nil {
		return Snapshot{}, p
	}
	if a.Tip.Format != "" && a.Tip.Format != repo.Format() {
		return Snapshot{}, &daypass.Problem{Code: "DP-329", What: at.hostful + " now keeps the repository in another object format (" + a.Tip.Format + ")",
			Next: "Pull it into a new folder.", Kind: daypass.ErrRefused}
	}
	sweep(repo)
	if err := offer(ctx, repo, a.Have); err != nil {
		return Snapshot{}, err
	}
	objects := a.Objects
	if objects == nil {
		var err error
		if objects, err = repo.Objects(ctx); err != nil {
			return Snapshot{}, err
		}
		defer objects.Close()
	}
	if a.Line == nil { // else when the question is on its way
		if err := objects.Warm(); err != nil {
			return Snapshot{}, err
		}
	}
	f := fetch{g: g, repo: repo, at: at, first: a.Have == "", depth: a.Depth, progress: a.Progress, ref: fetchedRef, line: a.Line, objects: objects, came: &arrival{}, later: a.Later}
	s, err := f.snapshot(ctx, a)
	if f.came.doubtful(err) && ctx.Err() == nil {
		f.drop()
		f.line, f.came = nil, &arrival{}
		s, err = f.snapshot(ctx, a)
	}
	if err != nil {
		return Snapshot{}, incomplete(at, err)
	}
	return s, nil
}

// snapshot fetches and reads once.
func (f fetch) snapshot(ctx context.Context, a Ask) (Snapshot, error) {
	err := f.all(ctx, a.Tip)
	if err == nil && a.Again && f.partial() {
		err = f.again(ctx, a.Tip.Commit)
	}
	if err != nil {
		return Snapshot{}, err
	}
	s := Snapshot{Tip: a.Tip}
	c := content{g: f.g, repo: f.repo, at: f.at, ask: a, fetch: f, s: &s, objects: f.objects}
	err = c.read(ctx)
	if err = errors.Join(err, f.came.wait()); err != nil {
		return Snapshot{}, err
	}
	s.Partial, err = f.lacks(s.Partial)
	return s, err
}

// offer makes git tell the source of a commit that only an alternate holds. Where the
// history ends there, the repository has to know it.
func offer(ctx context.Context, repo *plumbing.Repo, have plumbing.OID) error {
	if have == "" {
		return repo.DeleteRef(haveRef)
	}
	refs, err := repo.ListRefs("refs/")
	if err != nil {
		return err
	}
	for _, oid := range refs {
		if oid == have {
			return nil // git speaks of it anyway
		}
	}
	o, err := repo.Objects(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	if _, err := o.Commit(have); errors.Is(err, plumbing.ErrMissing) || errors.Is(err, plumbing.ErrObject) {
		return repo.DeleteRef(haveRef)
	} else if err != nil {
		return err
	}
	ends, err := repo.Borrowed()
	if err != nil {
		return err
	}
	for _, oid := range append(ends, have) {
		cut, err := ended(o, oid)
		if err == nil && cut {
			err = repo.AddShallow(oid)
		}
		if err != nil {
			return err
		}
	}
	return repo.WriteRef(haveRef, have, "")
}

// ended reports whether a commit is there, and a parent of it is not.
func ended(o *plumbing.Objects, oid plumbing.OID) (bool, error) {
	c, err := o.Commit(oid)
	if errors.Is(err, plumbing.ErrMissing) || errors.Is(err, plumbing.ErrObject) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	for _, parent := range c.Parents {
		if _, err := o.Size(parent); errors.Is(err, plumbing.ErrMissing) {
			return true, nil
		} else if err != nil {
			return false, err
		}
	}
	return false, nil
}

// A fetch is one or more runs of git fetch from one address.
type fetch struct {
	g        Git
	repo     *plumbing.Repo
	at       address
	depth    int
	progress func(Progress)
	ref      string // where what came is kept
	blind    bool   // does not tell the source what is there already
	bare     bool   // wants no files with a commit
	full     bool   // wants all files, however large
	brought  *int64 // bytes that the last run brought
	line     *Line  // open to the source; nil: none
	objects  *plumbing.Objects
	came     *arrival // by the line
	later    func(func() error)
	first    bool // nothing was ever fetched here
}

// tip fetches a commit by its id; where the source gives commits by ref only, or no
// longer this one, by its ref.
func (f fetch) tip(ctx context.Context, t Tip) error {
	err := f.run(ctx, string(t.Commit))
	if f.depth > 0 && wholeOnly(err) {
		f.depth = 0
		err = f.run(ctx, string(t.Commit))
	}
	p := refused(err)
	if p != nil && !strings.Contains(p.Why, string(t.Commit)) {
		// It sent the difference to a file that was left out here, and does not give
		// that file alone.
		f.blind = true
		err = f.run(ctx, string(t.Commit))
		p = refused(err)
	}
	if p == nil || t.Ref == "" {
		return err
	}
	return f.run(ctx, t.Ref)
}

// wholeOnly reports whether a source cannot cut a history: a web server that only gives
// files out, or a very old git.
func wholeOnly(err error) bool {
	var p *daypass.Problem
	return errors.As(err, &p) && strings.Contains(p.Why, "not support shallow")
}

// refused returns err where it says that a source does not give an object out.
func refused(err error) *daypass.Problem {
	var p *daypass.Problem
	if errors.As(err, &p) && p.Code == "DP-318" {
		return p
	}
	return nil
}

// settings are git's for one fetch. Of a single commit, a source that can leaves out
// files over the limit; one that cannot says so and sends them. From then on it is so at
// every fetch, as what follows builds upon what is missing. git needs to hear that it was
// left out on purpose, which is true of this command only: others know of no remote, and
// do not fetch what they miss.
func (f fetch) settings() [][2]string {
	remote := "remote." + remoteName + "."
	out := [][2]string{
		{remote + "url", f.at.url}, {remote + "tagOpt", "--no-tags"},
		{"fetch.unpackLimit", "1"}, {"transfer.fsckObjects", "true"}, {"fetch.writeCommitGraph", "false"}, {"fetch.showForcedUpdates", "false"},
	}
	for _, id := range oldTools() {
		out = append(out, [2]string{"fetch.fsck." + id, "ignore"})
	}
	filter := f.filter()
	if filter != "" || f.partial() {
		out = append(out, [2]string{remote + "promisor", "true"})
	}
	if filter != "" {
		out = append(out, [2]string{remote + "partialCloneFilter", filter})
	}
	if f.blind {
		out = append(out, [2]string{"fetch.negotiationAlgorithm", "noop"})
	}
	return append(out, f.at.config()...)
}

// oldTools are the faults, by git fsck's names, that old tools wrote into honest histories.
func oldTools() []string {
	return []string{"zeroPaddedFilemode", "badTimezone", "missingSpaceBeforeDate", "missingEmail", "badEmail", "missingNameBeforeEmail"}
}

// old reports whether a fetch that leaves files out failed for what old tools wrote: git
// lets that through only where nothing is left out.
func (f fetch) old(err error) bool {
	var p *daypass.Problem
	return f.filter() != "" && !f.partial() && errors.As(err, &p) && p.Code == "DP-320" &&
		slices.ContainsFunc(oldTools(), func(id string) bool { return strings.Contains(p.Why, ": "+id+":") })
}

// partial reports whether here are packs already from which files were left out.
func (f fetch) partial() bool { return f.repo.Promised() }

func (f fetch) filter() string {
	switch n := f.g.Limits.File; {
	case f.full:
		return ""
	case f.bare:
		return "blob:none"
	case n >= 0 && (f.depth == 1 || f.partial()):
		return "blob:limit=" + strconv.FormatInt(n+1, 10)
	}
	return ""
}

// again fetches all of a commit although it is here, for the files that were left out. A
// source that names no single commits leaves them out for good.
func (f fetch) again(ctx context.Context, commit plumbing.OID) error {
	err := f.git(ctx, "", "--refetch", "--", remoteName, "+"+string(commit)+":"+f.ref)
	if refused(err) != nil {
		return nil
	}
	return err
}

// run fetches one thing and keeps it at f.ref.
func (f fetch) run(ctx context.Context, what string) error {
	var args []string
	if f.depth > 0 {
		args = append(args, "--depth="+strconv.Itoa(f.depth))
	}
	return f.git(ctx, "", append(args, "--", remoteName, "+"+what+":"+f.ref)...)
}

// modern sees to it that git is not too old. It was looked at when anything was fetched
// before.
func (f fetch) modern(ctx context.Context) error {
	if !f.first {
		return nil
	}
	modern, err := f.objects.Modern()
	if err == nil && !modern {
		err = f.g.Git.Check(ctx)
	}
	if err != nil {
		return problem(ctx, f.at, "", err)
	}
	return nil
}

// git runs git fetch under a watch.
func (f fetch) git(ctx context.Context, in string, more ...string) error {
	if err := f.modern(ctx); err != nil {
		return err
	}
	trusted, done, err := f.g.trust(f.at)
	if err != nil {
		return err
	}
	defer done()
	args := []string{"fetch", "--progress", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-maintenance", "--force", "--update-shallow"}
	ctx2, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	cmd := f.repo.Use(trusted.Git).CommandWith(ctx2, f.settings(), append(args, more...)...)
	cmd.Stdin = strings.NewReader(in)
	// A delta may stand on a file that was left out earlier; git fetches that then.
	cmd.Env = append(cmd.Env, "GIT_NO_LAZY_FETCH=0")
	text, err := f.watched(cmd, &said{}, cancel)
	if err == nil {
		return nil
	}
	sweep(f.repo)
	if ctx2.Err() != nil {
		err = context.Cause(ctx2)
	}
	return problem(ctx, f.at, text, err)
}

// patience is how long nothing may come, and how long a fetch may take.
func (g Git) patience() (idle, timeout time.Duration) {
	idle, timeout = g.Idle, g.Timeout
	if idle == 0 {
		idle = 2 * time.Minute
	}
	if timeout == 0 {
		timeout = time.Hour
	}
	return idle, timeout
}

// watched runs git under a watch and reports how far it is, by what it says.
func (f fetch) watched(cmd *exec.Cmd, stderr *said, cancel context.CancelCauseFunc) (string, error) {
	reports := make(chan func(*Progress), 64)
	told := make(chan struct{})
	go func() {
		defer close(told)
		f.tell(reports)
	}()
	stderr.follow(func(text string, done, total int64) {
		select {
		case reports <- func(p *Progress) { p.Text, p.Done, p.Total = text, done, total }:
		default: // the next one says more
		}
	})
	cmd.Stderr = stderr
	idle, timeout := f.g.patience()
	w := watch{repo: f.repo, said: stderr, idle: idle, timeout: timeout, max: f.g.Limits.Total, before: map[string]bool{}}
	for name := range packs(f.repo) {
		w.before[name] = true
	}
	w.report = func(n int64) {
		if f.brought != nil {
			*f.brought = n
		}
		reports <- func(p *Progress) { p.Bytes = n }
	}
	done, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		w.until(done, cancel)
	}()
	err := plumbing.Run(cmd, fetchMemory)
	close(done)
	<-watched
	stderr.follow(nil)
	close(reports)
	<-told
	return stderr.text(), err
}

// tell hands changes on, one at a time, with the rate of the last seconds.
func (f fetch) tell(reports <-chan func(*Progress)) {
	var p Progress
	type mark struct {
		at    time.Time
		bytes int64
	}
	var marks []mark
	for change := range reports {
		before := p
		change(&p)
		if p == before || f.progress == nil {
			continue
		}
		now := time.Now()
		marks = append(marks, mark{now, p.Bytes})
		for len(marks) > 2 && now.Sub(marks[0].at) > 3*time.Second {
			marks = marks[1:]
		}
		if d := now.Sub(marks[0].at).Seconds(); d > 0.2 {
			p.Rate = float64(p.Bytes-marks[0].bytes) / d
		}
		f.progress(p)
	}
}

// under reports whether a file lies at or below a folder; "" is the top.
func under(path, folder string) bool {
	return folder == "" || path == folder || strings.HasPrefix(path, folder+"/")
}
