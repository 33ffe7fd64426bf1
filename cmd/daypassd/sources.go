package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/depot"
	"github.com/daypass-dev/daypass/egress"
	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/provider/canvas"
	"github.com/daypass-dev/daypass/provider/deposit"
	"github.com/daypass-dev/daypass/provider/doi"
	"github.com/daypass-dev/daypass/provider/drive"
	"github.com/daypass-dev/daypass/provider/google"
	"github.com/daypass-dev/daypass/server"
	"github.com/daypass-dev/daypass/snapshot"
)

// readers read what the broker said yes to, and keep it for all who may read it.
type readers struct {
	broker *broker.Broker // set once it is there
	depot  *depot.Depot
	dialer *egress.Dialer
	proxy  *egress.Proxy
	git    snapshot.Git
	kinds  map[string]reader
	limits snapshot.Limits
	drives map[string]daypass.Contents // by account

	projects map[string]*drive.Project // of the accounts; "" is of those that name none
	services int                       // that read as the accounts at once

	hosts    []string                // public ones
	doi      string                  // where DOIs are looked up
	canvases map[string]canvasConfig // by host
	mu       sync.Mutex
	paces    map[string]*canvas.Pace  // of Canvas, by whose token
	asking   map[string]*deposit.Pace // of listed sites, by host
	news     map[string]*rate.Limiter
	now      func() time.Time
	log      *slog.Logger
	plain    func(host string) bool // without TLS, on this machine
	ended    chan struct{}          // somebody may have been cut off
}

// A reader opens one kind of source, as the identity of a reading.
type reader func(context.Context, broker.Reading) (daypass.Contents, error)

// verifyDrive is how old the proof may be that an account still reads a folder.
const verifyDrive = 2 * time.Minute

// drivePatience is how long a request waits for Drive's quota, which is a minute's,
// before those who wait for it are told.
const drivePatience = 5 * time.Minute

// newReaders puts readers together; nil where the service reads nothing.
func (svc *service) newReaders(s *app, sources *broker.Sources) (*readers, error) {
	c := svc.config
	if !c.reads() {
		return nil, nil
	}
	allow, err := c.dialled()
	if err != nil {
		return nil, err
	}
	limits, err := c.Snapshots.limits()
	if err != nil {
		return nil, err
	}
	r := &readers{dialer: &egress.Dialer{Allow: allow}, limits: limits.Source, drives: map[string]daypass.Contents{}, projects: map[string]*drive.Project{}, services: max(1, c.Sources.DriveSharedBy), now: svc.now, log: svc.log, plain: daypass.Loopback}
	for i, d := range c.Sources.Drive {
		if sources.Drive[i].Address, err = r.openDrive(s, d); err != nil {
			return nil, fmt.Errorf("sources.drive: %s: %w", d.Account, err)
		}
		for _, other := range sources.Drive[:i] {
			if strings.EqualFold(other.Address, sources.Drive[i].Address) {
				return nil, fmt.Errorf("sources.drive: %s and %s are one account, %s: what one course shares with it the other's instructors could give on; "+
					"name it once, with the groups of both, or make an account for each", other.Account, d.Account, other.Address)
			}
		}
	}
	r.kinds = map[string]reader{daypass.KindDrive: r.driveOf, daypass.KindCanvas: r.canvasOf}
	r.openPublic(c.Sources.Hosts)
	r.hosts, r.doi = c.Sources.Hosts, doi.Host
	sources.Resolve = r.resolveDOI
	r.canvases = map[string]canvasConfig{}
	for _, site := range c.Sources.Canvas {
		r.canvases[site.Host] = site
	}
	sources.Look = r.look
	if len(c.Sources.Canvas) > 0 {
		sources.Courses = r.courses
	}
	r.ended = make(chan struct{}, 1)
	sources.Ended = func() {
		select {
		case r.ended <- struct{}{}:
		default: // it is known already
		}
	}
	sources.Folder = r.folder
	if !svc.serving { // a command keeps nothing, and may be another user's
		return r, nil
	}
	if err := r.openGit(svc); err != nil {
		return nil, err
	}
	leases := depot.Leases{}
	if strings.HasPrefix(c.Store, "postgres") { // several machines may share the folder
		leases = depot.Leases{Take: svc.db.TakeLease, Drop: svc.db.DropLease}
	}
	r.depot, err = depot.New(depot.Config{Dir: c.Snapshots.Dir, Git: egress.Bound(r.plainGit(), r.bounds()), Leases: leases, Limits: limits, Now: svc.now, Log: svc.log})
	if err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// openDrive makes an account's reader, and says its address.
func (r *readers) openDrive(s *app, d driveConfig) (address string, err error) {
	gc := google.Config{Dial: r.dialer.DialContext, Now: r.now, Endpoints: google.Endpoints{
		Token: d.Endpoints.Token, STS: d.Endpoints.STS, IAM: d.Endpoints.IAM, Metadata: d.Endpoints.Metadata,
	}}
	var tokens *google.Tokens
	switch {
	case d.Identity != "":
		tokens, err = google.Metadata(gc)
	case d.Federation != "":
		var text []byte
		if text, err = s.secretText("federation", d.Federation); err == nil {
			tokens, err = google.Federation(gc, text)
		}
	default:
		var text []byte
		if text, err = s.secretText("key", d.Key); err == nil {
			tokens, err = google.Key(gc, text)
		}
	}
	if err != nil {
		return "", err
	}
	address = d.Address
	if d.Identity == "" {
		said, err := tokens.Email(context.Background()) // it stands in the file
		if err != nil {
			return "", err
		}
		if address = cmp.Or(address, said); address != said {
			return "", fmt.Errorf("its address is %s, as the file says, and not %s", said, address)
		}
	}
	r.drives[d.Account], err = drive.New(drive.Config{
		Pace: r.project(cmp.Or(d.Project, google.ProjectOf(address), tokens.Project())).Account(drive.UserUnits / r.services), Patience: drivePatience,
		Token: tokens.Token, Renew: tokens.Renew, Email: tokens.Email, Outside: d.Shortcuts, Verify: verifyDrive,
		Dial: r.dialer.DialContext, API: d.Endpoints.API, Now: r.now,
	})
	return address, err
}

// project is what paces all accounts of a project.
func (r *readers) project(id string) *drive.Project {
	if r.projects[id] == nil {
		r.projects[id] = drive.NewProject(drive.ProjectUnits/r.services, r.now)
	}
	return r.projects[id]
}

func (r *readers) driveOf(_ context.Context, y broker.Reading) (daypass.Contents, error) {
	if c, ok := r.drives[y.Account]; ok {
		return c, nil
	}
	return nil, noReader(y)
}

// maxPaces bounds how many people's paces are remembered.
const maxPaces = 10_000

// canvasOf reads a course by the connection of whoever asks.
func (r *readers) canvasOf(_ context.Context, y broker.Reading) (daypass.Contents, error) {
	c, err := r.canvasAs(y)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// courses lists the courses that a person teaches, by their own connection and at the pace
// that all that is read with it shares.
func (r *readers) courses(ctx context.Context, y broker.Reading, most int) ([]broker.Course, bool, error) {
	c, err := r.canvasAs(y)
	if err != nil {
		return nil, false, err
	}
	list, whole, err := c.Courses(ctx, most)
	var out []broker.Course
	for _, one := range list {
		out = append(out, broker.Course{ID: one.ID, Title: one.Name, Note: noteOf(one)})
	}
	return out, whole, err
}

// noteOf tells courses of one name apart.
func noteOf(c canvas.Course) string {
	var out []string
	if c.Code != "" && c.Code != c.Name {
		out = append(out, c.Code)
	}
	switch c.State {
	case "unpublished":
		out = append(out, "not published yet")
	case "completed":
		out = append(out, "over")
	}
	return strings.Join(out, ", ")
}

func (r *readers) canvasAs(y broker.Reading) (*canvas.Canvas, error) {
	site, ok := r.canvases[y.Source.Host]
	if !ok {
		return nil, noReader(y)
	}
	key := y.Source.Host + " " + y.As
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.paces == nil || len(r.paces) >= maxPaces {
		r.paces = map[string]*canvas.Pace{}
	}
	if r.paces[key] == nil {
		r.paces[key] = canvas.NewPace(r.now)
	}
	t := &heldToken{now: r.now, fetch: func(ctx context.Context) (daypass.Secret, time.Time, error) { return r.broker.ContentToken(ctx, y) }}
	return canvas.New(canvas.Config{
		Host: site.Host, Files: site.Files, Students: y.Student, Pace: r.paces[key], Dial: r.dialer.DialContext, Now: r.now, Token: t.get,
		Renew: func(ctx context.Context) bool { return t.renew(r.broker.Spent(ctx, y)) },
	}), nil
}

func noReader(y broker.Reading) error {
	return &daypass.Problem{
		Code: "DP-747", What: "this service has nothing that reads " + y.Source.Kind + " at " + y.Source.Host, Next: "Pull it without a link.",
		Who: "The hub's admins see in the manual what can be read.", Kind: daypass.ErrRefused,
	}
}

func (r *readers) contents(ctx context.Context, y broker.Reading) (daypass.Contents, error) {
	open, ok := r.kinds[y.Source.Kind]
	if !ok {
		return nil, noReader(y)
	}
	return open(ctx, y)
}

// look is what the broker asks whether something can be read.
func (r *readers) look(ctx context.Context, y broker.Reading) (daypass.Seen, error) {
	if y.Source.Kind == daypass.KindGit && r.proxy != nil {
		return r.lookGit(ctx, y)
	}
	c, err := r.contents(ctx, y)
	if err != nil {
		return daypass.Seen{}, err
	}
	return c.Look(ctx, y.Source, "")
}

// snapshot says what a source holds now, to whom the broker lets read it.
func (r *readers) snapshot(ctx context.Context, c daypass.Caller, ask server.SnapshotAsk) (server.Snapshot, error) {
	y, err := r.broker.ReadSource(ctx, c, broker.SourceAsk{Link: ask.Link, Source: ask.Source, Stale: ask.Stale, Request: ask.Request})
	if err != nil {
		return server.Snapshot{}, toldOfLink(ask.Link, hostOf(ask), err)
	}
	v, err := r.get(ctx, c, y, ask.Include)
	if err != nil && ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		return server.Snapshot{}, ctx.Err() // it is being made still
	}
	if err = r.broker.Saw(ctx, y, v.Checked, err); err != nil {
		return server.Snapshot{}, told(y.Source.Host, err)
	}
	out := server.Snapshot{ID: v.ID, Source: y.Source.String(), Title: v.Title, Bytes: v.Bytes, Files: v.Files, Made: v.Made}
	if y.Link != nil {
		out.Folder, out.Open, out.App = y.Link.Folder, y.Link.Open, y.Link.App
		out.Title = cmp.Or(y.Link.Title, out.Title)
	}
	return out, nil
}

// pack opens a file of a snapshot. Whether the caller may read it is asked anew.
func (r *readers) pack(ctx context.Context, c daypass.Caller, ask server.SnapshotAsk, id string) (server.Pack, error) {
	y, err := r.broker.ReadSource(ctx, c, broker.SourceAsk{Link: ask.Link, Source: ask.Source, Stale: ask.Stale, Pack: id, Request: ask.Request})
	if err != nil {
		return server.Pack{}, toldOfLink(ask.Link, hostOf(ask), err)
	}
	p, err := r.depot.Pack(ctx, r.including(keyOf(y), ask.Include), id, ask.Have)
	if err != nil {
		return server.Pack{}, told(y.Source.Host, err)
	}
	return server.Pack{Body: p.File, Close: p.Close, ETag: p.ETag}, nil
}

// hostOf is the host that a refusal's page is about: of a link it is not told here.
func hostOf(ask server.SnapshotAsk) string { return ask.Source.Host }

func keyOf(y broker.Reading) depot.Key {
	return depot.Key{Source: y.Source, As: y.As, Number: y.Repo.ID}
}

// fetch reads a source for the depot.
func (r *readers) fetch(y broker.Reading, include []string) depot.Fetch {
	return func(ctx context.Context, repo *plumbing.Repo, have plumbing.OID, mark string) (depot.Result, error) {
		if y.Source.Kind == daypass.KindGit {
			return r.fetchGit(ctx, y, repo, have, mark)
		}
		c, err := r.contents(ctx, y)
		if err != nil {
			return depot.Result{}, err
		}
		from := snapshot.Content{Contents: c, Limits: r.limits, Most: r.limits.Or().Total, Now: r.now}
		if y.Source.Kind == daypass.KindDrive { // to wait for one's turn is not to stand still
			from.Idle = 2 * drivePatience
		}
		if mark != "" && have != "" {
			seen, err := from.Look(ctx, y.Source, mark)
			if err != nil || seen.Same {
				return depot.Result{Same: seen.Same, Mark: cmp.Or(seen.Mark, mark)}, err
			}
		}
		s, err := from.Fetch(ctx, repo, snapshot.ContentAsk{Source: y.Source, Have: have, Include: include, Shared: true})
		return depot.Result{Mark: s.Mark, Commit: s.Commit}, err
	}
}

// tend takes away what nobody asks for, and what was read as somebody who may not read
// any more, until ctx ends.
func (r *readers) tend(ctx context.Context, m *server.Metrics) {
	tick := time.NewTicker(10 * time.Minute)
	defer tick.Stop()
	for {
		_, _ = r.depot.Evict(ctx) // the depot's log says what was in the way
		if bytes, n, err := r.depot.Size(); err == nil {
			m.Snapshots(bytes, n)
		}
		for again := true; again; {
			var soon <-chan time.Time
			if !r.forget(ctx) {
				soon = time.After(inUse)
			}
			select {
			case <-ctx.Done():
				return
			case <-r.ended:
			case <-soon:
			case <-tick.C:
				again = false
			}
		}
	}
}

// inUse is when what was in use is looked at again.
const inUse = 5 * time.Second

// forget takes away what was read as people who are gone. What is in use goes at a
// later time: false. So does what the store cannot be asked about.
func (r *readers) forget(ctx context.Context) (done bool) {
	all, err := r.depot.Readers()
	done = true
	for _, as := range all {
		var keep, gone bool
		if keep, err = r.broker.ReadsFor(ctx, as); err == nil && !keep {
			gone, err = r.depot.Forget(ctx, as)
			done = done && gone
		}
		if err != nil {
			break
		}
	}
	if err != nil && ctx.Err() == nil {
		r.log.Warn("what was read as people who are gone could not be taken away; it is tried again", "error", err)
	}
	return done || err != nil
}

func (r *readers) close() {
	if r == nil {
		return
	}
	if r.depot != nil {
		r.depot.Close()
	}
	if r.proxy != nil {
		_ = r.proxy.Close()
	}
}

// gitEnviron is what of this process's environment its git is told: no token of the
// hub's, no secret of the configuration.
func gitEnviron() []string {
	var out []string
	for _, name := range []string{"PATH", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "TZ"} {
		if v, ok := os.LookupEnv(name); ok {
			out = append(out, name+"="+v)
		}
	}
	return out
}
