package pass

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
)

// Facts is what is known of a request, each verified by whoever fills it in: a
// server by the hub, an address by the connection, a project by a strict
// reading. A fact left out is not known, and a caveat about it refuses.
type Facts struct {
	Permissions []string       // every permission of devpi that the request needs
	Indexes     []string       // every index that it touches, "user/index": for a push both
	Projects    []string       // every project that it touches, in any spelling
	Host        string         // the git host, in lower case
	Repo        daypass.Repo   // with its number, where the host was asked for it
	Access      daypass.Access // what is wanted of it
	Source      string         // the source of content, as the service writes it
	Server      string         // the holder's running server that counts here, by [ServerItem]
	Address     netip.Addr     // where the request comes from
	Digest      string         // "sha256:" and the sum of all bytes of the upload

	// SeesTo are the kinds that the caller sees to itself before the request has
	// any effect: KindUses, by counting each of Rights.Uses, and KindDigest, by
	// holding an upload back until its sum is one of Rights.Digests. It is
	// without meaning for other kinds.
	SeesTo Kinds

	// Waive are the kinds whose caveats are met where their fact is left out.
	// Only a written table of exceptions may set it.
	Waive Kinds
}

// ServerItem writes a server as a caveat and as a fact: its escaped name, "@",
// and when it was started, in seconds; the zero time stands for any start and
// is for caveats only.
func ServerItem(name string, started time.Time) string {
	start := ""
	if !started.IsZero() {
		start = strconv.FormatInt(started.Unix(), 10)
	}
	return escape(name) + "@" + start
}

const unescaped = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~"

// escape writes all but RFC 3986's unreserved characters as %XX.
func escape(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if strings.IndexByte(unescaped, s[i]) >= 0 {
			b.WriteByte(s[i])
			continue
		}
		b.WriteByte('%')
		b.WriteByte(digits[s[i]>>4])
		b.WriteByte(digits[s[i]&15])
	}
	return b.String()
}

// escaped reports whether escape may have written s.
func escaped(s string) bool { return strings.Trim(s, unescaped+"%") == "" }

// A Refusal says which caveat refused, and why. It holds nothing secret: the
// caveats are known to whoever holds the pass.
type Refusal struct {
	Kind    Kinds  // none where the caveat is not understood
	Caveat  int    // its number, the first is 1; 0 where it takes several together
	Text    string // its text, from outside: print it escaped; empty with Caveat 0
	Item    string // what the request wanted and may not, from the facts; may be empty
	Why     string // a sentence without its stop
	Unknown bool   // the caveat is not understood, so nothing at all is allowed
}

// Error returns one line that is safe to print.
func (r *Refusal) Error() string {
	why := r.Why
	if r.Item != "" {
		why += " " + quote(r.Item)
	}
	if r.Caveat == 0 {
		return "pass: its limits taken together: " + why
	}
	return "pass: limit " + strconv.Itoa(r.Caveat) + ", " + quote(r.Text) + ": " + why
}

func quote(s string) string {
	if len(s) > 200 {
		return strconv.QuoteToASCII(s[:200]) + "…"
	}
	return strconv.QuoteToASCII(s)
}

// allows compares the facts with what the caveats leave. It goes through every
// kind, so that a caveat about what the facts lack refuses.
func (r *Rights) allows(f *Facts, now time.Time) *Refusal {
	if now.IsZero() || r.Expires.IsZero() {
		return refused(KindExpires, "the time is not known", "")
	}
	if !now.Before(r.Expires) {
		return refused(KindExpires, "the pass ended at "+r.Expires.UTC().Format(time.RFC3339), "")
	}
	if now.Before(r.NotBefore) {
		return refused(KindNotBefore, "the pass is not good before "+r.NotBefore.UTC().Format(time.RFC3339), "")
	}
	for _, p := range f.Permissions {
		if strings.HasPrefix(p, "user_") {
			return refused(KindAllowed, "no pass has the permission", p)
		}
	}
	if r.Limited == KindExpires || r.Limited == 0 {
		return nil
	}
	if err := r.allowsPackage(f); err != nil {
		return err
	}
	return r.allowsRest(f)
}

func (r *Rights) allowsPackage(f *Facts) *Refusal {
	if err := r.each(f, KindAllowed, f.Permissions, &r.Permissions, "it does not have the permission"); err != nil {
		return err
	}
	if err := r.each(f, KindIndexes, f.Indexes, &r.Indexes, "it is not for the index"); err != nil {
		return err
	}
	if r.asks(f, KindProjects, len(f.Projects) == 0) {
		if len(f.Projects) == 0 {
			return lacks(KindProjects)
		}
		for _, p := range f.Projects {
			if name := NormalProject(p); name == "" || !r.Projects.Has(name) {
				return refused(KindProjects, "it is not for the project", p)
			}
		}
	}
	if r.asks(f, KindDigest, f.Digest == "") && !(f.Digest == "" && f.SeesTo.Has(KindDigest)) && !r.Digests.Has(f.Digest) {
		return refused(KindDigest, "it is not for this file", f.Digest)
	}
	return nil
}

func (r *Rights) allowsRest(f *Facts) *Refusal {
	if err := r.one(f, KindHost, f.Host, &r.Hosts, "it is not for the host"); err != nil {
		return err
	}
	if r.asks(f, KindRepo, f.Repo == daypass.Repo{}) && !r.Repos.Has(f.Repo) {
		return refused(KindRepo, "it is not for the repository", f.Repo.String())
	}
	if r.asks(f, KindAccess, f.Access == daypass.NoAccess) && (f.Access == daypass.NoAccess || f.Access > r.Access) {
		return refused(KindAccess, "it does not allow to", f.Access.String())
	}
	if err := r.one(f, KindSource, f.Source, &r.Sources, "it is not for the source"); err != nil {
		return err
	}
	if r.asks(f, KindServer, f.Server == "") && !r.hasServer(f.Server) {
		return refused(KindServer, "it is not for the server", f.Server)
	}
	if r.asks(f, KindAddress, !f.Address.IsValid()) && (!f.Address.IsValid() || !r.Addresses.Has(f.Address)) {
		return refused(KindAddress, "it is not good from this address", "")
	}
	if r.Limited.Has(KindUses) && !f.SeesTo.Has(KindUses) {
		return refused(KindUses, "nobody counts uses here", "")
	}
	return nil
}

// asks reports whether a caveat of the kind has to be looked at.
func (r *Rights) asks(f *Facts, kind Kinds, absent bool) bool {
	return r.Limited.Has(kind) && !(absent && f.Waive.Has(kind))
}

// each asks for all of several names, one for one. None at all refuses.
func (r *Rights) each(f *Facts, kind Kinds, have []string, set *Set, why string) *Refusal {
	if !r.asks(f, kind, len(have) == 0) {
		return nil
	}
	if len(have) == 0 {
		return lacks(kind)
	}
	for _, name := range have {
		if name == "" || !set.Has(name) {
			return refused(kind, why, name)
		}
	}
	return nil
}

func (r *Rights) one(f *Facts, kind Kinds, have string, set *Set, why string) *Refusal {
	if !r.asks(f, kind, have == "") || have != "" && set.Has(have) {
		return nil
	}
	if have == "" {
		return lacks(kind)
	}
	return refused(kind, why, have)
}

// hasServer compares a running server, which has a start, with NAME@START and NAME@.
func (r *Rights) hasServer(have string) bool {
	if have == "" || strings.HasSuffix(have, "@") {
		return false
	}
	name := have[:strings.LastIndexByte(have, '@')+1]
	return r.Servers.Has(have) || r.Servers.Has(name)
}

func refused(kind Kinds, why, item string) *Refusal {
	return &Refusal{Kind: kind, Why: why, Item: item}
}

func lacks(kind Kinds) *Refusal {
	return refused(kind, "the request says nothing that this limit could be held to", "")
}

// blame finds the caveat that refuses by itself.
func blame(r *Refusal, caveats []string, f *Facts, now time.Time) *Refusal {
	for i, c := range caveats {
		var alone Rights
		if alone.read([]string{c}) != nil {
			continue
		}
		if got := alone.allows(f, now); got != nil && got.Kind == r.Kind {
			got.Caveat, got.Text = i+1, c
			return got
		}
	}
	return r
}
