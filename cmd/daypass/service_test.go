package main_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/daypass-dev/daypass/fake"
)

// hubToken is what a story's server has from its hub. It is looked for wherever
// it does not belong.
const hubToken = "hub-canary-0123456789abcdef"

// A broker is a stand-in for the access service, from the words of its
// description alone: it shares no code with the service nor with package api. Its
// tokens are the stand-in GitHub's, for one repository.
type broker struct {
	t    testing.TB
	host string // the one that it serves
	g    *fake.GitHub
	base string

	mu        sync.Mutex
	listener  net.Listener
	server    *http.Server
	user      string // connected as; "" for nobody
	mode      string // "", "read", "refuse", "limit", "slow", "unknown", "redirect", "no-start", "two-hosts"
	recorder  string
	asked     int
	given     map[string]bool // SHA-256 of each token given
	rejected  int
	purposes  []string
	connected chan struct{}
	passes    *brokerPasses
}

// brokerRepos are the numbers of the repositories that it knows.
var brokerRepos = map[string]int64{
	"river-lab/data": fake.CampusDataRepo, "river-lab/handbook": fake.CampusReadRepo, "octo-researcher/notes": fake.CampusNotesRepo,
}

func newBroker(t testing.TB, g *fake.GitHub, host, recorder string) (*broker, error) {
	b := &broker{t: t, g: g, host: host, recorder: recorder, given: map[string]bool{}, connected: make(chan struct{}), passes: newBrokerPasses()}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b.base = "http://" + l.Addr().String() + "/services/daypass"
	b.up(l)
	return b, nil
}

func (b *broker) up(l net.Listener) {
	b.listener, b.server = l, &http.Server{Handler: b}
	go b.server.Serve(l) // ends with down
}

func (b *broker) down() { b.server.Close() }

func (b *broker) again() error {
	l, err := net.Listen("tcp", b.listener.Addr().String())
	if err == nil {
		b.up(l)
	}
	return err
}

func (b *broker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	mode := b.mode
	b.mu.Unlock()
	if mode == "redirect" {
		http.Redirect(w, r, b.recorder+r.URL.Path, http.StatusTemporaryRedirect)
		return
	}
	path, ok := strings.CutPrefix(r.URL.Path, "/services/daypass/api/v1")
	if !ok || r.Header.Get("Cookie") != "" {
		http.NotFound(w, r)
		return
	}
	if b.open(w, r, path) {
		return
	}
	if why := b.passMay(r, path); why != "" {
		refuse(w, 403, "DP-810", why, "")
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+hubToken && !b.byPass(r) {
		refuse(w, 401, "DP-871", "the token is none of the hub's", "")
		return
	}
	switch {
	case r.Method == "POST" && path == "/credential":
		b.credential(w, r)
	case r.Method == "POST" && path == "/rejected":
		b.reject(w, r)
	case r.Method == "GET" && path == "/me":
		me := map[string]any{
			"user": map[string]any{"hub": "main", "name": "jo"}, "server": "gpu", "via": "server", "page": b.base + "/", "version": "1",
			"hosts": []any{b.state()}, "started": time.Unix(serverStarted, 0).UTC().Format(time.RFC3339),
		}
		switch mode {
		case "no-start": // as a hub that does not tell
			delete(me, "started")
		case "two-hosts":
			me["hosts"] = []any{b.state(), map[string]any{"host": "git.example.org", "connected": false, "state": "none", "connect": b.base + "/connect/git.example.org"}}
		}
		send(w, me)
	case strings.HasPrefix(path, "/passes"):
		b.managePasses(w, r, path)
	case r.Method == "GET" && path == "/connections/"+b.host:
		b.wait(w, r)
	case r.Method == "DELETE" && path == "/connections/"+b.host:
		b.mu.Lock()
		b.user = ""
		b.mu.Unlock()
		send(w, map[string]any{"revoked": []string{"your connection as octo-researcher", "1 token of this server"}, "event": "K3QF-9"})
	case r.Method == "GET" && path == "/repos/"+b.host:
		send(w, map[string]any{"complete": true, "change": "https://github.com/settings/installations", "repos": []any{
			map[string]any{"owner": "river-lab", "name": "data", "id": fake.CampusDataRepo, "access": "write", "private": true},
			map[string]any{"owner": "river-lab", "name": "handbook", "id": fake.CampusReadRepo, "access": "read", "private": true},
		}})
	default:
		refuse(w, 404, "DP-870", "there is nothing", "")
	}
}

func send(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, status int, code, what, link string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{
		"code": code, "what": what, "why": "the rule no-exams forbids it", "next": "Ask your instructor.", "event": "K3QF-1042", "rule": "no-exams", "link": link,
	}})
}

func (b *broker) state() map[string]any {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := map[string]any{"host": b.host, "client_id": fake.CampusApp, "connected": b.user != "", "state": "none", "connect": b.base + "/connect/" + b.host}
	if b.user != "" {
		h["state"], h["account"], h["until"] = "live", account(b.user), time.Now().Add(30*24*time.Hour).UTC().Format(time.RFC3339)
	}
	return h
}

func account(login string) map[string]any {
	return map[string]any{"id": 1001, "login": login, "name": "Octo Researcher", "email": "1001+" + login + "@users.noreply.github.com"}
}

func (b *broker) credential(w http.ResponseWriter, r *http.Request) {
	var ask struct{ Protocol, Host, Path, Access, Least, Purpose string }
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&ask); err != nil {
		refuse(w, 400, "DP-872", "the request cannot be read", "")
		return
	}
	b.mu.Lock()
	b.asked++
	b.purposes = append(b.purposes, ask.Purpose)
	user, mode := b.user, b.mode
	b.mu.Unlock()
	repo := strings.TrimSuffix(ask.Path, ".git")
	id, known := brokerRepos[repo]
	switch {
	case ask.Host != b.host || mode == "unknown":
		refuse(w, 404, "DP-811", "that host is not served", "")
	case !b.passReaches(r, repo, &ask.Access):
		refuse(w, 403, "DP-810", "the pass does not reach "+repo, "")
	case mode == "refuse" || !known:
		refuse(w, 403, "DP-810", "access to "+repo+" was refused", "")
	case mode == "limit":
		w.Header().Set("Retry-After", "7")
		refuse(w, 503, "DP-813", "GitHub does not answer", "")
	case user == "":
		refuse(w, 409, "DP-812", "not connected", b.base+"/connect/"+b.host)
	default:
		if mode == "slow" {
			time.Sleep(4 * time.Second)
		}
		b.give(w, user, repo, id, ask.Access, mode)
	}
}

func (b *broker) give(w http.ResponseWriter, user, repo string, id int64, access, mode string) {
	token, _, err := b.g.Issue(fake.CampusApp, user, id)
	if err != nil {
		refuse(w, 500, "DP-879", err.Error(), "")
		return
	}
	if mode == "read" || repo == "river-lab/handbook" {
		access = "read"
	}
	sum := sha256.Sum256([]byte(token))
	b.mu.Lock()
	b.given[hex.EncodeToString(sum[:])] = true
	b.mu.Unlock()
	owner, name, _ := strings.Cut(repo, "/")
	send(w, map[string]any{
		"username": "x-access-token", "password": token, "host": b.host, "repo": map[string]any{"owner": owner, "name": name, "id": id},
		"access": access, "until": time.Now().Add(time.Hour).UTC().Format(time.RFC3339), "as": "user", "account": account(user), "event": "K3QF-1041",
	})
}

func (b *broker) reject(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Host, Path string
		Sum        string `json:"token_sha256"`
	}
	if json.NewDecoder(r.Body).Decode(&in) != nil || in.Host != b.host || brokerRepos[in.Path] == 0 {
		refuse(w, 400, "DP-872", "the request cannot be read", "")
		return
	}
	b.mu.Lock()
	if b.given[in.Sum] {
		b.rejected++
	}
	b.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

// wait answers when somebody has connected, or after as long as was asked for.
func (b *broker) wait(w http.ResponseWriter, r *http.Request) {
	d, err := time.ParseDuration(r.URL.Query().Get("wait"))
	if err != nil || d > 30*time.Second {
		refuse(w, 400, "DP-872", "the wait cannot be read", "")
		return
	}
	b.mu.Lock()
	user, connected := b.user, b.connected
	b.mu.Unlock()
	if user == "" {
		select {
		case <-connected:
		case <-r.Context().Done():
			return
		case <-time.After(d):
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	send(w, b.state())
}

// cmdBroker is the story's hand on the access service:
//
//	broker connect USER     the person has connected, as USER
//	broker mode MODE        "ok", "read", "refuse", "limit", "slow", "unknown", "redirect"
//	broker down | up        it is ended, or runs again at the same address
//	broker asked N          it was asked for so many credentials
//	broker rejected N       it was told of so many of its tokens that a host refused
//	broker purpose WORD     the last credential was for this
//	broker device yes|no    the person decides on the code that was asked for last
//	broker ended N          so many passes, or links of passes, were ended
func cmdBroker(ts *testscript.TestScript, neg bool, args []string) {
	b := stageOf(ts).broker
	if len(args) == 2 && args[0] == "device" {
		b.passes.decide(ts, args[1])
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	number := func(have int) {
		if strconv.Itoa(have) != args[1] {
			ts.Fatalf("%s %d times, want %s", args[0], have, args[1])
		}
	}
	switch strings.Join(args[:1], "") {
	case "connect":
		b.user = args[1]
		close(b.connected)
		b.connected = make(chan struct{})
	case "mode":
		b.mode = args[1]
	case "down":
		b.down()
	case "up":
		ts.Check(b.again())
	case "asked":
		number(b.asked)
	case "ended":
		number(len(b.passes.ended))
	case "rejected":
		number(b.rejected)
	case "purpose":
		if n := len(b.purposes); n == 0 || b.purposes[n-1] != args[1] {
			ts.Fatalf("purposes were %q", b.purposes)
		}
	default:
		ts.Fatalf("no %q", args)
	}
}

// cmdTook: took D PROGRAM ARG… runs a program that has to end within D.
func cmdTook(ts *testscript.TestScript, neg bool, args []string) {
	most, err := time.ParseDuration(args[0])
	ts.Check(err)
	began := time.Now()
	err = ts.Exec(args[1], args[2:]...)
	if d := time.Since(began); d > most {
		ts.Fatalf("it took %v, more than %v", d, most)
	}
	if (err != nil) != neg {
		ts.Fatalf("it ended with %v", err)
	}
}

// TestBrokerComesBack: the stand-in can go down and come back at its address.
func TestBrokerComesBack(t *testing.T) {
	recorder := httptest.NewServer(http.NotFoundHandler())
	defer recorder.Close()
	b, err := newBroker(t, nil, "github.com", recorder.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { b.down() }()
	get := func() error {
		req, _ := http.NewRequest("GET", b.base+"/api/v1/me", nil)
		req.Header.Set("Authorization", "Bearer "+hubToken)
		res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err == nil {
			defer res.Body.Close()
			if res.StatusCode != 200 {
				return fmt.Errorf("%s", res.Status)
			}
		}
		return err
	}
	if err := get(); err != nil {
		t.Fatal(err)
	}
	b.down()
	if get() == nil {
		t.Fatal("it answers while it is down")
	}
	if err := b.again(); err != nil {
		t.Fatal(err)
	}
	if err := get(); err != nil {
		t.Fatal(err)
	}
}
