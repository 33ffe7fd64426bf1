package doctor

import (
	"context"
	"net/url"
	"strings"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/gitconf"
)

func newSecret(s string) daypass.Secret { return daypass.NewSecret(strings.TrimSpace(s)) }

// proxies names what stands between this machine and the hosts.
func (s *scan) proxies() []Finding {
	var out []Finding
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"} {
		if v := s.Getenv(name); v != "" {
			out = append(out, proxy(name, v))
		}
	}
	return out
}

// gitProxies are git's own, which only git obeys.
func (s *scan) gitProxies(context.Context) []Finding {
	var out []Finding
	for _, e := range s.entries {
		if strings.HasPrefix(e.Key, "http.") && strings.HasSuffix(e.Key, ".proxy") && e.Reveal() != "" {
			name := "http.proxy"
			if e.Subsection() != "" {
				name += " for " + host(e.Subsection())
			}
			f := proxy("git's "+name, e.Reveal())
			f.Detail = strings.TrimSpace(f.Detail + " In " + s.at(e) + ".")
			out = append(out, f)
		}
	}
	return out
}

// proxy shows a proxy's host and nothing else of it.
func proxy(name, value string) Finding {
	if !strings.Contains(value, "://") {
		value = "http://" + value
	}
	f := Finding{Code: "proxy", Level: Note, Title: name + " is set"}
	u, err := url.Parse(value)
	if err != nil || u.Hostname() == "" {
		f.Level, f.Detail, f.Fix = Warn, "Its value is not a URL.", "Set it as http://HOST:PORT."
		return f
	}
	f.Title = name + " is " + gitconf.Show(u.Host)
	if _, has := u.User.Password(); has {
		f.Code, f.Level, f.Detail = "proxy-password", Warn, "It has a password in it, which every process of yours can read."
	}
	return f
}

// environment finds tokens that every program started here is given.
func (s *scan) environment() []Finding {
	var out []Finding
	for _, name := range []string{
		"GITHUB_TOKEN", "GH_TOKEN", "GITHUB_ENTERPRISE_TOKEN", "GH_ENTERPRISE_TOKEN", "GITHUB_PAT", "GITHUB_ACCESS_TOKEN", "GITHUB_API_TOKEN",
		"GITLAB_TOKEN", "GL_TOKEN", "GIT_TOKEN", "GIT_PASSWORD", "HOMEBREW_GITHUB_API_TOKEN",
	} {
		secret := newSecret(s.Getenv(name))
		if secret.IsZero() {
			continue
		}
		out = append(out, Finding{Code: "env-token", Level: Warn, Title: name + " holds " + secret.Hint(),
			Detail: "Every program that is started here can read it.",
			Fix:    "Stop setting it where it is set: your shell's start files, or the hub's configuration. " + revoke(secret, "")})
	}
	return out
}
