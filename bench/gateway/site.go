package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/daypass-dev/daypass/internal/benchsite"
	"github.com/daypass-dev/daypass/internal/devpitest"
	"github.com/daypass-dev/daypass/internal/measure"
	"github.com/daypass-dev/daypass/internal/process"
)

// A site is a devpi server, a gateway before it, and somebody with an index and a
// file there.
type site struct {
	*benchsite.Service
	s       *measure.Stage
	devpi   *devpitest.Server
	gateway string // its address, with a slash at its end
	session string // of the user at devpi
	token   string // of the user at the gateway
	file    string // the path of a small file
	client  *http.Client
}

const user = "ann"

// newSite starts both. Options are of the server behind.
func newSite(b *bench, s *measure.Stage) *site {
	st := &site{s: s, devpi: devpitest.Start(s, devpitest.Options{})}
	st.client = &http.Client{Timeout: 5 * time.Minute, Transport: &http.Transport{
		MaxIdleConnsPerHost: 64, DisableCompression: true, TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
		WriteBufferSize: 64 << 10, ReadBufferSize: 64 << 10,
	}}
	st.devpi.AddUser(s, user, "secret-of-ann")
	st.session = st.devpi.Login(s, user, "secret-of-ann")
	st.devpi.Upload(s, devpitest.User(user, st.session), user+"/dev", devpitest.Wheel("maps", "1.0"))
	st.serve(b)
	via := devpitest.API{URL: st.gateway}
	st.token = via.Token(s, devpitest.User(user, st.session), user, nil)
	st.file = st.findFile("maps")
	return st
}

// findFile asks the index where the newest file of a project is.
func (st *site) findFile(project string) string {
	r := st.devpi.Must(st.s, "GET", user+"/dev/"+project, devpitest.User(user, st.session), nil)
	var versions map[string]struct {
		Links []struct {
			Href string `json:"href"`
		} `json:"+links"`
	}
	r.Result(st.s, &versions)
	for _, v := range versions {
		for _, l := range v.Links {
			return strings.TrimPrefix(l.Href, st.devpi.URL)
		}
	}
	st.s.Fatalf("the index has no file of %s: %s", project, r.Body)
	return ""
}

func (st *site) serve(b *bench) {
	dir := st.s.TempDir()
	st.s.Check(os.Chmod(dir, 0o700))
	addr := process.FreeAddress(st.s)
	st.gateway = "http://" + addr + "/"
	config := filepath.Join(dir, "gateway.yaml")
	st.s.Check(os.WriteFile(config, []byte(fmt.Sprintf(`store: sqlite:%s/store/daypass.db
keys: file:%s/keys.json
gateway: {listen: %s, url: %q, upstream: %q, key: "file:%s/key"}
`, dir, dir, addr, st.gateway, st.devpi.URL, dir)), 0o600))
	st.s.Check(os.Mkdir(filepath.Join(dir, "store"), 0o700))
	daypassd := filepath.Join(b.Bin, "daypassd")
	if out, err := exec.Command(daypassd, "admin", "keys", "init", filepath.Join(dir, "keys.json")).CombinedOutput(); err != nil {
		st.s.Fatalf("make keys: %v\n%s", err, out)
	}
	if out, err := exec.Command(daypassd, "admin", "devpi-key", "--secretfile", st.devpi.SecretFile, "--output", filepath.Join(dir, "key"),
		"--argon2-time-cost", fmt.Sprint(devpitest.TimeCost), "--argon2-memory-cost", fmt.Sprint(devpitest.MemoryCost),
		"--argon2-parallelism", fmt.Sprint(devpitest.Parallelism)).CombinedOutput(); err != nil {
		st.s.Fatalf("make the key: %v\n%s", err, out)
	}
	st.Service = benchsite.NewService(st.s, daypassd, config, addr, "/+api")
	st.Start()
}

// direct and through make the same request to either.
func (st *site) direct(method, path string, body io.Reader) *http.Request {
	return st.request(st.devpi.URL, st.session, method, path, body)
}

func (st *site) through(method, path string, body io.Reader) *http.Request {
	return st.request(st.gateway, st.token, method, path, body)
}

func (st *site) request(base, password, method, path string, body io.Reader) *http.Request {
	r, err := http.NewRequest(method, base+path, body)
	st.s.Check(err)
	devpitest.User(user, password)(r)
	return r
}

// do sends a request, reads all of the answer and returns how long both took.
func (st *site) do(r *http.Request) time.Duration {
	took, _ := st.doRead(r)
	return took
}

// doRead says how long the answer was, too.
func (st *site) doRead(r *http.Request) (time.Duration, int64) {
	began := time.Now()
	a, err := st.client.Do(r)
	st.s.Check(err)
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(a.Body, 500))
		st.s.Fatalf("%s %s was answered %s: %s", r.Method, r.URL, a.Status, text)
	}
	n, err := io.Copy(io.Discard, a.Body)
	st.s.Check(err)
	return time.Since(began), n
}
