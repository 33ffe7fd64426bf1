package gateway

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/pass"
)

// TestEndShown: whoever holds a pass can end it, by POST alone; what is no good
// pass ends nothing, and nothing of it reaches devpi.
func TestEndShown(t *testing.T) {
	var ended []string
	s := newStage(t, func(c *Config) {
		c.Passes.EndShown = func(_ context.Context, p pass.Pass, from netip.Addr) (string, error) {
			ended = append(ended, p.Identifier()+" "+strings.Join(p.Caveats(), " ")+" "+from.String())
			return "K3QF-7", nil
		}
	})
	token := s.book.mint(t, "alice", pass.Limits{Indexes: []string{"alice/dev"}, Uses: 1})
	gone := s.book.mint(t, "alice", pass.Limits{})
	s.book.End(t.Context(), "alice", "ID2", "")
	for name, h := range map[string][]string{
		"nobody": nil, "forged": bearer(token[:len(token)-3] + "AAA"), "ended": bearer(gone), "rubbish": bearer("rubbish"),
		"a password": basic("alice", "secret"), "as another": basic("bob", token),
	} {
		if a := s.do("POST", "/+daypass/end", "", h...); a.status != 403 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	for _, method := range []string{"GET", "DELETE", "PUT"} {
		if a := s.do(method, "/+daypass/end", "", bearer(token)...); a.status != 404 {
			t.Errorf("%s: %d", method, a.status)
		}
	}
	if len(ended) != 0 {
		t.Fatalf("ended: %q", ended)
	}
	for _, h := range [][]string{bearer(token), basic("alice", token), basic("__token__", token)} {
		a := s.do("POST", "/+daypass/end", "", h...)
		if a.status != 200 || !strings.Contains(a.body, `"type":"token-ended"`) || !strings.Contains(a.body, "K3QF-7") {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	if len(ended) != 3 || !strings.HasPrefix(ended[0], "alice-ID1.test expires=") || !strings.Contains(ended[0], " indexes=alice/dev dp:uses=1 ") || len(s.devpi.seen()) != 0 {
		t.Errorf("ended %q, sent on %v", ended, s.devpi.seen())
	}
	none := newStage(t, nil)
	if a := none.do("POST", "/+daypass/end", "", bearer(none.book.mint(t, "alice", pass.Limits{}))...); a.status/100 == 2 {
		t.Errorf("where it is not offered: %d %s", a.status, a.body)
	}
}
