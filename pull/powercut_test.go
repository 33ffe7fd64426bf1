package pull

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/internal/gittest"
)

// TestPowerCut: files of our repository that are empty after a power cut, and locks
// that a killed git has left, stop no pull and no undo.
func TestPowerCut(t *testing.T) {
	files := func(d *desk, match func(name string) bool) (out []string) {
		repo := filepath.Join(d.stateDir(), "repo.git")
		filepath.WalkDir(repo, func(path string, e fs.DirEntry, err error) error {
			if rel, _ := filepath.Rel(repo, path); err == nil && !e.IsDir() && match(rel) {
				out = append(out, path)
			}
			return nil
		})
		return out
	}
	for name, spoil := range map[string]func(d *desk){
		"empty HEAD, config": func(d *desk) {
			for _, file := range files(d, func(rel string) bool { return rel == "HEAD" || rel == "config" }) {
				os.Truncate(file, 0)
			}
		},
		"empty refs": func(d *desk) {
			for _, file := range files(d, func(rel string) bool { return strings.HasPrefix(rel, "refs/") }) {
				os.Truncate(file, 0)
			}
		},
		"locks": func(d *desk) {
			for _, file := range files(d, func(rel string) bool { return strings.HasPrefix(rel, "refs/") || rel == "HEAD" || rel == "packed-refs" }) {
				os.WriteFile(file+".lock", nil, 0o600)
			}
			tip := strings.TrimSpace(d.src.Git("rev-parse", "main"))
			os.WriteFile(filepath.Join(d.stateDir(), "repo.git/refs/daypass/snapshots", tip+".lock"), nil, 0o600)
		},
		"a backup's ref of this second": func(d *desk) {
			now := d.p.Now()
			for i := range 3 {
				id := now.UTC().Add(time.Duration(i) * time.Second).Format(idTime)
				os.MkdirAll(filepath.Join(d.stateDir(), "repo.git/refs/daypass/backups"), 0o700)
				os.WriteFile(filepath.Join(d.stateDir(), "repo.git/refs/daypass/backups", id+".lock"), nil, 0o600)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			now := time.Now()
			d.p.Now = func() time.Time { return now }
			d.src.Commit("main", "one", gittest.Files{"a": long(), "b": "b"})
			d.pull()
			d.write("a", long("9 mine"))
			d.src.Commit("main", "two", gittest.Files{"a": long("1 two")})
			d.pull()
			d.src.Commit("main", "three", gittest.Files{"a": long("2 three")})
			spoil(d)
			d.write("b", "mine")
			if _, err := d.p.Reset(t.Context(), d.folder, "b"); err != nil {
				t.Error("reset:", err)
			}
			spoil(d)
			d.pull()
			d.want(map[string]string{"a": long("2 three", "9 mine"), "b": "b"})
			d.sound()
			spoil(d)
			if _, err := d.p.Undo(t.Context(), d.folder); err != nil {
				t.Error("undo:", err)
			}
			d.want(map[string]string{"a": long("1 two", "9 mine"), "b": "b"})
		})
	}
}
