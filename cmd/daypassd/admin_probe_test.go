package main

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/store"
)

// probe runs the command with somebody who types.
func (o *office) probe(typed string, args ...string) (int, string) {
	o.t.Helper()
	var out bytes.Buffer
	a := o.app(&out)
	a.stdin = bufio.NewReader(strings.NewReader(typed))
	code := a.run(o.t.Context(), append([]string{"admin", "app", "probe", "--config", o.config}, args...))
	o.noSecret("app probe", out.String())
	o.t.Logf("$ daypass admin app probe %s  (%d)\n%s", strings.Join(args, " "), code, out.String())
	return code, out.String()
}

// TestProbe: the findings are what the host does, whatever that is; the servers'
// tokens end, the connection goes on, and no token is left behind.
func TestProbe(t *testing.T) {
	for name, c := range map[string]struct {
		sw   func(*fake.Switches)
		says []string
	}{
		"as assumed": {func(*fake.Switches) {}, []string{
			"children_survive_refresh: false\nIt is so already.", "they end when", "11 were made, and 10 of them lived", `says "selected"`, "the same as the connection's", "own token lived on",
		}},
		"they survive": {func(s *fake.Switches) { s.ChildrenSurviveRefresh = true }, []string{"children_survive_refresh: true\n", "they go on when"}},
		"no limit":     {func(s *fake.Switches) { s.ChildLimit = -1 }, []string{"11 were made, and 11 of them lived at once; no limit", "survive_refresh: false"}},
		"a low limit":  {func(s *fake.Switches) { s.ChildLimit = 3 }, []string{"4 were made, and 3 of them lived"}},
		"all is said":  {func(s *fake.Switches) { s.EchoSelection = true }, []string{`says "all", though`, "any_selection: true, daypass refuses such"}},
		"no end":       {func(s *fake.Switches) { s.ChildrenUndated = true }, []string{"the answer names none"}},
	} {
		t.Run(name, func(t *testing.T) {
			seed := fake.Campus()
			for i := range seed.Installations {
				if seed.Installations[i].App == fake.CampusPushApp && name == "all is said" {
					seed.Installations[i].All, seed.Installations[i].Repos = true, nil
				}
			}
			o := newOfficeWith(t, "", &seed)
			o.world.Local.Set(c.sw)
			d := o.open()
			caller := o.connect(d, "ada", fake.CampusUser)
			if name != "all is said" { // which daypass refuses
				a := o.must(d, caller, "river-lab", "data")
				defer func() {
					if o.live(a) {
						t.Error("a server's token outlived the probe")
					}
				}()
			}
			code, said := o.probe(fake.CampusUser+"\n", "--user", "ada")
			if code != 0 {
				t.Fatalf("it ended with %d", code)
			}
			for _, want := range c.says {
				if !strings.Contains(said, want) {
					t.Errorf("it does not say %q", want)
				}
			}
			for _, tok := range o.world.Local.LiveTokens() {
				if tok.Scoped {
					t.Errorf("a token was left: %+v", tok)
				}
			}
			if left, err := d.db.Todos(t.Context()); err != nil || len(left) != 0 {
				t.Errorf("to-dos are left: %+v, %v", left, err)
			}
			events, err := d.db.Events(t.Context(), store.EventFilter{Kind: store.Revoke})
			if err != nil || len(events) == 0 || !strings.Contains(events[0].Why, "root-of-it-all") {
				t.Errorf("the activity does not say who did that: %+v, %v", events, err)
			}
			p, err := d.peopleNamed(t.Context(), "ada")
			if err != nil {
				t.Fatal(err)
			}
			conn, err := d.db.Connection(t.Context(), p[0].ID, o.host())
			if err != nil || conn.State != store.Live || conn.Version != 2 || conn.Lease != "" {
				t.Errorf("the connection is %+v, %v", conn, err)
			}
		})
	}
}

// TestProbeNeedsYes: nothing is done before somebody says whose account it is, or
// where there is none.
func TestProbeNeedsYes(t *testing.T) {
	o := newOffice(t, "")
	d := o.open()
	a := o.must(d, o.connect(d, "ada", fake.CampusUser), "river-lab", "data")
	o.caller(d, "bob")
	before := len(o.world.Local.LiveTokens())
	for _, c := range []struct {
		typed, code string
		args        []string
	}{
		{"", "DP-966", []string{"--user", "ada"}}, {"yes\n", "DP-966", []string{"--user", "ada"}}, {fake.CampusOther + "\n", "DP-966", []string{"--user", "ada", "--host", o.host()}},
		{fake.CampusUser + "\n", "DP-962", []string{"--user", "bob"}}, {fake.CampusUser + "\n", "DP-001", nil}, {fake.CampusUser + "\n", "DP-001", []string{"--user", "ada", "--host", "github.com"}},
	} {
		if code, said := o.probe(c.typed, c.args...); code == 0 || !strings.Contains(said, c.code) || strings.Contains(said, fake.CampusUser) {
			t.Errorf("%q typed, %v: %d", c.typed, c.args, code)
		}
	}
	o.connect(d, "bob", fake.CampusOther)
	if _, err := d.broker.Disconnect(t.Context(), o.caller(d, "bob"), o.host(), "r"); err != nil {
		t.Fatal(err)
	}
	if code, said := o.probe(fake.CampusOther+"\n", "--user", "bob"); code == 0 || !strings.Contains(said, "DP-967") {
		t.Errorf("without a connection: %d", code)
	}
	if !o.live(a) || len(o.world.Local.LiveTokens()) < before {
		t.Error("a token was ended")
	}
}

// TestProbeAlone: while somebody else renews the connection nothing is done; and
// a probe that the host does not answer leaves the connection as it was.
func TestProbeAlone(t *testing.T) {
	o := newOffice(t, "")
	d := o.open()
	o.connect(d, "ada", fake.CampusUser)
	p, err := d.peopleNamed(t.Context(), "ada")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := d.db.Connection(t.Context(), p[0].ID, o.host())
	if err != nil {
		t.Fatal(err)
	}
	o.world.Local.Set(func(s *fake.Switches) { s.SecondaryLimit = time.Minute })
	if code, said := o.probe(fake.CampusUser+"\n", "--user", "ada"); code == 0 || !strings.Contains(said, "DP-968") {
		t.Errorf("a host that refuses: %d", code)
	}
	o.world.Local.Set(func(s *fake.Switches) { s.SecondaryLimit = 0 })
	now, err := d.db.ConnectionByID(t.Context(), conn.ID)
	if err != nil || now.State != store.Live || now.Version != conn.Version || now.Lease != "" {
		t.Errorf("the connection is %+v, %v", now, err)
	}
	if code, _ := o.probe(fake.CampusUser+"\n", "--user", "ada"); code != 0 {
		t.Errorf("the second try ended with %d", code)
	}
}
