package snapshot_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/snapshot"
)

func TestName(t *testing.T) {
	long := strings.Repeat("é", 126) // 252 bytes
	for name, want := range map[string]string{
		// Led elsewhere, or into git's own: refused.
		"": "", "../x": "", "a/../../b": "", "..": "", ".": "", "/abs": "", "//abs": "", "./a": "", "a//b": "", "a/": "", "a/./b": "", "a/..": "",
		".git": "", ".git/config": "", ".GIT/hooks/x": "", "a/.Git/hooks/x": "", ".git ": "", ".git.": "", ".git...": "", ".git . ": "", "git~1": "", "GIT~12/x": "", ".git::$INDEX_ALLOCATION/x": "", ".git:x": "",
		".g\u200cit/x": "", "\u200e.git": "", ".gi\ufefft": "", ".GİT": "", ".\u206agit/config": "",
		`a\..\b`: "", `C:\x`: "", `\\host\x`: "", "a\\": "",
		"a\x00b": "", "\xff": "", "a/\xc3\x28": "", "\xed\xa0\x80": "",
		strings.Repeat("a/", 64) + "a": "",
		strings.Repeat(strings.Repeat("b", 200)+"/", 5) + "cccccccccccccccccccccccc": "",
		// Shown as what they are: escaped.
		"a\nb": "a%0Ab", "t\tb": "t%09b", "\x1b[2J": "%1B[2J", "\x7f": "%7F", "exe\u202efdp.py": "exe%E2%80%AEfdp.py", "\u2066x": "%E2%81%A6x", "c1\u0085": "c1%C2%85", "l\u2028": "l%E2%80%A8", "\u200fx/y": "%E2%80%8Fx/y",
		// Fine.
		"a": "a", "a/b.ipynb": "a/b.ipynb", "é/ü": "é/ü", "e\u0301": "e\u0301", "日本.py": "日本.py", "-x": "-x", "~": "~", "~/x": "~/x", ".gitignore": ".gitignore", ".gitattributes": ".gitattributes", ".gitmodules": ".gitmodules", ".github/x": ".github/x", "git": "git", "git~": "git~", "git~x": "git~x",
		".ssh/config": ".ssh/config", ".bashrc": ".bashrc", "...": "...", "a..b": "a..b", "a b ": "a b ", "CON": "CON", "aux.txt": "aux.txt", "a:b": "a:b", "a%0Ab": "a%0Ab", "x.git/y": "x.git/y", "👩\u200d💻.md": "👩\u200d💻.md",
		strings.Repeat("x", 255): strings.Repeat("x", 255), strings.Repeat("a/", 63) + "a": strings.Repeat("a/", 63) + "a",
	} {
		clean, why, ok := snapshot.Name(name)
		if ok != (want != "") || clean != want || (why == "") != (ok && clean == name) {
			t.Errorf("%q gives %q, %q, %v; want %q", name, clean, why, ok, want)
		}
	}
	for _, name := range []string{strings.Repeat("x", 256), long + "é.ipynb", "d/" + strings.Repeat("x", 300) + ".ipynb", strings.Repeat("y", 250) + "\u202e.py", strings.Repeat("z", 300) + "." + strings.Repeat("e", 60)} {
		clean, why, ok := snapshot.Name(name)
		base := filepath.Base(clean)
		if !ok || why == "" || len(base) > 255 || !utf8.ValidString(clean) || len(filepath.Ext(name)) < 10 && filepath.Ext(clean) != filepath.Ext(name) {
			t.Errorf("%q gives %q, %q", name, clean, why)
		}
		if again, _, _ := snapshot.Name(name[:len(name)-7] + "q" + name[len(name)-6:]); again == clean {
			t.Errorf("two long names give %q", clean)
		}
	}
}

func FuzzName(f *testing.F) {
	for _, s := range []string{"a/b", "../x", ".git", "a\nb", "\u202e", strings.Repeat("x", 300)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		clean, _, ok := snapshot.Name(name)
		if !ok {
			return
		}
		if again, why, ok := snapshot.Name(clean); !ok || again != clean || why != "" || !filepath.IsLocal(clean) {
			t.Errorf("%q gives %q, which gives %q, %q", name, clean, again, why)
		}
	})
}

func TestLink(t *testing.T) {
	for _, row := range []struct {
		at, target string
		ok         bool
	}{
		{"l", "a", true}, {"l", "a/b", true}, {"d/l", "../a", true}, {"d/e/l", "../../a/b", true}, {"l", "./a", true}, {"l", ".", true}, {"d/l", "..", true}, {"l", "a//b", true}, {"l", "-x", true}, {"l", "~", true},
		{"l", "/etc/passwd", false}, {"l", "..", false}, {"l", "../x", false}, {"d/l", "../../x", false}, {"l", "", false}, {"l", "a/../../x", false}, {"l", "a/..", false}, {"d/l", "../d/../..", false},
		{"l", ".git/config", false}, {"d/l", "../.GIT/hooks", false}, {"l", `..\x`, false}, {"l", "a\x00", false}, {"l", "\xff", false}, {"l", strings.Repeat("a/", 600), false},
	} {
		if why, ok := snapshot.Link(row.at, row.target); ok != row.ok || ok != (why == "") {
			t.Errorf("%q -> %q: %v, %q", row.at, row.target, ok, why)
		}
	}
}

func ent(mode, name, id string) gittest.Entry {
	return gittest.Entry{Mode: mode, Name: name, ID: id}
}

// TestHostileTrees fetches trees that git itself would not write.
func TestHostileTrees(t *testing.T) {
	up := gittest.New(t)
	up.Commit("main", "one", gittest.Files{"ok": "1"})
	blob := up.Blob("x")
	escape := up.Blob("../../etc/passwd")
	git := up.Tree(gittest.Entry{Mode: "100644", Name: "config", ID: blob})
	url := up.Serve(gittest.Options{}).Of(up)
	g := source(t)
	for name, entries := range map[string][]gittest.Entry{
		"dotdot":    {ent("40000", "..", git)},
		"dot":       {ent("40000", ".", git)},
		"git":       {ent("40000", ".git", git)},
		"GIT":       {ent("40000", ".GIT", git)},
		"short":     {ent("40000", "git~1", git)},
		"ignorable": {ent("40000", ".g\u200cit", git)},
		"slash":     {ent("100644", "../x", blob)},
		"inner":     {ent("100644", "a/b", blob)},
		"twice":     {ent("100644", "a", blob), ent("100644", "a", escape)},
		"both":      {ent("100644", "a", blob), ent("40000", "a", git)},
		"empty":     {ent("100644", "", blob)},
		"mode":      {ent("100000", "a", blob)},
		"order":     {ent("100644", "b", blob), ent("100644", "a", blob)},
		"modules":   {ent("120000", ".gitmodules", blob)},
		"device":    {ent("60000", "dev", blob)},
		"stranger":  {ent("100644", "gone", strings.Repeat("1", 40))},
		"blob dir":  {ent("40000", "d", blob)},
		"tree file": {ent("100644", "f", git)},
		"zeros":     {ent("160000", "z", strings.Repeat("0", 40))},
	} {
		entries = append(entries, gittest.Entry{Mode: "100644", Name: "ok", ID: blob})
		id := up.CommitTree("h-"+strings.ReplaceAll(name, " ", "-"), up.Tree(entries...))
		r := ours(t, g, "sha1")
		s, err := g.Fetch(t.Context(), r, snapshot.Ask{URL: url, Tip: snapshot.Tip{Commit: plumbing.OID(id)}, Depth: 1})
		if err == nil {
			for _, f := range s.Files {
				if clean, _, ok := snapshot.Name(f.Path); !ok || clean != f.Path {
					t.Errorf("%s: delivers %q", name, f.Path)
				}
			}
			if fmt.Sprint(paths(s.Files)) != "ok" && name != "order" && name != "mode" {
				t.Errorf("%s: delivers %s", name, paths(s.Files))
			}
		} else if code(err) != "DP-320" && !(code(err) == "DP-319" || code(err) == "DP-328") {
			t.Errorf("%s: %v", name, err)
		}
		t.Logf("%s: %v %s %+v", name, err, paths(s.Files), s.Left)
	}
}

func TestNamesAndLinks(t *testing.T) {
	up := gittest.New(t)
	up.Commit("main", "one", gittest.Files{
		"ok": "1", "a\nb": "2", "a%0Ab": "taken", "exe\u202efdp.py": "3", strings.Repeat("n", 300) + ".ipynb": "4", "c\\d": "5", "\xff\xfe": "6", "CON": "7",
		"120000:in": "ok", "120000:d/up": "../ok", "120000:out": "../out", "120000:abs": "/etc/passwd", "120000:d/dance": "x/../../../y", "120000:into": ".git/config",
	})
	url := up.Serve(gittest.Options{}).Of(up)
	g := source(t)
	s := fetch(t, g, ours(t, g, "sha1"), snapshot.Ask{URL: url, Tip: look(t, g, url, ""), Depth: 1})
	left := map[string]snapshot.Left{}
	for _, l := range s.Left {
		left[l.Path] = l
	}
	for _, name := range []string{"c\\d", "\xff\xfe", "out", "abs", "d/dance", "into", "a\nb"} {
		if l, ok := left[name]; !ok || l.Why == "" || l.As != "" {
			t.Errorf("%q: %+v", name, l)
		}
	}
	if l := left["exe\u202efdp.py"]; l.As != "exe%E2%80%AEfdp.py" || l.Size != 1 {
		t.Errorf("%+v", l)
	}
	if got := paths(s.Files); !strings.Contains(got, "exe%E2%80%AEfdp.py") || !strings.Contains(got, "CON") || !strings.Contains(got, "in") || !strings.Contains(got, "d/up") || strings.Contains(got, "dance") || len(s.Files) != 7 {
		t.Errorf("%q", got)
	}
	if len(s.Rest) != len(s.Left) || len(s.Rest) != 9 {
		t.Errorf("%d of the rest, %d left: %q", len(s.Rest), len(s.Left), paths(s.Rest))
	}
}
