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
	"strings"
	"sync"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/hub"
	"github.com/daypass-dev/daypass/internal/measure"
	"github.com/daypass-dev/daypass/store"
)

const (
	students     = 50
	teacher      = "teacher"
	linkName     = "lab1"
	serviceToken = "0123456789abcdef-bench-service-token"
	metricsToken = "0123456789abcdef-bench-metrics-token"
)

// A site is a hub with a class, and the access service beside it.
type site struct {
	b      *bench
	s      *measure.Stage
	dir    string
	addr   string // of the service
	tokens []string
	hub    string
	keys   *store.Keys
	teach  daypass.User
	cmd    *exec.Cmd
	mu     sync.Mutex
	log    bytes.Buffer
	homes  int
}

// newSite starts a hub and the service, with a link to a source. sources is the part of
// the configuration that says what the service reads.
func newSite(b *bench, s *measure.Stage, people int, source daypass.Source, as, sources string) *site {
	st := &site{b: b, s: s, dir: s.TempDir(), addr: freePort(s)}
	st.startHub(people)
	var err error
	st.keys, err = store.NewKeys(rand.Reader)
	s.Check(err)
	text, err := st.keys.Marshal()
	s.Check(err)
	st.file("keys.json", string(text))
	st.file("hub-token", serviceToken)
	st.file("metrics-token", metricsToken)
	st.link(source, as)
	st.serve(sources)
	return st
}

func (st *site) startHub(people int) {
	h := fake.NewHub(fake.HubConfig{
		ServerScopes: []string{"access:services!service=daypass"},
		Services: []fake.HubService{{
			Name: "daypass", Token: serviceToken, Redirect: "/services/daypass/oauth_callback",
			Scopes: []string{"list:users", "read:users", "read:servers", "read:tokens", "read:shares"},
		}},
	})
	for i := range people {
		name := fmt.Sprintf("student%d", i)
		st.tokens = append(st.tokens, h.StartServer(name, ""))
		h.SetGroups(name, "class")
	}
	h.StartServer(teacher, "")
	h.SetGroups(teacher, "class", "instructors")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	st.s.Check(err)
	st.hub = "http://" + ln.Addr().String() + "/"
	server := &http.Server{Handler: h}
	go server.Serve(ln) // until it is closed
	st.s.Cleanup(func() { server.Close() })
	c := hub.New(hub.Config{ID: "hub", API: st.hub + "hub/api", Public: st.hub, Service: "daypass", Token: daypass.NewSecret(serviceToken)})
	list, err := c.Users(context.Background())
	st.s.Check(err)
	for _, p := range list {
		if p.User.Name == teacher {
			st.teach = p.User
		}
	}
}

func (st *site) file(name, text string) string {
	path := filepath.Join(st.dir, name)
	st.s.Check(os.WriteFile(path, []byte(text), 0o600))
	return path
}

func (st *site) where() string { return "sqlite:" + filepath.Join(st.dir, "store", "daypass.db") }

// link puts the teacher's link into the store, as the service writes it.
func (st *site) link(source daypass.Source, as string) {
	st.s.Check(os.MkdirAll(filepath.Join(st.dir, "store"), 0o700))
	db, err := store.Open(context.Background(), store.Config{URL: st.where(), Keys: st.keys})
	st.s.Check(err)
	st.s.Check(db.Write(context.Background(), func(tx *store.Tx) error {
		p, err := tx.PutPerson(st.teach, time.Now())
		if err != nil {
			return err
		}
		_, err = tx.PutLink(store.Link{Hub: st.teach.Hub, Name: linkName, Maker: p.ID, Title: "Lab 1", Source: source, As: as, Audience: "class", Until: time.Now().Add(24 * time.Hour)})
		return err
	}))
	st.s.Check(db.Close())
}

func freePort(s *measure.Stage) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	s.Check(err)
	defer ln.Close()
	return ln.Addr().String()
}

// Write keeps the beginning of what the service says.
func (st *site) Write(p []byte) (int, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.log.Len() < 1<<20 {
		st.log.Write(p)
	}
	return len(p), nil
}

func (st *site) said() string {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.log.String()
}

// serve starts the service and waits until it is ready.
func (st *site) serve(sources string) {
	world, err := fake.NewWorld(fake.WorldConfig{Dir: st.s.TempDir()})
	st.s.Check(err)
	st.s.Cleanup(func() { world.Close() })
	secret := st.file("push-secret", fake.CampusPushSecret)
	config := st.file("config.yaml", fmt.Sprintf(`listen: %s
url: http://%s/
store: %s
keys: file:%s/keys.json
metrics_token: file:%s/metrics-token
hub:
  api: %shub/api
  url: %s
  token: file:%s/hub-token
github:
  - host: %s
    push: {client_id: %s, client_secrets: ["file:%s"], app_url: %s/github-apps/campus-push}
links: {groups: [instructors]}
snapshots: {dir: %s/snapshots}
%s`, st.addr, st.addr, st.where(), st.dir, st.dir, st.hub, st.hub, st.dir, world.URL, fake.CampusPushApp, secret, world.URL, st.dir, sources))
	st.cmd = exec.Command(filepath.Join(st.b.Bin, "daypassd"), "serve", "--config", config)
	st.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + st.dir}
	st.cmd.Stdout, st.cmd.Stderr = st, st
	st.s.Check(st.cmd.Start())
	done := make(chan struct{})
	go func() { st.cmd.Wait(); close(done) }()
	st.s.Cleanup(func() { st.cmd.Process.Kill(); <-done })
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if res, err := http.Get("http://" + st.addr + "/readyz"); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-done:
			st.s.Fatalf("the service ended:\n%s", st.said())
		default:
		}
		if time.Now().After(end) {
			st.s.Fatalf("the service is not ready:\n%s", st.said())
		}
	}
}

// home is a folder for one student's next pull.
func (st *site) home() string {
	st.mu.Lock()
	st.homes++
	dir := filepath.Join(st.dir, fmt.Sprintf("home%d", st.homes))
	st.mu.Unlock()
	st.s.Check(os.Mkdir(dir, 0o700))
	return dir
}

// pull is a student's command.
func (st *site) pull(student int) *exec.Cmd {
	home := st.home()
	cmd := exec.Command(filepath.Join(st.b.Bin, "daypass"), "pull", "--quiet", "link:"+linkName, filepath.Join(home, "lab1"))
	cmd.Dir = home
	cmd.Env = []string{
		"PATH=" + st.b.Bin + ":" + os.Getenv("PATH"), "HOME=" + home, "XDG_RUNTIME_DIR=" + home, "LANG=C.UTF-8", "DAYPASS_PLAIN=1",
		"DAYPASS_URL=http://" + st.addr + "/", "JUPYTERHUB_API_TOKEN=" + st.tokens[student], "JUPYTERHUB_API_URL=http://" + st.addr + "/hub/api",
	}
	return cmd
}

// clone is what a student would do without us.
func (st *site) clone(url string) *exec.Cmd {
	home := st.home()
	cmd := exec.Command("git", "clone", "-q", "--depth", "1", url, filepath.Join(home, "lab1"))
	cmd.Dir = home
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GIT_CONFIG_NOSYSTEM=1", "LANG=C.UTF-8"}
	return cmd
}

// atOnce runs commands at once and says how long it took until all were done.
func (st *site) atOnce(commands []*exec.Cmd) time.Duration {
	outs := make([]bytes.Buffer, len(commands))
	errs := make([]error, len(commands))
	var all sync.WaitGroup
	began := time.Now()
	for i, cmd := range commands {
		cmd.Stdout, cmd.Stderr = &outs[i], &outs[i]
		all.Go(func() { errs[i] = cmd.Run() })
	}
	all.Wait()
	took := time.Since(began)
	for i, err := range errs {
		if err != nil {
			st.s.Fatalf("%s: %v\n%s\n%s", strings.Join(commands[i].Args, " "), err, outs[i].String(), st.said())
		}
	}
	return took
}

// clear takes the homes away.
func (st *site) clear() {
	found, _ := filepath.Glob(filepath.Join(st.dir, "home*"))
	for _, dir := range found {
		st.s.Check(os.RemoveAll(dir))
	}
}

// many makes a command for each student.
func many(f func(i int) *exec.Cmd) []*exec.Cmd {
	var out []*exec.Cmd
	for i := range students {
		out = append(out, f(i))
	}
	return out
}
