package gateway

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestPath: what devpi could take for another path is refused, and the rest is
// written again so that only one reading is left.
func TestPath(t *testing.T) {
	for target, want := range map[string]string{
		"/":             "/",
		"/alice":        "/alice",
		"/alice/":       "/alice/",
		"/alice/dev":    "/alice/dev",
		"/alice/%2Bapi": "/alice/+api",
		"/alice/dev/%2bf/18d/0123456789abc/a-1.0.tar.gz": "/alice/dev/+f/18d/0123456789abc/a-1.0.tar.gz",
		"/alice/dev;x=1":                     "/alice/dev%3Bx%3D1",
		"/ALICE/dev":                         "/ALICE/dev",
		"/alice/dev/foo?no_projects=":        "/alice/dev/foo?no_projects=",
		"/alice/dev/foo?a=%2F&b":             "/alice/dev/foo?a=%2F&b",
		"/alice/dev/%61":                     "/alice/dev/a",
		"/alice/dev/%252F":                   "/alice/dev/%252F",
		"/alice/dev/%C3%A9":                  "/alice/dev/%C3%A9",
		"/alice/dev/foo?":                    "/alice/dev/foo",
		"/alice/dev/1.0%20x":                 "/alice/dev/1.0%20x",
		"/alice%2Fdev/foo":                   "",
		"/alice/dev/foo%2F1.0":               "",
		"/alice/dev/foo%5C1.0":               "",
		"//alice/dev":                        "",
		"/alice//dev":                        "",
		"/alice/dev//":                       "",
		"/alice/./dev":                       "",
		"/alice/../bob/dev":                  "",
		"/alice/%2E%2e/bob":                  "",
		"/alice/%2e/dev":                     "",
		"/alice/dev%00":                      "",
		"/alice/dev%0A":                      "",
		"/alice/dev%7F":                      "",
		"/alice/dev%C2%85":                   "",
		"/alice/dev%E2%80%A8":                "",
		"/alice/dev%E2%80%AE":                "",
		"/alice/dev%FF":                      "",
		"/alice/dev%C0%AF":                   "",
		"/alice/dev%2":                       "",
		"/alice/dev%":                        "",
		"/alice/dev%zz":                      "",
		"/alice/dev%23x":                     "",
		"/alice/dev#x":                       "",
		"/alice/dev?x#y":                     "",
		"/alice/dev?a b":                     "",
		"/alice/d ev":                        "",
		"/alice/d\tev":                       "",
		"/alice/d\xc3\xa9v":                  "",
		"":                                   "",
		"*":                                  "",
		"alice/dev":                          "",
		"http://elsewhere.example/alice":     "",
		"/" + strings.Repeat("a/", 64) + "b": "",
		"/" + strings.Repeat("a", maxTarget): "",
	} {
		r, err := parse("GET", target, http.Header{}, 0)
		switch {
		case want == "" && err == nil:
			t.Errorf("%q is taken, as %q", target, r.target())
		case want == "":
			if f := (*fault)(nil); !errors.As(err, &f) || f.status < 400 || f.Code == "" {
				t.Errorf("%q: %v is no fault", target, err)
			}
		case err != nil:
			t.Errorf("%q: %v", target, err)
		case r.target() != want:
			t.Errorf("%q is written as %q, want %q", target, r.target(), want)
		}
	}
}

func TestHead(t *testing.T) {
	for _, c := range []struct {
		method string
		header http.Header
		length int64
		status int
	}{
		{"GET", http.Header{}, 0, 0},
		{"PUSH", http.Header{"Content-Type": {"application/json"}}, 2, 0},
		{"POST", http.Header{"Content-Type": {"application/json; charset=utf-8"}}, 2, 0},
		{"POST", http.Header{"Content-Encoding": {"identity"}}, 2, 0},
		{"get", http.Header{}, 0, 400},
		{"G ET", http.Header{}, 0, 400},
		{"", http.Header{}, 0, 400},
		{"GET", http.Header{"Content-Type": {"application/json"}}, 2, 0},
		{"GET", http.Header{"Content-Type": {"application/json"}}, 3, 400},
		{"GET", http.Header{"Content-Type": {"application/json"}}, -1, 400},
		{"GET", http.Header{}, 2, 400},
		{"GET", http.Header{}, 1, 400},
		{"GET", http.Header{}, -1, 400},
		{"HEAD", http.Header{}, 1, 400},
		{"OPTIONS", http.Header{}, 1, 400},
		{"POST", http.Header{"Content-Type": {"application/json", "text/xml"}}, 2, 400},
		{"POST", http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}}, 2, 415},
		{"POST", http.Header{"Content-Type": {"application/json; a=1; a=2"}}, 2, 415},
		{"POST", http.Header{"Content-Type": {"/"}}, 2, 415},
	} {
		_, err := parse(c.method, "/alice/dev", c.header, c.length)
		var f *fault
		if errors.As(err, &f); (f == nil) != (c.status == 0) || f != nil && f.status != c.status {
			t.Errorf("%s %v, %d bytes: %v, want %d", c.method, c.header, c.length, err, c.status)
		}
	}
}

// TestInstaller: as devpi-server's own expression, of which a server sees all
// lines of a header as one.
func TestInstaller(t *testing.T) {
	for agent, want := range map[string]bool{
		"pip/23.0.1 {}": true, "uv/0.5": true, "pex/2": true, "setuptools/1": true, "distribute/1": true, "x pip/1": true, "x y uv/1": true,
		"": false, "devpi-client/7.0": false, "pipx/1": false, "xpip/1": false, "pip": false, "Mozilla/5.0": false, "PIP/1": false,
	} {
		r, err := parse("GET", "/alice/dev", http.Header{"User-Agent": {agent}}, 0)
		if err != nil || r.installer != want {
			t.Errorf("%q: %v, %v", agent, r.installer, err)
		}
	}
	r, _ := parse("GET", "/alice/dev", http.Header{"User-Agent": {"curl/8", "pip/1"}}, 0)
	if !r.installer {
		t.Error("the second of two agents is not seen")
	}
}

func TestFileProjects(t *testing.T) {
	for file, want := range map[string]string{
		"foo-1.0-py3-none-any.whl":                            "foo",
		"Foo_Bar-1.0-py3-none-any.whl":                        "foo-bar",
		"foo-1.0-1-py3-none-any.whl":                          "foo",
		"foo-1.0-py3-none-any.whl.metadata":                   "foo",
		"foo-1.0-py3-none-any.whl.toxresult-20260101120000-0": "foo",
		"foo-bar-1.0-py3-none-any.whl":                        "foo foo-bar",
		"foo-2-1.0-py3-none-any.whl":                          "foo",
		"foo-1.0-py3.whl":                                     "",
		"-1.0-py3-none-any.whl":                               "",
		"foo-1.0.tar.gz":                                      "foo",
		"FOO.Bar-1.0.TAR.GZ":                                  "foo-bar",
		"foo-bar-1.0.zip":                                     "foo-bar",
		"foo-2-1.0.tar.gz":                                    "foo foo-2",
		"foo-1.0-beta.tar.gz":                                 "foo foo-1-0",
		"foo-1-secret.tar.gz":                                 "foo foo-1",
		"foo-1.0.doc.zip":                                     "foo",
		"foo-1.0.tgz":                                         "foo",
		"foo-1.0.tar.bz2":                                     "foo",
		"foo-1.0-py2.7.egg":                                   "foo",
		"foo_bar-1.0-py3.11-linux_x86_64.egg":                 "foo-bar",
		"foo-1.0.win32-py2.7.exe":                             "foo",
		"foo-1.0.win-amd64-py2.7.exe":                         "foo foo-1-0-win",
		"foo-1.0-1.noarch.rpm":                                "foo foo-1-0",
		"foo.zip":                                             "foo",
		"foo-bar.zip":                                         "foo foo-bar",
		"foo-dev.tar.gz":                                      "foo foo-dev",
		"foo":                                                 "",
		"foo-1.0":                                             "",
		"foo-1.0.txt":                                         "",
		"foo-1.0.txt.metadata":                                "",
		".tar.gz":                                             "",
		"-1.0.tar.gz":                                         "",
		"---.zip":                                             "",
		"":                                                    "",
		"foo-1.0-py3-none-any.whl.toxresult-1.toxresult-2":   "",
		"evil-1.0-py3-none-any.whl.toxresult-foo-1.0.tar.gz": "evil",
	} {
		if got := strings.Join(fileProjects(file), " "); got != want {
			t.Errorf("%q belongs to %q, want %q", file, got, want)
		}
	}
}

func TestUploadProjects(t *testing.T) {
	for _, c := range []struct {
		name, file string
		docs       bool
		want       []string
	}{
		{"foo", "foo-1.0.tar.gz", false, []string{"foo"}},
		{"Foo.Bar", "foo_bar-1.0-py3-none-any.whl", false, []string{"Foo.Bar"}},
		{"foo", "foo-2-1.0.tar.gz", false, []string{"foo"}},
		{"foo-2", "foo-2-1.0.tar.gz", false, []string{"foo-2"}},
		{"foo", "bar-1.0.tar.gz", false, []string{"foo", "bar"}},
		{"foo", "foo-1.0.txt", false, []string{"foo", ""}},
		{"foo", "foo.zip", true, []string{"foo"}},
		{"foo", "foo-1.0.doc.zip", true, []string{"foo"}},
		{"foo", "foo.doc.zip", true, []string{"foo"}},
		{"foo", "bar.zip", true, []string{"foo", "bar"}},
		{"foo", "docs", true, []string{"foo", ""}},
	} {
		if got := uploadProjects(c.name, c.file, c.docs); !slices.Equal(got, c.want) {
			t.Errorf("%s of %s touches %q, want %q", c.file, c.name, got, c.want)
		}
	}
}
