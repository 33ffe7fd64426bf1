package store

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestGroupFallsApart: where a group's transaction fails as a whole, and each of
// its requests is written by itself, what a request answers with is still its
// answer.
func TestGroupFallsApart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	keys, err := NewKeys(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	db, err := Open(t.Context(), Config{URL: "sqlite:" + filepath.Join(dir, "store.db"), Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	boom := errors.New("boom")
	ops := []func(*Tx) error{
		func(*Tx) error { return boom },
		func(tx *Tx) error { tx.Record(Event{Kind: SignIn}); return nil },
		// It takes the transaction away from under the others.
		func(tx *Tx) error { _, err := tx.exec("ROLLBACK"); return err },
	}
	busy, free := make(chan struct{}), make(chan struct{})
	go func() {
		_ = db.Write(context.Background(), func(*Tx) error { close(busy); <-free; return nil })
	}()
	<-busy
	done := make([]chan error, len(ops))
	for i, op := range ops {
		done[i] = make(chan error, 1)
		go func() { done[i] <- db.Write(context.Background(), op) }()
	}
	for len(db.committer.queue) < len(ops) { // so that they share a group
		select {
		case <-t.Context().Done():
			t.Fatal("they never waited")
		default:
		}
	}
	close(free)
	if err := <-done[0]; !errors.Is(err, boom) {
		t.Errorf("the one that failed of itself: %v", err)
	}
	if err := <-done[1]; err != nil {
		t.Errorf("the one that could be written: %v", err)
	}
	if err := <-done[2]; err == nil {
		t.Error("the one that took the transaction away was told that it was kept")
	}
	list, err := db.Events(t.Context(), EventFilter{})
	if err != nil || len(list) != 1 {
		t.Errorf("%d events, %v", len(list), err)
	}
}
