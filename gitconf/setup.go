package gitconf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/daypass-dev/daypass"
)

// A Request is what setup is asked to add for one host.
type Request struct {
	Origin string       // "https://HOST[:PORT]"; "http://" for loopback addresses only
	Repo   daypass.Repo // when named, only this repository's URLs get the helper
	Helper string       // absolute path of git-credential-daypass
	System bool         // git's system file instead of the user's

	// KeepHelpers leaves out the empty entry that makes git forget the helpers
	// configured before. Those then see each token that daypass gives.
	KeepHelpers bool

	SSH bool // rewrite the host's ssh remotes to https

	// Set only where git has no value, or an empty one.
	UserName, UserEmail string
	PushDefault         bool // push.default=simple
}

// A Change is what setup did, or would do.
type Change struct {
	File     string   // the file, links resolved
	Added    string   // the text added; empty when there was nothing to do
	Replaced bool     // a block that an earlier setup had added gave way
	Silenced []Helper // asked for the host until now, and no longer
	Others   []Helper // still asked: they see each token that daypass gives
}

// A Setup adds blocks to git's configuration and takes them away again.
type Setup struct {
	Git Git

	// Record is the file that remembers what was added: "" means
	// $XDG_STATE_HOME/daypass/setup.json for the user's file, and
	// /var/lib/daypass/setup.json for the system's. It holds no secrets.
	Record string

	Now func() time.Time // nil means time.Now
}

// Plan returns what Apply would do, and writes nothing.
func (s Setup) Plan(ctx context.Context, r Request) (Change, error) {
	return s.setup(ctx, r, false)
}

// Apply adds what the request asks for as the last section of the file, under
// git's lock, and remembers it. The last section, since git asks helpers in the
// order of the file: a generic helper that stood below the empty entry would be
// asked too. Applying twice is applying once; a request with another helper, or
// other choices, replaces the block of the same host and repository.
func (s Setup) Apply(ctx context.Context, r Request) (Change, error) {
	return s.setup(ctx, r, true)
}

func (s Setup) setup(ctx context.Context, r Request, write bool) (Change, error) {
	if err := r.check(); err != nil {
		return Change{}, err
	}
	file, err := s.target(ctx, r.System)
	if err != nil {
		return Change{}, err
	}
	before, err := s.Git.Helpers(ctx, "", r.urls()[0])
	if err != nil {
		return Change{}, err
	}
	rec, unlock, err := s.openRecord(r.System, write)
	if err != nil {
		return Change{}, err
	}
	defer unlock()
	e := &edit{git: s.Git, file: file, write: write}
	if err := e.open(ctx); err != nil {
		return Change{}, err
	}
	defer e.close()
	out := Change{File: e.file}
	out.Silenced, out.Others = outcome(before, r)
	blocks, err := s.blocks(ctx, r)
	if err != nil {
		return Change{}, err
	}
	fr := rec.file(e.file)
	for _, b := range blocks {
		if b.Key != identityKey && intact(e.text, fr, b) && len(out.Silenced) == 0 {
			continue
		}
		if b.Key != identityKey && fr.find(b.Key) != nil {
			out.Replaced = true
			if _, err := e.cut(ctx, fr, b.Key); err != nil {
				return Change{}, err
			}
		}
		if err := e.append(ctx, fr, b); err != nil {
			return Change{}, err
		}
		out.Added += b.Text
	}
	if out.Added == "" || !write {
		return out, nil
	}
	return out, rec.saveWith(e.commit)
}

// outcome tells which of the helpers that git asks now it will no longer ask,
// and which it will.
func outcome(before []Helper, r Request) (silenced, others []Helper) {
	for _, h := range before {
		if h.Silenced || h.runs(r.Helper) {
			continue
		}
		// A system file's block is read before the user's.
		above := h.Scope == ScopeSystem || h.Scope == ScopeGlobal && !r.System
		if above && !r.KeepHelpers {
			silenced = append(silenced, h)
		} else {
			others = append(others, h)
		}
	}
	return silenced, others
}

// blocks returns what the request adds: what git lacks to know of the person,
// and the host's own block.
func (s Setup) blocks(ctx context.Context, r Request) ([]block, error) {
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	identity, err := s.identity(ctx, r)
	if err != nil {
		return nil, err
	}
	var out []block
	if len(identity) > 0 {
		out = append(out, block{Key: identityKey, At: now().UTC(), entries: identity})
	}
	out = append(out, block{Key: r.key(), At: now().UTC(), entries: r.settings()})
	for i := range out {
		text, err := s.Git.render(ctx, out[i].entries)
		if err != nil {
			return nil, err
		}
		out[i].Text = string(text)
	}
	return out, nil
}

// intact reports whether the file has the block as it should be. A block
// without a record may be the user's own, or one whose record was lost: it is
// not added a second time, and undo leaves it alone.
func intact(text []byte, fr *fileRecord, b block) bool {
	have := fr.find(b.Key)
	return bytes.Contains(text, []byte(b.Text)) && (have == nil || have.Text == b.Text)
}

func (s Setup) target(ctx context.Context, system bool) (string, error) {
	var file string
	var err error
	if system {
		file, err = s.Git.SystemFile(ctx)
	} else {
		file, err = s.Git.GlobalFile()
	}
	if err != nil {
		return "", err
	}
	return resolveLink(file)
}

// A setting is one line of configuration.
type setting struct{ key, value string }

const identityKey = "identity"

// identity returns the settings of a person that git lacks.
func (s Setup) identity(ctx context.Context, r Request) ([]setting, error) {
	var out []setting
	for _, want := range []setting{{"user.name", r.UserName}, {"user.email", r.UserEmail}, {"push.default", ""}} {
		if want.key == "push.default" && r.PushDefault {
			want.value = "simple"
		}
		if want.value == "" {
			continue
		}
		have, err := s.Git.Get(ctx, want.key)
		if err != nil {
			return nil, err
		}
		if have == "" {
			out = append(out, want)
		}
	}
	return out, nil
}

// Get returns the last value of a key in the system's and the user's files, and
// "" where there is none.
func (g Git) Get(ctx context.Context, key string) (string, error) {
	out, err := g.run(ctx, job{args: []string{"config", "-z", "--get", key}})
	if exitCode(err) == 1 {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read %s: %w", key, err)
	}
	return strings.TrimSuffix(string(out), "\x00"), nil
}

// key names the block in the record.
func (r Request) key() string { return r.urls()[0] }

// urls returns the sections of [credential]. A section for OWNER/NAME does not
// match OWNER/NAME.git: paths match by whole components (gitcredentials(7)).
func (r Request) urls() []string {
	if r.Repo.String() == "" {
		return []string{r.Origin}
	}
	base := r.Origin + "/" + r.Repo.String()
	return []string{base, base + ".git"}
}

func (r Request) settings() []setting {
	var out []setting
	for _, u := range r.urls() {
		section := "credential." + u
		if !r.KeepHelpers {
			out = append(out, setting{section + ".helper", ""})
		}
		out = append(out, setting{section + ".helper", HelperLine(r.Helper)}, setting{section + ".useHttpPath", "true"})
	}
	if r.SSH {
		u, _ := url.Parse(r.Origin)
		// With the slash, so that nothing but this host matches; without
		// a user, so that git asks the helper.
		section := "url." + r.Origin + "/.insteadOf"
		out = append(out, setting{section, "git@" + u.Hostname() + ":"}, setting{section, "ssh://git@" + u.Hostname() + "/"})
	}
	return out
}

// HelperLine is the value of credential.helper that makes git run the helper at
// path, an absolute one. git hands every helper that is not a plain word to the
// shell (gitcredentials(7)), so that the variable costs no process; with one
// processor Go's runtime starts no further threads, a tenth of the helper's start
// (doc/adr/0009).
func HelperLine(path string) string { return "!" + oneProcessor + quoteShell(path) }

const oneProcessor = "GOMAXPROCS=1 "

func (r Request) check() error {
	wrong := func(why, next string) error {
		return &daypass.Problem{Code: "DP-706", What: "git cannot be set up", Why: why, Next: next, Kind: daypass.ErrUsage}
	}
	if err := checkOrigin(r.Origin); err != nil {
		return wrong(err.Error(), "Name the host as https://HOST or https://HOST:PORT.")
	}
	if !filepath.IsAbs(r.Helper) || filepath.Clean(r.Helper) != r.Helper {
		return wrong("the helper's path is not absolute", "Call daypass by its whole path.")
	}
	if !plain(r.Helper) {
		return wrong("the helper's path has control characters", "Install daypass in a folder with a plain name.")
	}
	if !plain(r.UserName) || !plain(r.UserEmail) {
		return wrong("the name or the address has control characters", "Set user.name and user.email with git config.")
	}
	if r.Repo != (daypass.Repo{}) {
		if _, ok := daypass.ParseRepo(r.Repo.String()); !ok {
			return wrong("the repository has no plain name", "Name it as OWNER/NAME.")
		}
		if r.SSH {
			return wrong("ssh remotes are rewritten for a whole host only", "Leave the repository out, or --ssh.")
		}
	}
	return nil
}

// checkOrigin takes what a section's name can hold and matches exactly.
func checkOrigin(origin string) error {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || u.Scheme+"://"+u.Host != origin {
		return errors.New("the host is not an origin")
	}
	for _, c := range u.Host {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.ContainsRune(".-:[]", c)) {
			return errors.New("the host's name has letters that a host's name cannot have")
		}
	}
	switch {
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	}
	return errors.New("only https hosts get tokens, and loopback addresses by http")
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func plain(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == 0x2028 || r == 0x2029 }) < 0
}

// render lets git write the settings into an empty file, so that git's own
// quoting is used.
func (g Git) render(ctx context.Context, entries []setting) ([]byte, error) {
	dir, err := os.MkdirTemp(g.getenv("TMPDIR"), "daypass-setup-")
	if err != nil {
		return nil, fmt.Errorf("make a temporary folder: %w", err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "config")
	for _, e := range entries {
		if _, err := g.run(ctx, job{args: []string{"config", "--file", file, "--add", e.key, e.value}}); err != nil {
			return nil, fmt.Errorf("write %s: %w", e.key, err)
		}
	}
	return os.ReadFile(file)
}

// MoveLast puts the blocks that setup added at the end of their files again, so
// that helpers which were added below them are forgotten too. It returns the
// files that changed.
func (s Setup) MoveLast(ctx context.Context, system bool) ([]string, error) {
	rec, unlock, err := s.openRecord(system, true)
	if err != nil {
		return nil, err
	}
	defer unlock()
	var changed []string
	for _, fr := range rec.Files {
		did, err := s.moveLast(ctx, rec, fr)
		if err != nil {
			return changed, err
		}
		if did {
			changed = append(changed, fr.Path)
		}
	}
	return changed, nil
}

func (s Setup) moveLast(ctx context.Context, rec *record, fr *fileRecord) (bool, error) {
	var all string
	for i, b := range fr.Blocks {
		if i > 0 {
			all += b.Glue
		}
		all += b.Text
	}
	e := &edit{git: s.Git, file: fr.Path, write: true}
	if err := e.open(ctx); err != nil {
		return false, err
	}
	defer e.close()
	if bytes.HasSuffix(e.text, []byte(all)) {
		return false, nil
	}
	for _, b := range slices.Clone(fr.Blocks) {
		if _, err := e.cut(ctx, fr, b.Key); err != nil {
			return false, err
		}
		b.Glue, b.Head = "", ""
		if err := e.append(ctx, fr, b); err != nil {
			return false, err
		}
	}
	return true, rec.saveWith(e.commit)
}
