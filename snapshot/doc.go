// Package snapshot brings a source's content at one moment into a repository of
// ours, as a commit, and says what of it may be delivered. It does not know where
// that goes, nor who asks.
package snapshot
