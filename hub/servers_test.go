package hub

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/daypass-dev/daypass"
)

func TestServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{reply: map[string]string{
			"/hub/api/users/jo":      `{"kind": "user", "name": "jo", "servers": {"": {"user_options": {}}, "viz": {"user_options": {"profile": "dashboard", "tags": ["a", "b"]}}}}`,
			"/hub/api/shares/jo/":    `{"items": [], "_pagination": {}}`,
			"/hub/api/shares/jo/viz": `{"items": [{"user": {"name": "kim"}}], "_pagination": {}}`,
			"/hub/api/users/kit":     `{"kind": "user", "name": "kit", "servers": {"a": {"user_options": {}}, "b": {}}}`,
			"/hub/api/shares/kit/a":  `!404`,
			"/hub/api/shares/kit/b":  `{"items": [], "_pagination": {"next": {"offset": 50}}}`,
			"/hub/api/users/old":     `{"kind": "user", "name": "old"}`,
			"/hub/api/shares/old/":   `!404`,
			"/hub/api/users/shy":     `{"kind": "user", "name": "shy", "servers": {"": {"user_options": {"profile": "dashboard"}}}}`,
		}, asked: map[string]int{}, version: "5.2.1"}
		c := New(Config{ID: "h", API: "http://hub.example/hub/api", Public: "http://hub.example/", Service: "daypass", Token: daypass.NewSecret("t"), Transport: s})
		if got, err := c.Server(t.Context(), "jo", ""); err != nil || got.Shared || !got.SharingKnown {
			t.Errorf("jo's own: %+v, %v", got, err)
		}
		viz, err := c.Server(t.Context(), "jo", "viz")
		if err != nil || !viz.Shared || !viz.Option("profile", "dashboard") || !viz.Option("tags", "b") || viz.Option("profile", "x") {
			t.Errorf("a shared one: %+v, %v", viz, err)
		}
		if got, err := c.Server(t.Context(), "kit", "a"); err != nil || got.Shared || got.SharingKnown || !got.OptionsKnown {
			t.Errorf("shares that are not for the service's eyes: %+v, %v", got, err)
		}
		if got, err := c.Server(t.Context(), "kit", "b"); err != nil || !got.Shared || got.OptionsKnown {
			t.Errorf("a page of shares that ended, and another: %+v, %v", got, err)
		}
		if got, err := c.Server(t.Context(), "kit", "gone"); err != nil || got.SharingKnown || got.OptionsKnown {
			t.Errorf("a server that the hub has not: %+v, %v", got, err)
		}
		if got, err := c.Server(t.Context(), "shy", ""); err != nil || got.SharingKnown || !got.Option("profile", "dashboard") {
			t.Errorf("a role without read:shares: %+v, %v", got, err)
		}
		s.version = "4.1.6"
		if got, err := c.Server(t.Context(), "old", ""); err != nil || got.Shared || !got.SharingKnown || got.OptionsKnown || c.Shares() {
			t.Errorf("a hub that has no sharing: %+v, %v", got, err)
		}
		s.version = "5.2.1"
		if _, err := c.Server(t.Context(), "../../x", ""); err == nil {
			t.Error("asked for a path")
		}
		before := s.count("/hub/api/shares/jo/viz")
		s.set("/hub/api/shares/jo/viz", `{"items": []}`)
		if got, _ := c.Server(t.Context(), "jo", "viz"); !got.Shared || s.count("/hub/api/shares/jo/viz") != before {
			t.Error("within a minute the hub was asked again")
		}
		time.Sleep(61 * time.Second)
		if got, _ := c.Server(t.Context(), "jo", "viz"); got.Shared {
			t.Error("after a minute the end of a share was not seen")
		}
		time.Sleep(61 * time.Second)
		s.set("/hub/api/shares/jo/viz", "refuse")
		if _, err := c.Server(t.Context(), "jo", "viz"); err != nil {
			t.Errorf("while the hub is away: %v", err)
		}
		if _, err := c.Server(t.Context(), "kim", ""); err == nil {
			t.Error("what was never known is known")
		}
		time.Sleep(8 * time.Minute)
		if _, err := c.Server(t.Context(), "jo", "viz"); err != nil {
			t.Errorf("nine minutes old: %v", err)
		}
		time.Sleep(time.Minute)
		if got, err := c.Server(t.Context(), "jo", "viz"); err == nil {
			t.Errorf("the hub has been away for ten minutes, and it is known that %+v", got)
		}
	})
}

// TestCheckSharing: where people can let each other in, the service has to see it.
func TestCheckSharing(t *testing.T) {
	for _, c := range []struct {
		version, reply string
		good           bool
	}{
		{"", serviceSelf, false},
		{"4.1.6", serviceSelf, true},
		{"5.0.0", serviceSelf, false},
		{"6.1.1", strings.ReplaceAll(serviceSelf, `"read:servers"`, `"read:servers", "read:shares"`), true},
		{"6.1.1", strings.ReplaceAll(serviceSelf, `"read:servers"`, `"read:servers", "read:shares!group=class"`), false},
		{"4.1.6", "refuse", false},
	} {
		cl, s := scripted(map[string]string{"/user svc": c.reply})
		s.version = c.version
		if err := cl.CheckSharing(t.Context()); c.good != (err == nil) {
			t.Errorf("a hub %q: %v", c.version, err)
		}
	}
}
