package devpitest

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// TestServerLife: a server comes back with what it had, and another secret ends
// sessions.
func TestServerLife(t *testing.T) {
	s := Start(t, Options{Plugin: true, RestrictModify: []string{"root", "ada"}})
	s.Must(t, http.MethodPut, "ann", s.AsRoot(), map[string]string{"password": "a word"})
	ann := User("ann", s.Login(t, "ann", "a word"))
	if r := s.Send(t, http.MethodPut, "ann/dev", ann, map[string]any{}); r.Status != http.StatusForbidden {
		t.Errorf("--restrict-modify: %d", r.Status)
	}
	status := func(who Auth) string {
		var api struct{ Authstatus []any }
		s.Must(t, http.MethodGet, "+api", who, nil).Result(t, &api)
		return api.Authstatus[0].(string)
	}
	s.Kill()
	s.Restart()
	if got := status(ann); got != "ok" {
		t.Error(got)
	}
	token := s.Token(t, s.AsRoot(), "ann", nil)
	if got := status(Bearer(token)); got != "ok" {
		t.Error(got)
	}
	export := s.Export()
	if got, err := filepath.Glob(filepath.Join(export, "dataindex.json")); err != nil || len(got) != 1 {
		t.Error("an export without its list:", got, err)
	}
	s.Rekey()
	if got := status(ann); got == "ok" {
		t.Error("a session outlived the secret")
	}
	if r := s.Send(t, http.MethodGet, "+api", Bearer(token), nil); r.Status != http.StatusForbidden || !strings.Contains(r.Message(), "verification") {
		t.Errorf("a token outlived the secret: %d %s", r.Status, r.Body)
	}
}
