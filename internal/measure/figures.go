// Package measure is what measurements share: figures with their bounds, printed
// as one table, and a stage on which a command uses what tests start their worlds
// with. It does not know what is measured.
package measure

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// A Figure is what was measured, and what it is held to.
type Figure struct {
	What    string
	Got     float64
	Bound   float64
	AtLeast bool   // else at most
	Unit    string // of Got and Bound
	Runs    int
	Load    string
	Bad     bool // it could not be measured, or what must hold did not
}

// OK reports whether the bound is kept.
func (f Figure) OK() bool {
	return !f.Bad && (f.AtLeast && f.Got >= f.Bound || !f.AtLeast && f.Got <= f.Bound)
}

func (f Figure) better(g Figure) bool {
	return f.AtLeast && f.Got > g.Got || !f.AtLeast && f.Got < g.Got
}

// Figures are those of one command.
type Figures struct {
	Out  io.Writer
	Runs int // the most runs for an absolute bound
	list []Figure
}

// Say prints a line that is no figure.
func (t *Figures) Say(format string, args ...any) { fmt.Fprintf(t.Out, "  "+format+"\n", args...) }

// Best measures until the bound is kept, at most t.Runs times, and keeps the best.
func (t *Figures) Best(f Figure, measure func() float64) Figure {
	for i := range t.Runs {
		g := f
		g.Load, g.Runs = Load(), i+1
		g.Got = measure()
		if i == 0 || g.better(f) {
			f = g
		}
		f.Runs = i + 1
		if f.OK() {
			break
		}
	}
	t.list = append(t.list, f)
	return f
}

// Note keeps a figure that is measured once.
func (t *Figures) Note(f Figure) {
	if f.Load == "" {
		f.Load = Load()
	}
	f.Runs = max(f.Runs, 1)
	t.list = append(t.list, f)
}

// Must keeps what has to hold, as a figure of its own.
func (t *Figures) Must(what string, holds bool) {
	f := Figure{What: what, Got: 1, Bound: 1, AtLeast: true, Bad: !holds}
	if !holds {
		f.Got = 0
	}
	t.Note(f)
}

// Print prints the table and counts the bounds that are missed.
func (t *Figures) Print() (missed int) {
	fmt.Fprintf(t.Out, "\n%-4s %-66s %12s %12s  %-5s %4s  %s\n", "", "", "measured", "bound", "", "runs", "load")
	for _, f := range t.list {
		word := "ok"
		if !f.OK() {
			word = "MISS"
			missed++
		}
		side := "<="
		if f.AtLeast {
			side = ">="
		}
		fmt.Fprintf(t.Out, "%-4s %-66s %12.2f %2s %9.2f  %-5s %4d  %s\n", word, f.What, f.Got, side, f.Bound, f.Unit, f.Runs, f.Load)
	}
	return missed
}

// Load is the machine's load over the last minute.
func Load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Fields(string(text))[0]
}
