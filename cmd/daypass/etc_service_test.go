package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/pass"
	"github.com/daypass-dev/daypass/wallet"
)

// TestServiceOfTheAdmin: the admin's file alone names the access service. What it
// gives is kept for this server's token, is found again, and goes when the host
// refuses it, whichever of two servers on one machine asks.
func TestServiceOfTheAdmin(t *testing.T) {
	var heard []string
	svc := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		heard = append(heard, r.Method+" "+r.URL.Path+" "+r.Header.Get("Authorization")+" "+string(body))
		if strings.HasSuffix(r.URL.Path, "/rejected") {
			w.WriteHeader(204)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{
			"username": "x-access-token", "password": "ghu_of_" + strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), "host": benchHost,
			"repo": map[string]any{"owner": "river-lab", "name": "data", "id": 5001}, "access": "write",
			"until": time.Now().Add(time.Hour).UTC().Format(time.RFC3339), "as": "user", "account": map[string]any{"id": 7, "login": "octo", "name": "O\x1b]0;x\a\n[core]", "email": "o@example.org"}, "event": "K3QF-1",
		})
	}))
	defer svc.Close()
	b := newBench(t, fake.Switches{})
	write(t, b.etcConfig, "broker: "+svc.URL+"/\n", 0o644)
	get := func() string {
		b.stdin = strings.NewReader("protocol=https\nhost=" + benchHost + "\npath=river-lab/data.git\n\n")
		if code := b.do("credential", "get"); code != 0 {
			t.Fatalf("ended with %d: %s", code, b.said())
		}
		return b.out.String()
	}

	b.env["JUPYTERHUB_API_TOKEN"] = "of-gpu"
	if out := get(); !strings.Contains(out, "password=ghu_of_of-gpu\n") || len(heard) != 1 || !strings.Contains(heard[0], "Bearer of-gpu ") {
		t.Fatalf("git was told %q, after %q: %s", out, heard, &b.err)
	}
	if out := get(); !strings.Contains(out, "password=ghu_of_of-gpu\n") || len(heard) != 1 {
		t.Errorf("asked again: %q, %q", out, heard)
	}

	// Another of the user's servers has its own.
	b.env["JUPYTERHUB_API_TOKEN"] = "of-default"
	if out := get(); !strings.Contains(out, "password=ghu_of_of-default\n") || len(heard) != 2 {
		t.Errorf("the other server was told %q, after %q", out, heard)
	}

	// It cannot make the first one's go, not even knowing it.
	erase := func(token string) {
		b.stdin = strings.NewReader("protocol=https\nhost=" + benchHost + "\npath=river-lab/data.git\nusername=x-access-token\npassword=" + token + "\n\n")
		b.do("credential", "erase")
	}
	erase("ghu_of_of-gpu")
	if len(heard) != 2 {
		t.Errorf("told the service of another server's token: %q", heard)
	}
	b.env["JUPYTERHUB_API_TOKEN"] = "of-gpu"
	erase("ghu_of_of-gpu")
	sum := sha256.Sum256([]byte("ghu_of_of-gpu"))
	if len(heard) != 3 || !strings.Contains(heard[2], "POST /api/v1/rejected Bearer of-gpu") || !strings.Contains(heard[2], hex.EncodeToString(sum[:])) {
		t.Errorf("said %q", heard[len(heard)-1])
	}
	w, err := b.openWallet()
	if err != nil {
		t.Fatal(err)
	}
	if entries, _, _ := w.List(); len(entries) != 1 || entries[0].Authority != wallet.PresentedBy(svc.URL+"/", "of-default") {
		t.Errorf("kept %d entries", len(entries))
	}

	// A pass is another authority yet, and without a hub's token nobody is asked.
	delete(b.env, "JUPYTERHUB_API_TOKEN")
	get()
	if len(heard) != 3 {
		t.Errorf("asked without a token: %q", heard[3:])
	}
}

// TestIndexPassStaysHome: a pass of a package index is not shown to the access
// service, which has no business with it.
func TestIndexPassStaysHome(t *testing.T) {
	var heard []string
	svc := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { heard = append(heard, r.URL.Path) }))
	defer svc.Close()
	key := pass.NewKey(make([]byte, 32))
	for name, id := range map[string]pass.Identity{
		"a gateway's":   {Realm: pass.Realm{Kind: pass.Index, Name: "main"}, User: "alice", ID: "abcdefghjkmnpqrs"},
		"devpi-tokens'": {Realm: pass.Realm{Kind: pass.Plugin}, User: "alice", ID: "abcdefgh"},
	} {
		for _, form := range []pass.Form{pass.Devpi, pass.Daypass, pass.PyPI} {
			p, err := pass.Mint(key, id)
			if err != nil {
				t.Fatal(err)
			}
			b := newBench(t, fake.Switches{})
			b.env["DAYPASS_URL"], b.env["DAYPASS_TOKEN"] = svc.URL+"/", p.Text(form).Reveal()
			if code := b.do("pass", "list"); code != 2 || !strings.Contains(b.err.String(), "DP-864") || len(heard) != 0 {
				t.Errorf("%s, form %v: ended with %d, the service heard %q: %s", name, form, code, heard, b.said())
			}
			b.stdin = strings.NewReader("protocol=https\nhost=" + benchHost + "\npath=river-lab/data.git\n\n")
			if b.do("credential", "get"); len(heard) != 0 {
				t.Errorf("%s, form %v: by git the service heard %q", name, form, heard)
			}
			heard = nil
		}
	}
}
