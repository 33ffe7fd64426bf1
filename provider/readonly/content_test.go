package readonly

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass"
)

func TestContent(t *testing.T) {
	const text = "0123456789"
	good := daypass.Item{Size: 10, Sum: "md5:781e5e245d69b566979b86e28d23f2c7"}
	for name, c := range map[string]struct {
		it     daypass.Item
		from   int64
		status int
		header string // Content-Range
		body   string
		want   string
		err    error
	}{
		"whole":                   {it: good, status: 200, body: text, want: text},
		"another sum":             {it: good, status: 200, body: "9876543210", err: daypass.ErrChanged},
		"another size":            {it: good, status: 200, body: text + text, err: daypass.ErrChanged},
		"half":                    {it: good, status: 200, body: text[:5], err: daypass.ErrChanged},
		"half, no sum":            {it: daypass.Item{Size: 10}, status: 200, body: text[:5], err: daypass.ErrChanged},
		"half of a part":          {it: good, from: 4, status: 206, header: "bytes 4-9/10", body: text[4:6], err: daypass.ErrChanged},
		"a part":                  {it: good, from: 4, status: 206, header: "bytes 4-9/10", body: text[4:], want: text[4:]},
		"a part of another whole": {it: good, from: 4, status: 206, header: "bytes 4-10/11", body: text[4:] + "x", err: daypass.ErrChanged},
		"another part":            {it: good, from: 4, status: 206, header: "bytes 3-9/10", body: text[3:], err: daypass.ErrChanged},
		"a part, said badly":      {it: good, from: 4, status: 206, header: "4-9", body: text[4:], err: daypass.ErrChanged},
		"a part without a total":  {it: good, from: 4, status: 206, header: "bytes 4-9/*", body: text[4:], want: text[4:]},
		"no ranges there":         {it: good, from: 4, status: 200, body: text, want: text[4:]},
		"no ranges, another sum":  {it: good, from: 4, status: 200, body: "9876543210", err: daypass.ErrChanged},
		"at the end":              {it: good, from: 10, status: 416, want: ""},
		"shrunk":                  {it: good, from: 9, status: 416, err: daypass.ErrChanged},
		"of unknown size":         {it: daypass.Item{Size: -1}, status: 200, body: text, want: text},
		"unknown, beyond the end": {it: daypass.Item{Size: -1}, from: 50, status: 200, body: text, want: ""},
	} {
		for _, length := range []int64{int64(len(c.body)), -1} {
			res := &http.Response{StatusCode: c.status, ContentLength: length, Header: http.Header{"Content-Range": {c.header}}, Body: io.NopCloser(strings.NewReader(c.body))}
			r, err := Content("h.example", res, c.it, c.from)
			var got []byte
			if err == nil {
				got, err = io.ReadAll(r)
			}
			if c.err != nil && !errors.Is(err, c.err) || c.err == nil && (err != nil || string(got) != c.want) {
				t.Errorf("%s, length %d: %q, %v", name, length, got, err)
			}
		}
	}
}
