package main

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/depot"
	"github.com/daypass-dev/daypass/internal/plumbing"
)

// TestBrowseOneAtATime: who has something read that nobody had before waits for it with
// the next one, whether they pull or look for a file to open; others do not.
func TestBrowseOneAtATime(t *testing.T) {
	t.Parallel()
	host, dir, _ := gitHost(t)
	plant(t, filepath.Join(dir, "a", "lab.git"), "text\n")
	l := newLibrary(t, "")
	l.edit("hosts: []", "hosts: [\""+host+"\"]")
	svc, _ := l.serving()
	l.hub.SetGroups("tea", "instructors")
	l.hub.SetGroups("oth", "instructors")
	begun := make(chan struct{})
	wait, stop := context.WithCancel(t.Context())
	defer stop()
	go func() {
		slow := depot.Key{Source: daypass.Source{Kind: "git", Host: "slow.example", ID: "a/b"}, As: "public"}
		_, _ = svc.readers.depot.GetFor(wait, depot.Asker{Name: "tea"}, slow, 0, func(ctx context.Context, _ *plumbing.Repo, _ plumbing.OID, _ string) (depot.Result, error) {
			close(begun)
			select {
			case <-wait.Done():
			case <-ctx.Done():
			}
			return depot.Result{}, context.Canceled
		})
	}()
	<-begun
	f := &face{b: svc.broker, readers: svc.readers}
	browse := func(who string) (int, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		list, err := f.browseSource(ctx, l.caller(&desk{service: svc}, who), daypass.Source{Kind: "git", Host: host, ID: "a/lab"}, "")
		return len(list.Files), err
	}
	if n, err := browse("tea"); err == nil {
		t.Errorf("a second source is read for one person at once: %d files", n)
	}
	if n, err := browse("oth"); err != nil || n != 1 {
		t.Errorf("another waits for it: %d, %v", n, err)
	}
	stop()
	if n, err := browse("tea"); err != nil || n != 1 {
		t.Errorf("afterwards: %d, %v", n, err)
	}
}
