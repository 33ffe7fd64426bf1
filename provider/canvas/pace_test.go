package canvas

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestPaceGivesUp: who would wait in vain does not wait.
func TestPaceGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPace(time.Now)
		p.Slow(time.Hour)
		began := time.Now()
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute)
		defer stop()
		if err := p.Wait(ctx, 1); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 0 {
			t.Fatalf("%v after %v", err, time.Since(began))
		}
		if err := p.Wait(t.Context(), 1); err != nil || time.Since(began) != time.Hour {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}
