package server

import (
	"net/http"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass/api"
)

// A kind is who may come by a route, and what is looked at before.
type kind uint8

const (
	open   kind = iota // anybody; no cookie, no token is looked at
	bearer             // programs, by a token of the hub; cookies are ignored
	hook               // the hub's hooks, by their token
	job                // programs that speak to PyPI; errors have its shape
	public             // a page that anybody may see
	entry              // the way in: sign-in and its callback
	person             // a page of somebody who is signed in
	admin              // a page about others
	stream             // server-sent events
)

// A route is one method at one path. Those that change something are POST or
// DELETE; no GET is one, but for the two callbacks, which are held to a state
// that was made for them.
type route struct {
	name   string // for metrics and logs
	method string
	path   string // below the service's path, with net/http's wildcards
	kind   kind
	fresh  bool // what the hub said a minute ago is not enough
	pass   bool // of kind bearer: a pass will do. It is never enough to make, see or end passes, nor for what a person decides
	once   bool // a GET that must not be sent as HEAD: it spends something, or waits
	call   func(*Server, *call) error
	visit  func(*Server, *visit) error
}

// routes is all there is.
func routes() []route { return slices.Concat(forPrograms(), forPeople()) }

func forPrograms() []route {
	trim := func(p string) string { return strings.TrimPrefix(p, "/") }
	return []route{
		{name: "credential", method: "POST", path: trim(api.PathCredential), kind: bearer, pass: true, call: (*Server).credential},
		{name: "rejected", method: "POST", path: trim(api.PathRejected), kind: bearer, call: (*Server).rejected},
		{name: "me", method: "GET", path: trim(api.PathMe), kind: bearer, pass: true, call: (*Server).me},
		{name: "connection", method: "GET", once: true, path: trim(api.PathConnection) + "{host}", kind: bearer, call: (*Server).connection},
		{name: "end-connection", method: "DELETE", path: trim(api.PathConnection) + "{host}", kind: bearer, fresh: true, call: (*Server).endConnection},
		{name: "repos", method: "GET", path: trim(api.PathRepos) + "{host}", kind: bearer, call: (*Server).repos},
		{name: "snapshot", method: "GET", once: true, path: trim(api.PathSnapshots), kind: bearer, pass: true, call: (*Server).snapshot},
		{name: "pack", method: "GET", path: trim(api.PathSnapshot) + "{id}", kind: bearer, pass: true, call: (*Server).pack},
		{name: "links", method: "GET", path: trim(api.PathLinks), kind: bearer, call: (*Server).listLinks},
		{name: "make-link", method: "POST", path: trim(api.PathLinks), kind: bearer, fresh: true, call: (*Server).makeLink},
		{name: "link", method: "GET", path: trim(api.PathLink) + "{name}", kind: bearer, pass: true, call: (*Server).oneLink},
		{name: "edit-link", method: "PATCH", path: trim(api.PathLink) + "{name}", kind: bearer, fresh: true, call: (*Server).editLink},
		{name: "end-link", method: "DELETE", path: trim(api.PathLink) + "{name}", kind: bearer, fresh: true, call: (*Server).endLink},
		{name: "copy-links", method: "POST", path: trim(api.PathCopies), kind: bearer, fresh: true, call: (*Server).copyLinks},
		{name: "pull-failed", method: "POST", path: trim(api.PathLink) + "{name}/failed", kind: bearer, fresh: true, call: (*Server).pullFailed},
		{name: "link-student", method: "GET", path: trim(api.PathLink) + "{name}/student", kind: bearer, fresh: true, call: (*Server).asStudent},
		{name: "copy-link", method: "POST", path: trim(api.PathLink) + "{name}/copy", kind: bearer, fresh: true, call: (*Server).copyLink},
		{name: "list-sources", method: "GET", path: trim(api.PathSources), kind: bearer, fresh: true, call: (*Server).listSources},
		{name: "test-source", method: "POST", path: trim(api.PathTest), kind: bearer, fresh: true, call: (*Server).testSource},
		{name: "browse-source", method: "POST", path: trim(api.PathBrowse), kind: bearer, fresh: true, call: (*Server).browseSource},
		{name: "mint-pass", method: "POST", path: trim(api.PathPasses), kind: bearer, fresh: true, call: (*Server).mintPass},
		{name: "list-passes", method: "GET", path: trim(api.PathPasses), kind: bearer, call: (*Server).listPasses},
		{name: "end-pass", method: "DELETE", path: trim(api.PathPass) + "{id}", kind: bearer, fresh: true, call: (*Server).endPass},
		{name: "end-shown", method: "POST", path: trim(api.PathEndPass), kind: open, call: (*Server).endShown},
		{name: "ask-device", method: "POST", path: trim(api.PathDevice), kind: open, call: (*Server).askDevice},
		{name: "take-device", method: "POST", path: trim(api.PathDeviceToken), kind: open, call: (*Server).takeDevice},
		{name: "audience", method: "GET", path: trim(api.PathAudience), kind: job, call: (*Server).audience},
		{name: "mint-token", method: "POST", path: trim(api.PathMintToken), kind: job, call: (*Server).mintToken},
		{name: "hook-login", method: "POST", path: trim(api.PathHookLogin), kind: hook, call: (*Server).hookLogin},
		{name: "hook-stopped", method: "POST", path: trim(api.PathHookStop), kind: hook, call: (*Server).hookStopped},
		{name: "openapi", method: "GET", path: trim(api.PathOpenAPI), kind: open, call: (*Server).openAPI},
		{name: "healthz", method: "GET", path: "healthz", kind: open, call: (*Server).healthz},
		{name: "readyz", method: "GET", path: "readyz", kind: open, call: (*Server).readyz},
		{name: "metrics", method: "GET", path: "metrics", kind: open, call: (*Server).metricsText},
		{name: "badge", method: "GET", path: "badge.svg", kind: open, call: (*Server).badgePicture},
		{name: "static", method: "GET", path: "static/{file}", kind: open, call: (*Server).staticFile},
	}
}

func forPeople() []route {
	return []route{
		{name: "access", method: "GET", path: "{$}", kind: person, visit: (*Server).accessPage},
		{name: "activity", method: "GET", path: "activity", kind: person, visit: (*Server).activityPage},
		{name: "connect", method: "GET", path: "connect/{host}", kind: person, visit: (*Server).connectPage},
		{name: "start", method: "POST", path: "connect/{host}", kind: person, fresh: true, visit: (*Server).start},
		{name: "finish", method: "GET", once: true, path: "oauth/{kind}/{host}/callback", kind: person, fresh: true, visit: (*Server).finish},
		{name: "disconnect", method: "POST", path: "disconnect/{host}", kind: person, fresh: true, visit: (*Server).disconnect},
		{name: "approve", method: "POST", path: "approve", kind: person, fresh: true, visit: (*Server).approve},
		{name: "confirm", method: "POST", path: "confirm", kind: person, fresh: true, visit: (*Server).confirm},
		{name: "sharing", method: "GET", path: "sharing", kind: person, visit: (*Server).sharingPage},
		{name: "share", method: "POST", path: "sharing", kind: person, fresh: true, visit: (*Server).share},
		{name: "end-share", method: "POST", path: "sharing/end", kind: person, fresh: true, visit: (*Server).endShare},
		{name: "passes", method: "GET", path: "passes", kind: person, visit: (*Server).passesPage},
		{name: "new-pass", method: "GET", path: "passes/new", kind: person, visit: (*Server).newPassPage},
		{name: "make-pass", method: "POST", path: "passes/new", kind: person, fresh: true, visit: (*Server).makePass},
		{name: "narrow-pass", method: "POST", path: "passes/narrow", kind: person, fresh: true, visit: (*Server).narrowPass},
		{name: "stop-pass", method: "POST", path: "passes/end", kind: person, fresh: true, visit: (*Server).stopPass},
		{name: "pass", method: "GET", path: "passes/{id}", kind: person, visit: (*Server).passPage},
		{name: "my-links", method: "GET", path: "links", kind: person, visit: (*Server).linksPage},
		{name: "new-link", method: "GET", path: "newlink", kind: person, visit: (*Server).newLinkPage},
		{name: "write-link", method: "POST", path: "newlink", kind: person, fresh: true, visit: (*Server).writeLink},
		{name: "copy-course", method: "GET", path: "copylinks", kind: person, visit: (*Server).copyCoursePage},
		{name: "write-copies", method: "POST", path: "copylinks", kind: person, fresh: true, visit: (*Server).copyCourse},
		{name: "my-link", method: "GET", path: "links/{name}", kind: person, visit: (*Server).linkPage},
		{name: "change-link", method: "POST", path: "links/{name}", kind: person, fresh: true, visit: (*Server).changeMyLink},
		{name: "device", method: "GET", path: "device", kind: person, visit: (*Server).devicePage},
		{name: "decide-device", method: "POST", path: "device", kind: person, fresh: true, visit: (*Server).decideDevice},
		{name: "signout", method: "POST", path: "signout", kind: person, visit: (*Server).signOut},
		{name: "events", method: "GET", once: true, path: "events", kind: stream, visit: (*Server).events},

		{name: "people", method: "GET", path: "people", kind: admin, visit: (*Server).peoplePage},
		{name: "person", method: "GET", path: "people/{id}", kind: admin, visit: (*Server).personPage},
		{name: "cut-off", method: "POST", path: "people/{id}/cut-off", kind: admin, fresh: true, visit: (*Server).cutOff},
		{name: "health", method: "GET", path: "health", kind: admin, visit: (*Server).healthPage},

		{name: "app", method: "GET", path: "app/{host}", kind: public, visit: (*Server).appPage},
		{name: "app-content", method: "GET", path: "app/{host}/content", kind: public, visit: (*Server).contentPage},
		{name: "go", method: "GET", path: "l/{name}", kind: public, visit: (*Server).goLink},
		{name: "signin", method: "GET", once: true, path: "signin", kind: entry, visit: (*Server).signIn},
		{name: "signed-in", method: "GET", once: true, path: "oauth_callback", kind: entry, visit: (*Server).signedIn},
	}
}

// setRoutes gives each path one handler that knows its methods, so that a wrong
// method is answered in the same words everywhere.
func (s *Server) setRoutes() {
	s.mux = http.NewServeMux()
	byPath := map[string][]route{}
	for _, r := range routes() {
		byPath[r.path] = append(byPath[r.path], r)
	}
	for path, list := range byPath {
		methods := map[string]route{}
		var allow []string
		for _, r := range list {
			methods[r.method] = r
			allow = append(allow, r.method)
			if r.method == "GET" && !r.once {
				methods["HEAD"] = r
				allow = append(allow, "HEAD")
			}
		}
		slices.Sort(allow)
		s.mux.HandleFunc(s.path(path), func(w http.ResponseWriter, q *http.Request) {
			r, ok := methods[q.Method]
			if !ok {
				w.Header().Set("Allow", strings.Join(allow, ", "))
				s.refuse(w, q, list[0], wrongMethod(q.Method))
				return
			}
			s.serve(w, q, r)
		})
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, q *http.Request) {
		s.refuse(w, q, route{name: "none", kind: s.kindOf(q.URL.Path)}, nothingHere())
	})
}

// kindOf says whether what is missing would have been for programs or people.
func (s *Server) kindOf(path string) kind {
	switch {
	case strings.HasPrefix(path, s.path(api.Base)+"/"):
		return bearer
	case strings.HasPrefix(path, s.path("_/oidc/")):
		return job
	}
	return public
}
