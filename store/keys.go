package store

import (
	"context"
	"io"
)

// Keys seal what the store keeps and key its chains. They are read from a 0600
// file, a systemd credential or a variable, never from the store's folder.
type Keys struct{}

// NewKeys makes keys.
func NewKeys(rand io.Reader) (*Keys, error) { return nil, errTodo }

// ParseKeys reads what [Keys.Marshal] wrote.
func ParseKeys(text []byte) (*Keys, error) { return nil, errTodo }

// Marshal returns the text of the key file, in the clear: write it to a 0600
// file only.
func (k *Keys) Marshal() ([]byte, error) { return nil, errTodo }

// Rotate returns keys with new primary ones; the old ones stay for reading.
func (k *Keys) Rotate(rand io.Reader) (*Keys, error) { return nil, errTodo }

// Prune returns keys without those that are neither primary nor in use, and
// the ids of what it left out.
func (k *Keys) Prune(use map[string]int64) (*Keys, []string, error) { return nil, nil, errTodo }

// IDs lists the ids of all keys, the two primary ones first.
func (k *Keys) IDs() []string { return nil }

// KeysApart refuses a key file inside the store's folder.
func KeysApart(keysPath, storeURL string) error { return errTodo }

// Reload asks [Config.ReloadKeys] and takes over what it returns. To be called
// at a Change of kind "keys".
func (db *DB) Reload() error { return errTodo }

// KeyUse counts the rows that need each key.
func (db *DB) KeyUse(ctx context.Context) (map[string]int64, error) { return nil, errTodo }

// Rewrap seals every row anew under the primary key, in small transactions
// beside the traffic. It can be interrupted and run again.
func (db *DB) Rewrap(ctx context.Context, progress func(done, left int)) error { return errTodo }
