package main

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// peak returns the largest resident set of one run in bytes, 0 where it cannot
// be had. The child is traced, and held at its exit while its memory still
// counts.
func (l *lab) peak(c *command) int64 {
	runtime.LockOSThread() // ptrace knows its tracer by thread
	defer runtime.UnlockOSThread()
	r, w, err := os.Pipe()
	if err != nil {
		return 0
	}
	w.WriteString(c.stdin)
	w.Close()
	defer r.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0
	}
	defer null.Close()
	p, err := os.StartProcess(c.args[0], c.args, &os.ProcAttr{Dir: l.dir, Env: l.env, Files: []*os.File{r, null, null},
		Sys: &syscall.SysProcAttr{Ptrace: true}})
	if err != nil {
		return 0
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(p.Pid, &status, 0, nil); err != nil {
		return 0
	}
	const exitKill = 0x100000 // PTRACE_O_EXITKILL
	if err := syscall.PtraceSetOptions(p.Pid, syscall.PTRACE_O_TRACEEXIT|exitKill); err != nil {
		return 0
	}
	var most int64
	for signal := 0; ; {
		if err := syscall.PtraceCont(p.Pid, signal); err != nil {
			return most
		}
		if _, err := syscall.Wait4(p.Pid, &status, 0, nil); err != nil || status.Exited() || status.Signaled() {
			return most
		}
		signal = 0
		if status.TrapCause() == syscall.PTRACE_EVENT_EXIT {
			most = max(most, highWater(p.Pid))
		} else if s := status.StopSignal(); s != syscall.SIGTRAP {
			signal = int(s)
		}
	}
}

func highWater(pid int) int64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kb << 10
		}
	}
	return 0
}
