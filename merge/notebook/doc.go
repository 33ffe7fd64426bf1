// Package notebook merges Jupyter notebooks of format 4 by cells, three-way: the
// base is what was delivered last, ours is the user's, theirs is the upstream's new
// version. It is pure: bytes in, bytes out; no clock, no chance, no state.
//
// Which cell is which. Cells of one id and one content are the same; then nbgrader's
// grade_id decides, then the id (or the one that Colab keeps in a cell's metadata),
// then a content that stands once on each side, and between the cells found so far
// the most alike ones in order. Where contents have moved on to other ids, ids are
// taken for numbers of places and count only between cells that are alike. An
// upstream's cell that has a new id, or that is like several old ones, is new.
//
// What counts as an edit: the source and the type; not line ends, nor space at the
// end of a source, nor anything that running a notebook changes.
//
//	user            upstream        result
//	–               edited          the upstream's source, with its outputs (Updated)
//	edited          – or edited     the user's cell (Kept, where both edited it)
//	edited          deleted         it stays (Stayed)
//	–               deleted         it goes (Removed)
//	deleted         –               it stays deleted, unless it is locked
//	deleted         edited          it comes back (Returned)
//	–               new             it comes, whatever happened to its neighbours (New)
//	new             –               it stays
//	new             the same, new   once
//	–               moved           the upstream's place
//	moved           – or moved      the user's place
//	locked, edited  edited          the upstream's (Locked): nbgrader puts it there anyway before it grades
//
// At one place the user's cells come first, the upstream's new ones after them: what
// a student adds belongs to the cell above it.
//
// Outputs and execution_count follow the source: the user's stay while the source
// does; the upstream's come where the user has not run the cell, or with a new
// source, of which the old outputs would tell lies. Metadata and attachments merge
// field by field, tags one by one, and the user wins a clash; but nbgrader, deletable
// and editable are the upstream's where it changed them, and the kernel is one thing
// with its language.
//
// Bytes. What nobody changed keeps its text to the byte; numbers, escapes and the
// order of names are never written anew. The user's file lends its indentation, line
// ends and the newline at its end. The minor version is the higher of the two: from
// 5 on every cell has an id, and no two have the same one; below, none has.
package notebook
