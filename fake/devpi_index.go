package fake

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

func (ix *devpiIndex) config() map[string]any {
	return map[string]any{
		"type": "stage", "volatile": ix.volatile, "bases": append([]string{}, ix.bases...), "acl_upload": append([]string{}, ix.upload...),
		"acl_toxresult_upload": append([]string{}, ix.results...), "mirror_whitelist": []string{}, "mirror_whitelist_inheritance": "intersection",
	}
}

// installers ask an index and a project for their simple pages without saying so.
var installers = regexp.MustCompile(`^(distribute|setuptools|pip|pex|uv)/`)

func (c *devpiCall) installs() bool { return installers.MatchString(c.r.UserAgent()) }

func (c *devpiCall) serveIndex(user, name string, slash bool) {
	ix := c.index(user + "/" + name)
	switch c.r.Method {
	case http.MethodPut:
		c.putIndex(user, name, ix)
		return
	case http.MethodPatch, http.MethodDelete:
		// An index that is not there is nobody's.
		if ix == nil || !c.rules(user) {
			c.forbid()
			return
		}
	}
	switch {
	case ix == nil:
		c.noIndex(user, name)
	case c.r.Method == http.MethodGet && c.installs() && slash:
		c.simpleList(ix, slash)
	case c.r.Method == http.MethodGet:
		m := ix.config()
		if !c.r.URL.Query().Has("no_projects") {
			m["projects"] = ix.names()
		}
		c.give(http.StatusOK, "indexconfig", m)
	case c.r.Method == http.MethodPatch:
		c.patchIndex(ix)
	case c.r.Method == http.MethodDelete && !ix.volatile:
		c.say(http.StatusForbidden, "index "+ix.path()+" non-volatile, cannot delete")
	case c.r.Method == http.MethodDelete:
		delete(c.users[user].indexes, name)
		c.say(http.StatusCreated, "index "+ix.path()+" deleted")
	case c.r.Method == http.MethodPost && c.form.has(":action"):
		c.submit(ix)
	case c.r.Method == http.MethodPost, c.r.Method == "PUSH":
		c.push(ix)
	default:
		c.nowhere()
	}
}

func (c *devpiCall) putIndex(user, name string, ix *devpiIndex) {
	fields, ok := c.body()
	if !ok {
		return
	}
	switch {
	case c.users[user] == nil:
		c.say(http.StatusNotFound, "no user '"+user+"'")
		return
	case !c.rules(user):
		c.say(http.StatusForbidden, "no permission to create index "+user+"/"+name)
		return
	case ix != nil:
		c.say(http.StatusConflict, "index '"+ix.path()+"' exists")
		return
	}
	ix = newDevpiIndex(user, name)
	if c.change(ix, fields) {
		c.users[user].indexes[name] = ix
		c.give(http.StatusOK, "indexconfig", ix.config())
	}
}

// patchIndex takes an object, or a list of key=value, key+=value and key-=value.
func (c *devpiCall) patchIndex(ix *devpiIndex) {
	var raw any
	if json.NewDecoder(c.r.Body).Decode(&raw) != nil {
		c.say(http.StatusBadRequest, "Bad request: could not decode json")
		return
	}
	fields, ok := raw.(map[string]any)
	if lines, isList := raw.([]any); isList {
		fields, ok = ix.added(lines)
	}
	if !ok {
		c.say(http.StatusBadRequest, "Bad request: this is no change of an index")
		return
	}
	if c.change(ix, fields) {
		c.give(http.StatusOK, "indexconfig", ix.config())
	}
}

func (ix *devpiIndex) added(lines []any) (map[string]any, bool) {
	fields := ix.config()
	for _, line := range lines {
		text, _ := line.(string)
		key, value, ok := strings.Cut(text, "=")
		if !ok || key == "" {
			return nil, false
		}
		name := strings.TrimRight(key, "+-")
		before, _ := fields[name].([]string)
		switch key[len(key)-1] {
		case '+':
			fields[name] = append(slices.Clone(before), devpiList(value)...)
		case '-':
			gone := devpiList(value)
			fields[name] = slices.DeleteFunc(slices.Clone(before), func(v string) bool { return slices.Contains(gone, v) })
		default:
			fields[name] = value
		}
	}
	return fields, true
}

// devpiList reads a list, or text with commas.
func devpiList(v any) []string {
	var out []string
	switch v := v.(type) {
	case []string:
		return v
	case []any:
		for _, item := range v {
			out = append(out, fmt.Sprint(item))
		}
	case string:
		for _, item := range strings.Split(v, ",") {
			if item = strings.TrimSpace(item); item != "" {
				out = append(out, item)
			}
		}
	}
	return out
}

// change sets what is said of an index. All of it, or nothing where a base is not
// there.
func (c *devpiCall) change(ix *devpiIndex, fields map[string]any) bool {
	bases := ix.bases
	if v, ok := fields["bases"]; ok {
		bases = devpiList(v)
	}
	for _, b := range bases {
		if c.index(b) == nil && b != ix.path() {
			c.say(http.StatusBadRequest, "base index '"+b+"' does not exist")
			return false
		}
	}
	ix.bases = bases
	if v, ok := fields["volatile"]; ok {
		ix.volatile = v == true || slices.Contains([]string{"true", "yes", "1", "on"}, strings.ToLower(fmt.Sprint(v)))
	}
	if v, ok := fields["acl_upload"]; ok {
		ix.upload = devpiList(v)
	}
	if v, ok := fields["acl_toxresult_upload"]; ok {
		ix.results = devpiList(v)
	}
	return true
}

// may reports whether whoever asks may upload to an index; root may not by itself.
func (c *devpiCall) may(ix *devpiIndex) bool {
	return slices.Contains(ix.upload, ":ANONYMOUS:") || c.who != "" && slices.Contains(ix.upload, c.who) ||
		c.who != "" && slices.Contains(ix.upload, ":AUTHENTICATED:")
}

// mayDelete reports whether whoever asks may delete what is in an index.
func (c *devpiCall) mayDelete(ix *devpiIndex) bool { return c.may(ix) || c.rules(ix.user) }
