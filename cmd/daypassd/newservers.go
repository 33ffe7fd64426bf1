package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/server"
	"github.com/daypass-dev/daypass/store"
)

// firsts remembers when servers got their first credential, as the activity
// says: a person who did not start one should see it.
type firsts struct {
	mu sync.Mutex
	at map[firstKey]time.Time // zero: before the first look that saw it
}

type firstKey struct {
	person int64
	server string
}

const (
	newFor    = 24 * time.Hour
	newMemory = 90 * 24 * time.Hour // a server not used for so long is new again
	maxFirsts = 20_000
	dayPages  = 6 // of 500 lines, of one day
)

func newFirsts() *firsts { return &firsts{at: map[firstKey]time.Time{}} }

func (f *firsts) get(k firstKey) (time.Time, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, ok := f.at[k]
	return at, ok
}

func (f *firsts) put(k firstKey, at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.at) >= maxFirsts {
		clear(f.at)
	}
	f.at[k] = at
}

// newServers lists what was given its first credential in the last 24 hours.
func (f *face) newServers(ctx context.Context, c daypass.Caller) ([]server.NewServer, error) {
	p, ok, err := f.db.Person(ctx, c.User)
	if err != nil || !ok {
		return nil, err
	}
	since := f.now().Add(-newFor)
	given := store.EventFilter{Person: p.ID, Kind: store.Credential, Outcome: store.OK}
	first, err := f.firstToday(ctx, given, since)
	if err != nil {
		return nil, err
	}
	var out []server.NewServer
	for name, e := range first {
		k := firstKey{p.ID, name}
		at, known := f.firsts.get(k)
		if !known {
			before := given
			before.Server, before.Since, before.Until, before.Limit = name, since.Add(-newMemory), since, 1
			old, err := f.db.Events(ctx, before)
			if err != nil {
				return nil, err
			}
			if len(old) == 0 {
				at = e.At
			}
			f.firsts.put(k, at)
		}
		if at.Before(since) {
			continue
		}
		n := server.NewServer{Server: name, First: at}
		if e.Via != daypass.ViaServer.String() {
			n.Server = ""
		}
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b server.NewServer) int { return b.First.Compare(a.First) })
	return out, nil
}

// firstToday is the oldest credential of each server since a moment.
func (f *face) firstToday(ctx context.Context, given store.EventFilter, since time.Time) (map[string]store.Event, error) {
	given.Since, given.Limit = since, 500
	out := map[string]store.Event{}
	for range dayPages {
		list, err := f.db.Events(ctx, given)
		if err != nil {
			return nil, err
		}
		for _, e := range list { // the newest first
			out[e.Server] = e
		}
		if len(list) < given.Limit {
			break
		}
		given.Before = list[len(list)-1].ID
	}
	return out, nil
}
