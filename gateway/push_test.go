package gateway

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
)

// TestPushBody: what Python and Go could read in two ways is refused.
func TestPushBody(t *testing.T) {
	const good = `"name":"foo","version":"1.0"`
	for body, ok := range map[string]bool{
		`{` + good + `,"targetindex":"alice/prod"}`:                                                    true,
		`{` + good + `,"targetindex":"alice/prod","no_docs":true}`:                                     true,
		`{` + good + `,"posturl":"https://x.example/","username":"u","password":"p"}`:                  true,
		`{` + good + `,"posturl":"https://x.example/","username":"u","password":"p","only_docs":true}`: true,
		" {\n\"name\": \"f\\u006fo\", \"version\": \"1.0\", \"targetindex\": \"alice\\/prod\"}\n":      true,
		`{` + good + `,"targetindex":"alice/prod","name":"bar"}`:                                       false,
		`{` + good + `,"targetindex":"alice/prod","n\u0061me":"bar"}`:                                  false,
		`{` + good + `,"targetindex":"alice/prod","Name":"bar"}`:                                       false,
		`{` + good + `,"targetindex":"alice/prod","NAME":"bar"}`:                                       false,
		`{` + good + `,"targetindex":"alice/prod","targetindex":"bob/x"}`:                              false,
		`{` + good + `,"targetindex":"alice/prod","TargetIndex":"bob/x"}`:                              false,
		`{` + good + `,"targetindex":"alice/prod","ſ":"x"}`:                                            false,
		`{` + good + `,"targetindex":"alice/prod","name version":"x"}`:                                 false,
		`{` + good + `,"targetindex":"alice/prod","":"x"}`:                                             false,
		`{` + good + `,"targetindex":"alice/prod","other":"x"}`:                                        false,
		`{` + good + `,"targetindex":"alice/prod","posturl":"x","username":"u","password":"p"}`:        false,
		`{` + good + `,"targetindex":"alice/prod","password":"p"}`:                                     false,
		`{` + good + `,"posturl":"x","username":"u"}`:                                                  false,
		`{` + good + `,"targetindex":null}`:                                                            false,
		`{` + good + `,"targetindex":["alice/prod"]}`:                                                  false,
		`{` + good + `,"targetindex":{"a":"b"}}`:                                                       false,
		`{` + good + `,"targetindex":1}`:                                                               false,
		`{` + good + `,"targetindex":"alice/prod","no_docs":"true"}`:                                   false,
		`{` + good + `,"targetindex":true}`:                                                            false,
		`{` + good + `,"targetindex":"prod"}`:                                                          false,
		`{` + good + `,"targetindex":""}`:                                                              false,
		`{` + good + `,"targetindex":"/prod"}`:                                                         false,
		`{` + good + `,"targetindex":"alice/"}`:                                                        false,
		`{` + good + `,"targetindex":"alice/prod/"}`:                                                   false,
		`{` + good + `,"targetindex":"alice/../bob"}`:                                                  false,
		`{` + good + `,"targetindex":"alice/.."}`:                                                      false,
		`{` + good + `,"targetindex":"alice/+x"}`:                                                      false,
		`{` + good + `,"targetindex":"alice/a\nb"}`:                                                    false,
		`{` + good + `}`: false,
		`{"name":"foo","targetindex":"alice/prod"}`:                             false,
		`{"name":"","version":"1","targetindex":"alice/prod"}`:                  false,
		`{"name":"a\u0000b","version":"1","targetindex":"alice/prod"}`:          false,
		`{"name":"a\ud800","version":"1","targetindex":"alice/prod"}`:           false,
		`{"name":"a\udc00","version":"1","targetindex":"alice/prod"}`:           false,
		`{"name":"a\ud800\\udc00","version":"1","targetindex":"alice/prod"}`:    false,
		"{\"name\":\"a\xff\",\"version\":\"1\",\"targetindex\":\"alice/prod\"}": false,
		`["name","foo"]`: false, `"x"`: false, `null`: false, ``: false, `{`: false, `{}`: false, `{"name"}`: false,
		`{` + good + `,"targetindex":"alice/prod"} {}`:    false,
		`{` + good + `,"targetindex":"alice/prod"}]`:      false,
		`{` + good + `,"targetindex":"alice/prod",}`:      false,
		`{` + good + `,"targetindex":"alice/prod"}//x`:    false,
		"\ufeff{" + good + `,"targetindex":"alice/prod"}`: false,
		strings.Repeat("[", 100000):                       false,
	} {
		a, p, err := openedJSON(bodyPush, "push", body)
		if (err == nil) != ok {
			t.Errorf("%.90q: %v, want %v", body, err, ok)
			continue
		}
		if err != nil {
			if c := codeOf(err); c != "DP-975" {
				t.Errorf("%.90q: %v", body, err)
			}
			continue
		}
		sent, _ := io.ReadAll(p)
		var v map[string]any
		if err := json.Unmarshal(sent, &v); err != nil || v["name"] != "foo" || v["version"] != "1.0" || int64(len(sent)) != p.length || p.kind != "application/json" {
			t.Errorf("%q goes on as %q, %v", body, sent, err)
		}
		if target, inward := v["targetindex"]; inward == a.outward || inward && a.target != target || inward && !slices.Equal(a.indexes, []string{"alice/prod", "alice/dev"}) {
			t.Errorf("%q: to %v, %q, outward %v", body, target, a.indexes, a.outward)
		}
		if !slices.Equal(a.projects, []string{"foo"}) || a.version != "1.0" {
			t.Errorf("%q: projects %q", body, a.projects)
		}
	}
}

func openedJSON(kind bodyKind, name, body string) (action, *payload, error) {
	a := action{name: name, body: kind, user: "alice", index: "dev", indexes: []string{"alice/dev"}}
	return a.open(request{media: "application/json", length: int64(len(body))}, strings.NewReader(body), rand.Reader)
}

// TestChangeBody: which bases and whose rights a change of an index touches.
func TestChangeBody(t *testing.T) {
	for _, c := range []struct {
		body    string
		bases   string
		grants  bool
		refused bool
	}{
		{body: `{}`}, {body: `[]`},
		{body: `{"volatile":"True","bases":""}`},
		{body: `{"bases":"root/pypi"}`, bases: "root/pypi"},
		{body: `{"bases":"root/pypi, a/b ,"}`, bases: "root/pypi a/b"},
		{body: `{"bases":["root/pypi","a/b,c/d"]}`, bases: "root/pypi a/b c/d"},
		{body: `{"bases":[]}`},
		{body: `{"mirror_whitelist":["*"],"x":null,"y":1.5,"z":false}`},
		{body: `["bases=root/pypi"]`, bases: "root/pypi"},
		{body: `["bases+=root/pypi","bases+=a/b","volatile=False"]`, bases: "root/pypi a/b"},
		{body: `["bases-=root/pypi"]`},
		{body: `["acl_upload+=bob"]`, grants: true},
		{body: `["acl_upload-=bob"]`, grants: true},
		{body: `["acl_upload-="]`, grants: true},
		{body: `["acl_x=y"]`, grants: true},
		{body: `{"acl_upload":["bob"]}`, grants: true},
		{body: `{"acl_toxresult_upload":""}`, grants: true},
		{body: `{"type":"indexconfig","result":{"acl_upload":["bob"]}}`, refused: true},
		{body: `{"type":"indexconfig","result":["acl_upload"]}`, refused: true},
		{body: `["result=x"]`, refused: true},
		{body: `{"ACL_upload":["bob"]}`, refused: true},
		{body: `{"acl_upload":"a","Acl_upload":"b"}`, refused: true},
		{body: `{"bases":"a/b","bases":"c/d"}`, refused: true},
		{body: `{"Bases":"a/b"}`, refused: true},
		{body: `{"bases":1}`, refused: true},
		{body: `{"bases":[["a/b"]]}`, refused: true},
		{body: `{"bases":null}`, refused: true},
		{body: `{"_keep_unknown":true}`, refused: true},
		{body: `{" acl_upload":"bob"}`, refused: true},
		{body: `["acl_upload +=bob"]`, refused: true},
		{body: `[" acl_upload+=bob"]`, refused: true},
		{body: `["acl_upload+-=bob"]`, refused: true},
		{body: `["acl_upload"]`, refused: true},
		{body: `["=x"]`, refused: true},
		{body: `[1]`, refused: true},
		{body: `[["acl_upload=bob"]]`, refused: true},
		{body: `null`, refused: true}, {body: ``, refused: true},
	} {
		a, p, err := openedJSON(bodyChange, "index-modify", c.body)
		if (err != nil) != c.refused {
			t.Errorf("%s: %v", c.body, err)
			continue
		}
		if c.refused {
			continue
		}
		if got := strings.Join(a.bases, " "); got != c.bases || a.grants != c.grants || len(a.indexes) != 1 {
			t.Errorf("%s: bases %q, grants %v", c.body, got, a.grants)
		}
		sent, _ := io.ReadAll(p)
		var have, want any
		if json.Unmarshal(sent, &have) != nil || json.Unmarshal([]byte(c.body), &want) != nil {
			t.Errorf("%s goes on as %q", c.body, sent)
		}
		x, _ := json.Marshal(have)
		y, _ := json.Marshal(want)
		if string(x) != string(y) {
			t.Errorf("%s goes on as %s", c.body, sent)
		}
	}
	if _, _, err := openedJSON(bodyChange, "index-create", `["bases=a/b"]`); err == nil {
		t.Error("an index is made from a list")
	}
}
