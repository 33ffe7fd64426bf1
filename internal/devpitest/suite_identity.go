package devpitest

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// identityCases are about who a token makes of whoever shows it.
func identityCases() []tokenCase {
	return []tokenCase{
		{"bearer", func(t *testing.T, r *tokenRig) {
			for name, who := range map[string]Auth{"none": nil, "empty": Header("Authorization", ""), "no token": Header("Authorization", "Bearer")} {
				if got := r.identity(t, who); got != "noauth" {
					t.Errorf("%s: %s", name, got)
				}
			}
			r.is(t, Bearer(r.token(t, nil)))
		}},
		{"basic", func(t *testing.T, r *tokenRig) {
			token := r.token(t, nil)
			r.is(t, Basic("", token))
			r.is(t, Basic(token, ""))
		}},
		{"wrong tokens and names", caseWrong},
		{"no log-in with a token as password", loginRefused("")},
		{"no log-in as another with a token as password", loginRefused("foo")},
		{"delete", func(t *testing.T, r *tokenRig) {
			_, id := r.id(t, r.token(t, nil))
			reply := r.Send(t, http.MethodDelete, r.name+"/+tokens/"+id, r.who, nil)
			if reply.Status != http.StatusOK || reply.Message() != "token "+id+" deleted" {
				t.Errorf("%d %s", reply.Status, reply.Body)
			}
		}},
		{"a token changes no user and makes no token", func(t *testing.T, r *tokenRig) {
			token := Bearer(r.token(t, nil))
			for who, auth := range map[string]Auth{"nobody": nil, "a token": token} {
				if reply := r.Send(t, http.MethodPost, r.name+"/+token-create", auth, nil); reply.Status != http.StatusForbidden {
					t.Errorf("%s makes a token: %d %s", who, reply.Status, reply.Body)
				}
			}
			if reply := r.Send(t, http.MethodDelete, r.name, token, nil); reply.Status != http.StatusForbidden {
				t.Errorf("a token deletes its user: %d %s", reply.Status, reply.Body)
			}
			r.is(t, token)
		}},
		{"ends that are refused", caseEnds},
		{"a derived token that has expired", func(t *testing.T, r *tokenRig) {
			r.denied(t, Bearer(Narrow(t, r.token(t, nil), "expires=10")), "Token expired at 10")
		}},
		{"root makes one without end", func(t *testing.T, r *tokenRig) {
			token := r.Token(t, r.AsRoot(), r.name, map[string]any{"expires": "never"})
			if user, _ := r.id(t, token); user != r.name {
				t.Errorf("a token of %q", user)
			}
			contains(t, strings.Join(Caveats(t, token), "\n"), "expires=never")
			r.is(t, Bearer(token))
		}},
		{"begins that are refused", func(t *testing.T, r *tokenRig) {
			r.refuses(t, http.StatusBadRequest, map[string]any{"not_before": "invalid"}, "Invalid value 'invalid' for not before")
			at := time.Now().Unix() + 100
			if got := number(t, r.token(t, map[string]any{"not_before": at}), "not_before"); got != at {
				t.Errorf("%d, want %d", got, at)
			}
		}},
		{"a derived token that does not count yet", func(t *testing.T, r *tokenRig) {
			at := time.Now().Unix() + 100
			r.denied(t, Bearer(Narrow(t, r.token(t, nil), fmt.Sprint("not_before=", at))), fmt.Sprint("Token not valid before ", at))
		}},
	}
}

// api asks who somebody is, at the index.
func (r *tokenRig) api(t *testing.T, who Auth) Reply {
	t.Helper()
	return r.Send(t, http.MethodGet, r.name+"/dev/+api", who, nil)
}

// identity is "ok NAME GROUPS" or "noauth".
func (r *tokenRig) identity(t *testing.T, who Auth) string {
	t.Helper()
	var api struct{ Authstatus []any }
	r.api(t, who).Result(t, &api)
	if len(api.Authstatus) != 3 {
		t.Fatal(api)
	}
	if api.Authstatus[0] != "ok" {
		return fmt.Sprint(api.Authstatus[0])
	}
	return fmt.Sprint(api.Authstatus...)
}

// is fails unless somebody is the rig's user, in no group.
func (r *tokenRig) is(t *testing.T, who Auth) {
	t.Helper()
	if got := r.identity(t, who); got != fmt.Sprint("ok", r.name, []any{}) {
		t.Errorf("it is %s", got)
	}
}

// denied fails unless a token is refused for this reason wherever somebody looks at it.
func (r *tokenRig) denied(t *testing.T, who Auth, reason string) {
	t.Helper()
	r.refused(t, r.api(t, who), reason)
}

// refused fails unless a reply is a refusal of a token for this reason.
func (r *tokenRig) refused(t *testing.T, reply Reply, reason string) {
	t.Helper()
	if r.Kind == Plugin && strings.HasPrefix(reason, "Token ") && !strings.HasPrefix(reason, "Token doesn't") {
		reason = "InvalidMacaroon: " + reason
	}
	if reply.Status != http.StatusForbidden || !strings.Contains(reply.Message(), reason) {
		t.Errorf("%d %s, want 403 and %q", reply.Status, reply.Body, reason)
	}
}

// refuses fails unless a token with these fields is refused in these words.
func (r *tokenRig) refuses(t *testing.T, status int, fields map[string]any, message string) {
	t.Helper()
	reply := r.Send(t, http.MethodPost, r.name+"/+token-create", r.who, fields)
	if reply.Status != status || reply.Message() != message {
		t.Errorf("%v: %d %s, want %d and %q", fields, reply.Status, reply.Body, status, message)
	}
}

func caseWrong(t *testing.T, r *tokenRig) {
	token := r.token(t, nil)
	r.is(t, Bearer(token))
	r.is(t, Bearer(strings.TrimPrefix(token, "devpi-")))
	r.is(t, Basic(r.name, token))
	r.refused(t, r.api(t, Basic("bar", token)), "Token doesn't match user name")
	if got := r.identity(t, Basic("bar", "foo")); got != "noauth" {
		t.Errorf("a wrong password makes %s", got)
	}

	// Another key, a token that is gone, and a user who has none any more.
	gone := map[string]Reply{"forged": r.api(t, Bearer(Forge(t, token, []byte("another key"), Caveats(t, token)...)))}
	_, id := r.id(t, token)
	r.Must(t, http.MethodDelete, r.name+"/+tokens/"+id, r.who, nil)
	gone["deleted"] = r.api(t, Bearer(token))
	narrowed := Narrow(t, token, "indexes="+r.name+"/dev")
	gone["narrowed after that"] = r.api(t, Bearer(narrowed))
	r.Must(t, http.MethodDelete, r.name, r.who, nil)
	gone["of a user who is gone"] = r.Send(t, http.MethodGet, "+api", Bearer(token), nil)
	for name, reply := range gone {
		if reply.Status != http.StatusForbidden {
			t.Errorf("%s: %d %s", name, reply.Status, reply.Body)
		}
		if r.Kind == Strict && reply.Message() != gone["forged"].Message() {
			t.Errorf("%s: %q tells more than %q", name, reply.Message(), gone["forged"].Message())
		}
	}
}

func loginRefused(suffix string) func(*testing.T, *tokenRig) {
	return func(t *testing.T, r *tokenRig) {
		token := r.token(t, nil)
		for _, text := range []string{token, strings.TrimPrefix(token, "devpi-")} {
			reply := r.Send(t, http.MethodPost, "+login", nil, map[string]string{"user": r.name + suffix, "password": text})
			if want := "user '" + r.name + suffix + "' could not be authenticated"; reply.Status != http.StatusUnauthorized || reply.Message() != want {
				t.Errorf("%d %s, want 401 and %q", reply.Status, reply.Body, want)
			}
		}
		// Nor does a token that is shown beside it help.
		req, err := http.NewRequest(http.MethodPost, r.URL+"+login", strings.NewReader(`{"user": "`+r.name+suffix+`", "password": "x"}`))
		if err != nil {
			t.Fatal(err)
		}
		basic := base64.StdEncoding.EncodeToString([]byte(r.name + ":" + token))
		if reply := r.Do(t, req, Header("Authorization", "Basic "+basic)); reply.Status < 400 || strings.Contains(string(reply.Body), "proxyauth") {
			t.Errorf("%d %s", reply.Status, reply.Body)
		}
	}
}

func caseEnds(t *testing.T, r *tokenRig) {
	const year = 366*24*60*60 + 10
	r.refuses(t, http.StatusBadRequest, map[string]any{"expires": "invalid"}, "Invalid value 'invalid' for expiration")
	r.refuses(t, http.StatusBadRequest, map[string]any{"expires": 10}, "Can't set expiration before current time")
	// The request may take a while.
	r.refuses(t, http.StatusForbidden, map[string]any{"expires": time.Now().Unix() + year + 100}, "Not allowed to set expiration to more than one year")
	r.refuses(t, http.StatusForbidden, map[string]any{"expires": "never"}, "Not allowed to create token with no expiration")
	at := time.Now().Unix() + 100
	if token := r.token(t, map[string]any{"expires": at}); number(t, token, "expires") != at || len(names(t, token)) != 1 {
		t.Errorf("%q", Caveats(t, token))
	}
}
