// Go 1.25 and later start a goroutine, and with it a thread, that asks now and
// then how many processors there are. This program ends before.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// Command git-credential-daypass is the credential helper that git calls
// (gitcredentials(7)). It answers from the wallet and never writes to it; where
// there is nothing to answer it asks the daypass beside it, which knows the
// network, the configuration and what to tell the user.
//
// git starts it twice for every command that talks to a host, so it links
// little: no fmt, no encoding/json, no net.
package main

import (
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/gitcred"
	"github.com/daypass-dev/daypass/wallet"
)

const usage = `git-credential-daypass gives git the credentials that "daypass login" or your
hub made. git calls it; "daypass setup" tells git to.

Usage: git-credential-daypass get|store|erase|capability
       with git's lines of key=value on standard input

get         prints the narrowest credential that is good for the host and path
store       does nothing: only daypass writes to the wallet
erase       tells daypass that the host refused a credential that it gave
capability  prints what it can answer with

See "daypass --help" and git help credentials.
`

const (
	stdinWait = 5 * time.Second
	renewAt   = 60 * time.Second // with less left, a credential is renewed first
)

func main() {
	h := helper{getenv: variables(), uid: os.Geteuid(), now: time.Now}
	os.Exit(h.run(os.Args))
}

// A helper is one run of the program.
type helper struct {
	getenv func(string) string
	uid    int
	now    func() time.Time
}

// run returns the exit status. git-credential(1) reads none into it, so that
// only wrong usage has one.
func (h *helper) run(args []string) int {
	op := operation(args)
	switch op {
	case "get", "erase":
		req := new(gitcred.Request)
		if ok := h.request(req); ok && op == "get" {
			h.get(req)
		} else if ok {
			h.erase(req)
		}
	case "store": // the wallet is not filled from outside
		_, _ = gitcred.Read(&input{until: h.now().Add(stdinWait)})
	case "capability":
		write(1, "version 0\ncapability authtype\n")
	case "--help", "-h", "help":
		write(1, usage)
	case "--version", "version":
		write(1, "git-credential-daypass "+daypass.Version+"\n")
	case "":
		write(2, usage)
		return 2
	}
	return 0 // gitcredentials(7): other operations must be ignored silently
}

// operation is what git appends to the helper's own arguments. Under the name of
// the program that it succeeds, those arguments are known and mean nothing here.
func operation(args []string) string {
	if len(args) < 2 {
		return ""
	}
	if base(args[0]) == "git-credential-github-app" {
		return args[len(args)-1]
	}
	return args[1]
}

func base(path string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' {
			return path[i+1:]
		}
	}
	return path
}

// request reads and parses what git asks.
func (h *helper) request(req *gitcred.Request) bool {
	text, err := gitcred.Read(&input{until: h.now().Add(stdinWait)})
	if err == nil {
		*req, err = gitcred.Parse(text)
	}
	if err != nil {
		tell("git's request gets no answer: " + err.Error() + ". If you did not expect this, look at the URL that git was given. [DP-114]")
		return false
	}
	return req.Served()
}

// get answers git or says nothing.
func (h *helper) get(req *gitcred.Request) {
	repo, kind := req.Repo()
	if kind == gitcred.OtherPath {
		return
	}
	authority, ok := h.authority()
	if !ok {
		return
	}
	want := wallet.Want{Authority: authority, Scheme: req.Protocol, Username: req.Username,
		Scope: daypass.Scope{Host: req.Host, Access: daypass.Read, All: kind == gitcred.NoPath}}
	if kind == gitcred.RepoPath {
		want.Scope.Repos = []daypass.Repo{repo}
	}
	now := h.now()
	w, err := wallet.Open(wallet.Options{Getenv: h.getenv, UID: h.uid, Now: h.now})
	if err != nil {
		h.miss(req, &want, nil, nil)
		return
	}
	e, err := w.Search(&want)
	if e == nil || err != nil {
		entries, ended, _ := w.List()
		h.miss(req, &want, entries, ended)
		return
	}
	if !e.Credential.Usable(now, renewAt) && e.Renewable(now) {
		if a, err := h.ask("get", req, false); err == nil && a.Whole() {
			give(a)
			return
		}
		if !e.Credential.Usable(h.now(), 0) {
			return
		}
	}
	if kind == gitcred.RepoPath {
		h.notice(e, repo)
	}
	give(req.For(e.Credential.Username, e.Credential.Token, expires(e)))
}

// notice tells that a push may fail where login did not see the repository: git
// tells a helper nothing of a 403.
func (h *helper) notice(e *wallet.Entry, repo daypass.Repo) {
	if e.Credential.Scope.All && !e.Saw(repo) {
		tell("login did not see " + repo.String() + " among the repositories this App may push to; a 403 means the App is not installed there: " + installLink(e) + " [DP-111]")
	}
}

func installLink(e *wallet.Entry) string {
	if e.AppURL != "" {
		return e.AppURL
	}
	return e.WebURL + "/settings/installations"
}

// expires is the end that git is told; 0 where there is none.
func expires(e *wallet.Entry) int64 {
	until := e.Credential.Scope.Until
	if !e.RenewUntil.IsZero() && e.RenewUntil.Before(until) {
		until = e.RenewUntil
	}
	if !until.Before(daypass.Forever) {
		return 0
	}
	return until.Unix()
}

// authority returns whom this process acts for. A pass that was meant and cannot
// be read leaves nobody: the login may do more than whoever set it meant.
func (h *helper) authority() (wallet.Authority, bool) {
	a, err := wallet.Presenting(h.getenv)
	if err == wallet.ErrToken {
		tell(err.Error() + ". Give it the pass that was meant, or unset it. [DP-113]")
		return "", false
	}
	if err != nil {
		tell(oneLine(err.Error()) + ". Name a file that is yours and that nobody else can write, or unset DAYPASS_TOKEN_FILE. [DP-113]")
		return "", false
	}
	return a, true
}

// miss is a get that the wallet has no answer for. One that cannot be read counts
// as empty: daypass, which is asked then, says what is wrong with it.
func (h *helper) miss(req *gitcred.Request, want *wallet.Want, entries []wallet.Entry, ended []wallet.Ended) {
	known, named, limited, fallThrough := false, false, false, false
	for _, e := range entries {
		s := e.Credential.Scope
		if e.Authority != want.Authority || s.Host != want.Scope.Host || e.Scheme != want.Scheme {
			continue
		}
		known = true
		fallThrough = fallThrough || e.FallThrough
		named = named || e.Named(req.Username)
		limited = limited || !s.All && e.Named(req.Username) && e.Credential.Usable(h.now(), 0) && !e.Over(h.now())
	}
	if known && !named {
		return // another account's
	}
	for _, d := range ended {
		if d.Authority == want.Authority && d.Host == want.Scope.Host {
			known = true
			fallThrough = fallThrough || d.FallThrough
		}
	}
	mayQuit := !fallThrough && (req.Username == "" || req.Username == wallet.AnyUsername)
	quit := known && mayQuit
	if want.Scope.All && limited {
		tell("git did not say which repository, and the credential for " + req.Host +
			" is good for some only. Run: git config --global credential." + req.Protocol + "://" + req.Host + ".useHttpPath true [DP-112]")
		give(gitcred.Answer{Quit: quit})
		return
	}
	a, err := h.ask("get", req, mayQuit)
	switch {
	case err != nil:
		tell(oneLine(err.Error()) + " [DP-110]")
		give(gitcred.Answer{Quit: quit})
	default:
		give(a)
	}
}

// erase tells daypass where the host refused a credential of ours. The secret
// must be given and be the same: anyone can ask git to forget a host.
func (h *helper) erase(req *gitcred.Request) {
	if req.Password.IsZero() && req.Credential.IsZero() {
		return
	}
	authority, ok := h.authority()
	if !ok {
		return
	}
	w, err := wallet.Open(wallet.Options{Getenv: h.getenv, UID: h.uid, Now: h.now})
	if err != nil {
		return
	}
	// An access service may be named in a file that only daypass reads. It knows
	// then whose the entry is, and drops nobody else's.
	anyones := authority == wallet.Login && h.getenv("JUPYTERHUB_API_TOKEN") != ""
	entries, _, _ := w.List()
	for _, e := range entries {
		if e.Authority != authority && !anyones || e.Scheme != req.Protocol || e.Credential.Scope.Host != req.Host || !ours(req, &e) {
			continue
		}
		if _, err := h.ask("erase", req, false); err != nil {
			tell(oneLine(err.Error()) + " [DP-110]")
		}
		return
	}
}

// ours reports whether the secret in the request is the entry's.
func ours(req *gitcred.Request, e *wallet.Entry) bool {
	c := &e.Credential
	if !req.Password.IsZero() {
		return req.Password.Equal(c.Token)
	}
	return daypass.FoldEqual(req.AuthType, "Basic") &&
		(req.Credential.Equal(gitcred.Basic(c.Username, c.Token)) || req.Credential.Equal(gitcred.Basic(wallet.AnyUsername, c.Token))) ||
		daypass.FoldEqual(req.AuthType, "Bearer") && req.Credential.Equal(c.Token)
}

// give prints an answer in one write, so that git never reads half of one.
func give(a gitcred.Answer) {
	if out := a.Append(make([]byte, 0, 256)); len(out) > 0 {
		writeAll(1, out)
	}
}

// tell prints one line for the user.
func tell(s string) { write(2, "daypass: "+harmless(s)+"\n") }

func write(fd int, s string) { writeAll(fd, []byte(s)) }

func writeAll(fd int, b []byte) {
	for len(b) > 0 {
		n, err := syscall.Write(fd, b)
		if err == syscall.EINTR || err == syscall.EAGAIN {
			continue
		}
		if err != nil {
			return
		}
		b = b[n:]
	}
}

// oneLine puts the lines of a joined error behind each other.
func oneLine(s string) string {
	out := make([]byte, 0, len(s)+8)
	for i := 0; i < len(s); i++ {
		if s[i] == '\n' {
			out = append(out, ": "...)
			continue
		}
		out = append(out, s[i])
	}
	return string(out)
}

// harmless writes what a terminal would obey as an escape: control bytes, marks
// that reorder text, and whatever is not UTF-8. Tabs and line ends stay.
func harmless(s string) string {
	var out []byte
	for _, r := range s {
		switch {
		case r == '\n' || r == '\t':
			out = append(out, byte(r))
		case r < 0x20 || 0x7f <= r && r < 0xa0 || r == 0xfffd || r == 0xad || r == 0x61c || r == 0xfeff ||
			0x200b <= r && r <= 0x200f || 0x2028 <= r && r <= 0x202e || 0x2060 <= r && r <= 0x206f || r >= 0xe0000:
			q := strconv.QuoteRuneToASCII(r)
			out = append(out, q[1:len(q)-1]...)
		default:
			out = append(out, string(r)...)
		}
	}
	return string(out)
}
