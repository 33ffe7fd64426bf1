package main

import (
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/fake"
)

// between is a way to a service that counts what programs ask, and breaks off once.
type between struct {
	mu    sync.Mutex
	asked []string
	cut   int64 // after so many bytes of the next pack
	bytes int64 // of packs
	url   string
}

func newBetween(t *testing.T, to string) *between {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	b := &between{}
	proxy := httputil.NewSingleHostReverseProxy(u)
	proxy.ErrorLog = log.New(io.Discard, "", 0)
	proxy.ModifyResponse = func(res *http.Response) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.asked = append(b.asked, fmt.Sprintf("%s %d %s", res.Request.URL.Path, res.StatusCode, res.Request.Header.Get("Range")))
		if res.Header.Get("Content-Type") == "application/x-git-pack" {
			body := res.Body
			in := io.Reader(body)
			if b.cut > 0 {
				in, b.cut = io.MultiReader(io.LimitReader(body, b.cut), broken{}), 0
			}
			res.Body = &countedBody{Reader: in, Closer: body, b: b}
		}
		return nil
	}
	srv := httptest.NewServer(proxy)
	t.Cleanup(srv.Close)
	b.url = srv.URL + "/"
	return b
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

type countedBody struct {
	io.Reader
	io.Closer
	b *between
}

func (c *countedBody) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.b.mu.Lock()
	c.b.bytes += int64(n)
	c.b.mu.Unlock()
	return n, err
}

// since returns what was asked since the last time.
func (b *between) since() (asked []string, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	asked, bytes = b.asked, b.bytes
	b.asked, b.bytes = nil, 0
	return asked, bytes
}

// TestPullLink is the first light as a student has it: the program, a link to a private
// folder of Drive's, an edit, and what came meanwhile merged on the second pull.
func TestPullLink(t *testing.T) {
	t.Parallel()
	l := newLibrary(t, "")
	noise := make([]byte, 300_000)
	random := rand.NewChaCha8([32]byte{1})
	random.Read(noise)
	l.drive.Edit("fDofLab1Ph", func(f *fake.DriveFile) { f.Name, f.Parent, f.Text = "photo.bin", "fLab1ofPh142", string(noise) })
	l.drive.Edit("fEofLab1Ph", func(f *fake.DriveFile) { f.Name, f.Parent, f.Text = "notes.txt", "fLab1ofPh142", "one\ntwo\nthree\n" })
	svc, at := l.serving()
	l.hub.SetGroups("tea", "instructors", "ph142-staff")
	l.hub.SetGroups("stu", "ph142")
	src := daypass.Source{Kind: "drive", Host: "drive.google.com", ID: "fLab1ofPh142"}
	group, folder := "ph142", "courses/lab1"
	if _, err := svc.broker.MakeLink(t.Context(), l.caller(&desk{service: svc}, "tea"), broker.LinkAsk{Name: "ph142-lab1", Source: &src, Audience: &group, Folder: &folder}); err != nil {
		t.Fatal(err)
	}
	way := newBetween(t, at)
	way.cut = 50_000
	home, bin, token := t.TempDir(), builtPrograms(t), l.hub.StartServer("stu", "")
	run := func(dir string, args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "daypass"), args...)
		cmd.Dir = dir
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_RUNTIME_DIR=" + home, "LANG=C.UTF-8", "DAYPASS_PLAIN=1",
			"DAYPASS_URL=" + way.url, "JUPYTERHUB_API_TOKEN=" + token, "JUPYTERHUB_API_URL=" + way.url + "hub/api"}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	lab := filepath.Join(home, "courses", "lab1")
	out, err := run(home, "pull", "link:ph142-lab1")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(lab, name))
		if err != nil {
			t.Errorf("%v", err)
		}
		return string(text)
	}
	if read("photo.bin") != string(noise) || read("notes.txt") != "one\ntwo\nthree\n" || read("start here.ipynb") != "{}" {
		t.Error("not what Drive has")
	}
	asked, sent := way.since()
	if len(asked) != 3 || !strings.Contains(asked[2], "206 bytes=") || sent > int64(len(noise))+20_000 {
		t.Errorf("a pull whose connection broke once asked %q, and %d bytes came", asked, sent)
	}
	if err := os.WriteFile(filepath.Join(lab, "notes.txt"), []byte("one\ntwo\nthree\nmine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	l.drive.Edit("fEofLab1Ph", func(f *fake.DriveFile) { f.Text = "zero\none\ntwo\nthree\n" })
	l.drive.Edit("fBofLab1Ph", func(f *fake.DriveFile) { f.Name = "measurements.csv" })
	time.Sleep(21 * time.Second) // what was seen is given for twenty
	if out, err = run(lab, "pull"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := read("notes.txt"); got != "zero\none\ntwo\nthree\nmine\n" {
		t.Errorf("notes.txt: %q\n%s", got, out)
	}
	if _, err := os.Stat(filepath.Join(lab, "data.csv")); err == nil || read("measurements.csv") != "1,2\n" {
		t.Errorf("a rename at Drive: %v", err)
	}
	if asked, sent := way.since(); len(asked) != 2 || sent > 20_000 {
		t.Errorf("the second pull asked %q, and %d bytes came", asked, sent)
	}
	if out, err = run(lab, "pull"); err != nil || !slices.ContainsFunc([]string{"up to date", "nothing new", "Nothing"}, func(s string) bool { return strings.Contains(out, s) }) {
		t.Errorf("%v\n%s", err, out)
	}
	if asked, _ := way.since(); len(asked) != 1 {
		t.Errorf("a pull with nothing new asked %q", asked)
	}
	for _, include := range [][]string{{"--include=photo.bin"}, nil} { // as the page asks: again with the folder
		out, err = run(home, append(append([]string{"pull", "--json"}, include...), "--root="+home, "--", "link:ph142-lab1", lab)...)
		if asked, _ := way.since(); err != nil || len(asked) != 1 {
			t.Errorf("with %q it asked %q: %v\n%s", include, asked, err, out)
		}
	}
	l.hub.SetGroups("eve", "another-course")
	token = l.hub.StartServer("eve", "")
	before := len(l.drive.Requests())
	out, err = run(home, "pull", "link:ph142-lab1", "again")
	if err == nil || !strings.Contains(out, "[DP-723]") || len(l.drive.Requests()) != before {
		t.Errorf("whom the link is not for: %v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(home, "again")); err == nil {
		t.Error("a refused pull left a folder")
	}
	if strings.Contains(out, "fLab1ofPh142") {
		t.Errorf("the refusal names the source: %s", out)
	}
}
