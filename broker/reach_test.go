package broker_test

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/policy"
)

// a dashboard lists everything that its owner reaches.
func TestReachOfDashboard(t *testing.T) {
	r := newRig(t, func(r *rig) {
		r.config.Hub.ServerKind = func(context.Context, daypass.Caller) policy.ServerKind { return policy.Dashboard }
		r.config.Rules = rules(r.t, policy.Rule{Name: "nothing", Forbid: true, What: []policy.Pattern{pattern(r.t, "*/*/*")}})
	})
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	rights, _, err := r.Reach(t.Context(), jo, host)
	if err == nil && len(rights) > 0 {
		t.Errorf("rules that forbid everything, a dashboard, and it is told of %d repositories, as %v", len(rights), rights[0].Repo)
	}
	if _, err := r.Disconnect(t.Context(), jo, host, ""); err == nil {
		t.Error("a dashboard's token ended its owner's connection")
	}
}

// how many requests of one server go to the host at once.
func TestReachIsNotShared(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	var n, now, most atomic.Int64
	tr := http.RoundTripper(tripper(func(req *http.Request) (*http.Response, error) {
		n.Add(1)
		if c := now.Add(1); c > most.Load() {
			most.Store(c)
		}
		time.Sleep(20 * time.Millisecond)
		defer now.Add(-1)
		return fake.Transport(r.gh).RoundTrip(req)
	}))
	r.wire.Store(&tr)
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() { _, _, _ = r.Reach(context.Background(), jo, host) })
	}
	wg.Wait()
	if most.Load() > 48 {
		t.Errorf("200 calls of one server made %d requests, %d at once; the host is sent 48 at once for everybody", n.Load(), most.Load())
	}
}
