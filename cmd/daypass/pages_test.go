package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPagesCommands: each command for users that the pages on passes name exists,
// with its flags.
func TestPagesCommands(t *testing.T) {
	root := (&app{}).root(nil)
	command := regexp.MustCompile(`\bdaypass ((?:pass|run|login|logout|setup|status|check|token)\b[^\n` + "`" + `|;#&(:]*)`)
	for _, page := range []string{"gateway.md", "passes.md"} {
		text, err := os.ReadFile(filepath.Join("../../doc", page))
		if err != nil {
			t.Fatal(err)
		}
		seen := 0
		for _, m := range command.FindAllStringSubmatch(string(text), -1) {
			line, _, _ := strings.Cut(m[1], " -- ") // what is run is another's
			cmd, rest, err := root.Find(strings.Fields(strings.TrimRight(line, "., ")))
			if err != nil || cmd == root || cmd.HasSubCommands() && len(rest) > 0 {
				t.Errorf("%s: daypass %s: there is no such command (%v)", page, m[1], err)
				continue
			}
			seen++
			for _, flag := range rest {
				name, ok := strings.CutPrefix(flag, "--")
				name, _, _ = strings.Cut(strings.TrimRight(name, ".,"), "=")
				if ok && name != "" && cmd.Flags().Lookup(name) == nil {
					t.Errorf("%s: daypass %s: there is no flag --%s", page, m[1], name)
				}
			}
		}
		if seen < 8 {
			t.Errorf("%s: only %d commands were found", page, seen)
		}
	}
}
