package devpitest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// limitCases are about what a token may do.
func limitCases() []tokenCase {
	return []tokenCase{
		{"permissions narrow and never widen", caseAllowed},
		{"lists of indexes", func(t *testing.T, r *tokenRig) {
			r.refuses(t, http.StatusBadRequest, map[string]any{"indexes": ""}, "The indexes restriction must be a list")
			r.refuses(t, http.StatusBadRequest, map[string]any{"indexes": []string{""}}, "Empty item at position 1 in indexes list")
			r.refuses(t, http.StatusBadRequest, map[string]any{"indexes": []int{0}}, "Item at position 1 is not a string in indexes list")
			token := r.token(t, map[string]any{"indexes": []string{"foo", "bar"}})
			if got := Caveats(t, token); !slices.Equal(names(t, token), []string{"expires", "indexes"}) || !slices.Contains(got, "indexes=bar,foo") {
				t.Errorf("%q", got)
			}
		}},
		{"an index and not another", caseIndexes},
		{"projects and not another", caseProjects},
		{"projects where reading looks at who asks", func(t *testing.T, r *tokenRig) {
			whole := r.token(t, nil)
			narrow := Narrow(t, whole, "projects=pkg,hello")
			for _, p := range []string{"hello", "pkg", "other"} {
				if reply := r.Upload(t, Bearer(whole), r.name+"/dev", Sdist(p, "1.0")); reply.Status != http.StatusOK {
					t.Fatalf("%d %s", reply.Status, reply.Body)
				}
			}
			for _, p := range []string{"hello", "pkg", "other"} {
				for _, path := range []string{p, "+simple/" + p} {
					if !r.reaches(t, whole, path, "") {
						t.Errorf("the whole token does not reach %s", path)
					}
					reason := ""
					if p == "other" {
						reason = "Token denied access to project 'other'"
					}
					if got := r.reaches(t, narrow, path, reason); got != (p != "other") {
						t.Errorf("the narrow token and %s: %v", path, got)
					}
				}
			}
		}},
	}
}

// reaches reports whether a token is good for a path below the index, where
// whatever answers looks at tokens. reason is what a refusal must say.
func (r *tokenRig) reaches(t *testing.T, token, path, reason string) bool {
	t.Helper()
	var reply Reply
	at := r.name + "/dev/" + path
	switch r.Kind {
	case Plugin:
		who := Bearer(token)
		reply = r.Send(t, http.MethodGet, "+authcheck", func(req *http.Request) {
			who(req)
			req.Header.Set("X-Original-URI", "/"+at)
		}, nil)
	case Strict:
		reply = r.Send(t, http.MethodGet, at, Bearer(token), nil)
	default:
		// A plain server looks at who asks where something would be deleted; this
		// is not there.
		reply = r.Send(t, http.MethodDelete, r.name+"/dev/"+strings.TrimPrefix(path, "+simple/")+"/99.99", Bearer(token), nil)
	}
	switch reply.Status {
	case http.StatusOK, http.StatusFound, http.StatusNotFound:
		return true
	case http.StatusForbidden:
		if reason != "" {
			r.refused(t, reply, reason)
		}
		return false
	}
	t.Fatalf("%s: %d %s", path, reply.Status, reply.Body)
	return false
}

func caseAllowed(t *testing.T, r *tokenRig) {
	whole := r.token(t, map[string]any{"allowed": []string{"pkg_read", "upload"}})
	narrow := Narrow(t, whole, "allowed=pkg_read,toxresult_upload")
	other := Sdist("other", "1.0")
	if reply := r.Upload(t, Bearer(narrow), r.name+"/dev", other); reply.Status != http.StatusForbidden {
		t.Errorf("the narrow token uploads: %d %s", reply.Status, reply.Body)
	}
	if reply := r.Upload(t, Bearer(whole), r.name+"/dev", other); reply.Status != http.StatusOK {
		t.Fatalf("the whole token does not upload: %d %s", reply.Status, reply.Body)
	}
	// Neither may send results of tests: permissions are those of all lists.
	file := r.File(t, r.who, r.name+"/dev", "other", "1.0")
	for name, token := range map[string]string{"whole": whole, "narrow": narrow} {
		if reply := r.Send(t, http.MethodPost, file, Bearer(token), Text("{}")); reply.Status != http.StatusForbidden {
			t.Errorf("the %s token sends results: %d %s", name, reply.Status, reply.Body)
		}
	}
}

func caseIndexes(t *testing.T, r *tokenRig) {
	r.AddIndex(t, r.who, r.name+"/other", nil)
	whole := r.token(t, nil)
	narrow := Narrow(t, whole, "indexes="+r.name+"/dev")
	volatile := func(index string) bool {
		var config struct{ Volatile bool }
		r.Must(t, http.MethodGet, r.name+"/"+index+"?no_projects=", r.who, nil).Result(t, &config)
		return config.Volatile
	}
	patch := func(index, token string) Reply {
		return r.Send(t, http.MethodPatch, r.name+"/"+index, Bearer(token), []string{"volatile=False"})
	}
	if reply := patch("dev", narrow); reply.Status != http.StatusOK || volatile("dev") {
		t.Errorf("its own index: %d %s", reply.Status, reply.Body)
	}
	r.refused(t, patch("other", narrow), "Token denied access to index '"+r.name+"/other'")
	if !volatile("other") {
		t.Error("the other index was changed")
	}
	if reply := patch("other", whole); reply.Status != http.StatusOK || volatile("other") {
		t.Errorf("the whole token: %d %s", reply.Status, reply.Body)
	}
}

func caseProjects(t *testing.T, r *tokenRig) {
	whole := r.token(t, nil)
	narrow := Narrow(t, whole, "projects=pkg,hello")
	for _, p := range []string{"hello", "pkg"} {
		if reply := r.Upload(t, Bearer(narrow), r.name+"/dev", Sdist(p, "1.0")); reply.Status != http.StatusOK {
			t.Errorf("%s: %d %s", p, reply.Status, reply.Body)
		}
	}
	r.refused(t, r.Upload(t, Bearer(narrow), r.name+"/dev", Sdist("other", "1.0")), "Token denied access to project 'other'")
	if reply := r.Upload(t, Bearer(whole), r.name+"/dev", Sdist("other", "1.0")); reply.Status != http.StatusOK {
		t.Errorf("the whole token: %d %s", reply.Status, reply.Body)
	}
}

// jsonCases are PyPI's caveats, as its own tokens and pypitoken write them.
func jsonCases() []tokenCase {
	return []tokenCase{
		{"PyPI's older times", func(t *testing.T, r *tokenRig) {
			token, now := r.token(t, nil), time.Now().Unix()
			times := func(from, until int64) Auth {
				return Bearer(Narrow(t, token, fmt.Sprintf(`{"nbf": "%d", "exp": "%d"}`, from, until)))
			}
			r.denied(t, times(now+100, now+100), "Token not valid before ")
			r.denied(t, times(now-10, now-10), "Token expired at ")
			r.is(t, times(now-10, now+100))
		}},
		{"PyPI's older projects", func(t *testing.T, r *tokenRig) {
			r.judges(t, `{"version": 1, "permissions": {"projects": ["devpi-tokens"]}}`)
		}},
		{"PyPI's times and projects", func(t *testing.T, r *tokenRig) {
			now := time.Now().Unix()
			r.judges(t, fmt.Sprintf("[0, %d, %d]", now+1000, now-1), `[1, ["devpi-tokens"]]`)
		}},
		{"PyPI's older times and projects", func(t *testing.T, r *tokenRig) {
			now := time.Now().Unix()
			r.judges(t, fmt.Sprintf(`{"nbf": %d, "exp": %d}`, now-1, now+1000), `{"version": 1, "permissions": {"projects": ["devpi-tokens"]}}`)
		}},
	}
}

// judges fails unless caveats that name the project devpi-tokens let a token reach
// that and not another, and count for nothing where there is no project.
func (r *tokenRig) judges(t *testing.T, caveats ...string) {
	t.Helper()
	whole := r.token(t, nil)
	for _, p := range []string{"devpi-tokens", "ham"} {
		if reply := r.Upload(t, Bearer(whole), r.name+"/dev", Sdist(p, "1.0")); reply.Status != http.StatusOK {
			t.Fatalf("%s: %d %s", p, reply.Status, reply.Body)
		}
	}
	narrow := Narrow(t, whole, caveats...)
	r.is(t, Bearer(narrow))
	if r.reaches(t, narrow, "ham", "Token denied access to project 'ham'") {
		t.Error("it reaches ham")
	}
	if !r.reaches(t, narrow, "devpi-tokens", "") {
		t.Error("it does not reach devpi-tokens")
	}
	// What makes such a token useless at devpi-tokens.
	want := http.StatusOK
	if r.Kind == Plugin {
		want = http.StatusInternalServerError
	}
	if reply := r.Upload(t, Bearer(narrow), r.name+"/dev", Sdist("devpi-tokens", "2.0")); reply.Status != want {
		t.Errorf("an upload: %d %.200s, want %d", reply.Status, reply.Body, want)
	}
}
