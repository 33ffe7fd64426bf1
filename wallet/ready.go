package wallet

import "time"

// Ready makes sure that there is a place to keep an entry, and makes it where
// there is none yet: a login asks before it sends anybody to a browser.
func (w *Wallet) Ready() error {
	now := w.opt.Now()
	return w.save(func(b *book) error {
		b.settle(now)
		return nil
	})
}

// String tells people where the wallet is.
func (p Place) String() string {
	switch p.Kind {
	case Keyring:
		return "the kernel's keyring, in memory only"
	case Memory, Session:
		return p.Path + ", in memory only"
	case Named:
		if p.Warning != "" {
			return p.Path
		}
		return p.Path + ", in memory only"
	}
	return "nowhere yet"
}

// WithoutRenewal returns the entry without what would renew it. It ends no later
// for that than was agreed.
func (e Entry) WithoutRenewal() Entry {
	if !e.RenewUntil.IsZero() && e.RenewUntil.Before(e.Credential.Scope.Until) {
		e.Credential.Scope.Until = e.RenewUntil
	}
	e.Refresh, e.RefreshUntil, e.RenewUntil = Entry{}.Refresh, time.Time{}, time.Time{}
	return e
}
