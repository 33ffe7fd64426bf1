package main

import (
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/provider/canvas/oauth"
)

// TestPickJourney: an instructor who pastes nothing. On the form of a new link they ask
// what there is to choose from, connect Canvas and GitHub from there, come back to the
// form each time, take what is listed, test it, a folder of it too that is not there, and
// make links of it; then the same at a prompt.
// Another instructor sees nothing of it.
func TestPickJourney(t *testing.T) {
	t.Parallel()
	c := newCampus(t, oauth.Scopes())
	if err := c.world.Local.Add(fake.Seed{Installations: []fake.Installation{{ID: 7101, App: fake.CampusPushApp, Account: "uni-course", Repos: []int64{fake.CampusHomeworkRepo}}}}); err != nil {
		t.Fatal(err)
	}
	svc, at := c.serving()
	c.hub.SetGroups("tea", "instructors", "ph142-staff")
	c.hub.SetGroups("oth", "instructors")
	c.hub.SetGroups("stu", "ph142")
	folder := daypass.Source{Kind: daypass.KindDrive, Host: "drive.google.com", ID: "fLab1ofPh142"}
	if err := svc.broker.Enrol(t.Context(), folder, "ph142", "root"); err != nil {
		t.Fatal(err)
	}
	course, repo := "canvas:"+c.site+"/courses/7", "git:"+c.host()+"/uni-course/homework"
	v := c.visitor(at)
	u, page := v.open(c.url + "newlink")
	u, page = v.send(u, page, "login", url.Values{"username": {"tea"}})
	u, page = v.send(u, page, "newlink", url.Values{"do": {"pick"}})
	shows := func(good bool, words ...string) {
		t.Helper()
		for _, w := range words {
			if strings.Contains(page, w) != good {
				t.Fatalf("%s: %q shown: %v\n%s", u, w, !good, page)
			}
		}
	}
	shows(true, folder.String(), "Courses that you teach at", "Repositories that you administer at")
	shows(false, course, repo)
	for _, host := range []string{c.site, c.host()} {
		u, page = v.connects(u, page, host)
		if u.Path != "/newlink" || u.RawQuery != "pick=yes" {
			t.Fatalf("it leads to %s\n%s", u, page)
		}
	}
	shows(true, folder.String(), `value="`+course+`"`, "“Physics 142”", `value="`+repo+`"`, "uni-course/homework")
	shows(false, "It is not connected", "could not be asked", "river-lab/data")
	instead := map[string]string{course: "“lab 1” and “staffroom”: give " + course + "#lab%201 as the source", repo: "give " + repo + " as the source", folder.String(): "give " + folder.String() + " as the source"}
	for source, name := range map[string]string{course: "picked-course", repo: "picked-repo", folder.String(): "picked-folder"} {
		u, page = v.open(c.url + "newlink?pick=yes")
		u, page = v.send(u, page, "newlink", url.Values{"do": {"read"}, "source": {source}})
		shows(true, "It reads", `name="source" value="`+source+`"`)
		u, page = v.send(u, page, "newlink", url.Values{"do": {"test"}, "source": {source}})
		shows(true, "It can be read")
		u, page = v.send(u, page, "newlink", url.Values{"do": {"test"}, "source": {source + "#lab%202"}})
		shows(true, "has no folder “lab 2”", instead[source])
		shows(false, "It can be read")
		_, made := v.send(u, page, "newlink", url.Values{"do": {"make"}, "source": {source}, "name": {name}, "audience": {"ph142"}})
		if !strings.Contains(made, "The link is made") {
			t.Errorf("%s: %s", source, made)
		}
	}

	_, tea := c.prompt("tea", at)
	out := c.does(tea, "  "+course+"  “Physics 142”\n", "link", "sources")
	for _, want := range []string{"  " + repo + "  uni-course/homework\n", "  " + folder.String() + "  ", "enrolled for a group of yours"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	var list api.Offers
	if err := json.Unmarshal([]byte(c.does(tea, "{", "link", "sources", "--json")), &list); err != nil || len(list.Offers) != 3 || list.Offers[1].Sources[0].Source != course {
		t.Errorf("%v %+v", err, list)
	}
	c.does(tea, "prompted  ", "link", "make", "prompted", "--source", list.Offers[2].Sources[0].Source, "--for", "ph142")

	asked := len(c.canvas.Requests()) + len(c.world.Local.Requests())
	_, oth := c.prompt("oth", at)
	out = c.does(oth, "is not connected yet. Connect it at "+c.url+"connect/"+c.site, "link", "sources")
	_, stu := c.prompt("stu", at)
	c.does(stu, "DP-729", "link", "sources")
	if strings.Contains(out, "Physics") || strings.Contains(out, "homework") || strings.Contains(out, "fLab1") {
		t.Errorf("another's are shown: %s", out)
	}
	if n := len(c.canvas.Requests()) + len(c.world.Local.Requests()); n != asked {
		t.Errorf("for who is not connected %d requests were made", n-asked)
	}
	// Only GETs read, and nothing secret is shown.
	for _, r := range c.canvas.Requests() {
		if r.Method != http.MethodGet && !strings.HasPrefix(r.Path, "/login/oauth2/") {
			t.Errorf("%s %s", r.Method, r.Path)
		}
	}
	for _, secret := range c.canvas.Secrets() {
		if strings.Contains(page+out, secret) {
			t.Error("a secret of Canvas's is shown")
		}
	}
	// What was listed a moment ago is given again, also while the site is away.
	c.canvas.Fault(nil, fake.Fault{Kind: fake.FaultStatus, Status: http.StatusBadGateway})
	c.does(tea, course, "link", "sources")
}

var connectLink = regexp.MustCompile(`href="([^"]*connect/[^"?]*\?next=newlink)"`)

// connects follows the form's own link, and says yes at the host as an instructor.
func (v *visitor) connects(u *url.URL, page, host string) (*url.URL, string) {
	v.t.Helper()
	for _, m := range connectLink.FindAllStringSubmatch(page, -1) {
		to, err := u.Parse(html.UnescapeString(m[1]))
		if err != nil {
			v.t.Fatal(err)
		}
		if !strings.HasSuffix(to.Path, "/"+host) {
			continue
		}
		u, page = v.open(to.String())
		if !strings.Contains(page, `name="next" value="newlink"`) && !strings.Contains(page, `name=next value=newlink`) {
			v.t.Fatalf("%s does not keep the form: %s", u, page)
		}
		u, page = v.send(u, page, "connect/", url.Values{"next": {"newlink"}})
		if strings.HasPrefix(u.Path, "/login/oauth2/") {
			return v.send(u, page, "/login/oauth2/accept", url.Values{"user": {"42"}})
		}
		values := url.Values{"login": {fake.CampusInstructor}, "action": {"authorize"}}
		for _, m := range anyHidden.FindAllStringSubmatch(page, -1) {
			values.Set(m[1], html.UnescapeString(m[2]))
		}
		return v.send(u, page, "/login/oauth/authorize", values)
	}
	v.t.Fatalf("no link connects %s:\n%s", host, page)
	return nil, ""
}
