package snapshot

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/plumbing"
)

// Look asks what is there, as [daypass.Contents] does.
func (c Content) Look(ctx context.Context, s daypass.Source, mark string) (daypass.Seen, error) {
	seen, err := c.Contents.Look(ctx, s, mark)
	seen.Title = shown(seen.Title)
	return seen, err
}

// Fetch brings a source into repo as one commit of content ([Manifest]), whole or not
// at all, and says what of it is to be delivered. What has not changed since a.Have is
// not read again. What has come of a fetch that broke off is kept in the repository's
// folder for the next one. Nobody else may be at work in repo meanwhile.
//
// What the source lacks goes only where the listing is complete. Where more than half
// is gone at once, it is kept for a day, in case that is a mistake, and Notes say so.
// What is kept so, and what the source withholds, is no part of a commit that others are
// given (a.Shared).
// Where it changes while it is read it is listed once more. The commit stays at a ref
// until the next fetch. Problems: DP-327, DP-460 to DP-464, and those of the Contents.
func (c Content) Fetch(ctx context.Context, repo *plumbing.Repo, a ContentAsk) (Snapshot, error) {
	c.Limits = c.Limits.Or()
	sweep(repo)
	o, err := repo.Objects(ctx)
	if err != nil {
		return Snapshot{}, err
	}
	defer o.Close()
	g := &gather{Content: c, repo: repo, o: o, ask: a, old: map[string]delivered{}, oldID: map[string]delivered{}}
	if err := g.recall(); err != nil {
		return Snapshot{}, err
	}
	s, err := g.once(ctx)
	if errors.Is(err, daypass.ErrChanged) && ctx.Err() == nil {
		s, err = g.once(ctx)
	}
	if err != nil && diskFull(err) {
		sweep(repo)
		os.RemoveAll(g.partial())
		return Snapshot{}, full(address{}, "")
	}
	return s, g.tell(err)
}

// diskFull reports whether a disk is full, as the system or git says it.
func diskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) ||
		strings.Contains(err.Error(), "No space left on device") || strings.Contains(err.Error(), "isk quota exceeded")
}

// grace is how long files are kept that vanished with many others.
const grace = 24 * time.Hour

// A gather is one fetch of content.
type gather struct {
	Content
	repo  *plumbing.Repo
	o     *plumbing.Objects
	ask   ContentAsk
	had   Manifest             // of ask.Have
	old   map[string]delivered // its files, by path
	oldID map[string]delivered // the same, by idOr

	round   int // of listing
	pieces  []piece
	files   []plumbing.File // of the new commit
	m       Manifest        // of the new commit
	kept    map[string]bool // paths of files that the source does not give now
	waiting bool            // something is kept that may have to go
}

// delivered is a file of the last commit.
type delivered struct {
	Stored
	plumbing.File
}

// recall reads what was delivered last. Where it cannot be read all is read anew.
func (g *gather) recall() error {
	if g.ask.Have == "" {
		return nil
	}
	s, m, err := g.whole()
	var p *daypass.Problem
	if errors.As(err, &p) {
		return nil
	} else if err != nil {
		return err
	}
	g.had = m
	of := map[string]plumbing.File{}
	for _, f := range s.Files {
		of[f.Path] = f
	}
	for _, s := range m.Files {
		g.old[s.Path] = delivered{s, of[s.Path]}
		g.oldID[idOr(s.ID, s.Path)] = g.old[s.Path]
	}
	return nil
}

// once lists the source and brings what is new of it.
func (g *gather) once(ctx context.Context) (Snapshot, error) {
	g.round++
	l, err := g.Contents.List(ctx, g.ask.Source)
	if err != nil {
		return Snapshot{}, err
	}
	if n := g.Limits.Files; n >= 0 && len(l.Items) > 4*n+1000 { // what is left out counts, too
		return Snapshot{}, overLimit(l.Title, fmt.Sprintf("it lists %d files, and %d may be pulled", len(l.Items), n))
	}
	pieces, left := name(l.Items)
	g.pieces, g.files, g.kept, g.waiting = pieces, nil, map[string]bool{}, !l.Complete
	g.m = Manifest{Source: g.ask.Source.String(), Title: l.Title, Complete: l.Complete, ByID: byID(l.Items), Left: left, Notes: slices.Clone(l.Notes)}
	todo, err := g.sort()
	if err != nil {
		return Snapshot{}, err
	}
	brought, err := g.download(ctx, todo)
	if err != nil {
		return Snapshot{}, err
	}
	g.keep(l)
	if n := len(g.given().Files) + len(brought); g.Limits.Files >= 0 && n > g.Limits.Files {
		return Snapshot{}, overLimit(l.Title, fmt.Sprintf("it has %d files, and %d may be pulled", n, g.Limits.Files))
	}
	commit, err := g.write(ctx, brought)
	if err != nil {
		return Snapshot{}, err
	}
	s, _, err := ReadContent(g.o, commit, g.ask.Have, Limits{File: -1, Total: -1, Files: -1})
	if !g.waiting {
		s.Mark = l.Mark
	}
	return s, err
}

// byID reports whether each file can be told by its id.
func byID(items []daypass.Item) bool {
	seen := map[string]bool{}
	for _, it := range items {
		if it.ID == "" || seen[it.ID] {
			return false
		}
		seen[it.ID] = true
	}
	return true
}

// sort says of each piece whether it is here already, is left out, or is to be read.
func (g *gather) sort() ([]piece, error) {
	if n := g.Limits.Files; n >= 0 && len(g.pieces) > n {
		return nil, overLimit(g.m.Title, fmt.Sprintf("it has %d files, and %d may be pulled", len(g.pieces), n))
	}
	known := g.known()
	var todo []piece
	var total, all int64
	for _, p := range g.pieces {
		asked := Included(g.ask.Include, p.path)
		d, here := known.find(p)
		switch {
		case p.Skip != "":
			g.leave(p, p.Skip)
			continue
		case !asked && (g.over(p.Size) || here && g.over(d.Size) || g.wasOver(p)):
			g.point(p)
			continue
		}
		size := max(p.Size, 0)
		if here {
			size = d.Size
		}
		if all += size; !asked {
			total += size
		}
		if here {
			g.take(p, d.OID, d.Size)
			continue
		}
		todo = append(todo, p)
	}
	return todo, g.within(total, all)
}

// within holds what is delivered, and all with what was asked for by name, to the limits.
func (g *gather) within(total, all int64) error {
	if g.Most > 0 && all > g.Most {
		return overLimit(g.m.Title, fmt.Sprintf("with what is included it has %s, and %s may be read", bytesOf(all), bytesOf(g.Most)))
	}
	if l := g.Limits.Total; l >= 0 && total > l {
		return overLimit(g.m.Title, fmt.Sprintf("it has %s, and %s may be pulled", bytesOf(total), bytesOf(l)))
	}
	return nil
}

func (g *gather) over(size int64) bool { return g.Limits.File >= 0 && size > g.Limits.File }

// wasOver reports whether a piece whose size is not told was found too large before.
func (g *gather) wasOver(p piece) bool {
	return p.Size < 0 && p.ID != "" && slices.ContainsFunc(g.had.Left, func(s Stored) bool {
		return s.ID == p.ID && s.Mark == p.Mark && s.Over == g.Limits.File
	})
}

// take delivers a piece whose content is here.
func (g *gather) take(p piece, oid plumbing.OID, size int64) {
	mode := plumbing.Regular
	if p.Exec {
		mode = plumbing.Executable
	}
	g.files = append(g.files, plumbing.File{Path: p.path, Mode: mode, OID: oid})
	g.m.Files = append(g.m.Files, Stored{Path: p.path, ID: bounded(p.ID), Mark: bounded(p.Mark), Sum: bounded(p.Sum), Size: size, Was: p.was, Why: p.why})
}

// leave leaves a piece out; what was delivered of it stays.
func (g *gather) leave(p piece, why string) {
	g.m.Left = append(g.m.Left, Stored{Path: p.path, ID: bounded(p.ID), Mark: bounded(p.Mark), Size: max(p.Size, 0), Was: p.was, Why: bounded(why), Held: true})
	if d, ok := g.oldID[idOr(p.ID, p.path)]; ok {
		d.File.Path, d.Stored.Path, d.Gone = p.path, p.path, time.Time{} // it is there
		g.spare(d)
	}
}

// spare keeps what was delivered, for whoever has it.
func (g *gather) spare(d delivered) {
	g.kept[d.Stored.Path] = true
	g.files, g.m.Files = append(g.files, d.File), append(g.m.Files, d.Stored)
}

// point leaves a piece out that is too large; a pointer says so.
func (g *gather) point(p piece) {
	g.m.Left = append(g.m.Left, Stored{
		Path: p.path, ID: bounded(p.ID), Mark: bounded(p.Mark), Sum: bounded(p.Sum), Size: max(p.Size, 0), Was: p.was, Why: tooLargeFile + bytesOf(g.Limits.File), Over: g.Limits.File,
	})
}

// given is the manifest of what is given out, and givenFiles are its files.
func (g *gather) given() Manifest {
	m := g.m
	if g.ask.Shared {
		m.Files = slices.DeleteFunc(slices.Clone(m.Files), func(s Stored) bool { return g.kept[s.Path] })
	}
	return m
}

func (g *gather) givenFiles() []plumbing.File {
	if !g.ask.Shared {
		return g.files
	}
	return slices.DeleteFunc(slices.Clone(g.files), func(f plumbing.File) bool { return g.kept[f.Path] })
}

// wholeRef is where the commit is kept that has, beside those of one that is given out,
// the files that the source does not give now: what comes back need not be read again, and
// what vanished is known.
func wholeRef(given plumbing.OID) string { return wholeRefs + string(given) }

const wholeRefs = "refs/daypass/whole/"

// whole reads what there was last, with what was not given out.
func (g *gather) whole() (Snapshot, Manifest, error) {
	none := Limits{File: -1, Total: -1, Files: -1}
	if g.ask.Shared {
		if oid, ok, err := g.repo.ReadRef(wholeRef(g.ask.Have)); ok && err == nil {
			if s, m, err := ReadContent(g.o, oid, "", none); err == nil && m.Of == g.ask.Have {
				return s, m, nil
			}
		}
	}
	return ReadContent(g.o, g.ask.Have, "", none)
}

// forgetWhole drops those of older commits. That of the last one may be asked for again.
func (g *gather) forgetWhole(commit plumbing.OID) error {
	refs, err := g.repo.ListRefs(wholeRefs)
	for name := range refs {
		if at := plumbing.OID(strings.TrimPrefix(name, wholeRefs)); at == commit && len(g.kept) > 0 || at == g.ask.Have && at != commit {
			continue
		}
		err = errors.Join(err, g.repo.DeleteRef(name))
	}
	return err
}

// keep keeps what the source does not list any more, where that is no sure sign.
func (g *gather) keep(l daypass.Listing) {
	ids, names, files := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, p := range g.pieces {
		ids[p.ID], names[p.path], files[p.path] = true, true, true
		for dir := path.Dir(p.path); dir != "."; dir = path.Dir(dir) {
			names[dir] = true
		}
	}
	var missing []delivered
	here, fresh := 0, 0 // of what was there last, and what is missing for the first time
	for _, name := range slices.Sorted(maps.Keys(g.old)) {
		d := g.old[name]
		if d.Gone.IsZero() {
			here++
		}
		if d.ID != "" && ids[d.ID] || names[name] || inFile(files, name) {
			continue
		}
		if missing = append(missing, d); d.Gone.IsZero() {
			fresh++
		}
	}
	for _, s := range g.had.Left { // what was too large was there, too
		if s.Over > 0 {
			if here++; !ids[s.ID] && !names[s.Path] {
				fresh++
			}
		}
	}
	now, kept := g.Now().UTC().Truncate(time.Second), 0
	for _, d := range missing {
		if l.Complete {
			if d.Gone.IsZero() && 2*fresh > here {
				d.Gone = now
			}
			if d.Gone.IsZero() || g.Now().Sub(d.Gone) >= grace {
				continue
			}
			if kept++; g.m.Lost.IsZero() || d.Gone.Before(g.m.Lost) {
				g.m.Lost = d.Gone
			}
		}
		g.spare(d)
	}
	if at := g.had.Lost; g.ask.Shared && g.had.Of == "" && !at.IsZero() && g.m.Lost.IsZero() && g.Now().Sub(at) < grace {
		g.m.Lost = at // what it was that is gone is known to nobody here any more
	}
	g.tellKept(l.Complete, kept)
}

// tellKept says that something is kept, and to others than who has it not what or how much.
func (g *gather) tellKept(complete bool, kept int) {
	g.m.Keep = !complete || !g.m.Lost.IsZero()
	if !g.m.Lost.IsZero() {
		g.waiting = true
		text := verbs(kept, "1 file is", "files are") + " kept for a day"
		if g.ask.Shared {
			text = "Whoever has them keeps them for a day"
		}
		g.m.Notes = append(g.m.Notes, "More than half of the files vanished from the source at once. "+text+", in case that was a mistake.")
	}
	if !complete {
		g.m.Notes = append(g.m.Notes, "The source did not show all of its files. Nothing was removed for that.")
	}
}

func verbs(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return fmt.Sprint(n, " ", many)
}

// inFile reports whether a file stands where a path needs a folder.
func inFile(files map[string]bool, name string) bool {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if files[dir] {
			return true
		}
	}
	return false
}

// knowledge is what was delivered, by what tells content.
type knowledge struct {
	byMark map[[2]string]delivered
	bySum  map[string]delivered
}

// known leaves out what of it is damaged.
func (g *gather) known() knowledge {
	k := knowledge{map[[2]string]delivered{}, map[string]delivered{}}
	for _, d := range g.old {
		if d.Mark != "" {
			k.byMark[[2]string{idOr(d.ID, d.Stored.Path), d.Mark}] = d
		}
		if strong(d.Sum) {
			k.bySum[d.Sum] = d
		}
	}
	return k
}

func idOr(id, path string) string {
	if id != "" {
		return "id " + id
	}
	return "path " + path
}

func (k knowledge) find(p piece) (delivered, bool) {
	if d, ok := k.bySum[p.Sum]; ok && p.Sum != "" && (p.Size < 0 || p.Size == d.Size) {
		return d, true
	}
	d, ok := k.byMark[[2]string{idOr(p.ID, p.path), p.Mark}]
	return d, ok && p.Mark != "" && p.Sum == d.Sum
}

// strong reports whether a sum tells content apart; adler32 does not.
func strong(sum string) bool {
	kind, _, _ := strings.Cut(sum, ":")
	return kind == "md5" || kind == "sha1" || kind == "sha256" || kind == "sha512"
}

// write makes the commit. Where it would be the last one again, that one is it.
func (g *gather) write(ctx context.Context, brought map[string]string) (plumbing.OID, error) {
	im, err := g.repo.Import(ctx)
	if err != nil {
		return "", err
	}
	err = g.fill(im, brought)
	var commit plumbing.OID
	if err == nil {
		commit, err = g.given().commit(im, contentRef, g.givenFiles())
	}
	if err == nil && g.ask.Shared && len(g.kept) > 0 {
		g.m.Of = commit
		_, err = g.m.commit(im, wholeRef(commit), g.files)
	}
	if err = errors.Join(err, im.Close()); err != nil {
		return "", err
	}
	return commit, errors.Join(g.forgetWhole(commit), os.RemoveAll(g.partial()))
}

// fill writes what was brought, and the pointers.
func (g *gather) fill(im *plumbing.Import, brought map[string]string) error {
	for _, p := range g.pieces {
		file, ok := brought[p.path]
		if !ok {
			continue
		}
		oid, size, err := importFile(im, file)
		if err != nil {
			return err
		}
		g.take(p, oid, size)
	}
	taken, tried := map[string]bool{}, map[string]int{}
	for _, f := range g.files {
		taken[f.Path] = true
		for dir := path.Dir(f.Path); dir != "."; dir = path.Dir(dir) {
			taken[dir] = true
		}
	}
	at := map[string]piece{}
	for _, p := range g.pieces {
		at[p.path] = p
	}
	for i := range g.m.Left {
		left := &g.m.Left[i]
		if left.Over == 0 {
			continue
		}
		p := at[left.Path]
		dir, base := path.Split(p.path)
		left.As = dir + fit(base, pointerEnd)
		if taken[left.As] {
			left.As = another(left.As, p.ID, tried, func(name string) bool { return taken[name] })
		}
		taken[left.As] = true
		text := p.pointer(left.Why)
		oid, err := im.Blob(int64(len(text)), strings.NewReader(text))
		if err != nil {
			return err
		}
		g.files = append(g.files, plumbing.File{Path: left.As, Mode: plumbing.Regular, OID: oid})
	}
	return nil
}

func importFile(im *plumbing.Import, name string) (plumbing.OID, int64, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return "", 0, err
	}
	oid, err := im.Blob(fi.Size(), f)
	return oid, fi.Size(), err
}

// tell gives what ends a fetch its message.
func (g *gather) tell(err error) error {
	var p *daypass.Problem
	switch {
	case err == nil || errors.As(err, &p):
		return err
	case errors.Is(err, errSum):
		return &daypass.Problem{Code: "DP-462", What: "A file of the source is not what the source says of it", Why: shown(err.Error()), Err: err, Kind: daypass.ErrUnreachable,
			Next: "Try again in a minute. What you have stays as it is.", Who: "If it stays, whoever made the source can upload that file again."}
	case errors.Is(err, daypass.ErrChanged):
		return &daypass.Problem{Code: "DP-463", What: "The source changed again and again while it was read", Why: shown(err.Error()), Err: err, Kind: daypass.ErrUnreachable,
			Next: "Try again in a minute. What you have stays as it is."}
	case errors.Is(err, errIdle), errors.Is(err, errTimeout):
		return &daypass.Problem{Code: "DP-464", What: "The source did not bring its files in time", Why: shown(err.Error()), Err: err, Kind: daypass.ErrUnreachable,
			Next: "Try again: what has come so far is not read again. What you have stays as it is.", Who: "If it stays, whoever runs this place can look at the network."}
	}
	return err
}
