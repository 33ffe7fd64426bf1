package fake

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// IssuerConfig is what [NewIssuer] needs.
type IssuerConfig struct {
	URL    string // where it is, without a slash at its end
	GitLab bool   // GitLab's tokens; otherwise those of GitHub Actions
	Now    func() time.Time
	Rand   io.Reader // nil means crypto/rand; of keys and ids
}

// An Issuer gives CI jobs OpenID tokens, and publishes the keys that they are
// signed with, as GitHub Actions and GitLab do.
type Issuer struct {
	faults
	url    string
	gitlab bool
	clock  func() time.Time
	rand   io.Reader

	mu    sync.Mutex
	skew  time.Duration
	keys  []issuerKey // published; the last one signs
	wrong *rsa.PrivateKey
	jobs  map[string]Job // by the token with which a job asks for its own
}

type issuerKey struct {
	id  string
	key *rsa.PrivateKey
}

// A Job is what an issuer says of one. The zero value of a field is something
// usual, or nothing where that is usual.
type Job struct {
	Repo            string // "" means octo-org/octo-repo
	RepoID, OwnerID int64  // 0 means 74 and 65, as in GitHub's own example
	Ref             string // "" means refs/heads/main
	Protected       bool   // the branch or tag is
	Environment     string
	Workflow        string // the file; "" means .github/workflows/release.yml, or .gitlab-ci.yml
	Reusable        string // job_workflow_ref, where another repository's workflow runs
	Event           string // "" means push
	Audience        string
	Claims          map[string]any // beside these, or in their place; nil takes one away
}

// A TokenFault is what is wrong with a token.
type TokenFault int

const (
	TokenRight      TokenFault = iota
	TokenWrongKey              // signed with a key that nobody published, under the id of one that is
	TokenUnsigned              // alg none
	TokenHS256                 // the published key taken for a shared secret
	TokenExpired               // an hour ago
	TokenEarly                 // counts from an hour on
	TokenNoKey                 // no kid
	TokenUnknownKey            // a kid that is not published
	TokenElsewhere             // another issuer's address
)

// NewIssuer returns one with one key.
func NewIssuer(c IssuerConfig) (*Issuer, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	i := &Issuer{url: c.URL, gitlab: c.GitLab, clock: c.Now, rand: c.Rand, jobs: map[string]Job{}}
	wrong, err := rsa.GenerateKey(c.Rand, 2048)
	if err != nil {
		return nil, fmt.Errorf("fake: make a key: %w", err)
	}
	i.wrong = wrong
	return i, i.Rotate(false)
}

// Rotate signs with a new key from now on. The earlier ones stay published where
// keep is true.
func (i *Issuer) Rotate(keep bool) error {
	key, err := rsa.GenerateKey(i.rand, 2048)
	if err != nil {
		return fmt.Errorf("fake: make a key: %w", err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if !keep {
		i.keys = nil
	}
	i.keys = append(i.keys, issuerKey{id: i.random(), key: key})
	return nil
}

func (i *Issuer) random() string {
	text, err := randomText(i.rand, hexDigits, 32)
	if err != nil {
		panic(fmt.Sprintf("fake: no randomness: %v", err))
	}
	return text
}

// Advance moves the issuer's clock forward.
func (i *Issuer) Advance(d time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.skew += d
}

// Token makes a token of a job.
func (i *Issuer) Token(j Job) string { return i.Faulty(j, TokenRight) }

// Faulty makes one with which something is wrong.
func (i *Issuer) Faulty(j Job, f TokenFault) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := i.clock().Add(i.skew)
	switch f {
	case TokenExpired:
		now = now.Add(-2 * time.Hour)
	case TokenEarly:
		now = now.Add(2 * time.Hour)
	}
	claims := i.claims(j, now)
	if f == TokenElsewhere {
		claims["iss"] = "https://issuer.invalid"
	}
	for name, value := range j.Claims {
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
	}
	signer := i.keys[len(i.keys)-1]
	head := map[string]string{"typ": "JWT", "alg": "RS256", "kid": signer.id}
	switch f {
	case TokenUnsigned:
		head["alg"] = "none"
	case TokenHS256:
		head["alg"] = "HS256"
	case TokenNoKey:
		delete(head, "kid")
	case TokenUnknownKey:
		head["kid"] = i.random()
	}
	text := segment(head) + "." + segment(claims)
	return text + "." + base64.RawURLEncoding.EncodeToString(i.signature(f, signer.key, text))
}

func segment(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("fake: a claim that is no JSON: %v", err))
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// signature is RS256 (RFC 7518, 3.3), but for the faults.
func (i *Issuer) signature(f TokenFault, key *rsa.PrivateKey, text string) []byte {
	switch f {
	case TokenUnsigned:
		return nil
	case TokenHS256:
		der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
		if err != nil {
			panic(fmt.Sprintf("fake: a key of our own cannot be written: %v", err))
		}
		mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
		mac.Write([]byte(text))
		return mac.Sum(nil)
	case TokenWrongKey:
		key = i.wrong
	}
	sum := sha256.Sum256([]byte(text))
	out, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	if err != nil {
		panic(fmt.Sprintf("fake: a key of our own does not sign: %v", err))
	}
	return out
}

func (i *Issuer) claims(j Job, now time.Time) map[string]any {
	j.Repo, j.RepoID, j.OwnerID = orElse(j.Repo, "octo-org/octo-repo"), orElse(j.RepoID, 74), orElse(j.OwnerID, 65)
	j.Ref, j.Event = orElse(j.Ref, "refs/heads/main"), orElse(j.Event, "push")
	claims := map[string]any{"iss": i.url, "aud": j.Audience, "jti": i.jti(), "iat": now.Unix(), "sha": strings.Repeat("0fd5", 10), "runner_environment": "self-hosted"}
	if i.gitlab {
		j.Workflow = orElse(j.Workflow, ".gitlab-ci.yml")
		gitlabClaims(claims, j, strings.TrimPrefix(strings.TrimPrefix(i.url, "https://"), "http://"), now)
	} else {
		j.Workflow = orElse(j.Workflow, ".github/workflows/release.yml")
		githubClaims(claims, j, now)
	}
	return claims
}

// jti is in the form of a UUID.
func (i *Issuer) jti() string {
	r := i.random()
	return r[:8] + "-" + r[8:12] + "-4" + r[13:16] + "-a" + r[17:20] + "-" + r[20:]
}

// githubClaims are those of docs.github.com, "OpenID Connect reference". Numbers
// are text there, and so is what is true.
func githubClaims(c map[string]any, j Job, now time.Time) {
	owner, _, _ := strings.Cut(j.Repo, "/")
	set := j.Repo + "/" + j.Workflow + "@" + j.Ref
	c["nbf"], c["exp"] = now.Add(-10*time.Minute).Unix(), now.Add(5*time.Minute).Unix()
	c["repository"], c["repository_id"] = j.Repo, strconv.FormatInt(j.RepoID, 10)
	c["repository_owner"], c["repository_owner_id"], c["repository_visibility"] = owner, strconv.FormatInt(j.OwnerID, 10), "private"
	c["actor"], c["actor_id"], c["workflow"] = "octocat", "12", "release"
	c["run_id"], c["run_number"], c["run_attempt"] = "1001", "10", "1"
	c["event_name"], c["ref"], c["ref_protected"] = j.Event, j.Ref, strconv.FormatBool(j.Protected)
	c["ref_type"], c["head_ref"], c["base_ref"] = refType(j.Ref), "", ""
	if j.Event == "pull_request" {
		c["head_ref"], c["base_ref"] = "topic", "main"
	}
	c["workflow_ref"], c["job_workflow_ref"] = set, orElse(j.Reusable, set)
	c["workflow_sha"], c["job_workflow_sha"] = c["sha"], c["sha"]
	c["sub"] = "repo:" + j.Repo + ":ref:" + j.Ref
	if j.Event == "pull_request" {
		c["sub"] = "repo:" + j.Repo + ":pull_request"
	}
	if j.Environment != "" {
		c["environment"], c["sub"] = j.Environment, "repo:"+j.Repo+":environment:"+j.Environment
	}
}

// gitlabClaims are those of docs.gitlab.com, "OpenID Connect (OIDC) Authentication
// Using ID Tokens", token payload. ref has no refs/ before it there, and what is
// said of the file is an address.
func gitlabClaims(c map[string]any, j Job, host string, now time.Time) {
	group := j.Repo[:strings.LastIndex(j.Repo, "/")]
	ref := strings.TrimPrefix(strings.TrimPrefix(j.Ref, "refs/heads/"), "refs/tags/")
	if n, ok := strings.CutPrefix(j.Ref, "refs/merge-requests/"); ok {
		ref = "topic-" + strings.TrimSuffix(n, "/head")
	}
	c["nbf"], c["exp"] = now.Add(-5*time.Second).Unix(), now.Add(time.Hour).Unix()
	c["project_path"], c["project_id"] = j.Repo, strconv.FormatInt(j.RepoID, 10)
	c["namespace_path"], c["namespace_id"] = group, strconv.FormatInt(j.OwnerID, 10)
	c["job_project_path"], c["job_project_id"], c["job_namespace_path"], c["job_namespace_id"] = c["project_path"], c["project_id"], c["namespace_path"], c["namespace_id"]
	c["project_visibility"], c["groups_direct"], c["user_access_level"] = "private", []string{group}, "owner"
	c["user_id"], c["user_login"], c["user_email"] = "12", "octocat", "octocat@example.org"
	c["pipeline_id"], c["pipeline_source"], c["job_id"], c["runner_id"] = "1001", j.Event, "10", 1
	c["ref"], c["ref_type"], c["ref_path"], c["ref_protected"] = ref, refType(j.Ref), j.Ref, strconv.FormatBool(j.Protected)
	c["ci_config_ref_uri"], c["ci_config_sha"] = orElse(j.Reusable, host+"/"+j.Repo+"//"+j.Workflow+"@"+j.Ref), c["sha"]
	c["sub"] = "project_path:" + j.Repo + ":ref_type:" + refType(j.Ref) + ":ref:" + ref
	if j.Environment != "" {
		c["environment"], c["environment_protected"], c["deployment_tier"], c["environment_action"] = j.Environment, strconv.FormatBool(j.Protected), "production", "start"
	}
}

func refType(ref string) string {
	if strings.HasPrefix(ref, "refs/tags/") {
		return "tag"
	}
	return "branch"
}

// Start begins a job of GitHub Actions that may ask for tokens by itself: the
// address and the token are what its runner puts into
// ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN. The job's
// audience is what it asks for.
func (i *Issuer) Start(j Job) (address, token string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	token = i.random()
	i.jobs[token] = j
	return i.url + "/_services/job?api-version=2.0", token
}

// ServeHTTP answers as an issuer does.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault := i.take(r)
	if fault != nil {
		fault.serve(w, r, http.HandlerFunc(i.route))
		return
	}
	i.route(w, r)
}

func (i *Issuer) keysPath() string {
	if i.gitlab {
		return "/oauth/discovery/keys"
	}
	return "/.well-known/jwks"
}

func (i *Issuer) route(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.Method != http.MethodGet:
		writeJSON(w, http.StatusNotFound, map[string]string{"error": "nothing here"})
	case r.URL.Path == "/.well-known/openid-configuration":
		writeJSON(w, http.StatusOK, map[string]any{
			"issuer": i.url, "jwks_uri": i.url + i.keysPath(), "id_token_signing_alg_values_supported": []string{"RS256"},
			"response_types_supported": []string{"id_token"}, "subject_types_supported": []string{"public"}, "scopes_supported": []string{"openid"},
		})
	case r.URL.Path == i.keysPath():
		writeJSON(w, http.StatusOK, map[string]any{"keys": i.published()})
	case r.URL.Path == "/_services/job" && !i.gitlab:
		i.serveJob(w, r)
	default:
		writeJSON(w, http.StatusNotFound, map[string]string{"error": "nothing here"})
	}
}

// published are the keys by RFC 7517.
func (i *Issuer) published() []any {
	i.mu.Lock()
	defer i.mu.Unlock()
	var out []any
	for _, k := range i.keys {
		out = append(out, map[string]string{
			"kty": "RSA", "use": "sig", "alg": "RS256", "kid": k.id,
			"n": base64.RawURLEncoding.EncodeToString(k.key.N.Bytes()),
			"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(k.key.E)).Bytes()),
		})
	}
	return out
}

func (i *Issuer) serveJob(w http.ResponseWriter, r *http.Request) {
	_, _, secret := authorization(r)
	i.mu.Lock()
	j, ok := i.jobs[secret]
	i.mu.Unlock()
	if !ok {
		writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "no such job"})
		return
	}
	j.Audience = r.URL.Query().Get("audience")
	token := i.Token(j)
	writeJSON(w, http.StatusOK, map[string]any{"value": token, "count": len(token)})
}
