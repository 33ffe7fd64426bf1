package fake

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// apiDocs are GitHub's own descriptions, cut to what is used here; see
// testdata/NOTICE.
var apiDocs = sync.OnceValues(func() (map[HostKind]*openapi3.T, error) {
	raw, err := os.ReadFile("testdata/github-openapi.json")
	if err != nil {
		return nil, err
	}
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(raw, &parts); err != nil {
		return nil, err
	}
	out := map[HostKind]*openapi3.T{}
	for name, kind := range map[string]HostKind{"github.com": GitHubCom, "ghes": EnterpriseServer, "ghe.com": GHECom} {
		if out[kind], err = openapi3.NewLoader().LoadFromData(parts[name]); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return out, nil
})

// checked wraps a GitHub so that every answer of its API is held to the
// description. A path that the description lacks is an error too, unless the
// answer is 404.
func checked(t *testing.T, g *GitHub) http.Handler {
	docs, err := apiDocs()
	if err != nil {
		t.Fatal(err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, isAPI := r.URL.Path, strings.HasPrefix(r.Host, "api.")
		if g.kind == EnterpriseServer {
			path, isAPI = strings.CutPrefix(path, "/api/v3")
		}
		if !isAPI {
			g.ServeHTTP(w, r)
			return
		}
		b := &bufferedResponse{header: w.Header()}
		g.ServeHTTP(b, r)
		if err := conforms(docs[g.kind], r.Method, path, b); err != nil {
			t.Errorf("%s %s: %d: %v\n%s", r.Method, r.URL.Path, b.status, err, b.body)
		}
		b.send(w)
	})
}

// conforms checks one answer.
func conforms(doc *openapi3.T, method, path string, b *bufferedResponse) error {
	if strings.HasPrefix(b.header.Get("Content-Type"), "text/html") {
		return nil // the refusal of a request without User-Agent
	}
	for _, h := range []string{"X-GitHub-Request-Id", "X-GitHub-Media-Type", "X-GitHub-Api-Version-Selected", "Date"} {
		if b.header.Get(h) == "" {
			return fmt.Errorf("no header %s", h)
		}
	}
	if b.status == http.StatusNoContent || b.status == http.StatusNotModified {
		if len(b.body) > 0 {
			return fmt.Errorf("an answer without content has some")
		}
		return empty(doc, method, path, b.status)
	}
	var got any
	if err := json.Unmarshal(b.body, &got); err != nil {
		return err
	}
	schema, err := schemaFor(doc, method, path, b.status)
	if err != nil {
		return err
	}
	if err := schema.VisitJSON(got, openapi3.VisitAsResponse(), openapi3.EnableFormatValidation(), openapi3.MultiErrors()); err != nil {
		return err
	}
	if b.status >= 400 {
		if m, ok := got.(map[string]any); !ok || m["message"] == "" || m["documentation_url"] == "" || m["status"] != fmt.Sprint(b.status) {
			return fmt.Errorf("an error needs message, documentation_url and status")
		}
		return nil
	}
	return undeclared(schema, got, "")
}

// empty checks an answer without content. 304 is for every GET that carries
// an ETag, though the description has it for some only.
func empty(doc *openapi3.T, method, path string, status int) error {
	op := operation(doc, method, path)
	if op == nil || op.Responses.Status(status) == nil && (status != http.StatusNotModified || method != http.MethodGet) {
		return fmt.Errorf("the description has no such answer")
	}
	return nil
}

func operation(doc *openapi3.T, method, path string) *openapi3.Operation {
	// Where GitHub's 301 leads; the same answers.
	path = regexp.MustCompile(`^/repositories/\d+`).ReplaceAllString(path, "/repos/o/r")
	for template, item := range doc.Paths.Map() {
		pattern := "^" + regexp.MustCompile(`\{[^}]+\}`).ReplaceAllString(template, `[^/]+`) + "$"
		if op := item.GetOperation(method); op != nil && regexp.MustCompile(pattern).MatchString(path) {
			return op
		}
	}
	return nil
}

func schemaFor(doc *openapi3.T, method, path string, status int) (*openapi3.Schema, error) {
	// The description wants each account in this list to be a user and an
	// enterprise at once (allOf), which nothing can be; of one installation by
	// itself it wants either.
	if path == "/app/installations" && status == http.StatusOK {
		return openapi3.NewArraySchema().WithItems(doc.Components.Schemas["installation"].Value), nil
	}
	if op := operation(doc, method, path); op != nil {
		res := op.Responses.Status(status)
		if res != nil && res.Value.Content.Get("application/json") != nil {
			return res.Value.Content.Get("application/json").Schema.Value, nil
		}
	}
	// 400, 401, 403 by rate limit and 404 for unknown paths are documented
	// once for the whole API.
	if slices.Contains([]int{400, 401, 403, 404}, status) {
		return doc.Components.Schemas["basic-error"].Value, nil
	}
	return nil, fmt.Errorf("the description has no such answer")
}

// undeclared finds a property that the description does not know.
func undeclared(s *openapi3.Schema, got any, at string) error {
	switch got := got.(type) {
	case []any:
		for i, v := range got {
			if s.Items == nil {
				continue
			}
			if err := undeclared(s.Items.Value, v, fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
	case map[string]any:
		known := properties(s)
		if len(known) == 0 {
			return nil
		}
		for k, v := range got {
			p := known[k]
			if p == nil {
				return fmt.Errorf("%s.%s is not in the description", at, k)
			}
			if err := undeclared(p, v, at+"."+k); err != nil {
				return err
			}
		}
	}
	return nil
}

func properties(s *openapi3.Schema) map[string]*openapi3.Schema {
	out := map[string]*openapi3.Schema{}
	for k, v := range s.Properties {
		out[k] = v.Value
	}
	for _, list := range []openapi3.SchemaRefs{s.AllOf, s.OneOf, s.AnyOf} {
		for _, sub := range list {
			for k, v := range properties(sub.Value) {
				out[k] = v
			}
		}
	}
	return out
}

func TestChecker(t *testing.T) {
	docs, err := apiDocs()
	if err != nil {
		t.Fatal(err)
	}
	head := http.Header{"X-Github-Request-Id": {"1"}, "X-Github-Media-Type": {"1"}, "X-Github-Api-Version-Selected": {"1"}, "Date": {"1"}}
	for _, c := range []struct {
		name, path, body, want string
		status                 int
	}{
		{"required property missing", "/rate_limit", `{"rate":{}}`, "resources", 200},
		{"wrong type", "/user/installations", `{"total_count":"1","installations":[]}`, "integer", 200},
		{"property unknown", "/user/installations", `{"total_count":1,"installations":[],"more":1}`, "not in the description", 200},
		{"status unknown", "/user", `{}`, "no such answer", 418},
		{"path unknown", "/nothing", `{}`, "no such answer", 200},
		{"error without status", "/user", `{"message":"m","documentation_url":"d"}`, "an error needs", 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := &bufferedResponse{header: head, status: c.status, body: []byte(c.body)}
			err := conforms(docs[GitHubCom], "GET", c.path, b)
			if err == nil || !bytes.Contains([]byte(err.Error()), []byte(c.want)) {
				t.Errorf("conforms = %v, want an error about %q", err, c.want)
			}
		})
	}
}
