package merge

// An Entry is a file in one version: git's mode (0100644, 0100755, or 0120000 for a
// link) and the hash of its content. The zero Entry is none.
type Entry struct {
	Mode uint32
	OID  string
}

// The modes of files. Others (a submodule's 0160000) are not files to this package.
const (
	Regular    uint32 = 0o100644
	Executable uint32 = 0o100755
	Symlink    uint32 = 0o120000
)

// Input is what [Plan] is asked.
type Input struct {
	// Base is what was delivered last, Theirs what is to be delivered: files only, by
	// path with "/". Base is empty before the first delivery.
	Base, Theirs map[string]Entry
	// Ours is what is on the disk at a path now, links not followed. The zero Entry:
	// no file and no link is there. Asked only where Base and Theirs differ, for what
	// Changed lists, and where names clash.
	Ours func(path string) Entry
	// Changed lists the paths of Base whose file on the disk is not Base's: edited,
	// missing, of another type. What it does not list and both sides have alike is
	// not looked at.
	Changed []string
	// Prefix says what stands on the disk at a path, links not followed: "", "file",
	// "dir", "link", "other". Asked for what is in the way of new files.
	Prefix func(path string) string
	// Under lists what stands on the disk beneath a folder: files, links, others, and
	// folders that are empty. Asked only for a folder where a file is to be.
	Under func(dir string) []string
	// Leaves are paths of the disk that the caller moves away before anything is written:
	// they are in nobody's way.
	Leaves []string
	// Renames are those that the source knows: Base's path to Theirs'.
	Renames map[string]string
	// Similar says whether the content of a file of Theirs came from that of one of
	// Base (git's 50 %). It is asked of files that the user changed and upstream
	// renamed or removed, at most [MaxSimilar] times. nil: no renames are looked for.
	Similar func(base, theirs Entry) bool
	// Adopt is for a folder that was never delivered to: a file of the user's where
	// Theirs has another stays where it is, and counts as their change. Where there is a
	// Base it means nothing.
	Adopt bool
	// Fold is for a disk that knows no case.
	Fold bool
	// Stamp is the time, YYYYMMDDHHMMSS, for the names of what is moved aside.
	Stamp string
}

// MaxSimilar bounds how often a plan asks [Input.Similar].
const MaxSimilar = 4000

// An Action is what a [Step] does.
type Action string

// The actions. Take, Delete, Restore, Aside, Move and Chmod change the disk by
// themselves; Merge does by [Content]; Keep, Adopt and Skip change nothing.
const (
	// Take writes Theirs at Path. What is there before is Ours: nothing, or what
	// was delivered.
	Take Action = "take"
	// Delete removes Path, which is as it was delivered, and then each folder above
	// that it leaves empty.
	Delete Action = "delete"
	// Merge writes Content of Base, Ours and Theirs at Path, where Ours stands.
	Merge Action = "merge"
	// Chmod gives Path the mode Mode and leaves its content, which is the user's.
	Chmod Action = "chmod"
	// Keep leaves what the user has at Path though Theirs has something else, or
	// nothing any more.
	Keep Action = "keep"
	// Restore writes Theirs at Path, which the user removed.
	Restore Action = "restore"
	// Adopt finds at Path, from the user, what Theirs has.
	Adopt Action = "adopt"
	// Aside moves what is the user's own from From to Path, to make room. It may be a
	// whole folder, or neither file nor link; then Ours is zero. A folder that is empty
	// may as well be removed.
	Aside Action = "aside"
	// Move moves the user's file from From to Path, because upstream renamed it, and
	// then removes each folder above From that is left empty. On the way to a place
	// that is not free yet it may move twice: first to a name that begins with
	// [Between], which Temporary marks.
	Move Action = "move"
	// Skip leaves Path of Theirs out: this disk cannot have it beside From.
	Skip Action = "skip"
)

// Between begins the names, at the top of the folder, where a file waits that must
// make room before its own place is free. None is left when all steps are done.
const Between = ".daypass-between-"

// A Step is one part of a plan.
type Step struct {
	Do   Action
	Path string
	// From is where an Aside or a Move comes from; of a Skip, what Path clashes with;
	// of a Merge, Take, Keep, Chmod or Adopt of what upstream renamed, its old name
	// (it has moved by then: a Move comes before).
	From string
	// Base, Ours and Theirs are the three versions, as far as there are any. Ours is
	// what must be on the disk just before the step: at Path, or for Aside and Move at
	// From; for a Delete and Take too.
	Base, Ours, Theirs Entry
	// Mode is what the file has after a Take, Merge, Restore or Chmod.
	Mode uint32
	// Temporary marks a Move to a name that begins with Between. Was is the name that
	// the file had before, of the Move that takes it from there.
	Temporary bool
	Was       string
}

// Changes reports whether the step changes the disk.
func (s Step) Changes() bool {
	switch s.Do {
	case Keep, Adopt, Skip:
		return false
	}
	return true
}
