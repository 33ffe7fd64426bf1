package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/daypass-dev/daypass/internal/measure"
)

// memory is the most that any process of a pull had.
func (b *bench) memory(s *measure.Stage) {
	st := newSite(b, s)
	dir := st.folder()
	ours := st.daypass("pull", st.url, dir)
	st.peak("fresh", ours)
	st.changing(dir, nil).prepare()
	st.peak("one change each side", ours)
	st.peak("nothing new", ours)
	other := st.folder()
	git, _ := st.peaks([]string{"git", "clone", "--depth", "1", st.url, st.folder()})
	b.Say("git clone --depth 1 had %.1f MiB", git)
	if args, ok := st.puller(st.url, "main", other); ok {
		own, children := st.peaks(args)
		b.Say("gitpuller, fresh: itself %.1f MiB, the largest of its children %.1f MiB", own, children)
	}
}

func (st *site) peak(what string, args []string) {
	st.b.Best(measure.Figure{What: "memory at most, " + what, Bound: 40, Unit: "MiB"}, func() float64 {
		own, children := st.peaks(args)
		st.b.Say("%s: itself %.1f MiB, the largest of its children %.1f MiB", what, own, children)
		return max(own, children)
	})
}

// peaks runs a program and looks at it and all below it every millisecond.
func (st *site) peaks(args []string) (own, children float64) {
	cmd := st.command("", args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	st.s.Check(cmd.Start())
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case err := <-done:
			if err != nil {
				st.s.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out.String())
			}
			return own, children
		case <-time.After(time.Millisecond):
			own = max(own, highest(cmd.Process.Pid))
			for _, pid := range below(cmd.Process.Pid) {
				children = max(children, highest(pid))
			}
		}
	}
}

// highest is VmHWM of a process in MiB, 0 once it is gone.
func highest(pid int) float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 64)
			return kib / 1024
		}
	}
	return 0
}

// below lists the processes that a process started, and theirs.
func below(pid int) []int {
	parents := map[int][]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		text, _ := os.ReadFile(name)
		var child, parent int
		fmt.Sscan(string(text), &child)
		if _, rest, ok := bytes.Cut(text, []byte(") ")); ok && len(rest) > 2 {
			fmt.Sscan(string(rest[2:]), &parent)
			parents[parent] = append(parents[parent], child)
		}
	}
	all := slices.Clone(parents[pid])
	for i := 0; i < len(all); i++ {
		all = append(all, parents[all[i]]...)
	}
	return all
}
