package pullpage

import (
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"
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
	// Proposed says that it names a pull or merge request, a bare commit, or another
	// ref than a branch or a tag. Hosts show such of every fork at the address of the
	// repository, so that it is no word of the owner's.
	Proposed bool
	// Unnamed: Folder stands for one that is called as the source is, which its host
	// tells after somebody has agreed.
	Unnamed bool
	// Content is set where it is not git's, or is the access service's to give out.
	Content *Content
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

// withoutToken takes Jupyter's own token out of a query: who has it is logged in, and
// no page, form or address of ours has to pass it on.
func withoutToken(raw string) string {
	var out []string
	for pair := range strings.SplitSeq(raw, "&") {
		if name, _, _ := strings.Cut(pair, "="); strings.TrimSpace(strings.Map(spaced, unescape(name))) != "token" {
			out = append(out, pair)
		}
	}
	return strings.Join(out, "&")
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
	if err := l.whence(repo, v, s); err != nil {
		return Link{}, err
	}
	var err error
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

// whence reads where the content is.
func (l *Link) whence(repo string, v Values, s Settings) (err error) {
	if err := checkAddress(repo); err != nil {
		return err
	}
	if p, ok := s.plainSource(repo); ok {
		if v[sealedLogin] != "" {
			return secretLink()
		}
		l.fromPlace(p)
		return nil
	}
	l.Origin, err = readOrigin(repo)
	l.Proposed = l.Origin.proposed || proposed(l.Ref)
	return err
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
		target, l.Unnamed = l.Origin.folder, l.Content != nil && v.first("urlpath", "urlPath") == ""
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
	case strings.ContainsAny(target, "\\\x00?#") || len(target) > 1024:
		return badFolder(target, "that is no name of a folder")
	}
	clean := path.Clean(target)
	if !filepath.IsLocal(clean) {
		return badFolder(target, "it is outside of your files")
	}
	for part := range strings.SplitSeq(clean, "/") {
		if strings.HasPrefix(part, ".") {
			return badFolder(target, "hidden folders are not for content")
		}
		if len(part) > 255 {
			return badFolder(target, "a name in it is too long")
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
