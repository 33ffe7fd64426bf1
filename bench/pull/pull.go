package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/internal/measure"
)

// fresh brings the repository into a folder that is not there, beside git clone.
func (b *bench) fresh(s *measure.Stage) {
	st := newSite(b, s)
	into := func(command func(dir string) []string) way {
		dir := ""
		return way{
			// What was written stays until the end: ext4 is slow to make files for seconds
			// after it removed many.
			prepare: func() { dir = st.folder() },
			run:     func() cost { return st.run("", command(dir)...) },
		}
	}
	git := into(func(dir string) []string { return []string{"git", "clone", "--depth", "1", st.url, dir} })
	ours := into(func(dir string) []string { return st.daypass("pull", st.url, dir) })
	b.Best(measure.Figure{What: "fresh, of git clone --depth 1", Bound: 1.08, Unit: "times"}, func() float64 {
		return b.ratio("fresh", 20, "git clone --depth 1", git, ours)
	})
	if _, ok := st.puller(); !ok {
		return
	}
	theirs := into(func(dir string) []string { args, _ := st.puller(st.url, "main", dir); return args })
	b.ratio("fresh", 5, "gitpuller", theirs, ours)
}

// again pulls where nothing has changed, beside git's smallest question.
func (b *bench) again(s *measure.Stage) {
	st := newSite(b, s)
	dir := st.folder()
	st.run("", st.daypass("pull", st.url, dir)...)
	git := way{run: func() cost { return st.run("", "git", "ls-remote", st.url, "refs/heads/main") }}
	ours := way{run: func() cost { return st.run("", st.daypass("pull", st.url, dir)...) }}
	b.Best(measure.Figure{What: "nothing new, of git ls-remote", Bound: 1.5, Unit: "times"}, func() float64 {
		return b.ratio("nothing new", 40, "git ls-remote", git, ours)
	})
	// That nothing was found missing must not come from not looking.
	lost := filepath.Join(dir, "week03", "file0101.py")
	s.Check(os.Remove(lost))
	ours.run()
	_, err := os.Stat(lost)
	b.Must("a deleted file is back after a pull with nothing new", err == nil)
	other := st.folder()
	args, ok := st.puller(st.url, "main", other)
	if !ok {
		b.Must("nbgitpuller is beside ours", false)
		return
	}
	st.run("", args...)
	theirs := way{run: func() cost { return st.run("", args...) }}
	b.Best(measure.Figure{What: "nothing new, of nbgitpuller", Bound: 0.15, Unit: "times"}, func() float64 {
		return b.ratio("nothing new", 12, "gitpuller", theirs, ours)
	})
}

// change has one change upstream and another in the folder, for each pull.
func (b *bench) change(s *measure.Stage) {
	st := newSite(b, s)
	raw, mine := st.folder(), st.folder()
	st.run("", "git", "clone", "--depth", "1", st.url, raw)
	st.run("", st.daypass("pull", st.url, mine)...)
	git := st.changing(raw, func() cost {
		took := st.run(raw, "git", "fetch").plus(st.run(raw, "git", "commit", "-am", "mine"))
		return took.plus(st.run(raw, "git", "merge", "-Xours", "-m", "merge", "origin/main"))
	})
	ours := st.changing(mine, func() cost { return st.run("", st.daypass("pull", st.url, mine)...) })
	b.Best(measure.Figure{What: "one change each side, of git fetch, commit and merge", Bound: 1.2, Unit: "times"}, func() float64 {
		return b.ratio("one change each side", 20, "git", git, ours)
	})
	b.Must("both changes are in the folder", st.merged(mine))
	other := st.folder()
	args, ok := st.puller(st.url, "main", other)
	if !ok {
		b.Must("nbgitpuller is beside ours", false)
		return
	}
	st.run("", args...)
	theirs := st.changing(other, func() cost { return st.run("", args...) })
	b.Best(measure.Figure{What: "one change each side, of nbgitpuller", Bound: 0.4, Unit: "times"}, func() float64 {
		return b.ratio("one change each side", 10, "gitpuller", theirs, ours)
	})
	b.Must("both changes are in nbgitpuller's folder", st.merged(other))
}

const (
	upstreamFile = "week05/file0151.py"
	userFile     = "week05/file0152.py"
)

// changing makes a change on either side before each run.
func (st *site) changing(dir string, run func() cost) way {
	return way{run: run, prepare: func() {
		st.version++
		st.course.Commit("main", "more", gittest.Files{upstreamFile: fmt.Sprintf("version %d\n", st.version)})
		f, err := os.OpenFile(filepath.Join(dir, userFile), os.O_APPEND|os.O_WRONLY, 0)
		st.s.Check(err)
		fmt.Fprintf(f, "mine %d\n", st.version)
		st.s.Check(f.Close())
	}}
}

// merged reports whether a folder has the last upstream change that it was offered
// and all of the user's.
func (st *site) merged(dir string) bool {
	upstream, err := os.ReadFile(filepath.Join(dir, upstreamFile))
	st.s.Check(err)
	user, err := os.ReadFile(filepath.Join(dir, userFile))
	st.s.Check(err)
	var last, mine int
	fmt.Sscanf(string(upstream), "version %d", &last)
	for i := range len(user) {
		if user[i] == '\n' {
			fmt.Sscanf(string(user[i+1:]), "mine %d", &mine)
		}
	}
	return last > 0 && last == mine
}
