package fake

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// An SWHFile is a file of an archived repository.
type SWHFile struct {
	Path   string // with "/"
	Text   string
	Mode   int  // of git; 0: 0o100644. 0o160000 is another repository
	Absent bool // its bytes are not held
}

// An SWHConfig is what [NewSWH] needs.
type SWHConfig struct {
	Origin string // "https://github.com/octo/course"
	Files  []SWHFile
	Packed bool // somebody had its directory packed
	Now    func() time.Time
}

// SWH is a stand-in for the Software Heritage archive's web interface
// (archive.softwareheritage.org/api), with one origin. It is safe for concurrent use.
type SWH struct {
	deposits
	config   SWHConfig
	contents map[string]SWHFile
	trees    map[string][]map[string]any
	roots    []string // directories, the newest last
}

// NewSWH returns an archive that has visited the origin once.
func NewSWH(c SWHConfig) *SWH {
	s := &SWH{config: c, contents: map[string]SWHFile{}, trees: map[string][]map[string]any{}}
	s.init(c.Now, "")
	s.config.Files = slices.Clone(c.Files)
	s.roots = []string{s.tree("")}
	return s
}

// Write changes a file of the origin, which is then visited.
func (s *SWH) Write(path, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.config.Files {
		if s.config.Files[i].Path == path {
			s.config.Files[i].Text = text
		}
	}
	s.roots = append(s.roots, s.tree(""))
}

// IDs are the identifiers of what the last visit found.
func (s *SWH) IDs() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	root := s.roots[len(s.roots)-1]
	out := map[string]string{"dir": "swh:1:dir:" + root}
	for _, kind := range []string{"rev", "rel", "snp"} {
		out[kind] = "swh:1:" + kind + ":" + derived(kind, root)
	}
	return out
}

// derived is the name of what leads to a directory here.
func derived(kind, root string) string { return gitHash("x"+kind, []byte(root)) }

func gitHash(kind string, body []byte) string {
	sum := sha1.Sum(append(fmt.Appendf(nil, "%s %d\x00", kind, len(body)), body...))
	return hex.EncodeToString(sum[:])
}

// tree stores a folder as git names it.
func (s *SWH) tree(prefix string) string {
	type child struct {
		name, id, kind string
		mode           int
		file           SWHFile
	}
	children := map[string]child{}
	for _, f := range s.config.Files {
		rest, below := strings.CutPrefix(f.Path, prefix)
		if !below {
			continue
		}
		name, _, deeper := strings.Cut(rest, "/")
		switch mode := orElse(f.Mode, 0o100644); {
		case deeper && children[name].name == "":
			children[name] = child{name, s.tree(prefix + name + "/"), "dir", 0o40000, f}
		case deeper:
		case mode == 0o160000:
			children[name] = child{name, gitHash("commit", []byte(f.Text)), "rev", mode, f}
		default:
			id := gitHash("blob", []byte(f.Text))
			s.contents[id] = f
			children[name] = child{name, id, "file", mode, f}
		}
	}
	var body []byte
	entries := []map[string]any{}
	names := make([]string, 0, len(children))
	for name, c := range children {
		if c.kind == "dir" {
			name += "/"
		}
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		c := children[strings.TrimSuffix(name, "/")]
		raw, _ := hex.DecodeString(c.id)
		body = append(fmt.Appendf(body, "%o %s\x00", c.mode, c.name), raw...)
		e := map[string]any{"name": c.name, "type": c.kind, "target": c.id, "perms": c.mode}
		if c.kind == "file" {
			sum := sha256.Sum256([]byte(c.file.Text))
			e["length"], e["status"], e["checksums"] = len(c.file.Text), "visible", map[string]any{"sha256": hex.EncodeToString(sum[:]), "sha1_git": c.id}
			if c.file.Absent {
				e["status"] = "absent"
			}
		}
		entries = append(entries, e)
	}
	id := gitHash("tree", body)
	s.trees[id] = entries
	return id
}

func (s *SWH) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.serve(w, r, s.answer) }

func (s *SWH) answer(w http.ResponseWriter, r *http.Request, _ string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := strings.Split(strings.Trim(r.URL.EscapedPath(), "/"), "/")
	for i := range path {
		path[i], _ = url.PathUnescape(path[i])
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	if len(path) < 4 || path[0] != "api" || path[1] != "1" {
		swhNone(w)
		return
	}
	hash := path[3]
	root := s.roots[len(s.roots)-1]
	switch {
	case path[2] == "origin" && hash == s.config.Origin && len(path) == 6:
		writeValue(w, http.StatusOK, map[string]any{"origin": hash, "snapshot": derived("snp", root), "status": "full"})
	case path[2] == "directory" && s.trees[hash] != nil:
		writeValue(w, http.StatusOK, s.trees[hash])
	case path[2] == "content":
		s.content(w, r, strings.TrimPrefix(hash, "sha1_git:"), len(path) == 5)
	case path[2] == "vault" && len(path) >= 5:
		s.vault(w, r, strings.TrimPrefix(path[4], "swh:1:dir:"), len(path) == 6)
	default:
		s.named(w, r, path[2], hash)
	}
}

func swhNone(w http.ResponseWriter) {
	writeValue(w, http.StatusNotFound, map[string]any{"exception": "NotFoundExc", "reason": "not found"})
}

// named leads from what names a directory to it.
func (s *SWH) named(w http.ResponseWriter, r *http.Request, kind, hash string) {
	for _, root := range s.roots {
		switch {
		case kind == "revision" && hash == derived("rev", root):
			writeValue(w, http.StatusOK, map[string]any{"id": hash, "directory": root, "message": "x"})
			return
		case kind == "release" && hash == derived("rel", root):
			writeValue(w, http.StatusOK, map[string]any{"id": hash, "name": "v1", "target": derived("rev", root), "target_type": "revision"})
			return
		case kind == "snapshot" && hash == derived("snp", root):
			all := map[string]any{
				"HEAD": map[string]any{"target": "refs/heads/trunk", "target_type": "alias"}, "refs/heads/trunk": map[string]any{"target": derived("rev", root), "target_type": "revision"},
				"refs/tags/v1": map[string]any{"target": derived("rel", root), "target_type": "release"},
			}
			out := map[string]any{}
			for _, name := range []string{"HEAD", "refs/heads/trunk", "refs/tags/v1"} {
				if name >= r.URL.Query().Get("branches_from") && (r.URL.Query().Get("branches_count") != "1" || len(out) == 0) {
					out[name] = all[name]
				}
			}
			writeValue(w, http.StatusOK, map[string]any{"id": hash, "branches": out, "next_branch": nil})
			return
		}
	}
	swhNone(w)
}

func (s *SWH) content(w http.ResponseWriter, r *http.Request, hash string, raw bool) {
	f, ok := s.contents[hash]
	switch {
	case !ok || f.Absent:
		swhNone(w)
	case raw:
		sendFile(w, r, DepositFile{Text: f.Text})
	default:
		sum := sha256.Sum256([]byte(f.Text))
		writeValue(w, http.StatusOK, map[string]any{"length": len(f.Text), "status": "visible", "checksums": map[string]any{"sha256": hex.EncodeToString(sum[:]), "sha1_git": hash}})
	}
}

// vault has the newest directory packed, where somebody asked for that.
func (s *SWH) vault(w http.ResponseWriter, r *http.Request, hash string, raw bool) {
	switch {
	case !s.config.Packed || hash != s.roots[len(s.roots)-1]:
		swhNone(w)
	case !raw:
		writeValue(w, http.StatusOK, map[string]any{"id": 1, "status": "done", "swhid": "swh:1:dir:" + hash, "fetch_url": origin(r) + "/api/1/vault/flat/swh:1:dir:" + hash + "/raw/"})
	default:
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		t := tar.NewWriter(z)
		for _, f := range s.config.Files {
			h := &tar.Header{Name: "swh:1:dir:" + hash + "/" + f.Path, Size: int64(len(f.Text)), Mode: 0o644}
			if t.WriteHeader(h) == nil {
				t.Write([]byte(f.Text))
			}
		}
		t.Close()
		z.Close()
		sendFile(w, r, DepositFile{Text: b.String()})
	}
}
