package pull

import (
	"fmt"
	"path/filepath"
	"slices"
	"time"
)

// What says what became of one path.
type What string

// What a pull does to a path.
const (
	Came     What = "came"     // new from the source
	Changed  What = "changed"  // the source's new version replaced its old one
	Removed  What = "removed"  // the source removed it
	Merged   What = "merged"   // both sides' changes are in it
	Kept     What = "kept"     // the user's version stayed, where the source has another
	Restored What = "restored" // the user had deleted it; it came back
	Moved    What = "moved"    // from From to Path, as in the source
	Aside    What = "aside"    // the user's From is now at Path, and made room
	LeftOut  What = "left_out" // not delivered, and why
	Adopted  What = "adopted"  // was there already, the same
)

// What a report is of that is neither a pull nor an undo.
const (
	againReset   = "reset"
	againRestore = "restore"
)

// A Change is what became of one path.
type Change struct {
	Path   string `json:"path"`
	What   What   `json:"what"`
	From   string `json:"from,omitempty"`   // the path before, of Moved and Aside
	Kind   string `json:"kind,omitempty"`   // "text", "notebook", "binary", "link"
	Kept   int    `json:"kept,omitempty"`   // places where both had changed and the user's stands: cells of a notebook, else hunks
	Came   int    `json:"came,omitempty"`   // the source's places that arrived
	Why    string `json:"why,omitempty"`    // a clause, for LeftOut and Kept
	Backup bool   `json:"backup,omitempty"` // what stood here before is in the backup
}

// A Report is what a pull did, or would do.
type Report struct {
	Folder  string        `json:"folder"`
	Source  string        `json:"source,omitempty"` // never with a password
	Title   string        `json:"title,omitempty"`  // what a source that is not git's calls itself
	Ref     string        `json:"ref,omitempty"`    // as it was asked for
	Branch  string        `json:"branch,omitempty"` // what that is called at the source: "main"; "" for a commit
	Old     string        `json:"old,omitempty"`    // commit delivered before
	New     string        `json:"new,omitempty"`    // commit delivered now
	Fresh   bool          `json:"fresh,omitempty"`  // the folder was made by this pull, or was empty
	Same    bool          `json:"same,omitempty"`   // nothing had to change
	DryRun  bool          `json:"dry_run,omitempty"`
	Undone  bool          `json:"undone,omitempty"` // the report of an undo
	Again   string        `json:"again,omitempty"`  // "reset" or "restore": the report of one
	Changes []Change      `json:"changes,omitempty"`
	Notes   []string      `json:"notes,omitempty"`    // sentences for the user
	Aside   string        `json:"aside,omitempty"`    // absolute; where the whole folder was set aside
	Undo    string        `json:"undo,omitempty"`     // the backup that undoes this
	Pointer int           `json:"pointers,omitempty"` // files delivered as Git LFS pointers
	Took    time.Duration `json:"took"`               // nanoseconds
	Diff    string        `json:"diff,omitempty"`
}

// Sentence says in a line what happened, for a student. The folder's name stands
// in it as it is on the disk.
func (r Report) Sentence() string {
	name := filepath.Base(r.Folder)
	switch {
	case r.Undone && len(r.Changes) == 0 && r.Old == r.New:
		return fmt.Sprintf("There was nothing to undo in %s.", name)
	case r.Undone:
		return fmt.Sprintf("%s is as it was before the last update.", name)
	case r.Again != "":
		return r.againSentence(name)
	case r.DryRun && r.Fresh:
		return fmt.Sprintf("%s would be made: %s.", name, count(r.number(Came), "file"))
	case r.DryRun:
		if n := len(r.Changes) - r.number(Adopted, LeftOut, Kept); n > 0 {
			return fmt.Sprintf("%s would be updated: %s.", name, count(n, "file"))
		}
		return fmt.Sprintf("%s is up to date.", name)
	}
	s := name + " was updated."
	switch {
	case r.Fresh:
		s = fmt.Sprintf("%s is here: %s.", name, count(r.number(Came), "file"))
	case r.Same, r.Aside == "" && len(r.Changes) == r.number(Adopted): // a clone of git's may be taken over as it is
		s = name + " is up to date."
	}
	if n := r.number(Restored); n > 0 {
		s += fmt.Sprintf(" %s you had deleted came back.", count(n, "file"))
	}
	return s + r.keptSentence()
}

// againSentence is that of a reset, or of a file that a backup gave back.
func (r Report) againSentence(name string) string {
	n := r.number(Restored)
	switch {
	case n == 0:
		return fmt.Sprintf("Nothing had to change in %s.", name)
	case r.Again == againReset && n == 1:
		return fmt.Sprintf("1 file in %s is as the source has it.", name)
	case r.Again == againReset:
		return fmt.Sprintf("%d files in %s are as the source has them.", n, name)
	case n == 1:
		return fmt.Sprintf("1 file in %s is back from the backup.", name)
	}
	return fmt.Sprintf("%d files in %s are back from the backup.", n, name)
}

// keptSentence says where the user's side won, in cells where all of them are.
func (r Report) keptSentence() string {
	cells, files := 0, 0
	for _, c := range r.Changes {
		switch {
		case c.Kind == "notebook" && c.Kept > 0:
			cells += c.Kept
		case c.What == Kept || c.Kept > 0:
			files++
		}
	}
	switch {
	case cells > 0 && files > 0:
		return fmt.Sprintf(" We kept your answers in %s, and your version of %s.", count(cells, "cell"), count(files, "file"))
	case cells > 0:
		return fmt.Sprintf(" We kept your answers in %s.", count(cells, "cell"))
	case files > 0:
		return fmt.Sprintf(" We kept your version of %s.", count(files, "file"))
	}
	return ""
}

func (r Report) number(what ...What) int {
	n := 0
	for _, c := range r.Changes {
		if slices.Contains(what, c.What) {
			n++
		}
	}
	return n
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
