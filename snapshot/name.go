package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"
)

// The bounds of names: what file systems take, with room for the folder that the
// files go to.
const (
	MaxPath      = 1024 // bytes
	MaxComponent = 255  // bytes
	MaxDepth     = 64   // components
)

// Name says under which name a path of a source may be delivered. Most go as they
// are. Names that would not show as what they are (control characters, characters that
// turn the direction of writing) are escaped as %XX, too long components are shortened
// with a part of their hash: ok, another clean, and why. What could lead out of the
// folder, or into git's own, is refused: not ok, and why. The parts of a path are
// separated by "/"; what is no separator there but looks like one elsewhere is refused.
func Name(name string) (clean, why string, ok bool) {
	switch {
	case name == "":
		return "", "it has no name", false
	case !utf8.ValidString(name):
		return "", "its name is not in UTF-8", false
	case strings.ContainsRune(name, 0):
		return "", "its name holds a NUL", false
	case strings.ContainsRune(name, '\\'):
		return "", "its name holds a backslash", false
	case name[0] == '/':
		return "", "its path begins at the root", false
	}
	parts := strings.Split(name, "/")
	if len(parts) > MaxDepth {
		return "", fmt.Sprintf("it lies more than %d folders deep", MaxDepth), false
	}
	for i, part := range parts {
		switch {
		case part == "":
			return "", "a part of its path is empty", false
		case part == "." || part == "..":
			return "", "its path leads elsewhere", false
		case gitFolder(part):
			return "", "it would lie in git's own folder", false
		}
		p := escape(part)
		if p != part {
			why = "its name held characters that do not show"
		}
		if len(p) > MaxComponent {
			p, why = shorten(p), "its name was too long"
		}
		parts[i] = p
	}
	clean = strings.Join(parts, "/")
	if len(clean) > MaxPath {
		return "", fmt.Sprintf("its path is longer than %d bytes", MaxPath), false
	}
	return clean, why, true
}

// gitFolder reports whether a name is .git on some file system: in another case, with
// what HFS+ ignores, as NTFS's short name or stream, with dots and spaces behind it.
func gitFolder(part string) bool {
	s := strings.Map(func(c rune) rune {
		switch {
		case c >= 0x200c && c <= 0x200f, c >= 0x202a && c <= 0x202e, c >= 0x206a && c <= 0x206f, c == 0xfeff:
			return -1 // what HFS+ ignores, as git's utf8.c lists it
		case c == 'İ', c == 'ı':
			return 'i'
		}
		return c
	}, part)
	s, _, _ = strings.Cut(strings.ToLower(s), ":")
	s = strings.TrimRight(s, " .")
	if s == ".git" {
		return true
	}
	digits, ok := strings.CutPrefix(s, "git~")
	return ok && digits != "" && strings.Trim(digits, "0123456789") == ""
}

// bidi reports whether c turns the direction of what follows it.
func bidi(c rune) bool {
	return c == 0x061c || c == 0x200e || c == 0x200f || c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069
}

func escape(part string) string {
	var b strings.Builder
	for _, c := range part {
		if c >= ' ' && c != 0x7f && (c < 0x80 || c >= 0xa0) && !bidi(c) && c != 0x2028 && c != 0x2029 {
			b.WriteRune(c)
			continue
		}
		for _, raw := range []byte(string(c)) {
			fmt.Fprintf(&b, "%%%02X", raw)
		}
	}
	return b.String()
}

// shorten keeps the beginning and the extension, and puts a part of the hash between.
func shorten(part string) string {
	sum := sha256.Sum256([]byte(part))
	ext := path.Ext(part)
	if len(ext) > 20 {
		ext = ""
	}
	stem := part[:MaxComponent-len(ext)-9]
	for !utf8.ValidString(stem) {
		stem = stem[:len(stem)-1]
	}
	return stem + "~" + hex.EncodeToString(sum[:4]) + ext
}

// Link says whether a symbolic link at a path may be delivered: it must be relative
// and stay inside, whatever other links there are. A ".." behind a name could leave by
// a link of that name, so that all of them stand first.
func Link(at, target string) (why string, ok bool) {
	if target == "" || len(target) > MaxPath || target[0] == '/' || strings.ContainsAny(target, "\x00\\") || !utf8.ValidString(target) {
		return "a link that leads out of the folder", false
	}
	ups, named := 0, false
	for _, part := range strings.Split(target, "/") {
		switch {
		case part == "" || part == ".":
		case part == "..":
			if ups++; named {
				return "a link that leads out of the folder", false
			}
		case gitFolder(part):
			return "a link into git's own folder", false
		default:
			named = true
		}
	}
	if ups > strings.Count(at, "/") {
		return "a link that leads out of the folder", false
	}
	return "", true
}
