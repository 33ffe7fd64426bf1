package store

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
)

func openAt(t *testing.T, keys *Keys) *DB {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return reopen(t, keys, "sqlite:"+filepath.Join(dir, "db"))
}

func reopen(t *testing.T, keys *Keys, url string) *DB {
	t.Helper()
	db, err := Open(t.Context(), Config{URL: url, Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func oneLink(t *testing.T, db *DB, accept string) Link {
	t.Helper()
	var l Link
	err := db.Write(t.Context(), func(tx *Tx) error {
		p, err := tx.PutPerson(daypass.User{Hub: "main", Name: "jo", Created: time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)}, time.Now())
		if err != nil {
			return err
		}
		l, err = tx.PutLink(Link{Hub: "main", Name: "ph142-lab1", Maker: p.ID, Title: "Lab 1", Source: daypass.Source{Kind: daypass.KindGit, Host: "github.com", ID: "org/lab1-{github}"},
			As: "person", Template: true, Audience: "ph142", Accept: accept, Until: time.Now().Add(time.Hour)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestLinkOfBefore: a link that a daypass wrote which knew of no invitations counts as it
// did, in the store and out of a backup, and can be given one.
func TestLinkOfBefore(t *testing.T) {
	keys, err := NewKeys(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	db := openAt(t, keys)
	was := oneLink(t, db, "")
	for _, text := range []string{`ALTER TABLE content_links DROP COLUMN accept`, `ALTER TABLE content_links DROP COLUMN from_source`, `DROP TABLE link_pulls`, `DELETE FROM goose_db_version WHERE version_id = 3`} {
		if err := db.Write(t.Context(), func(tx *Tx) error { _, err := tx.exec(text); return err }); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = reopen(t, keys, db.c.URL)
	counts := func(db *DB) Link {
		t.Helper()
		list, err := db.Links(t.Context(), LinkFilter{Name: "ph142-lab1"})
		if err != nil || len(list) != 1 || list[0].Source != was.Source || list[0].Accept != "" || list[0].SourceTitle {
			t.Fatalf("%+v, %v", list, err)
		}
		return list[0]
	}
	counts(db)
	var text bytes.Buffer
	if err := db.Export(t.Context(), &text); err != nil {
		t.Fatal(err)
	}
	older := before(t, keys, text.String())
	other := openAt(t, keys)
	if _, err := other.Import(t.Context(), strings.NewReader(older)); err != nil {
		t.Fatal(err)
	}
	counts(other)
	// A backup of today that lacks a column is none.
	lacking := strings.Replace(text.String(), `"accept":"",`, "", 1)
	if _, err := openAt(t, keys).Import(t.Context(), strings.NewReader(lacking)); err == nil {
		t.Error("a backup of today without a column is taken")
	}
	l := counts(db)
	l.Accept = "https://classroom.github.com/a/one"
	if err := db.Write(t.Context(), func(tx *Tx) error { _, err := tx.ChangeLink(l, l.Changed); return err }); err != nil {
		t.Fatal(err)
	}
	if list, err := db.Links(t.Context(), LinkFilter{Name: "ph142-lab1"}); err != nil || len(list) != 1 || list[0].Accept != l.Accept {
		t.Errorf("%+v, %v", list, err)
	}
}

// before makes of a backup one of the schema before.
func before(t *testing.T, keys *Keys, text string) string {
	t.Helper()
	sum := hmac.New(sha256.New, keys.chain[0].Key)
	var out bytes.Buffer
	for raw := range strings.Lines(text) {
		var line map[string]any
		d := json.NewDecoder(strings.NewReader(raw))
		d.UseNumber()
		if err := d.Decode(&line); err != nil {
			t.Fatal(err)
		}
		if _, ok := line["schema"]; ok {
			line["schema"] = 2
		}
		if row, ok := line["row"].(map[string]any); ok && line["table"] == "content_links" {
			delete(row, "accept")
			delete(row, "from_source")
		}
		if _, ok := line["mac"]; ok {
			line["mac"] = hex.EncodeToString(sum.Sum(nil))
		}
		b, err := json.Marshal(line)
		if err != nil {
			t.Fatal(err)
		}
		sum.Write(append(b, '\n'))
		out.Write(append(b, '\n'))
	}
	return out.String()
}
