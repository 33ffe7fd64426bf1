package fake

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what devpi signs its sessions with
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// devpiSessionLife is how long a log-in lasts.
const devpiSessionLife = 36000

// devpiSigner is the key that itsdangerous makes of a secret, for its default salt.
func devpiSigner(secret []byte) []byte {
	sum := sha1.Sum(append([]byte("itsdangerous"+"signer"), secret...))
	return sum[:]
}

func (d *Devpi) sign(text string) string {
	mac := hmac.New(sha1.New, d.session)
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// newSession is what a log-in gives in place of the password: itsdangerous'
// TimedSerializer over the name, its groups, and whether it must be a user's.
func (d *Devpi) newSession(user string) string {
	body, _ := json.Marshal([]any{user, []string{}, true}) // strings and a truth value
	var stamp []byte
	for n := d.now().Unix(); n > 0; n >>= 8 {
		stamp = append(stamp, byte(n))
	}
	slices.Reverse(stamp)
	text := string(body) + "." + base64.RawURLEncoding.EncodeToString(stamp)
	return text + "." + d.sign(text)
}

// sessionOf is the user of a session that is good, or "".
func (d *Devpi) sessionOf(text string) string {
	at := strings.LastIndex(text, ".")
	if at < 0 || !hmac.Equal([]byte(d.sign(text[:at])), []byte(text[at+1:])) {
		return ""
	}
	text = text[:at]
	at = strings.LastIndex(text, ".")
	if at < 0 {
		return ""
	}
	stamp, err := base64.RawURLEncoding.DecodeString(text[at+1:])
	if err != nil || len(stamp) > 7 {
		return ""
	}
	var seconds int64
	for _, b := range stamp {
		seconds = seconds<<8 | int64(b)
	}
	// A session from a clock that is ahead is refused too.
	if age := d.now().Unix() - seconds; age < 0 || age > devpiSessionLife {
		return ""
	}
	var claims []any
	if json.Unmarshal([]byte(text[:at]), &claims) != nil || len(claims) != 3 {
		return ""
	}
	user, _ := claims[0].(string)
	if known, _ := claims[2].(bool); known && d.users[user] == nil {
		return ""
	}
	return user
}

// caller is whoever asks: X-Devpi-Auth counts before Authorization, and what is
// wrong there makes nobody of them.
func (c *devpiCall) caller() string {
	if own := c.r.Header.Values("X-Devpi-Auth"); len(own) == 1 {
		if text, err := base64.StdEncoding.DecodeString(own[0]); err == nil {
			user, password, _ := strings.Cut(string(text), ":")
			return c.verified(user, password)
		}
	} else if len(own) > 1 {
		return ""
	}
	if user, password, ok := c.r.BasicAuth(); ok {
		return c.verified(user, password)
	}
	return ""
}

func (d *Devpi) verified(user, password string) string {
	if u := d.users[user]; u != nil && hmac.Equal([]byte(u.password), []byte(password)) {
		return user
	}
	if user != "" && d.sessionOf(password) == user {
		return user
	}
	return ""
}

func (c *devpiCall) api(at []string) {
	status := []any{"noauth", "", []string{}}
	if c.who != "" {
		status = []any{"ok", c.who, []string{}}
	}
	result := map[string]any{
		"login": c.outside() + "/+login", "authstatus": status,
		"features": []string{"push-no-docs", "push-only-docs", "push-register-project", "server-keyvalue-parsing"},
	}
	if len(at) == 2 {
		ix := c.index(at[0] + "/" + at[1])
		if ix == nil {
			c.noIndex(at[0], at[1])
			return
		}
		url := c.outside() + "/" + ix.path()
		result["index"], result["simpleindex"], result["pypisubmit"] = url, url+"/+simple/", url+"/"
	}
	c.give(http.StatusOK, "apiconfig", result)
}

// body reads an object.
func (c *devpiCall) body() (map[string]any, bool) {
	fields := map[string]any{}
	if json.NewDecoder(c.r.Body).Decode(&fields) != nil {
		c.say(http.StatusBadRequest, "Bad request: could not decode json")
		return nil, false
	}
	return fields, true
}

func (c *devpiCall) login() {
	fields, ok := c.body()
	if !ok {
		return
	}
	user, hasUser := fields["user"].(string)
	password, hasPassword := fields["password"].(string)
	switch {
	case !hasUser || !hasPassword:
		c.say(http.StatusBadRequest, "Bad request: no user/password specified")
	// A session is none: it would live for ever.
	case c.users[user] == nil || !hmac.Equal([]byte(c.users[user].password), []byte(password)):
		c.say(http.StatusUnauthorized, "user '"+user+"' could not be authenticated")
	default:
		c.json(http.StatusOK, map[string]any{
			"type": "proxyauth", "message": "login successful",
			"result": map[string]any{"password": c.newSession(user), "expiration": devpiSessionLife},
		})
	}
}

func (c *devpiCall) listUsers() {
	all := map[string]any{}
	for name, u := range c.users {
		all[name] = u.config()
	}
	c.give(http.StatusOK, "list:userconfig", all)
}

func (u *devpiUser) config() map[string]any {
	indexes := map[string]any{}
	for name, ix := range u.indexes {
		indexes[name] = ix.config()
	}
	m := map[string]any{"username": u.name, "created": u.created.UTC().Format(time.RFC3339), "indexes": indexes}
	for k, v := range u.about {
		m[k] = v
	}
	return m
}

// rules reports whether whoever asks may change what is a user's.
func (c *devpiCall) rules(user string) bool { return c.who == user || c.who == "root" }

func (c *devpiCall) serveUser(name string) {
	u := c.users[name]
	switch {
	case c.r.Method == http.MethodPut:
		c.putUser(name)
	case u == nil:
		c.say(http.StatusNotFound, "no user '"+name+"'")
	case c.r.Method == http.MethodGet:
		c.give(http.StatusOK, "userconfig", u.config())
	case c.r.Method == http.MethodPatch && !c.rules(name), c.r.Method == http.MethodDelete && (!c.rules(name) || name == "root"):
		c.forbid()
	case c.r.Method == http.MethodPatch:
		c.patchUser(u)
	case c.r.Method == http.MethodDelete:
		delete(c.users, name)
		c.say(http.StatusOK, "user '"+name+"' deleted")
	default:
		c.nowhere()
	}
}

func (c *devpiCall) putUser(name string) {
	fields, ok := c.body()
	if !ok {
		return
	}
	password, _ := fields["password"].(string)
	switch {
	case c.users[name] != nil:
		c.say(http.StatusConflict, "user already exists")
	case password == "":
		c.say(http.StatusBadRequest, "password needs to be set")
	default:
		c.give(http.StatusCreated, "userconfig", c.addUser(name, password, aboutDevpiUser(fields)).config())
	}
}

func (c *devpiCall) patchUser(u *devpiUser) {
	fields, ok := c.body()
	if !ok {
		return
	}
	for k, v := range aboutDevpiUser(fields) {
		if u.about == nil {
			u.about = map[string]any{}
		}
		u.about[k] = v
	}
	if password, _ := fields["password"].(string); password != "" {
		u.password = password
		c.json(http.StatusOK, map[string]any{
			"type": "userpassword", "message": "user updated, new proxy auth",
			"result": map[string]any{"password": c.newSession(u.name), "expiration": devpiSessionLife},
		})
		return
	}
	c.say(http.StatusOK, "user updated")
}

// aboutDevpiUser are the fields that anybody may read.
func aboutDevpiUser(fields map[string]any) map[string]any {
	about := map[string]any{}
	for _, k := range []string{"email", "title", "description", "custom_data"} {
		if v, ok := fields[k]; ok {
			about[k] = v
		}
	}
	return about
}
