package broker

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/daypass-dev/daypass/store"
)

const (
	// followEvery: what one process ends is so in every other within half a second.
	followEvery = 400 * time.Millisecond
	// longUnseen is half of the time for which changes are kept.
	longUnseen = 30 * time.Minute
)

// A follower reads what this and other processes changed in the store.
type follower struct {
	db     *store.DB
	log    *slog.Logger
	now    func() time.Time
	forget func()                              // all that was remembered
	follow func(context.Context, store.Change) // one change
	seen   int64                               // the last change
	looked time.Time                           // when changes were read last
}

// start begins with what is there.
func (f *follower) start(ctx context.Context) error {
	last, err := f.db.LastChange(ctx)
	if err != nil {
		return fmt.Errorf("read the store: %w", err)
	}
	f.seen, f.looked = last, f.now().Round(0)
	f.forget() // from before the first look
	return nil
}

// look reads once, and reports whether that went well. What cannot be followed
// might have been ended.
func (f *follower) look(ctx context.Context) bool {
	err := f.some(ctx)
	if err != nil && ctx.Err() == nil {
		f.log.Error("changes cannot be read; nothing is given from memory", "err", err)
		f.forget()
	}
	return err == nil
}

// some reads until there is nothing more. Whoever has not looked for long, by the
// clock on the wall, which goes on while a machine sleeps, or finds that changes
// were taken away unseen, cannot know what has ended, and forgets all.
func (f *follower) some(ctx context.Context) error {
	at := f.now().Round(0) // from before reading: a machine may fall asleep on the way
	if unseen := at.Sub(f.looked); unseen > longUnseen || unseen < -longUnseen {
		f.log.Warn("changes were not looked at for long; all that was in memory is looked up again", "for", unseen)
		f.forget()
	}
	for {
		list, err := f.db.Changes(ctx, f.seen)
		if err != nil {
			return err
		}
		if len(list) > 0 && list[0].N > f.seen+1 {
			first, err := f.db.FirstChange(ctx)
			if err != nil {
				return err
			}
			if first > f.seen+1 {
				f.log.Warn("changes were taken away unseen; all that was in memory is looked up again")
				f.forget()
			}
		}
		for _, c := range list {
			f.follow(ctx, c)
			f.seen = c.N
		}
		if len(list) < 1000 {
			f.looked = at
			return nil
		}
	}
}
