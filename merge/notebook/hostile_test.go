package notebook_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/merge/notebook"
	"github.com/daypass-dev/daypass/merge/notebook/notebooktest"
)

// big is a notebook pair of about n bytes each, with changes on both sides.
func big(n int) notebooktest.Pair {
	r := rand.New(rand.NewPCG(1, 2))
	nb := notebooktest.Notebook{Major: 4, Minor: 5, Metadata: map[string]any{}}
	image := strings.Repeat("iVBORw0KGgoAAAANSUhEUgAA", 2000)
	for i := 0; i*52_000 < n; i++ {
		c := notebooktest.Cell{Type: "code", ID: fmt.Sprintf("cell%d", i), Source: notebooktest.Lines(fmt.Sprintf("x_%d = draw(%d)\nshow(x_%d)", i, i*i, i)), Count: i}
		c.Outputs = []any{map[string]any{"output_type": "display_data", "metadata": map[string]any{}, "data": map[string]any{"image/png": image, "text/plain": []string{fmt.Sprint(r.Uint64())}}}}
		text := notebooktest.Cell{Type: "markdown", ID: fmt.Sprintf("text%d", i), Source: notebooktest.Lines(strings.Repeat(fmt.Sprintf("Part %d of the lab.\n", i), 20))}
		nb.Cells = append(nb.Cells, text, c)
	}
	p := notebooktest.Pair{Base: nb.Bytes()}
	ours, theirs := nb, nb
	ours.Cells = append([]notebooktest.Cell(nil), nb.Cells...)
	theirs.Cells = append([]notebooktest.Cell(nil), nb.Cells...)
	for i := 1; i < len(nb.Cells); i += 4 {
		c := &ours.Cells[i]
		c.Outputs = []any{map[string]any{"output_type": "display_data", "metadata": map[string]any{}, "data": map[string]any{"image/png": image[24:], "text/plain": []string{fmt.Sprint(r.Uint64())}}}}
		c.Source = append(notebooktest.Lines("# mine\n"), c.Source...)
	}
	for i := 0; i < len(nb.Cells); i += 10 {
		theirs.Cells[i].Source = append([]string{"Corrected.\n"}, theirs.Cells[i].Source...)
	}
	theirs.Cells = append(theirs.Cells, notebooktest.Cell{Type: "markdown", ID: "last", Source: []string{"new exercise"}})
	p.New = []string{"new exercise"}
	p.Ours, p.Theirs = ours.Bytes(), theirs.Bytes()
	return p
}

func BenchmarkMerge5MB(b *testing.B) {
	p := big(5 << 20)
	b.SetBytes(int64(len(p.Base) + len(p.Ours) + len(p.Theirs)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := notebook.Merge(p.Base, p.Ours, p.Theirs); err != nil {
			b.Fatal(err)
		}
	}
}

// within fails a test whose work takes long out of all proportion: the bound is for
// a slow machine, not a measurement.
func within(t *testing.T, d time.Duration, f func()) {
	t.Helper()
	start := time.Now()
	f()
	if took := time.Since(start); took > d {
		t.Errorf("took %v, not under %v", took, d)
	}
}

func wrap(cells string) []byte {
	return []byte(`{"cells":[` + cells + `],"metadata":{},"nbformat":4,"nbformat_minor":5}`)
}

func list(n int, f func(i int) string) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(f(i))
	}
	return b.String()
}

func code(id, source string) string {
	s, _ := json.Marshal(source)
	return `{"cell_type":"code","execution_count":null,"id":"` + id + `","metadata":{},"outputs":[],"source":` + string(s) + `}`
}

func TestHostile(t *testing.T) {
	const many = 20_000 // 100,000 take five times as long
	same := func(s string) func(int) string { return func(int) string { return code("", s) } }
	numbered := func(shift int) func(int) string {
		return func(i int) string { return code(fmt.Sprint(i), fmt.Sprintf("word %d and %d", i+shift, i%7)) }
	}
	deep := strings.Repeat(`[`, 1_000_000)
	cases := map[string][3][]byte{
		"equal cells":      {wrap(list(many, same("a"))), wrap(list(many-1, same("a"))), wrap(list(many+1, same("a")))},
		"empty cells":      {wrap(list(many, same(""))), wrap(list(many-5, same(""))), wrap(list(many+1, same("")) + "," + code("x", "y"))},
		"numbers as ids":   {wrap(list(many, numbered(0))), wrap(list(many, numbered(1))), wrap(list(many, numbered(2)))},
		"nothing alike":    {wrap(list(3000, func(i int) string { return code("", fmt.Sprint("a b c ", i)) })), wrap(list(3000, func(i int) string { return code("", fmt.Sprint("a b d ", i)) })), wrap(list(3000, func(i int) string { return code("", fmt.Sprint("a b e ", i)) }))},
		"one id":           {wrap(list(many, func(i int) string { return code("id", fmt.Sprint(i)) })), wrap(list(many, func(i int) string { return code("id", fmt.Sprint(i+1)) })), wrap(list(many, func(i int) string { return code("id", fmt.Sprint(i+2)) }))},
		"reversed":         {wrap(list(many, numbered(0))), wrap(list(many, func(i int) string { return numbered(0)(many - 1 - i) })), wrap(list(many+1, numbered(0)))},
		"many words":       {wrap(list(200, func(i int) string { return code("", strings.Repeat("w ", 20000)+fmt.Sprint(i)) })), wrap(list(201, func(i int) string { return code("", strings.Repeat("w ", 20000)+fmt.Sprint("x", i)) })), wrap(list(202, func(i int) string { return code("", strings.Repeat("w ", 20000)+fmt.Sprint("y", i)) }))},
		"many metadata":    {wrap(meta("a", many)), wrap(meta("b", many)), wrap(meta("c", many))},
		"too deep":         {wrap(code("a", "")), wrap(code("b", "")), []byte(deep)},
		"deep metadata":    {wrap(nested(400, "1")), wrap(nested(400, "2")), wrap(nested(400, "3"))},
		"one long source":  {wrap(code("a", strings.Repeat("x\n", 1<<20))), wrap(code("a", strings.Repeat("y\n", 1<<20))), wrap(code("a", strings.Repeat("z\n", 1<<20)))},
		"grades one":       {wrap(list(20000, graded(0))), wrap(list(20000, graded(1))), wrap(list(20000, graded(2)))},
		"indented by much": {[]byte("{" + strings.Repeat("\n ", 1<<16) + `"cells":[],"metadata":{},"nbformat":4,"nbformat_minor":5}`), []byte("{\n" + strings.Repeat(" ", 1<<16) + `"cells":[],"metadata":{"x":1},"nbformat":4,"nbformat_minor":5}`), wrap(list(1000, numbered(0)))},
	}
	for name, in := range cases {
		t.Run(name, func(t *testing.T) {
			within(t, 20*time.Second, func() {
				r, err := notebook.Merge(in[0], in[1], in[2])
				if err != nil {
					return
				}
				if !json.Valid(r.Data) {
					t.Error("the result is no JSON")
				}
				if grown := len(r.Data); grown > 10*(len(in[1])+len(in[2])) {
					t.Errorf("grown to %d bytes", grown)
				}
			})
		})
	}
}

func meta(v string, n int) string {
	return `{"cell_type":"raw","id":"a","metadata":{` + list(n, func(i int) string { return fmt.Sprintf(`"%s%d":"%s"`, v, i, v) }) + `},"source":""}`
}

func nested(n int, leaf string) string {
	return `{"cell_type":"raw","id":"a","metadata":{"x":` + strings.Repeat(`{"a":`, n) + leaf + strings.Repeat(`}`, n) + `},"source":""}`
}

func graded(k int) func(int) string {
	return func(i int) string {
		return fmt.Sprintf(`{"cell_type":"raw","id":"a%d","metadata":{"nbgrader":{"grade_id":"g%d"}},"source":"%d"}`, i, (i+k)%100, i+k)
	}
}

// FuzzMerge: whatever the bytes, no panic; a result of notebooks is JSON, and a
// second merge of valid ones is JSON again.
func FuzzMerge(f *testing.F) {
	for _, c := range slices.Concat(cellRules()[:4], peopleRules()[:2], idRules()[:2]) {
		f.Add(nb(c.base...), nb(c.ours...), nb(c.theirs...))
	}
	f.Add(wrap(code("a", "x")), wrap(code("a", "y")), wrap(`{"cell_type":"raw","id":"\ud800","metadata":{},"source":["\ud83d\ude00","\udc00"]}`))
	f.Add(wrap(``), wrap(`{"id":1,"id":"b","cell_type":"code","source":"","metadata":{"tags":["a"],"a":NaN}}`), wrap(`{"cell_type":"markdown","source":[],"metadata":{"tags":["b"]},"attachments":{"a":{}}}`))
	f.Fuzz(func(t *testing.T, base, ours, theirs []byte) {
		r, err := notebook.Merge(base, ours, theirs)
		if err != nil || bytes.Equal(base, ours) || bytes.Equal(base, theirs) || bytes.Equal(ours, theirs) {
			return
		}
		if _, err := notebook.Merge(base, r.Data, theirs); err != nil {
			t.Errorf("the result cannot be merged: %v\n%s", err, r.Data)
		}
		if !bytes.Contains(r.Data, []byte("NaN")) && !bytes.Contains(r.Data, []byte("Infinity")) && !json.Valid(r.Data) {
			t.Errorf("no JSON: %s", r.Data)
		}
		_ = notebook.Valid(r.Data)
	})
}
