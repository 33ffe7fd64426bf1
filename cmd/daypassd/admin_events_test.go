package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/store"
)

func TestEvents(t *testing.T) {
	o := newOffice(t, "")
	d := o.open()
	c := o.connect(d, "ada", fake.CampusUser)
	o.must(d, c, "river-lab", "data")
	if _, err := o.ask(d, c, "ada", "private"); err == nil {
		t.Fatal("not refused")
	}
	o.must(d, o.connect(d, "bob", fake.CampusOther), "river-lab", "data")
	if _, err := d.db.Record(t.Context(), store.Event{Kind: store.Refusal, User: "ada", Outcome: store.Refused, Host: o.host(), Repo: "x/y", Why: "line\nbreak \x1b[31m\u202e"}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args  []string
		lines int
	}{
		{nil, 8}, {[]string{"--user", "ada"}, 5}, {[]string{"--user", "bob", "--kind", "credential"}, 1}, {[]string{"--outcome", "refused"}, 2},
		{[]string{"--repo", "river-lab/data", "--kind", "credential"}, 2}, {[]string{"--host", "elsewhere.example"}, 0}, {[]string{"--limit", "2"}, 2},
		{[]string{"--since", "1h"}, 8}, {[]string{"--until", "1h"}, 0}, {[]string{"--server", "default", "--kind", "credential"}, 2},
		{[]string{"--since", "2026-01-01", "--until", time.Now().Add(time.Hour).UTC().Format(time.RFC3339)}, 8},
	} {
		said := o.wants(0, nil, append([]string{"events", "--json"}, c.args...)...)
		if n := strings.Count(said, "\n"); n != c.lines {
			t.Errorf("%v: %d lines, not %d", c.args, n, c.lines)
		}
		last := ""
		for l := range strings.Lines(said) {
			var e eventLine
			if err := json.Unmarshal([]byte(l), &e); err != nil || e.ID == "" || e.Time.Format(time.RFC3339Nano) < last {
				t.Errorf("%q: %v", l, err)
			}
		}
	}
	if said := o.wants(0, []string{"No events that fit"}, "events", "--user", "eve"); strings.Contains(said, "TIME") {
		t.Error("a table without a line")
	}
	said := o.wants(0, []string{"WHO", "ada (default)", `line break \u001b[31m\u202e`}, "events")
	if strings.ContainsAny(said, "\x1b\u202e") {
		t.Error("what comes from outside steers the terminal")
	}
	for _, args := range [][]string{{"--kind", "nonsense"}, {"--outcome", "good"}, {"--since", "yesterday"}, {"--repo", "x"}, {"--limit", "-1"}, {"--follow", "--until", "1h"}, {"surplus"}} {
		o.wants(2, []string{"DP-001"}, append([]string{"events"}, args...)...)
	}
	o.wants(2, []string{"DP-901"}, "events", "--config", filepath.Join(o.dir, "nowhere.yaml"))
}

// TestFollow: what happens meanwhile is shown once.
func TestFollow(t *testing.T) {
	o := newOffice(t, "")
	d := o.open()
	if _, err := d.db.Record(t.Context(), store.Event{Kind: store.SignIn, User: "before", Outcome: store.OK}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out := &logBuffer{}
	done := make(chan int, 1)
	a := o.app(nil)
	a.stdout, a.stderr = out, out
	go func() { done <- a.run(ctx, []string{"admin", "events", "--follow", "--config", o.config}) }()
	o.eventually("the first list", func() bool { return strings.Contains(out.text(), "before") })
	for _, who := range []string{"one", "two"} {
		if _, err := d.db.Record(t.Context(), store.Event{Kind: store.SignIn, User: who, Outcome: store.OK}); err != nil {
			t.Fatal(err)
		}
		o.eventually(who+" is shown", func() bool { return strings.Contains(out.text(), who) })
	}
	time.Sleep(1200 * time.Millisecond) // two more looks
	stop()
	if code := <-done; code != 0 {
		t.Errorf("ended with %d", code)
	}
	for _, who := range []string{"before", "one", "two"} {
		if n := strings.Count(out.text(), who); n != 1 {
			t.Errorf("%s is shown %d times:\n%s", who, n, out.text())
		}
	}
}

// TestVerify finds what somebody did who can write to the database.
func TestVerify(t *testing.T) {
	path := ""
	fresh := func(t *testing.T) *office {
		o := newOffice(t, "heads: {file: "+filepath.Join(t.TempDir(), "heads.log")+"}\n")
		d := o.open()
		o.must(d, o.connect(d, "ada", fake.CampusUser), "river-lab", "data")
		d.db.Close()
		path = filepath.Join(o.dir, "store", "daypass.db")
		return o
	}
	change := func(t *testing.T, text string, args ...any) {
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		res, err := db.Exec(text, args...)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			t.Fatalf("nothing was changed: %v", err)
		}
	}
	t.Run("clean", func(t *testing.T) {
		o := fresh(t)
		said := o.wants(0, []string{"Nothing was edited", "No head was given", "to be kept outside"}, "events", "verify")
		head := strings.TrimSpace(said[strings.LastIndex(said, ": ")+2:])
		o.wants(0, []string{"holds against 1 head"}, "events", "verify", "--head", head)
		var out struct{ Clean bool }
		if err := json.Unmarshal([]byte(o.wants(0, nil, "events", "verify", "--json")), &out); err != nil || !out.Clean {
			t.Errorf("%+v, %v", out, err)
		}
		o.wants(2, []string{"DP-943"}, "events", "verify", "--head", "nonsense")
		o.wants(2, []string{"DP-943"}, "events", "verify", "--heads-file", filepath.Join(o.dir, "nowhere"))
	})
	t.Run("edited", func(t *testing.T) {
		o := fresh(t)
		change(t, `UPDATE events SET body = replace(body, 'river-lab/data', 'river-lab/none') WHERE kind = 'credential'`)
		said := o.wants(1, []string{"EDITED: chain", "DP-957"}, "events", "verify")
		if strings.Contains(said, "Nothing was") {
			t.Error("it says that nothing was edited as well")
		}
		if !strings.Contains(o.wants(1, []string{`"clean":false`}, "events", "verify", "--json"), "edited") {
			t.Error("the JSON does not say so")
		}
	})
	t.Run("deleted", func(t *testing.T) {
		o := fresh(t)
		change(t, `DELETE FROM events WHERE kind = 'pin'`)
		o.wants(1, []string{"DELETED", "DP-957"}, "events", "verify")
	})
	t.Run("cut", func(t *testing.T) {
		o := fresh(t)
		said := o.wants(0, nil, "events", "verify")
		head := strings.TrimSpace(said[strings.LastIndex(said, ": ")+2:])
		chain, _, _ := strings.Cut(head, ":")
		change(t, `DELETE FROM links WHERE chain = $1`, chain)
		change(t, `DELETE FROM events WHERE chain = $1`, chain)
		change(t, `DELETE FROM chains WHERE chain = $1`, chain)
		// Nothing in the store says that this chain ever was; the head does.
		o.wants(1, []string{"DP-957", chain}, "events", "verify", "--head", head)
		kept := filepath.Join(o.dir, "kept.log")
		if err := os.WriteFile(kept, []byte("2026-11-22T00:00:00Z "+head+"\n\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		o.wants(1, []string{"DP-957"}, "events", "verify", "--heads-file", kept)
	})
}

// logBuffer is written by one goroutine and read by another.
type logBuffer struct {
	running
}

// TestCanary: no command shows a secret, nor lies one in the store, its log or a
// backup. Each command's output is looked at by office.admin.
func TestCanary(t *testing.T) {
	o := newOffice(t, "")
	d := o.open()
	a := o.must(d, o.connect(d, "ada", fake.CampusUser), "river-lab", "data")
	o.secrets = append(o.secrets, a.Credential.Token.Reveal())
	keys, err := os.ReadFile(filepath.Join(o.dir, "etc", "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range bytes.Fields(keys) {
		if len(line) > 30 {
			o.secrets = append(o.secrets, string(line[len(line)/2:len(line)/2+20]))
		}
	}
	o.serve()
	event, err := d.db.Events(t.Context(), store.EventFilter{Kind: store.Credential, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"user", "show", "ada"}, {"user", "show", "ada", "--json"}, {"events"}, {"events", "--json"}, {"events", "verify", "--json"}, {"why", string(event[0].ID)},
		{"keys", "show"}, {"keys", "rotate"}, {"check"}, {"check", "--json"}, {"app", "check"}, {"policy", "check"},
		{"policy", "explain", "--user", "ada", o.host() + "/river-lab/data"}, {"backup", filepath.Join(o.dir, "b")}, {"user", "revoke", "ada"}, {"user", "allow", "ada"},
	} {
		if code, _ := o.admin(args...); code != 0 {
			t.Errorf("%v ended with %d", args, code)
		}
	}
	if o.live(a) {
		t.Error("the token lives on")
	}
	for _, pattern := range []string{"b", "store/*"} {
		files, err := filepath.Glob(filepath.Join(o.dir, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			o.noSecret(f, string(text))
		}
	}
}
