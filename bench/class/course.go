package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"

	"github.com/daypass-dev/daypass/internal/gittest"
)

const (
	courseFiles   = 900
	courseCommits = 300
	perCommit     = 12 // files that each commit changes
)

// course fills a repository as one of some years has it: 900 files, 8 MB of text that
// compresses as text does, and 300 commits that changed some files each. It is packed
// as a host packs what was pushed to it: most of the newest files lie as differences from
// others (614 of 900 here; 663 of 918 in github.com/cli/cli). Where whole is set it stays as
// fast-import packed it, with each version whole: git clone costs a server least then.
func course(r *gittest.Repo, whole bool) {
	random := rand.New(rand.NewPCG(1, 2))
	var words []string
	for range 4000 {
		w := make([]byte, 2+random.IntN(9))
		for i := range w {
			w[i] = byte('a' + random.IntN(26))
		}
		words = append(words, string(w))
	}
	line := func() string {
		var b bytes.Buffer
		for range 4 + random.IntN(10) {
			// A few words are common, as in any language.
			b.WriteString(words[int(float64(len(words))*random.Float64()*random.Float64()*random.Float64())] + " ")
		}
		return b.String() + "\n"
	}
	files := make([][]string, courseFiles)
	for i := range files {
		for size := 0; size < 2000+i*13%14000; size += len(files[i][len(files[i])-1]) {
			files[i] = append(files[i], line())
		}
	}
	var in bytes.Buffer
	write := func(i int) {
		fmt.Fprintf(&in, "M 100644 inline week%02d/file%04d.py\n", i/30, i)
		text := bytes.Buffer{}
		for _, l := range files[i] {
			text.WriteString(l)
		}
		fmt.Fprintf(&in, "data %d\n%s\n", text.Len(), text.String())
	}
	for c := range courseCommits {
		when := gittest.Start + 60*c
		fmt.Fprintf(&in, "commit refs/heads/main\ncommitter Teacher <teacher@example.org> %d +0000\ndata 3\nnew\n", when)
		if c == 0 {
			for i := range files {
				write(i)
			}
			continue
		}
		for range perCommit {
			i := random.IntN(courseFiles)
			files[i][random.IntN(len(files[i]))] = line()
			write(i)
		}
	}
	in.WriteString("done\n")
	r.Pipe(in.String(), "fast-import", "--quiet", "--force", "--done")
	if whole {
		r.Git("repack", "-a", "-d", "-q")
		return
	}
	r.Git("repack", "-a", "-d", "-f", "-q")
}
