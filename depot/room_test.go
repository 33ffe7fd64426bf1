package depot

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/snapshot"
)

// noise is text that no pack makes smaller.
func noise(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return string(b)
}

// TestNoRoom: what is new is refused where too much is in use to make room for it; what
// is there is given out, and goes on changing.
func TestNoRoom(t *testing.T) {
	r := newRig(t, Config{Limits: Limits{Size: 1 << 20}})
	r.clock.Store(time.Now().UnixNano())
	r.set("big.bin", noise(3<<20))
	v := r.get(time.Minute)
	another := key
	another.As = "hub:bio101"
	ask := func() error {
		r.later(2 * countEvery)
		_, err := r.d.Get(t.Context(), another, time.Minute, r.fetch)
		return err
	}
	var p *daypass.Problem
	if err := ask(); !errors.As(err, &p) || p.Code != "DP-485" {
		t.Fatalf("%v", err)
	}
	r.set("x.txt", "more\n")
	r.later(time.Minute)
	if w := r.get(time.Second); w.ID == v.ID {
		t.Error("what is there does not change any more")
	}
	r.later(2 * grace)
	if err := ask(); err != nil {
		t.Errorf("after nobody wanted the other one for an hour: %v", err)
	}
}

// TestOwnRoom: what one person chooses to have read takes a part of the room, whatever
// they ask for again and again; the rest is for what others want.
func TestOwnRoom(t *testing.T) {
	r := newRig(t, Config{Limits: Limits{Size: 8 << 20}})
	r.clock.Store(time.Now().UnixNano())
	r.set("big.bin", noise(1<<20))
	get := func(by Asker, id string) error {
		k := Key{Source: daypass.Source{Kind: "git", Host: "public.example", ID: id}, As: "public"}
		r.later(time.Minute)
		_, err := r.d.GetFor(t.Context(), by, k, time.Hour, r.fetch)
		return err
	}
	eve, bob := Asker{Name: "eve", Chose: true}, Asker{Name: "bob", Chose: true}
	if err := errors.Join(get(bob, "bobs"), get(eve, "liked"), get(bob, "liked")); err != nil {
		t.Fatal(err)
	}
	for n := range 12 {
		for again := range n + 1 { // they keep all of it in use, as well as they can
			if err := get(eve, fmt.Sprint("eves", again)); err != nil {
				t.Fatalf("%d: %v", n, err)
			}
		}
	}
	for _, id := range []string{"class1", "class2"} {
		if err := get(Asker{Name: "stu"}, id); err != nil {
			t.Errorf("another's: %v", err)
		}
	}
	for _, id := range []string{"bobs", "liked"} {
		if !r.d.Kept(Key{Source: daypass.Source{Kind: "git", Host: "public.example", ID: id}, As: "public"}) {
			t.Errorf("%s had to go for what somebody else chose", id)
		}
	}
	if n, _, err := r.d.Size(); err != nil || n > 12<<20 {
		t.Errorf("%d bytes are kept: %v", n, err)
	}
}

// TestSeed: with large files included, what is there without them is not read again.
func TestSeed(t *testing.T) {
	r := newRig(t, Config{})
	base := r.get(time.Minute)
	with := key
	with.Include = []string{"big.bin"}
	if r.d.Kept(with) || !r.d.Kept(key) {
		t.Error("one is kept and the other is not")
	}
	_, err := r.d.Get(t.Context(), with, time.Minute, func(ctx context.Context, repo *plumbing.Repo, have plumbing.OID, mark string) (Result, error) {
		o, err := repo.Objects(ctx)
		if err != nil {
			return Result{}, err
		}
		defer o.Close()
		s, _, err := snapshot.ReadContent(o, have, "", snapshot.Limits{})
		if err != nil || string(have) != base.ID || len(s.Files) != 2 || mark != "" {
			t.Errorf("%s, %q: %+v %v", have, mark, s.Files, err)
		}
		return r.fetch(ctx, repo, have, mark)
	})
	if err != nil {
		t.Fatal(err)
	}
	numbered := key
	numbered.Number = 7
	if r.d.Kept(numbered) {
		t.Error("a repository of the same name and another number is the same")
	}
}

// TestEverAnother: a source that is another each time does not fill the disk with what
// it was before.
func TestEverAnother(t *testing.T) {
	r := newRig(t, Config{Limits: Limits{Source: snapshot.Limits{Total: 1 << 20, File: -1}}})
	for range 10 {
		r.set("big.bin", noise(900<<10))
		r.later(time.Hour)
		r.get(time.Minute)
	}
	dir := filepath.Join(r.d.c.Dir, key.name())
	if n := sizeOf(dir); n > 8<<20 {
		t.Errorf("%d MiB are kept of a source of 1", n>>20)
	}
	r.read(r.client(), r.get(time.Hour).ID, "")
}

// TestOneAtATime: somebody who asks for many new sources leaves room for others, and a
// class does not wait behind them for what they asked for as well.
func TestOneAtATime(t *testing.T) {
	r := newRig(t, Config{Limits: Limits{AtOnce: 4}})
	hang := make(chan struct{})
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	slow := func(ctx context.Context, repo *plumbing.Repo, have plumbing.OID, mark string) (Result, error) {
		select {
		case <-hang:
			return r.fetch(ctx, repo, have, mark)
		case <-ctx.Done():
			return Result{}, ctx.Err()
		}
	}
	of := func(id string) Key { k := key; k.Source.ID = id; return k }
	var all sync.WaitGroup
	begun := func(k Key, fetch Fetch) {
		all.Go(func() { _, _ = r.d.GetFor(ctx, Asker{Name: "eve"}, k, time.Minute, fetch) })
		for !r.d.Kept(k) && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
	}
	for i := range 6 {
		begun(of(fmt.Sprint("storm", i)), slow)
	}
	if _, err := r.d.GetFor(ctx, Asker{Name: "bob"}, of("bobs"), time.Minute, r.fetch); err != nil {
		t.Fatalf("somebody else waits for all of hers: %v", err)
	}
	begun(of("class"), r.fetch)
	if _, err := r.d.GetFor(ctx, Asker{Name: "bob"}, of("class"), time.Minute, r.fetch); err != nil {
		t.Fatalf("the class waits behind hers: %v", err)
	}
	close(hang)
	all.Wait()
	for i := range 6 {
		if !r.d.Kept(of(fmt.Sprint("storm", i))) {
			t.Errorf("hers did not come: %d", i)
		}
	}
	r.d.mu.Lock()
	defer r.d.mu.Unlock()
	if len(r.d.queues) != 0 {
		t.Error("queues are remembered for ever")
	}
}

// TestForgetsHalves: what a fetch brought that broke off is forgotten with whoever it
// was read as, too.
func TestForgetsHalves(t *testing.T) {
	r := newRig(t, Config{})
	k := key
	k.As = "person:7@x.1"
	_, err := r.d.Get(t.Context(), k, time.Minute, func(_ context.Context, repo *plumbing.Repo, _ plumbing.OID, _ string) (Result, error) {
		return Result{}, errors.Join(os.WriteFile(filepath.Join(repo.Dir(), "part"), []byte("a grade"), 0o600), errors.New("the connection broke"))
	})
	if err == nil || r.d.Kept(k) {
		t.Fatalf("%v", err)
	}
	if list, err := r.d.Readers(); err != nil || len(list) != 1 || list[0] != k.As {
		t.Errorf("%v, %v", list, err)
	}
	if done, err := r.d.Forget(t.Context(), k.As); !done || err != nil {
		t.Errorf("%v %v", done, err)
	}
	if left, err := os.ReadDir(r.d.c.Dir); err != nil || len(left) != 0 {
		t.Errorf("%v %v are left", left, err)
	}
}

// TestSlowHost: one host that does not answer has not all places.
func TestSlowHost(t *testing.T) {
	r := newRig(t, Config{Limits: Limits{AtOnce: 4}})
	hang := make(chan struct{})
	var all sync.WaitGroup
	for i := range 8 {
		k := key
		k.Source.Host, k.Source.ID = "slow.example", fmt.Sprint(i)
		all.Go(func() {
			_, _ = r.d.GetFor(t.Context(), Asker{Name: fmt.Sprint("user", i)}, k, time.Minute, func(ctx context.Context, _ *plumbing.Repo, _ plumbing.OID, _ string) (Result, error) {
				select {
				case <-hang:
				case <-ctx.Done():
				}
				return Result{}, errors.New("it did not answer")
			})
		})
		for !r.d.Kept(k) {
			time.Sleep(time.Millisecond)
		}
	}
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	_, err := r.d.Get(ctx, key, time.Minute, r.fetch)
	close(hang)
	all.Wait()
	if err != nil {
		t.Errorf("a class waits for another host: %v", err)
	}
}

// TestManyPairs: packs for everybody who has an older version do not fill the disk.
func TestManyPairs(t *testing.T) {
	r := newRig(t, Config{Limits: Limits{Source: snapshot.Limits{Total: 1 << 20, File: -1}}})
	var had []string
	clients := map[string]*plumbing.Repo{}
	for i := range 12 {
		r.set(fmt.Sprintf("%d.bin", i), noise(200<<10))
		if i > 2 {
			r.mu.Lock()
			delete(r.files, fmt.Sprintf("%d.bin", i-3))
			r.mu.Unlock()
		}
		r.later(time.Hour)
		id := r.get(time.Minute).ID
		had, clients[id] = append(had, id), r.client()
		r.read(clients[id], id, "")
	}
	last := had[len(had)-1]
	for range 2 {
		for _, id := range had[:len(had)-1] {
			r.read(clients[id], last, id)
		}
		matches(t, filepath.Join(r.d.c.Dir, key.name(), "packs"), "all-"+last+".pack")
	}
	if n := sizeOf(filepath.Join(r.d.c.Dir, key.name(), "packs")); n > 5<<20 {
		t.Errorf("%d KiB of packs are kept of a source of 1 MiB", n>>10)
	}
}
