package plumbing

import "os/exec"

// Start starts a command of which no process may have more memory of its own than so
// many bytes: git keeps whole answers and whole objects of others' making there. Where the
// system cannot limit a process, it is started all the same.
func Start(cmd *exec.Cmd, memory uint64) error {
	bound(cmd, memory)
	return cmd.Start()
}

// Run is [Start], and waits for the end.
func Run(cmd *exec.Cmd, memory uint64) error {
	if err := Start(cmd, memory); err != nil {
		return err
	}
	return cmd.Wait()
}
