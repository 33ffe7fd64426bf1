package snapshot

import (
	"strings"
	"testing"
)

func TestParseProgress(t *testing.T) {
	for line, want := range map[string]struct {
		text        string
		done, total int64
		ok          bool
	}{
		"Receiving objects:  45% (400/900), 12.3 MiB | 2.00 MiB/s":        {"Receiving objects", 400, 900, true},
		"Receiving objects: 100% (900/900), 12.3 MiB | 2.00 MiB/s, done.": {"Receiving objects", 900, 900, true},
		"remote: Counting objects: 100% (5/5), done.":                     {"Counting objects", 5, 5, true},
		"remote: Enumerating objects: 12, done.":                          {"Enumerating objects", 12, 0, true},
		"remote: Enumerating objects: 12":                                 {"Enumerating objects", 12, 0, true},
		"Resolving deltas:   0% (0/3)":                                    {"Resolving deltas", 0, 3, true},
		"fatal: repository 'x' not found":                                 {},
		"error: object 12: hasDotgit: contains '.git'":                    {},
		"remote: Total 3 (delta 0), reused 0 (delta 0), pack-reused 0":    {},
		"warning: 12":               {"warning", 12, 0, true},
		"x: 9999999999999999999999": {},
		"":                          {},
	} {
		text, done, total, ok := parseProgress(line)
		if !ok {
			text, done, total = "", 0, 0
		}
		if text != want.text || done != want.done || total != want.total || ok != want.ok {
			t.Errorf("%q: %q %d %d %v", line, text, done, total, ok)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("Receiving objects:  45% (400/900), 12.3 MiB")
	f.Add("ref: refs/heads/main\tHEAD\n4b825dc642cb6eb9a060e54bf8d69288fbee4904\tHEAD\n")
	f.Add("https://u:p@h/x?token=1")
	f.Add("ssh://a@b@c")
	f.Fuzz(func(t *testing.T, text string) {
		if _, done, total, ok := parseProgress(text); ok && (done < 0 || total < 0) {
			t.Error(done, total)
		}
		for name := range parseRefs(text).at {
			if bare := strings.TrimSuffix(name, "^{}"); bare != "HEAD" && !strings.HasPrefix(bare, "refs/") {
				t.Errorf("ref %q", name)
			}
		}
		if again := Redact(Redact(text)); again != Redact(text) {
			t.Errorf("%q is redacted to %q, then to %q", text, Redact(text), again)
		}
		if a, p := parseAddress(text, "https:http:ssh:git:file"); p == nil && (a.url == "" || a.url[0] == '-' || strings.Contains(a.url, "::") && !strings.Contains(a.url, "/") && a.scheme != "ssh") {
			t.Errorf("%q becomes %q", text, a.url)
		}
	})
}
