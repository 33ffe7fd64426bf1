package broker_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/provider/github"
	"github.com/daypass-dev/daypass/store"
)

// ownClock gives GitHub a clock of its own: the rig's is then the service's
// alone.
func ownClock(r *rig) {
	r.gh = fake.NewGitHub(fake.GitHubConfig{Kind: fake.GitHubCom, Seed: fake.Campus()})
	if err := r.gh.SetCallbacks(fake.CampusPushApp, callback); err != nil {
		r.t.Fatal(err)
	}
}

// TestClockOff: a service whose clock is wrong by minutes or a day connects,
// gives, and refreshes in time, since it counts from when a token came.
func TestClockOff(t *testing.T) {
	for _, off := range []time.Duration{-24 * time.Hour, -10 * time.Minute, 10 * time.Minute, 24 * time.Hour} {
		t.Run(off.String(), func(t *testing.T) {
			r := newRig(t, ownClock)
			r.later(off)
			jo := r.user("jo")
			r.connect(jo, fake.CampusUser)
			a := r.must(jo, data)
			if left := a.Credential.Scope.Until.Sub(r.now()); left < 55*time.Minute || left > time.Hour {
				t.Errorf("by its clock it is good for %v", left)
			}
			r.later(8*time.Hour - time.Minute)
			r.gh.Advance(8*time.Hour - time.Minute)
			if a = r.must(jo, data); !r.live(a) {
				t.Error("a token was given that had died")
			}
			if n := len(refreshes(r)); n != 1 {
				t.Errorf("%d refreshes", n)
			}
		})
	}
}

// TestClockLeaps: a clock that is set while connections exist makes one refresh
// too many, or one too late; nobody has to connect again, and nothing that died
// is given for long.
func TestClockLeaps(t *testing.T) {
	for _, leap := range []time.Duration{-24 * time.Hour, -10 * time.Minute, 10 * time.Minute, 24 * time.Hour} {
		t.Run(leap.String(), func(t *testing.T) {
			r := newRig(t, ownClock)
			jo := r.user("jo")
			r.connect(jo, fake.CampusUser)
			r.must(jo, data)
			r.later(leap)
			if a := r.must(jo, data); !r.live(a) {
				t.Error("right after the leap a dead token was given")
			}
			// GitHub's time goes on, and the service's too, from where it is.
			r.later(8 * time.Hour)
			r.gh.Advance(8 * time.Hour)
			for _, repo := range []daypass.Repo{notes, data} {
				a, err := r.ask(jo, repo)
				if err != nil {
					t.Fatalf("%v: %v", repo, err)
				}
				if !r.live(a) {
					// The host's word ends what our clock takes for good.
					if err := r.Rejected(t.Context(), jo, host, broker.Fingerprint(a.Credential.Token), ""); err != nil {
						t.Fatal(err)
					}
					if a = r.must(jo, repo); !r.live(a) {
						t.Errorf("%v: a dead token was given again", repo)
					}
				}
			}
			if n := r.events(store.ConsentNeeded); n != 0 {
				t.Error("somebody had to connect again")
			}
		})
	}
}

func (r *rig) events(kind store.Kind) int {
	r.t.Helper()
	list, err := r.db.Events(r.t.Context(), store.EventFilter{Kind: kind})
	if err != nil {
		r.t.Fatal(err)
	}
	return len(list)
}

// TestDeadEarly: an access token that is revoked alone, as a scanner of leaks
// does it, is renewed without anybody noticing; a whole consent that was taken
// back is not.
func TestDeadEarly(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	r.must(jo, data)
	r.gh.ExpireTokens()
	if a := r.must(jo, notes); !r.live(a) {
		t.Error("a dead token was given")
	}
	r.gh.Disconnect(fake.CampusPushApp, fake.CampusUser)
	_, err := r.ask(jo, handbook)
	if code(err) != "DP-817" {
		t.Errorf("taken back: %v", err)
	}
	if n := r.events(store.ConsentNeeded); n != 1 {
		t.Errorf("%d events", n)
	}
}

// consentFaults are the ways in which a step of a consent fails.
var consentFaults = map[string]fake.Fault{
	"bad gateway": {Kind: fake.FaultHTML502}, "limited": {Kind: fake.FaultStatus, Status: 429, Header: http.Header{"Retry-After": {"3"}}, Body: "{}"},
	"reset": {Kind: fake.FaultReset}, "cut": {Kind: fake.FaultTruncated}, "half of its JSON": {Kind: fake.FaultCutJSON}, "lost": {Kind: fake.FaultLost},
}

// TestConsentFaults: whatever fails in a consent, nothing is kept of it and
// nothing that we know of is left alive; connecting again works, and then one
// token lives. Only an exchange whose answer was lost leaves a pair that nobody
// knows, and disconnecting ends that too.
func TestConsentFaults(t *testing.T) {
	for _, path := range []string{"/login/oauth/access_token", "/user"} {
		for name, f := range consentFaults {
			t.Run(strings.Trim(path, "/")+": "+name, func(t *testing.T) {
				r := newRig(t)
				jo := r.user("jo")
				q := r.answer(jo, fake.CampusUser)
				r.gh.Fault(fake.PathIs(path), f)
				_, err := r.FinishConsent(t.Context(), browser(jo), broker.ConsentEnd{Session: "s-jo", Host: host, State: q.Get("state"), Code: q.Get("code")})
				var ref *broker.Refusal
				if !errors.As(err, &ref) || ref.Event == "" {
					t.Errorf("no refusal with an event: %v", err)
				}
				answerLost := path != "/user" && slices.Contains([]string{"cut", "half of its JSON", "lost"}, name)
				if n := len(r.gh.LiveTokens()); n != 0 && !answerLost {
					t.Errorf("%d tokens live", n)
				}
				r.gh.ClearFaults()
				if _, err := r.ask(jo, data); code(err) != "DP-816" {
					t.Errorf("a part of it was kept: %v", err)
				}
				r.connect(jo, fake.CampusUser)
				if n := len(r.gh.LiveTokens()); n != 1 && !answerLost {
					t.Errorf("after connecting again %d tokens live", n)
				}
				if _, err := r.Disconnect(t.Context(), browser(jo), host, ""); err != nil {
					t.Error(err)
				}
				if n := len(r.gh.LiveTokens()) + len(r.gh.LiveRefreshTokens()); n != 0 {
					t.Errorf("after disconnecting %d tokens live", n)
				}
			})
		}
	}
}

// TestConsentNotStored: a consent that cannot be written down is revoked.
func TestConsentNotStored(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	q := r.answer(jo, fake.CampusUser)
	var once sync.Once
	var wire http.RoundTripper = roundTrip(func(req *http.Request) (*http.Response, error) {
		res, err := fake.Transport(r.gh).RoundTrip(req)
		if req.URL.Path == "/user" {
			once.Do(func() { r.db.Close() })
		}
		return res, err
	})
	r.wire.Store(&wire)
	_, err := r.FinishConsent(t.Context(), browser(jo), broker.ConsentEnd{Session: "s-jo", Host: host, State: q.Get("state"), Code: q.Get("code")})
	if code(err) != "DP-813" {
		t.Errorf("without a store: %v", err)
	}
	if n := len(r.gh.LiveTokens()); n != 0 {
		t.Errorf("%d tokens live", n)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(q *http.Request) (*http.Response, error) { return f(q) }

// TestConsentLeft: a browser that leaves in the middle does not leave a token
// behind that nobody knows.
func TestConsentLeft(t *testing.T) {
	for _, path := range []string{"/login/oauth/access_token", "/user"} {
		r := newRig(t)
		jo := r.user("jo")
		q := r.answer(jo, fake.CampusUser)
		ctx, leave := context.WithCancel(t.Context())
		var wire http.RoundTripper = roundTrip(func(req *http.Request) (*http.Response, error) {
			res, err := fake.Transport(r.gh).RoundTrip(req)
			if req.URL.Path == path {
				leave()
				if req.Context().Err() != nil {
					return nil, req.Context().Err()
				}
			}
			return res, err
		})
		r.wire.Store(&wire)
		if _, err := r.FinishConsent(ctx, browser(jo), broker.ConsentEnd{Session: "s-jo", Host: host, State: q.Get("state"), Code: q.Get("code")}); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		r.must(jo, data)
	}
}

const otherHost = "ghes.example"

// TestOutages: one provider fails in every way. What was made before is given
// all the while, what is new is refused within five seconds, nobody else's
// provider is touched, and afterwards everything works again.
func TestOutages(t *testing.T) {
	for name, f := range map[string]fake.Fault{
		"bad gateway": {Kind: fake.FaultHTML502}, "reset": {Kind: fake.FaultReset}, "hangs": {Kind: fake.FaultHang}, "cut": {Kind: fake.FaultTruncated},
		"too fast": fake.TooFast(429, 9*time.Second), "forbidden and spent": fake.RateSpent(time.Now().Add(time.Hour)),
		"drips": {Kind: fake.FaultSlow, Delay: 200 * time.Millisecond}, "late": {Kind: fake.FaultLate, Delay: 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outage(t, f)
		})
	}
}

func outage(t *testing.T, f fake.Fault) {
	var other *fake.GitHub
	r := newRig(t, func(r *rig) { other = r.addHost(otherHost) })
	jo := r.user("jo")
	var all []daypass.Caller
	for i := range 12 {
		c := r.user(fmt.Sprint("kim", i))
		r.connect(c, fake.CampusOther)
		all = append(all, c)
	}
	r.connect(jo, fake.CampusUser)
	r.connectAt(jo, otherHost, other)
	r.must(jo, data)
	stop := r.gh.Fault(nil, f)
	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	for range 4 {
		for _, c := range all {
			wg.Go(func() {
				began := time.Now()
				_, err := r.ask(c, data)
				mu.Lock()
				defer mu.Unlock()
				took = append(took, time.Since(began))
				var ref *broker.Refusal
				if !errors.As(err, &ref) || ref.RetryAfter <= 0 || !errors.Is(err, daypass.ErrUnreachable) {
					t.Errorf("while it is down: %v", err)
				}
			})
		}
	}
	began := time.Now()
	if a := r.must(jo, data); !a.Cached {
		t.Error("what was made before was not given")
	}
	if _, err := r.Credential(t.Context(), jo, broker.Ask{Host: otherHost, Repo: data, Access: daypass.Write}); err != nil {
		t.Errorf("the other host: %v", err)
	}
	if d := time.Since(began); d > 2*time.Second {
		t.Errorf("who has nothing to do with it waited %v", d)
	}
	wg.Wait()
	slices.Sort(took)
	if p99 := took[len(took)*99/100]; p99 >= 5*time.Second {
		t.Errorf("the slowest answers took %v", p99)
	}
	stop()
	r.later(time.Minute)
	if r.events(store.ConsentNeeded) != 0 {
		t.Error("somebody has to connect again")
	}
}

// addHost gives the broker a second host with an App of its own.
func (r *rig) addHost(name string) *fake.GitHub {
	r.t.Helper()
	kind := fake.EnterpriseServer
	if strings.HasSuffix(name, ".ghe.com") {
		kind = fake.GHECom
	}
	gh := fake.NewGitHub(fake.GitHubConfig{Kind: kind, Host: name, Seed: fake.Campus(), Now: r.now})
	if err := gh.SetCallbacks(fake.CampusPushApp, callback); err != nil {
		r.t.Fatal(err)
	}
	h, err := github.ParseHost(name)
	if err != nil {
		r.t.Fatal(err)
	}
	is, err := github.NewIssuer(github.IssuerConfig{
		Host: h, Transport: fake.Transport(gh), Now: r.now,
		Push: github.PushApp{ClientID: fake.CampusPushApp, ClientSecrets: []daypass.Secret{daypass.NewSecret(fake.CampusPushSecret)}},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.config.Issuers = append(r.config.Issuers, is)
	return gh
}

func (r *rig) connectAt(c daypass.Caller, at string, gh *fake.GitHub) {
	r.t.Helper()
	was := r.gh
	r.gh = gh
	defer func() { r.gh = was }()
	to, err := r.StartConsent(r.t.Context(), browser(c), broker.ConsentStart{Session: "s", Host: at, Redirect: callback})
	if err != nil {
		r.t.Fatal(err)
	}
	q := r.say(to, fake.CampusUser)
	if _, err := r.FinishConsent(r.t.Context(), browser(c), broker.ConsentEnd{Session: "s", Host: at, State: q.Get("state"), Code: q.Get("code")}); err != nil {
		r.t.Fatal(err)
	}
}

// TestGone: somebody who is deleted at the hub is ended at the second look, a
// day after the first; never because a list is empty, fails, or has shrunk.
func TestGone(t *testing.T) {
	r := newRig(t)
	var all []daypass.Caller
	for i := range 8 {
		all = append(all, r.user(fmt.Sprint("p", i)))
		login := fake.CampusUser
		if i == 7 {
			login = fake.CampusOther // whose grant is nobody else's
		}
		r.connect(all[i], login)
	}
	full := r.hub
	list := func(users map[string]broker.HubUser, err error) {
		r.mu.Lock()
		r.hub, r.hubErr = users, err
		r.mu.Unlock()
		r.Compare(t.Context())
		r.later(25 * time.Hour)
		r.Compare(t.Context())
		r.later(time.Hour)
	}
	without := func(names ...string) map[string]broker.HubUser {
		out := map[string]broker.HubUser{}
		for n, u := range full {
			if !slices.Contains(names, n) {
				out[n] = u
			}
		}
		return out
	}
	r.Compare(t.Context())
	list(map[string]broker.HubUser{}, nil)
	list(without("p0"), errors.New("the hub is down"))
	list(without("p0", "p1", "p2", "p3", "p4"), nil)
	r.standing(8)
	// Missed, back, and missed again: the first time does not count.
	r.hub, r.hubErr = without("p7"), nil
	r.Compare(t.Context())
	r.later(25 * time.Hour)
	r.hub = full
	r.Compare(t.Context())
	r.hub = without("p7")
	r.Compare(t.Context())
	r.later(23 * time.Hour)
	r.Compare(t.Context())
	r.standing(8)
	before := len(r.gh.LiveRefreshTokens())
	r.later(2 * time.Hour)
	r.Compare(t.Context())
	r.standing(7)
	if r.events(store.CutOff) != 1 {
		t.Error("no event says so")
	}
	if n := len(r.gh.LiveRefreshTokens()); n >= before {
		t.Errorf("%d refresh tokens live at the host, and %d before", n, before)
	}
	// Somebody else of that name has nothing of theirs.
	twin := r.user("p7")
	twin.User.Created = born.Add(999 * time.Hour)
	if _, err := r.ask(twin, data); code(err) != "DP-816" {
		t.Errorf("who bears the name now: %v", err)
	}
}

// standing looks how many people have a connection.
func (r *rig) standing(want int) {
	r.t.Helper()
	people, err := r.db.People(r.t.Context(), store.PeopleFilter{})
	if err != nil {
		r.t.Fatal(err)
	}
	n := 0
	for _, p := range people {
		conns, err := r.ConnectionsOf(r.t.Context(), p.ID)
		if err != nil {
			r.t.Fatal(err)
		}
		n += len(conns)
	}
	if n != want {
		r.t.Errorf("%d people are connected, and not %d", n, want)
	}
}

// TestStoppedAfterRename: the hub tells that a server stopped of somebody whom
// it renamed while it ran, and who has not asked for anything since.
func TestStoppedAfterRename(t *testing.T) {
	r := newRig(t)
	r.running()
	jo, kim := r.user("jo"), r.user("kim")
	r.connect(jo, fake.CampusUser)
	r.connect(kim, fake.CampusOther)
	a, other := r.must(jo, data), r.must(kim, data)
	if err := r.ServerStopped(t.Context(), "joanna", jo.User.Created, ""); err != nil {
		t.Fatal(err)
	}
	r.eventually("the token is dead at the host", func() bool { return !r.live(a) })
	// Their old name went to somebody else, whose server stops.
	b := r.must(jo, data)
	if err := r.ServerStopped(t.Context(), "jo", born.Add(999*time.Hour), ""); err != nil {
		t.Fatal(err)
	}
	r.Settle(t.Context(), 1)
	if !r.live(b) || !r.live(other) {
		t.Error("somebody else's stop ended it")
	}
}

// TestOddNames: a server's name and its user's are two things.
func TestOddNames(t *testing.T) {
	r := newRig(t)
	r.running()
	one, two := r.user("a"), r.user("a/b")
	one.Server.Name = "b/"
	r.connect(one, fake.CampusUser)
	r.connect(two, fake.CampusOther)
	a, b := r.must(one, data), r.must(two, data)
	if err := r.ServerStopped(t.Context(), "a", one.User.Created, "b/"); err != nil {
		t.Fatal(err)
	}
	r.eventually("the token is dead at the host", func() bool { return !r.live(a) })
	if !r.live(b) {
		t.Error("a/b's server was taken for a's server b/")
	}
}

// TestSessionEnds: what is kept in memory only ends like what is stored: with
// its server, and when somebody is cut off by another process.
func TestSessionEnds(t *testing.T) {
	r := newRig(t, func(r *rig) { r.config.Limits.Session = true })
	r.running()
	jo := r.user("jo")
	gpu := jo
	gpu.Server.Name = "gpu"
	r.connect(jo, fake.CampusUser)
	a, b := r.must(jo, data), r.must(gpu, data)
	if err := r.ServerStopped(t.Context(), "jo", time.Time{}, "gpu"); err != nil {
		t.Fatal(err)
	}
	if r.live(b) || !r.live(a) {
		t.Errorf("the stopped server's token lives %v, the other's %v", r.live(b), r.live(a))
	}
	if _, err := r.another("admin").RevokeUser(t.Context(), "jo", "root"); err != nil {
		t.Fatal(err)
	}
	r.eventually("nothing lives at the host", func() bool { return !r.live(a) && len(r.gh.LiveRefreshTokens()) == 0 })
	// What cannot be ended is not called ended.
	kim := r.user("kim")
	r.connect(kim, fake.CampusOther)
	r.gh.Fault(nil, fake.Fault{Kind: fake.FaultHTML502})
	done, err := r.Disconnect(t.Context(), browser(kim), host, "")
	if err != nil || !strings.Contains(strings.Join(done, "\n"), "could not be told") || strings.Contains(strings.Join(done, "\n"), "tried again") {
		t.Errorf("%q, %v", done, err)
	}
}

// TestRejectedByOne: one of a class says over and over that the class's token
// was refused. It lives, so nobody loses it; and GitHub is hardly asked.
func TestRejectedByOne(t *testing.T) {
	r := newRig(t, func(r *rig) {
		r.config.Rules = rules(r.t, policy.Rule{
			Name: "course", Who: policy.Who{Groups: []string{"class"}}, What: []policy.Pattern{pattern(r.t, "github.com/uni-course/homework")}, Access: daypass.Read, As: policy.AsHub, Max: time.Hour,
		})
	})
	good, bad := r.user("stu", "class"), r.user("mallory", "class")
	a := r.must(good, homework)
	if b := r.must(bad, homework); !b.Credential.Token.Equal(a.Credential.Token) {
		t.Fatal("the class has two tokens")
	}
	before := len(r.gh.Requests())
	for range 50 {
		if err := r.Rejected(t.Context(), bad, host, broker.Fingerprint(a.Credential.Token), ""); err != nil {
			t.Fatal(err)
		}
		if b := r.must(bad, homework); !b.Credential.Token.Equal(a.Credential.Token) {
			t.Fatal("another token was made")
		}
	}
	r.Settle(t.Context(), 0)
	if !r.live(a) {
		t.Error("the class's token was ended")
	}
	if n := len(r.gh.Requests()) - before; n > 2 {
		t.Errorf("GitHub was asked %d times", n)
	}
	// A stranger's word, and somebody else's token, count for nothing.
	if err := r.Rejected(t.Context(), r.user("guest"), host, broker.Fingerprint(a.Credential.Token), ""); err != nil || !r.live(a) {
		t.Errorf("a stranger: %v", err)
	}
	// One that is really dead is replaced.
	r.later(2 * time.Minute)
	r.gh.ExpireTokens()
	if err := r.Rejected(t.Context(), bad, host, broker.Fingerprint(a.Credential.Token), ""); err != nil {
		t.Fatal(err)
	}
	if b := r.must(good, homework); !r.live(b) {
		t.Error("a dead token was given again")
	}
}

// TestRunningThrough: a program asks for one token after the other, by calling
// each refused, or by names that a rule for the class has room for. The App that
// all share is not used up by it, and others do not notice.
func TestRunningThrough(t *testing.T) {
	r := newRig(t, func(r *rig) {
		r.config.Rules = rules(r.t, append(policy.Preset(), policy.Rule{
			Name: "course", Who: policy.Who{Groups: []string{"class"}}, What: []policy.Pattern{pattern(r.t, "github.com/uni-course/week*"), pattern(r.t, "github.com/uni-course/homework")}, Access: daypass.Read, As: policy.AsHub, Max: time.Hour,
		})...)
	})
	jo, kim := r.user("jo", "class"), r.user("kim", "class")
	r.connect(jo, fake.CampusUser)
	r.connect(kim, fake.CampusOther)
	before := len(r.gh.Requests())
	var last error
	for range 200 {
		a, err := r.ask(jo, data)
		if last = err; err == nil {
			r.Rejected(t.Context(), jo, host, broker.Fingerprint(a.Credential.Token), "")
		}
	}
	for i := range 200 {
		_, last = r.ask(jo, daypass.Repo{Owner: "uni-course", Name: fmt.Sprint("week", i)})
	}
	var ref *broker.Refusal
	if code(last) != "DP-838" || !errors.As(last, &ref) || ref.RetryAfter <= 0 {
		t.Errorf("in the end: %v", last)
	}
	if n := len(r.gh.Requests()) - before; n > 250 {
		t.Errorf("GitHub was asked %d times", n)
	}
	r.must(kim, data)
	r.must(kim, homework)
	r.later(10 * time.Second)
	r.must(jo, data)
}
