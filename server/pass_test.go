package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
)

// TestPassesOpenWhatTheTableSays walks the description of the API, presents a good
// pass to each operation, and compares who takes it with the description and with
// the table of routes. Nobody else does anything, and the hub never sees it.
func TestPassesOpenWhatTheTableSays(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromData(api.OpenAPI())
	if err != nil {
		t.Fatal(err)
	}
	bodies := map[string]string{"credential": wantRepo}
	for _, o := range operations {
		bodies[o.name] = o.body
	}
	modes(t, func(t *testing.T, address string, shared bool) {
		w := newWorld()
		s := start(t, w, address, shared)
		walked := 0
		for path, item := range doc.Paths.Map() {
			for method, op := range item.Operations() {
				if op.Security != nil && len(*op.Security) == 0 {
					continue // it looks at no token: TestOpenRoutesLookAtNoToken
				}
				walked++
				said := false
				for _, way := range doc.Security {
					said = said || len(way["pass"]) > 0
				}
				if op.Security != nil {
					for _, way := range *op.Security {
						_, ok := way["pass"]
						said = said || ok
					}
				}
				rt := routeOf(t, method, path)
				if rt.pass != said || said != slices.Contains([]string{"credential", "me", "snapshot", "pack", "link"}, op.OperationID) {
					t.Errorf("%s: the route takes passes: %v; the description says: %v", op.OperationID, rt.pass, said)
				}
				target := strings.TrimSuffix(address, "/") + strings.NewReplacer("snapshots/{id}", "snapshots/"+labID, "{host}", "github.com", "{id}", passID1, "{name}", "ph142-lab1").Replace(path)
				if strings.HasPrefix(path, api.PathSnapshots) {
					target += "?link=ph142-lab1"
				}
				for _, text := range []string{goodPass, "daypass_narrowed", "devpi-of-a-hub", "daypass_unknown", "pypi-AgEIcHlwaS5vcmc", "daypass_" + strings.Repeat("A", api.MaxPassText-8)} {
					before := len(w.deeds())
					res := apiDo(s, method, target, text, bodies[op.OperationID])
					did := w.deeds()[before:]
					_, good := w.passes[text]
					want := 403
					switch {
					case rt.kind == hook:
						want = 401 // whatever is not the hook's token
					case said && good:
						want = 200
					case said:
						want = 401
					}
					if res.StatusCode != want || want != 200 && len(did) != 0 {
						t.Errorf("%s by %.20s: %d, want %d, done %q: %s", op.OperationID, text, res.StatusCode, want, did, text)
					}
				}
			}
		}
		if walked < 10 {
			t.Errorf("only %d operations were walked", walked)
		}
		if len(w.shown) != 0 {
			t.Errorf("the hub was shown %q", w.shown)
		}
		if strings.Contains(w.logged(), goodPass) {
			t.Error("a pass is in the log")
		}
	})
}

func routeOf(t *testing.T, method, path string) route {
	t.Helper()
	for _, rt := range routes() {
		if rt.method == method && "/"+rt.path == path {
			return rt
		}
	}
	t.Fatalf("no route for %s %s", method, path)
	return route{}
}

// TestPassesOpenNoPage: a pass is no sign-in, in no place where one could be looked
// for, and a cookie adds nothing to it.
func TestPassesOpenNoPage(t *testing.T) {
	modes(t, func(t *testing.T, address string, shared bool) {
		w := newWorld()
		s := start(t, w, address, shared)
		for _, rt := range routes() {
			if rt.kind != person && rt.kind != admin && rt.kind != stream {
				continue
			}
			for _, head := range [][]string{
				{"Authorization", "Bearer " + goodPass}, {"Cookie", s.sessions.Cookie.Name + "=" + goodPass},
				{"Authorization", "Basic X190b2tlbl9fOmRheXBhc3NfZ29vZA=="}, {"Authorization", "Bearer " + goodPass, "Cookie", s.sessions.Cookie.Name + "=x"},
			} {
				for k, v := range typed {
					head = append(head, k, v)
				}
				if res := apiDo(s, rt.method, address+example(rt), "", "", head...); res.StatusCode != 303 && res.StatusCode != 403 {
					t.Errorf("%s by %q: %d", rt.name, head[:2], res.StatusCode)
				}
			}
		}
		if did := w.deeds(); len(did) != 0 || slices.Contains(w.shown, goodPass) {
			t.Errorf("done %q; the hub saw %q", did, w.shown)
		}
		b := newBrowser(t, s, address, shared)
		b.signIn("browser-bob", "")
		r := httptest.NewRequest("GET", address+"api/v1/me", nil)
		r.Header.Set("Authorization", "Bearer "+goodPass)
		for _, c := range b.cookies {
			r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
		}
		if body := text(t, traffic.ask(s, r)); !strings.Contains(body, `"name":"ada"`) || !strings.Contains(body, `"via":"pass"`) {
			t.Errorf("me by ada's pass in bob's browser: %s", body)
		}
	})
}

// TestWhoamiByPass: a pass is told which hosts are connected, and not as whom.
func TestWhoamiByPass(t *testing.T) {
	w := newWorld()
	c := w.config(ownURL, false)
	c.Broker.Connections = func(context.Context, daypass.Caller) ([]Connection, error) {
		t.Error("a pass reads connections")
		return nil, errors.New("no")
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	body := text(t, apiDo(s, "GET", ownURL+"api/v1/me", goodPass, ""))
	var me api.Me
	if err := json.Unmarshal([]byte(body), &me); err != nil || me.User.Name != "ada" || me.Via != "pass" || len(me.Hosts) != 2 {
		t.Fatalf("%v %s", err, body)
	}
	for i, want := range []string{api.StateLive, api.StateNone} {
		if h := me.Hosts[i]; h.State != want || h.Connected != (want == api.StateLive) || h.Account != nil || h.Until != nil || h.Why != "" || h.Connect == "" {
			t.Errorf("%+v", h)
		}
	}
	if strings.Contains(body, "ada-l") {
		t.Errorf("the account is named: %s", body)
	}
}

// TestPassShape: what is shown in other ways than one is no token, and a long
// token that is no pass is nobody's.
func TestPassShape(t *testing.T) {
	w := newWorld()
	c := w.config(ownURL, false)
	c.Broker.LooksLike = func(p daypass.Secret) bool { return strings.HasPrefix(p.Reveal(), "AgE") }
	w.passes["AgEbare"] = w.passes[goodPass]
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	me := func(head ...string) int { return apiDo(s, "GET", ownURL+"api/v1/me", "", "", head...).StatusCode }
	for name, v := range map[string]struct {
		head []string
		want int
	}{
		"a bare pass":       {[]string{"Authorization", "Bearer AgEbare"}, 200},
		"in small letters":  {[]string{"Authorization", "bearer " + goodPass}, 200},
		"basic":             {[]string{"Authorization", "Basic " + goodPass}, 401},
		"token":             {[]string{"Authorization", "token " + goodPass}, 401},
		"in the query":      {[]string{"X-Nothing", "1"}, 401},
		"another header":    {[]string{"X-Devpi-Auth", goodPass}, 401},
		"longer than 8 KiB": {[]string{"Authorization", "Bearer daypass_" + strings.Repeat("A", api.MaxPassText-7)}, 401},
		"long, and no pass": {[]string{"Authorization", "Bearer " + strings.Repeat("x", 600)}, 401},
		"two words":         {[]string{"Authorization", "Bearer " + goodPass + " x"}, 401},
		"an unknown pass":   {[]string{"Authorization", "Bearer AgEother"}, 401},
	} {
		if got := me(v.head...); got != v.want {
			t.Errorf("%s: %d, want %d", name, got, v.want)
		}
	}
	r := httptest.NewRequest("GET", ownURL+"api/v1/me?token="+goodPass+"&access_token="+goodPass, nil)
	r.Header["Authorization"] = []string{"Bearer " + goodPass, "Bearer server-ada"}
	if res := traffic.ask(s, r); res.StatusCode != 401 {
		t.Errorf("two tokens: %d", res.StatusCode)
	}
	if len(w.shown) != 0 {
		t.Errorf("the hub saw %q", w.shown)
	}
}

// TestNoPassesHere: without passes nothing that looks like one reaches the hub.
func TestNoPassesHere(t *testing.T) {
	w := newWorld()
	c := w.config(ownURL, false)
	c.Broker.PassParts = PassParts{}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{goodPass, "devpi-AgEx", "pypi-AgEx"} {
		if res := apiDo(s, "GET", ownURL+"api/v1/me", text, ""); res.StatusCode != 401 || errorOf(t, res).Code != "DP-891" {
			t.Errorf("%s: %d", text, res.StatusCode)
		}
	}
	if len(w.shown) != 0 {
		t.Errorf("the hub saw %q", w.shown)
	}
	b := newBrowser(t, s, ownURL, false)
	b.signIn("browser-ada", "")
	for _, page := range []string{"passes", "passes/new", "passes/" + passID1, "device", "device?user_code=WDJB-MJHT"} {
		if res := b.get(page); res.StatusCode != 404 {
			t.Errorf("%s: %d", page, res.StatusCode)
		}
	}
	if strings.Contains(text(t, b.get("")), ">Passes</a>") {
		t.Error("the navigation names passes")
	}
	for _, path := range []string{"passes/end", "passes/new", "passes/narrow", "device"} {
		if res := b.do("POST", ownURL+path, fields(t, s, b, path), b.own()); res.StatusCode != 404 {
			t.Errorf("POST %s: %d", path, res.StatusCode)
		}
	}
}

// TestWhoPassCallerIs: what the broker says of a pass is believed only where it is
// about a pass.
func TestWhoPassCallerIs(t *testing.T) {
	w := newWorld()
	s := start(t, w, ownURL, false)
	for name, change := range map[string]func(*daypass.Caller){
		"another kind": func(c *daypass.Caller) { c.Via = daypass.ViaBrowser }, "none": func(c *daypass.Caller) { *c = daypass.Caller{} },
		"no id": func(c *daypass.Caller) { c.Pass = daypass.PassRef{} }, "nobody's": func(c *daypass.Caller) { c.User = daypass.User{} },
	} {
		c := w.passes[goodPass]
		change(&c)
		w.passes["daypass_odd"] = c
		if res := apiDo(s, "POST", ownURL+"api/v1/credential", "daypass_odd", wantRepo); res.StatusCode != 401 {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
	}
	if did := w.deeds(); len(did) != 0 {
		t.Errorf("done %q", did)
	}
}

// TestPassAddress: a pass is judged by the address of the peer, or of the hop
// beyond a proxy that is trusted, and of no header that anybody can write.
func TestPassAddress(t *testing.T) {
	w := newWorld()
	ask := func(s *Server, remote, forwarded string) string {
		r := httptest.NewRequest("GET", ownURL+"api/v1/me", nil)
		r.RemoteAddr = remote
		r.Header.Set("Authorization", "Bearer "+goodPass)
		if forwarded != "" {
			r.Header.Set("X-Forwarded-For", forwarded)
			r.Header.Set("Forwarded", "for=6.6.6.6")
			r.Header.Set("X-Real-Ip", "6.6.6.6")
		}
		traffic.ask(s, r)
		return w.froms[len(w.froms)-1]
	}
	c := w.config(ownURL, false)
	direct, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	c.Limits.Proxies = prefixes("10.0.0.0/8")
	behind, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []struct {
		s                       *Server
		remote, forwarded, want string
	}{
		{direct, "192.0.2.9:4711", "", "192.0.2.9"}, {direct, "192.0.2.9:4711", "6.6.6.6", "192.0.2.9"}, {direct, "[::ffff:192.0.2.9]:4711", "", "192.0.2.9"},
		{direct, "[fe80::1%eth0]:4711", "", "fe80::1"}, {behind, "10.0.0.1:4711", "6.6.6.6, 192.0.2.9", "192.0.2.9"}, {behind, "10.0.0.1:1", "nonsense", "invalid IP"},
	} {
		if got := ask(v.s, v.remote, v.forwarded); got != v.want {
			t.Errorf("from %s, %q: %s, want %s", v.remote, v.forwarded, got, v.want)
		}
	}
}

// TestPassLimits: all passes that were narrowed from one share its rate, and who
// tries passes that are none asks the broker no more often than strangers may.
func TestPassLimits(t *testing.T) {
	w := newWorld()
	c := w.config(ownURL, false)
	c.Limits = Limits{Rate: 0.001, Burst: 4, StrangerIn: 0.001, Strangers: 12}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		w.passes[fmt.Sprint("daypass_narrowed", i)] = w.passes[goodPass]
	}
	got := map[int]int{}
	for i := range 8 {
		got[apiDo(s, "GET", ownURL+"api/v1/me", fmt.Sprint("daypass_narrowed", i), "").StatusCode]++
	}
	if got[200] != 4 || got[429] != 4 {
		t.Errorf("eight passes narrowed from one, four at once: %v", got)
	}
	if res := apiDo(s, "GET", ownURL+"api/v1/me", "daypass_other", ""); res.StatusCode != 200 {
		t.Errorf("another pass has to wait for them: %d", res.StatusCode)
	}
	got = map[int]int{}
	for i := range 20 {
		got[apiDo(s, "GET", ownURL+"api/v1/me", fmt.Sprint("daypass_rubbish", i), "").StatusCode]++
	}
	if got[401] != 3 || got[429] != 17 {
		t.Errorf("twenty that are none: %v", got)
	}
}

// TestMintPass: what is asked reaches the broker whole, or not at all.
func TestMintPass(t *testing.T) {
	w := newWorld()
	s := start(t, w, ownURL, false)
	target := ownURL + "api/v1/passes"
	res := apiDo(s, "POST", target, "server-ada", `{"label":"x","until":"2026-12-01T00:00:00Z","for_server":true,"limits":{"hosts":["github.com"],"repos":["o/r#7"],"access":"write","sources":["doi:10.5281/zenodo.1"],"servers":["gpu@1795200000"],"addresses":["192.0.2.0/24"],"uses":3,"not_before":"2026-11-23T00:00:00Z"}}`)
	body := text(t, res)
	got, err := api.DecodePassReply([]byte(body))
	if res.StatusCode != 200 || err != nil || got.Pass.Reveal() != madeText || res.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v %s", res.StatusCode, err, body)
	}
	begins := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	want := PassAsk{Label: "x", Until: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), ForServer: true, Limits: api.PassLimits{
		Hosts: []string{"github.com"}, Repos: []string{"o/r#7"}, Access: "write", Sources: []string{"doi:10.5281/zenodo.1"}, Servers: []string{"gpu@1795200000"},
		Addresses: []string{"192.0.2.0/24"}, Uses: 3, NotBefore: &begins,
	}}
	ask := w.asks[0]
	if ask.Request == "" {
		t.Error("the request has no id")
	}
	ask.Request = ""
	if !reflect.DeepEqual(ask, want) {
		t.Errorf("asked %+v", ask)
	}
	for name, body := range map[string]string{
		"an empty list": `{"limits":{"repos":[]}}`, "no limits' name": `{"limits":{"repo":["o/r"]}}`, "two ends": `{"for":60,"never":true,"limits":{}}`,
		"nothing": ``, "a list": `[]`, "a negative time": `{"for":-5,"limits":{}}`, "a fraction": `{"for":1.5,"limits":{}}`, "another's": `{"user":"bob","limits":{}}`,
		"twice": `{"limits":{}}{"limits":{}}`, "a long label": `{"label":"` + strings.Repeat("x", 101) + `","limits":{}}`,
	} {
		if res := apiDo(s, "POST", target, "server-ada", body, "Content-Type", "application/json"); res.StatusCode != 400 {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
	}
	if len(w.asks) != 1 {
		t.Errorf("asked %+v", w.asks)
	}
	if strings.Contains(w.logged(), "AgEcanary") {
		t.Error("the pass is in the log")
	}
}

// TestEndPass: by its id its owner ends it, with the hub's word; by itself whoever
// holds it does, without.
func TestEndPass(t *testing.T) {
	w := newWorld()
	s := start(t, w, ownURL, false)
	for path, want := range map[string]int{passID1: 200, "h2b8r6yd3f7c9s4p": 404, "..%2Fend": 404, strings.Repeat("a", 65): 404, "a%00b": 404, "end": 405} {
		if res := apiDo(s, "DELETE", ownURL+"api/v1/passes/"+path, "user-ada", ""); res.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, res.StatusCode, want)
		}
	}
	w.stale = true
	if res := apiDo(s, "DELETE", ownURL+"api/v1/passes/"+passID1, "user-ada", ""); res.StatusCode != 503 {
		t.Errorf("while the hub is down: %d", res.StatusCode)
	}
	if res := apiDo(s, "POST", ownURL+"api/v1/passes/end", "", `{"pass":"daypass_narrowed"}`); res.StatusCode != 200 {
		t.Errorf("whoever holds it, while the hub is down: %d", res.StatusCode)
	}
	if got := w.deeds(); !slices.Equal(got, []string{"end-pass ada " + passID1, "end-shown true"}) {
		t.Errorf("done %q", got)
	}
	for name, body := range map[string]string{"no pass": `{"pass":"server-ada"}`, "empty": `{"pass":""}`, "an id": `{"pass":"` + passID1 + `"}`, "more": `{"pass":"daypass_good","id":"x"}`} {
		if res := apiDo(s, "POST", ownURL+"api/v1/passes/end", "", body); res.StatusCode != 400 {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
	}
}

// TestOpenRoutesLookAtNoToken: a token in the header changes nothing there, and
// the hub is not asked about it.
func TestOpenRoutesLookAtNoToken(t *testing.T) {
	w := newWorld()
	s := start(t, w, ownURL, false)
	for _, o := range operations {
		if o.token != "" || o.body == "" {
			continue
		}
		for _, token := range []string{"", "server-ada", goodPass, "rubbish"} {
			if res := apiDo(s, o.method, ownURL+"api/v1/"+o.path, token, o.body, "Cookie", "__Host-daypass=x"); res.StatusCode != 200 {
				t.Errorf("%s with %q: %d", o.name, token, res.StatusCode)
			}
		}
	}
	if w.asked != 0 {
		t.Errorf("the hub saw %q", w.shown)
	}
}

// TestExchange: the two endpoints are what programs that publish to PyPI expect.
func TestExchange(t *testing.T) {
	w := newWorld()
	s := start(t, w, ownURL, false)
	if body := text(t, apiDo(s, "GET", ownURL+"_/oidc/audience", "", "")); body != `{"audience":"https://daypass.example.org/"}` {
		t.Errorf("the audience: %s", body)
	}
	mint := func(s *Server, body string, more ...string) (int, string) {
		res := apiDo(s, "POST", ownURL+"_/oidc/mint-token", "", body, more...)
		return res.StatusCode, text(t, res)
	}
	if status, body := mint(s, `{"token":"eyJ_job","more":1}`); status != 200 || body != fmt.Sprintf(`{"success":true,"token":%q,"expires":%d}`, madeText, w.now.Add(15*time.Minute).Unix()) {
		t.Errorf("%d %s", status, body)
	}
	var refused api.MintRefused
	status, body := mint(s, `{"token":"eyJ_other"}`)
	if err := json.Unmarshal([]byte(body), &refused); err != nil || status != 422 || refused.Success || refused.Errors[0].Code != "DP-190" ||
		!strings.Contains(refused.Errors[0].Description, "No rule takes this job. Its repository is o/r.") || !strings.Contains(refused.Errors[0].Description, "K3QF-1080") {
		t.Errorf("%d %s", status, body)
	}
	want := func(s *Server, status int, body string, more ...string) {
		t.Helper()
		var r api.MintRefused
		if got, b := mint(s, body, more...); got != status || json.Unmarshal([]byte(b), &r) != nil || len(r.Errors) == 0 || r.Success {
			t.Errorf("%s: %d %s, want %d", body, got, b, status)
		}
	}
	want(s, 422, `{"token":7}`)
	want(s, 422, `{}`)
	want(s, 422, `not json`)
	want(s, 422, `{"token":"`+goodPass+`"}`)
	want(s, 422, `{"token":"eyJ_job"}`, "Content-Type", "text/plain")
	want(s, 413, strings.Repeat(" ", api.MaxBody)+`{"token":"eyJ_job"}`)
	none := newWorld().config(ownURL, false)
	none.Broker.PassParts = PassParts{}
	off, err := New(none)
	if err != nil {
		t.Fatal(err)
	}
	want(off, 404, `{"token":"eyJ_job"}`)
	if res := apiDo(off, "GET", ownURL+"_/oidc/audience", "", ""); res.StatusCode != 404 {
		t.Errorf("no audience: %d", res.StatusCode)
	}
	if res := apiDo(s, "GET", ownURL+"_/oidc/mint-token", "", ""); res.StatusCode != 405 {
		t.Errorf("GET: %d", res.StatusCode)
	}
	if res := apiDo(s, "POST", ownURL+"_/oidc/elsewhere", "", `{"token":"x"}`); res.StatusCode != 404 {
		t.Errorf("elsewhere: %d", res.StatusCode)
	}
	for _, bad := range []struct {
		err    error
		status int
	}{{&daypass.Problem{Code: "DP-191", What: "the issuer does not answer", Kind: daypass.ErrUnreachable}, 503}, {fmt.Errorf("the disk is gone"), 500}} {
		c := newWorld().config(ownURL, false)
		broken(&c.Broker, bad.err)
		down, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		want(down, bad.status, `{"token":"eyJ_job"}`)
	}
	c := newWorld().config(ownURL, false)
	c.Limits.OpenIn, c.Limits.Open = 0.001, 1
	few, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	mint(few, `{"token":"eyJ_job"}`)
	want(few, 429, `{"token":"eyJ_job"}`)
	for range cap(few.atOnce) {
		few.atOnce <- struct{}{}
	}
	want(few, 503, `{"token":"eyJ_job"}`)
	if res := apiDo(few, "GET", ownURL+"_/oidc/audience", "", ""); res.StatusCode != 503 {
		t.Errorf("the audience, with too much to do: %d", res.StatusCode)
	}
	if strings.Contains(w.logged(), "eyJ_") || strings.Contains(w.logged(), "AgEcanary") {
		t.Error("a token is in the log")
	}
}

// passFields are the fields of the form for passes, with some changed.
func passFields(change url.Values) url.Values {
	q := url.Values{"look": {"yes"}, "label": {"night job"}, "repos": {"tidal-lab/ocean-models\r\ntidal-lab/buoy-data"}, "access": {"read"}, "for": {"2h0m0s"}}
	for k, v := range change {
		q[k] = v
	}
	return q
}

// TestMakePass goes the way of a person: fill in, read what it would allow, make.
// The pass is in one answer, and in no other.
func TestMakePass(t *testing.T) {
	modes(t, func(t *testing.T, address string, shared bool) {
		w := newWorld()
		s := start(t, w, address, shared)
		b := newBrowser(t, s, address, shared)
		b.signIn("browser-ada", "")
		page := text(t, b.get("passes/new"))
		for _, want := range []string{`min="2026-11-22"`, `max="2026-12-22"`, `<option value="8h0m0s" selected>8 hours</option>`, `value="read" checked`} {
			if !strings.Contains(page, want) {
				t.Errorf("the form lacks %s", want)
			}
		}
		if strings.Contains(page, "Make this pass") || strings.Contains(page, `role="alert"`) || strings.Contains(page, "sign in again") || strings.Contains(page, "without an end") {
			t.Error("the empty form shows more than a form")
		}
		look := text(t, b.get("passes/new?"+passFields(nil).Encode()))
		for _, want := range []string{
			"Is this the pass that you want?", "“<span class=\"name\">night job</span>”", "Read tidal-lab/ocean-models and tidal-lab/buoy-data.", "Push, or change anything.", "Use any other repository.",
			"For 2 hours, from when it is made.",
		} {
			if !strings.Contains(look, want) {
				t.Errorf("the summary lacks %q", want)
			}
		}
		if len(w.deeds()) != 0 {
			t.Errorf("looking has done %q", w.deeds())
		}
		form := passFields(url.Values{"form": {formOf(t, look, s.path("passes/new"))}})
		res := b.do("POST", address+"passes/new", form, b.own())
		made := text(t, res)
		if res.StatusCode != 200 || strings.Count(made, madeText) != 1 || res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("Location") != "" {
			t.Fatalf("%d, %d times, %q", res.StatusCode, strings.Count(made, madeText), res.Header)
		}
		if strings.Contains(made, "<script") == shared || strings.Contains(made, "static/copy.") == shared {
			t.Errorf("a script: %v, in shared mode: %v", strings.Contains(made, "<script"), shared)
		}
		// Loaded anew, it is refused and shows nothing.
		again := b.do("POST", address+"passes/new", form, b.own())
		if body := text(t, again); again.StatusCode != 403 || strings.Contains(body, "AgEcanary") || !strings.Contains(body, "DP-879") {
			t.Errorf("the form for the second time: %d", again.StatusCode)
		}
		if got := w.deeds(); !slices.Equal(got, []string{"mint ada browser true"}) {
			t.Errorf("done %q", got)
		}
		ask := w.asks[0]
		want := PassAsk{Label: "night job", For: 2 * time.Hour, Fresh: true, Request: ask.Request, Limits: api.PassLimits{Access: "read", Repos: []string{"tidal-lab/ocean-models", "tidal-lab/buoy-data"}}}
		if !reflect.DeepEqual(ask, want) || ask.Request == "" {
			t.Errorf("asked %+v", ask)
		}
		for _, p := range []string{"", "passes", "passes/new", "passes/" + passID1, "activity"} {
			if strings.Contains(text(t, b.get(p)), "AgEcanary") {
				t.Errorf("%q holds the pass", p)
			}
		}
		if strings.Contains(w.logged(), "AgEcanary") {
			t.Error("the pass is in the log")
		}
		for k, v := range w.sessionsOf(t, s) {
			if strings.Contains(v, "AgEcanary") {
				t.Errorf("the pass is in the session %s", k)
			}
		}
	})
}

// sessionsOf are all sessions as they are stored.
func (w *world) sessionsOf(t *testing.T, s *Server) map[string]string {
	t.Helper()
	store, ok := s.c.Sessions.(ctxStore)
	if !ok {
		t.Fatal("another store")
	}
	all, err := store.All()
	if err != nil || len(all) == 0 {
		t.Fatalf("no sessions: %v", err)
	}
	out := map[string]string{}
	for k, v := range all {
		out[k] = string(v)
	}
	return out
}

// TestPassFormMistakes: what cannot be used is said at its field, and nothing is
// made of it.
func TestPassFormMistakes(t *testing.T) {
	w := newWorld()
	s := start(t, w, ownURL, false)
	b := newBrowser(t, s, ownURL, false)
	b.signIn("browser-ada", "")
	for name, c := range map[string]struct {
		field, value, want string
	}{
		"an address":         {"repos", "https://github.com/o/r.git", "is not OWNER/NAME"},
		"three parts":        {"repos", "a/b/c", "is not OWNER/NAME"},
		"an odd number":      {"repos", "o/r#x", "is not OWNER/NAME"},
		"script":             {"repos", "<script>alert(1)</script>", "is not OWNER/NAME"},
		"no such host":       {"host", "evil.example", "nothing to do with that host"},
		"admin":              {"access", "admin", "Choose one of the two"},
		"too long":           {"for", "721h", "up to 30 days"},
		"a second":           {"for", "1s", "up to 30 days"},
		"nonsense":           {"for", "soon", "up to 30 days"},
		"never":              {"for", "never", "Passes have an end here"},
		"yesterday":          {"until", "2026-11-21", "That is not a day"},
		"too far":            {"until", "2026-12-23", "That is not a day"},
		"no date":            {"until", "31/12/2026", "That is not a day"},
		"no address":         {"addresses", "192.0.2.0/33", "neither an address nor a range"},
		"no uses":            {"uses", "0", "not a number of uses"},
		"uses in words":      {"uses", "three", "not a number of uses"},
		"too many to list":   {"repos", strings.TrimSpace(strings.Repeat("o/r\n", 65)), "more than 64"},
		"a label in colours": {"label", "a\x1b[31mb", "cannot be seen"},
	} {
		q := passFields(url.Values{c.field: {c.value}})
		page := text(t, b.get("passes/new?"+q.Encode()))
		if !strings.Contains(page, c.want) || !strings.Contains(page, `role="alert"`) || strings.Contains(page, "Make this pass") || !strings.Contains(page, `aria-invalid="true"`) && c.field != "access" && c.field != "host" {
			t.Errorf("%s: the page does not say %q at the field", name, c.want)
		}
		q.Set("form", codeFor(t, s, b, "passes/new"))
		if res := b.do("POST", ownURL+"passes/new", q, b.own()); res.StatusCode != 400 {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
	}
	if len(w.deeds()) != 0 {
		t.Errorf("done %q", w.deeds())
	}
}

// TestPassEnds: a day goes to its end in UTC, and never beyond what the rules give.
func TestPassEnds(t *testing.T) {
	w := newWorld()
	s := start(t, w, ownURL, false)
	day := func(d string) time.Time {
		at, err := time.Parse(time.DateTime, d)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	bounds := PassBounds{Longest: 30 * 24 * time.Hour, Short: 12 * time.Hour, Usual: 8 * time.Hour, Never: true}
	for _, c := range []struct {
		f     passForm
		long  time.Duration
		want  PassAsk
		wrong bool
	}{
		{passForm{Access: "read"}, bounds.Longest, PassAsk{For: 8 * time.Hour}, false},
		{passForm{Access: "read"}, time.Hour, PassAsk{For: time.Hour}, false},
		{passForm{Access: "read", For: "720h"}, bounds.Longest, PassAsk{For: 720 * time.Hour}, false},
		{passForm{Access: "read", For: "1h", Until: "2026-11-22"}, bounds.Longest, PassAsk{Until: day("2026-11-22 23:59:59")}, false},
		{passForm{Access: "read", Until: "2026-12-22"}, bounds.Longest, PassAsk{Until: day("2026-12-22 15:04:00")}, false},
		{passForm{Access: "read", Until: "2026-11-23"}, 12 * time.Hour, PassAsk{Until: day("2026-11-23 03:04:00")}, false},
		{passForm{Access: "read", Until: "2026-11-24"}, 12 * time.Hour, PassAsk{}, true},
		{passForm{Access: "read", For: "never"}, bounds.Longest, PassAsk{Never: true}, false},
	} {
		ask, wrong := s.ask(c.f, bounds, c.long)
		c.want.Limits = api.PassLimits{Access: "read"}
		if (len(wrong) != 0) != c.wrong || !c.wrong && !reflect.DeepEqual(ask, c.want) {
			t.Errorf("%+v: %+v, %v", c.f, ask, wrong)
		}
	}
}

// TestFreshSignIn: a session that was opened a while ago makes short passes only,
// and the page leads to a new sign-in and back.
func TestFreshSignIn(t *testing.T) {
	w := newWorld()
	w.never = true
	s := start(t, w, ownURL, false)
	b := newBrowser(t, s, ownURL, false)
	b.signIn("browser-ada", "")
	w.pass(16 * time.Minute)
	page := text(t, b.get("passes/new"))
	if !strings.Contains(page, `href="/signin?next=%2Fpasses%2Fnew"`) || !strings.Contains(page, `max="2026-11-23"`) || strings.Contains(page, "24 hours</option>") || strings.Contains(page, "without an end") {
		t.Errorf("the form offers what this sign-in cannot give:\n%s", page)
	}
	for name, change := range map[string]url.Values{"a day": {"for": {"24h0m0s"}}, "never": {"for": {"never"}}, "a date": {"until": {"2026-12-01"}}} {
		q := passFields(change)
		q.Set("form", codeFor(t, s, b, "passes/new"))
		if res := b.do("POST", ownURL+"passes/new", q, b.own()); res.StatusCode != 400 {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
	}
	q := passFields(url.Values{"form": {codeFor(t, s, b, "passes/new")}})
	b.do("POST", ownURL+"passes/new", q, b.own())
	b.signIn("browser-ada", "/passes/new")
	q = passFields(url.Values{"form": {codeFor(t, s, b, "passes/new")}, "for": {"never"}})
	b.do("POST", ownURL+"passes/new", q, b.own())
	if got := w.deeds(); !slices.Equal(got, []string{"mint ada browser false", "mint ada browser true"}) || !w.asks[1].Never {
		t.Errorf("done %q", got)
	}
	w.stale = true
	if res := b.do("POST", ownURL+"passes/new", passFields(url.Values{"form": {codeFor(t, s, b, "passes/new")}}), b.own()); res.StatusCode != 503 {
		t.Errorf("while the hub is down: %d", res.StatusCode)
	}
}

// TestPassLikeAnother: a form is filled in only where it can say all that the
// other pass is limited to.
func TestPassLikeAnother(t *testing.T) {
	w := newWorld()
	s := start(t, w, ownURL, false)
	b := newBrowser(t, s, ownURL, false)
	b.signIn("browser-ada", "")
	page := text(t, b.get("passes/new?like="+passID1))
	for _, want := range []string{"tidal-lab/ocean-models\ntidal-lab/buoy-data#104</textarea>", `value="read" checked`, `value="50"`, `<option value="github.com" selected>`, `value="night job"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the form lacks %q", want)
		}
	}
	for id, status := range map[string]int{"p9d4h6j2r8s3w5t7": 400, "b7c2f5g8k4m9n3q6": 400, "nobody0000000000": 404, "h2b8r6yd3f7c9s4p": 200} {
		if res := b.get("passes/new?like=" + id); res.StatusCode != status {
			t.Errorf("like %s: %d, want %d", id, res.StatusCode, status)
		}
	}
	if page := text(t, b.get("passes/p9d4h6j2r8s3w5t7")); strings.Contains(page, "?like=") || !strings.Contains(page, "Only while your server gpu runs.") || !strings.Contains(page, "Not before 2026-11-22 12:20 UTC.") {
		t.Errorf("the page of a pass with a server:\n%s", page)
	}
	if page := text(t, b.get("passes/b7c2f5g8k4m9n3q6")); !strings.Contains(page, "<code>dp:fish=trout</code>") || !strings.Contains(page, "<code>dp:access=write</code>") || !strings.Contains(page, "Without an end.") {
		t.Errorf("the page of a pass with limits that are not known:\n%s", page)
	}
}

// TestReadLimits: what was read and is written again is the same, and what is not
// understood is never lost.
func TestReadLimits(t *testing.T) {
	for _, c := range []struct {
		in   []string
		rest []string
	}{
		{[]string{"expires=1", "dp:access=read", "dp:host=a", "dp:repo=o/r,#7", "dp:uses=3", "dp:address=::/0", "dp:server=@", "dp:source=x", "not_before=5"}, nil},
		{[]string{"dp:access=admin", "dp:uses=x", "dp:uses=-1", "not_before=x", "dp:repo=", "fish", "", `[0,1,2]`, "allowed=upload"}, []string{"dp:access=admin", "dp:uses=x", "dp:uses=-1", "not_before=x", "dp:repo=", "fish", "", `[0,1,2]`, "allowed=upload"}},
		{[]string{"dp:repo=o/r", "dp:repo=o/s"}, []string{"dp:repo=o/s"}},
	} {
		if _, rest := readLimits(c.in); !slices.Equal(rest, c.rest) {
			t.Errorf("%q: left over %q", c.in, rest)
		}
	}
	l, _ := readLimits([]string{"dp:access=admin", "dp:uses=-1"})
	if !reflect.DeepEqual(l, api.PassLimits{}) {
		t.Errorf("%+v", l)
	}
}
