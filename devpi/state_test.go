package devpi_test

import (
	"errors"
	"testing"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/devpi"
)

// What devpi-client 7.3 writes: json.dumps(…, indent=2, sort_keys=True).
const authFile = `{
  "auth": {
    "http://localhost:3141/": [
      [
        "alice",
        "canary-session"
      ],
      [
        "root",
        "canary-other"
      ]
    ]
  },
  "basic_auth": {
    "http://localhost:3141/": [
      "u",
      "p<&>"
    ]
  }
}`

const currentFile = `{
  "features": [
    "push-no-docs"
  ],
  "index": "http://localhost:3141/alice/dev",
  "login": "http://localhost:3141/+login",
  "pypisubmit": "http://localhost:3141/alice/dev/",
  "settrusted": false,
  "simpleindex": "http://localhost:3141/alice/dev/+simple/",
  "username": "alice"
}`

const root = "http://localhost:3141/"

func TestLogins(t *testing.T) {
	l, err := devpi.ParseLogins([]byte(authFile))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := l.Text(); err != nil || string(got) != authFile {
		t.Errorf("not as it was: %v\n%s", err, got)
	}
	if who, ok := l.Find(root, ""); !ok || who.User != "alice" {
		t.Errorf("the latest is %v", who.User)
	}
	if who, ok := l.Find(root, "root"); !ok || who.Password.Reveal() != "canary-other" {
		t.Error("root is not found")
	}
	l.Set(devpi.Login{Root: root, Auth: devpi.Auth{User: "root", Password: daypass.NewSecret("new")}})
	if who, _ := l.Find(root, ""); who.User != "root" || who.Password.Reveal() != "new" || len(l.All()) != 2 {
		t.Errorf("%v", l.All())
	}
	if !l.Remove(root, "alice") || l.Remove(root, "alice") || !l.Remove(root, "root") || len(l.All()) != 0 {
		t.Errorf("%v", l.All())
	}
	for _, bad := range []string{"[]", "x", `{"auth": 1}`, `{"auth": {"r": [["a"],[1,2]]}}`} {
		if _, err := devpi.ParseLogins([]byte(bad)); !errors.Is(err, devpi.ErrState) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	for _, none := range []string{"", " \n", "{}", `{"auth": null}`, "null"} {
		l, err := devpi.ParseLogins([]byte(none))
		if err != nil {
			t.Errorf("%q: %v", none, err)
		}
		l.Set(devpi.Login{Root: root, Auth: devpi.Auth{User: "a", Password: daypass.NewSecret("b")}})
		if _, ok := l.Find(root, "a"); !ok {
			t.Errorf("%q: nothing is kept", none)
		}
	}
}

func TestCurrent(t *testing.T) {
	c, err := devpi.ParseCurrent([]byte(currentFile))
	if err != nil || c.Index() != root+"alice/dev" || c.Root() != root || c.User() != "alice" {
		t.Fatalf("%q %q %q %v", c.Index(), c.Root(), c.User(), err)
	}
	if got, err := c.Text(); err != nil || string(got) != currentFile {
		t.Errorf("not as it was: %v\n%s", err, got)
	}
	api := devpi.API{Index: root + "bob/x", Login: root + "+login", Features: []string{"f"}}
	if err := c.Use(api, "bob"); err != nil || c.Index() != root+"bob/x" || c.User() != "bob" {
		t.Errorf("%q %q %v", c.Index(), c.User(), err)
	}
	if c, err = devpi.ParseCurrent([]byte(`{"index": null, "auth": {"r": [["a", "old-secret"]]}}`)); err != nil || c.Index() != "" || c.Root() != "" {
		t.Errorf("%q, %v", c.Index(), err)
	}
	if err := c.SetUser("ann"); err != nil || c.User() != "ann" {
		t.Errorf("%v", err)
	}
	if got, _ := c.Text(); string(got) != "{\n  \"index\": null,\n  \"username\": \"ann\"\n}" {
		t.Errorf("a login of old stays: %s", got)
	}
	if _, err := devpi.ParseCurrent([]byte("[1]")); !errors.Is(err, devpi.ErrState) {
		t.Errorf("a list: %v", err)
	}
}
