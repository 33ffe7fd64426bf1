package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/exchange"
	"github.com/daypass-dev/daypass/server"
	"github.com/daypass-dev/daypass/store"
)

// A face shows the broker to the server: it turns requests of pages and
// programs into the broker's words, and what comes back into theirs. It decides
// nothing.
type face struct {
	b        *broker.Broker
	db       *store.DB
	hosts    []server.Host
	redirect func(host string) string // the callback's address
	checks   func(context.Context) []server.Check
	ready    func(context.Context) []server.Check
	forget   func(daypass.User) // what the hub's client remembers of their tokens
	changed  *changes
	firsts   *firsts
	now      func() time.Time
	exchange *exchange.Exchange // nil: none
	readers  *readers           // nil: none
	decide   func(context.Context, *exchange.Exchange, daypass.Secret, netip.Addr) (exchange.Grant, error)
}

func (f *face) broker() server.Broker {
	b := f.parts()
	if f.readers != nil {
		b.SnapshotParts = server.SnapshotParts{Snapshot: f.readers.snapshot, Pack: f.readers.pack}
		b.LinkParts = f.linkParts()
	}
	return b
}

func (f *face) parts() server.Broker {
	return server.Broker{
		Hosts: f.hosts, Enter: f.enter, Credential: f.credential, Rejected: f.rejected, Connections: f.connections, Started: f.b.ServerStarted, Wait: f.wait, Reach: f.reach,
		Start: f.start, Finish: f.finish, Disconnect: f.disconnect, Activity: f.activity, Approvals: f.approvals, Approve: f.approve, AllowWrites: f.allowWrites, NewServers: f.newServers, Roamed: f.roamed,
		Moved: f.moved, Confirm: f.confirm, Sharing: f.sharing, Share: f.share, EndShare: f.endShare, Changed: f.changed.watch,
		People: f.people, Person: f.person, CutOff: f.cutOff, Health: f.health, Ready: func(ctx context.Context) []server.Check { return f.ready(ctx) },
		HookLogin: f.hookLogin, HookStopped: f.hookStopped, PassParts: f.passParts(),
	}
}

// told gives a refusal of the broker's the page that helps on.
func told(host string, err error) error {
	var r *broker.Refusal
	if !errors.As(err, &r) {
		return err
	}
	out := &server.Refusal{Problem: r.Problem, Event: string(r.Event), Rule: r.Rule, RetryAfter: r.RetryAfter}
	switch {
	case r.Connect:
		out.Link = "connect/" + cmp.Or(r.Host, host)
	case r.Approve:
		out.Link = "#approve"
	case r.Passes:
		out.Link = "passes"
	}
	return out
}

func (f *face) enter(ctx context.Context, c daypass.Caller) (int64, error) {
	number, err := f.b.Enter(ctx, c)
	return number, told("", err)
}

func (f *face) credential(ctx context.Context, c daypass.Caller, ask server.Ask) (api.CredentialReply, error) {
	defer f.changed.tell(c.User)
	a, err := f.b.Credential(ctx, c, broker.Ask{Host: ask.Host, Repo: ask.Repo, Access: ask.Most, Least: ask.Least, Stale: ask.Stale, Request: ask.Request})
	if err != nil {
		return api.CredentialReply{}, told(ask.Host, err)
	}
	s := a.Credential.Scope
	return api.CredentialReply{
		Username: a.Credential.Username, Password: a.Credential.Token, Host: s.Host, Repo: api.Of(s.Repos[0]),
		Access: s.Access.String(), Until: s.Until.UTC().Truncate(time.Second), As: a.As.String(), Account: api.OfAccount(a.Account), Event: string(a.Event),
	}, nil
}

func (f *face) rejected(ctx context.Context, c daypass.Caller, r api.Rejected) error {
	defer f.changed.tell(c.User)
	// The broker knows tokens by the first half of their SHA-256.
	return told(r.Host, f.b.Rejected(ctx, c, r.Host, r.SHA256[:32], server.RequestID(ctx)))
}

func (f *face) roamed(ctx context.Context, c daypass.Caller, addresses int) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := f.b.Roamed(ctx, c, addresses, server.RequestID(ctx)); err != nil {
		f.b.Log.Error("a token from many addresses is not in the activity", "err", err)
	}
	f.changed.tell(c.User)
}

func (f *face) connections(ctx context.Context, c daypass.Caller) ([]server.Connection, error) {
	list, err := f.b.Connections(ctx, c)
	if err != nil {
		return nil, told("", err)
	}
	return f.standing(list), nil
}

// standing says how somebody stands at each host, in the order of the pages.
func (f *face) standing(list []store.Connection) []server.Connection {
	var out []server.Connection
	for _, h := range f.hosts {
		c := server.Connection{Host: h.Host, State: api.StateNone}
		for _, have := range list {
			if have.Host == h.Host {
				c = f.connection(have)
			}
		}
		out = append(out, c)
	}
	return out
}

func (f *face) connection(c store.Connection) server.Connection {
	out := server.Connection{
		Host: c.Host, State: api.StateLive, Account: c.Account, Since: c.Created, Used: c.Used, Until: c.Ends, How: c.Kind, Memory: c.ID < 0,
	}
	if c.State == store.NeedsConsent {
		out.State, out.Why = api.StateConsent, c.Why
	}
	if c.ID > 0 {
		out.Idle = c.Used.Add(f.b.Limits.Idle)
	}
	return out
}

func (f *face) wait(ctx context.Context, c daypass.Caller, host string) (bool, error) {
	_, ok, err := f.b.Await(ctx, c, host)
	return ok, told(host, err)
}

func (f *face) reach(ctx context.Context, c daypass.Caller, host string) (server.Reach, error) {
	rights, complete, err := f.b.Reach(ctx, c, host)
	return server.Reach{Rights: rights, Complete: complete}, told(host, err)
}

func (f *face) start(ctx context.Context, c daypass.Caller, session, host string) (string, error) {
	to, err := f.b.StartConsent(ctx, c, broker.ConsentStart{Session: session, Host: host, Redirect: f.redirect(host)})
	return to, told(host, err)
}

func (f *face) finish(ctx context.Context, c daypass.Caller, session, host string, q url.Values) (daypass.Account, error) {
	done, err := f.b.FinishConsent(ctx, c, broker.ConsentEnd{
		Session: session, Host: host, State: q.Get("state"), Code: q.Get("code"), Error: q.Get("error"), Issuer: q.Get("iss"), Request: server.RequestID(ctx),
	})
	if err != nil {
		return daypass.Account{}, told(host, err)
	}
	f.changed.tell(c.User)
	return done.Connection.Account, nil
}

func (f *face) disconnect(ctx context.Context, c daypass.Caller, host string) (server.Ended, error) {
	done, err := f.b.Disconnect(ctx, c, host, server.RequestID(ctx))
	f.changed.tell(c.User)
	if p := (*daypass.Problem)(nil); errors.As(err, &p) && p.Code == "DP-826" {
		return server.Ended{}, &server.Refusal{Problem: p, Link: "#disconnect-" + host}
	}
	return server.Ended{Done: done}, told(host, err)
}

func (f *face) activity(ctx context.Context, c daypass.Caller, q server.ActivityQuery) ([]server.Activity, string, error) {
	p, ok, err := f.db.Person(ctx, c.User)
	if err != nil || !ok {
		return nil, "", told("", err)
	}
	return f.lines(ctx, p.ID, q)
}

func (f *face) lines(ctx context.Context, person int64, q server.ActivityQuery) ([]server.Activity, string, error) {
	limit := min(max(q.Limit, 1), 500)
	list, err := f.db.Events(ctx, store.EventFilter{
		Person: person, Host: q.Host, Outcome: q.Outcome, Pass: q.Pass, Since: q.Since, Before: store.EventID(q.Before), Limit: limit + 1,
	})
	if err != nil {
		return nil, "", err
	}
	next := ""
	if len(list) > limit {
		list = list[:limit]
		next = string(list[limit-1].ID)
	}
	var out []server.Activity
	for _, e := range list {
		out = append(out, line(e))
	}
	return out, next, nil
}

func line(e store.Event) server.Activity {
	return server.Activity{
		ID: string(e.ID), At: e.At, Kind: string(e.Kind), Outcome: e.Outcome, Server: e.Server, Via: e.Via, Host: e.Host, Repo: e.Repo,
		Access: e.Access, As: e.As, Rule: e.Rule, Code: e.Code, Why: e.Why, Until: e.Until, Pass: e.Pass, Link: e.Link,
	}
}

// approvals finds servers that have used as many repositories today as they may.
func (f *face) approvals(ctx context.Context, c daypass.Caller) ([]server.Approval, error) {
	p, ok, err := f.db.Person(ctx, c.User)
	if err != nil || !ok {
		return nil, err
	}
	day := f.now().UTC().Format("2006-01-02")
	since, _ := time.Parse("2006-01-02", day)
	list, err := f.db.Events(ctx, store.EventFilter{Person: p.ID, Kind: store.Refusal, Since: since, Limit: 200})
	out, werr := f.waitingToWrite(ctx, p.ID)
	err = errors.Join(err, werr)
	seen := map[string]bool{}
	for _, e := range list {
		if e.Code != "DP-823" || seen[e.Server] {
			continue
		}
		seen[e.Server] = true
		for _, s := range serversNamed(e.Server) {
			if ok, err := f.db.Approved(ctx, p.ID, s, day); err != nil || ok {
				continue
			}
			visits, err := f.db.Visits(ctx, p.ID, s, day)
			if err != nil {
				return nil, err
			}
			if len(visits) >= f.b.Limits.ReposPerDay {
				out = append(out, server.Approval{Server: s, Count: len(visits), Limit: f.b.Limits.ReposPerDay})
			}
		}
	}
	return out, err
}

// moved finds names that were refused because they mean another repository than
// they did, and that nobody has confirmed since.
func (f *face) moved(ctx context.Context, c daypass.Caller) ([]server.SharedRepo, error) {
	p, ok, err := f.db.Person(ctx, c.User)
	if err != nil || !ok {
		return nil, err
	}
	list, err := f.db.Events(ctx, store.EventFilter{
		Person: p.ID, Kinds: []store.Kind{store.Refusal, store.Pinning}, Since: f.now().Add(-7 * 24 * time.Hour), Limit: 500,
	})
	var out []server.SharedRepo
	seen := map[server.SharedRepo]bool{}
	for _, e := range list { // the newest first
		r := server.SharedRepo{Host: e.Host, Repo: strings.ToLower(e.Repo)}
		if e.Kind == store.Refusal && e.Code != "DP-822" || seen[r] {
			continue
		}
		seen[r] = true
		if e.Kind == store.Refusal {
			out = append(out, r)
		}
	}
	return out, err
}

func (f *face) confirm(ctx context.Context, c daypass.Caller, host string, repo daypass.Repo) error {
	defer f.changed.tell(c.User)
	return told(host, f.b.Confirm(ctx, c, host, repo, server.RequestID(ctx)))
}

// serversNamed are the servers that daypass.Server.String writes so: one may be
// named like what is written where there is no name.
func serversNamed(s string) []daypass.Server {
	named := daypass.Server{Known: true, Name: s}
	switch s {
	case "unknown":
		return []daypass.Server{{}, named}
	case "default":
		return []daypass.Server{{Known: true}, named}
	}
	return []daypass.Server{named}
}

// waitingToWrite finds servers that were refused a token that writes, for want of a
// click, within the time that a click counts.
func (f *face) waitingToWrite(ctx context.Context, person int64) ([]server.Approval, error) {
	if f.b.Limits.WriteClick <= 0 {
		return nil, nil
	}
	list, err := f.db.Events(ctx, store.EventFilter{Person: person, Kind: store.Refusal, Since: f.now().Add(-f.b.Limits.WriteClick), Limit: 200})
	var out []server.Approval
	seen := map[string]bool{}
	for _, e := range list {
		if e.Code != "DP-850" || seen[e.Server] {
			continue
		}
		seen[e.Server] = true
		s := serversNamed(e.Server)[0] // one that somebody named "default" has to wait
		may, merr := f.b.MayWrite(ctx, person, s)
		if err = errors.Join(err, merr); merr == nil && !may {
			out = append(out, server.Approval{Server: s, Writes: true})
		}
	}
	return out, err
}

func (f *face) allowWrites(ctx context.Context, c daypass.Caller, s daypass.Server) error {
	defer f.changed.tell(c.User)
	return told("", f.b.AllowWrites(ctx, c, s, server.RequestID(ctx)))
}

func (f *face) approve(ctx context.Context, c daypass.Caller, s daypass.Server) error {
	defer f.changed.tell(c.User)
	return told("", f.b.Approve(ctx, c, s, server.RequestID(ctx)))
}

func (f *face) sharing(ctx context.Context, c daypass.Caller) (server.Sharing, error) {
	out := server.Sharing{May: f.b.MayShare(c), Groups: c.Groups, Max: f.b.Limits.MaxShare}
	list, err := f.b.SharesFor(ctx, c)
	if err != nil {
		return out, told("", err)
	}
	p, _, err := f.db.Person(ctx, c.User)
	if err != nil {
		return out, err
	}
	for _, s := range list {
		out.Shares = append(out.Shares, server.Share{
			ID: s.ID, Host: s.Host, Repo: s.Repo.String(), Group: s.Group, Until: s.Until, Created: s.Created, Mine: s.Person == p.ID && p.ID != 0,
		})
	}
	if !out.May {
		out.Why = "Only members of the groups that the hub's admins named may share. Ask them."
		return out, nil
	}
	for _, h := range f.hosts {
		rights, _, err := f.b.Reach(ctx, c, h.Host)
		if err != nil {
			continue // not connected there, or not to be reached: nothing to offer
		}
		for _, r := range rights {
			if r.Admin {
				out.Rights = append(out.Rights, server.SharedRepo{Host: h.Host, Repo: r.Repo.String()})
			}
		}
	}
	return out, nil
}

func (f *face) share(ctx context.Context, c daypass.Caller, n server.NewShare) error {
	defer f.changed.tell(c.User)
	_, err := f.b.Share(ctx, c, n.Host, n.Repo, n.Group, n.Until, server.RequestID(ctx))
	return told(n.Host, err)
}

func (f *face) endShare(ctx context.Context, c daypass.Caller, id int64) error {
	defer f.changed.tell(c.User)
	return told("", f.b.EndShare(ctx, c, id, server.RequestID(ctx)))
}

func (f *face) people(ctx context.Context, query string, after int64) ([]server.Person, int64, error) {
	const page = 100
	list, err := f.db.People(ctx, store.PeopleFilter{Query: query, After: after, Limit: page + 1})
	if err != nil {
		return nil, 0, err
	}
	next := int64(0)
	if len(list) > page {
		list = list[:page]
		next = list[page-1].ID
	}
	var out []server.Person
	for _, p := range list {
		line, err := f.personLine(ctx, p)
		if err != nil {
			return nil, 0, err
		}
		out = append(out, line)
	}
	return out, next, nil
}

func (f *face) personLine(ctx context.Context, p store.Person) (server.Person, error) {
	out := server.Person{ID: p.ID, Name: p.User.Name, Seen: p.SeenAt, CutOff: p.CutAt}
	conns, err := f.b.ConnectionsOf(ctx, p.ID)
	if err != nil {
		return out, err
	}
	for _, c := range conns {
		out.Connected = append(out.Connected, f.hostName(c.Host)+" as "+c.Account.Login)
	}
	refused, err := f.db.Events(ctx, store.EventFilter{Person: p.ID, Outcome: store.Refused, Since: f.now().Add(-24 * time.Hour), Limit: 100})
	out.Refused = len(refused)
	return out, err
}

func (f *face) hostName(host string) string {
	for _, h := range f.hosts {
		if h.Host == host {
			return h.Name
		}
	}
	return host
}

func (f *face) person(ctx context.Context, id int64) (server.PersonDetail, error) {
	p, ok, err := f.db.PersonByID(ctx, id)
	if err != nil || !ok {
		return server.PersonDetail{}, errors.Join(err, notThere(id))
	}
	out := server.PersonDetail{Created: p.User.Created}
	if out.Person, err = f.personLine(ctx, p); err != nil {
		return out, err
	}
	conns, err := f.b.ConnectionsOf(ctx, p.ID)
	if err != nil {
		return out, err
	}
	out.Connections = f.standing(conns)
	out.Activity, _, err = f.lines(ctx, p.ID, server.ActivityQuery{Limit: 50})
	out.Reply = reply(out)
	return out, err
}

func notThere(id int64) error {
	return &daypass.Problem{Code: "DP-904", What: "there is nobody with the number " + strconv.FormatInt(id, 10), Next: "Look at the list again.", Kind: daypass.ErrRefused}
}

// reply is a sentence that answers "why does it not work?".
func reply(p server.PersonDetail) string {
	if !p.CutOff.IsZero() {
		return "Your access was ended on " + p.CutOff.UTC().Format("2006-01-02 15:04 MST") + "; please talk to us."
	}
	for _, a := range p.Activity {
		if a.Outcome != store.Refused && a.Outcome != store.Failed {
			continue
		}
		text := fmt.Sprintf("On %s your request for %s at %s was answered with no: %s.", a.At.UTC().Format("2006-01-02 15:04 MST"), a.Repo, a.Host, strings.TrimSuffix(a.Why, "."))
		if a.Code == "DP-810" && a.Rule != "" && a.Rule != "default" {
			text += " The rule is called " + a.Rule + "."
		}
		return text + " The event is " + a.ID + "."
	}
	for _, c := range p.Connections {
		if c.State == api.StateConsent {
			return "Please connect " + c.Host + " once more: " + c.Why + "."
		}
	}
	return "Nothing of yours was refused lately."
}

func (f *face) cutOff(ctx context.Context, admin daypass.Caller, id int64) (server.Ended, error) {
	done, err := f.b.RevokePerson(ctx, id, admin.User.Name)
	if errors.Is(err, store.ErrNone) {
		return server.Ended{}, notThere(id)
	}
	return server.Ended{Done: done}, told("", err)
}

func (f *face) health(ctx context.Context) ([]server.Check, error) { return f.checks(ctx), nil }

func (f *face) hookLogin(ctx context.Context, l api.HookLogin) error {
	h := broker.HandIn{
		Request: server.RequestID(ctx), User: l.User, Host: l.Host, App: l.ClientID, Account: l.Account.Account(),
		Grant: daypass.Grant{Access: l.Access, Until: daypass.Forever, Refresh: l.Refresh, Renew: daypass.Forever},
	}
	if l.Created != nil {
		h.Created = *l.Created
	}
	if l.ExpiresIn > 0 {
		h.Grant.Until = f.now().Add(time.Duration(l.ExpiresIn) * time.Second)
	}
	if l.RefreshExpiresIn > 0 {
		h.Grant.Renew = f.now().Add(time.Duration(l.RefreshExpiresIn) * time.Second)
	}
	return told(l.Host, f.b.HandIn(ctx, h))
}

func (f *face) hookStopped(ctx context.Context, s api.HookStopped) error {
	u := daypass.User{Name: s.User}
	if s.Created != nil {
		u.Created = s.Created.UTC()
	}
	f.forget(u)
	return told("", f.b.ServerStopped(ctx, u.Name, u.Created, s.Server))
}
