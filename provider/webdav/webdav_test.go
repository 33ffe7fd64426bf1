package webdav

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/internal/process"
	"github.com/daypass-dev/daypass/provider/deposittest"
	"github.com/daypass-dev/daypass/provider/providertest"
)

const host = "dav.example.edu"

func source(id string) daypass.Source {
	return daypass.Source{Kind: daypass.KindWebDAV, Host: host, ID: id}
}

func secret(text string) func(context.Context) (daypass.Secret, error) {
	return func(context.Context) (daypass.Secret, error) { return daypass.NewSecret(text), nil }
}

// files are those of the tree that a server of paths can hold.
func files() (out []providertest.File) {
	for _, f := range providertest.Tree() {
		if f.Parts[0] != "twice.txt" && f.Parts[0] != "both" && f.Parts[0] != ".." {
			out = append(out, f)
		}
	}
	return out
}

func serve(c fake.WebDAVConfig) *fake.WebDAV {
	for _, f := range files() {
		c.Files = append(c.Files, fake.DAVFile{Parts: append([]string{"ph142", "Fall 2026"}, f.Parts...), Text: f.Text})
	}
	c.Host, c.Closed = host, []string{"closed"}
	c.Files = append(c.Files, fake.DAVFile{Parts: []string{"closed", "exam.txt"}, Text: "x"})
	return fake.NewWebDAV(c)
}

func fixture(fc fake.WebDAVConfig, c Config) func(*testing.T) providertest.ContentsFixture {
	return func(t *testing.T) providertest.ContentsFixture {
		d := serve(fc)
		c.Host, c.Base = host, fake.Transport(d)
		return providertest.ContentsFixture{
			Contents: New(c), Source: source("ph142/Fall 2026"), Files: files(), Missing: source("nothing"), Hidden: source("closed"), NoIDs: true, Blind: true, Safe: []string{"PROPFIND"},
			Odd:     []daypass.Source{source(""), source("/ph142"), source("ph142/../closed"), source("ph142//x"), source("."), source("a\nb"), source("ph142/"), {Kind: daypass.KindWebDAV, Host: "evil.example", ID: "ph142"}},
			Hosts:   []string{host},
			Secrets: func() []daypass.Secret { return []daypass.Secret{daypass.NewSecret("the password of ada")} },
			Asked:   func() []providertest.Asked { return deposittest.Asked(d) },
			Change:  func(parts []string, text string) { d.Write(append([]string{"ph142", "Fall 2026"}, parts...), text) },
			Break:   deposittest.Breaks(d, nil, fake.Fault{Status: 429, Header: http.Header{"Retry-After": {"90"}}}, fake.Fault{Status: 503}),
		}
	}
}

func TestContract(t *testing.T) {
	password := Config{User: "ada", Token: secret("the password of ada")}
	for name, fresh := range map[string]func(*testing.T) providertest.ContentsFixture{
		"for everybody":  fixture(fake.WebDAVConfig{}, Config{}),
		"a password":     fixture(fake.WebDAVConfig{User: "ada", Password: "the password of ada"}, password),
		"without tags":   fixture(fake.WebDAVConfig{NoETags: true}, Config{}),
		"a bearer token": fixture(fake.WebDAVConfig{}, Config{Token: secret("the password of ada")}),
	} {
		t.Run(name, func(t *testing.T) { providertest.RunContents(t, synctest.Test, fresh) })
	}
}

// TestAnswersThatLie: none of these is a listing.
func TestAnswersThatLie(t *testing.T) {
	one := func(href string) string {
		return `<D:response><D:href>` + href + `</D:href><D:propstat><D:prop><D:resourcetype/><D:getcontentlength>1</D:getcontentlength></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>`
	}
	for what, body := range map[string]string{
		"nothing": "", "no XML": "<html>", "without the place": one("/ph142/a"), "another host": one("/ph142/") + one("https://evil.example/ph142/a"), "above": one("/ph142/") + one("/closed/exam.txt"),
		"goes up": one("/ph142/") + one("/ph142/../closed"), "two below": one("/ph142/") + one("/ph142/a/b"), "a name that goes up": one("/ph142/") + strings.Replace(one("/ph142/%2e%2e"), "<D:resourcetype/>", "<D:resourcetype><D:collection/></D:resourcetype>", 1),
		"an empty name": one("/ph142/") + one("/ph142//a"), "a bad escape": one("/ph142/") + one("/ph142/%zz"), "an entity": `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>` + one("/ph142/&e;"),
	} {
		d := serve(fake.WebDAVConfig{})
		d.Fault(nil, fake.Fault{Status: http.StatusMultiStatus, Body: `<D:multistatus xmlns:D="DAV:">` + body + `</D:multistatus>`})
		l, err := New(Config{Host: host, Base: fake.Transport(d)}).List(t.Context(), source("ph142"))
		if !errors.Is(err, daypass.ErrUnreachable) || len(l.Items) > 0 {
			t.Errorf("%s: %d items, %v", what, len(l.Items), err)
		}
	}
	d := serve(fake.WebDAVConfig{})
	if _, err := New(Config{Host: host, Base: fake.Transport(d), MaxItems: 3}).List(t.Context(), source("ph142")); !errors.Is(err, daypass.ErrUnreachable) {
		t.Errorf("too many: %v", err)
	}
	l, err := New(Config{Host: host, Base: fake.Transport(d)}).List(t.Context(), source("ph142/Fall 2026/README.md"))
	if err != nil || len(l.Items) != 1 || !slices.Equal(l.Items[0].Parts, []string{"README.md"}) {
		t.Errorf("one file: %+v, %v", l, err)
	}
}

// TestGoneHalfWay: a folder that is listed, and not there, is no sign that all is gone.
func TestGoneHalfWay(t *testing.T) {
	d := serve(fake.WebDAVConfig{})
	d.FailNth(2, nil, fake.Fault{Status: http.StatusNotFound})
	if _, err := New(Config{Host: host, Base: fake.Transport(d)}).List(t.Context(), source("ph142")); !errors.Is(err, daypass.ErrUnreachable) || errors.Is(err, daypass.ErrNoSource) {
		t.Error(err)
	}
}

// TestRclonesServer reads from a server that is none of ours.
func TestRclonesServer(t *testing.T) {
	program := deposittest.Program(t, "DAYPASS_TEST_RCLONE")
	dir := t.TempDir()
	want := map[string]string{}
	for _, f := range files() {
		if strings.ContainsAny(strings.Join(f.Parts, ""), "/\\") { // no name of a file here, or one that rclone changes
			continue
		}
		name := filepath.Join(append([]string{dir, "ph142"}, f.Parts...)...)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(f.Text), 0o644)); err != nil {
			t.Fatal(err)
		}
		want[strings.Join(f.Parts, "/")] = f.Text
	}
	address := start(t, program, dir)
	d := New(Config{Host: address, Plain: true, User: "ada", Token: secret("word")})
	s := daypass.Source{Kind: daypass.KindWebDAV, Host: address, ID: "ph142"}
	l, err := d.List(t.Context(), s)
	if err != nil || !l.Complete || len(l.Items) != len(want) {
		t.Fatalf("%d items of %d, %v", len(l.Items), len(want), err)
	}
	for _, it := range l.Items {
		for _, from := range []int64{0, it.Size / 2} {
			r, err := d.Open(t.Context(), s, it, from)
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(r)
			r.Close()
			if name := strings.Join(it.Parts, "/"); err != nil || string(text) != want[name][from:] {
				t.Errorf("%q from %d: %q, %v", name, from, text, err)
			}
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "ph142", "README.md"), []byte("other text"), 0o644); err != nil {
		t.Fatal(err)
	}
	it := l.Items[slices.IndexFunc(l.Items, func(it daypass.Item) bool { return it.Parts[0] == "README.md" })]
	r, err := d.Open(t.Context(), s, it, 0)
	if err == nil {
		_, err = io.ReadAll(r)
		r.Close()
	}
	if !errors.Is(err, daypass.ErrChanged) {
		t.Errorf("a file that changed: %v", err)
	}
	if _, err := New(Config{Host: address, Plain: true, User: "ada", Token: secret("wrong")}).List(t.Context(), s); !errors.Is(err, daypass.ErrNoSource) {
		t.Errorf("a wrong password: %v", err)
	}
}

// start runs the server at a free port and waits until it listens.
func start(t *testing.T, program, dir string) (address string) {
	t.Helper()
	address = process.FreeAddress(t)
	var errs bytes.Buffer
	cmd := exec.Command(program, "serve", "webdav", dir, "--addr", address, "--user", "ada", "--pass", "word", "--dir-cache-time", "0", "--vfs-cache-mode", "off")
	cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for range 100 {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
			return address
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal(fmt.Sprint("rclone does not listen: ", errs.String()))
	return ""
}
