package gateway

import (
	"strings"

	"github.com/daypass-dev/daypass/pass"
)

// scope is what devpi-tokens limits beside time.
const scope = pass.KindAllowed | pass.KindIndexes | pass.KindProjects

// A route is one of devpi's, with what a request for it needs. {user}, {index}
// and {project} have no +, as at devpi; {3} and {13} are digits of a sum;
// {rest} is anything behind a slash; /? is a slash or none.
type route struct {
	methods string
	path    string
	media   string // of the body; empty: any
	name    string
	class   class
	body    bodyKind
	needs   string     // strict
	checks  string     // what devpi checks, where it loads the identity
	loads   bool       // it loads the identity without checking anything
	spared  pass.Kinds // see action
	flags   flag
}

type flag uint8

const (
	reads flag = 1 << iota
	lists
	files // the project is that of the file
)

const anyMethod = "*"

// routes are those of devpi-server 6.19 and devpi-web, in the order in which
// they are matched. What is not here is unknown.
var routes = []route{
	{"GET", "/+api", "", "whoami", upstream, bodyNone, "", "", true, scope, reads},
	{"GET", "/{user}/+api", "", "whoami", upstream, bodyNone, "", "", true, scope, reads},
	{"GET", "/{user}/{index}/+api", "", "whoami", upstream, bodyNone, "", "", true, scope &^ pass.KindIndexes, reads},
	{"POST", "/+login", "", "login", login, bodyIgnore, "", "", false, 0, 0},
	{"GET", "/+status", "", "status", upstream, bodyNone, "", "", false, scope, reads},
	{anyMethod, "/+authcheck/?", "", "authcheck", blocked, bodyNone, "", "", false, 0, 0},
	{anyMethod, "/+authcheck/{rest}", "", "authcheck", blocked, bodyNone, "", "", false, 0, 0},
	{anyMethod, "/+changelog/?", "", "changelog", blocked, bodyNone, "", "", false, 0, 0},
	{anyMethod, "/+changelog/{rest}", "", "changelog", blocked, bodyNone, "", "", false, 0, 0},
	{"GET HEAD", "/", "", "users", upstream, bodyNone, "", "", false, scope, reads},
	{"GET", "/{user}/?", "", "user", upstream, bodyNone, "", "", false, scope, reads},
	{"PUT PATCH DELETE", "/{user}/?", "", "account", account, bodyIgnore, "", "", false, 0, 0},
	{"POST", "/{user}/+token-create", "", "token-create", own, bodyIgnore, "", "", false, 0, 0},
	{"GET", "/{user}/+tokens", "", "token-list", own, bodyNone, "", "", false, 0, 0},
	{"DELETE", "/{user}/+tokens/{id}", "", "token-delete", own, bodyIgnore, "", "", false, 0, 0},

	{"GET HEAD", "/{user}/{index}/?", "", "index", upstream, bodyNone, "pkg_read", "", false, 0, reads | lists},
	{"PUT", "/{user}/{index}/?", "", "index-create", upstream, bodyChange, "index_create", "index_create", true, 0, 0},
	{"PATCH", "/{user}/{index}/?", "", "index-modify", upstream, bodyChange, "index_modify", "index_modify", true, 0, 0},
	{"DELETE", "/{user}/{index}/?", "", "index-delete", upstream, bodyNone, "index_delete", "index_delete", true, 0, 0},
	{"POST", "/{user}/{index}/?", "multipart/form-data", "upload", upstream, bodyForm, "upload", "upload", true, 0, 0},
	{"POST PUSH", "/{user}/{index}/?", "application/json", "push", upstream, bodyPush, "pkg_read upload", "pkg_read upload", true, 0, 0},
	{"POST", "/{user}/{index}/?", "text/xml", "search", upstream, bodySearch, "pkg_read", "", false, 0, reads | lists},

	{"GET", "/{user}/{index}/+simple/?", "", "simple", upstream, bodyNone, "pkg_read", "", false, 0, reads | lists},
	{"GET", "/{user}/{index}/+simple/{project}/?", "", "simple-project", upstream, bodyNone, "pkg_read", "", false, 0, reads},
	{"POST", "/{user}/{index}/+simple/{project}/refresh", "", "refresh", upstream, bodyIgnore, "pkg_read", "", false, 0, reads},
	{"GET HEAD", "/{user}/{index}/+f/{3}/{13}/{file}", "", "download", upstream, bodyNone, "pkg_read", "pkg_read", true, 0, reads | files},
	{"GET HEAD", "/{user}/{index}/+e/{dir}/{file}", "", "download", upstream, bodyNone, "pkg_read", "pkg_read", true, 0, reads | files},
	{"POST", "/{user}/{index}/+f/{3}/{13}/{file}", "application/json", "toxresult", upstream, bodyResult, "toxresult_upload", "toxresult_upload", true, 0, files},
	{"DELETE", "/{user}/{index}/+f/{3}/{13}/{file}", "", "file-delete", upstream, bodyNone, "del_entry", "del_entry", true, 0, files},
	{"DELETE", "/{user}/{index}/+e/{dir}/{file}", "", "file-delete", upstream, bodyNone, "del_entry", "del_entry", true, 0, files},
	{"GET", "/{user}/{index}/{project}/?", "", "project", upstream, bodyNone, "pkg_read", "", false, 0, reads},
	{"DELETE", "/{user}/{index}/{project}/?", "", "project-delete", upstream, bodyNone, "del_project", "del_project", true, 0, 0},
	{"GET", "/{user}/{index}/{project}/{version}/?", "", "version", upstream, bodyNone, "pkg_read", "", false, 0, reads},
	{"DELETE", "/{user}/{index}/{project}/{version}/?", "", "version-delete", upstream, bodyNone, "del_verdata", "del_verdata", true, 0, 0},

	// devpi-web's
	{"GET", "/+search", "", "web", upstream, bodyNone, "", "", false, scope, reads},
	{"GET", "/+searchhelp", "", "web", upstream, bodyNone, "", "", false, scope, reads},
	{"GET", "/{static}/{rest}", "", "web", upstream, bodyNone, "", "", false, scope, reads},
	{"GET", "/{user}/{index}/{project}/{version}/+doc/{rest}", "", "docs", upstream, bodyNone, "pkg_read", "", false, 0, reads},
	{"GET", "/{user}/{index}/{project}/{version}/+d/{rest}", "", "docs", upstream, bodyNone, "pkg_read", "", false, 0, reads},
	{"GET", "/{user}/{index}/{project}/{version}/+toxresults/{file}", "", "toxresults", upstream, bodyNone, "pkg_read", "", false, 0, reads},
	{"GET", "/{user}/{index}/{project}/{version}/+toxresults/{file}/{name}", "", "toxresults", upstream, bodyNone, "pkg_read", "", false, 0, reads},
	{"POST", "/{user}/{index}/{project}/refresh", "", "refresh", upstream, bodyIgnore, "pkg_read", "", false, 0, reads},
}

// classify finds what a request is about. A path that is none of devpi's, and
// one of devpi's with another method or kind of body, is unknown.
func classify(r request) action {
	for i := range routes {
		row := &routes[i]
		if !row.has(r.method) || row.media != "" && row.media != r.media {
			continue
		}
		if found, ok := row.match(r); ok {
			return row.action(r, found)
		}
	}
	return action{name: "unknown"}
}

func (row *route) has(method string) bool {
	if row.methods == anyMethod {
		return true
	}
	for m := range strings.SplitSeq(row.methods, " ") {
		if m == method {
			return true
		}
	}
	return false
}

// places are what stood in a path's places.
type places struct{ user, index, project, version, file, id string }

func (row *route) match(r request) (places, bool) {
	var p places
	rest := row.path[1:]
	for i, segment := range r.segments {
		if rest == "" || rest == "?" {
			return p, false
		}
		if rest == "{rest}" {
			return p, true
		}
		var want string
		want, rest, _ = strings.Cut(rest, "/")
		last := i == len(r.segments)-1
		if last && rest == "{rest}" && r.slash {
			return p, p.take(want, segment)
		}
		if !p.take(want, segment) {
			return p, false
		}
	}
	switch rest {
	case "":
		return p, r.slash == strings.HasSuffix(row.path, "/")
	case "?":
		return p, true
	}
	return p, false
}

// take puts a segment into its place, or reports that it does not belong there.
func (p *places) take(want, segment string) bool {
	switch want {
	case "{user}":
		p.user = segment
	case "{index}":
		p.index = segment
	case "{project}":
		p.project = segment
	case "{version}":
		p.version = segment
		return true
	case "{id}":
		p.id = segment
	case "{file}":
		p.file = segment
		return true
	case "{dir}", "{name}":
		return true
	case "{3}":
		return len(segment) == 3 && hexDigits(segment)
	case "{13}":
		return len(segment) == 13 && hexDigits(segment)
	case "{static}":
		return strings.HasPrefix(segment, "+static")
	default:
		return want == segment
	}
	return !strings.Contains(segment, "+")
}

func hexDigits(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

func (row *route) action(r request, p places) action {
	a := action{
		name: row.name, class: row.class, body: row.body,
		user: p.user, index: p.index, version: p.version, file: p.file, tokenID: p.id,
		needs: strings.Fields(row.needs), spared: row.spared,
		read: row.flags&reads != 0, listing: row.flags&lists != 0,
		loads: row.loads, checks: strings.Fields(row.checks),
	}
	if p.index != "" {
		a.indexes = []string{p.user + "/" + p.index}
	}
	if p.project != "" {
		a.projects = []string{p.project}
		a.seen = a.projects
	}
	if row.flags&files != 0 {
		a.projects = fileProjects(p.file)
	}
	if a.name == "index" && r.noProjects && r.json && !r.installer {
		a.listing, a.spared = false, pass.KindProjects // the index's settings alone
	}
	if a.name == "download" && r.someJSON && !strings.HasSuffix(p.file, ".metadata") {
		a.loads, a.checks = false, nil // devpi shows what it knows of a file to anybody
	}
	return a
}
