package main

import (
	"errors"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/provider/doi"
)

// prompt runs the command as shipped, in somebody's own server.
func (l *library) prompt(user, at string) (home string, run func(args ...string) (string, error)) {
	bin, token := builtPrograms(l.t), l.hub.StartServer(user, "")
	home = l.t.TempDir()
	return home, func(args ...string) (string, error) {
		cmd := exec.CommandContext(l.t.Context(), filepath.Join(bin, "daypass"), args...)
		cmd.Dir = home
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_RUNTIME_DIR=" + home, "LANG=C.UTF-8", "DAYPASS_PLAIN=1",
			"DAYPASS_URL=" + at, "JUPYTERHUB_API_TOKEN=" + token, "JUPYTERHUB_API_URL=" + at + "hub/api"}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
}

// does runs a command that says so: a code, where it fails.
func (l *library) does(run func(...string) (string, error), want string, args ...string) string {
	l.t.Helper()
	out, err := run(args...)
	if (err != nil) != strings.HasPrefix(want, "DP-") || !strings.Contains(out, want) {
		l.t.Errorf("%q: no %q: %v\n%s", args, want, err, out)
	}
	return out
}

// TestDOILink: a link made of a DOI reads the record that it stands for: of all
// versions, or of the one. Who may make none costs no look, and no host is asked that
// the admin does not list.
func TestDOILink(t *testing.T) {
	t.Parallel()
	site := fake.NewInvenio(fake.InvenioConfig{Records: []fake.InvenioRecord{
		{ID: "7", Parent: "6", Title: "Levels", Files: []fake.DepositFile{{Name: "levels.csv", Text: "1\n"}}},
		{ID: "8", Parent: "6", Title: "Levels", Files: []fake.DepositFile{{Name: "levels.csv", Text: "1\n2\n"}}},
	}})
	srv := httptest.NewServer(site)
	t.Cleanup(srv.Close)
	other := httptest.NewServer(fake.NewInvenio(fake.InvenioConfig{})) // on this machine, and not listed
	t.Cleanup(other.Close)
	zenodo := strings.TrimPrefix(srv.URL, "http://")
	names := fake.NewDOI(map[string]string{
		"10.5281/zenodo.6": srv.URL + "/doi/10.5281/zenodo.6", "10.5281/zenodo.7": srv.URL + "/records/7", "10.5281/zenodo.8": srv.URL + "/doi/10.5281/zenodo.8", "10.5281/zenodo.9": srv.URL + "/records/9",
		"10.9999/inside": "https://169.254.169.254/latest", "10.9999/neighbour": other.URL + "/records/7", "10.9999/unlisted": "https://dataverse.harvard.edu/dataset.xhtml?persistentId=doi:10.7910/DVN/ABC123",
		"10.9999/ring": "https://doi.org/10.9999/ring", "10.9999/template": srv.URL + "/o/lab-{github}", "10.9999/page": "https://journal.example.edu/article?id=1",
	}, nil)
	doiServer := httptest.NewServer(names)
	t.Cleanup(doiServer.Close)
	at := strings.TrimPrefix(doiServer.URL, "http://")
	l := newLibrary(t, "")
	l.edit("hosts: []", "hosts: [\""+zenodo+"\", \""+at+"\"]")
	svc, service := l.serving()
	l.hub.SetGroups("tea", "instructors")
	l.hub.SetGroups("stu", "ph142")
	svc.readers.doi = at
	_, tea := l.prompt("tea", service)
	home, stu := l.prompt("stu", service)

	if out, err := stu("link", "make", "mine", "--source", "10.5281/zenodo.7", "--for", "ph142"); err == nil || !strings.Contains(out, "DP-729") || len(names.Requests()) != 0 {
		t.Errorf("who may make no links: %v, %d requests\n%s", err, len(names.Requests()), out)
	}
	for name, of := range map[string]struct{ doi, source, text string }{
		"all-versions": {"10.5281/zenodo.6", "invenio:" + zenodo + "/6", "1\n2\n"}, "one-version": {"https://doi.org/10.5281/zenodo.7", "invenio:" + zenodo + "/7", "1\n"}, "the-newest": {"doi:10.5281/ZENODO.8", "invenio:" + zenodo + "/8", "1\n2\n"},
	} {
		if out, err := tea("link", "make", name, "--source", of.doi, "--for", "ph142", "--json"); err != nil || !strings.Contains(out, `"source": "`+of.source+`"`) && !strings.Contains(out, `"source":"`+of.source+`"`) {
			t.Errorf("%s: %v\n%s", of.doi, err, out)
		}
		out, err := stu("pull", "link:"+name, name)
		if text, _ := os.ReadFile(filepath.Join(home, name, "levels.csv")); err != nil || string(text) != of.text {
			t.Errorf("%s: %v %q\n%s", name, err, text, out)
		}
	}
	if out, err := tea("link", "edit", "one-version", "--source", "10.5281/zenodo.6", "--json"); err != nil || !strings.Contains(out, zenodo+"/6") {
		t.Errorf("another source: %v\n%s", err, out)
	}
	before := len(site.Requests())
	for id, says := range map[string][]string{
		"10.9999/inside": {"DP-751", "169.254.169.254"}, "10.9999/neighbour": {"DP-751", strings.TrimPrefix(other.URL, "http://")}, "10.9999/unlisted": {"DP-751", "dataverse.harvard.edu is missing"},
		"10.9999/ring": {"DP-750", "circle"}, "10.9999/none": {"DP-440"}, "10.9999/template": {"[DP-7"}, "10.9999/page": {"[DP-7"},
	} {
		out, err := tea("link", "make", "wrong", "--source", id, "--for", "ph142")
		for _, w := range says {
			if err == nil || !strings.Contains(out, w) {
				t.Errorf("%s: no %q: %v\n%s", id, w, err, out)
			}
		}
	}
	if n := len(site.Requests()) - before; n != 0 {
		t.Errorf("the archive was asked %d times for what is not there", n)
	}
	if out, err := tea("link", "make", "wrong", "--source", "10.5281/zenodo.9", "--for", "ph142"); err == nil || !strings.Contains(out, "[DP-") {
		t.Errorf("no such record: %v\n%s", err, out)
	}
	r := &readers{hosts: []string{zenodo}, doi: doi.Host, dialer: svc.readers.dialer, now: time.Now}
	_, err := r.resolveDOI(t.Context(), daypass.Source{Kind: daypass.KindDOI, Host: doi.Host, ID: "10.5281/zenodo.7"})
	var p *daypass.Problem
	if !errors.As(err, &p) || p.Code != "DP-751" || !strings.Contains(p.Who, "doi.org is missing") {
		t.Errorf("doi.org is not listed: %v", err)
	}
}
