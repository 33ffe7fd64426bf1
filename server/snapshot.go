package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
)

// SnapshotParts give sources' content out. Both are nil, or neither. Each decides anew
// who may read what, before anything else.
type SnapshotParts struct {
	// Snapshot says what the source holds now. It returns when ctx ends, with ctx's
	// error, and what it began goes on for the next who asks.
	Snapshot func(context.Context, daypass.Caller, SnapshotAsk) (Snapshot, error)
	// Pack opens what brings a snapshot of that source to somebody who has ask.Have.
	Pack func(ctx context.Context, caller daypass.Caller, ask SnapshotAsk, id string) (Pack, error)
}

// A SnapshotAsk is a question for content that was read and is well-formed: by a link,
// or by its source.
type SnapshotAsk struct {
	Link    string
	Source  daypass.Source // where Link is ""
	Have    string         // what was pulled last; ""
	Include []string       // sorted
	Stale   bool           // the hub cannot be reached
	Request string         // the request's id
}

// A Snapshot is a state of a source.
type Snapshot struct {
	ID     string
	Source string
	Title  string
	Bytes  int64
	Files  int
	Made   time.Time

	Folder, Open, App string // of the link
}

// A Pack is one file, which never changes under its tag.
type Pack struct {
	Body  io.ReadSeeker // an *os.File is sent by the kernel
	Close func() error
	ETag  string // quoted
}

func (b *Broker) checkSnapshots() error {
	if (b.Snapshot == nil) != (b.Pack == nil) {
		return errors.New("the server lacks a part of the snapshots")
	}
	return nil
}

// snapshotWait is how long a request waits for a snapshot that is being made: less than
// what stands in front of a service usually waits.
const snapshotWait = 25 * time.Second

// snapshotAsk reads the parameters.
func (s *Server) snapshotAsk(c *call) (SnapshotAsk, api.SnapshotQuery, error) {
	if s.c.Broker.Snapshot == nil {
		return SnapshotAsk{}, api.SnapshotQuery{}, nothingHere()
	}
	if len(c.r.URL.RawQuery) > 8<<10 || strings.Contains(c.r.URL.RawQuery, ";") {
		return SnapshotAsk{}, api.SnapshotQuery{}, malformed("its parameters are too long, or could be read in two ways")
	}
	q, why := api.ParseSnapshotQuery(c.r.URL.Query())
	if why != "" {
		return SnapshotAsk{}, q, malformed(why)
	}
	ask := SnapshotAsk{Link: q.Link, Have: q.Have, Include: q.Include, Stale: c.who.Stale, Request: c.request}
	if q.Source != "" {
		ask.Source, _ = daypass.ParseSource(q.Source)
	}
	return ask, q, nil
}

// snapshot tells what there is. Who comes while it is being made waits, without counting
// as work, and is asked to come again where that lasts.
func (s *Server) snapshot(c *call) error {
	ask, q, err := s.snapshotAsk(c)
	if err != nil {
		return err
	}
	leave, err := s.rest(c.w, c.who.Caller)
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := context.WithTimeout(c.r.Context(), s.snapshotWait)
	defer cancel()
	found, err := s.c.Broker.Snapshot(ctx, c.who.Caller, ask)
	soon(c.w)
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) && c.r.Context().Err() == nil {
		c.w.Header().Set("Retry-After", "1")
		s.writeJSON(c.w, http.StatusAccepted, api.Making{Making: true})
		return nil
	}
	if err != nil {
		return err
	}
	out := api.Snapshot{ID: found.ID, Source: found.Source, Title: found.Title, Bytes: found.Bytes, Files: found.Files, Made: found.Made.UTC(), Same: found.ID == q.Have,
		Folder: found.Folder, Open: found.Open, App: found.App}
	if !out.Same {
		out.Pack = strings.TrimPrefix(api.SnapshotPath(found.ID, q), "/")
	}
	s.writeJSON(c.w, http.StatusOK, out)
	return nil
}

// soon gives an answer a minute to be taken.
func soon(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Minute)) // not every writer has one
}

// pack sends a pack, or a part of it.
func (s *Server) pack(c *call) error {
	ask, _, err := s.snapshotAsk(c)
	if err != nil {
		return err
	}
	id := c.r.PathValue("id")
	if !api.SnapshotID(id) {
		return malformed("the id is none of a snapshot")
	}
	leave, err := s.rest(c.w, c.who.Caller)
	if err != nil {
		return err
	}
	defer leave()
	p, err := s.c.Broker.Pack(c.r.Context(), c.who.Caller, ask, id)
	if err != nil {
		soon(c.w)
		return err
	}
	defer p.Close()
	h := c.w.Header()
	// Who may read it is decided each time; a copy is good where the tag is the same.
	h["Cache-Control"] = []string{"private, no-cache, immutable"}
	h["Etag"] = []string{p.ETag}
	h["Content-Type"] = []string{api.PackType}
	if ask.Have == id {
		soon(c.w)
		c.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if strings.Contains(c.r.Header.Get("Range"), ",") {
		c.r.Header.Del("Range") // several parts in one answer are of no use to anybody
	}
	http.ServeContent(&patient{ResponseWriter: c.w, rc: http.NewResponseController(c.w)}, c.r, "", time.Time{}, p.Body)
	return nil
}

// patient sends large things to slow people: each piece has a minute.
type patient struct {
	http.ResponseWriter
	rc *http.ResponseController
}

const (
	pieceSize = 4 << 20
	pieceTime = time.Minute
)

// Write sends what is no file.
func (p *patient) Write(b []byte) (int, error) {
	_ = p.rc.SetWriteDeadline(time.Now().Add(pieceTime))
	return p.ResponseWriter.Write(b)
}

// ReadFrom lets the kernel send a file.
func (p *patient) ReadFrom(r io.Reader) (int64, error) {
	from, left := r, int64(1)<<62
	if l, ok := r.(*io.LimitedReader); ok { // the kernel's way is found behind one of these only
		from, left = l.R, l.N
	}
	var total int64
	to := p.bottom()
	for total < left {
		_ = p.rc.SetWriteDeadline(time.Now().Add(pieceTime))
		n, err := io.CopyN(to, from, min(pieceSize, left-total))
		total += n
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// bottom is the writer that knows how to send files.
func (p *patient) bottom() io.Writer {
	w := p.ResponseWriter
	for {
		inner, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = inner.Unwrap()
	}
}
