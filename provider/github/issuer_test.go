package github_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/provider/deposittest"
	"github.com/daypass-dev/daypass/provider/github"
	"github.com/daypass-dev/daypass/provider/providertest"
)

const callback = "https://hub.example.org/services/daypass/oauth/callback"

// appKey is made once, for it takes a while.
var appKey = sync.OnceValues(func() (private, public string) {
	private, public, err := fake.NewAppKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return private, public
})

// A bench is a GitHub with an issuer at it.
type bench struct {
	*fake.GitHub
	issuer *github.Issuer
	host   github.Host
	now    func() time.Time
	pass   func(time.Duration)
}

// newBench returns a GitHub of one shape. change may alter the configuration.
func newBench(t *testing.T, kind fake.HostKind, name string, sw fake.Switches, change func(*github.IssuerConfig)) *bench {
	t.Helper()
	private, public := appKey()
	seed := fake.Campus()
	for n := range seed.Apps {
		if seed.Apps[n].ClientID == fake.CampusContentApp {
			seed.Apps[n].Keys = []string{public}
		}
	}
	var ahead atomic.Int64
	b := &bench{
		now:  func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
		pass: func(d time.Duration) { ahead.Add(int64(d)) },
	}
	b.GitHub = fake.NewGitHub(fake.GitHubConfig{Kind: kind, Host: name, Seed: seed, Switches: sw, Now: b.now})
	if err := b.SetCallbacks(fake.CampusPushApp, callback); err != nil {
		t.Fatal(err)
	}
	host, err := github.ParseHost(name)
	if err != nil {
		t.Fatal(err)
	}
	b.host = host
	c := github.IssuerConfig{
		Host:      host,
		Push:      github.PushApp{ClientID: fake.CampusPushApp, ClientSecrets: []daypass.Secret{daypass.NewSecret(fake.CampusPushSecret)}, AppURL: host.AppPage("campus-push")},
		Content:   &github.ContentApp{ClientID: fake.CampusContentApp, Key: daypass.NewSecret(private)},
		Transport: fake.Transport(b.GitHub), Now: b.now,
	}
	if change != nil {
		change(&c)
	}
	if b.issuer, err = github.NewIssuer(c); err != nil {
		t.Fatal(err)
	}
	return b
}

// grant connects the person without a browser.
func (b *bench) grant(t *testing.T) daypass.Grant {
	t.Helper()
	access, refresh, err := b.Issue(fake.CampusPushApp, fake.CampusUser, 0)
	if err != nil {
		t.Fatal(err)
	}
	return daypass.Grant{Access: daypass.NewSecret(access), Refresh: daypass.NewSecret(refresh)}
}

func repo(id int64, name string) daypass.Repo {
	r, _ := daypass.ParseRepo(name)
	r.ID = id
	return r
}

var (
	dataRepo     = repo(fake.CampusDataRepo, "river-lab/data")
	homeworkRepo = repo(fake.CampusHomeworkRepo, "uni-course/homework")
)

func reading(host string, r daypass.Repo) daypass.Scope {
	return daypass.Scope{Host: host, Repos: []daypass.Repo{r}, Access: daypass.Read}
}

// can reads the stand-in's books.
func (b *bench) can(token daypass.Secret, r daypass.Repo) daypass.Access {
	info, live := b.Token(token.Reveal())
	if !live || !slices.Contains(info.Repositories, r.ID) {
		return daypass.NoAccess
	}
	return daypass.ParseAccess(info.Permissions["contents"])
}

func fixture(kind fake.HostKind, name string, sw fake.Switches, change func(*github.IssuerConfig)) func(*testing.T) providertest.Fixture {
	return func(t *testing.T) providertest.Fixture {
		b := newBench(t, kind, name, sw, change)
		return providertest.Fixture{
			Issuer: b.issuer, Now: b.now, Redirect: callback,
			Account: daypass.Account{ID: 1001, Login: fake.CampusUser},
			Write:   dataRepo, Read: repo(fake.CampusReadRepo, "river-lab/handbook"), Hidden: repo(fake.CampusOtherRepo, "ada/private"),
			Public: repo(fake.CampusPageRepo, "octo-researcher/public-page"), Bare: repo(fake.CampusPaperRepo, "river-lab/paper"),
			Content: homeworkRepo, NoContent: repo(fake.CampusSolutionsRepo, "uni-course/solutions"),
			Teacher: daypass.Account{ID: 1004, Login: fake.CampusInstructor},
			Consent: func(page string) (string, error) { return b.consent(page) },
			Can:     b.can, Living: func() int { return len(b.LiveTokens()) }, Advance: b.pass, Break: func(f providertest.Failure, nth int) func() {
				return deposittest.Breaks(b, nil, fake.TooFast(http.StatusTooManyRequests, 90*time.Second), fake.RateSpent(b.now().Add(time.Hour)))(f, nth)
			},
		}
	}
}

// consent opens the page as the person does, and presses the button.
func (b *bench) consent(page string) (string, error) {
	req := httptest.NewRequest(http.MethodGet, page, nil)
	q := req.URL.Query()
	if req.URL.Path != "/login/oauth/authorize" || !b.host.OwnURL(page) {
		return "", fmt.Errorf("%q is no page to say yes on", page)
	}
	return b.Authorize(q.Get("client_id"), fake.CampusUser, q.Get("redirect_uri"), q.Get("state"), q.Get("code_challenge"))
}

// TestContract holds the issuer to the contract at each shape of GitHub, and
// with each thing that a host or an admin may have otherwise.
func TestContract(t *testing.T) {
	wrongFirst := func(c *github.IssuerConfig) {
		c.Push.ClientSecrets = append([]daypass.Secret{daypass.NewSecret("an-older-secret")}, c.Push.ClientSecrets...)
	}
	for name, fresh := range map[string]func(*testing.T) providertest.Fixture{
		"github.com":   fixture(fake.GitHubCom, "github.com", fake.Switches{}, nil),
		"octo.ghe.com": fixture(fake.GHECom, "octo.ghe.com", fake.Switches{Stateless: true}, nil),
		"ghes.example:8443, the first secret is old": fixture(fake.EnterpriseServer, "ghes.example:8443", fake.Switches{}, wrongFirst),
		"children survive": fixture(fake.GitHubCom, "github.com", fake.Switches{ChildrenSurviveRefresh: true},
			func(c *github.IssuerConfig) { c.ChildrenSurvive = true }),
		"no content App": fixture(fake.GitHubCom, "github.com", fake.Switches{}, func(c *github.IssuerConfig) { c.Content = nil }),
	} {
		t.Run(name, func(t *testing.T) { providertest.Run(t, synctest.Test, fresh) })
	}
}

// problem returns the code that an error ends with.
func problem(err error) string {
	var p *daypass.Problem
	if errors.As(err, &p) {
		return p.Code
	}
	return ""
}
