package figshare

import (
	"errors"
	"fmt"
	"io"
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
	return daypass.Source{Kind: daypass.KindFigshare, Host: Host, ID: id}
}

func TestContract(t *testing.T) {
	for name, c := range map[string]struct {
		config deposit.Config
		ref    string
		size   int
	}{"the newest": {}, "a version": {ref: "3"}, "a token": {config: deposit.Config{Token: deposittest.Secret}}} {
		t.Run(name, func(t *testing.T) {
			providertest.RunContents(t, synctest.Test, func(t *testing.T) providertest.ContentsFixture {
				files := deposittest.Folders()
				f := fake.NewFigshare(fake.FigshareConfig{Articles: []fake.FigshareArticle{
					{ID: 7, Version: 3, Title: "Lab 1", Files: deposittest.Files(files)}, {ID: 17, Version: 1, Hidden: true, Files: deposittest.Files(files)},
				}})
				c.config.Host, c.config.Base = Host, fake.Transport(f)
				s := source("7")
				s.Ref = c.ref
				out := deposittest.Fixture(f, providertest.ContentsFixture{
					Contents: New(c.config), Source: s, Files: files, Missing: source("99"), Hidden: source("17"), Hosts: []string{"api.figshare.com"}, Replaces: true,
					Odd:    []daypass.Source{source(""), source("0"), source("7/files"), source("../7"), {Kind: "figshare", Host: "evil.example", ID: "7"}, {Kind: "figshare", Host: Host, ID: "7", Ref: "x"}},
					Change: deposittest.Writes(func(folder, name, text string) { f.Write(7, folder, name, text) }),
				})
				out.NoIDs = false
				return out
			})
		})
	}
}

// TestPages: all pages are asked for, one request in a second.
func TestPages(t *testing.T) {
	var files []fake.DepositFile
	for n := range 250 {
		files = append(files, fake.DepositFile{Name: fmt.Sprintf("%03d.txt", n), Text: fmt.Sprint(n)})
	}
	synctest.Test(t, func(t *testing.T) {
		f := fake.NewFigshare(fake.FigshareConfig{Articles: []fake.FigshareArticle{{ID: 7, Files: files, Links: []string{"https://elsewhere.example/"}}}})
		g := New(deposit.Config{Host: Host, Base: fake.Transport(f)})
		began := time.Now()
		l, err := g.List(t.Context(), source("7"))
		if err != nil || len(l.Items) != 251 || !l.Complete {
			t.Fatal(len(l.Items), err)
		}
		if took := time.Since(began); took < 4*time.Second || took > 5*time.Second {
			t.Errorf("five requests took %v", took)
		}
		skipped := 0
		for _, it := range l.Items {
			if it.Skip != "" {
				skipped++
			}
		}
		if skipped != 1 {
			t.Errorf("%d are left out", skipped)
		}
		r, err := g.Open(t.Context(), source("7"), l.Items[0], 0)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, r)
		r.Close()
		last := f.Requests()[len(f.Requests())-1]
		if before := f.Requests()[len(f.Requests())-2]; before.Host != "api.figshare.com" || last.Host != fake.FigshareStore {
			t.Errorf("a file was had by %s and %s", before.Host, last.Host)
		}
	})
	short := fake.NewFigshare(fake.FigshareConfig{PageSize: 50, Articles: []fake.FigshareArticle{{ID: 7, Files: files}}})
	if l, err := New(deposit.Config{Host: Host, Base: fake.Transport(short), Pace: deposit.NewPace(0, 1, time.Now)}).List(t.Context(), source("7")); err != nil || len(l.Items) != 250 {
		t.Errorf("pages of half the size: %d, %v", len(l.Items), err)
	}
	f := fake.NewFigshare(fake.FigshareConfig{Articles: []fake.FigshareArticle{{ID: 7, Files: files}}})
	f.FailNth(3, nil, fake.Fault{Status: 200, Body: "[" + strings.Repeat(`{"id": 9001, "name": "a"},`, 99) + `{"id": 1, "name": "a"}]`, Header: map[string][]string{"Content-Type": {"application/json"}}})
	pace := deposit.NewPace(0, 1, time.Now)
	if _, err := New(deposit.Config{Host: Host, Base: fake.Transport(f), Pace: pace}).List(t.Context(), source("7")); !errors.Is(err, daypass.ErrUnreachable) {
		t.Errorf("a page that repeats: %v", err)
	}
}

// TestPortals: at a portal's host, what is the portal's.
func TestPortals(t *testing.T) {
	f := fake.NewFigshare(fake.FigshareConfig{Articles: []fake.FigshareArticle{
		{ID: 7, Title: "Of all"}, {ID: 8, Title: "Ours", Host: "melbourne.figshare.com", Files: []fake.DepositFile{{Name: "a", Text: "x"}}}, {ID: 9, Embargo: true, Files: []fake.DepositFile{{Name: "a"}}},
	}})
	c := deposit.Config{Host: "melbourne.figshare.com", Base: fake.Transport(f), Pace: deposit.NewPace(0, 1, time.Now)}
	at := func(id string) daypass.Source {
		return daypass.Source{Kind: "figshare", Host: c.Host, ID: id}
	}
	if seen, err := New(c).Look(t.Context(), at("8"), ""); err != nil || seen.Title != "Ours" || seen.Source.Ref != "1" {
		t.Errorf("%+v, %v", seen, err)
	}
	if _, err := New(c).Look(t.Context(), at("7"), ""); !errors.Is(err, daypass.ErrNoSource) {
		t.Errorf("another's: %v", err)
	}
	for _, r := range f.Requests() {
		if r.Host != "api.figshare.com" {
			t.Errorf("%s was asked", r.Host)
		}
	}
	c.Host = ""
	if v, err := Latest(t.Context(), c, "8"); err != nil || v != 1 {
		t.Errorf("%d, %v", v, err)
	}
	if _, err := Latest(t.Context(), c, "99"); !errors.Is(err, daypass.ErrNoSource) {
		t.Error(err)
	}
	c.Host = Host
	if l, err := New(c).List(t.Context(), source("9")); !errors.Is(err, daypass.ErrNoSource) {
		t.Errorf("kept back: %+v, %v", l, err)
	}
	if l, err := New(c).List(t.Context(), source("7")); err != nil || !l.Complete || len(l.Notes) != 1 {
		t.Errorf("a description: %+v, %v", l, err)
	}
}

// TestWall: figshare's wall answers 202 without a word.
func TestWall(t *testing.T) {
	f := fake.NewFigshare(fake.FigshareConfig{Articles: []fake.FigshareArticle{{ID: 7, Files: []fake.DepositFile{{Name: "a", Text: "x"}}}}})
	g := New(deposit.Config{Host: Host, Base: fake.Transport(f), Pace: deposit.NewPace(0, 1, time.Now)})
	l, err := g.List(t.Context(), source("7"))
	if err != nil {
		t.Fatal(err)
	}
	stop := f.Fault(nil, fake.Fault{Status: 403, Body: "<html>Request blocked.</html>"})
	if _, err := g.Look(t.Context(), source("7"), ""); !errors.Is(err, daypass.ErrUnreachable) || errors.Is(err, daypass.ErrNoSource) {
		t.Errorf("a wall says nothing of an article: %v", err)
	}
	stop()
	f.Fault(nil, fake.Fault{Status: 202, Header: map[string][]string{"X-Amzn-Waf-Action": {"challenge"}}})
	if _, err := g.Open(t.Context(), source("7"), l.Items[0], 0); !errors.Is(err, daypass.ErrLimited) {
		t.Error(err)
	}
	if _, err := g.List(t.Context(), source("7")); !errors.Is(err, daypass.ErrUnreachable) {
		t.Error(err)
	}
}
