package gateway

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/pass"
)

// FuzzPath: what is taken is written so that every reader reads the same.
func FuzzPath(f *testing.F) {
	for _, q := range everyRequest() {
		f.Add(q.target)
	}
	for _, s := range []string{"//a", "/%2f", "/a%2Fb", "/..", "/%2e%2E/", "/a%00", "/%", "/a?b#c", "/\xff", "/%ff", "/a;b", "/%252f", "/a/%23"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, target string) {
		r, err := parse("GET", target, http.Header{}, 0)
		if err != nil {
			if codeOf(err) != "DP-970" && codeOf(err) != "DP-974" {
				t.Fatalf("%q: %v", target, err)
			}
			return
		}
		if len(r.target()) > maxTarget {
			return // escaped, it is longer than what is read here
		}
		again, err := parse("GET", r.target(), http.Header{}, 0)
		if err != nil || !reflect.DeepEqual(again, r) || again.target() != r.target() {
			t.Fatalf("%q is written as %q, which is %+v (%v), not %+v", target, r.target(), again, err, r)
		}
		want := "/" + strings.Join(r.segments, "/")
		if r.slash && len(r.segments) > 0 {
			want += "/"
		}
		u, err := url.ParseRequestURI(r.target())
		if err != nil || u.Path != want || u.Host != "" || u.RawQuery != r.query {
			t.Fatalf("%q is %+v to net/url (%v), want %q", r.target(), u, err, want)
		}
		before, _, _ := strings.Cut(target, "?")
		if plain, err := url.PathUnescape(before); err != nil || plain != want {
			t.Fatalf("%q is %q once decoded, not %q", target, plain, want)
		}
		for _, s := range r.segments {
			if s == "" || s == "." || s == ".." || strings.ContainsAny(s, "/\\\x00\r\n#") {
				t.Fatalf("%q has the step %q", target, s)
			}
		}
	})
}

// FuzzForm: what is taken, mime/multipart reads alike, before and behind us.
func FuzzForm(f *testing.F) {
	f.Add("b", formBody("name", "foo", ":action", "submit"))
	f.Add("b", formBody("name", "foo", ":action", "file_upload", "classifiers", "a", "classifiers", "b", "content foo-1.0.tar.gz", "x\r\n--\r\n"))
	f.Add("b", "\r\n"+formBody("name", "foo", ":action", "doc_upload", "content foo.zip", ""))
	f.Add("b", strings.TrimSuffix(formBody("name", "foo", ":action", "submit"), "\r\n"))
	f.Add("x-y", strings.ReplaceAll(formBody("name", "foo", ":action", "submit"), "--b", "--x-y"))
	f.Add("b", strings.ReplaceAll(formBody("name", "foo", ":action", "submit"), "\r\n\r\n", "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: binary\r\n\r\n"))
	f.Fuzz(func(t *testing.T, boundary, body string) {
		kind := "multipart/form-data; boundary=" + boundary
		a, out, told, err := passed(request{content: kind, length: int64(len(body))}, strings.NewReader(body), nil)
		if err != nil {
			if f := (*fault)(nil); !errors.As(err, &f) {
				t.Fatal(err)
			}
			if first, _, _ := strings.Cut(out, "\r\n"); out != "" && strings.Contains(out, first+"--") {
				t.Fatalf("refused, and ended: %q", out)
			}
			return
		}
		if told != int64(len(out)) {
			t.Fatalf("%d bytes told, %d written", told, len(out))
		}
		want, err := readBack(kind, body)
		if err != nil {
			t.Fatalf("taken, but not by mime/multipart: %v", err)
		}
		want = slices.DeleteFunc(want, func(x field) bool { return strings.HasPrefix(x.name, "gpg_signature ") })
		first, _, _ := strings.Cut(out, "\r\n")
		got, err := readBack("multipart/form-data; boundary="+first[2:], out)
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%q became %q (%v)", want, got, err)
		}
		for i, x := range got {
			if x.name == "name" && (x.value != a.projects[0] || slices.ContainsFunc(got[i+1:], func(y field) bool { return y.name == "name" })) {
				t.Fatalf("judged by %q, sent %q", a.projects, got)
			}
			if strings.HasPrefix(x.name, "content ") != (i == len(got)-1 && a.file != "") {
				t.Fatalf("the file is not the last of %q", got)
			}
		}
	})
}

// FuzzPush: what goes on is what was judged, and means the same as what came.
func FuzzPush(f *testing.F) {
	f.Add(true, `{"name":"foo","version":"1","targetindex":"alice/prod"}`)
	f.Add(true, `{"name":"foo","version":"1","posturl":"x","username":"u","password":"p","no_docs":true}`)
	f.Add(true, `{"name":"foo","name":"bar"}`)
	f.Add(true, `{"name":"\ud83d\ude00","version":"\\ud800","targetindex":"a/b"}`)
	f.Add(false, `{"bases":["root/pypi"],"volatile":true,"n":1e3,"x":null}`)
	f.Add(false, `["bases+=root/pypi","acl_upload-=bob"]`)
	f.Fuzz(func(t *testing.T, push bool, body string) {
		kind, name := bodyChange, "index-modify"
		if push {
			kind, name = bodyPush, "push"
		}
		a, p, err := openedJSON(kind, name, body)
		if err != nil {
			if f := (*fault)(nil); !errors.As(err, &f) {
				t.Fatal(err)
			}
			return
		}
		sent, _ := io.ReadAll(p)
		var came, goes any
		if err := json.Unmarshal([]byte(body), &came); err != nil {
			t.Fatalf("taken, but no JSON: %v", err)
		}
		if err := json.Unmarshal(sent, &goes); err != nil || !reflect.DeepEqual(came, goes) {
			t.Fatalf("%q goes on as %q", body, sent)
		}
		object, _ := goes.(map[string]any)
		if push && (object["name"] != a.projects[0] || len(a.projects) != 1) {
			t.Fatalf("judged by %q, sent %q", a.projects, sent)
		}
		if target, ok := object["targetindex"]; push && (ok == a.outward || ok && target != a.indexes[0]) {
			t.Fatalf("judged by %q, sent %q", a.indexes, sent)
		}
		for key := range object {
			if !push && (strings.HasPrefix(strings.ToLower(key), "acl_") && !a.grants || key == "result") {
				t.Fatalf("grants %v, sent %q", a.grants, sent)
			}
		}
	})
}

// FuzzDecide: for random requests and caveats, whatever the gateway allows the
// written table allows too.
func FuzzDecide(f *testing.F) {
	methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "PUSH", "OPTIONS"}
	bodies := []asked{
		{}, {media: "application/json", body: "{}"}, {media: "text/xml", body: "<x/>"},
		{media: "application/json", body: `{"name":"foo","version":"1","targetindex":"alice/dev"}`, name: "foo", to: "alice/dev"},
		{media: "application/json", body: `{"name":"zoo","version":"1","targetindex":"bob/prod"}`, name: "zoo", to: "bob/prod"},
		{media: "application/json", body: `{"name":"foo","version":"1","posturl":"x","username":"u","password":"p"}`, name: "foo", out: true},
		{media: "multipart/form-data", body: formBody("name", "foo", ":action", "submit"), name: "foo"},
		{media: "multipart/form-data", body: formBody("name", "foo", ":action", "file_upload", "content zoo-1.0.tar.gz", "wheel"), name: "foo", file: "zoo-1.0.tar.gz"},
		{media: "multipart/form-data", body: formBody("name", "zoo", ":action", "file_upload", "content zoo-1.0.tar.gz", "wheel"), name: "zoo", file: "zoo-1.0.tar.gz"},
		{agent: "pip/23"}, {accept: "application/json"},
	}
	limits := everyLimit()
	for i, q := range everyRequest() {
		f.Add(uint8(slices.Index(methods, q.method)), q.target, uint8(i), uint8(i), uint8(i/7))
	}
	f.Fuzz(func(t *testing.T, method uint8, target string, body, one, two uint8) {
		q := bodies[int(body)%len(bodies)]
		q.method, q.target = methods[int(method)%len(methods)], target
		have := append(slices.Clone(limits[int(one)%len(limits)]), limits[int(two)%len(limits)]...)
		if row, _ := find(q); row != nil && row.project == "file" && slices.ContainsFunc(have, func(l limit) bool { return strings.HasSuffix(l.kind, "projects") }) {
			return // the reference reads only the file names of the tables
		}
		for _, m := range []Mode{Strict, Compat} {
			if err := judged(t, m, q, texts(have), options{isBase: isTestBase}); err == nil && !allowed(m, q, have) {
				t.Fatalf("%v allows %s %q %q with %q, and the table does not", m, q.method, q.target, q.body, texts(have))
			}
		}
	})
}

// FuzzFileName: a file belongs to no project that its name does not begin with.
func FuzzFileName(f *testing.F) {
	for _, s := range []string{"foo-1.0-py3-none-any.whl", "foo-2-1.0.tar.gz", "foo.zip", "a-b.egg", "foo-1.0.tar.gz.metadata"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		for _, p := range fileProjects(name) {
			if !strings.HasPrefix(pass.NormalProject(name), p) || p != pass.NormalProject(p) || strings.Trim(p, "-") == "" {
				t.Fatalf("%q belongs to %q", name, p)
			}
		}
	})
}
