package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
	"github.com/daypass-dev/daypass/internal/pause"
)

// How long snapshots may take.
const (
	snapshotTime = 40 * time.Second // for one answer: the service holds it back for 25 s
	snapshotFor  = 15 * time.Minute // in all, while one is made
	packTime     = 2 * time.Minute  // until a pack begins
	packIdle     = time.Minute      // without a byte of it
	busyTries    = 30
)

// Snapshot asks what a source holds now, and waits while that is found out.
func (c *Client) Snapshot(ctx context.Context, q api.SnapshotQuery) (api.Snapshot, error) {
	if why := q.Check(); why != "" {
		return api.Snapshot{}, unsendable(why)
	}
	ctx, cancel := context.WithTimeout(ctx, snapshotFor)
	defer cancel()
	for busy := 0; ; {
		status, body, err := c.send(ctx, http.MethodGet, api.PathSnapshots+"?"+q.Values().Encode(), nil, snapshotTime)
		var wait time.Duration
		switch {
		case err != nil:
			var again bool
			if wait, again = busyFor(err); !again || busy == busyTries {
				return api.Snapshot{}, err
			}
			busy++
		case status == http.StatusOK:
			return c.snapshotIn(body, q)
		default:
			wait = time.Second
		}
		if !pause.For(ctx, wait+rand.N(wait/2)) {
			return api.Snapshot{}, c.unreachable(ctx.Err())
		}
	}
}

// busyFor reports whether the service itself has too much to do, and for how long that
// is to be believed.
func busyFor(err error) (time.Duration, bool) {
	var e *Error
	if !errors.As(err, &e) || e.Problem.Code != "DP-874" && e.Problem.Code != "DP-875" {
		return 0, false
	}
	return min(max(e.RetryAfter, time.Second), 30*time.Second), true
}

// snapshotIn reads an answer and trusts nothing in it.
func (c *Client) snapshotIn(body []byte, q api.SnapshotQuery) (api.Snapshot, error) {
	var s api.Snapshot
	if json.Unmarshal(body, &s) != nil {
		return api.Snapshot{}, c.strange("it is no snapshot")
	}
	_, known := daypass.ParseSource(s.Source)
	switch {
	case !api.SnapshotID(s.ID) || s.Bytes < 0 || s.Files < 0:
		return api.Snapshot{}, c.strange("the snapshot has no id, or a size that makes no sense")
	case !known || q.Source != "" && !sameContent(s.Source, q.Source):
		return api.Snapshot{}, c.strange("the snapshot is of another source")
	case len(s.Title) > 4096:
		return api.Snapshot{}, c.strange("the snapshot's title has no end")
	}
	return s, nil
}

// sameContent reports whether two texts name the same place, in whatever state.
func sameContent(a, b string) bool {
	x, _ := daypass.ParseSource(a)
	y, _ := daypass.ParseSource(b)
	return x.Kind == y.Kind && strings.EqualFold(x.Host, y.Host)
}

// A Pack is one that is coming. Close the Body.
type Pack struct {
	Body io.ReadCloser
	From int64  // where in the pack it begins: as asked for, or 0
	Size int64  // of the whole pack
	Tag  string // of the pack, for going on with it later
}

// Pack asks for the pack of a snapshot, or for what of it is missing: from a place on,
// where the pack is still the one with that tag.
func (c *Client) Pack(ctx context.Context, id string, q api.SnapshotQuery, from int64, tag string) (Pack, error) {
	if why := q.Check(); why != "" || !api.SnapshotID(id) {
		return Pack{}, unsendable(why)
	}
	for busy := 0; ; busy++ {
		p, err := c.pack(ctx, api.SnapshotPath(id, q), from, tag)
		wait, again := busyFor(err)
		if err == nil || !again || busy == busyTries {
			return p, err
		}
		if !pause.For(ctx, wait+rand.N(wait/2)) {
			return Pack{}, c.unreachable(ctx.Err())
		}
	}
}

func (c *Client) pack(ctx context.Context, path string, from int64, tag string) (Pack, error) {
	ctx, cancel := context.WithCancel(ctx)
	late := time.AfterFunc(packTime, cancel)
	req, err := c.request(ctx, c.token, http.MethodGet, path, nil)
	if err != nil {
		cancel()
		return Pack{}, err
	}
	req.Header.Set("Accept", api.PackType+", application/json")
	if from > 0 && plainWord(tag, 256) {
		req.Header.Set("Range", "bytes="+strconv.FormatInt(from, 10)+"-")
		req.Header.Set("If-Range", tag)
	}
	res, err := c.http.Do(req)
	if err != nil {
		cancel()
		return Pack{}, c.unreachable(err)
	}
	p, err := c.packIn(res, from)
	if err != nil {
		res.Body.Close()
		cancel()
		return Pack{}, err
	}
	p.Body = &coming{Reader: res.Body, body: res.Body, late: late, cancel: cancel}
	return p, nil
}

func (c *Client) packIn(res *http.Response, from int64) (Pack, error) {
	kind := res.Header.Get("Content-Type")
	p := Pack{Tag: res.Header.Get("ETag"), Size: res.ContentLength}
	switch {
	case res.StatusCode == http.StatusOK && kind == api.PackType && p.Size >= 0:
		return p, nil
	case res.StatusCode == http.StatusPartialContent && kind == api.PackType:
		first, size, ok := contentRange(res.Header.Get("Content-Range"))
		if !ok || first != from || res.ContentLength != size-first {
			return p, c.strange("it is another part of the pack than was asked for")
		}
		p.From, p.Size = first, size
		return p, nil
	case res.StatusCode == http.StatusOK || res.StatusCode == http.StatusPartialContent:
		return p, c.strange("it is no pack")
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, api.MaxBody))
	if err != nil {
		return p, c.unreachable(err)
	}
	return p, c.refused(res, body)
}

// contentRange reads "bytes FIRST-LAST/SIZE" where LAST is the end.
func contentRange(text string) (first, size int64, ok bool) {
	rest, ok := strings.CutPrefix(text, "bytes ")
	span, total, ok2 := strings.Cut(rest, "/")
	a, b, ok3 := strings.Cut(span, "-")
	first, err1 := strconv.ParseInt(a, 10, 64)
	last, err2 := strconv.ParseInt(b, 10, 64)
	size, err3 := strconv.ParseInt(total, 10, 64)
	return first, size, ok && ok2 && ok3 && errors.Join(err1, err2, err3) == nil && first >= 0 && last == size-1 && first <= last
}

// coming is a body that ends where nothing comes for too long.
type coming struct {
	io.Reader
	body   io.Closer
	late   *time.Timer
	cancel context.CancelFunc
}

func (b *coming) Read(p []byte) (int, error) {
	b.late.Reset(packIdle)
	return b.Reader.Read(p)
}

func (b *coming) Close() error {
	b.late.Stop()
	b.cancel()
	return b.body.Close()
}
