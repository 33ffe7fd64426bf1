package main

import (
	"archive/zip"
	"bytes"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/depot"
	"github.com/daypass-dev/daypass/egress"
	"github.com/daypass-dev/daypass/fake"
)

// TestRecordLink: a link to all versions of a record brings the newest, whole; one to a
// version stays with it. Each costs what one reading costs, whoever clicks.
func TestRecordLink(t *testing.T) {
	record := func(id, text string) fake.InvenioRecord {
		return fake.InvenioRecord{ID: id, Parent: "6", Title: "Levels " + id, Files: []fake.DepositFile{{Name: "levels.csv", Text: text}, {Name: "read me.txt", Text: "days and levels"}}}
	}
	site := fake.NewInvenio(fake.InvenioConfig{Records: []fake.InvenioRecord{record("7", "day,level\n1,2.30\n")}})
	srv := httptest.NewServer(site)
	t.Cleanup(srv.Close)
	at := strings.TrimPrefix(srv.URL, "http://")
	l := newLibrary(t, "")
	l.edit("hosts: []", "hosts: [\""+at+"\"]")
	svc, service := l.serving()
	// What was seen less than 20 seconds ago is not looked at again: the test has its own clock.
	limits, err := svc.config.Snapshots.limits()
	if err != nil {
		t.Fatal(err)
	}
	var later atomic.Int64
	svc.readers.depot.Close()
	svc.readers.depot, err = depot.New(depot.Config{
		Dir: svc.config.Snapshots.Dir, Git: egress.Bound(svc.readers.plainGit(), egress.Bounds{}), Limits: limits, Now: func() time.Time { return time.Now().Add(time.Duration(later.Load())) }, Log: svc.log,
	})
	if err != nil {
		t.Fatal(err)
	}
	l.hub.SetGroups("tea", "instructors")
	l.hub.SetGroups("stu", "ph142")
	d := &desk{service: svc}
	group := "ph142"
	for name, id := range map[string]string{"newest": "6", "version": "7"} {
		src := daypass.Source{Kind: "invenio", Host: at, ID: id}
		if _, err := svc.broker.MakeLink(t.Context(), l.caller(d, "tea"), broker.LinkAsk{Name: "levels-" + name, Source: &src, Audience: &group}); err != nil {
			t.Fatal(err)
		}
	}
	stu, eve := l.hub.StartServer("stu", ""), l.hub.StartServer("eve", "")
	brings := func(name, have, want string) string {
		t.Helper()
		q := url.Values{"link": {"levels-" + name}}
		if have != "" {
			q.Set("have", have)
		}
		status, got := l.snapshot(stu, service, q)
		if status != http.StatusOK || got.Same != (want == "") {
			t.Fatalf("%s: %d %+v", name, status, got)
		}
		if got.Same {
			return have
		}
		_, pack, _ := get(t, stu, service+got.Pack)
		if have == "" {
			if files := unpack(t, pack, got.ID); files["levels.csv"] != want || files["read me.txt"] != "days and levels" {
				t.Errorf("%s: %v", name, files)
			}
		}
		return got.ID
	}
	newest, version := brings("newest", "", "day,level\n1,2.30\n"), brings("version", "", "day,level\n1,2.30\n")
	before := len(site.Requests())
	if status, got := l.snapshot(eve, service, url.Values{"link": {"levels-newest"}}); status == http.StatusOK || len(site.Requests()) != before {
		t.Errorf("another group: %d %+v", status, got)
	}
	site.Publish(record("8", "day,level\n1,2.31\n2,2.40\n"))
	later.Store(int64(time.Minute))
	if second := brings("newest", newest, "the second"); second == newest {
		t.Error("the second click brings the first version")
	}
	brings("version", version, "")
	asked := 0
	for _, r := range site.Requests()[before:] {
		if strings.HasSuffix(r.Path, "/content") {
			asked++
		}
		if r.Method != http.MethodGet || r.Token != "" {
			t.Errorf("%s %s, with %q", r.Method, r.Path, r.Token)
		}
	}
	if asked != 1 {
		t.Errorf("%d files were read for a version of which one is new", asked)
	}
}

// TestRecordLimits: a record that is one zip is held to the limits before it is fetched,
// as its files are: by what the archive says of its size.
func TestRecordLimits(t *testing.T) {
	packed := func(id string, files map[string][]byte) fake.InvenioRecord {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for name, text := range files {
			w, err := z.Create(name)
			if err == nil {
				_, err = w.Write(text)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return fake.InvenioRecord{ID: id, Parent: "1" + id, Title: "Big " + id, Files: []fake.DepositFile{{Name: "big.zip", Text: b.String()}}}
	}
	noise := make([]byte, 3<<20)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	rows := func(n int) []byte {
		var b bytes.Buffer
		for i := range n {
			fmt.Fprintf(&b, "%06d,%06d\n", i, i*7919%1_000_000)
		}
		return b.Bytes()
	}
	site := fake.NewInvenio(fake.InvenioConfig{Records: []fake.InvenioRecord{
		packed("7", map[string][]byte{"noise.bin": noise}),
		packed("8", map[string][]byte{"read me.txt": rows(9), "data.csv": rows(25_000)}),
		packed("9", map[string][]byte{"a.txt": rows(6000), "b.txt": rows(6001), "c.txt": rows(6002)}),
	}})
	var sent atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { site.ServeHTTP(counting{w, &sent}, r) }))
	t.Cleanup(srv.Close)
	at := strings.TrimPrefix(srv.URL, "http://")
	l := newLibrary(t, "")
	l.edit("snapshots: {", "snapshots: {max_file: 100KB, max_source: 200KB, ")
	l.edit("hosts: []", "hosts: [\""+at+"\"]")
	svc, service := l.serving()
	l.hub.SetGroups("tea", "instructors")
	l.hub.SetGroups("stu", "ph142")
	d, group := &desk{service: svc}, "ph142"
	_, stu := l.prompt("stu", service)
	for id, want := range map[string]struct {
		says string
		most int64
	}{
		"7": {"left out    big.zip.daypass-pointer (from big.zip; larger than", 10_000},    // the zip is more than a source may have
		"8": {"left out    data.csv.daypass-pointer (from data.csv; larger than", 190_000}, // a file in it is more than a file may have
		"9": {"may be pulled", 190_000},                                                    // together they unpack to more than a source may have
	} {
		src := daypass.Source{Kind: "invenio", Host: at, ID: id}
		if _, err := svc.broker.MakeLink(t.Context(), l.caller(d, "tea"), broker.LinkAsk{Name: "big-" + id, Source: &src, Audience: &group}); err != nil {
			t.Fatal(err)
		}
		before := sent.Load()
		out, err := stu("pull", "link:big-"+id)
		if !strings.Contains(out+fmt.Sprint(err), want.says) || strings.Contains(out, "read me.txt") != (id == "8") {
			t.Errorf("%s: %s, %v", id, out, err)
		}
		if n := sent.Load() - before; n > want.most {
			t.Errorf("%s: %d bytes were read", id, n)
		}
	}
}

// A counting writer counts what is sent.
type counting struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (c counting) Write(b []byte) (int, error) {
	c.n.Add(int64(len(b)))
	return c.ResponseWriter.Write(b)
}
