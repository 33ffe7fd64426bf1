package main

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/store"
)

const eventsHelp = `List what happened: every token given, every refusal with its rule, every connection and revocation. The newest stand
last. Without --since the last hundred are listed.

  daypass admin events --user ada --since 24h
  daypass admin events --outcome refused --follow
  daypass admin events --since 2026-11-01 --json > november.jsonl`

type eventsOptions struct {
	config                                  string
	user, server, host, repo, kind, outcome string
	pass                                    string
	since, until                            string
	limit                                   int
	json, follow                            bool
}

func (s *app) eventsCommand() *cobra.Command {
	var o eventsOptions
	c := &cobra.Command{
		Use: "events", Short: "List what happened: tokens, refusals, connections, revocations", Long: eventsHelp, Args: none,
		RunE: func(c *cobra.Command, _ []string) error { return s.events(c, o) },
	}
	configFlag(c, &o.config)
	f := c.Flags()
	f.StringVar(&o.user, "user", "", "only of this user of the hub, or of the index")
	f.StringVar(&o.server, "server", "", "only from servers of this name; the default one is called default")
	f.StringVar(&o.host, "host", "", "only about this git host")
	f.StringVar(&o.repo, "repo", "", "only about this repository, OWNER/NAME")
	f.StringVar(&o.kind, "kind", "", "only of this kind: credential, refusal, connect, pass, gateway, …")
	f.StringVar(&o.pass, "pass", "", "only about this pass, by its id; of an index USER/ID")
	f.StringVar(&o.outcome, "outcome", "", "only with this outcome: ok, refused or failed")
	f.StringVar(&o.since, "since", "", "only from then on: 24h, 7d, 2026-11-22 or a full time")
	f.StringVar(&o.until, "until", "", "only before then")
	f.IntVar(&o.limit, "limit", 0, "at most so many, the newest (default 100; with --since or --until, all)")
	jsonFlag(c, &o.json, "one JSON object a line")
	f.BoolVar(&o.follow, "follow", false, "go on with what happens from now on, until Ctrl-C")
	return c
}

// filter reads the options. Words that no event can have are refused, so that a
// slip does not look like "nothing happened".
func (o eventsOptions) filter(c *cobra.Command, now time.Time) (store.EventFilter, error) {
	f := store.EventFilter{User: o.user, Server: o.server, Host: o.host, Repo: o.repo, Kind: store.Kind(o.kind), Outcome: o.outcome, Pass: o.pass, Limit: o.limit}
	if o.kind != "" && !slices.Contains(kinds(), f.Kind) {
		var words []string
		for _, k := range kinds() {
			words = append(words, string(k))
		}
		return f, usage(c, "there is no kind "+strconv.Quote(o.kind)+"; the kinds are "+strings.Join(words, ", "))
	}
	if o.outcome != "" && !slices.Contains([]string{store.OK, store.Refused, store.Failed}, o.outcome) {
		return f, usage(c, "--outcome is ok, refused or failed")
	}
	if _, ok := daypass.ParseRepo(o.repo); o.repo != "" && !ok {
		return f, usage(c, "--repo is OWNER/NAME; --host names the host")
	}
	if o.limit < 0 || o.follow && o.until != "" {
		return f, usage(c, "--limit is a number of events, and --follow has no --until")
	}
	var err error
	if f.Since, err = moment("since", o.since, now); err != nil {
		return f, usage(c, err.Error())
	}
	if f.Until, err = moment("until", o.until, now); err != nil {
		return f, usage(c, err.Error())
	}
	if f.Limit == 0 && o.since == "" && o.until == "" {
		f.Limit = 100
	}
	return f, nil
}

func kinds() []store.Kind {
	return []store.Kind{
		store.Credential, store.Refusal, store.Connect, store.Disconnected, store.ConsentNeeded, store.Refresh, store.Revoke,
		store.LoginHandedIn, store.Shared, store.ShareEnded, store.Approved, store.SignIn, store.Pinning, store.ServerStopped,
		store.CutOff, store.Allowed, store.Restore, store.KeysChanged, store.AuditDifference, store.Erased,
		store.PassMade, store.PassEnded, store.PassUse, store.DeviceAsked, store.DeviceDecided, store.Exchanged, store.Upstream,
		store.Linked, store.LinkChanged, store.LinkEnded, store.Enrolled, store.ReadContent,
	}
}

func (s *app) events(c *cobra.Command, o eventsOptions) (err error) {
	f, err := o.filter(c, time.Now())
	if err != nil {
		return err
	}
	d, err := s.desk(c.Context(), o.config)
	if err != nil {
		return err
	}
	defer d.leave(&err)
	list, err := d.eventsBackward(c.Context(), f)
	if err != nil {
		return err
	}
	if err := d.printEvents(list, o.json, true); err != nil || !o.follow {
		return err
	}
	return d.follow(c.Context(), f, list, o.json)
}

const eventsPage = 2000

// eventsBackward returns the newest of the filter, oldest first. Without a
// limit it reads page after page.
func (d *desk) eventsBackward(ctx context.Context, f store.EventFilter) ([]store.Event, error) {
	most := f.Limit
	var all []store.Event
	for {
		f.Limit = eventsPage
		if most > 0 {
			f.Limit = min(eventsPage, most-len(all))
		}
		page, err := d.db.Events(ctx, f)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if len(page) < f.Limit || len(all) == most {
			slices.Reverse(all)
			return all, nil
		}
		f.Before = page[len(page)-1].ID
	}
}

func (d *desk) printEvents(list []store.Event, asJSON, head bool) error {
	if asJSON {
		for _, e := range list {
			if err := d.app.object(lineOf(e)); err != nil {
				return err
			}
		}
		return nil
	}
	if len(list) == 0 {
		if head {
			d.app.say("No events that fit.")
		}
		return nil
	}
	var rows [][]string
	if head {
		rows = append(rows, []string{"TIME (UTC)", "EVENT", "WHO", "WHAT", "WHERE", "WHY"})
	}
	for _, e := range list {
		rows = append(rows, lineOf(e).row())
	}
	d.app.table(rows)
	return nil
}

// follow looks for new events until ctx ends. Events of several processes may
// become visible a little late, so the last seconds are looked at again.
func (d *desk) follow(ctx context.Context, f store.EventFilter, before []store.Event, asJSON bool) error {
	const again = 5 * time.Second
	seen := map[store.EventID]time.Time{}
	for _, e := range before {
		seen[e.ID] = e.At
	}
	f.Limit, f.Before = 0, ""
	start := d.now()
	for {
		select {
		case <-ctx.Done():
			return nil // it was asked for until then
		case <-time.After(500 * time.Millisecond):
		}
		if f.Since = d.now().Add(-again); f.Since.Before(start) {
			f.Since = start
		}
		list, err := d.eventsBackward(ctx, f)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		list = slices.DeleteFunc(list, func(e store.Event) bool { _, ok := seen[e.ID]; return ok })
		for _, e := range list {
			seen[e.ID] = e.At
		}
		for id, at := range seen {
			if at.Before(f.Since.Add(-again)) {
				delete(seen, id)
			}
		}
		if err := d.printEvents(list, asJSON, false); err != nil {
			return err
		}
	}
}

// An eventLine is an event as "--json" shows it.
type eventLine struct {
	ID      string     `json:"id"`
	Time    time.Time  `json:"time"`
	Kind    string     `json:"kind"`
	Outcome string     `json:"outcome"`
	Hub     string     `json:"hub,omitempty"`
	User    string     `json:"user,omitempty"`
	Server  string     `json:"server,omitempty"`
	Via     string     `json:"via,omitempty"`
	Host    string     `json:"host,omitempty"`
	Repo    string     `json:"repository,omitempty"`
	RepoID  int64      `json:"repository_id,omitempty"`
	Access  string     `json:"access,omitempty"`
	As      string     `json:"as,omitempty"`
	Rule    string     `json:"rule,omitempty"`
	Code    string     `json:"code,omitempty"`
	Why     string     `json:"why,omitempty"`
	Account string     `json:"account,omitempty"`
	Until   *time.Time `json:"until,omitempty"`
	Token   string     `json:"token_sha256,omitempty"` // its beginning, never the token
	Request string     `json:"request,omitempty"`
	Realm   string     `json:"realm,omitempty"` // of the pass
	Pass    string     `json:"pass,omitempty"`  // its id; of an index USER/ID
	Link    string     `json:"link,omitempty"`  // of one that was narrowed from it
}

func lineOf(e store.Event) eventLine {
	l := eventLine{
		string(e.ID), e.At.UTC(), string(e.Kind), e.Outcome, e.Hub, e.User, e.Server, e.Via, e.Host, e.Repo, e.RepoID, e.Access, e.As,
		e.Rule, e.Code, e.Why, e.Account, nil, e.Token, e.Request, e.Realm, e.Pass, e.Link,
	}
	if !e.Until.IsZero() {
		until := e.Until.UTC()
		l.Until = &until
	}
	return l
}

// row is: time, event, who, what, where, why.
func (l eventLine) row() []string {
	who := l.User
	if l.Server != "" && l.Server != "unknown" {
		who += " (" + l.Server + ")"
	}
	what := l.Kind
	if l.Outcome != store.OK && l.Kind != string(store.Refusal) {
		what += " " + l.Outcome
	}
	where := l.Host
	if l.Repo != "" {
		where += "/" + l.Repo
	}
	switch {
	case l.Kind == string(store.Upstream):
		where = l.Access + " at " + strings.TrimPrefix(where, l.Host+"/")
	case l.Access != "" && l.Repo != "":
		where += " to " + l.Access
	}
	if l.As == "hub" {
		where += ", as the hub"
	}
	var why []string
	if l.Why != "" {
		why = append(why, l.Why)
	}
	if l.Account != "" && l.Repo == "" {
		why = append(why, "as "+l.Account)
	}
	if l.Rule != "" {
		why = append(why, "rule "+l.Rule)
	}
	if l.Pass != "" {
		why = append(why, strings.TrimSpace("pass "+l.Pass+" "+l.Link))
	}
	if l.Code != "" {
		why = append(why, l.Code)
	}
	return []string{l.Time.Format("2006-01-02 15:04:05"), l.ID, who, what, where, strings.Join(why, "; ")}
}

const verifyHelp = `Read the whole record of events and say whether anything in it was changed since it was written: edited, deleted, cut
off at the end, or computed anew. The record is chained with keys that are not in the store.

A head is the end of a chain at some time; the service logs one a second, and sends them out where the configuration
says so. With heads that were kept outside, also a cut of the newest events is found, and whatever somebody did who has
the keys. The file under "heads" is read by itself.`

func (s *app) verifyCommand() *cobra.Command {
	var config string
	var heads, files []string
	var asJSON bool
	c := &cobra.Command{
		Use: "verify", Short: "Say whether anything in the record was changed afterwards", Long: verifyHelp, Args: none,
		RunE: func(c *cobra.Command, _ []string) error { return s.verify(c.Context(), config, heads, files, asJSON) },
	}
	configFlag(c, &config)
	c.Flags().StringArrayVar(&heads, "head", nil, "a head that was kept outside, such as K3QF:17:1042:6f2a…; may be given again")
	c.Flags().StringArrayVar(&files, "heads-file", nil, "a file with a head at the end of each line, such as a copy of the service's; may be given again")
	jsonFlag(c, &asJSON, "as one object in JSON")
	return c
}

func (s *app) verify(ctx context.Context, config string, texts, files []string, asJSON bool) (err error) {
	d, err := s.desk(ctx, config)
	if err != nil {
		return err
	}
	defer d.leave(&err)
	var heads []store.Head
	for _, text := range texts {
		h, err := store.ParseHead(text)
		if err != nil {
			return err
		}
		heads = append(heads, h)
	}
	if d.config.Heads.File != "" {
		if _, err := os.Stat(d.config.Heads.File); err == nil {
			files = append(files, d.config.Heads.File)
		}
	}
	for _, file := range files {
		some, err := readHeads(file)
		if err != nil {
			return err
		}
		heads = append(heads, some...)
	}
	r, err := d.db.Verify(ctx, heads)
	if err != nil {
		return err
	}
	if asJSON {
		err = s.verifyJSON(r, len(heads))
	} else {
		s.verifyText(r, len(heads))
	}
	if err != nil || r.Clean() {
		return err
	}
	return &daypass.Problem{
		Code: "DP-957", What: "the record of events is not as it was written", Why: plural(int64(len(r.Faults)), "fault"),
		Next: "Keep a copy of the store as it is. Look at who can write to the database and read the keys; a backup from before shows what stood there.",
	}
}

// readHeads reads the newest head of each chain from a file that the service
// wrote: "TIME HEAD", line by line.
func readHeads(path string) ([]store.Head, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, &daypass.Problem{Code: "DP-943", What: "the heads cannot be read", Why: path + ": " + plainError(err), Next: "Name the file that the service writes heads into.", Kind: daypass.ErrUsage}
	}
	defer f.Close()
	newest := map[string]store.Head{}
	in := bufio.NewScanner(f)
	for in.Scan() {
		words := strings.Fields(in.Text())
		if len(words) == 0 {
			continue
		}
		h, err := store.ParseHead(words[len(words)-1])
		if err != nil {
			return nil, err
		}
		if have, ok := newest[h.Chain]; !ok || h.Group >= have.Group {
			newest[h.Chain] = h
		}
	}
	var out []store.Head
	for _, h := range newest {
		out = append(out, h)
	}
	return out, in.Err()
}

func (s *app) verifyText(r store.Report, heads int) {
	s.say("Read %s in %s, of %s.", plural(r.Events, "event"), plural(r.Groups, "commit"), plural(r.Chains, "chain"))
	for _, f := range r.Faults {
		where := "chain " + f.Chain
		if f.Event != "" {
			where = "event " + string(f.Event)
		}
		s.say("  %s: %s: %s", strings.ToUpper(f.Kind), where, f.What)
	}
	if !r.Clean() {
		return
	}
	s.say("Nothing was edited, deleted or computed anew.")
	if heads == 0 {
		s.say("No head was given, so that a cut of the very last events of a process that died could not be seen.")
	} else {
		s.say("It holds against %s that was kept outside.", plural(int64(heads), "head"))
	}
	if n := len(r.Heads); n > 0 {
		last := slices.MaxFunc(r.Heads, func(a, b store.Head) int { return a.At.Compare(b.At) })
		s.say("The newest head, to be kept outside: %s", last.String())
	}
}

func (s *app) verifyJSON(r store.Report, heads int) error {
	type fault struct {
		Kind  string `json:"kind"`
		Chain string `json:"chain"`
		Group int64  `json:"group"`
		Event string `json:"event,omitempty"`
		What  string `json:"what"`
	}
	out := struct {
		Clean  bool     `json:"clean"`
		Chains int64    `json:"chains"`
		Groups int64    `json:"groups"`
		Events int64    `json:"events"`
		Given  int      `json:"heads_given"`
		Faults []fault  `json:"faults"`
		Heads  []string `json:"heads"`
	}{r.Clean(), r.Chains, r.Groups, r.Events, heads, []fault{}, []string{}}
	for _, f := range r.Faults {
		out.Faults = append(out.Faults, fault{f.Kind, f.Chain, f.Group, string(f.Event), f.What})
	}
	for _, h := range r.Heads {
		out.Heads = append(out.Heads, h.String())
	}
	return s.object(out)
}
