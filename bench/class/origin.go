package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/internal/measure"
)

// originVariable makes this program the process that serves repositories.
const originVariable = "DAYPASS_TEST_ORIGIN"

// serveOrigin serves a folder and answers each line with the number of requests for
// content since the last one.
func serveOrigin(root string) {
	problem := measure.Play(func(s *measure.Stage) {
		server := gittest.Serve(s, root, gittest.Options{Filter: true})
		fmt.Println(server.URL)
		in := bufio.NewScanner(os.Stdin)
		for in.Scan() {
			n := 0
			for _, r := range server.Requests() {
				if r.Method == "POST" && strings.HasSuffix(r.Path, "/git-upload-pack") {
					n++
				}
			}
			server.Forget()
			fmt.Println(n)
		}
	})
	if problem != "" {
		fmt.Fprintln(os.Stderr, problem)
		os.Exit(1)
	}
}

// An origin is such a process.
type origin struct {
	s   *measure.Stage
	cmd *exec.Cmd
	in  io.Writer
	out *bufio.Reader
	url string // of the server
}

func startOrigin(s *measure.Stage, whole bool) *origin {
	root := s.TempDir()
	s.Check(os.Mkdir(filepath.Join(root, "lab"), 0o755))
	course(gittest.At(s, filepath.Join(root, "lab", "course.git"), "sha1"), whole)
	self, err := os.Executable()
	s.Check(err)
	o := &origin{s: s, cmd: exec.Command(self)}
	o.cmd.Env = append(os.Environ(), originVariable+"="+root)
	o.cmd.Stderr = os.Stderr
	in, err := o.cmd.StdinPipe()
	s.Check(err)
	out, err := o.cmd.StdoutPipe()
	s.Check(err)
	s.Check(o.cmd.Start())
	s.Cleanup(func() {
		in.Close()
		o.cmd.Process.Kill()
		o.cmd.Wait()
	})
	o.in, o.out = in, bufio.NewReader(out)
	o.url = o.line()
	return o
}

func (o *origin) line() string {
	text, err := o.out.ReadString('\n')
	o.s.Check(err)
	return strings.TrimSpace(text)
}

// course is the repository's address.
func (o *origin) course() string { return o.url + "/lab/course.git" }

func (o *origin) host() string { return strings.TrimPrefix(o.url, "http://") }

// asked is how many requests for content came since the last time.
func (o *origin) asked() (n int) {
	fmt.Fprintln(o.in)
	_, err := fmt.Sscan(o.line(), &n)
	o.s.Check(err)
	return n
}
