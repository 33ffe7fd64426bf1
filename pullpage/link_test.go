package pullpage

import (
	"errors"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass"
)

func read(t *testing.T, name, query string, s Settings) (Link, error) {
	t.Helper()
	v, err := ReadQuery(query)
	if err != nil {
		return Link{}, err
	}
	return ReadLink(name, v, s)
}

func codeOf(err error) string {
	var p *daypass.Problem
	if errors.As(err, &p) {
		return p.Code
	}
	return ""
}

// TestPublishedLinks are links as courses have published them, and what
// nbgitpuller makes of each: repository, ref, folder, where the browser goes.
func TestPublishedLinks(t *testing.T) {
	none := Settings{}
	lab := Settings{App: "lab"}
	inCourses := Settings{Parent: "courses"}
	for _, c := range []struct {
		why, name, query string
		s                Settings
		repo, ref, into  string
		target           string
		runs             bool
	}{
		{"the link maker, lab", "git-pull", "repo=https%3A%2F%2Fgithub.com%2Forg%2Flab-3&urlpath=lab%2Ftree%2Flab-3%2Findex.ipynb&branch=main", none, "https://github.com/org/lab-3", "main", "lab-3", "lab/tree/lab-3/index.ipynb", false},
		{"the link maker, notebook", "git-pull", "repo=https%3A%2F%2Fgithub.com%2Forg%2Flab-3&urlpath=tree%2Flab-3%2F&branch=main", none, "https://github.com/org/lab-3", "main", "lab-3", "tree/lab-3/", false},
		{"the link maker, RetroLab", "git-pull", "repo=https%3A%2F%2Fgithub.com%2Forg%2Flab-3&urlpath=retro%2Ftree%2Flab-3%2Fa.ipynb&branch=main", none, "https://github.com/org/lab-3", "main", "lab-3", "retro/tree/lab-3/a.ipynb", false},
		{"the link maker, RStudio", "git-pull", "repo=https%3A%2F%2Fgithub.com%2Forg%2Flab-3&urlpath=rstudio%2F&branch=main", none, "https://github.com/org/lab-3", "main", "lab-3", "rstudio/", false},
		{"the link maker, Shiny", "git-pull", "repo=https%3A%2F%2Fgithub.com%2Forg%2Fapp&urlpath=shiny%2Fapp%2F&branch=main", none, "https://github.com/org/app", "main", "app", "shiny/app/", true},
		{"an address that ends in .git keeps it", "git-pull", "repo=https%3A%2F%2Fgithub.com%2Forg%2FKurs.git&urlpath=lab%2Ftree%2FKurs.git%2FBilder%2FMNIST.ipynb&branch=main", none, "https://github.com/org/Kurs.git", "main", "Kurs.git", "lab/tree/Kurs.git/Bilder/MNIST.ipynb", false},
		{"a slash at the end", "git-pull", "repo=https://github.com/org/lab-3/", none, "https://github.com/org/lab-3/", "", "lab-3", "tree/lab-3", false},
		{"not escaped", "git-pull", "repo=https://github.com/callysto/notebooks&branch=master", none, "https://github.com/callysto/notebooks", "master", "notebooks", "tree/notebooks", false},
		{"subPath of a notebook, and depth", "git-pull", "repo=https%3A%2F%2Fgithub.com%2Fcallysto%2Fc&branch=master&subPath=Science/COVID-19/a.ipynb&depth=1", none, "https://github.com/callysto/c", "master", "c", "notebooks/c/Science/COVID-19/a.ipynb", false},
		{"subpath wins over subPath", "git-pull", "repo=https://h/o/c&subpath=a&subPath=b", none, "https://h/o/c", "", "c", "tree/c/a", false},
		{"a folder as subPath", "git-pull", "repo=https://github.com/o/Lessons&branch=main&subPath=lessons", none, "https://github.com/o/Lessons", "main", "Lessons", "tree/Lessons/lessons", false},
		{"the subPath of old manuals", "git-pull", "repo=https://h/o/c&subPath=.", none, "https://h/o/c", "", "c", "tree/c", false},
		{"app=lab", "git-pull", "repo=https://h/o/c&app=lab&subPath=a.ipynb", none, "https://h/o/c", "", "c", "lab/tree/c/a.ipynb", false},
		{"APP of the site", "git-pull", "repo=https://h/o/c&subPath=a.ipynb", lab, "https://h/o/c", "", "c", "lab/tree/c/a.ipynb", false},
		{"app of the link over the site's", "git-pull", "repo=https://h/o/c&app=notebook&subPath=a.IPYNB", lab, "https://h/o/c", "", "c", "notebooks/c/a.IPYNB", false},
		{"an empty app is notebook", "git-pull", "repo=https://h/o/c&app=", lab, "https://h/o/c", "", "c", "tree/c", false},
		{"PARENTPATH", "git-pull", "repo=https://h/o/c&app=lab", inCourses, "https://h/o/c", "", "courses/c", "lab/tree/courses/c", false},
		{"targetPath under PARENTPATH", "git-pull", "repo=https://h/o/c&targetPath=week%201", inCourses, "https://h/o/c", "", "courses/week 1", "tree/courses/week%201", false},
		{"targetpath wins, and may be deep", "git-pull", "repo=https%3A%2F%2Fgithub.com%2Fn%2Ft&branch=materials%2Fpearc26&targetPath=x&targetpath=a/pearc26&urlpath=lab%2Ftree%2Fpearc26%2Fworkspace", none, "https://github.com/n/t", "materials/pearc26", "a/pearc26", "lab/tree/pearc26/workspace", false},
		{"the last of several counts", "git-pull", "repo=https://h/o/a&repo=https://h/o/b&branch=x&branch=", none, "https://h/o/b", "", "b", "tree/b", false},
		{"white space around", "git-pull", "repo=%20https://h/o/b%0A&branch=+main+", none, "https://h/o/b", "main", "b", "tree/b", false},
		{"urlPath", "git-pull", "repo=https://h/o/b&urlPath=notebooks/b/a%20b.ipynb", none, "https://h/o/b", "", "b", "notebooks/b/a%20b.ipynb", false},
		{"the manual's autodecode", "git-pull", "repo=https://h/o/b&urlpath=lab%2Ftree%2Fb%2Fa.ipynb%3Fautodecode", none, "https://h/o/b", "", "b", "lab/tree/b/a.ipynb?autodecode", false},
		{"the manual's slash in front", "git-pull", "repo=https://h/o/b&urlpath=%2Flab%2Ftree%2Fb%2F%3Fautodecode", none, "https://h/o/b", "", "b", "lab/tree/b/?autodecode", false},
		{"two slashes at the end", "git-pull", "repo=https://h/o/b&urlpath=tree%2F%2F", none, "https://h/o/b", "", "b", "tree/", false},
		{"a workspace of JupyterLab", "git-pull", "repo=https://h/o/b&urlpath=lab/workspaces/w1/tree/b/a.ipynb", none, "https://h/o/b", "", "b", "lab/workspaces/w1/tree/b/a.ipynb", false},
		{"VS Code", "git-pull", `repo=https://h/o/b&urlpath=vscode%2F%3Fpayload%3D%5B%5B%22openFile%22%2C%22vscode-remote%3A%2F%2F%2Fhome%2Fjovyan%2Fb%2Fa.py%22%5D%5D%0A`, none, "https://h/o/b", "", "b", "vscode/?payload=%5B%5B%22openFile%22,%22vscode-remote:///home/jovyan/b/a.py%22%5D%5D", false},
		{"RStudio", "git-pull", "repo=https://h/o/b&urlpath=%2Frstudio", none, "https://h/o/b", "", "b", "rstudio", false},
		{"a project of RStudio", "git-pull", "repo=https://h/o/b&urlpath=rstudio/?project=~/b/b.Rproj", none, "https://h/o/b", "", "b", "rstudio/?project=~/b/b.Rproj", true},
		{"Voila", "git-pull", "repo=https://h/o/b&urlpath=voila/render/b/a.ipynb", none, "https://h/o/b", "", "b", "voila/render/b/a.ipynb", true},
		{"a proxy", "git-pull", "repo=https://h/o/b&urlpath=proxy/8501/", none, "https://h/o/b", "", "b", "proxy/8501/", true},
		{"two links in one", "git-pull", "repo=https://h/o/b&urlpath=git-pull%3Frepo%3Dhttps%253A%252F%252Fh%252Fo%252Fc", none, "https://h/o/b", "", "b", "git-pull?repo=https%3A%2F%2Fh%2Fo%2Fc", false},
		{"not ASCII", "git-pull", "repo=https://h/o/%C3%BCbung&urlpath=lab/tree/%C3%BCbung/a.ipynb", none, "https://h/o/übung", "", "übung", "lab/tree/%C3%BCbung/a.ipynb", false},
		{"a percent sign in a name", "git-pull", "repo=https://h/o/b&urlpath=lab/tree/b/100%2525.ipynb", none, "https://h/o/b", "", "b", "lab/tree/b/100%25.ipynb", false},
		{"backup leads to the folder above", "git-pull", "repo=https://h/o/b&urlpath=lab/tree/b/a.ipynb&backup=true", inCourses, "https://h/o/b", "", "courses/b", "lab/tree/courses", false},
		{"backup without a urlpath", "git-pull", "repo=https://h/o/b&backup=true", none, "https://h/o/b", "", "b", "tree/", false},
		{"git-sync", "git-sync", "repo=https://github.com/data-8/materials&branch=gh-pages&subPath=lec/a.ipynb", none, "https://github.com/data-8/materials", "gh-pages", "materials", "notebooks/materials/lec/a.ipynb", false},
		{"interact", "interact", "repo=connector-instructors&path=examples/a.ipynb", none, "https://github.com/data-8/connector-instructors", "gh-pages", "connector-instructors", "notebooks/connector-instructors/examples/a.ipynb", false},
		{"interact of another account", "interact", "account=ds-modules&repo=SOC-130AC&branch=master&path=Part-0.ipynb", none, "https://github.com/ds-modules/SOC-130AC", "master", "SOC-130AC", "notebooks/SOC-130AC/Part-0.ipynb", false},
		{"interact without a path", "interact", "repo=prob140", none, "https://github.com/data-8/prob140", "gh-pages", "prob140", "tree/prob140", false},
		{"ssh", "git-pull", "repo=git@github.com:org/lab-3.git", none, "git@github.com:org/lab-3.git", "", "lab-3.git", "tree/lab-3.git", false},
		{"a folder of the server", "git-pull", "repo=/srv/courses/lab-3", none, "/srv/courses/lab-3", "", "lab-3", "tree/lab-3", false},
		{"a page of GitHub's", "git-pull", "repo=https://github.com/org/lab-3/tree/main/week1", none, "https://github.com/org/lab-3/tree/main/week1", "", "lab-3", "tree/lab-3", false},
		{"a commit", "git-pull", "repo=https://h/o/b&branch=0123456789abcdef0123456789abcdef01234567", none, "https://h/o/b", "0123456789abcdef0123456789abcdef01234567", "b", "tree/b", false},
		{"semicolons and strange escapes stay", "git-pull", "repo=https://h/o/b&urlpath=lab/tree/b/a;b%zz.ipynb", none, "https://h/o/b", "", "b", "lab/tree/b/a;b%25zz.ipynb", false},
	} {
		l, err := read(t, c.name, c.query, c.s)
		if err != nil {
			t.Errorf("%s: %v", c.why, err)
			continue
		}
		if l.Repo != c.repo || l.Ref != c.ref || l.Folder != c.into || l.Target.Path != c.target || l.Target.Runs != c.runs {
			t.Errorf("%s:\n got %q %q %q %q %v\nwant %q %q %q %q %v", c.why, l.Repo, l.Ref, l.Folder, l.Target.Path, l.Target.Runs, c.repo, c.ref, c.into, c.target, c.runs)
		}
	}
}

// TestHostileLinks: none of these becomes a folder or an address that is not ours.
func TestHostileLinks(t *testing.T) {
	const ok = "repo=https://h/o/b"
	for query, code := range map[string]string{
		"":                      "DP-375",
		"repo=":                 "DP-375",
		"repo=--upload-pack=x":  "DP-375",
		"repo=ext::sh -c touch": "DP-375",
		"repo=%FF%FE":           "DP-375",
		ok + "&branch=--x":      "DP-375",
		ok + "&targetpath=" + strings.Repeat("x", 256): "DP-376",
		ok + "&depth=-1":                                    "DP-375",
		ok + "&depth=all":                                   "DP-375",
		"repo=https://u:p@h/o/b":                            "DP-378",
		"repo=https://ghp_abcdefghij@h/o/b":                 "DP-378",
		ok + "&targetpath=/etc":                             "DP-376",
		ok + "&targetpath=..":                               "DP-376",
		ok + "&targetpath=.":                                "DP-376",
		ok + "&targetpath=a/../../b":                        "DP-376",
		ok + "&targetpath=a/../b":                           "DP-376",
		ok + "&targetpath=.ssh":                             "DP-376",
		ok + "&targetpath=x/.jupyter":                       "DP-376",
		ok + "&targetpath=~/x":                              "DP-376",
		ok + "&targetpath=a%5C..%5Cb":                       "DP-376",
		ok + "&targetPath=.ipython/profile":                 "DP-376",
		"repo=https://h/o/.git":                             "DP-376",
		"repo=https://h/o/..":                               "DP-375",
		ok + "&urlpath=//evil.example":                      "DP-377",
		ok + "&urlpath=///evil.example":                     "DP-377",
		ok + "&urlpath=/%2Fevil.example":                    "DP-377",
		ok + "&urlpath=%252F%252Fevil.example":              "DP-377",
		ok + "&urlpath=/%5Cevil.example":                    "DP-377",
		ok + "&urlpath=%5C%5Cevil.example":                  "DP-377",
		ok + "&urlpath=lab%5C..%5C..":                       "DP-377",
		ok + "&urlpath=lab%255C..%255C":                     "DP-377",
		ok + "&urlpath=https://evil.example":                "DP-377",
		ok + "&urlpath=HTTPS:evil.example":                  "DP-377",
		ok + "&urlpath=javascript:alert(1)":                 "DP-377",
		ok + "&urlpath=java%09script:alert(1)":              "DP-377",
		ok + "&urlpath=javascript%253Aalert(1)":             "DP-377",
		ok + "&urlpath=data:text/html,x":                    "DP-377",
		ok + "&urlpath=../../hub/logout":                    "DP-377",
		ok + "&urlpath=lab/../../hub/x":                     "DP-377",
		ok + "&urlpath=..%2F..%2Fhub":                       "DP-377",
		ok + "&urlpath=%252e%252e/x":                        "DP-377",
		ok + "&urlpath=lab/%252e%252e/%252e%252e/x":         "DP-377",
		ok + "&urlpath=lab/.%252e/.%252e/x":                 "DP-377",
		ok + "&urlpath=lab/%252e%252e%252f%252e%252e/x":     "DP-377",
		ok + "&urlpath=lab/%25252e%25252e/%25252e%25252e/x": "DP-377",
		ok + "&urlpath=lab/a%2500b":                         "DP-377",
		ok + "&urlpath=lab/a%250d%250aSet-Cookie:x":         "DP-377",
		ok + "&urlpath=lab/%C2%85x":                         "DP-377",
		ok + "&subPath=/etc/passwd":                         "DP-377",
		ok + "&subPath=../../x":                             "DP-377",
		ok + "&app=lab&subpath=..%2F..%2Fx":                 "DP-377",
	} {
		l, err := read(t, NamePull, query, Settings{})
		if got := codeOf(err); got != code {
			t.Errorf("%s: %q, want %q: %+v %v", query, got, code, l, err)
		}
	}
}

// FuzzTarget: whatever a link says, the browser stays below the base, also where
// it reads escapes once more than we think.
func FuzzTarget(f *testing.F) {
	for _, seed := range []string{"lab/tree/a.ipynb?autodecode", "//evil.example", "..%2f..", "a/%2e%2e/b", "vscode/?payload=[]", "tree/ü#x", "%25252e%25252e/", "\\\\evil", "a//b/../c", "x%00", "lab/..;/x"} {
		f.Add(seed)
	}
	base, err := url.Parse("https://hub.example.org/user/ada/git-pull/")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		target, err := checkTarget(text)
		if err != nil {
			return
		}
		address := "/user/ada/" + target.Path
		u, err := base.Parse(address)
		if err != nil {
			t.Fatalf("%q becomes %q: %v", text, address, err)
		}
		for p := u.EscapedPath(); ; {
			if clean := path.Clean(p); u.Host != base.Host || u.Scheme != base.Scheme || clean != "/user/ada" && !strings.HasPrefix(clean, "/user/ada/") || strings.Contains(p, "\\") {
				t.Fatalf("%q becomes %q, which leads to %s", text, address, u)
			}
			next := unescapeOnce(p)
			if next == p {
				break
			}
			p = next
		}
		for i := 0; i < len(target.Path); i++ {
			if target.Path[i] <= ' ' || target.Path[i] > '~' {
				t.Fatalf("%q becomes %q", text, target.Path)
			}
		}
		if again, err := checkTarget(target.Path); err != nil || again.Path != target.Path {
			t.Fatalf("%q becomes %q, and that %q: %v", text, target.Path, again.Path, err)
		}
	})
}
