// Command gateway measures the package gateway as it is shipped, the process
// "daypassd serve" with a configuration that has only a gateway, beside the very
// devpi server that stands behind it, asked directly:
//
//	go run ./bench/gateway [-only SECTIONS] [-runs N] [-check]
//
// Direct requests show a session of devpi's own, which is what the gateway shows
// there too, so that both make devpi do the same work. What is compared takes turns
// in one run; ratios are medians of the ratios within each round. The generator of
// load, devpi and the gateway share the machine's processors.
//
// DAYPASS_TEST_DEVPI and DAYPASS_TEST_DEVPI_TOKENS lead to devpi, as "make
// bench-gateway" sets them.
package main

import (
	"github.com/daypass-dev/daypass/internal/measure"
	"github.com/daypass-dev/daypass/internal/shipping"
)

func main() {
	b := &bench{}
	b.Main("bench/gateway", 5, b.sections(), func() error { return shipping.Build(b.Bin, "", "daypassd") })
}

// A bench is one run of this program.
type bench struct{ measure.Command }

func (b *bench) sections() []measure.Section {
	return []measure.Section{
		{Name: "small", Run: b.small},
		{Name: "large", Run: b.large},
		{Name: "crowd", Run: b.crowd},
		{Name: "plugin", Run: b.plugin},
	}
}
