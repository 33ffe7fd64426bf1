package pull

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/daypass-dev/daypass/merge"
)

// What an op does.
const (
	opPut    = "put"    // write New at Path, where Old is; a zero Old: nothing
	opChmod  = "chmod"  // give Path the mode of New
	opDelete = "delete" // remove Path, which is Old
	opMove   = "move"   // rename From, which is Old or a folder, to Path
)

// An op is one change of the folder. It is either done already, or can be done,
// or the user was faster; the disk tells which, so that ops can be gone through
// again after they were cut short.
type op struct {
	Do   string      `json:"do"`
	Path string      `json:"path"`
	From string      `json:"from,omitempty"`
	Old  merge.Entry `json:"old,omitzero"`
	New  merge.Entry `json:"new,omitzero"`
	Dir  bool        `json:"dir,omitempty"`  // a whole folder is moved
	User bool        `json:"user,omitempty"` // what is moved is the user's, whatever it is by then
	Temp string      `json:"temp,omitempty"` // name of the new file, beside Path, until it is in place
	Made string      `json:"made,omitempty"` // first folder that had to be made for it
	Perm uint32      `json:"perm,omitempty"` // what New had when it was there before; 0: not known

	late   bool // could not be done: the user was faster
	denied bool // or the system refused it
}

// journal is what a pull is about to do. It is there from before the first change
// until after the last one.
type journal struct {
	ID      string `json:"id"` // of the backup
	Writing bool   `json:"writing"`
	Ops     []op   `json:"ops"`
	Dirs    dirs   `json:"dirs,omitempty"` // of folders that may have to be made
	Goal    *goal  `json:"goal,omitempty"` // nil: the files are all
}

// goal is what becomes of the folder's repository and of our state in the end.
type goal struct {
	Record record   `json:"record"`
	Move   move     `json:"move"`
	Commit string   `json:"commit"` // HEAD in the end
	Undoes string   `json:"undoes,omitempty"`
	Sparse []string `json:"sparse,omitempty"` // what the user's sparse checkout leaves out
	Last   *Report  `json:"last,omitempty"`
}

const journalFile = "journal.json"

// write writes the journal. Before it says so nothing of the user's has changed, and a
// power cut may take it or a part of it, which its seal shows.
func (s *store) write(j *journal) error {
	data, err := json.Marshal(j)
	if err != nil {
		return err
	}
	return replace(s.file(journalFile), seal(data), j.Writing)
}

// begin writes that files are changed from now on, when all that is needed to finish
// that is durable.
func (s *store) begin(j *journal, later *tasks) error {
	j.Writing = true
	data, err := json.Marshal(j)
	if err != nil {
		return err
	}
	file := s.file(journalFile)
	later.start(func() error { return prepare(file, ".new", seal(data), true) })
	if err := later.wait(); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// recover finishes what was cut short in this folder, or takes it back.
func (r *run) recover(ctx context.Context) error {
	if r.st == nil {
		return nil
	}
	if err := r.dropAside(); err != nil {
		return err
	}
	if r.st.damaged {
		if err := r.st.keepAway("state.json", r.p.Now()); err != nil {
			return err
		}
		if err := r.st.save(); err != nil {
			return err
		}
	}
	j, err := r.readJournal(ctx)
	if err != nil || j == nil {
		return err
	}
	if !exists(r.folder) {
		return os.Remove(r.st.file(journalFile)) // the user removed it all
	}
	if err := r.openAll(); err != nil {
		return err
	}
	if !j.Writing {
		return r.abandon(j)
	}
	if err := r.mend(ctx); err != nil {
		return err
	}
	err = r.carryOut(ctx, j, nil)
	if damaged(err) { // what the rest of it needs is gone: the pull that begins now fetches it
		r.later.wait()
		r.last.wait()
		return r.dropJournal(ctx)
	}
	r.finished = err == nil && j.Goal != nil
	return err
}

// dropAside removes what a fresh pull that was cut off had put together, or
// notes that it got through.
func (r *run) dropAside() error {
	aside := r.st.rec.Building
	if aside == "" {
		return nil
	}
	if filepath.Dir(aside) == filepath.Dir(r.folder) && len(filepath.Base(aside)) > len(asidePrefix) && filepath.Base(aside)[:len(asidePrefix)] == asidePrefix {
		if err := r.dropBuilding(filepath.Base(aside)); err != nil {
			return err
		}
	}
	r.st.rec.Building = ""
	if r.finished = r.movedIn(); !r.finished {
		r.st.rec.Commit = ""
	}
	return r.st.save()
}

// dropBuilding removes a folder beside the run's.
func (r *run) dropBuilding(name string) error {
	up, err := r.above(false)
	if err != nil {
		return ignoreMissing(err)
	}
	defer up.Close()
	return up.RemoveAll(name)
}

func (r *run) cloneID() (string, bool) {
	if r.clone == nil {
		return "", false
	}
	return r.clone.ID()
}

// abandon takes back a pull of which no file is in place.
func (r *run) abandon(j *journal) error {
	t, err := r.openTree()
	if err != nil {
		return err
	}
	defer t.close()
	unstage(t, j.Ops)
	os.Remove(r.st.file(filepath.Join("backups", j.ID+".json")))
	os.Remove(r.st.file("delivered.next"))
	return os.Remove(r.st.file(journalFile))
}
