package google

import (
	"bytes"
	"context"
	"crypto/rsa"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// keyFile is what Google offers for download.
type keyFile struct {
	Type     string `json:"type"`
	Project  string `json:"project_id"`
	KeyID    string `json:"private_key_id"`
	Key      string `json:"private_key"`
	Email    string `json:"client_email"`
	TokenURI string `json:"token_uri"`
	Universe string `json:"universe_domain"`
}

// tokenURIs are Google's own, which key files of all years name. A file that names
// another would have its holder sign for somebody else's host.
var tokenURIs = map[string]bool{
	"": true, "https://oauth2.googleapis.com/token": true, "https://accounts.google.com/o/oauth2/token": true, "https://www.googleapis.com/oauth2/v4/token": true,
}

// Key reads a service account's key file. Its token_uri and universe_domain are never
// followed: a file with others than Google's is refused, but where the configuration
// names the endpoint itself. Errors: DP-414.
func Key(c Config, file []byte) (*Tokens, error) {
	p := newPoster(c, false)
	var f keyFile
	if err := json.Unmarshal(bytes.TrimSpace(file), &f); err != nil {
		return nil, badFile("it is not JSON")
	}
	endpoint := orElse(c.Endpoints.Token, "https://oauth2.googleapis.com/token")
	if err := checkEndpoint(endpoint); err != nil {
		return nil, err
	}
	switch {
	case f.Type != "service_account":
		return nil, badFile("it is not the key of a service account")
	case f.KeyID == "" || !email(f.Email):
		return nil, badFile("it does not say whose key it is")
	case c.Endpoints.Token == "" && (!tokenURIs[f.TokenURI] || f.Universe != "" && f.Universe != "googleapis.com"):
		return nil, badFile("it sends its holder to a host that is not Google's")
	}
	key, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(f.Key))
	if err != nil || key.N.BitLen() < 2048 {
		return nil, badFile("its private key cannot be read")
	}
	return &Tokens{email: f.Email, project: f.Project, now: p.Now, fetch: func(ctx context.Context) (token, error) { return p.byKey(ctx, endpoint, f, key) }}, nil
}

// email takes what can stand in a message and a path.
func email(s string) bool {
	name, domain, ok := strings.Cut(s, "@")
	for _, c := range s {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("@.-_+", c)) {
			return false
		}
	}
	return ok && name != "" && strings.Contains(domain, ".") && len(s) < 255 && !strings.Contains(domain, "@")
}

// ProjectOf is the project that an account's address names; "" where it names none, as
// that of a machine's usual account.
func ProjectOf(email string) string {
	_, domain, _ := strings.Cut(email, "@")
	if project, ok := strings.CutSuffix(domain, ".iam.gserviceaccount.com"); ok {
		return project
	}
	if name, ok := strings.CutSuffix(email, "@appspot.gserviceaccount.com"); ok {
		return name
	}
	return ""
}

// projectID writes an id as addresses have it: "example.org:campus" is "campus.example.org".
func projectID(id string) string {
	if domain, name, ok := strings.Cut(id, ":"); ok {
		return name + "." + domain
	}
	return id
}

// byKey signs an assertion (RFC 7523). It is dated back a little for clocks that
// differ.
func (p *poster) byKey(ctx context.Context, endpoint string, f keyFile, key *rsa.PrivateKey) (token, error) {
	issued := p.Now().Add(-10 * time.Second)
	claims := jwt.MapClaims{"iss": f.Email, "scope": p.Scope, "aud": endpoint, "iat": issued.Unix(), "exp": issued.Add(time.Hour).Unix()}
	t := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	t.Header["kid"] = f.KeyID
	assertion, err := t.SignedString(key)
	if err != nil {
		return token{}, badFile("its private key does not sign")
	}
	return p.bearer(ctx, endpoint, url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {assertion}})
}

// bearer asks an OAuth endpoint for a token.
func (p *poster) bearer(ctx context.Context, endpoint string, values url.Values) (token, error) {
	var answer struct {
		Token string `json:"access_token"`
		Type  string `json:"token_type"`
		Life  int64  `json:"expires_in"`
	}
	if err := p.ask(ctx, form(endpoint, values), &answer); err != nil {
		return token{}, err
	}
	return p.made(hostOf(endpoint), answer.Token, answer.Type, time.Duration(min(answer.Life, 1<<20))*time.Second)
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "Google"
	}
	return u.Hostname()
}
