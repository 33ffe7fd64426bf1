package merge

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// files reads a tree: "f=1" is a file, "f!=1" one that can be executed, "f@=1" a link,
// "f%=1" a submodule, "d/" an empty folder, "f?" neither. Contents of one first letter are similar.
func files(text string) map[string]Entry {
	out := map[string]Entry{}
	for _, f := range strings.Fields(text) {
		name, content, ok := strings.Cut(f, "=")
		mode := Regular
		switch {
		case !ok && strings.HasSuffix(name, "/"):
			mode = 0o40000
		case !ok:
			mode = 1
		case strings.HasSuffix(name, "!"):
			mode = Executable
		case strings.HasSuffix(name, "@"):
			mode = Symlink
		case strings.HasSuffix(name, "%"):
			mode = 0o160000
		}
		out[strings.TrimRight(name, "!@%?/")] = Entry{mode, content}
	}
	return out
}

func diskOf(text string, fold bool) *disk {
	d := newDisk(fold)
	for p, e := range files(text) {
		if e.Mode == 0o40000 {
			d.write(p+"/x", Entry{Regular, "x"})
			delete(d.files, d.key(p+"/x"))
			continue
		}
		if err := d.write(p, e); err != nil {
			panic(err)
		}
	}
	return d
}

func (d *disk) String() string {
	var out []string
	for _, f := range d.files {
		mark := map[uint32]string{Regular: "=", Executable: "!=", Symlink: "@=", 1: "?"}[f.Mode]
		out = append(out, f.path+mark+f.OID)
	}
	for dir := range d.dirs {
		if d.empty(dir) {
			out = append(out, dir+"/")
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// A situation is what each side has, what must be there afterwards, and what is said of it.
type situation struct {
	name               string
	base, disk, theirs string
	want               string // the disk afterwards
	steps              string // "take f, aside g": what is done, by new names
	renames            map[string]string
	fold, adopt, exact bool // exact: no similar files are looked for
}

// aside is the mark in the names of what was moved aside.
const aside = "__20260102030405"

// The situations of nbgitpuller's own tests, by their names there.
var ofItsTests = []situation{
	{name: "initialize", theirs: "README=1", want: "README=1", steps: "take README"},
	{name: "simple_push_pull: modify", base: "README=1", disk: "README=1", theirs: "README=2", want: "README=2", steps: "take README"},
	{name: "simple_push_pull: add", base: "README=1", disk: "README=1", theirs: "README=1 f=2", want: "README=1 f=2", steps: "take f"},
	{name: "simple_push_pull: delete", base: "README=1 f=2", disk: "README=1 f=2", theirs: "README=1", want: "README=1", steps: "delete f"},
	{name: "merging_simple: the same file", base: "f=1", disk: "f=1mine", theirs: "f=2", want: "f=1mine+2", steps: "merge f"},
	{name: "merging_simple: another file later", base: "f=2", disk: "f=1mine", theirs: "f=2 g=3", want: "f=1mine g=3", steps: "take g"},
	{name: "merging_simple: the same file later", base: "f=2", disk: "f=1mine", theirs: "f=4", want: "f=1mine+4", steps: "merge f"},
	{name: "untracked_puller", base: "README=1", disk: "README=1 f.txt=mine", theirs: "README=1 f.txt=2", want: "README=1 f" + aside + ".txt=mine f.txt=2", steps: "aside f" + aside + ".txt, take f.txt"},
	{name: "reset_file", base: "f=1 😀.md=2", disk: "", theirs: "f=1 😀.md=2", want: "f=1 😀.md=2", steps: "restore f, restore 😀.md"},
	{name: "reset_file_after_changes", base: "f=2", disk: "", theirs: "f=3", want: "f=3", steps: "restore f"},
	{name: "delete_conflicted_file", base: "f=2", disk: "", theirs: "f=2 g=1", want: "f=2 g=1", steps: "restore f, take g"},
	{name: "delete_remotely_modify_locally", base: "f=1", disk: "f=HELLO", theirs: "", want: "f=HELLO", steps: "keep f"},
	{name: "diverged: deleted upstream, changed and committed here", base: "f=1", disk: "f=mine", theirs: "g=7", exact: true, want: "f=mine g=7", steps: "keep f, take g"},
	{name: "diverged_reverse: removed and committed here, changed upstream", base: "f=1", disk: "", theirs: "f=2", want: "f=2", steps: "restore f"},
	{name: "diverged_multiple", base: "a=1 b=1", disk: "a=1mine b=1mine", theirs: "a=2", want: "a=1mine+2 b=1mine", steps: "keep b, merge a"},
	{name: "delete_locally_and_remotely", base: "f=1 g=1", disk: "g=1", theirs: "g=1 h=1", want: "g=1 h=1", steps: "take h"},
}

// The 46 situations beyond them, as far as they are of files.
var beyond = []situation{
	{name: "untracked é.txt, upstream adds it", disk: "é.txt=mine", theirs: "é.txt=2", want: "é" + aside + ".txt=mine é.txt=2", steps: "aside é" + aside + ".txt, take é.txt"},
	{name: "upstream renames onto an untracked name", base: "a=1", disk: "a=1 b=mine", theirs: "b=1", want: "b=1 b" + aside + "=mine", steps: "delete a, aside b" + aside + ", take b"},
	{name: "upstream renames what was edited onto an untracked name", base: "a=1", disk: "a=1mine b=other", theirs: "b=1", want: "b=1mine b" + aside + "=other", steps: "aside b" + aside + ", move b"},
	{name: "untracked file foo, upstream adds foo/bar", disk: "foo=mine", theirs: "foo/bar=1", want: "foo" + aside + "=mine foo/bar=1", steps: "aside foo" + aside + ", take foo/bar"},
	{name: "untracked file in the middle of the way", disk: "a/b=mine", theirs: "a/b/c/d=1 a/e=2", want: "a/b" + aside + "=mine a/b/c/d=1 a/e=2", steps: "aside a/b" + aside + ", take a/b/c/d, take a/e"},
	{name: "untracked folder foo, upstream adds the file", disk: "foo/mine=1", theirs: "foo=2", want: "foo=2 foo" + aside + "/mine=1", steps: "aside foo" + aside + ", take foo"},
	{name: "empty folder foo, upstream adds the file", disk: "foo/", theirs: "foo=2", want: "foo=2 foo" + aside + "/", steps: "aside foo" + aside + ", take foo"},
	{name: "a pipe where upstream adds a file", disk: "foo?", theirs: "foo=2", want: "foo=2 foo" + aside + "?", steps: "aside foo" + aside + ", take foo"},
	{name: "identical untracked file", disk: "n.txt=1", theirs: "n.txt=1", want: "n.txt=1", steps: "adopt n.txt"},
	{name: "identical untracked file, other mode", disk: "run=1", theirs: "run!=1", want: "run!=1", steps: "chmod run"},
	{name: "ignored file, upstream adds it", disk: "out.log=mine", theirs: "out.log=1", want: "out" + aside + ".log=mine out.log=1", steps: "aside out" + aside + ".log, take out.log"},
	{name: "rename/rename: the user to c, upstream to b", base: "a=1", disk: "c=1", theirs: "b=1", want: "b=1 c=1", steps: "take b"},
	{name: "rename/rename, the next pull", base: "b=1", disk: "b=1 c=1", theirs: "b=2", want: "b=2 c=1", steps: "take b"},
	{name: "the user and upstream rename to the same name", base: "a=1", disk: "b=1", theirs: "b=1", want: "b=1", steps: "adopt b"},
	{name: "the user and upstream rename to the same name, upstream edits", base: "a=1", disk: "b=1", theirs: "b=1more", want: "b=1more", steps: "take b"},
	{name: "tracked file became a link, upstream changed it", base: "f=1", disk: "f@=/tmp/f", theirs: "f=2", want: "f@=/tmp/f", steps: "keep f"},
	{name: "tracked file became a folder, upstream changed it", base: "f=1", disk: "f/mine=1", theirs: "f=2", want: "f=2 f" + aside + "/mine=1", steps: "aside f" + aside + ", restore f"},
	{name: "upstream made a link of what the user edited", base: "f=1", disk: "f=1mine", theirs: "f@=g", want: "f=1mine", steps: "keep f"},
	{name: "upstream made a link of what the user left alone", base: "f=1", disk: "f=1", theirs: "f@=g", want: "f@=g", steps: "take f"},
	{name: "upstream made a file of a link", base: "f@=g", disk: "f@=g", theirs: "f=1", want: "f=1", steps: "take f"},
	{name: "both turned a link elsewhere", base: "f@=g", disk: "f@=mine", theirs: "f@=h", want: "f@=mine", steps: "keep f"},
	{name: "folder became a link, upstream unchanged", base: "d/a=1 d/b=2", disk: "d@=/elsewhere", theirs: "d/a=1 d/b=2", want: "d/a=1 d/b=2 d" + aside + "@=/elsewhere", steps: "aside d" + aside + ", restore d/a, restore d/b"},
	{name: "force-push, nothing changed here", base: "a=1 b=1", disk: "a=1 b=1", theirs: "a=9 c=9", want: "a=9 c=9", steps: "delete b, take a, take c"},
	{name: "force-push, changed here", base: "a=1 b=1", disk: "a=1mine b=1", theirs: "a=9 c=9", want: "a=1mine+9 c=9", steps: "delete b, merge a, take c"},
	{name: "folder that is no clone", disk: "a=1 b=mine", theirs: "a=1 b=2 c=3", adopt: true, want: "a=1 b=mine c=3", steps: "adopt a, keep b, take c"},
	{name: "folder that is no clone, the next pull", base: "a=1 b=2 c=3", disk: "a=1 b=mine c=3", theirs: "a=1 b=2 c=3", want: "a=1 b=mine c=3"},
	{name: "folder that is no clone, with a file in the way", disk: "d=mine", theirs: "d/a=1", adopt: true, want: "d" + aside + "=mine d/a=1", steps: "aside d" + aside + ", take d/a"},
	{name: "a clone of somebody else's making, with a base", base: "a=1", disk: "a=1 b=mine", theirs: "a=1 b=2", adopt: true, want: "a=1 b=2 b" + aside + "=mine", steps: "aside b" + aside + ", take b"},
	{name: "only the mode changed upstream", base: "f=1", disk: "f=1", theirs: "f!=1", want: "f!=1", steps: "take f"},
	{name: "only the mode changed upstream, the user edited", base: "f=1", disk: "f=1mine", theirs: "f!=1", want: "f!=1mine", steps: "chmod f"},
	{name: "the user's mode stays when upstream edits", base: "f=1", disk: "f!=1", theirs: "f=2", want: "f!=2", steps: "take f"},
	{name: "the user's mode stays in a merge", base: "f=1", disk: "f!=1mine", theirs: "f=2", want: "f!=1mine+2", steps: "merge f"},
	{name: "the user's mode alone", base: "f=1", disk: "f!=1", theirs: "f=1", want: "f!=1"},
	{name: "both changed the mode", base: "f=1", disk: "f!=1", theirs: "f!=1", want: "f!=1", steps: "adopt f"},
	{name: "deleted folder", base: "d/a=1 d/e/b=2", disk: "", theirs: "d/a=1 d/e/b=3", want: "d/a=1 d/e/b=3", steps: "restore d/a, restore d/e/b"},
	{name: "deleted folder that upstream deleted too", base: "d/a=1 d/e/b=2 f=1", disk: "f=1", theirs: "f=1", want: "f=1"},
	{name: "upstream deletes a folder, the user has more in it", base: "d/a=1 d/b=1", disk: "d/a=1 d/b=1 d/mine=1", theirs: "f=9", want: "d/mine=1 f=9", steps: "delete d/a, delete d/b, take f"},
	{name: "upstream rename and user edit", base: "a=1", disk: "a=1mine", theirs: "b=1more", want: "b=1mine+1more", steps: "move b, merge b"},
	{name: "upstream rename and user edit, into another folder", base: "d/a=1", disk: "d/a=1mine", theirs: "e/f/a=1", want: "e/f/a=1mine", steps: "move e/f/a"},
	{name: "moved by the user", base: "a=1 b=1", disk: "b=1 d/a=1", theirs: "a=1 b=2", want: "a=1 b=2 d/a=1", steps: "restore a, take b"},
	{name: "both made the same edit", base: "f=1", disk: "f=2", theirs: "f=2", want: "f=2", steps: "adopt f"},
}

// The rules, row by row, with what they leave open.
var rules = []situation{
	{name: "nothing happened", base: "f=1", disk: "f=1", theirs: "f=1", want: "f=1"},
	{name: "only the user edited", base: "f=1", disk: "f=1mine", theirs: "f=1", want: "f=1mine"},
	{name: "user's own file", base: "f=1", disk: "f=1 own=1", theirs: "f=1", want: "f=1 own=1"},
	{name: "user modify, upstream delete", base: "f=1", disk: "f=1mine", theirs: "", want: "f=1mine", steps: "keep f"},
	{name: "user modify, upstream delete: the next pull", base: "", disk: "f=1mine", theirs: "", want: "f=1mine"},
	{name: "user modify, upstream delete: upstream brings it back", base: "", disk: "f=1mine", theirs: "f=3", want: "f=3 f" + aside + "=1mine", steps: "aside f" + aside + ", take f"},
	{name: "user delete, upstream unchanged", base: "f=1", disk: "", theirs: "f=1", want: "f=1", steps: "restore f"},
	{name: "user rename, upstream modify", base: "f=1", disk: "mine=1", theirs: "f=2", want: "f=2 mine=1", steps: "restore f"},
	{name: "rename by id, content all new", base: "a=1", disk: "a=1mine", theirs: "b=other", renames: map[string]string{"a": "b"}, exact: true, want: "b=1mine+other", steps: "move b, merge b"},
	{name: "rename by id, not edited here", base: "a=1", disk: "a=1", theirs: "b=other", renames: map[string]string{"a": "b"}, want: "b=other", steps: "delete a, take b"},
	{name: "rename by id, deleted here", base: "a=1", disk: "", theirs: "b=1", renames: map[string]string{"a": "b"}, want: "b=1", steps: "take b"},
	{name: "no rename is guessed", base: "a=1", disk: "a=1mine", theirs: "b=1more", exact: true, want: "a=1mine b=1more", steps: "keep a, take b"},
	{name: "exact content is a rename without asking", base: "a=1", disk: "a=1mine", theirs: "b=1", exact: true, want: "b=1mine", steps: "move b"},
	{name: "of two, the one with the same name", base: "a/f=1", disk: "a/f=1mine", theirs: "b=1 c/f=1", want: "b=1 c/f=1mine", steps: "move c/f, take b"},
	{name: "two names change places", base: "a=1 b=2", disk: "a=1mine b=2mine", theirs: "a=2 b=1", renames: map[string]string{"a": "b", "b": "a"}, want: "a=2mine b=1mine", steps: "move ~, move ~, move b, move a"},
	{name: "two names change places, one edited", base: "a=1 b=2", disk: "a=1mine b=2", theirs: "a=2 b=1", renames: map[string]string{"a": "b", "b": "a"}, want: "a=2 b=1mine", steps: "delete b, move b, take a"},
	{name: "three go round", base: "a=1 b=2 c=3", disk: "a=1m b=2m c=3m", theirs: "a=3 b=1 c=2", renames: map[string]string{"a": "b", "b": "c", "c": "a"}, want: "a=3m b=1m c=2m", steps: "move ~, move ~, move ~, move b, move c, move a"},
	{name: "a row moves up by one", base: "a=1 b=2", disk: "a=1m b=2m", theirs: "b=1 c=2", renames: map[string]string{"a": "b", "b": "c"}, want: "b=1m c=2m", steps: "move ~, move c, move b"},
	{name: "renamed over a file that upstream dropped, edited here", base: "a=1 b=2", disk: "a=1mine b=2mine", theirs: "b=1", renames: map[string]string{"a": "b"}, want: "b=1mine b" + aside + "=2mine", steps: "aside b" + aside + ", move b"},
	{name: "a file becomes the folder it was in", base: "d/a=1", disk: "d/a=1mine", theirs: "d=1", want: "d=1mine", steps: "move ~, move d"},
	{name: "a file goes into a folder of its name", base: "d=1", disk: "d=1mine", theirs: "d/a=1", want: "d/a=1mine", steps: "move ~, move d/a"},
	{name: "a file goes into a folder of its name, not edited", base: "d=1", disk: "d=1", theirs: "d/a=1", want: "d/a=1", steps: "delete d, take d/a"},
	{name: "a folder becomes a file", base: "d/a=1 d/b=1", disk: "d/a=1 d/b=1", theirs: "d=9", want: "d=9", steps: "delete d/a, delete d/b, take d"},
	{name: "a folder becomes a file, with work in it", base: "d/a=1 d/b=1", disk: "d/a=1mine d/b=1 d/own=1", theirs: "d=9", want: "d=9 d" + aside + "/a=1mine d" + aside + "/own=1", steps: "delete d/b, aside d" + aside + ", take d"},
	{name: "a file becomes a folder, edited", base: "d=1", disk: "d=mine", theirs: "d/a=9", want: "d" + aside + "=mine d/a=9", steps: "aside d" + aside + ", take d/a"},
	{name: "a folder with work becomes a file, and the work moves", base: "d/a=1 e=2", disk: "d/a=1mine d/own=3 e=2", theirs: "d=9 f/a=1 e=2", want: "d=9 d" + aside + "/own=3 e=2 f/a=1mine", steps: "move ~, aside d" + aside + ", move f/a, take d"},
	{name: "names that are taken", base: "f.md=1", disk: "f.md=1 g.md=mine g" + aside + ".md=mine2", theirs: "f.md=1 g.md=2 g" + aside + "_1.md=3", want: "f.md=1 g.md=2 g" + aside + ".md=mine2 g" + aside + "_1.md=3 g" + aside + "_2.md=mine", steps: "aside g" + aside + "_2.md, take g.md, take g" + aside + "_1.md"},
	{name: "a hidden name has no extension", disk: ".bashrc=mine", theirs: ".bashrc=1", want: ".bashrc=1 .bashrc" + aside + "=mine", steps: "aside .bashrc" + aside + ", take .bashrc"},
	{name: "a version in which a file is a folder, too", theirs: "d=1 d/a=2 d/b=3", want: "d/a=2 d/b=3", steps: "skip d, take d/a, take d/b"},
	{name: "a version in which a file is a folder, too: the next pull", base: "d=1 d/a=2", disk: "d/a=2", theirs: "d=1 d/a=3", want: "d/a=3", steps: "take d/a"},
	{name: "a submodule is no file", base: "f=1", disk: "f=1 sub/x=1", theirs: "f=2 sub%=1", want: "f=2 sub/x=1", steps: "take f"},
}

// A disk that knows no case.
var folded = []situation{
	{name: "upstream changes only the case", base: "Read.md=1", disk: "Read.md=1", theirs: "read.md=1", want: "read.md=1", steps: "move read.md"},
	{name: "upstream changes the case and edits", base: "Read.md=1", disk: "Read.md=1", theirs: "read.md=2", want: "read.md=2", steps: "move read.md, take read.md"},
	{name: "upstream changes the case, the user edited", base: "Read.md=1", disk: "Read.md=1mine", theirs: "read.md=2", want: "read.md=1mine+2", steps: "move read.md, merge read.md"},
	{name: "upstream changes the case, the user deleted", base: "Read.md=1", disk: "", theirs: "read.md=2", want: "read.md=2", steps: "restore read.md"},
	{name: "two names that are one here", theirs: "Make=1 make=2", want: "Make=1", steps: "skip make, take Make"},
	{name: "two names that are one here, the next pull", base: "Make=1 make=2", disk: "Make=1", theirs: "Make=1 make=2", want: "Make=1"},
	{name: "two names that are one here, the other changes", base: "Make=1 make=2", disk: "Make=1mine", theirs: "Make=1 make=3", want: "Make=1mine", steps: "skip make"},
	{name: "a file and a folder that are one here", theirs: "Lib=1 lib/a=2", want: "lib/a=2", steps: "skip Lib, take lib/a"},
	{name: "the user's own in another case", disk: "NOTES=mine", theirs: "notes=1", want: "notes" + aside + "=mine notes=1", steps: "aside notes" + aside + ", take notes"},
	{name: "the user changed the case", base: "f=1", disk: "F=1", theirs: "f=2", want: "f=2", steps: "take f"},
	{name: "letters with three forms", base: "K.md=1", disk: "K.md=1mine", theirs: "\u212a.md=1", want: "\u212a.md=1mine", steps: "move \u212a.md"},
}

func TestSituations(t *testing.T) {
	for _, table := range []struct {
		name string
		rows []situation
	}{{"nbgitpuller", ofItsTests}, {"beyond", beyond}, {"rules", rules}, {"no case", folded}} {
		for _, row := range table.rows {
			t.Run(table.name+"/"+row.name, func(t *testing.T) {
				row.fold = table.name == "no case"
				row.check(t)
			})
		}
	}
}

func (row situation) check(t *testing.T) {
	d := diskOf(row.disk, row.fold)
	in := d.input(files(row.base), files(row.theirs))
	in.Renames, in.Adopt = row.renames, row.adopt
	if !row.exact {
		in.Similar = func(b, t Entry) bool { return b.OID[0] == t.OID[0] }
	}
	steps, err := Plan(in)
	if err != nil {
		t.Fatal(err)
	}
	var done []string
	for _, s := range steps {
		name := s.Path
		if s.Temporary {
			name = "~"
		}
		done = append(done, fmt.Sprintf("%s %s", s.Do, name))
		if err := d.do(s); err != nil {
			t.Errorf("%s %s: %v", s.Do, s.Path, err)
		}
	}
	if got := strings.Join(done, ", "); got != row.steps {
		t.Errorf("steps: %s\nwant:  %s", got, row.steps)
	}
	if row.fold { // the folding disk keeps the old spelling when it is only written to
		d.respell(in.Theirs)
	}
	if got := d.String(); got != sorted(row.want) {
		t.Errorf("disk: %s\nwant: %s", got, sorted(row.want))
	}
	if more, err := Plan(d.input(in.Theirs, in.Theirs)); err != nil || len(more) > 0 {
		t.Errorf("again: %v\n%s", err, list(more))
	}
}

func (d *disk) respell(files map[string]Entry) {
	t, _ := Input{Fold: true}.tree(files)
	for k := range maps.Keys(d.files) {
		if n, ok := t[k]; ok {
			d.files[k] = node{n.path, d.files[k].Entry}
		}
	}
}

func sorted(text string) string {
	words := strings.Fields(text)
	slices.Sort(words)
	return strings.Join(words, " ")
}

// In a large folder only what differs costs anything.
func TestPlanOfALargeFolder(t *testing.T) {
	base, theirs := map[string]Entry{}, map[string]Entry{}
	d := newDisk(false)
	for i := range 10000 {
		p, e := fmt.Sprintf("week %d/part %d/file %d.py", i/1000, i/50%20, i), Entry{Regular, fmt.Sprint(i)}
		base[p], theirs[p] = e, e
		d.write(p, e)
		if i%100 == 0 {
			theirs[p] = Entry{Regular, fmt.Sprintf("%d new", i)}
		}
		if i%200 == 0 {
			d.write(p, Entry{Regular, fmt.Sprintf("%d mine", i)})
		}
	}
	in := d.input(base, theirs)
	asked := 0
	in.Ours = func(path string) Entry { asked++; return d.at(path) }
	began := time.Now()
	steps, err := Plan(in)
	took := time.Since(began)
	t.Logf("%s, %d paths asked", took, asked)
	if err != nil || len(steps) != 100 || asked != 100 {
		t.Errorf("%v, %d steps, %d paths asked", err, len(steps), asked)
	}
	if took > 500*time.Millisecond {
		t.Errorf("it took %s", took)
	}
}

func TestPlanAsksForTheDisk(t *testing.T) {
	if _, err := Plan(Input{}); err == nil {
		t.Error("a plan without a disk")
	}
}
