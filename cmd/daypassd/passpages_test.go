package main

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/daypass-dev/daypass/fake"
)

// TestPassesInTheBrowser makes a pass on the page, with a real hub: a job uses it
// for what the summary said and nothing else, the page shows what it did, and the
// click that ends it ends what was narrowed from it, too.
func TestPassesInTheBrowser(t *testing.T) {
	s := newSite(t, siteConfig{})
	s.hub.CreateUser(t, "researcher")
	s.hub.StartServer(t, "researcher", "")
	p := s.browser()
	p.logIn("researcher")
	p.do("connect", chromedp.Navigate(s.url+"connect/"+s.host()))
	p.consent(fake.CampusUser)
	p.sees("Connected")

	p.do("open the passes", chromedp.Navigate(s.url+"passes"))
	p.sees("You have none.")
	p.press("Make a pass")
	p.do("fill in", chromedp.WaitVisible("#repos"), chromedp.SendKeys("#label", "night job"), chromedp.SendKeys("#repos", "river-lab/data"))
	p.press("See what it would allow")
	p.sees("Read river-lab/data.")
	p.sees("For 8 hours, from when it is made.")
	p.press("Make this pass")
	p.sees("It is shown this once")
	text := p.field("#pass-text")
	if !strings.HasPrefix(text, "daypass_") {
		t.Fatal("the page holds no pass")
	}
	j := s.job("night", text)
	j.must("git clone -q $URL/river-lab/data.git work && cd work && git log -1 >/dev/null")
	if out, err := j.run("cd work; git -c user.name=j -c user.email=j@example.org commit -q --allow-empty -m night; git push"); err == nil {
		t.Errorf("a pass that reads has pushed:\n%s", out)
	}
	_, less := s.passes(j.must(`umask 077; printf %s "$DAYPASS_TOKEN" >all.pass; daypass pass narrow --file all.pass --expires 1h --output less.pass
for f in all less; do echo "pass $(cat $f.pass)"; rm $f.pass; done`))
	narrowed := s.job("narrowed", less)
	narrowed.must("git clone -q $URL/river-lab/data.git work")

	p.do("narrow it", chromedp.SendKeys("#narrow-repos", "river-lab/other"))
	p.press("Make the narrower one")
	p.sees("No narrower pass was made")
	p.sees("for none of these repositories")
	if p.field("#pass-text") != text {
		t.Error("after a mistake the page shows another pass")
	}
	p.do("as it should be", chromedp.Clear("#narrow-repos"), chromedp.SetValue("#narrow-for", "1h0m0s"))
	p.press("Make the narrower one")
	p.sees("ends with that one at the latest")
	p.sees("Read river-lab/data.")
	onPage := p.field("#pass-text")
	if !strings.HasPrefix(onPage, "daypass_") || onPage == text {
		t.Fatal("the page holds no narrower pass")
	}
	byPage := s.job("by-page", onPage)
	byPage.must("git clone -q $URL/river-lab/data.git work")

	p.press("To your passes")
	p.sees("night job")
	p.press("night job")
	p.sees("What was done with it, and to it")
	p.sees("Pass made")
	p.sees("river-lab/data")
	p.sees("shown as")
	if strings.Contains(p.text(), text[len(text)-20:]) {
		t.Error("the pass is shown again")
	}
	if out := s.must("researcher", "", "daypass pass list"); !strings.Contains(out, "night job") {
		t.Errorf("their own server lists:\n%s", out)
	}
	p.press("End it, and all narrowed from it")
	p.sees("The pass has ended")
	for name, j := range map[string]*job{"the pass": j, "one that the page narrowed": byPage, "one that was narrowed": narrowed} {
		if out, err := j.run("rm -rf run/* \"$HOME\"/run/*; git clone -q $URL/river-lab/data.git again"); err == nil || !strings.Contains(out, "DP-160") {
			t.Errorf("%s after the end: %v\n%s", name, err, out)
		}
	}
	s.keptNowhere(text, narrowed.pass, onPage)
}
