package broker_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/store"
)

func TestPushAsUser(t *testing.T) {
	r := newRig(t)
	ada := r.user("jo")
	if _, err := r.ask(ada, data); code(err) != "DP-816" || !errors.Is(err, daypass.ErrNoLogin) {
		t.Fatalf("before a connection: %v", err)
	}
	var ref *broker.Refusal
	if _, err := r.ask(ada, data); !errors.As(err, &ref) || !ref.Connect || ref.Event == "" {
		t.Fatalf("a refusal leads to the page: %+v", ref)
	}
	r.connect(ada, fake.CampusUser)
	a := r.must(ada, data)
	s := a.Credential.Scope
	if s.Host != host || len(s.Repos) != 1 || s.Repos[0].ID != fake.CampusDataRepo || s.Access != daypass.Write || a.As != policy.AsUser {
		t.Errorf("the answer is %+v", a)
	}
	if left := s.Until.Sub(r.now()); left > time.Hour || left < 55*time.Minute {
		t.Errorf("it is good for %v", left)
	}
	if a.Account.Login != fake.CampusUser || a.Event == "" {
		t.Errorf("account %+v, event %q", a.Account, a.Event)
	}
	e, ok, err := r.db.Event(t.Context(), a.Event)
	if err != nil || !ok || e.Kind != store.Credential || e.RepoID != fake.CampusDataRepo || e.Token != broker.Fingerprint(a.Credential.Token) || e.Rule == "" {
		t.Errorf("the event is %+v, %v %v", e, ok, err)
	}
	again := r.must(ada, data)
	if !again.Cached || !again.Credential.Token.Equal(a.Credential.Token) || again.Event == a.Event {
		t.Errorf("asked again: %+v", again)
	}
	// Only reading is allowed there.
	if got := r.must(ada, handbook); got.Credential.Scope.Access != daypass.Read {
		t.Errorf("handbook: %+v", got)
	}
	if _, err := r.ask(ada, daypass.Repo{Owner: "ada", Name: "private"}); code(err) != "DP-821" {
		t.Errorf("somebody else's: %v", err)
	}
}

// TestAuthority: what one server was given, another server, another person and
// another access never get.
func TestAuthority(t *testing.T) {
	r := newRig(t)
	jo, kim := r.user("jo"), r.user("kim")
	r.connect(jo, fake.CampusUser)
	r.connect(kim, fake.CampusOther)
	first := r.must(jo, data)
	gpu := jo
	gpu.Server.Name = "gpu"
	if second := r.must(gpu, data); second.Cached || second.Credential.Token.Equal(first.Credential.Token) {
		t.Error("another server was given the same token")
	}
	if other := r.must(kim, data); other.Credential.Token.Equal(first.Credential.Token) || other.Account.Login != fake.CampusOther {
		t.Error("another person was given the same token")
	}
	read, err := r.Credential(t.Context(), jo, broker.Ask{Host: host, Repo: data, Access: daypass.Read})
	if err != nil || read.Credential.Scope.Access != daypass.Read || read.Credential.Token.Equal(first.Credential.Token) {
		t.Errorf("asked to read: %+v, %v", read.Credential.Scope, err)
	}
	if _, err := r.Credential(t.Context(), browser(jo), broker.Ask{Host: host, Repo: data, Access: daypass.Read}); code(err) != "DP-818" {
		t.Errorf("a browser: %v", err)
	}
	// The same name, made again: another person, without a connection.
	twin := jo
	twin.User.Created = born.Add(1000 * time.Hour)
	r.mu.Lock()
	r.hub["jo"] = broker.HubUser{Name: "jo", Created: twin.User.Created}
	r.mu.Unlock()
	if _, err := r.ask(twin, data); code(err) != "DP-816" {
		t.Errorf("somebody who bears the name now: %v", err)
	}
}

func TestRename(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	r.mu.Lock()
	u := r.hub["jo"]
	u.Name = "joanna"
	r.hub["joanna"] = u
	delete(r.hub, "jo")
	r.mu.Unlock()
	renamed := jo
	renamed.User.Name = "joanna"
	if _, err := r.ask(renamed, data); err != nil {
		t.Errorf("after a rename: %v", err)
	}
	fresh := r.user("jo")
	if _, err := r.ask(fresh, data); code(err) != "DP-816" {
		t.Errorf("who took the name over: %v", err)
	}
}

func TestRules(t *testing.T) {
	r := newRig(t, func(r *rig) {
		r.config.Rules = rules(r.t, append(policy.Preset(),
			policy.Rule{Name: "never-notes", Forbid: true, What: []policy.Pattern{pattern(r.t, "*/octo-researcher/*")}},
			policy.Rule{Name: "course", Who: policy.Who{Groups: []string{"class"}}, What: []policy.Pattern{pattern(r.t, "github.com/uni-course/home*")}, Access: daypass.Read, As: policy.AsHub, Max: 30 * time.Minute})...)
	})
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	_, err := r.ask(jo, notes)
	var ref *broker.Refusal
	if !errors.As(err, &ref) || ref.Rule != "never-notes" || ref.Event == "" {
		t.Errorf("forbidden: %+v, %v", ref, err)
	}
	student := r.user("stu", "class")
	a := r.must(student, homework)
	if a.As != policy.AsHub || a.Credential.Scope.Access != daypass.Read || a.Rule != "course" || a.Account.ID != 0 {
		t.Errorf("a student: %+v", a)
	}
	if left := a.Credential.Scope.Until.Sub(r.now()); left > 30*time.Minute {
		t.Errorf("good for %v", left)
	}
	if other := r.must(r.user("stu2", "class"), homework); !other.Credential.Token.Equal(a.Credential.Token) || !other.Cached {
		t.Error("a class costs more than one token")
	}
	if _, err := r.ask(r.user("guest"), homework); err == nil {
		t.Error("somebody outside of the class read it")
	}
	if _, err := r.ask(student, daypass.Repo{Owner: "uni-course", Name: "solutions"}); err == nil {
		t.Error("a student read another repository")
	}
	push := broker.Ask{Host: host, Repo: homework, Access: daypass.Write, Least: daypass.Write}
	if _, err := r.Credential(t.Context(), student, push); err == nil {
		t.Error("a student was given what pushes")
	}
}

func TestRefreshOnce(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	r.later(8*time.Hour - 2*time.Minute)
	before := len(refreshes(r))
	two := r.another("two")
	var wg sync.WaitGroup
	errs := make(chan error, 64)
	for i := range 50 {
		b := r.Broker
		if i%2 == 1 {
			b = two
		}
		wg.Go(func() {
			c := jo
			c.Server.Name = fmt.Sprint("s", i%4)
			_, err := b.Credential(context.Background(), c, broker.Ask{Host: host, Repo: data, Access: daypass.Read})
			errs <- err
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	if n := len(refreshes(r)) - before; n != 1 {
		t.Errorf("%d refreshes for 50 requests in two processes", n)
	}
}

func refreshes(r *rig) []fake.Request {
	var out []fake.Request
	for _, q := range r.gh.Requests() {
		if q.Form.Get("grant_type") == "refresh_token" {
			out = append(out, q)
		}
	}
	return out
}

// TestRefreshLost: the provider spends the token and its answer never arrives.
func TestRefreshLost(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	r.later(8 * time.Hour)
	r.gh.Fault(func(q *http.Request) bool { return q.URL.Path == "/login/oauth/access_token" }, fake.Fault{Kind: fake.FaultLost, Times: 1})
	_, err := r.ask(jo, data)
	if code(err) != "DP-817" {
		t.Errorf("after a lost refresh: %v", err)
	}
	var ref *broker.Refusal
	if !errors.As(err, &ref) || !ref.Connect {
		t.Errorf("it leads to: %+v", ref)
	}
	r.connect(jo, fake.CampusUser)
	r.must(jo, data)
}

// TestRefreshOutage: a provider that is down, or limits us, ends nothing.
func TestRefreshOutage(t *testing.T) {
	for name, f := range map[string]fake.Fault{
		"bad gateway": {Kind: fake.FaultHTML502},
		"limited":     {Kind: fake.FaultStatus, Status: 429, Header: http.Header{"Retry-After": {"7"}}, Body: "{}"},
		"odd":         {Kind: fake.FaultStatus, Status: 200, Body: "<html>"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			jo := r.user("jo")
			r.connect(jo, fake.CampusUser)
			r.later(8 * time.Hour)
			stop := r.gh.Fault(nil, f)
			_, err := r.ask(jo, data)
			var ref *broker.Refusal
			if !errors.As(err, &ref) || ref.RetryAfter == 0 || !errors.Is(err, daypass.ErrUnreachable) {
				t.Errorf("while it is down: %+v %v", ref, err)
			}
			if name == "limited" && ref.RetryAfter != 7*time.Second {
				t.Errorf("ask again in %v", ref.RetryAfter)
			}
			stop()
			r.later(time.Minute)
			r.eventually("it works again", func() bool { _, err := r.ask(jo, data); return err == nil })
		})
	}
}

func TestServeWhileDown(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	r.must(jo, data)
	r.gh.Fault(nil, fake.Fault{Kind: fake.FaultHTML502})
	if a := r.must(jo, data); !a.Cached {
		t.Error("not from memory")
	}
	start := time.Now()
	for range 8 {
		if _, err := r.ask(jo, notes); !errors.Is(err, daypass.ErrUnreachable) {
			t.Errorf("while it is down: %v", err)
		}
	}
	before := len(r.gh.Requests())
	if _, err := r.ask(jo, notes); err == nil {
		t.Error("an answer from nowhere")
	}
	if n := len(r.gh.Requests()) - before; n != 0 {
		t.Errorf("a provider that is down was asked %d times more", n)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestBudget: no more than nine children live at once, and never is the parent
// the oldest of eleven.
func TestBudget(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	var all []broker.Answer
	for i := range 14 {
		c := jo
		c.Server.Name = fmt.Sprint("s", i)
		all = append(all, r.must(c, data))
		r.later(time.Second)
		if i >= 3 { // the first server goes on working
			r.must(jo0(jo), data)
		}
	}
	live := 0
	for _, a := range all {
		if r.live(a) {
			live++
		}
	}
	if live > 9 || !r.live(all[0]) || !r.live(all[13]) || r.live(all[1]) {
		t.Errorf("%d live; the one in use %v, the last %v, the least used %v", live, r.live(all[0]), r.live(all[13]), r.live(all[1]))
	}
}

func jo0(c daypass.Caller) daypass.Caller { c.Server.Name = "s0"; return c }

func TestEnds(t *testing.T) {
	r := newRig(t)
	r.running()
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	gpu := jo
	gpu.Server.Name = "gpu"
	a, b := r.must(jo, data), r.must(gpu, data)
	if err := r.ServerStopped(t.Context(), "jo", time.Time{}, "gpu"); err != nil {
		t.Fatal(err)
	}
	r.eventually("the stopped server's token is dead at the host", func() bool { return !r.live(b) })
	if !r.live(a) {
		t.Error("another server's token went with it")
	}
	done, err := r.Disconnect(t.Context(), jo, host, "")
	if err != nil || len(done) < 2 {
		t.Fatalf("disconnect: %q, %v", done, err)
	}
	if r.live(a) || len(r.gh.LiveRefreshTokens()) != 0 {
		t.Error("after disconnecting something is alive at the host")
	}
	if _, err := r.ask(jo, data); code(err) != "DP-816" {
		t.Errorf("after disconnecting: %v", err)
	}
}

func TestCutOff(t *testing.T) {
	r := newRig(t)
	r.running()
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	a := r.must(jo, data)
	admin := r.another("admin") // as the command does it
	done, err := admin.RevokeUser(t.Context(), "jo", "root")
	if err != nil || len(done) == 0 {
		t.Fatalf("%q, %v", done, err)
	}
	if r.live(a) {
		t.Error("the token is alive at the host")
	}
	r.eventually("the running service refuses", func() bool { _, err := r.ask(jo, data); return code(err) == "DP-811" })
	if _, err := r.StartConsent(t.Context(), browser(jo), broker.ConsentStart{Session: "s", Host: host, Redirect: callback}); code(err) != "DP-811" {
		t.Errorf("connecting anew: %v", err)
	}
	if n, err := admin.AllowUser(t.Context(), "jo", "root"); n != 1 || err != nil {
		t.Errorf("allowed: %d, %v", n, err)
	}
	r.eventually("they may connect again", func() bool {
		_, err := r.StartConsent(t.Context(), browser(jo), broker.ConsentStart{Session: "s", Host: host, Redirect: callback})
		return err == nil
	})
	r.connect(jo, fake.CampusUser)
	r.must(jo, data)
}

func TestCallbacks(t *testing.T) {
	r := newRig(t)
	jo, kim := r.user("jo"), r.user("kim")
	finish := func(c daypass.Caller, e broker.ConsentEnd) error {
		_, err := r.FinishConsent(t.Context(), browser(c), e)
		return err
	}
	end := func(c daypass.Caller) broker.ConsentEnd {
		q := r.answer(c, fake.CampusUser)
		return broker.ConsentEnd{Session: "s-" + c.User.Name, Host: host, State: q.Get("state"), Code: q.Get("code")}
	}
	good := end(jo)
	if err := finish(jo, good); err != nil {
		t.Fatal(err)
	}
	if err := finish(jo, good); code(err) != "DP-828" {
		t.Errorf("replayed: %v", err)
	}
	e := end(jo)
	if err := finish(kim, e); code(err) != "DP-828" {
		t.Errorf("in another person's browser: %v", err)
	}
	if err := finish(jo, e); code(err) != "DP-828" {
		t.Errorf("a state that was shown once: %v", err)
	}
	e = end(jo)
	e.Session = "other"
	if err := finish(jo, e); code(err) != "DP-828" {
		t.Errorf("another session: %v", err)
	}
	e = end(jo)
	r.later(601 * time.Second)
	if err := finish(jo, e); code(err) != "DP-828" {
		t.Errorf("601 s old: %v", err)
	}
	e = end(jo)
	e.Code = ""
	e.Error = "access_denied"
	if err := finish(jo, e); code(err) != "DP-829" {
		t.Errorf("no: %v", err)
	}
	one, two := end(jo), end(jo)
	if err := errors.Join(finish(jo, two), finish(jo, one)); err != nil {
		t.Errorf("two tabs: %v", err)
	}
	live := 0
	for _, tok := range r.gh.LiveTokens() {
		_ = tok
		live++
	}
	r.Settle(t.Context(), 1)
	if n := len(r.gh.LiveTokens()); n != 1 {
		t.Errorf("%d tokens alive after all of that (%d before the to-dos)", n, live)
	}
}

// TestConsentFails: what fails after the code was spent leaves nothing alive.
func TestConsentFails(t *testing.T) {
	for _, path := range []string{"/user"} {
		r := newRig(t)
		jo := r.user("jo")
		q := r.answer(jo, fake.CampusUser)
		r.gh.Fault(fake.PathIs(path), fake.Fault{Kind: fake.FaultHTML502})
		_, err := r.FinishConsent(t.Context(), browser(jo), broker.ConsentEnd{Session: "s-jo", Host: host, State: q.Get("state"), Code: q.Get("code")})
		if !errors.Is(err, daypass.ErrUnreachable) {
			t.Errorf("%s: %v", path, err)
		}
		if n := len(r.gh.LiveTokens()); n != 0 {
			t.Errorf("%s: %d tokens are alive", path, n)
		}
		r.gh.ClearFaults()
		r.connect(jo, fake.CampusUser)
	}
}

func TestPinnedName(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	r.must(jo, data)
	if err := r.gh.Rename("river-lab/data", "river-lab/old-data"); err != nil {
		t.Fatal(err)
	}
	again, err := r.gh.AddRepo(t.Context(), fake.Repo{Owner: "river-lab", Name: "data", Private: true, Access: map[string]fake.Access{fake.CampusUser: fake.AccessWrite}})
	if err != nil {
		t.Fatal(err)
	}
	r.gh.Update(func(s *fake.Seed) {
		for i := range s.Installations {
			if s.Installations[i].ID == fake.CampusPushLabInstall {
				s.Installations[i].Repos = append(s.Installations[i].Repos, again.ID)
			}
		}
	})
	r.later(time.Hour)
	_, err = r.ask(jo, data)
	if code(err) != "DP-822" {
		t.Errorf("a name that changed hands: %v", err)
	}
	if err := r.Confirm(t.Context(), browser(jo), host, data, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ask(jo, data); code(err) == "DP-822" {
		t.Errorf("confirmed: %v", err)
	}
}

func TestManyRepositories(t *testing.T) {
	r := newRig(t, func(r *rig) { r.config.Limits.ReposPerDay = 1 })
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	r.must(jo, data)
	_, err := r.ask(jo, notes)
	var ref *broker.Refusal
	if code(err) != "DP-823" || !errors.As(err, &ref) || !ref.Approve {
		t.Fatalf("one too many: %v", err)
	}
	if err := r.Approve(t.Context(), jo, jo.Server, ""); err == nil {
		t.Error("a server approved for itself")
	}
	if err := r.Approve(t.Context(), browser(jo), jo.Server, ""); err != nil {
		t.Fatal(err)
	}
	r.must(jo, notes)
	r.later(24 * time.Hour)
	r.must(jo, data)
	if _, err = r.ask(jo, notes); code(err) != "DP-823" {
		t.Errorf("the day after: %v", err)
	}
}

func TestSharing(t *testing.T) {
	r := newRig(t, func(r *rig) { r.config.Sharing = []string{"teachers"} })
	r.running()
	teacher := r.user("tea", "teachers")
	student := r.user("stu", "class")
	until := r.now().Add(24 * time.Hour)
	if _, err := r.Share(t.Context(), browser(teacher), host, homework, "class", until, ""); code(err) != "DP-816" {
		t.Errorf("without a connection: %v", err)
	}
	if err := r.gh.Add(fake.Seed{Installations: []fake.Installation{{ID: 7100, App: fake.CampusPushApp, Account: "uni-course", Repos: []int64{fake.CampusHomeworkRepo}}}}); err != nil {
		t.Fatal(err)
	}
	r.connect(teacher, fake.CampusInstructor)
	if _, err := r.Share(t.Context(), browser(student), host, homework, "class", until, ""); code(err) != "DP-834" {
		t.Errorf("a student shares: %v", err)
	}
	if _, err := r.Share(t.Context(), browser(teacher), host, data, "class", until, ""); code(err) != "DP-835" {
		t.Errorf("what somebody else administers: %v", err)
	}
	if _, err := r.Share(t.Context(), browser(teacher), host, homework, "class", r.now().Add(300*24*time.Hour), ""); code(err) != "DP-834" {
		t.Errorf("for ever: %v", err)
	}
	if _, err := r.ask(student, homework); err == nil {
		t.Fatal("before the share a student read it")
	}
	s, err := r.Share(t.Context(), browser(teacher), host, homework, "class", until, "")
	if err != nil {
		t.Fatal(err)
	}
	a := r.must(student, homework)
	if a.Rule != "sharing" || a.Credential.Scope.Access != daypass.Read || a.As != policy.AsHub {
		t.Errorf("a student: %+v", a)
	}
	if err := r.EndShare(t.Context(), browser(teacher), s.ID, ""); err != nil {
		t.Fatal(err)
	}
	r.eventually("what was given is dead at the host", func() bool { return !r.live(a) })
	if _, err := r.ask(student, homework); err == nil {
		t.Error("after its end a student read it")
	}
}

func TestSessionOnly(t *testing.T) {
	r := newRig(t, func(r *rig) { r.config.Limits.Session = true })
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	a := r.must(jo, data)
	p, _, err := r.db.Person(t.Context(), jo.User)
	if err != nil {
		t.Fatal(err)
	}
	if list, err := r.db.Connections(t.Context(), p.ID); err != nil || len(list) != 0 {
		t.Errorf("the store holds %v, %v", list, err)
	}
	if list, err := r.db.Children(t.Context(), store.ChildFilter{}); err != nil || len(list) != 0 {
		t.Errorf("the store holds %v, %v", list, err)
	}
	if _, err := r.another("two").Credential(t.Context(), jo, broker.Ask{Host: host, Repo: data, Access: daypass.Write}); code(err) != "DP-816" {
		t.Errorf("another process: %v", err)
	}
	if _, err := r.Disconnect(t.Context(), jo, host, ""); err != nil {
		t.Fatal(err)
	}
	if r.live(a) {
		t.Error("a token is alive at the host")
	}
}

func TestHandIn(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	access, refresh, err := r.gh.Issue(fake.CampusPushApp, fake.CampusUser, 0)
	if err != nil {
		t.Fatal(err)
	}
	in := broker.HandIn{User: "jo", Host: host, App: fake.CampusPushApp, Account: daypass.Account{ID: 1001, Login: fake.CampusUser},
		Grant: daypass.Grant{Access: daypass.NewSecret(access), Refresh: daypass.NewSecret(refresh), Until: r.now().Add(8 * time.Hour), Renew: r.now().Add(100 * 24 * time.Hour)}}
	if err := r.HandIn(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	r.must(jo, data)
	r.later(8 * time.Hour)
	r.must(jo, data)
	// Another account than the hub says: nothing is kept.
	kim := r.user("kim")
	access, refresh, err = r.gh.Issue(fake.CampusPushApp, fake.CampusOther, 0)
	if err != nil {
		t.Fatal(err)
	}
	in.User, in.Grant.Access, in.Grant.Refresh = "kim", daypass.NewSecret(access), daypass.NewSecret(refresh)
	if err := r.HandIn(t.Context(), in); code(err) != "DP-830" {
		t.Errorf("another account's token: %v", err)
	}
	if _, err := r.ask(kim, data); code(err) != "DP-816" {
		t.Errorf("kim: %v", err)
	}
	if _, live := r.gh.Token(access); live {
		t.Error("the token that was not kept is alive")
	}
}

func TestStale(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	r.must(jo, data)
	stale := func(repo daypass.Repo) error {
		_, err := r.Credential(t.Context(), jo, broker.Ask{Host: host, Repo: repo, Access: daypass.Write, Stale: true})
		return err
	}
	if err := stale(data); err != nil {
		t.Errorf("what was made before: %v", err)
	}
	if err := stale(notes); !errors.Is(err, daypass.ErrUnreachable) {
		t.Errorf("something new: %v", err)
	}
}
