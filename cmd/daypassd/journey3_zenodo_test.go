package main

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/internal/browsertest"
)

// TestJourney3Zenodo is the class from a record of Zenodo's kind: a link to all of its
// versions, and a new version that is merged on the second click.
func TestJourney3Zenodo(t *testing.T) {
	version := func(id, text string) fake.InvenioRecord {
		return fake.InvenioRecord{ID: id, Parent: "6", Title: "River levels", Files: []fake.DepositFile{{Name: "levels.csv", Text: text}, {Name: "notes.txt", Text: "days and levels\n"}}}
	}
	zenodo := fake.NewInvenio(fake.InvenioConfig{Records: []fake.InvenioRecord{version("7", "day,level\n1,2.30\n")}})
	srv := httptest.NewServer(zenodo)
	t.Cleanup(srv.Close)
	at := strings.TrimPrefix(srv.URL, "http://")
	s := newCourse(t, fmt.Sprintf("sources:\n  dial: [127.0.0.1/32]\n  hosts: [%q]\n", at))
	link, p := s.classWith("invenio:"+at+"/6", "levels", "levels.csv", nil)
	p.do("click", browsertest.Follow(link))
	p.lands("/user/student/lab/tree/courses/levels/levels.csv")
	s.holds(s.study("levels", "levels.csv"), "1,2.30")

	if err := os.WriteFile(s.study("levels", "notes.txt"), []byte("days and levels\nmine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	zenodo.Publish(version("8", "day,level\n1,2.31\n2,2.40\n"))
	time.Sleep(time.Second)
	p.do("click when there is a new version", browsertest.Follow(link))
	p.lands("/user/student/lab/tree/courses/levels/levels.csv")
	s.holds(s.study("levels", "levels.csv"), "1,2.31", "2,2.40")
	s.holds(s.study("levels", "notes.txt"), "mine")
	s.noTokenBelow(filepath.Join(s.hub.Dir, "home", "student"))
}
