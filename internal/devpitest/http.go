package devpitest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// An API is an index by HTTP: a real server, a stand-in, or a gateway before one.
type API struct {
	URL  string // with a slash at its end
	Root string // root's password
	// Client is what sends; nil means one that follows no redirect and gives up
	// after a minute.
	Client *http.Client
}

// An Auth adds who asks to a request; nil is nobody.
type Auth func(*http.Request)

// User is a name with a password, session or token, as devpi-client sends it.
func User(name, password string) Auth {
	return func(r *http.Request) {
		r.Header.Set("X-Devpi-Auth", base64.StdEncoding.EncodeToString([]byte(name+":"+password)))
	}
}

// Basic is a name with a password or token, as pip and twine send it.
func Basic(name, password string) Auth {
	return func(r *http.Request) { r.SetBasicAuth(name, password) }
}

// Bearer is a token.
func Bearer(token string) Auth { return Header("Authorization", "Bearer "+token) }

// Header sends a header as it is.
func Header(name, value string) Auth { return func(r *http.Request) { r.Header.Set(name, value) } }

// A Reply is what came back.
type Reply struct {
	Status int
	Reason string // the phrase after the status
	Header http.Header
	Body   []byte
}

// Message is the reply's "message", or its whole body where it has none.
func (r Reply) Message() string {
	var m struct{ Message string }
	if json.Unmarshal(r.Body, &m) != nil || m.Message == "" {
		return string(r.Body)
	}
	return m.Message
}

// Result reads the reply's "result".
func (r Reply) Result(t testing.TB, into any) {
	t.Helper()
	m := struct{ Result any }{into}
	if err := json.Unmarshal(r.Body, &m); err != nil || r.Status >= 300 {
		t.Fatalf("%d, %v: %.500s", r.Status, err, r.Body)
	}
}

// Text is a body that is sent as it is, where others are sent as JSON.
type Text string

// Send sends one request, with JSON accepted. The path has no slash before it.
func (a API) Send(t testing.TB, method, path string, who Auth, body any) Reply {
	t.Helper()
	var in io.Reader
	switch b := body.(type) {
	case nil:
	case Text:
		in = strings.NewReader(string(b))
	default:
		text, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		in = bytes.NewReader(text)
	}
	req, err := http.NewRequest(method, a.URL+path, in)
	if err != nil {
		t.Fatal(err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return a.Do(t, req, who)
}

// Do sends a request that was made by hand.
func (a API) Do(t testing.TB, req *http.Request, who Auth) Reply {
	t.Helper()
	if req.Header.Get("Accept") == "" {
		req.Header.Set("Accept", "application/json")
	}
	if who != nil {
		who(req)
	}
	c := a.Client
	if c == nil {
		c = &http.Client{Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s %s: %d, %v", req.Method, req.URL.Path, res.StatusCode, err)
	}
	_, reason, _ := strings.Cut(res.Status, " ")
	return Reply{Status: res.StatusCode, Reason: reason, Header: res.Header, Body: text}
}

// Must sends one request that must succeed.
func (a API) Must(t testing.TB, method, path string, who Auth, body any) Reply {
	t.Helper()
	r := a.Send(t, method, path, who, body)
	if r.Status >= 300 {
		t.Fatalf("%s %s: %d %s\n%.500s", method, path, r.Status, r.Reason, r.Body)
	}
	return r
}

// AsRoot is root with its password.
func (a API) AsRoot() Auth { return User("root", a.Root) }

// AddUser makes somebody with an index "dev" of their own, which holds releases
// that can be replaced, and returns them logged in.
func (a API) AddUser(t testing.TB, name, password string) Auth {
	t.Helper()
	a.Must(t, http.MethodPut, name, nil, map[string]string{"password": password, "email": name + "@example.org"})
	who := User(name, a.Login(t, name, password))
	a.AddIndex(t, who, name+"/dev", nil)
	return who
}

// Login returns the session that a password is good for.
func (a API) Login(t testing.TB, name, password string) string {
	t.Helper()
	var session struct{ Password string }
	a.Must(t, http.MethodPost, "+login", nil, map[string]string{"user": name, "password": password}).Result(t, &session)
	return session.Password
}

// AddIndex makes an index, such as "ann/dev", with what is said of it beside
// devpi's defaults.
func (a API) AddIndex(t testing.TB, who Auth, index string, settings map[string]any) {
	t.Helper()
	all := map[string]any{"type": "stage", "volatile": true, "bases": []string{}}
	for k, v := range settings {
		all[k] = v
	}
	a.Must(t, http.MethodPut, index, who, all)
}

// Upload sends a file to an index as twine does: fields first.
func (a API) Upload(t testing.TB, who Auth, index string, d Dist) Reply {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, a.URL+index+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	body, kind := d.Form(t)
	req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	req.Header.Set("Content-Type", kind)
	return a.Do(t, req, who)
}

// Form is the body of an upload, and its Content-Type.
func (d Dist) Form(t testing.TB) (body []byte, kind string) {
	t.Helper()
	var buf bytes.Buffer
	w := multipart.NewWriter(&buf)
	for _, f := range [][2]string{
		{"name", d.Name}, {"version", d.Version}, {"metadata_version", "2.1"}, {"filetype", d.Kind},
		{"pyversion", d.Python}, {"protocol_version", "1"}, {":action", "file_upload"},
	} {
		if err := w.WriteField(f[0], f[1]); err != nil {
			t.Fatal(err)
		}
	}
	part, err := w.CreateFormFile("content", d.File)
	if err == nil {
		_, err = part.Write(d.Data)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return buf.Bytes(), w.FormDataContentType()
}

// Token makes a token by the endpoint of devpi-tokens, with the fields that the
// request is to have; nil is a request without a body.
func (a API) Token(t testing.TB, who Auth, user string, fields map[string]any) string {
	t.Helper()
	var made struct{ Token string }
	var body any
	if fields != nil {
		body = fields
	}
	a.Must(t, http.MethodPost, user+"/+token-create", who, body).Result(t, &made)
	if !strings.HasPrefix(made.Token, "devpi-") {
		t.Fatal("no token")
	}
	return made.Token
}

// File returns the path of the first file of a release.
func (a API) File(t testing.TB, who Auth, index, project, version string) string {
	t.Helper()
	var release struct {
		Links []struct{ Href, Rel string } `json:"+links"`
	}
	a.Must(t, http.MethodGet, index+"/"+project+"/"+version, who, nil).Result(t, &release)
	for _, link := range release.Links {
		if link.Rel == "releasefile" {
			return strings.TrimPrefix(link.Href, a.URL)
		}
	}
	t.Fatalf("%s %s has no file", project, version)
	return ""
}

func address(t testing.TB, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
