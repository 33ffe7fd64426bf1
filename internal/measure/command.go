package measure

import (
	"flag"
	"fmt"
	"os"
)

// A Command is a program that measures by sections.
type Command struct {
	Figures
	Bin string // the folder of the programs that are measured, as shipped
}

// Main reads the command's flags, lets build put programs into c.Bin, plays the
// sections, prints the figures and leaves. runs is how often a bound may be tried
// where -runs says nothing.
func (c *Command) Main(name string, runs int, sections []Section, build func() error) {
	only := flag.String("only", "", "sections to run, with commas between them; none: all")
	check := flag.Bool("check", false, "fail where a bound is missed")
	flag.IntVar(&c.Runs, "runs", runs, "the most runs for a bound")
	flag.Parse()
	c.Out = os.Stdout
	if err := c.play(sections, *only, build); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
	if missed := c.Print(); missed > 0 && *check {
		fmt.Fprintf(os.Stderr, "%s: %d bounds are missed\n", name, missed)
		os.Exit(1)
	}
}

func (c *Command) play(sections []Section, only string, build func() error) (err error) {
	if c.Bin, err = os.MkdirTemp("", "daypass-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(c.Bin)
	if err := build(); err != nil {
		return err
	}
	return c.Play(sections, only)
}
