package gateway

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/pass"
)

// zeros gives so many bytes, and fails where most is passed without them.
type zeros int64

func (z *zeros) Read(p []byte) (int, error) {
	if *z <= 0 {
		return 0, io.EOF
	}
	n := min(len(p), int(*z))
	clear(p[:n])
	*z -= zeros(n)
	return n, nil
}

// peak samples how much memory is held until it is told to stop.
func peak(stop chan struct{}) chan uint64 {
	out := make(chan uint64)
	go func() {
		var most uint64
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapInuse)
			select {
			case <-stop:
				out <- most
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	return out
}

// TestStreams moves 100 MB each way with a pass, and holds little of it.
func TestStreams(t *testing.T) {
	const size = 100 << 20
	s := newStage(t, nil)
	var came int64
	s.devpi.streams["/alice/other/"] = func(w http.ResponseWriter, r *http.Request) {
		came, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "OK")
	}
	file := "/alice/other/+f/18d/d617000000000/hello-1.0.tar.gz"
	s.devpi.streams[file] = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(size))
		left := zeros(size)
		_, _ = io.Copy(w, &left)
	}
	token := s.book.mint(t, "alice", pass.Limits{})
	s.do("GET", simplePage, "", bearer(token)...)
	kind, body := uploadForm("hello", wheel("hello"), "@")
	head, tail, _ := strings.Cut(body, "@\r\n--")
	left := zeros(size)

	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	stop := make(chan struct{})
	most := peak(stop)
	q, err := http.NewRequest("POST", s.server.URL+"/alice/other/", io.MultiReader(strings.NewReader(head), &left, strings.NewReader("\r\n--"+tail)))
	if err != nil {
		t.Fatal(err)
	}
	q.ContentLength = int64(len(head) + size + len(tail) + 4)
	q.Header.Set("Content-Type", kind)
	q.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultTransport.RoundTrip(q)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 || came < size {
		t.Fatalf("up: %s, %d bytes came", resp.Status, came)
	}
	q, _ = http.NewRequest("GET", s.server.URL+file, nil)
	q.Header.Set("Authorization", "Bearer "+token)
	if resp, err = http.DefaultTransport.RoundTrip(q); err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if n != size || err != nil {
		t.Fatalf("down: %d %v", n, err)
	}
	close(stop)
	// The client's and devpi's ends are in this process too.
	if grown := int64(<-most) - int64(before.HeapInuse); grown > 12<<20 {
		t.Errorf("it held %d KiB", grown>>10)
	}
}

// TestDownloadIsNotHeldBack: a piece that devpi has is on its way before the next.
func TestDownloadIsNotHeldBack(t *testing.T) {
	s := newStage(t, nil)
	next := make(chan struct{})
	file := "/alice/dev/+f/18d/d617000000000/hello-1.0.tar.gz"
	s.devpi.streams[file] = func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "one")
		_ = http.NewResponseController(w).Flush()
		<-next
		_, _ = io.WriteString(w, "two")
	}
	resp, err := http.Get(s.server.URL + file)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b := make([]byte, 3)
	if _, err := io.ReadFull(resp.Body, b); err != nil || string(b) != "one" {
		t.Fatal(err, string(b))
	}
	close(next)
	if rest, _ := io.ReadAll(resp.Body); string(rest) != "two" {
		t.Errorf("%q", rest)
	}
}

// TestRefusedBeforeItIsSent: who asks first whether to send a body is told no
// before, and who goes on sending still hears why.
func TestRefusedBeforeItIsSent(t *testing.T) {
	s := newStage(t, nil)
	c, err := net.Dial("tcp", s.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprintf(c, "POST /alice/dev/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer rubbish\r\nContent-Type: multipart/form-data; boundary=x\r\nExpect: 100-continue\r\nContent-Length: 100000000\r\n\r\n")
	r := bufio.NewReader(c)
	line, err := r.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "HTTP/1.1 403 This pass is not accepted") {
		t.Fatalf("%q %v", line, err)
	}
	// The other end reads on, so that this does not end in a reset.
	if _, err := io.Copy(c, io.LimitReader(bytes.NewReader(make([]byte, 4<<20)), 4<<20)); err != nil {
		t.Errorf("going on: %v", err)
	}
	if rest, err := io.ReadAll(r); err != nil || !strings.Contains(string(rest), "DP-985") || !strings.Contains(string(rest), "Connection: close") {
		t.Errorf("%q %v", rest, err)
	}
}

// TestKeepAlive: an answer that was not taken over leaves the connection open,
// and a deadline of one request is none of the next.
func TestKeepAlive(t *testing.T) {
	s := newStage(t, nil)
	token := s.book.mint(t, "alice", pass.Limits{Projects: []string{"hello"}})
	c, err := net.Dial("tcp", s.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	r := bufio.NewReader(c)
	kind, body := uploadForm("hello", wheel("hello"), "x")
	for i, want := range []int{200, 403, 200, 200, 403} {
		switch want {
		case 200:
			fmt.Fprintf(c, "POST /alice/dev/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", token, kind, len(body), body)
		case 403:
			fmt.Fprintf(c, "GET /alice/dev/+simple/other/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nAccept: application/json\r\n\r\n", token)
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(i, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		if resp.StatusCode != want || resp.Close {
			t.Errorf("%d: %s, close %v", i, resp.Status, resp.Close)
		}
	}
}

// TestTLS: over HTTP/1 the reason phrase works too, over HTTP/2 there is none.
func TestTLS(t *testing.T) {
	s := newStage(t, func(c *Config) { c.URL, _ = url.Parse("https://index.example.org/") })
	for _, two := range []bool{false, true} {
		srv := httptest.NewUnstartedServer(nil)
		srv.Config, srv.EnableHTTP2 = s.gateway.HTTP(), two
		srv.StartTLS()
		defer srv.Close()
		transport := srv.Client().Transport.(*http.Transport).Clone()
		if !two {
			transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
		}
		kind, body := uploadForm("hello", wheel("hello"), strings.Repeat("x", 4<<20))
		q, _ := http.NewRequest("POST", srv.URL+"/alice/dev/", strings.NewReader(body))
		q.Header.Set("Content-Type", kind)
		q.Header.Set("Authorization", "Bearer rubbish")
		resp, err := transport.RoundTrip(q)
		if err != nil {
			t.Fatal(two, err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 403 || resp.ProtoMajor == 2 != two || !strings.Contains(string(b), "not accepted") || strings.Contains(resp.Status, "not accepted") == two {
			t.Errorf("HTTP/2 %v: %s %s %q", two, resp.Proto, resp.Status, b)
		}
		transport.CloseIdleConnections()
	}
}

// BenchmarkRead is one page with a pass, through both ends in this process.
func BenchmarkRead(b *testing.B) {
	s := newStage(b, nil)
	token := s.book.mint(b, "alice", pass.Limits{Indexes: []string{"alice/dev"}})
	for name, at := range map[string]string{"direct": s.devpi.server.URL, "gateway": s.server.URL} {
		b.Run(name, func(b *testing.B) {
			q, _ := http.NewRequest("GET", at+simplePage, nil)
			q.Header.Set("Authorization", "Bearer "+token)
			for b.Loop() {
				resp, err := http.DefaultTransport.RoundTrip(q)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
}
