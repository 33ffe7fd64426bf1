package main

import (
	"database/sql"
	"math/rand/v2"
	"time"

	"github.com/daypass-dev/daypass/internal/measure"
	"github.com/daypass-dev/daypass/store/storetest"
)

// deadlocks is how often the database had to end one.
func deadlocks(s *measure.Stage, where string) (n int) {
	db, err := sql.Open(driverOf(where))
	s.Check(err)
	defer db.Close()
	s.Check(db.QueryRow(`SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`).Scan(&n))
	return n
}

// inFlight is how many requests for expiring connections are under way at most.
const inFlight = 500

// refreshes lets two processes on one PostgreSQL serve people whose connections
// have to be renewed all at once, and counts what the stand-in for GitHub was
// asked: each connection may be renewed once, since a refresh token that is used
// twice ends the connection.
func (b *bench) refreshes(s *measure.Stage) {
	where := storetest.Postgres(s)(s)
	st := newSite(b, s, people)
	st.connect(where, time.Now().Add(time.Minute))
	one, other := st.serve("one", where), st.serve("other", where)
	var requests [2][][]byte
	for i, v := range []*service{one, other} {
		if t := each(v.Addr, clients, st.mes(v.Addr)); t.wrong() != "" {
			s.Fatal(t.wrong())
		}
		all := st.credentials(v.Addr)
		for p := range people {
			requests[i] = append(requests[i], all[p*repos], all[p*repos+1]) // two repositories of each, at both
		}
		rand.Shuffle(len(requests[i]), func(x, y int) { requests[i][x], requests[i][y] = requests[i][y], requests[i][x] })
	}
	const path = "/login/oauth/access_token"
	before := st.world.Local.Count(path)
	began := time.Now()
	done := make(chan *tally)
	go func() { done <- each(other.Addr, inFlight/2, requests[1]) }()
	t := each(one.Addr, inFlight/2, requests[0])
	u := <-done
	took := time.Since(began)
	asked := st.world.Local.Count(path) - before
	b.Say("%d requests at two processes, %d at once, in %.1f s; p50 %.0f and %.0f ms, max %.0f and %.0f ms; %d refreshes; load %s", len(requests[0])+len(requests[1]),
		inFlight, took.Seconds(), t.at(.5), u.at(.5), t.at(1), u.at(1), asked, measure.Load())
	b.Say("PostgreSQL ended %d deadlocks", deadlocks(s, where))
	if w := t.wrong() + u.wrong(); w != "" {
		b.Say("%s", w)
		for _, v := range []*service{one, other} {
			b.Say("%s", v.complaints())
		}
	}
	b.Must("two processes, 1,000 expiring connections: every answer was 200", len(t.took)+len(u.took) == len(requests[0])+len(requests[1]))
	f := measure.Figure{What: "refreshes at the stand-in, no fewer", Got: float64(asked), Bound: people, AtLeast: true}
	b.Note(f)
	f.What, f.AtLeast = "refreshes at the stand-in, and no more", false
	b.Note(f)
	b.Must("each connection has one live refresh token", len(st.world.Local.LiveRefreshTokens()) == people)
}
