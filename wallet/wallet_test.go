package wallet

import (
	"os"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
)

var now = time.Unix(1_800_000_000, 0)

func env(m map[string]string) func(string) string { return func(k string) string { return m[k] } }

// named is the options of a wallet in dir.
func named(dir string) Options {
	return Options{Getenv: env(map[string]string{"DAYPASS_RUNTIME_DIR": dir}), UID: os.Geteuid(), Now: func() time.Time { return now }}
}

func entry(repo string, change ...func(*Entry)) Entry {
	e := Entry{
		Authority: Login, Scheme: "https", Origin: "login", ProviderName: "GitHub",
		Credential: daypass.Credential{
			Scope:   daypass.Scope{Host: "github.com", Access: daypass.Write, Until: now.Add(8 * time.Hour).UTC()},
			Account: "octocat", Username: "x-access-token", Token: daypass.NewSecret("ghu_" + repo + "0123456789abcdef"),
		},
		WebURL: "https://github.com", APIURL: "https://api.github.com", AppURL: "https://github.com/apps/x", ClientID: "Iv23li0123",
	}
	if repo == "" {
		e.Credential.Scope.All = true
	} else {
		r, _ := daypass.ParseRepo(repo)
		e.Credential.Scope.Repos = []daypass.Repo{r}
	}
	for _, f := range change {
		f(&e)
	}
	return e
}

func want(repo string) Want {
	w := Want{Authority: Login, Scheme: "https", Scope: daypass.Scope{Host: "github.com", Access: daypass.Read, All: repo == ""}}
	if repo != "" {
		r, _ := daypass.ParseRepo(repo)
		w.Scope.Repos = []daypass.Repo{r}
	}
	return w
}

func mustOpen(t *testing.T, o Options) *Wallet {
	t.Helper()
	w, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestRoundTrip(t *testing.T) {
	dir := t.TempDir() + "/w"
	w := mustOpen(t, named(dir))
	for _, e := range []Entry{entry(""), entry("o/a"), entry("o/b")} {
		if err := w.Put(e); err != nil {
			t.Fatal(err)
		}
	}
	e, ok, err := mustOpen(t, named(dir)).Find(want("O/A"))
	if err != nil || !ok || e.Credential.Token.Reveal() != entry("o/a").Credential.Token.Reveal() {
		t.Errorf("Find = %+v, %v, %v; want the entry for o/a", e, ok, err)
	}
}
