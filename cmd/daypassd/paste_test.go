package main

import (
	"strings"
	"testing"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/resolve"
)

// TestReadPaste: what an instructor pastes, and what it means.
func TestReadPaste(t *testing.T) {
	sites := resolve.Sites{Canvas: []string{"canvas.example.edu"}}
	const id = "1AbCdEfGhIjKlMnOpQrStUvWxYz0123456"
	for text, want := range map[string]string{
		"https://drive.google.com/drive/folders/" + id:                        "drive:drive.google.com/" + id,
		" https://drive.google.com/drive/u/1/folders/" + id + "?usp=sharing ": "drive:drive.google.com/" + id,
		"drive.google.com/file/d/" + id + "/view?resourcekey=0-AbCdEfGhIj":    "drive:drive.google.com/" + id,
		"https://docs.google.com/document/d/" + id + "/edit#heading=h.1":      "drive:drive.google.com/" + id,
		"https://drive.google.com/open?id=" + id:                              "drive:drive.google.com/" + id,
		"drive:drive.google.com/" + id:                                        "drive:drive.google.com/" + id,
		"canvas:canvas.example.edu/courses%2F42":                              "",
		"https://canvas.example.edu/courses/42/files":                         "canvas:canvas.example.edu/courses/42", "https://zenodo.org/records/7347926": "invenio:zenodo.org/7347926",
		"doi:10.7910/DVN/TJCLKP": "doi:doi.org/10.7910/DVN/TJCLKP", "10.5281/zenodo.7": "doi:doi.org/10.5281/zenodo.7", "https://doi.org/10.5281/zenodo.7": "doi:doi.org/10.5281/zenodo.7", "https://zenodo.org/doi/10.5281/zenodo.7": "doi:doi.org/10.5281/zenodo.7",
		"https://doi.org.evil.example/10.5281/zenodo.7":                                  "git:doi.org.evil.example/10.5281/zenodo.7",
		"canvas:canvas.example.edu/courses/42":                                           "canvas:canvas.example.edu/courses/42",
		"https://github.com/ORG/course":                                                  "git:github.com/ORG/course",
		"https://github.com/ORG/course.git":                                              "git:github.com/ORG/course",
		"github.com/ORG/lab1-{github}":                                                   "git:github.com/ORG/lab1-{github}",
		"https://github.com/ORG/course/tree/main/labs":                                   "git:github.com/ORG/course@main#labs",
		"https://github.com/ORG/course/blob/main/README.md":                              "git:github.com/ORG/course@main",
		"https://hub.example.edu/hub/user-redirect/git-pull?repo=https://github.com/o/r": "git:github.com/o/r",
		"https://drive.google.com/drive/my-drive":                                        "",
		"https://drive.google.com@evil.example/drive/folders/" + id:                      "",
		"https://token@github.com/ORG/course":                                            "",
		"git@github.com:ORG/course.git":                                                  "",
		"file:///etc/passwd":                                                             "",
		"ext::sh -c id":                                                                  "",
		"/etc":                                                                           "",
		"":                                                                               "",
		strings.Repeat("a", 5000):                                                        "",
	} {
		list, err := readPaste(text, sites, nil)
		got := ""
		if err == nil {
			got = list[0].Source.String()
		}
		if got != want {
			t.Errorf("%q: %q, want %q (%v)", text, got, want, err)
		}
		for _, p := range list {
			if _, ok := daypass.ParseSource(p.Source.String()); !ok || p.Words == "" {
				t.Errorf("%q: %+v", text, p)
			}
		}
	}
	if list, err := readPaste("https://github.com/ORG/course/blob/main/labs/a.ipynb", sites, nil); err != nil || list[0].Open != "labs/a.ipynb" {
		t.Errorf("a file: %+v %v", list, err)
	}
}

// TestSourceWords: a source is called by its own name where that is known, and no name
// says more than a name.
func TestSourceWords(t *testing.T) {
	drive := daypass.Source{Kind: daypass.KindDrive, Host: "drive.google.com", ID: "1AbC"}
	below := drive
	below.Path = "week 1"
	record := daypass.Source{Kind: daypass.KindInvenio, Host: "zenodo.org", ID: "3232985"}
	for _, c := range []struct {
		source      daypass.Source
		title, want string
	}{
		{drive, "", "Google Drive 1AbC"},
		{drive, "Lab 1", "“Lab 1” in Google Drive"},
		{drive, " \n ", "Google Drive 1AbC"},
		{drive, "x” in Canvas, read by “you", "“x' in Canvas, read by 'you” in Google Drive"},
		{drive, "a\u202eb", `“a\u202eb” in Google Drive`},
		{drive, strings.Repeat("ü", 300), "“" + strings.Repeat("ü", 79) + "…” in Google Drive"},
		{below, "week 1", "the folder week 1 of Google Drive 1AbC"},
		{record, "River levels", "“River levels”, 3232985 at zenodo.org"},
	} {
		if got := sourceWords(c.source, c.title); got != c.want {
			t.Errorf("%v, %q: %q, want %q", c.source, c.title, got, c.want)
		}
	}
}
