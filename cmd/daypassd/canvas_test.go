package main

import (
	"bytes"
	"context"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/provider/canvas/oauth"
	"github.com/daypass-dev/daypass/server"
)

// A campus is a library whose courses are in Canvas.
type campus struct {
	*library
	canvas *fake.Canvas
	site   string // the host of Canvas
	key    string // the secret of the developer key
}

func newCampus(t *testing.T, scopes []string) *campus {
	t.Helper()
	c := &campus{key: "canary-canvas-secret-0123456789"}
	c.canvas = fake.NewCanvas(fake.CanvasConfig{Switches: fake.CanvasSwitches{Direct: true}, Seed: fake.CanvasSeed{
		Keys:    []fake.CanvasKey{{ID: "170000000000007", Secret: c.key, Redirects: []string{"127.0.0.1"}, Scopes: scopes}},
		Users:   []fake.CanvasUser{{ID: 42, Name: "Tea Cher"}, {ID: 43, Name: "Stu Dent"}},
		Courses: []fake.CanvasCourse{{ID: 7, Name: "Physics 142", Teachers: []int64{42}, Students: []int64{43}}},
		Folders: []fake.CanvasFolder{{ID: 70, Context: "courses/7", Name: "course files"}, {ID: 71, Context: "courses/7", Parent: 70, Name: "lab 1"}, {ID: 72, Context: "courses/7", Parent: 70, Name: "staffroom", Hidden: true}},
		Files: []fake.CanvasFile{
			{ID: 70101, Folder: 71, Name: "lab1.txt", Text: "one\ntwo\nthree\n"}, {ID: 70102, Folder: 71, Name: "exam-solutions.txt", Text: "forty-two and nothing else\n", Hidden: true},
			{ID: 70103, Folder: 72, Name: "grades-2026.csv", Text: "stu,17\n"}, {ID: 70104, Folder: 70, Name: "read me.txt", Text: "hello\n"},
		},
	}})
	srv := httptest.NewServer(c.canvas)
	t.Cleanup(srv.Close)
	c.site = strings.TrimPrefix(srv.URL, "http://")
	c.library = newLibrary(t, "")
	c.edit("hosts: []", "canvas: [{host: \""+c.site+"\", client_id: \"170000000000007\", client_secret: \"file:"+c.file("etc/canvas-secret", c.key)+"\"}]")
	return c
}

// A visitor is somebody at a browser without scripts.
type visitor struct {
	t      *testing.T
	client *http.Client
}

// visitor opens one, for whom the service's address leads to where it really is.
func (c *office) visitor(at string) *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	really := strings.TrimSuffix(strings.TrimPrefix(at, "http://"), "/")
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == c.listen {
			address = really
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	return &visitor{c.t, &http.Client{Jar: jar, Transport: navigating{&http.Transport{DialContext: dial}}, Timeout: 20 * time.Second}}
}

// navigating adds what browsers say of a page that is opened as one.
type navigating struct{ next http.RoundTripper }

func (n navigating) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	if r.Header.Get("Sec-Fetch-Site") == "" {
		r.Header.Set("Sec-Fetch-Site", "cross-site")
	}
	return n.next.RoundTrip(r)
}

// open returns a page, and where it is after redirects.
func (v *visitor) open(address string) (*url.URL, string) {
	v.t.Helper()
	res, err := v.client.Get(address)
	return v.page(res, err)
}

func (v *visitor) page(res *http.Response, err error) (*url.URL, string) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return res.Request.URL, string(body)
}

var (
	formAction = regexp.MustCompile(`<form[^>]*action="?([^" >]*)"?[^>]*>`)
	formHidden = regexp.MustCompile(`name="?(form|_xsrf)"? value="?([^" >]*)"?`)
)

// send presses a button: of the form whose action ends so.
func (v *visitor) send(at *url.URL, page, action string, values url.Values) (*url.URL, string) {
	v.t.Helper()
	for _, m := range formAction.FindAllStringSubmatchIndex(page, -1) {
		to := html.UnescapeString(page[m[2]:m[3]])
		if !strings.Contains(to, action) {
			continue
		}
		rest, _, _ := strings.Cut(page[m[1]:], "</form>")
		for _, h := range formHidden.FindAllStringSubmatch(rest, -1) {
			values.Set(h[1], html.UnescapeString(h[2]))
		}
		u, err := at.Parse(to)
		if err != nil {
			v.t.Fatal(err)
		}
		req, err := http.NewRequest(http.MethodPost, u.String(), strings.NewReader(values.Encode()))
		if err != nil {
			v.t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", u.Scheme+"://"+u.Host)
		req.Header.Set("Sec-Fetch-Site", "same-origin")
		res, err := v.client.Do(req)
		return v.page(res, err)
	}
	v.t.Fatalf("%s has no form for %s:\n%s", at, action, page)
	return nil, ""
}

// connect signs somebody in to the hub, and says yes at Canvas.
func (c *campus) connect(at, name, button string) (*visitor, string) {
	c.t.Helper()
	v := c.visitor(at)
	u, page := v.open(c.url + "connect/" + c.site)
	if strings.Contains(u.Path, "/hub/login") {
		u, page = v.send(u, page, "login", url.Values{"username": {name}})
	}
	if !strings.Contains(page, "What you allow") || strings.Contains(page, "push") {
		c.t.Fatalf("%s: %s", u, page)
	}
	u, page = v.send(u, page, "connect/", url.Values{})
	if u.Host != c.site {
		c.t.Fatalf("sent to %s: %s", u, page)
	}
	u, page = v.send(u, page, "/login/oauth2/accept", url.Values{"user": {button}})
	if !strings.HasPrefix(u.Path, "/oauth/canvas/") {
		c.t.Errorf("came back to %s", u)
	}
	return v, page
}

// TestCanvasJourney: an instructor's link to a course; a student who is told to connect,
// connects in a browser, pulls, edits, and pulls again. Nothing of what is hidden from
// them reaches their machine, and no token.
func TestCanvasJourney(t *testing.T) {
	t.Parallel()
	c := newCampus(t, oauth.Scopes())
	svc, at := c.serving()
	c.hub.SetGroups("tea", "instructors")
	c.hub.SetGroups("stu", "ph142")
	if _, page := c.connect(at, "tea", "42"); !strings.Contains(page, "Tea Cher") || strings.Contains(page, "Push again") {
		t.Fatalf("%s", page)
	}
	src, group := daypass.Source{Kind: "canvas", Host: c.site, ID: "courses/7"}, "ph142"
	tea := c.caller(&desk{service: svc}, "tea")
	if _, err := svc.broker.MakeLink(t.Context(), tea, broker.LinkAsk{Name: "ph142-files", Source: &src, Audience: &group}); err != nil {
		t.Fatal(err)
	}
	// The teacher opens it first: what they see is kept for them alone.
	teacher := c.pulled(c.hub.ServerToken("tea", ""), at)
	if !bytes.Contains(teacher, []byte("forty-two")) || !bytes.Contains(teacher, []byte("grades-2026.csv")) {
		t.Error("the teacher does not get what they see")
	}

	home, bin, token := t.TempDir(), builtPrograms(t), c.hub.StartServer("stu", "")
	run := func(dir string, args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "daypass"), args...)
		cmd.Dir = dir
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_RUNTIME_DIR=" + home, "LANG=C.UTF-8", "DAYPASS_PLAIN=1", "DAYPASS_URL=" + at, "JUPYTERHUB_API_TOKEN=" + token, "JUPYTERHUB_API_URL=" + at + "hub/api"}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	before := len(c.canvas.Requests())
	out, err := run(home, "pull", "link:ph142-files", "course")
	if err == nil || !strings.Contains(out, "[DP-816]") || len(c.canvas.Requests()) != before {
		t.Fatalf("without a connection: %v\n%s", err, out)
	}
	if _, page := c.connect(at, "stu", "0"); !strings.Contains(page, "DP-829") {
		t.Errorf("who says no at Canvas: %s", page)
	}
	stu, page := c.connect(at, "stu", "43")
	if !strings.Contains(page, "Stu Dent") {
		t.Fatalf("%s", page)
	}
	if _, page := stu.open(c.url); !strings.Contains(page, "Canvas at "+c.site) || !strings.Contains(page, "for you alone") || strings.Contains(page, "did not say just now") {
		t.Errorf("the page of one's access: %s", page)
	}
	if out, err = run(home, "pull", "link:ph142-files", "course"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	course := filepath.Join(home, "course")
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(course, name))
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return string(text)
	}
	if read("lab 1/lab1.txt") != "one\ntwo\nthree\n" || read("read me.txt") != "hello\n" {
		t.Error("not what Canvas has")
	}
	c.secondPull(t, course, run, read)
	c.nothingHidden(t, c.pulled(token, at), home)
	stored := filesBelow(t, c.dir)
	for _, secret := range c.canvas.Secrets() {
		if bytes.Contains(stored, []byte(secret)) {
			t.Error("the service keeps a token, or what opens a file to anybody, in clear")
		}
	}
}

// secondPull: an upload over a file is merged into an edit, and a rename takes it along.
func (c *campus) secondPull(t *testing.T, course string, run func(string, ...string) (string, error), read func(string) string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(course, "lab 1/lab1.txt"), []byte("one\ntwo\nthree\nmine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c.canvas.Overwrite(70101, "zero\none\ntwo\nthree\n")
	c.canvas.Edit(70104, func(f *fake.CanvasFile) { f.Name = "welcome.txt" })
	c.canvas.Expire(43) // an hour has gone by
	time.Sleep(21 * time.Second)
	out, err := run(course, "pull")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := read("lab 1/lab1.txt"); got != "zero\none\ntwo\nthree\nmine\n" || read("welcome.txt") != "hello\n" {
		t.Errorf("%q\n%s", got, out)
	}
	if _, err := os.Stat(filepath.Join(course, "read me.txt")); err == nil {
		t.Errorf("a renamed file is there twice\n%s", out)
	}
}

// filesBelow is all files of a folder, with their names.
func filesBelow(t *testing.T, dir string) []byte {
	t.Helper()
	var all bytes.Buffer
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		all.WriteString(path)
		all.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.Bytes()
}

// nothingHidden looks at every byte that a student was sent, and at all that they have.
func (c *campus) nothingHidden(t *testing.T, sent []byte, home string) {
	t.Helper()
	all := append(filesBelow(t, home), sent...)
	if !bytes.Contains(all, []byte("lab1.txt")) {
		t.Fatal("the test looks at nothing")
	}
	hidden := []string{"exam-solutions", "70102", "forty-two", "grades-2026", "70103", "stu,17", "staffroom", c.key, "verifier="}
	for _, text := range append(hidden, c.canvas.Secrets()...) {
		if bytes.Contains(all, []byte(text)) {
			t.Errorf("a student has %.12q", text)
		}
	}
}

// pulled returns all objects that a server is given by the link, unpacked, and the
// answers as they came.
func (c *campus) pulled(token, at string) []byte {
	c.t.Helper()
	status, got := c.snapshot(token, at, url.Values{"link": {"ph142-files"}})
	if status != http.StatusOK {
		c.t.Fatalf("%d %+v", status, got)
	}
	_, pack, _ := get(c.t, token, at+got.Pack)
	dir := c.t.TempDir()
	git := func(in io.Reader, args ...string) []byte {
		cmd := exec.CommandContext(c.t.Context(), "git", args...)
		cmd.Dir, cmd.Stdin = dir, in
		out, err := cmd.Output()
		if err != nil {
			c.t.Fatalf("git %v: %v", args, err)
		}
		return out
	}
	git(nil, "init", "-q", "--bare", ".")
	git(bytes.NewReader(pack), "index-pack", "--stdin")
	return append(git(nil, "cat-file", "--batch-all-objects", "--batch"), pack...)
}

// TestCanvasGoesNowhereElse: what was read as one person is given to nobody else, by no
// id that was seen; and the callback is the kind's own.
func TestCanvasGoesNowhereElse(t *testing.T) {
	t.Parallel()
	c := newCampus(t, oauth.Scopes())
	svc, at := c.serving()
	c.hub.SetGroups("tea", "instructors", "ph142")
	c.hub.SetGroups("stu", "ph142")
	c.connect(at, "tea", "42")
	stu, _ := c.connect(at, "stu", "43")
	src, group := daypass.Source{Kind: "canvas", Host: c.site, ID: "courses/7"}, "ph142"
	if _, err := svc.broker.MakeLink(t.Context(), c.caller(&desk{service: svc}, "tea"), broker.LinkAsk{Name: "ph142-files", Source: &src, Audience: &group}); err != nil {
		t.Fatal(err)
	}
	tea, their := c.hub.StartServer("tea", ""), c.hub.StartServer("stu", "")
	_, seen := c.snapshot(tea, at, url.Values{"link": {"ph142-files"}})
	_, mine := c.snapshot(their, at, url.Values{"link": {"ph142-files"}})
	if seen.ID == "" || mine.ID == "" || seen.ID == mine.ID {
		t.Fatalf("%+v, %+v", seen, mine)
	}
	for what, address := range map[string]string{
		"the teacher's pack": seen.Pack, "as a base": strings.Replace(mine.Pack, "?", "?have="+seen.ID+"&", 1),
	} {
		status, body, _ := get(t, their, at+address)
		if bytes.Contains(body, []byte("exam")) || what == "the teacher's pack" && status == http.StatusOK {
			t.Errorf("%s: %d", what, status)
		}
	}
	if status, all := c.snapshot(their, at, url.Values{"link": {"ph142-files"}, "have": {seen.ID}}); status != http.StatusOK || all.Same {
		t.Errorf("with the teacher's as what one has: %d %+v", status, all)
	}
	for _, wrong := range []string{"oauth/github/" + c.site + "/callback?state=x&code=y", "oauth/other/" + c.site + "/callback?state=x&code=y", "oauth/canvas/" + c.host() + "/callback?state=x&code=y"} {
		if _, page := stu.open(c.url + wrong); strings.Contains(page, "is connected as") || strings.Contains(page, "DP-828") {
			t.Errorf("%s: %s", wrong, page)
		}
	}
}

// TestCanvasKeyTooNarrow: a developer key without one of the scopes is the admins' to
// mend, and no no of the person's.
func TestCanvasKeyTooNarrow(t *testing.T) {
	c := newCampus(t, oauth.Scopes()[1:])
	svc, at := c.serving()
	if i := slices.IndexFunc(svc.checks(t.Context()), func(k server.Check) bool { return k.Name == c.site && k.Good }); i < 0 {
		t.Error("the checks do not know the key")
	}
	if _, page := c.connect(at, "stu", "43"); !strings.Contains(page, "DP-432") {
		t.Errorf("%s", page)
	}
}

// TestCanvasEnds: what a hub's own log-in with Canvas gave reads a course; disconnecting
// ends it there too.
func TestCanvasEnds(t *testing.T) {
	t.Parallel()
	c := newCampus(t, oauth.Scopes())
	svc, at := c.serving()
	c.hub.SetGroups("tea", "instructors", "ph142")
	login, err := oauth.New(oauth.Config{Host: c.site, ClientID: "170000000000007", ClientSecret: daypass.NewSecret(c.key)})
	if err != nil {
		t.Fatal(err)
	}
	back, err := c.canvas.Authorize(login.ConsentURL(daypass.Consent{State: "s", Redirect: "http://127.0.0.1/hub/oauth_callback"}), 42)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(back)
	if err != nil {
		t.Fatal(err)
	}
	g, err := login.Exchange(t.Context(), u.Query().Get("code"), "", "http://127.0.0.1/hub/oauth_callback")
	if err != nil {
		t.Fatal(err)
	}
	tea := c.caller(&desk{service: svc}, "tea")
	hand := func(account string) int {
		body := `{"user":"tea","created":"` + tea.User.Created.Format(time.RFC3339Nano) + `","host":"` + c.site + `","client_id":"170000000000007","account":{"id":` + account + `,"login":"x","name":"","email":""},"access_token":"` + g.Access.Reveal() + `","refresh_token":"` + g.Refresh.Reveal() + `","expires_in":3600,"token_type":"Bearer"}`
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at+"api/v1/hook/login", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+officeHook)
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	if status := hand("42"); status != http.StatusNoContent {
		t.Fatalf("the hub's log-in: %d", status)
	}
	src, group := daypass.Source{Kind: "canvas", Host: c.site, ID: "courses/7"}, "ph142"
	if _, err := svc.broker.MakeLink(t.Context(), tea, broker.LinkAsk{Name: "ph142-files", Source: &src, Audience: &group}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(c.pulled(c.hub.StartServer("tea", ""), at), []byte("forty-two")) {
		t.Error("by the hub's log-in nothing is read")
	}
	v := c.visitor(at)
	where, page := v.open(c.url)
	where, page = v.send(where, page, "login", url.Values{"username": {"tea"}})
	v.send(where, page, "disconnect/"+c.site, url.Values{})
	if n := len(c.canvas.Tokens()); n != 0 {
		t.Errorf("%d tokens live at Canvas", n)
	}
	if status, got := c.snapshot(c.hub.StartServer("tea", ""), at, url.Values{"link": {"ph142-files"}}); status == http.StatusOK {
		t.Errorf("disconnected: %+v", got)
	}
	if status := hand("43"); status == http.StatusNoContent {
		t.Error("a dead token, said to be another's, is taken")
	}
}
