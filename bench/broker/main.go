// Command broker measures the access service as it is shipped: the process
// "daypassd serve" behind its real HTTP face, with 1,000 people who are connected
// and 8 repositories each, beside stand-ins for GitHub and JupyterHub that live in
// this process, and a generator of load on the same processors:
//
//	go run ./bench/broker [-only SECTIONS] [-runs N] [-check]
//
// An absolute bound counts as the best of up to five runs, and the machine's load
// is printed with each figure. Latencies of an open loop begin when a request was
// due, not when it could be sent, so that a service that stands still is not
// spared the requests that it kept waiting.
//
// DAYPASS_TEST_HUB, DAYPASS_TEST_CHP and DAYPASS_TEST_POSTGRES lead to a JupyterHub
// and to PostgreSQL, as "make bench-broker" sets them.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

func main() {
	only := flag.String("only", "", "sections to run, with commas between them; none: all")
	runs := flag.Int("runs", 5, "the most runs for an absolute bound")
	check := flag.Bool("check", false, "fail where a bound is missed")
	profile := flag.String("profile", "", "a folder for profiles of the service under load")
	flag.Parse()
	b := &bench{out: os.Stdout, runs: *runs, profile: *profile}
	if err := b.all(*only); err != nil {
		fmt.Fprintln(os.Stderr, "bench/broker:", err)
		os.Exit(1)
	}
	if missed := b.table(); missed > 0 && *check {
		fmt.Fprintf(os.Stderr, "bench/broker: %d bounds are missed\n", missed)
		os.Exit(1)
	}
}

// A bench is one run of this program.
type bench struct {
	out     io.Writer
	runs    int
	profile string // "": none are taken
	bin     string // the folder of the programs, as shipped
	figures []figure
}

// A section measures something in a world of its own.
type section struct {
	name string
	run  func(*bench, *stage)
}

func sections() []section {
	return []section{
		{"cached", (*bench).cached}, {"postgres", (*bench).onPostgres}, {"crowd", (*bench).crowd},
		{"helper", (*bench).helper}, {"refresh", (*bench).refreshes}, {"ready", (*bench).readiness},
	}
}

func (b *bench) all(only string) error {
	dir, err := os.MkdirTemp("", "daypass-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b.bin = dir
	if err := b.build(); err != nil {
		return err
	}
	wanted := strings.FieldsFunc(only, func(r rune) bool { return r == ',' })
	for _, w := range wanted {
		if !slices.ContainsFunc(sections(), func(s section) bool { return s.name == w }) {
			return fmt.Errorf("there is no section %q", w)
		}
	}
	for _, s := range sections() {
		if len(wanted) > 0 && !slices.Contains(wanted, s.name) {
			continue
		}
		fmt.Fprintf(b.out, "\n%s (load %s)\n", s.name, load())
		if problem := play(func(st *stage) { s.run(b, st) }); problem != "" {
			fmt.Fprintln(b.out, "  "+problem)
			b.figures = append(b.figures, figure{what: s.name + ": " + strings.SplitN(problem, "\n", 2)[0], bad: true})
		}
	}
	return nil
}

// A figure is what was measured, and what it is held to.
type figure struct {
	what    string
	got     float64
	bound   float64
	atLeast bool   // else at most
	unit    string // of got and bound
	runs    int
	load    string
	bad     bool // it could not be measured, or what must hold did not
}

func (f figure) ok() bool {
	return !f.bad && (f.atLeast && f.got >= f.bound || !f.atLeast && f.got <= f.bound)
}

func (f figure) better(g figure) bool {
	return f.atLeast && f.got > g.got || !f.atLeast && f.got < g.got
}

func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.out, "  "+format+"\n", args...) }

// best measures until the bound is kept, at most b.runs times, and keeps the best.
func (b *bench) best(f figure, measure func() float64) figure {
	for i := range b.runs {
		g := f
		g.load, g.runs = load(), i+1
		g.got = measure()
		if i == 0 || g.better(f) {
			f = g
		}
		f.runs = i + 1
		if f.ok() {
			break
		}
	}
	b.figures = append(b.figures, f)
	return f
}

// note keeps a figure that is measured once.
func (b *bench) note(f figure) {
	if f.load == "" {
		f.load = load()
	}
	f.runs = max(f.runs, 1)
	b.figures = append(b.figures, f)
}

// must keeps what has to hold, as a figure of its own.
func (b *bench) must(what string, holds bool) {
	f := figure{what: what, got: 1, bound: 1, atLeast: true, bad: !holds}
	if !holds {
		f.got = 0
	}
	b.note(f)
}

func (b *bench) table() (missed int) {
	fmt.Fprintf(b.out, "\n%-4s %-66s %12s %12s  %-5s %4s  %s\n", "", "", "measured", "bound", "", "runs", "load")
	for _, f := range b.figures {
		word := "ok"
		if !f.ok() {
			word = "MISS"
			missed++
		}
		side := "<="
		if f.atLeast {
			side = ">="
		}
		fmt.Fprintf(b.out, "%-4s %-66s %12.2f %2s %9.2f  %-5s %4d  %s\n", word, f.what, f.got, side, f.bound, f.unit, f.runs, f.load)
	}
	return missed
}

// load is the machine's load over the last minute.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Fields(string(text))[0]
}
