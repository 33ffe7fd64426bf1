package broker_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/store"
)

// exec writes into the store as somebody would who has no key.
func (r *rig) exec(texts ...string) {
	r.t.Helper()
	db, err := sql.Open("sqlite", strings.TrimPrefix(r.url, "sqlite:")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		r.t.Fatal(err)
	}
	defer db.Close()
	for _, text := range texts {
		if _, err := db.Exec(text); err != nil {
			r.t.Fatal(err)
		}
	}
}

// TestPeopleSwapped: who can write the store and has an account at the hub does
// not come to somebody else's connection.
func TestPeopleSwapped(t *testing.T) {
	r := newRig(t)
	jo, mal := r.user("jo"), r.user("mal")
	r.connect(jo, fake.CampusUser)
	if _, err := r.ask(mal, data); code(err) != "DP-816" {
		t.Fatal(err)
	}
	for _, texts := range [][]string{
		{
			`UPDATE people SET name = 'x' || name`,
			`UPDATE people SET name = CASE name WHEN 'xjo' THEN 'mal' ELSE 'jo' END, created = (SELECT created FROM people o WHERE o.id <> people.id)`,
		},
		{`UPDATE connections SET born = (SELECT created FROM people WHERE id = connections.person)`}, // and whose it says it is
	} {
		r.exec(texts...)
		a, err := r.another("two").Credential(t.Context(), mal, broker.Ask{Host: host, Repo: data, Access: daypass.Write})
		if err == nil {
			t.Errorf("after %q mal has a token of %s", texts[0], a.Account.Login)
		}
	}
	// It can be ended all the same.
	r.exec(fmt.Sprintf(`UPDATE connections SET born = %d`, jo.User.Created.UnixMicro()))
	if _, err := r.RevokeUser(t.Context(), "mal", "root"); err != nil {
		t.Fatal(err)
	}
	if n := len(r.gh.LiveRefreshTokens()); n != 0 {
		t.Errorf("%d refresh tokens are alive at the host", n)
	}
}

// TestChildRow: a child is given as what it was made for, whatever the columns
// beside its box say later.
func TestChildRow(t *testing.T) {
	r := newRig(t, func(r *rig) {
		r.config.Rules = rules(r.t, append(policy.Preset(), policy.Rule{Name: "gpu-never-data", Forbid: true, Who: policy.Who{Servers: []string{"gpu"}}, What: []policy.Pattern{pattern(r.t, "*/river-lab/data")}})...)
	})
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	a := r.must(jo, data)
	r.exec(`UPDATE children SET server = '/gpu', owner = 'octo-researcher', name = 'notes'`)
	gpu := jo
	gpu.Server.Name = "gpu"
	b, err := r.another("two").Credential(t.Context(), gpu, broker.Ask{Host: host, Repo: notes, Access: daypass.Write})
	if err == nil && b.Credential.Token.Equal(a.Credential.Token) {
		t.Error("a token for river-lab/data is given as one for octo-researcher/notes, on a server that may not have it")
	}
}

// TestTodoThatDoesNotOpen: a revocation that cannot be done is not told as done,
// and the connection that made the token ends with it.
func TestTodoThatDoesNotOpen(t *testing.T) {
	for what, text := range map[string]string{
		"the box is damaged": `UPDATE children SET box = x'00'`, "the time is edited": `UPDATE children SET until = until + 1, ends = 1`,
		"the row is gone": `DELETE FROM children`,
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			jo := r.user("jo")
			r.connect(jo, fake.CampusUser)
			a := r.must(jo, data)
			if err := r.ServerStopped(t.Context(), "jo", time.Time{}, ""); err != nil {
				t.Fatal(err)
			}
			r.exec(text)
			r.running()
			r.eventually("the token is dead", func() bool { return !r.live(a) })
			r.eventually("an event says failed", func() bool {
				list, err := r.db.Events(t.Context(), store.EventFilter{Kind: store.Revoke, Outcome: store.Failed})
				return err == nil && len(list) == 1
			})
			list, err := r.db.Events(t.Context(), store.EventFilter{Kind: store.Revoke, Outcome: store.OK})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range list {
				if strings.HasPrefix(e.Why, store.RevokeChild) {
					t.Errorf("the activity says %q, %s", e.Why, e.Outcome)
				}
			}
		})
	}
}

// TestOverdueTodos: what fails for hours is owed since its beginning.
func TestOverdueTodos(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	r.must(jo, data)
	mend := r.gh.Fault(func(q *http.Request) bool { return q.Method == http.MethodDelete }, fake.Fault{Kind: fake.FaultHTML502})
	if err := r.ServerStopped(t.Context(), "jo", time.Time{}, ""); err != nil {
		t.Fatal(err)
	}
	p, _, err := r.db.Person(t.Context(), jo.User)
	if err != nil {
		t.Fatal(err)
	}
	// What another process has claimed counts too.
	if list, err := r.db.ClaimTodos(t.Context(), p.ID, "two", r.now(), 10, 300*time.Millisecond); err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if n, err := r.Settle(t.Context(), p.ID); n != 1 || err != nil {
		t.Errorf("left: %d, %v", n, err)
	}
	time.Sleep(320 * time.Millisecond)
	for range 4 {
		if n, err := r.Settle(t.Context(), p.ID); n != 1 || err != nil {
			t.Errorf("left: %d, %v", n, err)
		}
		r.later(2 * time.Hour)
	}
	list, err := r.db.Todos(t.Context())
	if err != nil || len(list) != 1 || list[0].Attempts < 3 {
		t.Fatalf("%+v, %v", list, err)
	}
	since, ok, err := r.db.OldestTodo(t.Context())
	if owed := r.now().Sub(since); !ok || err != nil || owed < 8*time.Hour {
		t.Errorf("owed for %v, %v, %v", owed, ok, err)
	}
	if n, err := r.db.CountTodos(t.Context(), 0, r.now().Add(-time.Minute)); n != 1 || err != nil {
		t.Errorf("overdue: %d, %v", n, err)
	}
	mend()
	if n, err := r.Settle(t.Context(), p.ID); n != 0 || err != nil {
		t.Errorf("left: %d, %v", n, err)
	}
}

// TestConsentWhileCutOff: who is cut off while they say yes at the host is not
// connected, also later.
func TestConsentWhileCutOff(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	q := r.answer(jo, fake.CampusUser)
	arrived, release := r.hold(path("/user"))
	defer release()
	done := make(chan error, 1)
	go func() {
		_, err := r.FinishConsent(context.Background(), browser(jo), broker.ConsentEnd{Session: "s-jo", Host: host, State: q.Get("state"), Code: q.Get("code")})
		done <- err
	}()
	<-arrived
	if _, err := r.RevokeUser(t.Context(), "jo", "root"); err != nil {
		t.Fatal(err)
	}
	release()
	if err := <-done; err == nil {
		t.Error("a consent was kept for somebody who had been cut off")
	}
	r.eventually("no token of theirs is alive at the host", func() bool { return len(r.gh.LiveTokens()) == 0 })
	if _, err := r.AllowUser(t.Context(), "jo", "root"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ask(jo, data); code(err) != "DP-816" {
		t.Errorf("allowed again, and without connecting anew: %v", code(err))
	}
}
