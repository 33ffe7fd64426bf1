package daypass_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/daypass-dev/daypass"

// layers is who may import whom, inside the module. A package imports only what
// its line names; a package without a line fails the test, so that a new room
// is given its place on purpose.
var layers = map[string][]string{
	"":                            {},
	"api":                         {""},
	"api/apitest":                 {"api"},
	"client":                      {"", "api", "internal/pause"},
	"gitcred":                     {""},
	"internal/sha256":             {},
	"internal/pause":              {},
	"internal/process":            {},
	"internal/soak":               {},
	"internal/requestid":          {},
	"internal/hubtest":            {"", "hub", "internal/process"},
	"store":                       {""},
	"store/storetest":             {"", "store"},
	"internal/plumbing":           {""},
	"internal/clone":              {"", "internal/plumbing"},
	"internal/gittest":            {},
	"internal/contenttest":        {""},
	"internal/browsertest":        {},
	"internal/jupytertest":        {"", "internal/process"},
	"merge/notebook":              {},
	"merge/notebook/notebooktest": {},
	"merge":                       {"merge/notebook"},
	"snapshot":                    {"", "internal/pause", "internal/plumbing"},
	"depot":                       {"", "internal/pause", "internal/plumbing", "snapshot"},
	"egress":                      {"", "internal/plumbing", "provider/readonly"},
	"pull":                        {"", "internal/clone", "internal/plumbing", "merge", "snapshot"},
	"pullpage":                    {"", "pull", "resolve", "web"},
	"resolve":                     {""},
	"wallet":                      {"", "internal/pause", "internal/sha256"},
	"gitconf":                     {""},
	"doctor":                      {"", "gitconf"},
	"pass":                        {""},
	"policy":                      {""},
	"policy/rulefile":             {"", "policy"},
	"provider/github":             {"", "internal/pause"},
	"provider/canvas":             {"", "provider/readonly"},
	"provider/canvas/oauth":       {""},
	"provider/archive":            {""},
	"provider/deposit":            {"", "provider/archive", "provider/readonly"},
	"provider/deposittest":        {"", "fake", "provider/providertest"},
	"provider/doi":                {"", "provider/deposit"},
	"provider/invenio":            {"", "provider/deposit"},
	"provider/figshare":           {"", "provider/deposit"},
	"provider/dataverse":          {"", "provider/deposit"},
	"provider/swh":                {"", "provider/archive", "provider/deposit"},
	"provider/hydroshare":         {"", "provider/deposit"},
	"provider/ckan":               {"", "provider/deposit"},
	"provider/artifact":           {"", "provider/deposit"},
	"provider/forge":              {"", "provider/deposit"},
	"provider/drive":              {"", "provider/readonly"},
	"provider/google":             {"", "internal/pause"},
	"provider/providertest":       {""},
	"provider/readonly":           {"", "internal/pause"},
	"provider/webdav":             {"", "provider/readonly"},
	"broker":                      {"", "pass", "policy", "store"},
	"devpi":                       {""},
	"exchange":                    {""},
	"gateway":                     {"", "internal/requestid", "pass"},
	"internal/devpitest":          {"", "fake", "internal/process"},
	"hub":                         {"", "internal/pause"},
	"web":                         {},
	"server":                      {"", "api", "internal/requestid", "web"},
	"fake":                        {},
	"cmd/git-credential-daypass":  {"", "gitcred", "wallet"},
	"cmd/daypass":                 {"", "api", "client", "gitcred", "wallet", "gitconf", "devpi", "doctor", "internal/plumbing", "pass", "provider/archive", "provider/artifact", "provider/canvas", "provider/ckan", "provider/dataverse", "provider/deposit", "provider/doi", "provider/drive", "provider/figshare", "provider/forge", "provider/github", "provider/google", "provider/hydroshare", "provider/invenio", "provider/readonly", "provider/swh", "provider/webdav", "pull", "resolve", "snapshot"},
	"cmd/daypassd":                {"", "api", "broker", "depot", "egress", "exchange", "fake", "gateway", "hub", "internal/plumbing", "pass", "policy", "policy/rulefile", "provider/archive", "provider/canvas", "provider/canvas/oauth", "provider/deposit", "provider/drive", "provider/github", "provider/google", "provider/ckan", "provider/dataverse", "provider/doi", "provider/figshare", "provider/hydroshare", "provider/swh", "provider/invenio", "resolve", "server", "snapshot", "store"},
	"cmd/daypass-page":            {"", "pull", "pullpage", "web"},
	"bench/class":                 {"", "api", "client", "fake", "internal/benchsite", "internal/gittest", "internal/measure", "internal/process", "internal/shipping", "store"},
	"bench/pull":                  {"", "internal/gittest", "internal/measure", "internal/shipping", "merge", "merge/notebook", "merge/notebook/notebooktest"},
	"bench/helper":                {"", "gitconf", "wallet"},
	"bench/pass":                  {"", "pass"},
	"bench/gateway":               {"", "internal/benchsite", "internal/devpitest", "internal/measure", "internal/process", "internal/shipping"},
	"internal/measure":            {},
	"internal/shipping":           {},
	"bench/broker":                {"", "fake", "internal/benchsite", "internal/hubtest", "internal/measure", "internal/process", "internal/shipping", "store", "store/storetest"},
	"internal/benchsite":          {"", "fake", "hub", "internal/process", "store"},
}

// mustNotLink names what a binary must not contain, and why.
var mustNotLink = map[string]map[string]string{
	"cmd/git-credential-daypass": {
		"net/http":                  "git waits for the helper twice in every command; net/http alone doubles its start",
		"net":                       "the helper speaks to nobody",
		"fmt":                       "half of what the helper may cost",
		"encoding/json":             "half of what the helper may cost",
		"reflect":                   "only what is in the way needs it",
		"os/exec":                   "it brings context and fmt; the helper starts one program, by syscall",
		"crypto/tls":                "the helper speaks to nobody",
		"crypto/sha256":             "it links the tests of FIPS 140, which run at every start; see internal/sha256",
		module + "/provider/github": "the helper speaks to nobody",
	},
	"cmd/daypass": {
		"database/sql":           "the server's",
		"net/http/httptest":      "for tests",
		"net/http/cgi":           "the fakes'",
		"html/template":          "pages are the server's",
		"testing":                "for tests",
		module + "/fake":         "the outside world is not shipped to users",
		"github.com/spf13/viper": "configuration is one small YAML file",
		"google.golang.org/grpc": "nothing here speaks it",
		"charm.land/lipgloss/v2": "a prompt is not worth its start",
		"github.com/prometheus/client_golang/prometheus": "the server's",
	},
	"cmd/daypassd": {"testing": "for tests"},
}

func TestLayers(t *testing.T) {
	for dir, imports := range packages(t) {
		allowed, ok := layers[dir]
		if !ok {
			t.Errorf("package %q has no line in layers: give it its place", dir)
			continue
		}
		for _, path := range imports {
			rest, ours := strings.CutPrefix(path, module)
			rest = strings.TrimPrefix(rest, "/")
			if ours && !slices.Contains(allowed, rest) {
				t.Errorf("%q imports %q, which climbs: it may import %q", dir, rest, allowed)
			}
		}
	}
	for dir := range layers {
		if _, ok := packages(t)[dir]; !ok {
			t.Errorf("layers has a line for %q, which is no package any more", dir)
		}
	}
}

// packages returns what the non-test files of each package import.
func packages(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || path == "tools" || len(d.Name()) > 1 && d.Name()[0] == '.') {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(filepath.Dir(path))
		if dir == "." {
			dir = ""
		}
		out[dir] = append(out[dir], []string{}...)
		for _, spec := range f.Imports {
			out[dir] = append(out[dir], strings.Trim(spec.Path.Value, `"`))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestLinks(t *testing.T) {
	for binary, forbidden := range mustNotLink {
		out, err := exec.Command("go", "list", "-deps", "./"+binary).Output()
		if err != nil {
			t.Fatalf("go list %s: %v", binary, err)
		}
		for _, pkg := range strings.Fields(string(out)) {
			if why, bad := forbidden[pkg]; bad {
				t.Errorf("%s links %s: %s", binary, pkg, why)
			}
		}
	}
}

// TestStyle holds the rules that a reader would otherwise have to remember: no
// init, no package-level state, functions that fit a screen, no room for odds
// and ends.
func TestStyle(t *testing.T) {
	for dir := range packages(t) {
		switch filepath.Base(dir) {
		case "util", "utils", "common", "shared", "helpers", "misc":
			t.Errorf("package %q is named for nothing", dir)
		}
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, decl := range f.Decls {
				checkDecl(t, fset, decl)
			}
		}
	}
}

// maxLines is the house's bound for a function.
const maxLines = 65

func checkDecl(t *testing.T, fset *token.FileSet, decl ast.Decl) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		pos := fset.Position(d.Pos())
		if d.Name.Name == "init" && d.Recv == nil {
			t.Errorf("%s: an init function: hand things in instead", pos)
		}
		if n := fset.Position(d.End()).Line - pos.Line; n > maxLines {
			t.Errorf("%s: %s has %d lines: split it where a heading comment would stand", pos, d.Name.Name, n)
		}
	case *ast.GenDecl:
		if d.Tok != token.VAR {
			return
		}
		for _, spec := range d.Specs {
			v := spec.(*ast.ValueSpec)
			for _, name := range v.Names {
				if !constant(v, name.Name) {
					t.Errorf("%s: package variable %s: only errors, tables, patterns and embedded files may be one", fset.Position(name.Pos()), name.Name)
				}
			}
		}
	}
}

// constant reports whether a package variable is one in name only: an error, a
// compiled pattern, an embedded file, a table, or an interface check.
func constant(v *ast.ValueSpec, name string) bool {
	if name == "_" {
		return true
	}
	if sel, ok := v.Type.(*ast.SelectorExpr); ok {
		x, _ := sel.X.(*ast.Ident)
		return x != nil && x.Name == "embed"
	}
	for _, value := range v.Values {
		switch e := value.(type) {
		case *ast.CompositeLit, *ast.BasicLit:
			return true
		case *ast.CallExpr:
			if fn, ok := e.Fun.(*ast.Ident); ok && fn.Name == "pattern" {
				return true
			}
			if sel, ok := e.Fun.(*ast.SelectorExpr); ok {
				switch sel.Sel.Name {
				case "New", "MustCompile", "Must", "NewReplacer", "Errorf", "Unix", "UTC":
					return true
				}
			}
		}
	}
	return len(v.Values) == 0 && v.Type == nil
}
