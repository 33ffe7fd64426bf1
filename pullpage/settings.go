package pullpage

import (
	"encoding/json"
	"errors"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/resolve"
)

// SettingsVariable is the environment variable in which "daypass page" hands
// [Settings] to daypass-page, as JSON.
const SettingsVariable = "DAYPASS_PAGE"

// SecretVariable is the environment variable with the secret that the proxy's
// entry sends in [SecretHeader] with each request to a page on a port. A page on
// a socket in a private folder needs none.
const (
	SecretVariable = "DAYPASS_PAGE_SECRET"
	SecretHeader   = "X-Daypass-Page"
)

// Settings is what a site or a user has set, read by "daypass page" from the
// configuration and from nbgitpuller's own variables.
type Settings struct {
	// Program is the absolute path of daypass, which the page runs for each pull.
	Program string `json:"program"`
	// Parent is the folder below the server's root that all content goes into,
	// relative to it (NBGITPULLER_PARENTPATH); "" is the root itself. As with
	// nbgitpuller it may be absolute: [New] makes it relative.
	Parent string `json:"parent,omitempty"`
	// App opens content where a link does not say: "notebook", "lab" or "retro"
	// (NBGITPULLER_APP); "" is "notebook", as with nbgitpuller.
	App string `json:"app,omitempty"`
	// Depth is how many commits a first pull fetches (NBGITPULLER_DEPTH); 0 is all
	// of them, absent is 1.
	Depth *int `json:"depth,omitempty"`
	// Owners are those whose content comes without a question: "github.com/ORG",
	// "github.com/ORG/NAME",
	// "git.example.edu" for all of a host, "git.example.edu/group/sub". What is not
	// encrypted has to be listed with its scheme: "http://git.example.edu/ORG".
	Owners []string `json:"owners,omitempty"`
	// Home is where pull keeps what it knows of folders (".../daypass/pulls").
	Home string `json:"home"`
	// State is a folder of the page's own, for the progress of pulls that run and
	// the reports of those that ran (".../daypass/page").
	State string `json:"state"`
	// Version of daypass, for what a student sends to an instructor.
	Version string `json:"version,omitempty"`
	// Service is the address of the access service, where a host is connected; "" is
	// none.
	Service string `json:"service,omitempty"`
	// Sites are hosts of content that cannot be told by their names.
	Sites resolve.Sites `json:"sites,omitzero"`
	// Wrong is what is wrong with the site's settings, a [daypass.Problem] by the names
	// code, what, why, next and who. The page then tells that, and nothing else counts.
	Wrong map[string]string `json:"wrong,omitempty"`
}

// WrongSettings are those of a page that tells nothing but an error.
func WrongSettings(err error) Settings {
	p := problemOf(err)
	return Settings{Wrong: map[string]string{"code": p.Code, "what": p.What, "why": p.Why, "next": p.Next, "who": p.Who}}
}

func (s Settings) wrong() error {
	w := s.Wrong
	return &daypass.Problem{Code: w["code"], What: w["what"], Why: w["why"], Next: w["next"], Who: w["who"]}
}

// ReadSettings reads what [SettingsVariable] holds. An unknown field is an error:
// the two programs then are of different versions.
func ReadSettings(text string) (Settings, error) {
	var s Settings
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return Settings{}, badSettings("its settings are not those of this version", err)
	}
	if s.Wrong != nil {
		return Settings{Wrong: s.Wrong, Version: s.Version}, nil
	}
	return s, s.check()
}

func (s Settings) check() error {
	switch {
	case !filepath.IsAbs(s.Program):
		return badSettings("the path of daypass is not absolute", nil)
	case !filepath.IsAbs(s.Home) || !filepath.IsAbs(s.State):
		return badSettings("its own folders are not absolute paths", nil)
	case s.Depth != nil && *s.Depth < 0:
		return badSettings("the depth is below 0", nil)
	}
	if !filepath.IsAbs(s.Parent) {
		if _, err := s.parent(); err != nil {
			return badParent(s.Parent)
		}
	}
	return nil
}

// under makes the parent folder relative to the root that the server shows.
func (s *Settings) under(root string) error {
	if !filepath.IsAbs(s.Parent) {
		return nil
	}
	rel, err := filepath.Rel(root, filepath.Clean(s.Parent))
	if real, e := filepath.EvalSymlinks(root); (err != nil || !filepath.IsLocal(rel)) && e == nil {
		rel, err = filepath.Rel(real, filepath.Clean(s.Parent))
	}
	if err != nil || !filepath.IsLocal(rel) {
		return badParent(s.Parent)
	}
	s.Parent = filepath.ToSlash(rel)
	return nil
}

var errOutside = errors.New("leads out of where it has to stay")

// parent is Parent, cleaned; "" is the root.
func (s Settings) parent() (string, error) {
	if s.Parent == "" {
		return "", nil
	}
	p := path.Clean(s.Parent)
	switch {
	case p == ".":
		return "", nil
	case !filepath.IsLocal(p) || strings.ContainsAny(p, "\\\x00") || strings.HasPrefix(p, ".") || strings.Contains(p, "/."):
		return "", errOutside
	}
	return p, nil
}

// depth of a first pull, where the link does not say.
func (s Settings) depth() int {
	if s.Depth == nil {
		return 1
	}
	return *s.Depth
}

// trusts reports whether the site lists whose content this is, in all that its
// address may mean. An address that is not encrypted has to be listed as such.
func (s Settings) trusts(o Origin) bool {
	return s.lists(o) && !slices.ContainsFunc(o.also, func(o Origin) bool { return !s.lists(o) })
}

func (s Settings) lists(o Origin) bool {
	if o.Host == "" {
		return false
	}
	whole := daypass.FoldASCII(strings.TrimPrefix(o.String(), o.Host+"/")) + "/"
	return slices.ContainsFunc(s.Owners, func(entry string) bool {
		scheme, rest, named := strings.Cut(entry, "://")
		if !named {
			rest = entry
		}
		if named && scheme != o.Scheme || !named && o.Open() {
			return false
		}
		host, listed, some := strings.Cut(strings.Trim(rest, "/"), "/")
		return strings.EqualFold(host, o.Host) && (!some || strings.HasPrefix(whole, daypass.FoldASCII(listed)+"/"))
	})
}
