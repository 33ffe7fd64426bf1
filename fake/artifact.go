package fake

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// An ActionsArtifact is what a run kept: a zip file.
type ActionsArtifact struct {
	Repo    string // "octo/course"
	Number  int
	Name    string
	Zip     string
	Expired bool
	Private bool  // 404, but with the token
	Hidden  bool  // 404, with the token too
	Size    int64 // that GitHub tells; 0: of Zip
}

// ActionsStore is the host that keeps their bytes.
const ActionsStore = "productionresultssa0.blob.core.windows.net"

// Artifacts is a stand-in for the part of api.github.com that tells of artifacts and
// pull requests (docs.github.com/rest), and for the store. It is safe for concurrent use.
type Artifacts struct {
	deposits
	token string // that the zips are given for
	all   []ActionsArtifact
	heads map[string]string // "octo/course/7" of a pull request: "ada/course trunk"
}

// NewArtifacts returns one; heads says where pull requests come from: of
// "OWNER/NAME/NUMBER", "OWNER/NAME BRANCH", or " BRANCH" where that was deleted.
func NewArtifacts(token string, all []ActionsArtifact, heads map[string]string, now func() time.Time) *Artifacts {
	a := &Artifacts{token: token, all: append([]ActionsArtifact(nil), all...), heads: heads}
	a.init(now, "")
	return a
}

// Write gives an artifact another zip, which GitHub never does.
func (a *Artifacts) Write(number int, zip string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.all {
		if a.all[i].Number == number {
			a.all[i].Zip = zip
		}
	}
}

// Expire ends an artifact, as some weeks do.
func (a *Artifacts) Expire(number int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.all {
		a.all[i].Expired = a.all[i].Expired || a.all[i].Number == number
	}
}

func (a *Artifacts) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.serve(w, r, a.answer) }

func (a *Artifacts) answer(w http.ResponseWriter, r *http.Request, secret string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	known := secret != "" && secret == a.token
	path := strings.Trim(r.URL.Path, "/")
	if r.Host == ActionsStore {
		for _, x := range a.all {
			if path == strconv.Itoa(x.Number) && r.URL.Query().Get("sig") == "signed" {
				sendFile(w, r, DepositFile{Text: x.Zip})
				return
			}
		}
	}
	for _, x := range a.all {
		at := "repos/" + x.Repo + "/actions/artifacts/" + strconv.Itoa(x.Number)
		switch {
		case x.Private && !known, x.Hidden:
		case path == at:
			size := cmp.Or(x.Size, int64(len(x.Zip)))
			sum := sha256.Sum256([]byte(x.Zip))
			writeValue(w, http.StatusOK, map[string]any{
				"id": x.Number, "name": x.Name, "size_in_bytes": size, "expired": x.Expired, "digest": "sha256:" + hex.EncodeToString(sum[:]), "updated_at": "2026-09-01T08:00:00Z", "workflow_run": map[string]any{"id": 77},
			})
			return
		case path == at+"/zip" && !known:
			writeValue(w, http.StatusUnauthorized, map[string]any{"message": "Requires authentication", "status": "401"})
			return
		case path == at+"/zip" && x.Expired:
			writeValue(w, http.StatusGone, map[string]any{"message": "Artifact has expired", "status": "410"})
			return
		case path == at+"/zip":
			w.Header().Set("Location", "https://"+ActionsStore+"/"+strconv.Itoa(x.Number)+"?sig=signed")
			w.WriteHeader(http.StatusFound)
			return
		}
	}
	for at, from := range a.heads {
		i := strings.LastIndexByte(at, '/')
		if path != "repos/"+at[:i]+"/pulls/"+at[i+1:] {
			continue
		}
		repo, branch, _ := strings.Cut(from, " ")
		n, _ := strconv.Atoi(at[i+1:])
		head := map[string]any{"ref": branch, "sha": strings.Repeat("a", 40), "repo": nil}
		if repo != "" {
			head["repo"] = map[string]any{"full_name": repo}
		}
		writeValue(w, http.StatusOK, map[string]any{"number": n, "head": head})
		return
	}
	writeValue(w, http.StatusNotFound, map[string]any{"message": "Not Found", "status": "404"})
}
