package main

import (
	"bytes"
	"context"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// stagedPullDemo is a demo of a pull with the programs as shipped.
func stagedPullDemo(t *testing.T) (*pullDemo, *bytes.Buffer) {
	t.Helper()
	bin := builtPrograms(t)
	var out bytes.Buffer
	s := &app{stdout: &out, getenv: os.Getenv, own: func() (string, error) { return bin, nil }}
	p, err := s.newPullDemo()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	return p, &out
}

// TestPullDemo runs the demo and holds it to its bound.
func TestPullDemo(t *testing.T) {
	p, out := stagedPullDemo(t)
	began := time.Now()
	if err := p.journey(context.Background()); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %v, the bound is 30 s", took)
	}
	if anyToken.MatchString(out.String()) {
		t.Errorf("it shows a token: %s", out)
	}
	dir, mem, desk := p.dir, p.mem, p.desk
	p.close()
	for _, path := range []string{dir, mem, desk} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is left behind", path)
		}
	}
}

// TestPullDemoFails: a course that says something else ends the demo with an error.
func TestPullDemoFails(t *testing.T) {
	p, out := stagedPullDemo(t)
	if err := p.push("another lab", map[string]string{labNotebook: demoNotebook("Something else.")}); err != nil {
		t.Fatal(err)
	}
	if err := p.journey(context.Background()); err == nil {
		t.Errorf("the demo did not notice:\n%s", out)
	}
}

var demoLink = regexp.MustCompile(`http://\S+/git-pull\?\S+`)

// TestPullDemoServe follows the link that the demo leaves up, without script.
func TestPullDemoServe(t *testing.T) {
	p, _ := stagedPullDemo(t)
	out := &running{}
	p.out = out
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	served := make(chan error, 1)
	go func() { served <- p.serve(ctx) }()
	link := ""
	for link == "" {
		select {
		case err := <-served:
			t.Fatalf("%v\n%s", err, out.text())
		case <-time.After(50 * time.Millisecond):
			link = demoLink.FindString(out.text())
		}
	}
	b, err := newPageReader()
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	for range 100 { // the page takes a moment to listen
		if err = b.open(ctx, link); err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil || !strings.Contains(b.text, "uni-course") {
		t.Fatalf("%v\n%s", err, b.text)
	}
	stop()
	if err := <-served; err != nil {
		t.Errorf("%v\n%s", err, out.text())
	}
}
