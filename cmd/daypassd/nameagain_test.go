package main

import "testing"

// TestLinkNameOnce: an ended link's name is not used again, by nobody and for nothing; a
// link like it is made under another.
func TestLinkNameOnce(t *testing.T) {
	t.Parallel()
	l := newLibrary(t, "")
	_, service := l.serving()
	l.hub.SetGroups("tea", "instructors", "ph142-staff", "bio101-staff")
	_, tea := l.prompt("tea", service)
	const folder = "drive:drive.google.com/fLab1ofPh142"
	l.does(tea, "lab-1", "link", "make", "lab-1", "--source", folder, "--for", "ph142")
	l.does(tea, "DP-730", "link", "make", "lab-1", "--source", folder, "--for", "ph142")
	l.does(tea, "Ended", "link", "end", "lab-1", "--yes")
	for _, source := range []string{"drive:drive.google.com/fBioOf101x", folder} {
		l.does(tea, "DP-730", "link", "make", "lab-1", "--source", source, "--for", "bio101")
	}
	l.does(tea, "DP-730", "link", "copy", "lab-1", "lab-1")
	l.does(tea, "State:   ended", "link", "list", "--all")
	l.does(tea, "For:     the group ph142", "link", "copy", "lab-1", "lab-1b")
}
