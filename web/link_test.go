package web

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/daypass-dev/daypass/internal/browsertest"
)

// TestLinkPage is doc/link.html in a browser: what it makes of its parameters and
// fields, that it asks nobody anything, and that everybody can use it.
func TestLinkPage(t *testing.T) {
	var asked atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/link.html" {
			if r.URL.Path != "/favicon.ico" { // a browser's own wish
				asked.Add(1)
			}
			http.NotFound(w, r)
			return
		}
		http.ServeFile(w, r, "../doc/link.html")
	}))
	t.Cleanup(srv.Close)
	ctx := browsertest.Open(t)
	const hub, repo = "https://hub.example.edu", "https://github.com/org/course"
	made := func(q url.Values) (link, custom, wrong string) {
		t.Helper()
		browsertest.Do(ctx, t, chromedp.Navigate(srv.URL+"/link.html?"+q.Encode()), chromedp.WaitVisible(chromedp.CSS("#link")))
		get := func(id string) string {
			return browsertest.Script[string](ctx, t, fmt.Sprintf("document.getElementById(%q).textContent", id))
		}
		return get("link"), get("custom"), get("wrong")
	}
	values := func(list ...string) url.Values {
		q := url.Values{"hub": {hub}, "repo": {repo}}
		for i := 0; i < len(list); i += 2 {
			q.Set(list[i], list[i+1])
		}
		return q
	}
	pull := hub + "/hub/user-redirect/git-pull?repo=https%3A%2F%2Fgithub.com%2Forg%2Fcourse"
	for name, c := range map[string]struct {
		q    url.Values
		want string
	}{
		"plain":           {values(), pull + "&urlpath=lab%2Ftree%2Fcourse"},
		"a file":          {values("filepath", "labs/a b&c.ipynb", "branch", "dev/x"), pull + "&urlpath=lab%2Ftree%2Fcourse%2Flabs%2Fa%2520b%2526c.ipynb&branch=dev%2Fx"},
		"classic":         {values("app", "notebook", "filepath", "a.ipynb"), pull + "&urlpath=tree%2Fcourse%2Fa.ipynb"},
		"rstudio":         {values("app", "rstudio"), pull + "&urlpath=rstudio%2F"},
		"shiny":           {values("app", "shiny", "filepath", "app"), pull + "&urlpath=shiny%2Fcourse%2Fapp%2F"},
		"vscode":          {values("app", "vscode"), pull + "&urlpath=vscode%2F%3Ffolder%3D%252Fhome%252Fjovyan%252Fcourse"},
		"urlpath":         {values("urlpath", "proxy/8888/"), pull + "&urlpath=proxy%2F8888%2F"},
		"a target":        {values("targetpath", "fall/lab1", "filepath", "a.ipynb"), pull + "&urlpath=lab%2Ftree%2Ffall%2Flab1%2Fa.ipynb&targetPath=fall%2Flab1"},
		".git":            {values("repo", repo+".git"), pull + ".git&urlpath=lab%2Ftree%2Fcourse&targetPath=course"},
		"a server":        {values("server", "gpu 1"), hub + "/hub/user-redirect/gpu%201/git-pull?repo=https%3A%2F%2Fgithub.com%2Forg%2Fcourse&urlpath=lab%2Ftree%2Fcourse"},
		"a hub's path":    {values("hub", hub+"/jupyter/hub/"), hub + "/jupyter/hub/user-redirect/git-pull?repo=https%3A%2F%2Fgithub.com%2Forg%2Fcourse&urlpath=lab%2Ftree%2Fcourse"},
		"canvas":          {values("tab", "canvas", "app", "rstudio"), hub + "/hub/lti/launch?next=%2Fhub%2Fuser-redirect%2Fgit-pull%3Frepo%3Dhttps%253A%252F%252Fgithub.com%252Forg%252Fcourse%26urlpath%3Drstudio%252F"},
		"binder":          {values("tab", "binder", "repo", repo+".git", "filepath", "a.ipynb"), "https://mybinder.org/v2/gh/org/course/HEAD?urlpath=lab%2Ftree%2Fa.ipynb"},
		"binder, content": {values("tab", "binder", "repo", "https://github.com/org/env", "content-repo", repo+".git", "branch", "v1"), "https://mybinder.org/v2/gh/org/env/v1?urlpath=git-pull%3Frepo%3Dhttps%253A%252F%252Fgithub.com%252Forg%252Fcourse.git%26urlpath%3Dlab%252Ftree%252Fcourse%26targetPath%3Dcourse"},
		"nothing":         {url.Values{}, ""},
	} {
		if link, _, wrong := made(c.q); link != c.want || wrong != "" {
			t.Errorf("%s: %s\nwant %s (%s)", name, link, c.want, wrong)
		}
	}
	if _, custom, _ := made(values("tab", "canvas", "hub", hub+"/jupyter")); custom != "next=/jupyter/hub/user-redirect/git-pull?repo=https%3A%2F%2Fgithub.com%2Forg%2Fcourse&urlpath=lab%2Ftree%2Fcourse" {
		t.Errorf("the custom parameter: %s", custom)
	}
	for _, evil := range []url.Values{
		values("hub", "javascript:alert(1)"), values("hub", "https://u:p@hub.example.edu"), values("repo", "javascript:alert(1)"), values("repo", "https://TOKEN@github.com/o/r"), values("repo", "--upload-pack=x"),
		values("urlpath", "//evil.example"), values("urlpath", "https://evil.example"), values("urlpath", `a\b`), values("urlpath", "../x"), values("targetpath", "../x"), values("targetpath", "/etc"), values("filepath", "a/../../x"),
		values("tab", "binder", "repo", "https://gitlab.com/o/r"),
	} {
		if link, _, wrong := made(evil); link != "" || wrong == "" {
			t.Errorf("%v: %q %q", evil, link, wrong)
		}
	}
	made(values("repo", `https://github.com/o/<img src=x onerror="document.title='bad'">`, "tab", `"]`))
	if title := browsertest.Get(ctx, t, chromedp.Title()); title == "bad" {
		t.Error("what was filled in is not text")
	}
	axe := browsertest.Axe(t)
	for _, dark := range []bool{false, true} {
		for _, width := range []int64{1280, 360} {
			browsertest.Do(ctx, t, browsertest.Look(width, dark))
			made(values("tab", "canvas"))
			if browsertest.Script[bool](ctx, t, `document.documentElement.scrollWidth > window.innerWidth`) {
				t.Errorf("it is wider than %d", width)
			}
			browsertest.Judge(ctx, t, fmt.Sprintf("link-%d-%v", width, dark), axe)
		}
	}
	// Typed, and not from the address.
	made(url.Values{})
	browsertest.Do(ctx, t, chromedp.SendKeys(chromedp.CSS("#hub"), hub), chromedp.SendKeys(chromedp.CSS("#repo"), repo))
	if got := browsertest.Script[string](ctx, t, `document.getElementById("link").textContent`); got != pull+"&urlpath=lab%2Ftree%2Fcourse" {
		t.Errorf("typed: %s", got)
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("it asked for %d things", n)
	}
}
