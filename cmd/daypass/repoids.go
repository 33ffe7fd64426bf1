package main

import (
	"os"
	"path/filepath"
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

func (a *app) repoIDFile() string {
	dir := a.getenv("XDG_CACHE_HOME")
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(a.getenv("HOME"), ".cache")
	}
	return filepath.Join(dir, "daypass", "repositories")
}

// knownRepo is the number under which an earlier login found the repository.
func (a *app) knownRepo(auth wallet.Authority, origin string, repo daypass.Repo) (daypass.Repo, bool) {
	text, err := readOwn(a.repoIDFile(), a.uid)
	if err != nil {
		return daypass.Repo{}, false
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		if len(f) != 4 || f[0] != string(auth) || f[1] != origin {
			continue
		}
		known, ok := daypass.ParseRepo(f[2])
		id, err := strconv.ParseInt(f[3], 10, 64)
		if ok && err == nil && id > 0 && known.SameName(repo) {
			known.ID = id
			return known, true
		}
	}
	return daypass.Repo{}, false
}

// rememberRepo notes the number; that it cannot is no failure of a login.
func (a *app) rememberRepo(auth wallet.Authority, origin string, repo daypass.Repo) error {
	if known, ok := a.knownRepo(auth, origin, repo); ok && known.ID == repo.ID {
		return nil
	}
	text, err := readOwn(a.repoIDFile(), a.uid)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	prefix := string(auth) + "\t" + origin + "\t"
	var lines []string
	for line := range strings.Lines(string(text)) {
		name, _, _ := strings.Cut(strings.TrimPrefix(line, prefix), "\t")
		if !strings.HasPrefix(line, prefix) || !daypass.FoldEqual(name, repo.String()) {
			lines = append(lines, line)
		}
	}
	lines = append(lines, prefix+repo.String()+"\t"+strconv.FormatInt(repo.ID, 10)+"\n")
	if len(lines) > maxRepoIDs {
		lines = lines[len(lines)-maxRepoIDs:]
	}
	if err := os.MkdirAll(filepath.Dir(a.repoIDFile()), 0o700); err != nil {
		return err
	}
	return replaceFile(a.repoIDFile(), []byte(strings.Join(lines, "")))
}
