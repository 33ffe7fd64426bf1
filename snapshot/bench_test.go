package snapshot_test

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/snapshot"
)

// BenchmarkBesideGit reports how long a look and a fetch take, as parts of what git
// ls-remote and git clone --depth 1 take in the same rounds.
func BenchmarkBesideGit(b *testing.B) {
	up := gittest.New(b)
	up.Course("main", 900)
	url := up.Serve(gittest.Options{Filter: true}).Of(up)
	g := source(b)
	var look, lsRemote, bring, clone, bare time.Duration
	timed := func(d *time.Duration, f func()) {
		start := time.Now()
		f()
		*d += time.Since(start)
	}
	git := func(args ...string) {
		cmd := exec.Command("git", args...)
		cmd.Env = gittest.Environ()
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
	}
	rounds := 0
	for i := 0; b.Loop(); i++ {
		rounds++
		var tip snapshot.Tip
		timed(&lsRemote, func() { git("ls-remote", url, "HEAD") })
		timed(&look, func() { tip, _ = g.Look(b.Context(), url, "") })
		timed(&clone, func() { git("clone", "-q", "--depth=1", url, filepath.Join(b.TempDir(), strconv.Itoa(i))) })
		timed(&bare, func() { git("clone", "-q", "--bare", "--depth=1", url, filepath.Join(b.TempDir(), strconv.Itoa(i))) })
		timed(&bring, func() {
			if _, err := g.Fetch(b.Context(), ours(b, g, "sha1"), snapshot.Ask{URL: url, Tip: tip, Depth: 1}); err != nil {
				b.Fatal(err)
			}
		})
	}
	b.ReportMetric(float64(look)/float64(lsRemote), "look/ls-remote")
	b.ReportMetric(float64(bring)/float64(clone), "fetch/clone")
	b.ReportMetric(float64(bring)/float64(bare), "fetch/bare-clone")
	b.ReportMetric(float64(lsRemote.Microseconds())/1000/float64(rounds), "ms-ls-remote")
	b.ReportMetric(float64(bring.Microseconds())/1000/float64(rounds), "ms-fetch")
	b.ReportMetric(float64(clone.Microseconds())/1000/float64(rounds), "ms-clone")
}

// BenchmarkTree lists 10,000 files.
func BenchmarkTree(b *testing.B) {
	up := gittest.New(b)
	up.Course("main", 10_000)
	g := source(b)
	r := ours(b, g, "sha1").With(filepath.Join(up.Dir, "objects"))
	tree := up.Git("rev-parse", "main^{tree}")
	for b.Loop() {
		o, err := r.Objects(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		files, err := o.Files(plumbing.OID(tree))
		if err != nil || len(files) != 10_000 {
			b.Fatal(len(files), err)
		}
		o.Close()
	}
}
