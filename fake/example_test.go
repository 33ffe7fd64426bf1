package fake_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/daypass-dev/daypass/fake"
)

// A test of a client needs no network: it hands the client a Transport, plays
// the user with Approve, and looks at what is left with LiveTokens.
func ExampleNewGitHub() {
	g := fake.NewGitHub(fake.GitHubConfig{Kind: fake.GitHubCom, Seed: fake.Campus()})
	hc := &http.Client{Transport: fake.Transport(g)}

	res, err := hc.Post("https://github.com/login/device/code", "application/x-www-form-urlencoded",
		strings.NewReader(url.Values{"client_id": {fake.CampusApp}}.Encode()))
	if err != nil {
		fmt.Println(err)
		return
	}
	res.Body.Close()
	fmt.Println(res.StatusCode, len(g.PendingCodes()))

	access, _, _ := g.Issue(fake.CampusApp, fake.CampusUser, fake.CampusDataRepo)
	info, live := g.Token(access)
	fmt.Println(live, info.User, info.RepositoryID)
	// Output:
	// 200 1
	// true octo-researcher 5001
}
