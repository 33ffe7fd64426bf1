package fake

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// describe is a file as the API shows it to an account, whole.
func (d *Drive) describe(email string, f *DriveFile) map[string]any {
	kind := orElse(f.Type, "application/octet-stream")
	out := map[string]any{
		"kind": "drive#file", "id": f.ID, "name": f.Name, "mimeType": kind, "version": strconv.FormatInt(f.Version, 10), "trashed": d.trashed(f), "explicitlyTrashed": f.Trashed,
		"modifiedTime": f.Modified.UTC().Format("2006-01-02T15:04:05.000Z"), "createdTime": "2026-08-01T08:00:00.000Z", "spaces": []string{"drive"}, "starred": false, "shared": true, "ownedByMe": false,
		"capabilities":                 map[string]any{"canDownload": !f.NoDownload && kind != FolderType, "canEdit": false, "canCopy": !f.NoDownload, "canListChildren": kind == FolderType && (!f.Limited || slices.Contains(f.Shared, email))},
		"copyRequiresWriterPermission": f.NoDownload, "webViewLink": "https://drive.google.com/file/d/" + f.ID + "/view?usp=drivesdk",
	}
	if p := d.files[f.Parent]; p != nil && d.visible(email, p, nil) {
		out["parents"] = []string{f.Parent}
	}
	if f.DriveID != "" {
		out["driveId"], out["teamDriveId"] = f.DriveID, f.DriveID
	}
	if f.ResourceKey != "" {
		out["resourceKey"] = f.ResourceKey
	}
	switch {
	case kind == ShortcutType:
		details := map[string]any{"targetId": f.Target}
		if t := d.files[f.Target]; t != nil {
			details["targetMimeType"] = orElse(t.Type, "application/octet-stream")
			if t.ResourceKey != "" {
				details["targetResourceKey"] = t.ResourceKey
			}
		}
		out["shortcutDetails"] = details
	case kind == FolderType:
	case native(kind):
		out["size"] = strconv.Itoa(len(f.Text) + 1024)
		links := map[string]any{}
		for _, to := range exportTypes[kind] {
			links[to] = "https://docs.google.com/feeds/download/documents/export/Export?id=" + f.ID
		}
		if len(links) > 0 {
			out["exportLinks"] = links
		}
	default:
		out["size"], out["quotaBytesUsed"] = strconv.Itoa(len(f.Text)), strconv.Itoa(len(f.Text))
		out["md5Checksum"], out["sha1Checksum"], out["sha256Checksum"] = sums(f.Text)
		out["headRevisionId"] = "rev-" + out["md5Checksum"].(string)[:12]
		out["originalFilename"] = f.Name
	}
	return out
}

// exportTypes are what each type can be had as; the first word of the guide's table
// of "Export MIME types" is the key.
var exportTypes = map[string][]string{
	DocumentType: {
		"application/vnd.openxmlformats-officedocument.wordprocessingml.document", "application/vnd.oasis.opendocument.text", "application/rtf", "application/pdf", "text/plain",
		"application/zip", "application/epub+zip", "text/markdown",
	},
	SheetType: {
		"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "application/x-vnd.oasis.opendocument.spreadsheet", "application/pdf", "application/zip", "text/csv",
		"text/tab-separated-values",
	},
	SlidesType:                           {"application/vnd.openxmlformats-officedocument.presentationml.presentation", "application/vnd.oasis.opendocument.presentation", "application/pdf", "text/plain"},
	DrawingType:                          {"application/pdf", "image/jpeg", "image/png", "image/svg+xml"},
	"application/vnd.google-apps.script": {"application/vnd.google-apps.script+json"},
}

// find is a file that the account sees, or the API's answer that there is none.
func (d *Drive) find(w http.ResponseWriter, r *http.Request, t driveToken, id string) *DriveFile {
	f := d.files[id]
	if f == nil || !d.visible(t.email, f, resourceKeys(r)) || f.DriveID != "" && !flag(r, "supportsAllDrives") && !flag(r, "supportsTeamDrives") && !strings.HasSuffix(r.URL.Path, "/export") {
		writeJSON(w, http.StatusNotFound, map[string]any{"error": map[string]any{
			"code": 404, "message": "File not found: " + id + ".",
			"errors": []any{map[string]any{"message": "File not found: " + id + ".", "domain": "global", "reason": "notFound", "location": "fileId", "locationType": "parameter"}},
		}})
		return nil
	}
	return f
}

func flag(r *http.Request, name string) bool { return r.URL.Query().Get(name) == "true" }

// resourceKeys reads X-Goog-Drive-Resource-Keys: id/key pairs with commas.
func resourceKeys(r *http.Request) map[string]string {
	out := map[string]string{}
	for pair := range strings.SplitSeq(r.Header.Get("X-Goog-Drive-Resource-Keys"), ",") {
		if id, key, ok := strings.Cut(strings.TrimSpace(pair), "/"); ok {
			out[id] = key
		}
	}
	return out
}

func (d *Drive) get(w http.ResponseWriter, r *http.Request, t driveToken, id string) {
	if f := d.find(w, r, t, id); f != nil {
		answerFields(w, r, d.describe(t.email, f), "kind,id,name,mimeType,resourceKey")
	}
}

func (d *Drive) getDrive(w http.ResponseWriter, r *http.Request, t driveToken, id string) {
	for _, s := range d.drives {
		if s.ID == id && slices.Contains(s.Members, t.email) {
			answerFields(w, r, map[string]any{"kind": "drive#drive", "id": s.ID, "name": s.Name}, "kind,id,name")
			return
		}
	}
	driveError(w, http.StatusNotFound, "notFound", "Shared drive not found: "+id)
}

func (d *Drive) about(w http.ResponseWriter, r *http.Request, t driveToken) {
	if r.URL.Query().Get("fields") == "" {
		driveError(w, http.StatusBadRequest, "required", "The 'fields' parameter is required for this method.")
		return
	}
	answerFields(w, r, map[string]any{
		"kind": "drive#about", "user": map[string]any{"kind": "drive#user", "displayName": t.email, "emailAddress": t.email, "me": true},
		"storageQuota": map[string]any{"limit": "0", "usage": "0", "usageInDrive": "0", "usageInDriveTrash": "0"},
	}, "*")
}

// media sends a file's bytes, or those that a Range asks for.
func (d *Drive) media(w http.ResponseWriter, r *http.Request, t driveToken, id string) {
	f := d.find(w, r, t, id)
	switch {
	case f == nil:
		return
	case !t.may("drive.readonly"):
		driveError(w, http.StatusForbidden, "insufficientPermissions", "Request had insufficient authentication scopes.")
		return
	case native(f.Type):
		driveError(w, http.StatusForbidden, "fileNotDownloadable", "Only files with binary content can be downloaded. Use Export with Docs Editors files.")
		return
	case f.NoDownload:
		driveError(w, http.StatusForbidden, "cannotDownloadFile", "This file cannot be downloaded by the user.")
		return
	case f.Abusive && !flag(r, "acknowledgeAbuse"):
		driveError(w, http.StatusForbidden, "cannotDownloadAbusiveFile", "This file has been identified as malware or spam and cannot be downloaded.")
		return
	case f.Spent:
		driveError(w, http.StatusForbidden, "downloadQuotaExceeded", "The download quota for this file has been exceeded.")
		return
	}
	w.Header().Set("Content-Type", orElse(f.Type, "application/octet-stream"))
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(f.Text))
}

// export makes other bytes each time, as real exports do: their archives hold times.
func (d *Drive) export(w http.ResponseWriter, r *http.Request, t driveToken, id string) {
	f := d.find(w, r, t, id)
	to := r.URL.Query().Get("mimeType")
	switch {
	case f == nil:
	case !t.may("drive.readonly"):
		driveError(w, http.StatusForbidden, "insufficientPermissions", "Request had insufficient authentication scopes.")
	case !native(f.Type):
		driveError(w, http.StatusForbidden, "fileNotExportable", "Export only supports Docs Editors files.")
	case !slices.Contains(exportTypes[f.Type], to):
		driveError(w, http.StatusBadRequest, "badRequest", "The requested conversion is not supported.")
	case f.NoDownload:
		driveError(w, http.StatusForbidden, "cannotExportFile", "This file cannot be exported by the user.")
	case f.ExportSize > 10<<20:
		driveError(w, http.StatusForbidden, "exportSizeLimitExceeded", "This file is too large to be exported.")
	default:
		d.exports++
		w.Header().Set("Content-Type", to)
		fmt.Fprintf(w, "%s\n(export %d, %s)\n", f.Text, d.exports, to)
	}
}

// list answers files.list.
func (d *Drive) list(w http.ResponseWriter, r *http.Request, t driveToken) {
	q := r.URL.Query()
	size, err := strconv.Atoi(orElse(q.Get("pageSize"), "100"))
	if err != nil || size < 1 || size > 1000 {
		driveError(w, http.StatusBadRequest, "invalidParameter", "Invalid value '"+q.Get("pageSize")+"'. Values must be within the range: [1, 1000]")
		return
	}
	if d.sw.ShortPages > 0 {
		size = min(size, d.sw.ShortPages)
	}
	matches, err := parseQuery(q.Get("q"))
	if err != nil {
		driveError(w, http.StatusBadRequest, "invalid", "Invalid Value: "+err.Error())
		return
	}
	team, all := q.Get("driveId"), flag(r, "includeItemsFromAllDrives") || flag(r, "includeTeamDriveItems")
	supports := flag(r, "supportsAllDrives") || flag(r, "supportsTeamDrives")
	if all && !supports || (q.Get("corpora") == "drive") != (team != "") || team != "" && !all {
		driveError(w, http.StatusForbidden, "teamDrivesParameterInvalid", "The parameters of shared drives do not go together.")
		return
	}
	from, err := pageStart(q.Get("pageToken"), q.Get("q"))
	if err != nil {
		driveError(w, http.StatusBadRequest, "invalid", "Invalid Value: pageToken")
		return
	}
	files := []any{}
	next, n := "", 0
	for _, f := range d.sorted() {
		if f.DriveID != "" && !all || team != "" && f.DriveID != team || f.ID == f.DriveID || !d.visible(t.email, f, resourceKeys(r)) || !matches(d, t.email, f) {
			continue
		}
		if n++; n <= from {
			continue
		}
		if len(files) == size {
			next = pageAt(from+size, q.Get("q"))
			break
		}
		files = append(files, d.describe(t.email, f))
	}
	out := map[string]any{"kind": "drive#fileList", "incompleteSearch": d.sw.Incomplete, "files": files}
	if next != "" {
		out["nextPageToken"] = next
	}
	answerFields(w, r, out, "kind,incompleteSearch,nextPageToken,files(kind,id,name,mimeType,resourceKey)")
}

// A page's token is good for the same query only.
func pageAt(n int, q string) string {
	return "~" + base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(n)+" "+q))
}

func pageStart(token, q string) (int, error) {
	if token == "" {
		return 0, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, "~"))
	n, of, _ := strings.Cut(string(text), " ")
	if err != nil || of != q {
		return 0, fmt.Errorf("fake: no page %q", token)
	}
	return strconv.Atoi(n)
}
