package pull

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/daypass-dev/daypass"
)

func problemFolder(folder, why string) error {
	return &daypass.Problem{
		Code: "DP-330", What: "cannot pull into " + folder, Why: why,
		Next: "Choose another folder, one of its own.",
		Who:  "If a link named this folder, whoever made it can name another one.", Kind: daypass.ErrRefused,
	}
}

// beside says how to bring a source into a folder of its own.
func (r *run) beside() string {
	what := r.source
	if r.ask.Via != "" && r.ask.Service != "" {
		what = r.ask.Via
	}
	for n := 2; n < 100; n++ {
		name := fmt.Sprintf("%s-%d", r.folder, n)
		if exists(name) {
			continue
		}
		dir := filepath.Base(name)
		if strings.Trim(what, plainWord) != "" || strings.Trim(dir, plainWord) != "" || strings.HasPrefix(dir, "-") {
			break // a shell would read it otherwise
		}
		return fmt.Sprintf("Bring it into a new folder beside, with \"daypass pull %s %s\", or set this one aside, whole, with --backup.", what, dir)
	}
	return "Give another folder name, or rename that folder, and try again."
}

// plainWord is what a shell takes as it is.
const plainWord = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@+"

func (r *run) problemOther(have string) error {
	why := "it is a clone of " + have
	if have == "" {
		why = "it is a repository of its own, with no origin"
	}
	return &daypass.Problem{
		Code: "DP-331", What: fmt.Sprintf("cannot pull %s into %s", r.source, r.folder), Why: why,
		Next: r.beside(),
		Who:  "If a link named this folder, whoever made it can name another one.", Kind: daypass.ErrRefused,
	}
}

func (r *run) problemCame() error {
	return &daypass.Problem{
		Code: "DP-465", What: fmt.Sprintf("cannot pull %s into %s", r.source, r.folder), Why: "what is in it came from " + r.st.rec.Source,
		Next: r.beside(),
		Who:  "If a link named this folder, whoever made it can name another one.", Kind: daypass.ErrRefused,
	}
}

func problemPattern(pattern string) error {
	return &daypass.Problem{
		Code: "DP-466", What: fmt.Sprintf("%q names no file", pattern), Why: "a pattern has *, ? and [a-z] as a shell has them",
		Next: "Give the name as the pointer file says it, in quotes.", Kind: daypass.ErrUsage,
	}
}

func problemInclude() error {
	return &daypass.Problem{
		Code: "DP-467", What: "git sends all files of a repository but those over the limit, and none of these by its name",
		Next: "Leave --include out.", Who: "Whoever runs this place can raise the limit for one file; the next pull then brings it.", Kind: daypass.ErrUsage,
	}
}

func problemBusy(folder, who string) error {
	return &daypass.Problem{
		Code: "DP-332", What: "another pull of " + folder + " is still running", Why: who,
		Next: "It goes on by itself. Wait for it, then try again.",
	}
}

func problemGitLock(path string) error {
	return &daypass.Problem{
		Code: "DP-333", What: "another git command is working in this folder", Why: path + " is there",
		Next: "Wait until it has ended, then try again. If nothing else runs git here, remove that file.",
	}
}

func problemPassword() error {
	return &daypass.Problem{
		Code: "DP-334", What: "the address of this repository has a password in it", Why: "it would stay in files that others may read",
		Next: "Take it out of the address, and run \"daypass login\" once instead.",
		Who:  "Whoever gave it out should end that password, and give out the address without it.", Kind: daypass.ErrUsage,
	}
}

func problemSource() error {
	return &daypass.Problem{
		Code: "DP-344", What: "this is no address of a repository",
		Next: "Take it from the repository's page, and try again.",
		Who:  "If it is in a link, whoever made it should mend it.", Kind: daypass.ErrUsage,
	}
}

func problemForeign(folder, why string) error {
	return &daypass.Problem{
		Code: "DP-335", What: "cannot pull into " + folder, Why: why,
		Next: "Give another folder name.", Kind: daypass.ErrRefused,
	}
}

func problemFull(folder string, err error) error {
	return &daypass.Problem{
		Code: "DP-336", What: "there is no room for this in " + folder, Why: "the disk is full, or your share of it is used up",
		Next: "Nothing was changed. Remove what you no longer need (the bin of the file browser counts too), and try again.",
		Who:  "Whoever runs the machine can give you more room.", Err: err,
	}
}

func problemWrite(folder string, err error) error {
	return &daypass.Problem{
		Code: "DP-337", What: "cannot write in " + folder, Why: placeOf(folder, err) + ": " + reason(err),
		Next: "See that you may read and write that, and try again: what was begun is then finished.", Err: err,
	}
}

func problemUnknown(folder string) error {
	return &daypass.Problem{
		Code: "DP-338", What: "daypass has not pulled into " + folder,
		Next: "Name a folder that was pulled into, or pull into this one first.", Kind: daypass.ErrUsage,
	}
}

func problemNoBackup(folder, id string) error {
	return &daypass.Problem{
		Code: "DP-339", What: fmt.Sprintf("there is no backup %s of %s", id, folder),
		Next: "\"daypass pull --backups\" lists those there are.", Kind: daypass.ErrUsage,
	}
}

func problemNoFile(file, where string) error {
	return &daypass.Problem{
		Code: "DP-340", What: fmt.Sprintf("there is no file %s in %s", file, where),
		Next: "Give its path from the folder that was pulled into.", Kind: daypass.ErrUsage,
	}
}

func problemMoving(folder string) error {
	return &daypass.Problem{
		Code: "DP-341", What: "files in " + folder + " change faster than they can be merged",
		Next: "Nothing of yours was changed. Stop what writes there, and try again.",
	}
}

func problemState(file string, err error) error {
	return &daypass.Problem{
		Code: "DP-342", What: "what was kept of this folder cannot be read", Why: file + ": " + reason(err),
		Next: "The other backups are as they were: \"daypass pull --backups\" lists them.", Err: err,
	}
}

func problemHead(folder string, err error) error {
	return &daypass.Problem{
		Code: "DP-343", What: "the branch in " + folder + " cannot be moved", Why: "another git command moves it all the time",
		Next: "Your files are up to date. Try again when no other git command runs there.", Err: err,
	}
}

func problemUnforeseen(folder string, err error) error {
	return &daypass.Problem{
		Code: "DP-355", What: "the pull into " + folder + " was not finished", Why: err.Error(),
		Next: "Try again. If it says the same, pull with --backup: what is in the folder is set aside, whole, and the content comes fresh.",
		Who:  "Whoever looks after this machine can tell more from this message.", Err: err,
	}
}

// reason says an error without the paths that are in front of it.
func reason(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}

// full reports whether a disk is, or a share of it, as the system or git says it.
func full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) ||
		strings.Contains(err.Error(), "No space left on device") || strings.Contains(err.Error(), "isk quota exceeded")
}

// tell gives a failure of the disk its message; others stay as they are.
func tell(folder string, err error) error {
	var problem *daypass.Problem
	switch {
	case err == nil || errors.As(err, &problem):
		return err
	case full(err):
		return problemFull(folder, err)
	case errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS):
		return problemWrite(folder, err)
	case errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return problemUnforeseen(folder, err)
}
