package broker_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/pass"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/store"
)

// TestMintPass: how long a pass may live, by who asks from where.
func TestMintPass(t *testing.T) {
	month := policy.Preset()[0]
	month.Name, month.MaxPass, month.Who = "month", 30*24*time.Hour, policy.Who{Groups: []string{"staff"}}
	brief := policy.Preset()[0]
	brief.Name, brief.MaxPass, brief.Who = "brief", 2*time.Hour, policy.Who{Groups: []string{"guests"}}
	never := policy.Preset()[0]
	never.Name, never.MaxPass, never.Who = "never", policy.NoEnd, policy.Who{Groups: []string{"robots"}}
	day := policy.Preset()[0]
	day.Who = policy.Who{Groups: []string{"students"}}
	ask := func(d time.Duration) broker.PassAsk { return broker.PassAsk{For: d} }
	endless := broker.PassAsk{Limits: pass.Limits{Expires: daypass.Forever}}
	server := func(c daypass.Caller) daypass.Caller { return c }
	user := func(c daypass.Caller) daypass.Caller {
		c.Via, c.Server = daypass.ViaUser, daypass.Server{}
		return c
	}
	for name, c := range map[string]struct {
		group string
		as    func(daypass.Caller) daypass.Caller
		fresh bool
		ask   broker.PassAsk
		allow bool // allow_never
		want  string
		life  time.Duration // 0: none
	}{
		"nothing said":                  {"students", browser, true, ask(0), false, "no error", hours(8)},
		"nothing said, a short rule":    {"guests", browser, true, ask(0), false, "no error", hours(2)},
		"a day":                         {"students", browser, true, ask(hours(24)), false, "no error", hours(24)},
		"a second more":                 {"students", browser, true, ask(hours(24) + time.Second), false, "DP-168", 0},
		"a day, not signed in just now": {"students", browser, false, ask(hours(24)), false, "DP-167", 0},
		"12 h, not just now":            {"students", browser, false, ask(hours(12)), false, "no error", hours(12)},
		"12 h by a server":              {"staff", server, true, ask(hours(12)), false, "no error", hours(12)},
		"more by a server":              {"staff", server, true, ask(hours(12) + time.Second), false, "DP-167", 0},
		"more by a token of theirs":     {"staff", user, true, ask(hours(13)), false, "DP-167", 0},
		"by a token of theirs":          {"staff", user, false, ask(0), false, "no error", hours(8)},
		"a month":                       {"staff", browser, true, ask(30 * 24 * time.Hour), false, "no error", 30 * 24 * time.Hour},
		"a month, by the wrong rule":    {"students", browser, true, ask(30 * 24 * time.Hour), false, "DP-168", 0},
		"no end, not allowed":           {"robots", browser, true, endless, false, "DP-169", 0},
		"no end":                        {"robots", browser, true, endless, true, "no error", policy.NoEnd},
		"no end, not just now":          {"robots", browser, false, endless, true, "DP-167", 0},
		"no end, by a server":           {"robots", server, true, endless, true, "DP-167", 0},
		"no end, by no rule":            {"staff", browser, true, endless, true, "DP-168", 0},
		"over already":                  {"students", browser, true, ask(-time.Hour), false, "DP-171", 0},
		"no rule at all":                {"strangers", browser, true, ask(0), false, "DP-168", 0},
		"a server's, by a browser":      {"students", browser, true, broker.PassAsk{ForServer: true}, false, "DP-170", 0},
		"an odd label":                  {"students", browser, true, broker.PassAsk{Label: "a\x1b[2J"}, false, "DP-171", 0},
		"an odd limit":                  {"students", browser, true, broker.PassAsk{Limits: pass.Limits{Repos: []string{"a b"}}}, false, "DP-171", 0},
		"repositories and sources":      {"students", browser, true, broker.PassAsk{Limits: pass.Limits{Repos: []string{"o/r"}, Sources: []string{"doi:x"}}}, false, "DP-171", 0},
		"too many limits":               {"students", browser, true, broker.PassAsk{Limits: pass.Limits{Sources: []string{strings.Repeat("x", 9000)}}}, false, "DP-171", 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(r *rig) { r.config.Rules, r.config.AllowNever = rules(t, month, brief, never, day), c.allow })
			m, err := r.MintPass(t.Context(), c.as(r.user("jo", c.group)), c.fresh, c.ask)
			if code(err) != c.want {
				t.Fatalf("%v, want %s", err, c.want)
			}
			if err != nil {
				if list := r.found(store.EventFilter{Kind: store.Refusal}); len(list) != 1 || list[0].Code != c.want || list[0].User != "jo" {
					t.Errorf("the refusal in the activity: %+v", list)
				}
				if !m.Text.IsZero() || len(r.found(store.EventFilter{Kind: store.PassMade})) != 0 {
					t.Error("refused, and made")
				}
				return
			}
			list := r.found(store.EventFilter{Kind: store.PassMade})
			if len(list) != 1 || list[0].ID != m.Event || list[0].Pass != m.Row.ID || list[0].Realm != "hub:hub" || list[0].User != "jo" {
				t.Errorf("the event of its making: %+v", list)
			}
			if c.life == policy.NoEnd {
				if !m.Row.Until.Equal(daypass.Forever) || !slices.Contains(m.Row.Caveats, "expires=never") {
					t.Errorf("no end: %+v", m.Row)
				}
			} else if left := m.Row.Until.Sub(m.Row.Created); left > c.life || left < c.life-2*time.Second {
				t.Errorf("it lives for %v, want %v", left, c.life)
			}
			if p, err := pass.Parse(m.Text); err != nil || p.Form() != pass.Daypass || !slices.Equal(p.Caveats(), m.Row.Caveats) {
				t.Errorf("the pass: %v, %q, %q", err, p.Caveats(), m.Row.Caveats)
			}
		})
	}
}

// TestServersPass: a pass that a server's token made is that server's, and says so
// whatever was asked.
func TestServersPass(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	m, err := r.MintPass(t.Context(), jo, false, broker.PassAsk{Limits: pass.Limits{Servers: []string{"other@"}}})
	if err != nil {
		t.Fatal(err)
	}
	own := "dp:server=@" + fmt.Sprint(begun.Unix())
	if !slices.Contains(m.Row.Caveats, own) || !slices.Contains(m.Row.Caveats, "dp:server=other@") || m.Row.Server != jo.Server || !m.Row.Started.Equal(begun) {
		t.Errorf("%q", m.Row.Caveats)
	}
	if _, err := r.with(m.Text, data); code(err) != "DP-161" {
		t.Errorf("good by either: %v", err)
	}
	unknown := jo
	unknown.Server = daypass.Server{}
	for name, c := range map[string]func(){
		"a server that the hub cannot tell": func() { jo = unknown },
		"one that does not run":             func() { jo = r.user("jo"); r.server("jo", "", time.Time{}) },
		"one without a start": func() {
			r.server("jo", "", time.Time{})
			u := r.hub["jo"]
			u.Servers = []string{""}
			r.hub["jo"] = u
		},
	} {
		c()
		if _, err := r.MintPass(t.Context(), jo, true, broker.PassAsk{}); code(err) != "DP-170" {
			t.Errorf("%s: %v", name, err)
		}
	}
	jo = r.user("jo")
	r.hubDown(true)
	if _, err := r.MintPass(t.Context(), jo, true, broker.PassAsk{}); code(err) != "DP-814" {
		t.Errorf("while the hub is away: %v", err)
	}
}

// TestSharedServerMintsNothing: whoever else enters a server makes, sees and ends
// no pass of its owner's; and a pass of a server that others enter by now writes
// no more.
func TestSharedServerMintsNothing(t *testing.T) {
	kind := policy.Own
	r := newRig(t, func(r *rig) {
		r.config.Hub.ServerKind = func(_ context.Context, c daypass.Caller) policy.ServerKind {
			if c.Via != daypass.ViaServer {
				return policy.Own
			}
			return kind
		}
	})
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	m, err := r.MintPass(t.Context(), jo, false, broker.PassAsk{})
	if err != nil {
		t.Fatal(err)
	}
	if a := r.mustWith(m.Text, data); a.Credential.Scope.Access != daypass.Write {
		t.Errorf("own: %v", a.Credential.Scope)
	}
	for _, kind = range []policy.ServerKind{policy.Shared, policy.Dashboard, policy.NoKind} {
		want := map[bool]string{true: "DP-814", false: "DP-170"}[kind == policy.NoKind]
		if _, err := r.MintPass(t.Context(), jo, false, broker.PassAsk{}); code(err) != want {
			t.Errorf("%v: %v", kind, err)
		}
		if _, err := r.Passes(t.Context(), jo); code(err) != want {
			t.Errorf("list, %v: %v", kind, err)
		}
		if _, _, err := r.EndPass(t.Context(), jo, m.Row.ID, ""); code(err) != want {
			t.Errorf("end, %v: %v", kind, err)
		}
		a, err := r.with(m.Text, data)
		if kind == policy.NoKind && err == nil || kind != policy.NoKind && (err != nil || a.Credential.Scope.Access != daypass.Read) {
			t.Errorf("by the pass, %v: %v, %v", kind, a.Credential.Scope, err)
		}
	}
}

// TestPassCaller: whose a pass is, and that its person is there still.
func TestPassCaller(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo", "class", "lab")
	m := r.mint(jo, pass.Limits{Repos: []string{"river-lab/data"}})
	c, err := r.PassCaller(t.Context(), m.Text, home)
	if err != nil {
		t.Fatal(err)
	}
	if c.User != jo.User || !slices.Equal(c.Groups, jo.Groups) || c.Via != daypass.ViaPass || c.Server != (daypass.Server{}) ||
		c.Pass.ID != m.Row.ID || len(c.Pass.Link) != 64 || c.Pass.From != "192.0.2.7" {
		t.Errorf("%+v", c)
	}
	p, _ := pass.Parse(m.Text)
	if short := p.Link().Short(); !strings.HasPrefix(c.Pass.Link, short) {
		t.Errorf("link %s, want %s…", c.Pass.Link, short)
	}
	if text := fmt.Sprintf("%v %+v %#v %q", c, c, c, c); strings.Contains(text, m.Text.Reveal()[8:40]) {
		t.Error("a caller prints its pass")
	}
	r.hubDown(true)
	if _, err := r.PassCaller(t.Context(), m.Text, home); err != nil {
		t.Errorf("within the minute, the hub away: %v", err)
	}
	r.later(61 * time.Second)
	if _, err := r.PassCaller(t.Context(), m.Text, home); code(err) != "DP-814" || !errors.Is(err, daypass.ErrUnreachable) {
		t.Errorf("a minute later, the hub away: %v", err)
	}
	r.hubDown(false)
	r.user("jo", "lab") // no longer in the class
	if c, err := r.PassCaller(t.Context(), m.Text, home); err != nil || !slices.Equal(c.Groups, []string{"lab"}) {
		t.Errorf("groups after a minute: %v, %v", c.Groups, err)
	}
}

// TestPassOfNameThatChangedHands: a pass is its person's, and neither the next one
// of that name nor somebody unknown has it.
func TestPassOfNameThatChangedHands(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	m := r.mint(jo, pass.Limits{})
	r.mustWith(m.Text, data)
	again := r.twin("jo")
	r.later(61 * time.Second)
	r.refusedBy(errOf(r.with(m.Text, data)), "DP-173", "somebody else bears the name", m.Text)
	if list, err := r.Passes(t.Context(), browser(again)); err != nil || len(list) != 0 {
		t.Errorf("the new jo sees %d passes, %v", len(list), err)
	}
	if _, ok, err := r.EndPass(t.Context(), browser(again), m.Row.ID, ""); ok || err != nil {
		t.Errorf("the new jo ended it: %v, %v", ok, err)
	}
	mine := r.mint(again, pass.Limits{})
	if c, err := r.PassCaller(t.Context(), mine.Text, home); err != nil || c.User != again.User {
		t.Errorf("the new jo's own: %+v, %v", c.User, err)
	}
}

func TestPassOfRenamed(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	m := r.mint(jo, pass.Limits{})
	r.renameAtHub("jo", "joanna")
	r.later(61 * time.Second)
	r.refusedBy(errOf(r.with(m.Text, data)), "DP-173", "renamed a moment ago", m.Text)
	joanna := jo
	joanna.User.Name = "joanna"
	if _, err := r.Enter(t.Context(), browser(joanna)); err != nil {
		t.Fatal(err)
	}
	if a, err := r.with(m.Text, data); err != nil || a.Credential.Token.IsZero() {
		t.Errorf("after signing in by the new name: %v", err)
	}
}

func errOf[T any](_ T, err error) error { return err }

// TestEndPass: a pass that was ended is dead, with all that was made of it, and
// with all that were narrowed from it, before or after.
func TestEndPass(t *testing.T) {
	for name, change := range map[string]change{"stored": func(*rig) {}, "in memory": inMemory} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, change)
			r.running()
			jo := r.user("jo")
			r.connect(jo, fake.CampusUser)
			m, other := r.mint(jo, pass.Limits{}), r.mint(jo, pass.Limits{})
			before := narrowed(t, m.Text, pass.Limits{Access: daypass.Read})
			answers := []broker.Answer{r.mustWith(m.Text, data), r.mustWith(before, data)}
			keep := r.mustWith(other.Text, data)
			kim := r.user("kim")
			for what, id := range map[string]string{"another's": m.Row.ID, "none": "abcdefghjkmnpqrs", "odd": "\x00", "empty": ""} {
				if _, ok, err := r.EndPass(t.Context(), browser(kim), id, ""); ok || err != nil {
					t.Errorf("%s: %v, %v", what, ok, err)
				}
			}
			event, ok, err := r.EndPass(t.Context(), browser(jo), m.Row.ID, "")
			if err != nil || !ok || event == "" {
				t.Fatalf("%v, %v", ok, err)
			}
			if _, ok, _ := r.EndPass(t.Context(), browser(jo), m.Row.ID, ""); ok {
				t.Error("ended twice")
			}
			for what, text := range map[string]daypass.Secret{
				"the pass": m.Text, "narrowed before": before, "narrowed after": narrowed(t, m.Text, pass.Limits{Access: daypass.Read}),
				"narrowed again": narrowed(t, before, pass.Limits{Uses: 3}),
			} {
				r.refusedBy(errOf(r.with(text, data)), "DP-160", what, text)
			}
			r.eventually("what it made is dead", func() bool { return !r.live(answers[0]) && !r.live(answers[1]) })
			time.Sleep(600 * time.Millisecond) // what changed was read
			if !r.live(keep) {
				t.Error("another pass's credential ended with it")
			}
			if again := r.mustWith(other.Text, data); !again.Credential.Token.Equal(keep.Credential.Token) {
				t.Error("another pass has another credential now")
			}
		})
	}
}

// TestEndShownPass: whoever holds a pass ends it, and all below it, and nothing
// above or beside.
func TestEndShownPass(t *testing.T) {
	r := newRig(t)
	r.running()
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	m := r.mint(jo, pass.Limits{})
	child := narrowed(t, m.Text, pass.Limits{Access: daypass.Read})
	grandchild := narrowed(t, child, pass.Limits{Hosts: []string{host}})
	beside := narrowed(t, m.Text, pass.Limits{Hosts: []string{host}})
	made := r.mustWith(child, data)
	for _, text := range []daypass.Secret{m.Text, child, grandchild, beside} {
		r.mustWith(text, data)
	}
	if _, err := r.EndShownPass(t.Context(), child, home, ""); err != nil {
		t.Fatal(err)
	}
	list := r.found(store.EventFilter{Kind: store.PassEnded})
	if len(list) != 1 || list[0].Link == "" || list[0].Pass != m.Row.ID || !strings.Contains(list[0].Why, "192.0.2.7") || list[0].User != "jo" {
		t.Errorf("%+v", list)
	}
	for what, text := range map[string]daypass.Secret{
		"it": child, "what was narrowed from it": grandchild, "one more limit": narrowed(t, child, pass.Limits{Uses: 5}),
		"the same limit again": withCaveats(t, child, "dp:access=read"),
	} {
		r.refusedBy(errOf(r.with(text, data)), "DP-160", what, text)
		r.refusedBy(errOf(r.EndShownPass(t.Context(), text, home, "")), "DP-160", what+", ended again", text)
	}
	r.eventually("what it made is dead", func() bool { return !r.live(made) })
	r.mustWith(m.Text, data)
	r.mustWith(beside, data)
	if _, err := r.EndShownPass(t.Context(), m.Text, netip.Addr{}, ""); err != nil {
		t.Fatal(err)
	}
	for _, text := range []daypass.Secret{m.Text, beside, narrowed(t, m.Text, pass.Limits{Uses: 1})} {
		r.refusedBy(errOf(r.with(text, data)), "DP-160", "below the ended root", text)
	}
	for _, rubbish := range []string{"", "daypass_", "x", "daypass_AgEAAA"} {
		if _, err := r.EndShownPass(t.Context(), daypass.NewSecret(rubbish), home, ""); code(err) != "DP-160" {
			t.Errorf("%q: %v", rubbish, err)
		}
	}
}

// TestEndPassElsewhere: where connections are in memory, what one process made ends
// with a pass that another process ends.
func TestEndPassElsewhere(t *testing.T) {
	r := newRig(t, inMemory)
	r.running()
	two := r.another("two")
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	m, other := r.mint(jo, pass.Limits{}), r.mint(jo, pass.Limits{})
	child := narrowed(t, other.Text, pass.Limits{Access: daypass.Read})
	server, a, b := r.must(jo, data), r.mustWith(m.Text, data), r.mustWith(child, data)
	if _, ok, err := two.EndPass(t.Context(), browser(jo), m.Row.ID, ""); !ok || err != nil {
		t.Fatal(err)
	}
	r.eventually("what it made is dead", func() bool { return !r.live(a) })
	if !r.live(b) || !r.live(server) {
		t.Error("others' ended with it")
	}
	if _, err := two.EndShownPass(t.Context(), child, home, ""); err != nil {
		t.Fatal(err)
	}
	r.eventually("what the derived one made is dead", func() bool { return !r.live(b) })
	if !r.live(server) {
		t.Error("the server's own ended with it")
	}
}

// TestPassOfCutOff: passes end with their person's access, for good.
func TestPassOfCutOff(t *testing.T) {
	r := newRig(t)
	two := r.another("two")
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	m := r.mint(jo, pass.Limits{})
	a := r.mustWith(m.Text, data)
	if _, err := two.RevokeUser(t.Context(), "jo", "root"); err != nil {
		t.Fatal(err)
	}
	r.refusedBy(errOf(r.with(m.Text, data)), "DP-160", "cut off", m.Text)
	if r.live(a) {
		t.Error("what it made is alive")
	}
	r.refusedBy(errOf(r.MintPass(t.Context(), browser(jo), true, broker.PassAsk{})), "DP-811", "another one")
	if _, err := r.AllowUser(t.Context(), "jo", "root"); err != nil {
		t.Fatal(err)
	}
	r.refusedBy(errOf(r.with(m.Text, data)), "DP-160", "allowed again", m.Text)
}

// TestPassIsNotEnough walks over all that a caller can ask: none but Credential,
// ReadSource and LinkFor takes a pass, and Roamed, which tells nobody anything. A method that is new has to
// be listed.
func TestPassIsNotEnough(t *testing.T) {
	r := newRig(t, func(r *rig) {
		r.config.Sharing = []string{"class"}
		r.config.Sources.Links.Groups = []string{"class"}
	})
	jo := r.user("jo", "class")
	r.connect(jo, fake.CampusUser)
	m := r.mint(jo, pass.Limits{})
	c, err := r.PassCaller(t.Context(), m.Text, home)
	if err != nil {
		t.Fatal(err)
	}
	dressed := browser(jo) // the pass's caller in another's dress
	dressed.Pass = c.Pass
	d, err := r.AskDevice(t.Context(), broker.DeviceAsk{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, soon := t.Context(), r.now().Add(time.Hour)
	folder := daypass.Source{Kind: daypass.KindDrive, Host: "drive.google.com", ID: "x"}
	no := map[string]func(daypass.Caller) error{
		"BrowseSource": func(c daypass.Caller) error { return errOf(r.BrowseSource(ctx, c, folder, "")) },
		"CopyLink": func(c daypass.Caller) error {
			return errOf(r.CopyLink(ctx, c, "a-link", broker.LinkAsk{Name: "b-link"}))
		},
		"EditLink":  func(c daypass.Caller) error { return errOf(r.EditLink(ctx, c, "a-link", broker.LinkAsk{})) },
		"EndLink":   func(c daypass.Caller) error { return r.EndLink(ctx, c, "a-link", "") },
		"LinkTerms": func(c daypass.Caller) error { return errOf(r.LinkTerms(ctx, c)) },
		"LinksOf":   func(c daypass.Caller) error { return errOf(r.LinksOf(ctx, c)) },
		"MakeLink": func(c daypass.Caller) error {
			return errOf(r.MakeLink(ctx, c, broker.LinkAsk{Name: "a-link", Source: &folder}))
		},
		"TestSource":    func(c daypass.Caller) error { return errOf(r.TestSource(ctx, c, folder, "")) },
		"AllowWrites":   func(c daypass.Caller) error { return r.AllowWrites(ctx, c, daypass.Server{Known: true}, "") },
		"Approve":       func(c daypass.Caller) error { return r.Approve(ctx, c, daypass.Server{Known: true}, "") },
		"Await":         func(c daypass.Caller) error { _, _, err := r.Await(ctx, c, host); return err },
		"Confirm":       func(c daypass.Caller) error { return r.Confirm(ctx, c, host, data, "") },
		"Connections":   func(c daypass.Caller) error { return errOf(r.Connections(ctx, c)) },
		"DecideDevice":  func(c daypass.Caller) error { return errOf(r.DecideDevice(ctx, c, d.User, true, broker.PassAsk{})) },
		"DeviceFor":     func(c daypass.Caller) error { _, _, err := r.DeviceFor(ctx, c, d.User); return err },
		"Disconnect":    func(c daypass.Caller) error { return errOf(r.Disconnect(ctx, c, host, "")) },
		"EndPass":       func(c daypass.Caller) error { _, _, err := r.EndPass(ctx, c, m.Row.ID, ""); return err },
		"EndShare":      func(c daypass.Caller) error { return r.EndShare(ctx, c, 1, "") },
		"Enter":         func(c daypass.Caller) error { return errOf(r.Enter(ctx, c)) },
		"FinishConsent": func(c daypass.Caller) error { return errOf(r.FinishConsent(ctx, c, broker.ConsentEnd{Host: host})) },
		"MintPass":      func(c daypass.Caller) error { return errOf(r.MintPass(ctx, c, true, broker.PassAsk{})) },
		"PassBounds":    func(c daypass.Caller) error { return errOf(r.PassBounds(ctx, c)) },
		"Passes":        func(c daypass.Caller) error { return errOf(r.Passes(ctx, c)) },
		"Reach":         func(c daypass.Caller) error { _, _, err := r.Reach(ctx, c, host); return err },
		"Rejected":      func(c daypass.Caller) error { return r.Rejected(ctx, c, host, "x", "") },
		"Share":         func(c daypass.Caller) error { return errOf(r.Share(ctx, c, host, data, "class", soon, "")) },
		"SharesFor":     func(c daypass.Caller) error { return errOf(r.SharesFor(ctx, c)) },
		"StartConsent": func(c daypass.Caller) error {
			return errOf(r.StartConsent(ctx, c, broker.ConsentStart{Session: "s", Host: host, Redirect: callback}))
		},
		"ServerStarted": func(c daypass.Caller) error {
			c.Server = daypass.Server{Known: true} // which runs
			if r.ServerStarted(ctx, c).IsZero() {
				return daypass.ErrRefused
			}
			return nil
		},
		"AsStudent": func(c daypass.Caller) error { _, _, err := r.AsStudent(ctx, c, "a-link", ""); return err },
		"CopyLinks": func(c daypass.Caller) error {
			return errOf(r.CopyLinks(ctx, c, []broker.LinkCopy{{Like: "a-link", Name: "b-link"}}, broker.LinkAsk{}))
		},
		"PullFailed": func(c daypass.Caller) error { return r.PullFailed(ctx, c, "a-link", "DP-331", "") },
		"Pick":       func(c daypass.Caller) error { return errOf(r.Pick(ctx, c, "")) },
		"MayAsk":     func(c daypass.Caller) error { return r.MayAsk(ctx, c) },
		"MayLink": func(c daypass.Caller) error {
			if r.MayLink(c) {
				return nil
			}
			return daypass.ErrRefused
		},
		"MayShare": func(c daypass.Caller) error {
			if r.MayShare(c) {
				return nil
			}
			return daypass.ErrRefused
		},
	}
	caller := reflect.TypeFor[daypass.Caller]()
	b := reflect.TypeFor[*broker.Broker]()
	for i := range b.NumMethod() {
		method := b.Method(i)
		takes := slices.ContainsFunc(slices.Collect(method.Type.Ins()), func(in reflect.Type) bool { return in == caller })
		takesPass := slices.Contains([]string{"Credential", "LinkFor", "ReadSource", "Roamed"}, method.Name)
		if _, listed := no[method.Name]; takes != listed && !takesPass {
			t.Errorf("%s takes a caller, or does not any more: list here that it takes no pass", method.Name)
		}
	}
	for name, call := range no {
		for _, who := range []daypass.Caller{c, dressed} {
			if err := call(who); !errors.Is(err, daypass.ErrRefused) || code(err) != "DP-166" && code(err) != "DP-826" && !strings.HasPrefix(name, "May") && name != "ServerStarted" {
				t.Errorf("%s by a pass, as %v: %v", name, who.Via, err)
			}
		}
	}
	r.refusedBy(errOf(r.LinkFor(ctx, dressed, "a-link", "")), "DP-166", "a link by a pass in a browser's dress")
	dressed.Via, dressed.Server = daypass.ViaServer, daypass.Server{Known: true}
	r.refusedBy(errOf(r.ReadSource(ctx, dressed, broker.SourceAsk{Link: "a-link"})), "DP-166", "content by a pass in a server's dress")
	if list, _ := r.Passes(ctx, browser(jo)); len(list) != 1 {
		t.Errorf("%d passes", len(list))
	}
	if conns, _ := r.Connections(ctx, jo); len(conns) != 1 {
		t.Error("disconnected")
	}
}

// TestPassRoamed: whose pass is used from many places sees it.
func TestPassRoamed(t *testing.T) {
	r := newRig(t)
	m := r.mint(r.user("jo"), pass.Limits{})
	c, err := r.PassCaller(t.Context(), m.Text, home)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Roamed(t.Context(), c, 9, "q"); err != nil {
		t.Fatal(err)
	}
	list := r.found(store.EventFilter{Kind: store.PassUse})
	if len(list) != 1 || list[0].Pass != m.Row.ID || list[0].User != "jo" || !strings.Contains(list[0].Why, "9 addresses") || len(list[0].Link) != 16 {
		t.Errorf("%+v", list)
	}
}

// TestManyPasses: somebody who makes passes without end is stopped.
func TestManyPasses(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 500 passes")
	}
	r := newRig(t)
	jo := r.user("jo")
	first := r.mint(jo, pass.Limits{})
	for range 499 {
		r.mint(jo, pass.Limits{})
	}
	r.refusedBy(errOf(r.MintPass(t.Context(), browser(jo), true, broker.PassAsk{})), "DP-175", "the 501st")
	r.mint(r.user("kim"), pass.Limits{})
	if _, ok, err := r.EndPass(t.Context(), browser(jo), first.Row.ID, ""); !ok || err != nil {
		t.Fatal(err)
	}
	r.mint(jo, pass.Limits{})
}

// TestPassesCountUses: the list says how often and when a pass was used, also what
// is not written down yet.
func TestPassesCountUses(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	m := r.mint(jo, pass.Limits{})
	for range 3 {
		r.mustWith(m.Text, data)
	}
	if _, err := r.with(narrowed(t, m.Text, pass.Limits{Hosts: []string{"x.example"}}), data); err == nil {
		t.Fatal("not for that host")
	}
	list, err := r.Passes(t.Context(), browser(jo))
	if err != nil || len(list) != 1 || list[0].Uses != 3 || list[0].Used.IsZero() || list[0].Label != "for a test" {
		t.Errorf("%+v, %v", list, err)
	}
	given := r.found(store.EventFilter{Kind: store.Credential, Pass: m.Row.ID})
	if len(given) != 3 || given[0].Via != "pass" || given[0].Realm != "hub:hub" {
		t.Errorf("in the activity: %+v", given)
	}
}

// TestShownInVain: whose pass is shown from where it is not good for, sees it, and
// not a line for each time.
func TestShownInVain(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	m := r.mint(jo, pass.Limits{Addresses: []string{"192.0.2.0/24"}})
	thief := netip.MustParseAddr("198.51.100.9")
	for range 5 {
		r.refusedBy(errOf(r.PassCaller(t.Context(), m.Text, thief)), "DP-161", "from elsewhere", m.Text)
	}
	list := r.found(store.EventFilter{Kind: store.Refusal})
	if len(list) != 1 || list[0].Pass != m.Row.ID || list[0].User != "jo" || list[0].Code != "DP-161" || list[0].Rule != "built-in:pass-limits" {
		t.Fatalf("%+v", list)
	}
	var ref *broker.Refusal
	r.later(2 * time.Minute)
	if _, err := r.PassCaller(t.Context(), m.Text, thief); !errors.As(err, &ref) || ref.Event == "" || !strings.Contains(err.Error(), "198.51.100.9") {
		t.Errorf("%v", err)
	}
	for range 5 {
		if _, err := r.PassCaller(t.Context(), withCaveats(t, daypass.NewSecret(strings.Replace(m.Text.Reveal(), "daypass_", "devpi-", 1)), "dp:moon=full"), thief); code(err) != "DP-164" {
			t.Error(err)
		}
	}
	if list := r.found(store.EventFilter{Kind: store.Refusal}); len(list) != 2 {
		t.Errorf("%d lines", len(list))
	}
}

// TestServersPassesInActivity: each pass that ends with its server has its line.
func TestServersPassesInActivity(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	for range 2 {
		if _, err := r.MintPass(t.Context(), jo, false, broker.PassAsk{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.ServerStopped(t.Context(), "jo", time.Time{}, ""); err != nil {
		t.Fatal(err)
	}
	ended := r.found(store.EventFilter{Kind: store.PassEnded})
	if stopped := r.found(store.EventFilter{Kind: store.ServerStopped}); len(ended) != 2 || len(stopped) != 1 || ended[0].Pass == ended[1].Pass || ended[0].Server != "default" {
		t.Errorf("%+v, %+v", ended, stopped)
	}
	list, err := r.Passes(t.Context(), browser(jo))
	if err != nil || len(list) != 2 || list[0].Ended.IsZero() || list[0].Why == "" {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestNeverByFarEnd: an end so far away that no span reaches it is none.
func TestNeverByFarEnd(t *testing.T) {
	r := newRig(t, longRules, func(r *rig) { r.config.AllowNever = false })
	jo := r.user("jo")
	for _, years := range []int{2, 300} {
		m, err := r.MintPass(t.Context(), browser(jo), true, broker.PassAsk{Limits: pass.Limits{Expires: r.now().AddDate(years, 0, 0)}})
		if code(err) != "DP-168" {
			t.Errorf("%d years: %v, %v", years, m.Row.Until, err)
		}
	}
}

// TestSiblingsOfHostilePass: whoever holds one narrowed pass does not end what
// another made of the same root, nor takes away the room for ending others.
func TestSiblingsOfHostilePass(t *testing.T) {
	t.Run("stored", func(t *testing.T) { hostileSibling(t, newRig(t), 2000) })
	t.Run("in memory", func(t *testing.T) { hostileSibling(t, newRig(t, inMemory), 8) })
}

func hostileSibling(t *testing.T, r *rig, most int) {
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	root := r.mint(jo, pass.Limits{})
	evil := narrowed(t, root.Text, pass.Limits{Repos: []string{"river-lab/data"}})
	good := narrowed(t, root.Text, pass.Limits{Repos: []string{notes.String()}})
	whole, leaf := r.mustWith(root.Text, notes), withCaveats(t, good, "dp:access=read")
	sibling, below := r.mustWith(good, notes), r.mustWith(leaf, notes)
	end := func(text daypass.Secret) error {
		_, err := r.EndShownPass(t.Context(), text, netip.Addr{}, "")
		return err
	}
	live := func(when string, want bool, all ...broker.Answer) {
		t.Helper()
		p, _, _ := r.db.Person(t.Context(), jo.User)
		if _, err := r.Settle(t.Context(), p.ID); err != nil {
			t.Fatal(err)
		}
		for i, a := range all {
			if r.live(a) != want {
				t.Errorf("%s: token %d lives: %v", when, i, !want)
			}
		}
	}
	var err error
	n := 0
	for ; err == nil && n < most; n++ {
		err = end(withCaveats(t, evil, fmt.Sprint("dp:uses=", n+1)))
	}
	if most > 1024 {
		r.refusedBy(err, "DP-160", "one that ends its own again and again", evil)
		if n != 514 { // 512 by themselves, then all of its branch
			t.Errorf("ended %d", n)
		}
	}
	live("somebody ended theirs", true, whole, sibling, below)
	if !r.mustWith(good, notes).Cached {
		t.Error("a sibling has lost its token")
	}
	if err := end(good); err != nil {
		t.Errorf("a sibling cannot be ended by itself any more: %v", err)
	}
	live("ended, and what was narrowed from it", false, sibling, below)
	live("what it was narrowed from", true, whole)
}

// TestSpansInWords: people read how long a pass may live as they would say it.
func TestSpansInWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		hours(24): "24 hours", hours(12): "12 hours", hours(1): "1 hour", 90 * time.Minute: "1 hour 30 minutes", 45 * time.Second: "45 seconds",
		hours(720): "30 days", hours(50): "2 days 2 hours", hours(26) + time.Second: "26 hours 1 second", 0: "less than a second",
	} {
		if got := broker.Span(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
	r := newRig(t)
	jo := r.user("jo")
	_, err := r.MintPass(t.Context(), browser(jo), true, broker.PassAsk{For: hours(1000)})
	if code(err) != "DP-168" || !strings.Contains(err.Error(), "live for 24 hours at most") {
		t.Errorf("too long: %v", err)
	}
	if _, err := r.MintPass(t.Context(), browser(jo), false, broker.PassAsk{For: hours(20)}); code(err) != "DP-167" || !strings.Contains(err.Error(), "more than 12 hours") {
		t.Errorf("not fresh: %v", err)
	}
}
