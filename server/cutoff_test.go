package server

import (
	"net/url"
	"strings"
	"testing"
)

// TestCutOff: whoever was cut off sees nothing but that, also in a session that
// was there before; and an admin who was is none.
func TestCutOff(t *testing.T) {
	modes(t, func(t *testing.T, address string, shared bool) {
		w := newWorld()
		s := start(t, w, address, shared)
		ada, bob := newBrowser(t, s, address, shared), newBrowser(t, s, address, shared)
		for b, token := range map[*browser]string{ada: "browser-ada", bob: "browser-bob"} {
			if res := b.signIn(token, s.path("activity")); res.StatusCode != 303 {
				t.Fatalf("sign-in: %d", res.StatusCode)
			}
		}
		form := formOf(t, text(t, ada.get("")), s.path("disconnect/github.com"))
		w.mu.Lock()
		w.cut = map[string]bool{"ada": true}
		w.mu.Unlock()
		pages := []string{"", "activity", "sharing", "connect/github.com"}
		if !shared {
			pages = append(pages, "people", "people/1", "health")
		}
		before := len(w.deeds())
		if res := ada.do("POST", address+"disconnect/github.com", url.Values{"form": {form}}, ada.own()); res.StatusCode != 403 || len(w.deeds()) != before {
			t.Errorf("a form of theirs: %d, did %v", res.StatusCode, w.deeds()[before:])
		}
		if res := ada.signIn("browser-ada", s.path("activity")); res.StatusCode != 403 || !strings.Contains(text(t, res), "DP-811") {
			t.Errorf("signed in again: %d", res.StatusCode)
		}
		w.mu.Lock()
		w.cut = nil
		w.mu.Unlock()
		if res := ada.signIn("browser-ada", s.path("activity")); res.StatusCode != 303 {
			t.Errorf("allowed again: %d", res.StatusCode)
		}
		w.mu.Lock()
		w.cut = map[string]bool{"ada": true}
		w.mu.Unlock()
		for i, page := range pages {
			res := ada.get(page)
			body := text(t, res)
			if i == 0 && (res.StatusCode != 403 || !strings.Contains(body, "DP-811")) {
				t.Errorf("%q: %d\n%s", page, res.StatusCode, body)
			}
			if res.StatusCode == 200 || strings.Contains(body, "tidal-lab") || strings.Contains(body, "bobby-t") || strings.Contains(body, s.path("people")) {
				t.Errorf("%q: %d\n%s", page, res.StatusCode, body)
			}
		}
		if res := bob.get("activity"); res.StatusCode != 200 {
			t.Errorf("somebody else: %d", res.StatusCode)
		}
	})
}
