package clone

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/internal/soak"
)

// listed is what git says of a file; ok is whether it takes it.
func listed(t testing.TB, data string) (out string, ok bool) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := tryGit(".", "config", "--no-includes", "--file", file, "--list", "-z")
	return out, err == nil
}

// key is a setting's name as git prints it.
func key(s setting) string {
	if !s.headed {
		return s.name
	}
	parts := []string{s.section}
	if s.hasSub {
		parts = append(parts, s.sub)
	}
	return strings.Join(append(parts, s.name), ".")
}

// asGit prints settings as git config --list -z does.
func asGit(s settings) string {
	var b strings.Builder
	for _, one := range s {
		b.WriteString(key(one))
		if !one.bare {
			b.WriteString("\n" + one.value)
		}
		b.WriteByte(0)
	}
	return b.String()
}

// same compares us with git; tabs between words are kept as they are by newer gits.
func same(t testing.TB, data string) {
	t.Helper()
	want, ok := listed(t, data)
	s, err := parseSettings([]byte(data))
	if ok != (err == nil) {
		t.Fatalf("%q: git takes it: %t (%s); we: %v", data, ok, want, err)
	}
	plain := func(s string) string { return strings.NewReplacer("\t", " ", "\r", " ").Replace(s) }
	if ok && plain(asGit(s)) != plain(want) {
		t.Fatalf("%q:\n got %q\nwant %q", data, asGit(s), want)
	}
}

// corpus are files as people, tools and enemies write them.
var corpus = []string{
	"", "\n", "# only a comment", "[core]", "[core]\n\tbare\n", "[core]bare=false;x", "[a]b=c\n[d]e=f", "[A.B]C=d", "[a \"B\"]c=d", "[a\"b\"]c=d",
	"[a  \t\"b\"]c=d", "[a \"b\\\"c\\\\d\\x\"] y = z", "[a \"b\nc\"]d=e", "[a \"b\" ]d=e", "[a.b \"C.d\"]e=f", "[]a=b", "[ \"x\"]y=z", "[a.]b=c", "[.a]b=c", "a=b", "a",
	"[a]\nb = \"x # y\" # z\n", "[a]\nb = x\\\n  y\n", "[a]\nb = \"x\\\ny\"\n", "[a]\nb = x \\", "[a]\nb = \\t\\n\\b\\\\\\\"", "[a]\nb = \\q", "[a]\nb = \"x", "[a]\nb=\"x\"y\"z  \"  ",
	"[a]\r\nb = c\r\n\r\n[d]\r\ne\r\n", "[a]\nb = c\r", "[a]\nb=\r\rc", "\xef\xbb\xbf[a]\nb=c", "\xef\xbb[a]\nb=c", "[a]\n\xef\xbb\xbfb=c", "[a]\n1b=c", "[a]\n-b=c", "[a]\nb-c1=d", "[a]\nb_c=d",
	"[a]\nb = c = d", "[a]\nb c", "[a]\nb\t= c", "[a]\nb\r= c", "[a\n]b=c", "[a", "[a \"b", "[a \"b\"", "[é]a=b", "[a \"é\x01\x7f\"]b=\x01\xff", "[include]\npath=/etc/passwd\n[includeIf \"gitdir:/\"]path=x",
	"[remote \"origin\"]\nurl = https://example.org/a.git\nurl=second\nfetch = +refs/heads/*:refs/remotes/origin/*\n[branch \"feat/x\"]\nremote=origin\n", "[a]b=c\n;d\n#e\n\t[f]\n\tg\n", "[a]\nb = \\\n\\\n\\\nc",
	"[a]\nb=  \"\"  \"  c\"  d  ;", "[a]\nb = x\\\r\ny", "[A-1.b-2]Q=w", "[a \"\"]b=c", "[a]\n\n\n   b   =   c   d   \n", "[a]\n=b", "[a]\nb==", "[a]b=\x0bc", "[a]\x0cb=c",
}

func TestSettings(t *testing.T) {
	for _, data := range corpus {
		same(t, data)
	}
}

// TestSettingsRandom writes files of pieces that mean something to the reader.
func TestSettingsRandom(t *testing.T) {
	seed, _ := soak.Seeds(t, 1, 1)
	r := rand.New(rand.NewPCG(seed, 0))
	pieces := []string{"[", "]", "\"", "\\", "\n", "\n", "\r\n", "\r", " ", "\t", "#", ";", "=", "a", "Core", "x-1", ".", "é", "\\n", "\\\"", "\\\n", "[a]\n", "[a \"B\"]\n", "key = value\n", "\tk=v", "true", "1", "\xef\xbb\xbf", "\"q s\"", "_"}
	for range soak.Rounds(t, 300, 30_000) {
		var b strings.Builder
		if r.IntN(3) > 0 {
			b.WriteString("[sec \"Sub\"]\n")
		}
		for range r.IntN(14) {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
		same(t, b.String())
	}
}

func FuzzSettings(f *testing.F) {
	for _, data := range corpus {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data string) {
		if len(data) > 4096 || strings.ContainsRune(data, 0) {
			t.Skip()
		}
		same(t, data)
	})
}

func TestSettingsRefuseNUL(t *testing.T) {
	if _, err := parseSettings([]byte("[a]\nb=c\x00d\n")); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("NUL: %v", err)
	}
	if _, err := parseSettings([]byte("[a]\nb=c\n???\n")); err == nil || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("bad line: %v", err)
	}
}

// TestQuote writes any value so that git reads it back.
func TestQuote(t *testing.T) {
	for _, v := range []string{"a", "a b", " a ", "a#b", "a;b", `a"b`, `a\b`, "a\nb", "é", "+refs/heads/a#b:refs/remotes/origin/a#b", "[x]", "=", ""} {
		out, ok := listed(t, "[a "+quote("s\\\"x")+"]\n\tb = "+value(v)+"\n")
		if want := "a.s\\\"x.b\n" + v + "\x00"; !ok || out != want {
			t.Errorf("%q became %q", v, out)
		}
	}
}

// TestForm says which repositories are left alone; git is asked too where it knows.
func TestForm(t *testing.T) {
	for _, test := range []struct {
		config string
		ok     bool
	}{
		{"", true},
		{"[core]\nrepositoryformatversion = 0", true},
		{"[core]\nrepositoryformatversion = 1", true},
		{"[core]\nrepositoryformatversion = 2", false},
		{"[core]\nrepositoryformatversion = x", false},
		{"[core]\nrepositoryformatversion = 1\n[extensions]\nobjectFormat = sha256", true},
		{"[core]\nrepositoryformatversion = 1\n[extensions]\nobjectFormat = sha1", true},
		{"[core]\nrepositoryformatversion = 1\n[extensions]\nobjectFormat = sha3", false},
		{"[core]\nrepositoryformatversion = 0\n[extensions]\nobjectFormat = sha256", false},
		{"[extensions]\npartialClone = origin\nworktreeConfig\npreciousObjects = true", true},
		{"[core]\nrepositoryformatversion = 1\n[extensions]\nrefStorage = reftable", false},
		{"[core]\nrepositoryformatversion = 1\n[extensions]\nrefStorage = files", true},
		{"[core]\nrepositoryformatversion = 1\n[extensions]\nnew = 1", false},
		{"[extensions]\nCompatObjectFormat = sha1", false},
		{"[extensions \"x\"]\nnew = 1", true},
	} {
		s, err := parseSettings([]byte(test.config))
		if err != nil {
			t.Fatal(err)
		}
		if why := s.form(); (why == "") != test.ok {
			t.Errorf("%q: %q", test.config, why)
		}
	}
}
