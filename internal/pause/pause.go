// Package pause waits. It knows nothing of what for.
package pause

import (
	"context"
	"time"
)

// For waits d, and reports false when ctx ended before.
func For(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
