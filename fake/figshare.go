package fake

import (
	"archive/zip"
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A FigshareArticle is one version of an article.
type FigshareArticle struct {
	ID       int
	Version  int
	Title    string
	Host     string // of the portal that shows it; "": "figshare.com"
	Files    []DepositFile
	Links    []string // files that are links to elsewhere
	Embargo  bool     // its files are not shown
	Hidden   bool     // 403
	modified int
	numbers  []int // of the files
}

// A FigshareConfig is what [NewFigshare] needs.
type FigshareConfig struct {
	Articles []FigshareArticle
	Token    string
	PageSize int // the most that a page holds; 0: 1,000
	Now      func() time.Time
}

// Figshare is a stand-in for api.figshare.com, version 2, and the store that it sends
// to (docs.figshare.com). It is safe for concurrent use.
type Figshare struct {
	deposits
	config   FigshareConfig
	articles []FigshareArticle
	next     int
}

// FigshareStore is the host that keeps figshare's bytes.
const FigshareStore = "s3-eu-west-1.amazonaws.com"

// NewFigshare returns a site with these articles.
func NewFigshare(c FigshareConfig) *Figshare {
	f := &Figshare{config: c, next: 9000}
	f.init(c.Now, "")
	for _, a := range c.Articles {
		f.Publish(a)
	}
	return f
}

// Publish adds a version of an article. A file that is as it was keeps its number.
func (f *Figshare) Publish(a FigshareArticle) {
	f.mu.Lock()
	defer f.mu.Unlock()
	last := f.find(a.ID, 0)
	if a.Version == 0 {
		if a.Version = 1; last != nil {
			a.Version = last.Version + 1
		}
	}
	a.Files, a.numbers = slices.Clone(a.Files), nil
	for _, x := range a.Files {
		n := -1
		if last != nil {
			n = slices.Index(last.Files, x)
		}
		if n >= 0 {
			a.numbers = append(a.numbers, last.numbers[n])
			continue
		}
		f.next++
		a.numbers = append(a.numbers, f.next)
	}
	f.articles = append(f.articles, a)
}

// Write gives a file of the newest version other bytes: it becomes another file.
func (f *Figshare) Write(id int, folder, name, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.find(id, 0)
	for n := range a.Files {
		if a.Files[n].Name == name && a.Files[n].Folder == folder {
			f.next++
			a.Files[n].Text, a.numbers[n] = text, f.next
			a.modified++
		}
	}
}

// find is a version, or with 0 the newest.
func (f *Figshare) find(id, version int) *FigshareArticle {
	for i := range slices.Backward(f.articles) {
		if a := &f.articles[i]; a.ID == id && (version == 0 || a.Version == version) {
			return a
		}
	}
	return nil
}

func (f *Figshare) ServeHTTP(w http.ResponseWriter, r *http.Request) { f.serve(w, r, f.answer) }

func (f *Figshare) answer(w http.ResponseWriter, r *http.Request, secret string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	at := func(i int) int {
		if i >= len(path) {
			return 0
		}
		n, _ := strconv.Atoi(path[i])
		return n
	}
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case path[0] == "pfigshare-u-files" && r.URL.Query().Get("X-Amz-Signature") == "signed":
		f.bytes(w, r, at(1))
	case path[0] != "v2" || len(path) < 3:
		figshareNone(w)
	case path[1] == "file" && len(path) == 4:
		f.download(w, r, at(3))
	case path[1] == "articles":
		var version int
		rest := path[3:]
		if len(rest) >= 2 && rest[0] == "versions" {
			version, rest = at(4), rest[2:]
		}
		a := f.find(at(2), version)
		switch {
		case a == nil:
			figshareNone(w)
		case a.Hidden && (f.config.Token == "" || secret != f.config.Token):
			writeValue(w, http.StatusForbidden, map[string]any{"message": "Forbidden", "code": "Forbidden"})
		default:
			f.article(w, r, *a, strings.Join(rest, "/"))
		}
	default:
		figshareNone(w)
	}
}

func figshareNone(w http.ResponseWriter) {
	writeValue(w, http.StatusNotFound, map[string]any{"message": "Entity not found", "code": "EntityNotFound", "errorCode": "EntityNotFound"})
}

func (f *Figshare) article(w http.ResponseWriter, r *http.Request, a FigshareArticle, rest string) {
	switch rest {
	case "":
		folders := map[string]string{}
		for n, x := range a.Files {
			if x.Folder != "" {
				folders[strconv.Itoa(a.numbers[n])] = x.Folder
			}
		}
		host := orElse(a.Host, "figshare.com")
		writeValue(w, http.StatusOK, map[string]any{
			"id": a.ID, "title": a.Title, "version": a.Version, "modified_date": "2026-09-01T08:00:" + strconv.Itoa(10+a.modified) + "Z", "is_embargoed": a.Embargo,
			"url_public_html": "https://" + host + "/articles/dataset/x/" + strconv.Itoa(a.ID), "folder_structure": folders, "files": []any{},
		})
	case "versions":
		out := []any{}
		for _, v := range f.articles {
			if v.ID == a.ID {
				out = append(out, map[string]any{"version": v.Version, "url": origin(r) + "/v2/articles/" + strconv.Itoa(a.ID) + "/versions/" + strconv.Itoa(v.Version)})
			}
		}
		writeValue(w, http.StatusOK, out)
	case "files":
		f.files(w, r, a)
	case "download":
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for _, x := range a.Files {
			if e, err := z.Create(strings.TrimPrefix(x.Folder+"/"+x.Name, "/")); err == nil {
				e.Write([]byte(x.Text))
			}
		}
		z.Close()
		w.Header().Set("Content-Type", "application/zip")
		w.Write(b.Bytes())
	default:
		figshareNone(w)
	}
}

func (f *Figshare) files(w http.ResponseWriter, r *http.Request, a FigshareArticle) {
	all := []any{}
	for n, x := range a.Files {
		id := strconv.Itoa(a.numbers[n])
		all = append(all, map[string]any{
			"id": a.numbers[n], "name": x.Name, "size": len(x.Text), "is_link_only": false, "computed_md5": x.md5(), "supplied_md5": x.md5(), "download_url": "https://ndownloader.figshare.com/files/" + id,
		})
	}
	for n, link := range a.Links {
		all = append(all, map[string]any{"id": 8000 + n, "name": "link", "size": 0, "is_link_only": true, "computed_md5": "", "supplied_md5": "", "download_url": link})
	}
	if a.Embargo {
		all = all[:0]
	}
	page, _ := strconv.Atoi(r.URL.Query().Get("page"))
	size, _ := strconv.Atoi(r.URL.Query().Get("page_size"))
	size = min(orElse(size, 10), orElse(f.config.PageSize, 1000))
	from := min((max(page, 1)-1)*size, len(all))
	writeValue(w, http.StatusOK, all[from:min(from+size, len(all))])
}

func (f *Figshare) file(number int) (DepositFile, bool) {
	for _, a := range f.articles {
		if n := slices.Index(a.numbers, number); n >= 0 && !a.Hidden {
			return a.Files[n], true
		}
	}
	return DepositFile{}, false
}

func (f *Figshare) download(w http.ResponseWriter, r *http.Request, number int) {
	if _, ok := f.file(number); !ok {
		figshareNone(w)
		return
	}
	if strings.HasPrefix(origin(r), "http://") { // at a machine's own address there is no store
		f.bytes(w, r, number)
		return
	}
	w.Header().Set("Location", "https://"+FigshareStore+"/pfigshare-u-files/"+strconv.Itoa(number)+"/x?X-Amz-Signature=signed")
	w.WriteHeader(http.StatusFound)
}

func (f *Figshare) bytes(w http.ResponseWriter, r *http.Request, number int) {
	x, ok := f.file(number)
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	sendFile(w, r, x)
}
