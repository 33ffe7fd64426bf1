package pullpage

import (
	"encoding/json"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass"
)

// A Target is where the browser goes after a pull, below the server's base.
type Target struct {
	// Path is what stands after the base, escaped as browsers send it:
	// "lab/tree/lab-3/index.ipynb?reset". It holds no "..", no scheme and no host.
	Path string
	// File is what the target opens, below the server's root and not escaped, where
	// that can be told from the address; "" where it cannot.
	File string
	// App is how people call what opens it: "JupyterLab"; "" where we do not know it.
	App string
	// Runs says that opening it runs what was brought, or that we cannot tell.
	Runs bool
	// Kernel says that opening it starts a kernel in its folder.
	Kernel bool
}

const maxTarget = 4 << 10

// readTarget finds where a link leads: to its urlpath, or, as nbgitpuller did
// before that, to its subpath in its app. After the folder was set aside the
// link leads to the folder above, where both are.
func readTarget(l Link, v Values, s Settings) (Target, error) {
	parent, err := s.parent()
	if err != nil {
		return Target{}, badSettings("the parent folder is not below the server's root", err)
	}
	to := v.first("urlpath", "urlPath")
	app, ok := v["app"]
	if !ok {
		app = s.App
	}
	switch {
	case l.Backup && to != "":
		t, err := checkTarget(to)
		if err != nil {
			return Target{}, err
		}
		return checkTarget(viewer(t, app) + escapePath(parent))
	case l.Backup:
		return checkTarget(prefix(app, "") + escapePath(parent))
	case to != "":
		return checkTarget(to)
	}
	sub := v.first("subpath", "subPath")
	if strings.HasPrefix(sub, "/") {
		return Target{}, badTarget("its subpath leads out of the folder")
	}
	if bad := climbs(sub); bad != "" {
		return Target{}, badTarget(bad)
	}
	p := escapePath(l.Folder)
	if c := path.Clean(sub); sub != "" && c != "." {
		p += "/" + strings.TrimPrefix(sub, "./")
	}
	return checkTarget(prefix(app, p) + p)
}

// prefix is the front end's own part of an address.
func prefix(app, file string) string {
	plain, _, _ := strings.Cut(file, "?")
	switch {
	case strings.EqualFold(app, "lab"):
		return "lab/tree/"
	case strings.EqualFold(app, "retro"):
		return "retro/tree/"
	case strings.HasSuffix(strings.ToLower(plain), ".ipynb"):
		return "notebooks/"
	}
	return "tree/"
}

// viewer is where folders are looked at in the front end that a target uses.
func viewer(t Target, app string) string {
	switch t.App {
	case "JupyterLab":
		return "lab/tree/"
	case "RetroLab":
		return "retro/tree/"
	case "Jupyter Notebook":
		return "tree/"
	}
	return prefix(app, "")
}

// FolderTarget shows a folder, in the front end that the link uses.
func (l Link) FolderTarget(s Settings) Target {
	t, err := checkTarget(viewer(l.Target, s.App) + escapePath(l.Folder))
	if err != nil {
		return Target{}
	}
	return t
}

// escapePath escapes a path of files for an address.
func escapePath(p string) string {
	if p == "" {
		return ""
	}
	parts := strings.Split(p, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}

// checkTarget takes an address below the server's base. What a browser could read
// as another place is refused: it joins this to the base without another look.
// One slash in front is that of nbgitpuller's own manual.
func checkTarget(text string) (Target, error) {
	if len(text) > maxTarget {
		return Target{}, badTarget("its address is too long")
	}
	text = strings.TrimPrefix(text, "/")
	rest, fragment, hasFragment := strings.Cut(text, "#")
	rest, query, hasQuery := strings.Cut(rest, "?")
	if bad := climbs(rest); bad != "" {
		return Target{}, badTarget(bad)
	}
	for _, part := range []string{query, fragment} {
		if strings.ContainsFunc(part, control) {
			return Target{}, badTarget("its address holds characters that no address has")
		}
	}
	clean := cleanPath(rest)
	for _, p := range []string{rest, clean} {
		if first, _, _ := strings.Cut(p, "/"); strings.ContainsRune(unescapeAll(first), ':') {
			return Target{}, badTarget("it starts like the address of another place")
		}
	}
	hidden, err := hides(clean)
	if err != nil {
		return Target{}, err
	}
	t := Target{Path: tidy(clean, "/%:@!$&'()*+,;=-._~")}
	t.describe(unescapeOnce(clean), query)
	t.Runs = t.Runs || hidden
	if hasQuery {
		t.Path += "?" + tidy(query, "/%:@!$&'()*+,;=-._~?")
	}
	if hasFragment {
		t.Path += "#" + tidy(fragment, "/%:@!$&'()*+,;=-._~?")
	}
	if len(t.Path) > maxTarget {
		return Target{}, badTarget("its address is too long")
	}
	return t, nil
}

// climbs tells why a path is not one that stays where it is put, however often its
// escapes are read; "" where it does.
func climbs(p string) string {
	for range 4 {
		switch {
		case strings.HasPrefix(p, "/"):
			return "it starts like the address of another host"
		case strings.ContainsRune(p, '\\'):
			return "its address has a backslash in it"
		case strings.ContainsFunc(p, control):
			return "its address holds characters that no address has"
		}
		depth := 0
		for part := range strings.SplitSeq(p, "/") {
			switch strings.TrimRight(part, " \u00a0") {
			case "..":
				depth--
			case "", ".":
			default:
				depth++
			}
			if depth < 0 {
				return "its address leads upwards"
			}
		}
		next := unescapeOnce(p)
		if next == p {
			return ""
		}
		if strings.Count(next, "..") > strings.Count(p, "..") {
			return "its address hides where it leads"
		}
		p = next
	}
	return "its address hides where it leads"
}

// hides reports whether a path has slashes or dots that are escaped: some proxies read
// them, and then it leads to another place than it says. It is an error where that is
// upwards.
func hides(p string) (bool, error) {
	for {
		for part := range strings.SplitSeq(p, "/") {
			if plain, _, _ := strings.Cut(part, ";"); strings.TrimRight(plain, " \u00a0") == ".." {
				return true, badTarget("its address hides where it leads")
			}
		}
		next := unescapeOnce(p)
		if next == p {
			return false, nil
		}
		if strings.Count(next, "/") != strings.Count(p, "/") || strings.Count(next, ".") != strings.Count(p, ".") {
			_, err := hides(next)
			return true, err
		}
		p = next // each time shorter
	}
}

func control(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == 0xfffd }

func unescapeOnce(s string) string {
	return unescape(strings.ReplaceAll(s, "+", "%2B"))
}

func unescapeAll(s string) string {
	for range 4 {
		s = unescapeOnce(s)
	}
	return s
}

// cleanPath takes "." and ".." out and keeps a slash at the end.
func cleanPath(p string) string {
	c := strings.TrimPrefix(path.Clean("/"+p), "/")
	if c != "" && (strings.HasSuffix(p, "/") || strings.HasSuffix(p, "/.")) {
		c += "/"
	}
	return c
}

// tidy escapes what an address cannot hold, and leaves what is escaped.
func tidy(s, allowed string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '%' && (i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2])):
			b.WriteString("%25")
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(allowed, c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// An opener is a front end that shows a file and runs nothing until it is asked to.
type opener struct{ prefix, app string }

// openers are the addresses of such front ends. Everything else is taken to run
// what it opens: so do Shiny, Voilà, Panel, Streamlit, projects of RStudio and
// whatever a proxy leads to.
var openers = []opener{
	{"lab/tree", "JupyterLab"}, {"lab/doc/tree", "JupyterLab"}, {"doc/tree", "JupyterLab"}, {"lab", "JupyterLab"},
	{"tree", "Jupyter Notebook"}, {"notebooks", "Jupyter Notebook"}, {"edit", "Jupyter Notebook"},
	{"nbclassic/tree", "Jupyter Notebook"}, {"nbclassic/notebooks", "Jupyter Notebook"}, {"nbclassic/edit", "Jupyter Notebook"},
	{"retro/tree", "RetroLab"}, {"retro/notebooks", "RetroLab"}, {"retro/edit", "RetroLab"},
}

// plainQueries are the questions to those front ends that only arrange windows.
var plainQueries = []string{"autodecode", "reset", "clone", "file-browser-path", "path", "mode", "kernel_name"}

// plainFactories are the viewers of JupyterLab that run nothing of a file they show
// (the names of its own extensions' document factories). Extensions bring others:
// Voilà's preview runs a notebook.
var plainFactories = []string{"Notebook", "Editor", "Markdown Preview", "Image", "Image (Text)", "CSVTable", "TSVTable", "JSON", "PDF"}

// describe says which program opens the path, what it opens, and whether that runs it.
func (t *Target) describe(p, query string) {
	p = strings.TrimSuffix(p, "/")
	t.Runs = true
	if rest, ok := strings.CutPrefix(p, "lab/workspaces/"); ok {
		_, tree, _ := strings.Cut(rest, "/")
		p = strings.TrimSuffix("lab/"+tree, "/")
	}
	first, _, _ := strings.Cut(p, "/")
	switch first {
	case "rstudio":
		t.App, t.Runs = "RStudio", p != "rstudio" || query != ""
		return
	case "vscode", "code-server", "openvscode":
		t.App, t.Runs = "VS Code", strings.Contains(p, "/") || !plainPayload(query)
		return
	case "shiny", "voila", "panel", "streamlit", "dash", "bokeh":
		t.App = map[string]string{"shiny": "Shiny", "voila": "Voilà", "panel": "Panel", "streamlit": "Streamlit", "dash": "Dash", "bokeh": "Bokeh"}[first]
		return
	case NamePull, "git-sync", NameInteract, NameDaypass:
		t.App, t.Runs = "daypass", false // our own page, which asks for itself
		return
	case "":
		t.App, t.Runs = "Jupyter", query != ""
		return
	}
	for _, o := range openers {
		if p == o.prefix || strings.HasPrefix(p, o.prefix+"/") && o.prefix != "lab" {
			t.App, t.File = o.app, strings.TrimPrefix(strings.TrimPrefix(p, o.prefix), "/")
			t.Runs = !plainQuery(query) || !t.plainFile(o.prefix)
			t.Kernel = strings.HasSuffix(daypass.FoldASCII(t.File), ".ipynb") || strings.HasSuffix(o.prefix, "notebooks") || asNotebook(query)
			return
		}
	}
}

// scripted are the suffixes of what browsers run scripts of. Notebook's "tree" leads to
// files/ for them (jupyter/notebook, notebook/app.py, TreeHandler), at the hub's address,
// and so does "notebooks" before Notebook 7 and in nbclassic (notebook/handlers.py).
var scripted = []string{".html", ".htm", ".xhtml", ".xht", ".shtml", ".svg", ".svgz", ".xml", ".xsl", ".xslt", ".mht", ".mhtml", ".pdf", ".swf"}

// plainFile reports whether a front end shows the file without running it. A name of a
// drive in front of it is that of an extension, which we do not know.
func (t *Target) plainFile(prefix string) bool {
	if first, _, _ := strings.Cut(t.File, "/"); strings.Contains(first, ":") {
		return false
	}
	if strings.HasPrefix(prefix, "lab") || prefix == "doc/tree" || path.Base(prefix) == "edit" {
		return true
	}
	return !slices.Contains(scripted, daypass.FoldASCII(path.Ext(t.File)))
}

// asNotebook reports whether a query asks for the notebook's own viewer.
func asNotebook(query string) bool {
	for pair := range strings.SplitSeq(query, "&") {
		if name, value, _ := strings.Cut(pair, "="); unescape(name) == "factory" && unescape(value) == "Notebook" {
			return true
		}
	}
	return false
}

func plainQuery(query string) bool {
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		switch name, value = unescape(name), unescape(value); {
		case name == "" || slices.Contains(plainQueries, name):
		case name == "factory" && slices.Contains(plainFactories, value):
		default:
			return false
		}
	}
	return true
}

// plainPayload reports whether VS Code is asked for nothing but to open files, or
// a folder: it asks itself before it trusts one.
func plainPayload(query string) bool {
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		switch name {
		case "", "folder", "workspace":
		case "payload":
			var orders [][2]string
			text := unescape(value)
			var one [2]string
			if json.Unmarshal([]byte(text), &one) == nil {
				orders = [][2]string{one}
			} else if json.Unmarshal([]byte(text), &orders) != nil {
				return false
			}
			for _, o := range orders {
				if o[0] != "openFile" && o[0] != "gotoLineMode" {
					return false
				}
			}
		default:
			return false
		}
	}
	return true
}
