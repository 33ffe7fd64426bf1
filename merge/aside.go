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
		dir, name := path.Split(s.From)
		stem, ext := splitName(name)
		s.Path = p.free(dir+stem, "__"+p.Stamp, ext)
	}
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
	end := strings.Join(ext, "")
	for n := 0; ; n++ {
		tail := mark
		if n > 0 {
			tail += "_" + strconv.Itoa(n)
		}
		name := shorten(stem, len(tail)+len(end)) + tail + end
		if k := p.key(name); !p.names[k] && p.Prefix(name) == "" {
			p.names[k] = true
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
