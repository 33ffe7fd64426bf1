package broker_test

import (
	"net/http"
	"strings"
	"sync"

	"github.com/daypass-dev/daypass/fake"
)

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// hold stops the first request that matches until the returned function is
// called; arrived is closed when it is there.
func (r *rig) hold(match func(*http.Request) bool) (arrived chan struct{}, release func()) {
	arrived = make(chan struct{})
	gate := make(chan struct{})
	var once, free sync.Once
	t := http.RoundTripper(tripper(func(req *http.Request) (*http.Response, error) {
		if match(req) {
			first := false
			once.Do(func() { first = true })
			if first {
				close(arrived)
				<-gate
			}
		}
		return fake.Transport(r.gh).RoundTrip(req)
	}))
	r.wire.Store(&t)
	return arrived, func() { free.Do(func() { close(gate) }) }
}

func path(part string) func(*http.Request) bool {
	return func(r *http.Request) bool { return strings.Contains(r.URL.Path, part) }
}
