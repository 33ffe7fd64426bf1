package snapshot

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/contenttest"
	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/internal/plumbing"
)

func manifestOf(files ...string) Manifest {
	m := Manifest{Version: 1, Source: contenttest.Source().String(), Complete: true, ByID: true}
	for i, f := range files {
		m.Files = append(m.Files, Stored{Path: f, ID: fmt.Sprint("id", i), Size: 1})
	}
	return m
}

// TestManifestHostile are manifests that are refused.
func TestManifestHostile(t *testing.T) {
	rows := map[string]func(*Manifest){
		"version":            func(m *Manifest) { m.Version = 2 },
		"no source":          func(m *Manifest) { m.Source = "" },
		"odd source":         func(m *Manifest) { m.Source = "drive:Host/ID#" },
		"up":                 func(m *Manifest) { m.Files[0].Path = "../x" },
		"absolute":           func(m *Manifest) { m.Files[0].Path = "/x" },
		"git":                func(m *Manifest) { m.Files[0].Path = "a/.git/config" },
		"control":            func(m *Manifest) { m.Files[0].Path = "a\nb" },
		"empty path":         func(m *Manifest) { m.Files[0].Path = "" },
		"twice":              func(m *Manifest) { m.Files[1].Path = m.Files[0].Path },
		"file and folder":    func(m *Manifest) { m.Files[1].Path = m.Files[0].Path + "/x" },
		"size":               func(m *Manifest) { m.Files[0].Size = -5 },
		"endless title":      func(m *Manifest) { m.Title = strings.Repeat("x", 1<<20) },
		"endless id":         func(m *Manifest) { m.Files[0].ID = strings.Repeat("x", 1<<20) },
		"endless notes":      func(m *Manifest) { m.Notes = make([]string, 5000) },
		"pointer up":         func(m *Manifest) { m.Left = []Stored{{Path: "x", As: "../x"}} },
		"pointer over file":  func(m *Manifest) { m.Left = []Stored{{Path: "x", As: m.Files[0].Path}} },
		"limit makes no sum": func(m *Manifest) { m.Left = []Stored{{Path: "x", Over: -1}} },
	}
	for name, spoil := range rows {
		m := manifestOf("a", "b")
		spoil(&m)
		data, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ParseManifest(data); !errors.Is(err, errManifest) {
			t.Errorf("%s: %v %+v", name, err, got)
		}
	}
	for _, text := range []string{"", "null", "{}", "[]", `{"version":1}`, `{"version":"1"}`, "\xff", strings.Repeat("[", 100_000)} {
		if _, err := ParseManifest([]byte(text)); err == nil {
			t.Errorf("%.20q is read", text)
		}
	}
}

// FuzzManifest: whatever is read keeps what [ParseManifest] promises, and is written the
// same again.
func FuzzManifest(f *testing.F) {
	for _, m := range []Manifest{manifestOf(), manifestOf("a", "b/c"), {Version: 1, Source: "git:h/x", Left: []Stored{{Path: "p", As: "p.daypass-pointer", Over: 5}}, Notes: []string{"n"}}} {
		m.Files = append(m.Files, Stored{Path: "kept", Gone: time.Unix(1e9, 0).UTC(), Was: "k\tept", Why: "w"})
		data, err := m.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseManifest(data)
		if err != nil {
			return
		}
		paths, err := m.paths()
		if err != nil {
			t.Fatal(err)
		}
		for name := range paths {
			if clean, _, ok := Name(name); !ok || clean != name {
				t.Fatalf("%q may not be delivered", name)
			}
			if _, ok := paths[path.Dir(name)]; ok {
				t.Fatalf("%q lies in a file", name)
			}
		}
		for from, to := range renames(m, m) {
			if paths[from].Path == "" || paths[to].Path == "" {
				t.Fatalf("a rename from %q to %q", from, to)
			}
		}
		once, err := m.encode()
		if err != nil {
			return // a year beyond 9999
		}
		again, err := ParseManifest(once)
		if err != nil {
			t.Fatalf("%v of %s", err, once)
		}
		if twice, _ := again.encode(); !bytes.Equal(once, twice) {
			t.Fatalf("%s is written as %s", once, twice)
		}
	})
}

// TestReadContentHostile are commits that are refused, made by git as anybody can.
func TestReadContentHostile(t *testing.T) {
	g, err := plumbing.Find(os.Getenv, os.Environ())
	if err != nil {
		t.Fatal(err)
	}
	repo, err := g.Create(gittest.TempDir(t)+"/repo.git", "sha1")
	if err != nil {
		t.Fatal(err)
	}
	run := func(in string, args ...string) plumbing.OID {
		t.Helper()
		cmd := repo.Command(t.Context(), args...)
		cmd.Stdin = strings.NewReader(in)
		cmd.Env = append(cmd.Env, "GIT_AUTHOR_NAME=x", "GIT_AUTHOR_EMAIL=x", "GIT_COMMITTER_NAME=x", "GIT_COMMITTER_EMAIL=x")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v %s", args, err, out)
		}
		return plumbing.OID(strings.TrimSpace(string(out)))
	}
	blob := func(text string) plumbing.OID { return run(text, "hash-object", "-w", "--stdin") }
	tree := func(lines ...string) plumbing.OID { return run(strings.Join(lines, ""), "mktree", "--missing") }
	entry := func(mode, kind string, oid plumbing.OID, name string) string {
		return fmt.Sprintf("%s %s %s\t%s\n", mode, kind, oid, name)
	}
	one := blob("1")
	good, err := manifestOf("a").encode()
	if err != nil {
		t.Fatal(err)
	}
	m := entry("100644", "blob", blob(string(good)), "daypass.json")
	content := func(lines ...string) string { return entry("040000", "tree", tree(lines...), "content") }
	a := entry("100644", "blob", one, "a")
	first := run("", "commit-tree", "-m", "x", string(tree(m, content(a))))
	none := plumbing.OID(strings.Repeat("1", 40))
	rows := map[string]struct {
		commit plumbing.OID
		limits Limits
		code   string
	}{
		"good":               {first, Limits{}, ""},
		"a parent":           {run("", "commit-tree", "-m", "x", "-p", string(first), string(tree(m, content(a)))), Limits{}, "DP-460"},
		"a tag":              {run("object "+string(first)+"\ntype commit\ntag x\ntagger x <x> 0 +0000\n\nx\n", "mktag"), Limits{}, "DP-460"},
		"a blob":             {one, Limits{}, "DP-460"},
		"nothing":            {none, Limits{}, "DP-460"},
		"no manifest":        {run("", "commit-tree", "-m", "x", string(tree(content(a)))), Limits{}, "DP-460"},
		"no content":         {run("", "commit-tree", "-m", "x", string(tree(m))), Limits{}, "DP-460"},
		"more at the top":    {run("", "commit-tree", "-m", "x", string(tree(m, content(a), entry("100644", "blob", one, "x")))), Limits{}, "DP-460"},
		"manifest is a link": {run("", "commit-tree", "-m", "x", string(tree(strings.Replace(m, "100644", "120000", 1), content(a)))), Limits{}, "DP-460"},
		"a file more":        {run("", "commit-tree", "-m", "x", string(tree(m, content(a, entry("100644", "blob", one, "b"))))), Limits{}, "DP-460"},
		"another file":       {run("", "commit-tree", "-m", "x", string(tree(m, content(entry("100644", "blob", one, "b"))))), Limits{}, "DP-460"},
		"a link out":         {run("", "commit-tree", "-m", "x", string(tree(m, content(entry("120000", "blob", blob("/etc/passwd"), "a"))))), Limits{}, "DP-460"},
		"a link inside":      {run("", "commit-tree", "-m", "x", string(tree(m, content(entry("120000", "blob", blob("b"), "a"))))), Limits{}, ""},
		"an endless link":    {run("", "commit-tree", "-m", "x", string(tree(m, content(entry("120000", "blob", blob(strings.Repeat("x", 5000)), "a"))))), Limits{}, "DP-460"},
		"a submodule":        {run("", "commit-tree", "-m", "x", string(tree(m, content(entry("160000", "commit", first, "a"))))), Limits{}, "DP-460"},
		"a missing blob":     {run("", "commit-tree", "-m", "x", string(tree(m, content(entry("100644", "blob", none, "a"))))), Limits{}, "DP-460"},
		"a tree for a file":  {run("", "commit-tree", "-m", "x", string(tree(m, content(entry("040000", "tree", tree(a), "a"))))), Limits{}, "DP-460"},
		"content is a file":  {run("", "commit-tree", "-m", "x", string(tree(m, entry("100644", "blob", one, "content")))), Limits{}, "DP-460"},
		"over the total":     {first, Limits{Total: 1, File: 1, Files: 1}, ""},
		"too many":           {run("", "commit-tree", "-m", "x", string(tree(entry("100644", "blob", blob(many(t)), "daypass.json"), content(a, entry("100644", "blob", one, "b"))))), Limits{Files: 1}, "DP-461"},
		"too much":           {run("", "commit-tree", "-m", "x", string(tree(entry("100644", "blob", blob(many(t)), "daypass.json"), content(a, entry("100644", "blob", one, "b"))))), Limits{Total: 1}, "DP-461"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			o, err := repo.Objects(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer o.Close()
			s, _, err := ReadContent(o, row.commit, row.commit, row.limits)
			var p *daypass.Problem
			if row.code == "" && err != nil || row.code != "" && (!errors.As(err, &p) || p.Code != row.code || len(s.Files) > 0) {
				t.Errorf("it says %v and gives %+v", err, s.Files)
			}
		})
	}
}

func many(t *testing.T) string {
	data, err := manifestOf("a", "b").encode()
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestReadContentLimit: a file over the reader's own limit is not delivered.
func TestReadContentLimit(t *testing.T) {
	s := newShelf(t)
	s.f.Add("a", "1")
	s.f.Add("large", "1234567890")
	snap := s.fetch()
	o, err := s.repo.Objects(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	got, _, err := ReadContent(o, snap.Commit, "", Limits{File: 5})
	if err != nil || len(got.Files) != 1 || got.Bytes != 1 || len(got.Left) != 1 || !got.Left[0].TooLarge || len(got.Rest) != 1 {
		t.Errorf("%+v %v", got, err)
	}
}

// TestManifestBomb: a few bytes for each of endless files are refused before they are
// given memory.
func TestManifestBomb(t *testing.T) {
	data := []byte(`{"version":1,"source":"drive:drive.google.com/x","files":[` + strings.Repeat("{},", plumbing.MaxFiles) + `{}]}`)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := ParseManifest(data)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; !errors.Is(err, errManifest) || n > 1<<20 {
		t.Errorf("%v; %d bytes", err, n)
	}
}
