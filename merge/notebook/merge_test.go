package notebook_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/merge/notebook"
	"github.com/daypass-dev/daypass/merge/notebook/notebooktest"
)

// TestPairs merges pairs that drifted apart: nothing of either side is lost, the
// result is valid, and a second merge changes nothing.
func TestPairs(t *testing.T) {
	for seed := range uint64(2000) {
		minor := 5
		if seed%3 == 0 {
			minor = 4
		}
		p := notebooktest.Make(rand.New(rand.NewPCG(seed, 1)), minor)
		got, err := notebook.Merge(p.Base, p.Ours, p.Theirs)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if err := notebook.Valid(got.Data); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		if n := p.Lost(got.Data); n > 0 {
			t.Errorf("seed %d: %d of the instructor's new cells are lost", seed, n)
		}
		if n := p.Forgotten(got.Data); n > 0 {
			t.Errorf("seed %d: %d of the student's cells are lost", seed, n)
		}
		again, err := notebook.Merge(p.Base, got.Data, p.Theirs)
		if err != nil {
			t.Fatalf("seed %d: again: %v", seed, err)
		}
		if !bytes.Equal(again.Data, got.Data) {
			t.Errorf("seed %d: a second merge changed it", seed)
			show(t, seed, p, got.Data, again.Data)
			if testing.Short() {
				return
			}
		}
	}
}

func show(t *testing.T, seed uint64, p notebooktest.Pair, got, again []byte) {
	dir := os.Getenv("SHOW")
	if dir == "" {
		return
	}
	for name, data := range map[string][]byte{"base": p.Base, "ours": p.Ours, "theirs": p.Theirs, "got": got, "again": again} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, _ := exec.Command("diff", filepath.Join(dir, "got"), filepath.Join(dir, "again")).Output()
	t.Logf("%d\n%s", seed, strings.TrimSpace(string(out)))
}
