package clone

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass/internal/plumbing"
)

// unfinished are the files by which git knows what was begun, the most telling first
// (wt-status.c), each with its kind.
var unfinished = [][2]string{
	{"rebase-apply/applying", "am"}, {"rebase-apply", "rebase"}, {"rebase-merge", "rebase"}, {"MERGE_HEAD", "merge"},
	{"CHERRY_PICK_HEAD", "cherry-pick"}, {"REVERT_HEAD", "revert"}, {"sequencer", "cherry-pick"}, {"BISECT_LOG", "bisect"},
}

// leftovers are all the files that go when what was begun is taken away (branch.c,
// remove_branch_state, and the folders of rebase and of a sequence).
var leftovers = []string{
	"MERGE_MSG", "MERGE_MODE", "MERGE_RR", "MERGE_AUTOSTASH", "AUTO_MERGE", "SQUASH_MSG", "REBASE_HEAD",
	"MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "sequencer", "rebase-apply", "rebase-merge",
}

// Unfinished returns what the user has begun and not ended: "", "merge", "rebase",
// "am", "cherry-pick", "revert", "bisect".
func (c *Clone) Unfinished() (string, error) {
	for _, one := range unfinished {
		if _, ok, err := c.git.kind(one[0]); ok || err != nil {
			return one[1], err
		}
	}
	return "", nil
}

// EndUnfinished takes the state of what is unfinished into the folder keep, which it
// makes, and puts HEAD where the user's branch is. Commits that only that state named
// stay reachable by refs/daypass/kept/KIND-…; what git put away for the user (autostash)
// goes to the stash. Work tree and index stay as they are. A bisect is left alone.
func (c *Clone) EndUnfinished(keep string) error {
	release, err := c.hold()
	if err != nil {
		return cannotWrite(c.dir, err)
	}
	defer release()
	return cannotWrite(c.dir, c.endUnfinished(keep))
}

func (c *Clone) endUnfinished(keep string) error {
	if err := c.keepFiles(keep); err != nil {
		return err
	}
	if err := c.keepCommits(); err != nil {
		return err
	}
	for _, dir := range []string{"rebase-merge", "rebase-apply"} {
		if err := c.leaveRebase(dir); err != nil {
			return err
		}
	}
	for _, name := range leftovers {
		kind, ok, err := c.git.kind(name)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if kind != fs.ModeDir {
			if err := c.git.remove(name); err != nil {
				return err
			}
			continue
		}
		// Renamed first: half of such a folder would confuse git.
		const gone = "daypass.ended"
		if err := c.git.root.RemoveAll(gone); err != nil {
			return err
		}
		if err := c.git.rename(name, gone); err != nil {
			return err
		}
		c.git.about("remove", gone)
		if err := c.git.root.RemoveAll(gone); err != nil {
			return err
		}
	}
	return c.git.sync(".")
}

// keepFiles copies the state's files to keep; one that is there from before stays.
func (c *Clone) keepFiles(keep string) error {
	if err := os.MkdirAll(keep, 0o700); err != nil {
		return err
	}
	to, err := openDisk(keep, nil)
	if err != nil {
		return err
	}
	defer to.root.Close()
	for _, name := range leftovers {
		if err := c.keepFile(to, name); err != nil {
			return err
		}
	}
	return to.sync(".")
}

func (c *Clone) keepFile(to *disk, name string) error {
	kind, ok, err := c.git.kind(name)
	if err != nil || !ok {
		return err
	}
	if kind == fs.ModeDir {
		entries, err := c.git.list(name)
		for _, e := range entries {
			err = errors.Join(err, c.keepFile(to, name+"/"+e.Name()))
		}
		return err
	}
	if kind != 0 {
		return nil
	}
	data, err := c.git.read(name, maxFile)
	if err != nil {
		return err
	}
	if err := to.create(name, data); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// keepCommits gives names to what only the state's files name.
func (c *Clone) keepCommits() error {
	for _, one := range [][2]string{
		{"MERGE_HEAD", "merge"}, {"CHERRY_PICK_HEAD", "cherry-pick"}, {"REVERT_HEAD", "revert"},
		{"rebase-merge/orig-head", "rebase"}, {"rebase-apply/orig-head", "rebase"}, {"rebase-merge/onto", "rebase"}, {"rebase-apply/onto", "rebase"},
	} {
		for _, oid := range c.named(one[0]) {
			if err := c.keepCommit(one[1], oid); err != nil {
				return err
			}
		}
	}
	for _, oid := range c.putAway() {
		if err := c.stash(oid); err != nil {
			return err
		}
	}
	return nil
}

// Autostash reports whether git put something away for the user before it began what is
// unfinished.
func (c *Clone) Autostash() bool { return len(c.putAway()) > 0 }

func (c *Clone) putAway() (out []plumbing.OID) {
	for _, name := range []string{"MERGE_AUTOSTASH", "rebase-merge/autostash", "rebase-apply/autostash"} {
		out = append(out, c.named(name)...)
	}
	return out
}

// named returns the commits that a file of the state names, one a line.
func (c *Clone) named(name string) []plumbing.OID {
	data, err := c.git.read(name, maxFile)
	if err != nil {
		return nil
	}
	var out []plumbing.OID
	for line := range strings.Lines(string(data)) {
		word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if oid := plumbing.OID(word); c.valid(oid) && !zero(oid) {
			out = append(out, oid)
		}
	}
	return out
}

func (c *Clone) keepCommit(kind string, oid plumbing.OID) error {
	return c.move(fmt.Sprintf("refs/daypass/kept/%s-%s", kind, oid[:12]), oid, "daypass: kept", nil)
}

// stash puts a commit on top of the stash, whose entries are the lines of its log.
func (c *Clone) stash(oid plumbing.OID) error {
	const name = "refs/stash"
	values, err := c.Log(name)
	if err != nil {
		return err
	}
	// A log's line without the ref is what a kill between the two leaves.
	noted := len(values) > 0 && values[0] == oid
	if at, _, err := c.Ref(name); err != nil || slices.Contains(values, oid) && !(noted && at != oid) {
		return err
	}
	if err := c.room(name); err != nil {
		return err
	}
	commit, drop, err := c.lock(c.common, name, []byte(oid+"\n"))
	if err != nil {
		return err
	}
	defer drop()
	_, old, _, err := c.resolve(name)
	if err != nil {
		return err
	}
	if !noted {
		if err := c.note(name, old, oid, "autostash", true); err != nil {
			return err
		}
	}
	return commit()
}

// leaveRebase puts a detached HEAD back on the branch that is being rebased, which git
// moves only at the end.
func (c *Clone) leaveRebase(dir string) error {
	if _, applying, err := c.git.kind(dir + "/applying"); applying || err != nil {
		return err
	}
	data, err := c.git.read(dir+"/head-name", 1<<16)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	h, _, err := c.head()
	if err != nil || !h.Detached {
		return err
	}
	to, text := plumbing.OID(""), ""
	branch := strings.TrimSpace(string(data))
	if orig := c.named(dir + "/orig-head"); len(orig) == 1 {
		to, text = orig[0], string(orig[0])+"\n"
	}
	if plumbing.RefName(branch) && strings.HasPrefix(branch, "refs/heads/") {
		oid, ok, err := c.Ref(branch)
		if err != nil {
			return err
		}
		if ok {
			to, text = oid, "ref: "+branch+"\n"
		}
	}
	if to == "" {
		return nil // nothing says where the user was; HEAD stays
	}
	if err := c.keepCommit("rebase", h.Commit); err != nil {
		return err
	}
	commit, drop, err := c.lock(c.git, "HEAD", []byte(text))
	if err != nil {
		return err
	}
	defer drop()
	if err := c.note("HEAD", h.Commit, to, "daypass: left a rebase", false); err != nil {
		return err
	}
	return commit()
}
