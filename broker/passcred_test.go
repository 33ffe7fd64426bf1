package broker_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/pass"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/store"
)

// number is a repository's at the stand-in.
func (r *rig) number(c daypass.Caller, repo daypass.Repo) int64 {
	r.t.Helper()
	return r.must(c, repo).Credential.Scope.Repos[0].ID
}

// TestPassLimits: what each limit lets through and what it refuses, by name, by an
// old name and by number.
func TestPassLimits(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	if err := r.gh.Rename("river-lab/handbook", "river-lab/guide"); err != nil { // before anybody pins a name
		t.Fatal(err)
	}
	guide := daypass.Repo{Owner: "river-lab", Name: "guide"}
	dataID, guideID := r.number(jo, data), r.number(jo, guide)
	hash := func(repo string, id int64) string { return repo + "#" + itoa(id) }
	least := daypass.Write
	for name, c := range map[string]struct {
		l    pass.Limits
		ask  broker.Ask
		from netip.Addr
		want string
		got  daypass.Access
	}{
		"no limit":                   {pass.Limits{}, broker.Ask{Repo: data}, home, "no error", daypass.Write},
		"to read":                    {pass.Limits{Access: daypass.Read}, broker.Ask{Repo: data}, home, "no error", daypass.Read},
		"to read, and a push":        {pass.Limits{Access: daypass.Read}, broker.Ask{Repo: data, Least: least}, home, "DP-161", 0},
		"to write":                   {pass.Limits{Access: daypass.Write}, broker.Ask{Repo: data}, home, "no error", daypass.Write},
		"to write, where they read":  {pass.Limits{Access: daypass.Write}, broker.Ask{Repo: guide}, home, "no error", daypass.Read},
		"this repository":            {pass.Limits{Repos: []string{"river-lab/data"}}, broker.Ask{Repo: data}, home, "no error", daypass.Write},
		"in other letters":           {pass.Limits{Repos: []string{"River-Lab/DATA"}}, broker.Ask{Repo: data}, home, "no error", daypass.Write},
		"another repository":         {pass.Limits{Repos: []string{"river-lab/data"}}, broker.Ask{Repo: guide}, home, "DP-161", 0},
		"no repository":              {pass.Limits{Repos: []string{}}, broker.Ask{Repo: data}, home, "DP-161", 0},
		"the old name, by the new":   {pass.Limits{Repos: []string{"river-lab/guide"}}, broker.Ask{Repo: handbook}, home, "DP-161", 0},
		"the new name, by the old":   {pass.Limits{Repos: []string{"river-lab/handbook"}}, broker.Ask{Repo: guide}, home, "DP-161", 0},
		"the old name, by itself":    {pass.Limits{Repos: []string{"river-lab/handbook"}}, broker.Ask{Repo: handbook}, home, "DP-161", 0},
		"both names":                 {pass.Limits{Repos: []string{"river-lab/handbook", "river-lab/guide"}}, broker.Ask{Repo: handbook}, home, "no error", daypass.Read},
		"its number":                 {pass.Limits{Repos: []string{hash("", dataID)}}, broker.Ask{Repo: data}, home, "no error", daypass.Write},
		"its number, by an old name": {pass.Limits{Repos: []string{hash("", guideID)}}, broker.Ask{Repo: handbook}, home, "no error", daypass.Read},
		"another number":             {pass.Limits{Repos: []string{hash("", dataID)}}, broker.Ask{Repo: guide}, home, "DP-161", 0},
		"name and number":            {pass.Limits{Repos: []string{hash("river-lab/data", dataID)}}, broker.Ask{Repo: data}, home, "no error", daypass.Write},
		"the name, another's number": {pass.Limits{Repos: []string{hash("river-lab/data", guideID)}}, broker.Ask{Repo: data}, home, "DP-161", 0},
		"a number that they claim":   {pass.Limits{Repos: []string{hash("", dataID)}}, broker.Ask{Repo: daypass.Repo{Owner: "river-lab", Name: "guide", ID: dataID}}, home, "DP-161", 0},
		"this host":                  {pass.Limits{Hosts: []string{host}}, broker.Ask{Repo: data}, home, "no error", daypass.Write},
		"another host":               {pass.Limits{Hosts: []string{"ghe.example"}}, broker.Ask{Repo: data}, home, "DP-161", 0},
		"from here":                  {pass.Limits{Addresses: []string{"192.0.2.0/24"}}, broker.Ask{Repo: data}, home, "no error", daypass.Write},
		"from here, as IPv6":         {pass.Limits{Addresses: []string{"192.0.2.0/24"}}, broker.Ask{Repo: data}, netip.MustParseAddr("::ffff:192.0.2.7"), "no error", daypass.Write},
		"from elsewhere":             {pass.Limits{Addresses: []string{"198.51.100.0/24"}}, broker.Ask{Repo: data}, home, "DP-161", 0},
		"from nobody knows where":    {pass.Limits{Addresses: []string{"0.0.0.0/0", "::/0"}}, broker.Ask{Repo: data}, netip.Addr{}, "DP-161", 0},
		"later":                      {pass.Limits{NotBefore: r.now().Add(7 * time.Hour)}, broker.Ask{Repo: data}, home, "DP-163", 0},
		"a source":                   {pass.Limits{Sources: []string{"doi:10.5281/zenodo.1"}}, broker.Ask{Repo: data}, home, "DP-161", 0},
		"a package index":            {pass.Limits{Indexes: []string{"jo/dev"}}, broker.Ask{Repo: data}, home, "DP-161", 0},
		"an upload":                  {pass.Limits{Allowed: []string{"upload"}}, broker.Ask{Repo: data}, home, "DP-161", 0},
		"a digest":                   {pass.Limits{Digests: []string{"sha256:" + strings.Repeat("0", 64)}}, broker.Ask{Repo: data}, home, "DP-161", 0},
		"a server":                   {pass.Limits{Servers: []string{"@"}}, broker.Ask{Repo: data}, home, "no error", daypass.Write},
		"a server that runs not":     {pass.Limits{Servers: []string{"gpu@"}}, broker.Ask{Repo: data}, home, "DP-161", 0},
	} {
		t.Run(name, func(t *testing.T) {
			m := r.mint(jo, pass.Limits{})
			for how, text := range map[string]daypass.Secret{"minted so": r.mint(jo, c.l).Text, "narrowed": narrowed(t, m.Text, c.l)} {
				if c.l.IsZero() && how == "narrowed" {
					continue
				}
				ask := c.ask
				ask.Access = daypass.Write
				a, err := r.by(r.Broker, text, c.from, ask)
				if code(err) != c.want {
					t.Fatalf("%s: %v, want %s", how, err, c.want)
				}
				if err == nil && (a.Credential.Scope.Access != c.got || !a.Credential.Scope.Repos[0].SameName(c.ask.Repo)) {
					t.Errorf("%s: %+v", how, a.Credential.Scope)
				}
				if r.later(time.Minute); err == nil && !r.live(a) { // the pace of one person is kept
					t.Error("not alive")
				}
			}
		})
	}
}

// TestClaimedNumber: whoever asks names a repository, and its number is the host's
// to say.
func TestClaimedNumber(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	id := r.number(jo, notes)
	claim := data
	claim.ID = id
	if a, err := r.ask(jo, claim); err != nil || a.Credential.Scope.Repos[0].ID == id || !a.Credential.Scope.Repos[0].SameName(data) {
		t.Errorf("%+v, %v", a.Credential.Scope, err)
	}
}

func itoa(n int64) string { return strings.TrimPrefix(pass.ServerItem("", time.Unix(n, 0)), "@") }

// TestUnknownLimit: what nobody here understands opens nothing.
func TestUnknownLimit(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	m := r.mint(jo, pass.Limits{})
	for _, caveat := range []string{"dp:moon=full", "only=me", "dp:access=admin", "dp:host=", "", `[9, "x"]`, "dp:uses=0"} {
		text := withCaveats(t, m.Text, caveat)
		if err := errOf(r.with(text, data)); code(err) != "DP-164" && code(err) != "DP-161" {
			t.Errorf("%q: %v", caveat, err)
		}
		if caveat != "dp:host=" {
			r.refusedBy(errOf(r.PassCaller(t.Context(), text, home)), "DP-164", caveat, text)
		}
	}
}

// TestUniformAnswer: whoever guesses learns nothing from the answer.
func TestUniformAnswer(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	good, ended, over := r.mint(jo, pass.Limits{}), r.mint(jo, pass.Limits{}), r.mint(jo, pass.Limits{Expires: r.now().Add(time.Minute)})
	if _, ok, err := r.EndPass(t.Context(), browser(jo), ended.Row.ID, ""); !ok || err != nil {
		t.Fatal(err)
	}
	r.later(2 * time.Minute)
	forge := func(realm pass.Realm, user, id string, key byte, caveats ...string) daypass.Secret {
		p, err := pass.Mint(pass.NewKey(slices.Repeat([]byte{key}, 32)), pass.Identity{Realm: realm, User: user, ID: id}, caveats...)
		if err != nil {
			t.Fatal(err)
		}
		return p.Text(pass.Daypass)
	}
	hub := pass.Realm{Kind: pass.Hub, Name: "hub"}
	first := ""
	for what, text := range map[string]daypass.Secret{
		"ended": ended.Text, "over": over.Text, "forged": forge(hub, "", good.Row.ID, 0, good.Row.Caveats...),
		"unknown": forge(hub, "", "abcdefghjkmnpqrs", 0), "another hub's": forge(pass.Realm{Kind: pass.Hub, Name: "other"}, "", good.Row.ID, 0),
		"an index's": forge(pass.Realm{Kind: pass.Index, Name: "hub"}, "jo", good.Row.ID, 0), "a plugin's": forge(pass.Realm{Kind: pass.Plugin}, "jo", "abcdefgh", 0),
		"no pass": daypass.NewSecret("daypass_xyz"), "cut short": daypass.NewSecret(good.Text.Reveal()[:len(good.Text.Reveal())-8]),
		"forged, with a limit that nobody knows": forge(hub, "", good.Row.ID, 0, "dp:moon=full"),
	} {
		_, err := r.PassCaller(t.Context(), text, home)
		if err == nil || code(err) != "DP-160" || !errors.Is(err, daypass.ErrRefused) {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if first == "" {
			first = err.Error()
		}
		if err.Error() != first {
			t.Errorf("%s is told from others: %v", what, err)
		}
	}
}

// TestPassesCredentialIsItsOwn: a credential that one pass got is given to no
// other, not even to a narrower one, and to none after its pass ended; nor by
// another process.
func TestPassesCredentialIsItsOwn(t *testing.T) {
	r := newRig(t)
	two := r.another("two")
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	own := r.must(jo, data)
	m, err := r.MintPass(t.Context(), jo, false, broker.PassAsk{}) // of the very server that has one of its own
	if err != nil {
		t.Fatal(err)
	}
	other := r.mint(jo, pass.Limits{})
	narrow := narrowed(t, m.Text, pass.Limits{Repos: []string{"river-lab/data"}})
	marks := map[string]string{broker.Fingerprint(own.Credential.Token): "the server's own"}
	for what, text := range map[string]daypass.Secret{"the pass": m.Text, "another": other.Text, "a narrower one": narrow} {
		a := r.mustWith(text, data)
		mark := broker.Fingerprint(a.Credential.Token)
		if before, twice := marks[mark]; twice {
			t.Errorf("%s was given the credential of %s", what, before)
		}
		marks[mark] = what
		if again := r.mustWith(text, data); broker.Fingerprint(again.Credential.Token) != mark || !again.Cached {
			t.Errorf("%s: another credential for the same", what)
		}
		if there, err := r.by(two, text, home, broker.Ask{Repo: data, Access: daypass.Write}); err != nil || broker.Fingerprint(there.Credential.Token) != mark {
			t.Errorf("%s, in another process: %v", what, err)
		}
	}
	if again := r.must(jo, data); marks[broker.Fingerprint(again.Credential.Token)] != "the server's own" {
		t.Error("the server was given a pass's credential")
	}
}

// TestHubsCredentialOfPass: what a class shares is shared with no pass, since it
// would go on when the pass ends.
func TestHubsCredentialOfPass(t *testing.T) {
	r := newRig(t, func(r *rig) {
		r.config.Rules = rules(r.t, policy.Rule{Name: "course", Who: policy.Who{Groups: []string{"class"}}, What: []policy.Pattern{pattern(r.t, "github.com/uni-course/home*")}, Access: daypass.Read, As: policy.AsHub, Max: time.Hour})
	})
	jo, kim := r.user("jo", "class"), r.user("kim", "class")
	shared := r.must(kim, homework)
	m := r.mint(jo, pass.Limits{})
	a := r.mustWith(m.Text, homework)
	narrow := r.mustWith(narrowed(t, m.Text, pass.Limits{Access: daypass.Read}), homework)
	if own := r.must(jo, homework); !own.Credential.Token.Equal(shared.Credential.Token) {
		t.Error("the class shares one")
	}
	if a.Credential.Token.Equal(shared.Credential.Token) || narrow.Credential.Token.Equal(a.Credential.Token) {
		t.Error("a pass was given what others have")
	}
	if _, ok, err := r.EndPass(t.Context(), browser(jo), m.Row.ID, ""); !ok || err != nil {
		t.Fatal(err)
	}
	if _, err := r.Settle(t.Context(), 0); err != nil || r.live(a) || r.live(narrow) || !r.live(shared) {
		t.Errorf("alive: the pass's %v, the narrower one's %v, the class's %v; %v", r.live(a), r.live(narrow), r.live(shared), err)
	}
}

// TestShareAndLongPass: what others share is for passes of a day.
func TestShareAndLongPass(t *testing.T) {
	r, teacher := sharingRig(t)
	long := policy.Preset()[0]
	long.What, long.MaxPass = []policy.Pattern{pattern(t, "github.com/river-lab/*")}, 30*24*time.Hour
	c := r.config
	c.Rules, c.Process = rules(t, append(policy.Preset(), long)[1:]...), "two"
	two, err := broker.New(c)
	if err != nil {
		t.Fatal(err)
	}
	r.connect(teacher, fake.CampusInstructor)
	if _, err := r.Share(t.Context(), browser(teacher), host, homework, "class", r.now().Add(100*24*time.Hour), ""); err != nil {
		t.Fatal(err)
	}
	stu := r.user("stu", "class")
	for d, want := range map[time.Duration]string{24 * time.Hour: "no error", 48 * time.Hour: "DP-174"} {
		m, err := two.MintPass(t.Context(), browser(stu), true, broker.PassAsk{For: d})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.by(two, m.Text, home, broker.Ask{Repo: homework, Access: daypass.Write}); code(err) != want {
			t.Errorf("%v: %v, want %s", d, err, want)
		}
	}
}

// TestOthersPass: a pass serves its person, whoever the request claims to be.
func TestOthersPass(t *testing.T) {
	r := newRig(t)
	jo, kim := r.user("jo"), r.user("kim")
	r.connect(jo, fake.CampusUser)
	r.connect(kim, fake.CampusInstructor)
	m, other := r.mint(jo, pass.Limits{}), r.mint(kim, pass.Limits{})
	c, err := r.PassCaller(t.Context(), m.Text, home)
	if err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*daypass.Caller){
		"another person":        func(c *daypass.Caller) { c.User = kim.User },
		"another pass's text":   func(c *daypass.Caller) { c.Pass.Text = other.Text },
		"another pass's number": func(c *daypass.Caller) { c.Pass.ID = other.Row.ID },
		"no text":               func(c *daypass.Caller) { c.Pass.Text = daypass.Secret{} },
		"no pass":               func(c *daypass.Caller) { c.Pass = daypass.PassRef{} },
	} {
		odd := c
		change(&odd)
		_, err := r.Credential(t.Context(), odd, broker.Ask{Host: host, Repo: data, Access: daypass.Read})
		r.refusedBy(err, "DP-160", what, m.Text, other.Text)
	}
	if _, err := r.Credential(t.Context(), c, broker.Ask{Host: host, Repo: data, Access: daypass.Read}); err != nil {
		t.Error(err)
	}
}

// TestPassesCredentialEnds: no credential outlives the pass that it was made by.
func TestPassesCredentialEnds(t *testing.T) {
	for name, as := range map[string]policy.As{"as the user": policy.AsUser, "as the hub": policy.AsHub} {
		t.Run(name, func(t *testing.T) {
			repo := data
			r := newRig(t, func(r *rig) {
				if as == policy.AsHub {
					r.config.Rules = rules(r.t, policy.Rule{Name: "course", Who: policy.Who{Groups: []string{"class"}}, What: []policy.Pattern{pattern(r.t, "github.com/uni-course/home*")}, Access: daypass.Read, As: policy.AsHub, Max: time.Hour})
				}
			})
			r.running()
			jo := r.user("jo", "class")
			if as == policy.AsUser {
				r.connect(jo, fake.CampusUser)
			} else {
				repo = homework
			}
			end := r.now().Add(20 * time.Minute).Truncate(time.Second)
			m := r.mint(jo, pass.Limits{})
			short := narrowed(t, m.Text, pass.Limits{Expires: end})
			whole := r.mustWith(m.Text, repo)
			a := r.mustWith(short, repo)
			if u := a.Credential.Scope.Until; u.After(end) {
				t.Errorf("until %v, and the pass until %v", u, end)
			}
			r.later(10 * time.Minute)
			if u := r.mustWith(short, repo).Credential.Scope.Until; u.After(end) {
				t.Errorf("later: until %v, and the pass until %v", u, end)
			}
			r.later(11 * time.Minute)
			r.refusedBy(errOf(r.with(short, repo)), "DP-163", "over", short)
			r.eventually("its credential is revoked", func() bool { return !r.live(a) })
			if as == policy.AsUser && !r.live(whole) {
				t.Error("the wider pass's credential ended with it")
			}
			kept := r.mustWith(m.Text, repo)
			if _, ok, err := r.EndPass(t.Context(), browser(jo), m.Row.ID, ""); !ok || err != nil {
				t.Fatal(err)
			}
			r.eventually("all are revoked", func() bool { return !r.live(kept) })
		})
	}
}

// TestRulesCountAtUse: what the rules say when a pass is used is what counts.
func TestRulesCountAtUse(t *testing.T) {
	brief := policy.Preset()[0]
	brief.MaxPass = 2 * time.Hour
	brief.Name, brief.What = "brief", nil
	wide := policy.Preset()[0]
	wide.MaxPass, wide.Name = 30*24*time.Hour, "wide"
	r := newRig(t, func(r *rig) {
		brief.What = []policy.Pattern{pattern(r.t, "*/river-lab/*")}
		wide.What = []policy.Pattern{pattern(r.t, "*/octo-researcher/*")}
		r.config.Rules = rules(r.t, brief, wide)
	})
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	long, err := r.MintPass(t.Context(), browser(jo), true, broker.PassAsk{For: 20 * 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	short, err := r.MintPass(t.Context(), browser(jo), true, broker.PassAsk{For: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	r.mustWith(long.Text, notes)
	r.mustWith(short.Text, data)
	for what, text := range map[string]daypass.Secret{"a long one": long.Text, "narrowed to a minute": narrowed(t, long.Text, pass.Limits{Expires: r.now().Add(time.Minute)})} {
		_, err := r.with(text, data)
		r.refusedBy(err, "DP-174", what, text)
		var ref *broker.Refusal
		if errors.As(err, &ref); ref == nil || ref.Rule != "brief" || !strings.Contains(err.Error(), " may be 2 hours;") {
			t.Errorf("%s: %+v", what, ref)
		}
	}
	if _, err := r.with(short.Text, homework); code(err) != "DP-810" {
		t.Errorf("what no rule gives: %v", err)
	}
	c := r.config // an admin forbids it since
	c.Rules, c.Process = rules(t, append(policy.Preset(), policy.Rule{Name: "no", Forbid: true, What: []policy.Pattern{pattern(t, "*/*/*")}})...), "two"
	two, err := broker.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.by(two, short.Text, home, broker.Ask{Repo: data, Access: daypass.Write}); code(err) != "DP-810" {
		t.Errorf("forbidden by now: %v", err)
	}
}

// TestServersPassEnds: with its server, however that is found out.
func TestServersPassEnds(t *testing.T) {
	again := begun.Add(time.Hour)
	for name, c := range map[string]struct {
		stop func(*rig)
		want string
	}{
		"the hook": {func(r *rig) {
			if err := r.ServerStopped(context.Background(), "jo", time.Time{}, ""); err != nil {
				r.t.Fatal(err)
			}
		}, "DP-160"},
		"the hook came to another process": {func(r *rig) {
			if err := r.another("two").ServerStopped(context.Background(), "jo", time.Time{}, ""); err != nil {
				r.t.Fatal(err)
			}
		}, "DP-160"},
		"the hub's list": {func(r *rig) {
			r.server("jo", "", time.Time{})
			r.later(2 * time.Minute)
			r.Compare(context.Background())
		}, "DP-160"},
		"the list, started anew":       {func(r *rig) { r.server("jo", "", again); r.later(2 * time.Minute); r.Compare(context.Background()) }, "DP-160"},
		"nobody told":                  {func(r *rig) { r.server("jo", "", time.Time{}); r.later(6 * time.Second) }, "DP-161"},
		"nobody told, started anew":    {func(r *rig) { r.server("jo", "", again); r.later(6 * time.Second) }, "DP-161"},
		"the hub is away":              {func(r *rig) { r.hubDown(true); r.later(6 * time.Second) }, "DP-165"},
		"the hub does not say its age": {func(r *rig) { u := r.hub["jo"]; u.Started = nil; r.hub["jo"] = u; r.later(6 * time.Second) }, "DP-161"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			jo := r.user("jo")
			r.connect(jo, fake.CampusUser)
			r.server("jo", "gpu", begun)
			m, err := r.MintPass(t.Context(), jo, false, broker.PassAsk{})
			if err != nil {
				t.Fatal(err)
			}
			gpu := jo
			gpu.Server.Name = "gpu"
			other, err := r.MintPass(t.Context(), gpu, false, broker.PassAsk{})
			if err != nil {
				t.Fatal(err)
			}
			free := r.mint(jo, pass.Limits{})
			a := r.mustWith(m.Text, data)
			r.mustWith(other.Text, data)
			c.stop(r)
			r.refusedBy(errOf(r.with(m.Text, data)), c.want, "its server", m.Text)
			r.refusedBy(errOf(r.with(narrowed(t, m.Text, pass.Limits{Access: daypass.Read}), data)), c.want, "narrowed", m.Text)
			r.refusedBy(errOf(r.PassCaller(t.Context(), m.Text, home)), c.want, "only asking who", m.Text)
			if c.want == "DP-160" {
				p, _, err := r.db.Person(t.Context(), jo.User)
				if _, serr := r.Settle(t.Context(), p.ID); err != nil || serr != nil || r.live(a) {
					t.Errorf("what it made is alive: %v, %v", err, serr)
				}
			}
			if c.want != "DP-165" && name != "the hub does not say its age" {
				r.mustWith(other.Text, data)
			}
			if _, err := r.with(free.Text, data); err != nil {
				t.Errorf("a pass of no server: %v", err)
			}
		})
	}
}

// TestStoppedWhileMinting: a pass that was asked for before its server stopped is
// not left over.
func TestStoppedWhileMinting(t *testing.T) {
	var stop func()
	r := newRig(t)
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	asked := r.config.Hub.Running
	c := r.config
	c.Store, c.Process = r.db, "two"
	c.Hub.Running = func(ctx context.Context, user, server string) (time.Time, bool, error) {
		defer stop()
		return asked(ctx, user, server)
	}
	two, err := broker.New(c)
	if err != nil {
		t.Fatal(err)
	}
	stop = func() {
		if err := two.ServerStopped(context.Background(), "jo", time.Time{}, ""); err != nil {
			t.Error(err)
		}
	}
	if _, err := two.MintPass(t.Context(), jo, false, broker.PassAsk{}); code(err) != "DP-809" {
		t.Errorf("stopped on the way: %v", err)
	}
	if list, _ := r.Passes(t.Context(), browser(jo)); len(list) != 0 {
		t.Errorf("%+v", list)
	}
}

// TestUsesOfCredentials: each credential is a use, whoever of the pass's children
// asks, and one more limit gives no more of them.
func TestUsesOfCredentials(t *testing.T) {
	for name, change := range map[string]change{"stored": func(*rig) {}, "in memory": inMemory} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, change)
			jo := r.user("jo")
			r.connect(jo, fake.CampusUser)
			m := r.mint(jo, pass.Limits{Uses: 3})
			last := narrowed(t, m.Text, pass.Limits{Uses: 1})
			r.mustWith(m.Text, data)
			if _, err := r.with(m.Text, homework); code(err) != "DP-821" {
				t.Fatalf("what they do not reach: %v", err)
			}
			r.mustWith(last, data)
			r.refusedBy(errOf(r.with(last, data)), "DP-162", "the second of one", last)
			r.refusedBy(errOf(r.with(narrowed(t, last, pass.Limits{Access: daypass.Read}), data)), "DP-162", "narrowed", last)
			r.refusedBy(errOf(r.with(narrowed(t, last, pass.Limits{Uses: 9}), data)), "DP-162", "nine more", last)
			r.mustWith(narrowed(t, m.Text, pass.Limits{Uses: 9}), data)
			revoked := r.gh.Revoked()
			for what, text := range map[string]daypass.Secret{"the fourth": m.Text, "narrowed": narrowed(t, m.Text, pass.Limits{Access: daypass.Read}), "nine more": narrowed(t, m.Text, pass.Limits{Uses: 9})} {
				r.refusedBy(errOf(r.with(text, data)), "DP-162", what, text)
			}
			if n := r.gh.Revoked(); n != revoked {
				t.Errorf("%d tokens were made in vain", n-revoked)
			}
		})
	}
}

// TestOneUseAtOnce: of fifty that ask at the same time with the same use, one gets
// a credential, with the same pass and with fifty narrower ones.
func TestOneUseAtOnce(t *testing.T) {
	for name, each := range map[string]bool{"the same": false, "each narrower": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			two := r.another("two")
			jo := r.user("jo")
			r.connect(jo, fake.CampusUser)
			m := r.mint(jo, pass.Limits{Uses: 1})
			errs := make([]error, 50)
			var wg sync.WaitGroup
			for i := range errs {
				text, b := m.Text, r.Broker
				if each {
					text = narrowed(t, m.Text, pass.Limits{Uses: i + 1})
				}
				if i%2 == 1 {
					b = two
				}
				wg.Go(func() { _, errs[i] = r.by(b, text, home, broker.Ask{Repo: data, Access: daypass.Write}) })
			}
			wg.Wait()
			n := 0
			for _, err := range errs {
				switch code(err) {
				case "no error":
					n++
				case "DP-162", "DP-838", "DP-815": // used up, too many at once, waited too long
				default:
					t.Errorf("%v", err)
				}
			}
			if given := r.found(store.EventFilter{Kind: store.Credential}); n != 1 || len(given) != 1 {
				t.Errorf("%d were given a credential, %d are in the activity", n, len(given))
			}
			if live := r.gh.LiveTokens(); len(live) != 2 { // the connection's, and one
				t.Errorf("%d tokens are alive", len(live))
			}
		})
	}
}

// TestEndedWhileMinting: a pass that ends while its credential is made gets none.
func TestEndedWhileMinting(t *testing.T) {
	for name, change := range map[string]change{"stored": func(*rig) {}, "in memory": inMemory} {
		for _, byLink := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				r := newRig(t, change)
				jo := r.user("jo")
				r.connect(jo, fake.CampusUser)
				m := r.mint(jo, pass.Limits{})
				text := narrowed(t, m.Text, pass.Limits{Access: daypass.Write})
				arrived, release := r.hold(path("/token/scoped"))
				defer release()
				done := make(chan error, 1)
				go func() { done <- errOf(r.with(text, data)) }()
				select {
				case <-arrived:
				case err := <-done:
					t.Fatalf("never asked the host: %v", err)
				}
				if byLink {
					if _, err := r.another("two").EndShownPass(t.Context(), text, home, ""); err != nil {
						t.Fatal(err)
					}
				} else if _, ok, err := r.another("two").EndPass(t.Context(), browser(jo), m.Row.ID, ""); !ok || err != nil {
					t.Fatal(err)
				}
				release()
				r.refusedBy(<-done, "DP-160", "ended meanwhile", text)
				if live := r.gh.LiveTokens(); len(live) != 1 {
					t.Errorf("%d tokens are alive", len(live))
				}
			})
		}
	}
}

// TestNoWholeTokenForPass: what cannot be narrowed is given to no pass.
func TestNoWholeTokenForPass(t *testing.T) {
	r := newRig(t, func(r *rig) {
		r.config.Bridges = []broker.Bridge{{Host: host, App: fake.CampusOAuthApp, AcceptUnnarrowed: true}}
	})
	jo := r.user("jo")
	access, _, err := r.gh.Issue(fake.CampusOAuthApp, fake.CampusUser, 0, "repo")
	if err != nil {
		t.Fatal(err)
	}
	err = r.HandIn(t.Context(), broker.HandIn{User: "jo", Host: host, App: fake.CampusOAuthApp, Account: daypass.Account{ID: 1001, Login: fake.CampusUser},
		Grant: daypass.Grant{Access: daypass.NewSecret(access), Until: daypass.Forever}})
	if err != nil {
		t.Fatal(err)
	}
	r.must(jo, data)
	m := r.mint(jo, pass.Limits{})
	r.refusedBy(errOf(r.with(m.Text, data)), "DP-172", "a whole token", m.Text)
}

// TestPassAndWriteClick: a click in a browser made the pass, and counts for as long
// as one does; a server's pass needs its server's click.
func TestPassAndWriteClick(t *testing.T) {
	r := newRig(t, func(r *rig) { r.config.Limits.WriteClick = 2 * time.Hour })
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	m := r.mint(jo, pass.Limits{})
	servers, err := r.MintPass(t.Context(), jo, false, broker.PassAsk{})
	if err != nil {
		t.Fatal(err)
	}
	made := jo
	made.Via, made.Server = daypass.ViaUser, daypass.Server{}
	token, err := r.MintPass(t.Context(), made, false, broker.PassAsk{})
	if err != nil {
		t.Fatal(err)
	}
	if a := r.mustWith(m.Text, data); a.Credential.Scope.Access != daypass.Write {
		t.Errorf("%+v", a.Credential.Scope)
	}
	r.refusedBy(errOf(r.with(servers.Text, data)), "DP-850", "a server's", servers.Text)
	r.refusedBy(errOf(r.with(token.Text, data)), "DP-850", "a token's", token.Text)
	if err := r.AllowWrites(t.Context(), browser(jo), jo.Server, ""); err != nil {
		t.Fatal(err)
	}
	r.mustWith(servers.Text, data)
	r.refusedBy(errOf(r.with(token.Text, data)), "DP-850", "a token's, by the server's click", token.Text)
	r.later(2*time.Hour + time.Minute)
	r.refusedBy(errOf(r.with(m.Text, data)), "DP-850", "two hours later", m.Text)
}

// TestServerLimitsAreFew: one pass does not make us ask the hub hundreds of times.
func TestServerLimitsAreFew(t *testing.T) {
	asked := 0
	r := newRig(t, func(r *rig) {
		r.config.Hub.Running = func(ctx context.Context, user, server string) (time.Time, bool, error) {
			asked++
			return r.runs(ctx, user, server)
		}
	})
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	var many []string
	for i := range 300 {
		many = append(many, "s"+itoa(int64(i))+"@")
	}
	m := r.mint(jo, pass.Limits{Servers: many})
	r.refusedBy(errOf(r.with(m.Text, data)), "DP-161", "three hundred servers", m.Text)
	if asked > 20 {
		t.Errorf("the hub was asked %d times", asked)
	}
	odd := r.mint(jo, pass.Limits{Servers: []string{pass.ServerItem("a b/ü@,", time.Time{})}})
	r.refusedBy(errOf(r.with(odd.Text, data)), "DP-161", "an odd name", odd.Text)
	r.server("jo", "a b/ü@,", begun)
	r.later(6 * time.Second)
	r.mustWith(odd.Text, data)
}

// TestCredentialOfServerLimit: what was made by a pass that is limited to a server,
// however it was, ends with that server.
func TestCredentialOfServerLimit(t *testing.T) {
	for name, by := range map[string]func(*rig, broker.Minted) broker.Answer{
		"narrowed to the server": func(r *rig, m broker.Minted) broker.Answer {
			return r.mustWith(narrowed(r.t, m.Text, pass.Limits{Servers: []string{"gpu@"}}), data)
		},
		"minted for it": func(r *rig, _ broker.Minted) broker.Answer {
			return r.mustWith(r.mint(r.user("jo"), pass.Limits{Servers: []string{pass.ServerItem("gpu", begun)}}).Text, data)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			jo := r.user("jo")
			r.connect(jo, fake.CampusUser)
			r.server("jo", "gpu", begun)
			free := r.mint(jo, pass.Limits{})
			other := r.mustWith(free.Text, data)
			a := by(r, free)
			r.server("jo", "gpu", time.Time{})
			if err := r.ServerStopped(t.Context(), "jo", time.Time{}, "gpu"); err != nil {
				t.Fatal(err)
			}
			p, _, err := r.db.Person(t.Context(), jo.User)
			if _, serr := r.Settle(t.Context(), p.ID); err != nil || serr != nil || r.live(a) {
				t.Errorf("what it made is alive: %v, %v", err, serr)
			}
			if !r.live(other) {
				t.Error("what a pass of no server made was ended too")
			}
		})
	}
}

// TestNumbersHideNames: a pass for a number is no way to find out which other
// repositories its person reaches, nor their numbers.
func TestNumbersHideNames(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	id := r.number(jo, data)
	text := r.mint(jo, pass.Limits{Repos: []string{"#" + itoa(id)}}).Text
	r.mustWith(text, data)
	said := map[string]bool{}
	for _, repo := range []daypass.Repo{notes, {Owner: notes.Owner, Name: "no-such"}, {Owner: "nobody-there", Name: "nothing"}} {
		err := errOf(r.with(text, repo))
		r.refusedBy(err, "DP-161", repo.String(), text)
		said[strings.ReplaceAll(err.Error(), repo.String(), "IT")] = true
	}
	if len(said) != 1 {
		t.Errorf("they are told apart: %v", said)
	}
	reads := r.mint(jo, pass.Limits{Repos: []string{"#" + itoa(r.number(jo, handbook))}}).Text
	_, err := r.by(r.Broker, reads, home, broker.Ask{Repo: handbook, Access: daypass.Write, Least: daypass.Write})
	r.refusedBy(err, "DP-837", "a push where they may read", reads)
}

// TestServerStarted: a server's token is told since when the server runs, and no
// other is; where the hub cannot be asked, nobody is told anything.
func TestServerStarted(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	at := begun.Add(3 * time.Hour)
	r.server("jo", "gpu", at)
	gpu, unknown := jo, jo
	gpu.Server, unknown.Server = daypass.Server{Known: true, Name: "gpu"}, daypass.Server{Known: true, Name: "none"}
	nowhere := jo
	nowhere.Server = daypass.Server{}
	for i, c := range []struct {
		caller daypass.Caller
		want   time.Time
	}{{jo, begun}, {gpu, at}, {unknown, time.Time{}}, {nowhere, time.Time{}}, {browser(gpu), time.Time{}}} {
		if got := r.ServerStarted(t.Context(), c.caller); !got.Equal(c.want) {
			t.Errorf("%d: %v, want %v", i, got, c.want)
		}
	}
	r.mu.Lock()
	r.hubErr = errors.New("away")
	r.mu.Unlock()
	if got := r.another("two").ServerStarted(t.Context(), gpu); !got.IsZero() {
		t.Errorf("by a hub that is away: %v", got)
	}
}
