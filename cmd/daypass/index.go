package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/devpi"
	"github.com/daypass-dev/daypass/pass"
)

// indexOptions say which package index, and who asks it.
type indexOptions struct {
	index     string // a URL, or USER/INDEX at the server in use
	user      string // whose token; "" is whoever asks
	password  string // "-" or "@FILE"
	clientdir string
	pass      passSource // in the password's place, where that will do
}

func (o *indexOptions) flags(c *cobra.Command) {
	c.Flags().StringVar(&o.index, "index", "", "the package index, as https://HOST/USER/INDEX/ (default: the one that devpi uses)")
	c.Flags().StringVar(&o.password, "password", "", "- for standard input, or @FILE; never the password itself (default: the devpi client's log-in, else it is asked for)")
	o.stateFlags(c)
}

// needless reports whether something was said about a package index, and none
// was named.
func (o indexOptions) needless() bool {
	return o.index == "" && first(o.user, o.password, o.clientdir, o.pass.file, o.pass.token) != ""
}

func (o *indexOptions) stateFlags(c *cobra.Command) {
	c.Flags().StringVar(&o.clientdir, "clientdir", "", "where the devpi client keeps its state (default: DEVPI_CLIENTDIR, else ~/.devpi/client)")
}

// An indexState is what devpi's own client keeps: who is logged in where, and
// which index is in use.
type indexState struct {
	dir, currentFile string
	logins           devpi.Logins
	current          devpi.Current
}

func (s indexState) authFile() string { return filepath.Join(s.dir, "auth.json") }

func indexStateProblem(path, why string, err error) error {
	return &daypass.Problem{
		Code: "DP-137", What: "the devpi client's state in " + printable(path) + " cannot be used", Why: why,
		Next: "Look at it (ls -l " + printable(path) + "), or name another folder with --clientdir.", Err: err,
	}
}

// devpiDir is the folder of devpi's client; false where there is none.
func (a *app) devpiDir(named string) (string, bool) {
	dir := first(named, a.getenv("DEVPI_CLIENTDIR"))
	home := a.getenv("HOME")
	switch rest, tilde := strings.CutPrefix(dir, "~/"); {
	case tilde && filepath.IsAbs(home):
		return filepath.Join(home, rest), true
	case dir != "":
		dir, err := filepath.Abs(dir)
		return dir, err == nil
	case filepath.IsAbs(home):
		return filepath.Join(home, ".devpi", "client"), true
	}
	return "", false
}

// openIndexState reads the client's files. In a virtual environment that has a
// devpi.json of its own, that tells the index in use, as for devpi.
func (a *app) openIndexState(named string) (indexState, error) {
	dir, ok := a.devpiDir(named)
	if !ok {
		return indexState{}, indexStateProblem("~/.devpi/client", errNoFolder.Error(), errNoFolder)
	}
	s := indexState{dir: dir, currentFile: filepath.Join(dir, "current.json")}
	if venv := a.getenv("VIRTUAL_ENV"); filepath.IsAbs(venv) {
		if st, err := os.Lstat(filepath.Join(venv, "devpi.json")); err == nil && st.Mode().IsRegular() {
			s.currentFile = filepath.Join(venv, "devpi.json")
		}
	}
	text, err := readOwn(s.authFile(), a.uid)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		s.logins, err = devpi.ParseLogins(text)
	}
	if err != nil {
		return s, indexStateProblem(s.authFile(), printable(strings.TrimPrefix(err.Error(), "devpi: ")), err)
	}
	text, err = readOwn(s.currentFile, a.uid)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		s.current, err = devpi.ParseCurrent(text)
	}
	if err != nil {
		return s, indexStateProblem(s.currentFile, printable(strings.TrimPrefix(err.Error(), "devpi: ")), err)
	}
	return s, nil
}

// updateIndexState changes the client's files, each as a whole and readable by
// its owner only. Two of us wait for each other; devpi's own client does not.
func (a *app) updateIndexState(named string, change func(indexState) error) (indexState, error) {
	dir, ok := a.devpiDir(named)
	if !ok {
		return indexState{}, indexStateProblem("~/.devpi/client", errNoFolder.Error(), errNoFolder)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return indexState{}, indexStateProblem(dir, "it cannot be made", err)
	}
	if err := ownedFolder(dir, a.uid); err != nil {
		return indexState{}, indexStateProblem(dir, err.Error(), err)
	}
	lock, err := os.Open(dir)
	if err != nil {
		return indexState{}, indexStateProblem(dir, "it cannot be opened", err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return indexState{}, indexStateProblem(dir, "it cannot be locked", err)
	}
	s, err := a.openIndexState(named)
	if err != nil {
		return s, err
	}
	files := []stateFile{{path: s.authFile(), text: s.logins.Text}, {path: s.currentFile, text: s.current.Text}}
	for i := range files {
		files[i].before, _ = files[i].text()
	}
	if err := change(s); err != nil {
		return s, err
	}
	for _, file := range files {
		if err := file.write(); err != nil {
			return s, indexStateProblem(file.path, "it cannot be written", err)
		}
	}
	return s, nil
}

// A stateFile is one of the client's files, which is written where it changed.
type stateFile struct {
	path   string
	text   func() ([]byte, error)
	before []byte
}

func (f stateFile) write() error {
	text, err := f.text()
	if err != nil || bytes.Equal(text, f.before) {
		return err
	}
	return replaceFile(f.path, text)
}

// indexClient is a client of one package index.
func (a *app) indexClient(url string) (*devpi.Client, error) {
	cfg, err := a.loadConfig()
	if err != nil {
		return nil, err
	}
	transport := a.transport
	if strings.HasPrefix(url, "http://") {
		transport = a.direct // a proxy would read it
	}
	return devpi.New(devpi.Config{URL: url, Transport: transport, PlainHTTP: cfg.admin.PlainHTTP})
}

// An indexCaller is a client with whoever asks.
type indexCaller struct {
	*devpi.Client
	api   devpi.API
	auth  devpi.Auth
	state indexState
}

// target is whose tokens are meant.
func (c indexCaller) target(o indexOptions) string { return first(o.user, c.auth.User) }

// indexURL is the index that is meant: named, or in use at devpi's client.
func (a *app) indexURL(o indexOptions, s indexState) (string, error) {
	named := first(o.index, a.getenv("DEVPI_INDEX"))
	switch {
	case strings.Contains(named, "://"):
		return named, nil
	case named != "" && strings.Contains(named, "/") && s.current.Root() != "":
		return s.current.Root() + strings.TrimPrefix(named, "/"), nil
	case named == "" && first(s.current.Index(), s.current.Root()) != "":
		return first(s.current.Index(), s.current.Root()), nil
	}
	return "", &daypass.Problem{
		Code: "DP-138", What: "no package index is in use here", Next: "Say --index https://HOST/USER/INDEX/, or see \"devpi use\".", Kind: daypass.ErrUsage,
	}
}

// reach asks an index where things are there.
func (a *app) reach(ctx context.Context, o indexOptions) (indexCaller, error) {
	state, err := a.openIndexState(o.clientdir)
	if err != nil {
		return indexCaller{}, err
	}
	url, err := a.indexURL(o, state)
	if err != nil {
		return indexCaller{}, err
	}
	c, err := a.indexClient(url)
	if err != nil {
		return indexCaller{}, err
	}
	api, err := c.API(ctx, devpi.Auth{})
	return indexCaller{Client: c, api: api, state: state}, err
}

// manager is a caller who may manage tokens: with devpi's own session, or with
// a password, which is asked for. A pass never may.
func (a *app) manager(ctx context.Context, o indexOptions) (indexCaller, error) {
	c, err := a.reach(ctx, o)
	if err != nil {
		return c, err
	}
	user := a.getenv("DEVPI_USER")
	if user == "" && c.state.current.Root() == c.api.Root {
		user = c.state.current.User()
	}
	stored, ok := c.state.logins.Find(c.api.Root, user)
	if ok && o.password == "" && !pass.LooksLike(stored.Password) {
		api, err := c.API(ctx, stored.Auth)
		if err == nil && api.Status == "ok" {
			c.auth = stored.Auth
			return c, nil
		}
		ok = false // devpi's session has ended
	}
	if user = first(stored.User, user, o.user); o.password != "" { // theirs, whose name was given
		user = first(a.getenv("DEVPI_USER"), o.user, user)
	} else if !a.readable {
		if ok {
			c.auth = stored.Auth // a pass: the server says what it thinks of that
			return c, nil
		}
		return c, notLoggedIn(c.Host())
	}
	c.auth, err = a.logInAt(ctx, c, o, user)
	return c, err
}

func notLoggedIn(host string) error {
	return &daypass.Problem{
		Code: "DP-138", What: "you need to be logged in (use 'devpi login USER')", Why: "nobody is logged in at " + printable(host) + ", and nobody can be asked for a password here",
		Next: "Or say --user USER, and --password - with the password on standard input.", Kind: daypass.ErrNoLogin,
	}
}

// logInAt exchanges a password for a session that nobody keeps.
func (a *app) logInAt(ctx context.Context, c indexCaller, o indexOptions, user string) (devpi.Auth, error) {
	if user == "" {
		var err error
		if user, err = a.typedUser(c.Host()); err != nil {
			return devpi.Auth{}, err
		}
	}
	password, err := a.indexPassword(o, user, c.api.Root)
	if err != nil {
		return devpi.Auth{}, err
	}
	return c.LogIn(ctx, c.api, user, password)
}

func (a *app) typedUser(host string) (string, error) {
	if !a.readable {
		return "", notLoggedIn(host)
	}
	fmt.Fprint(a.stderr, "user: ")
	var user string
	_, err := fmt.Fscanln(a.stdin, &user)
	return user, err
}

// indexPassword reads a password from where the flag says, or has it typed.
func (a *app) indexPassword(o indexOptions, user, root string) (daypass.Secret, error) {
	path, isFile := strings.CutPrefix(o.password, "@")
	var text string
	var err error
	f, isTerminal := a.stdin.(*os.File)
	switch {
	case o.password == "-":
		text, err = a.passLine()
	case isFile:
		text, err = a.passFile(path)
	case o.password != "":
		return daypass.Secret{}, &daypass.Problem{
			Code: "DP-121", What: "a password does not belong on a command line", Why: "everybody on this machine can read it there",
			Next: "Say --password - and give it on standard input, or --password @FILE. If others use this machine, change the password.", Kind: daypass.ErrUsage,
		}
	case !a.readable || !isTerminal:
		return daypass.Secret{}, notLoggedIn(root)
	default:
		fmt.Fprintf(a.stderr, "password for user %s at %s: ", printable(user), printable(root))
		var typed []byte
		typed, err = term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(a.stderr)
		text = string(typed)
	}
	return daypass.NewSecret(text), err
}
