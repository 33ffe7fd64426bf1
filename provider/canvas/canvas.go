// Package canvas reads the files of a course, a group or a person of a Canvas LMS site
// as one of its users, by the REST API and by GET alone. It knows no other user, and no
// rule about who may read what; how a token is got and renewed is
// provider/canvas/oauth's.
//
// Sources: the vendor's documentation of its API, "Files", "Modules", "Pagination",
// "Throttling" and "Object IDs, SIS IDs, and special IDs".
package canvas

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/provider/readonly"
)

// A Config is which site is read, and as whom. Host and Token are required.
type Config struct {
	// Host is the site, "canvas.example.edu" or "host:port"; at a loopback address it is
	// asked without TLS. The token goes there and nowhere else.
	Host  string
	Token func(ctx context.Context) (daypass.Secret, error)
	// Renew is told of a token that Canvas did not take, and says whether there is
	// another now; nil: no.
	Renew func(ctx context.Context) bool
	// Files are further hosts that files may come from, beside those that Canvas's own
	// clouds use: "files.example.edu", or "*.example.edu" for all below it. They get no
	// token.
	Files []string
	// Students leaves out of a listing, by their names, what students are not shown, as
	// far as the API says so of each file and folder to whom it shows all. It is no proof
	// of what one of them sees: Canvas decides that by who asks, and its API reads as
	// nobody else.
	Students bool
	MaxItems int // of a listing; 0 means 100,000
	// Pace is shared by all who use the token; nil: [NewPace] for this one alone.
	Pace  *Pace
	Dial  func(ctx context.Context, network, address string) (net.Conn, error)
	Proxy func(*http.Request) (*url.URL, error)
	Base  http.RoundTripper // for tests
	Now   func() time.Time  // nil means time.Now
	// Retry is for tests; the zero value waits as readonly does.
	Retry readonly.Retry
}

// Canvas reads one site as one person. It is a [daypass.Contents].
//
// A source's ID is CONTEXT, CONTEXT/folders/ID or CONTEXT/files/ID, or folders/ID or
// files/ID alone, which the site finds a context for, where a context is
// "courses/ID", "groups/ID", "users/ID" or "users/self". An ID is of digits, SHARD~LOCAL,
// or for courses "sis_course_id:TEXT". Path is of folders, by their names.
type Canvas struct {
	Config
	origin string
	api    *http.Client // asks the site alone
	files  *http.Client // follows to where files are stored
}

var _ daypass.Contents = (*Canvas)(nil)

// stores are where Canvas's own clouds keep files: inst-fs, its hosts for files, and
// Amazon's storage.
var stores = []string{"*.inscloudgate.net", "*.instructure.com", "*.canvas-user-content.com", "*.amazonaws.com"}

// New returns a reader of a site.
func New(c Config) *Canvas {
	if c.MaxItems == 0 {
		c.MaxItems = 100_000
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Pace == nil {
		c.Pace = NewPace(c.Now)
	}
	v := &Canvas{Config: c, origin: "https://" + c.Host}
	plain := daypass.Loopback(c.Host)
	if plain {
		v.origin = "http://" + c.Host
	}
	retry := c.Retry
	retry.Again, retry.Now = busy, c.Now
	rc := readonly.Config{
		Hosts: func(host string) bool { return host == c.Host }, Bound: []readonly.Bound{{Host: c.Host, Token: c.Token}},
		Dial: c.Dial, Proxy: c.Proxy, Base: c.Base, Loopback: plain, Pace: c.Pace, Retry: retry,
	}
	v.api = readonly.Client(rc)
	rc.Hosts = func(host string) bool { return host == c.Host || stored(host, stores) || stored(host, c.Files) }
	v.files = readonly.Client(rc)
	return v
}

// stored reports whether a host is one of these, or below one with a star.
func stored(host string, all []string) bool {
	return slices.ContainsFunc(all, func(p string) bool {
		parent, below := strings.CutPrefix(p, "*")
		return host == p || below && strings.HasSuffix(host, parent) && len(host) > len(parent)
	})
}

// pattern compiles a pattern at its first use: a program that reads nothing does not.
func pattern(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

// idPattern is what ids are: those of another shard are SHARD~LOCAL, and none has more
// digits than a number of 64 bits.
const idPattern = `[0-9]{1,19}(?:~[0-9]{1,19})?`

var (
	sourcePattern = pattern(`^((?:courses|groups|users)/(?:` + idPattern + `|sis_[a-z_]{1,30}:[A-Za-z0-9._-]{1,100})|users/self)?(?:(?:^|/)(folders|files)/(` + idPattern + `))?$`)
	numberPattern = pattern(`^` + idPattern + `$`)
)

// A place is a source, taken apart.
type place struct {
	context string   // "courses/42"; "": of a file or folder that is known by its number alone
	kind    string   // "folders", "files" or ""
	id      string   // of that
	path    []string // of folders below it
}

func (p place) kindOf() string { k, _, _ := strings.Cut(p.context, "/"); return k }

// check refuses what is no source of this site before anything is asked.
func (v *Canvas) check(s daypass.Source) (place, error) {
	m := sourcePattern().FindStringSubmatch(s.ID)
	bad := m == nil || s.ID == "" || s.ID[0] == '/' || s.Kind != daypass.KindCanvas || s.Host != v.Host || s.Ref != "" || len(s.Path) > 4096
	var path []string
	if s.Path != "" {
		path = strings.Split(s.Path, "/")
		bad = bad || slices.ContainsFunc(path, func(part string) bool { return part == "" || part == "." || part == ".." }) || m[2] == "files"
	}
	if bad {
		return place{}, &daypass.Problem{
			Code: "DP-426", What: "This names nothing on Canvas at " + v.Host, Why: "it is no course, group or person of the site, or no path of folders",
			Next: "Copy the address of the files' page from the browser.", Kind: daypass.ErrRefused,
		}
	}
	return place{context: m[1], kind: m[2], id: m[3], path: path}, nil
}

const (
	maxPage  = 16 << 20 // of JSON: 100 files with long names
	maxPages = 2000
)

// get asks the API, and returns an answer of status 200. A token that Canvas does not
// take is renewed once: only an answer with WWW-Authenticate says that, one without says
// that its owner may not (doc "OAuth2", "Using an Access Token").
func (v *Canvas) get(ctx context.Context, client *http.Client, address string, dress func(*http.Request)) (*http.Response, error) {
	for renewed := false; ; renewed = true {
		// Asked before there is a request, so that what it says comes out as it is.
		if _, err := v.Token(ctx); err != nil {
			return nil, err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return nil, v.none()
		}
		req.Header.Set("Accept", "application/json+canvas-string-ids, application/json")
		if dress != nil {
			req.Header.Del("Accept")
			dress(req)
		}
		res, err := client.Do(req)
		if err != nil {
			return nil, readonly.Failure(v.Host, err)
		}
		v.Pace.heard(res.Header)
		spent := res.StatusCode == http.StatusUnauthorized && res.Header.Get("WWW-Authenticate") != ""
		switch {
		case spent && !renewed && v.Renew != nil:
			res.Body.Close()
			if !v.Renew(ctx) {
				return nil, v.spent(ctx)
			}
		case spent:
			res.Body.Close()
			return nil, v.spent(ctx)
		case res.StatusCode == http.StatusOK || dress != nil && (res.StatusCode == http.StatusPartialContent || res.StatusCode == http.StatusRequestedRangeNotSatisfiable):
			return res, nil
		default:
			return nil, v.refusal(res)
		}
	}
}

// read asks for JSON, and returns the header too; an answer that breaks off is asked for
// once more.
func (v *Canvas) read(ctx context.Context, address string, out any) (http.Header, error) {
	for try := 1; ; try++ {
		header, body, err := v.readOnce(ctx, address)
		if err != nil {
			return nil, err
		}
		if body == nil && try == 1 && ctx.Err() == nil {
			continue
		}
		if body == nil {
			return nil, readonly.Failure(v.Host, errors.New("canvas: an answer that broke off"))
		}
		if err := json.Unmarshal(body, out); err != nil {
			return nil, readonly.Failure(v.Host, err)
		}
		return header, nil
	}
}

// readOnce returns no body where it broke off.
func (v *Canvas) readOnce(ctx context.Context, address string) (http.Header, []byte, error) {
	leave, err := v.Pace.enter(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer leave()
	res, err := v.get(ctx, v.api, address, nil)
	if err != nil {
		return nil, nil, err
	}
	body, err := readonly.ReadAll(res, maxPage)
	switch {
	case errors.Is(err, readonly.ErrTooLong) || ctx.Err() != nil:
		return nil, nil, readonly.Failure(v.Host, err)
	case err != nil:
		return nil, nil, nil
	}
	return res.Header, body, nil
}

// busy: Canvas says that too much was asked by status 403 as well, in plain text.
func busy(status int, _ http.Header, body []byte) bool {
	return status == http.StatusForbidden && throttled(body)
}

func throttled(body []byte) bool { return bytes.Contains(body, []byte("Rate Limit Exceeded")) }

// refusal makes a message of an answer that is not what was asked for, and closes it.
// What is no JSON of Canvas's is somebody else's, such as a network's page.
func (v *Canvas) refusal(res *http.Response) error {
	body, err := readonly.ReadAll(res, 1<<20)
	if err != nil {
		return readonly.Failure(v.Host, err)
	}
	var said struct {
		Status string          `json:"status"`
		Errors json.RawMessage `json:"errors"`
	}
	own := json.Unmarshal(body, &said) == nil && (said.Errors != nil || said.Status != "")
	switch {
	case res.StatusCode == http.StatusTooManyRequests || busy(res.StatusCode, nil, body):
		return readonly.Limited(v.Host, max(readonly.After(res, v.Now()), time.Minute))
	case !own && res.StatusCode < 500:
		return readonly.Failure(v.Host, errors.New("canvas: no answer of the API"))
	}
	return readonly.Refused(v.Host, res, v.Now(), *v.none())
}

// none: there is no such place, or this person may not see it.
func (v *Canvas) none() *daypass.Problem {
	return &daypass.Problem{
		Code: "DP-425", What: "Canvas at " + v.Host + " shows no such course, folder or file", Why: "it does not exist, is not published, or is not shown to the account that asks",
		Next: "Look whether the address opens in a browser where you are signed in to Canvas.", Kind: daypass.ErrRefused, Err: daypass.ErrNoSource,
	}
}

// spent: Canvas does not take the token. Whoever gives tokens may know why.
func (v *Canvas) spent(ctx context.Context) error {
	if _, err := v.Token(ctx); err != nil {
		return err
	}
	return &daypass.Problem{
		Code: "DP-427", What: "Canvas at " + v.Host + " does not take the token", Why: "it was ended, or is too old", Next: "Connect Canvas again, or make another token in its settings.", Kind: daypass.ErrRefused,
	}
}

// one is a file that cannot be had, of a place that can.
func one(why string) error {
	return &daypass.Problem{Code: "DP-428", What: "A file on Canvas cannot be had", Why: why, Next: "Ask whoever teaches the course.", Kind: daypass.ErrRefused}
}

// partial: a listing that may lack something.
func (v *Canvas) partial(why string) error {
	return &daypass.Problem{
		Code: "DP-429", What: "The files on Canvas at " + v.Host + " were not listed whole", Why: why, Next: "Try again in a few minutes; if it says the same, name a folder of the course.", Kind: daypass.ErrUnreachable,
	}
}
