package resolve

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass"
)

const sha = "b912433bfae541972c83529359f4181ef0fe9b67"

// TestParse holds each shape to what it means. want is URL, ref, path of each
// reading, in order; a trailing "?" says that the text alone does not tell.
func TestParse(t *testing.T) {
	for _, c := range []struct {
		text, kind string
		pull       int
		want       []string
	}{
		// A repository's own address.
		{"https://github.com/octo/course", "GitHub", 0, []string{"https://github.com/octo/course||"}},
		{"https://github.com/octo/course/", "GitHub", 0, []string{"https://github.com/octo/course||"}},
		{"  https://www.github.com/octo/course.git\n", "GitHub", 0, []string{"https://github.com/octo/course.git||"}},
		{"http://GitHub.com/octo/course", "GitHub", 0, []string{"https://github.com/octo/course||"}},
		{"HTTPS://github.com/octo/course", "GitHub", 0, []string{"https://github.com/octo/course||"}},
		{"github.com/octo/course", "GitHub", 0, []string{"https://github.com/octo/course||"}},
		{"https://github.com/octo/course?tab=readme-ov-file#hello", "GitHub", 0, []string{"https://github.com/octo/course||"}},
		{"https://octo@github.com/octo/course", "GitHub", 0, []string{"https://octo@github.com/octo/course||"}},
		{"https://git.example.org/pub/scm/fs/fatattr.git/", "git", 0, []string{"https://git.example.org/pub/scm/fs/fatattr.git||"}},
		{"https://git.example.org:8443/a/b.git", "git", 0, []string{"https://git.example.org:8443/a/b.git||"}},
		{"https://git.example.org/something", "git", 0, []string{"https://git.example.org/something||?"}},
		{"http://127.0.0.1:8000/a/b.git", "git", 0, []string{"http://127.0.0.1:8000/a/b.git||"}},
		{"https://xn--bcher-kva.example/a/b.git", "git", 0, []string{"https://xn--bcher-kva.example/a/b.git||"}},
		{"ssh://git@github.com:22/octo/course.git", "git", 0, []string{"ssh://git@github.com:22/octo/course.git||"}},
		{"git://git.example.org/a/b", "git", 0, []string{"git://git.example.org/a/b||"}},
		{"git@github.com:octo/course.git", "ssh", 0, []string{"git@github.com:octo/course.git||"}},
		{"Work-Alias:octo/course", "ssh", 0, []string{"Work-Alias:octo/course||"}},
		{"/srv/git/course.git", "path", 0, []string{"/srv/git/course.git||"}},
		{"./a folder/course", "path", 0, []string{"./a folder/course||"}},
		{"..", "path", 0, []string{"..||"}},
		{"file:///srv/git/course.git", "path", 0, []string{"file:///srv/git/course.git||"}},
		// pip's form.
		{"git+https://github.com/octo/course@main", "git", 0, []string{"https://github.com/octo/course|main|"}},
		{"git+https://octo@github.com/octo/course@tag/some@thing", "git", 0, []string{"https://octo@github.com/octo/course|tag/some@thing|"}},
		{"git+ssh://git@example.com/something", "git", 0, []string{"ssh://git@example.com/something||"}},
		{"git+https://github.com/octo/course@HEAD#egg=x&subdirectory=labs/one", "git", 0, []string{"https://github.com/octo/course||labs/one"}},
		{"git+file:///srv/course@v1", "path", 0, []string{"file:///srv/course|v1|"}},
		// GitHub's pages.
		{"https://github.com/octo/course/tree/main", "GitHub", 0, []string{"https://github.com/octo/course|main|"}},
		{"https://github.com/octo/course/tree/HEAD/labs", "GitHub", 0, []string{"https://github.com/octo/course||labs"}},
		{"https://github.com/octo/course/tree/feature/x/labs", "GitHub", 0, []string{
			"https://github.com/octo/course|feature|x/labs?", "https://github.com/octo/course|feature/x|labs?", "https://github.com/octo/course|feature/x/labs|?"}},
		{"https://github.com/octo/course/tree/feature%2Fx", "GitHub", 0, []string{
			"https://github.com/octo/course|feature|x?", "https://github.com/octo/course|feature/x|?"}},
		{"https://github.com/octo/course/tree/refs/heads/main/labs", "GitHub", 0, []string{
			"https://github.com/octo/course|refs/heads/main|labs?", "https://github.com/octo/course|refs/heads/main/labs|?"}},
		{"https://github.com/octo/course/blob/" + sha + "/a/b%20c.ipynb?plain=1#L3", "GitHub", 0, []string{"https://github.com/octo/course|" + sha + "|a/b c.ipynb"}},
		{"https://github.com/octo/course/blob/main/lab.ipynb", "GitHub", 0, []string{"https://github.com/octo/course|main|lab.ipynb"}},
		{"https://github.com/octo/course/blob/main/sub/lab.ipynb", "GitHub", 0, []string{
			"https://github.com/octo/course|main|sub/lab.ipynb?", "https://github.com/octo/course|main/sub|lab.ipynb?"}},
		{"https://github.com/octo/course/commit/" + sha, "GitHub", 0, []string{"https://github.com/octo/course|" + sha + "|"}},
		{"https://github.com/octo/course/releases/tag/2026/spring", "GitHub", 0, []string{"https://github.com/octo/course|refs/tags/2026/spring|"}},
		{"https://github.com/octo/course/archive/refs/heads/main.zip", "GitHub", 0, []string{"https://github.com/octo/course|refs/heads/main|"}},
		{"https://github.com/octo/course/pull/2194", "GitHub", 2194, []string{"https://github.com/octo/course|refs/pull/2194/head|"}},
		{"https://github.com/octo/course/pull/7/files", "GitHub", 7, []string{"https://github.com/octo/course|refs/pull/7/head|"}},
		{"https://github.com/octo/course/pull/7/commits/" + sha, "GitHub", 0, []string{"https://github.com/octo/course|" + sha + "|"}},
		{"https://github.com/octo/course/wiki", "GitHub", 0, []string{"https://github.com/octo/course.wiki.git||"}},
		{"https://raw.githubusercontent.com/octo/course/main/lab.ipynb?token=SECRET", "GitHub", 0, []string{"https://github.com/octo/course|main|lab.ipynb"}},
		{"https://nbviewer.org/github/octo/course/blob/main/lab.ipynb", "GitHub", 0, []string{"https://github.com/octo/course|main|lab.ipynb"}},
		{"https://colab.research.google.com/github/octo/course/blob/main/lab.ipynb", "GitHub", 0, []string{"https://github.com/octo/course|main|lab.ipynb"}},
		{"https://mybinder.org/v2/gh/octo/course/main?labpath=x.ipynb", "GitHub", 0, []string{"https://github.com/octo/course|main|"}},
		{"https://github.dev/octo/course", "GitHub", 0, []string{"https://github.com/octo/course||"}},
		// Gists.
		{"https://gist.github.com/octo/5423616", "gist", 0, []string{"https://gist.github.com/octo/5423616||"}},
		{"https://gist.github.com/aa5a315d61ae9438b18d", "gist", 0, []string{"https://gist.github.com/aa5a315d61ae9438b18d||"}},
		{"https://gist.github.com/octo/5423616/" + sha, "gist", 0, []string{"https://gist.github.com/octo/5423616|" + sha + "|"}},
		{"https://gist.githubusercontent.com/octo/5423616/raw/" + sha + "/lab.ipynb", "gist", 0, []string{"https://gist.github.com/octo/5423616|" + sha + "|lab.ipynb"}},
		// GitLab, at its own host and at others.
		{"https://gitlab.com/group/deep/er/course", "GitLab", 0, []string{"https://gitlab.com/group/deep/er/course||"}},
		{"https://gitlab.com/group/deep/course/-/tree/" + sha + "?ref_type=heads", "GitLab", 0, []string{"https://gitlab.com/group/deep/course|" + sha + "|"}},
		{"https://gitlab.example.org/tools/views/-/blob/main/setup.cfg", "GitLab", 0, []string{"https://gitlab.example.org/tools/views|main|setup.cfg?"}},
		{"https://gitlab.com/group/course/-/merge_requests/194/diffs", "GitLab", 194, []string{"https://gitlab.com/group/course|refs/merge-requests/194/head|"}},
		{"https://gitlab.com/group/course/-/tags/v1.0", "GitLab", 0, []string{"https://gitlab.com/group/course|refs/tags/v1.0|"}},
		{"https://gitlab.com/group/course/-/archive/main/course-main.zip", "GitLab", 0, []string{"https://gitlab.com/group/course|main|"}},
		{"https://gitlab.com/group/course/tree/main", "GitLab", 0, []string{"https://gitlab.com/group/course|main|"}},
		// Gitea and Forgejo.
		{"https://codeberg.org/octo/course", "Gitea", 0, []string{"https://codeberg.org/octo/course||"}},
		{"https://codeberg.org/octo/course/src/branch/main", "Gitea", 0, []string{"https://codeberg.org/octo/course|refs/heads/main|"}},
		{"https://git.example.org/octo/course/src/tag/v1", "Gitea", 0, []string{"https://git.example.org/octo/course|refs/tags/v1|?"}},
		{"https://codeberg.org/octo/course/raw/branch/main/lab.ipynb", "Gitea", 0, []string{"https://codeberg.org/octo/course|refs/heads/main|lab.ipynb"}},
		{"https://codeberg.org/octo/course/src/commit/" + sha + "/labs/a", "Gitea", 0, []string{"https://codeberg.org/octo/course|" + sha + "|labs/a"}},
		{"https://codeberg.org/octo/course/pulls/3", "Gitea", 3, []string{"https://codeberg.org/octo/course|refs/pull/3/head|"}},
		// Bitbucket.
		{"https://bitbucket.org/octo/course/src/main/", "Bitbucket", 0, []string{"https://bitbucket.org/octo/course|main|"}},
		{"https://bitbucket.org/octo/course/branch/feature/x", "Bitbucket", 0, []string{"https://bitbucket.org/octo/course|refs/heads/feature/x|"}},
		{"https://bb.example.org/projects/KEY/repos/course/browse/labs/one?at=refs%2Fheads%2Fmain", "Bitbucket", 0, []string{"https://bb.example.org/scm/KEY/course.git|refs/heads/main|labs/one?"}},
		{"https://bb.example.org/users/octo/repos/course/browse", "Bitbucket", 0, []string{"https://bb.example.org/scm/~octo/course.git||?"}},
		// A shape like GitHub's at another host may be either.
		{"https://ghes.example.org/octo/course/tree/main", "GitHub", 0, []string{"https://ghes.example.org/octo/course|main|?", "https://ghes.example.org/octo/course/tree/main||?"}},
		// Links of nbgitpuller's.
		{"https://hub.example.org/hub/user-redirect/git-pull?repo=https%3A%2F%2Fgithub.com%2Focto%2Fcourse&branch=main&urlpath=lab", "GitHub", 0, []string{"https://github.com/octo/course|main|"}},
	} {
		got, err := Parse(c.text)
		if err != nil {
			t.Errorf("Parse(%q): %v", c.text, err)
			continue
		}
		var have []string
		for _, g := range got {
			s := g.URL + "|" + g.Ref + "|" + g.Path
			if !g.Certain {
				s += "?"
			}
			have = append(have, s)
			if g.Why == "" {
				t.Errorf("Parse(%q) does not say why", c.text)
			}
		}
		if !slices.Equal(have, c.want) || got[0].Kind != c.kind || got[0].Pull != c.pull {
			t.Errorf("Parse(%q)\n got %q %s %d\nwant %q %s %d", c.text, have, got[0].Kind, got[0].Pull, c.want, c.kind, c.pull)
		}
	}
}

// TestParseRefuses: what is no repository, could be read in two ways, starts a
// program or holds a secret is refused, and the secret is not repeated.
func TestParseRefuses(t *testing.T) {
	for text, code := range map[string]string{
		"":                           "DP-360",
		"-":                          "DP-360",
		"--upload-pack=touch /tmp/x": "DP-360",
		"octo/course":                "DP-360",
		"course":                     "DP-360",
		"https://":                   "DP-360",
		"https://github.com":         "DP-360",
		"https://github.com/octo":    "DP-360",
		"https://github.com/octo/course/settings":                     "DP-360",
		"https://github.com/octo/course/issues/4":                     "DP-360",
		"https://github.com/orgs/octo/repositories":                   "DP-360",
		"https://github.com/octo/course/pull/0":                       "DP-360",
		"https://github.com/octo/course/pull/x":                       "DP-360",
		"https://github.com/octo/course/tree/-x":                      "DP-360",
		"https://github.com/octo/course/tree/a..b":                    "DP-360",
		"https://github.com/octo/../evil/x":                           "DP-360",
		"https://github.com/octo/%2e%2e/x":                            "DP-360",
		"https://github.com/octo/course/blob/main/%2e%2e/%2e%2e/x":    "DP-360",
		"https://github.com/octo/course/blob/main/.git/config":        "DP-360",
		"https://github.com/octo/course/blob/main/a%00b":              "DP-360",
		"https://github.com/octo/course/blob/main/a%zz":               "DP-360",
		"https://github.com/octo/course/blob/main/a%5c..%5cb":         "DP-360",
		"https://github.com\\@evil.example/octo/course":               "DP-360",
		"https://gist.github.com/octo":                                "DP-360",
		"https://gist.github.com/octo/5423616/revisions":              "DP-360",
		"https://gitlab.com/group":                                    "DP-360",
		"https://gitlab.com/groups/group/-/packages":                  "DP-360",
		"https://bitbucket.org/octo/course/pull-requests/3":           "DP-360",
		"https://bücher.example/a/b.git":                              "DP-360",
		"https://git.example.org./a/b.git":                            "DP-360",
		"https://git.example.org:99999/a/b.git":                       "DP-360",
		"https://git.example.org:/a/b.git":                            "DP-360",
		"https://-oProxyCommand=x/a":                                  "DP-360",
		"ssh://-oProxyCommand=x/a":                                    "DP-360",
		"-oProxyCommand=x:a":                                          "DP-360",
		"git@-oProxyCommand=x:a":                                      "DP-360",
		"host:-x":                                                     "DP-360",
		"ext::sh -c 'touch x'":                                        "DP-360",
		"ext::sh":                                                     "DP-360",
		"fd::17":                                                      "DP-360",
		"git+ext://x/y":                                               "DP-360",
		"git+https://github.com/octo/course@--x":                      "DP-360",
		"git+https://github.com/octo/course#subdirectory=../x":        "DP-360",
		"javascript:alert(1)":                                         "DP-360",
		"javascript://github.com/octo/course":                         "DP-360",
		"https:github.com/octo/course":                                "DP-360",
		"data:text/html,x":                                            "DP-360",
		"ftp://git.example.org/a":                                     "DP-360",
		"file://host/a":                                               "DP-360",
		"C:\\work\\course":                                            "DP-360",
		"https://github.com/octo/cou\x1b[2Jrse":                       "DP-360",
		"https://github.com/octo/cou\u202erse":                        "DP-360",
		"https://github.com/octo/cou\u200brse":                        "DP-360",
		"https://github.com/octo/\xff":                                "DP-360",
		"https://github.com/octo/cou rse":                             "DP-360",
		"https://github.com/" + strings.Repeat("a", maxAddress):       "DP-360",
		"https://hub/git-pull?repo=https://hub/git-pull?repo=x":       "DP-360",
		"https://hub/git-pull?repo=ext::sh":                           "DP-360",
		"https://hub/git-pull?repo=https://github.com/o/c&branch=--x": "DP-360",
		"https://octo:hunter2@github.com/octo/course":                 "DP-361",
		"https://:hunter2@github.com/octo/course":                     "DP-361",
		"https://ghp_hunter2@github.com/octo/course":                  "DP-361",
		"git+https://octo:hunter2@github.com/octo/course@main":        "DP-361",
		"ssh://git:hunter2@github.com/octo/course":                    "DP-361",
		"https://hub/git-pull?repo=https://octo:hunter2@github.com/a": "DP-361",
		"doi:10.5281/zenodo.3232985":                                  "DP-362",
		"10.7910/DVN/6ZXAGT/3YRRYJ":                                   "DP-362",
		"https://doi.org/10.7910/DVN/6ZXAGT/3YRRYJ":                   "DP-362",
		"https://drive.google.com/drive/folders/1o3okM5hYOgUGHYipyji": "DP-362",
	} {
		got, err := Parse(text)
		var p *daypass.Problem
		if !errors.As(err, &p) || p.Code != code || daypass.ExitCode(err) != 2 || p.Next == "" {
			t.Errorf("Parse(%q) = %v, %v; want %s", text, got, err, code)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the message about %q repeats the secret", text)
		}
	}
}

func TestChoose(t *testing.T) {
	refs := []string{"HEAD", "refs/heads/main", "refs/heads/feature/x", "refs/tags/v1", "refs/tags/both", "refs/heads/both", "refs/tags/main/sub"}
	for _, c := range []struct {
		text, ref, path string
		ok              bool
	}{
		{"https://github.com/o/c/tree/feature/x/labs", "feature/x", "labs", true},
		{"https://github.com/o/c/tree/feature/x", "feature/x", "", true},
		{"https://github.com/o/c/blob/main/sub/lab.ipynb", "main", "sub/lab.ipynb", true},
		{"https://github.com/o/c/tree/v1/labs", "v1", "labs", true},
		{"https://github.com/o/c/tree/both/labs", "both", "labs", true},
		{"https://github.com/o/c/tree/refs/heads/feature/x/labs", "refs/heads/feature/x", "labs", true},
		{"https://github.com/o/c/tree/" + sha + "/labs", sha, "labs", true},
		{"https://github.com/o/c", "", "", true},
		{"https://github.com/o/c/tree/gone/labs", "", "", false},
		{"https://github.com/o/c/tree/gone", "", "", false},
	} {
		list, err := Parse(c.text)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := Choose(list, refs)
		if ok != c.ok || got.Ref != c.ref || got.Path != c.path || ok && !got.Certain {
			t.Errorf("Choose(%s) = %+v, %v", c.text, got, ok)
		}
	}
}

func TestName(t *testing.T) {
	for address, want := range map[string]string{
		"https://github.com/octo/course":          "course",
		"https://github.com/octo/course.git":      "course",
		"https://github.com/octo/course.git/":     "course",
		"git@github.com:octo/course.git":          "course",
		"git@github.com:course.git":               "course",
		"ssh://git@github.com:22/course":          "course",
		"https://git.example.org:8080/":           "git.example.org",
		"/srv/git/course/.git":                    "course",
		"/srv/git/course.bundle":                  "course",
		"file:///srv/git/course.git":              "course",
		"https://github.com/octo/.git":            "octo",
		"https://github.com/octo/..":              "",
		"https://github.com/octo/.ssh":            "",
		"/":                                       "",
		"https://gist.github.com/octo/5423616":    "5423616",
		"https://github.com/octo/git":             "git",
		"https://github.com/octo/course.wiki.git": "course.wiki",
	} {
		if got := Name(address); got != want {
			t.Errorf("Name(%q) = %q, want %q", address, got, want)
		}
	}
}

// FuzzParse: never a panic; what is taken can be handed to git and shown.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"https://github.com/o/c/tree/a/b", "git@h:p", "git+https://h/p@r#subdirectory=x", "https://h/a/-/blob/x/y", "https://h/git-pull?repo=https://github.com/o/c",
		"https://u:p@h/x", "https://h/projects/K/repos/r/browse?at=x", "https://gist.github.com/a/5423616/raw/x", "/x", "ext::sh", "https://codeberg.org/o/c/src/branch/a%2Fb",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := Parse(text)
		if err != nil {
			if daypass.ExitCode(err) != 2 {
				t.Fatalf("%q: %v is no error of usage", text, err)
			}
			return
		}
		if len(list) == 0 || len(list) > maxSplits+1 {
			t.Fatalf("%q: %d readings", text, len(list))
		}
		for _, g := range list {
			if g.URL == "" || g.URL[0] == '-' || oddCharacter(g.URL+g.Ref+g.Path+g.Host) != "" || remoteHelper(g.URL) {
				t.Fatalf("%q: %+v", text, g)
			}
			if g.Ref != "" && !validRef(g.Ref) || !validPath(g.Path) {
				t.Fatalf("%q: ref %q, path %q", text, g.Ref, g.Path)
			}
			if _, rest, ok := strings.Cut(g.URL, "://"); ok {
				authority, _, _ := strings.Cut(rest, "/")
				if user, _, ok := strings.Cut(authority, "@"); ok && strings.Contains(user, ":") {
					t.Fatalf("%q: a password in %q", text, g.URL)
				}
			}
			if name := Name(g.URL); strings.ContainsAny(name, "/\\") || strings.HasPrefix(name, ".") {
				t.Fatalf("%q: name %q", text, name)
			}
		}
	})
}

// remoteHelper reports whether git would start a program git-remote-NAME for it.
func remoteHelper(url string) bool {
	i := strings.IndexByte(url, ':')
	return i > 0 && strings.HasPrefix(url[i:], "::")
}
