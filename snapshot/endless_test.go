package snapshot_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"crypto/sha1"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/snapshot"
)

// TestEndlessAnswer asks a server that never stops to list refs, and one that says what
// it can do and then does so: neither fills the memory.
func TestEndlessAnswer(t *testing.T) {
	up := gittest.New(t)
	up.Commit("main", "one", gittest.Files{"a": "1"})
	real := up.Serve(gittest.Options{})
	line := bytes.Repeat([]byte("003f0000000000000000000000000000000000000000 refs/heads/aaaaaaaa\n"), 1000)
	var sent atomic.Int64
	for name, honest := range map[string]int{"at once": 0, "later": 1} {
		var asked atomic.Int64
		sent.Store(0)
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if int(asked.Add(1)) <= honest {
				real.ServeHTTP(w, r)
				return
			}
			kind := "result"
			if r.Method == "GET" {
				kind = "advertisement"
			}
			w.Header().Set("Content-Type", "application/x-git-upload-pack-"+kind)
			for {
				n, err := w.Write(line)
				sent.Add(int64(n))
				if err != nil {
					return
				}
			}
		}))
		t.Cleanup(s.Close)
		g := source(t)
		start := time.Now()
		_, call, err := g.Call(t.Context(), s.URL+"/"+filepath.Base(up.Dir), "main")
		if call != nil {
			call.Close()
		}
		if code(err) != "DP-317" && code(err) != "DP-319" && code(err) != "DP-328" {
			t.Errorf("%s: %v", name, err)
		}
		_, err = g.Look(t.Context(), s.URL+"/"+filepath.Base(up.Dir), "main")
		if honest == 0 && code(err) != "DP-317" {
			t.Errorf("%s: %v", name, err)
		}
		t.Logf("%s: %d MB in %v: %v", name, sent.Load()>>20, time.Since(start), err)
		if sent.Load() > 1<<30 {
			t.Errorf("%s: %d MB were taken", name, sent.Load()>>20)
		}
	}
}

// TestInflatingFiles fetches small packs that stand for large files. A file as such is
// looked through piece by piece and left out; one that is made of another has to fit into
// the memory that git has.
func TestInflatingFiles(t *testing.T) {
	up := gittest.New(t)
	dir := t.TempDir()
	zeros := filepath.Join(dir, "zeros")
	f, err := os.Create(zeros)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(400 << 20); err != nil {
		t.Fatal(err)
	}
	f.Close()
	blob := strings.TrimSpace(gittest.Run(t, up.Dir, "-c", "core.bigFileThreshold=1m", "hash-object", "-w", zeros))
	tree := up.Tree(ent("100644", "a", up.Blob("a")), ent("100644", "zeros", blob))
	commit := strings.TrimSpace(gittest.Run(t, up.Dir, "-c", "user.name=x", "-c", "user.email=x@x", "commit-tree", "-m", "x", tree))
	up.Git("update-ref", "refs/heads/main", commit)
	s := up.Serve(gittest.Options{})
	for _, url := range []string{s.Of(up), "file://" + up.Dir} {
		g := source(t)
		r := ours(t, g, "sha1")
		tip, line, err := g.Call(t.Context(), url, "")
		if err != nil {
			t.Fatal(err)
		}
		var most atomic.Int64
		stop := watchMemory(&most)
		got, err := g.Fetch(t.Context(), r, snapshot.Ask{URL: url, Tip: tip, Depth: 1, Line: line})
		stop()
		if err != nil || paths(got.Files) != "a" || len(got.Left) != 1 {
			t.Errorf("%+v, %v", got, err)
		}
		if n := most.Load(); n > 200<<20 {
			t.Errorf("a process had %d MB", n>>20)
		}
		if size := onDisk(t, r.Dir()); size > 20<<20 {
			t.Errorf("%d MB on the disk", size>>20)
		}
	}
}

// TestDeltaBomb fetches a pack of a few hundred bytes with a file of 8 GB, told as
// pieces of another one.
func TestDeltaBomb(t *testing.T) {
	var delta bytes.Buffer
	delta.Write(varint(0x10000))
	delta.Write(varint(8 << 30))
	for range 8 << 30 >> 16 { // copy 0x10000 bytes from 0
		delta.WriteByte(0x80)
	}
	base := bytes.Repeat([]byte{'x'}, 0x10000)
	sum := sha1.Sum(append([]byte("blob 65536\x00"), base...))
	commit := fmt.Appendf(nil, "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor a <a@a> 1 +0000\ncommitter a <a@a> 1 +0000\n\nx\n")
	id := fmt.Sprintf("%x", sha1.Sum(append(fmt.Appendf(nil, "commit %d\x00", len(commit)), commit...)))
	var pack bytes.Buffer
	pack.WriteString("PACK\x00\x00\x00\x02\x00\x00\x00\x03")
	packed(&pack, 1, nil, commit)
	packed(&pack, 3, nil, base)
	packed(&pack, 7, sum[:], delta.Bytes())
	trailer := sha1.Sum(pack.Bytes())
	pack.Write(trailer[:])
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				return
			}
			body, _ = io.ReadAll(z)
		}
		packet := func(text string) { fmt.Fprintf(w, "%04x%s", len(text)+4, text) }
		switch {
		case r.Method == "GET":
			w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			packet("# service=git-upload-pack\n")
			io.WriteString(w, "0000")
			packet("version 2\n")
			packet("ls-refs\n")
			packet("fetch=shallow filter\n")
			packet("object-format=sha1\n")
		case bytes.Contains(body, []byte("command=ls-refs")):
			w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
			packet(id + " refs/heads/main\n")
		default:
			w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
			packet("packfile\n")
			for data := pack.Bytes(); len(data) > 0; {
				n := min(len(data), 60000)
				packet("\x01" + string(data[:n]))
				data = data[n:]
			}
		}
		io.WriteString(w, "0000")
	}))
	t.Cleanup(s.Close)
	g := source(t)
	for _, byLine := range []bool{true, false} {
		tip, line, err := g.Call(t.Context(), s.URL+"/course.git", "main")
		if err != nil {
			t.Fatal(err)
		}
		if !byLine {
			line.Close()
			line = nil
		}
		var most atomic.Int64
		stop := watchMemory(&most)
		r := ours(t, g, "sha1")
		_, err = g.Fetch(t.Context(), r, snapshot.Ask{URL: s.URL + "/course.git", Tip: tip, Depth: 1, Line: line})
		stop()
		if code(err) != "DP-317" {
			t.Errorf("by line %v: %v", byLine, err)
		}
		if n := most.Load(); n > 1100<<20 {
			t.Errorf("a process had %d MB", n>>20)
		}
		clean(t, r, "bomb")
	}
}

func varint(n int) (out []byte) {
	for ; n >= 0x80; n >>= 7 {
		out = append(out, byte(n)|0x80)
	}
	return append(out, byte(n))
}

// packed writes one entry of a pack (gitformat-pack(5)).
func packed(pack *bytes.Buffer, kind byte, base, data []byte) {
	n := len(data)
	head := kind<<4 | byte(n&15)
	for n >>= 4; n > 0; n >>= 7 {
		pack.WriteByte(head | 0x80)
		head = byte(n & 0x7f)
	}
	pack.WriteByte(head)
	pack.Write(base)
	z := zlib.NewWriter(pack)
	z.Write(data)
	z.Close()
}

// watchMemory keeps the most that one process which this one started has had.
func watchMemory(most *atomic.Int64) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
				most.Store(max(most.Load(), below(os.Getpid(), 5)))
			}
		}
	}()
	return func() { close(done); <-ended }
}

// below is the largest process below one.
func below(pid, depth int) int64 {
	var most int64
	tasks, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children")
	for _, task := range tasks {
		children, _ := os.ReadFile(task)
		for _, child := range strings.Fields(string(children)) {
			n, _ := strconv.Atoi(child)
			text, _ := os.ReadFile("/proc/" + child + "/status")
			if _, rest, ok := strings.Cut(string(text), "RssAnon:"); ok {
				kb, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
				most = max(most, kb<<10)
			}
			if depth > 0 {
				most = max(most, below(n, depth-1))
			}
		}
	}
	return most
}

func onDisk(t *testing.T, dir string) int64 {
	t.Helper()
	var n int64
	err := filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			n += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
