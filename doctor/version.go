package doctor

import (
	"context"
	"runtime"
	"strings"

	"github.com/daypass-dev/daypass/gitconf"
)

// version names the known weaknesses of this git.
func (s *scan) version(ctx context.Context) []Finding {
	v, err := s.Git.Version(ctx)
	if err != nil {
		return []Finding{{Code: "git-broken", Level: Bad, Title: "git does not run", Detail: gitconf.Show(err.Error()), Fix: "Install git again."}}
	}
	out := []Finding{{Code: "git-version", Level: OK, Title: "git " + gitconf.Show(v), Detail: s.tilde(s.Git.Path)}}
	list, err := s.Git.Advisories(ctx)
	if err != nil {
		return out
	}
	for _, a := range list {
		if a.Windows && runtime.GOOS != "windows" {
			continue
		}
		f := Finding{Code: "git-" + strings.ToLower(a.ID), Level: Warn, Title: "git " + gitconf.Show(v) + " has " + a.ID, Detail: strings.ToUpper(a.What[:1]) + a.What[1:] + ".",
			Fix: "Update git to " + a.FixedIn[len(a.FixedIn)-1] + " or later, unless your distribution has backported the fix."}
		if a.Backported {
			f.Level, f.Title, f.Fix = OK, f.Title+" by its number, and behaves as fixed", ""
		}
		out = append(out, f)
	}
	return out
}
