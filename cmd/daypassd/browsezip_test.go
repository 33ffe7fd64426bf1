package main

import (
	"archive/zip"
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
)

// TestBrowseSlowZip: what is in a record's zip is known once all of it came. Where that
// takes longer than a page waits, it goes on, and the next try finds it.
func TestBrowseSlowZip(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	z := zip.NewWriter(&text)
	for _, name := range []string{"lab.md", "data.csv"} {
		if _, err := z.Create(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	site := fake.NewInvenio(fake.InvenioConfig{Records: []fake.InvenioRecord{{ID: "7", Parent: "6", Title: "Levels", Files: []fake.DepositFile{{Name: "all.zip", Text: text.String()}}}}})
	var sent atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "all.zip") {
			select {
			case <-time.After(3 * time.Second):
			case <-r.Context().Done():
				return
			}
			sent.Add(1)
		}
		site.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	host := strings.TrimPrefix(srv.URL, "http://")
	l := newLibrary(t, "")
	l.edit("hosts: []", "hosts: [\""+host+"\"]")
	svc, _ := l.serving()
	l.hub.SetGroups("tea", "instructors")
	f := &face{b: svc.broker, readers: svc.readers}
	browse := func() (int, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		list, err := f.browseSource(ctx, l.caller(&desk{service: svc}, "tea"), daypass.Source{Kind: "invenio", Host: host, ID: "7"}, "")
		return len(list.Files), err
	}
	if n, err := browse(); err == nil || !strings.Contains(err.Error(), "answered in time") {
		t.Fatalf("the first time: %d, %v", n, err)
	}
	for range 10 {
		if n, err := browse(); err == nil {
			if n != 2 || sent.Load() > 2 {
				t.Errorf("%d files, after the zip was sent %d times", n, sent.Load())
			}
			return
		}
	}
	t.Errorf("what is in the zip is never listed; it was asked for anew each time")
}
