package gateway

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
)

// newToken makes one as its user does.
func (s *stage) newToken(user, password string) string {
	s.t.Helper()
	a := s.do("POST", "/"+user+"/+token-create", "{}", devpi(user, password)...)
	var made struct{ Result struct{ Token string } }
	if a.status != 200 || json.Unmarshal([]byte(a.body), &made) != nil {
		s.t.Fatal(a)
	}
	return made.Result.Token
}

// TestNameChangesHands: a pass belongs to the account that it was made for, and
// is none under another of the same name.
func TestNameChangesHands(t *testing.T) {
	for how, change := range map[string]func(*Config){
		"by the key": nil,
		"by a service account": func(c *Config) {
			c.Acting = Acting{ServiceUser: "robot", ServicePassword: daypass.NewSecret("robotpw")}
		},
	} {
		t.Run(how, func(t *testing.T) {
			s := newStage(t, change)
			made := func(at string) { s.devpi.edit(func() { s.devpi.created = map[string]any{"alice": at} }) }
			use := func(token string) int {
				t.Helper()
				return s.do("GET", "/alice/other/+simple/x/", "", bearer(token)...).status
			}
			made("2026-01-01T10:00:00Z")
			first, idle := s.newToken("alice", "alicepw"), s.newToken("alice", "alicepw")
			if got := use(first); got != 200 {
				t.Fatal(got)
			}
			// Moments later, when what devpi said of the first is still remembered.
			made("2026-01-01T10:00:01Z")
			second := s.newToken("alice", "alicepw")
			if a := s.do("GET", "/alice/+tokens", "", devpi("alice", "alicepw")...); strings.Count(a.body, "restrictions") != 1 {
				t.Errorf("the second's tokens: %s", a.body)
			}
			if got := use(second); got != 200 {
				t.Errorf("the second's: %d", got)
			}
			if got := use(first); got != 403 {
				t.Errorf("the first's: %d", got)
			}
			s.pass(2 * time.Minute)
			if got := use(idle); got != 403 {
				t.Errorf("the first's other: %d", got)
			}
			made("2026-01-01T10:00:00Z") // the first's account, out of a backup
			s.pass(2 * time.Minute)
			for token, want := range map[string]int{first: 200, idle: 200, second: 403} {
				if got := use(token); got != want {
					t.Errorf("after a backup: %d, want %d", got, want)
				}
			}
			s.devpi.edit(func() { s.devpi.created = nil })
			s.pass(2 * time.Minute)
			if a := s.do("GET", "/alice/other/+simple/x/", "", bearer(idle)...); a.status != 403 || !strings.Contains(a.body, "not accepted") {
				t.Errorf("a record that says nothing: %d %s", a.status, a.body)
			}
		})
	}
}

// TestAccountsWithoutTime: where devpi does not say when it made an account, or
// says 1970 for it, one that it makes later is another's.
func TestAccountsWithoutTime(t *testing.T) {
	s := newStage(t, nil)
	use := func(token string) int {
		t.Helper()
		s.pass(2 * time.Minute)
		return s.do("GET", "/alice/dev/+simple/x/", "", bearer(token)...).status
	}
	token := s.newToken("alice", "alicepw")
	for _, at := range []any{nil, "1970-01-01T00:00:00Z", s.now().Add(-time.Hour).UTC().Format(time.RFC3339)} {
		s.devpi.edit(func() { s.devpi.created = map[string]any{"alice": at} })
		if got := use(token); got != 200 {
			t.Errorf("%v: %d", at, got)
		}
	}
	s.devpi.edit(func() { s.devpi.created = map[string]any{"alice": "yesterday"} })
	if got := use(token); got != 502 {
		t.Errorf("no time: %d", got)
	}
	s.devpi.edit(func() {
		s.devpi.created = map[string]any{"alice": s.now().Add(time.Hour).UTC().Format(time.RFC3339)}
	})
	if got := use(token); got != 403 {
		t.Errorf("a later one: %d", got)
	}
}
