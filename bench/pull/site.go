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

	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/internal/measure"
)

// A site is a course, a server of it, and somebody's home.
type site struct {
	s       *measure.Stage
	b       *bench
	course  *gittest.Repo
	url     string
	home    string
	folders int
	version int
}

func newSite(b *bench, s *measure.Stage) *site {
	st := &site{s: s, b: b, course: gittest.New(s), home: s.TempDir()}
	st.course.Course("main", 900)
	st.url = st.course.Serve(gittest.Options{}).Of(st.course)
	return st
}

// folder is the name of one that is not there yet.
func (st *site) folder() string {
	st.folders++
	return filepath.Join(st.home, fmt.Sprintf("folder%d", st.folders))
}

// A cost is what a run took: by the clock, and of the processors, with all children.
type cost struct{ wall, cpu time.Duration }

func (c cost) plus(d cost) cost { return cost{c.wall + d.wall, c.cpu + d.cpu} }

// run runs a program to its end and says what that took.
func (st *site) run(dir string, args ...string) cost {
	cmd := st.command(dir, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	err := cmd.Run()
	took := time.Since(began)
	if err != nil {
		st.s.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out.String())
	}
	return cost{took, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
}

func (st *site) command(dir string, args ...string) *exec.Cmd {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = dir
	if dir == "" {
		cmd.Dir = st.home
	}
	cmd.Env = append(gittest.Environ(), "HOME="+st.home, "XDG_RUNTIME_DIR="+st.home, "DAYPASS_PLAIN=1")
	return cmd
}

// A way is one program's way to do something: prepare is not counted.
type way struct {
	prepare func()
	run     func() cost
}

// turns runs ways by turns, each going first as often, and returns what each took in
// every round.
func turns(rounds int, ways ...way) [][]cost {
	out := make([][]cost, len(ways))
	for i := range rounds + 1 {
		for j := range ways {
			k := (i + j) % len(ways)
			if ways[k].prepare != nil {
				ways[k].prepare()
			}
			if took := ways[k].run(); i > 0 { // all are warm
				out[k] = append(out[k], took)
			}
		}
	}
	return out
}

// ratio compares two ways by their medians of ratios within each round, and tells of it.
func (b *bench) ratio(what string, rounds int, peer string, other, ours way) float64 {
	t := turns(rounds, other, ours)
	var wall, cpu []float64
	for i, o := range t[0] {
		wall = append(wall, float64(t[1][i].wall)/float64(o.wall))
		cpu = append(cpu, float64(t[1][i].cpu)/float64(o.cpu))
	}
	took := func(list []cost) float64 {
		var all []time.Duration
		for _, c := range list {
			all = append(all, c.wall)
		}
		return ms(median(all))
	}
	b.Say("%s: %s %.1f ms, daypass pull %.1f ms; %.3f times, %.2f times the processors' time; load %s", what, peer, took(t[0]), took(t[1]), median(wall), median(cpu), measure.Load())
	return median(wall)
}

func median[T float64 | time.Duration](list []T) T {
	list = slices.Clone(list)
	slices.Sort(list)
	return list[len(list)/2]
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// daypass is our program's command line.
func (st *site) daypass(args ...string) []string {
	return append([]string{filepath.Join(st.b.Bin, "daypass")}, args...)
}

// puller is nbgitpuller's, and whether it is there.
func (st *site) puller(args ...string) ([]string, bool) {
	program := os.Getenv("DAYPASS_TEST_NBGITPULLER")
	if program == "" {
		st.b.Say("nbgitpuller is not there: DAYPASS_TEST_NBGITPULLER is not set")
	}
	return append([]string{program}, args...), program != ""
}
