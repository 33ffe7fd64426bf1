package daypass_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass"
)

func TestSourceText(t *testing.T) {
	for text, want := range map[string]daypass.Source{
		"git:github.com/ORG/lab@main#week 1": {},
		"git:github.com/ORG/lab@main#week%201": {
			Kind: "git", Host: "github.com", ID: "ORG/lab", Ref: "main", Path: "week 1"},
		"drive:drive.google.com/1AbC":         {Kind: "drive", Host: "drive.google.com", ID: "1AbC"},
		"canvas:canvas.example.edu/courses/4": {Kind: "canvas", Host: "canvas.example.edu", ID: "courses/4"},
		"invenio:zenodo.org/12@3":             {Kind: "invenio", Host: "zenodo.org", ID: "12", Ref: "3"},
		"dataverse:d.example/doi:10.7910/A":   {Kind: "dataverse", Host: "d.example", ID: "doi:10.7910/A"},
		"git:h/x#a%2Cb%C3%A9":                 {Kind: "git", Host: "h", ID: "x", Path: "a,bé"},
		"git:h/x#a,b":                         {},
		"git:h/x#é":                           {},
		"git:h/a%40b@r%23x":                   {Kind: "git", Host: "h", ID: "a@b", Ref: "r#x"},
		"":                                    {}, "git:": {}, "git:h": {}, "git:h/": {}, ":h/x": {}, "git:h/x@": {}, "git:h/x#": {},
		"git:h/%41": {}, "git:h/%4": {}, "git:h/%zz": {}, "git:h/x%2a": {}, "git:/x": {},
	} {
		got, ok := daypass.ParseSource(text)
		if ok != (want != daypass.Source{}) || ok && got != want {
			t.Errorf("%q: %+v, %v", text, got, ok)
		}
		if ok && got.String() != text {
			t.Errorf("%q is written as %q", text, got.String())
		}
	}
}

// TestMissingFolder: how far a path leads, and which folders are there where it ends.
func TestMissingFolder(t *testing.T) {
	files := [][]string{{"readme"}, {"labs", "1", "a"}, {"labs", "1", "b"}, {"labs", "2", "a"}, {"labs", "note"}, {"data", "x"}, {"lab", "y"}, {"a/b", "z"}}
	for path, want := range map[string]daypass.NoFolder{
		"lab1":     {Name: "lab1", There: []string{"a/b", "data", "lab", "labs"}},
		"labs/3":   {In: "labs", Name: "3", There: []string{"1", "2"}},
		"labs/1/c": {In: "labs/1", Name: "c"},
		"a/b":      {Name: "a", There: []string{"a/b", "data", "lab", "labs"}},
		"readme/x": {Name: "readme", There: []string{"a/b", "data", "lab", "labs"}},
		"lab/y/z":  {In: "lab", Name: "y"},
	} {
		got := daypass.MissingFolder(path, slices.Values(files))
		if got.In != want.In || got.Name != want.Name || !slices.Equal(got.There, want.There) || strings.Contains(got.Error(), "lab") {
			t.Errorf("%s: %+v", path, *got)
		}
	}
	var many [][]string
	for n := range 2 * daypass.MaxThere {
		many = append(many, []string{strconv.Itoa(n), "x"})
	}
	if n := len(daypass.MissingFolder("x", slices.Values(many)).There); n != daypass.MaxThere {
		t.Errorf("%d names", n)
	}
}

func FuzzSourceText(f *testing.F) {
	f.Add("git", "github.com", "ORG/lab", "main", "week 1")
	f.Add("drive", "h", "a@b#c%", "\x00", "é/\u202e")
	f.Fuzz(func(t *testing.T, kind, host, id, ref, path string) {
		s := daypass.Source{Kind: "git", Host: host, ID: id, Ref: ref, Path: path}
		if host == "" || id == "" {
			return
		}
		for _, c := range host {
			if c == '/' {
				return
			}
		}
		if got, ok := daypass.ParseSource(s.String()); !ok || got != s {
			t.Errorf("%+v is written as %q, read as %+v, %v", s, s.String(), got, ok)
		}
	})
}
