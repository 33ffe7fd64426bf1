package main

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/internal/jupytertest"
)

// A reader follows links and sends forms as a browser without script does, and
// says of its requests what browsers say.
type reader struct {
	t      *testing.T
	client *http.Client
	at     *url.URL
	text   string
	status int
}

func newReader(t *testing.T) *reader {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &reader{t: t, client: &http.Client{Jar: jar, Timeout: patience}}
}

func (b *reader) get(address string) {
	b.t.Helper()
	req, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	b.do(req)
}

func (b *reader) do(req *http.Request) {
	b.t.Helper()
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	req.Header.Set("Sec-Fetch-Mode", "navigate")
	req.Header.Set("Sec-Fetch-Dest", "document")
	res, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.at, b.text, b.status = res.Request.URL, string(text), res.StatusCode
}

var (
	anyForm  = regexp.MustCompile(`(?s)<form method="post" action="([^"]*)".*?</form>`)
	hidden   = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
	goesTo   = regexp.MustCompile(`<a [^>]*id="go" href="([^"]*)"`)
	asksOpen = regexp.MustCompile(`action="open"`)
)

// send sends the page's form of that action.
func (b *reader) send(action string) {
	b.t.Helper()
	for _, m := range anyForm.FindAllStringSubmatch(b.text, -1) {
		if m[1] != action {
			continue
		}
		form := url.Values{}
		for _, field := range hidden.FindAllStringSubmatch(m[0], -1) {
			form.Set(field[1], html.UnescapeString(field[2]))
		}
		to, err := b.at.Parse(action)
		if err != nil {
			b.t.Fatal(err)
		}
		req, err := http.NewRequest(http.MethodPost, to.String(), strings.NewReader(form.Encode()))
		if err != nil {
			b.t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", b.at.Scheme+"://"+b.at.Host)
		b.do(req)
		return
	}
	b.t.Fatalf("no form %q at %s:\n%s", action, b.at, b.text)
}

// TestWhereLinksLead: each front end that nbgitpuller's links lead to, without
// script; what runs on opening is asked about first.
func TestWhereLinksLead(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a Jupyter Server")
	}
	l := newLab(t)
	s := jupytertest.Start(t, jupytertest.Config{Programs: programs(t), Python: []string{jupytertest.Install(t, "")}, Base: "/user/ann/"})
	code := `vscode/?payload=[["openFile","vscode-remote:///home/jovyan/` + l.name + `/lab.ipynb"]]`
	for _, c := range []struct {
		params []string
		want   string
		asks   bool
	}{
		{[]string{"urlpath", "lab/tree/" + l.name + "/lab.ipynb"}, "lab/tree/course.git/lab.ipynb", false},
		{[]string{"urlPath", "lab/tree/" + l.name + "/lab.ipynb?autodecode"}, "lab/tree/course.git/lab.ipynb?autodecode", false},
		{[]string{"urlpath", "notebooks/" + l.name + "/lab.ipynb"}, "notebooks/course.git/lab.ipynb", false},
		{[]string{"urlpath", "retro/tree/" + l.name + "/lab.ipynb"}, "retro/tree/course.git/lab.ipynb", false},
		{[]string{"urlpath", "tree/" + l.name}, "tree/course.git", false},
		{nil, "tree/course.git", false},
		{[]string{"subPath", "lab.ipynb"}, "notebooks/course.git/lab.ipynb", false},
		{[]string{"subpath", "data"}, "tree/course.git/data", false},
		{[]string{"subpath", "lab.ipynb", "app", "lab"}, "lab/tree/course.git/lab.ipynb", false},
		{[]string{"targetpath", "courses/lab 3", "app", "lab"}, "lab/tree/courses/lab%203", false},
		{[]string{"urlpath", "rstudio/"}, "rstudio/", false},
		{[]string{"urlpath", "shiny/" + l.name + "/"}, "shiny/course.git/", true},
		{[]string{"urlpath", code}, "", false}, // it shows a file, and asks by itself before it trusts the folder
	} {
		b := newReader(t)
		b.get(s.Link(l.link(c.params...)))
		if b.status != http.StatusOK {
			t.Fatalf("%q: %d at %s\n%s", c.params, b.status, b.at, b.text)
		}
		b.send("begin")
		for range 200 {
			if goesTo.MatchString(b.text) || asksOpen.MatchString(b.text) || b.status != http.StatusOK {
				break
			}
			time.Sleep(50 * time.Millisecond)
			b.get(b.at.String())
		}
		if asked := asksOpen.MatchString(b.text); asked != c.asks {
			t.Errorf("%q: asks before opening: %v", c.params, asked)
			continue
		}
		got := b.leads()
		if want := "/user/ann/" + c.want; got != want && (c.want != "" || !strings.HasPrefix(got, "/user/ann/vscode/?payload=")) {
			t.Errorf("%q leads to %s, want %s", c.params, got, want)
		}
	}
	b := newReader(t)
	b.get(s.Link("git-sync?" + strings.TrimPrefix(l.link(), "git-pull?")))
	if !strings.Contains(b.text, "course") || b.status != http.StatusOK {
		t.Errorf("git-sync: %d at %s\n%s", b.status, b.at, b.text)
	}
	b.get(s.Link("interact?repo=lab01&path=lab01.ipynb"))
	if !strings.Contains(b.text, "github.com/data-8") || b.status != http.StatusOK {
		t.Errorf("interact: %d at %s\n%s", b.status, b.at, b.text)
	}
}

// leads is where the page that is open leads: by its link, or by its question.
func (b *reader) leads() string {
	b.t.Helper()
	if m := goesTo.FindStringSubmatch(b.text); m != nil {
		to, err := b.at.Parse(html.UnescapeString(m[1]))
		if err != nil {
			b.t.Fatal(err)
		}
		return to.RequestURI()
	}
	if !asksOpen.MatchString(b.text) {
		return b.at.String() + ": " + b.text
	}
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	defer func() { b.client.CheckRedirect = nil }()
	location := ""
	transport := b.client.Transport
	b.client.Transport = locating{&location}
	b.send("open")
	b.client.Transport = transport
	to, err := b.at.Parse(location)
	if err != nil {
		b.t.Fatal(err)
	}
	return to.RequestURI()
}

// locating keeps where an answer sends its reader.
type locating struct{ location *string }

func (l locating) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		*l.location = res.Header.Get("Location")
	}
	return res, err
}
