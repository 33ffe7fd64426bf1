package main

import (
	"context"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
	"github.com/daypass-dev/daypass/resolve"
	"github.com/daypass-dev/daypass/server"
)

// stand stands for the reader's login while an address is read: no login is so long.
const stand = "x0daypass0template0login0that0no0account0could0ever0have0x"

// readPaste says what was pasted may mean, the most likely first. What the text does not
// say listed hosts are asked, for somebody who may make links.
func (f *face) readPaste(ctx context.Context, c daypass.Caller, text string) ([]server.Pasted, error) {
	var sites resolve.Sites
	for _, h := range f.hosts {
		if h.Content {
			sites.Canvas = append(sites.Canvas, h.Host)
		}
	}
	return readPaste(text, sites, func(text string, list []resolve.Place) ([]resolve.Place, error) {
		if f.readers == nil || !f.readers.asks(text, list) || f.b.MayAsk(ctx, c) != nil {
			return list, nil
		}
		return f.readers.settled(ctx, text, sites, list)
	})
}

// readPaste reads what was pasted; settle may ask, and is nil where nobody is asked.
func readPaste(text string, sites resolve.Sites, settle func(string, []resolve.Place) ([]resolve.Place, error)) ([]server.Pasted, error) {
	if settle == nil {
		settle = func(_ string, list []resolve.Place) ([]resolve.Place, error) { return list, nil }
	}
	if len(text) > api.MaxPaste {
		return nil, unread("it is longer than an address")
	}
	text = strings.ReplaceAll(strings.TrimSpace(text), api.TemplateX, stand)
	list, err := resolve.Places(text, sites)
	if err != nil && text != "" && !strings.Contains(text, "://") { // as a browser shows it
		bare := "https://" + text
		if found, berr := resolve.Places(bare, sites); berr == nil {
			if found, berr = settle(bare, found); berr == nil && found[0].Git == nil {
				return pastedOf(found)
			}
		}
	}
	if err == nil {
		list, err = settle(text, list)
	}
	if err != nil {
		return nil, err
	}
	return pastedOf(list)
}

// pastedOf writes places as they are shown.
func pastedOf(list []resolve.Place) ([]server.Pasted, error) {
	var out []server.Pasted
	for _, p := range list {
		if p.Ask != "" && p.Ask != resolve.AskRef && p.Source.Kind != daypass.KindDOI {
			return nil, unread("where " + p.Words + " leads only its host tells: open it, and copy the address of the page that comes")
		}
		if p.Source == (daypass.Source{}) {
			continue
		}
		s := p.Source
		if s.Kind == daypass.KindDrive {
			s.Ref = "" // a resource key: whom a folder is shared with needs none
		}
		for _, part := range []*string{&s.ID, &s.Ref, &s.Path} {
			*part = strings.ReplaceAll(*part, stand, api.TemplateX)
		}
		one := server.Pasted{Source: s, Words: sourceWords(s, ""), Why: p.Why, Open: strings.ReplaceAll(p.Open, stand, api.TemplateX)}
		if !slices.ContainsFunc(out, func(o server.Pasted) bool { return o.Source == s && o.Open == one.Open }) {
			out = append(out, one)
		}
	}
	if len(out) == 0 {
		return nil, unread("a link reads a repository by https, at a host that the service knows")
	}
	return out, nil
}

func unread(why string) error {
	return &daypass.Problem{
		Code: "DP-761", What: "that is no address of content", Why: why, Next: "Copy the address of the repository, folder or record from your browser.", Kind: daypass.ErrUsage,
	}
}

// sourceWords names a source for people: as it calls itself, where that is known.
func sourceWords(s daypass.Source, title string) string {
	var out string
	if title = quoted(title); title != "" && s.Path == "" {
		if s.Kind == daypass.KindDrive {
			return title + " in Google Drive"
		}
		return title + ", " + sourceWords(s, "")
	}
	switch s.Kind {
	case daypass.KindGit:
		out = s.Host + "/" + s.ID
	case daypass.KindDrive:
		out = "Google Drive " + s.ID
	case daypass.KindDOI:
		out = "the DOI or handle " + s.ID
	case daypass.KindCanvas:
		out = "Canvas " + s.ID + " at " + s.Host
	default:
		out = s.ID + " at " + s.Host
	}
	if s.Ref != "" {
		out += ", " + s.Ref
	}
	if s.Path != "" {
		out = "the folder " + s.Path + " of " + out
	}
	return out
}

// maxQuoted is how many characters of a title are shown beside other words.
const maxQuoted = 80

// quoted is a title in quotation marks of which it holds none itself; "" is none.
func quoted(title string) string {
	title = strings.TrimSpace(strings.NewReplacer("“", "'", "”", "'", "„", "'").Replace(shown(title)))
	if runes := []rune(title); len(runes) > maxQuoted {
		title = string(runes[:maxQuoted-1]) + "…"
	}
	if title == "" {
		return ""
	}
	return "“" + title + "”"
}

// joinParts writes a path of names that may hold anything.
func joinParts(parts []string) string {
	out := make([]string, len(parts))
	for i, p := range parts {
		out[i] = strings.ReplaceAll(p, "/", "\u2215") // as it is delivered
	}
	return strings.Join(out, "/")
}
