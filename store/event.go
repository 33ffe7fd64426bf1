package store

import (
	"context"
	"time"
)

// An EventID names an event for people: "K3QF-1042", chain and number in it.
type EventID string

// A Kind is what an event is about.
type Kind string

// The kinds of events.
const (
	Credential      Kind = "credential"
	Refusal         Kind = "refusal"
	Connect         Kind = "connect"
	Disconnected    Kind = "disconnect"
	ConsentNeeded   Kind = "needs-consent"
	Refresh         Kind = "refresh"
	Revoke          Kind = "revoke"
	LoginHandedIn   Kind = "login-handed-in"
	Shared          Kind = "share"
	ShareEnded      Kind = "share-end"
	Approved        Kind = "approve"
	SignIn          Kind = "sign-in"
	Pinning         Kind = "pin"
	ServerStopped   Kind = "server-stopped"
	CutOff          Kind = "cut-off"
	Allowed         Kind = "allow"
	Restore         Kind = "restore"
	KeysChanged     Kind = "keys"
	AuditDifference Kind = "audit-difference"
	Erased          Kind = "erase"
)

// The outcomes of events.
const (
	OK      = "ok"
	Refused = "refused"
	Failed  = "failed"
)

// An Event is one thing that happened, as it is shown and as it is chained.
// Times are kept to the microsecond.
type Event struct {
	ID                     EventID // set by the store
	At                     time.Time
	Kind                   Kind
	Person                 int64
	Hub, User, Server, Via string
	Host, Repo             string
	RepoID                 int64
	Access, As             string
	Outcome                string
	Rule, Code, Why        string
	Account                string
	Until                  time.Time
	Token                  string // the first 16 hex digits of SHA-256, never the token
	Request                string
}

// EventFilter chooses events; zero fields choose all.
type EventFilter struct {
	Person                         int64
	Hub, User, Host, Repo, Outcome string
	Server, Rule                   string
	Kind                           Kind
	Kinds                          []Kind // any of these; with Kind: that too
	Since, Until                   time.Time
	Before                         EventID // only older ones
	After                          EventID // only newer ones, and oldest first
	Limit                          int     // 0: 100
}

// Events lists events, newest first; with After, oldest first.
func (db *DB) Events(ctx context.Context, f EventFilter) ([]Event, error) { return nil, errTodo }

// Event returns one event; false where there is none.
func (db *DB) Event(ctx context.Context, id EventID) (Event, bool, error) {
	return Event{}, false, errTodo
}
