package broker_test

import (
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/policy"
)

// policy sees the name that was asked for, the token is for the repository
// that an old name leads to.
func TestOldNamePastForbid(t *testing.T) {
	r := newRig(t, func(r *rig) {
		r.config.Rules = rules(r.t, append(policy.Preset(), policy.Rule{Name: "never-data", Forbid: true, What: []policy.Pattern{pattern(r.t, "*/river-lab/data")}})...)
	})
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	if _, err := r.ask(jo, data); code(err) != "DP-810" {
		t.Fatalf("by its name: %v", err)
	}
	a, err := r.ask(jo, daypass.Repo{Owner: "river-lab", Name: "old-data"})
	if err == nil {
		t.Errorf("forbidden repository %d given by its old name, access %v", a.Credential.Scope.Repos[0].ID, a.Credential.Scope.Access)
	}
}

func TestOldNameAsHub(t *testing.T) {
	r := newRig(t, func(r *rig) {
		r.config.Rules = rules(r.t, policy.Rule{Name: "course", Who: policy.Who{Groups: []string{"class"}}, What: []policy.Pattern{pattern(r.t, "github.com/uni-course/home*")}, Access: daypass.Read, As: policy.AsHub, Max: 30 * time.Minute})
	})
	if err := r.gh.Rename("uni-course/homework", "uni-course/exam-2027"); err != nil {
		t.Fatal(err)
	}
	student := r.user("stu", "class")
	if _, err := r.ask(student, daypass.Repo{Owner: "uni-course", Name: "exam-2027"}); err == nil {
		t.Fatal("no rule names exam-2027")
	}
	if _, err := r.ask(student, homework); err == nil {
		t.Error("the hub read uni-course/exam-2027, which no rule names, by an old name of it")
	}
}
