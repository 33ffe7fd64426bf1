package ckan

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/provider/deposit"
	"github.com/daypass-dev/daypass/provider/deposittest"
	"github.com/daypass-dev/daypass/provider/providertest"
)

const host = "ckan.example.org"

func source(id string) daypass.Source {
	return daypass.Source{Kind: daypass.KindCKAN, Host: host, ID: id}
}

func TestContract(t *testing.T) {
	providertest.RunContents(t, synctest.Test, func(t *testing.T) providertest.ContentsFixture {
		files := deposittest.Flat()
		for i := range files {
			files[i].Loose = true // CKAN has no checksums that hold
		}
		c := fake.NewCKAN("/data", []fake.CKANDataset{{ID: "id-1", Name: "rain_2020", Title: "Rain", Files: deposittest.Files(files)}, {ID: "id-2", Name: "closed", Private: true}, {ID: "id-3", Name: "gone", Deleted: true}}, nil)
		out := deposittest.Fixture(c, providertest.ContentsFixture{
			Contents: New(deposit.Config{Host: host, Base: fake.Transport(c)}), Source: source("data/rain_2020"), Files: files, Missing: source("data/none"), Hidden: source("data/closed"), Hosts: []string{host},
			Odd:    []daypass.Source{source(""), source("data/../x"), source("/x"), source("data//x"), source("x?id=y"), {Kind: "ckan", Host: "evil.example", ID: "x"}},
			Change: func(parts []string, text string) { c.Write("rain_2020", parts[0], text) },
		})
		out.NoIDs = false
		return out
	})
}

// TestLinks: what lies elsewhere is left out, but where the configuration says so.
func TestLinks(t *testing.T) {
	c := fake.NewCKAN("", []fake.CKANDataset{{ID: "id-1", Name: "rain", Links: []string{
		"https://elsewhere.example/a.csv", "http://10.0.0.1/b.csv", "file:///etc/passwd", "https://u:p@ckan.example.org/c.csv", "not an address", "", "https://data.example/d.csv", "http://ckan.example.org/e.csv",
	}}}, nil)
	k := New(deposit.Config{Host: host, Base: fake.Transport(c), Also: func(h string) bool { return h == "data.example" }})
	l, err := k.List(t.Context(), source("rain"))
	if err != nil || len(l.Items) != 8 || !l.Complete {
		t.Fatal(l, err)
	}
	fine := map[string]bool{"d.csv": true, "e.csv": true}
	for _, it := range l.Items {
		if (it.Skip == "") != fine[it.Parts[0]] {
			t.Errorf("%+v", it)
		}
		if it.Skip != "" {
			if _, err := k.Open(t.Context(), source("rain"), it, 0); !errors.Is(err, daypass.ErrRefused) {
				t.Errorf("%q opens: %v", it.Parts, err)
			}
		}
	}
	if _, err := k.List(t.Context(), source("gone")); !errors.Is(err, daypass.ErrNoSource) {
		t.Error(err)
	}
}

func TestProbe(t *testing.T) {
	c := fake.NewCKAN("/data", nil, nil)
	config := deposit.Config{Host: host, Base: fake.Transport(c)}
	for prefix, want := range map[string]bool{"data": true, "": false, "other": false} {
		if is, err := Probe(t.Context(), config, prefix); err != nil || is != want {
			t.Errorf("%q: %v, %v", prefix, is, err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		c.Fault(nil, fake.Fault{Kind: fake.FaultReset})
		if is, err := Probe(t.Context(), config, "data"); err == nil || is {
			t.Error(is, err)
		}
	})
}
