//go:build !linux

package plumbing

func bound(int, uint64, int) {}
