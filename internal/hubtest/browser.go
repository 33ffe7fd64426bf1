package hubtest

import (
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// A Browser keeps cookies and follows redirects, as a person's does. It runs no
// script.
type Browser struct {
	Public string // the hub's address
	Client *http.Client
	t      testing.TB
	stop   string // do not go there, but remember
	at     *url.URL
}

// NewBrowser returns one without cookies.
func NewBrowser(t testing.TB, public string) *Browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &Browser{Public: public, t: t}
	b.Client = &http.Client{Jar: jar, CheckRedirect: b.follow}
	return b
}

var errStopped = errors.New("arrived")

func (b *Browser) follow(r *http.Request, via []*http.Request) error {
	if b.stop != "" && strings.HasPrefix(r.URL.String(), b.stop) {
		b.at = r.URL
		return errStopped
	}
	if len(via) > 20 {
		return fmt.Errorf("%d redirects, the last to %s", len(via), r.URL.Path)
	}
	return nil
}

// Get opens a page.
func (b *Browser) Get(address string) (int, string) {
	b.t.Helper()
	return b.do(http.MethodGet, address, nil)
}

// Post sends a form, with the token against forged requests where the hub set one.
func (b *Browser) Post(address string, form url.Values) (int, string) {
	b.t.Helper()
	return b.do(http.MethodPost, address, form)
}

func (b *Browser) do(method, address string, form url.Values) (int, string) {
	b.t.Helper()
	var in io.Reader
	if form != nil {
		in = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequest(method, address, in)
	if err != nil {
		b.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Referer", address) // what hubs before 4.0 look at
		req.Header.Set("Origin", origin(req.URL))
	}
	// What a browser says of a page that a person opens (Fetch Metadata).
	req.Header.Set("Sec-Fetch-Mode", "navigate")
	req.Header.Set("Sec-Fetch-Dest", "document")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	res, err := b.Client.Do(req)
	if err != nil && errors.Is(err, errStopped) {
		return res.StatusCode, ""
	}
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	b.at = res.Request.URL
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

// Cookie returns the value of a cookie that the hub would be sent, or "".
func (b *Browser) Cookie(name string) string {
	u := address(b.t, b.Public)
	for _, path := range []string{u.Path, u.Path + "hub/"} {
		for _, c := range b.Client.Jar.Cookies(u.ResolveReference(&url.URL{Path: path})) {
			if c.Name == name {
				return c.Value
			}
		}
	}
	return ""
}

// Submit sends the first form of the page that is open, filled in further.
func (b *Browser) Submit(page string, fill url.Values) (int, string) {
	b.t.Helper()
	form := url.Values{}
	for _, input := range inputs.FindAllString(page, -1) {
		if m := inputName.FindStringSubmatch(input); m != nil && strings.Contains(input, `type="hidden"`) {
			form.Set(m[1], field(input, m[1]))
		}
	}
	for k, v := range fill {
		form[k] = v
	}
	to := b.at
	if m := action.FindStringSubmatch(page); m != nil {
		next, err := b.at.Parse(html.UnescapeString(m[1]))
		if err != nil {
			b.t.Fatal(err)
		}
		to = next
	}
	return b.Post(to.String(), form)
}

// At is the address of the page that is open.
func (b *Browser) At() string { return b.at.String() }

var (
	inputs    = regexp.MustCompile(`<input[^>]*>`)
	inputName = regexp.MustCompile(`name="([^"]*)"`)
	action    = regexp.MustCompile(`<form[^>]*action="([^"]*)"`)
)

// Login logs in by the hub's form, which takes any password.
func (b *Browser) Login(user string) {
	b.t.Helper()
	page := b.Public + "hub/login"
	_, text := b.Get(page)
	form := url.Values{"username": {user}, "password": {"any"}}
	if xsrf := field(text, "_xsrf"); xsrf != "" {
		form.Set("_xsrf", xsrf)
	}
	stop := b.stop
	// Where it leads then is a server, which need not start.
	b.stop = b.Public + "hub/spawn"
	status, text := b.Post(page, form)
	b.stop = stop
	if b.Cookie("jupyterhub-session-id") == "" || strings.Contains(text, "Invalid username") {
		b.t.Fatalf("%s could not log in: %d\n%.2000s", user, status, text)
	}
}

// Logout ends the session at the hub.
func (b *Browser) Logout() {
	b.t.Helper()
	b.Get(b.Public + "hub/logout")
}

// Authorize goes to an address of the hub's OAuth and returns what comes back to
// the redirect, which may be a path. err is the page that stood in the way.
func (b *Browser) Authorize(address, redirect string) (url.Values, error) {
	b.t.Helper()
	if strings.HasPrefix(redirect, "/") {
		u, err := url.Parse(b.Public)
		if err != nil {
			return nil, err
		}
		redirect = origin(u) + redirect
	}
	b.stop, b.at = redirect, nil
	defer func() { b.stop = "" }()
	status, text := b.Get(address)
	if b.at == nil || !strings.HasPrefix(b.at.String(), redirect) {
		return nil, fmt.Errorf("%d: %.300s", status, text)
	}
	return b.at.Query(), nil
}

// field returns the value of a form's field.
func field(page, name string) string {
	input := regexp.MustCompile(`<input[^>]*name="` + regexp.QuoteMeta(name) + `"[^>]*>`).FindString(page)
	m := regexp.MustCompile(`value="([^"]*)"`).FindStringSubmatch(input)
	if m == nil {
		return ""
	}
	return html.UnescapeString(m[1])
}
