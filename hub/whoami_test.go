package hub

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/pause"
)

// A script is a hub that answers by a table of paths and tokens. Replies to
// GET /user are the bytes of real hubs, shortened only in scopes that no rule
// looks at.
type script struct {
	mu    sync.Mutex
	reply map[string]string // "PATH TOKEN" or "PATH"; "" or absent is 403, "!NNN" a status, "refuse" no listener
	asked map[string]int
	wait  time.Duration

	version string // "" says none
}

func (s *script) set(key, reply string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reply[key] = reply
}

func (s *script) count(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[path]
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "token ")
	s.mu.Lock()
	s.asked[r.URL.Path]++
	body, ok := s.reply[r.URL.Path+" "+token]
	if !ok {
		body = s.reply[r.URL.Path]
	}
	wait, version := s.wait, s.version
	s.mu.Unlock()
	if !pause.For(r.Context(), wait) {
		return nil, r.Context().Err()
	}
	rec := httptest.NewRecorder()
	if version != "" {
		rec.Header().Set("X-JupyterHub-Version", version)
	}
	switch {
	case body == "refuse":
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	case body == "":
		rec.WriteHeader(http.StatusForbidden)
		rec.WriteString(`{"status": 403, "message": "Forbidden"}`)
	case body[0] == '!':
		rec.WriteHeader(map[string]int{"!404": 404, "!500": 500, "!502": 502, "!503": 503, "!302": 302}[body])
	default:
		rec.WriteString(body)
	}
	return rec.Result(), nil
}

// The replies of real hubs to GET /user.
const (
	server30    = `{"name": "alice", "groups": ["class"], "kind": "user", "admin": false, "last_activity": "2026-11-21T10:00:00.000000Z", "session_id": null, "scopes": ["access:servers!user=alice", "access:services!service=daypass", "read:users:activity!user=alice", "read:users:groups!user=alice", "read:users:name!user=alice", "users:activity!user=alice"]}`
	server61    = `{"admin": false, "kind": "user", "groups": ["class"], "name": "alice", "user_info": null, "token_id": "a12", "session_id": null, "scopes": ["access:servers!server=alice/gpu", "access:services!service=daypass", "custom:daypass:mint!server=alice/gpu", "users:activity!user=alice"]}`
	default61   = `{"admin": false, "kind": "user", "groups": [], "name": "alice", "token_id": "a13", "session_id": null, "scopes": ["access:servers!server=alice/", "access:services!service=daypass", "users:activity!user=alice"]}`
	plainServer = `{"admin": false, "kind": "user", "groups": [], "name": "alice", "token_id": "a14", "session_id": null, "scopes": ["access:servers!server=alice/", "users:activity!user=alice"]}`
	oauthOurs   = `{"admin": false, "kind": "user", "groups": [], "name": "alice", "token_id": "a15", "session_id": "f00d", "scopes": ["access:services!service=daypass", "read:users:groups!user=alice", "read:users:name!user=alice"]}`
	oauthOther  = `{"admin": false, "kind": "user", "groups": [], "name": "alice", "token_id": "a16", "session_id": "f00d", "scopes": ["access:services!service=managed", "read:users:groups!user=alice", "read:users:name!user=alice"]}`
	userFull    = `{"kind": "user", "name": "alice", "admin": false, "roles": ["user"], "groups": [], "server": null, "pending": null, "created": "2026-11-20T08:00:00.000001Z", "servers": {}, "session_id": null, "scopes": ["access:servers!user=alice", "access:services!service=daypass", "access:services!service=managed", "delete:servers!user=alice", "read:tokens!user=alice", "servers!user=alice", "tokens!user=alice", "users:activity!user=alice"]}`
	userNarrow  = `{"kind": "user", "name": "alice", "admin": true, "groups": [], "session_id": null, "scopes": ["access:services!service=daypass"]}`
	serviceSelf = `{"kind": "service", "name": "daypass", "admin": false, "roles": [], "session_id": null, "scopes": ["access:services!service=daypass", "list:users", "read:servers", "read:users"]}`
	alicePerson = `{"kind": "user", "name": "alice", "created": "2026-11-20T08:00:00.000001Z", "groups": ["class"], "servers": {"": {"name": "", "ready": true, "pending": null}, "gpu": {"name": "gpu", "ready": false, "pending": "spawn"}, "old": {"name": "old", "ready": false, "pending": null}}}`
)

var aliceMade = time.Date(2026, 11, 20, 8, 0, 0, 1000, time.UTC)

func scripted(reply map[string]string) (*Client, *script) {
	s := &script{reply: map[string]string{"/hub/api/users/alice svc": alicePerson}, asked: map[string]int{}}
	for k, v := range reply {
		s.reply["/hub/api"+k] = v
	}
	return New(Config{
		ID: "main", API: "http://hub/hub/api", Public: "https://hub.example/base/", Service: "daypass", Token: daypass.NewSecret("svc"), Transport: s,
	}), s
}

func TestWhoamiShapes(t *testing.T) {
	gpu, plain := daypass.Server{Known: true, Name: "gpu"}, daypass.Server{Known: true}
	cases := map[string]struct {
		reply  string
		via    daypass.Via
		server daypass.Server
		code   string
	}{
		"a named server":                         {reply: server61, via: daypass.ViaServer, server: gpu},
		"the default server":                     {reply: default61, via: daypass.ViaServer, server: plain},
		"a server of a hub before 4.0":           {reply: server30, via: daypass.ViaServer},
		"a server whose role was not widened":    {reply: plainServer, code: "DP-803"},
		"our own sign-in":                        {reply: oauthOurs, via: daypass.ViaBrowser},
		"another service's sign-in":              {reply: oauthOther, code: "DP-803"},
		"a person's own token":                   {reply: userFull, via: daypass.ViaUser},
		"a person's narrow token":                {reply: userNarrow, via: daypass.ViaUser},
		"a service":                              {reply: serviceSelf, code: "DP-804"},
		"nobody":                                 {reply: "", code: "DP-802"},
		"a name that only begins like the scope": {reply: strings.ReplaceAll(userNarrow, "service=daypass", "service=daypass2"), code: "DP-803"},
		"a service that only begins like ours":   {reply: strings.ReplaceAll(userNarrow, "access:services!", "access:services:x!"), code: "DP-803"},
		"all services":                           {reply: strings.ReplaceAll(userNarrow, "access:services!service=daypass", "access:services"), via: daypass.ViaUser},
		"a filter of a new kind":                 {reply: strings.ReplaceAll(userNarrow, "!service=", "!cluster="), code: "DP-803"},
		"a filter that is none":                  {reply: strings.ReplaceAll(userNarrow, "!service=daypass", "!"), code: "DP-803"},
		"our custom scope":                       {reply: strings.ReplaceAll(userNarrow, "access:services!service=daypass", "custom:daypass:mint:read!user=alice"), via: daypass.ViaUser},
		"somebody else's custom scope":           {reply: strings.ReplaceAll(userNarrow, "access:services!service=daypass", "custom:daypass:mint:read!user=bob"), code: "DP-803"},
		"a name that begins like ours":           {reply: strings.ReplaceAll(userNarrow, "access:services!service=daypass", "custom:daypassport:x"), code: "DP-803"},
		"a server that somebody shares":          {reply: strings.ReplaceAll(server61, "server=alice/gpu", "server=bob/gpu"), via: daypass.ViaServer},
		"two servers":                            {reply: strings.ReplaceAll(server61, "mint!server=alice/gpu", "mint!server=alice/cpu"), via: daypass.ViaServer},
		"one server, and all of them":            {reply: strings.ReplaceAll(server61, `"access:servers!`, `"access:servers!user=alice", "access:servers!`), via: daypass.ViaServer},
		"a server whose person was renamed":      {reply: strings.ReplaceAll(server61, `"access:servers!server=alice/gpu", "access:services!service=daypass", "custom:daypass:mint!server=alice/gpu"`, `"access:services!service=daypass"`), via: daypass.ViaServer},
		"not JSON":                               {reply: "<html>", code: "DP-801"},
		"a redirect":                             {reply: "!302", code: "DP-801"},
		"another API":                            {reply: "!404", code: "DP-801"},
		"a kind of owner that is new":            {reply: strings.ReplaceAll(userNarrow, `"user"`, `"robot"`), code: "DP-803"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cl, _ := scripted(map[string]string{"/user x": c.reply})
				who, err := cl.Whoami(t.Context(), daypass.NewSecret("x"), "", false)
				if got := codeOf(err); got != c.code {
					t.Fatalf("error %v, want %q", err, c.code)
				}
				if c.code != "" {
					return
				}
				want := daypass.User{Hub: "main", Name: "alice", Created: aliceMade}
				if who.Caller.User != want || who.Caller.Via != c.via || who.Caller.Server != c.server || who.Stale {
					t.Fatalf("got %+v", who)
				}
			})
		})
	}
}

func codeOf(err error) string {
	var p *daypass.Problem
	if errors.As(err, &p) {
		return p.Code
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func TestWhoamiUnsendable(t *testing.T) {
	cl, s := scripted(nil)
	for _, bad := range []string{"", "a b", "a\nb", "ä", strings.Repeat("x", 5000)} {
		if _, err := cl.Whoami(t.Context(), daypass.NewSecret(bad), "", false); codeOf(err) != "DP-802" {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if n := s.count("/hub/api/user"); n != 0 {
		t.Errorf("the hub was asked %d times", n)
	}
}

// ask is Whoami for the token "x", by what a reader of a failure wants to see.
func ask(t *testing.T, c *Client, fresh bool) string {
	t.Helper()
	who, err := c.Whoami(context.Background(), daypass.NewSecret("x"), "", fresh)
	switch {
	case err != nil:
		return codeOf(err)
	case who.Stale:
		return "stale " + who.Caller.User.Name
	}
	return who.Caller.User.Name
}

func expect(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func TestWhoamiRemembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := scripted(map[string]string{"/user x": server61})
		for range 3 {
			expect(t, ask(t, c, false), "alice")
		}
		// Twice the first time, so that a name that changes hands is noticed.
		if n := s.count("/hub/api/user"); n != 2 {
			t.Fatalf("asked %d times", n)
		}
		time.Sleep(goodFor)
		expect(t, ask(t, c, false), "alice")
		if n := s.count("/hub/api/user"); n != 3 {
			t.Fatalf("asked %d times after a minute", n)
		}
		if n := s.count("/hub/api/users/alice"); n != 1 {
			t.Fatalf("looked the person up %d times", n)
		}
		ask(t, c, true)
		if n := s.count("/hub/api/user"); n != 4 {
			t.Fatalf("fresh did not ask")
		}
		// A logout shows at once: another session is another question.
		if _, err := c.Whoami(t.Context(), daypass.NewSecret("x"), "other", false); err != nil {
			t.Fatal(err)
		}
		if n := s.count("/hub/api/user"); n != 6 {
			t.Fatalf("asked %d times", n)
		}
	})
}

func TestWhoamiRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := scripted(nil)
		expect(t, ask(t, c, false), "DP-802")
		expect(t, ask(t, c, false), "DP-802")
		if n := s.count("/hub/api/user"); n != 1 {
			t.Fatalf("asked %d times", n)
		}
		s.set("/hub/api/user x", server61)
		time.Sleep(refusedFor)
		expect(t, ask(t, c, false), "alice")
	})
}

// TestWhoamiAllAtOnce: many who ask the same cost one question, and the one who
// leaves first takes nothing from the others.
func TestWhoamiAllAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := scripted(map[string]string{"/user x": server61})
		s.wait = time.Second
		leaver, leave := context.WithCancel(t.Context())
		go c.Whoami(leaver, daypass.NewSecret("x"), "", false)
		synctest.Wait()
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if _, err := c.Whoami(t.Context(), daypass.NewSecret("x"), "", false); err != nil {
					t.Error(err)
				}
			})
		}
		leave()
		all.Wait()
		if n := s.count("/hub/api/user"); n != 2 {
			t.Fatalf("asked %d times", n)
		}
	})
}

func TestWhoamiOutage(t *testing.T) {
	for _, kind := range []string{"refuse", "!502", "!503", "!500", "<html>"} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := scripted(map[string]string{"/user x": server61})
				expect(t, ask(t, c, false), "alice")
				s.set("/hub/api/user x", kind)
				time.Sleep(goodFor - time.Second)
				expect(t, ask(t, c, false), "alice")
				time.Sleep(time.Second)
				expect(t, ask(t, c, false), "stale alice")
				expect(t, ask(t, c, true), "DP-801")
				time.Sleep(staleFor - goodFor)
				expect(t, ask(t, c, false), "stale alice")
				time.Sleep(time.Second)
				expect(t, ask(t, c, false), "DP-801")
				// It is back: nothing was lost.
				s.set("/hub/api/user x", server61)
				time.Sleep(holdOff)
				expect(t, ask(t, c, false), "alice")
			})
		})
	}
}

// TestWhoamiHoldsOff: a hub that is away is not asked by everybody, but one
// person's slow answer holds up nobody else.
func TestWhoamiHoldsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := scripted(map[string]string{"/user x": "refuse", "/user y": server61})
		for range 20 {
			expect(t, ask(t, c, true), "DP-801")
		}
		if n := s.count("/hub/api/user"); n != 1 {
			t.Fatalf("asked %d times", n)
		}
		time.Sleep(holdOff)
		s.set("/hub/api/user x", "!500")
		expect(t, ask(t, c, true), "DP-801")
		if _, err := c.Whoami(t.Context(), daypass.NewSecret("y"), "", true); err != nil {
			t.Fatal(err)
		}
	})
}

// TestWhoamiWrongRefusal: a hub that could not renew its own login answers 403
// for a good token, once.
func TestWhoamiWrongRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := scripted(map[string]string{"/user x": server61})
		expect(t, ask(t, c, false), "alice")
		time.Sleep(2 * time.Minute)
		s.set("/hub/api/user x", "")
		go func() {
			time.Sleep(500 * time.Millisecond)
			s.set("/hub/api/user x", server61)
		}()
		expect(t, ask(t, c, false), "alice")

		// Twice is meant.
		s.set("/hub/api/user x", "")
		time.Sleep(2 * time.Minute)
		before := s.count("/hub/api/user")
		begun := time.Now()
		expect(t, ask(t, c, false), "DP-802")
		if n := s.count("/hub/api/user") - before; n != 2 || time.Since(begun) != time.Second {
			t.Fatalf("asked %d times in %v", n, time.Since(begun))
		}
		// And then there is nothing left to doubt.
		time.Sleep(refusedFor)
		expect(t, ask(t, c, false), "DP-802")
		if n := s.count("/hub/api/user") - before; n != 3 {
			t.Fatalf("asked %d times", n)
		}

		// What was good a long time ago is not asked about twice.
		s.set("/hub/api/user x", server61)
		time.Sleep(refusedFor)
		expect(t, ask(t, c, false), "alice")
		time.Sleep(rememberFor)
		s.set("/hub/api/user x", "")
		before = s.count("/hub/api/user")
		expect(t, ask(t, c, false), "DP-802")
		if n := s.count("/hub/api/user") - before; n != 1 {
			t.Fatalf("asked %d times", n)
		}
	})
}

// TestWhoamiNeverStaleAfterRefusal: a token that the hub refused is not brought
// back by an outage.
func TestWhoamiNeverStaleAfterRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := scripted(map[string]string{"/user x": server61})
		expect(t, ask(t, c, false), "alice")
		s.set("/hub/api/user x", "")
		expect(t, ask(t, c, true), "DP-802")
		s.set("/hub/api/user x", "refuse")
		time.Sleep(refusedFor)
		expect(t, ask(t, c, false), "DP-801")
	})
}

// TestWhoamiRenamed: alice becomes alicia, and a new alice comes at once. What
// alicia's token names is not the new alice.
func TestWhoamiRenamed(t *testing.T) {
	renamed := strings.ReplaceAll(server61, "alice", "alicia")
	synctest.Test(t, func(t *testing.T) {
		c, s := scripted(map[string]string{"/user x": server61})
		expect(t, ask(t, c, false), "alice")
		s.set("/hub/api/user x", renamed)
		s.set("/hub/api/users/alice svc", strings.ReplaceAll(alicePerson, "2026-11-20", "2026-11-22"))
		who, err := c.Whoami(t.Context(), daypass.NewSecret("x"), "", true)
		if err != nil || who.Caller.User.Name != "alicia" || !who.Caller.User.Created.Equal(aliceMade) {
			t.Fatalf("%+v, %v", who, err)
		}
	})
	// In the very moment between the two questions.
	synctest.Test(t, func(t *testing.T) {
		c, s := scripted(map[string]string{
			"/user x": server61, "/users/alicia svc": strings.ReplaceAll(alicePerson, `"alice"`, `"alicia"`),
			"/users/alice svc": strings.ReplaceAll(alicePerson, "2026-11-20", "2026-11-22"),
		})
		s.wait = time.Second
		go func() {
			time.Sleep(1500 * time.Millisecond)
			s.set("/hub/api/user x", renamed)
		}()
		who, err := c.Whoami(t.Context(), daypass.NewSecret("x"), "", false)
		if err != nil || who.Caller.User.Name != "alicia" || !who.Caller.User.Created.Equal(aliceMade) {
			t.Fatalf("%+v, %v", who, err)
		}
	})
}

// TestOwnToken: where the hub refuses the service itself, the caller is told
// that it is not them.
func TestOwnToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := scripted(map[string]string{"/user x": server61, "/users/alice svc": ""})
		_, err := c.Whoami(t.Context(), daypass.NewSecret("x"), "", false)
		if !errors.Is(err, ErrServiceToken) || !errors.Is(err, daypass.ErrUnreachable) || errors.Is(err, daypass.ErrRefused) {
			t.Fatal(err)
		}
		c, _ = scripted(map[string]string{"/user x": server61, "/users/alice svc": `{"kind": "user", "name": "alice"}`})
		if _, err := c.Whoami(t.Context(), daypass.NewSecret("x"), "", false); !errors.Is(err, ErrServiceToken) {
			t.Fatal(err)
		}
		for reply, good := range map[string]bool{serviceSelf: true, "": false, userFull: false, strings.ReplaceAll(serviceSelf, "read:users", "read:users:name"): false} {
			c, _ := scripted(map[string]string{"/user svc": reply})
			if err := c.Check(t.Context()); good != (err == nil) || !good && !errors.Is(err, ErrServiceToken) {
				t.Errorf("%.40s: %v", reply, err)
			}
		}
	})
}

func TestForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := scripted(map[string]string{"/user x": server61})
		expect(t, ask(t, c, false), "alice")
		s.set("/hub/api/user x", "")
		c.Forget(daypass.User{Name: "bob"})
		expect(t, ask(t, c, false), "alice")
		c.Forget(daypass.User{Name: "alice"})
		expect(t, ask(t, c, false), "DP-802")
	})
	// An answer under way when the server ended is not kept.
	synctest.Test(t, func(t *testing.T) {
		c, s := scripted(map[string]string{"/user x": server61})
		s.wait = time.Second
		go ask(t, c, false)
		time.Sleep(2500 * time.Millisecond)
		c.Forget(daypass.User{Name: "alicia", Created: aliceMade})
		time.Sleep(time.Minute / 2)
		s.set("/hub/api/user x", "")
		expect(t, ask(t, c, false), "DP-802")
	})
}

func TestCacheBounded(t *testing.T) {
	c := newCache()
	good := &entry{asked: 1}
	goodKey := keyOf("good", "")
	c.put(&goodKey, good)
	for i := range 3 * shardCount * shardSize {
		k := keyOf("rubbish"+string(rune(i))+time.Duration(i).String(), "")
		c.put(&k, &entry{err: errUnknown, asked: int64(i + 2)})
	}
	total := 0
	for i := range c.shards {
		total += len(c.shards[i].entries)
	}
	if total > shardCount*shardSize {
		t.Fatalf("%d entries", total)
	}
	if c.find(&goodKey) == nil {
		t.Fatal("rubbish pushed out what is good")
	}
}

func TestPerson(t *testing.T) {
	c, s := scripted(nil)
	p, err := c.Person(t.Context(), "alice")
	if err != nil || !p.ServersKnown || strings.Join(p.Running, ",") != ",gpu" {
		t.Fatal(p, err)
	}
	s.set("/hub/api/users/bob", "!404")
	for _, name := range []string{"bob", "", ".", "..", "a/../alice", "alice/tokens"} {
		if _, err := c.Person(t.Context(), name); !errors.Is(err, ErrNoUser) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestStarted: when a server was started is told from when it was started again,
// and one that does not run has no start.
func TestStarted(t *testing.T) {
	c, s := scripted(nil)
	s.set("/hub/api/users/carol", `{"kind": "user", "name": "carol", "created": "2026-11-20T08:00:00.000001Z", "servers": {
		"": {"ready": true, "pending": null, "started": "2026-11-21T09:30:00.250000Z"},
		"gpu": {"ready": false, "pending": "spawn", "started": null},
		"odd": {"ready": true, "pending": null, "started": "yesterday"},
		"old": {"ready": false, "pending": null, "started": "2026-11-19T09:30:00.000000Z"}}}`)
	p, err := c.Person(t.Context(), "carol")
	if err != nil || strings.Join(p.Running, ",") != ",gpu,odd" {
		t.Fatal(p, err)
	}
	if want := time.Date(2026, 11, 21, 9, 30, 0, 250000000, time.UTC); len(p.Started) != 1 || !p.Started[""].Equal(want) {
		t.Errorf("started: %v", p.Started)
	}
}

func TestServerInNote(t *testing.T) {
	for note, want := range map[string]daypass.Server{
		"Server at /base/user/alice/gpu/": {Known: true, Name: "gpu"},
		"Server at /user/alice/":          {Known: true},
		"Server at /user/bob/gpu/":        {},
		"Server at /user/alice2/gpu/":     {},
		"my token":                        {},
		"Server at /user/alice/a/b/":      {},
	} {
		if got := serverInNote(note, "alice"); got != want {
			t.Errorf("%q: %+v", note, got)
		}
	}
}

func TestNeverThroughProxy(t *testing.T) {
	proxy := func(*http.Request) (*url.URL, error) { return url.Parse("http://proxy.invalid:1") }
	given := &http.Transport{Proxy: proxy}
	c := New(Config{Transport: given})
	if c.http.Transport.(*http.Transport).Proxy != nil || given.Proxy == nil {
		t.Fatal("the proxy is still there, or was taken from the caller's own")
	}
	if New(Config{}).http.Transport.(*http.Transport).Proxy != nil {
		t.Fatal("the default goes through a proxy")
	}
}

func TestAuthCodeURL(t *testing.T) {
	c, _ := scripted(nil)
	got := c.AuthCodeURL("s", "verifier-verifier-verifier-verifier-verifier", "/services/daypass/oauth_callback")
	if !strings.HasPrefix(got, "https://hub.example/base/hub/api/oauth2/authorize?") || !strings.Contains(got, "code_challenge_method=S256") ||
		!strings.Contains(got, "client_id=service-daypass") || strings.Contains(got, "svc&") {
		t.Fatal(got)
	}
}

func BenchmarkWhoamiRemembered(b *testing.B) {
	c, _ := scripted(map[string]string{"/user x": server61})
	token := daypass.NewSecret("x")
	if _, err := c.Whoami(b.Context(), token, "", false); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := c.Whoami(b.Context(), token, "", false); err != nil {
				b.Error(err)
			}
		}
	})
}
