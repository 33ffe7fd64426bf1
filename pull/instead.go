package pull

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/daypass-dev/daypass"
)

// errAppeared means that something was made where the folder is to be.
var errAppeared = errors.New("something was made there meanwhile")

// nameFolder gives a folder its name, in one step that takes nothing away: the
// system puts a folder over one that is empty, and over nothing else.
func nameFolder(up *os.Root, from, to string) error {
	err := renameIn(up, from, to)
	if errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST) {
		return fmt.Errorf("%s: %w", to, errAppeared)
	}
	return err
}

// appeared gets ready to join what was made at the folder's place while it was
// fetched: it is the user's.
func (r *run) appeared() error {
	if fi, err := os.Lstat(r.folder); err != nil || !fi.IsDir() {
		return problemFolder(r.folder, "something else of that name was made meanwhile; it stays as it is")
	}
	if r.line != nil {
		r.line.Close()
		r.line = nil
	}
	st := r.st
	st.rec = record{Version: 1, Folder: r.folder}
	if err := st.save(); err != nil {
		return err
	}
	r.rep = Report{Folder: r.folder, Source: r.source, Ref: r.ask.Ref}
	if err := r.open(); err != nil {
		return err
	}
	if r.st == nil || r.st.id != st.id {
		return os.RemoveAll(st.dir)
	}
	return nil
}

// freshInstead sets the whole folder aside, as nbgitpuller does, and pulls afresh. It
// is set aside when all that is to take its place is there.
func (r *run) freshInstead(ctx context.Context) error {
	name := r.folder + "_backup_" + r.p.Now().Format("20060102150405")
	r.rep.Aside = name
	for n := 0; exists(r.rep.Aside); n++ {
		r.rep.Aside = fmt.Sprintf("%s.latest_%d", name, n)
	}
	r.old, r.st = r.st, nil
	if err := r.fresh(ctx); err != nil {
		return r.asItWas(err)
	}
	if r.old == nil || r.ask.DryRun {
		return nil
	}
	// What is known of it goes with it: it can still be undone there.
	r.old.rec.Folder, r.old.rec.Building = r.rep.Aside, ""
	return errors.Join(r.old.save(), r.p.remember(r.old))
}

// asItWas forgets a fresh pull that came to nothing, and says so.
func (r *run) asItWas(err error) error {
	r.noted.wait()
	if r.made && r.st != nil {
		err = errors.Join(err, os.RemoveAll(r.st.dir))
	}
	if r.old != nil && !r.ask.DryRun {
		r.old.rec.Building = ""
		err = errors.Join(err, r.old.save(), r.p.remember(r.old))
	}
	err = tell(r.folder, err)
	where := "The folder is as it was."
	if errors.Is(err, errAppeared) {
		where = "What was in the folder is in " + r.rep.Aside + "."
	} else {
		r.rep.Aside = ""
	}
	var problem *daypass.Problem
	if !errors.As(err, &problem) {
		return fmt.Errorf("%w. %s", err, where)
	}
	told := *problem
	told.Next = where + " " + told.Next
	return &told
}
