package google

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Metadata gets the tokens of the account that this machine runs as, from its metadata
// server. The machine has to be allowed the scope.
func Metadata(c Config) (*Tokens, error) {
	p := newPoster(c, true)
	base := orElse(c.Endpoints.Metadata, "http://metadata.google.internal")
	if c.Endpoints.Metadata != "" {
		if err := checkEndpoint(base); err != nil {
			return nil, err
		}
	}
	account := base + "/computeMetadata/v1/instance/service-accounts/default/"
	get := func(address string) func() (*http.Request, error) {
		return func() (*http.Request, error) {
			req, err := http.NewRequest(http.MethodGet, address, nil)
			if err == nil {
				req.Header.Set("Metadata-Flavor", "Google")
			}
			return req, err
		}
	}
	return &Tokens{
		now: p.Now,
		fetch: func(ctx context.Context) (token, error) {
			var answer struct {
				Token string `json:"access_token"`
				Type  string `json:"token_type"`
				Life  int64  `json:"expires_in"`
			}
			if err := p.ask(ctx, get(account+"token?scopes="+url.QueryEscape(p.Scope)), &answer); err != nil {
				return token{}, err
			}
			return p.made(hostOf(base), answer.Token, answer.Type, time.Duration(min(answer.Life, 1<<20))*time.Second)
		},
		who: func(ctx context.Context) (string, error) {
			req, err := get(account + "email")()
			if err != nil {
				return "", err
			}
			status, body, err := p.once(req.WithContext(ctx))
			found := strings.TrimSpace(string(body))
			if err != nil || status != http.StatusOK || !email(found) {
				return "", unreachable(hostOf(base), "it does not say which account this machine runs as")
			}
			return found, nil
		},
	}, nil
}

// federation is the configuration that "gcloud iam workload-identity-pools
// create-cred-config" writes.
type federation struct {
	Type        string `json:"type"`
	Audience    string `json:"audience"`
	SubjectType string `json:"subject_token_type"`
	TokenURL    string `json:"token_url"`
	Impersonate string `json:"service_account_impersonation_url"`
	Universe    string `json:"universe_domain"`
	Source      struct {
		File   string `json:"file"`
		Format struct {
			Type  string `json:"type"`
			Field string `json:"subject_token_field_name"`
		} `json:"format"`
	} `json:"credential_source"`
}

// pattern compiles a pattern at its first use: a program that reads nothing does not.
func pattern(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

var (
	poolAudience   = pattern(`^//iam\.googleapis\.com/projects/[0-9]+/locations/global/workloadIdentityPools/[a-z0-9-]+/providers/[a-z0-9-]+$`)
	impersonateURL = pattern(`^https://iamcredentials\.googleapis\.com/v1/projects/-/serviceAccounts/([^/:]+):generateAccessToken$`)
)

// Federation reads the configuration of a workload identity federation whose token
// lies in a file, as Kubernetes projects one. Configurations that ask another address
// or start a program for it are refused: a file's text is not to have that done.
func Federation(c Config, file []byte) (*Tokens, error) {
	p := newPoster(c, false)
	var f federation
	if err := json.Unmarshal(bytes.TrimSpace(file), &f); err != nil {
		return nil, badFile("it is not JSON")
	}
	sts, iam := orElse(c.Endpoints.STS, "https://sts.googleapis.com/v1/token"), orElse(c.Endpoints.IAM, "https://iamcredentials.googleapis.com")
	for _, address := range []string{sts, iam} {
		if err := checkEndpoint(address); err != nil {
			return nil, err
		}
	}
	at := impersonateURL().FindStringSubmatch(f.Impersonate)
	switch {
	case f.Type != "external_account" || !poolAudience().MatchString(f.Audience) || f.SubjectType != "urn:ietf:params:oauth:token-type:jwt":
		return nil, badFile("it is not the configuration of a workload identity federation with tokens of OpenID Connect")
	case f.TokenURL != "" && f.TokenURL != "https://sts.googleapis.com/v1/token" || f.Universe != "" && f.Universe != "googleapis.com":
		return nil, badFile("it sends its holder to a host that is not Google's")
	case at == nil || !email(at[1]):
		return nil, badFile("it does not say which service account to act as")
	case !filepath.IsAbs(f.Source.File):
		return nil, badFile("the token that is exchanged has to lie in a file, by its full path")
	}
	return &Tokens{email: at[1], now: p.Now, fetch: func(ctx context.Context) (token, error) { return p.federate(ctx, f, sts, iam, at[1]) }}, nil
}

// federate exchanges the file's token (RFC 8693) and then acts as the account.
func (p *poster) federate(ctx context.Context, f federation, sts, iam, account string) (token, error) {
	subject, err := f.subject()
	if err != nil {
		return token{}, err
	}
	first, err := p.bearer(ctx, sts, url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "requested_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
		"audience": {f.Audience}, "scope": {"https://www.googleapis.com/auth/cloud-platform"}, "subject_token_type": {f.SubjectType}, "subject_token": {subject},
	})
	if err != nil {
		return token{}, err
	}
	body, err := json.Marshal(map[string]any{"scope": []string{p.Scope}, "lifetime": "3600s"})
	if err != nil {
		return token{}, err
	}
	var answer struct {
		Token string    `json:"accessToken"`
		End   time.Time `json:"expireTime"`
	}
	err = p.ask(ctx, func() (*http.Request, error) {
		req, err := http.NewRequest(http.MethodPost, iam+"/v1/projects/-/serviceAccounts/"+account+":generateAccessToken", bytes.NewReader(body))
		if err == nil {
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Authorization", "Bearer "+first.secret.Reveal())
		}
		return req, err
	}, &answer)
	if err != nil {
		return token{}, err
	}
	return p.made(hostOf(iam), answer.Token, "bearer", answer.End.Sub(p.Now()))
}

// subject reads the token that is exchanged, anew each time: it is replaced often.
func (f federation) subject() (string, error) {
	text, err := os.ReadFile(f.Source.File)
	if errors.Is(err, os.ErrNotExist) {
		return "", badFile("the file of the token that is exchanged does not exist")
	}
	if err != nil || len(text) > maxAnswer {
		return "", badFile("the token that is exchanged cannot be read")
	}
	if f.Source.Format.Type == "json" {
		var fields map[string]json.RawMessage
		var value string
		if json.Unmarshal(text, &fields) != nil || json.Unmarshal(fields[f.Source.Format.Field], &value) != nil {
			return "", badFile("the token that is exchanged is not in the field that it should be in")
		}
		return value, nil
	}
	return strings.TrimSpace(string(text)), nil
}
