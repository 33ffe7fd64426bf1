//go:build linux

package broker_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/internal/soak"
	"github.com/daypass-dev/daypass/store"
)

// A blow is a kill -9 at a known moment of a consent, a refresh, a mint or a
// disconnect.
type blow struct {
	name string
	op   string // connect, refresh, mint, disconnect
	hold hold
	late bool // GitHub has done it, and its answer is under way
	done bool // after the answer
	// want is what a request for a credential says afterwards, at first; lost is
	// how many tokens then live at GitHub of which nobody here knows.
	want string
	lost int
	why  string // what the answer says, in part
}

const (
	exchangePath = "/login/oauth/access_token"
	scopedPath   = "/token/scoped"
	grantPath    = "/grant"
)

func blows() []blow {
	exchange := hold{Path: exchangePath, Grant: "code"}
	renewal := hold{Path: exchangePath, Grant: "refresh_token"}
	narrow, end := hold{Path: scopedPath}, hold{Path: grantPath}
	after := func(h hold) hold { h.After = true; return h }
	const interrupted = "a refresh was interrupted"
	return []blow{
		{name: "consent: before the code is sent", op: "connect", hold: exchange, want: "DP-816"},
		{name: "consent: GitHub has given a pair", op: "connect", late: true, want: "DP-816", lost: 1},
		{name: "consent: the pair has arrived", op: "connect", hold: after(exchange), want: "DP-816", lost: 1},
		{name: "consent: before it is known whose it is", op: "connect", hold: hold{Path: "/user"}, want: "DP-816", lost: 1},
		{name: "consent: kept", op: "connect", done: true, want: "ok"},
		{name: "refresh: before the token is sent", op: "refresh", hold: renewal, want: "ok"},
		{name: "refresh: GitHub has spent the token", op: "refresh", late: true, want: "DP-817", lost: 1, why: interrupted},
		{name: "refresh: the new pair has arrived", op: "refresh", hold: after(renewal), want: "DP-817", lost: 1, why: interrupted},
		{name: "refresh: kept", op: "refresh", hold: narrow, want: "ok"},
		{name: "mint: before it is asked for", op: "mint", hold: narrow, want: "ok"},
		{name: "mint: GitHub has made the child", op: "mint", late: true, want: "ok", lost: 1},
		{name: "mint: the child has arrived", op: "mint", hold: after(narrow), want: "ok", lost: 1},
		{name: "mint: given", op: "mint", done: true, want: "ok"},
		{name: "disconnect: before GitHub is told", op: "disconnect", hold: end, want: "DP-816"},
		{name: "disconnect: GitHub has been told", op: "disconnect", hold: after(end), want: "DP-816"},
		{name: "disconnect: done", op: "disconnect", done: true, want: "DP-816"},
	}
}

// TestKilled kills a process with -9 at every step, and at random moments, and
// looks at what another process then makes of it: twenty rounds, or two hundred
// with DAYPASS_SOAK. What an answer said is so; what was lost is one answer of
// GitHub's at most; and in the end everything can be revoked.
func TestKilled(t *testing.T) {
	t.Parallel()
	rounds, steps := soak.Rounds(t, 20, 200), blows()
	var pairs, children atomic.Int64
	gate := make(chan struct{}, 5)
	t.Run("rounds", func(t *testing.T) {
		for i := range rounds {
			name, round := fmt.Sprint(i, ": at random"), func(t *testing.T) (int, string) { return atRandom(t, i) }
			if n := i % (len(steps) + 4); n < len(steps) {
				b := steps[n]
				name, round = fmt.Sprint(i, ": ", b.name), func(t *testing.T) (int, string) { return b.strike(t), b.op }
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				gate <- struct{}{}
				defer func() { <-gate }()
				lost, op := round(t)
				if op == "mint" {
					children.Add(int64(lost))
				} else {
					pairs.Add(int64(lost))
				}
			})
		}
	})
	t.Logf("%d rounds: %d pairs and %d children were lost with GitHub's answer, until the connection was ended", rounds, pairs.Load(), children.Load())
}

// prepare brings a town to where the operation begins.
func prepare(t *testing.T, op string) *town {
	t.Helper()
	w := newTown(t)
	if op == "connect" {
		return w
	}
	p := w.process(nil)
	w.connect(p)
	if op != "mint" {
		w.answered(p.ask(""))
	}
	p.kill()
	if op == "refresh" {
		w.later(8*time.Hour - 2*time.Minute)
	}
	return w
}

// begin starts the operation.
func (w *town) begin(p *process, op string) <-chan reply {
	w.t.Helper()
	switch op {
	case "connect":
		return p.send(w.consented(p))
	case "disconnect":
		return p.send(order{Op: "disconnect"})
	}
	return p.send(order{Op: "ask", Repo: "river-lab/data"})
}

// state is what GitHub has, as text.
func (w *town) state() string {
	var out []string
	for _, tok := range w.gh.LiveTokens() {
		out = append(out, tok.Fingerprint)
	}
	return strings.Join(append(out, w.gh.LiveRefreshTokens()...), " ")
}

func (b blow) strike(t *testing.T) int {
	w := prepare(t, b.op)
	w.strike(b)
	return w.aftermath(b.op, []string{b.want}, b.lost, b.lost, b.why)
}

// strike begins the operation in a process and kills it at the moment.
func (w *town) strike(b blow) {
	w.t.Helper()
	p := w.process(func(c *processConfig) { c.Hold = b.hold })
	if b.late {
		path := exchangePath
		if b.op == "mint" {
			path = scopedPath
		}
		w.gh.Fault(w.ends(path), fake.Fault{Kind: fake.FaultLate, Times: 1, Delay: 20 * time.Second})
	}
	before := w.state()
	c := w.begin(p, b.op)
	switch {
	case b.done:
		w.answered(p.get(c))
	case b.late:
		w.within(10*time.Second, "GitHub does it", func() bool { return w.state() != before })
	default:
		select {
		case <-p.held:
		case r := <-c:
			w.t.Fatalf("nothing was held: %+v", r)
		case <-time.After(20 * time.Second):
			w.t.Fatal("nothing was held")
		}
	}
	p.kill()
}

// answered looks that what an answer said is in the store.
func (w *town) answered(r reply) {
	w.t.Helper()
	if r.Code != "ok" {
		w.t.Fatalf("%+v", r)
	}
	if r.Event == "" {
		return
	}
	if _, ok, err := w.db.Event(w.t.Context(), store.EventID(r.Event)); !ok || err != nil {
		w.t.Errorf("the event %s of an answer is not in the store: %v", r.Event, err)
	}
}

// aftermath starts another process on what is left, and returns how many tokens
// nobody knows.
func (w *town) aftermath(op string, want []string, least, most int, why string) int {
	w.t.Helper()
	p := w.process(func(c *processConfig) { c.Background = true })
	if op == "disconnect" {
		w.within(20*time.Second, "what was begun is finished at GitHub", func() bool { return w.state() == "" })
	}
	r := w.goesOn(p, want...)
	if !strings.Contains(r.Why, why) {
		w.t.Errorf("it says %q, and not %q", r.Why, why)
	}
	needs := w.count(store.ConsentNeeded)
	if r.Code == "DP-817" != (needs == 1) {
		w.t.Errorf("%d events say that a consent is needed; the answer was %s", needs, r.Code)
	}
	lost := w.unknown()
	if lost < least || lost > most {
		w.t.Errorf("%d tokens live of which nobody knows, and not %d to %d", lost, least, most)
	}
	if r.Code != "ok" {
		w.connect(p)
		w.answered(w.goesOn(p, "ok"))
	}
	if report, err := w.db.Verify(w.t.Context(), nil); err != nil || !report.Clean() {
		w.t.Errorf("the events: %+v, %v", report.Faults, err)
	}
	if r := p.do(order{Op: "disconnect"}); r.Code != "ok" {
		w.t.Errorf("disconnect: %+v", r)
	}
	// What GitHub did not answer in time is told again from the background.
	w.within(20*time.Second, "nothing lives once everything was disconnected", func() bool { return w.state() == "" })
	return lost
}

func (w *town) count(kind store.Kind) int {
	w.t.Helper()
	list, err := w.db.Events(w.t.Context(), store.EventFilter{Kind: kind})
	if err != nil {
		w.t.Fatal(err)
	}
	return len(list)
}

// unknown counts the live access tokens that the store does not have: neither as
// a connection, nor as a child.
func (w *town) unknown() int {
	w.t.Helper()
	ctx := w.t.Context()
	known := map[string]bool{}
	people, err := w.db.People(ctx, store.PeopleFilter{})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, p := range people {
		conns, err := w.db.Connections(ctx, p.ID)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, c := range conns {
			if g, err := w.db.Grant(ctx, c); err == nil {
				known[fake.Fingerprint(g.Access.Reveal())] = true
			}
		}
	}
	children, err := w.db.Children(ctx, store.ChildFilter{})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, ch := range children {
		tok, err := w.db.ChildToken(ctx, ch)
		if err != nil {
			w.t.Fatal(err)
		}
		known[fake.Fingerprint(tok.Reveal())] = true
	}
	n := 0
	for _, tok := range w.gh.LiveTokens() {
		if !known[tok.Fingerprint] {
			n++
		}
	}
	return n
}

// atRandom kills at a moment that nobody chose.
func atRandom(t *testing.T, i int) (int, string) {
	op := []string{"connect", "refresh", "mint", "refresh"}[i%4]
	w := prepare(t, op)
	p := w.process(nil)
	p.do(order{Op: "start"}) // it runs
	moment := time.Duration(rand.Int64N(int64(15 * time.Millisecond)))
	c := w.begin(p, op)
	time.Sleep(moment)
	p.kill()
	want := map[string][]string{"connect": {"ok", "DP-816"}, "refresh": {"ok", "DP-817"}, "mint": {"ok"}}[op]
	select {
	case r := <-c:
		w.answered(r)
		want = want[:1]
	default:
	}
	lost := w.aftermath(op, want, 0, 1, "")
	t.Logf("%s, killed after %v: %d lost", op, moment, lost)
	return lost, op
}

// ends matches requests whose path ends so.
func (w *town) ends(path string) func(q *http.Request) bool {
	return func(q *http.Request) bool { return strings.HasSuffix(q.URL.Path, path) }
}
