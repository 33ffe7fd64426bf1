// Package contenttest is a source of content in memory, for tests of those who read
// one: files with ids, that are edited, renamed, removed, and faults on request.
package contenttest

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/daypass-dev/daypass"
)

// A File is one of a [Folder].
type File struct {
	Parts  []string
	Data   string
	Mark   string
	NoSum  bool // as an export: neither sum nor size is told
	Skip   string
	Exec   bool
	NoMark bool
}

// A Folder is a [daypass.Contents] of one source, as a shared folder is: each file has
// an id that it keeps. It may be used by many at a time; what is set from outside is set
// while none does.
type Folder struct {
	Title string
	NoIDs bool
	// OnList may change a listing, or fail it. OnOpen may answer in the folder's place;
	// nil, nil: it does not.
	OnList func(*daypass.Listing) error
	OnOpen func(it daypass.Item, from int64) (io.ReadCloser, error)

	mu      sync.Mutex
	files   map[string]File // by id
	version int
	next    int
	looks   int
	lists   int
	opens   []string
}

// New makes an empty one.
func New() *Folder { return &Folder{files: map[string]File{}, version: 1, next: 1} }

// Source is what the folder is.
func Source() daypass.Source {
	return daypass.Source{Kind: daypass.KindDrive, Host: "drive.example", ID: "folder1"}
}

// Add makes a file at a path with "/", and returns its id.
func (f *Folder) Add(path, data string) string {
	return f.AddFile(File{Parts: strings.Split(path, "/"), Data: data})
}

// AddFile makes any file.
func (f *Folder) AddFile(file File) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := fmt.Sprintf("id%06d", f.next)
	f.next++
	f.put(id, file)
	return id
}

// AddAs makes a file with an id.
func (f *Folder) AddAs(id, path, data string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.put(id, File{Parts: strings.Split(path, "/"), Data: data})
}

func (f *Folder) put(id string, file File) {
	f.version++
	file.Mark = fmt.Sprint("v", f.version)
	f.files[id] = file
}

// Edit gives a file another content.
func (f *Folder) Edit(id, data string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	file := f.files[id]
	file.Data = data
	f.put(id, file)
}

// Touch moves a file's mark, and nothing else.
func (f *Folder) Touch(id string) { f.Edit(id, f.Get(id).Data) }

// Move gives a file another path.
func (f *Folder) Move(id, path string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	file := f.files[id]
	file.Parts = strings.Split(path, "/")
	f.files[id] = file
	f.version++
}

// Remove removes files.
func (f *Folder) Remove(ids ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range ids {
		delete(f.files, id)
	}
	f.version++
}

// Get returns a file.
func (f *Folder) Get(id string) File {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.files[id]
}

// Set changes a file as f does.
func (f *Folder) Set(id string, change func(*File)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	file := f.files[id]
	change(&file)
	f.files[id] = file
	f.version++
}

// IDs are those of all files.
func (f *Folder) IDs() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.files))
}

// Counts are how often the folder was asked since the last time, and what was opened,
// sorted.
func (f *Folder) Counts() (looks, lists int, opens []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	looks, lists, opens = f.looks, f.lists, f.opens
	slices.Sort(opens)
	f.looks, f.lists, f.opens = 0, 0, nil
	return looks, lists, opens
}

func (f *Folder) mark() string { return fmt.Sprint("at ", f.version) }

// Look is that of [daypass.Contents].
func (f *Folder) Look(ctx context.Context, s daypass.Source, mark string) (daypass.Seen, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looks++
	return daypass.Seen{Source: s, Title: f.Title, Mark: f.mark(), Same: mark == f.mark()}, ctx.Err()
}

// List is that of [daypass.Contents].
func (f *Folder) List(ctx context.Context, s daypass.Source) (daypass.Listing, error) {
	f.mu.Lock()
	f.lists++
	l := daypass.Listing{Complete: true, Mark: f.mark(), Title: f.Title}
	for _, id := range slices.Sorted(maps.Keys(f.files)) {
		l.Items = append(l.Items, f.item(id))
	}
	f.mu.Unlock()
	if f.OnList != nil {
		if err := f.OnList(&l); err != nil {
			return daypass.Listing{}, err
		}
	}
	return l, ctx.Err()
}

func (f *Folder) item(id string) daypass.Item {
	file := f.files[id]
	it := daypass.Item{Parts: slices.Clone(file.Parts), ID: id, Size: int64(len(file.Data)), Sum: fmt.Sprintf("md5:%x", md5.Sum([]byte(file.Data))), Mark: file.Mark, Skip: file.Skip, Exec: file.Exec, Data: id, Web: "https://drive.example/file/" + id}
	if file.NoSum {
		it.Size, it.Sum = -1, ""
	}
	if f.NoIDs {
		it.ID = ""
	}
	if file.NoMark {
		it.Mark = ""
	}
	return it
}

// Open is that of [daypass.Contents].
func (f *Folder) Open(ctx context.Context, s daypass.Source, it daypass.Item, from int64) (io.ReadCloser, error) {
	if f.OnOpen != nil {
		if r, err := f.OnOpen(it, from); r != nil || err != nil {
			return r, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	id, _ := it.Data.(string)
	file, ok := f.files[id]
	f.opens = append(f.opens, strings.Join(file.Parts, "/"))
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case !ok:
		return nil, fmt.Errorf("no file %s: %w", id, daypass.ErrNoSource)
	case file.Mark != it.Mark && !file.NoMark || from > int64(len(file.Data)):
		return nil, fmt.Errorf("%s: %w", id, daypass.ErrChanged)
	}
	return io.NopCloser(bytes.NewReader([]byte(file.Data)[from:])), nil
}

// Save writes all files, for another process to [Load].
func (f *Folder) Save(file string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	data, err := json.Marshal(saved{f.Title, f.files, f.version, f.next})
	if err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o600)
}

type saved struct {
	Title         string
	Files         map[string]File
	Version, Next int
}

// Load reads what [Folder.Save] wrote.
func Load(file string) (*Folder, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var s saved
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, err
	}
	return &Folder{Title: s.Title, files: s.Files, version: s.Version, next: s.Next}, nil
}
