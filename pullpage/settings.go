package pullpage

import (
	"encoding/json"
	"errors"
	"path"
	"path/filepath"
	"strings"
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
	// relative to it (NBGITPULLER_PARENTPATH); "" is the root itself.
	Parent string `json:"parent,omitempty"`
	// App opens content where a link does not say: "notebook", "lab" or "retro"
	// (NBGITPULLER_APP); "" is "notebook", as with nbgitpuller.
	App string `json:"app,omitempty"`
	// Depth is how many commits a first pull fetches (NBGITPULLER_DEPTH); 0 is all
	// of them, absent is 1.
	Depth *int `json:"depth,omitempty"`
	// Owners are those whose content comes without a question: "github.com/ORG",
	// "git.example.edu" for all of a host, "git.example.edu/group/sub".
	Owners []string `json:"owners,omitempty"`
	// Home is where pull keeps what it knows of folders (".../daypass/pulls").
	Home string `json:"home"`
	// State is a folder of the page's own, for the progress of pulls that run and
	// the reports of those that ran (".../daypass/page").
	State string `json:"state"`
	// Version of daypass, for what a student sends to an instructor.
	Version string `json:"version,omitempty"`
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
	if _, err := s.parent(); err != nil {
		return badSettings("the parent folder "+quoted(s.Parent)+" is not below the server's root", err)
	}
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
	case !filepath.IsLocal(p) || strings.ContainsAny(p, "\\\x00"):
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

// trusts reports whether the site lists whose content this is.
func (s Settings) trusts(o Origin) bool {
	if o.Host == "" {
		return false
	}
	for _, t := range s.Owners {
		host, owner, some := strings.Cut(strings.Trim(t, "/"), "/")
		if !strings.EqualFold(host, o.Host) {
			continue
		}
		if !some || strings.EqualFold(owner, o.Owner) || len(o.Owner) > len(owner) && strings.EqualFold(owner+"/", o.Owner[:len(owner)+1]) {
			return true
		}
	}
	return false
}
