package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
)

// TestGo: what people click leads every name to the same place, signed in or not, and
// looks at nothing.
func TestGo(t *testing.T) {
	modes(t, func(t *testing.T, address string, shared bool) {
		w := newWorld()
		s := start(t, w, address, shared)
		in, out := newBrowser(t, s, address, shared), newBrowser(t, s, address, shared)
		in.signIn("browser-ada", "")
		asked := w.asked
		var first http.Header
		for _, name := range []string{"ph142-lab1", "ph142-old", "no-such-link", "abc", strings.Repeat("z", 64)} {
			for _, b := range []*browser{in, out} {
				for _, how := range ways {
					res := b.do("GET", address+"l/"+name+"?next=//evil.example&link=other", nil, how.head)
					want := "https://hub.example.org/hub/user-redirect/daypass?link=" + name
					if res.StatusCode != 303 || res.Header.Get("Location") != want || res.Header.Get("Set-Cookie") != "" {
						t.Fatalf("%s by %s: %d %q", name, how.name, res.StatusCode, res.Header)
					}
					res.Header.Del("Location")
					if first == nil {
						first = res.Header
					}
					for k := range res.Header {
						if k != "Content-Length" && res.Header.Get(k) != first.Get(k) {
							t.Errorf("%s tells by %s: %q", name, k, res.Header.Get(k))
						}
					}
				}
			}
		}
		for _, name := range []string{"", "ab", "AB-c", "a_b", "%2e%2e%2fx", "abc%0d%0aX:%20y", "abc/def", strings.Repeat("z", 65), "l%C3%A4b1"} {
			if res := out.do("GET", address+"l/"+name, nil, typed); res.StatusCode != 404 && res.StatusCode != 303 || strings.Contains(res.Header.Get("Location"), "evil") || res.Header.Get("X") != "" || strings.Contains(res.Header.Get("Location"), "user-redirect") {
				t.Errorf("%q: %d %q", name, res.StatusCode, res.Header.Get("Location"))
			}
		}
		for _, method := range []string{"POST", "PUT", "DELETE"} {
			if res := out.do(method, address+"l/ph142-lab1", nil, typed); res.StatusCode != 405 {
				t.Errorf("%s: %d", method, res.StatusCode)
			}
		}
		if w.asked != asked || len(w.deeds()) != 0 {
			t.Errorf("the hub was asked %d times, done %q", w.asked-asked, w.deeds())
		}
	})
}

// TestHubAddress: the hub's address is told with its own part or without, below a
// path or not.
func TestHubAddress(t *testing.T) {
	for hub, want := range map[string]string{
		"https://hub.example.org": "https://hub.example.org/hub/x", "https://hub.example.org/": "https://hub.example.org/hub/x", "https://hub.example.org/hub/": "https://hub.example.org/hub/x",
		"https://hub.example.org/jupyter/": "https://hub.example.org/jupyter/hub/x", "https://hub.example.org/jupyter/hub": "https://hub.example.org/jupyter/hub/x",
	} {
		s := &Server{c: Config{Hub: Hub{URL: hub}}}
		if got := s.hubAt("x"); got != want {
			t.Errorf("%s: %s", hub, got)
		}
	}
}

func postLink(t *testing.T, s *Server, b *browser, path string, form url.Values) (int, string) {
	t.Helper()
	form.Set("form", codeFor(t, s, b, path))
	res := b.do("POST", b.base+path, form, b.own())
	return res.StatusCode, text(t, res)
}

// TestLinkForm makes, copies and changes links as a browser without scripts does.
func TestLinkForm(t *testing.T) {
	modes(t, func(t *testing.T, address string, shared bool) {
		w := newWorld()
		s := start(t, w, address, shared)
		b := newBrowser(t, s, address, shared)
		b.signIn("browser-ada", "")
		has := func(what string, status, want int, body string, words ...string) {
			t.Helper()
			if status != want {
				t.Errorf("%s: %d, want %d", what, status, want)
			}
			for _, word := range words {
				if !strings.Contains(body, word) {
					t.Errorf("%s: the page lacks %q:\n%s", what, word, body)
				}
			}
		}
		paste := "https://drive.google.com/drive/folders/1AbCdEfGhIjKl"
		status, body := postLink(t, s, b, "newlink", url.Values{"do": {"read"}, "paste": {paste}})
		has("read", status, 200, body, "Share the folder in Drive", "ph142@course.iam.gserviceaccount.com", `name="source" value="`+labSource+`"`)
		status, body = postLink(t, s, b, "newlink", url.Values{"do": {"pick"}})
		has("pick", status, 200, body, "enrolled for a group of yours", `type="radio" name="source" value="`+labSource+`"`, "Courses that you teach at canvas.example.edu", `value="canvas:canvas.example.edu/courses/71"`, "PH142-F26",
			"Repositories that you administer at GitHub", `value="git:github.com/tidal-lab/ocean-models"`, "There may be more", `connect/github.example.edu:8443?next=newlink"`, "canvas.elsewhere.example gives no access at the moment", "DP-815")
		status, body = postLink(t, s, b, "newlink", url.Values{"do": {"pick"}, "paste": {"nonsense"}, "like": {"ph142-lab1"}})
		has("pick for a copy", status, 200, body, `connect/github.example.edu:8443?next=newlink%3flike%3dph142-lab1"`)
		if strings.Contains(body, "nonsense") || strings.Contains(body, "no address of content") {
			t.Error("what was pasted stands against what is chosen")
		}
		chosen := "canvas:canvas.example.edu/courses/71" // and after it the form's own
		status, body = postLink(t, s, b, "links/ph142-lab1", url.Values{"do": {"read"}, "source": {chosen, labSource}, "title": {"Lab 1: tides"}, "named": {"Lab 1: tides"}, "audience": {"ph142"}})
		has("chosen for a link", status, 200, body, "It reads", "Canvas courses/71", `name="source" value="`+chosen+`"`, `id="title" name="title" type="text" maxlength="200" value=""`)
		status, body = postLink(t, s, b, "links/ph142-lab1", url.Values{"do": {"pick"}})
		has("pick for a link", status, 200, body, `value="`+labSource+`" checked`, `connect/github.example.edu:8443?next=links%2fph142-lab1"`)
		status, body = postLink(t, s, b, "newlink", url.Values{"do": {"read"}, "source": {labSource}})
		has("picked", status, 200, body, "It reads", `name="source" value="`+labSource+`"`)
		status, body = postLink(t, s, b, "newlink", url.Values{"do": {"test"}, "source": {labSource}})
		has("test", status, 200, body, "It can be read", "Lab 1: tides", `value="Lab 1: tides"`, `value="lab-1-tides"`)
		status, body = postLink(t, s, b, "newlink", url.Values{"do": {"test"}, "paste": {"https://drive.google.com/drive/folders/private"}})
		has("not shared", status, 200, body, "not shared yet", "DP-734", "share it with")
		status, body = postLink(t, s, b, "newlink", url.Values{"do": {"browse"}, "source": {labSource}})
		has("browse", status, 200, body, `value="at:data/"`, `value="open:start here.ipynb"`, "a form cannot be exported")
		status, body = postLink(t, s, b, "newlink", url.Values{"do": {"at:data/"}, "source": {labSource}})
		has("a folder", status, 200, body, `value="at:data/buoys/"`, `value="open:data/tides.csv"`, `value="at:"`)
		status, body = postLink(t, s, b, "newlink", url.Values{"do": {"open:data/tides.csv"}, "source": {labSource}, "title": {"kept"}})
		has("a file", status, 200, body, `name="open" type="text" maxlength="512" value="data/tides.csv"`, `value="kept"`)
		status, body = postLink(t, s, b, "newlink", url.Values{"do": {"make"}, "source": {labSource}, "name": {"A B"}})
		has("a bad form", status, 400, body, "3 to 64 small letters", "Name a group")
		status, body = postLink(t, s, b, "newlink", url.Values{"do": {"make"}, "source": {labSource}, "name": {"taken"}, "audience": {"ph142"}})
		has("a taken name", status, 400, body, "DP-730", `value="ph142"`)
		before := len(w.deeds())
		status, body = postLink(t, s, b, "newlink", url.Values{"do": {"make"}, "source": {labSource}, "name": {"ph142-lab9"}, "audience": {"ph142"}, "until": {"2027-01-31"}, "app": {"lab"}})
		has("made", status, 200, body, "The link is made", address+"l/ph142-lab9")
		status, body = postLink(t, s, b, "newlink", url.Values{"do": {"make"}, "like": {"ph142-lab1"}, "source": {labSource}, "name": {"ph142-fall"}, "everybody": {"yes"}})
		has("copied", status, 200, body, "The link is made")
		for do, said := range map[string]string{"pause": "It is paused", "resume": "It goes on", "extend": "It lasts until the end of 2027-05-21", "save": "It is changed"} {
			status, body = postLink(t, s, b, "links/ph142-lab1", url.Values{"do": {do}, "audience": {"ph142"}})
			has(do, status, 200, body, said)
		}
		status, body = postLink(t, s, b, "links/ph142-lab1", url.Values{"do": {"student"}})
		has("student", status, 200, body, "What a student sees", "It can be read", "start here.ipynb", "What is left out", "video.mp4</span> <small>3.2 GB</small>: it is larger than 100 MB", "form</span>: a form cannot be exported")
		status, body = postLink(t, s, b, "links/ph142-lab3", url.Values{"do": {"student"}})
		has("student of a template", status, 200, body, "which decides what they see", "Each has files of their own")
		if status, body = postLink(t, s, b, "links/ph142-lab4", url.Values{"do": {"student"}}); strings.Contains(body, "What they get") {
			t.Error("files are listed that nobody gets")
		}
		has("student of a link whose source is lost", status, 200, body, "They are told:", "DP-727")
		status, body = postLink(t, s, b, "links/ph142-lab1", url.Values{"do": {"end"}})
		has("end", status, 200, body, "The link has ended")
		did := strings.Join(w.deeds()[before:], "\n")
		for _, want := range []string{"make-link ada ph142-lab9", "copy-link ada ph142-lab1 ph142-fall", "edit-link ada ph142-lab1", "end-link ada ph142-lab1"} {
			if !strings.Contains(did, want) {
				t.Errorf("not done: %s of\n%s", want, did)
			}
		}
		made := w.linkAsks[0]
		if made.Source == nil || made.Source.String() != labSource || made.Until.Format("2006-01-02 15:04:05") != "2027-01-31 23:59:59" || made.From != nil || *made.Audience != "ph142" {
			t.Errorf("asked for %+v", made)
		}
		if *w.linkAsks[1].Audience != api.Everybody {
			t.Errorf("the copy is for %q", *w.linkAsks[1].Audience)
		}
	})
}

// TestInvitationForm: an invitation is asked for where the source stands for one of each
// student's own, shown as what it is, and said of no other source.
func TestInvitationForm(t *testing.T) {
	w := newWorld()
	s := start(t, w, ownURL, false)
	b := newBrowser(t, s, ownURL, false)
	b.signIn("browser-ada", "")
	const template, other, invitation, field = "git:github.com/tidal-lab/lab3-{github}", "git:github.com/tidal-lab/lab4-{github}", "https://classroom.github.com/a/tides-3", `id="accept" name="accept"`
	post := func(path string, want int, form url.Values) string {
		t.Helper()
		status, body := postLink(t, s, b, path, form)
		if status != want {
			t.Errorf("%s %v: %d", path, form, status)
		}
		return body
	}
	if body := post("newlink", 200, url.Values{"do": {"read"}, "source": {labSource}}); strings.Contains(body, field) {
		t.Error("it is asked for of a folder of Drive")
	}
	if body := post("newlink", 200, url.Values{"do": {"read"}, "source": {template}, "accept": {invitation}}); !strings.Contains(body, field) || !strings.Contains(body, `value="`+invitation+`"`) {
		t.Error("it is not asked for, or forgotten")
	}
	if body := post("newlink", 200, url.Values{"do": {"read"}, "source": {template}, "paste": {other}, "accept": {invitation}}); strings.Contains(body, invitation) {
		t.Error("it is said of another source")
	}
	base := func(more url.Values) url.Values {
		q := url.Values{"do": {"make"}, "source": {template}, "name": {"ph142-lab9"}, "audience": {"ph142"}}
		for k, v := range more {
			q[k] = v
		}
		return q
	}
	for _, bad := range []string{"javascript:alert(1)", "http://classroom.github.com/a/x", "https://classroom.github.com@evil.example/", "https://u:p@evil.example/", "https://classroom.github.com\\@evil.example"} {
		if body := post("newlink", 400, base(url.Values{"accept": {bad}})); !strings.Contains(body, "That is no address such as") || strings.Contains(body, "href=\""+bad) {
			t.Errorf("%q: %s", bad, body)
		}
	}
	last := func() LinkAsk { return w.linkAsks[len(w.linkAsks)-1] }
	if len(w.linkAsks) != 0 {
		t.Fatalf("asked: %+v", w.linkAsks)
	}
	if post("newlink", 200, base(url.Values{"accept": {invitation}})); *last().Accept != invitation {
		t.Errorf("made with %+v", last())
	}
	if post("links/ph142-lab3", 200, url.Values{"do": {"save"}, "audience": {"ph142"}}); last().Accept == nil || *last().Accept != "" {
		t.Errorf("taken out: %+v", last())
	}
	if post("links/ph142-lab1", 200, url.Values{"do": {"save"}, "audience": {"ph142"}}); last().Accept != nil {
		t.Errorf("of a folder of Drive: %q", *last().Accept)
	}
	if body := text(t, b.get("links/ph142-lab3")); !strings.Contains(body, "<code>"+invitation+"</code>") || !strings.Contains(body, `value="`+invitation+`"`) || strings.Contains(body, `href="`+invitation) {
		t.Error("its page does not show it as a text")
	}
	if body := text(t, b.get("newlink?like=ph142-lab3")); !strings.Contains(body, field) || strings.Contains(body, invitation) {
		t.Error("a copy keeps it")
	}
	if body := post("links/ph142-lab3", 200, url.Values{"do": {"student"}}); !strings.Contains(body, `<a href="`+invitation+`" target="_blank" rel="noopener noreferrer"><span class="name">`+invitation+`</span>`) {
		t.Errorf("what a student sees: %s", body)
	}
}

// TestTitleForm: a title that the form filled in itself is the source's; one that
// somebody wrote is sent.
func TestTitleForm(t *testing.T) {
	w := newWorld()
	s := start(t, w, ownURL, false)
	b := newBrowser(t, s, ownURL, false)
	b.signIn("browser-ada", "")
	sent := func(path string, form url.Values) *string {
		t.Helper()
		form.Set("audience", "ph142")
		if status, body := postLink(t, s, b, path, form); status != 200 {
			t.Fatalf("%v: %d %s", form, status, body)
		}
		return w.linkAsks[len(w.linkAsks)-1].Title
	}
	_, body := postLink(t, s, b, "newlink", url.Values{"do": {"test"}, "source": {labSource}, "title": {"of before"}, "named": {"of before"}})
	if !strings.Contains(body, `type="hidden" name="named" value="Lab 1: tides"`) || !strings.Contains(body, `maxlength="200" value="Lab 1: tides"`) {
		t.Errorf("another source was tested: %s", body)
	}
	if _, body = postLink(t, s, b, "newlink", url.Values{"do": {"test"}, "source": {labSource}, "title": {"Mine"}, "named": {"of before"}}); !strings.Contains(body, `maxlength="200" value="Mine"`) {
		t.Error("what somebody wrote is written over")
	}
	if got := sent("newlink", url.Values{"do": {"make"}, "source": {labSource}, "name": {"lab-9"}, "title": {"Lab 1: tides"}, "named": {"Lab 1: tides"}}); got != nil {
		t.Errorf("as it was filled in: %q", *got)
	}
	if got := sent("newlink", url.Values{"do": {"make"}, "source": {labSource}, "name": {"lab-9"}, "title": {"Lab 1: tides"}}); got == nil || *got != "Lab 1: tides" {
		t.Errorf("as somebody wrote it: %v", got)
	}
	if body := text(t, b.get("links/ph142-lab1")); !strings.Contains(body, `name="named" value="Lab 1: tides"`) {
		t.Error("the page of a link forgets whose title it has")
	}
	if got := sent("links/ph142-lab1", url.Values{"do": {"save"}, "title": {"Tides"}, "named": {"Lab 1: tides"}}); got == nil || *got != "Tides" {
		t.Errorf("changed: %v", got)
	}
	if body := text(t, b.get("links/ph142-spring")); strings.Contains(body, `name="named"`) {
		t.Error("a title that somebody wrote is taken for the source's")
	}
}

// TestCopyCourse copies the links of a group in one form: the names and clashes are shown
// first, and nothing is made where one is not good.
func TestCopyCourse(t *testing.T) {
	w := newWorld()
	s := start(t, w, ownURL, false)
	b := newBrowser(t, s, ownURL, false)
	b.signIn("browser-ada", "")
	before := len(w.deeds())
	post := func(want int, form url.Values, words ...string) string {
		t.Helper()
		status, body := postLink(t, s, b, "copylinks", form)
		for _, word := range words {
			if status != want || !strings.Contains(body, word) {
				t.Errorf("%v: %d, or no %q:\n%s", form, status, word, body)
			}
		}
		return body
	}
	if body := text(t, b.get("copylinks")); !strings.Contains(body, `value="ph142" selected`) || !strings.Contains(body, "4 links to copy") || strings.Contains(body, `id="make"`) || strings.Contains(body, "ph142-spring</code>") {
		t.Errorf("%s", body)
	}
	post(200, url.Values{"do": {"show"}, "group": {"ph142"}, "audience": {"ph143"}}, "becomes <code>ph143-lab1</code>", "becomes <code>ph143-exam</code>", "Copy 4 links")
	clash := url.Values{"group": {"ph142"}, "audience": {"ph143"}, "begins": {"ph142-lab1"}, "by": {"ph142-lab4"}}
	for _, do := range []string{"show", "make"} {
		clash.Set("do", do)
		body := post(map[string]int{"show": 200, "make": 400}[do], clash, "You have, or had, a link of that name", "That is its name now")
		if strings.Contains(body, `id="make"`) {
			t.Error("it can be made all the same")
		}
	}
	post(400, url.Values{"do": {"make"}, "group": {"ph142"}, "suffix": {"fall"}}, "Name a group of the hub", "becomes <code>ph142-lab1-fall</code>")
	if got := w.deeds()[before:]; len(got) > 0 {
		t.Fatalf("done: %q", got)
	}
	post(200, url.Values{"do": {"make"}, "group": {"ph142"}, "shown": {"ph142"}, "link": {"ph142-lab1", "ph142-exam"}, "audience": {"ph143"}, "begins": {"ph142"}, "by": {"ph143"}, "until": {"2027-01-31"}},
		"The links are copied", "ph143-exam, ph143-lab1")
	if got := strings.Join(w.deeds()[before:], "\n"); got != "copy-links ada ph142-exam ph143-exam ph142-lab1 ph143-lab1" {
		t.Errorf("done: %s", got)
	}
	bob := newBrowser(t, s, ownURL, false)
	bob.signIn("browser-bob", "")
	if body := text(t, bob.get("copylinks")); strings.Contains(body, "<form method=\"post\" action=\"/services/daypass/copylinks\"") || !strings.Contains(body, "You may not make links here") {
		t.Errorf("who may make none: %s", body)
	}
}

// TestLinkPagesAreOnesOwn: nobody's page shows another's link, who may make none is
// told so, and where there are no links there is no page and no tab.
func TestLinkPagesAreOnesOwn(t *testing.T) {
	w := newWorld()
	s := start(t, w, ownURL, false)
	bob := newBrowser(t, s, ownURL, false)
	bob.signIn("browser-bob", "")
	if body := text(t, bob.get("newlink")); !strings.Contains(body, "You may not make links here") || strings.Contains(body, "<input id=") {
		t.Error("the form is shown to who may make none")
	}
	if res := bob.get("links/somebody-elses"); res.StatusCode != 404 {
		t.Errorf("%d", res.StatusCode)
	}
	for _, do := range []string{"pause", "end", "save", "student"} {
		if status, _ := postLink(t, s, bob, "links/somebody-elses", url.Values{"do": {do}}); status != 404 {
			t.Errorf("%s: %d", do, status)
		}
	}
	if d := w.deeds(); len(d) != 0 {
		t.Errorf("done %q", d)
	}
	c := newWorld().config(ownURL, false)
	c.Broker.LinkParts = LinkParts{}
	none, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t, none, ownURL, false)
	b.signIn("browser-ada", "")
	for _, page := range []string{"links", "links/ph142-lab1", "newlink", "l/ph142-lab1"} {
		if res := b.get(page); res.StatusCode != 404 {
			t.Errorf("%s: %d", page, res.StatusCode)
		}
	}
	if strings.Contains(text(t, b.get("")), ">Links</a>") {
		t.Error("there is a tab for what there is not")
	}
}

// TestHostileLinkRequests: bodies and names that nothing of ours sends.
func TestHostileLinkRequests(t *testing.T) {
	w := newWorld()
	s := start(t, w, ownURL, false)
	long := strings.Repeat("a", 5000)
	for _, c := range []struct{ method, path, body string }{
		{"POST", "links", `{"name":"UPPER"}`}, {"POST", "links", `{"name":"a/../b"}`}, {"POST", "links", `{"name":"ab"}`}, {"POST", "links", `{"source":"https://drive.google.com/x"}`},
		{"POST", "links", `{"name":"abc","source":"drive:drive.google.com/` + long + `"}`}, {"POST", "links", `{"name":"abc","title":"` + long + `"}`}, {"POST", "links", `{"name":"abc","title":"a\u0000b"}`},
		{"POST", "links", `{"name":"abc","open":"a\nb"}`}, {"POST", "links", `{"name":"abc","maker":"bob"}`}, {"POST", "links", `{"name":["abc"]}`}, {"POST", "links", `{"name":"abc","accept":"http://classroom.github.com/a/x"}`}, {"POST", "links", `{"name":"abc","accept":"https://a.example@evil.example/"}`},
		{"PATCH", "links/ph142-lab3", `{"accept":"https://a.example/` + long + `"}`},
		{"POST", "links", `{"name":"abc","until":"tomorrow"}`}, {"POST", "links", `[]`}, {"POST", "links", ``},
		{"PATCH", "links/ph142-lab1", `{"app":"a\u202eb` + "\x00" + `"}`}, {"POST", "links/ph142-lab1/copy", `{"source":"git:"}`},
		{"POST", "sources/test", `{"source":"file:///etc/passwd"}`}, {"POST", "sources/test", `{"source":"` + labSource + `","path":"` + long + `"}`}, {"POST", "sources/test", `{}`},
		{"POST", "sources/browse", `{"source":"` + labSource + `","url":"http://169.254.169.254/"}`},
	} {
		if res := apiDo(s, c.method, ownURL+"api/v1/"+c.path, "server-ada", c.body); res.StatusCode != 400 {
			t.Errorf("%s %s %.60s: %d", c.method, c.path, c.body, res.StatusCode)
		}
	}
	if d := w.deeds(); len(d) != 0 {
		t.Errorf("done %q", d)
	}
}

// TestHostileTitles: what others named is shown as text, on every page of links, and
// cannot make a badge say something else.
func TestHostileTitles(t *testing.T) {
	for _, evil := range []string{`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, "a\u202egpj.exe", "](https://evil.example) [x", "{{.User}}", "line\nfeed\x1b[31m"} {
		w := newWorld()
		w.evil = evil
		s := start(t, w, ownURL, false)
		b := newBrowser(t, s, ownURL, false)
		b.signIn("browser-ada", "")
		_, test := postLink(t, s, b, "newlink", url.Values{"do": {"test"}, "source": {labSource}})
		_, browse := postLink(t, s, b, "newlink", url.Values{"do": {"browse"}, "source": {labSource}})
		_, student := postLink(t, s, b, "links/ph142-lab1", url.Values{"do": {"student"}})
		_, pick := postLink(t, s, b, "newlink", url.Values{"do": {"pick"}})
		for i, body := range []string{pick, text(t, b.get("links")), text(t, b.get("links/ph142-lab1")), text(t, b.get("newlink?like=ph142-lab1")), test, browse, student} {
			if strings.Contains(body, "<script>alert") || strings.Contains(body, "<img") || strings.Contains(body, "\u202e") || strings.Contains(body, "\x1b") || strings.Contains(body, "ZgotmplZ") {
				t.Errorf("page %d is not safe from %q", i, evil)
			}
		}
		badge := s.linkForms(w.links()[0])["markdown"]
		if strings.Count(badge, "](") != 2 || strings.ContainsAny(badge, "\u202e\n\x1b<>") {
			t.Errorf("the badge of %q: %s", evil, badge)
		}
	}
}

// TestLinkForms: the forms to copy, with everything escaped once and no more.
func TestLinkForms(t *testing.T) {
	s := start(t, newWorld(), sharedURL, true)
	public := api.Link{Name: "lab-2", Mine: true, Public: true, Source: "git:github.com/org/course@dev/x#labs/week%202", Open: "a b&c.ipynb", Folder: "my lab"}
	f := s.shownLink(public).Forms
	for name, want := range map[string]string{
		"url":         "https://hub.example.org/services/daypass/l/lab-2",
		"lti":         "https://hub.example.org/hub/lti/launch?next=%2Fhub%2Fuser-redirect%2Fdaypass%3Flink%3Dlab-2",
		"lti_custom":  "next=/hub/user-redirect/daypass?link=lab-2",
		"markdown":    "[![Open “lab-2”](https://hub.example.org/services/daypass/badge.svg)](https://hub.example.org/services/daypass/l/lab-2)",
		"nbgitpuller": "https://hub.example.org/hub/user-redirect/git-pull?branch=dev%2Fx&repo=https%3A%2F%2Fgithub.com%2Forg%2Fcourse&targetPath=my+lab&urlpath=lab%2Ftree%2Fmy%2520lab%2Flabs%2Fweek%25202%2Fa%2520b%26c.ipynb",
		"binder":      "https://mybinder.org/v2/gh/org/course/dev%2Fx?urlpath=lab%2Ftree%2Flabs%2Fweek%25202%2Fa%2520b%26c.ipynb",
	} {
		if f[name] != want {
			t.Errorf("%s: %s\nwant %s", name, f[name], want)
		}
	}
	private, drive, theirs := public, public, public
	private.Public, drive.Source, theirs.Mine = false, labSource, false
	if f := s.shownLink(private).Forms; f["nbgitpuller"] != "" || f["binder"] != "" || f["lti"] == "" {
		t.Errorf("a private repository: %q", f)
	}
	if f := s.shownLink(drive).Forms; f["nbgitpuller"] != "" || f["url"] == "" {
		t.Errorf("a folder of Drive: %q", f)
	}
	if f := s.shownLink(theirs).Forms; f != nil {
		t.Errorf("another's: %q", f)
	}
}

// TestConnectGoesOn: who connects for a link comes back to that link, once, and to
// nothing else.
func TestConnectGoesOn(t *testing.T) {
	modes(t, func(t *testing.T, address string, shared bool) {
		w := newWorld()
		s := start(t, w, address, shared)
		b := newBrowser(t, s, address, shared)
		b.signIn("browser-ada", "")
		finish := func() string {
			res := b.do("GET", address+"oauth/github/github.com/callback?code=x&state="+sessionName(b.cookies[s.sessions.Cookie.Name].Value), nil, fetched("cross-site", "navigate", "document", ""))
			return res.Header.Get("Location")
		}
		if body := text(t, b.get("connect/github.com?next=l/ph142-lab1")); !strings.Contains(body, `name="next" value="l/ph142-lab1"`) || !strings.Contains(body, "goes on") {
			t.Error("the page does not keep the link")
		}
		if status, _ := postLink(t, s, b, "connect/github.com", url.Values{"next": {"l/ph142-lab1"}}); status != 303 {
			t.Fatal(status)
		}
		if to := finish(); to != s.path("l/ph142-lab1") {
			t.Errorf("it leads to %q", to)
		}
		if to := finish(); to != "" {
			t.Errorf("the second time it leads to %q", to)
		}
		postLink(t, s, b, "connect/github.com", url.Values{"next": {"l/ph142-lab1"}})
		postLink(t, s, b, "connect/github.com", url.Values{})
		if to := finish(); to != "" {
			t.Errorf("a connection without a link leads to %q", to)
		}
		for next, want := range map[string]string{"newlink": "newlink?pick=yes#picks", "/newlink": "newlink?pick=yes#picks", "newlink?like=ph142-lab1": "newlink?like=ph142-lab1&pick=yes#picks", "links/ph142-lab1": "links/ph142-lab1?pick=yes#picks"} {
			if body := text(t, b.get("connect/github.com?next="+url.QueryEscape(next))); !strings.Contains(body, `name="next" value="`+strings.TrimPrefix(next, "/")+`"`) || !strings.Contains(body, "Afterwards you choose what your link reads") {
				t.Errorf("%s: the page does not keep the form", next)
			}
			postLink(t, s, b, "connect/github.com", url.Values{"next": {next}})
			to := finish()
			if to != s.path(want) {
				t.Errorf("%s leads to %q", next, to)
			}
			at, _, _ := strings.Cut(strings.TrimPrefix(to, s.base), "#")
			if res := b.get(at); res.StatusCode != 200 || !strings.Contains(text(t, res), "Courses that you teach at") {
				t.Errorf("%s: %d, or it shows nothing to choose from", to, res.StatusCode)
			}
		}
		for _, evil := range []string{"//evil.example", "l/../signin", "l//evil.example", "l/ab", "https://evil.example/l/abc", "l/abc?x", "l/abc\r\nX: y", "links/ab", "links/../signin", "newlink?like=x", "newlink?like=abc&do=make", "newlink?paste=x", "newlink/", "passes/new", "\\l/abc"} {
			postLink(t, s, b, "connect/github.com", url.Values{"next": {evil}})
			if to := finish(); to != "" {
				t.Errorf("%q leads to %q", evil, to)
			}
		}
	})
}

var errDisk = errors.New("the disk is gone")

// TestLinksFail: where the broker fails, a page says so without its words.
func TestLinksFail(t *testing.T) {
	c := newWorld().config(ownURL, false)
	brokenLinks(&c.Broker, errDisk)
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t, s, ownURL, false)
	b.signIn("browser-ada", "")
	if status, body := postLink(t, s, b, "newlink", url.Values{"do": {"test"}, "source": {labSource}}); status != 500 || strings.Contains(body, "disk") {
		t.Errorf("%d", status)
	}
	s.c.Broker.TestSource = func(context.Context, daypass.Caller, daypass.Source, string) (api.SourceTest, error) {
		return api.SourceTest{}, &Refusal{Problem: &daypass.Problem{Code: "DP-813", What: "not connected", Kind: daypass.ErrNoLogin}, Link: "connect/canvas.example.edu"}
	}
	c2 := newWorld()
	s.c.Broker.Links, s.c.Broker.LinkTerms = c2.linkParts().Links, c2.linkTerms
	if status, body := postLink(t, s, b, "newlink", url.Values{"do": {"test"}, "source": {labSource}}); status != 200 || !strings.Contains(body, `href="/connect/canvas.example.edu"`) {
		t.Errorf("what has to be connected: %d\n%s", status, body)
	}
	if status, body := postLink(t, s, b, "newlink", url.Values{"do": {"pick"}}); status != 500 || strings.Contains(body, "disk") {
		t.Errorf("picking: %d", status)
	}
	s.c.Broker.Pick = func(context.Context, daypass.Caller, string) ([]api.Offer, error) {
		return nil, &Refusal{Problem: &daypass.Problem{Code: "DP-748", What: "many sources were looked at in your name", Next: "Try again in a few seconds.", Kind: daypass.ErrUnreachable}}
	}
	for what, body := range map[string]string{"the button": text(t, b.do("POST", b.base+"newlink", url.Values{"form": {codeFor(t, s, b, "newlink")}, "do": {"pick"}, "source": {labSource}}, b.own())), "the address": text(t, b.get("newlink?pick=yes&source="+url.QueryEscape(labSource))), "a link's page": text(t, b.get("links/ph142-lab1?pick=yes"))} {
		if !strings.Contains(body, "DP-748") || !strings.Contains(body, labSource) || strings.Contains(body, `id="picks"`) {
			t.Errorf("picking too often, by %s: %s", what, body)
		}
	}
	s.c.Broker.Links = func(context.Context, daypass.Caller) ([]api.Link, error) { return nil, errDisk }
	if res := b.get("links"); res.StatusCode != 500 {
		t.Errorf("%d", res.StatusCode)
	}
	if !errors.Is(noSuchLink(), daypass.ErrRefused) {
		t.Error("another's link is no refusal")
	}
}

// TestListSources: programs get what the page shows, and pages to connect with their whole
// address; a page shows nothing to choose from to who may make no links.
func TestListSources(t *testing.T) {
	modes(t, func(t *testing.T, address string, shared bool) {
		w := newWorld()
		s := start(t, w, address, shared)
		res := apiDo(s, "GET", address+"api/v1/sources", "server-ada", "")
		var got api.Offers
		if err := json.Unmarshal([]byte(text(t, res)), &got); err != nil || res.StatusCode != 200 || len(got.Offers) != 5 {
			t.Fatalf("%d, %v, %+v", res.StatusCode, err, got)
		}
		if o := got.Offers[3]; o.Connect != address+"connect/github.example.edu:8443" || o.Sources == nil || o.Code != "DP-816" {
			t.Errorf("%+v", o)
		}
		if o := got.Offers[1]; o.Sources[0].Source != "canvas:canvas.example.edu/courses/71" || o.More {
			t.Errorf("%+v", o)
		}
		if res := apiDo(s, "GET", address+"api/v1/sources", "server-bob", ""); res.StatusCode != 403 {
			t.Errorf("who may make none: %d", res.StatusCode)
		}
		ada := newBrowser(t, s, address, shared)
		ada.signIn("browser-ada", "")
		before := len(w.deeds())
		w.stale = true
		if body := text(t, ada.get("newlink?pick=yes")); !strings.Contains(body, "DP-888") || strings.Contains(body, "tidal-lab") || len(w.deeds()) != before {
			t.Errorf("while the hub is away: %s", body)
		}
		w.stale = false
		bob := newBrowser(t, s, address, shared)
		bob.signIn("browser-bob", "")
		if body := text(t, bob.get("newlink?pick=yes")); strings.Contains(body, "tidal-lab") || len(w.deeds()) != before {
			t.Errorf("who may make none is shown %s", body)
		}
	})
}
