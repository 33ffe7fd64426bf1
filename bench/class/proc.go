package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/daypass-dev/daypass/internal/measure"
)

// cpu is what a process and its children that ended have had of the processors.
func (st *site) cpu(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	st.s.Check(err)
	_, rest, _ := strings.Cut(string(text), ") ") // its name may hold anything before
	fields := strings.Fields(rest)
	var ticks int64
	for _, at := range []int{11, 12, 13, 14} { // proc(5): utime, stime, cutime, cstime
		n, err := strconv.ParseInt(fields[at], 10, 64)
		st.s.Check(err)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// peak is the most memory that the service has had, in MiB.
func (st *site) peak() float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", st.cmd.Process.Pid))
	st.s.Check(err)
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			var kb float64
			fmt.Sscan(rest, &kb)
			return kb / 1024
		}
	}
	return 0
}

// requests counts what programs have asked the service, by its own metrics.
func (st *site) requests() (all int, byStatus map[string]int) {
	r, err := http.NewRequest(http.MethodGet, "http://"+st.addr+"/metrics", nil)
	st.s.Check(err)
	r.Header.Set("Authorization", "Bearer "+metricsToken)
	res, err := http.DefaultClient.Do(r)
	st.s.Check(err)
	defer res.Body.Close()
	byStatus = map[string]int{}
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), "daypass_requests_total{")
		if !ok || strings.Contains(rest, `route="metrics"`) || strings.Contains(rest, `route="readyz"`) {
			continue
		}
		labels, value, _ := strings.Cut(rest, "} ")
		n, err := strconv.ParseFloat(value, 64)
		st.s.Check(err)
		all += int(n)
		byStatus[labels] += int(n)
	}
	return all, byStatus
}

func writeFile(s *measure.Stage, path string, data []byte) {
	s.Check(os.WriteFile(path, data, 0o600))
}
