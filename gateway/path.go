package gateway

import "net/http"

// A request is what decides of one, read once and in one way.
type request struct {
	method   string
	segments []string // decoded
	slash    bool     // the path ends in one
	query    string   // as it came
	media    string   // of the body, in lower case, without parameters
	content  string   // the whole Content-Type
	length   int64    // of the body: -1 unknown, 0 none

	installer  bool // pip, uv and their like, to whom devpi shows other pages
	json       bool // nothing but JSON is accepted as the answer
	noProjects bool // the answer shall leave out the projects
}

// parse reads what decides of a request: its method, its target as it stood in
// the request's line, its header, and its body's length. Errors are *fault.
func parse(method, target string, h http.Header, length int64) (request, error) {
	return request{}, nil
}

// target writes the path again from its decoded segments, with the query.
func (r request) target() string { return "" }
