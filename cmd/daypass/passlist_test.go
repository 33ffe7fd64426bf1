package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestListedUses(t *testing.T) {
	now := time.Date(2026, 11, 22, 15, 4, 0, 0, time.UTC)
	a := &app{now: func() time.Time { return now }}
	for uses, want := range map[int64]string{1: "Used:   1 time, last at 14:04 UTC", 2: "Used:   2 times, last at 14:04 UTC"} {
		var out bytes.Buffer
		a.listedTimes(&screen{out: &out}, time.Time{}, now.Add(-time.Hour), uses)
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q, want %q", out.String(), want)
		}
	}
}
