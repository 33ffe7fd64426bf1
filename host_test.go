package daypass

import (
	"strings"
	"testing"
)

func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "localhost:80": true, "127.0.0.1": true, "127.0.0.1:8080": true, "127.255.255.254": true, "[::1]": true, "[::1]:80": true,
		"127.0.0.1.evil.example": false, "localhost.evil.example": false, "127.1": false, "0.0.0.0": false, "128.0.0.1": false, "127.0.0.256": false,
		"127.0.0.01": false, "[::2]": false, "::1": false, "2130706433": false, "": false, "127.0.0.1.": false, "localhost.": false,
	} {
		if got := Loopback(host); got != want {
			t.Errorf("Loopback(%q) = %v, want %v", host, got, want)
		}
	}
}

func TestCleanHost(t *testing.T) {
	for host, want := range map[string]bool{
		"github.com": true, "a": true, "git.example:8443": true, "10.0.0.1": true, "[2001:db8::1]:443": true, "xn--gthub-cza.com": true, "a-b.c": true,
		"": false, ".": false, "a.": false, ".a": false, "a..b": false, "-a": false, "a-": false, "a-.b": false, "a:": false, "a:0": false, "a:080": false,
		"a:65536": false, "a:b": false, "a@b": false, "a/b": false, "a b": false, "A": false, "a_b": false, "[::1": false, "[]": false, "a:1:2": false,
		"g\xc3\xaethub.com": false, "a%2e": false, strings.Repeat("a", 254): false,
	} {
		if got := CleanHost(host); got != want {
			t.Errorf("CleanHost(%q) = %v, want %v", host, got, want)
		}
	}
}

func TestPageHost(t *testing.T) {
	for address, want := range map[string]string{
		"https://classroom.github.com/a/AbC-1_x":        "classroom.github.com",
		"https://git.example.edu:8443/join?x=1&y=a.b#c": "git.example.edu:8443",
		"https://example.edu":                           "example.edu",
		"https://xn--gthub-cza.com/a/%20@b":             "xn--gthub-cza.com",
	} {
		if got, ok := PageHost(address); !ok || got != want {
			t.Errorf("PageHost(%q) = %q, %v", address, got, ok)
		}
	}
	for _, address := range []string{
		"", "https://", "https:///a", "http://classroom.github.com/a/x", "HTTPS://classroom.github.com/a/x", "javascript:alert(1)//https://classroom.github.com", "//classroom.github.com/a", "data:text/html,x",
		"https://classroom.github.com@evil.example/a", "https://u:p@classroom.github.com/a", "https://classroom.github.com\\@evil.example/a", "https://classroom.github.com/a\\b",
		"https://Classroom.GitHub.com/a", "https://cl\u0430ssroom.github.com/a", "https://classroom.github.com/\u202egpj.exe", "https://classroom.github.com./a", "https://localhost/a", "https://127.0.0.1/a", "https://[::1]/a", "https://2130706433/a",
		"https://10.0.0.0x1/a b", "https://classroom.github.com/a b", "https://classroom.github.com/a\nb", "https://classroom.github.com/a\x00", "https://classroom.github.com/a\x7f", "https://classroom.github.com/\"onclick=x", "https://classroom.github.com/<b>",
		"https://classroom.github.com/a.", "https://classroom.github.com/a?", "https://classroom.github.com/(a)", "https://classroom.github.com:0/a", "https://classroom.github.com:99999/a", "https://classroom.github.com%2eevil.example/a",
		"https://classroom.github.com/" + strings.Repeat("a", MaxPage),
	} {
		if host, ok := PageHost(address); ok {
			t.Errorf("PageHost(%q) = %q", address, host)
		}
	}
}
