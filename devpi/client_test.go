package devpi_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/devpi"
)

const (
	password = "canary-password-1"
	session  = "canary-session-2"
)

// server answers as devpi-server with devpi-tokens does, in the shapes that
// were seen on the real ones.
func server(t *testing.T, asked *[]string) *httptest.Server {
	t.Helper()
	var s *httptest.Server
	s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if asked != nil {
			*asked = append(*asked, r.Method+" "+r.URL.Path+" "+string(body))
		}
		if r.Header.Get("Accept") != "application/json" {
			http.Error(w, "<html>", 500)
			return
		}
		raw, _ := base64.StdEncoding.DecodeString(r.Header.Get("X-Devpi-Auth"))
		known := string(raw) == "alice:"+session
		w.Header().Set("Content-Type", "application/json")
		switch r.Method + " " + r.URL.Path {
		case "GET /alice/dev/+api":
			status := `["noauth", "", []]`
			if known {
				status = `["ok", "alice", []]`
			}
			fmt.Fprintf(w, `{"type": "apiconfig", "result": {"login": "%s/+login", "index": "%s/alice/dev", "simpleindex": "/alice/dev/+simple/", "features": ["a"], "authstatus": %s}}`, s.URL, s.URL, status)
		case "POST /+login":
			var in map[string]string
			_ = json.Unmarshal(body, &in)
			if in["user"] != "alice" || in["password"] != password {
				w.WriteHeader(401)
				fmt.Fprint(w, `{"message": "user 'alice' could not be authenticated"}`)
				return
			}
			fmt.Fprintf(w, `{"type": "proxyauth", "result": {"password": %q, "expiration": 36000}}`, session)
		case "POST /alice/+token-create":
			if !known {
				w.WriteHeader(403)
				fmt.Fprint(w, `{"message": "Access was denied to this resource.\n\n\nUnauthorized: user_token_create failed permission check\n\n", "code": "403 Forbidden"}`)
				return
			}
			fmt.Fprint(w, `{"type": "token-info", "result": {"token": "devpi-XYZ"}}`)
		case "GET /alice/+tokens":
			fmt.Fprint(w, `{"type": "tokens-info", "result": {"tokens": {"b2": {"restrictions": ["expires=9"]}, "a1": {}}}}`)
		case "DELETE /alice/+tokens/a1":
			fmt.Fprint(w, `{"message": "token a1 deleted"}`)
		case "POST /+daypass/end":
			if string(raw) != "alice:devpi-XYZ" {
				w.WriteHeader(403)
				return
			}
			fmt.Fprint(w, `{"type": "token-ended", "result": {"event": "K3QF-7"}}`)
		case "DELETE /alice/+tokens/zz":
			w.WriteHeader(404)
			fmt.Fprint(w, `{"message": "No token with id zz"}`)
		default:
			w.WriteHeader(404)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func client(t *testing.T, url string) *devpi.Client {
	t.Helper()
	c, err := devpi.New(devpi.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestClient(t *testing.T) {
	var asked []string
	s := server(t, &asked)
	c := client(t, s.URL+"/alice/dev/+simple/")
	api, err := c.API(t.Context(), devpi.Auth{})
	if err != nil || api.Status != "noauth" || api.Root != s.URL+"/" || api.SimpleIndex != s.URL+"/alice/dev/+simple/" {
		t.Fatalf("%+v, %v", api, err)
	}
	_, err = c.LogIn(t.Context(), api, "alice", daypass.NewSecret("wrong"))
	if !errors.Is(err, daypass.ErrNoLogin) || !strings.Contains(err.Error(), "could not be authenticated") {
		t.Errorf("a wrong password: %v", err)
	}
	auth, err := c.LogIn(t.Context(), api, "alice", daypass.NewSecret(password))
	if err != nil {
		t.Fatal(err)
	}
	if api, err = c.API(t.Context(), auth); err != nil || api.User != "alice" {
		t.Errorf("who: %+v, %v", api, err)
	}
	token, err := c.CreateToken(t.Context(), api, auth, "alice", devpi.Ask{Allowed: []string{"upload"}, Projects: []string{}, Expires: time.Unix(1900000000, 0)})
	if err != nil || token.Reveal() != "devpi-XYZ" {
		t.Errorf("token: %v", err)
	}
	if got := asked[len(asked)-1]; got != `POST /alice/+token-create {"allowed":["upload"],"expires":1900000000,"projects":[]}` {
		t.Errorf("asked %s", got)
	}
	_, err = c.CreateToken(t.Context(), api, devpi.Auth{User: "alice", Password: token}, "alice", devpi.Ask{Expires: daypass.Forever})
	const words = "403 Forbidden: Access was denied to this resource. Unauthorized: user_token_create failed permission check"
	if !errors.Is(err, daypass.ErrRefused) || !strings.Contains(err.Error(), words) {
		t.Errorf("a token that asks for one: %v", err)
	}
	if got := asked[len(asked)-1]; got != `POST /alice/+token-create {"expires":"never"}` {
		t.Errorf("asked %s", got)
	}
	list, err := c.Tokens(t.Context(), api, auth, "alice")
	if err != nil || len(list) != 2 || list[0].ID != "a1" || list[1].Restrictions[0] != "expires=9" {
		t.Errorf("%v, %v", list, err)
	}
	if said, err := c.DeleteToken(t.Context(), api, auth, "alice", "a1"); err != nil || said != "token a1 deleted" {
		t.Errorf("%q, %v", said, err)
	}
	if _, err := c.DeleteToken(t.Context(), api, auth, "alice", "zz"); !devpi.IsStatus(err, 404) || !strings.Contains(err.Error(), "No token with id zz") {
		t.Errorf("%v", err)
	}
	if event, err := c.EndShown(t.Context(), api, devpi.Auth{User: "alice", Password: token}); err != nil || event != "K3QF-7" {
		t.Errorf("%q, %v", event, err)
	}
	if _, err := c.EndShown(t.Context(), api, auth); !devpi.IsStatus(err, 403) {
		t.Errorf("%v", err)
	}
	for _, id := range []string{"../..", "a/b", "", "..", "a?b"} {
		if _, err := c.DeleteToken(t.Context(), api, auth, "alice", id); err == nil {
			t.Errorf("the id %q was sent", id)
		}
	}
	for _, user := range []string{"", "..", "a/b", "a b", "+tokens"} {
		if _, err := c.Tokens(t.Context(), api, auth, user); !errors.Is(err, daypass.ErrUsage) {
			t.Errorf("the user %q: %v", user, err)
		}
	}
}

func TestAddresses(t *testing.T) {
	for _, url := range []string{
		"", "ftp://h/a/b", "https://u:p@h/a/b", "https://h/a/b?x=1", "https://h/a/b#x", "https://h./a/b", "https://h/a/../b", "https://h/a%2fb",
		"https://h//a/b", "https://H_x/a", "http://pypi.example/alice/dev", "http://127.0.0.1.example/a/b", "https://h/a b", "h/a/b",
	} {
		if c, err := devpi.New(devpi.Config{URL: url}); err == nil {
			t.Errorf("%q was taken as %s", url, c.URL())
		}
	}
	for url, want := range map[string]string{
		"https://pypi.example/alice/dev": "https://pypi.example/alice/dev/", "https://pypi.example": "https://pypi.example/",
		"https://pypi.example/x/alice/dev/+simple/": "https://pypi.example/x/alice/dev/", "http://localhost:3141/alice/dev/": "http://localhost:3141/alice/dev/",
	} {
		c, err := devpi.New(devpi.Config{URL: url})
		if err != nil || c.URL() != want {
			t.Errorf("%q: %v, %v", url, c, err)
		}
	}
	if _, err := devpi.New(devpi.Config{URL: "http://pypi.example/a/b", PlainHTTP: []string{"http://pypi.example"}}); err != nil {
		t.Errorf("what the admin lists: %v", err)
	}
}

// TestStrangers: a server that wants the password elsewhere gets nothing, and
// what it says reaches no message unasked.
func TestStrangers(t *testing.T) {
	heard := 0
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { heard++ }))
	defer other.Close()
	for name, answer := range map[string]string{
		"another login":  `{"type": "apiconfig", "result": {"login": "` + other.URL + `/+login", "authstatus": ["noauth", "", []]}}`,
		"no login":       `{"type": "apiconfig", "result": {"authstatus": ["noauth", "", []]}}`,
		"login below":    `{"type": "apiconfig", "result": {"login": "/bob/+login", "authstatus": ["noauth", "", []]}}`,
		"another type":   `{"type": "indexconfig", "result": {}}`,
		"no JSON":        `<html>`,
		"a list":         `[]`,
		"another scheme": `{"type": "apiconfig", "result": {"login": "ftp://x/+login"}}`,
		"very long":      strings.Repeat(" ", 5<<20),
		"a redirect":     "",
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if answer == "" {
				http.Redirect(w, r, other.URL+r.URL.Path, http.StatusTemporaryRedirect)
				return
			}
			fmt.Fprint(w, answer)
		}))
		api, err := client(t, s.URL+"/alice/dev").API(t.Context(), devpi.Auth{User: "alice", Password: daypass.NewSecret(password)})
		if err == nil {
			t.Errorf("%s was taken: %+v", name, api)
		} else if strings.Contains(err.Error(), password) {
			t.Errorf("%s: the password shows", name)
		}
		s.Close()
	}
	if heard > 0 {
		t.Errorf("%d requests arrived at another host", heard)
	}
	if _, err := client(t, other.URL).API(t.Context(), devpi.Auth{}); err == nil {
		t.Error("an empty answer was taken")
	}
	other.Close()
	if _, err := client(t, other.URL).API(t.Context(), devpi.Auth{}); !errors.Is(err, daypass.ErrUnreachable) {
		t.Errorf("nobody there: %v", err)
	}
}

// TestAdvice: what to do next fits why the server refused, and is said once.
func TestAdvice(t *testing.T) {
	const show, password, codes = "daypass pass show", "takes your password", "[DP-"
	for _, c := range []struct {
		status        int
		message, code string
		says, omits   []string
	}{
		{403, "Access was denied to this resource.\n\n\nUnauthorized: user_token_create failed permission check\n\n", "DP-134", []string{password, "--restrict-modify"}, []string{"shorter"}},
		{403, "Unauthorized: upload failed permission check", "DP-134", []string{show}, []string{password, "--restrict-modify"}},
		{403, "Exception during token verification: InvalidMacaroon: Token expired at 10", "DP-134", []string{show}, []string{password, "shorter"}},
		{403, "Not allowed to set expiration to more than one year", "DP-134", []string{"--expires", "a year at most"}, []string{password, show}},
		{403, "Not allowed to create token with no expiration", "DP-134", []string{"--expires", "a year at most", "index's admins"}, []string{password, show}},
		{403, "", "DP-134", []string{show}, nil},
		{403, "This pass is not accepted: it was not made here. Have a new one made. [DP-985]", "DP-134", []string{"Have a new one made. [DP-985]"}, []string{show, password, "index's admins"}},
		{503, "devpi-server cannot be reached: nothing was changed. Try again in a moment. [DP-993]", "DP-132", []string{"[DP-993]"}, []string{"in a minute", "index's admins"}},
		{503, "", "DP-132", []string{"Try again in a minute."}, nil},
		{404, "No token with id zz", "DP-134", []string{"No token with id zz. Check the name"}, []string{"above", show}},
		{400, "Unknown restriction 'x'.", "DP-134", []string{"'x'. Correct"}, []string{"above", ".."}},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			_ = json.NewEncoder(w).Encode(map[string]string{"message": c.message})
		}))
		_, err := client(t, s.URL).API(t.Context(), devpi.Auth{})
		s.Close()
		if err == nil || !devpi.IsStatus(err, c.status) || !strings.HasSuffix(err.Error(), " ["+c.code+"]") || strings.Count(err.Error(), codes) != 1+strings.Count(c.message, codes) {
			t.Errorf("%d %q: %v", c.status, c.message, err)
			continue
		}
		for _, words := range c.says {
			if !strings.Contains(err.Error(), words) {
				t.Errorf("%d %q does not say %q: %v", c.status, c.message, words, err)
			}
		}
		for _, words := range c.omits {
			if strings.Contains(err.Error(), words) {
				t.Errorf("%d %q says %q: %v", c.status, c.message, words, err)
			}
		}
	}
}
