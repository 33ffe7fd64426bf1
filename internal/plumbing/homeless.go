package plumbing

import (
	"os"
	"slices"
	"strings"
)

// Homeless returns a git for what speaks HTTP: it does not find the user's folder. git
// has its transport read ~/.netrc, and that one sends an entry to whichever host of that
// name asks, on any port, without TLS too, and a "default" entry to all of them: a link,
// or where it is redirected to, could ask for it. Credential helpers find that folder as
// always, and so does what a setting places below "~/".
func (g Git) Homeless() Git {
	home, has := "", false
	env := make([]string, 0, len(g.Environ)+1)
	for _, kv := range g.Environ {
		switch name, value, _ := strings.Cut(kv, "="); name {
		case "HOME":
			home, has = value, true
		case "NETRC":
		default:
			env = append(env, kv)
		}
	}
	// Unset, curl would ask who the user is.
	g.Environ = append(env, "HOME="+os.DevNull)
	g.Config = slices.Clone(g.Config)
	for i, kv := range g.Config {
		key := strings.ToLower(kv[0])
		switch {
		case strings.HasPrefix(key, "credential.") && strings.HasSuffix(key, ".helper"):
			g.Config[i][1] = atHome(kv[1], home, has)
		case strings.HasPrefix(key, "http.") && strings.HasPrefix(kv[1], "~/"):
			g.Config[i][1] = home + kv[1][1:]
		}
	}
	return g
}

// atHome makes a helper's line set HOME for itself. git hands such lines to the shell
// anyway (gitcredentials(7)).
func atHome(helper, home string, has bool) string {
	switch {
	case helper == "":
		return "" // forgets the helpers before it
	case helper[0] == '!':
		helper = helper[1:]
	case helper[0] != '/':
		helper = "git credential-" + helper
	}
	if !has {
		return "!unset HOME; " + helper
	}
	return "!HOME='" + strings.ReplaceAll(home, "'", `'\''`) + "'; export HOME; " + helper
}
