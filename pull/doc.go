// Package pull brings a snapshot into a folder: it plans, keeps what would be
// overwritten, writes, and can take it back. It does not know where content comes
// from, and shows nothing to anybody.
package pull
