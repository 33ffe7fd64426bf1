package pull

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// owner is what a lock says of who holds it.
type owner struct {
	PID   int       `json:"pid"`
	Start string    `json:"start"` // of the process, as the system counts it
	Boot  string    `json:"boot"`  // of the machine
	Host  string    `json:"host"`
	At    time.Time `json:"at"`
	Nonce string    `json:"nonce"`
}

const (
	heartbeat = 5 * time.Second
	silence   = 2 * time.Minute // another host that long without a beat is gone
)

// A lock is held on one folder by one process.
type lock struct {
	file   string
	mine   owner
	stop   chan struct{}
	waited bool
}

// acquire takes a lock; it waits for who holds it, at most for patience.
func (p *Puller) acquire(ctx context.Context, file, folder string) (*lock, error) {
	l := &lock{file: file, mine: owner{
		PID: os.Getpid(), Start: processStart(os.Getpid()), Boot: bootID(), Host: hostName(), At: p.Now().UTC(), Nonce: p.random(8),
	}, stop: make(chan struct{})}
	for end := p.Now().Add(p.patience()); ; {
		err := l.try()
		if err == nil {
			go l.beat()
			return l, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		who, gone := l.judge()
		if gone {
			l.evict(who)
			continue
		}
		l.waited = true
		if p.Now().After(end) {
			return nil, problemBusy(folder, fmt.Sprintf("process %d on %s, since %s", who.PID, who.Host, who.At.Local().Format("15:04:05")))
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// try makes the lock with its content in one step, so that nobody reads half of it.
func (l *lock) try() error {
	data, err := json.Marshal(l.mine)
	if err != nil {
		return err
	}
	aside := l.file + "." + l.mine.Nonce
	if err := os.WriteFile(aside, data, 0o600); err != nil {
		return err
	}
	defer os.Remove(aside)
	err = os.Link(aside, l.file)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	// No hard links here. A reader may see it empty for a moment, and waits.
	f, err := os.OpenFile(l.file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// judge says who holds the lock, and whether they are gone for sure.
func (l *lock) judge() (who owner, gone bool) {
	data, err := os.ReadFile(l.file)
	if err != nil {
		return owner{}, false
	}
	fi, err := os.Stat(l.file)
	if err != nil {
		return owner{}, false
	}
	quiet := l.fileClock().Sub(fi.ModTime()) > silence
	if json.Unmarshal(data, &who) != nil {
		return owner{Host: "?"}, quiet
	}
	if who.Host != l.mine.Host {
		return who, quiet
	}
	if who.Boot != l.mine.Boot {
		return who, true
	}
	return who, !processAlive(who.PID, who.Start)
}

// fileClock is the time by the disk that has the lock, which may be a server's.
func (l *lock) fileClock() time.Time {
	probe := l.file + "." + l.mine.Nonce
	defer os.Remove(probe)
	if err := os.WriteFile(probe, nil, 0o600); err != nil {
		return time.Time{}
	}
	fi, err := os.Stat(probe)
	if err != nil {
		return time.Time{}
	}
	return fi.ModTime()
}

// evict takes a dead owner's lock away. Two may do so at once: what was taken is
// looked at again, and put back if it was another's by then.
func (l *lock) evict(who owner) {
	aside := l.file + ".dead." + l.mine.Nonce
	if os.Rename(l.file, aside) != nil {
		return
	}
	data, err := os.ReadFile(aside)
	var now owner
	if err == nil && json.Unmarshal(data, &now) == nil && now.Nonce != who.Nonce {
		os.Link(aside, l.file)
	}
	os.Remove(aside)
}

// beat keeps the lock young, for those on other hosts.
func (l *lock) beat() {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-tick.C:
			if !l.renew() {
				return
			}
		}
	}
}

// renew makes the lock young again; false where it was given to another, since ours was
// silent for too long.
func (l *lock) renew() bool {
	if !l.held() {
		return false
	}
	// No time is named, so that the disk's own clock counts.
	if f, err := os.OpenFile(l.file, os.O_WRONLY, 0); err == nil {
		data, _ := json.Marshal(l.mine)
		f.Write(data)
		f.Close()
	}
	return true
}

// release gives the lock back, if it is still ours.
func (l *lock) release() {
	close(l.stop)
	if l.held() {
		os.Remove(l.file)
	}
}

// held reports whether the lock is still ours.
func (l *lock) held() bool {
	data, err := os.ReadFile(l.file)
	var now owner
	return err == nil && json.Unmarshal(data, &now) == nil && now.Nonce == l.mine.Nonce
}

func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "?"
	}
	return name
}
