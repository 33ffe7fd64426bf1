package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/daypass-dev/daypass"
)

// Keys seal what the store keeps and key its chains. They are read from a 0600
// file, a systemd credential or a variable, never from the store's folder.
//
// The text holds the keys in the clear, which tink calls insecure: a program
// that starts unattended must find some key in the clear somewhere, and one
// file that only it can read, away from the database and its backups, is that
// place. Whoever keeps it in a safer one hands it over by systemd's credentials.
type Keys struct {
	handle *keyset.Handle
	box    tink.AEAD
	chain  []chainKey // the primary one first
}

type chainKey struct {
	ID  string `json:"id"`
	Key []byte `json:"key"` // 32 bytes
}

// keysFormat is the first thing in a key file.
const keysFormat = "daypass-keys-1"

type keysText struct {
	Format string          `json:"format"`
	Seal   json.RawMessage `json:"seal"`  // a tink keyset
	Chain  []chainKey      `json:"chain"` // the primary one first
}

// NewKeys makes keys. The sealing keys come from the system's generator, the
// chain's from rand.
func NewKeys(rand io.Reader) (*Keys, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("make a sealing key: %w", err)
	}
	chain, err := newChainKey(rand)
	if err != nil {
		return nil, err
	}
	return makeKeys(handle, []chainKey{chain})
}

func newChainKey(rand io.Reader) (chainKey, error) {
	b := make([]byte, 36)
	if _, err := io.ReadFull(rand, b); err != nil {
		return chainKey{}, fmt.Errorf("make a chain key: %w", err)
	}
	return chainKey{ID: fmt.Sprintf("chain-%x", b[:4]), Key: b[4:]}, nil
}

func makeKeys(handle *keyset.Handle, chain []chainKey) (*Keys, error) {
	box, err := aead.New(handle)
	if err != nil {
		return nil, err
	}
	return &Keys{handle, box, chain}, nil
}

// ParseKeys reads what [Keys.Marshal] wrote.
func ParseKeys(text []byte) (*Keys, error) {
	k, why := parseKeys(text)
	if why != "" {
		// What the parsers say may quote the text, which is all secrets.
		return nil, &daypass.Problem{Code: "DP-935", What: "the key file cannot be read", Why: why,
			Next: "Restore it from where it is kept safe. New keys do not open an old store."}
	}
	return k, nil
}

func parseKeys(text []byte) (*Keys, string) {
	var t keysText
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&t); err != nil {
		return nil, "it is not the JSON that daypass writes"
	}
	if t.Format != keysFormat {
		return nil, "its format is not " + keysFormat
	}
	if len(t.Chain) == 0 {
		return nil, "it has no chain key"
	}
	seen := map[string]bool{}
	for _, c := range t.Chain {
		if len(c.Key) != 32 || !strings.HasPrefix(c.ID, "chain-") || seen[c.ID] {
			return nil, "a chain key is malformed"
		}
		seen[c.ID] = true
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(t.Seal)))
	if err != nil {
		return nil, "its sealing keys are malformed"
	}
	k, err := makeKeys(handle, t.Chain)
	if err != nil {
		return nil, "its sealing keys are of another kind"
	}
	box, err := k.box.Encrypt(nil, nil)
	if err != nil || boxKey(box) != k.primary() {
		return nil, "its sealing keys do not mark what they seal"
	}
	return k, ""
}

// Marshal returns the text of the key file, in the clear: write it to a 0600
// file only.
func (k *Keys) Marshal() ([]byte, error) {
	var seal bytes.Buffer
	if err := insecurecleartextkeyset.Write(k.handle, keyset.NewJSONWriter(&seal)); err != nil {
		return nil, fmt.Errorf("write the sealing keys: %w", err)
	}
	text, err := json.MarshalIndent(keysText{keysFormat, seal.Bytes(), k.chain}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the keys: %w", err)
	}
	return append(text, '\n'), nil
}

// Rotate returns keys with new primary ones; the old ones stay for reading.
func (k *Keys) Rotate(rand io.Reader) (*Keys, error) {
	m := keyset.NewManagerFromHandle(k.handle)
	id, err := m.Add(aead.AES256GCMKeyTemplate())
	if err == nil {
		err = m.SetPrimary(id)
	}
	if err != nil {
		return nil, fmt.Errorf("add a sealing key: %w", err)
	}
	chain, err := newChainKey(rand)
	if err != nil {
		return nil, err
	}
	return remake(m, append([]chainKey{chain}, k.chain...))
}

func remake(m *keyset.Manager, chain []chainKey) (*Keys, error) {
	handle, err := m.Handle()
	if err != nil {
		return nil, err
	}
	return makeKeys(handle, chain)
}

// Prune returns keys without those that are neither primary nor in use (see
// [DB.KeyUse]), and the ids of what it left out.
func (k *Keys) Prune(use map[string]int64) (kept *Keys, dropped []string, err error) {
	m := keyset.NewManagerFromHandle(k.handle)
	for _, id := range k.sealIDs() {
		if id == k.primary() || use[id] > 0 {
			continue
		}
		n, err := strconv.ParseUint(id, 10, 32)
		if err != nil {
			return nil, nil, err
		}
		if err := m.Delete(uint32(n)); err != nil {
			return nil, nil, fmt.Errorf("take away sealing key %s: %w", id, err)
		}
		dropped = append(dropped, id)
	}
	var chain []chainKey
	for i, c := range k.chain {
		if i > 0 && use[c.ID] == 0 {
			dropped = append(dropped, c.ID)
			continue
		}
		chain = append(chain, c)
	}
	kept, err = remake(m, chain)
	return kept, dropped, err
}

// IDs lists the ids of all keys, the two primary ones first: numbers are
// sealing keys, "chain-…" are chain keys.
func (k *Keys) IDs() []string {
	out := []string{k.primary(), k.chain[0].ID}
	for _, id := range k.sealIDs() {
		if id != k.primary() {
			out = append(out, id)
		}
	}
	for _, c := range k.chain[1:] {
		out = append(out, c.ID)
	}
	return out
}

func (k *Keys) has(id string) bool { return slices.Contains(k.IDs(), id) }

func (k *Keys) primary() string {
	e, err := k.handle.Primary()
	if err != nil {
		return ""
	}
	return keyID(e.KeyID())
}

func (k *Keys) sealIDs() []string {
	var out []string
	for i := range k.handle.Len() {
		if e, err := k.handle.Entry(i); err == nil {
			out = append(out, keyID(e.KeyID()))
		}
	}
	return out
}

func (k *Keys) chainKey(id string) ([]byte, bool) {
	for _, c := range k.chain {
		if c.ID == id {
			return c.Key, true
		}
	}
	return nil, false
}

func keyID(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// boxKey reads which key sealed a box: tink puts 1 and four bytes before it.
func boxKey(box []byte) string {
	if len(box) < 5 || box[0] != 1 {
		return ""
	}
	return keyID(binary.BigEndian.Uint32(box[1:5]))
}

// KeysApart refuses a key file inside the store's folder: whoever copies that
// folder, as backups do, must not get both. The path may be written as
// "file:/path". Stores that are no files are always apart.
func KeysApart(keysPath, storeURL string) error {
	path, ok := strings.CutPrefix(storeURL, "sqlite:")
	if !ok {
		return nil
	}
	folder := realFolder(filepath.Dir(path))
	keys := realFolder(filepath.Dir(strings.TrimPrefix(keysPath, "file:")))
	rest, err := filepath.Rel(folder, keys)
	if err == nil && rest != ".." && !strings.HasPrefix(rest, "../") {
		return &daypass.Problem{Code: "DP-936", What: "the keys lie in the store's folder",
			Why:  "whoever gets a copy of " + folder + " would get both",
			Next: "Move the key file to another folder, such as /etc/daypass, and name it under keys: in the configuration."}
	}
	return nil
}

// realFolder resolves links as far as the folder exists.
func realFolder(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	for head, tail := path, ""; ; head, tail = filepath.Dir(head), filepath.Join(filepath.Base(head), tail) {
		if real, err := filepath.EvalSymlinks(head); err == nil {
			return filepath.Join(real, tail)
		}
		if head == filepath.Dir(head) {
			return path
		}
	}
}

// An owner is whose a row is, by what the hub says of them for good; a name may
// change. A row keeps its owner beside its box, so that it can still be ended
// when they are gone; what is opened to be used is compared with them.
type owner struct {
	hub  string
	born int64 // when the hub made the user
}

func scanOwner(s scanner) (o owner, err error) { return o, s.Scan(&o.hub, &o.born) }

// ownedBy is 1 where the person of a row still is the one it was sealed for.
const ownedBy = `(SELECT count(*) FROM people p WHERE p.id = c.person AND p.hub = c.hub AND p.created = c.born)`

// A place binds a box to its row: swapped, copied or edited rows do not open.
type place struct {
	table   string
	row     string
	person  int64
	created int64
	host    string
	owner   owner
	more    string // what else the box is good for, by [bound]
}

// bound joins texts so that no two lists give the same.
func bound(texts ...string) string {
	var b []byte
	for _, s := range texts {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	return string(b)
}

func (p place) bytes() []byte {
	b := []byte(bound("daypass box 2", p.table, p.row, p.host, p.owner.hub, p.more))
	for _, n := range []int64{p.person, p.created, p.owner.born} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return b
}

// seal seals a text for its place and says by which key.
func (db *DB) seal(p place, text []byte) (box []byte, by string, err error) {
	box, err = db.keys.Load().box.Encrypt(text, p.bytes())
	if err != nil {
		return nil, "", fmt.Errorf("seal: %w", err)
	}
	return box, boxKey(box), nil
}

// open opens a box in its place.
func (db *DB) open(p place, box []byte) ([]byte, error) {
	id := boxKey(box)
	if id == "" {
		return nil, sealProblem(p)
	}
	if !db.keys.Load().has(id) {
		if err := db.Reload(); err != nil {
			return nil, err
		}
		if !db.keys.Load().has(id) {
			return nil, unknownKey(id)
		}
	}
	text, err := db.keys.Load().box.Decrypt(box, p.bytes())
	if err != nil {
		return nil, sealProblem(p)
	}
	return text, nil
}

func sealProblem(p place) error {
	again := map[string]string{"passes": "End the pass and make another.", "devices": "Ask again."}[p.table]
	if again == "" {
		again = "Connect again."
	}
	return &daypass.Problem{Code: "DP-937", What: fmt.Sprintf("a sealed entry of the store does not open (%s %s)", p.table, cleanText(p.row)),
		Why:  "it was damaged, or it was moved there from another row",
		Next: again + " If nobody edited the database, look at its disk, and restore a backup.", Err: ErrSeal}
}

func unknownKey(id string) error {
	return &daypass.Problem{Code: "DP-934", What: "the store needs a key that this key file does not have",
		Why:  "key " + id,
		Next: "Put back the key file that belongs to this store. Nothing was changed.", Err: ErrKey}
}

// Reload asks [Config.ReloadKeys] and takes over what it returns. To be called
// at a Change of kind "keys".
func (db *DB) Reload() error {
	if db.c.ReloadKeys == nil {
		return nil
	}
	k, err := db.c.ReloadKeys()
	if err != nil {
		return err
	}
	if k == nil {
		return errors.New("the store was given no keys")
	}
	db.keys.Store(k)
	return nil
}

// sealedTables have the columns sealed_by and box.
var sealedTables = []string{"connections", "children", "todos", "sessions", "states", "passes"}

// checkKeys refuses a store in which some row needs a key that is not there. It
// jumps from key to key in the index, so it does not read the rows.
func (db *DB) checkKeys(ctx context.Context) error {
	const text = `WITH RECURSIVE k(id) AS (
		SELECT min(sealed_by) FROM TABLE
		UNION ALL SELECT (SELECT min(sealed_by) FROM TABLE WHERE sealed_by > k.id) FROM k WHERE k.id IS NOT NULL)
		SELECT id FROM k WHERE id IS NOT NULL`
	var ids []string
	for _, table := range sealedTables {
		some, err := list(ctx, db.readers, scanText, strings.ReplaceAll(text, "TABLE", table))
		if err != nil {
			return err
		}
		ids = append(ids, some...)
	}
	chains, err := list(ctx, db.readers, scanText, `SELECT DISTINCT key_id FROM chains`)
	if err != nil {
		return err
	}
	for _, id := range append(ids, chains...) {
		if id != "" && !db.keys.Load().has(id) {
			return unknownKey(id)
		}
	}
	return nil
}

// KeyUse counts what needs each key: sealed rows, shares, devices, links, enrolments, and chains of events.
func (db *DB) KeyUse(ctx context.Context) (map[string]int64, error) {
	use := map[string]int64{}
	count := func(text string) error {
		type row struct {
			id string
			n  int64
		}
		rows, err := list(ctx, db.readers, func(s scanner) (r row, err error) { return r, s.Scan(&r.id, &r.n) }, text)
		for _, r := range rows {
			if r.id != "" {
				use[r.id] += r.n
			}
		}
		return err
	}
	for _, table := range sealedTables {
		if err := count(`SELECT sealed_by, count(*) FROM ` + table + ` GROUP BY sealed_by`); err != nil {
			return nil, err
		}
	}
	for _, table := range []string{"shares", "devices", "content_links", "enrolments"} {
		if err := count(`SELECT key_id, count(*) FROM ` + table + ` GROUP BY key_id`); err != nil {
			return nil, err
		}
	}
	return use, count(`SELECT key_id, count(*) FROM chains GROUP BY key_id`)
}
