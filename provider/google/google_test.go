package google

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/provider/deposittest"
)

const (
	account = deposittest.Account
	pool    = "//iam.googleapis.com/projects/123456/locations/global/workloadIdentityPools/campus/providers/hub"
)

var serviceKey = sync.OnceValue(deposittest.NewKey)

func newDrive() *fake.Drive {
	return fake.NewDrive(fake.DriveConfig{Seed: fake.DriveSeed{
		Machine: account, Pool: pool,
		Accounts: []fake.ServiceAccount{{Email: account, Keys: serviceKey().Keys(), Subjects: []string{"a-projected-token"}}},
	}})
}

func federationFile(t *testing.T, token string, change map[string]any) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	v := map[string]any{
		"type": "external_account", "audience": pool, "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": "https://sts.googleapis.com/v1/token",
		"service_account_impersonation_url": "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/" + account + ":generateAccessToken",
		"credential_source":                 map[string]any{"file": path},
	}
	for k, value := range change {
		v[k] = value
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// ways are the three ways to a token.
func ways(t *testing.T, c Config) map[string]*Tokens {
	t.Helper()
	out := map[string]*Tokens{}
	var err [3]error
	out["key"], err[0] = Key(c, serviceKey().File)
	out["metadata"], err[1] = Metadata(c)
	out["federation"], err[2] = Federation(c, federationFile(t, "a-projected-token", nil))
	if e := errors.Join(err[:]...); e != nil {
		t.Fatal(e)
	}
	return out
}

func TestTokens(t *testing.T) {
	for _, way := range []string{"key", "metadata", "federation"} {
		t.Run(way, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDrive()
				tokens := ways(t, Config{Base: fake.Transport(d)})[way]
				var all sync.WaitGroup
				first, err := tokens.Token(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for range 20 {
					all.Go(func() {
						if s, err := tokens.Token(t.Context()); err != nil || !s.Equal(first) {
							t.Error("another token", err)
						}
					})
				}
				all.Wait()
				asked := len(d.Requests())
				time.Sleep(54 * time.Minute)
				if s, _ := tokens.Token(t.Context()); !s.Equal(first) || len(d.Requests()) != asked {
					t.Error("a token that is good for six minutes was not used")
				}
				time.Sleep(2 * time.Minute)
				for range 20 {
					all.Go(func() {
						if s, err := tokens.Token(t.Context()); err != nil || s.Equal(first) {
							t.Error("the old token five minutes before its end", err)
						}
					})
				}
				all.Wait()
				if n := len(d.Requests()); n != 2*asked {
					t.Errorf("20 at once made %d requests, one made %d", n-asked, asked)
				}
				if email, err := tokens.Email(t.Context()); email != account || err != nil {
					t.Errorf("%q, %v", email, err)
				}
				for _, r := range d.Requests() {
					if strings.Contains(r.RawQuery, "assertion") || r.Host != fake.TokenHost && r.Host != fake.STSHost && r.Host != fake.IAMHost && r.Host != fake.MetadataHost {
						t.Errorf("%s %s?%s", r.Host, r.Path, r.RawQuery)
					}
				}
			})
		})
	}
}

// TestFilesThatLie: no file sends a signature, a token or a request elsewhere.
func TestFilesThatLie(t *testing.T) {
	var good map[string]string
	if err := json.Unmarshal(serviceKey().File, &good); err != nil {
		t.Fatal(err)
	}
	small := "-----BEGIN PRIVATE KEY-----\nMIIBVQIBADANBgkqhkiG9w0BAQEFAASCAT8wggE7AgEAAkEAq7BFUpkGp3+LQmlQ\n-----END PRIVATE KEY-----\n"
	for what, change := range map[string][2]string{
		"another token host": {"token_uri", "https://evil.example/token"}, "http": {"token_uri", "http://oauth2.googleapis.com/token"}, "like it": {"token_uri", "https://oauth2.googleapis.com.evil.example/token"},
		"userinfo": {"token_uri", "https://oauth2.googleapis.com@evil.example/token"}, "another universe": {"universe_domain", "evil.example"}, "a person": {"type", "authorized_user"},
		"no key": {"private_key", ""}, "a bad key": {"private_key", small}, "no id": {"private_key_id", ""}, "an odd address": {"client_email", "a@b.example\nX: y"}, "no address": {"client_email", ""},
	} {
		file := map[string]string{}
		for k, v := range good {
			file[k] = v
		}
		file[change[0]] = change[1]
		text, _ := json.Marshal(file)
		_, err := Key(Config{}, text)
		refusedFile(t, what, err)
	}
	_, err := Key(Config{}, []byte("not JSON"))
	refusedFile(t, "no JSON", err)
	for what, change := range map[string]map[string]any{
		"another exchange": {"token_url": "https://evil.example/v1/token"}, "another audience": {"audience": "//evil.example/x"}, "another host to act": {"service_account_impersonation_url": "https://evil.example/v1/projects/-/serviceAccounts/" + account + ":generateAccessToken"},
		"no account": {"service_account_impersonation_url": ""}, "an address to ask": {"credential_source": map[string]any{"url": "http://169.254.169.254/"}},
		"a program to start": {"credential_source": map[string]any{"executable": map[string]any{"command": "/bin/sh"}}}, "a path that is not full": {"credential_source": map[string]any{"file": "token"}},
		"AWS": {"subject_token_type": "urn:ietf:params:aws:token-type:aws4_request"}, "another universe": {"universe_domain": "evil.example"},
	} {
		_, err := Federation(Config{}, federationFile(t, "x", change))
		refusedFile(t, what, err)
	}
	for _, address := range []string{"http://evil.example/token", "ftp://x/", "https://a:b@c/", "://"} {
		_, err := Key(Config{Endpoints: Endpoints{Token: address}}, serviceKey().File)
		refusedFile(t, address, err)
	}
}

func refusedFile(t *testing.T, what string, err error) {
	t.Helper()
	var p *daypass.Problem
	if !errors.As(err, &p) || p.Code != "DP-414" || !errors.Is(err, daypass.ErrRefused) || strings.Contains(err.Error(), "PRIVATE") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%s: %v", what, err)
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		way   string
		fault func(*fake.Drive)
		code  string
		kind  error
	}{
		"key deleted":      {"key", func(d *fake.Drive) { d.EditAccount(account, func(a *fake.ServiceAccount) { a.Keys = nil }) }, "DP-415", daypass.ErrRefused},
		"account disabled": {"key", func(d *fake.Drive) { d.EditAccount(account, func(a *fake.ServiceAccount) { a.Disabled = true }) }, "DP-415", daypass.ErrRefused},
		"wrong clock":      {"key", func(d *fake.Drive) { d.Advance(24 * time.Hour) }, "DP-415", daypass.ErrRefused},
		"no account here":  {"metadata", func(d *fake.Drive) { d.EditAccount(account, func(a *fake.ServiceAccount) { a.Disabled = true }) }, "DP-415", daypass.ErrRefused},
		"not trusted":      {"federation", func(d *fake.Drive) { d.EditAccount(account, func(a *fake.ServiceAccount) { a.Subjects = nil }) }, "DP-415", daypass.ErrRefused},
		"busy":             {"key", func(d *fake.Drive) { d.Fault(nil, fake.Fault{Status: 503}) }, "DP-416", daypass.ErrUnreachable},
		"a portal":         {"key", func(d *fake.Drive) { d.Fault(nil, fake.Fault{Status: 200, Body: "<html>"}) }, "DP-416", daypass.ErrUnreachable},
		"no token": {"key", func(d *fake.Drive) {
			d.Fault(nil, fake.Fault{Status: 200, Body: `{"access_token":"","token_type":"Bearer","expires_in":3600}`})
		}, "DP-416", daypass.ErrUnreachable},
		"a token that splits a header": {"key", func(d *fake.Drive) {
			d.Fault(nil, fake.Fault{Status: 200, Body: `{"access_token":"a\r\nX: y","token_type":"Bearer","expires_in":3600}`})
		}, "DP-416", daypass.ErrUnreachable},
		"no end": {"key", func(d *fake.Drive) {
			d.Fault(nil, fake.Fault{Status: 200, Body: `{"access_token":"a","token_type":"Bearer"}`})
		}, "DP-416", daypass.ErrUnreachable},
		"too long":   {"key", func(d *fake.Drive) { d.Fault(nil, fake.Fault{Status: 200, Body: strings.Repeat(" ", 1<<17)}) }, "DP-416", daypass.ErrUnreachable},
		"a redirect": {"key", func(d *fake.Drive) { d.Fault(nil, fake.Fault{Kind: fake.FaultRedirect, URL: "https://evil.example/"}) }, "DP-416", daypass.ErrUnreachable},
		"a hang":     {"federation", func(d *fake.Drive) { d.Fault(nil, fake.Fault{Kind: fake.FaultHang}) }, "DP-416", daypass.ErrUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDrive()
				c.fault(d)
				tokens := ways(t, Config{Base: fake.Transport(d)})[c.way]
				began := time.Now()
				s, err := tokens.Token(t.Context())
				var p *daypass.Problem
				if !errors.As(err, &p) || p.Code != c.code || !errors.Is(err, c.kind) || !s.IsZero() {
					t.Errorf("%v", err)
				}
				if took := time.Since(began); took > 90*time.Second {
					t.Errorf("it took %v", took)
				}
				for _, r := range d.Requests() {
					if r.Host == "evil.example" {
						t.Error("a redirect was followed")
					}
				}
				for _, secret := range append(d.Tokens(), "a-projected-token", "assertion") {
					if strings.Contains(fmt.Sprintf("%+v %v", p, err), secret) {
						t.Error("an error holds a secret")
					}
				}
			})
		})
	}
}

// TestMetadataServer: the header without which programs in a browser's page could ask.
func TestMetadataServer(t *testing.T) {
	d := newDrive()
	res, err := fake.Transport(d).RoundTrip(&http.Request{Method: "GET", URL: &url.URL{Scheme: "http", Host: fake.MetadataHost, Path: "/computeMetadata/v1/instance/service-accounts/default/token"}, Header: http.Header{}})
	if err != nil || res.StatusCode != http.StatusForbidden {
		t.Error(res, err)
	}
	tokens := ways(t, Config{Base: fake.Transport(d)})["metadata"]
	if _, err := tokens.Token(t.Context()); err != nil {
		t.Error(err)
	}
	last := d.Requests()[len(d.Requests())-1]
	if !strings.Contains(last.RawQuery, url.QueryEscape(DriveReadonly)) {
		t.Errorf("it asked for %q", last.RawQuery)
	}
}

// TestWaiting: who gives up does not end it for others.
func TestWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDrive()
		d.Fault(nil, fake.Fault{Kind: fake.FaultLate, Delay: 5 * time.Second})
		tokens := ways(t, Config{Base: fake.Transport(d)})["key"]
		ctx, cancel := context.WithCancel(t.Context())
		var both sync.WaitGroup
		both.Go(func() {
			if _, err := tokens.Token(ctx); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
		both.Go(func() {
			time.Sleep(time.Second)
			if _, err := tokens.Token(t.Context()); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(2 * time.Second)
		cancel()
		both.Wait()
		if n := len(d.Requests()); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
}

func TestSecretsStayOut(t *testing.T) {
	d := newDrive()
	tokens := ways(t, Config{Base: fake.Transport(d)})["key"]
	s, err := tokens.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tokens.mu.Lock()
	defer tokens.mu.Unlock()
	if text := fmt.Sprintf("%+v %#v", tokens.held, tokens.held); strings.Contains(text, s.Reveal()) || bytes.Contains(serviceKey().File, []byte(s.Reveal())) {
		t.Error("tokens print their secret")
	}
}

// TestProject: the address says whose quota is spent, and else the file.
func TestProject(t *testing.T) {
	for email, want := range map[string]string{
		"a@campus-hub.iam.gserviceaccount.com": "campus-hub", "a@campus-hub.example.org.iam.gserviceaccount.com": "campus-hub.example.org",
		"campus-hub@appspot.gserviceaccount.com": "campus-hub", "123-compute@developer.gserviceaccount.com": "", "a@evil.example": "", "": "",
	} {
		if got := ProjectOf(email); got != want {
			t.Errorf("%q: %q", email, got)
		}
	}
	for email, want := range map[string]string{account: ProjectOf(account), "123-compute@developer.gserviceaccount.com": "campus-hub.example.org"} {
		if got := (&Tokens{email: email, project: "example.org:campus-hub"}).Project(); got != want || got == "" {
			t.Errorf("%q: %q", email, got)
		}
	}
	var f map[string]any
	if err := json.Unmarshal(serviceKey().File, &f); err != nil {
		t.Fatal(err)
	}
	f["client_email"] = "123-compute@developer.gserviceaccount.com"
	file, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := Key(Config{}, file)
	if err != nil || tokens.Project() != f["project_id"] || tokens.Project() == "" {
		t.Errorf("%q, %v", tokens.Project(), err)
	}
}
