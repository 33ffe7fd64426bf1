package devpi

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass"
)

// ErrState reports a file that devpi's client did not write.
var ErrState = errors.New("devpi: this is not a file of devpi's client")

// Logins is auth.json: for each server, by its root URL, the users that are
// logged in there, the latest first. What else stands in the file is kept.
type Logins struct {
	rest map[string]json.RawMessage
	auth map[string][][2]string // user, password
}

// A Login is one of them.
type Login struct {
	Root string // the server, with a slash at its end
	Auth
}

// ParseLogins reads auth.json; an empty text is a file without logins.
func ParseLogins(text []byte) (Logins, error) {
	l := Logins{rest: map[string]json.RawMessage{}, auth: map[string][][2]string{}}
	if len(bytes.TrimSpace(text)) == 0 {
		return l, nil
	}
	if json.Unmarshal(text, &l.rest) != nil {
		return l, ErrState
	}
	raw, ok := l.rest["auth"]
	delete(l.rest, "auth")
	if ok && json.Unmarshal(raw, &l.auth) != nil {
		return l, ErrState
	}
	if l.auth == nil { // "auth": null, or the whole file
		l.auth = map[string][][2]string{}
	}
	if l.rest == nil {
		l.rest = map[string]json.RawMessage{}
	}
	return l, nil
}

// Text writes auth.json as devpi's client does. It holds the secrets.
func (l Logins) Text() ([]byte, error) {
	all := map[string]any{}
	for k, v := range l.rest {
		all[k] = v
	}
	all["auth"] = l.auth
	return indented(all)
}

func indented(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

// All lists every login, sorted by server.
func (l Logins) All() []Login {
	var out []Login
	for root, list := range l.auth {
		for _, row := range list {
			out = append(out, Login{Root: root, Auth: Auth{User: row[0], Password: daypass.NewSecret(row[1])}})
		}
	}
	slices.SortStableFunc(out, func(a, b Login) int { return strings.Compare(a.Root, b.Root) })
	return out
}

// Find returns the login of a user at a server; of the latest where user is "".
func (l Logins) Find(root, user string) (Login, bool) {
	for _, row := range l.auth[root] {
		if user == "" || row[0] == user {
			return Login{Root: root, Auth: Auth{User: row[0], Password: daypass.NewSecret(row[1])}}, true
		}
	}
	return Login{}, false
}

// Set puts a login first at its server, in the place of the user's former one.
func (l Logins) Set(n Login) {
	l.Remove(n.Root, n.User)
	l.auth[n.Root] = append([][2]string{{n.User, n.Password.Reveal()}}, l.auth[n.Root]...)
}

// Remove takes a login out and reports whether there was one.
func (l Logins) Remove(root, user string) bool {
	list := slices.DeleteFunc(slices.Clone(l.auth[root]), func(row [2]string) bool { return row[0] == user })
	found := len(list) < len(l.auth[root])
	if len(list) == 0 {
		delete(l.auth, root)
	} else {
		l.auth[root] = list
	}
	return found
}

// A Current is current.json: which index is in use. What else stands in the
// file is kept, but for logins, which very old clients wrote there.
type Current struct{ all map[string]json.RawMessage }

// ParseCurrent reads current.json; an empty text is one without an index.
func ParseCurrent(text []byte) (Current, error) {
	c := Current{all: map[string]json.RawMessage{}}
	if len(bytes.TrimSpace(text)) == 0 {
		return c, nil
	}
	if json.Unmarshal(text, &c.all) != nil || c.all == nil {
		return Current{all: map[string]json.RawMessage{}}, ErrState
	}
	return c, nil
}

func (c Current) text(name string) string {
	var s string
	_ = json.Unmarshal(c.all[name], &s) // null, or not there: ""
	return s
}

// Index is the URL of the index in use, or "".
func (c Current) Index() string { return c.text("index") }

// Root is the URL of the server in use, with a slash, or "".
func (c Current) Root() string {
	root, ok := strings.CutSuffix(c.text("login"), "+login")
	if !ok {
		return ""
	}
	return root
}

// User is who is in use, or "".
func (c Current) User() string { return c.text("username") }

// Use makes an index and a user the ones in use, as "devpi use" and "devpi
// login" do.
func (c Current) Use(api API, user string) error {
	delete(c.all, "auth")
	for name, value := range map[string]any{
		"index": orNull(api.Index), "simpleindex": orNull(api.SimpleIndex), "pypisubmit": orNull(api.PyPISubmit),
		"login": api.Login, "features": api.Features, "username": user,
	} {
		raw, err := json.Marshal(value)
		if err != nil {
			return err
		}
		c.all[name] = raw
	}
	return nil
}

// SetUser changes who is in use.
func (c Current) SetUser(user string) error {
	raw, err := json.Marshal(user)
	c.all["username"] = raw
	delete(c.all, "auth")
	return err
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// Text writes current.json as devpi's client does.
func (c Current) Text() ([]byte, error) { return indented(c.all) }
