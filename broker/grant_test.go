package broker

import (
	"context"
	"errors"
	"testing"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/store"
)

// A moving ledger's connection is renewed by somebody else between any look at
// it and the look at its grant, a few times.
type moving struct {
	ledger
	version, moves int64
}

func (m *moving) byID(_ context.Context, c store.Connection) (store.Connection, error) {
	c.Version, c.State = m.version, store.Live
	return c, nil
}

func (m *moving) grant(_ context.Context, c store.Connection) (daypass.Grant, error) {
	if m.moves > 0 {
		m.moves--
		m.version++
	}
	if c.Version != m.version {
		return daypass.Grant{}, store.ErrNone
	}
	return daypass.Grant{Access: daypass.NewSecret("newest")}, nil
}

// TestCurrent: a connection that another process renews at this moment is none
// that the store cannot give.
func TestCurrent(t *testing.T) {
	c, g, err := current(t.Context(), &moving{version: 7, moves: 3}, store.Connection{ID: 1})
	if err != nil || c.Version != 10 || g.Access.Reveal() != "newest" {
		t.Errorf("version %d, %v", c.Version, err)
	}
	if _, _, err := current(t.Context(), &moving{moves: 100}, store.Connection{ID: 1}); !errors.Is(err, store.ErrNone) {
		t.Errorf("one that never stands still: %v", err)
	}
}
