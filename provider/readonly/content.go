package readonly

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"hash/adler32"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/daypass-dev/daypass"
)

// SetRange asks for a file's bytes from an offset on, as they are and not packed.
func SetRange(req *http.Request, from int64) {
	req.Header.Set("Accept-Encoding", "identity")
	if from > 0 {
		req.Header.Set("Range", "bytes="+strconv.FormatInt(from, 10)+"-")
	}
}

// Content is what an answer of status 200, 206 or 416 to [SetRange] holds of an item.
// It holds the bytes to what was listed: another size, or read from the beginning
// another sum, is [daypass.ErrChanged], from here or from Read at the latest at the
// end. A host that knows no ranges is read past the beginning.
func Content(host string, res *http.Response, it daypass.Item, from int64) (io.ReadCloser, error) {
	start, total := from, int64(-1)
	switch res.StatusCode {
	case http.StatusRequestedRangeNotSatisfiable:
		res.Body.Close()
		if from < it.Size {
			return nil, Changed(host)
		}
		return io.NopCloser(strings.NewReader("")), nil
	case http.StatusPartialContent:
		var ok bool
		if start, total, ok = contentRange(res.Header.Get("Content-Range")); !ok || start != from {
			res.Body.Close()
			return nil, Changed(host)
		}
	default:
		start, total = 0, res.ContentLength
	}
	if total >= 0 && it.Size >= 0 && total != it.Size {
		res.Body.Close()
		return nil, Changed(host)
	}
	c := &content{host: host, body: res.Body, at: start, size: it.Size}
	c.setSum(it.Sum)
	if from > start {
		n, err := io.CopyN(io.Discard, c, from-start)
		if err == io.EOF && n >= 0 {
			err = nil
		}
		if err != nil {
			res.Body.Close()
			return nil, err
		}
	}
	return c, nil
}

// contentRange reads "bytes 5-9/10" (RFC 9110, 14.4); the total is -1 where it is
// not said.
func contentRange(v string) (start, total int64, ok bool) {
	rest, ok := strings.CutPrefix(v, "bytes ")
	span, size, ok2 := strings.Cut(rest, "/")
	first, _, ok3 := strings.Cut(span, "-")
	start, err := strconv.ParseInt(first, 10, 64)
	total, err2 := strconv.ParseInt(size, 10, 64)
	if size == "*" {
		total, err2 = -1, nil
	}
	return start, total, ok && ok2 && ok3 && err == nil && err2 == nil
}

// A content reads bytes and holds them to what was listed.
type content struct {
	host string
	body io.ReadCloser
	at   int64 // where in the file
	size int64 // of the file; below 0: not known
	sum  hash.Hash
	want string
}

func (c *content) setSum(listed string) {
	kind, want, _ := strings.Cut(listed, ":")
	if c.at != 0 {
		return
	}
	switch kind {
	case "md5":
		c.sum = md5.New()
	case "sha1":
		c.sum = sha1.New()
	case "sha256":
		c.sum = sha256.New()
	case "adler32":
		c.sum = adler32.New()
	}
	c.want = want
}

func (c *content) Read(p []byte) (int, error) {
	n, err := c.body.Read(p)
	c.at += int64(n)
	if c.sum != nil {
		c.sum.Write(p[:n])
	}
	switch {
	case c.size >= 0 && c.at > c.size && n > 0:
		return 0, Changed(c.host)
	case err == io.EOF && c.size >= 0 && c.at < c.size:
		return n, Changed(c.host)
	case err == io.EOF && c.sum != nil && hex.EncodeToString(c.sum.Sum(nil)) != c.want:
		return n, Changed(c.host)
	case err != nil && err != io.EOF:
		err = Failure(c.host, err)
	}
	return n, err
}

func (c *content) Close() error { return c.body.Close() }

// Changed is the error of bytes that are not those that were listed.
func Changed(host string) error {
	return &daypass.Problem{
		Code: "DP-413", What: "A file at " + host + " is not as it was listed", Why: "it changed meanwhile, or did not arrive whole",
		Next: "Try again in a minute.", Kind: daypass.ErrUnreachable, Err: daypass.ErrChanged,
	}
}
