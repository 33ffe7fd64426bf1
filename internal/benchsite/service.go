package benchsite

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/internal/process"
)

// A Service is one "daypassd serve". It may be started again when it has ended.
type Service struct {
	Addr    string   // where it listens, by its configuration
	Env     []string // more than PATH and HOME
	t       testing.TB
	program string
	ready   string // the path that tells
	config  string
	home    string
	log     process.Log
	process *process.Process
}

// NewService is a service that has not been started. program is daypassd, config the
// file of its configuration, which has it listen at addr. It is ready when it answers
// a path there, such as /readyz, with 200.
func NewService(t testing.TB, program, config, addr, ready string) *Service {
	t.Helper()
	home := t.TempDir()
	return &Service{Addr: addr, t: t, program: program, ready: ready, config: config, home: home, log: process.NewLog(t, home, "daypassd")}
}

// Launch starts the process and waits for nothing. It is killed at the end of the test.
func (v *Service) Launch() {
	v.t.Helper()
	p, err := process.Start(v.command(), v.log.File)
	check(v.t, err)
	v.process = p
	v.t.Cleanup(p.Kill)
}

// Start starts it and waits until it is ready.
func (v *Service) Start() {
	v.t.Helper()
	v.process = process.Serve(v.t, v.command(), v.log, 15*time.Second, v.Ready)
}

func (v *Service) command() *exec.Cmd {
	cmd := exec.Command(v.program, "serve", "--config", v.config)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + v.home}, v.Env...)
	return cmd
}

// Ready reports whether it says that it is.
func (v *Service) Ready() bool { return process.Answers("http://" + v.Addr + v.ready) }

// Kill ends it with no warning.
func (v *Service) Kill() { v.process.Kill() }

// End lets it end as its owner would.
func (v *Service) End() {
	v.t.Helper()
	const limit = 15 * time.Second
	began := time.Now()
	v.process.Stop(limit)
	if time.Since(began) >= limit {
		v.t.Fatal("the service did not end")
	}
}

// Said is its log.
func (v *Service) Said() string { return v.log.End(1 << 30) }

// CPU is what it and its children that ended have had of the processors.
func (v *Service) CPU() time.Duration { return CPU(v.t, v.process.PID()) }

// CPU is what a process and its children that ended have had of the processors.
func CPU(t testing.TB, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	check(t, err)
	_, rest, _ := strings.Cut(string(text), ") ") // its name may hold anything before
	fields := strings.Fields(rest)
	var ticks int64
	for _, at := range []int{11, 12, 13, 14} { // proc(5): utime, stime, cutime, cstime
		n, err := strconv.ParseInt(fields[at], 10, 64)
		check(t, err)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond // USER_HZ is 100 on all that Linux runs on
}

// Memory reads a field of /proc/PID/status, in MiB, such as VmHWM, the most that it
// has had.
func (v *Service) Memory(field string) float64 {
	v.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", v.process.PID()))
	check(v.t, err)
	for line := range strings.Lines(string(text)) {
		var kb float64
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			fmt.Sscan(rest, &kb)
			return kb / 1024
		}
	}
	return 0
}
