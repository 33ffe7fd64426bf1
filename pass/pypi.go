package pass

import (
	"bytes"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// isJSON reports whether a caveat is of PyPI's kind, in warehouse's or
// pypitoken's forms.
func isJSON(caveat string) bool {
	return caveat != "" && (caveat[0] == '[' || caveat[0] == '{')
}

// narrowJSON reads warehouse's list forms and the object forms that came
// before. What is not exactly one of them, with whole numbers and without a
// further field, is not understood.
func (r *Rights) narrowJSON(caveat string) error {
	v, err := strictJSON(caveat)
	if err != nil {
		return errJSONForm
	}
	switch v := v.(type) {
	case []any:
		return r.narrowList(v)
	case members:
		return r.narrowObject(v)
	}
	return errJSONForm
}

func (r *Rights) narrowList(v []any) error {
	if len(v) == 0 {
		return errJSONForm
	}
	switch v[0] {
	case json.Number("0"):
		if len(v) == 3 {
			return r.narrowDates(v[1], v[2])
		}
	case json.Number("1"):
		if len(v) == 2 {
			return r.narrowProjects(v[1])
		}
	}
	return errJSONForm // [2, …] and [3, …] are PyPI's own to judge
}

func (r *Rights) narrowObject(v members) error {
	if exp, nbf := v["exp"], v["nbf"]; exp != nil && nbf != nil && len(v) == 2 {
		return r.narrowDates(exp, nbf)
	}
	if v["version"] != json.Number("1") || len(v) != 2 {
		return errJSONForm
	}
	switch p := v["permissions"].(type) {
	case string:
		if p == "user" {
			return nil
		}
	case members:
		if list, ok := p["projects"]; ok && len(p) == 1 {
			return r.narrowProjects(list)
		}
	}
	return errJSONForm
}

func (r *Rights) narrowDates(exp, nbf any) error {
	end, ok := wholeNumber(exp)
	begin, too := wholeNumber(nbf)
	if !ok || !too {
		return errJSONForm
	}
	r.Limited |= KindExpires | KindNotBefore
	r.end(end)
	r.begin(begin)
	return nil
}

// wholeNumber reads a number, or one in a string, as pypitoken did.
func wholeNumber(v any) (int64, bool) {
	switch v := v.(type) {
	case json.Number:
		return seconds(v.String())
	case string:
		return seconds(v)
	}
	return 0, false
}

func (r *Rights) narrowProjects(v any) error {
	list, ok := v.([]any)
	if !ok {
		return errJSONForm
	}
	if len(list) > maxItems {
		return errTooMany
	}
	names := make([]string, 0, len(list))
	for _, item := range list {
		s, ok := item.(string)
		if !ok {
			return errJSONForm
		}
		if name := NormalProject(strings.TrimSpace(s)); name != "" && r.Projects.Has(name) {
			names = append(names, name)
		}
	}
	r.Limited |= KindProjects
	r.Projects = Set{Names: names}
	return nil
}

func describeJSON(caveat string) (Row, bool) {
	v, err := strictJSON(caveat)
	if err != nil {
		return Row{}, false
	}
	var first string
	switch v := v.(type) {
	case []any:
		if n, ok := firstOf(v).(json.Number); ok {
			first = "[" + n.String() + ","
		}
	case members:
		switch v["permissions"].(type) {
		case string:
			first = `{"version": 1, "permissions": "user"`
		case members:
			first = `{"version": 1, "permissions": {`
		default:
			first = `{"nbf"`
		}
	}
	var r Rights
	err = r.read([]string{caveat})
	for _, row := range table {
		understood := err == nil || row.Readers == ReadByPyPI
		if first != "" && strings.HasPrefix(row.Text, first) && understood {
			return row, true
		}
	}
	return Row{}, false
}

func firstOf(list []any) any {
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

// members is a JSON object.
type members map[string]any

// maxDepth bounds the nesting of JSON that is read.
const maxDepth = 4

// strictJSON reads one JSON value into nil, bool, json.Number, string, []any and
// members. It takes no field twice, no text that two readers could decode in two
// ways, and nothing behind the value.
func strictJSON(text string) (any, error) {
	if !utf8.ValidString(text) || !paired(text) {
		return nil, ErrMalformed
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	v, err := value(d, 0)
	if err != nil {
		return nil, ErrMalformed
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, ErrMalformed
	}
	return v, nil
}

func value(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	if depth > maxDepth {
		return nil, ErrMalformed
	}
	switch t {
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := value(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err
	case json.Delim('{'):
		out := members{}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := value(d, depth+1)
			if err != nil {
				return nil, err
			}
			key, _ := name.(string)
			if _, twice := out[key]; twice {
				return nil, ErrMalformed
			}
			out[key] = v
		}
		_, err = d.Token()
		return out, err
	}
	return t, nil
}

// paired reports whether escaped surrogates come in pairs: the library would put
// U+FFFD in place of a lone one, and so make two texts the same.
func paired(text string) bool {
	low := false // a low surrogate has to come now
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			if low {
				return false
			}
			continue
		}
		i++ // what is escaped is no start of another escape
		if i == len(text) || text[i] != 'u' {
			if low {
				return false
			}
			continue
		}
		if i+4 >= len(text) {
			return false
		}
		n, err := strconv.ParseUint(text[i+1:i+5], 16, 16)
		i += 4
		switch {
		case err != nil, low != (n >= 0xdc00 && n <= 0xdfff):
			return false
		}
		low = n >= 0xd800 && n <= 0xdbff
	}
	return !low
}

// pypiDates and pypiProjects write PyPI's forms as pypitoken does.
func pypiDates(exp, nbf int64) string {
	return "[0, " + strconv.FormatInt(exp, 10) + ", " + strconv.FormatInt(nbf, 10) + "]"
}

func pypiProjects(names []string) string {
	var b bytes.Buffer
	b.WriteString("[1, [")
	for i, name := range names {
		if i > 0 {
			b.WriteString(", ")
		}
		appendPython(&b, name)
	}
	b.WriteString("]]")
	return b.String()
}
