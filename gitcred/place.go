package gitcred

import "github.com/daypass-dev/daypass"

// A PathKind says what a request's path is.
type PathKind uint8

// The kinds of path.
const (
	NoPath    PathKind = iota // none given: credential.useHttpPath is not set
	RepoPath                  // a repository
	OtherPath                 // anything else: nothing may be given for it
)

// Repo reads the path as OWNER/NAME, with at most one ".git" and at most one
// "/info/lfs" (where git-lfs sends its requests) behind it, and nothing else. git hands the path on
// percent-decoded and with its dot segments, which the HTTP library then
// removes: "good/repo/../../evil/x" would be asked for by one name and sent to
// another.
func (r Request) Repo() (daypass.Repo, PathKind) {
	if !r.HasPath {
		return daypass.Repo{}, NoPath
	}
	path := cut(r.Path, "/info/lfs")
	path = cut(path, ".git")
	repo, ok := daypass.ParseRepo(path)
	if !ok || hasSuffix(daypass.FoldASCII(repo.Name), ".git") {
		return daypass.Repo{}, OtherPath // GitHub gives no name that ends in .git
	}
	return repo, RepoPath
}

func hasSuffix(s, suffix string) bool {
	return len(s) >= len(suffix) && s[len(s)-len(suffix):] == suffix
}

func cut(s, suffix string) string {
	if hasSuffix(s, suffix) {
		return s[:len(s)-len(suffix)]
	}
	return s
}

// Served reports whether a request's protocol and host are ones that a helper
// may answer at all: https, or http to this very machine.
func (r Request) Served() bool {
	if !daypass.CleanHost(r.Host) {
		return false
	}
	return r.Protocol == "https" || r.Protocol == "http" && daypass.Loopback(r.Host)
}
