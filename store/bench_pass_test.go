package store_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/store"
	"github.com/daypass-dev/daypass/store/storetest"
)

// BenchmarkPass: 64 callers store passes, count uses at links of their own and at
// one, each durable when its call returns; one caller reads the keys of 10,000.
//
//	go test ./store/ -run xxx -bench 'Pass$' -benchtime 20000x
func BenchmarkPass(b *testing.B) {
	for name, empty := range map[string]func(testing.TB) string{
		"sqlite":   storetest.SQLite,
		"postgres": func(b testing.TB) string { return storetest.Postgres(b)(b) },
	} {
		b.Run(name, func(b *testing.B) {
			b.Run("put", func(b *testing.B) { together(b, empty(b), putPass) })
			b.Run("use", func(b *testing.B) {
				together(b, empty(b), func(tx *store.Tx, n int64) error { return countUse(tx, n) })
			})
			b.Run("use-one-link", func(b *testing.B) {
				together(b, empty(b), func(tx *store.Tx, _ int64) error { return countUse(tx, 0) })
			})
			b.Run("key", func(b *testing.B) { passKey(b, empty(b), 10_000) })
		})
	}
}

func putPass(tx *store.Tx, n int64) error {
	_, err := tx.PutPass(store.Pass{Realm: "index:pypi", User: "alice", ID: fmt.Sprint(n), Until: daypass.Forever,
		Caveats: []string{"permissions=upload", "indexes=alice/dev", "projects=sampleproject", "not_before=1700000000", "expires=1900000000"}}, make([]byte, 32))
	return err
}

func countUse(tx *store.Tx, n int64) error {
	var link [32]byte
	binary.BigEndian.PutUint64(link[:], uint64(n)*0x9e3779b97f4a7c15)
	_, ok, err := tx.CountUse(link, math.MaxInt32, daypass.Forever)
	if err == nil && !ok {
		err = fmt.Errorf("use %d was not counted", n)
	}
	return err
}

func together(b *testing.B, url string, op func(*store.Tx, int64) error) {
	db := open(b, url, nil)
	b.Log(load())
	took := make([]time.Duration, b.N)
	var n atomic.Int64
	var all sync.WaitGroup
	before := cpu()
	b.ResetTimer()
	for range 64 {
		all.Go(func() {
			for i := n.Add(1); i <= int64(b.N); i = n.Add(1) {
				start := time.Now()
				if err := db.Write(context.Background(), func(tx *store.Tx) error { return op(tx, i) }); err != nil {
					b.Error(err)
					return
				}
				took[i-1] = time.Since(start)
			}
		})
	}
	all.Wait()
	b.StopTimer()
	report(b, took, cpu()-before)
}

func passKey(b *testing.B, url string, size int64) {
	db := open(b, url, nil)
	if err := db.Write(b.Context(), func(tx *store.Tx) error {
		for n := range size {
			if err := putPass(tx, n); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	took := make([]time.Duration, b.N)
	before := cpu()
	b.ResetTimer()
	for i := range b.N {
		start := time.Now()
		if _, key, _, err := db.PassKey(b.Context(), "index:pypi", "alice", fmt.Sprint(int64(i)*7919%size)); err != nil || len(key) != 32 {
			b.Fatal(len(key), err)
		}
		took[i] = time.Since(start)
	}
	b.StopTimer()
	report(b, took, cpu()-before)
}
