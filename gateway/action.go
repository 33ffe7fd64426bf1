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
	login                 // devpi's +login: refused to a pass in devpi's own words
	account               // making, changing or deleting users: never by a pass
	own                   // the endpoints of devpi-tokens: ours
	blocked               // for nobody, with or without a pass
)

// A bodyKind says how a body is read before anything is decided.
type bodyKind uint8

const (
	bodyNone   bodyKind = iota // any body is refused
	bodyIgnore                 // a small one is read and not sent on
	bodyForm                   // multipart/form-data: an upload
	bodyPush                   // JSON: a push to another index
	bodyChange                 // JSON: how an index is to be
	bodyResult                 // JSON: results of tests, not looked into
	bodySearch                 // XML: pip search, not looked into
)

// An action is what a request is about, as far as devpi and the limits of a
// pass are concerned. What stands in a body is added by action.open.
type action struct {
	name  string // for events and refusals, such as "upload"
	class class
	body  bodyKind

	user, index string // of the path; empty where it has none
	version     string // of the path or the body
	file        string // the file's name, likewise
	target      string // the index that a push goes to
	tokenID     string // of +tokens/ID

	needs    []string   // devpi's permissions, as strict asks for them
	indexes  []string   // every "user/index" that it touches
	bases    []string   // the indexes that an index is to have for bases, so that they can be read through it
	projects []string   // every project that it touches; an empty name refuses
	spared   pass.Kinds // limits that strict does not ask where their fact is missing
	read     bool       // it changes nothing: bases count, and access is read
	listing  bool       // it names all projects of an index
	outward  bool       // it makes devpi ask or send to a server that the request names
	grants   bool       // it changes who else may do something
	upload   bool       // it has one file, which can be held to a digest

	loads  bool     // devpi loads the identity, and devpi-tokens looks at the caveats
	checks []string // the permissions that devpi checks
	seen   []string // the projects that devpi-tokens sees
}

// options are what a gateway's owner decided about strict.
type options struct {
	listProjects bool // a pass for some projects may list all
	pushOut      bool // a limited pass may push to other servers
	// isBase reports whether an index is a base of listed, directly or through
	// others. Nil: nothing is.
	isBase func(listed, index string) bool
}

// A fault is why a request goes no further, whatever a pass may do.
type fault struct {
	status int // of HTTP
	daypass.Problem
}

func (f *fault) Error() string { return f.Problem.Error() }

func (f *fault) Unwrap() []error { return f.Problem.Unwrap() }

func unreadable(why string) *fault {
	return &fault{400, daypass.Problem{
		Code: "DP-970", What: "The address or the header of the request can be read in more than one way", Why: why,
		Next: "Write it as devpi's own clients do.", Kind: daypass.ErrUsage,
	}}
}

func noRoute() *fault {
	return &fault{403, daypass.Problem{
		Code: "DP-971", What: "A pass is not good for this address", Why: "the gateway does not know what a request for it would touch",
		Next: "Log in with a password for it.", Kind: daypass.ErrRefused,
	}}
}

func wrongBody(status int, why string) *fault {
	return &fault{status, daypass.Problem{
		Code: "DP-972", What: "The body is none that belongs to this request", Why: why,
		Next: "Send it as devpi's own clients do.", Kind: daypass.ErrUsage,
	}}
}

func wrongForm(why string) *fault {
	return &fault{400, daypass.Problem{
		Code: "DP-973", What: "The upload's form can be read in more than one way", Why: why,
		Next: "Upload with twine, uv or devpi.", Kind: daypass.ErrUsage,
	}}
}

func tooLarge(why string) *fault {
	return &fault{413, daypass.Problem{
		Code: "DP-974", What: "The request is larger than any that belongs here", Why: why,
		Next: "Shorten what is named; a package's file itself has no bound here.", Kind: daypass.ErrUsage,
	}}
}

func wrongJSON(why string) *fault {
	return &fault{400, daypass.Problem{
		Code: "DP-975", What: "The JSON of the request can be read in more than one way", Why: why,
		Next: "Send it as devpi's own client does.", Kind: daypass.ErrUsage,
	}}
}

func otherFile(status int, why string) *fault {
	return &fault{status, daypass.Problem{
		Code: "DP-976", What: "The file is another than was announced", Why: why + ", so it was not handed to devpi",
		Next: "Upload the file that the sum is of.", Kind: daypass.ErrRefused,
	}}
}

func cutOff(why string) *fault {
	return &fault{400, daypass.Problem{
		Code: "DP-977", What: "The upload did not come to its end", Why: why + ", so it was not handed to devpi",
		Next: "Upload it again.", Kind: daypass.ErrUsage,
	}}
}

func noGrant() *fault {
	return &fault{403, daypass.Problem{
		Code: "DP-978", What: "A pass does not change who else may use an index", Why: "what it gave away would outlive it",
		Next: "Log in with a password, or leave out what begins with acl_.", Kind: daypass.ErrRefused,
	}}
}

func noPushOut() *fault {
	return &fault{403, daypass.Problem{
		Code: "DP-979", What: "A limited pass does not push to another server, or make an index mirror one", Why: "its limits end at this one",
		Next: "Log in with a password for it.", Who: "Whoever runs the gateway can allow it (push_out).", Kind: daypass.ErrRefused,
	}}
}

func notByPass(what string) *fault {
	return &fault{403, daypass.Problem{
		Code: "DP-980", What: what, Next: "Log in with a password for it.", Kind: daypass.ErrRefused,
	}}
}

func nobody() *fault {
	return &fault{404, daypass.Problem{
		Code: "DP-981", What: "The gateway does not hand this address on", Why: "only devpi's own replicas and front servers use it",
		Next: "Ask devpi itself, on its own machine.", Kind: daypass.ErrRefused,
	}}
}
