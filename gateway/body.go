package gateway

import "io"

// A payload is a body as it goes upstream, written by us.
type payload struct {
	kind   string // Content-Type; empty where there is no body
	length int64  // -1: not known beforehand, so chunked
	io.Reader
}

// open reads of a body what decides, and returns the action with it and the
// body to be sent on. With a form the file is still in the wire: it streams as
// the payload is read. Errors are *fault.
func (a action) open(r request, body io.Reader, random io.Reader) (action, *payload, error) {
	return a, nil, nil
}

// pin holds a form's file to one of some sums, "sha256:" and digits: the end of
// the form is withheld until the file has one of them. Call it before reading.
func (p *payload) pin(digests []string) {}

// fault returns why reading stopped before the end; nil where it did not.
func (p *payload) fault() *fault { return nil }
