package server

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
)

// Identify asks the hub whose a token is. session is the browser's session at
// the hub, or "". fresh: what is remembered will not do. An error that is
// [daypass.ErrRefused] means nobody, [daypass.ErrUnreachable] that the hub cannot
// be asked.
type Identify func(ctx context.Context, token daypass.Secret, session string, fresh bool) (Identity, error)

// An Identity is who asks.
type Identity struct {
	Caller daypass.Caller
	Stale  bool // the hub cannot be reached; this is what it said a while ago
}

// SignIn is the hub's OAuth for browsers, with the redirect to "oauth_callback"
// below the service's URL.
type SignIn struct {
	AuthCodeURL func(state, verifier string) string
	Exchange    func(ctx context.Context, code, verifier string) (daypass.Secret, error)
}

// States keeps what a sign-in has to find again. Take deletes what it returns;
// false where there is none, or where it is older than ten minutes.
type States struct {
	Put  func(ctx context.Context, id string, s SignInState) error
	Take func(ctx context.Context, id string) (SignInState, bool, error)
}

// A SignInState is one sign-in that was begun.
type SignInState struct {
	Browser  string // SHA-256 of the cookie that the browser got, in hex
	Verifier string
	Next     string
	Created  time.Time
}

// Broker is what is asked of the broker. Functions that may be nil say so. Each
// error may hold a [Refusal].
type Broker struct {
	Hosts []Host // in the order of the pages

	// Enter is asked before anything is shown to a browser. It returns a number that
	// stands for the person, and refuses somebody who was cut off.
	Enter      func(context.Context, daypass.Caller) (number int64, err error)
	Credential func(context.Context, daypass.Caller, Ask) (api.CredentialReply, error)
	Rejected   func(context.Context, daypass.Caller, api.Rejected) error
	// Connections returns one for each host, in the order of Hosts.
	Connections func(context.Context, daypass.Caller) ([]Connection, error)
	// Started is when the server was started whose token the caller has; zero where
	// it has none, or the hub does not tell. May be nil.
	Started func(context.Context, daypass.Caller) time.Time
	// Wait returns true once the host is connected, false when ctx ends before.
	Wait       func(ctx context.Context, caller daypass.Caller, host string) (bool, error)
	Reach      func(ctx context.Context, caller daypass.Caller, host string) (Reach, error)
	Start      func(ctx context.Context, caller daypass.Caller, session, host string) (address string, err error)
	Finish     func(ctx context.Context, caller daypass.Caller, session, host string, query url.Values) (daypass.Account, error)
	Disconnect func(ctx context.Context, caller daypass.Caller, host string) (Ended, error)
	Activity   func(context.Context, daypass.Caller, ActivityQuery) (list []Activity, next string, err error)
	Approvals  func(context.Context, daypass.Caller) ([]Approval, error)
	Approve    func(ctx context.Context, caller daypass.Caller, server daypass.Server) error
	// AllowWrites lets a server write, for the Approvals that say Writes. May be
	// nil where none does.
	AllowWrites func(ctx context.Context, caller daypass.Caller, server daypass.Server) error
	// NewServers lists the servers, and the tokens that are no server's, that were
	// given their first credential in the last 24 hours, the newest first. May be
	// nil.
	NewServers func(context.Context, daypass.Caller) ([]NewServer, error)
	// Roamed is told of a token that was seen from more addresses within an hour
	// than one server has. May be nil.
	Roamed func(ctx context.Context, caller daypass.Caller, addresses int)
	// Moved lists names that mean another repository than they did before, and
	// were refused for it; Confirm lets one mean the new repository. Both may be
	// nil.
	Moved    func(context.Context, daypass.Caller) ([]SharedRepo, error)
	Confirm  func(ctx context.Context, caller daypass.Caller, host string, repo daypass.Repo) error
	Sharing  func(context.Context, daypass.Caller) (Sharing, error)
	Share    func(context.Context, daypass.Caller, NewShare) error
	EndShare func(ctx context.Context, caller daypass.Caller, id int64) error
	// Changed gives a signal after each change that the caller's pages would
	// show, until the returned function is called.
	Changed func(daypass.Caller) (<-chan struct{}, func())

	// For admins. All nil in shared mode.
	People func(ctx context.Context, query string, after int64) (list []Person, next int64, err error)
	Person func(ctx context.Context, id int64) (PersonDetail, error)
	CutOff func(ctx context.Context, admin daypass.Caller, id int64) (Ended, error)
	Health func(context.Context) ([]Check, error)
	// Ready is what /readyz says: every check must be good.
	Ready func(context.Context) []Check

	HookLogin   func(context.Context, api.HookLogin) error
	HookStopped func(context.Context, api.HookStopped) error

	PassParts
	LinkParts
	SnapshotParts
}

func (b *Broker) check() error {
	if b.Enter == nil || b.Credential == nil || b.Rejected == nil || b.Connections == nil || b.Wait == nil || b.Reach == nil || b.Start == nil || b.Finish == nil ||
		b.Disconnect == nil || b.Activity == nil || b.Approvals == nil || b.Approve == nil || b.Sharing == nil || b.Share == nil ||
		b.EndShare == nil || b.Changed == nil || b.Ready == nil {
		return errors.New("the server lacks a part of the broker")
	}
	return errors.Join(b.PassParts.check(), b.checkSnapshots(), b.checkLinks())
}

// A Refusal is a no with what helps a person on. It wraps its problem.
type Refusal struct {
	Problem    *daypass.Problem
	Event      string        // the line of the activity; may be empty
	Rule       string        // the rule that decided; may be empty
	Link       string        // where to go next, below the service's URL: "connect/github.com"; may be empty
	RetryAfter time.Duration // 0: not by waiting
	OAuth      string        // the word of RFC 8628, 3.5, of a device's code; may be empty
}

// Error is the problem's message.
func (r *Refusal) Error() string { return r.Problem.Error() }

// Unwrap returns the problem.
func (r *Refusal) Unwrap() error { return r.Problem }

// A Host is one that people connect.
type Host struct {
	Host       string
	Name       string // "GitHub"
	ConsentURL string // any address of the place where people say yes, for its origin
	ClientID   string
	ReachURL   string // where people change what the App reaches
	Content    bool   // no git host, but a site of course content that is read as oneself
}

// An App is what a public page tells organisation owners.
type App struct {
	Host     string
	Name     string // as the host shows it, or the last part of URL; "" where neither is known
	ClientID string
	URL      string        // its page at the host; may be empty
	Content  bool          // the read-only App for course content
	Longest  time.Duration // how long one of its tokens lasts at most; 0: no rule gives one
}

// An Ask is a request for a credential that was read and is well-formed.
type Ask struct {
	Host        string
	Repo        daypass.Repo
	Most, Least daypass.Access
	Purpose     string // "git", "run", "env"
	Stale       bool   // the hub cannot be reached: only what was made before
	Request     string // the request's id
}

// A Connection is how a person stands at a host.
type Connection struct {
	Host    string
	State   string // api.StateNone, StateLive, StateConsent
	Why     string // of StateConsent, in words
	Account daypass.Account
	Since   time.Time
	Used    time.Time // zero: never
	Until   time.Time // when it ends of itself; zero: no end
	Idle    time.Time // when it ends if it is not used; zero: never
	How     string    // "app", "login", "oauth-app"
	Memory  bool      // it is kept in memory only
}

// Reach is what a connection reaches.
type Reach struct {
	Rights   []daypass.Right
	Complete bool
}

// Ended is what ending something did, in sentences.
type Ended struct {
	Done    []string
	Pending []string
	Event   string
}

// ActivityQuery is which lines of the activity are wanted.
type ActivityQuery struct {
	Since   time.Time
	Before  string // the cursor of an earlier answer; "" is the newest
	Outcome string // "", "ok", "refused", "failed"
	Host    string
	Pass    string // only what was done with this pass, by its id, and to it
	Limit   int
}

// An Activity is one line of it.
type Activity struct {
	ID      string
	At      time.Time
	Kind    string // "credential", "refusal", "connect" …
	Outcome string // "ok", "refused", "failed"
	Server  string
	Via     string
	Host    string
	Repo    string
	Access  string
	As      string
	Rule    string
	Code    string
	Why     string
	Until   time.Time
	Pass    string // the id of the pass it was done with, or to; may be empty
	Link    string // 16 hexadecimal digits of that pass as it was shown, narrowed or not; may be empty
}

// An Approval is a server that has used as many repositories today as it may
// without a click.
type Approval struct {
	Server daypass.Server
	Writes bool // it waits to write at all, not for more repositories
	Count  int
	Limit  int
}

// A NewServer got its first credential at First.
type NewServer struct {
	Server string // its name; "" for a token that the person made at the hub
	First  time.Time
}

// Sharing is what a person may share, and what is shared.
type Sharing struct {
	May    bool
	Why    string // why not
	Groups []string
	Rights []SharedRepo // what their connections show they administer
	Shares []Share
	Max    time.Duration
}

// A SharedRepo is a repository at a host, by its name.
type SharedRepo struct{ Host, Repo string }

// A Share is a repository that a group may read.
type Share struct {
	ID      int64
	Host    string
	Repo    string
	Group   string
	Until   time.Time
	Created time.Time
	Mine    bool
}

// A NewShare is one to be made. Until is the end of that day, UTC.
type NewShare struct {
	Host  string
	Repo  daypass.Repo
	Group string
	Until time.Time
}

// A Person is a line of the list of people.
type Person struct {
	ID        int64
	Name      string
	Seen      time.Time
	CutOff    time.Time
	Connected []string // "GitHub as ada-l"
	Refused   int      // in the last 24 hours
}

// PersonDetail is all about one person.
type PersonDetail struct {
	Person
	Created     time.Time
	Connections []Connection
	Activity    []Activity
	// Reply is a sentence to paste as the answer to this person's question.
	Reply string
}

// A Check is one thing that is well or not.
type Check struct {
	Name string // "hub"
	Good bool
	Says string // "answers within 3 ms"
	Fix  string // what to do where it is not
}
