package devpitest

import (
	"net/http/httptest"
	"testing"

	"github.com/daypass-dev/daypass/fake"
)

// TestRealIndex says what a real server does.
func TestRealIndex(t *testing.T) { IndexSuite(t, Start(t, Options{}).Index()) }

// TestFakeIndex holds the stand-in to that.
func TestFakeIndex(t *testing.T) {
	key := []byte("0123456789abcdef")
	s := httptest.NewServer(fake.NewDevpi(fake.DevpiConfig{Root: "a root", SessionKey: key}))
	defer s.Close()
	IndexSuite(t, Index{API: API{URL: s.URL + "/", Root: "a root"}, SessionKey: key})
}

// TestPluginTokens holds the suite to devpi-tokens itself.
func TestPluginTokens(t *testing.T) {
	s := Start(t, Options{Plugin: true, Identity: true})
	TokenSuite(t, Target{API: s.API})
}

// TestPluginDefects shows that devpi-tokens does what is said of it.
func TestPluginDefects(t *testing.T) {
	DefectSuite(t, Target{API: Start(t, Options{Plugin: true}).API})
}
