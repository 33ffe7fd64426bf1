package notebook

import (
	"bytes"
	"strings"
)

// layout is how a file is written: what ends a line ("": all on one), what indents
// it, and what stands after a colon and a comma.
type layout struct {
	eol, unit, colon, comma string
}

// look reads a file's layout off its first member.
func look(data []byte) layout {
	r := &reader{b: data}
	r.take('{')
	start := r.i
	r.space()
	blank := string(data[start:r.i])
	l := layout{colon: ":", comma: ","}
	if n := strings.LastIndexByte(blank, '\n'); n >= 0 {
		l.eol, l.unit = "\n", blank[n+1:]
		if strings.Contains(blank, "\r\n") {
			l.eol = "\r\n"
		}
		if len(l.unit) > 16 {
			l.unit = l.unit[:16]
		}
	}
	if r.text() == nil && r.take(':') && bytes.HasPrefix(data[r.i:], []byte(" ")) {
		l.colon = ": "
	}
	if l.eol == "" && l.colon == ": " {
		l.comma = ", "
	}
	return l
}

// line starts a line of the given level; nothing where all is on one.
func (l layout) line(out []byte, level int) []byte {
	out = append(out, l.eol...)
	for range level {
		out = append(out, l.unit...)
	}
	return out
}

// next separates two values of a level.
func (l layout) next(out []byte, level int) []byte {
	if l.eol == "" {
		return append(out, l.comma...)
	}
	return l.line(append(out, ','), level)
}

// relay appends s as this layout writes it. Numbers, strings and the order of
// members stay as they are. level is that of the line where s begins. What would
// grow out of proportion, since it lies deep, is left as it is written.
func (l layout) relay(out []byte, s span, level int) []byte {
	r := &reader{b: s}
	begin, most := len(out), len(out)+1024+8*len(s)
	for {
		if len(out) > most {
			return append(out[:begin], s...)
		}
		c := r.next()
		switch c {
		case 0:
			return out
		case '{', '[':
			r.i++
			out = append(out, c)
			if e := r.next(); e == '}' || e == ']' {
				r.i++
				out = append(out, e)
				continue
			}
			level++
			out = l.line(out, level)
		case '}', ']':
			r.i++
			level--
			out = append(l.line(out, level), c)
		case ',':
			r.i++
			out = l.next(out, level)
		case ':':
			r.i++
			out = append(out, l.colon...)
		default:
			start := r.i
			r.skip(c)
			out = append(out, s[start:r.i]...)
		}
	}
}

// object appends an object of members that are already laid out for level+1.
func (l layout) object(out []byte, ms []member, level int) []byte {
	if len(ms) == 0 {
		return append(out, "{}"...)
	}
	out = l.line(append(out, '{'), level+1)
	for i, m := range ms {
		if i > 0 {
			out = l.next(out, level+1)
		}
		out = append(append(append(out, m.key...), l.colon...), m.val...)
	}
	return append(l.line(out, level), '}')
}
