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
	"os"

	"github.com/daypass-dev/daypass/internal/measure"
)

func main() {
	only := flag.String("only", "", "sections to run, with commas between them; none: all")
	runs := flag.Int("runs", 5, "the most runs for an absolute bound")
	check := flag.Bool("check", false, "fail where a bound is missed")
	profile := flag.String("profile", "", "a folder for profiles of the service under load")
	flag.Parse()
	b := &bench{Figures: measure.Figures{Out: os.Stdout, Runs: *runs}, profile: *profile}
	if err := b.all(*only); err != nil {
		fmt.Fprintln(os.Stderr, "bench/broker:", err)
		os.Exit(1)
	}
	if missed := b.Print(); missed > 0 && *check {
		fmt.Fprintf(os.Stderr, "bench/broker: %d bounds are missed\n", missed)
		os.Exit(1)
	}
}

// A bench is one run of this program.
type bench struct {
	measure.Figures
	profile string // "": none are taken
	bin     string // the folder of the programs, as shipped
}

func (b *bench) sections() []measure.Section {
	return []measure.Section{
		{Name: "cached", Run: b.cached},
		{Name: "postgres", Run: b.onPostgres},
		{Name: "crowd", Run: b.crowd},
		{Name: "helper", Run: b.helper},
		{Name: "refresh", Run: b.refreshes},
		{Name: "ready", Run: b.readiness},
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
	return b.Play(b.sections(), only)
}
