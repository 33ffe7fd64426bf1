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
	"github.com/daypass-dev/daypass/internal/measure"
	"github.com/daypass-dev/daypass/internal/shipping"
)

func main() {
	b := &bench{}
	b.Main("bench/pull", 3, b.sections(), func() error { return shipping.Build(b.Bin, "", "daypass", "git-credential-daypass") })
}

// A bench is one run of this program.
type bench struct{ measure.Command }

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
