package invenio

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/provider/archive"
	"github.com/daypass-dev/daypass/provider/deposit"
	"github.com/daypass-dev/daypass/provider/deposittest"
	"github.com/daypass-dev/daypass/provider/providertest"
)

const host = "zenodo.org"

func source(id string) daypass.Source {
	return daypass.Source{Kind: daypass.KindInvenio, Host: host, ID: id}
}

func serve(c fake.InvenioConfig, files []fake.DepositFile) *fake.Invenio {
	c.Host = host
	c.Records = append(c.Records, fake.InvenioRecord{ID: "7", Parent: "6", Title: "Lab 1", Files: files},
		fake.InvenioRecord{ID: "17", Parent: "16", Title: "Not for you", Hidden: true, Files: files}, fake.InvenioRecord{ID: "27", Parent: "26", Closed: true, Files: files})
	return fake.NewInvenio(c)
}

func TestContract(t *testing.T) {
	for name, c := range map[string]struct {
		fake   fake.InvenioConfig
		config deposit.Config
		source daypass.Source
		hidden string
	}{
		"a version": {source: source("7"), hidden: "17"}, "closed files": {source: source("7"), hidden: "27"}, "the newest": {source: source("6"), hidden: "16"},
		"a version of all": {source: daypass.Source{Kind: "invenio", Host: host, ID: "6", Ref: "7"}, hidden: "17"},
		"with a token":     {config: deposit.Config{Token: deposittest.Secret}, source: source("7")},
		"bytes elsewhere":  {fake: fake.InvenioConfig{Store: "s3.us-west-2.amazonaws.com"}, config: deposit.Config{Token: deposittest.Secret}, source: source("7")},
		"bytes, quietly":   {fake: fake.InvenioConfig{Store: "s3.us-west-2.amazonaws.com", Quiet: true}, config: deposit.Config{Token: deposittest.Secret}, source: source("7")},
	} {
		t.Run(name, func(t *testing.T) {
			providertest.RunContents(t, synctest.Test, func(t *testing.T) providertest.ContentsFixture {
				files := deposittest.Flat()
				v := serve(c.fake, deposittest.Files(files))
				c.config.Host, c.config.Base = host, fake.Transport(v)
				f := providertest.ContentsFixture{
					Contents: New(c.config), Source: c.source, Files: files, Missing: source("99"), Hosts: []string{host},
					Odd:    []daypass.Source{source(""), source("../7"), source("7/files"), source("7?x"), source("A"), {Kind: "invenio", Host: "evil.example", ID: "7"}, {Kind: "invenio", Host: host, ID: "7", Ref: "a/b"}},
					Change: func(parts []string, text string) { v.Write("7", parts[0], text) },
				}
				if c.hidden != "" {
					f.Hidden = source(c.hidden)
				}
				return deposittest.Fixture(v, f)
			})
		})
	}
}

// TestContractOfAZip: a record that is one zip is what is in it.
func TestContractOfAZip(t *testing.T) {
	providertest.RunContents(t, synctest.Test, func(t *testing.T) providertest.ContentsFixture {
		files := deposittest.Folders()
		v := serve(fake.InvenioConfig{}, []fake.DepositFile{{Name: "lab 1.zip", Text: deposittest.Zip(t, "lab-1.0/", files)}})
		return deposittest.Fixture(v, providertest.ContentsFixture{
			Contents: New(deposit.Config{Host: host, Base: fake.Transport(v)}), Source: source("7"), Files: files, Missing: source("99"), Hosts: []string{host}, Held: true,
			Change: func(parts []string, text string) {
				other := slices.Clone(files)
				n := slices.IndexFunc(other, func(f providertest.File) bool { return slices.Equal(f.Parts, parts) })
				other[n].Text = text
				v.Write("7", "lab 1.zip", deposittest.Zip(t, "lab-1.0/", other))
			},
		})
	})
}

// TestLargeZip: of a zip that is larger than what the source may have, nothing is read
// where the site tells its size, and no more than that where it does not.
func TestLargeZip(t *testing.T) {
	text := deposittest.Zip(t, "", []providertest.File{{Parts: []string{"noise"}, Text: noise(1 << 20)}})
	for _, told := range []bool{true, false} {
		v := serve(fake.InvenioConfig{}, []fake.DepositFile{{Name: "large.zip", Text: text}})
		n := &network{next: fake.Transport(v), untold: !told}
		l, err := New(deposit.Config{Host: host, Base: n, Archive: archive.Within(100_000)}).List(t.Context(), source("7"))
		if err != nil || len(l.Items) != 1 || l.Items[0].Parts[0] != "large.zip" || len(l.Notes) != 1 || !l.Complete {
			t.Fatalf("told %v: %+v, %v", told, l, err)
		}
		if most := int64(200_000); told && n.content != 0 || n.content > most {
			t.Errorf("told %v: %d bytes were read", told, n.content)
		}
	}
	// What is in one that may be read is listed by its size, and not unpacked for that.
	v := serve(fake.InvenioConfig{}, []fake.DepositFile{{Name: "small.zip", Text: deposittest.Zip(t, "", []providertest.File{{Parts: []string{"a"}, Text: strings.Repeat("a line\n", 1<<16)}, {Parts: []string{"b"}, Text: "b"}})}})
	l, err := New(deposit.Config{Host: host, Base: fake.Transport(v), Archive: archive.Within(100_000)}).List(t.Context(), source("7"))
	if err != nil || len(l.Items) != 2 || l.Items[0].Size != 7<<16 {
		t.Errorf("%+v, %v", l, err)
	}
}

// A network counts the bytes of files, and may keep their sizes to itself.
type network struct {
	next    http.RoundTripper
	untold  bool
	content int64
}

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := n.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(r.URL.Path, "/content") {
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.TeeReader(res.Body, counter{&n.content}), res.Body}
	} else if n.untold {
		body, err := io.ReadAll(res.Body)
		if err != nil {
			return nil, err
		}
		res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(size().ReplaceAll(body, []byte(`"size":null`)))), -1
	}
	return res, nil
}

var size = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`"size": *[0-9]+`) })

type counter struct{ n *int64 }

func (c counter) Write(b []byte) (int, error) { *c.n += int64(len(b)); return len(b), nil }

// noise does not get smaller when it is packed.
func noise(n int) string {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

// TestVersions: a record stays, its parent moves on.
func TestVersions(t *testing.T) {
	v := serve(fake.InvenioConfig{}, []fake.DepositFile{{Name: "a.txt", Text: "one"}})
	c := deposit.Config{Host: host, Base: fake.Transport(v)}
	i := New(c)
	pinned, err := i.Look(t.Context(), source("7"), "")
	parent, err2 := i.Look(t.Context(), source("6"), "")
	if err != nil || err2 != nil || pinned.Source != source("7") || parent.Source.Ref != "7" || parent.Title != "Lab 1" || parent.Web != "https://zenodo.org/records/7" {
		t.Fatalf("%+v %v; %+v %v", pinned, err, parent, err2)
	}
	v.Publish(fake.InvenioRecord{ID: "8", Parent: "6", Title: "Lab 1, again", Files: []fake.DepositFile{{Name: "a.txt", Text: "two"}}})
	if seen, err := i.Look(t.Context(), source("7"), pinned.Mark); err != nil || !seen.Same {
		t.Errorf("a version: %+v, %v", seen, err)
	}
	if seen, err := i.Look(t.Context(), source("6"), parent.Mark); err != nil || seen.Same || seen.Source.Ref != "8" {
		t.Errorf("its parent: %+v, %v", seen, err)
	}
	if _, err := i.Look(t.Context(), daypass.Source{Kind: "invenio", Host: host, ID: "16", Ref: "7"}, ""); !errors.Is(err, daypass.ErrNoSource) {
		t.Errorf("a version of another: %v", err)
	}
	for id, want := range map[string]Record{"7": {"7", "6", "10.5281/zenodo.6", "Lab 1"}, "6": {"8", "6", "10.5281/zenodo.6", "Lab 1, again"}} {
		if r, err := Find(t.Context(), c, id); err != nil || r != want {
			t.Errorf("%s: %+v, %v", id, r, err)
		}
	}
	if _, err := Find(t.Context(), c, "99"); !errors.Is(err, daypass.ErrNoSource) {
		t.Error(err)
	}
	for doi, want := range map[string]string{"10.5281/zenodo.7": "7", "10.5281/zenodo.6": "8", "10.5281/zenodo.99": ""} {
		if id, err := FromDOI(t.Context(), c, doi); id != want || (want == "") != errors.Is(err, daypass.ErrNoSource) {
			t.Errorf("%s: %q, %v", doi, id, err)
		}
	}
	stop := v.Fault(nil, fake.Fault{Status: 503})
	defer stop()
	synctest.Test(t, func(t *testing.T) {
		if _, err := Find(t.Context(), c, "7"); errors.Is(err, daypass.ErrNoSource) || !errors.Is(err, daypass.ErrUnreachable) {
			t.Errorf("a site that is down says nothing of a record: %v", err)
		}
	})
}

// TestLimits: who is told to wait waits as long as the site says, and no two files
// more than two come at once.
func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := serve(fake.InvenioConfig{}, deposittest.Files(deposittest.Flat()))
		v.Limit(60)
		i := New(deposit.Config{Host: host, Base: fake.Transport(v)})
		began := time.Now()
		for n := range 200 {
			if _, err := i.Look(t.Context(), source("7"), ""); err != nil {
				t.Fatal(n, err)
			}
		}
		refused := len(v.Requests()) - 200
		if took := time.Since(began); took < 2*time.Minute || took > 6*time.Minute || refused > 3 {
			t.Errorf("%v, %d refused", took, refused)
		}
	})
	v := serve(fake.InvenioConfig{}, deposittest.Files(deposittest.Flat()))
	i := New(deposit.Config{Host: host, Base: fake.Transport(v)})
	l, err := i.List(t.Context(), source("7"))
	if err != nil {
		t.Fatal(err)
	}
	var open []io.Closer
	for _, it := range l.Items[:2] {
		r, err := i.Open(t.Context(), source("7"), it, 0)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, r)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := i.Open(ctx, source("7"), l.Items[2], 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a third: %v", err)
	}
	open[0].Close()
	open[0].Close() // twice is once
	r, err := i.Open(t.Context(), source("7"), l.Items[2], 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.Open(ctx, source("7"), l.Items[2], 0); err == nil {
		t.Error("a file that was closed twice made room for two")
	}
	r.Close()
	open[1].Close()
}

// TestAnswersThatLie: none of these is a listing.
func TestAnswersThatLie(t *testing.T) {
	for what, body := range map[string]string{
		"nothing": "{}", "another record": `{"id": "8", "parent": {"id": "9"}}`, "an id that goes up": `{"id": "../7", "parent": {"id": "7"}}`, "no JSON": "<html>", "a list": "[]",
		"fewer files": `{"id": "7", "parent": {"id": "6"}, "files": {"count": 3}, "entries": [{"key": "a"}]}`,
	} {
		v := serve(fake.InvenioConfig{}, nil)
		v.Fault(nil, fake.Fault{Status: 200, Body: body, Header: map[string][]string{"Content-Type": {"application/json"}}})
		l, err := New(deposit.Config{Host: host, Base: fake.Transport(v)}).List(t.Context(), source("7"))
		if !errors.Is(err, daypass.ErrUnreachable) || len(l.Items) > 0 {
			t.Errorf("%s: %d items, %v", what, len(l.Items), err)
		}
	}
	v := serve(fake.InvenioConfig{Store: "evil.example", Quiet: true}, []fake.DepositFile{{Name: "a.txt", Text: "one"}})
	i := New(deposit.Config{Host: host, Base: fake.Transport(v), Token: deposittest.Secret})
	l, err := i.List(t.Context(), source("7"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.Open(t.Context(), source("7"), l.Items[0], 0); !errors.Is(err, daypass.ErrRefused) {
		t.Errorf("bytes at a host that nobody named: %v", err)
	}
	bare := fake.NewInvenio(fake.InvenioConfig{Host: host, Records: []fake.InvenioRecord{{ID: "7", Parent: "6", Bare: true}}})
	if l, err := New(deposit.Config{Host: host, Base: fake.Transport(bare)}).List(t.Context(), source("7")); err != nil || len(l.Items) != 0 || !l.Complete || len(l.Notes) != 1 {
		t.Errorf("a description alone: %+v, %v", l, err)
	}
	one := serve(fake.InvenioConfig{}, []fake.DepositFile{{Name: "a.txt", Text: "one"}, {Name: "b.txt", Text: "two"}})
	at := source("7")
	at.Path = "b.txt"
	if l, err := New(deposit.Config{Host: host, Base: fake.Transport(one)}).List(t.Context(), at); err != nil || len(l.Items) != 1 || l.Items[0].Parts[0] != "b.txt" {
		t.Errorf("one file: %+v, %v", l, err)
	}
	at.Path = "c.txt"
	if _, err := New(deposit.Config{Host: host, Base: fake.Transport(one)}).List(t.Context(), at); !errors.Is(err, daypass.ErrNoSource) {
		t.Errorf("no such file: %v", err)
	}
}
