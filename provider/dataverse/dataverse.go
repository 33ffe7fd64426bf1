// Package dataverse reads datasets of a Dataverse installation, by its native and data
// access interfaces (guides.dataverse.org/en/latest/api). A source's ID is a dataset's
// persistent id, "doi:10.7910/DVN/TJCLKP", behind the path that the installation is
// below, where it is: "dv/doi:10.7910/DVN/TJCLKP"; Ref is a version, "1.2", and without it the
// newest published one is meant. Tables are read as their owner uploaded them.
package dataverse

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/provider/deposit"
)

// Dataverse reads one installation. It is a [daypass.Contents].
type Dataverse struct{ site *deposit.Site }

var _ daypass.Contents = (*Dataverse)(nil)

// New returns a reader. A token goes as X-Dataverse-key; with one, restricted files are
// asked for.
func New(c deposit.Config) *Dataverse {
	return &Dataverse{deposit.New(c, traits())}
}

func traits() deposit.Traits {
	return deposit.Traits{Header: "X-Dataverse-key", Every: 200 * time.Millisecond, Burst: 20, Downloads: 3}
}

func pattern(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

var (
	persistent = pattern(`^(?:doi|hdl|perma):[0-9A-Za-z][0-9A-Za-z.]{0,60}[/][0-9A-Za-z._;()/:-]{1,200}$`)
	release    = pattern(`^[0-9]{1,6}\.[0-9]{1,6}$`)
	digits     = pattern(`^[0-9]{1,18}$`)
)

// below is the path of an installation, and what is asked for there: a persistent id, or
// the number of a file.
var below = pattern(`^((?:[A-Za-z0-9_][A-Za-z0-9._-]{0,39}/){0,3})((?:doi|hdl|perma):.*|file/[0-9]{1,18})$`)

// Split cuts a source's ID into the path of the installation, "" where it has none, and
// the rest: a persistent id, or "file/" and a number, of [DatasetOf].
func Split(id string) (path, rest string) {
	m := below().FindStringSubmatch(id)
	if m == nil {
		return "", id
	}
	return strings.TrimSuffix(m[1], "/"), m[2]
}

// steps are the parts of an address below the path of an installation.
func steps(path string, more ...string) []string {
	if path == "" {
		return more
	}
	return append(strings.Split(path, "/"), more...)
}

func sound(id string) bool {
	return persistent().MatchString(id) && !slices.ContainsFunc(strings.Split(id, "/"), func(p string) bool { return p == "" || p == "." || p == ".." })
}

func (d *Dataverse) check(s daypass.Source) (path, id string, err error) {
	path, id = Split(s.ID)
	if s.Kind != daypass.KindDataverse || s.Host != d.site.Host || !sound(id) || s.Ref != "" && !release().MatchString(s.Ref) {
		return "", "", d.site.Odd()
	}
	return path, id, nil
}

type version struct {
	ID         json.Number `json:"id"`
	Persistent string      `json:"datasetPersistentId"`
	Major      *int        `json:"versionNumber"`
	Minor      int         `json:"versionMinorNumber"`
	State      string      `json:"versionState"`
	Updated    string      `json:"lastUpdateTime"`
	Blocks     struct {
		Citation struct {
			Fields []struct {
				Name  string `json:"typeName"`
				Value any    `json:"value"`
			} `json:"fields"`
		} `json:"citation"`
	} `json:"metadataBlocks"`
}

func (v version) name() string { return fmt.Sprintf("%d.%d", *v.Major, v.Minor) }
func (v version) mark() string { return fmt.Sprintf("%s %s %s", v.name(), v.ID, v.Updated) }
func (v version) title() string {
	for _, f := range v.Blocks.Citation.Fields {
		if text, ok := f.Value.(string); ok && f.Name == "title" {
			return text
		}
	}
	return ""
}

// ask puts a question about a dataset.
func (d *Dataverse) ask(ctx context.Context, s daypass.Source, q url.Values, data any, path ...string) (total int, err error) {
	at, id, err := d.check(s)
	if err != nil {
		return 0, err
	}
	var answer struct {
		Status string          `json:"status"`
		Total  *int            `json:"totalCount"`
		Data   json.RawMessage `json:"data"`
	}
	q.Set("persistentId", id)
	if err := d.site.JSON(ctx, d.site.URL(steps(at, path...)...)+"?"+q.Encode(), "", &answer); err != nil {
		return 0, err
	}
	if answer.Status != "OK" || json.Unmarshal(answer.Data, data) != nil {
		return 0, d.site.Partial()
	}
	if answer.Total == nil {
		return -1, nil
	}
	return *answer.Total, nil
}

func (d *Dataverse) version(ctx context.Context, s daypass.Source) (version, error) {
	name := s.Ref
	if name == "" {
		name = ":latest-published"
	}
	var v version
	_, err := d.ask(ctx, s, url.Values{"excludeFiles": {"true"}}, &v, "api", "datasets", ":persistentId", "versions", name)
	_, id := Split(s.ID)
	switch {
	case err != nil:
		return version{}, err
	case v.Major == nil || v.ID == "" || v.Persistent != "" && v.Persistent != id || s.Ref != "" && v.name() != s.Ref:
		return version{}, d.site.Partial()
	case v.State != "RELEASED": // withdrawn, or not published yet
		return version{}, d.site.Absent()
	}
	return v, nil
}

func (d *Dataverse) page(s daypass.Source) string {
	path, id := Split(s.ID)
	return d.site.Page(steps(path, "dataset.xhtml")...) + "?" + url.Values{"persistentId": {id}, "version": {s.Ref}}.Encode()
}

// Look asks for the version.
func (d *Dataverse) Look(ctx context.Context, s daypass.Source, mark string) (daypass.Seen, error) {
	v, err := d.version(ctx, s)
	if err != nil {
		return daypass.Seen{}, err
	}
	s.Ref = v.name()
	return daypass.Seen{Source: s, Title: v.title(), Mark: v.mark(), Same: mark == v.mark(), Web: d.page(s)}, nil
}

type file struct {
	Label      string `json:"label"`
	Folder     string `json:"directoryLabel"`
	Restricted bool   `json:"restricted"`
	Data       struct {
		ID         json.Number `json:"id"`
		Root       json.Number `json:"rootDataFileId"`
		Size       *int64      `json:"filesize"`
		Original   string      `json:"originalFileName"`
		OldSize    *int64      `json:"originalFileSize"`
		OldFormat  string      `json:"originalFileFormat"`
		Tabular    bool        `json:"tabularData"`
		MD5        string      `json:"md5"`
		Restricted bool        `json:"restricted"`
		Checksum   struct {
			Type  string `json:"type"`
			Value string `json:"value"`
		} `json:"checksum"`
		Embargo *struct {
			Until string `json:"dateAvailable"`
		} `json:"embargo"`
	} `json:"dataFile"`
}

// List asks for the version and for its files, of which all come at once.
func (d *Dataverse) List(ctx context.Context, s daypass.Source) (daypass.Listing, error) {
	v, err := d.version(ctx, s)
	if err != nil {
		return daypass.Listing{}, err
	}
	var files []file
	total, err := d.ask(ctx, s, url.Values{}, &files, "api", "datasets", ":persistentId", "versions", v.name(), "files")
	switch {
	case errors.Is(err, daypass.ErrNoSource): // it was there a moment ago
		return daypass.Listing{}, d.site.Partial()
	case err != nil:
		return daypass.Listing{}, err
	case files == nil || total >= 0 && total != len(files):
		return daypass.Listing{}, d.site.Partial()
	}
	l := daypass.Listing{Complete: true, Mark: v.mark(), Title: v.title()}
	s.Ref = v.name()
	for _, f := range files {
		if !digits().MatchString(f.Data.ID.String()) {
			return daypass.Listing{}, d.site.Partial()
		}
		l.Items = append(l.Items, d.item(s, f))
	}
	return d.site.Ordered(l, s.Path)
}

// A target is what is opened.
type target struct {
	id       string
	original bool
}

func (d *Dataverse) item(s daypass.Source, f file) daypass.Item {
	x := f.Data
	it := daypass.Item{ID: x.ID.String(), Size: -1, Mark: x.ID.String(), Web: d.page(s)}
	if n, err := strconv.ParseInt(x.Root.String(), 10, 64); err == nil && n > 0 {
		it.ID = x.Root.String() // the first of those that took each other's place
	}
	name, size := f.Label, x.Size
	table := x.Tabular || x.OldFormat != "" || x.Original != ""
	if table {
		// What is kept is a table made of the upload. The upload has no checksum here: that
		// of the table is another's.
		if size = x.OldSize; x.Original != "" {
			name = x.Original
		}
	} else if it.Sum = deposit.Sum(x.Checksum.Type, x.Checksum.Value); it.Sum == "" {
		it.Sum = deposit.Sum("md5", x.MD5)
	}
	if size != nil && *size >= 0 {
		it.Size = *size
	}
	for p := range strings.SplitSeq(f.Folder, "/") {
		if p != "" {
			it.Parts = append(it.Parts, p)
		}
	}
	it.Parts, it.Data = append(it.Parts, name), target{x.ID.String(), table}
	switch {
	case name == "":
		it.Parts[len(it.Parts)-1], it.Skip = "no name", "it has no name"
	case d.site.Token == nil && (f.Restricted || x.Restricted):
		it.Skip = "its owner restricts who may have it"
	case d.site.Token == nil && x.Embargo != nil && x.Embargo.Until > d.site.Now().UTC().Format(time.DateOnly):
		it.Skip = "its owner keeps it back until a later day"
	}
	return it
}

// Open reads a file, a table as it was uploaded.
func (d *Dataverse) Open(ctx context.Context, s daypass.Source, it daypass.Item, from int64) (io.ReadCloser, error) {
	path, _, err := d.check(s)
	if err != nil {
		return nil, err
	}
	t, ok := it.Data.(target)
	if !ok || it.Skip != "" {
		return nil, d.site.Unavailable("it was not listed, or was left out: " + it.Skip)
	}
	at := d.site.URL(steps(path, "api", "access", "datafile", t.id)...)
	if t.original {
		at += "?format=original"
	}
	return d.site.Bytes(ctx, at, it, from)
}

// DatasetOf says which dataset a file is in, as the ID of a source, by its number
// ("file/123") or its own persistent id, behind the installation's path.
// [daypass.ErrNoSource]: there is no such file that may be seen; another error: it is not
// known.
func DatasetOf(ctx context.Context, c deposit.Config, file string) (id string, err error) {
	d := New(c)
	path, file := Split(file)
	number, byNumber := strings.CutPrefix(file, "file/")
	q := url.Values{"returnDatasetVersion": {"true"}}
	at := d.site.URL(steps(path, "api", "files", number)...)
	switch {
	case byNumber && digits().MatchString(number):
	case sound(file):
		at = d.site.URL(steps(path, "api", "files", ":persistentId")...)
		q.Set("persistentId", file)
	default:
		return "", d.site.Odd()
	}
	var answer struct {
		Data struct {
			Version struct {
				ID string `json:"datasetPersistentId"`
			} `json:"datasetVersion"`
		} `json:"data"`
	}
	if err := d.site.JSON(ctx, at+"?"+q.Encode(), "", &answer); err != nil {
		return "", err
	}
	if !sound(answer.Data.Version.ID) {
		return "", d.site.Partial()
	}
	return strings.Join(steps(path, answer.Data.Version.ID), "/"), nil
}

// Exists says whether a source's ID is a published dataset's, with errors as of
// [DatasetOf]; it may be a file's.
func Exists(ctx context.Context, c deposit.Config, id string) error {
	_, err := New(c).Look(ctx, daypass.Source{Kind: daypass.KindDataverse, Host: c.Host, ID: id}, "")
	return err
}

// Probe says whether a Dataverse installation is at a host, below a path or, where that
// is "", by itself; an error says that it is not known.
func Probe(ctx context.Context, c deposit.Config, path string) (bool, error) {
	site := deposit.New(c, traits())
	body, found, err := site.Probe(ctx, site.URL(steps(path, "api", "info", "version")...))
	var answer struct {
		Status string `json:"status"`
		Data   struct {
			Version string `json:"version"`
		} `json:"data"`
	}
	return found && json.Unmarshal(body, &answer) == nil && answer.Status == "OK" && answer.Data.Version != "", err
}
