package api

import (
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/daypass-dev/daypass"
)

// Where links are made and managed, behind the access service's URL.
const (
	PathCopies = Base + "/link-copies"    // POST LinkCopies -> CopiedLinks
	PathLinks  = Base + "/links"          // GET -> Links; POST LinkRequest -> Link
	PathLink   = Base + "/links/"         // + name: GET -> Link; PATCH LinkRequest -> Link; DELETE -> 204; + name + "/copy": POST LinkRequest -> Link; + name + "/student": GET -> StudentView; + name + "/failed": POST PullFailure -> 204
	PathTest   = Base + "/sources/test"   // POST SourceQuestion -> SourceTest
	PathBrowse = Base + "/sources/browse" // POST SourceQuestion -> SourceFiles
	// PathGo is what people click, below the service's address: + name. It is only a
	// name, and grants nothing.
	PathGo = "/l/"
)

// LinkPath is where a link is.
func LinkPath(name string) string { return PathLink + url.PathEscape(name) }

// The bounds of what is said of a link.
const (
	MaxTitle  = 200        // characters
	MaxFolder = 200        // bytes
	MaxApp    = 200        // bytes
	MaxPaste  = 4 << 10    // bytes of what was pasted
	MaxListed = 20_000     // files of SourceFiles
	Everybody = "*"        // the audience of all users of the hub
	TemplateX = "{github}" // stands for the reader's login, in the source of a template
)

// A LinkRequest is what a link is to be. What is nil stays as it is where a link is
// changed or copied.
type LinkRequest struct {
	Name   string  `json:"name,omitempty"`   // of a new one: 3 to 64 of a-z, 0-9 and -
	Source *string `json:"source,omitempty"` // as the service writes it; see daypass.Source. Or an address that means one place
	Title  *string `json:"title,omitempty"`
	// Accept is of a template alone: the address of a page where whoever has no copy yet
	// gets one, such as an assignment's invitation; see daypass.PageHost. A copy of a link
	// has none, nor one with another source, but what is said anew.
	Accept   *string    `json:"accept,omitempty"`
	Folder   *string    `json:"folder,omitempty"`   // where it goes in a home
	Open     *string    `json:"open,omitempty"`     // the file to open, with "/"
	App      *string    `json:"app,omitempty"`      // "lab", "notebook", "rstudio" …
	Audience *string    `json:"audience,omitempty"` // a group of the hub, or Everybody
	From     *time.Time `json:"from,omitempty"`
	Until    *time.Time `json:"until,omitempty"`
	Paused   *bool      `json:"paused,omitempty"`
}

// Check says in a few words what is wrong with the request; "" where nothing is that
// can be seen here.
func (r LinkRequest) Check() string {
	if r.Name != "" && !LinkName(r.Name) {
		return "the name has 3 to 64 small letters, digits and hyphens"
	}
	if r.Source != nil {
		if _, ok := daypass.ParseSource(*r.Source); !ok && !address(*r.Source) || len(*r.Source) > MaxSource {
			return "the source is not written as the service writes it, and is no address"
		}
	}
	if r.Accept != nil && *r.Accept != "" {
		if _, ok := daypass.PageHost(*r.Accept); !ok {
			return "the invitation is no address of a page that begins with https://, or is longer than 500 characters"
		}
	}
	for _, t := range []struct {
		what string
		text *string
		most int
	}{{"title", r.Title, 4 * MaxTitle}, {"folder", r.Folder, MaxFolder}, {"file to open", r.Open, MaxPath}, {"application", r.App, MaxApp}, {"audience", r.Audience, MaxTitle}} {
		if t.text == nil {
			continue
		}
		if len(*t.text) > t.most || !utf8.ValidString(*t.text) || strings.ContainsFunc(*t.text, func(c rune) bool { return c < ' ' || c == 0x7f }) {
			return "the " + t.what + " is too long, or has characters that cannot be seen"
		}
	}
	return ""
}

// MaxCopies is how many links are copied at once.
const MaxCopies = 30

// LinkCopies ask for links like others of the caller's, all of them or none, for another
// group or other dates. What is nil is as there, but for the dates.
type LinkCopies struct {
	Copies   []LinkCopy `json:"copies"`
	Audience *string    `json:"audience,omitempty"`
	From     *time.Time `json:"from,omitempty"`
	Until    *time.Time `json:"until,omitempty"`
}

// A LinkCopy says of one which link it is like, and its name.
type LinkCopy struct {
	Like string `json:"like"`
	Name string `json:"name"`
}

// Check says in a few words what is wrong with the request; "" where nothing is that can
// be seen here.
func (r LinkCopies) Check() string {
	if len(r.Copies) == 0 || len(r.Copies) > MaxCopies {
		return "one to thirty links are copied at once"
	}
	seen := map[string]bool{}
	for _, c := range r.Copies {
		if !LinkName(c.Like) || !LinkName(c.Name) {
			return "a link's name has 3 to 64 small letters, digits and hyphens"
		}
		if seen[c.Name] {
			return "two links would be called " + c.Name
		}
		seen[c.Name] = true
	}
	return LinkRequest{Audience: r.Audience}.Check()
}

// CopiedLinks are those that were made.
type CopiedLinks struct {
	Links []Link `json:"links"`
}

// CopyName is what a link's copy is called: its beginning from is replaced by to, where
// it begins so, and suffix is put at its end after a hyphen. The same name comes of a
// name that neither changes.
func CopyName(name, from, to, suffix string) string {
	if rest, ok := strings.CutPrefix(name, from); ok && from != "" {
		name = to + rest
	}
	if suffix = strings.TrimPrefix(suffix, "-"); suffix != "" {
		name += "-" + suffix
	}
	return name
}

// A PullFailure tells that what was given by a link did not get into a reader's folder.
type PullFailure struct {
	Code string `json:"code"` // that the pull ended with: "DP-331"
}

// Check says what is wrong with it; "" where nothing is.
func (f PullFailure) Check() string {
	if len(f.Code) != 6 || !strings.HasPrefix(f.Code, "DP-") || strings.Trim(f.Code[3:], "0123456789") != "" {
		return "that is no code of a problem"
	}
	return ""
}

// A Link is a link as whoever asks may see it.
type Link struct {
	Name     string     `json:"name"`
	URL      string     `json:"url"` // what people click; absolute
	Title    string     `json:"title,omitempty"`
	Source   string     `json:"source"`
	Words    string     `json:"words"` // the source for people: "“Week 1” in Google Drive", or with its id where nobody has read it yet
	Folder   string     `json:"folder,omitempty"`
	Open     string     `json:"open,omitempty"`
	App      string     `json:"app,omitempty"`
	Audience string     `json:"audience"`
	From     *time.Time `json:"from,omitempty"`
	Until    time.Time  `json:"until"`
	State    string     `json:"state"` // "live", "early", "paused", "over", "ended"; to its maker "lost": what it leads to could not be read
	EndsSoon bool       `json:"ends_soon,omitempty"`
	Why      string     `json:"why,omitempty"` // it ended
	Maker    string     `json:"maker,omitempty"`
	Mine     bool       `json:"mine"`
	Template bool       `json:"template,omitempty"`
	Connect  string     `json:"connect,omitempty"` // a page: the reader has to connect first; absolute
	Public   bool       `json:"public,omitempty"`  // the source is read without any account
	Accept   string     `json:"accept,omitempty"`  // where who has no copy of a template accepts it; its maker's alone, as all below
	// SourceTitle: the title is the source's own, and goes with it.
	SourceTitle bool `json:"source_title,omitempty"`
	// Each time that it was opened it arrived, as far as is known, or failed.
	Pulls    int64      `json:"pulls,omitempty"`
	Failures int64      `json:"failures,omitempty"`
	Pulled   *time.Time `json:"pulled,omitempty"`
	Failed   *time.Time `json:"failed,omitempty"`
	Failure  string     `json:"failure,omitempty"` // a code
	// Forms are ways to write the link down elsewhere: "url", "markdown", "lti" (its
	// launch) and "lti_custom", and of a public repository "nbgitpuller" and "binder".
	Forms map[string]string `json:"forms,omitempty"`
}

// Links are the caller's own.
type Links struct {
	Links []Link    `json:"links"`
	Terms LinkTerms `json:"terms"`
}

// LinkTerms are what a link of the caller's may be.
type LinkTerms struct {
	May       bool           `json:"may"`
	Why       string         `json:"why,omitempty"` // not
	Groups    []string       `json:"groups,omitempty"`
	Everybody bool           `json:"everybody,omitempty"`
	Days      int            `json:"days,omitempty"` // how long it may last
	Share     []ShareAddress `json:"share,omitempty"`
	Hosts     []string       `json:"hosts,omitempty"` // read without a credential
	Canvas    []string       `json:"canvas,omitempty"`
	Git       []string       `json:"git,omitempty"` // private repositories, by the content App
}

// A ShareAddress is what a folder is shared with, so that the service can read it.
type ShareAddress struct {
	Account string `json:"account"`
	Address string `json:"address"`
}

// A SourceQuestion asks about a source, as a link of the caller's would read it.
type SourceQuestion struct {
	Source string `json:"source"` // as the service writes it
	Path   string `json:"path,omitempty"`
}

// address reports whether a source is a page's address, which the service is to read.
func address(text string) bool {
	rest, ok := strings.CutPrefix(text, "https://")
	if !ok {
		rest, ok = strings.CutPrefix(text, "http://")
	}
	return ok && rest != "" && !strings.ContainsFunc(rest, func(c rune) bool { return c <= ' ' || c >= 0x7f })
}

// Check says what is wrong with it; "" where nothing is.
func (q SourceQuestion) Check() string {
	if _, ok := daypass.ParseSource(q.Source); !ok || len(q.Source) > MaxSource {
		return "the source is not written as the service writes it"
	}
	if len(q.Path) > MaxPath || !utf8.ValidString(q.Path) {
		return "the path is too long"
	}
	return ""
}

// A SourceTest is what a test saw.
type SourceTest struct {
	OK     bool   `json:"ok"`
	Source string `json:"source"` // with the immutable id
	Title  string `json:"title,omitempty"`
	Web    string `json:"web,omitempty"`
	Reads  string `json:"reads,omitempty"` // who reads it, in words
}

// SourceFiles are the files of a source.
type SourceFiles struct {
	Files    []SourceFile `json:"files"`
	Complete bool         `json:"complete"`
	Notes    []string     `json:"notes,omitempty"`
}

// A StudentView is what somebody of a link's audience gets by it.
type StudentView struct {
	Files    []SourceFile `json:"files"`
	Complete bool         `json:"complete"`
	Notes    []string     `json:"notes,omitempty"`
	// Own: each reads with an account of their own, which decides; the files are those
	// that its maker's account sees, without what it is told that students are not shown.
	Own bool `json:"own,omitempty"`
}

// A SourceFile is one of them. The path is of names as the source has them.
type SourceFile struct {
	Path string `json:"path"`
	Size int64  `json:"size"` // -1: not known
	Skip string `json:"skip,omitempty"`
}
