package main

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/store"
)

const demoIndexHelp = `Show a package gateway at work, in a world that lives on this machine only: a stand-in for devpi-server, the real
gateway in front of it, a token that is narrowed to one project without asking anybody, an upload, and a refusal. It
checks each step.`

func (s *app) demoIndexCommand() *cobra.Command {
	return &cobra.Command{
		Use: "index", Short: "A pass for a release: one project of a package index, for an hour", Long: demoIndexHelp, Args: none,
		RunE: func(c *cobra.Command, _ []string) error { return s.demoIndex(c.Context()) },
	}
}

func (s *app) demoIndex(ctx context.Context) error {
	d, err := s.newDemo()
	if err != nil {
		return err
	}
	x := &indexDemo{hubDemo: &hubDemo{demo: d}}
	defer x.close()
	ctx, cancel := context.WithTimeout(ctx, demoTime)
	defer cancel()
	if err := x.build(ctx); err != nil {
		return err
	}
	if err := x.journey(ctx); err != nil {
		return fmt.Errorf("the demo stopped: %w", err)
	}
	return nil
}

// An indexDemo is a demo with an index and a gateway. What is a hub's in it is
// not there.
type indexDemo struct {
	*hubDemo
	index *fake.Devpi
	devpi string // its address
}

const (
	indexUser = "alice"
	widePass  = "wide.pass"
	mapsPass  = "maps.pass"
)

// demoCosts are what the demo's devpi spends on its keys; the real one spends
// 512 MiB and some seconds.
var demoCosts = argon{time: 1, memory: 1024, parallelism: 1}

// build starts the stand-in and, as an admin does, the gateway.
func (x *indexDemo) build(ctx context.Context) error {
	for _, sub := range []string{"service", "secrets"} {
		if err := os.Mkdir(filepath.Join(x.dir, sub), 0o700); err != nil {
			return err
		}
	}
	secret, password := rand.Text()+rand.Text(), rand.Text()
	x.index = fake.NewDevpi(fake.DevpiConfig{Root: rand.Text(), SessionKey: demoCosts.derive([]byte(secret), sessionSalt)})
	x.index.AddUser(indexUser, password)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	x.devpi = "http://" + l.Addr().String() + "/"
	x.front = &http.Server{Handler: x.index, ReadHeaderTimeout: 10 * time.Second}
	go x.front.Serve(l)
	listen, err := freeAddress()
	if err != nil {
		return err
	}
	x.url = "http://" + listen + "/"
	keys, err := store.NewKeys(rand.Reader)
	if err != nil {
		return err
	}
	text, err := keys.Marshal()
	if err != nil {
		return err
	}
	x.config = filepath.Join(x.dir, "server.yaml")
	for path, text := range map[string]string{
		"secrets/keys.json": string(text), "secrets/devpi-secret": secret, "home/password": password,
		"server.yaml": fmt.Sprintf("store: sqlite:%[1]s/service/daypass.db\nkeys: file:%[1]s/secrets/keys.json\ngateway:\n  listen: %[2]s\n  url: %[3]s\n  upstream: %[4]s\n  key: file:%[1]s/secrets/devpi.key\n  self_test: %[5]s\n",
			x.dir, listen, x.url, x.devpi, indexUser),
	} {
		if err := os.WriteFile(filepath.Join(x.dir, path), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// journey is the story. Each step checks what it claims.
func (x *indexDemo) journey(ctx context.Context) error {
	began := time.Now()
	x.say("On this machine only: a stand-in for a devpi-server at %s, with a user %s and the index %s/dev.", x.devpi, indexUser, indexUser)
	for _, part := range []func(context.Context) error{x.gateway, x.make, x.upload, x.admin} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	x.say("\nAll of it went as it should, in %.1f s.", time.Since(began).Seconds())
	return nil
}

func (x *indexDemo) gateway(ctx context.Context) error {
	x.say("\n1. The index's admin puts a gateway before it: a key out of devpi's secret, five lines, \"daypass serve\"\n")
	secrets := filepath.Join(x.dir, "secrets")
	cmd := x.command(ctx, "", "daypass", "admin", "devpi-key", "--secretfile", filepath.Join(secrets, "devpi-secret"), "--output", filepath.Join(secrets, "devpi.key"),
		"--argon2-time-cost", fmt.Sprint(demoCosts.time), "--argon2-memory-cost", fmt.Sprint(demoCosts.memory), "--argon2-parallelism", fmt.Sprint(demoCosts.parallelism))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("devpi-key: %w\n%s", err, out)
	}
	if err := x.startService(ctx, x.url+"+daypass/readyz"); err != nil {
		return err
	}
	x.say("   The gateway runs at %s.", x.url)
	return x.tell(ctx, nil, want{text: "believes the gateway"}, "check")()
}

func (x *indexDemo) make(ctx context.Context) error {
	x.say("\n2. %s makes a token there, and of it a narrower one for one release: without a network\n", indexUser)
	return inOrder(
		x.step(ctx, want{}, "", "daypass", "token-create", "--index", x.url+indexUser+"/dev/", "--user", indexUser, "--password", "@password",
			"--allowed", "upload,pkg_read", "--expires", "1 day", "--output", widePass),
		x.step(ctx, want{text: "maps"}, "", "daypass", "pass", "narrow", "--file", widePass, "--indexes", indexUser+"/dev", "--projects", "maps", "--upload-only",
			"--expires", "1h", "--output", mapsPass),
	)
}

func (x *indexDemo) upload(ctx context.Context) error {
	x.say("\n3. Uploads, in the form that twine sends\n")
	for _, u := range []struct {
		to, project, pass string
		status            int
		says              string
	}{
		{x.url, "maps", mapsPass, http.StatusOK, ""},
		{x.url, "other", mapsPass, http.StatusForbidden, "other"},
		{x.url, "other", widePass, http.StatusOK, ""},
		{x.devpi, "maps", mapsPass, 0, ""}, // to devpi itself, past the gateway, it is nothing
	} {
		status, said, err := x.send(ctx, u.to, u.project, u.pass)
		if err != nil {
			return err
		}
		x.say("   %-9s %-28s with %-10s %d  %s", map[bool]string{true: "gateway", false: "devpi"}[u.to == x.url], wheelName(u.project), u.pass, status, said)
		if u.status != 0 && status != u.status || u.status == 0 && status < 400 || !strings.Contains(said, u.says) {
			return fmt.Errorf("the upload of %s with %s was answered with %d", u.project, u.pass, status)
		}
	}
	return nil
}

// indexUses is how often the token lets the uploads through, by itself or by the one
// that was narrowed from it.
const indexUses = 2

// written waits until the gateway has written down how often its tokens were used,
// as it does every few seconds.
func (x *indexDemo) written(ctx context.Context) func() error {
	return func() error {
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
			cmd := x.command(ctx, "", "daypass", "admin", "passes", "list", "--json", "--config", x.config)
			out, err := cmd.Output()
			if err != nil {
				return fmt.Errorf("the list of passes: %w", err)
			}
			var list []passView
			if err := json.Unmarshal(out, &list); err != nil {
				return err
			}
			if len(list) == 1 && list[0].Uses >= indexUses {
				return nil
			}
			if err := heard(ctx)(); err != nil {
				return err
			}
		}
		return errors.New("the gateway does not write down how often its tokens are used")
	}
}

// tokenLine is a pass in the admin's list: owner, id.
var tokenLine = regexp.MustCompile(`(?m)^devpi/` + indexUser + ` +(\S+) `)

func (x *indexDemo) admin(ctx context.Context) error {
	x.say("\n4. The index's admin: what was done with which token, and an end to it\n")
	var list string
	if err := inOrder(
		x.tell(ctx, nil, want{text: "upload at " + indexUser + "/dev maps"}, "events"),
		x.written(ctx),
		x.tell(ctx, &list, want{text: plural(indexUses, "time")}, "passes", "list"),
	); err != nil {
		return err
	}
	m := tokenLine.FindStringSubmatch(list)
	if m == nil {
		return errors.New("the list shows no token")
	}
	if err := inOrder(x.tell(ctx, nil, want{text: "Ended"}, "passes", "end", indexUser+"/"+m[1]), heard(ctx)); err != nil {
		return err
	}
	for _, name := range []string{widePass, mapsPass} {
		status, said, err := x.send(ctx, x.url, "maps", name)
		if err != nil {
			return err
		}
		x.say("   gateway   %-28s with %-10s %d  %s", wheelName("maps"), name, status, said)
		if status != http.StatusForbidden {
			return fmt.Errorf("a token that was ended, or one narrowed from it, was answered with %d", status)
		}
	}
	return x.kept()
}

// kept looks for the tokens where the gateway keeps or says things.
func (x *indexDemo) kept() error {
	text := x.log.String()
	files, err := filepath.Glob(filepath.Join(x.dir, "service", "daypass.db*"))
	if err != nil || len(files) == 0 {
		return errors.Join(err, errors.New("the gateway has no store"))
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		text += string(b)
	}
	for _, name := range []string{widePass, mapsPass} {
		b, err := os.ReadFile(filepath.Join(x.dir, "home", name))
		if err != nil {
			return err
		}
		p := strings.TrimSpace(string(b))
		if len(p) < 60 || strings.Contains(text, p[len(p)-43:]) {
			return errors.New("the gateway's store or log holds a token")
		}
	}
	x.say("     (neither the gateway's store nor its log holds a token)")
	return nil
}

func wheelName(project string) string { return project + "-1.0-py3-none-any.whl" }

// send uploads a small wheel of a project, as twine does (its own form: fields
// first, the file last), and returns the status and what was said.
func (x *indexDemo) send(ctx context.Context, to, project, passFile string) (int, string, error) {
	token, err := os.ReadFile(filepath.Join(x.dir, "home", passFile))
	if err != nil {
		return 0, "", err
	}
	wheel, err := smallWheel(project)
	if err != nil {
		return 0, "", err
	}
	sum := sha256.Sum256(wheel)
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for _, f := range [][2]string{
		{":action", "file_upload"}, {"protocol_version", "1"}, {"metadata_version", "2.1"}, {"name", project}, {"version", "1.0"},
		{"filetype", "bdist_wheel"}, {"pyversion", "py3"}, {"sha256_digest", hex.EncodeToString(sum[:])},
	} {
		if err := form.WriteField(f[0], f[1]); err != nil {
			return 0, "", err
		}
	}
	part, err := form.CreateFormFile("content", wheelName(project))
	if err != nil {
		return 0, "", err
	}
	if _, err := part.Write(wheel); err != nil {
		return 0, "", err
	}
	if err := form.Close(); err != nil {
		return 0, "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to+indexUser+"/dev/", &body)
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", form.FormDataContentType())
	req.Header.Set("Accept", "application/json")
	req.SetBasicAuth("__token__", strings.TrimSpace(string(token)))
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	return res.StatusCode, firstLine(text), err
}

// firstLine is what an index says, in a line.
func firstLine(text []byte) string {
	var said struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(text, &said) != nil {
		return ""
	}
	var lines []string
	for line := range strings.Lines(said.Message) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "Access was denied") {
			lines = append(lines, line)
		}
	}
	return shown(strings.Join(lines, " "))
}

// smallWheel is a wheel with nothing in it but what a wheel has to have.
func smallWheel(project string) ([]byte, error) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	info := project + "-1.0.dist-info/"
	for _, f := range [][2]string{
		{project + ".py", "version = \"1.0\"\n"}, {info + "METADATA", "Metadata-Version: 2.1\nName: " + project + "\nVersion: 1.0\n"},
		{info + "WHEEL", "Wheel-Version: 1.0\nGenerator: daypass demo\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
		{info + "RECORD", ""},
	} {
		w, err := z.Create(f[0])
		if err == nil {
			_, err = io.WriteString(w, f[1])
		}
		if err != nil {
			return nil, err
		}
	}
	return b.Bytes(), z.Close()
}
