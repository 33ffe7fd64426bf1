package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/gitconf"
)

// systemLines are the lines of git's system configuration that a pull honours:
// how to reach hosts, and with which credentials. They are the admins' will, so
// they count from files only that root owns and nobody else can write.
func (a *app) systemLines(ctx context.Context, program string) ([][2]string, error) {
	files := a.systemFiles(program)
	if len(files) == 0 {
		return nil, nil
	}
	if lines, ok := plainSystem(files); ok {
		return lines, nil
	}
	git := gitconf.Git{Path: program, Getenv: func(name string) string {
		switch name {
		case "GIT_CONFIG_GLOBAL":
			return os.DevNull
		case "GIT_CONFIG_COUNT":
			return ""
		}
		return a.getenv(name)
	}}
	list, err := git.List(ctx, "")
	if err != nil {
		return nil, &daypass.Problem{
			Code: "DP-370", What: "git's system configuration cannot be read", Why: printable(lastLine(err)),
			Next: `Run "git config --system --list" to see what git says.`, Who: "It belongs to the admins of this machine.", Err: err,
		}
	}
	var out [][2]string
	for _, e := range list {
		if e.Scope == gitconf.ScopeSystem && honoured(e.Key) && ownedByRoot(e.File) {
			out = append(out, [2]string{e.Key, e.Reveal()})
		}
	}
	return out, nil
}

// honoured reports whether a pull takes a key of the system's over.
func honoured(key string) bool {
	section, _, _ := strings.Cut(key, ".")
	return section == "credential" || section == "http" || key == "safe.directory"
}

// systemFiles are those that may be git's system file and are there. Which one is,
// only git knows: beside its prefix, or in /etc.
func (a *app) systemFiles(program string) []string {
	if v := a.getenv("GIT_CONFIG_NOSYSTEM"); v != "" && !slices.Contains([]string{"0", "false", "no", "off"}, strings.ToLower(v)) {
		return nil
	}
	candidates := []string{a.getenv("GIT_CONFIG_SYSTEM")}
	if candidates[0] == "" {
		candidates = []string{"/etc/gitconfig", filepath.Join(filepath.Dir(filepath.Dir(program)), "etc", "gitconfig")}
		if real, err := filepath.EvalSymlinks(program); err == nil {
			candidates = append(candidates, filepath.Join(filepath.Dir(filepath.Dir(real)), "etc", "gitconfig"))
		}
	}
	var out []string
	for _, file := range candidates {
		if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) && !slices.Contains(out, file) {
			out = append(out, file)
		}
	}
	return out
}

func ownedByRoot(file string) bool {
	st, err := os.Stat(file)
	if err != nil {
		return false
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	return ok && sys.Uid == 0 && st.Mode().IsRegular() && st.Mode().Perm()&0o022 == 0
}

// maxPlain bounds a system file that is read here.
const maxPlain = 64 << 10

// plainSystem reads the system's file without git, which would be a third of the
// time of a pull that finds nothing new. It does so only where there is no doubt:
// one file, in git's own place, in which every line is of the plainest kind.
func plainSystem(files []string) ([][2]string, bool) {
	if len(files) != 1 {
		return nil, false
	}
	text, err := os.ReadFile(files[0])
	if err != nil || len(text) > maxPlain {
		return nil, false
	}
	lines, ok := plainSettings(string(text))
	if !ok {
		return nil, false
	}
	if !ownedByRoot(files[0]) {
		return nil, true
	}
	return slices.DeleteFunc(lines, func(kv [2]string) bool { return !honoured(kv[0]) }), true
}

// plainSettings reads lines such as [section], [section "sub"] and key = value,
// with comments on lines of their own. Quotes, escapes, continued lines, keys
// without a value, includes and old forms are git's to read: git-config(1).
func plainSettings(text string) (out [][2]string, ok bool) {
	prefix := ""
	for line := range strings.Lines(text) {
		line = strings.Trim(line, " \t\r\n")
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if line[0] == '[' {
			if prefix, ok = plainHeader(line); !ok {
				return nil, false
			}
			continue
		}
		key, value, hasValue := strings.Cut(line, "=")
		key, value = strings.TrimRight(key, " \t"), strings.TrimLeft(value, " \t")
		if prefix == "" || !hasValue || !plainWord(key) || strings.ContainsAny(value, "\"\\#;\t\r\x00\v\f") {
			return nil, false
		}
		out = append(out, [2]string{prefix + daypass.FoldASCII(key), value})
	}
	return out, true
}

// plainHeader reads [section] or [section "sub"], and returns what keys begin with.
func plainHeader(line string) (prefix string, ok bool) {
	inner, ok := strings.CutSuffix(line[1:], "]")
	section, sub, hasSub := strings.Cut(inner, " ")
	section = daypass.FoldASCII(section)
	if !ok || !plainWord(section) || section == "include" || section == "includeif" {
		return "", false
	}
	if !hasSub {
		return section + ".", true
	}
	if len(sub) < 2 || sub[0] != '"' || sub[len(sub)-1] != '"' || strings.ContainsAny(sub[1:len(sub)-1], "\"\\\x00") {
		return "", false
	}
	return section + "." + sub[1:len(sub)-1] + ".", true
}

// plainWord reports whether a section or key is letters, digits and hyphens, with
// a letter first.
func plainWord(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || !(c >= '0' && c <= '9' || c == '-')) {
			return false
		}
	}
	return s != ""
}
