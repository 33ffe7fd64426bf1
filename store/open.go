package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/daypass-dev/daypass"
)

// Open opens a store and brings its tables up to date. It refuses a store that
// it cannot use safely: one whose rows need another key, whose file others can
// read or whose folder others can write, or that does not sync its commits.
func Open(ctx context.Context, c Config) (*DB, error) {
	if c.Keys == nil {
		return nil, errors.New("store: no keys")
	}
	db, err := start(c)
	if err != nil {
		return nil, err
	}
	if err := db.connect(ctx); err != nil {
		return nil, errors.Join(err, db.closePools())
	}
	db.committer = newCommitter(db)
	go db.committer.run()
	go db.runTrails()
	if db.checkpoints != nil {
		go db.runCheckpoints()
	}
	if c.Head != nil {
		go db.runHeads()
	} else {
		close(db.headsDone)
	}
	return db, nil
}

// start fills in what was left open and finds the database's kind.
func start(c Config) (*DB, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	db := &DB{c: c, stop: make(chan struct{}), trailsDone: make(chan struct{}), checkpointsDone: make(chan struct{}),
		headsDone: make(chan struct{}), process: c.Process}
	db.keys.Store(c.Keys)
	if db.process == "" {
		name, err := randomName(c.Rand, 8)
		if err != nil {
			return nil, err
		}
		db.process = name
	}
	var err error
	path, isFile := strings.CutPrefix(c.URL, "sqlite:")
	switch {
	case isFile:
		db.d = sqliteDialect()
		err = db.openSQLite(path)
	case strings.HasPrefix(c.URL, "postgres://"), strings.HasPrefix(c.URL, "postgresql://"):
		db.d = postgresDialect()
		err = db.openPostgres()
	default:
		err = &daypass.Problem{Code: "DP-930", What: "the store's URL is not understood", Kind: daypass.ErrUsage,
			Next: "Write sqlite:/absolute/path.db or postgres://user@host/database."}
	}
	return db, err
}

func (db *DB) openSQLite(path string) error {
	if !filepath.IsAbs(path) {
		return &daypass.Problem{Code: "DP-930", What: "the store's path is not absolute", Kind: daypass.ErrUsage,
			Next: "Write sqlite:/absolute/path.db."}
	}
	if err := guardFile(path); err != nil {
		return err
	}
	open := func(n int, pragmas ...string) (*sql.DB, error) {
		q := url.Values{"_pragma": append([]string{"busy_timeout(10000)", "foreign_keys(1)"}, pragmas...), "_txlock": {"immediate"}}
		pool, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String())
		if err == nil {
			pool.SetMaxOpenConns(n)
			pool.SetMaxIdleConns(n)
		}
		return pool, err
	}
	// The writer leaves checkpoints to runCheckpoints, so that no commit waits
	// for them; see checkpoint.go.
	writer, err := open(1, "journal_mode(WAL)", "synchronous(FULL)", "wal_autocheckpoint(0)", "cache_size(-4000)", "journal_size_limit(67108864)", "secure_delete(1)")
	if err != nil {
		return err
	}
	readers, err := open(4, "query_only(1)", "cache_size(-1000)")
	if err != nil {
		return err
	}
	checkpoints, err := open(1, "synchronous(FULL)", "wal_autocheckpoint(0)")
	if err != nil {
		return err
	}
	db.path, db.writer, db.checkpoints = path, writer, checkpoints
	db.readers = &pool{DB: readers, macros: db.d.macros, known: map[string]*sql.Stmt{}}
	return nil
}

// guardFile makes the file where it is missing, for this user only, and refuses
// one that others can read or a folder in which others could swap it.
//
// It never opens a file that is there: closing it would drop the locks that
// SQLite holds on it in this process (sqlite.org/howtocorrupt.html, 2.2).
func guardFile(path string) error {
	folder, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return openProblem(fmt.Errorf("its folder: %w", err))
	}
	owner := folder.Sys().(*syscall.Stat_t).Uid
	if folder.Mode().Perm()&0o022 != 0 || owner != 0 && int(owner) != os.Geteuid() {
		return &daypass.Problem{Code: "DP-931", What: "the store's folder " + filepath.Dir(path) + " is open to others",
			Why:  "whoever can write there can put another store in place of this one",
			Next: "Make it belong to the service's user and chmod it to 0700, or use another folder."}
	}
	file, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if errors.Is(err, fs.ErrExist) {
			return nil // another process made it just now, the same way
		}
		if err != nil {
			return openProblem(err)
		}
		return f.Close()
	}
	if err != nil {
		return openProblem(err)
	}
	if !file.Mode().IsRegular() || file.Mode().Perm()&0o077 != 0 {
		return &daypass.Problem{Code: "DP-931", What: "the store's file " + path + " is open to others, or no plain file",
			Next: "chmod 600 it, or name another file."}
	}
	return nil
}

func openProblem(err error) error {
	return &daypass.Problem{Code: "DP-932", What: "the store cannot be opened", Why: plain(err), Kind: daypass.ErrUnreachable,
		Next: "Check that the database runs, and the line store: in the configuration.", Err: err}
}

func (db *DB) openPostgres() error {
	config, err := pgx.ParseConfig(db.c.URL)
	if err != nil {
		// The parser's message may hold parts of the URL, and so its password.
		return &daypass.Problem{Code: "DP-930", What: "the store's URL is not understood", Kind: daypass.ErrUsage,
			Next: "Write postgres://user@host/database, and the password into ~/.pgpass of the service's user or PGPASSFILE."}
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "daypass"
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 5 * time.Second
	}
	open := func(n int) *sql.DB {
		pool := stdlib.OpenDB(*config)
		pool.SetMaxOpenConns(n)
		pool.SetMaxIdleConns(n)
		return pool
	}
	db.writer = open(2) // the session that writes, and one for migrations
	db.readers = &pool{DB: open(8), macros: db.d.macros, known: map[string]*sql.Stmt{}}
	close(db.checkpointsDone)
	return nil
}

// connect opens the first connections, migrates and checks.
// connect tries until the database is ready. SQLite says "busy" at once, without
// the pause that busy_timeout sets, where others change a new file's journal at
// the same moment, or the last one of them just closes it (sqlite.org/wal.html, 9).
func (db *DB) connect(ctx context.Context) error {
	for end := time.Now().Add(retryFor); ; time.Sleep(20 * time.Millisecond) {
		err := db.connectOnce(ctx)
		if err == nil || db.d.postgres || !passing(err) || ctx.Err() != nil || time.Now().After(end) {
			return err
		}
	}
}

// connectOnce may be done again: each step leaves what is done already.
func (db *DB) connectOnce(ctx context.Context) error {
	if err := db.writer.PingContext(ctx); err != nil {
		return openProblem(err)
	}
	if err := db.migrate(ctx, db.writer); err != nil {
		return err
	}
	if err := db.checkDurability(ctx); err != nil {
		return err
	}
	if err := db.readMeta(ctx); err != nil {
		return err
	}
	return db.checkKeys(ctx)
}

func (db *DB) checkDurability(ctx context.Context) error {
	text, err := db.Durability(ctx)
	if err != nil {
		return openProblem(err)
	}
	switch text {
	case "sqlite synchronous=2 journal=wal":
		return nil
	default:
		if db.d.postgres && strings.HasSuffix(text, " fsync=on") && !strings.Contains(text, "synchronous_commit=off") {
			return nil
		}
	}
	return &daypass.Problem{Code: "DP-938", What: "the database does not keep what it has promised", Why: text,
		Next: "Put a SQLite store on a local disk; in PostgreSQL, set synchronous_commit and fsync to on."}
}

// Durability reads back what the database promises at a commit:
// "sqlite synchronous=2 journal=wal" or "postgres synchronous_commit=on fsync=on".
func (db *DB) Durability(ctx context.Context) (string, error) {
	ask := func(text string) (out string, err error) {
		return out, db.writer.QueryRowContext(ctx, text).Scan(&out)
	}
	if db.d.postgres {
		commit, err := ask(`SHOW synchronous_commit`)
		if err != nil {
			return "", err
		}
		fsync, err := ask(`SHOW fsync`)
		return "postgres synchronous_commit=" + commit + " fsync=" + fsync, err
	}
	if db.committer != nil { // it has the only connection that writes: ask there
		return db.committer.durability(ctx)
	}
	level, err := ask(`PRAGMA synchronous`)
	if err != nil {
		return "", err
	}
	journal, err := ask(`PRAGMA journal_mode`)
	return "sqlite synchronous=" + level + " journal=" + journal, err
}

// readMeta reads the store's id and epoch, and makes them in a new store.
func (db *DB) readMeta(ctx context.Context) error {
	id, err := randomName(db.c.Rand, 16)
	if err != nil {
		return err
	}
	const put = `INSERT INTO meta (name, value) VALUES ('instance', $1), ('epoch', '1') ON CONFLICT (name) DO NOTHING`
	read := func() error {
		err := db.readers.QueryRowContext(ctx, `SELECT i.value, CAST(e.value AS BIGINT) FROM meta i, meta e
			WHERE i.name = 'instance' AND e.name = 'epoch'`).Scan(&db.instance, &db.epoch)
		return err
	}
	err = read()
	if errors.Is(err, sql.ErrNoRows) {
		if _, err := db.writer.ExecContext(ctx, put, id); err != nil {
			return openProblem(err)
		}
		err = read()
	}
	if err != nil {
		return openProblem(err)
	}
	return nil
}

// nameLetters have no two that are read alike, and none that make words.
const nameLetters = "23456789BCDFGHJKLMNPQRSTVWXZ"

func randomName(rand interface{ Read([]byte) (int, error) }, n int) (string, error) {
	var out []byte
	b := make([]byte, 1)
	for len(out) < n {
		if _, err := rand.Read(b); err != nil {
			return "", fmt.Errorf("read random bytes: %w", err)
		}
		if int(b[0]) < 252 { // 9 times 28, so that each letter is as likely
			out = append(out, nameLetters[int(b[0])%len(nameLetters)])
		}
	}
	return string(out), nil
}
