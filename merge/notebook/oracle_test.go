package notebook_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/internal/process"
	"github.com/daypass-dev/daypass/internal/soak"
	"github.com/daypass-dev/daypass/merge/notebook"
	"github.com/daypass-dev/daypass/merge/notebook/notebooktest"
)

// python is the one that has nbformat and nbdime, with a program that answers a line
// for a line.
type python struct{ *process.Talk }

func startPython(t *testing.T, program string) python {
	t.Helper()
	return python{process.NewTalk(t, exec.Command(process.Installed(t, "DAYPASS_TEST_NBPYTHON", "pull"), "-c", program))}
}

// ask sends texts in one line, and returns the line that comes.
func (p python) ask(t *testing.T, texts ...[]byte) string {
	t.Helper()
	words := make([]string, len(texts))
	for i, text := range texts {
		words[i] = base64.StdEncoding.EncodeToString(text)
	}
	return string(p.Ask(t, []byte(strings.Join(words, " "))))
}

const validator = `
import base64, sys, warnings, nbformat
warnings.simplefilter("error")
for line in sys.stdin:
    try:
        nb = nbformat.reads(base64.b64decode(line).decode("utf-8"), as_version=nbformat.NO_CONVERT)
        nbformat.validate(nb)
        print("ok", flush=True)
    except Exception as e:
        print(type(e).__name__ + ": " + str(e).splitlines()[0], flush=True)
`

// TestNbformat lets the real nbformat judge what we make, and our Valid beside it.
func TestNbformat(t *testing.T) {
	py := startPython(t, validator)
	count := 0
	judge := func(what string, data []byte) {
		count++
		if got := py.ask(t, data); got != "ok" {
			t.Errorf("%s: %s", what, got)
		}
	}
	for _, c := range slices.Concat(cellRules(), placeRules(), peopleRules(), idRules()) {
		minor := max(c.minor, 4)
		if c.minor == 0 {
			minor = 5
		}
		r, err := notebook.Merge(nbMinor(minor, c.base...), nbMinor(minor, c.ours...), nbMinor(minor, c.theirs...))
		if err != nil {
			t.Fatal(err)
		}
		judge(c.name, r.Data)
	}
	for seed := range uint64(soak.Rounds(t, 500, 5000)) {
		p := pair(seed)
		r, err := notebook.Merge(p.Base, p.Ours, p.Theirs)
		if err != nil {
			t.Fatal(err)
		}
		judge(fmt.Sprint("seed ", seed), r.Data)
	}
	t.Logf("%d merged notebooks", count)
	for name, bad := range invalid() {
		if py.ask(t, bad) == "ok" {
			t.Errorf("%s: nbformat takes it, so it is no example", name)
		}
		if notebook.Valid(bad) == nil {
			t.Errorf("%s: Valid takes it", name)
		}
	}
}

// invalid are notebooks that nbformat refuses.
func invalid() map[string][]byte {
	return map[string][]byte{
		"one id twice":         wrap(code("a", "") + "," + code("a", "")),
		"an id with a dot":     wrap(code("a.b", "")),
		"an empty id":          wrap(code("", "")),
		"a long id":            wrap(code(strings.Repeat("a", 65), "")),
		"no metadata":          wrap(`{"cell_type":"raw","id":"a","source":""}`),
		"no outputs":           wrap(`{"cell_type":"code","execution_count":null,"id":"a","metadata":{},"source":""}`),
		"outputs at a text":    wrap(`{"cell_type":"markdown","outputs":[],"id":"a","metadata":{},"source":""}`),
		"an id below 4.5":      bytes.Replace(wrap(code("a", "")), []byte(`minor":5`), []byte(`minor":4`), 1),
		"a count that is text": wrap(`{"cell_type":"code","execution_count":"1","id":"a","metadata":{},"outputs":[],"source":""}`),
		"an unknown output":    wrap(`{"cell_type":"code","execution_count":1,"id":"a","metadata":{},"outputs":[{"output_type":"pyout"}],"source":""}`),
		"a tag twice":          wrap(`{"cell_type":"raw","id":"a","metadata":{"tags":["a","a"]},"source":""}`),
		"a tag with a comma":   wrap(`{"cell_type":"raw","id":"a","metadata":{"tags":["a,b"]},"source":""}`),
		"an unknown member":    wrap(`{"cell_type":"raw","id":"a","metadata":{},"source":"","prompt":1}`),
	}
}

// pair is the pair of a seed; every third has no ids.
func pair(seed uint64) notebooktest.Pair {
	minor := 5
	if seed%3 == 0 {
		minor = 4
	}
	return notebooktest.Make(rand.New(rand.NewPCG(seed, 1)), minor)
}

// mergeFile is what nbgitpuller does with a file: lines, and ours where both
// changed.
func mergeFile(t *testing.T, dir string, p notebooktest.Pair) []byte {
	t.Helper()
	for name, data := range map[string][]byte{"base": p.Base, "ours": p.Ours, "theirs": p.Theirs} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("git", "merge-file", "--ours", "-p", "ours", "base", "theirs")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestMergeFile counts the pairs in which a merge by lines drops a cell that the
// instructor added. The bound says that the pairs are hard enough to be a test.
func TestMergeFile(t *testing.T) {
	dir := t.TempDir()
	const pairs = 300
	lost, invalid := 0, 0
	for seed := range uint64(pairs) {
		p := pair(seed)
		out := mergeFile(t, dir, p)
		if p.Lost(out) > 0 {
			lost++
		}
		if notebook.Valid(out) != nil {
			invalid++
		}
	}
	t.Logf("git merge-file --ours: %d of %d pairs lost a new cell (%.1f %%), %d are invalid", lost, pairs, 100*float64(lost)/pairs, invalid)
	if lost < pairs/20 {
		t.Errorf("only %d of %d pairs lose a cell by lines", lost, pairs)
	}
}

const nbdime = `
import base64, json, sys, time, logging
logging.disable(logging.CRITICAL)
import nbformat
from nbdime.merging import merge_notebooks
from types import SimpleNamespace
args = SimpleNamespace(merge_strategy="use-local", input_strategy=None, output_strategy=None, ignore_transients=True, log_level="CRITICAL")
for line in sys.stdin:
    b, o, t = [nbformat.reads(base64.b64decode(w).decode("utf-8"), as_version=4) for w in line.split()]
    start = time.perf_counter()
    merged, decisions = merge_notebooks(b, o, t, args)
    took = time.perf_counter() - start
    print(json.dumps({"sources": [c["source"] for c in merged["cells"]], "took": took}), flush=True)
`

// TestNbdime merges a sample beside nbdime with its strategy use-local, and says
// where the two differ.
func TestNbdime(t *testing.T) {
	py := startPython(t, nbdime)
	equal, lost, mine := 0, 0, 0
	kinds := make(map[string]int)
	const pairs = 150
	var their, our time.Duration
	for seed := range uint64(pairs) {
		p := pair(seed)
		var theirs struct {
			Sources []string
			Took    float64
		}
		if err := json.Unmarshal([]byte(py.ask(t, p.Base, p.Ours, p.Theirs)), &theirs); err != nil {
			t.Fatal(err)
		}
		their += time.Duration(theirs.Took * float64(time.Second))
		start := time.Now()
		r, err := notebook.Merge(p.Base, p.Ours, p.Theirs)
		our += time.Since(start)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := notebooktest.Sources(r.Data)
		if err != nil {
			t.Fatal(err)
		}
		if slices.Equal(ours, theirs.Sources) {
			equal++
		} else {
			for _, k := range unlike(t, p, ours, theirs.Sources) {
				kinds[k]++
				if k == "unexplained" {
					t.Logf("seed %d: unexplained", seed)
				}
			}
		}
		if missing(p.New, theirs.Sources) {
			lost++
		}
		if missing(p.Mine, theirs.Sources) {
			mine++
		}
	}
	t.Logf("equal in %d of %d pairs; nbdime lost an instructor's new cell in %d, a student's in %d; ours took %v, nbdime %v", equal, pairs, lost, mine, our, their)
	t.Logf("where they differ: %v", kinds)
	if equal < pairs/4 {
		t.Errorf("equal in %d pairs only", equal)
	}
	if kinds["unexplained"] > 0 {
		t.Errorf("%d differences that no rule of ours explains", kinds["unexplained"])
	}
}

func missing(want, have []string) bool {
	return slices.ContainsFunc(want, func(s string) bool { return !slices.Contains(have, s) })
}

// unlike names the kinds of difference between our result and nbdime's, each once.
func unlike(t *testing.T, p notebooktest.Pair, ours, theirs []string) []string {
	t.Helper()
	var base, mine, new []string
	for _, in := range []struct {
		to   *[]string
		data []byte
	}{{&base, p.Base}, {&mine, p.Ours}, {&new, p.Theirs}} {
		var err error
		if *in.to, err = notebooktest.Sources(in.data); err != nil {
			t.Fatal(err)
		}
	}
	kinds := make(map[string]bool)
	left := count(ours)
	for _, s := range theirs {
		left[s]--
	}
	for s, n := range left {
		in := func(list []string) bool { return slices.Contains(list, s) }
		switch {
		case n == 0:
		case n > 0 && slices.Contains(p.New, s):
			kinds["nbdime has not a new cell of the instructor's"] = true
		case n < 0 && !in(base) && !in(mine) && !in(new):
			kinds["nbdime mixed the lines of a cell that both edited"] = true
		case n > 0 && in(mine) && !in(base):
			kinds["nbdime has not the student's cell as the student left it"] = true
		case n > 0 && in(new) && !in(base):
			kinds["nbdime has not the instructor's edit"] = true
		case n < 0 && in(base) && count(new)[s] < count(base)[s]:
			kinds["nbdime keeps what the instructor deleted or edited and the student only ran"] = true
		case n < 0 && in(new) && !in(base):
			kinds["nbdime has the instructor's edit beside the student's cell"] = true
		case n < 0 && in(base) && count(mine)[s] < count(base)[s]:
			kinds["nbdime brings back what the student edited or deleted"] = true
		case n > 0 && count(mine)[s] >= n:
			kinds["nbdime drops one of equal cells"] = true
		case n < 0 && count(new)[s] > count(base)[s] || count(mine)[s] > count(base)[s]:
			kinds["nbdime has one more of equal cells that both added"] = true
		default:
			kinds["unexplained"] = true
		}
	}
	if len(kinds) == 0 {
		kinds["order"] = true
	}
	out := []string{}
	for k := range kinds {
		out = append(out, k)
	}
	return out
}

func count(list []string) map[string]int {
	n := make(map[string]int)
	for _, s := range list {
		n[s]++
	}
	return n
}
