package client_test

import (
	"errors"
	"testing"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/client"
)

func env(kv map[string]string) func(string) string { return func(k string) string { return kv[k] } }

// TestTrusted: to whom the hub's token goes. Each line is an address that a
// hostile environment, a typing error or a look-alike could bring.
func TestTrusted(t *testing.T) {
	hub := env(map[string]string{
		"JUPYTERHUB_API_URL": "http://127.0.0.1:8081/hub/api", "JUPYTERHUB_PUBLIC_URL": "https://hub.example.org/user/jo/",
	})
	admin := client.Admin{
		Broker: "https://daypass.example.org/", Origins: []string{"https://access.example.org", "http://proxy-public"}, PlainHTTP: []string{"http://proxy-public"},
	}
	for _, good := range []string{
		"https://daypass.example.org/", "https://daypass.example.org", "https://daypass.example.org:443/",
		"https://access.example.org/any/path/", "http://proxy-public/services/daypass/", "http://proxy-public:80/services/daypass/",
		"https://hub.example.org/services/daypass/", "https://hub.example.org/services/daypass", "https://hub.example.org",
		"http://127.0.0.1:8081/services/daypass",
	} {
		if err := client.Trusted(good, hub, admin); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for why, bad := range map[string]string{
		"empty":                        "",
		"another host":                 "https://evil.example/services/daypass/",
		"the admin's host as user":     "https://daypass.example.org@evil.example/",
		"user and password":            "https://daypass.example.org:443@evil.example/",
		"a user at the right host":     "https://x@daypass.example.org/",
		"look-alike, longer":           "https://daypass.example.org.evil.example/",
		"look-alike, prefixed":         "https://evil-daypass.example.org/",
		"look-alike, no dot":           "https://daypassXexample.org/",
		"a sub-domain":                 "https://x.daypass.example.org/",
		"the parent domain":            "https://example.org/",
		"Cyrillic":                     "https://d\u0430ypass.example.org/",
		"punycode":                     "https://xn--dypass-6of.example.org/",
		"another port":                 "https://daypass.example.org:8443/",
		"another port of loopback":     "http://127.0.0.1:8082/services/daypass",
		"another name of loopback":     "http://localhost:8081/services/daypass",
		"loopback in decimal":          "http://2130706433:8081/",
		"a trailing dot":               "https://daypass.example.org./",
		"upper case":                   "https://DAYPASS.example.org/",
		"a different path than named":  "https://daypass.example.org/x",
		"plain http to the admin's":    "http://daypass.example.org/",
		"plain http to the hub's":      "http://hub.example.org/services/daypass/",
		"https to a plain http origin": "https://proxy-public/services/daypass/",
		"somebody's server":            "https://hub.example.org/user/mallory/proxy/8000/",
		"a server behind a prefix":     "https://hub.example.org/jupyter/user/mallory/",
		"dot segments":                 "https://hub.example.org/services/../user/mallory/",
		"encoded dot segments":         "https://hub.example.org/services/%2e%2e/user/mallory/",
		"an encoded slash":             "https://hub.example.org/services%2f..%2fuser/mallory/",
		"an encoded letter":            "https://hub.example.org/%75ser/mallory/",
		"two slashes":                  "https://hub.example.org//user/mallory/",
		"a backslash":                  `https://hub.example.org\@evil.example/`,
		"a backslash in the path":      `https://hub.example.org/services\..\user`,
		"a query":                      "https://hub.example.org/services/daypass/?next=https://evil.example/",
		"an empty query":               "https://hub.example.org/services/daypass/?",
		"a fragment":                   "https://hub.example.org/#@evil.example/",
		"an empty fragment":            "https://hub.example.org/#",
		"a space":                      "https://hub.example.org /",
		"a line end":                   "https://hub.example.org/\r\nHost: evil.example",
		"no scheme":                    "hub.example.org/services/daypass/",
		"two slashes only":             "//hub.example.org/services/daypass/",
		"one slash":                    "https:/hub.example.org/services/daypass/",
		"opaque":                       "https:hub.example.org/services/daypass/",
		"a file":                       "file:///services/daypass",
		"a unix socket":                "http+unix://%2Fsrv%2Fhub/",
		"ftp":                          "ftp://hub.example.org/",
		"an empty port":                "https://hub.example.org:/services/daypass/",
		"a port of zero":               "https://hub.example.org:0443/services/daypass/",
		"the unspecified address":      "http://0.0.0.0:8081/",
		"a zone":                       "http://[::1%25lo]:8081/",
	} {
		if err := client.Trusted(bad, hub, admin); err == nil {
			t.Errorf("%s: %q is trusted", why, bad)
		} else if p := new(daypass.Problem); !errors.As(err, &p) || p.Next == "" {
			t.Errorf("%s: %v is not for people", why, err)
		}
	}
}

// TestTrustedNeedsSomebodysWord: without root's file and the hub's addresses no
// address gets the token, this machine's neither.
func TestTrustedNeedsSomebodysWord(t *testing.T) {
	for _, kv := range []map[string]string{
		nil,
		{"JUPYTERHUB_API_URL": ""},
		{"JUPYTERHUB_API_URL": "https://"},
		{"JUPYTERHUB_API_URL": "/hub/api"},
		{"JUPYTERHUB_API_URL": "https://x@hub.example.org/hub/api"},
		{"JUPYTERHUB_API_URL": "https://hub.example.org:8443/hub/api", "JUPYTERHUB_PUBLIC_URL": "http://hub.example.org/"},
		{"JUPYTERHUB_PUBLIC_HUB_URL": "https://hub.example.org/"},
	} {
		for _, url := range []string{"https://hub.example.org/services/daypass/", "http://127.0.0.1:8088/", "http://localhost/"} {
			if client.Trusted(url, env(kv), client.Admin{}) == nil {
				t.Errorf("with %v, %s is trusted", kv, url)
			}
		}
	}
}

func TestUsable(t *testing.T) {
	for url, want := range map[string]bool{
		"https://anywhere.example/": true, "http://127.0.0.1:1/": true, "http://[::1]:8088/": true, "http://localhost:8088": true,
		"http://anywhere.example/": false, "http://127.0.0.1.evil.example/": false, "http://10.0.0.1/": false, "http://0x7f.1/": false,
	} {
		if got := client.Usable(url, client.Admin{}) == nil; got != want {
			t.Errorf("%s: %v, want %v", url, got, want)
		}
	}
}

func TestOrigin(t *testing.T) {
	for s, want := range map[string]bool{
		"https://a.example": true, "http://a:8000": true, "https://a.example/": false, "https://a.example/x": false, "a.example": false,
		"https://*.example": false, "https://u@a.example": false, "": false, "*": false,
	} {
		if got := client.Origin(s); got != want {
			t.Errorf("Origin(%q) = %v, want %v", s, got, want)
		}
	}
}
