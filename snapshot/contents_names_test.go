package snapshot

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/contenttest"
)

// TestContentNames are the rows of hostile names that a listing can have: what of it is
// delivered, and under which name.
func TestContentNames(t *testing.T) {
	long := strings.Repeat("x", 252)
	deep := strings.Repeat("d/", 64) + "f"
	rows := map[string]struct {
		parts []string
		path  string // "": refused
		why   string
	}{
		"plain":              {[]string{"lab", "a.txt"}, "lab/a.txt", ""},
		"slash":              {[]string{"a/b.txt"}, "a∕b.txt", "its name held a slash"},
		"slash in folder":    {[]string{"1/2", "x"}, "1∕2/x", "its name held a slash"},
		"up as a name":       {[]string{"../x"}, "..∕x", "its name held a slash"},
		"up as a folder":     {[]string{"..", "x"}, "", "its path leads elsewhere"},
		"absolute":           {[]string{"/etc/passwd"}, "∕etc∕passwd", "its name held a slash"},
		"empty part":         {[]string{"a", "", "b"}, "", "a part of its path is empty"},
		"no name":            {nil, "", "it has no name"},
		"empty name":         {[]string{""}, "", "it has no name"},
		"dot":                {[]string{"a", ".", "b"}, "", "its path leads elsewhere"},
		"git":                {[]string{".git", "config"}, "", "it would lie in git's own folder"},
		"git, other case":    {[]string{"a", ".GIT", "hooks", "x"}, "", "it would lie in git's own folder"},
		"git, space":         {[]string{".git ", "x"}, "", "it would lie in git's own folder"},
		"git, short name":    {[]string{"git~1", "x"}, "", "it would lie in git's own folder"},
		"git, stream":        {[]string{".git::$INDEX_ALLOCATION", "x"}, "", "it would lie in git's own folder"},
		"git, ignorable":     {[]string{".g\u200cit", "x"}, "", "it would lie in git's own folder"},
		"backslash":          {[]string{`a\..\b`}, "", "its name holds a backslash"},
		"NUL":                {[]string{"a\x00b"}, "", "its name holds a NUL"},
		"no UTF-8":           {[]string{"a\xff"}, "", "its name is not in UTF-8"},
		"newline":            {[]string{"a\nb\t"}, "a%0Ab%09", "its name held characters that do not show"},
		"bidi":               {[]string{"txt.\u202efdp"}, "txt.%E2%80%AEfdp", "its name held characters that do not show"},
		"256 bytes":          {[]string{long + ".txt"}, "*", "its name was too long"},
		"too deep":           {strings.Split(deep, "/"), "", "it lies more than 64 folders deep"},
		"path too long":      {strings.Split(strings.Repeat(strings.Repeat("y", 200)+"/", 6)+"f", "/"), "", "its path is longer than 1024 bytes"},
		"dash and tilde":     {[]string{"-rf", "~"}, "-rf/~", ""},
		"dot-files":          {[]string{".ipython", "profile_default", "startup", "x.py"}, ".ipython/profile_default/startup/x.py", ""},
		"attributes":         {[]string{".gitattributes"}, ".gitattributes", ""},
		"name of a manifest": {[]string{"daypass.json"}, "daypass.json", ""},
		"name of a folder":   {[]string{"content", "daypass.json"}, "content/daypass.json", ""},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShelf(t)
			s.f.AddFile(contenttest.File{Parts: row.parts, Data: "x"})
			snap := s.fetch()
			if row.path == "" {
				if len(snap.Files) != 0 || len(snap.Left) != 1 || snap.Left[0].Why != row.why || snap.Left[0].As != "" {
					t.Errorf("%+v", snap)
				}
				return
			}
			if len(snap.Files) != 1 || row.path != "*" && snap.Files[0].Path != row.path || len(snap.Files[0].Path) > MaxComponent && !strings.Contains(row.path, "/") {
				t.Fatalf("%+v", snap.Files)
			}
			if row.why == "" && len(snap.Left) != 0 || row.why != "" && (len(snap.Left) != 1 || snap.Left[0].Why != row.why || snap.Left[0].As != snap.Files[0].Path) {
				t.Errorf("left %+v", snap.Left)
			}
		})
	}
}

// TestContentClashes are files of one listing that want one name.
func TestContentClashes(t *testing.T) {
	type file struct{ id, path, data string }
	long := strings.Repeat("é", 125)
	rows := map[string]struct {
		files []file
		want  map[string]string
	}{
		"two of one name": {
			[]file{{"id9", "a.tar.gz", "9"}, {"id1", "a.tar.gz", "1"}, {"id5", "a.tar.gz", "5"}},
			map[string]string{"a.tar.gz": "1", "a.tar (id5).gz": "5", "a.tar (id9).gz": "9"},
		},
		"numbers": {
			[]file{{"100", "a", "new"}, {"99", "a", "old"}},
			map[string]string{"a": "old", "a (100)": "new"},
		},
		"file and folder": {
			[]file{{"id1", "a", "file"}, {"id2", "a/b", "b"}},
			map[string]string{"a (id1)": "file", "a/b": "b"},
		},
		"two folders of one name": {
			[]file{{"id1", "d/x", "1"}, {"id2", "d/x", "2"}, {"id3", "d/y", "3"}},
			map[string]string{"d/x": "1", "d/x (id2)": "2", "d/y": "3"},
		},
		"the other name is taken": {
			[]file{{"id1", "a.txt", "1"}, {"id2", "a.txt", "2"}, {"id3", "a (id2).txt", "3"}},
			map[string]string{"a.txt": "1", "a (b459afdd).txt": "2", "a (id2).txt": "3"},
		},
		"escaped into another's": {
			[]file{{"id1", "a\tb", "odd"}, {"id2", "a%09b", "plain"}},
			map[string]string{"a%09b": "plain", "a%09b (id1)": "odd"},
		},
		"an odd id": {
			[]file{{"id1", "a", "1"}, {"x/../..", "a", "2"}},
			map[string]string{"a": "1", "a (7612aba6)": "2"},
		},
		"no room for the ending": {
			[]file{{"id1", long + ".txt", "1"}, {"id2", long + ".txt", "2"}},
			map[string]string{long + ".txt": "1", strings.Repeat("é", 118) + "~34227530 (id2).txt": "2"},
		},
		"case": {[]file{{"id1", "A", "1"}, {"id2", "a", "2"}}, map[string]string{"A": "1", "a": "2"}},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShelf(t)
			for _, f := range row.files {
				s.f.AddAs(f.id, f.path, f.data)
			}
			snap := s.fetch()
			s.want(snap, row.want)
			for _, f := range snap.Files {
				if len(f.Path) > MaxComponent {
					t.Errorf("%q has %d bytes", f.Path, len(f.Path))
				}
			}
			again := newShelf(t) // in another order
			for i := range row.files {
				f := row.files[len(row.files)-1-i]
				again.f.AddAs(f.id, f.path, f.data)
			}
			if got := again.texts(again.fetch()); !maps.Equal(got, row.want) {
				t.Errorf("in another order: %q", got)
			}
		})
	}
}

// TestContentNoIDs: without ids there is a name for each all the same.
func TestContentNoIDs(t *testing.T) {
	s := newShelf(t)
	s.f.NoIDs = true
	for i := range 4 {
		s.f.Add("a.txt", fmt.Sprint(i))
	}
	one := s.fetch()
	if got := s.texts(one); len(got) != 4 || got["a.txt"] == "" || got["a (2).txt"] == "" || got["a (4).txt"] == "" {
		t.Errorf("%q", got)
	}
	if one.Renames != nil {
		t.Errorf("renames are known: %v", one.Renames)
	}
	s.f.Counts()
	if two := s.fetch(); two.Commit != one.Commit {
		t.Errorf("another commit: %q", s.texts(two))
	}
	s.opened()
}

// TestContentBytes: what looks like a formula or a script is delivered as it is.
func TestContentBytes(t *testing.T) {
	s := newShelf(t)
	want := map[string]string{
		"sheet.csv":          "=HYPERLINK(\"http://evil\";\"x\")\r\n@SUM(1)\r\n",
		"page.html":          "<script>alert(1)</script>",
		"nb.ipynb":           "{\"cells\":[{\"outputs\":[{\"data\":{\"text/html\":[\"<script>\"]}}]}]}",
		"run.sh":             "#!/bin/sh\nexit 1\n",
		".gitattributes":     "* filter=evil text eol=crlf\n",
		"crlf.txt":           "a\r\nb\r\n",
		"=cmd|' /C calc'!A0": "x",
	}
	for path, data := range want {
		s.f.Add(path, data)
	}
	s.want(s.fetch(), want)
}

// FuzzContentNames: whatever a listing holds, each file has a path of its own that may
// be delivered, the same in whatever order they come.
func FuzzContentNames(f *testing.F) {
	f.Add("a\nb\na\na/b\n../x\n.git/x\na (id1)\n\u202e\na\x00", uint8(3), true)
	f.Add(strings.Repeat("x", 300)+"\n"+strings.Repeat("x", 300)+"\n"+strings.Repeat("x", 254)+"\u00e9", uint8(0), false)
	f.Fuzz(func(t *testing.T, text string, turn uint8, ids bool) {
		var items []daypass.Item
		for i, line := range strings.Split(text, "\n") {
			it := daypass.Item{Parts: strings.Split(line, "|"), Mark: fmt.Sprint(i)}
			if ids {
				it.ID = fmt.Sprintf("id%d/%s", i%17, line[:min(len(line), 2)])
			}
			items = append(items, it)
		}
		pieces, left := name(items)
		if len(pieces)+len(left) != len(items) {
			t.Fatalf("%d and %d of %d", len(pieces), len(left), len(items))
		}
		m := Manifest{Version: 1, Source: contenttest.Source().String()}
		at := map[string]string{}
		for _, p := range pieces {
			m.Files = append(m.Files, Stored{Path: p.path})
			at[p.Mark] = p.path
			if p.path != strings.Join(p.Parts, "/") && (p.why == "" || p.was == "") {
				t.Fatalf("%q is %q without a reason", p.Parts, p.path)
			}
		}
		if _, err := m.paths(); err != nil {
			t.Fatal(err)
		}
		for i := range items {
			j := (i*7 + int(turn)) % len(items)
			items[i], items[j] = items[j], items[i]
		}
		again, _ := name(items)
		for _, p := range again {
			if at[p.Mark] != p.path {
				t.Fatalf("%q is %q, and %q in another order", p.Parts, at[p.Mark], p.path)
			}
		}
	})
}

// TestContentOneName: a listing of files that all have one name, and one id or none,
// takes no longer than another.
func TestContentOneName(t *testing.T) {
	for _, id := range []string{"", "x"} {
		items := make([]daypass.Item, 80_000)
		for i := range items {
			items[i] = daypass.Item{Parts: []string{"a"}, ID: id}
		}
		began := time.Now()
		if pieces, _ := name(items); len(pieces) != len(items) {
			t.Errorf("%d pieces", len(pieces))
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("it took %v", took)
		}
	}
}
