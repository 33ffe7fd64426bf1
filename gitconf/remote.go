package gitconf

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/daypass-dev/daypass"
)

// A RemoteURL is where a remote is, without who asks: no user and no password.
type RemoteURL struct {
	Scheme string       // "https", "http" or "ssh"
	Host   string       // in lower case; with its port, unless the scheme is ssh
	Path   string       // without slashes around it, as written
	Repo   daypass.Repo // zero where the path is not OWNER/NAME
}

var errRemote = errors.New("not the URL of a repository on a git host")

// ParseRemote reads https, http and ssh URLs and git's short form
// [USER@]HOST:PATH (git-fetch(1), GIT URLS). Anything else, and anything with
// control bytes, is an error. The error never repeats the URL.
func ParseRemote(raw string) (RemoteURL, error) {
	if !plain(raw) || strings.ContainsAny(raw, " \\") || len(raw) > 4096 {
		return RemoteURL{}, errRemote
	}
	var out RemoteURL
	scheme, _, full := strings.Cut(raw, "://")
	if full {
		u, err := url.Parse(raw)
		if err != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
			return RemoteURL{}, errRemote
		}
		out = RemoteURL{Scheme: strings.ToLower(scheme), Host: daypass.FoldASCII(u.Host), Path: u.EscapedPath()}
		if out.Scheme == "ssh" {
			out.Host = daypass.FoldASCII(u.Hostname())
		}
	} else {
		host, path, ok := strings.Cut(raw, ":")
		if !ok || strings.Contains(host, "/") {
			return RemoteURL{}, errRemote
		}
		host = host[strings.LastIndexByte(host, '@')+1:]
		if len(host) == 1 { // a drive of Windows
			return RemoteURL{}, errRemote
		}
		out = RemoteURL{Scheme: "ssh", Host: daypass.FoldASCII(host), Path: path}
	}
	if out.Scheme != "https" && out.Scheme != "http" && out.Scheme != "ssh" || !hostName(out.Host) {
		return RemoteURL{}, errRemote
	}
	out.Path = strings.TrimSuffix(strings.TrimPrefix(out.Path, "/"), "/")
	if out.Path == "" {
		return RemoteURL{}, errRemote
	}
	out.Repo, _ = parseRepo(out.Path)
	return out, nil
}

func parseRepo(path string) (daypass.Repo, bool) {
	r, ok := daypass.ParseRepo(strings.TrimSuffix(path, ".git"))
	if !ok || strings.HasSuffix(r.Name, ".git") {
		return daypass.Repo{}, false
	}
	return r, true
}

func hostName(h string) bool {
	if h == "" || h[0] == '-' || h[0] == '.' {
		return false
	}
	for _, c := range h {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.ContainsRune(".-_:[]", c)) {
			return false
		}
	}
	return true
}

// HTTPS returns the URL that git would use with `setup --ssh`: https in place of
// ssh, without a user. An http URL stays one.
func (r RemoteURL) HTTPS() string {
	scheme := r.Scheme
	if scheme == "ssh" {
		scheme = "https"
	}
	return scheme + "://" + r.Host + "/" + r.Path
}

// A Remote is one URL of a remote of a repository.
type Remote struct {
	Name  string
	Entry Entry  // the line that sets it; its value may hold a secret
	Push  bool   // a pushurl
	URL   string // what git uses after url.*.insteadOf; may hold a secret
}

// String names the remote; a secret in its URL is hidden.
func (r Remote) String() string { return printable(Redact(r.Name + " " + r.URL)) }

// GoString is String, so that no verb of fmt shows a secret.
func (r Remote) GoString() string { return r.String() }

// Remotes returns the remotes of the repository at dir, as configured and as
// git would use them.
func (g Git) Remotes(ctx context.Context, dir string) ([]Remote, error) {
	list, err := g.List(ctx, dir)
	if err != nil {
		return nil, err
	}
	var out []Remote
	for _, e := range list {
		section, name, key := e.parts()
		if section != "remote" || name == "" || key != "url" && key != "pushurl" {
			continue
		}
		r := Remote{Name: name, Entry: e, Push: key == "pushurl"}
		r.URL = insteadOf(list, e.value)
		out = append(out, r)
	}
	return out, nil
}

// PushURL returns the URL that `git push REMOTE` would use, after insteadOf and
// pushInsteadOf. It may hold a secret.
func (g Git) PushURL(ctx context.Context, dir, remote string) (string, error) {
	all, err := g.Remotes(ctx, dir)
	if err != nil {
		return "", err
	}
	for _, push := range []bool{true, false} {
		for _, r := range all {
			if r.Name != remote || r.Push != push {
				continue
			}
			if push {
				return r.URL, nil
			}
			list, err := g.List(ctx, dir)
			if err != nil {
				return "", err
			}
			if to, ok := rewrite(list, r.Entry.value, "pushinsteadof"); ok {
				return to, nil
			}
			return r.URL, nil
		}
	}
	return "", fmt.Errorf("no remote %q here", printable(remote))
}

// insteadOf applies url.BASE.insteadOf: the longest value that begins the URL
// wins, and rewriting is done once (git-config(1)). A pushurl is rewritten by
// insteadOf and never by pushInsteadOf.
func insteadOf(list []Entry, raw string) string {
	if to, ok := rewrite(list, raw, "insteadof"); ok {
		return to
	}
	return raw
}

func rewrite(list []Entry, raw, key string) (string, bool) {
	best, base := -1, ""
	for _, e := range list {
		section, sub, name := e.parts()
		if section == "url" && name == key && strings.HasPrefix(raw, e.value) && len(e.value) > best && e.value != "" {
			best, base = len(e.value), sub
		}
	}
	if best < 0 {
		return "", false
	}
	return base + raw[best:], true
}

// Repository returns the folder of git's own files for dir, and false where dir
// is in no repository that git trusts.
func (g Git) Repository(ctx context.Context, dir string) (string, bool) {
	out, err := g.run(ctx, job{dir: dir, args: []string{"rev-parse", "--absolute-git-dir"}})
	if err != nil {
		return "", false
	}
	return strings.TrimSuffix(string(out), "\n"), true
}

// WorkflowChanges reports whether commits of HEAD that the remote has not seen
// change .github/workflows: GitHub takes those only from an App that may write
// workflows. A remote that was never fetched has seen nothing. The repository is not
// trusted: no hook, no monitor, no transport and no diff program of its
// configuration runs.
func (g Git) WorkflowChanges(ctx context.Context, dir, remote string) (bool, error) {
	if remote == "" || !plain(remote) || strings.ContainsAny(remote, "*?[\\ ") || remote[0] == '-' {
		return false, fmt.Errorf("no remote %q here", printable(remote))
	}
	safe := []string{"-c", "core.fsmonitor=false", "-c", "core.hooksPath=" + "/dev/null", "-c", "core.attributesFile=/dev/null", "-c", "protocol.allow=never"}
	// Objects that a partial clone lacks are fetched by older gits while they
	// walk; no protocol is allowed, so that this runs nothing.
	env := []string{"GIT_ALLOW_PROTOCOL=none", "GIT_NO_LAZY_FETCH=1", "GIT_NO_REPLACE_OBJECTS=1"}
	out, err := g.run(ctx, job{dir: dir, env: env, args: append(safe, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")})
	if exitCode(err) == 1 {
		return false, nil // no commit yet
	}
	if err != nil {
		return false, fmt.Errorf("look at the repository: %w", err)
	}
	head := strings.TrimSpace(string(out))
	out, err = g.run(ctx, job{dir: dir, env: env, args: append(safe, "rev-list", "--max-count=1", head, "--not", "--remotes="+remote, "--", ":(top).github/workflows")})
	if err != nil {
		return false, fmt.Errorf("look at the commits that are not pushed: %w", err)
	}
	return len(out) > 0, nil
}
