package merge

import (
	"path"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxName is the most bytes that a disk takes for one name.
const maxName = 255

// nameAsides gives each a name that nobody has: name__STAMP.ext, in its folder.
func (p *planner) nameAsides() {
	for i := range p.asides {
		s := &p.asides[i]
		stem, ext := splitPath(s.From)
		s.Path = p.free(stem, "__"+p.Stamp, ext)
	}
}

// AsideName is name__STAMP.ext in the folder of a path, for what makes room there:
// shortened where a disk would not take it, and with a number where it is taken.
func AsideName(from, stamp string, taken func(path string) bool) string {
	stem, ext := splitPath(from)
	return freeName(stem, "__"+stamp, ext, taken)
}

// splitPath is splitName of a path's last component.
func splitPath(at string) (stem, ext string) {
	dir, name := path.Split(at)
	stem, ext = splitName(name)
	return dir + stem, ext
}

// splitName cuts at the last dot, unless only dots are before it.
func splitName(name string) (stem, ext string) {
	i := strings.LastIndexByte(name, '.')
	if i <= 0 || strings.Trim(name[:i], ".") == "" || len(name)-i > 64 {
		return name, ""
	}
	return name[:i], name[i:]
}

// free is a name that neither version has, nor the disk, nor another step.
func (p *planner) free(stem, mark string, ext ...string) string {
	if p.names == nil {
		p.names = p.taken()
	}
	name := freeName(stem, mark, strings.Join(ext, ""), func(name string) bool { return p.names[p.key(name)] || p.Prefix(name) != "" })
	p.names[p.key(name)] = true
	return name
}

func freeName(stem, mark, end string, taken func(string) bool) string {
	for n := 0; ; n++ {
		tail := mark
		if n > 0 {
			tail += "_" + strconv.Itoa(n)
		}
		if name := shorten(stem, len(tail)+len(end)) + tail + end; !taken(name) {
			return name
		}
	}
}

// shorten leaves room for so many bytes behind the last name of a path.
func shorten(stem string, room int) string {
	dir, name := path.Split(stem)
	for len(name)+room > maxName && name != "" {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	return dir + name
}
