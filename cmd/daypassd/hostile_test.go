package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/api"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/internal/hubtest"
	"github.com/daypass-dev/daypass/store"
)

// A door is one path of the service, as its table of routes has it.
type door struct{ method, path, kind string }

var routeLine = regexp.MustCompile(`method: "(\w+)",(?: once: true,)? path: (?:trim\(api\.(\w+)\)(?: \+ "([^"]*)")?|"([^"]*)"), kind: (\w+)`)

// doors reads the table of routes, and holds the interface's description to it.
func doors(t testing.TB) []door {
	t.Helper()
	text, err := os.ReadFile("../../server/routes.go")
	if err != nil {
		t.Fatal(err)
	}
	apiPaths := map[string]string{
		"PathCredential": api.PathCredential, "PathRejected": api.PathRejected, "PathMe": api.PathMe, "PathConnection": api.PathConnection,
		"PathRepos": api.PathRepos, "PathHookLogin": api.PathHookLogin, "PathHookStop": api.PathHookStop, "PathOpenAPI": api.PathOpenAPI,
		"PathPasses": api.PathPasses, "PathPass": api.PathPass, "PathEndPass": api.PathEndPass, "PathDevice": api.PathDevice, "PathDeviceToken": api.PathDeviceToken,
		"PathAudience": api.PathAudience, "PathMintToken": api.PathMintToken,
		"PathLinks": api.PathLinks, "PathLink": api.PathLink, "PathCopies": api.PathCopies, "PathSources": api.PathSources, "PathTest": api.PathTest, "PathBrowse": api.PathBrowse, "PathSnapshots": api.PathSnapshots, "PathSnapshot": api.PathSnapshot,
	}
	var out []door
	for _, m := range routeLine.FindAllStringSubmatch(string(text), -1) {
		path := m[4]
		if m[2] != "" {
			path = strings.TrimPrefix(apiPaths[m[2]], "/") + m[3]
			if apiPaths[m[2]] == "" {
				t.Errorf("this test does not know api.%s", m[2])
			}
		}
		out = append(out, door{m[1], strings.TrimSuffix(path, "{$}"), m[5]})
	}
	if n := strings.Count(string(text), "\t{name: \""); len(out) != n {
		t.Fatalf("%d of %d routes were understood", len(out), n)
	}
	var described struct{ Paths map[string]map[string]any }
	if err := json.Unmarshal(api.OpenAPI(), &described); err != nil {
		t.Fatal(err)
	}
	for path, methods := range described.Paths {
		for m := range methods {
			if m != "parameters" && !slices.ContainsFunc(out, func(d door) bool { return "/"+d.path == path && strings.EqualFold(d.method, m) }) {
				t.Errorf("%s %s is described, and not in the table", m, path)
			}
		}
	}
	return out
}

// A knock is one request as a program writes it that keeps to no rules.
type knock struct {
	method, target string
	header         []string
	body           string
}

func (k knock) String() string {
	return fmt.Sprintf("%s %.120s %.300q %.100q", k.method, k.target, k.header, k.body)
}

// knock sends the bytes as they are.
func (s *site) knock(k knock) (int, string) {
	s.t.Helper()
	for range 40 {
		status, text := s.knockOnce(k)
		if status != http.StatusTooManyRequests {
			return status, text
		}
		time.Sleep(250 * time.Millisecond)
	}
	s.t.Fatalf("%v: too many requests for ten seconds", k)
	return 0, ""
}

func (s *site) knockOnce(k knock) (int, string) {
	s.t.Helper()
	conn, err := net.DialTimeout("tcp", s.listen, 5*time.Second)
	if err != nil {
		s.t.Fatalf("%v: %v\nthe service said:\n%s", k, err, s.serve.text())
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	head := k.header
	if !slices.ContainsFunc(head, func(h string) bool { return strings.HasPrefix(h, "Host:") }) {
		head = append([]string{"Host: " + s.listen}, head...)
	}
	if k.body != "" {
		head = append(head, fmt.Sprintf("Content-Length: %d", len(k.body)))
	}
	// What is too large is refused before it is read.
	_, _ = fmt.Fprintf(conn, "%s %s HTTP/1.1\r\n%s\r\nConnection: close\r\n\r\n%s", k.method, k.target, strings.Join(head, "\r\n"), k.body)
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: k.method})
	if err != nil {
		return 0, ""
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body) // what came counts
	return res.StatusCode, string(text) + fmt.Sprint(res.Header)
}

// fillings are what stands for a path's wildcard.
func (s *site) fillings() []string {
	return []string{
		url.PathEscape(s.host()), "github.com", "1", "2", "0", "..%2f..%2fpeople", "%2e%2e", "%00", "1%20or%201=1", strings.Repeat("a", 3000),
		"..%2fserver.yaml", "app.js", url.PathEscape(s.host()) + "%2f..%2f..%2fhealth",
	}
}

var wildcard = regexp.MustCompile(`\{[a-z]+\}`)

// knocks are what a program on somebody's server sends to one door.
func (s *site) knocks(d door, token string) []knock {
	own := "Authorization: Bearer " + token
	paths := []string{d.path}
	if wildcard.MatchString(d.path) {
		paths = nil
		for _, f := range s.fillings() {
			paths = append(paths, wildcard.ReplaceAllLiteralString(d.path, f))
		}
	}
	body := `{"user":"victoria","server":"","host":"` + s.host() + `"}`
	var out []knock
	for i, p := range paths {
		methods := []string{d.method, "POST", "DELETE"}
		if i == 0 {
			methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get", "X"}
		}
		for _, m := range methods {
			k := knock{method: m, target: "/" + p, header: []string{own, "Content-Type: application/json"}}
			if m != "GET" && m != "HEAD" && m != "TRACE" {
				k.body = body
			}
			out = append(out, k)
		}
	}
	at := "/" + paths[0]
	navigate := []string{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Origin: " + strings.TrimSuffix(s.url, "/")}
	form := append([]string{own, "Content-Type: application/x-www-form-urlencoded"}, navigate...)
	return append(out,
		knock{method: d.method, target: at + "?user=victoria&name=victoria&as=victoria&token=" + token, header: []string{own}},
		knock{method: d.method, target: at, header: []string{own, "X-Forwarded-User: victoria", "X-Remote-User: victoria", "Remote-User: victoria", "X-Forwarded-For: 127.0.0.1"}},
		knock{method: d.method, target: at, header: []string{own, "Host: evil.example", "X-Forwarded-Host: evil.example"}},
		knock{method: d.method, target: s.hub.Public + "hub/" + d.path, header: []string{own}},
		knock{method: d.method, target: at, header: append([]string{"Cookie: daypass=" + token + "; jupyterhub-session-id=" + token}, navigate...)},
		knock{method: d.method, target: at, header: append([]string{own, "Cookie: daypass=" + token}, navigate...)},
		knock{method: d.method, target: at, header: []string{own, "Authorization: Bearer " + token}},
		knock{method: d.method, target: at, header: []string{"Authorization: token " + token}},
		knock{method: "POST", target: at, header: form, body: "form=x&user=victoria&id=1&server=default"},
		knock{method: "POST", target: at, header: []string{own, "X-HTTP-Method-Override: " + d.method}},
		knock{method: "POST", target: at, header: []string{own, "Content-Type: application/json"}, body: `{"host":"` + strings.Repeat("x", api.MaxBody) + `"}`},
	)
}

// harmless are the doors that a server's token opens, or that are open.
var harmless = regexp.MustCompile(`^(GET|HEAD) /(healthz|readyz|static/.*|app/.*|api/v1/(me|passes|openapi\.json|connections/.*|repos/.*))(\?.*)?$|^OPTIONS \*$|^DELETE /api/v1/connections/[^?]*$`)

// TestCompromisedServer: a program that has taken a server over walks every door
// with the server's token, in odd ways, and gets what its user may have and
// nothing else.
func TestCompromisedServer(t *testing.T) {
	s := newSite(t, siteConfig{})
	s.rewrite("log: debug", "log: debug\nmetrics_token: file:"+s.file("etc/metrics", "the metrics' own token, of some length"))
	victim := s.person("victoria", fake.CampusUser)
	kept := s.given(victim, "octo-researcher/notes")
	theirs := s.madePass(victim)
	s.hub.CreateUser(t, "mallory")
	s.hub.StartServer(t, "mallory", "")
	s.handIn("mallory", fake.CampusOther)
	token := s.hub.ServerToken("mallory", "")
	before, live := s.eventsOf("victoria"), len(s.world.Local.LiveRefreshTokens())

	s.askFor(token)
	s.reachForPass(token, theirs)
	n := 0
	for _, d := range doors(t) {
		for _, k := range s.knocks(d, token) {
			n++
			s.judge(k)
		}
	}
	for _, target := range []string{
		"//api//v1//me", "/api/v1/../../people", "/api/v1/%2e%2e/people", "/API/V1/ME", "/api/v1/me/", "/api/v1/me;victoria", "/api/v1/users/victoria",
		"/debug/pprof/", "/debug/vars", "/.git/config", "/people/1/../2", "/static/../etc/keys.json", "/static/..%2f..%2fetc%2fkeys.json", "/./people", "*", "/\x01", "//people",
		"/services/daypass/people", "/hub/api/users", "/api/v1/openapi.json/../../people", "/metrics", "/metrics?token=" + token,
	} {
		for _, method := range []string{"GET", "POST", "OPTIONS"} {
			n++
			s.judge(knock{method: method, target: target, header: []string{"Authorization: Bearer " + token}})
		}
	}
	t.Logf("%d requests", n)
	if got := s.eventsOf("victoria"); got != before {
		t.Errorf("the victim's activity has %d lines more", got-before)
	}
	if s.given(victim, "octo-researcher/notes") != kept || !s.live(kept) {
		t.Error("the victim's token was touched")
	}
	// The only connection that went is the program's own user's, who may end it.
	if n := len(s.world.Local.LiveRefreshTokens()); n != live-1 {
		t.Errorf("%d connections are left, and there were %d", n, live)
	}
	if strings.Contains(s.serve.text(), "stumble") || strings.Contains(s.serve.text(), "panic") {
		t.Errorf("the service stumbled:\n%s", s.serve.text())
	}
}

// madePass makes a pass with a server's token.
func (s *site) madePass(token string) api.PassReply {
	s.t.Helper()
	a := s.api(token, http.MethodPost, api.PathPasses, map[string]any{"label": "of victoria", "limits": map[string]any{"access": "read"}})
	reply, err := api.DecodePassReply(a.body)
	if a.status != http.StatusOK || err != nil {
		s.t.Fatalf("%d %s", a.status, a.body)
	}
	return reply
}

// reachForPass tries to end somebody else's pass by its id, to see it, and to have
// one made for them.
func (s *site) reachForPass(token string, theirs api.PassReply) {
	s.t.Helper()
	if a := s.api(token, http.MethodDelete, api.PassPath(theirs.ID), nil); a.status != http.StatusNotFound {
		s.t.Errorf("the victim's pass, ended by its id: %d", a.status)
	}
	if a := s.api(token, http.MethodGet, api.PathPasses, nil); a.status != http.StatusOK || strings.Contains(string(a.body), theirs.ID) {
		s.t.Errorf("the list of passes: %d %s", a.status, a.body)
	}
	for key, value := range map[string]any{"user": "victoria", "person": 1, "as": "victoria", "server": "default", "via": "browser", "fresh": true, "for": 13 * 3600, "never": true, "until": "2099-01-01T00:00:00Z"} {
		body := map[string]any{"limits": map[string]any{}, key: value}
		if a := s.api(token, http.MethodPost, api.PathPasses, body); a.status != http.StatusBadRequest && a.status != http.StatusForbidden {
			s.t.Errorf("a pass with %s=%v: %d", key, value, a.status)
		}
	}
	if a := s.api(theirs.Pass.Reveal(), http.MethodGet, api.PathMe, nil); a.status != http.StatusOK {
		s.t.Errorf("the victim's pass has ended: %d %s", a.status, a.body)
	}
}

func (s *site) eventsOf(user string) int {
	s.t.Helper()
	db := s.open()
	defer db.Close()
	list, err := db.Events(s.t.Context(), store.EventFilter{User: user})
	if err != nil {
		s.t.Fatal(err)
	}
	return len(list)
}

// aToken is one of GitHub's.
var aToken = regexp.MustCompile(`gh[uosr]_[A-Za-z0-9]{20}`)

// judge sends a request and looks that nothing came of it that should not.
func (s *site) judge(k knock) {
	s.t.Helper()
	status, text := s.knock(k)
	text = strings.ReplaceAll(text, string(api.OpenAPI()), "") // its examples name somebody
	switch {
	case aToken.MatchString(text):
		s.t.Errorf("%v: a token: %d", k, status)
	case strings.Contains(text, "victoria") && !strings.Contains(k.String(), "victoria"), strings.Contains(text, "1001+"), strings.Contains(text, fake.CampusUser):
		s.t.Errorf("%v: something of the victim's: %d %.500s", k, status, text)
	case status >= 500:
		s.t.Errorf("%v: %d %.500s", k, status, text)
	case status >= 200 && status < 300 && !harmless.MatchString(k.method+" "+k.target):
		s.t.Errorf("%v: %d %.500s", k, status, text)
	case status >= 300 && status < 400 && !leads.MatchString(text):
		s.t.Errorf("%v: it leads to %d %.500s", k, status, text)
	}
}

// leads is where an answer may lead to: the sign-in, from there the hub, and what
// a path is once its doubled slashes and dots are taken out.
var leads = regexp.MustCompile(`Location:\[(/signin\?next=|http://127\.0\.0\.1:\d+/hub/api/oauth2/authorize\?|/[^/\\])`)

// askFor asks for credentials in every way that could mean somebody else's.
func (s *site) askFor(token string) {
	s.t.Helper()
	mine := map[string]bool{"river-lab/data": true, "River-Lab/DATA.git": true, "river-lab/data.git/info/lfs": true}
	for _, repo := range []string{
		"river-lab/data", "River-Lab/DATA.git", "river-lab/data.git/info/lfs", "octo-researcher/notes", "octo-researcher/notes.git", "OCTO-researcher/Notes",
		"river-lab/data/../../octo-researcher/notes", "river-lab/../octo-researcher/notes", "octo-researcher%2fnotes", "./octo-researcher/notes", "/octo-researcher/notes",
		"octo-researcher/notes?x", "octo-researcher/notes\x00", "river-lab/data\noctoresearcher/notes", "uni-course/homework", "ada/private", "*/*", "river-lab/*", "",
		"octo-researcher", "5003", strings.Repeat("a/", 300), "octo\u2011researcher/notes", "octo-researcher/notes.git.git", "octo-researcher/notes#",
	} {
		a := s.credential(token, repo)
		if (a.status == http.StatusOK) != mine[repo] {
			s.t.Errorf("%q: %d %.300s", repo, a.status, strings.ReplaceAll(string(a.body), a.reply.Password, "…"))
		}
	}
	for key, value := range map[string]any{
		"user": "victoria", "as": "hub", "server": "x", "repo": 5003, "until": "2099-01-01T00:00:00Z", "permissions": "admin",
		"access": "admin", "least": "admin", "protocol": "ssh", "host": "evil.example", "purpose": "other",
	} {
		body := s.wanted("river-lab/data")
		body[key] = value
		if a := s.api(token, http.MethodPost, api.PathCredential, body); a.status == http.StatusOK {
			s.t.Errorf("%s=%v: %d", key, value, a.status)
		}
	}
	// It says that the victim's token was refused.
	for _, mark := range []string{strings.Repeat("0", 64), "", "x", strings.Repeat("0", 63) + "G"} {
		s.api(token, http.MethodPost, api.PathRejected, map[string]any{"host": s.host(), "path": "octo-researcher/notes", "token_sha256": mark})
	}
}

// oauthToken signs somebody in at the hub as a client of ours, or of another
// service.
func (s *site) oauthToken(user, client, secret, redirect string) string {
	s.t.Helper()
	b := hubtest.NewBrowser(s.t, s.hub.Public)
	b.Login(user)
	q := url.Values{"client_id": {client}, "redirect_uri": {redirect}, "response_type": {"code"}, "state": {"x"}}
	back, err := b.Authorize(s.hub.Public+"hub/api/oauth2/authorize?"+q.Encode(), redirect)
	if err != nil {
		s.t.Fatal(err)
	}
	res, err := http.PostForm(s.hub.API+"/oauth2/token", url.Values{
		"client_id": {client}, "client_secret": {secret}, "grant_type": {"authorization_code"}, "code": {back.Get("code")}, "redirect_uri": {redirect},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	var m struct {
		Token string `json:"access_token"`
	}
	text, err := io.ReadAll(res.Body)
	if err != nil || json.Unmarshal(text, &m) != nil || m.Token == "" {
		s.t.Fatalf("%d %v %s", res.StatusCode, err, text)
	}
	return m.Token
}

// TestTokensOfOthers: tokens that the hub knows, and that are not for this.
func TestTokensOfOthers(t *testing.T) {
	s := newSite(t, siteConfig{})
	server := s.person("alice", fake.CampusUser)
	tokens := map[string]string{
		"another service's": s.hub.Other, "the service's own": s.hub.Service, "an admin service's": s.hub.Token, "the hook's": s.hub.Hook,
		"a browser's, of our own sign-in": s.oauthToken("alice", "service-daypass", s.hub.Service, s.url+"oauth_callback"),
		"a browser's, of another service": s.oauthToken("alice", "service-managed", s.hub.Other, s.hub.OtherRedirect),
		"one for another service":         s.hub.UserToken(t, "alice", "access:services!service=managed"),
		"one for reading users":           s.hub.UserToken(t, "alice", "read:users!user=alice"),
		"nobody's":                        "0123456789abcdef0123456789abcdef",
	}
	for name, token := range tokens {
		for _, d := range doors(t) {
			if d.kind != "bearer" {
				continue
			}
			body := any(nil)
			if d.method == http.MethodPost {
				body = s.wanted("river-lab/data")
			}
			a := s.api(token, d.method, wildcard.ReplaceAllLiteralString(d.path, url.PathEscape(s.host())), body)
			if a.status != http.StatusUnauthorized && a.status != http.StatusForbidden {
				t.Errorf("%s at %s %s: %d %.300s", name, d.method, d.path, a.status, a.body)
			}
		}
	}
	for _, token := range []string{s.hub.Other, s.hub.Service, s.hub.Token, server, tokens["a browser's, of our own sign-in"]} {
		for _, path := range []string{api.PathHookLogin, api.PathHookStop} {
			if a := s.api(token, http.MethodPost, path, map[string]any{"user": "alice", "server": ""}); a.status != http.StatusUnauthorized && a.status != http.StatusForbidden {
				t.Errorf("a hook took another token: %d %.300s", a.status, a.body)
			}
		}
	}
	// Pages take a session of a browser and nothing else.
	for _, d := range doors(t) {
		if d.kind != "person" && d.kind != "admin" && d.kind != "stream" {
			continue
		}
		for _, token := range append([]string{server}, s.hub.Service, s.hub.Token, tokens["a browser's, of our own sign-in"]) {
			status, text := s.knock(knock{method: d.method, target: "/" + wildcard.ReplaceAllLiteralString(d.path, url.PathEscape(s.host())), header: []string{
				"Authorization: Bearer " + token, "Cookie: daypass=" + token, "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document",
				"Origin: " + strings.TrimSuffix(s.url, "/"),
			}})
			if status < 300 || status == http.StatusSeeOther && !strings.Contains(text, "/signin?next=") {
				t.Errorf("%s %s: %d %.300s", d.method, d.path, status, text)
			}
		}
	}
	s.given(server, "river-lab/data")
}
