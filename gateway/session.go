package gateway

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what devpi signs its sessions with
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math/bits"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/daypass-dev/daypass"
)

// Acting says how the gateway acts at devpi for whoever shows a pass: by Key as
// that user, or by the service account as itself, which is then held to what
// the index's own lists allow the user. One of the two is given.
type Acting struct {
	// Key is the 16 bytes that devpi-server derives from its secret file to sign
	// sessions with. It opens every account, and nothing else of the secret.
	Key             daypass.Secret
	ServiceUser     string
	ServicePassword daypass.Secret
}

func (a Acting) check() error {
	service := a.ServiceUser != "" || !a.ServicePassword.IsZero()
	switch {
	case a.Key.IsZero() == !service:
		return unusable("it needs either the key of devpi's sessions or a service account, and not both")
	case !service && len(a.Key.Reveal()) != 16:
		return unusable("the key of devpi's sessions does not have 16 bytes")
	case service && (a.ServiceUser == "" || a.ServicePassword.IsZero() || strings.ContainsAny(a.ServiceUser, ":/")):
		return unusable("the service account needs a name and a password")
	}
	return nil
}

// An actor makes the header by which devpi takes a request for a user's.
type actor interface {
	// auth returns the value of X-Devpi-Auth. The error is a *refusal.
	auth(ctx context.Context, user string) (daypass.Secret, error)
	// name is whom devpi will see.
	name(user string) string
	// refused is told that devpi did not take what auth gave.
	refused(auth daypass.Secret)
	// status asks devpi whom it sees; "" is nobody.
	status(ctx context.Context, user string) (string, error)
}

func newActor(g *Gateway) (actor, error) {
	a := g.c.Acting
	if a.Key.IsZero() {
		return &service{g: g, user: a.ServiceUser, password: a.ServicePassword}, nil
	}
	return &minter{g: g, key: sessionKey(a.Key)}, nil
}

// The life of a devpi session, and how much of it one of ours has left: devpi's
// clock may be behind by all but that, and ahead by that.
const (
	sessionLife = 36000 * time.Second
	sessionLeft = 90 * time.Second
)

// minter signs sessions as devpi-server does.
type minter struct {
	g   *Gateway
	key []byte
}

// sessionKey is itsdangerous' way from a secret to a signer's key.
func sessionKey(secret daypass.Secret) []byte {
	h := sha1.New()                                                     //nolint:gosec // as above
	_, _ = h.Write([]byte("itsdangerous" + "signer" + secret.Reveal())) // a hash takes everything
	return h.Sum(nil)
}

// session writes a session of devpi (itsdangerous' TimedSerializer):
//
//	JSON "." TIMESTAMP "." SIGNATURE
//
// JSON is [user, groups, whether devpi has the user itself]; the groups are left
// out, as devpi-tokens does. The timestamp has no leading zero bytes.
func session(key []byte, user string, at time.Time) string {
	name, _ := json.Marshal(user) // a string can be encoded
	body := append(append([]byte{'['}, name...), ", [], true]."...)
	seconds := uint64(max(at.Unix(), 0))
	var stamp []byte
	for i := (bits.Len64(seconds)+7)/8 - 1; i >= 0; i-- {
		stamp = append(stamp, byte(seconds>>(8*i)))
	}
	body = base64.RawURLEncoding.AppendEncode(body, stamp)
	m := hmac.New(sha1.New, key)
	_, _ = m.Write(body) // a hash takes everything
	return string(base64.RawURLEncoding.AppendEncode(append(body, '.'), m.Sum(nil)))
}

func (m *minter) auth(_ context.Context, user string) (daypass.Secret, error) {
	at := m.g.c.Now().Add(sessionLeft - sessionLife)
	return devpiAuth(user, session(m.key, user, at)), nil
}

func (m *minter) name(user string) string { return user }

func (m *minter) refused(daypass.Secret) {}

func (m *minter) status(ctx context.Context, user string) (string, error) {
	if user == "" {
		return m.g.whois(ctx, http.Header{})
	}
	auth, err := m.auth(ctx, user)
	if err != nil {
		return "", err
	}
	return m.g.whois(ctx, authHeader(auth))
}

func devpiAuth(user, password string) daypass.Secret {
	return daypass.NewSecret(base64.StdEncoding.EncodeToString([]byte(user + ":" + password)))
}

func authHeader(auth daypass.Secret) http.Header {
	return http.Header{"X-Devpi-Auth": {auth.Reveal()}}
}

// service logs in to one account of devpi, and again before the session ends.
type service struct {
	g        *Gateway
	user     string
	password daypass.Secret

	mu      sync.Mutex
	session daypass.Secret // X-Devpi-Auth's value
	renew   time.Time
	failed  error
	again   time.Time // not before this after a failure
}

// loginPause is how long a service account that could not log in leaves devpi
// alone: a password costs it 300 ms.
const loginPause = 5 * time.Second

func (s *service) auth(ctx context.Context, _ string) (daypass.Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.g.c.Now()
	if !s.session.IsZero() && now.Before(s.renew) {
		return s.session, nil
	}
	if s.failed != nil && now.Before(s.again) {
		return daypass.Secret{}, s.failed
	}
	got, life, err := s.login(ctx)
	if err != nil {
		if ctx.Err() == nil { // else it was the client that went away
			s.failed, s.again = err, now.Add(loginPause)
		}
		return daypass.Secret{}, err
	}
	s.session, s.renew, s.failed = got, now.Add(life-life/10), nil
	return got, nil
}

func (s *service) login(ctx context.Context) (daypass.Secret, time.Duration, error) {
	body, err := json.Marshal(map[string]string{"user": s.user, "password": s.password.Reveal()})
	if err != nil {
		return daypass.Secret{}, 0, err
	}
	var got struct {
		Result struct {
			Password   string  `json:"password"`
			Expiration float64 `json:"expiration"`
		} `json:"result"`
	}
	status, err := s.g.ask(ctx, http.MethodPost, "/+login", http.Header{}, bytes.NewReader(body), &got)
	if err != nil {
		return daypass.Secret{}, 0, err
	}
	if status != http.StatusOK || got.Result.Password == "" || !(got.Result.Expiration > 0 && got.Result.Expiration < 1e7) {
		return daypass.Secret{}, 0, notBelieved(s.user)
	}
	return devpiAuth(s.user, got.Result.Password), time.Duration(got.Result.Expiration * float64(time.Second)), nil
}

func (s *service) name(string) string { return s.user }

func (s *service) refused(auth daypass.Secret) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.session.Equal(auth) {
		s.session = daypass.Secret{}
	}
}

func (s *service) status(ctx context.Context, _ string) (string, error) {
	auth, err := s.auth(ctx, "")
	if err != nil {
		return "", err
	}
	return s.g.whois(ctx, authHeader(auth))
}

// errNoStatus is an answer of +api that is not devpi's.
var errNoStatus = errors.New("what answers there is no devpi-server")

// A standing is what devpi says of who asks.
type standing struct {
	name   string // "" is nobody
	groups []string
}

// whois asks devpi for whom it takes a request with these headers.
func (g *Gateway) whois(ctx context.Context, h http.Header) (string, error) {
	who, err := g.standing(ctx, h)
	return who.name, err
}

func (g *Gateway) standing(ctx context.Context, h http.Header) (standing, error) {
	var got apiAnswer
	status, err := g.ask(ctx, http.MethodGet, "/+api", h, nil, &got)
	switch {
	case err != nil:
		return standing{}, err
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return standing{}, nil
	case status != http.StatusOK:
		return standing{}, upstreamOdd(errNoStatus)
	}
	return got.standing()
}

// An apiAnswer is what of devpi's answer at +api says whom it sees.
type apiAnswer struct {
	Type   string `json:"type"`
	Result struct {
		Status []json.RawMessage `json:"authstatus"`
	} `json:"result"`
}

func (a apiAnswer) standing() (standing, error) {
	var word, name string
	var groups []string
	if a.Type != "apiconfig" || len(a.Result.Status) != 3 || json.Unmarshal(a.Result.Status[0], &word) != nil ||
		json.Unmarshal(a.Result.Status[1], &name) != nil || json.Unmarshal(a.Result.Status[2], &groups) != nil {
		return standing{}, upstreamOdd(errNoStatus)
	}
	if word != "ok" {
		return standing{}, nil
	}
	return standing{name, groups}, nil
}

// whoami hands on +api, where a client looks whether its pass is good: an answer
// that speaks of anybody else would have people replace good ones.
func (v *visit) whoami(s sending) error {
	for name := range s.header {
		if name != "Accept" && name != "User-Agent" {
			delete(s.header, name)
		}
	}
	s.look = func(resp *http.Response) error {
		if resp.StatusCode != http.StatusOK {
			return nil
		}
		b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		if err != nil {
			return v.g.failed(err)
		}
		if b, err = v.seenAs(b, s.auth); err != nil {
			return err
		}
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
		resp.Header.Set("Content-Length", strconv.Itoa(len(b)))
		return nil
	}
	return v.forward(s)
}

// seenAs checks whom devpi saw. Where that is the service account, whose pass it
// is, is what the client asks.
func (v *visit) seenAs(b []byte, auth daypass.Secret) ([]byte, error) {
	var got apiAnswer
	if json.Unmarshal(b, &got) != nil {
		return nil, upstreamOdd(errNoStatus)
	}
	who, err := got.standing()
	name := v.g.acting.name(v.user)
	switch {
	case err != nil:
		return nil, err
	case who.name != name:
		v.distrust(auth)
		return nil, notBelieved(name)
	case name == v.user:
		return b, nil
	}
	var all map[string]any
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, upstreamOdd(err)
	}
	all["result"].(map[string]any)["authstatus"] = []any{"ok", v.user, []string{}} // it was read as such
	return json.Marshal(all)
}
