package merge

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/daypass-dev/daypass/internal/soak"
)

// pieces are what a side had to say: its lines, by how many of each there are more
// than in the base.
func pieces(base, side []byte) map[string]int {
	n := map[string]int{}
	for _, l := range strings.SplitAfter(string(side), "\n") {
		n[l]++
	}
	for _, l := range strings.SplitAfter(string(base), "\n") {
		n[l]--
	}
	delete(n, "")
	return n
}

func TestTextKeepsWhatTheUserWrote(t *testing.T) {
	first, n := seeds(t, 1000, 100000)
	hidden, again := 0, 0
	for seed := first; seed < first+uint64(n); seed++ {
		w := newWriter(seed)
		base, ours, theirs := w.three()
		r := Text(base, ours, theirs)
		if p := broken(base, ours, theirs, r); p != "" {
			t.Fatalf("seed %d: %s", seed, p)
		}
		if r.Kept > 0 {
			hidden++
		}
		// What git does, too: a place of both may fall apart when its outer part is
		// upstream's already. A pull never merges twice with one base.
		if !bytes.Equal(Text(base, r.Data, theirs).Data, r.Data) {
			again++
		}
		if !bytes.Equal(Text(theirs, r.Data, theirs).Data, r.Data) {
			t.Fatalf("seed %d: the next pull changes it", seed)
		}
	}
	t.Logf("%d of %d texts had places where the user's stayed; in %d a second merge with the same base changes more", hidden, n, again)
	if hidden < n/10 {
		t.Errorf("only %d of %d had places of both", hidden, n)
	}
}

// broken says which promise a merge breaks: all lines that the user added are there,
// all lines that upstream added are there or hidden, and no others are.
func broken(base, ours, theirs []byte, r Result) string {
	now, mine, yours := pieces(nil, r.Data), pieces(base, ours), pieces(base, theirs)
	inOurs, inTheirs := pieces(nil, ours), pieces(nil, theirs)
	for l, n := range mine {
		if n > 0 && now[l] < n {
			return fmt.Sprintf("the user's %q is gone", l)
		}
	}
	shown := map[string]int{}
	for _, h := range r.Hidden {
		for l, n := range pieces(nil, h.Theirs) {
			shown[l] += n
		}
	}
	for l, n := range yours {
		if n > 0 && now[l]+shown[l] < n {
			return fmt.Sprintf("upstream's %q is neither there nor hidden", l)
		}
	}
	for l := range now {
		if inOurs[l] == 0 && inTheirs[l] == 0 {
			return fmt.Sprintf("%q is nobody's", l)
		}
	}
	return spans(r)
}

// spans checks that what is said of hidden places is where it is said to be.
func spans(r Result) string {
	lines := bytes.Count(r.Data, []byte("\n"))
	if len(r.Data) > 0 && r.Data[len(r.Data)-1] != '\n' {
		lines++
	}
	last := 1
	for _, h := range r.Hidden {
		if h.First < last || h.Count < 0 || h.First+h.Count-1 > lines {
			return fmt.Sprintf("a hidden place at %d, %d lines, of %d", h.First, h.Count, lines)
		}
		last = h.First + h.Count
	}
	return ""
}

func TestTextEdges(t *testing.T) {
	for _, row := range []struct {
		name, base, ours, theirs, want, kind string
		kept, came                           int
	}{
		{"only upstream", "a\n", "a\n", "b\n", "b\n", "text", 0, 1},
		{"only the user", "a\n", "b\n", "a\n", "b\n", "text", 0, 0},
		{"both the same", "a\n", "b\n", "b\n", "b\n", "text", 0, 0},
		{"all empty", "", "", "", "", "text", 0, 0},
		{"the user emptied it", "a\nb\n", "", "a\nc\n", "", "text", 1, 0},
		{"upstream emptied it", "a\nb\n", "a\nc\n", "", "a\nc\n", "text", 1, 0},
		{"no base", "", "mine\n", "yours\n", "mine\n", "text", 1, 0},
		{"far apart", "1\n2\n3\n4\n5\n", "one\n2\n3\n4\n5\n", "1\n2\n3\n4\nfive\n", "one\n2\n3\n4\nfive\n", "text", 0, 1},
		{"the same line", "1\n2\n3\n", "1\nmine\n3\n", "1\nyours\n3\n", "1\nmine\n3\n", "text", 1, 0},
		{"CRLF against LF", "a\r\nb\r\nc\r\n", "a\r\nmine\r\nc\r\n", "a\nb\nc\n", "a\r\nmine\r\nc\r\n", "text", 1, 0},
		{"a newline at the end came", "a\nb\nc", "mine\nb\nc", "a\nb\nc\n", "mine\nb\nc\n", "text", 0, 1},
		{"zero bytes", "a\x00", "b\x00", "c\x00", "b\x00", "binary", 1, 0},
		{"zero bytes, only upstream", "a\x00", "a\x00", "c\x00", "c\x00", "binary", 0, 1},
		{"zero byte upstream alone", "a\nb\n", "mine\nb\n", "a\n\x00\n", "mine\nb\n", "binary", 1, 0},
		{"invalid UTF-8", "\xff\nb\nc\n", "\xff\nb\nmine\n", "\xfe\nb\nc\n", "\xfe\nb\nmine\n", "text", 0, 1},
	} {
		r := Text([]byte(row.base), []byte(row.ours), []byte(row.theirs))
		if string(r.Data) != row.want || r.Kind != row.kind || r.Kept != row.kept || r.Came != row.came || r.Same != (row.want == row.ours) {
			t.Errorf("%s: %q %s kept %d came %d same %v", row.name, r.Data, r.Kind, r.Kept, r.Came, r.Same)
		}
	}
}

func TestTextsThatAreTooLarge(t *testing.T) {
	for name, large := range map[string][]byte{
		"bytes": bytes.Repeat([]byte("a"), MaxText+1),
		"lines": bytes.Repeat([]byte("\n"), MaxLines+1),
	} {
		r := Text(large, append([]byte("mine\n"), large...), append(large, "yours\n"...))
		if r.Kind != "binary" || !r.Same || r.Kept != 1 || !bytes.HasPrefix(r.Data, []byte("mine\n")) {
			t.Errorf("too many %s: %s, kept %d, same %v", name, r.Kind, r.Kept, r.Same)
		}
		if r := Text(large, large, []byte("new\n")); string(r.Data) != "new\n" {
			t.Errorf("too many %s, and only upstream changed them: %d bytes", name, len(r.Data))
		}
	}
}

func TestContent(t *testing.T) {
	book := func(cells ...string) string {
		var out []string
		for _, c := range cells {
			id, source, _ := strings.Cut(c, "=")
			out = append(out, fmt.Sprintf(`{"cell_type": "markdown", "id": %q, "metadata": {}, "source": %q}`, id, source))
		}
		return `{"cells": [` + strings.Join(out, ",") + `], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}`
	}
	base := book("a=1", "b=2")
	r := Content("lab.IPYNB", []byte(base), []byte(book("a=mine", "b=2")), []byte(book("a=1", "b=2", "c=new")))
	if r.Kind != "notebook" || !strings.Contains(string(r.Data), "mine") || !strings.Contains(string(r.Data), "new") || r.Came != 1 || r.Same {
		t.Errorf("a notebook: %+v\n%s", r, r.Data)
	}
	r = Content("lab.ipynb", []byte(base), []byte(base), []byte("broken upstream"))
	if r.Kind != "notebook" || string(r.Data) != "broken upstream" {
		t.Errorf("only upstream changed it: %+v", r)
	}
	mine := book("a=mine", "b=2")
	r = Content("lab.ipynb", []byte(base), []byte(mine), []byte("not\na notebook\n"))
	if string(r.Data) != mine || !r.Same || r.Kept != 1 {
		t.Errorf("upstream's is none: %+v", r)
	}
	for _, mine := range []string{"", "<<<<<<< HEAD\n" + mine} {
		if r := Content("lab.ipynb", []byte(base), []byte(mine), []byte(book("a=1", "b=2", "c=new"))); string(r.Data) != mine || !r.Same || r.Kept != 1 {
			t.Errorf("the user's is none: %+v", r)
		}
	}
	r = Content("lab.ipynb", []byte("{\n\"a\": 1,\n\"b\": 1,\n\"c\": 1\n}\n"), []byte("{\n\"a\": 2,\n\"b\": 1,\n\"c\": 1\n}\n"), []byte("{\n\"a\": 1,\n\"b\": 1,\n\"c\": 2\n}\n"))
	if r.Kind != "text" || string(r.Data) != "{\n\"a\": 2,\n\"b\": 1,\n\"c\": 2\n}\n" {
		t.Errorf("JSON of another kind, by lines: %+v %s", r, r.Data)
	}
	if r := Content("a.txt", nil, []byte("mine\n"), []byte("yours\n")); r.Kind != "text" || string(r.Data) != "mine\n" {
		t.Errorf("no base: %+v", r)
	}
}

func TestHiddenPlaces(t *testing.T) {
	r := Text([]byte("1\n2\n3\n4\n5\n"), []byte("1\nsame\nmine\n4\n5\nend\n"), []byte("0\n1\nsame\nyours\n4\n5\n"))
	if string(r.Data) != "0\n1\nsame\nmine\n4\n5\nend\n" || len(r.Hidden) != 1 {
		t.Fatalf("%q %v", r.Data, r.Hidden)
	}
	h := r.Hidden[0]
	if h.First != 4 || h.Count != 1 || string(h.Theirs) != "yours\n" || string(h.Base) != "2\n3\n" {
		t.Errorf("%d %d %q %q", h.First, h.Count, h.Theirs, h.Base)
	}
}

// Texts that make a search for differences as long as it can be.
func TestHostileTextsEnd(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	size := 1 << 19
	if soak.Asked(t) {
		size = 2 << 20 // as many lines as are merged at all
	}
	random := func(alphabet int) []byte {
		out := make([]byte, 0, size)
		for len(out) < size {
			out = append(out, byte('a'+r.IntN(alphabet)), '\n')
		}
		return out
	}
	numbers := func() []byte {
		var out bytes.Buffer
		for _, n := range r.Perm(size / 7) {
			fmt.Fprintf(&out, "%06d\n", n)
		}
		return out.Bytes()
	}
	unlike := func(who string, size int) []byte {
		var out bytes.Buffer
		for i := 0; out.Len() < size; i++ {
			fmt.Fprintf(&out, "%s %d\n", who, i)
		}
		return out.Bytes()
	}
	period := func(n int) []byte {
		return bytes.Repeat([]byte(strings.Repeat("a\n", n)+"b\n"), size/(2*n+2))
	}
	for _, row := range []struct {
		name               string
		base, ours, theirs []byte
	}{
		{"lines of two kinds", random(2), random(2), random(2)},
		{"lines of 26 kinds", random(26), random(26), random(26)},
		{"the same lines in another order", numbers(), numbers(), numbers()},
		{"nothing alike", unlike("b", size), unlike("o", size), unlike("t", size)},
		{"all lines alike", bytes.Repeat([]byte("\n"), size/2), bytes.Repeat([]byte("\n"), size/2-9), bytes.Repeat([]byte("\n"), size/4)},
		{"groups that slide", period(7), period(8), period(9)},
		{"groups that slide far", period(70), period(31), period(90)},
		{"5 MiB, nothing alike", unlike("a", 5<<20), unlike("b", 5<<20), unlike("c", 5<<20)},
		{"one line", bytes.Repeat([]byte("a"), size), bytes.Repeat([]byte("b"), size), bytes.Repeat([]byte("c"), size)},
	} {
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		began := time.Now()
		got := Text(row.base, row.ours, row.theirs)
		took := time.Since(began)
		runtime.ReadMemStats(&after)
		t.Logf("%-32s %5d ms, %4d MiB allocated, kept %d, came %d", row.name, took.Milliseconds(), (after.TotalAlloc-before.TotalAlloc)>>20, got.Kept, got.Came)
		if took > time.Minute || got.Kind != "text" {
			t.Errorf("%s: %s", row.name, took)
		}
		if p := spans(got); p != "" {
			t.Errorf("%s: %s", row.name, p)
		}
	}
}

// Where the work is used up, places are larger than they need be, and nothing else is.
func TestCoarseMergesKeepTheirPromises(t *testing.T) {
	first, n := seeds(t, 200, 5000)
	for seed := first; seed < first+uint64(n); seed++ {
		w := newWriter(seed)
		base, ours, theirs := w.three()
		for _, work := range []int{0, 1, 10, 100, 1000} {
			if p := broken(base, ours, theirs, text(base, ours, theirs, work)); p != "" {
				t.Fatalf("seed %d, %d: %s", seed, work, p)
			}
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add([]byte("a\nb\nc\n"), []byte("a\nx\nc\n"), []byte("b\nb\nc\nd"))
	f.Add([]byte("a\r\n\r\n"), []byte(""), []byte("\n\n\n"))
	f.Add([]byte{}, []byte("\x00"), []byte("a"))
	f.Fuzz(func(t *testing.T, base, ours, theirs []byte) {
		r := Text(base, ours, theirs)
		if r.Kind == "text" {
			if p := broken(base, ours, theirs, r); p != "" {
				t.Fatal(p)
			}
		}
		if got := Text(base, base, theirs).Data; !bytes.Equal(got, theirs) {
			t.Fatalf("only upstream changed it: %q", got)
		}
		if got := Text(base, ours, base).Data; !bytes.Equal(got, ours) {
			t.Fatalf("only the user changed it: %q", got)
		}
		if got := Text(base, ours, ours).Data; !bytes.Equal(got, ours) {
			t.Fatalf("both changed it alike: %q", got)
		}
		if got := Text(theirs, r.Data, theirs).Data; !bytes.Equal(got, r.Data) {
			t.Fatalf("the next pull changes it: %q", got)
		}
	})
}

func FuzzAsideNames(f *testing.F) {
	f.Add("a.txt")
	f.Add(strings.Repeat("é", 127) + ".ipynb")
	f.Add("." + strings.Repeat("x", 254))
	f.Add("..." + strings.Repeat(".", 252))
	f.Fuzz(func(t *testing.T, name string) {
		if name == "" || len(name) > 255 || strings.ContainsAny(name, "/\x00") || name == "." || name == ".." {
			return
		}
		d := newDisk(false)
		d.write("d/"+name, Entry{Regular, "mine"})
		steps, err := Plan(d.input(nil, map[string]Entry{"d/" + name: {Regular, "1"}}))
		if err != nil || len(steps) != 2 || steps[0].Do != Aside {
			t.Fatalf("%v %s", err, list(steps))
		}
		to, ok := strings.CutPrefix(steps[0].Path, "d/")
		if !ok || len(to) > 255 || strings.Contains(to, "/") || to == name || !strings.Contains(to, aside) {
			t.Fatalf("%q becomes %q", name, to)
		}
		if utf8.ValidString(name) && !utf8.ValidString(to) {
			t.Fatalf("%q is cut in a letter", to)
		}
	})
}

// TestContentStaysNotebook: where one side cannot be merged by cells, lines may make
// JSON that is no notebook any more; then the user's stays.
func TestContentStaysNotebook(t *testing.T) {
	book := func(minor, a, b string) []byte {
		return []byte("{\n\"nbformat\": 4,\n\"nbformat_minor\": " + minor + ",\n\"metadata\": {\n},\n\"x\": " + a + ",\n\"cells\": [\n" + b + "\n]\n}\n")
	}
	cell := `{"cell_type": "raw", "id": "a", "metadata": {}, "source": "x"}`
	ours := book("5", "1", cell)
	r := Content("lab.ipynb", book("5", "0", cell), ours, book("-5", "0", cell))
	if string(r.Data) != string(ours) || r.Kept != 1 || !r.Same {
		t.Errorf("%+v\n%s", r, r.Data)
	}
}
