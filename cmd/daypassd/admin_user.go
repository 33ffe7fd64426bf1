package main

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/store"
)

func (s *app) userShowCommand() *cobra.Command {
	var config string
	var asJSON bool
	c := &cobra.Command{
		Use: "show NAME", Short: "Show what somebody has: connections, tokens, passes, the last events", Args: exactly("NAME"),
		Long: "Show one person of the hub: whether they are cut off, what they connected, which tokens their servers hold just now,\nand the last twenty events. A part of a name finds those who bear it.",
		RunE: func(c *cobra.Command, args []string) error { return s.userShow(c.Context(), config, args[0], asJSON) },
	}
	configFlag(c, &config)
	jsonFlag(c, &asJSON, "as a list in JSON")
	return c
}

func (s *app) userShow(ctx context.Context, config, name string, asJSON bool) (err error) {
	d, err := s.desk(ctx, config)
	if err != nil {
		return err
	}
	defer d.leave(&err)
	list, err := d.peopleNamed(ctx, name)
	if err != nil {
		return err
	}
	var all []*personView
	for _, p := range list {
		v, err := d.view(ctx, p)
		if err != nil {
			return err
		}
		all = append(all, v)
	}
	if asJSON {
		return s.object(all)
	}
	for i, v := range all {
		if i > 0 {
			s.say("")
		}
		d.showPerson(v)
	}
	return nil
}

// peopleNamed finds everybody who bears a name: an account that was deleted and
// made again is another person.
func (d *desk) peopleNamed(ctx context.Context, name string) ([]store.Person, error) {
	list, err := d.db.People(ctx, store.PeopleFilter{Hub: d.config.Hub.ID, Name: name})
	if err != nil || len(list) > 0 {
		return list, err
	}
	like, err := d.db.People(ctx, store.PeopleFilter{Hub: d.config.Hub.ID, Query: name, Limit: 10})
	if err != nil {
		return nil, err
	}
	p := &daypass.Problem{
		Code: "DP-962", What: "nobody called " + strconv.Quote(name) + " has used the access service",
		Next: "Write the name as the hub has it; a part of it finds people too.",
	}
	if len(like) > 0 {
		var names []string
		for _, l := range like {
			names = append(names, strconv.Quote(l.User.Name))
		}
		p.Next = "These have it in their names: " + strings.Join(slices.Compact(names), ", ") + "."
	}
	return nil, p
}

// A personView is one person as "admin user show" tells it, and its JSON.
type personView struct {
	Name        string           `json:"name"`
	Hub         string           `json:"hub"`
	Created     time.Time        `json:"created"`
	Seen        time.Time        `json:"seen"`
	CutOff      *time.Time       `json:"cut_off"`
	CutBy       string           `json:"cut_by,omitempty"`
	Connections []connectionView `json:"connections"`
	Tokens      []tokenView      `json:"tokens"`
	Passes      []passView       `json:"passes"`
	Todos       int              `json:"revocations_left"`
	Events      []eventLine      `json:"events"`
}

type connectionView struct {
	Host    string    `json:"host"`
	Account string    `json:"account"`
	State   string    `json:"state"`
	Why     string    `json:"why,omitempty"`
	How     string    `json:"how"`
	Created time.Time `json:"created"`
	Used    time.Time `json:"used"`
	Ends    time.Time `json:"ends"`
}

type tokenView struct {
	Host   string    `json:"host"`
	Repo   string    `json:"repository"`
	Access string    `json:"access"`
	As     string    `json:"as"`
	Server string    `json:"server"`
	Until  time.Time `json:"until"`
	Ends   time.Time `json:"ends"`
	Ending bool      `json:"ending"`
}

func (d *desk) view(ctx context.Context, p store.Person) (*personView, error) {
	v := &personView{
		Name: p.User.Name, Hub: p.User.Hub, Created: p.User.Created, Seen: p.SeenAt, CutBy: p.CutBy,
		Connections: []connectionView{}, Tokens: []tokenView{}, Events: []eventLine{},
	}
	if !p.CutAt.IsZero() {
		v.CutOff = &p.CutAt
	}
	conns, err := d.db.Connections(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	for _, c := range conns {
		if c.State != store.Ended {
			v.Connections = append(v.Connections, connectionView{c.Host, c.Account.Login, string(c.State), c.Why, c.Kind, c.Created, c.Used, c.Ends})
		}
	}
	kids, err := d.db.Children(ctx, store.ChildFilter{Person: p.ID, Held: true})
	if err != nil {
		return nil, err
	}
	for _, k := range kids {
		if !k.Ends.After(d.now()) {
			continue // over at the host by itself
		}
		t := tokenView{k.Host, k.Repo.String(), k.Access.String(), "user", k.Server.String(), k.Until, k.Ends, k.Ending}
		if k.AsHub {
			t.As, t.Server = "hub", ""
		}
		v.Tokens = append(v.Tokens, t)
	}
	passes, err := d.db.Passes(ctx, store.PassFilter{Person: p.ID, LiveAt: d.now()})
	if err != nil {
		return nil, err
	}
	v.Passes = []passView{}
	for _, one := range passes {
		v.Passes = append(v.Passes, passViewOf(one, p.User.Name))
	}
	left, err := d.todosOf(ctx, p.ID, nil)
	if err != nil {
		return nil, err
	}
	v.Todos = len(left)
	events, err := d.db.Events(ctx, store.EventFilter{Person: p.ID, Limit: 20})
	for _, e := range slices.Backward(events) {
		v.Events = append(v.Events, lineOf(e))
	}
	return v, err
}

func (d *desk) showPerson(v *personView) {
	s, now := d.app, d.now()
	s.say("%s at the hub %s", v.Name, v.Hub)
	rows := [][]string{{"  account made", ago(v.Created, now)}, {"  last seen", ago(v.Seen, now)}}
	if v.CutOff != nil {
		rows = append(rows, []string{"  CUT OFF", ago(*v.CutOff, now) + ", by " + v.CutBy + "; daypass admin user allow " + v.Name})
	} else {
		rows = append(rows, []string{"  cut off", "no"})
	}
	if v.Todos > 0 {
		rows = append(rows, []string{"  STILL TO REVOKE", plural(int64(v.Todos), "revocation") + " at a host; the service tries until it is done, daypass admin user revoke " + v.Name + " at once"})
	}
	s.table(rows)
	s.say("\nConnections")
	if len(v.Connections) == 0 {
		s.say("  none%s", map[bool]string{true: " in the store: this service keeps connections in its memory (connections.keep)"}[d.config.Connections.Keep == "session"])
	}
	rows = nil
	for _, c := range v.Connections {
		state := c.State
		if c.Why != "" {
			state += ": " + c.Why
		}
		rows = append(rows, []string{"  " + c.Host, "as " + c.Account, state, "used " + ago(c.Used, now), "ends " + ago(c.Ends, now)})
	}
	s.table(rows)
	s.say("\nTokens that live now")
	if len(v.Tokens) == 0 {
		s.say("  none")
	}
	rows = nil
	for _, t := range v.Tokens {
		where := "server " + t.Server
		if t.As == "hub" {
			where = "as the hub, with others"
		}
		until := "until " + ago(t.Until, now)
		if t.Ending {
			until = "being revoked"
		}
		rows = append(rows, []string{"  " + t.Host, t.Repo, t.Access, where, until})
	}
	s.table(rows)
	d.showPasses(v.Passes)
	s.say("\nLast events (UTC)")
	if len(v.Events) == 0 {
		s.say("  none")
	}
	rows = nil
	for _, e := range v.Events {
		row := e.row()
		rows = append(rows, append([]string{"  " + row[0], row[1]}, row[3:]...))
	}
	s.table(rows)
}

func (d *desk) showPasses(list []passView) {
	if len(list) == 0 {
		return
	}
	d.app.say("\nPasses that are good")
	var rows [][]string
	for _, p := range list {
		ends := "without an end"
		if p.Until != nil {
			ends = "ends " + ago(*p.Until, d.now())
		}
		rows = append(rows, []string{"  " + p.ID, p.Label, ends, strings.Join(p.Limits, " ")})
	}
	d.app.table(rows)
}

// todosOf lists what is still to be revoked for a person, now, and of the
// credentials with these numbers.
func (d *desk) todosOf(ctx context.Context, person int64, children map[int64]bool) ([]store.Todo, error) {
	all, err := d.db.Todos(ctx)
	var out []store.Todo
	for _, t := range all {
		mine := t.Person == person || t.Child != 0 && children[t.Child]
		// What waits to be revoked at a later time is a token that is good until then.
		if mine && (t.Attempts > 0 || !t.Due.After(d.now().Add(time.Second))) {
			out = append(out, t)
		}
	}
	return out, err
}

const userRevokeHelp = `Cut somebody off, everywhere: no further token, the pages' sessions ended, every connection and every token that their
servers hold revoked here and at the hosts. It says what was done, line by line.

It ends with 1 where a host could not be told yet. That is noted, and tried again by the service until it is done; run
it again to try at once.`

func (s *app) userRevokeCommand() *cobra.Command {
	var config string
	c := &cobra.Command{
		Use: "revoke NAME", Short: "Cut somebody off, everywhere, and say what was done", Long: userRevokeHelp, Args: exactly("NAME"),
		RunE: func(c *cobra.Command, args []string) error { return s.userRevoke(c.Context(), config, args[0]) },
	}
	configFlag(c, &config)
	return c
}

func (s *app) userRevoke(ctx context.Context, config, name string) (err error) {
	d, err := s.wholeDesk(ctx, config)
	if err != nil {
		return err
	}
	defer d.leave(&err)
	list, err := d.peopleNamed(ctx, name)
	if err != nil {
		return err
	}
	children := map[int64]bool{}
	for _, p := range list {
		kids, err := d.db.Children(ctx, store.ChildFilter{Person: p.ID, Held: true})
		if err != nil {
			return err
		}
		for _, k := range kids {
			children[k.ID] = true
		}
		if err := d.tryNow(ctx, p.ID, children); err != nil {
			return err
		}
	}
	lines, err := d.broker.RevokeUser(ctx, name, s.whoRuns())
	for _, line := range lines {
		if !strings.Contains(line, " revocations are noted ") { // each of them is listed below
			s.say("  %s", line)
		}
	}
	if err != nil {
		return err
	}
	left, err := d.waitTodos(ctx, list, children)
	if err != nil {
		return err
	}
	if d.config.Connections.Keep == "session" && d.serviceRuns(ctx) {
		s.say("  connections in the running service's memory are ended by the service, within a second; its log says how that went")
	}
	if len(left) == 0 {
		s.say("Done: nothing of %s's is left that daypass knows of. daypass admin user allow %s takes it back.", name, name)
		return nil
	}
	for _, t := range left {
		s.say("  still to do at %s: %s", t.Host, todoText(t, d.now()))
	}
	return &daypass.Problem{
		Code: "DP-956", What: name + " is cut off here, but " + plural(int64(len(left)), "revocation") + " at a host could not be done yet",
		Next: "The service tries again until it is done, also after a restart; run this again to try at once.",
		Who:  "Where it is urgent, the account's owner ends the App's access in their settings at the host.",
	}
}

func todoText(t store.Todo, now time.Time) string {
	what := map[string]string{
		store.RevokeChild: "revoke a token for one repository", store.RevokeToken: "revoke a token", store.Disconnect: "end the consent and all that was made by it",
	}[t.Kind]
	text := what + "; tried " + plural(int64(t.Attempts), "time")
	if t.Due.After(now) {
		text += ", next " + ago(t.Due, now)
	}
	if why, _, _ := strings.Cut(t.Why, ". "); why != "" {
		text += "; " + why
	}
	return text
}

// tryNow makes due what an earlier try left for later.
func (d *desk) tryNow(ctx context.Context, person int64, children map[int64]bool) error {
	left, err := d.todosOf(ctx, person, children)
	if err != nil {
		return err
	}
	return d.db.Write(ctx, func(tx *store.Tx) error {
		for _, t := range left {
			if t.Due.After(tx.Now()) {
				if err := tx.RetryTodo(t.ID, tx.Now(), t.Why); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// waitTodos gives what is being done at this moment, here or by the running
// service, a while to end, and returns what is left.
func (d *desk) waitTodos(ctx context.Context, list []store.Person, children map[int64]bool) ([]store.Todo, error) {
	for end := d.now().Add(12 * time.Second); ; {
		var left []store.Todo
		untried := false
		for _, p := range list {
			todos, err := d.todosOf(ctx, p.ID, children)
			if err != nil {
				return nil, err
			}
			for _, t := range todos {
				if !slices.ContainsFunc(left, func(o store.Todo) bool { return o.ID == t.ID }) {
					left = append(left, t)
				}
				untried = untried || t.Attempts == 0
			}
		}
		if !untried || d.now().After(end) {
			return left, nil
		}
		if _, err := d.broker.Settle(ctx, list[0].ID); err != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (s *app) userAllowCommand() *cobra.Command {
	var config string
	c := &cobra.Command{
		Use: "allow NAME", Short: "Let somebody in again who was cut off", Args: exactly("NAME"),
		Long: "Take a cut-off back. Connections have ended for good: the person connects again.",
		RunE: func(c *cobra.Command, args []string) error { return s.userAllow(c.Context(), config, args[0]) },
	}
	configFlag(c, &config)
	return c
}

func (s *app) userAllow(ctx context.Context, config, name string) (err error) {
	d, err := s.wholeDesk(ctx, config)
	if err != nil {
		return err
	}
	defer d.leave(&err)
	if _, err := d.peopleNamed(ctx, name); err != nil {
		return err
	}
	n, err := d.broker.AllowUser(ctx, name, s.whoRuns())
	switch {
	case err != nil:
		return err
	case n == 0:
		s.say("%s was not cut off; nothing was changed.", name)
	default:
		s.say("%s may use the access service again. Connections have to be made anew: daypass login, or the page of their access.", name)
	}
	return nil
}
