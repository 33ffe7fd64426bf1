package pullpage

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/pull"
)

// world is a page with a stand-in for pulls.
type world struct {
	t    *testing.T
	s    *Server
	root string

	mu       sync.Mutex
	now      time.Time
	runs     []Request
	deeds    []string
	states   map[string]pull.State
	backups  []pull.Backup
	upstream map[string]string
	run      func(ctx context.Context, r Request, told func(pull.Event)) (pull.Report, error)
	running  map[string]Request
	links    map[string]Told
	asked    []string // of the access service
	noLink   error
}

func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	w := &world{
		t: t, root: t.TempDir(), now: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC), states: map[string]pull.State{}, upstream: map[string]string{}, running: map[string]Request{}, links: map[string]Told{},
		run: func(_ context.Context, r Request, told func(pull.Event)) (pull.Report, error) {
			told(pull.Event{Phase: pull.Fetching, Bytes: 10, BytesTotal: 20})
			return pull.Report{Folder: r.Folder, Source: r.Repo, Fresh: true, New: strings.Repeat("1", 40), Changes: []pull.Change{{Path: "index.ipynb", What: pull.Came, Kind: "notebook"}}}, nil
		},
	}
	c := Config{
		Settings: Settings{Program: "/usr/bin/daypass", Home: w.root, State: t.TempDir(), Version: "1.2.3"}, Base: "/user/ada/", Name: NamePull, Root: w.root,
		Run: w.pull, Link: w.link, Running: func(folder string) (Request, bool) {
			w.mu.Lock()
			defer w.mu.Unlock()
			r, ok := w.running[folder]
			return r, ok
		},
		State: func(folder string) (pull.State, bool, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			st, ok := w.states[folder]
			return st, ok, nil
		},
		Backups: func(context.Context, string) ([]pull.Backup, error) { return w.backups, nil },
		Undo: func(_ context.Context, folder string) (pull.Report, error) {
			return w.did("undo %s", folder)
		},
		Reset: func(_ context.Context, folder, file string) (pull.Report, error) {
			return w.did("reset %s %s", folder, file)
		},
		Restore: func(_ context.Context, folder, id, file string) (pull.Report, error) {
			return w.did("restore %s %s %s", folder, id, file)
		},
		Upstream: func(_ context.Context, _, file string, out io.Writer) error {
			text, ok := w.upstream[file]
			if !ok {
				return errors.New("no such file")
			}
			_, err := io.WriteString(out, text)
			return err
		},
		Now: func() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now }, Random: rand.Reader, Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&c)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	s, err := New(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	w.s = s
	return w
}

// link is what the access service says.
func (w *world) link(_ context.Context, name string) (Told, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, name)
	t, ok := w.links[name]
	if !ok {
		return Told{}, w.noLink
	}
	return t, nil
}

func (w *world) did(format string, args ...any) (pull.Report, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deeds = append(w.deeds, strings.ReplaceAll(fmt.Sprintf(format, args...), w.root+"/", ""))
	return pull.Report{Folder: args[0].(string), Changes: []pull.Change{{Path: "a.txt", What: pull.Restored}}}, nil
}

func (w *world) done() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string{}, w.deeds...)
}

func (w *world) pulled() []Request {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Request{}, w.runs...)
}

// pull runs the stand-in, and keeps a state as a pull does.
func (w *world) pull(ctx context.Context, r Request, told func(pull.Event)) (pull.Report, error) {
	w.mu.Lock()
	w.runs = append(w.runs, r)
	run := w.run
	w.mu.Unlock()
	rep, err := run(ctx, r, told)
	if err == nil {
		if rep.Fresh {
			if e := errors.Join(os.MkdirAll(r.Folder, 0o755), os.WriteFile(filepath.Join(r.Folder, "index.ipynb"), []byte("{}"), 0o644)); e != nil {
				return rep, e
			}
		}
		w.mu.Lock()
		st := pull.State{Folder: r.Folder, Source: r.Repo, Ref: r.Ref, Commit: rep.New, At: w.now, Last: rep}
		if told, ok := w.links[strings.TrimPrefix(r.Repo, linkPrefix)]; ok {
			st.Via, st.Source, st.Content = r.Repo, told.Source, true
		}
		w.states[r.Folder] = st
		w.mu.Unlock()
	}
	return rep, err
}

const lab3 = "repo=https%3A%2F%2Fgithub.com%2Forg%2Flab-3&branch=main&urlpath=lab%2Ftree%2Flab-3%2Findex.ipynb"

// get is what a browser does that follows a link.
func (w *world) get(path string, header ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Host = "hub.example.org"
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	return w.send(r, header)
}

// post is what a form of ours does.
func (w *world) post(path string, form url.Values, header ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Host = "hub.example.org"
	for k, v := range map[string]string{"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Origin": "https://hub.example.org", "Content-Type": "application/x-www-form-urlencoded"} {
		r.Header.Set(k, v)
	}
	return w.send(r, header)
}

func (w *world) send(r *http.Request, header []string) *httptest.ResponseRecorder {
	for i := 0; i+1 < len(header); i += 2 {
		if header[i+1] == "" {
			r.Header.Del(header[i])
		} else {
			r.Header.Set(header[i], header[i+1])
		}
	}
	rec := httptest.NewRecorder()
	w.s.ServeHTTP(rec, r)
	return rec
}

// form reads the fields of the form that leads to an action.
func form(t *testing.T, page, action string) url.Values {
	t.Helper()
	_, rest, ok := strings.Cut(page, `action="`+action+`"`)
	if !ok {
		t.Fatalf("no form for %s:\n%s", action, page)
	}
	rest, _, _ = strings.Cut(rest, "</form>")
	v := url.Values{}
	for _, m := range regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`).FindAllStringSubmatch(rest, -1) {
		v.Set(m[1], unhtml(m[2]))
	}
	return v
}

func unhtml(s string) string {
	return strings.NewReplacer("&amp;", "&", "&#43;", "+", "&#34;", `"`, "&#39;", "'", "&lt;", "<", "&gt;", ">").Replace(s)
}

// click follows a link to its end, without script.
func (w *world) click(query string) *httptest.ResponseRecorder {
	w.t.Helper()
	page := w.get("/?" + query)
	if page.Code != http.StatusOK {
		w.t.Fatalf("the link's page: %d %s", page.Code, page.Body)
	}
	sent := w.post("/begin", form(w.t, page.Body.String(), "begin"))
	if sent.Code != http.StatusSeeOther {
		w.t.Fatalf("begin: %d %s", sent.Code, sent.Body)
	}
	return w.get("/" + sent.Header().Get("Location"))
}
