package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/store"
)

// A Probe finds out, with a connection that is there for it, what a provider
// leaves undocumented about children and their parents.
type Probe struct {
	Person int64
	Host   string
	By     string // who runs it, for the activity
	// Make makes one child, however wide it comes out. It ends what it does not return.
	Make func(ctx context.Context, access daypass.Secret, scope daypass.Scope) (Trial, error)
}

// A Trial is a child that is looked at and revoked, and given to nobody.
type Trial struct {
	Token     daypass.Secret
	Ends      time.Time // daypass.Forever: the provider names no end
	Selection string    // the provider's word for which repositories it is for
	Exact     bool      // it reaches what was asked for, and nothing else
}

// Findings are what a [Probe] has seen.
type Findings struct {
	Repo       daypass.Repo
	First      Trial     // the first child, without its token
	Parent     time.Time // when the connection's own access token would have ended
	Made, Live int       // children that were made, and those of them that lived before the refresh
	ParentLive bool      // the access token lived then too
	Survived   int       // of Live, after the refresh
	Left       int       // tokens that could not be revoked yet; that is noted, and done later
}

const (
	// trials is one more than the ten tokens that GitHub documents for one person
	// and App.
	trials     = 11
	probeLease = 5 * time.Minute
	probeWhy   = "made to look at what the App does"
)

// Probe renews the connection and ends all that was made of it. No other process
// uses or renews the connection meanwhile: it is leased. Every token that is made
// is noted to be revoked before it is looked at.
func (b *Broker) Probe(ctx context.Context, p Probe) (Findings, error) {
	g, ok := b.issuers[p.Host]
	if !ok {
		return Findings{}, unknownHost(p.Host)
	}
	led := stored{b.Store}
	conn, err := led.find(ctx, p.Person, p.Host)
	if err != nil {
		return Findings{}, gone(p.Host, err)
	}
	// Now, so that the one refresh below is of a token that still lives.
	if conn, _, err = b.access(ctx, g, led, conn); err != nil {
		return Findings{}, err
	}
	l := lease{fmt.Sprint(b.Process, "-", b.leases.Add(1)), time.Now().Add(probeLease)}
	if ok, err = led.lease(ctx, conn, l.owner, probeLease); err != nil || !ok {
		return Findings{}, errors.Join(storeProblem(err), providerProblem(p.Host, errors.New("the connection is being renewed")))
	}
	t := &probing{b: b, g: g, led: led, Probe: p, conn: conn, lease: l}
	err = t.run(ctx)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	err = errors.Join(err, t.tidy(end))
	return t.found, err
}

// A probing is a probe that is under way.
type probing struct {
	Probe
	b     *Broker
	g     *guarded
	led   stored
	conn  store.Connection
	grant daypass.Grant
	lease lease
	made  []daypass.Secret
	found Findings
}

func (t *probing) run(ctx context.Context) error {
	var err error
	if t.grant, err = t.led.grant(ctx, t.conn); err != nil {
		return storeProblem(err)
	}
	t.found.Parent = t.grant.Until
	if err := t.endOthers(ctx); err != nil {
		return err
	}
	scope, err := t.scope(ctx)
	if err != nil {
		return err
	}
	if err := t.crowd(ctx, scope); err != nil {
		return err
	}
	var before []daypass.Secret
	for _, token := range t.made {
		live, err := t.live(ctx, token)
		if err != nil {
			return err
		}
		if live {
			before = append(before, token)
		}
	}
	t.found.Made, t.found.Live = len(t.made), len(before)
	if t.found.ParentLive, err = t.live(ctx, t.grant.Access); err != nil {
		return err
	}
	if t.conn, t.grant, err = t.b.refreshOwned(ctx, t.g, t.led, t.conn, t.lease); err != nil {
		return err
	}
	for _, token := range before {
		live, err := t.live(ctx, token)
		if err != nil {
			return err
		}
		if live {
			t.found.Survived++
		}
	}
	return nil
}

// endOthers ends what servers hold of the connection: it would count, too.
func (t *probing) endOthers(ctx context.Context) error {
	list, err := t.led.children(ctx, t.conn, t.b.Now())
	if err != nil {
		return storeProblem(err)
	}
	for _, ch := range list {
		token, err := t.led.childToken(ctx, ch)
		if err == nil {
			err = t.revoke(ctx, token)
		}
		if werr := t.led.endChildren(ctx, []int64{ch.ID}, "an admin looked at what the App does", err == nil); werr != nil {
			return storeProblem(werr)
		}
	}
	return nil
}

// scope is reading the first repository in reach.
func (t *probing) scope(ctx context.Context) (daypass.Scope, error) {
	var rights []daypass.Right
	err := t.g.call(ctx, "reach", func(ctx context.Context) error {
		var err error
		rights, _, err = t.g.Reach(ctx, t.grant.Access, 20)
		return err
	})
	if err != nil {
		return daypass.Scope{}, providerProblem(t.Host, err)
	}
	for _, r := range rights {
		if r.Access >= daypass.Read && r.Repo.ID > 0 {
			t.found.Repo = r.Repo
			return daypass.Scope{Host: t.Host, Repos: []daypass.Repo{r.Repo}, Access: daypass.Read}, nil
		}
	}
	return daypass.Scope{}, &daypass.Problem{
		Code: "DP-969", What: "the App reaches no repository of this account at " + t.Host, Why: "a token for one repository needs one",
		Next: "Install the App on a repository of the test account, and run this again.", Kind: daypass.ErrRefused,
	}
}

// crowd makes children until the provider ends one, or the parent.
func (t *probing) crowd(ctx context.Context, scope daypass.Scope) error {
	for n := range trials {
		var child Trial
		err := t.g.call(ctx, "narrow", func(ctx context.Context) error {
			var err error
			child, err = t.Make(ctx, t.grant.Access, scope)
			return err
		})
		if errors.Is(err, daypass.ErrSpent) && n > 0 {
			return nil // the parent has ended: that is a finding
		}
		if err != nil {
			return providerProblem(t.Host, err)
		}
		if err := t.note(ctx, child.Token); err != nil {
			return err
		}
		if n == 0 {
			t.found.First = child
			t.found.First.Token = daypass.Secret{}
		}
		first, err := t.live(ctx, t.made[0])
		if err != nil || !first {
			return err
		}
	}
	return nil
}

// note writes down that a token has to be revoked, should this process end.
func (t *probing) note(ctx context.Context, token daypass.Secret) error {
	t.made = append(t.made, token)
	return storeProblem(t.b.Store.Write(ctx, func(tx *store.Tx) error {
		return tx.AddTodo(store.Todo{Kind: store.RevokeToken, Host: t.Host, Person: t.Person, Token: token, Due: t.b.Now().Add(2 * probeLease), Why: probeWhy})
	}))
}

func (t *probing) live(ctx context.Context, token daypass.Secret) (live bool, err error) {
	err = t.g.call(ctx, "live", func(ctx context.Context) error {
		var err error
		live, err = t.g.Live(ctx, token)
		return err
	})
	if err != nil {
		return false, providerProblem(t.Host, err)
	}
	return live, nil
}

func (t *probing) revoke(ctx context.Context, token daypass.Secret) error {
	return t.g.call(ctx, "revoke", func(ctx context.Context) error {
		if err := t.g.Revoke(ctx, token); !errors.Is(err, daypass.ErrSpent) {
			return err
		}
		return nil
	})
}

// tidy gives the lease back and revokes what was made.
func (t *probing) tidy(ctx context.Context) error {
	err := t.led.release(ctx, t.conn, t.lease.owner) // nothing, where it was renewed
	for _, token := range t.made {
		if rerr := t.revoke(ctx, token); rerr != nil {
			t.found.Left++
		}
	}
	t.b.children.drop(func(_ childKey, k *kept) bool { return k.Connection == t.conn.ID })
	todos, terr := t.b.Store.Todos(ctx)
	return storeProblem(errors.Join(err, terr, t.b.Store.Write(ctx, func(tx *store.Tx) error {
		for _, todo := range todos {
			if t.found.Left == 0 && todo.Person == t.Person && todo.Host == t.Host && todo.Why == probeWhy {
				if err := tx.DoneTodo(todo.ID); err != nil {
					return err
				}
			}
		}
		e := connEvent(t.conn, store.Revoke, t.b.Now())
		e.Outcome, e.Why = store.OK, fmt.Sprintf("%s looked at what the App does: %d tokens were made and revoked", t.By, len(t.made))
		tx.Record(e)
		return nil
	})))
}
