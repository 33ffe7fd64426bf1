//go:build linux

package broker_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/provider/github"
	"github.com/daypass-dev/daypass/store"
)

// processVariable tells a copy of this test program to be a broker's process,
// which can be stopped and killed, and how.
const processVariable = "DAYPASS_TEST_BROKER_PROCESS"

func TestMain(m *testing.M) {
	if text := os.Getenv(processVariable); text != "" {
		if err := beProcess(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A hold stops a process's first request of a kind to the provider, before it is
// sent or when its answer has arrived, and for good unless it is let go.
type hold struct {
	Path  string // the end of the request's path; "" holds nothing
	Grant string // what the body has to contain
	After bool
}

// A processConfig is what a process is given.
type processConfig struct {
	Store, KeyFile, GitHub string
	Skew                   time.Duration
	Hold                   hold
	Background             bool
	RefreshTime            time.Duration
}

// An order is a line to a process, and a reply one from it.
type order struct {
	ID                     int
	Op                     string // ask, start, finish, disconnect, release
	Server, Repo, St, Code string
}

type reply struct {
	ID     int
	Held   bool // no reply: a request is held
	Code   string
	Why    string
	Event  string
	Mark   string // of the token
	Cached bool
	To     string
}

// beProcess is the other process.
func beProcess(text string) error {
	var c processConfig
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	var mu sync.Mutex
	say := func(r reply) {
		mu.Lock()
		defer mu.Unlock()
		json.NewEncoder(os.Stdout).Encode(r)
	}
	release := make(chan struct{})
	b, end, err := c.broker(&holder{hold: c.Hold, held: func() { say(reply{Held: true}) }, release: release})
	if err != nil {
		return err
	}
	defer end()
	jo := daypass.Caller{User: daypass.User{Hub: hubID, Name: "jo", Created: born}, Server: daypass.Server{Known: true}, Via: daypass.ViaServer}
	lines := bufio.NewScanner(os.Stdin)
	var all sync.WaitGroup
	for lines.Scan() {
		var o order
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return err
		}
		if o.Op == "release" {
			close(release)
			continue
		}
		all.Go(func() { say(o.do(b, jo, c.host())) })
	}
	all.Wait()
	return lines.Err()
}

func (c processConfig) host() string { return strings.TrimPrefix(c.GitHub, "http://") }

func (c processConfig) open() (*store.DB, error) {
	text, err := os.ReadFile(c.KeyFile)
	if err != nil {
		return nil, err
	}
	keys, err := store.ParseKeys(text)
	if err != nil {
		return nil, err
	}
	return store.Open(context.Background(), store.Config{URL: c.Store, Keys: keys, Now: c.now})
}

func (c processConfig) now() time.Time { return time.Now().Add(c.Skew) }

func (c processConfig) broker(t http.RoundTripper) (*broker.Broker, func(), error) {
	db, err := c.open()
	if err != nil {
		return nil, nil, err
	}
	h, err := github.ParseHost(c.GitHub)
	if err != nil {
		return nil, nil, err
	}
	is, err := github.NewIssuer(github.IssuerConfig{
		Host: h, Transport: t, Now: c.now,
		Push: github.PushApp{ClientID: fake.CampusPushApp, ClientSecrets: []daypass.Secret{daypass.NewSecret(fake.CampusPushSecret)}},
	})
	if err != nil {
		return nil, nil, err
	}
	rules, err := policy.Compile(policy.Preset())
	if err != nil {
		return nil, nil, err
	}
	b, err := broker.New(broker.Config{
		Store: db, Issuers: []daypass.Issuer{is}, Now: c.now, Rules: rules, Process: db.Process(), Hub: broker.HubFuncs{ID: hubID},
		Limits: broker.Limits{RefreshTime: c.RefreshTime, TodoLease: 5 * time.Second},
	})
	if err != nil {
		return nil, nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if c.Background {
			b.Run(ctx)
		}
	}()
	return b, func() { stop(); <-done; db.Close() }, nil
}

func (o order) do(b *broker.Broker, jo daypass.Caller, at string) reply {
	ctx := context.Background()
	r := reply{ID: o.ID, Code: "ok"}
	var err error
	switch o.Op {
	case "ask":
		jo.Server.Name = o.Server
		owner, name, _ := strings.Cut(o.Repo, "/")
		var a broker.Answer
		a, err = b.Credential(ctx, jo, broker.Ask{Host: at, Repo: daypass.Repo{Owner: owner, Name: name}, Access: daypass.Write})
		if err == nil {
			r.Event, r.Mark, r.Cached = string(a.Event), broker.Fingerprint(a.Credential.Token), a.Cached
		}
	case "start":
		r.To, err = b.StartConsent(ctx, browser(jo), broker.ConsentStart{Session: "s", Host: at, Redirect: callback})
	case "finish":
		var done broker.Connected
		done, err = b.FinishConsent(ctx, browser(jo), broker.ConsentEnd{Session: "s", Host: at, State: o.St, Code: o.Code})
		r.Event = string(done.Event)
	case "disconnect":
		_, err = b.Disconnect(ctx, browser(jo), at, "")
	default:
		err = errors.New("no such order: " + o.Op)
	}
	if err != nil {
		r.Code, r.Why = code(err), err.Error()
		var ref *broker.Refusal
		if errors.As(err, &ref) {
			r.Event, r.Why = string(ref.Event), ref.Problem.What+": "+ref.Problem.Why
		}
	}
	return r
}

// A holder is a transport that holds a request.
type holder struct {
	hold    hold
	held    func()
	release <-chan struct{}
	used    atomic.Bool
}

func (h *holder) RoundTrip(q *http.Request) (*http.Response, error) {
	if h.hold.Path == "" || !strings.HasSuffix(q.URL.Path, h.hold.Path) || !h.contains(q) || !h.used.CompareAndSwap(false, true) {
		return http.DefaultTransport.RoundTrip(q)
	}
	wait := func() error {
		h.held()
		select {
		case <-h.release:
			// A context's timer may be later than its time, after a stop.
			if end, ok := q.Context().Deadline(); ok && time.Now().After(end) {
				return context.DeadlineExceeded
			}
			return q.Context().Err()
		case <-q.Context().Done():
			return q.Context().Err()
		}
	}
	if h.hold.After {
		res, err := http.DefaultTransport.RoundTrip(q)
		if err == nil {
			// Whoever was let go too late has the answer, and may use it.
			h.held()
			<-h.release
		}
		return res, err
	}
	if err := wait(); err != nil {
		return nil, err
	}
	return http.DefaultTransport.RoundTrip(q)
}

func (h *holder) contains(q *http.Request) bool {
	if h.hold.Grant == "" {
		return true
	}
	if q.GetBody == nil {
		return false
	}
	body, err := q.GetBody()
	if err != nil {
		return false
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	return err == nil && strings.Contains(string(text), h.hold.Grant)
}

// A town is a GitHub that listens, a store, and processes between them.
type town struct {
	t      testing.TB
	gh     *fake.GitHub
	config processConfig
	db     *store.DB
}

func newTown(t testing.TB) *town {
	t.Helper()
	w := &town{t: t}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, q *http.Request) { w.gh.ServeHTTP(rw, q) }))
	w.gh = fake.NewGitHub(fake.GitHubConfig{Kind: fake.EnterpriseServer, Host: srv.Listener.Addr().String(), Seed: fake.Campus()})
	srv.Start()
	t.Cleanup(srv.Close)
	if err := w.gh.SetCallbacks(fake.CampusPushApp, callback); err != nil {
		t.Fatal(err)
	}
	keys, err := store.NewKeys(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text, err := keys.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	w.config = processConfig{
		Store: "sqlite:" + filepath.Join(dir, "daypass.db"), KeyFile: filepath.Join(dir, "keys.json"), GitHub: srv.URL, RefreshTime: 1500 * time.Millisecond,
	}
	if err := os.WriteFile(w.config.KeyFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if w.db, err = w.config.open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.db.Close() })
	return w
}

// lease is for how long nobody else refreshes.
func (w *town) lease() time.Duration { return 5 * w.config.RefreshTime / 2 }

// later moves the clocks of GitHub and of the processes that start from now on.
func (w *town) later(d time.Duration) {
	w.gh.Advance(d)
	w.config.Skew += d
}

// A process is another broker on the town's store.
type process struct {
	t     testing.TB
	cmd   *exec.Cmd
	in    io.WriteCloser
	held  chan struct{}
	ended chan struct{}
	mu    sync.Mutex
	next  int
	wait  map[int]chan reply
}

func (w *town) process(change func(*processConfig)) *process {
	w.t.Helper()
	c := w.config
	if change != nil {
		change(&c)
	}
	text, err := json.Marshal(c)
	if err != nil {
		w.t.Fatal(err)
	}
	p := &process{t: w.t, held: make(chan struct{}, 1), ended: make(chan struct{}), wait: map[int]chan reply{}}
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env = append(os.Environ(), processVariable+"="+string(text))
	p.cmd.Stderr = os.Stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		w.t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	started := make(chan error)
	go func() {
		// The kernel ties the process to the thread that started it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.read(out)
			p.cmd.Wait()
			close(p.ended)
		}
	}()
	if err := <-started; err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(p.kill)
	return p
}

func (p *process) read(out io.Reader) {
	dec := json.NewDecoder(out)
	for {
		var r reply
		if dec.Decode(&r) != nil {
			return
		}
		if r.Held {
			p.held <- struct{}{}
			continue
		}
		p.mu.Lock()
		c := p.wait[r.ID]
		p.mu.Unlock()
		c <- r
	}
}

// kill is kill -9, and waits for the end.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.ended
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// send gives an order; the reply comes by the channel, if it comes.
func (p *process) send(o order) <-chan reply {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next++
	o.ID = p.next
	c := make(chan reply, 1)
	p.wait[o.ID] = c
	text, err := json.Marshal(o)
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.in.Write(append(text, '\n')); err != nil {
		p.t.Fatal(err)
	}
	return c
}

// get waits for a reply.
func (p *process) get(c <-chan reply) reply {
	p.t.Helper()
	select {
	case r := <-c:
		return r
	case <-p.ended:
		p.t.Fatal("the process ended")
	case <-time.After(30 * time.Second):
		p.t.Fatal("no reply within 30 s")
	}
	return reply{}
}

func (p *process) do(o order) reply { p.t.Helper(); return p.get(p.send(o)) }

func (p *process) ask(server string) reply {
	p.t.Helper()
	return p.do(order{Op: "ask", Server: server, Repo: "river-lab/data"})
}

// consented is the order to finish a consent that was said yes to.
func (w *town) consented(p *process) order {
	w.t.Helper()
	r := p.do(order{Op: "start"})
	q := w.said(r.To)
	return order{Op: "finish", St: q.Get("state"), Code: q.Get("code")}
}

func (w *town) connect(p *process) {
	w.t.Helper()
	if r := p.do(w.consented(p)); r.Code != "ok" {
		w.t.Fatalf("connect: %+v", r)
	}
}

// said is what GitHub sends back of somebody who says yes.
func (w *town) said(to string) url.Values {
	w.t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		w.t.Fatal(err)
	}
	q := u.Query()
	back, err := w.gh.Authorize(q.Get("client_id"), fake.CampusUser, q.Get("redirect_uri"), q.Get("state"), q.Get("code_challenge"))
	if err == nil {
		u, err = url.Parse(back)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return u.Query()
}

// within waits until ok.
func (w *town) within(limit time.Duration, what string, ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

// release lets what is held go on.
func (p *process) release() {
	p.t.Helper()
	if _, err := io.WriteString(p.in, `{"Op":"release"}`+"\n"); err != nil {
		p.t.Fatal(err)
	}
}
