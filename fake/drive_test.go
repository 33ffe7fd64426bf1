package fake

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// driveFor returns a Drive with a small folder, and a token with some scopes.
func driveFor(t *testing.T, sw DriveSwitches, scopes ...string) (*Drive, func(method, path string, header ...string) (int, string)) {
	t.Helper()
	const email = "a@p.iam.gserviceaccount.com"
	d := NewDrive(DriveConfig{Switches: sw, Rand: rand.Reader, Seed: DriveSeed{
		Accounts: []ServiceAccount{{Email: email}},
		Files: []DriveFile{
			{ID: "folder-0001", Name: "F", Type: FolderType, Shared: []string{email}}, {ID: "file-00001", Name: "O'Hara.txt", Parent: "folder-0001", Text: "0123456789"},
			{ID: "file-00002", Name: "b", Parent: "folder-0001", Type: DocumentType}, {ID: "file-00003", Name: "c", Parent: "folder-0001", Trashed: true}, {ID: "hidden-0001", Name: "h", Text: "x"},
		},
	}})
	for n := range scopes {
		scopes[n] = scopePrefix + scopes[n]
	}
	d.mu.Lock()
	token, _ := d.issue(email, scopes)
	d.mu.Unlock()
	return d, func(method, path string, header ...string) (int, string) {
		r := httptest.NewRequest(method, "https://"+DriveHost+path, nil)
		if len(scopes) > 0 {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		d.ServeHTTP(w, r)
		text, _ := io.ReadAll(w.Result().Body)
		return w.Code, string(text)
	}
}

// TestDriveRefuses: what the guides say of each.
func TestDriveRefuses(t *testing.T) {
	for _, c := range []struct {
		scope, method, path string
		status              int
		word                string
	}{
		{"", "GET", "/drive/v3/files", 403, "unregistered callers"},
		{"gmail.readonly", "GET", "/drive/v3/files", 403, "insufficientPermissions"},
		{"drive.metadata.readonly", "GET", "/drive/v3/files/file-00001?alt=media", 403, "insufficientPermissions"},
		{"drive.readonly", "POST", "/drive/v3/files/file-00001/download", 403, "insufficientPermissions"},
		{"drive.readonly", "PATCH", "/drive/v3/files/file-00001", 403, "insufficientPermissions"},
		{"drive.readonly", "GET", "/drive/v3/files/hidden-0001", 404, "notFound"},
		{"drive.readonly", "GET", "/drive/v3/files/no-such-file", 404, "notFound"},
		{"drive.readonly", "GET", "/drive/v3/files/file-00002?alt=media", 403, "fileNotDownloadable"},
		{"drive.readonly", "GET", "/drive/v3/files/file-00001/export?mimeType=application/pdf", 403, "fileNotExportable"},
		{"drive.readonly", "GET", "/drive/v3/files/file-00002/export?mimeType=image/png", 400, "badRequest"},
		{"drive.readonly", "GET", "/drive/v3/files?q=%27a", 400, "invalid"},
		{"drive.readonly", "GET", "/drive/v3/files?q=trashed=%27x%27", 400, "invalid"},
		{"drive.readonly", "GET", "/drive/v3/files?pageSize=1001", 400, "invalidParameter"},
		{"drive.readonly", "GET", "/drive/v3/files?pageToken=~xx", 400, "invalid"},
		{"drive.readonly", "GET", "/drive/v3/files?fields=files(id", 400, "invalidParameter"},
		{"drive.readonly", "GET", "/drive/v3/files?includeItemsFromAllDrives=true", 403, "teamDrives"},
		{"drive.readonly", "GET", "/drive/v3/changes?pageToken=x", 400, "invalid"},
		{"drive.readonly", "GET", "/drive/v3/about", 400, "required"},
	} {
		var scopes []string
		if c.scope != "" {
			scopes = []string{c.scope}
		}
		d, ask := driveFor(t, DriveSwitches{}, scopes...)
		status, text := ask(c.method, c.path)
		if status != c.status || !strings.Contains(text, c.word) {
			t.Errorf("%s %s: %d %s", c.method, c.path, status, text)
		}
		if log := d.Requests(); len(log) != 1 || log[0].Method != c.method || log[0].Status != c.status {
			t.Errorf("%s %s is kept as %+v", c.method, c.path, log)
		}
	}
}

func TestDriveAnswers(t *testing.T) {
	d, ask := driveFor(t, DriveSwitches{UserUnits: 520}, "drive.readonly")
	_, text := ask("GET", "/drive/v3/files?q=%28%27folder-0001%27+in+parents+or+name%3D%27O%5C%27Hara.txt%27%29+and+trashed+%3D+false&pageSize=1&fields=nextPageToken,files(id,capabilities/canDownload)")
	var page struct {
		Next  string `json:"nextPageToken"`
		Files []map[string]any
	}
	if err := json.Unmarshal([]byte(text), &page); err != nil || page.Next == "" || len(page.Files) != 1 || len(page.Files[0]) != 2 {
		t.Errorf("%s, %v", text, err)
	}
	if status, _ := ask("GET", "/drive/v3/files?q=name=%27b%27&pageToken="+page.Next); status != 400 {
		t.Errorf("a page of another query: %d", status)
	}
	status, text := ask("GET", "/drive/v3/files/file-00001?alt=media", "Range", "bytes=4-")
	if status != http.StatusPartialContent || text != "456789" {
		t.Errorf("%d %q", status, text)
	}
	if d.Units() != 400 {
		t.Errorf("two lists and a file cost %d", d.Units())
	}
	if status, text := ask("GET", "/drive/v3/files/file-00001?alt=media"); status != 403 || !strings.Contains(text, "userRateLimitExceeded") {
		t.Errorf("beyond the quota: %d %s", status, text)
	}
	d.Advance(time.Minute)
	if status, _ := ask("GET", "/drive/v3/files/file-00001?alt=media"); status != 200 {
		t.Errorf("a minute later: %d", status)
	}
	d.Advance(time.Hour)
	if status, _ := ask("GET", "/drive/v3/files/file-00001"); status != 401 {
		t.Errorf("an hour later: %d", status)
	}
}
