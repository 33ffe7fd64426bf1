package fake

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A canvasCall is one request of the API by somebody.
type canvasCall struct {
	v     *Canvas
	w     http.ResponseWriter
	r     *http.Request
	token *canvasToken
}

func (v *Canvas) routes() *http.ServeMux {
	m := http.NewServeMux()
	m.HandleFunc("GET /login/oauth2/auth", v.page)
	m.HandleFunc("POST /login/oauth2/accept", v.accept)
	m.HandleFunc("POST /login/oauth2/token", v.token)
	m.HandleFunc("DELETE /login/oauth2/token", v.logout)
	m.HandleFunc("GET /files/{id}/download", v.download)
	m.HandleFunc("GET /files/{id}/stored", v.stored)
	for path, serve := range map[string]func(canvasCall){
		"users/{id}": canvasCall.person, "courses": canvasCall.allCourses, "courses/{id}": canvasCall.course, "groups/{group_id}": canvasCall.group,
		"folders/{id}": canvasCall.folder, "folders/{id}/files": canvasCall.folderFiles, "folders/{id}/folders": canvasCall.folderFolders,
		"files/{id}": canvasCall.file, "files/{id}/public_url": canvasCall.publicURL,
		"courses/{course_id}/modules": canvasCall.modules, "courses/{course_id}/modules/{module_id}/items": canvasCall.moduleItems,
	} {
		m.HandleFunc("GET /api/v1/"+path, v.api(serve))
	}
	for _, context := range []string{"courses/{course_id}", "groups/{group_id}", "users/{user_id}"} {
		for path, serve := range map[string]func(canvasCall){
			"/files": canvasCall.files, "/files/{id}": canvasCall.file, "/folders": canvasCall.foldersOf, "/folders/{id}": canvasCall.folder,
			"/folders/by_path": canvasCall.byPath, "/folders/by_path/{full_path...}": canvasCall.byPath,
		} {
			m.HandleFunc("GET /api/v1/"+context+path, v.api(serve))
		}
	}
	m.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { canvasNone(w) })
	return m
}

func canvasNone(w http.ResponseWriter) {
	canvasError(w, http.StatusNotFound, "", "The specified resource does not exist.")
}

// api answers who has a token that may, unless they ask too much.
func (v *Canvas) api(serve func(canvasCall)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v.mu.Lock()
		defer v.mu.Unlock()
		c := canvasCall{v, w, r, v.bearer(r)}
		switch {
		case c.token == nil && r.Header.Get("Authorization") == "":
			canvasError(w, http.StatusUnauthorized, "unauthenticated", "user authorization required")
		case c.token == nil:
			canvasUnknown(w)
		case !v.room(w, c.token.access):
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintln(w, "403 Forbidden (Rate Limit Exceeded)")
		case len(c.token.scopes) > 0 && !slices.Contains(c.token.scopes, canvasScope(r.Pattern)):
			canvasError(w, http.StatusUnauthorized, "", "Insufficient scopes on access token.")
		default:
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			serve(c)
		}
	}
}

// canvasScope is a route as developer keys name it.
func canvasScope(pattern string) string {
	method, path, _ := strings.Cut(pattern, " ")
	return "url:" + method + "|" + strings.NewReplacer("{full_path...}", "*full_path", "{", ":", "}", "").Replace(path)
}

// A canvasLevel is how full a token's bucket is.
type canvasLevel struct {
	used float64
	at   time.Time
}

// room: the bucket of a token leaks ten units a second; a request needs 50 to begin
// with, below 600, and pays its cost.
func (v *Canvas) room(w http.ResponseWriter, token string) bool {
	l := v.levels[token]
	l.used = max(0, l.used-10*v.now().Sub(l.at).Seconds())
	l.at = v.now()
	full := v.sw.Throttle && l.used+50 > 600
	if !full {
		l.used += v.sw.Cost
	}
	v.levels[token] = l
	w.Header().Set("X-Request-Cost", strconv.FormatFloat(v.sw.Cost, 'f', -1, 64))
	w.Header().Set("X-Rate-Limit-Remaining", strconv.FormatFloat(600-l.used, 'f', -1, 64))
	return !full
}

// id writes an id as it was asked for.
func (c canvasCall) id(n int64) any {
	switch {
	case n == 0:
		return nil
	case strings.Contains(c.r.Header.Get("Accept"), "application/json+canvas-string-ids"):
		return strconv.FormatInt(n, 10)
	}
	return n
}

func (c canvasCall) forbidden() {
	canvasError(c.w, http.StatusUnauthorized, "unauthorized", "user not authorized to perform that action")
}

// self is the number of a person in a path.
func (c canvasCall) self(text string) int64 {
	if text == "self" {
		return c.token.user
	}
	return c.v.canvasID(text)
}

func (c canvasCall) person() {
	u := c.v.user(c.self(c.r.PathValue("id")))
	if u.ID == 0 {
		canvasNone(c.w)
		return
	}
	if u.ID != c.token.user {
		c.forbidden()
		return
	}
	writeJSON(c.w, http.StatusOK, map[string]any{"id": c.id(u.ID), "name": u.Name, "sortable_name": u.Name, "short_name": u.Name, "created_at": "2026-08-01T08:00:00Z", "effective_locale": "en"})
}

func (c canvasCall) courseJSON(x *CanvasCourse) map[string]any {
	return map[string]any{"id": c.id(x.ID), "name": x.Name, "course_code": orElse(x.Code, x.Name), "workflow_state": orElse(x.State, "available"), "root_account_id": c.id(1), "enrollments": c.enrolments(x)}
}

// canvasRoles are the types of enrolments, and the base roles that go with them.
var canvasRoles = map[string]string{"teacher": "TeacherEnrollment", "student": "StudentEnrollment", "ta": "TaEnrollment", "designer": "DesignerEnrollment", "observer": "ObserverEnrollment"}

// enrolments are those of whoever asks: one may teach a course and attend it.
func (c canvasCall) enrolments(x *CanvasCourse) []map[string]any {
	me, out := c.token.user, []map[string]any{}
	add := func(kind string) {
		state := "active"
		if slices.Contains(x.Invited, me) {
			state = "invited"
		}
		out = append(out, map[string]any{"type": kind, "role": canvasRoles[kind], "user_id": c.id(me), "enrollment_state": state, "limit_privileges_to_course_section": false})
	}
	if slices.Contains(x.Teachers, me) {
		add("teacher")
	}
	if kind := x.Others[me]; kind != "" {
		add(kind)
	}
	if slices.Contains(x.Students, me) {
		add("student")
	}
	return out
}

// allCourses answers "List your courses": to students and observers those that are
// available, to others all but deleted ones; enrollment_type and state[] ask for fewer.
func (c canvasCall) allCourses() {
	q := c.r.URL.Query()
	var all []map[string]any
	for _, id := range slices.Sorted(maps.Keys(c.v.courses)) {
		x := c.v.courses[id]
		state, shown := orElse(x.State, "available"), false
		for _, e := range c.enrolments(x) {
			kind := e["type"].(string)
			attends := kind == "student" || kind == "observer"
			fits := state == "available" || !attends && state != "deleted"
			if states := q["state[]"]; len(states) > 0 {
				fits = slices.Contains(states, state)
			}
			if want := q.Get("enrollment_type"); fits && (want == "" || want == kind) {
				shown = true
			}
		}
		switch {
		case !shown:
		case x.Closed: // of such a course Canvas names the number alone
			all = append(all, map[string]any{"id": c.id(x.ID), "access_restricted_by_date": true})
		default:
			all = append(all, c.courseJSON(x))
		}
	}
	c.list(all)
}

func (c canvasCall) course() {
	x := c.v.courses[c.v.canvasID(c.r.PathValue("id"))]
	switch {
	case x == nil:
		canvasNone(c.w)
	case !c.member(x):
		c.forbidden()
	default:
		writeJSON(c.w, http.StatusOK, c.courseJSON(x))
	}
}

func (c canvasCall) member(x *CanvasCourse) bool {
	return len(c.enrolments(x)) > 0
}

func (c canvasCall) group() {
	g := c.v.groups[c.v.canvasID(c.r.PathValue("group_id"))]
	switch {
	case g == nil:
		canvasNone(c.w)
	case !slices.Contains(g.Members, c.token.user):
		c.forbidden()
	default:
		writeJSON(c.w, http.StatusOK, map[string]any{"id": c.id(g.ID), "name": g.Name, "context_type": "Course"})
	}
}

// context is the place that a path names, in the words of a seed.
func (c canvasCall) context() string {
	for kind, name := range map[string]string{"courses": "course_id", "groups": "group_id", "users": "user_id"} {
		if text := c.r.PathValue(name); text != "" {
			return kind + "/" + strconv.FormatInt(c.self(text), 10)
		}
	}
	return ""
}

// A canvasRight is what somebody may see of a context.
type canvasRight int

const (
	canvasNowhere canvasRight = iota // there is no such context
	canvasOutside                    // not theirs
	canvasNoList                     // single files that are shown elsewhere, and no lists
	canvasReads
	canvasManages // what is hidden and locked, too
)

func (c canvasCall) right(context string) canvasRight {
	kind, text, _ := strings.Cut(context, "/")
	id, _ := strconv.ParseInt(text, 10, 64)
	me := c.token.user
	switch kind {
	case "courses":
		x := c.v.courses[id]
		switch {
		case x == nil:
			return canvasNowhere
		case slices.Contains(x.Teachers, me), slices.Contains([]string{"ta", "designer"}, x.Others[me]):
			return canvasManages
		case !slices.Contains(x.Students, me) && x.Others[me] == "":
			return canvasOutside
		case x.FilesHidden:
			return canvasNoList
		}
		return canvasReads
	case "groups":
		g := c.v.groups[id]
		switch {
		case g == nil:
			return canvasNowhere
		case !slices.Contains(g.Members, me):
			return canvasOutside
		}
		return canvasManages
	case "users":
		switch {
		case c.v.user(id).ID == 0:
			return canvasNowhere
		case id != me:
			return canvasOutside
		}
		return canvasManages
	}
	return canvasNowhere
}

// may refuses who may not list a context.
func (c canvasCall) may(context string, least canvasRight) (canvasRight, bool) {
	r := c.right(context)
	switch {
	case r == canvasNowhere:
		canvasNone(c.w)
	case r < least:
		c.forbidden()
	default:
		return r, true
	}
	return r, false
}

// shown reports whether a folder, and all above it, is not hidden.
func (v *Canvas) shown(id int64) bool {
	for range 100 {
		f := v.folders[id]
		if f == nil || f.Hidden {
			return false
		}
		if f.Parent == 0 {
			return true
		}
		id = f.Parent
	}
	return false
}

func (c canvasCall) foldersOf() {
	context := c.context()
	r, ok := c.may(context, canvasReads)
	if !ok {
		return
	}
	c.listFolders(r, func(f *CanvasFolder) bool { return f.Context == context })
}

func (c canvasCall) listFolders(r canvasRight, match func(*CanvasFolder) bool) {
	var all []map[string]any
	for _, id := range slices.Sorted(maps.Keys(c.v.folders)) {
		if f := c.v.folders[id]; match(f) && (r == canvasManages || c.v.shown(id)) {
			all = append(all, c.folderJSON(f))
		}
	}
	c.list(all)
}

func (c canvasCall) folderJSON(f *CanvasFolder) map[string]any {
	kind, id, _ := strings.Cut(f.Context, "/")
	n, _ := strconv.ParseInt(id, 10, 64)
	full, at := f.Name, f
	for range 100 {
		if at = c.v.folders[at.Parent]; at == nil {
			break
		}
		full = at.Name + "/" + full
	}
	self := c.origin() + "/api/v1/folders/" + strconv.FormatInt(f.ID, 10)
	return map[string]any{
		"id": c.id(f.ID), "name": f.Name, "full_name": full, "context_id": c.id(n), "context_type": strings.ToUpper(kind[:1]) + strings.TrimSuffix(kind[1:], "s"),
		"parent_folder_id": c.id(f.Parent), "created_at": "2026-08-01T08:00:00Z", "updated_at": "2026-08-01T08:00:00Z", "lock_at": nil, "unlock_at": nil, "position": nil,
		"locked": false, "folders_url": self + "/folders", "files_url": self + "/files", "files_count": 0, "folders_count": 0, "hidden": nilUnless(f.Hidden),
		"locked_for_user": false, "hidden_for_user": false, "for_submissions": f.ForSubmissions, "can_upload": false,
	}
}

func nilUnless(b bool) any {
	if b {
		return true
	}
	return nil
}

func (c canvasCall) folder() {
	var f *CanvasFolder
	if context := c.context(); c.r.PathValue("id") == "root" {
		f = c.v.folders[c.v.root(context)]
	} else if f = c.v.folders[c.v.canvasID(c.r.PathValue("id"))]; f != nil && context != "" && f.Context != context {
		f = nil
	}
	if f == nil {
		canvasNone(c.w)
		return
	}
	r, ok := c.may(f.Context, canvasReads)
	switch {
	case !ok:
	case r != canvasManages && !c.v.shown(f.ID):
		c.forbidden()
	default:
		writeJSON(c.w, http.StatusOK, c.folderJSON(f))
	}
}

func (c canvasCall) folderFolders() {
	f := c.v.folders[c.v.canvasID(c.r.PathValue("id"))]
	if f == nil {
		canvasNone(c.w)
	} else if r, ok := c.may(f.Context, canvasReads); ok {
		c.listFolders(r, func(x *CanvasFolder) bool { return x.Parent == f.ID })
	}
}

// byPath answers the chain of folders from the root to the one that is named.
func (c canvasCall) byPath() {
	context := c.context()
	r, ok := c.may(context, canvasReads)
	if !ok {
		return
	}
	at := c.v.folders[c.v.root(context)]
	chain := []map[string]any{c.folderJSON(at)}
	for _, name := range strings.Split(c.r.PathValue("full_path"), "/") {
		if name == "" {
			continue
		}
		var next *CanvasFolder
		for _, f := range c.v.folders {
			if f.Parent == at.ID && f.Name == name && (r == canvasManages || c.v.shown(f.ID)) {
				next = f
			}
		}
		if at = next; at == nil {
			canvasNone(c.w)
			return
		}
		chain = append(chain, c.folderJSON(at))
	}
	writeJSON(c.w, http.StatusOK, chain)
}

func (c canvasCall) modules() {
	x := c.v.courses[c.v.canvasID(c.r.PathValue("course_id"))]
	if x == nil || !c.member(x) {
		c.course404(x)
		return
	}
	var all []map[string]any
	for _, m := range x.Modules {
		if m.Unpublished && !slices.Contains(x.Teachers, c.token.user) {
			continue
		}
		out := map[string]any{
			"id": c.id(m.ID), "name": m.Name, "position": len(all) + 1, "items_count": len(m.Items),
			"items_url": fmt.Sprintf("%s/api/v1/courses/%d/modules/%d/items", c.origin(), x.ID, m.ID),
		}
		if !c.v.sw.Bare && slices.Contains(c.r.URL.Query()["include[]"], "items") {
			out["items"] = c.items(x, m)
		}
		all = append(all, out)
	}
	c.list(all)
}

func (c canvasCall) course404(x *CanvasCourse) {
	if x == nil {
		canvasNone(c.w)
	} else {
		c.forbidden()
	}
}

func (c canvasCall) items(x *CanvasCourse, m CanvasModule) []map[string]any {
	out := []map[string]any{}
	for n, i := range m.Items {
		item := map[string]any{"id": c.id(m.ID*1000 + int64(n)), "module_id": c.id(m.ID), "position": n + 1, "title": i.Title, "indent": 0, "type": "SubHeader"}
		if i.File != 0 {
			item["type"], item["content_id"] = "File", c.id(i.File)
			item["url"] = fmt.Sprintf("%s/api/v1/courses/%d/files/%d", c.origin(), x.ID, i.File)
		}
		out = append(out, item)
	}
	return out
}

func (c canvasCall) moduleItems() {
	x := c.v.courses[c.v.canvasID(c.r.PathValue("course_id"))]
	if x == nil || !c.member(x) {
		c.course404(x)
		return
	}
	for _, m := range x.Modules {
		if m.ID == c.v.canvasID(c.r.PathValue("module_id")) && (!m.Unpublished || slices.Contains(x.Teachers, c.token.user)) {
			c.list(c.items(x, m))
			return
		}
	}
	canvasNone(c.w)
}

// origin is where the request came to.
func (c canvasCall) origin() string { return canvasOrigin(c.r, c.r.Host) }

func canvasOrigin(r *http.Request, host string) string {
	if r.TLS == nil {
		return "http://" + host
	}
	return "https://" + host
}

// list sends a page, and where the others are (doc "Pagination").
func (c canvasCall) list(all []map[string]any) {
	q := c.r.URL.Query()
	size := atoiOr(q.Get("per_page"), 10)
	size = max(1, min(size, orElse(c.v.sw.MaxPage, 100)))
	page := max(1, atoiOr(strings.TrimPrefix(q.Get("page"), "bookmark:"), 1))
	start := min((page-1)*size, len(all))
	end := min(start+size, len(all))
	var links []string
	link := func(rel string, n int) {
		next := maps.Clone(map[string][]string(q))
		next["page"], next["per_page"] = []string{"bookmark:" + strconv.Itoa(n)}, []string{strconv.Itoa(size)}
		host := c.r.Host
		if rel == "next" {
			host = cmp.Or(c.v.sw.NextHost, host)
		}
		links = append(links, fmt.Sprintf(`<%s%s?%s>; rel="%s"`, canvasOrigin(c.r, host), c.r.URL.EscapedPath(), url.Values(next).Encode(), rel))
	}
	link("current", page)
	if end < len(all) {
		link("next", page+1)
	}
	link("first", 1)
	c.w.Header().Set("Link", strings.Join(links, ","))
	if start == end {
		writeJSON(c.w, http.StatusOK, []any{})
		return
	}
	writeJSON(c.w, http.StatusOK, all[start:end])
}

func atoiOr(text string, usual int) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return usual
	}
	return int(min(int64(n), math.MaxInt32))
}
