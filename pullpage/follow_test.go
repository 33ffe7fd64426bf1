package pullpage

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/pull"
)

// counts makes the stand-in's report say how often it ran.
const counts = `n=$(($(cat n 2>/dev/null || echo 0)+1)); echo $n >n; printf '{"report":{"folder":"f","new":"%s"}}\n' $n`

// TestNoOldReport: whoever waits is told of a pull that ended after they asked, though
// others look at its files all the time.
func TestNoOldReport(t *testing.T) {
	p, r := stand(t, counts)
	pulls := func() pull.Report {
		t.Helper()
		got, err := p.Pull(t.Context(), r, func(pull.Event) {})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	pulls()
	f, err := os.Open(p.file(r.Folder))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH); err != nil { // what a look does, for longer
		t.Fatal(err)
	}
	time.AfterFunc(200*time.Millisecond, func() { _ = f.Close() })
	if got := pulls(); got.New != "2" {
		t.Fatalf("while somebody looked it tells the report %s", got.New)
	}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					p.Running(r.Folder)
				}
			}
		})
	}
	for i := range 40 {
		if got := pulls(); string(got.New) != fmt.Sprint(i+3) {
			t.Errorf("pull %d tells the report %s", i+3, got.New)
		}
	}
	close(stop)
	wg.Wait()
}

// TestNoReportOfBefore: one whose process has told its end and is still there is not
// followed; nor is one that was killed while another page began.
func TestNoReportOfBefore(t *testing.T) {
	p, r := stand(t, counts)
	if _, err := p.Pull(t.Context(), r, func(pull.Event) {}); err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"an end": `{"report":{"new":"old"}}` + "\n", "nothing": ""} {
		ask, err := json.Marshal(line{Ask: &r})
		if err != nil {
			t.Fatal(err)
		}
		if text == "" {
			ask = nil
		}
		if err := os.WriteFile(p.file(r.Folder), []byte(string(ask)+"\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
		if text == "" {
			if err := os.Truncate(p.file(r.Folder), 0); err != nil {
				t.Fatal(err)
			}
		}
		f, err := os.Open(p.file(r.Folder))
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(150*time.Millisecond, func() { _ = f.Close() })
		if got, err := p.Pull(t.Context(), r, func(pull.Event) {}); err != nil || got.New == "old" || got.New == "1" {
			t.Errorf("a file with %s: %+v %v", what, got, err)
		}
	}
	// Who may only follow begins none.
	only := r
	only.Only = true
	before := noted(t, p, "starts")
	if _, err := p.Pull(t.Context(), only, func(pull.Event) {}); codeOf(err) != "DP-380" || noted(t, p, "starts") != before {
		t.Errorf("it began: %v", err)
	}
}

// TestLongTales: a report of 20,000 files and a quarter of a million events are read.
func TestLongTales(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 60 MB")
	}
	report := pull.Report{New: commitA}
	for i := range 20000 {
		report.Changes = append(report.Changes, pull.Change{Path: strings.Repeat(strings.Repeat("d", 200)+"/", 9) + fmt.Sprint(i), What: pull.Came})
	}
	text, err := json.Marshal(line{Report: &report})
	if err != nil {
		t.Fatal(err)
	}
	p, r := stand(t, `yes '{"event":{"phase":"fetching","text":"`+strings.Repeat("x", 80)+`","bytes":1}}' | head -n 250000; cat report`)
	if err := os.WriteFile(filepath.Join(r.Root, "report"), append(text, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	events := 0
	got, err := p.Pull(t.Context(), r, func(pull.Event) { events++ })
	if err != nil || len(got.Changes) != 20000 || events != 250000 {
		t.Errorf("%d changes, %d events, %v", len(got.Changes), events, err)
	}
	b := book{t.TempDir()}
	for i, rep := range []pull.Report{{Folder: "a"}, {Folder: "b"}, *shortened(got), got, {Folder: "c"}} {
		if err := b.keep("x", Entry{At: time.Unix(int64(i), 0), Report: rep}); err != nil {
			t.Fatal(err)
		}
	}
	all, err := b.entries("x")
	if err != nil || len(all) != 5 || all[0].Report.Folder != "c" || all[4].Report.Folder != "a" || len(all[1].Report.Changes) == 0 {
		t.Errorf("%d entries, %v", len(all), err)
	}
	if info, err := os.Stat(b.name("x", "jsonl")); err != nil || info.Size() > 3*maxLine {
		t.Errorf("%v bytes, %v", info.Size(), err)
	}
}

func shortened(r pull.Report) *pull.Report {
	r.Changes = r.Changes[:5]
	return &r
}
