package pull

import (
	"strings"
	"testing"
)

// TestSentences prints what students read, for three names of folders.
func TestSentences(t *testing.T) {
	changes := func(what What, n int) (out []Change) {
		for range n {
			out = append(out, Change{Path: "x", What: what})
		}
		return out
	}
	cells := func(n int) []Change { return []Change{{Path: "x.ipynb", What: Merged, Kind: "notebook", Kept: n}} }
	for _, row := range []struct {
		r    Report
		want string
	}{
		{Report{Fresh: true, Changes: changes(Came, 1)}, "F is here: 1 file."},
		{Report{Fresh: true, Changes: changes(Came, 14)}, "F is here: 14 files."},
		{Report{Fresh: true}, "F is here: 0 files."},
		{Report{Fresh: true, DryRun: true, Changes: changes(Came, 2)}, "F would be made: 2 files."},
		{Report{Same: true}, "F is up to date."},
		{Report{Changes: changes(Adopted, 2)}, "F is up to date."},
		{Report{Changes: changes(Changed, 3)}, "F was updated."},
		{Report{Changes: changes(Restored, 1)}, "F was updated. 1 file you had deleted came back."},
		{Report{Changes: changes(Restored, 2)}, "F was updated. 2 files you had deleted came back."},
		{Report{Changes: changes(Kept, 1)}, "F was updated. We kept your version of 1 file."},
		{Report{Changes: changes(Kept, 2)}, "F was updated. We kept your version of 2 files."},
		{Report{Changes: cells(1)}, "F was updated. We kept your answers in 1 cell."},
		{Report{Changes: cells(2)}, "F was updated. We kept your answers in 2 cells."},
		{Report{Changes: append(cells(2), changes(Kept, 1)...)}, "F was updated. We kept your answers in 2 cells, and your version of 1 file."},
		{Report{DryRun: true}, "F is up to date."},
		{Report{DryRun: true, Changes: changes(Kept, 1)}, "F is up to date."},
		{Report{DryRun: true, Changes: append(changes(Changed, 1), changes(Adopted, 5)...)}, "F would be updated: 1 file."},
		{Report{Undone: true}, "There was nothing to undo in F."},
		{Report{Undone: true, Changes: changes(Changed, 1)}, "F is as it was before the last update."},
		{Report{Again: againReset}, "Nothing had to change in F."},
		{Report{Again: againReset, Changes: changes(Restored, 1)}, "1 file in F is as the source has it."},
		{Report{Again: againReset, Changes: changes(Restored, 2)}, "2 files in F are as the source has them."},
		{Report{Again: againRestore, Changes: changes(Restored, 1)}, "1 file in F is back from the backup."},
		{Report{Again: againRestore, Changes: changes(Restored, 3)}, "3 files in F are back from the backup."},
	} {
		for _, name := range []string{"lab1", "Lab 3", "ph142-f26"} {
			row.r.Folder = "/home/ada/" + name
			got := row.r.Sentence()
			t.Log(got)
			if want := strings.ReplaceAll(row.want, "F ", name+" "); got != strings.ReplaceAll(want, "F.", name+".") {
				t.Errorf("%q, want %q", got, want)
			}
		}
	}
}
