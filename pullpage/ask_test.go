package pullpage

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/pull"
)

const fork = "abababababababababababababababababababab"

// TestWhatAsks: of owners that the site lists, what comes without a question.
func TestWhatAsks(t *testing.T) {
	for _, c := range []struct {
		listed, repo, more string
		want               string // "begins", "asks", or a code
	}{
		{"github.com/org", "https://github.com/org/lab", "", "begins"},
		{"github.com/org", "https://github.com/org/lab", "&branch=main", "begins"},
		{"github.com/org", "https://github.com/org/lab", "&branch=refs/heads/main", "begins"},
		{"github.com/org", "https://github.com/org/lab", "&branch=refs/tags/v1", "begins"},
		{"github.com/org", "https://github.com/org/lab/tree/main/week1", "", "begins"},
		{"github.com/org", "https://github.com/org/lab", "&branch=refs/pull/6/head", "asks"},
		{"github.com/org", "https://github.com/org/lab", "&branch=refs/remotes/x", "asks"},
		{"github.com/org", "https://github.com/org/lab", "&branch=" + fork, "asks"},
		{"github.com/org", "https://github.com/org/lab", "&ref=" + strings.ToUpper(fork), "asks"},
		{"github.com/org", "https://github.com/org/lab", "&branch=" + fork + fork[:24], "asks"},
		{"github.com/org", "https://github.com/org/lab/commit/" + fork, "", "asks"},
		{"github.com/org", "https://github.com/org/lab/tree/" + fork, "", "asks"},
		{"github.com/org", "https://github.com/org/lab/pull/6", "", "asks"},
		{"github.com/org", "https://github.com/org/lab/pull/6", "&branch=main", "asks"},
		{"github.com/org", "git+https://github.com/org/lab@refs/pull/6/head", "", "asks"},
		{"gitlab.com/org", "https://gitlab.com/org/lab/-/merge_requests/7", "", "asks"},
		{"git.example.edu/org", "http://git.example.edu/org/lab", "", "asks"},
		{"git.example.edu/org", "git://git.example.edu/org/lab", "", "asks"},
		{"http://git.example.edu/org", "http://git.example.edu/org/lab", "", "begins"},
		{"http://git.example.edu/org", "git://git.example.edu/org/lab", "", "asks"},
		{"http://git.example.edu/org", "https://git.example.edu/org/lab", "", "asks"},
		{"127.0.0.1:8080/org", "http://127.0.0.1:8080/org/lab", "", "begins"},
		{"localhost", "http://localhost/org/lab", "", "begins"},
		{"localhost.evil.example", "http://localhost.evil.example/org/lab", "", "asks"},
		{"git.example.edu/org", "ssh://git@git.example.edu/org/lab", "", "begins"},
		{"git.example.edu/org", "git@git.example.edu:org/lab", "", "begins"},
		{"git.example.edu/org", "git.example.edu:org/../evil/lab", "", "DP-375"},
		{"github.com/org", "git@evil.example:../github.com/org/lab", "", "DP-375"},
		{"github.com/org", "evil.example:/../../../github.com/org/lab", "", "DP-375"},
		{"github.com/org", "git@github.com:org//lab", "", "DP-375"},
		{"git.example.edu/org", "https://git.example.edu/org/..;/evil/lab", "", "DP-375"},
		{"git.example.edu/org", "https://git.example.edu/org/%252e%252e/evil/lab", "", "DP-375"},
		{"git.example.edu/org", "https://git.example.edu/org/%2e%2e/evil/lab", "", "DP-375"},
		{"github.com/org", "https://github.com/org%2Fx/lab", "", "DP-375"},
		{"", "/srv/../etc", "", "DP-375"},
		{"github.com/ors", "https://github.com/or\u017f/lab", "", "asks"},
		{"github.com/org", "https://github.com@evil.example/org/lab", "", "asks"},
		{"github.com/org", "https://github.com/evil/lab/git-pull?repo=https://github.com/org/x", "", "begins"}, // a link in a link: the inner one is pulled
		{"github.com/org", "https://github.com/org/lab/git-pull?repo=https://github.com/evil/x", "", "asks"},
		{"git.example.edu/a", "https://git.example.edu/a/b/tree/main/x", "", "begins"},
		{"git.example.edu/a/b", "https://git.example.edu/a/b/tree/main/x", "", "begins"},
		{"git.example.edu/a/b/tree", "https://git.example.edu/a/b/tree/main/x", "", "asks"},
		{"github.com/org/lab", "https://github.com/org/lab.git", "", "begins"},
		{"github.com/org/lab", "https://github.com/org/labs", "", "asks"},
	} {
		w := newWorld(t, func(cf *Config) { cf.Settings.Owners = []string{c.listed} })
		rec := w.get("/?repo=" + url.QueryEscape(c.repo) + c.more)
		b := rec.Body.String()
		got := "asks"
		switch {
		case strings.Contains(b, "data-auto"):
			got = "begins"
		case rec.Code != http.StatusOK:
			_, code, _ := strings.Cut(b, "<small>DP-")
			got = "DP-" + code[:3]
		}
		if got != c.want {
			t.Errorf("%q is listed, %s%s: %s, want %s", c.listed, c.repo, c.more, got, c.want)
		}
	}
}

// TestProposedChanges: of a folder that the owner's content is in, too: nobody's
// change comes by one click, but the very commit that was agreed to.
func TestProposedChanges(t *testing.T) {
	w := newWorld(t, nil)
	w.click(lab3)
	asks := func(more string) bool {
		t.Helper()
		b := w.get("/?repo=https%3A%2F%2Fgithub.com%2Forg%2Flab-3&targetpath=lab-3" + more).Body.String()
		if asks := !strings.Contains(b, "data-auto"); asks != strings.Contains(b, "a proposed change, by anybody, at <bdi>github.com/org</bdi>") {
			t.Errorf("%s: the question does not say it:\n%s", more, b)
		}
		return !strings.Contains(b, "data-auto")
	}
	if asks("&branch=main") || !asks("&branch=refs/pull/6/head") || !asks("&branch="+fork) {
		t.Fatal("it asks about the wrong one")
	}
	commit := fork
	w.run = func(_ context.Context, r Request, _ func(pull.Event)) (pull.Report, error) {
		return pull.Report{Folder: r.Folder, New: commit}, nil
	}
	w.click("repo=https%3A%2F%2Fgithub.com%2Forg%2Flab-3&targetpath=lab-3&branch=" + fork)
	if asks("&branch=" + fork) {
		t.Error("the commit that was agreed to asks again")
	}
	if !asks("&branch=" + strings.Repeat("cd", 20)) {
		t.Error("another commit does not ask")
	}
	w.click("repo=https%3A%2F%2Fgithub.com%2Forg%2Flab-3&targetpath=lab-3&branch=refs/pull/6/head")
	if !asks("&branch=refs/pull/6/head") {
		t.Error("a proposed change that may have been changed since does not ask")
	}
	// From http to what is known by https.
	w.click("repo=https%3A%2F%2Fgit.example.edu%2Forg%2Flab-4")
	b := w.get("/?repo=http%3A%2F%2Fgit.example.edu%2Forg%2Flab-4").Body.String()
	if strings.Contains(b, "data-auto") || !strings.Contains(b, "not encrypted: anybody on the way can change it") {
		t.Errorf("http in place of https does not ask:\n%s", b)
	}
}

// TestShownAsPulled: what a page shows is what git is given.
func TestShownAsPulled(t *testing.T) {
	for repo, want := range map[string]string{
		"https://github.com/org/lab-3.git":             "github.com/org/lab-3",
		"https://nbviewer.org/github/evil/x":           "github.com/evil/x",
		"https://user@git.example.edu:8443/a/b/c/":     "git.example.edu:8443/a/b/c",
		"git@git.example.edu:a/b.git":                  "git.example.edu/a/b",
		"https://github.com/evil/x/tree/main/a":        "github.com/evil/x",
		"https://git.example.edu/%C3%BCbung/x":         "git.example.edu/übung/x",
		"github.com/org/lab-3":                         "github.com/org/lab-3",
		"git+https://github.com/evil/x@main#egg=org/x": "github.com/evil/x",
		"/srv/courses/lab":                             "/srv/courses/lab",
	} {
		if o, err := readOrigin(repo); err != nil || o.String() != want {
			t.Errorf("%s: %q %v, want %q", repo, o, err, want)
		}
	}
}
