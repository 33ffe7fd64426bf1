package pullpage

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/browsertest"
	"github.com/daypass-dev/daypass/pull"
)

// comesTo waits until a front end was asked for, and the browser shows what it answered:
// what is opened before that may end with the page that was left.
func (st *site) comesTo(ctx context.Context, t *testing.T, path string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if slices.Contains(st.visited(), path) {
			here, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.pathname + " " + document.readyState`))
			if err == nil && here == path+" complete" {
				return
			}
		}
		if time.Now().After(end) {
			t.Fatalf("the browser never came to %s but to %q; it shows %s", path, st.visited(), browsertest.Script[string](ctx, t, `location.href + "\n" + document.body.innerText`))
		}
	}
}

// TestALinkInChromium: a question once, then nothing but the link; what was kept
// is said, and the way back leads to it and not to another pull.
func TestALinkInChromium(t *testing.T) {
	ctx := chromium(t)
	st := openSite(t, nil)
	complaints := browsertest.Complaints(ctx)
	const lab = "/user/ada/lab/tree/lab-3/index.ipynb"
	browsertest.Do(ctx, t, browsertest.Look(1280, false), chromedp.Navigate(st.base+"?"+lab3))
	shows(ctx, t, "Continue?")
	time.Sleep(300 * time.Millisecond)
	if len(st.pulled()) != 0 {
		t.Fatal("it began without an answer")
	}
	browsertest.Do(ctx, t, settled, chromedp.Click(chromedp.CSS("#yes")))
	st.comesTo(ctx, t, lab)
	st.does(func(_ context.Context, r Request, told func(pull.Event)) (pull.Report, error) {
		told(pull.Event{Phase: pull.Merging})
		return updated(r.Folder), nil
	})
	browsertest.Do(ctx, t, browsertest.Follow(st.base+"?"+lab3))
	shows(ctx, t, "We kept your answers in 2 cells")
	if n := len(st.visited()); n != 1 {
		t.Errorf("left before it said what was kept: %q", st.visited())
	}
	for end := time.Now().Add(20 * time.Second); len(st.visited()) < 2 && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
	}
	if got := st.visited(); len(got) != 2 || got[1] != lab {
		t.Fatalf("it does not land by itself: %q", got)
	}
	browsertest.Script[int](ctx, t, `setTimeout(() => history.back(), 0); 0`)
	shows(ctx, t, "What changed")
	time.Sleep(8 * time.Second)
	if len(st.visited()) != 2 || len(st.pulled()) != 2 {
		t.Errorf("the way back led on: %q, %d pulls", st.visited(), len(st.pulled()))
	}
	for _, c := range complaints() {
		t.Errorf("the browser says: %s", c)
	}
}

// TestTabs: a tab that is closed and opened again, and a second one, follow the
// pull that runs; pressing twice begins one.
func TestTabs(t *testing.T) {
	ctx := chromium(t)
	st := openSite(t, nil)
	end := st.half()
	address := st.base + "?" + labQuery
	browsertest.Do(ctx, t, browsertest.Follow(address))
	shows(ctx, t, "12 of 40 files")
	browsertest.Do(ctx, t, chromedp.Navigate("about:blank"), browsertest.Follow(address))
	shows(ctx, t, "12 of 40 files")
	other, cancel := chromedp.NewContext(ctx)
	defer cancel()
	browsertest.Do(other, t, browsertest.Follow(address))
	shows(other, t, "12 of 40 files")
	if now := browsertest.Script[string](ctx, t, `document.querySelector("[role=progressbar]").getAttribute("aria-valuetext") + "|" + document.querySelector("[role=progressbar]").value`); now != "33 %, Fetching files from github.com, 12 of 40 files · 3.1 MB of 8.0 MB|33" {
		t.Errorf("the bar says %q", now)
	}
	end()
	st.comesTo(ctx, t, "/user/ada/lab/tree/lab-3/lab-3.ipynb")
	if n := len(st.pulled()); n != 1 {
		t.Errorf("%d pulls", n)
	}
	fresh := openSite(t, nil)
	browsertest.Do(ctx, t, chromedp.Navigate(fresh.base+"?"+lab3))
	shows(ctx, t, "Continue?")
	browsertest.Script[int](ctx, t, `document.getElementById("yes").click(); document.getElementById("yes").click(); document.getElementById("begin").requestSubmit(); 0`)
	fresh.comesTo(ctx, t, "/user/ada/lab/tree/lab-3/index.ipynb")
	if n := len(fresh.pulled()); n != 1 {
		t.Errorf("pressed twice: %d pulls", n)
	}
}

// TestWithoutScript: every step is a form or a link.
func TestWithoutScriptInChromium(t *testing.T) {
	ctx := chromium(t)
	st := openSite(t, nil)
	browsertest.Do(ctx, t, withoutScript(true), chromedp.Navigate(st.base+"?"+lab3), chromedp.Click(chromedp.CSS("#yes")), chromedp.WaitVisible(chromedp.CSS("#go")), chromedp.Click(chromedp.CSS("#go")))
	st.comesTo(ctx, t, "/user/ada/lab/tree/lab-3/index.ipynb")
	browsertest.Do(ctx, t, chromedp.Navigate(st.base+"?"+lab3), chromedp.Click(chromedp.CSS("#yes")), chromedp.WaitVisible(chromedp.CSS("#go")))
	if n := len(st.pulled()); n != 2 {
		t.Errorf("%d pulls", n)
	}
	st.updates()
	folder := filepath.Join(st.root, "lab-3")
	if err := st.s.book.keep(folder, Entry{At: st.now, Report: updated(folder)}); err != nil {
		t.Fatal(err)
	}
	browsertest.Do(ctx, t, chromedp.Navigate(st.base+"file?folder=lab-3&file=helpers.py"), chromedp.Click(chromedp.CSS("summary")), chromedp.Click(chromedp.CSS("#reset")), chromedp.WaitVisible(chromedp.Search(`//h1[contains(., "Updates of")]`)),
		chromedp.Click(chromedp.Search(`//summary[contains(., "Take the last update back")]`)), chromedp.Click(chromedp.CSS("#undo")), chromedp.WaitVisible(chromedp.Search(`//h1[contains(., "Updates of")]`)))
	for end := time.Now().Add(15 * time.Second); len(st.done()) < 2 && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		continue // the page before has the same heading
	}
	if got := st.done(); !slices.Equal(got, []string{"reset lab-3 helpers.py", "undo lab-3"}) {
		t.Errorf("did %q", got)
	}
}

// TestOtherPagesInChromium: a page of another origin can lead to a link's page,
// and can do nothing more: it starts no pull where a question is due, reads
// nothing, sends no form that counts, and shows no more of us than a link.
func TestOtherPagesInChromium(t *testing.T) {
	ctx := chromium(t)
	st := openSite(t, nil)
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, `<!doctype html><title>evil</title><iframe id=f src="%s"></iframe><img src="%s"><script src="%s"></script>
<form id=p method=post action="%sbegin" target=_blank><input name=link value="%s"><input name=token value=x></form>`, html.EscapeString(st.base+"?"+lab3), html.EscapeString(st.base+"?"+lab3), html.EscapeString(st.base+"?"+lab3), st.base, html.EscapeString(lab3))
	}))
	t.Cleanup(evil.Close)
	browsertest.Do(ctx, t, chromedp.Navigate(strings.Replace(evil.URL, "127.0.0.1", "localhost", 1)))
	got := browsertest.Script[string](ctx, t, `(async () => {
  const out = [];
  for (const [what, url, init] of [["page", "`+st.base+`?`+lab3+`", {credentials: "include"}], ["begin", "`+st.base+`begin", {method: "POST", mode: "no-cors", body: new URLSearchParams({link: "x", token: "x"})}], ["undo", "`+st.base+`undo", {method: "POST", mode: "no-cors", body: new URLSearchParams({folder: "lab-3", token: "x"})}]]) {
    try { const r = await fetch(url, init); out.push(what + ":" + r.type); } catch (e) { out.push(what + ":failed"); }
  }
  document.getElementById("p").submit();
  return out.join(" ");
})()`)
	if got != "page:failed begin:failed undo:failed" {
		t.Errorf("the other page got %q", got)
	}
	time.Sleep(time.Second)
	if len(st.pulled()) != 0 || len(st.done()) != 0 {
		t.Errorf("pulled %v did %q", st.pulled(), st.done())
	}
	framed := browsertest.Get(ctx, t, chromedp.Evaluate[bool](`document.getElementById("f").contentDocument === null`))
	if !framed {
		t.Error("the other page reads the frame")
	}
}

// hostileNames are names of files, repositories, branches, and contents, that want
// to be more than text.
var hostileNames = []string{
	`<script>window.owned=1</script>`, `"><script>window.owned=2</script>`, `'><img src=x onerror=window.owned=3>`, `<img src=x onerror=window.owned=4>.ipynb`, `<svg onload=window.owned=5>`,
	`</pre><script>window.owned=6</script><pre>`, `</textarea><script>window.owned=7</script>`, `</title><script>window.owned=8</script>`, `</td></tr></table><img src=x onerror=window.owned=9>`, `<iframe srcdoc="<script>parent.owned=10</script>">`,
	`javascript:window.owned=11`, `" onmouseover="window.owned=12" x="`, `' onfocus='window.owned=13' autofocus='`, `{{.Token}}`, `${window.owned=14}`,
	`<!--`, `]]><script>window.owned=15</script>`, `<style>body{display:none}</style>`, `<base href="https://evil.example/">`, `<meta http-equiv="refresh" content="0;url=https://evil.example/">`,
	`<form action="https://evil.example/"><button>Continue</button></form>`, `<a href="https://evil.example/">Open lab-3.ipynb</a>`, "line\nbreak\ttab", "back\x08\x08\x08space", "\x1b[31mred", "rtl\u202egnp.exe", "zero\u200bwidth\u2066iso\u2069", "&lt;script&gt;", "&#60;script&#62;window.owned=16", `%3Cscript%3Ewindow.owned=17%3C/script%3E`,
	`<details open ontoggle=window.owned=18>`, `<math><mi xlink:href="javascript:window.owned=19">x`, `\u003cscript\u003ewindow.owned=20\u003c/script\u003e`, strings.Repeat("a", 250), `<link rel=stylesheet href=https://evil.example/x.css>`,
}

// TestHostileNamesInChromium: on every page that shows them nothing runs, nothing
// of theirs becomes an element, nothing is asked of another host.
func TestHostileNamesInChromium(t *testing.T) {
	ctx := chromium(t)
	st := openSite(t, nil)
	complaints := browsertest.Complaints(ctx)
	var changes []pull.Change
	folder := filepath.Join(st.root, "lab-3")
	files := map[string]string{}
	for i, n := range hostileNames {
		name := strings.ReplaceAll(n, "/", "∕")
		whats := []pull.What{pull.Kept, pull.Merged, pull.Aside, pull.LeftOut, pull.Came}
		changes = append(changes, pull.Change{Path: name, From: name, What: whats[i%len(whats)], Kind: "text", Why: n, Kept: i % 2})
		files[name] = strings.Join(hostileNames, "\n")
		st.upstream[name] = n + "\n" + strings.Join(hostileNames[:i], "\n")
		st.backups = append(st.backups, pull.Backup{ID: n, At: st.now, Files: []pull.BackupFile{{Path: name}}})
	}
	notebook := `{"cells":[`
	for i, n := range hostileNames {
		if i > 0 {
			notebook += ","
		}
		notebook += fmt.Sprintf(`{"cell_type":"markdown","source":[%q],"outputs":[{"data":{"text/html":"<script>window.owned=40</script>"}}]}`, strings.Map(func(r rune) rune {
			if r < ' ' {
				return ' '
			}
			return r
		}, n))
	}
	notebook += `]}`
	changes = append(changes, pull.Change{Path: "a.ipynb", What: pull.Merged, Kind: "notebook"})
	files["a.ipynb"], st.upstream["a.ipynb"] = notebook, `{"cells":[{"cell_type":"markdown","source":"<script>window.owned=41</script>"}]}`
	report := pull.Report{Folder: folder, Source: "https://github.com/org/lab-3", New: commitB, Undo: "x", Changes: changes, Notes: hostileNames, Aside: folder + hostileNames[0]}
	st.states[folder] = pull.State{Source: "https://github.com/org/lab-3", Commit: commitB, At: st.now, Last: report}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	elements := map[string]bool{}
	judge := func(what string) {
		t.Helper()
		found := browsertest.Script[string](ctx, t, `(() => { const bad = [];
  if (window.owned !== undefined) bad.push("ran " + window.owned);
  for (const e of document.querySelectorAll("iframe,base,style,math,img,object,embed,meta[http-equiv],[onerror],[onload],[onmouseover],[onfocus],[ontoggle],[style]")) bad.push(e.outerHTML.slice(0, 80));
  for (const e of document.querySelectorAll("script,link")) if (!e.nonce && e.rel !== "icon") bad.push(e.outerHTML.slice(0, 80));
  for (const e of document.querySelectorAll("[href],[src],[action]")) { const u = new URL(e.getAttribute("href") || e.getAttribute("src") || e.getAttribute("action"), location.href); if (u.origin !== location.origin) bad.push("leads to " + u); }
  if (/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\u200b-\u200f]/.test(document.body.innerText)) bad.push("unseen characters");
  return bad.join(" | "); })()`)
		if found != "" {
			t.Errorf("%s: %s", what, found)
		}
		elements[what] = true
	}
	q := func(s string) string { return url.QueryEscape(s) }
	for i, n := range hostileNames {
		browsertest.Do(ctx, t, chromedp.Navigate(st.base+"?repo="+q("https://github.com/o/"+n)+"&branch="+q("b"+n)+"&targetpath="+q(n)+"&urlpath="+q("lab/tree/"+n)))
		judge(fmt.Sprintf("link %d", i))
		browsertest.Do(ctx, t, chromedp.Navigate(st.base+"?repo="+q(n)))
		judge(fmt.Sprintf("repository %d", i))
		if c := changes[i]; both(c) {
			browsertest.Do(ctx, t, chromedp.Navigate(st.base+"file?folder=lab-3&file="+q(c.Path)))
			if !strings.Contains(browsertest.Script[string](ctx, t, `document.querySelector("h1").innerText`), "both versions") {
				t.Errorf("%q is not shown: %s", c.Path, browsertest.Script[string](ctx, t, `document.body.innerText.slice(0, 300)`))
			}
			judge(fmt.Sprintf("file %d", i))
		}
	}
	browsertest.Do(ctx, t, chromedp.Navigate(st.base+"file?folder=lab-3&file=a.ipynb"))
	judge("notebook")
	browsertest.Do(ctx, t, chromedp.Navigate(st.base+"report?folder=lab-3"))
	judge("report")
	st.does(func(context.Context, Request, func(pull.Event)) (pull.Report, error) { return report, nil })
	browsertest.Do(ctx, t, browsertest.Follow(st.base+"?"+labQuery))
	shows(ctx, t, "What changed")
	browsertest.Do(ctx, t, chromedp.Click(chromedp.CSS("#stay")))
	judge("done")
	st.does(func(context.Context, Request, func(pull.Event)) (pull.Report, error) {
		all := strings.Join(hostileNames, " ")
		return pull.Report{}, &daypass.Problem{Code: "DP-399", What: all, Why: all, Next: all, Who: all}
	})
	browsertest.Do(ctx, t, browsertest.Follow(st.base+"?"+labQuery))
	shows(ctx, t, "That did not work")
	judge("failed")
	for _, c := range complaints() {
		if !strings.Contains(c, "400 (Bad Request)") && !strings.Contains(c, "403 (Forbidden)") && !strings.Contains(c, "404 (Not Found)") {
			t.Errorf("the browser says: %s", c)
		}
	}
}

const focused = `(() => { const e = document.activeElement; if (!e || e === document.body) return "";
  const s = getComputedStyle(e); const seen = s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2;
  return (seen ? "" : "UNSEEN ") + (e.id || e.innerText || e.name).replace(/\s+/g, " ").trim(); })()`

// reach presses Tab until the element with that id or text has the focus.
func reach(ctx context.Context, t *testing.T, text string, keys ...string) {
	t.Helper()
	var seen []string
	for range 60 {
		browsertest.Do(ctx, t, chromedp.KeyEvent(kb.Tab))
		at := browsertest.Script[string](ctx, t, focused)
		if strings.HasPrefix(at, "UNSEEN") {
			t.Errorf("the focus cannot be seen on %q", at)
		}
		if at == text {
			for _, k := range keys {
				browsertest.Do(ctx, t, chromedp.KeyEvent(k))
			}
			return
		}
		seen = append(seen, at)
	}
	t.Fatalf("the keyboard does not reach %q: %q", text, seen)
}

// TestKeyboardInChromium: from the paste of an address to an undo without a mouse.
func TestKeyboardInChromium(t *testing.T) {
	ctx := chromium(t)
	st := openSite(t, nil)
	browsertest.Do(ctx, t, browsertest.Look(1280, false), chromedp.Navigate(st.base))
	reach(ctx, t, "Skip to the content")
	reach(ctx, t, "repo", "https://github.com/org/lab-3")
	reach(ctx, t, "look", kb.Enter)
	shows(ctx, t, "Continue?")
	reach(ctx, t, "yes", kb.Enter)
	st.comesTo(ctx, t, "/user/ada/tree/lab-3")
	st.updates()
	browsertest.Do(ctx, t, browsertest.Follow(st.base+"?"+labQuery))
	shows(ctx, t, "It opens by itself in a few seconds")
	reach(ctx, t, "stay", kb.Enter)
	shows(ctx, t, "It stays here until you open it")
	reach(ctx, t, "see both versions of helpers.py", kb.Enter)
	shows(ctx, t, "statistics.fmean")
	reach(ctx, t, "Take the instructor’s version of this file", kb.Enter)
	reach(ctx, t, "reset", kb.Enter)
	shows(ctx, t, "Updates of lab-3")
	reach(ctx, t, "Take the last update back", kb.Enter)
	reach(ctx, t, "undo", kb.Enter)
	for end := time.Now().Add(20 * time.Second); len(st.done()) < 2 && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
	}
	shows(ctx, t, "Updates of lab-3")
	st.fails()
	browsertest.Do(ctx, t, browsertest.Follow(st.base+"?"+labQuery))
	shows(ctx, t, "That did not work")
	reach(ctx, t, "copy", kb.Enter)
	browsertest.Get(ctx, t, chromedp.Poll[bool](`document.getElementById("copied").textContent !== ""`))
	browsertest.Do(ctx, t, chromedp.Navigate(browsertest.Script[string](ctx, t, `location.href`)))
	reach(ctx, t, "Start fresh, with my folder put aside", kb.Enter)
	reach(ctx, t, "sure", " ")
	reach(ctx, t, "fresh", kb.Enter)
	for end := time.Now().Add(20 * time.Second); len(st.pulled()) < 4 && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
	}
	runs := st.pulled()
	if len(runs) != 4 || !runs[3].Backup {
		t.Errorf("pulled %+v", runs)
	}
	if got := st.done(); !slices.Equal(got, []string{"reset lab-3 helpers.py", "undo lab-3"}) {
		t.Errorf("did %q", got)
	}
}

// settled waits until a button that answers a question takes clicks.
var settled = chromedp.WaitReady(chromedp.CSS("[data-answer][data-ready]"))

// TestDoubleClick: another page leads here at the first half of a double click, so that
// the second half falls on the button that says yes.
func TestDoubleClick(t *testing.T) {
	ctx := chromium(t)
	st := openSite(t, nil)
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, `<!doctype html><title>a page</title><body style="height:100vh"><script>document.addEventListener("mousedown",()=>{location=%q})</script>`, st.base+"?"+lab3)
	}))
	t.Cleanup(evil.Close)
	browsertest.Do(ctx, t, browsertest.Look(1280, false), chromedp.Navigate(st.base+"?"+lab3))
	shows(ctx, t, "Continue?")
	at := browsertest.Script[[]float64](ctx, t, `(()=>{const r=document.getElementById("yes").getBoundingClientRect();return [r.x+r.width/2,r.y+r.height/2]})()`)
	browsertest.Do(ctx, t, chromedp.Navigate(evil.URL), chromedp.MouseClickXY(at[0], at[1]))
	time.Sleep(300 * time.Millisecond)
	browsertest.Do(ctx, t, chromedp.MouseClickXY(at[0], at[1]))
	shows(ctx, t, "Continue?")
	time.Sleep(time.Second)
	if n := len(st.pulled()); n > 0 {
		t.Errorf("a double click elsewhere began %d pulls", n)
	}
	browsertest.Do(ctx, t, settled, chromedp.MouseClickXY(at[0], at[1]))
	for end := time.Now().Add(20 * time.Second); len(st.pulled()) == 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a click that is meant begins nothing")
		}
	}
}
