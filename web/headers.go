package web

import (
	"net/http"
	"slices"
	"strings"
)

// A Policy is what browsers may do with the pages of one address.
type Policy struct {
	// Base is the address of the pages, with a slash at its end. Everything is
	// bound to it and not to its origin: others may live beside it.
	Base string
	// Forms lists further origins that a form may lead to by a redirect.
	Forms []string
	// Scripts allows the scripts of the pages themselves and what they fetch.
	Scripts bool
	// Sandbox gives each page an origin of its own that nothing else has, for
	// an address that shares its host with pages of others: those then can
	// neither read it nor press its buttons, not even in a window that they
	// opened. Forms sent from such a page have the origin "null".
	Sandbox bool
	// Nonce allows styles and scripts by a word of the page in place of the
	// address, for pages that do not know under which host a browser sees them.
	// It is new for each answer; Base is then not used.
	Nonce string
	// Framed lets any page show this one within itself: only for one that has
	// nothing in it but a link.
	Framed bool
	// Strict makes browsers insist on https for this host.
	Strict bool
}

// Headers returns what every page carries. The keys are canonical.
func (p Policy) Headers() http.Header {
	files, images, self, frames := p.Base+"static/", p.Base+"static/", p.Base, "'none'"
	if p.Nonce != "" {
		files, images, self = "'nonce-"+p.Nonce+"'", "'self'", "'self'"
	}
	if p.Framed {
		frames = "*"
	}
	csp := []string{
		"default-src 'none'", "style-src " + files, "img-src " + images,
		"form-action " + strings.Join(append([]string{self}, slices.Sorted(slices.Values(p.Forms))...), " "),
		"frame-ancestors " + frames, "base-uri 'none'",
	}
	if p.Scripts {
		csp = append(csp, "script-src "+files, "connect-src "+self)
	}
	if p.Sandbox {
		csp = append(csp, "sandbox allow-forms")
	}
	h := Bare(p.Strict)
	h.Set("Content-Security-Policy", strings.Join(csp, "; "))
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "accelerometer=(), autoplay=(), camera=(), clipboard-read=(), display-capture=(), fullscreen=(), geolocation=(), gyroscope=(), "+
		"microphone=(), midi=(), payment=(), publickey-credentials-get=(), screen-wake-lock=(), usb=()")
	return h
}

// Bare returns what every answer carries, pages or not: it is nobody else's to
// embed, to guess the type of, or to keep.
func Bare(strict bool) http.Header {
	h := http.Header{}
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if strict {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	return h
}
