package pull

import (
	"time"

	"github.com/daypass-dev/daypass"
)

// An Ask is one pull: which source, into which folder.
type Ask struct {
	// Content is a source that is not git's; then what concerns git alone is not
	// looked at: URL, Ref, Path, Login, Depth, Submodules.
	Content Content
	// Include names what of a Content comes in spite of its size, as
	// [snapshot.Included] reads it; it stays so for the folder.
	Include []string
	// Via is how the Content was named, where that is not its Source: it is kept, and
	// [Puller.State] tells it. Service is the access service whose name that is, by its
	// address. A folder that came by a name goes with it to another source.
	Via, Service string

	URL  string // what git clone takes: https, ssh, git@host:path, file, a local path
	Ref  string // branch, tag, full ref or commit; "": the source's default branch
	Path string // only this folder of the source is delivered; "": all of it
	// Login is "https://USER:PASSWORD@HOST:PORT", of a link that held one: it goes to
	// that server alone, and is kept nowhere. One in URL is taken for it.
	Login daypass.Secret

	Folder string // absolute
	// Root is what the folder must be strictly below, with no hidden component and
	// no symbolic link on the way: what a link may name. "" means the folder was
	// typed by its owner, and is only held not to be the home itself.
	Root string

	Depth      int  // commits to fetch in a fresh pull; 0: all
	Submodules bool // fetch and deliver submodules too
	Backup     bool // set the whole folder aside first, and pull afresh
	DryRun     bool // say what would change, change nothing
	Diff       bool // and show it, as a unified diff

	Events func(Event) // called in order, from one goroutine at a time; may be nil
}

// A Phase is where a pull stands.
type Phase string

// The phases, in their order. A pull may leave out those it has no need of.
const (
	Looking  Phase = "looking"
	Fetching Phase = "fetching"
	Merging  Phase = "merging"
	Writing  Phase = "writing"
	Done     Phase = "done"
)

// An Event is a step of a pull, told while it runs.
type Event struct {
	Phase      Phase     `json:"phase"`
	Text       string    `json:"text,omitempty"`
	Bytes      int64     `json:"bytes,omitempty"`
	BytesTotal int64     `json:"bytes_total,omitempty"` // 0: not known
	Files      int64     `json:"files,omitempty"`
	FilesTotal int64     `json:"files_total,omitempty"`
	At         time.Time `json:"at"`
}

// A State is what is known of a folder that was pulled into.
type State struct {
	Folder string    `json:"folder"`
	Source string    `json:"source"`
	Via    string    `json:"via,omitempty"`  // of the last Ask
	Ref    string    `json:"ref,omitempty"`  // as it was asked for
	Path   string    `json:"path,omitempty"` // as it was asked for
	Commit string    `json:"commit"`         // delivered last
	At     time.Time `json:"at"`             // when
	// Service is that of the last Ask.
	Service string `json:"service,omitempty"`
	// Content: the source is not git's, and Include what of it comes in spite of its size.
	Content bool     `json:"content,omitempty"`
	Include []string `json:"include,omitempty"`
	Last    Report   `json:"last"` // what that pull did
}

// A Backup is what a pull, or an undo, kept before it changed it.
type Backup struct {
	ID    string       `json:"id"` // "20261122-090702", in UTC; a later one sorts after it
	At    time.Time    `json:"at"`
	Why   string       `json:"why"` // "pull", "undo", "reset"
	Files []BackupFile `json:"files"`
}

// A BackupFile is one file of a [Backup].
type BackupFile struct {
	Path string `json:"path"`
	Size int64  `json:"size"`
}
