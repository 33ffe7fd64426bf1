//go:build linux

package broker_test

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/fake"
)

// nearEnd is a town whose person is connected, and whose connection has to be
// refreshed now.
func nearEnd(t *testing.T) *town {
	t.Helper()
	w := newTown(t)
	p := w.process(nil)
	w.connect(p)
	p.kill()
	w.later(8*time.Hour - 2*time.Minute)
	return w
}

// refreshes are the moments at which GitHub was shown a refresh token.
func (w *town) refreshes() []time.Time {
	var out []time.Time
	for _, q := range w.gh.Requests() {
		if q.Form.Get("grant_type") == "refresh_token" {
			out = append(out, q.At)
		}
	}
	return out
}

// TestRefreshOnceInTwoProcesses: fifty requests at once, in two processes on one
// store, of a token that is about to end, at a slow GitHub: one refresh.
func TestRefreshOnceInTwoProcesses(t *testing.T) {
	w := nearEnd(t)
	w.gh.Set(func(s *fake.Switches) { s.RefreshLatency = 200 * time.Millisecond })
	both := []*process{w.process(nil), w.process(nil)}
	var all []<-chan reply
	for i := range 50 {
		all = append(all, both[i%2].send(order{Op: "ask", Server: fmt.Sprint("s", i/2%4), Repo: "river-lab/data"}))
	}
	for i, c := range all {
		if r := both[i%2].get(c); r.Code != "ok" {
			t.Errorf("%+v", r)
		}
	}
	if n := len(w.refreshes()); n != 1 {
		t.Errorf("%d refreshes", n)
	}
	if r := both[0].ask("s0"); r.Code != "ok" {
		t.Errorf("afterwards: %+v", r)
	}
}

// TestRefreshHeldUp: the process that has the lease is stopped for longer than
// that, before its request went out. Another one refreshes; the first sends
// nothing any more, and goes on with what the other has.
func TestRefreshHeldUp(t *testing.T) {
	t.Parallel()
	w := nearEnd(t)
	first := w.process(func(c *processConfig) { c.Hold = hold{Path: "/login/oauth/access_token", Grant: "refresh_token"} })
	other := w.process(nil)
	asked := first.send(order{Op: "ask", Repo: "river-lab/data"})
	<-first.held
	first.signal(syscall.SIGSTOP)
	stopped := time.Now()
	w.goesOn(other, "ok")
	if took := time.Since(stopped); took < w.lease()-500*time.Millisecond {
		t.Errorf("another took the lease over after %v", took)
	}
	first.signal(syscall.SIGCONT)
	first.release()
	if r := first.get(asked); r.Code != "ok" && r.Code != "DP-815" {
		t.Errorf("who was held up: %+v", r)
	}
	for _, p := range []*process{first, other} {
		if r := p.ask("later"); r.Code != "ok" {
			t.Errorf("afterwards: %+v", r)
		}
	}
	if n := len(w.refreshes()); n != 1 {
		t.Errorf("%d refreshes", n)
	}
}

// goesOn asks until there is an answer that is not "later", each within 5 s.
func (w *town) goesOn(p *process, want ...string) reply {
	w.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		began := time.Now()
		r := p.ask("other")
		if took := time.Since(began); took > 5*time.Second {
			w.t.Errorf("an answer took %v", took)
		}
		if slices.Contains(want, r.Code) {
			return r
		}
		if r.Code != "DP-815" || time.Now().After(end) {
			w.t.Fatalf("the answer is %+v, and should be one of %q", r, want)
		}
	}
}

// TestRefreshStoppedAfterSending: the owner is stopped while GitHub has spent
// its token and the answer is on its way. Nobody shows the token a second time
// before the lease is over. Whatever comes of it, both processes say the same.
func TestRefreshStoppedAfterSending(t *testing.T) {
	t.Parallel()
	w := nearEnd(t)
	w.gh.Set(func(s *fake.Switches) { s.RefreshLatency = 300 * time.Millisecond })
	first, other := w.process(nil), w.process(nil)
	before := w.gh.LiveRefreshTokens()
	asked := first.send(order{Op: "ask", Repo: "river-lab/data"})
	w.within(10*time.Second, "GitHub spends the token", func() bool { return !slices.Equal(before, w.gh.LiveRefreshTokens()) })
	first.signal(syscall.SIGSTOP)
	r := w.goesOn(other, "ok", "DP-817")
	first.signal(syscall.SIGCONT)
	first.get(asked)
	at := w.refreshes()
	if len(at) != 2 || at[1].Sub(at[0]) < w.lease()-500*time.Millisecond {
		t.Errorf("the token was shown at %v; the lease is %v", at, w.lease())
	}
	if r.Code != "DP-817" {
		t.Errorf("while the answer was with a process that was stopped: %+v", r)
	}
	end := w.goesOn(first, "ok", "DP-817")
	if r := w.goesOn(other, "ok", "DP-817"); r.Code != end.Code {
		t.Errorf("one says %+v, the other %+v", end, r)
	}
	t.Logf("who was stopped went on with: %s", end.Code)
	if end.Code == "DP-817" {
		w.connect(other)
	}
	for _, p := range []*process{first, other} {
		if r := p.ask("later"); r.Code != "ok" {
			t.Errorf("afterwards: %+v", r)
		}
	}
}
