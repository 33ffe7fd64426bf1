package broker

import (
	"context"
	"slices"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/store"
)

// followChanges drops from memory what this or another process has ended. What
// an admin revokes is so without effect within a second, in every process.
func (b *Broker) followChanges(ctx context.Context) {
	every(ctx, followEvery, func(ctx context.Context) { b.changes.look(ctx) })
}

// forget drops from memory all that the store or a provider can be asked again.
func (b *Broker) forget() {
	b.people.clear()
	b.children.drop(func(childKey, *kept) bool { return true })
	b.rights.clear()
	b.linked.forget(0)
}

func (b *Broker) follow(ctx context.Context, c store.Change) {
	switch c.Kind {
	case "allow":
		b.people.drop(c.Person)
		b.linked.forget(c.Person)
	case "hold":
		b.forgetHolder(c.Person)
	case "person":
		b.people.drop(c.Person)
		b.holders.drop(c.Person)
		b.linked.forget(c.Person)
		if b.Sources.Ended != nil {
			b.Sources.Ended()
		}
		b.children.drop(func(k childKey, v *kept) bool { return k.person == c.Person || k.person == 0 && v.holds(c.Person) })
		if b.Limits.Session {
			go b.endCutOff(context.WithoutCancel(ctx), c.Person)
		}
	case "connection":
		b.children.drop(func(_ childKey, v *kept) bool { return v.Connection == c.Connection && c.Connection != 0 })
	case "pass":
		if b.Limits.Session {
			ctx := context.WithoutCancel(ctx)
			go b.endMemoryChildren(ctx, c.Person, func(ch store.Child) bool { return b.passEnded(ctx, ch) })
		}
	case "child":
		b.children.drop(func(_ childKey, v *kept) bool { return v.ID == c.Child })
	case "share":
		b.shareds.drop()
	case "link", "enrol":
		b.linked.drop()
	case "keys":
		if err := b.Store.Reload(); err != nil {
			b.Log.Error("the new keys cannot be read; the old ones are used on", "err", err)
		}
	}
	b.work()
}

// passEnded reports whether a child was made by a pass that has ended since, or
// was narrowed from one that has. What cannot be asked has.
func (b *Broker) passEnded(ctx context.Context, ch store.Child) bool {
	return ch.Pass != "" && b.endedOf(ctx, ch.Pass)(ch)
}

// endedOf is passEnded for the children of one pass.
func (b *Broker) endedOf(ctx context.Context, id string) func(store.Child) bool {
	realm := b.book.realm(bookKey{})
	row, err := b.Store.Pass(ctx, realm, "", id)
	whole := err != nil || !row.Ended.IsZero()
	links, err := b.Store.EndedLinks(ctx, realm, "", id)
	return func(ch store.Child) bool {
		return ch.Pass == id && (whole || err != nil || slices.ContainsFunc(links, func(l store.EndedLink) bool { return ch.MadeUnder(l.Link) }))
	}
}

// endCutOff ends the connections in this process's memory of somebody whom
// another process cut off.
func (b *Broker) endCutOff(ctx context.Context, person int64) {
	p, ok, err := b.Store.PersonByID(ctx, person)
	if err != nil || !ok || p.CutAt.IsZero() {
		return
	}
	conns, _ := b.ledger().list(ctx, person) // a memory has no errors
	for _, c := range conns {
		if _, err := b.end(ctx, c, "cut off by "+p.CutBy, connEvent(c, store.Disconnected, b.Now())); err != nil {
			b.Log.Warn("a connection of somebody who was cut off", "err", err)
		}
	}
}

// sweepMost is how many stored connections one sweep ends. On the first day that
// many people come back this is no bound; where the database's clock leapt, it
// leaves somebody the time to see it.
const sweepMost = 50

// sweep ends connections that are too old or that nobody uses, and finishes
// refreshes that somebody began and did not finish.
func (b *Broker) sweep(ctx context.Context) {
	every(ctx, 30*time.Second, func(ctx context.Context) {
		due, err := b.Store.DueConnections(ctx, b.Limits.Idle, sweepMost)
		if err != nil {
			if ctx.Err() == nil {
				b.Log.Warn("sweep", "err", err)
			}
			return
		}
		if len(due) == sweepMost {
			b.Log.Error("many connections are past their time at once; if that is not so, look at the database's clock", "ended now", sweepMost, "every", 30*time.Second)
		}
		for _, c := range b.memory.all() {
			if !c.Ends.After(b.Now()) {
				due = append(due, c)
			}
		}
		for _, c := range due {
			why := "nobody used it for " + days(b.Limits.Idle)
			if idle := c.Used.Add(b.Limits.Idle); !c.Ends.IsZero() && c.Ends.Before(idle) {
				why = "it was " + days(c.Ends.Sub(c.Created)) + " old"
			}
			if _, err := b.end(ctx, c, why, connEvent(c, store.Disconnected, b.Now())); err != nil {
				b.Log.Warn("a connection was not ended", "connection", c.ID, "err", err)
			}
		}
		b.finishInterrupted(ctx)
		if _, err := b.Store.Sweep(ctx, b.Now()); err != nil && ctx.Err() == nil {
			b.Log.Warn("sweep", "err", err)
		}
	})
}

func days(d time.Duration) string {
	if d >= 48*time.Hour {
		return (d / (24 * time.Hour) * 24 * time.Hour).String()
	}
	return d.String()
}

// finishInterrupted tries the stored refresh token of a connection whose
// refresher died, once: either the provider never saw it, or it says so.
func (b *Broker) finishInterrupted(ctx context.Context) {
	list, err := b.Store.InterruptedConnections(ctx)
	if err != nil {
		return
	}
	for _, c := range list {
		if g, ok := b.issuers[c.Host]; ok && ctx.Err() == nil {
			if _, _, err := b.refresh(ctx, g, stored{b.Store}, c); err != nil {
				b.Log.Info("an interrupted refresh", "connection", c.ID, "err", err)
			}
		}
	}
}

// reconcile compares the people in the store with the hub's list: every few
// minutes for servers that were stopped, once a day for people who are gone.
func (b *Broker) reconcile(ctx context.Context) {
	if b.Hub.Users == nil {
		return
	}
	var last time.Time
	every(ctx, time.Minute, func(ctx context.Context) {
		day := b.Now().Sub(last) >= 24*time.Hour
		if b.compare(ctx, day) && day {
			last = b.Now()
		}
	})
}

// compare looks at the hub's list once; day also looks for people who are gone.
// It returns false where the hub says nothing: one that is down, or new, says
// nothing about anybody, and neither does one that lists less than half of what
// it listed before.
func (b *Broker) compare(ctx context.Context, day bool) bool {
	// Before the hub is asked: what is held by now had a server.
	holders, err := b.Store.Holders(ctx, b.Now())
	if err != nil {
		return false
	}
	users, err := b.Hub.Users(ctx)
	if err != nil || len(users) == 0 {
		return false
	}
	b.endStopped(ctx, users, holders)
	b.endPassesOfStopped(ctx, users)
	if !day {
		return true
	}
	if 2*len(users) < b.listed {
		b.Log.Error("the hub lists less than half of what it listed before; nobody is ended by it", "now", len(users), "before", b.listed)
		return true
	}
	b.listed = len(users)
	b.endGone(ctx, users)
	return true
}

// endStopped ends what servers hold that run no more, where the hook that tells
// it at once did not.
// Who was given one of the hub's own tokens may have been given it a moment ago,
// so their server has to be missing twice.
func (b *Broker) endStopped(ctx context.Context, users []HubUser, holders []store.Holder) {
	list, err := b.Store.Children(ctx, store.ChildFilter{LiveAt: b.Now()})
	if err != nil {
		return
	}
	hub := b.roster(users)
	seen, quiet := map[holder]bool{}, map[holder]bool{}
	look := func(h holder, sure bool) {
		if h.person == 0 || !h.server.Known || seen[h] {
			return
		}
		p, ok, err := b.Store.PersonByID(ctx, h.person)
		if err != nil || !ok {
			return
		}
		u, ok := hub.find(p.User)
		if !ok || !u.Running || slices.Contains(u.Servers, h.server.Name) {
			return
		}
		if quiet[h] = true; !sure && !b.quiet[h] {
			return
		}
		seen[h] = true
		if err := b.serverEnded(ctx, p, h.server, "its server runs no more"); err != nil {
			b.Log.Warn("a stopped server", "err", err)
		}
	}
	for _, ch := range list {
		if b.Now().Sub(ch.Created) >= time.Minute {
			look(holder{ch.Person, ch.Server}, true)
		}
	}
	for _, h := range holders {
		look(holder{h.Person, h.Server}, false)
	}
	b.quiet = quiet
}

// endPassesOfStopped ends passes whose server runs no more, or was started anew,
// where the hook that tells it at once did not.
func (b *Broker) endPassesOfStopped(ctx context.Context, users []HubUser) {
	list, err := b.book.List(ctx, store.PassFilter{LiveAt: b.Now(), Limit: maxServerPasses})
	if err != nil {
		return
	}
	hub := b.roster(users)
	stopped := map[int64][]store.Pass{}
	for _, row := range list {
		if row.Server.Known && b.Now().Sub(row.Created) >= time.Minute {
			stopped[row.Person] = append(stopped[row.Person], row)
		}
	}
	for person, rows := range stopped {
		p, ok, err := b.Store.PersonByID(ctx, person)
		if err != nil || !ok {
			continue
		}
		u, ok := hub.find(p.User)
		if !ok || !u.Running {
			continue
		}
		rows = slices.DeleteFunc(rows, func(row store.Pass) bool {
			at, told := u.Started[row.Server.Name]
			return slices.Contains(u.Servers, row.Server.Name) && (!told || at.Unix() == row.Started.Unix())
		})
		if err := b.endPasses(ctx, p, rows, "its server runs no more, or was started anew"); err != nil {
			b.Log.Warn("passes of a stopped server", "err", err)
		}
	}
}

// maxServerPasses bounds one look at the passes of servers.
const maxServerPasses = 100_000

// endPasses ends some passes of a person's.
func (b *Broker) endPasses(ctx context.Context, p store.Person, rows []store.Pass, why string) error {
	if len(rows) == 0 {
		return nil
	}
	err := b.Store.Write(ctx, func(tx *store.Tx) error {
		for _, row := range rows {
			ok, err := tx.EndPass(row.Realm, row.User, row.ID, why)
			if err != nil {
				return err
			}
			if ok {
				e := store.Event{Person: p.ID, Hub: p.User.Hub, User: p.User.Name, Server: row.Server.String()}
				b.book.recordEnd(tx, e, row, why)
			}
		}
		return nil
	})
	b.passesEnded(ctx, p.ID, rows...)
	return storeProblem(err)
}

// A roster is the hub's list, by what it says of its users for good.
type roster struct {
	exact   map[daypass.User]HubUser
	created map[int64][]HubUser // by microseconds: more than one where they were made at once
}

func (b *Broker) roster(users []HubUser) roster {
	r := roster{map[daypass.User]HubUser{}, map[int64][]HubUser{}}
	for _, u := range users {
		r.exact[daypass.User{Hub: b.Hub.ID, Name: u.Name, Created: u.Created.UTC()}] = u
		r.created[u.Created.UnixMicro()] = append(r.created[u.Created.UnixMicro()], u)
	}
	return r
}

// find looks for a user, also by another name where nobody else was made at that
// moment.
func (r roster) find(who daypass.User) (HubUser, bool) {
	who.Created = who.Created.UTC()
	if u, ok := r.exact[who]; ok {
		return u, true
	}
	if same := r.created[who.Created.UnixMicro()]; len(same) == 1 {
		return same[0], true
	}
	return HubUser{}, false
}

// endGone ends people whom the hub does not know any more: at the second look,
// a day after the first, and never on a list that has lost half of its people,
// as after a restored database.
func (b *Broker) endGone(ctx context.Context, users []HubUser) {
	hub := b.roster(users)
	var all []store.Person
	for after := int64(0); ; {
		page, err := b.Store.People(ctx, store.PeopleFilter{Hub: b.Hub.ID, After: after, Limit: 1000})
		if err != nil {
			return
		}
		all = append(all, page...)
		if len(page) < 1000 {
			break
		}
		after = page[len(page)-1].ID
	}
	known, missing := map[int64]bool{}, 0
	for _, p := range all {
		u, ok := hub.find(p.User)
		if ok && u.Name != p.User.Name {
			ok = b.rename(ctx, p, u.Name)
		}
		if known[p.ID] = ok; !ok {
			missing++
		}
	}
	if 2*missing > len(all) && len(all) > 3 {
		b.Log.Error("the hub's list lacks more than half of the people; nobody is ended by it", "people", len(all), "missing", missing)
		return
	}
	for _, p := range all {
		b.lookFor(ctx, p, known[p.ID])
	}
}

// rename follows the hub where it gave somebody another name. False: another row
// has that name, so this one is nobody's.
func (b *Broker) rename(ctx context.Context, p store.Person, name string) bool {
	_, taken, err := b.Store.Person(ctx, daypass.User{Hub: p.User.Hub, Name: name, Created: p.User.Created})
	if err != nil || taken {
		return !taken
	}
	if err := b.Store.Write(ctx, func(tx *store.Tx) error { return tx.RenamePerson(p.ID, name) }); err != nil {
		b.Log.Warn("a user who was renamed", "person", p.ID, "err", err)
		return true
	}
	b.people.drop(p.ID)
	b.Log.Info("a user was renamed", "hub", p.User.Hub, "from", p.User.Name, "to", name)
	return true
}

func (b *Broker) lookFor(ctx context.Context, p store.Person, known bool) {
	now := b.Now()
	switch {
	case known && p.MissedAt.IsZero():
		return
	case known:
		now = time.Time{}
	case !p.MissedAt.IsZero() && now.Sub(p.MissedAt) >= 24*time.Hour:
		if _, err := b.cutOff(ctx, p, "the hub, where this user is gone"); err != nil {
			b.Log.Warn("a user who is gone", "person", p.ID, "err", err)
			return
		}
		if err := b.Store.Write(ctx, func(tx *store.Tx) error { return tx.ErasePerson(p.ID) }); err != nil {
			b.Log.Warn("a user who is gone", "person", p.ID, "err", err)
		}
		return
	case !p.MissedAt.IsZero():
		return
	}
	if err := b.Store.Write(ctx, func(tx *store.Tx) error { return tx.MarkMissed(p.ID, now) }); err != nil {
		b.Log.Warn("a missing user", "person", p.ID, "err", err)
	}
}
