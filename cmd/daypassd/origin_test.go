package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/daypass-dev/daypass/fake"
)

// TestSharedOrigin: the service is on the hub's own origin, behind its proxy,
// where a neighbour's pages are too. Consent and push work; a hostile page of the
// real hub, open in the browser of somebody who is signed in, gets at nothing, and
// there are no pages about others.
func TestSharedOrigin(t *testing.T) {
	s := newSite(t, siteConfig{Shared: true})
	if !strings.HasPrefix(s.url, s.hub.Public+"services/") {
		t.Fatalf("the service is at %s, and the hub at %s", s.url, s.hub.Public)
	}
	if log := s.serve.text(); !strings.Contains(log, "mode=shared") && !strings.Contains(log, "shared origin") {
		t.Errorf("the service does not say that its origin is shared:\n%s", log)
	}
	for _, user := range []string{"admin", "mallory"} {
		s.hub.CreateUser(t, user)
		s.hub.StartServer(t, user, "")
	}
	if out, err := s.in("admin", "", "git clone $URL/river-lab/data.git early"); err == nil || !strings.Contains(out, s.url+"connect/"+s.host()) {
		t.Fatalf("a clone before the consent: %v\n%s", err, out)
	}
	p := s.browser()
	p.logIn("admin")
	p.do("follow the link", chromedp.Navigate(s.url+"connect/"+s.host()))
	p.consent(fake.CampusUser)
	p.sees("Connected")
	const push = "git clone -q $URL/river-lab/data.git work && cd work && date +%s.%N > a && git add a && git commit -qm a && git push -q"
	s.must("admin", "", push)

	page := filepath.Join(s.hub.Dir, "home", "mallory", "page.html")
	if err := os.WriteFile(page, []byte("<!doctype html><title>mallory</title><body>notebook</body>"), 0o600); err != nil {
		t.Fatal(err)
	}
	lab := s.hub.Public + "user/mallory/lab"
	s.neighbourReads(p, lab)
	s.neighbourSends(p, lab)

	// The victim is an admin of the service, and still sees nobody here.
	for _, path := range []string{"people", "people/1", "health"} {
		p.do("open "+path, chromedp.Navigate(s.url+path))
		p.sees("DP-882")
	}
	// All of it has changed nothing.
	s.must("admin", "", "cd work; date +%s.%N > b; git add b; git commit -qm b; git push -q")
	p.do("open the page", chromedp.Navigate(s.url))
	p.sees("Connected")
	p.press("Disconnect")
	p.sees("is disconnected")
	s.noToken("admin")
}

// neighbourReads tries to see the pages from a page at the same origin.
func (s *site) neighbourReads(p *person, lab string) {
	s.t.Helper()
	tries := map[string]string{
		"fetch":        `fetch(%q, {credentials: "include"}).then(async r => r.status + " " + await r.text()).catch(e => "none " + e)`,
		"fetch a post": `fetch(%q, {method: "POST", credentials: "include", body: new URLSearchParams({form: "x"})}).then(async r => r.status + " " + await r.text()).catch(e => "none " + e)`,
		"iframe": `new Promise(done => { const f = document.createElement("iframe"); f.src = %q; f.onload = () => { let t = "none"; try { t = f.contentDocument.body.innerText } catch (e) { t = "none " + e }; f.remove(); done(t) };
			document.body.append(f); setTimeout(() => done("none: no load"), 5000) })`,
		"popup": `new Promise(done => { const w = window.open(%q); if (!w) { done("none: no window"); return }; let n = 0; const look = () => { let t = ""; try { if (w.document.URL !== "about:blank") t = w.document.body.innerText } catch (e) { t = "none " + e }
			if (t || ++n > 40) { w.close(); done(t || "none: closed " + w.closed) } else setTimeout(look, 50) }; look() })`,
	}
	for _, path := range []string{"", "activity", "connect/" + s.host(), "sharing", "people", "health", "api/v1/me", "events"} {
		p.do("open the neighbour's page", chromedp.Navigate(lab))
		for name, try := range tries {
			got := p.script(fmt.Sprintf(try, s.url+path))
			refused := slices.ContainsFunc([]string{"none", "401", "403", "404", "405"}, func(no string) bool { return strings.HasPrefix(got, no) })
			if !refused && strings.TrimSpace(got) != "" && !strings.Contains(got, "DP-8") || strings.Contains(got, fake.CampusUser) || strings.Contains(got, "river-lab") {
				s.t.Errorf("%s of /%s gets %.300q", name, path, got)
			}
		}
	}
	// These tries can succeed: of the neighbour's own page they do.
	for _, name := range []string{"fetch", "iframe", "popup"} {
		if got := p.script(fmt.Sprintf(tries[name], lab)); !strings.Contains(got, "notebook") {
			s.t.Errorf("%s of its own page gets %.300q", name, got)
		}
	}
}

// neighbourSends tries to press the victim's buttons.
func (s *site) neighbourSends(p *person, lab string) {
	s.t.Helper()
	for _, path := range []string{"disconnect/" + s.host(), "connect/" + s.host(), "approve", "sharing", "signout", "people/1/cut-off"} {
		p.do("open the neighbour's page", chromedp.Navigate(lab))
		p.script(fmt.Sprintf(`(() => { const f = document.createElement("form"); f.method = "post"; f.action = %q;
			f.innerHTML = '<input name=form value=x>'; document.body.append(f); f.submit(); return "" })()`, s.url+path))
		p.sees("That did not work")
	}
	if n := len(s.world.Local.LiveTokens()); n == 0 {
		s.t.Error("the connection was ended")
	}
}

// script runs in the page as if a person had pressed something, and returns what
// it promises.
func (p *person) script(text string) string {
	p.s.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 15*time.Second)
	defer cancel()
	yes := true
	out, err := chromedp.Run(ctx, chromedp.Evaluate[string](text, chromedp.EvalAwaitPromise, func(e *runtime.EvaluateParams) { e.UserGesture = &yes }))
	if err != nil {
		p.s.t.Fatalf("%.200s: %v\n%s", text, err, p.text())
	}
	return out
}
