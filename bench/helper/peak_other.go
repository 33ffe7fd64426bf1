//go:build !linux

package main

func (l *lab) peak(*command) int64 { return 0 }
