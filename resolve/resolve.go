package resolve

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/daypass-dev/daypass"
)

// maxAddress bounds what is read as an address, in bytes.
const maxAddress = 4096

// A Git is one reading of an address: a place in a git repository.
type Git struct {
	URL     string // what git fetches from; never with a password
	Host    string // the host as people know it, with its port; "" for a path on this machine
	Ref     string // a branch, a tag, a full ref or a commit; "" means the repository's default branch
	Path    string // a folder or file in it, with /; "" means all
	File    bool   // the page shows that one file
	Kind    string // what kind of address it was: "GitHub", "GitLab", "gist", "path" …
	Pull    int    // the number of a pull or merge request, else 0
	Certain bool   // the text alone says it; else the host has to be asked
	Why     string // how it was told, a clause for people
}

// Parse returns what the text may mean, the most likely first: never none
// without an error. Where a ref may hold slashes there is one reading for each
// way to cut it, which [Choose] settles. Errors are a [daypass.Problem] of kind
// ErrUsage and repeat no part of the text that may be a secret.
func Parse(text string) ([]Git, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return nil, unknown("no address was given", "")
	case len(text) > maxAddress:
		return nil, unknown("the address is too long", "it has more than 4096 bytes")
	case text[0] == '-':
		return nil, unknown("an address does not begin with a hyphen", "git could take it for one of its options")
	}
	if why := oddCharacter(text); why != "" {
		return nil, unknown("the address cannot be read", why)
	}
	if strings.HasPrefix(text, "/") || text == "." || text == ".." || strings.HasPrefix(text, "./") || strings.HasPrefix(text, "../") {
		return []Git{{URL: text, Kind: "path", Certain: true, Why: "it is a folder on this machine"}}, nil
	}
	scheme, rest, ok := strings.Cut(text, "://")
	if ok && schemeName(scheme) {
		return parseScheme(daypass.FoldASCII(scheme), rest)
	}
	if elsewhere(text) {
		return nil, notGit()
	}
	if i := strings.IndexAny(text, ":/"); i > 0 && text[i] == ':' {
		return parseSSH(text, i)
	}
	host, _, _ := strings.Cut(text, "/")
	if strings.Contains(host, ".") && daypass.CleanHost(daypass.FoldASCII(host)) && host != text {
		return parseScheme("https", text)
	}
	return nil, unknown("this is no address that daypass knows", "it names no host, and a folder begins with / or ./")
}

func parseScheme(scheme, rest string) ([]Git, error) {
	switch scheme {
	case "https", "http":
		return parseWeb(scheme, rest)
	case "ssh", "git":
		a, err := cutAddress(scheme, rest)
		if err != nil {
			return nil, err
		}
		return []Git{a.plain("git", true, "it is an address for git")}, nil
	case "file":
		return parseFile(rest)
	}
	if inner, ok := strings.CutPrefix(scheme, "git+"); ok {
		switch inner {
		case "https", "http", "ssh", "git", "file":
			return parsePip(inner, rest)
		}
	}
	return nil, unknown("addresses that begin with "+scheme+":// are not fetched", "git content comes by https, ssh or from a folder")
}

func parseFile(rest string) ([]Git, error) {
	if !strings.HasPrefix(rest, "/") {
		return nil, unknown("a file:// address names a full path", "what follows file:// has to begin with /")
	}
	return []Git{{URL: "file://" + rest, Kind: "path", Certain: true, Why: "it is a folder on this machine"}}, nil
}

// parsePip reads pip's form, git+SCHEME://HOST/PATH@REF#subdirectory=PATH.
func parsePip(scheme, rest string) ([]Git, error) {
	rest, fragment, _ := strings.Cut(rest, "#")
	path := ""
	for _, pair := range strings.Split(fragment, "&") {
		if v, ok := strings.CutPrefix(pair, "subdirectory="); ok {
			path = v
		}
	}
	host, tail, _ := strings.Cut(rest, "/")
	tail, ref, _ := strings.Cut(tail, "@")
	if ref == "HEAD" {
		ref = ""
	}
	if !validRef(ref) && ref != "" || !validPath(path) {
		return nil, unknown("the branch or folder in this address cannot be one", "git allows no such name")
	}
	var one Git
	if scheme == "file" {
		list, err := parseFile(host + "/" + tail)
		if err != nil {
			return nil, err
		}
		one = list[0]
	} else {
		a, err := cutAddress(scheme, host+"/"+tail)
		if err != nil {
			return nil, err
		}
		one = a.plain("git", true, "")
	}
	one.Ref, one.Path, one.Why = ref, strings.Trim(path, "/"), "git+ says that it is a git repository"
	return []Git{one}, nil
}

// parseSSH reads [USER@]HOST:PATH, ssh's short form; the colon is at i.
func parseSSH(text string, i int) ([]Git, error) {
	user, host, found := strings.Cut(text[:i], "@")
	if !found {
		user, host = "", user
	}
	path := text[i+1:]
	if strings.HasPrefix(path, ":") {
		return nil, unknown("addresses with :: are not fetched", "they start other programs")
	}
	switch daypass.FoldASCII(text[:i]) {
	case "http", "https", "ssh", "git", "file", "javascript", "vbscript", "data", "blob", "about", "mailto", "urn":
		return nil, unknown("this is no address that daypass knows", "what stands before the colon is no host")
	}
	if !sshName(host) || found && !sshName(user) || path == "" || path[0] == '-' || strings.ContainsAny(path, "\\ ") {
		return nil, unknown("this is no address that daypass knows", "")
	}
	return []Git{{URL: text, Host: host, Kind: "ssh", Certain: true, Why: "it is an address for git over ssh"}}, nil
}

// sshName reports whether a user or host can stand in ssh's short form; a host
// may be an alias of the user's own, in any case.
func sshName(s string) bool {
	if s == "" || s[0] == '-' || len(s) > 253 {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("._-+", c) >= 0) {
			return false
		}
	}
	return true
}

func schemeName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || !(c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.')) {
			return false
		}
	}
	return s != ""
}

// oddCharacter says what makes a text unfit to be shown or handed to git.
func oddCharacter(text string) string {
	if !utf8.ValidString(text) {
		return "it is not valid UTF-8"
	}
	for _, r := range text {
		if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point) {
			return "it holds a character that cannot be seen"
		}
	}
	return ""
}

// elsewhere tells content that is no git repository: identifiers of archives.
func elsewhere(text string) bool {
	low := daypass.FoldASCII(text)
	return strings.HasPrefix(low, "doi:") || strings.HasPrefix(low, "hdl:") || strings.HasPrefix(low, "10.") && strings.Contains(low, "/")
}

func unknown(what, why string) error {
	return &daypass.Problem{
		Code: "DP-360", What: what, Why: why, Kind: daypass.ErrUsage,
		Next: "Give the address of a git repository, such as https://github.com/OWNER/NAME, or of a page in one.",
	}
}

func notGit() error {
	return &daypass.Problem{
		Code: "DP-362", What: "this address is not of a git repository", Why: "it is of an archive or a drive, and a repository is asked for here", Kind: daypass.ErrUsage,
		Next: `Give the address of a repository. What archives and drives hold comes by its own address: "daypass pull ADDRESS".`,
	}
}
