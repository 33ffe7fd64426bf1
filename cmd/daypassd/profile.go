//go:build profile

package main

import (
	"net"
	"net/http"
	"net/http/pprof"

	"github.com/daypass-dev/daypass"
)

// profiled offers net/http/pprof at DAYPASS_TEST_PROFILE, an address on loopback. It is
// in no program that is shipped: "go build -tags profile" and bench/broker's
// -profile make one that has it.
func profiled(getenv func(string) string) {
	addr := getenv("DAYPASS_TEST_PROFILE")
	if host, _, err := net.SplitHostPort(addr); err != nil || !daypass.Loopback(host) {
		return
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	go http.ListenAndServe(addr, mux) // for the process's life
}
