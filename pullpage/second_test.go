package pullpage

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/pull"
)

var byScript = []string{"Accept", "application/json", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"}

// TestEachLinkItsTarget: two links to one repository share a pull, and each leads to
// its own target, by its own question.
func TestEachLinkItsTarget(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Settings.Owners = []string{"github.com"} })
	gate := make(chan struct{})
	w.run = func(_ context.Context, r Request, _ func(pull.Event)) (pull.Report, error) {
		<-gate
		return pull.Report{Folder: r.Folder, Source: r.Repo, Fresh: true, New: commitA}, nil
	}
	begin := func(q string) string {
		t.Helper()
		got := w.post("/begin", form(t, w.get("/?"+q).Body.String(), "begin"), byScript...)
		_, id, ok := strings.Cut(got.Body.String(), `"id":"`)
		if !ok {
			t.Fatalf("%d %s", got.Code, got.Body)
		}
		id, _, _ = strings.Cut(id, `"`)
		return id
	}
	one, two := begin(lab3), begin(strings.Replace(lab3, "lab%2Ftree%2Flab-3%2Findex.ipynb", "voila%2Frender%2Flab-3%2Findex.ipynb", 1))
	close(gate)
	end := func(id string) string {
		w.send(httptest.NewRequest(http.MethodGet, "/events?id="+id, nil), []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"})
		return w.get("/pull?id=" + id).Body.String()
	}
	if b := end(one); !strings.Contains(b, `href="/user/ada/lab/tree/lab-3/index.ipynb"`) {
		t.Errorf("the first link:\n%s", b)
	}
	if b := end(two); !strings.Contains(b, "Opening Voilà runs") || strings.Contains(b, "lab/tree/lab-3/index") {
		t.Errorf("the second link:\n%s", b)
	}
	if n := len(w.pulled()); n != 1 {
		t.Errorf("%d pulls", n)
	}
}

// TestFollowingBeginsNothing: a page that asked nothing since the same pull ran
// elsewhere never begins one, however late that ended.
func TestFollowingBeginsNothing(t *testing.T) {
	w := newWorld(t, nil)
	w.click(lab3)
	folder := w.root + "/lab-3"
	w.running[folder] = Request{Repo: "https://github.com/org/lab-3", Ref: "main", Folder: folder, Root: w.root, Depth: 1}
	page := w.get("/?" + lab3 + "&backup=yes").Body.String()
	if strings.Contains(page, "data-auto") {
		t.Error("a pull without a backup that runs makes the question of a backup needless")
	}
	w.running[folder] = Request{Repo: "https://github.com/org/lab-3", Ref: "main", Folder: folder, Root: w.root, Depth: 1, Backup: true}
	page = w.get("/?" + lab3 + "&backup=yes").Body.String()
	if got := w.post("/begin", form(t, page, "begin")); got.Code != http.StatusSeeOther {
		t.Fatalf("%d %s", got.Code, got.Body)
	}
	if runs := w.pulled(); !runs[len(runs)-1].Only {
		t.Errorf("it may begin: %+v", runs[len(runs)-1])
	}
}

// TestRootOfTheDisk: where Jupyter shows the whole disk, texts stay what they are.
func TestRootOfTheDisk(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Root = "/" })
	if got := w.s.plain("no room in /home/ada: see https://h/x"); got != "no room in /home/ada: see https://h/x" {
		t.Error(got)
	}
}
