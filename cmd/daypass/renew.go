package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/provider/github"
	"github.com/daypass-dev/daypass/wallet"
)

// renewMargin is how long before its end a credential is renewed: a push that
// takes long must not lose its token on the way.
const renewMargin = time.Minute

// renewed returns e, or what follows it where e is about to end and the user
// asked for renewal at login.
func (a *app) renewed(ctx context.Context, w *wallet.Wallet, e wallet.Entry) (wallet.Entry, error) {
	if e.Credential.Usable(a.now(), renewMargin) || !a.mayRenew(e) {
		return a.stillGood(w, e)
	}
	unlock, err := w.Lock(ctx, "renew-"+e.Credential.Scope.Host)
	if err != nil {
		return wallet.Entry{}, walletProblem(err)
	}
	defer unlock()
	// Somebody else may have renewed while we waited: a refresh token is good
	// once, and all who need the new credential get that one.
	if now, ok, err := again(w, e); err != nil {
		return wallet.Entry{}, walletProblem(err)
	} else if !ok || now.Credential.Usable(a.now(), renewMargin) || !a.mayRenew(now) {
		return a.stillGood(w, first2(ok, now, e))
	} else {
		e = now
	}
	return a.renew(ctx, w, e)
}

func first2(ok bool, a, b wallet.Entry) wallet.Entry {
	if ok {
		return a
	}
	return b
}

func (a *app) stillGood(w *wallet.Wallet, e wallet.Entry) (wallet.Entry, error) {
	if e.Credential.Usable(a.now(), 0) {
		return e, nil
	}
	h, err := entryHost(e)
	if err != nil {
		return wallet.Entry{}, err
	}
	return wallet.Entry{}, a.noLogin(w, e.Authority, h)
}

func (a *app) mayRenew(e wallet.Entry) bool {
	return !e.Refresh.IsZero() && a.now().Before(e.RenewUntil) &&
		(e.RefreshUntil.IsZero() || a.now().Before(e.RefreshUntil))
}

// again reads the entry of the same key.
func again(w *wallet.Wallet, e wallet.Entry) (wallet.Entry, bool, error) {
	entries, _, err := w.List()
	if err != nil {
		return wallet.Entry{}, false, err
	}
	for _, now := range entries {
		if now.SameKey(e) {
			return now, true, nil
		}
	}
	return wallet.Entry{}, false, nil
}

func entryHost(e wallet.Entry) (github.Host, error) {
	return github.ParseHost(e.Scheme + "://" + e.Credential.Scope.Host)
}

// renew spends the refresh token. Its successor is kept first, in one write
// right after the host's answer, so that neither a crash nor a lost network
// costs the renewal; the new access token is used only after it was looked at:
// what comes back must be no wider.
func (a *app) renew(ctx context.Context, w *wallet.Wallet, e wallet.Entry) (wallet.Entry, error) {
	h, err := entryHost(e)
	if err != nil {
		return wallet.Entry{}, err
	}
	c := a.client(h, e.ClientID)
	next, tok, err := a.exchange(ctx, c, w, e)
	if err != nil {
		return wallet.Entry{}, err
	}
	verified := next
	if err := a.sameReach(ctx, c, e, tok, &verified); err != nil {
		return wallet.Entry{}, a.notRenewed(ctx, c, w, next, err)
	}
	verified.Credential.Scope.Until = tok.Expires
	if verified.Credential.Scope.Until.After(e.RenewUntil) {
		verified.Credential.Scope.Until = e.RenewUntil // the last one: not used beyond the agreed end
	}
	changed, err := w.Update(sameAs(next), func(have *wallet.Entry) { *have = verified })
	if err != nil {
		return wallet.Entry{}, walletProblem(err)
	}
	if !changed {
		return wallet.Entry{}, a.overtaken(ctx, c, w, e, h)
	}
	return verified, nil
}

// exchangeTime bounds the exchange, which nothing interrupts.
const exchangeTime = 20 * time.Second

// exchange spends the refresh token and keeps what comes back, the access token
// not yet to be used. From the moment the host is asked, the old pair may be
// dead: neither Ctrl-C nor git's patience ends this part.
func (a *app) exchange(ctx context.Context, c *github.Client, w *wallet.Wallet, e wallet.Entry) (wallet.Entry, github.Token, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), exchangeTime)
	defer cancel()
	tok, err := c.Renew(ctx, e.Refresh)
	if errors.Is(err, github.ErrRefreshSpent) {
		// It is worth nothing any more, and the access token died with it.
		if _, rerr := w.Remove(sameAs(e), wallet.Expired); rerr != nil {
			return wallet.Entry{}, tok, walletProblem(rerr)
		}
		return wallet.Entry{}, tok, err
	}
	if err != nil {
		a.endReceived(ctx, c)
		return wallet.Entry{}, tok, err
	}
	next := e
	next.Refresh, next.RefreshUntil = tok.Refresh, tok.RefreshExpires
	next.Credential.Token, next.Credential.Scope.Until = tok.Access, a.now()
	changed, err := w.Update(sameAs(e), func(have *wallet.Entry) { *have = next })
	if err != nil {
		a.endReceived(ctx, c)
		return wallet.Entry{}, tok, walletProblem(err)
	}
	if !changed {
		h, _ := entryHost(e)
		return wallet.Entry{}, tok, a.overtaken(ctx, c, w, e, h)
	}
	return next, tok, nil
}

// sameAs matches an entry as it was read: same key, same secrets. What somebody
// else has changed since is not overwritten, nor what they took out put back.
func sameAs(e wallet.Entry) func(wallet.Entry) bool {
	return func(have wallet.Entry) bool { return have.SameKey(e) && have.SameSecrets(e) }
}

// overtaken: a logout or a login came in between. It counts, and what this
// renewal brought is ended.
func (a *app) overtaken(ctx context.Context, c *github.Client, w *wallet.Wallet, e wallet.Entry, h github.Host) error {
	a.endReceived(ctx, c)
	return a.noLogin(w, e.Authority, h)
}

// errChanged: a renewal brought something other than what was agreed at login.
var errChanged = errors.New("the renewed access is not what was agreed")

// notRenewed: where the new token could not be looked at, the refresh token
// stays and the next try renews again; where it is not what was agreed,
// everything ends.
func (a *app) notRenewed(ctx context.Context, c *github.Client, w *wallet.Wallet, next wallet.Entry, cause error) error {
	if !errors.Is(cause, errChanged) {
		return cause
	}
	a.endReceived(ctx, c)
	if _, err := w.Remove(sameAs(next), wallet.Rejected); err != nil {
		return walletProblem(err)
	}
	return cause
}

// sameReach repeats login's checks: an expiring token of a GitHub App, of the
// same account.
func (a *app) sameReach(ctx context.Context, c *github.Client, e wallet.Entry, tok github.Token, next *wallet.Entry) error {
	refuse := func(why string) error {
		return &daypass.Problem{
			Code: "DP-220", What: c.Host().Title() + " renewed your access into something else, which was thrown away", Why: why,
			Next: `Run "daypass login" again.`, Kind: daypass.ErrRefused, Err: errChanged,
		}
	}
	if tok.OAuthApp() || tok.Expires.IsZero() {
		return refuse("it is no short-lived token of a GitHub App any more")
	}
	who, err := c.Account(ctx, tok.Access)
	if err != nil {
		return err
	}
	if who.Login != e.Credential.Account {
		return refuse("it belongs to another account")
	}
	reach, err := c.Reach(ctx, tok.Access)
	if err != nil {
		return err
	}
	before := e.Credential.Scope
	before.Until = daypass.Forever
	if !before.Covers(reach.Scope(before.Host, daypass.Forever)) {
		return refuse("it reaches more repositories than before")
	}
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	if err := verifySelection(c.Host(), cfg.forHost(c.Host()), reach); err != nil {
		return errors.Join(err, errChanged)
	}
	next.Seen, next.SeenComplete = seen(reach)
	return nil
}

// endReceived ends what the host sent and nobody keeps.
func (a *app) endReceived(ctx context.Context, c *github.Client) {
	tokens := c.Received()
	if len(tokens) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeTime)
	defer cancel()
	if err := c.Revoke(ctx, tokens...); err != nil {
		a.screen(false).say("Warning: a token that %s had given could not be ended from here. To end it: %s [DP-215]",
			c.Host().Title(), c.Host().AuthorizationsURL())
	}
}

// sweep ends, at the host, renewals whose agreed time is over. There is no
// process that waits for that moment; every daypass that runs later looks.
func (a *app) sweep(ctx context.Context, w *wallet.Wallet, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	entries, _, err := w.List()
	if err != nil {
		return // whoever asked for the wallet reports that
	}
	var all sync.WaitGroup // one host that hangs keeps no other's tokens alive
	for _, e := range entries {
		h, err := entryHost(e)
		if err != nil || !e.Over(a.now()) {
			continue
		}
		all.Go(func() {
			err := a.client(h, e.ClientID).Revoke(ctx, e.Refresh, e.Credential.Token)
			if err != nil && !errors.Is(err, github.ErrCannotRevoke) {
				return // kept, and tried again next time
			}
			if _, err := w.Remove(sameAs(e), wallet.Expired); err != nil {
				a.screen(false).say("Note: %s", walletProblem(err))
			}
		})
	}
	all.Wait()
}
