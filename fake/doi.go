package fake

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

// DOI is a stand-in for doi.org: its interface to the Handle system, and the redirects
// of its pages (www.doi.org/the-identifier/resources/factsheets). It is safe for
// concurrent use.
type DOI struct {
	deposits
	names map[string]string // the address of each
}

// NewDOI returns a proxy that knows these DOIs and handles; one without an address is
// registered, and stands for none.
func NewDOI(names map[string]string, now func() time.Time) *DOI {
	d := &DOI{names: map[string]string{}}
	d.init(now, "")
	for k, v := range names {
		d.names[strings.ToLower(k)] = v
	}
	return d
}

func (d *DOI) ServeHTTP(w http.ResponseWriter, r *http.Request) { d.serve(w, r, d.answer) }

func (d *DOI) answer(w http.ResponseWriter, r *http.Request, _ string) {
	path, err := url.PathUnescape(strings.TrimPrefix(r.URL.EscapedPath(), "/"))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	name, asked := strings.CutPrefix(path, "api/handles/")
	at, ok := d.names[strings.ToLower(name)]
	switch {
	case !asked && ok && at != "":
		w.Header().Set("Location", at)
		w.WriteHeader(http.StatusFound)
	case !asked:
		w.WriteHeader(http.StatusNotFound)
	case !ok:
		writeValue(w, http.StatusNotFound, map[string]any{"responseCode": 100, "handle": name})
	default:
		values := []any{map[string]any{"index": 700050, "type": "700050", "data": map[string]any{"format": "string", "value": "20260901"}, "ttl": 86400}}
		if at != "" {
			values = append(values, map[string]any{"index": 1, "type": "URL", "data": map[string]any{"format": "string", "value": at}, "ttl": 86400})
		}
		values = append(values, map[string]any{"index": 100, "type": "HS_ADMIN", "data": map[string]any{"format": "admin", "value": map[string]any{"handle": "10.admin/codata", "index": 300}}, "ttl": 86400})
		writeValue(w, http.StatusOK, map[string]any{"responseCode": 1, "handle": name, "values": values})
	}
}
