package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pass"
)

func jsonWith(h []string) []string {
	return append(append([]string{}, h...), "Accept", "application/json", "Content-Type", "application/json")
}

func (s *stage) create(user, body string, who []string) got {
	s.t.Helper()
	return s.do("POST", "/"+user+"/+token-create", body, jsonWith(who)...)
}

func TestTokenEndpoints(t *testing.T) {
	s := newStage(t, nil)
	alice := devpi("alice", "alicepw")
	a := s.create("alice", `{"allowed":["upload","pkg_read"],"projects":["b","a"]}`, alice)
	var made struct {
		Type   string
		Result struct{ Token string }
	}
	if json.Unmarshal([]byte(a.body), &made); a.status != 200 || made.Type != "token-info" || a.header.Get("Content-Type") != "application/json" || a.header.Get("X-Devpi-Api-Version") != "2" {
		t.Fatal(a)
	}
	p, err := pass.Parse(daypass.NewSecret(made.Result.Token))
	if err != nil {
		t.Fatal(err)
	}
	id, _ := p.Identity()
	c := p.Caveats()
	if id.User != "alice" || len(c) != 3 || c[0] != "allowed=pkg_read,upload" || !strings.HasPrefix(c[1], "expires=") || c[2] != "projects=a,b" {
		t.Errorf("%+v %q", id, c)
	}
	a = s.do("GET", "/alice/+tokens", "", jsonWith(alice)...)
	at := s.book.tokens[id].Created.UTC().Format(time.RFC3339)
	want, _ := json.Marshal(map[string]any{"type": "tokens-info", "result": map[string]any{"tokens": map[string]any{
		id.ID: map[string]any{"restrictions": c, "created": at, "uses": 0},
	}}})
	if !sameJSON(a.body, string(want)) || a.status != 200 {
		t.Errorf("list: %s, want %s", a.body, want)
	}
	for _, path := range []string{"/alice/+token-create/", "/alice/+tokens/", "/alice/+tokens/" + id.ID + "/"} {
		if a := s.do("POST", path, "{}", jsonWith(alice)...); strings.Contains(a.body, "token-info") {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if a = s.do("DELETE", "/alice/+tokens/nope", "", jsonWith(alice)...); a.status != 404 || a.message() != "The resource could not be found.\n\n\nNo token with id nope\n\n" {
		t.Errorf("%d %q", a.status, a.message())
	}
	if a = s.do("DELETE", "/alice/+tokens/"+id.ID, "", jsonWith(alice)...); a.status != 200 || a.message() != "token "+id.ID+" deleted" {
		t.Errorf("%d %q", a.status, a.message())
	}
	if a = s.do("GET", simplePage, "", bearer(made.Result.Token)...); a.status != 403 {
		t.Errorf("ended: %d", a.status)
	}
	if a = s.create("alice", "", alice); a.status != 200 {
		t.Errorf("no body: %d %s", a.status, a.body)
	}
}

func sameJSON(a, b string) bool {
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}

// TestLabel: what a token is called is kept and listed, less what cannot be seen.
func TestLabel(t *testing.T) {
	s := newStage(t, nil)
	alice := devpi("alice", "alicepw")
	for sent, want := range map[string]string{
		"nightly": "nightly", "": "", "  two\n\twords ": "two words", "\x1b[31mred\x07": "[31mred", "tin\u202eno\u200b": "tinno", "né": "né", "a\xffb": "ab",
		strings.Repeat("é", 100): strings.Repeat("é", 100), strings.Repeat("é", 101): "-", strings.Repeat("x", 90) + strings.Repeat("\x00", 90): strings.Repeat("x", 90),
	} {
		body, _ := json.Marshal(map[string]string{"label": sent})
		a := s.create("alice", string(body), alice)
		if want == "-" {
			if a.status != 400 || a.message() != "The label is longer than 100 characters" {
				t.Errorf("%d %s", a.status, a.body)
			}
			continue
		}
		var made struct{ Result struct{ Token string } }
		if err := json.Unmarshal([]byte(a.body), &made); err != nil || a.status != 200 {
			t.Fatalf("%q: %d %s", sent, a.status, a.body)
		}
		p, err := pass.Parse(daypass.NewSecret(made.Result.Token))
		if err != nil {
			t.Fatal(err)
		}
		id, _ := p.Identity()
		if c := p.Caveats(); len(c) != 1 || !strings.HasPrefix(c[0], "expires=") {
			t.Errorf("%q is a limit: %q", sent, c)
		}
		var list struct {
			Result struct{ Tokens map[string]tokenInfo }
		}
		a = s.do("GET", "/alice/+tokens", "", jsonWith(alice)...)
		if err := json.Unmarshal([]byte(a.body), &list); err != nil || list.Result.Tokens[id.ID].Label != want {
			t.Errorf("%q is listed as %q, want %q (%v)", sent, list.Result.Tokens[id.ID].Label, want, err)
		}
	}
}

// TestListed: a list has what is known of a token, in UTC.
func TestListed(t *testing.T) {
	at := time.Date(2026, 5, 2, 11, 30, 0, 123, time.FixedZone("east", 7200))
	for want, token := range map[string]Token{
		`{"restrictions":["a=b"],"label":"n","created":"2026-05-02T09:30:00Z","used":"2026-05-02T10:30:00Z","until":"2026-05-03T09:30:00Z","uses":7}`: {
			Caveats: []string{"a=b"}, Label: "n", Created: at, Used: at.Add(time.Hour), Until: at.AddDate(0, 0, 1), Uses: 7,
		},
		`{"restrictions":[],"uses":0}`: {Until: daypass.Forever},
	} {
		if b, err := json.Marshal(infoOf(token)); err != nil || string(b) != want {
			t.Errorf("%s, want %s (%v)", b, want, err)
		}
	}
}

func TestWhoMayMakeTokens(t *testing.T) {
	plain := newStage(t, nil)
	admins := newStage(t, func(c *Config) { c.Admins = []string{"bob"} })
	for i, c := range []struct {
		s         *stage
		who, user string
		want      int
	}{
		{plain, "alice", "alice", 200}, {plain, "alice", "bob", 403}, {plain, "alice", "root", 403}, {plain, "root", "alice", 200}, {plain, "root", "root", 200},
		{plain, "root", "nobody", 404}, {plain, "alice", "nobody", 403}, {plain, "", "alice", 403},
		{admins, "alice", "alice", 403}, {admins, "bob", "alice", 200}, {admins, "bob", "bob", 200}, {admins, "bob", "root", 403}, {admins, "root", "root", 403}, {admins, "root", "alice", 403},
	} {
		var who []string
		if c.who != "" {
			who = devpi(c.who, c.who+"pw")
		}
		a := c.s.create(c.user, "{}", who)
		if a.status != c.want {
			t.Errorf("%d: %s for %s: %d %s", i, c.who, c.user, a.status, a.body)
		}
		if a.status == 403 && a.message() != "Access was denied to this resource.\n\n\nUnauthorized: user_token_create failed permission check\n\n" {
			t.Errorf("%q", a.message())
		}
		list := c.s.do("GET", "/"+c.user+"/+tokens", "", jsonWith(who)...)
		if list.status != c.want || list.status == 403 && !strings.Contains(list.message(), "user_tokens_info failed") {
			t.Errorf("%d: list: %d %s", i, list.status, list.body)
		}
	}
	if a := plain.create("nobody", "{}", devpi("root", "rootpw")); a.message() != "no user 'nobody'" {
		t.Errorf("%q", a.message())
	}
	// A pass makes none, lists none and ends none, whatever it may do.
	token := plain.book.mint(t, "alice", pass.Limits{})
	for _, path := range []string{"POST /alice/+token-create", "GET /alice/+tokens", "DELETE /alice/+tokens/ID1"} {
		method, path, _ := strings.Cut(path, " ")
		for _, h := range [][]string{bearer(token), basic("alice", token), devpi("alice", token)} {
			if a := plain.do(method, path, "", jsonWith(h)...); a.status != 403 {
				t.Errorf("%s: %d %s", path, a.status, a.body)
			}
		}
	}
	wrong := plain.create("alice", "{}", devpi("alice", "guess"))
	if wrong.status != 403 {
		t.Errorf("a wrong password: %d", wrong.status)
	}
}

func TestGroupsOfAdmins(t *testing.T) {
	s := newStage(t, func(c *Config) { c.Admins = []string{":ops"} })
	s.devpi.edit(func() {
		s.devpi.special["/+api"] = func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, `{"type":"apiconfig","result":{"authstatus":["ok","bob",["ops"]]}}`)
		}
	})
	if a := s.create("alice", "{}", devpi("bob", "bobpw")); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	// As with devpi-tokens a group does not lift the bound.
	if a := s.create("alice", `{"expires":"never"}`, devpi("bob", "bobpw")); a.status != 403 || a.message() != "Not allowed to create token with no expiration" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestRestrictions(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for _, c := range []struct {
		body   string
		exceed bool
		status int // 0: taken
		text   string
	}{
		{``, false, 0, "expires=1831622410"},
		{`{}`, false, 0, "expires=1831622410"},
		{`{"expires":null}`, false, 0, "expires=1831622410"},
		{`{"expires":1800000001}`, false, 0, "expires=1800000001"},
		{`{"expires":"1800000001"}`, false, 0, "expires=1800000001"},
		{`{"expires":1800000001.9}`, false, 0, "expires=1800000001"},
		{`{"expires":1831622410}`, false, 0, "expires=1831622410"},
		{`{"expires":1831622411}`, false, 403, "Not allowed to set expiration to more than one year"},
		{`{"expires":1831622411}`, true, 0, "expires=1831622411"},
		{`{"expires":"never"}`, false, 403, "Not allowed to create token with no expiration"},
		{`{"expires":"never"}`, true, 0, "expires=never"},
		{`{"expires":1800000000}`, false, 400, "Can't set expiration before current time"},
		{`{"expires":0}`, true, 400, "Can't set expiration before current time"},
		{`{"expires":"soon"}`, false, 400, "Invalid value 'soon' for expiration"},
		{`{"expires":[1]}`, false, 400, "Invalid value '[1]' for expiration"},
		{`{"expires":true}`, false, 400, "Invalid value 'true' for expiration"},
		{`{"expires":1e300}`, true, 400, "Invalid value '1e300' for expiration"},
		{`{"expires":999999999999}`, true, 400, "Invalid value '999999999999' for expiration"},
		{`{"not_before":"x"}`, false, 400, "Invalid value 'x' for not before"},
		{`{"not_before":null}`, false, 400, "Invalid value 'null' for not before"},
		{`{"not_before":1900000000}`, false, 0, "expires=1831622410 not_before=1900000000"},
		{`{"wrong":1}`, false, 400, "Unknown restriction 'wrong'."},
		{`{"Label":"x"}`, false, 400, "Unknown restriction 'Label'."},
		{`{"uses":1}`, false, 400, "Unknown restriction 'uses'."},
		{`{"label":"x"}`, false, 0, "expires=1831622410"},
		{`{"label":1}`, false, 400, "The label must be a string"},
		{`{"label":null}`, false, 400, "The label must be a string"},
		{`{"label":["x"]}`, false, 400, "The label must be a string"},
		{`{"label":"x","zzz":1}`, false, 400, "Unknown restriction 'zzz'."},
		{`{"Expires":1}`, false, 400, "Unknown restriction 'Expires'."},
		{`[1]`, false, 400, "Bad request: the restrictions must be a JSON object"},
		{`"str"`, false, 400, "Bad request: the restrictions must be a JSON object"},
		{`null`, false, 400, "Bad request: the restrictions must be a JSON object"},
		{`{`, false, 400, "Bad request: the restrictions must be a JSON object"},
		{`{"allowed":"upload"}`, false, 400, "The allowed restriction must be a list"},
		{`{"indexes":null}`, false, 400, "The indexes restriction must be a list"},
		{`{"projects":["a",1]}`, false, 400, "Item at position 2 is not a string in projects list"},
		{`{"projects":["a",null]}`, false, 400, "Item at position 2 is not a string in projects list"},
		{`{"indexes":[""]}`, false, 400, "Empty item at position 1 in indexes list"},
		{`{"allowed":[]}`, false, 0, "allowed= expires=1831622410"},
		{`{"allowed":["upload","pkg_read"],"indexes":["b/x","a"]}`, false, 0, "allowed=pkg_read,upload expires=1831622410 indexes=a,b/x"},
		{`{"projects":["x"],"allowed":"y","expires":"z"}`, false, 400, "The allowed restriction must be a list"},
		{`{"projects":["a,dp:uses=1"]}`, false, 400, ""},
		{`{"projects":["a\nb"]}`, false, 400, ""},
	} {
		w, err := readWish([]byte(c.body), now, c.exceed)
		if c.status != 0 {
			var ref *refusal
			if !errors.As(err, &ref) || ref.status != c.status || c.text != "" && ref.words() != c.text {
				t.Errorf("%s: %v", c.body, err)
			}
			continue
		}
		caveats, cerr := w.limits.Caveats()
		if out := strings.Join(caveats, " "); err != nil || cerr != nil || out != c.text {
			t.Errorf("%s: %q %v", c.body, out, err)
		}
	}
}

func TestExchange(t *testing.T) {
	var from netip.Addr
	s := newStage(t, func(c *Config) {
		c.Exchange = &Exchange{Audience: "https://pypi.example.org", Mint: func(_ context.Context, token daypass.Secret, at netip.Addr) (Exchanged, error) {
			from = at
			switch token.Reveal() {
			case "good":
				return Exchanged{Token: daypass.NewSecret("devpi-x"), Expires: time.Unix(1800000000, 0)}, nil
			case "down":
				return Exchanged{}, &daypass.Problem{Code: "DP-185", What: "the issuer cannot be reached", Kind: daypass.ErrUnreachable}
			}
			return Exchanged{}, &daypass.Problem{Code: "DP-186", What: "no rule is for this job", Kind: daypass.ErrRefused}
		}}
	})
	if a := s.do("GET", "/_/oidc/audience", ""); strings.TrimSpace(a.body) != `{"audience":"https://pypi.example.org"}` {
		t.Error(a)
	}
	if a := s.do("POST", "/_/oidc/mint-token", `{"token":"good"}`); a.status != 200 || strings.TrimSpace(a.body) != `{"expires":1800000000,"success":true,"token":"devpi-x"}` || from.String() != "127.0.0.1" {
		t.Error(a, from)
	}
	for body, want := range map[string]int{`{"token":"bad"}`: 422, `{"token":"down"}`: 503, `{}`: 422, `x`: 422, `{"token":1}`: 422, strings.Repeat("x", maxOwnBody+1): 413} {
		a := s.do("POST", "/_/oidc/mint-token", body)
		if a.status != want || want != 413 && !strings.Contains(a.body, `"message":"Token request failed"`) {
			t.Errorf("%.20s: %d %s", body, a.status, a.body)
		}
	}
	for range badAtOnce {
		s.do("POST", "/_/oidc/mint-token", `{"token":"bad"}`)
	}
	if a := s.do("POST", "/_/oidc/mint-token", `{"token":"good"}`); a.status != 429 {
		t.Errorf("after many: %d", a.status)
	}
	none := newStage(t, nil)
	if none.do("POST", "/_/oidc/mint-token", `{"token":"good"}`); !slices.ContainsFunc(none.devpi.seen(), func(r *http.Request) bool { return r.URL.Path == "/_/oidc/mint-token" }) {
		t.Error("without an exchange the address is not devpi's")
	}
}
