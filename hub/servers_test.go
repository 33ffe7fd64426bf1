package hub

import (
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
			"/hub/api/users/old":     `{"kind": "user", "name": "old"}`,
			"/hub/api/shares/old/":   `!404`,
		}, asked: map[string]int{}}
		c := New(Config{ID: "h", API: "http://hub.example/hub/api", Public: "http://hub.example/", Service: "daypass", Token: daypass.NewSecret("t"), Transport: s})
		if got, err := c.Server(t.Context(), "jo", ""); err != nil || got.Shared || !got.SharingKnown {
			t.Errorf("jo's own: %+v, %v", got, err)
		}
		viz, err := c.Server(t.Context(), "jo", "viz")
		if err != nil || !viz.Shared || !viz.Option("profile", "dashboard") || !viz.Option("tags", "b") || viz.Option("profile", "x") {
			t.Errorf("a shared one: %+v, %v", viz, err)
		}
		if got, err := c.Server(t.Context(), "old", ""); err != nil || got.Shared || !got.SharingKnown {
			t.Errorf("a hub that has no sharing: %+v, %v", got, err)
		}
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
	})
}
