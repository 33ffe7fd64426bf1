package store

import (
	"errors"
	"time"

	"github.com/daypass-dev/daypass"
)

// sweepGrace is how long rows that guard against a second use outlive their
// time: a clock that leaps back within it makes nothing good again.
const sweepGrace = 24 * time.Hour

// CountUse counts a use at a link of a pass, never beyond max: n is the count
// afterwards, and ok says that this use is one of them. It is durable, and right
// for any number of callers at once, when the transaction is.
//
// The row goes a day after until; daypass.Forever stays. Until must not be before
// the end of any pass that has the link: take that of the pass as it was minted,
// not of the narrowed one that is shown.
func (tx *Tx) CountUse(link [32]byte, max int, until time.Time) (n int, ok bool, err error) {
	if until.IsZero() {
		until = daypass.Forever
	}
	if max > 0 {
		now, err := txOne(tx, scanInt, `INSERT INTO pass_uses (link, n, until) VALUES ($1, 1, $2)
			ON CONFLICT (link) DO UPDATE SET n = pass_uses.n + 1,
			until = CASE WHEN pass_uses.until < excluded.until THEN excluded.until ELSE pass_uses.until END
			WHERE pass_uses.n < $3 RETURNING n`, link[:], micro(until), int64(max))
		if !errors.Is(err, ErrNone) {
			return int(now), err == nil, err
		}
	}
	now, err := txOne(tx, scanInt, `SELECT n FROM pass_uses WHERE link = $1`, link[:])
	if errors.Is(err, ErrNone) {
		err = nil
	}
	return int(now), false, err
}

// Once reports whether an id of a kind, such as "jti:ISSUER", is seen for the
// first time: of many callers one hears true. It is stored as SHA-256, and goes a
// day after until.
func (tx *Tx) Once(kind, id string, until time.Time) (bool, error) {
	n, err := tx.exec(`INSERT INTO once (kind, id, until) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, cleanText(kind), hashed(id), micro(until))
	return n == 1 && err == nil, err
}
