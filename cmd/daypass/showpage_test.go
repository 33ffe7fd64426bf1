package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pass"
)

// TestPassesPageShow: what doc/passes.md shows of "pass show" is what that says of
// such a pass.
func TestPassesPageShow(t *testing.T) {
	local := time.Local
	time.Local = time.UTC
	t.Cleanup(func() { time.Local = local })
	now := time.Date(2026, 11, 22, 7, 45, 0, 0, time.UTC)
	caveats, err := pass.Limits{
		Expires: time.Unix(1795340699, 0), Access: daypass.Read, Hosts: []string{"github.com"}, Repos: []string{"river-lab/data"}, Servers: []string{pass.ServerItem("gpu", time.Unix(1795332299, 0))},
	}.Caveats()
	if err != nil {
		t.Fatal(err)
	}
	p, err := pass.Mint(pass.NewKey([]byte("0123456789abcdef0123456789abcdef")), pass.Identity{Realm: pass.Realm{Kind: pass.Hub, Name: "hub"}, ID: "YxsuxhfdqTZ6pVSW"}, caveats...)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "job.pass")
	if err := os.WriteFile(file, []byte(p.Text(pass.Daypass).Reveal()), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	a := &app{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, getenv: func(string) string { return "" }, environ: os.Environ, now: func() time.Time { return now }, uid: os.Geteuid(), rootDir: dir}
	if end := a.run(t.Context(), []string{"daypass", "pass", "show", "--file", file}); end != 0 {
		t.Fatalf("%d: %s", end, errs.String())
	}
	page, err := os.ReadFile("../../doc/passes.md")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, ok := strings.Cut(string(page), "$ daypass pass show --file job.pass\n")
	shown, _, _ = strings.Cut(shown, "…\n")
	if !ok || strings.Count(shown, "\n") < 10 || !strings.HasPrefix(out.String(), shown) {
		t.Errorf("the page shows\n%s\nand the command\n%s", shown, out.String())
	}
}
