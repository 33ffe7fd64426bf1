package main

import (
	"context"
	"errors"
	"time"

	"golang.org/x/time/rate"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/depot"
	"github.com/daypass-dev/daypass/snapshot"
)

// How many snapshots that nobody has asked for yet one person may have made: each reads
// a source whole and has its room on the disk. Other paths and other large files of the
// same source are such.
const (
	newAtOnce = 20
	newEvery  = 3 * time.Minute
)

// get brings what somebody asked for. Large files that were asked for by patterns are
// found in what is there without them: two sets of patterns that mean the same files
// are one snapshot, and those that mean none are the one that everybody has.
func (r *readers) get(ctx context.Context, c daypass.Caller, y broker.Reading, include []string) (depot.Version, error) {
	k := keyOf(y)
	v, err := r.got(ctx, c, y, k, nil)
	if err != nil || len(include) == 0 {
		return v, err
	}
	if k = r.including(k, include); len(k.Include) == 0 {
		return v, nil
	}
	return r.got(ctx, c, y, k, include)
}

func (r *readers) got(ctx context.Context, c daypass.Caller, y broker.Reading, k depot.Key, include []string) (depot.Version, error) {
	if !r.depot.Kept(k) && !r.fresh(c.User) {
		return depot.Version{}, manyNew()
	}
	return r.depot.GetFor(ctx, askerOf(c, y), k, y.MaxAge, r.fetch(y, include))
}

func askerOf(c daypass.Caller, y broker.Reading) depot.Asker {
	return depot.Asker{Name: c.User.Name, Chose: y.Chose}
}

// including is a key with those large files that patterns mean.
func (r *readers) including(k depot.Key, include []string) depot.Key {
	if len(include) == 0 {
		return k
	}
	base := k
	for _, path := range r.depot.Over(base) {
		if snapshot.Included(include, path) {
			k.Include = append(k.Include, path)
		}
	}
	return k
}

// fresh counts what is new, by who asks first.
func (r *readers) fresh(u daypass.User) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.news == nil || len(r.news) >= maxPaces {
		r.news = map[string]*rate.Limiter{}
	}
	if r.news[u.Name] == nil {
		r.news[u.Name] = rate.NewLimiter(rate.Every(newEvery), newAtOnce)
	}
	return r.news[u.Name].AllowN(r.now(), 1)
}

var errManyNew = errors.New("too many snapshots were begun")

func manyNew() error {
	return &daypass.Problem{
		Code: "DP-484", What: "Many sources, or parts of them, that nobody had read before were asked for in your name in a short time", Kind: daypass.ErrUnreachable, Err: errManyNew,
		Next: "Try again in a few minutes. What was read already can be pulled all the same.", Who: "If it is not you, look at your activity.",
	}
}
