package pass

import (
	"errors"
	"math"
	"strings"
	"time"
)

// Kinds is a set of kinds of caveat.
type Kinds uint16

// The kinds. A caveat of JSON may be of two.
const (
	KindExpires Kinds = 1 << iota
	KindNotBefore
	KindAllowed
	KindIndexes
	KindProjects
	KindHost
	KindRepo
	KindAccess
	KindSource
	KindServer
	KindAddress
	KindUses
	KindDigest
)

// Has reports whether all kinds of other are in k.
func (k Kinds) Has(other Kinds) bool { return k&other == other }

// String returns the caveats' names, such as "expires, dp:host".
func (k Kinds) String() string {
	var names []string
	for _, row := range table {
		if k.Has(row.Kind) && row.Name != "" {
			names = append(names, row.Name)
		}
	}
	return strings.Join(names, ", ")
}

// Readers is a set of programs that understand a caveat. Others refuse a pass
// that has one.
type Readers uint8

// The readers.
const (
	ReadByDaypass Readers = 1 << iota
	ReadByDevpiTokens
	ReadByPyPI
)

// A Row describes one form of caveat: what help, manual and pages say of it.
type Row struct {
	Kind    Kinds   // none where nobody's request meets it here
	Name    string  // what stands before "="; empty for JSON
	Text    string  // an example of the whole caveat
	Meaning string  // what it limits, a sentence without its stop
	Refuses string  // what it refuses, likewise
	Readers Readers // who understands it
}

// Caveats returns the table of all caveats, in the order in which they are
// written into new passes.
func Caveats() []Row { return append([]Row(nil), table[:]...) }

const (
	everyReader  = ReadByDaypass | ReadByDevpiTokens
	readByPyPIed = ReadByDaypass | ReadByPyPI
)

var table = [...]Row{
	{KindAllowed, "allowed", "allowed=pkg_read,upload", "only these permissions of devpi; the names are taken as they stand, spaces too",
		"a request that needs another permission, or of which none is known; never grants one that begins with user_", everyReader},
	{KindExpires, "expires", "expires=1798675200", "ends at this second since 1970; never sets no end",
		"any request from that second on; every request where it is neither a number nor never", everyReader},
	{KindIndexes, "indexes", "indexes=alice/dev,bob/prod", "only these package indexes, as USER/INDEX",
		"a request that touches another index, or none", everyReader},
	{KindNotBefore, "not_before", "not_before=1798588800", "begins at this second since 1970",
		"any request before it; every request where it is no number", everyReader},
	{KindProjects, "projects", "projects=river-tools,maps", "only these projects, compared as devpi does: other than letters and digits is one hyphen, case does not count",
		"a request for another project, or for none", everyReader},
	{KindAccess, "dp:access", "dp:access=read", "read, or write, which includes read",
		"a push or a change where it says read; a request whose access is not known", ReadByDaypass},
	{KindAddress, "dp:address", "dp:address=192.0.2.0/24,2001:db8::/32", "only from these addresses, as seen by the service or by a proxy that it trusts",
		"a request from elsewhere, or from an address that is not known", ReadByDaypass},
	{KindDigest, "dp:digest", "dp:digest=sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0bd822cd15d6c15b0f00a8", "only the upload of files with these SHA-256 sums",
		"an upload of anything else, and whatever is no upload", ReadByDaypass},
	{KindHost, "dp:host", "dp:host=github.com", "only these git hosts",
		"a request for another host, or for none", ReadByDaypass},
	{KindRepo, "dp:repo", "dp:repo=river-lab/data,river-lab/maps#1042", "only these repositories: OWNER/NAME, OWNER/NAME#NUMBER or #NUMBER",
		"a request for another repository, for one whose number is not known where one is given, or for none", ReadByDaypass},
	{KindServer, "dp:server", "dp:server=gpu@1798588800", "only while one of these servers of the holder runs, as the hub says: NAME@START, or NAME@ for whatever start; without NAME the default server",
		"any request when that server has stopped or was started anew, or when the hub cannot be asked", ReadByDaypass},
	{KindSource, "dp:source", "dp:source=invenio:zenodo.org/3232985", "only these sources of content, written as the service writes them",
		"a request for another source, or for none", ReadByDaypass},
	{KindUses, "dp:uses", "dp:uses=1", "so many uses, counted by the service, of this pass and all that were narrowed from it together",
		"the use after the last; every request where nobody counts", ReadByDaypass},
	{KindExpires | KindNotBefore, "", "[0, 1798675200, 1798588800]", "ends at the first second and begins at the second, as PyPI writes it",
		"any request outside of that time", readByPyPIed},
	{KindProjects, "", `[1, ["river-tools"]]`, "only these projects, as PyPI writes it",
		"a request for another project, or for none", readByPyPIed},
	{0, "", `[2, ["00000000-0000-0000-0000-000000000000"]]`, "only the projects with these numbers at PyPI", "everything but at PyPI", ReadByPyPI},
	{0, "", `[3, "00000000-0000-0000-0000-000000000000"]`, "only while the pass belongs to this user of PyPI", "everything but at PyPI", ReadByPyPI},
	{KindExpires | KindNotBefore, "", `{"nbf": 1798588800, "exp": 1798675200}`, "begins and ends at these seconds, as pypitoken wrote it before",
		"any request outside of that time", readByPyPIed},
	{KindProjects, "", `{"version": 1, "permissions": {"projects": ["river-tools"]}}`, "only these projects, as PyPI wrote it before",
		"a request for another project, or for none", readByPyPIed},
	{0, "", `{"version": 1, "permissions": "user"}`, "no limit: what PyPI wrote before for all of a user's projects", "nothing", readByPyPIed},
}

// Describe finds the row of a caveat's text; false where nobody here knows it.
func Describe(caveat string) (Row, bool) {
	if isJSON(caveat) {
		return describeJSON(caveat)
	}
	name, _, ok := strings.Cut(caveat, "=")
	if !ok || name == "" {
		return Row{}, false
	}
	for _, row := range table {
		if row.Name == name {
			return row, true
		}
	}
	return Row{}, false
}

// Why a caveat is not understood.
var (
	errUnknown  = errors.New("no such limit is known here")
	errNumber   = errors.New("it is not a whole number of seconds since 1970")
	errTooMany  = errors.New("it lists more than 512 things")
	errAccess   = errors.New("it is neither read nor write")
	errAddress  = errors.New("it lists something that is no address and no range of addresses")
	errDigest   = errors.New("it lists something that is no sha256: and 64 digits")
	errRepo     = errors.New("it lists something that is no repository")
	errHost     = errors.New("it lists something that is no host")
	errUses     = errors.New("it is not a number of uses from 1 to 1000000000")
	errList     = errors.New("it lists something that is empty or holds a space")
	errJSONForm = errors.New("it is none of the JSON forms that are known here")
)

// read narrows r, which must be the zero Rights, by every caveat in turn.
func (r *Rights) read(caveats []string) error {
	r.open()
	for i, c := range caveats {
		uses := len(r.Uses)
		if err := r.narrow(c); err != nil {
			return &Refusal{Caveat: i + 1, Text: c, Why: err.Error(), Unknown: true}
		}
		if len(r.Uses) > uses {
			r.Uses[uses].Caveat = i + 1
		}
	}
	return nil
}

// narrow intersects r with what one caveat allows. An error is one of the above
// and means that the caveat allows nothing.
func (r *Rights) narrow(caveat string) error {
	if isJSON(caveat) {
		return r.narrowJSON(caveat)
	}
	i := strings.IndexByte(caveat, '=') // Cut takes twice as long, which shows here
	if i < 0 {
		return errUnknown
	}
	return r.narrowKind(kindOf(caveat[:i]), caveat[i+1:])
}

// kindOf is the table's kind of a name, without walking through the table at
// each caveat; a test holds the two together.
func kindOf(name string) Kinds {
	switch name {
	case "allowed":
		return KindAllowed
	case "expires":
		return KindExpires
	case "indexes":
		return KindIndexes
	case "not_before":
		return KindNotBefore
	case "projects":
		return KindProjects
	case "dp:access":
		return KindAccess
	case "dp:address":
		return KindAddress
	case "dp:digest":
		return KindDigest
	case "dp:host":
		return KindHost
	case "dp:repo":
		return KindRepo
	case "dp:server":
		return KindServer
	case "dp:source":
		return KindSource
	case "dp:uses":
		return KindUses
	}
	return 0
}

func (r *Rights) narrowKind(kind Kinds, value string) error {
	r.Limited |= kind
	switch kind {
	case KindExpires:
		if value == "never" {
			return nil
		}
		return r.endAt(value)
	case KindNotBefore:
		return r.beginAt(value)
	case KindAllowed:
		return r.narrowSet(&r.Permissions, value, verbatim)
	case KindIndexes:
		return r.narrowSet(&r.Indexes, value, trimmed)
	case KindProjects:
		return r.narrowSet(&r.Projects, value, project)
	case KindHost:
		return r.narrowSet(&r.Hosts, value, cleanHost)
	case KindRepo:
		return r.narrowRepos(value)
	case KindAccess:
		return r.narrowAccess(value)
	case KindSource:
		return r.narrowSet(&r.Sources, value, plain)
	case KindServer:
		return r.narrowServers(value)
	case KindAddress:
		return r.narrowAddresses(value)
	case KindUses:
		return r.addUses(value)
	case KindDigest:
		return r.narrowSet(&r.Digests, value, digest)
	}
	return errUnknown
}

func (r *Rights) endAt(text string) error {
	n, ok := seconds(text)
	if !ok {
		return errNumber
	}
	r.end(n)
	return nil
}

func (r *Rights) end(n int64) {
	if t := time.Unix(n, 0); t.Before(r.Expires) {
		r.Expires = t.UTC()
	}
}

func (r *Rights) beginAt(text string) error {
	n, ok := seconds(text)
	if !ok {
		return errNumber
	}
	r.begin(n)
	return nil
}

func (r *Rights) begin(n int64) {
	if t := time.Unix(n, 0); t.After(r.NotBefore) {
		r.NotBefore = t.UTC()
	}
}

// seconds reads ASCII digits, with spaces around. Python's int(), which
// devpi-tokens uses, takes more (a sign, low lines, other digits); a pass that
// has those is refused here.
func seconds(s string) (int64, bool) {
	s = strings.Trim(s, " ")
	if s == "" || len(s) > 18 {
		return 0, false
	}
	var n int64
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, n <= math.MaxInt64/4
}
