package fake

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (c canvasCall) files() {
	context := c.context()
	if r, ok := c.may(context, canvasReads); ok {
		c.listFiles(r, func(f *CanvasFile) bool {
			folder := c.v.folders[f.Folder]
			return folder != nil && folder.Context == context
		})
	}
}

func (c canvasCall) folderFiles() {
	f := c.v.folders[c.v.canvasID(c.r.PathValue("id"))]
	if f == nil {
		canvasNone(c.w)
	} else if r, ok := c.may(f.Context, canvasReads); ok {
		c.listFiles(r, func(x *CanvasFile) bool { return x.Folder == f.ID })
	}
}

// listFiles leaves out of students' lists what is hidden or not published.
func (c canvasCall) listFiles(r canvasRight, match func(*CanvasFile) bool) {
	var all []map[string]any
	for _, id := range slices.Sorted(maps.Keys(c.v.files)) {
		if f := c.v.files[id]; match(f) && (r == canvasManages || f.Listed || !f.Hidden && !f.Locked && c.v.shown(f.Folder)) {
			all = append(all, c.fileJSON(f, r))
		}
	}
	c.list(all)
}

// file answers one: an id that was written over leads to the file that is there now.
func (c canvasCall) file() {
	f := c.v.files[c.v.current(c.v.canvasID(c.r.PathValue("id")))]
	if f == nil || c.v.folders[f.Folder] == nil {
		canvasNone(c.w)
		return
	}
	context := c.v.folders[f.Folder].Context
	if asked := c.context(); asked != "" && asked != context {
		canvasNone(c.w)
		return
	}
	r, ok := c.may(context, canvasNoList)
	switch {
	case !ok:
	case r != canvasManages && f.Locked:
		c.forbidden()
	default: // what is hidden can be had by who knows where it is
		writeJSON(c.w, http.StatusOK, c.fileJSON(f, r))
	}
}

func (c canvasCall) publicURL() {
	f := c.v.files[c.v.current(c.v.canvasID(c.r.PathValue("id")))]
	if f == nil || c.v.folders[f.Folder] == nil {
		canvasNone(c.w)
		return
	}
	if _, ok := c.may(c.v.folders[f.Folder].Context, canvasNoList); ok {
		writeJSON(c.w, http.StatusOK, map[string]any{"public_url": c.v.storedAt(c.r, f)})
	}
}

func (c canvasCall) fileJSON(f *CanvasFile, r canvasRight) map[string]any {
	waits := f.Awaits && c.v.now().Before(f.Unlocks)
	shut := r != canvasManages && (waits || f.Locked)
	address := ""
	if !shut {
		q := url.Values{"download_frd": {"1"}}
		if !c.v.sw.NoVerifiers || c.r.URL.Query().Get("use_verifiers") == "1" {
			q.Set("verifier", f.UUID)
		}
		address = c.origin() + "/files/" + strconv.FormatInt(f.ID, 10) + "/download?" + q.Encode()
	}
	out := map[string]any{
		"id": c.id(f.ID), "uuid": f.UUID, "folder_id": c.id(f.Folder), "display_name": f.Name, "filename": url.QueryEscape(f.Name), "upload_status": "success",
		"content-type": "application/octet-stream", "url": address, "size": len(f.Text), "created_at": "2026-08-01T08:00:00Z", "updated_at": canvasTime(f.Updated), "modified_at": canvasTime(f.Modified),
		"unlock_at": nil, "lock_at": nil, "locked": f.Locked, "hidden": f.Hidden, "hidden_for_user": f.Listed && f.Hidden && r != canvasManages, "locked_for_user": shut, "thumbnail_url": nil, "mime_class": "file",
		"media_entry_id": nil, "category": "uncategorized", "visibility_level": "inherit",
	}
	if f.Awaits {
		out["unlock_at"] = canvasTime(f.Unlocks)
	}
	if shut {
		out["lock_explanation"] = `This file is currently locked. <a href="/x">See the calendar</a>`
	}
	return out
}

func canvasTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// download sends whoever may have a file on to where it is stored: by the verifier,
// which is enough for anybody, or by a token.
func (v *Canvas) download(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	f := v.files[v.current(v.canvasID(r.PathValue("id")))]
	t := v.bearer(r)
	var to string
	ok := false
	if f != nil && v.folders[f.Folder] != nil {
		byToken := t != nil && canvasCall{v, w, r, t}.right(v.folders[f.Folder].Context) >= canvasNoList
		ok = r.URL.Query().Get("verifier") == f.UUID || byToken || v.moved[v.canvasID(r.PathValue("id"))] != 0
		to = v.storedAt(r, f)
	}
	v.mu.Unlock()
	switch {
	case f == nil:
		canvasNone(w)
	case !ok:
		http.Redirect(w, r, "/login", http.StatusFound)
	default:
		w.Header().Set("Cache-Control", "private, max-age=300")
		http.Redirect(w, r, to, http.StatusFound)
	}
}

// storedAt is the address of the bytes, which lasts for minutes.
func (v *Canvas) storedAt(r *http.Request, f *CanvasFile) string {
	q := url.Values{"token": {f.UUID[:20]}, "downloaded": {"1"}, "exp": {strconv.FormatInt(v.now().Add(5*time.Minute).Unix(), 10)}}
	host := v.config.Files
	if v.sw.Direct {
		host = r.Host
	}
	return canvasOrigin(r, host) + "/files/" + strconv.FormatInt(f.ID, 10) + "/stored?" + q.Encode()
}

// stored gives the bytes to whoever has the address.
func (v *Canvas) stored(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if id == "" {
		id, _, _ = strings.Cut(strings.TrimPrefix(r.URL.Path, "/files/"), "/")
	}
	v.mu.Lock()
	f := v.files[v.canvasID(id)]
	var text string
	var modified time.Time
	exp, _ := strconv.ParseInt(r.URL.Query().Get("exp"), 10, 64)
	ok := f != nil && r.URL.Query().Get("token") == f.UUID[:20] && v.now().Unix() < exp
	if ok {
		text, modified = f.Text, f.Modified
	}
	v.mu.Unlock()
	if !ok {
		http.Error(w, "Forbidden", http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", modified, strings.NewReader(text))
}
