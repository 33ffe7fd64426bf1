package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/hub"
	"github.com/daypass-dev/daypass/internal/measure"
	"github.com/daypass-dev/daypass/store"
)

const (
	people = 1000
	repos  = 8
)

// build makes the programs as they are shipped; with -profile, the service with
// its profiler.
func (b *bench) build() error {
	tags := ""
	if b.profile != "" {
		tags = "profile"
	}
	return measure.Build(b.Bin, tags, "daypass", "daypassd", "git-credential-daypass")
}

// A site is a hub and a GitHub that stand in for the real ones, and the people
// who use both.
type site struct {
	b      *bench
	s      *measure.Stage
	dir    string
	world  *fake.World
	hubURL string
	hub    *http.Server
	keys   *store.Keys
	tokens []string       // of each person's server
	users  []daypass.User // as the hub knows them
}

const serviceToken = "0123456789abcdef-bench-service-token"

func newSite(b *bench, s *measure.Stage, people int) *site {
	st := &site{b: b, s: s, dir: s.TempDir()}
	var err error
	for _, d := range []string{"world", "etc"} {
		s.Check(os.Mkdir(filepath.Join(st.dir, d), 0o700))
	}
	st.world, err = fake.NewWorld(fake.WorldConfig{Dir: filepath.Join(st.dir, "world")})
	s.Check(err)
	s.Cleanup(func() { st.world.Close() })
	s.Check(st.world.Local.Add(fake.Crowd(fake.CampusPushApp, people, repos)))
	st.keys, err = store.NewKeys(rand.Reader)
	s.Check(err)
	text, err := st.keys.Marshal()
	s.Check(err)
	st.file("etc/keys.json", string(text))
	st.file("etc/push-secret", fake.CampusPushSecret)
	st.file("etc/hub-token", serviceToken)
	st.startHub(people)
	return st
}

// startHub makes a hub where everybody runs one server.
func (st *site) startHub(people int) {
	h := fake.NewHub(fake.HubConfig{
		ServerScopes: []string{"access:services!service=daypass"},
		Services: []fake.HubService{{
			Name: "daypass", Token: serviceToken, Redirect: "/services/daypass/oauth_callback",
			Scopes: []string{"list:users", "read:users", "read:servers", "read:tokens", "read:shares"},
		}},
	})
	for i := range people {
		st.tokens = append(st.tokens, h.StartServer(fmt.Sprintf("user%d", i), "gpu"))
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	st.s.Check(err)
	st.hubURL = "http://" + ln.Addr().String() + "/"
	st.hub = &http.Server{Handler: h}
	go st.hub.Serve(ln) // until it is closed
	st.s.Cleanup(func() { st.hub.Close() })
	c := hub.New(hub.Config{ID: "hub", API: st.hubURL + "hub/api", Public: st.hubURL, Service: "daypass", Token: daypass.NewSecret(serviceToken)})
	list, err := c.Users(context.Background())
	st.s.Check(err)
	byName := map[string]daypass.User{}
	for _, p := range list {
		byName[p.User.Name] = p.User
	}
	for i := range people {
		u, ok := byName[fmt.Sprintf("user%d", i)]
		if !ok {
			st.s.Fatalf("the hub does not list user%d", i)
		}
		st.users = append(st.users, u)
	}
}

// host is the stand-in for GitHub, as git writes it.
func (st *site) host() string { return strings.TrimPrefix(st.world.URL, "http://") }

func (st *site) file(name, text string) string {
	path := filepath.Join(st.dir, name)
	st.s.Check(os.WriteFile(path, []byte(text), 0o600))
	return path
}

// sqlite is the address of a store in a folder of its own.
func (st *site) sqlite(name string) string {
	dir := filepath.Join(st.dir, name)
	st.s.Check(os.MkdirAll(dir, 0o700))
	return "sqlite:" + filepath.Join(dir, "daypass.db")
}

func (st *site) open(where string) *store.DB {
	db, err := store.Open(context.Background(), store.Config{URL: where, Keys: st.keys})
	st.s.Check(err)
	return db
}

// connect connects everybody, as far as the service's store is concerned, with
// tokens of the stand-in's that are good until a moment.
func (st *site) connect(where string, until time.Time) {
	db := st.open(where)
	now := time.Now()
	for from := 0; from < len(st.users); from += 100 {
		err := db.Write(context.Background(), func(tx *store.Tx) error {
			for i := from; i < min(from+100, len(st.users)); i++ {
				if err := st.connectOne(tx, i, now, until); err != nil {
					return err
				}
			}
			return nil
		})
		st.s.Check(err)
	}
	st.s.Check(db.Close())
}

func (st *site) connectOne(tx *store.Tx, i int, now, until time.Time) error {
	p, err := tx.PutPerson(st.users[i], now)
	if err != nil {
		return err
	}
	login := fmt.Sprintf("user%d", i)
	access, refresh, err := st.world.Local.Issue(fake.CampusPushApp, login, 0)
	if err != nil {
		return err
	}
	c := store.Connection{
		Person: p.ID, Host: st.host(), Kind: "app", Account: daypass.Account{ID: 10_000_000 + int64(i), Login: login},
		Created: now, Used: now, Ends: now.Add(30 * 24 * time.Hour),
	}
	_, _, err = tx.PutConnection(c, daypass.Grant{
		Access: daypass.NewSecret(access), Until: until, Refresh: daypass.NewSecret(refresh), Renew: now.Add(180 * 24 * time.Hour),
	})
	return err
}

// credentials are the requests for every repository of everybody at a service.
func (st *site) credentials(addr string) [][]byte {
	var out [][]byte
	for i, token := range st.tokens {
		for r := range repos {
			body := fmt.Sprintf(`{"protocol":"https","host":%q,"path":"user%d/repo%d.git","access":"write"}`, st.host(), i, r)
			out = append(out, fmt.Appendf(nil, "POST /api/v1/credential HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"+
				"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", addr, token, len(body), body))
		}
	}
	return out
}

// mes are requests that look at everybody's connections.
func (st *site) mes(addr string) [][]byte {
	var out [][]byte
	for _, token := range st.tokens {
		out = append(out, fmt.Appendf(nil, "GET /api/v1/me HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", addr, token))
	}
	return out
}

// A service is one running "daypassd serve".
type service struct {
	st       *site
	addr     string
	config   string
	profiler string
	env      []string
	cmd      *exec.Cmd
	done     chan struct{}
	mu       sync.Mutex
	log      bytes.Buffer
}

// Write keeps the beginning of what it says.
func (v *service) Write(p []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.log.Len() < 1<<20 {
		v.log.Write(p)
	}
	return len(p), nil
}

func (v *service) text() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.log.String()
}

// serve writes a configuration and starts a service with it.
func (st *site) serve(name, where string) *service {
	v := st.configured(name, where)
	v.start()
	return v
}

func (st *site) configured(name, where string) *service {
	v := &service{st: st, addr: freePort(st.s)}
	v.config = st.file("etc/"+name+".yaml", fmt.Sprintf(`listen: %s
url: http://%s/
store: %s
keys: file:%s/etc/keys.json
hub:
  api: %shub/api
  url: %s
  token: file:%s/etc/hub-token
github:
  - host: %s
    push: {client_id: %s, client_secrets: ["file:%s/etc/push-secret"], app_url: %s/github-apps/campus-push}
`, v.addr, v.addr, where, st.dir, st.hubURL, st.hubURL, st.dir, st.world.URL, fake.CampusPushApp, st.dir, st.world.URL))
	return v
}

func freePort(s *measure.Stage) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	s.Check(err)
	defer ln.Close()
	return ln.Addr().String()
}

// launch starts the process and waits for nothing.
func (v *service) launch() {
	v.done = make(chan struct{})
	v.cmd = exec.Command(filepath.Join(v.st.b.Bin, "daypassd"), "serve", "--config", v.config)
	v.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + v.st.dir}, v.env...)
	v.cmd.Stdout, v.cmd.Stderr = v, v
	v.st.s.Check(v.cmd.Start())
	cmd, done := v.cmd, v.done
	go func() { cmd.Wait(); close(done) }()
	v.st.s.Cleanup(v.kill)
}

func (v *service) start() {
	if v.st.b.profile != "" {
		v.profiler = freePort(v.st.s)
		v.env = []string{"DAYPASS_TEST_PROFILE=" + v.profiler}
	}
	v.launch()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		if v.ready() {
			return
		}
		select {
		case <-v.done:
			v.st.s.Fatalf("the service ended:\n%s", v.text())
		default:
		}
		if time.Now().After(end) {
			v.st.s.Fatalf("the service is not ready:\n%s", v.text())
		}
	}
}

func (v *service) ready() bool {
	w := &wire{addr: v.addr}
	defer w.close()
	status, _, err := w.do(fmt.Appendf(nil, "GET /readyz HTTP/1.1\r\nHost: %s\r\n\r\n", v.addr))
	return err == nil && status == http.StatusOK
}

// kill ends the process with no warning.
func (v *service) kill() {
	v.cmd.Process.Kill()
	<-v.done
}

// end lets it end as its owner would.
func (v *service) end() {
	v.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-v.done:
	case <-time.After(15 * time.Second):
		v.st.s.Fatal("the service did not end")
	}
}

// complaints are the first lines of its log that are not for information.
func (v *service) complaints() string {
	return strings.Join(regexp.MustCompile(`(?m)^.*level=(WARN|ERROR).*$`).FindAllString(v.text(), 5), "\n  ")
}

// durability is what the service read back from its store at its start.
func (v *service) durability() string {
	m := regexp.MustCompile(`msg="daypass serves".* store="([^"]*)"`).FindStringSubmatch(v.text())
	if m == nil {
		return ""
	}
	return m[1]
}

// memory reads a field of /proc/PID/status, in MiB.
func (v *service) memory(field string) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", v.cmd.Process.Pid))
	v.st.s.Check(err)
	for line := range strings.Lines(string(text)) {
		var kb float64
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			fmt.Sscan(rest, &kb)
			return kb / 1024
		}
	}
	return 0
}

// warm lets the hub vouch for everybody, and then every credential be made.
func (v *service) warm() {
	began := time.Now()
	for _, requests := range [][][]byte{v.st.mes(v.addr), v.st.credentials(v.addr)} {
		t := each(v.addr, clients, requests)
		if t.wrong() != "" {
			v.st.s.Fatalf("while it was warmed up: %s\n%s", t.wrong(), v.text())
		}
	}
	v.st.b.Say("%d people are known and %d credentials made in %.1f s; at most %.0f MiB", len(v.st.tokens), len(v.st.tokens)*repos, time.Since(began).Seconds(), v.memory("VmHWM"))
}
