package wallet

import (
	"context"
	"errors"
	"runtime"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

// A keyring keeps a wallet in the kernel's persistent keyring of the user
// (persistent-keyring(7)): one key per entry or end, with a time-out of its
// own, in memory that is never swapped and outlives the login session. The
// kernel drops the whole keyring when it was not used for
// /proc/sys/kernel/keys/persistent_keyring_expiry seconds (3 days).
//
// Keyrings belong to a user id and know no containers: pods of different people
// that all run as user 1000 would share one. So it is used only where this
// process is in the kernel's initial namespaces.
type keyring struct {
	prefix string
	opt    Options
}

// initialNamespaces are those that the kernel starts with, by the numbers of
// include/linux/proc_ns.h (Linux 3.8 to 6.18).
var initialNamespaces = [...]struct{ path, want string }{
	{"/proc/self/ns/pid", "pid:[4026531836]"},
	{"/proc/self/ns/user", "user:[4026531837]"},
	{"/proc/self/ns/uts", "uts:[4026531838]"},
	{"/proc/self/ns/ipc", "ipc:[4026531839]"},
}

// newKeyring returns the keyring where it works.
func newKeyring(o Options) (*keyring, bool) {
	for _, ns := range initialNamespaces {
		var buf [64]byte
		n, err := syscall.Readlink(ns.path, buf[:])
		if err != nil || string(buf[:n]) != ns.want {
			return nil, false
		}
	}
	k := &keyring{prefix: o.KeyPrefix, opt: o}
	if k.prefix == "" {
		k.prefix = "daypass:1:"
	}
	err := k.attached(func(int) error { return nil })
	return k, err == nil
}

// keyctl(2)'s operations and special keyrings, include/uapi/linux/keyctl.h.
const (
	keyctlSetPerm       = 5
	keyctlDescribe      = 6
	keyctlLink          = 8
	keyctlUnlink        = 9
	keyctlRead          = 11
	keyctlSetTimeout    = 15
	keyctlGetPersistent = 22

	threadKeyring = -1

	// All for who possesses the key, view for the user's other processes.
	keyPermission = 0x3f010000
)

func keyctl(op int, a, b, c uintptr) (int, error) {
	n, _, errno := syscall.Syscall6(syscall.SYS_KEYCTL, uintptr(op), a, b, c, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// attached calls f with the persistent keyring linked to this thread, which
// thereby possesses its keys.
func (k *keyring) attached(f func(ring int) error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	thread := threadKeyring
	ring, err := keyctl(keyctlGetPersistent, uintptr(k.opt.UID), uintptr(thread), 0)
	if err != nil {
		return err
	}
	return f(ring)
}

// A key is a key of ours as the kernel has it.
type key struct {
	id      int
	name    string // what follows the prefix in its description
	payload []byte
}

// keys reads our keys.
func (k *keyring) keys(ring int) ([]key, error) {
	list, err := readKey(ring)
	if err != nil {
		return nil, err
	}
	var out []key
	for ; len(list) >= 4; list = list[4:] {
		id := int(*(*int32)(unsafe.Pointer(&list[0])))
		name, ok := k.describe(id)
		if !ok {
			continue // someone else's, or it expired
		}
		payload, err := readKey(id)
		if err != nil {
			continue
		}
		out = append(out, key{id, name, payload})
	}
	return out, nil
}

// describe returns the name of a key that is ours, from "type;uid;gid;perm;description".
func (k *keyring) describe(id int) (name string, ok bool) {
	var buf [512]byte
	n, err := keyctl(keyctlDescribe, uintptr(id), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)))
	if err != nil || n < 1 || n > len(buf) {
		return "", false
	}
	text := string(buf[:n-1])
	want := "user;" + strconv.Itoa(k.opt.UID) + ";"
	if len(text) < len(want) || text[:len(want)] != want {
		return "", false
	}
	for range 4 {
		_, text, _ = cutByte(text, ';')
	}
	if len(text) <= len(k.prefix) || text[:len(k.prefix)] != k.prefix {
		return "", false
	}
	return text[len(k.prefix):], true
}

func readKey(id int) ([]byte, error) {
	buf := make([]byte, 2048)
	for {
		n, err := keyctl(keyctlRead, uintptr(id), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)))
		if err != nil {
			return nil, err
		}
		if n <= len(buf) {
			return buf[:n], nil
		}
		buf = make([]byte, n+256)
	}
}

func (k *keyring) has() (bool, error) {
	found := false
	err := k.attached(func(ring int) error {
		keys, err := k.keys(ring)
		found = len(keys) > 0
		return err
	})
	return found, err
}

func (k *keyring) load() (book, error) {
	var b book
	err := k.attached(func(ring int) error {
		keys, err := k.keys(ring)
		if err != nil {
			return err
		}
		b, err = k.join(keys)
		return err
	})
	return b, err
}

// join makes a book of keys. Ends that are still to come were written in
// advance, since a key that times out leaves nothing behind: they are left out.
func (k *keyring) join(keys []key) (book, error) {
	var b book
	now := k.opt.Now()
	for _, key := range keys {
		one, err := parseBook(string(key.payload))
		if err != nil {
			return book{}, err
		}
		b.entries = append(b.entries, one.entries...)
		for _, d := range one.ended {
			if !d.At.After(now) {
				b.ended = append(b.ended, d)
			}
		}
	}
	return b, nil
}

// A wish is a key as it should be.
type wish struct {
	name    string
	payload []byte
	until   time.Time
}

// wishes returns the keys that hold a book.
func wishes(b book) []wish {
	var out []wish
	marks := book{ended: append([]Ended(nil), b.ended...)}
	for _, e := range b.entries {
		s := e.Credential.Scope
		name := "entry:" + digest(string(e.Authority)+"\n"+e.Scheme+"\n"+s.Host+"\n"+s.Access.String()+"\n"+repoList(s))
		out = append(out, wish{name, book{entries: []Entry{e}}.append(nil), e.KeepUntil()})
		marks.mark(ended(e, e.useEnd(), Expired))
	}
	for _, d := range marks.ended {
		name := "ended:" + digest(string(d.Authority)+"\n"+d.Host+"\n"+d.Account)
		out = append(out, wish{name, book{ended: []Ended{d}}.append(nil), d.At.Add(keepEnded)})
	}
	return out
}

// save keeps other processes out by a lock in a private directory in memory,
// since keyrings have none. Where there is no such directory, it goes on without:
// what two processes write at the very same moment may then be lost, which is
// better than keeping nothing.
func (k *keyring) save(change func(*book) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), lockWait)
	defer cancel()
	unlock, err := lockAt(ctx, k.opt.lockPlaces(), "keyring "+k.prefix)
	switch {
	case err == nil:
		defer unlock()
	case !errors.Is(err, ErrNoPlace):
		return err
	}
	return k.attached(func(ring int) error {
		have, err := k.keys(ring)
		if err != nil {
			return err
		}
		b, err := k.join(have)
		if err != nil {
			b = book{} // nobody can read it any more
		}
		if err := change(&b); err != nil {
			return err
		}
		for {
			err := k.write(ring, have, wishes(b))
			if !errors.Is(err, syscall.EDQUOT) || len(b.entries) < 2 || !b.evict(b.entries[len(b.entries)-1]) {
				return err // Linux gives a user 20,000 bytes and 200 keys
			}
			if have, err = k.keys(ring); err != nil {
				return err
			}
		}
	})
}

// write makes the keys as wished: first it takes out what is not wished for,
// which makes room.
func (k *keyring) write(ring int, have []key, want []wish) error {
	for _, h := range have {
		wished := false
		for _, w := range want {
			wished = wished || w.name == h.name
		}
		if !wished {
			if _, err := keyctl(keyctlUnlink, uintptr(h.id), uintptr(ring), 0); err != nil && err != syscall.ENOENT {
				return err
			}
		}
	}
	for _, w := range want {
		same := false
		for _, h := range have {
			same = same || h.name == w.name && string(h.payload) == string(w.payload)
		}
		if same {
			continue
		}
		if err := k.add(ring, w); err != nil {
			return err
		}
	}
	return nil
}

// add makes a key whole, with its permissions and time-out, before it links it
// into the keyring, where it takes the place of the one with its description.
func (k *keyring) add(ring int, w wish) error {
	kind, err := syscall.BytePtrFromString("user")
	if err != nil {
		return err
	}
	description, err := syscall.BytePtrFromString(k.prefix + w.name)
	if err != nil {
		return err
	}
	thread := threadKeyring
	n, _, errno := syscall.Syscall6(syscall.SYS_ADD_KEY, uintptr(unsafe.Pointer(kind)), uintptr(unsafe.Pointer(description)),
		uintptr(unsafe.Pointer(&w.payload[0])), uintptr(len(w.payload)), uintptr(thread), 0)
	if errno != 0 {
		return errno
	}
	id := n
	if _, err = keyctl(keyctlSetPerm, id, keyPermission, 0); err == nil {
		left := int64(w.until.Sub(k.opt.Now()) / time.Second)
		if left < 1 {
			left = 1
		}
		if left < 1<<31 {
			_, err = keyctl(keyctlSetTimeout, id, uintptr(left), 0)
		}
	}
	if err == nil {
		_, err = keyctl(keyctlLink, id, uintptr(ring), 0)
	}
	_, e := keyctl(keyctlUnlink, id, uintptr(thread), 0)
	return errors.Join(err, e)
}
