package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func TestSmoke(t *testing.T) {
	dir := t.TempDir()
	os.Chmod(dir, 0o700)
	k, err := NewKeys(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	t0 := time.Now()
	db, err := Open(context.Background(), Config{URL: "sqlite:" + filepath.Join(dir, "a.db"), Keys: k})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("open", time.Since(t0))
	id, err := db.Record(context.Background(), Event{Kind: Credential, Person: 3, User: "alice"})
	fmt.Println(id, err)
	var n, worst atomic.Int64
	cpu := func() time.Duration {
		var ru syscall.Rusage
		syscall.Getrusage(0, &ru)
		return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
	}
	start, c0 := time.Now(), cpu()
	lat := make([][]time.Duration, 64)
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for time.Since(start) < 5*time.Second {
				m := n.Add(1)
				t1 := time.Now()
				_, err := db.Record(context.Background(), Event{Kind: Credential, Person: m*7919%1000 + 1, Hub: "main", User: "student-0123", Server: "default", Via: "server", Host: "github.com", Repo: "course-org/assignment-17", RepoID: 123456, Access: "write", As: "user", Outcome: OK, Rule: "own-connections", Until: time.Now(), Token: "0123456789abcdef", Request: "abcdefghij"})
				if err != nil {
					t.Error(err)
					return
				}
				d := time.Since(t1)
				lat[i] = append(lat[i], d)
				if int64(d) > worst.Load() {
					worst.Store(int64(d))
				}
			}
		}()
	}
	wg.Wait()
	el, cp := time.Since(start), cpu()-c0
	fi, _ := os.Stat(filepath.Join(dir, "a.db-wal"))
	fmt.Printf("%.0f/s cpu %.1f us/event worst %v commits %d wal %d\n", float64(n.Load())/el.Seconds(), float64(cp.Microseconds())/float64(n.Load()), time.Duration(worst.Load()), db.committer.commits.Load(), fi.Size())
	ev, err := db.Events(context.Background(), EventFilter{Person: 5, Limit: 5})
	fmt.Println(len(ev), err)
	t0 = time.Now()
	rep, err := db.Verify(context.Background(), nil)
	fmt.Println(rep.Events, rep.Faults, err, time.Since(t0))
	t0 = time.Now()
	fmt.Println(db.Close(), time.Since(t0))
}
