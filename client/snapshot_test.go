package client_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
)

const (
	snapID   = "7d1e21c53b4a0f2f8d6f0c9c1a4b3e2d1f0e9d8c"
	snapText = `{"id":"` + snapID + `","source":"drive:drive.google.com/1AbC","bytes":5,"files":1,"made":"2026-11-22T09:00:00Z","same":false,"pack":"http://evil.example/x"}`
)

var lab = api.SnapshotQuery{Link: "ph142-lab1"}

func TestSnapshot(t *testing.T) {
	var n atomic.Int64
	c := newClient(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/snapshots" || r.URL.RawQuery != "link=ph142-lab1" || r.Header.Get("Authorization") != "Bearer "+token {
			t.Errorf("%s %v", r.URL, r.Header)
		}
		switch n.Add(1) {
		case 1:
			w.WriteHeader(202)
			io.WriteString(w, `{"making":true}`)
		case 2:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(503)
			io.WriteString(w, `{"error":{"code":"DP-875","what":"busy"}}`)
		default:
			io.WriteString(w, snapText)
		}
	}))
	s, err := c.Snapshot(t.Context(), lab)
	if err != nil || s.ID != snapID || n.Load() != 3 {
		t.Errorf("%+v %v after %d", s, err, n.Load())
	}
	if _, err := c.Snapshot(t.Context(), api.SnapshotQuery{}); !errors.Is(err, daypass.ErrUsage) || n.Load() != 3 {
		t.Errorf("an empty question: %v", err)
	}
}

func TestSnapshotStrange(t *testing.T) {
	for _, text := range []string{
		"", "{}", "<html>", strings.Replace(snapText, snapID, "HEAD", 1), strings.Replace(snapText, `"bytes":5`, `"bytes":-5`, 1), strings.Replace(snapText, "drive:drive", "drive", 1),
		strings.Replace(snapText, `"files"`, `"title":"`+strings.Repeat("x", 5000)+`","files"`, 1),
	} {
		c := newClient(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) }))
		if s, err := c.Snapshot(t.Context(), lab); !errors.Is(err, daypass.ErrRefused) {
			t.Errorf("%.100q: %+v %v", text, s, err)
		}
	}
	c := newClient(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, snapText) }))
	if _, err := c.Snapshot(t.Context(), api.SnapshotQuery{Source: "git:github.com/o/r"}); !errors.Is(err, daypass.ErrRefused) {
		t.Errorf("another source than was asked for: %v", err)
	}
}

func TestPack(t *testing.T) {
	data := strings.NewReader("PACK0123456789")
	c := newClient(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/snapshots/"+snapID || r.Header.Get("Authorization") != "Bearer "+token {
			t.Errorf("%s", r.URL)
		}
		w.Header().Set("ETag", `"x"`)
		w.Header().Set("Content-Type", api.PackType)
		http.ServeContent(w, r, "", time.Time{}, data)
	}))
	for _, row := range []struct {
		from int64
		tag  string
		want string
	}{{0, "", "PACK0123456789"}, {4, `"x"`, "0123456789"}, {4, `"y"`, "PACK0123456789"}, {4, "two\nlines", "PACK0123456789"}} {
		p, err := c.Pack(t.Context(), snapID, lab, row.from, row.tag)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(p.Body)
		p.Body.Close()
		if string(got) != row.want || err != nil || p.Size != 14 || p.Tag != `"x"` || p.From != 14-int64(len(row.want)) {
			t.Errorf("from %d: %q %v %+v", row.from, got, err, p)
		}
	}
	if _, err := c.Pack(t.Context(), "../me", lab, 0, ""); !errors.Is(err, daypass.ErrUsage) {
		t.Errorf("%v", err)
	}
}

func TestPackStrange(t *testing.T) {
	for name, f := range map[string]http.HandlerFunc{
		"a page": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") },
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://evil.example/", http.StatusFound)
		},
		"another part": func(w http.ResponseWriter, _ *http.Request) { part(w, "bytes 3-9/10", "0123456") },
		"no end":       func(w http.ResponseWriter, _ *http.Request) { part(w, "bytes 4-7/10", "0123") },
		"an odd range": func(w http.ResponseWriter, _ *http.Request) { part(w, "bytes */10", "0123") },
	} {
		c := newClient(t, serve(t, f))
		if p, err := c.Pack(t.Context(), snapID, lab, 4, `"x"`); !errors.Is(err, daypass.ErrRefused) {
			t.Errorf("%s: %+v %v", name, p, err)
		}
	}
	c := newClient(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(403)
		io.WriteString(w, `{"error":{"code":"DP-720","what":"There is no such source"}}`)
	}))
	var p *daypass.Problem
	if _, err := c.Pack(t.Context(), snapID, lab, 0, ""); !errors.As(err, &p) || p.Code != "DP-720" || !errors.Is(err, daypass.ErrRefused) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Pack(ctx, snapID, lab, 0, ""); !errors.Is(err, daypass.ErrUnreachable) {
		t.Errorf("%v", err)
	}
}

func part(w http.ResponseWriter, span, text string) {
	w.Header().Set("Content-Type", api.PackType)
	w.Header().Set("Content-Range", span)
	w.WriteHeader(206)
	io.WriteString(w, text)
}
