package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// A member is one of a JSON object. value is a string, a bool, a json.Number,
// nil, or a []any of these.
type member struct {
	key   string
	value any
}

var errNested = errors.New("a value is an object, or a list within a list")

// readJSON reads one JSON value that is an object or a list of flat values. Keys
// come once: Python takes the last of two, and so does Go, but nobody has to.
func readJSON(text []byte) (object []member, list []any, err error) {
	if !utf8.Valid(text) || loneSurrogate(text) {
		return nil, nil, errors.New("it is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	first, err := d.Token()
	switch {
	case err != nil:
		return nil, nil, errors.New("it is no JSON")
	case first == json.Delim('{'):
		object, err = readObject(d)
	case first == json.Delim('['):
		list, err = readList(d)
	default:
		return nil, nil, errors.New("it is neither an object nor a list")
	}
	if err != nil {
		return nil, nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, nil, errors.New("something stands behind it")
	}
	return object, list, nil
}

func readObject(d *json.Decoder) ([]member, error) {
	out := []member{}
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		key, ok := token.(string)
		if err != nil || !ok {
			return nil, errors.New("it is no JSON")
		}
		if folded := strings.ToLower(key); seen[folded] {
			return nil, errors.New("it names one thing twice")
		} else {
			seen[folded] = true
		}
		value, err := readFlat(d, true)
		if err != nil {
			return nil, err
		}
		out = append(out, member{key, value})
	}
	if _, err := d.Token(); err != nil {
		return nil, errors.New("it is no JSON")
	}
	return out, nil
}

func readList(d *json.Decoder) ([]any, error) {
	out := []any{}
	for d.More() {
		value, err := readFlat(d, false)
		if err != nil {
			return nil, err
		}
		out = append(out, value)
	}
	if _, err := d.Token(); err != nil {
		return nil, errors.New("it is no JSON")
	}
	return out, nil
}

func readFlat(d *json.Decoder, lists bool) (any, error) {
	token, err := d.Token()
	switch {
	case err != nil:
		return nil, errors.New("it is no JSON")
	case token == json.Delim('[') && lists:
		return readList(d)
	}
	if _, nested := token.(json.Delim); nested {
		return nil, errNested
	}
	return token, nil
}

// loneSurrogate reports whether half of a \u pair stands alone, which Go would
// replace and Python keep.
func loneSurrogate(text []byte) bool {
	var high bool
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			if high {
				return true
			}
			continue
		}
		i++
		surrogate := byte(0)
		if text[i] == 'u' && i+2 < len(text) && (text[i+1]|0x20) == 'd' {
			surrogate = text[i+2] | 0x20
		}
		isHigh := surrogate == '8' || surrogate == '9' || surrogate == 'a' || surrogate == 'b'
		isLow := surrogate >= 'c' && surrogate <= 'f'
		if high != isLow {
			return true
		}
		high = isHigh
		if surrogate != 0 {
			i = min(i+4, len(text)-1)
		}
	}
	return high
}

// writeJSON writes what readJSON read.
func writeJSON(object []member, list []any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	put := func(v any) error {
		if err := e.Encode(v); err != nil {
			return err
		}
		b.Truncate(b.Len() - 1) // Encode ends with a newline
		return nil
	}
	if list != nil {
		err := put(list)
		return b.Bytes(), err
	}
	b.WriteByte('{')
	for i, m := range object {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := put(m.key); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := put(m.value); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func jsonPayload(object []member, list []any) (*payload, error) {
	text, err := writeJSON(object, list)
	if err != nil {
		return nil, wrongJSON("it cannot be written again")
	}
	return &payload{kind: "application/json", length: int64(len(text)), from: bytes.NewReader(text)}, nil
}

// readJSONBody reads the body of a request that has to be JSON.
func readJSONBody(r request, body io.Reader) ([]member, []any, error) {
	if r.media != "application/json" {
		return nil, nil, wrongBody(415, "it is not application/json")
	}
	text, err := readAll(r, body, maxJSON)
	if err != nil {
		return nil, nil, err
	}
	object, list, err := readJSON(text)
	if err != nil {
		return nil, nil, wrongJSON(err.Error())
	}
	return object, list, nil
}

// What a push may name.
var (
	pushTexts = []string{"name", "version", "targetindex", "posturl", "username", "password"}
	pushFlags = []string{"register_project", "no_docs", "only_docs"}
)

// openPush reads what is to be pushed where: devpi's pushrelease.
func (a action) openPush(r request, body io.Reader) (action, *payload, error) {
	object, list, err := readJSONBody(r, body)
	if err != nil {
		return a, nil, err
	}
	if list != nil {
		return a, nil, wrongJSON("it is a list")
	}
	values := map[string]string{}
	for _, m := range object {
		switch value := m.value.(type) {
		case string:
			if !slices.Contains(pushTexts, m.key) {
				return a, nil, wrongJSON("it names what a push does not have")
			}
			values[m.key] = value
		case bool:
			if !slices.Contains(pushFlags, m.key) {
				return a, nil, wrongJSON("it names what a push does not have")
			}
		default:
			return a, nil, wrongJSON("a value is neither a text nor true or false")
		}
	}
	a, err = a.pushed(values)
	if err != nil {
		return a, nil, err
	}
	p, err := jsonPayload(object, nil)
	return a, p, err
}

func (a action) pushed(values map[string]string) (action, error) {
	name, version, target := values["name"], values["version"], values["targetindex"]
	_, inward := values["targetindex"]
	if !oneLine(name) || !oneLine(version) {
		return a, wrongJSON("a push needs a name and a version")
	}
	a.version, a.projects = version, []string{name}
	for _, key := range []string{"posturl", "username", "password"} {
		if _, ok := values[key]; ok == inward {
			return a, wrongJSON("a push goes either to targetindex, or to posturl with username and password")
		}
	}
	if !inward {
		a.name, a.outward, a.checks = "push-out", true, []string{"pkg_read"}
		return a, nil
	}
	if !isIndex(target) {
		return a, wrongJSON("targetindex is not USER/INDEX")
	}
	a.target, a.indexes = target, append([]string{target}, a.indexes...)
	return a, nil
}

// isIndex reports whether something is USER/INDEX.
func isIndex(s string) bool {
	user, index, _ := strings.Cut(s, "/")
	return ambiguous(user) == "" && ambiguous(index) == "" && !strings.Contains(s, "+")
}

// oneLine reports whether something can be a name or a version.
func oneLine(s string) bool {
	return s != "" && len(s) <= 200 && utf8.ValidString(s) && !strings.ContainsFunc(s, unprintable)
}

// openChange reads how an index is to be: an object, or a list of KEY=VALUE,
// KEY+=VALUE and KEY-=VALUE. Its bases count as touched: whoever may read the
// index reads them through it.
func (a action) openChange(r request, body io.Reader) (action, *payload, error) {
	object, list, err := readJSONBody(r, body)
	if err != nil {
		return a, nil, err
	}
	if list != nil && a.name == "index-create" {
		return a, nil, wrongJSON("it is a list")
	}
	for _, m := range object {
		if a, err = a.changed(m.key, m.value); err != nil {
			return a, nil, err
		}
	}
	for _, item := range list {
		text, ok := item.(string)
		key, value, assigns := strings.Cut(text, "=")
		if !ok || !assigns {
			return a, nil, wrongJSON("an item is not KEY=VALUE")
		}
		if key == "bases-" {
			continue
		}
		shorter, removes := strings.CutSuffix(key, "-")
		if !removes {
			shorter = strings.TrimSuffix(key, "+")
		}
		if a, err = a.changed(shorter, value); err != nil {
			return a, nil, err
		}
	}
	p, err := jsonPayload(object, list)
	return a, p, err
}

func (a action) changed(key string, value any) (action, error) {
	if key == "" || key[0] == '_' || key == "result" || strings.Trim(key, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
		return a, wrongJSON("it names what an index does not have") // devpi unwraps "result"
	}
	if strings.HasPrefix(key, "acl_") {
		a.grants = true
	}
	if key == "mirror_url" {
		a.outward = true
	}
	if key != "bases" {
		return a, nil
	}
	values, ok := value.([]any)
	if !ok {
		values = []any{value}
	}
	for _, v := range values {
		text, ok := v.(string)
		if !ok {
			return a, wrongJSON("bases are not written as text")
		}
		for base := range strings.SplitSeq(text, ",") {
			if base = strings.TrimSpace(base); base != "" {
				a.bases = append(a.bases, base)
			}
		}
	}
	return a, nil
}
