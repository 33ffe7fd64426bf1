package measure

import (
	"fmt"
	"slices"
	"strings"
)

// A Section measures something in a world of its own.
type Section struct {
	Name string
	Run  func(*Stage)
}

// Play runs the sections that only names, with commas between them; all where it
// names none. What stops a section becomes a figure that is missed.
func (t *Figures) Play(all []Section, only string) error {
	wanted := strings.FieldsFunc(only, func(r rune) bool { return r == ',' })
	for _, w := range wanted {
		if !slices.ContainsFunc(all, func(s Section) bool { return s.Name == w }) {
			return fmt.Errorf("there is no section %q", w)
		}
	}
	for _, s := range all {
		if len(wanted) > 0 && !slices.Contains(wanted, s.Name) {
			continue
		}
		fmt.Fprintf(t.Out, "\n%s (load %s)\n", s.Name, Load())
		if problem := Play(s.Run); problem != "" {
			t.Say("%s", problem)
			t.list = append(t.list, Figure{What: s.Name + ": " + strings.SplitN(problem, "\n", 2)[0], Bad: true})
		}
	}
	return nil
}
