package wallet

import (
	"errors"
	"os"
	"strings"
	"syscall"

	"github.com/daypass-dev/daypass/internal/sha256"
)

// An Authority names whose authority made an entry. An entry answers only the
// authority that made it, so that a job which holds a narrowed pass is never
// given the wider credential that the same user's login made.
type Authority string

// Login is the authority of a user who logged in on this machine.
const Login Authority = "login"

// PresentedBy is the authority of whoever presents the token to the broker.
// It shows nothing of the token.
func PresentedBy(brokerURL, token string) Authority {
	const digits = "0123456789abcdef"
	sum := sha256.Sum(brokerURL + "\n" + token)
	out := make([]byte, 0, 2*len(sum))
	for _, b := range sum {
		out = append(out, digits[b>>4], digits[b&15])
	}
	return Authority(out)
}

// ErrTokenFile reports that DAYPASS_TOKEN_FILE names a file that cannot be used.
var ErrTokenFile = errors.New("DAYPASS_TOKEN_FILE cannot be used")

// ErrToken reports that DAYPASS_TOKEN is set and holds only white space.
var ErrToken = errors.New("DAYPASS_TOKEN is set and holds no pass")

// maxTokenFile bounds a file that holds a pass.
const maxTokenFile = 8 << 10

// Presenting returns the authority that this process presents: that of its pass
// (DAYPASS_TOKEN or DAYPASS_TOKEN_FILE), else of the hub's token
// (JUPYTERHUB_API_TOKEN) where there is a broker to present it to (DAYPASS_URL),
// else [Login]. A pass that is named but cannot be read is an error, since
// whoever set it meant less than the login.
func Presenting(getenv func(string) string) (Authority, error) {
	url := getenv("DAYPASS_URL")
	token, err := Pass(getenv)
	if err != nil {
		return "", err
	}
	if token == "" && url != "" {
		token = getenv("JUPYTERHUB_API_TOKEN")
	}
	if token == "" {
		return Login, nil
	}
	return PresentedBy(url, token), nil
}

// Pass returns the pass that this process was given, or "". White space is a
// pass that failed to arrive, as from a secret that a job may not read, and an
// error.
func Pass(getenv func(string) string) (string, error) {
	if text := getenv("DAYPASS_TOKEN"); text != "" {
		if token := strings.TrimSpace(text); token != "" {
			return token, nil
		}
		return "", ErrToken
	}
	path := getenv("DAYPASS_TOKEN_FILE")
	if path == "" {
		return "", nil
	}
	token, err := readTokenFile(path)
	if err != nil {
		return "", errors.Join(ErrTokenFile, err)
	}
	return token, nil
}

// readTokenFile reads a file of the user's own that nobody else can read or
// write, or one of root's that nobody else can write: those that an orchestrator
// mounts can be read by all of the container. They are symbolic links, so links
// are followed; it is what they lead to that counts.
func readTokenFile(path string) (string, error) {
	if path[0] != '/' {
		return "", errors.New("not an absolute path") // git runs helpers in the repository
	}
	fd, err := open(path, syscall.O_RDONLY|syscall.O_NONBLOCK)
	if err != nil {
		return "", err
	}
	defer syscall.Close(fd)
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil {
		return "", err
	}
	if err := tokenFileMistake(uint32(st.Mode), st.Uid, uint32(os.Geteuid())); err != nil {
		return "", err
	}
	if st.Size > maxTokenFile {
		return "", errors.New("longer than any pass")
	}
	b, err := readAll(fd, maxTokenFile)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(b))
	if token == "" {
		return "", errors.New("empty")
	}
	return token, nil
}

func tokenFileMistake(mode, owner, me uint32) error {
	switch {
	case mode&syscall.S_IFMT != syscall.S_IFREG:
		return errors.New("not a regular file")
	case owner != 0 && owner != me:
		return errors.New("owned by another user")
	case mode&0o022 != 0:
		return errors.New("others can write it")
	case owner != 0 && mode&0o044 != 0:
		return errors.New("others can read it: if anybody else uses this machine, have the pass ended; else chmod 600")
	}
	return nil
}
