package pull

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/daypass-dev/daypass/internal/clone"
	"github.com/daypass-dev/daypass/internal/plumbing"
)

// record is what is kept of a folder, in state.json.
type record struct {
	Version    int       `json:"version"`
	Folder     string    `json:"folder"`
	Source     string    `json:"source"` // without a user's name
	Ref        string    `json:"ref,omitempty"`
	Path       string    `json:"path,omitempty"`
	Depth      int       `json:"depth,omitempty"`
	Submodules bool      `json:"submodules,omitempty"`
	Format     string    `json:"format"`
	Commit     string    `json:"commit,omitempty"` // delivered last
	Tree       string    `json:"tree,omitempty"`
	TipRef     string    `json:"tip_ref,omitempty"`
	At         time.Time `json:"at"`
	// Content: the source is not git's. Mark is what its state was called, for the next
	// look; Include what comes in spite of its size.
	Content bool     `json:"content,omitempty"`
	Mark    string   `json:"mark,omitempty"`
	Include []string `json:"include,omitempty"`
	Via     string   `json:"via,omitempty"`
	Service string   `json:"service,omitempty"` // whose name Via is
	Title   string   `json:"title,omitempty"`
	// Head is where the last pull left HEAD; Seen is where it was found later, with
	// what was delivered among its ancestors.
	Head plumbing.OID `json:"head,omitempty"`
	Seen plumbing.OID `json:"seen,omitempty"`
	// Stamp is the clock of the folder's disk, in nanoseconds, when the files'
	// stats were taken: what is as young as that is read again.
	Stamp int64 `json:"stamp,omitempty"`
	// Over is the size above which files were left out; 0: none was.
	Over int64 `json:"over,omitempty"`
	// Pending: some file was left for the next pull, so that one is no no-op.
	Pending bool   `json:"pending,omitempty"`
	Disk    traits `json:"disk"`
	// Inode is of the folder's .git when it had what was delivered last: a copy of the
	// folder has another.
	Inode uint64 `json:"inode,omitempty"`
	// Identity is the folder's, by which it is found when it was renamed and has no .git.
	Identity identity `json:"identity,omitzero"`
	// Past is the state of a folder that was here before: its backups are in reach.
	Past string `json:"past,omitempty"`
	// Building is the folder in which a fresh pull is being put together.
	Building string `json:"building,omitempty"`
}

// traits is how a folder's disk differs from what git expects of one.
type traits struct {
	Fold    bool `json:"fold,omitempty"`     // knows no case
	Plain   bool `json:"plain,omitempty"`    // has no executable bit
	NoLinks bool `json:"no_links,omitempty"` // has no symbolic links
}

// store is where one folder's state is kept.
type store struct {
	dir     string
	id      string
	rec     record
	damaged bool // state.json could not be read; rec is empty
	unnoted bool // the folder has another name than rec was kept with, or no identity
}

func (s *store) file(name string) string { return filepath.Join(s.dir, name) }
func (s *store) repo() string            { return s.file("repo.git") }

// random returns n random bytes, in hex.
func (p *Puller) random(n int) string {
	b := make([]byte, n)
	if _, err := io.ReadFull(p.Rand, b); err != nil {
		panic("pull: no randomness: " + err.Error()) // crypto/rand never fails
	}
	return hex.EncodeToString(b)
}

// key names a folder's lock, and the file that says where its state is.
func (p *Puller) key(kind, folder string) string {
	sum := sha256.Sum256([]byte(folder))
	return filepath.Join(p.Home, kind, hex.EncodeToString(sum[:12]))
}

// load reads the state of an id; fs.ErrNotExist if there is none. One that cannot be
// read is an empty one: what was kept for it is there all the same.
func (p *Puller) load(id string) (*store, error) {
	if !idOK(id) {
		return nil, fs.ErrNotExist
	}
	s := &store{dir: filepath.Join(p.Home, id), id: id}
	data, err := os.ReadFile(s.file("state.json"))
	switch {
	case errors.Is(err, fs.ErrNotExist) && exists(s.repo()):
		s.damaged = true
	case err != nil:
		return nil, err
	default:
		s.damaged = json.Unmarshal(data, &s.rec) != nil || !s.rec.sound()
	}
	if s.damaged {
		s.rec = record{Version: recordVersion}
	}
	return s, nil
}

// recordVersion is that of state.json. What a newer daypass has written is not ours
// to guess at.
const recordVersion = 1

func (r record) sound() bool {
	known := r.Format == "" || r.Format == "sha1" || r.Format == "sha256"
	whole := r.Commit == "" && r.Tree == "" || plumbing.OID(r.Commit).Valid() && plumbing.OID(r.Tree).Valid() && r.Format != "" && r.Source != ""
	return r.Version == recordVersion && filepath.IsAbs(r.Folder) && known && whole
}

// idOK reports whether an id may be one of ours; it becomes a path.
func idOK(id string) bool {
	if len(id) != 16 {
		return false
	}
	_, err := hex.DecodeString(id)
	return err == nil
}

// find returns what is known of a folder, nil for nothing: by the id in its
// repository, so that it may be renamed, or where that is gone by its path, or by what
// it keeps under another name.
func (p *Puller) find(folder, id string, c *clone.Clone) (*store, error) {
	if c != nil {
		s, err := p.load(id)
		if err != nil || !p.belongs(s, folder, c) {
			return nil, ignoreMissing(err)
		}
		return s, nil
	}
	s, err := p.named(folder)
	if s != nil || err != nil {
		return s, err
	}
	return p.renamed(folder)
}

// named returns the state of the folder that has a name; nil where there is none.
func (p *Puller) named(folder string) (*store, error) {
	data, err := os.ReadFile(p.key("folders", folder))
	if err != nil {
		return nil, ignoreMissing(err)
	}
	s, err := p.load(string(data))
	if err != nil {
		return nil, ignoreMissing(err)
	}
	if s.rec.Folder != folder && !s.damaged {
		return nil, nil // it was renamed away, and this is another one
	}
	return s, nil
}

// belongs reports whether a state that a folder names is the folder's: it is not
// where the folder is a copy, and the first one is still there; nor where the copy is
// older than what was delivered last, which then never came to it.
func (p *Puller) belongs(s *store, folder string, c *clone.Clone) bool {
	if s.damaged {
		return true
	}
	if s.rec.Folder != folder {
		id, err := os.ReadFile(filepath.Join(s.rec.Folder, ".git", "daypass"))
		if err == nil && string(trimSpace(id)) == s.id {
			return false
		}
	}
	if s.rec.Folder == folder && exists(s.file(journalFile)) {
		return true // a pull that was cut short may have made a new .git here
	}
	return s.rec.Commit == "" || s.rec.Inode == 0 || s.rec.Inode == inodeOf(folder) || s.came(c)
}

// came reports whether what was delivered last came to a clone, by its refs and
// their logs.
func (s *store) came(c *clone.Clone) bool {
	refs := []string{"HEAD"}
	if b, ok := strings.CutPrefix(s.rec.TipRef, "refs/heads/"); ok {
		refs = append(refs, "refs/remotes/origin/"+b)
	}
	if head, err := c.Head(); err == nil && string(head.Commit) == s.rec.Commit {
		return true
	}
	for _, ref := range refs {
		seen, err := c.Log(ref)
		if err != nil {
			return true // nothing can be said
		}
		if now, ok, err := c.Ref(ref); err == nil && ok {
			seen = append(seen, now)
		}
		if slices.Contains(seen, plumbing.OID(s.rec.Commit)) {
			return true
		}
	}
	return false
}

// inodeOf is that of a folder's .git; 0 where there is none.
func inodeOf(folder string) uint64 {
	fi, err := os.Lstat(filepath.Join(folder, ".git"))
	if err != nil {
		return 0
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	return uint64(st.Ino)
}

func trimSpace(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == '\n' || b[len(b)-1] == ' ') {
		b = b[:len(b)-1]
	}
	return b
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// create makes the state of a folder that has none. Of one that was here before, the
// backups stay within reach; if it was only renamed, it keeps its own state.
func (p *Puller) create(folder string) (*store, error) {
	s := &store{id: p.random(8)}
	s.dir = filepath.Join(p.Home, s.id)
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	s.rec = record{Version: recordVersion, Folder: folder}
	if id, err := os.ReadFile(p.key("folders", folder)); err == nil {
		if old, err := p.load(string(id)); err == nil && (old.damaged || old.rec.Folder == folder) {
			s.rec.Past = old.id
		}
	}
	return s, nil
}

// maxPast is how many folders that were at one place are looked back to.
const maxPast = 50

// past returns the states of the folders that were here before, the last one first.
func (p *Puller) past(s *store) []*store {
	var out []*store
	for id := s.rec.Past; id != "" && len(out) < maxPast; {
		old, err := p.load(id)
		if err != nil {
			break
		}
		out, id = append(out, old), old.rec.Past
	}
	return out
}

// remember makes a folder's path lead to its state, and what it keeps under another name.
func (p *Puller) remember(s *store) error {
	if s.rec.Identity.Inode != 0 {
		if err := p.lead(s.rec.Identity.name(), s); err != nil {
			return err
		}
	}
	return p.lead(s.rec.Folder, s)
}

func (p *Puller) lead(name string, s *store) error {
	file := p.key("folders", name)
	if data, err := os.ReadFile(file); err == nil && string(data) == s.id {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	return replace(file, []byte(s.id), false)
}

// save writes the state; a power cut leaves the one before, or this one.
func (s *store) save() error {
	data, err := json.Marshal(s.rec)
	if err != nil {
		return err
	}
	file := s.file("state.json")
	if old, err := os.ReadFile(file); err == nil && bytes.Equal(old, data) {
		return nil
	}
	return replace(file, data, true)
}

// prepare writes two states beside the one that counts: the present one (".new"), and the
// one after it, in which nothing is being built (".built").
func (s *store) prepare(durable bool) error {
	built := s.rec
	built.Building = ""
	for ext, rec := range map[string]record{".new": s.rec, ".built": built} {
		data, err := json.Marshal(rec)
		if err == nil {
			err = prepare(s.file("state.json"), ext, data, durable)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// put makes one of them count.
func (s *store) put(ext string) error {
	return os.Rename(s.file("state.json"+ext), s.file("state.json"))
}

// saveLast writes the last report, which is long, and which a pull that finds
// nothing new need not read.
func (s *store) saveLast(r Report) error {
	r.Diff = ""
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return replace(s.file("last.json"), data, false)
}

func (s *store) last() (Report, bool) {
	var r Report
	data, err := os.ReadFile(s.file("last.json"))
	if err != nil || json.Unmarshal(data, &r) != nil {
		return Report{}, false
	}
	return r, true
}

// replace writes a file of our own whole, beside itself first.
func replace(file string, data []byte, durable bool) error {
	if err := prepare(file, ".new", data, durable); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// prepare is replace without its last step.
func prepare(file, ext string, data []byte, durable bool) error {
	f, err := os.OpenFile(file+ext, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && durable {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(file + ext)
	}
	return err
}

// git opens the repository of ours behind a folder, with the folder's own objects
// beside it where there are any.
func (p *Puller) git(s *store, alternates ...string) (*plumbing.Repo, error) {
	return p.Git.Open(s.repo(), alternates...)
}
