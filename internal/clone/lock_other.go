//go:build !linux

package clone

import "os"

func keep(*os.File) {}

func held(*os.File) (held, known bool) { return false, false }

func working(string, string) (alive, known bool) { return false, false }
