package pull

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/daypass-dev/daypass/internal/gittest"
)

// A swapper is a process of the user's own that puts a link in a folder's place.
type swapper struct {
	*desk
	place, link string
	outside     string
	before      map[string]string
}

// newSwapper makes a root with sub/lab in it, and an outside that looks just like it.
func newSwapper(t *testing.T, place string, prepare func(d *desk)) *swapper {
	d := newDesk(t)
	root := filepath.Join(d.home, "root")
	d.folder = filepath.Join(root, "sub/lab")
	if err := os.MkdirAll(filepath.Dir(d.folder), 0o777); err != nil {
		t.Fatal(err)
	}
	d.src.Commit("main", "one", gittest.Files{"a": "1\n2\n3\n", "d/b": "b", "gone": "gone"})
	if prepare != nil {
		d.clone()
		prepare(d)
	}
	s := &swapper{desk: d, place: filepath.Join(root, place), link: filepath.Join(root, "link"), outside: filepath.Join(d.home, "outside")}
	if out, err := exec.Command("cp", "-a", filepath.Join(root, "sub"), s.outside).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	to := s.outside
	if place != "sub" {
		to = filepath.Join(s.outside, "lab")
	}
	if err := os.Symlink(to, s.link); err != nil {
		t.Fatal(err)
	}
	s.before = everything(t, s.outside)
	if prepare != nil {
		d.src.Commit("main", "two", gittest.Files{"a": "1\n2\nnew\n", "d/b": "b2", "d/c": "c", "gone": gittest.Deleted})
	}
	return s
}

// everything is what is in a folder, its repositories and empty folders included.
func everything(t *testing.T, folder string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		out[path] = "folder"
		if e.Type().IsRegular() {
			data, err := os.ReadFile(path)
			out[path] = string(data)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (s *swapper) swap() {
	unix.Renameat2(unix.AT_FDCWD, s.place, unix.AT_FDCWD, s.link, unix.RENAME_EXCHANGE)
}

// held holds that nothing was written where the link leads.
func (s *swapper) held(what string) {
	s.t.Helper()
	now := everything(s.t, s.outside)
	var wrong []string
	for path, data := range now {
		if old, ok := s.before[path]; !ok || old != data {
			wrong = append(wrong, path)
		}
	}
	for path := range s.before {
		if _, ok := now[path]; !ok {
			wrong = append(wrong, path)
		}
	}
	if len(wrong) > 0 {
		slices.Sort(wrong)
		s.t.Errorf("%s: changed outside: %d, %s first", what, len(wrong), wrong[0])
	}
}

func rooted() map[string]func(*desk) {
	return map[string]func(*desk){
		"fresh":  nil,
		"clone":  func(d *desk) {},
		"edited": func(d *desk) { d.write("a", "mine\n2\n3\n"); d.write("d/c", "mine") },
		"pulled": func(d *desk) { d.pull() },
		"no git": func(d *desk) { d.pull(); d.remove(".git") },
		"broken": func(d *desk) { d.pull(); d.write(".git/HEAD", "") },
		"behind": func(d *desk) { d.pull(); d.git("commit", "-q", "--allow-empty", "-m", "mine") },
	}
}

// TestSwappedForLink swaps the folder, or one above it, for a link that leads out of
// the root, at each single step of a pull, and back at the next one or never.
func TestSwappedForLink(t *testing.T) {
	for name, prepare := range rooted() {
		for _, place := range []string{"sub", "sub/lab"} {
			if name == "fresh" && place != "sub" {
				continue
			}
			t.Run(name+" "+place, func(t *testing.T) {
				t.Parallel()
				for _, backup := range []bool{false, true} {
					if backup && name != "pulled" {
						continue
					}
					for at, more := 0, true; more; at += 1 + at/2 {
						s := newSwapper(t, place, prepare)
						more = s.swapAt(at, at%2 == 1, backup)
					}
				}
			})
		}
	}
}

// swapAt reports whether the pull came as far as that.
func (s *swapper) swapAt(at int, back, backup bool) bool {
	n := 0
	s.p.step = func(what string) error {
		if n == at || back && n == at+1 {
			s.swap()
		}
		n++
		return nil
	}
	a := s.ask()
	a.Root, a.Backup = filepath.Join(s.home, "root"), backup
	_, err := s.p.Pull(s.t.Context(), a)
	s.held(fmt.Sprintf("step %d, back %v, backup %v", at, back, backup))
	s.coded(err)
	return n > at
}

// TestSwappedAllTheTime has somebody swap while pulls run.
func TestSwappedAllTheTime(t *testing.T) {
	for name, prepare := range rooted() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSwapper(t, "sub", prepare)
			a := s.ask()
			a.Root = filepath.Join(s.home, "root")
			stop := make(chan struct{})
			var group sync.WaitGroup
			group.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						s.swap()
						time.Sleep(50 * time.Microsecond)
					}
				}
			})
			for n := range 6 {
				s.src.Commit("main", "more", gittest.Files{"n": string(rune('a' + n))})
				_, err := s.p.Pull(t.Context(), a)
				s.coded(err)
			}
			close(stop)
			group.Wait()
			s.held("in a loop")
		})
	}
}
