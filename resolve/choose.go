package resolve

import (
	"slices"
	"strings"
)

// Choose settles readings that differ in where the ref ends, by the names that
// the repository has ("refs/heads/main", "refs/tags/v1", as ls-remote lists
// them): a branch before a tag, and before a commit. It reports false where
// none is there. The chosen one is certain.
func Choose(cands []Git, refs []string) (Git, bool) {
	for _, prefix := range []string{"", "refs/heads/", "refs/tags/"} {
		for _, c := range slices.Backward(cands) { // the longest name first
			if c.Ref != "" && (prefix != "" || strings.HasPrefix(c.Ref, "refs/")) && slices.Contains(refs, prefix+c.Ref) {
				c.Certain = true
				return c, true
			}
		}
	}
	for _, c := range cands {
		if c.Ref == "" || objectName(c.Ref) {
			c.Certain = true
			return c, true
		}
	}
	return Git{}, false
}

// Name is the folder that git clone makes for an address: its last part, without
// .git or .bundle. It is "" where there is none that could be a folder.
func Name(address string) string {
	if _, rest, ok := strings.Cut(address, "://"); ok {
		address = rest
		host, path, ok := strings.Cut(address, "/")
		if ok && strings.Trim(path, "/") != "" {
			address = path
		} else {
			address = host[strings.LastIndexByte(host, '@')+1:]
			address, _, _ = strings.Cut(address, ":")
		}
	}
	address = strings.TrimRight(address, "/ ")
	address = strings.TrimRight(strings.TrimSuffix(address, "/.git"), "/")
	name := address[strings.LastIndexAny(address, "/:")+1:]
	for _, end := range []string{".git", ".bundle"} {
		if len(name) > len(end) && strings.HasSuffix(name, end) {
			name = strings.TrimSuffix(name, end)
			break
		}
	}
	if name == "" || name[0] == '.' || oddCharacter(name) != "" || strings.Contains(name, "\\") {
		return ""
	}
	return name
}
