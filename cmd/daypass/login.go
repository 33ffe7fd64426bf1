package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/provider/github"
	"github.com/daypass-dev/daypass/wallet"
)

const loginHelp = `Log in to a GitHub host: open the page that daypass names, in any browser on any
machine, and type the code. git push then works, for the repositories on which
this machine's GitHub App is installed, until the access ends by itself (8 hours
at most). Nothing is kept on a disk.

  daypass login                         GitHub
  daypass login ghes.example            a GitHub Enterprise Server
  daypass login --repo OWNER/NAME       good for that one repository only
  daypass login --renew 7d              renewed by itself for a week, in memory only
  daypass login --index URL             a package index: a pass of 12 hours for devpi

Where your hub has an access service, login names the page to connect at, once for all
your servers, and waits; --device types a code all the same.`

// loginOptions are login's flags.
type loginOptions struct {
	clientID, appURL string
	repo             string
	repoID           int64
	renew            string
	storeFile        string
	noSetup          bool
	keepHelpers      bool
	device, qr       bool
	timeout          time.Duration
	json             bool
	at               indexOptions // --index and what goes with it
	expires          string
}

func (a *app) loginCommand() *cobra.Command {
	var o loginOptions
	c := &cobra.Command{
		Use: "login [HOST[:PORT]|URL]", Short: "Get access for a few hours: open a page, type a code", Long: loginHelp,
		Args: atMost(1),
		RunE: func(c *cobra.Command, args []string) error {
			if o.at.index != "" {
				return a.loginIndex(c.Context(), o, args)
			}
			return a.login(c.Context(), o, args)
		},
	}
	f := c.Flags()
	o.at.flags(c)
	f.StringVar(&o.at.user, "user", "", "who you are at the package index")
	o.at.pass.flags(c)
	f.StringVar(&o.expires, "expires", "", "when the log-in at a package index, or at the access service, ends (default: 12h; as the service says)")
	f.StringVar(&o.clientID, "client-id", "", "the GitHub App's client id (admins set it for everybody)")
	f.StringVar(&o.appURL, "app-url", "", "the GitHub App's public page")
	f.StringVar(&o.appURL, "github-app-url", "", "as --app-url")
	f.StringVar(&o.repo, "repo", "", "OWNER/NAME: good for this repository only")
	f.Int64Var(&o.repoID, "repo-id", 0, "the repository's number, where its name alone is not enough")
	f.StringVar(&o.renew, "renew", "", "renew by itself for this long, such as 12h or 7d (default: never)")
	f.StringVar(&o.storeFile, "store-file", "", "also write git-credential-store's format to this file, for images set up the old way")
	f.StringVar(&o.storeFile, "git-credentials-path", "", "as --store-file")
	f.BoolVar(&o.noSetup, "no-setup", false, "leave git's configuration alone")
	f.BoolVar(&o.keepHelpers, "keep-helpers", false, "leave other credential helpers in place after daypass")
	f.BoolVar(&o.device, "device", false, "type a code even where the hub could connect you")
	f.BoolVar(&o.qr, "qr", false, "show the page's address as a QR code too")
	f.DurationVar(&o.timeout, "timeout", 0, "give up after this long (default: when the code ends)")
	f.BoolVar(&o.json, "json", false, "one JSON object a line, for programs")
	_ = f.MarkHidden("github-app-url")
	_ = f.MarkHidden("git-credentials-path")
	return c
}

// A login is one run of the command: what it was asked for, what it holds.
type login struct {
	app    *app
	o      loginOptions
	screen *screen
	cfg    config
	host   github.Host
	hc     hostConfig
	client *github.Client
	wallet *wallet.Wallet
	repo   daypass.Repo  // zero: every repository in reach
	renew  time.Duration // 0: none

	live    []daypass.Secret // every token received and not yet ended or stored
	dropped []daypass.Secret // refresh tokens that were forgotten because ending them would end the access
	cached  bool             // the repository's number comes from the list of earlier ones
}

func (a *app) login(ctx context.Context, o loginOptions, args []string) (err error) {
	l := &login{app: a, o: o, screen: a.screen(o.json)}
	if o.at.needless() {
		return usageText("login", "--user, --password, --file, --token and --clientdir go with --index URL")
	}
	if o.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.timeout)
		defer cancel()
	}
	if done, err := l.connect(ctx, args); done {
		return err
	}
	if err := l.prepare(ctx, args); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = l.abandon(ctx, err)
		}
	}()
	return l.run(ctx)
}

// prepare finds everything that could be missing before a code is asked for, so
// that nobody types one for nothing.
func (l *login) prepare(ctx context.Context, args []string) error {
	if l.o.expires != "" {
		return expiresNeedless()
	}
	var err error
	if l.cfg, err = l.app.loadConfig(); err != nil {
		return err
	}
	if l.host, err = l.app.hostNamed(l.cfg, first(args...)); err != nil {
		return err
	}
	l.hc = l.cfg.forHost(l.host)
	if err := l.chooseApp(ctx); err != nil {
		return err
	}
	if err := l.checkRequest(); err != nil {
		return err
	}
	if l.wallet, err = l.app.openWallet(); err != nil {
		return err
	}
	if err := l.wallet.Ready(); err != nil {
		return walletProblem(err)
	}
	if w := l.wallet.Place().Warning; w != "" {
		l.screen.say("Note: the store is %s: %s.", l.wallet.Place().Path, w)
	}
	l.client = l.app.client(l.host, l.hc.ClientID)
	if err := l.checkStoreFile(); err != nil || l.o.noSetup {
		return err
	}
	return l.checkSetup(ctx)
}

// chooseApp takes the client id and the App's page from flags, else the
// environment (old names too), else the files.
func (l *login) chooseApp(ctx context.Context) error {
	env := l.app.getenv
	id, from := l.o.clientID, "--client-id"
	for _, name := range []string{"DAYPASS_CLIENT_ID", "GH_SCOPED_CREDS_CLIENT_ID", "GITHUB_APP_CLIENT_ID"} {
		if id == "" && env(name) != "" {
			id, from = env(name), name
		}
	}
	if id != "" {
		if why := github.ClientIDMistake(id); why != "" {
			return &daypass.Problem{
				Code: "DP-503", What: "the client id in " + from + " is not right", Why: why,
				Next: "Correct it and try again.", Kind: daypass.ErrUsage,
			}
		}
		l.hc.ClientID = id
	}
	url := first(l.o.appURL, env("DAYPASS_APP_URL"), env("GH_SCOPED_CREDS_APP_URL"))
	if url != "" {
		if why := github.AppLinkMistake(url); why != "" {
			return &daypass.Problem{
				Code: "DP-504", What: "the App's link is not right", Why: why,
				Next: "Give its public page, such as " + l.host.Web + "/apps/NAME.", Kind: daypass.ErrUsage,
			}
		}
		l.hc.AppURL = url
	}
	if l.hc.ClientID == "" {
		l.hc.ClientID = l.serviceClientID(ctx)
	}
	if l.hc.ClientID == "" {
		return noClientID(l.host)
	}
	return nil
}

func noClientID(h github.Host) error {
	return &daypass.Problem{
		Code: "DP-201", What: "nobody has set up " + h.Title() + " for daypass on this machine yet",
		Why:  "a login needs the client id of a GitHub App",
		Next: `If your hub's admins gave you one: daypass login --client-id ID. To make an App of your own in three minutes: daypass admin app new.`,
		Who:  "Admins make one App for everybody and put its client id into /etc/daypass/config.yaml (README, \"The admin's GitHub App\").",
		Kind: daypass.ErrUsage,
	}
}

func (l *login) checkRequest() error {
	if l.o.repo != "" {
		repo, ok := daypass.ParseRepo(strings.TrimSuffix(l.o.repo, ".git"))
		if !ok {
			return usageText("login", "--repo is OWNER/NAME, such as octocat/hello-world")
		}
		repo.ID = l.o.repoID
		l.repo = repo
	}
	switch {
	case l.o.repoID < 0:
		return usageText("login", "--repo-id is a positive number")
	case l.o.repoID != 0 && l.o.repo == "":
		return usageText("login", "--repo-id goes with --repo OWNER/NAME")
	case l.o.renew != "" && l.o.repo != "":
		return &daypass.Problem{
			Code: "DP-216", What: "--renew and --repo do not go together yet",
			Why:  "it is not proven that GitHub keeps a renewed token to the one repository",
			Next: "Leave one of them out.", Kind: daypass.ErrUsage,
		}
	case l.o.renew != "":
		return l.checkRenew()
	}
	return nil
}

// defaultMaxRenew caps --renew where the admin says nothing.
const defaultMaxRenew = 7 * 24 * time.Hour

func (l *login) checkRenew() error {
	d, err := parseDuration(l.o.renew)
	if err != nil || d == 0 {
		return usageText("login", "--renew takes a duration such as 12h or 7d")
	}
	limit := defaultMaxRenew
	if l.hc.MaxRenew != "" {
		if limit, err = parseDuration(l.hc.MaxRenew); err != nil {
			return err
		}
	}
	if limit == 0 {
		return &daypass.Problem{
			Code: "DP-217", What: "renewal is switched off on this machine", Why: "max_renew is 0 in /etc/daypass/config.yaml",
			Next: "Log in without --renew.", Who: "The admins of this machine can change it.", Kind: daypass.ErrRefused,
		}
	}
	if d > limit {
		l.screen.say("Note: this machine allows renewal for %s at most, so it ends then.", remaining(limit))
		d = limit
	}
	l.renew = d
	return nil
}

// usageText is a wrong use of a command.
func usageText(command, why string) error {
	return &daypass.Problem{Code: "DP-001", What: why, Next: `See "daypass ` + command + ` --help".`, Kind: daypass.ErrUsage}
}

// run is the login itself.
func (l *login) run(ctx context.Context) error {
	if l.repo != (daypass.Repo{}) && l.repo.ID == 0 {
		if err := l.findRepository(ctx); err != nil {
			return err
		}
	}
	got, err := l.grant(ctx, l.repo)
	if err != nil {
		return err
	}
	entry, err := l.entry(got)
	if err != nil {
		return err
	}
	if err := l.keep(ctx, entry); err != nil {
		return err
	}
	l.report(got, entry)
	return l.afterwards(ctx, got, entry)
}

// A grant is what the host gave, and what daypass has seen for itself that it is.
type grant struct {
	token   github.Token
	account github.Account
	reach   github.Reach
}

// keep stores the credential. From then on a failure does not end it.
func (l *login) keep(ctx context.Context, e wallet.Entry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	before, had, err := again(l.wallet, e)
	if err != nil {
		return walletProblem(err)
	}
	if err := l.wallet.Put(e); err != nil {
		return walletProblem(err)
	}
	l.live, l.dropped = nil, nil
	if had && before.Origin == "login" {
		l.endReplaced(ctx, before)
	}
	if l.repo.ID != 0 {
		if err := l.app.rememberRepo(e.Authority, l.host.Web, l.repo); err != nil {
			l.screen.say("Note: the repository's number could not be noted down: %s", printable(err.Error()))
		}
	}
	return nil
}

// endReplaced ends the access that a new login took the place of: nobody holds
// it any more. One that was handed to another node lives on there.
func (l *login) endReplaced(ctx context.Context, before wallet.Entry) {
	err := l.client.Revoke(ctx, before.Credential.Token, before.Refresh)
	if err != nil && !errors.Is(err, github.ErrCannotRevoke) {
		l.screen.say("Note: your earlier access was erased here and could not be ended at %s; it ends by itself.", l.host.Title())
	}
}

// entry is the wallet's form of the grant.
func (l *login) entry(got grant) (wallet.Entry, error) {
	now := l.app.now()
	until := got.token.Expires
	if until.IsZero() {
		until = daypass.Forever
	}
	auth, err := l.app.keepingAuthority()
	if err != nil {
		return wallet.Entry{}, err
	}
	e := wallet.Entry{
		Authority: auth, Scheme: l.host.Scheme, Origin: "login", ProviderName: l.host.Title(),
		WebURL: l.host.Web, APIURL: l.host.API, ClientID: l.hc.ClientID, AppURL: l.installLink(got.reach),
		FallThrough: l.cfg.fallThrough || l.o.keepHelpers, Name: got.account.CommitName(), Email: got.account.CommitEmail(),
		Credential: daypass.Credential{
			Scope:   daypass.Scope{Host: l.host.Name, All: true, Access: daypass.Write, Until: until},
			Account: got.account.Login, Username: "x-access-token", Token: got.token.Access,
		},
	}
	if l.repo != (daypass.Repo{}) {
		e.Credential.Scope.All, e.Credential.Scope.Repos = false, []daypass.Repo{l.repo}
	}
	if !got.token.OAuthApp() {
		e.Seen, e.SeenComplete = seen(got.reach)
	}
	if l.renew > 0 && !got.token.Refresh.IsZero() {
		e.Refresh, e.RefreshUntil, e.RenewUntil = got.token.Refresh, got.token.RefreshExpires, now.Add(l.renew)
		if e.Credential.Scope.Until.After(e.RenewUntil) {
			e.Credential.Scope.Until = e.RenewUntil // what was agreed, and no longer
		}
	}
	return e, nil
}

// keepingAuthority is whose authority a new entry answers to. A pass in the
// environment is narrower than the person: nothing of theirs is kept under it.
func (a *app) keepingAuthority() (wallet.Authority, error) {
	if a.getenv("DAYPASS_TOKEN") != "" || a.getenv("DAYPASS_TOKEN_FILE") != "" {
		a.screen(false).say("Note: DAYPASS_TOKEN is set here, so git uses that pass alone in this shell. Unset it to use what is kept now.")
		return wallet.Login, nil
	}
	return a.presenting()
}

// seen lists what can be pushed to, for the helper's advice: names, and
// OWNER/* where the App is installed on all of an owner's repositories.
func seen(r github.Reach) ([]string, bool) {
	var out []string
	complete := true
	for _, in := range r.Installations {
		if in.All && !in.Suspended {
			out = append(out, in.Owner+"/*")
			continue
		}
		complete = complete && in.Complete
		for _, repo := range in.Repos {
			if repo.Push && in.Contents == "write" {
				out = append(out, repo.String())
			}
		}
	}
	return out, complete
}

// installLink is where people choose what the App may reach.
func (l *login) installLink(r github.Reach) string {
	if l.hc.AppURL != "" {
		return strings.TrimSuffix(l.hc.AppURL, "/") + "/installations/new"
	}
	for _, in := range r.Installations {
		if _, ok := daypass.ParseRepo("x/" + in.AppSlug); ok {
			return l.host.AppPage(in.AppSlug) + "/installations/new"
		}
	}
	return ""
}

// whoAndWhere names this machine and user for the consent, so that somebody who
// was sent a code by a stranger can see that it is not theirs.
func (a *app) whoAndWhere() string {
	host, err := os.Hostname()
	if err != nil {
		host = "this machine"
	}
	if user := first(a.getenv("USER"), a.getenv("LOGNAME"), a.getenv("JUPYTERHUB_USER")); user != "" {
		return user + " on " + host
	}
	return host
}
