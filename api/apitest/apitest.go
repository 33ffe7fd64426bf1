// Package apitest holds traffic to the description of the API: what is asked and
// answered in a test is what a reader of openapi.json would expect. It judges
// exchanges and counts what it has seen; what an answer means it does not know.
package apitest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"github.com/daypass-dev/daypass/api"
)

// A Check judges exchanges. It is safe for use by many goroutines.
type Check struct {
	doc    *openapi3.T
	router routers.Router
	mu     sync.Mutex
	seen   map[Status]int
}

// A Status is one that an operation answers with.
type Status struct {
	Operation string // its operationId
	Code      int
}

// String returns "me 200".
func (s Status) String() string { return s.Operation + " " + strconv.Itoa(s.Code) }

// New reads the description.
func New() (*Check, error) {
	doc, err := openapi3.NewLoader().LoadFromData(api.OpenAPI())
	if err != nil {
		return nil, err
	}
	doc.Servers = nil // any address will do; what stands before the API's path is cut off
	router, err := legacy.NewRouter(doc)
	if err != nil {
		return nil, err
	}
	return &Check{doc: doc, router: router, seen: map[Status]int{}}, nil
}

// Exchange judges one request and its answer. What is no request of the API's is
// right. A request has to be as described where it was answered with 2xx; one
// that was refused may have been malformed on purpose.
func (c *Check) Exchange(r *http.Request, body []byte, status int, head http.Header, answer []byte) error {
	i := begins(r.URL.EscapedPath())
	if i < 0 || r.Method == http.MethodHead {
		return nil
	}
	at, err := url.Parse(r.URL.EscapedPath()[i:])
	if err != nil {
		return err
	}
	at.RawQuery = r.URL.RawQuery
	told := fmt.Sprintf("%s %s: %d", r.Method, at.Path, status)
	q := r.Clone(context.Background())
	q.URL, q.Body, q.ContentLength = at, io.NopCloser(bytes.NewReader(body)), int64(len(body))
	route, params, err := c.router.FindRoute(q)
	if err != nil || status == http.StatusMethodNotAllowed { // an address may be like another with a name in it
		return wrap(told, stray(status, answer))
	}
	c.mu.Lock()
	c.seen[Status{route.Operation.OperationID, status}]++
	c.mu.Unlock()
	in := &openapi3filter.RequestValidationInput{
		Request: q, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: bearer, IncludeResponseStatus: true, RejectWhenRequestBodyNotSpecified: true},
	}
	if status/100 == 2 {
		if err := openapi3filter.ValidateRequest(q.Context(), in); err != nil {
			return wrap(told+": the request", err)
		}
	}
	if status == http.StatusNoContent && len(answer) > 0 {
		return fmt.Errorf("%s: a body where there is no content", told)
	}
	return wrap(told+": the answer", openapi3filter.ValidateResponse(q.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: status, Header: head, Body: io.NopCloser(bytes.NewReader(answer)), Options: in.Options,
	}))
}

// begins is where the API's own part of a path begins; -1: it is none of it.
func begins(path string) int {
	if i := strings.Index(path, api.Base+"/"); i >= 0 {
		return i
	}
	return strings.Index(path, "/_/oidc/")
}

func wrap(told string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", told, err)
}

// stray judges the answer at an address, or to a method, that there is not.
func stray(status int, answer []byte) error {
	var refused api.MintRefused
	if _, ok := api.DecodeError(answer); !ok && (json.Unmarshal(answer, &refused) != nil || len(refused.Errors) == 0) {
		return errors.New("nothing of the description, and not answered with an error's body")
	}
	switch status {
	case http.StatusUnauthorized, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return nil
	}
	return errors.New("nothing of the description, and answered as if it were")
}

// bearer holds a request that was served to the one way in which it may say who
// asks.
func bearer(_ context.Context, in *openapi3filter.AuthenticationInput) error {
	if !strings.HasPrefix(strings.ToLower(in.RequestValidationInput.Request.Header.Get("Authorization")), "bearer ") {
		return errors.New("it was served without a token")
	}
	return nil
}

// Unseen lists what the description says and no exchange has shown, in order.
func (c *Check) Unseen() []Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []Status
	for _, item := range c.doc.Paths.Map() {
		for _, op := range item.Operations() {
			for code := range op.Responses.Map() {
				n, _ := strconv.Atoi(code) // "default" is 0
				if s := (Status{op.OperationID, n}); c.seen[s] == 0 {
					out = append(out, s)
				}
			}
		}
	}
	slices.SortFunc(out, func(a, b Status) int {
		return cmp.Or(cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.Code, b.Code))
	})
	return out
}

// Seen returns how many exchanges there were of an operation, by status.
func (c *Check) Seen(operation string) map[int]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[int]int{}
	for s, n := range c.seen {
		if s.Operation == operation {
			out[s.Code] = n
		}
	}
	return out
}

// RoundTrip is a transport for a proxy: it sends requests on by to, and reports
// what is not as described. The traffic is small and is read whole.
func (c *Check) RoundTrip(to http.RoundTripper, r *http.Request, report func(error)) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	res, err := to.RoundTrip(r)
	if err != nil || begins(r.URL.Path) < 0 {
		return res, err
	}
	answer, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(answer))
	if err := c.Exchange(r, body, res.StatusCode, res.Header, answer); err != nil {
		report(err)
	}
	return res, nil
}
