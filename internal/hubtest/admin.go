package hubtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"
)

// An Admin runs a hub by its REST API.
type Admin struct {
	API   string // such as "http://127.0.0.1:8081/hub/api"
	Token string
}

// Do sends one request as the admin and returns status and body.
func (a Admin) Do(method, path string, body any) (int, []byte, error) {
	return a.As(a.Token, method, path, body)
}

// As sends one request with another token.
func (a Admin) As(token, method, path string, body any) (int, []byte, error) {
	var in io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		in = bytes.NewReader(text)
	}
	req, err := http.NewRequest(method, a.API+path, in)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "token "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	out, err := io.ReadAll(res.Body)
	return res.StatusCode, out, err
}

func (a Admin) must(t testing.TB, method, path string, body any) []byte {
	t.Helper()
	status, out, err := a.Do(method, path, body)
	if err != nil || status >= 300 {
		t.Fatalf("%s %s: %d, %v\n%s", method, path, status, err, out)
	}
	return out
}

func userPath(name string) string { return "/users/" + url.PathEscape(name) }

func serverPath(user, name string) string {
	if name == "" {
		return userPath(user) + "/server"
	}
	return userPath(user) + "/servers/" + url.PathEscape(name)
}

// CreateUser makes somebody.
func (a Admin) CreateUser(t testing.TB, name string) {
	t.Helper()
	a.must(t, http.MethodPost, userPath(name), nil)
}

// RenameUser gives somebody another name.
func (a Admin) RenameUser(t testing.TB, from, to string) {
	t.Helper()
	a.must(t, http.MethodPatch, userPath(from), map[string]string{"name": to})
}

// DeleteUser ends somebody's account.
func (a Admin) DeleteUser(t testing.TB, name string) {
	t.Helper()
	a.must(t, http.MethodDelete, userPath(name), nil)
}

// AddToGroup puts somebody into a group, and makes it first where it is new.
func (a Admin) AddToGroup(t testing.TB, group, user string) {
	t.Helper()
	path := "/groups/" + url.PathEscape(group)
	if status, out, err := a.Do(http.MethodPost, path, map[string]any{}); err != nil || status >= 300 && status != http.StatusConflict {
		t.Fatalf("%s: %d, %v\n%s", path, status, err, out)
	}
	a.must(t, http.MethodPost, path+"/users", map[string]any{"users": []string{user}})
}

// Token makes a token for somebody; no scopes means all that they may.
func (a Admin) UserToken(t testing.TB, user string, scopes ...string) string {
	t.Helper()
	body := map[string]any{"note": "for a test"}
	if len(scopes) > 0 {
		body["scopes"] = scopes
	}
	var reply struct{ Token string }
	out := a.must(t, http.MethodPost, userPath(user)+"/tokens", body)
	if err := json.Unmarshal(out, &reply); err != nil || reply.Token == "" {
		t.Fatalf("%v\n%s", err, out)
	}
	return reply.Token
}

// StartServer starts a server and waits until it is ready; "" is the default one.
func (a Admin) StartServer(t testing.TB, user, name string) {
	t.Helper()
	a.must(t, http.MethodPost, serverPath(user, name), map[string]any{})
	wait(t, 30*time.Second, fmt.Sprintf("the server %q of %s is ready", name, user), func() bool { return a.ready(t, user, name) })
}

// StopServer stops a server and waits until the hub says that it has.
func (a Admin) StopServer(t testing.TB, user, name string) {
	t.Helper()
	a.must(t, http.MethodDelete, serverPath(user, name), nil)
	wait(t, 30*time.Second, fmt.Sprintf("the server %q of %s has stopped", name, user), func() bool {
		_, there := a.servers(t, user)[name]
		return !there
	})
}

func (a Admin) ready(t testing.TB, user, name string) bool { return a.servers(t, user)[name] }

// Servers lists somebody's servers that run, in order.
func (a Admin) Servers(t testing.TB, user string) []string {
	t.Helper()
	return slices.Sorted(maps.Keys(a.servers(t, user)))
}

// servers are those that run, start or stop, and whether they are ready.
func (a Admin) servers(t testing.TB, user string) map[string]bool {
	t.Helper()
	var m struct {
		Servers map[string]struct{ Ready bool }
	}
	if err := json.Unmarshal(a.must(t, http.MethodGet, userPath(user), nil), &m); err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for name, s := range m.Servers {
		out[name] = s.Ready
	}
	return out
}
