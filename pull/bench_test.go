package pull

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/internal/gittest"
)

// TestFigures prints figures beside raw git's, in one run. DAYPASS_FIGURES=1.
func TestFigures(t *testing.T) {
	if os.Getenv("DAYPASS_FIGURES") == "" {
		t.Skip("set DAYPASS_FIGURES to measure")
	}
	d := newDesk(t)
	d.src.Course("main", 900)
	server := d.src.Serve(gittest.Options{})
	d.p.Git.Protocols = "http:https:file"
	ask := d.ask()
	ask.URL = server.Of(d.src)
	const n = 9
	if os.Getenv("DAYPASS_FIGURES") == "noop" {
		ask.Folder = filepath.Join(d.home, "noop")
		if _, err := d.p.Pull(t.Context(), ask); err != nil {
			t.Fatal(err)
		}
		var all, alone []float64
		for range 60 {
			all = append(all, timed(t, func() error { _, err := d.p.Pull(t.Context(), ask); return err }))
			alone = append(alone, timed(t, func() error { _, err := d.p.source().Look(t.Context(), ask.URL, ""); return err }))
		}
		t.Logf("no-op %.1f ms, the look alone %.1f ms", median(all), median(alone))
		return
	}
	if os.Getenv("DAYPASS_FIGURES") == "phases" {
		var begun time.Time
		ask.Events = func(e Event) {
			t.Logf("%6.1f ms %s %s", float64(time.Since(begun).Microseconds())/1000, e.Phase, e.Text)
		}
		for i := range 3 {
			begun = time.Now()
			ask.Folder = filepath.Join(d.home, "phase"+strconv.Itoa(i))
			if _, err := d.p.Pull(t.Context(), ask); err != nil {
				t.Fatal(err)
			}
			d.src.Commit("main", "change", gittest.Files{"changed.txt": strconv.Itoa(i)})
			d.p.step = func(what string) error {
				t.Logf("%6.1f ms before %s", float64(time.Since(begun).Microseconds())/1000, what)
				return nil
			}
			if err := os.WriteFile(first(t, ask.Folder), []byte("edited\n"), 0o666); err != nil {
				t.Fatal(err)
			}
			begun = time.Now()
			if _, err := d.p.Pull(t.Context(), ask); err != nil {
				t.Fatal(err)
			}
			t.Logf("%6.1f ms", float64(time.Since(begun).Microseconds())/1000)
			d.p.step = nil
		}
		return
	}
	var ours, theirs, noop, look []float64
	for i := range n {
		ask.Folder = filepath.Join(d.home, "ours"+strconv.Itoa(i))
		ours = append(ours, timed(t, func() error { _, err := d.p.Pull(t.Context(), ask); return err }))
		theirs = append(theirs, timed(t, func() error {
			return git(d.home, "clone", "--depth", "1", ask.URL, filepath.Join(d.home, "theirs"+strconv.Itoa(i)))
		}))
		noop = append(noop, timed(t, func() error { _, err := d.p.Pull(t.Context(), ask); return err }))
		look = append(look, timed(t, func() error { return git(d.home, "ls-remote", ask.URL, "HEAD") }))
	}
	t.Logf("fresh %.1f ms, git clone %.1f ms: %.2f", median(ours), median(theirs), median(ours)/median(theirs))
	t.Logf("no-op %.1f ms, git ls-remote %.1f ms: %.2f", median(noop), median(look), median(noop)/median(look))
	var up, raw []float64
	for i := range n {
		mine, plain := filepath.Join(d.home, "ours"+strconv.Itoa(i)), filepath.Join(d.home, "theirs"+strconv.Itoa(i))
		d.src.Commit("main", "change", gittest.Files{"changed.txt": strconv.Itoa(i)})
		for _, dir := range []string{mine, plain} {
			file := first(t, dir)
			if err := os.WriteFile(file, []byte("edited\n"), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		ask.Folder = mine
		up = append(up, timed(t, func() error { _, err := d.p.Pull(t.Context(), ask); return err }))
		raw = append(raw, timed(t, func() error {
			for _, args := range [][]string{{"fetch"}, {"commit", "-qam", "mine"}, {"merge", "-q", "-Xours", "origin/main"}} {
				if err := git(plain, args...); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	t.Logf("one change each side %.1f ms, fetch, commit, merge %.1f ms: %.2f", median(up), median(raw), median(up)/median(raw))
}

func first(t *testing.T, dir string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "[a-z]*", "*"))
	if err != nil || len(found) == 0 {
		t.Fatal("no files", err)
	}
	slices.Sort(found)
	return found[0]
}

func git(dir string, args ...string) error {
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = dir, gittest.Environ()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("git %q: %w: %s", args, err, out)
	}
	return nil
}

func timed(t *testing.T, f func() error) float64 {
	t.Helper()
	start := time.Now()
	if err := f(); err != nil {
		t.Fatal(err)
	}
	return float64(time.Since(start).Microseconds()) / 1000
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}
