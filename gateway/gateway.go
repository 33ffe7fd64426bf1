package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/requestid"
	"github.com/daypass-dev/daypass/pass"
)

// A Mode says by which rules passes are held to their limits.
type Mode uint8

// The modes.
const (
	Strict Mode = iota // each limit counts for each address that it speaks of
	Compat             // as devpi-tokens does, gaps and all; what Strict would refuse is logged
)

// String returns "strict" or "compat".
func (m Mode) String() string {
	if m == Compat {
		return "compat"
	}
	return "strict"
}

// Config is what a gateway works with. What is not said to have a default must
// be given.
type Config struct {
	Log      *slog.Logger // nil: nothing is logged
	URL      *url.URL     // where clients find the gateway; https, or loopback
	Upstream *url.URL     // devpi-server; https, or loopback: sessions go there
	Mode     Mode
	// Admins are the names that devpi-server has in --restrict-modify, ":GROUP"
	// for a group. None stands for a server without that option: root, and each
	// user for themself.
	Admins       []string
	ActAsAdmins  bool // root's and Admins' passes work too
	ListProjects bool // a pass limited to projects may list them all
	PushOut      bool // a limited pass may push to another server
	Acting       Acting
	Proxies      []netip.Prefix    // whose X-Forwarded-For is believed
	Transport    http.RoundTripper // to Upstream; nil means one of its own
	Now          func() time.Time  // nil means time.Now
	Rand         io.Reader         // nil means crypto/rand; for ids of requests
	Passes       Passes
	Exchange     *Exchange // nil: there is none here
}

// Passes is the book of passes. All functions but EndShown and Event are needed.
type Passes struct {
	// Open checks a pass's signature and that it was not ended. An error that
	// wraps [pass.ErrSignature] or holds a *[pass.Refusal] is the pass's fault,
	// any other the book's.
	Open func(ctx context.Context, p pass.Pass) (Shown, error)
	Mint func(ctx context.Context, t NewToken) (daypass.Secret, error)
	List func(ctx context.Context, user string) ([]Token, error)
	// End reports false where there is no such pass any more.
	End func(ctx context.Context, user, id, by string) (bool, error)
	// EndShown ends a pass that is shown, and all that were narrowed from it, and
	// returns the event's id. Nil: the gateway does not offer it.
	EndShown func(ctx context.Context, p pass.Pass, from netip.Addr) (event string, err error)
	// Event notes what is about to be done, or was refused, and returns under
	// which id. It is durable when it returns, and nothing is done where it fails.
	Event func(ctx context.Context, e Event) (id string, err error)
}

// Shown is a pass whose signature was right.
type Shown struct {
	User, ID string
	Kind     pass.Kind
	Rights   pass.Rights
	Link     string    // of the pass as it is, 16 hexadecimal digits
	Made     time.Time // when it was minted; zero: not known
	Since    time.Time // NewToken's
	// Check judges, Use judges and counts. Where the pass does not allow it,
	// the error holds a *[pass.Refusal], or is a refusal of the book's.
	Check func(f pass.Facts) error
	Use   func(ctx context.Context, f pass.Facts) error
}

// NewToken is what a devpi user asked for.
type NewToken struct {
	User   string      // whose it is to be
	By     string      // who asks
	Limits pass.Limits // with its end; daypass.Forever: none
	Label  string      // what it is called in lists; at most 100 characters, all of which can be seen
	From   netip.Addr
	// Since is when devpi made the account, and has to be kept: a later account of
	// the same name is another's. Zero: devpi does not say.
	Since time.Time
}

// Token is one of a user's passes that is still good.
type Token struct {
	ID                   string
	Caveats              []string // as minted
	Label                string
	Created, Used, Until time.Time
	Since                time.Time // NewToken's
	Uses                 int64
}

// An Event is what somebody did, or wanted to, with a pass.
type Event struct {
	User, ID, Link string
	Action         string   // such as "upload"
	Indexes        []string // "user/index"
	Projects       []string
	From           netip.Addr
	Refused        string // why; empty: it was allowed
}

// Exchange turns the identity of a CI job into a pass, at the addresses that
// PyPI has for it.
type Exchange struct {
	Audience string // what the job asks its own issuer to put into the token
	// Mint's error should hold a *daypass.Problem, which is what the job is told.
	Mint func(ctx context.Context, token daypass.Secret, from netip.Addr) (Exchanged, error)
}

// Exchanged is a pass that a job got.
type Exchanged struct {
	Token   daypass.Secret
	Expires time.Time
}

// A Gateway answers all requests for one devpi server. It is safe for
// concurrent use. Nothing of it runs in the background.
type Gateway struct {
	c          Config
	log        *slog.Logger
	outside    string // URL without a slash at its end, which devpi writes into its answers
	base       string // the path of URL, without a slash at its end
	transport  http.RoundTripper
	askFor     time.Duration
	acting     actor
	holders    remembered[holder]
	indexes    remembered[indexInfo]
	strangers  limiter // addresses that show what is no pass
	complaints limiter // passes that are refused, each with an event
	good       familiar
	atOnce     crowd
	lingering  chan struct{}
	buffers    sync.Pool
	ids        requestid.IDs
}

const (
	maxAtOnce    = 512
	maxFromOne   = 256 // address
	maxLingering = 64
	bufferSize   = 64 << 10
)

// New checks the configuration and returns a gateway. It asks nobody; [Gateway.Check]
// does.
func New(c Config) (*Gateway, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	c.fill()
	g := &Gateway{
		c: c, log: c.Log, outside: strings.TrimRight(c.URL.String(), "/"), base: strings.TrimRight(c.URL.Path, "/"),
		transport: c.Transport, askFor: askFor,
		lingering: make(chan struct{}, maxLingering),
		buffers:   sync.Pool{New: func() any { b := make([]byte, bufferSize); return &b }},
	}
	g.atOnce.start()
	g.holders.start()
	g.indexes.start()
	g.strangers.start(badPerSecond, badAtOnce)
	g.good.start()
	g.complaints.start(complaintsPerSecond, complaintsAtOnce)
	g.ids.Start(c.Rand)
	var err error
	g.acting, err = newActor(g)
	return g, err
}

func (c *Config) check() error {
	switch {
	case !plain(c.URL):
		return unusable("url is not an address with a host and a path only")
	case c.URL.Scheme != "https" && !(c.URL.Scheme == "http" && daypass.Loopback(c.URL.Host)):
		return unusable("url is not https: passes would be sent in the clear")
	case strings.Trim(c.URL.Path, pathLetters) != "":
		return unusable("the path of url has other characters than letters, digits and -._~, which devpi would compare escaped") // see upstreamURL
	case !plain(c.Upstream):
		return unusable("upstream is not an address with a host and a path only")
	case c.Upstream.Scheme != "https" && !(c.Upstream.Scheme == "http" && daypass.Loopback(c.Upstream.Host)):
		return unusable("upstream is neither https nor on this machine: whoever reads on the way could act as any user")
	case c.Mode > Compat:
		return unusable("mode is neither strict nor compat")
	case c.Passes.Open == nil || c.Passes.Mint == nil || c.Passes.List == nil || c.Passes.End == nil || c.Passes.Event == nil:
		return errors.New("gateway: there is no book of passes")
	case c.Exchange != nil && (c.Exchange.Mint == nil || c.Exchange.Audience == ""):
		return errors.New("gateway: the exchange has no audience, or nobody who mints")
	case slices.ContainsFunc(c.Admins, func(a string) bool { return strings.Trim(a, ":") == "" }):
		return unusable("admins has an empty name")
	case slices.ContainsFunc(c.Admins, func(a string) bool { return strings.ContainsAny(a, ", \t\r\n/") }):
		return unusable("admins has several names in one item") // who would then be no admin to us
	}
	return c.Acting.check()
}

const pathLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/"

func plain(u *url.URL) bool {
	return u != nil && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == "" && u.Opaque == "" && u.RawPath == "" && !strings.Contains(u.Path, "//")
}

func unusable(why string) error {
	return &daypass.Problem{
		Code: "DP-999", What: "The gateway's configuration cannot be used", Why: why, Next: "Change it as doc/gateway.md says, and start again.", Kind: daypass.ErrUsage,
	}
}

func (c *Config) fill() {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Transport == nil {
		c.Transport = newTransport()
	}
	c.Admins = slices.Clone(c.Admins)
}

// newTransport is tuned for one server nearby: connections are kept for less
// long than devpi keeps them (120 s), since an upload cannot be sent again where
// the other side just closed.
func newTransport() *http.Transport {
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConns:        128, MaxIdleConnsPerHost: 128, IdleConnTimeout: 30 * time.Second,
		// devpi answers an upload only after it has put all of it away.
		ResponseHeaderTimeout:  10 * time.Minute,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 128 << 10,
		WriteBufferSize:        bufferSize, ReadBufferSize: bufferSize,
	}
}

// HTTP returns an http.Server with the bounds that the gateway relies on: 32 KiB
// of headers, 10 s for them. There is no bound for a whole request or answer;
// one that stands still for a minute is given up.
func (g *Gateway) HTTP() *http.Server {
	return &http.Server{
		Handler: g, MaxHeaderBytes: 28 << 10, // net/http adds 4 KiB
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, DisableGeneralOptionsHandler: true,
		ErrorLog: slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
	}
}

// Check acts once as a devpi user and asks devpi whether it believes it. The
// error says what to mend; with an empty user, and a key, it asks only whether
// devpi is there.
func (g *Gateway) Check(ctx context.Context, user string) error {
	who, err := g.acting.status(ctx, user)
	if err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	if want := g.acting.name(user); want != "" && who != want {
		return notBelieved(want)
	}
	return nil
}
