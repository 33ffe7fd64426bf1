package pull

import (
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/internal/gittest"
)

// A wayAway is what a user does with git in a folder between two pulls. Upstream
// changed line 3 of a and of c from "two" on each time, and adds n2, then n3.
type wayAway struct {
	do    func(d *desk)
	force bool              // the source's history is written anew for the last pull
	want  map[string]string // beside what the source has
	own   bool              // the user has a commit of their own
}

func waysAway() map[string]wayAway {
	pull := func(how ...string) func(d *desk) {
		return func(d *desk) {
			d.git(append([]string{"-c", "user.name=u", "-c", "user.email=u@u.example", "pull", "-q"}, how...)...)
		}
	}
	commit := func(d *desk) {
		d.write("mine", "m")
		d.git("add", "mine")
		d.git("commit", "-qm", "mine")
	}
	three := map[string]string{"a": long("3 three"), "b": "b", "c": long("3 three"), "n2": "n", "n3": "n"}
	and := func(more map[string]string) map[string]string {
		out := map[string]string{}
		for _, m := range []map[string]string{three, more} {
			for k, v := range m {
				if out[k] = v; v == "" {
					delete(out, k)
				}
			}
		}
		return out
	}
	return map[string]wayAway{
		"pull, fast-forward": {do: pull("--ff-only"), want: three},
		"pull, an edit before and after": {
			do: func(d *desk) {
				d.write("c", long("3 two", "9 mine"))
				d.git("stash", "-q")
				pull("--ff-only")(d)
				d.git("stash", "pop", "-q")
			},
			want: and(map[string]string{"c": long("3 three", "9 mine")}),
		},
		"pull, merge":         {do: func(d *desk) { commit(d); pull("--no-rebase", "--no-edit")(d) }, want: and(map[string]string{"mine": "m"}), own: true},
		"pull, rebase":        {do: func(d *desk) { commit(d); pull("--rebase")(d) }, want: and(map[string]string{"mine": "m"}), own: true},
		"pull, a forced push": {do: pull("--ff-only"), force: true, want: three},
		"pull, merge, a forced push": {
			do: func(d *desk) { commit(d); pull("--no-rebase", "--no-edit")(d) }, force: true, want: and(map[string]string{"mine": "m"}), own: true,
		},
		"reset --hard":          {do: func(d *desk) { d.git("reset", "-q", "--hard", "HEAD~1") }, want: three},
		"reset --hard, an edit": {do: func(d *desk) { d.git("reset", "-q", "--hard", "HEAD~1"); d.write("c", long("9 mine")) }, want: and(map[string]string{"c": long("3 three", "9 mine")})},
		"reset --mixed":         {do: func(d *desk) { d.git("reset", "-q", "HEAD~1") }, want: three},
		"reset --mixed, an edit": {
			do: func(d *desk) { d.git("reset", "-q", "HEAD~1"); d.write("c", long("3 two", "9 mine")) }, want: and(map[string]string{"c": long("3 three", "9 mine")}),
		},
		"reset --soft": {do: func(d *desk) { d.git("reset", "-q", "--soft", "HEAD~1") }, want: three},
		"detached":     {do: func(d *desk) { d.git("checkout", "-q", "HEAD~1") }, want: three},
		"own branch": {
			do: func(d *desk) {
				d.git("checkout", "-q", "-b", "own", "HEAD~1")
				d.write("c", long("9 mine"))
				d.git("commit", "-qam", "mine")
			},
			want: and(map[string]string{"c": long("3 three", "9 mine")}), own: true,
		},
		"own branch, a forced push": {
			do: func(d *desk) {
				d.git("checkout", "-q", "-b", "own", "HEAD~1")
				d.write("c", long("9 mine"))
				d.git("commit", "-qam", "mine")
			},
			force: true, want: and(map[string]string{"c": long("3 three", "9 mine")}), own: true,
		},
		"stash":                {do: func(d *desk) { d.write("c", long("9 mine")); d.git("stash", "-q") }, want: three},
		"amend":                {do: amend, want: and(map[string]string{"c": long("3 three", "9 mine")}), own: true},
		"amend, a forced push": {do: amend, force: true, want: and(map[string]string{"c": long("3 three", "9 mine")}), own: true},
		"revert": {
			do:   func(d *desk) { d.git("revert", "--no-edit", "HEAD") },
			want: and(map[string]string{"a": long(), "c": long(), "n2": ""}), own: true,
		},
		"a commit":                {do: commit, want: and(map[string]string{"mine": "m"}), own: true},
		"a commit, a forced push": {do: commit, force: true, want: and(map[string]string{"mine": "m"}), own: true},
		"rm, committed":           {do: func(d *desk) { d.git("rm", "-q", "b", "c"); d.git("commit", "-qm", "mine") }, want: and(map[string]string{"b": ""}), own: true},
		"rm, not committed":       {do: func(d *desk) { d.git("rm", "-q", "b", "c") }, want: three},
	}
}

// amend makes what came last a commit of the user's.
func amend(d *desk) {
	d.write("c", long("3 two", "9 mine"))
	d.git("commit", "-q", "--amend", "-am", "mine")
}

// TestAmendedBefore: the user amended the source's last commit before our first pull, and
// the source amends it, too. It is what both began with, whether git knows when that was
// or has forgotten.
func TestAmendedBefore(t *testing.T) {
	for _, depth := range []string{"1", "9"} {
		for _, log := range []string{"kept", "gone"} {
			if depth == "9" && log == "gone" {
				continue // nothing tells the commit before it from what was delivered
			}
			t.Run("depth "+depth+", the log is "+log, func(t *testing.T) {
				t.Parallel()
				d := newDesk(t)
				d.src.Commit("main", "one", gittest.Files{"a": "a"})
				d.src.Commit("main", "two", gittest.Files{"c": long("3 two"), "n2": "n"})
				d.clone("--depth", depth)
				amend(d)
				if log == "gone" {
					d.git("reflog", "expire", "--expire=all", "--all")
				}
				d.src.Amend("main", "two", gittest.Files{"c": long("3 three"), "n2": gittest.Deleted, "n3": "n"})
				d.pull()
				d.want(map[string]string{"a": "a", "c": long("3 three", "9 mine"), "n3": "n"})
				d.sound()
			})
		}
	}
}

// TestWentAway: what a user's own git did between two pulls is not taken for edits.
func TestWentAway(t *testing.T) {
	for how, begin := range map[string]func(d *desk){
		"ours":          func(d *desk) { d.pull() },
		"shallow clone": func(d *desk) { d.clone("--depth", "1"); d.pull() },
		"whole clone":   func(d *desk) { d.clone(); d.pull() },
	} {
		for name, w := range waysAway() {
			t.Run(how+"/"+name, func(t *testing.T) {
				t.Parallel()
				goAway(t, begin, name, w)
			})
		}
	}
}

func goAway(t *testing.T, begin func(d *desk), name string, w wayAway) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a": long(), "b": "b", "c": long()})
	begin(d)
	d.src.Commit("main", "two", gittest.Files{"a": long("3 two"), "c": long("3 two"), "n2": "n"})
	if !strings.HasPrefix(name, "pull") {
		d.pull()
		w.do(d)
		if r := d.pull(); !strings.HasPrefix(name, "re") && !strings.HasPrefix(name, "detached") && !strings.HasPrefix(name, "rm") && !w.own && !r.Same {
			t.Errorf("with nothing new: %+v", r)
		}
		if strings.HasPrefix(name, "rm") {
			if _, there := d.files()["b"]; there == w.own {
				t.Errorf("with nothing new: %q", d.files())
			}
		}
	} else {
		w.do(d)
	}
	last := gittest.Files{"a": long("3 three"), "c": long("3 three"), "n3": "n"}
	if w.force {
		last["b"] = "b"
		d.src.Amend("main", "three", last)
	} else {
		d.src.Commit("main", "three", last)
	}
	r := d.pull()
	d.want(w.want)
	for _, c := range r.Changes {
		if c.What == Kept && name != "revert" || c.What == Aside {
			t.Errorf("%+v", c)
		}
	}
	d.sound()
	for range 2 {
		if r := d.pull(); !r.Same {
			t.Errorf("another pull did something: %+v", r)
		}
	}
	d.want(w.want)
	tip := strings.TrimSpace(d.src.Git("rev-parse", "main"))
	if got := d.git("rev-parse", "HEAD"); (got == tip) == w.own {
		t.Errorf("HEAD is at %s, the source at %s", got, tip)
	}
	if _, err := d.try("merge-base", "--is-ancestor", tip, "HEAD"); err != nil {
		t.Error("HEAD does not hold what came")
	}
}
