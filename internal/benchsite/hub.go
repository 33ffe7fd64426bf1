// Package benchsite starts what the benchmarks of the access service measure: a hub
// that stands in for JupyterHub, and the service as it is shipped beside it. It does
// not know what is measured.
package benchsite

import (
	"context"
	"crypto/rand"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/hub"
	"github.com/daypass-dev/daypass/store"
)

// ServiceToken is the access service's own at each hub of this package.
const ServiceToken = "0123456789abcdef-bench-service-token"

// A Hub stands in for JupyterHub. It is reached over HTTP, by the service and by
// programs in servers.
type Hub struct {
	URL    string                  // ends in a slash
	Users  map[string]daypass.User // by name, as the hub tells the service
	server *httptest.Server
}

// StartHub serves a hub, which people fills, until the end of the test.
func StartHub(t testing.TB, people func(*fake.Hub)) *Hub {
	t.Helper()
	f := fake.NewHub(fake.HubConfig{
		ServerScopes: []string{"access:services!service=daypass"},
		Services: []fake.HubService{{
			Name: "daypass", Token: ServiceToken, Redirect: "/services/daypass/oauth_callback",
			Scopes: []string{"list:users", "read:users", "read:servers", "read:tokens", "read:shares"},
		}},
	})
	people(f)
	h := &Hub{Users: map[string]daypass.User{}, server: httptest.NewServer(f)}
	t.Cleanup(h.Close)
	h.URL = h.server.URL + "/"
	c := hub.New(hub.Config{ID: "hub", API: h.URL + "hub/api", Public: h.URL, Service: "daypass", Token: daypass.NewSecret(ServiceToken)})
	list, err := c.Users(context.Background())
	check(t, err)
	for _, p := range list {
		h.Users[p.User.Name] = p.User
	}
	return h
}

// User is the person of a name.
func (h *Hub) User(t testing.TB, name string) daypass.User {
	t.Helper()
	u, ok := h.Users[name]
	if !ok {
		t.Fatalf("the hub does not list %s", name)
	}
	return u
}

// Close makes the hub one that is down.
func (h *Hub) Close() { h.server.Close() }

// NewKeys makes a store's keys, and a file of them.
func NewKeys(t testing.TB, path string) *store.Keys {
	t.Helper()
	keys, err := store.NewKeys(rand.Reader)
	check(t, err)
	text, err := keys.Marshal()
	check(t, err)
	check(t, os.WriteFile(path, text, 0o600))
	return keys
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
