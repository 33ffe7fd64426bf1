package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/devpitest"
	"github.com/daypass-dev/daypass/internal/process"
	"github.com/daypass-dev/daypass/pass"
)

// TestGatewayAlone: "daypass serve" with a gateway only, on a real devpi-server
// without a plugin.
func TestGatewayAlone(t *testing.T) {
	s := newShop(t, devpitest.Options{}, "  self_test: root\nmetrics_token: env:METRICS")
	s.edit("env:METRICS", "file:"+s.file("etc/metrics", "metrics-token-123"))
	s.serve()
	api := s.api()
	alice := api.AddUser(t, "alice", "secret")
	token := api.Token(t, alice, "alice", map[string]any{"allowed": []string{"upload", "pkg_read"}, "indexes": []string{"alice/dev"}, "projects": []string{"data"}})
	if r := api.Upload(t, devpitest.Bearer(token), "alice/dev", devpitest.Wheel("data", "1.0")); r.Status != http.StatusOK {
		t.Fatalf("an upload: %d %s", r.Status, r.Message())
	}
	if r := api.Upload(t, devpitest.Bearer(token), "alice/dev", devpitest.Wheel("other", "1.0")); r.Status != http.StatusForbidden || !strings.Contains(r.Message(), "other") {
		t.Fatalf("another project: %d %s", r.Status, r.Message())
	}
	if status, text := s.get("+daypass/healthz", nil); status != http.StatusOK || !strings.Contains(text, "ok") {
		t.Errorf("healthz: %d %s", status, text)
	}
	if status, _ := s.get("+daypass/metrics", nil); status != http.StatusUnauthorized {
		t.Errorf("metrics without the token: %d", status)
	}
	if status, text := s.get("+daypass/metrics", http.Header{"Authorization": {"Bearer metrics-token-123"}}); status != http.StatusOK || !strings.Contains(text, "daypass_") {
		t.Errorf("metrics: %d", status)
	}
	if status, _ := s.get("_/oidc/audience", nil); status == http.StatusOK {
		t.Errorf("an exchange that is not there: %d", status)
	}
	// A user may be called "_": nothing of theirs is hidden.
	low := api.AddUser(t, "_", "secret")
	for _, name := range []string{"healthz", "readyz", "metrics", "oidc"} {
		api.AddIndex(t, low, "_/"+name, nil)
		if status, text := s.get("_/"+name, http.Header{"Accept": {"application/json"}}); status != http.StatusOK || !strings.Contains(text, `"indexconfig"`) {
			t.Errorf("the index _/%s: %d %s", name, status, text)
		}
	}
	if r := api.Upload(t, low, "_/oidc", devpitest.Wheel("audience", "1.0")); r.Status != http.StatusOK {
		t.Errorf("a project called audience: %d", r.Status)
	}
	if status, text := s.get("_/oidc/audience", http.Header{"Accept": {"application/json"}}); status != http.StatusOK || !strings.Contains(text, `"1.0"`) {
		t.Errorf("a project called audience: %d %s", status, text)
	}
	// What was done is in the record, with the pass that did it.
	code, said := s.admin("events", "--kind", "gateway")
	if code != 0 || strings.Count(said, "\n") < 2 || !strings.Contains(said, "alice/dev data") || !strings.Contains(said, "refused") {
		t.Errorf("events: %d\n%s", code, said)
	}
	if strings.Contains(said, token) {
		t.Error("the record holds the token")
	}
	if code, said := s.admin("check"); code != 0 {
		t.Errorf("check: %d\n%s", code, said)
	}
	if code, said := s.admin("events", "verify"); code != 0 {
		t.Errorf("verify: %d\n%s", code, said)
	}
}

// TestNamedToken: a token has a label, and its owner's list says when it was made and
// how often it was used. devpi-tokens' own client passes that over.
func TestNamedToken(t *testing.T) {
	s := newShop(t, devpitest.Options{}, "")
	s.serve()
	api := s.api()
	alice := api.AddUser(t, "alice", "secret")
	token := api.Token(t, alice, "alice", map[string]any{"allowed": []string{"upload"}, "label": " nightly\tbuild\u001b "})
	if r := api.Upload(t, devpitest.Bearer(token), "alice/dev", devpitest.Wheel("data", "1.0")); r.Status != http.StatusOK {
		t.Fatalf("%d %s", r.Status, r.Message())
	}
	if r := api.Send(t, http.MethodGet, "alice/dev", devpitest.Bearer(token), nil); r.Status != http.StatusForbidden { // which does not count
		t.Fatalf("%d %s", r.Status, r.Message())
	}
	var list struct {
		Tokens map[string]struct {
			Label                string
			Created, Used, Until time.Time
			Uses                 int
		}
	}
	api.Must(t, http.MethodGet, "alice/+tokens", alice, nil).Result(t, &list)
	for _, k := range list.Tokens {
		if k.Label != "nightly build" || time.Since(k.Created).Abs() > time.Minute || k.Used.Before(k.Created) || k.Until.Before(time.Now().AddDate(0, 11, 0)) || k.Uses != 1 {
			t.Errorf("%+v", k)
		}
	}
	if len(list.Tokens) != 1 {
		t.Errorf("%+v", list)
	}
	if code, said := s.admin("passes", "list", "alice"); code != 0 || !strings.Contains(said, " nightly build ") {
		t.Errorf("%d %s", code, said)
	}
	if code, said := s.admin("events", "--kind", "pass"); code != 0 || !strings.Contains(said, "called “nightly build”") {
		t.Errorf("%d %s", code, said)
	}
	desk := devpitest.NewDesk(t)
	for _, args := range [][]string{{"use", api.URL + "alice/dev"}, {"login", "alice", "--password", "secret"}, {"token-list"}} {
		o := desk.Tokens(args...)
		if o.Code != 0 {
			t.Fatal(o.All())
		}
		if args[0] == "token-list" && (!strings.Contains(o.All(), "allowed=upload") || strings.Contains(o.All(), "nightly")) {
			t.Errorf("devpi-tokens lists:\n%s", o.All())
		}
	}
}

// TestUntriedKey: where nobody is named as whom devpi could be asked, the check does
// not say that all is well, whether the key is right or wrong.
func TestUntriedKey(t *testing.T) {
	s, _ := newFakeShop(t, "")
	s.serve()
	for _, key := range []string{"", "another key, yes"} {
		if key != "" {
			s.file("etc/devpi.key", string(marshalKey([]byte(key))))
		}
		code, said := s.admin("check")
		if code != 0 || !regexp.MustCompile(`(?m)^note +devpi +answers in .* was not tried`).MatchString(said) || !strings.Contains(said, "under gateway.self_test") ||
			strings.Contains(said, "is well") || !strings.HasSuffix(said, "\nNothing is red, but whether devpi takes the gateway's key was not tried.\n") {
			t.Errorf("key %q: %d\n%s", key, code, said)
		}
	}
	var lines []checkLine
	if code, said := s.admin("check", "--json"); code != 0 || json.Unmarshal([]byte(said), &lines) != nil ||
		!slices.ContainsFunc(lines, func(l checkLine) bool { return l.Name == "devpi" && l.State == "note" }) {
		t.Errorf("in JSON: %d\n%s", code, said)
	}
}

// TestNameChangesHands: a user is deleted past the gateway, and somebody else gets
// the name within moments. None of the first's tokens is the second's, for good:
// none that was made here, none that was taken over, none that is listed.
func TestNameChangesHands(t *testing.T) {
	s := newShop(t, devpitest.Options{Plugin: true}, "")
	first := s.devpi.AddUser(t, "alice", "secret")
	theirs := s.devpi.Token(t, first, "alice", map[string]any{"allowed": []string{"upload"}})
	late := s.devpi.Token(t, first, "alice", map[string]any{"allowed": []string{"upload"}})
	if code, said := s.admin("devpi-import", "--export", s.devpi.Export(), "--secretfile", s.devpi.SecretFile,
		"--argon2-time-cost", fmt.Sprint(devpitest.TimeCost), "--argon2-memory-cost", fmt.Sprint(devpitest.MemoryCost)); code != 0 {
		t.Fatal(said)
	}
	s.serve()
	api := s.api()
	made := api.Token(t, first, "alice", map[string]any{"allowed": []string{"upload"}})
	version := 0
	upload := func(token string) devpitest.Reply {
		version++
		return api.Upload(t, devpitest.Bearer(token), "alice/dev", devpitest.Wheel("data", fmt.Sprint(version)))
	}
	for _, token := range []string{theirs, made} {
		if r := upload(token); r.Status != http.StatusOK {
			t.Fatalf("the first's own: %d %s", r.Status, r.Message())
		}
	}
	time.Sleep(time.Second) // devpi notes whole seconds
	if r := s.devpi.Send(t, http.MethodDelete, "alice", s.devpi.AsRoot(), nil); r.Status >= 300 {
		t.Fatal(r.Status, r.Message())
	}
	second := s.devpi.AddUser(t, "alice", "another")
	fresh := api.Token(t, second, "alice", map[string]any{"allowed": []string{"upload"}})
	if r := api.Send(t, http.MethodGet, "alice/+tokens", second, nil); r.Status != http.StatusOK || strings.Count(string(r.Body), `"restrictions"`) != 1 {
		t.Errorf("the second's tokens: %d %s", r.Status, r.Body)
	}
	if r := upload(fresh); r.Status != http.StatusOK {
		t.Errorf("the second's own: %d %s", r.Status, r.Message())
	}
	for what, token := range map[string]string{"made here": made, "taken over": theirs, "taken over, and not used before": late} {
		for range 2 {
			if r := upload(token); r.Status != http.StatusForbidden || !strings.Contains(r.Message(), "not accepted") {
				t.Errorf("%s: %d %s", what, r.Status, r.Message())
			}
		}
	}
	if r := upload(fresh); r.Status != http.StatusOK {
		t.Errorf("the second's own, after those: %d %s", r.Status, r.Message())
	}
}

// TestGatewayConfig: what a gateway alone needs is named where it is missing, and
// what is a hub's is not passed over.
func TestGatewayConfig(t *testing.T) {
	const whole = "store: sqlite:/x/y\nkeys: file:/k\ngateway:\n  url: https://pypi.example.org/\n  upstream: http://127.0.0.1:3141/\n  key: file:/d\n"
	for name, c := range map[string]struct{ from, to, says string }{
		"whole":             {"", "", ""},
		"no store":          {"store: sqlite:/x/y\n", "", "store is missing"},
		"no keys":           {"keys: file:/k\n", "", "keys is missing"},
		"no url":            {"  url: https://pypi.example.org/\n", "", "gateway.url is missing"},
		"no upstream":       {"  upstream: http://127.0.0.1:3141/\n", "", "gateway.upstream is missing"},
		"no key":            {"  key: file:/d\n", "", "gateway.key is missing"},
		"two ways":          {"  key: file:/d\n", "  key: file:/d\n  service_account: {user: robot}\n", "two ways"},
		"account alone":     {"  key: file:/d\n", "  service_account: {user: robot}\n", "service_account.password is missing"},
		"a mode":            {"  key: file:/d\n", "  key: file:/d\n  mode: loose\n", "gateway.mode"},
		"a name":            {"  key: file:/d\n", "  key: file:/d\n  name: my-index\n", "gateway.name"},
		"a key of a hub":    {"gateway:", "rules: []\ngateway:", "rules is about a hub"},
		"listen":            {"gateway:", "listen: 127.0.0.1:1\ngateway:", "listen belongs below gateway"},
		"half a hub":        {"gateway:", "url: https://hub.example/\ngateway:", "hub.url is missing"},
		"exchange, nothing": {"gateway:", "exchange: {}\ngateway:", "exchange.audience"},
		"a pass at no hub": {"gateway:", "exchange: {audience: x, issuers: [{name: a, kind: github}], rules: [{name: r, gives: {hub: {as: x}}}]}\ngateway:",
			"is not in front of"},
		"a hub without api": {"gateway:", "exchange: {audience: x, issuers: [{name: a, kind: jupyterhub}]}\ngateway:", "api, service or token is missing"},
		"proxies":           {"  key: file:/d\n", "  key: file:/d\n  proxies: [here]\n", "gateway.proxies"},
		"an unknown key":    {"  key: file:/d\n", "  key: file:/d\n  secretfile: /d\n", "there is no key secretfile here"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "server.yaml")
			if err := os.WriteFile(path, []byte(strings.Replace(whole, c.from, c.to, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			// A hub's variables do not make a hub's service of it.
			s := &app{getenv: func(k string) string { return map[string]string{"JUPYTERHUB_API_URL": "http://x/hub/api"}[k] }}
			conf, err := s.readConfig(path)
			if c.says == "" {
				if err != nil || !conf.hubless || conf.Gateway.Listen != gatewayListen || conf.Gateway.Mode != "strict" {
					t.Fatalf("%+v %v", conf, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("want %q, got %v", c.says, err)
			}
		})
	}
}

// TestGatewayKey: the key is devpi's own, and is made of nothing that others read.
func TestGatewayKey(t *testing.T) {
	s := newShopTo(t, "http://127.0.0.1:9/", "")
	secret := s.file("etc/secret", strings.Repeat("0123456789", 4)+"\n")
	out := filepath.Join(s.dir, "etc/devpi.key")
	costs := []string{"--argon2-time-cost", fmt.Sprint(devpitest.TimeCost), "--argon2-memory-cost", fmt.Sprint(devpitest.MemoryCost)}
	run := func(args ...string) (int, string) {
		return s.admin(append(append([]string{"devpi-key"}, args...), costs...)...)
	}
	for name, mode := range map[string]os.FileMode{"group": 0o640, "others": 0o604, "all": 0o644} {
		if err := os.Chmod(secret, mode); err != nil {
			t.Fatal(err)
		}
		if code, said := run("--secretfile", secret, "--output", out); code == 0 || !strings.Contains(said, "chmod 600") || !strings.Contains(said, "DP-947") {
			t.Errorf("a secret that %s read: %d %s", name, code, said)
		}
	}
	if err := os.Chmod(secret, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _ := run("--secretfile", s.file("etc/short", "short"), "--output", out); code == 0 {
		t.Error("a short secret")
	}
	if code, said := run("--secretfile", secret, "--output", out); code != 0 || strings.Contains(said, "0123456789") {
		t.Fatalf("%d %s", code, said)
	}
	st, err := os.Stat(out)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	if code, _ := run("--secretfile", secret, "--output", out); code == 0 {
		t.Error("it wrote over a file")
	}
	a := s.app(s.log)
	got, err := a.acting(&gatewayConfig{Key: "file:" + out})
	if err != nil || got.Key.Reveal() != string(devpitest.SessionKey(strings.Repeat("0123456789", 4)+"\n")) {
		t.Errorf("the key is not devpi's: %v", err)
	}
	if _, err := a.acting(&gatewayConfig{Key: "file:" + secret}); err == nil || !strings.Contains(err.Error(), "devpi-key") {
		t.Errorf("devpi's own secret as a key: %v", err)
	}
}

// TestAdminPasses: an admin sees the index's passes and ends one, while the
// gateway runs.
func TestAdminPasses(t *testing.T) {
	s := newShop(t, devpitest.Options{}, "")
	s.serve()
	api := s.api()
	alice := api.AddUser(t, "alice", "secret")
	limits := map[string]any{"allowed": []string{"upload"}}
	first, second := api.Token(t, alice, "alice", limits), api.Token(t, alice, "alice", limits)
	_, said := s.admin("passes", "list", "alice")
	if strings.Count(said, "devpi/alice") != 2 || !strings.Contains(said, "allowed=upload") {
		t.Fatalf("the list:\n%s", said)
	}
	for _, secret := range []string{first, second} {
		if strings.Contains(said, secret) {
			t.Error("the list holds a pass")
		}
	}
	if _, said := s.admin("passes", "list", "bob"); !strings.Contains(said, "No passes") {
		t.Errorf("another's list:\n%s", said)
	}
	id := strings.Fields(strings.Split(said, "\n")[1])[1] // the older one
	if code, said := s.admin("passes", "end", id); code != 0 {
		t.Fatalf("%d %s", code, said)
	}
	if code, said := s.admin("passes", "end", "alice/"+id); code == 0 || !strings.Contains(said, "DP-949") {
		t.Errorf("ended twice: %d %s", code, said)
	}
	if code, _ := s.admin("passes", "end", "nothing"); code == 0 {
		t.Error("ended what is not there")
	}
	upload := func(token string) int {
		return api.Upload(t, devpitest.Bearer(token), "alice/dev", devpitest.Wheel("data", "1.0")).Status
	}
	s.eventually("the ended pass is refused", func() bool { return upload(first) == http.StatusForbidden })
	if got := upload(second); got != http.StatusOK {
		t.Errorf("the other one: %d", got)
	}
	if _, said := s.admin("events", "--pass", "alice/"+id); !strings.Contains(said, "pass-end") || !strings.Contains(said, "on the command line") {
		t.Errorf("the record:\n%s", said)
	}
}

// TestDevpiImport: tokens of a real devpi-tokens go on working through the gateway
// in front of the same index, and so do those derived from them.
func TestDevpiImport(t *testing.T) {
	s := newShop(t, devpitest.Options{Plugin: true}, "")
	alice := s.devpi.AddUser(t, "alice", "secret")
	plain := s.devpi.Token(t, alice, "alice", map[string]any{"allowed": []string{"upload", "pkg_read"}, "indexes": []string{"alice/dev"}})
	ended := s.devpi.Token(t, alice, "alice", map[string]any{"allowed": []string{"upload"}})
	odd := s.devpi.Export()
	costs := []string{"--argon2-time-cost", fmt.Sprint(devpitest.TimeCost), "--argon2-memory-cost", fmt.Sprint(devpitest.MemoryCost)}
	run := func(dir string, more ...string) (int, string) {
		args := append([]string{"devpi-import", "--export", dir, "--secretfile", s.devpi.SecretFile}, costs...)
		return s.admin(append(args, more...)...)
	}
	if code, said := run(t.TempDir()); code == 0 || !strings.Contains(said, "DP-948") {
		t.Errorf("no export: %d %s", code, said)
	}
	code, said := run(odd)
	if code != 0 || !strings.Contains(said, "Took over 2 tokens") || strings.Contains(said, s.devpi.Options.Secret) {
		t.Fatalf("%d %s", code, said)
	}
	if code, said := run(odd); code != 0 || !strings.Contains(said, "2 were here already") {
		t.Errorf("again: %d %s", code, said)
	}
	s.serve()
	api := s.api()
	if r := api.Upload(t, devpitest.Bearer(plain), "alice/dev", devpitest.Wheel("data", "1.0")); r.Status != http.StatusOK {
		t.Errorf("an upload: %d %s", r.Status, r.Message())
	}
	p, err := pass.Parse(daypass.NewSecret(plain))
	if err != nil {
		t.Fatal(err)
	}
	if p, err = p.Narrow("projects=other"); err != nil {
		t.Fatal(err)
	}
	narrowed := p.Text(pass.Devpi).Reveal()
	if r := api.Upload(t, devpitest.Bearer(narrowed), "alice/dev", devpitest.Wheel("data", "1.1")); r.Status != http.StatusForbidden {
		t.Errorf("one that was derived, elsewhere: %d %s", r.Status, r.Message())
	}
	if r := api.Upload(t, devpitest.Bearer(narrowed), "alice/dev", devpitest.Wheel("other", "1.1")); r.Status != http.StatusOK {
		t.Errorf("one that was derived: %d %s", r.Status, r.Message())
	}
	_, list := s.admin("passes", "list", "alice")
	id := ""
	for _, line := range strings.Split(list, "\n") {
		if strings.Contains(line, "allowed=upload expires") {
			id = strings.Fields(line)[1]
		}
	}
	if code, said := s.admin("passes", "end", "alice/"+id); code != 0 {
		t.Fatalf("%d %s", code, said)
	}
	s.eventually("an imported token is ended", func() bool {
		return api.Upload(t, devpitest.Bearer(ended), "alice/dev", devpitest.Wheel("data", "2.0")).Status == http.StatusForbidden
	})
	// Taken over again, what was ended stays so.
	run(odd)
	if r := api.Upload(t, devpitest.Bearer(ended), "alice/dev", devpitest.Wheel("data", "2.0")); r.Status != http.StatusForbidden {
		t.Errorf("ended, taken over again: %d", r.Status)
	}
}

// TestDevpiImportSays: what cannot be taken over is named, with the reason.
func TestDevpiImportSays(t *testing.T) {
	s := newShopTo(t, "http://127.0.0.1:9/", "")
	dir := t.TempDir()
	const key = "HgDoKrDTvDey1ba--h4D9bh2nwElY9bseWw98fxQcTA"
	text := `{"users": {"alice": {"tokens": {
"QMTXmWGm": {"key": "` + key + `", "restrictions": ["expires=4102444800"]},
"over2345": {"key": "` + key + `", "restrictions": ["expires=1000"]},
"short234": {"key": "c2hvcnQ", "restrictions": ["expires=never"]},
"odd23456": {"key": "` + key + `", "restrictions": ["colour=blue"]},
"long23456": {"key": "` + key + `", "restrictions": []},
"null2345": null}}, "root": {}}}`
	if err := os.WriteFile(filepath.Join(dir, "dataindex.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	secret := s.file("etc/secret", strings.Repeat("0123456789", 4))
	code, said := s.admin("devpi-import", "--export", dir, "--secretfile", secret, "--argon2-memory-cost", "64", "--argon2-time-cost", "1")
	if code != 0 || !strings.Contains(said, "Took over 1 token;") || !strings.Contains(said, "Left, 5 tokens") {
		t.Fatalf("%d %s", code, said)
	}
	for id, why := range map[string]string{"over2345": "ended already", "short234": "its key", "odd23456": "colour=blue", "long23456": "cannot be in a pass", "null2345": "its key"} {
		found := false
		for _, line := range strings.Split(said, "\n") {
			found = found || strings.Contains(line, id) && strings.Contains(line, why)
		}
		if !found {
			t.Errorf("%s: it does not say %q", id, why)
		}
	}
	if err := os.Chmod(secret, 0o644); err != nil {
		t.Fatal(err)
	}
	if code, said := s.admin("devpi-import", "--export", dir, "--secretfile", secret); code == 0 || !strings.Contains(said, "chmod 600") {
		t.Errorf("a secret that others read: %d %s", code, said)
	}
}

// TestGatewayAdmin: what is a hub's says so where there is only a gateway, and a
// backup is not taken back under a gateway that runs.
func TestGatewayAdmin(t *testing.T) {
	s, index := newFakeShop(t, "")
	index.AddUser("alice", "secret")
	backup := filepath.Join(t.TempDir(), "backup")
	stop := s.serve()
	for _, args := range [][]string{{"user", "revoke", "alice"}, {"user", "allow", "alice"}, {"app", "probe", "--user", "alice"}} {
		if code, said := s.admin(args...); code == 0 || !strings.Contains(said, "DP-909") {
			t.Errorf("%q: %d %s", args, code, said)
		}
	}
	for _, args := range [][]string{{"user", "show", "alice"}, {"policy", "explain", "--user", "alice", "github.com/a/b"}, {"app", "check"}, {"why", "NONE-1"}} {
		s.admin(args...) // whatever they say, they end
	}
	if code, said := s.admin("backup", backup); code != 0 {
		t.Fatalf("%d %s", code, said)
	}
	s.edit("/store/daypass.db", "/store/other.db")
	if code, said := s.admin("restore", backup); code == 0 || !strings.Contains(said, "the service runs") {
		t.Errorf("a restore under a running gateway: %d %s", code, said)
	}
	stop()
	if code, said := s.admin("restore", backup); code != 0 {
		t.Errorf("%d %s", code, said)
	}
	// With a key that devpi does not take it does not start.
	s.file("etc/devpi.key", string(marshalKey([]byte("another key, yes"))))
	s.edit("  upstream:", "  self_test: alice\n  upstream:")
	if err := s.app(s.log).serve(t.Context(), s.config); err == nil || !strings.Contains(err.Error(), "DP-") {
		t.Errorf("with a key that devpi does not take: %v", err)
	}
	if code, said := s.admin("check"); code == 0 || !strings.Contains(said, "RED") || !strings.Contains(said, "devpi-key") && !strings.Contains(said, "key") {
		t.Errorf("check: %d %s", code, said)
	}
}

// TestGatewayHere: a name in the current folder is good for "serve" as it is for the
// admin's commands.
func TestGatewayHere(t *testing.T) {
	s, _ := newFakeShop(t, "")
	t.Chdir(s.dir)
	s.config = "etc/server.yaml"
	s.serve()
	if code, said := s.admin("check"); code != 0 || !strings.Contains(said, filepath.Join(s.dir, "etc/server.yaml")+" is understood") {
		t.Errorf("%d\n%s", code, said)
	}
}

// TestGatewayWords: whoever runs a gateway alone is not told of an access service.
func TestGatewayWords(t *testing.T) {
	s, _ := newFakeShop(t, "")
	text, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ from, to, says string }{
		"no configuration":                {string(text), "", "DP-903"},
		"a word too many":                 {"gateway:", "gatway: 1\ngateway:", "DP-902"},
		"no keys":                         {"etc/keys.json", "etc/no.json", "DP-906"},
		"a key that is no key of devpi's": {"etc/devpi.key", "etc/keys.json", "DP-9"},
		"no store":                        {"sqlite:" + s.dir + "/store/", "sqlite:" + s.dir + "/nowhere/", "DP-9"},
		"a port of another's":             {"listen: " + s.listen, "listen: 192.0.2.1:1", "DP-908"},
	} {
		s.file("etc/server.yaml", strings.Replace(string(text), c.from, c.to, 1))
		err := s.app(s.log).serve(t.Context(), s.config)
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "access service") {
			t.Errorf("%s: %v", name, err)
		}
		if code, said := s.admin("check"); name != "a port of another's" && (code == 0 || strings.Contains(said, "access service")) {
			t.Errorf("%s: %d %s", name, code, said)
		}
	}
	if err := os.Remove(s.config); err != nil {
		t.Fatal(err)
	}
	if err := s.app(s.log).serve(t.Context(), s.config); err == nil || !strings.Contains(err.Error(), "DP-901") || strings.Contains(err.Error(), "access service") {
		t.Errorf("none: %v", err)
	}
}

// TestGatewayBesideHub: one configuration runs a hub's access service and a
// gateway, each at its own address, and neither takes the other's passes.
func TestGatewayBesideHub(t *testing.T) {
	s, index := newFakeShop(t, "")
	index.AddUser("alice", "secret")
	text, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "gateway:")
	o := newOffice(t, "gateway:"+section)
	o.serve()
	api := devpitest.API{URL: s.url, Root: "a root"}
	token := api.Token(t, devpitest.User("alice", "secret"), "alice", map[string]any{"allowed": []string{"upload"}})
	if r := api.Upload(t, devpitest.Bearer(token), "alice/dev", devpitest.Wheel("data", "1.0")); r.Status != http.StatusOK {
		t.Errorf("an upload: %d %s", r.Status, r.Message())
	}
	for _, text := range []string{token, strings.Replace(token, "devpi-", "daypass_", 1)} {
		if status, said, err := o.request(text, "river-lab/data"); err != nil || status < 400 {
			t.Errorf("the hub's service takes a pass of the index: %d %s %v", status, said, err)
		}
	}
	if code, said := o.admin("passes", "list"); code != 0 || !strings.Contains(said, "devpi/alice") {
		t.Errorf("%d %s", code, said)
	}
	code, said := o.admin("check")
	if !strings.Contains(said, "in the mode strict") || !strings.Contains(said, "hub ") {
		t.Errorf("check: %d %s", code, said)
	}
}

// TestGatewayWithoutDevpi: the gateway starts while devpi is away, and says so in
// words to whoever asks.
func TestGatewayWithoutDevpi(t *testing.T) {
	s := newShopTo(t, "http://"+process.FreeAddress(t)+"/", "  self_test: alice")
	s.file("etc/devpi.key", string(marshalKey([]byte("0123456789abcdef"))))
	s.serve()
	if status, text := s.get("alice/dev/+simple/data/", http.Header{"Accept": {"application/json"}}); status != http.StatusServiceUnavailable || !strings.Contains(text, "cannot be reached") {
		t.Errorf("%d %s", status, text)
	}
	if code, said := s.admin("check"); code == 0 || !strings.Contains(said, "Start devpi-server") {
		t.Errorf("check: %d %s", code, said)
	}
}
