package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
)

func TestCredentialReplyKeepsItsSecretFromEncoders(t *testing.T) {
	reply := api.CredentialReply{
		Username: "x-access-token", Password: daypass.NewSecret("ghu_0123456789abcdef"), Host: "github.com",
		Repo: api.Repo{Owner: "octo", Name: "data", ID: 42}, Access: "write", Until: time.Unix(1800000000, 0).UTC(),
		As: api.AsUser, Account: api.Account{ID: 7, Login: "mona", Email: "7+mona@users.noreply.github.com"}, Event: "K3QF-1",
	}
	if b, err := json.Marshal(reply); err == nil {
		t.Errorf("encoding/json wrote %s", b)
	}
	if s := fmt.Sprintf("%v %+v %#v", reply, reply, reply); strings.Contains(s, "ghu_") {
		t.Errorf("fmt wrote %s", s)
	}
	b, err := reply.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), `"password":"ghu_0123456789abcdef"`) || strings.Count(string(b), "password") != 1 {
		t.Errorf("Encode wrote %s", b)
	}
	got, err := api.DecodeCredentialReply(b)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Password.Equal(reply.Password) {
		t.Error("the password did not come back")
	}
	got.Password, reply.Password = daypass.Secret{}, daypass.Secret{}
	if got != reply {
		t.Errorf("came back as %+v, was %+v", got, reply)
	}
	want := daypass.Scope{Host: "github.com", Repos: []daypass.Repo{{Owner: "octo", Name: "data", ID: 42}}, Access: daypass.Write, Until: reply.Until}
	if !got.Scope().Equivalent(want) {
		t.Errorf("scope %+v", got.Scope())
	}
}

func TestHookLoginKeepsItsSecretsFromEncoders(t *testing.T) {
	until := time.Unix(1800000000, 0).UTC()
	login := api.HookLogin{
		User: "jo", Created: &until, Host: "github.com", ClientID: "Iv23", Account: api.Account{ID: 7, Login: "mona"},
		Access: daypass.NewSecret("ghu_0123456789abcdef"), ExpiresIn: 28800, Refresh: daypass.NewSecret("ghr_0123456789abcdef"),
	}
	if b, err := json.Marshal(login); err == nil {
		t.Errorf("encoding/json wrote %s", b)
	}
	b, err := login.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := api.DecodeHookLogin(b)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Access.Equal(login.Access) || !got.Refresh.Equal(login.Refresh) || got.User != login.User || !got.Created.Equal(until) || got.ExpiresIn != 28800 {
		t.Errorf("came back as %+v", got)
	}
	if _, err := api.DecodeHookLogin([]byte(strings.Replace(string(b), `"host"`, `"hosts"`, 1))); err == nil {
		t.Error("took a key that it does not know")
	}
}

func TestCheck(t *testing.T) {
	good := api.CredentialRequest{Protocol: "https", Host: "github.com", Path: "o/r.git", Access: "write"}
	if why := good.Check(); why != "" {
		t.Fatalf("a good request: %s", why)
	}
	change := map[string]func(*api.CredentialRequest){
		"no protocol":        func(r *api.CredentialRequest) { r.Protocol = "" },
		"plain http":         func(r *api.CredentialRequest) { r.Protocol = "http" },
		"no host":            func(r *api.CredentialRequest) { r.Host = "" },
		"upper case":         func(r *api.CredentialRequest) { r.Host = "GitHub.com" },
		"userinfo":           func(r *api.CredentialRequest) { r.Host = "github.com@evil.example" },
		"trailing dot":       func(r *api.CredentialRequest) { r.Host = "github.com." },
		"a slash":            func(r *api.CredentialRequest) { r.Host = "github.com/evil" },
		"long host":          func(r *api.CredentialRequest) { r.Host = strings.Repeat("a.", 200) + "com" },
		"no path":            func(r *api.CredentialRequest) { r.Path = "" },
		"leading slash":      func(r *api.CredentialRequest) { r.Path = "/o/r" },
		"dots":               func(r *api.CredentialRequest) { r.Path = "o/r/../../x/y" },
		"three parts":        func(r *api.CredentialRequest) { r.Path = "o/r/s" },
		"two suffixes":       func(r *api.CredentialRequest) { r.Path = "o/r.git/info/lfs/info/lfs" },
		"long path":          func(r *api.CredentialRequest) { r.Path = "o/" + strings.Repeat("r", 600) },
		"control byte":       func(r *api.CredentialRequest) { r.Path = "o/r\n" },
		"no access":          func(r *api.CredentialRequest) { r.Access = "" },
		"admin access":       func(r *api.CredentialRequest) { r.Access = "admin" },
		"least above most":   func(r *api.CredentialRequest) { r.Access, r.Least = "read", "write" },
		"least is no word":   func(r *api.CredentialRequest) { r.Least = "some" },
		"purpose is no word": func(r *api.CredentialRequest) { r.Purpose = "fun" },
	}
	for name, f := range change {
		r := good
		f(&r)
		if r.Check() == "" {
			t.Errorf("%s: taken: %+v", name, r)
		}
	}
	for _, path := range []string{"o/r", "o/r.git", "o/r.git/info/lfs", "o/r/info/lfs"} {
		r := good
		r.Path = path
		if repo, ok := r.Repo(); !ok || repo.String() != "o/r" {
			t.Errorf("%s is read as %v %v", path, repo, ok)
		}
	}
	for _, sum := range []string{"", "ab", strings.Repeat("A", 64), strings.Repeat("g", 64)} {
		if (api.Rejected{Host: "github.com", SHA256: sum}).Check() == "" {
			t.Errorf("took the hash %q", sum)
		}
	}
}

func TestDecodeRequestIsStrict(t *testing.T) {
	for _, body := range []string{
		``, `null x`, `[]`, `"x"`, `{"host":1}`, `{"host":"a"}{"host":"b"}`, `{"host":"a"} x`, `{"host":"a","hosts":"b"}`, `{"host":"a"`,
	} {
		var r api.CredentialRequest
		if err := api.DecodeRequest([]byte(body), &r); err == nil {
			t.Errorf("took %s", body)
		} else if strings.Contains(err.Error(), "hosts") {
			t.Errorf("the error holds the body: %v", err)
		}
	}
	var r api.CredentialRequest
	if err := api.DecodeRequest([]byte(" {\"host\":\"a\"}\n"), &r); err != nil || r.Host != "a" {
		t.Errorf("%+v %v", r, err)
	}
}

func TestProblemThereAndBack(t *testing.T) {
	for _, kind := range []error{nil, daypass.ErrUsage, daypass.ErrNoLogin, daypass.ErrRefused, daypass.ErrUnreachable} {
		p := &daypass.Problem{Code: "DP-810", What: "w", Why: "y", Next: "n", Who: "o", Kind: kind, Err: errors.New("not shown")}
		e := api.FromProblem(p)
		e.Event, e.Link = "K3QF-1", "https://h.example/connect/github.com"
		b, err := json.Marshal(api.ErrorBody{Error: e})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "not shown") {
			t.Errorf("the underlying error left: %s", b)
		}
		got, ok := api.DecodeError(b)
		if !ok || got != e {
			t.Errorf("came back as %+v", got)
		}
		back := got.Problem(api.Status(kind))
		if back.Kind != kind || back.Error() != p.Error() {
			t.Errorf("%v came back as %v: %v", kind, back.Kind, back)
		}
	}
	for _, body := range []string{``, `<html>`, `{}`, `{"error":"no"}`, `{"error":{"code":"","what":"x"}}`} {
		if e, ok := api.DecodeError([]byte(body)); ok {
			t.Errorf("read %q as %+v", body, e)
		}
	}
}

func TestPathsHoldHostsWhole(t *testing.T) {
	for host, want := range map[string]string{
		"github.com":        "/api/v1/connections/github.com",
		"ghes.example:8443": "/api/v1/connections/ghes.example:8443",
		"[::1]:8443":        "/api/v1/connections/%5B::1%5D:8443",
		"evil/../../me?x#y": "/api/v1/connections/evil%2F..%2F..%2Fme%3Fx%23y",
	} {
		if got := api.ConnectionPath(host); got != want {
			t.Errorf("ConnectionPath(%q) = %q, want %q", host, got, want)
		}
	}
}
