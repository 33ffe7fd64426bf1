package main

import (
	"context"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/daypass-dev/daypass/fake"
)

// A pageReader plays a person's browser by HTTP: it keeps cookies, follows
// redirects, sends a page's form with what stands in it, and says of each request
// what browsers say. It runs no script.
type pageReader struct {
	client *http.Client
	at     *url.URL
	text   string
}

func newPageReader() (*pageReader, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	return &pageReader{client: &http.Client{Jar: jar, Timeout: 10 * time.Second, Transport: &http.Transport{Proxy: nil}}}, nil
}

func (b *pageReader) close() { b.client.CloseIdleConnections() }

func (b *pageReader) open(ctx context.Context, address string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	return b.do(req, "none")
}

func (b *pageReader) do(req *http.Request, site string) error {
	req.Header.Set("Sec-Fetch-Site", site)
	req.Header.Set("Sec-Fetch-Mode", "navigate")
	req.Header.Set("Sec-Fetch-Dest", "document")
	res, err := b.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return err
	}
	b.at, b.text = res.Request.URL, string(text)
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s: %s", b.at.Redacted(), res.Status, b.title())
	}
	return nil
}

var (
	formPart  = regexp.MustCompile(`(?s)<form[^>]*method="post".*?</form>`)
	actionOf  = regexp.MustCompile(`<form[^>]*action="([^"]*)"`)
	inputPart = regexp.MustCompile(`<input[^>]*>`)
	nameOf    = regexp.MustCompile(`\bname="([^"]*)"`)
	valueOf   = regexp.MustCompile(`\bvalue="([^"]*)"`)
	titleOf   = regexp.MustCompile(`(?s)<h1[^>]*>(.*?)</h1>`)
	tag       = regexp.MustCompile(`<[^>]*>`)
)

// press sends the form whose button shows a text, filled in further.
func (b *pageReader) press(ctx context.Context, button string, fill url.Values) error {
	for _, form := range formPart.FindAllString(b.text, -1) {
		if !strings.Contains(form, button) {
			continue
		}
		values := url.Values{}
		for _, input := range inputPart.FindAllString(form, -1) {
			if name := attribute(nameOf, input); name != "" {
				values.Set(name, attribute(valueOf, input))
			}
		}
		for name, v := range fill {
			values[name] = v
		}
		to, err := b.at.Parse(attribute(actionOf, form))
		if err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), strings.NewReader(values.Encode()))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", b.at.Scheme+"://"+b.at.Host)
		return b.do(req, "same-origin")
	}
	return fmt.Errorf("the page %q has no button %q", b.title(), button)
}

func attribute(pattern *regexp.Regexp, text string) string {
	m := pattern.FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	return html.UnescapeString(m[1])
}

// title is the page's heading, as text.
func (b *pageReader) title() string {
	m := titleOf.FindStringSubmatch(b.text)
	if m == nil {
		return "a page without a heading"
	}
	return html.UnescapeString(tag.ReplaceAllString(m[1], ""))
}

func (b *pageReader) shows(text string) bool {
	return strings.Contains(html.UnescapeString(tag.ReplaceAllString(b.text, "")), text)
}

// connectPages does what the person does: follow the link that git printed, sign
// in at the hub, press the button, say yes at GitHub.
func (h *hubDemo) connectPages(ctx context.Context) (*pageReader, error) {
	b, err := newPageReader()
	if err != nil {
		return nil, err
	}
	defer b.close()
	h.say("     (in a browser, the page that git named)")
	if err := b.open(ctx, h.url+"connect/"+strings.TrimPrefix(h.world.URL, "http://")); err != nil {
		return nil, err
	}
	if err := b.press(ctx, "Sign in", url.Values{"username": {demoUser}, "password": {"any"}}); err != nil {
		return nil, err
	}
	h.say("     (%s has signed in at the hub, and reads: %q; presses \"Go to …\")", demoUser, b.title())
	if err := b.press(ctx, "Go to ", nil); err != nil {
		return nil, err
	}
	if err := b.press(ctx, "Authorize ", url.Values{"login": {fake.CampusUser}, "action": {"authorize"}}); err != nil {
		return nil, err
	}
	h.say("     (at GitHub, %s presses \"Authorize Campus Push\")", fake.CampusUser)
	return b, nil
}
