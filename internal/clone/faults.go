package clone

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/daypass-dev/daypass"
)

// broken says that what stands at .git is no repository.
func broken(dir, why string) error {
	return &daypass.Problem{
		Code: "DP-345", What: fmt.Sprintf("%s is not a working git repository", dir), Why: why,
		Next: "Pull into another folder, or again with --backup: what is there is put aside, and nothing of it is lost.",
		Err:  ErrBroken,
	}
}

// foreign says that a repository is left alone because of where its parts are.
func foreign(dir, why string) error {
	return &daypass.Problem{
		Code: "DP-346", What: fmt.Sprintf("%s is not written to", dir), Why: why,
		Next: "Pull into another folder.", Kind: daypass.ErrRefused, Err: ErrForeign,
	}
}

// unknownForm says the same because of how it is kept.
func unknownForm(dir, why string) error {
	return &daypass.Problem{
		Code: "DP-347", What: fmt.Sprintf("%s is kept in a form that daypass cannot write", dir), Why: why,
		Next: "Pull into another folder, or use git in this one.", Kind: daypass.ErrRefused, Err: ErrForeign,
	}
}

func badConfig(dir string, err error) error {
	return &daypass.Problem{
		Code: "DP-348", What: "git's configuration in " + dir + " cannot be read", Why: err.Error(),
		Next: "Mend the file config there, or pull into another folder.", Err: errors.Join(ErrBroken, err),
	}
}

func lockedBy(path string) error {
	return &daypass.Problem{
		Code: "DP-349", What: "another git command is at work in this folder", Why: path + " is there",
		Next: "Wait until it has ended, then pull again. A lock that a dead command left is taken away after a minute.",
		Err:  ErrLocked,
	}
}

func moved(what string) error {
	return &daypass.Problem{
		Code: "DP-350", What: "the repository changed while it was being updated", Why: what,
		Next: "Nothing of yours was touched. Pull again.", Err: ErrMoved,
	}
}

func inTheWay(ref, other string) error {
	return &daypass.Problem{
		Code: "DP-351", What: fmt.Sprintf("%s cannot be made", ref), Why: fmt.Sprintf("git keeps %s where it would have to be", other),
		Next: "Rename that one (git branch -m), or pull into another folder.", Err: errInTheWay,
	}
}

var errInTheWay = errors.New("another ref is in the way")

// cannotWrite tells of a failed write. What is a Problem already stays one.
func cannotWrite(dir string, err error) error {
	var p *daypass.Problem
	if err == nil || errors.As(err, &p) {
		return err
	}
	why, next := err.Error(), "Pull again; if that does not help, pull into another folder."
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		why, next = "the disk is full", "Make room, then pull again. What is there still works."
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		next = "See to it that you may write there (ls -ld), or pull into another folder."
	}
	return &daypass.Problem{Code: "DP-352", What: "cannot write to " + dir, Why: why, Next: next, Err: err}
}

func secretInURL() error {
	return &daypass.Problem{
		Code: "DP-353", What: "the address holds a password or a token", Why: "it would be kept in the folder, for everybody who is ever given it",
		Next: "Leave it out: daypass login gives git what it needs.", Kind: daypass.ErrUsage,
	}
}

func badIndex(dir string, err error) error {
	return &daypass.Problem{
		Code: "DP-354", What: "git's index in " + dir + " cannot be read", Why: err.Error(),
		Next: "It is made anew by git reset, which touches no file; then pull again.", Err: errors.Join(ErrIndex, err),
	}
}
