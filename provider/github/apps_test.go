package github_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/provider/github"
)

// TestConfiguration: what cannot work is refused before anything is asked, and
// nothing of a secret is told.
func TestConfiguration(t *testing.T) {
	private, _ := appKey()
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	weak := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(small)}))
	host, err := github.ParseHost("github.com")
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*github.IssuerConfig){
		"no host":            func(c *github.IssuerConfig) { c.Host = github.Host{} },
		"no clock":           func(c *github.IssuerConfig) { c.Now = nil },
		"one App":            func(c *github.IssuerConfig) { c.Content.ClientID = c.Push.ClientID },
		"no client id":       func(c *github.IssuerConfig) { c.Push.ClientID = "" },
		"a number":           func(c *github.IssuerConfig) { c.Push.ClientID = "123456" },
		"no secret":          func(c *github.IssuerConfig) { c.Push.ClientSecrets = nil },
		"an empty secret":    func(c *github.IssuerConfig) { c.Push.ClientSecrets = []daypass.Secret{{}} },
		"a line too many":    func(c *github.IssuerConfig) { c.Push.ClientSecrets[0] = daypass.NewSecret("hush-hush\n") },
		"no key":             func(c *github.IssuerConfig) { c.Content.Key = daypass.Secret{} },
		"no PEM":             func(c *github.IssuerConfig) { c.Content.Key = daypass.NewSecret("hush-hush") },
		"a weak key":         func(c *github.IssuerConfig) { c.Content.Key = daypass.NewSecret(weak) },
		"a foreign link":     func(c *github.IssuerConfig) { c.Push.AppURL = "https://evil.example/apps/x" },
		"a link in the open": func(c *github.IssuerConfig) { c.Push.AppURL = "http://github.com/apps/x" },
		"content's link":     func(c *github.IssuerConfig) { c.Content.AppURL = "https://evil.example/apps/x" },
		"content's number":   func(c *github.IssuerConfig) { c.Content.ClientID = "123456" },
	} {
		c := github.IssuerConfig{
			Host: host, Now: time.Now, Push: github.PushApp{ClientID: fake.CampusPushApp, ClientSecrets: []daypass.Secret{daypass.NewSecret("hush-hush")}},
			Content: &github.ContentApp{ClientID: fake.CampusContentApp, Key: daypass.NewSecret(private)},
		}
		if _, err := github.NewIssuer(c); err != nil {
			t.Fatal(err)
		}
		change(&c)
		i, err := github.NewIssuer(c)
		if !errors.Is(err, daypass.ErrUsage) || problem(err) != "DP-843" || i != nil {
			t.Errorf("%s: %v, an issuer: %v", name, err, i != nil)
			continue
		}
		for _, s := range []string{"hush", weak[40:60], private[40:60]} {
			if strings.Contains(err.Error(), s) {
				t.Errorf("%s: the error holds a secret: %v", name, err)
			}
		}
	}
}

// TestNoSecretPrinted: an issuer shows nothing of its secrets however it is
// printed.
func TestNoSecretPrinted(t *testing.T) {
	b := newBench(t, fake.GitHubCom, "github.com", fake.Switches{}, nil)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		text := fmt.Sprintf(verb, b.issuer)
		for _, s := range []string{fake.CampusPushSecret, fmt.Sprintf("%x", fake.CampusPushSecret), "Primes", "PRIVATE"} {
			if strings.Contains(text, s) {
				t.Errorf("%s shows %q", verb, s)
			}
		}
	}
}

// TestClientSecrets: a secret is replaced without a pause, and one that works
// is remembered.
func TestClientSecrets(t *testing.T) {
	b := newBench(t, fake.GitHubCom, "github.com", fake.Switches{}, func(c *github.IssuerConfig) {
		c.Push.ClientSecrets = []daypass.Secret{daypass.NewSecret("next-year"), daypass.NewSecret(fake.CampusPushSecret)}
	})
	g := b.grant(t)
	for range 3 {
		if live, err := b.issuer.Live(t.Context(), g.Access); err != nil || !live {
			t.Errorf("alive: %v, %v", live, err)
		}
	}
	if n := b.Count("/applications/" + fake.CampusPushApp + "/token"); n != 4 {
		t.Errorf("%d requests, want 4", n)
	}
	b.Update(func(s *fake.Seed) {
		for n := range s.Apps {
			if s.Apps[n].ClientID == fake.CampusPushApp {
				s.Apps[n].ClientSecrets = []string{"next-year"}
			}
		}
	})
	g, err := b.issuer.Refresh(t.Context(), g.Refresh)
	if err != nil {
		t.Fatalf("after the change: %v", err)
	}
	b.Update(func(s *fake.Seed) {
		for n := range s.Apps {
			s.Apps[n].ClientSecrets = []string{"another"}
		}
	})
	for what, ask := range map[string]func() error{
		"live": func() error { _, err := b.issuer.Live(t.Context(), g.Access); return err },
		"narrow": func() error {
			_, err := b.issuer.Narrow(t.Context(), g.Access, reading("github.com", dataRepo))
			return err
		},
		"refresh":    func() error { _, err := b.issuer.Refresh(t.Context(), g.Refresh); return err },
		"revoke":     func() error { return b.issuer.Revoke(t.Context(), g.Access) },
		"disconnect": func() error { return b.issuer.Disconnect(t.Context(), g.Access) },
	} {
		if err := ask(); problem(err) != "DP-840" || errors.Is(err, daypass.ErrSpent) || !errors.Is(err, daypass.ErrRefused) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if n := len(b.LiveTokens()); n != 1 {
		t.Errorf("%d tokens are alive, want 1", n)
	}
}

// TestClocks: a clock that is wrong stops nothing.
func TestClocks(t *testing.T) {
	for _, off := range []time.Duration{0, -10 * time.Minute, 10 * time.Minute, -24 * time.Hour, 24 * time.Hour} {
		b := newBench(t, fake.GitHubCom, "github.com", fake.Switches{}, func(c *github.IssuerConfig) {
			c.Now = func() time.Time { return time.Now().Add(off) }
		})
		for range 2 {
			c, err := b.issuer.IssueAsHub(t.Context(), reading("github.com", homeworkRepo))
			if err != nil {
				t.Fatalf("off by %v: %v", off, err)
			}
			if left := c.Ends.Sub(time.Now().Add(off)); left < 59*time.Minute || left > 61*time.Minute {
				t.Errorf("off by %v: it is said to last %v", off, left)
			}
		}
		if n := b.Count("/repos/uni-course/homework/installation"); n > 2 {
			t.Errorf("off by %v: asked %d times", off, n)
		}
		child, err := b.issuer.Narrow(t.Context(), b.grant(t).Access, reading("github.com", dataRepo))
		if err != nil {
			t.Fatal(err)
		}
		if left := child.Ends.Sub(time.Now().Add(off)); left < 7*time.Hour || left > 9*time.Hour {
			t.Errorf("off by %v: a child is said to last %v", off, left)
		}
	}
}

// TestInstallations: an App that was put elsewhere, taken away or suspended.
func TestInstallations(t *testing.T) {
	b := newBench(t, fake.GitHubCom, "github.com", fake.Switches{}, nil)
	ask := func() error {
		_, err := b.issuer.IssueAsHub(t.Context(), reading("github.com", homeworkRepo))
		return err
	}
	change := func(f func(*fake.Installation)) {
		b.Update(func(s *fake.Seed) {
			for n := range s.Installations {
				if s.Installations[n].App == fake.CampusContentApp {
					f(&s.Installations[n])
				}
			}
		})
	}
	const path = "/repos/uni-course/homework/installation"
	for range 3 {
		if err := ask(); err != nil {
			t.Fatal(err)
		}
	}
	if n := b.Count(path); n != 1 {
		t.Errorf("the installation was looked for %d times, want once", n)
	}
	change(func(i *fake.Installation) { i.ID++ })
	if err := ask(); err != nil || b.Count(path) != 2 {
		t.Errorf("installed anew: %v, looked for %d times", err, b.Count(path))
	}
	change(func(i *fake.Installation) { i.SuspendedAt = time.Now() })
	if err := ask(); problem(err) != "DP-847" {
		t.Errorf("suspended: %v", err)
	}
	change(func(i *fake.Installation) { i.SuspendedAt, i.Repos = time.Time{}, []int64{fake.CampusSolutionsRepo} })
	if err := ask(); !errors.Is(err, daypass.ErrNoSuchRepo) {
		t.Errorf("the repository was taken away: %v", err)
	}
	change(func(i *fake.Installation) { i.App = "Iv23liNOBODY" })
	if err := ask(); !errors.Is(err, daypass.ErrNoSuchRepo) {
		t.Errorf("taken away: %v", err)
	}
}

// TestRenamed: an old name leads to the repository, and never to the one that
// has the name today.
func TestRenamed(t *testing.T) {
	b := newBench(t, fake.GitHubCom, "github.com", fake.Switches{}, nil)
	if err := b.Rename("uni-course/homework", "uni-course/exercises"); err != nil {
		t.Fatal(err)
	}
	r, err := b.issuer.LookAsHub(t.Context(), daypass.Repo{Owner: "uni-course", Name: "homework"})
	if err != nil || r.Repo.ID != fake.CampusHomeworkRepo || r.Repo.Name != "exercises" {
		t.Errorf("%+v, %v", r, err)
	}
	r, err = b.issuer.RightTo(t.Context(), b.grant(t).Access, daypass.Repo{Owner: "river-lab", Name: "old-data"})
	if err != nil || r.Repo.ID != fake.CampusDataRepo || r.Repo.Name != "data" {
		t.Errorf("%+v, %v", r, err)
	}
	if c, err := b.issuer.IssueAsHub(t.Context(), reading("github.com", homeworkRepo)); err != nil || b.can(c.Token, homeworkRepo) != daypass.Read {
		t.Errorf("by its number: %v", err)
	}
}

// TestRedirects: followed within the host, a few times, and only to look.
func TestRedirects(t *testing.T) {
	for _, to := range []string{"https://evil.example/x", "http://api.github.com/x", "https://api.github.com:8443/x", "https://u@api.github.com/x", "//evil.example/", ""} {
		heard := 0
		i := answering(t, func(w http.ResponseWriter, r *http.Request) {
			if heard++; r.Host != "api.github.com" {
				t.Errorf("%s was asked", r.Host)
			}
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusMovedPermanently)
		})
		if _, err := i.RightTo(t.Context(), daypass.NewSecret("ghu_x"), dataRepo); !errors.Is(err, daypass.ErrUnreachable) || heard != 1 {
			t.Errorf("%q: %v, after %d requests", to, err, heard)
		}
	}
	hops := 0
	i := answering(t, func(w http.ResponseWriter, r *http.Request) {
		hops++
		http.Redirect(w, r, "/repositories/"+strconv.Itoa(hops), http.StatusMovedPermanently)
	})
	if _, err := i.RightTo(t.Context(), daypass.NewSecret("ghu_x"), dataRepo); !errors.Is(err, daypass.ErrUnreachable) || hops != 4 {
		t.Errorf("round in circles: %v, after %d requests", err, hops)
	}
	hops = 0
	if err := i.Revoke(t.Context(), daypass.NewSecret("ghu_x")); !errors.Is(err, daypass.ErrUnreachable) || hops != 1 {
		t.Errorf("a secret sent on: %v, after %d requests", err, hops)
	}
}

// TestAnotherRepository: a host that answers with another repository than the
// one of that number is not believed.
func TestAnotherRepository(t *testing.T) {
	b := through(t, &tampered{suffix: "/repositories/" + strconv.FormatInt(fake.CampusDataRepo, 10), answer: func(m map[string]any) { m["id"] = 1 }})
	if _, err := b.issuer.RightTo(t.Context(), b.grant(t).Access, dataRepo); !errors.Is(err, daypass.ErrUnreachable) {
		t.Error(err)
	}
}

// TestRepositoryStates: archived ones are only read; those behind single
// sign-on say so.
func TestRepositoryStates(t *testing.T) {
	b := newBench(t, fake.GitHubCom, "github.com", fake.Switches{}, nil)
	b.Update(func(s *fake.Seed) {
		for n := range s.Repos {
			s.Repos[n].Archived = s.Repos[n].ID == fake.CampusDataRepo
		}
		s.Installations = append(s.Installations, fake.Installation{ID: 7999, App: fake.CampusPushApp, Account: "sso-org", All: true})
	})
	g := b.grant(t)
	if r, err := b.issuer.RightTo(t.Context(), g.Access, dataRepo); err != nil || r.Access != daypass.Read || !r.Private {
		t.Errorf("archived: %+v, %v", r, err)
	}
	secure := repo(fake.CampusSecureRepo, "sso-org/secure")
	_, err := b.issuer.RightTo(t.Context(), g.Access, secure)
	if problem(err) != "DP-844" || !strings.Contains(err.Error(), "https://github.com/orgs/sso-org/sso") || !errors.Is(err, daypass.ErrRefused) {
		t.Errorf("single sign-on: %v", err)
	}
	if _, err := b.issuer.Narrow(t.Context(), g.Access, reading("github.com", secure)); problem(err) != "DP-844" {
		t.Errorf("single sign-on: %v", err)
	}
	if _, complete, err := b.issuer.Reach(t.Context(), g.Access, 100); err != nil || complete {
		t.Errorf("with one hidden, the reach is complete: %v, %v", complete, err)
	}
}

// TestLag: some of a host's machines do not know a new token for a while.
func TestLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, fake.GitHubCom, "github.com", fake.Switches{}, nil)
		g := b.grant(t)
		dead := fake.Fault{Kind: fake.FaultStatus, Status: http.StatusUnauthorized, Body: `{"message":"Bad credentials"}`, Times: 2}
		b.Fault(fake.PathIs("/user/installations"), dead)
		b.Fault(fake.PathIs("/user"), dead)
		b.Fault(fake.PathIs("/applications/"+fake.CampusPushApp+"/token/scoped"),
			fake.Fault{Kind: fake.FaultStatus, Status: http.StatusNotFound, Body: `{"message":"Not Found"}`, Times: 1})
		if _, err := b.issuer.Whose(t.Context(), g.Access); err != nil {
			t.Errorf("whose: %v", err)
		}
		if _, err := b.issuer.Narrow(t.Context(), g.Access, reading("github.com", dataRepo)); err != nil {
			t.Errorf("narrow: %v", err)
		}
		// One that has to go is ended also where it is not known at once.
		b.Fault(fake.PathHasPrefix("/user/installations/"), fake.Fault{Kind: fake.FaultHTML502})
		b.Fault(func(r *http.Request) bool { return r.Method == http.MethodDelete },
			fake.Fault{Kind: fake.FaultStatus, Status: http.StatusNotFound, Body: `{"message":"Not Found"}`, Times: 2})
		if _, err := b.issuer.Narrow(t.Context(), g.Access, reading("github.com", dataRepo)); !errors.Is(err, daypass.ErrUnreachable) {
			t.Errorf("narrow: %v", err)
		}
		if n := len(b.LiveTokens()); n != 2 {
			t.Errorf("%d tokens are alive, want the parent and one child", n)
		}
	})
}

// TestWhatIsSent: each request says what it wants, and no secret is in an
// address or follows to another host.
func TestWhatIsSent(t *testing.T) {
	b := newBench(t, fake.GitHubCom, "github.com", fake.Switches{}, nil)
	g := b.grant(t)
	g, err := b.issuer.Refresh(t.Context(), g.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	c, err := b.issuer.Narrow(t.Context(), g.Access, reading("github.com", dataRepo))
	if err != nil {
		t.Fatal(err)
	}
	hub, err := b.issuer.IssueAsHub(t.Context(), reading("github.com", homeworkRepo))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []daypass.Secret{hub.Token, c.Token, g.Access} {
		if err := b.issuer.Revoke(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range b.Requests() {
		if r.Header.Get("Accept") != "application/json" || r.Header.Get("X-GitHub-Api-Version") != "2022-11-28" || r.Header.Get("User-Agent") != "daypass" {
			t.Errorf("%s %s: %v", r.Method, r.Path, r.Header)
		}
		for _, s := range []daypass.Secret{g.Access, g.Refresh, c.Token, hub.Token, daypass.NewSecret(fake.CampusPushSecret)} {
			if strings.Contains(r.Path+"?"+r.RawQuery, s.Reveal()) {
				t.Errorf("%s %s holds a secret", r.Method, r.Path)
			}
		}
	}
}

// TestEndlessAnswers: a host cannot fill memory.
func TestEndlessAnswers(t *testing.T) {
	sent := 0
	i := answering(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"login":"`)
		for sent = 0; sent < 12<<20; sent += 1 << 10 {
			if _, err := io.WriteString(w, strings.Repeat("x", 1<<10)); err != nil {
				return
			}
		}
	})
	if _, err := i.Whose(t.Context(), daypass.NewSecret("ghu_x")); !errors.Is(err, daypass.ErrUnreachable) || !strings.Contains(err.Error(), "longer") {
		t.Errorf("whose: %v", err)
	}
	if _, _, err := i.Reach(t.Context(), daypass.NewSecret("ghu_x"), 9); !errors.Is(err, daypass.ErrUnreachable) || !strings.Contains(err.Error(), "longer") {
		t.Errorf("reach: %v", err)
	}
}

// TestAppSettings: each thing that is not as it should be is found, and told
// with what to do.
func TestAppSettings(t *testing.T) {
	app := func(id string, f func(*fake.App)) func(*bench) {
		return func(b *bench) {
			b.Update(func(s *fake.Seed) {
				for n := range s.Apps {
					if s.Apps[n].ClientID == id {
						f(&s.Apps[n])
					}
				}
			})
		}
	}
	for name, c := range map[string]struct {
		change func(*bench)
		config func(*github.IssuerConfig)
		want   string // in what is found to be wrong; "" is nothing
	}{
		"as it should be": {},
		"more": {change: app(fake.CampusPushApp, func(a *fake.App) {
			a.Permissions = map[string]string{"contents": "write", "metadata": "read", "workflows": "write"}
		}), want: "may do more than is needed: workflows: write"},
		"less":           {change: app(fake.CampusPushApp, func(a *fake.App) { a.Permissions = map[string]string{"contents": "read", "metadata": "read"} }), want: "may not do what is needed: contents: write"},
		"content writes": {change: app(fake.CampusContentApp, func(a *fake.App) { a.Permissions["contents"] = "write" }), want: "The content App may do more"},
		"no device flow": {change: app(fake.CampusPushApp, func(a *fake.App) { a.DeviceFlowOff = true }), want: "Enable Device Flow"},
		"no such page":   {config: func(c *github.IssuerConfig) { c.Push.AppURL = "https://github.com/apps/nobody" }, want: "does not show itself"},
		"no page":        {config: func(c *github.IssuerConfig) { c.Push.AppURL = "" }, want: "not in the configuration"},
		"another's page": {config: func(c *github.IssuerConfig) { c.Push.AppURL = "https://github.com/apps/hub-push" }, want: "another client id"},
		"an old secret": {config: func(c *github.IssuerConfig) {
			c.Push.ClientSecrets = append(c.Push.ClientSecrets, daypass.NewSecret("old"))
		}, want: "Client secret 2 is not taken"},
		"another key": {change: app(fake.CampusContentApp, func(a *fake.App) { a.Keys = nil }), want: "private key is not taken"},
		"one App":     {config: func(c *github.IssuerConfig) { c.Push.AppURL = "https://github.com/apps/campus-content" }, want: "One App is used"},
		"no content":  {config: func(c *github.IssuerConfig) { c.Content = nil }},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, fake.GitHubCom, "github.com", fake.Switches{}, c.config)
			if c.change != nil {
				c.change(b)
			}
			found, err := b.issuer.AppSettings(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var wrong strings.Builder
			for _, f := range found {
				if !f.OK {
					fmt.Fprintln(&wrong, f.What, f.Next)
				}
				if f.What == "" || f.OK == (f.Next != "") {
					t.Errorf("%+v", f)
				}
			}
			if c.want == "" && wrong.Len() > 0 || !strings.Contains(wrong.String(), c.want) {
				t.Errorf("found %q, want %q", wrong.String(), c.want)
			}
		})
	}
	b := newBench(t, fake.GitHubCom, "github.com", fake.Switches{}, nil)
	for n := 1; n <= 4; n++ {
		b.FailNth(n, nil, fake.Fault{Kind: fake.FaultHTML502})
		if found, err := b.issuer.AppSettings(t.Context()); !errors.Is(err, daypass.ErrUnreachable) {
			t.Errorf("request %d failed: %v, %v", n, found, err)
		}
		b.ClearFaults()
	}
}

// TestEvents: an App that is sent events is told of.
func TestEvents(t *testing.T) {
	b := through(t, &tampered{suffix: "/app", answer: func(m map[string]any) { m["events"] = []string{"push"} }})
	found, err := b.issuer.AppSettings(t.Context())
	if err != nil || !strings.Contains(fmt.Sprint(found), "is sent events") {
		t.Errorf("%v, %v", found, err)
	}
}

// TestShortPages: a host may show fewer entries than were asked for.
func TestShortPages(t *testing.T) {
	pages := 0
	i := answering(t, func(w http.ResponseWriter, r *http.Request) {
		page, _ := strconv.Atoi(r.URL.Query().Get("page"))
		switch {
		case r.URL.Path == "/user/installations":
			io.WriteString(w, installed("1", oneInstall))
		case page <= 3:
			pages++
			io.WriteString(w, holding("3", strings.NewReplacer(`"id":5`, fmt.Sprintf(`"id":%d`, page), "data", fmt.Sprintf("data%d", page)).Replace(oneRepo)))
		default:
			t.Errorf("page %d was asked for", page)
		}
	})
	all, complete, err := i.Reach(t.Context(), daypass.NewSecret("ghu_x"), 100)
	if err != nil || len(all) != 3 || !complete || pages != 3 {
		t.Errorf("%d repositories in %d pages, complete %v, %v", len(all), pages, complete, err)
	}
}

// TestNotSpent: a parent that works is not called spent because narrowing it
// finds nothing.
func TestNotSpent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, fake.GitHubCom, "github.com", fake.Switches{}, nil)
		b.Fault(fake.PathIs("/applications/"+fake.CampusPushApp+"/token/scoped"),
			fake.Fault{Kind: fake.FaultStatus, Status: http.StatusNotFound, Body: `{"message":"Not Found"}`})
		_, err := b.issuer.Narrow(t.Context(), b.grant(t).Access, reading("github.com", dataRepo))
		if problem(err) != "DP-848" || errors.Is(err, daypass.ErrSpent) {
			t.Error(err)
		}
	})
}

// TestRenamedLater: what is remembered of an owner does not hide a new name.
func TestRenamedLater(t *testing.T) {
	b := newBench(t, fake.GitHubCom, "github.com", fake.Switches{}, nil)
	old := daypass.Repo{Owner: "uni-course", Name: "homework"}
	if _, err := b.issuer.LookAsHub(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	if err := b.Rename("uni-course/homework", "uni-course/exercises"); err != nil {
		t.Fatal(err)
	}
	if r, err := b.issuer.LookAsHub(t.Context(), old); err != nil || r.Repo.Name != "exercises" {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestNobodyWaits: a child that was made for somebody who has gone is ended.
func TestNobodyWaits(t *testing.T) {
	b := newBench(t, fake.GitHubCom, "github.com", fake.Switches{}, nil)
	g := b.grant(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b.Fault(func(r *http.Request) bool {
		if r.URL.Path == "/user/installations" {
			cancel()
		}
		return false
	}, fake.Fault{})
	if _, err := b.issuer.Narrow(ctx, g.Access, reading("github.com", dataRepo)); !errors.Is(err, context.Canceled) || !errors.Is(err, daypass.ErrUnreachable) {
		t.Error(err)
	}
	if n := len(b.LiveTokens()); n != 1 {
		t.Errorf("%d tokens are alive, want the parent alone", n)
	}
}

// TestNotEnded: where a wider child cannot be ended, the message says so.
func TestNotEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := through(t, &tampered{suffix: "/token/scoped", answer: func(m map[string]any) { of(m, "installation")["repository_selection"] = "all" }})
		b.Fault(func(r *http.Request) bool { return r.Method == http.MethodDelete }, fake.Fault{Kind: fake.FaultHTML502})
		_, err := b.issuer.Narrow(t.Context(), b.grant(t).Access, reading("github.com", dataRepo))
		if problem(err) != "DP-846" || !strings.Contains(err.Error(), "ending it failed") {
			t.Error(err)
		}
	})
}

// TestConnections: requests one after the other share a connection, over a
// real network, also where the answers are errors.
func TestConnections(t *testing.T) {
	var opened atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, `{"message":"`+strings.Repeat("no", 40_000)+`"}`)
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	host, err := github.ParseHost(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	i, err := github.NewIssuer(github.IssuerConfig{
		Host: host, Now: time.Now, Push: github.PushApp{ClientID: fake.CampusPushApp, ClientSecrets: []daypass.Secret{daypass.NewSecret("x")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if _, err := i.Whose(t.Context(), daypass.NewSecret("ghu_x")); problem(err) != "DP-848" {
			t.Fatal(err)
		}
	}
	if n := opened.Load(); n != 1 {
		t.Errorf("%d connections for 20 requests", n)
	}
}
