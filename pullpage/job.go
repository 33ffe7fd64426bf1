package pullpage

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pull"
	"github.com/daypass-dev/daypass/web"
)

const (
	jobFor  = time.Hour // how long what became of a pull can be looked up
	maxJobs = 200
)

// A job is one link that a browser followed, from the moment it began. Links that ask
// for the same content share a pull, and each leads to its own target.
type job struct {
	id    string // unguessable
	query string // of the link
	link  Link
	asked bool // somebody has said yes to this source and this target
	*run
}

// A run is one pull.
type run struct {
	request Request

	mu      sync.Mutex
	changed chan struct{} // closed at each change
	event   pull.Event
	meter   meter
	done    bool
	report  pull.Report
	err     error
	ended   time.Time
}

// request is the pull of a link.
func (s *Server) request(l Link) Request {
	return Request{Repo: l.Repo, Ref: l.Ref, Folder: s.folder(l.Folder), Root: s.c.Root, Depth: l.Depth, Backup: l.Backup}
}

// begin starts the pull of a link, or finds the one that runs. With r.Only it starts
// none.
func (s *Server) begin(query string, l Link, r Request, asked bool) (*job, error) {
	id, err := s.random(32)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget()
	j := &job{id: id, query: query, link: l, asked: asked}
	for _, other := range s.jobs {
		switch {
		case other.request.Folder != r.Folder || other.over():
		case !other.request.same(r):
			return nil, otherPull(l.Folder)
		case other.query == query && other.asked == asked:
			return other, nil
		default:
			j.run = other.run
		}
	}
	if len(s.jobs) >= maxJobs {
		return nil, tooMuch()
	}
	s.jobs[id] = j
	if j.run == nil {
		j.run = &run{request: r, changed: make(chan struct{}), event: pull.Event{Phase: pull.Looking, At: s.c.Now()}}
		go s.work(j.run)
	}
	return j, nil
}

// work waits for the pull and keeps its report.
func (s *Server) work(j *run) {
	report, err := s.c.Run(s.ctx, j.request, func(e pull.Event) { j.tell(e, s.c.Now()) })
	now := s.c.Now()
	if err == nil {
		if e := s.book.keep(j.request.Folder, Entry{At: now, Report: report}); e != nil {
			s.c.Log.Warn("the report of a pull was not kept", "error", e)
		}
		s.agreeAll(j, report.New)
	} else {
		s.c.Log.Info("a pull failed", "error", err)
	}
	j.mu.Lock()
	j.done, j.report, j.err, j.ended = true, report, err, now
	close(j.changed)
	j.changed = make(chan struct{})
	j.mu.Unlock()
}

// agreeAll remembers what was said yes to before the pull began.
func (s *Server) agreeAll(r *run, commit string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range s.jobs {
		if j.run != r || !j.asked || commit == "" {
			continue
		}
		s.agree(r.request.Folder, j.link.Target.Path, commit)
		if j.link.Proposed {
			s.agree(r.request.Folder, proposedKey, commit)
		}
	}
}

// forget drops jobs that ended long ago, and the oldest where there are too many.
// s.mu is held.
func (s *Server) forget() {
	now := s.c.Now()
	var oldest string
	var ended time.Time
	for id, j := range s.jobs {
		j.mu.Lock()
		done, at := j.done, j.ended
		j.mu.Unlock()
		switch {
		case !done:
		case now.Sub(at) > jobFor:
			delete(s.jobs, id)
		case oldest == "" || at.Before(ended):
			oldest, ended = id, at
		}
	}
	if len(s.jobs) >= maxJobs {
		delete(s.jobs, oldest)
	}
}

// job finds the job of an id.
func (s *Server) job(id string) (*job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if j, ok := s.jobs[id]; ok {
		return j, nil
	}
	return nil, noSuchPull()
}

// running finds the pull of a folder that runs, begun here or under another name
// of the page.
func (s *Server) running(folder string) (Request, bool) {
	s.mu.Lock()
	for _, j := range s.jobs {
		if j.request.Folder == folder && !j.over() {
			s.mu.Unlock()
			return j.request, true
		}
	}
	s.mu.Unlock()
	return s.c.Running(folder)
}

func (j *run) over() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.done
}

func (j *run) tell(e pull.Event, now time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if e.Phase != j.event.Phase {
		j.meter = meter{}
	}
	j.meter.add(e.Bytes, now)
	j.event = e
	close(j.changed)
	j.changed = make(chan struct{})
}

// A meter measures how fast bytes come.
type meter struct {
	at    time.Time
	bytes int64
	rate  float64 // bytes a second
}

// add takes a count of bytes; what came in short spans is averaged over them.
func (m *meter) add(bytes int64, now time.Time) {
	if m.at.IsZero() || bytes < m.bytes {
		m.at, m.bytes = now, bytes
		return
	}
	span := now.Sub(m.at).Seconds()
	if span < 0.25 {
		return
	}
	r := float64(bytes-m.bytes) / span
	if m.rate > 0 {
		r = 0.6*m.rate + 0.4*r
	}
	m.at, m.bytes, m.rate = now, bytes, r
}

// A status is what a page that follows a pull is told. Phase and Output are
// nbgitpuller's, the rest is ours.
type status struct {
	Phase  string `json:"phase"` // "syncing", "finished", "error"
	Output string `json:"output,omitempty"`

	Step       string `json:"step,omitempty"`    // pull's own phase
	Text       string `json:"text,omitempty"`    // what happens, for people
	Numbers    string `json:"numbers,omitempty"` // how far, for people
	Percent    int    `json:"percent"`           // -1: not known
	Bytes      int64  `json:"bytes,omitempty"`
	BytesTotal int64  `json:"bytes_total,omitempty"`
	Files      int64  `json:"files,omitempty"`
	FilesTotal int64  `json:"files_total,omitempty"`
	Rate       int64  `json:"rate,omitempty"` // bytes a second
	Left       int64  `json:"left,omitempty"` // seconds

	Message string `json:"message,omitempty"` // of an error
	Error   *told  `json:"error,omitempty"`
	Page    string `json:"page,omitempty"`   // the page of ours to go to
	Target  string `json:"target,omitempty"` // where to go at once
}

// told is an error as nbgitpuller's page gets it.
type told struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// status tells how far a job is, and what to wait for to know more.
func (s *Server) status(j *job) (status, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	page := "pull?id=" + j.id
	switch {
	case j.done && j.err != nil:
		p := problemOf(j.err)
		return status{Phase: "error", Message: s.plain(p.Error()), Output: s.plain(p.Error()) + "\n", Error: &told{p.Code, s.plain(p.What)}, Page: page, Percent: -1}, j.changed
	case j.done:
		st := status{Phase: "finished", Output: j.report.Sentence() + "\n", Text: j.report.Sentence(), Percent: 100, Page: page}
		if l := s.landing(j); l.Now {
			st.Target = l.Href
		}
		return st, j.changed
	}
	e := j.event
	st := status{Phase: "syncing", Step: string(e.Phase), Text: stepText(j.link, e), Percent: percent(e), Bytes: e.Bytes, BytesTotal: e.BytesTotal, Files: e.Files, FilesTotal: e.FilesTotal, Rate: int64(j.meter.rate)}
	if j.meter.rate > 1 && e.BytesTotal > e.Bytes {
		st.Left = int64(float64(e.BytesTotal-e.Bytes)/j.meter.rate) + 1
	}
	st.Numbers = numbers(st)
	st.Output = strings.TrimSpace(st.Text+" "+st.Numbers) + "\n"
	return st, j.changed
}

// stepText says what happens.
func stepText(l Link, e pull.Event) string {
	from := l.Origin.Host
	if l.Content != nil && l.Content.Link != "" {
		from = l.Origin.Name
	}
	if from == "" {
		from = "the source"
	}
	switch e.Phase {
	case pull.Looking:
		if l.Content != nil && l.Content.Link != "" {
			return "Looking for the newest version of " + from
		}
		return "Asking " + from + " for the newest version"
	case pull.Fetching:
		if l.Content != nil && l.Content.Link != "" {
			return "Fetching " + from
		}
		return "Fetching files from " + from
	case pull.Merging:
		return "Joining it with your work"
	case pull.Writing:
		return "Writing files into your folder"
	}
	return "Almost there"
}

// shares are the parts of the whole that each phase takes.
var shares = map[pull.Phase][2]int{pull.Looking: {2, 10}, pull.Fetching: {10, 70}, pull.Merging: {70, 80}, pull.Writing: {80, 98}, pull.Done: {98, 100}}

// percent is how far the whole is. Where a phase does not know its own size it
// stands at its beginning.
func percent(e pull.Event) int {
	span, ok := shares[e.Phase]
	if !ok {
		return -1
	}
	part, whole := e.Bytes, e.BytesTotal
	if whole <= 0 {
		part, whole = e.Files, e.FilesTotal
	}
	if whole <= 0 {
		return span[0]
	}
	return span[0] + int(int64(span[1]-span[0])*min(max(part, 0), whole)/whole)
}

// numbers says how far a phase is: "12 of 40 files · 3.1 of 8.0 MB · 1.2 MB/s · 4 s left".
func numbers(s status) string {
	var out []string
	switch {
	case s.FilesTotal > 0:
		out = append(out, fmt.Sprintf("%d of %s", s.Files, counted(int(s.FilesTotal), "file")))
	case s.Files > 0:
		out = append(out, counted(int(s.Files), "file"))
	}
	switch {
	case s.BytesTotal > 0:
		out = append(out, web.Size(s.Bytes)+" of "+web.Size(s.BytesTotal))
	case s.Bytes > 0:
		out = append(out, web.Size(s.Bytes))
	}
	if s.Rate > 0 && s.Bytes > 0 {
		out = append(out, web.Size(s.Rate)+"/s")
	}
	if s.Left > 0 {
		out = append(out, lasts(time.Duration(s.Left)*time.Second)+" left")
	}
	return strings.Join(out, " · ")
}

// problemOf makes any error one that can be told.
func problemOf(err error) *daypass.Problem {
	var p *daypass.Problem
	if errors.As(err, &p) {
		return p
	}
	return brokenOff(err)
}

// plain takes the paths above the server's root out of a text, for what is shown
// and sent: they name the user.
func (s *Server) plain(text string) string {
	if s.c.Root == "/" {
		return text // nothing is above it
	}
	text = strings.ReplaceAll(text, s.c.Root+"/", "")
	text = strings.ReplaceAll(text, s.c.Root, "your files")
	return text
}

// A landing is where a pull that ended leads to.
type landing struct {
	Href    string // "" is nowhere
	Text    string // on the button
	Now     bool   // go there at once
	Soon    bool   // go there in a moment, after what was kept was said
	Ask     bool   // it runs what has changed: only by a person's press
	Missing string // what the link names and is not there
	App     string
	Starts  string // files that run when it is opened, though it is only a notebook
	Sum     string // of those

	to  Target
	dir string // of those files
}

// landing judges where the browser goes after the pull. j.mu is held, or the job is over.
func (s *Server) landing(j *job) landing {
	l := landing{App: j.link.Target.App}
	if fixed, ok := s.found(j.link); ok {
		l.to = fixed
	} else {
		l.Missing = j.link.Target.File
		l.to = j.link.FolderTarget(s.c.Settings)
	}
	l.Href, l.Text = s.c.Base+l.to.Path, "Open "+opens(l.to)
	if l.to.Runs && (j.report.New == "" || !s.agreed(j.request.Folder, j.link.Target, j.report.New)) {
		l.Ask = true
		return l
	}
	if b := s.begins(j.link, l.to); !l.to.Runs && len(b.Files) > 0 && s.book.opened(j.request.Folder)[kernelKey(b.Dir)] != b.Sum {
		l.Ask, l.Starts, l.Sum, l.dir = true, b.shown(), b.Sum, b.Dir
		return l
	}
	kept := keptPlaces(j.report)
	l.Now = kept == 0 && l.Missing == "" && j.report.Aside == "" && len(j.report.Notes) == 0
	l.Soon = !l.Now
	return l
}

// opens names what a target opens.
func opens(t Target) string {
	switch {
	case t.File != "":
		return path.Base(t.File)
	case t.App != "":
		return t.App
	}
	return "the page"
}

// keptPlaces counts where the user's side stands against the source's.
func keptPlaces(r pull.Report) int {
	n := 0
	for _, c := range r.Changes {
		if c.What == pull.Kept || c.Kept > 0 || c.What == pull.Aside || c.What == pull.LeftOut {
			n++
		}
	}
	return n
}
