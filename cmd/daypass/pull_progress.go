package main

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/daypass-dev/daypass/pull"
)

const (
	redrawEvery = 100 * time.Millisecond // at most so often
	idleEvery   = time.Second            // so often where nothing comes: time goes on
	sayEvery    = 10 * time.Second       // in plain mode, within a phase
	rateSpan    = 3 * time.Second        // what a rate is taken over
)

// A progress shows a pull while it runs: a bar that is redrawn, lines, or
// objects. Its zero times mean never.
type progress struct {
	s     *screen
	quiet bool
	hint  string // what makes a slow one faster; said once, where it is slow
	now   func() time.Time
	width func() int // of the terminal, in columns

	mu     sync.Mutex
	last   pull.Event
	began  time.Time // of the phase
	shown  time.Time
	marks  []mark // of the phase, oldest first
	drawn  bool
	done   chan struct{}
	ticker sync.WaitGroup
}

// A mark is how much had come at a time.
type mark struct {
	at          time.Time
	bytes, done int64
}

func (a *app) newProgress(s *screen, quiet bool) *progress {
	p := &progress{s: s, quiet: quiet, now: a.now, width: a.width, done: make(chan struct{})}
	if p.width == nil {
		p.width = func() int { return 80 }
	}
	if s.rich && !quiet {
		p.ticker.Add(1)
		go p.tick()
	}
	return p
}

// tick redraws while nothing comes, so that a line that stands still is not
// taken for one that moves.
func (p *progress) tick() {
	defer p.ticker.Done()
	t := time.NewTicker(idleEvery)
	defer t.Stop()
	for {
		select {
		case <-p.done:
			return
		case <-t.C:
			p.mu.Lock()
			if p.drawn && p.now().Sub(p.shown) >= idleEvery {
				p.draw()
			}
			p.mu.Unlock()
		}
	}
}

// end takes the bar away; what it showed, the summary says.
func (p *progress) end() {
	close(p.done)
	p.ticker.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn {
		p.s.redraw("")
	}
}

func (p *progress) phase() pull.Phase {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last.Phase
}

// event takes a step of a pull.
func (p *progress) event(e pull.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	fresh := e.Phase != p.last.Phase
	if fresh {
		p.began = now
	}
	done, total := share(e)
	if was, before := share(p.last); fresh || total != before || done < was {
		p.marks = nil // another thing is counted
	}
	p.last = e
	p.mark(now, mark{now, e.Bytes, done})
	last := total > 0 && done >= total
	p.advise(now, e.Phase)
	switch {
	case p.s.json:
		if fresh || last || e.Text != "" && done == 0 || now.Sub(p.shown) >= redrawEvery {
			p.shown = now
			p.s.object(map[string]shownEvent{"event": {Event: e, Rate: int64(p.rate(mark.inBytes)), Left: p.left()}})
		}
	case p.quiet:
	case p.s.rich:
		if fresh || now.Sub(p.shown) >= redrawEvery {
			p.draw()
		}
	case fresh && e.Phase != pull.Done:
		p.shown = now
		p.s.say("%s …", words(e.Phase))
	case now.Sub(p.shown) >= sayEvery:
		p.shown = now
		p.s.say("%s: %s", words(e.Phase), strings.Join(p.parts(), ", "))
	}
}

// hintAfter is how long a person waits before being told how not to.
const hintAfter = 15 * time.Second

func (p *progress) advise(now time.Time, at pull.Phase) {
	if p.hint == "" || p.quiet || p.s.json || at != pull.Fetching || now.Sub(p.began) < hintAfter {
		return
	}
	if p.drawn {
		p.s.redraw("")
	}
	p.s.say("%s", p.hint)
	p.hint = ""
}

// A shownEvent is an event with what follows from those before it.
type shownEvent struct {
	pull.Event
	Rate int64 `json:"rate,omitempty"`         // bytes a second, or files
	Left int64 `json:"seconds_left,omitempty"` // about; 0: not known
}

// share is what a phase counts itself done by: bytes where it knows them all, else
// files, or git's objects.
func share(e pull.Event) (done, total int64) {
	if e.BytesTotal > 0 {
		return e.Bytes, e.BytesTotal
	}
	return e.Files, e.FilesTotal
}

func (m mark) inBytes() int64 { return m.bytes }
func (m mark) inDone() int64  { return m.done }

// mark remembers how far it was, ten times a second for as long as a rate needs.
func (p *progress) mark(now time.Time, m mark) {
	if n := len(p.marks); n > 0 && now.Sub(p.marks[n-1].at) < redrawEvery {
		return
	}
	p.marks = append(p.marks, m)
	for len(p.marks) > 2 && now.Sub(p.marks[0].at) > rateSpan {
		p.marks = p.marks[1:]
	}
}

// rate is how much comes in a second, lately; 0 where that cannot be said.
func (p *progress) rate(of func(mark) int64) float64 {
	if len(p.marks) < 2 {
		return 0
	}
	done, _ := share(p.last)
	first, now := p.marks[0], mark{p.now(), p.last.Bytes, done}
	span := now.at.Sub(first.at)
	if span < 300*time.Millisecond {
		return 0
	}
	return float64(of(now)-of(first)) / span.Seconds()
}

// left is how many seconds what is counted will take, or 0.
func (p *progress) left() int64 {
	done, total := share(p.last)
	rate := p.rate(mark.inDone)
	if total <= done || rate <= 0 {
		return 0
	}
	s := math.Ceil(float64(total-done) / rate)
	if s > 24*3600 {
		return 0
	}
	return int64(s)
}

// parts is what can be said in words: bytes, files, rate, time left.
func (p *progress) parts() []string {
	e := p.last
	var out []string
	if done, total := share(e); total > 0 {
		out = append(out, fmt.Sprintf("%d %%", min(done*100/total, 100)))
	}
	if e.BytesTotal > 0 {
		out = append(out, size(e.Bytes)+" of "+size(e.BytesTotal))
	} else if e.Bytes > 0 {
		out = append(out, size(e.Bytes))
	}
	noun := "file"
	if e.Phase == pull.Fetching {
		noun = "object" // git's: what it sends are files, folders and commits
	}
	if e.FilesTotal > 0 {
		out = append(out, fmt.Sprintf("%d of %s", e.Files, plural(int(e.FilesTotal), noun)))
	} else if e.Files > 0 {
		out = append(out, plural(int(e.Files), noun))
	}
	if rate := p.rate(mark.inBytes); rate >= 1 {
		out = append(out, size(int64(rate))+"/s")
	}
	if left := p.left(); left > 0 {
		out = append(out, remaining(time.Duration(left)*time.Second)+" left")
	}
	if since := p.now().Sub(p.began); len(out) == 0 && since >= time.Second {
		out = append(out, remaining(since))
	}
	return out
}

// draw redraws the line, in as many columns as there are: what says least goes
// first, and the bar takes what remains.
func (p *progress) draw() {
	p.shown, p.drawn = p.now(), true
	columns := p.width() - 1
	head, parts := words(p.last.Phase), p.parts()
	text := strings.TrimSpace(head + "  " + strings.Join(parts, "  "))
	for len(text) > columns && len(parts) > 0 {
		parts = parts[:len(parts)-1]
		text = strings.TrimSpace(head + "  " + strings.Join(parts, "  "))
	}
	if len(text) > columns {
		text = text[:max(columns, 0)]
	}
	done, total := share(p.last)
	if room := min(columns-len(text)-4, 30); total > 0 && room >= 8 {
		full := min(int(float64(room)*float64(done)/float64(total)), room)
		text = head + "  [" + strings.Repeat("#", full) + strings.Repeat("-", room-full) + "]" + strings.TrimPrefix(text, head)
	}
	p.s.redraw(text)
}

// words is what people read for a phase.
func words(phase pull.Phase) string {
	switch phase {
	case pull.Looking:
		return "Looking"
	case pull.Fetching:
		return "Fetching"
	case pull.Merging:
		return "Comparing"
	case pull.Writing:
		return "Writing"
	}
	return "Finishing"
}
