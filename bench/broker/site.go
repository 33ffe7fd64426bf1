package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/internal/benchsite"
	"github.com/daypass-dev/daypass/internal/measure"
	"github.com/daypass-dev/daypass/internal/process"
	"github.com/daypass-dev/daypass/internal/shipping"
	"github.com/daypass-dev/daypass/store"
)

const (
	people = 1000
	repos  = 8
)

// build makes the programs as they are shipped; with -profile, the service with
// its profiler.
func (b *bench) build() error {
	tags := ""
	if b.profile != "" {
		tags = "profile"
	}
	return shipping.Build(b.Bin, tags, "daypass", "daypassd", "git-credential-daypass")
}

// A site is a hub and a GitHub that stand in for the real ones, and the people
// who use both.
type site struct {
	b      *bench
	s      *measure.Stage
	dir    string
	world  *fake.World
	hub    *benchsite.Hub
	keys   *store.Keys
	tokens []string // of each person's server
}

func newSite(b *bench, s *measure.Stage, people int) *site {
	st := &site{b: b, s: s, dir: s.TempDir()}
	var err error
	for _, d := range []string{"world", "etc"} {
		s.Check(os.Mkdir(filepath.Join(st.dir, d), 0o700))
	}
	st.world, err = fake.NewWorld(fake.WorldConfig{Dir: filepath.Join(st.dir, "world")})
	s.Check(err)
	s.Cleanup(func() { st.world.Close() })
	s.Check(st.world.Local.Add(fake.Crowd(fake.CampusPushApp, people, repos)))
	st.keys = benchsite.NewKeys(s, filepath.Join(st.dir, "etc/keys.json"))
	st.file("etc/push-secret", fake.CampusPushSecret)
	st.file("etc/hub-token", benchsite.ServiceToken)
	st.hub = benchsite.StartHub(s, func(h *fake.Hub) {
		for i := range people {
			st.tokens = append(st.tokens, h.StartServer(fmt.Sprintf("user%d", i), "gpu"))
		}
	})
	return st
}

// host is the stand-in for GitHub, as git writes it.
func (st *site) host() string { return strings.TrimPrefix(st.world.URL, "http://") }

func (st *site) file(name, text string) string {
	path := filepath.Join(st.dir, name)
	st.s.Check(os.WriteFile(path, []byte(text), 0o600))
	return path
}

// sqlite is the address of a store in a folder of its own.
func (st *site) sqlite(name string) string {
	dir := filepath.Join(st.dir, name)
	st.s.Check(os.MkdirAll(dir, 0o700))
	return "sqlite:" + filepath.Join(dir, "daypass.db")
}

func (st *site) open(where string) *store.DB {
	db, err := store.Open(context.Background(), store.Config{URL: where, Keys: st.keys})
	st.s.Check(err)
	return db
}

// connect connects everybody, as far as the service's store is concerned, with
// tokens of the stand-in's that are good until a moment.
func (st *site) connect(where string, until time.Time) {
	db := st.open(where)
	now := time.Now()
	for from := 0; from < len(st.tokens); from += 100 {
		err := db.Write(context.Background(), func(tx *store.Tx) error {
			for i := from; i < min(from+100, len(st.tokens)); i++ {
				if err := st.connectOne(tx, i, now, until); err != nil {
					return err
				}
			}
			return nil
		})
		st.s.Check(err)
	}
	st.s.Check(db.Close())
}

func (st *site) connectOne(tx *store.Tx, i int, now, until time.Time) error {
	login := fmt.Sprintf("user%d", i)
	p, err := tx.PutPerson(st.hub.User(st.s, login), now)
	if err != nil {
		return err
	}
	access, refresh, err := st.world.Local.Issue(fake.CampusPushApp, login, 0)
	if err != nil {
		return err
	}
	c := store.Connection{
		Person: p.ID, Host: st.host(), Kind: "app", Account: daypass.Account{ID: 10_000_000 + int64(i), Login: login},
		Created: now, Used: now, Ends: now.Add(30 * 24 * time.Hour),
	}
	_, _, err = tx.PutConnection(c, daypass.Grant{
		Access: daypass.NewSecret(access), Until: until, Refresh: daypass.NewSecret(refresh), Renew: now.Add(180 * 24 * time.Hour),
	})
	return err
}

// credentials are the requests for every repository of everybody at a service.
func (st *site) credentials(addr string) [][]byte {
	var out [][]byte
	for i, token := range st.tokens {
		for r := range repos {
			body := fmt.Sprintf(`{"protocol":"https","host":%q,"path":"user%d/repo%d.git","access":"write"}`, st.host(), i, r)
			out = append(out, fmt.Appendf(nil, "POST /api/v1/credential HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"+
				"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", addr, token, len(body), body))
		}
	}
	return out
}

// mes are requests that look at everybody's connections.
func (st *site) mes(addr string) [][]byte {
	var out [][]byte
	for _, token := range st.tokens {
		out = append(out, fmt.Appendf(nil, "GET /api/v1/me HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", addr, token))
	}
	return out
}

// A service is one running "daypassd serve".
type service struct {
	*benchsite.Service
	st       *site
	profiler string // its address; "": it has none
}

// serve writes a configuration and starts a service with it.
func (st *site) serve(name, where string) *service {
	v := st.configured(name, where)
	v.Start()
	return v
}

func (st *site) configured(name, where string) *service {
	addr := process.FreeAddress(st.s)
	config := st.file("etc/"+name+".yaml", fmt.Sprintf(`listen: %s
url: http://%s/
store: %s
keys: file:%s/etc/keys.json
hub:
  api: %shub/api
  url: %s
  token: file:%s/etc/hub-token
github:
  - host: %s
    push: {client_id: %s, client_secrets: ["file:%s/etc/push-secret"], app_url: %s/github-apps/campus-push}
`, addr, addr, where, st.dir, st.hub.URL, st.hub.URL, st.dir, st.world.URL, fake.CampusPushApp, st.dir, st.world.URL))
	v := &service{Service: benchsite.NewService(st.s, filepath.Join(st.b.Bin, "daypassd"), config, addr, "/readyz"), st: st}
	if st.b.profile != "" {
		v.profiler = process.FreeAddress(st.s)
		v.Env = []string{"DAYPASS_TEST_PROFILE=" + v.profiler}
	}
	return v
}

// complaints are the first lines of its log that are not for information.
func (v *service) complaints() string {
	return strings.Join(regexp.MustCompile(`(?m)^.*level=(WARN|ERROR).*$`).FindAllString(v.Said(), 5), "\n  ")
}

// durability is what the service read back from its store at its start.
func (v *service) durability() string {
	m := regexp.MustCompile(`msg="daypass serves".* store="([^"]*)"`).FindStringSubmatch(v.Said())
	if m == nil {
		return ""
	}
	return m[1]
}

// warm lets the hub vouch for everybody, and then every credential be made.
func (v *service) warm() {
	began := time.Now()
	for _, requests := range [][][]byte{v.st.mes(v.Addr), v.st.credentials(v.Addr)} {
		t := each(v.Addr, clients, requests)
		if t.wrong() != "" {
			v.st.s.Fatalf("while it was warmed up: %s\n%s", t.wrong(), v.Said())
		}
	}
	v.st.b.Say("%d people are known and %d credentials made in %.1f s; at most %.0f MiB", len(v.st.tokens), len(v.st.tokens)*repos, time.Since(began).Seconds(), v.Memory("VmHWM"))
}
