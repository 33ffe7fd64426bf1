// Package devpi speaks to a devpi index as its own client does, and keeps what
// that client keeps. It does not know what a pass is.
package devpi
