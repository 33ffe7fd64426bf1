// Package storetest is the contract of package store, run against each
// database, and what starts a database for a test.
package storetest

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// SQLite returns the URL of a new SQLite store in a folder of its own.
func SQLite(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return "sqlite:" + filepath.Join(dir, "store.db")
}

// Postgres starts a PostgreSQL for the length of a test, reached by a socket in
// a temporary folder only, and returns a func that makes a new database and
// gives its URL. The test is skipped where DAYPASS_TEST_POSTGRES does not name
// the folder of PostgreSQL's programs (scripts/tools.sh postgres prints it), and
// fails where DAYPASS_TEST_COMPLETE asks for all tests.
func Postgres(t testing.TB) func(testing.TB) string {
	t.Helper()
	bin := os.Getenv("DAYPASS_TEST_POSTGRES")
	if bin == "" && os.Getenv("DAYPASS_TEST_COMPLETE") != "" {
		t.Fatal("no PostgreSQL: scripts/tools.sh postgres installs it, and DAYPASS_TEST_POSTGRES names it")
	}
	if bin == "" {
		t.Skip("DAYPASS_TEST_POSTGRES is not set")
	}
	dir, err := os.MkdirTemp("", "daypass-pg-") // t.TempDir is closed to the user below, and too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	as := otherUser(t, dir)
	data := filepath.Join(dir, "data")
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", "daypass", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
	initdb.SysProcAttr, initdb.Dir = as, dir
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	server := exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-k", dir, "-c", "listen_addresses=",
		"-c", "synchronous_commit=on", "-c", "fsync=on", "-c", "max_connections=100")
	server.SysProcAttr, server.Dir = as, dir
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	server.Stdout, server.Stderr = log, log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGQUIT) // at once, with its children
		_ = server.Wait()
		_ = log.Close()
	})
	admin := databaseURL(dir, "postgres")
	waitFor(t, admin)
	var n atomic.Int64
	return func(t testing.TB) string {
		t.Helper()
		name := fmt.Sprintf("store%d", n.Add(1))
		db, err := sql.Open("pgx", admin)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		if _, err := db.Exec("CREATE DATABASE " + name); err != nil {
			t.Fatal(err)
		}
		return databaseURL(dir, name)
	}
}

func databaseURL(dir, name string) string {
	return (&url.URL{Scheme: "postgres", User: url.User("daypass"), Path: "/" + name, RawQuery: "host=" + url.QueryEscape(dir)}).String()
}

// otherUser gives the folder to the user postgres, where the test runs as root:
// PostgreSQL refuses to.
func otherUser(t testing.TB, dir string) *syscall.SysProcAttr {
	t.Helper()
	as := &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT}
	if os.Geteuid() != 0 {
		return as
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Fatal(err)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err1 != nil || err2 != nil {
		t.Fatalf("the user postgres has the numbers %q, %q", u.Uid, u.Gid)
	}
	if err := os.Chown(dir, int(uid), int(gid)); err != nil {
		t.Fatal(err)
	}
	as.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return as
}

func waitFor(t testing.TB, url string) {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	end := time.Now().Add(30 * time.Second)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		err := db.PingContext(ctx)
		cancel()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("PostgreSQL did not start: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
