package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/api"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/provider/canvas/oauth"
)

// checkedJSON is "daypass link check --json" of a link.
func checkedJSON(t *testing.T, run func(...string) (string, error), name string) (got struct {
	OK    bool             `json:"ok"`
	Files int              `json:"files"`
	Left  []api.SourceFile `json:"left"`
	Own   bool             `json:"own"`
}) {
	t.Helper()
	out, err := run("link", "check", name, "--json")
	if err != nil || json.Unmarshal([]byte(out), &got) != nil {
		t.Errorf("%v %s", err, out)
	}
	return got
}

func leftNames(list []api.SourceFile) (out []string) {
	for _, f := range list {
		out = append(out, f.Path+": "+f.Skip)
	}
	slices.Sort(out)
	return out
}

// TestAsStudent: a check lists what a pull brings, and what it leaves out.
func TestAsStudent(t *testing.T) {
	t.Parallel()
	l := newLibrary(t, "")
	l.edit("snapshots: {", "snapshots: {max_file: 1KB, ")
	l.drive.Edit("fFormofLab1", func(f *fake.DriveFile) {
		f.Name, f.Parent, f.Type = "quiz", "fLab1ofPh142", "application/vnd.google-apps.form"
	})
	l.drive.Edit("fLargeofLab1", func(f *fake.DriveFile) {
		f.Name, f.Parent, f.Text = "large.bin", "fLab1ofPh142", strings.Repeat("0123456789", 500)
	})
	_, service := l.serving()
	l.hub.SetGroups("tea", "instructors", "ph142-staff")
	l.hub.SetGroups("stu", "ph142")
	_, tea := l.prompt("tea", service)
	_, stu := l.prompt("stu", service)
	if out, err := tea("link", "make", "lab-1", "--source", "drive:drive.google.com/fLab1ofPh142", "--for", "ph142"); err != nil {
		t.Fatal(err, out)
	}
	got := checkedJSON(t, tea, "lab-1")
	if names := leftNames(got.Left); !got.OK || got.Own || got.Files != 2 || len(names) != 2 || !strings.HasPrefix(names[0], "large.bin: ") || !strings.HasPrefix(names[1], "quiz: ") {
		t.Errorf("%+v", got)
	}
	if out, err := stu("pull", "link:lab-1"); err != nil || !strings.Contains(out, "large.bin") {
		t.Errorf("%v %s", err, out)
	}
	if out, err := stu("link", "check", "lab-1", "--json"); err != nil || strings.Contains(out, "quiz") {
		t.Errorf("a student lists the files without a pull: %v %s", err, out)
	}
}

// TestAsStudentOfCanvas: their own account decides; what Canvas marks as not shown to
// students is left out of what the teacher's is told.
func TestAsStudentOfCanvas(t *testing.T) {
	t.Parallel()
	c := newCampus(t, oauth.Scopes())
	_, at := c.serving()
	c.hub.SetGroups("tea", "instructors")
	c.connect(at, "tea", "42")
	_, tea := c.prompt("tea", at)
	if out, err := tea("link", "make", "ph142-files", "--source", "canvas:"+c.site+"/courses/7", "--for", "ph142"); err != nil {
		t.Fatal(err, out)
	}
	got := checkedJSON(t, tea, "ph142-files")
	want := []string{"lab 1/exam-solutions.txt: it is hidden from students", "staffroom/grades-2026.csv: of its folder staffroom: it is hidden from students"}
	if !got.OK || !got.Own || got.Files != 2 || !slices.Equal(leftNames(got.Left), want) {
		t.Errorf("%+v", got)
	}
	if out, err := tea("link", "check", "ph142-files"); err != nil || !strings.Contains(out, "Each student reads with their own account, which decides what they see.") {
		t.Errorf("%v %s", err, out)
	}
}
