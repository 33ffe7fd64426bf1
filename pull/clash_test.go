package pull

import (
	"strings"
	"sync"
	"testing"

	"github.com/daypass-dev/daypass/internal/gittest"
)

// TestFreshFold pulls afresh to a disk that knows no case, and one way to write é.
func TestFreshFold(t *testing.T) {
	d := newDesk(t)
	d.p.probe = func() traits { return traits{Fold: true} }
	d.src.Commit("main", "one", gittest.Files{"A.txt": "1", "a.txt": "2", "e\u0301": "3", "\u00e9": "4", "D": "file", "d/x": "5"})
	r := d.pull()
	d.want(map[string]string{"A.txt": "1", "e\u0301": "3", "d/x": "5"})
	if n := r.number(LeftOut); n != 3 || r.number(Came) != 3 || r.Sentence() != "lab-3 is here: 3 files." {
		t.Errorf("%+v", r)
	}
	d.status()
	if r := d.pull(); !r.Same {
		t.Errorf("%+v", r)
	}
	d.src.Commit("main", "two", gittest.Files{"a.txt": "22", "A.txt": "11", "b": "b"})
	d.pull()
	d.want(map[string]string{"A.txt": "11", "e\u0301": "3", "d/x": "5", "b": "b"})
	if r := d.pull(); !r.Same {
		t.Errorf("%+v", r)
	}
}

// TestContentMoving: what the user saves while a pull runs is merged, too.
func TestContentMoving(t *testing.T) {
	for _, at := range []string{"backup", "journal", "put a", "delivered", "state"} {
		d := newShared(t)
		a := d.up.Add("a", long())
		b := d.up.Add("b", "b")
		d.pull()
		d.up.Edit(a, long("9 theirs"))
		d.up.Move(b, "c")
		var once sync.Once
		d.p.step = func(what string) error {
			if what == at {
				once.Do(func() { d.write("a", strings.Replace(d.files()["a"], "1\n", "1 mine\n", 1)); d.write("own", "own") })
			}
			return nil
		}
		d.pull()
		d.p.step = nil
		d.pull()
		if got := d.files(); got["a"] != long("1 mine", "9 theirs") || got["own"] != "own" || got["c"] != "b" || got["b"] != "" {
			t.Errorf("saved at %q: %q", at, got)
		}
		d.settled()
	}
}
