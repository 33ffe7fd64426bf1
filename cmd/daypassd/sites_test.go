package main

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
)

// sites are listed hosts of every kind that no name tells, and one that is not listed.
type sites struct {
	t     *testing.T
	asked []func() int
	hosts []string
}

func (s *sites) add(h interface {
	http.Handler
	Requests() []fake.Request
}) (address string) {
	srv := httptest.NewServer(h)
	s.t.Cleanup(srv.Close)
	s.asked = append(s.asked, func() int { return len(h.Requests()) })
	s.hosts = append(s.hosts, `"`+strings.TrimPrefix(srv.URL, "http://")+`"`)
	return srv.URL
}

func (s *sites) requests() (n int) {
	for _, asked := range s.asked {
		n += asked()
	}
	return n
}

// TestSites: a page of a listed site is read as what the site says that it is, at a prompt
// and on the page of links. Who may make no links, and a site that is not listed, cost no
// request.
func TestSites(t *testing.T) {
	t.Parallel()
	s := &sites{t: t}
	record := fake.InvenioConfig{Records: []fake.InvenioRecord{{ID: "7", Parent: "6", Title: "Levels", Files: []fake.DepositFile{{Name: "levels.csv", Text: "1\n"}}}}}
	archive := s.add(fake.NewInvenio(record))
	portal := s.add(fake.NewFigshare(fake.FigshareConfig{Articles: []fake.FigshareArticle{{ID: 9782777, Version: 3, Title: "Sense"}}}))
	catalogue := s.add(fake.NewCKAN("/data/en", []fake.CKANDataset{{ID: "90fed587-1364-4f33-a9ee-208181dc0b97", Name: "rivers"}}, nil))
	data := s.add(fake.NewDataverse(fake.DataverseConfig{Sets: []fake.DataverseSet{{ID: "doi:10.7910/DVN/6ZXAGT", Major: 1, Title: "x", Files: []fake.DataverseFile{{ID: "doi:10.7910/DVN/6ZXAGT/A", DepositFile: fake.DepositFile{Name: "a.csv", Text: "1\n"}}}}}}))
	names := s.add(fake.NewDOI(map[string]string{"10.1184/R1/9782777": portal + "/articles/dataset/Sense/9782777"}, nil))
	const file = "101" // its number there
	git, dir, gitAsked := gitHost(t)
	plant(t, filepath.Join(dir, "group", "sub", "repo.git"), "of the group\n")
	l := newLibrary(t, "")
	l.edit("hosts: []", "hosts: ["+strings.Join(append(s.hosts, `"`+git+`"`), ", ")+"]")
	unlisted := s.add(fake.NewInvenio(record)) // on this machine, and not listed
	svc, service := l.serving()
	svc.readers.doi = strings.TrimPrefix(names, "http://")
	l.hub.SetGroups("tea", "instructors")
	l.hub.SetGroups("stu", "ph142")
	_, tea := l.prompt("tea", service)
	_, stu := l.prompt("stu", service)
	at := func(address string) string { return strings.TrimPrefix(address, "http://") }
	pages := map[string]struct{ address, source, open string }{
		"record":   {archive + "/records/7", "invenio:" + at(archive) + "/7", ""},
		"file":     {archive + "/records/7/files/levels.csv?download=1", "invenio:" + at(archive) + "/7", "levels.csv"},
		"concept":  {archive + "/doi/10.5281/zenodo.6", "invenio:" + at(archive) + "/6", ""},
		"article":  {portal + "/articles/dataset/Title/9782777", "figshare:" + at(portal) + "/9782777", ""},
		"version":  {portal + "/articles/dataset/Title/9782777/3", "figshare:" + at(portal) + "/9782777@3", ""},
		"doi":      {"10.1184/R1/9782777", "figshare:" + at(portal) + "/9782777", ""},
		"dataset":  {catalogue + "/data/en/dataset/rivers", "ckan:" + at(catalogue) + "/data/en/rivers", ""},
		"datafile": {data + "/api/access/datafile/" + file, "dataverse:" + at(data) + "/doi:10.7910/DVN/6ZXAGT", ""},
		"citation": {data + "/citation?persistentId=doi:10.7910/DVN/6ZXAGT/A", "dataverse:" + at(data) + "/doi:10.7910/DVN/6ZXAGT", ""},
		"branch":   {"http://" + git + "/group/sub/repo/-/blob/main/lab.md", "git:" + git + "/group/sub/repo@main", "lab.md"},
		"repo":     {"http://" + git + "/group/sub/repo", "git:" + git + "/group/sub/repo", ""},
	}
	for _, p := range pages {
		if out, err := stu("link", "make", "mine", "--source", p.address, "--for", "ph142"); err == nil || !strings.Contains(out, "DP-729") && !strings.Contains(out, "DP-761") {
			t.Errorf("who may make no links, with %s: %v\n%s", p.address, err, out)
		}
	}
	if n := s.requests() + len(gitAsked()); n != 0 {
		t.Errorf("for who may make no links there were %d requests", n)
	}
	for name, p := range pages {
		out, err := tea("link", "make", name+"-1", "--source", p.address, "--for", "ph142", "--json")
		out = strings.ReplaceAll(out, `": "`, `":"`)
		if err != nil || !strings.Contains(out, `"source":"`+p.source+`"`) || p.open != "" && !strings.Contains(out, `"open":"`+p.open+`"`) {
			t.Errorf("%s: %v\n%s", p.address, err, out)
		}
	}
	before := s.asked[len(s.asked)-1]()
	if out, err := tea("link", "make", "wrong", "--source", unlisted+"/records/7", "--for", "ph142"); err == nil || !strings.Contains(out, "[DP-7") || !strings.Contains(out, "does not read from") {
		t.Errorf("a site that is not listed: %v\n%s", err, out)
	}
	if n := s.asked[len(s.asked)-1]() - before; n != 0 {
		t.Errorf("a site that is not listed was asked %d times", n)
	}
	if out, err := tea("link", "make", "wrong", "--source", archive+"/records/999", "--for", "ph142"); err == nil || !strings.Contains(out, "[DP-7") {
		t.Errorf("no such record: %v\n%s", err, out)
	}
	if out, err := tea("link", "make", "wrong", "--source", "git@"+git+":group/sub/repo", "--for", "ph142"); err == nil || !strings.Contains(out, "DP-792") {
		t.Errorf("by ssh: %v\n%s", err, out)
	}
	f := &face{b: svc.broker, readers: svc.readers}
	for name, p := range pages { // as the page of links does
		who := daypass.Caller{User: daypass.User{Hub: "hub", Name: "stu", Created: time.Now().Add(-time.Hour)}, Groups: []string{"ph142"}, Via: daypass.ViaBrowser}
		gitAsked()
		before := s.requests()
		f.readPaste(t.Context(), who, p.address)
		if n := s.requests() + len(gitAsked()) - before; n != 0 {
			t.Errorf("%s: %d requests for who may make no links", name, n)
		}
		who.User.Name, who.Groups = "tea", []string{"instructors"}
		list, err := f.readPaste(t.Context(), who, p.address)
		if err != nil || len(list) != 1 || name != "doi" && list[0].Source.String() != p.source || list[0].Open != p.open {
			t.Errorf("%s on the page: %+v, %v", p.address, list, err)
		}
	}
}

// TestBusySite: a site that asks to be left alone for a minute is, whoever pastes an
// address of it.
func TestBusySite(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Retry-After", "60")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	t.Cleanup(srv.Close)
	l := newLibrary(t, "")
	l.edit("hosts: []", "hosts: [\""+strings.TrimPrefix(srv.URL, "http://")+"\"]")
	svc, _ := l.serving()
	f := &face{b: svc.broker, readers: svc.readers}
	for _, who := range []string{"tea", "oth"} {
		l.hub.SetGroups(who, "instructors")
		for _, page := range []string{"/records/7", "/articles/dataset/Title/9782777"} {
			f.readPaste(t.Context(), daypass.Caller{User: daypass.User{Hub: "hub", Name: who, Created: time.Now().Add(-time.Hour)}, Groups: []string{"instructors"}, Via: daypass.ViaBrowser}, srv.URL+page)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("it was asked %d times in that minute", n)
	}
}
