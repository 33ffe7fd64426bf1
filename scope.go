package daypass

import "time"

// Access is what may be done to a repository. Greater includes less.
type Access uint8

// The accesses, from none to most.
const (
	NoAccess Access = iota // the zero value: nothing may be done
	Read
	Write
)

// String returns "none", "read" or "write", the words used in files.
func (a Access) String() string {
	switch a {
	case Read:
		return "read"
	case Write:
		return "write"
	}
	return "none"
}

// ParseAccess reads what [Access.String] writes. Anything else is NoAccess.
func ParseAccess(s string) Access {
	switch s {
	case "read":
		return Read
	case "write":
		return Write
	}
	return NoAccess
}

// Forever is the end of a scope that the host sets no end to. The zero time is
// not "no end": it is an end long past, so that a forgotten field grants nothing.
var Forever = time.Unix(1<<37, 0).UTC()

// A Repo names a repository of a git host, by name, by the host's numeric id,
// or by both. It stands for a set of repositories: those that match every part
// that is given. A name without an id is "whatever bears that name"; an id
// without a name is "that repository, whatever its name". The zero Repo is no
// repository.
type Repo struct {
	Owner, Name string // compared without regard to ASCII case, as GitHub does
	ID          int64  // 0 when not given
}

// ParseRepo reads OWNER/NAME with GitHub's own alphabets. It takes nothing
// else: no ".git", no further slash, no dot segment.
func ParseRepo(s string) (Repo, bool) {
	for i := 0; i < len(s); i++ {
		if s[i] == '/' {
			r := Repo{Owner: s[:i], Name: s[i+1:]}
			return r, validOwner(r.Owner) && validName(r.Name)
		}
	}
	return Repo{}, false
}

func validOwner(s string) bool {
	if len(s) == 0 || len(s) > 39 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; !alphanumeric(c) && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

func validName(s string) bool {
	if len(s) == 0 || len(s) > 100 || s == "." || s == ".." {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; !alphanumeric(c) && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

func alphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// String returns "OWNER/NAME", or "" where only the id is known.
func (r Repo) String() string {
	if r.Owner == "" && r.Name == "" {
		return ""
	}
	return r.Owner + "/" + r.Name
}

func (r Repo) named() bool { return r.Owner != "" && r.Name != "" }

// SameName reports whether both are named and the names are the same to a host
// that ignores ASCII case.
func (r Repo) SameName(s Repo) bool {
	return r.named() && s.named() && FoldEqual(r.Owner, s.Owner) && FoldEqual(r.Name, s.Name)
}

// Covers reports whether every repository that s stands for is one that r
// stands for.
func (r Repo) Covers(s Repo) bool {
	if r == (Repo{}) || s == (Repo{}) {
		return s == (Repo{})
	}
	return (!r.named() || r.SameName(s)) && (r.ID == 0 || r.ID == s.ID)
}

// Intersect returns the repositories that both stand for; false if there are none.
func (r Repo) Intersect(s Repo) (Repo, bool) {
	if r == (Repo{}) || s == (Repo{}) {
		return Repo{}, false
	}
	out := r
	switch {
	case !r.named():
		out.Owner, out.Name = s.Owner, s.Name
	case s.named() && !r.SameName(s):
		return Repo{}, false
	}
	switch {
	case r.ID == 0:
		out.ID = s.ID
	case s.ID != 0 && s.ID != r.ID:
		return Repo{}, false
	}
	return out, true
}

// A Scope says where a credential is good, for what, and until when. It stands
// for a set of acts, and the zero Scope for none of them.
type Scope struct {
	Host   string // host, or host:port, in lower case; compared byte for byte
	All    bool   // every repository that the host lets the credential's owner reach
	Repos  []Repo // the repositories, where All is false
	Access Access
	Until  time.Time // good before this moment; see Forever
}

// Empty reports whether the scope allows nothing at any time.
func (s Scope) Empty() bool {
	if s.Host == "" || s.Access == NoAccess || s.Until.IsZero() {
		return true
	}
	if s.All {
		return false
	}
	for _, r := range s.Repos {
		if r != (Repo{}) {
			return false
		}
	}
	return true
}

// Covers reports whether everything that t allows, s allows too. It is
// reflexive and transitive, and an empty scope is covered by every scope.
func (s Scope) Covers(t Scope) bool {
	if t.Empty() {
		return true
	}
	if s.Empty() || s.Host != t.Host || s.Access < t.Access || s.Until.Before(t.Until) {
		return false
	}
	if s.All {
		return true
	}
	if t.All {
		return false
	}
	for _, r := range t.Repos {
		if !coveredByAny(s.Repos, r) {
			return false
		}
	}
	return true
}

// coveredByAny is enough although a union might cover r where no single member
// does: names and ids are without number, so finitely many narrower sets never
// fill a wider one.
func coveredByAny(set []Repo, r Repo) bool {
	for _, have := range set {
		if have.Covers(r) {
			return true
		}
	}
	return false
}

// Intersect returns what both scopes allow: the widest scope that each covers.
// Where there is nothing it returns the zero Scope.
func (s Scope) Intersect(t Scope) Scope {
	if s.Empty() || t.Empty() || s.Host != t.Host {
		return Scope{}
	}
	out := Scope{Host: s.Host, Access: min(s.Access, t.Access), Until: s.Until}
	if t.Until.Before(out.Until) {
		out.Until = t.Until
	}
	switch {
	case s.All && t.All:
		out.All = true
	case s.All:
		out.Repos = normal(t.Repos)
	case t.All:
		out.Repos = normal(s.Repos)
	default:
		var both []Repo
		for _, a := range s.Repos {
			for _, b := range t.Repos {
				if r, ok := a.Intersect(b); ok {
					both = append(both, r)
				}
			}
		}
		out.Repos = normal(both)
	}
	if out.Empty() {
		return Scope{}
	}
	return out
}

// normal drops zero members and those that another member covers.
func normal(set []Repo) []Repo {
	var out []Repo
	for i, r := range set {
		keep := r != (Repo{})
		for j, other := range set {
			if i != j && other.Covers(r) && (!r.Covers(other) || j < i) {
				keep = false
			}
		}
		if keep {
			out = append(out, r)
		}
	}
	return out
}

// Equivalent reports whether both scopes allow the same.
func (s Scope) Equivalent(t Scope) bool { return s.Covers(t) && t.Covers(s) }

// Pin fills in the ids that s knows for the names in t: to a credential that
// was verified to reach repository 42 under the name o/r, a request for o/r is
// a request for 42. The host stays the judge of what the name means today.
func (s Scope) Pin(t Scope) Scope {
	pinned := make([]Repo, len(t.Repos))
	for i, want := range t.Repos {
		pinned[i] = want
		for _, have := range s.Repos {
			if want.ID == 0 && have.ID != 0 && have.SameName(want) {
				pinned[i].ID = have.ID
				break
			}
		}
	}
	t.Repos = pinned
	return t
}

// FoldEqual compares two strings without regard to ASCII case. Other bytes must
// be the same: a host that is not ASCII never equals one that is.
func FoldEqual(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

// FoldASCII returns s with A to Z in lower case.
func FoldASCII(s string) string {
	for i := 0; i < len(s); i++ {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for j := range b {
				b[j] = lower(b[j])
			}
			return string(b)
		}
	}
	return s
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
