package main

import (
	"bufio"
	"context"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/devpi"
	"github.com/daypass-dev/daypass/doctor"
	"github.com/daypass-dev/daypass/pass"
)

// indexLoginTime is how long a log-in at a package index lasts, unless another
// end is asked for.
const indexLoginTime = 12 * time.Hour

// loginIndex is "login --index": it gives devpi's own client a pass that ends
// within hours, in the place of a session or a password.
func (a *app) loginIndex(ctx context.Context, o loginOptions, args []string) error {
	if len(args) > 0 || o.repo != "" || o.renew != "" || o.storeFile != "" {
		return usageText("login", "--index goes with neither a HOST nor the flags of a git host")
	}
	n := &narrowing{expires: o.expires}
	if err := a.times(n); err != nil {
		return err
	}
	until := n.limits.Expires
	if until.IsZero() {
		until = a.now().Add(indexLoginTime).Truncate(time.Second)
	}
	c, err := a.reach(ctx, o.at)
	if err != nil {
		return err
	}
	p, err := a.loginPass(ctx, c, o, until)
	if err != nil {
		return err
	}
	if rights, _ := p.Effective(); rights.Expires.After(until) || !until.Before(daypass.Forever) {
		end := min(until.Unix(), a.now().Add(longestToken).Unix())
		if p, err = p.Narrow("expires=" + strconv.FormatInt(end, 10)); err != nil {
			return passProblem(err)
		}
	}
	user, _, err := tokenOwner(p)
	if err != nil {
		return err
	}
	login := devpi.Login{Root: c.api.Root, Auth: devpi.Auth{User: user, Password: p.Text(outForm(p))}}
	api, err := a.verifyLogin(ctx, c, login)
	if err != nil {
		return err
	}
	if err := a.keepLogin(o.at, api, login); err != nil {
		return err
	}
	a.showIndexLogin(a.screen(o.json), o, api, p)
	return nil
}

// loginPass is the pass to keep: one that is given, narrowed, or one that the
// index makes for a password.
func (a *app) loginPass(ctx context.Context, c indexCaller, o loginOptions, until time.Time) (pass.Pass, error) {
	var p pass.Pass
	var err error
	if o.at.pass.file != "" || o.at.pass.token != "" {
		if p, err = a.readPass(o.at.pass); err != nil {
			return p, err
		}
	} else {
		if c.auth, err = a.logInAt(ctx, c, o.at, o.at.user); err != nil {
			return p, err
		}
		var text daypass.Secret
		if text, err = a.createToken(ctx, c, c.auth.User, devpi.Ask{Expires: until}); err != nil {
			return p, err
		}
		if p, err = pass.Parse(text); err != nil {
			return p, passProblem(err)
		}
	}
	// Always one more link, so that the very token which the index lists is on no disk.
	return p.Narrow("expires=" + strconv.FormatInt(min(until.Unix(), a.now().Add(longestToken).Unix()), 10))
}

func (a *app) showIndexLogin(s *screen, o loginOptions, api devpi.API, p pass.Pass) {
	user, id, _ := tokenOwner(p)
	rights, _ := p.Effective()
	where := first(api.Index, api.Root)
	dir, _ := a.devpiDir(o.at.clientdir)
	file := filepath.Join(dir, "auth.json")
	s.event("login", map[string]any{"index": where, "account": user, "id": id, "expires": rights.Expires.UTC().Format(time.RFC3339), "kept": file})
	s.result("%s", s.bold("Logged in to the package index "+where+" as "+user+"."))
	s.result("  Ends:  %s", s.moment(rights.Expires))
	s.result("  Kept:  in %s, where devpi looks: a file on a disk that only you can read", printable(a.tilde(file)))
	s.result("  pip, uv and twine: daypass run --index %s -- pip install …", where)
	s.result("To end it: daypass logout --index %s", where)
}

// logoutIndex takes passes out of the devpi client's state; with disconnect the
// index ends them too, which takes the password.
func (a *app) logoutIndex(ctx context.Context, o indexOptions, disconnect bool) error {
	state, err := a.openIndexState(o.clientdir)
	if err != nil {
		return err
	}
	at, err := a.indexURL(o, state)
	if err != nil {
		return err
	}
	c, err := a.indexClient(at)
	if err != nil {
		return err
	}
	var gone []devpi.Login
	left := 0
	if _, err := a.updateIndexState(o.clientdir, func(s indexState) error {
		for _, l := range s.logins.All() {
			switch {
			case !strings.HasPrefix(c.URL(), l.Root) || o.user != "" && o.user != l.User:
			case !pass.LooksLike(l.Password):
				left++
			default:
				gone = append(gone, l)
				s.logins.Remove(l.Root, l.User)
			}
		}
		return nil
	}); err != nil {
		return err
	}
	s := a.screen(false)
	for _, l := range gone {
		s.result("Logged out of the package index at %s as %s: the pass was taken out of the devpi client's state.", l.Root, l.User)
	}
	if len(gone) == 0 {
		s.result("There was no pass for %s.", c.URL())
	}
	if left > 0 {
		s.result("devpi's own session stays; \"devpi logoff\" takes that out.")
	}
	if disconnect {
		return a.endIndexPasses(ctx, o, gone)
	}
	for _, l := range gone {
		if p, err := pass.Parse(l.Password); err == nil {
			rights, _ := p.Effective()
			if done, err := a.endShownAtIndex(ctx, o, p); done || !a.now().Before(rights.Expires) {
				continue
			} else if err != nil {
				s.problem(err)
			}
			s.result("It is good until %s all the same; \"daypass logout --index --disconnect\" or \"daypass token delete %s\" ends it at the index.", s.moment(rights.Expires), tokenID(p))
		}
	}
	return nil
}

// endIndexPasses has the index end what was taken out here.
func (a *app) endIndexPasses(ctx context.Context, o indexOptions, gone []devpi.Login) error {
	if len(gone) == 0 {
		return nil
	}
	o.user = first(o.user, gone[0].User)
	c, err := a.reach(ctx, o)
	if err != nil {
		return err
	}
	if c.auth, err = a.logInAt(ctx, c, o, o.user); err != nil {
		return err
	}
	for _, l := range gone {
		p, err := pass.Parse(l.Password)
		if err != nil {
			continue
		}
		if _, err := c.DeleteToken(ctx, c.api, c.auth, l.User, tokenID(p)); err != nil && !devpi.IsStatus(err, 404) {
			return err
		}
		a.screen(false).result("Ended at the index: token %s, and all that were made of it.", tokenID(p))
	}
	return nil
}

// indexStateList is the name, in stateDir, of the list of folders of devpi's
// client that hold a pass. No secret is in it.
const indexStateList = "index-logins"

func (a *app) rememberIndexState(dir string) error {
	list := a.indexStates()
	if slices.Contains(list, dir) {
		return nil
	}
	own, ok := a.stateDir()
	if !ok {
		return errNoFolder
	}
	if err := os.MkdirAll(own, 0o700); err != nil {
		return err
	}
	return replaceFile(filepath.Join(own, indexStateList), []byte(strings.Join(append(list, dir), "\n")+"\n"))
}

// indexStates are the folders to look into: devpi's own, and what logins named.
func (a *app) indexStates() []string {
	var out []string
	if dir, ok := a.devpiDir(""); ok {
		out = append(out, dir)
	}
	own, ok := a.stateDir()
	if !ok {
		return out
	}
	text, err := readOwn(filepath.Join(own, indexStateList), a.uid)
	if err != nil {
		return out
	}
	lines := bufio.NewScanner(strings.NewReader(string(text)))
	for lines.Scan() {
		if dir := lines.Text(); filepath.IsAbs(dir) && !slices.Contains(out, dir) {
			out = append(out, dir)
		}
	}
	return out
}

// A keptPass is a pass that lies in the devpi client's state.
type keptPass struct {
	devpi.Login
	file string
	pass pass.Pass
	ends time.Time
}

// keptPasses lists the passes on disks that devpi's client uses, ended or not.
func (a *app) keptPasses() []keptPass {
	var out []keptPass
	for _, dir := range a.indexStates() {
		s, err := a.openIndexState(dir)
		if err != nil {
			continue
		}
		for _, l := range s.logins.All() {
			if !pass.LooksLike(l.Password) {
				continue
			}
			if p, err := pass.Parse(l.Password); err == nil {
				rights, _ := p.Effective()
				out = append(out, keptPass{l, s.authFile(), p, rights.Expires})
			}
		}
	}
	return out
}

// An indexRow is a pass for a package index, as status --json shows it.
type indexRow struct {
	statusRow
	Index       string `json:"index"`
	Fingerprint string `json:"fingerprint"`
}

// showIndexPasses lists, for status, the passes on disks that are still good.
func (a *app) showIndexPasses(s *screen) (rows []indexRow) {
	for _, k := range a.keptPasses() {
		if !a.now().Before(k.ends) {
			continue
		}
		u, err := url.Parse(k.Root)
		if err != nil {
			continue
		}
		rights, _ := k.pass.Effective()
		what := "what " + k.User + " may do there, but for users and tokens"
		if lines := rightsLines(rights); len(lines) > 0 {
			what = ""
			for _, line := range lines {
				what += with("; ", line[0]+" "+line[1])
			}
			what = strings.TrimPrefix(what, "; ")
		}
		row := indexRow{statusRow{
			Host: u.Host, Account: k.User, Scope: what, Access: rights.Access.String(), Kept: k.file, Origin: "index", Usable: true, StoreFile: k.file,
		}, k.Root, k.pass.Link().Short()}
		if k.ends.Before(daypass.Forever) {
			row.Expires = rfc3339(k.ends)
		}
		rows = append(rows, row)
		s.result("%s", s.bold("Package index "+k.Root+" as "+k.User))
		s.result("  Ends:   %s", s.moment(k.ends))
		s.result("  Scope:  %s", what)
		s.result("  Kept:   in %s, a file on a disk, for devpi", printable(a.tilde(k.file)))
	}
	return rows
}

// indexFindings names, for doctor, the passes that lie on disks.
func (a *app) indexFindings() []doctor.Finding {
	var out []doctor.Finding
	for _, k := range a.keptPasses() {
		f := doctor.Finding{Code: "index-pass", Level: doctor.Note, Title: a.hideHome(k.file) + " holds a pass of " + printable(k.User) + " for " + printable(k.Root),
			Detail: "A login wrote it there for devpi. It ends " + a.screen(false).moment(k.ends) + ".", Fix: "To take it out: daypass logout --index " + printable(k.Root)}
		switch st, err := os.Stat(k.file); {
		case err == nil && st.Mode().Perm()&0o077 != 0:
			f.Level, f.Detail, f.Fix = doctor.Bad, "Others can open it: its mode is "+st.Mode().Perm().String()+".", "Run: chmod 600 on it, and have that pass ended: daypass token delete "+tokenID(k.pass)
		case !a.now().Before(k.ends):
			f.Detail = "It has ended and opens nothing."
		case !k.ends.Before(daypass.Forever):
			f.Level, f.Detail = doctor.Warn, "It has no end."
		}
		out = append(out, f)
	}
	return out
}
