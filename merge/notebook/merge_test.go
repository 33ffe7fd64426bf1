package notebook_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/daypass-dev/daypass/internal/soak"
	"github.com/daypass-dev/daypass/merge/notebook"
	"github.com/daypass-dev/daypass/merge/notebook/notebooktest"
)

// TestPairs merges pairs that drifted apart: nothing of either side is lost, the
// result is valid, and a second merge changes nothing.
func TestPairs(t *testing.T) {
	for seed := range uint64(soak.Rounds(t, 600, 20_000)) {
		p := pair(seed)
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
		}
	}
}

// TestTerm pulls six times in a row, each from what the merge before left.
func TestTerm(t *testing.T) {
	for seed := range uint64(soak.Rounds(t, 50, 1000)) {
		r := rand.New(rand.NewPCG(seed, 3))
		p := notebooktest.Make(r, 4+int(seed%2))
		for week := range 6 {
			got := merge(t, p.Base, p.Ours, p.Theirs)
			if p.Lost(got.Data)+p.Forgotten(got.Data) > 0 || t.Failed() {
				t.Fatalf("seed %d, week %d: lost %d of the instructor's, %d of the student's", seed, week, p.Lost(got.Data), p.Forgotten(got.Data))
			}
			var err error
			if p, err = notebooktest.Next(r, p.Theirs, got.Data, (week+1)*10_000); err != nil {
				t.Fatal(err)
			}
		}
	}
}
