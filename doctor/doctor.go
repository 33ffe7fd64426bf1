// Package doctor looks for what is wrong on a machine: git settings that keep
// daypass from being asked or copy its tokens, secrets that lie about, files
// that others can read or write. It looks at the files of the person who runs
// it and at git's settings, and asks no network. It knows no command line.
//
// No finding holds a secret: each is shown by [daypass.Secret.Hint] only.
package doctor

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/gitconf"
)

// Level is how bad a finding is.
type Level string

// The levels, from good to bad.
const (
	OK   Level = "ok"
	Note Level = "note" // worth knowing
	Warn Level = "warn" // will cause trouble, or a secret that need not be there
	Bad  Level = "bad"  // git cannot work so, or others can read or use a secret
)

func (l Level) rank() int { return strings.Index("ok  notewarnbad ", string(l)) / 4 }

// A Finding is one thing that a check saw.
type Finding struct {
	Code    string `json:"code"` // stable, such as "helper-other"
	Level   Level  `json:"level"`
	Title   string `json:"title"`            // one line
	Detail  string `json:"detail,omitempty"` // where, and what follows from it
	Fix     string `json:"fix,omitempty"`    // what the reader can do
	Fixable bool   `json:"fixable"`          // [Fix] can do it

	mend func(context.Context) error
}

func (f Finding) fixed(mend func(context.Context) error) Finding {
	f.Fixable, f.mend = true, mend
	return f
}

// ErrNotFixable says that a person must do what a finding's Fix says.
var ErrNotFixable = errors.New("this is not for daypass to mend")

// Fix mends what f tells. What is mended already is no error. Keys, .netrc and
// other programs' token files are never touched.
func Fix(ctx context.Context, f Finding) error {
	if !f.Fixable || f.mend == nil {
		return ErrNotFixable
	}
	return f.mend(ctx)
}

// Options say where to look.
type Options struct {
	Git    gitconf.Git   // the zero Git: there is none, and only files are looked at
	Setup  gitconf.Setup // used to put setup's blocks last
	Getenv func(string) string

	Dir     string   // a folder that may be in a repository; "" looks at none
	Origins []string // the hosts that daypass serves; none means https://github.com
	Helper  string   // absolute path of git-credential-daypass
	Binary  string   // absolute path of daypass itself; "" looks at none
	Tmp     string   // "" means /tmp
}

// A scan is one run of all checks.
type scan struct {
	Options
	home    string
	entries []gitconf.Entry // git's configuration as in Dir
	repo    bool            // Dir is in a repository
}

// Scan runs every check, and returns what they found in an order that does not
// change from run to run.
func Scan(ctx context.Context, o Options) []Finding {
	if o.Getenv == nil {
		o.Getenv = func(string) string { return "" }
	}
	if len(o.Origins) == 0 {
		o.Origins = []string{"https://github.com"}
	}
	if o.Tmp == "" {
		o.Tmp = "/tmp"
	}
	s := &scan{Options: o, home: o.Getenv("HOME")}
	var out []Finding
	if o.Git.Path == "" {
		out = append(out, Finding{Code: "git-missing", Level: Bad, Title: "git was not found", Fix: "Install git, or load its module."})
	} else {
		out = append(out, s.version(ctx)...)
		broken := s.readConfig(ctx)
		out = append(out, broken...)
		for _, check := range []func(context.Context) []Finding{s.helpers, s.remotes, s.rewrites, s.settings, s.identity, s.gitProxies} {
			if broken == nil {
				out = append(out, check(ctx)...)
			}
		}
	}
	for _, check := range []func() []Finding{s.stores, s.netrc, s.ghHosts, s.keys, s.modes, s.proxies, s.environment} {
		out = append(out, check()...)
	}
	return out
}

// readConfig lists git's configuration once for all checks.
func (s *scan) readConfig(ctx context.Context) []Finding {
	if s.Dir != "" {
		_, s.repo = s.Git.Repository(ctx, s.Dir)
	}
	var err error
	if s.entries, err = s.Git.List(ctx, s.dir()); err != nil {
		return []Finding{{Code: "git-config-unreadable", Level: Bad, Title: "git cannot read its configuration",
			Detail: s.hideHome(err.Error()) + ".", Fix: "Mend the line that git names."}}
	}
	return nil
}

// dir is the repository's folder, and "" outside of any.
func (s *scan) dir() string {
	if s.repo {
		return s.Dir
	}
	return ""
}

// at names a file of a setting for people.
func (s *scan) at(e gitconf.Entry) string {
	if e.File == "" {
		return "the environment (GIT_CONFIG_COUNT)"
	}
	return s.tilde(e.File)
}

// tilde shortens the home folder, which often holds a person's name.
func (s *scan) tilde(path string) string {
	if s.home != "" && s.home != "/" {
		if path == s.home {
			path = "~"
		} else if rest, ok := strings.CutPrefix(path, s.home+"/"); ok {
			path = "~/" + rest
		}
	}
	return gitconf.Show(path)
}

func (s *scan) inHome(parts ...string) string {
	return filepath.Join(append([]string{s.home}, parts...)...)
}

func (s *scan) configHome() string {
	if x := s.Getenv("XDG_CONFIG_HOME"); filepath.IsAbs(x) {
		return x
	}
	return s.inHome(".config")
}

// host returns the host of a URL for people; "its host" if there is none.
func host(raw string) string {
	if u, err := url.Parse(raw); err == nil && u.Host != "" {
		return gitconf.Show(u.Host)
	}
	return "its host"
}

// revoke says where a secret is made worthless. The places are those of
// GitHub's and GitLab's settings pages.
func revoke(secret daypass.Secret, host string) string {
	if host == "" || host == "its host" {
		host = "github.com"
	}
	page := ""
	switch v := secret.Reveal(); {
	case strings.HasPrefix(v, "github_pat_"), strings.HasPrefix(v, "ghp_"):
		page = "/settings/tokens"
	case strings.HasPrefix(v, "gho_"):
		page = "/settings/applications"
	case strings.HasPrefix(v, "ghu_"), strings.HasPrefix(v, "ghr_"):
		page = "/settings/apps/authorizations"
	case strings.HasPrefix(v, "ghs_"):
		return "It ends by itself within an hour of its making."
	case strings.HasPrefix(v, "gl"):
		if host == "github.com" {
			host = "gitlab.com"
		}
		page = "/-/user_settings/personal_access_tokens"
	default:
		return "Change it at " + host + "."
	}
	return "Revoke it at https://" + host + page + "."
}

// hints shows secrets for people.
func hints(list []daypass.Secret) string {
	var out []string
	for _, s := range list {
		out = append(out, s.Hint())
	}
	return strings.Join(out, ", ")
}

func isOwn(fi os.FileInfo) bool { uid, ok := owner(fi); return ok && uid == os.Geteuid() }
