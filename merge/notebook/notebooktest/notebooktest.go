// Package notebooktest makes pairs of notebooks that drifted apart, for tests and
// measurements of merging. It knows nothing of how they are merged.
package notebooktest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// Pair is a notebook as delivered, what a student made of it, and the instructor's
// next version.
type Pair struct {
	Base, Ours, Theirs []byte
	New                []string // the sources of the cells that the instructor added; each is unique
	Mine               []string // the sources that the student wrote or changed and did not delete
}

// Cell is a cell in the order in which nbformat writes its members.
type Cell struct {
	Attachments map[string]any `json:"attachments,omitempty"`
	Type        string         `json:"cell_type"`
	Count       any            `json:"execution_count,omitempty"`
	ID          string         `json:"id,omitempty"`
	Metadata    map[string]any `json:"metadata"`
	Outputs     []any          `json:"outputs,omitempty"`
	Source      []string       `json:"source"`
}

// Notebook is a whole one.
type Notebook struct {
	Cells    []Cell         `json:"cells"`
	Metadata map[string]any `json:"metadata"`
	Major    int            `json:"nbformat"`
	Minor    int            `json:"nbformat_minor"`
}

// MarshalJSON writes a code cell's outputs and count even where they are empty.
func (c Cell) MarshalJSON() ([]byte, error) {
	ms := map[string]any{"cell_type": c.Type, "metadata": c.Metadata, "source": c.Source}
	if c.Metadata == nil {
		ms["metadata"] = map[string]any{}
	}
	if c.Source == nil {
		ms["source"] = []string{}
	}
	if c.ID != "" {
		ms["id"] = c.ID
	}
	if c.Attachments != nil {
		ms["attachments"] = c.Attachments
	}
	if c.Type == "code" {
		ms["execution_count"], ms["outputs"] = c.Count, c.Outputs
		if c.Outputs == nil {
			ms["outputs"] = []any{}
		}
	}
	return json.Marshal(ms)
}

// Bytes are the notebook as nbformat writes it: sorted, indented by one, with a
// newline at the end.
func (n Notebook) Bytes() []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(n); err != nil {
		panic(err) // values of our own making
	}
	return b.Bytes()
}

// clone copies the list of cells; sources and outputs are never changed in place.
func (n Notebook) clone() Notebook {
	n.Cells = slices.Clone(n.Cells)
	return n
}

// maker makes things at random, each with a number of its own in it.
type maker struct {
	r     *rand.Rand
	minor int
	n     int
}

func (m *maker) serial() int { m.n++; return m.n }

func (m *maker) id() string {
	if m.minor < 5 {
		return ""
	}
	return fmt.Sprintf("%08x", m.r.Uint32())
}

// Lines splits a source as nbformat does.
func Lines(s string) []string {
	return slices.DeleteFunc(strings.SplitAfter(s, "\n"), func(l string) bool { return l == "" })
}

func (m *maker) text(who string) Cell {
	s := fmt.Sprintf("## %s, part %d", who, m.serial())
	for range m.r.IntN(4) {
		s += fmt.Sprintf("\n\nConsider the %s of sample %d and explain what you see.", pick(m.r, "mean", "median", "spread", "shape"), m.serial())
	}
	return Cell{Type: "markdown", ID: m.id(), Source: Lines(s)}
}

func (m *maker) code(who string) Cell {
	s := fmt.Sprintf("# %s, step %d", who, m.serial())
	for range 1 + m.r.IntN(5) {
		s += fmt.Sprintf("\n%s_%d = %s(data[%d])", pick(m.r, "mean", "fit", "plot", "table"), m.serial(), pick(m.r, "np.mean", "model.fit", "draw", "pd.read_csv"), m.r.IntN(100))
	}
	return Cell{Type: "code", ID: m.id(), Source: Lines(s)}
}

// answer is the same in all places, as answer cells are.
func (m *maker) answer() Cell {
	return Cell{Type: "code", ID: m.id(), Source: Lines("# YOUR CODE HERE\nraise NotImplementedError()")}
}

func (m *maker) cell(who string) Cell {
	switch k := m.r.IntN(10); {
	case k < 4:
		return m.text(who)
	case k < 5 && who == "lab":
		return m.answer()
	case k < 6 && who == "lab":
		return Cell{Type: "code", ID: m.id()}
	}
	return m.code(who)
}

func (m *maker) run(c Cell, count int) Cell {
	c.Count = count
	c.Metadata = map[string]any{"ExecuteTime": map[string]any{"end_time": fmt.Sprintf("2026-01-01T00:00:%02d", m.r.IntN(60))}}
	switch m.r.IntN(3) {
	case 0:
		c.Outputs = []any{map[string]any{"name": "stdout", "output_type": "stream", "text": Lines(fmt.Sprintf("value %d\nnext %d\n", m.serial(), m.r.IntN(10)))}}
	case 1:
		c.Outputs = []any{map[string]any{"data": map[string]any{"text/plain": []string{fmt.Sprintf("%d.5e-7", m.r.IntN(100))}}, "execution_count": count, "metadata": map[string]any{}, "output_type": "execute_result"}}
	default:
		c.Outputs = nil
	}
	return c
}

func (m *maker) edit(c Cell, who string) Cell {
	lines := slices.Clone(c.Source)
	add := fmt.Sprintf("# %s changed this, %d", who, m.serial())
	switch k := m.r.IntN(3); {
	case k == 0 || len(lines) == 0:
		c.Source = Lines(strings.Join(lines, "") + "\n" + add)
	case k == 1:
		at := m.r.IntN(len(lines))
		lines[at] = add + "\n"
		c.Source = Lines(strings.TrimSuffix(strings.Join(lines, ""), "\n"))
	default:
		c.Source = Lines(add + "\n" + strings.Join(lines, ""))
	}
	return c
}

// Make makes a pair: the student runs about 80 % of the code cells, edits about a
// quarter, adds and deletes a few; the instructor edits, adds or deletes one to
// three. minor is the format's: from 5 on, cells have ids.
func Make(r *rand.Rand, minor int) Pair {
	m := &maker{r: r, minor: minor}
	base := Notebook{Major: 4, Minor: minor, Metadata: map[string]any{"kernelspec": map[string]any{"display_name": "Python 3", "language": "python", "name": "python3"}}}
	for range 5 + r.IntN(25) {
		base.Cells = append(base.Cells, m.cell("lab"))
	}
	p := Pair{Base: base.Bytes()}
	ours := m.student(base.clone(), &p)
	theirs := m.instructor(base.clone(), &p)
	p.Ours, p.Theirs = ours.Bytes(), theirs.Bytes()
	return p
}

// Next makes the pair of the pull after: the student goes on from a merge's result,
// the instructor from the version delivered last. Numbers begin at from, so that no
// source is made twice.
func Next(r *rand.Rand, delivered, result []byte, from int) (Pair, error) {
	var base, ours Notebook
	if err := json.Unmarshal(delivered, &base); err != nil {
		return Pair{}, err
	}
	if err := json.Unmarshal(result, &ours); err != nil {
		return Pair{}, err
	}
	m := &maker{r: r, minor: base.Minor, n: from}
	p := Pair{Base: delivered}
	p.Ours, p.Theirs = m.student(ours, &p).Bytes(), m.instructor(base, &p).Bytes()
	return p, nil
}

func (m *maker) student(n Notebook, p *Pair) Notebook {
	count := 0
	mine := make(map[string]bool)
	for i, c := range n.Cells {
		if m.r.IntN(4) == 0 {
			c = m.edit(c, "student")
			mine[strings.Join(c.Source, "")] = true
		}
		if c.Type == "code" && m.r.IntN(5) > 0 {
			count++
			c = m.run(c, count)
		}
		n.Cells[i] = c
	}
	for range m.r.IntN(3) {
		c := m.cell("student")
		mine[strings.Join(c.Source, "")] = true
		n.Cells = slices.Insert(n.Cells, m.r.IntN(len(n.Cells)+1), c)
	}
	for range min(len(n.Cells), m.r.IntN(2)) {
		at := m.r.IntN(len(n.Cells))
		delete(mine, strings.Join(n.Cells[at].Source, ""))
		n.Cells = slices.Delete(n.Cells, at, at+1)
	}
	n.Metadata = map[string]any{
		"kernelspec":    map[string]any{"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
		"language_info": map[string]any{"name": "python", "version": fmt.Sprintf("3.11.%d", m.r.IntN(10))},
	}
	for s := range mine {
		p.Mine = append(p.Mine, s)
	}
	slices.Sort(p.Mine)
	return n
}

func (m *maker) instructor(n Notebook, p *Pair) Notebook {
	for range 1 + m.r.IntN(3) {
		switch at := m.r.IntN(max(1, len(n.Cells))); m.r.IntN(3) {
		case 0:
			if len(n.Cells) == 0 {
				continue
			}
			old := strings.Join(n.Cells[at].Source, "")
			n.Cells[at] = m.edit(n.Cells[at], "instructor")
			if k := slices.Index(p.New, old); k >= 0 {
				p.New[k] = strings.Join(n.Cells[at].Source, "")
			}
		case 1:
			c := m.cell("instructor")
			p.New = append(p.New, strings.Join(c.Source, ""))
			n.Cells = slices.Insert(n.Cells, m.r.IntN(len(n.Cells)+1), c)
		default:
			if len(n.Cells) > 1 {
				old := strings.Join(n.Cells[at].Source, "")
				p.New = slices.DeleteFunc(p.New, func(s string) bool { return s == old })
				n.Cells = slices.Delete(n.Cells, at, at+1)
			}
		}
	}
	return n
}

// Sources are the sources of a notebook's cells, in order.
func Sources(notebook []byte) ([]string, error) {
	var n struct {
		Cells []struct {
			Source any `json:"source"`
		} `json:"cells"`
	}
	if err := json.Unmarshal(notebook, &n); err != nil {
		return nil, err
	}
	var out []string
	for _, c := range n.Cells {
		switch s := c.Source.(type) {
		case string:
			out = append(out, s)
		case []any:
			text := ""
			for _, line := range s {
				l, _ := line.(string)
				text += l
			}
			out = append(out, text)
		}
	}
	return out, nil
}

// Lost counts the instructor's new cells that a merge's result does not have; all
// of them where the result is no notebook.
func (p Pair) Lost(result []byte) int { return missing(p.New, result) }

// Forgotten counts the student's cells that the result does not have.
func (p Pair) Forgotten(result []byte) int { return missing(p.Mine, result) }

func missing(want []string, result []byte) int {
	have, err := Sources(result)
	if err != nil {
		return len(want)
	}
	n := 0
	for _, s := range want {
		if !slices.Contains(have, s) {
			n++
		}
	}
	return n
}

func pick(r *rand.Rand, of ...string) string { return of[r.IntN(len(of))] }
