package pullpage

import "testing"

// TestWhatRuns: what a link opens, and whether that runs what was brought.
func TestWhatRuns(t *testing.T) {
	for text, want := range map[string]string{
		"lab/tree/c/x.ipynb":                               "shows",
		"lab/tree/c/x.ipynb?factory=Notebook":              "shows",
		"lab/tree/c/x.md?factory=Markdown%20Preview&reset": "shows",
		"lab/tree/c/100%25.ipynb":                          "shows",
		"lab/tree/c/a..b/x.ipynb":                          "shows",
		"lab/tree/c/x.ipynb?factory=Voila%20Preview":       "runs",
		"doc/tree/c/x.ipynb?factory=Voila+Preview":         "runs",
		"lab/tree/c/x.ipynb?%66actory=Voila%20Preview":     "runs",
		"lab/tree/c/x.ipynb?reset&factory=":                "runs",
		"lab/tree/c/x.ipynb?autorun":                       "runs",
		"lab/tree/c/x.ipynb?Reset":                         "runs",
		"lab/tree/c%2fx.ipynb":                             "runs",
		"lab%2Ftree/c/x.ipynb":                             "runs",
		"lab%252Ftree/c/x.ipynb":                           "runs",
		"lab/tree/c/x%2eipynb":                             "runs",
		"lab/tree/..%2f..%2fvoila/render/c/x.ipynb":        "DP-377",
		"tree/..%2fvoila/render/c/x.ipynb":                 "DP-377",
		"notebooks/..%252Fproxy/8000/":                     "DP-377",
		"notebooks/.%2e/proxy/8000/":                       "DP-377",
		"notebooks/%2e%2e/proxy/8000/":                     "DP-377",
		"lab/..;/proxy/8000":                               "DP-377",
		"lab/tree/%2e%2e;x/8000":                           "DP-377",
		"lab%2f..%2fvoila/render/x.ipynb":                  "DP-377",
		"lab/tree/../../voila/render/x.ipynb":              "runs", // as browsers read it: voila/
		"./javascript:x":                                   "DP-377",
		"Voila/render/x":                                   "runs",
		"lab;/tree/x":                                      "runs",
	} {
		got := "shows"
		target, err := checkTarget(text)
		switch {
		case err != nil:
			got = codeOf(err)
		case target.Runs:
			got = "runs"
		}
		if got != want {
			t.Errorf("%s: %s, want %s (%+v)", text, got, want, target)
		}
	}
}
