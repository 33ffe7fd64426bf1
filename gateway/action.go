package gateway

import (
	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pass"
)

// A class says who answers a request.
type class uint8

const (
	unknown  class = iota // no route that we know: refused to a pass
	upstream              // devpi, if the pass allows it
	login                 // devpi's +login: refused to a pass with devpi's own words
	account               // making, changing or deleting users: never by a pass
	own                   // the endpoints of devpi-tokens: ours
	blocked               // for nobody, with or without a pass
)

// A bodyKind says how a body is read before anything is decided.
type bodyKind uint8

const (
	bodyNone   bodyKind = iota // any body is refused
	bodyIgnore                 // none is sent on, none is needed: clients send an empty one
	bodyForm                   // multipart/form-data: an upload
	bodyPush                   // JSON: a push to another index
	bodyChange                 // JSON: how an index is to be
	bodyResult                 // JSON: results of tests, not looked into
	bodySearch                 // XML: pip search, not looked into
)

// An action is what a request is about, as far as devpi and the limits of a
// pass are concerned. What stands in a body is added by [action.open].
type action struct {
	name  string // for events and refusals, such as "upload"
	class class
	body  bodyKind

	user, index string   // of the path; empty where it has none
	needs       []string // devpi's permissions, as strict asks for them
	indexes     []string // every "user/index" that it touches
	projects    []string // every project that it touches; an empty name refuses
	read        bool     // it changes nothing: bases count, and access is read
	listing     bool     // it names all projects of an index
	outward     bool     // it sends files to a server that the request names
	grants      bool     // it changes who else may do something
	upload      bool     // it has one file, which can be held to a digest
	tokenID     string   // of DELETE +tokens/ID
	version     string   // of the path or of the body, for events
	file        string   // likewise
	target      string   // a push's target, likewise

	strict, compat pass.Kinds // limits that may be about something that it lacks
	checks         []string   // the permissions that devpi itself checks
	inForm         []string   // the projects that devpi-tokens sees
}

// options are what a gateway's owner decided about strict.
type options struct {
	listProjects bool // a pass for some projects may list all
	pushOut      bool // a limited pass may push to other servers
	// isBase reports whether an index is a base of listed, directly or through
	// others. Nil: nothing is.
	isBase func(listed, index string) bool
}

// A fault is why a request goes no further, before any pass is asked.
type fault struct {
	status int // of HTTP
	daypass.Problem
}

func (f *fault) Error() string { return f.Problem.Error() }

func (f *fault) Unwrap() []error { return f.Problem.Unwrap() }
