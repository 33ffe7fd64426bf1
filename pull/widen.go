package pull

import (
	"path"
	"strings"
)

// widen makes the part of the source that is asked for hold what the folder has
// already: a link to one part of it takes the rest away from nobody.
func (r *run) widen() {
	ask := strings.Trim(path.Clean("/"+r.ask.Path), "/")
	if ask == "" || r.ask.Backup || !exists(r.folder) || empty(r.folder) {
		return
	}
	switch {
	case r.st != nil && r.st.rec.Commit != "":
		r.ask.Path = above(ask, r.st.rec.Path)
	case r.clone != nil:
		r.ask.Path = "" // a whole clone, made by another
	}
}

// above is the folder that holds both, "" for all.
func above(a, b string) string {
	b = strings.Trim(path.Clean("/"+b), "/")
	for b != "" && a != b && !strings.HasPrefix(a, b+"/") {
		if strings.HasPrefix(b, a+"/") {
			return a
		}
		b, _ = split(b)
	}
	return b
}
