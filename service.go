package daypass

import (
	"context"
	"errors"
	"time"
)

// A User is a person as a hub knows them. Names change hands: a hub may rename
// a person and give the old name to somebody else at once. So all three parts
// together are the key, and what belongs to (hub, name, another creation time)
// is another person's.
type User struct {
	Hub     string    // the hub's id in the broker's configuration
	Name    string    // the name at the hub today
	Created time.Time // when the hub made the account, to the microsecond
}

// A Server is one of a user's servers at a hub. Hubs before 4.0 cannot tell the
// servers of a user apart: then Known is false, and all of them are one.
type Server struct {
	Known bool
	Name  string // "" is the default server
}

// String returns "default", the server's name, or "unknown".
func (s Server) String() string {
	switch {
	case !s.Known:
		return "unknown"
	case s.Name == "":
		return "default"
	}
	return s.Name
}

// A Via is what kind of token a caller showed.
type Via uint8

// The kinds of token. The zero Via is none of them and is allowed nothing.
const (
	NoVia      Via = iota
	ViaServer      // the token that a hub gave to a running server
	ViaUser        // a token that a user, or an admin for them, made at the hub
	ViaBrowser     // a session of a browser, by the hub's OAuth
	ViaPass        // a pass of ours
	ViaLogin       // no request of theirs: their login at the hub, as its hook told
)

// String returns the word used in events.
func (v Via) String() string {
	switch v {
	case ViaServer:
		return "server"
	case ViaUser:
		return "user-token"
	case ViaBrowser:
		return "browser"
	case ViaPass:
		return "pass"
	case ViaLogin:
		return "login"
	}
	return "none"
}

// A Caller is who a request comes from, as the hub vouches for.
type Caller struct {
	User   User
	Groups []string // the hub's groups, as of the last time it was asked
	Server Server
	Via    Via
	Pass   PassRef // where Via is ViaPass
}

// A PassRef is the pass that a request was made with. The zero PassRef is none.
type PassRef struct {
	ID   string // of the pass that was minted, in the broker's table
	Link string // of the pass as it was shown, narrowed or not: 64 hexadecimal digits, of which events show 16
	Text Secret // the pass itself: whatever is given by it, it is looked at anew
	From string // the address that showed it, as netip.Addr.String writes it; "" is not known
}

// An Account is who a token acts as at a provider. The number is the key; the
// login may change hands.
type Account struct {
	ID    int64
	Login string
	Name  string // may be empty
	Email string // for commits; never empty where ID is known
}

// A Consent is what a person is sent to a provider with (RFC 6749, 4.1.1;
// RFC 7636).
type Consent struct {
	State     string
	Challenge string // base64url(SHA-256(verifier)), for S256
	Redirect  string // where the provider sends them back to
	Login     string // the account to suggest; may be empty
	Choose    bool   // ask which account even where one is signed in
}

// A Grant is what a consent gave: a token to ask with, and perhaps one to renew
// it. Neither ever leaves the broker.
type Grant struct {
	Access  Secret
	Until   time.Time // of Access; Forever where the provider sets no end
	Refresh Secret    // zero where there is none
	Renew   time.Time // until when Refresh is good; Forever likewise
}

// A Right is what one account may do with one repository, as the provider says.
type Right struct {
	Repo    Repo // with its number, and the name that it bears today
	Access  Access
	Admin   bool // may grant others access there
	Private bool
}

// A Child is a credential that was made narrower than what it was made from.
type Child struct {
	Credential
	// Ends is when the provider itself ends the token: it may be later than
	// Credential.Scope.Until, and then somebody has to revoke it.
	Ends time.Time
}

// Traits are what a provider does that the rules of refreshing and narrowing
// depend on. The zero value is the pessimistic reading.
type Traits struct {
	// ChildrenSurvive: a child goes on when its parent is refreshed.
	ChildrenSurvive bool
	// MaxChildren bounds the live children of one connection; 0 means 9.
	MaxChildren int
	// AsHub: the issuer has an App of its own for content (IssueAsHub works).
	AsHub bool
	// Unnarrowed: the issuer cannot narrow, and hands out the whole token.
	Unnarrowed bool
	// Content: its tokens read content, in the broker and nowhere else. Nobody is
	// given one, and of repositories it knows nothing: what asks for one is
	// ErrRefused.
	Content bool
}

// An Issuer makes credentials at one host of one provider. Its errors wrap
// ErrRefused, ErrUnreachable or one of the errors below; any other error, and
// ErrUnreachable, means that it is not known what the provider did.
//
// Implementations: provider/github; the contract is provider/providertest.
type Issuer interface {
	// Host is the host as git names it: "github.com", "ghes.example:8443".
	Host() string
	// App is the id of the App that people connect.
	App() string
	Traits() Traits
	// ConsentURL is where a person says yes.
	ConsentURL(Consent) string
	// Exchange spends the code that came back from there. The verifier is the
	// one behind Consent.Challenge.
	Exchange(ctx context.Context, code, verifier, redirect string) (Grant, error)
	// Refresh spends the grant's refresh token. The old pair is dead once the
	// provider has it, answered or not. ErrSpent: the token is used or expired.
	Refresh(ctx context.Context, refresh Secret) (Grant, error)
	// Whose says whose the access token is. ErrSpent: it is dead.
	Whose(ctx context.Context, access Secret) (Account, error)
	// RightTo says what the owner of the access token may do with a repository
	// named by name or by number. ErrNoSuchRepo: it shows them none such.
	RightTo(ctx context.Context, access Secret, repo Repo) (Right, error)
	// Reach lists what the access token reaches, at most limit repositories;
	// complete is false where there are more or some could not be seen.
	Reach(ctx context.Context, access Secret, limit int) (rights []Right, complete bool, err error)
	// ReachURL is the page where a person changes that.
	ReachURL() string
	// Narrow makes a child of the access token for the scope's repositories, by
	// their numbers, and its access. It has looked at what it got: one that is
	// wider than asked was revoked, and is ErrRefused.
	Narrow(ctx context.Context, access Secret, scope Scope) (Child, error)
	// IssueAsHub makes a read-only credential for one repository by the content
	// App. ErrNoSuchRepo: the App is not installed there.
	IssueAsHub(ctx context.Context, scope Scope) (Child, error)
	// LookAsHub says what number and name a repository has, by the content App.
	LookAsHub(ctx context.Context, repo Repo) (Right, error)
	// RightAsHub says what an account may do with a repository, as the content App
	// sees it. ErrNoSuchRepo: the App is not installed there, or the account may
	// not even read, or is there no more.
	RightAsHub(ctx context.Context, repo Repo, account Account) (Right, error)
	// Revoke ends one token: a child, an access token or one made as the hub.
	// A token that is dead already is no error.
	Revoke(ctx context.Context, token Secret) error
	// Disconnect ends everything that the person behind the access token ever
	// granted to the App. A grant that is gone already is no error.
	Disconnect(ctx context.Context, access Secret) error
	// Live reports whether the host still takes a token that it gave out.
	Live(ctx context.Context, token Secret) (bool, error)
}

// What an Issuer's errors wrap, beside ErrRefused and ErrUnreachable.
var (
	ErrSpent      = errors.New("the token is used, expired or revoked")
	ErrNoSuchRepo = errors.New("the provider shows no such repository")
	ErrLimited    = errors.New("the provider asks to slow down")
)

// A Limited error says for how long.
type Limited interface {
	error
	RetryAfter() time.Duration
}
