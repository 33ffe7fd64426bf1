package artifact

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/provider/deposit"
	"github.com/daypass-dev/daypass/provider/deposittest"
	"github.com/daypass-dev/daypass/provider/providertest"
)

func source(id string) daypass.Source {
	return daypass.Source{Kind: daypass.KindArtifact, Host: Host, ID: id}
}

func TestContract(t *testing.T) {
	providertest.RunContents(t, synctest.Test, func(t *testing.T) providertest.ContentsFixture {
		files := deposittest.Folders()
		a := fake.NewArtifacts(deposittest.Token, []fake.ActionsArtifact{{Repo: "octo/course", Number: 7, Name: "dist", Zip: deposittest.Zip(t, "dist/", files)}, {Repo: "octo/course", Number: 8, Expired: true}}, nil, nil)
		kept := slices.Clone(files)
		for i := range kept {
			kept[i].Parts = append([]string{"dist"}, kept[i].Parts...)
		}
		return deposittest.Fixture(a, providertest.ContentsFixture{
			Contents: New(deposit.Config{Host: Host, Base: fake.Transport(a), Token: deposittest.Secret}), Source: source("octo/course/7"), Files: kept, Missing: source("octo/course/9"), Hidden: source("octo/course/8"), Hosts: []string{"api.github.com"}, Held: true,
			Odd: []daypass.Source{source(""), source("octo/7"), source("octo/course/x"), source("../course/7"), source("octo/course/7/zip"), {Kind: "artifact", Host: "evil.example", ID: "octo/course/7"}},
			Change: func(parts []string, text string) {
				other := slices.Clone(files)
				n := slices.IndexFunc(other, func(f providertest.File) bool { return slices.Equal(f.Parts, parts[1:]) })
				other[n].Text = text
				a.Write(7, deposittest.Zip(t, "dist/", other))
			},
		})
	})
}

// TestNobody: without a token an artifact is shown, and what to do.
func TestNobody(t *testing.T) {
	a := fake.NewArtifacts(deposittest.Token, []fake.ActionsArtifact{{Repo: "octo/course", Number: 7, Name: "dist", Zip: deposittest.Zip(t, "dist/", deposittest.Folders())}, {Repo: "octo/secret", Number: 8, Private: true}}, nil, nil)
	c := deposit.Config{Host: Host, Base: fake.Transport(a)}
	l, err := New(c).List(t.Context(), source("octo/course/7"))
	if err != nil || l.Complete || len(l.Items) != 1 || !strings.Contains(l.Items[0].Skip, "token") || l.Items[0].Web != "https://github.com/octo/course/actions/runs/77/artifacts/7" {
		t.Errorf("%+v, %v", l, err)
	}
	if err := Exists(t.Context(), c, "octo/course/7"); err != nil {
		t.Error(err)
	}
	if err := Exists(t.Context(), c, "octo/secret/8"); !errors.Is(err, daypass.ErrNoSource) {
		t.Error(err)
	}
	for _, r := range a.Requests() {
		if strings.HasSuffix(r.Path, "/zip") {
			t.Error("the zip was asked for without a token")
		}
	}
}
