package gateway

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// asking is one line to the real devpi-server's own code, and its answer.
type asking struct {
	Target string `json:"target,omitempty"`
	Method string `json:"method,omitempty"`
	Agent  string `json:"agent"`
	Accept string `json:"accept"`
	Form   string `json:"form,omitempty"` // base64
	Type   string `json:"type,omitempty"`
}

type answered struct {
	Route  string            `json:"route"` // empty: none
	Places map[string]string `json:"places"`
	Fields [][2]string       `json:"fields"` // the values are base64
}

// oracles asks every devpi-server that is installed.
func oracles(t *testing.T, asks []asking, check func(t *testing.T, answers []answered)) {
	t.Helper()
	for _, name := range []string{"DAYPASS_TEST_DEVPI", "DAYPASS_TEST_DEVPI_TOKENS"} {
		t.Run(name, func(t *testing.T) {
			dir := os.Getenv(name)
			if dir == "" && os.Getenv("DAYPASS_TEST_COMPLETE") != "" {
				t.Fatalf("%s is not set", name)
			}
			if dir == "" {
				t.Skipf("%s is not set: scripts/tools.sh devpi installs devpi-server", name)
			}
			var in bytes.Buffer
			for _, a := range asks {
				line, err := json.Marshal(a)
				if err != nil {
					t.Fatal(err)
				}
				in.Write(append(line, '\n'))
			}
			cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "bin", "python"), "testdata/oracle.py")
			cmd.Stdin, cmd.Env = &in, []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir()}
			var complaint bytes.Buffer
			cmd.Stderr = &complaint
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, complaint.Bytes())
			}
			var answers []answered
			for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
				var a answered
				if err := d.Decode(&a); err != nil {
					t.Fatal(err)
				}
				answers = append(answers, a)
			}
			if len(answers) != len(asks) {
				t.Fatalf("%d answers to %d questions", len(answers), len(asks))
			}
			check(t, answers)
		})
	}
}

// devpiRoutes are devpi's names of the routes that an action may have there.
var devpiRoutes = map[string][]string{
	"whoami":         {"/+api", "/{user}/+api", "/{user}/{index}/+api"},
	"status":         {"/+status"},
	"users":          {"/", "root"},
	"user":           {"/{user}", "/{user}/"},
	"index":          {"/{user}/{index}", "/{user}/{index}/", "installer_simple"},
	"index-create":   {"/{user}/{index}", "/{user}/{index}/"},
	"index-modify":   {"/{user}/{index}", "/{user}/{index}/"},
	"index-delete":   {"/{user}/{index}", "/{user}/{index}/"},
	"upload":         {"/{user}/{index}", "/{user}/{index}/"},
	"push":           {"/{user}/{index}", "/{user}/{index}/"},
	"search":         {"/{user}/{index}", "/{user}/{index}/"},
	"simple":         {"/{user}/{index}/+simple", "/{user}/{index}/+simple/"},
	"simple-project": {"/{user}/{index}/+simple/{project}", "/{user}/{index}/+simple/{project}/"},
	"refresh":        {"/{user}/{index}/+simple/{project}/refresh", "project_refresh", "/{user}/{index}/{project}/{version}"},
	"download":       {"/{user}/{index}/+f/{relpath:.*}", "/{user}/{index}/+e/{relpath:.*}"},
	"toxresult":      {"/{user}/{index}/+f/{relpath:.*}"},
	"file-delete":    {"/{user}/{index}/+f/{relpath:.*}", "/{user}/{index}/+e/{relpath:.*}"},
	"project":        {"/{user}/{index}/{project}", "installer_simple_project"},
	"project-delete": {"/{user}/{index}/{project}"},
	"version":        {"/{user}/{index}/{project}/{version}", "project_refresh"},
	"version-delete": {"/{user}/{index}/{project}/{version}", "project_refresh"},
	"docs":           {"docroot", "docviewroot"},
	"toxresults":     {"toxresults", "toxresult"},
	"web":            {"search", "search_help"},
}

// TestRoutesAsDevpi: whatever a pass can reach, devpi's own router takes for the
// same route, of the same user, index, project and version.
func TestRoutesAsDevpi(t *testing.T) {
	var asks []asking
	var actions []action
	for _, q := range append(everyRequest(), randomRequests(6000)...) {
		h := http.Header{"User-Agent": {q.agent}, "Accept": {q.accept}, "Content-Type": {q.media}}
		r, err := parse(q.method, q.target, h, 0)
		if err != nil {
			continue
		}
		a := classify(r)
		if a.class != upstream || a.name == "web" && strings.HasPrefix(r.segments[0], "+static") {
			continue
		}
		asks = append(asks, asking{Target: r.target(), Method: q.method, Agent: q.agent, Accept: q.accept})
		actions = append(actions, a)
	}
	oracles(t, asks, func(t *testing.T, answers []answered) {
		routed := 0
		for i, got := range answers {
			if got.Route == "" {
				continue // devpi answers 404
			}
			a, want := actions[i], got.Places
			routed++
			project := ""
			if len(a.seen) > 0 {
				project = a.seen[0]
			}
			_, hasProject := want["project"]
			_, hasVersion := want["version"]
			if !slices.Contains(devpiRoutes[a.name], got.Route) || want["user"] != a.user || want["index"] != a.index ||
				hasProject && want["project"] != project || hasVersion && a.name != "refresh" && want["version"] != a.version {
				t.Errorf("%s %s is %s of %s/%s %q %q, and to devpi %s %q", asks[i].Method, asks[i].Target, a.name, a.user, a.index, project, a.version, got.Route, want)
			}
		}
		if routed < 1000 {
			t.Errorf("only %d requests were routed", routed)
		}
		t.Logf("%d of %d requests that a pass can make have a route", routed, len(asks))
	})
}

// randomRequests are made of what devpi's addresses are made of, in any order.
func randomRequests(n int) []asked {
	r := rand.New(rand.NewPCG(3, 5))
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	var out []asked
	for range n {
		var steps []string
		for range r.IntN(8) {
			steps = append(steps, pick("alice", "dev", "foo", "Foo_Bar", "1.0", "1.0+x", "+simple", "+f", "+e", "+api", "+login", "+status", "+authcheck", "+changelog", "1-", "+tokens", "+token-create",
				"refresh", "+doc", "+d", "+toxresults", "+search", "18d", "0123456789abc", "foo-1.0.tar.gz", "foo-1.0-py3-none-any.whl", "a+b", "+x", "d;x=1", "a b", "é", "%", "latest", "٣", "x?y"))
		}
		for i, s := range []string{"alice", "dev", pick("+f", "+simple", "foo"), "18d", "0123456789abc"} {
			if i < len(steps) && r.IntN(3) > 0 {
				steps[i] = s
			}
		}
		var b strings.Builder
		for _, s := range steps {
			b.WriteByte('/')
			escapeInto(&b, s)
		}
		if len(steps) == 0 || r.IntN(4) == 0 {
			b.WriteByte('/')
		}
		out = append(out, asked{
			method: pick("GET", "GET", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "PUSH"), target: strings.ReplaceAll(b.String(), "/+", pick("/+", "/%2B")),
			agent: pick("", "pip/23.0", "devpi"), accept: pick("", "application/json", "text/html"), media: pick("", "application/json", "text/xml", "multipart/form-data"),
		})
	}
	return out
}

// TestFormsAsDevpi: devpi's own reader finds in our forms what we found in the
// client's.
func TestFormsAsDevpi(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	values := []string{"", "x", "é", "a\r\nb", "\r\n", "\r\n--", "--", "--x--\r\n", "\"", "=?utf-8?q?x?=", "%22", "\r", "\n", " lead", "trail ", "\u2028", "\ufeff", strings.Repeat("y", 70<<10)}
	var asks []asking
	var want [][][2]string
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for range 300 {
		fields := []string{"name", "foo", ":action", "file_upload"}
		for range r.IntN(6) {
			fields = append(fields, []string{"summary", "description", "classifiers", "Metadata-Version"}[r.IntN(4)], values[r.IntN(len(values))])
		}
		fields = append(fields, "content foo-1.0.tar.gz", values[r.IntN(len(values))])
		var expected [][2]string
		for i := 0; i < len(fields); i += 2 {
			expected = append(expected, [2]string{fields[i], encode(fields[i+1])})
		}
		body := formBody(fields...)
		if r.IntN(2) == 0 {
			body = strings.TrimSuffix(body, "\r\n")
		}
		_, out, _, err := passed(request{content: testForm, length: int64(len(body))}, strings.NewReader(body), nil)
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(out, "\r\n")
		asks = append(asks, asking{Form: encode(out), Type: "multipart/form-data; boundary=" + first[2:]})
		want = append(want, expected)
	}
	oracles(t, asks, func(t *testing.T, answers []answered) {
		for i, got := range answers {
			if !slices.Equal(got.Fields, want[i]) {
				t.Errorf("form %d: %q, want %q", i, got.Fields, want[i])
			}
		}
	})
}
