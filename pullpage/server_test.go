package pullpage

import (
	"net/http"
	"strings"
	"testing"
)

func TestALinkToItsEnd(t *testing.T) {
	w := newWorld(t, nil)
	page := w.get("/?" + lab3)
	if b := page.Body.String(); !strings.Contains(b, "This link brings files from <bdi>github.com/org</bdi> into your home. Continue?") || strings.Contains(b, "data-auto") {
		t.Fatalf("no question:\n%s", b)
	}
	if len(w.pulled()) != 0 {
		t.Fatal("a GET pulled")
	}
	end := w.click(lab3)
	if end.Code != http.StatusOK || !strings.Contains(end.Body.String(), `href="/user/ada/lab/tree/lab-3/index.ipynb"`) {
		t.Fatalf("%d %s", end.Code, end.Body)
	}
	if got := w.pulled(); len(got) != 1 || got[0] != (Request{Repo: "https://github.com/org/lab-3", Ref: "main", Folder: w.root + "/lab-3", Root: w.root, Depth: 1}) {
		t.Fatalf("pulled %+v", got)
	}
	if b := w.get("/?" + lab3).Body.String(); !strings.Contains(b, "data-auto") {
		t.Fatalf("the second click asks again:\n%s", b)
	}
	if b := w.get("/?" + strings.Replace(lab3, "org", "evil", 1)).Body.String(); !strings.Contains(b, "from <bdi>github.com/evil</bdi> into") {
		t.Fatalf("another owner does not ask:\n%s", b)
	}
}
