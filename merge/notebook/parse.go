package notebook

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// document is a notebook, taken apart as far as a merge needs it.
type document struct {
	raw    []byte // without a byte order mark
	cells  []*cell
	meta   span
	minor  int
	layout layout
	// where the values stand in raw
	cellsAt, metaAt, minorAt [2]int
}

type cell struct {
	raw   span
	at    [2]int // where it stands in the file
	place int    // among the file's cells
	typ   string
	id    string // as written in the cell
	label string // what it is known by: id, or the one that Colab keeps in the metadata
	grade string // nbgrader's name for it
	// text is the source; key says what counts as the same cell's content: the type,
	// and the source without carriage returns and without space at its end.
	text, key string
	empty     bool
	locked    bool
	odd       bool // a name stands twice in it
	typed     span
	named     span
	source    span
	meta      span
	outputs   span
	count     span
	attached  span
	words     []uint32 // see similar
	counted   bool
}

// parse reads a notebook. ErrNot where it is none of format 4.
func parse(data []byte) (*document, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(data) {
		return nil, ErrNot
	}
	d := &document{raw: data, minor: -1}
	r := &reader{b: data}
	if r.next() != '{' {
		return nil, ErrNot
	}
	major := -1
	var seen bool
	err := r.object(0, func(key span, val func() (span, error)) error {
		r.space()
		if string(key) == `"cells"` && r.next() == '[' {
			seen = true
			return d.readCells(r)
		}
		v, err := val()
		at := [2]int{r.i - len(v), r.i}
		switch plainKey(key) {
		case "cells":
			return ErrNot
		case "metadata":
			d.meta, d.metaAt = v, at
		case "nbformat":
			major = number(v)
		case "nbformat_minor":
			d.minor, d.minorAt = number(v), at
		}
		return err
	})
	if err != nil || r.next() != 0 || r.i != len(r.b) {
		return nil, ErrNot
	}
	if !seen || major != 4 || d.minor < 0 || len(d.meta) == 0 || d.meta[0] != '{' {
		return nil, ErrNot
	}
	d.layout = look(data)
	return d, nil
}

func (d *document) readCells(r *reader) error {
	d.cells = nil
	start := r.i
	err := r.array(1, func() error {
		c, err := readCell(r)
		if err == nil {
			c.place = len(d.cells)
			d.cells = append(d.cells, c)
		}
		return err
	})
	d.cellsAt = [2]int{start, r.i}
	return err
}

func readCell(r *reader) (*cell, error) {
	if r.next() != '{' {
		return nil, ErrNot
	}
	c := &cell{}
	start := r.i
	err := r.object(2, func(key span, val func() (span, error)) error {
		v, err := val()
		var to *span
		switch plainKey(key) {
		case "id":
			to = &c.named
		case "cell_type":
			to = &c.typed
		case "source":
			to = &c.source
		case "metadata":
			to = &c.meta
		case "outputs":
			to = &c.outputs
		case "execution_count":
			to = &c.count
		case "attachments":
			to = &c.attached
		default:
			return err
		}
		c.odd = c.odd || *to != nil
		*to = v
		return err
	})
	if err != nil {
		return nil, err
	}
	c.raw, c.at = r.b[start:r.i], [2]int{start, r.i}
	c.id, _ = str(c.named)
	c.typ, _ = str(c.typed)
	return c, c.read()
}

// read takes apart what the merge asks of a cell.
func (c *cell) read() error {
	if c.typ != "code" && c.typ != "markdown" && c.typ != "raw" {
		return ErrNot
	}
	var ok bool
	if c.text, ok = sourceText(c.source); !ok {
		return ErrNot
	}
	if c.meta != nil && c.meta[0] != '{' || c.outputs != nil && c.outputs[0] != '[' || c.attached != nil && c.attached[0] != '{' {
		return ErrNot
	}
	norm := c.text
	if strings.Contains(norm, "\r\n") {
		norm = strings.ReplaceAll(norm, "\r\n", "\n")
	}
	norm = strings.TrimRight(norm, " \t\r\n")
	c.empty = norm == ""
	c.key = c.typ + "\x00" + norm
	c.label = c.id
	if len(c.meta) > 2 {
		c.readMeta()
	}
	return nil
}

func (c *cell) readMeta() {
	ms := members(c.meta)
	if c.label == "" {
		c.label, _ = str(get(ms, "id"))
	}
	if grader := members(get(ms, "nbgrader")); grader != nil {
		c.grade, _ = str(get(grader, "grade_id"))
		c.locked = string(get(grader, "locked")) == "true" && string(get(grader, "solution")) != "true"
	}
	c.locked = c.locked || string(get(ms, "editable")) == "false"
}

// sourceText joins a source, which is a string or a list of them.
func sourceText(s span) (string, bool) {
	if len(s) == 0 {
		return "", false
	}
	if s[0] != '[' {
		return str(s)
	}
	out := make([]byte, 0, len(s))
	for _, e := range elements(s) {
		if e[0] != '"' {
			return "", false
		}
		out = unquote(out, e)
	}
	return string(out), true
}

// plainKey is a member's name.
func plainKey(key span) string {
	if bytes.IndexByte(key, '\\') < 0 {
		return string(key[1 : len(key)-1])
	}
	s, _ := str(key)
	return s
}

func number(s span) int {
	n, err := strconv.Atoi(string(s))
	if err != nil || n < 0 {
		return -1
	}
	return n
}
