// Package devpi speaks to a devpi index as its own client does, and reads and
// writes what that client keeps: who is logged in where (auth.json) and which
// index is in use (current.json).
//
// It sends a password or token to the one server that it was made for: by
// https or on this machine, over no redirect. It does not know what a pass is,
// where the client's files are, nor what the user is told beside a problem.
//
// The shapes are those of devpi-server 6, devpi-client 7 and devpi-tokens 1.
package devpi
