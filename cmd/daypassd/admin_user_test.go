package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/store"
)

func TestUserShow(t *testing.T) {
	o := newOffice(t, "")
	d := o.open()
	c := o.connect(d, "ada", fake.CampusUser)
	o.must(d, c, "river-lab", "data")
	if _, err := o.ask(d, c, "ada", "private"); err == nil {
		t.Fatal("a repository out of reach was given")
	}
	o.wants(0, []string{"ada at the hub hub", "as octo-researcher", "live", "river-lab/data", "write", "server default", "refusal", "DP-821", "cut off"}, "user", "show", "ada")
	o.wants(1, []string{`"ada"`, "DP-962"}, "user", "show", "ad")
	o.wants(1, []string{"DP-962"}, "user", "show", "nobody\x1b[2J")
	o.wants(2, []string{"NAME is missing"}, "user", "show")
	said := o.wants(0, nil, "user", "show", "ada", "--json")
	var list []personView
	if err := json.Unmarshal([]byte(said), &list); err != nil || len(list) != 1 || len(list[0].Tokens) != 1 || list[0].Connections[0].Account != fake.CampusUser {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestRevokeWhileDown: the cut holds here at once; what the host could not be
// told is said, ends with 1, and is done when it answers again.
func TestRevokeWhileDown(t *testing.T) {
	o := newOffice(t, "")
	d := o.open()
	c := o.connect(d, "ada", fake.CampusUser)
	a := o.must(d, c, "river-lab", "data")
	other := o.connect(d, "bob", fake.CampusOther)
	o.must(d, other, "river-lab", "data")
	stop := o.world.Local.Fault(nil, fake.Fault{Kind: fake.FaultHTML502})
	o.wants(1, []string{"cut off", "erased here", "still to do at " + o.host(), "tried 1 time", "DP-956"}, "user", "revoke", "ada")
	if !o.live(a) {
		t.Fatal("the token is dead although the host was not told: the test shows nothing")
	}
	if _, err := o.ask(o.open(), c, "river-lab", "data"); err == nil {
		t.Error("who was cut off is given a token")
	}
	o.wants(0, []string{"CUT OFF", "STILL TO REVOKE", "root-of-it-all on the command line"}, "user", "show", "ada")
	stop()
	o.wants(0, []string{"Done"}, "user", "revoke", "ada")
	if o.live(a) {
		t.Error("the token lives on")
	}
	if list, err := d.db.Todos(t.Context()); err != nil || len(list) > 1 { // bob's, for later
		t.Errorf("left over: %+v, %v", list, err)
	}
	if _, err := o.ask(d, other, "river-lab", "data"); err != nil {
		t.Errorf("somebody else has nothing any more: %v", err)
	}
	o.wants(0, []string{"may use the access service again"}, "user", "allow", "ada")
	o.wants(0, []string{"was not cut off"}, "user", "allow", "ada")
	o.wants(1, []string{"DP-962"}, "user", "allow", "eve")
	o.wants(1, []string{"DP-962"}, "user", "revoke", "eve")
	o.wants(0, []string{"cut-off", "by root-of-it-all on the command line", "allow"}, "events", "--user", "ada")
}

// TestRevokeLater: the running service does what the command left.
func TestRevokeLater(t *testing.T) {
	o := newOffice(t, "")
	d := o.open()
	a := o.must(d, o.connect(d, "ada", fake.CampusUser), "river-lab", "data")
	stop := o.world.Local.Fault(nil, fake.Fault{Kind: fake.FaultReset})
	o.wants(1, []string{"DP-956"}, "user", "revoke", "ada")
	o.serve()
	stop()
	o.eventually("the service revokes what is left", func() bool { return !o.live(a) })
	o.eventually("nothing is left", func() bool {
		list, err := d.db.Todos(t.Context())
		return err == nil && len(list) == 0
	})
}

// TestRevokeRunning: what the running service has in its memory is of no use to
// who was cut off, at once; what they were given is dead at the host.
func TestRevokeRunning(t *testing.T) {
	for _, more := range []string{"", "connections: {keep: session}\n"} {
		o := newOffice(t, more)
		d := o.open()
		token := o.hub.StartServer("ada", "")
		if more == "" {
			o.connect(d, "ada", fake.CampusUser)
		}
		o.serve()
		if more != "" {
			// Nothing of it is in the store, and the command cannot see it.
			if status, _, _ := o.request(token, "river-lab/data"); status == http.StatusOK {
				t.Fatal("given without a connection")
			}
			o.wants(0, []string{"keeps connections in its memory", "none"}, "user", "show", "ada")
			o.wants(0, []string{"within a second"}, "user", "revoke", "ada")
			continue
		}
		status, said, err := o.request(token, "river-lab/data")
		if err != nil || status != http.StatusOK {
			t.Fatalf("%d %s %v", status, said, err)
		}
		var given struct{ Password string }
		if err := json.Unmarshal([]byte(said), &given); err != nil || given.Password == "" {
			t.Fatal(err)
		}
		o.wants(0, []string{"Done"}, "user", "revoke", "ada")
		if _, live := o.world.Local.Token(given.Password); live {
			t.Error("what the server was given lives on")
		}
		start := time.Now()
		for {
			status, said, _ := o.request(token, "river-lab/data")
			if status == http.StatusForbidden && strings.Contains(said, "DP-811") {
				break
			}
			if time.Since(start) > 2*time.Second {
				t.Fatalf("after 2 s: %d %s", status, said)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// TestWhy: each refusal is told with its rule and what helps.
func TestWhy(t *testing.T) {
	o := newOffice(t, "rules:\n  - {name: mine, what: ['*/*/*'], access: write, max: 1h}\n  - {name: no-paper, forbid: true, what: ['*/river-lab/paper']}\n")
	d := o.open()
	c := o.connect(d, "ada", fake.CampusUser)
	event := func(owner, name string) string {
		_, err := o.ask(d, c, owner, name)
		if err == nil {
			t.Fatal("not refused")
		}
		list, err := d.db.Events(t.Context(), store.EventFilter{User: "ada", Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		return string(list[0].ID)
	}
	id := event("river-lab", "paper")
	o.wants(0, []string{"refused", "no-paper, as it reads today", "forbids everything in */river-lab/paper", "for everybody", "They can", "policy explain", "The rule is called no-paper", id}, "why", id)
	o.wants(0, []string{id}, "why", "("+strings.ToLower(id)+").")
	o.edit("name: no-paper", "name: new-name")
	o.wants(0, []string{"there is none of that name any more"}, "why", id)
	o.wants(0, []string{"have the App installed", "owner"}, "why", event("ada", "private"))
	o.must(d, c, "river-lab", "data")
	list, err := d.db.Events(t.Context(), store.EventFilter{Kind: store.Credential, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	o.wants(0, []string{"credential, done", "mine, as it reads today", "lets read and write", "at most 1 hour"}, "why", string(list[0].ID))
	o.wants(1, []string{"DP-961"}, "why", "K3QF-99999")
	o.wants(1, []string{"DP-961"}, "why", "\x1b]0;x")
}

// TestManaged: the commands work for a service that the hub starts, whose token
// no shell has.
func TestManaged(t *testing.T) {
	o := newOffice(t, "")
	d := o.open()
	a := o.must(d, o.connect(d, "ada", fake.CampusUser), "river-lab", "data")
	d.db.Close()
	o.edit("  token: file:"+o.dir+"/etc/hub-token\n", "")
	o.wants(0, []string{"credential"}, "events")
	if said := o.wants(1, []string{"note   hub", "RED    running"}, "check"); strings.Contains(said, "RED    hub") {
		t.Error("the hub is red for want of a token that nobody has here")
	}
	o.wants(0, []string{"the hub cannot be asked"}, "policy", "explain", "--user", "ada", o.host()+"/river-lab/data")
	o.wants(0, []string{"Done"}, "user", "revoke", "ada")
	if o.live(a) {
		t.Error("the token lives on")
	}
}
