package fake

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

// A driveChange is one entry of the feed.
type driveChange struct {
	file string
	at   time.Time
	lost []string // the accounts that saw the file before and do not now
}

func (d *Drive) startPageToken(w http.ResponseWriter, r *http.Request, t driveToken) {
	if !d.mayFollow(w, r, t) {
		return
	}
	answerFields(w, r, map[string]any{"kind": "drive#startPageToken", "startPageToken": strconv.Itoa(len(d.changes) + 1)}, "kind,startPageToken")
}

// mayFollow: a shared drive's own feed is for its members.
func (d *Drive) mayFollow(w http.ResponseWriter, r *http.Request, t driveToken) bool {
	id := r.URL.Query().Get("driveId")
	if id == "" || flag(r, "supportsAllDrives") && slices.ContainsFunc(d.drives, func(s SharedDrive) bool { return s.ID == id && slices.Contains(s.Members, t.email) }) {
		return true
	}
	driveError(w, http.StatusNotFound, "notFound", "Shared drive not found: "+id)
	return false
}

// listChanges answers changes.list: what the account sees changed, and what it does
// not see any more.
func (d *Drive) listChanges(w http.ResponseWriter, r *http.Request, t driveToken) {
	q := r.URL.Query()
	from, err := strconv.Atoi(q.Get("pageToken"))
	size, err2 := strconv.Atoi(orElse(q.Get("pageSize"), "100"))
	if err != nil || err2 != nil || from < 1 || size < 1 || size > 1000 {
		driveError(w, http.StatusBadRequest, "invalid", "Invalid Value: pageToken")
		return
	}
	if !d.mayFollow(w, r, t) {
		return
	}
	if d.sw.ShortPages > 0 {
		size = min(size, d.sw.ShortPages)
	}
	out := map[string]any{"kind": "drive#changeList"}
	list := []any{}
	for at := from - 1; ; at++ {
		if at >= len(d.changes) {
			out["newStartPageToken"] = strconv.Itoa(len(d.changes) + 1)
			break
		}
		if len(list) == size {
			out["nextPageToken"] = strconv.Itoa(at + 1)
			break
		}
		if c := d.change(r, t, d.changes[at]); c != nil {
			list = append(list, c)
		}
	}
	out["changes"] = list
	answerFields(w, r, out, "kind,nextPageToken,newStartPageToken,changes(kind,type,changeType,time,removed,fileId,file(kind,id,name,mimeType))")
}

func (d *Drive) change(r *http.Request, t driveToken, c driveChange) map[string]any {
	out := map[string]any{
		"kind": "drive#change", "type": "file", "changeType": "file", "time": c.at.UTC().Format(time.RFC3339Nano), "fileId": c.file, "removed": false,
	}
	team := r.URL.Query().Get("driveId")
	f := d.files[c.file]
	switch {
	case f != nil && d.visible(t.email, f, nil):
		if f.DriveID != "" && !flag(r, "includeItemsFromAllDrives") || team != "" && f.DriveID != team || team == "" && f.DriveID != "" && !slices.Contains(f.Shared, t.email) {
			return nil
		}
		out["file"] = d.describe(t.email, f)
	case slices.Contains(c.lost, t.email) && r.URL.Query().Get("includeRemoved") != "false" && !d.sw.QuietUnshare:
		out["removed"] = true
	default:
		return nil
	}
	return out
}
