package gateway

import (
	"regexp"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass/pass"
)

// archives are the ends of files that hold a release or its documentation.
var archives = []string{
	".doc.zip", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.z", ".tar", ".tgz", ".zip", ".egg", ".exe", ".msi", ".rpm", ".deb", ".dmg",
}

// fileProjects returns every project that a file may belong to by its name, in
// devpi's spelling: more than one where the name can be read in several ways,
// none where it cannot be read. A pass that is limited to projects needs all of
// them.
//
// A wheel's name ends at the first hyphen (the binary distribution format of
// PyPA); older tools end it at the first hyphen before a digit. A source
// archive's ends at a hyphen before a digit, and nobody can say at which.
func fileProjects(file string) []string {
	file = strings.TrimSuffix(file, ".metadata")
	if i := strings.LastIndex(file, ".toxresult-"); i >= 0 {
		file = file[:i]
	}
	lower := asciiLower(file)
	if stem, ok := strings.CutSuffix(lower, ".whl"); ok {
		return wheelProjects(stem)
	}
	for _, end := range archives {
		if stem, ok := strings.CutSuffix(lower, end); ok {
			return archiveProjects(stem, end == ".egg" || end == ".exe" || end == ".msi")
		}
	}
	return nil
}

func wheelProjects(stem string) []string {
	if strings.Count(stem, "-") < 4 {
		return nil
	}
	first, _, _ := strings.Cut(stem, "-")
	if cuts := beforeDigits(stem); len(cuts) > 0 {
		return distinct(first, cuts[0])
	}
	return distinct(first)
}

// builtFor is what stands behind the version in an egg or an installer.
var builtFor = regexp.MustCompile(`-(py|cp|ip|pp|jy)[23][0-9.]*(-[^-]+)?$`)

func archiveProjects(stem string, built bool) []string {
	// In foo-py3-1.0.tar.gz it is part of the name.
	if short := builtFor.ReplaceAllString(stem, ""); built && len(beforeDigits(short)) > 0 {
		stem = short
	}
	cuts := beforeDigits(stem)
	switch i := strings.LastIndexByte(stem, '-'); {
	case i < 0:
		cuts = []string{stem}
	case len(cuts) == 0:
		cuts = []string{stem[:i], stem}
	case len(cuts[len(cuts)-1]) < i: // devpi takes the last hyphen then
		cuts = append(cuts, stem[:i])
	}
	return distinct(cuts...)
}

// beforeDigits returns what stands before each hyphen that a digit follows.
func beforeDigits(stem string) []string {
	var out []string
	for i := 0; i+1 < len(stem); i++ {
		if stem[i] == '-' && '0' <= stem[i+1] && stem[i+1] <= '9' {
			out = append(out, stem[:i])
		}
	}
	return out
}

// distinct normalises names; an empty one makes the whole unreadable.
func distinct(names ...string) []string {
	var out []string
	for _, n := range names {
		n = pass.NormalProject(n)
		if strings.Trim(n, "-") == "" {
			return nil
		}
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// uploadProjects returns the projects that an upload touches: that of the form,
// under which devpi puts the file away, and those of the file's name where it is
// none of them. devpi makes up the name of documentation itself.
func uploadProjects(name, file string, docs bool) []string {
	project := pass.NormalProject(name)
	if docs && pass.NormalProject(strings.TrimSuffix(strings.TrimSuffix(asciiLower(file), ".zip"), ".doc")) == project {
		return []string{name}
	}
	candidates := fileProjects(file)
	switch {
	case slices.Contains(candidates, project):
		return []string{name}
	case len(candidates) == 0:
		return []string{name, ""}
	}
	return append([]string{name}, candidates...)
}

func asciiLower(s string) string {
	return strings.Map(func(c rune) rune {
		if 'A' <= c && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return c
	}, s)
}
