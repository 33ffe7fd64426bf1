package snapshot

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/plumbing"
)

// A Manifest says what a commit of content is made of: it is the file daypass.json
// beside the folder content. The commit has no parent and a fixed date, so that the
// same content is the same commit, whoever read it. What moves by itself, such as a
// mark of the whole source, is not in it.
type Manifest struct {
	Version  int      `json:"version"` // 1
	Source   string   `json:"source"`  // canonical text of a [daypass.Source]
	Title    string   `json:"title,omitempty"`
	Web      string   `json:"web,omitempty"`
	Complete bool     `json:"complete"` // the listing was
	ByID     bool     `json:"by_id"`    // every file has an id: what was renamed is known
	Files    []Stored `json:"files"`    // sorted by Path
	Left     []Stored `json:"left,omitempty"`
	Notes    []string `json:"notes,omitempty"` // sentences for people
	// Keep: whoever has something that Files lack keeps it. What that is, is named to
	// nobody: who never had it is not to hear of it.
	Keep bool `json:"keep,omitempty"`
	// Lost is since when more than half of the files are gone, where Keep is for that.
	Lost time.Time `json:"lost,omitzero"`
	// Of is of a commit that nobody else is given: the one without what only its reader
	// keeps.
	Of plumbing.OID `json:"of,omitempty"`
}

// A Stored is one file of a manifest, or what was left out of it.
type Stored struct {
	Path string    `json:"path"` // under which it is delivered, or would be
	ID   string    `json:"id,omitempty"`
	Mark string    `json:"mark,omitempty"`
	Sum  string    `json:"sum,omitempty"` // as the source says it
	Size int64     `json:"size,omitempty"`
	Gone time.Time `json:"gone,omitzero"`  // the source lacks it since then, and it is kept for a while
	Was  string    `json:"was,omitempty"`  // what the source calls it, where that cannot be delivered
	Why  string    `json:"why,omitempty"`  // of Left, and of a file under another name: a clause
	As   string    `json:"as,omitempty"`   // of Left: the pointer that is delivered in its place
	Over int64     `json:"over,omitempty"` // of Left: the limit for one file that it is over
	Held bool      `json:"held,omitempty"` // of Left: whoever has it keeps it
}

// The names at the top of a commit of content.
const (
	contentFolder = "content"
	manifestFile  = "daypass.json"
)

// contentRef is where the last commit of content is kept until the next.
const contentRef = "refs/daypass/content"

// Bounds of what is read of a manifest, which may come from elsewhere.
const (
	maxManifest = 64 << 20
	maxText     = 4096 // bytes of a title, a note, an id
	maxNotes    = 1000
)

// errManifest: a commit is not one of content, or its manifest says what is not so.
var errManifest = errors.New("this is no commit of content")

// DamagedContent says for people that a commit of content makes no sense. Code DP-460.
func DamagedContent(err error) *daypass.Problem {
	return &daypass.Problem{Code: "DP-460", What: "What came of this source is damaged, or was tampered with", Why: shown(err.Error()), Err: err, Kind: daypass.ErrRefused,
		Next: "Try again. What you have stays as it is.", Who: "If it stays, whoever runs the access service should look at its snapshots."}
}

// WriteContent makes a commit of content. files have the paths of m.Files, and of the
// pointers among m.Left; their blobs are in repo. The commit is kept at a ref until
// the next one.
func WriteContent(ctx context.Context, repo *plumbing.Repo, m Manifest, files []plumbing.File) (plumbing.OID, error) {
	im, err := repo.Import(ctx)
	if err != nil {
		return "", err
	}
	commit, err := m.commit(im, contentRef, files)
	return commit, errors.Join(err, im.Close())
}

func (m Manifest) commit(im *plumbing.Import, ref string, files []plumbing.File) (plumbing.OID, error) {
	data, err := m.encode()
	if err != nil {
		return "", err
	}
	oid, err := im.Blob(int64(len(data)), bytes.NewReader(data))
	if err != nil {
		return "", err
	}
	all := []plumbing.File{{Path: manifestFile, Mode: plumbing.Regular, OID: oid}}
	for _, f := range files {
		f.Path = contentFolder + "/" + f.Path
		all = append(all, f)
	}
	who := plumbing.Who{Name: "daypass", Email: "daypass@localhost", When: time.Unix(0, 0).UTC()}
	commit, _, err := im.Commit(plumbing.CommitSpec{Ref: ref, Author: who, Committer: who, Message: "Content of " + m.Source + "\n", Files: all})
	return commit, err
}

// encode writes a manifest in one way only.
func (m Manifest) encode() ([]byte, error) {
	m.Version = 1
	m.Title, m.Notes = bounded(m.Title), slices.Clone(m.Notes)
	if len(m.Web) > maxText {
		m.Web = ""
	}
	for i := range m.Notes {
		m.Notes[i] = bounded(m.Notes[i])
	}
	m.Notes = m.Notes[:min(len(m.Notes), maxNotes)]
	byPath := func(a, b Stored) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Was, b.Was), strings.Compare(a.ID, b.ID))
	}
	m.Files, m.Left = slices.SortedFunc(slices.Values(m.Files), byPath), slices.SortedFunc(slices.Values(m.Left), byPath)
	if m.Files == nil {
		m.Files = []Stored{}
	}
	return json.MarshalIndent(m, "", " ")
}

// bounded makes a text of others fit for the manifest.
func bounded(text string) string {
	if text = strings.ToValidUTF8(text, "?"); len(text) <= maxText {
		return text
	}
	text = text[:maxText-3]
	for !utf8.ValidString(text) {
		text = text[:len(text)-1]
	}
	return text + "..."
}

// ParseManifest reads a manifest and trusts nothing in it: names are such as are
// delivered, no two alike, none in another's way.
func ParseManifest(data []byte) (Manifest, error) {
	var m Manifest
	if len(data) > maxManifest || bytes.Count(data, []byte("{")) > plumbing.MaxFiles {
		return m, fmt.Errorf("%w: its manifest has no end", errManifest)
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("%w: %w", errManifest, err)
	}
	if m.Version != 1 {
		return m, fmt.Errorf("%w: its manifest is of version %d; a newer daypass reads it", errManifest, m.Version)
	}
	if _, ok := daypass.ParseSource(m.Source); !ok {
		return m, fmt.Errorf("%w: its manifest names no source", errManifest)
	}
	texts := append([]string{m.Title, m.Web, m.Source}, m.Notes...)
	for _, s := range slices.Concat(m.Files, m.Left) {
		texts = append(texts, s.ID, s.Mark, s.Sum, s.Was, s.Why, s.As, s.Path)
		if s.Size < -1 || s.Over < 0 {
			return m, fmt.Errorf("%w: a size makes no sense", errManifest)
		}
	}
	for _, text := range texts {
		if len(text) > 4*maxText || !utf8.ValidString(text) {
			return m, fmt.Errorf("%w: its manifest has texts without end", errManifest)
		}
	}
	if m.Of != "" && !m.Of.Valid() {
		return m, fmt.Errorf("%w: it is of no commit", errManifest)
	}
	if len(m.Notes) > maxNotes {
		return m, fmt.Errorf("%w: its manifest has no end of notes", errManifest)
	}
	_, err := m.paths()
	return m, err
}

// paths are those of all that is delivered.
func (m Manifest) paths() (map[string]Stored, error) {
	out := make(map[string]Stored, len(m.Files))
	add := func(name string, s Stored) error {
		if clean, _, ok := Name(name); !ok || clean != name {
			return fmt.Errorf("%w: it has a file %q", errManifest, shown(name))
		}
		if _, taken := out[name]; taken {
			return fmt.Errorf("%w: it has %q twice", errManifest, shown(name))
		}
		out[name] = s
		return nil
	}
	for _, s := range m.Files {
		if err := add(s.Path, s); err != nil {
			return nil, err
		}
	}
	for _, s := range m.Left {
		if s.As != "" {
			if err := add(s.As, Stored{Path: s.As}); err != nil {
				return nil, err
			}
		}
	}
	for name := range out {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if _, taken := out[dir]; taken {
				return nil, fmt.Errorf("%w: %q is a file and a folder", errManifest, shown(dir))
			}
		}
	}
	return out, nil
}

// ReadContent says what a commit of content delivers. It may come from elsewhere: it
// is held to its shape, to what may be delivered at all, and to the limits, whoever
// has done so before. have is what was delivered last, "" for nothing: by its manifest
// renames are known. Code DP-460, DP-461.
func ReadContent(o *plumbing.Objects, commit, have plumbing.OID, l Limits) (Snapshot, Manifest, error) {
	return readContent(o, commit, have, l, nil)
}

// readContent lets some files be over the limit for one.
func readContent(o *plumbing.Objects, commit, have plumbing.OID, l Limits, include []string) (Snapshot, Manifest, error) {
	root, m, err := readCommit(o, commit)
	if err != nil {
		return Snapshot{}, m, orDamaged(err)
	}
	s := Snapshot{Commit: commit, Tree: root, Title: shown(m.Title), Web: shown(m.Web), Tip: Tip{Commit: commit, Format: formatOf(commit)}}
	for _, note := range m.Notes {
		s.Notes = append(s.Notes, shown(note))
	}
	if err := s.deliver(o, m, l.Or(), include); err != nil {
		return Snapshot{}, m, orDamaged(err)
	}
	for _, left := range m.Left {
		name := cmp.Or(left.Was, left.Path)
		if left.Over > 0 {
			name = left.Path // the one that was delivered before has it
		}
		s.Left = append(s.Left, Left{Path: name, Why: shown(left.Why), As: left.As, Size: max(left.Size, 0), TooLarge: left.Over > 0})
		if left.Held {
			s.Spared = append(s.Spared, left.Path)
		}
	}
	s.SparesAll = m.Keep
	for _, f := range m.Files {
		if f.Was != "" {
			s.Left = append(s.Left, Left{Path: f.Was, Why: shown(f.Why), As: f.Path, Size: f.Size})
		}
	}
	if !m.ByID {
		return s, m, nil
	}
	s.Renames = map[string]string{}
	if have == "" {
		return s, m, nil
	}
	_, old, err := readCommit(o, have)
	if errors.Is(err, errManifest) || errors.Is(err, plumbing.ErrMissing) || errors.Is(err, plumbing.ErrObject) {
		return s, m, nil // then no rename is known
	}
	s.Renames = renames(old, m)
	return s, m, err
}

// orDamaged leaves alone what is not the commit's fault.
func orDamaged(err error) error {
	if errors.Is(err, errManifest) || errors.Is(err, plumbing.ErrMissing) || errors.Is(err, plumbing.ErrObject) || errors.Is(err, plumbing.ErrTooMany) || errors.Is(err, plumbing.ErrTooLarge) {
		return DamagedContent(err)
	}
	return err
}

// readCommit returns the tree of what is delivered, and the manifest.
func readCommit(o *plumbing.Objects, commit plumbing.OID) (plumbing.OID, Manifest, error) {
	heads, err := o.Heads([]plumbing.OID{commit})
	if err != nil {
		return "", Manifest{}, err
	}
	if kind := heads[0].Kind; kind != plumbing.CommitKind {
		return "", Manifest{}, fmt.Errorf("%w: it is %q", errManifest, kind)
	}
	c, err := o.Commit(commit)
	if err != nil {
		return "", Manifest{}, err
	}
	entries, err := o.Tree(c.Tree)
	if err != nil {
		return "", Manifest{}, err
	}
	tree, file := plumbing.OID(""), plumbing.OID("")
	for _, e := range entries {
		switch {
		case e.Name == contentFolder && e.Mode == plumbing.Directory && tree == "":
			tree = e.OID
		case e.Name == manifestFile && e.Mode == plumbing.Regular && file == "":
			file = e.OID
		default:
			return "", Manifest{}, fmt.Errorf("%w: it has %q", errManifest, shown(e.Name))
		}
	}
	if file == "" || len(c.Parents) > 0 {
		return "", Manifest{}, errManifest
	}
	if size, err := o.Size(file); err != nil || size > maxManifest {
		return "", Manifest{}, errors.Join(err, errManifest)
	}
	kind, data, err := o.Read(file)
	if err == nil && kind != plumbing.BlobKind {
		err = errManifest
	}
	if err != nil {
		return "", Manifest{}, err
	}
	m, err := ParseManifest(data)
	if tree == "" {
		tree = emptyTree(commit)
	}
	return tree, m, err
}

// deliver holds the tree to the manifest and to the limits.
func (s *Snapshot) deliver(o *plumbing.Objects, m Manifest, l Limits, include []string) error {
	want, err := m.paths()
	if err != nil {
		return err
	}
	if s.Files, err = o.FilesUpTo(s.Tree, min(MaxDepth*(len(want)+1), plumbing.MaxFiles)); err != nil {
		return err
	}
	if len(s.Files) != len(want) {
		return fmt.Errorf("%w: it has %d files, and its manifest %d", errManifest, len(s.Files), len(want))
	}
	oids := make([]plumbing.OID, len(s.Files))
	for i, f := range s.Files {
		if _, ok := want[f.Path]; !ok {
			return fmt.Errorf("%w: it has %q, which its manifest has not", errManifest, shown(f.Path))
		}
		oids[i] = f.OID
	}
	heads, err := o.Heads(oids)
	if err != nil {
		return err
	}
	all, asked := s.Files, int64(0)
	s.Files = nil
	for i, f := range all {
		if err := s.file(o, f, heads[i]); err != nil {
			return err
		}
		size := heads[i].Size
		over := l.File >= 0 && size > l.File
		if over && Included(include, f.Path) {
			asked += size
		} else if over {
			s.Rest = append(s.Rest, f)
			s.Left = append(s.Left, Left{Path: f.Path, Why: tooLargeFile + bytesOf(l.File), Size: size, TooLarge: true})
			continue
		}
		s.Files, s.Bytes = append(s.Files, f), s.Bytes+size
	}
	if l.Files >= 0 && len(s.Files) > l.Files {
		return overLimit(m.Title, fmt.Sprintf("it has %d files, and %d may be pulled", len(s.Files), l.Files))
	}
	if l.Total >= 0 && s.Bytes-asked > l.Total {
		return overLimit(m.Title, fmt.Sprintf("it has %s, and %s may be pulled", bytesOf(s.Bytes), bytesOf(l.Total)))
	}
	return nil
}

// file holds one entry of the tree to what may be delivered.
func (s *Snapshot) file(o *plumbing.Objects, f plumbing.File, h plumbing.Head) error {
	if h.Kind == "" {
		return fmt.Errorf("%w: %s is not there", plumbing.ErrMissing, shown(f.Path))
	}
	if h.Kind != plumbing.BlobKind {
		return fmt.Errorf("%w: %q is a %s", errManifest, shown(f.Path), h.Kind)
	}
	switch f.Mode {
	case plumbing.Regular, plumbing.Executable:
		return nil
	case plumbing.Symlink:
	default:
		return fmt.Errorf("%w: %q is no file", errManifest, shown(f.Path))
	}
	if h.Size > MaxPath {
		return fmt.Errorf("%w: %q is a link that leads out of the folder", errManifest, shown(f.Path))
	}
	_, target, err := o.Read(f.OID)
	if err != nil {
		return err
	}
	if why, ok := Link(f.Path, string(target)); !ok {
		return fmt.Errorf("%w: %q is %s", errManifest, shown(f.Path), why)
	}
	return nil
}

// emptyTree is the id of the tree without files, in the format of an object.
func emptyTree(like plumbing.OID) plumbing.OID {
	if formatOf(like) == "sha256" {
		return "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321"
	}
	return "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
}

// spares is what of an older manifest stays with whoever has it, by its path there: what m
// withholds, under the name that it has by now, and where m says so all that it lacks.
func (m Manifest) spares(old Manifest) map[string]Stored {
	ids, names, files, held := map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]Stored{}
	add := func(id, name string) {
		ids[id], names[name], files[name] = true, true, true
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			names[dir] = true
		}
	}
	for _, s := range m.Files {
		add(s.ID, s.Path)
	}
	for _, s := range m.Left {
		if s.As != "" {
			add("", s.As)
		}
		if s.Held {
			held[idOr(s.ID, s.Path)] = s
		}
		if s.Held || s.Over > 0 {
			add(s.ID, s.Path)
		}
	}
	out := map[string]Stored{}
	for _, s := range old.Files {
		if now, ok := held[idOr(s.ID, s.Path)]; ok {
			at := s.Path
			s.Path = now.Path
			out[at] = s
			continue
		}
		if m.Keep && !(s.ID != "" && ids[s.ID]) && !names[s.Path] && !inFile(files, s.Path) {
			out[s.Path] = s
		}
	}
	return out
}

// renames are the files that have another path in a later manifest, by their ids.
func renames(old, new Manifest) map[string]string {
	now := map[string]string{}
	for _, f := range new.Files {
		if f.ID != "" {
			now[f.ID] = f.Path
		}
	}
	out := map[string]string{}
	for _, f := range old.Files {
		if to, ok := now[f.ID]; ok && f.ID != "" && to != f.Path {
			out[f.Path] = to
		}
	}
	return out
}

// overLimit: a whole source is over a limit. Code DP-461.
func overLimit(title, why string) *daypass.Problem {
	what := "The content"
	if title = shown(title); title != "" {
		what += " of " + title
	}
	return &daypass.Problem{Code: "DP-461", What: what + " is larger than may be pulled here", Why: why, Kind: daypass.ErrRefused, Err: errLarge,
		Next: "Ask whoever gave you the link for a smaller folder of it.", Who: "Whoever runs this place can raise the limit."}
}
