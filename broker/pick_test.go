package broker_test

import (
	"slices"
	"testing"

	"github.com/daypass-dev/daypass"
)

// TestPick: to choose from there is what is enrolled for a group of one's own, and finding
// it asks nobody.
func TestPick(t *testing.T) {
	s := newSourceRig(t)
	s.enrol(drive("ph142Lab1"), "ph142")
	s.enrol(drive("bio101Lab"), "bio101")
	tea, oth, stu := browser(s.teacher()), browser(s.other()), browser(s.student())
	s.quietly("picking", func() {
		for _, c := range []struct {
			who  daypass.Caller
			want []string
		}{{tea, []string{"ph142Lab1", "ph142Listed"}}, {oth, []string{"bio101Lab"}}, {browser(s.user("both", "instructors", "stats-a")), []string{"statsListed"}}} {
			list, err := s.Pick(t.Context(), c.who)
			var got []string
			for _, y := range list {
				got = append(got, y.Source.ID)
			}
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%s: %q, %v; want %q", c.who.User.Name, got, err, c.want)
			}
		}
		_, err := s.Pick(t.Context(), stu)
		s.want("who may make no links", err, "DP-729")
	})
}
