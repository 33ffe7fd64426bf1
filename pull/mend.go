package pull

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/snapshot"
)

// seal adds a line to a journal by which one that is not whole is known.
func seal(data []byte) []byte {
	sum := sha256.Sum256(data)
	return append(data, "\n"+hex.EncodeToString(sum[:])+"\n"...)
}

// readJournal returns the journal of a pull that was cut short; nil where there is
// none. One that cannot be read is put aside, and so is what it would have cleaned
// up: the pull that begins now sees by the files' content what was done.
func (r *run) readJournal(ctx context.Context) (*journal, error) {
	file := r.st.file(journalFile)
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		if exists(r.st.file("delivered.next")) {
			return nil, r.sweep(ctx) // it was begun, and its journal was removed
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	j := new(journal)
	body, _, _ := bytes.Cut(data, []byte("\n"))
	_, err = r.st.recall("delivered.next")
	if bytes.Equal(seal(bytes.Clone(body)), data) && json.Unmarshal(body, j) == nil && (err == nil || errors.Is(err, fs.ErrNotExist)) {
		return j, nil
	}
	return nil, r.dropJournal(ctx)
}

// dropJournal puts a journal aside that cannot be carried out.
func (r *run) dropJournal(ctx context.Context) error {
	if err := r.sweep(ctx); err != nil {
		return err
	}
	r.st.rec.Pending = true
	if err := r.st.save(); err != nil {
		return err
	}
	return r.st.keepAway(journalFile, r.p.Now())
}

// keepAway moves a file of ours that cannot be read to where nothing reads it.
func (s *store) keepAway(name string, now time.Time) error {
	to := s.file(filepath.Join("kept", name+"-"+now.Format(idTime)))
	for n := 1; exists(to); n++ {
		to = s.file(filepath.Join("kept", fmt.Sprintf("%s-%s-%d", name, now.Format(idTime), n)))
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return ignoreMissing(os.Rename(s.file(name), to))
}

// sweep takes away the new files of a pull that were not in their places yet. One
// that we have nowhere else may be the user's, and is kept.
func (r *run) sweep(ctx context.Context) error {
	if !exists(r.folder) {
		return ignoreMissing(os.Remove(r.st.file("delivered.next")))
	}
	t, err := r.openTree()
	if err != nil {
		return err
	}
	defer t.close()
	if err := r.openRepo(); err != nil {
		return err
	}
	o, err := r.repo.Objects(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	for _, name := range t.temps(".daypass-" + r.st.id + "-") {
		if err := r.sweepOne(t, o, name); err != nil {
			return err
		}
	}
	return ignoreMissing(os.Remove(r.st.file("delivered.next")))
}

func (r *run) sweepOne(t *tree, o *plumbing.Objects, name string) error {
	format := r.st.rec.Format
	if format == "" {
		format = r.repo.Format()
	}
	e, _, err := t.hash(name, format)
	if err != nil {
		return err
	}
	if _, err := o.Size(plumbing.OID(e.OID)); err != nil {
		data, err := t.readAll(name)
		if err != nil {
			return err
		}
		found := "found-" + e.OID
		if err := os.MkdirAll(r.st.file("kept"), 0o700); err != nil {
			return err
		}
		if err := replace(r.st.file(filepath.Join("kept", found)), data, true); err != nil {
			return err
		}
	}
	d, base, err := t.parent(name, false)
	if err != nil {
		return ignoreMissing(err)
	}
	if err := d.Remove(base); err != nil {
		return ignoreMissing(err)
	}
	t.prune(name)
	t.forget()
	return nil
}

// temps lists files beside their places, below a folder, but for its repository.
func (t *tree) temps(prefix string) []string {
	var out []string
	for work := []string{""}; len(work) > 0; {
		dir := work[len(work)-1]
		work = work[:len(work)-1]
		entries, err := t.list(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			at := path.Join(dir, e.Name())
			switch {
			case e.IsDir() && at != ".git":
				work = append(work, at)
			case strings.HasPrefix(e.Name(), prefix) && strings.HasSuffix(e.Name(), ".tmp"):
				out = append(out, at)
			}
		}
	}
	return out
}

// mend sees to it that what was delivered last can be read: else it is what the
// source had at that commit. Where that is gone too, the folder is taken up like one
// that was never pulled into.
func (r *run) mend(ctx context.Context) error {
	if r.st.rec.Commit == "" {
		return nil
	}
	if _, err := r.st.recall("delivered"); err == nil {
		return nil
	}
	if err := r.st.keepAway("delivered", r.p.Now()); err != nil {
		return err
	}
	known, err := r.deliveredThen(ctx)
	if err != nil {
		r.st.rec.Commit, r.st.rec.Tree = "", ""
		return nil
	}
	r.st.rec.Pending = true
	return r.st.keep("delivered", known, r.st.rec.Format, true)
}

// deliveredThen is what the commit delivered last has.
func (r *run) deliveredThen(ctx context.Context) (delivered, error) {
	o, err := r.ownObjects(ctx)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	files, err := o.Files(plumbing.OID(r.st.rec.Tree))
	if err != nil {
		return nil, err
	}
	out := make(delivered, len(files))
	for _, f := range files {
		name, _, ok := snapshot.Name(f.Path)
		below := r.st.rec.Path == "" || strings.HasPrefix(f.Path, r.st.rec.Path+"/")
		if ok && below && f.Mode != plumbing.Gitlink {
			out[name] = fact{Entry: entryOf(f)}
		}
	}
	return out, nil
}
