package pull

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/daypass-dev/daypass/internal/clone"
)

// The folder's repository has what ours has, but for the backups, by hard links. What
// it lacks is told by names: times lie where a clock was wrong.

// lacking lists what of our objects the folder's repository does not have.
func (r *run) lacking() ([]string, error) {
	ours, err := r.shared()
	if err != nil {
		return nil, err
	}
	theirs, err := objectFiles(filepath.Dir(r.clone.Objects()))
	if err != nil {
		return nil, err
	}
	has := make(map[string]bool, len(theirs))
	for _, file := range theirs {
		if stem, ok := strings.CutSuffix(file, ".pack"); !ok || exists(stem+".idx") {
			has[objectName(file)] = true
		}
	}
	var out []string
	for _, file := range ours {
		if !has[objectName(file)] {
			out = append(out, file)
		}
	}
	return out, nil
}

// objectName is a file's in a repository's objects: "pack/…", "ab/cdef…".
func objectName(file string) string {
	return filepath.Base(filepath.Dir(file)) + "/" + filepath.Base(file)
}

// shared lists our packs and objects but for those of backups: a folder's repository
// may be read by others than its files.
func (r *run) shared() ([]string, error) {
	files, err := objectFiles(r.st.repo())
	if err != nil {
		return nil, err
	}
	private := r.st.private()
	var out []string
	for _, file := range files {
		// git touches what it would have written again: then it is not a backup's alone.
		if when, ok := private[objectName(file)]; !ok || when != modified(file) {
			out = append(out, file)
		}
	}
	return out, nil
}

func modified(file string) int64 {
	fi, err := os.Lstat(file)
	if err != nil {
		return 0
	}
	return fi.ModTime().UnixNano()
}

const privateFile = "private.json"

// private are the files that hold backups, with the time they were written at.
func (s *store) private() map[string]int64 {
	out := map[string]int64{}
	if data, err := os.ReadFile(s.file(privateFile)); err != nil || json.Unmarshal(data, &out) != nil {
		return nil
	}
	return out
}

// keepPrivate notes the files that were written since before was listed.
func (s *store) keepPrivate(before []string) error {
	known := make(map[string]bool, len(before))
	for _, file := range before {
		known[file] = true
	}
	now, err := objectFiles(s.repo())
	if err != nil {
		return err
	}
	last, next := s.private(), map[string]int64{}
	for _, file := range now {
		name := objectName(file)
		if when, ok := last[name]; ok {
			next[name] = when
		} else if !known[file] {
			next[name] = modified(file)
		}
	}
	data, err := json.Marshal(next)
	if err != nil {
		return err
	}
	return replace(s.file(privateFile), data, false)
}

// whole reports whether the folder's repository has the commit that HEAD is at, as far
// as names tell.
func (r *run) whole() bool {
	head, err := r.clone.Head()
	if err != nil || head.Commit == "" {
		return true // nothing that links would mend
	}
	name := filepath.Join(string(head.Commit[:2]), string(head.Commit[2:]))
	if exists(filepath.Join(r.clone.Objects(), name)) {
		return true
	}
	ours := filepath.Join(r.st.repo(), "objects")
	if exists(filepath.Join(ours, name)) {
		return false
	}
	entries, err := os.ReadDir(filepath.Join(ours, "pack"))
	if err != nil {
		return true
	}
	var private map[string]int64
	for _, e := range entries {
		stem, ok := strings.CutSuffix(e.Name(), ".pack")
		if !ok || exists(filepath.Join(r.clone.Objects(), "pack", stem+".idx")) {
			continue
		}
		if private == nil {
			private = r.st.private()
		}
		if when, ok := private["pack/"+e.Name()]; !ok || when != modified(filepath.Join(ours, "pack", e.Name())) {
			return false
		}
	}
	return true
}

// relink links what the folder's repository lacks. Where git works there just now, the
// next pull does.
func (r *run) relink() error {
	if r.ask.DryRun || r.whole() {
		return nil
	}
	head, err := r.clone.Head()
	if err != nil {
		return err
	}
	packs, err := r.lacking()
	if err != nil {
		return err
	}
	u := clone.Update{Branch: head.Branch, Was: head, Old: head.Commit, New: head.Commit, Packs: packs, Message: "daypass: pull"}
	err = r.do("link", func() error { return r.clone.Update(u) })
	if errors.Is(err, clone.ErrLocked) || errors.Is(err, clone.ErrMoved) {
		return nil
	}
	return err
}
