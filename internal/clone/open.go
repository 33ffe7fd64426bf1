package clone

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Open opens the clone in a folder, and reads only. The errors are ErrNone, ErrBroken and
// ErrForeign, and what the system says.
func Open(folder string) (*Clone, error) { return open(nil, folder, nil) }

// OpenIn is Open of a folder that is open: a .git in it is opened from there, wherever
// its path leads by now.
func OpenIn(root *os.Root, folder string) (*Clone, error) { return open(root, folder, nil) }

func open(root *os.Root, folder string, step func(what, name string)) (*Clone, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	dir, err := locate(root, folder)
	if err != nil {
		return nil, err
	}
	c := &Clone{folder: folder, dir: dir, now: time.Now, patience: patient}
	if err := c.enter(root, step); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Close gives up what is open.
func (c *Clone) Close() error {
	var err error
	if c.common != nil && c.common != c.git {
		err = c.common.root.Close()
	}
	if c.git != nil {
		err = errors.Join(err, c.git.root.Close())
	}
	return err
}

// locate finds the folder behind .git.
func locate(root *os.Root, folder string) (string, error) {
	at := filepath.Join(folder, ".git")
	info, err := lstatGit(root, at)
	switch {
	case missing(err):
		return "", ErrNone
	case err != nil:
		return "", err
	case info.IsDir():
		return at, nil
	case info.Mode().IsRegular():
		return follow(folder, at)
	case info.Mode()&fs.ModeSymlink == 0:
		return "", broken(at, "it is neither a folder nor a file")
	}
	if _, err := os.Stat(at); err != nil {
		return "", broken(at, "it is a symbolic link that leads nowhere")
	}
	return "", foreign(at, "it is a symbolic link")
}

func lstatGit(root *os.Root, at string) (fs.FileInfo, error) {
	if root == nil {
		return os.Lstat(at)
	}
	return root.Lstat(".git")
}

// follow reads a .git that is a file, as worktrees and submodules have it, and goes only
// where a .git of a folder above keeps them.
func follow(folder, at string) (string, error) {
	info, err := os.Stat(at)
	if err != nil {
		return "", err
	}
	if info.Size() > 1<<16 {
		return "", broken(at, "it is a large file")
	}
	data, err := os.ReadFile(at)
	if err != nil {
		return "", err
	}
	name, ok := strings.CutPrefix(string(data), "gitdir: ")
	name = strings.TrimRight(name, "\r\n")
	if !ok || name == "" || strings.ContainsAny(name, "\x00\n") {
		return "", broken(at, "it is a file that names no repository")
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(folder, name)
	}
	if info, err := os.Stat(name); err != nil || !info.IsDir() {
		return "", broken(at, "it names "+name+", which is not there")
	}
	if !above(folder, name) {
		return "", foreign(at, "it leads to "+name+", which is not kept in a folder above")
	}
	return filepath.Clean(name), nil
}

// above reports whether dir lies in the .git of a folder above (or of the folder
// itself), with no symbolic link on the way.
func above(folder, dir string) bool {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	at, err := filepath.EvalSymlinks(folder)
	for ; err == nil; at = filepath.Dir(at) {
		git := filepath.Join(at, ".git")
		rel, err := filepath.Rel(git, real)
		if err == nil && filepath.IsLocal(rel) {
			info, err := os.Lstat(git)
			return err == nil && info.IsDir()
		}
		if at == filepath.Dir(at) {
			break
		}
	}
	return false
}

// enter opens the folders and looks whether they are a repository that may be written to.
func (c *Clone) enter(root *os.Root, step func(what, name string)) error {
	var err error
	if root != nil && c.dir == filepath.Join(c.folder, ".git") {
		c.git, err = openIn(root, ".git", c.dir, step)
	} else {
		c.git, err = openDisk(c.dir, step)
	}
	if err != nil {
		return err
	}
	if err := c.openCommon(step); err != nil {
		return err
	}
	if err := c.links(); err != nil {
		return err
	}
	if err := c.readConfig(); err != nil {
		return err
	}
	for _, name := range []string{"objects", "refs"} {
		if kind, ok, err := c.common.kind(name); err != nil || !ok || kind != fs.ModeDir {
			return errors.Join(broken(c.dir, "there is no folder "+name), err)
		}
	}
	if _, _, err := c.head(); err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errRef) || errors.Is(err, errKind) {
			return broken(c.dir, "HEAD names no branch and no commit")
		}
		return err
	}
	return nil
}

// openCommon opens what a worktree shares with others.
func (c *Clone) openCommon(step func(what, name string)) error {
	c.common = c.git
	data, err := c.git.read("commondir", 1<<16)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if errors.Is(err, errKind) {
		return broken(c.dir, "commondir is no file")
	}
	if err != nil {
		return err
	}
	name := strings.TrimRight(string(data), "\r\n")
	if !filepath.IsAbs(name) {
		name = filepath.Join(c.dir, name)
	}
	if !above(c.folder, name) {
		return foreign(c.dir, "its commondir is not kept in a folder above")
	}
	back, err := c.git.read("gitdir", 1<<16)
	if err != nil || !sameFolder(filepath.Dir(strings.TrimSpace(string(back))), c.folder) {
		return foreign(c.dir, "it belongs to a work tree in another folder")
	}
	common, err := openDisk(filepath.Clean(name), step)
	if err != nil {
		return broken(c.dir, "its commondir is not there")
	}
	c.common = common
	return nil
}

func sameFolder(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// links refuses what leads elsewhere: git would follow, and what daypass writes then
// would land outside of this folder, or beside what git reads.
func (c *Clone) links() error {
	type place struct {
		on   *disk
		name string
		file bool
	}
	places := []place{{c.git, "index", true}, {c.git, "config.worktree", true}, {c.git, "logs", false}, {c.git, "HEAD", true}}
	for _, name := range []string{"config", "packed-refs", "shallow"} {
		places = append(places, place{c.common, name, true})
	}
	for _, name := range []string{"objects", "objects/pack", "objects/info", "refs", "refs/heads", "refs/remotes", "refs/remotes/origin", "refs/tags", "logs", "logs/refs", "logs/refs/heads", "info"} {
		places = append(places, place{c.common, name, false})
	}
	for _, p := range places {
		kind, ok, err := p.on.kind(p.name)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if kind == fs.ModeSymlink {
			if target, err := p.on.root.Readlink(p.name); p.name == "HEAD" && err == nil && strings.HasPrefix(target, "refs/") {
				continue // the old form of a symbolic ref
			}
			return foreign(c.dir, p.name+" in it is a symbolic link")
		}
		if p.file != (kind == 0) || !p.file && kind != fs.ModeDir {
			return broken(c.dir, p.name+" in it is not what git makes there")
		}
	}
	return nil
}

// readConfig reads what says how the repository is kept, and where it comes from. What
// names programs or other files is not looked at.
func (c *Clone) readConfig() error {
	load := func(d *disk, name string) error {
		data, err := d.read(name, 4<<20)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return badConfig(c.dir, err)
		}
		more, err := parseSettings(data)
		if err != nil {
			return badConfig(c.dir, fmt.Errorf("%s: %w", name, err))
		}
		c.config = append(c.config, more...)
		return nil
	}
	if err := load(c.common, "config"); err != nil {
		return err
	}
	if why := c.config.form(); why != "" {
		return unknownForm(c.dir, why)
	}
	c.size = 40
	if v, _ := c.config.get("extensions", "", "objectformat"); v == "sha256" {
		c.size = 64
	}
	if c.config.truth("extensions", "worktreeconfig", false) {
		if err := load(c.git, "config.worktree"); err != nil {
			return err
		}
	}
	if c.config.truth("core", "bare", false) && c.common == c.git {
		return unknownForm(c.dir, "core.bare says that it has no files")
	}
	if tree, ok := c.config.get("core", "", "worktree"); ok && c.common == c.git {
		if !filepath.IsAbs(tree) {
			tree = filepath.Join(c.dir, tree)
		}
		if !sameFolder(tree, c.folder) {
			return foreign(c.dir, "core.worktree says that its files are in another folder")
		}
	}
	return nil
}

// form looks at the repository's format (git's Documentation/technical/
// repository-version): it returns why it cannot be written, or "".
func (s settings) form() string {
	version, ok := s.get("core", "", "repositoryformatversion")
	if ok && version != "0" && version != "1" {
		return "its format is version " + clip(version)
	}
	for _, one := range s {
		if one.section != "extensions" || one.hasSub {
			continue
		}
		v := one.text()
		switch one.name {
		case "noop", "noop-v1", "preciousobjects", "partialclone", "worktreeconfig", "relativeworktrees":
		case "objectformat":
			if v != "sha1" && v != "sha256" || version != "1" {
				return "it has the object format " + clip(v)
			}
		case "refstorage":
			if v != "files" {
				return "it keeps its branches as " + clip(v)
			}
		default:
			return "it uses git's extension " + clip(one.name)
		}
	}
	return ""
}

// clip makes a word from a file fit to be shown.
func clip(s string) string {
	if len(s) > 40 {
		s = s[:40]
	}
	return fmt.Sprintf("%q", s)
}

// Objects is the folder of its objects, for GIT_ALTERNATE_OBJECT_DIRECTORIES. What
// its info/alternates names is read by git, and by nothing of ours.
func (c *Clone) Objects() string { return filepath.Join(c.common.path, "objects") }

// Format is "sha1" or "sha256".
func (c *Clone) Format() string {
	if c.size == 64 {
		return "sha256"
	}
	return "sha1"
}

// Origin returns the URL that the clone fetches from: of remote "origin", else of
// the only remote. It is as configured: neither insteadOf nor includes are followed.
func (c *Clone) Origin() (url string, ok bool, err error) {
	remote, ok := c.remote()
	if !ok {
		return "", false, nil
	}
	for _, s := range c.config { // of several, git fetches from the first
		if s.section == "remote" && s.sub == remote && s.name == "url" && s.value != "" {
			return s.value, true, nil
		}
	}
	return "", false, nil
}

// remote is the name of the remote that counts.
func (c *Clone) remote() (string, bool) {
	names := map[string]bool{}
	for _, s := range c.config {
		if s.section == "remote" && s.hasSub && s.name == "url" {
			names[s.sub] = true
		}
	}
	if names["origin"] {
		return "origin", true
	}
	if len(names) == 1 {
		for name := range names {
			return name, true
		}
	}
	return "", false
}

// Upstream returns the ref of the remote that a branch follows ("refs/heads/main" for
// "refs/heads/main"), by branch.NAME.merge.
func (c *Clone) Upstream(branch string) (ref string, ok bool) {
	name, ok := strings.CutPrefix(branch, "refs/heads/")
	remote, has := c.remote()
	if of, _ := c.config.get("branch", name, "remote"); !ok || !has || of != remote {
		return "", false
	}
	return c.config.get("branch", name, "merge")
}
