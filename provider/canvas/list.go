package canvas

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
)

// A folder is what the API says of one.
type folder struct {
	ID     number `json:"id"`
	Name   string `json:"name"`
	Parent number `json:"parent_folder_id"`
	Handed bool   `json:"for_submissions"`
	Of     string `json:"context_type"`
	Owner  number `json:"context_id"`
	shown
}

// shown is what the API says, to whom it shows all, of what students are shown of a file
// or folder.
type shown struct {
	Shut     bool   `json:"locked"`
	Withheld bool   `json:"hidden"`
	Unlocks  string `json:"unlock_at"`
	Locks    string `json:"lock_at"`
}

// why is the reason why students do not get it now.
func (s shown) why(now time.Time) string {
	at := func(text string) time.Time {
		t, _ := time.Parse(time.RFC3339, text)
		return t
	}
	switch from, until := at(s.Unlocks), at(s.Locks); {
	case s.Shut:
		return "it is not published"
	case s.Withheld:
		return "it is hidden from students"
	case from.After(now):
		return "students get it on " + from.UTC().Format(time.DateOnly)
	case !until.IsZero() && !until.After(now):
		return "students have not got it since " + until.UTC().Format(time.DateOnly)
	}
	return ""
}

// A file is what the API says of one. UUID is what opens it to anybody, and so is URL.
type file struct {
	ID       number `json:"id"`
	UUID     string `json:"uuid"`
	Folder   number `json:"folder_id"`
	Name     string `json:"display_name"`
	URL      string `json:"url"`
	Size     *int64 `json:"size"`
	Modified string `json:"modified_at"`
	Locked   bool   `json:"locked_for_user"`
	Hidden   bool   `json:"hidden_for_user"`
	shown
}

// A number is an id: text, as was asked for, or a number as from sites that know no
// other; it may be larger than what floating-point numbers hold.
type number string

func (n *number) UnmarshalJSON(b []byte) error {
	text := strings.Trim(string(b), `"`)
	if text == "null" {
		text = ""
	}
	if text != "" && !numberPattern().MatchString(text) {
		return errors.New("canvas: no id")
	}
	*n = number(global(text))
	return nil
}

const maxDepth = 64

// address is one of the API.
func (v *Canvas) address(path string, q url.Values) string {
	out := v.origin + "/api/v1/" + path
	if len(q) > 0 {
		out += "?" + q.Encode()
	}
	return out
}

var nextPattern = pattern(`<([^<>]*)>\s*;[^,]*\brel="?next"?`)

// next is the address of the next page, which has to be of the same site: a token goes
// with it.
func (v *Canvas) next(h http.Header) (string, error) {
	m := nextPattern().FindStringSubmatch(strings.Join(h.Values("Link"), ","))
	if m == nil {
		return "", nil
	}
	u, err := url.Parse(m[1])
	if err != nil || u.Scheme+"://"+strings.ToLower(u.Host) != v.origin || u.User != nil || !strings.HasPrefix(u.Path, "/api/v1/") {
		return "", v.partial("its next page is said to be at another place")
	}
	return u.String(), nil
}

// pages reads a list of the API, all of it. A page that is "not there" is a list that
// failed, and no sign that the place is gone.
func pages[T any](ctx context.Context, v *Canvas, path string, q url.Values) ([]T, error) {
	var all []T
	at := v.address(path, q)
	seen := map[string]bool{}
	for at != "" {
		if seen[at] || len(seen) >= maxPages || len(all) > v.MaxItems {
			return nil, v.partial("its list does not end")
		}
		seen[at] = true
		var page []T
		header, err := v.read(ctx, at, &page)
		if err != nil {
			if len(seen) > 1 && errors.Is(err, daypass.ErrNoSource) {
				err = v.partial("a page of its list was not there")
			}
			return nil, err
		}
		all = append(all, page...)
		if at, err = v.next(header); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func many() url.Values { return url.Values{"per_page": {"100"}} }

// List lists all that this person sees: by two lists, or where a course hides its files,
// by what its modules link to.
func (v *Canvas) List(ctx context.Context, s daypass.Source) (daypass.Listing, error) {
	p, err := v.check(s)
	if err != nil {
		return daypass.Listing{}, err
	}
	if p, err = v.whose(ctx, p); err != nil {
		return daypass.Listing{}, err
	}
	title, err := v.title(ctx, p)
	if err != nil {
		return daypass.Listing{}, err
	}
	if p.kind == "files" {
		return v.single(ctx, p)
	}
	folders, err := pages[folder](ctx, v, p.context+"/folders", many())
	if errors.Is(err, daypass.ErrNoSource) && p.kindOf() == "courses" && p.kind == "" && p.path == nil {
		return v.byModules(ctx, p, title)
	}
	if err != nil {
		return daypass.Listing{}, err
	}
	files, err := pages[file](ctx, v, p.context+"/files", many())
	if err != nil {
		return daypass.Listing{}, err
	}
	w := &walk{v: v, place: p, folders: map[number]folder{}, out: daypass.Listing{Title: title, Complete: true}}
	if err := w.grow(folders); err != nil {
		return daypass.Listing{}, err
	}
	return w.hang(files)
}

// whose finds the course, group or person of a folder that is known by its number alone,
// as the person who asks sees it.
func (v *Canvas) whose(ctx context.Context, p place) (place, error) {
	if p.context != "" || p.kind != "folders" {
		return p, nil
	}
	var f folder
	if _, err := v.read(ctx, v.address("folders/"+p.id, nil), &f); err != nil {
		return p, err
	}
	kind := map[string]string{"Course": "courses", "Group": "groups", "User": "users"}[f.Of]
	if kind == "" || f.Owner == "" || f.Handed || f.ID != number(global(p.id)) {
		return p, v.none()
	}
	p.context = kind + "/" + string(f.Owner)
	return p, nil
}

// title is the name of the place, and shows that there is one. It is asked for first:
// what is listed of a place that is not there would be nothing at all.
func (v *Canvas) title(ctx context.Context, p place) (string, error) {
	if p.context == "" { // the file itself is asked for
		return "", nil
	}
	var said struct {
		ID   number `json:"id"`
		Name string `json:"name"`
	}
	if _, err := v.read(ctx, v.address(p.context, nil), &said); err != nil {
		return "", err
	}
	if said.ID == "" {
		return "", v.partial("it answered for no place")
	}
	return said.Name, nil
}

// A walk makes a tree of two lists.
type walk struct {
	v       *Canvas
	place   place
	folders map[number]folder
	top     number // id of the folder that is delivered
	out     daypass.Listing
	apart   int // files of folders that are not shown
}

// grow finds the folder that is asked for.
func (w *walk) grow(all []folder) error {
	for _, f := range all {
		if f.ID == "" || len(w.folders) > w.v.MaxItems {
			return w.v.partial("it lists a folder without an id, or too many")
		}
		w.folders[f.ID] = f
		if f.Parent == "" && !f.Handed && w.top == "" {
			w.top = f.ID
		}
	}
	if w.place.kind == "folders" {
		w.top = number(global(w.place.id))
		if f, ok := w.folders[w.top]; !ok || f.Handed {
			return w.v.none()
		}
	}
	for deep, name := range w.place.path {
		below, there := number(""), []string(nil)
		for id, f := range w.folders {
			if f.Parent == w.top && !f.Handed {
				there = append(there, f.Name)
			}
			if f.Parent == w.top && f.Name == name && !f.Handed && (below == "" || older(id, below)) {
				below = id
			}
		}
		if w.top = below; below == "" {
			p := w.v.none()
			p.Err = errors.Join(p.Err, daypass.NoFolderOf(w.place.path, deep, there))
			return p
		}
	}
	if w.top == "" && (w.place.kind != "" || len(all) > 0) {
		return w.v.none()
	}
	return nil
}

// older compares ids as numbers.
func older(a, b number) bool {
	if len(a) != len(b) {
		return len(a) < len(b)
	}
	return a < b
}

// parts are the names from the folder that is delivered down; false for a folder outside
// of it, or one that holds what people handed in.
func (w *walk) parts(id number) (out []string, inside, known bool) {
	for range maxDepth {
		if id == w.top {
			slices.Reverse(out)
			return out, true, true
		}
		f, ok := w.folders[id]
		switch {
		case !ok:
			return nil, false, false
		case f.Handed || f.Parent == "":
			return nil, false, true
		}
		out, id = append(out, f.Name), f.Parent
	}
	return nil, false, false
}

// hang makes items of files.
func (w *walk) hang(files []file) (daypass.Listing, error) {
	for _, f := range files {
		if f.ID == "" || len(w.out.Items) >= w.v.MaxItems {
			return daypass.Listing{}, w.v.partial("it lists a file without an id, or too many")
		}
		dirs, inside, known := w.parts(f.Folder)
		switch {
		case f.Hidden: // not even its name is for this person
			w.out.Complete = false
		case !known:
			w.apart++
		case inside:
			it := w.v.item(w.place, f, dirs)
			if w.v.Students && it.Skip == "" {
				it.Skip = w.withheld(f)
			}
			w.out.Items = append(w.out.Items, it)
		}
	}
	if w.apart > 0 {
		w.out.Complete = false
		w.out.Notes = append(w.out.Notes, "Some files are in folders that Canvas does not show, and were left out.")
	}
	sorted(w.out.Items)
	return w.out, nil
}

// withheld is the reason why students do not get a file: its own, or a folder's above.
func (w *walk) withheld(f file) string {
	now := w.v.Now()
	if why := f.shown.why(now); why != "" {
		return why
	}
	for id, n := f.Folder, 0; n < maxDepth; n++ {
		up, ok := w.folders[id]
		if !ok {
			break
		}
		if why := up.shown.why(now); why != "" {
			return "of its folder " + up.Name + ": " + why
		}
		id = up.Parent
	}
	return ""
}

func sorted(items []daypass.Item) {
	slices.SortFunc(items, func(a, b daypass.Item) int {
		if n := slices.Compare(a.Parts, b.Parts); n != 0 {
			return n
		}
		return strings.Compare(a.ID, b.ID)
	})
}

// item makes one of a file. The id is Canvas's, which stays when a file is renamed or
// moved; an upload under the same name makes another file in the same place.
func (v *Canvas) item(p place, f file, dirs []string) daypass.Item {
	it := daypass.Item{
		Parts: append(slices.Clone(dirs), f.Name), ID: string(f.ID), Size: -1, Mark: f.mark(), Skip: f.why(), Web: v.origin + "/" + p.context + "/files/" + string(f.ID),
		Data: target{id: string(f.ID), url: daypass.NewSecret(f.URL)},
	}
	if p.context == "users/self" || p.context == "" {
		it.Web = v.origin + "/files/" + string(f.ID)
	}
	if f.Size != nil && *f.Size >= 0 {
		it.Size = *f.Size
	}
	if it.Skip == "" && !v.own(f.URL) {
		it.Skip = "Canvas says that it is at another site"
	}
	return it
}

// own: an address for a token has to be of the site.
func (v *Canvas) own(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme+"://"+strings.ToLower(u.Host) == v.origin && u.User == nil
}

// mark stands for the bytes. There is no checksum; updated_at moves with locks and names
// too. It is hashed, for by the uuid anybody can download the file.
func (f file) mark() string {
	size := int64(-1)
	if f.Size != nil {
		size = *f.Size
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %d %s", f.ID, f.UUID, size, f.Modified))
	return hex.EncodeToString(sum[:12])
}

// why is the reason why a file cannot be had, in our words: Canvas's are a page.
func (f file) why() string {
	switch {
	case f.Locked && day(f.Unlocks) != "":
		return "it is locked until " + day(f.Unlocks)
	case f.Locked && day(f.Locks) != "":
		return "it is locked since " + day(f.Locks)
	case f.Locked:
		return "it is locked for you"
	case f.URL == "":
		return "Canvas does not say where it is, as it does for what is locked"
	}
	return ""
}

// day is a time that can be read, in our words.
func day(text string) string {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04 MST")
}

// global writes an id in one way: SHARD~LOCAL is a number too.
func global(id string) string {
	shard, local, split := strings.Cut(id, "~")
	if !split || len(local) > 13 {
		return id
	}
	return shard + strings.Repeat("0", 13-len(local)) + local
}

// single is a source that is one file.
func (v *Canvas) single(ctx context.Context, p place) (daypass.Listing, error) {
	var f file
	if _, err := v.read(ctx, v.address(strings.TrimPrefix(p.context+"/files/"+p.id, "/"), nil), &f); err != nil {
		return daypass.Listing{}, err
	}
	if f.ID == "" || f.Name == "" {
		return daypass.Listing{}, v.partial("it answered for no file")
	}
	if f.Hidden {
		return daypass.Listing{}, v.none()
	}
	return daypass.Listing{Title: f.Name, Complete: true, Items: []daypass.Item{v.item(p, f, nil)}}, nil
}

// Look asks whether the place is there for this person. Canvas has nothing by which to
// tell whether files changed, other than listing them.
func (v *Canvas) Look(ctx context.Context, s daypass.Source, _ string) (daypass.Seen, error) {
	p, err := v.check(s)
	if err != nil {
		return daypass.Seen{}, err
	}
	if p, err = v.whose(ctx, p); err != nil {
		return daypass.Seen{}, err
	}
	seen := daypass.Seen{Source: s, Web: v.origin + "/" + strings.TrimPrefix(p.context+"/files", "/")}
	if seen.Title, err = v.title(ctx, p); err != nil {
		return daypass.Seen{}, err
	}
	var chain []folder
	switch {
	case p.kind == "files":
		l, err := v.single(ctx, p)
		seen.Title = l.Title
		return seen, err
	case p.kind == "folders":
		var f folder
		if _, err = v.read(ctx, v.address(p.context+"/folders/"+p.id, nil), &f); err == nil && f.Handed {
			err = v.none()
		}
		seen.Title = f.Name
	case p.path != nil:
		path := ""
		for _, part := range p.path {
			path += "/" + url.PathEscape(part)
		}
		_, err = v.read(ctx, v.address(p.context+"/folders/by_path"+path, nil), &chain)
		seen.Title = p.path[len(p.path)-1]
	}
	return seen, err
}
