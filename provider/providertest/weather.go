package providertest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
)

// mostTime is how long a method may take in any weather, with all that it tries
// again and cleans up.
const mostTime = 30 * time.Second

// A step makes ready and returns the call to be tried.
type step func(t *testing.T, w *world) (call func(context.Context) error)

// steps are the methods that ask the host.
func steps() map[string]step {
	return map[string]step{
		"Exchange": func(t *testing.T, w *world) func(context.Context) error {
			code := w.code(t)
			return func(ctx context.Context) error {
				_, err := w.Issuer.Exchange(ctx, code, verifier, w.Redirect)
				return err
			}
		},
		"Refresh": granted(func(ctx context.Context, w *world, g daypass.Grant) error {
			_, err := w.Issuer.Refresh(ctx, g.Refresh)
			return err
		}),
		"Whose": granted(func(ctx context.Context, w *world, g daypass.Grant) error {
			_, err := w.Issuer.Whose(ctx, g.Access)
			return err
		}),
		"RightTo": granted(func(ctx context.Context, w *world, g daypass.Grant) error {
			_, err := w.Issuer.RightTo(ctx, g.Access, w.Write)
			return err
		}),
		"Reach": granted(func(ctx context.Context, w *world, g daypass.Grant) error {
			_, _, err := w.Issuer.Reach(ctx, g.Access, 1000)
			return err
		}),
		"Narrow": granted(func(ctx context.Context, w *world, g daypass.Grant) error {
			_, err := w.Issuer.Narrow(ctx, g.Access, w.scope(daypass.Read, w.Write))
			return err
		}),
		"Live": granted(func(ctx context.Context, w *world, g daypass.Grant) error {
			_, err := w.Issuer.Live(ctx, g.Access)
			return err
		}),
		"Revoke":     ending(daypass.Issuer.Revoke),
		"Disconnect": ending(daypass.Issuer.Disconnect),
		"IssueAsHub": content(func(ctx context.Context, w *world) error {
			_, err := w.Issuer.IssueAsHub(ctx, w.scope(daypass.Read, w.Content))
			return err
		}),
		"LookAsHub": content(func(ctx context.Context, w *world) error {
			_, err := w.Issuer.LookAsHub(ctx, w.Content)
			return err
		}),
		"RightAsHub": content(func(ctx context.Context, w *world) error {
			_, err := w.Issuer.RightAsHub(ctx, w.Content, w.Teacher)
			return err
		}),
	}
}

func granted(call func(context.Context, *world, daypass.Grant) error) step {
	return func(t *testing.T, w *world) func(context.Context) error {
		g := w.connect(t)
		return func(ctx context.Context) error { return call(ctx, w, g) }
	}
}

// ending: where the call says that it is done, it is.
func ending(end func(daypass.Issuer, context.Context, daypass.Secret) error) step {
	return func(t *testing.T, w *world) func(context.Context) error {
		g := w.connect(t)
		return func(ctx context.Context) error {
			err := end(w.Issuer, ctx, g.Access)
			if err == nil && w.Living() != 0 {
				t.Error("it says that the token has ended, and the token is alive")
			}
			return err
		}
	}
}

func content(call func(context.Context, *world) error) step {
	return func(t *testing.T, w *world) func(context.Context) error {
		if !w.Issuer.Traits().AsHub {
			t.Skip("this issuer has no App for content")
		}
		return func(ctx context.Context) error { return call(ctx, w) }
	}
}

// weather tries one method in one kind of weather.
func weather(t *testing.T, w *world, name string, f Failure, nth int) {
	call := steps()[name](t, w)
	before := w.Living()
	mend := w.Break(f, nth)
	began := time.Now()
	err := call(t.Context())
	took := time.Since(began)
	mend()
	w.quiet(t, err)
	if took > mostTime {
		t.Errorf("request %d: it took %v", nth, took)
	}
	ends := name == "Revoke" || name == "Disconnect"
	switch {
	case err == nil && (nth > 1 || ends && (f == Truncated || f == Cut)):
		// There was no such request, the failure was mended by trying again, or
		// an answer without content was cut, which leaves it whole.
	case err == nil:
		t.Errorf("request %d: it says that all is well", nth)
	case f == Limited || f == Spent:
		is(t, name, err, daypass.ErrLimited)
		var l daypass.Limited
		if !errors.As(err, &l) || l.RetryAfter() <= 0 || l.RetryAfter() > 24*time.Hour {
			t.Errorf("request %d: it does not say for how long to wait: %v", nth, err)
		}
	default:
		is(t, name, err, daypass.ErrUnreachable)
	}
	made := name == "Narrow" || name == "IssueAsHub" || name == "LookAsHub" || name == "RightAsHub"
	stray := w.Living() - before
	if done := f == Lost || f == Truncated || f == Cut; made && err != nil && (stray > 1 || stray > 0 && !done && nth > 0) {
		t.Errorf("request %d: %d tokens are alive that nobody has", nth, stray)
	}
}
