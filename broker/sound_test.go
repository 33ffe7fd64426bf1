package broker_test

import (
	"strings"
	"testing"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/pass"
)

func gitAt(host, id string) daypass.Source {
	return daypass.Source{Kind: daypass.KindGit, Host: host, ID: id}
}

// goodRepos are names of repositories at hosts of git, and badRepos what is none: what
// leads elsewhere, is written in two ways, or is an option or another's words.
var (
	goodRepos = []string{"group/sub/repo", "repo", "a/b/c/d/e/f", "~ada/lab", "group/.profile", "scm/project+x", "o/r"}
	badRepos  = []string{
		"", "/", "//", "/group/repo", "group/repo/", "group//repo", ".", "..", "../repo", "group/../repo", "group/./repo", "group/sub/..", "group/repo.git", "group/repo.GIT", "group/.git", "group.git/repo/x",
		"group%2Frepo", "group/sub%2F..", "group/%2e%2e/repo", "group\\repo/x", "group/sub/re po", "group/sub/repo\n", "group/sub/repo\x00", "group/sub/repo?x=1", "group/sub/repo#x", "group/sub/repo@main", "group:x/sub/repo", "u:p@evil/x/y",
		"-c/sub/repo", "group/-c/repo", "group/sub/--upload-pack=x", "group/sub/repö", "group/sub/\u202erepo", "group/sub/{github}", "group/sub/$(id)", "group/sub/a,b", strings.Repeat("a/", 21) + "b", "group/sub/" + strings.Repeat("a", 101),
	}
)

// TestRepoNames: at a host of git that the admin lists a repository is its path; at
// GitHub, and wherever people connect, it is OWNER/NAME. What is no name asks nobody.
func TestRepoNames(t *testing.T) {
	s := newSourceRig(t, func(r *rig) {
		r.config.Sources.Hosts = append(r.config.Sources.Hosts, "github.com", host)
	})
	guest := s.user("guest")
	for _, id := range goodRepos {
		if r, err := s.read(guest, gitAt("public.example", id)); err != nil || r.As != broker.AsPublic || r.Source.ID != id || r.Repo != (daypass.Repo{}) {
			t.Errorf("%q: %+v, %v", id, r, err)
		}
	}
	s.link(s.teacher(), "ph142-deep", gitAt("public.example", "group/sub/repo"), "ph142")
	if r := s.mustOpen(s.student(), "ph142-deep"); r.As != broker.AsPublic || r.Source.ID != "group/sub/repo" {
		t.Errorf("%+v", r)
	}
	s.quietly("another host", func() {
		s.want("not listed", second(s.read(guest, gitAt("unlisted.example", "group/sub/repo"))), "DP-723")
	})
	s.quietly("no names", func() {
		for _, id := range badRepos {
			s.want("by its name: "+id, second(s.read(guest, gitAt("public.example", id))), "DP-723")
			_, err := s.TestSource(t.Context(), browser(s.teacher()), gitAt("public.example", id), "")
			s.want("for a link: "+id, err, "DP-736")
		}
		for _, at := range []string{"github.com", host} {
			for _, id := range []string{"group/sub/repo", "repo", "~ada/lab"} {
				s.want(at+": "+id, second(s.read(guest, gitAt(at, id))), "DP-723")
				_, err := s.TestSource(t.Context(), browser(s.teacher()), gitAt(at, id), "")
				s.want(at+", for a link: "+id, err, "DP-736")
			}
		}
	})
	for id, good := range map[string]bool{"o/r": true, "group/sub/repo": false, "repo": false, "../r": false} {
		if why := (broker.Sources{}).Never(gitAt(host, id), []string{host}); (why == "") != good {
			t.Errorf("a rule for %q: %s", id, why)
		}
	}
}

// TestPassOfOtherNames: a pass for repositories is for none that has another kind of name.
func TestPassOfOtherNames(t *testing.T) {
	s := newSourceRig(t, longRules)
	stu := s.student()
	deep := gitAt("public.example", "group/sub/repo")
	s.link(s.teacher(), "ph142-deep", deep, "ph142")
	for what, c := range map[string]struct {
		limits pass.Limits
		want   string
	}{
		"its last part":     {pass.Limits{Repos: []string{"sub/repo"}}, "DP-723"},
		"its first":         {pass.Limits{Repos: []string{"group/sub"}}, "DP-723"},
		"any other":         {pass.Limits{Repos: []string{data.String()}}, "DP-723"},
		"what is above":     {pass.Limits{Sources: []string{gitAt("public.example", "group/sub").String()}}, "DP-723"},
		"the source itself": {pass.Limits{Sources: []string{deep.String()}}, "no error"},
	} {
		m := s.mint(stu, c.limits)
		by, err := s.PassCaller(t.Context(), m.Text, home)
		if err != nil {
			t.Fatal(err)
		}
		s.want("a pass for "+what, second(s.ReadSource(t.Context(), by, broker.SourceAsk{Link: "ph142-deep"})), c.want)
		if _, err := s.read(by, deep); (err == nil) != (c.want == "no error") {
			t.Errorf("by the source, a pass for %s: %v", what, err)
		}
	}
}

// TestCanvasNames: files and folders are named with their course, or by their number.
func TestCanvasNames(t *testing.T) {
	s := newSourceRig(t)
	tea := s.teacher()
	s.connectCanvas(tea)
	for id, good := range map[string]bool{
		"files/5": true, "folders/7": true, "folders/1234~5": true, "courses/7/files/5": true, "users/self": true,
		"files": false, "files/": false, "files/x": false, "/files/5": false, "files/5/folders/7": false, "folders/7/../8": false, "users/selffiles/5": false, "pages/5": false,
	} {
		src := daypass.Source{Kind: daypass.KindCanvas, Host: canvasHost, ID: id}
		if _, err := s.read(tea, src); (err == nil) != good {
			t.Errorf("%q: %v", id, err)
		}
	}
}
