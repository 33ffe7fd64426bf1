package resolve

import (
	"errors"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass"
)

var sites = Sites{Canvas: []string{"canvas.example.edu"}, Invenio: []string{"rdm.example.edu"}, Figshare: []string{"kilthub.example.edu"}, CKAN: []string{"ckan.example.org"}, WebDAV: []string{"dav.example.org"}}

// TestPlaces: what the addresses of pages mean, by their text alone.
func TestPlaces(t *testing.T) {
	const id = "1o3okM5hYOgUGHYipyjiblEzbp29UX9cF"
	for text, want := range map[string]string{
		"https://drive.google.com/drive/folders/" + id:                              "drive:drive.google.com/" + id,
		"https://drive.google.com/drive/u/1/folders/" + id + "?usp=sharing":         "drive:drive.google.com/" + id,
		"https://drive.google.com/drive/mobile/folders/" + id:                       "drive:drive.google.com/" + id,
		"https://drive.google.com/folderview?id=" + id:                              "drive:drive.google.com/" + id,
		"https://drive.google.com/open?id=" + id:                                    "drive:drive.google.com/" + id,
		"https://drive.google.com/uc?id=" + id + "&export=download":                 "drive:drive.google.com/" + id,
		"https://drive.google.com/file/d/" + id + "/view?usp=drive_link":            "drive:drive.google.com/" + id,
		"https://drive.google.com/file/d/" + id + "/view?resourcekey=0-abcdefghijk": "drive:drive.google.com/" + id + "@0-abcdefghijk",
		"https://drive.google.com/file/u/0/d/" + id + "/view":                       "drive:drive.google.com/" + id,
		"https://drive.google.com/a/example.edu/file/d/" + id + "/edit":             "drive:drive.google.com/" + id,
		"https://drive.google.com/drive/shared-drives/0ABcdefghijklmnUk9PVA":        "drive:drive.google.com/0ABcdefghijklmnUk9PVA",
		"https://drive.usercontent.google.com/download?id=" + id:                    "drive:drive.google.com/" + id,
		"https://docs.google.com/document/d/" + id + "/edit#heading=h.x":            "drive:drive.google.com/" + id,
		"https://docs.google.com/spreadsheets/u/0/d/" + id + "/edit":                "drive:drive.google.com/" + id,
		"https://colab.research.google.com/drive/" + id:                             "drive:drive.google.com/" + id,

		"https://canvas.example.edu/courses/42/files":                               "canvas:canvas.example.edu/courses/42",
		"https://canvas.example.edu/courses/42":                                     "canvas:canvas.example.edu/courses/42",
		"https://x.instructure.com/courses/1234~567/files/folder/Week%201/a":        "canvas:x.instructure.com/courses/1234~567#Week%201/a",
		"https://canvas.example.edu/courses/sis_course_id:PH142/files/":             "canvas:canvas.example.edu/courses/sis_course_id:PH142",
		"https://canvas.example.edu/groups/7/files/99?wrap=1":                       "canvas:canvas.example.edu/groups/7/files/99",
		"https://canvas.example.edu/courses/42/files?preview=99":                    "canvas:canvas.example.edu/courses/42/files/99",
		"https://canvas.example.edu/courses/42/folders/5":                           "canvas:canvas.example.edu/courses/42/folders/5",
		"https://canvas.example.edu/files/99/download?verifier=hunter2":             "canvas:canvas.example.edu/files/99",
		"https://canvas.example.edu/files/folder/users_3/mine":                      "canvas:canvas.example.edu/users/3#mine",
		"https://canvas.example.edu/api/v1/courses/42/files":                        "canvas:canvas.example.edu/courses/42",
		"https://canvas.example.edu/courses/42/file_contents/course%20files/a/b.md": "canvas:canvas.example.edu/courses/42#a",
		"https://canvas.example.edu/courses/42/file_contents/course%20files/b.md":   "canvas:canvas.example.edu/courses/42",
		"https://canvas.example.edu/api/v1/files/99":                                "canvas:canvas.example.edu/files/99",
		"https://canvas.example.edu/api/v1/folders/5/files":                         "canvas:canvas.example.edu/folders/5",
		"https://canvas.example.edu/folders/5":                                      "canvas:canvas.example.edu/folders/5",
		"https://canvas.example.edu/files?preview=99":                               "canvas:canvas.example.edu/files/99",
		"https://canvas.example.edu/files":                                          "canvas:canvas.example.edu/users/self",
		"https://canvas.example.edu/files/folder/courses_42/a":                      "canvas:canvas.example.edu/courses/42#a",
		"https://canvas.example.edu/courses/42/modules":                             "?canvas:canvas.example.edu/courses/42",

		"10.5281/zenodo.3232985":                                                                     "!doi:doi.org/10.5281/zenodo.3232985",
		"doi:10.7910/DVN/6ZXAGT/3YRRYJ":                                                              "!doi:doi.org/10.7910/DVN/6ZXAGT/3YRRYJ",
		"hdl:11529/10016":                                                                            "!doi:doi.org/11529/10016",
		"https://doi.org/10.7910/DVN/6ZXAGT/3YRRYJ":                                                  "!doi:doi.org/10.7910/DVN/6ZXAGT/3YRRYJ",
		"https://www.doi.org/10.7910/DVN/6ZXAGT":                                                     "!doi:doi.org/10.7910/DVN/6ZXAGT",
		"https://hdl.handle.net/11529/10016":                                                         "!doi:doi.org/11529/10016",
		"https://zenodo.org/record/3232985":                                                          "invenio:zenodo.org/3232985",
		"http://zenodo.org/records/3232985":                                                          "invenio:zenodo.org/3232985",
		"https://zenodo.org/records/3232985/files/a.zip?download=1":                                  "invenio:zenodo.org/3232985",
		"https://data.caltech.edu/records/996aw-mf266":                                               "invenio:data.caltech.edu/996aw-mf266",
		"https://zenodo.org/doi/10.5281/zenodo.805993":                                               "!doi:doi.org/10.5281/zenodo.805993",
		"https://rdm.example.edu/records/abcde-12345":                                                "invenio:rdm.example.edu/abcde-12345",
		"https://figshare.com/articles/title/9782777":                                                "figshare:figshare.com/9782777",
		"https://figshare.com/articles/dataset/title/9782777/3":                                      "figshare:figshare.com/9782777@3",
		"https://figshare.com/account/articles/9782777":                                              "figshare:figshare.com/9782777",
		"https://kilthub.example.edu/articles/dataset/2020/12345678":                                 "figshare:kilthub.example.edu/12345678",
		"https://dataverse.harvard.edu/dataset.xhtml?persistentId=doi:10.7910/DVN/TJCLKP":            "dataverse:dataverse.harvard.edu/doi:10.7910/DVN/TJCLKP",
		"https://dataverse.harvard.edu/citation?persistentId=doi:10.7910/DVN/TJCLKP":                 "!dataverse:dataverse.harvard.edu/doi:10.7910/DVN/TJCLKP",
		"https://dataverse.harvard.edu/api/access/datafile/3323458":                                  "!dataverse:dataverse.harvard.edu/file/3323458",
		"https://other.example/dv/dataset.xhtml?persistentId=doi:10.70122/FK2/MBQA9G":                "?dataverse:other.example/dv/doi:10.70122/FK2/MBQA9G",
		"https://other.example/a/b.c/dataset.xhtml?persistentId=doi:10.70122/FK2/MBQA9G&version=1.2": "?dataverse:other.example/a/b.c/doi:10.70122/FK2/MBQA9G@1.2",
		"https://other.example/dv/citation?persistentId=hdl:1902.1/x":                                "?!dataverse:other.example/dv/hdl:1902.1/x",
		"swh:1:dir:94a9ed024d3859793618152ea559a168bbcbb5e2;origin=https://x;path=/docs":             "swh:archive.softwareheritage.org/swh:1:dir:94a9ed024d3859793618152ea559a168bbcbb5e2#docs",
		"https://archive.softwareheritage.org/swh:1:rev:94a9ed024d3859793618152ea559a168bbcbb5e2/":   "swh:archive.softwareheritage.org/swh:1:rev:94a9ed024d3859793618152ea559a168bbcbb5e2",
		"https://www.hydroshare.org/resource/76502ab28c5744f98e2bbad5155e39c7/":                      "hydroshare:www.hydroshare.org/76502ab28c5744f98e2bbad5155e39c7",
		"https://ckan.example.org/data/dataset/rain_2020":                                            "ckan:ckan.example.org/data/rain_2020",
		"https://github.com/o/r/actions/runs/1/artifacts/77":                                         "artifact:github.com/o/r/77",
		"https://dav.example.org/courses/ph142":                                                      "webdav:dav.example.org/courses/ph142",
		"https://github.com/ORG/lab/tree/main/week1":                                                 "?git:github.com/ORG/lab@main#week1",
		"https://github.com/ORG/lab":                                                                 "git:github.com/ORG/lab",
		"drive:drive.google.com/" + id + "#Week 1":                                                   "",
		"drive:drive.google.com/" + id + "#Week%201":                                                 "drive:drive.google.com/" + id + "#Week%201",
	} {
		list, err := Places(text, sites)
		if want == "" {
			if err == nil {
				t.Errorf("%s is read as %+v", text, list)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got := list[0].Source.String()
		if list[0].Ask != "" && list[0].Ask != AskRef {
			got = "!" + got
		}
		if !list[0].Certain {
			got = "?" + got
		}
		if got != want {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
		if list[0].Why == "" || list[0].Words == "" || strings.Contains(list[0].URL, "hunter2") {
			t.Errorf("%s: %+v", text, list[0])
		}
	}
}

// TestFileOfCanvas: an address of a file by its path is the folder, with the file to open.
func TestFileOfCanvas(t *testing.T) {
	for path, open := range map[string]string{"course%20files/a/b.md": "b.md", "course%20files/b.md": "b.md"} {
		list, err := Places("https://canvas.example.edu/courses/42/file_contents/"+path, sites)
		if err != nil || list[0].Open != open {
			t.Errorf("%s: %+v, %v", path, list, err)
		}
	}
}

// TestNoPlaces: each says what to give instead, and repeats nothing.
func TestNoPlaces(t *testing.T) {
	for _, text := range []string{
		"https://drive.google.com/drive/my-drive", "https://drive.google.com/drive/shared-with-me", "https://drive.google.com/drive/recent", "https://drive.google.com/drive/folders",
		"https://drive.google.com/drive/folders/short", "https://drive.google.com/drive/folders/aaaaaaaaaa'bbbbbbb", "https://docs.google.com/document/d/e/2PACX-hunter2hunter2/pub", "https://docs.google.com/forms/d/e/1FAIpQLS/viewform",
		"https://zenodo.org/communities", "https://zenodo.org/settings", "https://figshare.com/browse", "https://hydroshare.org/search/", "https://dataverse.harvard.edu/dataset.xhtml?persistentId=../../x",
		"https://canvas.example.edu/courses/42/quizzes", "https://canvas.example.edu/login", "https://canvas.example.edu/files/x", "https://canvas.example.edu/folders/x", "https://canvas.example.edu/files?preview=x", "https://canvas.example.edu/courses/42/file_contents/course%20files", "https://canvas.example.edu/courses/42/files/folder/%2e%2e/x", "doi:11.1/x", "10.1234", "11529/10016", "swh:1:dir:xyz", "swh:1:ori:94a9ed024d3859793618152ea559a168bbcbb5e2",
		"https://archive.softwareheritage.org/browse/", "https://u:hunter2@drive.google.com/drive/folders/aaaaaaaaaaaaaaa", "drive:EVIL.example/x\u202ey", "git:UPPER/x/y", "",
		"git:github.com/../x", "git:github.com/a/./b", "git:github.com/a/b#../x", "invenio:zenodo.org/../x", "drive:drive.google.com/", "drive:drive.google.com/..%2F..", "canvas:canvas.example.edu/",
	} {
		list, err := Places(text, sites)
		var p *daypass.Problem
		if !errors.As(err, &p) || p.Next == "" || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %+v, %v", text, list, err)
		}
	}
}

// TestNoIdentifiers: what only looks like a DOI, a handle or an identifier is said to be
// none, and never to be no repository.
func TestNoIdentifiers(t *testing.T) {
	for _, text := range []string{
		"10.1/foo", "10.x/y", "10.5555", "10.5555/", "10.0.0.1/o/r", "doi:foo", "doi:", "DOI: 10.12/x", "hdl:foo", "https://doi.org/", "http://dx.doi.org", "https://doi.org/foo", "https://hdl.handle.net/x", "swh:1:dir:xyz", "swh:1:dir:94a9ed024d3859793618152ea559a168bbcbb5e2;path=../x",
	} {
		_, err := Places(text, sites)
		var p *daypass.Problem
		if !errors.As(err, &p) || p.Code != "DP-362" || strings.Contains(err.Error(), "repository") || !strings.Contains(p.Next, "page of the record") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// FuzzPlaces: nothing that is read makes a source that is written in two ways.
func FuzzPlaces(f *testing.F) {
	for _, text := range []string{"https://drive.google.com/drive/folders/1o3okM5hYOgUGHYipyjiblEzbp29UX9cF", "https://canvas.example.edu/courses/4/files/folder/a%20b", "10.5281/zenodo.1#x", "https://dataverse.harvard.edu/dataset.xhtml?persistentId=doi:10.1/x"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := Places(text, sites)
		if (err == nil) != (len(list) > 0) {
			t.Fatalf("%d places, %v", len(list), err)
		}
		for _, p := range list {
			if p.Source == (daypass.Source{}) {
				continue
			}
			if again, ok := daypass.ParseSource(p.Source.String()); !ok || again != p.Source {
				t.Errorf("%q is %+v, which is read again as %+v", text, p.Source, again)
			}
		}
	})
}
