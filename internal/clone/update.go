package clone

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass/internal/plumbing"
)

// Update moves the clone: objects, shallow, refs, HEAD, index, in this order, so that
// git can work with what there is at every moment. See ErrLocked, ErrMoved.
func (c *Clone) Update(u Update) error {
	if err := c.check(u); err != nil {
		return err
	}
	release, err := c.hold()
	if err != nil {
		return cannotWrite(c.dir, err)
	}
	defer release()
	return cannotWrite(c.dir, c.update(u))
}

func (c *Clone) update(u Update) error {
	if _, err := c.start(u); err != nil {
		return err
	}
	index, err := c.prepareIndex(u.Index)
	if err != nil {
		return err
	}
	defer index.drop()
	if err := c.install(u.Packs); err != nil {
		return err
	}
	cut, err := c.unknown(u)
	if err != nil {
		return err
	}
	if err := c.addShallow(cut); err != nil {
		return err
	}
	if u.Partial {
		if err := c.promise(u.Filter); err != nil {
			return err
		}
	}
	if err := c.setOthers(u); err != nil {
		return err
	}
	if err := c.follow(u); err != nil {
		return err
	}
	if err := c.moveHead(u); err != nil {
		return err
	}
	if err := c.arrived(); err != nil {
		return err
	}
	if err := index.commit(); err != nil {
		return err
	}
	if u.Later != nil {
		u.Later(func() error { return c.settle(u) })
		return nil
	}
	return c.settle(u)
}

// settle sees to it that the new names are on the disk.
func (c *Clone) settle(u Update) error {
	switch {
	case u.Branch == "":
		return c.git.settle(".")
	case c.git == c.common:
		return c.git.settle(path.Dir(u.Branch), ".")
	}
	return errors.Join(c.common.settle(path.Dir(u.Branch)), c.git.settle("."))
}

// arrived waits until objects that were brought are on the disk.
func (c *Clone) arrived() error {
	if c.arriving == nil {
		return nil
	}
	err := <-c.arriving
	c.arriving = nil
	return err
}

// check refuses what no clone could take.
func (c *Clone) check(u Update) error {
	if !c.valid(u.New) || u.Old != "" && !c.valid(u.Old) {
		return fmt.Errorf("update from %q to %q: %w", u.Old, u.New, errRef)
	}
	if u.Branch != "" && !strings.HasPrefix(u.Branch, "refs/heads/") {
		return fmt.Errorf("%w: %q is no branch", errRef, u.Branch)
	}
	if strings.ContainsAny(u.Message, "\n\x00") {
		return errors.New("a reflog's message is one line")
	}
	names := slices.Collect(maps.Keys(u.Tracking))
	names = slices.AppendSeq(names, maps.Keys(u.Tags))
	if u.Branch != "" {
		names = append(names, u.Branch)
	}
	for _, name := range names {
		if !plumbing.RefName(name) {
			return fmt.Errorf("%w: %q is no ref's name", errRef, name)
		}
	}
	for _, oid := range slices.Concat(u.Shallow, slices.Collect(maps.Values(u.Tracking)), slices.Collect(maps.Values(u.Tags))) {
		if !c.valid(oid) {
			return fmt.Errorf("%w: %q is no object's name here", errRef, oid)
		}
	}
	return nil
}

// start reports whether the clone stands where the update begins, or ends.
func (c *Clone) start(u Update) (place, error) {
	h, at, err := c.head()
	if err != nil {
		return at, err
	}
	want := Head{Branch: u.Branch, Commit: u.New, Detached: u.Branch == ""}
	if h != u.Was && h != want && !(h.Branch != "" && h.Branch == u.Was.Branch && h.Branch == u.Branch) {
		return at, moved("HEAD is not where it was")
	}
	if u.Branch == "" {
		if !u.Switch && !h.Detached {
			return at, moved("HEAD is on a branch now")
		}
		if h.Detached && u.Was.Detached && h.Commit != u.Old && h.Commit != u.New {
			return at, moved("HEAD is at another commit")
		}
		return at, nil
	}
	_, oid, _, err := c.resolve(u.Branch)
	if err == nil && oid != u.Old && oid != u.New {
		err = moved(u.Branch + " is at another commit")
	}
	return at, err
}

// setOthers sets the remote's branches, and makes the tags that are missing.
func (c *Clone) setOthers(u Update) error {
	for _, name := range slices.Sorted(maps.Keys(u.Tracking)) {
		err := c.move(name, u.Tracking[name], u.Message, nil)
		if err := u.skip(name, err); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(u.Tags)) {
		if _, _, ok, err := c.resolve(name); ok || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		unset := func(old plumbing.OID) error {
			if old != "" {
				return errMade
			}
			return nil
		}
		err := c.move(name, u.Tags[name], u.Message, unset)
		if err := u.skip(name, err); err != nil && !errors.Is(err, errMade) {
			return err
		}
	}
	return nil
}

// errMade says that somebody made the tag first: theirs stays.
var errMade = errors.New("made meanwhile")

// skip lets a ref go that has no room.
func (u Update) skip(name string, err error) error {
	if !errors.Is(err, errInTheWay) {
		return err
	}
	if u.Skipped != nil {
		u.Skipped(name)
	}
	return nil
}

// moveHead moves the branch, and HEAD where it is to move, while HEAD is locked.
func (c *Clone) moveHead(u Update) error {
	data := string(u.New) + "\n"
	if u.Branch != "" {
		data = "ref: " + u.Branch + "\n"
	}
	commit, drop, err := c.lock(c.git, "HEAD", []byte(data))
	if err != nil {
		return err
	}
	defer drop()
	at, err := c.start(u)
	if err != nil {
		return err
	}
	before, _, err := c.head()
	if err != nil {
		return err
	}
	if err := c.remember(before, u.New); err != nil {
		return err
	}
	if u.Branch != "" {
		expect := func(old plumbing.OID) error {
			if old != u.Old && old != u.New {
				return moved(u.Branch + " is at another commit")
			}
			return nil
		}
		if err := c.move(u.Branch, u.New, u.Message, expect); err != nil {
			return err
		}
	}
	on := before.Branch == u.Branch && !before.Detached // HEAD follows the branch by itself
	if (on || u.Switch || u.Branch == "") && before.Commit != u.New {
		if err := c.note("HEAD", before.Commit, u.New, u.Message, false); err != nil {
			return err
		}
	}
	if on || u.Branch != "" && !u.Switch || at == (place{oid: u.New}) && u.Branch == "" {
		return nil
	}
	if err := c.arrived(); err != nil {
		return err
	}
	return commit()
}

// remember keeps where HEAD was in ORIG_HEAD, as git's own commands do.
func (c *Clone) remember(h Head, new plumbing.OID) error {
	if h.Commit == "" || h.Commit == new {
		return nil
	}
	return c.git.replace("ORIG_HEAD", "ORIG_HEAD.daypass", []byte(h.Commit+"\n"))
}

// move sets a ref, behind its lock, if expect has nothing against its present value.
func (c *Clone) move(name string, new plumbing.OID, message string, expect func(old plumbing.OID) error) error {
	last, _, _, err := c.resolve(name)
	if err != nil && !errors.Is(err, errRef) {
		return err
	}
	d := c.disk(last)
	if err := c.room(last); err != nil {
		return err
	}
	commit, drop, err := c.lock(d, last, []byte(new+"\n"))
	if err != nil {
		return err
	}
	defer drop()
	_, old, _, err := c.resolve(last)
	if err != nil && (expect != nil || !errors.Is(err, errRef)) {
		return err
	}
	if expect != nil {
		if err := expect(old); err != nil {
			return err
		}
	}
	if old == new {
		return nil
	}
	if !heals(last) { // what it will name becomes durable in the meantime
		if err := errors.Join(d.flush(last+".lock", last), c.arrived()); err != nil {
			return err
		}
	}
	if err := c.note(last, old, new, message, false); err != nil {
		return err
	}
	return commit()
}

// room looks whether another ref is where this one has to be: "a" and "a/b" exclude each
// other, be they loose or packed.
func (c *Clone) room(name string) error {
	packed, err := c.packed(func(other string) bool {
		return inside(name, other) != inside(other, name)
	})
	if err != nil {
		return err
	}
	for other := range packed {
		return inTheWay(name, other)
	}
	for at := path.Dir(name); strings.Count(at, "/") > 0; at = path.Dir(at) {
		if kind, ok, err := c.disk(name).kind(at); err != nil {
			return err
		} else if ok && kind != fs.ModeDir {
			return inTheWay(name, at)
		}
	}
	other, err := c.below(c.disk(name), name)
	if err == nil && other != "" {
		err = inTheWay(name, other)
	}
	return err
}

// below returns a ref that is kept in a folder of this name.
func (c *Clone) below(d *disk, name string) (string, error) {
	kind, ok, err := d.kind(name)
	if err != nil || !ok || kind != fs.ModeDir {
		return "", err
	}
	entries, err := d.list(name)
	for _, e := range entries {
		at := name + "/" + e.Name()
		if !e.IsDir() {
			return at, nil
		}
		if other, err := c.below(d, at); other != "" || err != nil {
			return other, err
		}
	}
	return "", err
}

// note adds a line to a ref's log where git would (core.logAllRefUpdates), or always.
func (c *Clone) note(name string, old, new plumbing.OID, message string, always bool) error {
	if old == "" {
		old = plumbing.OID(strings.Repeat("0", c.size))
	}
	when := c.now()
	line := fmt.Sprintf("%s %s %s %d %s\t%s\n", old, new, who, when.Unix(), when.Format("-0700"), message)
	d, log := c.disk(name), "logs/"+name
	create := always || c.logs(name)
	if create {
		c.prune(d, log)
		for at := path.Dir(log); strings.Count(at, "/") > 1; at = path.Dir(at) {
			if kind, ok, _ := d.kind(at); ok && kind == 0 {
				return nil // the log of a ref that was: no room for this one's
			}
		}
	}
	return d.append(log, []byte(line), create)
}

// who stands in reflogs, in place of a name that nobody gave.
const who = "daypass <daypass@localhost>"

// logs reports whether git would begin a log for a ref (refs.c, should_autocreate_reflog).
func (c *Clone) logs(name string) bool {
	if v, _ := c.config.get("core", "", "logallrefupdates"); strings.EqualFold(v, "always") {
		return true
	}
	if !c.config.truth("core", "logallrefupdates", true) {
		return false
	}
	for _, kept := range []string{"refs/heads/", "refs/remotes/", "refs/notes/"} {
		if strings.HasPrefix(name, kept) {
			return true
		}
	}
	return name == "HEAD"
}

// unknown returns those of u.Shallow that the clone did not have before. One that it had
// (its logs name it) and that is not in its shallow file has its parents: the user may have
// fetched them (git fetch --unshallow), and that stays.
func (c *Clone) unknown(u Update) ([]plumbing.OID, error) {
	if len(u.Shallow) == 0 {
		return nil, nil
	}
	had := map[plumbing.OID]bool{}
	names := append(slices.Collect(maps.Keys(u.Tracking)), "HEAD")
	if u.Branch != "" {
		names = append(names, u.Branch)
	}
	for _, name := range names {
		values, err := c.Log(name)
		if err != nil {
			return nil, err
		}
		if now, ok, err := c.Ref(name); err == nil && ok {
			values = append(values, now)
		}
		for _, oid := range values {
			had[oid] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(u.Shallow), func(oid plumbing.OID) bool { return had[oid] }), nil
}

// addShallow adds to the commits whose parents are not there.
func (c *Clone) addShallow(add []plumbing.OID) error {
	if len(add) == 0 {
		return nil
	}
	have, err := c.Shallow()
	if err != nil {
		return err
	}
	text := plumbing.JoinShallow(have, add)
	if text == nil {
		return nil
	}
	commit, drop, err := c.lock(c.common, "shallow", text)
	if err != nil {
		return err
	}
	defer drop()
	return commit()
}

// promise lets git fetch from the remote what was left out, when somebody asks for it.
func (c *Clone) promise(filter string) error {
	remote, ok := c.remote()
	if v, _ := c.config.get("remote", remote, "promisor"); !ok || strings.EqualFold(v, "true") {
		return nil
	}
	text := "[remote " + quote(remote) + "]\n\tpromisor = true\n"
	if filter != "" {
		text += "\tpartialclonefilter = " + quote(filter) + "\n"
	}
	return c.addConfig(text)
}

// follow lets the user's own git pull and push the branch that HEAD is switched to, as it
// does with one that was cloned. What is configured of it already stays.
func (c *Clone) follow(u Update) error {
	name, ok := strings.CutPrefix(u.Branch, "refs/heads/")
	tracking := "refs/remotes/origin/" + name
	if _, came := u.Tracking[tracking]; !u.Switch || !ok || !came {
		return nil
	}
	remote, _ := c.remote()
	if _, has := c.config.get("branch", name, "remote"); has || remote != "origin" {
		return nil
	}
	text := "[branch " + quote(name) + "]\n\tremote = origin\n\tmerge = " + value(u.Branch) + "\n"
	if !c.config.fetches(u.Branch) {
		text = "[remote \"origin\"]\n\tfetch = " + value("+"+u.Branch+":"+tracking) + "\n" + text
	}
	return c.addConfig(text)
}

// fetches reports whether git fetch brings a branch of origin's.
func (s settings) fetches(branch string) bool {
	return slices.ContainsFunc(s, func(one setting) bool {
		from, _, _ := strings.Cut(strings.TrimPrefix(one.value, "+"), ":")
		head, tail, glob := strings.Cut(from, "*")
		return one.section == "remote" && one.sub == "origin" && one.name == "fetch" &&
			(from == branch || glob && len(branch) >= len(head)+len(tail) && strings.HasPrefix(branch, head) && strings.HasSuffix(branch, tail))
	})
}

// addConfig adds lines to the configuration.
func (c *Clone) addConfig(text string) error {
	data, err := c.common.read("config", 4<<20)
	if err != nil {
		return err
	}
	if len(data) > 0 && data[len(data)-1] != '\n' {
		data = append(data, '\n')
	}
	data = append(data, text...)
	more, err := parseSettings(data)
	if err != nil {
		return badConfig(c.dir, err)
	}
	commit, drop, err := c.lock(c.common, "config", data)
	if err != nil {
		return err
	}
	defer drop()
	if err := commit(); err != nil {
		return err
	}
	c.config = more
	return nil
}

// quote writes a value, or a subsection, so that git reads it as it is.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}
