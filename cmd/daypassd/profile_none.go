//go:build !profile

package main

// profiled does nothing in the program that is shipped; see profile.go.
func profiled(func(string) string) {}
