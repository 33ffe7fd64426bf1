package main

import (
	"errors"
	"io"
	"os"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"github.com/daypass-dev/daypass/gitcred"
)

const (
	askWait    = 10 * time.Second
	maxAnswer  = 64 << 10
	maxRequest = 32 << 10 // less than a pipe holds, so that writing it never blocks
)

// ask runs the daypass beside this program as "daypass credential OP" and
// returns its answer, which may be empty. That git is told to stop is left out
// unless mayQuit: what other helpers may answer is theirs. An error means that
// daypass could not be run at all and is for the user to read.
func (h *helper) ask(op string, req *gitcred.Request, mayQuit bool) (gitcred.Answer, error) {
	path, err := h.beside()
	if err != nil {
		return gitcred.Answer{}, err
	}
	text := req.Append(nil)
	if len(text) > maxRequest {
		return gitcred.Answer{}, nil
	}
	out, status, err := h.converse(path, op, text)
	if err != nil {
		return gitcred.Answer{}, errors.New(strconv.Quote(path) + " cannot be run: " + err.Error() + ". Install daypass again.")
	}
	if len(out) == 0 || out[len(out)-1] != '\n' || !status.Exited() {
		return gitcred.Answer{}, nil
	}
	a, err := gitcred.ParseAnswer(out, *req)
	a.Quit = a.Quit && mayQuit
	switch {
	case err != nil:
		return gitcred.Answer{}, nil
	case !a.Whole() || status.ExitStatus() != 0: // a failure has no credential to give
		return gitcred.Answer{Quit: a.Quit}, nil
	case a.Expires != 0 && a.Expires <= h.now().Unix():
		return gitcred.Answer{}, nil
	case a.AuthType == "":
		return req.For(a.Username, a.Password, a.Expires), nil
	}
	return a, nil
}

// beside returns the daypass in this program's own directory. PATH is not asked,
// since whoever can set it could then answer for us; and what others can write
// is not run.
func (h *helper) beside() (string, error) {
	self, err := ownPath()
	if err != nil {
		return "", errors.New("cannot find the directory of git-credential-daypass: " + err.Error() + ". Is /proc mounted?")
	}
	dir := self[:len(self)-len(base(self))]
	path := dir + "daypass"
	bad, why := dir, h.exchangeable(dir, syscall.S_IFDIR, 0)
	if why == "" {
		bad, why = path, h.exchangeable(path, syscall.S_IFREG, 0)
	}
	for up := dir; why == "" && len(up) > 1; {
		up = up[:len(up)-1]
		up = up[:len(up)-len(base(up))]
		bad, why = up, h.exchangeable(up, syscall.S_IFDIR, syscall.S_ISVTX)
	}
	if why != "" {
		return "", errors.New("cannot ask for a credential: " + strconv.Quote(bad) + ": " + why +
			". Install daypass beside git-credential-daypass, in folders owned by root or you and writable by nobody else.")
	}
	return path, nil
}

// exchangeable returns why someone else could have put what they like at path or
// in it, or "". A directory whose mode has the bit unless may be written by
// others: they cannot rename in it what is not theirs.
func (h *helper) exchangeable(path string, kind, unless uint32) string {
	var st syscall.Stat_t
	err := syscall.Lstat(path, &st)
	mode := uint32(st.Mode)
	switch {
	case err != nil:
		return err.Error()
	case mode&syscall.S_IFMT != kind:
		return "it is a link or not a file"
	case st.Uid != 0 && int(st.Uid) != h.uid && !(unless != 0 && foreignRoot(st.Uid)):
		return "it belongs to user " + strconv.Itoa(int(st.Uid))
	case mode&0o022 != 0 && mode&unless == 0:
		return "others can write to it"
	case kind == syscall.S_IFREG && mode&0o111 == 0:
		return "it is not executable"
	}
	return ""
}

// overflowUser is what the kernel shows for an owner that has no number in this
// user namespace (user_namespaces(7)); root among them in a container without a
// mapping for it, such as an unprivileged Apptainer's.
const overflowUser = 65534

// foreignRoot reports whether a folder above our own may be root's although its
// number does not say so. It cannot be told from a stranger's there; that nobody
// but its owner can write to it is asked in any case, and our own folder and
// files must be ours or root's by number.
func foreignRoot(uid uint32) bool {
	if uid != overflowUser {
		return false
	}
	text, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && !mapped(text, uid)
}

// mapped reports whether a uid_map gives the number a meaning: lines of first
// number inside, first outside, how many.
func mapped(text []byte, uid uint32) bool {
	var field [3]uint64
	n, digits := 0, false
	for _, c := range append(text, '\n') {
		switch {
		case '0' <= c && c <= '9':
			if n == len(field) {
				return true // not what the kernel writes
			}
			field[n], digits = field[n]*10+uint64(c-'0'), true
			continue
		case digits:
			n, digits = n+1, false
		}
		if c == '\n' {
			if n == len(field) && uint64(uid) >= field[0] && uint64(uid) < field[0]+field[2] {
				return true
			}
			field, n = [3]uint64{}, 0
		}
	}
	return false
}

// environment is this process's without what git set: GIT_DIR and the
// configuration in GIT_CONFIG_PARAMETERS are the repository's, which may be a
// stranger's. Which files of the user and the system git reads stays, since no
// repository can say that. What makes Go's library print or write things goes:
// GODEBUG=http2debug=2 would show tokens.
func environment(all []string) []string {
	out := make([]string, 0, len(all))
	for _, kv := range all {
		name := kv
		for i := 0; i < len(kv); i++ {
			if kv[i] == '=' {
				name = kv[:i]
				break
			}
		}
		switch name {
		case "GODEBUG", "GOTRACEBACK", "GORACE", "GOCOVERDIR":
			continue
		case "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM":
		default:
			if len(name) >= 4 && name[:4] == "GIT_" {
				continue
			}
		}
		out = append(out, kv)
	}
	return out
}

// converse runs the program with text on its standard input. What it prints for
// the user is passed on with control bytes made harmless.
//
// It has a session of its own, so that a Ctrl-C meant for git does not reach it,
// and when it takes too long it is left to end by itself, which it does: between
// a host's answer and the write to the wallet, to end it would lose a renewal.
// For the same reason it holds the reading ends of its pipes as well: what it
// still prints when nobody reads any more does not end it.
func (h *helper) converse(path, op string, text []byte) (out []byte, status syscall.WaitStatus, err error) {
	var pipes [3][2]int
	for i := range pipes {
		if err := pipe(&pipes[i]); err != nil {
			return nil, 0, err
		}
	}
	pid, err := syscall.ForkExec(path, []string{"daypass", "credential", op}, &syscall.ProcAttr{
		Dir: "/", Env: environment(os.Environ()), Sys: &syscall.SysProcAttr{Setsid: true},
		Files: []uintptr{uintptr(pipes[0][0]), uintptr(pipes[1][1]), uintptr(pipes[2][1]), uintptr(pipes[1][0]), uintptr(pipes[2][0])},
	})
	syscall.Close(pipes[0][0])
	syscall.Close(pipes[1][1])
	syscall.Close(pipes[2][1])
	if err != nil {
		return nil, 0, err
	}
	write(pipes[0][1], string(text))
	syscall.Close(pipes[0][1])
	until := time.Now().Add(askWait)
	out, messages, err := gather(pipes[1][0], pipes[2][0], until)
	if len(messages) > 0 {
		write(2, harmless(string(messages)))
	}
	if err == errMuch {
		_ = syscall.Kill(pid, syscall.SIGKILL) // what prints on and on is no daypass
	}
	if err != nil || !finish(pid, until, &status) {
		return nil, 0, nil
	}
	return out, status, nil
}

var (
	errLate = errors.New("it takes too long")
	errMuch = errors.New("it prints too much")
)

// gather reads both pipes to their ends; the error is errLate or errMuch where
// time or space ran out.
func gather(answer, messages int, until time.Time) (a, m []byte, err error) {
	open := map[int]*[]byte{answer: &a, messages: &m}
	buf := make([]byte, 4096)
	for len(open) > 0 {
		fds := make([]int, 0, 2)
		for fd := range open {
			fds = append(fds, fd)
		}
		ready, ok := waitReadable(fds, until)
		if !ok {
			return nil, m, errLate
		}
		n, err := syscall.Read(ready, buf)
		switch {
		case err == syscall.EINTR:
		case err != nil || n <= 0:
			delete(open, ready)
		default:
			to := open[ready]
			if *to = append(*to, buf[:n]...); len(*to) > maxAnswer {
				return nil, m, errMuch
			}
		}
	}
	return a, m, nil
}

// finish waits for the child's end; false where it does not come in time.
func finish(pid int, until time.Time, status *syscall.WaitStatus) bool {
	for {
		got, err := syscall.Wait4(pid, status, syscall.WNOHANG, nil)
		if got == pid {
			return true
		}
		if err != nil && err != syscall.EINTR || time.Now().After(until) {
			return false
		}
		time.Sleep(time.Millisecond)
	}
}

// An input is standard input with a deadline. git writes its request at once; a
// caller that keeps it open and says nothing must not hang what waits for us.
type input struct{ until time.Time }

// errSlow reports that git, or whoever called, did not end its request.
var errSlow = errors.New("standard input did not end within 5 seconds")

// Read implements io.Reader.
func (in *input) Read(b []byte) (int, error) {
	for {
		if _, ok := waitReadable([]int{0}, in.until); !ok {
			return 0, errSlow
		}
		n, err := syscall.Read(0, b)
		switch {
		case err == syscall.EINTR || err == syscall.EAGAIN:
			continue
		case err != nil:
			return 0, err
		case n <= 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

// wordBits is how many files a word of syscall.FdSet holds.
const wordBits = 8 * int(unsafe.Sizeof(syscall.FdSet{}.Bits[0]))

// waitReadable returns one of the files that can be read without blocking; false
// where none could be until then.
func waitReadable(fds []int, until time.Time) (int, bool) {
	for {
		left := time.Until(until)
		if left <= 0 {
			return 0, false
		}
		var set syscall.FdSet
		top := 0
		for _, fd := range fds {
			if fd >= wordBits*len(set.Bits) {
				return 0, false
			}
			set.Bits[fd/wordBits] |= 1 << (fd % wordBits)
			top = max(top, fd+1)
		}
		timeout := syscall.NsecToTimeval(int64(left))
		err := selectReadable(top, &set, &timeout)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return 0, false
		}
		for _, fd := range fds {
			if set.Bits[fd/wordBits]&(1<<(fd%wordBits)) != 0 {
				return fd, true
			}
		}
	}
}
