package merge

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/internal/soak"
)

// A writer makes random texts and random edits of them.
type writer struct {
	*rand.Rand
	words int    // how many different lines there are
	kind  string // "plain", "crlf", "mixed"
}

func newWriter(seed uint64) *writer {
	r := rand.New(rand.NewPCG(seed, 5))
	return &writer{r, []int{2, 3, 6, 20, 400, 100000}[r.IntN(6)], []string{"plain", "plain", "plain", "crlf", "mixed"}[r.IntN(5)]}
}

func (w *writer) line() string {
	end := "\n"
	if w.kind == "crlf" || w.kind == "mixed" && w.IntN(2) == 0 {
		end = "\r\n"
	}
	switch n := w.IntN(w.words); {
	case n%11 == 7:
		return end
	case n%11 == 8:
		return "}" + end
	default:
		return fmt.Sprintf("line %d", n) + end
	}
}

func (w *writer) block(n int) []string {
	out := make([]string, 0, n)
	for range n {
		out = append(out, w.line())
	}
	return out
}

// text has a length that is mostly small, and sometimes beyond what git searches exactly.
func (w *writer) text() []string {
	switch w.IntN(40) {
	case 0:
		return nil
	case 1:
		return w.block(3000 + w.IntN(3000))
	case 2, 3, 4, 5:
		return w.block(200 + w.IntN(400))
	default:
		return w.block(1 + w.IntN(40))
	}
}

// edit inserts, removes, replaces, copies, moves, swaps.
func (w *writer) edit(text []string) []string {
	text = append([]string(nil), text...)
	edits := 1 + w.IntN(1+w.IntN(8)+len(text)/200)
	if len(text) > 2000 && w.IntN(2) == 0 { // more than git has patience for
		edits = len(text) / (8 + w.IntN(60))
	}
	for range edits {
		at := w.IntN(len(text) + 1)
		n := min(1+w.IntN(1+w.IntN(6)), len(text)-at)
		rest := text[at+n:]
		switch w.IntN(7) {
		case 0, 1:
			text = splice(text[:at], w.block(1+w.IntN(5)), text[at:])
		case 2:
			text = splice(text[:at], nil, rest)
		case 3, 4:
			text = splice(text[:at], w.block(w.IntN(6)), rest)
		case 5: // what is there, once more
			text = splice(text[:at+n], text[at:at+n], rest)
		case 6: // from here to another place
			moved := append([]string(nil), text[at:at+n]...)
			text = splice(text[:at], nil, rest)
			to := w.IntN(len(text) + 1)
			text = splice(text[:to], moved, text[to:])
		}
	}
	return text
}

func splice(a, b, c []string) []string {
	return append(append(append(make([]string, 0, len(a)+len(b)+len(c)), a...), b...), c...)
}

// bytes is the text, sometimes with no newline at the end.
func (w *writer) bytes(text []string) []byte {
	s := strings.Join(text, "")
	if w.IntN(6) == 0 {
		s = strings.TrimRight(s, "\r\n")
	}
	return []byte(s)
}

// three are a base and two sides, which sometimes share an edit.
func (w *writer) three() (base, ours, theirs []byte) {
	b := w.text()
	shared := b
	if w.IntN(3) == 0 {
		shared = w.edit(b)
	}
	if w.IntN(30) == 0 { // two texts that have little in common
		return w.bytes(b), w.bytes(w.text()), w.bytes(w.text())
	}
	return w.bytes(b), w.bytes(w.edit(shared)), w.bytes(w.edit(shared))
}

// seeds are fewer in short tests.
func seeds(t *testing.T, daily, long int) (first uint64, n int) {
	t.Helper()
	if testing.Short() {
		daily /= 10
	}
	return soak.Seeds(t, daily, long)
}

// large is beyond what git searches exactly: many edits far apart, of lines that the
// text has elsewhere.
func (w *writer) large() (base, ours, theirs []byte) {
	w.words = []int{20, 400, 3000, 50000}[w.IntN(4)]
	n, every := 4000+w.IntN(8000), 5+w.IntN(80)
	if w.IntN(4) == 0 { // where it looks for good paths before it gives up
		n, every = 40000+w.IntN(30000), 30+w.IntN(60)
	}
	b := w.block(n)
	side := func() []byte {
		text := append([]string(nil), b...)
		for range len(b) / every {
			at := w.IntN(len(text))
			switch n := min(w.IntN(4), len(text)-at); w.IntN(3) {
			case 0:
				text[at] = b[w.IntN(len(b))]
			case 1:
				text = splice(text[:at], nil, text[at+n:])
			case 2:
				from := w.IntN(len(b) - 4)
				text = splice(text[:at], b[from:from+n], text[at:])
			}
		}
		return w.bytes(text)
	}
	return w.bytes(b), side(), side()
}

func TestTextIsWhatGitMakes(t *testing.T) {
	sameAsGit(t, 600, 50000, func(seed uint64) (base, ours, theirs []byte) { return newWriter(seed).three() })
}

func TestLargeTextIsWhatGitMakes(t *testing.T) {
	sameAsGit(t, 15, 1500, func(seed uint64) (base, ours, theirs []byte) { return newWriter(seed).large() })
}

func sameAsGit(t *testing.T, daily, long int, three func(seed uint64) (base, ours, theirs []byte)) {
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("no git")
	}
	dir := t.TempDir()
	first, n := seeds(t, daily, long)
	for seed := first; seed < first+uint64(n); seed++ {
		base, ours, theirs := three(seed)
		want := mergeFile(t, git, dir, base, ours, theirs)
		if got := Text(base, ours, theirs).Data; !bytes.Equal(got, want) {
			t.Fatalf("seed %d: not what git makes (%d, %d, %d bytes): %d bytes, git %d", seed, len(base), len(ours), len(theirs), len(got), len(want))
		}
	}
}

// mergeFile asks the real git.
func mergeFile(t *testing.T, git, dir string, base, ours, theirs []byte) []byte {
	t.Helper()
	var names []string
	for i, data := range [][]byte{ours, base, theirs} {
		names = append(names, filepath.Join(dir, fmt.Sprint(i)))
		if err := os.WriteFile(names[i], data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(git, append([]string{"merge-file", "--ours", "-p"}, names...)...)
	cmd.Env = []string{"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "HOME=" + dir}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git merge-file: %v", err)
	}
	return out
}
