package drive_test

import (
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/provider/drive"
	"github.com/daypass-dev/daypass/provider/google"
)

// reads has readers list a course and read all of its files, four at once, as a pull
// does, beginning within a minute. It returns how many files were not had.
func reads(t *testing.T, readers []*drive.Drive) (lost int64) {
	t.Helper()
	var failed atomic.Int64
	var all sync.WaitGroup
	for n, d := range readers {
		all.Go(func() {
			time.Sleep(mathrand.N(time.Duration(n+1) * time.Minute / time.Duration(len(readers))))
			l, err := d.List(t.Context(), source(rootID))
			if err != nil || len(l.Items) == 0 {
				t.Errorf("reader %d lists %d files: %v", n, len(l.Items), err)
				return
			}
			left := make(chan daypass.Item, len(l.Items))
			for _, it := range l.Items {
				left <- it
			}
			close(left)
			var crew sync.WaitGroup
			for range 4 {
				crew.Go(func() {
					for it := range left {
						rc, err := d.Open(t.Context(), source(rootID), it, 0)
						if err != nil {
							failed.Add(1)
							continue
						}
						rc.Close()
					}
				})
			}
			crew.Wait()
		})
	}
	all.Wait()
	return failed.Load()
}

// refusals counts what Drive found too much.
func refusals(d *fake.Drive) (n int) {
	for _, r := range d.Requests() {
		if r.Status == 403 || r.Status == 429 {
			n++
		}
	}
	return n
}

// TestClassAlone: fifty who have the account's key, and no service, begin within a
// minute to read 1,600 files of 10 folders each. They know nothing of each other, and
// Drive never says that it is too much.
func TestClassAlone(t *testing.T) {
	files := 1600
	if testing.Short() {
		files = 160
	}
	synctest.Test(t, func(t *testing.T) {
		seed, _ := seedOf(course(10, files))
		b := newBench(t, seed, fake.DriveSwitches{}, nil)
		var class []*drive.Drive
		for range 50 {
			class = append(class, newReader(t, b, func(c *drive.Config) { c.Pace = nil }))
		}
		began := time.Now()
		lost, refused := reads(t, class), refusals(b.Drive)
		if lost > 0 || refused > 0 {
			t.Errorf("%d files were not had, %d requests refused", lost, refused)
		}
		// 50 times 200 units for each file cannot be had faster than by 325,000 a minute.
		least := time.Duration(50*200*files/drive.UserUnits) * time.Minute
		if took := time.Since(began); took > least*6/5+3*time.Minute {
			t.Errorf("it took %v, and %v is what the quota asks for", took, least)
		} else {
			t.Logf("fifty times %d files: %v, %d units", files, took, b.Units())
		}
	})
}

// TestOverbooked: five who each take the whole quota for theirs are refused at times,
// and have each file in the end.
func TestOverbooked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seed, _ := seedOf(course(10, 800))
		b := newBench(t, seed, fake.DriveSwitches{}, nil)
		var class []*drive.Drive
		for range 5 {
			class = append(class, newReader(t, b, func(c *drive.Config) { c.Pace = drive.NewPace(0, time.Now) }))
		}
		began := time.Now()
		if lost := reads(t, class); lost > 0 {
			t.Errorf("%d files were not had", lost)
		}
		refused, took := refusals(b.Drive), time.Since(began)
		if refused == 0 || refused > 400 || took > 30*time.Minute {
			t.Errorf("%d requests refused, %v", refused, took)
		}
		t.Logf("%d of %d requests refused, %v", refused, len(b.Requests()), took)
	})
}

// TestProject: eight courses have an account each, in one project, whose quota is less
// than theirs together.
func TestProject(t *testing.T) {
	seed, _ := seedOf(course(10, 1600))
	files := map[string][]byte{}
	for i := range 8 {
		email := fmt.Sprintf("course%d@campus-hub.iam.gserviceaccount.com", i)
		file, public, err := fake.NewKeyFile(rand.Reader, email, "k")
		if err != nil {
			t.Fatal(err)
		}
		files[email] = file
		seed.Accounts = append(seed.Accounts, fake.ServiceAccount{Email: email, Keys: map[string]string{"k": public}})
		seed.Files[0].Shared = append(seed.Files[0].Shared, email)
	}
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, seed, fake.DriveSwitches{}, nil)
		project := drive.NewProject(0, time.Now)
		var courses []*drive.Drive
		for _, file := range files {
			tokens, err := google.Key(google.Config{Base: fake.Transport(b.Drive)}, file)
			if err != nil {
				t.Fatal(err)
			}
			d, err := drive.New(drive.Config{Token: tokens.Token, Renew: tokens.Renew, Email: tokens.Email, Base: fake.Transport(b.Drive), Pace: project.Account(0)})
			if err != nil {
				t.Fatal(err)
			}
			courses = append(courses, d)
		}
		began := time.Now()
		lost, refused := reads(t, courses), refusals(b.Drive)
		if took := time.Since(began); lost > 0 || refused > 0 || took > 6*time.Minute {
			t.Errorf("%d files were not had, %d requests refused, %v", lost, refused, took)
		}
	})
}

// TestLookBesideFiles: where files have spent what they may, a look does not wait, and
// neither does it behind those files that do.
func TestLookBesideFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := drive.NewPace(0, time.Now)
		var all sync.WaitGroup
		for range 2000 {
			all.Go(func() {
				if err := p.Wait(t.Context(), 200); err != nil {
					t.Error(err)
				}
			})
		}
		time.Sleep(time.Second)
		began := time.Now()
		for _, units := range []int{5, 5, 100, 5} {
			if err := p.Wait(t.Context(), units); err != nil || time.Since(began) > 0 {
				t.Errorf("%d units: %v after %v", units, err, time.Since(began))
			}
		}
		all.Wait()
		if took := time.Since(began); took < 50*time.Second || took > 2*time.Minute {
			t.Errorf("2,000 files took %v", took)
		}
	})
}

// TestRefusedInProject: an account that was refused goes on at half of its own quota, and
// is not kept from a project's by those who spend that.
func TestRefusedInProject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		project := drive.NewProject(100_000, time.Now)
		p, busy := project.Account(40_000), project.Account(60_000)
		if err := busy.Wait(t.Context(), 60_000); err != nil {
			t.Fatal(err)
		}
		p.Slow(time.Second)
		began := time.Now()
		if err := p.Wait(t.Context(), 20_000); err != nil || time.Since(began) > 2*time.Second {
			t.Errorf("half of it: %v after %v", err, time.Since(began))
		}
		if err := p.Wait(t.Context(), 10_000); err != nil || time.Since(began) < time.Minute {
			t.Errorf("more than half: %v after %v", err, time.Since(began))
		}
		time.Sleep(time.Hour)
		began = time.Now()
		if err := p.Wait(t.Context(), 40_000); err != nil || time.Since(began) > 0 {
			t.Errorf("all of it an hour later: %v after %v", err, time.Since(began))
		}
	})
}

func TestShare(t *testing.T) {
	for s, want := range map[drive.Share]int{
		{}: 6500, {By: 1}: 325_000, {By: 1, Accounts: 3}: 325_000, {By: 1, Accounts: 4}: 250_000, {By: 50, Accounts: 10}: 2000, {By: 1 << 30}: 1,
	} {
		if got := s.Units(); got != want {
			t.Errorf("%+v: %d units a minute, want %d", s, got, want)
		}
	}
}

// TestBook: processes of one user on one machine spend together what one may, though
// each only sees what the others wrote down.
func TestBook(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pace")
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var at []time.Time
		var all sync.WaitGroup
		for range 4 {
			p := drive.NewPace(20_000, time.Now)
			p.Keep(dir, account)
			all.Go(func() {
				for range 60 {
					if err := p.Wait(t.Context(), 200); err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					at = append(at, time.Now())
					mu.Unlock()
				}
			})
		}
		alone := drive.NewPace(20_000, time.Now)
		alone.Keep(dir, other) // another account is another quota
		began := time.Now()
		if err := alone.Wait(t.Context(), 20_000); err != nil || time.Since(began) > time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		all.Wait()
		for n := range at {
			if m := n + 100; m < len(at) && at[m].Sub(at[n]) < time.Minute {
				t.Fatalf("101 calls of 200 units of 20,000 within %v", at[m].Sub(at[n]))
			}
		}
		if took := at[len(at)-1].Sub(began); took > 4*time.Minute {
			t.Errorf("240 calls took %v", took)
		}
		// One is asked to slow down, and all do.
		p, q := drive.NewPace(20_000, time.Now), drive.NewPace(20_000, time.Now)
		p.Keep(dir, "slow@example.org")
		q.Keep(dir, "slow@example.org")
		p.Slow(30 * time.Second)
		began = time.Now()
		if err := q.Wait(t.Context(), 5); err != nil || time.Since(began) < 30*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// TestBookOfAnother: what stands in a book makes one wait for a minute or two at most,
// what no process of ours writes does not, and each keeps its own pace whatever it says.
func TestBookOfAnother(t *testing.T) {
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.WriteFile(elsewhere, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		text string
		make func(path string) error
		most time.Duration
	}{
		"nothing":       {},
		"no JSON":       {text: `{"spent":[{`},
		"the future":    {text: `{"spent":[{"at":"2999-01-01T00:00:00Z","units":20000}]}`},
		"below nothing": {text: `{"spent":[{"at":"1999-12-31T23:59:59Z","units":-9000000}]}`},
		"too much":      {text: `{"spent":[{"at":"1999-12-31T23:59:59Z","units":900000000}]}`},
		"for ever":      {text: `{"until":"2999-01-01T00:00:00Z"}`},
		"a while":       {text: `{"until":"2000-01-01T00:01:30Z"}`, most: 2 * time.Minute},
		"just now":      {text: `{"spent":[{"at":"1999-12-31T23:59:59Z","units":20000}]}`, most: 2 * time.Minute},
		"a link":        {make: func(path string) error { return os.Symlink(elsewhere, path) }},
		"a pipe":        {make: func(path string) error { return syscall.Mkfifo(path, 0o600) }},
		"a folder":      {make: func(path string) error { return os.Mkdir(path, 0o700) }},
		"others' too":   {make: func(path string) error { return os.Chmod(filepath.Dir(path), 0o777) }},
	} {
		dir := filepath.Join(t.TempDir(), "pace")
		synctest.Test(t, func(t *testing.T) { // it is the year 2000
			first := drive.NewPace(20_000, time.Now)
			first.Keep(dir, account)
			if err := first.Wait(t.Context(), 5); err != nil {
				t.Fatal(err)
			}
			books, err := filepath.Glob(dir + "/*")
			if err != nil || len(books) != 1 {
				t.Fatal(books, err)
			}
			switch {
			case c.make != nil:
				if err := os.Remove(books[0]); err != nil {
					t.Fatal(err)
				}
				if err := c.make(books[0]); err != nil {
					t.Fatal(err)
				}
			default:
				if err := os.WriteFile(books[0], []byte(c.text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			p := drive.NewPace(20_000, time.Now)
			p.Keep(dir, account)
			began := time.Now()
			if err := p.Wait(t.Context(), 20_000); err != nil || time.Since(began) > c.most {
				t.Errorf("%s: %v after %v", what, err, time.Since(began))
			}
			if err := p.Wait(t.Context(), 20_000); err != nil || time.Since(began) < time.Minute {
				t.Errorf("%s: its own pace is not kept: %v after %v", what, err, time.Since(began))
			}
		})
	}
	if text, err := os.ReadFile(elsewhere); err != nil || string(text) != "mine" {
		t.Errorf("%q, %v", text, err)
	}
}
