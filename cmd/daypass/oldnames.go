package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"

	"github.com/daypass-dev/daypass/gitconf"
)

// oldNames turns a call under one of the predecessors' names into ours:
// gh-scoped-creds and github-app-user-auth are "daypass login", with their
// flags. Where the admins' git configuration names a store file, as
// github-app-user-auth's README asks, the token goes into that file and the
// user's ~/.gitconfig is left alone: git asks there already.
func (a *app) oldNames(args []string) []string {
	if len(args) == 0 {
		return nil
	}
	rest := args[1:]
	switch filepath.Base(args[0]) {
	case "gh-scoped-creds", "github-app-user-auth":
	case "gitpuller":
		return gitpuller(rest)
	case "repoproviders":
		return append([]string{"repoproviders"}, rest...)
	default:
		return rest
	}
	out := append([]string{"login"}, rest...)
	if slices.ContainsFunc(rest, func(s string) bool { return s == "--help" || s == "-h" }) {
		return out
	}
	if file := a.systemStoreFile(); file != "" {
		out = append(out, "--no-setup")
		if !slices.ContainsFunc(rest, isFlag("--store-file", "--git-credentials-path")) {
			out = append(out, "--store-file="+file)
		}
	}
	return out
}

const gitpullerHelp = `gitpuller GIT_URL [BRANCH] [REPO_DIR] [--backup]

nbgitpuller's command, done by daypass: "daypass pull", with the old arguments. An empty
BRANCH is the default one; REPO_DIR is the current folder where none is given; --backup
sets the folder aside and starts fresh. Flags of "daypass pull" work here too.`

// gitpuller turns "GIT_URL [BRANCH] [REPO_DIR] [--backup]" into a pull. An empty
// branch is the default one; the folder is the current one, as it was there. A
// bare name of a folder is an address to git clone, so it is one here.
func gitpuller(args []string) []string {
	out := []string{"pull"}
	var words []string
	value := false
	for _, arg := range args {
		switch {
		case value:
			out[len(out)-1] += "=" + arg
			value = false
		case len(arg) > 1 && arg[0] == '-':
			out = append(out, arg)
			value = slices.Contains([]string{"--branch", "--ref", "--path", "--depth"}, arg)
		default:
			words = append(words, arg)
		}
	}
	if value {
		return out // refused: the last flag has no value
	}
	if len(words) == 0 {
		return append(out, "--", "") // refused: no address was given
	}
	if len(words) > 3 {
		return append(append(out, "--"), words...)
	}
	words = append(words, "", "")
	if words[1] != "" {
		out = append(out, "--branch="+words[1])
	}
	if _, err := os.Stat(words[0]); err == nil && !filepath.IsAbs(words[0]) {
		words[0] = "./" + words[0]
	}
	return append(out, "--", words[0], first(words[2], "."))
}

func isFlag(flags ...string) func(string) bool {
	return func(arg string) bool {
		for _, f := range flags {
			if arg == f || len(arg) > len(f) && arg[:len(f)+1] == f+"=" {
				return true
			}
		}
		return false
	}
}

// systemStoreFile is the file of `helper = store --file=…` in git's system
// configuration, which only admins write; "" where there is none.
func (a *app) systemStoreFile() string {
	git, err := gitconf.Find(a.getenv)
	if err != nil {
		return ""
	}
	cfg, err := a.loadConfig()
	if err != nil {
		return ""
	}
	list, err := git.Helpers(context.Background(), "", cfg.host.Web+"/")
	if err != nil {
		return ""
	}
	for _, h := range list {
		if h.Scope == gitconf.ScopeSystem && h.Kind == gitconf.KindStore && filepath.IsAbs(h.StoreFile()) {
			return h.StoreFile()
		}
	}
	return ""
}
