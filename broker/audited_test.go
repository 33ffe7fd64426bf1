package broker_test

import (
	"errors"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/store"
)

// TestAuditRules: a second set tells where it would answer otherwise, once an
// hour, and changes no answer.
func TestAuditRules(t *testing.T) {
	r := newRig(t, func(r *rig) {
		r.config.Audit = rules(r.t, policy.Rule{
			Name: "shorter", What: []policy.Pattern{pattern(r.t, "github.com/river-lab/*")}, Access: daypass.Write, Max: 10 * time.Minute,
		})
	})
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	a := r.must(jo, data)
	if left := a.Credential.Scope.Until.Sub(r.now()); left < 50*time.Minute {
		t.Errorf("the audit rules changed the answer: %v", left)
	}
	r.must(jo, data)
	r.must(jo, notes)
	told := func() []store.Event {
		list, err := r.db.Events(t.Context(), store.EventFilter{Kind: store.AuditDifference})
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	list := told()
	if len(list) != 2 || list[1].Rule != "shorter" || list[0].Rule != policy.Default {
		t.Fatalf("told: %+v", list)
	}
	r.later(61 * time.Minute)
	r.must(jo, data)
	if n := len(told()); n != 3 {
		t.Errorf("an hour later %d were told", n)
	}
}

// TestRefusalsNameARule: each no is by a rule, and never by one that allows.
func TestRefusalsNameARule(t *testing.T) {
	r := newRig(t, func(r *rig) { r.config.Limits.ReposPerDay = 1 })
	jo := r.user("jo")
	rule := func(err error) string {
		var ref *broker.Refusal
		if !errors.As(err, &ref) {
			t.Fatalf("no refusal: %v", err)
		}
		e, ok, err := r.db.Event(t.Context(), ref.Event)
		if err != nil || !ok || e.Rule != ref.Rule {
			t.Errorf("the event says %q, the refusal %q", e.Rule, ref.Rule)
		}
		return ref.Rule
	}
	ask := func(repo daypass.Repo) error { _, err := r.ask(jo, repo); return err }
	if got := rule(ask(data)); got != "built-in:connection" {
		t.Errorf("not connected: %s", got)
	}
	r.connect(jo, fake.CampusUser)
	if got := rule(ask(daypass.Repo{Owner: "ada", Name: "private"})); got != "built-in:own-right" {
		t.Errorf("somebody else's: %s", got)
	}
	r.must(jo, data)
	if got := rule(ask(notes)); got != "built-in:many-repositories" {
		t.Errorf("one too many: %s", got)
	}
	if _, err := r.RevokeUser(t.Context(), "jo", "root"); err != nil {
		t.Fatal(err)
	}
	if got := rule(ask(data)); got != "built-in:cut-off" {
		t.Errorf("cut off: %s", got)
	}
}

// TestSessionRunsOut: what is in memory only ends at its time, at the host too.
func TestSessionRunsOut(t *testing.T) {
	r := newRig(t, func(r *rig) { r.config.Limits.Session = true })
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	a := r.must(jo, data)
	r.later(8*time.Hour + time.Minute)
	if _, err := r.ask(jo, data); code(err) != "DP-816" {
		t.Errorf("after its time: %v", err)
	}
	r.running()
	r.eventually("nothing is alive at the host", func() bool {
		return len(r.gh.LiveRefreshTokens()) == 0 && len(r.gh.LiveTokens()) == 0 && !r.live(a)
	})
}

// TestAges: a connection ends when it is old, or when nobody uses it; the host is
// told.
func TestAges(t *testing.T) {
	for _, c := range []struct {
		name string
		wait []time.Duration // between uses
		ends bool
	}{
		{"six days idle", []time.Duration{6 * 24 * time.Hour}, false},
		{"seven days idle", []time.Duration{7*24*time.Hour + time.Minute}, true},
		{"thirty days old", []time.Duration{6 * 24 * time.Hour, 6 * 24 * time.Hour, 6 * 24 * time.Hour, 6 * 24 * time.Hour, 6*24*time.Hour + 2*time.Minute}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			jo := r.user("jo")
			r.connect(jo, fake.CampusUser)
			for i, d := range c.wait {
				r.later(d)
				if i < len(c.wait)-1 {
					r.must(jo, data)
				}
			}
			// As the database sees it, whose clock no test moves.
			r.exec(fmt.Sprintf(`UPDATE connections SET ends = ends - %[1]d, used = used - %[1]d`, r.skew.Load()/1000))
			r.running()
			gone := func() bool { return len(r.gh.LiveRefreshTokens()) == 0 }
			if c.ends {
				r.eventually("the host was told", gone)
				return
			}
			time.Sleep(100 * time.Millisecond)
			if gone() {
				t.Error("it was ended too early")
			}
			r.must(jo, data)
		})
	}
}

// TestHostsSideBySide: three hosts, each with an App of its own; nothing of one
// reaches another.
func TestHostsSideBySide(t *testing.T) {
	hosts := map[string]*fake.GitHub{}
	r := newRig(t, func(r *rig) {
		hosts["ghes.example:8443"] = r.addHost("ghes.example:8443")
		hosts["octo.ghe.com"] = r.addHost("octo.ghe.com")
	})
	hosts[host] = r.gh
	jo := r.user("jo")
	tokens := map[string]string{}
	for name, gh := range hosts {
		r.connectAt(jo, name, gh)
		a, err := r.Credential(t.Context(), jo, broker.Ask{Host: name, Repo: data, Access: daypass.Write})
		if err != nil || a.Credential.Scope.Host != name {
			t.Fatalf("%s: %+v, %v", name, a.Credential.Scope, err)
		}
		tokens[name] = a.Credential.Token.Reveal()
	}
	for name, token := range tokens {
		for other, gh := range hosts {
			if _, live := gh.Token(token); live != (name == other) {
				t.Errorf("the token of %s at %s: %v", name, other, live)
			}
		}
	}
	// A consent that was begun for one is not finished at another.
	to, err := r.StartConsent(t.Context(), browser(jo), broker.ConsentStart{Session: "s", Host: host, Redirect: callback})
	if err != nil {
		t.Fatal(err)
	}
	q := r.say(to, fake.CampusUser)
	end := broker.ConsentEnd{Session: "s", Host: "ghes.example:8443", State: q.Get("state"), Code: q.Get("code")}
	if _, err := r.FinishConsent(t.Context(), browser(jo), end); code(err) != "DP-828" {
		t.Errorf("swapped: %v", err)
	}
	for iss, want := range map[string]string{"": "no error", "https://github.com/login/oauth": "no error", "https://evil.example/login/oauth": "DP-828"} {
		q := again(t, r, jo)
		end := broker.ConsentEnd{Session: "s-jo", Host: host, State: q.Get("state"), Code: q.Get("code"), Issuer: iss}
		if _, err := r.FinishConsent(t.Context(), browser(jo), end); code(err) != want {
			t.Errorf("iss %q: %v", iss, err)
		}
	}
}

func again(t *testing.T, r *rig, c daypass.Caller) url.Values {
	t.Helper()
	return r.answer(c, fake.CampusUser)
}
