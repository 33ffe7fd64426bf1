package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/pass"
)

// A hostileIndex is a devpi server that makes the tokens that it is told to.
type hostileIndex struct {
	t       *testing.T
	token   func(ask map[string]any) string
	who     string // who +api says that a token is of
	over    bool   // sessions have ended
	asked   []string
	deleted int
	plain   bool   // knows no labels, as devpi-tokens
	tokens  string // that it lists
}

const (
	hostileURL      = "https://pypi.example/alice/dev"
	hostilePassword = "canary-hostile-password"
)

func (h *hostileIndex) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != "pypi.example" || r.URL.Scheme != "https" {
		h.t.Errorf("a request went to %s", r.URL.Host)
	}
	w := httptest.NewRecorder()
	h.asked = append(h.asked, r.Method+" "+r.URL.Path)
	w.Header().Set("Content-Type", "application/json")
	raw, _ := base64.StdEncoding.DecodeString(r.Header.Get("X-Devpi-Auth"))
	switch {
	case strings.HasSuffix(r.URL.Path, "/+api"):
		status := `["noauth", "", []]`
		if len(raw) > 0 && !h.over {
			status = fmt.Sprintf(`["ok", %q, []]`, h.who)
		}
		fmt.Fprintf(w, `{"type": "apiconfig", "result": {"login": "/+login", "index": "/alice/dev", "simpleindex": "/alice/dev/+simple/", "pypisubmit": "/alice/dev/", "authstatus": %s}}`, status)
	case r.URL.Path == "/+login":
		fmt.Fprint(w, `{"type": "proxyauth", "result": {"password": "canary-session"}}`)
	case strings.HasSuffix(r.URL.Path, "/+token-create"):
		var ask map[string]any
		_ = json.NewDecoder(r.Body).Decode(&ask)
		if _, labelled := ask["label"]; labelled && h.plain {
			w.WriteHeader(400)
			fmt.Fprint(w, `{"message": "Unknown restriction 'label'."}`)
			break
		}
		text, _ := json.Marshal(h.token(ask))
		fmt.Fprintf(w, `{"type": "token-info", "result": {"token": %s}}`, text)
	case strings.HasSuffix(r.URL.Path, "/+tokens"):
		fmt.Fprintf(w, `{"type": "tokens-info", "result": {"tokens": %s}}`, h.tokens)
	case r.Method == "DELETE":
		h.deleted++
		fmt.Fprint(w, `{"message": "token x deleted"}`)
	default:
		w.WriteHeader(404)
	}
	return w.Result(), nil
}

// plugin mints as devpi-tokens does.
func plugin(t *testing.T, user string, caveats ...string) string {
	t.Helper()
	p, err := pass.Mint(pass.NewKey([]byte("0123456789abcdef")), pass.Identity{Realm: pass.Realm{Kind: pass.Plugin}, User: user, ID: "abcdefgh"}, caveats...)
	if err != nil {
		t.Fatal(err)
	}
	return p.Text(pass.Devpi).Reveal()
}

func expires(ask map[string]any) string {
	n, _ := ask["expires"].(float64)
	return "expires=" + strconv.FormatInt(int64(n), 10)
}

func newIndexBench(t *testing.T, h *hostileIndex) *bench {
	b := newBench(t, fake.Switches{})
	h.t, b.transport = t, h
	write(t, filepath.Join(b.env["HOME"], "password"), hostilePassword+"\n", 0o600)
	return b
}

// logIn is the flags with which a password comes from a file.
func (b *bench) logIn(args ...string) []string {
	return append(args, "--index", hostileURL, "--user", "alice", "--password", "@"+filepath.Join(b.env["HOME"], "password"))
}

// TestWiderToken: what an index makes is looked at. What is not what was asked
// for is ended there, kept nowhere and shown to nobody.
func TestWiderToken(t *testing.T) {
	for name, token := range map[string]func(map[string]any) string{
		"another user": func(ask map[string]any) string { return plugin(t, "bob", expires(ask), "indexes=alice/dev") },
		"longer":       func(map[string]any) string { return plugin(t, "alice", "expires=4000000000", "indexes=alice/dev") },
		"no end":       func(map[string]any) string { return plugin(t, "alice", "expires=never", "indexes=alice/dev") },
		"no limit":     func(ask map[string]any) string { return plugin(t, "alice", expires(ask)) },
		"another limit": func(ask map[string]any) string {
			return plugin(t, "alice", expires(ask), "indexes=alice/dev,alice/prod")
		},
		"of a hub": func(map[string]any) string {
			return "daypass_AgEAAiFkYXlwYXNzOmh1YjptYWluOms3UW0yeFZiVGNaZFBuUncAAhJleHBpcmVzPTQxMDI0NDQ4MDAAAAYg9kYtjGjK2cXxCJz-AIJUFjlVQtxP5NF5DVZ0vCBM82M"
		},
		"no pass": func(map[string]any) string { return "hello\x1b[2J" },
	} {
		t.Run(name, func(t *testing.T) {
			h := &hostileIndex{token: token, who: "alice"}
			b := newIndexBench(t, h)
			if code := b.do(b.logIn("token", "create", "-e", "1 day", "-i", "alice/dev")...); code != 4 && code != 2 {
				t.Errorf("ended with %d: %s", code, b.err.String())
			}
			if said := b.out.String() + b.err.String(); b.out.Len() > 0 || strings.Contains(said, "AgEA") || strings.Contains(said, "\x1b") {
				t.Errorf("shown: %q", said)
			}
			if parses := name != "no pass"; parses != (h.deleted == 1) {
				t.Errorf("%d were ended", h.deleted)
			}
		})
	}
	h := &hostileIndex{who: "alice", token: func(ask map[string]any) string { return plugin(t, "alice", expires(ask), "indexes=alice/dev") }}
	b := newIndexBench(t, h)
	if code := b.do(b.logIn("token", "create", "-e", "1 day", "-i", "alice/dev")...); code != 0 || h.deleted != 0 || !strings.HasPrefix(b.out.String(), "devpi-AgEA") {
		t.Errorf("as asked for: %d, %s", code, b.err.String())
	}
	for _, what := range []string{hostilePassword, "canary-session"} {
		if strings.Contains(b.out.String()+b.err.String(), what) {
			t.Errorf("%s is shown", what)
		}
	}
}

// TestIndexState: nothing is written where others can change it, nothing of
// others' is lost, and a server that says that the pass is another's keeps none.
func TestIndexState(t *testing.T) {
	made := func(ask map[string]any) string { return plugin(t, "alice", expires(ask)) }
	h := &hostileIndex{token: made, who: "alice"}
	b := newIndexBench(t, h)
	dir := filepath.Join(b.env["HOME"], ".devpi", "client")
	file := filepath.Join(dir, "auth.json")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, file, `{"auth": {"https://other.example/": [["ann", "kept-session"]]}, "basic_auth": {"x": ["u", "p"]}}`, 0o644)
	if code := b.do(b.logIn("login")...); code != 0 {
		t.Fatal(b.err.String())
	}
	text := read(t, file)
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	for _, want := range []string{"kept-session", "basic_auth", `"https://pypi.example/"`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	if strings.Contains(text, hostilePassword) || strings.Contains(text, "canary-session") {
		t.Error("a password or session was kept")
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	found := b.indexFindings()
	if len(found) != 1 || !strings.Contains(found[0].Detail, "Others can open it") {
		t.Errorf("doctor: %+v", found)
	}
	h.who = "mallory"
	before := read(t, file)
	if code := b.do(b.logIn("login")...); code != 3 || read(t, file) != before || !strings.Contains(b.err.String(), "[DP-141]") {
		t.Errorf("another's: %d %s", code, b.err.String())
	}
	h.who = "alice"
	if code := b.do("logout", "--index", hostileURL); code != 0 || strings.Contains(read(t, file), "devpi-") || !strings.Contains(read(t, file), "kept-session") {
		t.Errorf("logout: %d %s%s", code, b.err.String(), read(t, file))
	}
	for what, spoil := range map[string]func(){
		"a link": func() {
			target := filepath.Join(t.TempDir(), "x")
			write(t, target, "{}", 0o600)
			_ = os.Remove(file)
			_ = os.Symlink(target, file)
		},
		"no JSON": func() { _ = os.Remove(file); write(t, file, "[]", 0o600) },
		"others write to the folder": func() {
			_ = os.Remove(file)
			_ = os.Chmod(dir, 0o777)
		},
	} {
		spoil()
		if code := b.do(b.logIn("login")...); code == 0 || !strings.Contains(b.err.String(), "[DP-137]") {
			t.Errorf("%s: %d %s", what, code, b.err.String())
		}
		_ = os.Chmod(dir, 0o700)
	}
}

// TestLoginFile: what is wrong with the file is told as everywhere else.
func TestLoginFile(t *testing.T) {
	b := newIndexBench(t, &hostileIndex{who: "alice"})
	open, broken := filepath.Join(b.env["HOME"], "open"), filepath.Join(b.env["HOME"], "broken")
	write(t, open, plugin(t, "alice"), 0o644)
	write(t, broken, "devpi-hello", 0o600)
	for _, c := range []struct {
		path, words, code string
		exit              int
	}{
		{open, "others on this machine can read the file", "DP-122", 4},
		{filepath.Join(b.env["HOME"], "none"), "there is no such file", "DP-122", 2},
		{broken, "that is no pass", "DP-123", 2},
	} {
		for _, given := range [][]string{{"--file", c.path}, {"--token", "@" + c.path}} {
			b.err.Reset()
			code := b.do(append([]string{"login", "--index", hostileURL}, given...)...)
			if said := b.err.String(); code != c.exit || !strings.Contains(said, c.words) || !strings.Contains(said, "["+c.code+"]") || strings.Count(said, "[DP-") != 1 {
				t.Errorf("%q: %d %s", given, code, said)
			}
		}
	}
}

// TestIndexLabel: a label goes to the index where one was given, and an index
// that keeps none says so.
func TestIndexLabel(t *testing.T) {
	var got map[string]any
	h := &hostileIndex{who: "alice", token: func(ask map[string]any) string { got = ask; return plugin(t, "alice", expires(ask)) }}
	b := newIndexBench(t, h)
	if code := b.do(b.logIn("pass", "create", "--expires", "1h", "--label", "nightly build")...); code != 0 || got["label"] != "nightly build" {
		t.Errorf("%d %v %s", code, got, b.err.String())
	}
	if code := b.do(b.logIn("pass", "create", "--expires", "1h")...); code != 0 || len(got) != 1 {
		t.Errorf("without a label: %d %v %s", code, got, b.err.String())
	}
	h.plain = true
	code := b.do(b.logIn("pass", "create", "--expires", "1h", "--label", "nightly build")...)
	if said := b.err.String(); code != 2 || b.out.Len() > 0 || !strings.Contains(said, "keeps no labels") || !strings.Contains(said, "Leave --label out") || !strings.Contains(said, "[DP-134]") {
		t.Errorf("at an index without labels: %d %s", code, said)
	}
	if code := b.do(b.logIn("pass", "create", "--expires", "1h")...); code != 0 {
		t.Errorf("without a label there: %d %s", code, b.err.String())
	}
}

// TestIndexList: what a gateway tells beyond devpi-tokens is shown, and a list
// of devpi-tokens is as it was.
func TestIndexList(t *testing.T) {
	h := &hostileIndex{who: "alice", tokens: `{
		"a1": {"restrictions": ["expires=4000000000", "projects=maps"], "label": "nightly\u001b[2J build", "created": "2026-05-01T08:00:00Z", "used": "2026-05-02T09:30:00Z", "until": "2096-10-02T07:06:40Z", "uses": 7},
		"b2": {"restrictions": ["expires=never"], "label": "", "created": "2026-05-03T08:00:00Z", "uses": 0},
		"c3": {"restrictions": ["expires=4000000000"]}}`}
	b := newIndexBench(t, h)
	if code := b.do(b.logIn("pass", "list")...); code != 0 {
		t.Fatal(b.err.String())
	}
	said := b.out.String()
	a1, rest, _ := strings.Cut(said, "b2")
	b2, c3, _ := strings.Cut(rest, "c3")
	for what, has := range map[string]bool{
		"a1's label": strings.Contains(a1, "nightly") && strings.Contains(a1, "build") && !strings.Contains(said, "\x1b"),
		"a1's times": strings.Contains(a1, "Made:   2026-05-0") && strings.Contains(a1, "Used:   7 times, last at 2026-05-0") && strings.Count(a1, "Ends:   ") == 1 && strings.Contains(a1, "2096-10-0"),
		"a1's rest":  strings.Contains(a1, "Limits: expires=4000000000; projects=maps"),
		"b2":         strings.Contains(b2, "Made:   2026-05-0") && strings.Contains(b2, "Used:   never") && strings.Contains(b2, "Ends:   no set time"),
		"c3":         !strings.Contains(c3, "Made:") && !strings.Contains(c3, "Used:") && strings.Contains(c3, "Ends:   2096-10-0"),
	} {
		if !has {
			t.Errorf("%s:\n%s", what, said)
		}
	}
	if code := b.do(b.logIn("pass", "list", "--json")...); code != 0 {
		t.Fatal(b.err.String())
	}
	var rows []map[string]any
	if err := json.Unmarshal(b.out.Bytes(), &rows); err != nil || len(rows) != 3 {
		t.Fatalf("%v %s", err, b.out.String())
	}
	for i, want := range []map[string]any{
		{"label": "nightly\u001b[2J build", "created": "2026-05-01T08:00:00Z", "used": "2026-05-02T09:30:00Z", "until": "2096-10-02T07:06:40Z", "uses": 7.0},
		{"label": "", "created": "2026-05-03T08:00:00Z", "used": nil, "until": nil, "uses": 0.0},
		{"label": "", "created": nil, "used": nil, "until": nil, "uses": nil},
	} {
		for key, value := range want {
			if rows[i][key] != value {
				t.Errorf("%s of %v: %v", key, rows[i]["id"], rows[i][key])
			}
		}
	}
	h.tokens = `{"a1": {"restrictions": [], "created": "yesterday"}}`
	if code := b.do(b.logIn("pass", "list")...); code != 4 || !strings.Contains(b.err.String(), "[DP-136]") {
		t.Errorf("a time that is none: %d %s", code, b.err.String())
	}
}

// TestOverSession: devpi's own session is used while it lasts; then the password
// is what counts.
func TestOverSession(t *testing.T) {
	h := &hostileIndex{who: "alice", token: func(ask map[string]any) string { return plugin(t, "alice", expires(ask)) }}
	b := newIndexBench(t, h)
	dir := filepath.Join(b.env["HOME"], ".devpi", "client")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "auth.json"), `{"auth": {"https://pypi.example/": [["alice", "canary-session"]]}}`, 0o600)
	if code := b.do("token", "create", "--index", hostileURL); code != 0 {
		t.Errorf("%d %s", code, b.err.String())
	}
	h.over, h.asked = true, nil
	if code := b.do("token", "create", "--index", hostileURL); code != 3 || !strings.Contains(b.err.String(), "[DP-138]") {
		t.Errorf("with a session that is over: %d %s", code, b.err.String())
	}
	if got := strings.Join(h.asked, "\n"); strings.Contains(got, "+token-create") {
		t.Errorf("a token was asked for:\n%s", got)
	}
	if code := b.do(b.logIn("token", "create")...); code != 0 {
		t.Errorf("with the password: %d %s", code, b.err.String())
	}
}

// TestTokenTimes: the same words mean the same moment in every time zone, and a
// year from 29 February ends on the 28th.
func TestTokenTimes(t *testing.T) {
	leap := time.Date(2028, 2, 29, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		command, words, want string
	}{
		{"create", "", "2029-02-28T12:00:00Z"},
		{"create", "1 year", "2029-02-28T12:00:00Z"},
		{"token-create", "1y2m", "2029-04-29T12:00:00Z"},
		{"token-create", "2m", "2028-04-29T12:00:00Z"},
		{"token-create", "2 m 3d", "2028-05-02T12:00:00Z"},
		{"token-create", "10min", "2028-02-29T12:10:00Z"},
		{"create", "1850000000", "2028-08-16T00:53:20Z"},
		{"create", "never", ""},
	} {
		for _, zone := range []string{"UTC", "America/New_York", "Pacific/Kiritimati"} {
			at, err := time.LoadLocation(zone)
			if err != nil {
				t.Fatal(err)
			}
			var got map[string]any
			h := &hostileIndex{who: "alice", token: func(ask map[string]any) string { got = ask; return plugin(t, "alice", "expires=1") }}
			b := newIndexBench(t, h)
			b.now = func() time.Time { return leap.In(at) }
			args := []string{"token", c.command}
			if strings.HasPrefix(c.command, "token-") {
				args = args[1:]
			}
			if c.words != "" {
				args = append(args, "-e", c.words)
			}
			b.do(b.logIn(args...)...)
			want, _ := time.Parse(time.RFC3339, c.want)
			if c.want == "" && got["expires"] != "never" || c.want != "" && got["expires"] != float64(want.Unix()) {
				t.Errorf("%s -e %q in %s: asked for %v: %s", c.command, c.words, zone, got["expires"], b.err.String())
			}
		}
	}
	b := newIndexBench(t, &hostileIndex{})
	if code := b.do("token", "derive", "-e", "2m"); code != 2 || !strings.Contains(b.err.String(), "[DP-125]") {
		t.Errorf("2m by the new name: %d %s", code, b.err.String())
	}
}

// TestTimeFlags: a date is a time, where a pass begins and where it ends, and
// what is wrong is told of the flag that it is wrong with.
func TestTimeFlags(t *testing.T) {
	b := newIndexBench(t, &hostileIndex{})
	b.now = func() time.Time { return time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC) }
	file := filepath.Join(b.env["HOME"], "t")
	write(t, file, plugin(t, "alice"), 0o600)
	for _, c := range []struct{ flag, text, limit string }{
		{"--not-before", "2027-01-31", "not_before=1801353600"},
		{"--expires", "2027-01-31", "expires=1801353600"},
	} {
		if code := b.do("token", "derive", "--file", file, c.flag, c.text); code != 0 {
			t.Errorf("%s: %s", c.flag, b.err.String())
			continue
		}
		write(t, file+"2", b.out.String(), 0o600)
		if b.do("token", "inspect", "--file", file+"2"); !strings.Contains(b.out.String(), c.limit) {
			t.Errorf("%s %s: %s", c.flag, c.text, b.out.String())
		}
	}
	for _, c := range []struct{ flag, other, text string }{
		{"--not-before", "--expires", "soon"}, {"--not-before", "--expires", "never"}, {"--not-before", "--expires", "5m"}, {"--expires", "--not-before", "soon"},
	} {
		code := b.do("pass", "narrow", "--file", file, c.flag, c.text)
		said := b.err.String()
		if code != 2 || !strings.Contains(said, "[DP-125]") || !strings.Contains(said, "Say for example "+c.flag+" ") || strings.Contains(said, c.other) || strings.Count(said, "2027-01-31 18:00") != 1 {
			t.Errorf("%s %s: %d %s", c.flag, c.text, code, said)
		}
		if c.flag == "--not-before" && strings.Contains(said, "or never") {
			t.Errorf("never is no beginning: %s", said)
		}
	}
}

// TestTokenQuestions: yes and no, and nothing else, as devpi's client asks.
func TestTokenQuestions(t *testing.T) {
	token := plugin(t, "alice")
	for answers, want := range map[string]bool{"yes\n": true, "no\n": false, "y\nmaybe\nyes\n": true, "Yes\nno\n": false, "": false, "\n\n": false} {
		b := newIndexBench(t, &hostileIndex{})
		file := filepath.Join(b.env["HOME"], "t")
		write(t, file, token, 0o600)
		b.stdin = strings.NewReader(answers)
		code := b.do("token", "derive", "-f", file, "-a", "upload, pkg_write")
		if (code == 0) != want || !strings.Contains(b.err.String(), "The following permissions are not known: pkg_write\nAre you sure you want to use them? (yes/no)? ") {
			t.Errorf("%q: %d %s", answers, code, b.err.String())
		}
		if !want && (!strings.Contains(b.err.String(), "Aborted") || b.out.Len() > 0) {
			t.Errorf("%q: %s%s", answers, b.err.String(), b.out.String())
		}
	}
	b := newIndexBench(t, &hostileIndex{})
	file, out := filepath.Join(b.env["HOME"], "t"), filepath.Join(b.env["HOME"], "out")
	write(t, file, token, 0o600)
	write(t, out, "mine", 0o644)
	b.stdin = strings.NewReader("no\n")
	if code := b.do("token", "derive", "-f", file, "-e", "1h", "-o", out); code == 0 || read(t, out) != "mine" || !strings.Contains(b.err.String(), "There already exists a file at '"+out+"'.\nDo you want to overwrite it? (yes/no)? ") {
		t.Errorf("%d %s", code, b.err.String())
	}
	if code := b.do("token", "derive", "-f", file, "-e", "1h", "-o", out, "-y"); code != 0 || !strings.HasPrefix(read(t, out), "devpi-") || !strings.Contains(b.err.String(), "yes (autoset from -y option)") {
		t.Errorf("%d %s", code, b.err.String())
	}
	if st, err := os.Stat(out); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	b.stdin = strings.NewReader(token + "\nyes\n")
	if code := b.do("token", "derive", "-f", "-", "-a", "pkg_write"); code == 0 {
		t.Error("the answer was taken from behind the token")
	}
}

// TestTokenText: what derive, inspect and the literal of old print.
func TestTokenText(t *testing.T) {
	b := newIndexBench(t, &hostileIndex{})
	token := plugin(t, "al-ice", "expires=1800000000", "expires=never", `[1, ["x"]]`, "indexes=a/b\x1b[2J")
	file := filepath.Join(b.env["HOME"], "t")
	write(t, file, token+"\n", 0o600)
	want := "Token info:\n    user       : al-ice\n    id         : abcdefgh\n    restriction: expires=1800000000 (" + time.Unix(1800000000, 0).Format("2006-01-02 15:04:05-07:00") +
		")\n    restriction: expires=never\n    restriction: [1, [\"x\"]]\n    restriction: indexes=a/b\\u001b[2J\n"
	if code := b.do("token", "inspect", "-f", file); code != 0 || b.out.String() != want {
		t.Errorf("%d:\n%s%s", code, b.out.String(), b.err.String())
	}
	write(t, file, plugin(t, "ann"), 0o600)
	if b.do("token-inspect", "-f", file); b.out.String() != "Token info:\n    user: ann\n    id  : abcdefgh\n" {
		t.Errorf("%s", b.out.String())
	}
	bare := strings.TrimPrefix(plugin(t, "ann"), "devpi-")
	write(t, file, bare, 0o600)
	if code := b.do("token", "derive", "-f", file, "-i", "foo , bar"); code != 0 || strings.HasPrefix(b.out.String(), "devpi-") || !strings.Contains(b.err.String(), `"foo" is none`) {
		t.Errorf("%d %s%s", code, b.out.String(), b.err.String())
	}
	if code := b.do("token", "derive", "-f", file); code != 2 || !strings.Contains(b.err.String(), "No restrictions provided") {
		t.Errorf("%d %s", code, b.err.String())
	}
	if code := b.do("token-derive", "--token", bare, "-e", "1h"); code != 0 || !strings.Contains(b.err.String(), "Warning") || strings.Contains(b.err.String(), bare) {
		t.Errorf("%d %s", code, b.err.String())
	}
	if code := b.do("token", "derive", "--token", bare, "-e", "1h"); code != 2 || !strings.Contains(b.err.String(), "[DP-121]") || b.out.Len() > 0 {
		t.Errorf("%d %s", code, b.err.String())
	}
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	if code := b.do("token", "inspect", "-f", file); code != 4 || !strings.Contains(b.err.String(), "[DP-122]") {
		t.Errorf("readable by others: %d %s", code, b.err.String())
	}
}
