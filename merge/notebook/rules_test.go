package notebook_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/merge/notebook"
	"github.com/daypass-dev/daypass/merge/notebook/notebooktest"
)

// nb makes a notebook of cells written "id type source", type c, m or r; ids of "-"
// are none. With {…} before the source come metadata.
func nb(cells ...string) []byte { return nbMinor(5, cells...) }

func nbMinor(minor int, cells ...string) []byte {
	n := notebooktest.Notebook{Major: 4, Minor: minor, Metadata: map[string]any{}, Cells: []notebooktest.Cell{}}
	for _, c := range cells {
		id, rest, _ := strings.Cut(c, " ")
		typ, source, _ := strings.Cut(rest, " ")
		cell := notebooktest.Cell{ID: id, Type: map[string]string{"c": "code", "m": "markdown", "r": "raw"}[typ]}
		if id == "-" || minor < 5 {
			cell.ID = ""
		}
		if meta, ok := strings.CutPrefix(source, "{"); ok {
			meta, source, _ = strings.Cut(meta, "} ")
			if err := json.Unmarshal([]byte("{"+meta+"}"), &cell.Metadata); err != nil {
				panic(c)
			}
		}
		cell.Source = notebooktest.Lines(source)
		n.Cells = append(n.Cells, cell)
	}
	return n.Bytes()
}

// said is a result's cells, "id type source".
func said(t *testing.T, data []byte) []string {
	t.Helper()
	var n notebooktest.Notebook
	if err := json.Unmarshal(data, &n); err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for _, c := range n.Cells {
		id := c.ID
		if id == "" {
			id = "-"
		}
		out = append(out, id+" "+c.Type[:1]+" "+strings.Join(c.Source, ""))
	}
	return out
}

// merge merges, and holds every result to what always holds.
func merge(t *testing.T, base, ours, theirs []byte) notebook.Result {
	t.Helper()
	r, err := notebook.Merge(base, ours, theirs)
	if err != nil {
		t.Fatal(err)
	}
	if err := notebook.Valid(r.Data); err != nil {
		t.Errorf("%v\n%s", err, r.Data)
	}
	again, err := notebook.Merge(base, r.Data, theirs)
	if err != nil || !bytes.Equal(again.Data, r.Data) {
		t.Errorf("a second merge changes it: %v\n%s\n%s", err, r.Data, again.Data)
	}
	next, err := notebook.Merge(theirs, r.Data, theirs)
	if err != nil || !bytes.Equal(next.Data, r.Data) {
		t.Errorf("a pull of nothing new changes it: %v", err)
	}
	return r
}

const (
	todo   = "# YOUR CODE HERE\nraise NotImplementedError()"
	locked = `{"nbgrader":{"grade_id":"t1","grade":true,"locked":true,"solution":false,"points":1}} `
	answer = `{"nbgrader":{"grade_id":"a1","grade":false,"locked":false,"solution":true}} `
)

type rule struct {
	name                string
	minor               int // 0: 5
	base, ours, theirs  []string
	want                []string // without ids where minor is 4
	kept, came, removed int
}

func TestRules(t *testing.T) {
	for _, c := range slices.Concat(cellRules(), placeRules(), peopleRules(), idRules()) {
		t.Run(c.name, func(t *testing.T) {
			if c.minor == 0 {
				c.minor = 5
			}
			r := merge(t, nbMinor(c.minor, c.base...), nbMinor(c.minor, c.ours...), nbMinor(c.minor, c.theirs...))
			if got := said(t, r.Data); !slices.Equal(got, c.want) {
				t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(c.want, "\n  "))
			}
			if r.Kept != c.kept || r.Came != c.came || r.Removed != c.removed {
				t.Errorf("kept %d, came %d, removed %d; want %d, %d, %d", r.Kept, r.Came, r.Removed, c.kept, c.came, c.removed)
			}
		})
	}
}

func s(cells ...string) []string { return cells }

func cellRules() []rule {
	return []rule{
		{name: "the upstream edits", base: s("a c one", "b c two"), ours: s("a c one", "b c mine"), theirs: s("a c new", "b c two"), want: s("a c new", "b c mine"), came: 1},
		{name: "both edit", base: s("a c one", "b c two"), ours: s("a c mine", "b c two"), theirs: s("a c new", "b c two"), want: s("a c mine", "b c two"), kept: 1},
		{name: "both edit to the same", base: s("a c one", "b c two"), ours: s("a c same", "b c mine"), theirs: s("a c same", "b c two"), want: s("a c same", "b c mine")},
		{name: "the upstream deletes", base: s("a c one", "b c two"), ours: s("a c one", "b c mine"), theirs: s("b c two"), want: s("b c mine"), removed: 1},
		{name: "the upstream deletes what the user edited", base: s("a c one", "b c two"), ours: s("a c mine", "b c two"), theirs: s("b c two"), want: s("a c mine", "b c two"), kept: 1},
		{name: "the user deletes", base: s("a c one", "b c two", "c c three"), ours: s("b c two", "c c three"), theirs: s("a c one", "b c two", "c c new"), want: s("b c two", "c c new"), came: 1},
		{name: "the user deletes what the upstream edits", base: s("a c one", "b c two"), ours: s("b c two"), theirs: s("a c new", "b c two"), want: s("a c new", "b c two"), came: 1},
		{name: "both delete", base: s("a c one", "b c two"), ours: s("b c mine"), theirs: s("b c two"), want: s("b c mine")},
		{name: "the upstream makes code of text", base: s("a m one", "b c two"), ours: s("a m one", "b c mine"), theirs: s("a c one", "b c two"), want: s("a c one", "b c mine"), came: 1},
		{name: "the user makes text of code, the upstream edits", base: s("a c one", "b c two"), ours: s("a m one", "b c two"), theirs: s("a c new", "b c two"), want: s("a m one", "b c two"), kept: 1},
		{name: "line ends are no edit", base: s("a c one\ntwo", "b c x"), ours: s("a c one\r\ntwo\n", "b c y"), theirs: s("a c one\nthree", "b c x"), want: s("a c one\nthree", "b c y"), came: 1},
		{name: "without cells before", base: s(), ours: s("a c mine"), theirs: s("b c new"), want: s("a c mine", "b c new"), came: 1},
		{name: "all deleted by both, one new", base: s("a c one"), ours: s(), theirs: s("b c new"), want: s("b c new"), came: 1},
		{name: "all cells go", base: s("a c one", "b c two"), ours: s("a c one"), theirs: s(), want: s(), removed: 1},
		{name: "edited by both, without ids", minor: 4, base: s("- c x = 1\ny = 2", "- m text"), ours: s("- c x = 1\ny = 3", "- m text"), theirs: s("- c x = 1\ny = 4", "- m text"), want: s("- c x = 1\ny = 3", "- m text"), kept: 1},
		{name: "rewritten by the user, edited by the upstream, without ids", minor: 4, base: s("- m Question one", "- c "+todo, "- m Question two"), ours: s("- m Question one", "- c return 42", "- m Question two"), theirs: s("- m Question one", "- c # YOUR CODE HERE, please\nraise NotImplementedError()", "- m Question two"), want: s("- m Question one", "- c return 42", "- m Question two"), kept: 1},
		{name: "equal answer cells without ids", minor: 4, base: s("- m Q1", "- c "+todo, "- m Q2", "- c "+todo, "- m Q3", "- c "+todo), ours: s("- m Q1", "- c "+todo, "- m Q2", "- c done()", "- m Q3", "- c "+todo), theirs: s("- m Q1", "- c "+todo, "- m Q1b", "- c "+todo, "- m Q2", "- c "+todo, "- m Q3", "- c "+todo), want: s("- m Q1", "- c "+todo, "- m Q1b", "- c "+todo, "- m Q2", "- c done()", "- m Q3", "- c "+todo), came: 2},
		{name: "a new cell like an old one which the user edited", minor: 4, base: s("- m ## Task 1\n\nCompute the mean of sample 1 and explain it.", "- m ## Task 2\n\nCompute the mean of sample 2 and explain it."), ours: s("- m ## Task 1\n\nCompute the mean of sample 1 and explain it.", "- m ## Task 2\n\nCompute the mean of sample 2 and explain it.\n\nIt is 7."), theirs: s("- m ## Task 1\n\nCompute the mean of sample 1 and explain it.", "- m ## Task 3\n\nCompute the mean of sample 3 and explain it."), want: s("- m ## Task 1\n\nCompute the mean of sample 1 and explain it.", "- m ## Task 2\n\nCompute the mean of sample 2 and explain it.\n\nIt is 7.", "- m ## Task 3\n\nCompute the mean of sample 3 and explain it."), kept: 1, came: 1},
		{name: "like one alone, but without a line of it", minor: 4, base: s("- m intro", "- m ## Task 2\n\nCompute the mean of sample 2 and explain it."), ours: s("- m intro", "- m ## Task 2\n\nCompute the mean of sample 2 and explain it.\n\nIt is 7."), theirs: s("- m intro", "- m ## Task 3\n\nCompute the mean of sample 3 and explain it."), want: s("- m intro", "- m ## Task 2\n\nCompute the mean of sample 2 and explain it.\n\nIt is 7.", "- m ## Task 3\n\nCompute the mean of sample 3 and explain it."), kept: 1, came: 1},
		{name: "of one pattern, with a line that all have", minor: 4, base: s("- c import lab\nlab.task(1)", "- m x", "- c import lab\nlab.task(2)"), ours: s("- c import lab\nlab.task(1)", "- m x", "- c import lab\nlab.task(2)\nmine()"), theirs: s("- c import lab\nlab.task(1)", "- m x", "- c import lab\nlab.task(3)"), want: s("- c import lab\nlab.task(1)", "- m x", "- c import lab\nlab.task(2)\nmine()", "- c import lab\nlab.task(3)"), kept: 1, came: 1},
	}
}

func placeRules() []rule {
	return []rule{
		{name: "both insert at one place: the user's first", base: s("a c one", "b c two"), ours: s("a c one", "u c mine", "b c two"), theirs: s("a c one", "n c new", "b c two"), want: s("a c one", "u c mine", "n c new", "b c two"), came: 1},
		{name: "both insert at the top", base: s("a c one"), ours: s("u c mine", "a c one"), theirs: s("n c new", "a c one"), want: s("u c mine", "n c new", "a c one"), came: 1},
		{name: "both insert at the end", base: s("a c one"), ours: s("a c one", "u c mine"), theirs: s("a c one", "n c new"), want: s("a c one", "u c mine", "n c new"), came: 1},
		{name: "new, and the user deleted its neighbours", base: s("a c one", "b c two", "c c three", "d c four"), ours: s("a c one", "d c four"), theirs: s("a c one", "b c two", "n c new", "c c three", "d c four"), want: s("a c one", "n c new", "d c four"), came: 1},
		{name: "new, and the user rewrote its neighbours", base: s("a c one", "b c two"), ours: s("a c mine", "b c mine too"), theirs: s("a c one", "n c new", "b c two"), want: s("a c mine", "n c new", "b c mine too"), came: 1},
		{name: "new, and the user deleted everything", base: s("a c one", "b c two"), ours: s(), theirs: s("a c one", "n c new", "b c two"), want: s("n c new"), came: 1},
		{name: "the upstream moves", base: s("a c one", "b c two", "c c three"), ours: s("a c one", "b c mine", "c c three"), theirs: s("b c two", "c c three", "a c one"), want: s("b c mine", "c c three", "a c one")},
		{name: "the user moves, the upstream adds", base: s("a c one", "b c two", "c c three"), ours: s("b c two", "c c three", "a c one"), theirs: s("a c one", "b c two", "n c new", "c c three"), want: s("b c two", "n c new", "c c three", "a c one"), came: 1},
		{name: "both move different ones: the user's goes with the one above it", base: s("a c one", "b c two", "c c three", "d c four", "e c five"), ours: s("b c two", "c c three", "d c four", "e c five", "a c one"), theirs: s("e c five", "a c one", "b c two", "c c three", "d c four"), want: s("e c five", "a c one", "b c two", "c c three", "d c four")},
		{name: "both move the same: the user's place", base: s("a c one", "b c two", "c c three"), ours: s("b c two", "a c one", "c c three"), theirs: s("b c two", "c c three", "a c one"), want: s("b c two", "a c one", "c c three")},
		{name: "the user's cell follows the one above it", base: s("a c one", "b c two", "c c three"), ours: s("a c one", "u c mine", "b c two", "c c three"), theirs: s("b c two", "c c three", "a c one"), want: s("b c two", "c c three", "a c one", "u c mine")},
		{name: "edited by the user and moved by the upstream, without ids", minor: 4, base: s("- c x = load()", "- m B", "- m C", "- m D"), ours: s("- c x = load()\nmine()", "- m B", "- m C", "- m D"), theirs: s("- m B", "- m C", "- c x = load()", "- m D"), want: s("- m B", "- m C", "- c x = load()\nmine()", "- m D")},
		{name: "both wrote the same", base: s("a c one"), ours: s("a c one", "u c import numpy"), theirs: s("a c one", "n c import numpy"), want: s("a c one", "n c import numpy")},
	}
}

func peopleRules() []rule {
	return []rule{
		{name: "tests of the autograder, new below an answer", base: s("q m Q", "a c "+answer+todo, "z m end"), ours: s("q m Q", "a c "+answer+"return 1", "scratch c print(1)", "z m end"), theirs: s("q m Q", "a c "+answer+todo, "t c "+locked+"assert f() == 1", "z m end"), want: s("q m Q", "a c return 1", "scratch c print(1)", "t c assert f() == 1", "z m end"), came: 1},
		{name: "locked, corrected by the instructor, touched by the student", base: s("t c "+locked+"assert f() == 1", "b c x"), ours: s("t c "+locked+"print(f())\nassert f() == 1", "b c mine"), theirs: s("t c "+locked+"assert f() == 2", "b c x"), want: s("t c assert f() == 2", "b c mine"), came: 1},
		{name: "locked, touched by the student alone", base: s("t c "+locked+"assert f() == 1", "b c x"), ours: s("t c "+locked+"print(f())", "b c x"), theirs: s("t c "+locked+"assert f() == 1", "b c new"), want: s("t c print(f())", "b c new"), came: 1},
		{name: "locked now, but not when it was delivered", base: s("t c x", "b c x"), ours: s("t c mine", "b c x"), theirs: s("t c "+locked+"new", "b c x"), want: s("t c mine", "b c x"), kept: 1},
		{name: "a locked cell that was deleted", base: s("t c "+locked+"assert 1", "b c x"), ours: s("b c x"), theirs: s("t c "+locked+"assert 1", "b c y"), want: s("t c assert 1", "b c y"), came: 2},
		{name: "scratch cells at the end", base: s("a m one", "b c two"), ours: s("a m one", "b c two", "u c s1", "v c s2"), theirs: s("a m one", "b c two", "n m Exercise 9", "o c "+todo), want: s("a m one", "b c two", "u c s1", "v c s2", "n m Exercise 9", "o c "+todo), came: 2},
		{name: "copied, and the copy edited", base: s("a c x = load()", "b m t"), ours: s("a c x = load()", "u c x = load(2)", "b m t"), theirs: s("a c x = load(fast)", "b m t"), want: s("a c x = load(fast)", "u c x = load(2)", "b m t"), came: 1},
		{name: "copied, and the original edited", base: s("a c x = load()", "b m t"), ours: s("u c x = load()", "a c x = load(2)", "b m t"), theirs: s("a c x = load(fast)", "b m t"), want: s("u c x = load()", "a c x = load(2)", "b m t"), kept: 1},
		{name: "copied with nbgrader's name", base: s("a c "+answer+todo, "b m t"), ours: s("a c "+answer+"done(1)", "u c "+answer+"done(2)", "b m t"), theirs: s("a c "+answer+"# Hint\n"+todo, "b m t"), want: s("a c done(1)", "u c done(2)", "b m t"), kept: 1},
		{name: "split in two", base: s("a c x = 1\ny = 2", "b m t"), ours: s("a c x = 1", "u c y = 2", "b m t"), theirs: s("a c x = 1\ny = 3", "b m t"), want: s("a c x = 1", "u c y = 2", "b m t"), kept: 1},
		{name: "split in two, both with new ids", base: s("a c x = load(file)\nprint(x)\ny = fit(x)\nplot(y)", "b m t", "c m u"), ours: s("u c x = load(file)\nprint(x)\ny = fit(x)", "v c plot(y)", "b m t", "c m u"), theirs: s("a c x = load(file)\nprint(x)\ny = fit(x, 2)\nplot(y)", "b m t", "c m u"), want: s("a c x = load(file)\nprint(x)\ny = fit(x)", "v c plot(y)", "b m t", "c m u"), kept: 1},
		{name: "two merged into one", base: s("a c x = 1", "b c y = 2", "c m t"), ours: s("a c x = 1\ny = 2", "c m t"), theirs: s("a c x = 1", "b c y = 3", "c m t"), want: s("a c x = 1\ny = 2", "b c y = 3", "c m t"), came: 1},
		{name: "solutions are released", base: s("q m Q1", "a c "+todo, "r m Q2", "b c "+todo), ours: s("q m Q1", "a c my(1)", "r m Q2", "b c "+todo), theirs: s("q m Q1", "a c def solution_1(): pass", "r m Q2", "b c def solution_2(): pass"), want: s("q m Q1", "a c my(1)", "r m Q2", "b c def solution_2(): pass"), kept: 1, came: 1},
		{name: "all is written anew", base: s("a m Lab 1", "b c one()", "c c two()"), ours: s("a m Lab 1", "b c mine()", "u c scratch()", "c c two()"), theirs: s("x m Lab 2", "y c three()", "z c four()"), want: s("b c mine()", "u c scratch()", "x m Lab 2", "y c three()", "z c four()"), kept: 1, came: 3, removed: 2},
		{name: "sections change places", base: s("a m A", "b c "+todo, "c m B", "d c "+todo), ours: s("a m A", "b c answer(A)", "u c try(A)", "c m B", "d c answer(B)"), theirs: s("c m B", "d c "+todo, "a m A", "b c "+todo), want: s("c m B", "d c answer(B)", "a m A", "b c answer(A)", "u c try(A)")},
		{name: "the cell of the imports grows", base: s("a c import numpy", "b m t"), ours: s("a c import numpy\nimport mine", "b m t"), theirs: s("a c import numpy\nimport pandas", "b m t"), want: s("a c import numpy\nimport mine", "b m t"), kept: 1},
		{name: "nbgrader's names where there are no ids", minor: 4, base: s("- c "+answer+todo, "- c "+todo), ours: s("- c "+todo, "- c "+answer+"entirely(different)"), theirs: s("- c "+answer+"# Hint\n"+todo, "- c "+todo), want: s("- c "+todo, "- c entirely(different)"), kept: 1},
	}
}

func idRules() []rule {
	return []rule{
		{name: "new ids by the user's program", base: s("a m one", "b c two", "c c three"), ours: s("x m one", "y c mine", "z c three"), theirs: s("a m one", "b c two", "n c new", "c c newer"), want: s("a m one", "b c mine", "n c new", "c c newer"), came: 2},
		{name: "new ids by the upstream's program", base: s("a m one", "b c two words here", "c c three"), ours: s("a m one", "b c two words mine", "c c three"), theirs: s("x m one", "y c two words here", "n c new", "z c three"), want: s("x m one", "y c two words mine", "n c new", "z c three"), came: 1},
		{name: "ids that number places", base: s("c1 m one", "c2 c two", "c3 c three"), ours: s("c1 m one", "c2 c mine", "c3 c three"), theirs: s("c1 m NEW", "c2 m one", "c3 c two", "c4 c three"), want: s("c1 m NEW", "c2 m one", "c3 c mine", "c4 c three"), came: 1},
		{name: "one id for two new cells", base: s("a c one"), ours: s("a c one", "x c mine"), theirs: s("a c one", "x c new"), want: s("a c one", "bbd78aef c mine", "x c new"), came: 1},
		{name: "an id that nbformat refuses", base: s("a c one", "b c two"), ours: s("a c one", "b c two", "vscode:/x#1 c mine"), theirs: s("a c new", "b c two"), want: s("a c new", "b c two", "bbd78aef c mine"), came: 1},
		{name: "an id that stands twice", base: s("a c one", "b c two"), ours: s("a c one", "a c mine", "b c two"), theirs: s("a c new", "b c two"), want: s("a c new", "bbd78aef c mine", "b c two"), came: 1},
		{name: "Colab's ids", minor: 4, base: s(`- m {"id":"aa"} one`, `- c {"id":"bb"} two`, `- c {"id":"cc"} three`), ours: s(`- m {"id":"aa"} one`, `- c {"id":"cc"} entirely mine`, `- c {"id":"bb"} two`), theirs: s(`- m {"id":"aa"} one`, `- c {"id":"bb"} two new`, `- c {"id":"cc"} three!`), want: s("- m one", "- c entirely mine", "- c two new"), kept: 1, came: 1},
	}
}

func TestMinors(t *testing.T) {
	base := nbMinor(4, "- m one", "- c two", "- c three")
	r := merge(t, base, nbMinor(5, "x m one", "y c mine", "z c three"), nbMinor(4, "- m one", "- c two", "- c new", "- c three"))
	want := fmt.Sprint(s("x m one", "y c mine", "9f7b608c c new", "z c three"))
	if got := fmt.Sprint(said(t, r.Data)); got != want {
		t.Errorf("ids where the upstream has none:\n%s\n%s", got, want)
	}
	r = merge(t, base, nbMinor(4, "- m one", "- c mine", "- c three"), nbMinor(5, "x m one", "y c two", "n c new", "z c three"))
	want = fmt.Sprint(s("x m one", "y c mine", "n c new", "z c three"))
	if got := fmt.Sprint(said(t, r.Data)); got != want || !bytes.Contains(r.Data, []byte(`"nbformat_minor": 5`)) {
		t.Errorf("ids where the user has none:\n%s\n%s", got, want)
	}
}

// TestColab: Colab takes the ids away, keeps some of its own in the metadata, writes
// format 4.0 indented by two, and a cell's form beside.
func TestColab(t *testing.T) {
	base := nb("aa m # Lab", "bb c x = 1", "cc c y = 2", "dd m end")
	colab := `{
  "nbformat": 4,
  "nbformat_minor": 0,
  "metadata": {
    "colab": {
      "provenance": []
    },
    "kernelspec": {
      "name": "python3",
      "display_name": "Python 3"
    },
    "language_info": {
      "name": "python"
    }
  },
  "cells": [
    {
      "cell_type": "markdown",
      "source": [
        "# Lab"
      ],
      "metadata": {
        "id": "k1"
      }
    },
    {
      "cell_type": "code",
      "source": [
        "x = 10  # mine"
      ],
      "metadata": {
        "id": "k2",
        "cellView": "form"
      },
      "execution_count": 7,
      "outputs": []
    },
    {
      "cell_type": "code",
      "source": [
        "y = 2"
      ],
      "metadata": {
        "id": "k3"
      },
      "execution_count": null,
      "outputs": []
    },
    {
      "cell_type": "markdown",
      "source": [
        "end"
      ],
      "metadata": {
        "id": "k4"
      }
    }
  ]
}`
	r := merge(t, base, []byte(colab), nb("aa m # Lab", "bb c x = 1", "cc c y = 3", "nn m new", "dd m end"))
	want := s("aa m # Lab", "bb c x = 10  # mine", "cc c y = 3", "nn m new", "dd m end")
	if got := said(t, r.Data); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	for _, part := range []string{`"cellView": "form"`, "\n      \"source\": [\n        \"x = 10", `"provenance": []`} {
		if !strings.Contains(string(r.Data), part) {
			t.Errorf("it has not %s:\n%s", part, r.Data)
		}
	}
}
