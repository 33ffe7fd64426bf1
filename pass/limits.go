package pass

import (
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
)

// Limits is what somebody asks a pass to be limited to. A nil list is no limit;
// one that is empty and not nil allows none.
type Limits struct {
	Allowed   []string // permissions of devpi
	Indexes   []string // USER/INDEX
	Projects  []string
	Expires   time.Time // zero: no caveat; daypass.Forever: expires=never
	NotBefore time.Time // zero: no caveat
	Access    daypass.Access
	Addresses []string // an address or a range
	Digests   []string // sha256:…
	Hosts     []string
	Repos     []string // OWNER/NAME, OWNER/NAME#NUMBER or #NUMBER
	Servers   []string // by ServerItem
	Sources   []string
	Uses      int // 0: no caveat
	// BareIndexes takes an index without its user too, as devpi-tokens does: it
	// allows nothing.
	BareIndexes bool
}

// IsZero reports whether nothing is asked for.
func (l Limits) IsZero() bool {
	return l.Allowed == nil && l.Indexes == nil && l.Projects == nil && l.Expires.IsZero() && l.NotBefore.IsZero() &&
		l.Access == daypass.NoAccess && l.Addresses == nil && l.Digests == nil && l.Hosts == nil && l.Repos == nil &&
		l.Servers == nil && l.Sources == nil && l.Uses == 0
}

// A LimitError says what about a limit that was asked for cannot be written.
type LimitError struct {
	Kind Kinds
	Item string // what it was about; may be empty
	Why  string // a sentence without its stop
}

// Error returns one line that is safe to print.
func (e *LimitError) Error() string {
	s := "pass: " + e.Kind.String()
	if e.Item != "" {
		s += " " + quote(e.Item)
	}
	return s + ": " + e.Why
}

// Caveats writes the limits as caveats, in the table's order, which is
// devpi-tokens' for its five. Lists are sorted and without repetition. The error
// is a *LimitError. Each caveat is read back by the very reader that judges it.
func (l Limits) Caveats() ([]string, error) {
	var out []string
	for _, row := range table {
		if row.Name == "" {
			continue
		}
		value, given, err := l.value(row.Kind)
		if err != nil {
			return nil, err
		}
		if !given {
			continue
		}
		caveat := row.Name + "=" + value
		var r Rights
		if err := r.read([]string{caveat}); err != nil {
			var refusal *Refusal
			errors.As(err, &refusal)
			return nil, &LimitError{row.Kind, value, refusal.Why}
		}
		out = append(out, caveat)
	}
	return out, nil
}

func (l Limits) value(kind Kinds) (value string, given bool, err error) {
	switch kind {
	case KindExpires:
		if !l.Expires.Before(daypass.Forever) {
			return "never", true, nil
		}
		return moment(kind, l.Expires)
	case KindNotBefore:
		return moment(kind, l.NotBefore)
	case KindAccess:
		return l.Access.String(), l.Access != daypass.NoAccess, nil
	case KindUses:
		return strconv.Itoa(l.Uses), l.Uses != 0, nil
	}
	items := l.list(kind)
	value, err = list(kind, items, l.BareIndexes)
	return value, items != nil, err
}

func (l Limits) list(kind Kinds) []string {
	switch kind {
	case KindAllowed:
		return l.Allowed
	case KindIndexes:
		return l.Indexes
	case KindProjects:
		return l.Projects
	case KindAddress:
		return masked(l.Addresses)
	case KindDigest:
		return l.Digests
	case KindHost:
		return l.Hosts
	case KindRepo:
		return l.Repos
	case KindServer:
		return l.Servers
	}
	return l.Sources
}

// masked writes ranges in the one way in which they are read: a person may say
// 192.0.2.7/24 for the range that the address is in.
func masked(list []string) []string {
	var out []string
	for _, item := range list {
		if p, err := netip.ParsePrefix(strings.TrimSpace(item)); err == nil {
			item = p.Masked().String()
		}
		out = append(out, item)
	}
	return out
}

func moment(kind Kinds, t time.Time) (string, bool, error) {
	if t.IsZero() {
		return "", false, nil
	}
	if t.Unix() < 0 || !t.Before(daypass.Forever) {
		return "", false, &LimitError{kind, "", "a pass needs a time after 1970"}
	}
	return strconv.FormatInt(t.Unix(), 10), true, nil
}

// list joins items, each without the spaces around it.
func list(kind Kinds, items []string, bare bool) (string, error) {
	var out []string
	for _, item := range items {
		clean := strings.TrimSpace(item)
		switch {
		case clean == "":
			return "", &LimitError{kind, item, "an item of the list is empty"}
		case strings.Contains(clean, ","):
			return "", &LimitError{kind, item, "an item of the list has a comma"}
		case strings.ContainsFunc(clean, func(r rune) bool { return r <= ' ' || r > '~' }):
			return "", &LimitError{kind, item, "an item of the list has a space, or a letter that is not ASCII"}
		case kind == KindIndexes && !userAndIndex(clean) && !(bare && !strings.Contains(clean, "/")):
			return "", &LimitError{kind, item, "an index is written as USER/INDEX"}
		case kind == KindProjects && strings.Trim(NormalProject(clean), "-") == "":
			return "", &LimitError{kind, item, "that is no name of a project"}
		}
		out = append(out, clean)
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), ","), nil
}

func userAndIndex(s string) bool {
	user, index, ok := strings.Cut(s, "/")
	return ok && user != "" && index != "" && !strings.Contains(index, "/")
}

// PyPICaveats writes the limits in PyPI's forms, which know an end, a beginning
// and projects and nothing else. PyPI wants the end wherever there is a
// beginning.
func (l Limits) PyPICaveats() ([]string, error) {
	rest := l
	rest.Expires, rest.NotBefore, rest.Projects = time.Time{}, time.Time{}, nil
	more, err := rest.Caveats()
	if err != nil {
		return nil, err
	}
	if len(more) > 0 {
		row, _ := Describe(more[0])
		return nil, &LimitError{row.Kind, "", "PyPI knows no such limit"}
	}
	if _, err := l.Caveats(); err != nil {
		return nil, err
	}
	var out []string
	switch {
	case !l.Expires.IsZero() && l.Expires.Before(daypass.Forever):
		begin := int64(0)
		if !l.NotBefore.IsZero() {
			begin = l.NotBefore.Unix()
		}
		out = append(out, pypiDates(l.Expires.Unix(), begin))
	case !l.NotBefore.IsZero():
		return nil, &LimitError{KindNotBefore, "", "PyPI takes a beginning only together with an end"}
	}
	if l.Projects != nil {
		out = append(out, pypiProjects(l.Projects))
	}
	return out, nil
}

// Permissions returns the permissions of devpi that a pass can have, which help
// lists. devpi has four more, user_…, which no pass has.
func Permissions() []string {
	return []string{"del_entry", "del_project", "del_verdata", "index_create", "index_delete", "index_modify", "pkg_read", "toxresult_upload", "upload"}
}
