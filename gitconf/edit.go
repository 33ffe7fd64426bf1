package gitconf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass"
)

// An edit is a change of one configuration file, in memory until commit. Each
// step is checked with git: what it reads after must be what it read before,
// plus or less what was meant, and nothing else.
type edit struct {
	git   Git
	file  string // after open with links resolved
	write bool   // false: only look

	lock    *lockedFile // nil when only looking
	missing bool        // the file does not exist
	text    []byte
	old     []byte
	scratch string // a folder for git to read from, when only looking
}

func (e *edit) open(ctx context.Context) error {
	if !e.write {
		l := &lockedFile{}
		var err error
		if l.path, err = resolveLink(e.file); err == nil {
			err = l.read()
		}
		if err != nil {
			return err
		}
		e.file, e.missing, e.old, e.text = l.path, l.info == nil, l.old, l.old
		return nil
	}
	l, err := lockFile(ctx, e.file)
	if err != nil {
		return err
	}
	e.lock, e.file, e.missing, e.old, e.text = l, l.path, l.info == nil, l.old, l.old
	return nil
}

func (e *edit) close() {
	if e.lock != nil {
		e.lock.abort()
	}
	if e.scratch != "" {
		os.RemoveAll(e.scratch)
	}
}

func (e *edit) dirty() bool { return !bytes.Equal(e.text, e.old) }

func (e *edit) commit() error {
	if !e.dirty() {
		return nil
	}
	if err := e.lock.try(e.text); err != nil {
		return err
	}
	return e.lock.commit()
}

// list returns what git reads in text, as `git config --list -z` writes it. The
// text goes through stdin, so that it is on no disk.
func (e *edit) list(ctx context.Context, text []byte) ([]byte, error) {
	return e.git.run(ctx, job{args: []string{"config", "--file", "-", "--list", "-z"}, stdin: text})
}

// append adds a block at the end and to the record. A last line without an end
// gets one, and a last line that ends in a backslash, which would take the
// block's first line in, gets one more; these ends are the block's glue.
func (e *edit) append(ctx context.Context, fr *fileRecord, b block) error {
	before, err := e.list(ctx, e.text)
	if err != nil {
		return unreadable(e.file, err)
	}
	ours, err := e.list(ctx, []byte(b.Text))
	if err != nil {
		return err
	}
	want := slices.Concat(before, ours)
	if len(e.text) > 0 && !bytes.HasSuffix(e.text, []byte("\n")) {
		b.Glue = "\n"
	}
	for range 2 {
		text := slices.Concat(e.text, []byte(b.Glue), []byte(b.Text))
		if after, err := e.list(ctx, text); err == nil && bytes.Equal(after, want) {
			if b.Glue != "" {
				b.Head = sum(e.text)
			}
			if len(fr.Blocks) == 0 {
				fr.Created = fr.Created || e.missing
			}
			fr.Blocks = append(fr.Blocks, b)
			e.text = text
			return nil
		}
		b.Glue += "\n"
	}
	return &daypass.Problem{Code: "DP-708", What: "nothing can be added to " + e.file, Why: "git would read its last line differently",
		Next: "End the file with an empty line and try again."}
}

func unreadable(file string, err error) error {
	return &daypass.Problem{Code: "DP-708", What: "git cannot read " + file, Why: err.Error(),
		Next: "Mend that line and try again.", Err: err}
}

// A cutting is what cut took away.
type cutting struct {
	removed string
	edited  bool
	left    []string
}

// cut takes a recorded block out of the text and out of the record.
func (e *edit) cut(ctx context.Context, fr *fileRecord, key string) (cutting, error) {
	i := slices.IndexFunc(fr.Blocks, func(b block) bool { return b.Key == key })
	b := fr.Blocks[i]
	text, glueLeft, ok := e.cutWhole(ctx, b)
	var out cutting
	if ok {
		out.removed = b.Text
		if glueLeft && i+1 < len(fr.Blocks) {
			next := &fr.Blocks[i+1]
			if next.Glue == "" && bytes.HasPrefix(e.text[bytes.LastIndex(e.text, []byte(b.Text))+len(b.Text):], []byte(next.Text)) {
				next.Glue, next.Head = b.Glue, b.Head
			}
		}
	} else {
		var err error
		if text, out, err = e.cutLines(ctx, b); err != nil {
			return out, err
		}
	}
	fr.Blocks = slices.Delete(fr.Blocks, i, i+1)
	e.text = text
	return out, nil
}

// cutWhole cuts the block where it stands unchanged. The glue before it goes
// too if nothing follows; otherwise it still ends the line before, and goes
// with our next block, if that is what follows.
func (e *edit) cutWhole(ctx context.Context, b block) (text []byte, glueLeft, ok bool) {
	at := bytes.LastIndex(e.text, []byte(b.Text))
	if at < 0 || b.Text == "" {
		return nil, false, false
	}
	head, tail := e.text[:at], e.text[at+len(b.Text):]
	if bare := bytes.TrimSuffix(head, []byte(b.Glue)); len(tail) == 0 && b.Glue != "" && sum(bare) == b.Head {
		head = bare
	}
	text = slices.Concat(head, tail)
	// If somebody's line now stands in our section, cutting the header would
	// put that line into another one: git would read it differently.
	before, err := e.list(ctx, e.text)
	if err != nil {
		return text, len(tail) > 0, true // unreadable before; the bytes are ours
	}
	ours, err := e.list(ctx, []byte(b.Text))
	if err != nil {
		return nil, false, false
	}
	after, err := e.list(ctx, text)
	if err != nil {
		return nil, false, false
	}
	i := bytes.LastIndex(before, ours)
	ok = i >= 0 && bytes.Equal(after, slices.Concat(before[:i], before[i+len(ours):]))
	return text, len(tail) > 0, ok
}

// cutLines takes out the lines of a block that has been edited: those that
// still stand as they were written, each at most once and the last of its kind,
// then those that git reads as the same setting. A header of ours that has
// nothing left below it goes too.
func (e *edit) cutLines(ctx context.Context, b block) ([]byte, cutting, error) {
	out := cutting{edited: true}
	before, err := e.list(ctx, e.text)
	if err != nil {
		return nil, out, unreadable(e.file, err)
	}
	entries, err := e.list(ctx, []byte(b.Text))
	if err != nil {
		return nil, out, err
	}
	want := splitList(before)
	var missing []string
	for _, s := range slices.Backward(splitList(entries)) {
		i := lastIndex(want, s)
		if i < 0 {
			key, _, _ := strings.Cut(s, "\n")
			missing = append(missing, key)
			continue
		}
		want = slices.Delete(want, i, i+1)
	}
	text, removed := dropLines(e.text, b.Text)
	if after, err := e.list(ctx, text); err == nil && slices.Equal(splitList(after), want) {
		out.removed, out.left = removed, missing
		return text, out, nil
	}
	return e.unset(ctx, out, splitList(entries))
}

func splitList(list []byte) []string {
	if len(list) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(list), "\x00"), "\x00")
}

func lastIndex(list []string, s string) int {
	for i, have := range slices.Backward(list) {
		if have == s {
			return i
		}
	}
	return -1
}

// dropLines removes the lines of a block from a file of the same sections.
func dropLines(text []byte, block string) ([]byte, string) {
	lines := strings.SplitAfter(string(text), "\n")
	gone := make([]bool, len(lines))
	header, removed := "", ""
	emptied := map[int]bool{}
	blockLines := strings.SplitAfter(block, "\n")
	for _, ours := range blockLines {
		if strings.HasPrefix(ours, "[") {
			header = ours
			continue
		}
		if ours == "" {
			continue
		}
		if at, i := findLine(lines, gone, header, ours); i >= 0 {
			gone[i] = true
			emptied[at] = true
			removed += ours
		}
	}
	for at := range emptied {
		empty := true
		for i := at + 1; i < len(lines) && !isHeader(lines[i]); i++ {
			empty = empty && (gone[i] || strings.TrimSpace(lines[i]) == "")
		}
		gone[at] = empty
	}
	var out bytes.Buffer
	for i, line := range lines {
		if !gone[i] {
			out.WriteString(line)
		}
	}
	return out.Bytes(), removed
}

func isHeader(line string) bool { return strings.HasPrefix(strings.TrimLeft(line, " \t"), "[") }

// findLine returns the last line under a header of that text, and the header's
// own place.
func findLine(lines []string, gone []bool, header, line string) (at, i int) {
	at, found, inside := -1, -1, -1
	for n, have := range lines {
		if isHeader(have) {
			inside = -1
			if have == header {
				inside = n
			}
			continue
		}
		if inside >= 0 && !gone[n] && strings.TrimSuffix(have, "\n") == strings.TrimSuffix(line, "\n") {
			at, found = inside, n
		}
	}
	return at, found
}

// unset lets git itself remove single settings, for text that has been laid out
// anew. A setting that stands there more than once stays, and is named.
func (e *edit) unset(ctx context.Context, out cutting, entries []string) ([]byte, cutting, error) {
	dir, err := os.MkdirTemp(filepath.Dir(e.file), ".daypass-undo-") // not in /tmp: the text may hold secrets
	if err != nil {
		return nil, out, cannotWrite(e.file, err)
	}
	defer os.RemoveAll(dir)
	tmp := filepath.Join(dir, "config")
	if err := os.WriteFile(tmp, e.text, 0o600); err != nil {
		return nil, out, cannotWrite(e.file, err)
	}
	for _, s := range entries {
		key, value, _ := strings.Cut(s, "\n")
		_, err := e.git.run(ctx, job{args: []string{"config", "--file", tmp, "--unset", key, "^" + regexp.QuoteMeta(value) + "$"}})
		switch {
		case err == nil:
			out.removed += key + "\n"
		case exitCode(err) == 5:
			out.left = append(out.left, key)
		default:
			return nil, out, fmt.Errorf("remove %s: %w", key, err)
		}
	}
	text, err := os.ReadFile(tmp)
	if err != nil {
		return nil, out, errors.New("read back what git wrote")
	}
	return text, out, nil
}
