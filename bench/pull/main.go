// Command pull measures pulls as they are shipped, the program daypass, beside git
// and nbgitpuller on the same repository:
//
//	go run ./bench/pull [-only SECTIONS] [-runs N] [-check]
//
// The repository has 900 files and some 8 MB and is served by git http-backend on a
// loopback address. What is compared takes turns in one run, each going first as
// often; ratios are medians of the ratios within each round. Server and clients share
// the machine's processors. Memory is the most that the kernel counted for any one
// process (VmHWM), ours and its children apart.
//
// DAYPASS_TEST_NBGITPULLER and DAYPASS_TEST_NBPYTHON lead to nbgitpuller and nbdime, as
// "make bench-pull" sets them.
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
	runs := flag.Int("runs", 3, "the most runs for a bound")
	check := flag.Bool("check", false, "fail where a bound is missed")
	flag.Parse()
	b := &bench{Figures: measure.Figures{Out: os.Stdout, Runs: *runs}}
	if err := b.all(*only); err != nil {
		fmt.Fprintln(os.Stderr, "bench/pull:", err)
		os.Exit(1)
	}
	if missed := b.Print(); missed > 0 && *check {
		fmt.Fprintf(os.Stderr, "bench/pull: %d bounds are missed\n", missed)
		os.Exit(1)
	}
}

// A bench is one run of this program.
type bench struct {
	measure.Figures
	bin string // the folder of the programs, as shipped
}

func (b *bench) sections() []measure.Section {
	return []measure.Section{
		{Name: "fresh", Run: b.fresh},
		{Name: "again", Run: b.again},
		{Name: "change", Run: b.change},
		{Name: "memory", Run: b.memory},
		{Name: "tree", Run: b.tree},
		{Name: "notebook", Run: b.notebook},
		{Name: "cells", Run: b.cells},
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
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", b.bin+string(filepath.Separator), "./cmd/daypass", "./cmd/git-credential-daypass")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build daypass: %w\n%s", err, out)
	}
	return nil
}
