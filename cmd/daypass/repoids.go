package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/wallet"
)

// The numbers of repositories that --repo logins were made for are remembered,
// so that the next needs one code, not two. A number is no secret and gives no
// right; a wrong one is found out when the token is looked at. As everything
// that is kept, a line names whose authority it came from and answers that one.

// maxRepoIDs bounds the list; the oldest lines go.
const maxRepoIDs = 200

// repoIDFile is false where there is no place of the user's own for it.
func (a *app) repoIDFile() (string, bool) {
	dir, ok := a.ownFolder("XDG_CACHE_HOME", ".cache")
	return filepath.Join(dir, "daypass", "repositories"), ok
}

// repoIDLines returns the lines of the list; none where there is no list.
func (a *app) repoIDLines() ([]string, error) {
	path, ok := a.repoIDFile()
	if !ok {
		return nil, nil
	}
	text, err := readOwn(path, a.uid)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return slices.Collect(strings.Lines(string(text))), nil
}

func (a *app) saveRepoIDs(lines []string) error {
	path, ok := a.repoIDFile()
	if !ok {
		return errNoFolder
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return replaceFile(path, []byte(strings.Join(lines, "")))
}

// knownRepo is the number under which an earlier login found the repository.
func (a *app) knownRepo(auth wallet.Authority, origin string, repo daypass.Repo) (daypass.Repo, bool) {
	lines, err := a.repoIDLines()
	if err != nil {
		return daypass.Repo{}, false
	}
	for _, line := range lines {
		if !repoLineIsFor(line, auth, origin, repo) {
			continue
		}
		f := strings.Split(strings.TrimSpace(line), "\t")
		known, ok := daypass.ParseRepo(f[2])
		id, err := strconv.ParseInt(f[3], 10, 64)
		if ok && err == nil && id > 0 {
			known.ID = id
			return known, true
		}
	}
	return daypass.Repo{}, false
}

func repoLineIsFor(line string, auth wallet.Authority, origin string, repo daypass.Repo) bool {
	f := strings.Split(strings.TrimSpace(line), "\t")
	return len(f) == 4 && f[0] == string(auth) && f[1] == origin && daypass.FoldEqual(f[2], repo.String())
}

// rememberRepo notes the number; that it cannot is no failure of a login.
func (a *app) rememberRepo(auth wallet.Authority, origin string, repo daypass.Repo) error {
	if known, ok := a.knownRepo(auth, origin, repo); ok && known.ID == repo.ID {
		return nil
	}
	lines, err := a.repoIDLines()
	if err != nil {
		return err
	}
	lines = slices.DeleteFunc(lines, func(l string) bool { return repoLineIsFor(l, auth, origin, repo) })
	lines = append(lines, string(auth)+"\t"+origin+"\t"+repo.String()+"\t"+strconv.FormatInt(repo.ID, 10)+"\n")
	if len(lines) > maxRepoIDs {
		lines = lines[len(lines)-maxRepoIDs:]
	}
	return a.saveRepoIDs(lines)
}

// forgetRepo takes a number out that turned out to be wrong, so that the next
// login asks anew. Where the list holds none, nothing is written.
func (a *app) forgetRepo(auth wallet.Authority, origin string, repo daypass.Repo) error {
	lines, err := a.repoIDLines()
	if err != nil {
		return err
	}
	left := slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return repoLineIsFor(l, auth, origin, repo) })
	if len(left) == len(lines) {
		return nil
	}
	return a.saveRepoIDs(left)
}
