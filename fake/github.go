package fake

import (
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A HostKind is one of the three shapes in which GitHub is offered.
type HostKind int

const (
	// EnterpriseServer has everything on one host: /login, /OWNER/REPO and
	// the API under /api/v3. It is the shape for loopback addresses too.
	EnterpriseServer HostKind = iota
	// GitHubCom has its API on api.HOST.
	GitHubCom
	// GHECom is GitHub Enterprise Cloud with data residency: SUB.ghe.com,
	// its API on api.SUB.ghe.com.
	GHECom
)

// An AppKind tells GitHub Apps from OAuth Apps.
type AppKind int

const (
	// GitHubApp yields ghu_ tokens that reach where the App is installed.
	GitHubApp AppKind = iota
	// OAuthApp yields gho_ tokens that never expire and reach whatever their
	// scopes allow.
	OAuthApp
)

// Access is what a user may do with a repository.
type Access int

// The levels of access, each including those before it.
const (
	AccessNone Access = iota
	AccessRead
	AccessWrite
	AccessAdmin
)

// A User is an account of a person.
type User struct {
	ID         int64
	Login      string
	Name       string
	Email      string   // empty: the address is private, and the API says null
	Unverified bool     // the primary address is not verified
	TwoFactor  bool     // two-factor authentication is on
	SSO        []string // organisations with an active SAML session
}

// An Org is an organisation.
type Org struct {
	ID     int64
	Login  string
	Name   string
	SAML   bool     // single sign-on is enforced
	Owners []string // logins of those who may install Apps there; access is the Repo's
}

// An App is a GitHub App or an OAuth App.
type App struct {
	ID            int64
	ClientID      string
	Slug          string
	Name          string
	Owner         string // login of its user or organisation
	Kind          AppKind
	NeverExpire   bool              // "Expire user authorization tokens" is off
	DeviceFlowOff bool              // "Enable Device Flow" is off
	Permissions   map[string]string // nil means contents: write, metadata: read
	ClientSecrets []string          // any of them is right; none: the web flow is closed
	CallbackURLs  []string          // of the web flow, matched exactly; GitHub takes up to ten
	Keys          []string          // public RSA keys in PEM that its JWTs may be signed with; see NewAppKey
}

// An Installation puts a GitHub App on an account's repositories.
type Installation struct {
	ID          int64
	App         string // client id
	Account     string // login of the user or organisation
	All         bool   // all repositories, also future ones
	Repos       []int64
	Permissions map[string]string // that the account accepted; nil means the App's
	SuspendedAt time.Time         // zero: not suspended
	SuspendedBy string            // login; empty means the account's owner
}

// A Repo is a repository. Its owner, when a user, has admin access.
type Repo struct {
	ID          int64
	Owner       string
	Name        string
	Description string
	Private     bool
	Archived    bool
	Access      map[string]Access // by login
	// Files is the first commit. Nil means a README.md; an empty map means a
	// repository without any commit.
	Files map[string]string
	// Dir is the bare repository. Empty: it is made under the root that
	// [GitHubConfig] names when git first asks for it.
	Dir string

	byLogin map[string]Access // Access by lower-case login
}

// FullName returns OWNER/NAME.
func (r Repo) FullName() string { return r.Owner + "/" + r.Name }

// A Seed is the state from which a [GitHub] starts.
type Seed struct {
	Users         []User
	Orgs          []Org
	Apps          []App
	Installations []Installation
	Repos         []Repo
	Renames       map[string]string // old OWNER/NAME to new
}

// Switches change how a [GitHub] behaves. The zero value is GitHub as
// documented.
type Switches struct {
	Interval        int           // seconds between polls; 0 means 5
	CodeLife        time.Duration // of device codes; 0 means 15 minutes
	SayTokenExpired bool          // say token_expired instead of expired_token: the documentation has both
	TokenLife       time.Duration // of user tokens; 0 means 8 hours
	RefreshLife     time.Duration // of refresh tokens; 0 means 15,811,200 seconds

	AutoApprove      string // login that approves every code by itself
	AutoApproveAfter int    // at this poll; 0 means the first

	IgnoreRepositoryID bool // never limit a token to a repository
	RefreshWidens      bool // a refreshed token loses its repository limit

	// HideUninstalled answers a push to a private repository on which the App
	// is not installed with 404 instead of 403. Both have been reported.
	HideUninstalled bool

	// ChildrenSurviveRefresh lets scoped tokens go on when the token they were
	// made from is refreshed or reset. GitHub does not say; by default they die.
	ChildrenSurviveRefresh bool
	// ChildLimit is how many scoped tokens of one user and App live at once: a
	// further one ends the oldest. 0 means 10, which GitHub documents for the
	// tokens of OAuth Apps; a negative number means no limit.
	ChildLimit int
	// EchoSelection makes the answer to "create a scoped access token" say which
	// repositories the installation is for, in place of the token, and
	// ChildrenUndated makes it name no end. GitHub describes neither further.
	EchoSelection, ChildrenUndated bool
	// RefreshLatency is how long the answer to a refresh takes, after the old
	// tokens have died: the window in which a program can be killed.
	RefreshLatency time.Duration
	// ReuseRevokes ends all that has come of a refresh token when the token is
	// shown a second time, as RFC 6819, section 5.2.2.3, has it. What GitHub
	// does is not documented. It counts for refreshes after it is set.
	ReuseRevokes bool
	// ReplicaLag is for how long a new access token is answered as if it did
	// not exist, because not all of GitHub has heard of it yet.
	ReplicaLag time.Duration
	// Stateless makes installation tokens of the long form, unless a request's
	// X-GitHub-Stateless-S2S-Token says otherwise.
	Stateless bool

	RevokeEndpoint bool // offer /credentials/revoke on an EnterpriseServer too
	RevokeTiesPair bool // revoking a refresh token ends its access token too

	RateLimit      int           // requests per user and hour; 0 means 5,000, or none on an EnterpriseServer
	AnonymousLimit int           // requests per address and hour without a token; 0 means 60
	SecondaryLimit time.Duration // when not 0, every API call is refused, to be retried after this long
}

// GitHubConfig is what [NewGitHub] needs.
type GitHubConfig struct {
	Kind HostKind
	// Host is the name, with a port if it has one. Empty means github.com,
	// octo.ghe.com, or for an EnterpriseServer whatever the request says.
	Host string
	Seed Seed
	// Git is the path of the git program and GitRoot the folder for bare
	// repositories. Without them there is no git over HTTP.
	Git     string
	GitRoot string
	Now     func() time.Time // nil means time.Now
	Rand    io.Reader        // nil means crypto/rand
	Switches
}

// GitHub is a stand-in for GitHub: device flow and web flow with the pages to
// approve on, the parts of the REST API that tell whose token it is and what
// it reaches, those with which an App checks, narrows and revokes tokens and
// acts as itself, and git over HTTP. It is safe for concurrent use.
type GitHub struct {
	faults
	journal
	kind    HostKind
	host    string
	git     string
	gitRoot string
	now     func() time.Time
	rand    io.Reader

	mu       sync.Mutex // guards everything below
	sw       Switches
	users    []*User
	orgs     []*Org
	apps     []*App
	installs []*Installation
	repos    []*Repo
	index    index
	renames  map[string]string // lower-case old name to new name
	nextID   int64
	devices  map[string]*device  // by device code
	codes    map[string]*webCode // by code
	tokens   tokens
	// authorised are the users, by ownerKey, who have authorised an App and
	// not taken that back, whether or not a token of theirs still lives.
	authorised map[string]bool
	revoked    int
	submits    map[string]*bucket // code submissions, by client id
	buckets    map[string]*bucket // API requests, by user or address

	making sync.Mutex   // held while a bare repository is made
	ahead  atomic.Int64 // how far Advance has moved the clock
}

// NewGitHub returns a GitHub that starts from c.Seed. The seed is copied.
func NewGitHub(c GitHubConfig) *GitHub {
	g := &GitHub{
		kind: c.Kind, host: c.Host, git: c.Git, gitRoot: c.GitRoot, rand: c.Rand, sw: c.Switches,
		renames: map[string]string{},
		nextID:  90_000_000,
		devices: map[string]*device{}, codes: map[string]*webCode{}, tokens: newTokens(), authorised: map[string]bool{}, submits: map[string]*bucket{}, buckets: map[string]*bucket{},
	}
	if g.host == "" && g.kind == GitHubCom {
		g.host = "github.com"
	}
	if g.host == "" && g.kind == GHECom {
		g.host = "octo.ghe.com"
	}
	now := c.Now
	if now == nil {
		now = time.Now
	}
	g.now = func() time.Time { return now().Add(time.Duration(g.ahead.Load())) }
	if g.rand == nil {
		g.rand = rand.Reader
	}
	for _, u := range c.Seed.Users {
		u.SSO = slices.Clone(u.SSO)
		g.users = append(g.users, &u)
	}
	for _, o := range c.Seed.Orgs {
		g.orgs = append(g.orgs, &o)
	}
	for _, a := range c.Seed.Apps {
		g.apps = append(g.apps, newApp(a))
	}
	for _, i := range c.Seed.Installations {
		i.Repos = slices.Clone(i.Repos)
		g.installs = append(g.installs, &i)
	}
	for _, r := range c.Seed.Repos {
		g.repos = append(g.repos, newRepo(r))
	}
	for from, to := range c.Seed.Renames {
		g.renames[strings.ToLower(from)] = to
	}
	g.reindex()
	return g
}

func newApp(a App) *App {
	if a.Permissions == nil {
		a.Permissions = map[string]string{"contents": "write", "metadata": "read"}
	}
	a.Permissions = maps.Clone(a.Permissions)
	a.ClientSecrets, a.CallbackURLs, a.Keys = slices.Clone(a.ClientSecrets), slices.Clone(a.CallbackURLs), slices.Clone(a.Keys)
	return &a
}

func newRepo(r Repo) *Repo {
	r.Access = maps.Clone(r.Access)
	r.Files = maps.Clone(r.Files)
	r.byLogin = make(map[string]Access, len(r.Access))
	for login, a := range r.Access {
		r.byLogin[strings.ToLower(login)] = a
	}
	return &r
}

// Set changes the switches while the GitHub is in use.
func (g *GitHub) Set(change func(*Switches)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change(&g.sw)
}

// Advance moves this GitHub's clock forward, on top of the one handed in:
// tokens and codes expire, limits reset, and its Date says so.
func (g *GitHub) Advance(d time.Duration) { g.ahead.Add(int64(d)) }

// Update changes the world: the seed it hands to change is the present one,
// and what change leaves in it is the world from then on. Tokens stay.
func (g *GitHub) Update(change func(*Seed)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := Seed{Renames: g.renames}
	for _, u := range g.users {
		s.Users = append(s.Users, *u)
	}
	for _, o := range g.orgs {
		s.Orgs = append(s.Orgs, *o)
	}
	for _, a := range g.apps {
		s.Apps = append(s.Apps, *a)
	}
	for _, i := range g.installs {
		s.Installations = append(s.Installations, *i)
	}
	for _, r := range g.repos {
		s.Repos = append(s.Repos, *newRepo(*r))
	}
	change(&s)
	n := NewGitHub(GitHubConfig{Seed: s})
	g.users, g.orgs, g.apps, g.installs, g.repos, g.renames = n.users, n.orgs, n.apps, n.installs, n.repos, n.renames
	g.index = n.index
}

// Rename gives a repository a new OWNER/NAME. Its old name redirects.
func (g *GitHub) Rename(from, to string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.repoNamed(from)
	owner, name, ok := strings.Cut(to, "/")
	if r == nil || !ok {
		return fmt.Errorf("fake: rename %s to %s: no such repository, or not OWNER/NAME", from, to)
	}
	r.Owner, r.Name = owner, name
	g.renames[strings.ToLower(from)] = to
	delete(g.renames, strings.ToLower(to))
	g.reindex()
	return nil
}

// RenameUser gives a user another login. Tokens, rights and repositories stay theirs,
// and the old login is free for anybody.
func (g *GitHub) RenameUser(from, to string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	u := g.userNamed(from)
	if u == nil || g.userNamed(to) != nil || g.orgNamed(to) != nil {
		return fmt.Errorf("fake: rename user %s to %s: no such user, or the name is taken", from, to)
	}
	from, u.Login = u.Login, to
	for _, r := range g.repos {
		if strings.EqualFold(r.Owner, from) {
			g.renames[strings.ToLower(r.FullName())] = to + "/" + r.Name
			r.Owner = to
		}
		if a, ok := r.Access[from]; ok {
			delete(r.Access, from)
			delete(r.byLogin, strings.ToLower(from))
			r.Access[to], r.byLogin[strings.ToLower(to)] = a, a
		}
	}
	for _, i := range g.installs {
		if strings.EqualFold(i.Account, from) {
			i.Account = to
		}
	}
	g.tokens.rename(from, to)
	g.reindex()
	return nil
}

// ServeHTTP answers as GitHub does.
func (g *GitHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault := g.take(r)
	n := g.record(g.now(), r)
	sw := &statusWriter{ResponseWriter: w}
	defer func() { g.recordStatus(n, sw.status) }()
	h := http.Header(w.Header())
	h.Set("Date", g.now().UTC().Format(http.TimeFormat))
	h.Set("X-GitHub-Request-Id", requestID(n))
	h.Set("Server", "github.com")
	if fault == nil {
		g.route(sw, r)
		return
	}
	fault.serve(sw, r, http.HandlerFunc(g.route))
}

// requestID looks like GitHub's, so that programs which show it show
// something of the right shape.
func requestID(n int) string {
	return fmt.Sprintf("FA4E:0F0F:%06X:%06X:%08X", n, n*7, 0x65000000+n)
}

// route decides by host and path whether a request is for the API, for git or
// for a page.
func (g *GitHub) route(w http.ResponseWriter, r *http.Request) {
	host := strings.ToLower(r.Host)
	switch {
	case g.kind == EnterpriseServer && g.host != "" && host != strings.ToLower(g.host):
		http.Error(w, "fake: this is "+g.host, http.StatusMisdirectedRequest)
	case g.kind == EnterpriseServer:
		if rest, ok := strings.CutPrefix(r.URL.Path, "/api/v3"); ok && (rest == "" || rest[0] == '/') {
			g.serveAPI(w, r, rest)
			return
		}
		g.serveWeb(w, r)
	case host == "api."+g.host:
		g.serveAPI(w, r, r.URL.Path)
	case host == g.host:
		g.serveWeb(w, r)
	case host == "gist."+g.host:
		http.NotFound(w, r) // no gists here
	default:
		http.Error(w, "fake: this is "+g.host, http.StatusMisdirectedRequest)
	}
}

// serveWeb answers what is not the API.
func (g *GitHub) serveWeb(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/login/device/code":
		g.serveDeviceCode(w, r)
	case "/login/oauth/access_token":
		g.serveAccessToken(w, r)
	default:
		if repo, service, ok := gitPath(r); ok {
			g.serveGit(w, r, repo, service)
			return
		}
		g.servePage(w, r)
	}
}

// webURL returns the address of the web face, without a slash at the end.
func (g *GitHub) webURL(r *http.Request) string {
	host := g.host
	if host == "" {
		host = r.Host
	}
	if r.TLS != nil {
		return "https://" + host
	}
	return "http://" + host
}

// apiURL returns the address of the API, without a slash at the end.
func (g *GitHub) apiURL(r *http.Request) string {
	web := g.webURL(r)
	if g.kind == EnterpriseServer {
		return web + "/api/v3"
	}
	return strings.Replace(web, "://", "://api.", 1)
}
