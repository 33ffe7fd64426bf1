package main

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/devpitest"
	"github.com/daypass-dev/daypass/internal/process"
	"github.com/daypass-dev/daypass/pass"
)

// beside is another gateway on the same store, at an address of its own.
func (s *shop) beside() *shop {
	s.t.Helper()
	text, err := os.ReadFile(s.config)
	if err != nil {
		s.t.Fatal(err)
	}
	o := *s
	o.listen = process.FreeAddress(s.t)
	o.url = "http://" + o.listen + "/"
	o.config = s.file("etc/beside.yaml", strings.ReplaceAll(string(text), s.listen, o.listen))
	return &o
}

// start runs the gateway in a process of its own until the test ends.
func (s *shop) start(bin string) {
	s.t.Helper()
	r := &running{done: make(chan struct{})}
	r.cmd = exec.Command(filepath.Join(bin, "daypass"), "serve", "--config", s.config)
	r.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir}
	r.cmd.Stdout, r.cmd.Stderr = r, r
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := r.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() { _ = r.cmd.Wait(); close(r.done) }()
	s.t.Cleanup(func() {
		_ = r.cmd.Process.Signal(syscall.SIGTERM)
		<-r.done
		s.t.Logf("the gateway at %s:\n%s", s.listen, r.text())
	})
	s.eventually("the gateway is ready", func() bool {
		status, _ := s.get("+daypass/readyz", nil)
		return status == http.StatusOK
	})
}

// TestOneUseOverTwoProcesses: a pass for one use, shown 50 times at once to two
// gateways that share a store, opens once.
func TestOneUseOverTwoProcesses(t *testing.T) {
	s, index := newFakeShop(t, "")
	index.AddUser("alice", "secret")
	shops, bin := []*shop{s, s.beside()}, builtPrograms(t)
	for _, o := range shops {
		o.start(bin)
	}
	wide := devpitest.API{URL: s.url, Root: "a root"}.Token(t, devpitest.User("alice", "secret"), "alice", nil)
	p, err := pass.Parse(daypass.NewSecret(wide))
	if err != nil {
		t.Fatal(err)
	}
	limits, err := pass.Limits{Uses: 1}.Caveats()
	if err != nil {
		t.Fatal(err)
	}
	one, err := p.Narrow(limits...)
	if err != nil {
		t.Fatal(err)
	}
	const times = 50
	said := make(chan string, times)
	var all sync.WaitGroup
	begin := make(chan struct{})
	for i := range times {
		all.Go(func() {
			<-begin
			status, text := shops[i%2].get("alice/dev", http.Header{"Authorization": {"Bearer " + one.Text(pass.Devpi).Reveal()}, "Accept": {"application/json"}})
			switch {
			case status == http.StatusOK:
				said <- "through"
			case status == http.StatusForbidden && strings.Contains(text, "it was good for one use"):
				said <- "refused"
			default:
				said <- text
			}
		})
	}
	close(begin)
	all.Wait()
	close(said)
	count := map[string]int{}
	for what := range said {
		count[what]++
	}
	if count["through"] != 1 || count["refused"] != times-1 {
		t.Errorf("%v", count)
	}
	for _, o := range shops {
		if status, _ := o.get("alice/dev", http.Header{"Authorization": {"Bearer " + wide}}); status != http.StatusOK {
			t.Errorf("what it was narrowed from, at %s: %d", o.listen, status)
		}
	}
}
