package server

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
)

// made opens the page that shows a new pass.
func (b *browser) made(t *testing.T, s *Server) string {
	t.Helper()
	form := passFields(url.Values{"form": {codeFor(t, s, b, "passes/new")}})
	return text(t, b.do("POST", b.base+"passes/new", form, b.own()))
}

// TestNarrowOnThePage: the page that shows a pass makes a narrower one of it, which
// is in that answer and no other.
func TestNarrowOnThePage(t *testing.T) {
	modes(t, func(t *testing.T, address string, shared bool) {
		w := newWorld()
		s := start(t, w, address, shared)
		b := newBrowser(t, s, address, shared)
		b.signIn("browser-ada", "")
		page := b.made(t, s)
		for _, want := range []string{`readonly name="pass" form="narrow" value="` + madeText + `"`, `<form id="narrow" method="post" action="` + s.path("passes/narrow") + `"`, "It ends when this one ends", `<option value="">as long as this one</option>`} {
			if !strings.Contains(page, want) {
				t.Errorf("the page lacks %s", want)
			}
		}
		if strings.Contains(page, "12 hours") {
			t.Error("it offers an end later than the pass's own")
		}
		form := url.Values{"form": {formOf(t, page, s.path("passes/narrow"))}, "pass": {madeText}, "repos": {"tidal-lab/ocean-models\r\n"}, "access": {"read"}, "for": {"1h0m0s"}}
		res := b.do("POST", address+"passes/narrow", form, b.own())
		got := text(t, res)
		if res.StatusCode != 200 || strings.Count(got, madeText) != 1 || strings.Count(got, madeText+"-narrower") != 1 || res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("Location") != "" {
			t.Fatalf("%d, %d times, %q", res.StatusCode, strings.Count(got, madeText), res.Header)
		}
		for _, want := range []string{"Your narrower pass", "Read tidal-lab/ocean-models.", "Push, or change anything.", "ends with that one at the latest", "1 hour left", `action="` + s.path("passes/narrow") + `"`} {
			if !strings.Contains(got, want) {
				t.Errorf("it does not say %q", want)
			}
		}
		if strings.Contains(got, "<script") == shared {
			t.Errorf("a script, in shared mode: %v", shared)
		}
		again := b.do("POST", address+"passes/narrow", form, b.own())
		if body := text(t, again); again.StatusCode != 403 || strings.Contains(body, "AgEcanary") {
			t.Errorf("the form for the second time: %d", again.StatusCode)
		}
		if got := w.deeds(); !slices.Equal(got, []string{"mint ada browser true", `narrow read ["tidal-lab/ocean-models"] 1 hour left`}) {
			t.Errorf("done %q", got)
		}
		for _, p := range []string{"", "passes", "passes/new", "passes/" + passID1, "activity"} {
			if strings.Contains(text(t, b.get(p)), "AgEcanary") {
				t.Errorf("%q holds the pass", p)
			}
		}
		if strings.Contains(w.logged(), "AgEcanary") {
			t.Error("the pass is in the log")
		}
		for k, v := range w.sessionsOf(t, s) {
			if strings.Contains(v, "AgEcanary") {
				t.Errorf("the pass is in the session %s", k)
			}
		}
	})
}

// TestNarrowMistakes: where a field is wrong nothing is made, and the pass, which
// may be nowhere else, is shown again with what is wrong.
func TestNarrowMistakes(t *testing.T) {
	w := newWorld()
	s := start(t, w, ownURL, false)
	b := newBrowser(t, s, ownURL, false)
	b.signIn("browser-ada", "")
	for name, c := range map[string]struct {
		fields url.Values
		want   string
	}{
		"nothing":              {url.Values{}, "Nothing is taken away yet"},
		"an address":           {url.Values{"repos": {"https://github.com/o/r"}}, "is not OWNER/NAME"},
		"another repository":   {url.Values{"repos": {"tidal-lab/thesis"}}, "The pass is for none of these repositories."},
		"too many":             {url.Values{"repos": {strings.Repeat("o/r ", 65)}}, "more than 64 items"},
		"a wider access":       {url.Values{"access": {"admin"}}, "Choose read only, or leave it."},
		"longer than the pass": {url.Values{"for": {"9h"}}, "That is not a time up to 8 hours."},
		"no time":              {url.Values{"for": {"soon"}}, "That is not a time up to 8 hours."},
		"never":                {url.Values{"for": {"never"}}, "Passes have an end here."},
		"a day long past":      {url.Values{"until": {"2020-01-01"}}, "That is not a day from today"},
		"a day too late":       {url.Values{"until": {"2030-01-01"}}, "That is not a day from today"},
		"no day":               {url.Values{"until": {"<script>"}}, "That is not a day from today"},
	} {
		c.fields.Set("form", codeFor(t, s, b, "passes/narrow"))
		c.fields.Set("pass", madeText)
		res := b.do("POST", ownURL+"passes/narrow", c.fields, b.own())
		page := text(t, res)
		if res.StatusCode != 200 || !strings.Contains(page, c.want) || !strings.Contains(page, `role="alert"`) || !strings.Contains(page, `value="`+madeText+`"`) || strings.Contains(page, "<script>") {
			t.Errorf("%s: %d, without %q:\n%s", name, res.StatusCode, c.want, page)
		}
	}
	if got := w.deeds(); len(got) != 0 {
		t.Errorf("done %q", got)
	}
}

// TestNarrowIsForPasses: what is no pass, a pass that this service does not narrow
// and what is too large are refused, and none of it is shown.
func TestNarrowIsForPasses(t *testing.T) {
	w := newWorld()
	s := start(t, w, ownURL, false)
	b := newBrowser(t, s, ownURL, false)
	b.signIn("browser-ada", "")
	for name, c := range map[string]struct {
		pass string
		want int
	}{
		"nothing":           {"", 400},
		"a server's token":  {"server-canary", 400},
		"a GitHub token":    {"ghp_canary", 400},
		"a page":            {`daypass_"><script>canary</script>`, 400},
		"a package index's": {"devpi-AgEIcanary", 400},
		"PyPI's":            {"pypi-AgEIcanary", 400},
		"larger than any":   {madeText + strings.Repeat("canary", 2000), 400},
		"too much":          {madeText + strings.Repeat("canary", 20000), 413},
	} {
		form := url.Values{"form": {codeFor(t, s, b, "passes/narrow")}, "pass": {c.pass}, "access": {"read"}}
		res := b.do("POST", ownURL+"passes/narrow", form, b.own())
		if page := text(t, res); res.StatusCode != c.want || strings.Contains(page, "canary") || c.pass != "" && strings.Contains(page, c.pass) {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
	}
	evil := fetched("cross-site", "navigate", "document", "https://evil.example")
	for name, c := range map[string]struct {
		query, pass string
		how         map[string]string
		want        int
	}{
		"in the address":              {"?access=read&pass=" + madeText, "", b.own(), 400},
		"of another site":             {"", madeText, evil, 403},
		"of another, by an old one":   {"", madeText, map[string]string{"Origin": "https://evil.example"}, 403},
		"of a script of another site": {"", madeText, fetched("cross-site", "no-cors", "empty", "https://evil.example"), 403},
	} {
		form := url.Values{"form": {codeFor(t, s, b, "passes/narrow")}, "access": {"read"}, "pass": {c.pass}}
		if res := b.do("POST", ownURL+"passes/narrow"+c.query, form, c.how); res.StatusCode != c.want || strings.Contains(text(t, res), "AgEcanary") {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
	}
	if got := w.deeds(); len(got) != 0 {
		t.Errorf("done %q", got)
	}
	if log := w.logged(); strings.Contains(log, "canary") {
		t.Errorf("the log holds what was sent:\n%s", log)
	}
}

// TestNoNarrowing: a service that narrows none shows no form for it, and takes none.
func TestNoNarrowing(t *testing.T) {
	w := newWorld()
	c := w.config(ownURL, false)
	c.Broker.NarrowPass = nil
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t, s, ownURL, false)
	b.signIn("browser-ada", "")
	if page := b.made(t, s); !strings.Contains(page, madeText) || strings.Contains(page, "passes/narrow") {
		t.Error("the page offers what nobody does")
	}
	if res := b.do("POST", ownURL+"passes/narrow", url.Values{"form": {codeFor(t, s, b, "passes/narrow")}, "pass": {madeText}, "access": {"read"}}, b.own()); res.StatusCode != 404 {
		t.Errorf("%d", res.StatusCode)
	}
	c = w.config(ownURL, false)
	c.Broker.PassParts = PassParts{NarrowPass: func(daypass.Secret, api.PassLimits, time.Time) (api.PassReply, error) {
		return api.PassReply{}, errors.New("no")
	}}
	if _, err := New(c); err == nil {
		t.Error("a service without passes narrows them")
	}
}
