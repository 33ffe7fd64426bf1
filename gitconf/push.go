package gitconf

import (
	"context"
	"strings"

	"github.com/daypass-dev/daypass"
)

// PushRemote returns the remote that a push from dir goes to without
// arguments, as git-push(1) and git-config(1) have it: the branch's
// pushRemote, remote.pushDefault, the branch's remote, the only remote there
// is, and else "origin".
func (g Git) PushRemote(ctx context.Context, dir string) string {
	list, err := g.List(ctx, dir)
	if err != nil {
		return "origin"
	}
	branch := g.branch(ctx, dir)
	var pushRemote, pushDefault, remote string
	names := map[string]bool{}
	for _, e := range list {
		section, sub, key := e.parts()
		switch {
		case section == "branch" && sub == branch && key == "pushremote":
			pushRemote = e.value
		case section == "branch" && sub == branch && key == "remote":
			remote = e.value
		case section == "remote" && sub == "" && key == "pushdefault":
			pushDefault = e.value
		case section == "remote" && sub != "" && key == "url":
			names[sub] = true
		}
	}
	for _, name := range []string{pushRemote, pushDefault, remote} {
		if name != "" && name != "." {
			return name
		}
	}
	if len(names) == 1 {
		for name := range names {
			return name
		}
	}
	return "origin"
}

func (g Git) branch(ctx context.Context, dir string) string {
	out, err := g.run(ctx, job{dir: dir, args: []string{"symbolic-ref", "--quiet", "--short", "HEAD"}})
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(out), "\n")
}

// SetsHelper reports whether the line sets a credential helper for the host at
// origin, or for a repository there.
func (e Entry) SetsHelper(origin string) bool {
	section, sub, key := e.parts()
	return section == "credential" && key == "helper" && e.value != "" &&
		(daypass.FoldEqual(sub, origin) || strings.HasPrefix(daypass.FoldASCII(sub), origin+"/"))
}
