// Package server is the access service's face to the network: the JSON API that
// programs use with a hub's token, and the pages that people use with a browser.
//
// It decides nothing about access. It finds out by functions that are handed in
// who asks, refuses what a hostile page, program or network could send, passes
// the question to the broker, and shows the answer as text. It knows no store,
// no rule and no provider.
package server

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/requestid"
	"github.com/daypass-dev/daypass/web"
)

// Config is what a server works with. All of it but what is said to have a
// default must be given.
type Config struct {
	Log *slog.Logger // nil: nothing is logged
	// URL is where browsers and programs find the service, with its path, such
	// as "https://hub.example.org/services/daypass/". Only https, but for
	// loopback addresses.
	URL *url.URL
	// Shared says that the hub, and with it the servers of its users, have the
	// same origin as URL. There are no scripts, no streams and no admin pages
	// then, and each page is put into an origin of its own.
	Shared  bool
	Hub     Hub
	Version string
	Now     func() time.Time // nil means time.Now
	Rand    io.Reader        // nil means crypto/rand

	Identify Identify
	SignIn   SignIn
	States   States
	Sessions scs.CtxStore // where sessions of browsers are kept
	Broker   Broker
	// Admin says whether a person may see the pages about others. nil: nobody.
	Admin func(daypass.Caller) bool
	// HookToken is what the hub's hooks show. The zero Secret turns them off.
	HookToken daypass.Secret
	// MetricsToken opens /metrics. The zero Secret: there is none here.
	MetricsToken daypass.Secret
	Metrics      *Metrics // nil means a set of its own
	// Apps is what the public pages describe, one or two for a host.
	Apps   []App
	Limits Limits
}

// Hub is what pages say about the hub.
type Hub struct {
	Title string // "Campus JupyterHub"
	URL   string // where browsers find it
}

// Limits bounds what callers may do. A zero field means its default.
type Limits struct {
	Rate       float64        // requests a second for one token; 50
	Burst      int            // and at once; 200
	StrangerIn float64        // requests a second from one address with tokens not seen before; 100
	Strangers  int            // and at once; 1000
	AtOnce     int            // requests worked on at a time; 512
	Waiting    int            // requests that wait, and streams; 2000
	Addresses  int            // from which one token is seen in an hour, before somebody is told; 4
	OpenIn     float64        // requests a second from one address that show nothing the hub vouches for: codes of devices, jobs' tokens, passes to be ended; 1
	Open       int            // and at once; 60
	GuessIn    float64        // wrong codes of devices a second, of one person; 1/60
	Guesses    int            // and at once; 10. From one address five times as many
	Proxies    []netip.Prefix // whose X-Forwarded-For is believed
}

func (l Limits) filled() Limits {
	def := func(n *int, d int) {
		if *n == 0 {
			*n = d
		}
	}
	def(&l.Burst, 200)
	def(&l.Strangers, 1000)
	def(&l.AtOnce, 512)
	def(&l.Waiting, 2000)
	def(&l.Addresses, 4)
	def(&l.Open, 60)
	def(&l.Guesses, 10)
	if l.OpenIn == 0 {
		l.OpenIn = 1
	}
	if l.GuessIn == 0 {
		l.GuessIn = 1.0 / 60
	}
	if l.Rate == 0 {
		l.Rate = 50
	}
	if l.StrangerIn == 0 {
		l.StrangerIn = 100
	}
	return l
}

// A Server answers all requests for one address. It is safe for concurrent use.
type Server struct {
	c        Config
	log      *slog.Logger
	base     string // the path of URL, with a slash at its end
	origin   string // scheme and host of URL
	mux      *http.ServeMux
	bare     http.Header // for every answer
	page     http.Header // for pages
	static   *web.Static
	pages    web.Pages
	sessions *scs.SessionManager
	cross    *http.CrossOriginProtection
	metrics  *Metrics
	tokens   *limiter // of tokens that the hub vouched for
	strange  *limiter // of addresses
	opened   *limiter // of addresses, by what is asked without a hub's token
	guesses  *limiter // of people
	places   *limiter // of addresses, by wrong guesses
	spent    *spent
	atOnce   chan struct{}
	waiting  chan struct{}
	resting  resting
	reaches  reaches
	seen     *sightings
	ids      requestid.IDs

	snapshotWait time.Duration // a constant, but for tests
}

// New checks the configuration and returns a server. Nothing runs in the
// background.
func New(c Config) (*Server, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	c.fill()
	s := &Server{
		c: c, log: c.Log, base: c.URL.Path, origin: c.URL.Scheme + "://" + c.URL.Host,
		metrics: c.Metrics, cross: http.NewCrossOriginProtection(),
		tokens:  newLimiter(c.Limits.Rate, c.Limits.Burst),
		strange: newLimiter(c.Limits.StrangerIn, c.Limits.Strangers),
		opened:  newLimiter(c.Limits.OpenIn, c.Limits.Open),
		guesses: newLimiter(c.Limits.GuessIn, c.Limits.Guesses),
		places:  newLimiter(5*c.Limits.GuessIn, 5*c.Limits.Guesses),
		seen:    newSightings(c.Limits.Addresses),
		spent:   newSpent(), snapshotWait: snapshotWait, resting: resting{n: map[daypass.User]int{}}, reaches: reaches{m: map[reachKey]reached{}},
		atOnce: make(chan struct{}, c.Limits.AtOnce), waiting: make(chan struct{}, c.Limits.Waiting),
	}
	s.ids.Start(c.Rand)
	var err error
	if s.static, err = web.NewStatic(s.base + "static/"); err != nil {
		return nil, err
	}
	if s.pages, err = web.Parse(s.funcs()); err != nil {
		return nil, err
	}
	if err := s.cross.AddTrustedOrigin(s.origin); err != nil {
		return nil, fmt.Errorf("the service's url: %w", err)
	}
	s.setHeaders()
	s.sessions = s.newSessions()
	s.setRoutes()
	return s, nil
}

func (c *Config) check() error {
	switch {
	case c.URL == nil || c.URL.Host == "" || c.URL.User != nil || c.URL.RawQuery != "" || c.URL.Fragment != "":
		return errors.New("the service's url is not an address with a host and a path only")
	case c.URL.Scheme != "https" && !(c.URL.Scheme == "http" && daypass.Loopback(c.URL.Host)):
		return errors.New("the service's url is not https: browsers would send its cookies in the clear")
	case strings.ContainsAny(c.URL.Path, "{}\\;,'\"<> ") || strings.Contains(c.URL.Path, "//"):
		return errors.New("the path of the service's url has characters that no path of a service has")
	case c.Identify == nil || c.SignIn.AuthCodeURL == nil || c.SignIn.Exchange == nil || c.States.Put == nil || c.States.Take == nil:
		return errors.New("there is no way to find out who asks")
	case c.Sessions == nil:
		return errors.New("there is no place for sessions")
	}
	return c.Broker.check()
}

func (c *Config) fill() {
	u := *c.URL
	c.URL = &u
	if !strings.HasSuffix(u.Path, "/") {
		c.URL.Path += "/"
	}
	c.URL.RawPath = ""
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = randomness{}
	}
	if c.Admin == nil {
		c.Admin = func(daypass.Caller) bool { return false }
	}
	if c.Metrics == nil {
		c.Metrics = NewMetrics(nil)
	}
	if c.Broker.LooksLike == nil {
		c.Broker.LooksLike = looksLikePass
	}
	c.Limits = c.Limits.filled()
}

func (s *Server) setHeaders() {
	strict := s.c.URL.Scheme == "https"
	forms := map[string]bool{}
	add := func(address string) {
		if u, err := url.Parse(address); err == nil && u.Host != "" {
			forms[u.Scheme+"://"+u.Host] = true
		}
	}
	for _, h := range s.c.Broker.Hosts {
		add(h.ConsentURL)
	}
	var list []string
	for f := range forms {
		if f != s.origin {
			list = append(list, f)
		}
	}
	policy := web.Policy{Base: s.c.URL.String(), Forms: list, Scripts: !s.c.Shared, Sandbox: s.c.Shared, Strict: strict}
	s.bare, s.page = web.Bare(strict), policy.Headers()
}

// path is where something below the service's own path is.
func (s *Server) path(rest string) string { return s.base + strings.TrimPrefix(rest, "/") }

// Link is the whole address of a page, such as Link("connect/github.com").
func (s *Server) Link(rest string) string { return s.origin + s.path(rest) }

// Mode says in words how pages are served, for the log at the start.
func (s *Server) Mode() string {
	if s.c.Shared {
		return "shared origin: the servers of users have the same origin as the pages; no scripts, no streams and no admin pages"
	}
	return "own origin: all pages"
}

// setHead copies prepared headers into an answer. The slices are shared and are
// never appended to in place, since each holds one value of capacity one.
func setHead(w http.ResponseWriter, prepared http.Header) {
	h := w.Header()
	for k, v := range prepared {
		h[k] = v
	}
}
