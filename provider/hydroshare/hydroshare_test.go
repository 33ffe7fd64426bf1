package hydroshare

import (
	"errors"
	"fmt"
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
	one    = "76502ab28c5744f98e2bbad5155e39c7"
	closed = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
)

func source(id string) daypass.Source {
	return daypass.Source{Kind: daypass.KindHydroShare, Host: Host, ID: id}
}

func TestContract(t *testing.T) {
	providertest.RunContents(t, synctest.Test, func(t *testing.T) providertest.ContentsFixture {
		files := deposittest.Folders()
		h := fake.NewHydroShare([]fake.HydroResource{{ID: one, Title: "Rain", Files: deposittest.Files(files)}, {ID: closed, Closed: true}}, nil)
		return deposittest.Fixture(h, providertest.ContentsFixture{
			Contents: New(deposit.Config{Host: Host, Base: fake.Transport(h)}), Source: source(one), Files: files, Missing: source(strings.Repeat("b", 32)), Hidden: source(closed), Hosts: []string{Host},
			Odd:    []daypass.Source{source(""), source("7"), source(strings.Repeat("A", 32)), source(one + "/x"), {Kind: "hydroshare", Host: "evil.example", ID: one}},
			Change: deposittest.Writes(func(folder, name, text string) { h.Write(one, folder, name, text) }),
		})
	})
}

// TestPages: all pages come, or none.
func TestPages(t *testing.T) {
	var files []fake.DepositFile
	for n := range 230 {
		files = append(files, fake.DepositFile{Name: fmt.Sprint(n), Text: "x"})
	}
	h := fake.NewHydroShare([]fake.HydroResource{{ID: one, Files: files}}, nil)
	s := New(deposit.Config{Host: Host, Base: fake.Transport(h)})
	if l, err := s.List(t.Context(), source(one)); err != nil || len(l.Items) != 230 {
		t.Fatal(len(l.Items), err)
	}
	for what, body := range map[string]string{
		"another resource": `{"count": 1, "results": [{"url": "https://www.hydroshare.org/resource/` + closed + `/data/contents/x"}]}`, "another host": `{"count": 1, "results": [{"url": "https://evil.example/resource/` + one + `/data/contents/x"}]}`,
		"up": `{"count": 1, "results": [{"url": "https://www.hydroshare.org/resource/` + one + `/data/contents/../../x"}]}`, "fewer": `{"count": 2, "results": []}`, "no count": `{"results": []}`, "more without any": `{"count": 2, "next": "x", "results": []}`,
	} {
		h.FailNth(2, nil, fake.Fault{Status: 200, Body: body, Header: map[string][]string{"Content-Type": {"application/json"}}})
		if l, err := s.List(t.Context(), source(one)); !errors.Is(err, daypass.ErrUnreachable) || len(l.Items) > 0 {
			t.Errorf("%s: %d items, %v", what, len(l.Items), err)
		}
	}
}
