package main

import (
	"html"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/fake"
)

var (
	anyHidden  = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
	nextOnPage = regexp.MustCompile(`name="?next"? value="?([^" >]+)`)
)

// authorize signs somebody in to the hub at the page of a Connect address, and says
// yes at GitHub. It returns where they are led, and what is there.
func (c *campus) authorize(at, connect, name, login string) (*url.URL, string) {
	c.t.Helper()
	v := c.visitor(at)
	v.client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.Path, "/hub/user-redirect/") {
			return http.ErrUseLastResponse
		}
		return nil
	}
	u, page := v.open(connect)
	if strings.Contains(u.Path, "/hub/login") {
		u, page = v.send(u, page, "login", url.Values{"username": {name}})
	}
	link := nextOnPage.FindStringSubmatch(page)
	if link == nil {
		c.t.Fatalf("the page does not know which link goes on: %s", page)
	}
	u, page = v.send(u, page, "connect/", url.Values{"next": {link[1]}})
	if u.Host != c.host() {
		c.t.Fatalf("sent to %s: %s", u, page)
	}
	values := url.Values{"login": {login}, "action": {"authorize"}}
	for _, m := range anyHidden.FindAllStringSubmatch(page, -1) {
		values.Set(m[1], html.UnescapeString(m[2]))
	}
	return v.send(u, page, "/login/oauth/authorize", values)
}

// TestTemplateLink: a link to each student's copy of an assignment. Who is not
// connected is told where to; then they get their own repository, with their own
// account, and no other's.
func TestTemplateLink(t *testing.T) {
	t.Parallel()
	l := newLibrary(t, "")
	teach := func(login string) map[string]fake.Access {
		return map[string]fake.Access{fake.CampusInstructor: fake.AccessAdmin, login: fake.AccessWrite}
	}
	if err := l.world.Local.Add(fake.Seed{
		Repos: []fake.Repo{
			{ID: 5101, Owner: "uni-course", Name: "lab1-" + fake.CampusStudent, Private: true, Access: teach(fake.CampusStudent), Files: map[string]string{"answer.txt": "of the first\n"}},
			{ID: 5102, Owner: "uni-course", Name: "lab1-" + fake.CampusStudent2, Private: true, Access: teach(fake.CampusStudent2), Files: map[string]string{"answer.txt": "of the second\n"}},
		},
		Installations: []fake.Installation{{ID: 7101, App: fake.CampusPushApp, Account: "uni-course", All: true}},
	}); err != nil {
		t.Fatal(err)
	}
	_, at := l.serving()
	l.hub.SetGroups("tea", "instructors")
	for _, name := range []string{"stu", "stu2", "stu3"} {
		l.hub.SetGroups(name, "ph142")
	}
	c := &campus{library: l, site: l.host()}
	_, tea := l.prompt("tea", at)
	source := "git:" + l.host() + "/uni-course/lab1-{github}"
	if out, err := tea("link", "make", "ph142-lab1", "--source", source, "--for", "ph142"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, who := range map[string]struct{ login, want, other string }{
		"stu": {fake.CampusStudent, "of the first\n", fake.CampusStudent2}, "stu2": {fake.CampusStudent2, "of the second\n", fake.CampusStudent},
	} {
		home, run := l.prompt(name, at)
		asked := len(l.world.Local.Requests())
		connect := l.url + "connect/" + l.host() + "?next=l/ph142-lab1"
		out, err := run("pull", "link:ph142-lab1", "lab1")
		if err == nil || !strings.Contains(out, "[DP-816]") || !strings.Contains(out, connect) || len(l.world.Local.Requests()) != asked {
			t.Fatalf("without a connection: %v, %d requests, want %s\n%s", err, len(l.world.Local.Requests())-asked, connect, out)
		}
		if u, page := c.authorize(at, connect, name, who.login); u.Path != "/l/ph142-lab1" {
			t.Errorf("it does not lead back to the link: %s\n%s", u, page)
		}
		out, err = run("pull", "link:ph142-lab1", "lab1")
		if text, _ := os.ReadFile(filepath.Join(home, "lab1", "answer.txt")); err != nil || string(text) != who.want {
			t.Errorf("%s: %v %q\n%s", name, err, text, out)
		}
		// The other's is reached by no way of the service's.
		for _, ask := range []url.Values{
			{"source": {"git:" + l.host() + "/uni-course/lab1-" + who.other}}, {"source": {source}}, {"link": {"ph142-lab1"}, "source": {"git:" + l.host() + "/uni-course/lab1-" + who.other}},
		} {
			if status, body, _ := get(t, l.hub.ServerToken(name, ""), at+"api/v1/snapshots?"+ask.Encode()); status == http.StatusOK || status == http.StatusAccepted {
				t.Errorf("%s, %v: %d %s", name, ask, status, body)
			}
		}
		all := string(filesBelow(t, home))
		if l.noSecret(name, all); strings.Contains(all, who.other) || strings.Contains(all, "ghu_") {
			t.Errorf("%s has of the other's, or a token", name)
		}
	}
	_, first := l.snapshot(l.hub.ServerToken("stu", ""), at, url.Values{"link": {"ph142-lab1"}})
	if status, body, _ := get(t, l.hub.ServerToken("stu2", ""), at+first.Pack); first.Pack == "" || status == http.StatusOK {
		t.Errorf("another's pack %q by its id: %d, %d bytes", first.Pack, status, len(body))
	}
	// Who has none is told what to accept.
	if err := l.world.Local.Add(fake.Seed{Users: []fake.User{{ID: 1999, Login: "student-three"}}}); err != nil {
		t.Fatal(err)
	}
	_, stu3 := l.prompt("stu3", at)
	c.authorize(at, l.url+"connect/"+l.host()+"?next=l/ph142-lab1", "stu3", "student-three")
	if out, err := stu3("pull", "link:ph142-lab1", "lab1"); err == nil || !strings.Contains(out, "uni-course/lab1-student-three") || !strings.Contains(out, "Accept the assignment") || !strings.Contains(out, "[DP-738]") {
		t.Errorf("none of theirs: %v\n%s", err, out)
	}
	acceptAt(t, tea, stu3)
	// Who has accepted need not wait.
	if err := l.world.Local.Add(fake.Seed{Repos: []fake.Repo{{ID: 5103, Owner: "uni-course", Name: "lab1-student-three", Private: true, Access: teach("student-three"), Files: map[string]string{"answer.txt": "of the third\n"}}}}); err != nil {
		t.Fatal(err)
	}
	l.does(stu3, "lab1 is here: 1 file.", "pull", "link:ph142-lab1", "lab1")
}

// acceptAt gives the link the invitation of its assignment, which a student without a
// copy is then told, and nobody else is.
func acceptAt(t *testing.T, tea, stu func(args ...string) (string, error)) {
	t.Helper()
	const invitation = "https://classroom.github.com/a/AbC-1_x"
	if out, err := tea("link", "edit", "ph142-lab1", "--accept", invitation); err != nil || !strings.Contains(out, "Accept:  "+invitation) {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := stu("pull", "link:ph142-lab1", "lab1"); err == nil || !strings.Contains(out, "Open "+invitation+" and accept the assignment there; then try again.") || !strings.Contains(out, "[DP-738]") {
		t.Errorf("none of theirs: %v\n%s", err, out)
	}
	if out, err := stu("pull", "--json", "link:ph142-lab1", "lab1"); err == nil || !strings.Contains(out, `"next":"Open `+invitation+` and accept`) {
		t.Errorf("for the page: %v\n%s", err, out)
	}
	if out, err := stu("resolve", "--json", "link:ph142-lab1"); err != nil || strings.Contains(out, "classroom") {
		t.Errorf("before they have tried: %v\n%s", err, out)
	}
	if out, err := tea("link", "copy", "ph142-lab1", "ph142-fall"); err != nil || strings.Contains(out, "classroom") {
		t.Errorf("a copy: %v\n%s", err, out)
	}
	if out, err := tea("link", "copy", "ph142-lab1", "ph142-fall2", "--accept", invitation+"2"); err != nil || !strings.Contains(out, invitation+"2") {
		t.Errorf("a copy that is given one: %v\n%s", err, out)
	}
	if out, err := tea("link", "copy", "--group", "ph142", "--for", "ph143", "--suffix", "x", "--yes"); err != nil || !strings.Contains(out, "ph142-lab1  becomes  ph142-lab1-x  (without the invitation: daypass link edit ph142-lab1-x --accept URL)") {
		t.Errorf("a course: %v\n%s", err, out)
	}
	if out, err := tea("link", "edit", "ph142-lab1", "--accept", "http://classroom.github.com/a/x"); err == nil || !strings.Contains(out, "https://") {
		t.Errorf("without https: %v\n%s", err, out)
	}
	if out, err := tea("link", "edit", "ph142-lab1", "--accept="); err != nil || strings.Contains(out, "Accept:") {
		t.Errorf("taken out: %v\n%s", err, out)
	}
}

// TestTemplateLogins: whatever an account is called, it gets the copy of its name of
// today: in other letters, beside one whose name goes on where its own ends, and after a
// rename not what bears the old name, though it may read that too.
func TestTemplateLogins(t *testing.T) {
	t.Parallel()
	l := newLibrary(t, "")
	people := map[string]struct{ login, repo string }{
		"stu": {"A", "Lab1-a"}, "stu2": {"a-b", "lab1-A-B"}, "stu3": {"ada_campus", "lab1-ada_campus"}, "stu4": {"was", "lab1-is"},
	}
	seed := fake.Seed{Installations: []fake.Installation{{ID: 7101, App: fake.CampusPushApp, Account: "uni-course", All: true}}}
	id := int64(920001)
	for name, who := range people {
		seed.Users = append(seed.Users, fake.User{ID: id, Login: who.login})
		seed.Repos = append(seed.Repos, fake.Repo{ID: id, Owner: "uni-course", Name: who.repo, Private: true, Access: map[string]fake.Access{who.login: fake.AccessWrite}, Files: map[string]string{"answer.txt": "of " + name + "\n"}})
		id++
	}
	seed.Repos = append(seed.Repos, fake.Repo{ID: 929999, Owner: "uni-course", Name: "lab1-was", Private: true, Access: map[string]fake.Access{"was": fake.AccessWrite}, Files: map[string]string{"answer.txt": "of the old name\n"}})
	if err := l.world.Local.Add(seed); err != nil {
		t.Fatal(err)
	}
	_, at := l.serving()
	l.hub.SetGroups("tea", "instructors")
	c := &campus{library: l, site: l.host()}
	_, tea := l.prompt("tea", at)
	// Nobody makes a link to what a run kept, and nobody is asked about one.
	asked := len(l.world.Local.Requests())
	if out, err := tea("link", "make", "ph142-run", "--source", "https://github.com/uni-course/lab1/actions/runs/77/artifacts/7", "--for", "ph142"); err == nil || !strings.Contains(out, "DP-736") || !strings.Contains(out, "daypass pull") || len(l.world.Local.Requests()) != asked {
		t.Errorf("a link to an artifact: %v\n%s", err, out)
	}
	if out, err := tea("link", "make", "ph142-lab1", "--source", "git:"+l.host()+"/uni-course/LAB1-{github}", "--for", "ph142"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, who := range people {
		l.hub.SetGroups(name, "ph142")
		home, run := l.prompt(name, at)
		c.authorize(at, l.url+"connect/"+l.host()+"?next=l/ph142-lab1", name, who.login)
		if who.login == "was" {
			if err := l.world.Local.RenameUser("was", "is"); err != nil {
				t.Fatal(err)
			}
		}
		out, err := run("pull", "link:ph142-lab1", "lab1")
		if text, _ := os.ReadFile(filepath.Join(home, "lab1", "answer.txt")); err != nil || string(text) != "of "+name+"\n" {
			t.Errorf("%s: %v %q\n%s", who.login, err, text, out)
		}
		for other, them := range people {
			_, body, _ := get(t, l.hub.ServerToken(name, ""), at+"api/v1/snapshots?"+url.Values{"source": {"git:" + l.host() + "/uni-course/" + them.repo}}.Encode())
			if strings.Contains(string(body), "pack") {
				t.Errorf("%s is given %s's by its name: %s", name, other, body)
			}
		}
	}
}
