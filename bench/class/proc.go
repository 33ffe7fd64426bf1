package main

import (
	"bufio"
	"net/http"
	"strconv"
	"strings"
)

// requests counts what programs have asked the service, by its own metrics.
func (st *site) requests() (all int, byStatus map[string]int) {
	r, err := http.NewRequest(http.MethodGet, "http://"+st.Addr+"/metrics", nil)
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
