package fake

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"html"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// A devpiForm is a form with at most one file; of a field that comes twice the
// last counts.
type devpiForm struct {
	fields map[string]string
	file   string // its name
	data   []byte
}

func (f *devpiForm) has(name string) bool { _, ok := f.fields[name]; return ok }

// read takes a form whose last line is missing, as the server below devpi does, but
// not a body that broke off.
func (f *devpiForm) read(r *http.Request) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	parts, err := r.MultipartReader()
	if err != nil {
		return err
	}
	f.fields = map[string]string{}
	for {
		p, err := parts.NextPart()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
		data, err := io.ReadAll(p)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		if p.FormName() == "content" {
			f.file, f.data = p.FileName(), data
		} else {
			f.fields[p.FormName()] = string(data)
		}
	}
}

// submit refuses or takes a release's data.
func (c *devpiCall) submit(ix *devpiIndex) {
	name, version, action := c.form.fields["name"], c.form.fields["version"], c.form.fields[":action"]
	switch {
	case c.who == "" && !c.may(ix):
		c.w.Header().Set("WWW-Authenticate", `Basic realm="pypi"`)
		c.fail(http.StatusUnauthorized, "Unauthorized", "This server could not verify that you are authorized to access the document you requested.\n\n")
		return
	case !c.may(ix):
		c.fail(http.StatusForbidden, "no permission to submit", "\n\n\n\n\n")
		return
	case action != "submit" && action != "file_upload":
		c.fail(http.StatusBadRequest, "action '"+action+"' not supported", "\n\n\n\n\n")
		return
	case name == "" || version == "" || action == "file_upload" && c.form.file == "":
		c.fail(http.StatusBadRequest, "name, version or content is missing", "\n\n\n\n\n")
		return
	case action == "file_upload" && !strings.HasPrefix(devpiNormal(c.form.file), devpiNormal(name)+"-"):
		c.fail(http.StatusBadRequest, "filename '"+c.form.file+"' does not match project name '"+name+"'", "\n\n\n\n\n")
		return
	}
	if action == "file_upload" {
		file := &devpiFile{name: c.form.file, sum: devpiSum(c.form.data), data: c.form.data, who: c.who, when: c.now()}
		if old := ix.fileNamed(file.name); old != nil && !ix.volatile {
			if bytes.Equal(old.data, file.data) {
				c.fail(http.StatusOK, "Upload of identical file to non volatile index.", "\n\n\n\n\n")
			} else {
				c.fail(http.StatusConflict, file.name+" already exists in non-volatile index", "\n\n\n\n\n")
			}
			return
		}
		ix.store(name, version, c.form.fields, file)
	} else {
		ix.store(name, version, c.form.fields, nil)
	}
	c.w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	c.w.WriteHeader(http.StatusOK)
}

func devpiSum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func (ix *devpiIndex) fileNamed(name string) *devpiFile {
	for _, p := range ix.projects {
		for _, v := range p.versions {
			for _, f := range v.files {
				if f.name == name {
					return f
				}
			}
		}
	}
	return nil
}

// store keeps a version's fields, and its file in place of one of the same name.
func (ix *devpiIndex) store(name, version string, fields map[string]string, file *devpiFile) {
	key := devpiNormal(name)
	if ix.projects[key] == nil {
		ix.projects[key] = &devpiProject{name: name, versions: map[string]*devpiVersion{}}
	}
	v := ix.projects[key].versions[version]
	if v == nil {
		v = &devpiVersion{}
		ix.projects[key].versions[version] = v
	}
	v.fields = fields
	if file != nil {
		v.files = append(slices.DeleteFunc(v.files, func(f *devpiFile) bool { return f.name == file.name }), file)
	}
}

// push copies a release into another index.
func (c *devpiCall) push(ix *devpiIndex) {
	fields, ok := c.body()
	if !ok {
		return
	}
	name, version, target := fmt.Sprint(fields["name"]), fmt.Sprint(fields["version"]), fmt.Sprint(fields["targetindex"])
	to := c.index(target)
	var from *devpiVersion
	if p := ix.projects[devpiNormal(name)]; p != nil {
		from = p.versions[version]
	}
	who := "None"
	if c.who != "" {
		who = "'" + c.who + "'"
	}
	switch {
	case from == nil || len(from.files) == 0:
		c.say(http.StatusBadRequest, "there are no files for "+name+" "+version+" on stage "+ix.path())
	case to == nil:
		c.say(http.StatusNotFound, "The stage "+target+" could not be found.")
	case !c.may(to):
		c.say(http.StatusUnauthorized, "user "+who+" cannot upload to '"+target+"'")
	default:
		done := []any{[]any{200, "register", name, version, "->", target}}
		for _, f := range from.files {
			to.store(name, version, from.fields, f)
			done = append(done, []any{200, "store_releasefile", to.filePath(f)})
		}
		c.give(http.StatusOK, "actionlog", done)
	}
}

func (ix *devpiIndex) filePath(f *devpiFile) string {
	return ix.path() + "/+f/" + f.sum[:3] + "/" + f.sum[3:16] + "/" + f.name
}

// file answers with one. A client that takes JSON gets what is known of it.
func (c *devpiCall) file(ix *devpiIndex, sum, name string) {
	for _, p := range ix.projects {
		for version, v := range p.versions {
			for _, f := range v.files {
				if f.name != name || f.sum[:16] != sum {
					continue
				}
				if c.r.Header.Get("Accept") == "application/json" {
					c.give(http.StatusOK, "releasefilemeta", map[string]any{
						"project": devpiNormal(p.name), "version": version, "hash_spec": "sha256=" + f.sum,
						"hashes": map[string]string{"sha256": f.sum}, "last_modified": f.when.UTC().Format(http.TimeFormat),
					})
					return
				}
				c.later = func() {
					c.w.Header().Set("Cache-Control", "max-age=365000000, immutable, public")
					c.w.Header().Set("Content-Type", "application/octet-stream")
					http.ServeContent(c.w, c.r, "", f.when, bytes.NewReader(f.data))
				}
				return
			}
		}
	}
	c.say(http.StatusNotFound, "no such file")
}

func (c *devpiCall) simpleList(ix *devpiIndex, slash bool) {
	if !slash {
		c.move(ix.path() + "/+simple/")
		return
	}
	all := map[string]bool{}
	for _, layer := range c.layers(ix) {
		for _, name := range layer.names() {
			all[name] = true
		}
	}
	var page strings.Builder
	list := []any{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&page, "<a href=\"%s/\">%[1]s</a><br>\n", name)
		list = append(list, map[string]string{"name": name})
	}
	c.simple(ix.path()+": simple list (including inherited indices)", page.String(), map[string]any{"projects": list})
}

func (c *devpiCall) simpleProject(ix *devpiIndex, name string, slash bool) {
	if normal := devpiNormal(name); normal != name || !slash {
		c.move(ix.path() + "/+simple/" + normal + "/")
		return
	}
	up := "../../"
	if !strings.Contains(c.r.URL.Path, "/+simple/") {
		up = "../"
	}
	var page strings.Builder
	list, found := []any{}, false
	for _, layer := range c.layers(ix) {
		p := layer.projects[name]
		if p == nil {
			continue
		}
		found = true
		for _, version := range slices.Backward(slices.Sorted(maps.Keys(p.versions))) {
			v := p.versions[version]
			for _, f := range v.files {
				link := up + strings.TrimPrefix(layer.filePath(f), ix.path()+"/")
				if layer != ix {
					link = up + "../../" + layer.filePath(f)
				}
				fmt.Fprintf(&page, "%s <a href=\"%s#sha256=%s\"", layer.path(), html.EscapeString(link), f.sum)
				entry := map[string]any{"filename": f.name, "url": link, "hashes": map[string]string{"sha256": f.sum}}
				if python := v.fields["requires_python"]; python != "" {
					entry["requires-python"] = python
					fmt.Fprintf(&page, " data-requires-python=\"%s\"", html.EscapeString(python))
				}
				fmt.Fprintf(&page, ">%s</a><br>\n", html.EscapeString(f.name))
				list = append(list, entry)
			}
		}
	}
	if !found {
		c.say(http.StatusNotFound, "The project "+name+" does not exist.")
		return
	}
	c.simple(ix.path()+": links for "+name, page.String(), map[string]any{"name": name, "files": list})
}

// simple answers with a page, or with PEP 691's JSON where that is asked for.
func (c *devpiCall) simple(title, page string, m map[string]any) {
	const kind = "application/vnd.pypi.simple.v1+json"
	c.w.Header().Set("Vary", "Accept, User-Agent")
	if strings.HasPrefix(c.r.Header.Get("Accept"), kind) {
		c.w.Header().Set("Content-Type", kind)
		m["meta"] = map[string]string{"api-version": "1.0"}
		writeJSON(c.w, http.StatusOK, m)
		return
	}
	c.w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	title = html.EscapeString(title)
	fmt.Fprintf(c.w, "<!DOCTYPE html><html lang=\"en\"><head><title>%s</title></head><body><h1>%[1]s</h1>\n%s</body></html>\n", title, page)
}

func (c *devpiCall) serveProject(ix *devpiIndex, name string, slash bool) {
	normal := devpiNormal(name)
	switch {
	case c.r.Method == http.MethodGet && c.installs() && slash:
		c.simpleProject(ix, normal, slash)
	case c.r.Method == http.MethodGet && normal != name:
		c.move(ix.path() + "/" + normal)
	case c.r.Method == http.MethodGet:
		c.project(ix, name)
	case c.r.Method != http.MethodDelete:
		c.nowhere()
	case !c.mayDelete(ix):
		c.forbid()
	case ix.projects[normal] == nil:
		c.say(http.StatusNotFound, "project not found")
	case !ix.volatile:
		c.say(http.StatusForbidden, "cannot delete project on non-volatile index")
	default:
		delete(ix.projects, normal)
		c.say(http.StatusOK, "project "+name+" deleted from stage "+ix.path())
	}
}

func (c *devpiCall) project(ix *devpiIndex, name string) {
	layers := c.layers(ix)
	if c.r.URL.Query().Has("ignore_bases") {
		layers = layers[:1]
	}
	all := map[string]any{}
	for _, layer := range slices.Backward(layers) {
		if p := layer.projects[name]; p != nil {
			for version, v := range p.versions {
				all[version] = c.version(layer, p, version, v)
			}
		}
	}
	if len(all) == 0 {
		c.say(http.StatusNotFound, "no project '"+name+"'")
		return
	}
	c.give(http.StatusOK, "projectconfig", all)
}

func (c *devpiCall) version(ix *devpiIndex, p *devpiProject, version string, v *devpiVersion) map[string]any {
	m := map[string]any{}
	for k, value := range v.fields {
		if !strings.HasPrefix(k, ":") {
			m[k] = value
		}
	}
	m["name"], m["version"] = p.name, version
	links := []any{}
	for _, f := range v.files {
		links = append(links, map[string]any{
			"rel": "releasefile", "href": c.outside() + "/" + ix.filePath(f), "hash_spec": "sha256=" + f.sum, "hashes": map[string]string{"sha256": f.sum},
			"log": []any{map[string]any{"what": "upload", "who": f.who, "dst": ix.path(), "when": devpiTime(f)}},
		})
	}
	if len(links) > 0 {
		m["+links"] = links
	}
	return m
}

func devpiTime(f *devpiFile) []int {
	t := f.when.UTC()
	return []int{t.Year(), int(t.Month()), t.Day(), t.Hour(), t.Minute(), t.Second()}
}

func (c *devpiCall) serveVersion(ix *devpiIndex, name, version string) {
	p := ix.projects[devpiNormal(name)]
	var v *devpiVersion
	if p != nil {
		v = p.versions[version]
	}
	known := fmt.Sprintf("project <NormalizedName '%s' '%s'>", name, devpiNormal(name))
	switch {
	case c.r.Method == http.MethodGet && p == nil:
		c.say(http.StatusNotFound, "The project "+name+" does not exist.")
	case c.r.Method == http.MethodGet && v == nil:
		c.say(http.StatusNotFound, "The version "+version+" of project "+name+" does not exist.")
	case c.r.Method == http.MethodGet:
		c.give(http.StatusOK, "versiondata", c.version(ix, p, version, v))
	case c.r.Method != http.MethodDelete:
		c.nowhere()
	case !c.mayDelete(ix):
		c.forbid()
	case !ix.volatile:
		c.say(http.StatusForbidden, "cannot delete version on non-volatile index")
	case v == nil:
		c.say(http.StatusNotFound, known+" not found on stage '"+ix.path()+"'")
	default:
		delete(p.versions, version)
		if len(p.versions) == 0 {
			delete(ix.projects, devpiNormal(name))
		}
		c.say(http.StatusOK, known+" version '"+version+"' deleted")
	}
}
