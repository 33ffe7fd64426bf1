package broker

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pass"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/store"
)

const noEnd = policy.NoEnd

// A NewPass is a pass that is to be made.
type NewPass struct {
	Person  int64          // of a hub: whose
	User    string         // of an index: the devpi user
	Server  daypass.Server // the pass ends with this server of Person's; zero: with none
	Started time.Time      // when that server was started, needed where Server is given; of an index: when User was made there, zero if not known
	Label   string
	Via     string      // as of [store.Pass]
	By      string      // who asked, where that is another than whose it is
	Limits  pass.Limits // Expires is needed; daypass.Forever is no end
	Event   store.Event // what the event says of who asked
}

// A Minted is a pass that was made, in the only place that ever holds it.
type Minted struct {
	Text  daypass.Secret
	Row   store.Pass
	Event store.EventID
}

// A draft is a pass with its key before anybody has it.
type draft struct {
	row  store.Pass
	key  []byte
	text daypass.Secret
}

// Mint makes a pass. Its row and the event of its making are durable when it
// returns. The error is a [Refusal] where a limit cannot be written, or the person
// is cut off.
func (b *PassBook) Mint(ctx context.Context, n NewPass) (Minted, error) {
	return b.mint(ctx, n, func(*store.Tx) error { return nil })
}

// mint is Mint, with what else belongs into the transaction.
func (b *PassBook) mint(ctx context.Context, n NewPass, also func(*store.Tx) error) (Minted, error) {
	var out Minted
	for tries := 0; ; tries++ {
		d, err := b.draft(n)
		if err != nil {
			return Minted{}, err
		}
		err = b.Store.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
			if err := also(tx); err != nil {
				return err
			}
			var err error
			out, err = b.put(tx, n, d)
			return err
		})
		if errors.Is(err, store.ErrTaken) && tries < 3 {
			continue
		}
		if errors.Is(err, store.ErrNone) {
			err = holderGone()
		}
		if err != nil {
			return Minted{}, storeProblem(err)
		}
		return out, nil
	}
}

func (b *PassBook) draft(n NewPass) (draft, error) {
	n.Limits.Expires = whole(n.Limits.Expires)
	if n.Limits.Expires.IsZero() || n.Server.Known && n.Started.IsZero() {
		return draft{}, errNoEnd
	}
	caveats, err := n.Limits.Caveats()
	if err != nil {
		return draft{}, badLimit(err)
	}
	if n.Server.Known {
		// By itself, beside those that were asked for: both have to be met.
		caveats = append(caveats, "dp:server="+pass.ServerItem(n.Server.Name, n.Started))
	}
	if !n.Limits.Expires.After(b.Now()) || !n.Limits.NotBefore.Before(n.Limits.Expires) {
		return draft{}, badLimit(errNeverGood)
	}
	id, err := pass.NewID(b.Rand)
	if err != nil {
		return draft{}, err
	}
	key := make([]byte, 32)
	if _, err := io.ReadFull(b.Rand, key); err != nil {
		return draft{}, err
	}
	k := bookKey{user: n.User, id: id}
	p, err := pass.Mint(pass.NewKey(key), pass.Identity{Realm: b.Realm, User: n.User, ID: id}, caveats...)
	if err != nil {
		return draft{}, badLimit(err)
	}
	return draft{key: key, text: p.Text(p.Form()), row: store.Pass{
		Realm: b.realm(k), User: n.User, ID: id, Person: n.Person, Server: n.Server, Started: n.Started, Label: n.Label,
		Via: n.Via, By: n.By, Caveats: caveats, Until: n.Limits.Expires,
	}}, nil
}

// put writes a draft down, with the event of its making.
func (b *PassBook) put(tx *store.Tx, n NewPass, d draft) (Minted, error) {
	row, err := tx.PutPass(d.row, d.key)
	if err != nil {
		return Minted{}, err
	}
	e := n.Event
	if e.Kind == "" {
		e.Kind = store.PassMade
	}
	if e.At.IsZero() {
		e.At = b.Now()
	}
	e.Person, e.Outcome, e.Until, e.Realm, e.Pass = row.Person, store.OK, row.Until, row.Realm, ref(row)
	if e.User == "" {
		e.User = row.User
	}
	why := slices.Clone(row.Caveats)
	if row.Label != "" {
		why = slices.Insert(why, 0, "called "+quoted(row.Label))
	}
	e.Why = strings.Join(why, "; ")
	return Minted{Text: d.text, Row: row, Event: tx.Record(e)}, nil
}

func quoted(label string) string {
	if label == "" {
		return "nothing"
	}
	return "“" + label + "”"
}

var errNeverGood = errors.New("it would end before it begins, or has ended already")

// badLimit says what of the limits cannot be written.
func badLimit(err error) error {
	return &Refusal{Problem: &daypass.Problem{
		Code: "DP-171", What: "a pass with these limits cannot be made", Why: strings.TrimPrefix(err.Error(), "pass: "),
		Next: "Correct that limit.", Kind: daypass.ErrUsage, Err: err,
	}}
}

// holderGone is the answer where the person of a pass is no longer there, or was
// cut off.
func holderGone() error {
	return &Refusal{Problem: &daypass.Problem{
		Code: "DP-173", What: "whoever this pass belongs to has no access here any more",
		Next: "Sign in on the page of your access; if you were given another name at the hub, the pass is good again after it.",
		Who:  "The hub's admins.", Kind: daypass.ErrRefused,
	}}
}

// Import takes over a token of a devpi server's own devpi-tokens: its user, its
// id of eight characters, since when there is that user (zero: not known), its root
// key and its first caveats. store.ErrTaken: it was taken over before.
func (b *PassBook) Import(ctx context.Context, user, id string, since time.Time, root []byte, caveats []string) error {
	if !b.Plugin || b.Realm.Kind != pass.Index {
		return errors.New("broker: this book takes no tokens of devpi-tokens")
	}
	p, err := pass.Mint(pass.NewKey(root), pass.Identity{Realm: pass.Realm{Kind: pass.Plugin}, User: user, ID: id}, caveats...)
	if err != nil {
		return badLimit(err)
	}
	rights, _ := p.Effective()
	if !rights.Expires.After(b.Now()) {
		return badLimit(errNeverGood)
	}
	k := bookKey{true, user, id}
	err = b.Store.Write(ctx, func(tx *store.Tx) error {
		row, err := tx.PutPass(store.Pass{
			Realm: b.realm(k), User: user, ID: id, Started: since, Label: "from devpi-tokens", Via: "import", Caveats: caveats, Until: rights.Expires,
		}, root)
		if err == nil {
			tx.Record(store.Event{At: b.Now(), Kind: store.PassMade, User: user, Via: row.Via, Outcome: store.OK, Until: row.Until,
				Realm: row.Realm, Pass: ref(row), Why: strings.Join(append([]string{"taken over from devpi-tokens"}, caveats...), "; ")})
		}
		return err
	})
	if errors.Is(err, store.ErrTaken) {
		return err
	}
	return storeProblem(err)
}
