package server

import (
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/web"
)

// A frame is what all pages show around their own part.
type frame struct {
	*visit
	Title   string
	Here    string // the page's name, for the navigation
	User    string // "" where nobody is signed in
	Admin   bool
	Live    bool // the page follows changes by itself
	Scripts bool
	Passes  bool // there are some here
	Links   bool // they may make some, or have some
	Copy    bool // the page has something to copy, and may have a script for it
	Hub     Hub
	Main    any
}

// show sends a page. Where it cannot be made nothing of it is sent.
func (s *Server) show(v *visit, name, title string, main any) error {
	return s.showStatus(v, http.StatusOK, name, title, main)
}

func (s *Server) showStatus(v *visit, status int, name, title string, main any) error {
	f := frame{
		visit: v, Title: title, Here: name, User: v.who.Caller.User.Name, Hub: s.c.Hub, Main: main, Scripts: !s.c.Shared,
		Admin: !s.c.Shared && v.who.Caller.User.Name != "" && s.c.Admin(v.who.Caller),
	}
	f.Live = f.Scripts && f.User != "" && name == "access"
	f.Links = f.User != "" && s.linker(v)
	f.Passes, f.Copy = s.c.Broker.Passes != nil, f.Scripts && name == "passmade"
	b, err := s.pages.Render(name, f)
	if err != nil {
		return fmt.Errorf("show the page %s: %w", name, err)
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.WriteHeader(status)
	if v.r.Method != http.MethodHead {
		_, _ = v.w.Write(b) // the browser went away
	}
	return nil
}

// trouble is what the page of an error shows.
type trouble struct {
	*Refusal
	Go, GoText string
}

func (s *Server) problemPage(w http.ResponseWriter, r *http.Request, status int, ref *Refusal) {
	setHead(w, s.page)
	if r.Header.Get("HX-Request") != "" && status == http.StatusForbidden {
		w.Header().Set("HX-Refresh", "true") // the page that follows changes is over: this one takes its place
	}
	t := trouble{Refusal: ref, Go: s.base, GoText: "To the page of your access"}
	if ref.Link != "" {
		t.Go, t.GoText = s.path(ref.Link), "Go on"
	}
	err := s.showStatus(s.visitor(w, r, status), status, "problem", "That did not work", t)
	if err != nil {
		s.log.Error("the page of an error cannot be shown", "error", err)
		http.Error(w, ref.Error(), status)
	}
}

// done is a page that says what was done.
type done struct {
	Text       string
	Ended      Ended
	Go, GoText string
}

// funcs are what the templates call.
func (s *Server) funcs() template.FuncMap {
	return template.FuncMap{
		"file": func(name string) (string, error) { return s.static.Path(name) },
		"path": func(parts ...string) string {
			for i := range parts {
				parts[i] = escapeSegment(parts[i])
			}
			return s.path(strings.Join(parts, "/"))
		},
		"base": func() string { return s.base },
		"when": func(t time.Time) template.HTML { return when(t) },
		"left": func(t time.Time) string { return left(t, s.c.Now()) },
		"ago":  func(t time.Time) string { return ago(t, s.c.Now()) },
		"kind": kindWord,
		"span": func(d time.Duration) string {
			if d <= 0 {
				return "a short time"
			}
			return span(d)
		},
		"tab": func(text, page, name, here string) tab {
			return tab{Text: text, Path: s.path(page), Current: name == here}
		},
		"lines":    func(caption string, lines []Activity) lineTable { return lineTable{caption, lines} },
		"named":    s.named,
		"sentence": sentence,
		"size":     web.Size,
		"toint":    func(n int64) int { return int(n) },
		"count": func(n int, one, many string) string {
			if n == 1 {
				return "1 " + one
			}
			return fmt.Sprintf("%d %s", n, many)
		},
	}
}

// A tab is one entry of the navigation.
type tab struct {
	Text, Path string
	Current    bool
}

// A lineTable is lines of the activity under a caption.
type lineTable struct {
	Caption string
	Lines   []Activity
}

// escapeSegment keeps a host's colon as it is, as browsers do.
func escapeSegment(s string) string {
	return strings.ReplaceAll(url.PathEscape(s), "%3A", ":")
}

// named is what people call a host.
func (s *Server) named(host string) string {
	for _, h := range s.c.Broker.Hosts {
		if h.Host == host && h.Name != "" {
			return h.Name
		}
	}
	return host
}

// when writes a time with its zone. It is all digits, so that it is safe as HTML.
func when(t time.Time) template.HTML {
	if t.IsZero() {
		return "never"
	}
	t = t.UTC()
	return template.HTML(`<time datetime="` + t.Format(time.RFC3339) + `">` + t.Format("2006-01-02 15:04") + ` UTC</time>`)
}

// left says how long it is until t.
func left(t, now time.Time) string {
	if !t.After(now) {
		return "over"
	}
	return span(t.Sub(now)) + " left"
}

func ago(t, now time.Time) string {
	switch {
	case t.IsZero():
		return "never"
	case now.Sub(t) < time.Minute:
		return "just now"
	}
	return span(now.Sub(t)) + " ago"
}

func span(d time.Duration) string {
	one := func(n int, word string) string {
		if n == 1 {
			return "1 " + word
		}
		return fmt.Sprintf("%d %ss", n, word)
	}
	switch minutes := int(d.Minutes()); {
	case minutes < 1:
		return "less than a minute"
	case minutes < 60:
		return one(minutes, "minute")
	case minutes < 48*60:
		if m := minutes % 60; m != 0 && minutes < 12*60 {
			return one(minutes/60, "hour") + " " + one(m, "minute")
		}
		return one(minutes/60, "hour")
	default:
		return one(minutes/(24*60), "day")
	}
}

// kindWord says in words what a line of the activity is about.
func kindWord(kind string) string {
	if w, ok := kindWords[kind]; ok {
		return w
	}
	return kind
}

var kindWords = map[string]string{
	"credential": "Token made", "refusal": "Access asked for", "connect": "Connected", "disconnect": "Disconnected",
	"needs-consent": "Has to be connected again", "refresh": "Connection renewed", "revoke": "Token ended",
	"login-handed-in": "Connected by the hub's login", "share": "Shared", "share-end": "Sharing ended", "approve": "More repositories allowed for a day",
	"sign-in": "Token of the hub used", "pin": "Repository noted", "server-stopped": "Server stopped", "cut-off": "Ended by an admin",
	"read": "Content read", "link": "Link made", "link-change": "Link changed", "link-end": "Link ended", "enrol": "Enrolment changed",
	"pass": "Pass made", "pass-end": "Pass ended", "pass-use": "Pass used", "device": "Code of a device", "exchange": "Pass made for a job", "gateway": "Package gateway",
	"allow": "Allowed again by an admin", "restore": "Restored from a backup", "keys": "Keys changed", "audit-difference": "Rules on trial differ", "erase": "Erased",
}

// clean makes a text of somebody else's fit for a sentence of ours: at most n
// characters, all of them printable.
func clean(text string, n int) string {
	var b strings.Builder
	for _, r := range text {
		if n--; n < 0 {
			b.WriteRune('…')
			break
		}
		if !unicode.IsPrint(r) {
			r = '·'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// sentence gives words of a message a capital letter and a full stop.
func sentence(text string) string {
	r, n := utf8.DecodeRuneInString(text)
	if n == 0 {
		return ""
	}
	text = string(unicode.ToUpper(r)) + text[n:]
	if strings.HasSuffix(text, ".") || strings.HasSuffix(text, "!") || strings.HasSuffix(text, "?") {
		return text
	}
	return text + "."
}

// userName is for logs.
func userName(u daypass.User) string { return u.Hub + "/" + u.Name }
