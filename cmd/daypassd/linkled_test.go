package main

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/fake"
)

// TestLinkLedElsewhere: a link's source is changed, to one of another kind. Who has the old
// one gets the new one, and keeps what they wrote; another link does not get there.
func TestLinkLedElsewhere(t *testing.T) {
	t.Parallel()
	site := fake.NewInvenio(fake.InvenioConfig{Records: []fake.InvenioRecord{
		{ID: "7", Parent: "6", Title: "Wrong", Files: []fake.DepositFile{{Name: "data.csv", Text: "0\n"}, {Name: "only.csv", Text: "1\n"}, {Name: "mine.csv", Text: "1\n"}}},
	}})
	srv := httptest.NewServer(site)
	t.Cleanup(srv.Close)
	zenodo := strings.TrimPrefix(srv.URL, "http://")
	l := newLibrary(t, "")
	l.edit("hosts: []", "hosts: [\""+zenodo+"\"]")
	_, service := l.serving()
	l.hub.SetGroups("tea", "instructors", "ph142-staff")
	l.hub.SetGroups("stu", "ph142")
	_, tea := l.prompt("tea", service)
	home, stu := l.prompt("stu", service)
	has := func(name, want string) {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(home, "lab-1", name))
		if string(b) != want || (err != nil) != (want == "") {
			t.Errorf("%s is %q, %v; want %q", name, b, err, want)
		}
	}
	l.does(tea, "lab-1", "link", "make", "lab-1", "--source", "invenio:"+zenodo+"/7", "--for", "ph142")
	l.does(tea, "lab-2", "link", "make", "lab-2", "--source", "invenio:"+zenodo+"/7", "--for", "ph142")
	l.does(stu, "lab-1 is here: 3 files.", "pull", "link:lab-1")
	if err := os.WriteFile(filepath.Join(home, "lab-1", "mine.csv"), []byte("my own\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l.does(tea, "lab-1", "link", "edit", "lab-1", "--source", "drive:drive.google.com/fLab1ofPh142")
	l.does(stu, "The link leads to another source now: “Lab 1”, where it was “Wrong”.", "pull", "link:lab-1")
	has("data.csv", "1,2\n")
	has("start here.ipynb", "{}")
	has("only.csv", "")
	has("mine.csv", "my own\n")
	l.does(stu, "up to date", "pull", "lab-1")
	l.does(stu, "lab-1 is as it was before", "pull", "--undo", "lab-1")
	has("only.csv", "1\n")
	l.does(stu, "another source now", "pull", "lab-1")
	has("data.csv", "1,2\n")
	l.does(stu, "DP-465", "pull", "link:lab-2", "lab-1")
	l.does(tea, "Failed:  1 time", "link", "list")
	l.does(tea, "Opened:  1 time\n  Arrived: never\n  Failed:  1 time", "link", "check", "lab-2")
	l.does(tea, "The last one who opened it could not have it, with DP-465", "link", "check", "lab-2")

}
