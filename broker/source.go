package broker

import (
	"context"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/store"
)

// Sources is what an admin allows of reading content. The zero value allows
// nothing.
type Sources struct {
	// Hosts are read without any credential, for everybody who is known here.
	Hosts []string
	Drive []DriveAccount
	Rules []SourceRule
	Links LinkRules
	// Look looks at a source as a reading says, so that what is read as the hub was
	// seen to be readable lately. Its errors are a Contents'. Nil: nothing of Drive
	// is read.
	Look func(context.Context, Reading) (daypass.Seen, error)
	// Folder finds out, for somebody who may make links and read all of a source, whether
	// the folder is there that a reading names: as that is listed and pulled, at their pace.
	// An error that is daypass.ErrNoSource says that it is not, and what is there instead.
	// Nil: nobody looks.
	Folder func(ctx context.Context, c daypass.Caller, y Reading) error
	// Resolve says what a DOI or handle stands for, asking Hosts alone, for somebody
	// who may make links. Nil: none is looked up.
	Resolve func(context.Context, daypass.Source) (daypass.Source, error)
	// Courses lists courses at a Canvas site that the person teaches whose connection the
	// reading is by, at most so many; complete is false where there are more. Its errors are
	// a Contents'. Nil: none are listed.
	Courses func(ctx context.Context, y Reading, most int) (list []Course, complete bool, err error)
	// Ended is told when somebody may have been cut off or erased, in whatever process:
	// what was read as them has to go where [Broker.ReadsFor] says so. It does not block.
	Ended func()
}

// A DriveAccount is a service account that folders are shared with.
type DriveAccount struct {
	Account string   // the admin's name for it: "ph142"
	Host    string   // "": drive.google.com
	Address string   // what a folder is shared with
	Groups  []string // of the hub: whose members may make links to what it reads
	Folders []string // ids that an admin enrolled, of shared drives too
}

// A SourceRule lets groups and users read sources as the hub, without a link. The
// sources are written in full; Drive's have to be enrolled besides.
type SourceRule struct {
	Name          string
	Groups, Users []string
	Sources       []daypass.Source
}

// LinkRules say who may make links, and how.
type LinkRules struct {
	Groups      []string      // of the hub; empty: nobody
	Max         time.Duration // how long a link may last from today on; 0: 180 days
	Everybody   bool          // a link may be for all users of the hub
	BrowserOnly bool          // links are made and changed in a browser, and not by a server's token
}

// A SourceAsk is what a caller wants to read: by a link, or by itself.
type SourceAsk struct {
	Link    string         // a link's name; "": none
	Source  daypass.Source // where Link is ""
	Stale   bool           // the hub could not be asked just now
	Pack    string         // the snapshot whose file is asked for; "": what there is now
	Request string         // the request's id, for the activity
}

// A Reading is a yes: what to read, and as whom. It is good for one request.
type Reading struct {
	Source  daypass.Source // as it is to be read, with its path
	As      string         // who reads, and for whom what was read is kept: "hub:ACCOUNT", "person:NUMBER@STORE" or "public"
	Account string         // of "hub:": the Drive account's name, or the host of the content App
	Repo    daypass.Repo   // of git, but where As is public: with its number
	Link    *store.Link    // what allowed it; nil: none
	Rule    string
	Event   store.EventID
	MaxAge  time.Duration // how old a look at the source may be that is given

	// Chose is set where whoever reads named the source, and no link and no rule does, as
	// it is: of such there may be any number.
	Chose bool

	// Student is set where only what students are shown is to be listed, as far as that is
	// known to whoever reads.
	Student bool

	person int64 // whose connection reads
	maker  int64 // of the link
	reader int64 // who asks
}

// A LinkAsk is what a link is to be. Where a link is edited or copied, what is nil
// stays as it is.
type LinkAsk struct {
	Name     string          // of a new one
	Source   *daypass.Source // with {github} in its ID: a template
	Title    *string
	Accept   *string // the address of a page where whoever has no copy of a template yet gets one
	Folder   *string
	Open     *string
	App      *string
	Audience *string // a group, or store.Everybody
	From     *time.Time
	Until    *time.Time // zero, or nil for a new one: as long as may be
	Paused   *bool
	Request  string
}

// A LinkView is a link as somebody sees who may.
type LinkView struct {
	store.Link
	Stands    store.LinkState
	MakerName string // at the hub
	Mine      bool
	EndsSoon  bool   // within a week
	Connect   string // the host that the caller has to connect before they can read it; "": none
}

// LinkTerms are what a link of the caller's may be.
type LinkTerms struct {
	May       bool
	Why       string   // why not
	Groups    []string // of the caller, as audiences to suggest
	Everybody bool
	Max       time.Duration
	Drive     []DriveAccount // those that the caller may use: Account and Address
	Hosts     []string       // public ones
	Canvas    []string       // hosts to connect
	Git       []string       // hosts with a content App
}

// A Course is one at a Canvas site.
type Course struct {
	ID    string // of its source: "courses/42"
	Title string
	Note  string // its code, and whether it is open; may be empty
}

// An Offer is what there is to choose from at one host for a link of somebody's: of Drive
// what an admin enrolled, elsewhere what their own connection there shows.
type Offer struct {
	Kind    string // daypass.KindDrive, KindCanvas or KindGit
	Host    string
	Sources []Offered
	More    bool     // there is more than that, or may be
	Refusal *Refusal // nothing is listed, and why; nil: that is what there is
}

// An Offered is a source to choose, as it would be read.
type Offered struct {
	Reading
	Title string // as the host calls it; may be empty
	Note  string
}

// A Tested is what a test of a source saw.
type Tested struct {
	Reading Reading
	Seen    daypass.Seen
}
