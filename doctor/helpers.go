package doctor

import (
	"context"
	"strings"

	"github.com/daypass-dev/daypass/gitconf"
)

// helpers tells every helper that git knows for the hosts, where each is
// configured, and what it means beside daypass. git hands each token that works
// to every helper that it asks (gitcredentials(7)), so one that stores keeps it.
func (s *scan) helpers(ctx context.Context) []Finding {
	var out []Finding
	for _, origin := range s.Origins {
		list, err := s.Git.Helpers(ctx, s.dir(), origin)
		if err != nil {
			out = append(out, Finding{Code: "git-config-unreadable", Level: Bad, Title: "git's helpers for " + host(origin) + " cannot be told", Detail: gitconf.Show(err.Error())})
			continue
		}
		asked, err := s.Git.Asks(ctx, s.dir(), origin, s.Helper)
		if err != nil {
			continue
		}
		switch {
		case !asked.Any:
			out = append(out, Finding{Code: "helper-missing", Level: Warn, Title: "git does not ask daypass for " + host(origin), Fix: "Run: daypass setup"})
		case !asked.First:
			out = append(out, Finding{Code: "helper-not-first", Level: Warn, Title: "git asks another helper before daypass for " + host(origin),
				Detail: "If that one answers, daypass is not asked.", Fix: "Run: daypass setup"})
		case !asked.HTTPPath:
			out = append(out, Finding{Code: "helper-no-path", Level: Warn, Title: "git does not tell daypass which repository of " + host(origin) + " it needs",
				Detail: "credential.useHttpPath is off, so a token for one repository cannot be chosen.", Fix: "Run: daypass setup"})
		default:
			out = append(out, Finding{Code: "helper-ok", Level: OK, Title: "git asks daypass first for " + host(origin)})
		}
		for _, h := range list {
			out = append(out, s.helper(ctx, origin, h, asked))
		}
	}
	return out
}

// resets reports whether the host's section makes git forget the helpers read
// before it. Only then does moving it last silence them; a setup that keeps
// other helpers has none.
func (s *scan) resets(ctx context.Context, origin string) bool {
	list, err := s.Git.List(ctx, "")
	if err != nil {
		return false
	}
	for _, e := range list {
		if e.Key == "credential."+origin+".helper" && e.Reveal() == "" {
			return true
		}
	}
	return false
}

func (s *scan) helper(ctx context.Context, origin string, h gitconf.Helper, asked gitconf.Asked) Finding {
	where := h.File
	if where == "" {
		where = "the environment (GIT_CONFIG_COUNT)"
	}
	f := Finding{Detail: "Configured in " + s.tilde(where) + " (" + h.Scope + ")."}
	name := host(origin) + ": " + s.hideHome(h.Value)
	local := h.Scope == gitconf.ScopeLocal || h.Scope == gitconf.ScopeWorktree
	other := false
	for _, o := range asked.Others {
		other = other || o == h
	}
	switch {
	case h.Silenced:
		f.Code, f.Level, f.Title = "helper-silenced", OK, "helper "+name+" is silenced"
	case !other:
		f.Code, f.Level, f.Title = "helper-daypass", OK, "helper "+name
	case local:
		f.Code, f.Level, f.Title = "helper-repository", Bad, "this repository adds the helper "+name
		f.Detail += " git runs it and shows it the tokens that daypass gives here."
		f.Fix = "If you did not add it, remove it: git config --local --unset-all credential.helper"
	case !asked.Any:
		f.Code, f.Level, f.Title = "helper-other", Note, "helper "+name
	default:
		f.Code, f.Level, f.Title = "helper-copies", Warn, "helper "+name+" gets a copy of each token"
		if h.Kind == gitconf.KindStore {
			f.Level = Bad
			f.Detail += " It keeps them in a file."
		}
		f.Fix = "Run: daypass setup, or remove that line."
		if h.Scope == gitconf.ScopeGlobal && s.Setup.Git.Path != "" && s.resets(ctx, origin) {
			f = f.fixed(func(ctx context.Context) error {
				_, err := s.Setup.MoveLast(ctx, false)
				return err
			})
		}
	}
	return f
}

// hideHome shortens the home folder inside a helper's command.
func (s *scan) hideHome(text string) string {
	if s.home != "" && s.home != "/" {
		text = strings.ReplaceAll(text, s.home+"/", "~/")
	}
	return gitconf.Show(text)
}
