package main

import (
	"embed"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/daypass-dev/daypass/internal/measure"
	"github.com/daypass-dev/daypass/merge"
	"github.com/daypass-dev/daypass/merge/notebook"
	"github.com/daypass-dev/daypass/merge/notebook/notebooktest"
)

// tree merges a folder of 10,000 files of which both sides changed 100, in memory.
func (b *bench) tree(s *measure.Stage) {
	in := merge.Input{Base: map[string]merge.Entry{}, Theirs: map[string]merge.Entry{}, Stamp: "20260102030405"}
	ours := map[string]merge.Entry{}
	contents := map[string][]byte{}
	add := func(oid string, at int, line string) merge.Entry {
		var text strings.Builder
		for i := range 300 {
			if i == at {
				fmt.Fprintln(&text, line)
			}
			fmt.Fprintf(&text, "line %d of a file that is there to be merged\n", i)
		}
		contents[oid] = []byte(text.String())
		return merge.Entry{Mode: merge.Regular, OID: oid}
	}
	for i := range 10000 {
		p := fmt.Sprintf("week %d/part %d/file %d.py", i/1000, i/50%20, i)
		e := merge.Entry{Mode: merge.Regular, OID: fmt.Sprint(i)}
		in.Base[p], in.Theirs[p], ours[p] = e, e, e
		if i%100 == 0 {
			add(e.OID, -1, "")
			in.Theirs[p], ours[p] = add(e.OID+" theirs", 5+i%200, "theirs"), add(e.OID+" ours", 250, "ours")
			in.Changed = append(in.Changed, p)
		}
	}
	in.Ours = func(path string) merge.Entry { return ours[path] }
	in.Prefix = func(path string) string { return "" }
	in.Under = func(dir string) []string { return nil }
	b.Best(measure.Figure{What: "a folder of 10,000 files, 100 changed by both", Bound: 0.5, Unit: "s"}, func() float64 {
		began := time.Now()
		steps, err := merge.Plan(in)
		s.Check(err)
		planned := time.Since(began)
		for _, step := range steps {
			r := merge.Content(step.Path, contents[step.Base.OID], contents[step.Ours.OID], contents[step.Theirs.OID])
			if step.Do != merge.Merge || r.Came != 1 || r.Kept != 0 || r.Same {
				s.Fatalf("%s %s: %d came, %d were kept", step.Do, step.Path, r.Came, r.Kept)
			}
		}
		took := time.Since(began)
		if len(steps) != 100 {
			s.Fatalf("%d steps", len(steps))
		}
		b.Say("10,000 files: the plan %.1f ms, with the contents %.1f ms", ms(planned), ms(took))
		return took.Seconds()
	})
}

//go:embed nbdime.py
var scripts embed.FS

// notebook merges a notebook of 5 MB, in memory, beside nbdime's own function, which is
// timed inside of Python without its start.
func (b *bench) notebook(s *measure.Stage) {
	base, ours, theirs := large()
	ourTime := func() float64 {
		var took []time.Duration
		for range 5 {
			began := time.Now()
			r := merge.Content("lab.ipynb", base, ours, theirs)
			took = append(took, time.Since(began))
			if r.Kind != "notebook" || notebook.Valid(r.Data) != nil || !strings.Contains(string(r.Data), "new exercise 1") {
				s.Fatalf("%s, kept %d, came %d: %v", r.Kind, r.Kept, r.Came, notebook.Valid(r.Data))
			}
		}
		return median(took).Seconds()
	}
	b.Best(measure.Figure{What: "a notebook of 5 MB", Bound: 0.2, Unit: "s"}, func() float64 {
		took := ourTime()
		b.Say("a notebook of %.1f MB: %.1f ms", float64(len(base))/1e6, took*1e3)
		return took
	})
	dir := s.TempDir()
	for name, data := range map[string][]byte{"base": base, "ours": ours, "theirs": theirs} {
		s.Check(os.WriteFile(filepath.Join(dir, name+".ipynb"), data, 0o600))
	}
	theirTime, ok := nbdime(s, dir)
	if !ok {
		b.Must("nbdime is beside ours", false)
		return
	}
	b.Best(measure.Figure{What: "a notebook of 5 MB, of nbdime", Bound: 0.1, Unit: "times"}, func() float64 {
		var ratios, took []float64
		for range 5 {
			took = append(took, theirTime())
			ratios = append(ratios, ourTime()/took[len(took)-1])
		}
		b.Say("nbdime: %.2f s; ours %.3f times; load %s", median(took), median(ratios), measure.Load())
		return median(ratios)
	})
}

// nbdime times nbdime's merge of the notebooks in a folder.
func nbdime(s *measure.Stage, dir string) (run func() float64, ok bool) {
	python := os.Getenv("DAYPASS_TEST_NBPYTHON")
	script, err := scripts.ReadFile("nbdime.py")
	s.Check(err)
	return func() float64 {
		cmd := exec.Command(python, "-c", string(script), dir)
		cmd.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "JUPYTER_CONFIG_DIR=" + dir}
		out, err := cmd.Output()
		if err != nil {
			s.Fatalf("nbdime: %v\n%s", err, out)
		}
		seconds, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
		s.Check(err)
		return seconds
	}, python != ""
}

// large is a notebook of 5 MB as delivered, after a student ran and edited it, and
// with the instructor's changes.
func large() (base, ours, theirs []byte) {
	r := rand.New(rand.NewPCG(5, 5))
	n := notebooktest.Notebook{Major: 4, Minor: 5, Metadata: map[string]any{}}
	picture := func() string {
		p := make([]byte, 16000)
		for i := range p {
			p[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[r.IntN(64)]
		}
		return string(p)
	}
	outputs := func() []any {
		return []any{map[string]any{"output_type": "display_data", "metadata": map[string]any{}, "data": map[string]any{"image/png": picture(), "text/plain": []string{"<Figure>"}}}}
	}
	for i := range 300 {
		c := notebooktest.Cell{Type: "code", ID: fmt.Sprintf("cell-%d", i), Count: i + 1, Outputs: outputs()}
		for j := range 12 {
			c.Source = append(c.Source, fmt.Sprintf("value_%d_%d = compute(%d)\n", i, j, r.IntN(1000)))
		}
		n.Cells = append(n.Cells, c)
	}
	base = n.Bytes()
	student := n
	student.Cells = append([]notebooktest.Cell(nil), n.Cells...)
	for i := range student.Cells {
		if c := &student.Cells[i]; i%5 > 0 { // ran it
			c.Count, c.Outputs = i+1000, outputs()
			if i%4 == 0 {
				c.Source = append(append([]string(nil), c.Source...), "answer = 42\n")
			}
		}
	}
	ours = student.Bytes()
	teacher := n
	teacher.Cells = append([]notebooktest.Cell(nil), n.Cells[:150]...)
	for i := range 2 {
		teacher.Cells = append(teacher.Cells, notebooktest.Cell{Type: "code", ID: fmt.Sprintf("new-%d", i), Source: []string{fmt.Sprintf("# new exercise %d\n", i)}})
	}
	teacher.Cells = append(teacher.Cells, n.Cells[150:]...)
	for _, i := range []int{10, 100, 280} {
		c := &teacher.Cells[i]
		c.Source = append([]string{"# a hint\n"}, c.Source...)
	}
	return base, ours, teacher.Bytes()
}

// cells counts in how many of 2,000 pairs a cell that the instructor added is missing
// after a merge, and beside it what merging by lines does, as git does.
func (b *bench) cells(s *measure.Stage) {
	const pairs = 2000
	var lost, forgotten, invalid, lines int
	for seed := range uint64(pairs) {
		p := notebooktest.Make(rand.New(rand.NewPCG(seed, 1)), 4+int(seed%2))
		r := merge.Content("lab.ipynb", p.Base, p.Ours, p.Theirs)
		if p.Lost(r.Data) > 0 {
			lost++
		}
		if p.Forgotten(r.Data) > 0 {
			forgotten++
		}
		if notebook.Valid(r.Data) != nil {
			invalid++
		}
		if p.Lost(merge.Text(p.Base, p.Ours, p.Theirs).Data) > 0 {
			lines++
		}
	}
	b.Say("%d pairs: by lines, as nbgitpuller has it, %d lose a new cell (%.1f %%)", pairs, lines, 100*float64(lines)/pairs)
	b.Note(measure.Figure{What: "of 2,000 pairs of notebooks, those that lose a new cell", Got: float64(lost), Unit: "pairs"})
	b.Note(measure.Figure{What: "of 2,000 pairs of notebooks, those that lose a cell of the student's", Got: float64(forgotten), Unit: "pairs"})
	b.Note(measure.Figure{What: "of 2,000 pairs of notebooks, those that are no notebook", Got: float64(invalid), Unit: "pairs"})
}
