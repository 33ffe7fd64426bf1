package pull

import (
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/daypass-dev/daypass/internal/clone"
)

// place returns the folder of an ask with links in its parents resolved, or a
// problem if it may not be pulled into.
func (p *Puller) place(folder, root string) (string, error) {
	if !filepath.IsAbs(folder) || strings.ContainsRune(folder, 0) {
		return "", problemFolder(folder, "it is no absolute path")
	}
	folder = filepath.Clean(folder)
	if root != "" {
		if err := below(folder, root); err != nil {
			return "", err
		}
	}
	if file := fileOn(folder); file != "" {
		return "", problemFolder(folder, file+" is a file")
	}
	real, err := resolve(folder)
	if errors.Is(err, fs.ErrPermission) {
		return "", tell(folder, err)
	}
	if err != nil {
		return "", problemFolder(folder, reason(err))
	}
	home, err := resolve(p.UserHome)
	if err != nil {
		home = p.UserHome
	}
	own, err := resolve(p.Home)
	if err != nil {
		own = p.Home
	}
	switch {
	case real == string(filepath.Separator):
		return "", problemFolder(folder, "that is the whole disk")
	case home != "" && home == real:
		return "", problemFolder(folder, "that is your home")
	case home != "" && within(home, real):
		return "", problemFolder(folder, "your home is in it")
	case within(real, own) || within(own, real):
		return "", problemFolder(folder, "that is where daypass keeps its own files")
	}
	for _, part := range strings.Split(real, string(filepath.Separator)) {
		if strings.EqualFold(part, ".git") {
			return "", problemFolder(folder, "that is inside a repository's own files")
		}
	}
	if fi, err := os.Stat(real); err == nil && !fi.IsDir() {
		return "", problemFolder(folder, "there is a file of that name")
	}
	return real, nil
}

// fileOn is the file that stands where a folder on the way to path would have to be; "":
// there is none.
func fileOn(path string) string {
	for at := filepath.Dir(path); at != filepath.Dir(at); at = filepath.Dir(at) {
		if fi, err := os.Stat(at); err == nil && fi.IsDir() {
			return ""
		} else if err == nil {
			return at
		}
	}
	return ""
}

// below holds a folder that a link named: strictly below the root, nothing hidden,
// no symbolic link on the way.
func below(folder, root string) error {
	rel, err := filepath.Rel(filepath.Clean(root), folder)
	if err != nil || rel == "." || !filepath.IsLocal(rel) {
		return problemFolder(folder, "it is not below "+root)
	}
	at := filepath.Clean(root)
	for _, part := range strings.Split(rel, string(filepath.Separator)) {
		if strings.HasPrefix(part, ".") {
			return problemFolder(folder, "a part of it is hidden: "+part)
		}
		at = filepath.Join(at, part)
		fi, err := os.Lstat(at)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return problemFolder(folder, reason(err))
		}
		if fi.Mode()&fs.ModeSymlink != 0 {
			return problemFolder(folder, at+" is a link to somewhere else")
		}
		if !fi.IsDir() {
			return problemFolder(folder, at+" is a file")
		}
	}
	return nil
}

// within reports whether path is dir, or below it.
func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// resolve follows links as far as the path exists.
func resolve(path string) (string, error) {
	if path == "" {
		return "", fs.ErrNotExist
	}
	real, err := filepath.EvalSymlinks(path)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return real, err
	}
	dir, base := filepath.Split(path)
	if dir = filepath.Clean(dir); dir == path {
		return path, nil
	}
	dir, err = resolve(dir)
	return filepath.Join(dir, base), err
}

// clean returns a source's address as it may be kept and shown, or a problem if
// there is a password in it.
func clean(address string) (string, error) {
	if clone.HoldsSecret(address) {
		return "", problemPassword()
	}
	if !strings.Contains(address, "://") {
		return address, nil
	}
	u, err := url.Parse(address)
	if err != nil {
		// Not ours to explain: git says what it thinks of it. It is not kept.
		return "", problemSource()
	}
	if u.User == nil {
		return address, nil
	}
	if u.Scheme == "http" || u.Scheme == "https" {
		u.User = nil
	}
	return u.String(), nil
}
