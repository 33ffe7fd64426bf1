package snapshot

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/plumbing"
)

// Bounds of submodules: each costs a fetch, and they may hold one another.
const (
	maxSubmodules     = 50
	maxSubmoduleDepth = 4
)

// A module is one submodule that is to be fetched.
type module struct {
	at     string // its path from the top
	inside string // the path in its own parent
	commit plumbing.OID
	parent address
	tree   plumbing.OID // of its parent, where .gitmodules is
	depth  int
}

// submodules fetches each submodule as a snapshot of its own and puts its files in
// the place of its entry, as plain files. What cannot be had stays an entry, with the
// reason among what was left.
func (c *content) submodules(ctx context.Context, files []plumbing.File) ([]plumbing.File, error) {
	var out []plumbing.File
	todo := modules(files, "", c.at, c.s.Tree, 1, &out)
	folder, _ := cleanFolder(c.ask.Path)
	for n := 0; len(todo) > 0; n++ {
		m := todo[0]
		todo = todo[1:]
		entry := plumbing.File{Path: m.at, Mode: plumbing.Gitlink, OID: m.commit}
		if !under(m.at, folder) && !under(folder, m.at) {
			out = append(out, entry)
			continue
		}
		at, tree, why := c.module(ctx, m, n)
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		if why != "" {
			c.s.Rest = append(c.s.Rest, entry)
			c.s.Left = append(c.s.Left, Left{Path: m.at, Why: why})
			continue
		}
		inner, err := c.objects.FilesUpTo(tree, c.g.walkLimit())
		if errors.Is(err, plumbing.ErrTooMany) || len(out)+len(inner) > c.g.walkLimit() {
			return nil, tooLarge(c.at, "there is no end of the files of its submodules")
		} else if err != nil {
			return nil, err
		}
		todo = append(todo, modules(inner, m.at+"/", at, tree, m.depth+1, &out)...)
	}
	return out, nil
}

// modules moves files to out, below a prefix, and returns the submodules among them.
func modules(files []plumbing.File, prefix string, at address, tree plumbing.OID, depth int, out *[]plumbing.File) []module {
	var found []module
	for _, f := range files {
		if f.Mode == plumbing.Gitlink {
			found = append(found, module{at: prefix + f.Path, inside: f.Path, commit: f.OID, parent: at, tree: tree, depth: depth})
			continue
		}
		f.Path = prefix + f.Path
		*out = append(*out, f)
	}
	return found
}

// module fetches the nth submodule, or says why not.
func (c *content) module(ctx context.Context, m module, n int) (address, plumbing.OID, string) {
	no := func(why string) (address, plumbing.OID, string) { return address{}, "", "a submodule: " + why }
	if n >= maxSubmodules || m.depth > maxSubmoduleDepth {
		return no("there are too many of them")
	}
	if len(m.commit) != len(c.s.Commit) {
		return no("it is in another object format")
	}
	text, err := c.moduleURL(ctx, m)
	if err != nil || text == "" {
		return no("nothing says where it comes from")
	}
	at, p := parseAddress(resolveURL(m.parent, text), c.g.Git.Protocols)
	if p != nil {
		return no(strings.TrimSuffix(p.What, "."))
	}
	// A source may not send git to this machine's own folders or keys.
	if at.scheme != "https" && at.scheme != c.at.scheme {
		return no("it comes by " + at.scheme)
	}
	f := c.fetch
	f.at, f.depth, f.ref = at, 1, fmt.Sprintf("refs/daypass/submodule/%d", n)
	if at.secret.IsZero() && at.origin == c.at.origin {
		f.at.secret = c.at.secret
	}
	if spent := c.g.Limits.Total; spent >= 0 {
		f.g.Limits.Total = max(spent-c.spent, 0)
	}
	before := packs(c.repo)
	if err := f.run(ctx, string(m.commit)); err != nil {
		return no(reason(err))
	}
	for name, size := range packs(c.repo) {
		if _, old := before[name]; !old {
			c.spent += size
		}
	}
	commit, err := c.objects.Commit(m.commit)
	if err != nil {
		return no("its commit makes no sense")
	}
	return at, commit.Tree, ""
}

// reason is a problem without the advice, which is for who asked for the whole.
func reason(err error) string {
	var p *daypass.Problem
	if !errors.As(err, &p) {
		return shown(Redact(err.Error()))
	}
	if p.Why == "" {
		return p.What
	}
	return p.What + " (" + p.Why + ")"
}

// moduleURL looks a submodule's address up in its parent's .gitmodules. git reads the
// file, from an object of ours and without following includes.
func (c *content) moduleURL(ctx context.Context, m module) (string, error) {
	entries, err := c.objects.Tree(m.tree)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if e.Name != ".gitmodules" || e.Mode != plumbing.Regular && e.Mode != plumbing.Executable {
			continue
		}
		out, err := c.repo.Command(ctx, "config", "--no-includes", "--blob", string(e.OID), "-z", "--list").Output()
		if err != nil {
			return "", err
		}
		return moduleURL(string(out), m.inside), nil
	}
	return "", nil
}

// moduleURL reads "submodule.NAME.path\nVALUE\0" and the like.
func moduleURL(list, inside string) string {
	urls, name := map[string]string{}, ""
	for item := range strings.SplitSeq(list, "\x00") {
		key, value, _ := strings.Cut(item, "\n")
		rest, ok := strings.CutPrefix(key, "submodule.")
		if !ok {
			continue
		}
		switch {
		case strings.HasSuffix(rest, ".path") && path.Clean(value) == inside:
			name = strings.TrimSuffix(rest, ".path")
		case strings.HasSuffix(rest, ".url"):
			urls[strings.TrimSuffix(rest, ".url")] = value
		}
	}
	if name == "" {
		return ""
	}
	return urls[name]
}

// resolveURL reads a submodule's address relative to its parent's, as git submodule
// does: "../lib" beside https://host/org/course is https://host/org/lib.
func resolveURL(parent address, text string) string {
	if !strings.HasPrefix(text, "./") && !strings.HasPrefix(text, "../") {
		return text
	}
	if u, err := url.Parse(parent.url); err == nil && u.Scheme != "" && u.Host != "" {
		u.Path, u.RawPath = path.Join("/", strings.TrimSuffix(u.Path, "/"), text), ""
		return u.String()
	}
	if parent.scheme == "file" {
		return path.Join(parent.path, text)
	}
	host, p, ok := strings.Cut(parent.url, ":")
	if !ok {
		return ""
	}
	return host + ":" + strings.TrimPrefix(path.Join("/", strings.TrimSuffix(p, "/"), text), "/")
}
