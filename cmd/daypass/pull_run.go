package main

import (
	"context"
	"crypto/rand"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/provider/github"
	"github.com/daypass-dev/daypass/pull"
	"github.com/daypass-dev/daypass/resolve"
	"github.com/daypass-dev/daypass/snapshot"
	"github.com/daypass-dev/daypass/wallet"
)

// dataHome is where what outlives a session is kept for this user.
func (a *app) dataHome() (string, error) {
	if dir := a.getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "daypass"), nil
	}
	if home := a.getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "share", "daypass"), nil
	}
	return "", &daypass.Problem{
		Code: "DP-369", What: "there is no place to keep what a pull has to remember", Why: "HOME is not set to a full path",
		Next: "Set HOME, or XDG_DATA_HOME, to a folder of yours.", Kind: daypass.ErrUsage,
	}
}

// puller pulls for this user, within the admins' limits.
func (a *app) puller(ctx context.Context, cfg config) (*pull.Puller, error) {
	home, err := a.dataHome()
	if err != nil {
		return nil, err
	}
	git, err := a.pullGit(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &pull.Puller{
		Git: git, Limits: cfg.pull.limits(), Home: filepath.Join(home, "pulls"), UserHome: a.getenv("HOME"), Now: a.now, Rand: rand.Reader,
	}, nil
}

// limits are those that were set; zero is the default.
func (p pullConfig) limits() snapshot.Limits {
	file, _ := parseSize(p.MaxFile) // checked when the configuration was read
	total, _ := parseSize(p.MaxTotal)
	return snapshot.Limits{File: file, Total: total, Files: p.MaxFiles}
}

// pullGit is the system's git with the credentials that git-credential-daypass
// has, and with what the admins say in git's system configuration.
func (a *app) pullGit(ctx context.Context, cfg config) (plumbing.Git, error) {
	git, err := plumbing.Find(a.getenv, environment(a.environ(), append(cfg.sources.variables(), pull.LoginVariable)...))
	if err != nil {
		return git, &daypass.Problem{
			Code: "DP-701", What: "git was not found", Why: "no folder in PATH has it", Err: err,
			Next: "Install git (apt install git, dnf install git, conda install git, or module load git) and try again.",
		}
	}
	protocols := cfg.pull.Protocols
	if len(protocols) == 0 {
		protocols = pullProtocols
	}
	git.Protocols = strings.Join(protocols, ":")
	if helper, err := helperPath(); err == nil {
		git.Config = append(git.Config, [2]string{"credential.helper", quoted(helper)}, [2]string{"credential.useHttpPath", "true"})
	}
	lines, err := a.systemLines(ctx, git.Program)
	git.Config = append(git.Config, lines...)
	return git, err
}

// quoted makes a path fit for git, which starts helpers by a shell where their
// names hold anything but plain letters.
func quoted(path string) string {
	if strings.IndexFunc(path, func(r rune) bool { return strings.ContainsRune(" \t'\"\\$&;|<>()*?[]#~=%!`", r) }) < 0 {
		return path
	}
	return "!'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// access says more of a repository that could not be read, where this machine's
// store knows more: whether somebody is logged in there, or could be.
func (a *app) access(err error, url string) error {
	var p *daypass.Problem
	list, perr := resolve.Parse(url)
	scheme, _, web := strings.Cut(url, "://")
	if errors.As(err, &p) && p.Code == "DP-312" && strings.Contains(p.Why, "[DP-") { // the helper's own words
		more := *p
		more.Why, more.Next = strings.TrimPrefix(p.Why, "daypass: "), "Check the address too, then pull again."
		return &more
	}
	if !errors.As(err, &p) || p.Code != "DP-312" || perr != nil || !web || list[0].Host == "" {
		return err
	}
	cfg, cerr := a.loadConfig()
	h, herr := github.ParseHost(scheme + "://" + list[0].Host)
	if cerr != nil || herr != nil {
		return err
	}
	more := *p
	_, listed := cfg.hosts[h.Name]
	w, werr := a.openWallet()
	auth, aerr := a.presenting()
	switch {
	case !listed && h != cfg.host && h.Name != github.DotCom && !strings.HasSuffix(h.Name, ".ghe.com"):
		more.Next = "Check the address. If it is right, the repository is private, and daypass has no log-in for " + h.Name + ": use its ssh address (git@" + h.Name + ":…), or ask your admins."
	case werr == nil && holdsUsable(w, auth, h, a.now()):
		more.Next = `Check the address. You are logged in: "daypass check ` + shellWord(url) + `" says what is missing.`
	case werr == nil && aerr == nil:
		var login *daypass.Problem
		if errors.As(a.noLogin(w, auth, h), &login) {
			more.Next = "Check the address. If the repository is private: " + login.What + ". " + login.Next
		}
	}
	return &more
}

// holdsUsable reports whether there is a token for the host.
func holdsUsable(w *wallet.Wallet, auth wallet.Authority, h github.Host, now time.Time) bool {
	entries, _, err := w.List()
	return err == nil && slices.ContainsFunc(entries, func(e wallet.Entry) bool {
		return e.Authority == auth && e.Scheme == h.Scheme && e.Credential.Scope.Host == h.Name && e.Credential.Usable(now, 0)
	})
}
