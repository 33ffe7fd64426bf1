// Package clone reads and writes a user's own clone without running git in it, so
// that nothing which its configuration, hooks or attributes name is ever executed.
// It does not know what is pulled, nor why.
package clone
