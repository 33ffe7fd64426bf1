package snapshot_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/snapshot"
)

// traps sets up a machine on which everything that git may be told to run is a program
// that leaves a mark: in the environment, in the user's configuration and in a folder.
type traps struct {
	dir     string
	environ []string
	folder  string // a clone with hostile configuration, hooks and attributes
}

func (tr traps) program(name string) string { return filepath.Join(tr.dir, "run", name) }

// caught returns the names of the programs that ran.
func (tr traps) caught() string {
	found, _ := filepath.Glob(filepath.Join(tr.dir, "marks", "*"))
	for i, f := range found {
		found[i] = filepath.Base(f)
		os.Remove(f)
	}
	return strings.Join(found, " ")
}

func setTraps(t *testing.T) traps {
	t.Helper()
	tr := traps{dir: t.TempDir()}
	for _, d := range []string{"run", "marks", "home/.config/git", "exec", "templates/hooks"} {
		os.MkdirAll(filepath.Join(tr.dir, d), 0o755)
	}
	trap := func(path, name string) string {
		script := fmt.Sprintf("#!/bin/sh\ntouch %s\nexit 1\n", filepath.Join(tr.dir, "marks", name))
		if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	run := func(name string) string { return trap(tr.program(name), name) }
	config := func(where string) string {
		r := func(key string) string { return run(where + "-" + key) }
		return fmt.Sprintf(`[core]
	fsmonitor = %s
	hooksPath = %s
	sshCommand = %s
	gitProxy = %s
	pager = %s
	editor = %s
	askPass = %s
	alternateRefsCommand = %s
	attributesFile = %s
[credential]
	helper = %s
[filter "x"]
	clean = %s
	smudge = %s
	process = %s
	required = true
[diff]
	external = %s
[gpg]
	program = %s
[uploadpack]
	packObjectsHook = %s
[alias]
	fetch = !%s
	ls-remote = !%s
[remote "origin"]
	url = ext::%s
	uploadpack = %s
	fetch = +refs/heads/*:refs/remotes/origin/*
[remote "daypass"]
	uploadpack = %s
	vcs = ext
[protocol]
	allow = always
[protocol "ext"]
	allow = always
[url "ext::%s "]
	insteadOf = http://
	insteadOf = file://
	insteadOf = /
[fetch]
	recurseSubmodules = true
`, r("fsmonitor"), filepath.Join(tr.dir, "templates/hooks"), r("sshCommand"), r("gitProxy"), r("pager"), r("editor"), r("askPass"), r("alternateRefs"), filepath.Join(tr.dir, "attributes"),
			r("helper"), r("clean"), r("smudge"), r("process"), r("diff"), r("gpg"), r("packObjects"), r("alias"), r("alias2"), r("remote"), r("uploadpack"), r("uploadpack2"), r("insteadOf"))
	}
	os.WriteFile(filepath.Join(tr.dir, "attributes"), []byte("* filter=x diff=x\n"), 0o644)
	for _, hook := range []string{"reference-transaction", "pre-auto-gc", "post-checkout", "post-merge", "fsmonitor-watchman", "post-index-change", "pre-commit", "pre-push"} {
		trap(filepath.Join(tr.dir, "templates/hooks", hook), "hook-"+hook)
	}
	for _, name := range []string{"git-remote-http", "git-remote-https", "git-remote-ext", "git-upload-pack", "git-fetch", "git"} {
		trap(filepath.Join(tr.dir, "exec", name), "exec-"+name)
	}
	os.WriteFile(filepath.Join(tr.dir, "home/.gitconfig"), []byte(config("home")), 0o644)
	os.WriteFile(filepath.Join(tr.dir, "home/.config/git/config"), []byte(config("xdg")), 0o644)
	os.WriteFile(filepath.Join(tr.dir, "home/.config/git/attributes"), []byte("* filter=x\n"), 0o644)
	tr.folder = filepath.Join(tr.dir, "folder")
	os.Mkdir(tr.folder, 0o755)
	gittest.Run(t, tr.folder, "init", "-q")
	os.WriteFile(filepath.Join(tr.folder, "a"), []byte("mine\n"), 0o644)
	gittest.Run(t, tr.folder, "add", ".")
	gittest.Run(t, tr.folder, "commit", "-qm", "mine")
	f, _ := os.OpenFile(filepath.Join(tr.folder, ".git/config"), os.O_APPEND|os.O_WRONLY, 0)
	f.WriteString(config("folder"))
	f.Close()
	tr.environ = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Join(tr.dir, "home"), "XDG_CONFIG_HOME=" + filepath.Join(tr.dir, "home/.config"),
		"GIT_DIR=" + filepath.Join(tr.folder, ".git"), "GIT_WORK_TREE=" + tr.folder, "GIT_TEMPLATE_DIR=" + filepath.Join(tr.dir, "templates"), "GIT_EXEC_PATH=" + filepath.Join(tr.dir, "exec"),
		"GIT_CONFIG_COUNT=2", "GIT_CONFIG_KEY_0=core.fsmonitor", "GIT_CONFIG_VALUE_0=" + run("env-fsmonitor"), "GIT_CONFIG_KEY_1=core.hooksPath", "GIT_CONFIG_VALUE_1=" + filepath.Join(tr.dir, "templates/hooks"),
		"GIT_CONFIG_PARAMETERS='credential.helper'='" + run("env-helper") + "'", "GIT_TRACE_CURL=" + filepath.Join(tr.dir, "marks/trace-curl"), "GIT_TRACE=" + filepath.Join(tr.dir, "marks/trace"), "GIT_TRACE2=" + filepath.Join(tr.dir, "marks/trace2"),
		"GIT_ALLOW_PROTOCOL=ext:http:file"}
	for _, name := range []string{"GIT_SSH_COMMAND", "GIT_SSH", "GIT_EXTERNAL_DIFF", "GIT_ASKPASS", "SSH_ASKPASS", "GIT_PROXY_COMMAND", "GIT_EDITOR", "GIT_PAGER", "PAGER", "EDITOR", "VISUAL", "GIT_SEQUENCE_EDITOR"} {
		tr.environ = append(tr.environ, name+"="+run("env-"+name))
	}
	return tr
}

// TestTraps runs all that a pull asks of git where everything is a trap.
func TestTraps(t *testing.T) {
	tr := setTraps(t)
	t.Chdir(tr.folder)
	// The traps work, or none of this says anything.
	for _, args := range [][]string{{"-C", tr.folder, "status"}, {"-C", tr.folder, "fetch"}} {
		cmd := exec.Command("git", args...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Join(tr.dir, "home")}
		cmd.Run()
		if tr.caught() == "" {
			t.Fatalf("git %v runs nothing: the traps are none", args)
		}
	}
	up := gittest.New(t)
	up.Commit("main", "one", gittest.Files{"a": "1", ".gitattributes": "* filter=x diff=x merge=x\n", ".gitmodules": "[submodule \"x\"]\n\tpath = s\n\turl = ext::" + tr.program("module") + "\n"})
	server := up.Serve(gittest.Options{User: "u", Password: "p"})
	open := up.Serve(gittest.Options{Filter: true})
	g, err := plumbing.Find(func(name string) string {
		for _, kv := range tr.environ {
			if v, ok := strings.CutPrefix(kv, name+"="); ok {
				return v
			}
		}
		return ""
	}, tr.environ)
	if err != nil {
		t.Fatal(err)
	}
	g.Protocols = "https:http:file:ssh"
	s := snapshot.Git{Git: g, Timeout: 20 * time.Second}
	repo := ours(t, s, "sha1").With(filepath.Join(tr.folder, ".git/objects"))
	mine := plumbing.OID(strings.TrimSpace(readFile(t, filepath.Join(tr.folder, ".git/refs/heads/main"))))
	fetched := ""
	for _, url := range []string{open.Of(up), "file://" + up.Dir, up.Dir} {
		tip, err := s.Look(t.Context(), url, "main")
		if err != nil {
			t.Fatalf("%s: %v", url, err)
		}
		got, err := s.Fetch(t.Context(), repo, snapshot.Ask{URL: url, Tip: tip, Depth: 1, Have: mine, Submodules: true})
		if err != nil {
			t.Fatalf("%s: %v", url, err)
		}
		fetched = string(got.Tree)
		if ran := tr.caught(); ran != "" {
			t.Errorf("%s: ran %s", url, ran)
		}
	}
	if _, err := s.Look(t.Context(), server.Of(up), "main"); code(err) != "DP-312" {
		t.Errorf("without a password: %v", err)
	}
	if _, err := s.Look(t.Context(), "ssh://127.0.0.1:1/x", "main"); err == nil {
		t.Error("ssh to nowhere")
	}
	everything(t, repo, plumbing.OID(fetched))
	if ran := tr.caught(); ran != "" {
		t.Errorf("ran %s", ran)
	}
	for _, url := range []string{"ext::" + tr.program("x"), "ext::sh -c '" + tr.program("x") + "'", "fd::0", "--upload-pack=" + tr.program("x"), "-oProxyCommand=" + tr.program("x"), "ssh://-oProxyCommand=" + tr.program("x") + "/x", "-oProxyCommand=x@h:p", "h:-x",
		"git+ext::x", "EXT::x", "http::" + open.Of(up), "x", "./x", "../x", "", "https://", "https:///x", "file://host/x", "ssh://-x@h/y", "ssh://h;id/y", "a`id`:x", "$(id):x", "http://h/\nx", "http://h/\x00", "http://h/\u2028x"} {
		if _, err := s.Look(t.Context(), url, "main"); code(err) != "DP-310" {
			t.Errorf("%q: %v", url, err)
		}
		if _, err := s.Fetch(t.Context(), repo, snapshot.Ask{URL: url, Tip: snapshot.Tip{Commit: mine}}); code(err) != "DP-310" {
			t.Errorf("%q: %v", url, err)
		}
	}
	s.Git.Protocols = "https"
	for _, url := range []string{"file:///srv/x", "/srv/x", "http://127.0.0.1/x", "git@h:x/y", "ssh://h/x", "git://h/x", "ftp://h/x", "ext://x"} {
		if _, err := s.Look(t.Context(), url, "main"); code(err) != "DP-311" {
			t.Errorf("%q: %v", url, err)
		}
	}
	if ran := tr.caught(); ran != "" {
		t.Errorf("ran %s", ran)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// everything asks plumbing all that it answers.
func everything(t *testing.T, repo *plumbing.Repo, tree plumbing.OID) {
	t.Helper()
	o, err := repo.Objects(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	files, err := o.Files(tree)
	if err != nil || len(files) != 3 {
		t.Errorf("%v, %v", files, err)
	}
	for _, f := range files {
		if _, _, err := o.Read(f.OID); err != nil {
			t.Error(err)
		}
		if _, err := o.Size(f.OID); err != nil {
			t.Error(err)
		}
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}
	im, err := repo.Import(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	blob, err := im.Blob(2, strings.NewReader("hi"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := im.Commit(plumbing.CommitSpec{Ref: "refs/daypass/x", Message: "x", Files: []plumbing.File{{Path: ".gitattributes", Mode: plumbing.Regular, OID: blob}}}); err != nil {
		t.Error(err)
	}
	if err := im.Close(); err != nil {
		t.Error(err)
	}
}
