package pull

import (
	"slices"

	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/merge"
)

// leaveClashes leaves out of a fresh folder what its disk cannot have beside another:
// one that knows no case takes two names for one.
func (r *run) leaveClashes() error {
	if !r.st.rec.Disk.Fold {
		return nil
	}
	steps, err := merge.Plan(merge.Input{
		Theirs: r.theirs(), Fold: true, Ours: func(string) merge.Entry { return merge.Entry{} },
		Prefix: func(string) string { return "" }, Under: func(string) []string { return nil },
	})
	if err != nil {
		return err
	}
	left := map[string]bool{}
	for _, s := range steps {
		if s.Do == merge.Skip {
			left[s.Path] = true
			r.rep.Changes = append(r.rep.Changes, Change{Path: s.Path, What: LeftOut, Why: clash(s.From)})
		}
	}
	r.rep.Changes = slices.DeleteFunc(r.rep.Changes, func(c Change) bool { return c.What == Came && left[c.Path] })
	r.snap.Files = slices.DeleteFunc(r.snap.Files, func(f plumbing.File) bool {
		if left[f.Path] {
			r.snap.Rest = append(r.snap.Rest, f)
		}
		return left[f.Path]
	})
	return nil
}

// clash says why a file is left out that another one is in the way of.
func clash(other string) string { return "this disk cannot have it beside " + other }
