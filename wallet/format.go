package wallet

import (
	"errors"
	"strconv"
	"time"

	"github.com/daypass-dev/daypass"
)

// The form of a wallet, in a file, in a key and between machines: a line with
// its name and version, one line per entry or end with fields parted by tabs,
// and a last line that counts them, so that a torn file shows. No field can
// hold a tab, a line end or another control byte.
const (
	header   = "daypass-wallet "
	version  = "1"
	maxFile  = 1 << 20
	maxEntry = 24 << 10 // a key's payload is at most 32 KiB (keyrings(7))
	maxSeen  = 4 << 10
)

const (
	entryTag    = "entry"
	endedTag    = "ended"
	countTag    = "count"
	entryFields = 23
	endedFields = 7
)

// ErrDamaged reports a wallet that is not what this program wrote.
var ErrDamaged = errors.New("wallet: damaged")

// ErrVersion reports a wallet of another version of daypass.
type ErrVersion struct{ Found string }

// Error tells which version was found.
func (e ErrVersion) Error() string {
	return "wallet: written by another version of daypass (form " + strconv.Quote(e.Found) + ", this one reads form " + version + ")"
}

// Encode writes entries for another machine: without what renews them, since a
// refresh token works once and two holders would lose it to each other.
func Encode(entries []Entry) []byte {
	var b book
	for _, e := range entries {
		e = e.WithoutRenewal()
		e.Origin = "copy"
		b.entries = append(b.entries, e)
	}
	return b.append(nil)
}

// Decode reads what [Encode] wrote and nothing else.
func Decode(b []byte) ([]Entry, error) {
	got, err := parseBook(string(b))
	if err != nil {
		return nil, err
	}
	for _, e := range got.entries {
		if err := e.valid(); err != nil || !e.Refresh.IsZero() || !e.RenewUntil.IsZero() || e.Origin != "copy" {
			return nil, ErrDamaged
		}
	}
	if len(got.ended) > 0 || len(got.entries) > maxEntries {
		return nil, ErrDamaged
	}
	return got.entries, nil
}

func (b book) append(out []byte) []byte {
	out = append(out, header+version+"\n"...)
	for _, e := range b.entries {
		out = appendEntry(out, e)
	}
	for _, d := range b.ended {
		out = appendEnded(out, d)
	}
	out = append(out, countTag+"\t"...)
	out = strconv.AppendInt(out, int64(len(b.entries)+len(b.ended)), 10)
	return append(out, '\n')
}

func parseBook(text string) (book, error) {
	var out book
	var f fields
	err := scan(text, &f, func(string) error {
		if f.tag == endedTag {
			d, err := parseEnded(&f)
			out.ended = append(out.ended, d)
			return err
		}
		var e Entry
		err := parseEntry(&f, &e)
		out.entries = append(out.entries, e)
		return err
	})
	if err != nil {
		return book{}, err
	}
	return out, nil
}

// scan calls f for each entry and end of a wallet that is whole, with the line
// and its parts in fs.
func scan(text string, fs *fields, f func(line string) error) error {
	if len(text) > maxFile {
		return ErrDamaged
	}
	first, rest, ok := cutByte(text, '\n')
	if !ok || len(first) <= len(header) || first[:len(header)] != header {
		return ErrDamaged
	}
	if v := first[len(header):]; v != version {
		return ErrVersion{Found: v}
	}
	for n := 0; ; n++ {
		var line string
		if line, rest, ok = cutByte(rest, '\n'); !ok || !fs.parse(line) {
			return ErrDamaged
		}
		switch fs.tag {
		case entryTag, endedTag:
			if err := f(line); err != nil {
				return err
			}
		case countTag:
			if count, err := strconv.Atoi(fs.v[0]); err != nil || count != n || fs.n != 1 || rest != "" {
				return ErrDamaged
			}
			return nil
		default:
			return ErrDamaged
		}
	}
}

// fields are the parts of one line.
type fields struct {
	tag string
	n   int
	v   [entryFields]string
}

// parse cuts a line at its tabs.
func (f *fields) parse(line string) bool {
	if !printable(line) {
		return false
	}
	var more bool
	f.tag, line, more = cutByte(line, '\t')
	for f.n = 0; more; f.n++ {
		if f.n == len(f.v) {
			return false
		}
		f.v[f.n], line, more = cutByte(line, '\t')
	}
	return f.n > 0
}

// printable reports whether a line holds no control byte but tabs.
func printable(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 && s[i] != '\t' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

func cutByte(s string, c byte) (before, after string, found bool) {
	for i := 0; i < len(s); i++ {
		if s[i] == c {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

func fieldsOf(e Entry) fields {
	s := e.Credential.Scope
	seen, complete := e.Seen, e.SeenComplete
	if len(join(seen)) > maxSeen {
		seen, complete = nil, false // half a list would warn of what is fine
	}
	return fields{tag: entryTag, n: entryFields, v: [entryFields]string{
		string(e.Authority), e.Scheme, s.Host, s.Access.String(), seconds(s.Until), repoList(s),
		e.Credential.Account, e.Credential.Username, e.Credential.Token.Reveal(), e.Origin, e.ProviderName,
		e.WebURL, e.APIURL, e.AppURL, e.ClientID, flag(e.FallThrough),
		e.Refresh.Reveal(), seconds(e.RefreshUntil), seconds(e.RenewUntil), flag(complete), join(seen), e.Name, e.Email,
	}}
}

func appendEntry(out []byte, e Entry) []byte {
	f := fieldsOf(e)
	return f.append(out)
}

func (f *fields) append(out []byte) []byte {
	out = append(out, f.tag...)
	for _, v := range f.v[:f.n] {
		out = append(out, '\t')
		out = append(out, v...)
	}
	return append(out, '\n')
}

// credential reads the part of an entry that decides whether it answers.
func (f *fields) credential(e *Entry) error {
	v := &f.v
	var until, renew, repos bool
	e.Authority, e.Scheme = Authority(v[0]), v[1]
	s := &e.Credential.Scope
	s.Host, s.Access = v[2], daypass.ParseAccess(v[3])
	s.Until, until = parseSeconds(v[4])
	s.All, s.Repos, repos = parseRepoList(v[5])
	e.RenewUntil, renew = parseSeconds(v[18])
	e.Credential.Account, e.Credential.Username = v[6], v[7]
	if f.n != entryFields || !until || !renew || !repos || s.Empty() ||
		e.Authority == "" || e.Scheme != "https" && e.Scheme != "http" {
		return ErrDamaged
	}
	return nil
}

func parseEntry(f *fields, e *Entry) error {
	if err := f.credential(e); err != nil {
		return err
	}
	v := &f.v
	var ok [4]bool
	e.Credential.Token = daypass.NewSecret(v[8])
	e.Origin, e.ProviderName, e.WebURL, e.APIURL, e.AppURL, e.ClientID = v[9], v[10], v[11], v[12], v[13], v[14]
	e.FallThrough, ok[0] = parseFlag(v[15])
	e.Refresh = daypass.NewSecret(v[16])
	e.RefreshUntil, ok[1] = parseSeconds(v[17])
	e.SeenComplete, ok[2] = parseFlag(v[19])
	e.Seen, ok[3] = parseJoined(v[20])
	e.Name, e.Email = v[21], v[22]
	if ok != [4]bool{true, true, true, true} || e.Credential.Token.IsZero() {
		return ErrDamaged
	}
	return nil
}

func appendEnded(out []byte, d Ended) []byte {
	f := fields{tag: endedTag, n: endedFields}
	copy(f.v[:], []string{string(d.Authority), d.Host, d.Account, d.ProviderName, seconds(d.At), d.Reason, flag(d.FallThrough)})
	return f.append(out)
}

func parseEnded(f *fields) (Ended, error) {
	v := &f.v
	d := Ended{Authority: Authority(v[0]), Host: v[1], Account: v[2], ProviderName: v[3], Reason: v[5]}
	var ok [2]bool
	d.At, ok[0] = parseSeconds(v[4])
	d.FallThrough, ok[1] = parseFlag(v[6])
	if f.n != endedFields || !ok[0] || !ok[1] || d.Authority == "" || d.Host == "" {
		return Ended{}, ErrDamaged
	}
	return d, nil
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

func parseFlag(s string) (value, ok bool) { return s == "1", s == "0" || s == "1" }

func seconds(t time.Time) string {
	if t.IsZero() {
		return "0"
	}
	return strconv.FormatInt(t.Unix(), 10)
}

func parseSeconds(s string) (time.Time, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > 1<<37 || len(s) > 1 && (s[0] == '0' || s[0] == '+') {
		return time.Time{}, false
	}
	if n == 0 {
		return time.Time{}, true
	}
	return time.Unix(n, 0).UTC(), true
}

func join(list []string) string {
	var out []byte
	for i, s := range list {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, s...)
	}
	return string(out)
}

func parseJoined(s string) ([]string, bool) {
	if s == "" {
		return nil, true
	}
	var out []string
	for more := true; more; {
		var one string
		if one, s, more = cutByte(s, ','); one == "" {
			return nil, false
		}
		out = append(out, one)
	}
	return out, true
}

// repoList writes "*" for all, or OWNER/NAME#ID for each with what is known.
func repoList(s daypass.Scope) string {
	if s.All {
		return "*"
	}
	names := make([]string, 0, len(s.Repos))
	for _, r := range s.Repos {
		if r == (daypass.Repo{}) {
			continue
		}
		name := r.String()
		if r.ID != 0 {
			name += "#" + strconv.FormatInt(r.ID, 10)
		}
		names = append(names, name)
	}
	return join(names)
}

func parseRepoList(s string) (all bool, repos []daypass.Repo, ok bool) {
	if s == "*" {
		return true, nil, true
	}
	names, ok := parseJoined(s)
	for _, name := range names {
		name, id, hasID := cutByte(name, '#')
		var r daypass.Repo
		if name != "" {
			if r, ok = splitName(name); !ok {
				return false, nil, false
			}
		}
		if hasID {
			n, err := strconv.ParseInt(id, 10, 64)
			if err != nil || n <= 0 {
				return false, nil, false
			}
			r.ID = n
		}
		if r == (daypass.Repo{}) {
			return false, nil, false
		}
		repos = append(repos, r)
	}
	return false, repos, ok && len(repos) > 0
}

// splitName cuts at the last slash: some hosts nest owners.
func splitName(s string) (daypass.Repo, bool) {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == '/' {
			return daypass.Repo{Owner: s[:i], Name: s[i+1:]}, i > 0 && i < len(s)-1
		}
	}
	return daypass.Repo{}, false
}
