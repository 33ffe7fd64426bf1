// Package webdav reads a folder of a WebDAV server (RFC 4918), such as Nextcloud's or
// rclone's: as everybody, or with a user's name and password, or a token. It asks by
// PROPFIND and GET.
package webdav

import (
	"context"
	"encoding/base64"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/provider/readonly"
)

// A Config is which server is read, and as whom. Host is required.
type Config struct {
	Host string // "dav.example.edu", "127.0.0.1:8080"
	// Prefix is where the server's files begin, such as "/remote.php/dav/files/ada": no
	// part of a source's id.
	Prefix string
	// Token is a bearer token, or with User the password; nil: none is sent.
	Token func(ctx context.Context) (daypass.Secret, error)
	User  string
	// Plain asks by http, at loopback addresses only.
	Plain    bool
	MaxItems int // of a listing; 0 means 100,000
	Pace     daypass.Pace
	Dial     func(ctx context.Context, network, address string) (net.Conn, error)
	Proxy    func(*http.Request) (*url.URL, error)
	Base     http.RoundTripper // for tests
	Now      func() time.Time  // nil means time.Now
}

// WebDAV reads one server. It is a [daypass.Contents]; a source's ID is the path of a
// folder or file, not escaped, without the first "/".
type WebDAV struct {
	Config
	client *http.Client
}

var _ daypass.Contents = (*WebDAV)(nil)

// New returns a reader of a server.
func New(c Config) *WebDAV {
	if c.MaxItems == 0 {
		c.MaxItems = 100_000
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	var bound []readonly.Bound
	switch {
	case c.Token != nil && c.User != "":
		bound = []readonly.Bound{{Host: c.Host, Header: "Authorization", Token: c.basic}}
	case c.Token != nil:
		bound = []readonly.Bound{{Host: c.Host, Token: c.Token}}
	}
	return &WebDAV{Config: c, client: readonly.Client(readonly.Config{
		Hosts: func(host string) bool { return host == c.Host }, Bound: bound, Safe: []string{"PROPFIND"}, Loopback: c.Plain,
		Dial: c.Dial, Proxy: c.Proxy, Base: c.Base, Pace: c.Pace, Retry: readonly.Retry{Now: c.Now},
	})}
}

// basic is the value of a header of basic authentication (RFC 7617).
func (c Config) basic(ctx context.Context) (daypass.Secret, error) {
	password, err := c.Token(ctx)
	if err != nil || password.IsZero() {
		return daypass.Secret{}, err
	}
	return daypass.NewSecret("Basic " + base64.StdEncoding.EncodeToString([]byte(c.User+":"+password.Reveal()))), nil
}

// place is the segments of a source's folder.
func (d *WebDAV) place(s daypass.Source) ([]string, error) {
	path := s.ID
	if s.Path != "" {
		path += "/" + s.Path
	}
	parts := strings.Split(path, "/")
	if s.Kind != daypass.KindWebDAV || s.Host != d.Host || s.Ref != "" || s.ID == "" || len(path) > 4096 || slices.ContainsFunc(parts, odd) {
		return nil, &daypass.Problem{
			Code: "DP-423", What: "This names no folder of the WebDAV server", Why: "it is no path that can be read in one way", Next: "Copy the address of the folder.", Kind: daypass.ErrRefused,
		}
	}
	return parts, nil
}

// odd is a segment that two programs might read in two ways.
func odd(segment string) bool {
	return segment == "" || segment == "." || segment == ".." || strings.ContainsFunc(segment, func(c rune) bool { return c < ' ' || c == 0x7f || c == 0xfffd })
}

// address escapes each segment: a sign of a URL in a name is none.
func (d *WebDAV) address(parts []string, folder bool) string {
	scheme := "https"
	if d.Plain {
		scheme = "http"
	}
	out := scheme + "://" + d.Host + d.Prefix
	for _, p := range parts {
		out += "/" + url.PathEscape(p)
	}
	if folder {
		out += "/"
	}
	return out
}

// ask makes one request; what it returns has one of the statuses wanted.
func (d *WebDAV) ask(ctx context.Context, method, address string, dress func(*http.Request), want ...int) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return nil, readonly.Failure(d.Host, err)
	}
	dress(req)
	res, err := d.client.Do(req)
	if err != nil {
		return nil, readonly.Failure(d.Host, err)
	}
	if slices.Contains(want, res.StatusCode) {
		return res, nil
	}
	return nil, readonly.Refused(d.Host, res, d.Now(), daypass.Problem{
		Code: "DP-424", What: d.Host + " shows no such folder or file", Why: "it does not exist, or may not be read", Next: "Check the address, and whether it is shared.",
	})
}

// Look asks whether the place is there. WebDAV has no version of a folder.
func (d *WebDAV) Look(ctx context.Context, s daypass.Source, _ string) (daypass.Seen, error) {
	parts, err := d.place(s)
	if err != nil {
		return daypass.Seen{}, err
	}
	if _, err := d.propfind(ctx, parts, "0"); err != nil {
		return daypass.Seen{}, err
	}
	return daypass.Seen{Source: s, Title: parts[len(parts)-1], Web: d.address(parts, false)}, nil
}
