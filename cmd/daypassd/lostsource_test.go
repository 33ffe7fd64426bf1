package main

import (
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/fake"
)

// TestLostSource: a folder that is not shared any more. A student is told that its maker
// has to look after it, at once and later, and not with whom to share it; its maker sees
// in the list that it cannot be opened, until it can be again.
func TestLostSource(t *testing.T) {
	t.Parallel()
	l := newLibrary(t, "")
	_, service := l.serving()
	l.hub.SetGroups("tea", "instructors", "ph142-staff")
	l.hub.SetGroups("stu", "ph142")
	_, tea := l.prompt("tea", service)
	_, stu := l.prompt("stu", service)
	const folder = "fLab1ofPh142"
	l.does(tea, "lab-1", "link", "make", "lab-1", "--source", "drive:drive.google.com/"+folder, "--for", "ph142")
	l.does(stu, "2 files", "pull", "link:lab-1")
	shared := func(with ...string) {
		l.drive.Edit(folder, func(f *fake.DriveFile) { f.Shared = with })
		time.Sleep(21 * time.Second) // what was seen to be there is believed for that long
	}
	shared()
	if out := l.does(stu, "DP-727", "pull", "link:lab-1"); strings.Contains(out, courseAccount) || strings.Contains(out, "DP-417") || strings.Contains(out, "iam.") {
		t.Errorf("a student is told: %s", out)
	}
	l.does(tea, "State:   cannot be opened: what it leads to could not be read on ", "link", "list")
	l.does(tea, "Failed:  1 time, last at", "link", "list")
	if out := l.does(tea, "DP-794", "link", "check", "lab-1"); !strings.Contains(out, courseAccount) || !strings.Contains(out, "with DP-727") {
		t.Errorf("its maker is told: %s", out)
	}
	shared(courseAccount)
	l.does(tea, "State:   open", "link", "check", "lab-1")
	l.does(tea, "State:   open", "link", "list")
	l.does(stu, "up to date", "pull", "link:lab-1")
	if out := l.does(tea, "Opened:  3 times\n  Arrived: 2 times", "link", "check", "lab-1"); !strings.Contains(out, "Failed:  1 time") {
		t.Errorf("counted: %s", out)
	}
}
