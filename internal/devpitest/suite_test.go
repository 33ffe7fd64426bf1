package devpitest

import "testing"

// TestPluginTokens holds the suite to devpi-tokens itself.
func TestPluginTokens(t *testing.T) {
	s := Start(t, Options{Plugin: true, Identity: true})
	TokenSuite(t, Target{API: s.API})
}
