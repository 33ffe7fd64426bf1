package exchange

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// A signer is an issuer with keys of its own, as CI systems are.
type signer struct {
	t    *testing.T
	srv  *httptest.Server
	mu   sync.Mutex
	keys map[string]crypto.Signer // published, by kid
	hits map[string]int
	do   func(w http.ResponseWriter, r *http.Request) bool // true: it answered
}

// rsaKeys are made once: a key takes long to find.
var rsaKeys = sync.OnceValue(func() []*rsa.PrivateKey {
	var out []*rsa.PrivateKey
	for range 2 {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		out = append(out, k)
	}
	return out
})

func newSigner(t *testing.T) *signer {
	t.Helper()
	s := &signer{t: t, keys: map[string]crypto.Signer{"k1": rsaKeys()[0]}, hits: map[string]int{}}
	s.srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.hits[r.URL.Path]++
		if s.do != nil && s.do(w, r) {
			return
		}
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, s.srv.URL, s.srv.URL+"/keys")
		case "/keys":
			w.Write(s.set())
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.srv.Close)
	return s
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (s *signer) set() []byte {
	list := []map[string]string{}
	for kid, k := range s.keys {
		switch pub := k.Public().(type) {
		case *rsa.PublicKey:
			list = append(list, map[string]string{"kty": "RSA", "kid": kid, "use": "sig", "n": b64(pub.N.Bytes()), "e": b64(big.NewInt(int64(pub.E)).Bytes())})
		case *ecdsa.PublicKey:
			raw, err := pub.Bytes()
			if err != nil {
				s.t.Error(err)
			}
			list = append(list, map[string]string{"kty": "EC", "crv": "P-256", "kid": kid, "x": b64(raw[1:33]), "y": b64(raw[33:])})
		}
	}
	text, err := json.Marshal(map[string]any{"keys": list})
	if err != nil {
		s.t.Error(err)
	}
	return text
}

func (s *signer) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *signer) count(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hits[path]
}

// sign makes a token with a key, which need not be published.
func (s *signer) sign(header map[string]any, c map[string]any, key any) string {
	s.t.Helper()
	h, err := json.Marshal(header)
	if err != nil {
		s.t.Fatal(err)
	}
	body, err := json.Marshal(c)
	if err != nil {
		s.t.Fatal(err)
	}
	text := b64(h) + "." + b64(body)
	sum := sha256.Sum256([]byte(text))
	switch k := key.(type) {
	case nil:
		return text + "."
	case []byte:
		m := hmac.New(sha256.New, k)
		m.Write([]byte(text))
		return text + "." + b64(m.Sum(nil))
	case *rsa.PrivateKey:
		sig, err := rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, sum[:])
		if err != nil {
			s.t.Fatal(err)
		}
		return text + "." + b64(sig)
	case *ecdsa.PrivateKey:
		r, v, err := ecdsa.Sign(rand.Reader, k, sum[:])
		if err != nil {
			s.t.Fatal(err)
		}
		return text + "." + b64(append(r.FillBytes(make([]byte, 32)), v.FillBytes(make([]byte, 32))...))
	}
	s.t.Fatalf("no way to sign with %T", key)
	return ""
}

func (s *signer) token(c map[string]any) string {
	return s.sign(map[string]any{"alg": "RS256", "kid": "k1", "typ": "JWT"}, c, rsaKeys()[0])
}

const audience = "https://pypi.example.org/"

var jtis struct {
	sync.Mutex
	n int
}

// claimsOf are base with other claims; a nil takes one away.
func claimsOf(base map[string]any, change map[string]any) map[string]any {
	out := maps.Clone(base)
	jtis.Lock()
	jtis.n++
	out["jti"] = fmt.Sprint("jti-", jtis.n)
	jtis.Unlock()
	for k, v := range change {
		if v == nil {
			delete(out, k)
			continue
		}
		out[k] = v
	}
	return out
}

func (s *signer) github(change map[string]any) map[string]any {
	now := time.Now()
	return claimsOf(map[string]any{
		"iss": s.srv.URL, "aud": audience, "sub": "repo:river-lab/data:environment:release",
		"iat": now.Unix(), "nbf": now.Add(-5 * time.Minute).Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"repository": "river-lab/data", "repository_id": "501", "repository_owner": "river-lab", "repository_owner_id": "77",
		"ref": "refs/tags/v1.2", "ref_type": "tag", "ref_protected": "true", "environment": "Release", "event_name": "push",
		"workflow_ref":     "river-lab/data/.github/workflows/release.yml@refs/tags/v1.2",
		"job_workflow_ref": "river-lab/data/.github/workflows/release.yml@refs/tags/v1.2",
		"head_ref":         "", "base_ref": "",
	}, change)
}

func (s *signer) gitlab(change map[string]any) map[string]any {
	now := time.Now()
	host := s.srv.Listener.Addr().String()
	return claimsOf(map[string]any{
		"iss": s.srv.URL, "aud": audience, "iat": now.Unix(), "nbf": now.Add(-5 * time.Second).Unix(), "exp": now.Add(time.Hour).Unix(),
		"project_path": "river/data", "project_id": "20", "namespace_path": "river", "namespace_id": "72",
		"ref": "main", "ref_type": "branch", "ref_path": "refs/heads/main", "ref_protected": "true", "pipeline_source": "push",
		"ci_config_ref_uri": host + "/river/data//.gitlab-ci.yml@refs/heads/main",
	}, change)
}

func newEC(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}
