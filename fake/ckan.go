package fake

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A CKANDataset is a dataset and its files.
type CKANDataset struct {
	ID, Name string
	Title    string
	Files    []DepositFile
	Links    []string // to elsewhere
	Private  bool
	Deleted  bool

	updated int
}

// CKAN is a stand-in for a site of CKAN: docs.ckan.org/en/latest/api, version 3. It is
// safe for concurrent use.
type CKAN struct {
	deposits
	prefix string // "/data"
	sets   []CKANDataset
}

// NewCKAN returns a site with these datasets, below a path.
func NewCKAN(prefix string, sets []CKANDataset, now func() time.Time) *CKAN {
	c := &CKAN{prefix: prefix, sets: slices.Clone(sets)}
	c.init(now, "")
	for i := range c.sets {
		c.sets[i].Files = slices.Clone(c.sets[i].Files)
	}
	return c
}

// Write gives a file other bytes.
func (c *CKAN) Write(name, file, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.sets {
		for n := range c.sets[i].Files {
			if c.sets[i].Name == name && c.sets[i].Files[n].Name == file {
				c.sets[i].Files[n].Text = text
				c.sets[i].updated++
			}
		}
	}
}

func (c *CKAN) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.serve(w, r, c.answer) }

func (c *CKAN) answer(w http.ResponseWriter, r *http.Request, _ string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	path, ok := strings.CutPrefix(r.URL.Path, c.prefix)
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case ok && path == "/api/3/action/status_show":
		writeValue(w, http.StatusOK, map[string]any{"success": true, "result": map[string]any{"ckan_version": "2.11.3"}})
	case ok && path == "/api/3/action/package_show":
		c.show(w, r)
	case ok && len(parts) == 6 && parts[0] == "dataset" && parts[2] == "resource":
		for _, s := range c.sets {
			for n, f := range s.Files {
				if s.ID == parts[1] && parts[3] == strconv.Itoa(n) && f.Name == parts[5] {
					sendFile(w, r, f)
					return
				}
			}
		}
		w.WriteHeader(http.StatusNotFound)
	default:
		ckanError(w, http.StatusNotFound, "Not Found Error")
	}
}

func ckanError(w http.ResponseWriter, status int, kind string) {
	writeValue(w, status, map[string]any{"success": false, "error": map[string]any{"__type": kind, "message": "no"}})
}

func (c *CKAN) show(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("id")
	n := slices.IndexFunc(c.sets, func(s CKANDataset) bool { return s.ID == id || s.Name == id })
	switch {
	case n < 0:
		ckanError(w, http.StatusNotFound, "Not Found Error")
		return
	case c.sets[n].Private:
		ckanError(w, http.StatusForbidden, "Authorization Error")
		return
	}
	s := c.sets[n]
	var all []any
	for i, f := range s.Files {
		at := origin(r) + c.prefix + "/dataset/" + s.ID + "/resource/" + strconv.Itoa(i) + "/download/" + url.PathEscape(f.Name)
		all = append(all, map[string]any{"id": "r" + strconv.Itoa(i), "name": "a name for people", "url": at, "url_type": "upload", "size": len(f.Text), "hash": "", "last_modified": "2026-09-01T08:00:" + strconv.Itoa(10+s.updated), "state": "active"})
	}
	for i, link := range s.Links {
		all = append(all, map[string]any{"id": "l" + strconv.Itoa(i), "name": "a link", "url": link, "url_type": nil, "size": nil, "hash": "", "last_modified": nil, "state": "active"})
	}
	state := "active"
	if s.Deleted {
		state = "deleted"
	}
	writeValue(w, http.StatusOK, map[string]any{"success": true, "result": map[string]any{
		"id": s.ID, "name": s.Name, "title": s.Title, "state": state, "metadata_modified": "2026-09-01T08:00:" + strconv.Itoa(10+s.updated), "num_resources": len(all), "resources": all,
	}})
}
