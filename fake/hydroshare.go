package fake

import (
	"archive/zip"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A HydroResource is a resource of HydroShare.
type HydroResource struct {
	ID     string // 32 digits
	Title  string
	Files  []DepositFile
	Closed bool // not public

	updated int
}

// HydroShare is a stand-in for www.hydroshare.org: its interface at /hsapi, and the
// pages of files and bags. It is safe for concurrent use.
type HydroShare struct {
	deposits
	resources []HydroResource
}

// NewHydroShare returns a site with these resources.
func NewHydroShare(resources []HydroResource, now func() time.Time) *HydroShare {
	h := &HydroShare{resources: slices.Clone(resources)}
	h.init(now, "")
	for i := range h.resources {
		h.resources[i].Files = slices.Clone(h.resources[i].Files)
	}
	return h
}

// Write gives a file other bytes.
func (h *HydroShare) Write(id, folder, name, text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.resources {
		for n := range h.resources[i].Files {
			if f := &h.resources[i].Files[n]; h.resources[i].ID == id && f.Folder == folder && f.Name == name {
				f.Text = text
				h.resources[i].updated++
			}
		}
	}
}

func (h *HydroShare) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.serve(w, r, h.answer) }

func (h *HydroShare) answer(w http.ResponseWriter, r *http.Request, _ string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	at := func(prefix ...string) bool {
		return len(path) > len(prefix) && slices.Equal(path[:len(prefix)], prefix)
	}
	var id string
	switch {
	case at("hsapi", "resource"):
		id = path[2]
	case at("resource"):
		id = path[1]
	case at("django_irods", "download", "bags"):
		id = path[3]
	}
	n := slices.IndexFunc(h.resources, func(x HydroResource) bool { return x.ID == id })
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case n < 0:
		writeValue(w, http.StatusNotFound, map[string]any{"detail": "No resource was found for resource id:" + id})
	case h.resources[n].Closed:
		writeValue(w, http.StatusForbidden, map[string]any{"detail": "You do not have permission to perform this action."})
	default:
		h.resource(w, r, h.resources[n], path)
	}
}

func (x HydroResource) address(r *http.Request, f DepositFile) string {
	out := origin(r) + "/resource/" + x.ID + "/data/contents"
	for p := range strings.SplitSeq(strings.TrimPrefix(f.Folder+"/"+f.Name, "/"), "/") {
		out += "/" + url.PathEscape(p)
	}
	return out
}

func (h *HydroShare) resource(w http.ResponseWriter, r *http.Request, x HydroResource, path []string) {
	switch {
	case path[0] == "django_irods":
		w.Header().Set("Content-Type", "application/zip")
		z := zip.NewWriter(w)
		for _, f := range append(x.Files, DepositFile{Folder: "..", Name: "bagit.txt", Text: "BagIt-Version: 0.96\n"}) {
			name := x.ID + "/data/contents/" + strings.TrimPrefix(f.Folder+"/"+f.Name, "/")
			if f.Folder == ".." {
				name = x.ID + "/" + f.Name
			}
			if e, err := z.Create(name); err == nil {
				e.Write([]byte(f.Text))
			}
		}
		z.Close()
	case path[0] == "resource":
		for _, f := range x.Files {
			if strings.Join(path[4:], "/") == strings.TrimPrefix(f.Folder+"/"+f.Name, "/") {
				sendFile(w, r, f)
				return
			}
		}
		w.WriteHeader(http.StatusNotFound)
	case len(path) == 4 && path[3] == "sysmeta":
		writeValue(w, http.StatusOK, map[string]any{"resource_id": x.ID, "resource_title": x.Title, "public": true, "date_last_updated": "09-01-2026 08:00:" + strconv.Itoa(10+x.updated)})
	case len(path) == 4 && path[3] == "files":
		h.files(w, r, x)
	default:
		writeValue(w, http.StatusNotFound, map[string]any{"detail": "Not found."})
	}
}

func (h *HydroShare) files(w http.ResponseWriter, r *http.Request, x HydroResource) {
	page, _ := strconv.Atoi(r.URL.Query().Get("page"))
	count, _ := strconv.Atoi(r.URL.Query().Get("count"))
	page, count = max(page, 1), min(orElse(count, 20), 100)
	from := min((page-1)*count, len(x.Files))
	to := min(from+count, len(x.Files))
	out := map[string]any{"count": len(x.Files), "next": nil, "previous": nil}
	if to < len(x.Files) {
		out["next"] = origin(r) + "/hsapi/resource/" + x.ID + "/files/?page=" + strconv.Itoa(page+1)
	}
	results := []any{}
	for _, f := range x.Files[from:to] {
		results = append(results, map[string]any{"file_name": f.Name, "url": x.address(r, f), "size": len(f.Text), "checksum": f.md5(), "modified_time": "2026-09-01T08:00:00", "content_type": "x"})
	}
	out["results"] = results
	writeValue(w, http.StatusOK, out)
}
