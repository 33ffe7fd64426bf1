package pullpage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/web"
)

// A frame is what all pages show around their own part.
type frame struct {
	Title  string
	Nonce  string
	Script bool
	Files  string // the server's own first page
	Main   any
}

// show sends a page. Where it cannot be made nothing of it is sent.
func (v *visit) show(status int, name, title string, main any) error {
	b, err := v.s.pages.Render(name, frame{Title: title, Nonce: v.nonce, Script: name != "framed", Files: v.s.c.Base, Main: main})
	if err != nil {
		return fmt.Errorf("show the page %s: %w", name, err)
	}
	h := v.w.Header()
	for k, x := range (web.Policy{Nonce: v.nonce, Scripts: name != "framed", Framed: name == "framed"}).Headers() {
		h[k] = x
	}
	h.Set("Referrer-Policy", "same-origin") // without https a form has to say where it comes from
	if name == "framed" {
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
		h.Set("Cross-Origin-Opener-Policy", "unsafe-none")
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	v.w.WriteHeader(status)
	if v.r.Method != http.MethodHead {
		_, _ = v.w.Write(b) // the browser went away
	}
	return nil
}

// funcs are what the templates call.
func (s *Server) funcs() template.FuncMap {
	return template.FuncMap{
		"file":     func(name string) (string, error) { return s.static.Path(name) },
		"when":     when,
		"sentence": sentence,
		"linked":   s.linked,
		"titled":   func(folder string) string { return strings.TrimSuffix(folder, ".git") },
		"query": func(pairs ...string) (template.URL, error) {
			v := url.Values{}
			for i := 0; i+1 < len(pairs); i += 2 {
				v.Set(pairs[i], pairs[i+1])
			}
			return template.URL(v.Encode()), nil // escaped by Encode
		},
	}
}

// failed is the page of an error.
type failed struct {
	Problem *daypass.Problem
	Connect string // a page to visit first, which leads back to the link; "" is none
	Accept  *invited
	Again   string // where to try again; "" where there is no pull to repeat
	Without string // on, without an update
	Folder  string
	Token   string // for a fresh start; "" where that is no help
	Query   string
	Send    string // what to send to the instructor
}

// trouble shows why a request was not answered: as JSON to a script, else as a page.
func (v *visit) trouble(err error) {
	p := problemOf(err)
	shown := *p
	shown.What, shown.Why = v.s.plain(p.What), v.s.plain(p.Why)
	status := statusOf(p)
	v.s.c.Log.Info("refused", "path", v.r.URL.Path, "code", p.Code)
	if strings.Contains(v.r.Header.Get("Accept"), "application/json") {
		v.json(status, told{Code: p.Code, Message: shown.Error()})
		return
	}
	main := failed{Problem: &shown, Without: v.s.c.Base}
	if p.Code != "DP-381" && p.Code != "DP-389" {
		main.Send = v.s.send(&shown, Link{}, v.query["repo"])
	}
	if name, ok, e := v.s.c.Settings.linkNamed(v.s.c.Name, v.query); ok && e == nil && v.r.URL.Path == "/" {
		v.noLink(name, &main)
	}
	if err := v.show(status, "failed", "That did not work", main); err != nil {
		v.s.c.Log.Error("the page of an error cannot be shown", "error", err)
		http.Error(v.w, shown.Error(), status)
	}
}

// noLink says of a link that the access service refused, or could not be asked about,
// what can be done.
func (v *visit) noLink(name string, main *failed) {
	l := Link{Content: &Content{Link: name}}
	main.Again, main.Send = "./?"+v.r.URL.RawQuery, v.s.send(main.Problem, l, "")
	main.Connect, main.Accept = v.s.connectIn(main.Problem.Code, l, main.Problem.Next), v.s.invitedIn(main.Problem.Code, main.Problem.Next)
	list, err := v.s.book.folders()
	if err != nil {
		return
	}
	for _, e := range list { // the newest first
		if st, ok, err := v.s.c.State(e.Report.Folder); err == nil && ok && st.Via == linkPrefix+name {
			if rel, under := strings.CutPrefix(e.Report.Folder, v.s.c.Root+"/"); under && v.s.exists(rel) {
				main.Without = v.s.c.Base + prefix(v.s.c.Settings.App, "") + escapePath(rel)
				return
			}
		}
	}
}

func statusOf(p *daypass.Problem) int {
	switch {
	case p.Code == "DP-389" || p.Code == "DP-383" || p.Code == "DP-386":
		return http.StatusNotFound
	case p.Code == "DP-388":
		return http.StatusTooManyRequests
	case errors.Is(p, daypass.ErrUsage):
		return http.StatusBadRequest
	case errors.Is(p, daypass.ErrRefused):
		return http.StatusForbidden
	}
	return http.StatusInternalServerError
}

func (v *visit) json(status int, body any) {
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(body); err != nil {
		http.Error(v.w, "{}", http.StatusInternalServerError)
		return
	}
	v.w.Header().Set("Content-Type", "application/json")
	v.w.WriteHeader(status)
	_, _ = v.w.Write(b.Bytes()) // the browser went away
}

// send is what a student sends to an instructor: no secret, no path above the
// folder, nothing of the files.
func (s *Server) send(p *daypass.Problem, l Link, repo string) string {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			_, _ = fmt.Fprintf(&b, "%s: %s\n", name, value) // a builder takes everything
		}
	}
	short := daypass.Problem{Code: p.Code, What: p.What, Why: p.Why}
	_, _ = fmt.Fprintln(&b, s.plain(short.Error()))
	if l.Repo != "" {
		repo = l.Repo
	}
	switch {
	case l.Content != nil && l.Content.Link != "":
		line("Link", strings.TrimSuffix(s.c.Settings.Service, "/")+"/l/"+l.Content.Link)
		line("Title", l.Content.Title)
	case l.Content != nil:
		line("Source", l.Repo)
	case checkAddress(repo) == nil:
		line("Repository", repo)
	}
	line("Branch", l.Ref)
	line("Folder", l.Folder)
	line("Opens", l.Target.Path)
	line("When", s.c.Now().UTC().Format("2006-01-02 15:04 UTC"))
	line("daypass", s.c.Settings.Version)
	return b.String()
}

// redirect leads to a page of ours, or by "../" to another of the server. It is
// relative to the page's own address, which some proxies rewrite and some do not.
func (v *visit) redirect(to string) error {
	v.w.Header().Set("Location", to)
	v.w.WriteHeader(http.StatusSeeOther)
	return nil
}
