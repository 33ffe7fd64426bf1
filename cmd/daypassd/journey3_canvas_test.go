package main

import (
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
	"github.com/daypass-dev/daypass/provider/canvas/oauth"
)

// TestJourney3Canvas is the class from a course in Canvas, which everybody reads with
// their own account: the link leads a student to connect, back, and on to the file.
func TestJourney3Canvas(t *testing.T) {
	canvas, at, yaml := newCourseCanvas(t)
	s := newCourse(t, yaml)
	link, p := s.classWith("http://"+at+"/courses/7/files", "week1", "week 1/notes.txt", func(teacher *person) {
		teacher.do("connect Canvas", chromedp.Navigate(s.url+"connect/"+at))
		teacher.agrees("42")
		teacher.sees("Connected")
	})
	p.do("click", browsertest.Follow(link))
	p.sees("Connect " + at)
	if s.has(s.study("week1", "week 1")) {
		t.Error("something came before they connected")
	}
	p.do("connect", chromedp.Click("#connect"))
	p.agrees("43")
	p.lands("/user/student/lab/tree/courses/week1/week%201/notes.txt")
	s.holds(s.study("week1", "week 1/notes.txt"), "three")
	if s.has(s.study("week1", "week 1/solutions.txt")) {
		t.Error("a file that is hidden from students came")
	}

	if err := os.WriteFile(s.study("week1", "week 1/notes.txt"), []byte("one\ntwo\nthree\nmine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	canvas.Overwrite(70101, "zero\none\ntwo\nthree\n")
	time.Sleep(time.Second)
	p.do("click next week", browsertest.Follow(link))
	p.lands("/user/student/lab/tree/courses/week1/week%201/notes.txt")
	s.holds(s.study("week1", "week 1/notes.txt"), "zero\none", "mine")
	home := filepath.Join(s.hub.Dir, "home", "student")
	s.noTokenBelow(home)
	for _, secret := range canvas.Secrets() {
		if anyFileHas(t, home, secret) {
			t.Error("a secret of Canvas's is in the student's home")
		}
	}
}

// agrees goes to Canvas from the service's page, and says yes there as somebody.
func (p *person) agrees(user string) {
	p.s.t.Helper()
	p.press("Go to")
	p.do("say yes as "+user, chromedp.Click("#user-"+user))
}

func (s *site) has(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func anyFileHas(t *testing.T, root, secret string) bool {
	t.Helper()
	found := false
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		found = found || strings.Contains(string(text), secret)
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return found
}

// newCourseCanvas is a Canvas with one course, where it is, and the lines that let the
// service read it for whoever connects it.
func newCourseCanvas(t *testing.T) (canvas *fake.Canvas, at, yaml string) {
	t.Helper()
	const secret = "canvas-secret-0123456789abcdef"
	path := filepath.Join(t.TempDir(), "canvas-secret")
	if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	canvas = fake.NewCanvas(fake.CanvasConfig{Switches: fake.CanvasSwitches{Direct: true}, Seed: fake.CanvasSeed{
		Keys:    []fake.CanvasKey{{ID: "170000000000007", Secret: secret, Redirects: []string{"127.0.0.1"}, Scopes: oauth.Scopes()}},
		Users:   []fake.CanvasUser{{ID: 42, Name: "Tea Cher"}, {ID: 43, Name: "Stu Dent"}},
		Courses: []fake.CanvasCourse{{ID: 7, Name: "Physics 142", Teachers: []int64{42}, Students: []int64{43}}},
		Folders: []fake.CanvasFolder{{ID: 70, Context: "courses/7", Name: "course files"}, {ID: 71, Context: "courses/7", Parent: 70, Name: "week 1"}},
		Files: []fake.CanvasFile{
			{ID: 70101, Folder: 71, Name: "notes.txt", Text: "one\ntwo\nthree\n"}, {ID: 70102, Folder: 71, Name: "solutions.txt", Text: "forty-two\n", Hidden: true},
		},
	}})
	srv := httptest.NewServer(canvas)
	t.Cleanup(srv.Close)
	at = strings.TrimPrefix(srv.URL, "http://")
	return canvas, at, fmt.Sprintf("sources:\n  dial: [127.0.0.1/32]\n  canvas: [{host: %q, client_id: \"170000000000007\", client_secret: \"file:%s\"}]\n", at, path)
}
