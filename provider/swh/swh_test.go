package swh

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/provider/deposit"
	"github.com/daypass-dev/daypass/provider/deposittest"
	"github.com/daypass-dev/daypass/provider/providertest"
)

const origin = "https://github.com/octo/course"

func source(id string) daypass.Source {
	return daypass.Source{Kind: daypass.KindSWH, Host: Host, ID: id}
}

func serve(files []providertest.File, packed bool) *fake.SWH {
	c := fake.SWHConfig{Origin: origin, Packed: packed}
	for _, f := range files {
		c.Files = append(c.Files, fake.SWHFile{Path: strings.Join(f.Parts, "/"), Text: f.Text})
	}
	return fake.NewSWH(c)
}

func TestContract(t *testing.T) {
	for name, packed := range map[string]bool{"folder by folder": false, "packed": true} {
		t.Run(name, func(t *testing.T) {
			providertest.RunContents(t, synctest.Test, func(t *testing.T) providertest.ContentsFixture {
				files := deposittest.Folders()
				h := serve(files, packed)
				return deposittest.Fixture(h, providertest.ContentsFixture{
					Contents: New(deposit.Config{Host: Host, Base: fake.Transport(h)}), Source: source(origin), Files: files, Missing: source("https://github.com/octo/none"), Hosts: []string{Host}, Held: packed,
					Odd:    []daypass.Source{source(""), source("swh:1:dir:abc"), source("http://github.com/octo/course"), source("https://a:b@github.com/x"), source("file:///etc"), source("https://github.com/../x"), {Kind: "swh", Host: "evil.example", ID: origin}},
					Change: func(parts []string, text string) { h.Write(strings.Join(parts, "/"), text) },
				})
			})
		})
	}
}

// TestIdentifiers: all that lead to a directory lead to the same files, and stay when
// the origin moves on.
func TestIdentifiers(t *testing.T) {
	h := fake.NewSWH(fake.SWHConfig{Origin: origin, Files: []fake.SWHFile{
		{Path: "a.txt", Text: "one"}, {Path: "d/run", Text: "#!", Mode: 0o100755}, {Path: "d/link", Text: "/etc/passwd", Mode: 0o120000}, {Path: "other", Text: "x", Mode: 0o160000}, {Path: "d/gone", Text: "y", Absent: true},
	}})
	w := New(deposit.Config{Host: Host, Base: fake.Transport(h)})
	ids := h.IDs()
	marks := map[string]string{}
	for kind, id := range ids {
		l, err := w.List(t.Context(), source(id))
		if err != nil || len(l.Items) != 5 || l.Mark != ids["dir"] {
			t.Fatalf("%s: %+v, %v", kind, l, err)
		}
		marks[kind] = l.Mark
		skipped := 0
		for _, it := range l.Items {
			if it.Skip != "" {
				skipped++
			} else if it.Exec != (it.Parts[len(it.Parts)-1] == "run") {
				t.Errorf("%+v", it)
			}
		}
		if skipped != 3 {
			t.Errorf("%s: %d are left out", kind, skipped)
		}
	}
	h.Write("a.txt", "two")
	for kind, id := range ids {
		if seen, err := w.Look(t.Context(), source(id), marks[kind]); err != nil || !seen.Same {
			t.Errorf("%s: %+v, %v", kind, seen, err)
		}
	}
	tag, none := source(origin), source(origin)
	tag.Ref, none.Ref = "v1", "v2"
	if seen, err := w.Look(t.Context(), tag, marks["dir"]); err != nil || seen.Same || seen.Mark != h.IDs()["dir"] || seen.Title != "course" {
		t.Errorf("%+v, %v", seen, err)
	}
	if _, err := w.Look(t.Context(), none, ""); !errors.Is(err, daypass.ErrNoSource) {
		t.Errorf("a tag that is not there: %v", err)
	}
	at := source(ids["dir"])
	at.Path = "d"
	before := len(h.Requests())
	if l, err := w.List(t.Context(), at); err != nil || len(l.Items) != 3 || len(h.Requests())-before != 3 {
		t.Errorf("a folder: %+v, %v, %d requests", l, err, len(h.Requests())-before)
	}
	if l, err := w.List(t.Context(), source("swh:1:cnt:"+h.IDs()["dir"][10:])); !errors.Is(err, daypass.ErrNoSource) {
		t.Errorf("no content: %+v, %v", l, err)
	}
}
