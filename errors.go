package daypass

import "errors"

// The kinds of failure that callers act on. Each has one exit code, in
// [ExitCode], and later one HTTP status.
var (
	ErrUsage       = errors.New("wrong usage")                   // exit 2
	ErrNoLogin     = errors.New("not logged in, or expired")     // exit 3
	ErrRefused     = errors.New("refused")                       // exit 4: by rules or by the upstream
	ErrUnreachable = errors.New("an upstream cannot be reached") // exit 5
)

// ExitCode returns the exit code of the command line's contract: 0 done; 1
// failed; 2 wrong usage; 3 not logged in or expired; 4 refused; 5 unreachable.
func ExitCode(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, ErrUsage):
		return 2
	case errors.Is(err, ErrNoLogin):
		return 3
	case errors.Is(err, ErrRefused):
		return 4
	case errors.Is(err, ErrUnreachable):
		return 5
	}
	return 1
}

// A Problem is a failure told to a person: what failed, why, what they can do,
// who else can, and a code that the manual explains (doc/errors.md).
type Problem struct {
	Code string // such as "DP-204"
	What string // "GitHub did not grant access to octo/data"
	Why  string // "the App is not installed there"; may be empty
	Next string // what the reader can do, a sentence
	Who  string // who else can do something about it, a sentence; may be empty
	Kind error  // one of the errors above; nil means a plain failure
	Err  error  // the underlying error, for errors.Is; never shown
}

// Error returns the whole message on one line.
func (p *Problem) Error() string {
	s := p.What
	if p.Why != "" {
		s += ": " + p.Why
	}
	s += "."
	if p.Next != "" {
		s += " " + p.Next
	}
	if p.Who != "" {
		s += " " + p.Who
	}
	return s + " [" + p.Code + "]"
}

// Unwrap returns the kind and the underlying error.
func (p *Problem) Unwrap() []error {
	var out []error
	if p.Kind != nil {
		out = append(out, p.Kind)
	}
	if p.Err != nil {
		out = append(out, p.Err)
	}
	return out
}
