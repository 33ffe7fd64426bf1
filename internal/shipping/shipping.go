// Package shipping builds the module's programs as they are shipped, for tests and
// benchmarks. It does not know what they do.
package shipping

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Build builds commands of the module, such as "daypass", into a folder.
func Build(dir, tags string, names ...string) error {
	args := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-tags", tags, "-o", dir + string(filepath.Separator)}
	for _, name := range names {
		args = append(args, "github.com/daypass-dev/daypass/cmd/"+name)
	}
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %v: %w\n%s", names, err, out)
	}
	return nil
}

// Programs are built once for all tests of a run, when the first of them asks.
type Programs struct {
	names []string
	once  sync.Once
	dir   string
	err   error
}

// New names the programs.
func New(names ...string) *Programs { return &Programs{names: names} }

// Run runs the tests, and takes the programs away. It returns what they end with.
func (p *Programs) Run(m *testing.M) int {
	defer func() { os.RemoveAll(p.dir) }()
	return m.Run()
}

// Folder returns the folder where they are, which belongs to all tests.
func (p *Programs) Folder(t testing.TB) string {
	t.Helper()
	p.once.Do(func() {
		if p.dir, p.err = os.MkdirTemp("", "daypass-programs-"); p.err == nil {
			p.err = Build(p.dir, "", p.names...)
		}
	})
	if p.err != nil {
		t.Fatal(p.err)
	}
	return p.dir
}

// Own returns a folder of the test's own with some of them; none are named: all.
func (p *Programs) Own(t testing.TB, names ...string) string {
	t.Helper()
	if len(names) == 0 {
		names = p.names
	}
	from, dir := p.Folder(t), t.TempDir()
	for _, name := range names {
		if err := os.Link(filepath.Join(from, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
