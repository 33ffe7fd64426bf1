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
	every(ctx, 400*time.Millisecond, func(ctx context.Context) {
		for {
			list, err := b.Store.Changes(ctx, b.changed)
			if err != nil {
				if ctx.Err() == nil {
					// What cannot be followed might have been ended.
					b.Log.Error("changes cannot be read; nothing is given from memory", "err", err)
					b.children.drop(func(childKey, *kept) bool { return true })
				}
				return
			}
			for _, c := range list {
				b.follow(ctx, c)
				b.changed = c.N
			}
			if len(list) < 1000 {
				return
			}
		}
	})
}

func (b *Broker) follow(ctx context.Context, c store.Change) {
	b.people.drop(c.Person)
	switch c.Kind {
	case "person":
		b.children.drop(func(k childKey, v *kept) bool { return k.person == c.Person || k.person == 0 && v.holds(c.Person) })
		if b.Limits.Session {
			go b.endCutOff(context.WithoutCancel(ctx), c.Person)
		}
	case "connection":
		b.children.drop(func(_ childKey, v *kept) bool { return v.Connection == c.Connection && c.Connection != 0 })
	case "child":
		b.children.drop(func(_ childKey, v *kept) bool { return v.ID == c.Child })
	case "share":
		b.shareds.drop()
	case "keys":
		if err := b.Store.Reload(); err != nil {
			b.Log.Error("the new keys cannot be read; the old ones are used on", "err", err)
		}
	}
	b.work()
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

// sweep ends connections that are too old or that nobody uses, and finishes
// refreshes that somebody began and did not finish.
func (b *Broker) sweep(ctx context.Context) {
	every(ctx, 30*time.Second, func(ctx context.Context) {
		due, err := b.Store.DueConnections(ctx, b.Now(), b.Limits.Idle)
		if err != nil {
			if ctx.Err() == nil {
				b.Log.Warn("sweep", "err", err)
			}
			return
		}
		for _, c := range b.memory.all() {
			if !c.Ends.After(b.Now()) {
				due = append(due, c)
			}
		}
		for _, c := range due {
			why := "nobody used it for " + days(b.Limits.Idle)
			if !c.Ends.IsZero() && !c.Ends.After(b.Now()) {
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
	users, err := b.Hub.Users(ctx)
	if err != nil || len(users) == 0 {
		return false
	}
	b.endStopped(ctx, users)
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
func (b *Broker) endStopped(ctx context.Context, users []HubUser) {
	list, err := b.Store.Children(ctx, store.ChildFilter{LiveAt: b.Now()})
	if err != nil {
		return
	}
	running := map[daypass.User]HubUser{}
	for _, u := range users {
		running[daypass.User{Hub: b.Hub.ID, Name: u.Name, Created: u.Created}] = u
	}
	type where struct {
		person int64
		server daypass.Server
	}
	seen := map[where]bool{}
	for _, ch := range list {
		w := where{ch.Person, ch.Server}
		if ch.Person == 0 || !ch.Server.Known || seen[w] || b.Now().Sub(ch.Created) < time.Minute {
			continue
		}
		seen[w] = true
		p, ok, err := b.Store.PersonByID(ctx, ch.Person)
		if err != nil || !ok {
			continue
		}
		u, ok := running[p.User]
		if ok && u.Running && !slices.Contains(u.Servers, ch.Server.Name) {
			if err := b.serverEnded(ctx, p, ch.Server, "its server runs no more"); err != nil {
				b.Log.Warn("a stopped server", "err", err)
			}
		}
	}
}

// endGone ends people whom the hub does not know any more: at the second look,
// a day after the first, and never on a list that has lost half of its people,
// as after a restored database.
func (b *Broker) endGone(ctx context.Context, users []HubUser) {
	known := map[daypass.User]bool{}
	for _, u := range users {
		known[daypass.User{Hub: b.Hub.ID, Name: u.Name, Created: u.Created}] = true
	}
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
	missing := 0
	for _, p := range all {
		if !known[p.User] {
			missing++
		}
	}
	if 2*missing > len(all) && len(all) > 3 {
		b.Log.Error("the hub's list lacks more than half of the people; nobody is ended by it", "people", len(all), "missing", missing)
		return
	}
	for _, p := range all {
		b.lookFor(ctx, p, known[p.User])
	}
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
