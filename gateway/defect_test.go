package gateway

import (
	"testing"

	"github.com/daypass-dev/daypass/internal/devpitest"
)

// TestRealDefects: what devpi-tokens does wrong, and what both modes do there.
func TestRealDefects(t *testing.T) {
	for mode, kind := range map[Mode]devpitest.Kind{Strict: devpitest.Strict, Compat: devpitest.Compat} {
		t.Run(mode.String(), func(t *testing.T) {
			_, api := before(t, devpitest.Start(t, devpitest.Options{}), func(c *Config) { c.Mode = mode })
			devpitest.DefectSuite(t, devpitest.Target{API: api, Kind: kind, TokenID: tokenID(t)})
		})
	}
}
