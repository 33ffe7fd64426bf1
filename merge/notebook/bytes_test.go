package notebook_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/merge/notebook"
	"github.com/daypass-dev/daypass/merge/notebook/notebooktest"
)

func TestEqualBytes(t *testing.T) {
	a, b := []byte("a"), []byte("not JSON")
	for name, c := range map[string]struct{ base, ours, theirs, want []byte }{
		"the user changed nothing":     {a, a, b, b},
		"the upstream changed nothing": {a, b, a, b},
		"both have the same":           {a, b, b, b},
	} {
		if r, err := notebook.Merge(c.base, c.ours, c.theirs); err != nil || !bytes.Equal(r.Data, c.want) {
			t.Errorf("%s: %q, %v", name, r.Data, err)
		}
	}
}

func TestNoNotebook(t *testing.T) {
	good, other := nb("a c one"), nb("a c two")
	for name, bad := range map[string]string{
		"nothing":               "",
		"no JSON":               "{",
		"more behind it":        string(good) + "x",
		"a list":                "[]",
		"format 3":              `{"metadata":{},"nbformat":3,"nbformat_minor":0,"worksheets":[{"cells":[]}]}`,
		"format 5":              `{"cells":[],"metadata":{},"nbformat":5,"nbformat_minor":0}`,
		"no format":             `{"cells":[],"metadata":{}}`,
		"no minor format":       `{"cells":[],"metadata":{},"nbformat":4}`,
		"cells as an object":    `{"cells":{},"metadata":{},"nbformat":4,"nbformat_minor":5}`,
		"a cell that is a text": `{"cells":["x"],"metadata":{},"nbformat":4,"nbformat_minor":5}`,
		"a heading cell":        `{"cells":[{"cell_type":"heading","source":"","metadata":{}}],"metadata":{},"nbformat":4,"nbformat_minor":0}`,
		"a source of numbers":   `{"cells":[{"cell_type":"raw","source":[1],"metadata":{}}],"metadata":{},"nbformat":4,"nbformat_minor":0}`,
		"no source":             `{"cells":[{"cell_type":"raw","metadata":{}}],"metadata":{},"nbformat":4,"nbformat_minor":0}`,
		"invalid UTF-8":         strings.Replace(string(good), "one", "o\xffe", 1),
		"conflict markers":      "<<<<<<< ours\n" + string(good),
		"a newline in a string": strings.Replace(string(good), "one", "o\ne", 1),
	} {
		for i := range 3 {
			in := [][]byte{good, other, nb("a c three")}
			in[i] = []byte(bad)
			if _, err := notebook.Merge(in[0], in[1], in[2]); !errors.Is(err, notebook.ErrNot) {
				t.Errorf("%s as number %d: %v", name, i, err)
			}
		}
	}
}

// odd is written as no program of ours would: its own indentation, escapes, floats,
// order of names, a newline or none at its end.
const odd = `{
    "nbformat_minor": 5, "nbformat": 4,
    "metadata": {"x": 1e400,   "y": [1.0, 1.00]},
    "cells": [
        {"source": "caf\u00e9 \ud83d\ude00 \ud800",
         "cell_type": "code", "metadata": {"z": 1, "a": 0.10}, "id": "a",
         "outputs": [{"output_type":"display_data","metadata":{},"data":{"application/json": {"n": NaN, "big": 12345678901234567890}}}], "execution_count": 3},
        {
            "cell_type": "markdown",
            "id": "b",
            "metadata": {},
            "source": ["two"]
        }
    ]
}`

func TestUntouchedBytes(t *testing.T) {
	base := strings.Replace(odd, `"two"`, `"before"`, 1)
	base = strings.Replace(base, "z\": 1", "z\": 2", 1)
	theirs := nb("b m before", "n c new\nlines")
	theirs = bytes.Replace(theirs, []byte(`"cells": [`), []byte(`"cells": [`+odd[strings.Index(odd, `{"source"`):strings.Index(odd, `3},`)+3]), 1)
	r := merge(t, []byte(strings.ReplaceAll(base, "NaN", "0")), []byte(strings.ReplaceAll(odd, "NaN", "0")), bytes.ReplaceAll(theirs, []byte("NaN"), []byte("0")))
	got := string(r.Data)
	for _, want := range []string{
		`{"source": "caf\u00e9 \ud83d\ude00 \ud800",
         "cell_type": "code", "metadata": {"z": 1, "a": 0.10}, "id": "a",
         "outputs": [{"output_type":"display_data","metadata":{},"data":{"application/json": {"n": 0, "big": 12345678901234567890}}}], "execution_count": 3}`,
		"        {\n            \"cell_type\": \"markdown\",\n            \"id\": \"b\"",
		"        {\n            \"cell_type\": \"code\",\n            \"execution_count\": null,\n            \"id\": \"n\",\n            \"metadata\": {},\n            \"outputs\": [],\n            \"source\": [\n                \"new\\n\",\n                \"lines\"\n            ]\n        }",
		"    ]\n}",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("it has not\n%s\n\nbut is\n%s", want, got)
		}
	}
	if strings.HasSuffix(got, "\n") {
		t.Error("a newline at the end that the user's file has not")
	}
	if _, err := notebook.Merge([]byte(base), []byte(odd), theirs); err != nil {
		t.Errorf("NaN, which Python writes: %v", err)
	}
}

// TestNothingCame: where all that the upstream did is kept back, not a byte changes.
func TestNothingCame(t *testing.T) {
	mine := "{ \"metadata\":{} ,\"nbformat\" : 4,\n\n\"cells\":[ " + code("a", "mine") + " ,\n\n" + code("b", "two") + "\t] , \"nbformat_minor\":5}\n\n"
	r := merge(t, wrap(code("a", "one")+","+code("b", "two")), []byte(mine), wrap(code("a", "new")+","+code("b", "two")))
	if string(r.Data) != mine || r.Kept != 1 {
		t.Errorf("%d kept\n%s\nwant\n%s", r.Kept, r.Data, mine)
	}
}

func TestLayouts(t *testing.T) {
	base, mine, theirs := nb("a c one", "b c two"), nb("a c one", "b c mine"), nb("a c new", "b c two", "n m end")
	layouts := map[string]func([]byte) []byte{
		"one line": func(in []byte) []byte {
			var b bytes.Buffer
			_ = json.Compact(&b, in)
			return b.Bytes()
		},
		"tabs": func(in []byte) []byte {
			var b bytes.Buffer
			_ = json.Indent(&b, in, "", "\t")
			return b.Bytes()
		},
		"carriage returns": func(in []byte) []byte { return bytes.ReplaceAll(in, []byte("\n"), []byte("\r\n")) },
		"a byte order mark": func(in []byte) []byte {
			return append([]byte("\xef\xbb\xbf"), in...)
		},
	}
	plain := merge(t, base, mine, theirs).Data
	for name, as := range layouts {
		r := merge(t, base, as(mine), theirs)
		want := bytes.TrimPrefix(as(plain), []byte("\xef\xbb\xbf"))
		if !bytes.Equal(bytes.TrimSpace(r.Data), bytes.TrimSpace(want)) {
			t.Errorf("%s:\n%q\nwant\n%q", name, r.Data, want)
		}
		r = merge(t, base, mine, as(theirs))
		if !bytes.Equal(r.Data, plain) {
			t.Errorf("%s at the upstream's:\n%q\nwant\n%q", name, r.Data, plain)
		}
	}
}

// run is a notebook with one code cell whose rest is given.
func run(members string) []byte {
	return []byte(`{"cells":[{"cell_type":"code","id":"a",` + members + `}],"metadata":{},"nbformat":4,"nbformat_minor":5}`)
}

const (
	out1 = `"execution_count":1,"outputs":[{"name":"stdout","output_type":"stream","text":["1\n"]}]`
	out2 = `"execution_count":2,"outputs":[{"name":"stdout","output_type":"stream","text":["2\n"]}]`
	none = `"execution_count":null,"outputs":[]`
)

func TestRuns(t *testing.T) {
	for _, c := range []struct{ name, base, ours, theirs, want string }{
		{"the user ran it, the upstream tagged it", none + `,"metadata":{},"source":"x"`, out1 + `,"metadata":{},"source":"x"`, none + `,"metadata":{"tags":["t"]},"source":"x"`, out1 + `,"metadata":{"tags":["t"]},"source":"x"`},
		{"both ran it", none + `,"metadata":{},"source":"x"`, out1 + `,"metadata":{},"source":"x"`, out2 + `,"metadata":{},"source":"x"`, out1 + `,"metadata":{},"source":"x"`},
		{"the upstream ran it", none + `,"metadata":{},"source":"x"`, none + `,"metadata":{"scrolled":true},"source":"x"`, out2 + `,"metadata":{},"source":"x"`, out2 + `,"metadata":{"scrolled":true},"source":"x"`},
		{"the user cleared it", out1 + `,"metadata":{},"source":"x"`, none + `,"metadata":{},"source":"x"`, out2 + `,"metadata":{},"source":"x"`, none + `,"metadata":{},"source":"x"`},
		{"a new source brings its outputs", none + `,"metadata":{},"source":"x"`, out1 + `,"metadata":{"ExecuteTime":{"a":1},"collapsed":true},"source":"x"`, none + `,"metadata":{},"source":"y"`, none + `,"metadata":{"collapsed":true},"source":"y"`},
		{"the user's source keeps its outputs", none + `,"metadata":{},"source":"x"`, out1 + `,"metadata":{},"source":"mine"`, out2 + `,"metadata":{},"source":"y"`, out1 + `,"metadata":{},"source":"mine"`},
		{"a string or a list of lines", none + `,"metadata":{},"source":"x\ny"`, out1 + `,"metadata":{},"source":["x\n","y"]`, none + `,"metadata":{},"source":"x\nz"`, none + `,"metadata":{},"source":"x\nz"`},
		{"the upstream changed the space at its end", none + `,"metadata":{},"source":"x"`, out1 + `,"metadata":{},"source":"x"`, none + `,"metadata":{},"source":"x\n"`, out1 + `,"metadata":{},"source":"x\n"`},
		{"only written in another way", none + `,"metadata":{},"source":"x\ny"`, out1 + `,"metadata":{},"source":["x\r\n","y\n"]`, none + `,"metadata":{"a":1},"source":"x\ny"`, out1 + `,"metadata":{"a":1},"source":["x\r\n","y\n"]`},
	} {
		r := merge(t, run(c.base), run(c.ours), run(c.theirs))
		if got := string(r.Data); got != string(run(c.want)) {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, run(c.want))
		}
		if r.Kept > 1 || r.Removed > 0 {
			t.Errorf("%s: %+v", c.name, r)
		}
	}
}

func TestMetadata(t *testing.T) {
	for _, c := range []struct{ name, base, ours, theirs, want string }{
		{"each its field", `"a":1,"b":1`, `"a":2,"b":1`, `"a":1,"b":2`, `"a":2,"b":2`},
		{"a clash is the user's", `"a":1`, `"a":2`, `"a":3`, `"a":2`},
		{"below, by fields", `"s":{"a":1,"b":1}`, `"s":{"a":2,"b":1}`, `"s":{"a":1,"b":2,"c":3}`, `"s":{"a":2,"b":2,"c":3}`},
		{"taken away by the upstream", `"a":1,"b":1`, `"a":1,"b":2`, `"b":1`, `"b":2`},
		{"taken away by the user", `"a":1,"b":1`, `"b":1`, `"a":1,"b":2`, `"b":2`},
		{"tags", `"tags":["a","b"]`, `"tags":["b","mine"]`, `"tags":["a","b","new"]`, `"tags":["b","mine","new"]`},
		{"tags taken away", `"tags":["a","b"]`, `"tags":["a","b","mine"]`, `"tags":["b"]`, `"tags":["b","mine"]`},
		{"a slide", `"slideshow":{"slide_type":"slide"}`, `"collapsed":true,"slideshow":{"slide_type":"slide"}`, `"slideshow":{"slide_type":"skip"}`, `"collapsed":true,"slideshow":{"slide_type":"skip"}`},
		{"Colab's form", `"cellView":"form","id":"q"`, `"cellView":"code","executionInfo":{"elapsed":3},"id":"q","outputId":"7"`, `"cellView":"form","id":"q","tags":["x"]`, `"cellView":"code","executionInfo":{"elapsed":3},"id":"q","outputId":"7","tags":["x"]`},
		{"nbgrader's data are the instructor's", `"nbgrader":{"checksum":"1","points":1}`, `"nbgrader":{"checksum":"2","points":1}`, `"nbgrader":{"checksum":"3","points":5}`, `"nbgrader":{"checksum":"3","points":5}`},
		{"deletable", `"a":1`, `"a":2,"deletable":true`, `"a":1,"deletable":false`, `"a":2,"deletable":false`},
	} {
		as := func(meta string) []byte { return run(none + `,"metadata":{` + meta + `},"source":"x"`) }
		if got := string(merge(t, as(c.base), as(c.ours), as(c.theirs)).Data); got != string(as(c.want)) {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, as(c.want))
		}
	}
}

func TestNotebookMetadata(t *testing.T) {
	as := func(meta string) []byte {
		return []byte(`{"cells":[],"metadata":{` + meta + `},"nbformat":4,"nbformat_minor":5}`)
	}
	py := `"kernelspec":{"display_name":"Python 3","name":"python3"}`
	ran := `"kernelspec":{"display_name":"Python 3 (ipykernel)","name":"python3"},"language_info":{"name":"python","version":"3.11.7"}`
	r := `"kernelspec":{"display_name":"R","name":"ir"},"language_info":{"name":"R"}`
	for _, c := range []struct{ name, base, ours, theirs, want string }{
		{"run alone", py, ran, py + `,"title":"t"`, ran + `,"title":"t"`},
		{"another version of the language", `"language_info":{"name":"python","version":"3.9"}`, `"language_info":{"name":"python","version":"3.11"},"x":1`, `"language_info":{"name":"python","version":"3.10"}`, `"language_info":{"name":"python","version":"3.11"},"x":1`},
		{"the upstream changes the kernel", py, ran, r, r},
		{"the user changed the kernel", py, r, py + `,"title":"t"`, r + `,"title":"t"`},
		{"both changed the kernel", py, r, `"kernelspec":{"display_name":"Julia","name":"julia"}`, r},
		{"a kernel for the first time", `"a":1`, `"a":2`, r, `"a":2,` + r},
		{"widgets", `"widgets":{"s":{"state":{"1":{"v":1}}}}`, `"widgets":{"s":{"state":{"2":{"v":2}}}}`, `"title":"t","widgets":{"s":{"state":{"1":{"v":1}}}}`, `"title":"t","widgets":{"s":{"state":{"2":{"v":2}}}}`},
	} {
		if c.name == "a kernel for the first time" {
			c.want = `"a":2,"kernelspec":{"display_name":"R","name":"ir"},"language_info":{"name":"R"}`
			c.theirs = `"a":1,` + r
		}
		res := merge(t, as(c.base), as(c.ours), as(c.theirs))
		if got := string(res.Data); got != string(as(c.want)) {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, as(c.want))
		}
		if res.Kept+res.Came+res.Removed > 0 {
			t.Errorf("%s: counts cells: %+v", c.name, res)
		}
	}
}

func TestAttachments(t *testing.T) {
	as := func(source, attached string) []byte {
		return []byte(`{"cells":[{` + attached + `"cell_type":"markdown","id":"a","metadata":{},"source":"` + source + `"}],"metadata":{},"nbformat":4,"nbformat_minor":5}`)
	}
	one, two, three := `"1.png":{"image/png":"AAA="}`, `"2.png":{"image/png":"BBB="}`, `"3.png":{"image/png":"CCC="}`
	att := func(s string) string { return `"attachments":{` + s + `},` }
	for _, c := range []struct {
		name               string
		base, ours, theirs []byte
		want               []byte
	}{
		{"the user pasted a picture, the upstream took its own away", as("x", att(one)), as("x ![](1) ![](2)", att(one+","+two)), as("y", ""), as("x ![](1) ![](2)", att(one+","+two))},
		{"the upstream has another picture now", as("x", att(one)), as("x ![](1)", att(one+","+two)), as("y", att(three)), as("x ![](1)", att(one+","+two+","+three))},
		{"a picture is an edit", as("x", ""), as("x", att(one)), []byte(`{"cells":[],"metadata":{},"nbformat":4,"nbformat_minor":5}`), as("x", att(one))},
		{"the upstream's source brings its picture", as("x", ""), as("x\\n", ""), as("y ![](1)", att(one)), as("y ![](1)", att(one))},
		{"both add one", as("x", ""), as("x ![](1)", att(one)), as("x ![](2)", att(two)), as("x ![](1)", att(one+","+two))},
	} {
		if got := merge(t, c.base, c.ours, c.theirs).Data; !bytes.Equal(got, c.want) {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

// TestMended: what a merge touches comes out as the format demands it.
func TestMended(t *testing.T) {
	base := wrap(code("a", "one") + "," + code("b", "two"))
	ours := wrap(`{"cell_type":"code","id":"a","source":"mine","id":"a"},{"cell_type":"markdown","id":"u","metadata":{},"outputs":[],"execution_count":1,"source":"x"},` + code("b", "two"))
	r := merge(t, base, ours, wrap(code("a", "one")+","+code("b", "new")))
	if got, err := notebooktest.Sources(r.Data); err != nil || !slices.Equal(got, s("mine", "x", "new")) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestCells(t *testing.T) {
	r := merge(t, nb("a c one", "b c two", "c c three", "d c four", "e c five", "f c "+locked+"six"),
		nb("a c mine", "b c two", "c c three", "d c mine too", "f c "+locked+"mine"),
		nb("n m new", "a c one!", "b c two!", "e c five!", "f c "+locked+"six!"))
	want := []notebook.Cell{
		{Index: 0, ID: "n", Type: "markdown", Why: notebook.New, Theirs: "new"},
		{Index: 1, ID: "a", Type: "code", Why: notebook.Kept, Ours: "mine", Theirs: "one!"},
		{Index: 2, ID: "b", Type: "code", Why: notebook.Updated, Ours: "two", Theirs: "two!"},
		{Index: 3, ID: "d", Type: "code", Why: notebook.Stayed, Ours: "mine too"},
		{Index: 4, ID: "e", Type: "code", Why: notebook.Returned, Theirs: "five!"},
		{Index: 5, ID: "f", Type: "code", Why: notebook.Locked, Ours: "mine", Theirs: "six!"},
		{Index: -1, Type: "code", Why: notebook.Removed, Ours: "three"},
	}
	if !slices.Equal(r.Cells, want) {
		t.Errorf("got %+v\nwant %+v", r.Cells, want)
	}
	if r.Kept != 2 || r.Came != 4 || r.Removed != 1 {
		t.Errorf("%d, %d, %d", r.Kept, r.Came, r.Removed)
	}
	if _, err := notebooktest.Sources(r.Data); err != nil {
		t.Error(err)
	}
}
