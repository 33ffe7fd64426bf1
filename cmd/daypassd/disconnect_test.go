package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/api"
	"github.com/daypass-dev/daypass/fake"
)

// TestDisconnectByToken: a person's own server may end the connection ("daypass
// logout --disconnect"). A token that somebody made, and a server that others
// enter, are sent to the page.
func TestDisconnectByToken(t *testing.T) {
	o := newOffice(t, "")
	hub := fake.NewHub(fake.HubConfig{
		ServerScopes: []string{"access:services!service=daypass"},
		Services: []fake.HubService{
			{Name: "daypass", Token: officeToken, Scopes: []string{"list:users", "read:users", "read:servers", "read:shares"}},
			{Name: "rig", Token: "the-rig", Scopes: []string{"admin"}},
		},
	})
	ts := httptest.NewServer(hub)
	defer ts.Close()
	o.edit("api: ", "api: "+ts.URL+"/hub/api #")
	own, open := hub.StartServer("jo", ""), hub.StartServer("jo", "open")
	hub.ShareServer("jo", "open", "guest")
	var made struct{ Token string }
	req, _ := http.NewRequest("POST", ts.URL+"/hub/api/users/jo/tokens", strings.NewReader("{}"))
	req.Header.Set("Authorization", "token the-rig")
	res, err := http.DefaultClient.Do(req)
	if err != nil || json.NewDecoder(res.Body).Decode(&made) != nil || made.Token == "" {
		t.Fatal(res, err)
	}
	res.Body.Close()
	defer o.serve()()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if res, err := http.Get(o.url + "readyz"); err == nil && res.Body.Close() == nil && res.StatusCode == 200 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the service does not start")
		}
	}
	for token, want := range map[string]string{own: "DP-816", open: "DP-826", made.Token: "DP-826"} {
		req, _ := http.NewRequest("DELETE", o.url+strings.TrimPrefix(api.PathConnection, "/")+url.PathEscape(o.host()), nil)
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var body api.ErrorBody
		if err := json.NewDecoder(res.Body).Decode(&body); err != nil || body.Error.Code != want {
			t.Errorf("%d %+v, want %s (%v)", res.StatusCode, body, want, err)
		}
		res.Body.Close()
		if want == "DP-826" && (res.StatusCode != 403 || body.Error.Link != o.url+"#disconnect-"+o.host()) {
			t.Errorf("%d, with the link %q", res.StatusCode, body.Error.Link)
		}
	}
}
