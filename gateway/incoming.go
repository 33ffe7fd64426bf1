package gateway

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/daypass-dev/daypass"
)

var errStopped = errors.New("gateway: the answer was given before the whole request came")

// Who is waited for: for two minutes, and a second more for each KiB that came. A
// few slow clients could else take all the room.
const (
	patience  = 2 * time.Minute
	leastRate = 1 << 10 // bytes a second
)

// incoming is the body of a client's request. Whoever stands still for a minute,
// or all but does, is given up; how long a whole body takes is not bounded. After
// stop nobody reads it any more, also no transport that still wanted to.
type incoming struct {
	rc    *http.ResponseController
	mu    sync.Mutex // held while it is read
	body  io.Reader
	moved time.Time
	came  int64         // bytes
	took  time.Duration // to wait for them
	err   error         // but the end
	dead  atomic.Bool   // nobody may read it any more
	ended atomic.Bool   // nothing more comes
}

func newIncoming(w http.ResponseWriter, r *http.Request) *incoming {
	in := &incoming{rc: http.NewResponseController(w), body: r.Body}
	in.ended.Store(r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0)
	return in
}

func (in *incoming) Read(p []byte) (int, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	switch {
	case in.dead.Load():
		return 0, errStopped
	case in.ended.Load():
		return 0, io.EOF
	}
	now := time.Now()
	left := patience + time.Duration(in.came/leastRate)*time.Second - in.took
	if left <= 0 {
		in.err = os.ErrDeadlineExceeded
		return 0, in.err
	}
	if now.Sub(in.moved) > idle/10 {
		in.moved = now
		_ = in.rc.SetReadDeadline(now.Add(min(idle, left))) // a connection without deadlines has none
	}
	n, err := in.body.Read(p)
	in.came, in.took = in.came+int64(n), in.took+time.Since(now)
	switch {
	case errors.Is(err, io.EOF):
		in.ended.Store(true)
		_ = in.rc.SetReadDeadline(time.Time{})
	case in.dead.Load():
		return n, errStopped // it was the deadline of stop
	case err != nil:
		in.err = err
	}
	return n, err
}

// open reports whether the client may have more to send.
func (in *incoming) open() bool { return !in.ended.Load() }

// stop ends a reading that waits, and all that would come.
func (in *incoming) stop() {
	if !in.open() {
		return
	}
	in.dead.Store(true)
	// Whoever reads now may just have set the deadline again.
	for _ = in.rc.SetReadDeadline(time.Unix(1, 0)); !in.mu.TryLock(); _ = in.rc.SetReadDeadline(time.Unix(1, 0)) {
		time.Sleep(time.Millisecond)
	}
	in.mu.Unlock()
}

// rest gives net/http the time to read what is left of a body.
func (in *incoming) rest() {
	if in.open() {
		_ = in.rc.SetReadDeadline(time.Now().Add(idle))
	}
}

// failure is why the client's side broke off; nil where it did not.
func (in *incoming) failure() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	switch {
	case in.err == nil:
		return nil
	case errors.Is(in.err, os.ErrDeadlineExceeded):
		return refused(http.StatusRequestTimeout, daypass.Problem{
			Code: "DP-994", What: "The upload stood still for a minute, or all but did", Why: "nothing of it was kept", Next: "Send it again.", Kind: daypass.ErrUnreachable,
		})
	}
	return errGone
}

// outgoing is a body on its way to devpi, which a transport may go on reading
// after devpi has answered.
type outgoing struct {
	from io.Reader
	mu   sync.Mutex // held while it is read
	err  error      // why from failed by itself
	dead atomic.Bool
	n    atomic.Int64
	all  atomic.Bool // from ended
}

func (o *outgoing) Read(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.dead.Load() {
		return 0, errStopped
	}
	n, err := o.from.Read(p)
	o.n.Add(int64(n))
	switch {
	case errors.Is(err, io.EOF):
		o.all.Store(true)
	case err != nil && !o.dead.Load():
		o.err = err
	}
	return n, err
}

// Close does nothing: what is behind belongs to the server.
func (o *outgoing) Close() error { return nil }

// whole reports whether everything was handed on. With a length the last byte
// counts, since the transport looks for the end only after it.
func (o *outgoing) whole(length int64) bool {
	return o == nil || o.all.Load() || length >= 0 && o.n.Load() == length
}

// stop waits until nobody reads any more, and reports whether the reading failed
// before, by no fault of devpi's. What is behind may then be looked at.
func (o *outgoing) stop(in *incoming) bool {
	o.dead.Store(true)
	in.stop()
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err != nil
}
