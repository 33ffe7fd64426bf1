package resolve

import (
	"net/url"
	"strings"

	"github.com/daypass-dev/daypass"
)

// An address is an https, http, ssh or git URL taken apart.
type address struct {
	scheme, user, host string   // user without a password; host folded, with its port
	segments           []string // of the path, percent signs resolved; never empty, "." or ".."
	path               string   // as it was written, without slashes at its ends
	query              url.Values
}

// cutAddress takes what stands after "://" apart, and refuses what two programs
// could read in two ways. With the error that nothing stands behind the host comes that.
func cutAddress(scheme, rest string) (address, error) {
	rest, _, _ = strings.Cut(rest, "#")
	rest, query, _ := strings.Cut(rest, "?")
	if strings.ContainsAny(rest, "\\ \"<>^`{|}") {
		return address{}, unknown("the address cannot be read", "it holds a character that addresses do not hold")
	}
	authority, path, _ := strings.Cut(rest, "/")
	a := address{scheme: scheme, host: authority, path: strings.Trim(path, "/")}
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		a.user, a.host = authority[:i], authority[i+1:]
		if err := checkUser(scheme, a.user); err != nil {
			return address{}, err
		}
	}
	a.host = daypass.FoldASCII(a.host)
	if !daypass.CleanHost(a.host) {
		return address{}, unknown("the host in this address cannot be one", "a host has ASCII letters, digits, hyphens and dots; names in other scripts are written with xn--")
	}
	a.query, _ = url.ParseQuery(query) // what of it can be read; it only ever names a branch
	for _, s := range strings.Split(a.path, "/") {
		if s == "" {
			continue
		}
		clean, err := url.PathUnescape(s)
		if err != nil || oddCharacter(clean) != "" || strings.Contains(clean, "\\") {
			return address{}, unknown("the address cannot be read", "a percent sign in it stands for nothing that belongs there")
		}
		for _, part := range strings.Split(clean, "/") {
			if part == "" || part == "." || part == ".." {
				return address{}, unknown("the address cannot be read", "its path goes up or nowhere")
			}
		}
		a.segments = append(a.segments, clean)
	}
	if len(a.segments) == 0 {
		return address{host: a.host}, unknown("the address names a host and no repository", "")
	}
	return a, nil
}

// checkUser refuses a password, and a name that is a token, without repeating it.
func checkUser(scheme, user string) error {
	name, _, password := strings.Cut(user, ":")
	if !password && !tokenLike(name) {
		if name == "" || name[0] == '-' || !sshName(strings.ReplaceAll(name, "%", "")) {
			return unknown("the user in this address cannot be one", "")
		}
		return nil
	}
	next := `Run "daypass login", and give the address without it.`
	if scheme == "ssh" {
		next = "Give the address without it."
	}
	return &daypass.Problem{
		Code: "DP-361", What: "the address holds a password or token", Why: "it would be seen by everybody on this machine and stay in the folder",
		Next: next, Who: "Whoever made the address can end that token; others may have seen it.", Kind: daypass.ErrUsage,
	}
}

// tokenLike reports whether a user's name is a credential in its place.
func tokenLike(name string) bool {
	for _, prefix := range []string{"ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "gldt-", "glcbt-", "ATBB", "ATCTT"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return len(name) >= 40
}

// base is the address up to its path.
func (a address) base() string {
	if a.user != "" {
		return a.scheme + "://" + a.user + "@" + a.host
	}
	return a.scheme + "://" + a.host
}

// plain is the address as git's own.
func (a address) plain(kind string, certain bool, why string) Git {
	return Git{URL: a.base() + "/" + a.path, Host: a.host, Kind: kind, Certain: certain, Why: why}
}

// repository is the address of the repository in the first n segments.
func (a address) repository(n int) string {
	parts := make([]string, n)
	for i, s := range a.segments[:n] {
		parts[i] = url.PathEscape(s)
	}
	return a.base() + "/" + strings.Join(parts, "/")
}

// validRef reports whether git could have such a ref (git-check-ref-format(1));
// one that begins with a hyphen is refused beyond that.
func validRef(ref string) bool {
	if ref == "" || len(ref) > 255 || ref[0] == '-' || ref == "@" || strings.HasSuffix(ref, ".") ||
		strings.Contains(ref, "..") || strings.Contains(ref, "@{") || strings.ContainsAny(ref, " ~^:?*[\\\x7f") || oddCharacter(ref) != "" {
		return false
	}
	for _, part := range strings.Split(ref, "/") {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return true
}

// validPath reports whether a path stays inside a repository; "" does.
func validPath(path string) bool {
	if path == "" {
		return true
	}
	if oddCharacter(path) != "" || strings.Contains(path, "\\") {
		return false
	}
	for _, part := range strings.Split(strings.Trim(path, "/"), "/") {
		if part == "" || part == "." || part == ".." || daypass.FoldASCII(part) == ".git" {
			return false
		}
	}
	return true
}

// objectName reports whether a ref is a commit's full name.
func objectName(ref string) bool {
	if len(ref) != 40 && len(ref) != 64 {
		return false
	}
	for i := 0; i < len(ref); i++ {
		if c := ref[i]; !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return false
		}
	}
	return true
}
