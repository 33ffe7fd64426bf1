package doctor

import (
	"context"
	"strings"
)

// identity looks for a name and an address, without which git makes no commit.
// An empty name, as ContainDS' script left it, is as bad as none.
func (s *scan) identity(context.Context) []Finding {
	var out []Finding
	for _, key := range []string{"user.name", "user.email"} {
		set, value, file := "", "", ""
		for _, e := range s.entries {
			if e.Key == key {
				set, value, file = s.at(e), strings.TrimSpace(e.Reveal()), e.File
			}
		}
		if value != "" {
			continue
		}
		f := Finding{Code: "identity-unset", Level: Warn, Title: "git has no " + key, Detail: "It makes no commit without.",
			Fix: "Run: git config --global " + key + " …; or daypass login, which sets it."}
		if set != "" {
			f.Code, f.Title = "identity-empty", key+" is empty"
			f.Detail = "Set so in " + set + "; git makes no commit with it."
			if file != "" {
				f = f.fixed(s.rewrite(file, func(k, value string) (string, bool) { return value, k != key || strings.TrimSpace(value) != "" }))
			}
		}
		if key == "user.name" && s.Getenv("GIT_AUTHOR_NAME") != "" || key == "user.email" && (s.Getenv("GIT_AUTHOR_EMAIL") != "" || s.Getenv("EMAIL") != "") {
			f.Level = Note
		}
		out = append(out, f)
	}
	return out
}
