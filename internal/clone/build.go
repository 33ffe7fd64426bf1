package clone

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/daypass-dev/daypass/internal/plumbing"
)

// aside is where a new .git stands until it is whole.
const aside = ".git.daypass"

// Build makes a clone in a folder that has no .git, as git clone would have made it. The
// folder's files are the caller's. Until it is whole it stands under another name.
func Build(folder string, n New) (*Clone, error) { return build(folder, n, nil) }

func build(folder string, n New, step func(what, name string)) (*Clone, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, errors.Join(n.check(), err)
	}
	defer root.Close()
	return buildIn(root, folder, n, step)
}

// BuildIn is Build in a folder that is open, wherever its path leads by now.
func BuildIn(root *os.Root, folder string, n New) (*Clone, error) {
	return buildIn(root, folder, n, nil)
}

func buildIn(root *os.Root, folder string, n New, step func(what, name string)) (*Clone, error) {
	if err := n.check(); err != nil {
		return nil, err
	}
	folder, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	at := &disk{root: root, path: folder, step: step}
	if _, ok, err := at.kind(".git"); ok || err != nil {
		return nil, errors.Join(err, &fs.PathError{Op: "build", Path: at.full(".git"), Err: fs.ErrExist})
	}
	if err := at.root.RemoveAll(aside); err != nil {
		return nil, cannotWrite(folder, err)
	}
	if err := n.fill(at, step); err != nil {
		at.root.RemoveAll(aside)
		return nil, cannotWrite(folder, err)
	}
	err = at.rename(aside, ".git")
	if err == nil && !n.Later {
		err = at.sync(".")
	}
	if err != nil {
		return nil, cannotWrite(folder, err)
	}
	return open(root, folder, step)
}

// fill makes what is to be .git.
func (n New) fill(at *disk, step func(what, name string)) error {
	if err := at.folder(aside); err != nil {
		return err
	}
	d, err := openIn(at.root, aside, at.full(aside), step)
	if err != nil {
		return err
	}
	defer d.root.Close()
	d.later = true
	c := &Clone{folder: at.path, dir: d.path, git: d, common: d, size: len(n.Commit), now: time.Now}
	for _, dir := range []string{"objects/info", "objects/pack", "refs/heads", "refs/tags", "info", "hooks"} {
		if err := d.folder(dir); err != nil {
			return err
		}
	}
	text := n.configText(probe(d))
	if c.config, err = parseSettings([]byte(text)); err != nil {
		return err
	}
	files := [][2]string{
		{"config", text},
		{"info/exclude", "# Names of files that git is not to see, for this folder alone; see gitignore(5).\n"},
	}
	if n.Sparse != "" {
		files = append(files, [2]string{"info/sparse-checkout", sparsePattern(n.Sparse)})
	}
	if n.ID != "" {
		files = append(files, [2]string{"daypass", n.ID + "\n"})
	}
	for _, f := range files {
		if err := d.create(f[0], []byte(f[1])); err != nil {
			return err
		}
	}
	if err := errors.Join(c.install(n.Packs), c.addShallow(n.Shallow)); err != nil {
		return err
	}
	if err := n.refs(c); err != nil {
		return err
	}
	if err := c.writeIndex(n.Index); err != nil {
		return err
	}
	if n.Later {
		return nil
	}
	names := []string{"config", "HEAD", "index", "shallow", "daypass", "info/sparse-checkout", "objects", "objects/pack", "refs/heads", "."}
	for _, name := range []string{n.Branch, n.Tag} {
		if name != "" {
			names = append(names, name)
		}
	}
	return d.settle(names...)
}

// refs makes the branch, what is known of the remote, the tag, and HEAD.
func (n New) refs(c *Clone) error {
	message := "clone: from " + strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, n.Origin)
	set := maps.Clone(n.Tags)
	if set == nil {
		set = map[string]plumbing.OID{}
	}
	head := string(n.Commit) + "\n"
	if n.Branch != "" {
		set["refs/remotes/origin/"+strings.TrimPrefix(n.Branch, "refs/heads/")] = n.Commit
		set[n.Branch] = n.Commit
		head = "ref: " + n.Branch + "\n"
	}
	if n.Tag != "" {
		set[n.Tag] = n.TagOID
	}
	for name, oid := range set {
		if err := c.move(name, oid, message, nil); err != nil {
			return err
		}
	}
	if n.Default != "" && n.Default == n.Branch {
		target := "refs/remotes/origin/" + strings.TrimPrefix(n.Default, "refs/heads/")
		if err := c.git.create("refs/remotes/origin/HEAD", []byte("ref: "+target+"\n")); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	if err := c.note("HEAD", "", n.Commit, message, false); err != nil {
		return err
	}
	return c.git.create("HEAD", []byte(head))
}

func (n New) check() error {
	if HoldsSecret(n.Origin) {
		return secretInURL()
	}
	if n.Origin == "" || strings.ContainsAny(n.Origin, "\x00\r\n") || strings.HasPrefix(n.Origin, "-") {
		return fmt.Errorf("%q is no address of a repository", n.Origin)
	}
	for _, name := range []string{n.Branch, n.Default} {
		if name != "" && !(plumbing.RefName(name) && strings.HasPrefix(name, "refs/heads/")) {
			return fmt.Errorf("%w: %q is no branch", errRef, name)
		}
	}
	for name := range n.Tags {
		if !plumbing.RefName(name) || !strings.HasPrefix(name, "refs/tags/") {
			return fmt.Errorf("%w: %q is no tag", errRef, name)
		}
	}
	if n.Tag != "" && !(plumbing.RefName(n.Tag) && strings.HasPrefix(n.Tag, "refs/tags/")) {
		return fmt.Errorf("%w: %q is no tag", errRef, n.Tag)
	}
	size := map[string]int{"sha1": 40, "": 40, "sha256": 64}[n.Format]
	oids := slices.AppendSeq(append([]plumbing.OID{n.Commit}, n.Shallow...), maps.Values(n.Tags))
	if n.Tag != "" {
		oids = append(oids, n.TagOID)
	}
	for _, oid := range oids {
		if len(oid) != size || !oid.Valid() {
			return fmt.Errorf("%w: %q is no object of a %s repository", errRef, oid, n.Format)
		}
	}
	if n.ID != "" && !idShape().MatchString(n.ID) {
		return fmt.Errorf("%q is no id", n.ID)
	}
	if n.Sparse != "" && (!filepath.IsLocal(n.Sparse) || strings.ContainsAny(n.Sparse, "\x00\r\n")) {
		return fmt.Errorf("%q is no folder", n.Sparse)
	}
	return nil
}

// configText is what git clone writes.
func (n New) configText(core string) string {
	version := 0
	if n.Format == "sha256" || n.Partial {
		version = 1
	}
	var b strings.Builder
	fmt.Fprintf(&b, "[core]\n\trepositoryformatversion = %d\n%s\tbare = false\n\tlogallrefupdates = true\n", version, core)
	if n.Sparse != "" {
		b.WriteString("\tsparseCheckout = true\n\tsparseCheckoutCone = false\n")
	}
	if n.Format == "sha256" {
		b.WriteString("[extensions]\n\tobjectformat = sha256\n")
	}
	fetch := "+refs/heads/*:refs/remotes/origin/*"
	name := strings.TrimPrefix(n.Branch, "refs/heads/")
	switch {
	case n.Depth != 0 && n.Branch != "":
		fetch = "+" + n.Branch + ":refs/remotes/origin/" + name
	case n.Depth != 0 && n.Tag != "":
		fetch = "+" + n.Tag + ":" + n.Tag
	}
	fmt.Fprintf(&b, "[remote \"origin\"]\n\turl = %s\n\tfetch = %s\n", value(n.Origin), value(fetch))
	if n.Partial {
		b.WriteString("\tpromisor = true\n")
		if n.Filter != "" {
			fmt.Fprintf(&b, "\tpartialclonefilter = %s\n", value(n.Filter))
		}
	}
	if n.Branch != "" {
		fmt.Fprintf(&b, "[branch %s]\n\tremote = origin\n\tmerge = %s\n", quote(name), value(n.Branch))
	}
	return b.String()
}

// value writes a value as git does: in quotes only where it needs them.
func value(s string) string {
	if strings.ContainsAny(s, "\"\\\n#;") || s != strings.TrimSpace(s) {
		return quote(s)
	}
	return s
}

// sparsePattern names one folder, with all that is in it (gitignore(5)'s syntax). It is
// no cone: a cone would bring the files of the folders above, too.
func sparsePattern(dir string) string {
	dir = strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(strings.Trim(dir, "/"))
	return "/" + dir + "/\n"
}

// probe finds what git init would about the file system: whether it keeps the bit that
// lets a file be run, whether it tells a from A, whether it knows links.
func probe(d *disk) string {
	const name = "HEAD.probe"
	defer d.root.Remove(name)
	mode := false
	if f, err := d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666); err == nil {
		before, errA := f.Stat()
		errB := f.Chmod(0o744)
		after, errC := f.Stat()
		f.Close()
		mode = errors.Join(errA, errB, errC) == nil && before.Mode()&0o100 == 0 && after.Mode()&0o100 != 0
	}
	text := fmt.Sprintf("\tfilemode = %t\n", mode)
	if _, ok, err := d.kind("hEaD.PrObE"); ok && err == nil {
		text += "\tignorecase = true\n"
	}
	if err := d.root.Symlink("testing", "link.probe"); err != nil {
		text += "\tsymlinks = false\n"
	} else {
		d.root.Remove("link.probe")
	}
	if runtime.GOOS == "darwin" {
		text += "\tprecomposeunicode = true\n"
	}
	return text
}

// Shapes of tokens that hosts document (GitHub's "Behind GitHub's new authentication token
// formats", GitLab's "Token prefixes"), and the names under which they stand in queries.
var (
	tokenShape = pattern(`gh[pousr]_[A-Za-z0-9_]{8,}|github_pat_[A-Za-z0-9_]{8,}|gl(?:pat|oas|dt|rt|cbt|ptt|ft|soat|agent|imt)-[A-Za-z0-9_.-]{8,}|^[A-Za-z0-9]{40,}$`)
	tokenName  = pattern(`(?i)(?:^|[?&;#])(?:[a-z_-]*token|password|passwd|secret|sig|signature|key|api[_-]?key)=[^&;]`)
	idShape    = pattern(`^[A-Za-z0-9_-]{1,64}$`)
)

func pattern(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

// HoldsSecret reports whether an address carries a password or a token, as its user name,
// its password or in its query.
func HoldsSecret(address string) bool {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		return plainHolds(address)
	}
	authority := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority = rest[:i]
	}
	query := rest[len(authority):]
	if i := strings.IndexAny(query, "?#"); i >= 0 && tokenName().MatchString(query[i:]) {
		return true
	}
	i := strings.LastIndexByte(authority, '@')
	if i < 0 {
		return tokenShape().MatchString(rest)
	}
	user := authority[:i]
	if plain, err := url.PathUnescape(user); err == nil {
		user = plain
	}
	user, password, _ := strings.Cut(user, ":")
	named := strings.EqualFold(user, "x-access-token") || strings.EqualFold(user, "oauth2")
	return password != "" || tokenShape().MatchString(user) || named && !strings.HasPrefix(scheme, "ssh")
}

// plainHolds is [HoldsSecret] for an address without a scheme, such as USER@HOST:PATH, and
// for one whose scheme is misspelt.
func plainHolds(address string) bool {
	if i := strings.IndexAny(address, "?#"); i >= 0 && tokenName().MatchString(address[i:]) {
		return true
	}
	before, _, has := strings.Cut(address, "@")
	user, password, _ := strings.Cut(before[strings.LastIndexByte(before, '/')+1:], ":")
	return has && (password != "" || tokenShape().MatchString(user))
}

// ID is the name under which our own state of this folder is kept, from .git/daypass: 1
// to 64 of A-Z a-z 0-9 - _. A copied folder has the same.
func (c *Clone) ID() (string, bool) {
	data, err := c.git.read("daypass", 1<<10)
	id := strings.TrimSuffix(string(data), "\n")
	if err != nil || !idShape().MatchString(id) {
		return "", false
	}
	return id, true
}

// SetID writes the ID.
func (c *Clone) SetID(id string) error {
	if !idShape().MatchString(id) {
		return fmt.Errorf("%q is no id", id)
	}
	return cannotWrite(c.dir, c.git.replace("daypass", "daypass.new", []byte(id+"\n")))
}
