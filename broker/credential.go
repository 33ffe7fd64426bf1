package broker

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/store"
)

// An Ask is what a caller wants at a host.
type Ask struct {
	Host    string
	Repo    daypass.Repo
	Access  daypass.Access // the most that is of use; git does not say whether it fetches or pushes
	Least   daypass.Access // the least that will do; NoAccess means Read
	Stale   bool           // the hub could not be asked just now: only what was made before is given again
	Request string         // the request's id, for the activity

	began time.Time // when it came
	pass  *passing  // nil: it was made with none
}

// An Answer is a credential and how it came about.
type Answer struct {
	Credential daypass.Credential
	Account    daypass.Account // zero when as the hub
	As         policy.As
	Rule       string
	Event      store.EventID
	Cached     bool
}

// A way is one of the ways in which a request may be allowed.
type way struct {
	as      policy.As
	verdict policy.Verdict
	share   *store.Share // what allows it, where no rule does
}

// An asking is a request of somebody who is known, on one of its ways.
type asking struct {
	c    daypass.Caller
	p    store.Person
	ask  Ask
	kind policy.ServerKind
	way
}

// Credential gives the caller a credential for one repository, or a [Refusal].
// The event is durable before the credential is returned.
func (b *Broker) Credential(ctx context.Context, c daypass.Caller, ask Ask) (Answer, error) {
	ask.began = b.Now()
	ask.Repo.ID = 0 // a number that somebody claims is not one that the host said
	p, err := b.person(ctx, c.User)
	if err != nil {
		return Answer{}, b.refuse(ctx, c, p, ask, "", err)
	}
	g, ok := b.issuers[ask.Host]
	if !ok {
		return Answer{}, b.refuse(ctx, c, p, ask, "", unknownHost(ask.Host))
	}
	if g.Traits().Content {
		return Answer{}, b.refuse(ctx, c, p, ask, "", contentOnly(ask.Host))
	}
	if c.Via != daypass.ViaServer && c.Via != daypass.ViaUser && c.Via != daypass.ViaPass {
		return Answer{}, b.refuse(ctx, c, p, ask, "", &daypass.Problem{
			Code: "DP-818", What: "a browser is given no token", Next: "Ask from a server of yours.", Kind: daypass.ErrRefused,
		})
	}
	if ask.Repo.Owner == "" || ask.Repo.Name == "" || ask.Access == daypass.NoAccess {
		return Answer{}, b.refuse(ctx, c, p, ask, "", &daypass.Problem{
			Code: "DP-819", What: "the request names no repository",
			Next: `Run "daypass setup": git has to send the repository's path (credential.useHttpPath).`, Kind: daypass.ErrRefused,
		})
	}
	kind, err := b.admit(ctx, c, p, &ask)
	if err != nil {
		return Answer{}, b.refuse(ctx, c, p, ask, "", err)
	}
	if kind == policy.NoKind {
		return Answer{}, b.refuse(ctx, c, p, ask, "", hubProblem(nil))
	}
	ways, no := b.ways(ctx, b.Rules, c, ask, kind)
	b.audit(ctx, c, p, ask, kind, ways)
	ways = slices.DeleteFunc(ways, func(w way) bool { return w.verdict.Access < ask.Least })
	if len(ways) == 0 {
		if err := b.overPass(ctx, c, ask, kind); err != nil {
			return Answer{}, b.refuse(ctx, c, p, ask, "", err)
		}
		return Answer{}, b.refuse(ctx, c, p, ask, no.Rule, denied(ask.Host, no.Rule, no.Why))
	}
	return b.firstOf(ctx, g, c, p, ask, kind, ways)
}

// firstOf tries the ways in their order.
func (b *Broker) firstOf(ctx context.Context, g *guarded, c daypass.Caller, p store.Person, ask Ask, kind policy.ServerKind, ways []way) (Answer, error) {
	var first error
	for _, w := range ways {
		w.verdict.Max = ask.pass.most(w.verdict.Max, b.Now())
		a, err := b.by(ctx, g, asking{c, p, ask, kind, w})
		if err == nil && a.Credential.Scope.Access < ask.Least {
			err = onlyRead(ask)
		}
		if err == nil {
			b.observed(ask.Host, "ok", a.Cached)
			ask.pass.used()
			return a, nil
		}
		if first == nil || w.as == policy.AsHub && !errors.Is(err, daypass.ErrNoSuchRepo) {
			first = err
		}
		if !elsewhere(err) {
			break
		}
	}
	// What said no was none of the rules that allowed it.
	return Answer{}, b.refuse(ctx, c, p, ask, "", ask.pass.hide(first))
}

func onlyRead(ask Ask) error {
	return &daypass.Problem{
		Code: "DP-837", What: "you may read " + ask.Repo.String() + " at " + ask.Host + ", and not push to it",
		Next: "Ask the repository's owner for write access, or fork it.", Kind: daypass.ErrRefused, Err: daypass.ErrNoSuchRepo,
	}
}

// elsewhere reports whether another way may still do: the person has no
// connection, or none that reaches the repository.
func elsewhere(err error) bool {
	return errors.Is(err, daypass.ErrNoSuchRepo) || errors.Is(err, daypass.ErrNoLogin)
}

func (b *Broker) by(ctx context.Context, g *guarded, q asking) (Answer, error) {
	if q.as == policy.AsHub {
		return b.asHub(ctx, g, q)
	}
	return b.asUser(ctx, g, q)
}

// kind says whether the server that asks is its owner's alone.
func (b *Broker) kind(ctx context.Context, c daypass.Caller) policy.ServerKind {
	if b.Hub.ServerKind == nil {
		return policy.Own
	}
	return b.Hub.ServerKind(ctx, c)
}

// ways asks a set of rules: first as the person, for as much as is of use, then
// as the hub. Where nothing is allowed the verdict says why.
func (b *Broker) ways(ctx context.Context, rules *policy.Set, c daypass.Caller, ask Ask, kind policy.ServerKind) ([]way, policy.Verdict) {
	q := policyRequest(c, ask, kind)
	var out []way
	v := decide(rules, q)
	no := v
	if v.Allowed {
		out = append(out, way{as: policy.AsUser, verdict: v})
	}
	q.As, q.Access = policy.AsHub, daypass.Read
	w := way{as: policy.AsHub, verdict: rules.Decide(q)}
	if !w.verdict.Allowed && w.verdict.Rule == policy.Default {
		w = b.shared(ctx, c, ask, w)
	}
	if w.verdict.Allowed {
		out = append(out, w)
	}
	return out, no
}

func policyRequest(c daypass.Caller, ask Ask, kind policy.ServerKind) policy.Request {
	q := policy.Request{
		User: c.User.Name, Groups: c.Groups, Server: c.Server, Kind: kind,
		Host: ask.Host, Repo: ask.Repo, Access: ask.Access, As: policy.AsUser, Pass: ask.pass.whole(),
	}
	if kind != policy.Own {
		q.Access = daypass.Read
	}
	return q
}

// decide asks for as much as is of use: to write, else to read.
func decide(rules *policy.Set, q policy.Request) policy.Verdict {
	v := rules.Decide(q)
	if v.Allowed || q.Access != daypass.Write {
		return v
	}
	q.Access = daypass.Read
	if r := rules.Decide(q); r.Allowed {
		return r
	}
	return v
}

// today asks the rules again where the repository bears another name today than
// the one that it was asked for by: hosts lead from old names to new ones, and a
// rule counts for what is there, not for what it was once called. Both have to
// allow it, and the lesser of both is given.
func (b *Broker) today(q asking, now daypass.Repo) (asking, error) {
	if err := q.ask.pass.is(now); err != nil {
		return q, err
	}
	if now.SameName(q.ask.Repo) {
		return q, nil
	}
	r := policyRequest(q.c, q.ask, q.kind)
	r.Repo, r.As, r.Access = now, q.as, q.verdict.Access
	v := decide(b.Rules, r)
	if !v.Allowed && (v.Rule != policy.Default || q.share == nil || q.share.Repo.ID != now.ID) {
		return q, denied(q.ask.Host, v.Rule, "the repository is called "+now.String()+" today")
	}
	if v.Allowed {
		q.verdict.Access, q.verdict.Max = min(v.Access, q.verdict.Access), min(v.Max, q.verdict.Max)
	}
	return q, nil
}

// refuse records a refusal and returns it, with its event and rule.
func (b *Broker) refuse(ctx context.Context, c daypass.Caller, p store.Person, ask Ask, rule string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	var r *Refusal
	if !errors.As(err, &r) {
		var problem *daypass.Problem
		if errors.As(err, &problem) {
			r = &Refusal{Problem: problem}
		} else {
			r = providerProblem(ask.Host, err).(*Refusal)
		}
	}
	out := *r
	if out.Rule == "" {
		out.Rule = cmp.Or(rule, builtIn[out.Problem.Code])
	}
	e := b.event(c, p, ask, store.Refusal)
	e.Outcome, e.Rule, e.Code, e.Why = store.Refused, out.Rule, out.Problem.Code, out.Problem.What
	if errors.Is(out.Problem, daypass.ErrUnreachable) {
		e.Outcome = store.Failed
	}
	b.observed(ask.Host, e.Outcome, false)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if id, rerr := b.Store.Record(ctx, e); rerr == nil {
		out.Event = id
	} else {
		b.Log.Error("a refusal was not recorded", "code", e.Code, "err", rerr)
	}
	return &out
}

func (b *Broker) observed(host, outcome string, cached bool) {
	if _, known := b.issuers[host]; !known {
		host = "other"
	}
	if b.Observe.Credential != nil {
		b.Observe.Credential(host, outcome, cached)
	}
}

// event fills in what every line about a request has.
func (b *Broker) event(c daypass.Caller, p store.Person, ask Ask, kind store.Kind) store.Event {
	e := store.Event{
		At: b.Now(), Kind: kind, Person: p.ID, Hub: c.User.Hub, User: c.User.Name, Server: c.Server.String(), Via: c.Via.String(),
		Host: ask.Host, Repo: ask.Repo.String(), RepoID: ask.Repo.ID, Access: ask.Access.String(), Request: ask.Request,
	}
	if ask.pass != nil {
		e = ask.pass.Named(e)
	}
	return e
}

// given describes a credential in the activity. The token itself is never
// there: the first half of its SHA-256 recognises one that was found somewhere.
func given(e store.Event, w policy.As, rule string, k *kept) store.Event {
	s := k.Credential.Scope
	e.Outcome, e.As, e.Rule, e.Account, e.Until = "ok", w.String(), rule, k.Account, s.Until
	e.Access, e.Token = s.Access.String(), k.mark
	if len(s.Repos) == 1 {
		e.RepoID = s.Repos[0].ID
	}
	return e
}

// Fingerprint names a token without showing it: the first half of its SHA-256,
// in hexadecimal.
func Fingerprint(token daypass.Secret) string {
	sum := sha256.Sum256([]byte(token.Reveal()))
	return hex.EncodeToString(sum[:16])
}

func unknownHost(host string) error {
	return &daypass.Problem{
		Code: "DP-820", What: "this access service gives nothing for " + printableHost(host),
		Next: `Use "daypass login" for that host.`, Kind: daypass.ErrRefused,
	}
}

// contentOnly: what is connected there is read by the service itself.
func contentOnly(host string) error {
	return &daypass.Problem{
		Code: "DP-741", What: "nobody is given a token for " + host + ": the access service reads content there itself", Next: `Use "daypass pull", or open a link.`, Kind: daypass.ErrRefused,
	}
}

func printableHost(host string) string {
	if !daypass.CleanHost(host) || len(host) > 255 {
		return "that host"
	}
	return host
}

// folded is a repository's name as GitHub compares it.
func folded(r daypass.Repo) string {
	return strings.ToLower(r.Owner) + "/" + strings.ToLower(r.Name)
}
