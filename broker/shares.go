package broker

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/store"
)

// shares are all that hold, by repository: each request looks here first. They
// are read again when one changes, in any process, and every minute.
type shares struct {
	mu   sync.Mutex
	list map[string][]store.Share // by host and folded name
	read time.Time
	at   map[int64]standing
}

// A standing is what was last seen of whether a share still has a ground.
type standing struct {
	problem error
	at      time.Time
	repo    daypass.Repo // what was seen there, of a repository
}

const (
	sharesTTL   = time.Minute
	standingTTL = 24 * time.Hour   // of one that has a ground
	fallenTTL   = 10 * time.Minute // of one that has none
)

// drop makes the next request read them again.
func (s *shares) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = nil
}

func shareKey(host string, r daypass.Repo) string { return host + "/" + folded(r) }

// of returns the shares of one repository.
func (b *Broker) sharesOf(ctx context.Context, host string, repo daypass.Repo) ([]store.Share, error) {
	s, now := &b.shareds, b.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if age := now.Sub(s.read); s.list == nil || age > sharesTTL || age < 0 {
		all, err := b.Store.Shares(ctx, store.ShareFilter{Hub: b.Hub.ID, LiveAt: now})
		if err != nil {
			return nil, err
		}
		s.list, s.read = map[string][]store.Share{}, now
		for _, sh := range all {
			key := shareKey(sh.Host, sh.Repo)
			s.list[key] = append(s.list[key], sh)
		}
	}
	return s.list[shareKey(host, repo)], nil
}

// shared allows a way by what somebody shares with a group of the caller's. It is
// asked only where no rule said yes and none said no.
func (b *Broker) shared(ctx context.Context, c daypass.Caller, ask Ask, w way) way {
	if len(c.Groups) == 0 || len(b.Sharing) == 0 || ask.pass.whole() > policy.DefaultMaxPass {
		return w
	}
	list, err := b.sharesOf(ctx, ask.Host, ask.Repo)
	if err != nil {
		b.Log.Error("the shares could not be read", "err", err)
		return w
	}
	for i, s := range list {
		left := s.Until.Sub(b.Now())
		if left <= 0 || !slices.Contains(c.Groups, s.Group) {
			continue
		}
		w.share = &list[i]
		w.verdict = policy.Verdict{Allowed: true, Rule: "sharing", Access: daypass.Read, Max: min(left, maxHubLife), MaxPass: policy.DefaultMaxPass}
		return w
	}
	return w
}

// stands refuses what a share allows where it has lost its ground: the name is
// another repository's, whoever shared it was cut off, or their connection no
// longer shows that they administer it. That is looked at once a day.
func (b *Broker) stands(ctx context.Context, g *guarded, q asking, repo int64) error {
	if q.share == nil {
		return nil
	}
	if q.share.Repo.ID != repo {
		return denied(q.ask.Host, "sharing", "what is shared is another repository that once bore the name")
	}
	s := &b.shareds
	s.mu.Lock()
	seen, ok := s.at[q.share.ID]
	s.mu.Unlock()
	age := b.Now().Sub(seen.at)
	if ok && age >= 0 && (seen.problem == nil && age < standingTTL || seen.problem != nil && age < fallenTTL) {
		return seen.problem
	}
	err := b.ground(ctx, q)
	if err != nil && !errors.Is(err, daypass.ErrRefused) {
		return err // the provider cannot say just now
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at == nil || len(s.at) > maxPeople {
		s.at = map[int64]standing{}
	}
	s.at[q.share.ID] = standing{problem: err, at: b.Now()}
	return err
}

// ground looks at what a share stands on.
func (b *Broker) ground(ctx context.Context, q asking) error {
	p, ok, err := b.Store.PersonByID(ctx, q.share.Person)
	if err != nil {
		return storeProblem(err)
	}
	fallen := denied(q.ask.Host, "sharing", "whoever shared it can no longer be seen to administer it")
	if !ok || !p.CutAt.IsZero() {
		return fallen
	}
	_, err = b.administers(ctx, p, Ask{Host: q.ask.Host, Repo: daypass.Repo{Owner: q.share.Repo.Owner, Name: q.share.Repo.Name, ID: q.share.Repo.ID}})
	if errors.Is(err, daypass.ErrRefused) || errors.Is(err, daypass.ErrNoLogin) {
		return fallen
	}
	return err
}

// endedMeanwhile takes back what was made while the share that allowed it ended.
func (b *Broker) endedMeanwhile(ctx context.Context, q asking, row store.Child) error {
	if q.share == nil {
		return nil
	}
	now, err := b.Store.Shares(ctx, store.ShareFilter{ID: q.share.ID, LiveAt: b.Now()})
	if err == nil && len(now) == 1 {
		return nil
	}
	werr := b.Store.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error { return tx.EndChildren([]int64{row.ID}, "the share was ended") })
	b.work()
	return errors.Join(denied(q.ask.Host, "sharing", "the share was ended"), err, werr)
}
