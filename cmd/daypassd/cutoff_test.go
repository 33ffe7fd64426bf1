package main

import (
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSessionAfterCutOff: a cut-off ends the sessions of browsers, an admin's too,
// and a new one does not begin.
func TestSessionAfterCutOff(t *testing.T) {
	h, _ := stagedHubDemo(t, builtPrograms(t))
	ctx := t.Context()
	in := func(user string) *pageReader {
		b, err := newPageReader()
		if err != nil {
			t.Fatal(err)
		}
		if err := b.open(ctx, h.url); err != nil {
			t.Fatal(err)
		}
		if err := b.press(ctx, "Sign in", url.Values{"username": {user}, "password": {"any"}}); err != nil {
			t.Fatal(err)
		}
		return b
	}
	jo, admin := in(demoUser), in(demoAdmin)
	if err := admin.open(ctx, h.url+"people"); err != nil || admin.at.Path != "/people" {
		t.Fatalf("before: %v, %q", err, admin.title())
	}
	for _, user := range []string{demoUser, demoAdmin} {
		cmd := exec.Command(filepath.Join(h.bin, "daypass"), "admin", "user", "revoke", user, "--config", h.config)
		cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + filepath.Join(h.dir, "service")}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
	}
	time.Sleep(700 * time.Millisecond) // what another process did counts within half a second
	for b, page := range map[*pageReader]string{jo: "activity", admin: "people"} {
		// The session is gone: the browser is sent to the hub, which lets it in, and back.
		if err := b.open(ctx, h.url+page); err == nil || !strings.Contains(b.text, "DP-811") || b.at.Path != "/oauth_callback" {
			t.Errorf("%s: %v, at %s: %q", page, err, b.at, b.title())
		}
	}
}
