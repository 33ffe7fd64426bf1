package doi

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/provider/deposit"
)

func TestResolve(t *testing.T) {
	d := fake.NewDOI(map[string]string{
		"10.5281/zenodo.7": "https://zenodo.org/record/7", "11529/10016": "https://data.cimmyt.org/x", "10.1/a/b:c(d)<e>;f#g?h%20": "https://example.org/y", "10.1/none": "",
		"10.1/script": "javascript:alert(1)", "10.1/file": "file:///etc/passwd", "10.1/user": "https://a:b@example.org/", "10.1/lines": "https://example.org/\nx",
	}, nil)
	c := deposit.Config{Base: fake.Transport(d)}
	for name, want := range map[string]string{
		"10.5281/zenodo.7": "https://zenodo.org/record/7", "10.5281/ZENODO.7": "https://zenodo.org/record/7", "11529/10016": "https://data.cimmyt.org/x", "10.1/a/b:c(d)<e>;f#g?h%20": "https://example.org/y",
		"10.1/none": "", "10.1/script": "", "10.1/file": "", "10.1/user": "", "10.1/lines": "", "10.1/missing": "",
	} {
		at, err := Resolve(t.Context(), c, name)
		if at != want || (want == "") != errors.Is(err, daypass.ErrNoSource) || want != "" && err != nil {
			t.Errorf("%s: %q, %v", name, at, err)
		}
	}
	for _, r := range d.Requests() {
		if r.Host != "doi.org" || r.Method != "GET" {
			t.Errorf("%s %s", r.Method, r.Host)
		}
	}
	before := len(d.Requests())
	for _, name := range []string{"", "10.1", "10.1/", "x/y", "../../x", "10.1/a b", "10.1/a\nb", "10..1/x"} {
		if _, err := Resolve(t.Context(), c, name); !errors.Is(err, daypass.ErrRefused) || errors.Is(err, daypass.ErrNoSource) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if len(d.Requests()) != before {
		t.Error("what is none was asked for")
	}
}

// TestWeather: what is not known is not said to be missing.
func TestWeather(t *testing.T) {
	for what, f := range map[string]fake.Fault{
		"down": {Status: 503}, "a portal": {Status: 404, Body: "<html>sign in</html>"}, "cut": {Kind: fake.FaultCutJSON}, "elsewhere": {Kind: fake.FaultRedirect, URL: "https://evil.example/"}, "a page": {Status: 200, Body: "<html>"},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := fake.NewDOI(map[string]string{"10.1/a": "https://example.org/"}, nil)
			d.Fault(nil, f)
			if _, err := Resolve(t.Context(), deposit.Config{Base: fake.Transport(d)}, "10.1/a"); err == nil || errors.Is(err, daypass.ErrNoSource) {
				t.Errorf("%s: %v", what, err)
			}
		})
	}
}
