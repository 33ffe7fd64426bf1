package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/server"
	"github.com/daypass-dev/daypass/store"
)

const whyHelp = `Say why something happened: the event in words, the rule that decided with its text, what the person can do, what you
can do, and who else can. Messages name the event; so do the pages and "daypass admin events".`

func (s *app) whyCommand() *cobra.Command {
	var config string
	c := &cobra.Command{
		Use: "why EVENT", Short: "Say why something happened, and who can do what about it", Long: whyHelp, Args: exactly("EVENT"),
		RunE: func(c *cobra.Command, args []string) error { return s.why(c.Context(), config, args[0]) },
	}
	configFlag(c, &config)
	return c
}

func (s *app) why(ctx context.Context, config, id string) (err error) {
	d, err := s.desk(ctx, config)
	if err != nil {
		return err
	}
	defer d.leave(&err)
	id = strings.Trim(strings.ToUpper(id), "[]().,: ")
	e, ok, err := d.db.Event(ctx, store.EventID(id))
	if err != nil {
		return err
	}
	if !ok {
		return noSuchEvent(id)
	}
	outcome := map[string]string{store.OK: "done", store.Refused: "refused", store.Failed: "failed"}[e.Outcome]
	s.say("%s: %s, %s, %s\n", id, string(e.Kind), outcome, ago(e.At, d.now()))
	s.table(append(d.eventRows(e), d.ruleRows(e)...))
	a := adviceFor(e)
	var rows [][]string
	for _, r := range [][]string{{"They can", a.they}, {"You can", a.you}, {"Others", a.others}} {
		if r[1] != "" {
			rows = append(rows, []string{"  " + r[0], r[1]})
		}
	}
	if len(rows) > 0 {
		s.say("")
		s.table(rows)
	}
	if e.Outcome != store.OK && e.Repo != "" && e.Kind != store.Upstream {
		s.say("\nTo answer them:\n\n  %s", reply(server.PersonDetail{Activity: []server.Activity{line(e)}}))
	}
	return nil
}

// eventRows tells the event itself.
func (d *desk) eventRows(e store.Event) [][]string {
	var rows [][]string
	add := func(name string, parts ...string) {
		if text := strings.Join(parts, ""); text != "" {
			rows = append(rows, []string{"  " + name, text})
		}
	}
	if e.User != "" {
		who := e.User
		if _, index, ok := strings.Cut(e.Realm, ":"); e.Hub != "" {
			who += " of the hub " + e.Hub
		} else if ok {
			who += " of the index " + index
		}
		if e.Server != "" && e.Server != "unknown" {
			who += ", in the server " + e.Server
		}
		who += map[string]string{"server": ", by the server's token", "user": ", by a token of theirs", "browser": ", in a browser", "pass": ", by a pass"}[e.Via]
		add("Who", who)
	}
	if e.Kind == store.Upstream {
		add("Wanted", e.Access, " at ", e.Repo, ", from ", e.Via)
	} else if e.Repo != "" {
		as := map[string]string{"user": ", as themselves", "hub": ", as the hub"}[e.As]
		access := ""
		if e.Access != "" {
			access = "to " + e.Access + " "
		}
		add("Wanted", access, e.Repo, " at ", e.Host, as)
	} else {
		add("Where", e.Host)
	}
	answer := e.Why
	if e.Code != "" {
		answer += " [" + e.Code + "]"
	}
	add("Because", answer)
	add("Account", e.Account)
	if e.Pass != "" {
		narrowed := ""
		if e.Link != "" {
			narrowed = ", narrowed; that one's link begins " + e.Link
		}
		add("Pass", e.Pass, narrowed)
	}
	if !e.Until.IsZero() {
		add("Good until", ago(e.Until, d.now()))
	}
	add("Request", e.Request)
	return rows
}

// ruleRows tells the rule that decided, as it reads today.
func (d *desk) ruleRows(e store.Event) [][]string {
	if e.Rule == "" {
		return nil
	}
	builtin := map[string]string{
		policy.Default:   "no rule allows it, and what no rule allows is refused",
		policy.Malformed: "the request names something that no rule can be about",
		policy.ReadOnly:  "shared servers and dashboards only read, whatever the rules say",
	}
	if text, ok := builtin[e.Rule]; ok {
		return [][]string{{"  Rule", text}}
	}
	if e.Kind == store.Exchanged {
		return [][]string{{"  Rule", e.Rule + ", under exchange.rules"}}
	}
	rules, err := d.config.ruleList()
	for _, r := range rules {
		if r.Name == e.Rule && err == nil {
			rows := [][]string{{"  Rule", r.Name + ", as it reads today:"}}
			for _, l := range ruleWords(r) {
				rows = append(rows, []string{"", l})
			}
			return rows
		}
	}
	return [][]string{{"  Rule", e.Rule + "; there is none of that name any more: the rules were changed since"}}
}

// ruleList is the rules in force, as values: the file's, else the preset.
func (c *serverConfig) ruleList() ([]policy.Rule, error) {
	if c.Rules == nil {
		return policy.Preset(), nil
	}
	var out []policy.Rule
	for _, t := range c.Rules {
		r, err := t.Rule()
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// ruleWords says a rule in a few lines.
func ruleWords(r policy.Rule) []string {
	what := "lets read"
	switch {
	case r.Forbid && r.Access == daypass.Write:
		what = "forbids to write"
	case r.Forbid:
		what = "forbids everything"
	case r.Access == daypass.Write:
		what = "lets read and write"
	}
	var repos []string
	for _, p := range r.What {
		text := p.String()
		if text == "*/*/*" {
			text = "every repository"
		}
		repos = append(repos, text)
	}
	lines := []string{what + " in " + strings.Join(repos, ", ")}
	who := "everybody"
	var parts []string
	if r.Who.Users != nil {
		parts = append(parts, "users "+strings.Join(r.Who.Users, ", "))
	}
	if r.Who.Groups != nil {
		parts = append(parts, "members of "+strings.Join(r.Who.Groups, ", "))
	}
	if len(parts) > 0 {
		who = strings.Join(parts, " who are ")
	}
	if r.Who.Servers != nil {
		who += ", in the servers " + strings.Join(r.Who.Servers, ", ")
	}
	lines = append(lines, "for "+who)
	if !r.Forbid {
		as := "as themselves"
		if r.As == policy.AsHub {
			as = "as the hub"
		}
		lines = append(lines, as+", for at most "+length(r.Max))
	}
	return lines
}

type advice struct{ they, you, others string }

// adviceByCode says who can do what about a refusal, by its code.
var adviceByCode = map[string]advice{
	"DP-810": {"use a repository that the rules give, or ask you", `change the rules in the configuration, where that is meant to be allowed; "daypass admin policy explain" tries it first`, ""},
	"DP-811": {"nothing by themselves", `let them in again: "daypass admin user allow NAME"`, ""},
	"DP-812": {"log out of the hub, in again, and start their server anew", `look at the service's role at the hub: "daypass admin check"`, ""},
	"DP-815": {"try again later; what was given goes on until it ends", `look at the host's status page, and at the way there: "daypass admin check"`, ""},
	"DP-816": {"connect the host once: daypass login, or the link in git's message", "", ""},
	"DP-817": {"connect the host once more: daypass login, or the link in git's message", "", ""},
	"DP-818": {"ask from a server of theirs; browsers are given no token", "", ""},
	"DP-820": {"", `name the host under "github" in the configuration, where it is meant to be served`, ""},
	"DP-821": {"check the name; have the App installed on the repository; ask its owner for access", "", "the repository's owner installs the App there, and gives them access"},
	"DP-822": {"confirm on the page of their access that the name means another repository now", `where it is the hub's own: "daypass admin policy unpin HOST/OWNER/NAME"`, "the repository's owner says whether it was moved or made anew"},
	"DP-823": {"press Allow on the page of their access, where it is they who use so many", "raise limits.repositories_per_day, where that is usual here", ""},
	"DP-824": {"connect the host: what their own account reaches they can use", `set up the App for content: "daypass admin app new --content"`, ""},
	"DP-825": {"connect the host, where their own account reaches it", "", "the repository's owner installs the content App there"},
	"DP-160": {"make a new pass", `"daypass admin passes list NAME" says what became of it`, ""},
	"DP-161": {"use a pass that allows it, or ask whoever gave it to them", "", "whoever made the pass chose its limits"},
	"DP-162": {"make a new pass", "", "whoever made the pass chose how often it can be used"},
	"DP-163": {"make a new pass", "", ""},
	"DP-168": {"ask for one that ends sooner", `"max_pass" in a rule`, ""},
	"DP-186": {"run the job as the rule says", "look at exchange.rules in the configuration; the event says what the token tells of the job", ""},
	"DP-837": {"pull from it; to push, ask its owner for write access", "", "the repository's owner gives them write access"},
}

func adviceFor(e store.Event) advice {
	a, ok := adviceByCode[e.Code]
	switch {
	case ok:
	case e.Outcome == store.OK:
		return advice{}
	case e.Code != "":
		a.you = "read about " + e.Code + " in doc/errors.md"
	}
	switch {
	case e.Code == "DP-810" && e.Rule == policy.ReadOnly:
		a = advice{they: "push from a server of their own", you: `look at "servers" in the configuration, where that server is their own`}
	case e.Code == "DP-811":
		a.you = strings.ReplaceAll(a.you, "NAME", e.User)
	case e.Code == "DP-822" && e.Repo != "":
		a.you = strings.ReplaceAll(a.you, "HOST/OWNER/NAME", e.Host+"/"+e.Repo)
	}
	return a
}

// noSuchEvent says that an event is not there.
func noSuchEvent(id string) error {
	return &daypass.Problem{
		Code: "DP-961", What: "there is no event " + strconv.Quote(id), Next: `Copy its number, such as K3QF-1042, from the message or from "daypass admin events".`,
	}
}
