package main_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/internal/gittest"
)

// A situation is one of nbgitpuller's own tests, or one in which it is known to
// fail. The last pull comes after do.
type situation struct {
	name  string
	first gittest.Files // besides a.txt
	do    func(p *pair)
	// fails: nbgitpuller does. other: it does not, and daypass does otherwise, on
	// purpose; the text is doc/pull.md's reason. Otherwise the two trees are the same.
	fails bool
	other string
	// want are files of daypass', by name; "" is not there. Always looked at.
	want map[string]string
	has  map[string][]string // texts in files of daypass'
}

const course = "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\nten\n"

// swap replaces lines of the course.
func swap(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(course) }

func (p *pair) writes(name, text string) {
	p.t.Helper()
	p.student("writes "+name, func(dir string) error { return put(dir, name, text) })
}

func (p *pair) removes(names ...string) {
	p.t.Helper()
	for _, n := range names {
		p.student("removes "+n, func(dir string) error { return os.RemoveAll(filepath.Join(dir, n)) })
	}
}

func (p *pair) moves(from, to string) {
	p.t.Helper()
	p.student("moves "+from, func(dir string) error { return os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)) })
}

func (p *pair) gits(args ...string) {
	p.t.Helper()
	p.student("git "+strings.Join(args, " "), func(dir string) error { return git(dir, args...) })
}

// ownTests are the situations of nbgitpuller's tests.
func ownTests() []situation {
	return []situation{
		{name: "the instructor changes, adds and deletes", first: gittest.Files{"b": "b\n"}, do: func(p *pair) {
			p.commit(gittest.Files{"a.txt": swap("one", "ONE"), "b": gittest.Deleted, "new/c": "c\n"})
		}, want: map[string]string{"b": "", "new/c": "c\n"}},
		{name: "both change other lines", do: func(p *pair) {
			p.writes("a.txt", swap("ten", "mine"))
			p.commit(gittest.Files{"a.txt": swap("one", "ONE")})
		}, want: map[string]string{"a.txt": swap("ten", "mine", "one", "ONE")}},
		{name: "both change the same line, again and again", do: func(p *pair) {
			p.writes("a.txt", swap("one", "mine"))
			p.commit(gittest.Files{"a.txt": swap("one", "ONE")})
			p.pull()
			p.commit(gittest.Files{"other": "o\n"})
			p.pull()
			p.commit(gittest.Files{"a.txt": swap("one", "UNO")})
		}, want: map[string]string{"a.txt": swap("one", "mine"), "other": "o\n"}},
		{name: "after a commit of the student's", do: func(p *pair) {
			p.writes("a.txt", swap("one", "mine"))
			p.gits("commit", "-qam", "mine")
			p.commit(gittest.Files{"a.txt": swap("one", "ONE", "ten", "TEN")})
		}, want: map[string]string{"a.txt": swap("one", "mine", "ten", "TEN")}},
		{name: "a new file of the same name", do: func(p *pair) {
			p.writes("n.txt", "mine\n")
			p.commit(gittest.Files{"n.txt": "theirs\n"})
		}, want: map[string]string{"n.txt": "theirs\n", "n__TIME.txt": "mine\n"}},
		{name: "files deleted to have them back", first: gittest.Files{"🙂.txt": "smile\n"}, do: func(p *pair) {
			p.removes("a.txt", "🙂.txt")
		}, want: map[string]string{"a.txt": course, "🙂.txt": "smile\n"}},
		{name: "deleted after changes were merged", do: func(p *pair) {
			p.writes("a.txt", swap("one", "mine"))
			p.pull()
			p.commit(gittest.Files{"a.txt": swap("two", "TWO")})
			p.pull()
			p.removes("a.txt")
		}, want: map[string]string{"a.txt": swap("two", "TWO")}},
		{name: "deleted after a conflict", do: func(p *pair) {
			p.writes("a.txt", swap("one", "mine"))
			p.pull()
			p.removes("a.txt")
			p.commit(gittest.Files{"other": "o\n"})
		}, want: map[string]string{"a.txt": course, "other": "o\n"}},
		{name: "deleted by the instructor, changed and committed by the student", first: gittest.Files{"b": "b\n"}, do: func(p *pair) {
			p.writes("b", "mine\n")
			p.gits("commit", "-qam", "mine")
			p.commit(gittest.Files{"b": gittest.Deleted})
		}, want: map[string]string{"b": "mine\n"}},
		{name: "removed by git rm and committed, changed by the instructor", first: gittest.Files{"b": "b\n"}, do: func(p *pair) {
			p.gits("rm", "-q", "b")
			p.gits("commit", "-qm", "mine")
			p.commit(gittest.Files{"b": "B\n"})
		}, want: map[string]string{"b": "B\n"}},
		{name: "one changed by both, one deleted and changed", first: gittest.Files{"b": "b\n"}, do: func(p *pair) {
			p.writes("a.txt", swap("one", "mine"))
			p.writes("b", "mine\n")
			p.commit(gittest.Files{"a.txt": swap("one", "ONE"), "b": gittest.Deleted})
		}, want: map[string]string{"a.txt": swap("one", "mine"), "b": "mine\n"}},
		{name: "deleted by both", first: gittest.Files{"b": "b\n"}, do: func(p *pair) {
			p.removes("b")
			p.commit(gittest.Files{"b": gittest.Deleted, "c": "c\n"})
		}, want: map[string]string{"b": "", "c": "c\n"}},
		{name: "a staged change in the same line", do: func(p *pair) {
			p.writes("a.txt", swap("one", "mine"))
			p.gits("add", "a.txt")
			p.commit(gittest.Files{"a.txt": swap("one", "ONE")})
		}, want: map[string]string{"a.txt": swap("one", "mine")}},
		{name: "a lock that was left behind", do: func(p *pair) {
			p.writes(".git/index.lock", "")
			old := time.Now().Add(-700 * time.Second)
			p.student("long ago", func(dir string) error { return os.Chtimes(filepath.Join(dir, ".git", "index.lock"), old, old) })
			p.commit(gittest.Files{"c": "c\n"})
		}, want: map[string]string{"c": "c\n"}},
	}
}

// cells is a notebook with code cells of these sources.
func cells(sources ...string) string {
	var list []string
	for _, s := range sources {
		list = append(list, fmt.Sprintf("  {\n   \"cell_type\": \"code\",\n   \"execution_count\": null,\n   \"id\": \"c%s\",\n   \"metadata\": {},\n   \"outputs\": [],\n   \"source\": [\n    %q\n   ]\n  }", s[:1], s))
	}
	return "{\n \"cells\": [\n" + strings.Join(list, ",\n") + "\n ],\n \"metadata\": {},\n \"nbformat\": 4,\n \"nbformat_minor\": 5\n}\n"
}

// notebooks are situations of theirs.
func notebooks() []situation {
	first := gittest.Files{"n.ipynb": cells("1 ask", "2 ask")}
	return []situation{
		{name: "a notebook that only the instructor changed", first: first, do: func(p *pair) {
			p.commit(gittest.Files{"n.ipynb": cells("1 ask", "2 ask", "3 new")})
		}, want: map[string]string{"n.ipynb": cells("1 ask", "2 ask", "3 new")}},
		{name: "a notebook that only the student changed", first: first, do: func(p *pair) {
			p.writes("n.ipynb", cells("1 mine", "2 ask"))
			p.commit(gittest.Files{"c": "c\n"})
		}, want: map[string]string{"n.ipynb": cells("1 mine", "2 ask")}},
		{name: "cells apart", first: gittest.Files{"n.ipynb": cells("1 ask", "2 ask", "3 ask")}, do: func(p *pair) {
			p.writes("n.ipynb", cells("1 mine", "2 ask", "3 ask"))
			p.commit(gittest.Files{"n.ipynb": cells("1 ask", "2 ask", "3 better")})
		}, want: map[string]string{"n.ipynb": cells("1 mine", "2 ask", "3 better")}},
		{name: "a new cell where the student has one, too", first: first, other: "notebooks are merged by cells", do: func(p *pair) {
			p.writes("n.ipynb", cells("1 ask", "2 mine", "8 my own"))
			p.commit(gittest.Files{"n.ipynb": cells("1 ask", "2 better", "3 new")})
		}, has: map[string][]string{"n.ipynb": {"2 mine", "8 my own", "3 new"}}},
	}
}

// asHoped are further situations in which nbgitpuller does well.
func asHoped() []situation {
	return []situation{
		{name: "a folder where a file comes", do: func(p *pair) {
			p.writes("foo/mine.txt", "mine\n")
			p.commit(gittest.Files{"foo": "a file\n"})
		}, want: map[string]string{"foo": "a file\n", "foo__TIME/mine.txt": "mine\n"}},
		{name: "an ignored file", first: gittest.Files{".gitignore": "out.txt\n"}, do: func(p *pair) {
			p.writes("out.txt", "mine\n")
			p.commit(gittest.Files{"out.txt": "theirs\n"})
		}, want: map[string]string{"out.txt": "theirs\n", "out__TIME.txt": "mine\n"}},
		{name: "the same new file", other: "adopted, with no copy", do: func(p *pair) {
			p.writes("n.txt", "same\n")
			p.commit(gittest.Files{"n.txt": "same\n"})
		}, want: map[string]string{"n.txt": "same\n", "n__TIME.txt": ""}},
		{name: "CRLF", first: gittest.Files{"dos.txt": strings.ReplaceAll(course, "\n", "\r\n")}, do: func(p *pair) {
			p.writes("dos.txt", strings.ReplaceAll(swap("ten", "mine"), "\n", "\r\n"))
			p.commit(gittest.Files{"dos.txt": strings.ReplaceAll(swap("one", "ONE"), "\n", "\r\n")})
		}, want: map[string]string{"dos.txt": strings.ReplaceAll(swap("one", "ONE", "ten", "mine"), "\n", "\r\n")}},
		{name: "no newline at the end", first: gittest.Files{"b": "x\ny\nz"}, do: func(p *pair) {
			p.writes("b", "mine\ny\nz")
			p.commit(gittest.Files{"b": "x\ny\nz\n"})
		}},
		{name: "made executable", do: func(p *pair) {
			p.student("chmod", func(dir string) error { return os.Chmod(filepath.Join(dir, "a.txt"), 0o755) })
			p.commit(gittest.Files{"a.txt": swap("one", "ONE")})
		}},
		{name: "made executable by the instructor", do: func(p *pair) {
			p.writes("a.txt", swap("ten", "mine"))
			p.commit(gittest.Files{"100755:a.txt": swap("one", "ONE")})
		}},
		{name: "read-only", do: func(p *pair) {
			p.student("chmod", func(dir string) error { return os.Chmod(filepath.Join(dir, "a.txt"), 0o444) })
			p.commit(gittest.Files{"a.txt": swap("one", "ONE")})
		}},
		{name: "a folder deleted", first: gittest.Files{"d/x": "x\n", "d/e/y": "y\n"}, do: func(p *pair) {
			p.removes("d")
			p.commit(gittest.Files{"d/x": "X\n"})
		}, want: map[string]string{"d/x": "X\n", "d/e/y": "y\n"}},
		{name: "another case", first: gittest.Files{"Lab.txt": course}, do: func(p *pair) {
			p.commit(gittest.Files{"Lab.txt": gittest.Deleted, "lab.txt": course})
		}, want: map[string]string{"Lab.txt": "", "lab.txt": course}},
		{name: "binary, changed by both", first: gittest.Files{"b.bin": "\x00one"}, do: func(p *pair) {
			p.writes("b.bin", "\x00mine")
			p.commit(gittest.Files{"b.bin": "\x00two"})
		}, want: map[string]string{"b.bin": "\x00mine"}},
		{name: "renamed by the instructor, changed by the student", do: func(p *pair) {
			p.writes("a.txt", swap("ten", "mine"))
			p.commit(gittest.Files{"a.txt": gittest.Deleted, "new.txt": swap("one", "ONE")})
		}, want: map[string]string{"a.txt": "", "new.txt": swap("one", "ONE", "ten", "mine")}},
		{name: "moved by the student, changed by the instructor", do: func(p *pair) {
			p.moves("a.txt", "mine.txt")
			p.commit(gittest.Files{"a.txt": swap("one", "ONE")})
		}, want: map[string]string{"a.txt": swap("one", "ONE"), "mine.txt": course}},
		{name: "nothing new", do: func(p *pair) { p.writes("a.txt", swap("ten", "mine")) }, want: map[string]string{"a.txt": swap("ten", "mine")}},
	}
}

// failing are those in which nbgitpuller fails, or succeeds and loses something.
func failing() []situation {
	return []situation{
		{name: "a new file with an accent", fails: true, do: func(p *pair) {
			p.writes("é.txt", "mine\n")
			p.commit(gittest.Files{"é.txt": "theirs\n"})
		}, want: map[string]string{"é.txt": "theirs\n", "é__TIME.txt": "mine\n"}},
		{name: "a rename onto a new file", fails: true, do: func(p *pair) {
			p.writes("n.txt", "mine\n")
			p.commit(gittest.Files{"a.txt": gittest.Deleted, "n.txt": course})
		}, want: map[string]string{"a.txt": "", "n.txt": course, "n__TIME.txt": "mine\n"}},
		{name: "a file where a folder comes", fails: true, do: func(p *pair) {
			p.writes("foo", "mine\n")
			p.commit(gittest.Files{"foo/bar": "bar\n"})
		}, want: map[string]string{"foo__TIME": "mine\n", "foo/bar": "bar\n"}},
		{name: "both rename, one by a commit", fails: true, do: func(p *pair) {
			p.gits("mv", "a.txt", "mine.txt")
			p.gits("commit", "-qm", "mine")
			p.commit(gittest.Files{"a.txt": gittest.Deleted, "new.txt": course})
		}, want: map[string]string{"mine.txt": course, "new.txt": course}},
		{name: "both rename, one staged", fails: true, do: func(p *pair) {
			p.gits("mv", "a.txt", "mine.txt")
			p.commit(gittest.Files{"a.txt": gittest.Deleted, "new.txt": course})
		}, want: map[string]string{"a.txt": "", "mine.txt": course, "new.txt": course}},
		{name: "a link in place of a file", fails: true, do: func(p *pair) {
			p.moves("a.txt", "real.txt")
			p.student("links", func(dir string) error { return os.Symlink("real.txt", filepath.Join(dir, "a.txt")) })
			p.commit(gittest.Files{"a.txt": swap("one", "ONE")})
		}, want: map[string]string{"real.txt": course}},
		{name: "a forced push, nothing changed here", fails: true, do: func(p *pair) {
			p.up.Orphan("main", "anew", gittest.Files{"a.txt": swap("one", "ONE")})
		}, want: map[string]string{"a.txt": swap("one", "ONE")}},
		{name: "a forced push, and changes here", fails: true, do: func(p *pair) {
			p.writes("a.txt", swap("ten", "mine"))
			p.up.Orphan("main", "anew", gittest.Files{"a.txt": swap("one", "ONE")})
		}, want: map[string]string{"a.txt": swap("one", "ONE", "ten", "mine")}},
		{name: "another branch", fails: true, do: func(p *pair) {
			p.up.Git("update-ref", "refs/heads/week2", "refs/heads/main")
			p.up.Commit("week2", "week 2", gittest.Files{"a.txt": swap("one", "ONE")})
			p.branch = "week2"
		}, want: map[string]string{"a.txt": swap("one", "ONE")}},
		{name: "an empty folder", fails: true, do: func(p *pair) {
			p.student("empties", func(dir string) error { return errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o755)) })
		}, want: map[string]string{"a.txt": course}},
		{name: "a folder without .git", fails: true, do: func(p *pair) {
			p.writes("a.txt", swap("ten", "mine"))
			p.removes(".git")
			p.commit(gittest.Files{"c": "c\n"})
		}, want: map[string]string{"a.txt": swap("ten", "mine"), "c": "c\n"}},
		{name: "a hook that says no", fails: true, do: func(p *pair) {
			p.student("a hook", func(dir string) error {
				return os.WriteFile(filepath.Join(dir, ".git", "hooks", "pre-commit"), []byte("#!/bin/sh\nexit 1\n"), 0o755)
			})
			p.writes("a.txt", swap("ten", "mine"))
			p.commit(gittest.Files{"a.txt": swap("one", "ONE")})
		}, want: map[string]string{"a.txt": swap("one", "ONE", "ten", "mine")}},
		{name: "only fast forwards", fails: true, do: func(p *pair) {
			p.gits("config", "merge.ff", "only")
			p.writes("a.txt", swap("ten", "mine"))
			p.commit(gittest.Files{"a.txt": swap("one", "ONE")})
		}, want: map[string]string{"a.txt": swap("one", "ONE", "ten", "mine")}},
		{name: "a lock of two minutes ago", fails: true, do: func(p *pair) {
			p.writes(".git/index.lock", "")
			p.student("two minutes ago", func(dir string) error {
				old := time.Now().Add(-2 * time.Minute)
				return os.Chtimes(filepath.Join(dir, ".git", "index.lock"), old, old)
			})
			p.commit(gittest.Files{"c": "c\n"})
		}, want: map[string]string{"c": "c\n"}},
		{name: "a merge left half done", other: "the markers of a merge of the student's own are not committed", do: func(p *pair) {
			p.gits("checkout", "-q", "-b", "side")
			p.writes("a.txt", swap("one", "side"))
			p.gits("commit", "-qam", "side")
			p.gits("checkout", "-q", "main")
			p.writes("a.txt", swap("one", "mine"))
			p.gits("commit", "-qam", "mine")
			p.student("git merge", func(dir string) error {
				if git(dir, "merge", "-q", "side") == nil {
					return errors.New("there is no conflict")
				}
				return nil
			})
			p.commit(gittest.Files{"c": "c\n"})
		}, want: map[string]string{"c": "c\n"}},
	}
}

// TestBesideNbgitpuller: the same situations, by both.
func TestBesideNbgitpuller(t *testing.T) {
	if testing.Short() {
		t.Skip("real pulls")
	}
	peers, program := startPeers(t), filepath.Join(programs(t), "daypass")
	for _, s := range slices.Concat(ownTests(), notebooks(), asHoped(), failing()) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, peers, program)
			files := gittest.Files{"a.txt": course}
			for path, text := range s.first {
				files[path] = text
			}
			p.commit(files)
			if failed := p.pull(); failed != "" {
				t.Fatalf("nbgitpuller's first pull: %s", failed)
			}
			s.do(p)
			failed := p.pull()
			theirs, ours := tree(t, p.theirs), tree(t, p.ours)
			for path, want := range s.want {
				if got, there := ours[path]; there != (want != "") || there && got[len("100644 "):] != want {
					t.Errorf("%s: %s, want %q", path, seen(got, there), want)
				}
			}
			for path, texts := range s.has {
				for _, text := range texts {
					if !strings.Contains(ours[path], text) {
						t.Errorf("%s lacks %q: %q", path, text, ours[path])
					}
				}
			}
			switch d := differ(theirs, ours); {
			case s.fails != (failed != ""):
				t.Errorf("nbgitpuller fails: %q", failed)
			case !s.fails && s.other == "" && d != "":
				t.Errorf("the two differ:\n%s", d)
			case s.other != "" && d == "":
				t.Error("the two do not differ")
			}
			// Never stuck: a further pull goes through and changes nothing.
			p.peer = nil
			p.pull()
			if d := differ(ours, tree(t, p.ours)); d != "" {
				t.Errorf("a second pull changes\n%s", d)
			}
		})
	}
}
