package pullpage

import (
	"errors"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/daypass-dev/daypass/pull"
	"github.com/daypass-dev/daypass/web"
)

// changesView is what a pull did, in groups for people.
type changesView struct {
	Folder string
	Groups []group
}

type group struct {
	Title, Hint string
	Items       []item
	More        int
}

type item struct {
	Path, Note string
	Look       bool   // both versions can be looked at
	Large      string // its name at the source, where it was left out for its size
	Token      string // of the button that brings it in spite of its size; "" is none
}

const maxItems = 200

// kinds are the groups, what concerns the user's own work first.
var kinds = []struct {
	what        pull.What
	title, hint string
}{
	{pull.Kept, "Your version was kept", "The instructor has another one. You need not do anything."},
	{pull.Merged, "Your work and the instructor’s changes, together", ""},
	{pull.Aside, "Your files, under a new name", "The instructor now has a file with the same name."},
	{pull.Restored, "Came back", "You had deleted these; here is the instructor’s version."},
	{pull.Came, "New", ""},
	{pull.Changed, "Changed by the instructor", ""},
	{pull.Moved, "Moved by the instructor", ""},
	{pull.Removed, "Removed by the instructor", ""},
	{pull.LeftOut, "Not brought", ""},
	{pull.Adopted, "Already there", ""},
}

// undoneTitles are those of an undo, which the instructor has no part in.
var undoneTitles = map[pull.What]string{
	pull.Kept: "What you did since was kept", pull.Merged: "Put back, with what you did since", pull.Aside: "Your files, under a new name", pull.Restored: "Came back",
	pull.Came: "Here again", pull.Changed: "Put back", pull.Moved: "Moved back", pull.Removed: "Gone again",
}

// changes puts a report into groups.
func (s *Server) changes(folder string, r pull.Report) changesView {
	view := changesView{Folder: folder}
	for _, k := range kinds {
		g := group{Title: k.title, Hint: k.hint}
		if back := undoneTitles[k.what]; r.Undone && back != "" {
			g = group{Title: back}
		}
		for _, c := range r.Changes {
			if c.What != k.what {
				continue
			}
			if len(g.Items) == maxItems {
				g.More++
				continue
			}
			g.Items = append(g.Items, item{Path: c.Path, Note: note(c), Look: !r.Undone && both(c), Large: tooLarge(c)})
		}
		if len(g.Items) > 0 {
			view.Groups = append(view.Groups, g)
		}
	}
	return view
}

// both reports whether there are two versions of a file to look at.
func both(c pull.Change) bool {
	return (c.What == pull.Kept || c.What == pull.Merged) && c.Kind != "binary" && c.Kind != "link"
}

// note says more about one file.
func note(c pull.Change) string {
	noun := "place"
	if c.Kind == "notebook" {
		noun = "cell"
	}
	var out []string
	switch {
	case c.What == pull.Moved || c.What == pull.Aside:
		out = append(out, "was "+c.From)
	case c.Kept > 0 && c.Kind == "notebook":
		out = append(out, "your answers in "+counted(c.Kept, "cell")+" stayed")
	case c.Kept > 0:
		out = append(out, "yours stayed in "+counted(c.Kept, noun))
	}
	if c.Came > 0 {
		out = append(out, counted(c.Came, noun)+" arrived")
	}
	if c.Why != "" {
		out = append(out, c.Why)
	}
	return strings.Join(out, "; ")
}

// reportView is the page of a folder.
type reportView struct {
	Folder, From, Open string
	Entries            []entryView
	UndoToken          string
	Backups            []backupView
}

type entryView struct {
	At       time.Time
	Sentence string
	Changes  changesView
}

type backupView struct {
	At    time.Time
	Count string
	Files []backupFile
	More  int
}

type backupFile struct{ Path, Size, Backup, Token string }

const (
	maxBackups     = 20
	maxBackupFiles = 100
)

// place reads the folder that a request is about.
func (v *visit) place(rel string) (string, error) {
	clean := path.Clean(rel)
	if rel == "" || clean != rel || clean == "." || !filepath.IsLocal(rel) || strings.ContainsAny(rel, "\\\x00") {
		return "", noSuchFile()
	}
	for part := range strings.SplitSeq(rel, "/") {
		if strings.HasPrefix(part, ".") {
			return "", noSuchFile()
		}
	}
	return v.s.folder(rel), nil
}

// entries are the reports of a folder, newest first, with the one that the pull
// itself keeps, of a command line say.
func (s *Server) entries(folder string) ([]Entry, error) {
	out, err := s.book.entries(folder)
	if err != nil {
		return nil, err
	}
	if st, ok, err := s.c.State(folder); err == nil && ok && st.Last.New != "" {
		known := slices.ContainsFunc(out, func(e Entry) bool { return e.Report.New == st.Last.New && e.Report.Undo == st.Last.Undo })
		if !known {
			out = slices.Insert(out, 0, Entry{At: st.At, Report: st.Last})
		}
	}
	return out, nil
}

func (v *visit) reportPage() error {
	rel := v.names["folder"]
	folder, err := v.place(rel)
	if err != nil {
		return err
	}
	entries, err := v.s.entries(folder)
	if err != nil {
		return err
	}
	view := reportView{Folder: rel, Open: v.s.c.Base + prefix(v.s.c.Settings.App, "") + escapePath(rel)}
	st, ok, err := v.s.c.State(folder)
	if err != nil {
		return err
	}
	if ok {
		view.From = v.s.cameFrom(st)
	}
	for _, e := range entries {
		view.Entries = append(view.Entries, entryView{At: e.At, Sentence: e.Report.Sentence(), Changes: v.s.changes(rel, e.Report)})
	}
	offered := map[string]bool{}
	for i := range view.Entries {
		if err := v.s.offer(&view.Entries[i].Changes, folder, offered); err != nil {
			return err
		}
	}
	if !ok {
		return v.show(http.StatusOK, "report", "Updates of "+strings.TrimSuffix(rel, ".git"), view)
	}
	if slices.ContainsFunc(entries, func(e Entry) bool { return e.Report.Undo != "" }) {
		if view.UndoToken, err = v.s.token(boundTo("undo", "", "", rel, "", "", "", "")); err != nil {
			return err
		}
	}
	if view.Backups, err = v.backups(rel, folder); err != nil {
		return err
	}
	return v.show(http.StatusOK, "report", "Updates of "+strings.TrimSuffix(rel, ".git"), view)
}

// backups lists what is kept, each file with its button.
func (v *visit) backups(rel, folder string) ([]backupView, error) {
	all, err := v.s.c.Backups(v.r.Context(), folder)
	if err != nil {
		return nil, err
	}
	var out []backupView
	for _, b := range all[:min(len(all), maxBackups)] {
		view := backupView{At: b.At, Count: counted(len(b.Files), "file"), More: max(0, len(b.Files)-maxBackupFiles)}
		for _, f := range b.Files[:min(len(b.Files), maxBackupFiles)] {
			token, err := v.s.token(boundTo("restore", "", "", rel, f.Path, b.ID, "", ""))
			if err != nil {
				return nil, err
			}
			view.Files = append(view.Files, backupFile{Path: f.Path, Size: web.Size(f.Size), Backup: b.ID, Token: token})
		}
		out = append(out, view)
	}
	return out, nil
}

// act does something to a folder and leads to its page.
func (v *visit) act(do func(folder string) (pull.Report, error)) error {
	rel := v.form["folder"]
	folder, err := v.place(rel)
	if err != nil {
		return err
	}
	// daypass would look for such a folder further up.
	if _, ok, err := v.s.c.State(folder); err != nil || !ok {
		return errors.Join(noSuchFile(), err)
	}
	r, err := do(folder)
	if err != nil {
		return err
	}
	if err := v.s.book.keep(folder, Entry{At: v.s.c.Now(), Report: r}); err != nil {
		v.s.c.Log.Warn("the report was not kept", "error", err)
	}
	q, err := v.s.queryOf("folder", rel)
	if err != nil {
		return err
	}
	return v.redirect("report?" + q)
}

func (v *visit) undo() error {
	return v.act(func(folder string) (pull.Report, error) { return v.s.c.Undo(v.r.Context(), folder) })
}

// reset takes the source's version of a file that a report tells of.
func (v *visit) reset() error {
	return v.act(func(folder string) (pull.Report, error) {
		if _, err := v.s.reported(folder, v.form["file"]); err != nil {
			return pull.Report{}, err
		}
		return v.s.c.Reset(v.r.Context(), folder, v.form["file"])
	})
}

// restore brings a file of a backup back.
func (v *visit) restore() error {
	id, file := v.form["backup"], v.form["file"]
	return v.act(func(folder string) (pull.Report, error) {
		all, err := v.s.c.Backups(v.r.Context(), folder)
		if err != nil {
			return pull.Report{}, err
		}
		for _, b := range all {
			if b.ID == id && slices.ContainsFunc(b.Files, func(f pull.BackupFile) bool { return f.Path == file }) {
				return v.s.c.Restore(v.r.Context(), folder, id, file)
			}
		}
		return pull.Report{}, noSuchFile()
	})
}

// reported finds what the reports say of a file: only such files are shown or changed.
func (s *Server) reported(folder, file string) (pull.Change, error) {
	entries, err := s.entries(folder)
	if err != nil {
		return pull.Change{}, err
	}
	for _, e := range entries {
		for _, c := range e.Report.Changes {
			if c.Path == file && both(c) && filepath.IsLocal(file) {
				return c, nil
			}
		}
	}
	return pull.Change{}, noSuchFile()
}

// maxShown bounds a file that is shown.
const maxShown = 2 << 20

// mine reads the user's version of a file, never one outside of the folder.
func mine(folder, file string) ([]byte, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, notShown("the folder is not there")
	}
	defer func() { _ = root.Close() }() // nothing was written
	info, err := root.Lstat(file)
	switch {
	case err != nil:
		return nil, notShown("it is not there any more")
	case !info.Mode().IsRegular():
		return nil, notShown("it is no ordinary file")
	case info.Size() > maxShown:
		return nil, notShown("it is larger than 2 MB")
	}
	b, err := root.ReadFile(file)
	if err != nil || len(b) > maxShown {
		return nil, notShown("it cannot be read")
	}
	return b, nil
}
