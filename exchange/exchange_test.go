package exchange

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
)

// A memory keeps ids as a store does.
type memory struct {
	mu   sync.Mutex
	seen map[string]time.Time
	err  error
}

func (m *memory) once(_ context.Context, kind, id string, until time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return false, m.err
	}
	if m.seen == nil {
		m.seen = map[string]time.Time{}
	}
	if !m.seen[kind+" "+id].IsZero() {
		return false, nil
	}
	m.seen[kind+" "+id] = until
	return true, nil
}

func (s *signer) githubRule() Rule {
	return Rule{
		Name: "release", Issuer: "ci", RepositoryID: 501, RepositoryOwnerID: 77, Ref: "refs/tags/v*", Environment: "release",
		Workflow: ".github/workflows/release.yml", Events: []string{"push"},
		Gives: Gives{Index: &IndexText{User: "alice", Indexes: []string{"alice/prod"}, Projects: []string{"data"}}},
	}
}

func (s *signer) gitlabRule() Rule {
	return Rule{
		Name: "main", Issuer: "ci", ProjectID: 20, NamespaceID: 72, Ref: "refs/heads/main", Workflow: ".gitlab-ci.yml", Events: []string{"push", "web"},
		Gives: Gives{For: 5 * time.Minute, Hub: &HubText{As: "robot", Hosts: []string{"github.com"}, Repos: []string{"river-lab/data"}, Access: "read"}},
	}
}

// world is an exchange with one issuer and the rules given.
func (s *signer) world(kind string, rules ...Rule) (*Exchange, *memory) {
	s.t.Helper()
	m := &memory{}
	e, err := New(Config{
		Issuers: []Issuer{{Name: "ci", Kind: kind, URL: s.srv.URL}}, Rules: rules, Audience: audience, Once: m.once, Transport: http.DefaultTransport,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return e, m
}

func decide(t *testing.T, e *Exchange, token string) (Grant, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return e.Decide(ctx, daypass.NewSecret(token), netip.MustParseAddr("192.0.2.7"))
}

// refusedWith asks for a refusal with a code, and returns its text.
func refusedWith(t *testing.T, e *Exchange, token, code string) string {
	t.Helper()
	g, err := decide(t, e, token)
	var r *Refusal
	if !errors.As(err, &r) {
		t.Fatalf("got %+v, %v; not a refusal", g, err)
	}
	if r.Problem.Code != code {
		t.Errorf("%v, not %s", err, code)
	}
	if token != "" && strings.Contains(err.Error(), token) || len(token) > 60 && strings.Contains(err.Error(), token[len(token)-40:]) {
		t.Errorf("the refusal holds the token: %v", err)
	}
	return err.Error()
}

func TestGrants(t *testing.T) {
	s := newSigner(t)
	e, m := s.world(GitHub, s.githubRule())
	g, err := decide(t, e, s.token(s.github(nil)))
	if err != nil {
		t.Fatal(err)
	}
	if g.Rule != "release" || g.For != MaxLife || g.Hub != nil || g.Index.User != "alice" || !slices.Equal(g.Index.Allowed, []string{"upload"}) ||
		!slices.Equal(g.Index.Indexes, []string{"alice/prod"}) || !slices.Equal(g.Index.Projects, []string{"data"}) {
		t.Errorf("it gives %+v %+v", g, g.Index)
	}
	if !strings.Contains(g.Job, "river-lab/data") || !strings.Contains(g.Job, "501") {
		t.Errorf("the job is %q", g.Job)
	}
	for k, until := range m.seen {
		if !strings.HasPrefix(k, "jti:"+s.srv.URL) || until.Before(time.Now().Add(5*time.Minute)) {
			t.Errorf("it noted %s until %s", k, until)
		}
	}

	e, _ = s.world(GitLab, s.gitlabRule())
	if g, err = decide(t, e, s.token(s.gitlab(nil))); err != nil {
		t.Fatal(err)
	}
	if g.Index != nil || g.For != 5*time.Minute || g.Hub.As != "robot" || g.Hub.Access != daypass.Read || !slices.Equal(g.Hub.Repos, []string{"river-lab/data"}) {
		t.Errorf("it gives %+v %+v", g, g.Hub)
	}
}

// TestForgeries: nothing but a signature by one of the issuer's own keys counts.
func TestForgeries(t *testing.T) {
	s := newSigner(t)
	public, err := x509.MarshalPKIXPublicKey(rsaKeys()[0].Public())
	if err != nil {
		t.Fatal(err)
	}
	good := s.github(nil)
	head := func(alg, kid string) map[string]any { return map[string]any{"alg": alg, "kid": kid} }
	valid := s.token(good)
	dot := strings.LastIndexByte(valid, '.')
	for name, token := range map[string]string{
		"none":                s.sign(head("none", "k1"), good, nil),
		"None":                s.sign(head("None", "k1"), good, nil),
		"HS256 with the key":  s.sign(head("HS256", "k1"), good, public),
		"another's key":       s.sign(head("RS256", "k1"), good, rsaKeys()[1]),
		"an unknown kid":      s.sign(head("RS256", "k9"), good, rsaKeys()[0]),
		"no kid":              s.sign(map[string]any{"alg": "RS256"}, good, rsaKeys()[0]),
		"PS256 said":          s.sign(head("PS256", "k1"), good, rsaKeys()[0]),
		"ES256 said":          s.sign(head("ES256", "k1"), good, newEC(t)),
		"a key in the header": s.sign(map[string]any{"alg": "ES256", "kid": "k1", "jwk": map[string]any{"kty": "EC"}}, good, newEC(t)),
		"crit":                s.sign(map[string]any{"alg": "RS256", "kid": "k1", "crit": []string{"x"}, "x": 1}, good, rsaKeys()[0]),
		"signature cut":       valid[:dot+1],
		"body changed":        valid[:20] + "x" + valid[20:],
		"JSON form":           `{"payload":"` + strings.Split(valid, ".")[1] + `","signatures":[..]}`,
		"four parts":          valid + ".x",
		"padding":             valid + "==",
		"empty":               "",
		"too long":            strings.Repeat("a.", 2) + strings.Repeat("a", maxToken),
		"dots":                "........",
	} {
		t.Run(name, func(t *testing.T) {
			e, m := s.world(GitHub, s.githubRule())
			refusedWith(t, e, token, "DP-185")
			if len(m.seen) != 0 {
				t.Error("it counts as used")
			}
		})
	}
	// And with an elliptic key that is published, it is taken.
	ec := newEC(t)
	s.change(func() { s.keys["e1"] = ec })
	e, _ := s.world(GitHub, s.githubRule())
	if _, err := decide(t, e, s.sign(head("ES256", "e1"), good, ec)); err != nil {
		t.Error(err)
	}
}

func TestClaims(t *testing.T) {
	s := newSigner(t)
	now := time.Now()
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	for name, c := range map[string]struct {
		change map[string]any
		code   string
	}{
		"for PyPI":               {map[string]any{"aud": "pypi"}, "DP-185"},
		"for us and others":      {map[string]any{"aud": []string{audience, "sts.amazonaws.com"}}, "DP-185"},
		"for us twice":           {map[string]any{"aud": []string{audience, audience}}, "DP-185"},
		"without the last slash": {map[string]any{"aud": strings.TrimSuffix(audience, "/")}, "DP-185"},
		"for nobody":             {map[string]any{"aud": nil}, "DP-185"},
		"of another issuer":      {map[string]any{"iss": "https://token.actions.githubusercontent.com"}, "DP-185"},
		"the issuer with slash":  {map[string]any{"iss": s.srv.URL + "/"}, "DP-185"},
		"no issuer":              {map[string]any{"iss": nil}, "DP-185"},
		"expired":                {map[string]any{"iat": at(-20 * time.Minute), "exp": at(-time.Second)}, "DP-185"},
		"no end":                 {map[string]any{"exp": nil}, "DP-185"},
		"an end far off":         {map[string]any{"exp": at(61 * time.Minute)}, "DP-185"},
		"an end for ever":        {map[string]any{"exp": 1e18}, "DP-185"},
		"not made yet":           {map[string]any{"iat": at(3 * time.Minute)}, "DP-185"},
		"not made":               {map[string]any{"iat": nil}, "DP-185"},
		"not yet":                {map[string]any{"nbf": at(3 * time.Minute)}, "DP-185"},
		"nbf a word":             {map[string]any{"nbf": "soon"}, "DP-185"},
		"no jti":                 {map[string]any{"jti": nil}, "DP-185"},
		"empty jti":              {map[string]any{"jti": ""}, "DP-185"},
		"no number":              {map[string]any{"repository_id": nil}, "DP-185"},
		"number with a sign":     {map[string]any{"repository_id": "+501"}, "DP-185"},
		"number with zeros":      {map[string]any{"repository_id": "0501"}, "DP-185"},
	} {
		t.Run(name, func(t *testing.T) {
			e, m := s.world(GitHub, s.githubRule())
			refusedWith(t, e, s.token(s.github(c.change)), c.code)
			if len(m.seen) != 0 {
				t.Error("it counts as used")
			}
		})
	}
	e, _ := s.world(GitHub, s.githubRule())
	for name, change := range map[string]map[string]any{
		"list of one":     {"aud": []string{audience}},
		"number":          {"repository_id": 501},
		"clock a bit off": {"iat": at(30 * time.Second), "nbf": at(30 * time.Second)},
	} {
		if _, err := decide(t, e, s.token(s.github(change))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestGitHubTraps: the rule is about one workflow of one repository by number,
// whatever else its owner, or a stranger, does.
func TestGitHubTraps(t *testing.T) {
	s := newSigner(t)
	const flow = "river-lab/data/.github/workflows/"
	for name, c := range map[string]struct {
		change map[string]any
		says   string
	}{
		"name taken by another":     {map[string]any{"repository_id": "999"}, "no rule"},
		"owner's name taken":        {map[string]any{"repository_owner_id": "9"}, "no rule"},
		"transferred":               {map[string]any{"repository_owner_id": "78", "repository": "other/data"}, "no rule"},
		"pull request":              {map[string]any{"event_name": "pull_request", "ref": "refs/pull/3/merge"}, "pull_requests"},
		"pull request target":       {map[string]any{"event_name": "pull_request_target"}, "pull_requests"},
		"review":                    {map[string]any{"event_name": "pull_request_review_comment"}, "pull_requests"},
		"after a pull request":      {map[string]any{"event_name": "workflow_run"}, "pull_requests"},
		"push with a head":          {map[string]any{"head_ref": "evil"}, "pull_requests"},
		"by hand":                   {map[string]any{"event_name": "workflow_dispatch"}, "events"},
		"event in capitals":         {map[string]any{"event_name": "Push"}, "events"},
		"a branch named so":         {map[string]any{"ref": "refs/heads/v1.2", "workflow_ref": flow + "release.yml@refs/heads/v1.2", "job_workflow_ref": nil}, "ref"},
		"a tag not protected":       {map[string]any{"ref_protected": "false"}, "ref"},
		"protection unsaid":         {map[string]any{"ref_protected": nil}, "ref"},
		"another tag":               {map[string]any{"ref": "refs/tags/x1", "workflow_ref": flow + "release.yml@refs/tags/x1", "job_workflow_ref": nil}, "ref"},
		"another environment":       {map[string]any{"environment": "staging"}, "environment"},
		"no environment":            {map[string]any{"environment": nil}, "environment"},
		"environment by other eyes": {map[string]any{"environment": "ſtaging"}, "environment"},
		"another workflow":          {map[string]any{"workflow_ref": flow + "evil.yml@refs/tags/v1.2", "job_workflow_ref": nil}, "workflow"},
		"another's workflow":        {map[string]any{"job_workflow_ref": "evil/flows/.github/workflows/release.yml@refs/tags/v1.2"}, "job_workflow"},
		"workflow at another ref":   {map[string]any{"workflow_ref": flow + "release.yml@refs/heads/evil", "job_workflow_ref": nil}, "workflow"},
		"fork's workflow":           {map[string]any{"workflow_ref": "evil/data/.github/workflows/release.yml@refs/tags/v1.2", "job_workflow_ref": nil}, "workflow"},
		"no workflow":               {map[string]any{"workflow_ref": nil, "job_workflow_ref": nil}, "workflow"},
	} {
		t.Run(name, func(t *testing.T) {
			e, m := s.world(GitHub, s.githubRule())
			if says := refusedWith(t, e, s.token(s.github(c.change)), "DP-186"); !strings.Contains(says, c.says) {
				t.Errorf("it does not say %q: %s", c.says, says)
			}
			if len(m.seen) != 0 {
				t.Error("it counts as used")
			}
		})
	}
	// What a rename changes, and nothing else: the numbers count.
	e, _ := s.world(GitHub, s.githubRule())
	renamed := map[string]any{"repository": "river-lab/levels", "workflow_ref": "river-lab/levels/.github/workflows/release.yml@refs/tags/v1.2", "job_workflow_ref": nil}
	if _, err := decide(t, e, s.token(s.github(renamed))); err != nil {
		t.Error(err)
	}
	// A stranger is not told what the rule wants.
	if says := refusedWith(t, e, s.token(s.github(map[string]any{"repository_id": "4", "repository": "e/v\x1b[2Jil"})), "DP-186"); strings.Contains(says, "v*") || strings.Contains(says, "\x1b") {
		t.Errorf("it says too much, or prints what it should not: %q", says)
	}
}

// TestReusable: code of another repository gets in by its whole name only.
func TestReusable(t *testing.T) {
	s := newSigner(t)
	r := s.githubRule()
	r.JobWorkflow = "octo/flows/.github/workflows/publish.yml@refs/tags/v3"
	e, _ := s.world(GitHub, r)
	if _, err := decide(t, e, s.token(s.github(map[string]any{"job_workflow_ref": r.JobWorkflow}))); err != nil {
		t.Error(err)
	}
	for _, other := range []any{nil, "octo/flows/.github/workflows/publish.yml@refs/heads/main", "Octo/flows/.github/workflows/publish.yml@refs/tags/v3"} {
		refusedWith(t, e, s.token(s.github(map[string]any{"job_workflow_ref": other})), "DP-186")
	}
}

func TestGitLabTraps(t *testing.T) {
	s := newSigner(t)
	host := s.srv.Listener.Addr().String()
	for name, c := range map[string]struct {
		change map[string]any
		says   string
	}{
		"merge request":        {map[string]any{"pipeline_source": "merge_request_event", "ref_path": "refs/merge-requests/1/head"}, "pull_requests"},
		"its child pipeline":   {map[string]any{"pipeline_source": "push", "ref_path": "refs/merge-requests/1/head"}, "pull_requests"},
		"no ref_path":          {map[string]any{"ref_path": nil}, "pull_requests"},
		"run elsewhere":        {map[string]any{"job_project_id": "21"}, "pull_requests"},
		"fork":                 {map[string]any{"project_id": "21"}, "no rule"},
		"tag named main":       {map[string]any{"ref_type": "tag", "ref_path": "refs/tags/main"}, "ref"},
		"branch refs/heads/x":  {map[string]any{"ref": "refs/heads/main", "ref_path": "refs/heads/refs/heads/main"}, "ref"},
		"schedule":             {map[string]any{"pipeline_source": "schedule"}, "events"},
		"config elsewhere":     {map[string]any{"ci_config_ref_uri": host + "/evil/ci//.gitlab-ci.yml@refs/heads/main"}, "workflow"},
		"config of other host": {map[string]any{"ci_config_ref_uri": "evil.example/river/data//.gitlab-ci.yml@refs/heads/main"}, "workflow"},
		"config by address":    {map[string]any{"ci_config_ref_uri": nil}, "workflow"},
		"config at other ref":  {map[string]any{"ci_config_ref_uri": host + "/river/data//.gitlab-ci.yml@refs/heads/x"}, "workflow"},
	} {
		t.Run(name, func(t *testing.T) {
			e, _ := s.world(GitLab, s.gitlabRule())
			if says := refusedWith(t, e, s.token(s.gitlab(c.change)), "DP-186"); !strings.Contains(says, c.says) {
				t.Errorf("it does not say %q: %s", c.says, says)
			}
		})
	}
	r := s.gitlabRule()
	r.Environment = "production"
	e, _ := s.world(GitLab, r)
	refusedWith(t, e, s.token(s.gitlab(map[string]any{"environment": "Production"})), "DP-186")
	if _, err := decide(t, e, s.token(s.gitlab(map[string]any{"environment": "production"}))); err != nil {
		t.Error(err)
	}
}

// TestGitLabEnvironment: where no ref is named, an environment that anybody can
// write into a job says nothing.
func TestGitLabEnvironment(t *testing.T) {
	s := newSigner(t)
	r := s.gitlabRule()
	r.Ref, r.Environment = "", "production"
	e, _ := s.world(GitLab, r)
	branch := func(protected any) map[string]any {
		return map[string]any{"environment": "production", "environment_protected": protected, "ref": "mine", "ref_path": "refs/heads/mine", "ref_protected": "false",
			"ci_config_ref_uri": s.srv.Listener.Addr().String() + "/river/data//.gitlab-ci.yml@refs/heads/mine"}
	}
	for _, protected := range []any{nil, "false", false, "yes"} {
		if says := refusedWith(t, e, s.token(s.gitlab(branch(protected))), "DP-186"); !strings.Contains(says, "environment") {
			t.Errorf("%v: it does not say why: %s", protected, says)
		}
	}
	if _, err := decide(t, e, s.token(s.gitlab(branch("true")))); err != nil {
		t.Error(err)
	}
}

// TestPullRequests: who says so in so many words may let them in.
func TestPullRequests(t *testing.T) {
	s := newSigner(t)
	r := s.githubRule()
	r.Ref, r.Events, r.PullRequests = "", []string{"pull_request"}, true
	e, _ := s.world(GitHub, r)
	const ref = "refs/pull/3/merge"
	pr := map[string]any{"event_name": "pull_request", "ref": ref, "head_ref": "x", "job_workflow_ref": nil, "workflow_ref": "river-lab/data/.github/workflows/release.yml@" + ref}
	if _, err := decide(t, e, s.token(s.github(pr))); err != nil {
		t.Error(err)
	}
	refusedWith(t, e, s.token(s.github(map[string]any{"event_name": "pull_request_target"})), "DP-186")
}

func TestOnce(t *testing.T) {
	s := newSigner(t)
	e, m := s.world(GitHub, s.githubRule())
	token := s.token(s.github(nil))
	var good atomic.Int64
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			_, err := e.Decide(context.Background(), daypass.NewSecret(token), netip.Addr{})
			var r *Refusal
			switch {
			case err == nil:
				good.Add(1)
			case !errors.As(err, &r) || r.Problem.Code != "DP-187":
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if good.Load() != 1 {
		t.Errorf("one token was exchanged %d times", good.Load())
	}
	m.err = errors.New("the disk is full")
	if _, err := decide(t, e, s.token(s.github(nil))); err == nil || errors.As(err, new(*Refusal)) {
		t.Errorf("without a place to note it: %v", err)
	}
}

// TestKeys: keys that cannot be had refuse; new ones are found; nobody makes us
// ask without end.
func TestKeys(t *testing.T) {
	s := newSigner(t)
	var now atomic.Int64
	now.Store(time.Now().UnixNano())
	at := func() time.Time { return time.Unix(0, now.Load()) }
	m := &memory{}
	e, err := New(Config{
		Issuers: []Issuer{{Name: "ci", Kind: GitHub, URL: s.srv.URL, Keys: s.srv.URL + "/keys"}}, Rules: []Rule{s.githubRule()},
		Audience: audience, Once: m.once, Transport: http.DefaultTransport, Now: at,
	})
	if err != nil {
		t.Fatal(err)
	}
	answer := func(status int, body string) func(w http.ResponseWriter, r *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if status == http.StatusFound {
				w.Header().Set("Location", "/elsewhere")
			}
			w.WriteHeader(status)
			w.Write([]byte(body))
			return true
		}
	}
	later := func() { now.Add(int64(21 * time.Second)) }
	for name, do := range map[string]func(w http.ResponseWriter, r *http.Request) bool{
		"down": answer(503, "secret inside"), "empty": answer(200, ""), "a page": answer(200, "<html>"),
		"huge": answer(200, `{"keys":[`+strings.Repeat(" ", mostOfKeys+10)+`]}`), "elsewhere": answer(302, ""),
	} {
		s.change(func() { s.do = do })
		if says := refusedWith(t, e, s.token(s.github(nil)), "DP-188"); strings.Contains(says, "secret") {
			t.Errorf("%s: it shows what the issuer answered: %s", name, says)
		}
		later()
	}
	if n := s.count("/elsewhere"); n != 0 {
		t.Error("it followed the issuer elsewhere")
	}
	s.change(func() { s.do = nil })
	if _, err := decide(t, e, s.token(s.github(nil))); err != nil {
		t.Fatal(err)
	}
	// Rotated: the new key is found as soon as somebody shows a token by it.
	// go-oidc answers those who wait a moment before it notes that the question is
	// over, and what keys there are: what comes right then gets the old answer.
	s.change(func() { s.keys = map[string]crypto.Signer{"k2": rsaKeys()[1]} })
	soon(t, "the new key", func() bool {
		later()
		_, err := decide(t, e, s.sign(map[string]any{"alg": "RS256", "kid": "k2"}, s.github(nil), rsaKeys()[1]))
		return err == nil
	})
	soon(t, "the end of the old key", func() bool { _, err := decide(t, e, s.token(s.github(nil))); return err != nil })
	refusedWith(t, e, s.token(s.github(nil)), "DP-185") // by the key that is gone
	// Forged tokens do not make us ask more often.
	before := s.count("/keys")
	for i := range 30 {
		refusedWith(t, e, s.sign(map[string]any{"alg": "RS256", "kid": fmt.Sprint("x", i)}, s.github(nil), rsaKeys()[0]), "DP-185")
	}
	if n := s.count("/keys") - before; n != 0 {
		t.Errorf("30 forged tokens made %d requests", n)
	}
	if n := s.count("/.well-known/openid-configuration"); n != 0 {
		t.Error("it asked for more than the keys")
	}
}

func soon(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within five seconds", what)
		}
	}
}

func TestCheck(t *testing.T) {
	s := newSigner(t)
	e, _ := s.world(GitHub, s.githubRule())
	if got := e.Check(t.Context()); len(got) != 1 || got[0].Name != "ci" || got[0].Err != nil {
		t.Errorf("%+v", got)
	}
	if s.count("/keys") != 1 {
		t.Error("the keys were not asked for")
	}
	away := newSigner(t)
	away.srv.Close()
	e, _ = away.world(GitHub, away.githubRule())
	if got := e.Check(t.Context()); len(got) != 1 || got[0].Err == nil {
		t.Errorf("an issuer that is away: %+v", got)
	}
}

func TestSlowKeys(t *testing.T) {
	s := newSigner(t)
	e, _ := s.world(GitHub, s.githubRule())
	stop := make(chan struct{})
	defer close(stop)
	s.srv.Config.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stop })
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := e.Decide(ctx, daypass.NewSecret(s.token(s.github(nil))), netip.Addr{})
	if !errors.Is(err, daypass.ErrUnreachable) || time.Since(began) > 3*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}

// TestDiscovery: what the issuer's document says is for the issuer alone.
func TestDiscovery(t *testing.T) {
	for name, doc := range map[string]string{
		"another's": `{"issuer":"https://evil.example","jwks_uri":"%[1]s/keys"}`,
		"not https": `{"issuer":"%[1]s","jwks_uri":"http://keys.example/keys"}`,
		"no keys":   `{"issuer":"%[1]s"}`,
		"a file":    `{"issuer":"%[1]s","jwks_uri":"file:///etc/passwd"}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := newSigner(t)
			s.do = func(w http.ResponseWriter, r *http.Request) bool {
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprintf(w, doc, s.srv.URL)
				return true
			}
			e, _ := s.world(GitHub, s.githubRule())
			refusedWith(t, e, s.token(s.github(nil)), "DP-188")
		})
	}
}

func TestHubServer(t *testing.T) {
	var asked []string
	who := map[string]daypass.Caller{
		"server-token-1": {User: daypass.User{Name: "ada"}, Groups: []string{"lab"}, Via: daypass.ViaServer, Server: daypass.Server{Known: true}},
		"server-token-2": {User: daypass.User{Name: "ada"}, Groups: []string{"lab"}, Via: daypass.ViaServer, Server: daypass.Server{Known: true, Name: "gpu"}},
		"server-token-3": {User: daypass.User{Name: "ada"}, Groups: []string{"lab"}, Via: daypass.ViaServer, Server: daypass.Server{Known: true, Name: "default"}},
		"user-token-111": {User: daypass.User{Name: "ada"}, Groups: []string{"lab"}, Via: daypass.ViaUser},
		"server-unknown": {User: daypass.User{Name: "ada"}, Groups: []string{"lab"}, Via: daypass.ViaServer},
		"others-token-1": {User: daypass.User{Name: "bob"}, Groups: []string{"guests"}, Via: daypass.ViaServer, Server: daypass.Server{Known: true}},
		"rootish-server": {User: daypass.User{Name: "root"}, Groups: []string{"lab"}, Via: daypass.ViaServer, Server: daypass.Server{Known: true}},
		"slashed-server": {User: daypass.User{Name: "a/../root"}, Groups: []string{"lab"}, Via: daypass.ViaServer, Server: daypass.Server{Known: true}},
	}
	e, err := New(Config{
		Issuers: []Issuer{{Name: "campus", Kind: JupyterHub, Who: func(_ context.Context, token daypass.Secret) (daypass.Caller, error) {
			asked = append(asked, token.Reveal())
			c, ok := who[token.Reveal()]
			if !ok {
				return c, &daypass.Problem{Code: "DP-803", What: "unknown", Kind: daypass.ErrRefused}
			}
			return c, nil
		}}},
		Rules: []Rule{{
			Name: "lab", Issuer: "campus", Groups: []string{"lab"}, Servers: []string{"default"},
			Gives: Gives{Index: &IndexText{Indexes: []string{"/dev", "lab/shared"}, Allowed: []string{"pkg_read", "upload"}}},
		}},
		Audience: audience, Once: (&memory{}).once,
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // it goes on as long as the server does
		g, err := decide(t, e, "server-token-1")
		if err != nil || g.Index.User != "ada" || !slices.Equal(g.Index.Indexes, []string{"ada/dev", "lab/shared"}) {
			t.Fatalf("%+v %v", g.Index, err)
		}
	}
	for token, code := range map[string]string{
		"server-token-2": "DP-186", "server-token-3": "DP-186", "user-token-111": "DP-185", "server-unknown": "DP-185", "others-token-1": "DP-186",
		"nobodys-token-": "DP-185", "rootish-server": "DP-189", "slashed-server": "DP-189",
	} {
		refusedWith(t, e, token, code)
	}
	// What is not a hub's token is not shown to the hub.
	asked = nil
	for _, token := range []string{"daypass_AgEAAgthing", "devpi-AgEAAgthing", "pypi-AgEAAgthing", "ghp_0123456789abcdef", "glpat-0123456789", "a b c d e f g", "two\r\nlines", "x.y-12345678", strings.Repeat("a", 300)} {
		refusedWith(t, e, token, "DP-185")
	}
	if len(asked) != 0 {
		t.Errorf("the hub was shown %q", asked)
	}
}

// TestLoad: a rule that leaves open who gets in is an error that names what is
// missing.
func TestLoad(t *testing.T) {
	s := newSigner(t)
	hub := func(change func(*Rule)) Rule {
		r := Rule{Name: "hub", Issuer: "campus", Users: []string{"ada"}, Servers: []string{"gpu"}, Gives: Gives{Index: &IndexText{User: "ada", Indexes: []string{"ada/dev"}}}}
		change(&r)
		return r
	}
	gh := func(change func(*Rule)) Rule { r := s.githubRule(); change(&r); return r }
	gl := func(change func(*Rule)) Rule { r := s.gitlabRule(); r.Issuer = "lab"; change(&r); return r }
	for _, c := range []struct {
		rule Rule
		says string
	}{
		{gh(func(r *Rule) { r.Name = "" }), "name is missing"},
		{gh(func(r *Rule) { r.Issuer = "nobody" }), "not among the issuers"},
		{gh(func(r *Rule) { r.RepositoryID = 0 }), "repository_id is missing"},
		{gh(func(r *Rule) { r.RepositoryOwnerID = 0 }), "repository_owner_id is missing"},
		{gh(func(r *Rule) { r.ProjectID = 1 }), "GitLab's"},
		{gh(func(r *Rule) { r.Ref, r.Environment = "", "" }), "ref or environment is missing"},
		{gh(func(r *Rule) { r.Workflow = "" }), "workflow is missing"},
		{gh(func(r *Rule) { r.Workflow = ".github/workflows/*" }), "workflow is whole"},
		{gh(func(r *Rule) { r.Environment = "*" }), "environment is whole"},
		{gh(func(r *Rule) { r.Events = nil }), "events is missing"},
		{gh(func(r *Rule) { r.Events = []string{"*"} }), "whole names"},
		{gh(func(r *Rule) { r.Events = []string{"push", "pull_request"} }), "pull_requests: true"},
		{gh(func(r *Rule) { r.Events = []string{"workflow_run"} }), "pull_requests: true"},
		{gh(func(r *Rule) { r.Events = []string{"issue_comment"} }), "pull_requests: true"},
		{gh(func(r *Rule) { r.Events = []string{"discussion_comment"} }), "pull_requests: true"},
		{gh(func(r *Rule) { r.Events = []string{"watch"} }), "pull_requests: true"},
		{gh(func(r *Rule) { r.Ref = "*" }), "ref is whole"},
		{gh(func(r *Rule) { r.Ref = "refs/*" }), "ref is whole"},
		{gh(func(r *Rule) { r.Ref = "refs/t*/v1" }), "ref is whole"},
		{gh(func(r *Rule) { r.Ref = "main" }), "ref is whole"},
		{gh(func(r *Rule) { r.JobWorkflow = "octo/flows/x.yml" }), "job_workflow ends"},
		{gh(func(r *Rule) { r.Users = []string{"ada"} }), "a hub's"},
		{gh(func(r *Rule) { r.Gives.For = time.Hour }), "gives.for"},
		{gh(func(r *Rule) { r.Gives.Index = nil }), "one of index and hub"},
		{gh(func(r *Rule) { r.Gives.Index.User = "" }), "user is missing"},
		{gh(func(r *Rule) { r.Gives.Index.User = "root" }), "root"},
		{gh(func(r *Rule) { r.Gives.Index.Indexes = nil }), "indexes is missing"},
		{gh(func(r *Rule) { r.Gives.Index.Indexes = []string{"alice/*"} }), "USER/INDEX"},
		{gh(func(r *Rule) { r.Gives.Index.Indexes = []string{"/dev"} }), "USER/INDEX"},
		{gh(func(r *Rule) { r.Gives.Index.Projects = []string{} }), "empty list"},
		{gl(func(r *Rule) { r.ProjectID = 0 }), "project_id is missing"},
		{gl(func(r *Rule) { r.Gives.Hub.Sources = []string{"doi:10.5281/zenodo.1"} }), "no request is about both"},
		{gl(func(r *Rule) { r.NamespaceID = 0 }), "namespace_id is missing"},
		{gl(func(r *Rule) { r.Events = []string{"merge_request_event"} }), "pull_requests: true"},
		{gl(func(r *Rule) { r.Gives.Hub.As = "" }), "as is missing"},
		{gl(func(r *Rule) { r.Gives.Hub.Access = "all" }), "read or write"},
		{gl(func(r *Rule) { r.Gives.Hub.Repos = nil }), "repos is missing"},
		{gl(func(r *Rule) { r.Gives.Hub.Hosts = nil }), "hosts is missing"},
		{hub(func(r *Rule) { r.Users = nil }), "users or groups"},
		{hub(func(r *Rule) { r.Servers = nil }), "servers is missing"},
		{hub(func(r *Rule) { r.Users = []string{"*"} }), "names are whole"},
		{hub(func(r *Rule) { r.Ref = "refs/heads/main" }), "a rule about a hub's servers"},
	} {
		_, err := New(Config{
			Issuers: []Issuer{{Name: "ci", Kind: GitHub}, {Name: "lab", Kind: GitLab}, {Name: "campus", Kind: JupyterHub, Who: func(context.Context, daypass.Secret) (daypass.Caller, error) {
				return daypass.Caller{}, nil
			}}},
			Rules: []Rule{c.rule}, Audience: audience, Once: (&memory{}).once,
		})
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v; it should say %q", c.rule, err, c.says)
		}
	}
	for _, bad := range []Config{
		{Audience: "pypi"}, {Audience: "PyPI"}, {Audience: ""}, {Audience: "two words"},
		{Audience: audience, Issuers: []Issuer{{Name: "a", Kind: GitHub}, {Name: "b", Kind: GitHub}}},
		{Audience: audience, Issuers: []Issuer{{Name: "a", Kind: GitHub}, {Name: "a", Kind: GitLab}}},
		{Audience: audience, Issuers: []Issuer{{Name: "a", Kind: GitHub, Keys: "http://keys.example/"}}},
		{Audience: audience, Issuers: []Issuer{{Name: "a", Kind: GitHub, URL: "http://10.0.0.1"}}},
		{Audience: audience, Issuers: []Issuer{{Name: "a", Kind: JupyterHub}}},
		{Audience: audience, Issuers: []Issuer{{Name: "a", Kind: "openid", URL: "https://x.example"}}},
		{Audience: audience, Issuers: []Issuer{{Name: "a", Kind: GitHub, Longest: 48 * time.Hour}}},
		{Audience: audience, Issuers: []Issuer{{Kind: GitHub}}},
	} {
		bad.Once = (&memory{}).once
		if _, err := New(bad); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}
