package devpi

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
)

const (
	answerTime = 30 * time.Second // a password costs the server a third of a second, more where it is busy
	maxReply   = 4 << 20
)

// A Config is what a client depends on.
type Config struct {
	URL       string            // of an index, such as https://pypi.example.org/alice/dev/, or of the whole server
	Transport http.RoundTripper // verifies certificates
	PlainHTTP []string          // origins off this machine that an admin lets be asked by plain http
}

// A Client asks one devpi server.
type Client struct {
	url  *url.URL // with a slash at its end
	http http.Client
}

// An Auth is who asks. The zero value is nobody.
type Auth struct {
	User     string
	Password daypass.Secret // a password, a session or a token
}

// New returns a client; an error is a [daypass.Problem] about the URL.
func New(c Config) (*Client, error) {
	u, err := parseURL(c.URL)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "https" && !daypass.Loopback(u.Host) && !slices.Contains(c.PlainHTTP, u.Scheme+"://"+u.Host) {
		return nil, &daypass.Problem{
			Code: "DP-131", What: "no password or token is sent to " + u.Host + " by plain http", Why: "everybody on the way could read it",
			Next: "Use the index's https address.", Who: "Admins can list the origin under plain_http_origins in /etc/daypass/config.yaml.", Kind: daypass.ErrRefused,
		}
	}
	return &Client{url: u, http: http.Client{
		Transport:     c.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// URL is the address that the client was made for, with a slash at its end.
func (c *Client) URL() string { return c.url.String() }

// Host is the host of that address, for messages.
func (c *Client) Host() string { return c.url.Host }

// parseURL reads an index's address in one way only. What pip is given, which
// ends in +simple/, is taken too.
func parseURL(raw string) (*url.URL, error) {
	wrong := func(why string) error {
		return &daypass.Problem{
			Code: "DP-130", What: "the package index's address cannot be used", Why: why,
			Next: "Give it as https://HOST/USER/INDEX/.", Kind: daypass.ErrUsage,
		}
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Opaque != "" || u.Host == "":
		return nil, wrong("it is no URL")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, wrong("it does not begin with https://")
	case u.User != nil:
		return nil, wrong("it holds a user or a password, which everybody on this machine can read in a command")
	case strings.ContainsAny(raw, "?#"):
		return nil, wrong("it has more than a path")
	case !daypass.CleanHost(u.Host):
		return nil, wrong("its host could be read in two ways")
	}
	path := strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(u.EscapedPath(), "/"), "/"), "/+simple")
	if path != "" && !plainPath(path) {
		return nil, wrong("its path could be read in two ways")
	}
	if path != "" {
		path += "/"
	}
	u.Path, u.RawPath = "/"+path, ""
	return u, nil
}

func plainPath(path string) bool {
	for s := range strings.SplitSeq(path, "/") {
		if len(path) > 1024 || !plainName(s) {
			return false
		}
	}
	return true
}

func plainName(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0) {
			return false
		}
	}
	return s != "" && s != "." && s != ".."
}

// An API is what a server says about itself and whoever asks (GET +api).
type API struct {
	Index, SimpleIndex, PyPISubmit, Login string // absolute URLs; all but Login empty where no index was asked about
	Features                              []string
	Status                                string // "ok", "noauth", or what else the server says
	User                                  string // with "ok": who asks
	Root                                  string // where the server begins, with a slash: the parent of Login
}

// API asks who one is there, and where things are. Addresses of another origin
// than the client's are an error: a password goes to one host.
func (c *Client) API(ctx context.Context, a Auth) (API, error) {
	var r struct {
		Index, SimpleIndex, PyPISubmit, Login string
		Features                              []string
		AuthStatus                            []any
	}
	if err := c.call(ctx, http.MethodGet, c.url.String()+"+api", a, nil, "apiconfig", &r); err != nil {
		return API{}, err
	}
	out := API{Features: r.Features}
	for _, x := range []struct {
		from string
		to   *string
	}{{r.Index, &out.Index}, {r.SimpleIndex, &out.SimpleIndex}, {r.PyPISubmit, &out.PyPISubmit}, {r.Login, &out.Login}} {
		if x.from == "" {
			continue
		}
		u, err := c.url.Parse(x.from)
		if err != nil || u.Scheme != c.url.Scheme || u.Host != c.url.Host {
			return API{}, c.strange("it names addresses at another host than the one that was asked")
		}
		*x.to = u.String()
	}
	root, found := strings.CutSuffix(out.Login, "+login")
	if !found || !strings.HasSuffix(root, "/") || !strings.HasPrefix(c.url.String(), root) {
		return API{}, c.strange("it does not say where to log in")
	}
	out.Root = root
	if len(r.AuthStatus) > 0 {
		out.Status, _ = r.AuthStatus[0].(string)
	}
	if len(r.AuthStatus) > 1 && out.Status == "ok" {
		out.User, _ = r.AuthStatus[1].(string)
	}
	return out, nil
}

// LogIn exchanges a password for a session, which devpi-server takes for ten
// hours in the password's place.
func (c *Client) LogIn(ctx context.Context, api API, user string, password daypass.Secret) (Auth, error) {
	body := map[string]string{"user": user, "password": password.Reveal()}
	var r struct{ Password string }
	if err := c.call(ctx, http.MethodPost, api.Login, Auth{}, body, "proxyauth", &r); err != nil {
		return Auth{}, err
	}
	if r.Password == "" {
		return Auth{}, c.strange("it holds no session")
	}
	return Auth{User: user, Password: daypass.NewSecret(r.Password)}, nil
}

// An Ask is what a token is to be limited to. A nil list is no limit.
type Ask struct {
	Allowed, Indexes, Projects []string
	Expires                    time.Time // zero: as the server has it, a year; daypass.Forever: never
	NotBefore                  time.Time // zero: none
	Label                      string    // what it is for; a package gateway of daypass keeps it, devpi-tokens refuses it
}

func (a Ask) fields() map[string]any {
	out := map[string]any{}
	for name, list := range map[string][]string{"allowed": a.Allowed, "indexes": a.Indexes, "projects": a.Projects} {
		if list != nil {
			out[name] = list
		}
	}
	switch {
	case a.Expires.IsZero():
	case !a.Expires.Before(daypass.Forever):
		out["expires"] = "never"
	default:
		out["expires"] = a.Expires.Unix()
	}
	if !a.NotBefore.IsZero() {
		out["not_before"] = a.NotBefore.Unix()
	}
	if a.Label != "" {
		out["label"] = a.Label
	}
	return out
}

// CreateToken has a token made for a user (devpi-tokens' +token-create).
func (c *Client) CreateToken(ctx context.Context, api API, a Auth, user string, ask Ask) (daypass.Secret, error) {
	path, err := c.userPath(api, user)
	if err != nil {
		return daypass.Secret{}, err
	}
	var r struct{ Token string }
	err = c.call(ctx, http.MethodPost, path+"+token-create", a, ask.fields(), "token-info", &r)
	var refusal *Error
	if errors.As(err, &refusal) && refusal.Message == "Unknown restriction 'label'." {
		refusal.Problem.What, refusal.Problem.Kind = "the package index at "+c.url.Host+" keeps no labels", daypass.ErrUsage
		refusal.Problem.Next = "Leave --label out; the tokens of a gateway of daypass have one."
	}
	if err != nil {
		return daypass.Secret{}, err
	}
	return daypass.NewSecret(r.Token), nil
}

// A Token is one that a server lists.
type Token struct {
	ID           string
	Restrictions []string
	// What a package gateway knows beyond that; zero elsewhere.
	Label   string
	Created time.Time
	Used    time.Time // with Created: zero is never
	Until   time.Time // zero too: no end
	Uses    int64
}

// Tokens lists a user's tokens, sorted by id.
func (c *Client) Tokens(ctx context.Context, api API, a Auth, user string) ([]Token, error) {
	path, err := c.userPath(api, user)
	if err != nil {
		return nil, err
	}
	var r struct {
		Tokens map[string]struct {
			Restrictions         []string
			Label                string
			Created, Used, Until time.Time
			Uses                 int64
		}
	}
	if err := c.call(ctx, http.MethodGet, path+"+tokens", a, nil, "tokens-info", &r); err != nil {
		return nil, err
	}
	out := []Token{}
	for id, t := range r.Tokens {
		out = append(out, Token{ID: id, Restrictions: t.Restrictions, Label: t.Label, Created: t.Created, Used: t.Used, Until: t.Until, Uses: t.Uses})
	}
	slices.SortFunc(out, func(a, b Token) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// DeleteToken ends a token and all that were derived from it, and returns what
// the server says to it.
func (c *Client) DeleteToken(ctx context.Context, api API, a Auth, user, id string) (string, error) {
	path, err := c.userPath(api, user)
	if err != nil {
		return "", err
	}
	if !plainName(id) {
		return "", &daypass.Problem{Code: "DP-001", What: "that is no token's id", Next: `"daypass token list" shows the ids.`, Kind: daypass.ErrUsage}
	}
	body, err := c.send(ctx, http.MethodDelete, path+"+tokens/"+id, a, nil)
	if err != nil {
		return "", err
	}
	var r struct{ Message string }
	if json.Unmarshal(body, &r) != nil {
		return "", c.strange("its answer cannot be read")
	}
	return r.Message, nil
}

// EndShown ends the token that is shown and all that were narrowed from it, and
// returns the event's id. A package gateway of daypass does so; elsewhere there
// is nothing at that address ([IsStatus] 404).
func (c *Client) EndShown(ctx context.Context, api API, a Auth) (string, error) {
	var r struct{ Event string }
	err := c.call(ctx, http.MethodPost, api.Root+"+daypass/end", a, nil, "token-ended", &r)
	return r.Event, err
}

func (c *Client) userPath(api API, user string) (string, error) {
	if !plainName(user) {
		return "", &daypass.Problem{Code: "DP-001", What: "that is no user's name", Next: "Say --user NAME.", Kind: daypass.ErrUsage}
	}
	return api.Root + user + "/", nil
}

// call sends and reads devpi's {"type": …, "result": …}.
func (c *Client) call(ctx context.Context, method, url string, a Auth, body any, kind string, result any) error {
	text, err := c.send(ctx, method, url, a, body)
	if err != nil {
		return err
	}
	var r struct {
		Type   string
		Result json.RawMessage
	}
	if json.Unmarshal(text, &r) != nil || r.Type != kind || json.Unmarshal(r.Result, result) != nil {
		return c.strange("its answer is not devpi's")
	}
	return nil
}

// send is the one place where a password leaves. Without "Accept:
// application/json" devpi-server tells errors in HTML.
func (c *Client) send(ctx context.Context, method, url string, a Auth, body any) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		in = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, in)
	if err != nil {
		return nil, c.strange("its address cannot be used")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "daypass/"+daypass.Version)
	if !a.Password.IsZero() {
		req.Header.Set("X-Devpi-Auth", base64.StdEncoding.EncodeToString([]byte(a.User+":"+a.Password.Reveal())))
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	defer res.Body.Close()
	out, err := io.ReadAll(io.LimitReader(res.Body, maxReply+1))
	switch {
	case err != nil:
		return nil, c.unreachable(err)
	case len(out) > maxReply:
		return nil, c.strange("its answer is too long")
	case res.StatusCode == http.StatusOK || res.StatusCode == http.StatusCreated:
		return out, nil
	}
	return nil, c.refused(method, res, out)
}

// An Error is a server's refusal. It unwraps to the [daypass.Problem].
type Error struct {
	Problem *daypass.Problem
	Status  int    // HTTP status
	Message string // the server's words, on one line; from outside: print it escaped
}

// Error is the problem's text.
func (e *Error) Error() string { return e.Problem.Error() }

// Unwrap returns the problem.
func (e *Error) Unwrap() error { return e.Problem }

// IsStatus reports whether an error is a refusal with an HTTP status.
func IsStatus(err error, status int) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == status
}

// refused tells a refusal in the words of devpi's own client, "403 Forbidden:
// …", which people search for.
func (c *Client) refused(method string, res *http.Response, body []byte) error {
	var r struct{ Message string }
	_ = json.Unmarshal(body, &r) // else without words
	message := strings.Join(strings.Fields(r.Message), " ")
	own := strings.Contains(message, "[DP-") // a gateway of daypass, which says what to do next
	if len(message) > 600 {
		message = message[:600] + "…"
	}
	why := strconv.Itoa(res.StatusCode) + " " + http.StatusText(res.StatusCode)
	if message != "" {
		why += ": " + strings.TrimSuffix(message, ".")
	}
	p := &daypass.Problem{Code: "DP-134", What: "the package index at " + c.url.Host + " refused it", Why: why, Kind: daypass.ErrRefused}
	switch status := res.StatusCode; {
	case status >= 300 && status < 400:
		return c.strange("it sends one to another address, where no password or token goes")
	case status == http.StatusUnauthorized:
		p.Code, p.What = "DP-133", "the package index at "+c.url.Host+" did not take the name and the password"
		p.Next, p.Kind = "Try again; a token is no password for a log-in there.", daypass.ErrNoLogin
	case status == http.StatusForbidden:
		p.Next, p.Who = forbidden(message)
	case status == http.StatusNotFound && message == "":
		p.Code, p.What = "DP-135", "the server at "+c.url.Host+" has nothing there"
		p.Next = "Check the address. Tokens need a package gateway of daypass, or devpi-tokens beside devpi-server."
		p.Who = "The index's admins can install either."
	case status == http.StatusNotFound:
		p.Next = "Check the name or the id."
	case status >= 500:
		p.Code, p.What = "DP-132", "the package index at "+c.url.Host+" cannot answer now"
		p.Next, p.Who, p.Kind = "Try again in a minute.", "The index's admins see why in its log.", daypass.ErrUnreachable
	default:
		p.Next = "Correct that, and try again."
	}
	if own {
		p.Next, p.Who = "", ""
	}
	return &Error{Problem: p, Status: res.StatusCode, Message: message}
}

// forbidden is what to do about a 403, by devpi-tokens' own words for it.
func forbidden(message string) (next, who string) {
	switch {
	case strings.HasPrefix(message, "Not allowed to "): // set expiration to more than one year, create token with no expiration
		return "Ask for a shorter time: --expires with a year at most.", "Only the index's admins have longer ones made, or ones without an end."
	case strings.Contains(message, "user_token"):
		return "What your pass allows: daypass pass show. A token never makes, lists or ends tokens: that takes your password.",
			"The index's admins; where the server was started with --restrict-modify, only those listed there manage tokens."
	}
	return "What your pass allows, and until when: daypass pass show.", "The index's admins know what its lists permit you."
}

func (c *Client) unreachable(err error) error {
	why := "it does not answer"
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &timeout) && timeout.Timeout():
		why = "it does not answer in time"
	}
	return &daypass.Problem{
		Code: "DP-132", What: "the package index at " + c.url.Host + " cannot be reached", Why: why,
		Next: "Check the address and the network, and try again.", Who: "The index's admins.", Kind: daypass.ErrUnreachable, Err: err,
	}
}

func (c *Client) strange(why string) error {
	return &daypass.Problem{
		Code: "DP-136", What: "the answer from " + c.url.Host + " is not one of a devpi server", Why: why,
		Next: "Check that --index is the index's own address.", Kind: daypass.ErrRefused,
	}
}
