package server

import (
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
)

// hubAt is where something below the hub's own part is: the hub's address may be told
// with that part or without.
func (s *Server) hubAt(rest string) string {
	base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimRight(s.c.Hub.URL, "/"), "/hub"), "/")
	return base + "/hub/" + rest
}

// hubPath is the same without scheme and host.
func (s *Server) hubPath(rest string) string {
	u, err := url.Parse(s.hubAt(rest))
	if err != nil {
		return "/hub/" + rest
	}
	return u.RequestURI()
}

// redirectTo is the page at the reader's own server that opens a link.
func redirectTo(name string) string {
	return "user-redirect/daypass?" + url.Values{"link": {name}}.Encode()
}

// goLink is what people click. It looks at nothing, so that it tells nothing: every
// name leads to the reader's own server, whether there is such a link or not.
func (s *Server) goLink(v *visit) error {
	name := v.r.PathValue("name")
	if s.c.Broker.Links == nil || !api.LinkName(name) {
		return nothingHere()
	}
	http.Redirect(v.w, v.r, s.hubAt(redirectTo(name)), http.StatusSeeOther)
	return nil
}

// badgePicture is the picture of the badge, under a name that stays.
func (s *Server) badgePicture(c *call) error {
	at, err := s.static.Path("badge.svg")
	if err != nil {
		return err
	}
	c.w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
	c.w.Header().Set("Location", at)
	c.w.WriteHeader(http.StatusFound)
	return nil
}

// linkForms are the ways to write a link down elsewhere, by their names.
func (s *Server) linkForms(l api.Link) map[string]string {
	title := l.Title
	if title == "" {
		title = l.Name
	}
	out := map[string]string{
		"url": l.URL, "markdown": "[![Open “" + markdown(title) + "”](" + s.Link("badge.svg") + ")](" + l.URL + ")",
		"lti":        s.hubAt("lti/launch?" + url.Values{"next": {s.hubPath(redirectTo(l.Name))}}.Encode()),
		"lti_custom": "next=" + s.hubPath(redirectTo(l.Name)),
	}
	source, ok := daypass.ParseSource(l.Source)
	if !ok || source.Kind != daypass.KindGit || !l.Public || l.Template {
		return out
	}
	q := url.Values{"repo": {"https://" + source.Host + "/" + source.ID}}
	folder := path.Base(source.ID)
	if l.Folder != "" {
		folder = l.Folder
		q.Set("targetPath", folder)
	}
	if source.Ref != "" {
		q.Set("branch", source.Ref)
	}
	q.Set("urlpath", opener(l.App)+escapeFile(path.Join(folder, source.Path, l.Open)))
	out["nbgitpuller"] = s.hubAt("user-redirect/git-pull?" + q.Encode())
	if source.Host == "github.com" {
		ref := source.Ref
		if ref == "" {
			ref = "HEAD"
		}
		out["binder"] = "https://mybinder.org/v2/gh/" + source.ID + "/" + url.PathEscape(ref) + "?" + url.Values{"urlpath": {opener(l.App) + escapeFile(path.Join(source.Path, l.Open))}}.Encode()
	}
	return out
}

// escapeFile escapes a path for an address that is itself a parameter.
func escapeFile(p string) string { return (&url.URL{Path: p}).EscapedPath() }

// opener is the path at a server under which an application shows files.
func opener(app string) string {
	switch app {
	case "", "lab", "jupyterlab":
		return "lab/tree/"
	case "notebook", "tree":
		return "tree/"
	}
	return strings.TrimSuffix(app, "/") + "/"
}

// markdown takes from a text what Markdown would read as its own.
func markdown(text string) string {
	return strings.NewReplacer("\\", "", "[", "(", "]", ")", "`", "'", "<", "(", ">", ")", "!", "").Replace(clean(text, 100))
}
