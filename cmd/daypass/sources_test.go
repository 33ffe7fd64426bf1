package main

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
)

func TestSourcesConfigMistakes(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"a key by a bare path", "sources: {drive: {key: /home/ada/key.json}}", "sources.drive in"},
		{"a key itself", "sources: {drive: {key: \"{private_key: x}\"}}", "sources.drive in"},
		{"another identity", "sources: {drive: {identity: me}}", "sources.drive in"},
		{"two identities", "sources: {drive: {identity: metadata, key: \"file:/k\"}}", "sources.drive in"},
		{"shared by fewer than one", "sources: {drive: {key: \"file:/k\", shared_by: -1}}", "sources.drive in"},
		{"shared by everybody", "sources: {drive: {shared_by: 1001}}", "sources.drive in"},
		{"accounts without end", "sources: {drive: {accounts: 1000000000}}", "sources.drive in"},
		{"a token itself", "sources: {canvas: [{host: canvas.example.edu, token: 7~hunter2}]}", "sources.canvas in"},
		{"a token without a host", "sources: {canvas: [{token: \"env:T\"}]}", "sources.canvas in"},
		{"a host with a path", "sources: {canvas: [{host: canvas.example.edu/x, token: \"env:T\"}]}", "sources.canvas in"},
		{"all hosts", "sources: {canvas: [{host: canvas.example.edu, token: \"env:T\", files: [\"*\"]}]}", "sources.canvas in"},
		{"a user without a password", "sources: {webdav: [{host: dav.example.edu, user: ada}]}", "sources.webdav in"},
		{"a user of two", "sources: {webdav: [{host: dav.example.edu, user: \"ada:b\", password: \"env:T\"}]}", "sources.webdav in"},
		{"an archive by address", "sources:\n  invenio: [\"https://x.example\"]", "line 2"},
		{"an unknown key", "sources: {dropbox: {}}", "DP-502"},
	} {
		b := newBench(t, fake.Switches{})
		b.env["DAYPASS_CONFIG"] = filepath.Join(filepath.Dir(b.etcConfig), "user.yaml")
		write(t, b.env["DAYPASS_CONFIG"], c.text+"\n", 0o600)
		_, err := b.loadConfig()
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "DP-502") {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: a secret is told: %v", c.name, err)
		}
	}
}

// TestSecretFiles: only what is the user's, and nobody else's to read.
func TestSecretFiles(t *testing.T) {
	b := newBench(t, fake.Switches{})
	dir := t.TempDir()
	good := filepath.Join(dir, "good")
	write(t, good, "  hunter2\n", 0o600)
	for name, make := range map[string]func(path string) error{
		"open to the group": func(p string) error { return os.WriteFile(p, []byte("x"), 0o640) },
		"empty":             func(p string) error { return os.WriteFile(p, []byte("\n"), 0o600) },
		"endless":           func(p string) error { return os.WriteFile(p, make([]byte, maxSecret+1), 0o600) },
		"a link":            func(p string) error { return os.Symlink(good, p) },
		"a folder":          func(p string) error { return os.Mkdir(p, 0o700) },
		"missing":           func(string) error { return nil },
	} {
		path := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
		if err := make(path); err != nil {
			t.Fatal(err)
		}
		if _, err := b.secretFile("sources.drive.key", "file:"+path); err == nil || !strings.Contains(err.Error(), "DP-457") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s, err := b.secret("x", "file:"+good); err != nil || s.Reveal() != "hunter2" {
		t.Errorf("a good one: %v", err)
	}
	if _, err := b.secretFile("DAYPASS_DRIVE_KEY_FILE", "file:key.json"); err == nil {
		t.Error("a path from the current folder is taken")
	}
	b.app.uid++
	if _, err := b.secret("x", "file:"+good); err == nil {
		t.Error("somebody else's file is taken")
	}
	for value, ok := range map[string]bool{"7~abc": true, "": false, "a b": false, "a\nb": false, "ü": false} {
		b.env["MINE"] = value
		if _, err := b.secret("x", "env:MINE"); (err == nil) != ok {
			t.Errorf("%q in a variable: %v", value, err)
		}
	}
}

// TestCanvasTokenBound: a token in the environment is for the one host that is named
// beside it.
func TestCanvasTokenBound(t *testing.T) {
	b := newBench(t, fake.Switches{})
	cfg, err := b.loadConfig()
	if err != nil {
		t.Fatal(err)
	}
	open := func(host string) error {
		_, err := b.contents(cfg, daypass.Source{Kind: daypass.KindCanvas, Host: host, ID: "courses/42"}, outward{})
		return err
	}
	b.env[canvasToken] = "7~hunter2"
	if err := open("canvas.example.edu"); !errors.Is(err, daypass.ErrNoLogin) {
		t.Errorf("a token for no host was used: %v", err)
	}
	b.env["DAYPASS_CANVAS_HOST"] = "canvas.example.edu"
	if err := open("canvas.example.edu"); err != nil {
		t.Error(err)
	}
	for _, host := range []string{"evil.example", "x.canvas.example.edu", "canvas.example.edu.evil.example", "canvas.example.edu:8443"} {
		if err := open(host); !errors.Is(err, daypass.ErrNoLogin) {
			t.Errorf("%s was given the token: %v", host, err)
		}
	}
}

// TestOutwardCheck: where a host's answer leads.
func TestOutwardCheck(t *testing.T) {
	o := outward{guarded: true}
	for _, address := range []string{
		"http://zenodo.org/records/1", "ftp://zenodo.org/", "https://u:p@zenodo.org/", "file:///etc/passwd", "https:///x", "ext::sh -c id",
		"https://127.0.0.1/", "https://localhost/", "https://[::1]/", "https://169.254.169.254/latest", "https://10.0.0.1:8443/", "https://[::ffff:10.0.0.1]/", "https://[fd00::1]/",
		"https://192.168.1.1/", "https://0.0.0.0/", "https://intranet/", "https://metadata.google.internal/", "https://printer.local/", "https://x.localhost./",
		"https://0x7f000001/", "https://2130706433/",
	} {
		if err := o.check(t.Context(), address); err == nil {
			t.Errorf("%s is asked", address)
		}
	}
	for answer, ok := range map[string]bool{"1.1.1.1": true, "10.0.0.1": false, "1.1.1.1 10.0.0.1": false, "::ffff:192.168.0.1": false, "64:ff9b::a00:1": false, "2606:4700::1": true} {
		o.lookup = func(context.Context, string, string) (out []netip.Addr, err error) {
			for a := range strings.FieldsSeq(answer) {
				out = append(out, netip.MustParseAddr(a))
			}
			return out, nil
		}
		if err := o.check(t.Context(), "https://data.example.edu/records/1"); (err == nil) != ok {
			t.Errorf("a name of %s: %v", answer, err)
		}
	}
}

// TestGuardedDial: the address is looked at when the connection is made, so that a name
// that leads elsewhere the second time gains nothing.
func TestGuardedDial(t *testing.T) {
	var asked atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer srv.Close()
	direct := func(*http.Request) (*url.URL, error) { return nil, nil }
	dial := outward{guarded: true, via: direct}.dial("zenodo.org")
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	for _, host := range []string{"127.0.0.1", "localhost", "::ffff:127.0.0.1"} {
		c, err := dial(context.Background(), "tcp", net.JoinHostPort(host, port))
		if err == nil {
			c.Close()
			t.Errorf("%s was connected to", host)
		}
	}
	proxied := func(*http.Request) (*url.URL, error) { return url.Parse("http://outbound.example") }
	if (outward{guarded: true, via: proxied}).dial("zenodo.org") != nil {
		t.Error("what a proxy dials is judged here")
	}
	if (outward{}).dial("zenodo.org") != nil {
		t.Error("what a person typed is held to the Internet")
	}
	if asked.Load() != 0 {
		t.Error("it was asked")
	}
}

// TestSourcesAllowedHosts: the admins' list holds before anything is asked.
func TestSourcesAllowedHosts(t *testing.T) {
	b := newBench(t, fake.Switches{})
	b.app.sources = roundTripper(func(r *http.Request) (*http.Response, error) {
		t.Errorf("%s was asked", r.URL)
		return nil, errors.New("nothing is asked")
	})
	write(t, b.etcConfig, "pull: {allowed_hosts: [github.com]}\n", 0o644)
	for _, text := range []string{"https://zenodo.org/records/1", "drive:drive.google.com/1o3okM5hYOgUGHYipyjiblEzbp29UX9cF", "https://data.example.edu/records/abcde-12345", "https://x.example/dataset/rain"} {
		if code := b.run(t.Context(), []string{"daypass", "pull", text, filepath.Join(t.TempDir(), "x")}); code != 4 || !strings.Contains(b.err.String(), "DP-368") {
			t.Errorf("%s: exit %d: %s", text, code, b.err.String())
		}
		b.err.Reset()
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestSteps: how far an address is followed, and that nobody sends it round.
func TestSteps(t *testing.T) {
	b := newBench(t, fake.Switches{})
	b.app.sources = library(t, fake.NewDrive(fake.DriveConfig{}))
	b.app.lookup = func(context.Context, string, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("1.1.1.1")}, nil
	}
	cfg, err := b.loadConfig()
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"doi:10.7910/DVN/6ZXAGT/3YRRYJ":                                                       "doi exists, dataverse exists: dataverse:dataverse.harvard.edu/doi:10.7910/DVN/6ZXAGT",
		"https://zenodo.org/doi/10.5281/zenodo.805993":                                        "invenio exists: invenio:zenodo.org/14007206",
		"https://open.canada.ca/data/en/dataset/90fed587-1364-4f33-a9ee-208181dc0b97":         "ckan maybe: ckan:open.canada.ca/data/en/90fed587-1364-4f33-a9ee-208181dc0b97",
		"https://dataverse.harvard.edu/file.xhtml?persistentId=doi:10.7910/DVN/6ZXAGT/3YRRYJ": "dataverse exists: dataverse:dataverse.harvard.edu/doi:10.7910/DVN/6ZXAGT",
		"https://dataverse.harvard.edu/citation?persistentId=doi:10.7910/none":                "dataverse does-not-exist: ",
		"https://data.example.edu/lab/dv/dataset.xhtml?persistentId=doi:10.5072/FK2/RAIN":     "dataverse maybe: dataverse:data.example.edu/lab/dv/doi:10.5072/FK2/RAIN",
		"https://data.example.edu/lab/dv/file.xhtml?persistentId=doi:10.5072/FK2/RAIN/A":      "dataverse exists: dataverse:data.example.edu/lab/dv/doi:10.5072/FK2/RAIN",
		"doi:10.5072/FK2/RAIN": "doi exists, dataverse exists: dataverse:data.example.edu/lab/dv/doi:10.5072/FK2/RAIN",
		"https://figshare.com/articles/code/Binder-ready_openSenseMap_Analysis/9782777/3":        "figshare maybe: figshare:figshare.com/9782777@3",
		"https://www.hydroshare.org/resource/76502ab28c5744f98e2bbad5155e39c7/":                  "hydroshare maybe: hydroshare:www.hydroshare.org/76502ab28c5744f98e2bbad5155e39c7",
		"swh:1:dir:94a9ed024d3859793618152ea559a168bbcbb5e2":                                     "swh maybe: swh:archive.softwareheritage.org/swh:1:dir:94a9ed024d3859793618152ea559a168bbcbb5e2",
		"https://github.com/jupyterlab/jupyterlab/actions/runs/21701082973/artifacts/5385867847": "artifact maybe: artifact:github.com/jupyterlab/jupyterlab/5385867847",
	} {
		tr := b.newTrail(cfg, false)
		places, err := tr.follow(t.Context(), text)
		var got []string
		for _, s := range tr.steps {
			got = append(got, s.Kind+" "+s.Certainty)
		}
		said := strings.Join(got, ", ") + ": "
		if err == nil {
			said += places[0].Source.String()
		}
		if said != want {
			t.Errorf("%s:\n%s, not\n%s (%v)", text, said, want, err)
		}
	}
}

// TestSecretVariables: git, and what it starts, is given no token of a source.
func TestSecretVariables(t *testing.T) {
	b := newBench(t, fake.Switches{})
	b.app.environ = func() []string { return []string{"A=1", canvasToken + "=hunter2", "MINE=hunter3", "DAV=hunter4"} }
	cfg, err := b.loadConfig()
	if err != nil {
		t.Fatal(err)
	}
	cfg.sources = sourcesConfig{Canvas: []canvasConfig{{Host: "c.example", Token: "env:MINE"}}, WebDAV: []webdavConfig{{Host: "d.example", User: "ada", Password: "env:DAV"}}}
	git, err := b.pullGit(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if env := strings.Join(git.Environ, " "); strings.Contains(env, "hunter") || !strings.Contains(env, "A=1") {
		t.Errorf("git is given %q", env)
	}
}

// TestZipOverLimit: of a record that is one zip nothing is read where that is more than
// a pull may bring. Asked for by its name, it is had as it is.
func TestZipOverLimit(t *testing.T) {
	var zipped bytes.Buffer
	z := zip.NewWriter(&zipped)
	w, err := z.CreateHeader(&zip.FileHeader{Name: "noise.bin", Method: zip.Store})
	if err == nil {
		_, err = w.Write(make([]byte, 3<<20))
	}
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	zenodo := fake.NewInvenio(fake.InvenioConfig{Host: "zenodo.org", Records: []fake.InvenioRecord{{ID: "7", Parent: "6", Title: "Noise", Files: []fake.DepositFile{{Name: "noise.zip", Text: zipped.String()}}}}})
	b := newBench(t, fake.Switches{})
	b.sources = fake.Transport(zenodo)
	s := daypass.Source{Kind: daypass.KindInvenio, Host: "zenodo.org", ID: "7"}
	for total, want := range map[string]string{"1MB": "noise.zip", "": "noise.bin"} {
		c, err := b.contents(config{pull: pullConfig{MaxTotal: total}}, s, outward{})
		if err != nil {
			t.Fatal(err)
		}
		before := len(zenodo.Requests())
		l, err := c.List(t.Context(), s)
		if err != nil || len(l.Items) != 1 || l.Items[0].Parts[0] != want {
			t.Fatalf("of %q: %+v, %v", total, l, err)
		}
		for _, r := range zenodo.Requests()[before:] {
			if total != "" && strings.HasSuffix(r.Path, "/content") {
				t.Errorf("of %q: %s was read", total, r.Path)
			}
		}
		r, err := c.Open(t.Context(), s, l.Items[0], 0)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, r); err != nil || n < 3<<20 {
			t.Errorf("of %q: %d bytes, %v", total, n, err)
		}
		r.Close()
	}
}

// TestDrivePace: two processes of one user, who may spend as much as one of a thousand,
// spend that together.
func TestDrivePace(t *testing.T) {
	b := newBench(t, fake.Switches{})
	b.env["XDG_RUNTIME_DIR"], b.env["DAYPASS_DRIVE_SHARED_BY"] = t.TempDir(), "1000" // 325 units
	b.now = time.Now
	for n, want := range []error{nil, context.DeadlineExceeded, nil} {
		account := []string{"a@campus-hub.iam.gserviceaccount.com", "b@campus-hub.iam.gserviceaccount.com"}[n/2]
		p, err := b.drivePace(driveConfig{}, account)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if err := p.Wait(ctx, 200); !errors.Is(err, want) {
			t.Errorf("process %d: %v", n, err)
		}
		cancel()
	}
}

// TestDriveShare: who says nothing is one of a class; the variable wins over a file, the
// user's over the admins', and neither takes the key away.
func TestDriveShare(t *testing.T) {
	admins := driveConfig{Key: "file:/etc/key.json", SharedBy: 40, Accounts: 5}
	if got := admins.with(driveConfig{SharedBy: 2}); got != (driveConfig{Key: "file:/etc/key.json", SharedBy: 2, Accounts: 5}) {
		t.Errorf("%+v", got)
	}
	if got := admins.with(driveConfig{Identity: "metadata"}); got != (driveConfig{Identity: "metadata"}) {
		t.Errorf("%+v", got)
	}
	b := newBench(t, fake.Switches{})
	for v, want := range map[string]int{"": 200_000 / 40, "1": 200_000, "1000": 200, "0": 0, "-3": 0, "1001": 0, "few": 0} {
		b.env["DAYPASS_DRIVE_SHARED_BY"] = v
		s, err := b.share(admins)
		if want == 0 && (err == nil || !strings.Contains(err.Error(), "DP-502")) || want != 0 && (err != nil || s.Units() != want) {
			t.Errorf("%q: %+v, %v", v, s, err)
		}
	}
}
