package gitconf

import (
	"context"
	"path/filepath"
	"slices"
)

// An Undone is what undo took from one file.
type Undone struct {
	File    string
	Removed string   // the text taken away
	Deleted bool     // the file was setup's own and nothing else was in it
	Edited  bool     // the text had been changed since, so single lines were taken
	Left    []string // keys that setup had set and that somebody has changed since
}

// Undo removes what Apply added for origin, or for every host when origin is
// "". Where nothing else changed since, the file is what it was, byte for byte;
// later edits stay. It never touches what setup did not add, and undoing
// nothing is no error. What setup set for the person goes with the last host.
func (s Setup) Undo(ctx context.Context, origin string, system bool) ([]Undone, error) {
	return s.undo(ctx, origin, system, true)
}

// PlanUndo returns what Undo would do, and writes nothing.
func (s Setup) PlanUndo(ctx context.Context, origin string, system bool) ([]Undone, error) {
	return s.undo(ctx, origin, system, false)
}

func (s Setup) undo(ctx context.Context, origin string, system, write bool) ([]Undone, error) {
	rec, unlock, err := s.openRecord(system, write)
	if err != nil {
		return nil, err
	}
	defer unlock()
	var out []Undone
	for _, fr := range slices.Clone(rec.Files) {
		keys := fr.keys(origin)
		if len(keys) == 0 {
			continue
		}
		done, err := s.undoFile(ctx, fr, keys, write)
		if err != nil {
			return out, err
		}
		out = append(out, done)
		if write {
			// The file first: a record of text that is gone does no harm.
			if err := rec.save(); err != nil {
				return out, err
			}
		}
	}
	return out, nil
}

// keys returns the blocks to remove, the last in the file first.
func (f *fileRecord) keys(origin string) []string {
	var out []string
	hosts := 0
	for _, b := range slices.Backward(f.Blocks) {
		switch {
		case b.Key == identityKey:
		case origin == "" || b.Key == origin || len(b.Key) > len(origin) && b.Key[:len(origin)+1] == origin+"/":
			out = append(out, b.Key)
		default:
			hosts++
		}
	}
	if origin != "" && len(out) == 0 || hosts > 0 {
		return out
	}
	out = nil
	for _, b := range slices.Backward(f.Blocks) {
		out = append(out, b.Key)
	}
	return out
}

func (s Setup) undoFile(ctx context.Context, fr *fileRecord, keys []string, write bool) (Undone, error) {
	done := Undone{File: fr.Path}
	if !exists(filepath.Dir(fr.Path)) { // the folder went, and the file with it
		fr.Blocks = nil
		return done, nil
	}
	e := &edit{git: s.Git, file: fr.Path, write: write}
	if err := e.open(ctx); err != nil {
		return Undone{}, err
	}
	defer e.close()
	for _, key := range keys {
		c, err := e.cut(ctx, fr, key)
		if err != nil {
			return Undone{}, err
		}
		done.Removed = c.removed + done.Removed
		done.Edited = done.Edited || c.edited
		done.Left = append(done.Left, c.left...)
	}
	if e.missing || !e.dirty() {
		return done, nil
	}
	if len(e.text) == 0 && fr.Created {
		done.Deleted = true
		if write {
			return done, e.lock.remove()
		}
		return done, nil
	}
	if write {
		return done, e.commit()
	}
	return done, nil
}
