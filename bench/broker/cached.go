package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/daypass-dev/daypass/internal/hubtest"
	"github.com/daypass-dev/daypass/internal/measure"
	"github.com/daypass-dev/daypass/store/storetest"
)

// A pace is what a store has to keep up with.
type pace struct {
	name string
	rate float64 // a second, with as many requests at once as there are clients
	p99  float64 // in ms, at half of it
	says string  // of its durability
}

// cached measures what most requests are: a credential that was made before, by
// somebody whom the hub vouched for less than a minute ago, with the rules looked
// at and the event durable before the answer.
func (b *bench) cached(s *measure.Stage) {
	st := newSite(b, s, people)
	where := st.sqlite("store")
	st.connect(where, time.Now().Add(8*time.Hour))
	v := st.serve("serve", where)
	v.warm()
	rate := b.keeps(v, pace{"SQLite", 10_000, 10, "sqlite synchronous=2 journal=wal"}, where, func() {
		b.Say("resident: %.1f MiB of its own, %.1f MiB of the program's file and others", v.Memory("RssAnon"), v.Memory("RssFile")+v.Memory("RssShmem"))
		for _, field := range []string{"VmRSS", "VmHWM"} {
			b.Note(measure.Figure{What: fmt.Sprintf("resident after the load, %d people, %s", people, field), Got: v.Memory(field), Bound: 80, Unit: "MiB"})
		}
	})
	yard := 0.0
	if problem := measure.Play(func(s *measure.Stage) { yard = b.yardstick(s) }); problem != "" {
		b.Say("JupyterHub: %s", problem)
		b.Must("JupyterHub beside it: not measured", false)
		return
	}
	b.Note(measure.Figure{What: fmt.Sprintf("cached mint beside JupyterHub's GET /hub/api/user (%.0f/s)", yard), Got: rate / yard, Bound: 10, AtLeast: true, Unit: "times"})
}

// onPostgres measures the same with PostgreSQL below.
func (b *bench) onPostgres(s *measure.Stage) {
	where := storetest.Postgres(s)(s)
	st := newSite(b, s, people)
	st.connect(where, time.Now().Add(8*time.Hour))
	v := st.serve("serve", where)
	v.warm()
	b.keeps(v, pace{"PostgreSQL", 5_000, 20, "postgres synchronous_commit=on fsync=on"}, where, func() {})
}

// keeps holds a warm service to a pace, then kills it under load and looks
// whether all that it answered is there. after is called before it is killed.
func (b *bench) keeps(v *service, p pace, where string, after func()) (rate float64) {
	said := v.durability()
	b.Must(fmt.Sprintf("%s, read back: %q", p.name, said), said == p.says)
	requests := v.st.credentials(v.Addr)
	var events []string
	wrong := ""
	shoot := func(f func() *tally) *tally {
		before, ours := v.CPU(), ownCPU()
		t := f()
		n := float64(len(t.took))
		b.Say("%-10s %8.0f/s  p50 %.2f  p90 %.2f  p99 %.2f  p99.9 %.2f  max %.1f ms; CPU for one: the service's %.0f us, ours %.0f us; %.0f MiB, at most %.0f; load %s", p.name, t.rate(),
			t.at(.5), t.at(.9), t.at(.99), t.at(.999), t.at(1), float64((v.CPU()-before).Microseconds())/n, float64((ownCPU()-ours).Microseconds())/n,
			v.Memory("VmRSS"), v.Memory("VmHWM"), measure.Load())
		events = append(events, t.events...)
		if len(t.events) != len(t.took) {
			wrong = "an answer without an event"
		}
		if t.wrong() != "" {
			wrong = t.wrong()
		}
		return t
	}
	stopProfile := v.profile(p.name)
	f := b.Best(measure.Figure{What: "cached mint, " + p.name, Bound: p.rate, AtLeast: true, Unit: "/s"}, func() float64 {
		return shoot(func() *tally { return closed(v.Addr, requests, 8*time.Second) }).rate()
	})
	stopProfile()
	b.Best(measure.Figure{What: fmt.Sprintf("cached mint, %s, open loop at %.0f/s for 20 s, p99", p.name, p.rate/2), Bound: p.p99, Unit: "ms"}, func() float64 {
		t := shoot(func() *tally { return open(v.Addr, requests, p.rate/2, 20*time.Second) })
		if t.rate() < .97*p.rate/2 {
			return 1e6 // it fell behind
		}
		return t.at(.99)
	})
	b.Must(p.name+": every answer was 200 "+wrong, wrong == "")
	after()
	killed := make(chan *tally)
	go func() { killed <- closed(v.Addr, requests, 10*time.Second) }()
	time.Sleep(2 * time.Second)
	v.Kill()
	events = append(events, (<-killed).events...)
	b.allThere(v.st, where, events, p.name)
	return f.Got
}

// allThere opens a store whose service was killed, and looks for the events.
func (b *bench) allThere(st *site, where string, events []string, name string) {
	db := st.open(where)
	defer db.Close()
	report, err := db.Verify(context.Background(), nil)
	st.s.Check(err)
	b.Must(fmt.Sprintf("%s, after kill -9: %d events and %d groups verify", name, report.Events, report.Groups), report.Clean())
	raw, err := sql.Open(driverOf(where))
	st.s.Check(err)
	defer raw.Close()
	rows, err := raw.Query(`SELECT chain, n FROM events`)
	st.s.Check(err)
	defer rows.Close()
	there := map[string]bool{}
	for rows.Next() {
		var chain string
		var n int64
		st.s.Check(rows.Scan(&chain, &n))
		there[fmt.Sprintf("%s-%d", chain, n)] = true
	}
	st.s.Check(rows.Err())
	missing, twice := 0, 0
	seen := map[string]bool{}
	for _, e := range events {
		if !there[e] {
			missing++
		}
		if seen[e] {
			twice++
		}
		seen[e] = true
	}
	b.Must(fmt.Sprintf("%s, after kill -9: of %d answered, missing %d, twice %d", name, len(events), missing, twice), missing+twice == 0 && len(events) > 0)
}

// driverOf is how database/sql opens a store's address.
func driverOf(where string) (driver, name string) {
	if path, ok := strings.CutPrefix(where, "sqlite:"); ok {
		return "sqlite", "file:" + path
	}
	return "pgx", where
}

// yardstick is how many GET /hub/api/user a real JupyterHub answers, asked by the
// same generator.
func (b *bench) yardstick(s *measure.Stage) float64 {
	h := hubtest.Start(s, hubtest.Config{})
	var requests [][]byte
	addr := strings.SplitN(strings.TrimPrefix(h.API, "http://"), "/", 2)
	for i := range 50 {
		name := fmt.Sprintf("user%d", i)
		h.CreateUser(s, name)
		requests = append(requests, fmt.Appendf(nil, "GET /%s/user HTTP/1.1\r\nHost: %s\r\nAuthorization: token %s\r\n\r\n", addr[1], addr[0], h.UserToken(s, name)))
	}
	t := closed(addr[0], requests, 5*time.Second)
	if t.wrong() != "" {
		s.Fatal(t.wrong())
	}
	b.Say("JupyterHub %8.0f/s  p50 %.2f  p99 %.2f ms; load %s", t.rate(), t.at(.5), t.at(.99), measure.Load())
	return t.rate()
}

func ownCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// profile takes a profile of the service while it is under load.
func (v *service) profile(name string) (stop func()) {
	dir := v.st.b.profile
	if dir == "" {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for kind, path := range map[string]string{"cpu": "profile?seconds=6", "heap": "heap", "allocs": "allocs"} {
			res, err := http.Get("http://" + v.profiler + "/debug/pprof/" + path)
			if err != nil {
				fmt.Fprintln(os.Stderr, "profile:", err)
				return
			}
			text, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, name+"."+kind), text, 0o600)
			}
			if err != nil {
				fmt.Fprintln(os.Stderr, "profile:", err)
			}
		}
	}()
	return func() { <-done }
}
