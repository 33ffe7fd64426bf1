package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSubfolder: a folder of a repository is read by itself, and a link in it that leads
// to the rest of the repository, as courses have it to their data, is left out and named:
// it does not keep the other files away.
func TestSubfolder(t *testing.T) {
	t.Parallel()
	host, dir, _ := gitHost(t)
	work := t.TempDir()
	for name, text := range map[string]string{"data/rain.csv": "1,2\n", "lab1/lab.md": "do this\n", "lab1/in/more.md": "more\n", "secret/key.txt": "42\n", "lab2/lab.md": "later\n", "lab1/.gitattributes": "*.bin filter=lfs\n",
		"lab1/rain.bin": "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(work, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(work, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"lab1/data": "../data", "lab1/in/up": "../lab.md", "lab1/in/out": "../../secret/key.txt"} {
		if err := os.Symlink(to, filepath.Join(work, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"init", "-q", "-b", "main", work}, {"-C", work, "add", "."}, {"-C", work, "-c", "user.name=a", "-c", "user.email=a@b.example", "commit", "-q", "-m", "a"},
		{"clone", "-q", "--bare", work, filepath.Join(dir, "course.git")}} {
		if out, err := exec.CommandContext(t.Context(), "git", args...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
	}
	tea, stu, home := classOf(t, host, "look: 1s")
	for name, source := range map[string]string{"whole": "git:" + host + "/course", "wrong": "git:" + host + "/course#lab2", "part": "git:" + host + "/course#lab1"} {
		if out, err := tea("link", "make", name, "--source", source, "--for", "ph142"); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	out, err := stu("pull", "link:part", "part")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if text, _ := os.ReadFile(filepath.Join(home, "part", "lab.md")); string(text) != "do this\n" {
		t.Errorf("%q", text)
	}
	if to, err := os.Readlink(filepath.Join(home, "part", "in", "up")); to != "../lab.md" {
		t.Errorf("a link within the folder: %q, %v", to, err)
	}
	for _, name := range []string{"data", "in/out"} {
		if to, err := os.Readlink(filepath.Join(home, "part", name)); err == nil {
			t.Errorf("%s leads to %s", name, to)
		}
		if !strings.Contains(out, name) {
			t.Errorf("%s is not named:\n%s", name, out)
		}
	}
	if !strings.Contains(out, "came as pointers (1)") {
		t.Errorf("of what Git LFS keeps nothing is said:\n%s", out)
	}
	if out, err := stu("pull", "link:whole", "whole"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if to, _ := os.Readlink(filepath.Join(home, "whole", "lab1", "data")); to != "../data" {
		t.Errorf("a link within the repository: %q", to)
	}
	for _, args := range [][]string{{"-C", work, "rm", "-q", "-r", "lab2"}, {"-C", work, "-c", "user.name=a", "-c", "user.email=a@b.example", "commit", "-q", "-m", "b"}, {"-C", work, "push", "-q", filepath.Join(dir, "course.git"), "main"}} {
		if out, err := exec.CommandContext(t.Context(), "git", args...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
	}
	if out, err := tea("link", "make", "wrong-2", "--source", "git:"+host+"/course#lab2", "--for", "ph142"); err == nil || !strings.Contains(out, "DP-752") {
		t.Errorf("a link to a folder that is not there: %v\n%s", err, out)
	}
	time.Sleep(1100 * time.Millisecond) // what was seen is believed for a second here
	if out, err := stu("pull", "link:wrong", "wrong"); err == nil || !strings.Contains(out, "no such branch or folder") || !strings.Contains(out, "DP-727") {
		t.Errorf("a folder that is not there: %v\n%s", err, out)
	}
}
