package artifact

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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
		a := fake.NewArtifacts(deposittest.Token, []fake.ActionsArtifact{{Repo: "octo/course", Number: 7, Name: "dist", Zip: deposittest.Zip(t, "dist/", files)}, {Repo: "octo/course", Number: 8, Hidden: true}}, nil, nil)
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

// TestRefused: what cannot be had is said plainly, and costs no download.
func TestRefused(t *testing.T) {
	zip := deposittest.Zip(t, "", deposittest.Folders())
	all := []fake.ActionsArtifact{
		{Repo: "octo/course", Number: 7, Name: "dist", Zip: zip}, {Repo: "octo/course", Number: 8, Name: "over", Zip: zip, Expired: true},
		{Repo: "octo/course", Number: 9, Name: "large", Zip: zip, Size: 3 << 30}, {Repo: "octo/secret", Number: 10, Zip: zip, Private: true},
	}
	limited := fake.Fault{Status: 403, Header: http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {strconv.FormatInt(time.Now().Add(30*time.Minute).Unix(), 10)}, "Content-Type": {"application/json"}}, Body: `{}`}
	for name, c := range map[string]struct {
		id, code, says string
		as             string
		fault          fake.Fault
		asked          int // for the zip
		lasts          bool
	}{
		"none":                {id: "octo/course/6", as: deposittest.Token, code: "DP-442", says: "octo/course", lasts: true},
		"another's":           {id: "octo/secret/10", as: "somebody else's", code: "DP-442", says: "daypass login --repo octo/secret", lasts: true},
		"nobody":              {id: "octo/secret/10", code: "DP-442", says: "daypass login --repo octo/secret", lasts: true},
		"expired":             {id: "octo/course/8", as: deposittest.Token, code: "DP-443", says: "Run the workflow again", lasts: true},
		"expired, for nobody": {id: "octo/course/8", code: "DP-443", lasts: true},
		"too large":           {id: "octo/course/9", as: deposittest.Token, code: "DP-444", says: "3072 MiB, and 2048 may be"},
		"not to this login":   {id: "octo/course/7", as: "somebody else's", code: "DP-445", says: "Actions: read", asked: 1},
		"not by this App":     {id: "octo/course/7", as: deposittest.Token, fault: fake.Fault{Status: 403, Body: `{"message":"Resource not accessible by integration"}`}, code: "DP-445", asked: 1},
		"a limit":             {id: "octo/course/7", as: deposittest.Token, fault: limited, code: "DP-411", says: "30 minutes", asked: 1},
	} {
		a := fake.NewArtifacts(deposittest.Token, all, nil, nil)
		if c.fault.Status != 0 {
			a.FailNth(0, func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/zip") }, c.fault)
		}
		config := deposit.Config{Host: Host, Base: fake.Transport(a)}
		if c.as != "" {
			config.Token = func(context.Context) (daypass.Secret, error) { return daypass.NewSecret(c.as), nil }
		}
		_, err := New(config).List(t.Context(), source(c.id))
		var p *daypass.Problem
		if !errors.As(err, &p) || p.Code != c.code || !strings.Contains(err.Error(), c.says) || errors.Is(err, daypass.ErrNoSource) != c.lasts || c.as != "" && strings.Contains(err.Error(), c.as) {
			t.Errorf("%s: %v", name, err)
		}
		zips := 0
		for _, r := range a.Requests() {
			if strings.HasSuffix(r.Path, "/zip") {
				zips++
			}
			if r.Host != apiHost {
				t.Errorf("%s: %s was asked", name, r.Host)
			}
		}
		if zips != c.asked {
			t.Errorf("%s: the zip was asked for %d times", name, zips)
		}
	}
	// A limit on looking says nothing of whether it is there.
	a := fake.NewArtifacts(deposittest.Token, all, nil, nil)
	a.FailNth(0, nil, limited)
	if err := Exists(t.Context(), deposit.Config{Host: Host, Base: fake.Transport(a)}, "octo/course/7"); !errors.Is(err, daypass.ErrLimited) || errors.Is(err, daypass.ErrNoSource) {
		t.Error(err)
	}
}

// TestLedElsewhere: the zip is fetched from GitHub's stores alone, and the token stays
// with GitHub's API.
func TestLedElsewhere(t *testing.T) {
	for to, bad := range map[string]bool{
		"https://evil.example/7?sig=signed": true, "http://" + fake.ActionsStore + "/7?sig=signed": true, "https://api.github.com.evil.example/7": true, "https://127.0.0.1/7": true,
		"https://blob.core.windows.net.evil.example/7": true, "https://" + fake.ActionsStore + "/7?sig=signed": false,
	} {
		a := fake.NewArtifacts(deposittest.Token, []fake.ActionsArtifact{{Repo: "octo/course", Number: 7, Name: "dist", Zip: deposittest.Zip(t, "", deposittest.Folders())}}, nil, nil)
		a.FailNth(0, func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/zip") }, fake.Fault{Kind: fake.FaultRedirect, Status: 302, URL: to})
		_, err := New(deposit.Config{Host: Host, Base: fake.Transport(a), Token: deposittest.Secret}).List(t.Context(), source("octo/course/7"))
		var p *daypass.Problem
		if (err != nil) != bad || bad && (!errors.As(err, &p) || p.Code != "DP-412") {
			t.Errorf("%s: %v", to, err)
		}
		for _, r := range a.Requests() {
			if r.Host != apiHost && (bad || r.Token != "" || strings.Contains(r.RawQuery, deposittest.Token)) {
				t.Errorf("%s: %s was asked with %q", to, r.Host, r.Token)
			}
		}
	}
}
