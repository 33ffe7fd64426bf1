package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
)

const (
	labID   = "7d1e21c53b4a0f2f8d6f0c9c1a4b3e2d1f0e9d8c"
	olderID = "00112233445566778899aabbccddeeff00112233"
)

// packFile is a pack that is a file, as real ones are.
type packFile struct{ *bytes.Reader }

// snapshots are a world's: one link, one source behind it.
func (w *world) snapshots() SnapshotParts {
	refuse := func(a SnapshotAsk) error {
		if a.Link == "ph142-lab1" || a.Source.String() == "drive:drive.google.com/1AbC" {
			return nil
		}
		return &Refusal{Problem: &daypass.Problem{Code: "DP-720", What: "There is no such source, or you may not read it", Kind: daypass.ErrRefused}, Event: "K3QF-1050"}
	}
	return SnapshotParts{
		Snapshot: func(ctx context.Context, c daypass.Caller, a SnapshotAsk) (Snapshot, error) {
			w.note("snapshot %s %s%s %q", c.User.Name, a.Link, a.Source, a.Include)
			if len(a.Include) == 1 && a.Include[0] == "slow" {
				<-ctx.Done()
				return Snapshot{}, context.Cause(ctx)
			}
			return Snapshot{ID: labID, Source: "drive:drive.google.com/1AbC", Title: w.name("Lab 1"), Bytes: 812_345, Files: 42, Made: w.clock()}, refuse(a)
		},
		Pack: func(_ context.Context, c daypass.Caller, a SnapshotAsk, id string) (Pack, error) {
			w.note("pack %s %s %s", c.User.Name, id, a.Have)
			err := refuse(a)
			if err == nil && id != labID {
				err = &daypass.Problem{Code: "DP-480", What: "There is no such snapshot of this source", Kind: daypass.ErrRefused}
			}
			return Pack{Body: packFile{bytes.NewReader([]byte("PACK0123456789"))}, Close: func() error { w.note("closed"); return nil }, ETag: `"sum` + a.Have + `"`}, err
		},
	}
}

func TestSnapshot(t *testing.T) {
	modes(t, func(t *testing.T, address string, shared bool) {
		w := newWorld()
		s := start(t, w, address, shared)
		get := func(path, token string, head ...string) *http.Response {
			t.Helper()
			return apiDo(s, "GET", address+"api/v1/"+path, token, "", head...)
		}
		var found api.Snapshot
		res := get("snapshots?link=ph142-lab1&have="+olderID, "server-ada")
		if err := json.Unmarshal([]byte(text(t, res)), &found); err != nil || res.StatusCode != 200 || found.ID != labID || found.Same || !strings.HasPrefix(found.Pack, "api/v1/snapshots/"+labID+"?") {
			t.Fatalf("%d %+v %v", res.StatusCode, found, err)
		}
		whole := get(strings.TrimPrefix(found.Pack, "api/v1/"), "server-ada")
		tag := whole.Header.Get("ETag")
		if got := text(t, whole); whole.StatusCode != 200 || got != "PACK0123456789" || tag != `"sum`+olderID+`"` || whole.Header.Get("Content-Type") != api.PackType ||
			whole.Header.Get("Content-Length") != "14" || whole.Header.Get("Accept-Ranges") != "bytes" || !strings.Contains(whole.Header.Get("Cache-Control"), "private, no-cache") {
			t.Errorf("%d %q %v", whole.StatusCode, got, whole.Header)
		}
		for _, c := range []struct {
			name   string
			path   string
			head   []string
			status int
			body   string
		}{
			{"a part", "snapshots/" + labID + "?link=ph142-lab1", []string{"Range", "bytes=4-"}, 206, "0123456789"},
			{"a part of the same", "snapshots/" + labID + "?link=ph142-lab1", []string{"Range", "bytes=10-", "If-Range", `"sum"`}, 206, "6789"},
			{"a part of another", "snapshots/" + labID + "?link=ph142-lab1", []string{"Range", "bytes=10-", "If-Range", `"other"`}, 200, "PACK0123456789"},
			{"two parts", "snapshots/" + labID + "?link=ph142-lab1", []string{"Range", "bytes=0-3,5-6"}, 200, "PACK0123456789"},
			{"too far", "snapshots/" + labID + "?link=ph142-lab1", []string{"Range", "bytes=99-"}, 416, "*"},
			{"the same tag", "snapshots/" + labID + "?link=ph142-lab1", []string{"If-None-Match", `"sum"`}, 304, ""},
			{"what one has", "snapshots/" + labID + "?link=ph142-lab1&have=" + labID, nil, 304, ""},
			{"another's tag", "snapshots/" + labID + "?link=ph142-lab1", []string{"If-None-Match", `"other"`}, 200, "PACK0123456789"},
			{"a guessed id", "snapshots/" + olderID + "?link=ph142-lab1", nil, 403, "*"},
			{"no id", "snapshots/HEAD?link=ph142-lab1", nil, 400, "*"},
			{"a short id", "snapshots/" + labID[1:] + "?link=ph142-lab1", nil, 400, "*"},
			{"no source", "snapshots/" + labID, nil, 400, "*"},
			{"a parameter more", "snapshots/" + labID + "?link=ph142-lab1&x=1", nil, 400, "*"},
			{"semicolons", "snapshots/" + labID + "?link=ph142-lab1;have=x", nil, 400, "*"},
			{"long", "snapshots/" + labID + "?link=ph142-lab1&include=" + strings.Repeat("x", 9000), nil, 400, "*"},
			{"both", "snapshots?link=ph142-lab1&source=drive:drive.google.com/1AbC", nil, 400, "*"},
			{"as it is", "snapshots?source=drive:drive.google.com/1AbC&have=" + labID, nil, 200, "*"},
		} {
			res := get(c.path, "server-ada", c.head...)
			if got := text(t, res); res.StatusCode != c.status || c.body != "*" && got != c.body {
				t.Errorf("%s: %d %q", c.name, res.StatusCode, got)
			}
		}
		if res := apiDo(s, "HEAD", address+"api/v1/snapshots?link=ph142-lab1", "server-ada", ""); res.StatusCode != 405 {
			t.Errorf("HEAD makes a snapshot: %d", res.StatusCode)
		}
		opened, closed := 0, 0
		for _, d := range w.deeds() {
			if strings.HasPrefix(d, "pack ") && strings.Contains(d, labID+" ") {
				opened++
			} else if d == "closed" {
				closed++
			}
		}
		if opened == 0 || opened != closed {
			t.Errorf("%d packs were opened, %d closed", opened, closed)
		}
	})
}

// What may not be read and what there is not: the same status, the same bytes but for
// the request's own.
func TestSnapshotRefusals(t *testing.T) {
	w := newWorld()
	s := start(t, w, ownURL, false)
	var first string
	for _, q := range []string{"link=other-course", "link=nothing-there", "source=drive:drive.google.com/other", "source=git:github.com/o/secret"} {
		for _, path := range []string{"snapshots?", "snapshots/" + labID + "?", "snapshots/" + olderID + "?"} {
			for _, have := range []string{"", "&have=" + labID, "&have=" + olderID} {
				res := apiDo(s, "GET", ownURL+"api/v1/"+path+q+have, "server-ada", "")
				got := fmt.Sprint(res.StatusCode, res.Header, text(t, res))
				if first == "" {
					first = got
				}
				if got != first || res.StatusCode != 403 {
					t.Errorf("%s%s%s: %s, not %s", path, q, have, got, first)
				}
			}
		}
	}
}

// A snapshot that takes long: who asks is told to come again, and the places of others
// are theirs meanwhile.
func TestSnapshotTakesLong(t *testing.T) {
	c := newWorld().config(ownURL, false)
	c.Limits.AtOnce = 1
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	s.snapshotWait = 400 * time.Millisecond
	done := make(chan *http.Response)
	go func() {
		done <- apiDo(s, "GET", ownURL+"api/v1/snapshots?link=ph142-lab1&include=slow", "server-ada", "")
	}()
	time.Sleep(100 * time.Millisecond)
	if res := apiDo(s, "GET", ownURL+"api/v1/me", "server-ada", ""); res.StatusCode != 200 {
		t.Errorf("others wait for it: %d", res.StatusCode)
	}
	res := <-done
	if got := text(t, res); res.StatusCode != 202 || got != `{"making":true}` || res.Header.Get("Retry-After") != "1" {
		t.Errorf("%d %s", res.StatusCode, got)
	}
}

// A real file over a real connection, whole and in parts; and somebody who does not
// read it does not keep others from anything.
func TestPackOverTheWire(t *testing.T) {
	data := make([]byte, 9<<20)
	rand.Read(data)
	path := filepath.Join(t.TempDir(), "x.pack")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld()
	c := w.config(ownURL, false)
	c.Broker.Pack = func(context.Context, daypass.Caller, SnapshotAsk, string) (Pack, error) {
		f, err := os.Open(path)
		return Pack{Body: f, Close: f.Close, ETag: `"x"`}, err
	}
	c.Limits.AtOnce = 2
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	site := httptest.NewServer(s)
	defer site.Close()
	ask := func(head string) *http.Response {
		t.Helper()
		r, _ := http.NewRequest("GET", site.URL+s.path("api/v1/snapshots/"+labID+"?link=ph142-lab1"), nil)
		r.Header.Set("Authorization", "Bearer server-ada")
		if head != "" {
			r.Header.Set("Range", head)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		return res
	}
	for range 10 {
		ask("") // nobody reads these
	}
	for _, from := range []int{0, 1, pieceSize, pieceSize + 1, len(data) - 1} {
		res := ask(fmt.Sprintf("bytes=%d-", from))
		got, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != 206 || !bytes.Equal(got, data[from:]) {
			t.Errorf("from %d: %d, %d bytes, %v", from, res.StatusCode, len(got), err)
		}
	}
}
