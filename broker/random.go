package broker

import "crypto/rand"

// randomness is the system's, where no other was handed in.
type randomness struct{}

func (randomness) Read(p []byte) (int, error) { return rand.Read(p) }
