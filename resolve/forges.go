package resolve

import (
	"slices"
	"strconv"
	"strings"

	"github.com/daypass-dev/daypass"
)

// maxSplits bounds the readings of one address.
const maxSplits = 12

// parseWeb reads an https or http address: a page of a host that is known by its
// name, a page whose shape only one kind of host has, else git's own address.
func parseWeb(scheme, rest string) ([]Git, error) {
	a, err := cutAddress(scheme, rest)
	if err != nil {
		return nil, err
	}
	if n := len(a.segments); a.query.Get("repo") != "" && (a.segments[n-1] == "git-pull" || a.segments[n-1] == "git-sync") {
		return parseLink(a)
	}
	host := strings.TrimPrefix(a.host, "www.")
	switch host {
	case "github.com", "gitlab.com", "bitbucket.org", "codeberg.org", "gist.github.com":
		a.host, a.scheme = host, "https"
	}
	switch host {
	case "github.com":
		return a.github(true)
	case "gist.github.com", "gist.githubusercontent.com":
		return a.gist()
	case "gitlab.com":
		return a.gitlab(true)
	case "bitbucket.org":
		return a.bitbucket()
	case "codeberg.org", "gitea.com":
		return a.gitea(true)
	case "raw.githubusercontent.com":
		return a.rawGitHub()
	case "drive.google.com", "docs.google.com", "doi.org", "dx.doi.org", "zenodo.org", "sandbox.zenodo.org", "figshare.com", "hydroshare.org":
		return nil, notGit()
	}
	if rest, ok := a.viewer(host); ok {
		return rest.github(true)
	}
	return a.byShape()
}

// parseLink reads a link of nbgitpuller's: the repository and branch that it names.
func parseLink(a address) ([]Git, error) {
	inner := a.query.Get("repo")
	if strings.Contains(inner, "git-pull") || strings.Contains(inner, "git-sync") {
		return nil, unknown("this link leads to another link", "")
	}
	list, err := Parse(inner)
	if err != nil {
		return nil, err
	}
	branch := a.query.Get("branch")
	if branch != "" {
		if !validRef(branch) {
			return nil, unknown("the branch in this link cannot be one", "git allows no such name")
		}
		list = list[:1]
		list[0].Ref, list[0].Certain = branch, true
	}
	for i := range list {
		list[i].Why = "a link names it in repo="
	}
	return list, nil
}

// byShape reads a page of a host that is not known by its name.
func (a address) byShape() ([]Git, error) {
	s := a.segments
	at := func(i int, words ...string) bool { return i < len(s) && slices.Contains(words, s[i]) }
	switch {
	case slices.Contains(s, "-"):
		return a.gitlab(false)
	case at(2, "src", "raw", "media", "commits") && at(3, "branch", "tag", "commit") && len(s) > 4, at(2, "pulls") && len(s) > 3:
		return a.gitea(false)
	case at(0, "projects", "users") && at(2, "repos") && len(s) > 3:
		return a.bitbucketServer()
	case at(2, "tree", "blob", "raw", "blame", "edit", "commit", "commits", "pull") && len(s) > 3:
		list, err := a.github(false)
		if err != nil {
			return nil, err
		}
		return append(list, a.plain("git", false, "it may be a repository's own address")), nil
	}
	named := strings.HasSuffix(a.path, ".git")
	why := "it may be a repository's own address"
	if named {
		why = "it ends with .git, as a repository's own address"
	}
	return []Git{a.plain("git", named, why)}, nil
}

// A place is a repository of which a page shows something.
type place struct {
	repo Git // without ref and path
	home string
}

func (a address) place(n int, kind string, certain bool) place {
	url := a.repository(n)
	return place{home: url, repo: Git{URL: url, Host: a.host, Kind: kind, Certain: certain, Why: "it is a page of " + kind + "'s"}}
}

// whole is the repository with its default branch.
func (p place) whole() ([]Git, error) { return []Git{p.repo}, nil }

// at is the repository at one ref.
func (p place) at(ref string) ([]Git, error) {
	if !validRef(ref) {
		return nil, unknown("the branch or version in this address cannot be one", "git allows no such name")
	}
	p.repo.Ref = ref
	return []Git{p.repo}, nil
}

// request is the change that a pull or merge request proposes.
func (p place) request(number, ref string) ([]Git, error) {
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > 1<<31-1 {
		return nil, unknown("the number in this address cannot be a pull request's", "")
	}
	p.repo.Pull, p.repo.Ref = n, strings.Replace(ref, "N", strconv.Itoa(n), 1)
	p.repo.Why += ", about a proposed change"
	return []Git{p.repo}, nil
}

// inside reads REF/PATH, in every way that the slashes allow; where the page is
// of a file, a path remains.
func (p place) inside(rest []string, file bool) ([]Git, error) {
	rest = strings.Split(strings.Join(rest, "/"), "/") // where a slash came as %2F
	first := 1
	if len(rest) > 2 && rest[0] == "refs" && (rest[1] == "heads" || rest[1] == "tags") {
		first = 3
	}
	last := len(rest)
	if file && last > first {
		last--
	}
	if rest[0] == "HEAD" || objectName(rest[0]) {
		last = 1
	}
	var out []Git
	for i := first; i <= last && len(out) < maxSplits; i++ {
		one := p.repo
		one.Ref, one.Path = strings.Join(rest[:i], "/"), strings.Join(rest[i:], "/")
		one.File = file && one.Path != ""
		if one.Ref == "HEAD" {
			one.Ref = ""
		}
		if one.Ref != "" && !validRef(one.Ref) || !validPath(one.Path) {
			continue
		}
		out = append(out, one)
	}
	if len(out) == 0 {
		return nil, unknown("the branch or path in this address cannot be one", "git allows no such name")
	}
	if len(out) > 1 {
		for i := range out {
			out[i].Certain = false
			out[i].Why += "; where the branch ends and the path begins, the text does not say"
		}
	}
	return out, nil
}

// other refuses a page that shows no content, and names the repository.
func (p place) other() error {
	return &daypass.Problem{
		Code: "DP-360", What: "this page shows no content of a repository", Kind: daypass.ErrUsage,
		Next: "If you mean the repository, give " + p.home + " as the address.",
	}
}

func ownerOnly(kind string) error {
	return unknown("this address names an owner at "+kind+" and no repository", "")
}

// archive cuts the end off a name such as main.zip.
func archive(name string) string {
	for _, end := range []string{".zip", ".tar.gz", ".tar.bz2", ".tar", ".bundle"} {
		if s, ok := strings.CutSuffix(name, end); ok {
			return s
		}
	}
	return name
}

func (a address) github(certain bool) ([]Git, error) {
	s := a.segments
	if len(s) < 2 {
		return nil, ownerOnly("GitHub")
	}
	if slices.Contains([]string{"orgs", "settings", "topics", "search", "marketplace", "users", "features", "apps"}, s[0]) && certain {
		return nil, ownerOnly("GitHub")
	}
	p := a.place(2, "GitHub", certain)
	if len(s) == 2 {
		return p.whole()
	}
	if len(s) == 3 {
		if s[2] == "wiki" {
			return []Git{{URL: strings.TrimSuffix(p.home, ".git") + ".wiki.git", Host: a.host, Kind: "GitHub", Certain: certain, Why: "it is a wiki of GitHub's"}}, nil
		}
		return nil, p.other()
	}
	switch s[2] {
	case "tree", "commits":
		return p.inside(s[3:], false)
	case "blob", "raw", "blame", "edit":
		return p.inside(s[3:], true)
	case "commit":
		return p.at(s[3])
	case "archive":
		return p.inside([]string{archive(strings.Join(s[3:], "/"))}, false)
	case "releases":
		if s[3] == "tag" && len(s) > 4 {
			return p.at("refs/tags/" + strings.Join(s[4:], "/"))
		}
	case "pull":
		if len(s) > 5 && (s[4] == "commits" || s[4] == "changes") && objectName(s[5]) {
			return p.at(s[5])
		}
		return p.request(s[3], "refs/pull/N/head")
	}
	return nil, p.other()
}

// rawGitHub reads raw.githubusercontent.com/OWNER/NAME/REF/PATH.
func (a address) rawGitHub() ([]Git, error) {
	if len(a.segments) < 4 {
		return nil, ownerOnly("GitHub")
	}
	a.host, a.user = "github.com", ""
	return a.place(2, "GitHub", true).inside(a.segments[2:], true)
}

// viewer is the page at GitHub that another site shows.
func (a address) viewer(host string) (address, bool) {
	under := map[string][]string{
		"nbviewer.org": {"github"}, "nbviewer.jupyter.org": {"github"}, "colab.research.google.com": {"github"},
		"github.dev": {}, "vscode.dev": {"github"}, "mybinder.org": {"v2", "gh"},
	}
	prefix, ok := under[host]
	n := len(prefix)
	if !ok || len(a.segments) < n+2 || !slices.Equal(a.segments[:n], prefix) {
		return a, false
	}
	a.segments = a.segments[n:]
	if host == "mybinder.org" && len(a.segments) > 2 {
		a.segments = slices.Insert(slices.Clone(a.segments), 2, "tree")
	}
	a.scheme, a.host, a.user = "https", "github.com", ""
	return a, true
}

// gist reads gist.github.com/[USER/]ID[/REVISION] and its raw files.
func (a address) gist() ([]Git, error) {
	s := a.segments
	i := 0
	if !gistID(s[0]) {
		i = 1
	}
	if len(s) <= i || !gistID(strings.TrimSuffix(s[i], ".git")) {
		return nil, unknown("this address names no gist", "")
	}
	a.host = "gist.github.com"
	p := a.place(i+1, "gist", true)
	rest := s[i+1:]
	if len(rest) > 0 && rest[0] == "raw" {
		rest = rest[1:]
		if len(rest) == 0 || !objectName(rest[0]) {
			rest = append([]string{"HEAD"}, rest...)
		}
		return p.inside(rest, true)
	}
	switch {
	case len(rest) == 0:
		return p.whole()
	case len(rest) == 1 && objectName(rest[0]):
		return p.at(rest[0])
	}
	return nil, p.other()
}

// gistID tells a gist's number: digits of old, hexadecimal since.
func gistID(s string) bool {
	digits := s != ""
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return false
		}
		digits = digits && c <= '9'
	}
	return digits || len(s) == 20 || len(s) == 32
}

// gitlab reads GROUP/…/NAME[/-/PAGE…]; older pages have no hyphen.
func (a address) gitlab(certain bool) ([]Git, error) {
	s := a.segments
	n := slices.Index(s, "-")
	page := n
	if n >= 0 {
		page++
	} else {
		n = len(s)
		for i := 2; i < len(s); i++ {
			if slices.Contains([]string{"tree", "blob", "raw", "commit", "commits", "merge_requests"}, s[i]) {
				n, page = i, i
				break
			}
		}
	}
	if n < 2 || s[0] == "groups" || s[0] == "users" || s[0] == "explore" || s[0] == "dashboard" {
		return nil, ownerOnly("GitLab")
	}
	p := a.place(n, "GitLab", certain)
	if n == len(s) {
		return p.whole()
	}
	rest := s[page:]
	if len(rest) < 2 {
		return nil, p.other()
	}
	switch rest[0] {
	case "tree", "commits":
		return p.inside(rest[1:], false)
	case "blob", "raw", "blame", "edit":
		return p.inside(rest[1:], true)
	case "commit":
		return p.at(rest[1])
	case "tags":
		return p.at("refs/tags/" + strings.Join(rest[1:], "/"))
	case "archive":
		if len(rest) > 2 {
			return p.at(strings.Join(rest[1:len(rest)-1], "/"))
		}
	case "merge_requests":
		return p.request(rest[1], "refs/merge-requests/N/head")
	}
	return nil, p.other()
}

// gitea reads the pages of Gitea and Forgejo, Codeberg among them.
func (a address) gitea(certain bool) ([]Git, error) {
	s := a.segments
	if len(s) < 2 {
		return nil, ownerOnly("this host")
	}
	p := a.place(2, "Gitea", certain)
	if len(s) == 2 {
		return p.whole()
	}
	if len(s) == 3 {
		return nil, p.other()
	}
	switch s[2] {
	case "src", "raw", "media", "blame", "commits":
		return p.giteaAt(s[3:], s[2] != "src" && s[2] != "commits")
	case "commit":
		return p.at(s[3])
	case "releases":
		if s[3] == "tag" && len(s) > 4 {
			return p.at("refs/tags/" + strings.Join(s[4:], "/"))
		}
	case "archive":
		return p.inside([]string{archive(strings.Join(s[3:], "/"))}, false)
	case "pulls":
		return p.request(s[3], "refs/pull/N/head")
	}
	return nil, p.other()
}

// giteaAt reads branch/NAME/PATH, tag/NAME/PATH and commit/NAME/PATH.
func (p place) giteaAt(rest []string, file bool) ([]Git, error) {
	if len(rest) < 2 {
		return nil, p.other()
	}
	switch rest[0] {
	case "branch":
		return p.inside(append([]string{"refs", "heads"}, rest[1:]...), file)
	case "tag":
		return p.inside(append([]string{"refs", "tags"}, rest[1:]...), file)
	case "commit":
		return p.inside(rest[1:], file)
	}
	return nil, p.other()
}

func (a address) bitbucket() ([]Git, error) {
	s := a.segments
	if len(s) < 2 {
		return nil, ownerOnly("Bitbucket")
	}
	p := a.place(2, "Bitbucket", true)
	if len(s) == 2 || len(s) == 3 && s[2] == "src" {
		return p.whole()
	}
	if len(s) == 3 {
		return nil, p.other()
	}
	switch s[2] {
	case "src", "raw":
		return p.inside(s[3:], s[2] == "raw")
	case "branch":
		return p.at("refs/heads/" + strings.Join(s[3:], "/"))
	case "commits":
		if s[3] == "tag" && len(s) > 4 {
			return p.at("refs/tags/" + strings.Join(s[4:], "/"))
		}
		if s[3] != "branch" {
			return p.at(s[3])
		}
	case "pull-requests":
		return nil, &daypass.Problem{
			Code: "DP-360", What: "Bitbucket lets nobody fetch a pull request as such", Kind: daypass.ErrUsage,
			Next: "Give the address of the branch that it comes from.",
		}
	}
	return nil, p.other()
}

// bitbucketServer reads projects/KEY/repos/NAME/browse/PATH?at=REF of a
// Bitbucket Data Center, whose repositories lie under scm/.
func (a address) bitbucketServer() ([]Git, error) {
	s := a.segments
	owner := s[1]
	if s[0] == "users" {
		owner = "~" + owner
	}
	one := address{scheme: a.scheme, user: a.user, host: a.host, segments: []string{"scm", owner, s[3] + ".git"}}
	p := one.place(3, "Bitbucket", false)
	if len(s) > 4 && s[4] != "browse" && s[4] != "raw" {
		return nil, p.other()
	}
	p.repo.Ref = a.query.Get("at")
	if len(s) > 5 {
		p.repo.Path = strings.Join(s[5:], "/")
	}
	if p.repo.Ref != "" && !validRef(p.repo.Ref) || !validPath(p.repo.Path) {
		return nil, unknown("the branch or path in this address cannot be one", "git allows no such name")
	}
	return p.whole()
}
