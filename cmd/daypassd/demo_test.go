package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
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
	bin := t.TempDir()
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", bin+"/", "../daypass", "../git-credential-daypass")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
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
