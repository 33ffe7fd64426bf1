package gateway

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/pass"
)

// A ref is a line of the written table of devpi's routes: what strict is to ask
// for, and what devpi with devpi-tokens asks for. It is kept apart from the
// routes of the code, in another form, so that one can be wrong without the other.
type ref struct {
	methods, path string // path: on the decoded one
	media         string
	perms         string // strict; "-": no permission, index or project
	project       string // "url", "file", "form", "push", "" (a limit to projects refuses), "list"
	read          bool
	devpi         string // permissions that devpi checks; "none": it loads no identity; "load": it loads it alone
	never         bool
}

const (
	refUser  = `(?P<user>[^+/]+)`
	refIndex = refUser + `/(?P<index>[^+/]+)`
	refFile  = `[0-9a-f]{3}/[0-9a-f]{13}/(?P<file>[^/]+)`
)

var refs = []ref{
	{"GET", `/\+api|/` + refUser + `/\+api`, "", "-", "", true, "load", false},
	{"GET", `/` + refIndex + `/\+api`, "", "-index", "", true, "load", false},
	{"POST", `/\+login`, "", "", "", false, "", true},
	{"GET", `/\+status`, "", "-", "", true, "none", false},
	{"GET HEAD POST PUT PATCH DELETE PUSH", `/\+(authcheck|changelog)(/.*)?`, "", "", "", false, "", true},
	{"GET HEAD", `/`, "", "-", "", true, "none", false},
	{"GET", `/` + refUser + `/?`, "", "-", "", true, "none", false},
	{"PUT PATCH DELETE", `/` + refUser + `/?`, "", "", "", false, "", true},
	{"POST", `/` + refUser + `/\+token-create`, "", "", "", false, "", true},
	{"GET DELETE", `/` + refUser + `/\+tokens(/[^/]+)?`, "", "", "", false, "", true},
	{"GET HEAD", `/` + refIndex + `/?`, "", "pkg_read", "list", true, "none", false},
	{"PUT", `/` + refIndex + `/?`, "", "index_create", "", false, "index_create", false},
	{"PATCH", `/` + refIndex + `/?`, "", "index_modify", "", false, "index_modify", false},
	{"DELETE", `/` + refIndex + `/?`, "", "index_delete", "", false, "index_delete", false},
	{"POST", `/` + refIndex + `/?`, "multipart/form-data", "upload", "form", false, "upload", false},
	{"POST PUSH", `/` + refIndex + `/?`, "application/json", "pkg_read upload", "push", false, "pkg_read upload", false},
	{"POST", `/` + refIndex + `/?`, "text/xml", "pkg_read", "list", true, "none", false},
	{"GET", `/` + refIndex + `/\+simple/?`, "", "pkg_read", "list", true, "none", false},
	{"GET", `/` + refIndex + `/\+simple/(?P<project>[^+/]+)/?`, "", "pkg_read", "url", true, "none", false},
	{"POST", `/` + refIndex + `/\+simple/(?P<project>[^+/]+)/refresh`, "", "pkg_read", "url", true, "none", false},
	{"GET HEAD", `/` + refIndex + `/\+(f/` + refFile + `|e/[^/]+/(?P<other>[^/]+))`, "", "pkg_read", "file", true, "pkg_read", false},
	{"POST", `/` + refIndex + `/\+f/` + refFile, "", "toxresult_upload", "file", false, "toxresult_upload", false},
	{"DELETE", `/` + refIndex + `/\+(f/` + refFile + `|e/[^/]+/(?P<other>[^/]+))`, "", "del_entry", "file", false, "del_entry", false},
	{"GET", `/` + refIndex + `/(?P<project>[^+/]+)/?`, "", "pkg_read", "url", true, "none", false},
	{"DELETE", `/` + refIndex + `/(?P<project>[^+/]+)/?`, "", "del_project", "url", false, "del_project", false},
	{"GET", `/` + refIndex + `/(?P<project>[^+/]+)/[^/]+/?`, "", "pkg_read", "url", true, "none", false},
	{"DELETE", `/` + refIndex + `/(?P<project>[^+/]+)/[^/]+/?`, "", "del_verdata", "url", false, "del_verdata", false},
	{"GET", `/\+search|/\+searchhelp|/\+static[^/]*/.*`, "", "-", "", true, "none", false},
	{"GET", `/` + refIndex + `/(?P<project>[^+/]+)/[^/]+/\+(doc/.*|d/.*|toxresults/[^/]+(/[^/]+)?)`, "", "pkg_read", "url", true, "none", false},
	{"POST", `/` + refIndex + `/(?P<project>[^+/]+)/refresh`, "", "pkg_read", "url", true, "none", false},
}

var refPatterns = sync.OnceValue(func() []*regexp.Regexp {
	var out []*regexp.Regexp
	for _, r := range refs {
		out = append(out, regexp.MustCompile(`^(?:`+r.path+`)$`))
	}
	return out
})

// An asked is a request as the tests and the reference see it.
type asked struct {
	method, target string
	media          string
	body           string
	agent, accept  string
	// What stands in the body, as whoever wrote it knows.
	name, file, to string
	out            bool
}

// find returns the reference's line for a request, and what stood in its path;
// nil: the table has none.
func find(q asked) (*ref, map[string]string) {
	path, ok := decoded(q.target)
	if !ok {
		return nil, nil
	}
	for i := range refs {
		r := &refs[i]
		if !slices.Contains(strings.Fields(r.methods), q.method) || r.media != "" && r.media != q.media {
			continue
		}
		re := refPatterns()[i]
		if m := re.FindStringSubmatch(path); m != nil {
			at := map[string]string{}
			for j, name := range re.SubexpNames() {
				if name != "" && m[j] != "" {
					at[name] = m[j]
				}
			}
			return r, at
		}
	}
	return nil, nil
}

// decoded is the path as WSGI gives it to devpi; false for what no pass is to
// reach, by the traps of the facts.
func decoded(target string) (string, bool) {
	path, _, _ := strings.Cut(target, "?")
	for _, raw := range strings.Split(strings.TrimPrefix(path, "/"), "/") {
		var b []byte
		for i := 0; i < len(raw); i++ {
			if raw[i] == '%' {
				d, err := hex.DecodeString(raw[min(i+1, len(raw)):min(i+3, len(raw))])
				if err != nil || len(d) != 1 {
					return "", false
				}
				b, i = append(b, d[0]), i+2
				continue
			}
			b = append(b, raw[i])
		}
		if bytes.ContainsAny(b, "/\\\x00#") || bytes.ContainsFunc(b, func(r rune) bool { return r < ' ' }) || string(b) == "." || string(b) == ".." {
			return "", false
		}
	}
	s, err := url.PathUnescape(path)
	return s, err == nil && strings.HasPrefix(s, "/") && !strings.Contains(s, "//")
}

// A limit is a caveat as the reference understands it.
type limit struct {
	kind  string
	items []string
}

func (l limit) text() string {
	switch l.kind {
	case "json-projects":
		b, _ := json.Marshal([]any{1, l.items})
		return string(b)
	case "json-date":
		return "[0, 4102444800, 5]"
	}
	return l.kind + "=" + strings.Join(l.items, ",")
}

var refDigest = func() string {
	sum := sha256.Sum256([]byte("wheel"))
	return "sha256:" + hex.EncodeToString(sum[:])
}()

// isTestBase says which index is a base of which, in these tests.
func isTestBase(listed, index string) bool { return listed == "alice/dev" && index == "root/pypi" }

// allowed is the reference's verdict.
func allowed(m Mode, q asked, limits []limit) bool {
	r, at := find(q)
	if r == nil || r.never {
		return false
	}
	q.out = q.out && r.project == "push"
	perms, indexes, projects := needed(m, r, at, q)
	free := strings.HasPrefix(r.perms, "-")
	if m == Strict && q.out && len(limits) > 0 && slices.ContainsFunc(limits, func(l limit) bool { return l.kind != "expires" && l.kind != "not_before" && l.kind != "json-date" }) {
		return false
	}
	for _, l := range limits {
		ok := false
		switch l.kind {
		case "expires":
			ok = l.items[0] == "never" || l.items[0] > "1795299000"
		case "not_before":
			ok = len(l.items[0]) < 10
		case "json-date", "dp:uses":
			ok = true
		case "allowed":
			ok = len(perms) == 0 && (m == Compat || free) || len(perms) > 0 && all(perms, func(p string) bool { return slices.Contains(l.items, p) })
		case "indexes":
			ok = len(indexes) == 0 && (m == Compat || free) || len(indexes) > 0 && all(indexes, func(x string) bool {
				return slices.Contains(l.items, x) || m == Strict && r.read && slices.ContainsFunc(l.items, func(y string) bool { return isTestBase(y, x) })
			})
		case "projects", "json-projects":
			ok = len(projects) == 0 && (m == Compat || free || r.project == "list" && settingsOnly(r, q)) || len(projects) > 0 && all(projects, func(x string) bool {
				return slices.ContainsFunc(l.items, func(y string) bool { return normal(x) == normal(y) && x != "" })
			})
		case "dp:access":
			ok = r.read || l.items[0] == "write"
		case "dp:address":
			ok = netip.MustParsePrefix(l.items[0]).Contains(netip.MustParseAddr("192.0.2.7"))
		case "dp:digest":
			ok = r.project == "form" && q.file != "" && slices.Contains(l.items, refDigest)
		}
		if !ok {
			return false
		}
	}
	return true
}

// settingsOnly: the devpi client asks for an index's settings without its projects.
func settingsOnly(r *ref, q asked) bool {
	return strings.HasPrefix(r.methods, "GET HEAD") && strings.HasSuffix(q.target, "?no_projects=") && q.accept == "application/json" && !strings.Contains(q.agent, "pip/")
}

func all(list []string, f func(string) bool) bool {
	return !slices.ContainsFunc(list, func(x string) bool { return !f(x) })
}

func normal(s string) string {
	return strings.ToLower(refOther.ReplaceAllString(s, "-"))
}

func needed(m Mode, r *ref, at map[string]string, q asked) (perms, indexes, projects []string) {
	index := ""
	if at["index"] != "" {
		index = at["user"] + "/" + at["index"]
	}
	if m == Compat {
		if r.devpi == "none" || r.project == "file" && r.read && strings.Contains(q.accept, "application/json") && !strings.HasSuffix(at["file"]+at["other"], ".metadata") {
			return nil, nil, nil
		}
		if r.devpi != "load" {
			perms = strings.Fields(r.devpi)
		}
		if q.out {
			perms = []string{"pkg_read"}
		}
		if index != "" {
			indexes = []string{index}
		}
		switch r.project {
		case "url":
			projects = []string{at["project"]}
		case "form":
			projects = []string{q.name}
		}
		return perms, indexes, projects
	}
	if !strings.HasPrefix(r.perms, "-") {
		perms = strings.Fields(r.perms)
	}
	if index != "" {
		indexes = append(indexes, index)
	}
	switch r.project {
	case "url":
		projects = []string{at["project"]}
	case "file":
		projects = refFileProjects(at["file"] + at["other"])
	case "form":
		projects = []string{q.name}
		if q.file != "" && !slices.Contains(refFileProjects(q.file), normal(q.name)) {
			projects = append(projects, append(refFileProjects(q.file), "")[0])
		}
	case "push":
		projects = []string{q.name}
		if q.to != "" {
			indexes = append(indexes, q.to)
		}
	}
	return perms, indexes, projects
}

var (
	refSuffix  = regexp.MustCompile(`(\.toxresult-.*)?(\.metadata)?$`)
	refWheel   = regexp.MustCompile(`^([A-Za-z0-9_.]+)-[0-9.]+-[^-]+-[^-]+-[^-]+\.whl$`)
	refArchive = regexp.MustCompile(`^([A-Za-z0-9_.-]*[A-Za-z_])-[0-9.]+\.(tar\.gz|zip)$`)
	refDigits  = regexp.MustCompile(`-[0-9]`)
	refOther   = regexp.MustCompile(`[^A-Za-z0-9]+`)
)

// refFileProjects reads the few file names of these tests.
func refFileProjects(file string) []string {
	file = refSuffix.ReplaceAllString(file, "")
	if m := refWheel.FindStringSubmatch(file); m != nil {
		return []string{normal(m[1])}
	}
	if m := refArchive.FindStringSubmatch(file); m != nil && !refDigits.MatchString(m[1]) {
		return []string{normal(m[1])}
	}
	return []string{""}
}

// judged is the gateway's verdict: all of what the handler does but the network.
func judged(t testing.TB, m Mode, q asked, caveats []string, o options) error {
	t.Helper()
	h := http.Header{}
	for name, value := range map[string]string{"Content-Type": q.media, "User-Agent": q.agent, "Accept": q.accept} {
		if value != "" {
			h.Set(name, value)
		}
	}
	if q.media == "multipart/form-data" {
		h.Set("Content-Type", "multipart/form-data; boundary=b")
	}
	r, err := parse(q.method, q.target, h, int64(len(q.body)))
	if err != nil {
		return err
	}
	a, p, err := classify(r).open(r, strings.NewReader(q.body), rand.Reader)
	if err != nil {
		return err
	}
	shown := opened(t, caveats)
	f, err := decide(m, a, shown.Rights, o)
	if err != nil {
		return err
	}
	f.SeesTo |= pass.KindUses
	f.Address = netip.MustParseAddr("192.0.2.7")
	if err := shown.Check(f, time.Unix(1795299000, 0)); err != nil {
		return err
	}
	if p == nil {
		return nil
	}
	if shown.Rights.Limited.Has(pass.KindDigest) {
		if err := p.pin(shown.Rights.Digests.Names); err != nil {
			return err
		}
	}
	n, err := io.Copy(io.Discard, p)
	if err == nil && p.length >= 0 && n != p.length {
		t.Errorf("%s %s: %d bytes go on where %d were told", q.method, q.target, n, p.length)
	}
	return err
}

func opened(t testing.TB, caveats []string) pass.Opened {
	t.Helper()
	id := pass.Identity{Realm: pass.Realm{Kind: pass.Index, Name: "devpi"}, User: "alice", ID: "abcdefgh"}
	key := pass.NewKey([]byte("a key"))
	p, err := pass.Mint(key, id, caveats...)
	if err != nil {
		t.Fatal(err)
	}
	o, err := pass.Verifier{Realm: id.Realm, Keys: func(pass.Identity) (pass.Key, error) { return key, nil }}.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func formBody(fields ...string) string {
	var b strings.Builder
	for i := 0; i < len(fields); i += 2 {
		file := ""
		if name, ok := strings.CutPrefix(fields[i], "content "); ok {
			fields[i], file = "content", `; filename="`+name+`"`
		}
		b.WriteString("--b\r\nContent-Disposition: form-data; name=\"" + fields[i] + "\"" + file + "\r\n\r\n" + fields[i+1] + "\r\n")
	}
	return b.String() + "--b--\r\n"
}

// everyRequest has at least one request for every line of the reference.
func everyRequest() []asked {
	var out []asked
	get := func(targets ...string) {
		for _, x := range targets {
			out = append(out, asked{method: "GET", target: x}, asked{method: "GET", target: x, agent: "pip/23.0"}, asked{method: "GET", target: x, accept: "application/json"})
		}
	}
	const file = "/18d/0123456789abc/"
	get("/+api", "/alice/+api", "/alice/dev/+api", "/bob/prod/+api", "/root/pypi/+api", "/+status", "/", "/alice", "/alice/", "/+search?query=x", "/+searchhelp", "/+static-5.0/style.css")
	get("/alice/dev", "/alice/dev/", "/alice/dev?no_projects=", "/alice/dev?no_projects", "/alice/dev?no_projects=;", "/root/pypi/", "/bob/prod/", "/alice/dev/+simple", "/alice/dev/+simple/")
	for _, p := range []string{"foo", "Foo_Bar", "zoo"} {
		for _, i := range []string{"/alice/dev", "/bob/prod", "/root/pypi", "/alice/%64ev"} {
			wheel := strings.ReplaceAll(p, "-", "_") + "-1.0-py3-none-any.whl"
			get(i+"/"+p, i+"/"+p+"/", i+"/"+p+"/1.0", i+"/"+p+"/1.0/", i+"/"+p+"/1.0+local", i+"/+simple/"+p, i+"/+simple/"+p+"/", i+"/%2Bsimple/"+p+"/",
				i+"/"+p+"/1.0/+doc/index.html", i+"/"+p+"/1.0/+d/a/b.html", i+"/"+p+"/1.0/+toxresults/x", i+"/"+p+"/1.0/+toxresults/x/y",
				i+"/+f"+file+wheel, i+"/+f"+file+wheel+".metadata", i+"/+f"+file+p+"-1.0.tar.gz", i+"/%2Bf"+file+wheel, i+"/+e/dir/"+wheel, i+"/+f"+file+"foo-2-1.0.tar.gz", i+"/+f"+file+"README")
			out = append(out, []asked{
				{method: "HEAD", target: i + "/+f" + file + wheel}, {method: "HEAD", target: i + "/" + p}, {method: "HEAD", target: i},
				{method: "DELETE", target: i + "/+f" + file + wheel}, {method: "DELETE", target: i + "/+e/dir/" + wheel}, {method: "DELETE", target: i + "/" + p},
				{method: "DELETE", target: i + "/" + p + "/1.0"}, {method: "DELETE", target: i}, {method: "OPTIONS", target: i + "/" + p},
				{method: "POST", target: i + "/+f" + file + wheel, media: "application/json", body: "{}"},
				{method: "POST", target: i + "/+simple/" + p + "/refresh"}, {method: "POST", target: i + "/" + p + "/refresh"},
				{method: "PUT", target: i, media: "application/json", body: `{"volatile":"True"}`}, {method: "PATCH", target: i, media: "application/json", body: `["volatile=True"]`},
				{method: "POST", target: i, media: "text/xml", body: "<?xml?>"},
				{method: "POST", target: i + "/", media: "multipart/form-data", body: formBody("name", p, ":action", "submit"), name: p},
			}...)
			for _, f := range []string{p + "-1.0.tar.gz", "zoo-1.0.tar.gz", "README.zip"} {
				out = append(out, asked{method: "POST", target: i + "/", media: "multipart/form-data", name: p, file: f,
					body: formBody("name", p, "version", "1.0", ":action", "file_upload", "content "+f, "wheel")})
			}
			for _, method := range []string{"POST", "PUSH"} {
				for _, to := range []string{"alice/dev", "alice/prod"} {
					out = append(out, asked{method: method, target: i, media: "application/json", name: p, to: to, body: `{"name":"` + p + `","version":"1.0","targetindex":"` + to + `"}`})
				}
				out = append(out, asked{method: method, target: i, media: "application/json", name: p, out: true,
					body: `{"name":"` + p + `","version":"1.0","posturl":"https://x.example/","username":"u","password":"p"}`})
			}
		}
	}
	for _, m := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "PUSH", "OPTIONS"} {
		for _, x := range []string{"/+login", "/+authcheck", "/+changelog/1", "/+changelog/1-", "/alice", "/alice/", "/alice/+token-create", "/alice/+tokens", "/alice/+tokens/abc", "/+other", "/alice/+x", "/alice/dev/+x",
			"/alice/dev/+f/18d/x.whl", "/alice/dev/+f/18D/0123456789abc/x-1.0.tar.gz", "/alice/dev/foo/1.0/2.0", "/alice/dev/foo/1.0/+doc", "/+api/", "/alice/dev/+simple/foo/bar", "/a+b/dev", "/alice/d+v", "/alice/dev/f+o"} {
			out = append(out, asked{method: m, target: x})
		}
	}
	return out
}

// everyLimit has each kind of caveat, satisfied by some requests and not by others.
func everyLimit() [][]limit {
	out := [][]limit{nil}
	one := func(kind string, items ...string) { out = append(out, []limit{{kind, items}}) }
	one("expires", "4102444800")
	one("expires", "10")
	one("expires", "never")
	one("not_before", "5")
	one("not_before", "4102444800")
	for _, p := range pass.Permissions() {
		one("allowed", p)
	}
	one("allowed", "pkg_read", "upload")
	one("allowed")
	one("indexes", "alice/dev")
	one("indexes", "bob/prod", "alice/dev")
	one("indexes", "alice/dev", "alice/prod")
	one("indexes", "dev")
	one("indexes")
	one("projects", "foo")
	one("projects", "FOO.bar", "foo")
	one("json-projects", "foo")
	one("json-date")
	one("dp:access", "read")
	one("dp:access", "write")
	one("dp:address", "192.0.2.0/24")
	one("dp:address", "198.51.100.0/24")
	one("dp:digest", refDigest)
	one("dp:digest", "sha256:"+strings.Repeat("0", 64))
	one("dp:host", "github.com")
	one("dp:repo", "a/b")
	one("dp:source", "doi:10.1/x")
	one("dp:server", "gpu@1")
	one("dp:uses", "1")
	out = append(out,
		[]limit{{"allowed", []string{"upload", "pkg_read"}}, {"allowed", []string{"pkg_read", "toxresult_upload"}}},
		[]limit{{"indexes", []string{"alice/dev"}}, {"projects", []string{"foo"}}, {"allowed", []string{"pkg_read", "upload"}}, {"expires", []string{"4102444800"}}},
		[]limit{{"indexes", []string{"alice/dev", "bob/prod"}}, {"indexes", []string{"bob/prod"}}},
	)
	return out
}

func texts(limits []limit) []string {
	var out []string
	for _, l := range limits {
		out = append(out, l.text())
	}
	return out
}

// TestEveryLimitAtEveryRoute: the verdict on each request with each kind of
// caveat is the reference's, in both modes.
func TestEveryLimitAtEveryRoute(t *testing.T) {
	used := map[*ref]bool{}
	n, yes := 0, 0
	every := everyLimit()
	for _, q := range everyRequest() {
		row, _ := find(q)
		used[row] = true
		for _, limits := range every {
			for _, m := range []Mode{Strict, Compat} {
				want := allowed(m, q, limits)
				err := judged(t, m, q, texts(limits), options{isBase: isTestBase})
				if n++; want {
					yes++
				}
				if (err == nil) != want {
					t.Errorf("%s: %s %s %s %q %q with %q: %v, want %v", m, q.method, q.target, q.media, q.body, q.agent, texts(limits), err, want)
				}
			}
		}
	}
	for i := range refs {
		if !used[&refs[i]] {
			t.Errorf("no request for %s %s", refs[i].methods, refs[i].path)
		}
	}
	if yes*20 < n {
		t.Errorf("only %d of %d are allowed", yes, n)
	}
	t.Logf("%d verdicts, %d of them yes", n, yes)
}

// TestRouteWaives: no route waives anything but devpi-tokens' own limits.
func TestRouteWaives(t *testing.T) {
	for _, row := range routes {
		if row.spared&^scope != 0 {
			t.Errorf("%s %s waives %v", row.methods, row.path, row.spared)
		}
		if row.class == upstream && row.needs == "" && row.spared&(pass.KindAllowed|pass.KindProjects) != pass.KindAllowed|pass.KindProjects {
			t.Errorf("%s %s needs nothing and can never be reached by a limited pass", row.methods, row.path)
		}
	}
}

// TestOptions: what the owner of a gateway can loosen.
func TestOptions(t *testing.T) {
	list := asked{method: "GET", target: "/alice/dev/+simple/"}
	foo := []string{"projects=foo"}
	if judged(t, Strict, list, foo, options{}) == nil || judged(t, Strict, list, foo, options{listProjects: true}) != nil {
		t.Error("list_projects does not decide whether a pass for projects lists them")
	}
	for _, target := range []string{"/alice/dev/zoo", "/alice/dev/+simple/zoo/"} {
		if judged(t, Strict, asked{method: "GET", target: target}, foo, options{listProjects: true}) == nil {
			t.Errorf("list_projects opens %s", target)
		}
	}
	push := asked{method: "PUSH", target: "/alice/dev", media: "application/json", body: `{"name":"foo","version":"1","posturl":"https://x.example/","username":"u","password":"p"}`}
	for _, c := range []struct {
		caveats []string
		out, ok bool
	}{
		{nil, false, true}, {[]string{"expires=4102444800"}, false, true}, {foo, false, false}, {foo, true, true},
		{[]string{"allowed=pkg_read"}, true, false}, {[]string{"projects=zoo"}, true, false}, {[]string{"dp:uses=1"}, false, false}, {[]string{"indexes=bob/prod"}, true, false},
	} {
		if err := judged(t, Strict, push, c.caveats, options{pushOut: c.out}); (err == nil) != c.ok {
			t.Errorf("a push to elsewhere with %q, push_out %v: %v", c.caveats, c.out, err)
		}
	}
}

// TestDefects: what is wrong with devpi-tokens, which compat keeps where it is a
// gap and strict mends. Each line is refused by strict and allowed by compat.
func TestDefects(t *testing.T) {
	const wheel = "/alice/dev/+f/18d/0123456789abc/zoo-1.0-py3-none-any.whl"
	change := func(method, body string) asked {
		return asked{method: method, target: "/alice/dev", media: "application/json", body: body}
	}
	for _, c := range []struct {
		name    string
		q       asked
		caveats string
	}{
		{"projects and a download", asked{method: "GET", target: wheel}, "projects=foo"},
		{"projects and a deletion", asked{method: "DELETE", target: wheel}, "projects=foo"},
		{"projects and a mirror's file", asked{method: "DELETE", target: "/alice/dev/+e/d/zoo-1.0.tar.gz"}, "projects=foo"},
		{"projects and results of tests", asked{method: "POST", target: wheel, media: "application/json", body: "{}"}, "projects=foo"},
		{"projects and a push", change("PUSH", `{"name":"zoo","version":"1","targetindex":"alice/dev"}`), "projects=foo"},
		{"projects and an index's creation", change("PUT", `{}`), "projects=foo"},
		{"projects and an index's change", change("PATCH", `["volatile=False"]`), "projects=foo"},
		{"projects and an index's deletion", asked{method: "DELETE", target: "/alice/dev"}, "projects=foo"},
		{"projects and the list of projects", asked{method: "GET", target: "/alice/dev/+simple/"}, "projects=foo"},
		{"a file of another project than the form's", asked{method: "POST", target: "/alice/dev/", media: "multipart/form-data",
			body: formBody("name", "foo", ":action", "file_upload", "content zoo-1.0.tar.gz", "x")}, "projects=foo"},
		{"indexes and a push's target", change("PUSH", `{"name":"foo","version":"1","targetindex":"alice/prod"}`), "indexes=alice/dev"},
		{"indexes and a simple page", asked{method: "GET", target: "/alice/dev/+simple/foo/"}, "indexes=bob/prod"},
		{"indexes and an index", asked{method: "GET", target: "/alice/dev"}, "indexes=bob/prod"},
		{"indexes and a project", asked{method: "GET", target: "/alice/dev/foo"}, "indexes=bob/prod"},
		{"indexes and a version", asked{method: "GET", target: "/alice/dev/foo/1.0"}, "indexes=bob/prod"},
		{"indexes and what is known of a file", asked{method: "GET", target: wheel, accept: "application/json"}, "indexes=bob/prod"},
		{"allowed and what is known of a file", asked{method: "GET", target: wheel, accept: "application/json"}, "allowed=upload"},
		{"allowed and a simple page", asked{method: "GET", target: "/alice/dev/+simple/foo/"}, "allowed=upload"},
		{"allowed and documentation", asked{method: "GET", target: "/alice/dev/foo/1.0/+doc/index.html"}, "allowed=upload"},
		{"a push to any server", change("PUSH", `{"name":"foo","version":"1","posturl":"http://x.example/","username":"u","password":"p"}`), "projects=foo"},
		{"lasting rights of others", change("PATCH", `["acl_upload+=bob"]`), "expires=4102444800"},
		{"lasting rights of others, all at once", change("PATCH", `{"acl_upload":["alice","bob"]}`), "expires=4102444800"},
		{"lasting rights of others, from the beginning", change("PUT", `{"acl_toxresult_upload":":ANONYMOUS:"}`), "expires=4102444800"},
		{"another index as a base", change("PATCH", `["bases+=bob/secret"]`), "indexes=alice/dev"},
		{"another index as a base, as a list", change("PATCH", `{"bases":["alice/dev","bob/secret"]}`), "indexes=alice/dev"},
		{"another index as a base, from the beginning", change("PUT", `{"bases":"alice/dev, bob/secret"}`), "indexes=alice/dev"},
	} {
		if err := judged(t, Strict, c.q, []string{c.caveats}, options{}); err == nil {
			t.Errorf("%s: strict allows it with %s", c.name, c.caveats)
		}
		if err := judged(t, Compat, c.q, []string{c.caveats}, options{}); err != nil {
			t.Errorf("%s: compat refuses it with %s: %v", c.name, c.caveats, err)
		}
	}
	// What crashes there is understood here, and what is not looked at there is
	// looked at in both modes.
	for _, c := range []struct {
		q       asked
		caveats string
		ok      bool
	}{
		{asked{method: "GET", target: wheel}, `[1, ["zoo"]]`, true},
		{asked{method: "GET", target: wheel}, `{"version": 1, "permissions": "user"}`, true},
		{asked{method: "GET", target: wheel}, `allowed=pkg_read`, true},
		{asked{method: "GET", target: "/alice/dev/+simple/zoo/"}, "expires=10", false},
		{asked{method: "GET", target: "/"}, "expires=10", false},
		{asked{method: "GET", target: "/+status"}, "not_before=4102444800", false},
		{asked{method: "GET", target: wheel}, "allowed= pkg_read", false},
		{asked{method: "GET", target: "/alice/dev/foo"}, "dp:host=github.com", false},
		{asked{method: "PATCH", target: "/bob/prod", media: "application/json", body: `["bases+=alice/dev"]`}, "indexes=alice/dev", false},
		{change("PATCH", `["bases=alice/dev"]`), "indexes=alice/dev", true},
		{change("PATCH", `["bases-=bob/secret"]`), "indexes=alice/dev", true},
		{change("PATCH", `["bases-="]`), "indexes=alice/dev", true},
	} {
		for _, m := range []Mode{Strict, Compat} {
			if err := judged(t, m, c.q, []string{c.caveats}, options{}); (err == nil) != c.ok {
				t.Errorf("%s: %s %s with %s: %v", m, c.q.method, c.q.target, c.caveats, err)
			}
		}
	}
}

// TestNever: what no pass does, however wide, and with which status.
func TestNever(t *testing.T) {
	for _, c := range []struct {
		method, target string
		status         int
		code           string
	}{
		{"POST", "/+login", 403, "DP-980"}, {"PUT", "/bob", 403, "DP-980"}, {"PATCH", "/alice", 403, "DP-980"}, {"DELETE", "/alice/", 403, "DP-980"},
		{"POST", "/alice/+token-create", 403, "DP-980"}, {"GET", "/alice/+tokens", 403, "DP-980"}, {"DELETE", "/alice/+tokens/x", 403, "DP-980"},
		{"GET", "/+authcheck", 404, "DP-981"}, {"GET", "/+changelog/3", 404, "DP-981"}, {"POST", "/+changelog/3-", 404, "DP-981"},
		{"GET", "/%2Bchangelog/%D9%A3", 404, "DP-981"}, {"OPTIONS", "/+changelog/x/y", 404, "DP-981"},
		{"GET", "/alice/dev/+f/x", 403, "DP-971"}, {"OPTIONS", "/alice/dev", 403, "DP-971"}, {"TRACE", "/", 403, "DP-971"}, {"MKCOL", "/alice/new", 403, "DP-971"},
	} {
		for _, m := range []Mode{Strict, Compat} {
			var f *fault
			err := judged(t, m, asked{method: c.method, target: c.target}, nil, options{listProjects: true, pushOut: true})
			if !errors.As(err, &f) || f.status != c.status || f.Code != c.code {
				t.Errorf("%s: %s %s: %v, want %d and %s", m, c.method, c.target, err, c.status, c.code)
			}
		}
	}
}

// TestDevpiTokensVerdicts: 20 tokens of the real devpi-tokens in 13 requests
// each get in compat the verdict that the real server gave them.
func TestDevpiTokensVerdicts(t *testing.T) {
	raw, err := os.ReadFile("../pass/testdata/macaroons.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Devpi struct {
			Tokens []struct {
				Label     string
				Caveats   []string
				Effective []string `json:"effective_allowed"`
				Contexts  []struct {
					Method, User, Index, Project, Verdict string
					Form                                  map[string]string
				}
			}
		} `json:"devpi_tokens"`
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, token := range v.Devpi.Tokens {
		for i, c := range token.Contexts {
			// A request of the same user, index, project and form whose view loads the identity.
			q, perm := asked{method: "GET", target: "/+api"}, ""
			switch {
			case c.User != "" && c.Index == "":
				q.target = "/" + c.User + "/+api"
			case c.Project != "":
				q, perm = asked{method: "DELETE", target: "/" + c.User + "/" + c.Index + "/" + c.Project}, "del_project"
			case len(c.Form) > 0:
				q, perm = asked{method: "POST", target: "/" + c.User + "/" + c.Index + "/", media: "multipart/form-data",
					body: formBody(":action", c.Form[":action"], "name", c.Form["name"], "content "+strings.ReplaceAll(c.Form["name"], ".", "_")+"-1.0.tar.gz", "x")}, "upload"
			case c.Method == "PUSH" || c.Method == "POST":
				q, perm = asked{method: c.Method, target: "/" + c.User + "/" + c.Index, media: "application/json", body: `{"name":"x","version":"1","targetindex":"a/b"}`}, "upload"
			case c.Index != "":
				q.target = "/" + c.User + "/" + c.Index + "/+api"
			}
			want := c.Verdict == "ok" && (token.Effective == nil || perm == "" || slices.Contains(token.Effective, perm))
			if err := judgedQuietly(t, q, token.Caveats); (err == nil) != want {
				t.Errorf("%s, request %d: %v, want %v", token.Label, i, err, want)
			}
			n++
		}
	}
	if n != 260 {
		t.Errorf("%d verdicts compared, want 260", n)
	}
}

// judgedQuietly is judged for caveats that a verifier may not open.
func judgedQuietly(t *testing.T, q asked, caveats []string) error {
	t.Helper()
	id := pass.Identity{Realm: pass.Realm{Kind: pass.Index, Name: "devpi"}, User: "alice", ID: "abcdefgh"}
	key := pass.NewKey([]byte("a key"))
	p, err := pass.Mint(key, id, caveats...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (pass.Verifier{Realm: id.Realm, Keys: func(pass.Identity) (pass.Key, error) { return key, nil }}).Open(p); err != nil {
		return err
	}
	return judged(t, Compat, q, caveats, options{})
}

// TestBases: the bases of a listed index can be read, and nothing else be done
// with them.
func TestBases(t *testing.T) {
	o := options{isBase: isTestBase}
	for target, ok := range map[string]bool{
		"/root/pypi/+simple/foo/": true, "/root/pypi/+f/18d/0123456789abc/foo-1.0.tar.gz": true, "/root/pypi/+api": true, "/bob/prod/+simple/foo/": false,
	} {
		if err := judged(t, Strict, asked{method: "GET", target: target}, []string{"indexes=alice/dev"}, o); (err == nil) != ok {
			t.Errorf("GET %s: %v", target, err)
		}
	}
	for _, q := range []asked{
		{method: "DELETE", target: "/root/pypi/foo"},
		{method: "PUSH", target: "/root/pypi", media: "application/json", body: `{"name":"foo","version":"1","targetindex":"alice/dev"}`},
		{method: "POST", target: "/root/pypi/", media: "multipart/form-data", body: formBody("name", "foo", ":action", "submit")},
		{method: "POST", target: "/root/pypi/+f/18d/0123456789abc/foo-1.0.tar.gz", media: "application/json", body: "{}"},
	} {
		if judged(t, Strict, q, []string{"indexes=alice/dev"}, o) == nil {
			t.Errorf("%s %s is allowed through a base", q.method, q.target)
		}
	}
	// Whoever narrows to many indexes does not make the gateway ask for all of them.
	asks := 0
	var many []string
	for i := range 500 {
		many = append(many, "u/i"+strings.Repeat("x", i%30)+string(rune('a'+i%26)))
	}
	err := judged(t, Strict, asked{method: "GET", target: "/root/pypi/foo"}, []string{"indexes=" + strings.Join(many[:250], ",")}, options{isBase: func(string, string) bool { asks++; return false }})
	if err == nil || asks > maxListed {
		t.Errorf("%v after %d questions", err, asks)
	}
}
