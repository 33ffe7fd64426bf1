package clone

import (
	"fmt"
	"strings"
)

// A setting is one line of a configuration: section and name in lower case, the
// subsection as it is (git-config(1), "Syntax").
type setting struct {
	section, sub, name string
	headed, hasSub     bool // under a header; under one with a subsection
	value              string
	bare               bool // no "=": a name alone, which is "true"
}

// settings are the lines of one or more files, in order: the last one counts.
type settings []setting

// parseSettings reads a configuration as git does (config.c). Includes are lines like
// others: nothing is followed. A file that git would refuse is an error.
func parseSettings(data []byte) (settings, error) {
	text := string(data)
	if i := strings.IndexByte(text, 0); i >= 0 {
		return nil, fmt.Errorf("line %d holds a NUL", 1+strings.Count(text[:i], "\n"))
	}
	text = strings.TrimPrefix(text, "\xef\xbb\xbf")
	p := &parser{text: strings.ReplaceAll(text, "\r\n", "\n")}
	out, ok := p.file()
	if !ok {
		at := min(p.at, len(p.text))
		return nil, fmt.Errorf("bad line %d", 1+strings.Count(p.text[:max(at-1, 0)], "\n"))
	}
	return out, nil
}

// A parser walks through the text; next past its end is a newline, and sets end.
type parser struct {
	text string
	at   int
	end  bool
}

func (p *parser) next() byte {
	if p.at >= len(p.text) {
		p.end = true
		return '\n'
	}
	p.at++
	return p.text[p.at-1]
}

func (p *parser) file() (settings, bool) {
	var out settings
	var head setting
	for {
		c := p.next()
		switch {
		case p.end:
			return out, true
		case space(c):
		case c == '#' || c == ';':
			for c != '\n' {
				c = p.next()
			}
		case c == '[':
			var ok bool
			if head, ok = p.header(); !ok {
				return nil, false
			}
		case letter(c):
			s, ok := p.line(head, c)
			if !ok {
				return nil, false
			}
			out = append(out, s)
		default:
			return nil, false
		}
	}
}

// header reads what follows a "[". The old form [section.sub] has its subsection in
// lower case.
func (p *parser) header() (setting, bool) {
	var name []byte
	for {
		c := p.next()
		switch {
		case p.end:
			return setting{}, false
		case c == ']' && len(name) == 0:
			return setting{}, false
		case c == ']':
			section, sub, has := strings.Cut(string(name), ".")
			return setting{section: section, sub: sub, headed: true, hasSub: has}, true
		case space(c):
			sub, ok := p.subsection(c)
			// [a.b "c"] is a.b.c to git; the first dot ends the section for us.
			section, more, has := strings.Cut(string(name), ".")
			if has {
				sub = more + "." + sub
			}
			return setting{section: section, sub: sub, headed: true, hasSub: true}, ok
		case !word(c) && c != '.':
			return setting{}, false
		}
		name = append(name, lower(c))
	}
}

func (p *parser) subsection(c byte) (string, bool) {
	for space(c) {
		if c == '\n' {
			return "", false
		}
		c = p.next()
	}
	if c != '"' {
		return "", false
	}
	var sub []byte
	for {
		c = p.next()
		if c == '"' {
			return string(sub), p.next() == ']'
		}
		if c == '\\' {
			c = p.next()
		}
		if c == '\n' {
			return "", false
		}
		sub = append(sub, c)
	}
}

// line reads a setting whose first letter is c.
func (p *parser) line(s setting, c byte) (setting, bool) {
	name := []byte{lower(c)}
	for c = p.next(); !p.end && word(c); c = p.next() {
		name = append(name, lower(c))
	}
	s.name = string(name)
	for c == ' ' || c == '\t' {
		c = p.next()
	}
	if c == '\n' {
		s.bare = true
		return s, true
	}
	if c != '=' {
		return s, false
	}
	var ok bool
	s.value, ok = p.value()
	return s, ok
}

func (p *parser) value() (string, bool) {
	var out []byte
	quote, spaces := false, 0
	for {
		c := p.next()
		if c == '\n' {
			return string(out), !quote
		}
		if space(c) && !quote {
			if len(out) > 0 {
				spaces++
			}
			continue
		}
		if !quote && (c == ';' || c == '#') {
			for c != '\n' {
				c = p.next()
			}
			return string(out), true
		}
		for ; spaces > 0; spaces-- {
			out = append(out, ' ')
		}
		switch c {
		case '"':
			quote = !quote
		case '\\':
			var ok bool
			if out, ok = p.escape(out); !ok {
				return "", false
			}
		default:
			out = append(out, c)
		}
	}
}

// escape reads what follows a backslash in a value; at the end of a line it joins it
// with the next.
func (p *parser) escape(out []byte) ([]byte, bool) {
	switch c := p.next(); c {
	case '\n':
		return out, true
	case 't':
		return append(out, '\t'), true
	case 'b':
		return append(out, '\b'), true
	case 'n':
		return append(out, '\n'), true
	case '\\', '"':
		return append(out, c), true
	}
	return nil, false
}

// git's own classes of characters: ASCII, whatever the locale is.
func space(c byte) bool  { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
func letter(c byte) bool { return 'a' <= lower(c) && lower(c) <= 'z' }
func word(c byte) bool   { return letter(c) || '0' <= c && c <= '9' || c == '-' }

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// get returns the last value of section.sub.name; a name alone is "true".
func (s settings) get(section, sub, name string) (string, bool) {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i].section == section && s[i].sub == sub && s[i].name == name {
			return s[i].text(), true
		}
	}
	return "", false
}

func (s setting) text() string {
	if s.bare {
		return "true"
	}
	return s.value
}

// truth reads a boolean as git does; what is none counts as fallback.
func (s settings) truth(section, name string, fallback bool) bool {
	v, ok := s.get(section, "", name)
	if !ok {
		return fallback
	}
	switch strings.ToLower(v) {
	case "true", "yes", "on", "1":
		return true
	case "false", "no", "off", "0", "":
		return false
	}
	return fallback
}
