package fake

import (
	"crypto/sha1"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A DataverseFile is a file of a dataset.
type DataverseFile struct {
	DepositFile
	// Table: it was uploaded as Text, under Name, and is kept as a table of another name,
	// size and checksum.
	Table bool
	SHA1  bool // its checksum is of that kind
	ID    string

	number, root int
}

// A DataverseSet is a version of a dataset.
type DataverseSet struct {
	ID           string // "doi:10.7910/DVN/TJCLKP"
	Major, Minor int
	Title        string
	Files        []DataverseFile
	Draft        bool // not published
	Withdrawn    bool

	updated int
}

// A DataverseConfig is what [NewDataverse] needs.
type DataverseConfig struct {
	Sets  []DataverseSet
	Token string // of somebody who may have closed files
	Old   bool   // a release that counts no files
	Now   func() time.Time
	Below string // the path that all of it is below: "dv"
}

// Dataverse is a stand-in for an installation: guides.dataverse.org/en/latest/api. It is
// safe for concurrent use.
type Dataverse struct {
	deposits
	config DataverseConfig
	sets   []DataverseSet
	next   int
}

// NewDataverse returns an installation with these datasets.
func NewDataverse(c DataverseConfig) *Dataverse {
	d := &Dataverse{config: c, next: 100}
	d.init(c.Now, "X-Dataverse-key")
	for _, s := range c.Sets {
		d.Publish(s)
	}
	return d
}

// Publish adds a version. A file that is as it was keeps its number; one of the same
// path takes the other's place.
func (d *Dataverse) Publish(s DataverseSet) {
	d.mu.Lock()
	defer d.mu.Unlock()
	last := d.find(s.ID, "")
	if s.Major == 0 && !s.Draft {
		if s.Major = 1; last != nil {
			s.Major = last.Major + 1
		}
	}
	s.Files = slices.Clone(s.Files)
	for i := range s.Files {
		f := &s.Files[i]
		d.next++
		f.number, f.root = d.next, -1
		if last == nil {
			continue
		}
		for _, old := range last.Files {
			switch {
			case old.DepositFile == f.DepositFile:
				f.number, f.root = old.number, old.root
			case old.Name == f.Name && old.Folder == f.Folder:
				f.root = old.first()
			}
		}
	}
	d.sets = append(d.sets, s)
}

func (f DataverseFile) first() int {
	if f.root > 0 {
		return f.root
	}
	return f.number
}

// Write gives a file of the newest version other bytes, by another that takes its
// place.
func (d *Dataverse) Write(id, folder, name, text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.find(id, "")
	for i := range s.Files {
		if f := &s.Files[i]; f.Name == name && f.Folder == folder {
			d.next++
			f.root = f.first()
			f.number, f.Text = d.next, text
			s.updated++
		}
	}
}

func (d *Dataverse) find(id, version string) *DataverseSet {
	for i := range slices.Backward(d.sets) {
		s := &d.sets[i]
		if s.ID == id && !s.Draft && (version == "" || version == ":latest-published" || version == strconv.Itoa(s.Major)+"."+strconv.Itoa(s.Minor)) {
			return s
		}
	}
	return nil
}

func (d *Dataverse) file(number int, id string) (*DataverseSet, *DataverseFile) {
	for i := range slices.Backward(d.sets) {
		for n := range d.sets[i].Files {
			if f := &d.sets[i].Files[n]; f.number == number || id != "" && f.ID == id {
				return &d.sets[i], f
			}
		}
	}
	return nil, nil
}

func (d *Dataverse) ServeHTTP(w http.ResponseWriter, r *http.Request) { d.serve(w, r, d.answer) }

func (d *Dataverse) answer(w http.ResponseWriter, r *http.Request, secret string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	known := d.config.Token != "" && secret == d.config.Token
	path, id := strings.Split(strings.Trim(r.URL.Path, "/"), "/"), r.URL.Query().Get("persistentId")
	below := 0
	if d.config.Below != "" {
		below = len(strings.Split(d.config.Below, "/"))
	}
	if below > len(path) || strings.Join(path[:below], "/") != d.config.Below {
		http.NotFound(w, r)
		return
	}
	path = path[below:]
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case slices.Equal(path, []string{"api", "info", "version"}):
		writeValue(w, http.StatusOK, map[string]any{"status": "OK", "data": map[string]any{"version": "6.8", "build": "1"}})
	case len(path) == 4 && path[1] == "access" && path[2] == "datafile":
		n, _ := strconv.Atoi(path[3])
		d.access(w, r, n, known)
	case len(path) == 3 && path[1] == "files":
		n, _ := strconv.Atoi(path[2])
		s, f := d.file(n, id)
		if f == nil {
			dataverseNone(w)
			return
		}
		d.ok(w, map[string]any{"label": f.Name, "dataFile": map[string]any{"id": f.number}, "datasetVersion": map[string]any{"datasetPersistentId": s.ID}}, nil)
	case len(path) >= 3 && path[1] == "datasets" && path[2] == ":persistentId":
		d.dataset(w, id, path[3:])
	default:
		dataverseNone(w)
	}
}

func (d *Dataverse) ok(w http.ResponseWriter, data any, total *int) {
	out := map[string]any{"status": "OK", "data": data}
	if total != nil && !d.config.Old {
		out["totalCount"] = *total
	}
	writeValue(w, http.StatusOK, out)
}

func dataverseNone(w http.ResponseWriter) {
	writeValue(w, http.StatusNotFound, map[string]any{"status": "ERROR", "message": "Not found."})
}

func (d *Dataverse) dataset(w http.ResponseWriter, id string, rest []string) {
	name := ""
	if len(rest) >= 2 && rest[0] == "versions" {
		name = rest[1]
	}
	s := d.find(id, name)
	switch {
	case s == nil && slices.ContainsFunc(d.sets, func(s DataverseSet) bool { return s.ID == id }):
		writeValue(w, http.StatusUnauthorized, map[string]any{"status": "ERROR", "message": "User :guest is not permitted to perform requested action."})
	case s == nil:
		dataverseNone(w)
	case len(rest) == 3 && rest[2] == "files":
		n := len(s.Files)
		d.ok(w, d.filesOf(*s), &n)
	case len(rest) == 2:
		d.ok(w, d.versionOf(*s), nil)
	case len(rest) == 0:
		v := d.versionOf(*s)
		v["files"] = d.filesOf(*s)
		d.ok(w, map[string]any{"id": 1, "latestVersion": v}, nil)
	default:
		dataverseNone(w)
	}
}

func (d *Dataverse) versionOf(s DataverseSet) map[string]any {
	state := "RELEASED"
	if s.Withdrawn {
		state = "DEACCESSIONED"
	}
	return map[string]any{
		"id": 40 + s.Major*10 + s.Minor, "datasetPersistentId": s.ID, "versionNumber": s.Major, "versionMinorNumber": s.Minor, "versionState": state, "lastUpdateTime": "2026-09-01T08:00:" + strconv.Itoa(10+s.updated) + "Z",
		"metadataBlocks": map[string]any{"citation": map[string]any{"fields": []any{map[string]any{"typeName": "author", "value": []any{}}, map[string]any{"typeName": "title", "value": s.Title}}}},
	}
}

// table is how a table is kept: not as it was uploaded.
func (f DataverseFile) table() DepositFile {
	return DepositFile{Text: strings.ReplaceAll(f.Text, ",", "\t") + "\n"}
}

func (d *Dataverse) filesOf(s DataverseSet) []any {
	out := []any{}
	for _, f := range s.Files {
		kept, label := f.DepositFile, f.Name
		data := map[string]any{"id": f.number, "rootDataFileId": f.root, "contentType": "application/octet-stream", "filename": f.Name, "storageIdentifier": "file://x"}
		if f.Table {
			kept, label = f.table(), strings.TrimSuffix(f.Name, ".csv")+".tab"
			data["tabularData"], data["originalFileFormat"], data["originalFileName"], data["originalFileSize"] = true, "text/csv", f.Name, len(f.Text)
		}
		data["filesize"] = len(kept.Text)
		if f.SHA1 {
			sum := sha1.Sum([]byte(kept.Text))
			data["checksum"] = map[string]any{"type": "SHA-1", "value": hex.EncodeToString(sum[:])}
		} else {
			data["md5"], data["checksum"] = kept.md5(), map[string]any{"type": "MD5", "value": kept.md5()}
		}
		entry := map[string]any{"label": label, "restricted": f.Closed, "version": 1, "dataFile": data}
		if f.Folder != "" {
			entry["directoryLabel"] = f.Folder
		}
		out = append(out, entry)
	}
	return out
}

func (d *Dataverse) access(w http.ResponseWriter, r *http.Request, number int, known bool) {
	_, f := d.file(number, "")
	switch {
	case f == nil:
		dataverseNone(w)
	case f.Closed && !known:
		writeValue(w, http.StatusForbidden, map[string]any{"status": "ERROR", "message": "Not authorized to access this object via this API endpoint."})
	case f.Table && r.URL.Query().Get("format") != "original":
		sendFile(w, r, f.table())
	default:
		sendFile(w, r, f.DepositFile)
	}
}
