package main

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/daypass-dev/daypass/api/apitest"
	"github.com/daypass-dev/daypass/fake"
)

// roundTrip is a transport that is a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestClientsAndDescription: what git's helper and the commands in a server ask,
// and what the service answers them, is as the API's description says. A proxy
// between them judges each exchange.
func TestClientsAndDescription(t *testing.T) {
	check, err := apitest.New()
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, siteConfig{})
	to, err := url.Parse("http://" + s.listen)
	if err != nil {
		t.Fatal(err)
	}
	between := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
		Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			return check.RoundTrip(http.DefaultTransport, r, func(err error) { t.Error(err) })
		}),
	})
	t.Cleanup(between.Close)
	// The image, and the server's environment, name the proxy as the service.
	image := filepath.Join(s.dir, "image", "daypass", "config.yaml")
	text, err := os.ReadFile(image)
	if err != nil || !strings.Contains(string(text), s.url) {
		t.Fatalf("the image's configuration: %v %s", err, text)
	}
	if err := os.WriteFile(image, []byte(strings.Replace(string(text), s.url, between.URL+"/", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	s.hub.CreateUser(t, "jo")
	s.hub.StartServer(t, "jo", "")

	in := func(script string) (string, error) {
		return s.in("jo", "", "export DAYPASS_URL="+between.URL+"/; "+script)
	}
	must := func(script string) {
		t.Helper()
		if out, err := in(script); err != nil {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
	}
	if out, err := in("git clone $URL/river-lab/data.git early"); err == nil || !strings.Contains(out, "/connect/") {
		t.Fatalf("a clone before the consent: %v\n%s", err, out)
	}
	p := s.browser()
	p.logIn("jo")
	p.do("connect", chromedp.Navigate(s.url+"connect/"+s.host()))
	p.consent(fake.CampusUser)
	p.sees("Connected")
	must(`git clone -q $URL/river-lab/data.git work && cd work && echo x > x && git add x && git -c user.name=J -c user.email=j@example.org commit -qm x && git push -q`)
	if out, err := in("git clone $URL/nobody/nothing.git"); err == nil {
		t.Errorf("a repository that is not there was cloned: %s", out)
	}
	must("daypass status")
	must("daypass repos " + s.host())
	must("daypass run --host " + s.host() + " --repo river-lab/data -- true")
	must("daypass logout --disconnect " + s.host())
	for operation, status := range map[string]int{"credential": 200, "me": 200, "repos": 200, "disconnect": 200} {
		if check.Seen(operation)[status] == 0 {
			t.Errorf("no %s was answered with %d: %v", operation, status, check.Seen(operation))
		}
	}
	for _, status := range []int{403, 409} {
		if check.Seen("credential")[status] == 0 {
			t.Errorf("no credential was answered with %d: %v", status, check.Seen("credential"))
		}
	}
}
