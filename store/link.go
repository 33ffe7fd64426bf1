package store

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/daypass-dev/daypass"
)

// Everybody is the audience of a link that all users of its hub may open.
const Everybody = "*"

// A Link lets an audience read one source, until a date. Its URL is only its
// name, which is one link's of a hub for good: that of a link which ended, or whose
// maker was erased, is not used again.
type Link struct {
	ID       int64
	Hub      string
	Name     string // [a-z0-9-]{3,64}
	Maker    int64  // 0: they were erased
	Title    string
	Source   daypass.Source  // of a template it has {github} in it
	As       string          // who reads: "hub:ACCOUNT", "public", or "person": whoever opens it
	Repo     int64           // the number of a git repository that is read as the hub; else 0
	Account  daypass.Account // of its maker at Source.Host, where Repo is given: ID and Login
	Folder   string          // where it goes in a home; "": the puller's choice
	Open     string          // the file to open, with "/"; may be empty
	App      string          // the application to open it with; may be empty
	Audience string          // a group of the hub, or Everybody
	From     time.Time       // zero: from the beginning
	Until    time.Time
	Paused   bool
	Template bool
	// Accept is the address of a page where whoever has no copy of a template yet gets
	// one, such as an assignment's invitation; may be empty.
	Accept string
	// SourceTitle says that Title is what the source is called, and not its maker's word.
	SourceTitle bool
	Created     time.Time
	Changed     time.Time
	Ended       time.Time // zero: not ended by somebody
	Why         string    // of Ended

	Pulls, Failures int64 // how often it arrived, as far as is known, and did not
	Pulled, Failed  time.Time
	Failure         string // what failed last, a code

	keyID string
	mac   []byte
}

// A LinkState says what a link is good for at a moment.
type LinkState string

// The states of a link.
const (
	LinkLive   LinkState = "live"
	LinkEarly  LinkState = "early" // it has not begun
	LinkPaused LinkState = "paused"
	LinkOver   LinkState = "over" // its time is over; its maker may extend it
	LinkGone   LinkState = "ended"
)

// State says how a link stands.
func (l Link) State(now time.Time) LinkState {
	switch {
	case !l.Ended.IsZero() || l.Maker == 0:
		return LinkGone
	case !l.Until.After(now):
		return LinkOver
	case l.Paused:
		return LinkPaused
	case l.From.After(now):
		return LinkEarly
	}
	return LinkLive
}

// sum is what keeps a link from being written or changed by whoever can write the
// store and has no key. What is counted is not in it.
func (l Link) sum(key []byte) []byte {
	n := func(n int64) string { return strconv.FormatInt(n, 10) }
	texts := []string{"daypass content link 1", n(l.ID), l.Hub, l.Name, n(l.Maker), l.Title, l.Source.String(), l.As, n(l.Repo), n(l.Account.ID), l.Account.Login, l.Folder, l.Open, l.App,
		l.Audience, n(micro(l.From)), n(micro(l.Until)), n(flag(l.Paused)), n(flag(l.Template)), n(micro(l.Created)), n(micro(l.Changed)), n(micro(l.Ended)), l.Why}
	if l.Accept != "" || l.SourceTitle { // rows of before these were have neither
		texts[0] = "daypass content link 2"
		texts = append(texts, l.Accept, n(flag(l.SourceTitle)))
	}
	h := hmac.New(sha256.New, key)
	h.Write([]byte(bound(texts...)))
	return h.Sum(nil)
}

const linkColumns = `id, hub, name, maker, title, source, read_as, repo, account, login, folder, open, app, audience, starts, until, paused,
	template, created, changed, ended, why, key_id, mac, pulls, failures, pulled, failed, failure, accept, from_source`

func scanContentLink(s scanner) (l Link, err error) {
	var source string
	var t [7]int64
	var paused, template, fromSource int64
	err = s.Scan(&l.ID, &l.Hub, &l.Name, &l.Maker, &l.Title, &source, &l.As, &l.Repo, &l.Account.ID, &l.Account.Login, &l.Folder, &l.Open, &l.App, &l.Audience, &t[0], &t[1], &paused, &template,
		&t[2], &t[3], &t[4], &l.Why, &l.keyID, &l.mac, &l.Pulls, &l.Failures, &t[5], &t[6], &l.Failure, &l.Accept, &fromSource)
	l.Source = spelled(source)
	l.Paused, l.Template, l.SourceTitle = paused != 0, template != 0, fromSource != 0
	l.From, l.Until, l.Created, l.Changed, l.Ended = moment(t[0]), moment(t[1]), moment(t[2]), moment(t[3]), moment(t[4])
	l.Pulled, l.Failed = moment(t[5]), moment(t[6])
	return l, err
}

// spelled reads a source as it was written, and nothing of another spelling: that
// has another sum, and does not count.
func spelled(text string) daypass.Source {
	s, ok := daypass.ParseSource(text)
	if !ok {
		return daypass.Source{}
	}
	return s
}

// LinkFilter chooses links; zero fields choose all.
type LinkFilter struct {
	ID, Maker int64
	Hub, Name string
	LiveAt    time.Time // only those that hold then
}

// Links lists links, newest first; at most 50,000. Rows that the store did not
// write as they are are left out, and told in the log once by each process.
func (db *DB) Links(ctx context.Context, f LinkFilter) ([]Link, error) {
	if !storable(f.Hub) || !storable(f.Name) {
		return nil, nil
	}
	var w where
	if f.ID != 0 {
		w.and(`id = ?`, f.ID)
	}
	if f.Maker != 0 {
		w.and(`maker = ?`, f.Maker)
	}
	if f.Hub != "" {
		w.and(`hub = ?`, f.Hub)
	}
	if f.Name != "" {
		w.and(`name = ?`, f.Name)
	}
	all, err := list(ctx, db.readers, scanContentLink, `SELECT `+linkColumns+` FROM content_links`+w.String()+` ORDER BY id DESC LIMIT 50000`, w.args...)
	return slices.DeleteFunc(all, func(l Link) bool {
		return !db.trueLink(l) || !f.LiveAt.IsZero() && l.State(f.LiveAt) != LinkLive
	}), err
}

func (db *DB) trueLink(l Link) bool {
	key, ok := db.keys.Load().chainKey(l.keyID)
	if ok && hmac.Equal(l.mac, l.sum(key)) {
		return true
	}
	if _, told := db.strange.LoadOrStore("link "+l.Name, true); !told {
		db.c.Log.Error("a link in the store was written or changed by somebody else; it does not count", "link", l.Name, "id", l.ID)
	}
	return false
}

func (l Link) kept() bool {
	texts := []string{l.Hub, l.Name, l.Title, l.Source.String(), l.As, l.Account.Login, l.Folder, l.Open, l.App, l.Audience, l.Why, l.Accept}
	return l.Hub != "" && l.Name != "" && l.Maker != 0 && !slices.ContainsFunc(texts, func(s string) bool { return !storable(s) || len(s) > 4096 })
}

var errNotKept = errors.New("store: what cannot be kept as it is")

// PutLink stores a link; ID, Created and Changed are filled in. ErrTaken: the name is
// in use, or was, by whomever: people have written it down. ErrNone: the maker is not
// there, or cut off. It writes a Change.
func (tx *Tx) PutLink(l Link) (Link, error) {
	if !l.kept() {
		return l, errNotKept
	}
	if err := tx.Alive(l.Maker); err != nil {
		return l, err
	}
	l.Created = moment(micro(tx.Now()))
	l.Changed, l.Ended, l.Why = l.Created, time.Time{}, ""
	l.Pulls, l.Failures, l.Pulled, l.Failed, l.Failure = 0, 0, time.Time{}, time.Time{}, ""
	var err error
	l.ID, err = txOne(tx, scanInt, `INSERT INTO content_links (hub, name, maker, title, source, read_as, repo, account, login, folder, open, app, audience, starts, until,
		paused, template, created, changed, ended, why, key_id, mac, pulls, failures, pulled, failed, failure)
		VALUES ($1, $2, $3, '', '', '', 0, 0, '', '', '', '', '', 0, 0, 0, 0, $4, $4, 0, '', '', $5, 0, 0, 0, 0, '') ON CONFLICT (hub, name) DO NOTHING RETURNING id`,
		l.Hub, l.Name, l.Maker, micro(l.Created), []byte{})
	if errors.Is(err, ErrNone) {
		err = ErrTaken
	}
	if err != nil {
		return l, err
	}
	return tx.writeLink(l)
}

// ChangeLink stores what of a link may change: all but its name and whose it is.
// was is the Changed of the row that was read. ErrNone: it was changed since, has
// ended, is another's than Maker's, or they are not there. It writes a Change.
func (tx *Tx) ChangeLink(l Link, was time.Time) (Link, error) {
	if !l.kept() {
		return l, errNotKept
	}
	if err := tx.Alive(l.Maker); err != nil {
		return l, err
	}
	now, err := tx.lockLink(l.ID)
	if err != nil {
		return l, err
	}
	if now.Maker != l.Maker || !now.Ended.IsZero() || !now.Changed.Equal(was) {
		return l, ErrNone
	}
	l.Hub, l.Name, l.Created, l.Ended, l.Why = now.Hub, now.Name, now.Created, time.Time{}, ""
	l.Changed = moment(max(micro(tx.Now()), micro(was)+1)) // it moves whatever the clock does
	return tx.writeLink(l)
}

// lockLink reads a link that nobody else changes until the commit. ErrNone: there
// is none that the store wrote so.
func (tx *Tx) lockLink(id int64) (Link, error) {
	l, err := txOne(tx, scanContentLink, `UPDATE content_links SET ended = ended WHERE id = $1 RETURNING `+linkColumns, id)
	if err == nil && !tx.g.db.trueLink(l) {
		err = ErrNone
	}
	return l, err
}

// writeLink writes a row's fields and its MAC, with the primary chain key.
func (tx *Tx) writeLink(l Link) (Link, error) {
	for _, t := range []*time.Time{&l.From, &l.Until, &l.Created, &l.Changed, &l.Ended} {
		*t = moment(micro(*t))
	}
	key := tx.g.db.keys.Load().chain[0]
	l.keyID, l.mac = key.ID, l.sum(key.Key)
	_, err := tx.exec(`UPDATE content_links SET maker = $1, title = $2, source = $3, read_as = $4, repo = $5, folder = $6, open = $7, app = $8, audience = $9,
		starts = $10, until = $11, paused = $12, template = $13, changed = $14, ended = $15, why = $16, key_id = $17, mac = $18,
		account = $19, login = $20, accept = $21, from_source = $22 WHERE id = $23`,
		l.Maker, l.Title, l.Source.String(), l.As, l.Repo, l.Folder, l.Open, l.App, l.Audience,
		micro(l.From), micro(l.Until), flag(l.Paused), flag(l.Template), micro(l.Changed), micro(l.Ended), l.Why, l.keyID, l.mac,
		l.Account.ID, l.Account.Login, l.Accept, flag(l.SourceTitle), l.ID)
	tx.Change(Change{Kind: "link", Person: l.Maker})
	return l, err
}

// EndSourceLink ends a link for good; false where it had ended. It writes a Change.
func (tx *Tx) EndSourceLink(id int64, at time.Time, why string) (bool, error) {
	l, err := tx.lockLink(id)
	if errors.Is(err, ErrNone) || err == nil && !l.Ended.IsZero() {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	l.Ended, l.Why = at, cleanText(why)
	_, err = tx.writeLink(l)
	return err == nil, err
}

// EndSourceLinks ends all links of a maker's, and returns those that it ended.
func (tx *Tx) EndSourceLinks(maker int64, at time.Time, why string) ([]Link, error) {
	all, err := txList(tx, scanContentLink, `SELECT `+linkColumns+` FROM content_links WHERE maker = $1 AND ended = 0 ORDER BY id`, maker)
	if err != nil || maker == 0 {
		return nil, err
	}
	var out []Link
	for _, l := range all {
		ok, err := tx.EndSourceLink(l.ID, at, why)
		if err != nil {
			return nil, err
		}
		if ok {
			l.Ended, l.Why = at, cleanText(why)
			out = append(out, l)
		}
	}
	return out, nil
}

// eraseLinks leaves of somebody's links the names alone, so that nobody else takes
// over what others wrote down.
func (tx *Tx) eraseLinks(maker int64) error {
	all, err := txList(tx, scanContentLink, `SELECT `+linkColumns+` FROM content_links WHERE maker = $1`, maker)
	if err != nil || maker == 0 {
		return err
	}
	for _, l := range all {
		gone := Link{ID: l.ID, Hub: l.Hub, Name: l.Name, Created: l.Created, Changed: tx.Now(), Ended: tx.Now(), Why: "its maker was erased"}
		if _, err := tx.writeLink(gone); err != nil {
			return err
		}
	}
	return nil
}

// CountPull counts that a link's source was given to a person. It is no Change.
func (tx *Tx) CountPull(id, person int64) error {
	if _, err := tx.exec(`INSERT INTO link_pulls (link, person, n, at) VALUES ($1, $2, 1, $3)
		ON CONFLICT (link, person) DO UPDATE SET n = link_pulls.n + 1, at = excluded.at`, id, person, micro(tx.Now())); err != nil {
		return err
	}
	_, err := tx.exec(`UPDATE content_links SET pulls = pulls + 1, pulled = $1 WHERE id = $2`, micro(tx.Now()), id)
	return err
}

// CountRefusal counts that a link's source was not given; problem is the code of why. It
// is no Change.
func (tx *Tx) CountRefusal(id int64, problem string) error {
	_, err := tx.exec(`UPDATE content_links SET failures = failures + 1, failed = $1, failure = $3 WHERE id = $2`, micro(tx.Now()), id, cleanText(problem))
	return err
}

// CountBroken makes of a pull that was given to a person within a day one that failed;
// problem is the code of why. False where none was, or each was told of. It is no Change.
func (tx *Tx) CountBroken(id, person int64, problem string) (bool, error) {
	n, err := tx.exec(`UPDATE link_pulls SET n = n - 1 WHERE link = $1 AND person = $2 AND n > 0 AND at >= $3`, id, person, micro(tx.Now().Add(-pullKept)))
	if err != nil || n == 0 {
		return false, err
	}
	if _, err := tx.exec(`UPDATE content_links SET pulls = pulls - 1 WHERE id = $1 AND pulls > 0`, id); err != nil {
		return false, err
	}
	return true, tx.CountRefusal(id, problem)
}

// pullKept is how long a pull may take that is told to have failed.
const pullKept = 24 * time.Hour

// An Enrolment is an admin's word that an account of the hub may read a source.
type Enrolment struct {
	ID      int64
	Hub     string
	Source  daypass.Source // by its immutable id, without a Ref and Path
	Account string
	By      string // who enrolled it
	Created time.Time
	Checked time.Time // when it was last seen to be readable, or not; zero: never
	Problem string    // a code: what was wrong then; "": nothing

	keyID string
	mac   []byte
}

func (e Enrolment) sum(key []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(bound("daypass enrolment 1", strconv.FormatInt(e.ID, 10), e.Hub, e.Source.String(), e.Account, e.By, strconv.FormatInt(micro(e.Created), 10))))
	return h.Sum(nil)
}

const enrolmentColumns = `id, hub, source, account, by_whom, created, key_id, mac, checked, problem`

func scanEnrolment(s scanner) (e Enrolment, err error) {
	var source string
	var created, checked int64
	err = s.Scan(&e.ID, &e.Hub, &source, &e.Account, &e.By, &created, &e.keyID, &e.mac, &checked, &e.Problem)
	e.Source = spelled(source)
	e.Created, e.Checked = moment(created), moment(checked)
	return e, err
}

// Enrolments lists what is enrolled at a hub, by source; at most 50,000. Rows that
// the store did not write are left out.
func (db *DB) Enrolments(ctx context.Context, hub string) ([]Enrolment, error) {
	all, err := list(ctx, db.readers, scanEnrolment, `SELECT `+enrolmentColumns+` FROM enrolments WHERE hub = $1 ORDER BY source, account LIMIT 50000`, hub)
	return slices.DeleteFunc(all, func(e Enrolment) bool {
		key, ok := db.keys.Load().chainKey(e.keyID)
		if ok = ok && hmac.Equal(e.mac, e.sum(key)); !ok {
			if _, told := db.strange.LoadOrStore("enrolment "+strconv.FormatInt(e.ID, 10), true); !told {
				db.c.Log.Error("an enrolment in the store was written or changed by somebody else; it does not count", "id", e.ID)
			}
		}
		return !ok
	}), err
}

// PutEnrolment stores one; ErrTaken: it is there. It writes a Change.
func (tx *Tx) PutEnrolment(e Enrolment) (Enrolment, error) {
	if e.Hub == "" || e.Source == (daypass.Source{}) || !storable(e.Hub+e.Account+e.By) {
		return e, errNotKept
	}
	e.Created, e.Checked, e.Problem = moment(micro(tx.Now())), time.Time{}, ""
	var err error
	e.ID, err = txOne(tx, scanInt, `INSERT INTO enrolments (hub, source, account, by_whom, created, key_id, mac, checked, problem)
		VALUES ($1, $2, $3, $4, $5, '', $6, 0, '') ON CONFLICT DO NOTHING RETURNING id`, e.Hub, e.Source.String(), e.Account, e.By, micro(e.Created), []byte{})
	if errors.Is(err, ErrNone) {
		err = ErrTaken
	}
	if err != nil {
		return e, err
	}
	key := tx.g.db.keys.Load().chain[0]
	e.keyID, e.mac = key.ID, e.sum(key.Key)
	_, err = tx.exec(`UPDATE enrolments SET key_id = $1, mac = $2 WHERE id = $3`, e.keyID, e.mac, e.ID)
	tx.Change(Change{Kind: "enrol"})
	return e, err
}

// DropEnrolment takes one away; false where there was none. It writes a Change.
func (tx *Tx) DropEnrolment(hub string, source daypass.Source, account string) (bool, error) {
	n, err := tx.exec(`DELETE FROM enrolments WHERE hub = $1 AND source = $2 AND account = $3`, hub, source.String(), account)
	if n > 0 {
		tx.Change(Change{Kind: "enrol"})
	}
	return n > 0, err
}

// CheckedEnrolment notes what a look at one found. It is no Change.
func (tx *Tx) CheckedEnrolment(id int64, problem string) error {
	_, err := tx.exec(`UPDATE enrolments SET checked = $1, problem = $2 WHERE id = $3`, micro(tx.Now()), cleanText(problem), id)
	return err
}
