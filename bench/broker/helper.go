package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/daypass-dev/daypass/internal/measure"
)

// helper measures what git waits for: git-credential-daypass with the credential
// in the wallet, and without it, where it starts "daypass credential", which asks
// the service. Both are measured by turns.
func (b *bench) helper(s *measure.Stage) {
	st := newSite(b, s, 10)
	where := st.sqlite("store")
	st.connect(where, time.Now().Add(8*time.Hour))
	v := st.serve("serve", where)
	v.warm()
	wallets, err := os.MkdirTemp("/dev/shm", "daypass-bench-")
	if err != nil {
		wallets = s.TempDir()
	}
	s.Cleanup(func() { os.RemoveAll(wallets) })
	ask := fmt.Sprintf("protocol=http\nhost=%s\npath=user0/repo0.git\n\n", st.host())
	n := 0
	get := func(wallet string) (float64, string) {
		cmd := exec.Command(filepath.Join(b.Bin, "git-credential-daypass"), "get")
		cmd.Env = []string{
			"PATH=" + b.Bin + ":" + os.Getenv("PATH"), "HOME=" + st.dir, "DAYPASS_RUNTIME_DIR=" + wallet, "LANG=C.UTF-8",
			"JUPYTERHUB_API_TOKEN=" + st.tokens[0], "DAYPASS_URL=http://" + v.Addr + "/", "JUPYTERHUB_API_URL=http://" + v.Addr + "/hub/api",
			"GITHUB_URL=" + st.world.URL,
		}
		cmd.Stdin = strings.NewReader(ask)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		began := time.Now()
		err := cmd.Run()
		took := time.Since(began)
		if err != nil || !strings.Contains(out.String(), "password=ghu_") {
			s.Fatalf("the helper gave nothing: %v\n%s%s\n%s", err, out.String(), errs.String(), v.Said())
		}
		return float64(took) / float64(time.Millisecond), out.String()
	}
	full := filepath.Join(wallets, "full")
	s.Check(os.Mkdir(full, 0o700))
	get(full)
	b.Best(measure.Figure{What: "a helper's miss through the service, more than a hit, wall", Bound: 8, Unit: "ms"}, func() float64 {
		var hits, misses, more []float64
		for range 100 {
			n++
			empty := filepath.Join(wallets, fmt.Sprint(n))
			s.Check(os.Mkdir(empty, 0o700))
			hit, one := get(full)
			miss, other := get(empty)
			if one != other {
				s.Fatal("hit and miss differ")
			}
			os.RemoveAll(empty)
			hits, misses, more = append(hits, hit), append(misses, miss), append(more, miss-hit)
		}
		b.Say("hit %.2f ms, miss %.2f ms, medians of 100; load %s", median(hits), median(misses), measure.Load())
		return median(more)
	})
}

func median(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}

// readiness measures from the start of the process to the first 200 at /readyz,
// with the people of a hub that is down.
func (b *bench) readiness(s *measure.Stage) {
	st := newSite(b, s, people)
	where := st.sqlite("store")
	st.connect(where, time.Now().Add(8*time.Hour))
	st.hub.Close()
	v := st.configured("serve", where)
	b.Best(measure.Figure{What: "exec to 200 at /readyz, hub down, best of five", Bound: 150, Unit: "ms"}, func() float64 {
		var all []float64
		for range 5 {
			began := time.Now()
			v.Launch()
			for !v.Ready() {
				if time.Since(began) > 10*time.Second {
					s.Fatalf("the service is not ready:\n%s", v.Said())
				}
				time.Sleep(200 * time.Microsecond)
			}
			all = append(all, float64(time.Since(began))/float64(time.Millisecond))
			v.End()
		}
		b.Say("ready after %.1f ms; load %s", all, measure.Load())
		return slices.Min(all)
	})
}
