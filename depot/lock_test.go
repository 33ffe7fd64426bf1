package depot

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/internal/plumbing"
)

// TestMain is also another process of the service: one that fetches into the folder of
// DEPOT_TEST_DIR, hangs in the middle, and is to be killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("DEPOT_TEST_DIR"); dir != "" {
		hangIn(dir)
		return
	}
	os.Exit(m.Run())
}

func hangIn(dir string) {
	g, err := plumbing.Find(os.Getenv, os.Environ())
	if err != nil {
		panic(err)
	}
	d, err := New(Config{Dir: dir, Git: g, Now: time.Now})
	if err != nil {
		panic(err)
	}
	_, err = d.Get(context.Background(), key, time.Minute, func(ctx context.Context, repo *plumbing.Repo, _ plumbing.OID, _ string) (Result, error) {
		im, err := repo.Import(ctx)
		if err != nil {
			return Result{}, err
		}
		if _, err := im.Blob(4, strings.NewReader("half")); err != nil {
			return Result{}, err
		}
		fmt.Println("half")
		time.Sleep(time.Minute)
		return Result{}, errors.New("nobody killed it")
	})
	fmt.Println(err)
}

// A process that is killed while it fetches: another one takes over at once, and what
// is given out is whole.
func TestKilledHolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "snapshots")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "DEPOT_TEST_DIR="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "half\n" {
		t.Fatalf("%q %v", line, err)
	}
	r := newRig(t, Config{Dir: dir})
	waits := make(chan Version, 1)
	go func() {
		v, err := r.d.Get(t.Context(), key, time.Minute, r.fetch)
		if err != nil {
			t.Error(err)
		}
		waits <- v
	}()
	select {
	case v := <-waits:
		t.Fatalf("two processes fetch at a time: %+v", v)
	case <-time.After(300 * time.Millisecond):
	}
	cmd.Process.Kill()
	io.Copy(io.Discard, out)
	cmd.Wait()
	select {
	case v := <-waits:
		client := r.client()
		r.read(client, v.ID, "")
		if r.file(client, v.ID, "lab1.ipynb") != "one\n" {
			t.Error("it is not what the source has")
		}
	case <-time.After(30 * time.Second):
		t.Fatal("nobody took over")
	}
}

// Two processes that share a folder: one fetches, the other finds it.
func TestTwoProcesses(t *testing.T) {
	r := newRig(t, Config{})
	other, err := New(Config{Dir: r.d.c.Dir, Git: r.git, Now: r.now})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			d := []*Depot{r.d, other}[i%2]
			v, err := d.Get(t.Context(), key, time.Minute, r.fetch)
			if err != nil {
				t.Error(err)
				return
			}
			p, err := d.Pack(t.Context(), key, v.ID, "")
			if err != nil {
				t.Error(err)
				return
			}
			p.Close()
		})
	}
	all.Wait()
	if looks, fetches := r.counts(); looks != 1 || fetches != 1 {
		t.Errorf("%d looks, %d fetches", looks, fetches)
	}
}

// rows is what a database keeps of leases.
type rows struct {
	mu    sync.Mutex
	owner string
	deny  bool
}

func (r *rows) take(_ context.Context, _, owner string, _ time.Duration) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.deny || r.owner != "" && r.owner != owner {
		return false, nil
	}
	r.owner = owner
	return true, nil
}

func (r *rows) drop(_ context.Context, _, owner string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.owner == owner {
		r.owner = ""
	}
	return nil
}

func TestLeases(t *testing.T) {
	table := &rows{owner: "another machine's"}
	r := newRig(t, Config{Leases: Leases{Take: table.take, Drop: table.drop}})
	soon, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := r.d.Get(soon, key, time.Minute, r.fetch); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("fetched while another machine does: %v", err)
	}
	table.drop(t.Context(), "", "another machine's")
	r.get(time.Minute)
	table.mu.Lock()
	defer table.mu.Unlock()
	if looks, _ := r.counts(); looks != 1 || table.owner != "" {
		t.Errorf("%d looks; the lease is %q's", looks, table.owner)
	}
}

// A machine that was out cold, and has lost its lease, keeps nothing.
func TestLostLease(t *testing.T) {
	table := &rows{}
	r := newRig(t, Config{Leases: Leases{Take: table.take, Drop: table.drop}})
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.d.prolong(ctx, cancel, "x", "us", 400*time.Millisecond)
	}()
	table.mu.Lock()
	table.deny = true
	table.mu.Unlock()
	select {
	case <-done:
	case <-time.After(leaseFor):
		t.Fatal("the work goes on without a lease")
	}
	if !errors.Is(context.Cause(ctx), errLost) {
		t.Errorf("%v", context.Cause(ctx))
	}
}
