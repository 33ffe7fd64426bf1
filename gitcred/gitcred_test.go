package gitcred

import (
	library "encoding/base64"
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/daypass-dev/daypass"
)

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     error
	}{
		{"second host", "protocol=https\nhost=a\nhost=b\n", ErrTwice},
		{"second protocol", "protocol=https\nprotocol=https\nhost=a\n", ErrTwice},
		{"second path", "protocol=https\nhost=a\npath=\npath=b\n", ErrTwice},
		{"no host", "protocol=https\n", ErrMissing},
		{"empty host", "protocol=https\nhost=\n", ErrMissing},
		{"nothing", "", ErrMissing},
		{"url", "protocol=https\nhost=a\nurl=https://b\n", ErrURL},
		{"no equals sign", "protocol=https\nhost=a\nx\n", ErrMalformed},
		{"CR inside", "protocol=https\nhost=a\rb\n", ErrControl},
		{"CR at the end of a password", "protocol=https\nhost=a\npassword=b\r\r\n", ErrControl},
		{"NUL in a key that is not known", "protocol=https\nhost=a\nx\x00=\n", ErrControl},
		{"C1 in a path", "protocol=https\nhost=a\npath=\xc2\x9b2J\n", ErrControl},
		{"not UTF-8", "protocol=https\nhost=a\nusername=\x9b\n", ErrControl},
		{"line too long", "protocol=https\nhost=a\nusername=" + strings.Repeat("u", MaxLine) + "\n", ErrTooLong},
		{"too long", strings.Repeat("a=b\n", MaxInput/4+1), ErrTooLong},
	} {
		if _, err := Parse([]byte(c.in)); !errors.Is(err, c.want) {
			t.Errorf("%s: Parse = %v, want %v", c.name, err, c.want)
		}
	}
}

func TestReadStopsAtTheEmptyLine(t *testing.T) {
	for in, want := range map[string]string{
		"a=b\n\n":                  "a=b\n\n",
		"a=b\r\n\r\n":              "a=b\r\n\r\n",
		"a=b\n\nc=d\n":             "a=b\n\n",
		"a=b":                      "a=b",
		"":                         "",
		"\n":                       "\n",
		strings.Repeat("x", 99999): strings.Repeat("x", 99999),
	} {
		got, err := Read(iotest.OneByteReader(strings.NewReader(in)))
		if err != nil || string(got) != want {
			t.Errorf("Read(%.20q) = %.20q, %v; want %.20q", in, got, err, want)
		}
	}
	if _, err := Read(strings.NewReader(strings.Repeat("x", MaxInput+1))); !errors.Is(err, ErrTooLong) {
		t.Errorf("Read of too much = %v", err)
	}
}

func TestBase64IsTheLibrarys(t *testing.T) {
	for n := range 300 {
		s := strings.Repeat("\xff\x00a:", 80)[:n]
		if got, want := base64(s), library.StdEncoding.EncodeToString([]byte(s)); got != want {
			t.Fatalf("base64(%q) = %q, want %q", s, got, want)
		}
	}
}

func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		"", "\n", "protocol=https\nhost=github.com\npath=o/r.git\nusername=u\npassword=p\n\n",
		"capability[]=authtype\ncapability[]=state\nprotocol=https\nhost=h\nauthtype=Basic\ncredential=eA==\nephemeral=1\n",
		"protocol=https\r\nhost=GitHub.com:443\r\n\r\n", "protocol=https\nhost=a\rhost=b\n", "protocol=https\nhost=a\xc2\x85\n",
		"wwwauth[]=Basic realm=\"x\"\nprotocol=http\nhost=[::1]:1\nstate[]=\n=\n==\n", "protocol=https\nhost=a\npath=\n", "host=\x00",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Parse(b)
		if err != nil {
			return
		}
		again, err := Parse(r.Append(nil))
		if err != nil || !sameRequest(r, again) {
			t.Errorf("parse, format, parse of %q = %+v, %v; want %+v", b, again, err, r)
		}
		if r.Served() && (r.Protocol != "https" && !daypass.Loopback(r.Host) || strings.ContainsAny(r.Host, "@/?#\\ \r\n\x00") || strings.HasSuffix(r.Host, ".")) {
			t.Errorf("%q is served", b)
		}
	})
}

func sameRequest(r, s Request) bool {
	same := r.Password.Equal(s.Password) && r.Credential.Equal(s.Credential)
	r.Password, r.Credential, s.Password, s.Credential = daypass.Secret{}, daypass.Secret{}, daypass.Secret{}, daypass.Secret{}
	return same && r == s
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{
		"good/repo", "good/repo.git", "good/repo.git/info/lfs", "good/repo/../../evil/x.git", "good//repo", "/good/repo", "good/repo.git.git", "GOOD/Repo",
		"good/repo?x", "good", "", "a/.", "a/..", "a/..git", "a/.git", "a/b/c", "a\\b", "a/b\x00", "o/r.GIT", "o/r.git.GIT",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		repo, kind := Request{Path: path, HasPath: true}.Repo()
		if kind == NoPath || kind == OtherPath && repo != (daypass.Repo{}) {
			t.Fatalf("Repo of %q = %v, %v", path, repo, kind)
		}
		if kind == OtherPath {
			return
		}
		plain := repo.String()
		if path != plain && path != plain+".git" && path != plain+"/info/lfs" && path != plain+".git/info/lfs" {
			t.Errorf("Repo of %q = %q", path, plain)
		}
		if again, kind := (Request{Path: plain, HasPath: true}).Repo(); kind != RepoPath || again != repo {
			t.Errorf("Repo of %q = %v, %v; of %q = %v", plain, again, kind, path, repo)
		}
		if strings.Count(plain, "/") != 1 || repo.Name == "." || repo.Name == ".." || strings.HasSuffix(strings.ToLower(repo.Name), ".git") {
			t.Errorf("Repo of %q = %q", path, plain)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		"", "username=u\npassword=p\npassword_expiry_utc=1800000000\n", "quit=1\n", "quit=true\nusername=u\n", "protocol=https\nhost=H\nusername=u\npassword=p\n",
		"capability[]=authtype\nauthtype=Basic\ncredential=eA==\nephemeral=yes\n", "host=evil\nusername=u\npassword=p\n", "url=x\n", "password_expiry_utc=-1\n",
	} {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, b []byte, can bool) {
		r := Request{Protocol: "https", Host: "h", CanAuthType: can}
		a, err := ParseAnswer(b, r)
		if err != nil {
			return
		}
		if !can && (a.AuthType != "" || a.Ephemeral || !a.Credential.IsZero()) || !a.Whole() && !a.Quit {
			t.Errorf("ParseAnswer(%q) = %+v", b, a)
		}
		out := a.Append(nil)
		again, err := ParseAnswer(out, r)
		if err != nil || string(again.Append(nil)) != string(out) {
			t.Errorf("parse, format, parse of %q: %q, %v", b, out, err)
		}
	})
}
