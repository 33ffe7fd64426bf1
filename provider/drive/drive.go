// Package drive reads Google Drive as a service account: a folder, a shared drive or a
// single file that was shared with it, by version 3 of the API and by GET alone. It
// knows no user of a hub and no rule about who may read what; how the account gets its
// tokens is provider/google's.
package drive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// Host is the Host of a source on Drive.
const Host = "drive.google.com"

// A Config is how an account reads. Token is required.
type Config struct {
	Token func(ctx context.Context) (daypass.Secret, error)
	// Renew is told of a token that Drive did not take, and says whether to ask again;
	// nil: no.
	Renew func() bool
	// Email says the account's address, for messages: people share folders with it.
	Email func(ctx context.Context) (string, error)
	// Outside are ids of further files and folders that shortcuts may lead to. What a
	// shortcut leads to is left out otherwise, where it does not lie below the source:
	// whoever may edit a folder could have the account fetch what only it may see.
	Outside []string
	// Verify is how old the proof that the account still reads a source may be, where
	// the feed of changes says nothing; 0 leaves it to the feed. A service sets it.
	Verify   time.Duration
	MaxItems int // of a listing; 0 means 100,000
	// Pace is shared by all who use the account. nil: one for this reader, which takes it
	// for one of many that know nothing of each other ([Share]).
	Pace daypass.Pace
	// Patience is how long one request waits in all where Drive says that too much is
	// asked, though all keep their pace; 0 means half an hour: its quotas are of a minute.
	Patience time.Duration
	Dial     func(ctx context.Context, network, address string) (net.Conn, error)
	Proxy    func(*http.Request) (*url.URL, error)
	// API is the origin of the API, "" for Google's; http is for loopback addresses.
	API  string
	Base http.RoundTripper // for tests
	Now  func() time.Time  // nil means time.Now
	// Retry is for tests; the zero value waits as Google's guide says.
	Retry readonly.Retry
}

// DefaultPatience is for a [Config] that sets none.
const DefaultPatience = 30 * time.Minute

// Drive reads as one account. It is a [daypass.Contents].
type Drive struct {
	Config
	host   string
	client *http.Client

	mu    sync.Mutex
	known []*known // what was listed lately, oldest first
}

var _ daypass.Contents = (*Drive)(nil)

// New returns a Drive. Errors: an address of the API that cannot be used.
func New(c Config) (*Drive, error) {
	if c.API == "" {
		c.API = "https://www.googleapis.com"
	}
	u, err := url.Parse(c.API)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("drive: the API's address %q cannot be used", c.API)
	}
	if c.MaxItems == 0 {
		c.MaxItems = 100_000
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Pace == nil {
		c.Pace = NewPace(Share{}.Units(), c.Now)
	}
	if c.Patience == 0 {
		c.Patience = DefaultPatience
	}
	req := &http.Request{URL: u}
	d := &Drive{Config: c, host: readonly.Host(req)}
	retry := c.Retry
	retry.Again, retry.Never, retry.Now = again, never, c.Now
	if retry.Tries == 0 {
		retry.Patience = c.Patience
	}
	d.client = readonly.Client(readonly.Config{
		Hosts: func(host string) bool { return host == d.host }, Bound: []readonly.Bound{{Host: d.host, Token: c.Token}},
		Dial: c.Dial, Proxy: c.Proxy, Base: c.Base, Loopback: u.Scheme == "http", Pace: c.Pace, Units: units, Retry: retry,
	})
	return d, nil
}

// pattern compiles a pattern at its first use: a program that reads nothing does not.
func pattern(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

// idPattern is what Drive's ids are made of. It holds nothing that would end a string
// of a query.
var idPattern = pattern(`^[A-Za-z0-9_-]{10,100}$`)

// check refuses what is no source of Drive before anything is asked.
func check(s daypass.Source) error {
	if s.Kind == daypass.KindDrive && s.Host == Host && idPattern().MatchString(s.ID) && (s.Ref == "" || idPattern().MatchString(s.Ref)) {
		return nil
	}
	return &daypass.Problem{
		Code: "DP-421", What: "This names nothing on Google Drive", Why: "it is not one of Drive's ids", Next: "Copy the address of the folder from the browser.", Kind: daypass.ErrRefused,
	}
}

// A file is what the API says of one.
type file struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Type     string   `json:"mimeType"`
	Parents  []string `json:"parents"`
	Size     *int64   `json:"size,string"`
	MD5      string   `json:"md5Checksum"`
	SHA256   string   `json:"sha256Checksum"`
	Modified string   `json:"modifiedTime"`
	Revision string   `json:"headRevisionId"`
	Version  string   `json:"version"`
	DriveID  string   `json:"driveId"`
	Key      string   `json:"resourceKey"`
	Trashed  bool     `json:"trashed"`
	Shortcut struct {
		ID   string `json:"targetId"`
		Type string `json:"targetMimeType"`
		Key  string `json:"targetResourceKey"`
	} `json:"shortcutDetails"`
	Can struct {
		Download *bool `json:"canDownload"`
		List     *bool `json:"canListChildren"`
	} `json:"capabilities"`
}

const fileFields = "id,name,mimeType,parents,size,md5Checksum,sha256Checksum,modifiedTime,headRevisionId,version,driveId,resourceKey,trashed,shortcutDetails,capabilities(canDownload,canListChildren)"

const (
	folderType   = "application/vnd.google-apps.folder"
	shortcutType = "application/vnd.google-apps.shortcut"
	maxPage      = 16 << 20 // of JSON: a page of 1,000 files with long names
)

// ask makes one request and returns an answer of status 200, 206 or 416.
func (d *Drive) ask(ctx context.Context, path string, q url.Values, keys map[string]string, dress func(*http.Request)) (*http.Response, error) {
	if q.Get("supportsAllDrives") == "" && !strings.HasSuffix(path, "/export") {
		q.Set("supportsAllDrives", "true")
	}
	for renewed := false; ; renewed = true {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.API+"/drive/v3/"+path+"?"+q.Encode(), nil)
		if err != nil {
			return nil, check(daypass.Source{})
		}
		if v := resourceKeys(keys); v != "" {
			req.Header.Set("X-Goog-Drive-Resource-Keys", v)
		}
		if dress != nil {
			dress(req)
		}
		res, err := d.client.Do(req)
		switch {
		case err != nil:
			return nil, readonly.Failure(d.host, err)
		case res.StatusCode == http.StatusUnauthorized && !renewed && d.Renew != nil && d.Renew():
			res.Body.Close()
		case res.StatusCode == http.StatusOK || dress != nil && (res.StatusCode == http.StatusPartialContent || res.StatusCode == http.StatusRequestedRangeNotSatisfiable):
			return res, nil
		default:
			return nil, d.refusal(ctx, res)
		}
	}
}

// resourceKeys is the header's value: id/key pairs.
func resourceKeys(keys map[string]string) string {
	var pairs []string
	for id, key := range keys {
		if key != "" && idPattern().MatchString(key) {
			pairs = append(pairs, id+"/"+key)
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, ",")
}

// get reads a JSON answer; one that breaks off is asked for once more.
func (d *Drive) get(ctx context.Context, path string, q url.Values, keys map[string]string, v any) error {
	for try := 1; ; try++ {
		res, err := d.ask(ctx, path, q, keys, nil)
		if err != nil {
			return err
		}
		body, err := readonly.ReadAll(res, maxPage)
		if err != nil && try == 1 && ctx.Err() == nil && !errors.Is(err, readonly.ErrTooLong) {
			continue
		}
		if err == nil {
			err = json.Unmarshal(body, v)
		}
		if err != nil {
			return readonly.Failure(d.host, err)
		}
		return nil
	}
}

// file asks for one file. What is in the trash is gone.
func (d *Drive) file(ctx context.Context, id, key string) (file, error) {
	var f file
	err := d.get(ctx, "files/"+id, url.Values{"fields": {fileFields}}, map[string]string{id: key}, &f)
	if err == nil && f.ID != id {
		err = readonly.Failure(d.host, errors.New("another file"))
	}
	if err == nil && f.Trashed {
		err = d.none(ctx)
	}
	return f, err
}

// title is the name of a folder, and of the drive where it is all of it.
func (d *Drive) title(ctx context.Context, f file) string {
	if f.DriveID != f.ID {
		return f.Name
	}
	var team struct {
		Name string `json:"name"`
	}
	if d.get(ctx, "drives/"+f.ID, url.Values{"fields": {"name"}}, nil, &team) != nil {
		return f.Name
	}
	return team.Name
}

func page(f file) string {
	if f.Type == folderType {
		return "https://drive.google.com/drive/folders/" + f.ID
	}
	return "https://drive.google.com/file/d/" + f.ID + "/view"
}

// Look asks the feed of changes, where the mark is of an earlier look or listing, and
// otherwise for the folder itself. The second means that the account reads it now.
func (d *Drive) Look(ctx context.Context, s daypass.Source, mark string) (daypass.Seen, error) {
	if err := check(s); err != nil {
		return daypass.Seen{}, err
	}
	if m, ok := parseMark(mark, s); ok {
		seen, same, err := d.follow(ctx, s, m)
		if err != nil || same {
			return seen, err
		}
	}
	f, err := d.file(ctx, s.ID, s.Ref)
	if err != nil {
		return daypass.Seen{}, err
	}
	return daypass.Seen{Source: s, Title: d.title(ctx, f), Mark: d.cursor(ctx, s, f, "").String(), Web: page(f)}, nil
}
