package pullpage

import (
	"net/url"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/daypass-dev/daypass/resolve"
)

// maxQuery bounds a link; servers and proxies pass no more than 8 KiB on.
const maxQuery = 8 << 10

// A Link is what an address of ours asks for, nbgitpuller's parameters read as
// nbgitpuller reads them.
type Link struct {
	Repo   string // as the link has it, but without white space around it
	Origin Origin // where that is, for people
	Ref    string // branch, tag or commit; "" is the default branch
	Folder string // below the server's root, cleaned, with "/": "courses/lab-3"
	Depth  int    // of a first pull; 0: all
	Backup bool   // set the folder aside first
	Target Target // where the browser goes afterwards
}

// Names under which the page is served, each with its own reading of a query.
const (
	NamePull     = "git-pull" // and "git-sync", which nbgitpuller once was
	NameInteract = "interact" // of the course that started it
	NameDaypass  = "daypass"
)

// Values are the arguments of a query, read as Tornado's get_argument reads them:
// of several the last counts, control characters are white space, and white space
// around is cut off.
type Values map[string]string

// ReadQuery reads the query of an address. It is an error where it is too long or
// holds bytes that are no UTF-8.
func ReadQuery(raw string) (Values, error) {
	v, err := readForm(raw, maxQuery)
	for name, value := range v {
		v[name] = strings.TrimSpace(strings.Map(spaced, value))
	}
	return v, err
}

// readForm reads the values as they are: names of files may be of any shape.
func readForm(raw string, most int) (Values, error) {
	if len(raw) > most {
		return nil, badLink("it is longer than any link that we can follow")
	}
	v := Values{}
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, value = unescape(name), unescape(value)
		if !utf8.ValidString(name) || !utf8.ValidString(value) {
			return nil, badLink("it holds bytes that are no text")
		}
		v[name] = value
	}
	return v, nil
}

// unescape reads escapes and leaves those as they are that are none, as Python does.
func unescape(s string) string {
	s = strings.ReplaceAll(s, "+", " ")
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func spaced(r rune) rune {
	if r < ' ' || r == 0x7f {
		return ' '
	}
	return r
}

// first is the first of the names that has a text.
func (v Values) first(names ...string) string {
	for _, n := range names {
		if v[n] != "" {
			return v[n]
		}
	}
	return ""
}

// ReadLink reads the values of a link to the page of that name.
func ReadLink(name string, v Values, s Settings) (Link, error) {
	if name == NameInteract {
		v = interact(v)
	}
	repo := v["repo"]
	switch {
	case repo == "":
		return Link{}, badLink("it names no repository (repo=…)")
	case strings.ContainsFunc(repo, func(r rune) bool { return r == utf8.RuneError }):
		return Link{}, badLink("the name of its repository is no text")
	case strings.HasPrefix(repo, "-"):
		return Link{}, badLink("what it names as repository is none")
	}
	l := Link{Repo: repo, Ref: v.first("branch", "ref"), Backup: v["backup"] != "", Depth: s.depth()}
	if strings.HasPrefix(l.Ref, "-") {
		return Link{}, badLink("what it names as branch is none")
	}
	var err error
	if l.Origin, err = readOrigin(repo); err != nil {
		return Link{}, err
	}
	if d := v["depth"]; d != "" {
		if l.Depth, err = strconv.Atoi(d); err != nil || l.Depth < 0 {
			return Link{}, badLink("its depth is no number")
		}
	}
	if err := l.place(v, s); err != nil {
		return Link{}, err
	}
	l.Target, err = readTarget(l, v, s)
	return l, err
}

// interact turns the parameters of the oldest links into those of today.
func interact(v Values) Values {
	out := Values{"branch": "gh-pages", "subPath": "."}
	account := "data-8"
	if a, ok := v["account"]; ok {
		account = a
	}
	if v["repo"] != "" {
		out["repo"] = "https://github.com/" + account + "/" + v["repo"]
	}
	for from, to := range map[string]string{"branch": "branch", "path": "subPath"} {
		if x, ok := v[from]; ok {
			out[to] = x
		}
	}
	return out
}

// place finds the folder that the content goes into.
func (l *Link) place(v Values, s Settings) error {
	parent, err := s.parent()
	if err != nil {
		return badSettings("the parent folder is not below the server's root", err)
	}
	target := v.first("targetpath", "targetPath")
	if target == "" {
		target = l.Origin.folder
	}
	return l.into(parent, target)
}

// into joins parent and target, where that is a place that a link may name.
func (l *Link) into(parent, target string) error {
	switch {
	case target == "" || strings.Trim(target, "/.") == "":
		return badFolder(target, "it names no folder of its own")
	case strings.HasPrefix(target, "/") || strings.HasPrefix(target, "~"):
		return badFolder(target, "it is outside of your files")
	case strings.ContainsAny(target, "\\\x00") || len(target) > 1024:
		return badFolder(target, "that is no name of a folder")
	}
	clean := path.Clean(target)
	if !filepath.IsLocal(clean) {
		return badFolder(target, "it is outside of your files")
	}
	for part := range strings.SplitSeq(clean, "/") {
		if strings.HasPrefix(part, ".") || len(part) > 255 {
			return badFolder(target, "hidden folders are not for content")
		}
	}
	for part := range strings.SplitSeq(target, "/") {
		if part == ".." {
			return badFolder(target, "it is outside of your files")
		}
	}
	l.Folder = path.Join(parent, clean)
	return nil
}

// An Origin is where content comes from, for people and for the list of owners.
type Origin struct {
	Host  string // "github.com", "git.example.edu:8443"; "" for a folder of this computer
	Owner string // "ORG", "group/sub"; may be empty
	Name  string // of the repository, without ".git"
	Ref   string // that the address itself names: .../tree/main

	folder string // that nbgitpuller would make
}

// String is how the origin is called: "github.com/ORG/lab-3".
func (o Origin) String() string {
	if o.Host == "" {
		return o.Name
	}
	return path.Join(o.Host, o.Owner, o.Name)
}

// Whose is the origin's owner: "github.com/ORG".
func (o Origin) Whose() string {
	if o.Host == "" {
		return "this computer"
	}
	return path.Join(o.Host, o.Owner)
}

// Same reports whether both belong to the same owner.
func (o Origin) Same(p Origin) bool {
	if o.Host == "" || p.Host == "" {
		return o.Host == p.Host && o.Name == p.Name
	}
	return strings.EqualFold(o.Host, p.Host) && strings.EqualFold(o.Owner, p.Owner)
}

// readOrigin reads where a repository is: as git would read the address, or, of a
// page of a git host, as [resolve.Parse] does.
func readOrigin(repo string) (Origin, error) {
	trimmed := strings.TrimRight(repo, "/")
	o := Origin{folder: trimmed[strings.LastIndexByte(trimmed, '/')+1:]}
	if _, _, err := splitAddress(repo); err != nil {
		return Origin{}, err
	}
	address := repo
	if pasted, err := resolve.Parse(repo); err == nil && len(pasted) > 0 && pasted[0].URL != "" {
		g := pasted[0]
		address = g.URL
		if g.Ref != "" || g.Path != "" || g.Pull != 0 {
			o.Ref, o.folder = g.Ref, resolve.Name(g.URL)
		}
	}
	host, where, err := splitAddress(address)
	if err != nil {
		return Origin{}, err
	}
	o.Host = host
	if host == "" {
		o.Name = where
		return o, nil
	}
	where = strings.TrimSuffix(strings.Trim(where, "/"), ".git")
	o.Owner, o.Name = path.Split(where)
	o.Owner = strings.Trim(o.Owner, "/")
	return o, nil
}

// splitAddress cuts what git clone takes into host and path. A password in it is an
// error: a link that is handed to a class is no place for one.
func splitAddress(address string) (host, where string, err error) {
	scheme, rest, ok := strings.Cut(address, "://")
	switch {
	case !ok && strings.Contains(address, "::"):
		return "", "", badLink("what it names as repository is a command of git's, not an address")
	case !ok:
		// "git@host:path", or a path
		h, p, colon := strings.Cut(address, ":")
		if !colon || strings.Contains(h, "/") {
			return "", address, nil
		}
		return strings.ToLower(h[strings.LastIndexByte(h, '@')+1:]), p, nil
	case strings.EqualFold(scheme, "file"):
		return "", rest, nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "", "", badLink("what it names as repository is no address")
	}
	if u.User != nil {
		if _, has := u.User.Password(); has || secretLooking(u.User.Username()) {
			return "", "", secretLink()
		}
	}
	return strings.ToLower(u.Host), u.Path, nil
}

// secretLooking reports whether a user name in an address is a token of a git host.
func secretLooking(name string) bool {
	for _, p := range []string{"ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "gloas-", "gldt-", "x-access-token", "x-oauth-basic"} {
		if strings.HasPrefix(strings.ToLower(name), p) {
			return true
		}
	}
	return len(name) >= 32
}
