package fake

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const scopePrefix = "https://www.googleapis.com/auth/"

// may reports whether a token has a scope, or all of Drive.
func (t driveToken) may(scope string) bool {
	return slices.Contains(t.scopes, scopePrefix+scope) || slices.Contains(t.scopes, scopePrefix+"drive")
}

// bearer finds who asks.
func (d *Drive) bearer(w http.ResponseWriter, r *http.Request) (driveToken, bool) {
	scheme, _, secret := authorization(r)
	if secret == "" {
		driveError(w, http.StatusForbidden, "forbidden", "Method doesn't allow unregistered callers (callers without established identity).")
		return driveToken{}, false
	}
	t, ok := d.tokens[secret]
	if scheme != "bearer" || !ok || !d.now().Before(t.until) || d.account(t.email) == nil {
		w.Header().Set("WWW-Authenticate", `Bearer realm="https://accounts.google.com/", error="invalid_token"`)
		driveError(w, http.StatusUnauthorized, "authError", "Invalid Credentials")
		return driveToken{}, false
	}
	if !t.may("drive.readonly") && !t.may("drive.metadata.readonly") {
		driveError(w, http.StatusForbidden, "insufficientPermissions", "Request had insufficient authentication scopes.")
		return driveToken{}, false
	}
	return t, true
}

// account is one that is not disabled.
func (d *Drive) account(email string) *ServiceAccount {
	for n, a := range d.accounts {
		if a.Email == email && !a.Disabled {
			return &d.accounts[n]
		}
	}
	return nil
}

// issue makes a token. mu is held.
func (d *Drive) issue(email string, scopes []string) (string, time.Duration) {
	text, err := randomText(d.rand, alphanumeric, 40)
	if err != nil {
		panic(err)
	}
	token, life := "ya29.c."+text, orElse(d.sw.TokenLife, time.Hour)
	d.tokens[token] = driveToken{email: email, scopes: scopes, until: d.now().Add(life)}
	return token, life
}

func grantError(w http.ResponseWriter, status int, code, words string) {
	writeJSON(w, status, map[string]any{"error": code, "error_description": words})
}

// readForm reads a small body.
func readForm(r *http.Request) url.Values {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	if err != nil {
		return nil
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil
	}
	return form
}

// keyToken gives a token for an assertion that a key signed: RFC 7523 and Google's
// "Using OAuth 2.0 for Server to Server Applications".
func (d *Drive) keyToken(w http.ResponseWriter, r *http.Request) {
	form := readForm(r)
	d.mu.Lock()
	defer d.mu.Unlock()
	if form.Get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
		grantError(w, http.StatusBadRequest, "unsupported_grant_type", "Invalid grant_type: "+form.Get("grant_type"))
		return
	}
	claims, wrong := d.assertion(form.Get("assertion"))
	if wrong != "" {
		grantError(w, http.StatusBadRequest, "invalid_grant", wrong)
		return
	}
	token, life := d.issue(claims.Issuer, strings.Fields(claims.Scope))
	writeJSON(w, http.StatusOK, map[string]any{"access_token": token, "expires_in": int(life/time.Second) - 1, "token_type": "Bearer"})
}

type driveClaims struct {
	Issuer   string `json:"iss"`
	Scope    string `json:"scope"`
	Audience string `json:"aud"`
	Issued   int64  `json:"iat"`
	Expires  int64  `json:"exp"`
	Subject  string `json:"sub"`
}

// assertion reads one, or says in Google's words what is wrong with it.
func (d *Drive) assertion(text string) (c driveClaims, wrong string) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return c, "Invalid JWT: must have three parts."
	}
	var head struct{ Alg, Kid string }
	if driveClaim(parts[0], &head) != nil || driveClaim(parts[1], &c) != nil || head.Alg != "RS256" {
		return c, "Invalid JWT."
	}
	a := d.account(c.Issuer)
	if a == nil {
		return c, "Invalid grant: account not found"
	}
	block, _ := pem.Decode([]byte(a.Keys[head.Kid]))
	if block == nil {
		return c, "Invalid JWT Signature."
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return c, "Invalid JWT Signature."
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if key, ok := public.(*rsa.PublicKey); err != nil || !ok || rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) != nil {
		return c, "Invalid JWT Signature."
	}
	now := d.now().Unix()
	switch {
	case c.Audience != "https://"+TokenHost+"/token" && !strings.HasPrefix(c.Audience, "http://127.0.0.1:"):
		return c, "Invalid JWT: Failed audience check."
	case c.Issued > now+300 || c.Expires < now-300 || c.Expires > c.Issued+3600:
		return c, "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim."
	case c.Scope == "":
		return c, "Invalid JWT: no scope."
	case c.Subject != "" && c.Subject != c.Issuer:
		return c, "Client is unauthorized to retrieve access tokens using this method."
	}
	return c, ""
}

func driveClaim(part string, v any) error {
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}

// metadata answers as the metadata server of a machine does: cloud.google.com, "About
// VM metadata".
func (d *Drive) metadata(w http.ResponseWriter, r *http.Request, at string) {
	w.Header().Set("Metadata-Flavor", "Google")
	w.Header().Set("Server", "Metadata Server for VM")
	if r.Header.Get("Metadata-Flavor") != "Google" || r.Header.Get("X-Forwarded-For") != "" {
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, "Missing Metadata-Flavor:Google header.")
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.account(d.machine)
	switch {
	case a == nil:
		http.NotFound(w, r)
	case at == "instance/service-accounts/default/email":
		w.Header().Set("Content-Type", "application/text")
		io.WriteString(w, a.Email)
	case at == "instance/service-accounts/default/token":
		scopes := strings.FieldsFunc(r.URL.Query().Get("scopes"), func(c rune) bool { return c == ',' })
		if len(scopes) == 0 {
			scopes = []string{scopePrefix + "cloud-platform"}
		}
		token, life := d.issue(a.Email, scopes)
		writeJSON(w, http.StatusOK, map[string]any{"access_token": token, "expires_in": int(life/time.Second) - 1, "token_type": "Bearer"})
	default:
		http.NotFound(w, r)
	}
}

// exchangeToken is the Security Token Service: RFC 8693, and cloud.google.com,
// "Method: token".
func (d *Drive) exchangeToken(w http.ResponseWriter, r *http.Request) {
	form := readForm(r)
	d.mu.Lock()
	defer d.mu.Unlock()
	known := func(a ServiceAccount) bool { return slices.Contains(a.Subjects, form.Get("subject_token")) }
	n := slices.IndexFunc(d.accounts, known)
	switch {
	case form.Get("grant_type") != "urn:ietf:params:oauth:grant-type:token-exchange" || form.Get("requested_token_type") != "urn:ietf:params:oauth:token-type:access_token":
		grantError(w, http.StatusBadRequest, "invalid_request", "The request is missing a parameter, or has one that is not right.")
	case form.Get("audience") != d.pool || d.pool == "":
		grantError(w, http.StatusBadRequest, "invalid_target", "The target service indicated by the \"audience\" parameters is invalid.")
	case n < 0 || form.Get("subject_token_type") != "urn:ietf:params:oauth:token-type:jwt":
		grantError(w, http.StatusBadRequest, "invalid_grant", "The subject token is not one that the pool's provider trusts.")
	default:
		token, life := d.issue("federated:"+d.accounts[n].Email, strings.Fields(form.Get("scope")))
		writeJSON(w, http.StatusOK, map[string]any{
			"access_token": token, "issued_token_type": "urn:ietf:params:oauth:token-type:access_token", "token_type": "Bearer", "expires_in": int(life / time.Second),
		})
	}
}

// impersonate is generateAccessToken of the IAM Service Account Credentials API.
func (d *Drive) impersonate(w http.ResponseWriter, r *http.Request) {
	email, method, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1/projects/-/serviceAccounts/"), ":")
	var ask struct {
		Scope    []string
		Lifetime string
	}
	err := json.NewDecoder(io.LimitReader(r.Body, 1<<16)).Decode(&ask)
	_, _, secret := authorization(r)
	d.mu.Lock()
	defer d.mu.Unlock()
	t, ok := d.tokens[secret]
	switch {
	case method != "generateAccessToken" || err != nil || len(ask.Scope) == 0:
		driveError(w, http.StatusBadRequest, "badRequest", "Request contains an invalid argument.")
	case !ok || !d.now().Before(t.until):
		driveError(w, http.StatusUnauthorized, "authError", "Invalid Credentials")
	case t.email != "federated:"+email || d.account(email) == nil || !slices.Contains(t.scopes, scopePrefix+"cloud-platform"):
		driveError(w, http.StatusForbidden, "forbidden", "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).")
	default:
		token, life := d.issue(email, ask.Scope)
		writeJSON(w, http.StatusOK, map[string]any{"accessToken": token, "expireTime": d.now().Add(life).UTC().Format(time.RFC3339)})
	}
}

func newServiceKey(r io.Reader) (private, public string, err error) {
	private, public, err = NewAppKey(r)
	if err != nil {
		return "", "", err
	}
	block, _ := pem.Decode([]byte(private))
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		return "", "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), public, err
}

func keyFile(email, keyID, private string) []byte {
	project, _, _ := strings.Cut(strings.TrimPrefix(email[strings.Index(email, "@"):], "@"), ".")
	out, err := json.MarshalIndent(map[string]string{
		"type": "service_account", "project_id": project, "private_key_id": keyID, "private_key": private, "client_email": email, "client_id": "100000000000000000001",
		"auth_uri": "https://accounts.google.com/o/oauth2/auth", "token_uri": "https://" + TokenHost + "/token", "universe_domain": "googleapis.com",
		"client_x509_cert_url": fmt.Sprintf("https://www.googleapis.com/robot/v1/metadata/x509/%s", url.QueryEscape(email)),
	}, "", "  ")
	if err != nil {
		panic(err)
	}
	return out
}
