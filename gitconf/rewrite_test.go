package gitconf

import (
	"strings"
	"testing"
)

func TestRewrite(t *testing.T) {
	const token = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
	for _, tc := range []struct{ name, before, want string }{
		{"remote", "[remote \"origin\"]\n\turl = https://x:" + token + "@github.com/o/r\n\tfetch = +a:b\n", "[remote \"origin\"]\n\turl = \"https://github.com/o/r\"\n\tfetch = +a:b\n"},
		{"insteadOf", "[a]\n\tb = c\n[url \"https://m:" + token + "@github.com\"]\n\tinsteadOf = https://github.com\n# end\n[x]\n\ty\n", "[a]\n\tb = c\n[url \"https://m:" + token + "@github.com\"]\n# end\n[x]\n\ty\n"},
		{"insteadOf last", "[a]\n\tb = c\n[url \"https://m:" + token + "@github.com/\"]\n\tinsteadOf = \"git@github.com:\"\n", "[a]\n\tb = c\n"},
		{"ghtoken", "[user]\n\tname = x\n\tghtoken = " + token + "\n", "[user]\n\tname = x\n"},
		{"continued", "[user]\n\tghtoken = abc\\\n" + token + "\n\tname = \"a\\\nb\"\n", "[user]\n\tname = \"a\\\nb\"\n"},
		{"nothing", "[user]\n\tname = x\n", "[user]\n\tname = x\n"},
		{"crlf", "[user]\r\n\tghtoken = x\r\n\tname = y\r\n", "[user]\r\n\tname = y\r\n"},
		{"same line", "[user] ghtoken = x\n", "error"},
	} {
		w := newWorld(t)
		file := w.write(".gitconfig", tc.before)
		_, err := w.Git.Rewrite(t.Context(), file, func(key, value string) (string, bool) {
			return WithoutUserinfo(value), key != "user.ghtoken" && !strings.HasSuffix(key, ".insteadof")
		})
		got := w.read(file)
		if tc.want == "error" {
			if err == nil || got != tc.before {
				t.Errorf("%s: %v, %q", tc.name, err, got)
			}
			continue
		}
		if err != nil || got != tc.want {
			t.Errorf("%s: %v, %q, want %q", tc.name, err, got, tc.want)
		}
	}
}

func TestMoveLast(t *testing.T) {
	w := newWorld(t)
	w.write(".gitconfig", "[a]\n\tb = c")
	w.apply(github())
	gist := github()
	gist.Origin = "https://gist.github.com"
	w.apply(gist)
	if changed, err := w.MoveLast(t.Context(), false); err != nil || len(changed) != 0 {
		t.Errorf("MoveLast = %v, %v", changed, err)
	}
	w.write(".gitconfig", w.read(w.config())+"[credential]\n\thelper = store\n")
	if changed, err := w.MoveLast(t.Context(), false); err != nil || len(changed) != 1 {
		t.Errorf("MoveLast = %v, %v", changed, err)
	}
	for _, u := range []string{"https://github.com/", "https://gist.github.com/"} {
		if a, err := w.Git.Asks(t.Context(), "", u, helperPath); err != nil || !a.First || len(a.Others) > 0 {
			t.Errorf("Asks(%s) = %+v, %v", u, a, err)
		}
	}
	w.undo("")
	if got := w.read(w.config()); got != "[a]\n\tb = c\n[credential]\n\thelper = store\n" {
		t.Errorf("after undo %q", got)
	}
}

func TestRedact(t *testing.T) {
	const token = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
	for _, s := range []string{
		"https://me:" + token + "@github.com/o", "https://me:hunter2hunter2@github.com", "https://" + token + "@github.com", "ssh://me:hunter2hunter2@h/",
		"Authorization: Basic aHVudGVyMmh1bnRlcjI=", "AUTHORIZATION: bearer hunter2hunter2", "!f() { echo username=x; echo password=hunter2hunter2; }; f",
		"PRIVATE-TOKEN: hunter2hunter2", "x" + token, "glpat-0123456789abcdefABCD", "github_pat_11ABCDEFG0123456789_abcdefghij",
	} {
		got := Redact(s)
		for _, secret := range []string{"0123456789", "hunter2", "aHVudGVyMm"} {
			if strings.Contains(got, secret) {
				t.Errorf("Redact(%q) = %q", s, got)
			}
		}
	}
	for _, s := range []string{"git@github.com:o/r", "ssh://git@github.com/o/r", "https://mona@github.com/o/r", "store --file=/tmp/x", "/opt/git-credential-daypass"} {
		if got := Redact(s); got != s {
			t.Errorf("Redact(%q) = %q", s, got)
		}
	}
}
