package main

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/daypass-dev/daypass/fake"
)

// TestWriteClick: where the admins ask for a click, a server pushes only after its
// person gave it, on the page that git names.
func TestWriteClick(t *testing.T) {
	s := newSite(t, siteConfig{YAML: "limits: {write_click: 12h}"})
	s.hub.CreateUser(t, "researcher")
	s.hub.StartServer(t, "researcher", "")
	p := s.browser()
	p.logIn("researcher")
	p.do("connect", chromedp.Navigate(s.url+"connect/"+s.host()))
	p.consent(fake.CampusUser)
	p.sees("Connected")
	if out, err := s.in("researcher", "", "git clone -q $URL/river-lab/data.git work"); err == nil || !strings.Contains(out, "[DP-850]") {
		t.Fatalf("before the click: %v\n%s", err, out)
	}
	p.do("open the page", chromedp.Navigate(s.url))
	p.sees("wants to write")
	p.press("Allow it to write")
	p.sees("Push again")
	s.must("researcher", "", "git clone -q $URL/river-lab/data.git work && cd work && echo a > a && git add a && git commit -qm a && git push -q")
	p.do("open the page", chromedp.Navigate(s.url))
	p.sees("Connections")
	if strings.Contains(p.text(), "wants to write") {
		t.Error("the page asks for a click that was given")
	}
}
