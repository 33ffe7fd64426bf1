// Command class measures what it costs when a class clicks a link at once: fifty
// pulls, the program daypass as shipped, of a snapshot that the access service made
// once, beside fifty "git clone --depth 1" of the repository itself; five hundred light
// clients; a folder of Drive's with more files than fifty students could fetch by
// themselves; and fifty who have Drive's key and no service, with fewer:
//
//	go run ./bench/class [-only SECTIONS] [-runs N] [-check]
//
// The repository has 900 files, 8 MB and 300 commits. It is served by git http-backend in a
// process of its own, so that what that costs can be told from what clients cost. All
// share this machine's processors. Ratios are of the same round, peers by turns.
package main

import (
	"os"

	"github.com/daypass-dev/daypass/internal/measure"
	"github.com/daypass-dev/daypass/internal/shipping"
)

func main() {
	if root := os.Getenv(originVariable); root != "" {
		serveOrigin(root)
		return
	}
	b := &bench{}
	b.Main("bench/class", 3, b.sections(), func() error {
		return shipping.Build(b.Bin, "", "daypass", "daypassd", "git-credential-daypass")
	})
}

// A bench is one run of this program.
type bench struct{ measure.Command }

func (b *bench) sections() []measure.Section {
	return []measure.Section{
		{Name: "first", Run: b.first},
		{Name: "class", Run: b.class},
		{Name: "whole", Run: b.whole},
		{Name: "light", Run: b.light},
		{Name: "drive", Run: b.drive},
		{Name: "drive-alone", Run: b.driveAlone},
	}
}
