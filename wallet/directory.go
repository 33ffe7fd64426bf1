package wallet

import (
	"context"
	"errors"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"github.com/daypass-dev/daypass/internal/pause"
)

// A directory keeps a wallet in one file of a private directory. Owner, mode,
// links and file system are checked on every open, on the open file itself, so
// that what was checked is what is read.
type directory struct {
	path string
	opt  Options

	mayBeDisk   bool   // the user named it: any local file system will do
	root        string // the directory that holds it
	rootPrivate bool   // root must itself be private
}

const (
	walletFile = "wallet"
	newFile    = "wallet.new"
	lockFile   = "lock"

	lockWait = 10 * time.Second
)

func (d *directory) untrusted(why string) error { return ErrUntrusted{d.path, why} }

// openDirectory opens the directory, making it first where create is set.
func (d *directory) openDirectory(create bool) (int, error) {
	if err := d.checkRoot(); err != nil {
		return -1, err
	}
	const flags = syscall.O_RDONLY | syscall.O_DIRECTORY | syscall.O_NOFOLLOW
	fd, err := open(d.path, flags)
	if err == syscall.ENOENT && create {
		if err := syscall.Mkdir(d.path, 0o700); err != nil && err != syscall.EEXIST {
			return -1, errors.Join(errors.New("make "+strconv.Quote(d.path)), err)
		}
		fd, err = open(d.path, flags)
	}
	switch err {
	case nil:
	case syscall.ELOOP, syscall.ENOTDIR:
		return -1, d.untrusted("it is a symbolic link or no directory")
	case syscall.EACCES:
		return -1, d.untrusted("it cannot be opened; it may be another user's")
	default:
		return -1, err
	}
	if err := d.checkDirectory(fd, d.path, true); err != nil {
		syscall.Close(fd)
		return -1, err
	}
	return fd, nil
}

// checkRoot checks the directory that holds this one. That it is trusted keeps
// another user from exchanging ours for theirs.
func (d *directory) checkRoot() error {
	if d.root == "" {
		return nil
	}
	fd, err := open(d.root, syscall.O_RDONLY|syscall.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	return d.checkDirectory(fd, d.root, d.rootPrivate)
}

func (d *directory) checkDirectory(fd int, path string, private bool) error {
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil {
		return err
	}
	mode := uint32(st.Mode)
	switch {
	case private && int(st.Uid) != d.opt.UID:
		return ErrUntrusted{path, "it belongs to user " + strconv.Itoa(int(st.Uid))}
	case private && mode&0o777 != 0o700:
		return ErrUntrusted{path, "its mode is " + octal(mode) + ", not 0700"}
	case !private && mode&0o022 != 0 && mode&syscall.S_ISVTX == 0:
		return ErrUntrusted{path, "everybody can remove what is in it"}
	}
	kind, err := d.opt.kindOf(fd)
	switch {
	case err != nil:
		return err
	case kind == network:
		return ErrUntrusted{path, "it is on a network file system"}
	case kind != memory && !d.mayBeDisk:
		return ErrUntrusted{path, "it is not in memory"}
	}
	return nil
}

func (o Options) kindOf(fd int) (fileSystemKind, error) {
	if o.fileSystem != nil {
		return o.fileSystem(fd)
	}
	return fileSystem(fd)
}

func octal(mode uint32) string { return "0" + strconv.FormatUint(uint64(mode&0o7777), 8) }

// warning tells what the user should know about a directory that they named.
func (d *directory) warning() string {
	fd, err := open(d.path, syscall.O_RDONLY|syscall.O_DIRECTORY)
	if err != nil {
		return ""
	}
	defer syscall.Close(fd)
	if kind, err := d.opt.kindOf(fd); err == nil && kind != memory {
		return "it is not in memory: tokens stay on its disk until they are overwritten"
	}
	return ""
}

// openFile opens a file of the directory and checks it.
func (d *directory) openFile(dir int, name string, flags int) (int, int64, error) {
	fd, err := openat(dir, d.path, name, flags|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err == syscall.ELOOP {
		return -1, 0, ErrUntrusted{d.path + "/" + name, "it is a symbolic link"}
	}
	if err != nil {
		return -1, 0, err
	}
	var st syscall.Stat_t
	if err = syscall.Fstat(fd, &st); err == nil {
		why := ""
		switch mode := uint32(st.Mode); {
		case mode&syscall.S_IFMT != syscall.S_IFREG:
			why = "it is not a regular file"
		case int(st.Uid) != d.opt.UID:
			why = "it belongs to user " + strconv.Itoa(int(st.Uid))
		case mode&0o077 != 0:
			why = "its mode is " + octal(mode) + ", not 0600"
		case st.Nlink > 1: // none is fine: a writer has just put a newer one in its place
			why = "it has a second name"
		case st.Size > maxFile:
			why = "it is larger than any wallet"
		}
		if why != "" {
			err = ErrUntrusted{d.path + "/" + name, why}
		}
	}
	if err != nil {
		syscall.Close(fd)
		return -1, 0, err
	}
	return fd, st.Size, nil
}

func (d *directory) has() (bool, error) {
	dir, err := d.openDirectory(false)
	if err != nil {
		return false, err
	}
	defer syscall.Close(dir)
	fd, _, err := d.openFile(dir, walletFile, syscall.O_RDONLY)
	if err == syscall.ENOENT {
		return false, nil
	}
	if err != nil {
		return true, nil // the directory is ours, and load will say what is wrong with the file
	}
	syscall.Close(fd)
	return true, nil
}

func (d *directory) load() (book, error) {
	text, err := d.text()
	if text == "" || err != nil {
		return book{}, err
	}
	return parseBook(text)
}

// A search is a find under way.
type search struct {
	f       fields
	e, best Entry  // without what only the answer needs
	line    string // the best one's
}

// newSearch makes a search on the heap: the stack would have to grow for it.
//
//go:noinline
func newSearch() *search { return new(search) }

// find is [Wallet.Search] without making what it will not return: most of what
// the helper takes beyond starting is memory that it touches for the first time.
func (d *directory) find(want *Want, now time.Time) (*Entry, error) {
	text, err := d.text()
	if text == "" || err != nil {
		return nil, err
	}
	s := newSearch()
	err = scan(text, &s.f, func(line string) error { return s.consider(line, want, now) })
	if err != nil || s.line == "" {
		return nil, err
	}
	s.f.parse(s.line)
	if err := parseEntry(&s.f, &s.best); err != nil {
		return nil, err
	}
	return &s.best, nil
}

// consider looks at the line whose parts are in s.f.
func (s *search) consider(line string, want *Want, now time.Time) error {
	f := &s.f
	if f.tag != entryTag || f.v[0] != string(want.Authority) || f.v[1] != want.Scheme || f.v[2] != want.Scope.Host {
		return nil
	}
	if err := f.credential(&s.e); err != nil {
		return err
	}
	if s.e.Answers(want, now) && (s.line == "" || narrower(&s.e, &s.best)) {
		s.best, s.line = s.e, line
	}
	return nil
}

// text returns the wallet as it is written, "" where there is none.
func (d *directory) text() (string, error) {
	dir, err := d.openDirectory(false)
	if err == syscall.ENOENT {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	text, err := d.read(dir)
	syscall.Close(dir)
	return text, err
}

func (d *directory) read(dir int) (string, error) {
	fd, size, err := d.openFile(dir, walletFile, syscall.O_RDONLY)
	if err == syscall.ENOENT {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	b, err := readSized(fd, int(size), maxFile)
	syscall.Close(fd)
	switch {
	case err != nil:
		return "", err
	case len(b) == 0:
		return "", ErrDamaged
	}
	return unsafe.String(&b[0], len(b)), nil // b is written to no more
}

func (d *directory) save(change func(*book) error) error {
	dir, err := d.openDirectory(true)
	if err != nil {
		return err
	}
	defer syscall.Close(dir)
	ctx, cancel := context.WithTimeout(context.Background(), lockWait)
	defer cancel()
	unlock, err := d.lock(ctx, dir, lockFile)
	if err != nil {
		return err
	}
	defer unlock()
	var b book
	text, err := d.read(dir)
	if text != "" && err == nil {
		b, err = parseBook(text)
	}
	var other ErrVersion
	if errors.As(err, &other) || errors.Is(err, ErrDamaged) {
		b, err = book{}, nil // nobody can read it any more, so nothing is lost
	}
	if err != nil {
		return err
	}
	if err := change(&b); err != nil {
		return err
	}
	out := b.append(nil)
	for len(out) > maxFile && len(b.entries) > 1 {
		if !b.evict(b.entries[len(b.entries)-1]) {
			return ErrFull
		}
		out = b.append(nil)
	}
	return d.replace(dir, out)
}

// replace puts text in the place of the wallet in one step: whoever reads
// meanwhile, or after a crash or on a full file system, reads the old one whole.
func (d *directory) replace(dir int, text []byte) error {
	if err := unlinkat(dir, d.path, newFile); err != nil && err != syscall.ENOENT {
		return err // a writer that was killed left it; the lock is ours now
	}
	fd, err := openat(dir, d.path, newFile, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	err = writeAll(fd, text)
	if err == nil {
		err = syscall.Fsync(fd)
	}
	if e := syscall.Close(fd); err == nil {
		err = e
	}
	if err == nil {
		err = renameat(dir, d.path, newFile, walletFile)
	}
	if err != nil {
		_ = unlinkat(dir, d.path, newFile)
		return errors.Join(errors.New("write "+strconv.Quote(d.path)), err)
	}
	return nil
}

// lock takes the exclusive lock that a file of the directory stands for. The
// file stays, since a lock on a removed file would keep nobody out.
func (d *directory) lock(ctx context.Context, dir int, name string) (unlock func(), err error) {
	fd, _, err := d.openFile(dir, name, syscall.O_RDWR|syscall.O_CREAT)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { syscall.Close(fd) }, nil
		}
		if err == syscall.EWOULDBLOCK || err == syscall.EINTR {
			err = nil
			if !pause.For(ctx, 5*time.Millisecond) {
				err = ctx.Err()
			}
		}
		if err != nil {
			syscall.Close(fd)
			return nil, err
		}
	}
}

// Lock takes an exclusive lock between processes, such as one per grant for its
// renewal, and waits for it until ctx ends. It lives in a private directory in
// memory and ends with the process at the latest.
func (w *Wallet) Lock(ctx context.Context, name string) (unlock func(), err error) {
	if d, ok := w.keeper.(*directory); ok {
		return lockAt(ctx, []*directory{d}, name)
	}
	return lockAt(ctx, w.opt.lockPlaces(), name)
}

// lockPlaces are the directories that hold locks where no wallet is in one.
func (o Options) lockPlaces() []*directory {
	places := []*directory{o.memoryDirectory()}
	if d := o.sessionDirectory(); d != nil {
		places = append(places, d)
	}
	return places
}

// lockAt takes a lock in the first directory that works. Where none does, the
// error is an [ErrNoPlace].
func lockAt(ctx context.Context, places []*directory, name string) (unlock func(), err error) {
	failed := []error{ErrNoPlace}
	for _, d := range places {
		dir, err := d.openDirectory(true)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		unlock, err := d.lock(ctx, dir, lockFile+"-"+digest(name))
		syscall.Close(dir)
		if err == nil || ctx.Err() != nil {
			return unlock, err
		}
		failed = append(failed, err)
	}
	return nil, errors.Join(failed...)
}

// digest makes a short name of any text (FNV-1a, 64 bits). Two names that fall
// together share a lock, which only costs time.
func digest(s string) string {
	h := uint64(14695981039346656037)
	for i := 0; i < len(s); i++ {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return strconv.FormatUint(h, 16)
}

func open(path string, flags int) (int, error) {
	for {
		fd, err := syscall.Open(path, flags|syscall.O_CLOEXEC, 0)
		if err != syscall.EINTR {
			return fd, err
		}
	}
}

// readSized reads a file that should be size bytes long, at most limit bytes.
func readSized(fd, size, limit int) ([]byte, error) {
	buf := make([]byte, 0, size+1)
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := syscall.Read(fd, buf[len(buf):cap(buf)])
		switch {
		case err == syscall.EINTR:
			continue
		case err != nil:
			return nil, err
		case n <= 0:
			return buf, nil
		}
		if buf = buf[:len(buf)+n]; len(buf) > limit {
			return nil, ErrDamaged
		}
	}
}

func readAll(fd, limit int) ([]byte, error) { return readSized(fd, 511, limit) }

func writeAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := syscall.Write(fd, b)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
