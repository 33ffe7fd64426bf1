package main

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/provider/github"
)

func mustHost(t *testing.T) github.Host {
	t.Helper()
	h, err := github.ParseHost(github.DotCom)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// stagedDemo is a demo with the programs as shipped.
func stagedDemo(t *testing.T) (*demo, *bytes.Buffer) {
	t.Helper()
	bin := builtPrograms(t)
	var out bytes.Buffer
	s := &app{stdout: &out, getenv: os.Getenv, own: func() (string, error) { return bin, nil }}
	d, err := s.newDemo()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.close)
	return d, &out
}

// TestDemo runs the demo and holds it to its bound.
func TestDemo(t *testing.T) {
	d, out := stagedDemo(t)
	began := time.Now()
	if err := d.journey(context.Background()); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("it took %v, the bound is 15 s", took)
	}
	for _, token := range []string{"ghu_", "ghr_"} {
		if strings.Contains(out.String(), token) {
			t.Errorf("it shows a token: %s", out)
		}
	}
	dir, mem := d.dir, d.mem
	d.close()
	for _, path := range []string{dir, mem} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is left behind", path)
		}
	}
}

// TestDemoFails: a world that behaves otherwise ends the demo with an error.
func TestDemoFails(t *testing.T) {
	for name, change := range map[string]func(*fake.GitHub){
		"no revocation": func(g *fake.GitHub) { g.Set(func(s *fake.Switches) { s.RevokeEndpoint = false }) },
		"App installed everywhere": func(g *fake.GitHub) {
			g.Update(func(s *fake.Seed) { s.Installations[0].Repos = append(s.Installations[0].Repos, fake.CampusPaperRepo) })
		},
		"suspended": func(g *fake.GitHub) { g.Update(func(s *fake.Seed) { s.Installations[0].SuspendedAt = time.Now() }) },
	} {
		t.Run(name, func(t *testing.T) {
			d, out := stagedDemo(t)
			change(d.world.Local)
			if err := d.journey(context.Background()); err == nil {
				t.Errorf("the demo did not notice:\n%s", out)
			}
		})
	}
}

// stagedHubDemo is a demo of a hub with the programs as shipped.
func stagedHubDemo(t *testing.T, bin string) (*hubDemo, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	s := &app{stdout: &out, getenv: os.Getenv, own: func() (string, error) { return bin, nil }}
	h, err := s.newHubDemo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.close)
	return h, &out
}

// TestHubDemo runs the demo of a hub and holds it to its bound.
func TestHubDemo(t *testing.T) {
	h, out := stagedHubDemo(t, builtPrograms(t))
	began := time.Now()
	if err := h.journey(context.Background()); err != nil {
		t.Fatalf("%v\n%s\nthe service said:\n%s", err, out, h.log.String())
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %v, the bound is 30 s", took)
	}
	if anyToken.MatchString(out.String()) {
		t.Errorf("it shows a token: %s", out)
	}
	service := h.service.Process
	dir, mem := h.dir, h.mem
	h.close()
	for _, path := range []string{dir, mem} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is left behind", path)
		}
	}
	if err := service.Signal(syscall.Signal(0)); err == nil {
		t.Error("the access service still runs")
	}
}

// TestHubDemoFails: a world that behaves otherwise ends the demo with an error.
func TestHubDemoFails(t *testing.T) {
	bin := builtPrograms(t)
	ends := func(r *http.Request) bool { return r.Method == http.MethodDelete }
	for name, change := range map[string]func(*hubDemo){
		"tokens cannot be ended": func(h *hubDemo) { h.world.Local.Fault(ends, fake.Fault{Kind: fake.FaultStatus, Status: 500}) },
		"App installed everywhere": func(h *hubDemo) {
			h.world.Local.Update(func(s *fake.Seed) {
				for i := range s.Installations {
					if s.Installations[i].ID == fake.CampusPushLabInstall {
						s.Installations[i].Repos = append(s.Installations[i].Repos, fake.CampusPaperRepo)
					}
				}
			})
		},
		"the hub knows no server": func(h *hubDemo) {
			h.hub.Fault(fake.PathIs("/hub/api/user"), fake.Fault{Kind: fake.FaultStatus, Status: 403})
		},
		"a token on a disk": func(h *hubDemo) {
			text := []byte("[user]\n\ttoken = ghu_" + strings.Repeat("x", 36) + "\n")
			if err := os.WriteFile(filepath.Join(h.dir, "service", "left"), text, 0o600); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			h, out := stagedHubDemo(t, bin)
			change(h)
			if err := h.journey(context.Background()); err == nil {
				t.Errorf("the demo did not notice:\n%s", out)
			}
		})
	}
}

// TestHubDemoStays: left up, it says where, and a shell in a server works.
func TestHubDemoStays(t *testing.T) {
	h, out := stagedHubDemo(t, builtPrograms(t))
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := h.stay(ctx); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{h.url, h.hubURL, h.world.URL, "server.sh"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %s:\n%s", want, out)
		}
	}
	for _, name := range []string{"server.sh", "server-gpu.sh"} {
		cmd := exec.Command("/bin/sh", "-c", `. "$0" && git clone --quiet "$1"`, filepath.Join(h.dir, name), h.repo("data"))
		cmd.Env = []string{"DAYPASS_PLAIN=1"}
		if text, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(text), h.url+"connect/") {
			t.Errorf("in %s: %v %s", name, err, text)
		}
	}
}

// anyPass is the text of a pass in any of its forms.
var anyPass = regexp.MustCompile(`Ag[EI][A-Za-z0-9_-]{60}`)

// TestJobDemo runs the demo of a job's pass and holds it to its bound.
func TestJobDemo(t *testing.T) {
	h, out := stagedHubDemo(t, builtPrograms(t))
	began := time.Now()
	if err := h.jobJourney(context.Background()); err != nil {
		t.Fatalf("%v\n%s\nthe service said:\n%s", err, out, h.log.String())
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %v, the bound is 30 s", took)
	}
	if anyToken.MatchString(out.String()) || anyPass.MatchString(out.String()) {
		t.Errorf("it shows a token or a pass: %s", out)
	}
}

// TestJobDemoFails: a world that behaves otherwise ends the demo with an error.
func TestJobDemoFails(t *testing.T) {
	bin := builtPrograms(t)
	for name, change := range map[string]func(*hubDemo){
		"tokens cannot be ended": func(h *hubDemo) {
			h.world.Local.Fault(func(r *http.Request) bool { return r.Method == http.MethodDelete }, fake.Fault{Kind: fake.FaultStatus, Status: 500})
		},
		"the hub says of no server since when it runs": func(h *hubDemo) {
			h.hub.Fault(fake.PathIs("/hub/api/users/"+demoUser), fake.Fault{Kind: fake.FaultStatus, Status: 403})
		},
	} {
		t.Run(name, func(t *testing.T) {
			h, out := stagedHubDemo(t, bin)
			change(h)
			if err := h.jobJourney(context.Background()); err == nil {
				t.Errorf("the demo did not notice:\n%s", out)
			}
		})
	}
}

// stagedIndexDemo is a demo of an index with the programs as shipped.
func stagedIndexDemo(t *testing.T, bin string) (*indexDemo, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	s := &app{stdout: &out, getenv: os.Getenv, own: func() (string, error) { return bin, nil }}
	d, err := s.newDemo()
	if err != nil {
		t.Fatal(err)
	}
	x := &indexDemo{hubDemo: &hubDemo{demo: d}}
	t.Cleanup(x.close)
	if err := x.build(t.Context()); err != nil {
		t.Fatal(err)
	}
	return x, &out
}

// TestIndexDemo runs the demo of a package gateway and holds it to its bound.
func TestIndexDemo(t *testing.T) {
	x, out := stagedIndexDemo(t, builtPrograms(t))
	began := time.Now()
	if err := x.journey(context.Background()); err != nil {
		t.Fatalf("%v\n%s\nthe gateway said:\n%s", err, out, x.log.String())
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %v, the bound is 30 s", took)
	}
	if anyPass.MatchString(out.String()) {
		t.Errorf("it shows a pass: %s", out)
	}
	if text := out.String(); strings.Contains(text, "called nothing") || !regexp.MustCompile(`(?m)devpi/alice +\S+.* ago\), 2 times `).MatchString(text) {
		t.Errorf("the list shows no uses, or an event has a label that nobody gave:\n%s", text)
	}
	if got := x.index.Files(indexUser + "/dev"); len(got) != 2 {
		t.Errorf("the index has %v", got)
	}
}

// TestIndexDemoFails: a world that behaves otherwise ends the demo with an error.
func TestIndexDemoFails(t *testing.T) {
	bin := builtPrograms(t)
	uploads := func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Path == "/"+indexUser+"/dev/" }
	for name, change := range map[string]func(*indexDemo){
		"the index takes everything": func(x *indexDemo) { x.index.Fault(uploads, fake.Fault{Kind: fake.FaultStatus, Status: 200}) },
		"the index takes nothing":    func(x *indexDemo) { x.index.Fault(uploads, fake.Fault{Kind: fake.FaultStatus, Status: 500}) },
		"another secret": func(x *indexDemo) {
			if err := os.WriteFile(filepath.Join(x.dir, "secrets", "devpi-secret"), []byte(strings.Repeat("another ", 8)), 0o600); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			x, out := stagedIndexDemo(t, bin)
			change(x)
			if err := x.journey(context.Background()); err == nil {
				t.Errorf("the demo did not notice:\n%s", out)
			}
		})
	}
}
