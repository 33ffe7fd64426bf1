package pullpage

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/daypass-dev/daypass/pull"
)

// linkView is the page of a link before its pull.
type linkView struct {
	Link     Link
	Query    string
	Question bool // a person has to say yes
	Aside    bool // the folder would be put aside
	Runs     bool
	Again    bool // it runs already
	Token    string
	Connect  string // a page to visit first; "" is none
	Host     string // that is connected there
	Progress progressView
}

type progressView struct {
	Hidden        bool
	Events        string // where to follow it
	Text, Numbers string
}

// linkPage shows what a link brings. It changes nothing.
func (v *visit) linkPage() error {
	if v.r.URL.RawQuery == "" {
		return v.homePage()
	}
	// A password or token leaves the address before anything is shown.
	if query, held, err := v.s.withoutLogin(v.r.URL.RawQuery, v.query); err != nil {
		return err
	} else if held {
		return v.redirect("./?" + query)
	}
	if framed(v.r) {
		return v.show(http.StatusOK, "framed", "Open in a new tab", "./?"+v.r.URL.RawQuery)
	}
	l, err := v.s.read(v.r.Context(), v.query, false)
	if err != nil {
		return err
	}
	if l.Content != nil && l.Content.Connect != "" {
		return v.connectFirst(l)
	}
	view := linkView{Link: l, Query: v.r.URL.RawQuery, Runs: l.Target.Runs, Progress: progressView{Hidden: true}}
	var running Request
	running, view.Again = v.s.running(v.s.folder(l.Folder))
	view.Again = view.Again && running.same(v.s.request(l))
	view.Aside = v.s.asides(l)
	view.Question = !view.Again && (view.Aside || v.s.mustAsk(l))
	asked := ""
	if view.Question {
		asked = "yes"
	}
	if view.Token, err = v.s.token(boundTo("begin", view.Query, asked, "", "", "", "", "")); err != nil {
		return err
	}
	return v.show(http.StatusOK, "link", l.Origin.Name, view)
}

// connectFirst leads to the access service's page for connecting a host, which leads
// back to this very link.
func (v *visit) connectFirst(l Link) error {
	view := linkView{Link: l, Query: v.r.URL.RawQuery, Connect: v.s.back(l.Content.Connect, l.Content.Link), Host: v.s.toConnect(l.Content.Connect), Progress: progressView{Hidden: true}}
	return v.show(http.StatusOK, "link", l.Origin.Name, view)
}

// homePage takes an address, and lists the folders that were pulled into.
func (v *visit) homePage() error {
	entries, err := v.s.book.folders()
	if err != nil {
		return err
	}
	type known struct {
		Folder, Sentence string
		At               time.Time
	}
	var list []known
	for _, e := range entries {
		rel, ok := strings.CutPrefix(e.Report.Folder, v.s.c.Root+"/")
		if _, err := v.place(rel); ok && err == nil && v.s.exists(rel) && len(list) < maxBackups {
			list = append(list, known{rel, e.Report.Sentence(), e.At})
		}
	}
	return v.show(http.StatusOK, "home", "Bring course files", struct{ Folders []known }{list})
}

// mustAsk reports whether a person has to agree before anything is fetched. Where the
// site lists the owner, or the folder is already theirs, nobody has to, but for what is
// not the owner's word or can be changed on the way.
func (s *Server) mustAsk(l Link) bool {
	if l.Content != nil {
		return s.mustAskOf(l)
	}
	listed := s.c.Settings.trusts(l.Origin)
	switch {
	case l.Origin.Open() && !listed:
		return true
	case l.Proposed && !s.agreedTo(l):
		return true
	case listed:
		return false
	}
	st, ok, err := s.c.State(s.folder(l.Folder))
	if err != nil || !ok && st.Source == "" {
		return true
	}
	if !ok { // only its .git/config says so, which somebody else may have made
		return !pull.SameSource(st.Source, l.Origin.url)
	}
	from, err := readOrigin(st.Source)
	return err != nil || !l.Origin.Same(from)
}

// mustAskOf is mustAsk of content. The access service's links are made by those whom the
// hub's admins let make them.
func (s *Server) mustAskOf(l Link) bool {
	if l.Content.Link != "" || s.c.Settings.trusts(l.Origin) {
		return s.elsewhere(l)
	}
	st, ok, err := s.c.State(s.folder(l.Folder))
	return err != nil || !ok || !s.from(l, st)
}

// agreedTo reports whether the link names the very commit that somebody last agreed to
// in its folder. What another ref stands for only its host knows.
func (s *Server) agreedTo(l Link) bool {
	ref := l.Ref
	if ref == "" {
		ref = l.Origin.Ref
	}
	return bareCommit(ref) && s.book.opened(s.folder(l.Folder))[proposedKey] == strings.ToLower(ref)
}

// proposedKey is where the book has that commit: no target has such a name.
const proposedKey = "//proposed"

// asides reports whether a link would put a folder aside: any page can lead to such
// a link, so that nobody's folder is moved without their yes.
func (s *Server) asides(l Link) bool { return l.Backup && s.exists(l.Folder) }

// begin starts a pull: of the very link whose page was shown.
func (v *visit) begin() error {
	values, err := ReadQuery(v.form["link"])
	if err != nil {
		return err
	}
	l, err := v.s.read(v.r.Context(), values, true)
	if err != nil {
		return err
	}
	if v.form["fresh"] != "" {
		if v.form["sure"] != "yes" {
			return notFromHere("the box that says yes is empty")
		}
		l.Backup = true
	}
	r := v.s.request(l)
	if v.form["asked"] == "" && v.form["fresh"] == "" && (v.s.asides(l) || v.s.mustAsk(l)) {
		running, runs := v.s.running(r.Folder)
		if r.Only = runs; !runs {
			return tooOld() // what made the question needless is over
		}
		if !running.same(r) {
			return otherPull(l.Folder)
		}
	}
	if r.Login, err = v.s.openLogin(values[sealedLogin]); err != nil {
		return err
	}
	if l.Unnamed && !r.Only {
		v.s.name(v.r.Context(), &l, values)
		r.Folder = v.s.folder(l.Folder)
	}
	j, err := v.s.begin(v.form["link"], l, r, v.form["asked"] == "yes")
	if err != nil {
		return err
	}
	if v.r.Header.Get("Accept") == "application/json" {
		v.json(http.StatusOK, struct {
			ID     string `json:"id"`
			Events string `json:"events"`
		}{j.id, "events?id=" + j.id})
		return nil
	}
	v.wait(j)
	return v.redirect("pull?id=" + j.id)
}

// patience is how long a browser without script waits for an answer; proxies give
// up after five minutes.
const patience = 4 * time.Minute

// wait waits for the end of a pull.
func (v *visit) wait(j *job) {
	until := time.NewTimer(patience)
	defer until.Stop()
	for {
		st, changed := v.s.status(j)
		if st.Phase != "syncing" {
			return
		}
		select {
		case <-changed:
		case <-until.C:
			return
		case <-v.r.Context().Done():
			return
		}
	}
}

const (
	beat      = 15 * time.Second // between two signs of life
	streamFor = 20 * time.Minute // then the browser comes again
)

// events tells how far a pull is, by server-sent events (WHATWG HTML).
func (v *visit) events() error {
	j, err := v.s.job(v.query["id"])
	if err != nil {
		return err
	}
	h := v.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	v.w.WriteHeader(http.StatusOK)
	rc := http.NewResponseController(v.w)
	alive, end := time.NewTicker(beat), time.NewTimer(streamFor)
	defer alive.Stop()
	defer end.Stop()
	for {
		st, changed := v.s.status(j)
		b, err := json.Marshal(st)
		if err != nil {
			return nil // every status can be written
		}
		if _, err := fmt.Fprintf(v.w, "data: %s\n\n", b); err != nil || rc.Flush() != nil || st.Phase != "syncing" {
			return nil
		}
		if !v.next(changed, alive.C, end.C) {
			return nil
		}
		time.Sleep(50 * time.Millisecond) // many changes are told as one
	}
}

// next waits for a change, and keeps the line alive meanwhile.
func (v *visit) next(changed <-chan struct{}, alive, end <-chan time.Time) bool {
	for {
		select {
		case <-changed:
			return true
		case <-alive:
			if _, err := fmt.Fprint(v.w, ": still here\n\n"); err != nil || http.NewResponseController(v.w).Flush() != nil {
				return false
			}
		case <-end:
			return false
		case <-v.r.Context().Done():
			return false
		case <-v.s.ctx.Done():
			return false
		}
	}
}

// status tells once how far a pull is.
func (v *visit) status() error {
	j, err := v.s.job(v.query["id"])
	if err != nil {
		return err
	}
	st, _ := v.s.status(j)
	v.json(http.StatusOK, st)
	return nil
}

// doneView is the page of a pull that ended well.
type doneView struct {
	ID, Token string
	Sentence  string
	Landing   landing
	Land      bool
	Notes     []string
	Aside     string
	Folder    string
	Changes   changesView
}

// pullPage shows a pull that was begun: how far it is, or what came of it.
func (v *visit) pullPage() error {
	j, err := v.s.job(v.query["id"])
	if err != nil {
		return err
	}
	st, _ := v.s.status(j)
	switch st.Phase {
	case "syncing":
		here := "pull?id=" + j.id
		return v.show(http.StatusOK, "running", j.link.Origin.Name, struct {
			Link     Link
			Progress progressView
			Here     string
		}{j.link, progressView{Events: "events?id=" + j.id, Text: st.Text, Numbers: st.Numbers}, here})
	case "error":
		return v.failedPage(j)
	}
	view := doneView{ID: j.id, Sentence: j.report.Sentence(), Landing: v.s.landing(j), Land: v.query["stay"] == "", Folder: j.link.Folder, Changes: v.s.changes(j.link.Folder, j.report)}
	for _, n := range j.report.Notes {
		view.Notes = append(view.Notes, v.s.plain(n))
	}
	if err := v.s.offer(&view.Changes, j.request.Folder, map[string]bool{}); err != nil {
		return err
	}
	if j.report.Aside != "" {
		view.Aside = path.Base(j.report.Aside)
	}
	if view.Token, err = v.s.token(boundTo("open", "", "", "", view.Landing.Sum, "", j.id, "")); err != nil {
		return err
	}
	return v.show(http.StatusOK, "done", view.Sentence, view)
}

func (v *visit) failedPage(j *job) error {
	p := *problemOf(j.err)
	p.What, p.Why, p.Next, p.Who = v.s.plain(p.What), v.s.plain(p.Why), v.s.plain(p.Next), v.s.plain(p.Who)
	view := failed{Problem: &p, Again: "./?" + j.query, Without: v.s.c.Base, Folder: j.link.Folder, Query: j.query, Send: v.s.send(&p, j.link, "")}
	view.Connect, view.Accept = v.s.connectIn(p.Code, j.link, p.Next), v.s.invitedIn(p.Code, p.Next)
	if v.s.exists(j.link.Folder) {
		t, ok := v.s.found(j.link)
		if !ok || t.Runs {
			t = j.link.FolderTarget(v.s.c.Settings)
		}
		view.Without = v.s.c.Base + t.Path
		var err error
		if view.Token, err = v.s.token(boundTo("begin", j.query, "", "", "", "", "", "yes")); err != nil {
			return err
		}
	}
	return v.show(http.StatusOK, "failed", "That did not work", view)
}

// open goes to a target that runs what was brought, since a person said so.
func (v *visit) open() error {
	j, err := v.s.job(v.form["id"])
	if err != nil {
		return err
	}
	if !j.over() || j.err != nil {
		return noSuchPull()
	}
	l := v.s.landing(j)
	switch sum := v.form["file"]; {
	case sum != l.Sum: // what was shown is not what is there
		return tooOld()
	case sum != "":
		v.s.agree(j.request.Folder, kernelKey(l.dir), sum)
	case j.report.New != "":
		v.s.agree(j.request.Folder, j.link.Target.Path, j.report.New)
	}
	return v.redirect("../" + l.to.Path)
}

// oldAPI is where nbgitpuller's own page asked for a pull, by a GET.
func (v *visit) oldAPI() error { return nowhere() }

func (v *visit) nowhere() error { return nowhere() }
