package snapshot

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/plumbing"
)

// content finds out what of a commit that came is to be delivered.
type content struct {
	g       Git
	repo    *plumbing.Repo
	at      address
	ask     Ask
	fetch   fetch
	s       *Snapshot
	objects *plumbing.Objects
	spent   int64 // bytes that submodules brought
}

func (c *content) read(ctx context.Context) error {
	fetched, ok, err := c.fetch.came.commit, c.fetch.came.commit != "", error(nil)
	if !ok {
		fetched, ok, err = c.repo.ReadRef(fetchedRef)
	}
	if err != nil || !ok {
		return errors.Join(err, errors.New("git fetch kept nothing"))
	}
	if err := c.commit(fetched); err != nil {
		return err
	}
	if c.s.Shallow, err = c.repo.Shallow(); err != nil {
		return err
	}
	folder, p := cleanFolder(c.ask.Path)
	if p != nil {
		return p
	}
	files, err := c.objects.FilesUpTo(c.s.Tree, c.g.walkLimit())
	if errors.Is(err, plumbing.ErrTooMany) {
		return tooLarge(c.at, "there is no end of its files and folders")
	} else if err != nil {
		return err
	}
	if c.ask.Submodules {
		if files, err = c.submodules(ctx, files); err != nil {
			return err
		}
	}
	return c.choose(files, folder)
}

// walkLimit is how many files a tree may have of which only a folder is asked for.
func (g Git) walkLimit() int {
	if l := g.Limits.Files; l >= 0 {
		return min(10*l+1000, plumbing.MaxFiles)
	}
	return plumbing.MaxFiles
}

// commit takes what the ref names, through tags.
func (c *content) commit(oid plumbing.OID) error {
	commit, err := c.objects.Commit(oid)
	if errors.Is(err, plumbing.ErrObject) {
		return &daypass.Problem{Code: "DP-318", What: "What " + c.at.hostful + " has under this name is no commit", Next: "Ask for a branch, a tag or a commit."}
	} else if err != nil {
		return err
	}
	if oid, err = c.objects.Peel(oid); err != nil {
		return err
	}
	c.s.Commit, c.s.Tree, c.s.Tip.Commit = oid, commit.Tree, oid
	return nil
}

// cleanFolder reads Ask.Path, which comes from a link.
func cleanFolder(folder string) (string, *daypass.Problem) {
	clean := strings.Trim(path.Clean("/"+folder), "/")
	if strings.ContainsAny(folder, "\x00\\") || slices.Contains(strings.Split(folder, "/"), "..") {
		return "", &daypass.Problem{Code: "DP-324", What: fmt.Sprintf("%q is no folder of a repository", shown(folder)), Next: "Check the folder's name.", Kind: daypass.ErrUsage}
	}
	return clean, nil
}

// choose sorts the files into those to deliver and the rest.
func (c *content) choose(files []plumbing.File, folder string) error {
	heads, err := c.heads(files)
	if err != nil {
		return err
	}
	taken := make(map[string]bool, len(files))
	var escaped []int
	found := false
	for i, f := range files {
		if !under(f.Path, folder) {
			c.s.Rest = append(c.s.Rest, f)
			continue
		}
		found = true
		clean, why, ok := Name(f.Path)
		switch {
		case !ok:
			c.leave(f, why, heads[i])
		case clean != f.Path:
			escaped = append(escaped, i) // names as they are go first
		default:
			err = c.take(f, heads[i], taken)
		}
		if err != nil {
			return err
		}
	}
	for _, i := range escaped {
		if err := c.rename(files[i], heads[i], taken); err != nil {
			return err
		}
	}
	if folder != "" && !found {
		return &daypass.Problem{Code: "DP-324", What: fmt.Sprintf("There is no %q in %s", shown(folder), shown(Redact(c.at.url))), Next: "Check the folder's name.", Who: "Whoever gave you the address can say where the content went.",
			Err: daypass.MissingFolder(folder, func(yield func([]string) bool) {
				for _, f := range files {
					if !yield(strings.Split(f.Path, "/")) {
						return
					}
				}
			})}
	}
	slices.SortFunc(c.s.Files, func(a, b plumbing.File) int { return strings.Compare(a.Path, b.Path) })
	slices.SortFunc(c.s.Rest, func(a, b plumbing.File) int { return strings.Compare(a.Path, b.Path) })
	return c.within()
}

// heads asks for those of all files at once. Submodules have none: their commits are
// elsewhere.
func (c *content) heads(files []plumbing.File) ([]plumbing.Head, error) {
	oids := make([]plumbing.OID, len(files))
	for i, f := range files {
		oids[i] = f.OID
	}
	return c.objects.Heads(oids)
}

func (c *content) leave(f plumbing.File, why string, head plumbing.Head) {
	c.s.Rest = append(c.s.Rest, f)
	c.s.Left = append(c.s.Left, Left{Path: f.Path, Why: why, Size: head.Size, TooLarge: strings.HasPrefix(why, tooLargeFile)})
}

const tooLargeFile = "larger than "

// take delivers a file, or says why not.
func (c *content) take(f plumbing.File, head plumbing.Head, taken map[string]bool) error {
	why, err := c.whyNot(f, head, taken)
	if err != nil {
		return err
	}
	if why != "" {
		c.leave(f, why, head)
		return nil
	}
	taken[f.Path] = true
	for dir := path.Dir(f.Path); dir != "."; dir = path.Dir(dir) {
		if at, ok := taken[dir+"/"]; ok && at {
			break
		}
		taken[dir+"/"] = true
	}
	c.s.Files, c.s.Bytes = append(c.s.Files, f), c.s.Bytes+head.Size
	return nil
}

// whyNot says why a file with a good name is not delivered, or "".
func (c *content) whyNot(f plumbing.File, head plumbing.Head, taken map[string]bool) (string, error) {
	limit := c.g.Limits.File
	switch f.Mode {
	case plumbing.Gitlink:
		return "a submodule", nil
	case plumbing.Regular, plumbing.Executable, plumbing.Symlink:
	default:
		return "neither a file nor a link", nil
	}
	if taken[f.Path] || taken[f.Path+"/"] {
		return "another entry has its name", nil
	}
	for dir := path.Dir(f.Path); dir != "."; dir = path.Dir(dir) {
		if taken[dir] {
			return "a file has the name of its folder", nil
		}
		if taken[dir+"/"] {
			break
		}
	}
	switch {
	case head.Kind == "" && c.fetch.filter() == "" && !c.fetch.partial():
		return "", broken(c.at, "a file did not come with the rest: "+shown(f.Path))
	case head.Kind == "":
		c.s.Partial = true
		return tooLargeFile + bytesOf(limit), nil
	case head.Kind != plumbing.BlobKind:
		return "neither a file nor a link", nil
	case limit >= 0 && head.Size > limit:
		return tooLargeFile + bytesOf(limit), nil
	}
	if f.Mode != plumbing.Symlink {
		return "", nil
	}
	if head.Size > MaxPath {
		return "a link that leads out of the folder", nil
	}
	_, target, err := c.objects.Read(f.OID)
	if err != nil {
		return "", err
	}
	why, _ := Link(f.Path, string(target))
	return why, nil
}

// rename delivers a file under the name that [Name] gives it.
func (c *content) rename(f plumbing.File, head plumbing.Head, taken map[string]bool) error {
	clean, why, _ := Name(f.Path)
	as := f
	as.Path = clean
	n := len(c.s.Files)
	if err := c.take(as, head, taken); err != nil || len(c.s.Files) == n {
		if err == nil {
			last := len(c.s.Left) - 1
			c.s.Left[last].Path, c.s.Rest[len(c.s.Rest)-1] = f.Path, f
		}
		return err
	}
	c.s.Rest = append(c.s.Rest, f)
	c.s.Left = append(c.s.Left, Left{Path: f.Path, Why: why, As: clean, Size: head.Size})
	return nil
}

// within holds what is to be delivered to the limits, and counts pointers.
func (c *content) within() error {
	l := c.g.Limits
	if l.Files >= 0 && len(c.s.Files) > l.Files {
		return tooLarge(c.at, fmt.Sprintf("it has %d files, and %d may be pulled", len(c.s.Files), l.Files))
	}
	if l.Total >= 0 && c.s.Bytes > l.Total {
		return tooLarge(c.at, fmt.Sprintf("it has %s, and %s may be pulled", bytesOf(c.s.Bytes), bytesOf(l.Total)))
	}
	return c.pointers()
}

// pointers counts files that only say where git-lfs keeps their content. Only a
// repository whose attributes name git-lfs is searched.
func (c *content) pointers() error {
	uses := false
	for _, f := range c.s.Files {
		if path.Base(f.Path) != ".gitattributes" || f.Mode == plumbing.Symlink {
			continue
		}
		_, data, err := c.objects.Read(f.OID)
		if err != nil {
			return err
		}
		uses = uses || strings.Contains(string(data), "filter=lfs")
	}
	if !uses {
		return nil
	}
	heads, err := c.heads(c.s.Files)
	if err != nil {
		return err
	}
	for i, f := range c.s.Files {
		if heads[i].Size < 80 || heads[i].Size > 1024 || f.Mode == plumbing.Symlink {
			continue
		}
		_, data, err := c.objects.Read(f.OID)
		if err != nil {
			return err
		}
		if strings.HasPrefix(string(data), "version https://git-lfs.github.com/spec/") {
			c.s.Pointers++
		}
	}
	return nil
}

// bytesOf writes a size as people say it.
func bytesOf(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.0f MB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.0f kB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d bytes", n)
}
