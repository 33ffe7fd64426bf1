package pullpage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// fileView is two versions of a file, side by side.
type fileView struct {
	Folder, File, Token string
	Same, Cells         bool
	Rows                []row
}

// A row is a part of both versions: a line, or a cell of a notebook.
type row struct {
	Left, Right string
	Class, Mark string // of a difference; "" where both are the same
	Skip        string // in place of many rows that are the same
}

func (v *visit) filePage() error {
	rel, file := v.names["folder"], v.names["file"]
	folder, err := v.place(rel)
	if err != nil {
		return err
	}
	if _, err := v.s.reported(folder, file); err != nil {
		return err
	}
	ours, err := mine(folder, file)
	if err != nil {
		return err
	}
	if _, ok, err := v.s.c.State(folder); err != nil || !ok {
		return errors.Join(noSuchFile(), err)
	}
	theirs := limited{left: maxShown}
	if err := v.s.c.Upstream(v.r.Context(), folder, file, &theirs); err != nil {
		if theirs.over {
			return notShown("the instructor's version is larger than 2 MB")
		}
		return err
	}
	view := fileView{Folder: rel, File: file, Same: bytes.Equal(ours, theirs.held)}
	if view.Rows, view.Cells, err = sides(ours, theirs.held, strings.HasSuffix(strings.ToLower(file), ".ipynb")); err != nil {
		return err
	}
	if view.Token, err = v.s.token(boundTo("reset", "", "", rel, file, "", "", "")); err != nil {
		return err
	}
	return v.show(http.StatusOK, "file", file, view)
}

var errTooLarge = errors.New("larger than is shown")

// limited takes only so much.
type limited struct {
	held []byte
	left int
	over bool // more came
}

func (l *limited) Write(p []byte) (int, error) {
	if l.over = l.over || len(p) > l.left; l.over {
		return 0, errTooLarge
	}
	l.left -= len(p)
	l.held = append(l.held, p...)
	return len(p), nil
}

func (s *Server) queryOf(pairs ...string) (string, error) {
	if len(pairs)%2 != 0 {
		return "", fmt.Errorf("an odd number of names and values: %d", len(pairs))
	}
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v.Encode(), nil
}

// sides compares two versions, by cells where both are notebooks, else by lines.
func sides(ours, theirs []byte, notebook bool) (rows []row, cells bool, err error) {
	if notebook {
		a, okA := cellsOf(ours)
		b, okB := cellsOf(theirs)
		if okA && okB {
			return fold(align(a, b), 1), true, nil
		}
	}
	if !text(ours) || !text(theirs) {
		return nil, false, notShown("it is no text")
	}
	return fold(align(lines(ours), lines(theirs)), 3), false, nil
}

func text(b []byte) bool { return utf8.Valid(b) && !bytes.ContainsRune(b, 0) }

// A part is a line or a cell: what is shown, and what is compared.
type part struct {
	key, shown string
	cell       string // what kind of cell; "" is a line
}

func lines(b []byte) []part {
	if len(b) == 0 {
		return nil
	}
	var out []part
	for l := range strings.SplitSeq(strings.TrimSuffix(string(b), "\n"), "\n") {
		l = strings.TrimSuffix(l, "\r")
		out = append(out, part{key: l, shown: l})
	}
	return out
}

// cellsOf reads a notebook's cells as text; false where it is none.
func cellsOf(b []byte) ([]part, bool) {
	var nb struct {
		Cells []struct {
			Kind   string          `json:"cell_type"`
			Source json.RawMessage `json:"source"`
		} `json:"cells"`
	}
	if json.Unmarshal(b, &nb) != nil || nb.Cells == nil {
		return nil, false
	}
	var out []part
	for _, c := range nb.Cells {
		var whole string
		var parts []string
		switch {
		case json.Unmarshal(c.Source, &whole) == nil:
		case json.Unmarshal(c.Source, &parts) == nil:
			whole = strings.Join(parts, "")
		default:
			return nil, false
		}
		out = append(out, part{key: c.Kind + "\n" + whole, shown: whole, cell: c.Kind})
	}
	return out, true
}

// maxTable bounds the work of comparing: lines of one times lines of the other,
// without what is the same at both ends.
const maxTable = 4 << 20

// align finds a longest common part and puts the rest side by side.
func align(a, b []part) []row {
	head := 0
	for head < len(a) && head < len(b) && a[head].key == b[head].key {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail].key == b[len(b)-1-tail].key {
		tail++
	}
	var out []row
	for _, p := range a[:head] {
		out = append(out, row{Left: p.shown, Right: p.shown})
	}
	out = append(out, middle(a[head:len(a)-tail], b[head:len(b)-tail])...)
	for _, p := range a[len(a)-tail:] {
		out = append(out, row{Left: p.shown, Right: p.shown})
	}
	return out
}

func middle(a, b []part) []row {
	if len(a)*len(b) > maxTable {
		return beside(a, b)
	}
	table := common(a, b)
	width := len(b) + 1
	var out []row
	i, j := 0, 0
	fromA, fromB := 0, 0
	for i < len(a) && j < len(b) {
		switch {
		case a[i].key == b[j].key:
			out = append(out, beside(a[fromA:i], b[fromB:j])...)
			out = append(out, row{Left: a[i].shown, Right: b[j].shown})
			i, j = i+1, j+1
			fromA, fromB = i, j
		case table[(i+1)*width+j] >= table[i*width+j+1]:
			i++
		default:
			j++
		}
	}
	return append(out, beside(a[fromA:], b[fromB:])...)
}

// common is the table of the lengths of the longest common parts from i and j on.
func common(a, b []part) []int32 {
	width := len(b) + 1
	t := make([]int32, (len(a)+1)*width)
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i].key == b[j].key {
				t[i*width+j] = t[(i+1)*width+j+1] + 1
			} else {
				t[i*width+j] = max(t[(i+1)*width+j], t[i*width+j+1])
			}
		}
	}
	return t
}

// beside puts two different stretches next to each other: lines one by one, cells
// where they are versions of the same.
func beside(a, b []part) []row {
	var out []row
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0:
			out, a = append(out, row{Left: a[0].shown, Class: "yours", Mark: "only yours"}), a[1:]
		case len(a) == 0:
			out, b = append(out, row{Right: b[0].shown, Class: "theirs", Mark: "only the instructor’s"}), b[1:]
		case a[0].cell == "" || alike(a[0], b[0]):
			out = append(out, row{Left: a[0].shown, Right: b[0].shown, Class: "differs", Mark: "differs"})
			a, b = a[1:], b[1:]
		case len(b) > 1 && alike(a[0], b[1]):
			out, b = append(out, row{Right: b[0].shown, Class: "theirs", Mark: "only the instructor’s"}), b[1:]
		default:
			out, a = append(out, row{Left: a[0].shown, Class: "yours", Mark: "only yours"}), a[1:]
		}
	}
	return out
}

// alike reports whether two cells of one kind share a good part of their words.
func alike(a, b part) bool {
	if a.cell != b.cell {
		return false
	}
	words := map[string]int{}
	x, y := strings.Fields(a.shown), strings.Fields(b.shown)
	for _, w := range x {
		words[w]++
	}
	same := 0
	for _, w := range y {
		if words[w] > 0 {
			words[w]--
			same++
		}
	}
	return 5*same >= min(len(x), len(y))*2
}

// fold takes long stretches out that are the same, but for some around each
// difference.
func fold(rows []row, around int) []row {
	near := make([]bool, len(rows))
	any := false
	for i, r := range rows {
		if r.Class == "" {
			continue
		}
		any = true
		for k := max(0, i-around); k <= min(len(rows)-1, i+around); k++ {
			near[k] = true
		}
	}
	if !any {
		return rows[:min(len(rows), 500)]
	}
	var out []row
	for i := 0; i < len(rows); {
		if near[i] {
			out = append(out, rows[i])
			i++
			continue
		}
		from := i
		for i < len(rows) && !near[i] {
			i++
		}
		if i-from <= 2 {
			out = append(out, rows[from:i]...)
			continue
		}
		out = append(out, row{Skip: fmt.Sprintf("… %d the same …", i-from)})
	}
	return out
}
