package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestAppsFromTheConfiguration: what owners read is what the file says: the
// App's own name, and the longest token that the rules give.
func TestAppsFromTheConfiguration(t *testing.T) {
	const head = `url: https://daypass.example.org/
store: sqlite:/var/lib/daypassd/daypass.db
keys: file:/etc/daypass/keys.json
hub: {api: "http://127.0.0.1:8081/hub/api", url: "https://hub.example.org/", token: "env:TOKEN"}
github:
  - push: {client_id: Iv1, client_secrets: ["env:A"], app_url: "https://github.com/apps/push-from-river-hub"}
    content: {client_id: Iv2, key: "env:B", name: "River course content"}
  - host: https://ghes.example
    push: {client_id: Iv3, client_secrets: ["env:A"]}
`
	for name, c := range map[string]struct {
		rules            string
		dotCom, elsewher time.Duration
	}{
		"the preset": {"", time.Hour, time.Hour},
		"the longest that writes, by host": {`rules:
  - {name: a, what: ["*/*/*"], access: read, max: 7h}
  - {name: b, what: ["github.com/river/*"], access: write, max: 30m}
  - {name: c, what: ["*/river/*"], access: write, max: 20m}
  - {name: d, forbid: true, what: ["*/*/secret"]}
`, 30 * time.Minute, 20 * time.Minute},
		"no longer than GitHub's": {`rules:
  - {name: a, what: ["github.com/*/*"], access: write, max: 30d}
  - {name: b, what: ["ghes.*/*/*"], access: write, max: 8h}
`, 8 * time.Hour, 8 * time.Hour},
		"none that writes": {`rules:
  - {name: a, what: ["github.com/*/*"], access: read, max: 2h}
`, 2 * time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "server.yaml")
			if err := os.WriteFile(path, []byte(head+c.rules), 0o600); err != nil {
				t.Fatal(err)
			}
			s := &app{getenv: func(string) string { return "" }}
			config, err := s.readConfig(path)
			if err != nil {
				t.Fatal(err)
			}
			apps, err := config.apps()
			if err != nil || len(apps) != 3 {
				t.Fatalf("%v %+v", err, apps)
			}
			if apps[0].Name != "push-from-river-hub" || apps[0].Longest != c.dotCom || apps[0].Content {
				t.Errorf("push at github.com: %+v", apps[0])
			}
			if apps[1].Name != "River course content" || !apps[1].Content || apps[1].Longest != time.Hour {
				t.Errorf("content: %+v", apps[1])
			}
			if apps[2].Name != "" || apps[2].ClientID != "Iv3" || apps[2].Longest != c.elsewher {
				t.Errorf("push elsewhere: %+v", apps[2])
			}
		})
	}
}
