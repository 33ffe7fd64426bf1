package server

import (
	"strings"

	"github.com/daypass-dev/daypass/api"
)

// keyNext is, in a session, the link that goes on once a host is connected: "HOST NAME".
const keyNext = "next"

// nextLink reads "l/NAME", with or without a slash before; "" for everything else, so
// that a connection leads nowhere but to a link.
func nextLink(text string) string {
	name, ok := strings.CutPrefix(strings.TrimPrefix(text, "/"), strings.TrimPrefix(api.PathGo, "/"))
	if !ok || !api.LinkName(name) {
		return ""
	}
	return name
}

// noteNext keeps which link goes on after a host was connected; "" forgets it.
func (v *visit) noteNext(host, name string) error {
	ctx, m := v.r.Context(), v.s.sessions
	if name == "" && m.GetString(ctx, keyNext) == "" {
		return nil
	}
	m.Remove(ctx, keyNext)
	if name != "" {
		m.Put(ctx, keyNext, host+" "+name)
	}
	return v.kept()
}

// takeNext tells it once.
func (v *visit) takeNext(host string) (string, error) {
	ctx, m := v.r.Context(), v.s.sessions
	text := m.GetString(ctx, keyNext)
	if text == "" {
		return "", nil
	}
	m.Remove(ctx, keyNext)
	name, ok := strings.CutPrefix(text, host+" ")
	if !ok || !api.LinkName(name) {
		name = ""
	}
	return name, v.kept()
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
