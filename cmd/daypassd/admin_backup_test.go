package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/store"
)

func TestBackupRefuses(t *testing.T) {
	o := newOffice(t, "")
	path := filepath.Join(o.dir, "backup.jsonl")
	o.wants(0, []string{path, "The keys are not in it", "file:" + o.dir + "/etc/keys.json", "admin restore"}, "backup", path)
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
	o.wants(1, []string{"DP-954", "there is a file of that name"}, "backup", path)
	o.wants(1, []string{"DP-954", "the store's own folder"}, "backup", filepath.Join(o.dir, "store", "b"))
	o.wants(1, []string{"DP-954"}, "backup", filepath.Join(o.dir, "nowhere", "b"))
	o.wants(2, []string{"FILE is missing"}, "backup")
	o.wants(1, []string{"DP-955"}, "restore", filepath.Join(o.dir, "nowhere"))
	d := o.open()
	o.connect(d, "ada", fake.CampusUser)
	o.wants(1, []string{"DP-940"}, "restore", path)
	o.serve()
	o.wants(1, []string{"DP-955", "the service runs", "Stop it first"}, "restore", path)
}

// TestRestore: what was handed out before a restore is dead, and connections
// whose refresh tokens were spent since then are tried once each, slowly.
func TestRestore(t *testing.T) {
	o := newOffice(t, "")
	d := o.open()
	const many = 9
	for i := range many {
		o.connect(d, "user"+strconv.Itoa(i), fake.CampusUser)
	}
	c := o.caller(d, "user0")
	a := o.must(d, c, "river-lab", "data")
	text, err := scs.GobCodec{}.Encode(time.Now().Add(time.Hour), map[string]any{store.SessionPerson: int64(1)})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.db.Sessions().Commit("a-session", text, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, found, err := d.db.Sessions().Find("a-session"); err != nil || !found {
		t.Fatalf("the session is not there: %v", err)
	}
	path := filepath.Join(o.dir, "backup.jsonl")
	o.wants(0, nil, "backup", path)
	text, err = os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := os.ReadFile(filepath.Join(o.dir, "etc", "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	o.noSecret("the backup", string(text))
	if strings.Contains(string(text), string(keys[40:120])) {
		t.Error("the keys are in the backup")
	}
	o.world.Local.Set(func(s *fake.Switches) { s.ChildrenSurviveRefresh = true })
	o.spendRefresh(d, many)
	d.db.Close()

	o.edit("/store/daypass.db", "/store/second.db")
	o.edit("log: warn", "log: warn\nheads: {file: "+filepath.Join(o.dir, "heads.log")+"}")
	o.wants(0, []string{"9 people", "9 connections", "epoch 2", "Dead now", "heads.log aside", "What happens next", "user revoke"}, "restore", path)
	o.wants(1, []string{"DP-940"}, "restore", path)
	d = o.open()
	if _, found, err := d.db.Sessions().Find("a-session"); err != nil || found {
		t.Errorf("a session goes on after the restore: %v, %v", found, err)
	}
	if list, err := d.db.Children(t.Context(), store.ChildFilter{LiveAt: time.Now()}); err != nil || len(list) != 0 {
		t.Errorf("tokens are served on: %+v, %v", list, err)
	}
	o.wants(0, []string{"restored", "being revoked"}, "user", "show", "user0")
	o.wants(0, []string{"restore", "epoch 2"}, "events", "--kind", "restore")

	asked := func() int { return o.world.Local.Count("/login/oauth/access_token") }
	start := asked()
	for i := range many {
		if _, err := o.ask(d, o.caller(d, "user"+strconv.Itoa(i)), "river-lab", "data"); err == nil {
			t.Error("a connection whose refresh token was spent gives tokens")
		}
	}
	if n := asked() - start; n == 0 || n > 7 {
		t.Errorf("%d of %d spent refresh tokens were tried at once", n, many)
	}
	tried := asked()
	for range 5 {
		if _, err := o.ask(d, c, "river-lab", "data"); err == nil || !strings.Contains(err.Error(), "DP-817") {
			t.Errorf("the second time: %v", err)
		}
	}
	if n := asked() - tried; n != 0 {
		t.Errorf("a dead refresh token was tried %d times more", n)
	}
	if !o.live(a) {
		t.Fatal("the token from before is dead already: the test shows nothing")
	}
	o.serve()
	o.eventually("the token from before is revoked", func() bool { return !o.live(a) })
	o.wants(0, []string{"Nothing was edited"}, "events", "verify")
}

// spendRefresh renews every connection at the host behind the store's back, as a
// service would that went on after the backup.
func (o *office) spendRefresh(d *desk, many int64) {
	o.t.Helper()
	for id := range many {
		conns, err := d.db.Connections(o.t.Context(), id+1)
		if err != nil || len(conns) != 1 {
			o.t.Fatalf("%+v, %v", conns, err)
		}
		g, err := d.db.Grant(o.t.Context(), conns[0])
		if err != nil {
			o.t.Fatal(err)
		}
		if _, err := d.issuers[0].Refresh(o.t.Context(), g.Refresh); err != nil {
			o.t.Fatal(err)
		}
	}
}
