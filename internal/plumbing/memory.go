package plumbing

import (
	"io"
	"os"
	"os/exec"
)

// Start starts a command of which no process may have more memory of its own than so
// many bytes: git keeps whole answers and whole objects of others' making there. What it
// reads from Stdin comes once the limit is set, since what a process has taken before
// stays its own. Where the system cannot limit a process, it is started all the same.
func Start(cmd *exec.Cmd, memory uint64) error {
	if _, file := cmd.Stdin.(*os.File); cmd.Stdin != nil && !file {
		open := make(chan struct{})
		defer close(open)
		cmd.Stdin = &gate{cmd.Stdin, open}
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	bound(cmd.Process.Pid, memory, 4)
	return nil
}

// A gate lets nothing through until it is open.
type gate struct {
	from io.Reader
	open <-chan struct{}
}

func (g *gate) Read(p []byte) (int, error) {
	<-g.open
	return g.from.Read(p)
}

// Run is [Start], and waits for the end.
func Run(cmd *exec.Cmd, memory uint64) error {
	if err := Start(cmd, memory); err != nil {
		return err
	}
	return cmd.Wait()
}
