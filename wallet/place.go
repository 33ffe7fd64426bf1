package wallet

import (
	"errors"
	"strconv"
	"time"
)

// A Kind is a kind of place that a wallet can be.
type Kind string

// The kinds of place, in the order in which they are tried.
const (
	Named   Kind = "named"   // the directory that DAYPASS_RUNTIME_DIR names; then no other is used
	Keyring Kind = "keyring" // the kernel's persistent keyring, persistent-keyring(7)
	Memory  Kind = "memory"  // a private directory on a memory file system
	Session Kind = "session" // a directory in $XDG_RUNTIME_DIR, which ends with the login session
)

// A Place is where a wallet is.
type Place struct {
	Kind    Kind
	Path    string // the directory, or the prefix of the keys' descriptions
	Warning string // what the user should know about it; may be empty
}

// Options is what a wallet depends on. The fields that are not exported are for
// this package's tests.
type Options struct {
	Getenv func(string) string
	UID    int // the effective user id: what is read must belong to it
	Now    func() time.Time

	// KeyPrefix begins the description of every key; "" means "daypass:1:".
	// A test that uses the real keyring sets its own.
	KeyPrefix string
	NoKeyring bool

	sharedMemory string                               // "" means /dev/shm
	fileSystem   func(fd int) (fileSystemKind, error) // nil means the kernel's answer
}

// ErrNoPlace reports that there is nowhere to keep credentials in memory.
var ErrNoPlace = errors.New("wallet: no private place in memory")

// ErrUntrusted reports a place that someone else might read or might have
// written.
type ErrUntrusted struct{ Path, Why string }

// Error names the place and what is wrong with it.
func (e ErrUntrusted) Error() string {
	return "wallet: " + strconv.Quote(e.Path) + " is not used: " + e.Why
}

// A candidate is a place that may hold a wallet.
type candidate struct {
	place Place
	store interface {
		keeper
		has() (bool, error) // whether a wallet is there
	}
}

// places returns the candidates in the order in which they are tried.
func (o Options) places() ([]candidate, error) {
	if path := o.Getenv("DAYPASS_RUNTIME_DIR"); path != "" {
		if path[0] != '/' {
			return nil, ErrUntrusted{path, "DAYPASS_RUNTIME_DIR is not an absolute path"}
		}
		d := &directory{path: path, opt: o, mayBeDisk: true}
		return []candidate{{Place{Kind: Named, Path: path}, d}}, nil
	}
	var out []candidate
	if !o.NoKeyring {
		if k, ok := newKeyring(o); ok {
			out = append(out, candidate{Place{Kind: Keyring, Path: k.prefix}, k})
		}
	}
	memory := o.memoryDirectory()
	out = append(out, candidate{Place{Kind: Memory, Path: memory.path}, memory})
	if d := o.sessionDirectory(); d != nil {
		out = append(out, candidate{Place{Session, d.path, "it ends with your last session on this machine"}, d})
	}
	return out, nil
}

func (o Options) memoryDirectory() *directory {
	root := o.sharedMemory
	if root == "" {
		root = "/dev/shm"
	}
	return &directory{path: root + "/daypass-" + strconv.Itoa(o.UID), opt: o, root: root}
}

func (o Options) sessionDirectory() *directory {
	root := o.Getenv("XDG_RUNTIME_DIR")
	if root == "" || root[0] != '/' {
		return nil
	}
	return &directory{path: root + "/daypass", opt: o, root: root, rootPrivate: true}
}

// Open returns the wallet at the first place that has one. Where none has, it
// returns an empty wallet, and the first Put makes one at the first place that
// works. A place that cannot be trusted is passed over; where nothing is found
// elsewhere, the calls that find nothing say so with an [ErrUntrusted].
func Open(o Options) (*Wallet, error) {
	places, err := o.places()
	if err != nil {
		return nil, err
	}
	w := &Wallet{opt: o}
	if len(places) == 1 && places[0].place.Kind == Named {
		w.keeper, w.place = places[0].store, places[0].place
		return w, nil
	}
	for _, c := range places {
		ok, err := c.store.has()
		if ok {
			w.keeper, w.place, w.passed = c.store, c.place, nil
			return w, nil
		}
		var untrusted ErrUntrusted
		if w.passed == nil && errors.As(err, &untrusted) {
			w.passed = err
		}
	}
	return w, nil
}

// found returns the place at which a new wallet is kept, having kept what change
// makes there.
func (o Options) found(change func(*book) error) (keeper, Place, error) {
	places, err := o.places()
	if err != nil {
		return nil, Place{}, err
	}
	failed := []error{ErrNoPlace}
	for _, c := range places {
		err := c.store.save(change)
		if err == nil {
			return c.store, c.place, nil
		}
		failed = append(failed, err)
	}
	return nil, Place{}, errors.Join(failed...)
}
