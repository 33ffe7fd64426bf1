package store_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/soak"
	"github.com/daypass-dev/daypass/store"
	"github.com/daypass-dev/daypass/store/storetest"
)

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var p *daypass.Problem
	if !errors.As(err, &p) || p.Code != code {
		t.Fatalf("got %v, want %s", err, code)
	}
}

func newKeys(t *testing.T) *store.Keys {
	t.Helper()
	k, err := store.NewKeys(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestKilled: a process that is killed at any time has kept all that it said it
// had. DAYPASS_SOAK asks for 200 rounds.
func TestKilled(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { killed(t, storetest.SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { killed(t, storetest.Postgres(t)(t)) })
}

func killed(t *testing.T, url string) {
	rounds := soak.Rounds(t, 8, 200)
	keys := newKeys(t)
	text, err := keys.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	said := 0
	for range rounds {
		ids := killedRound(t, url, file)
		said += len(ids)
		db, err := store.Open(t.Context(), store.Config{URL: url, Keys: keys})
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			if e, ok, err := db.Event(t.Context(), id); !ok || err != nil || e.Request != "x" {
				t.Fatalf("event %s was promised: %+v, %v, %v", id, e, ok, err)
			}
		}
		if r, err := db.Verify(t.Context(), nil); err != nil || !r.Clean() {
			t.Fatalf("%+v, %v", r.Faults, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if said < 100 {
		t.Errorf("only %d events in %d rounds", said, rounds)
	}
}

func killedRound(t *testing.T, url, file string) (ids []store.EventID) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestRecordUntilKilled$", "-test.v=false")
	cmd.Env = append(os.Environ(), "STORE_TEST_URL="+url, "STORE_TEST_KEYS="+file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(out)
	kill := sync.OnceFunc(func() {
		time.AfterFunc(time.Duration(mathrand.IntN(120))*time.Millisecond, func() { _ = cmd.Process.Kill() })
	})
	giveUp := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer giveUp.Stop()
	for {
		line, err := in.ReadString('\n')
		if err != nil { // a line cut short was not said
			break
		}
		kill() // some time after the first
		ids = append(ids, store.EventID(strings.TrimSpace(line)))
	}
	_ = cmd.Wait()
	return ids
}

// TestRecordUntilKilled is the process that TestKilled kills.
func TestRecordUntilKilled(t *testing.T) {
	url := os.Getenv("STORE_TEST_URL")
	if url == "" {
		t.Skip("for TestKilled")
	}
	text, err := os.ReadFile(os.Getenv("STORE_TEST_KEYS"))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := store.ParseKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), store.Config{URL: url, Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
				id, err := store.EventID(""), error(nil)
				if i%4 == 0 {
					err = db.Write(context.Background(), func(tx *store.Tx) error {
						id = tx.Record(store.Event{Kind: store.Connect, Person: 1, Request: "x"})
						_, err := tx.PutPerson(daypass.User{Hub: "h", Name: fmt.Sprint(i)}, time.Now())
						return err
					})
				} else {
					id, err = db.Record(context.Background(), store.Event{Kind: store.Credential, Person: 1, Request: "x"})
				}
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = os.Stdout.WriteString(string(id) + "\n")
			}
		})
	}
	all.Wait()
}

func TestOpenRefuses(t *testing.T) {
	keys := newKeys(t)
	folder := func(mode os.FileMode) string {
		dir := filepath.Join(t.TempDir(), "d")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	file := func(mode os.FileMode) string {
		path := filepath.Join(folder(0o700), "s.db")
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	link := filepath.Join(folder(0o700), "s.db")
	if err := os.Symlink(file(0o600), link); err != nil {
		t.Fatal(err)
	}
	for url, code := range map[string]string{
		"":                                       "DP-930",
		"mysql://x":                              "DP-930",
		"sqlite:relative.db":                     "DP-930",
		"postgres://u:canary@[::bad/x":           "DP-930",
		"sqlite:" + folder(0o770) + "/s.db":      "DP-931",
		"sqlite:" + folder(0o1777) + "/s.db":     "DP-931",
		"sqlite:" + file(0o640):                  "DP-931",
		"sqlite:" + link:                         "DP-931",
		"sqlite:" + folder(0o700) + "/no/s.db":   "DP-932",
		"postgres://u:canary@127.0.0.1:1/x":      "DP-932",
		"postgres:///x?host=/nonexistent/canary": "DP-932",
	} {
		_, err := store.Open(t.Context(), store.Config{URL: url, Keys: keys})
		wantCode(t, err, code)
		if strings.Contains(err.Error(), "u:canary") || strings.Contains(fmt.Sprintf("%+v", err), ":canary@") {
			t.Errorf("the message shows the password: %v", err)
		}
	}
	path := filepath.Join(folder(0o755), "new.db")
	db := open(t, "sqlite:"+path, nil)
	if how, err := db.Durability(t.Context()); err != nil || how != "sqlite synchronous=2 journal=wal" {
		t.Errorf("%q, %v", how, err)
	}
	if _, err := db.Record(t.Context(), store.Event{}); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) != 3 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has the mode %v, %v", f, info.Mode(), err)
		}
	}
	if _, err := storetest.Raw(t, "sqlite:"+path).Exec(`UPDATE goose_db_version SET version_id = 999 WHERE version_id = 1`); err != nil {
		t.Fatal(err)
	}
	_, err = store.Open(t.Context(), store.Config{URL: "sqlite:" + path, Keys: keys})
	wantCode(t, err, "DP-933")
}

// TestOpenTogether: of many that open a new store at once, all succeed.
func TestOpenTogether(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { openTogether(t, storetest.SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { openTogether(t, storetest.Postgres(t)(t)) })
}

func openTogether(t *testing.T, url string) {
	keys := newKeys(t)
	var all sync.WaitGroup
	instances := make([]string, 4)
	for i := range instances {
		all.Go(func() {
			db, err := store.Open(t.Context(), store.Config{URL: url, Keys: keys})
			if err != nil {
				t.Error(err)
				return
			}
			instances[i] = db.Instance()
			if _, err := db.Record(t.Context(), store.Event{Kind: store.Connect}); err != nil {
				t.Error(err)
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, id := range instances {
		if id != instances[0] || id == "" {
			t.Errorf("instances %q", instances)
		}
	}
}

func TestKeys(t *testing.T) {
	k := newKeys(t)
	text, err := k.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	again, err := store.ParseKeys(text)
	if err != nil || fmt.Sprint(again.IDs()) != fmt.Sprint(k.IDs()) {
		t.Fatalf("%v, %v", again, err)
	}
	next, err := again.Rotate(rand.Reader)
	if err != nil || len(next.IDs()) != 4 || next.IDs()[2] != k.IDs()[0] || next.IDs()[3] != k.IDs()[1] {
		t.Fatalf("rotated: %v, %v", next.IDs(), err)
	}
	kept, dropped, err := next.Prune(map[string]int64{k.IDs()[1]: 1})
	if err != nil || len(kept.IDs()) != 3 || len(dropped) != 1 || dropped[0] != k.IDs()[0] {
		t.Fatalf("pruned: %v, %v, %v", kept.IDs(), dropped, err)
	}
	if len(next.IDs()) != 4 {
		t.Error("pruning changed what it was given")
	}
	for name, bad := range map[string][]byte{
		"empty":     nil,
		"no JSON":   []byte("canary"),
		"format":    bytes.Replace(text, []byte("daypass-keys-1"), []byte("canary"), 1),
		"cut":       text[:len(text)/2],
		"no chain":  []byte(`{"format":"daypass-keys-1","seal":{},"chain":[]}`),
		"seal":      bytes.Replace(text, []byte("AesGcmKey"), []byte("AesCanary"), 1),
		"no prefix": bytes.Replace(text, []byte(`"TINK"`), []byte(`"RAW"`), 1),
		"field":     bytes.Replace(text, []byte(`"format"`), []byte(`"canary":1,"format"`), 1),
	} {
		if bytes.Equal(bad, text) {
			t.Fatalf("%s changes nothing", name)
		}
		_, err := store.ParseKeys(bad)
		wantCode(t, err, "DP-935")
		if strings.Contains(err.Error(), "anary") {
			t.Errorf("%s: the message quotes the file: %v", name, err)
		}
	}
}

func TestKeysApart(t *testing.T) {
	dir := t.TempDir()
	data, etc := filepath.Join(dir, "data"), filepath.Join(dir, "etc")
	for _, d := range []string{filepath.Join(data, "sub"), etc} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(data, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	url := "sqlite:" + filepath.Join(data, "s.db")
	for _, c := range []struct {
		keys, url string
		apart     bool
	}{
		{etc + "/keys", url, true}, {"file:" + etc + "/keys", url, true}, {data + "/keys", url, false}, {"file:" + data + "/sub/keys", url, false},
		{dir + "/link/keys", url, false}, {data + "/../data/keys", url, false}, {data + "/not/yet/keys", url, false},
		{data + "/keys", "sqlite:" + dir + "/link/s.db", false}, {dir + "/keys", url, true}, {dir + "/datas/keys", url, true}, {data + "/keys", "postgres:///x", true},
	} {
		err := store.KeysApart(c.keys, c.url)
		if c.apart && err != nil {
			t.Errorf("%s, %s: %v", c.keys, c.url, err)
		}
		if !c.apart {
			wantCode(t, err, "DP-936")
		}
	}
}
