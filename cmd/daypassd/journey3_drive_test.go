package main

import (
	"crypto/rand"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/internal/browsertest"
)

// newCourse is a site whose service reads what yaml says, with an instructor and a
// student of its course, who have servers.
func newCourse(t *testing.T, yaml string) *site {
	t.Helper()
	s, wrap := newClassWith(t, yaml+"links: {groups: [instructors]}\nsnapshots: {dir: "+filepath.Join(t.TempDir(), "snapshots")+", look: 1s}\n")
	s.intoImage(wrap)
	for user, group := range map[string]string{"teacher": "instructors", "student": "ph142"} {
		s.hub.CreateUser(t, user)
		s.hub.AddToGroup(t, group, user)
	}
	s.hub.AddToGroup(t, "ph142-staff", "teacher")
	return s
}

// makesLink is what an instructor does: they paste an address, test it, and make a link
// for their course's group.
func (p *person) makesLink(paste, name, open string) {
	p.s.t.Helper()
	p.do("open the form", chromedp.Navigate(p.s.url+"newlink"), chromedp.SendKeys("#paste", paste), chromedp.Click("#read"), chromedp.WaitVisible("#test"), chromedp.Click("#test"))
	p.sees("It can be read")
	for field, text := range map[string]string{"name": name, "open": open, "folder": "courses/" + name, "audience": "ph142"} {
		p.do("fill in "+field, chromedp.SetValue("#"+field, text))
	}
	p.press("Make this link")
	p.sees("The link is made")
}

// classWith has the instructor, whom ready prepares where there is
// something to do, make a link to what they paste, and a student come. It
// returns the link's address and the student.
func (s *site) classWith(paste, name, open string, ready func(teacher *person)) (link string, student *person) {
	s.t.Helper()
	teacher := s.browser()
	teacher.logIn("teacher")
	if ready != nil {
		ready(teacher)
	}
	teacher.makesLink(paste, name, open)
	student = s.browser()
	student.logIn("student")
	s.hub.StartServer(s.t, "student", "")
	return s.url + "l/" + name, student
}

// study is where the student has the course.
func (s *site) study(link, name string) string {
	return filepath.Join(s.hub.Dir, "home", "student", "courses", link, name)
}

// holds waits until a file of the student's holds all of the texts.
func (s *site) holds(path string, texts ...string) {
	s.t.Helper()
	text, err := os.ReadFile(path)
	for _, want := range texts {
		if err != nil || !strings.Contains(string(text), want) {
			s.t.Errorf("%s lacks %q: %v\n%s", path, want, err, text)
		}
	}
}

// TestJourney3Drive is the class from a private folder of Google Drive: the instructor
// makes a link, a student without a Google account clicks it, works, and clicks again
// when the folder has changed.
func TestJourney3Drive(t *testing.T) {
	drive, yaml := newCourseDrive(t)
	s := newCourse(t, yaml)
	link, p := s.classWith("https://drive.google.com/drive/folders/"+labFolder, "lab1", labNotebook, nil)
	p.do("click", browsertest.Follow(link))
	p.lands("/user/student/lab/tree/courses/lab1/" + labNotebook)
	s.holds(s.study("lab1", labNotebook), "Measure the water.")
	s.holds(s.study("lab1", "gauges.csv"), "1,2.30")

	if err := os.WriteFile(s.study("lab1", labNotebook), []byte(demoNotebook("Measure the water.", demoCell{"answer", "level = 2.41", "2.41"})), 0o644); err != nil {
		t.Fatal(err)
	}
	drive.Edit("fNotebookOfLab1", func(f *fake.DriveFile) {
		f.Text = demoNotebook("Measure the water, twice.", demoCell{"answer", "level = ...  # in metres", ""}, demoCell{"more", "# 2. And in feet?", ""})
	})
	drive.Edit("fGaugesOfLab1", func(f *fake.DriveFile) { f.Name, f.Text = "levels.csv", "day,level\n1,2.30\n2,2.35\n" })
	time.Sleep(time.Second) // what the service has seen, it gives for so long
	p.do("click next week", browsertest.Follow(link))
	p.sees("We kept your answers in 1 cell")
	p.lands("/user/student/lab/tree/courses/lab1/" + labNotebook)
	s.holds(s.study("lab1", labNotebook), "Measure the water, twice.", "level = 2.41", "# 2. And in feet?")
	s.holds(s.study("lab1", "levels.csv"), "2,2.35")
	if _, err := os.Stat(s.study("lab1", "gauges.csv")); err == nil {
		t.Error("a file that was renamed in Drive is there twice")
	}
	s.noTokenBelow(filepath.Join(s.hub.Dir, "home", "student"))

	s.hub.CreateUser(t, "stranger")
	other := s.browser()
	other.logIn("stranger")
	s.hub.StartServer(t, "stranger", "")
	asked := len(drive.Requests())
	other.do("click", browsertest.Follow(link))
	other.sees("DP-723")
	if n := len(drive.Requests()); n != asked {
		t.Errorf("for somebody whom the link is not for, Drive was asked %d times", n-asked)
	}
}

const labFolder = "fLab1ofPh142Course"

// newCourseDrive is a Drive with one course's folder, which is shared with the course's
// service account, and the lines that let the service read it.
func newCourseDrive(t *testing.T) (*fake.Drive, string) {
	t.Helper()
	const account = "ph142@course.iam.gserviceaccount.com"
	key, public, err := fake.NewKeyFile(rand.Reader, account, "k1")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key.json")
	if err := os.WriteFile(path, key, 0o600); err != nil {
		t.Fatal(err)
	}
	drive := fake.NewDrive(fake.DriveConfig{Seed: fake.DriveSeed{
		Accounts: []fake.ServiceAccount{{Email: account, Keys: map[string]string{"k1": public}}},
		Files: []fake.DriveFile{
			{ID: labFolder, Name: "Lab 1: water", Type: fake.FolderType, Shared: []string{account}},
			{ID: "fNotebookOfLab1", Name: labNotebook, Parent: labFolder, Text: demoNotebook("Measure the water.", demoCell{"answer", "level = ...", ""})},
			{ID: "fGaugesOfLab1", Name: "gauges.csv", Parent: labFolder, Text: "day,level\n1,2.30\n"},
		},
	}})
	srv := httptest.NewServer(drive)
	t.Cleanup(srv.Close)
	return drive, fmt.Sprintf("sources:\n  dial: [127.0.0.1/32]\n  drive:\n    - {account: ph142, key: \"file:%s\", groups: [ph142-staff], endpoints: {api: %s, token: %s/token}}\n", path, srv.URL, srv.URL)
}
