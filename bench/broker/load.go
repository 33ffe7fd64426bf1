package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// clients is how many connections there are at most, and so how many requests
// at once.
const clients = 64

// A wire is one connection that stays open. It speaks just as much HTTP/1.1 as
// the measured services do: net/http would cost more than they.
type wire struct {
	addr string
	conn net.Conn
	r    *bufio.Reader
	body []byte
}

// do sends a request and returns the answer's status and body, which is good
// until the next request.
func (w *wire) do(request []byte) (status int, body []byte, err error) {
	if w.conn == nil {
		if w.conn, err = net.Dial("tcp", w.addr); err != nil {
			return 0, nil, err
		}
		w.r = bufio.NewReaderSize(w.conn, 4096)
	}
	if _, err = w.conn.Write(request); err == nil {
		status, body, err = w.answer()
	}
	if err != nil {
		w.close()
	}
	return status, body, err
}

func (w *wire) close() {
	if w.conn != nil {
		w.conn.Close()
		w.conn = nil
	}
}

func (w *wire) answer() (status int, body []byte, err error) {
	line, err := w.r.ReadSlice('\n')
	if err != nil {
		return 0, nil, err
	}
	if len(line) < 12 {
		return 0, nil, fmt.Errorf("no status line: %q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, nil, err
	}
	length := 0
	for {
		if line, err = w.r.ReadSlice('\n'); err != nil {
			return 0, nil, err
		}
		if len(line) <= 2 {
			break
		}
		const name = "content-length: "
		if len(line) > len(name) && bytes.EqualFold(line[:len(name)], []byte(name)) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(line[len(name):]))); err != nil {
				return 0, nil, err
			}
		}
	}
	if cap(w.body) < length {
		w.body = make([]byte, length)
	}
	w.body = w.body[:length]
	_, err = io.ReadFull(w.r, w.body)
	return status, w.body, err
}

// A tally is what came of many requests.
type tally struct {
	took   []time.Duration // of answers with 200, sorted
	events []string        // the numbers in them
	other  map[int]int     // other answers by status; 0: none
	sample string          // one of these
	lasted time.Duration
}

func (t *tally) rate() float64 { return float64(len(t.took)) / t.lasted.Seconds() }

// at is a quantile in milliseconds.
func (t *tally) at(q float64) float64 {
	if len(t.took) == 0 {
		return 0
	}
	return float64(t.took[min(int(q*float64(len(t.took))), len(t.took)-1)]) / float64(time.Millisecond)
}

// wrong says what was not answered with 200, or "".
func (t *tally) wrong() string {
	if len(t.other) == 0 {
		return ""
	}
	return fmt.Sprintf("other answers by status: %v, such as %s", t.other, t.sample)
}

func (t *tally) note(status int, body []byte, err error, took time.Duration) {
	if status == 200 && err == nil {
		t.took = append(t.took, took)
		const key = `"event":"`
		if _, rest, ok := bytes.Cut(body, []byte(key)); ok {
			id, _, _ := bytes.Cut(rest, []byte(`"`))
			t.events = append(t.events, string(id))
		}
		return
	}
	if t.other == nil {
		t.other = map[int]int{}
	}
	t.other[status]++
	t.sample = string(body)
	if err != nil {
		t.sample = err.Error()
	}
}

// A plan says for one worker what to send next, and when at the earliest; nil
// ends it.
type plan func(rng *rand.Rand) (request []byte, due time.Time)

// volley runs a plan on n connections and puts together what they saw.
func volley(addr string, n int, p plan) *tally {
	parts := make([]tally, n)
	began := time.Now()
	var wg sync.WaitGroup
	for i := range parts {
		wg.Go(func() {
			w, t := &wire{addr: addr}, &parts[i]
			defer w.close()
			rng := rand.New(rand.NewPCG(uint64(i), uint64(began.UnixNano())))
			for {
				request, due := p(rng)
				if request == nil {
					return
				}
				if due.IsZero() {
					due = time.Now()
				} else if d := time.Until(due); d > 0 {
					time.Sleep(d)
				}
				status, body, err := w.do(request)
				t.note(status, body, err, time.Since(due))
				if err != nil && !reachable(addr) {
					return // the service is gone
				}
			}
		})
	}
	wg.Wait()
	all := &tally{lasted: time.Since(began), other: map[int]int{}}
	for _, t := range parts {
		all.took, all.events = append(all.took, t.took...), append(all.events, t.events...)
		for status, n := range t.other {
			all.other[status] += n
			all.sample = t.sample
		}
	}
	slices.Sort(all.took)
	return all
}

func reachable(addr string) bool {
	c, err := net.Dial("tcp", addr)
	if err == nil {
		c.Close()
	}
	return err == nil
}

// closed sends as fast as answers come, for a while.
func closed(addr string, requests [][]byte, d time.Duration) *tally {
	end := time.Now().Add(d)
	return volley(addr, clients, func(rng *rand.Rand) ([]byte, time.Time) {
		if time.Now().After(end) {
			return nil, time.Time{}
		}
		return requests[rng.IntN(len(requests))], time.Time{}
	})
}

// open sends at moments that do not depend on the answers: at random, so many
// in a second on average (a Poisson process). One whose moment has come while all
// connections are busy is sent late, and its time counts from that moment on.
func open(addr string, requests [][]byte, perSecond float64, d time.Duration) *tally {
	rng := rand.New(rand.NewPCG(1, 2))
	var moments []time.Duration
	for at := 0.0; ; {
		at += rng.ExpFloat64() / perSecond
		if at >= d.Seconds() {
			break
		}
		moments = append(moments, time.Duration(at*float64(time.Second)))
	}
	var next atomic.Int64
	began := time.Now()
	return volley(addr, clients, func(rng *rand.Rand) ([]byte, time.Time) {
		i := int(next.Add(1)) - 1
		if i >= len(moments) {
			return nil, time.Time{}
		}
		return requests[rng.IntN(len(requests))], began.Add(moments[i])
	})
}

// each sends every request once, on n connections.
func each(addr string, n int, requests [][]byte) *tally {
	var next atomic.Int64
	return volley(addr, n, func(*rand.Rand) ([]byte, time.Time) {
		i := int(next.Add(1)) - 1
		if i >= len(requests) {
			return nil, time.Time{}
		}
		return requests[i], time.Time{}
	})
}
