package broker

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/daypass-dev/daypass"
)

// login is what a template's source has in the place of the account's name.
const login = "{github}"

// soundIDs are the forms of ids, by kind; of other kinds they are text without
// steps to elsewhere.
var soundIDs = map[string]*regexp.Regexp{
	daypass.KindDrive:  regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`),
	daypass.KindCanvas: regexp.MustCompile(`^(?:(?:(?:courses|groups|users)/(?:[0-9]{1,20}(?:~[0-9]{1,20})?|sis_[a-z_]{1,30}:[A-Za-z0-9._-]{1,100})|users/self)(?:/(?:folders|files)/[0-9]{1,20}(?:~[0-9]{1,20})?)?|(?:folders|files)/[0-9]{1,20}(?:~[0-9]{1,20})?)$`),
}

// publicKinds are those of which a listed host is read without a credential.
var publicKinds = []string{
	daypass.KindGit, daypass.KindInvenio, daypass.KindFigshare, daypass.KindDataverse, daypass.KindSWH, daypass.KindHydroShare, daypass.KindCKAN, daypass.KindDOI,
}

// sound reports whether a source is one that can be asked for: of a kind that there
// is, in a form that means one thing only.
func sound(s daypass.Source) bool {
	if !daypass.CleanHost(s.Host) || len(s.ID) > 500 || len(s.Ref) > 255 || len(s.Path) > 1024 || strings.HasPrefix(s.Ref, "-") || !shown(s.ID+s.Ref+s.Path) {
		return false
	}
	if s.Path != "" && slices.ContainsFunc(strings.Split(s.Path, "/"), step) {
		return false
	}
	switch s.Kind {
	case daypass.KindGit:
		return soundRepo(s)
	case daypass.KindDrive, daypass.KindCanvas:
		return soundIDs[s.Kind].MatchString(s.ID) && s.Ref == ""
	case daypass.KindArtifact, daypass.KindWebDAV:
	default:
		if !slices.Contains(publicKinds, s.Kind) {
			return false
		}
	}
	return s.ID != "" && !slices.ContainsFunc(strings.Split(s.ID, "/"), func(part string) bool { return part == "." || part == ".." })
}

// gitPart is a part of a repository's path at hosts of git: GitLab's groups, folders,
// people as ~NAME.
var gitPart = regexp.MustCompile(`^[A-Za-z0-9_.~][A-Za-z0-9_.~+-]{0,99}$`)

// maxGitParts is how deep GitLab nests groups, and the repository.
const maxGitParts = 21

// soundRepo reports whether a repository's name is one: OWNER/NAME, or elsewhere than at
// GitHub a path. None is written in two ways, with ".git" or without it.
func soundRepo(s daypass.Source) bool {
	parts := strings.Split(s.ID, "/")
	if slices.ContainsFunc(parts, func(part string) bool { return step(part) || strings.HasSuffix(daypass.FoldASCII(part), ".git") }) {
		return false
	}
	if ownerName(s) {
		return true
	}
	return s.Host != "github.com" && len(parts) <= maxGitParts && !slices.ContainsFunc(parts, func(part string) bool { return !gitPart.MatchString(part) })
}

// sound is sound, where at the hosts that people connect a repository is OWNER/NAME.
func (b *Broker) sound(s daypass.Source) bool {
	g, served := b.issuers[s.Host]
	return sound(s) && (s.Kind != daypass.KindGit || ownerName(s) || !served || g.Traits().Content)
}

func ownerName(s daypass.Source) bool {
	_, ok := daypass.ParseRepo(s.ID)
	return ok
}

// Never says why no rule lets a source be read, whoever asks: the end of a sentence that
// begins with it, and what to write. apps are the hosts at which the service has a
// content App. "": one may.
func (s Sources) Never(src daypass.Source, apps []string) string {
	switch {
	case !slices.Contains(publicKinds, src.Kind) && !slices.Contains([]string{daypass.KindDrive, daypass.KindCanvas, daypass.KindArtifact, daypass.KindWebDAV}, src.Kind):
		return "is of a kind that there is not: write drive, git, or that of an archive, as \"daypass resolve\" shows it"
	case src.Kind == daypass.KindCanvas:
		return "is read by each person's own connection only, and by no rule: take it out, and have its instructor make a link"
	case src.Kind == daypass.KindArtifact || src.Kind == daypass.KindWebDAV:
		return "is of a kind that the service does not read: take it out"
	case src.Kind == daypass.KindDOI:
		return "is a name for something else: write what \"daypass resolve\" says that it stands for"
	case src.Kind == daypass.KindDrive && src.Ref != "":
		return "has a resource key: write it without @ and what follows"
	case !sound(src), src.Kind == daypass.KindGit && slices.Contains(apps, src.Host) && !ownerName(src):
		return "cannot be the name of anything: write it as \"daypass resolve\" shows it"
	case src.Kind == daypass.KindDrive && !slices.ContainsFunc(s.Drive, func(a DriveAccount) bool { return a.host() == src.Host }):
		if src.Host != driveHost {
			return "is at no host of Google Drive's: write drive:" + driveHost + "/ID; the account is the one that has it under folders"
		}
		return "has no account that could read it: name one under sources.drive, with the id under its folders"
	case src.Kind == daypass.KindGit && !slices.Contains(apps, src.Host):
		return "is read by a content App, and " + src.Host + " has none here: give it one under github, content; what is public there needs no rule, but its host under sources.hosts"
	case src.Kind != daypass.KindDrive && src.Kind != daypass.KindGit && !slices.Contains(s.Hosts, src.Host):
		return "is at a host that the service does not read: list " + src.Host + " under sources.hosts"
	}
	return ""
}

// step reports whether a part of a path is none, or leads elsewhere.
func step(part string) bool {
	return part == "" || part == "." || part == ".." || strings.ContainsAny(part, "\\")
}

// shown reports whether a text can be shown as it is, on one line.
func shown(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// within reports whether a folder is another, or in it.
func within(path, folder string) bool {
	return folder == "" || path == folder || strings.HasPrefix(path, folder+"/")
}

// forAccount is a template's source for one account.
func forAccount(s daypass.Source, name string) daypass.Source {
	s.ID = strings.ReplaceAll(s.ID, login, name)
	return s
}

func isTemplate(s daypass.Source) bool { return strings.Contains(s.ID, login) }

// overlap reports whether two lists of groups have one in common.
func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(g string) bool { return g != "" && slices.Contains(b, g) })
}
