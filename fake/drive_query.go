package fake

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// A driveMatch is a condition of files.list's q: developers.google.com, "Search query
// terms and operators".
type driveMatch func(d *Drive, email string, f *DriveFile) bool

// A queryReader reads q: or binds less than and, not most.
type queryReader struct {
	words []string
	at    int
}

func parseQuery(q string) (driveMatch, error) {
	if strings.TrimSpace(q) == "" {
		return func(*Drive, string, *DriveFile) bool { return true }, nil
	}
	words, err := queryWords(q)
	if err != nil {
		return nil, err
	}
	p := &queryReader{words: words}
	m, err := p.or()
	if err == nil && p.at < len(words) {
		err = fmt.Errorf("unexpected %q", words[p.at])
	}
	return m, err
}

// queryWords cuts at spaces, brackets and signs; a string begins with its quote.
func queryWords(q string) (out []string, err error) {
	for i := 0; i < len(q); {
		switch c := q[i]; {
		case c == ' ' || c == '\t':
			i++
		case c == '(' || c == ')':
			out = append(out, q[i:i+1])
			i++
		case c == '\'':
			text, n := quoted(q[i+1:])
			if n < 0 {
				return nil, fmt.Errorf("a string without an end")
			}
			out = append(out, "'"+text)
			i += n + 1
		case strings.ContainsRune("=!<>", rune(c)):
			n := 1
			if i+1 < len(q) && q[i+1] == '=' {
				n = 2
			}
			out = append(out, q[i:i+n])
			i += n
		default:
			n := strings.IndexAny(q[i:], " \t()'=!<>")
			if n < 0 {
				n = len(q) - i
			}
			out = append(out, q[i:i+n])
			i += n
		}
	}
	return out, nil
}

// quoted reads up to the quote; \' and \\ stand for themselves.
func quoted(s string) (text string, n int) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case s[i] == '\'':
			return b.String(), i + 1
		default:
			b.WriteByte(s[i])
		}
	}
	return "", -1
}

func (p *queryReader) next() string {
	if p.at == len(p.words) {
		return ""
	}
	p.at++
	return p.words[p.at-1]
}

func (p *queryReader) take(word string) bool {
	if p.at < len(p.words) && p.words[p.at] == word {
		p.at++
		return true
	}
	return false
}

func (p *queryReader) or() (driveMatch, error) {
	a, err := p.and()
	for err == nil && p.take("or") {
		var b driveMatch
		left := a
		if b, err = p.and(); err == nil {
			a = func(d *Drive, e string, f *DriveFile) bool { return left(d, e, f) || b(d, e, f) }
		}
	}
	return a, err
}

func (p *queryReader) and() (driveMatch, error) {
	a, err := p.term()
	for err == nil && p.take("and") {
		var b driveMatch
		left := a
		if b, err = p.term(); err == nil {
			a = func(d *Drive, e string, f *DriveFile) bool { return left(d, e, f) && b(d, e, f) }
		}
	}
	return a, err
}

func (p *queryReader) term() (driveMatch, error) {
	if p.take("not") {
		m, err := p.term()
		return func(d *Drive, e string, f *DriveFile) bool { return !m(d, e, f) }, err
	}
	if p.take("(") {
		m, err := p.or()
		if err == nil && !p.take(")") {
			err = fmt.Errorf("a bracket without an end")
		}
		return m, err
	}
	left, operator, right := p.next(), p.next(), p.next()
	if value, ok := strings.CutPrefix(left, "'"); ok && operator == "in" && right == "parents" {
		return func(_ *Drive, _ string, f *DriveFile) bool { return f.Parent == value }, nil
	}
	value, isText := strings.CutPrefix(right, "'")
	field := map[string]func(*Drive, *DriveFile) string{
		"name":     func(_ *Drive, f *DriveFile) string { return f.Name },
		"mimeType": func(_ *Drive, f *DriveFile) string { return orElse(f.Type, "application/octet-stream") },
		"trashed":  func(d *Drive, f *DriveFile) string { return fmt.Sprint(d.trashed(f)) },
	}[left]
	if field == nil || isText == (left == "trashed") || left == "trashed" && value != "true" && value != "false" {
		return nil, fmt.Errorf("%s %s %s", left, operator, right)
	}
	switch operator {
	case "=":
		return func(d *Drive, _ string, f *DriveFile) bool { return field(d, f) == value }, nil
	case "!=":
		return func(d *Drive, _ string, f *DriveFile) bool { return field(d, f) != value }, nil
	case "contains":
		return func(d *Drive, _ string, f *DriveFile) bool { return strings.Contains(field(d, f), value) }, nil
	}
	return nil, fmt.Errorf("%s %s", left, operator)
}

// answerFields sends what the parameter fields names, or a method's usual fields:
// developers.google.com, "Return specific fields".
func answerFields(w http.ResponseWriter, r *http.Request, v map[string]any, usual string) {
	mask, rest, err := parseFields(orElse(r.URL.Query().Get("fields"), usual))
	if err != nil || rest != "" {
		driveError(w, http.StatusBadRequest, "invalidParameter", "Invalid field selection "+r.URL.Query().Get("fields"))
		return
	}
	writeJSON(w, http.StatusOK, masked(v, mask))
}

// A fieldMask names fields, and within them others; nil: all.
type fieldMask map[string]fieldMask

func parseFields(s string) (fieldMask, string, error) {
	out := fieldMask{}
	for {
		n := strings.IndexAny(s, ",()")
		if n < 0 {
			n = len(s)
		}
		path := strings.Split(strings.TrimSpace(s[:n]), "/")
		s = s[n:]
		if slices.Contains(path, "") {
			return nil, s, fmt.Errorf("an empty name")
		}
		var inner fieldMask
		if strings.HasPrefix(s, "(") {
			var err error
			if inner, s, err = parseFields(s[1:]); err != nil || !strings.HasPrefix(s, ")") {
				return nil, s, fmt.Errorf("a bracket without an end")
			}
			s = s[1:]
		}
		for _, name := range slices.Backward(path) {
			last := fieldMask{}
			last[name], inner = inner, nil
			inner = last
		}
		out.merge(inner)
		if !strings.HasPrefix(s, ",") {
			return out, s, nil
		}
		s = s[1:]
	}
}

func (m fieldMask) merge(n fieldMask) {
	for k, inner := range n {
		if have, ok := m[k]; ok && have != nil && inner != nil {
			have.merge(inner)
			continue
		}
		m[k] = inner
	}
}

func masked(v any, mask fieldMask) any {
	if _, all := mask["*"]; all || mask == nil {
		return v
	}
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, inner := range mask {
			if have, ok := v[k]; ok {
				out[k] = masked(have, inner)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for n := range v {
			out[n] = masked(v[n], mask)
		}
		return out
	}
	return v
}
