package server

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestPagesShow(t *testing.T) {
	w := newWorld()
	s := start(t, w, ownURL, false)
	b := newBrowser(t, s, ownURL, false)
	if res := b.signIn("browser-ada", "/activity"); res.StatusCode != 303 || res.Header.Get("Location") != "/activity" {
		t.Fatalf("sign-in: %d to %q: %s", res.StatusCode, res.Header.Get("Location"), text(t, res))
	}
	for page, want := range map[string]string{
		"": "Connected", "activity": "K3QF-1042", "connect/github.com": "Go to GitHub", "sharing": "ocean-101", "people": "bobby-t",
		"people/1": "A sentence to paste", "health": "has not answered", "app/github.com": "only select repositories",
	} {
		res := b.get(page)
		body := text(t, res)
		if res.StatusCode != 200 || !strings.Contains(strings.ToLower(body), strings.ToLower(want)) {
			t.Errorf("%q: status %d, without %q:\n%s", page, res.StatusCode, want, body)
		}
		if strings.Contains(body, "ZgotmplZ") {
			t.Errorf("%q: a value was in a place where it is not safe", page)
		}
	}
	_ = url.Values{}
	_ = http.StatusOK
}
