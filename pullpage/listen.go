package pullpage

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pull"
)

// Socket listens on a unix socket that only the user reaches: 0600, in a folder
// that is 0700 and the user's. A socket that a page left behind gives way.
func Socket(name string) (net.Listener, error) {
	if !filepath.IsAbs(name) {
		return nil, badPlace("the path of its socket is not absolute")
	}
	if err := privateDir(filepath.Dir(name)); err != nil {
		return nil, badPlace(err.Error())
	}
	if info, err := os.Lstat(name); err == nil {
		if info.Mode().Type() != fs.ModeSocket {
			return nil, badPlace(name + " is there and is no socket")
		}
		if c, err := net.Dial("unix", name); err == nil {
			return nil, errors.Join(badPlace("another page answers there"), c.Close())
		}
		if err := os.Remove(name); err != nil {
			return nil, badPlace(err.Error())
		}
	}
	l, err := net.Listen("unix", name)
	if err != nil {
		return nil, badPlace(err.Error())
	}
	if err := os.Chmod(name, 0o600); err != nil { // the folder keeps others out until then
		return nil, errors.Join(badPlace(err.Error()), l.Close())
	}
	return l, nil
}

// minSecret is how long the secret of a page on a port has to be.
const minSecret = 32

// Port listens on a port of this computer, where other users are neighbours.
func Port(ctx context.Context, port int, secret daypass.Secret) (net.Listener, error) {
	if len(secret.Reveal()) < minSecret {
		return nil, badPlace("on a port it needs a secret of at least " + strconv.Itoa(minSecret) + " characters")
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, badPlace(err.Error())
	}
	return l, nil
}

// Serve answers requests until the context ends. Pulls that run go on.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	srv := &http.Server{Handler: limit(h), ReadHeaderTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := srv.Shutdown(end); err != nil {
		return srv.Close()
	}
	return nil
}

// limit answers only so many requests at a time.
func limit(h http.Handler) http.Handler {
	room := make(chan struct{}, atOnce)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case room <- struct{}{}:
			defer func() { <-room }()
			h.ServeHTTP(w, r)
		default:
			http.Error(w, "The page has too much to do. Try again in a moment. [DP-388]", http.StatusServiceUnavailable)
		}
	})
}

// Drop takes the page's own variables out of an environment, for children.
func Drop(environ []string) []string {
	var out []string
	for _, e := range environ {
		name := e
		for i := range len(e) {
			if e[i] == '=' {
				name = e[:i]
				break
			}
		}
		if name != SettingsVariable && name != SecretVariable && name != pull.LoginVariable {
			out = append(out, e)
		}
	}
	return out
}
