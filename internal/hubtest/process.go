package hubtest

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// A process is one that this package started, and ends.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// start starts a command. It dies with the test's own process: the kernel ties it
// to the thread that started it, so that this thread stays until it ends.
func start(t testing.TB, cmd *exec.Cmd, out *os.File) *process {
	t.Helper()
	cmd.Stdout, cmd.Stderr = out, out
	dieWithParent(cmd)
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop asks it to end, and makes it end after limit.
func (p *process) stop(limit time.Duration) {
	if p.ended() {
		return
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(limit):
		p.kill()
	}
}

func (p *process) kill() {
	if !p.ended() {
		p.cmd.Process.Kill()
	}
	<-p.done
}
