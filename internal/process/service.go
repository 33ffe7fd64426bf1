package process

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Installed is what a variable names that "make test" sets. Where it is empty the
// test is skipped, and fails where all tests are asked for. target is what installs
// it: scripts/tools.sh target.
func Installed(t testing.TB, variable, target string) string {
	t.Helper()
	path := os.Getenv(variable)
	switch {
	case path != "":
	case os.Getenv("DAYPASS_TEST_COMPLETE") != "":
		t.Fatalf("make test installs what %s names, and it is not there", variable)
	default:
		t.Skip(variable + ` is not set; eval "$(scripts/tools.sh ` + target + `-env)" sets it`)
	}
	return path
}

// FreeAddress finds a port of loopback where nobody listens, and which no other call
// of it is given until the test ends, in this process or another: a socket of UDP
// holds it, which is in no server's way. It lies below the ports that systems give to
// outgoing connections (from 32768 on Linux, net.ipv4.ip_local_port_range), and above
// those that browsers refuse (https://fetch.spec.whatwg.org/#port-blocking).
func FreeAddress(t testing.TB) string {
	t.Helper()
	for range 200 {
		address := fmt.Sprintf("127.0.0.1:%d", 16384+rand.IntN(16384))
		claim, err := net.ListenPacket("udp", address)
		if err != nil {
			continue
		}
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			t.Cleanup(func() { claim.Close() })
			return address
		}
		claim.Close()
	}
	t.Fatal("no port of 200 was free")
	return ""
}

// A Log is what programs say during a test. Its ends are shown where the test fails.
type Log struct{ *os.File }

// NewLog makes the file "log" in a folder. Whose it is stands above what is shown.
func NewLog(t testing.TB, dir, whose string) Log {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	l := Log{f}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the log of %s:\n%s", whose, l.ends())
		}
		f.Close()
	})
	return l
}

// End returns the last n bytes.
func (l Log) End(n int) string {
	text, err := os.ReadFile(l.Name())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-n):])
}

// ends returns how a log begins, where causes stand, and how it ends.
func (l Log) ends() string {
	text := l.End(1 << 30)
	if len(text) > 6000 {
		return text[:2000] + "\n[...]\n" + text[len(text)-4000:]
	}
	return text
}

// Serve starts a command and waits until ready, for a minute at most. It is stopped
// with the test, and has limit for its end.
func Serve(t testing.TB, cmd *exec.Cmd, log Log, limit time.Duration, ready func() bool) *Process {
	t.Helper()
	p, err := Start(cmd, log.File)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Stop(limit) })
	for end := time.Now().Add(time.Minute); !ready(); time.Sleep(20 * time.Millisecond) {
		if p.Ended() || time.Now().After(end) {
			t.Fatalf("%s does not answer:\n%s", filepath.Base(cmd.Path), log.ends())
		}
	}
	return p
}

// Answers reports whether a GET of an address is answered with 200.
func Answers(url string) bool {
	res, err := http.Get(url)
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// A Talk is one with a program that answers each line with a line.
type Talk struct {
	in  io.WriteCloser
	out *bufio.Reader
}

// NewTalk starts a program to talk with. It ends with the test.
func NewTalk(t testing.TB, cmd *exec.Cmd) *Talk {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", filepath.Base(cmd.Path), err)
		}
	})
	return &Talk{in, bufio.NewReaderSize(out, 1<<20)}
}

// Ask says a line, given without its end, and returns the answer so.
func (c *Talk) Ask(t testing.TB, line []byte) []byte {
	t.Helper()
	if _, err := c.in.Write(append(line, '\n')); err != nil {
		t.Fatal(err)
	}
	answer, err := c.out.ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	return answer[:len(answer)-1]
}
