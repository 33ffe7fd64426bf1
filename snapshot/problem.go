package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/plumbing"
)

// A cause is how one kind of failure shows in what git says: one of the words must
// be in it. The order counts, as one failure says several things.
type cause struct {
	words []string
	make  func(a address, line string) *daypass.Problem
}

var causes = []cause{
	{[]string{"No space left on device", "Disk quota exceeded", "disk quota exceeded"}, full},
	{[]string{"Out of memory", "out of memory", "annot allocate memory"}, tooMuch},
	{[]string{"dubious ownership"}, dubious},
	{[]string{"error: object ", "fsck error", "error in object", "fsck failed", "badly formed tree"}, dangerous},
	{[]string{"transport '", "protocol '"}, notAllowed},
	{[]string{"Host key verification failed", "Permission denied (publickey", "Permission denied (keyboard", "Too many authentication failures", "no matching host key"}, sshKey},
	{[]string{"SSL certificate problem", "server certificate verification failed", "SSL peer certificate", "certificate verify failed", "unable to get local issuer", "error setting certificate", "CAfile", "no alternative certificate subject name", "SSL: no alternative"}, certificate},
	{[]string{"could not read Username", "could not read Password", "Authentication failed", "Repository not found", "returned error: 401", "returned error: 403", "returned error: 404", "told us to quit", "Access denied", "terminal prompts disabled",
		"HTTP Basic: Access denied", "does not appear to be a git repository", "not valid: is this a git repository", "unable to update url base from redirection", "access denied or repository not exported", "project you were looking for could not be found", "' not found"}, noAccess},
	{[]string{"Could not resolve", "Failed to connect", "Connection refused", "Connection timed out", "Connection reset", "Couldn't connect", "Network is unreachable", "No route to host", "Operation timed out", "Empty reply", "unable to connect", "Could not connect", "SSL_connect", "SSL connect", "gnutls_handshake", "CONNECT tunnel", "proxy", "Proxy", "Timeout was reached", "Temporary failure", "Name or service not known"}, unreachable},
	{[]string{"returned error: 5", "returned error: 429"}, unreachable},
	{[]string{"not our ref", "unadvertised object", "no such remote ref", "couldn't find remote ref"}, notGiven},
	{absent, notWhole},
	{[]string{"early EOF", "unexpected disconnect", "RPC failed", "invalid index-pack output", "hung up", "curl 18", "curl 56", "curl 92", "bad pack header", "protocol error", "expected flush", "unexpected EOF"}, broken},
	{[]string{"unable to access"}, unreachable},
	{[]string{"Could not read from remote repository"}, sshKey},
}

// ErrObjects: git could not read an object, or missed one. It may be what came, or what
// was here before.
var ErrObjects = errors.New("git misses objects, or cannot read them")

// absent is what git says of objects that are not there.
var absent = []string{"bad object ", "did not send all necessary objects", "did not receive expected object", "missing blob object", "missing tree object", "missing commit object", "bad tree object", "bad commit object", "unable to read tree", "unable to read "}

// unreadable is what it says of those that are damaged, and of a pack that builds upon them.
var unreadable = []string{"unresolved delta", "is corrupt", "object file ", "inflate", "garbage at end of loose", "invalid object", "cannot read existing object", "Could not read "}

// lacking reports whether git stumbled over objects. What the source says of its own does
// not count, nor that ssh could not read from it.
func lacking(text string) bool {
	for line := range strings.Lines(text) {
		own := !strings.HasPrefix(line, "remote: ") && !strings.Contains(line, "remote error: ") && !strings.Contains(line, "Could not read from")
		if own && slices.ContainsFunc(slices.Concat(absent, unreadable), func(word string) bool { return strings.Contains(line, word) }) {
			return true
		}
	}
	return false
}

// problem says for people what a failed git meant. text is what git said.
func problem(ctx context.Context, a address, text string, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return context.Cause(ctx) // whatever a git that was ended for it said
	}
	switch {
	case errors.Is(err, errIdle), errors.Is(err, errTimeout), errors.Is(err, context.DeadlineExceeded):
		return &daypass.Problem{Code: "DP-316", What: a.hostful + " did not bring the content in time", Why: err.Error(), Err: err, Kind: daypass.ErrUnreachable,
			Next: "Try again; what you have stays as it is.", Who: "If it stays, whoever runs this place can look at the network and at the time that is allowed."}
	case errors.Is(err, errLarge):
		return tooLarge(a, "more came than is allowed")
	case errors.Is(err, plumbing.ErrNoGit), errors.Is(err, plumbing.ErrOldGit):
		return NoGit(err)
	}
	for _, c := range causes {
		for line := range strings.Lines(text) {
			for _, word := range c.words {
				if strings.Contains(line, word) {
					p := c.make(a, told(text, line))
					if p.Err = err; lacking(text) {
						p.Err = errors.Join(err, ErrObjects)
					}
					return p
				}
			}
		}
	}
	return &daypass.Problem{Code: "DP-328", What: "git could not bring the content of " + a.hostful, Why: told(text, last(text)), Err: err,
		Next: "Try again. If it stays, send this message to whoever gave you the address."}
}

// told is the line that people should read: a helper's with a code of ours, else line.
func told(text, line string) string {
	for l := range strings.Lines(text) {
		if strings.Contains(l, "[DP-") {
			line = l
			break
		}
	}
	line = strings.TrimSpace(line)
	for _, prefix := range []string{"remote: ", "fatal: ", "error: "} {
		line = strings.TrimPrefix(line, prefix)
	}
	return strings.TrimSuffix(shown(Redact(line)), ".")
}

func last(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if strings.HasPrefix(lines[i], "fatal: ") {
			return lines[i]
		}
	}
	return lines[len(lines)-1]
}

func noAccess(a address, line string) *daypass.Problem {
	p := &daypass.Problem{Code: "DP-312", What: shown(Redact(a.url)) + " cannot be read", Why: "there is no such repository, or it is private and not yet yours to read",
		Next: "Check the address. If the repository is private, run `daypass login`, or connect on the page of your hub, and try again.",
		Who:  "Whoever gave you the address can say whether you have access.", Kind: daypass.ErrNoLogin}
	if strings.Contains(line, "[DP-") {
		p.Why = line
	}
	if a.scheme == "file" {
		p.Why, p.Next, p.Who = "there is no repository in that folder", "Check the path.", "Whoever gave you the address can say where it lies."
	}
	return p
}

func unreachable(a address, line string) *daypass.Problem {
	return &daypass.Problem{Code: "DP-313", What: a.hostful + " cannot be reached", Why: line, Kind: daypass.ErrUnreachable,
		Next: "Try again in a minute. What you have stays as it is.", Who: "If it stays, the admins know whether this machine needs a proxy (HTTPS_PROXY)."}
}

func certificate(a address, line string) *daypass.Problem {
	return &daypass.Problem{Code: "DP-314", What: a.hostful + " could not prove who it is", Why: line, Kind: daypass.ErrUnreachable,
		Next: "Set SSL_CERT_FILE to the certificates that your admins give out. Never switch the check off.", Who: "The admins have those certificates."}
}

func broken(a address, line string) *daypass.Problem {
	return &daypass.Problem{Code: "DP-319", What: "The content of " + a.hostful + " broke off on its way", Why: line, Kind: daypass.ErrUnreachable,
		Next: "Try again. What you have stays as it is."}
}

// incomplete says for people that an object is not there that had to come.
func incomplete(a address, err error) error {
	var p *daypass.Problem
	if !missing(err) || errors.As(err, &p) {
		return err
	}
	p = notWhole(a, err.Error())
	p.Err = err
	return p
}

func notWhole(a address, line string) *daypass.Problem {
	return &daypass.Problem{Code: "DP-319", What: "The content of " + a.hostful + " did not come whole", Why: line, Kind: daypass.ErrUnreachable,
		Next: "Try again. What you have stays as it is.", Who: "If it stays, whoever gave you the address can push it anew."}
}

func dangerous(a address, line string) *daypass.Problem {
	return &daypass.Problem{Code: "DP-320", What: "The repository at " + a.hostful + " holds what git takes for an attack or for damage", Why: line, Kind: daypass.ErrRefused,
		Next: "Send this message to whoever gave you the address. What you have stays as it is.", Who: "Its owner can run git fsck and push a mended history."}
}

func notAllowed(a address, line string) *daypass.Problem {
	return &daypass.Problem{Code: "DP-311", What: "Content is not pulled that way here", Why: line, Kind: daypass.ErrRefused,
		Next: "Use the repository's https address.", Who: "Whoever runs this place can allow it."}
}

func dubious(a address, _ string) *daypass.Problem {
	return &daypass.Problem{Code: "DP-322", What: "The repository in " + a.hostful + " belongs to somebody else", Why: "git does not read a stranger's repository on this machine", Kind: daypass.ErrRefused,
		Next: "Ask the admins to allow that folder.", Who: "An admin names it as safe.directory in the system's git configuration, or gives it to root."}
}

func sshKey(a address, line string) *daypass.Problem {
	return &daypass.Problem{Code: "DP-323", What: "ssh does not get in at " + a.hostful, Why: line, Kind: daypass.ErrNoLogin,
		Next: "Use the repository's https address; or run ssh to that host once in a terminal, so that its key is known and yours is tried."}
}

func full(address, string) *daypass.Problem {
	return &daypass.Problem{Code: "DP-327", What: "There is no room left on the disk, or in what of it is yours",
		Next: "Delete what you do not need and try again. What you have stays as it is.", Who: "The admins can give you more room."}
}

func notGiven(a address, line string) *daypass.Problem {
	return &daypass.Problem{Code: "DP-318", What: a.hostful + " does not give out this commit", Why: line,
		Next: "Ask for a branch or a tag in place of the commit.", Who: "Whoever gave you the address can say which."}
}

func tooLarge(a address, why string) *daypass.Problem {
	return &daypass.Problem{Code: "DP-317", What: "The content of " + a.hostful + " is larger than may be pulled here", Why: why, Kind: daypass.ErrRefused,
		Next: "Ask whoever gave you the address for a smaller repository or a folder of it.", Who: "Whoever runs this place can raise the limit."}
}

// tooMuch: git came to the end of the memory that it is given.
func tooMuch(a address, _ string) *daypass.Problem {
	p := tooLarge(a, "git would need more memory for it than it may have here")
	p.Who = ""
	return p
}

// NoGit says for people that there is no git, or one too old, as plumbing.Find and
// plumbing.Git.Check find.
func NoGit(err error) *daypass.Problem {
	return &daypass.Problem{Code: "DP-321", What: "Content cannot be pulled on this machine", Why: err.Error(), Err: err,
		Next: "Install git 2.32 or newer.", Who: "Whoever runs the machine can."}
}

// noRef names refs that look like the one that is not there.
func noRef(a address, ref string, near []string) *daypass.Problem {
	p := &daypass.Problem{Code: "DP-315", What: fmt.Sprintf("%s has no branch or tag %q", shown(Redact(a.url)), shown(ref)), Next: "Check the name."}
	if ref == "" { // the repository's HEAD names a branch that is not there
		p.What, p.Next = shown(Redact(a.url))+" does not say which of its branches to take", "Name a branch."
		p.Who = "Whoever looks after the repository can set its default branch."
	}
	switch {
	case len(near) > 0:
		p.Why = "there are " + strings.Join(near, ", ")
	case abbreviated(ref):
		p.Next = "If it is a commit, give its whole id, 40 digits."
	}
	return p
}

func abbreviated(ref string) bool {
	return len(ref) >= 7 && len(ref) < 40 && strings.Trim(ref, "0123456789abcdef") == ""
}
