package main

import (
	"bufio"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/devpi"
	"github.com/daypass-dev/daypass/pass"
)

// The six commands of devpi-tokens, by their own names ("token-create") and by
// ours ("token create"). They print on standard output what devpi-tokens 1.1
// prints there, and nothing else; problems go to standard error, with codes.

const tokenHelp = `The commands of devpi-tokens, for tokens of a package index: a devpi server with
devpi-tokens, or a package gateway of daypass. They are passes; "daypass pass" does
more with them. They use the devpi client's own log-in (~/.devpi/client).

  daypass token create --indexes alice/dev --allowed upload --expires "1 month"
  daypass token derive --file ci.token --projects maps --expires 10min

Scripts may go on calling them by their old names: daypass token-create, token-delete,
token-derive, token-inspect, token-list and token-login do the same. There, and only
there, --token may be the token itself (with a warning), and 2m means two months.`

type tokenOptions struct {
	indexOptions
	old                        bool // called by devpi-tokens' own name
	from                       passSource
	output                     string
	allowed, indexes, projects []string
	expires, notBefore         string
	yes, debug                 bool
	verbose                    int
}

type tokenCommand struct {
	name, short, args string
	run               func(*cobra.Command, *tokenOptions, []string) error
	flags             string // f: a token, o: output, r: restrictions, u: user, i: asks an index
}

func (a *app) tokenCommands() []tokenCommand {
	return []tokenCommand{
		{"create", "Make a token at a package index", "", a.tokenCreate, "uori"},
		{"derive", "Make a narrower token of one, without a network", "", a.tokenDerive, "for"},
		{"inspect", "What a token is limited to, without a network", "", a.tokenInspect, "f"},
		{"list", "List the tokens of a user", "", a.tokenList, "ui"},
		{"delete", "End a token and all that were derived from it", " ID", a.tokenDelete, "ui"},
		{"login", "Give the devpi client a token to use", "", a.tokenLogin, "fi"},
	}
}

func (a *app) tokenCommand() *cobra.Command {
	c := &cobra.Command{Use: "token", Short: "Tokens of a package index, as devpi-tokens has them", Long: tokenHelp, Args: atMost(0),
		RunE: func(c *cobra.Command, _ []string) error {
			return usageProblem(c, "say create, derive, inspect, list, delete or login")
		}}
	for _, t := range a.tokenCommands() {
		c.AddCommand(t.command(t.name, false))
	}
	return c
}

// oldTokenCommands are the same by devpi-tokens' own names.
func (a *app) oldTokenCommands() []*cobra.Command {
	var out []*cobra.Command
	for _, t := range a.tokenCommands() {
		c := t.command("token-"+t.name, true)
		c.Hidden = true
		out = append(out, c)
	}
	return out
}

func (t tokenCommand) command(name string, old bool) *cobra.Command {
	o := &tokenOptions{old: old}
	n := 0
	if t.args != "" {
		n = 1
	}
	c := &cobra.Command{
		Use: name + t.args, Short: t.short, Long: t.short + ".",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != n {
				return usageProblem(c, "it takes "+first(strings.TrimSpace(t.args), "no argument"))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return t.run(c, o, args) },
	}
	f := c.Flags()
	for _, kind := range t.flags {
		switch kind {
		case 'u':
			f.StringVarP(&o.user, "user", "u", "", "whose token (default: whoever is logged in)")
		case 'o':
			f.StringVarP(&o.output, "output", "o", "", "a file for the token, which only you can read, in place of standard output")
		case 'f':
			f.StringVarP(&o.from.file, "file", "f", "", "a file that holds the token, and that only you can read; - is standard input")
			f.StringVar(&o.from.token, "token", "", "- for standard input, or @FILE; never the token itself")
		case 'i':
			o.indexOptions.flags(c)
		case 'r':
			o.restrictions(c, t.name)
		}
	}
	if !slices.Contains([]byte(t.flags), 'i') {
		o.stateFlags(c)
	}
	f.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	f.BoolVar(&o.debug, "debug", false, "taken for devpi-tokens' sake, and without effect")
	f.CountVarP(&o.verbose, "verbose", "v", "taken for devpi-tokens' sake, and without effect")
	return c
}

func (o *tokenOptions) restrictions(c *cobra.Command, name string) {
	year := ""
	if name == "create" {
		year = "1 year"
	}
	c.Long += "\n\nLists may be given as a,b or by repeating the flag. Permissions of devpi:\n" + strings.Join(pass.Permissions(), ", ")
	f := c.Flags()
	f.StringArrayVarP(&o.allowed, "allowed", "a", nil, "only these permissions; for others than those above you are asked")
	f.StringVarP(&o.expires, "expires", "e", year, "when it ends: seconds since 1970, never, or from now on in years, months, weeks, days, hours, min, s")
	f.StringArrayVarP(&o.indexes, "indexes", "i", nil, "only these indexes, as USER/INDEX")
	f.StringArrayVarP(&o.projects, "projects", "p", nil, "only these projects")
	f.StringVar(&o.notBefore, "not-before", "", "when it begins, likewise")
}

// listOption splits what was given with commas, as devpi-tokens does: sorted,
// spaces taken off, and each once; nil where nothing was given.
func listOption(given []string) []string {
	var out []string
	for _, text := range given {
		for item := range strings.SplitSeq(text, ",") {
			out = append(out, strings.TrimSpace(item))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// devpi-tokens reads a bare m as months; by our own names it is refused.
var bareMonth = regexp.MustCompile(`([0-9])\s*m(\s|[0-9+-]|$)`)

// restricted reads the options; what is zero was not given.
func (a *app) restricted(o *tokenOptions) (devpi.Ask, error) {
	ask := devpi.Ask{Allowed: listOption(o.allowed), Indexes: listOption(o.indexes), Projects: listOption(o.projects)}
	n := &narrowing{expires: strings.TrimSpace(o.expires), notBefore: strings.TrimSpace(o.notBefore)}
	if o.old {
		n.expires = bareMonth.ReplaceAllString(n.expires, "${1}month${2}")
		n.notBefore = bareMonth.ReplaceAllString(n.notBefore, "${1}month${2}")
	}
	if err := a.times(n); err != nil {
		return ask, err
	}
	ask.Expires, ask.NotBefore = n.limits.Expires, n.limits.NotBefore
	var unknown []string
	for _, p := range ask.Allowed {
		if !slices.Contains(pass.Permissions(), p) && !slices.Contains(hiddenPermissions, p) {
			unknown = append(unknown, p)
		}
	}
	if len(unknown) > 0 && !a.confirm(o, "The following permissions are not known: "+strings.Join(unknown, ", ")+"\nAre you sure you want to use them?") {
		return ask, aborted()
	}
	return ask, nil
}

// hiddenPermissions are taken without a question, as devpi-tokens does; no token
// ever has them.
var hiddenPermissions = []string{"user_create", "user_delete", "user_login", "user_modify"}

func aborted() error {
	return &daypass.Problem{Code: "DP-139", What: "Aborted", Next: "Nothing was changed. With -y you are not asked."}
}

// confirm asks as devpi's client does, on a terminal or not. Where standard
// input is what the token is read from, or has ended, the answer is no.
func (a *app) confirm(o *tokenOptions, question string) bool {
	text := strings.Split(question, "\n")
	for i := range text {
		text[i] = printable(text[i])
	}
	question = strings.Join(text, "\n") + " (yes/no)? "
	if o.yes {
		fmt.Fprintln(a.stderr, question+"yes (autoset from -y option)")
		return true
	}
	if o.from.file == "-" || o.from.token == "-" || o.password == "-" {
		return false
	}
	lines := bufio.NewScanner(a.stdin)
	for range 100 {
		fmt.Fprint(a.stderr, question)
		if !lines.Scan() {
			fmt.Fprintln(a.stderr)
			return false
		}
		switch lines.Text() {
		case "yes":
			return true
		case "no":
			return false
		}
		fmt.Fprintf(a.stderr, "not a valid choice '%s'\n", printable(lines.Text()))
	}
	return false
}

func (a *app) tokenCreate(c *cobra.Command, o *tokenOptions, _ []string) error {
	ask, err := a.restricted(o)
	if err != nil {
		return err
	}
	caller, err := a.manager(c.Context(), o.indexOptions)
	if err != nil {
		return err
	}
	text, err := a.createToken(c.Context(), caller, caller.target(o.indexOptions), ask)
	if err != nil {
		return err
	}
	return a.writeToken(o, text)
}

// createToken has a token made and looks at what comes: a pass, of that user,
// no wider than was asked for. A wider one is ended again.
func (a *app) createToken(ctx context.Context, c indexCaller, user string, ask devpi.Ask) (daypass.Secret, error) {
	text, err := c.CreateToken(ctx, c.api, c.auth, user, ask)
	if err != nil {
		return text, err
	}
	p, err := pass.Parse(text)
	if err != nil {
		return daypass.Secret{}, tokenMistake(c.Host(), "it is no pass", "", err)
	}
	why := tokenWider(p, user, ask)
	if why == "" {
		return text, nil
	}
	ended := "It was not ended there: tell the index's admins."
	if _, err := c.DeleteToken(ctx, c.api, c.auth, user, tokenID(p)); err == nil {
		ended = "It was ended again."
	}
	return daypass.Secret{}, tokenMistake(c.Host(), why, ended, nil)
}

// tokenWider says what a token has beyond what was asked for, or "".
func tokenWider(p pass.Pass, user string, ask devpi.Ask) string {
	id, known := p.Identity()
	rights, _ := p.Effective()
	plain := func(s string) string { return s }
	switch {
	case !known || id.Realm.Kind == pass.Hub || id.User != user:
		return "it is not of the user " + user
	case wider(rights.Permissions, ask.Allowed, plain), wider(rights.Indexes, ask.Indexes, plain), wider(rights.Projects, ask.Projects, pass.NormalProject):
		return "it lacks a limit that was asked for"
	case !ask.Expires.IsZero() && rights.Expires.After(ask.Expires):
		return "it is good for longer than was asked for"
	case rights.NotBefore.Before(ask.NotBefore):
		return "it is good earlier than was asked for"
	}
	return ""
}

// wider reports whether a set has what was not asked for.
func wider(have pass.Set, ask []string, normal func(string) string) bool {
	if ask == nil {
		return false
	}
	return have.All || slices.ContainsFunc(have.Names, func(name string) bool {
		return !slices.ContainsFunc(ask, func(s string) bool { return normal(s) == name })
	})
}

func tokenMistake(host, why, next string, err error) error {
	return &daypass.Problem{
		Code: "DP-140", What: "the token that came from " + printable(host) + " is not the one that was asked for", Why: printable(why),
		Next: first(next, "Check that --index is the index's own address."), Kind: daypass.ErrRefused, Err: err,
	}
}

// tokenID is a token's id as the server's list has it.
func tokenID(p pass.Pass) string {
	id, _ := p.Identity()
	return id.ID
}

// writeToken is token-create's and token-derive's only output.
func (a *app) writeToken(o *tokenOptions, text daypass.Secret) error {
	if o.output == "" {
		a.screen(false).result("%s", text.Reveal())
		return nil
	}
	return a.writeSecret(o.output, text, func() bool {
		return a.confirm(o, "There already exists a file at '"+o.output+"'.\nDo you want to overwrite it?")
	})
}

func (a *app) tokenDerive(_ *cobra.Command, o *tokenOptions, _ []string) error {
	ask, err := a.restricted(o)
	if err != nil {
		return err
	}
	var caveats []string
	add := func(name string, list []string) {
		if list != nil {
			caveats = append(caveats, name+"="+strings.Join(list, ","))
		}
	}
	add("allowed", ask.Allowed)
	switch {
	case ask.Expires.IsZero():
	case ask.Expires.Before(daypass.Forever):
		caveats = append(caveats, "expires="+strconv.FormatInt(ask.Expires.Unix(), 10))
	default:
		caveats = append(caveats, "expires=never")
	}
	add("indexes", ask.Indexes)
	if !ask.NotBefore.IsZero() {
		caveats = append(caveats, "not_before="+strconv.FormatInt(ask.NotBefore.Unix(), 10))
	}
	add("projects", ask.Projects)
	if len(caveats) == 0 {
		return &daypass.Problem{Code: "DP-124", What: "No restrictions provided", Next: "Say what the new token is to be limited to.", Kind: daypass.ErrUsage}
	}
	for _, index := range ask.Indexes {
		if strings.Count(index, "/") != 1 {
			a.screen(false).say("Note: an index is USER/INDEX, and %q is none: it allows nothing.", index)
		}
	}
	p, err := a.readToken(o)
	if err != nil {
		return err
	}
	if p.Form() == pass.PyPI {
		return limitProblem("PyPI's tokens have limits of their own writing", `Use "daypass pass narrow".`, nil)
	}
	derived, err := p.Narrow(caveats...)
	if err != nil {
		return passProblem(err)
	}
	return a.writeToken(o, derived.Text(p.Form()))
}

// readToken reads the token from where the options say. By the old names it may
// stand in the command, where everybody can read it.
func (a *app) readToken(o *tokenOptions) (pass.Pass, error) {
	literal := o.from.token
	if o.old && literal != "" && literal != "-" && !strings.HasPrefix(literal, "@") {
		a.screen(false).say("Warning: everybody on this machine can read a token that is typed into a command. Use --file FILE, or --token - and standard input. [DP-121]")
		p, err := pass.Parse(daypass.NewSecret(literal))
		return p, passProblem(err)
	}
	return a.readPass(o.from)
}

func (a *app) tokenInspect(_ *cobra.Command, o *tokenOptions, _ []string) error {
	p, err := a.readToken(o)
	if err != nil {
		return err
	}
	user, id, err := tokenOwner(p)
	if err != nil {
		return err
	}
	rows := [][2]string{{"user", user}, {"id", id}}
	for _, text := range p.Caveats() {
		if at, ok := momentOf(text); ok && strings.HasPrefix(text, "expires=") {
			text += " (" + at.Local().Format("2006-01-02 15:04:05-07:00") + ")"
		}
		rows = append(rows, [2]string{"restriction", text})
	}
	width := 0
	for _, row := range rows {
		width = max(width, len(row[0]))
	}
	s := a.screen(false)
	s.result("Token info:")
	for _, row := range rows {
		s.result("    %-*s: %s", width, row[0], row[1])
	}
	return nil
}

// tokenOwner says whose token it is, of an index.
func tokenOwner(p pass.Pass) (user, id string, err error) {
	who, known := p.Identity()
	if !known || who.Realm.Kind == pass.Hub {
		return "", "", &daypass.Problem{
			Code: "DP-123", What: "Invalid token", Why: "it names no user of a package index", Next: `"daypass pass show" tells what it is.`, Kind: daypass.ErrUsage,
		}
	}
	return who.User, who.ID, nil
}

func (a *app) tokenList(c *cobra.Command, o *tokenOptions, _ []string) error {
	caller, err := a.manager(c.Context(), o.indexOptions)
	if err != nil {
		return err
	}
	user := caller.target(o.indexOptions)
	list, err := caller.Tokens(c.Context(), caller.api, caller.auth, user)
	if err != nil {
		return err
	}
	s := a.screen(false)
	if len(list) == 0 {
		s.result("No tokens for '%s'", user)
		return nil
	}
	s.result("Tokens for '%s':", user)
	for _, t := range list {
		s.result("    %s", t.ID)
		if len(t.Restrictions) > 0 {
			s.result("        restrictions:")
		}
		for _, text := range t.Restrictions {
			s.result("            %s", text)
		}
	}
	return nil
}

func (a *app) tokenDelete(c *cobra.Command, o *tokenOptions, args []string) error {
	caller, err := a.manager(c.Context(), o.indexOptions)
	if err != nil {
		return err
	}
	said, err := caller.DeleteToken(c.Context(), caller.api, caller.auth, caller.target(o.indexOptions), args[0])
	if err == nil {
		a.screen(false).result("%s", said)
	}
	return err
}

// longestToken is what devpi-tokens lets a token live: a leap year.
const longestToken = 366 * 24 * time.Hour

// tokenLogin gives the devpi client the token, once the server has taken it. A
// token without an end gets one before it is written to a disk.
func (a *app) tokenLogin(c *cobra.Command, o *tokenOptions, _ []string) error {
	p, err := a.readToken(o)
	if err != nil {
		return err
	}
	user, _, err := tokenOwner(p)
	if err != nil {
		return err
	}
	caller, err := a.reach(c.Context(), o.indexOptions)
	if err != nil {
		return err
	}
	if rights, _ := p.Effective(); rights.Expires.After(a.now().Add(longestToken)) {
		end := a.now().Add(longestToken).Truncate(time.Second)
		if p, err = p.Narrow("expires=" + strconv.FormatInt(end.Unix(), 10)); err != nil {
			return passProblem(err)
		}
		a.screen(false).say("Note: it has no end, or a far one, so what is kept here was narrowed: it ends %s.", a.screen(false).moment(end))
	}
	login := devpi.Login{Root: caller.api.Root, Auth: devpi.Auth{User: user, Password: p.Text(p.Form())}}
	api, err := a.verifyLogin(c.Context(), caller, login)
	if err != nil {
		return err
	}
	if err := a.keepLogin(o.indexOptions, api, login); err != nil {
		return err
	}
	at := ""
	if api.Index != "" {
		at = " at '" + api.Index + "'"
	}
	a.screen(false).result("logged in '%s'%s", user, at)
	return nil
}

// verifyLogin asks the server who the token is of.
func (a *app) verifyLogin(ctx context.Context, c indexCaller, login devpi.Login) (devpi.API, error) {
	api, err := c.API(ctx, login.Auth)
	if err == nil && (api.Status != "ok" || api.User != login.User) {
		err = &daypass.Problem{
			Code: "DP-141", What: "Login with token at " + first(api.Index, api.Root) + " failed", Why: "the server does not know it",
			Next: "Have a new token made; \"daypass pass show\" says what this one is.", Kind: daypass.ErrNoLogin,
		}
	}
	return api, err
}

// keepLogin writes a pass into the devpi client's own state.
func (a *app) keepLogin(o indexOptions, api devpi.API, login devpi.Login) error {
	s, err := a.updateIndexState(o.clientdir, func(s indexState) error {
		s.logins.Set(login)
		if api.Index == "" && s.current.Root() == api.Root {
			return s.current.SetUser(login.User)
		}
		return s.current.Use(api, login.User)
	})
	if err != nil {
		return err
	}
	return a.rememberIndexState(s.dir)
}
