package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/gitconf"
	"github.com/daypass-dev/daypass/provider/github"
	"github.com/daypass-dev/daypass/wallet"
)

// helperName is git's name for us.
const helperName = "git-credential-daypass"

// helperPath is the helper beside the running program. Never by PATH: what git
// is told to run must be what was installed.
func helperPath() (string, error) {
	dir, err := ownDir()
	if err == nil {
		path := filepath.Join(dir, helperName)
		if _, err = os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", &daypass.Problem{
		Code: "DP-705", What: "the git helper is not where it belongs",
		Why:  helperName + " has to lie in the same folder as daypass",
		Next: `Install both again ("make install").`, Err: err,
	}
}

// exposedFolder is a folder, the programs' own or one above it, that others can
// write to, or "". The helper starts no daypass from there (DP-110): whoever can
// write could have exchanged it. A sticky folder above lets nobody rename what is
// not theirs.
func exposedFolder(dir string) string {
	for up := dir; ; up = filepath.Dir(up) {
		st, err := os.Stat(up)
		if err == nil && st.Mode().Perm()&0o022 != 0 && (up == dir || st.Mode()&fs.ModeSticky == 0) {
			return up
		}
		if up == filepath.Dir(up) {
			return ""
		}
	}
}

// warnExposed says early what would otherwise show at the first renewal.
func warnExposed(s *screen, helper string) {
	if dir := exposedFolder(filepath.Dir(helper)); dir != "" {
		s.say("Note: others can write to %s, so %s will not start daypass from there, neither to renew nor to explain. "+
			"Run: chmod go-w %s; or install into /usr/local/bin. [DP-110]", dir, helperName, dir)
	}
}

// checkSetup finds out before a login whether git can be set up at all.
func (l *login) checkSetup(ctx context.Context) error {
	git, req, err := l.setupRequest(github.Account{})
	if err != nil {
		return err
	}
	warnExposed(l.screen, req.Helper)
	_, err = gitconf.Setup{Git: git, Now: l.app.now}.Plan(ctx, req)
	return err
}

func (l *login) setupRequest(who github.Account) (gitconf.Git, gitconf.Request, error) {
	git, err := gitconf.Find(l.app.getenv)
	if err != nil {
		return gitconf.Git{}, gitconf.Request{}, err
	}
	helper, err := helperPath()
	if err != nil {
		return gitconf.Git{}, gitconf.Request{}, err
	}
	req := gitconf.Request{Origin: l.host.Web, Repo: l.repo, Helper: helper, KeepHelpers: l.o.keepHelpers, PushDefault: true}
	if who.ID != 0 {
		req.UserName, req.UserEmail = who.CommitName(), who.CommitEmail()
	}
	return git, req, nil
}

// checkStoreFile finds out before a login whether the file that it is to write
// can be written.
func (l *login) checkStoreFile() error {
	if l.o.storeFile == "" {
		return nil
	}
	path, err := filepath.Abs(l.o.storeFile)
	if err != nil || strings.ContainsAny(path, "\n\t") {
		return usageText("login", "--store-file names no usable path")
	}
	l.o.storeFile = path
	_, err = readOwn(path, l.app.uid)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = writable(filepath.Dir(path), l.app.uid)
	}
	if err != nil {
		return storeFileProblem(path, err)
	}
	return nil
}

func (l *login) writeStoreFile(e wallet.Entry) error {
	if err := writeStoreFile(l.o.storeFile, e, l.app.uid); err != nil {
		return err
	}
	if err := l.app.rememberStoreFile(l.o.storeFile, l.host.Web); err != nil {
		l.screen.say("Note: that file could not be noted down; \"daypass logout\" will not know of it.")
	}
	l.screen.say("Also written to %s: a file on a disk, which you and the admins can read. \"daypass logout\" empties it.", printable(l.o.storeFile))
	return nil
}

// afterwards makes git ask daypass, where it would not yet, and looks at the
// repository that the user stands in.
func (l *login) afterwards(ctx context.Context, got grant, e wallet.Entry) error {
	if l.o.storeFile != "" {
		if err := l.writeStoreFile(e); err != nil {
			return err
		}
	}
	if !l.o.noSetup {
		if err := l.setup(ctx, got.account); err != nil {
			l.screen.say("You are logged in, but git is not set up to use it.")
			return err
		}
	}
	l.noteHere(ctx, got, e)
	return nil
}

func (l *login) setup(ctx context.Context, who github.Account) error {
	git, req, err := l.setupRequest(who)
	if err != nil {
		return err
	}
	url := l.host.Web + "/"
	if l.repo.ID != 0 {
		url += l.repo.String()
	}
	asked, err := git.Asks(ctx, "", url, req.Helper)
	if err != nil {
		return err
	}
	if asked.First && asked.HTTPPath && (len(asked.Others) == 0 || l.o.keepHelpers) {
		l.screen.result("git already asks daypass for %s.", url)
		return nil
	}
	change, err := gitconf.Setup{Git: git, Now: l.app.now}.Apply(ctx, req)
	if err != nil {
		return err
	}
	l.app.showChange(l.screen, url, change, false)
	return nil
}

// showChange says what setup did to git's configuration.
func (a *app) showChange(s *screen, url string, c gitconf.Change, planned bool) {
	s.event("setup", map[string]any{"file": c.File, "added": c.Added, "silenced": helperNames(c.Silenced), "also_asked": helperNames(c.Others)})
	did, undo := "git now asks daypass for %s (set in %s).", `"daypass setup --undo" takes that back.`
	if planned {
		did, undo = "git would ask daypass for %s (set in %s).", "Nothing was written."
	}
	if c.Added == "" {
		s.result("git already asks daypass for %s; nothing to do.", url)
	} else {
		s.result(did+" %s", url, a.tilde(c.File), undo)
	}
	for _, h := range c.Silenced {
		s.result("  No longer asked there: %s. To keep it: --keep-helpers.", h)
	}
	for _, h := range c.Others {
		s.result("  Also asked there, and sees each token: %s.", h)
	}
}

func helperNames(list []gitconf.Helper) []string {
	out := []string{}
	for _, h := range list {
		out = append(out, h.String())
	}
	return out
}

// tilde shortens a path below the home directory.
func (a *app) tilde(path string) string {
	home := a.getenv("HOME")
	if rel, err := filepath.Rel(home, path); err == nil && home != "" && filepath.IsLocal(rel) {
		return "~/" + rel
	}
	return path
}

// noteHere says at once what would otherwise come as a 403 at the next push from
// the repository that the user stands in.
func (l *login) noteHere(ctx context.Context, got grant, e wallet.Entry) {
	at, err := l.app.remoteHere(ctx, "")
	if err != nil || at.Repo == (daypass.Repo{}) {
		return
	}
	switch {
	case at.Scheme == "ssh" && at.Host == l.host.Name:
		l.screen.say("Note: this clone's remote is ssh, which does not ask daypass. \"daypass setup --ssh\" turns it into https.")
		return
	case at.Host != l.host.Name || at.Scheme != l.host.Scheme:
		return
	case l.repo.ID != 0 && !l.repo.SameName(at.Repo):
		l.screen.say("Note: this login is for %s only, and you are in a clone of %s.", l.repo, at.Repo)
		return
	}
	push := github.Push{Repo: at.Repo}
	if push.Workflows, err = l.app.workflows(ctx, at); err != nil || got.token.OAuthApp() {
		return // "daypass check" tells more
	}
	if err := l.client.Judge(ctx, got.token.Access, got.reach, push, e.AppURL); err != nil {
		l.screen.say("Note: you are in a clone of %s, and a push to it would not work yet. \"daypass check\" says why.", at.Repo)
		return
	}
	l.screen.result("Ready: git push from here goes to %s.", at.Repo)
}
