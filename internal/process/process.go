// Package process runs the real programs that tests need beside them, such as a
// hub, an index or an oracle, and sees to it that they end. It knows none of them.
package process

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// A Process is one that this package started, and ends.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// Start starts a command, whose output goes to out. It dies with the test's own
// process: the kernel ties it to the thread that started it, so that this thread
// stays until it ends.
func Start(cmd *exec.Cmd, out *os.File) (*Process, error) {
	cmd.Stdout, cmd.Stderr = out, out
	dieWithParent(cmd)
	p := &Process{cmd: cmd, done: make(chan struct{})}
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
		return nil, err
	}
	return p, nil
}

// Ended reports whether it runs no more.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stop asks it to end, and makes it end after limit.
func (p *Process) Stop(limit time.Duration) {
	if p.Ended() {
		return
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(limit):
		p.Kill()
	}
}

// Kill ends it with no warning.
func (p *Process) Kill() {
	if !p.Ended() {
		p.cmd.Process.Kill()
	}
	<-p.done
}
