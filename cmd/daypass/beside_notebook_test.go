package main_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// A book is a notebook of format 4.5, as Jupyter writes it.
type book struct {
	Cells    []bookCell     `json:"cells"`
	Metadata map[string]any `json:"metadata"`
	Format   int            `json:"nbformat"`
	Minor    int            `json:"nbformat_minor"`
}

type bookCell map[string]any

func readBook(t *testing.T, text string) book {
	t.Helper()
	var b book
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		t.Fatalf("%v: %.600q", err, text)
	}
	return b
}

func (b book) text() string {
	out, err := json.MarshalIndent(b, "", " ")
	if err != nil {
		panic(err)
	}
	return string(out) + "\n"
}

func (c bookCell) id() string { return fmt.Sprint(c["id"]) }

func (c bookCell) source() string {
	switch s := c["source"].(type) {
	case string:
		return s
	case []any:
		var b strings.Builder
		for _, line := range s {
			fmt.Fprint(&b, line)
		}
		return b.String()
	}
	return ""
}

// sources are the sources of its cells, by their ids.
func (b book) sources() map[string]string {
	out := map[string]string{}
	for _, c := range b.Cells {
		out[c.id()] = c.source()
	}
	return out
}

func (h *history) source(who string) []any {
	text := strings.TrimSuffix(strings.Join(h.lines(who, 1+h.rng.IntN(3)), ""), "\n")
	var out []any
	for line := range strings.Lines(text) {
		out = append(out, line)
	}
	return out
}

func (h *history) cell(who string) bookCell {
	h.last++
	c := bookCell{"cell_type": "markdown", "id": fmt.Sprintf("%s-%d", strings.ToLower(who), h.last), "metadata": map[string]any{}, "source": h.source(who)}
	if h.rng.IntN(3) > 0 {
		c["cell_type"], c["execution_count"], c["outputs"] = "code", nil, []any{}
	}
	return c
}

func (h *history) freshBook(who string) string {
	b := book{Metadata: map[string]any{"kernelspec": map[string]any{"display_name": "Python 3", "language": "python", "name": "python3"}}, Format: 4, Minor: 5}
	for range 3 + h.rng.IntN(5) {
		b.Cells = append(b.Cells, h.cell(who))
	}
	return b.text()
}

// editedBook fills cells, puts some in and takes some out; a student runs them too.
func (h *history) editedBook(who, text string) string {
	b := readBook(h.t, text)
	for range 1 + h.rng.IntN(3) {
		at := h.rng.IntN(len(b.Cells))
		switch h.rng.IntN(5) {
		case 0:
			b.Cells = slices.Insert(b.Cells, at, h.cell(who))
		case 1:
			if len(b.Cells) > 2 {
				b.Cells = slices.Delete(b.Cells, at, at+1)
			}
		default:
			b.Cells[at] = maps.Clone(b.Cells[at])
			b.Cells[at]["source"] = h.source(who)
		}
	}
	if who == "S" && h.rng.IntN(2) == 0 {
		h.runBook(b)
	}
	return b.text()
}

// runBook is what running a notebook leaves in it. Outputs are nobody's work.
func (h *history) runBook(b book) {
	b.Metadata["language_info"] = map[string]any{"name": "python", "version": "3.12.1"}
	for i, c := range b.Cells {
		if c["cell_type"] == "code" {
			h.last++
			c["execution_count"] = i + 1
			c["outputs"] = []any{map[string]any{"name": "stdout", "output_type": "stream", "text": []any{fmt.Sprintf("out %d\n", h.last)}}}
		}
	}
}

// lostCells is a cell of the student's that stands in no notebook any more.
func (r round) lostCells(t *testing.T) string {
	var stands []string
	for path, text := range r.after {
		if kind(path) == notebookKind {
			stands = slices.AppendSeq(stands, maps.Values(readBook(t, content(text)).sources()))
		}
	}
	for path, text := range r.before {
		if kind(path) != notebookKind {
			continue
		}
		for id, source := range readBook(t, content(text)).sources() {
			if students.MatchString(source) && !slices.Contains(stands, source) {
				return fmt.Sprintf("%s: the student's cell %s: %q", path, id, source)
			}
		}
	}
	return ""
}

// lateCells is a cell that the instructor added, or alone has changed, and that is
// not in the notebook.
func (r round) lateCells(t *testing.T, path string) string {
	known := map[string]bool{}
	for p, text := range r.delivered {
		if kind(p) == notebookKind {
			for _, c := range readBook(t, text).Cells {
				known[c.id()] = true
			}
		}
	}
	sources := func(text string) map[string]string {
		if text == "" {
			return nil
		}
		return readBook(t, text).sources()
	}
	was, mine, got := sources(r.delivered[path]), sources(content(r.before[path])), sources(content(r.after[path]))
	for id, source := range sources(r.upstream[path]) {
		alone := was[id] != "" && was[id] != source && mine[id] == was[id]
		if (!known[id] || alone) && got[id] != source {
			return fmt.Sprintf("%s: the instructor's cell %s: %q, not %q", path, id, got[id], source)
		}
	}
	return ""
}
