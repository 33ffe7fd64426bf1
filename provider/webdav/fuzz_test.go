package webdav

import (
	"net/url"
	"strings"
	"testing"
)

// FuzzHref: what a server's address is taken for lies below the folder by one segment,
// and is asked for at the folder's own host.
func FuzzHref(f *testing.F) {
	for _, href := range []string{"/ph142/a", "https://dav.example.edu/ph142/a%2Fb", "//evil.example/ph142/a", "/ph142/../x", "/ph142/%2e%2e", "a", "?x", "/ph142/a?b#c", "/PH142/a", "/ph142//a", "https:/ph142/a", "\\\\evil\\ph142\\a"} {
		f.Add(href)
	}
	base, err := url.Parse("https://dav.example.edu/ph142")
	if err != nil {
		f.Fatal(err)
	}
	d := New(Config{Host: "dav.example.edu"})
	f.Fuzz(func(t *testing.T, href string) {
		name, ok := below(base, href)
		if !ok || name == "" || odd(name) {
			return
		}
		u, err := url.Parse(d.address([]string{"ph142", name}, false))
		if err != nil || u.Host != base.Host || u.RawQuery != "" || u.Fragment != "" || !strings.HasPrefix(u.Path, "/ph142/") {
			t.Fatalf("%q is asked for at %v, %v", href, u, err)
		}
		if again, ok := below(base, u.EscapedPath()); !ok || again != name {
			t.Fatalf("%q is %q, and then %q", href, name, again)
		}
	})
}
