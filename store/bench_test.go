package store_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/store"
	"github.com/daypass-dev/daypass/store/storetest"
)

// BenchmarkRecord: 64 callers record the events of cached answers, each durable
// when its call returns.
//
//	go test ./store/ -run xxx -bench Record -benchtime 100000x
func BenchmarkRecord(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) { record(b, storetest.SQLite(b)) })
	b.Run("postgres", func(b *testing.B) { record(b, storetest.Postgres(b)(b)) })
}

func record(b *testing.B, url string) {
	db := open(b, url, nil)
	how, err := db.Durability(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.Log(how, load())
	const callers = 64
	var n atomic.Int64
	took := make([][]time.Duration, callers)
	var all sync.WaitGroup
	before := cpu()
	b.ResetTimer()
	for i := range callers {
		all.Go(func() {
			for m := n.Add(1); m <= int64(b.N); m = n.Add(1) {
				start := time.Now()
				if _, err := db.Record(context.Background(), event(m)); err != nil {
					b.Error(err)
					return
				}
				took[i] = append(took[i], time.Since(start))
			}
		})
	}
	all.Wait()
	b.StopTimer()
	report(b, slices.Concat(took...), cpu()-before)
}

// BenchmarkOpenLoop: events come at a fixed rate, whatever the store does; the
// time of each counts from when it should have begun.
func BenchmarkOpenLoop(b *testing.B) {
	for _, rate := range []int{2000, 5000} {
		b.Run(fmt.Sprint("sqlite-", rate), func(b *testing.B) { openLoop(b, storetest.SQLite(b), rate) })
		b.Run(fmt.Sprint("postgres-", rate), func(b *testing.B) { openLoop(b, storetest.Postgres(b)(b), rate) })
	}
}

func openLoop(b *testing.B, url string, rate int) {
	db := open(b, url, nil)
	b.Log(load())
	took := make([]time.Duration, b.N)
	var all sync.WaitGroup
	before := cpu()
	b.ResetTimer()
	start := time.Now()
	for i := range b.N {
		due := start.Add(time.Duration(i) * time.Second / time.Duration(rate))
		time.Sleep(time.Until(due))
		all.Go(func() {
			if _, err := db.Record(context.Background(), event(int64(i))); err != nil {
				b.Error(err)
			}
			took[i] = time.Since(due)
		})
	}
	all.Wait()
	b.StopTimer()
	report(b, took, cpu()-before)
}

// BenchmarkLookup: the point look-ups of an answer, in a store with a million
// connections and in a small one. DAYPASS_BENCH_MILLION=1 asks for the large.
func BenchmarkLookup(b *testing.B) {
	sizes := []int{1000}
	if os.Getenv("DAYPASS_BENCH_MILLION") != "" {
		sizes = append(sizes, 1_000_000)
	}
	for _, size := range sizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			url := storetest.SQLite(b)
			db := open(b, url, nil)
			fill(b, db, url, size)
			var took []time.Duration
			before := cpu()
			b.ResetTimer()
			for i := range b.N {
				id := int64(i*7919%size + 1)
				start := time.Now()
				c, err := db.Connection(b.Context(), id, "github.com")
				if err != nil || c.Person != id {
					b.Fatalf("%+v, %v", c, err)
				}
				if _, err := db.Children(b.Context(), store.ChildFilter{Person: id, Host: "github.com", LiveAt: start}); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(start))
			}
			b.StopTimer()
			report(b, took, cpu()-before)
		})
	}
}

// fill makes people with a connection each. The boxes are copies, which do not
// open: nobody asks them to.
func fill(b *testing.B, db *store.DB, url string, n int) {
	err := db.Write(b.Context(), func(tx *store.Tx) error {
		p, err := tx.PutPerson(daypass.User{Hub: "main", Name: "u0", Created: time.Unix(1, 0)}, time.Now())
		if err != nil {
			return err
		}
		_, _, err = tx.PutConnection(store.Connection{Person: p.ID, Host: "github.com", Kind: "app"}, daypass.Grant{Access: daypass.NewSecret("x"), Refresh: daypass.NewSecret("y")})
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	raw := storetest.Raw(b, url)
	for _, text := range []string{
		`INSERT INTO people (hub, name, created, seen_at) WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < $1)
			SELECT 'main', 'u' || i, 1, 1 FROM k`,
		`INSERT INTO connections (person, host, app, kind, account, login, full_name, email, state, why, created, used, ends, version, access_until, renew_until, lease, lease_until, sealed_by, box)
			SELECT p.id, c.host, c.app, c.kind, p.id, 'octo' || p.id, 'Octo Cat', 'x@users.noreply.github.com', c.state, '', c.created, c.used, c.ends, 1, c.access_until, c.renew_until, '', 0, c.sealed_by, c.box
			FROM connections c, people p WHERE c.id = 1 AND p.id > 1 AND p.id <= $1`,
	} {
		if _, err := raw.Exec(text, n); err != nil {
			b.Fatal(err)
		}
	}
}

func report(b *testing.B, took []time.Duration, used time.Duration) {
	slices.Sort(took)
	at := func(q float64) float64 { return float64(took[int(q*float64(len(took)-1))].Microseconds()) / 1000 }
	b.ReportMetric(float64(len(took))/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(used.Microseconds())/float64(len(took)), "cpu-µs/event")
	b.ReportMetric(at(0.5), "p50-ms")
	b.ReportMetric(at(0.99), "p99-ms")
	b.ReportMetric(at(1), "max-ms")
}

func event(n int64) store.Event {
	person := n * 7919 % 1000
	return store.Event{Kind: store.Credential, Person: person + 1, Hub: "main", User: fmt.Sprintf("student-%04d", person), Server: "default", Via: "server",
		Host: "github.com", Repo: "course-org/assignment-17", RepoID: 123456789, Access: "write", As: "user", Outcome: store.OK,
		Rule: "own-connections", Account: "octocat", Until: time.Unix(1_800_000_000, 0), Token: "0123456789abcdef", Request: "abcdefghij"}
}

func open(t testing.TB, url string, change func(*store.Config)) *store.DB {
	t.Helper()
	keys, err := store.NewKeys(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := store.Config{URL: url, Keys: keys}
	if change != nil {
		change(&c)
	}
	db, err := store.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// cpu is what this process has used; a PostgreSQL's is not in it.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	return "load " + strings.Fields(string(text))[0]
}
