// Package plumbing runs the system's git as a tool on repositories of our own, with
// no configuration but what is handed in, and reads and writes what git keeps in
// files: objects through one cat-file, new ones through one fast-import, indexes and
// refs by itself. It knows no remote, no user and no folder of theirs.
package plumbing
