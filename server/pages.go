package server

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
)

const (
	reachTime  = 3 * time.Second // that a page waits for a host
	reachShown = 50
	reachFor   = time.Minute // that a page which follows changes shows what a host said before
	newShown   = 5
	week       = 7 * 24 * time.Hour
	pageLines  = 50
	weekLines  = 2000
)

// accessMain is the page of one's access.
type accessMain struct {
	Cards     []card
	Approvals []Approval
	Moved     []SharedRepo
	Timeline  timeline
	New       []NewServer
	MoreNew   int           // that are not shown
	Longest   time.Duration // that a token made for somebody lasts, at any host
	Sharing   bool
}

// A card is one host on it.
type card struct {
	Connection
	Info     Host
	Reach    Reach
	Shown    []daypass.Right
	ReachErr bool // the host did not say
}

// Live reports whether the host is connected.
func (c card) Live() bool { return c.State == api.StateLive }

// Again reports whether it has to be connected again.
func (c card) Again() bool { return c.State == api.StateConsent }

func (s *Server) accessPage(v *visit) error {
	ctx := v.r.Context()
	list, err := s.c.Broker.Connections(ctx, v.who.Caller)
	if err != nil {
		return err
	}
	m := accessMain{Longest: s.longest()}
	for _, c := range list {
		m.Cards = append(m.Cards, s.card(v.r, v.who.Caller, c))
	}
	if m.Approvals, err = s.c.Broker.Approvals(ctx, v.who.Caller); err != nil {
		return err
	}
	if m.Moved, err = s.moved(ctx, v.who.Caller); err != nil {
		return err
	}
	if s.c.Broker.NewServers != nil {
		if m.New, err = s.c.Broker.NewServers(ctx, v.who.Caller); err != nil {
			return err
		}
		m.MoreNew = max(len(m.New)-newShown, 0)
		m.New = m.New[:len(m.New)-m.MoreNew]
	}
	now := s.c.Now()
	lines, _, err := s.c.Broker.Activity(ctx, v.who.Caller, ActivityQuery{Since: now.Add(-week), Limit: weekLines})
	if err != nil {
		return err
	}
	m.Timeline = draw(lines, now)
	return s.show(v, "access", "Your access", m)
}

func (s *Server) card(r *http.Request, caller daypass.Caller, c Connection) card {
	out := card{Connection: c}
	out.Info, _ = s.host(c.Host)
	if !out.Live() || out.Info.Content { // a site of content has no repositories
		return out
	}
	now, k := s.c.Now(), reachKey{caller.User, c.Host, c.Since}
	known := false
	if r.Header.Get("HX-Request") != "" { // the page's own script, after a change
		out.Reach, known = s.reaches.get(k, now)
	}
	if !known {
		ctx, cancel := context.WithTimeout(r.Context(), reachTime)
		defer cancel()
		var err error
		if out.Reach, err = s.c.Broker.Reach(ctx, caller, c.Host); err != nil {
			out.ReachErr = true
		} else {
			s.reaches.put(k, out.Reach, now)
		}
	}
	out.Shown = out.Reach.Rights[:min(len(out.Reach.Rights), reachShown)]
	return out
}

// activityMain is the page of one's activity.
type activityMain struct {
	Lines   []Activity
	Next    string
	Query   ActivityQuery
	Later   bool // this is not the newest page
	Outcome []option
}

type option struct {
	Value, Text string
	Chosen      bool
}

func outcomes(chosen string) []option {
	out := []option{{"", "Everything", false}, {"ok", "What was done", false}, {"refused", "What was refused", false}, {"failed", "What failed", false}}
	for i := range out {
		out[i].Chosen = out[i].Value == chosen
	}
	return out
}

func (s *Server) activityPage(v *visit) error {
	q := v.r.URL.Query()
	ask := ActivityQuery{Before: q.Get("before"), Outcome: q.Get("show"), Limit: pageLines}
	if len(ask.Before) > 64 {
		return badForm("there is no such place in the activity")
	}
	switch ask.Outcome {
	case "", "ok", "refused", "failed":
	default:
		return badForm("there is no such choice")
	}
	lines, next, err := s.c.Broker.Activity(v.r.Context(), v.who.Caller, ask)
	if err != nil {
		return err
	}
	return s.show(v, "activity", "Activity", activityMain{
		Lines: lines, Next: next, Query: ask, Later: ask.Before != "", Outcome: outcomes(ask.Outcome),
	})
}

// connectPage says what will be asked, and by whom. It changes nothing.
func (s *Server) connectPage(v *visit) error {
	h, err := s.servedHost(v.r)
	if err != nil {
		return err
	}
	now, err := s.stateOf(v.r.Context(), v.who.Caller, h.Host)
	if err != nil {
		return err
	}
	app, _ := s.app(h.Host, false)
	return s.show(v, "connect", "Connect "+s.named(h.Host), struct {
		card
		App  App
		Next goOn
	}{card{Connection: now, Info: h}, app, readGoOn(v.r.URL.Query().Get("next"))})
}

func (s *Server) app(host string, content bool) (App, bool) {
	for _, a := range s.c.Apps {
		if a.Host == host && a.Content == content {
			return a, true
		}
	}
	return App{}, false
}

// longest is how long a token lasts at most, where people connect.
func (s *Server) longest() time.Duration {
	var d time.Duration
	for _, a := range s.c.Apps {
		if !a.Content {
			d = max(d, a.Longest)
		}
	}
	return d
}

// start sends the browser to the host, to say yes there.
func (s *Server) start(v *visit) error {
	h, err := s.servedHost(v.r)
	if err != nil {
		return err
	}
	address, err := s.c.Broker.Start(v.r.Context(), v.who.Caller, v.session, h.Host)
	if err != nil {
		return err
	}
	if err := v.noteNext(h.Host, readGoOn(v.form.Get("next"))); err != nil {
		return err
	}
	http.Redirect(v.w, v.r, address, http.StatusSeeOther)
	return nil
}

// finish takes the browser back from the host. What came back is the broker's
// to judge: it was bound to this session, this person and this host.
func (s *Server) finish(v *visit) error {
	h, err := s.servedHost(v.r)
	if err == nil && (v.r.PathValue("kind") == "canvas") != h.Content {
		err = notServed(h.Host)
	}
	if err != nil {
		return err
	}
	account, err := s.c.Broker.Finish(v.r.Context(), v.who.Caller, v.session, h.Host, v.r.URL.Query())
	if err != nil {
		return err
	}
	s.log.Info("connected", "user", userName(v.who.Caller.User), "host", h.Host, "account", account.ID, "request", s.requestOf(v))
	if next, err := v.takeNext(h.Host); err != nil {
		return err
	} else if next != "" {
		http.Redirect(v.w, v.r, s.path(next.page()), http.StatusSeeOther)
		return nil
	}
	heading := "Connected. Push again."
	if h.Content {
		heading = "Connected"
	}
	return s.show(v, "connected", heading, struct {
		Host    Host
		Account daypass.Account
	}{h, account})
}

func (s *Server) requestOf(v *visit) string {
	if a, ok := v.w.(*answer); ok {
		return a.id
	}
	return ""
}

func (s *Server) disconnect(v *visit) error {
	h, err := s.servedHost(v.r)
	if err != nil {
		return err
	}
	ended, err := s.c.Broker.Disconnect(v.r.Context(), v.who.Caller, h.Host)
	if err != nil {
		return err
	}
	return s.show(v, "done", s.named(h.Host)+" is disconnected", done{
		Text: "Your servers get no more tokens for " + h.Host + ".", Ended: ended, Go: s.base, GoText: "Back to your access",
	})
}

func (s *Server) approve(v *visit) error {
	server := daypass.Server{Name: v.form.Get("server"), Known: v.form.Get("known") == "yes"}
	waits, err := s.c.Broker.Approvals(v.r.Context(), v.who.Caller)
	if err != nil {
		return err
	}
	for _, a := range waits {
		if a.Server != server || a.Writes != (v.form.Get("what") == "write") {
			continue
		}
		allow, title, text := s.c.Broker.Approve, "Allowed for today", "may use more repositories today."
		if a.Writes {
			allow, title, text = s.c.Broker.AllowWrites, "Allowed to write", "may write now. Push again."
		}
		if err := allow(v.r.Context(), v.who.Caller, server); err != nil {
			return err
		}
		return s.show(v, "done", title, done{Text: "The server “" + server.String() + "” " + text, Go: s.base, GoText: "Back to your access"})
	}
	return badForm("that server does not wait for a click")
}

func (s *Server) moved(ctx context.Context, caller daypass.Caller) ([]SharedRepo, error) {
	if s.c.Broker.Moved == nil || s.c.Broker.Confirm == nil {
		return nil, nil
	}
	return s.c.Broker.Moved(ctx, caller)
}

// confirm lets a name mean the repository that bears it now. Only what is
// waited for can be confirmed.
func (s *Server) confirm(v *visit) error {
	list, err := s.moved(v.r.Context(), v.who.Caller)
	if err != nil {
		return err
	}
	host, text, _ := cut(v.form.Get("repo"))
	repo, ok := daypass.ParseRepo(text)
	if !ok || !slices.Contains(list, SharedRepo{Host: host, Repo: text}) {
		return badForm("that name does not wait for a click")
	}
	if err := s.c.Broker.Confirm(v.r.Context(), v.who.Caller, host, repo); err != nil {
		return err
	}
	return s.show(v, "done", "Confirmed", done{
		Text: "The name " + text + " at " + host + " means the repository that bears it now. Repeat the command.", Go: s.base, GoText: "Back to your access",
	})
}

func (s *Server) sharingPage(v *visit) error {
	m, err := s.c.Broker.Sharing(v.r.Context(), v.who.Caller)
	if err != nil {
		return err
	}
	now := s.c.Now().UTC()
	last := now.Add(m.Max)
	return s.show(v, "sharing", "Sharing", struct {
		Sharing
		First, Last, Usual string
	}{m, now.Format(time.DateOnly), last.Format(time.DateOnly), now.Add(min(m.Max, 120*24*time.Hour)).Format(time.DateOnly)})
}

func (s *Server) share(v *visit) error {
	may, err := s.c.Broker.Sharing(v.r.Context(), v.who.Caller)
	if err != nil {
		return err
	}
	host, text, ok := cut(v.form.Get("repo"))
	repo, valid := daypass.ParseRepo(text)
	if !ok || !valid {
		return badForm("no repository was chosen")
	}
	until, err := time.Parse(time.DateOnly, v.form.Get("until"))
	if err != nil {
		return badForm("the last day is not a date such as 2026-07-31")
	}
	until = until.Add(24*time.Hour - time.Second)
	if now := s.c.Now(); !until.After(now) || until.After(now.Add(may.Max).Add(24*time.Hour)) {
		return badForm("the last day is not between today and the latest that the rules allow")
	}
	n := NewShare{Host: host, Repo: repo, Group: v.form.Get("group"), Until: until}
	if n.Group == "" || len(n.Group) > 255 {
		return badForm("no group was chosen")
	}
	if err := s.c.Broker.Share(v.r.Context(), v.who.Caller, n); err != nil {
		return err
	}
	return s.show(v, "done", "Shared", done{
		Text: "The group “" + n.Group + "” can read " + repo.String() + " until the end of " + until.Format(time.DateOnly) + " UTC.",
		Go:   s.path("sharing"), GoText: "Back to sharing",
	})
}

// cut reads "HOST OWNER/NAME", the value of a choice.
func cut(text string) (host, repo string, ok bool) {
	for i := range text {
		if text[i] == ' ' {
			return text[:i], text[i+1:], true
		}
	}
	return "", "", false
}

func (s *Server) endShare(v *visit) error {
	id, err := strconv.ParseInt(v.form.Get("id"), 10, 64)
	if err != nil || id <= 0 {
		return badForm("no share was chosen")
	}
	if err := s.c.Broker.EndShare(v.r.Context(), v.who.Caller, id); err != nil {
		return err
	}
	return s.show(v, "done", "Sharing ended", done{
		Text: "The group can no longer read it. Copies that people made stay with them.", Go: s.path("sharing"), GoText: "Back to sharing",
	})
}

// appPage tells organisation owners what they are asked to allow. It is public:
// they have no account here.
func (s *Server) appPage(v *visit) error {
	host := v.r.PathValue("host")
	return s.showApp(v, host, false)
}

// contentPage is the same for the App that reads course content.
func (s *Server) contentPage(v *visit) error {
	return s.showApp(v, v.r.PathValue("host"), true)
}

func (s *Server) showApp(v *visit, host string, content bool) error {
	app, ok := s.app(host, content)
	if !ok {
		return nothingHere()
	}
	other, both := s.app(host, !content)
	page := "app/" + escapeSegment(host)
	if content {
		page += "/content"
	}
	return s.show(v, "app", "For organisation owners", struct {
		App, Other App
		Both       bool
		Page       string
	}{app, other, both, s.Link(page)})
}

func (s *Server) peoplePage(v *visit) error {
	q := v.r.URL.Query()
	search := q.Get("q")
	after, err := strconv.ParseInt(q.Get("after"), 10, 64)
	if q.Get("after") != "" && err != nil || len(search) > 128 {
		return badForm("there is no such place in the list")
	}
	list, next, err := s.c.Broker.People(v.r.Context(), search, after)
	if err != nil {
		return err
	}
	return s.show(v, "people", "People", struct {
		List  []Person
		Query string
		Next  int64
	}{list, search, next})
}

func personID(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || id <= 0 {
		return 0, nothingHere()
	}
	return id, nil
}

func (s *Server) personPage(v *visit) error {
	id, err := personID(v.r)
	if err != nil {
		return err
	}
	p, err := s.c.Broker.Person(v.r.Context(), id)
	if err != nil {
		return err
	}
	return s.show(v, "person", p.Name, p)
}

func (s *Server) cutOff(v *visit) error {
	id, err := personID(v.r)
	if err != nil {
		return err
	}
	p, err := s.c.Broker.Person(v.r.Context(), id)
	if err != nil {
		return err
	}
	ended, err := s.c.Broker.CutOff(v.r.Context(), v.who.Caller, id)
	if err != nil {
		return err
	}
	s.log.Info("a person was cut off", "admin", userName(v.who.Caller.User), "person", id, "request", s.requestOf(v))
	return s.show(v, "done", p.Name+" is cut off", done{
		Text: "No server of theirs gets a token any more, and their connections have ended.", Ended: ended,
		Go: s.path("people"), GoText: "Back to people",
	})
}

func (s *Server) healthPage(v *visit) error {
	checks, err := s.c.Broker.Health(v.r.Context())
	if err != nil {
		return err
	}
	bad := 0
	for _, c := range checks {
		if !c.Good {
			bad++
		}
	}
	return s.show(v, "health", "Health", struct {
		Checks []Check
		Bad    int
		Mode   string
	}{checks, bad, s.Mode()})
}

// events tells the pages' script that something has changed, and nothing else;
// it then asks for the page again.
func (s *Server) events(v *visit) error {
	if s.c.Shared {
		return ownOriginOnly()
	}
	leave, err := s.rest(v.w, v.who.Caller)
	if err != nil {
		return err
	}
	defer leave()
	changed, stop := s.c.Broker.Changed(v.who.Caller)
	defer stop()
	v.w.Header().Set("Content-Type", "text/event-stream")
	v.w.Header().Set("X-Accel-Buffering", "no")
	rc := http.NewResponseController(v.w)
	send := func(text string) error {
		if _, err := v.w.Write([]byte(text)); err != nil {
			return err
		}
		return rc.Flush()
	}
	if err := send("retry: 5000\n\n"); err != nil {
		return nil // the browser went away
	}
	beat := time.NewTicker(streamBeat)
	defer beat.Stop()
	ctx, cancel := context.WithTimeout(v.r.Context(), streamMax)
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return nil
		case _, ok := <-changed:
			if !ok || send("event: changed\ndata: .\n\n") != nil {
				return nil
			}
			select { // what happens meanwhile is one more change
			case <-ctx.Done():
				return nil
			case <-time.After(streamRest):
			}
		case <-beat.C:
			if in, err := v.signedIn(false); errors.Is(err, daypass.ErrRefused) || err == nil && !in || send(": still here\n\n") != nil {
				return nil
			}
		}
	}
}

const (
	streamBeat = 20 * time.Second
	streamRest = 500 * time.Millisecond // between two changes
	streamMax  = 30 * time.Minute
)
