package gitconf

import (
	"context"
	"strconv"
	"strings"
)

// An Advisory is a known weakness of a git version that touches credentials, or
// whose configuration is obeyed.
type Advisory struct {
	ID      string // "CVE-2020-5260"
	What    string
	FixedIn []string // the first version of each line that has the fix, oldest first
	Windows bool     // only there

	// Backported is true where this very git was seen to have the fix although
	// its version says that it has not, as distributions do.
	Backported bool
}

// advisories is from git's release notes (Documentation/RelNotes).
func advisories() []Advisory {
	return []Advisory{
		{ID: "CVE-2020-5260", What: "a URL with a line end makes git give one host's token to another",
			FixedIn: []string{"2.17.4", "2.18.3", "2.19.4", "2.20.3", "2.21.2", "2.22.3", "2.23.2", "2.24.2", "2.25.3", "2.26.1"}},
		{ID: "CVE-2020-11008", What: "a URL without a host makes helpers answer with any token",
			FixedIn: []string{"2.17.5", "2.18.4", "2.19.5", "2.20.4", "2.21.3", "2.22.4", "2.23.3", "2.24.3", "2.25.4", "2.26.2"}},
		{ID: "CVE-2022-24765", What: "a repository that another account planted above a shared folder is obeyed, helpers included",
			FixedIn: []string{"2.30.3", "2.31.2", "2.32.1", "2.33.2", "2.34.2", "2.35.2"}},
		{ID: "CVE-2022-29187", What: "the same for folders of the administrator's own",
			FixedIn: []string{"2.30.5", "2.31.4", "2.32.3", "2.33.4", "2.34.4", "2.35.4", "2.36.2", "2.37.1"}},
		{ID: "CVE-2024-50349", What: "a host's name can hide itself on the terminal when git asks for a password",
			FixedIn: []string{"2.40.4", "2.41.3", "2.42.4", "2.43.6", "2.44.3", "2.45.3", "2.46.3", "2.47.2", "2.48.1"}},
		{ID: "CVE-2024-52006", What: "a URL with a carriage return makes some helpers give one host's token to another",
			FixedIn: []string{"2.40.4", "2.41.3", "2.42.4", "2.43.6", "2.44.3", "2.45.3", "2.46.3", "2.47.2", "2.48.1"}},
		{ID: "CVE-2025-48386", What: "git's helper for the Windows credential manager writes beyond its buffer", Windows: true,
			FixedIn: []string{"2.43.7", "2.44.4", "2.45.4", "2.46.4", "2.47.3", "2.48.2", "2.49.1", "2.50.1"}},
	}
}

// CVEs returns the advisories for a version such as "2.39.5" or
// "2.39.5 (Apple Git-154)", by the number alone: distributions backport fixes
// and keep the number. A version that cannot be read has none.
func CVEs(version string) []Advisory {
	v, ok := parseVersion(version)
	if !ok {
		return nil
	}
	var out []Advisory
	for _, a := range advisories() {
		if a.affects(v) {
			out = append(out, a)
		}
	}
	return out
}

// affects: a line with a fix of its own is fixed from there; an older line is
// not fixed; a line newer than all is.
func (a Advisory) affects(v [3]int) bool {
	newest := [3]int{}
	for _, s := range a.FixedIn {
		f, _ := parseVersion(s)
		if f[0] == v[0] && f[1] == v[1] {
			return v[2] < f[2]
		}
		newest = f
	}
	return v[0] < newest[0] || v[0] == newest[0] && v[1] < newest[1]
}

// parseVersion reads MAJOR.MINOR[.PATCH]; what follows, as in 2.39.5.windows.1
// or 2.55.GIT, does not count.
func parseVersion(s string) (v [3]int, ok bool) {
	s, _, _ = strings.Cut(strings.TrimSpace(s), " ")
	for i, part := range strings.SplitN(s, ".", 4) {
		if i == 3 {
			break
		}
		part, _, _ = strings.Cut(part, "-")
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 {
			break
		}
		v[i], ok = n, i >= 1
	}
	return v, ok
}

// Advisories returns those of this git. Where its behaviour shows that a fix was
// backported, the advisory says so.
func (g Git) Advisories(ctx context.Context) ([]Advisory, error) {
	v, err := g.Version(ctx)
	if err != nil {
		return nil, err
	}
	list := CVEs(v)
	for i := range list {
		if id := list[i].ID; id == "CVE-2024-50349" || id == "CVE-2024-52006" { // one set of patches
			list[i].Backported = g.refusesCR(ctx)
		}
	}
	return list, nil
}

// refusesCR hands git a complete credential, so that it asks nobody, with a
// carriage return in it: a git with the fix refuses to write it out.
func (g Git) refusesCR(ctx context.Context) bool {
	_, err := g.run(ctx, job{
		env:   noFiles(),
		args:  []string{"-c", "credential.helper=", "-c", "credential.protectProtocol=true", "credential", "fill"},
		stdin: []byte("protocol=https\nhost=a.invalid\nusername=a\npassword=b\rc\n\n"),
	})
	return exitCode(err) == 128
}
