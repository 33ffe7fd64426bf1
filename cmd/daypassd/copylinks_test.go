package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCopyLinks copies a course's links to a new term: all of them or none.
func TestCopyLinks(t *testing.T) {
	t.Parallel()
	l := newLibrary(t, "")
	_, service := l.serving()
	l.hub.SetGroups("tea", "instructors", "ph142-staff")
	l.hub.SetGroups("eve", "instructors", "ph142-staff")
	_, tea := l.prompt("tea", service)
	_, eve := l.prompt("eve", service)
	const folder = "drive:drive.google.com/fLab1ofPh142"
	for _, name := range []string{"ph142-lab1", "ph142-lab2", "ph142-lab3"} {
		l.does(tea, name, "link", "make", name, "--source", folder, "--for", "ph142", "--open", "start here.ipynb")
	}
	l.does(tea, "other", "link", "make", "other", "--source", folder, "--for", "bio101")
	l.does(eve, "ph143-lab2", "link", "make", "ph143-lab2", "--source", folder, "--for", "ph142")
	all := []string{"link", "copy", "--group", "ph142", "--for", "ph143", "--until", "60d", "--yes"}
	l.does(tea, "DP-730", append(all, "--replace", "ph142=ph143")...)
	if out := l.does(tea, "ph142-lab1", "link", "list", "--all"); strings.Contains(out, "ph143") {
		t.Errorf("some were made: %s", out)
	}
	l.does(tea, "DP-795", append(all, "--replace", "ph142-lab1=ph142-lab2")...)
	l.does(tea, "DP-795", "link", "copy", "nothing-here", "--for", "ph143", "--suffix", "fall", "--yes")
	l.does(tea, "DP-795", "link", "copy", "--group", "nobody", "--for", "ph143", "--suffix", "fall", "--yes")
	if out := l.does(tea, "Made: 3 links.", append(all, "--suffix", "fall")...); !strings.Contains(out, "ph142-lab3  becomes  ph142-lab3-fall") {
		t.Errorf("%s", out)
	}
	l.does(tea, "Made: 2 links.", "link", "copy", "ph142-lab1", "ph142-lab2", "--for", "ph144", "--replace", "ph142=ph144", "--yes")
	out := l.does(tea, "ph144-lab2", "link", "list")
	if strings.Count(out, "the group ph143") != 3 || strings.Count(out, "the group ph144") != 2 || strings.Count(out, "Opens:   start here.ipynb") != 8 || strings.Contains(out, "other-fall") {
		t.Errorf("%s", out)
	}
	l.does(tea, "DP-", "link", "copy", "--group", "ph142", "--for", "ph143", "--suffix", "again")
}

// TestLinkFolder: a link goes where its maker says, and nowhere that is hidden.
func TestLinkFolder(t *testing.T) {
	t.Parallel()
	l := newLibrary(t, "")
	_, service := l.serving()
	l.hub.SetGroups("tea", "instructors", "ph142-staff")
	l.hub.SetGroups("stu", "ph142")
	_, tea := l.prompt("tea", service)
	home, stu := l.prompt("stu", service)
	const folder = "drive:drive.google.com/fLab1ofPh142"
	for _, bad := range []string{".ssh", "labs/.jupyter", "../up", "/etc", "a//b", ".local/share/jupyter/kernels", "a?b", "~/x"} {
		if out, err := tea("link", "make", "lab-1", "--source", folder, "--for", "ph142", "--folder", bad); err == nil || !strings.Contains(out, "DP-739") {
			t.Errorf("%s: %v %s", bad, err, out)
		}
	}
	if out, err := tea("link", "make", "lab-1", "--source", folder, "--for", "ph142", "--folder", "labs/week 1"); err != nil {
		t.Fatal(err, out)
	}
	if out, err := stu("resolve", "link:lab-1"); err != nil || !strings.Contains(out, "labs/week 1") {
		t.Errorf("%v %s", err, out)
	}
	if err := os.Symlink(t.TempDir(), filepath.Join(home, "labs")); err != nil {
		t.Fatal(err)
	}
	if out, err := stu("pull", "link:lab-1"); err == nil || !strings.Contains(out, "DP-330") {
		t.Errorf("through a link: %v %s", err, out)
	}
	if err := os.Remove(filepath.Join(home, "labs")); err != nil {
		t.Fatal(err)
	}
	out, err := stu("pull", "link:lab-1")
	if _, serr := os.Stat(filepath.Join(home, "labs", "week 1", "data.csv")); err != nil || serr != nil {
		t.Errorf("%v %v %s", err, serr, out)
	}
	if out, err := stu("pull", "labs/week 1"); err != nil || !strings.Contains(out, "up to date") {
		t.Errorf("%v %s", err, out)
	}
}
