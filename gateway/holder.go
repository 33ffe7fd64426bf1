package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/daypass-dev/daypass"
)

const (
	rememberFor   = time.Minute
	maxRemembered = 10_000
	// maxBases bounds how many indexes one may be based on, all in all.
	maxBases = 64
)

// remembered keeps for a minute what devpi said, and asks once where many want
// to know. Failures are not kept.
type remembered[T any] struct {
	mu sync.Mutex
	m  map[string]*memory[T]
}

type memory[T any] struct {
	done  chan struct{}
	value T
	err   error
	until time.Time
}

func (r *remembered[T]) start() { r.m = map[string]*memory[T]{} }

func (r *remembered[T]) get(ctx context.Context, key string, now time.Time, ask func(context.Context) (T, error)) (T, error) {
	r.mu.Lock()
	e, ok := r.m[key]
	if ok && (e.until.IsZero() || now.Before(e.until)) {
		r.mu.Unlock()
		select {
		case <-e.done:
			return e.value, e.err
		case <-ctx.Done():
			var none T
			return none, errGone
		}
	}
	if len(r.m) >= maxRemembered {
		r.sweep(now)
	}
	e = &memory[T]{done: make(chan struct{})}
	r.m[key] = e
	r.mu.Unlock()
	e.err = errStumbled
	defer func() {
		r.mu.Lock()
		e.until = now.Add(rememberFor)
		if e.err != nil && r.m[key] == e {
			delete(r.m, key)
		}
		r.mu.Unlock()
		close(e.done)
	}()
	// Others wait for this, so that it does not end with who asked first.
	e.value, e.err = ask(context.WithoutCancel(ctx))
	return e.value, e.err
}

// errStumbled is what those who wait get where the one who asks panics.
var errStumbled = errors.New("gateway: the question was not asked to its end")

// sweep makes room: what is old goes, and if nothing is, everything.
func (r *remembered[T]) sweep(now time.Time) {
	for key, e := range r.m {
		if !e.until.IsZero() && !now.Before(e.until) {
			delete(r.m, key)
		}
	}
	if len(r.m) >= maxRemembered {
		clear(r.m)
	}
}

func (r *remembered[T]) drop(key string) {
	r.mu.Lock()
	delete(r.m, key)
	r.mu.Unlock()
}

func (r *remembered[T]) forget() {
	r.mu.Lock()
	clear(r.m)
	r.mu.Unlock()
}

// A holder is whose pass it is, as devpi knows them. since is when the account
// was made, to the second; zero where devpi does not say, as of those that only a
// plugin knows.
type holder struct {
	there bool
	since time.Time
}

// has reports whether a pass is of this account, and not of one that had the name
// before. devpi's clock may be ahead of ours.
func (h holder) has(since, made time.Time) bool {
	if since.IsZero() {
		return made.IsZero() || !h.since.After(made.Add(sessionLeft))
	}
	return h.since.Equal(since)
}

// A userRecord is what of a user's record at devpi counts.
type userRecord struct {
	Result struct {
		Created time.Time `json:"created"`
	} `json:"result"`
}

// since is when the account was made. devpi has 1970 for accounts that are older
// than its own note of it.
func (u userRecord) since() time.Time {
	if at := u.Result.Created; at.Unix() > 0 {
		return at.UTC()
	}
	return time.Time{}
}

// Since asks devpi since when it has a user: what a pass is bound to that is made
// for them. Zero: devpi does not say. The error says where it has none.
func (g *Gateway) Since(ctx context.Context, user string) (time.Time, error) {
	h, err := g.askHolder(ctx, user)
	if err == nil && !h.there {
		err = holderGone(user)
	}
	return h.since, err
}

// alive asks whether devpi has the holder of a pass, and takes us for them. A user
// who was deleted less than a minute ago may still be found. Whoever has the name
// of one who was deleted holds none of their passes. Those are refused and not
// ended: a gateway that was started before another devpi by mistake would end all.
func (g *Gateway) alive(ctx context.Context, s *Shown) error {
	ask := func(ctx context.Context) (holder, error) { return g.askHolder(ctx, s.User) }
	h, err := g.holders.get(ctx, s.User, g.c.Now(), ask)
	if err == nil && !h.has(s.Since, s.Made) {
		g.holders.drop(s.User) // that may have been about the one before
		h, err = g.holders.get(ctx, s.User, g.c.Now(), ask)
	}
	switch {
	case err != nil:
		return err
	case !h.there:
		g.holders.drop(s.User) // somebody may make the account in a moment
		return holderGone(s.User)
	case h.has(s.Since, s.Made):
		return nil
	}
	return notAccepted()
}

func (g *Gateway) askHolder(ctx context.Context, user string) (holder, error) {
	who, err := g.acting.status(ctx, user)
	if err != nil {
		return holder{}, err
	}
	believed := who == g.acting.name(user)
	auth, err := g.acting.auth(ctx, user)
	if err != nil {
		return holder{}, err
	}
	var got userRecord
	status, err := g.ask(ctx, http.MethodGet, "/"+url.PathEscape(user), authHeader(auth), nil, &got)
	switch {
	case err != nil:
		return holder{}, err
	case status == http.StatusNotFound:
		return holder{there: believed && who == user}, nil
	case !believed || status != http.StatusOK:
		g.acting.refused(auth)
		return holder{}, notBelieved(g.acting.name(user))
	}
	return holder{true, got.since()}, nil
}

// believed asks devpi anew whether it takes us for a pass's holder.
func (v *visit) believed(auth daypass.Secret) bool {
	ctx := v.r.Context()
	if who, err := v.g.whois(ctx, authHeader(auth)); err != nil || who == v.g.acting.name(v.user) {
		return err == nil
	}
	v.distrust(auth)
	return false
}

func (v *visit) distrust(auth daypass.Secret) {
	v.g.acting.refused(auth)
	v.g.holders.drop(v.user)
}

// indexInfo is what of an index's configuration decides.
type indexInfo struct {
	Bases     []string  `json:"bases"`
	Upload    []string  `json:"acl_upload"`
	ToxResult []string  `json:"acl_toxresult_upload"`
	Read      *[]string `json:"acl_pkg_read"` // of a plugin; nil: everybody may
}

// index asks devpi how an index is set up, as a pass's holder. One that is not
// there has no bases.
func (g *Gateway) index(ctx context.Context, user, name string) (indexInfo, error) {
	owner, rest, ok := strings.Cut(name, "/")
	if !ok || owner == "" || rest == "" || strings.Contains(rest, "/") {
		return indexInfo{}, nil
	}
	return g.indexes.get(ctx, name, g.c.Now(), func(ctx context.Context) (indexInfo, error) {
		auth, err := g.acting.auth(ctx, user)
		if err != nil {
			return indexInfo{}, err
		}
		var got struct {
			Result indexInfo `json:"result"`
		}
		status, err := g.ask(ctx, http.MethodGet, "/"+url.PathEscape(owner)+"/"+url.PathEscape(rest)+"?no_projects=", authHeader(auth), nil, &got)
		switch {
		case err != nil:
			return indexInfo{}, err
		case status == http.StatusOK:
			return got.Result, nil
		case status == http.StatusNotFound, status == http.StatusForbidden, status == http.StatusUnauthorized:
			return indexInfo{Read: &[]string{}}, nil // nobody's, for as long as this is remembered
		}
		return indexInfo{}, upstreamOdd(errNoStatus)
	})
}

// isBase reports whether an index is a base of listed, directly or through
// others, as devpi has it now or had it a minute ago.
func (g *Gateway) isBase(ctx context.Context, user, listed, index string) (bool, error) {
	seen := []string{listed}
	for i := 0; i < len(seen); i++ {
		info, err := g.index(ctx, user, seen[i])
		if err != nil {
			return false, err
		}
		for _, base := range info.Bases {
			if base == index {
				return true, nil
			}
			if !slices.Contains(seen, base) && len(seen) < maxBases {
				seen = append(seen, base)
			}
		}
	}
	return false, nil
}

// permitted asks whether the index's own lists give a user what the service
// account would do for them. Groups do not count, as with devpi-tokens.
func (g *Gateway) permitted(ctx context.Context, user string, a action) error {
	if g.acting.name(user) == user {
		return nil
	}
	for _, index := range a.indexes {
		info, err := g.index(ctx, user, index)
		if err != nil {
			return err
		}
		for _, need := range a.needs {
			if a.target != "" && (need == "upload") != (index == a.target) {
				continue // a push reads from one and writes to the other
			}
			if !info.gives(user, index, need) {
				return notPermitted(user, index, need)
			}
		}
	}
	return nil
}

func (i indexInfo) gives(user, index, need string) bool {
	owner := strings.HasPrefix(index, user+"/")
	switch need {
	case "pkg_read":
		return i.Read == nil || owner || listed(*i.Read, user)
	case "upload":
		return listed(i.Upload, user)
	case "toxresult_upload":
		return listed(i.ToxResult, user)
	case "del_entry", "del_project", "del_verdata":
		return owner || listed(i.Upload, user)
	}
	return false
}

func listed(acl []string, user string) bool {
	return slices.ContainsFunc(acl, func(p string) bool { return p == user || p == ":ANONYMOUS:" || p == ":AUTHENTICATED:" })
}
