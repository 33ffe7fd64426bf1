package hubtest

import (
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/daypass-dev/daypass/fake"
)

// TestFakeHub holds the stand-in to what real hubs do.
func TestFakeHub(t *testing.T) {
	for version := 3; version <= 6; version++ {
		t.Run(strconv.Itoa(version), func(t *testing.T) {
			const base = "/base/"
			h := fake.NewHub(fake.HubConfig{
				Base: base, Version: version,
				ServerScopes: []string{"access:services!service=daypass"}, UserScopes: []string{"access:services!service=managed"},
				Services: []fake.HubService{
					{Name: "daypass", Token: "the-service", Redirect: base + "services/daypass/oauth_callback", Scopes: []string{"list:users", "read:users", "read:servers", "read:tokens", "read:shares"}},
					{Name: "managed", Token: "the-other", Redirect: base + "services/managed/oauth_callback"},
					{Name: "rig", Token: "the-rig", Scopes: []string{"admin"}},
				},
			})
			s := httptest.NewServer(h)
			defer s.Close()
			Suite(t, Peer{
				Admin: Admin{API: s.URL + base + "hub/api", Token: "the-rig"}, Public: s.URL + base, Service: "the-service", Other: "the-other",
				Redirect: base + "services/daypass/oauth_callback", OtherRedirect: base + "services/managed/oauth_callback",
				Major: version, ServerToken: h.ServerToken,
			})
		})
	}
}
