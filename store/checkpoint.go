package store

import (
	"context"
	"time"
)

// SQLite's log grows until its pages are copied into the database. By itself
// SQLite does that inside a commit, which then takes 15 to 26 ms. Here a
// connection of its own copies beside the writers, and only the rest, which
// came meanwhile, is copied between two commits; the next commit then starts
// the log anew.

const (
	checkpointEvery = 100 * time.Millisecond
	finishPages     = 1000 // from 4 MB on the rest is copied between commits
	restPages       = 300  // where it is at most this much; else after the next round
)

func (db *DB) runCheckpoints() {
	defer close(db.checkpointsDone)
	tick := time.NewTicker(checkpointEvery)
	defer tick.Stop()
	var seen int64
	for {
		select {
		case <-tick.C:
		case <-db.stop:
			return
		}
		n := db.committer.commits.Load()
		if n == seen {
			continue
		}
		seen = n
		var busy, log, done int64
		err := db.checkpoints.QueryRow(`PRAGMA wal_checkpoint(PASSIVE)`).Scan(&busy, &log, &done)
		if err != nil {
			db.c.Log.Warn("the database's log is not copied", "problem", plain(err))
		}
		if log >= finishPages && log-done <= restPages {
			db.committer.finish.Store(true)
		}
	}
}

// finishCheckpoint copies the rest. It runs between two commits; what it cannot
// do, because somebody reads an old state, is done later.
func (c *committer) finishCheckpoint() {
	if c.s == nil || !c.finish.Swap(false) {
		return
	}
	_, _ = c.s.ExecContext(context.Background(), `PRAGMA wal_checkpoint(PASSIVE)`)
}
