package pullpage

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pull"
	"github.com/daypass-dev/daypass/web"
)

// A Request is one pull that a browser began.
type Request struct {
	Repo   string `json:"repo"` // what the link names; never with a password
	Ref    string `json:"ref,omitempty"`
	Folder string `json:"folder"` // absolute, below Root
	Root   string `json:"root"`   // the server's root
	Depth  int    `json:"depth"`  // of a first pull; 0: all
	Backup bool   `json:"backup,omitempty"`
	// Include is a pattern of what is to come in spite of its size.
	Include string `json:"include,omitempty"`
	// Login is that of [pull.Ask]: of a link that held one.
	Login daypass.Secret `json:"-"`
	// Only says to follow such a pull that runs, and to begin none: nobody was asked.
	Only bool `json:"-"`
}

// same reports whether both ask for the same: with which login is not told.
func (r Request) same(other Request) bool {
	r.Login, other.Login = daypass.Secret{}, daypass.Secret{}
	r.Only, other.Only = false, false
	return r == other
}

// A Config is what the page stands on.
type Config struct {
	Settings Settings
	Base     string         // of the Jupyter server, as in an address: "/user/ada/"
	Name     string         // under which the proxy serves the page, such as [NamePull]
	Root     string         // absolute; the folder that the Jupyter server shows
	Secret   daypass.Secret // that each request has to carry; none where only the user reaches the socket

	// Run pulls, and tells how far it is. It goes on with a pull of the same folder
	// and source that runs already. When the context ends it returns, and the pull
	// itself goes on.
	Run func(ctx context.Context, r Request, told func(pull.Event)) (pull.Report, error)
	// Link asks the access service what one of its links brings.
	Link func(ctx context.Context, name string) (Told, error)
	// Where asks, by its host too, into which folder below dir a source goes whose link
	// names none; nil: it is called by its kind and id.
	Where func(ctx context.Context, dir, repo string) (folder string, err error)
	// Running tells which pull of a folder runs.
	Running func(folder string) (Request, bool)
	// State tells what is known of a folder; with false, of one that was never pulled
	// into, only the Source of a clone, if it is one.
	State func(folder string) (pull.State, bool, error)

	// Backups, Undo, Reset, Restore and Upstream are those of [pull.Puller].
	Backups  func(ctx context.Context, folder string) ([]pull.Backup, error)
	Undo     func(ctx context.Context, folder string) (pull.Report, error)
	Reset    func(ctx context.Context, folder, file string) (pull.Report, error)
	Restore  func(ctx context.Context, folder, id, file string) (pull.Report, error)
	Upstream func(ctx context.Context, folder, file string, w io.Writer) error

	Now    func() time.Time
	Random io.Reader
	Log    *slog.Logger
}

// A Server is the page of one user under one name.
type Server struct {
	c      Config
	book   book
	pages  web.Pages
	static *web.Static
	mux    *http.ServeMux
	key    []byte // of the forms' tokens
	ctx    context.Context

	mu    sync.Mutex
	jobs  map[string]*job
	spent map[string]time.Time // tokens that were used, until they end
	links map[string]toldAt    // what the access service said
}

// atOnce bounds the requests that are answered at a time, of a single user.
const atOnce = 64

// New makes a server. It works until the context ends; pulls that it began go on.
func New(ctx context.Context, c Config) (*Server, error) {
	if err := checkBase(c.Base); err != nil {
		return nil, err
	}
	if !filepath.IsAbs(c.Root) {
		return nil, badSettings("the server's root is not an absolute path", nil)
	}
	c.Root = filepath.Clean(c.Root)
	if err := c.Settings.under(c.Root); err != nil && c.Settings.Wrong == nil {
		c.Settings = WrongSettings(err)
	}
	if w := c.Settings.Wrong; w != nil {
		c.Log.Error("the settings are wrong", "code", w["code"], "what", w["what"], "why", w["why"])
	}
	s := &Server{c: c, ctx: ctx, book: book{filepath.Join(c.Settings.State, "reports")}, jobs: map[string]*job{}, spent: map[string]time.Time{}, links: map[string]toldAt{}}
	s.key = make([]byte, sha256.Size)
	if _, err := io.ReadFull(c.Random, s.key); err != nil {
		return nil, fmt.Errorf("draw a key for forms: %w", err)
	}
	var err error
	if s.static, err = web.NewStatic("static/"); err != nil {
		return nil, err
	}
	if s.pages, err = web.ParsePull(s.funcs()); err != nil {
		return nil, err
	}
	s.mux = s.routes()
	return s, nil
}

// checkBase holds the server's base to what can be put before a target.
func checkBase(base string) error {
	if !strings.HasPrefix(base, "/") || !strings.HasSuffix(base, "/") || strings.Contains(base, "//") || climbs(strings.TrimPrefix(base, "/")) != "" {
		return badSettings("the server's base "+quoted(base)+" is no path with a slash at both ends", nil)
	}
	for i := 0; i < len(base); i++ {
		if base[i] <= ' ' || base[i] > '~' || strings.IndexByte(`"'<>?#\`, base[i]) >= 0 {
			return badSettings("the server's base "+quoted(base)+" is no path", nil)
		}
	}
	return nil
}

// A handler answers one request, or returns why not.
type handler func(v *visit) error

// A visit is one request that may be answered.
type visit struct {
	s     *Server
	w     http.ResponseWriter
	r     *http.Request
	query Values // as those of a link
	names Values // the same, with white space as it is: names of files
	form  Values // of a POST
	nonce string // for the content policy
}

func (s *Server) routes() *http.ServeMux {
	m := http.NewServeMux()
	for pattern, h := range map[string]handler{
		"GET /{$}": (*visit).linkPage, "POST /begin": (*visit).begin, "GET /pull": (*visit).pullPage, "GET /events": (*visit).events, "GET /status": (*visit).status,
		"GET /report": (*visit).reportPage, "GET /file": (*visit).filePage, "POST /open": (*visit).open,
		"POST /reset": (*visit).reset, "POST /undo": (*visit).undo, "POST /restore": (*visit).restore, "POST /include": (*visit).include,
		"GET /api": (*visit).oldAPI, "/": (*visit).nowhere,
	} {
		m.Handle(pattern, s.answers(h))
	}
	m.Handle("GET /static/", http.StripPrefix("/", s.static))
	return m
}

// ServeHTTP answers one request. A neighbour on the computer who found the port
// gets nothing, not even a file.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for k, v := range web.Bare(false) {
		w.Header()[k] = v
	}
	if !s.c.Secret.IsZero() && !daypass.NewSecret(r.Header.Get(SecretHeader)).Equal(s.c.Secret) {
		http.Error(w, "This page is behind a Jupyter server. [DP-382]", http.StatusForbidden)
		return
	}
	defer func() {
		if v := recover(); v != nil {
			if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(v)
			}
			s.c.Log.Error("a request made the page stumble", "path", r.URL.Path, "what", fmt.Sprint(v))
			http.Error(w, "The page stumbled. Try again. [DP-389]", http.StatusInternalServerError)
		}
	}()
	s.mux.ServeHTTP(w, r)
}

// answers wraps a handler in what holds for all: where the request comes from, its
// size, and how an error is shown.
func (s *Server) answers(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := &visit{s: s, w: w, r: r}
		if err := v.run(h); err != nil {
			v.trouble(err)
		}
	})
}

func (v *visit) run(h handler) error {
	nonce, err := v.s.random(16)
	if err != nil {
		return err
	}
	v.nonce = nonce
	if v.s.c.Settings.Wrong != nil {
		return v.s.c.Settings.wrong()
	}
	if err := v.navigated(); err != nil {
		return err
	}
	v.r.URL.RawQuery = withoutToken(v.r.URL.RawQuery)
	if v.query, err = ReadQuery(v.r.URL.RawQuery); err != nil {
		return err
	}
	if v.names, err = readForm(v.r.URL.RawQuery, maxQuery); err != nil {
		return err
	}
	if v.r.Method == http.MethodPost {
		if err := v.readForm(); err != nil {
			return err
		}
	}
	return h(v)
}

// folder is the absolute path of one below the server's root.
func (s *Server) folder(rel string) string { return filepath.Join(s.c.Root, filepath.FromSlash(rel)) }
