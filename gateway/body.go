package gateway

import (
	"bytes"
	"io"
)

const (
	maxJSON   = 256 << 10
	maxSearch = 64 << 10
	maxResult = 64 << 20 // devpi holds it in memory
)

// A payload is a body as it goes upstream, written by us.
type payload struct {
	kind   string // Content-Type
	length int64  // -1: not known beforehand, so chunked
	from   io.Reader
	form   *form // whose file streams through; nil: there is none
	broken *fault
}

// Read hands out the body. It fails before the last bytes where these must not
// go upstream; payload.fault tells why.
func (p *payload) Read(b []byte) (int, error) {
	if p.broken != nil {
		return 0, p.broken
	}
	n, err := p.from.Read(b)
	if f, ok := err.(*fault); ok {
		p.broken = f
	}
	return n, err
}

// fault returns why reading stopped before the end; nil where it did not.
func (p *payload) fault() *fault { return p.broken }

// pin holds an upload's file to one of some sums, "sha256:" and digits: the end
// of the form is withheld until the file has one of them. Call it before
// reading. The error is a *fault: the form itself announces another sum.
func (p *payload) pin(digests []string) error {
	if p.form == nil {
		return nil
	}
	return p.form.pin(digests)
}

// open reads of a body what decides, and returns the action with it and the
// body to be sent on; nil: none is. An upload's file stays in the wire: it
// streams as the payload is read. Errors are *fault.
func (a action) open(r request, body io.Reader, random io.Reader) (action, *payload, error) {
	if r.length == 0 {
		body = bytes.NewReader(nil)
	}
	switch a.body {
	case bodyForm:
		return a.openForm(r, body, random)
	case bodyPush:
		return a.openPush(r, body)
	case bodyChange:
		return a.openChange(r, body)
	case bodySearch:
		return a.openSearch(r, body)
	case bodyResult:
		if r.length > maxResult {
			return a, nil, tooLarge("the results of tests have more than 64 MiB")
		}
		return a, &payload{kind: "application/json", length: r.length, from: &capped{from: body, left: maxResult}}, nil
	case bodyIgnore:
		_, err := readAll(r, body, maxSearch)
		return a, nil, err
	}
	if r.length == 0 {
		return a, nil, nil
	}
	if text, err := readAll(r, body, 2); err != nil || !r.emptyObject() || string(text) != "{}" {
		return a, nil, wrongBody(400, "this request has none")
	}
	return a, nil, nil
}

// openSearch takes XML. A devpi without devpi-web takes any body here for a
// push, if only it can read it as JSON.
func (a action) openSearch(r request, body io.Reader) (action, *payload, error) {
	text, err := readAll(r, body, maxSearch)
	if err != nil {
		return a, nil, err
	}
	if len(text) == 0 || text[0] != '<' {
		return a, nil, wrongBody(400, "it says that it is XML, and is not")
	}
	return a, &payload{kind: "text/xml", length: int64(len(text)), from: bytes.NewReader(text)}, nil
}

// readAll reads a small body.
func readAll(r request, body io.Reader, most int64) ([]byte, error) {
	if r.length > most {
		return nil, tooLarge("its body is too long")
	}
	text, err := io.ReadAll(io.LimitReader(body, most+1))
	switch {
	case err != nil:
		return nil, cutOff("the connection ended first")
	case int64(len(text)) > most:
		return nil, tooLarge("its body is too long")
	case r.length > 0 && int64(len(text)) != r.length:
		return nil, cutOff("the connection ended first")
	}
	return text, nil
}

// A capped reader fails where its bound is passed, unlike io.LimitedReader.
type capped struct {
	from io.Reader
	left int64
}

func (c *capped) Read(b []byte) (int, error) {
	n, err := c.from.Read(b)
	if c.left -= int64(n); c.left < 0 {
		return 0, tooLarge("its body is too long")
	}
	return n, err
}
