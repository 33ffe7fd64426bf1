package gitconf

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The scopes of configuration, as git-config(1) --show-scope names them.
const (
	ScopeSystem   = "system"
	ScopeGlobal   = "global"
	ScopeLocal    = "local"
	ScopeWorktree = "worktree"
	ScopeCommand  = "command"
)

// An Entry is one line of git's effective configuration.
type Entry struct {
	Scope string
	File  string // absolute; "" for what the environment carries
	Key   string // section and key in lower case, the part between as written
	value string
	has   bool
}

// Reveal returns the value, which may hold a secret.
func (e Entry) Reveal() string { return e.value }

// String returns "key=value" with secrets hidden.
func (e Entry) String() string { return printable(Redact(e.Key + "=" + e.value)) }

// GoString is String, so that no verb of fmt shows a secret.
func (e Entry) GoString() string { return e.String() }

// parts splits a key into section, subsection and name.
func (e Entry) parts() (section, sub, name string) {
	first, last := strings.IndexByte(e.Key, '.'), strings.LastIndexByte(e.Key, '.')
	if first < 0 {
		return e.Key, "", ""
	}
	if first == last {
		return e.Key[:first], "", e.Key[last+1:]
	}
	return e.Key[:first], e.Key[first+1 : last], e.Key[last+1:]
}

// Subsection returns what stands between the key's section and its name, such
// as the URL of credential.URL.helper.
func (e Entry) Subsection() string { _, s, _ := e.parts(); return s }

// List returns git's configuration in the order in which git reads it. With dir
// "" it is the system's and the user's; otherwise what holds in that directory,
// with its repository's own.
func (g Git) List(ctx context.Context, dir string) ([]Entry, error) {
	args := []string{"config", "--list", "-z", "--show-origin", "--show-scope"}
	out, err := g.run(ctx, job{dir: dir, env: g.commandEnviron(), args: args})
	scoped := true
	if exitCode(err) == 129 { // git before 2.26 has no --show-scope
		scoped = false
		out, err = g.run(ctx, job{dir: dir, env: g.commandEnviron(), args: args[:len(args)-1]})
	}
	if err != nil {
		return nil, fmt.Errorf("list git's configuration: %w", err)
	}
	fields := splitList(out)
	step := 2
	if scoped {
		step = 3
	}
	var list []Entry
	for ; len(fields) >= step; fields = fields[step:] {
		f := fields[:step]
		e := Entry{}
		if scoped {
			e.Scope, f = f[0], f[1:]
		}
		if file, ok := strings.CutPrefix(f[0], "file:"); ok {
			if !filepath.IsAbs(file) && dir != "" {
				file = filepath.Join(dir, file)
			}
			e.File = file
		}
		if !scoped {
			e.Scope = g.scopeOf(ctx, e.File)
		}
		e.Key, e.value, e.has = strings.Cut(f[1], "\n")
		list = append(list, e)
	}
	return list, nil
}

// scopeOf guesses for old gits; a file that another one includes counts as
// local, the scope that is trusted least.
func (g Git) scopeOf(ctx context.Context, file string) string {
	if file == "" {
		return ScopeCommand
	}
	if system, err := g.SystemFile(ctx); err == nil && file == system {
		return ScopeSystem
	}
	home, xdg := g.getenv("HOME"), g.getenv("XDG_CONFIG_HOME")
	if xdg == "" {
		xdg = filepath.Join(home, ".config")
	}
	if file == filepath.Join(home, ".gitconfig") || file == filepath.Join(xdg, "git", "config") || file == g.getenv("GIT_CONFIG_GLOBAL") {
		return ScopeGlobal
	}
	return ScopeLocal
}

// The kinds of helpers.
const (
	KindDaypass = "daypass" // git-credential-daypass, wherever it is installed
	KindStore   = "store"   // keeps tokens in a file in plain text
	KindCache   = "cache"   // keeps them in memory
	KindOther   = "other"
)

// A Helper is one credential.helper that applies to a URL.
type Helper struct {
	Value    string // as configured, with secrets hidden
	Kind     string
	File     string // where it is configured; "" for the environment
	Scope    string
	Section  string // the URL of its section; "" for [credential]
	Silenced bool   // an empty entry read later makes git forget it

	raw, path string // path: what git runs, as far as that can be told
}

// StoreFile returns the file that a helper of kind "store" is told to use, and
// "" when it uses its own.
func (h Helper) StoreFile() string {
	words := shellWords(h.raw)
	for i, w := range words {
		if f, ok := strings.CutPrefix(w, "--file="); ok {
			return f
		}
		if w == "--file" && i+1 < len(words) {
			return words[i+1]
		}
	}
	return ""
}

func (h Helper) runs(path string) bool {
	return path != "" && h.path != "" && (h.path == path || sameFile(h.path, path))
}

// String names the helper and where it is configured.
func (h Helper) String() string {
	where := printable(h.File)
	if where == "" {
		where = "the environment"
	}
	return h.Value + " (" + where + ")"
}

// GoString is String, so that no verb of fmt shows a secret.
func (h Helper) GoString() string { return h.String() }

// Helpers returns the helpers that git knows for rawURL, in the order in which
// it asks them, with git's rules (gitcredentials(7), CONFIGURATION OPTIONS):
// files in reading order, sections whose URL matches, an empty entry forgets
// those before. With dir the repository there has its say too.
func (g Git) Helpers(ctx context.Context, dir, rawURL string) ([]Helper, error) {
	want, err := parseURL(rawURL)
	if err != nil {
		return nil, err
	}
	list, err := g.List(ctx, dir)
	if err != nil {
		return nil, err
	}
	var out []Helper
	for _, e := range list {
		section, sub, name := e.parts()
		if section != "credential" || name != "helper" || strings.Contains(e.Key, ".") && sub != "" && !want.matches(sub) {
			continue
		}
		if e.value == "" {
			for i := range out {
				out[i].Silenced = true
			}
			continue
		}
		out = append(out, g.helper(e, sub))
	}
	return out, nil
}

func (g Git) helper(e Entry, sub string) Helper {
	h := Helper{Value: printable(Redact(e.value)), Kind: KindOther, File: e.File, Scope: e.Scope, Section: printable(Redact(sub)), raw: e.value}
	words := shellWords(e.value)
	if snippet, ok := strings.CutPrefix(e.value, "!"); ok {
		// Only the very line that setup writes is ours: any other variable or
		// command beside the helper could change what it does.
		words = shellWords(strings.TrimPrefix(snippet, oneProcessor))
		if len(words) != 1 || !filepath.IsAbs(words[0]) || !plain(words[0]) || strings.TrimPrefix(snippet, oneProcessor) != quoteShell(words[0]) {
			return h
		}
	}
	if len(words) == 0 {
		return h
	}
	name := words[0]
	if filepath.IsAbs(name) {
		h.path = name
		name = strings.TrimPrefix(filepath.Base(name), "git-credential-")
	} else {
		h.path = g.lookHelper(name)
	}
	switch name {
	case KindDaypass, KindStore, KindCache:
		h.Kind = name
	}
	return h
}

// lookHelper finds what `git credential-NAME` runs. git looks in its own folder
// first, where daypass is not.
func (g Git) lookHelper(name string) string {
	if strings.ContainsRune(name, '/') {
		return ""
	}
	for _, dir := range filepath.SplitList(g.getenv("PATH")) {
		if p := filepath.Join(dir, "git-credential-"+name); filepath.IsAbs(p) && executable(p) {
			return p
		}
	}
	return ""
}

func sameFile(a, b string) bool {
	fa, err := os.Stat(a)
	if err != nil {
		return false
	}
	fb, err := os.Stat(b)
	return err == nil && os.SameFile(fa, fb)
}

// Asked tells how git would ask for a URL.
type Asked struct {
	First    bool     // the helper is the first that git asks
	Any      bool     // git asks it at all
	HTTPPath bool     // git tells it the repository, not only the host
	Others   []Helper // the other helpers that git asks; they see the tokens
}

// Asks tells whether and how git asks helper, an absolute path, for rawURL.
func (g Git) Asks(ctx context.Context, dir, rawURL, helper string) (Asked, error) {
	list, err := g.Helpers(ctx, dir, rawURL)
	if err != nil {
		return Asked{}, err
	}
	var out Asked
	for _, h := range list {
		switch {
		case h.Silenced:
		case h.runs(helper):
			out.First = out.First || !out.Any && len(out.Others) == 0
			out.Any = true
		default:
			out.Others = append(out.Others, h)
		}
	}
	out.HTTPPath, err = g.httpPath(ctx, dir, rawURL)
	return out, err
}

// httpPath reads credential.useHttpPath for a URL; the last one that matches
// counts, whatever its section's length.
func (g Git) httpPath(ctx context.Context, dir, rawURL string) (bool, error) {
	want, err := parseURL(rawURL)
	if err != nil {
		return false, err
	}
	list, err := g.List(ctx, dir)
	if err != nil {
		return false, err
	}
	on := false
	for _, e := range list {
		section, sub, name := e.parts()
		if section == "credential" && name == "usehttppath" && (sub == "" || want.matches(sub)) {
			on = !e.has || truth(e.value)
		}
	}
	return on, nil
}

// truth reads a boolean as git-config(1), VALUES, has it.
func truth(s string) bool {
	return slices.Contains([]string{"true", "yes", "on"}, strings.ToLower(s)) || strings.Trim(s, "0") != "" && strings.Trim(s, "0123456789") == ""
}

var errURL = errors.New("not a URL that git asks credentials for")

// shellWords splits s as sh does where there is nothing but words and quotes,
// which is what helpers are; on anything else it does its best.
func shellWords(s string) []string {
	var out []string
	var word strings.Builder
	in, quote := false, byte(0)
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case quote == '\'' && c != '\'', quote == '"' && c != '"' && c != '\\':
			word.WriteByte(c)
		case c == '\\' && i+1 < len(s):
			i++
			word.WriteByte(s[i])
			in = true
		case quote != 0 && c == quote:
			quote = 0
		case c == '\'' || c == '"':
			quote, in = c, true
		case c == ' ' || c == '\t' || c == '\n':
			if in {
				out = append(out, word.String())
				word.Reset()
			}
			in = false
		default:
			word.WriteByte(c)
			in = true
		}
	}
	if in {
		out = append(out, word.String())
	}
	return out
}

// ParseHelper reads the value of one credential.helper.
func ParseHelper(e Entry) Helper { return Git{}.helper(e, e.Subsection()) }
