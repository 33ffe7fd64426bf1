package main

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/wallet"
)

const artifactToken = "ghu_ownlogin0123456789"

// artifactLogin is a login of octo's for a repository.
func artifactLogin(host, repo string, with func(*wallet.Entry)) wallet.Entry {
	r, _ := daypass.ParseRepo(repo)
	e := wallet.Entry{
		Authority: wallet.Login, Scheme: "https", Origin: "login", ProviderName: "GitHub", WebURL: "https://" + host,
		Credential: daypass.Credential{
			Scope: daypass.Scope{Host: host, Repos: []daypass.Repo{r}, Access: daypass.Write, Until: time.Now().Add(time.Hour)}, Username: "x-access-token", Account: "octo", Token: daypass.NewSecret(artifactToken),
		},
	}
	if with != nil {
		with(&e)
	}
	return e
}

// artifactSite has artifact 7 of a public repository and 8 of a private one; 9 has
// expired, and 10 is too large.
func artifactSite(t *testing.T) *fake.Artifacts {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	f, err := z.Create("report.txt")
	if err == nil {
		_, err = f.Write([]byte("all passed\n"))
	}
	if err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	return fake.NewArtifacts(artifactToken, []fake.ActionsArtifact{
		{Repo: "octo/course", Number: 7, Name: "report", Zip: b.String()}, {Repo: "octo/secret", Number: 8, Name: "report", Zip: b.String(), Private: true},
		{Repo: "octo/course", Number: 9, Name: "over", Zip: b.String(), Expired: true}, {Repo: "octo/course", Number: 10, Name: "large", Zip: b.String(), Size: 3 << 30},
	}, nil, nil)
}

func artifactAt(repo, number string) string {
	return "https://github.com/" + repo + "/actions/runs/77/artifacts/" + number
}

// TestArtifactLogin: an artifact is read by the user's own login, which is sent to
// GitHub's API alone: one of a private repository by a login that covers it, and by no
// other. To look, with "resolve", is no way round that.
func TestArtifactLogin(t *testing.T) {
	const hub, access = "the server's token", "https://hub.example/services/daypass/"
	open, private := artifactAt("octo/course", "7"), artifactAt("octo/secret", "8")
	from := func(origin string) func(*wallet.Entry) { return func(e *wallet.Entry) { e.Origin = origin } }
	other := func(to daypass.Scope) func(*wallet.Entry) {
		return func(e *wallet.Entry) {
			e.Credential.Scope, e.Credential.Token = to, daypass.NewSecret("ghu_wider0123456789")
		}
	}
	all := daypass.Scope{Host: "github.com", All: true, Access: daypass.Write, Until: time.Now().Add(time.Hour)}
	for name, c := range map[string]struct {
		logins  []wallet.Entry
		address string
		says    string // "": it is brought
		service bool   // there is one, and this is a server of the hub
	}{
		"own":                         {logins: []wallet.Entry{artifactLogin("github.com", "octo/course", nil)}, address: open},
		"own, private":                {logins: []wallet.Entry{artifactLogin("github.com", "octo/secret", nil)}, address: private},
		"in other letters":            {logins: []wallet.Entry{artifactLogin("github.com", "Octo/Secret", nil)}, address: private},
		"for another repository":      {logins: []wallet.Entry{artifactLogin("github.com", "octo/other", nil)}, address: open},
		"the narrow one":              {logins: []wallet.Entry{artifactLogin("github.com", "octo/other", other(all)), artifactLogin("github.com", "octo/secret", nil)}, address: private},
		"for another one, private":    {logins: []wallet.Entry{artifactLogin("github.com", "octo/other", nil)}, address: private, says: "DP-442"},
		"for a name that begins so":   {logins: []wallet.Entry{artifactLogin("github.com", "octo/secret-answers", nil)}, address: private, says: "DP-442"},
		"none":                        {address: open, says: "DP-102"},
		"none, private":               {address: private, says: "DP-442"},
		"another host's":              {logins: []wallet.Entry{artifactLogin("ghes.example", "octo/course", nil)}, address: open, says: "DP-102"},
		"of another host":             {logins: []wallet.Entry{artifactLogin("ghes.example", "octo/course", nil)}, address: "artifact:ghes.example/octo/course/7", says: "DP-452"},
		"of odd names":                {logins: []wallet.Entry{artifactLogin("github.com", "octo/course", nil)}, address: "artifact:github.com/octo/course/../7", says: "DP-"},
		"over":                        {logins: []wallet.Entry{artifactLogin("github.com", "octo/course", func(e *wallet.Entry) { e.Credential.Scope.Until = time.Now().Add(2 * time.Second) })}, address: open, says: "DP-10"},
		"of the service":              {logins: []wallet.Entry{artifactLogin("github.com", "octo/course", from(fromService))}, address: open, says: "DP-102"},
		"of the environment":          {logins: []wallet.Entry{artifactLogin("github.com", "octo/course", from("env"))}, address: open, says: "DP-102"},
		"a pass":                      {logins: []wallet.Entry{artifactLogin("github.com", "octo/course", from(fromPass))}, address: open, says: "DP-102"},
		"another purpose":             {logins: []wallet.Entry{artifactLogin("github.com", "octo/course", func(e *wallet.Entry) { e.Authority = wallet.PresentedBy(access, "p") })}, address: open, says: "DP-102"},
		"beside a service":            {logins: []wallet.Entry{artifactLogin("github.com", "octo/secret", func(e *wallet.Entry) { e.Authority = wallet.PresentedBy(access, hub) })}, address: private, service: true},
		"beside a service, and of it": {logins: []wallet.Entry{artifactLogin("github.com", "octo/secret", func(e *wallet.Entry) { e.Authority, e.Origin = wallet.PresentedBy(access, hub), fromService })}, address: private, service: true, says: "DP-442"},
		"expired":                     {logins: []wallet.Entry{artifactLogin("github.com", "octo/course", nil)}, address: artifactAt("octo/course", "9"), says: "DP-443"},
		"expired, and none":           {address: artifactAt("octo/course", "9"), says: "DP-443"},
		"no such":                     {logins: []wallet.Entry{artifactLogin("github.com", "octo/course", nil)}, address: artifactAt("octo/course", "6"), says: "DP-442"},
		"too large":                   {logins: []wallet.Entry{artifactLogin("github.com", "octo/course", nil)}, address: artifactAt("octo/course", "10"), says: "DP-444"},
	} {
		t.Run(name, func(t *testing.T) {
			site := artifactSite(t)
			u := newBench(t, fake.Switches{})
			u.app.sources = fake.Transport(site)
			if c.service {
				u.env["JUPYTERHUB_API_TOKEN"], u.env["DAYPASS_URL"] = hub, access
			}
			for _, e := range c.logins {
				w, err := u.openWallet()
				if err == nil {
					err = w.Put(e)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if name == "over" {
				u.app.now = func() time.Time { return time.Now().Add(time.Minute) }
			}
			covered := slices.ContainsFunc(c.logins, func(e wallet.Entry) bool {
				return c.says == "" && !e.Credential.Scope.All && strings.Contains(strings.ToLower(c.address), strings.ToLower(e.Credential.Scope.Repos[0].String()+"/"))
			})
			u.do("resolve", c.address)
			for _, r := range site.Requests() {
				if r.Host != "api.github.com" || strings.HasSuffix(r.Path, "/zip") || r.Token != "" && c.says != "DP-442" && c.says != "DP-443" && c.says != "DP-444" && !covered {
					t.Errorf("resolve: %s %s%s with %q", r.Method, r.Host, r.Path, r.Token)
				}
			}
			dir := filepath.Join(t.TempDir(), "run")
			if code := u.do("pull", "--dry-run", c.address, dir); (code == 0) != (c.says == "") {
				t.Errorf("a dry run: exit %d: %s", code, u.said())
			}
			if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
				t.Errorf("a dry run brought %v", entries)
			}
			code := u.do("pull", c.address, dir)
			text, _ := os.ReadFile(filepath.Join(dir, "report.txt"))
			if brought := code == 0 && string(text) == "all passed\n"; brought != (c.says == "") || !strings.Contains(u.said(), c.says) || strings.Contains(u.said(), "ghu_") {
				t.Errorf("exit %d, %q: %s", code, text, u.said())
			}
			used := 0
			for _, r := range site.Requests() {
				switch zip := strings.HasSuffix(r.Path, "/zip"); {
				case r.Token == "":
				case r.Host != "api.github.com":
					t.Errorf("%s %s%s with %q", r.Method, r.Host, r.Path, r.Token)
				case strings.Contains(r.Path, "octo/secret") && !covered:
					t.Errorf("%s is asked for with a login for another", r.Path)
				case zip:
					used++
				}
				if c.says != "" && strings.HasSuffix(r.Path, "/zip") {
					t.Errorf("%s was asked for", r.Path)
				}
			}
			if (used > 0) != (c.says == "") {
				t.Errorf("the login was used %d times", used)
			}
		})
	}
}

// TestArtifactAgain: once it has expired, what came of it stays.
func TestArtifactAgain(t *testing.T) {
	site := artifactSite(t)
	u := newBench(t, fake.Switches{})
	u.app.sources = fake.Transport(site)
	w, err := u.openWallet()
	if err == nil {
		err = w.Put(artifactLogin("github.com", "octo/course", nil))
	}
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "run")
	if code := u.do("pull", artifactAt("octo/course", "7"), dir); code != 0 {
		t.Fatalf("exit %d: %s", code, u.said())
	}
	fetched := filepath.Join(t.TempDir(), "fetched")
	if code := u.run(t.Context(), []string{"repoproviders", "fetch", artifactAt("octo/course", "7"), fetched}); code != 0 {
		t.Errorf("under its other name: exit %d: %s", code, u.said())
	}
	if text, err := os.ReadFile(filepath.Join(fetched, "report.txt")); err != nil || string(text) != "all passed\n" {
		t.Errorf("under its other name: %q, %v", text, err)
	}
	site.Expire(7)
	code := u.do("pull", artifactAt("octo/course", "7"), dir)
	if text, err := os.ReadFile(filepath.Join(dir, "report.txt")); code == 0 || !strings.Contains(u.said(), "DP-443") || string(text) != "all passed\n" {
		t.Errorf("exit %d, %q, %v: %s", code, text, err, u.said())
	}
}
