package dataverse

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/provider/deposit"
	"github.com/daypass-dev/daypass/provider/deposittest"
	"github.com/daypass-dev/daypass/provider/providertest"
)

const (
	host = "dataverse.harvard.edu"
	set  = "doi:10.7910/DVN/TJCLKP"
)

func source(id string) daypass.Source {
	return daypass.Source{Kind: daypass.KindDataverse, Host: host, ID: id}
}

func filesOf(files []providertest.File) (out []fake.DataverseFile) {
	for _, f := range deposittest.Files(files) {
		out = append(out, fake.DataverseFile{DepositFile: f, SHA1: strings.HasPrefix(f.Name, "x"), Table: strings.HasSuffix(f.Name, ".csv")})
	}
	return out
}

func TestContract(t *testing.T) {
	for name, c := range map[string]struct {
		config deposit.Config
		ref    string
		old    bool
		below  string
	}{"below a path": {below: "dv/one", config: deposit.Config{Token: deposittest.Secret}}, "the newest": {}, "a version": {ref: "2.1"}, "an older release": {old: true}, "a token": {config: deposit.Config{Token: deposittest.Secret}}} {
		t.Run(name, func(t *testing.T) {
			providertest.RunContents(t, synctest.Test, func(t *testing.T) providertest.ContentsFixture {
				files := append(deposittest.Folders(), providertest.File{Parts: []string{"exam.txt"}, Text: "the answers", Locked: c.config.Token == nil})
				sets := filesOf(files)
				sets[len(sets)-1].Closed = true
				v := fake.NewDataverse(fake.DataverseConfig{Old: c.old, Below: c.below, Token: deposittest.Token, Sets: []fake.DataverseSet{
					{ID: set, Major: 2, Minor: 1, Title: "Lab 1", Files: sets}, {ID: "doi:10.7910/DVN/DRAFT", Draft: true, Files: sets}, {ID: "doi:10.7910/DVN/GONE", Major: 1, Withdrawn: true, Files: sets},
				}})
				c.config.Host, c.config.Base = host, fake.Transport(v)
				in := func(id string) daypass.Source { return source(strings.Join(steps(c.below, id), "/")) }
				s := in(set)
				s.Ref = c.ref
				out := deposittest.Fixture(v, providertest.ContentsFixture{
					Contents: New(c.config), Source: s, Files: files, Missing: in("doi:10.7910/DVN/NONE"), Hidden: in("doi:10.7910/DVN/DRAFT"), Hosts: []string{host},
					Odd:    []daypass.Source{source("../doi:10.7910/DVN/TJCLKP"), source("a/b/c/d/doi:10.7910/DVN/TJCLKP"), source("dv//doi:10.7910/DVN/TJCLKP"), source("dv?/doi:10.7910/DVN/TJCLKP"), source("file/1"), source(""), source("TJCLKP"), source("doi:10.7910/../x"), source("doi:10.7910/DVN/TJCLKP&key=1"), source("doi:10.7910/DVN//x"), {Kind: "dataverse", Host: "evil.example", ID: set}, {Kind: "dataverse", Host: host, ID: set, Ref: ":draft"}},
					Change: deposittest.Writes(func(folder, name, text string) { v.Write(set, folder, name, text) }),
				})
				out.NoIDs = false
				return out
			})
		})
	}
}

func reader(v *fake.Dataverse) (*Dataverse, deposit.Config) {
	c := deposit.Config{Host: host, Base: fake.Transport(v)}
	return New(c), c
}

// TestTables: what is delivered of a table is its upload, whose checksum nobody has.
func TestTables(t *testing.T) {
	v := fake.NewDataverse(fake.DataverseConfig{Sets: []fake.DataverseSet{{ID: set, Title: "Rivers", Files: []fake.DataverseFile{
		{DepositFile: fake.DepositFile{Folder: "data/raw", Name: "river.csv", Text: "a,b\n1,2\n"}, Table: true},
	}}}})
	d, _ := reader(v)
	l, err := d.List(t.Context(), source(set))
	if err != nil || len(l.Items) != 1 {
		t.Fatal(l, err)
	}
	it := l.Items[0]
	if strings.Join(it.Parts, "/") != "data/raw/river.csv" || it.Size != 8 || it.Sum != "" || it.Mark == "" || it.ID == "" {
		t.Errorf("%+v", it)
	}
	r, err := d.Open(t.Context(), source(set), it, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if text, err := io.ReadAll(r); err != nil || string(text) != "a,b\n1,2\n" {
		t.Errorf("%q, %v", text, err)
	}
}

// TestVersions: a version stays; a file that takes another's place is that file.
func TestVersions(t *testing.T) {
	one := fake.DataverseFile{DepositFile: fake.DepositFile{Name: "a.txt", Text: "one"}, ID: "doi:10.7910/DVN/TJCLKP/AAA"}
	two := one
	two.Text = "two"
	v := fake.NewDataverse(fake.DataverseConfig{Sets: []fake.DataverseSet{{ID: set, Title: "Lab 1", Files: []fake.DataverseFile{one}}}})
	d, c := reader(v)
	pinned := source(set)
	pinned.Ref = "1.0"
	first, err := d.Look(t.Context(), source(set), "")
	before, err2 := d.List(t.Context(), source(set))
	if err != nil || err2 != nil || first.Source != pinned || first.Title != "Lab 1" || first.Web != "https://dataverse.harvard.edu/dataset.xhtml?persistentId=doi%3A10.7910%2FDVN%2FTJCLKP&version=1.0" {
		t.Fatalf("%+v, %v, %v", first, err, err2)
	}
	v.Publish(fake.DataverseSet{ID: set, Files: []fake.DataverseFile{two}})
	if seen, err := d.Look(t.Context(), source(set), first.Mark); err != nil || seen.Same || seen.Source.Ref != "2.0" {
		t.Errorf("the newest: %+v, %v", seen, err)
	}
	if seen, err := d.Look(t.Context(), pinned, first.Mark); err != nil || !seen.Same {
		t.Errorf("a version: %+v, %v", seen, err)
	}
	after, err := d.List(t.Context(), source(set))
	if err != nil || after.Items[0].ID != before.Items[0].ID || after.Items[0].Mark == before.Items[0].Mark {
		t.Errorf("%+v, %+v, %v", before, after, err)
	}
	for _, file := range []string{"file/" + before.Items[0].Mark, "doi:10.7910/DVN/TJCLKP/AAA"} {
		if id, err := DatasetOf(t.Context(), c, file); err != nil || id != set {
			t.Errorf("%s: %q, %v", file, id, err)
		}
	}
	for _, file := range []string{"file/99999", "doi:10.7910/DVN/TJCLKP/BBB"} {
		if _, err := DatasetOf(t.Context(), c, file); !errors.Is(err, daypass.ErrNoSource) {
			t.Errorf("%s: %v", file, err)
		}
	}
	if _, err := DatasetOf(t.Context(), c, "../admin"); !errors.Is(err, daypass.ErrRefused) {
		t.Error(err)
	}
	if err := errors.Join(Exists(t.Context(), c, set)); err != nil {
		t.Error(err)
	}
	if err := Exists(t.Context(), c, "doi:10.7910/DVN/NONE"); !errors.Is(err, daypass.ErrNoSource) {
		t.Error(err)
	}
}

// TestAnswersThatLie: none of these is a listing.
func TestAnswersThatLie(t *testing.T) {
	for what, body := range map[string]string{
		"nothing": "{}", "an error": `{"status": "ERROR", "data": {}}`, "another dataset": `{"status": "OK", "data": {"id": 1, "versionNumber": 1, "versionState": "RELEASED", "datasetPersistentId": "doi:10.1/x"}}`,
		"no version": `{"status": "OK", "data": {"id": 1, "versionState": "RELEASED"}}`, "no JSON": "<html>",
	} {
		v := fake.NewDataverse(fake.DataverseConfig{Sets: []fake.DataverseSet{{ID: set}}})
		v.Fault(nil, fake.Fault{Status: 200, Body: body, Header: map[string][]string{"Content-Type": {"application/json"}}})
		d, _ := reader(v)
		if l, err := d.List(t.Context(), source(set)); !errors.Is(err, daypass.ErrUnreachable) || len(l.Items) > 0 {
			t.Errorf("%s: %d items, %v", what, len(l.Items), err)
		}
	}
	for what, body := range map[string]string{
		"fewer than it says": `{"status": "OK", "totalCount": 2, "data": [{"label": "a", "dataFile": {"id": 1}}]}`, "an id that goes up": `{"status": "OK", "data": [{"label": "a", "dataFile": {"id": 1.5}}]}`, "no list": `{"status": "OK", "data": null}`,
	} {
		v := fake.NewDataverse(fake.DataverseConfig{Sets: []fake.DataverseSet{{ID: set}}})
		v.FailNth(2, nil, fake.Fault{Status: 200, Body: body, Header: map[string][]string{"Content-Type": {"application/json"}}})
		d, _ := reader(v)
		if l, err := d.List(t.Context(), source(set)); !errors.Is(err, daypass.ErrUnreachable) || len(l.Items) > 0 {
			t.Errorf("%s: %d items, %v", what, len(l.Items), err)
		}
	}
}

func TestProbe(t *testing.T) {
	v := fake.NewDataverse(fake.DataverseConfig{})
	_, c := reader(v)
	if is, err := Probe(t.Context(), c, ""); err != nil || !is {
		t.Error(is, err)
	}
	for what, f := range map[string]fake.Fault{"none": {Status: 404}, "a page": {Status: 200, Body: "<html>"}, "another's": {Status: 200, Body: `{"status": "OK", "data": {}}`}} {
		stop := v.Fault(nil, f)
		if is, err := Probe(t.Context(), c, ""); err != nil || is {
			t.Error(what, is, err)
		}
		stop()
	}
	synctest.Test(t, func(t *testing.T) {
		defer v.Fault(nil, fake.Fault{Status: 503})()
		if is, err := Probe(t.Context(), c, ""); err == nil || is {
			t.Error("down", is, err)
		}
	})
}

// TestBelow: an installation below a path is asked there, and nothing beside it.
func TestBelow(t *testing.T) {
	one := fake.DataverseFile{DepositFile: fake.DepositFile{Name: "a.txt", Text: "one"}, ID: "doi:10.7910/DVN/TJCLKP/AAA"}
	v := fake.NewDataverse(fake.DataverseConfig{Below: "data/dv", Sets: []fake.DataverseSet{{ID: set, Title: "Rivers", Files: []fake.DataverseFile{one}}}})
	d, c := reader(v)
	s := source("data/dv/" + set)
	seen, err := d.Look(t.Context(), s, "")
	if err != nil || seen.Title != "Rivers" || seen.Source.ID != s.ID || seen.Web != "https://dataverse.harvard.edu/data/dv/dataset.xhtml?persistentId=doi%3A10.7910%2FDVN%2FTJCLKP&version=1.0" {
		t.Fatalf("%+v, %v", seen, err)
	}
	l, err := d.List(t.Context(), s)
	if err != nil || len(l.Items) != 1 || l.Items[0].Web != seen.Web {
		t.Fatalf("%+v, %v", l, err)
	}
	r, err := d.Open(t.Context(), s, l.Items[0], 0)
	if err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(r); err != nil || string(data) != "one" {
		t.Errorf("%q, %v", data, err)
	}
	r.Close()
	for _, file := range []string{"file/" + l.Items[0].ID, one.ID} {
		if id, err := DatasetOf(t.Context(), c, "data/dv/"+file); err != nil || id != s.ID {
			t.Errorf("%s: %q, %v", file, id, err)
		}
	}
	if err := Exists(t.Context(), c, s.ID); err != nil {
		t.Error(err)
	}
	for path, want := range map[string]bool{"data/dv": true, "": false, "data": false, "dv": false} {
		if is, err := Probe(t.Context(), c, path); err != nil || is != want {
			t.Errorf("below %q: %v, %v", path, is, err)
		}
	}
	for _, id := range []string{set, "data/" + set, "dv/" + set} {
		if _, err := d.Look(t.Context(), source(id), ""); err == nil {
			t.Errorf("%s is there", id)
		}
	}
}
