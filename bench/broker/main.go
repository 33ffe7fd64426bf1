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

	"github.com/daypass-dev/daypass/internal/measure"
)

func main() {
	b := &bench{}
	flag.StringVar(&b.profile, "profile", "", "a folder for profiles of the service under load")
	b.Main("bench/broker", 5, b.sections(), b.build)
}

// A bench is one run of this program.
type bench struct {
	measure.Command
	profile string // "": none are taken
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
