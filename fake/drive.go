package fake

import (
	"cmp"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The hosts of a [Drive], of which the last has no TLS.
const (
	DriveHost    = "www.googleapis.com"
	TokenHost    = "oauth2.googleapis.com"
	STSHost      = "sts.googleapis.com"
	IAMHost      = "iamcredentials.googleapis.com"
	MetadataHost = "metadata.google.internal"
)

// Types of Drive's own that are no bytes.
const (
	FolderType   = "application/vnd.google-apps.folder"
	ShortcutType = "application/vnd.google-apps.shortcut"
	DocumentType = "application/vnd.google-apps.document"
	SheetType    = "application/vnd.google-apps.spreadsheet"
	SlidesType   = "application/vnd.google-apps.presentation"
	DrawingType  = "application/vnd.google-apps.drawing"
	FormType     = "application/vnd.google-apps.form"
)

// A ServiceAccount can ask for tokens by its keys, from the metadata server of a
// machine that runs as it, or in exchange for another system's tokens.
type ServiceAccount struct {
	Email    string
	Keys     map[string]string // id to the public half in PEM; see NewAppKey
	Disabled bool
	// Subjects are the tokens of another system that the pool trusts for this
	// account.
	Subjects []string
}

// A DriveFile is a file, folder or shortcut. An empty Type is
// application/octet-stream.
type DriveFile struct {
	ID, Name, Type string
	Parent         string // "" is nobody's business: somebody's My Drive
	DriveID        string // of the shared drive that it is in
	Text           string // of native types: what an export is made of
	Modified       time.Time
	Version        int64
	Trashed        bool
	Shared         []string // e-mail addresses; inherited by what is below
	Anyone         bool     // by link
	ResourceKey    string   // what a link-shared item asks for, where Anyone is how it is reached
	Target         string   // of a shortcut
	NoDownload     bool     // viewers may not download
	Limited        bool     // a folder that is for fewer people than the one above; it is seen, and not what is in it
	Abusive        bool
	ExportSize     int  // of an export; 0: as long as Text
	Spent          bool // its own download quota is used up
}

// A SharedDrive belongs to a team. Its ID is that of its root folder too.
type SharedDrive struct {
	ID, Name string
	Members  []string
}

// A DriveSeed is the state from which a [Drive] starts.
type DriveSeed struct {
	Accounts []ServiceAccount
	Machine  string // e-mail of the account that the metadata server's machine runs as
	Pool     string // the audience of the pool that trusts other systems' tokens
	Drives   []SharedDrive
	Files    []DriveFile
}

// DriveSwitches change how a [Drive] behaves.
type DriveSwitches struct {
	UserUnits    int  // quota units per account and minute; 0 means 325,000, below 0 none
	ProjectUnits int  // of all together; 0 means 1,000,000
	ShortPages   int  // no page of a listing has more than this
	Incomplete   bool // listings say incompleteSearch
	TokenLife    time.Duration
	QuietUnshare bool // the feed of changes does not tell that access was taken away
}

// A DriveConfig is what [NewDrive] needs.
type DriveConfig struct {
	Seed     DriveSeed
	Now      func() time.Time // nil means time.Now
	Rand     io.Reader        // nil means crypto/rand
	Switches DriveSwitches
}

// Drive is a stand-in for Google Drive's API v3 as service accounts see it, after the
// vendor's discovery document and guides, with what gives them tokens. It is safe for
// concurrent use.
type Drive struct {
	faults
	journal
	now  func() time.Time
	rand io.Reader

	mu       sync.Mutex // guards everything below
	sw       DriveSwitches
	accounts []ServiceAccount
	machine  string
	pool     string
	drives   []SharedDrive
	files    map[string]*DriveFile
	changes  []driveChange
	tokens   map[string]driveToken
	spent    map[string]int // units in this minute, by account; "" is the project
	units    int            // in all
	minute   int64
	exports  int

	ahead atomic.Int64
}

type driveToken struct {
	email  string
	scopes []string
	until  time.Time
}

// NewDrive returns a Drive that starts from c.Seed.
func NewDrive(c DriveConfig) *Drive {
	now := c.Now
	if now == nil {
		now = time.Now
	}
	d := &Drive{journal: journal{most: 5 * maxLog}, rand: c.Rand, sw: c.Switches, files: map[string]*DriveFile{}, tokens: map[string]driveToken{}, spent: map[string]int{}}
	d.now = func() time.Time { return now().Add(time.Duration(d.ahead.Load())) }
	if d.rand == nil {
		d.rand = rand.Reader
	}
	d.accounts, d.drives, d.machine, d.pool = slices.Clone(c.Seed.Accounts), slices.Clone(c.Seed.Drives), c.Seed.Machine, c.Seed.Pool
	for _, s := range d.drives {
		d.files[s.ID] = &DriveFile{ID: s.ID, Name: "Drive", Type: FolderType, DriveID: s.ID, Version: 1, Modified: now()}
	}
	for _, f := range c.Seed.Files {
		if f.Modified.IsZero() {
			f.Modified = time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)
		}
		f.Version = max(1, f.Version)
		d.files[f.ID] = &f
	}
	return d
}

// Set changes the switches while the Drive is in use.
func (d *Drive) Set(change func(*DriveSwitches)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(&d.sw)
}

// Advance moves the clock forward.
func (d *Drive) Advance(t time.Duration) { d.ahead.Add(int64(t)) }

// Edit changes a file, or makes one where none has the id, and tells the feed of it.
// A file with a new Text has a new time and version.
func (d *Drive) Edit(id string, change func(*DriveFile)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	before := d.readers(id)
	f := d.files[id]
	if f == nil {
		f = &DriveFile{ID: id}
		d.files[id] = f
	}
	text := f.Text
	change(f)
	f.Version++
	if f.Text != text || f.Modified.IsZero() {
		f.Modified = d.now().UTC()
	}
	lost := slices.DeleteFunc(before, func(email string) bool { return d.visible(email, f, nil) })
	d.changes = append(d.changes, driveChange{file: id, at: d.now(), lost: lost})
}

// Delete removes a file for good.
func (d *Drive) Delete(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	lost := d.readers(id)
	delete(d.files, id)
	d.changes = append(d.changes, driveChange{file: id, at: d.now(), lost: lost})
}

// readers are the accounts that see a file.
func (d *Drive) readers(id string) (out []string) {
	for _, a := range d.accounts {
		if f := d.files[id]; f != nil && d.visible(a.Email, f, nil) {
			out = append(out, a.Email)
		}
	}
	return out
}

// EditAccount changes a service account.
func (d *Drive) EditAccount(email string, change func(*ServiceAccount)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := slices.IndexFunc(d.accounts, func(a ServiceAccount) bool { return a.Email == email }); n >= 0 {
		change(&d.accounts[n])
	}
}

// Units returns how many quota units were spent in all.
func (d *Drive) Units() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.units
}

// Tokens returns the access tokens that were given out.
func (d *Drive) Tokens() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.tokens))
}

// Revoke ends all access tokens of an account, as when its key is taken away.
func (d *Drive) Revoke(email string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.tokens, func(_ string, t driveToken) bool { return t.email == email })
}

// Hosts are the names under which the Drive answers by TLS.
func (d *Drive) Hosts() []string { return []string{DriveHost, TokenHost, STSHost, IAMHost} }

// ServeHTTP answers for all its hosts, and under any other name for all of them.
func (d *Drive) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := d.record(d.now(), r)
	out := &statusWriter{ResponseWriter: w}
	defer func() { d.recordStatus(n, out.status) }()
	out.Header().Set("Date", d.now().UTC().Format(http.TimeFormat))
	fault := d.take(r)
	route := http.HandlerFunc(d.route)
	if fault != nil {
		fault.serve(out, r, route)
		return
	}
	route(out, r)
}

func (d *Drive) route(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.Header().Set("Cache-Control", "private, max-age=0, must-revalidate")
	path := r.URL.Path
	switch {
	case strings.HasPrefix(path, "/drive/v3/"):
		d.api(w, r, strings.Split(strings.TrimPrefix(path, "/drive/v3/"), "/"))
	case path == "/token" && r.Method == http.MethodPost:
		d.keyToken(w, r)
	case path == "/v1/token" && r.Method == http.MethodPost:
		d.exchangeToken(w, r)
	case strings.HasPrefix(path, "/v1/projects/-/serviceAccounts/") && r.Method == http.MethodPost:
		d.impersonate(w, r)
	case strings.HasPrefix(path, "/computeMetadata/v1/"):
		d.metadata(w, r, strings.TrimPrefix(path, "/computeMetadata/v1/"))
	default:
		driveError(w, http.StatusNotFound, "notFound", "Not Found")
	}
}

// api answers one call: who asks, what it costs, what it is.
func (d *Drive) api(w http.ResponseWriter, r *http.Request, at []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t, ok := d.bearer(w, r)
	if !ok {
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		driveError(w, http.StatusForbidden, "insufficientPermissions", "Request had insufficient authentication scopes.")
		return
	}
	cost, call := 5, (func(http.ResponseWriter, *http.Request, driveToken))(nil)
	media := r.URL.Query().Get("alt") == "media"
	switch {
	case len(at) == 1 && at[0] == "files":
		cost, call = 100, d.list
	case len(at) == 2 && at[0] == "files" && media:
		cost, call = 200, func(w http.ResponseWriter, r *http.Request, t driveToken) { d.media(w, r, t, at[1]) }
	case len(at) == 2 && at[0] == "files":
		call = func(w http.ResponseWriter, r *http.Request, t driveToken) { d.get(w, r, t, at[1]) }
	case len(at) == 3 && at[0] == "files" && at[2] == "export":
		cost, call = 200, func(w http.ResponseWriter, r *http.Request, t driveToken) { d.export(w, r, t, at[1]) }
	case len(at) == 1 && at[0] == "changes":
		cost, call = 100, d.listChanges
	case len(at) == 2 && at[0] == "changes" && at[1] == "startPageToken":
		call = d.startPageToken
	case len(at) == 2 && at[0] == "drives":
		call = func(w http.ResponseWriter, r *http.Request, t driveToken) { d.getDrive(w, r, t, at[1]) }
	case len(at) == 1 && at[0] == "about":
		call = d.about
	default:
		driveError(w, http.StatusNotFound, "notFound", "Not Found")
		return
	}
	if d.spend(w, t.email, cost) {
		call(w, r, t)
	}
}

// spend counts a call's units, of the account and of all.
func (d *Drive) spend(w http.ResponseWriter, email string, units int) bool {
	if now := d.now().Unix() / 60; now != d.minute {
		d.minute, d.spent = now, map[string]int{}
	}
	user, project := orElse(d.sw.UserUnits, 325_000), orElse(d.sw.ProjectUnits, 1_000_000)
	switch {
	case user > 0 && d.spent[email]+units > user:
		driveError(w, http.StatusForbidden, "userRateLimitExceeded", "User Rate Limit Exceeded. Rate of requests for user exceed configured project quota.")
		return false
	case project > 0 && d.spent[""]+units > project:
		driveError(w, http.StatusForbidden, "rateLimitExceeded", "Rate Limit Exceeded")
		return false
	}
	d.spent[email] += units
	d.spent[""] += units
	d.units += units
	return true
}

func driveError(w http.ResponseWriter, status int, reason, message string) {
	domain := "global"
	if strings.Contains(reason, "imitExceeded") && reason != "exportSizeLimitExceeded" {
		domain = "usageLimits"
	}
	writeJSON(w, status, map[string]any{"error": map[string]any{
		"code": status, "message": message, "errors": []any{map[string]any{"message": message, "domain": domain, "reason": reason}},
	}})
}

// DriveRefusal is the answer of an API's error, as a [Fault].
func DriveRefusal(status int, reason string, wait time.Duration) Fault {
	b := &bufferedResponse{header: http.Header{}}
	driveError(b, status, reason, reason)
	f := Fault{Kind: FaultStatus, Status: status, Header: http.Header{"Content-Type": {"application/json; charset=UTF-8"}}, Body: string(b.body)}
	if wait > 0 {
		f.Header.Set("Retry-After", strconv.Itoa(int(wait/time.Second)))
	}
	return f
}

// visible: shared with the account itself or through a folder above; in a shared
// drive that it is a member of; or by link, with the resource key where one is asked.
func (d *Drive) visible(email string, f *DriveFile, keys map[string]string) bool {
	for n, g := 0, f; g != nil && n < 1000; n, g = n+1, d.files[g.Parent] {
		if g.Limited && g != f && !slices.Contains(g.Shared, email) {
			return false
		}
		if slices.Contains(g.Shared, email) || g.Anyone && (g.ResourceKey == "" || keys[g.ID] == g.ResourceKey) {
			return true
		}
	}
	return slices.ContainsFunc(d.drives, func(s SharedDrive) bool { return s.ID == f.DriveID && slices.Contains(s.Members, email) })
}

// trashed: with the folder above it too.
func (d *Drive) trashed(f *DriveFile) bool {
	for n := 0; f != nil && n < 1000; n, f = n+1, d.files[f.Parent] {
		if f.Trashed {
			return true
		}
	}
	return false
}

// sums are the checksums of bytes.
func sums(text string) (a, b, c string) {
	m, s, t := md5.Sum([]byte(text)), sha1.Sum([]byte(text)), sha256.Sum256([]byte(text))
	return hex.EncodeToString(m[:]), hex.EncodeToString(s[:]), hex.EncodeToString(t[:])
}

// native reports a type of Google's own, which has no bytes.
func native(kind string) bool {
	return strings.HasPrefix(kind, "application/vnd.google-apps.") && kind != colabType
}

const colabType = "application/vnd.google.colaboratory"

// sorted are all files, by name and then by id.
func (d *Drive) sorted() []*DriveFile {
	return slices.SortedFunc(maps.Values(d.files), func(a, b *DriveFile) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
}

// NewKeyFile makes a key of a service account: what Google offers for download, and
// the public half for [ServiceAccount.Keys].
func NewKeyFile(r io.Reader, email, keyID string) (file []byte, public string, err error) {
	private, public, err := newServiceKey(r)
	if err != nil {
		return nil, "", fmt.Errorf("fake: make a service account's key: %w", err)
	}
	return keyFile(email, keyID, private), public, nil
}
