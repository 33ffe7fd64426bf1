package fake

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The device flow, from docs.github.com, "Authorizing OAuth apps", section
// "Device flow", and "Generating a user access token for a GitHub App".

const (
	deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"
	errorURI    = "https://docs.github.com/developers/apps/authorizing-oauth-apps#error-codes-for-the-device-flow"
	troubleURI  = "https://docs.github.com/apps/managing-oauth-apps/troubleshooting-oauth-app-access-token-request-errors/#"
	// maxForm bounds what the endpoints read: their requests are tiny.
	maxForm = 64 << 10
)

type deviceState int

const (
	devicePending deviceState = iota
	deviceApproved
	deviceDenied
)

// A device is one device flow under way.
type device struct {
	code, userCode string
	app            *App
	scopes         []string
	state          deviceState
	user           string // who approved it
	interval       time.Duration
	polled         time.Time
	polls          int
	life           time.Duration
	ends           time.Time
}

// A field is one name and value of an answer; order is kept, as GitHub's form
// encoding does.
type field struct {
	name  string
	value any
}

// oauthError is an answer as documented: an error with its description, sent
// with status 200 unless said otherwise.
func oauthError(code, description string, more ...field) []field {
	uri := errorURI
	switch code {
	case "incorrect_client_credentials", "unverified_user_email", "bad_verification_code":
		uri = troubleURI + strings.ReplaceAll(code, "_", "-")
	case "bad_refresh_token":
		uri = troubleURI + "bad-verification-code"
	}
	return append([]field{{"error", code}, {"error_description", description}, {"error_uri", uri}}, more...)
}

// serveDeviceCode answers POST /login/device/code.
func (g *GitHub) serveDeviceCode(w http.ResponseWriter, r *http.Request) {
	form, ok := g.oauthForm(w, r)
	if !ok {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	app := g.appWith(form.Get("client_id"))
	if app == nil {
		writeOAuth(w, r, http.StatusNotFound, []field{{"error", "Not Found"}})
		return
	}
	if app.DeviceFlowOff {
		writeOAuth(w, r, http.StatusBadRequest, deviceFlowDisabled())
		return
	}
	d, err := g.newDevice(app, form.Get("scope"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeOAuth(w, r, http.StatusOK, []field{
		{"device_code", d.code},
		{"user_code", d.userCode},
		{"verification_uri", g.webURL(r) + "/login/device"},
		{"expires_in", int(d.life / time.Second)},
		{"interval", int(d.interval / time.Second)},
	})
}

func (g *GitHub) newDevice(app *App, scope string) (*device, error) {
	code, err := randomText(g.rand, hexDigits, 40)
	if err != nil {
		return nil, fmt.Errorf("fake: make a device code: %w", err)
	}
	user, err := randomText(g.rand, consonants, 8)
	if err != nil {
		return nil, fmt.Errorf("fake: make a user code: %w", err)
	}
	d := &device{
		code: code, userCode: user[:4] + "-" + user[4:], app: app,
		interval: time.Duration(orElse(g.sw.Interval, 5)) * time.Second,
		life:     orElse(g.sw.CodeLife, 900*time.Second),
	}
	d.ends = g.now().Add(d.life)
	if app.Kind == OAuthApp { // a GitHub App's requests have no scopes
		d.scopes = fieldsOf(scope)
	}
	g.devices[code] = d
	return d, nil
}

func deviceFlowDisabled() []field {
	return oauthError("device_flow_disabled", "Device Flow must be explicitly enabled for this App")
}

// serveAccessToken answers POST /login/oauth/access_token.
func (g *GitHub) serveAccessToken(w http.ResponseWriter, r *http.Request) {
	form, ok := g.oauthForm(w, r)
	if !ok {
		return
	}
	g.mu.Lock()
	fields, err := g.grant(form)
	late := g.sw.RefreshLatency
	g.mu.Unlock()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if form.Get("grant_type") == "refresh_token" && late > 0 {
		sleep(r.Context(), late)
	}
	writeOAuth(w, r, http.StatusOK, fields)
}

func (g *GitHub) grant(form url.Values) ([]field, error) {
	app := g.appWith(form.Get("client_id"))
	if app == nil {
		return badClient(), nil
	}
	switch form.Get("grant_type") {
	case deviceGrant:
		return g.poll(app, form)
	case "refresh_token":
		return g.renew(app, form)
	case "", "authorization_code":
		if form.Get("device_code") == "" {
			return g.exchange(app, form)
		}
	}
	return oauthError("unsupported_grant_type", "The grant type must be "+deviceGrant+
		" and included as an input parameter when you poll the OAuth token request POST /login/oauth/access_token."), nil
}

func badClient() []field {
	return oauthError("incorrect_client_credentials", "The client_id and/or client_secret passed are incorrect.")
}

// renew answers a refresh. The client secret is "required unless the token was
// generated using the device flow": docs.github.com, "Refreshing user access
// tokens". A wrong one is refused either way, and uses nothing up.
func (g *GitHub) renew(app *App, form url.Values) ([]field, error) {
	t := g.refreshable(app, form.Get("refresh_token"))
	secret := form.Get("client_secret")
	if t != nil && t.web && secret == "" || secret != "" && !app.knows(secret) {
		return badClient(), nil
	}
	if t == nil {
		g.reused(form.Get("refresh_token"))
		return oauthError("bad_refresh_token", "The refresh token passed is incorrect or expired."), nil
	}
	n, err := g.refreshed(t)
	if err != nil {
		return nil, err
	}
	return g.tokenFields(n), nil
}

// poll is one request for the token of a device flow.
func (g *GitHub) poll(app *App, form url.Values) ([]field, error) {
	if app.DeviceFlowOff {
		return deviceFlowDisabled(), nil
	}
	d := g.devices[form.Get("device_code")]
	if d == nil || d.app.ClientID != app.ClientID {
		return oauthError("incorrect_device_code", "The device_code provided is not valid."), nil
	}
	now := g.now()
	if !now.Before(d.ends) {
		code := "expired_token"
		if g.sw.SayTokenExpired {
			code = "token_expired"
		}
		return oauthError(code, "The device_code has expired. Request a new one with POST /login/device/code."), nil
	}
	last := d.polled
	d.polled = now
	d.polls++
	if !last.IsZero() && now.Sub(last) < d.interval {
		d.interval += 5 * time.Second
		return oauthError("slow_down", "Too many requests have been made in the same timeframe.",
			field{"interval", int(d.interval / time.Second)}), nil
	}
	if u := g.userNamed(g.sw.AutoApprove); u != nil && d.state == devicePending && d.polls >= g.sw.AutoApproveAfter {
		d.state, d.user = deviceApproved, u.Login
	}
	switch d.state {
	case devicePending:
		return oauthError("authorization_pending", "The authorization request is still pending."), nil
	case deviceDenied:
		return oauthError("access_denied", "The authorization request was denied."), nil
	}
	if u := g.userNamed(d.user); u == nil || u.Unverified {
		return oauthError("unverified_user_email", "The user must have a verified primary email."), nil
	}
	delete(g.devices, d.code)
	t, err := g.issue(app, d.user, g.limitFor(app, d.user, form.Get("repository_id")), d.scopes)
	if err != nil {
		return nil, err
	}
	return g.tokenFields(t), nil
}

// tokenFields is the answer that carries a token. Without expiry its three
// fields are absent.
func (g *GitHub) tokenFields(t *token) []field {
	out := []field{{"access_token", t.access}}
	if t.refresh != "" {
		out = append(out,
			field{"expires_in", int(t.accessEnds.Sub(t.made) / time.Second)},
			field{"refresh_token", t.refresh},
			field{"refresh_token_expires_in", int(t.refreshEnds.Sub(t.made) / time.Second)})
	}
	return append(out, field{"scope", strings.Join(t.scopes, ",")}, field{"token_type", "bearer"})
}

// oauthForm reads the parameters of a POST, from the query, a form or JSON,
// all of which GitHub takes. A false result means that it has answered.
func (g *GitHub) oauthForm(w http.ResponseWriter, r *http.Request) (url.Values, bool) {
	if r.Method != http.MethodPost {
		http.NotFound(w, r)
		return nil, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	if err != nil {
		http.Error(w, "request too large", http.StatusRequestEntityTooLarge)
		return nil, false
	}
	form := r.URL.Query()
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == "application/json" {
		var fields map[string]any
		dec := json.NewDecoder(bytes.NewReader(body))
		dec.UseNumber() // a repository_id must not become 1e+06
		if dec.Decode(&fields) == nil {
			for k, v := range fields {
				form.Set(k, fmt.Sprint(v))
			}
		}
		return form, true
	}
	if posted, err := url.ParseQuery(string(body)); err == nil {
		for k, v := range posted {
			form[k] = v
		}
	}
	return form, true
}

// writeOAuth answers in the encoding that the request accepts: JSON, XML, or
// form encoding where it asks for neither.
func writeOAuth(w http.ResponseWriter, r *http.Request, status int, fields []field) {
	w.Header().Set("Cache-Control", "no-store")
	accept := r.Header.Get("Accept")
	if strings.Contains(accept, "application/xml") {
		w.Header().Set("Content-Type", "application/xml; charset=utf-8")
		w.WriteHeader(status)
		io.WriteString(w, "<OAuth>")
		for _, f := range fields {
			fmt.Fprintf(w, "<%s>%s</%s>", f.name, template.HTMLEscapeString(fmt.Sprint(f.value)), f.name)
		}
		io.WriteString(w, "</OAuth>")
		return
	}
	if !strings.Contains(accept, "json") {
		parts := make([]string, len(fields))
		for i, f := range fields {
			parts[i] = url.QueryEscape(f.name) + "=" + url.QueryEscape(fmt.Sprint(f.value))
		}
		w.Header().Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		w.WriteHeader(status)
		io.WriteString(w, strings.Join(parts, "&"))
		return
	}
	values := make(map[string]any, len(fields))
	for _, f := range fields {
		values[f.name] = f.value
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	writeJSON(w, status, values)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body)
}

// deviceWith finds a flow under way by the code that its user types. Case and
// the hyphen do not matter.
func (g *GitHub) deviceWith(userCode string) *device {
	want := plainCode(userCode)
	for _, d := range g.devices {
		if plainCode(d.userCode) == want && d.state == devicePending && g.now().Before(d.ends) {
			return d
		}
	}
	return nil
}

func plainCode(s string) string {
	return strings.ToUpper(strings.Map(func(c rune) rune {
		if c == '-' || c == ' ' {
			return -1
		}
		return c
	}, s))
}

// Approve authorises the code as the user would on the page.
func (g *GitHub) Approve(userCode, login string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	d, u := g.deviceWith(userCode), g.userNamed(login)
	if d == nil || u == nil {
		return fmt.Errorf("fake: approve %s as %s: no such code waits, or no such user", userCode, login)
	}
	d.state, d.user = deviceApproved, u.Login
	return nil
}

// Deny cancels the code as the user would on the page.
func (g *GitHub) Deny(userCode string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	d := g.deviceWith(userCode)
	if d == nil {
		return fmt.Errorf("fake: deny %s: no such code waits", userCode)
	}
	d.state = deviceDenied
	return nil
}

// PendingCodes returns the user codes that wait for somebody, in alphabetical
// order.
func (g *GitHub) PendingCodes() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []string
	for _, d := range g.devices {
		if d.state == devicePending && g.now().Before(d.ends) {
			out = append(out, d.userCode)
		}
	}
	slices.Sort(out)
	return out
}

// ExpireCodes ends every device code, as time would.
func (g *GitHub) ExpireCodes() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, d := range g.devices {
		d.ends = g.now()
	}
}
