package broker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/store"
)

// one class token, two rules with two Max.
func TestHubTokenMax(t *testing.T) {
	r := newRig(t, func(r *rig) {
		what := []policy.Pattern{pattern(r.t, "github.com/uni-course/home*")}
		r.config.Rules = rules(r.t,
			policy.Rule{Name: "tutors", Who: policy.Who{Groups: []string{"tutors"}}, What: what, Access: daypass.Read, As: policy.AsHub, Max: time.Hour},
			policy.Rule{Name: "exam", Who: policy.Who{Groups: []string{"exam"}}, What: what, Access: daypass.Read, As: policy.AsHub, Max: 2 * time.Minute})
	})
	r.must(r.user("tutor", "tutors"), homework)
	a := r.must(r.user("stu", "exam"), homework)
	if left := a.Credential.Scope.Until.Sub(r.now()); left > 2*time.Minute {
		t.Errorf("the rule %q gives two minutes; the answer is good for %v", a.Rule, left)
	}
}

// the same with a share that ends in six minutes.
func TestShareEndsHubTokenDoesNot(t *testing.T) {
	r, teacher := sharingRig(t)
	r.running()
	r.connect(teacher, fake.CampusInstructor)
	for group, d := range map[string]time.Duration{"long": 24 * time.Hour, "short": 6 * time.Minute} {
		if _, err := r.Share(t.Context(), browser(teacher), host, homework, group, r.now().Add(d), ""); err != nil {
			t.Fatal(err)
		}
	}
	r.must(r.user("l", "long"), homework)
	a := r.must(r.user("s", "short"), homework)
	if left := a.Credential.Scope.Until.Sub(r.now()); left > 6*time.Minute {
		t.Errorf("the share lasts six minutes more, the token %v", left)
	}
}

// cutting the sharer off leaves their shares.
func TestShareOfCutOff(t *testing.T) {
	r, teacher := sharingRig(t)
	r.connect(teacher, fake.CampusInstructor)
	if _, err := r.Share(t.Context(), browser(teacher), host, homework, "class", r.now().Add(100*24*time.Hour), ""); err != nil {
		t.Fatal(err)
	}
	if _, err := r.RevokeUser(t.Context(), "tea", "root"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ask(r.user("stu", "class"), homework); err == nil {
		t.Error("who shares was cut off, and the share goes on")
	}
}

// the sharer administers the repository no more.
func TestShareAfterRightIsLost(t *testing.T) {
	r, teacher := sharingRig(t)
	r.connect(teacher, fake.CampusInstructor)
	if _, err := r.Share(t.Context(), browser(teacher), host, homework, "class", r.now().Add(100*24*time.Hour), ""); err != nil {
		t.Fatal(err)
	}
	r.gh.Update(func(s *fake.Seed) {
		for i := range s.Repos {
			if s.Repos[i].ID == fake.CampusHomeworkRepo {
				s.Repos[i].Access = map[string]fake.Access{}
			}
		}
		for i := range s.Orgs {
			if s.Orgs[i].Login == "uni-course" {
				s.Orgs[i].Owners = nil
			}
		}
	})
	r.later(25 * time.Hour)
	if _, err := r.ask(r.user("stu", "class"), homework); err == nil {
		t.Error("who shares lost every right a day ago, and the share goes on for 99 days")
	}
}

// a share is for a number; another repository took the name before anybody
// read it.
func TestShareOtherRepository(t *testing.T) {
	r, teacher := sharingRig(t)
	r.connect(teacher, fake.CampusInstructor)
	if _, err := r.Share(t.Context(), browser(teacher), host, homework, "class", r.now().Add(100*24*time.Hour), ""); err != nil {
		t.Fatal(err)
	}
	if err := r.gh.Rename("uni-course/homework", "uni-course/homework-2025"); err != nil {
		t.Fatal(err)
	}
	other, err := r.gh.AddRepo(t.Context(), fake.Repo{Owner: "uni-course", Name: "homework", Private: true})
	if err != nil {
		t.Fatal(err)
	}
	r.gh.Update(func(s *fake.Seed) {
		for i := range s.Installations {
			if s.Installations[i].ID == fake.CampusContentInstall {
				s.Installations[i].Repos = append(s.Installations[i].Repos, other.ID)
			}
		}
	})
	a, err := r.ask(r.user("stu", "class"), homework)
	if err == nil {
		t.Errorf("repository %d was shared, and %d is read", fake.CampusHomeworkRepo, a.Credential.Scope.Repos[0].ID)
	}
}

// a share is ended while the token is on its way.
func TestEndShareInFlight(t *testing.T) {
	r, teacher := sharingRig(t)
	r.running()
	r.connect(teacher, fake.CampusInstructor)
	s, err := r.Share(t.Context(), browser(teacher), host, homework, "class", r.now().Add(24*time.Hour), "")
	if err != nil {
		t.Fatal(err)
	}
	arrived, release := r.hold(path("/access_tokens"))
	defer release()
	got := make(chan broker.Answer, 1)
	go func() { a, _ := r.ask(r.user("stu", "class"), homework); got <- a }()
	<-arrived
	if err := r.EndShare(t.Context(), browser(teacher), s.ID, ""); err != nil {
		t.Fatal(err)
	}
	release()
	a := <-got
	if a.Credential.Token.IsZero() {
		return
	}
	time.Sleep(2 * time.Second)
	if r.live(a) {
		t.Errorf("2 s after the end of the share a token is good, until %v", a.Credential.Scope.Until)
	}
}

// each request, cached or not, reads every share of the host.
func TestManyShares(t *testing.T) {
	r := newRig(t, func(r *rig) { r.config.Sharing = []string{"teachers"} })
	jo := r.user("jo", "class")
	r.connect(jo, fake.CampusUser)
	r.must(jo, data)
	took := func() time.Duration { // at its best: the machine may be busy
		best := time.Hour
		for range 100 {
			began := time.Now()
			r.must(jo, data)
			best = min(best, time.Since(began))
		}
		return best
	}
	before := took()
	p, _, _ := r.db.Person(t.Context(), jo.User)
	if err := r.db.Write(t.Context(), func(tx *store.Tx) error {
		for i := range 5000 {
			if _, err := tx.PutShare(store.Share{Person: p.ID, Hub: hubID, Host: host, Repo: daypass.Repo{Owner: "o", Name: fmt.Sprint("r", i), ID: int64(i + 1)}, Group: "x", Until: time.Now().Add(time.Hour)}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if after := took(); after > 5*before {
		t.Errorf("a cached token took %v; with 5000 shares of others, none for this group or repository, %v", before, after)
	}
}

func sharingRig(t *testing.T) (*rig, daypass.Caller) {
	r := newRig(t, func(r *rig) { r.config.Sharing = []string{"teachers"} })
	if err := r.gh.Add(fake.Seed{Installations: []fake.Installation{{ID: 7100, App: fake.CampusPushApp, Account: "uni-course", Repos: []int64{fake.CampusHomeworkRepo}}}}); err != nil {
		t.Fatal(err)
	}
	return r, r.user("tea", "teachers")
}
