package drive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass"
)

const (
	maxDepth = 32
	// perQuery is how many folders one query lists.
	perQuery = 50
)

// List asks for all folders, level by level, many of them in one query.
func (d *Drive) List(ctx context.Context, s daypass.Source) (daypass.Listing, error) {
	if err := check(s); err != nil {
		return daypass.Listing{}, err
	}
	root, err := d.file(ctx, s.ID, s.Ref)
	if err != nil {
		return daypass.Listing{}, err
	}
	// The place in the feed comes first: what changes from now on shows there.
	at := d.cursor(ctx, s, root, "")
	w := &walk{d: d, ctx: ctx, children: map[string][]file{}, inside: map[string]file{}, files: map[string]file{root.ID: root}, keys: map[string]string{root.ID: s.Ref}}
	l := daypass.Listing{Title: d.title(ctx, root)}
	tops, err := w.descend(root, s.Path)
	if err != nil {
		return daypass.Listing{}, err
	}
	if err := w.crawl(tops); err != nil {
		return daypass.Listing{}, err
	}
	if err := w.fetchOutside(); err != nil {
		return daypass.Listing{}, err
	}
	if err := w.assemble(tops); err != nil {
		return daypass.Listing{}, err
	}
	if s.Path != "" {
		l.Title = s.Path[strings.LastIndex(s.Path, "/")+1:]
	}
	l.Items, l.Notes, l.Complete = w.items, w.notes, !w.partial
	if at.cursor != "" {
		at.tree = w.hash()
		l.Mark = at.String()
		d.remember(&known{mark: at.source + at.tree, ids: w.ids(), title: l.Title, web: page(root), checked: d.Now()})
	}
	return l, nil
}

// A walk is a listing under way.
type walk struct {
	d        *Drive
	ctx      context.Context
	children map[string][]file // by folder, of those that were listed
	files    map[string]file   // all that was seen, by id
	inside   map[string]file   // what of it lies below what was asked for, or was enrolled: shortcuts lead there
	keys     map[string]string // resource keys
	seen     int
	items    []daypass.Item
	notes    []string
	partial  bool
}

// inPath is a name as a path has it: a "/" in it is no division.
func inPath(name string) string { return strings.ReplaceAll(name, "/", "∕") }

// descend goes down a path, and returns what bears its last name: folders, or else
// files.
func (w *walk) descend(root file, path string) ([]file, error) {
	tops := []file{root}
	if path == "" {
		return tops, nil
	}
	names := strings.Split(path, "/")
	for deep, name := range names {
		var folders, others []file
		var there []string
		for _, top := range tops {
			if top.Type != folderType {
				continue
			}
			if err := w.list([]string{top.ID}); err != nil {
				return nil, err
			}
			for _, f := range w.children[top.ID] {
				if f.Type == folderType {
					there = append(there, inPath(f.Name))
				}
				switch {
				case inPath(f.Name) != name:
				case f.Type == folderType:
					folders = append(folders, f)
				default:
					others = append(others, f)
				}
			}
		}
		if tops = folders; len(tops) == 0 {
			tops = others
		}
		if len(tops) == 0 {
			p := w.d.none(w.ctx)
			p.Err = errors.Join(p.Err, daypass.NoFolderOf(names, deep, there))
			return nil, p
		}
	}
	return tops, nil
}

// crawl lists folders and all folders below them, each once.
func (w *walk) crawl(tops []file) error {
	w.enter(tops)
	level := folders(tops)
	for depth := 0; len(level) > 0; depth++ {
		if depth > maxDepth {
			return partial("folders lie in folders more than 32 deep")
		}
		var next []file
		for batch := range slices.Chunk(level, perQuery) {
			var fresh []string
			for _, id := range batch {
				if _, listed := w.children[id]; !listed {
					fresh = append(fresh, id)
				}
			}
			if err := w.list(fresh); err != nil {
				return err
			}
			for _, id := range batch {
				w.enter(w.children[id])
				next = append(next, w.children[id]...)
			}
		}
		level = folders(next)
	}
	return nil
}

func (w *walk) enter(files []file) {
	for _, f := range files {
		w.inside[f.ID] = f
	}
}

func folders(files []file) (ids []string) {
	for _, f := range files {
		if f.Type == folderType && idPattern().MatchString(f.ID) && !slices.Contains(ids, f.ID) {
			ids = append(ids, f.ID)
		}
	}
	return ids
}

// list reads all pages of what some folders hold.
func (w *walk) list(ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	keys := map[string]string{}
	terms := make([]string, len(ids))
	for n, id := range ids {
		if !idPattern().MatchString(id) {
			return partial("a folder has an id that is none")
		}
		terms[n] = "'" + id + "' in parents"
		keys[id] = w.keys[id]
		w.children[id] = []file{}
	}
	q := url.Values{
		"q": {"(" + strings.Join(terms, " or ") + ") and trashed = false"}, "pageSize": {"1000"}, "includeItemsFromAllDrives": {"true"},
		"fields": {"nextPageToken,incompleteSearch,files(" + fileFields + ")"},
	}
	had := map[string]bool{}
	for {
		var answer struct {
			Next       string `json:"nextPageToken"`
			Incomplete bool   `json:"incompleteSearch"`
			Files      []file `json:"files"`
		}
		if err := w.d.get(w.ctx, "files", q, keys, &answer); err != nil {
			return missing(err)
		}
		if answer.Incomplete {
			return partial("Google says that its search was not complete")
		}
		if err := w.take(ids, answer.Files); err != nil {
			return err
		}
		if answer.Next == "" {
			return nil
		}
		if had[answer.Next] {
			return partial("Google gives the same page again and again")
		}
		had[answer.Next] = true
		q.Set("pageToken", answer.Next)
	}
}

// missing: what is refused half-way is no sign that the folder is gone.
func missing(err error) error {
	if errors.Is(err, daypass.ErrNoSource) {
		return partial("a folder in it was there, and then was not")
	}
	return err
}

func (w *walk) take(parents []string, files []file) error {
	for _, f := range files {
		n := slices.IndexFunc(f.Parents, func(id string) bool { return slices.Contains(parents, id) })
		switch {
		case f.Trashed:
			continue
		case n < 0 && len(parents)+len(f.Parents) > 1 || !idPattern().MatchString(f.ID):
			return partial("Google lists a file that is in none of the folders")
		case w.seen >= w.d.MaxItems:
			return partial(fmt.Sprintf("it holds more than %d files", w.d.MaxItems))
		}
		w.seen++
		parent := parents[0]
		if n >= 0 {
			parent = f.Parents[n]
		}
		if f.Type == folderType && f.Can.List != nil && !*f.Can.List {
			w.partial = true
			w.notes = append(w.notes, "A folder is shared with fewer people than the one that it is in, and was left out.")
		}
		w.children[parent] = append(w.children[parent], f)
		w.files[f.ID] = f
		w.keys[f.ID] = f.Key
	}
	return nil
}

// fetchOutside asks for what shortcuts lead to, where it was enrolled.
func (w *walk) fetchOutside() error {
	for again := true; again; {
		again = false
		for _, f := range w.all() {
			id := f.Shortcut.ID
			if _, have := w.inside[id]; f.Type != shortcutType || have || !slices.Contains(w.d.Outside, id) || !idPattern().MatchString(id) {
				continue
			}
			target, err := w.d.file(w.ctx, id, f.Shortcut.Key)
			if errors.Is(err, daypass.ErrNoSource) {
				target, err = file{ID: id}, nil // it is left out, with a reason
			}
			if err != nil {
				return err
			}
			w.files[id], w.keys[id] = target, f.Shortcut.Key
			if err := w.crawl([]file{target}); err != nil {
				return err
			}
			again = true
		}
	}
	return nil
}

func (w *walk) all() (out []file) {
	for _, f := range w.files {
		out = append(out, f)
	}
	return out
}

// A place is a folder in the tree that is made of the answers.
type place struct {
	id    string
	parts []string
	path  []string // the ids above it, for shortcuts that go round in circles
	via   string   // the shortcut that led here; "" is none
}

// assemble makes items of what was seen.
func (w *walk) assemble(tops []file) error {
	var todo []place
	for _, top := range tops {
		if top.Type == folderType {
			todo = append(todo, place{id: top.ID})
			continue
		}
		w.item(place{}, top)
	}
	for visits := 0; len(todo) > 0; visits++ {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if visits > w.d.MaxItems || len(w.items) > w.d.MaxItems || len(at.parts) > 2*maxDepth {
			return partial("it holds too much")
		}
		path := append(slices.Clone(at.path), at.id)
		for _, f := range w.children[at.id] {
			target, via := f, at.via
			if f.Type == shortcutType {
				target, via = w.inside[f.Shortcut.ID], f.ID
			}
			if target.Type != folderType {
				w.item(at, f)
				continue
			}
			if f.Type == shortcutType && (at.via != "" || slices.Contains(path, target.ID)) {
				w.notes = append(w.notes, "A shortcut that leads back, or on from where another shortcut led, was not followed.")
				continue
			}
			todo = append(todo, place{id: target.ID, parts: append(slices.Clone(at.parts), f.Name), path: path, via: via})
		}
	}
	slices.SortFunc(w.items, func(a, b daypass.Item) int {
		if n := slices.Compare(a.Parts, b.Parts); n != 0 {
			return n
		}
		return strings.Compare(a.ID, b.ID)
	})
	slices.Sort(w.notes)
	w.notes = slices.Compact(w.notes)
	return nil
}

// A target is what is opened for an item.
type target struct {
	id, key string
	export  string // the type to export as; "" is the file's own bytes
}

// item makes one of a file, or of what a shortcut leads to.
func (w *walk) item(at place, f file) {
	t := f
	if f.Type == shortcutType {
		t = w.inside[f.Shortcut.ID]
	}
	it := daypass.Item{Parts: append(slices.Clone(at.parts), f.Name), ID: f.ID, Size: -1, Web: page(f)}
	if at.via != "" {
		it.ID = at.via + ">" + f.ID // the same file lies elsewhere too
	}
	data := target{id: t.ID, key: w.keys[t.ID]}
	switch native, made := strings.CutPrefix(t.Type, "application/vnd.google-apps."); {
	case f.Type == shortcutType && t.Type == "":
		it.Skip = "it is a shortcut to something outside of the folder"
		if slices.Contains(w.d.Outside, f.Shortcut.ID) {
			it.Skip = "it is a shortcut to something that is not there, or not shared with the service account"
		}
	case f.Type == shortcutType && t.Type == shortcutType:
		it.Skip = "it is a shortcut to a shortcut"
	case t.Can.Download != nil && !*t.Can.Download:
		it.Skip = "its owner does not let viewers download it"
	case made && exports[native].kind == "":
		it.Skip = "Google makes no file of it"
	case made:
		data.export = exports[native].kind
		if ext := exports[native].ext; !strings.HasSuffix(strings.ToLower(f.Name), ext) {
			it.Parts[len(it.Parts)-1] += ext
		}
		// The version moves with each look at the file, too; bytes of an export differ
		// each time.
		it.Mark = t.Modified
	default:
		it.Mark = t.Revision + " " + t.Modified
		if t.Size != nil {
			it.Size = *t.Size
		}
		if it.Sum = "sha256:" + t.SHA256; t.SHA256 == "" {
			it.Sum = "md5:" + t.MD5
			if t.MD5 == "" {
				it.Sum = ""
			}
		}
	}
	it.Data = data
	w.items = append(w.items, it)
}

// exports are what Google's own types are had as.
var exports = map[string]struct{ kind, ext string }{
	"document":     {"application/vnd.openxmlformats-officedocument.wordprocessingml.document", ".docx"},
	"spreadsheet":  {"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ".xlsx"},
	"presentation": {"application/vnd.openxmlformats-officedocument.presentationml.presentation", ".pptx"},
	"drawing":      {"image/svg+xml", ".svg"},
	"script":       {"application/vnd.google-apps.script+json", ".json"},
}

func (w *walk) ids() map[string]bool {
	out := map[string]bool{}
	for id, f := range w.files {
		out[id] = true
		if f.Shortcut.ID != "" {
			out[f.Shortcut.ID] = true
		}
	}
	return out
}

// hash names what was listed.
func (w *walk) hash() string {
	var all []string
	for id := range w.ids() {
		all = append(all, id)
	}
	slices.Sort(all)
	sum := sha256.Sum256([]byte(strings.Join(all, " ")))
	return hex.EncodeToString(sum[:8])
}
