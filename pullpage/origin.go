package pullpage

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pull"
	"github.com/daypass-dev/daypass/resolve"
)

// An Origin is where content comes from, for people and for the list of owners. It is
// read from the very address that git is given.
type Origin struct {
	Scheme string // "https", "ssh", "http", "git"; "" for a folder of this computer
	Host   string // "github.com", "git.example.edu:8443"; "" for a folder of this computer
	Owner  string // "ORG", "group/sub"; may be empty
	Name   string // of the repository, without ".git"
	Ref    string // that the address itself names: .../tree/main

	url      string   // that git is given
	folder   string   // that nbgitpuller would make
	proposed bool     // the address itself is of a proposed change or a bare commit
	also     []Origin // what else the address may mean, where only its host can tell
}

// String is how the origin is called: "github.com/ORG/lab-3".
func (o Origin) String() string {
	if o.Host == "" {
		return o.Name
	}
	return o.Whose() + "/" + o.Name
}

// Whose is the origin's owner: "github.com/ORG".
func (o Origin) Whose() string {
	switch {
	case o.Host == "":
		return "this computer"
	case o.Owner == "":
		return o.Host
	}
	return o.Host + "/" + o.Owner
}

// Same reports whether both belong to the same owner.
func (o Origin) Same(p Origin) bool {
	if slices.ContainsFunc(o.also, func(o Origin) bool { return !o.Same(p) }) {
		return false
	}
	if o.Host == "" || p.Host == "" {
		return o.Host == p.Host && o.Name == p.Name
	}
	return o.Host == p.Host && daypass.FoldASCII(o.Owner) == daypass.FoldASCII(p.Owner)
}

// Open reports whether anybody on the way can change what comes: the address is
// neither encrypted nor of this computer.
func (o Origin) Open() bool {
	if o.Scheme != "http" && o.Scheme != "git" {
		return false
	}
	return !loopback(o.Host)
}

// proposed reports whether a ref is none that only the repository's owner makes.
// Branches and tags are; a commit by its number may be of any fork.
func proposed(ref string) bool {
	for _, p := range []string{"refs/heads/", "refs/tags/"} {
		if strings.HasPrefix(ref, p) {
			return false
		}
	}
	return strings.HasPrefix(ref, "refs/") || bareCommit(ref)
}

func bareCommit(ref string) bool {
	if len(ref) != 40 && len(ref) != 64 {
		return false
	}
	for i := range len(ref) {
		if !isHex(ref[i]) {
			return false
		}
	}
	return true
}

// readOrigin reads where a repository is: as [resolve.Parse] does, and so the pull. What
// two programs could read in two ways is an error.
func readOrigin(repo string) (Origin, error) {
	if err := checkAddress(repo); err != nil {
		return Origin{}, err
	}
	readings, err := resolve.Parse(repo)
	if err != nil {
		var p *daypass.Problem
		if errors.As(err, &p) {
			return Origin{}, badLink(strings.Join(slices.DeleteFunc([]string{p.What, p.Why}, func(s string) bool { return s == "" }), ": "))
		}
		return Origin{}, badLink("what it names as repository is no address")
	}
	var out Origin
	for i, g := range readings {
		o, err := originOf(g)
		switch {
		case err != nil:
			return Origin{}, err
		case i == 0:
			out = o
		case o.String() != out.String():
			out.also = append(out.also, o)
		}
		out.proposed = out.proposed || o.proposed
	}
	if out.folder == "" {
		trimmed := strings.TrimRight(repo, "/")
		out.folder = trimmed[strings.LastIndexByte(trimmed, '/')+1:]
	}
	return out, nil
}

// originOf is the origin of one reading.
func originOf(g resolve.Git) (Origin, error) {
	o := Origin{url: g.URL, Ref: g.Ref, proposed: g.Pull != 0 || proposed(g.Ref)}
	if g.Ref != "" || g.Path != "" || g.Pull != 0 {
		o.folder = resolve.Name(g.URL)
	}
	if g.Kind == "path" {
		o.Name = strings.TrimPrefix(g.URL, "file://")
		if slices.Contains(strings.Split(o.Name, "/"), "..") {
			return o, badLink("the folder that it names leads upwards")
		}
		return o, nil
	}
	where := ""
	if scheme, _, ok := strings.Cut(g.URL, "://"); ok {
		u, err := url.Parse(g.URL)
		if err != nil || u.Host == "" {
			return o, badLink("what it names as repository is no address")
		}
		for _, hidden := range []string{"%2f", "%5c", "%2e", "%25"} {
			if strings.Contains(strings.ToLower(u.EscapedPath()), hidden) {
				return o, badLink("the address of its repository can be read in two ways")
			}
		}
		o.Scheme, o.Host, where = scheme, strings.ToLower(u.Host), u.Path
	} else {
		host, path, _ := strings.Cut(g.URL, ":")
		o.Scheme, o.Host, where = "ssh", strings.ToLower(host[strings.LastIndexByte(host, '@')+1:]), path
	}
	where = strings.Trim(where, "/")
	for part := range strings.SplitSeq(where, "/") {
		plain, _, _ := strings.Cut(part, ";")
		if plain == "" || plain == "." || plain == ".." || strings.ContainsAny(part, "%\\?#") || strings.ContainsFunc(part, control) {
			return o, badLink("the address of its repository can be read in two ways")
		}
	}
	i := strings.LastIndexByte(where, '/')
	o.Name = strings.TrimSuffix(where[i+1:], ".git")
	if i > 0 {
		o.Owner = where[:i]
	}
	return o, nil
}

// checkAddress refuses what is no address at all. A password that is still in it is an
// error: what is shown and kept has none.
func checkAddress(address string) error {
	_, _, ok := strings.Cut(address, "://")
	switch {
	case pull.HoldsSecret(address):
		return secretLink()
	case !ok && strings.Contains(address, "::"):
		return badLink("what it names as repository is a command of git's, not an address")
	case !ok:
		return nil
	}
	if _, err := url.Parse(address); err != nil {
		return badLink("what it names as repository is no address")
	}
	return nil
}
