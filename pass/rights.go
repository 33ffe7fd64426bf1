package pass

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
)

// maxItems bounds one caveat's list, so that comparing two costs little.
const maxItems = 512

// Rights is what the caveats of a pass leave, all of them together. The zero
// Rights allows nothing.
type Rights struct {
	NotBefore   time.Time // zero: from always
	Expires     time.Time // good before this moment; daypass.Forever where no caveat sets an end
	Permissions Set       // of devpi, such as "upload"
	Indexes     Set       // "user/index"
	Projects    Set       // normalised as devpi does
	Hosts       Set       // git hosts, in lower case
	Repos       Repos
	Access      daypass.Access // to repositories
	Sources     Set
	Servers     Set // "NAME@START" or "NAME@"
	Addresses   Addresses
	Digests     Set   // "sha256:" and hexadecimal digits
	Uses        []Use // each is counted by itself, at its own link
	Limited     Kinds // the kinds that some caveat speaks of

	room []string // for names of the first lists, so that few of them cost no memory
}

// A Set is all names, or those listed. The zero Set has none.
type Set struct {
	All   bool
	Names []string // shared: not to be changed
}

// Has reports whether the set has a name.
func (s Set) Has(name string) bool { return s.All || slices.Contains(s.Names, name) }

// Repos is all repositories, or those listed.
type Repos struct {
	All  bool
	List []daypass.Repo
}

// Has reports whether everything that repo stands for is among them.
func (r Repos) Has(repo daypass.Repo) bool {
	return r.All || repo != (daypass.Repo{}) && slices.ContainsFunc(r.List, func(have daypass.Repo) bool { return have.Covers(repo) })
}

// Addresses is all addresses, or those in the ranges listed.
type Addresses struct {
	All  bool
	List []netip.Prefix
}

// Has reports whether an address is among them. An IPv4 address in IPv6 form
// counts as itself, one with a zone as none.
func (a Addresses) Has(addr netip.Addr) bool {
	addr = addr.Unmap()
	return a.All || slices.ContainsFunc(a.List, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// A Use says that at most Max uses are counted at the link after a caveat:
// [Opened.Link] of Caveat is the key to count under.
type Use struct {
	Caveat int // 1 is the first
	Max    int
}

// open makes the zero Rights those of a pass without caveats.
func (r *Rights) open() {
	r.Expires, r.Access = daypass.Forever, daypass.Write
	r.Permissions.All, r.Indexes.All, r.Projects.All = true, true, true
	r.Hosts.All, r.Repos.All, r.Sources.All, r.Servers.All = true, true, true, true
	r.Addresses.All, r.Digests.All = true, true
}

// Effective returns what a pass's caveats leave, without asking whether its
// signature is right: to show it, never to decide. Caveats that are not
// understood here are left out of the Rights and returned by their numbers; the
// first is 1. With one of them the pass opens nothing here.
func (p Pass) Effective() (Rights, []int) {
	var r Rights
	var doubts []int
	if p.held == nil {
		return r, nil
	}
	r.open()
	for i, c := range p.inside().caveats {
		narrowed, uses := r.clone(), len(r.Uses)
		if narrowed.narrow(c) != nil {
			doubts = append(doubts, i+1)
			continue
		}
		if len(narrowed.Uses) > uses {
			narrowed.Uses[uses].Caveat = i + 1
		}
		r = narrowed
	}
	return r, doubts
}

// clone copies what narrow changes in place.
func (r Rights) clone() Rights {
	for _, s := range []*Set{&r.Permissions, &r.Indexes, &r.Projects, &r.Hosts, &r.Sources, &r.Servers, &r.Digests} {
		s.Names = slices.Clone(s.Names)
	}
	r.room = nil
	r.Repos.List, r.Addresses.List, r.Uses = slices.Clone(r.Repos.List), slices.Clone(r.Addresses.List), slices.Clone(r.Uses)
	return r
}

// items walks a comma list; the empty text is no items. It stops where yield
// says why.
func items(value string, yield func(string) error) error {
	if strings.Count(value, ",") >= maxItems {
		return errTooMany
	}
	for value != "" {
		item, rest, _ := strings.Cut(value, ",")
		if err := yield(item); err != nil {
			return err
		}
		value = rest
	}
	return nil
}

// list returns an empty list for n names.
func (r *Rights) list(n int) []string {
	if n > len(r.room) {
		return make([]string, 0, n)
	}
	out := r.room[:0:n]
	r.room = r.room[n:]
	return out
}

// narrowSet intersects a set with a caveat's list. Where read says that an item
// is no such thing the caveat allows nothing.
func (r *Rights) narrowSet(s *Set, value string, read func(string) (string, error)) error {
	n := strings.Count(value, ",") + 1
	if n > maxItems {
		return errTooMany
	}
	names := r.list(n)
	for value != "" {
		item := value
		if i := strings.IndexByte(value, ','); i >= 0 {
			item, value = value[:i], value[i+1:]
		} else {
			value = ""
		}
		name, err := read(item)
		if err != nil {
			return err
		}
		if name != "" && (s.All || slices.Contains(s.Names, name)) {
			names = append(names, name)
		}
	}
	*s = Set{Names: names}
	return nil
}

func verbatim(s string) (string, error) { return s, nil }

func trimmed(s string) (string, error) { return strings.TrimSpace(s), nil }

func project(s string) (string, error) { return NormalProject(strings.TrimSpace(s)), nil }

// plain takes an item of ours: visible ASCII, not empty. What could be read in
// two ways is refused as a whole.
func plain(s string) (string, error) {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] > '~' {
			return "", errList
		}
	}
	if s == "" {
		return "", errList
	}
	return s, nil
}

func cleanHost(s string) (string, error) {
	if h := daypass.FoldASCII(s); daypass.CleanHost(h) {
		return h, nil
	}
	return "", errHost
}

func digest(s string) (string, error) {
	hex, ok := strings.CutPrefix(daypass.FoldASCII(s), "sha256:")
	if !ok || len(hex) != 64 || strings.Trim(hex, "0123456789abcdef") != "" {
		return "", errDigest
	}
	return "sha256:" + hex, nil
}

// NormalProject writes a project's name as devpi compares it: each run of what
// is neither an ASCII letter nor a digit is one hyphen, in lower case.
func NormalProject(s string) string {
	normal := true
	for i := 0; i < len(s) && normal; i++ {
		c := s[i]
		normal = 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' && (i == 0 || s[i-1] != '-')
	}
	if normal {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9':
			b = append(b, c)
		case 'A' <= c && c <= 'Z':
			b = append(b, c+'a'-'A')
		case len(b) == 0 || b[len(b)-1] != '-':
			b = append(b, '-')
		}
	}
	return string(b)
}

func (r *Rights) narrowAccess(value string) error {
	a := daypass.ParseAccess(value)
	if a == daypass.NoAccess {
		return errAccess
	}
	r.Access = min(r.Access, a)
	return nil
}

func (r *Rights) addUses(value string) error {
	n, ok := seconds(value)
	if !ok || n < 1 || n > 1e9 || value != strconv.FormatInt(n, 10) {
		return errUses
	}
	r.Uses = append(r.Uses, Use{Max: int(n)})
	return nil
}

func (r *Rights) narrowRepos(value string) error {
	var list []daypass.Repo
	err := items(value, func(item string) error {
		repo, err := parseRepo(item)
		list = append(list, repo)
		return err
	})
	if err != nil {
		return err
	}
	if !r.Repos.All {
		list = both(r.Repos.List, list, daypass.Repo.Intersect)
	}
	if len(list) > maxItems {
		return errTooMany
	}
	r.Repos = Repos{List: list}
	return nil
}

// parseRepo reads OWNER/NAME, OWNER/NAME#NUMBER or #NUMBER.
func parseRepo(s string) (daypass.Repo, error) {
	name, number, numbered := strings.Cut(s, "#")
	var repo daypass.Repo
	if name != "" || !numbered {
		var ok bool
		if repo, ok = daypass.ParseRepo(name); !ok {
			return daypass.Repo{}, errRepo
		}
	}
	if numbered {
		n, ok := seconds(number)
		if !ok || n < 1 || number != strconv.FormatInt(n, 10) {
			return daypass.Repo{}, errRepo
		}
		repo.ID = n
	}
	return repo, nil
}

func (r *Rights) narrowAddresses(value string) error {
	var list []netip.Prefix
	err := items(value, func(item string) error {
		p, err := parsePrefix(item)
		list = append(list, p)
		return err
	})
	if err != nil {
		return err
	}
	if !r.Addresses.All {
		list = both(r.Addresses.List, list, narrower)
	}
	if len(list) > maxItems {
		return errTooMany
	}
	r.Addresses = Addresses{List: list}
	return nil
}

// parsePrefix reads an address or a range of them. Bits behind the range must
// be zero: 192.0.2.7/24 may have meant one address.
func parsePrefix(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" || a.Is4In6() {
			return netip.Prefix{}, errAddress
		}
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	if p != p.Masked() || p.Addr().Is4In6() {
		return netip.Prefix{}, errAddress
	}
	return p, nil
}

func narrower(a, b netip.Prefix) (netip.Prefix, bool) {
	if a.Bits() < b.Bits() {
		a, b = b, a
	}
	return a, a.Overlaps(b)
}

func (r *Rights) narrowServers(value string) error {
	var list []string
	err := items(value, func(item string) error {
		s, err := plain(item)
		if name, start, ok := strings.Cut(item, "@"); err == nil && (!ok || strings.Trim(start, "0123456789") != "" || !escaped(name)) {
			err = errList
		}
		list = append(list, s)
		return err
	})
	if err != nil {
		return err
	}
	if !r.Servers.All {
		list = both(r.Servers.Names, list, sameServer)
	}
	if len(list) > maxItems {
		return errTooMany
	}
	r.Servers = Set{Names: list}
	return nil
}

// sameServer intersects NAME@ and NAME@START.
func sameServer(a, b string) (string, bool) {
	switch {
	case a == b || strings.HasSuffix(b, "@") && strings.HasPrefix(a, b):
		return a, true
	case strings.HasSuffix(a, "@") && strings.HasPrefix(b, a):
		return b, true
	}
	return "", false
}

// both lists what some a and some b have in common.
func both[T comparable](as, bs []T, meet func(T, T) (T, bool)) []T {
	out := []T{}
	for _, a := range as {
		for _, b := range bs {
			if c, ok := meet(a, b); ok && len(out) <= maxItems && !slices.Contains(out, c) {
				out = append(out, c)
			}
		}
	}
	return out
}
