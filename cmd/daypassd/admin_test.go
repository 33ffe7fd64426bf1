package main

import (
	"bufio"
	"bytes"
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// try runs a command as a person would, typing input.
func try(t *testing.T, input string, args ...string) (code int, said, home string) {
	t.Helper()
	home = t.TempDir()
	var out bytes.Buffer
	s := &app{
		stdin: bufio.NewReader(strings.NewReader(input)), stdout: &out, stderr: &out, interactive: input != "",
		getenv: func(k string) string { return map[string]string{"HOME": home}[k] },
		own:    func() (string, error) { return t.TempDir(), nil },
	}
	code = s.run(context.Background(), args)
	return code, out.String(), home
}

// link is the address in what was said.
func link(t *testing.T, said string) *url.URL {
	t.Helper()
	for _, word := range strings.Fields(said) {
		if strings.Contains(word, "/settings/apps/new?") {
			u, err := url.Parse(word)
			if err != nil {
				t.Fatal(err)
			}
			return u
		}
	}
	t.Fatalf("no link in %q", said)
	return nil
}

// TestAppNew: every field that GitHub's link can carry is filled in, and those
// that it cannot are named (docs: "Registering a GitHub App using URL parameters").
func TestAppNew(t *testing.T) {
	code, said, _ := try(t, "", "admin", "app", "new", "--name", "push from river-hub", "--url", "https://hub.example.org")
	if code != 0 {
		t.Fatalf("ended with %d: %s", code, said)
	}
	u := link(t, said)
	if u.Scheme != "https" || u.Host != "github.com" || u.Path != "/settings/apps/new" {
		t.Errorf("the link is %s", u)
	}
	for key, want := range map[string]string{
		"name": "push from river-hub", "url": "https://hub.example.org", "public": "true", "webhook_active": "false",
		"contents": "write", "metadata": "read", "request_oauth_on_install": "false",
	} {
		if got := u.Query().Get(key); got != want {
			t.Errorf("%s = %q, want %q", key, got, want)
		}
	}
	if u.Query().Get("description") == "" {
		t.Error("no description")
	}
	for _, want := range []string{"Expire user authorization tokens", "Enable Device Flow", "no client secret and no private key", "client_id:"} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q", want)
		}
	}
}

func TestAppNewElsewhere(t *testing.T) {
	_, said, _ := try(t, "", "admin", "app", "new", "--org", "river-lab", "--host", "ghes.example")
	if u := link(t, said); u.Host != "ghes.example" || u.Path != "/organizations/river-lab/settings/apps/new" {
		t.Errorf("the link is %s", u)
	}
	if !strings.Contains(said, "https://ghes.example/github-apps/NAME") {
		t.Errorf("the App's page is not that of an Enterprise Server: %s", said)
	}
	_, said, _ = try(t, "", "admin", "app", "new", "--name", strings.Repeat("long ", 20))
	if name := link(t, said).Query().Get("name"); len(name) > 34 {
		t.Errorf("the name has %d letters, GitHub takes 34", len(name))
	}
	for _, args := range [][]string{
		{"--org", "a/b"}, {"--org", "../x"}, {"--url", "javascript:alert(1)"}, {"--host", "http://github.com"}, {"surplus"}, {"--nonsense"},
	} {
		if code, said, _ := try(t, "", append([]string{"admin", "app", "new"}, args...)...); code != 2 || !strings.Contains(said, "[DP-") {
			t.Errorf("%v ended with %d: %s", args, code, said)
		}
	}
	for _, args := range [][]string{{"nonsense"}, {"admin", "nonsense"}, {"admin", "app", "nonsense"}, {"demo", "nonsense"}} {
		if code, said, _ := try(t, "", args...); code != 2 {
			t.Errorf("%v ended with %d: %s", args, code, said)
		}
	}
}

// TestAppNewKeeps: what is pasted is checked and kept in the user's own file, and
// a file that is there already is never overwritten.
func TestAppNewKeeps(t *testing.T) {
	code, said, home := try(t, "123456\n0123456789abcdef0123456789abcdef01234567\nIv23liABCDEFGHIJ0123\n", "admin", "app", "new")
	if code != 0 || strings.Count(said, "That is no Client ID") != 2 {
		t.Fatalf("ended with %d: %s", code, said)
	}
	path := filepath.Join(home, ".config", "daypass", "config.yaml")
	text, err := os.ReadFile(path)
	if err != nil || string(text) != "hosts:\n  github.com:\n    client_id: Iv23liABCDEFGHIJ0123\n" {
		t.Errorf("kept %q, %v", text, err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm()&0o022 != 0 {
		t.Errorf("others may write to it: %v", err)
	}
	s := &app{getenv: func(string) string { return home }}
	if err := s.keepClientID(mustHost(t), "Iv23liOTHER000000000", func(string, ...any) {}); err != nil {
		t.Error(err)
	}
	if again, err := os.ReadFile(path); err != nil || !bytes.Equal(again, text) {
		t.Errorf("the file that was there is now %q", again)
	}
	if code, said, _ := try(t, "no\nno\nno\n", "admin", "app", "new"); code != 1 || !strings.Contains(said, "About") {
		t.Errorf("three wrong tries ended with %d: %s", code, said)
	}
	if code, _, _ := try(t, " ", "admin", "app", "new"); code != 1 {
		t.Errorf("no answer ended with %d", code)
	}
}

// TestAppNewBroker: the App that people connect at an access service has its
// callback, a secret and no key.
func TestAppNewBroker(t *testing.T) {
	_, said, _ := try(t, "x\n", "admin", "app", "new", "--broker", "https://daypass.example.org/services/daypass", "--org", "river-lab")
	u := link(t, said)
	for key, want := range map[string]string{
		"callback_urls[]": "https://daypass.example.org/services/daypass/oauth/github/github.com/callback", "contents": "write", "metadata": "read", "public": "true",
		"webhook_active": "false", "request_oauth_on_install": "false", "url": "https://daypass.example.org/services/daypass/", "name": "push from daypass.example.org",
	} {
		if got := u.Query().Get(key); got != want {
			t.Errorf("%s = %q, want %q", key, got, want)
		}
	}
	for _, want := range []string{"Expire user authorization tokens", "Enable Device Flow", "Generate a new client secret", "Make no private key", "client_secrets: [file:", "app check"} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	if strings.Contains(said, "Paste the Client ID") {
		t.Error("it asks for what belongs elsewhere")
	}
	_, said, _ = try(t, "", "admin", "app", "new", "--broker", "https://d.example.org", "--host", "ghes.example:8443")
	if got := link(t, said).Query().Get("callback_urls[]"); got != "https://d.example.org/oauth/github/ghes.example:8443/callback" {
		t.Errorf("the callback is %s", got)
	}
	for _, bad := range []string{"http://daypass.example.org", "daypass.example.org", "https://u:p@x.example/", "https://x.example/?q", "javascript:1", ""} {
		if code, said, _ := try(t, "", "admin", "app", "new", "--broker", bad); bad != "" && code != 2 {
			t.Errorf("%q ended with %d: %s", bad, code, said)
		}
	}
}

// TestAppNewContent: the App for content reads, has a key, and nobody connects it.
func TestAppNewContent(t *testing.T) {
	_, said, _ := try(t, "x\n", "admin", "app", "new", "--content", "--org", "uni")
	q := link(t, said).Query()
	if q.Get("contents") != "read" || q.Get("metadata") != "read" || q.Get("public") != "false" || q.Has("callback_urls[]") || !strings.HasPrefix(q.Get("name"), "content for ") {
		t.Errorf("the link has %v", q)
	}
	for _, want := range []string{"Generate a private key", "no client secret", "push:", "content:", "key: file:"} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	if code, _, _ := try(t, "", "admin", "app", "new", "--content", "--broker", "https://x.example"); code != 2 {
		t.Error("both at once are taken")
	}
}
