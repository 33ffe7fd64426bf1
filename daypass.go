// Package daypass holds the words that every other package shares: what a
// credential may do ([Scope]), what it is ([Credential]), how secrets are held
// ([Secret]) and how failures are told ([Problem]).
//
// It imports only a few small packages of the standard library, because the
// git credential helper links it and starts twice for every git command: no
// fmt, no encoding/json, no net/http, no log/slog.
package daypass

import "time"

// Version is the version of all three binaries.
const Version = "0.1.0"

// A Credential is what an upstream accepts: a short-lived token, bound to one
// host at birth and given to no other.
type Credential struct {
	Scope    Scope  // what the token was verified to reach, and until when
	Account  string // the account at the host that it acts as, such as "octocat"; may be empty
	Username string // what git sends beside the token; GitHub accepts any name that is not empty
	Token    Secret
}

// Usable reports whether the credential has at least margin left at now.
func (c Credential) Usable(now time.Time, margin time.Duration) bool {
	return c.Scope.Until.After(now.Add(margin))
}
