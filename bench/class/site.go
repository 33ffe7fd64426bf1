package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/internal/benchsite"
	"github.com/daypass-dev/daypass/internal/measure"
	"github.com/daypass-dev/daypass/internal/process"
	"github.com/daypass-dev/daypass/store"
	"golang.org/x/sys/unix"
)

const (
	students     = 50
	teacher      = "teacher"
	linkName     = "lab1"
	metricsToken = "0123456789abcdef-bench-metrics-token"
)

// A site is a hub with a class, and the access service beside it.
type site struct {
	*benchsite.Service
	b      *bench
	s      *measure.Stage
	dir    string
	tokens []string
	hub    *benchsite.Hub
	keys   *store.Keys
	homes  int
}

// newSite starts a hub and the service, with a link to a source. sources is the part of
// the configuration that says what the service reads.
func newSite(b *bench, s *measure.Stage, people int, source daypass.Source, as, sources string) *site {
	st := &site{b: b, s: s, dir: s.TempDir()}
	st.hub = benchsite.StartHub(s, func(h *fake.Hub) {
		for i := range people {
			name := fmt.Sprintf("student%d", i)
			st.tokens = append(st.tokens, h.StartServer(name, ""))
			h.SetGroups(name, "class")
		}
		h.StartServer(teacher, "")
		h.SetGroups(teacher, "class", "instructors")
	})
	st.keys = benchsite.NewKeys(s, filepath.Join(st.dir, "keys.json"))
	st.file("hub-token", benchsite.ServiceToken)
	st.file("metrics-token", metricsToken)
	st.link(source, as)
	st.serve(sources)
	return st
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
		teach := st.hub.User(st.s, teacher)
		p, err := tx.PutPerson(teach, time.Now())
		if err != nil {
			return err
		}
		_, err = tx.PutLink(store.Link{Hub: teach.Hub, Name: linkName, Maker: p.ID, Title: "Lab 1", Source: source, As: as, Audience: "class", Until: time.Now().Add(24 * time.Hour)})
		return err
	}))
	st.s.Check(db.Close())
}

// serve starts the service and waits until it is ready.
func (st *site) serve(sources string) {
	world, err := fake.NewWorld(fake.WorldConfig{Dir: st.s.TempDir()})
	st.s.Check(err)
	st.s.Cleanup(func() { world.Close() })
	secret := st.file("push-secret", fake.CampusPushSecret)
	addr := process.FreeAddress(st.s)
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
%s`, addr, addr, st.where(), st.dir, st.dir, st.hub.URL, st.hub.URL, st.dir, world.URL, fake.CampusPushApp, secret, world.URL, st.dir, sources))
	st.Service = benchsite.NewService(st.s, filepath.Join(st.b.Bin, "daypassd"), config, addr, "/readyz")
	st.Start()
}

// home is a folder for one student's next pull.
func (st *site) home() string {
	st.homes++
	dir := filepath.Join(st.dir, fmt.Sprintf("home%d", st.homes))
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
		"DAYPASS_URL=http://" + st.Addr + "/", "JUPYTERHUB_API_TOKEN=" + st.tokens[student], "JUPYTERHUB_API_URL=http://" + st.Addr + "/hub/api",
	}
	return cmd
}

// alone is the command of a student whose hub has no service.
func (st *site) alone(source string) *exec.Cmd {
	home := st.home()
	cmd := exec.Command(filepath.Join(st.b.Bin, "daypass"), "pull", "--quiet", source, filepath.Join(home, "lab1"))
	cmd.Dir = home
	cmd.Env = []string{"PATH=" + st.b.Bin + ":" + os.Getenv("PATH"), "HOME=" + home, "XDG_RUNTIME_DIR=" + home, "LANG=C.UTF-8", "DAYPASS_PLAIN=1"}
	return cmd
}

// brought counts the files in all homes.
func (st *site) brought() int {
	found, err := filepath.Glob(filepath.Join(st.dir, "home*", "lab1", "week*", "file*.txt"))
	st.s.Check(err)
	return len(found)
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
	unix.Sync() // nobody waits for what was written before
	began := time.Now()
	for i, cmd := range commands {
		cmd.Stdout, cmd.Stderr = &outs[i], &outs[i]
		all.Go(func() { errs[i] = cmd.Run() })
	}
	all.Wait()
	took := time.Since(began)
	for i, err := range errs {
		if err != nil {
			said := ""
			if st.Service != nil {
				said = st.Said()
			}
			st.s.Fatalf("%s: %v\n%s\n%s", strings.Join(commands[i].Args, " "), err, outs[i].String(), said)
		}
	}
	return took
}

// many makes a command for each student.
func many(f func(i int) *exec.Cmd) []*exec.Cmd {
	var out []*exec.Cmd
	for i := range students {
		out = append(out, f(i))
	}
	return out
}
