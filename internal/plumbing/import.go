package plumbing

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// An Import writes objects through one git fast-import. It is for one goroutine.
type Import struct {
	repo   *Repo
	cmd    *exec.Cmd
	pipe   io.WriteCloser
	in     *bufio.Writer
	out    *bufio.Reader
	stderr tail
	marks  int
	mine   map[OID]int // commits of this import: git finds those by their marks only
	bad    error
}

// A CommitSpec is a commit to be written.
type CommitSpec struct {
	Ref               string // full name; it is moved there, whatever it was
	Author, Committer Who
	Message           string
	Parents           []OID
	Files             []File // all of the tree's
}

// tail keeps the end of what a child says.
type tail struct{ bytes.Buffer }

func (t *tail) Write(p []byte) (int, error) {
	if t.Len() > 16<<10 {
		t.Reset()
	}
	return t.Buffer.Write(p)
}

// Import starts writing. What is written counts, and is on the disk, only when
// [Import.Close] has returned without an error.
func (r *Repo) Import(ctx context.Context) (*Import, error) {
	// Content goes to the disk as it comes, so that a large file is not held in
	// memory; deltas between files that have nothing in common cost time only.
	cmd := r.CommandWith(ctx, [][2]string{{"core.fsync", "committed,reference"}, {"fastimport.unpackLimit", "10"}, {"core.compression", "1"}},
		"fast-import", "--quiet", "--force", "--done", "--depth=0", "--big-file-threshold=1m")
	im := &Import{repo: r, cmd: cmd, mine: map[OID]int{}}
	cmd.Stderr = &im.stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if im.pipe, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	im.in, im.out = bufio.NewWriterSize(im.pipe, 64<<10), bufio.NewReader(out)
	return im, nil
}

// Blob writes a blob of exactly size bytes.
func (im *Import) Blob(size int64, r io.Reader) (OID, error) {
	if im.bad != nil {
		return "", im.bad
	}
	im.marks++
	fmt.Fprintf(im.in, "blob\nmark :%d\ndata %d\n", im.marks, size)
	n, err := io.CopyN(im.in, r, size)
	if err != nil {
		// git waits for the rest: there is no going on from here.
		im.bad = fmt.Errorf("%d of %d bytes came: %w", n, size, err)
		return "", im.bad
	}
	fmt.Fprintf(im.in, "\nget-mark :%d\n", im.marks)
	return im.oid()
}

// oid reads an answer to get-mark.
func (im *Import) oid() (OID, error) {
	line, err := im.line()
	if err == nil && !OID(line).Valid() {
		err = im.broken(fmt.Errorf("it answers %q", line))
	}
	return OID(line), err
}

func (im *Import) line() (string, error) {
	if err := im.in.Flush(); err != nil {
		return "", im.broken(err)
	}
	line, err := im.out.ReadString('\n')
	if err != nil {
		return "", im.broken(err)
	}
	return strings.TrimSuffix(line, "\n"), nil
}

func (im *Import) broken(err error) error {
	im.bad = fmt.Errorf("git fast-import: %w", err)
	return im.bad
}

// Commit writes a commit and its trees.
func (im *Import) Commit(c CommitSpec) (commit, tree OID, err error) {
	if im.bad != nil {
		return "", "", im.bad
	}
	if !RefName(c.Ref) {
		return "", "", fmt.Errorf("%w: %q", ErrRef, c.Ref)
	}
	var b strings.Builder
	im.marks++
	fmt.Fprintf(&b, "reset %s\n\ncommit %s\nmark :%d\n", c.Ref, c.Ref, im.marks)
	fmt.Fprintf(&b, "author %s\ncommitter %s\ndata %d\n%s\n", c.Author, c.Committer, len(c.Message), c.Message)
	for i, p := range c.Parents {
		if !p.Valid() {
			return "", "", fmt.Errorf("%w: parent %q", ErrMissing, p)
		}
		name := string(p)
		if mark, ok := im.mine[p]; ok {
			name = fmt.Sprintf(":%d", mark)
		}
		fmt.Fprintf(&b, "%s %s\n", []string{"from", "merge"}[min(i, 1)], name)
	}
	b.WriteString("deleteall\n")
	for _, f := range c.Files {
		if !f.OID.Valid() || f.Path == "" {
			return "", "", fmt.Errorf("%w: %q at %q", ErrMissing, f.OID, f.Path)
		}
		fmt.Fprintf(&b, "M %06o %s ", uint32(f.Mode), f.OID)
		quote(&b, f.Path)
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "\nget-mark :%d\n", im.marks)
	if _, err := im.in.WriteString(b.String()); err != nil {
		return "", "", im.broken(err)
	}
	if commit, err = im.oid(); err != nil {
		return "", "", err
	}
	im.mine[commit] = im.marks
	fmt.Fprintf(im.in, "ls :%d \"\"\n", im.marks)
	line, err := im.line()
	if err != nil {
		return "", "", err
	}
	if strings.HasPrefix(line, "missing") {
		return commit, im.repo.Empty(), nil
	}
	if f := strings.Fields(line); len(f) >= 3 && OID(f[2]).Valid() {
		return commit, OID(f[2]), nil
	}
	return "", "", im.broken(fmt.Errorf("it answers %q", line))
}

// String is w as commits have it.
func (w Who) String() string {
	plain := strings.NewReplacer("<", "", ">", "", "\n", " ", "\x00", "")
	return strings.TrimSpace(plain.Replace(w.Name)) + " <" + strings.TrimSpace(plain.Replace(w.Email)) + "> " + fmt.Sprint(w.When.Unix()) + " " + w.When.Format("-0700")
}

// Close ends it. Objects and refs count from then on; after an error none do.
func (im *Import) Close() error {
	if im.bad == nil {
		im.in.WriteString("done\n")
		if err := im.in.Flush(); err != nil {
			im.broken(err)
		}
	}
	im.pipe.Close()
	if im.bad != nil {
		kill(im.cmd.Process)
	}
	io.Copy(io.Discard, im.out)
	err := im.cmd.Wait()
	if im.bad == nil && err == nil {
		im.bad = errors.New("the import is closed")
		return nil
	}
	crashes, _ := filepath.Glob(filepath.Join(im.repo.dir, "fast_import_crash_*"))
	for _, path := range crashes {
		os.Remove(path)
	}
	said := strings.TrimSpace(im.stderr.String())
	if im.bad == nil {
		im.broken(err)
	}
	if said != "" {
		return fmt.Errorf("%w (%s)", im.bad, strings.SplitN(said, "\n", 2)[0])
	}
	return im.bad
}
