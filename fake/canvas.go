package fake

import (
	"crypto/rand"
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

// CanvasShard is how far the global ids of one shard are from another's: 1234~567 is
// 1234 times this, and 567.
const CanvasShard = 10_000_000_000_000

// A CanvasKey is a developer key: what a service lets people sign in with.
type CanvasKey struct {
	ID, Secret string
	Redirects  []string // hosts, with their sub-domains, or full addresses
	Scopes     []string // nil: scopes are not enforced, and its tokens may do everything
}

// A CanvasUser is a person.
type CanvasUser struct {
	ID    int64
	Name  string
	Login string // shown to admins only
	Email string
}

// A CanvasCourse has teachers, who see all of it, and students.
type CanvasCourse struct {
	ID                 int64
	Name, Code, SIS    string // no Code: the name
	Teachers, Students []int64
	Others             map[int64]string // who is enrolled in another way: "ta", "designer", "observer"
	Invited            []int64          // those who have not said yes to their enrolment yet
	State              string           // "unpublished", "completed", "deleted"; "" is "available"
	Closed             bool             // nobody is let in, for its dates
	FilesHidden        bool             // the tab "Files" is hidden: students cannot list them
	Modules            []CanvasModule
}

// A CanvasModule shows students files in an order.
type CanvasModule struct {
	ID          int64
	Name        string
	Unpublished bool
	Items       []CanvasModuleItem
}

// A CanvasModuleItem is a file, or with File 0 a heading.
type CanvasModuleItem struct {
	Title string
	File  int64
}

// A CanvasGroup is some students with files of their own.
type CanvasGroup struct {
	ID      int64
	Name    string
	Members []int64
}

// A CanvasFolder is in a context: "courses/42", "groups/7", "users/3". Without a
// parent it is the root of it.
type CanvasFolder struct {
	ID             int64
	Context        string
	Parent         int64
	Name           string
	Hidden         bool
	ForSubmissions bool
}

// A CanvasFile is a file of a folder.
type CanvasFile struct {
	ID, Folder int64
	Name, Text string
	Hidden     bool
	Listed     bool // students' lists have it although it is hidden, and say that it is
	Locked     bool // not published: students' lists lack it
	// Awaits: students see it in lists, and get it from Unlocks on.
	Awaits   bool
	Unlocks  time.Time
	UUID     string
	Modified time.Time
	Updated  time.Time
}

// A CanvasSeed is the state from which a [Canvas] starts. Contexts without a root
// folder get one.
type CanvasSeed struct {
	Keys    []CanvasKey
	Users   []CanvasUser
	Courses []CanvasCourse
	Groups  []CanvasGroup
	Folders []CanvasFolder
	Files   []CanvasFile
}

// CanvasSwitches change how a [Canvas] behaves.
type CanvasSwitches struct {
	MaxPage     int           // what per_page is capped at; 0 means 100
	NoVerifiers bool          // addresses of files have none, and take the token
	TokenLife   time.Duration // 0 means an hour
	Throttle    bool          // the leaky bucket holds
	Cost        float64       // of a request, in units of the bucket
	NextHost    string        // the host of "next" links, where it is another
	Bare        bool          // modules come without their items
	Direct      bool          // files come from the host itself
}

// A CanvasConfig is what [NewCanvas] needs.
type CanvasConfig struct {
	Host string // "canvas.example.edu"; "" is whatever it is asked as
	// Files is the host that the files themselves come from, as inst-fs is; "" means
	// "files.inscloudgate.net".
	Files    string
	Seed     CanvasSeed
	Now      func() time.Time // nil means time.Now
	Rand     io.Reader        // nil means crypto/rand
	Switches CanvasSwitches
}

// Canvas is a stand-in for a site of Canvas LMS, after the vendor's documentation of
// its API: OAuth2, Files, Modules, Pagination, Throttling. It is safe for concurrent
// use.
type Canvas struct {
	faults
	journal
	config CanvasConfig
	mux    *http.ServeMux
	now    func() time.Time

	mu      sync.Mutex // guards everything below
	sw      CanvasSwitches
	courses map[int64]*CanvasCourse
	groups  map[int64]*CanvasGroup
	folders map[int64]*CanvasFolder
	files   map[int64]*CanvasFile
	moved   map[int64]int64 // ids of files that were written over, and by which
	codes   map[string]canvasCode
	tokens  map[string]*canvasToken
	issued  []string // every secret that was ever given out
	levels  map[string]canvasLevel
	next    int64

	ahead atomic.Int64
}

// NewCanvas returns a Canvas that starts from c.Seed.
func NewCanvas(c CanvasConfig) *Canvas {
	c.Now, c.Files = orElseFunc(c.Now, time.Now), orElse(c.Files, "files.inscloudgate.net")
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	v := &Canvas{
		config: c, sw: c.Switches, courses: map[int64]*CanvasCourse{}, groups: map[int64]*CanvasGroup{}, folders: map[int64]*CanvasFolder{},
		files: map[int64]*CanvasFile{}, moved: map[int64]int64{}, codes: map[string]canvasCode{}, tokens: map[string]*canvasToken{}, levels: map[string]canvasLevel{}, next: 900_000,
	}
	v.now = func() time.Time { return c.Now().Add(time.Duration(v.ahead.Load())) }
	roots := map[string]string{}
	for _, course := range c.Seed.Courses {
		v.courses[course.ID] = &course
		roots["courses/"+strconv.FormatInt(course.ID, 10)] = "course files"
	}
	for _, g := range c.Seed.Groups {
		v.groups[g.ID] = &g
		roots["groups/"+strconv.FormatInt(g.ID, 10)] = "files"
	}
	for _, u := range c.Seed.Users {
		roots["users/"+strconv.FormatInt(u.ID, 10)] = "my files"
	}
	for _, f := range c.Seed.Folders {
		v.folders[f.ID] = &f
		if f.Parent == 0 {
			delete(roots, f.Context)
		}
	}
	for _, context := range slices.Sorted(maps.Keys(roots)) {
		v.next++
		v.folders[v.next] = &CanvasFolder{ID: v.next, Context: context, Name: roots[context]}
	}
	for _, f := range c.Seed.Files {
		v.put(f)
	}
	v.mux = v.routes()
	return v
}

func orElseFunc(f, usual func() time.Time) func() time.Time {
	if f == nil {
		return usual
	}
	return f
}

// put keeps a file. mu is held, or nobody else is there yet.
func (v *Canvas) put(f CanvasFile) {
	if f.UUID == "" {
		f.UUID = v.secret(40)
	}
	if f.Modified.IsZero() {
		f.Modified = time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)
	}
	if f.Updated.IsZero() {
		f.Updated = f.Modified
	}
	v.files[f.ID] = &f
}

// secret makes one and remembers it.
func (v *Canvas) secret(n int) string {
	text, err := randomText(v.config.Rand, alphanumeric, n)
	if err != nil {
		panic(err)
	}
	v.issued = append(v.issued, text)
	return text
}

// Root is the id of a context's root folder.
func (v *Canvas) Root(context string) int64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.root(context)
}

func (v *Canvas) root(context string) int64 {
	for id, f := range v.folders {
		if f.Context == context && f.Parent == 0 {
			return id
		}
	}
	return 0
}

// Add makes a folder or file where none has its id.
func (v *Canvas) Add(seed CanvasSeed) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, f := range seed.Folders {
		v.folders[f.ID] = &f
	}
	for _, f := range seed.Files {
		v.put(f)
	}
}

// Overwrite is an upload under a name that is there: Canvas makes a new file of it,
// and the old id leads to it. It returns the new id.
func (v *Canvas) Overwrite(id int64, text string) int64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	old := v.files[v.current(id)]
	v.next++
	f := *old
	f.ID, f.Text, f.UUID, f.Modified, f.Updated = v.next, text, "", v.now().UTC(), v.now().UTC()
	delete(v.files, old.ID)
	v.moved[old.ID] = f.ID
	v.put(f)
	for _, c := range v.courses {
		for _, m := range c.Modules {
			for n := range m.Items {
				if m.Items[n].File == old.ID {
					m.Items[n].File = f.ID
				}
			}
		}
	}
	return f.ID
}

// current follows what was written over.
func (v *Canvas) current(id int64) int64 {
	for range 1000 {
		to, ok := v.moved[id]
		if !ok {
			break
		}
		id = to
	}
	return id
}

// Edit changes a file in place, as renaming, moving and locking do: its time of change
// stays, unless change sets it.
func (v *Canvas) Edit(id int64, change func(*CanvasFile)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if f := v.files[v.current(id)]; f != nil {
		change(f)
		f.Updated = v.now().UTC()
	}
}

// EditFolder changes a folder.
func (v *Canvas) EditFolder(id int64, change func(*CanvasFolder)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if f := v.folders[id]; f != nil {
		change(f)
	}
}

// EditCourse changes a course.
func (v *Canvas) EditCourse(id int64, change func(*CanvasCourse)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if c := v.courses[id]; c != nil {
		change(c)
	}
}

// Delete removes a file.
func (v *Canvas) Delete(id int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.files, v.current(id))
}

// Set changes the switches while the Canvas is in use.
func (v *Canvas) Set(change func(*CanvasSwitches)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	change(&v.sw)
}

// Advance moves the clock forward.
func (v *Canvas) Advance(d time.Duration) { v.ahead.Add(int64(d)) }

// Secrets returns all that were ever given out or seeded: tokens, codes, and the
// verifiers by which anybody gets a file.
func (v *Canvas) Secrets() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	out := slices.Clone(v.issued)
	for _, f := range v.files {
		out = append(out, f.UUID)
	}
	return out
}

// Hosts are the names under which it answers by TLS.
func (v *Canvas) Hosts() []string { return []string{v.config.Host, v.config.Files} }

// ServeHTTP answers for the site and for the host of its files.
func (v *Canvas) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := v.record(v.now(), r)
	out := &statusWriter{ResponseWriter: w}
	defer func() { v.recordStatus(n, out.status) }()
	if fault := v.take(r); fault != nil {
		fault.serve(out, r, http.HandlerFunc(v.answer))
		return
	}
	v.answer(out, r)
}

func (v *Canvas) answer(w http.ResponseWriter, r *http.Request) {
	if r.Host == v.config.Files && r.Host != v.config.Host {
		v.stored(w, r)
		return
	}
	v.mux.ServeHTTP(w, r)
}

// CanvasBusy is Canvas's answer to whoever asks too much: 403 in its code, 429 in its
// newest documentation.
func CanvasBusy(status int, wait time.Duration) Fault {
	f := Fault{Kind: FaultStatus, Status: status, Header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "X-Rate-Limit-Remaining": {"0.0"}}, Body: "403 Forbidden (Rate Limit Exceeded)\n"}
	if wait > 0 {
		f.Header.Set("Retry-After", fmt.Sprint(int(wait/time.Second)))
	}
	return f
}

// canvasID reads an id: of digits, SHARD~LOCAL, or of the SIS.
func (v *Canvas) canvasID(text string) int64 {
	if sis, ok := strings.CutPrefix(text, "sis_course_id:"); ok {
		for id, c := range v.courses {
			if c.SIS == sis {
				return id
			}
		}
		return 0
	}
	shard, local, split := strings.Cut(text, "~")
	n, err := strconv.ParseInt(shard, 10, 64)
	if !split || err != nil {
		return n
	}
	m, err := strconv.ParseInt(local, 10, 64)
	if err != nil {
		return 0
	}
	return n*CanvasShard + m
}
