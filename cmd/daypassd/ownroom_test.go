package main

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/depot"
)

// TestOwnChoices: in a small room what one person names themself makes way for what they
// name next, and for nothing else: neither for another's choice nor for a course's links,
// of which one student may open more than their own choices may take.
func TestOwnChoices(t *testing.T) {
	t.Parallel()
	host, dir, _ := gitHost(t)
	l := newLibrary(t, "")
	l.edit("hosts: []", "hosts: [\""+host+"\"]")
	l.edit("snapshots: {", "snapshots: {max_size: 8MB, ")
	svc, at := l.serving()
	l.hub.SetGroups("tea", "instructors")
	l.hub.SetGroups("stu", "ph142")
	_, tea := l.prompt("tea", at)
	source := func(name string) daypass.Source { return daypass.Source{Kind: "git", Host: host, ID: name} }
	reads := func(who string, q url.Values) {
		t.Helper()
		if status, got := l.snapshot(l.hub.ServerToken(who, ""), at, q); status != http.StatusOK {
			t.Errorf("%s reads %v: %d %+v", who, q, status, got)
		}
	}
	chooses := func(who, name string) {
		t.Helper()
		plant(t, filepath.Join(dir, name+".git"), noise(t, 600<<10))
		reads(who, url.Values{"source": {source(name).String()}})
	}
	opens := func(who, name string) {
		t.Helper()
		plant(t, filepath.Join(dir, name+".git"), noise(t, 600<<10))
		l.does(tea, name, "link", "make", name, "--source", source(name).String(), "--for", "ph142")
		reads(who, url.Values{"link": {name}})
	}
	kept := func(name string) bool { return svc.readers.depot.Kept(depot.Key{Source: source(name), As: "public"}) }
	for _, who := range []string{"stu", "bob", "eve"} {
		l.hub.StartServer(who, "")
	}
	chooses("bob", "bobs")
	for n := range 3 {
		opens("stu", fmt.Sprint("class-", n))
	}
	for n := range 6 {
		chooses("eve", fmt.Sprint("eves-", n))
	}
	chooses("stu", "stus")
	opens("stu", "class-3")
	for _, name := range []string{"bobs", "class-0", "class-1", "class-2", "class-3", "eves-5", "stus"} {
		if !kept(name) {
			t.Errorf("%s had to go for what somebody else chose, or for no choice", name)
		}
	}
	for n := range 3 {
		if kept(fmt.Sprint("eves-", n)) {
			t.Errorf("what eve chose first (%d) has stayed beside all that they chose next", n)
		}
	}
}

// noise is text that nothing makes smaller.
func noise(t *testing.T, n int) string {
	t.Helper()
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return string(b)
}
