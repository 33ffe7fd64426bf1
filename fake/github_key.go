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
	"strconv"
	"strings"
	"time"
)

// How an App proves that it is itself: docs.github.com, "Generating a JSON Web
// Token (JWT) for a GitHub App". The check is written here against that page,
// with no library that a client might use too.

// maxJWTLife is how far ahead a JWT may expire.
const maxJWTLife = 10 * time.Minute

// NewAppKey makes a key as GitHub does for an App: 2,048 bits of RSA. The
// private half is what GitHub offers for download, PKCS #1 in PEM; the public
// half is for [App.Keys].
func NewAppKey(r io.Reader) (private, public string, err error) {
	key, err := rsa.GenerateKey(r, 2048)
	if err != nil {
		return "", "", fmt.Errorf("fake: make an App's key: %w", err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return "", "", fmt.Errorf("fake: make an App's key: %w", err)
	}
	private = string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	return private, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), nil
}

// GenerateKey gives an App one more key, as the button in its settings does,
// and returns the private half in PEM. Earlier keys go on.
func (g *GitHub) GenerateKey(clientID string) (private string, err error) {
	private, public, err := NewAppKey(g.rand)
	if err != nil {
		return "", err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.appWith(clientID)
	if a == nil {
		return "", fmt.Errorf("fake: no App %q", clientID)
	}
	a.Keys = append(a.Keys, public)
	g.indexApp(a)
	return private, nil
}

// publicKey reads a key in PEM; nil is no RSA key.
func publicKey(text string) *rsa.PublicKey {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil
	}
	if key, err := x509.ParsePKCS1PublicKey(block.Bytes); err == nil {
		return key
	}
	any, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil
	}
	key, _ := any.(*rsa.PublicKey)
	return key
}

// looksLikeJWT tells an App's JWT from the tokens that GitHub makes, some of
// which have a JWT inside.
func looksLikeJWT(secret string) bool {
	return strings.Count(secret, ".") == 2 && !strings.HasPrefix(secret, "gh")
}

// What GitHub says to a JWT that is no good, collected from reports by many
// users: no page lists it.
const (
	jwtDecode = "A JSON web token could not be decoded"
	jwtNoKey  = "Integration must generate a public key"
	jwtNoApp  = "Integration not found"
	jwtIssued = "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"
	jwtExpiry = "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires"
	jwtTooFar = "'Expiration time' claim ('exp') is too far in the future"
)

// appOfJWT returns the App that signed a JWT, or what is wrong with it.
func (g *GitHub) appOfJWT(text string) (app *App, wrong string) {
	parts := strings.Split(text, ".")
	var head struct {
		Alg string `json:"alg"`
	}
	var claims struct {
		Iss json.RawMessage `json:"iss"`
		Iat json.RawMessage `json:"iat"`
		Exp json.RawMessage `json:"exp"`
	}
	if len(parts) != 3 || !decodePart(parts[0], &head) || !decodePart(parts[1], &claims) || head.Alg != "RS256" {
		return nil, jwtDecode
	}
	app = g.issuer(claims.Iss)
	if app == nil {
		return nil, jwtNoApp
	}
	keys := g.index.keys[app.ClientID]
	if len(keys) == 0 {
		return nil, jwtNoKey
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	signed := false
	for _, k := range keys {
		signed = signed || err == nil && rsa.VerifyPKCS1v15(k, crypto.SHA256, sum[:], signature) == nil
	}
	if !signed {
		return nil, jwtDecode
	}
	now := g.now()
	issued, err := strconv.ParseInt(string(claims.Iat), 10, 64)
	if err != nil || issued > now.Unix() {
		return nil, jwtIssued
	}
	ends, err := strconv.ParseFloat(string(claims.Exp), 64)
	switch {
	case err != nil || int64(ends) <= now.Unix():
		return nil, jwtExpiry
	case int64(ends) > now.Add(maxJWTLife).Unix():
		return nil, jwtTooFar
	}
	return app, ""
}

func decodePart(part string, v any) bool {
	raw, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && json.Unmarshal(raw, v) == nil
}

// issuer finds a GitHub App by its client id, or its number as a number or as
// text.
func (g *GitHub) issuer(raw json.RawMessage) *App {
	text := string(raw)
	json.Unmarshal(raw, &text) // a number stays what it was
	app := g.appWith(text)
	if n, err := strconv.ParseInt(text, 10, 64); app == nil && err == nil {
		app = g.index.appIDs[n]
	}
	if app == nil || app.Kind != GitHubApp {
		return nil
	}
	return app
}

// failJWT answers a JWT that is no good. The Date that every answer carries
// tells the client how far its clock is off.
func (c *call) failJWT(wrong string) {
	status := http.StatusUnauthorized
	if wrong == jwtNoApp {
		status = http.StatusNotFound
	}
	c.fail(status, wrong, docsURL)
}
