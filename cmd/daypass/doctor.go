package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/doctor"
	"github.com/daypass-dev/daypass/gitconf"
	"github.com/daypass-dev/daypass/provider/github"
	"github.com/daypass-dev/daypass/wallet"
)

const doctorHelp = `Look for what is wrong on this machine: which helpers git asks and where each is set,
tokens that older programs left lying about and where to revoke them, files that
others can open, the clock, proxies, the configuration; inside a repository also
whether a push from there would work. Secrets show as prefix and last four
characters. Nothing is changed without --fix.

  daypass doctor                  what is wrong, and what to do
  daypass doctor --fix            mend what is safe to mend, show what is left
  daypass doctor --bundle FILE    a report for support, without secrets

Exit status 0: nothing worse than a note. The last line is for support.`

const (
	doctorAsks   = 5 * time.Second  // how long all hosts together may take to answer
	doctorChecks = 20 * time.Second // and what check asks, where the host does answer
)

type doctorOptions struct {
	fix, json bool
	bundle    string
}

func (a *app) doctorCommand() *cobra.Command {
	var o doctorOptions
	c := &cobra.Command{
		Use: "doctor", Short: "What is wrong on this machine, and what to do", Long: doctorHelp, Args: atMost(0),
		RunE: func(c *cobra.Command, _ []string) error { return a.doctor(c.Context(), o) },
	}
	f := c.Flags()
	f.BoolVar(&o.fix, "fix", false, "mend what is safe to mend")
	f.StringVar(&o.bundle, "bundle", "", "write a report for support, without secrets, to a new file")
	f.BoolVar(&o.json, "json", false, "one object, for programs")
	return c
}

func (a *app) doctor(ctx context.Context, o doctorOptions) error {
	var bundle *os.File
	if o.bundle != "" {
		var err error
		if bundle, err = newBundle(o.bundle); err != nil {
			return err
		}
		defer bundle.Close()
	}
	list := a.examine(ctx)
	s := a.screen(o.json)
	var mended []mending
	if o.fix {
		mended = mend(ctx, list)
		if len(mended) > 0 {
			list = a.examine(ctx)
		}
		showMended(s, mended)
	}
	if err := ctx.Err(); err != nil {
		if bundle != nil {
			os.Remove(bundle.Name())
		}
		return err
	}
	support := doctor.SupportLine(list)
	a.showFindings(s, list)
	if bundle != nil {
		if err := writeBundle(bundle, doctor.Bundle(list)); err != nil {
			return err
		}
		s.result("The report is in %s. Read it before you send it.", printable(o.bundle))
	}
	s.result("\nFor support, without names and tokens:\n%s", printable(support))
	if o.json {
		out := map[string]any{"findings": list, "support": support}
		if o.fix {
			out["mended"] = mended
		}
		s.object(out)
	}
	if l := doctor.Worst(list); l == doctor.Warn || l == doctor.Bad {
		return exitStatus(1)
	}
	return nil
}

// newBundle makes the file before anything is looked at, so that a name that
// cannot be used costs no wait. An existing file, or a link, is somebody's.
func newBundle(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil, &daypass.Problem{
			Code: "DP-711", What: "the report was not written: " + printable(path) + " is there already",
			Next: "Name a new file, or remove that one first.", Kind: daypass.ErrUsage, Err: err,
		}
	case err != nil:
		return nil, bundleProblem(path, err)
	}
	return f, nil
}

func writeBundle(f *os.File, text []byte) error {
	_, err := f.Write(text)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return bundleProblem(f.Name(), err)
	}
	return nil
}

func bundleProblem(path string, err error) error {
	why := err
	var pe *fs.PathError
	if errors.As(err, &pe) {
		why = pe.Err
	}
	return &daypass.Problem{
		Code: "DP-712", What: "the report cannot be written to " + printable(path), Why: why.Error(),
		Next: "Name a file in a folder of your own.", Err: err,
	}
}

// A mending is what --fix did about one finding.
type mending struct {
	Code  string `json:"code"`
	Title string `json:"title"`
	Next  string `json:"next,omitempty"`  // what is still for the person to do, such as to revoke
	Error string `json:"error,omitempty"` // why it could not be mended
}

func mend(ctx context.Context, list []doctor.Finding) []mending {
	out := []mending{}
	for _, f := range list {
		if !f.Fixable || ctx.Err() != nil {
			continue
		}
		m := mending{Code: f.Code, Title: f.Title}
		if err := doctor.Fix(ctx, f); err != nil {
			m.Error = gitconf.Show(err.Error())
		} else if _, rest, ok := strings.Cut(f.Fix, "daypass doctor --fix."); ok {
			m.Next = strings.TrimSpace(rest)
		}
		out = append(out, m)
	}
	return out
}

func showMended(s *screen, list []mending) {
	for _, m := range list {
		if m.Error != "" {
			s.result("%s", lines(wrap("not mended  ", m.Title+": "+m.Error)))
			continue
		}
		s.result("%s", lines(wrap("mended  ", m.Title)))
		if m.Next != "" {
			s.result("%s", lines(wrap("        Next: ", m.Next)))
		}
	}
	switch len(list) {
	case 0:
		s.result("There was nothing that daypass can mend by itself.\n")
	default:
		s.result("\nWhat is left:\n")
	}
}

// showFindings lists the good first and the worst last, where people look.
func (a *app) showFindings(s *screen, list []doctor.Finding) {
	count := map[doctor.Level]int{}
	for _, level := range []doctor.Level{doctor.OK, doctor.Note, doctor.Warn, doctor.Bad} {
		for _, f := range list {
			if f.Level == level {
				count[level]++
				showFinding(s, f)
			}
		}
	}
	s.result("\n%s", summary(count))
}

func showFinding(s *screen, f doctor.Finding) {
	word := string(f.Level) + strings.Repeat(" ", 6-len(f.Level))
	text := lines(wrap(word, f.Title))
	if f.Level == doctor.Bad {
		text = s.bold(word[:len(f.Level)]) + text[len(f.Level):]
	}
	s.result("%s", text)
	if f.Detail != "" {
		s.result("%s", lines(wrap("      ", f.Detail)))
	}
	if f.Fix != "" {
		s.result("%s", lines(wrap("      Next: ", f.Fix)))
	}
}

func summary(count map[doctor.Level]int) string {
	number := func(l doctor.Level, one, more string) string {
		switch count[l] {
		case 0:
			return "no " + more
		case 1:
			return "1 " + one
		}
		return strconv.Itoa(count[l]) + " " + more
	}
	notes := number(doctor.Note, "note", "notes")
	if count[doctor.Bad]+count[doctor.Warn] == 0 {
		return "Nothing is wrong: " + number(doctor.OK, "check", "checks") + " ok, " + notes + "."
	}
	bad := number(doctor.Bad, "thing is bad", "things are bad")
	if count[doctor.Bad] == 0 {
		bad = "nothing is bad"
	}
	return "In all " + bad + ", with " + number(doctor.Warn, "warning", "warnings") + " and " + notes + "."
}

// wrap sets text after a lead in lines of at most 80 columns; the lines that
// follow stand below the first one's text. Words are never cut: a long path or
// address stays whole, so that it can be copied.
func wrap(lead, text string) string {
	const width = 80
	var b strings.Builder
	b.WriteString(lead)
	indent := strings.Repeat(" ", utf8.RuneCountInString(lead))
	if i := strings.Index(lead, "Next: "); i >= 0 {
		indent = strings.Repeat(" ", i)
	}
	col, start := utf8.RuneCountInString(lead), true
	for _, word := range strings.Fields(printable(text)) {
		n := utf8.RuneCountInString(word)
		switch {
		case start:
		case col+1+n > width:
			b.WriteString("\n" + indent)
			col = len(indent)
		default:
			b.WriteByte(' ')
			col++
		}
		b.WriteString(word)
		col, start = col+n, false
	}
	return b.String()
}

// examine runs every check once.
func (a *app) examine(ctx context.Context) []doctor.Finding {
	out := []doctor.Finding{{Code: "daypass-version", Level: doctor.OK, Title: "daypass " + daypass.Version}}
	add := func(list ...doctor.Finding) { out = append(out, list...) }
	cfg, err := a.loadConfig()
	if err != nil {
		add(a.finding("config", doctor.Bad, err))
		if cfg.host, err = github.ParseHost(first(a.getenv("GITHUB_URL"), a.getenv("GITHUB_HOST"), github.DotCom)); err != nil {
			cfg.host, _ = github.ParseHost(github.DotCom)
		}
	}
	entries, found := a.examineWallet()
	add(found...)
	hosts := hostsOf(cfg.host, entries)
	add(a.examineMachine(ctx, hosts, entries)...)
	add(a.adminSettings(cfg)...)
	clocks, answered := a.clocks(ctx, hosts)
	add(clocks...)
	add(a.examineHere(ctx, hosts, answered)...)
	return out
}

// finding tells a problem as one.
func (a *app) finding(code string, level doctor.Level, err error) doctor.Finding {
	var p *daypass.Problem
	if !errors.As(err, &p) {
		return doctor.Finding{Code: code, Level: level, Title: a.hideHome(gitconf.Show(err.Error()))}
	}
	f := doctor.Finding{Code: code, Level: level, Title: a.hideHome(p.What), Fix: a.hideHome(strings.TrimSpace(p.Next + " " + p.Who))}
	if p.Why != "" {
		f.Detail = a.hideHome(sentence(p.Why)) + " "
	}
	f.Detail += "[" + p.Code + "]"
	return f
}

func sentence(text string) string {
	r, n := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(r)) + strings.TrimSuffix(text[n:], ".") + "."
}

func (a *app) hideHome(text string) string {
	if home := a.getenv("HOME"); filepath.IsAbs(home) && home != "/" {
		text = strings.ReplaceAll(text, strings.TrimSuffix(home, "/")+"/", "~/")
	}
	return printable(text)
}

// hostsOf is the configured host and every one that the wallet has access to.
func hostsOf(configured github.Host, entries []wallet.Entry) []github.Host {
	out := []github.Host{configured}
	for _, e := range entries {
		if h, err := entryHost(e); err == nil && e.Origin != fromPass && !slices.Contains(out, h) {
			out = append(out, h)
		}
	}
	return out
}

// examineWallet looks at this machine's store, at the files that logins wrote
// beside it, and at whose access this shell presents.
func (a *app) examineWallet() ([]wallet.Entry, []doctor.Finding) {
	out := append(a.storeFileFindings(), a.indexFindings()...)
	auth, err := a.presenting()
	switch {
	case err != nil:
		out = append(out, a.finding("pass-unreadable", doctor.Bad, err))
	case auth != wallet.Login:
		out = append(out, doctor.Finding{Code: "pass-env", Level: doctor.Note, Title: "a pass or hub token in the environment is used here, not your login",
			Detail: "From DAYPASS_TOKEN, DAYPASS_TOKEN_FILE or JUPYTERHUB_API_TOKEN."})
	}
	w, err := a.openWallet()
	if err != nil {
		return nil, append(out, a.finding("wallet", doctor.Bad, err))
	}
	entries, _, err := w.List()
	if err != nil {
		return nil, append(out, a.finding("wallet", doctor.Bad, walletProblem(err)))
	}
	place := w.Place()
	f := doctor.Finding{Code: "wallet", Level: doctor.OK, Title: "tokens are kept in " + a.hideHome(place.String())}
	switch {
	case place.Kind == "":
		f.Title = "this machine's store holds nothing"
	case place.Warning != "":
		f.Level, f.Detail = doctor.Note, sentence(place.Warning)
	}
	return entries, append(out, f)
}

// storeFileFindings names the files that login --store-file wrote.
func (a *app) storeFileFindings() []doctor.Finding {
	var out []doctor.Finding
	for _, row := range a.storeFiles() {
		u, err := url.Parse(row[0])
		if err != nil {
			continue
		}
		text, err := readOwn(row[1], a.uid)
		if err != nil || !holdsHost(string(text), u.Scheme, u.Host) {
			continue
		}
		f := doctor.Finding{Code: "store-file", Level: doctor.Note, Title: a.hideHome(row[1]) + " holds a token for " + printable(u.Host),
			Detail: "A login wrote it there because it was told to.", Fix: `To empty it: daypass logout.`}
		if st, err := os.Stat(row[1]); err == nil && st.Mode().Perm()&0o077 != 0 {
			f.Level, f.Detail, f.Fix = doctor.Bad, "Others can open it: its mode is "+st.Mode().Perm().String()+".", "Run: chmod 600 on it. "+f.Fix
		}
		out = append(out, f)
	}
	return out
}

// examineMachine looks at git's settings and at files.
func (a *app) examineMachine(ctx context.Context, hosts []github.Host, entries []wallet.Entry) []doctor.Finding {
	o := doctor.Options{Getenv: a.getenv}
	var out []doctor.Finding
	if git, err := gitconf.Find(a.getenv); err == nil {
		o.Git, o.Setup = git, a.gitSetup(git, false)
	}
	helper, err := helperPath()
	if err != nil {
		out = append(out, a.finding("helper-file", doctor.Bad, err))
	} else {
		o.Helper, o.Binary = helper, filepath.Join(filepath.Dir(helper), "daypass")
		// The folder itself is doctor's; those above it count as much.
		if up := exposedFolder(filepath.Dir(helper)); up != "" && up != filepath.Dir(helper) {
			out = append(out, doctor.Finding{Code: "folder-above-wide", Level: doctor.Bad, Title: a.hideHome(up) + ": others can write to it, and it is above daypass's programs",
				Detail: "git's helper starts no daypass from there, neither to renew nor to explain. [DP-110]", Fix: "Run: chmod go-w on it; or install into /usr/local/bin."})
		}
	}
	if dir, err := os.Getwd(); err == nil {
		o.Dir = dir
	}
	for _, h := range hosts {
		o.Origins = append(o.Origins, h.Web)
	}
	for _, f := range doctor.Scan(ctx, o) {
		if f.Code == "helper-missing" {
			f = a.helperMissing(ctx, o, f, hosts, entries)
		}
		out = append(out, f)
	}
	return out
}

// helperMissing looks again: after "login --repo" git asks for that repository
// only, and before any login there is nothing to ask for.
func (a *app) helperMissing(ctx context.Context, o doctor.Options, f doctor.Finding, hosts []github.Host, entries []wallet.Entry) doctor.Finding {
	for _, h := range hosts {
		if !strings.HasSuffix(f.Title, " "+h.Name) {
			continue
		}
		var repos, missing []string
		all := false
		for _, e := range entries {
			if e.Scheme != h.Scheme || e.Credential.Scope.Host != h.Name {
				continue
			}
			all = all || e.Credential.Scope.All
			for _, r := range e.Credential.Scope.Repos {
				asked, err := o.Git.Asks(ctx, "", h.Web+"/"+r.String(), o.Helper)
				if err != nil || !asked.First {
					missing = append(missing, r.String())
				}
				repos = append(repos, r.String())
			}
		}
		switch {
		case !all && len(repos) == 0:
			f.Level, f.Detail, f.Fix = doctor.Note, "There is no login for it on this machine yet.", `Run: daypass login`+a.loginArg(h)+`, which sets git up too.`
		case !all && len(missing) == 0:
			f = doctor.Finding{Code: "helper-ok", Level: doctor.OK, Title: "git asks daypass first for " + h.Name + ", for " + strings.Join(repos, ", ") + " only"}
		}
	}
	return f
}

// adminSettings looks at the shape of what is configured for each host.
func (a *app) adminSettings(cfg config) []doctor.Finding {
	names := []string{}
	for name := range cfg.hosts {
		names = append(names, name)
	}
	slices.Sort(names)
	var out []doctor.Finding
	for _, name := range names {
		hc := cfg.hosts[name]
		out = append(out, shapes(name, "the configuration", hc.ClientID, hc.AppURL)...)
	}
	for _, v := range []string{"DAYPASS_CLIENT_ID", "GH_SCOPED_CREDS_CLIENT_ID", "GITHUB_APP_CLIENT_ID"} {
		out = append(out, shapes(cfg.host.Name, v, a.getenv(v), "")...)
	}
	for _, v := range []string{"DAYPASS_APP_URL", "GH_SCOPED_CREDS_APP_URL"} {
		out = append(out, shapes(cfg.host.Name, v, "", a.getenv(v))...)
	}
	return out
}

func shapes(host, from, clientID, appURL string) []doctor.Finding {
	name, _, _ := strings.Cut(host, ":")
	if rest, ok := strings.CutPrefix(appURL, "http://"); ok && github.Loopback(name) {
		appURL = "https://" + rest // a demo's
	}
	list := doctor.AdminSettings(clientID, appURL)
	for i := range list {
		list[i].Detail = "For " + printable(host) + ", from " + from + "."
		if list[i].Code == "client-id-shape" && host != github.DotCom && !strings.HasSuffix(host, ".ghe.com") {
			list[i].Level = doctor.Note
		}
	}
	return list
}

// clocks asks each host once, as nobody, all at the same time: is it there, and
// what does it say the time is? It returns the hosts that answered.
func (a *app) clocks(ctx context.Context, hosts []github.Host) ([]doctor.Finding, []github.Host) {
	ctx, cancel := context.WithTimeout(ctx, doctorAsks)
	defer cancel()
	found := make([][]doctor.Finding, len(hosts))
	up := make([]bool, len(hosts))
	var wg sync.WaitGroup
	for i, h := range hosts {
		wg.Go(func() { found[i], up[i] = a.clock(ctx, h) })
	}
	wg.Wait()
	var out []doctor.Finding
	var answered []github.Host
	for i, list := range found {
		if up[i] {
			answered = append(answered, hosts[i])
		}
		for _, f := range list {
			if !slices.ContainsFunc(out, func(g doctor.Finding) bool { return g.Level == doctor.OK && g.Title == f.Title }) {
				out = append(out, f)
			}
		}
	}
	return out, answered
}

func (a *app) clock(ctx context.Context, h github.Host) (out []doctor.Finding, up bool) {
	c := a.client(h, "")
	_, err := c.Account(ctx, daypass.Secret{}) // the refusal is the answer
	if skew, ok := c.Skew(); ok {
		f := doctor.Clock(a.now().Add(skew), a.now())
		if f.Level != doctor.OK {
			f.Detail = "Compared with " + h.Name + "."
		}
		out = append(out, f)
	}
	var p *daypass.Problem
	if errors.As(err, &p) && p.Code == "DP-304" || err == nil || !errors.Is(err, daypass.ErrUnreachable) && ctx.Err() == nil {
		return out, true
	}
	f := a.finding("host-unreachable", doctor.Warn, err)
	if p == nil {
		f.Title = h.Name + " cannot be reached"
	}
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
		f.Detail = "Its certificate is out of date, or this machine's clock is wrong: it says " + a.now().UTC().Format("2006-01-02 15:04 UTC") + ". [DP-303]"
		f.Fix = "Ask the administrator to set the clock (NTP)."
	}
	return append(out, f), false
}

// examineHere runs check where the user stands in a clone from a known host.
func (a *app) examineHere(ctx context.Context, hosts, answered []github.Host) []doctor.Finding {
	at, err := a.remoteHere(ctx, "")
	if err != nil {
		return nil // no repository, or none of ours
	}
	for _, h := range hosts {
		name := h.Name
		if at.Scheme == "ssh" {
			name, _, _ = strings.Cut(name, ":")
		}
		if at.Host != name || at.Scheme != "ssh" && at.Scheme != h.Scheme {
			continue
		}
		if at.Scheme != "ssh" && !slices.Contains(answered, h) {
			return []doctor.Finding{{Code: "push-unknown", Level: doctor.Note, Title: "whether a push from here would work could not be asked"}}
		}
		return []doctor.Finding{a.checkFinding(ctx)}
	}
	return nil
}

// checkFinding is what check says, as a finding.
func (a *app) checkFinding(ctx context.Context) doctor.Finding {
	ctx, cancel := context.WithTimeout(ctx, doctorChecks)
	defer cancel()
	var said, notes bytes.Buffer
	quiet := *a
	quiet.stdout, quiet.stderr, quiet.terminal = &said, &notes, false
	err := quiet.check(ctx, nil)
	var p *daypass.Problem
	switch {
	case err == nil:
		return doctor.Finding{Code: "push", Level: doctor.OK, Title: strings.TrimSuffix(strings.TrimSpace(said.String()), "."), Detail: strings.TrimSpace(notes.String())}
	case errors.As(err, &p) && p.Code == "DP-614":
		return a.finding("push-ssh", doctor.Note, err)
	case errors.Is(err, daypass.ErrUnreachable):
		return a.finding("push-unknown", doctor.Note, err)
	}
	f := a.finding("push", doctor.Warn, err)
	f.Title = "a push from here would not work: " + f.Title
	return f
}
