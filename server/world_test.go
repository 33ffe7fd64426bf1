package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
)

// world is the rest of the service as the face sees it: a hub that knows some
// tokens, and a broker with realistic answers that notes what it was told to do.
type world struct {
	mu       sync.Mutex
	now      time.Time
	did      []string // what changed something
	tokens   map[string]Identity
	down     bool // the hub
	stale    bool
	states   map[string]SignInState
	changed  chan struct{}
	evil     string          // a name that somebody hostile chose; "" for the realistic ones
	asked    int             // questions to the hub
	reached  int             // questions what a connection reaches
	cut      map[string]bool // whom an admin cut off
	fresh    bool            // the last question was not to be answered from memory
	shown    []string        // tokens that the hub was asked about
	passes   map[string]daypass.Caller
	devices  map[string]*device // by the user's code
	asks     []PassAsk
	linkAsks []LinkAsk
	never    bool     // passes without an end are allowed
	froms    []string // addresses that passes were shown from
	looked   int      // questions what waits under a code
	log      strings.Builder
}

// ctxStore gives scs's memory store the methods with a context.
type ctxStore struct{ *memstore.MemStore }

func (c ctxStore) FindCtx(_ context.Context, t string) ([]byte, bool, error) { return c.Find(t) }
func (c ctxStore) DeleteCtx(_ context.Context, t string) error               { return c.Delete(t) }
func (c ctxStore) CommitCtx(_ context.Context, t string, b []byte, e time.Time) error {
	return c.Commit(t, b, e)
}

var _ scs.CtxStore = ctxStore{}

var created = time.Date(2024, 9, 1, 8, 0, 0, 0, time.UTC)

func newWorld() *world {
	who := func(name string, via daypass.Via, server string) Identity {
		return Identity{Caller: daypass.Caller{
			User: daypass.User{Hub: "main", Name: name, Created: created}, Groups: []string{"staff"},
			Server: daypass.Server{Known: via == daypass.ViaServer, Name: server}, Via: via,
		}}
	}
	return &world{
		now: time.Date(2026, 11, 22, 15, 4, 0, 0, time.UTC), states: map[string]SignInState{}, changed: make(chan struct{}, 1),
		tokens: map[string]Identity{
			"server-ada": who("ada", daypass.ViaServer, "gpu"), "server-bob": who("bob", daypass.ViaServer, "old"), "user-ada": who("ada", daypass.ViaUser, ""), "browser-ada": who("ada", daypass.ViaBrowser, ""),
			"browser-bob": who("bob", daypass.ViaBrowser, ""), "browser-mallory": who("mallory", daypass.ViaBrowser, ""),
		},
	}
}

func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.did = append(w.did, fmt.Sprintf(format, args...))
}

func (w *world) deeds() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.did...)
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) identify(_ context.Context, token daypass.Secret, _ string, fresh bool) (Identity, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	w.fresh = fresh
	w.shown = append(w.shown, token.Reveal())
	if w.down && !w.stale {
		return Identity{}, &daypass.Problem{Code: "DP-801", What: "The hub could not be asked", Kind: daypass.ErrUnreachable}
	}
	id, ok := w.tokens[token.Reveal()]
	if !ok {
		return id, &daypass.Problem{Code: "DP-802", What: "The hub does not know this token", Kind: daypass.ErrRefused}
	}
	id.Stale = w.stale
	return id, nil
}

func (w *world) name(real string) string {
	if w.evil != "" {
		return w.evil
	}
	return real
}

// config is a service at an address.
func (w *world) config(address string, shared bool) Config {
	u, err := url.Parse(address)
	if err != nil {
		panic(err)
	}
	return Config{
		URL: u, Shared: shared, Hub: Hub{Title: w.name("Campus JupyterHub"), URL: "https://hub.example.org/"}, Version: "0.2.0-test",
		Now: w.clock, Identify: w.identify,
		Log: slog.New(slog.NewTextHandler(&lockedWriter{w: w}, &slog.HandlerOptions{Level: slog.LevelDebug})),
		SignIn: SignIn{
			AuthCodeURL: func(state, verifier string) string {
				return "https://hub.example.org/hub/api/oauth2/authorize?state=" + state
			},
			Exchange: func(_ context.Context, code, verifier string) (daypass.Secret, error) {
				if len(verifier) < 43 {
					return daypass.Secret{}, &daypass.Problem{Code: "DP-806", What: "no verifier", Kind: daypass.ErrRefused}
				}
				return daypass.NewSecret(strings.TrimPrefix(code, "code-")), nil
			},
		},
		States: States{
			Put: func(_ context.Context, id string, s SignInState) error {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.states[id] = s
				return nil
			},
			Take: func(_ context.Context, id string) (SignInState, bool, error) {
				w.mu.Lock()
				defer w.mu.Unlock()
				s, ok := w.states[id]
				delete(w.states, id)
				return s, ok, nil
			},
		},
		Sessions: ctxStore{memstore.NewWithCleanupInterval(0)},
		Admin:    func(c daypass.Caller) bool { return c.User.Name == "ada" },
		Apps: []App{
			{Host: "github.com", Name: w.name("push from Campus Hub"), ClientID: "Iv1.5f3a", URL: "https://github.com/apps/push-from-campus-hub", Longest: 90 * time.Minute},
			{Host: "github.com", Name: "course content for Campus Hub", ClientID: "Iv1.c0c0", URL: "https://github.com/apps/content-for-campus-hub", Content: true, Longest: time.Hour},
		},
		HookToken: daypass.NewSecret("hook-token-for-the-hub"), MetricsToken: daypass.NewSecret("metrics-token"),
		Broker: w.broker(),
	}
}

type lockedWriter struct{ w *world }

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	return l.w.log.Write(b)
}

func (w *world) logged() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}

func (w *world) broker() Broker {
	b := Broker{
		Hosts: []Host{
			{Host: "github.com", Name: "GitHub", ConsentURL: "https://github.com/login/oauth/authorize", ClientID: "Iv1.5f3a", ReachURL: "https://github.com/apps/push-from-campus-hub/installations/new"},
			{Host: "github.example.edu:8443", Name: w.name("Campus GitHub"), ConsentURL: "https://github.example.edu:8443/login/oauth/authorize", ClientID: "Iv1.77aa"},
		},
		Enter: func(_ context.Context, c daypass.Caller) (int64, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.cut[c.User.Name] {
				return 0, &daypass.Problem{Code: "DP-811", What: "your access was ended by an admin", Kind: daypass.ErrRefused}
			}
			return int64(len(c.User.Name)), nil
		},
		Credential: func(_ context.Context, c daypass.Caller, a Ask) (api.CredentialReply, error) {
			w.note("credential %s %s %s %s", c.User.Name, c.Server, a.Repo, a.Most)
			if a.Repo.Name == "refused" {
				return api.CredentialReply{}, &Refusal{
					Problem: &daypass.Problem{Code: "DP-810", What: "the rules give no access", Kind: daypass.ErrRefused}, Event: "K3QF-1042", Rule: "no-thesis", Link: "activity",
				}
			}
			if a.Repo.Name == "panic" {
				panic("canary-in-panic " + a.Repo.Owner)
			}
			return api.CredentialReply{
				Username: "x-access-token", Password: daypass.NewSecret("ghu_canary0123456789"), Host: a.Host, Repo: api.Of(daypass.Repo{Owner: a.Repo.Owner, Name: a.Repo.Name, ID: 42}),
				Access: a.Most.String(), Until: w.clock().Add(time.Hour), As: api.AsUser, Account: api.Account{ID: 7, Login: "ada-l"}, Event: "K3QF-1043",
			}, nil
		},
		Rejected: func(_ context.Context, c daypass.Caller, r api.Rejected) error {
			w.note("rejected %s", r.Host)
			return nil
		},
		Wait: func(ctx context.Context, _ daypass.Caller, host string) (bool, error) {
			<-ctx.Done()
			return false, ctx.Err()
		},
		Reach: func(_ context.Context, _ daypass.Caller, host string) (Reach, error) {
			w.mu.Lock()
			w.reached++
			w.mu.Unlock()
			var list []daypass.Right
			for i, n := range []string{"ocean-models", "buoy-data", "thesis", "lab-notebooks", "teaching-2026", "paper-figures"} {
				list = append(list, daypass.Right{Repo: daypass.Repo{Owner: w.name("tidal-lab"), Name: n, ID: int64(100 + i)}, Access: daypass.Write, Private: i%2 == 1, Admin: i == 4})
			}
			return Reach{Rights: list, Complete: true}, nil
		},
		Start: func(_ context.Context, c daypass.Caller, session, host string) (string, error) {
			w.note("start %s %s", c.User.Name, host)
			return "https://github.com/login/oauth/authorize?state=" + session, nil
		},
		Finish: func(_ context.Context, c daypass.Caller, session, host string, q url.Values) (daypass.Account, error) {
			if q.Get("state") != session {
				return daypass.Account{}, &Refusal{Problem: &daypass.Problem{Code: "DP-818", What: "This answer belongs to another sign-in", Kind: daypass.ErrRefused}}
			}
			w.note("finish %s %s", c.User.Name, host)
			return daypass.Account{ID: 7, Login: w.name("ada-l")}, nil
		},
		Disconnect: func(_ context.Context, c daypass.Caller, host string) (Ended, error) {
			w.note("disconnect %s %s", c.User.Name, host)
			return Ended{Done: []string{"3 tokens in use were ended at GitHub.", "The connection was ended at GitHub."}, Event: "K3QF-1044"}, nil
		},
		Approve: func(_ context.Context, c daypass.Caller, s daypass.Server) error {
			w.note("approve %s %s", c.User.Name, s)
			return nil
		},
		NewServers: func(context.Context, daypass.Caller) ([]NewServer, error) {
			return []NewServer{{Server: w.name("scratch"), First: w.clock().Add(-3 * time.Hour)}, {First: w.clock().Add(-5 * time.Hour)}}, nil
		},
		Roamed: func(ctx context.Context, c daypass.Caller, n int) {
			w.note("roamed %s %s %d %v", c.User.Name, c.Server, n, RequestID(ctx) != "")
		},
		Moved: func(context.Context, daypass.Caller) ([]SharedRepo, error) {
			return []SharedRepo{{"github.com", "tidal-lab/archive"}}, nil
		},
		Confirm: func(_ context.Context, c daypass.Caller, host string, repo daypass.Repo) error {
			w.note("confirm %s %s %s", c.User.Name, host, repo)
			return nil
		},
		Share: func(_ context.Context, c daypass.Caller, n NewShare) error {
			w.note("share %s %s %s %s", c.User.Name, n.Repo, n.Group, n.Until.Format(time.DateOnly))
			return nil
		},
		EndShare: func(_ context.Context, c daypass.Caller, id int64) error {
			w.note("end-share %s %d", c.User.Name, id)
			return nil
		},
		Changed: func(daypass.Caller) (<-chan struct{}, func()) { return w.changed, func() {} },
		CutOff: func(_ context.Context, c daypass.Caller, id int64) (Ended, error) {
			w.note("cut-off by %s %d", c.User.Name, id)
			return Ended{Done: []string{"2 connections were ended at GitHub.", "5 tokens in use were ended."}}, nil
		},
		Ready: func(context.Context) []Check {
			return []Check{{Name: "store", Good: true}, {Name: "hub", Good: !w.down}}
		},
		HookLogin:   func(_ context.Context, l api.HookLogin) error { w.note("hook-login %s", l.Host); return nil },
		HookStopped: func(_ context.Context, l api.HookStopped) error { w.note("hook-stopped"); return nil },
	}
	w.lists(&b)
	b.PassParts, b.SnapshotParts, b.LinkParts = w.passParts(), w.snapshots(), w.linkParts()
	return b
}

// lists are the broker's answers that only tell.
func (w *world) lists(b *Broker) {
	b.Started = func(_ context.Context, c daypass.Caller) time.Time {
		if c.Server.Name != "gpu" {
			return time.Time{}
		}
		return w.now.Add(-3 * time.Hour)
	}
	b.Connections = func(_ context.Context, c daypass.Caller) ([]Connection, error) {
		return []Connection{
			{
				Host: "github.com", State: api.StateLive, Account: daypass.Account{ID: 7, Login: w.name("ada-l"), Name: w.name("Ada Lindqvist"), Email: "7+ada-l@users.noreply.github.com"},
				Since: w.now.Add(-9 * 24 * time.Hour), Used: w.now.Add(-25 * time.Minute), Until: w.now.Add(21*24*time.Hour + 3*time.Hour), Idle: w.now.Add(7 * 24 * time.Hour), How: "app",
			},
			{Host: "github.example.edu:8443", State: api.StateConsent, Why: w.name("GitHub ended the connection, because it was not used for six months")},
		}, nil
	}
	b.Activity = func(_ context.Context, c daypass.Caller, q ActivityQuery) ([]Activity, string, error) {
		next := ""
		if q.Limit == pageLines && q.Before == "" {
			next = "c-1001"
		}
		if q.Pass != "" {
			return w.passActivity(q.Pass), "", nil
		}
		return w.activity(), next, nil
	}
	b.Approvals = func(context.Context, daypass.Caller) ([]Approval, error) {
		return []Approval{{Server: daypass.Server{Known: true, Name: w.name("gpu")}, Count: 20, Limit: 20}}, nil
	}
	b.Sharing = func(context.Context, daypass.Caller) (Sharing, error) {
		return Sharing{
			May: true, Groups: []string{w.name("ocean-101"), "ocean-201"}, Max: 180 * 24 * time.Hour,
			Rights: []SharedRepo{{"github.com", "tidal-lab/teaching-2026"}},
			Shares: []Share{
				{ID: 3, Host: "github.com", Repo: "tidal-lab/teaching-2026", Group: w.name("ocean-101"), Until: w.now.Add(70 * 24 * time.Hour), Created: w.now, Mine: true},
				{ID: 4, Host: "github.com", Repo: "stats-dept/exercises", Group: "stats-7", Until: w.now.Add(12 * time.Hour), Created: w.now},
			},
		}, nil
	}
	b.People = func(_ context.Context, q string, after int64) ([]Person, int64, error) {
		return []Person{
			{ID: 1, Name: w.name("ada"), Seen: w.now.Add(-time.Hour), Connected: []string{"GitHub as ada-l"}, Refused: 2},
			{ID: 2, Name: "bob", Seen: w.now.Add(-50 * time.Hour), Connected: []string{"GitHub as bobby-t", "Campus GitHub as bob"}},
			{ID: 3, Name: "eve.miller@students.example.edu", Seen: w.now.Add(-400 * time.Hour), CutOff: w.now.Add(-3 * time.Hour)},
		}, 3, nil
	}
	b.Person = func(ctx context.Context, id int64) (PersonDetail, error) {
		if id != 1 {
			return PersonDetail{}, nothingHere()
		}
		list, _ := b.Connections(ctx, daypass.Caller{})
		return PersonDetail{
			Person: Person{ID: 1, Name: w.name("ada"), Seen: w.now.Add(-time.Hour)}, Created: created, Connections: list, Activity: w.activity()[:6],
			Reply: w.name("Your push to tidal-lab/thesis at 14:12 UTC was refused by the rule “no-thesis-from-shared” (event K3QF-1031): that rule lets nobody write theses from shared servers. Use your own server."),
		}, nil
	}
	b.Health = func(context.Context) ([]Check, error) {
		return []Check{
			{Name: "Hub", Good: true, Says: w.name("JupyterHub 6.1 answers within 4 ms; the service's token has the scopes it needs")},
			{Name: "GitHub", Good: true, Says: "answers within 180 ms; 14 of 5000 requests used this hour"},
			{Name: "Campus GitHub", Good: false, Says: "has not answered for 12 minutes", Fix: "Look at github.example.edu:8443 from this machine. Tokens made before go on working."},
			{Name: "Store", Good: true, Says: "SQLite, synchronous=2, journal=wal"},
			{Name: "Keys", Good: true, Says: "one key, 3 weeks old; every row is under it"},
		}, nil
	}
}

func (w *world) activity() []Activity {
	var out []Activity
	add := func(ago time.Duration, kind, outcome, server, repo, access, rule, why, code string) {
		out = append(out, Activity{
			ID: fmt.Sprintf("K3QF-%d", 1043-len(out)), At: w.now.Add(-ago), Kind: kind, Outcome: outcome, Server: w.name(server), Via: "server", Host: "github.com",
			Repo: w.name(repo), Access: access, As: "user", Rule: rule, Why: w.name(why), Code: code,
		})
	}
	h := time.Hour
	add(25*time.Minute, "credential", "ok", "gpu", "tidal-lab/ocean-models", "write", "own-connections", "", "")
	add(52*time.Minute, "refusal", "refused", "shared-class", "tidal-lab/thesis", "write", "no-thesis-from-shared", "the rule lets nobody write from shared servers", "DP-810")
	add(3*h, "credential", "ok", "scratch", "tidal-lab/buoy-data", "read", "own-connections", "", "")
	add(5*h, "credential", "ok", "gpu", "tidal-lab/ocean-models", "write", "own-connections", "", "")
	add(26*h, "credential", "ok", "default", "tidal-lab/lab-notebooks", "write", "own-connections", "", "")
	add(27*h, "credential", "failed", "default", "tidal-lab/paper-figures", "read", "", "github.com did not answer in time", "DP-815")
	add(50*h, "credential", "ok", "gpu", "tidal-lab/ocean-models", "read", "own-connections", "", "")
	add(55*h, "credential", "ok", "gpu", "tidal-lab/buoy-data", "read", "own-connections", "", "")
	add(75*h, "credential", "ok", "gpu", "tidal-lab/ocean-models", "write", "own-connections", "", "")
	add(100*h, "credential", "ok", "default", "tidal-lab/teaching-2026", "write", "own-connections", "", "")
	add(130*h, "credential", "ok", "shared-class", "tidal-lab/teaching-2026", "read", "own-connections", "", "")
	out[len(out)-1].Pass, out[len(out)-1].Link = "k3q7m2wz5t8v4x9n", "9f86d081884c7d65"
	add(150*h, "credential", "ok", "default", "tidal-lab/buoy-data", "read", "own-connections", "", "")
	out = append(out, Activity{ID: "K3QF-1001", At: w.now.Add(-9 * 24 * h), Kind: "connect", Outcome: "ok", Via: "browser", Host: "github.com"})
	return out
}

// browser is a browser that keeps cookies and says how its requests come about.
type browser struct {
	t       *testing.T
	h       http.Handler
	base    string
	cookies map[string]*http.Cookie
	shared  bool
}

func newBrowser(t *testing.T, h http.Handler, base string, shared bool) *browser {
	return &browser{t: t, h: h, base: base, cookies: map[string]*http.Cookie{}, shared: shared}
}

var (
	typed = map[string]string{"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-User": "?1"}
)

func (b *browser) do(method, target string, form url.Values, how map[string]string) *http.Response {
	b.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequest(method, target, body)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for k, v := range how {
		r.Header.Set(k, v)
	}
	for _, c := range b.cookies {
		if strings.HasPrefix(r.URL.Path, c.Path) {
			r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
		}
	}
	res := traffic.ask(b.h, r)
	for _, c := range res.Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
			continue
		}
		b.cookies[c.Name] = c
	}
	return res
}

func (b *browser) get(path string) *http.Response {
	b.t.Helper()
	return b.do("GET", b.base+path, nil, typed)
}

// own is how a form of the pages themselves is sent.
func (b *browser) own() map[string]string {
	if b.shared {
		return map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Origin": "null"}
	}
	return map[string]string{"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Origin": "null"}
}

// signIn goes through the hub as the person of that token.
func (b *browser) signIn(token, next string) *http.Response {
	b.t.Helper()
	res := b.get("signin?next=" + url.QueryEscape(next))
	state := stateIn(b.t, res)
	return b.get("oauth_callback?state=" + state + "&code=code-" + token)
}

func stateIn(t *testing.T, res *http.Response) string {
	t.Helper()
	u, err := url.Parse(res.Header.Get("Location"))
	if err != nil || u.Query().Get("state") == "" {
		t.Fatalf("no state in %d %q", res.StatusCode, res.Header.Get("Location"))
	}
	return u.Query().Get("state")
}

func text(t *testing.T, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// formOf finds the form's code for a path in a page.
func formOf(t *testing.T, page, action string) string {
	t.Helper()
	_, rest, ok := strings.Cut(page, `action="`+action+`"`)
	if !ok {
		t.Fatalf("no form for %s in the page:\n%s", action, page)
	}
	_, rest, _ = strings.Cut(rest, `name="form" value="`)
	code, _, _ := strings.Cut(rest, `"`)
	if code == "" {
		t.Fatalf("no code in the form for %s", action)
	}
	return code
}

const (
	ownURL    = "https://daypass.example.org/"
	sharedURL = "https://hub.example.org/services/daypass/"
)

func start(t *testing.T, w *world, address string, shared bool) *Server {
	t.Helper()
	s, err := New(w.config(address, shared))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func answerWith(reply api.CredentialReply) func(context.Context, daypass.Caller, Ask) (api.CredentialReply, error) {
	return func(context.Context, daypass.Caller, Ask) (api.CredentialReply, error) { return reply, nil }
}

func blockUntil(hold, entered chan struct{}) func(context.Context, daypass.Caller, api.Rejected) error {
	return func(context.Context, daypass.Caller, api.Rejected) error {
		entered <- struct{}{}
		<-hold
		return nil
	}
}

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range list {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}
