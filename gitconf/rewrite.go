package gitconf

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass"
)

var (
	headerLine = pattern(`^[ \t]*\[[^\]"]*("(?:[^"\\]|\\.)*")?[ \t]*\][ \t]*(.*)$`)
	keyLine    = pattern(`^[ \t]*([A-Za-z][A-Za-z0-9-]*)[ \t]*(?:=|$|[#;])`)
)

// Rewrite changes the settings of one file. For each, change returns the value
// to keep, and whether to keep it at all. It is for settings whose key or value
// holds a secret: `git config` would show those to every process of the
// machine, in its arguments. git reads the text before and after through a
// pipe; if it does not read exactly what was meant, nothing is written.
func (g Git) Rewrite(ctx context.Context, file string, change func(key, value string) (string, bool)) (int, error) {
	e := &edit{git: g, file: file, write: true}
	if err := e.open(ctx); err != nil {
		return 0, err
	}
	defer e.close()
	before, err := e.list(ctx, e.text)
	if err != nil {
		return 0, unreadable(e.file, err)
	}
	text, want, n, err := rewriteText(e.text, splitList(before), change)
	if err == nil && n > 0 {
		var after []byte
		if after, err = e.list(ctx, text); err == nil && !slices.Equal(splitList(after), want) {
			err = errors.New("git reads it differently")
		}
	}
	if err != nil {
		return 0, &daypass.Problem{Code: "DP-709", What: e.file + " was not changed", Why: "its layout is not one that daypass edits",
			Next: "Open it in an editor and remove the setting.", Err: err}
	}
	e.text = text
	return n, e.commit()
}

// rewriteText pairs the lines of a file with what git reads in them.
func rewriteText(text []byte, entries []string, change func(key, value string) (string, bool)) (out []byte, want []string, n int, err error) {
	sec := &section{}
	for _, line := range logicalLines(string(text)) {
		bare := strings.TrimRight(line, "\r\n")
		if m := headerLine().FindStringSubmatch(bare); m != nil {
			out = append(out, sec.text()...)
			sec = &section{header: line}
			if rest := m[2]; rest != "" && rest[0] != '#' && rest[0] != ';' {
				return nil, nil, 0, errors.New("a setting beside a header")
			}
			continue
		}
		m := keyLine().FindStringSubmatch(bare)
		if m == nil {
			sec.keep(line, strings.TrimSpace(line) != "") // a comment keeps its header
			continue
		}
		if len(entries) == 0 {
			return nil, nil, 0, errors.New("a line that git does not read")
		}
		key, value, has := strings.Cut(entries[0], "\n")
		if !strings.HasSuffix(key, "."+strings.ToLower(m[1])) {
			return nil, nil, 0, errors.New("a line that git reads differently")
		}
		now, keep := change(key, value)
		switch {
		case !keep:
			sec.dropped++
			n++
		case now == value:
			sec.keep(line, true)
			want = append(want, entries[0])
		case !has || !plain(now):
			return nil, nil, 0, errors.New("a value that cannot be written")
		default:
			sec.keep("\t"+m[1]+" = "+quoteValue(now)+"\n", true)
			n++
			want = append(want, key+"\n"+now)
		}
		entries = entries[1:]
	}
	if len(entries) > 0 {
		return nil, nil, 0, errors.New("settings that no line has")
	}
	return append(out, sec.text()...), want, n, nil
}

// A section is a header and what is kept below it.
type section struct {
	header        string
	body          bytes.Buffer
	kept, dropped int
}

func (s *section) keep(line string, counts bool) {
	s.body.WriteString(line)
	if counts {
		s.kept++
	}
}

// text leaves out a header below which nothing is left.
func (s *section) text() []byte {
	if s.dropped > 0 && s.kept == 0 {
		return s.body.Bytes()
	}
	return append([]byte(s.header), s.body.Bytes()...)
}

// logicalLines joins lines that end in a backslash with the next, as a value may.
func logicalLines(text string) []string {
	var out []string
	for _, line := range strings.SplitAfter(text, "\n") {
		if line == "" {
			continue
		}
		if i := len(out) - 1; i >= 0 && continues(out[i]) {
			out[i] += line
		} else {
			out = append(out, line)
		}
	}
	return out
}

func continues(line string) bool {
	s := strings.TrimRight(line, "\r\n")
	trimmed := strings.TrimLeft(s, " \t")
	if trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';' || trimmed[0] == '[' {
		return false
	}
	return (len(s)-len(strings.TrimRight(s, `\`)))%2 == 1
}

// quoteValue writes a value as git-config(1), Syntax, has it.
func quoteValue(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// WithoutUserinfo returns a URL without the user and the password in it; the
// user of an ssh URL stays, since it says which account of the host to use.
func WithoutUserinfo(raw string) string {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return raw
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	at := strings.LastIndexByte(rest[:end], '@')
	if at < 0 {
		return raw
	}
	if strings.EqualFold(scheme, "ssh") {
		user, _, has := strings.Cut(rest[:at], ":")
		if !has {
			return raw
		}
		return scheme + "://" + user + rest[at:]
	}
	return scheme + "://" + rest[at+1:]
}

// Show returns s for people: secrets hidden, control bytes escaped.
func Show(s string) string { return printable(Redact(s)) }
