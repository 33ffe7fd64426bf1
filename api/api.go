// Package api is what programs and the access service say to each other, as
// types: each request, each reply, the one body of an error, and where each is
// asked for. The description for other people's programs is [OpenAPI].
//
// It is words only. It does not know how they are sent, who may ask, nor what
// an answer means; the server and the client do. A secret in it is a
// [daypass.Secret], and only the Encode methods here write one down.
package api

import (
	"embed"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
)

// Where things are asked for, behind the access service's URL. Every request
// carries "Authorization: Bearer TOKEN", but for [PathOpenAPI].
const (
	Base           = "/api/v1"
	PathCredential = Base + "/credential"   // POST CredentialRequest -> CredentialReply
	PathRejected   = Base + "/rejected"     // POST Rejected -> 204
	PathMe         = Base + "/me"           // GET -> Me
	PathConnection = Base + "/connections/" // + host: GET ?wait=25s -> Host, or 204; DELETE -> Disconnected
	PathRepos      = Base + "/repos/"       // + host: GET -> Repos
	PathHookLogin  = Base + "/hook/login"   // POST HookLogin -> 204; the hub's hook token
	PathHookStop   = Base + "/hook/stopped" // POST HookStopped -> 204; the hub's hook token
	PathOpenAPI    = Base + "/openapi.json" // GET; anybody
)

// Bounds that both sides keep.
const (
	MaxBody  = 64 << 10         // bytes of a request
	MaxReply = 4 << 20          // bytes of a reply; only [Repos] comes near
	MaxWait  = 30 * time.Second // of ?wait= on a connection
	MaxHost  = 260              // bytes of a host
	MaxPath  = 512              // bytes of a path
)

//go:embed openapi.json
var files embed.FS

// OpenAPI returns the OpenAPI 3.1 description of the service, as JSON, for
// [PathOpenAPI].
func OpenAPI() []byte {
	b, err := files.ReadFile("openapi.json")
	if err != nil {
		panic(err) // it is built in
	}
	return b
}

// ConnectionPath is where the connection to a host is asked for and ended.
func ConnectionPath(host string) string { return PathConnection + url.PathEscape(host) }

// ReposPath is where the repositories of a connection are listed.
func ReposPath(host string) string { return PathRepos + url.PathEscape(host) }

// A CredentialRequest asks for a credential for one repository.
type CredentialRequest struct {
	Protocol string `json:"protocol"`          // "https"; also "http" where the host is loopback
	Host     string `json:"host"`              // host or host:port as git names it, in lower case
	Path     string `json:"path"`              // OWNER/NAME, also with ".git" or "/info/lfs" behind it
	Access   string `json:"access"`            // "write" or "read": the most that is wanted
	Least    string `json:"least,omitempty"`   // the least that will do; "" is "read"
	Purpose  string `json:"purpose,omitempty"` // "git", "run" or "env", for the activity; "" is "git"
}

// Repo reads the path. It takes what [daypass.ParseRepo] takes, with at most one
// "/info/lfs" and at most one ".git" behind it.
func (r CredentialRequest) Repo() (daypass.Repo, bool) { return parsePath(r.Path) }

func parsePath(path string) (daypass.Repo, bool) {
	if len(path) > MaxPath {
		return daypass.Repo{}, false
	}
	path = strings.TrimSuffix(path, "/info/lfs")
	return daypass.ParseRepo(strings.TrimSuffix(path, ".git"))
}

// Wanted reads the accesses; false where they are not words of ours or where
// the least is more than the most.
func (r CredentialRequest) Wanted() (most, least daypass.Access, ok bool) {
	most, least = daypass.ParseAccess(r.Access), daypass.Read
	if r.Least != "" {
		least = daypass.ParseAccess(r.Least)
	}
	return most, least, most != daypass.NoAccess && least != daypass.NoAccess && least <= most
}

// Check says in a few words what is wrong with the request; "" where nothing is.
func (r CredentialRequest) Check() string {
	if why := checkHost(r.Host); why != "" {
		return why
	}
	if r.Protocol != "https" && !(r.Protocol == "http" && daypass.Loopback(r.Host)) {
		return "the protocol is not https"
	}
	if _, ok := r.Repo(); !ok {
		return "the path is not OWNER/NAME"
	}
	if _, _, ok := r.Wanted(); !ok {
		return "the access is not read or write"
	}
	switch r.Purpose {
	case "", "git", "run", "env":
		return ""
	}
	return "the purpose is not git, run or env"
}

func checkHost(host string) string {
	if len(host) > MaxHost || !daypass.CleanHost(host) {
		return "the host is not one that git could name"
	}
	return ""
}

// A Repo is a repository by its names and by the host's own number.
type Repo struct {
	Owner string `json:"owner"`
	Name  string `json:"name"`
	ID    int64  `json:"id"`
}

// Of turns a root type into the one that is sent.
func Of(r daypass.Repo) Repo { return Repo{Owner: r.Owner, Name: r.Name, ID: r.ID} }

// Repo turns it back.
func (r Repo) Repo() daypass.Repo { return daypass.Repo{Owner: r.Owner, Name: r.Name, ID: r.ID} }

// An Account is whose token it is at the host, and how their commits are signed.
type Account struct {
	ID    int64  `json:"id"`
	Login string `json:"login"`
	Name  string `json:"name,omitempty"`
	Email string `json:"email,omitempty"`
}

// OfAccount turns a root type into the one that is sent.
func OfAccount(a daypass.Account) Account { return Account(a) }

// Account turns it back.
func (a Account) Account() daypass.Account { return daypass.Account(a) }

// What a CredentialReply is made as.
const (
	AsUser = "user" // by the connection of whoever asked
	AsHub  = "hub"  // by the hub's own App; Account is then empty
)

// A CredentialReply is a credential for the one repository that was asked for.
// Encoding it by encoding/json fails, since Password is a secret: use Encode.
type CredentialReply struct {
	Username string         `json:"username"`
	Password daypass.Secret `json:"password"`
	Host     string         `json:"host"`
	Repo     Repo           `json:"repo"`   // with its number
	Access   string         `json:"access"` // what it was verified to give: "write" or "read"
	Until    time.Time      `json:"until"`  // with a whole second; UTC
	As       string         `json:"as"`     // AsUser or AsHub
	Account  Account        `json:"account"`
	Event    string         `json:"event"` // the id in the activity
}

// credentialReply has no methods, so that encoding it does not come back here.
type credentialReply CredentialReply

// wireReply shows its own password in place of the one below it.
type wireReply struct {
	credentialReply
	Password string `json:"password"`
}

// Encode writes the reply down, with its secret. For the body of the answer,
// and nothing else.
func (r CredentialReply) Encode() ([]byte, error) {
	return json.Marshal(wireReply{credentialReply(r), r.Password.Reveal()})
}

// DecodeCredentialReply reads what Encode writes. It takes keys that it does
// not know; it does not judge what the reply grants.
func DecodeCredentialReply(b []byte) (CredentialReply, error) {
	var w wireReply
	if err := json.Unmarshal(b, &w); err != nil {
		return CredentialReply{}, errMalformed
	}
	w.credentialReply.Password = daypass.NewSecret(w.Password)
	return CredentialReply(w.credentialReply), nil
}

// Scope is what the reply grants.
func (r CredentialReply) Scope() daypass.Scope {
	return daypass.Scope{Host: r.Host, Repos: []daypass.Repo{r.Repo.Repo()}, Access: daypass.ParseAccess(r.Access), Until: r.Until}
}

// A Rejected tells that a host answered 401 to a token that came from here.
type Rejected struct {
	Host   string `json:"host"`
	Path   string `json:"path"`         // as in [CredentialRequest]; may be empty
	SHA256 string `json:"token_sha256"` // of the token's bytes, 64 lower-case hex digits
}

// Repo reads the path.
func (r Rejected) Repo() (daypass.Repo, bool) { return parsePath(r.Path) }

// Check says in a few words what is wrong with it; "" where nothing is.
func (r Rejected) Check() string {
	if why := checkHost(r.Host); why != "" {
		return why
	}
	if _, ok := r.Repo(); !ok && r.Path != "" {
		return "the path is not OWNER/NAME"
	}
	if len(r.SHA256) != 64 || strings.Trim(r.SHA256, "0123456789abcdef") != "" {
		return "token_sha256 is not 64 hexadecimal digits in lower case"
	}
	return ""
}

// Me is who asks, as the service understood it, and how they stand at each
// host. It makes no credential and asks no host anything.
type Me struct {
	User   User   `json:"user"`
	Server string `json:"server"` // as daypass.Server.String: "default", its name, or "unknown"
	// Started is when that server was started, for its own token; nil where the hub
	// does not tell, and for all others.
	Started *time.Time `json:"started,omitempty"`
	Via     string     `json:"via"` // as daypass.Via.String
	Hosts   []Host     `json:"hosts"`
	Page    string     `json:"page"` // where a browser shows all this
	Version string     `json:"version"`
}

// User is the part of a user that they may read.
type User struct {
	Hub  string `json:"hub"`
	Name string `json:"name"`
}

// The states of a [Host].
const (
	StateNone    = "none"          // never connected, or ended
	StateLive    = "live"          // connected
	StateConsent = "needs-consent" // was connected; has to be again
)

// Host is how a person stands at one host.
type Host struct {
	Host      string     `json:"host"`
	ClientID  string     `json:"client_id,omitempty"` // of the App for pushes; public; for a device flow
	Connected bool       `json:"connected"`           // State is StateLive
	State     string     `json:"state"`
	Why       string     `json:"why,omitempty"`     // of StateConsent, in words
	Account   *Account   `json:"account,omitempty"` // nil where never connected
	Until     *time.Time `json:"until,omitempty"`   // when the connection ends of itself; nil: no end known
	Connect   string     `json:"connect"`           // the page to connect, or to connect again; absolute
	Change    string     `json:"change,omitempty"`  // the host's page to change what is reached
}

// Disconnected says what ending a connection did, in sentences.
type Disconnected struct {
	Revoked []string `json:"revoked"`           // what is dead now
	Pending []string `json:"pending,omitempty"` // what the host has not confirmed yet; it is tried again until it has
	Event   string   `json:"event"`
}

// Repos is what a connection reaches.
type Repos struct {
	Repos    []Right `json:"repos"`
	Complete bool    `json:"complete"` // false: there are more, or some could not be seen
	Change   string  `json:"change"`   // the host's page to change it
}

// A Right is one repository of [Repos].
type Right struct {
	Repo
	Access  string `json:"access"` // "write" or "read"
	Private bool   `json:"private,omitempty"`
	Admin   bool   `json:"admin,omitempty"`
}

// HookLogin hands over the tokens of a login at the hub, as the hub's OAuth
// client got them. Encoding it by encoding/json fails; use Encode.
type HookLogin struct {
	User             string         `json:"user"`              // at the hub
	Created          *time.Time     `json:"created,omitempty"` // when the hub made the user, where the hook knows
	Host             string         `json:"host"`              // the git host that was logged in with
	ClientID         string         `json:"client_id"`         // of the App that the hub logs in with
	Account          Account        `json:"account"`
	Access           daypass.Secret `json:"access_token"`
	Refresh          daypass.Secret `json:"refresh_token,omitempty"`
	ExpiresIn        int64          `json:"expires_in,omitempty"` // seconds from the login on; 0: the host sets no end
	RefreshExpiresIn int64          `json:"refresh_token_expires_in,omitempty"`
	Scope            string         `json:"scope,omitempty"` // of a classic OAuth App
	TokenType        string         `json:"token_type,omitempty"`
}

type hookLogin HookLogin

type wireLogin struct {
	hookLogin
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token,omitempty"`
}

// Encode writes the login down, with its secrets, for a request's body.
func (l HookLogin) Encode() ([]byte, error) {
	return json.Marshal(wireLogin{hookLogin(l), l.Access.Reveal(), l.Refresh.Reveal()})
}

// DecodeHookLogin reads what Encode writes, as strictly as [DecodeRequest].
func DecodeHookLogin(b []byte) (HookLogin, error) {
	var w wireLogin
	if err := DecodeRequest(b, &w); err != nil {
		return HookLogin{}, err
	}
	w.hookLogin.Access, w.hookLogin.Refresh = daypass.NewSecret(w.Access), daypass.NewSecret(w.Refresh)
	return HookLogin(w.hookLogin), nil
}

// HookStopped tells that one of a user's servers has stopped.
type HookStopped struct {
	User    string     `json:"user"`              // at the hub
	Created *time.Time `json:"created,omitempty"` // when the hub made the user, where the hook knows
	Server  string     `json:"server"`            // "" is the default server
}

var errMalformed = errors.New("not the JSON that belongs here")

// DecodeRequest reads a request's body into v. A key that v does not have, a
// second value and anything behind it are errors: a service that skipped a
// word that it does not know might grant more than was asked for. The error
// holds none of the bytes.
func DecodeRequest(b []byte, v any) error {
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return errMalformed
	}
	if _, err := d.Token(); err != io.EOF {
		return errMalformed
	}
	return nil
}
