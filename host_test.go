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
