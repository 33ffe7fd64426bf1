package server

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
)

// TestErrorsShowTheWay: the page of an error has the navigation where somebody
// is signed in, and names nobody to whom another page asks.
func TestErrorsShowTheWay(t *testing.T) {
	modes(t, func(t *testing.T, address string, shared bool) {
		s := start(t, newWorld(), address, shared)
		b, nobody := newBrowser(t, s, address, shared), newBrowser(t, s, address, shared)
		b.signIn("browser-bob", "")
		pages := []string{"nothing-here", "connect/evil.example", "app/evil.example", "people", "activity?show=nonsense"}
		for _, page := range pages {
			res := b.get(page)
			body := text(t, res)
			if res.StatusCode < 400 || !strings.Contains(body, "That did not work") || !strings.Contains(body, ">Your access</a>") || !strings.Contains(body, "<bdi>bob</bdi>") {
				t.Errorf("%s: %d, without the navigation", page, res.StatusCode)
			}
			if body := text(t, nobody.get(page)); strings.Contains(body, ">Activity</a>") {
				t.Errorf("%s shows the navigation to nobody", page)
			}
		}
		res := b.do("POST", address+"disconnect/github.com", fields(t, s, b, "connect/github.com"), b.own())
		if body := text(t, res); res.StatusCode != 403 || !strings.Contains(body, ">Activity</a>") {
			t.Errorf("a form that was spent: %d", res.StatusCode)
		}
		for _, how := range ways {
			for _, page := range pages[:3] {
				body := text(t, b.do("GET", address+page, nil, how.head))
				if !allowed(shared, "GET", person, false, how.name) && strings.Contains(body, "bob") {
					t.Errorf("%s by %s names who is signed in", page, how.name)
				}
			}
		}
		// What the page offers works: its form is good.
		form := formOf(t, text(t, b.get("nothing-here")), s.path("signout"))
		if res := b.do("POST", address+"signout", map[string][]string{"form": {form}}, b.own()); res.StatusCode != 200 {
			t.Errorf("signing out from there: %d", res.StatusCode)
		}
	})
}

// TestNewServersAreNamed, so that a person sees one that they did not start.
func TestNewServersAreNamed(t *testing.T) {
	w := newWorld()
	c := w.config(ownURL, false)
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t, s, ownURL, false)
	b.signIn("browser-ada", "")
	body := text(t, b.get(""))
	for _, want := range []string{`New server: <span class="name">scratch</span>`, "2026-11-22 12:04 UTC", "made at the hub"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// TestReachIsRemembered: a page that follows changes does not ask a host each
// time; one that is opened does.
func TestReachIsRemembered(t *testing.T) {
	w := newWorld()
	s := start(t, w, ownURL, false)
	b := newBrowser(t, s, ownURL, false)
	b.signIn("browser-ada", "")
	follow := func() {
		t.Helper()
		res := b.do("GET", ownURL, nil, map[string]string{"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "HX-Request": "true"})
		if body := text(t, res); res.StatusCode != 200 || !strings.Contains(body, "ocean-models") {
			t.Errorf("%d", res.StatusCode)
		}
	}
	b.get("")
	for range 5 {
		follow()
	}
	if w.reached != 1 {
		t.Errorf("the host was asked %d times for one page that followed five changes", w.reached)
	}
	b.get("")
	w.pass(2 * time.Minute)
	follow()
	if w.reached != 3 {
		t.Errorf("the host was asked %d times, of which 3 were due", w.reached)
	}
}

// TestStreamRests: many changes at once are few events, and the last is not lost.
func TestStreamRests(t *testing.T) {
	w := newWorld()
	s := start(t, w, ownURL, false)
	b := newBrowser(t, s, ownURL, false)
	b.signIn("browser-ada", "")
	srv := httptest.NewServer(s)
	defer srv.Close()
	r, err := http.NewRequest("GET", srv.URL+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Sec-Fetch-Dest", "empty")
	for _, c := range b.cookies {
		r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	got := make(chan time.Time, 100)
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := res.Body.Read(buf)
			for range strings.Count(string(buf[:n]), "event: changed") {
				got <- time.Now()
			}
			if err != nil {
				return
			}
		}
	}()
	var last time.Time
	for end := time.Now().Add(1200 * time.Millisecond); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		select {
		case w.changed <- struct{}{}:
			last = time.Now()
		default:
		}
	}
	time.Sleep(700 * time.Millisecond)
	n, newest := len(got), time.Time{}
	for range n {
		newest = <-got
	}
	if n < 2 || n > 4 || newest.Before(last) {
		t.Errorf("%d events in 1.2 s; the last change was shown: %v", n, !newest.Before(last))
	}
}

// TestTokenFromManyAddresses: one token at more addresses than a server has is
// told of, once, and goes on working.
func TestTokenFromManyAddresses(t *testing.T) {
	w := newWorld()
	c := w.config(ownURL, false)
	c.Limits.Proxies = prefixes("192.0.2.1/32") // httptest's own address
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(token, from string) {
		t.Helper()
		if res := apiDo(s, "GET", ownURL+"api/v1/me", token, "", "X-Forwarded-For", from); res.StatusCode != 200 {
			t.Errorf("%s from %s: %d", token, from, res.StatusCode)
		}
	}
	for i := range 4 {
		for range 3 {
			ask("server-ada", fmt.Sprint("10.0.0.", i))
			ask("user-ada", fmt.Sprintf("2001:db8::%d", i)) // one network
			ask("user-ada", fmt.Sprint("10.1.1.1:", 1000+i))
		}
	}
	if d := w.deeds(); len(d) != 0 {
		t.Errorf("four addresses are told of: %q", d)
	}
	ask("server-ada", "10.0.0.9")
	ask("server-ada", "10.0.0.10")
	if d := w.deeds(); !slices.Equal(d, []string{"roamed ada gpu 5 true"}) {
		t.Errorf("five addresses: %q", d)
	}
	if log := w.logged(); !strings.Contains(log, "many addresses") || strings.Contains(log, "server-ada") {
		t.Error("the log does not say so, or holds the token")
	}
	if body := text(t, apiDo(s, "GET", ownURL+"metrics", "metrics-token", "")); !strings.Contains(body, "daypass_tokens_from_many_addresses_total 1") {
		t.Error("it is not counted")
	}
	w.pass(2 * time.Hour)
	for i := range 5 {
		ask("server-ada", fmt.Sprint("10.0.0.", i))
	}
	if d := w.deeds(); len(d) != 2 {
		t.Errorf("five more, hours later: %q", d)
	}
	// Nobody's tokens are not remembered.
	for i := range 20 {
		apiDo(s, "GET", ownURL+"api/v1/me", "rubbish", "", "X-Forwarded-For", fmt.Sprint("10.2.0.", i))
	}
	if d := w.deeds(); len(d) != 2 {
		t.Errorf("a token that is nobody's: %q", d)
	}
}

func TestSightingsAreBounded(t *testing.T) {
	s := newSightings(4)
	now := time.Now()
	for i := range limitShards*shardSize + 5000 {
		s.note(keyOf(fmt.Sprint(i)), "10.0.0.1", now)
	}
	n := 0
	for i := range s.shards {
		n += len(s.shards[i].tokens)
	}
	if n > limitShards*shardSize {
		t.Errorf("%d tokens", n)
	}
	for i := range 1000 {
		s.note(keyOf("one"), fmt.Sprint("10.0.", i/250, ".", i%250), now)
	}
	if n := len(s.shards[keyOf("one")[0]&(limitShards-1)].tokens[keyOf("one")].from); n > 5 {
		t.Errorf("%d addresses of one token", n)
	}
	r := reaches{m: map[reachKey]reached{}}
	for i := range 3 * maxReaches {
		r.put(reachKey{user: daypass.User{Name: fmt.Sprint(i)}}, Reach{}, now)
	}
	if len(r.m) > maxReaches {
		t.Errorf("%d are remembered", len(r.m))
	}
}
