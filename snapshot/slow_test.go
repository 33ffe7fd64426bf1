package snapshot_test

import (
	"bytes"
	"crypto/sha1"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/snapshot"
)

// scripted serves a source of one branch, which answers a fetch as it is told.
func scripted(t *testing.T, answer func(w http.ResponseWriter, packet func(string), r *http.Request)) string {
	t.Helper()
	id := strings.Repeat("1", 40)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		packet := func(text string) { fmt.Fprintf(w, "%04x%s", len(text)+4, text) }
		kind := "result"
		if r.Method == http.MethodGet {
			kind = "advertisement"
		}
		w.Header().Set("Content-Type", "application/x-git-upload-pack-"+kind)
		switch {
		case r.Method == http.MethodGet:
			packet("# service=git-upload-pack\n")
			io.WriteString(w, "0000")
			packet("version 2\n")
			packet("ls-refs\n")
			packet("fetch=shallow filter\n")
			packet("object-format=sha1\n")
		case bytes.Contains(body, []byte("command=ls-refs")):
			packet(id + " refs/heads/main\n")
		default:
			answer(w, packet, r)
			return
		}
		io.WriteString(w, "0000")
	}))
	t.Cleanup(s.Close)
	t.Cleanup(s.CloseClientConnections)
	return s.URL + "/course.git"
}

// TestSlowAnswer asks a source that lists its refs, and then answers with nothing, with a
// word now and then, or with what never ends before the pack. It takes neither for ever
// nor the memory, and git is not sent there once more.
func TestSlowAnswer(t *testing.T) {
	t.Parallel()
	var sent atomic.Int64
	drip := func(every time.Duration, text string) func(http.ResponseWriter, func(string), *http.Request) {
		return func(w http.ResponseWriter, packet func(string), r *http.Request) {
			packet("shallow-info\n")
			for r.Context().Err() == nil {
				n, _ := io.WriteString(w, text)
				sent.Add(int64(n))
				w.(http.Flusher).Flush()
				time.Sleep(every)
			}
		}
	}
	shallow := "0034shallow " + strings.Repeat("2", 40)
	for name, row := range map[string]struct {
		answer func(http.ResponseWriter, func(string), *http.Request)
		code   string
		within time.Duration
	}{
		"stall": {func(w http.ResponseWriter, _ func(string), r *http.Request) {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, "DP-316", 3 * time.Second},
		"drip":    {drip(200*time.Millisecond, shallow), "DP-316", 6 * time.Second},
		"half":    {drip(200*time.Millisecond, "0"), "DP-316", 6 * time.Second},
		"endless": {drip(0, strings.Repeat(shallow, 2000)), "DP-317", 6 * time.Second},
		"long":    {drip(0, strings.Repeat("fff0"+strings.Repeat("x", maxLine), 10)), "DP-328", 6 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			url := scripted(t, row.answer)
			g := source(t)
			g.Idle, g.Timeout = time.Second, 3*time.Second
			tip, line := call(t, g, url, "main")
			start, repo := time.Now(), ours(t, g, "sha1")
			_, err := g.Fetch(t.Context(), repo, snapshot.Ask{URL: url, Tip: tip, Depth: 1, Line: line})
			if took := time.Since(start); code(err) != row.code || took > row.within {
				t.Errorf("%v after %v", err, took)
			}
		})
	}
	var m runtime.MemStats
	if runtime.ReadMemStats(&m); m.HeapSys > 500<<20 {
		t.Errorf("%d MB of memory for %d MB sent", m.HeapSys>>20, sent.Load()>>20)
	}
}

// maxLine is what a packet of the greatest length has after its own four bytes.
const maxLine = 0xfff0 - 4

// TestLyingPack is sent a pack in which what was asked for is not.
func TestLyingPack(t *testing.T) {
	t.Parallel()
	var pack bytes.Buffer
	pack.WriteString("PACK\x00\x00\x00\x02\x00\x00\x00\x01")
	packed(&pack, 3, nil, []byte("not the commit"))
	sum := sha1.Sum(pack.Bytes())
	pack.Write(sum[:])
	for _, depth := range []int{0, 1} {
		url := scripted(t, func(w http.ResponseWriter, packet func(string), r *http.Request) {
			packet("packfile\n")
			packet("\x01" + pack.String())
			io.WriteString(w, "0000")
		})
		g := source(t)
		tip, line := call(t, g, url, "main")
		_, err := g.Fetch(t.Context(), ours(t, g, "sha1"), snapshot.Ask{URL: url, Tip: tip, Depth: depth, Line: line})
		if code(err) != "DP-319" {
			t.Errorf("depth %d: %v", depth, err)
		}
	}
}
