package main

import (
	"bytes"
	"context"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/provider/canvas/oauth"
)

// plantFolders makes a bare repository with a file in each of some folders, or anew.
func plantFolders(t *testing.T, bare string, folders ...string) {
	t.Helper()
	work := t.TempDir()
	for _, name := range folders {
		if err := os.MkdirAll(filepath.Join(work, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(work, name, "lab.md"), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(bare); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"init", "-q", "-b", "main", work}, {"-C", work, "add", "."}, {"-C", work, "-c", "user.name=a", "-c", "user.email=a@b.example", "commit", "-q", "-m", "a"}, {"clone", "-q", "--bare", work, bare}} {
		if out, err := exec.CommandContext(t.Context(), "git", args...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
	}
}

// TestFolderNotThere: an instructor tests a source whose folder is not there. They are told
// so, with what is there in its place and what to give instead, and in the same words where
// they browse it or make a link of it; with that they have their link.
func TestFolderNotThere(t *testing.T) {
	t.Parallel()
	host, dir, _ := gitHost(t)
	hostile := []string{"<b onclick=alert(1)>", "lab\x1b[31mred", "lab\u202egpj.exe", "lab\nDP-000 All is well", " lab ", "“lab2”\u200b"}
	plantFolders(t, filepath.Join(dir, "course.git"), append([]string{"lab1", "lab10", "data/rain", "data/wind", "attic", "docs"}, hostile...)...)
	site := fake.NewInvenio(fake.InvenioConfig{Records: []fake.InvenioRecord{{ID: "7", Title: "Levels", Files: []fake.DepositFile{{Name: "levels.csv", Text: "1\n"}}}}})
	srv := httptest.NewServer(site)
	t.Cleanup(srv.Close)
	zenodo := strings.TrimPrefix(srv.URL, "http://")
	l := newLibrary(t, "")
	l.edit("hosts: []", "hosts: [\""+host+"\", \""+zenodo+"\"]")
	l.drive.Edit("fWeek1ofLab1", func(f *fake.DriveFile) { f.Name, f.Type, f.Parent = "Week 1", fake.FolderType, "fLab1ofPh142" })
	svc, at := l.serving()
	l.hub.SetGroups("tea", "instructors", "ph142-staff")
	v := l.visitor(at)
	u, page := v.open(l.url + "newlink")
	u, page = v.send(u, page, "login", url.Values{"username": {"tea"}})
	_, tea := l.prompt("tea", at)
	course, folder, levels := "git:"+host+"/course", "drive:drive.google.com/fLab1ofPh142", "invenio:"+zenodo+"/7"
	for _, c := range []struct{ source, what, next, good string }{
		{course + "#lab2", "source can be read, but has no folder “lab2”", "There is “lab1”, “lab10”, ", course + "#lab1"},
		{course + "#data/rains/2026", "its folder “data” has no folder “rains”", "There is “rain” and “wind”: ", course + "#data/rain"},
		{course + "#attic/old", "its folder “attic” has no folder “old”", "There is none that could be named: ", course + "#attic"},
		{folder + "#week%201", "has no folder “week 1”", "There is “Week 1”: ", folder + "#Week%201"},
		{levels + "#data", "has no folder “data”", "There is none that could be named: ", levels},
	} {
		for _, do := range []string{"test", "browse", "make"} {
			fill := url.Values{"do": {do}, "source": {c.source}, "name": {"lab-x"}, "audience": {"ph142"}}
			var told string
			u, told = v.send(u, page, "newlink", fill)
			page = told
			text := html.UnescapeString(told)
			for _, want := range []string{c.what, c.next, "give " + c.good + " as the source", "DP-752"} {
				if !strings.Contains(text, want) {
					t.Errorf("%s of %s: no %q in\n%s", do, c.source, want, text)
				}
			}
			if strings.Contains(told, "It can be read") || strings.Contains(told, "<b onclick") || strings.ContainsAny(told, "\x1b\u202e\u200b") || strings.Contains(told, "All is well") {
				t.Errorf("%s of %s: %s", do, c.source, told)
			}
		}
		out := l.does(tea, "DP-752", "link", "make", "lab-x", "--source", c.source, "--for", "ph142")
		if !strings.Contains(out, c.next) || !strings.Contains(out, c.good) || strings.ContainsAny(out, "\x1b\u202e\u200b") {
			t.Errorf("%s: %s", c.source, out)
		}
		if u, page = v.send(u, page, "newlink", url.Values{"do": {"test"}, "source": {c.good}}); !strings.Contains(page, "It can be read") {
			t.Errorf("%s: %s", c.good, page)
		}
	}
	if out := l.does(tea, "DP-752", "link", "make", "lab-x", "--source", course+"#lab2", "--for", "ph142"); !strings.Contains(out, "and 6 more") {
		t.Errorf("those that cannot be shown are not counted: %s", out)
	}
	l.does(tea, "lab-x", "link", "make", "lab-x", "--source", course+"#lab1", "--for", "ph142")
	l.does(tea, "A student of ph142 can open it", "link", "check", "lab-x")
	l.does(tea, "DP-752", "link", "edit", "lab-x", "--source", course+"#lab2")
	plantFolders(t, filepath.Join(dir, "course.git"), "lab01", "docs")
	out := l.does(tea, "DP-794", "link", "check", "lab-x")
	for _, want := range []string{"has no folder “lab1”", "There is “lab01” and “docs”", "git:" + host + "/course#lab01"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in %s", want, out)
		}
	}
	l.does(tea, "for all students", "link", "edit", "lab-x", "--title", "for all students") // its source is not in question
	l.hub.SetGroups("oth", "instructors")
	f := &face{b: svc.broker, readers: svc.readers}
	oth := l.caller(&desk{service: svc}, "oth")
	for range newAtOnce - 1 {
		svc.readers.fresh(oth.User)
	}
	for n, want := range []string{"DP-752", "DP-484"} { // each is read for them anew, at the pace of what they browse
		s := daypass.Source{Kind: "git", Host: host, ID: "course", Path: fmt.Sprint("none", n)}
		if _, err := f.testSource(t.Context(), oth, s, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, and not %s", s, err, want)
		}
	}
	l.does(tea, "DP-736", "link", "make", "lab-y", "--source", course+"#lab%1B1", "--for", "ph142")
}

var eventNumber = regexp.MustCompile(`Event [A-Z0-9]+-[0-9]+\.`)

// TestFolderOfOthers: who may not read a source learns nothing of its folders, and no
// request asks for them.
func TestFolderOfOthers(t *testing.T) {
	t.Parallel()
	c := newCampus(t, oauth.Scopes())
	if err := c.world.Local.Add(fake.Seed{Installations: []fake.Installation{{ID: 7101, App: fake.CampusPushApp, Account: "uni-course", Repos: []int64{fake.CampusHomeworkRepo}}}}); err != nil {
		t.Fatal(err)
	}
	c.drive.Edit("fWeek1ofBio1", func(f *fake.DriveFile) { f.Name, f.Type, f.Parent = "week1", fake.FolderType, "fBioOf101x" })
	svc, at := c.serving()
	c.hub.SetGroups("tea", "instructors", "ph142-staff")
	c.hub.SetGroups("bio", "instructors", "bio101-staff")
	_, tea := c.prompt("tea", at)
	_, bio := c.prompt("bio", at)
	c.does(bio, "week-1", "link", "make", "week-1", "--source", "drive:drive.google.com/fBioOf101x#week1", "--for", "bio101") // from now on it is bio101's
	f := &face{b: svc.broker, readers: svc.readers}
	for what, source := range map[string]string{
		"another course's folder": "drive:drive.google.com/fBioOf101x#", "a private repository": "git:" + c.host() + "/uni-course/homework#", "a course that is not connected": "canvas:" + c.site + "/courses/7#",
	} {
		asked := len(c.canvas.Requests()) + len(c.drive.Requests())
		var said []string
		for _, path := range []string{"week1", "week2"} {
			s, ok := daypass.ParseSource(source + path)
			if !ok {
				t.Fatal(source)
			}
			_, err := f.testSource(t.Context(), c.caller(&desk{service: svc}, "tea"), s, "")
			if err == nil || strings.Contains(err.Error(), "week") || strings.Contains(err.Error(), "DP-752") {
				t.Errorf("%s: %v", what, err)
				continue
			}
			out := c.does(tea, "DP-", "link", "make", "not-mine", "--source", s.String(), "--for", "ph142")
			said = append(said, err.Error()+eventNumber.ReplaceAllString(out, ""))
		}
		if len(said) != 2 || said[0] != said[1] {
			t.Errorf("%s: a folder that is there and one that is not are told apart: %q", what, said)
		}
		if n := len(c.canvas.Requests()) + len(c.drive.Requests()); n != asked {
			t.Errorf("%s: %d requests", what, n-asked)
		}
	}
}

// TestFolderSlowly: a source that does not come to an end. Who tests it is told that in
// good time; whoever makes a link of it is not kept from it.
func TestFolderSlowly(t *testing.T) {
	t.Parallel()
	host, dir, _ := gitHost(t)
	plantFolders(t, filepath.Join(dir, "course.git"), "lab1")
	real := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: host})
	over := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if bytes.Contains(body, []byte("command=fetch")) { // which branches there are is told
			select {
			case <-over:
			case <-r.Context().Done():
			}
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		real.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	t.Cleanup(func() { close(over) })
	slow := strings.TrimPrefix(srv.URL, "http://")
	l := newLibrary(t, "")
	l.edit("hosts: []", "hosts: [\""+slow+"\"]")
	svc, at := l.serving()
	l.hub.SetGroups("tea", "instructors")
	f := &face{b: svc.broker, readers: svc.readers}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err := f.testSource(ctx, l.caller(&desk{service: svc}, "tea"), daypass.Source{Kind: "git", Host: slow, ID: "course", Path: "lab2"}, "")
	if err == nil || !strings.Contains(err.Error(), "DP-760") || !strings.Contains(err.Error(), "whether it has the folder “lab2”") {
		t.Errorf("%v", err)
	}
	_, tea := l.prompt("tea", at)
	began := time.Now()
	l.does(tea, "lab-1", "link", "make", "lab-1", "--source", "git:"+slow+"/course#lab1", "--for", "ph142")
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("the link was made after %s", took)
	}
}
