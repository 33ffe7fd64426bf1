package policy

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/daypass-dev/daypass"
)

// A Rule allows an access (Write includes Read) for at most Max, 1 minute to
// 365 days; or it forbids one, to both As: Write, or with Read or none all. As
// the hub, Access is Read, What names host, owner and some of the name, and Who
// users or groups. Names are unique: they stand in events.
type Rule struct {
	Name   string
	Forbid bool
	Who    Who
	What   []Pattern
	Access daypass.Access
	As     As
	Max    time.Duration
}

// Who is whom a rule is for: the user, a group of theirs and the server each have
// to be in its list; no list (nil) is everybody, every server. "*" is all; else *
// stands for any characters and ? for one, but neither for a slash. "default" is
// the default server. Nobody slips by a rule that forbids by their spelling: it
// ignores ASCII case, its * takes slashes, a server unknown is in every list.
type Who struct {
	Users, Groups, Servers []string

	Exact bool `yaml:"-"` // * and ? are characters like others
}

// Preset is the rules of a hub whose admin wrote none: people use their own
// connections, to write, an hour at a time.
func Preset() []Rule {
	all := Pattern{newGlob("*/*/*", false, false)}
	return []Rule{{Name: "own-connections", What: []Pattern{all}, Access: daypass.Write, Max: time.Hour}}
}

// A Pattern is a set of repositories; the zero one is empty.
type Pattern struct{ glob }

// ParsePattern reads HOST/OWNER/NAME, each with * and ? or without, which stand
// for no slash. ASCII case is ignored.
func ParsePattern(s string) (Pattern, error) {
	s = daypass.FoldASCII(s)
	host, repo, _ := strings.Cut(strings.NewReplacer("*", "x", "?", "x").Replace(s), "/")
	if _, ok := daypass.ParseRepo(repo); !ok || !daypass.CleanHost(host) || strings.HasSuffix(repo, ".git") {
		return Pattern{}, fmt.Errorf("%q is not HOST/OWNER/NAME: write it like github.com/uni/course-*, without https:// and .git", s)
	}
	return Pattern{newGlob(s, false, false)}, nil
}

type glob struct {
	source, text     string
	all, wild, loose bool
}

func newGlob(s string, exact, loose bool) glob {
	g := glob{s, s, s == "*" && !exact, strings.ContainsAny(s, "*?") && !exact, loose}
	if loose {
		g.text = loosely(s)
	}
	if g.wild {
		g.text = strings.NewReplacer(`\`, `\\`, "[", `\[`).Replace(g.text)
	}
	return g
}

func loosely(s string) string { return strings.ReplaceAll(daypass.FoldASCII(s), "/", "\x00") }

// String returns it as it was written.
func (g glob) String() string { return g.source }

func (g glob) match(s string) bool {
	if g.loose {
		s = loosely(s)
	}
	if !g.wild {
		return g.text == s && s != ""
	}
	ok, _ := path.Match(g.text, s)
	return ok || g.all
}

// vague reports whether a part of a pattern, or a name, says nothing.
func vague(s string) bool { return strings.Trim(s, "*?") == "" }

type compiled struct {
	Rule
	users, groups, servers                             []glob
	gist, notAs, notUser, notGroup, notServer, notRepo string
}

// Compile makes rules ready. Its error has a line for every rule that is wrong,
// with the field and how to mend it.
func Compile(rules []Rule) (*Set, error) {
	s, errs := &Set{}, []error(nil)
	for _, r := range rules {
		c, bad := compile(r)
		if bad == "" && slices.ContainsFunc(s.rules, func(o *compiled) bool { return o.Name == r.Name }) {
			bad = "name: two rules have it: give each its own"
		}
		if bad != "" {
			errs = append(errs, fmt.Errorf("rule %q: %s", r.Name, bad))
		}
		s.rules = append(s.rules, c)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	// The first to match decides: of those that forbid, then of the longest Max.
	s.ranked = slices.SortedFunc(slices.Values(s.rules), func(a, b *compiled) int {
		return cmp.Or(cmp.Compare(b.Max, a.Max), cmp.Compare(a.Name, b.Name))
	})
	return s, nil
}

func compile(r Rule) (*compiled, string) {
	c := &compiled{Rule: r, gist: fmt.Sprintf("it allows to %v as the %v, for at most %d minutes", r.Access, r.As, int(r.Max.Minutes()))}
	globs := func(list []string) (out []glob) {
		for _, s := range list {
			out = append(out, newGlob(s, r.Who.Exact, r.Forbid))
		}
		return out
	}
	c.users, c.groups, c.servers, c.What = globs(r.Who.Users), globs(r.Who.Groups), globs(r.Who.Servers), slices.Clone(r.What)
	c.notUser = fmt.Sprintf("the user is not among %q", r.Who.Users)
	c.notGroup = fmt.Sprintf("none of the user's groups is among %q", r.Who.Groups)
	c.notServer = fmt.Sprintf("the server is not among %q", r.Who.Servers)
	c.notRepo = fmt.Sprintf("the repository is not among %s", r.What)
	c.notAs = fmt.Sprintf("it is for credentials as the %v only", r.As)
	if r.Forbid {
		c.Max, c.gist = math.MaxInt64, "it forbids reading and writing"
		if r.Access == daypass.Write {
			c.gist = "it forbids writing"
		}
	}
	return c, r.fault()
}

// fault says what is wrong with a rule; "" where nothing is.
func (r Rule) fault() string {
	noName := func(s string) bool { return s == "" || strings.TrimSpace(s) != s || !utf8.ValidString(s) }
	noList := func(l []string) bool { return l != nil && len(l) == 0 || slices.ContainsFunc(l, noName) }
	anybody := func(l []string) bool { return l == nil || !r.Who.Exact && slices.ContainsFunc(l, vague) }
	broad := func(p Pattern) bool {
		owner, name := path.Split(p.source)
		return strings.ContainsAny(owner, "*?") || vague(name)
	}
	odd := func(c rune) bool {
		return c > 'z' || c != '-' && c != '_' && c != '.' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z')
	}
	hub := r.As == AsHub
	switch {
	case r.Name == "" || len(r.Name) > 64 || strings.ContainsFunc(r.Name, odd):
		return "name: write 1 to 64 letters, digits, hyphens, dots"
	case r.Name == Default || r.Name == Malformed || r.Name == ReadOnly:
		return "name: it has a meaning of its own: take another"
	case noList(r.Who.Users) || noList(r.Who.Groups) || noList(r.Who.Servers):
		return `who: a list, or a name in it, is empty or has spaces around it: leave out a list to mean all; write "default" for the default server`
	case len(r.What) == 0 || slices.Contains(r.What, Pattern{}):
		return "what: name the repositories: github.com/uni/course-*, say, or */*/*"
	case r.Access > daypass.Write || !r.Forbid && r.Access == daypass.NoAccess:
		return "access: write read or write"
	case r.As > AsHub || r.Forbid && hub:
		return "as: write user or hub, and nothing in a rule that forbids, which is for both"
	case r.Forbid && r.Max != 0 || !r.Forbid && (r.Max < time.Minute || r.Max > 365*24*time.Hour):
		return "max: write how long a token may last, from 1m to 365d, and nothing in a rule that forbids"
	case hub && r.Access != daypass.Read:
		return "access: as the hub, it can only be read"
	case hub && anybody(r.Who.Users) && anybody(r.Who.Groups):
		return "who: as the hub, name the users or the groups, by more than * and ?"
	case hub && slices.ContainsFunc(r.What, broad):
		return "what: as the hub, write host and owner without * and ?, and some of the name: github.com/uni/course-*"
	}
	return ""
}
