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
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/daypass-dev/daypass/internal/measure"
)

func main() {
	only := flag.String("only", "", "sections to run, with commas between them; none: all")
	runs := flag.Int("runs", 5, "the most runs for a bound")
	check := flag.Bool("check", false, "fail where a bound is missed")
	flag.Parse()
	b := &bench{Figures: measure.Figures{Out: os.Stdout, Runs: *runs}}
	if err := b.all(*only); err != nil {
		fmt.Fprintln(os.Stderr, "bench/gateway:", err)
		os.Exit(1)
	}
	if missed := b.Print(); missed > 0 && *check {
		fmt.Fprintf(os.Stderr, "bench/gateway: %d bounds are missed\n", missed)
		os.Exit(1)
	}
}

// A bench is one run of this program.
type bench struct {
	measure.Figures
	bin string // the folder of daypassd, as shipped
}

func (b *bench) sections() []measure.Section {
	return []measure.Section{
		{Name: "small", Run: b.small},
		{Name: "large", Run: b.large},
		{Name: "crowd", Run: b.crowd},
		{Name: "plugin", Run: b.plugin},
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

func (b *bench) build() error {
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", filepath.Join(b.bin, "daypassd"), "./cmd/daypassd")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build daypassd: %w\n%s", err, out)
	}
	return nil
}
