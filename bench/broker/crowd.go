package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/daypass-dev/daypass/internal/measure"
	"github.com/daypass-dev/daypass/store"
)

// crowded is how many connections of others lie in the larger store.
const crowded = 1_000_000

// crowd compares two services that take turns: one whose store has 1,000
// connections, and one with a copy of that store and a million more.
func (b *bench) crowd(s *measure.Stage) {
	st := newSite(b, s, people)
	where := st.sqlite("small")
	st.connect(where, time.Now().Add(8*time.Hour))
	small := st.serve("small", where)
	small.warm() // the credentials are in the store, and so in its copy
	small.End()
	larger := st.sqlite("large")
	copyFile(s, strings.TrimPrefix(where, "sqlite:"), strings.TrimPrefix(larger, "sqlite:"))
	st.addCrowd(larger, crowded)
	small.Start()
	large := st.serve("large", larger)
	for _, v := range []*service{small, large} {
		v.warm()
	}
	for _, m := range []struct {
		what     string
		requests func(string) [][]byte
	}{{"cached mint", st.credentials}, {"GET /me, which reads the connections", st.mes}} {
		f := measure.Figure{What: m.what + " at 2,000/s, median: a million connections beside 1,000", Bound: 1.2, Unit: "times"}
		b.Best(f, func() float64 { return b.turns(m.what, small, large, m.requests) })
	}
}

// turns measures both by turns, each going first as often, and returns the median
// of the ratios of their medians.
func (b *bench) turns(what string, small, large *service, requests func(string) [][]byte) float64 {
	var ratios, one, other []float64
	for round := range 6 {
		medians := map[*service]float64{}
		order := []*service{small, large}
		if round%2 == 1 {
			order = []*service{large, small}
		}
		for _, v := range order {
			t := open(v.Addr, requests(v.Addr), 2000, 2*time.Second)
			if t.wrong() != "" {
				v.st.s.Fatal(t.wrong())
			}
			medians[v] = t.at(.5)
		}
		one, other = append(one, medians[small]), append(other, medians[large])
		ratios = append(ratios, medians[large]/medians[small])
	}
	b.Say("%s: median with 1,000: %.3f ms, with a million more: %.3f ms; ratios %.2f; load %s", what, median(one), median(other), ratios, measure.Load())
	return median(ratios)
}

// addCrowd puts the connections of people of another hub into a store. They are
// copies of one that is there, as large as real ones; nobody can open their boxes.
func (st *site) addCrowd(where string, n int) {
	began := time.Now()
	db, err := sql.Open(driverOf(where))
	st.s.Check(err)
	db.SetMaxOpenConns(1)
	for _, text := range []string{
		`PRAGMA cache_size = -400000`,
		`BEGIN`,
		`INSERT INTO people (hub, name, created, seen_at)
			WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < ` + fmt.Sprint(n) + `)
			SELECT 'other', 'person' || i, 1700000000000000 + i, 1700000000000000 FROM k`,
		`INSERT INTO connections (person, hub, born, host, app, kind, account, login, full_name, email, state, why, created, used, ends, version,
			access_until, renew_until, lease, lease_until, sealed_by, box)
			SELECT p.id, p.hub, p.created, c.host, c.app, c.kind, 20000000 + p.id, p.name, c.full_name, c.email, c.state, c.why, c.created, c.used + p.id,
			c.ends + p.id, c.version, c.access_until, c.renew_until, c.lease, c.lease_until, c.sealed_by, randomblob(length(c.box))
			FROM people p, (SELECT * FROM connections ORDER BY id LIMIT 1) c WHERE p.hub = 'other'`,
		`COMMIT`,
	} {
		_, err := db.Exec(text)
		st.s.Check(err)
	}
	st.s.Check(db.Close())
	ours := st.open(where)
	defer ours.Close()
	all, err := ours.People(context.Background(), store.PeopleFilter{Hub: "other", After: 0, Limit: 1})
	st.s.Check(err)
	if len(all) != 1 {
		st.s.Fatal("the crowd is not there")
	}
	size, err := os.Stat(strings.TrimPrefix(where, "sqlite:"))
	st.s.Check(err)
	st.b.Say("%d connections were added in %.0f s; the store has %d MiB", n, time.Since(began).Seconds(), size.Size()>>20)
}

func copyFile(s *measure.Stage, from, to string) {
	if left, err := os.Stat(from + "-wal"); err == nil && left.Size() > 0 {
		s.Fatal("the store to copy was not closed")
	}
	in, err := os.Open(from)
	s.Check(err)
	defer in.Close()
	out, err := os.OpenFile(filepath.Clean(to), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	s.Check(err)
	_, err = io.Copy(out, in)
	s.Check(err)
	s.Check(out.Close())
}
