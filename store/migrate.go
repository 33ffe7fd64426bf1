package store

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/daypass-dev/daypass"
)

//go:embed migrations/*.sql
var migrations embed.FS

// newest is the number of the newest migration.
const newest = 3

// migrate brings the tables up to date. Where that is done already it costs one
// query. A store of a newer daypass is refused.
func (db *DB) migrate(ctx context.Context, pool *sql.DB) error {
	have := schemaVersion(ctx, pool)
	if have == newest {
		return nil
	}
	if have > newest {
		return &daypass.Problem{Code: "DP-933", What: "the store was made by a newer daypass",
			Why:  fmt.Sprintf("its tables have version %d, this program knows %d", have, newest),
			Next: "Run that version again, or restore a backup made by this one."}
	}
	texts, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if db.d.postgres {
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60)) // once a second, for a minute
		if err != nil {
			return err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	p, err := goose.NewProvider(db.d.goose, pool, dialectFS{texts, db.d.words}, options...)
	if err != nil {
		return err
	}
	if err := db.up(ctx, pool, p); err != nil {
		return &daypass.Problem{Code: "DP-933", What: "the store's tables cannot be brought up to date", Why: plain(err),
			Next: "Nothing was changed. Check the database's messages, then start again.", Err: err}
	}
	return nil
}

// up runs the migrations. SQLite has no lock for it: where another process was
// faster, this one's transaction fails, and what is left to do is looked at anew.
func (db *DB) up(ctx context.Context, pool *sql.DB, p *goose.Provider) error {
	for end := time.Now().Add(retryFor); ; time.Sleep(20 * time.Millisecond) {
		_, err := p.Up(ctx)
		if err == nil || schemaVersion(ctx, pool) == newest {
			return nil
		}
		if db.d.postgres || ctx.Err() != nil || time.Now().After(end) {
			return err
		}
	}
}

// schemaVersion is 0 where there are no tables yet.
func schemaVersion(ctx context.Context, pool *sql.DB) int64 {
	var v int64
	if err := pool.QueryRowContext(ctx, `SELECT max(version_id) FROM goose_db_version`).Scan(&v); err != nil {
		return 0
	}
	return v
}

// dialectFS hands out the migrations in one database's words.
type dialectFS struct {
	fs.FS
	words *strings.Replacer
}

func (d dialectFS) Open(name string) (fs.File, error) {
	f, err := d.FS.Open(name)
	if err != nil || !strings.HasSuffix(name, ".sql") {
		return f, err
	}
	info, err := f.Stat()
	text, readErr := fs.ReadFile(d.FS, name)
	if err := errors.Join(err, readErr, f.Close()); err != nil {
		return nil, err
	}
	return wordsFile{bytes.NewReader([]byte(d.words.Replace(string(text)))), info}, nil
}

type wordsFile struct {
	*bytes.Reader
	info fs.FileInfo
}

func (f wordsFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f wordsFile) Close() error               { return nil }
