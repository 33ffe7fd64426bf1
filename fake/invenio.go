package fake

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// An InvenioRecord is one version of a deposit.
type InvenioRecord struct {
	ID, Parent string
	Title      string
	Files      []DepositFile
	Hidden     bool // 403, for everybody without the token
	Closed     bool // it is shown, its files are not
	Bare       bool // a description alone

	revision int
}

// An InvenioConfig is what [NewInvenio] needs.
type InvenioConfig struct {
	Host    string // "zenodo.org"
	Records []InvenioRecord
	Token   string // of somebody who may see all
	// Store is the host that keeps the bytes; "": the site. Quiet answers 200 with the
	// Location there, as CaltechDATA does, in place of a redirect.
	Store string
	Quiet bool
	Now   func() time.Time
}

// Invenio is a stand-in for a site of InvenioRDM, for reading:
// inveniordm.docs.cern.ch/reference/rest_api_drafts_records. It is safe for concurrent
// use.
type Invenio struct {
	deposits
	config  InvenioConfig
	records []InvenioRecord
}

// NewInvenio returns a site with these records.
func NewInvenio(c InvenioConfig) *Invenio {
	v := &Invenio{config: c}
	v.init(c.Now, "")
	for _, r := range c.Records {
		v.Publish(r)
	}
	return v
}

// Publish adds a record: where others have its parent, a newer version.
func (v *Invenio) Publish(r InvenioRecord) {
	v.mu.Lock()
	defer v.mu.Unlock()
	r.revision, r.Files = 4, slices.Clone(r.Files)
	v.records = append(v.records, r)
}

// Write gives a file of a record other bytes, as only a site's staff can.
func (v *Invenio) Write(id, name, text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i := range v.records {
		if v.records[i].ID != id {
			continue
		}
		v.records[i].revision++
		for n := range v.records[i].Files {
			if v.records[i].Files[n].Name == name {
				v.records[i].Files[n].Text = text
			}
		}
	}
}

func (v *Invenio) ServeHTTP(w http.ResponseWriter, r *http.Request) { v.serve(w, r, v.answer) }

func (v *Invenio) answer(w http.ResponseWriter, r *http.Request, secret string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	known := v.config.Token != "" && secret == v.config.Token
	path := strings.Split(strings.Trim(r.URL.EscapedPath(), "/"), "/")
	for i := range path {
		path[i], _ = url.PathUnescape(path[i])
	}
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case v.config.Store != "" && r.Host == v.config.Store && len(path) == 3 && r.URL.Query().Get("X-Amz-Signature") == "signed":
		v.content(w, r, path[1], path[2], true)
	case len(path) == 3 && path[0] == "doi":
		v.doi(w, r, path[1]+"/"+path[2])
	case len(path) == 2 && path[0] == "records":
		v.page(w, path[1])
	case len(path) >= 3 && path[0] == "api" && path[1] == "records":
		v.api(w, r, path[2], path[3:], known)
	default:
		notFound(w)
	}
}

func (v *Invenio) find(id string) *InvenioRecord {
	for i := range v.records {
		if v.records[i].ID == id {
			return &v.records[i]
		}
	}
	return nil
}

// newest is by record or parent: "versions/latest" takes both.
func (v *Invenio) newest(id string) *InvenioRecord {
	if r := v.find(id); r != nil {
		id = r.Parent
	}
	for i := range slices.Backward(v.records) {
		if v.records[i].Parent == id {
			return &v.records[i]
		}
	}
	return nil
}

func (v *Invenio) page(w http.ResponseWriter, id string) {
	r := v.find(id)
	switch {
	case r == nil && v.newest(id) != nil:
		w.Header().Set("Location", "/records/"+v.newest(id).ID)
		w.WriteHeader(http.StatusFound)
	case r == nil:
		w.WriteHeader(http.StatusNotFound)
	default:
		w.Header().Set("Content-Type", "text/html")
		w.Write([]byte("<html><title>a record</title></html>"))
	}
}

func (v *Invenio) doi(w http.ResponseWriter, r *http.Request, doi string) {
	id := doi[strings.LastIndexByte(doi, '.')+1:]
	if !strings.HasPrefix(doi, "10.") || v.find(id) == nil && v.newest(id) == nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if v.find(id) == nil {
		id = v.newest(id).ID
	}
	w.Header().Set("Location", origin(r)+"/records/"+id)
	w.WriteHeader(http.StatusMovedPermanently)
}

func (v *Invenio) api(w http.ResponseWriter, r *http.Request, id string, rest []string, known bool) {
	if slices.Equal(rest, []string{"versions", "latest"}) {
		n := v.newest(id)
		if n == nil {
			notFound(w)
			return
		}
		w.Header().Set("Location", origin(r)+"/api/records/"+n.ID)
		w.WriteHeader(http.StatusMovedPermanently)
		return
	}
	rec := v.find(id)
	switch {
	case rec == nil:
		notFound(w)
	case rec.Hidden && !known, rec.Closed && !known && len(rest) > 0:
		forbidden(w)
	case len(rest) == 0:
		v.record(w, r, *rec)
	case len(rest) == 1 && rest[0] == "files":
		v.files(w, r, *rec)
	case len(rest) == 3 && rest[0] == "files" && rest[2] == "content":
		v.content(w, r, id, rest[1], false)
	default:
		notFound(w)
	}
}

func (v *Invenio) record(w http.ResponseWriter, r *http.Request, rec InvenioRecord) {
	if !strings.Contains(r.Header.Get("Accept"), "application/vnd.inveniordm.v1+json") { // Zenodo's older form
		writeValue(w, http.StatusOK, map[string]any{"id": rec.ID, "conceptrecid": rec.Parent, "title": rec.Title, "revision": rec.revision, "metadata": map[string]any{"title": rec.Title}})
		return
	}
	access := "public"
	if rec.Closed {
		access = "restricted"
	}
	w.Header().Set("Content-Type", "application/vnd.inveniordm.v1+json")
	writeAs(w, map[string]any{
		"id": rec.ID, "revision_id": rec.revision, "parent": map[string]any{"id": rec.Parent, "pids": pidsOf(rec.Parent)}, "pids": pidsOf(rec.ID), "metadata": map[string]any{"title": rec.Title},
		"access": map[string]any{"record": "public", "files": access}, "files": map[string]any{"enabled": !rec.Bare, "count": len(rec.Files)},
		"links": map[string]any{"self": origin(r) + "/api/records/" + rec.ID, "self_html": origin(r) + "/records/" + rec.ID},
	})
}

// pidsOf are the identifiers of a record, or of what all its versions are of.
func pidsOf(id string) map[string]any {
	return map[string]any{"doi": map[string]any{"identifier": "10.5281/zenodo." + id, "provider": "datacite", "client": "datacite"}}
}

func (v *Invenio) files(w http.ResponseWriter, r *http.Request, rec InvenioRecord) {
	entries := []any{}
	for _, f := range rec.Files {
		kind := "application/octet-stream"
		if strings.HasSuffix(f.Name, ".zip") {
			kind = "application/zip"
		}
		at := origin(r) + "/api/records/" + rec.ID + "/files/" + url.PathEscape(f.Name)
		entries = append(entries, map[string]any{
			"key": f.Name, "size": len(f.Text), "checksum": "md5:" + f.md5(), "mimetype": kind, "status": "completed", "links": map[string]any{"self": at, "content": at + "/content"},
		})
	}
	writeValue(w, http.StatusOK, map[string]any{"enabled": !rec.Bare, "entries": entries, "order": []any{}})
}

func (v *Invenio) content(w http.ResponseWriter, r *http.Request, id, name string, stored bool) {
	rec := v.find(id)
	n := -1
	if rec != nil {
		n = slices.IndexFunc(rec.Files, func(f DepositFile) bool { return f.Name == name })
	}
	switch {
	case n < 0:
		notFound(w)
	case v.config.Store != "" && !stored:
		w.Header().Set("Location", "https://"+v.config.Store+"/bucket/"+id+"/"+url.PathEscape(name)+"?X-Amz-Signature=signed")
		if v.config.Quiet {
			w.WriteHeader(http.StatusOK)
			return
		}
		w.WriteHeader(http.StatusFound)
	default:
		sendFile(w, r, rec.Files[n])
	}
}
