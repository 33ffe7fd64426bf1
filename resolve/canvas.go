package resolve

import (
	"slices"
	"strings"

	"github.com/daypass-dev/daypass"
)

var canvasID = pattern(`^(?:[0-9]{1,20}(?:~[0-9]{1,20})?|sis_[a-z_]{1,30}:[A-Za-z0-9._-]{1,100})$`)

// canvasPage reads the addresses of Canvas's pages of files (canvas-lms, config/routes.rb),
// and those of its API. What a verifier in one would give away is dropped.
func canvasPage(a address) (Place, error) {
	p := Place{Words: "files of Canvas at " + a.host, Certain: true, Why: "it is a page of files at a Canvas"}
	s := a.segments
	if len(s) > 2 && s[0] == "api" && s[1] == "v1" {
		s = s[2:]
	}
	context := "users/self"
	if len(s) > 1 && slices.Contains([]string{"courses", "groups", "users"}, s[0]) && (canvasID().MatchString(s[1]) || s[0] == "users" && s[1] == "self") {
		context, s = s[0]+"/"+s[1], s[2:]
	} else if len(s) == 0 || s[0] != "files" && s[0] != "folders" {
		return Place{}, notThat("this address of Canvas names no files", "Open the files of the course, or the folder, and copy the address of its page.")
	} else if len(s) > 1 && s[1] != "folder" || s[0] == "files" && a.query.Get("preview") != "" {
		context = "" // whose it is the site knows: it is asked when it is read
	}
	p.Source = daypass.Source{Kind: daypass.KindCanvas, Host: a.host, ID: context}
	switch {
	case len(s) == 0 || len(s) == 1 && s[0] == "folders":
	case s[0] == "modules", s[0] == "assignments", s[0] == "pages":
		p.Certain, p.Why = false, "of a course its files are brought, and not its other pages"
	case s[0] == "folders" && len(s) > 1 && canvasID().MatchString(s[1]):
		return p.canvasOne("folders", s[1]), nil
	case s[0] == "file_contents" && len(s) > 2: // the first is the root's own name, "course files"
		p.Open = s[len(s)-1]
		return p.canvasFolder(s[2 : len(s)-1])
	case s[0] == "files":
		return p.canvasFiles(s[1:], a.query.Get("preview"))
	default:
		return Place{}, notThat("this address of Canvas names no files", "Open the files of the course, or the folder, and copy the address of its page.")
	}
	return p, nil
}

// canvasOne is a file or folder by its number.
func (p Place) canvasOne(kind, id string) Place {
	p.Source.ID = strings.TrimPrefix(p.Source.ID+"/"+kind+"/"+id, "/")
	p.Words = map[string]string{"files": "a file of Canvas at ", "folders": "a folder of Canvas at "}[kind] + p.Source.Host
	return p
}

func (p Place) canvasFiles(s []string, preview string) (Place, error) {
	switch {
	case len(s) > 0 && s[0] == "folder":
		if s = s[1:]; len(s) > 0 { // of a person, course or group, seen from elsewhere
			kind, id, _ := strings.Cut(s[0], "_")
			if slices.Contains([]string{"users", "courses", "groups"}, kind) && canvasID().MatchString(id) {
				p.Source.ID, s = kind+"/"+id, s[1:]
			}
		}
		return p.canvasFolder(s)
	case len(s) > 0 && canvasID().MatchString(s[0]):
		return p.canvasOne("files", s[0]), nil
	case len(s) == 0 && canvasID().MatchString(preview):
		return p.canvasOne("files", preview), nil
	case len(s) > 0 || p.Source.ID == "":
		return Place{}, notThat("this address of Canvas names no files", "Open the folder and copy the address of its page.")
	}
	return p, nil
}

func (p Place) canvasFolder(s []string) (Place, error) {
	p.Source.Path = strings.Join(s, "/")
	if p.Source.Path != "" && !validPath(p.Source.Path) {
		return Place{}, notThat("the folder in this address of Canvas cannot be one", "Open the folder and copy the address of its page.")
	}
	return p, nil
}
