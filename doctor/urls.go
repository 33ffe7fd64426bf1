package doctor

import (
	"context"
	"strings"

	"github.com/daypass-dev/daypass/gitconf"
)

// remotes finds tokens and passwords in the URLs of remotes. Everybody who can
// read the repository's files can read them, and git hands them to other
// programs in their arguments.
func (s *scan) remotes(context.Context) []Finding {
	var out []Finding
	for _, e := range s.entries {
		parts := strings.Split(e.Key, ".")
		last := parts[len(parts)-1]
		if parts[0] != "remote" && parts[0] != "submodule" || last != "url" && last != "pushurl" {
			continue
		}
		secrets := gitconf.Secrets(e.Reveal())
		if len(secrets) == 0 {
			continue
		}
		f := Finding{Code: "url-token", Level: Bad, Title: "the " + gitconf.Show(parts[0]+" "+e.Subsection()) + " has " + hints(secrets) + " in its " + last,
			Detail: "In " + s.at(e) + ".",
			Fix:    "Take it out of the URL: daypass doctor --fix. " + revoke(secrets[0], host(e.Reveal()))}
		if e.File != "" {
			key := e.Key
			f = f.fixed(s.rewrite(e.File, func(k, value string) (string, bool) {
				if k == key {
					return gitconf.WithoutUserinfo(value), true
				}
				return value, true
			}))
		}
		out = append(out, f)
	}
	return out
}

func (s *scan) rewrite(file string, change func(key, value string) (string, bool)) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := s.Git.Rewrite(ctx, file, change)
		return err
	}
}

// rewrites looks at url.BASE.insteadOf: a token in BASE goes into every URL of
// the host, and a rule that makes ssh of https keeps git from asking any helper.
func (s *scan) rewrites(context.Context) []Finding {
	var out []Finding
	for _, e := range s.entries {
		base := e.Subsection()
		if !strings.HasPrefix(e.Key, "url.") || !strings.HasSuffix(e.Key, "insteadof") {
			continue
		}
		secrets := append(gitconf.Secrets(base), gitconf.Secrets(e.Reveal())...)
		if len(secrets) > 0 {
			f := Finding{Code: "insteadof-token", Level: Bad, Title: "a rule of url.*.insteadOf puts " + hints(secrets) + " into the URLs of " + host(base),
				Detail: "In " + s.at(e) + ".",
				Fix:    "Remove the rule: daypass doctor --fix. " + revoke(secrets[0], host(base))}
			if e.File != "" {
				f = f.fixed(s.rewrite(e.File, func(key, value string) (string, bool) {
					rule := strings.HasPrefix(key, "url.") && strings.HasSuffix(key, "insteadof")
					return value, !rule || len(gitconf.Secrets(key)) == 0 && len(gitconf.Secrets(value)) == 0
				}))
			}
			out = append(out, f)
			continue
		}
		if ssh, err := gitconf.ParseRemote(base + "o/r"); err == nil && ssh.Scheme == "ssh" && s.serves(e.Reveal()) {
			what := "fetches and pushes"
			if strings.HasSuffix(e.Key, ".pushinsteadof") {
				what = "pushes"
			}
			out = append(out, Finding{Code: "insteadof-ssh", Level: Warn, Title: what + " by https become ssh for " + host(e.Reveal()),
				Detail: "url." + gitconf.Show(base) + " in " + s.at(e) + "; over ssh git asks no helper.",
				Fix:    "If daypass should be used, remove that rule."})
		}
	}
	return out
}

// serves reports whether a URL begins at one of the hosts that daypass serves.
func (s *scan) serves(raw string) bool {
	for _, o := range s.Origins {
		if raw == o || strings.HasPrefix(raw, o+"/") {
			return true
		}
	}
	return false
}

// settings finds secrets in other settings: user.ghtoken, as ContainDS had it
// set, headers that git sends, and helpers that print a password.
func (s *scan) settings(context.Context) []Finding {
	var out []Finding
	for _, e := range s.entries {
		switch {
		case e.Key == "user.ghtoken" || e.Key == "github.token" || e.Key == "github.password":
			secret := newSecret(e.Reveal())
			if secret.IsZero() {
				continue
			}
			f := Finding{Code: "config-token", Level: Bad, Title: e.Key + " holds " + secret.Hint(), Detail: "In " + s.at(e) + ".",
				Fix: "Remove it: daypass doctor --fix. " + revoke(secret, "")}
			if e.File != "" {
				key := e.Key
				f = f.fixed(s.rewrite(e.File, func(k, value string) (string, bool) { return value, k != key }))
			}
			out = append(out, f)
		case strings.HasPrefix(e.Key, "http.") && strings.HasSuffix(e.Key, ".extraheader") && secretHeader(e.Reveal()):
			out = append(out, Finding{Code: "header-token", Level: Bad, Title: "git sends a secret header to " + headerHost(e.Subsection()),
				Detail: "http.extraHeader in " + s.at(e) + "; the header itself is not shown.",
				Fix:    "Remove that line, and revoke the token in it where it was made."})
		case strings.HasPrefix(e.Key, "credential.") && strings.HasSuffix(e.Key, ".helper") && (len(gitconf.Secrets(e.Reveal())) > 0 || strings.Contains(e.Reveal(), "password=")):
			out = append(out, Finding{Code: "helper-token", Level: Bad, Title: "a credential.helper has a password in its command", Detail: "In " + s.at(e) + ".",
				Fix: "Remove that line, and revoke the password where it was made."})
		}
	}
	return out
}

func headerHost(section string) string {
	if section == "" {
		return "every host"
	}
	return host(section)
}

func secretHeader(v string) bool {
	name, _, ok := strings.Cut(strings.ToLower(v), ":")
	if !ok {
		return false
	}
	return strings.Contains(name, "auth") || strings.Contains(name, "token") || strings.Contains(name, "cookie") || strings.Contains(name, "key") || len(gitconf.Secrets(v)) > 0
}
