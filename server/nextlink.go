package server

import (
	"strings"

	"github.com/daypass-dev/daypass/api"
)

// keyNext is, in a session, where it is gone on once a host is connected: "HOST PAGE".
const keyNext = "next"

// A goOn is where somebody goes on who was sent to connect a host: "l/NAME", a link to
// open, or the form of a link to make, to copy or to change: "newlink",
// "newlink?like=NAME", "links/NAME". "": nowhere.
type goOn string

// readGoOn reads one, with or without a slash before; "" for everything else, so that a
// connection leads to nothing but links.
func readGoOn(text string) goOn {
	text = strings.TrimPrefix(text, "/")
	for _, before := range []string{strings.TrimPrefix(api.PathGo, "/"), "links/", "newlink?like="} {
		if name, ok := strings.CutPrefix(text, before); ok && api.LinkName(name) {
			return goOn(text)
		}
	}
	if text == "newlink" {
		return goOn(text)
	}
	return ""
}

// Link is the name of a link to open; "" where it is a form.
func (g goOn) Link() string {
	name, ok := strings.CutPrefix(string(g), strings.TrimPrefix(api.PathGo, "/"))
	if !ok {
		return ""
	}
	return name
}

// page is its address below the service's. A form shows at once what there is to choose
// from now.
func (g goOn) page() string {
	switch {
	case g.Link() != "":
		return string(g)
	case strings.Contains(string(g), "?"):
		return string(g) + "&" + keyPick + "=" + pickYes + "#picks"
	}
	return string(g) + "?" + keyPick + "=" + pickYes + "#picks"
}

// noteNext keeps where it is gone on after a host was connected; "" forgets it.
func (v *visit) noteNext(host string, next goOn) error {
	ctx, m := v.r.Context(), v.s.sessions
	if next == "" && m.GetString(ctx, keyNext) == "" {
		return nil
	}
	m.Remove(ctx, keyNext)
	if next != "" {
		m.Put(ctx, keyNext, host+" "+string(next))
	}
	return v.kept()
}

// takeNext tells it once.
func (v *visit) takeNext(host string) (goOn, error) {
	ctx, m := v.r.Context(), v.s.sessions
	text := m.GetString(ctx, keyNext)
	if text == "" {
		return "", nil
	}
	m.Remove(ctx, keyNext)
	page, ok := strings.CutPrefix(text, host+" ")
	if !ok {
		page = ""
	}
	return readGoOn(page), v.kept()
}

// kept writes the session back in the midst of a visit: its cookie is sent already.
func (v *visit) kept() error {
	head := v.w.Header()
	before := head.Values("Set-Cookie")
	head.Del("Set-Cookie")
	if err := v.keep(); err != nil {
		return err
	}
	if len(head.Values("Set-Cookie")) == 0 && len(before) > 0 {
		head["Set-Cookie"] = before
	}
	return nil
}
