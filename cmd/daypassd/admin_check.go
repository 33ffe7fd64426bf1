package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/provider/github"
	"github.com/daypass-dev/daypass/server"
	"github.com/daypass-dev/daypass/store"
)

const checkHelp = `Look at everything that "daypass serve" needs, and say of each whether it is well, in words, with the fix where it is
not: the configuration, the keys, the store, the running service; of a hub the hub itself, the Apps at their hosts and
the rules; of a package gateway devpi, and whether it takes the key.

It ends with 1 where a line is red.`

func (s *app) checkCommand() *cobra.Command {
	var config string
	var asJSON bool
	c := &cobra.Command{
		Use: "check", Short: "Look at everything that \"daypass serve\" needs; each line is green or red", Long: checkHelp, Args: none,
		RunE: func(c *cobra.Command, _ []string) error { return s.checkAll(c.Context(), config, asJSON) },
	}
	configFlag(c, &config)
	jsonFlag(c, &asJSON, "as a list in JSON")
	return c
}

// A checklist is what was looked at, line by line.
type checklist struct {
	app     *app
	lines   []checkLine
	untried string // what nobody could look at and ought to; may be empty
}

type checkLine struct {
	Name  string `json:"name"`
	State string `json:"state"` // "green", "red" or "note"
	Says  string `json:"says"`
	Fix   string `json:"fix,omitempty"`
}

func (l *checklist) green(name, says string) {
	l.lines = append(l.lines, checkLine{name, "green", says, ""})
}
func (l *checklist) note(name, says, fix string) {
	l.lines = append(l.lines, checkLine{name, "note", says, fix})
}
func (l *checklist) red(name, says, fix string) {
	l.lines = append(l.lines, checkLine{name, "red", says, fix})
}

// bad takes a line from an error; a Problem brings its own fix.
func (l *checklist) bad(name string, err error, fix string) {
	var p *daypass.Problem
	if !errors.As(err, &p) {
		l.red(name, strings.ReplaceAll(err.Error(), "\n", "; "), fix)
		return
	}
	says := p.What
	if p.Why != "" {
		says += ": " + p.Why
	}
	if p.Next != "" {
		fix = p.Next
	}
	l.red(name, says+" ["+p.Code+"]", fix)
}

func (l *checklist) add(list ...server.Check) {
	for _, c := range list {
		if c.Good {
			l.green(c.Name, c.Says)
		} else {
			l.red(c.Name, c.Says, c.Fix)
		}
	}
}

func (l *checklist) print() {
	width := 0
	for _, c := range l.lines {
		width = max(width, len([]rune(shown(c.Name))))
	}
	for _, c := range l.lines {
		state := c.State
		if state == "red" {
			state = "RED"
		}
		l.app.say("%-5s  %-*s  %s", state, width, shown(c.Name), strings.TrimSuffix(c.Says, "."))
		if c.Fix != "" {
			l.app.say("%*s  -> %s", width+7, "", c.Fix)
		}
	}
}

func (l *checklist) verdict(code, what string) error {
	red := 0
	for _, c := range l.lines {
		if c.State == "red" {
			red++
		}
	}
	if red == 0 {
		return nil
	}
	return &daypass.Problem{
		Code: code, What: what, Why: strconv.Itoa(red) + " of " + strconv.Itoa(len(l.lines)) + " lines are red", Next: "Each says how to mend it.",
	}
}

func (s *app) checkAll(ctx context.Context, config string, asJSON bool) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	l := &checklist{app: s, lines: []checkLine{}}
	if c, err := s.adminConfig(config); err != nil {
		l.bad("configuration", err, "")
	} else {
		l.green("configuration", c.path+" is understood")
		s.checkParts(ctx, l, c)
	}
	if asJSON {
		if err := s.object(l.lines); err != nil {
			return err
		}
	} else {
		l.print()
	}
	if err := l.verdict("DP-958", "not everything is well"); err != nil {
		return err
	}
	switch {
	case asJSON:
	case l.untried != "":
		s.say("\nNothing is red, but %s was not tried.", l.untried)
	default:
		s.say("\nEverything that was looked at is well.")
	}
	return nil
}

// checkParts goes through what can be looked at on its own; so one fault does
// not hide the others.
func (s *app) checkParts(ctx context.Context, l *checklist, c *serverConfig) {
	keysGood := s.checkKeys(l, c)
	if !c.hubless {
		s.checkHubParts(l, c)
	}
	if c.Gateway != nil {
		s.checkGateway(ctx, l, c)
	}
	if keysGood {
		s.checkService(ctx, l, c)
	}
	if !c.hubless {
		s.checkRunning(ctx, l, c)
	}
}

// checkHubParts looks at what only a hub's access service has.
func (s *app) checkHubParts(l *checklist, c *serverConfig) {
	s.checkAddress(l, c)
	s.checkRules(l, c)
	if c.Hub.HookToken == "" {
		l.note("hook", "no hub.hook_token: that a server was stopped is noticed after a minute or so, not at once", "Set hub.hook_token, and load daypass_hub in jupyterhub_config.py.")
	} else if _, err := s.secret("hub.hook_token", c.Hub.HookToken); err != nil {
		l.bad("hook", err, "Make the file anew, with the token that jupyterhub_config.py has.")
	} else {
		l.green("hook", "the hub's hooks have a token")
	}
	for _, g := range c.GitHub {
		if _, err := s.issuer(g); err != nil {
			l.bad(g.Host, err, "Look at the client secret and the key of its Apps in the configuration.")
		}
	}
}

// checkService puts the service together and asks all that it needs.
func (s *app) checkService(ctx context.Context, l *checklist, c *serverConfig) {
	svc, err := s.outside().open(ctx, c, false)
	if err != nil {
		l.bad("service", err, "")
		return
	}
	d := &desk{service: svc, app: s}
	checks := svc.checks(ctx)
	if s.hubSilent(c) {
		checks = slices.DeleteFunc(checks, func(c server.Check) bool { return c.Name == "hub" })
		l.note("hub", "the hub starts this service and gives it alone its token, so that it cannot be asked from here", "The service's own page Health says it.")
	}
	if i := slices.IndexFunc(checks, func(k server.Check) bool { return k.Name == "devpi" && k.Good }); i >= 0 && c.Gateway.keyUntried() {
		l.note("devpi", checks[i].Says, "Name a user of devpi's under gateway.self_test, and look again.")
		l.untried = "whether devpi takes the gateway's key"
		checks = slices.Delete(checks, i, i+1)
	}
	l.add(checks...)
	if len(c.AuditRules) > 0 {
		list, err := svc.db.Events(ctx, store.EventFilter{Kind: store.AuditDifference, Since: svc.now().Add(-24 * time.Hour), Limit: 1000})
		switch {
		case err != nil:
			l.bad("audit rules", err, "")
		case len(list) == 0:
			l.green("audit rules", "they would have decided nothing otherwise in the last 24 hours")
		default:
			l.note("audit rules", "they would have decided "+plural(int64(len(list)), "request")+" otherwise in the last 24 hours", "daypass admin events --kind audit-difference --since 24h")
		}
	}
	d.leave(&err)
	if err != nil {
		l.bad("store", err, "")
	}
}

func (s *app) checkAddress(l *checklist, c *serverConfig) {
	https := strings.HasPrefix(c.URL, "https://")
	h, _ := strings.CutPrefix(c.URL, "http://")
	name, _, _ := strings.Cut(h, "/")
	if i := strings.LastIndexByte(name, ':'); i > 0 {
		name = name[:i]
	}
	switch {
	case !https && !github.Loopback(name):
		l.red("address", c.URL+" is not https: sign-ins and tokens could be read on the way", "Put it behind the hub's TLS, or give it a certificate (tls), and write url with https.")
	case c.shared():
		l.note("address", c.URL+", in the shared mode: users' servers have the same origin, so the pages have no scripts and no admin pages", "A hostname of its own for the service gives both.")
	default:
		l.green("address", c.URL+", in the own mode: no user's server has this origin")
	}
}

func (s *app) checkKeys(l *checklist, c *serverConfig) bool {
	k, err := s.keys(c)
	if err != nil {
		l.bad("keys", err, `"daypass admin keys init FILE" makes them, for a new store only.`)
		return false
	}
	says := plural(int64(len(k.IDs())), "key") + " from " + c.Keys + ", apart from the store"
	if path, ok := strings.CutPrefix(c.Keys, "file:"); ok {
		dir, err := os.Stat(filepath.Dir(path))
		if err == nil && dir.Mode().Perm()&0o022 != 0 {
			l.red("keys", "others can write in "+filepath.Dir(path)+" and put other keys there", "chmod go-w "+filepath.Dir(path))
			return true
		}
		says += ", read by the service's user alone"
	}
	l.green("keys", says)
	return true
}

func (s *app) checkRules(l *checklist, c *serverConfig) {
	if _, _, err := c.rules(); err != nil {
		l.bad("rules", rulesProblem(c.path, err), "")
		return
	}
	rules, err := c.ruleList()
	if err != nil {
		l.bad("rules", rulesProblem(c.path, err), "")
		return
	}
	says := plural(int64(len(rules)), "rule")
	if c.Rules == nil {
		says = "none written, so the preset holds: people use their own connections"
	}
	if warnings := lint(rules, c); len(warnings) > 0 {
		l.note("rules", says+", "+strconv.Itoa(len(warnings))+" of them useless", "daypass admin policy check")
		return
	}
	l.green("rules", says)
}

// checkRunning looks whether the service answers where it should.
func (s *app) checkRunning(ctx context.Context, l *checklist, c *serverConfig) {
	const fix = `Start it: "daypass serve", or systemctl start daypass; its log says why it does not.`
	switch {
	case c.Listen == "systemd":
		l.note("running", "systemd listens for it, so that it cannot be told from here", "systemctl status daypass")
		return
	case !listens(ctx, c.Listen):
		l.red("running", "nothing answers at "+c.Listen, fix)
		return
	case strings.HasPrefix(c.Listen, "unix:") || c.TLS.Cert != "":
		l.green("running", "something answers at "+c.Listen)
		return
	}
	status, text := readiness(ctx, c)
	switch {
	case !strings.Contains(text, "store: "):
		l.red("running", "what answers at "+c.Listen+" is not a daypass with this url", "Stop it, or choose another address under listen; where it is daypass, start it again with this configuration.")
	case status != http.StatusOK:
		l.red("running", "it answers at "+c.Listen+", and is not ready: "+strings.TrimSpace(text), "Look at its log.")
	default:
		l.green("running", "it answers at "+c.Listen+", and is ready")
	}
}

// readiness asks the running service, past every proxy.
func readiness(ctx context.Context, c *serverConfig) (status int, text string) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	u, err := url.Parse(c.URL)
	if err != nil {
		return 0, ""
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Listen+strings.TrimSuffix(u.Path, "/")+"/readyz", nil)
	if err != nil {
		return 0, ""
	}
	client := &http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return 0, ""
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 4096))
	if err != nil {
		return 0, ""
	}
	return res.StatusCode, string(body)
}

// checkApp compares the settings of one host's Apps with what is needed.
func (s *app) checkApp(ctx context.Context, l *checklist, g githubConfig) {
	is, err := s.issuer(g)
	if err != nil {
		l.bad(g.Host, err, "Look at the client secret and the key of its Apps in the configuration.")
		return
	}
	findings, err := is.AppSettings(ctx)
	if err != nil {
		l.red(is.Host(), "cannot be asked: "+err.Error(), "Look at the way to the host, and at its status page.")
		return
	}
	for _, f := range findings {
		l.add(server.Check{Name: is.Host(), Good: f.OK, Says: f.What, Fix: f.Next})
	}
}
