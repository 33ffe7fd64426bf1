package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"reflect"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
	"github.com/daypass-dev/daypass/client"
	"github.com/daypass-dev/daypass/provider/archive"
	"github.com/daypass-dev/daypass/provider/canvas"
	"github.com/daypass-dev/daypass/provider/ckan"
	"github.com/daypass-dev/daypass/provider/dataverse"
	"github.com/daypass-dev/daypass/provider/deposit"
	"github.com/daypass-dev/daypass/provider/drive"
	"github.com/daypass-dev/daypass/provider/figshare"
	"github.com/daypass-dev/daypass/provider/google"
	"github.com/daypass-dev/daypass/provider/hydroshare"
	"github.com/daypass-dev/daypass/provider/invenio"
	"github.com/daypass-dev/daypass/provider/swh"
	"github.com/daypass-dev/daypass/provider/webdav"
	"github.com/daypass-dev/daypass/pull"
	"github.com/daypass-dev/daypass/resolve"
	"github.com/daypass-dev/daypass/snapshot"
)

// viaService is how a folder came whose source the access service read, asked for by
// the source itself.
const viaService = "service"

// A sourceReader makes what reads a source of one kind in this process.
type sourceReader struct {
	open func(a *app, cfg config, s daypass.Source, o outward) (daypass.Contents, error)
	// private: it is read with a credential of the user's alone.
	private bool
	// alone: no access service reads it, so none is asked.
	alone bool
}

// sourceReaders are the kinds that this process reads. It is a function so that a
// command that reads none builds none.
func sourceReaders() map[string]sourceReader {
	return map[string]sourceReader{
		daypass.KindDrive:  {open: (*app).openDrive, private: true},
		daypass.KindCanvas: {open: (*app).openCanvas, private: true},
		daypass.KindWebDAV: {open: (*app).openWebDAV},

		daypass.KindInvenio:    deposited(func(c deposit.Config) daypass.Contents { return invenio.New(c) }),
		daypass.KindFigshare:   deposited(func(c deposit.Config) daypass.Contents { return figshare.New(c) }),
		daypass.KindDataverse:  deposited(func(c deposit.Config) daypass.Contents { return dataverse.New(c) }),
		daypass.KindSWH:        deposited(func(c deposit.Config) daypass.Contents { return swh.New(c) }),
		daypass.KindHydroShare: deposited(func(c deposit.Config) daypass.Contents { return hydroshare.New(c) }),
		daypass.KindCKAN:       deposited(func(c deposit.Config) daypass.Contents { return ckan.New(c) }),
		daypass.KindArtifact:   {open: (*app).openArtifact, alone: true},
	}
}

// deposited reads an archive, as everybody.
func deposited(open func(deposit.Config) daypass.Contents) sourceReader {
	return sourceReader{open: func(a *app, cfg config, s daypass.Source, o outward) (daypass.Contents, error) {
		return open(a.siteOf(cfg, s.Host, o)), nil
	}}
}

// siteOf is how an archive is read for a pull, which has limits.
func (a *app) siteOf(cfg config, host string, o outward) deposit.Config {
	c := a.site(host, o)
	c.Archive = archive.Within(cfg.pull.limits().Or().Total)
	return c
}

// site is how an archive is asked.
func (a *app) site(host string, o outward) deposit.Config {
	return deposit.Config{Host: host, Plain: !o.guarded && daypass.Loopback(host), Proxy: o.proxy, Dial: o.dial(host), Base: a.sources, Now: a.now}
}

// contents reads a source as this user. Where a credential is missing the error wraps
// [daypass.ErrNoLogin].
func (a *app) contents(cfg config, s daypass.Source, o outward) (daypass.Contents, error) {
	r, ok := sourceReaders()[s.Kind]
	if !ok {
		return nil, &daypass.Problem{
			Code: "DP-452", What: "this version of daypass does not bring " + printable(s.Kind) + " content", Next: "Give the address of a repository, folder, course or record.", Kind: daypass.ErrUsage,
		}
	}
	return r.open(a, cfg, s, o)
}

func (a *app) openDrive(cfg config, s daypass.Source, o outward) (daypass.Contents, error) {
	gc := google.Config{Proxy: o.proxy, Dial: o.dial(s.Host), Base: a.sources, Now: a.now}
	key, given := cfg.sources.Drive.Key, "sources.drive.key"
	if v := a.getenv("DAYPASS_DRIVE_KEY_FILE"); v != "" {
		key, given = "file:"+v, "DAYPASS_DRIVE_KEY_FILE"
	}
	var tokens *google.Tokens
	account := "metadata"
	switch {
	case key != "":
		text, err := a.secretFile(given, key)
		if err != nil {
			return nil, err
		}
		if tokens, err = google.Key(gc, []byte(text.Reveal())); err != nil {
			return nil, err
		}
		if account, err = tokens.Email(context.Background()); err != nil { // it stands in the file
			return nil, err
		}
	case cfg.sources.Drive.Identity == "metadata":
		var err error
		if tokens, err = google.Metadata(gc); err != nil {
			return nil, err
		}
	default:
		return nil, noCredential("Google Drive", "a service account's key: DAYPASS_DRIVE_KEY_FILE=/PATH")
	}
	pace, err := a.drivePace(cfg.sources.Drive, account)
	if err != nil {
		return nil, err
	}
	return drive.New(drive.Config{Pace: pace, Token: tokens.Token, Renew: tokens.Renew, Email: tokens.Email, Proxy: o.proxy, Dial: o.dial(s.Host), Base: a.sources, Now: a.now})
}

// drivePace is how fast this process may read as an account that others read as too:
// others of this user's on this machine, with whom it shares what is this user's, and
// others elsewhere, of whom only their number is known.
func (a *app) drivePace(d driveConfig, account string) (*drive.Pace, error) {
	share, err := a.share(d)
	if err != nil {
		return nil, err
	}
	p := drive.NewPace(share.Units(), a.now)
	if dir := a.getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		p.Keep(filepath.Join(dir, "daypass-pace"), account)
	}
	return p, nil
}

// driveHint tells somebody who reads slowly, for others' sake, how to read alone.
func (a *app) driveHint(cfg config, ask pull.Ask) string {
	if ask.Content == nil || ask.Via != "" || cfg.sources.Drive.SharedBy > 0 || a.getenv("DAYPASS_DRIVE_SHARED_BY") != "" {
		return ""
	}
	if s, ok := daypass.ParseSource(ask.Content.Source()); !ok || s.Kind != daypass.KindDrive {
		return ""
	}
	return "Google gives each account so many files a minute, and daypass takes a fiftieth: others may read with the same key. If it is yours alone, stop here, and pull with DAYPASS_DRIVE_SHARED_BY=1 before the command; what has come is not fetched again." + a.driveLine()
}

// driveLine is what to write where, so that every pull reads so.
func (a *app) driveLine() string {
	files := a.configFiles()
	if len(files) == 0 {
		return ""
	}
	own := files[len(files)-1]
	if own.admin {
		return ""
	}
	fc, err := own.read(a.uid)
	if err != nil {
		return ""
	}
	path := printable(own.path)
	switch {
	case fc.Sources.Drive != (driveConfig{}):
		return ` For all pulls, add "shared_by: 1" to "drive" below "sources" in ` + path + "."
	case !reflect.DeepEqual(fc.Sources, sourcesConfig{}):
		return ` For all pulls, write this line below "sources" in ` + path + ": drive: {shared_by: 1}"
	}
	return " For all pulls, write this line into " + path + ": sources: {drive: {shared_by: 1}}"
}

// driveTime is how long a pull of Drive's may take at most. Where fifty read 1,600 files
// each with one account it takes an hour; what has come is not read again.
const driveTime = 12 * time.Hour

// reading is how a source is read here.
func (a *app) reading(cfg config, c daypass.Contents, s daypass.Source) snapshot.Content {
	out := snapshot.Content{Contents: c, Limits: cfg.pull.limits(), Now: a.now}
	if s.Kind == daypass.KindDrive { // to wait for one's turn is not to stand still
		out.Idle, out.Timeout = drive.DefaultPatience+5*time.Minute, driveTime
	}
	return out
}

func (a *app) openCanvas(cfg config, s daypass.Source, o outward) (daypass.Contents, error) {
	c := canvas.Config{Host: s.Host, Proxy: o.proxy, Dial: o.dial(s.Host), Base: a.sources, Now: a.now}
	var where, given string
	for _, site := range cfg.sources.Canvas {
		if site.Host == s.Host && where == "" {
			where, given, c.Files = site.Token, "sources.canvas", site.Files
		}
	}
	if a.getenv(canvasToken) != "" && a.getenv("DAYPASS_CANVAS_HOST") == s.Host {
		where, given = "env:"+canvasToken, canvasToken
	}
	if where == "" {
		return nil, noCredential("Canvas at "+s.Host, "a token of yours: DAYPASS_CANVAS_TOKEN, with DAYPASS_CANVAS_HOST="+s.Host)
	}
	token, err := a.secret(given, where)
	if err != nil {
		return nil, err
	}
	c.Token = func(context.Context) (daypass.Secret, error) { return token, nil }
	return canvas.New(c), nil
}

func (a *app) openWebDAV(cfg config, s daypass.Source, o outward) (daypass.Contents, error) {
	c := webdav.Config{Host: s.Host, Plain: daypass.Loopback(s.Host), Proxy: o.proxy, Dial: o.dial(s.Host), Base: a.sources, Now: a.now}
	for _, w := range cfg.sources.WebDAV {
		if w.Host != s.Host {
			continue
		}
		if w.User != "" {
			password, err := a.secret("sources.webdav", w.Password)
			if err != nil {
				return nil, err
			}
			c.User, c.Token = w.User, func(context.Context) (daypass.Secret, error) { return password, nil }
		}
		break
	}
	return webdav.New(c), nil
}

func noCredential(what, how string) error {
	return &daypass.Problem{
		Code: "DP-451", What: "daypass has nothing here with which to read " + what, Why: "it is not public",
		Next: "Pull it by a link of your hub, or name " + how + "; see doc/pull.md.", Who: "Whoever teaches the course can make a link.", Kind: daypass.ErrNoLogin,
	}
}

// contentAsk reads a source that is not git's: by the access service where that serves
// it, else in this process. A folder stays with the way that it came by: whoever reads
// less would take files away.
func (a *app) contentAsk(ctx context.Context, p *pull.Puller, cfg config, s daypass.Source, st pull.State, args []string, o outward, ask *pull.Ask) error {
	if err := allowedHost(cfg.pull, s.Host); err != nil {
		return err
	}
	ask.Folder = st.Folder
	if !sourceReaders()[s.Kind].alone && (st.Folder == "" || st.Via != "") {
		if done, err := a.servedAsk(ctx, p, cfg, s, st, args, ask); done || err != nil {
			return err
		}
	}
	c, err := a.contents(cfg, s, o)
	if err != nil {
		return err
	}
	return a.readHere(ctx, p, cfg, c, s, args, ask)
}

// servedAsk reads a source by the access service. done is false where that has nothing
// to do with the source and this process can read it.
func (a *app) servedAsk(ctx context.Context, p *pull.Puller, cfg config, s daypass.Source, st pull.State, args []string, ask *pull.Ask) (done bool, err error) {
	content, found, err := a.servedContent(ctx, p, cfg, s, st.Include, ask.Include)
	switch {
	case err != nil && st.Via == "" && a.elsewise(cfg, s, err):
		return false, nil
	case err != nil:
		return true, err
	case content == nil && st.Via == "":
		return false, nil
	case content == nil:
		return true, &daypass.Problem{
			Code: "DP-456", What: "this folder came by the access service, and none is set up here",
			Next: "Pull it in a server of the hub, or pull the source into another folder: daypass pull SOURCE DIR.", Kind: daypass.ErrNoLogin,
		}
	}
	ask.Content, ask.Via = content, viaService
	if ask.Folder == "" {
		ask.Folder, err = a.servedFolder(p, args, found, s)
	}
	return true, err
}

// servedFolder is where what the service reads of a source goes.
func (a *app) servedFolder(p *pull.Puller, args []string, found *api.Snapshot, s daypass.Source) (string, error) {
	if len(args) == 2 {
		return filepath.Abs(args[1])
	}
	return freeFolder(p, found.Title, s)
}

// elsewise reports whether a source that the service did not give may be read here.
func (a *app) elsewise(cfg config, s daypass.Source, err error) bool {
	private := sourceReaders()[s.Kind].private
	if !notHere(err) && (private || !client.Unreachable(err)) {
		return false
	}
	_, err = a.contents(cfg, s, outward{})
	return !private || !errors.Is(err, daypass.ErrNoLogin)
}

func (a *app) readHere(ctx context.Context, p *pull.Puller, cfg config, c daypass.Contents, s daypass.Source, args []string, ask *pull.Ask) (err error) {
	ask.Content = pull.Read(a.reading(cfg, c, s), s)
	if ask.Folder == "" {
		ask.Folder, err = a.sourceFolder(ctx, p, args, ask.Content, s)
	}
	return err
}

// servedContent is a source as the access service reads it; nil where there is none.
func (a *app) servedContent(ctx context.Context, p *pull.Puller, cfg config, s daypass.Source, before, more []string) (*snapshot.Packed, *api.Snapshot, error) {
	service, err := a.service(cfg)
	if err != nil || service == nil {
		return nil, nil, err
	}
	include, err := pull.Included(before, more)
	if err != nil {
		return nil, nil, err
	}
	q := api.SnapshotQuery{Source: s.String()}
	if why := q.Check(); why != "" {
		return nil, nil, nil
	}
	content, found := service.packed(q, p.Limits)
	if _, err := content.Ask(ctx, include); err != nil {
		return nil, nil, err
	}
	return content, found, nil
}

// notHere reports whether the service has nothing to do with a source, as far as it says.
func notHere(err error) bool {
	var p *daypass.Problem
	var e *client.Error
	return errors.As(err, &p) && p.Code == "DP-723" || errors.As(err, &e) && e.Status == http.StatusNotFound
}

// allowedHost holds a source to the admins' list.
func allowedHost(p pullConfig, host string) error {
	return allowed(p, resolve.Git{Host: host}, false)
}

// sourceOf reads the record of a folder that came from a source that is not git's.
func sourceOf(st pull.State) (daypass.Source, error) {
	s, ok := daypass.ParseSource(st.Source)
	if !ok {
		return s, snapshot.DamagedContent(fmt.Errorf("the folder's record names no source: %q", st.Source))
	}
	return s, nil
}
