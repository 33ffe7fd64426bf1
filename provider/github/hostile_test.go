package github_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/provider/github"
)

// A tampered host changes what the stand-in is asked and what it answers, on
// the paths that end with suffix.
type tampered struct {
	next   http.Handler
	suffix string
	ask    func(body map[string]any)
	answer func(body map[string]any)
	head   func(http.Header)
}

func (h *tampered) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, h.suffix) {
		h.next.ServeHTTP(w, r)
		return
	}
	if h.ask != nil {
		var body map[string]any
		if json.NewDecoder(r.Body).Decode(&body) == nil {
			h.ask(body)
		}
		text, _ := json.Marshal(body)
		r.Body = io.NopCloser(bytes.NewReader(text))
	}
	rec := httptest.NewRecorder()
	h.next.ServeHTTP(rec, r)
	maps.Copy(w.Header(), rec.Header())
	w.Header().Del("Content-Length")
	if h.head != nil {
		h.head(w.Header())
	}
	var body map[string]any
	if h.answer != nil && json.Unmarshal(rec.Body.Bytes(), &body) == nil {
		h.answer(body)
		w.WriteHeader(rec.Code)
		json.NewEncoder(w).Encode(body)
		return
	}
	w.WriteHeader(rec.Code)
	w.Write(rec.Body.Bytes())
}

// through is a bench whose issuer speaks to the stand-in through h.
func through(t *testing.T, h *tampered) *bench {
	t.Helper()
	return newBench(t, fake.GitHubCom, "github.com", fake.Switches{}, func(c *github.IssuerConfig) { c.Transport = link(c.Transport, h) })
}

// link puts a handler before what answered so far.
func link(inner http.RoundTripper, h *tampered) http.RoundTripper {
	h.next = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := r.Clone(r.Context())
		out.URL.Scheme, out.URL.Host, out.RequestURI = "https", r.Host, ""
		res, err := inner.RoundTrip(out)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer res.Body.Close()
		maps.Copy(w.Header(), res.Header)
		w.WriteHeader(res.StatusCode)
		io.Copy(w, res.Body)
	})
	return fake.Transport(h)
}

func of(body map[string]any, keys ...string) map[string]any {
	for _, k := range keys {
		body, _ = body[k].(map[string]any)
	}
	return body
}

// TestWiderChild: a child that is not what was asked for is never handed out,
// and does not stay alive; the parent does.
func TestWiderChild(t *testing.T) {
	other := ""
	for name, c := range map[string]struct {
		h    tampered
		want error
		code string
	}{
		"one more permission": {tampered{answer: func(b map[string]any) { of(b, "installation", "permissions")["workflows"] = "write" }}, daypass.ErrRefused, "DP-846"},
		"more of one":         {tampered{answer: func(b map[string]any) { of(b, "installation", "permissions")["contents"] = "write" }}, daypass.ErrRefused, "DP-846"},
		"a level that is new": {tampered{answer: func(b map[string]any) { of(b, "installation", "permissions")["contents"] = "admin" }}, daypass.ErrRefused, "DP-846"},
		"less":                {tampered{answer: func(b map[string]any) { delete(of(b, "installation", "permissions"), "contents") }}, daypass.ErrRefused, "DP-846"},
		"no permissions":      {tampered{answer: func(b map[string]any) { delete(of(b, "installation"), "permissions") }}, daypass.ErrRefused, "DP-846"},
		"all repositories":    {tampered{answer: func(b map[string]any) { of(b, "installation")["repository_selection"] = "all" }}, daypass.ErrRefused, "DP-846"},
		"no installation":     {tampered{answer: func(b map[string]any) { delete(b, "installation") }}, daypass.ErrRefused, "DP-846"},
		"another owner":       {tampered{answer: func(b map[string]any) { of(b, "installation", "account")["login"] = "ada" }}, daypass.ErrRefused, "DP-846"},
		"another App":         {tampered{answer: func(b map[string]any) { of(b, "app")["client_id"] = "Iv23liSOMEBODYELSE1" }}, daypass.ErrRefused, "DP-846"},
		"it has ended":        {tampered{answer: func(b map[string]any) { b["expires_at"] = "1999-01-01T00:00:00Z" }}, daypass.ErrUnreachable, "DP-849"},
		"an odd end":          {tampered{answer: func(b map[string]any) { b["expires_at"] = "soon" }}, daypass.ErrUnreachable, "DP-849"},
		"odd permissions":     {tampered{answer: func(b map[string]any) { of(b, "installation", "permissions")["contents"] = 7 }}, daypass.ErrUnreachable, "DP-849"},
		"every repository of the owner": {tampered{
			ask:    func(b map[string]any) { delete(b, "repository_ids") },
			answer: func(b map[string]any) { of(b, "installation")["repository_selection"] = "selected" },
		}, daypass.ErrRefused, "DP-846"},
		"another repository": {tampered{ask: func(b map[string]any) { b["repository_ids"] = []int64{fake.CampusReadRepo} }}, daypass.ErrRefused, "DP-846"},
		"the parent itself":  {tampered{answer: func(b map[string]any) { b["token"] = other }}, daypass.ErrRefused, "DP-846"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.h.suffix = "/token/scoped"
				b := through(t, &c.h)
				g := b.grant(t)
				if name == "the parent itself" { // whose reach alone does not betray it
					access, _, err := b.Issue(fake.CampusPushApp, fake.CampusUser, fake.CampusDataRepo)
					if err != nil {
						t.Fatal(err)
					}
					if err := b.issuer.Revoke(t.Context(), g.Access); err != nil {
						t.Fatal(err)
					}
					g.Access = daypass.NewSecret(access)
				}
				other = g.Access.Reveal()
				child, err := b.issuer.Narrow(t.Context(), g.Access, reading("github.com", dataRepo))
				if !errors.Is(err, c.want) || problem(err) != c.code || !child.Token.IsZero() {
					t.Errorf("%v, with a token: %v", err, !child.Token.IsZero())
				}
				live := b.LiveTokens()
				if name == "the parent itself" { // the stand-in made a child that nobody was told of
					live = slices.DeleteFunc(live, func(i fake.TokenInfo) bool { return i.Scoped })
				}
				if len(live) != 1 || live[0].Scoped {
					t.Errorf("%d tokens are alive, want the parent alone", len(live))
				}
			})
		})
	}
}

// TestUnprovenChild: what cannot be seen whole is not handed out.
func TestUnprovenChild(t *testing.T) {
	for name, c := range map[string]struct {
		h    tampered
		want error
	}{
		"a longer list than is shown":  {tampered{suffix: "/repositories", answer: func(b map[string]any) { b["total_count"] = 2 }}, daypass.ErrUnreachable},
		"no count":                     {tampered{suffix: "/repositories", answer: func(b map[string]any) { delete(b, "total_count") }}, daypass.ErrUnreachable},
		"hidden repositories":          {tampered{suffix: "/repositories", head: func(h http.Header) { h.Set("X-GitHub-SSO", "partial-results; organizations=2") }}, daypass.ErrUnreachable},
		"more installations than seen": {tampered{suffix: "/user/installations", answer: func(b map[string]any) { b["total_count"] = 9 }}, daypass.ErrUnreachable},
		"no installation":              {tampered{suffix: "/user/installations", answer: func(b map[string]any) { b["total_count"], b["installations"] = 0, []any{} }}, daypass.ErrRefused},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := through(t, &c.h)
				g := b.grant(t)
				if _, err := b.issuer.Narrow(t.Context(), g.Access, reading("github.com", dataRepo)); !errors.Is(err, c.want) || errors.Is(err, daypass.ErrSpent) {
					t.Error(err)
				}
				if live := b.LiveTokens(); len(live) != 1 || live[0].Scoped {
					t.Errorf("%d tokens are alive, want the parent alone", len(live))
				}
			})
		})
	}
	// Organisations of the person's that hide are not the child's.
	synctest.Test(t, func(t *testing.T) {
		b := through(t, &tampered{suffix: "/user/installations", head: func(h http.Header) { h.Set("X-GitHub-SSO", "partial-results; organizations=2002") }})
		if _, err := b.issuer.Narrow(t.Context(), b.grant(t).Access, reading("github.com", dataRepo)); err != nil {
			t.Error(err)
		}
	})
}

// TestProofFails: where the child cannot be looked at, it is ended, although it
// may be as asked.
func TestProofFails(t *testing.T) {
	for _, f := range []fake.Fault{{Kind: fake.FaultHTML502}, {Kind: fake.FaultHang}, {Kind: fake.FaultReset}, {Kind: fake.FaultLost}, {Kind: fake.FaultTruncated}} {
		for _, path := range []string{"/user/installations", "/user/installations/" + strconv.FormatInt(fake.CampusPushLabInstall, 10) + "/repositories"} {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, fake.GitHubCom, "github.com", fake.Switches{}, nil)
				g := b.grant(t)
				b.Fault(fake.PathIs(path), f)
				if _, err := b.issuer.Narrow(t.Context(), g.Access, reading("github.com", dataRepo)); !errors.Is(err, daypass.ErrUnreachable) {
					t.Errorf("%s, fault %d: %v", path, f.Kind, err)
				}
				if n := len(b.LiveTokens()); n != 1 {
					t.Errorf("%s, fault %d: %d tokens are alive, want the parent alone", path, f.Kind, n)
				}
			})
		}
	}
}

// TestWiderMachine is TestWiderChild for tokens of the content App.
func TestWiderMachine(t *testing.T) {
	for name, c := range map[string]struct {
		h    tampered
		want string // a code; "" is no error
	}{
		"one more permission": {tampered{answer: func(b map[string]any) { of(b, "permissions")["issues"] = "read" }}, "DP-846"},
		"more of one":         {tampered{answer: func(b map[string]any) { of(b, "permissions")["contents"] = "write" }}, "DP-846"},
		"less":                {tampered{answer: func(b map[string]any) { delete(of(b, "permissions"), "contents") }}, "DP-846"},
		"all repositories":    {tampered{answer: func(b map[string]any) { b["repository_selection"] = "all" }}, "DP-846"},
		"no repository":       {tampered{answer: func(b map[string]any) { b["repositories"] = []any{} }}, "DP-846"},
		"two repositories": {tampered{answer: func(b map[string]any) {
			b["repositories"] = append(b["repositories"].([]any), b["repositories"].([]any)[0])
		}}, "DP-846"},
		"another repository":      {tampered{answer: func(b map[string]any) { b["repositories"].([]any)[0].(map[string]any)["id"] = 1 }}, "DP-846"},
		"the list is left out":    {tampered{answer: func(b map[string]any) { delete(b, "repositories") }}, ""},
		"left out, and too wide":  {tampered{ask: func(b map[string]any) { delete(b, "repository_ids") }, answer: func(b map[string]any) { delete(b, "repositories"); b["repository_selection"] = "selected" }}, "DP-846"},
		"it has ended":            {tampered{answer: func(b map[string]any) { b["expires_at"] = "1999-01-01T00:00:00Z" }}, "DP-849"},
		"an odd end":              {tampered{answer: func(b map[string]any) { b["expires_at"] = 7 }}, "DP-849"},
		"a list that is no list":  {tampered{answer: func(b map[string]any) { b["repositories"] = "all" }}, "DP-849"},
		"permissions of any kind": {tampered{ask: func(b map[string]any) { delete(b, "permissions") }, answer: func(b map[string]any) { delete(b, "permissions") }}, "DP-846"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.h.suffix = "/access_tokens"
				b := through(t, &c.h)
				// A second repository, so that a token for all is for more than one.
				b.Update(func(s *fake.Seed) {
					for n := range s.Installations {
						if s.Installations[n].ID == fake.CampusContentInstall {
							s.Installations[n].Repos = append(s.Installations[n].Repos, fake.CampusSolutionsRepo)
						}
					}
				})
				child, err := b.issuer.IssueAsHub(t.Context(), reading("github.com", homeworkRepo))
				if problem(err) != c.want || (err == nil) == child.Token.IsZero() {
					t.Errorf("%v, with a token: %v", err, !child.Token.IsZero())
				}
				if n := len(b.LiveTokens()); err != nil && n != 0 {
					t.Errorf("%d tokens are alive", n)
				}
			})
		})
	}
}

// answering is an issuer whose host answers all with one handler.
func answering(t *testing.T, h http.HandlerFunc) *github.Issuer {
	t.Helper()
	return newBench(t, fake.GitHubCom, "github.com", fake.Switches{}, func(c *github.IssuerConfig) { c.Transport = fake.Transport(h) }).issuer
}

// TestGrantAnswers: what the token endpoint says, and what it means. Nothing
// but what is known for sure is taken for an outcome.
func TestGrantAnswers(t *testing.T) {
	const token = `"access_token":"ghu_0123456789012345678901234567890123456","token_type":"bearer"`
	for _, c := range []struct {
		name, body string
		status     int
		want       error
		code       string
	}{
		{"spent", `{"error":"bad_refresh_token"}`, 200, daypass.ErrSpent, ""},
		{"spent, as RFC 6749 has it", `{"error":"bad_refresh_token"}`, 400, daypass.ErrSpent, ""},
		{"code", `{"error":"bad_verification_code"}`, 200, daypass.ErrRefused, "DP-841"},
		{"client", `{"error":"incorrect_client_credentials"}`, 200, daypass.ErrRefused, "DP-840"},
		{"client, 401", `{"error":"invalid_client"}`, 401, daypass.ErrRefused, "DP-840"},
		{"e-mail", `{"error":"unverified_user_email"}`, 200, daypass.ErrRefused, "DP-842"},
		{"redirect", `{"error":"redirect_uri_mismatch"}`, 200, daypass.ErrRefused, "DP-843"},
		{"no App", `{"error":"Not Found"}`, 404, daypass.ErrRefused, "DP-843"},
		{"unknown", `{"error":"something_new\u001b[2J"}`, 200, daypass.ErrUnreachable, "DP-849"},
		{"spent, but out of order", `{"error":"bad_refresh_token"}`, 502, daypass.ErrUnreachable, "DP-849"},
		{"nothing", `{}`, 200, daypass.ErrUnreachable, "DP-849"},
		{"null", `null`, 200, daypass.ErrUnreachable, "DP-849"},
		{"empty", ``, 200, daypass.ErrUnreachable, "DP-849"},
		{"a page", `<html>{"error":"bad_refresh_token"}</html>`, 200, daypass.ErrUnreachable, "DP-849"},
		{"a form", `error=bad_refresh_token`, 200, daypass.ErrUnreachable, "DP-849"},
		{"an odd error", `{"error":7}`, 200, daypass.ErrUnreachable, "DP-849"},
		{"a token that is too long", `{"access_token":"ghu_` + strings.Repeat("x", 10_000) + `"}`, 200, daypass.ErrUnreachable, "DP-849"},
		{"a token of two lines", `{"access_token":"ghu_0123456789012345678901234567890123456\r\nX: y"}`, 200, daypass.ErrUnreachable, "DP-849"},
		{"a life of nothing", `{` + token + `,"expires_in":0}`, 200, daypass.ErrUnreachable, "DP-849"},
		{"a life before birth", `{` + token + `,"expires_in":-1}`, 200, daypass.ErrUnreachable, "DP-849"},
		{"a life in words", `{` + token + `,"expires_in":"long"}`, 200, daypass.ErrUnreachable, "DP-849"},
		{"a token with a failure", `{` + token + `}`, 500, daypass.ErrUnreachable, "DP-849"},
		{"a token with 403", `{` + token + `}`, 403, daypass.ErrUnreachable, "DP-849"},
		{"an OAuth App's", `{"access_token":"gho_0123456789012345678901234567890123456","scope":"repo"}`, 200, daypass.ErrRefused, "DP-843"},
		{"slow down", `{"error":"slow_down"}`, 200, daypass.ErrLimited, ""},
		{"too many", `<html>`, 429, daypass.ErrLimited, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			i := answering(t, func(w http.ResponseWriter, r *http.Request) {
				if !strings.HasPrefix(r.URL.Path, "/login/") {
					w.WriteHeader(http.StatusNoContent)
					return
				}
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(c.status)
				io.WriteString(w, c.body)
			})
			for what, ask := range map[string]func() (daypass.Grant, error){
				"refresh":  func() (daypass.Grant, error) { return i.Refresh(t.Context(), daypass.NewSecret("ghr_x")) },
				"exchange": func() (daypass.Grant, error) { return i.Exchange(t.Context(), "code", "verifier", callback) },
			} {
				g, err := ask()
				if !errors.Is(err, c.want) || problem(err) != c.code || !g.Access.IsZero() || strings.ContainsAny(err.Error(), "\x1b\n") {
					t.Errorf("%s, %s: %v", c.name, what, err)
				}
				for _, other := range []error{daypass.ErrSpent, daypass.ErrRefused, daypass.ErrUnreachable, daypass.ErrLimited} {
					if other != c.want && errors.Is(err, other) {
						t.Errorf("%s, %s: it is %v too", c.name, what, other)
					}
				}
			}
		})
	}
}

// TestGrantTimes: ends are counted from our own clock, whatever the host's says.
func TestGrantTimes(t *testing.T) {
	for body, want := range map[string][2]time.Duration{
		`"expires_in":28800,"refresh_token":"ghr_x","refresh_token_expires_in":15811200`:     {8 * time.Hour, 183 * 24 * time.Hour},
		`"expires_in":"28800","refresh_token":"ghr_x","refresh_token_expires_in":"15811200"`: {8 * time.Hour, 183 * 24 * time.Hour},
		`"expires_in":1e30,"refresh_token":"ghr_x"`:                                          {400 * 24 * time.Hour, -1},
		`"scope":""`: {-1, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			i := answering(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Date", "Sat, 01 Jan 2050 00:00:00 GMT")
				io.WriteString(w, `{"access_token":"ghu_any.kind-of_text","token_type":"bearer",`+body+`}`)
			})
			g, err := i.Refresh(t.Context(), daypass.NewSecret("ghr_x"))
			if err != nil {
				t.Fatal(err)
			}
			for n, got := range []time.Time{g.Until, g.Renew} {
				end := time.Now().Add(want[n])
				switch want[n] {
				case -1:
					end = daypass.Forever
				case 0:
					end = time.Time{}
				}
				if !got.Equal(end) {
					t.Errorf("%s: %d ends at %v, want %v", body, n, got, end)
				}
			}
		})
	}
}

// TestStrayTokens: tokens in an answer that cannot be used are ended.
func TestStrayTokens(t *testing.T) {
	for _, odd := range []any{"never", -1} {
		strayTokens(t, odd)
	}
}

func strayTokens(t *testing.T, life any) {
	synctest.Test(t, func(t *testing.T) {
		b := through(t, &tampered{suffix: "/login/oauth/access_token", answer: func(m map[string]any) { m["expires_in"] = life }})
		back, err := b.Authorize(fake.CampusPushApp, fake.CampusUser, callback, "s", "")
		if err != nil {
			t.Fatal(err)
		}
		_, code, _ := strings.Cut(back, "code=")
		code, _, _ = strings.Cut(code, "&")
		if _, err := b.issuer.Exchange(t.Context(), code, "", callback); !errors.Is(err, daypass.ErrUnreachable) {
			t.Error(err)
		}
		if n := len(b.LiveTokens()); n != 0 {
			t.Errorf("%d tokens are alive", n)
		}
	})
}

// TestWaits: how long a host asks to wait.
func TestWaits(t *testing.T) {
	const now, reset = "Mon, 02 Nov 2026 09:00:00 GMT", "1793610600" // 09:10:00
	for _, c := range []struct {
		status  int
		head    map[string]string
		message string
		want    time.Duration // 0: not limited
	}{
		{429, nil, "", time.Minute},
		{429, map[string]string{"Retry-After": "7"}, "", 7 * time.Second},
		{403, map[string]string{"Retry-After": "90"}, "", 90 * time.Second},
		{403, map[string]string{"Retry-After": "Mon, 02 Nov 2026 09:00:30 GMT", "Date": now}, "", 30 * time.Second},
		{403, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset, "Date": now}, "", 10 * time.Minute},
		{403, map[string]string{"X-RateLimit-Remaining": "0"}, "", time.Minute},
		{403, nil, "You have exceeded a secondary rate limit.", time.Minute},
		{403, map[string]string{"Retry-After": "-5"}, "", time.Second},
		{403, map[string]string{"Retry-After": "999999999"}, "", 2 * time.Hour},
		{403, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1", "Date": now}, "", time.Second},
		{403, map[string]string{"X-RateLimit-Remaining": "1"}, "Forbidden", 0},
		{404, map[string]string{"Retry-After": "5"}, "Not Found", 0},
	} {
		i := answering(t, func(w http.ResponseWriter, r *http.Request) {
			for k, v := range c.head {
				w.Header().Set(k, v)
			}
			w.WriteHeader(c.status)
			fmt.Fprintf(w, `{"message":%q}`, c.message)
		})
		_, err := i.Whose(t.Context(), daypass.NewSecret("ghu_x"))
		var l daypass.Limited
		if got := errors.As(err, &l); got != (c.want > 0) || got && l.RetryAfter() != c.want {
			t.Errorf("%+v: %v", c, err)
		}
		if errors.Is(err, daypass.ErrSpent) {
			t.Errorf("%+v: taken for a dead token", c)
		}
	}
}

// TestChildNotTaken: a host that does not take its own new token says nothing
// of the parent.
func TestChildNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, fake.GitHubCom, "github.com", fake.Switches{}, nil)
		b.Fault(fake.PathIs("/user/installations"), fake.Fault{Kind: fake.FaultStatus, Status: http.StatusUnauthorized, Body: `{"message":"Bad credentials"}`})
		_, err := b.issuer.Narrow(t.Context(), b.grant(t).Access, reading("github.com", dataRepo))
		if !errors.Is(err, daypass.ErrUnreachable) || errors.Is(err, daypass.ErrSpent) {
			t.Error(err)
		}
		if n := len(b.LiveTokens()); n != 1 {
			t.Errorf("%d tokens are alive, want the parent alone", n)
		}
	})
}

// TestOddScopes: what cannot be narrowed to is not even asked for.
func TestOddScopes(t *testing.T) {
	b := newBench(t, fake.GitHubCom, "github.com", fake.Switches{}, nil)
	g := b.grant(t)
	for _, r := range []daypass.Repo{{}, {ID: 7}, {Owner: "river-lab", Name: "data"}, {Owner: "river-lab", Name: "data", ID: -1}, {Owner: "..", Name: "..", ID: 7}} {
		if _, err := b.issuer.Narrow(t.Context(), g.Access, reading("github.com", r)); problem(err) != "DP-848" {
			t.Errorf("%+v: %v", r, err)
		}
		if _, err := b.issuer.IssueAsHub(t.Context(), reading("github.com", r)); problem(err) != "DP-848" {
			t.Errorf("as the hub, %+v: %v", r, err)
		}
	}
	if _, err := b.issuer.Narrow(t.Context(), daypass.NewSecret("gho_0123456789012345678901234567890123456"), reading("github.com", dataRepo)); problem(err) != "DP-843" {
		t.Errorf("an OAuth App's token: %v", err)
	}
	if n := len(b.Requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// TestWrongSecretNotFound: a host that answers a wrong secret with "not found"
// does not make a token seem dead while another secret is right.
func TestWrongSecretNotFound(t *testing.T) {
	b := newBench(t, fake.GitHubCom, "github.com", fake.Switches{}, func(c *github.IssuerConfig) {
		c.Push.ClientSecrets = []daypass.Secret{daypass.NewSecret("old"), c.Push.ClientSecrets[0]}
	})
	b.FailNth(1, nil, fake.Fault{Kind: fake.FaultStatus, Status: http.StatusNotFound, Body: `{"message":"Not Found"}`})
	if live, err := b.issuer.Live(t.Context(), b.grant(t).Access); err != nil || !live {
		t.Errorf("alive: %v, %v", live, err)
	}
}
