package main

import (
	"strings"
	"testing"
)

// TestLinkNameOnce: an ended link's name is not used again, by nobody and for nothing; a
// link like it is made under another.
func TestLinkNameOnce(t *testing.T) {
	t.Parallel()
	l := newLibrary(t, "")
	_, service := l.serving()
	l.hub.SetGroups("tea", "instructors", "ph142-staff", "bio101-staff")
	_, tea := l.prompt("tea", service)
	does := func(want string, args ...string) {
		t.Helper()
		if out, err := tea(args...); (err != nil) != strings.HasPrefix(want, "DP-") || !strings.Contains(out, want) {
			t.Errorf("%q: no %q: %v\n%s", args, want, err, out)
		}
	}
	const folder = "drive:drive.google.com/fLab1ofPh142"
	does("lab-1", "link", "make", "lab-1", "--source", folder, "--for", "ph142")
	does("DP-730", "link", "make", "lab-1", "--source", folder, "--for", "ph142")
	does("Ended", "link", "end", "lab-1", "--yes")
	for _, source := range []string{"drive:drive.google.com/fBioOf101x", folder} {
		does("DP-730", "link", "make", "lab-1", "--source", source, "--for", "bio101")
	}
	does("DP-730", "link", "copy", "lab-1", "lab-1")
	does("State:   ended", "link", "list", "--all")
	does("For:     the group ph142", "link", "copy", "lab-1", "lab-1b")
}
