package pullpage

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/daypass-dev/daypass/pull"
)

// An Entry is the report of one pull, undo or reset.
type Entry struct {
	At     time.Time   `json:"at"`
	Report pull.Report `json:"report"`
}

const (
	maxEntries = 30
	maxChanges = 2000    // in an entry
	maxLine    = 1 << 20 // and its length
)

// A book keeps, for each folder, the reports to look up later and what was agreed
// to be opened. It lies beside what pull keeps, since the folder is the user's.
type book struct{ dir string }

// name of a folder's file.
func (b book) name(folder, kind string) string {
	sum := sha256.Sum256([]byte(folder))
	return filepath.Join(b.dir, hex.EncodeToString(sum[:12])+"."+kind)
}

// entries are the reports of a folder, newest first. A line that cannot be read
// is left out: the others still tell something.
func (b book) entries(folder string) ([]Entry, error) { return readEntries(b.name(folder, "jsonl")) }

func readEntries(name string) ([]Entry, error) {
	raw, err := os.ReadFile(name)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, fmt.Errorf("read the reports: %w", err)
	}
	var out []Entry
	for text := range bytes.Lines(raw) {
		var e Entry
		if json.Unmarshal(text, &e) == nil {
			out = append(out, e)
		}
	}
	slices.Reverse(out)
	return out, nil
}

// folders are those of which there are reports, each with its newest, newest first.
func (b book) folders() ([]Entry, error) {
	names, err := filepath.Glob(filepath.Join(b.dir, "*.jsonl"))
	if err != nil {
		return nil, fmt.Errorf("list the reports: %w", err)
	}
	var out []Entry
	for _, name := range names {
		all, err := readEntries(name)
		if err != nil {
			return nil, err
		}
		if len(all) > 0 {
			out = append(out, all[0])
		}
	}
	slices.SortFunc(out, func(a, b Entry) int { return b.At.Compare(a.At) })
	return out, nil
}

// keep adds a report, but one that says that nothing changed takes the place of
// another such.
func (b book) keep(folder string, e Entry) error {
	old, err := b.entries(folder)
	if err != nil {
		return err
	}
	e.Report.Diff = ""
	if len(e.Report.Changes) > maxChanges {
		e.Report.Changes = e.Report.Changes[:maxChanges]
	}
	for len(e.Report.Changes) > 0 && lengthOf(e) > maxLine {
		e.Report.Changes = e.Report.Changes[:len(e.Report.Changes)/2]
	}
	slices.Reverse(old)
	if n := len(old); n > 0 && (e.Report.Same && old[n-1].Report.Same && !old[n-1].Report.Undone || one(e.Report, old[n-1].Report)) {
		old = old[:n-1]
	}
	old = append(old, e)
	if len(old) > maxEntries {
		old = old[len(old)-maxEntries:]
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	for _, e := range old {
		if err := enc.Encode(e); err != nil {
			return fmt.Errorf("write the reports: %w", err)
		}
	}
	return b.write(b.name(folder, "jsonl"), out.Bytes())
}

// one reports whether both are of one pull, which pages under two names followed.
func one(a, b pull.Report) bool {
	return a.Undo != "" && a.Undo == b.Undo && a.New == b.New && a.Undone == b.Undone
}

func lengthOf(e Entry) int {
	text, err := json.Marshal(e)
	if err != nil {
		return 0 // writing it says why
	}
	return len(text)
}

// opened are the commits that somebody agreed to open, by target.
func (b book) opened(folder string) map[string]string {
	out := map[string]string{}
	raw, err := os.ReadFile(b.name(folder, "opened"))
	if err == nil && json.Unmarshal(raw, &out) != nil {
		return map[string]string{} // it is asked again
	}
	return out
}

func (b book) open(folder, target, commit string) error {
	all := b.opened(folder)
	if len(all) > 100 {
		all = map[string]string{}
	}
	all[target] = commit
	raw, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return b.write(b.name(folder, "opened"), raw)
}

// write puts a file in place at once.
func (b book) write(name string, data []byte) error {
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(b.dir, ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
