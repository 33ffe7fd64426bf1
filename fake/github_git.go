package fake

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/cgi"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// git over HTTP: gitprotocol-http(5), served by git http-backend(1). Who may
// do what is decided before git starts; the path that git sees is made from
// the repository's number, never from the request.

// A gitService is one of the requests that git's smart protocol knows.
type gitService struct {
	suffix string // what git http-backend gets after the repository
	write  bool
	query  string
}

// gitPath takes the path of a git request apart. The names are of GitHub's
// own alphabet, so that nothing else ever becomes part of a look-up.
func gitPath(r *http.Request) (repo string, s gitService, ok bool) {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if len(parts) < 3 {
		return "", s, false
	}
	switch rest := strings.Join(parts[2:], "/"); {
	case r.Method == http.MethodGet && rest == "info/refs":
		service := r.URL.Query().Get("service")
		if service != "git-upload-pack" && service != "git-receive-pack" {
			return "", s, false // the dumb protocol, which GitHub does not speak
		}
		s = gitService{suffix: "/info/refs", write: service == "git-receive-pack", query: "service=" + service}
	case r.Method == http.MethodPost && (rest == "git-upload-pack" || rest == "git-receive-pack"):
		s = gitService{suffix: "/" + rest, write: rest == "git-receive-pack"}
	default:
		return "", s, false
	}
	name := strings.TrimSuffix(parts[1], ".git")
	return parts[0] + "/" + name, s, validOwner(parts[0]) && validName(name)
}

func validOwner(s string) bool {
	return s != "" && len(s) <= 39 && s[0] != '-' && onlyOf(s, alphanumeric+"-")
}

func validName(s string) bool {
	return s != "" && len(s) <= 100 && s != "." && s != ".." && onlyOf(s, alphanumeric+"._-")
}

func onlyOf(s, alphabet string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return !strings.ContainsRune(alphabet, c) })
}

// serveGit decides, and lets git answer what is allowed.
func (g *GitHub) serveGit(w http.ResponseWriter, r *http.Request, full string, s gitService) {
	d := g.decideGit(r, full, s)
	if d.redirect != "" {
		w.Header().Set("Location", g.webURL(r)+"/"+d.redirect+s.suffix+optionalQuery(s.query))
		w.WriteHeader(http.StatusMovedPermanently)
		return
	}
	if d.status != 0 {
		if d.status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="GitHub"`)
		}
		w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
		w.WriteHeader(d.status)
		io.WriteString(w, d.message)
		return
	}
	dir, err := g.bare(r.Context(), d.repo)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	g.runBackend(w, r, dir, s, d)
}

func optionalQuery(q string) string {
	if q == "" {
		return ""
	}
	return "?" + q
}

// A gitDecision is an answer, a redirect, or leave to go on.
type gitDecision struct {
	status    int // 0: go on
	message   string
	redirect  string // OWNER/NAME.git
	repo      Repo
	login     string
	workflows bool // may change .github/workflows
}

// What GitHub says; git prints it after "remote: ". Collected from issue
// threads, for no page documents them.
const (
	gitBadToken  = "Invalid username or token. Password authentication is not supported for Git operations.\n"
	gitNotFound  = "Repository not found.\n"
	gitNoAccess  = "Write access to repository not granted.\n"
	gitArchived  = "This repository was archived so it is read-only.\n"
	gitNeedLogin = "No anonymous write access.\n"
)

// decideGit is the table of who gets what. Without credentials a private
// repository and one that does not exist look the same.
func (g *GitHub) decideGit(r *http.Request, full string, s gitService) gitDecision {
	g.mu.Lock()
	defer g.mu.Unlock()
	var t *token
	if scheme, _, secret := authorization(r); scheme != "" {
		if t = g.live(secret); t == nil {
			return gitDecision{status: http.StatusUnauthorized, message: gitBadToken}
		}
	}
	repo, moved := g.repoNamed(full), false
	if repo == nil {
		repo, moved = g.renamed(full), true
	}
	if t == nil && (repo == nil || repo.Private) {
		return gitDecision{status: http.StatusUnauthorized, message: gitNotFound}
	}
	if repo == nil {
		return gitDecision{status: http.StatusNotFound, message: gitNotFound}
	}
	have := g.tokenAccess(t, repo)
	if moved && have > AccessNone {
		return gitDecision{redirect: repo.FullName() + ".git"}
	}
	if t == nil && s.write {
		return gitDecision{status: http.StatusUnauthorized, message: gitNeedLogin}
	}
	if have == AccessNone || s.write && have < AccessWrite {
		return g.refuseGit(t, repo, s)
	}
	if s.write && repo.Archived {
		return gitDecision{status: http.StatusForbidden, message: gitArchived}
	}
	d := gitDecision{repo: *repo}
	if t != nil {
		d.login = t.user
		d.workflows = slices.Contains(t.scopes, "workflow")
		if t.app.Kind == GitHubApp {
			d.workflows = g.permissions(t, repo)["workflows"] == "write"
		}
		if t.install != 0 {
			d.login = t.app.Slug + "[bot]"
		}
	}
	return d
}

// refuseGit chooses the words for a token that may not.
func (g *GitHub) refuseGit(t *token, repo *Repo, s gitService) gitDecision {
	if t.install != 0 && g.tokenAccess(t, repo) > AccessNone {
		return gitDecision{status: http.StatusForbidden, message: gitNoAccess}
	}
	may := userAccess(t.user, repo, false)
	if may == AccessNone {
		return gitDecision{status: http.StatusNotFound, message: gitNotFound}
	}
	if o := g.ssoMissing(t, repo.Owner); o != nil && userAccess(t.user, repo, true) > AccessNone {
		return gitDecision{status: http.StatusForbidden, message: fmt.Sprintf(
			"The `%s' organization has enabled or enforced SAML SSO. To access\nthis repository, you must re-authorize the OAuth Application `%s`.\n",
			o.Login, t.app.Name)}
	}
	hidden := !s.write || g.sw.HideUninstalled && g.tokenAccess(t, repo) == AccessNone
	if hidden {
		return gitDecision{status: http.StatusNotFound, message: gitNotFound}
	}
	if may >= AccessWrite && g.tokenAccess(t, repo) == AccessRead && g.installed(t.app, repo) != nil {
		// The App itself was not given contents: write.
		return gitDecision{status: http.StatusForbidden, message: gitNoAccess}
	}
	return gitDecision{status: http.StatusForbidden, message: "Permission to " + repo.FullName() + ".git denied to " + t.user + ".\n"}
}

// maxPush bounds what a push may send: it is kept in a temporary file.
const maxPush = 512 << 20

// runBackend lets git http-backend answer. Of the request it sees the method,
// the body and the few headers that the protocol needs.
func (g *GitHub) runBackend(w http.ResponseWriter, r *http.Request, dir string, s gitService, d gitDecision) {
	header := http.Header{}
	for _, k := range []string{"Content-Type", "Content-Encoding", "Git-Protocol", "Accept", "Accept-Encoding"} {
		if v := r.Header.Get(k); v != "" {
			header.Set(k, v)
		}
	}
	in := &http.Request{
		Method: r.Method, Host: "localhost", RemoteAddr: "127.0.0.1:1", Header: header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		URL:  &url.URL{Path: "/" + filepath.Base(dir) + s.suffix, RawQuery: s.query},
		Body: http.NoBody,
	}
	if r.Method == http.MethodPost {
		body, n, err := spool(g.gitRoot, http.MaxBytesReader(w, r.Body, maxPush))
		if err != nil {
			http.Error(w, "fake: read the request: "+err.Error(), http.StatusBadRequest)
			return
		}
		defer body.Close()
		in.Body, in.ContentLength = body, n
	}
	var stderr bytes.Buffer
	h := &cgi.Handler{
		Path: g.git, Args: []string{"http-backend"}, Dir: filepath.Dir(dir),
		Env: append(gitEnv(),
			"GIT_PROJECT_ROOT="+filepath.Dir(dir), "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER="+d.login,
			"FAKE_WORKFLOWS="+strconv.FormatBool(d.workflows)),
		Logger: log.New(io.Discard, "", 0), Stderr: &stderr,
	}
	if s.suffix == "/git-receive-pack" {
		report := &bufferedResponse{header: http.Header{}}
		h.ServeHTTP(report, in.WithContext(r.Context()))
		report.body = rewriteReport(report.body)
		report.send(w)
		return
	}
	h.ServeHTTP(w, in.WithContext(r.Context()))
}

// spool keeps a body in a file that is gone when it is closed. CGI needs the
// length, which git does not send with a large push.
func spool(dir string, body io.Reader) (*os.File, int64, error) {
	f, err := os.CreateTemp(dir, ".push-")
	if err != nil {
		return nil, 0, err
	}
	os.Remove(f.Name())
	n, err := io.Copy(f, body)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, n, nil
}

// gitEnv keeps the machine's own configuration of git out.
func gitEnv() []string {
	return []string{
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0", "HOME=/nonexistent", "LC_ALL=C",
		"GIT_AUTHOR_NAME=Octo Researcher", "GIT_AUTHOR_EMAIL=octo@example.org", "GIT_AUTHOR_DATE=2020-01-02T03:04:05Z",
		"GIT_COMMITTER_NAME=Octo Researcher", "GIT_COMMITTER_EMAIL=octo@example.org", "GIT_COMMITTER_DATE=2020-01-02T03:04:05Z",
	}
}

// bare returns the repository's folder and makes it if nobody has yet.
func (g *GitHub) bare(ctx context.Context, r Repo) (string, error) {
	if r.Dir != "" {
		return r.Dir, nil
	}
	if g.git == "" || g.gitRoot == "" {
		return "", fmt.Errorf("fake: no git program or folder configured")
	}
	dir := filepath.Join(g.gitRoot, fmt.Sprintf("%d.git", r.ID))
	g.making.Lock()
	defer g.making.Unlock()
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	tmp, err := os.MkdirTemp(g.gitRoot, ".new-")
	if err != nil {
		return "", fmt.Errorf("fake: make %s: %w", r.FullName(), err)
	}
	if err := g.fill(context.WithoutCancel(ctx), tmp, r); err != nil {
		os.RemoveAll(tmp)
		return "", fmt.Errorf("fake: make %s: %w", r.FullName(), err)
	}
	return dir, os.Rename(tmp, dir)
}

func (g *GitHub) fill(ctx context.Context, dir string, r Repo) error {
	if err := g.runGit(ctx, dir, nil, "init", "--quiet", "--bare", "--template=", "--initial-branch=main", "."); err != nil {
		return err
	}
	for _, kv := range [][2]string{{"http.receivepack", "true"}, {"uploadpack.allowFilter", "true"}, {"gc.auto", "0"}} {
		if err := g.runGit(ctx, dir, nil, "config", kv[0], kv[1]); err != nil {
			return err
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "hooks"), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "hooks", "pre-receive"), []byte(workflowHook), 0o755); err != nil {
		return err
	}
	files := r.Files
	if files == nil {
		files = map[string]string{"README.md": "# " + r.Name + "\n"}
	}
	if len(files) == 0 {
		return nil
	}
	return g.runGit(ctx, dir, importStream(files), "fast-import", "--quiet")
}

// importStream is one commit for git-fast-import(1).
func importStream(files map[string]string) *bytes.Buffer {
	var b bytes.Buffer
	message := "Begin"
	b.WriteString("commit refs/heads/main\n")
	b.WriteString("author Octo Researcher <octo@example.org> 1577934245 +0000\n")
	b.WriteString("committer Octo Researcher <octo@example.org> 1577934245 +0000\n")
	fmt.Fprintf(&b, "data %d\n%s\n", len(message), message)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&b, "M 100644 inline %s\ndata %d\n%s\n", strconv.Quote(name), len(files[name]), files[name])
	}
	b.WriteString("done\n")
	return &b
}

// runGit runs git in dir with nothing of the machine's configuration.
func (g *GitHub) runGit(ctx context.Context, dir string, in io.Reader, args ...string) error {
	cmd := exec.CommandContext(ctx, g.git, args...)
	cmd.Dir = dir
	cmd.Env = append(gitEnv(), "PATH="+os.Getenv("PATH"))
	cmd.Stdin = in
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %s: %w: %s", args[0], err, bytes.TrimSpace(out))
	}
	return nil
}

// Bare returns the folder of a repository's bare git repository, and makes it
// if git has not asked for it yet: for tests that look at what was pushed.
func (g *GitHub) Bare(ctx context.Context, full string) (string, error) {
	g.mu.Lock()
	r := g.repoNamed(full)
	g.mu.Unlock()
	if r == nil {
		return "", fmt.Errorf("fake: no repository %s", full)
	}
	return g.bare(ctx, *r)
}

// AddRepo adds a repository and makes its folder. An ID of 0 is given a number.
func (g *GitHub) AddRepo(ctx context.Context, r Repo) (Repo, error) {
	g.mu.Lock()
	if r.ID == 0 {
		g.nextID++
		r.ID = g.nextID
	}
	if g.repoNamed(r.FullName()) != nil || g.repoWith(r.ID) != nil {
		g.mu.Unlock()
		return Repo{}, fmt.Errorf("fake: add %s: its name or number is taken", r.FullName())
	}
	added := newRepo(r)
	g.repos = append(g.repos, added)
	g.indexRepo(added)
	g.mu.Unlock()
	if g.git == "" {
		return r, nil
	}
	_, err := g.bare(ctx, r)
	return r, err
}
