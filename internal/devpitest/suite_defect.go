package devpitest

import (
	"net/http"
	"strings"
	"testing"
)

// A defect is a request to which devpi-tokens gives another answer than it should,
// and the status that each kind of target gives.
type defect struct {
	name                   string
	run                    func(*testing.T, *tokenRig) Reply
	plugin, compat, strict int
}

// DefectSuite shows what devpi-tokens 1.1.0 does wrong, and what a gateway does
// there: a compat one allows what devpi-tokens does, but neither breaks nor takes a
// token that is none; a strict one holds each limit wherever it speaks of the
// request.
func DefectSuite(t *testing.T, target Target) {
	t.Run("defects", func(t *testing.T) {
		for i, rows := range [][]defect{readingDefects(), writingDefects(), answerDefects()} {
			for j, d := range rows {
				name := "defect" + string(rune('a'+i)) + string(rune('a'+j))
				t.Run(d.name, func(t *testing.T) {
					t.Parallel()
					d.show(t, &tokenRig{Target: target, name: name})
				})
			}
		}
	})
}

func (d defect) show(t *testing.T, r *tokenRig) {
	r.who = r.AddUser(t, r.name, password)
	if reply := r.Upload(t, r.who, r.name+"/dev", Wheel("hello", "1.0")); reply.Status != http.StatusOK {
		t.Fatalf("%d %s", reply.Status, reply.Body)
	}
	want := [...]int{Plugin: d.plugin, Compat: d.compat, Strict: d.strict}[r.Kind]
	if reply := d.run(t, r); reply.Status != want {
		t.Errorf("%d %.300s, want %d", reply.Status, reply.Body, want)
	}
}

// as sends a request with a token that has these caveats; in the path, ~ stands for
// the rig's index and @ for the file of hello 1.0.
func as(method, path string, body any, caveats ...string) func(*testing.T, *tokenRig) Reply {
	return func(t *testing.T, r *tokenRig) Reply {
		t.Helper()
		if strings.HasPrefix(path, "@") {
			path = r.File(t, r.who, r.name+"/dev", "hello", "1.0")
		}
		return r.Send(t, method, strings.Replace(path, "~", r.name+"/dev", 1), Bearer(Narrow(t, r.token(t, nil), caveats...)), body)
	}
}

// readingDefects are reads that nobody holds a token to.
func readingDefects() []defect {
	const get = http.MethodGet
	return []defect{
		{"projects and a file", as(get, "@", nil, "projects=other"), 200, 200, 403},
		{"projects and the list of projects", as(get, "~", nil, "projects=other"), 200, 200, 403},
		{"projects and a simple page", as(get, "~/+simple/hello/", nil, "projects=other"), 200, 200, 403},
		{"projects and a version", as(get, "~/hello/1.0", nil, "projects=other"), 200, 200, 403},
		{"indexes and a simple page", as(get, "~/+simple/hello/", nil, "indexes=some/other"), 200, 200, 403},
		{"indexes and the list of projects", as(get, "~", nil, "indexes=some/other"), 200, 200, 403},
		{"permissions and a simple page", as(get, "~/+simple/hello/", nil, "allowed=upload"), 200, 200, 403},
		{"permissions and what is known of a file", as(get, "@", nil, "allowed=upload"), 200, 200, 403},
		{"an expired token and a simple page", as(get, "~/+simple/hello/", nil, "expires=10"), 200, 403, 403},
		{"an expired token and an index", as(get, "~", nil, "expires=10"), 200, 403, 403},
		{"a forged token and a simple page", func(t *testing.T, r *tokenRig) Reply {
			return r.Send(t, get, r.name+"/dev/+simple/hello/", Bearer(Forge(t, r.token(t, nil), []byte("mine"))), nil)
		}, 200, 403, 403},
	}
}

// writingDefects are changes beyond a token's limits.
func writingDefects() []defect {
	push := func(target string, caveats func(name string) []string) func(*testing.T, *tokenRig) Reply {
		return func(t *testing.T, r *tokenRig) Reply {
			r.AddIndex(t, r.who, r.name+"/prod", nil)
			token := Narrow(t, r.token(t, nil), caveats(r.name)...)
			return r.Send(t, "PUSH", r.name+"/dev", Bearer(token), map[string]string{"name": "hello", "version": "1.0", "targetindex": r.name + "/" + target})
		}
	}
	return []defect{
		{"projects and deleting a file", as(http.MethodDelete, "@", nil, "projects=other"), 200, 200, 403},
		{"projects and results of tests", as(http.MethodPost, "@", Text("{}"), "projects=other"), 200, 200, 403},
		{"projects and a change of the index", as(http.MethodPatch, "~", []string{"volatile=False"}, "projects=other"), 200, 200, 403},
		{"projects and a new index", as(http.MethodPut, "~new", map[string]any{}, "projects=other"), 200, 200, 403},
		{"projects and deleting the index", as(http.MethodDelete, "~", nil, "projects=other"), 201, 201, 403},
		{"projects and a push", push("prod", func(string) []string { return []string{"projects=other"} }), 200, 200, 403},
		{"indexes and where a push goes", push("prod", func(name string) []string { return []string{"indexes=" + name + "/dev"} }), 200, 200, 403},
	}
}

// answerDefects are answers that break, or tell what they should not.
func answerDefects() []defect {
	ask := func(body Text) func(*testing.T, *tokenRig) Reply {
		return func(t *testing.T, r *tokenRig) Reply {
			return r.Send(t, http.MethodPost, r.name+"/+token-create", r.who, body)
		}
	}
	upload := func(caveats ...string) func(*testing.T, *tokenRig) Reply {
		return func(t *testing.T, r *tokenRig) Reply {
			return r.Upload(t, Bearer(Narrow(t, r.token(t, nil), caveats...)), r.name+"/dev", Wheel("other", "1.0"))
		}
	}
	return []defect{
		{"PyPI's caveat for a whole account", upload(`{"version": 1, "permissions": "user"}`), 500, 200, 200},
		{"PyPI's times", upload("[0, 99999999999, 0]"), 500, 200, 200},
		{"a list for a body", ask("[1]"), 500, 400, 400},
		{"a text for a body", ask(`"text"`), 500, 400, 400},
		{"half a body", ask(`{"expires":`), 500, 400, 400},
		{"no beginning", ask(`{"not_before": null}`), 500, 400, 400},
		{"a bearer that is none", func(t *testing.T, r *tokenRig) Reply {
			return r.Send(t, http.MethodGet, "+api", Bearer("garbage"), nil)
		}, 200, 200, 403},
		{"__token__ for a name", func(t *testing.T, r *tokenRig) Reply {
			return r.Send(t, http.MethodGet, r.name+"/dev/+api", Basic("__token__", r.token(t, nil)), nil)
		}, 403, 200, 200},
		{"why a forged token is refused", func(t *testing.T, r *tokenRig) Reply {
			reply := r.api(t, Bearer(Forge(t, r.token(t, nil), []byte("mine"), "expires=10")))
			if told := strings.Contains(reply.Message(), "expired"); told != (r.Kind == Plugin) {
				t.Errorf("%s", reply.Message())
			}
			return reply
		}, 403, 403, 403},
	}
}
