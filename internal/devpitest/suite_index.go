package devpitest

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what devpi signs its sessions with
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// An Index is a devpi server without plugins that [IndexSuite] can look at: a real
// one, or the stand-in.
type Index struct {
	API
	SessionKey []byte
	// Before says that a gateway stands before it, which says itself where it is.
	Before bool
}

// Index is what a real server shows to [IndexSuite].
func (s *Server) Index() Index { return Index{API: s.API, SessionKey: s.SessionKey()} }

// Session makes a session of somebody, as one who has the key can: itsdangerous'
// TimedSerializer over their name, no groups, and whether they must exist.
func Session(key []byte, user string, exists bool, made time.Time) string {
	name, _ := json.Marshal(user) // text always can be
	var stamp []byte
	for n := made.Unix(); n > 0; n >>= 8 {
		stamp = append([]byte{byte(n)}, stamp...)
	}
	text := fmt.Sprintf("[%s, [], %v].%s", name, exists, base64.RawURLEncoding.EncodeToString(stamp))
	signer := sha1.Sum([]byte("itsdangeroussigner" + string(key)))
	mac := hmac.New(sha1.New, signer[:])
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// IndexSuite is what a devpi server does, as daypass relies on it.
func IndexSuite(t *testing.T, x Index) {
	for name, test := range map[string]func(*testing.T, Index){
		"users": suiteUsers, "sessions": suiteSessions, "indexes": suiteIndexes, "changes": suiteChanges, "uploads": suiteUploads,
		"simple pages": suiteSimple, "files": suiteFiles, "releases": suiteReleases, "push": suitePush, "halves": suiteHalves, "programs": suitePrograms,
	} {
		t.Run(name, func(t *testing.T) { test(t, x) })
	}
}

// says fails unless a request has this answer.
func (x Index) says(t *testing.T, method, path string, who Auth, body any, status int, message string) {
	t.Helper()
	r := x.Send(t, method, path, who, body)
	if r.Status != status || message != "" && !strings.Contains(r.Message(), message) {
		t.Errorf("%s %s: %d %.300s, want %d %q", method, path, r.Status, r.Body, status, message)
	}
	if kind := r.Header.Get("Content-Type"); kind != "application/json" {
		t.Errorf("%s %s: Content-Type %q, which devpi's client does not read", method, path, kind)
	}
}

// whois is who an index takes somebody for, or "".
func (x Index) whois(t *testing.T, who Auth) string {
	t.Helper()
	var api struct{ Authstatus []any }
	x.Must(t, http.MethodGet, "+api", who, nil).Result(t, &api)
	if len(api.Authstatus) != 3 || (api.Authstatus[0] == "ok") != (api.Authstatus[1] != "") {
		t.Fatalf("%v", api.Authstatus)
	}
	return api.Authstatus[1].(string)
}

func suiteUsers(t *testing.T, x Index) {
	x.AddUser(t, "ulla", password)
	x.AddUser(t, "uwe", password)
	ulla, uwe := User("ulla", password), Basic("uwe", password)
	x.says(t, http.MethodPut, "ulla", nil, map[string]string{"password": "other"}, http.StatusConflict, "user already exists")
	x.says(t, http.MethodPut, "udo", nil, map[string]string{}, http.StatusBadRequest, "password needs to be set")
	x.says(t, http.MethodGet, "udo", nil, nil, http.StatusNotFound, "no user 'udo'")
	var about struct {
		Username, Email string
		Indexes         map[string]any
	}
	for _, path := range []string{"ulla", "ulla/"} {
		x.Must(t, http.MethodGet, path, nil, nil).Result(t, &about)
		if about.Username != "ulla" || about.Email != "ulla@example.org" || about.Indexes["dev"] == nil {
			t.Errorf("%+v", about)
		}
	}
	all := map[string]any{}
	x.Must(t, http.MethodGet, "", nil, nil).Result(t, &all)
	if all["root"] == nil || all["ulla"] == nil || all["udo"] != nil {
		t.Errorf("%v", all)
	}
	x.says(t, http.MethodPatch, "ulla", uwe, map[string]string{"email": "x"}, http.StatusForbidden, "")
	x.says(t, http.MethodDelete, "ulla", uwe, nil, http.StatusForbidden, "failed permission check")
	x.says(t, http.MethodDelete, "ulla", nil, nil, http.StatusForbidden, "failed permission check")
	x.says(t, http.MethodDelete, "root", x.AsRoot(), nil, http.StatusForbidden, "")
	x.says(t, http.MethodPatch, "ulla", ulla, map[string]string{"password": "another"}, http.StatusOK, "user updated")
	if x.whois(t, ulla) != "" || x.whois(t, User("ulla", "another")) != "ulla" {
		t.Error("the password did not change")
	}
	x.says(t, http.MethodDelete, "uwe", uwe, nil, http.StatusOK, "user 'uwe' deleted")
	x.says(t, http.MethodDelete, "uwe", x.AsRoot(), nil, http.StatusNotFound, "no user 'uwe'")
}

func suiteSessions(t *testing.T, x Index) {
	x.AddUser(t, "sofie", password)
	for body, want := range map[any]int{
		Text(`{"user": "sofie"}`):                      http.StatusBadRequest,
		Text(`{"user": "sofie"`):                       http.StatusBadRequest,
		Text(`{"user": "sofie", "password": "wrong"}`): http.StatusUnauthorized,
		Text(`{"user": "nobody", "password": "x"}`):    http.StatusUnauthorized,
	} {
		x.says(t, http.MethodPost, "+login", nil, body, want, "")
	}
	x.says(t, http.MethodPost, "+login", nil, map[string]string{"user": "sofie", "password": "wrong"}, http.StatusUnauthorized, "user 'sofie' could not be authenticated")
	own := x.Login(t, "sofie", password)
	now := time.Now()
	made := func(key []byte, user string, exists bool, age time.Duration) string {
		return Session(key, user, exists, now.Add(-age))
	}
	for _, c := range []struct {
		text       string
		user, want string
	}{
		{own, "sofie", "sofie"},
		{own, "root", ""},
		{own + "x", "sofie", ""},
		{made(x.SessionKey, "sofie", true, time.Minute), "sofie", "sofie"},
		{made(x.SessionKey, "sofie", true, 9*time.Hour), "sofie", "sofie"},
		{made(x.SessionKey, "sofie", true, 10*time.Hour+time.Minute), "sofie", ""},
		{made(x.SessionKey, "sofie", true, -time.Minute), "sofie", ""},
		{made(append([]byte("?"), x.SessionKey[1:]...), "sofie", true, time.Minute), "sofie", ""},
		{made(x.SessionKey, "ghost", true, time.Minute), "ghost", ""},
		{made(x.SessionKey, "ghost", false, time.Minute), "ghost", "ghost"},
	} {
		for way, who := range map[string]Auth{"X-Devpi-Auth": User(c.user, c.text), "Basic": Basic(c.user, c.text)} {
			if got := x.whois(t, who); got != c.want {
				t.Errorf("%.60s of %s by %s is %q, want %q", c.text, c.user, way, got, c.want)
			}
		}
	}
	// devpi's own header counts first, and a wrong one is not made good by another.
	both := func(r *http.Request) { User("sofie", "wrong")(r); Basic("sofie", password)(r) }
	if got := x.whois(t, both); got != "" {
		t.Errorf("it is %q", got)
	}
	if got := x.whois(t, Bearer(own)); got != "" {
		t.Errorf("a bearer is %q", got)
	}
	x.Must(t, http.MethodDelete, "sofie", x.AsRoot(), nil)
	if got := x.whois(t, User("sofie", own)); got != "" {
		t.Errorf("somebody who is gone is %q", got)
	}
}

func suiteIndexes(t *testing.T, x Index) {
	ida := x.AddUser(t, "ida", password)
	ivo := x.AddUser(t, "ivo", password)
	x.AddIndex(t, ida, "ida/rel", map[string]any{"bases": "ida/dev", "volatile": "False"})
	x.says(t, http.MethodPut, "ida/rel", ida, map[string]any{}, http.StatusConflict, "index 'ida/rel' exists")
	x.says(t, http.MethodPut, "ida/x", ivo, map[string]any{}, http.StatusForbidden, "no permission to create index ida/x")
	x.says(t, http.MethodPut, "ida/x", nil, map[string]any{}, http.StatusForbidden, "no permission to create index ida/x")
	x.says(t, http.MethodPut, "ida/x", ida, map[string]any{"bases": "ida/none"}, http.StatusBadRequest, "base index 'ida/none' does not exist")
	x.says(t, http.MethodPut, "nobody/x", x.AsRoot(), map[string]any{}, http.StatusNotFound, "no user 'nobody'")
	x.says(t, http.MethodGet, "ida/none", nil, nil, http.StatusNotFound, "The stage ida/none could not be found.")
	x.says(t, http.MethodGet, "ida/none/+api", ida, nil, http.StatusNotFound, "The stage ida/none could not be found.")
	x.says(t, http.MethodDelete, "ida/rel", ida, nil, http.StatusForbidden, "non-volatile")
	x.says(t, http.MethodDelete, "ida/dev", ivo, nil, http.StatusForbidden, "failed permission check")
	x.says(t, http.MethodDelete, "ida/none", ida, nil, http.StatusForbidden, "failed permission check")
	x.AddIndex(t, ida, "ida/old", nil)
	x.says(t, http.MethodDelete, "ida/old", ida, nil, http.StatusCreated, "index ida/old deleted")

	var api struct{ Login, Index, Simpleindex, Pypisubmit string }
	outside := func(r *http.Request) { r.Header.Set("X-Outside-Url", "https://index.example.org/base") }
	own := strings.TrimSuffix(x.URL, "/")
	for want, who := range map[string]Auth{own: nil, "https://index.example.org/base": outside} {
		at := want
		if x.Before {
			at = own
		}
		x.Must(t, http.MethodGet, "ida/rel/+api", who, nil).Result(t, &api)
		if api.Login != at+"/+login" || api.Index != at+"/ida/rel" || api.Simpleindex != at+"/ida/rel/+simple/" || api.Pypisubmit != at+"/ida/rel/" {
			t.Errorf("%+v", api)
		}
	}
	if !x.Before {
		x.Must(t, http.MethodGet, "base/ida/rel/+api", outside, nil)
	}
}

func suiteChanges(t *testing.T, x Index) {
	who := x.AddUser(t, "cora", password)
	x.AddUser(t, "carl", password)
	carl := User("carl", password)
	type config struct {
		Type     string
		Volatile bool
		Bases    []string
		Upload   []string `json:"acl_upload"`
		Results  []string `json:"acl_toxresult_upload"`
		Projects []string
	}
	read := func(query string) (c config) {
		x.Must(t, http.MethodGet, "cora/dev"+query, nil, nil).Result(t, &c)
		return c
	}
	if c := read(""); c.Type != "stage" || !c.Volatile || !slices.Equal(c.Upload, []string{"cora"}) || !slices.Equal(c.Results, []string{":ANONYMOUS:"}) || c.Projects == nil {
		t.Errorf("%+v", c)
	}
	if c := read("?no_projects="); c.Projects != nil {
		t.Errorf("%+v", c)
	}
	x.says(t, http.MethodPatch, "cora/dev", carl, []string{"volatile=False"}, http.StatusForbidden, "failed permission check")
	x.Must(t, http.MethodPatch, "cora/dev", who, []string{"acl_upload+=carl", "volatile=False"})
	if c := read(""); c.Volatile || !slices.Equal(c.Upload, []string{"cora", "carl"}) {
		t.Errorf("%+v", c)
	}
	x.Must(t, http.MethodPatch, "cora/dev", who, []string{"acl_upload-=cora"})
	x.Must(t, http.MethodPatch, "cora/dev", who, map[string]any{"volatile": true})
	if c := read(""); !c.Volatile || !slices.Equal(c.Upload, []string{"carl"}) {
		t.Errorf("%+v", c)
	}
	x.Must(t, http.MethodPatch, "cora/dev", who, []string{"acl_upload=cora,carl", "bases=carl/dev"})
	if c := read(""); !slices.Equal(c.Bases, []string{"carl/dev"}) || len(c.Upload) != 2 {
		t.Errorf("%+v", c)
	}
	if r := x.Upload(t, carl, "cora/dev", Wheel("by-carl", "1.0")); r.Status != http.StatusOK {
		t.Errorf("%d %s", r.Status, r.Body)
	}
}

func suiteUploads(t *testing.T, x Index) {
	una := x.AddUser(t, "una", password)
	uma := x.AddUser(t, "uma", password)
	x.AddIndex(t, una, "una/rel", map[string]any{"volatile": false})
	first, other := Wheel("Pack_Age", "1.0"), Sdist("Pack_Age", "1.0")
	changed := first
	changed.Data = append(slices.Clone(first.Data), '\n')
	named := first
	named.Name = "another"
	for i, c := range []struct {
		index  string
		who    Auth
		dist   Dist
		status int
	}{
		{"una/dev", una, first, http.StatusOK},
		{"una/dev", una, changed, http.StatusOK},
		{"una/dev", una, other, http.StatusOK},
		{"una/dev", una, named, http.StatusBadRequest},
		{"una/dev", nil, first, http.StatusUnauthorized},
		{"una/dev", User("una", "wrong"), first, http.StatusUnauthorized},
		{"una/dev", uma, first, http.StatusForbidden},
		{"una/dev", x.AsRoot(), first, http.StatusForbidden},
		{"una/none", una, first, http.StatusNotFound},
		{"una/rel", una, first, http.StatusOK},
		{"una/rel", una, first, http.StatusOK},
		{"una/rel", una, changed, http.StatusConflict},
	} {
		if r := x.Upload(t, c.who, c.index, c.dist); r.Status != c.status {
			t.Errorf("%d: %d %.200s, want %d", i, r.Status, r.Body, c.status)
		}
	}
	// Of a field that comes twice the last counts, which a gateway must not forget.
	twice := Wheel("second", "1.0")
	body, kind := twice.Form(t)
	_, boundary, _ := strings.Cut(kind, "boundary=")
	text := strings.Replace(string(body), "--"+boundary+"\r\n", "--"+boundary+"\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nfirst\r\n--"+boundary+"\r\n", 1)
	req, err := http.NewRequest(http.MethodPost, x.URL+"una/dev/", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	if r := x.Do(t, req, una); r.Status != http.StatusOK {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	x.says(t, http.MethodGet, "una/dev/first", una, nil, http.StatusNotFound, "no project 'first'")
	x.says(t, http.MethodGet, "una/dev/second", una, nil, http.StatusOK, "")
}

// suiteHalves are uploads that do not end: what a gateway must do to take one back.
func suiteHalves(t *testing.T, x Index) {
	who := x.AddUser(t, "hans", password)
	body, kind := Wheel("half", "1.0").Form(t)
	cut := body[:bytes.LastIndex(body, []byte("\r\n--"))] // without the closing boundary
	for _, c := range []struct {
		name   string
		body   []byte
		length int // -1: in chunks
		ends   bool
		stored bool
	}{
		{"whole", body, len(body), true, true},
		{"whole, in chunks", body, -1, true, true},
		// It is not the boundary that counts.
		{"without a boundary", cut, len(cut), true, true},
		{"without a boundary, in chunks", cut, -1, true, true},
		{"broken off", cut, len(body), true, false},
		{"broken off, in chunks", cut, -1, false, false},
		{"broken off before the last chunk", body, -1, false, false},
	} {
		x.raw(t, who, "hans/dev/", kind, c.body, c.length, c.ends)
		r := x.Send(t, http.MethodGet, "hans/dev/half/1.0", nil, nil)
		if stored := r.Status == http.StatusOK; stored != c.stored {
			t.Errorf("%s: stored is %v", c.name, stored)
		}
		x.Send(t, http.MethodDelete, "hans/dev/half", who, nil)
	}
}

// raw posts a body as it is, and waits for the answer or the end of the connection.
func (x Index) raw(t *testing.T, who Auth, path, kind string, body []byte, length int, ends bool) {
	t.Helper()
	u := address(t, x.URL)
	c, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	req := &http.Request{Header: http.Header{"Content-Type": {kind}, "Connection": {"close"}}}
	who(req)
	var out bytes.Buffer
	fmt.Fprintf(&out, "POST /%s HTTP/1.1\r\nHost: %s\r\n", path, u.Host)
	if length >= 0 {
		req.Header.Set("Content-Length", fmt.Sprint(length))
		req.Header.Write(&out)
		fmt.Fprintf(&out, "\r\n%s", body)
	} else {
		req.Header.Set("Transfer-Encoding", "chunked")
		req.Header.Write(&out)
		fmt.Fprintf(&out, "\r\n%x\r\n%s\r\n", len(body), body)
		if ends {
			out.WriteString("0\r\n\r\n")
		}
	}
	if _, err := c.Write(out.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	io.Copy(io.Discard, c)
}

// get fetches a page without asking for JSON.
func (x Index) get(t *testing.T, path, accept string) Reply {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, x.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	return x.Do(t, req, nil)
}

func suiteSimple(t *testing.T, x Index) {
	who := x.AddUser(t, "sina", password)
	x.AddIndex(t, who, "sina/top", map[string]any{"bases": []string{"sina/dev"}})
	below, above := Wheel("Lay_Er", "1.0"), Wheel("Lay_Er", "2.0")
	x.Upload(t, who, "sina/dev", below)
	x.Upload(t, who, "sina/top", above)
	x.Upload(t, who, "sina/dev", Sdist("deep", "1.0"))
	for from, to := range map[string]string{"+simple": "+simple/", "+simple/lay-er": "+simple/lay-er/", "+simple/Lay_Er/": "+simple/lay-er/", "Lay_Er": "lay-er"} {
		if r := x.Send(t, http.MethodGet, "sina/top/"+from, nil, nil); r.Status != http.StatusFound || r.Header.Get("Location") != x.URL+"sina/top/"+to {
			t.Errorf("%s: %d %s", from, r.Status, r.Header.Get("Location"))
		}
	}
	const asJSON = "application/vnd.pypi.simple.v1+json"
	list := x.get(t, "sina/top/+simple/", "text/html")
	contains(t, string(list.Body), `<a href="lay-er/">lay-er</a>`, `<a href="deep/">deep</a>`)
	var projects struct{ Projects []struct{ Name string } }
	if r := x.get(t, "sina/top/+simple/", asJSON); r.Header.Get("Content-Type") != asJSON || json.Unmarshal(r.Body, &projects) != nil || len(projects.Projects) != 2 {
		t.Errorf("%s", r.Body)
	}

	page := x.get(t, "sina/top/+simple/lay-er/", "text/html")
	contains(t, string(page.Body), "#sha256="+below.Digest(), "#sha256="+above.Digest(), ">"+below.File+"</a>")
	var files struct {
		Files []struct {
			Filename, URL string
			Hashes        map[string]string
		}
	}
	if r := x.get(t, "sina/top/+simple/lay-er/", asJSON); json.Unmarshal(r.Body, &files) != nil || len(files.Files) != 2 {
		t.Fatalf("%s", r.Body)
	}
	base := address(t, x.URL+"sina/top/+simple/lay-er/")
	for _, f := range files.Files {
		want, index := below, "sina/dev"
		if f.Filename == above.File {
			want, index = above, "sina/top"
		}
		link, err := base.Parse(f.URL)
		if err != nil {
			t.Fatal(err)
		}
		digest := want.Digest()
		if path := index + "/+f/" + digest[:3] + "/" + digest[3:16] + "/" + want.File; link.String() != x.URL+path || f.Hashes["sha256"] != digest {
			t.Errorf("%s, want %s", link, path)
		}
	}
	x.says(t, http.MethodGet, "sina/top/+simple/none/", nil, nil, http.StatusNotFound, "The project none does not exist.")
}

func suiteFiles(t *testing.T, x Index) {
	who := x.AddUser(t, "fay", password)
	x.AddIndex(t, who, "fay/top", map[string]any{"bases": []string{"fay/dev"}})
	d := Wheel("thing", "1.0")
	x.Upload(t, who, "fay/dev", d)
	path := x.File(t, who, "fay/dev", "thing", "1.0")
	// pip escapes the plus.
	for _, p := range []string{path, strings.Replace(path, "+f", "%2Bf", 1)} {
		if r := x.get(t, p, "*/*"); r.Status != http.StatusOK || string(r.Body) != string(d.Data) || r.Header.Get("Content-Length") != fmt.Sprint(len(d.Data)) {
			t.Errorf("%s: %d, %d bytes", p, r.Status, len(r.Body))
		}
	}
	req, err := http.NewRequest(http.MethodHead, x.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "*/*")
	if r := x.Do(t, req, nil); r.Status != http.StatusOK || r.Header.Get("Content-Length") != fmt.Sprint(len(d.Data)) {
		t.Errorf("HEAD: %d", r.Status)
	}
	var known struct {
		Project, Version string
		HashSpec         string `json:"hash_spec"`
	}
	x.Must(t, http.MethodGet, path, nil, nil).Result(t, &known)
	if known.Project != "thing" || known.Version != "1.0" || known.HashSpec != "sha256="+d.Digest() {
		t.Errorf("%+v", known)
	}
	for _, p := range []string{strings.Replace(path, "fay/dev", "fay/top", 1), strings.Replace(path, "/+f/", "/+f/000", 1), path + "x"} {
		if r := x.get(t, p, "*/*"); r.Status != http.StatusNotFound {
			t.Errorf("%s: %d", p, r.Status)
		}
	}
}

func suiteReleases(t *testing.T, x Index) {
	rosa := x.AddUser(t, "rosa", password)
	rolf := x.AddUser(t, "rolf", password)
	x.AddIndex(t, rosa, "rosa/rel", map[string]any{"volatile": false, "bases": "rosa/dev"})
	for _, v := range []string{"1.0", "2.0"} {
		x.Upload(t, rosa, "rosa/dev", Wheel("item", v))
	}
	x.Upload(t, rosa, "rosa/rel", Wheel("item", "3.0"))
	versions := func(path string) int {
		all := map[string]struct {
			Name, Version string
		}{}
		x.Must(t, http.MethodGet, path, nil, nil).Result(t, &all)
		for v, about := range all {
			if about.Version != v || about.Name != "item" {
				t.Errorf("%+v", about)
			}
		}
		return len(all)
	}
	if a, b := versions("rosa/rel/item"), versions("rosa/rel/item?ignore_bases="); a != 3 || b != 1 {
		t.Errorf("%d and %d versions", a, b)
	}
	x.says(t, http.MethodGet, "rosa/dev/none", nil, nil, http.StatusNotFound, "no project 'none'")
	x.says(t, http.MethodGet, "rosa/dev/item/9", nil, nil, http.StatusNotFound, "The version 9 of project item does not exist.")
	for _, who := range []Auth{nil, rolf} {
		x.says(t, http.MethodDelete, "rosa/dev/item/1.0", who, nil, http.StatusForbidden, "failed permission check")
		x.says(t, http.MethodDelete, "rosa/dev/item", who, nil, http.StatusForbidden, "failed permission check")
	}
	x.says(t, http.MethodDelete, "rosa/rel/item/3.0", rosa, nil, http.StatusForbidden, "cannot delete version on non-volatile index")
	x.says(t, http.MethodDelete, "rosa/dev/item/1.0", rosa, nil, http.StatusOK, "version '1.0' deleted")
	x.says(t, http.MethodDelete, "rosa/dev/item/1.0", rosa, nil, http.StatusNotFound, "not found on stage 'rosa/dev'")
	x.says(t, http.MethodDelete, "rosa/dev/item", x.AsRoot(), nil, http.StatusOK, "project item deleted from stage rosa/dev")
	x.says(t, http.MethodDelete, "rosa/dev/item", rosa, nil, http.StatusNotFound, "project not found")
	x.says(t, http.MethodGet, "rosa/dev/+nowhere", rosa, nil, http.StatusNotFound, "The resource could not be found.")
}

func suitePush(t *testing.T, x Index) {
	pia := x.AddUser(t, "pia", password)
	paul := x.AddUser(t, "paul", password)
	x.AddIndex(t, pia, "pia/prod", nil)
	d := Wheel("parcel", "1.0")
	x.Upload(t, pia, "pia/dev", d)
	push := func(version, target string) map[string]string {
		return map[string]string{"name": "parcel", "version": version, "targetindex": target}
	}
	x.says(t, "PUSH", "pia/dev", paul, push("1.0", "pia/prod"), http.StatusUnauthorized, "user 'paul' cannot upload to 'pia/prod'")
	x.says(t, "PUSH", "pia/dev", nil, push("1.0", "pia/prod"), http.StatusUnauthorized, "cannot upload to 'pia/prod'")
	x.says(t, "PUSH", "pia/dev", pia, push("9", "pia/prod"), http.StatusBadRequest, "there are no files for parcel 9 on stage pia/dev")
	x.says(t, "PUSH", "pia/dev", pia, push("1.0", "pia/none"), http.StatusNotFound, "The stage pia/none could not be found.")
	for i, method := range []string{"PUSH", http.MethodPost} {
		target := []string{"pia/prod", "paul/dev"}[i]
		x.Must(t, http.MethodPatch, "paul/dev", paul, []string{"acl_upload=paul,pia"})
		x.says(t, method, "pia/dev", pia, push("1.0", target), http.StatusOK, "")
		if r := x.get(t, x.File(t, nil, target, "parcel", "1.0"), "*/*"); string(r.Body) != string(d.Data) {
			t.Errorf("%s pushed something else: %d", method, r.Status)
		}
	}
}

// suitePrograms lets the real clients work.
func suitePrograms(t *testing.T, x Index) {
	x.AddUser(t, "petra", password)
	d := NewDesk(t)
	index := x.URL + "petra/dev/"
	files := t.TempDir()
	run := func(name string, o Output) {
		t.Helper()
		if o.Code != 0 {
			t.Errorf("%s: %d %s", name, o.Code, o.All())
		}
	}
	run("use", d.Devpi("use", index))
	run("login", d.Devpi("login", "petra", "--password", password))
	run("index -c", d.Devpi("index", "-c", "made", "bases=petra/dev", "volatile=True"))
	run("index", d.Devpi("index", "made", "acl_upload+=root"))
	run("upload", d.Devpi("upload", Wheel("by-devpi", "1.0").Write(t, files)))
	run("twine", d.Twine("upload", "--repository-url", index, "-u", "petra", "-p", password, Wheel("by-twine", "2.0").Write(t, files), Sdist("by_twine", "2.0").Write(t, files)))
	run("push", d.Devpi("push", "by-devpi==1.0", "petra/made"))
	o := d.Devpi("list", "by-devpi")
	run("list", o)
	contains(t, o.Out, "by_devpi-1.0-py3-none-any.whl")
	simple := x.URL + "petra/made/+simple/"
	for project, version := range map[string]string{"by-devpi": "1.0", "by-twine": "2.0"} {
		byPip, byUV := filepath.Join(files, project+"-pip"), filepath.Join(files, project+"-uv")
		run("pip", d.Pip("install", "--target", byPip, "--index-url", simple, project))
		run("uv", d.UV("pip", "install", "--target", byUV, "--index-url", simple, project))
		if a, b := Installed(t, byPip, project), Installed(t, byUV, project); a != version || b != version {
			t.Errorf("%s: pip installed %q, uv %q", project, a, b)
		}
	}
	run("remove", d.Devpi("remove", "-y", "by-devpi==1.0"))
	run("index --delete", d.Devpi("index", "-y", "--delete", "petra/made"))
	run("logout", d.Devpi("logout"))
}
