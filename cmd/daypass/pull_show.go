package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pull"
)

// maxNames is how many files of one kind a summary names.
const maxNames = 10

// pulled says what a pull did, or would do. here names the folder in a command
// typed where the reader stands; "" is that very folder.
func (s *screen) pulled(r pull.Report, here string) {
	s.result("%s", r.Sentence())
	if r.Undone && len(r.Changes) == 0 && r.Old == r.New {
		s.result("A first pull that made the folder is taken back by deleting the folder.")
	}
	for _, g := range titles(r.Undone) {
		s.changes(g.title, r, g.what)
	}
	if r.Diff != "" {
		s.result("%s", lines(strings.TrimSuffix(r.Diff, "\n")))
	}
	for _, note := range r.Notes {
		s.result("%s", note)
	}
	if r.Pointer > 0 {
		s.result("Files kept by Git LFS came as pointers (%d). To get their content: git lfs pull", r.Pointer)
	}
	if r.Aside != "" {
		s.result("The folder as it was: %s", r.Aside)
	}
	dir := ""
	if here != "" {
		dir = " " + shellWord(here)
	}
	for _, c := range r.Changes {
		if !r.DryRun && !r.Undone && (c.What == pull.Kept || c.Kept > 0) {
			s.result("To see the source's version: daypass pull --show-upstream %s", shellWord(filepath.Join(here, c.Path)))
			break
		}
	}
	if r.Undo != "" && !r.Undone && len(r.Changes) > 0 {
		s.result("To take this back: daypass pull --undo%s", dir)
	}
}

type title struct {
	what  pull.What
	title string
}

// titles are what a summary calls what became of a file, in its order.
func titles(undone bool) []title {
	came, changed, removed := "new", "updated", "removed"
	if undone {
		came, changed, removed = "here again", "put back", "gone again"
	}
	return []title{
		{pull.Came, came}, {pull.Changed, changed}, {pull.Merged, "merged"}, {pull.Kept, "yours kept"}, {pull.Restored, "came back"},
		{pull.Moved, "moved"}, {pull.Aside, "set aside"}, {pull.Removed, removed}, {pull.LeftOut, "left out"},
	}
}

// changes lists the files of one kind.
func (s *screen) changes(title string, r pull.Report, what pull.What) {
	n := 0
	for _, c := range r.Changes {
		if c.What != what {
			continue
		}
		if n++; n <= maxNames {
			s.result("  %-10s  %s%s", title, c.Path, detail(c))
		}
	}
	if n > maxNames {
		s.result("  %-10s  and %d more (--json lists all)", title, n-maxNames)
	}
}

// detail says what a name alone does not.
func detail(c pull.Change) string {
	var parts []string
	if c.From != "" && c.What == pull.Aside {
		parts = append(parts, "your "+c.From)
	} else if c.From != "" {
		parts = append(parts, "from "+c.From)
	}
	noun := "place"
	if c.Kind == "notebook" {
		noun = "cell"
	}
	if c.Kept > 0 {
		parts = append(parts, "yours kept in "+plural(c.Kept, noun))
	}
	if c.What == pull.Merged && c.Came > 0 {
		parts = append(parts, plural(c.Came, noun)+" from the source")
	}
	if c.Why != "" {
		parts = append(parts, c.Why)
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, "; ") + ")"
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// shellWord quotes a name for a command to copy; where it cannot be copied as it
// is shown, the reader sees its escapes.
func shellWord(s string) string {
	plain := s != "" && s[0] != '-' && s[0] != '~'
	for _, r := range s {
		plain = plain && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-/+:@%,", r))
	}
	if plain {
		return s
	}
	if strings.HasPrefix(s, "-") {
		s = "./" + s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// pulled does what concerns a folder that was pulled into before.
func (a *app) pulled(ctx context.Context, p *pull.Puller, args []string, o pullOptions) error {
	s := a.screen(o.asJSON)
	if o.recover != "" || o.showBackup != "" {
		return a.fromBackup(ctx, s, p, args, o)
	}
	dir := "."
	if len(args) == 1 {
		dir = args[0]
	}
	rest, st, ok, err := pulledAbove(p, dir)
	if err != nil {
		return err
	}
	if ok && dir != "." && rest != "." { // a slip in a name is not to take back what is around it
		_, err := os.Lstat(dir)
		ok = err == nil
	}
	if !ok {
		return notPulled()
	}
	var r pull.Report
	switch {
	case o.backups:
		return s.backups(p, st.Folder)
	case o.showUpstream != "":
		return a.printed(func(w io.Writer) error { return p.Upstream(ctx, st.Folder, inside(st.Folder, rest, o.showUpstream), w) })
	case o.reset != "":
		r, err = p.Reset(ctx, st.Folder, inside(st.Folder, rest, o.reset))
		return a.gaveBack(s, r, err, o, o.reset, "is as the source has it")
	}
	since, err := resetSince(p, st)
	if err != nil {
		return err
	}
	if r, err = p.Undo(ctx, st.Folder); err != nil {
		return err
	}
	if o.asJSON {
		s.object(map[string]pull.Report{"report": r})
	} else if !o.quiet {
		s.pulled(r, a.fromHere(r.Folder))
		for _, line := range since {
			s.result("%s", line)
		}
	}
	return nil
}

// resetSince says which files were reset after the last pull: an undo leaves them.
func resetSince(p *pull.Puller, st pull.State) ([]string, error) {
	list, err := p.Backups(st.Folder)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, b := range list {
		for _, f := range b.Files {
			if b.Why == "reset" && b.At.After(st.At) && len(out) < maxNames {
				out = append(out, fmt.Sprintf("%s, which you reset since, stays. To have yours: daypass pull --recover %s %s", f.Path, b.ID, shellWord(f.Path)))
			}
		}
	}
	return out, nil
}

// inside is the name that a file has in a folder, for one who stands at rest in it.
// What leads out of the folder is refused by package pull.
func inside(folder, rest, file string) string {
	if filepath.IsAbs(file) {
		if rel, err := filepath.Rel(folder, file); err == nil {
			return filepath.ToSlash(rel)
		}
	}
	return filepath.ToSlash(filepath.Join(rest, file))
}

// printed writes a file's content as it is; on a terminal with its control bytes
// escaped, since somebody else wrote it.
func (a *app) printed(write func(io.Writer) error) error {
	if !a.shown {
		return write(a.stdout)
	}
	var text bytes.Buffer
	if err := write(&text); err != nil {
		return err
	}
	_, err := io.WriteString(a.stdout, string(lines(text.String())))
	return err
}

// fromBackup brings files of a backup back, or prints one.
func (a *app) fromBackup(ctx context.Context, s *screen, p *pull.Puller, files []string, o pullOptions) error {
	rest, st, ok, err := pulledAbove(p, ".")
	if err != nil {
		return err
	}
	if !ok {
		return notPulled()
	}
	for _, f := range files {
		file := inside(st.Folder, rest, f)
		if o.showBackup != "" {
			return a.printed(func(w io.Writer) error { return p.Recover(ctx, st.Folder, o.showBackup, file, w) })
		}
		r, err := p.Restore(ctx, st.Folder, o.recover, file)
		if err := a.gaveBack(s, r, err, o, f, "is as it was kept in "+o.recover); err != nil {
			return err
		}
	}
	return nil
}

// gaveBack says that a file is back, and where what stood there went.
func (a *app) gaveBack(s *screen, r pull.Report, err error, o pullOptions, file, how string) error {
	switch {
	case err != nil:
		return err
	case o.asJSON:
		s.object(map[string]pull.Report{"report": r})
	case o.quiet:
	default:
		s.result("%s %s.", file, how)
		if r.Undo != "" {
			s.result("To have yours again: daypass pull --recover %s %s", r.Undo, shellWord(file))
		}
	}
	return nil
}

// backups lists what is kept for a folder.
func (s *screen) backups(p *pull.Puller, folder string) error {
	list, err := p.Backups(folder)
	if err != nil {
		return err
	}
	if s.json {
		if list == nil {
			list = []pull.Backup{}
		}
		s.object(map[string][]pull.Backup{"backups": list})
		return nil
	}
	if len(list) == 0 {
		s.result("Nothing had to be kept yet.")
		return nil
	}
	for _, b := range list {
		s.result("%s  %s, before %s, %s", b.ID, clock(b.At, s.now()), whyBackup(b.Why), plural(len(b.Files), "file"))
		for i, f := range b.Files {
			if i == maxNames {
				s.result("    and %d more (--json lists all)", len(b.Files)-maxNames)
				break
			}
			s.result("    %s  (%s)", f.Path, size(f.Size))
		}
	}
	s.result("To bring one back: daypass pull --recover ID FILE")
	return nil
}

func whyBackup(why string) string {
	switch why {
	case "conflict":
		return "an unfinished merge was ended"
	case "undo":
		return "an undo"
	case "reset":
		return "a reset"
	}
	return "a " + why
}

func notPulled() error {
	return &daypass.Problem{
		Code: "DP-371", What: "nothing was pulled into this folder", Why: "neither here nor in a folder above is one that daypass pulled into",
		Next: "Change to such a folder first.", Kind: daypass.ErrUsage,
	}
}

// size is a number of bytes for people.
func size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1e6:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1e9:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}
