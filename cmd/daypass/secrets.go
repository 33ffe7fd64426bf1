package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/daypass-dev/daypass"
)

// canvasToken is the variable of a Canvas token. It is for the one host that
// DAYPASS_CANVAS_HOST names, and no program that daypass starts is given it.
const canvasToken = "DAYPASS_CANVAS_TOKEN"

// maxSecret bounds a secret's file: Google's keys are of 2 KiB.
const maxSecret = 64 << 10

// secret reads env:NAME or file:/PATH, which given names in the configuration.
func (a *app) secret(given, where string) (daypass.Secret, error) {
	name, ok := strings.CutPrefix(where, "env:")
	if !ok {
		return a.secretFile(given, where)
	}
	v := strings.TrimSpace(a.getenv(name))
	if v == "" || strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return daypass.Secret{}, secretProblem(given, "the environment variable "+name+" is not set, or holds what no token does", "Set it where daypass runs.")
	}
	return daypass.NewSecret(v), nil
}

// secretFile reads a file that is this user's and nobody else's.
func (a *app) secretFile(given, where string) (daypass.Secret, error) {
	path := strings.TrimPrefix(where, "file:")
	shown := printable(path)
	if !filepath.IsAbs(path) {
		return daypass.Secret{}, secretProblem(given, "it is no full path", "Name the file by its full path, beginning with /.")
	}
	// Nonblocking, so that opening a pipe in its place does not wait for a writer.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return daypass.Secret{}, secretProblem(given, shown+" cannot be opened, or is a symbolic link", "Look whether the file is there.")
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return daypass.Secret{}, secretProblem(given, shown+" cannot be read", "Look whether the file is there.")
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	switch {
	case !st.Mode().IsRegular():
		return daypass.Secret{}, secretProblem(given, shown+" is no regular file", "Name the file itself.")
	case !ok || int(sys.Uid) != a.uid:
		return daypass.Secret{}, secretProblem(given, shown+" belongs to somebody else", "Make a copy of your own, for you alone: install -m 600 "+shown+" ~/.")
	case st.Mode().Perm()&0o077 != 0:
		return daypass.Secret{}, secretProblem(given, "others may read "+shown, "Run: chmod 600 "+shown+". If others could read it until now, make a new one and end the old one.")
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	secret := strings.TrimSpace(string(text))
	if err != nil || len(text) > maxSecret || secret == "" {
		return daypass.Secret{}, secretProblem(given, shown+" is empty, too long, or cannot be read", "Look at the file.")
	}
	return daypass.NewSecret(secret), nil
}

func secretProblem(given, why, next string) error {
	return &daypass.Problem{Code: "DP-457", What: given + " gives no secret that daypass may use", Why: why, Next: next, Kind: daypass.ErrUsage}
}
