package main_test

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pass"
)

// brokerPasses are the passes of the stand-in for the access service: made by a
// server's token or by the device flow, shown for credentials, ended.
type brokerPasses struct {
	key   pass.Key
	rows  []passRow
	ended map[string]bool // ids, and short links

	device struct {
		sync.Mutex
		user, code, state string
		label             any
	}
}

type passRow struct {
	id, label, via string
	created, until time.Time
	caveats        []string
}

func newBrokerPasses() *brokerPasses {
	root := make([]byte, 32)
	_, _ = rand.Read(root) // never fails
	return &brokerPasses{key: pass.NewKey(root), ended: map[string]bool{}}
}

const serverStarted = 1790000000

// mint makes a pass as the service does. for_server and every pass by a server's
// token end with that server.
func (b *broker) mint(w http.ResponseWriter, ask map[string]any, via string) {
	until := time.Now().Add(8 * time.Hour)
	if n, ok := ask["for"].(float64); ok {
		until = time.Now().Add(time.Duration(n) * time.Second)
	}
	if s, ok := ask["until"].(string); ok {
		until, _ = time.Parse(time.RFC3339Nano, s)
	}
	if until.After(time.Now().Add(12*time.Hour)) || ask["never"] != nil {
		refuse(w, 403, "DP-810", "a pass for longer than 12 hours is made on the page", b.base+"/passes")
		return
	}
	l := pass.Limits{Expires: until.Truncate(time.Second)}
	limits, _ := ask["limits"].(map[string]any)
	strs := func(name string) (out []string) {
		list, _ := limits[name].([]any)
		for _, v := range list {
			out = append(out, v.(string))
		}
		return out
	}
	l.Hosts, l.Repos, l.Sources, l.Servers, l.Addresses = strs("hosts"), strs("repos"), strs("sources"), strs("servers"), strs("addresses")
	if s, _ := limits["access"].(string); s != "" {
		l.Access = daypass.ParseAccess(s)
	}
	if n, _ := limits["uses"].(float64); n > 0 {
		l.Uses = int(n)
	}
	if via == "server" {
		l.Servers = append(l.Servers, pass.ServerItem("gpu", time.Unix(serverStarted, 0)))
	}
	caveats, err := l.Caveats()
	if err != nil {
		refuse(w, 400, "DP-872", err.Error(), "")
		return
	}
	id, _ := pass.NewID(rand.Reader)
	p, err := pass.Mint(b.passes.key, pass.Identity{Realm: pass.Realm{Kind: pass.Hub, Name: "main"}, ID: id}, caveats...)
	if err != nil {
		refuse(w, 500, "DP-879", err.Error(), "")
		return
	}
	name, _ := ask["label"].(string)
	b.mu.Lock()
	b.passes.rows = append(b.passes.rows, passRow{id, name, via, time.Now(), l.Expires, caveats})
	b.mu.Unlock()
	send(w, map[string]any{
		"pass": p.Text(pass.Daypass).Reveal(), "id": id, "label": name, "until": l.Expires.UTC().Format(time.RFC3339), "limits": caveats, "event": "K3QF-2001",
	})
}

func (b *broker) managePasses(w http.ResponseWriter, r *http.Request, path string) {
	switch {
	case r.Method == "POST" && path == "/passes":
		var ask map[string]any
		_ = json.NewDecoder(r.Body).Decode(&ask)
		b.mint(w, ask, "server")
	case r.Method == "GET" && path == "/passes":
		list := []any{}
		b.mu.Lock()
		for _, row := range b.passes.rows {
			line := map[string]any{
				"id": row.id, "label": row.label, "created": row.created.UTC().Format(time.RFC3339), "uses": 2, "used": row.created.UTC().Format(time.RFC3339),
				"until": row.until.UTC().Format(time.RFC3339), "via": row.via, "limits": row.caveats,
			}
			if b.passes.ended[row.id] {
				line["ended"], line["why"] = time.Now().UTC().Format(time.RFC3339), "revoked"
			}
			list = append(list, line)
		}
		b.mu.Unlock()
		send(w, map[string]any{"passes": list})
	case r.Method == "DELETE":
		id := strings.TrimPrefix(path, "/passes/")
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, row := range b.passes.rows {
			if row.id == id {
				b.passes.ended[id] = true
				send(w, map[string]any{"event": "K3QF-2002"})
				return
			}
		}
		refuse(w, 404, "DP-870", "there is no such pass", "")
	default:
		refuse(w, 404, "DP-870", "there is nothing", "")
	}
}

// open answers what nobody needs a token for.
func (b *broker) open(w http.ResponseWriter, r *http.Request, path string) bool {
	known := r.Method == "POST" && (path == "/device" || path == "/device/token" || path == "/passes/end")
	if !known {
		return false
	}
	if r.Header.Get("Authorization") != "" {
		refuse(w, 400, "DP-872", "a token was sent where none belongs", "")
		return true
	}
	var in map[string]any
	_ = json.NewDecoder(r.Body).Decode(&in)
	d := &b.passes.device
	d.Lock()
	defer d.Unlock()
	switch path {
	case "/device":
		d.user, d.code, d.state, d.label = "WDJB-MJHT", "device-code-"+strconv.Itoa(len(b.passes.rows)), "authorization_pending", in["label"]
		send(w, map[string]any{
			"device_code": d.code, "user_code": d.user, "verification_uri": b.base + "/device",
			"verification_uri_complete": b.base + "/device?user_code=" + d.user, "expires_in": 600, "interval": 1,
		})
	case "/device/token":
		switch {
		case in["device_code"] != d.code || d.code == "":
			d.state = "expired_token"
			fallthrough
		case d.state != "yes":
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(400)
			_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"code": "DP-180", "what": "the code gives no pass", "next": "Ask again.", "error": d.state}})
		default:
			d.code = ""
			b.mint(w, map[string]any{"label": d.label}, "device")
		}
	case "/passes/end":
		text, _ := in["pass"].(string)
		p, err := pass.Parse(daypass.NewSecret(text))
		if err == nil {
			_, err = b.passes.verifier().Open(p)
		}
		if err != nil {
			refuse(w, 403, "DP-160", "that is no pass of this service", "")
			return true
		}
		b.mu.Lock()
		b.passes.ended[p.Link().Short()] = true
		b.mu.Unlock()
		send(w, map[string]any{"event": "K3QF-2003"})
	}
	return true
}

func (p *brokerPasses) decide(ts *testscript.TestScript, yes string) {
	for range 400 {
		p.device.Lock()
		waiting := p.device.state == "authorization_pending"
		if waiting && yes == "yes" {
			p.device.state = "yes"
		} else if waiting {
			p.device.state = "access_denied"
		}
		p.device.Unlock()
		if waiting {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	ts.Fatalf("nobody asked for a code")
}

func (p *brokerPasses) verifier() pass.Verifier {
	return pass.Verifier{Realm: pass.Realm{Kind: pass.Hub, Name: "main"}, Keys: func(pass.Identity) (pass.Key, error) { return p.key, nil }}
}

// shown is the pass of a request; an ended one, or one below it, is none.
func (b *broker) shown(r *http.Request) (pass.Opened, bool) {
	text, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	p, err := pass.Parse(daypass.NewSecret(text))
	if err != nil {
		return pass.Opened{}, false
	}
	o, err := b.passes.verifier().Open(p)
	if err != nil {
		return o, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	gone := b.passes.ended[o.Identity.ID]
	for i := range o.Links() {
		gone = gone || b.passes.ended[o.Link(i).Short()]
	}
	return o, !gone
}

func (b *broker) byPass(r *http.Request) bool {
	_, ok := b.shown(r)
	return ok
}

// passMay: a pass asks for credentials and who one is, and nothing else.
func (b *broker) passMay(r *http.Request, path string) string {
	if b.byPass(r) && path != "/credential" && path != "/me" {
		return "a pass does not do that"
	}
	return ""
}

// passReaches judges the repository by the pass, where one is shown, and lowers
// the access to what it has.
func (b *broker) passReaches(r *http.Request, repo string, access *string) bool {
	o, ok := b.shown(r)
	if !ok {
		return true // the hub's own token
	}
	owner, name, _ := strings.Cut(repo, "/")
	for _, a := range []daypass.Access{daypass.Write, daypass.Read} {
		f := pass.Facts{Host: b.host, Repo: daypass.Repo{Owner: owner, Name: name, ID: brokerRepos[repo]}, Access: a, Server: pass.ServerItem("gpu", time.Unix(serverStarted, 0))}
		if o.Check(f, time.Now()) == nil {
			*access = a.String()
			return true
		}
	}
	return false
}
