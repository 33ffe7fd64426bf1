package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/hub"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/policy/rulefile"
	"github.com/daypass-dev/daypass/store"
)

const policyCheckHelp = `Read the rules, as the service would at its start, and say them in words. Warnings name rules that can never decide
anything: their host is not served, or another rule covers all of them.`

func (s *app) policyCheckCommand() *cobra.Command {
	var config string
	c := &cobra.Command{
		Use: "check", Short: "Read the rules, say them in words, warn about useless ones", Long: policyCheckHelp, Args: none,
		RunE: func(*cobra.Command, []string) error { return s.policyCheck(config) },
	}
	configFlag(c, &config)
	return c
}

// policyConfig reads a configuration whose rules compile.
func (s *app) policyConfig(config string) (c *serverConfig, rules, audit *policy.Set, err error) {
	if c, err = s.configAlone(config); err != nil {
		return nil, nil, nil, err
	}
	if rules, audit, err = c.rules(); err != nil {
		return nil, nil, nil, rulesProblem(c.path, err)
	}
	return c, rules, audit, nil
}

func rulesProblem(path string, err error) error {
	return &daypass.Problem{
		Code: "DP-959", What: "the rules in " + path + " cannot be used", Why: strings.ReplaceAll(err.Error(), "\n", "; "),
		Next: "Correct them; the running service goes on with those it read at its start.",
	}
}

func (s *app) policyCheck(config string) error {
	c, _, _, err := s.policyConfig(config)
	if err != nil {
		return err
	}
	rules, err := c.ruleList()
	if err != nil {
		return rulesProblem(c.path, err)
	}
	if c.Rules == nil {
		s.say("There are no rules in %s, so that the preset holds:\n", c.path)
	} else {
		s.say("%s in %s:\n", plural(int64(len(rules)), "rule"), c.path)
	}
	for _, r := range rules {
		words := ruleWords(r)
		s.say("  %s", r.Name)
		for _, l := range words {
			s.say("      %s", l)
		}
	}
	s.say("\nWhat no rule allows is refused. A rule that forbids wins.")
	if len(c.AuditRules) > 0 {
		s.say("%s only watched (audit_rules): the record says where the answer would differ.", rulesAre(len(c.AuditRules)))
	}
	warnings := lint(rules, c)
	for _, w := range warnings {
		s.say("\nWarning: %s", w)
	}
	if len(warnings) == 0 {
		s.say("\nNo rule is useless.")
	}
	return nil
}

func rulesAre(n int) string {
	if n == 1 {
		return "1 rule is"
	}
	return strconv.Itoa(n) + " rules are"
}

const policyExplainHelp = `Say what the rules answer to a request, and what each of them says to it. Nothing is asked at the git host: whether the
person may reach the repository there is looked at as well, when they really ask.

  daypass admin policy explain --user ada github.com/uni/course-1
  daypass admin policy explain --user ada --group students --as hub --access read github.com/uni/course-1

Without --group the hub is asked for the person's groups, if it answers.`

type explainOptions struct {
	config, user, server, as, access string
	groups                           []string
}

func (s *app) policyExplainCommand() *cobra.Command {
	var o explainOptions
	c := &cobra.Command{
		Use: "explain --user NAME HOST/OWNER/NAME", Short: "Say what the rules answer to a request, rule by rule", Long: policyExplainHelp, Args: exactly("HOST/OWNER/NAME"),
		RunE: func(c *cobra.Command, args []string) error { return s.policyExplain(c, o, args[0]) },
	}
	configFlag(c, &o.config)
	f := c.Flags()
	f.StringVar(&o.user, "user", "", "who asks, by the hub's name for them (needed)")
	f.StringArrayVar(&o.groups, "group", nil, "a group of theirs; may be given again")
	f.StringVar(&o.server, "server", "default", "the server that asks; \"unknown\" is one that the hub cannot tell")
	f.StringVar(&o.as, "as", "user", "user: with their own connection; hub: with the hub's content App")
	f.StringVar(&o.access, "access", "", "read or write (default: both)")
	return c
}

func (s *app) policyExplain(c *cobra.Command, o explainOptions, what string) error {
	if o.user == "" {
		return usage(c, "--user is missing")
	}
	host, repo, ok := parseTarget(what)
	if !ok {
		return usage(c, what+" is not HOST/OWNER/NAME, such as github.com/uni/course-1")
	}
	conf, rules, audit, err := s.policyConfig(o.config)
	if err != nil {
		return err
	}
	groups := o.groups
	if groups == nil {
		groups = s.groupsOf(c.Context(), conf, o.user)
	}
	accesses := []string{"read", "write"}
	if o.access != "" {
		accesses = []string{o.access}
	}
	if o.as == "hub" && o.access == "" {
		accesses = accesses[:1]
	}
	for _, access := range accesses {
		cs := rulefile.Case{Who: o.user, Groups: groups, Server: o.server, Host: host, Repo: repo.String(), Access: access, As: o.as}
		q, err := cs.Request()
		if err != nil {
			return usage(c, err.Error())
		}
		q.Kind = conf.Servers.kind(c.Context(), daypass.Caller{Server: q.Server})
		s.explain(rules, q)
		if audit != nil && audit.Decide(q).Allowed != rules.Decide(q).Allowed {
			s.say("  The watched rules (audit_rules) would answer otherwise: %s.", verdictText(audit.Decide(q)))
		}
		s.say("")
	}
	s.say("What %s may do at %s itself is looked at as well, when they ask.", o.user, host)
	return nil
}

func verdictText(v policy.Verdict) string {
	text := "refused"
	if v.Allowed {
		text = "allowed, for at most " + length(v.Max)
	}
	return text + ", by " + v.Rule
}

func (s *app) explain(rules *policy.Set, q policy.Request) {
	as := map[policy.As]string{policy.AsHub: ", as the hub"}[q.As]
	kind := map[policy.ServerKind]string{policy.Shared: " (shared)", policy.Dashboard: " (a dashboard)"}[q.Kind]
	s.say("To %s %s at %s%s, in the server %s%s: %s", q.Access.String(), q.Repo.String(), q.Host, as, q.Server.String(), kind, verdictText(rules.Decide(q)))
	var rows [][]string
	for _, step := range rules.Explain(q) {
		mark := "  -"
		if step.Decides {
			mark = "  =>"
		}
		rows = append(rows, []string{mark, step.Rule, step.Why})
	}
	s.table(rows)
}

// groupsOf asks the hub, and says what it goes by.
func (s *app) groupsOf(ctx context.Context, c *serverConfig, name string) []string {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	token, err := s.secret("hub.token", c.Hub.Token)
	if err == nil && !s.hubSilent(c) {
		var p hub.Person
		client := hub.New(hub.Config{ID: c.Hub.ID, API: c.Hub.API, Public: c.Hub.URL, Service: c.Hub.Service, Token: token})
		if p, err = client.Person(ctx, name); err == nil {
			s.say("Groups of %s, says the hub: %s\n", name, orNone(p.Groups))
			return p.Groups
		}
	}
	why := "the hub cannot be asked"
	if errors.Is(err, hub.ErrNoUser) {
		why = "the hub knows nobody of that name"
	}
	s.say("Groups of %s: taken to be none, since %s; --group names them.\n", name, why)
	return nil
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

func parseTarget(s string) (host string, repo daypass.Repo, ok bool) {
	host, rest, _ := strings.Cut(s, "/")
	host = daypass.FoldASCII(host)
	repo, ok = daypass.ParseRepo(rest)
	return host, repo, ok && daypass.CleanHost(host)
}

const policyTestHelp = `Try cases against the rules: questions with the answers that you mean. Run it before the service starts with changed
rules. The file is a YAML list:

  - {who: ada, groups: [students], host: github.com, repo: uni/course-1, access: read, as: hub, want: allow, rule: courses}
  - {who: ada, host: github.com, repo: uni/exam, access: read, want: refuse}

server (a name, default, unknown), kind (own, shared, dashboard), as (user, hub) and rule (the one that decides) may be
left out. It ends with 1 where a case comes out otherwise.`

func (s *app) policyTestCommand() *cobra.Command {
	var config string
	c := &cobra.Command{
		Use: "test FILE", Short: "Try cases with the answers you mean against the rules", Long: policyTestHelp, Args: exactly("FILE"),
		RunE: func(_ *cobra.Command, args []string) error { return s.policyTest(config, args[0]) },
	}
	configFlag(c, &config)
	return c
}

func (s *app) policyTest(config, path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	_, rules, _, err := s.policyConfig(config)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return casesProblem(path, plainError(err))
	}
	var cases []rulefile.Case
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&cases); err != nil && !errors.Is(err, io.EOF) {
		return casesProblem(path, yamlText(err))
	}
	if len(cases) == 0 {
		return casesProblem(path, "there is no case in it")
	}
	wrong := rulefile.Check(rules, cases)
	for _, m := range wrong {
		c := m.Case
		s.say("Case %d: %s, to %s %s/%s: %s", m.N, c.Who, c.Access, c.Host, c.Repo, m.Why)
	}
	if len(wrong) == 0 {
		s.say("%s, each as it is meant.", plural(int64(len(cases)), "case"))
		return nil
	}
	return &daypass.Problem{
		Code: "DP-960", What: strconv.Itoa(len(wrong)) + " of " + plural(int64(len(cases)), "case") + " came out otherwise than meant",
		Next: `Correct the rules or the cases; "daypass admin policy explain" says what each rule answers.`,
	}
}

func casesProblem(path, why string) error {
	return &daypass.Problem{
		Code: "DP-963", What: "the cases cannot be read", Why: path + ": " + why, Next: `See "daypass admin policy test --help" for how they are written.`, Kind: daypass.ErrUsage,
	}
}

const unpinHelp = `Forget which repository a name meant when it was first used. The name then means whatever bears it at the next use.

Names are pinned so that nobody is given another repository by an old name: do this only when you know that it was made
anew or moved on purpose. The hub's own pin is forgotten (for what is read as the hub); with --user, that person's.`

func (s *app) unpinCommand() *cobra.Command {
	var config, name string
	c := &cobra.Command{
		Use: "unpin HOST/OWNER/NAME", Short: "Let a name mean the repository that bears it now", Long: unpinHelp, Args: exactly("HOST/OWNER/NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			host, repo, ok := parseTarget(args[0])
			if !ok {
				return usage(c, args[0]+" is not HOST/OWNER/NAME, such as github.com/uni/course-1")
			}
			return s.unpin(c.Context(), config, host, repo, name)
		},
	}
	configFlag(c, &config)
	c.Flags().StringVar(&name, "user", "", "forget this person's pin, not the hub's own")
	return c
}

func (s *app) unpin(ctx context.Context, config, host string, repo daypass.Repo, name string) (err error) {
	d, err := s.desk(ctx, config)
	if err != nil {
		return err
	}
	defer d.leave(&err)
	owners := []store.Person{{}} // the hub itself
	whose := "the hub itself"
	if name != "" {
		whose = name
		if owners, err = d.peopleNamed(ctx, name); err != nil {
			return err
		}
	}
	gone := 0
	err = d.db.Write(ctx, func(tx *store.Tx) error {
		gone = 0
		for _, p := range owners {
			ok, err := tx.Unpin(p.ID, host, repo.Owner, repo.Name)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			gone++
			tx.Record(store.Event{
				Kind: store.Pinning, Person: p.ID, Hub: d.config.Hub.ID, User: p.User.Name, Host: host, Repo: repo.String(), Outcome: store.OK,
				Why: "the pin was forgotten, by " + s.whoRuns(),
			})
		}
		return nil
	})
	if err != nil {
		return err
	}
	if gone == 0 {
		return d.notPinned(ctx, host, repo, whose)
	}
	s.say("For %s, %s at %s means the repository that bears the name at the next use.", whose, repo.String(), host)
	return nil
}

// notPinned says whose pins there are instead.
func (d *desk) notPinned(ctx context.Context, host string, repo daypass.Repo, whose string) error {
	p := &daypass.Problem{Code: "DP-964", What: repo.String() + " at " + host + " is not pinned for " + whose, Next: "Nothing was changed."}
	pins, err := d.db.Pins(ctx, store.PinFilter{Host: host, Owner: daypass.FoldASCII(repo.Owner)})
	if err != nil {
		return err
	}
	var names []string
	for _, pin := range pins {
		if pin.Name != daypass.FoldASCII(repo.Name) {
			continue
		}
		name := "the hub itself (without --user)"
		if pin.Person != 0 {
			who, ok, err := d.db.PersonByID(ctx, pin.Person)
			if err != nil || !ok {
				continue
			}
			name = who.User.Name
		}
		names = append(names, name)
	}
	if len(names) > 0 {
		slices.Sort(names)
		p.Next = "It is for: " + strings.Join(slices.Compact(names), ", ") + "."
	}
	return p
}
