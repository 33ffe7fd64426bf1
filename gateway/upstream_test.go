package gateway

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/pass"
)

// TestAdversaryWrongUpstream: upstream names another devpi
// for a moment, such as the one for trials, where alice has an account too. Her
// passes are refused there, and good again afterwards.
func TestAdversaryWrongUpstream(t *testing.T) {
	s := newStage(t, nil)
	token := s.book.mint(t, "alice", pass.Limits{})
	h := holder{there: true, since: s.now().AddDate(1, 0, 0)}
	s.gateway.holders.m["alice"] = &memory[holder]{done: closed(), value: h, until: s.now().Add(rememberFor)}
	s.devpi.special["/alice"] = userSince(h.since)
	if a := s.do("GET", "/alice/dev/+simple/foo/", "", bearer(token)...); a.status != 403 {
		t.Fatal(a)
	}
	s.devpi.edit(func() { delete(s.devpi.special, "/alice") })
	s.pass(2 * rememberFor)
	if a := s.do("GET", "/alice/dev/+simple/foo/", "", bearer(token)...); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func closed() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

func userSince(at time.Time) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"type": "userconfig", "result": map[string]any{"created": at.UTC().Format(time.RFC3339)}})
	}
}

// TestAdversaryMirror: a limited pass does not make devpi ask a server that it names.
func TestAdversaryMirror(t *testing.T) {
	s := newStage(t, nil)
	token := s.book.mint(t, "alice", pass.Limits{Allowed: []string{"index_modify"}})
	json := append(bearer(token), "Content-Type", "application/json")
	if a := s.do("PATCH", "/alice/dev", `["mirror_url=http://169.254.169.254/"]`, json...); a.status != 403 || !strings.Contains(a.body, "mirror") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := s.do("PATCH", "/alice/dev", `["volatile=True"]`, json...); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}
