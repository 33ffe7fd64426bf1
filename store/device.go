package store

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"strconv"
	"time"
)

// A Device is what waits for somebody to say yes to it in a browser (RFC 8628).
// Its codes are stored as SHA-256, and a MAC keeps whoever can write the
// database and has no key from saying yes.
type Device struct {
	Device, User           string // the codes, in the clear: for PutDevice only
	Label                  string
	From                   string // the address that asked
	Limits                 string // JSON of what is asked, then of what was granted
	Created, Until, Polled time.Time
	Person                 int64  // who decided; 0: nobody yet
	Decided                string // "", "yes" or "no"

	device, user, keyID string // the codes' hashes
	mac                 []byte
}

// What TakeDevice says.
const (
	DevicePending = "pending" // nobody has decided
	DeviceSlow    = "slow"    // the same, and asked again within five seconds
	DeviceYes     = "yes"     // granted, and good for this time only
	DeviceNo      = "no"      // refused
	DeviceGone    = "gone"    // unknown, over, or taken
)

// devicePause is how long a device waits between two questions (RFC 8628, 3.2).
const devicePause = 5 * time.Second

const deviceColumns = `device, user_code, label, address, limits, created, until, polled, person, decided, key_id, mac`

func scanDevice(s scanner) (d Device, err error) {
	var created, until, polled int64
	err = s.Scan(&d.device, &d.user, &d.Label, &d.From, &d.Limits, &created, &until, &polled, &d.Person, &d.Decided, &d.keyID, &d.mac)
	d.Created, d.Until, d.Polled = moment(created), moment(until), moment(polled)
	return d, err
}

func (d Device) sum(key []byte) []byte {
	n := func(n int64) string { return strconv.FormatInt(n, 10) }
	h := hmac.New(sha256.New, key)
	h.Write([]byte(bound("daypass device 1", d.device, d.user, d.Label, d.From, d.Limits, n(micro(d.Created)), n(micro(d.Until)), n(d.Person), d.Decided)))
	return h.Sum(nil)
}

func (d *Device) mark(db *DB) {
	key := db.keys.Load().chain[0]
	d.keyID, d.mac = key.ID, d.sum(key.Key)
}

// check returns ErrSeal where the store did not write a row as it is.
func (d Device) check(db *DB) error {
	key, ok := db.keys.Load().chainKey(d.keyID)
	if !ok && db.Reload() == nil {
		key, ok = db.keys.Load().chainKey(d.keyID)
	}
	if !ok || !hmac.Equal(d.mac, d.sum(key)) {
		return sealProblem(place{table: "devices", row: d.device[:min(8, len(d.device))]})
	}
	return nil
}

// PutDevice stores a question; Created is now, and nobody has decided or asked.
// ErrTaken: a code is there already; draw others.
func (tx *Tx) PutDevice(d Device) error {
	if d.Device == "" || d.User == "" || !storable(d.Limits) {
		return errors.New("store: a device needs two codes, and limits that can be kept")
	}
	d.device, d.user = hashed(d.Device), hashed(d.User)
	d.Created, d.Until, d.Person, d.Decided = moment(micro(tx.Now())), moment(micro(d.Until)), 0, ""
	d.Label, d.From = cleanText(d.Label), cleanText(d.From)
	d.mark(tx.g.db)
	n, err := tx.exec(`INSERT INTO devices (device, user_code, label, address, limits, created, until, polled, person, decided, key_id, mac)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, '', $8, $9) ON CONFLICT DO NOTHING`,
		d.device, d.user, d.Label, d.From, d.Limits, micro(d.Created), micro(d.Until), d.keyID, d.mac)
	if err == nil && n == 0 {
		err = ErrTaken
	}
	return err
}

const deviceByUser = `SELECT ` + deviceColumns + ` FROM devices WHERE user_code = $1`

// DeviceByUser finds what waits under the code that a person types, decided or
// not; false where there is none, or it is over. ErrSeal: the store did not write
// it so.
func (db *DB) DeviceByUser(ctx context.Context, userCode string) (Device, bool, error) {
	d, ok, err := found(one(ctx, db.readers, scanDevice, deviceByUser, hashed(userCode)))
	if err != nil || !ok || !db.c.Now().Before(d.Until) {
		return Device{}, false, err
	}
	if err := d.check(db); err != nil {
		return Device{}, false, err
	}
	return d, true, nil
}

// DecideDevice notes what a person says, once; limits are what they grant. False:
// there is nothing, it is over, or somebody has decided. ErrNone: the person is
// not there, or cut off. ErrSeal as with DeviceByUser.
func (tx *Tx) DecideDevice(userCode string, person int64, yes bool, limits string) (bool, error) {
	if !storable(limits) {
		return false, errors.New("store: limits that cannot be kept")
	}
	if _, err := tx.alive(person, 0); err != nil {
		return false, err
	}
	d, ok, err := found(txOne(tx, scanDevice, `UPDATE devices SET decided = decided WHERE user_code = $1 AND decided = '' RETURNING `+deviceColumns, hashed(userCode)))
	if err != nil || !ok || !tx.Now().Before(d.Until) {
		return false, err
	}
	if err := d.check(tx.g.db); err != nil {
		return false, err
	}
	d.Person, d.Decided, d.Limits = person, DeviceNo, limits
	if yes {
		d.Decided = DeviceYes
	}
	d.mark(tx.g.db)
	_, err = tx.exec(`UPDATE devices SET person = $1, decided = $2, limits = $3, key_id = $4, mac = $5 WHERE device = $6`,
		d.Person, d.Decided, d.Limits, d.keyID, d.mac, d.device)
	return err == nil, err
}

// TakeDevice answers a device that asks, and notes that it did. With DeviceYes
// the row is deleted: of many that ask, one gets it, if its transaction is
// committed. ErrSeal as with DeviceByUser.
func (tx *Tx) TakeDevice(deviceCode string) (d Device, state string, err error) {
	// The row as it was before, locked.
	d, ok, err := found(txOne(tx, scanDevice, `UPDATE devices SET decided = decided WHERE device = $1 RETURNING `+deviceColumns, hashed(deviceCode)))
	if err != nil || !ok || !tx.Now().Before(d.Until) {
		return Device{}, DeviceGone, err
	}
	if err := d.check(tx.g.db); err != nil {
		return Device{}, DeviceGone, err
	}
	switch d.Decided {
	case DeviceYes:
		_, err = tx.exec(`DELETE FROM devices WHERE device = $1`, d.device)
		return d, DeviceYes, err
	case DeviceNo:
		return d, DeviceNo, nil
	}
	state = DevicePending
	if since := tx.Now().Sub(d.Polled); since >= 0 && since < devicePause {
		state = DeviceSlow
	}
	_, err = tx.exec(`UPDATE devices SET polled = $1 WHERE device = $2`, micro(tx.Now()), d.device)
	return d, state, err
}
