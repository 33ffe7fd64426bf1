package merge

import (
	"maps"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// A node is a file of a tree: its name as that tree spells it, and what it is.
type node struct {
	path string
	Entry
}

// A tree holds files by key: their path, or what a folding disk makes of it.
type tree map[string]node

// fold is what is alike for two names that a disk without case takes for one. Such
// disks know one way to write é, too.
func fold(path string) string {
	path = norm.NFC.String(path)
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, path)
}

func (in Input) key(path string) string {
	if in.Fold {
		return fold(path)
	}
	return path
}

// isFile tells files and links from what a tree can have beside them.
func (e Entry) isFile() bool { return e.isRegular() || e.Mode == Symlink }

func (e Entry) isRegular() bool { return e.Mode == Regular || e.Mode == Executable }

// tree takes from a version what can stand on this disk, and lists what cannot, with
// what it clashes with. Of two names that the disk takes for one the first by bytes
// stands; of a file and a folder the folder.
func (in Input) tree(files map[string]Entry) (tree, []Step) {
	t := make(tree, len(files))
	var left []Step
	skip := func(n node, other string) {
		left = append(left, Step{Do: Skip, Path: n.path, From: other, Theirs: n.Entry})
	}
	paths := maps.Keys(files)
	if in.Fold {
		paths = slices.Values(slices.Sorted(paths))
	}
	for path := range paths {
		n, k := node{path, files[path]}, in.key(path)
		other, taken := t[k]
		switch {
		case !n.isFile():
		case taken:
			skip(n, other.path)
		default:
			t[k] = n
		}
	}
	clashes := tree{}
	for k, n := range t {
		for dir := range above(k) {
			_, file := t[dir]
			if first, known := clashes[dir]; file && (!known || n.path < first.path) {
				clashes[dir] = n
			}
		}
	}
	for _, k := range slices.Sorted(maps.Keys(clashes)) {
		skip(t[k], clashes[k].path)
		delete(t, k)
	}
	return t, left
}

// above yields the folders that a path is in, the outermost first.
func above(path string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i := range len(path) {
			if path[i] == '/' && !yield(path[:i]) {
				return
			}
		}
	}
}
