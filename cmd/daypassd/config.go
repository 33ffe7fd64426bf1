package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/policy/rulefile"
	"github.com/daypass-dev/daypass/provider/github"
	"github.com/daypass-dev/daypass/store"
)

// defaultConfig is where "daypass serve" and the admin's commands look.
const defaultConfig = "/etc/daypass/server.yaml"

// A serverConfig is the one file of the access service.
type serverConfig struct {
	Listen string `yaml:"listen"`
	URL    string `yaml:"url"`
	// Origin "shared" says that users' servers have the same origin; "own" that
	// they have not. Empty: told from url and hub.url.
	Origin      string              `yaml:"origin"`
	TLS         tlsConfig           `yaml:"tls"`
	Proxies     []string            `yaml:"proxies"`
	Store       string              `yaml:"store"`
	Keys        string              `yaml:"keys"`
	Hub         hubConfig           `yaml:"hub"`
	GitHub      []githubConfig      `yaml:"github"`
	Connections connectionsConfig   `yaml:"connections"`
	Rules       []rulefile.RuleText `yaml:"rules"`
	AuditRules  []rulefile.RuleText `yaml:"audit_rules"`
	Sharing     sharingConfig       `yaml:"sharing"`
	Servers     serversConfig       `yaml:"servers"`
	Limits      limitsConfig        `yaml:"limits"`
	Heads       headsConfig         `yaml:"heads"`
	Metrics     string              `yaml:"metrics_token"`
	Log         string              `yaml:"log"` // debug, info, warn
	Passes      passesConfig        `yaml:"passes"`
	Exchange    *exchangeConfig     `yaml:"exchange"`
	Gateway     *gatewayConfig      `yaml:"gateway"`
	Sources     sourcesConfig       `yaml:"sources"`
	Links       linksConfig         `yaml:"links"`
	Snapshots   snapshotsConfig     `yaml:"snapshots"`

	path    string
	hubless bool      // it is a gateway's alone
	tree    yaml.Node // the file, for the lines that messages name
}

type tlsConfig struct {
	Cert     string `yaml:"cert"`
	Key      string `yaml:"key"`
	ClientCA string `yaml:"client_ca"`
}

type hubConfig struct {
	ID        string `yaml:"id"`
	Title     string `yaml:"title"`
	API       string `yaml:"api"`
	URL       string `yaml:"url"`
	Service   string `yaml:"service"`
	Token     string `yaml:"token"`
	HookToken string `yaml:"hook_token"`
	Admins    struct {
		Users  []string `yaml:"users"`
		Groups []string `yaml:"groups"`
	} `yaml:"admins"`
}

type githubConfig struct {
	Host string `yaml:"host"`
	Push struct {
		ClientID      string   `yaml:"client_id"`
		ClientSecrets []string `yaml:"client_secrets"`
		AppURL        string   `yaml:"app_url"`
		Name          string   `yaml:"name"` // as the host shows it; "": the last part of app_url
	} `yaml:"push"`
	Content struct {
		ClientID string `yaml:"client_id"`
		Key      string `yaml:"key"`
		AppURL   string `yaml:"app_url"`
		Name     string `yaml:"name"`
	} `yaml:"content"`
	ChildrenSurviveRefresh bool `yaml:"children_survive_refresh"`
	AnySelection           bool `yaml:"any_selection"`
	AcceptNeverEnding      bool `yaml:"accept_never_ending"`
	LoginApp               struct {
		ClientID         string `yaml:"client_id"`
		AcceptUnnarrowed bool   `yaml:"accept_unnarrowed"`
	} `yaml:"login_app"`
}

type connectionsConfig struct {
	Keep   string `yaml:"keep"` // "stored", or "session": in memory only
	MaxAge string `yaml:"max_age"`
	Idle   string `yaml:"idle"`
}

type sharingConfig struct {
	Groups []string `yaml:"groups"`
	Max    string   `yaml:"max"`
}

type serversConfig struct {
	Shared    []string `yaml:"shared"`    // names of servers that others enter; * and ? stand for anything
	Dashboard []string `yaml:"dashboard"` // names of servers that show something to viewers
	// Options of a server at its start that make it a dashboard, such as
	// {profile: dashboard}.
	DashboardOptions map[string]string `yaml:"dashboard_options"`
	// IgnoreShares: a server that others may enter just now, by the hub's sharing,
	// is still its owner's own. Otherwise it only reads.
	IgnoreShares bool `yaml:"ignore_shares"`
}

type limitsConfig struct {
	RepositoriesPerDay int `yaml:"repositories_per_day"`
	AddressesPerToken  int `yaml:"addresses_per_token"`
	// WriteClick: a server writes only so long after a click in a browser.
	WriteClick string `yaml:"write_click"`
}

type headsConfig struct {
	File string `yaml:"file"`
	URL  string `yaml:"url"`
}

func serveProblem(code, what, why, next string) *daypass.Problem {
	return &daypass.Problem{Code: code, What: what, Why: why, Next: next, Kind: daypass.ErrUsage}
}

// readConfig reads the service's file. A key that is unknown is an error with
// its line.
func (s *app) readConfig(path string) (*serverConfig, error) {
	text, err := readGuarded(path, false)
	if err != nil {
		return nil, serveProblem("DP-901", "the configuration cannot be read", err.Error(),
			`Write it to `+defaultConfig+`, or name it: "daypass serve --config FILE". doc/deploy.md begins with one.`)
	}
	c := &serverConfig{path: path}
	_ = yaml.Unmarshal(text, &c.tree) // what is wrong with it the next lines say
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(c); err != nil && !errors.Is(err, io.EOF) {
		return nil, serveProblem("DP-902", path+" is not understood", yamlText(err), "Correct that line; doc/deploy.md describes each key.")
	}
	if why := unmeant(text); why != "" {
		return nil, serveProblem("DP-902", path+" is not understood", why, "Correct that line; doc/deploy.md describes each key.")
	}
	if c.hubless = c.alone(); c.hubless {
		if why := hubOnly(text); why != "" {
			return nil, serveProblem("DP-903", path+" cannot be used", why, "Correct it; doc/deploy.md describes each key.")
		}
	} else {
		s.fromHub(c)
	}
	if c.Gateway != nil {
		c.Gateway.fill()
	}
	if err := c.check(); err != nil {
		return nil, serveProblem("DP-903", path+" cannot be used", err.Error(), "Correct it; doc/deploy.md describes each key.")
	}
	return c, nil
}

// unmeant finds what would pass over an admin's rules in silence: a second
// document, which nobody would read, and a key of the rules or servers that says
// nothing, which would be as good as not there.
func unmeant(text []byte) string {
	var tree, more yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(text))
	if dec.Decode(&tree) != nil {
		return "" // an empty file
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return "there is more behind a line of three dashes; a configuration is one document"
	}
	if len(tree.Content) != 1 || tree.Content[0].Kind != yaml.MappingNode {
		return ""
	}
	keys := tree.Content[0].Content
	for i := 0; i+1 < len(keys); i += 2 {
		switch keys[i].Value {
		case "rules", "audit_rules", "servers", "sources", "links":
			if line, key := saysNothing(keys[i], keys[i+1]); line != 0 {
				return fmt.Sprintf("line %d: %s says nothing; write what it is, [] for none, or leave it out", line, strconv.QuoteToASCII(key))
			}
		}
	}
	return ""
}

// saysNothing finds a key or a list's item without a value.
func saysNothing(key, n *yaml.Node) (line int, name string) {
	if n.Kind == yaml.AliasNode && n.Alias.Kind == yaml.ScalarNode {
		n = n.Alias
	}
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		return n.Line, key.Value
	}
	step := 1
	if n.Kind == yaml.MappingNode {
		step = 2
	}
	for i := step - 1; i < len(n.Content); i += step {
		if step == 2 {
			key = n.Content[i-1]
		}
		if line, name := saysNothing(key, n.Content[i]); line != 0 {
			return line, name
		}
	}
	return 0, ""
}

func yamlText(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	text = strings.TrimPrefix(text, "unmarshal errors:\n")
	text = unknownField.ReplaceAllString(text, "there is no key $1 here")
	return strings.Join(strings.Fields(text), " ")
}

var unknownField = regexp.MustCompile(`field (\S+) not found in type \S+`)

// fromHub fills in what a hub tells the services that it manages (JupyterHub
// docs: "Services", environment variables).
func (s *app) fromHub(c *serverConfig) {
	set := func(to *string, values ...string) {
		for _, v := range values {
			if *to == "" {
				*to = v
			}
		}
	}
	set(&c.Hub.API, s.getenv("JUPYTERHUB_API_URL"))
	set(&c.Hub.Service, s.getenv("JUPYTERHUB_SERVICE_NAME"), "daypass")
	if s.getenv("JUPYTERHUB_API_TOKEN") != "" {
		set(&c.Hub.Token, "env:JUPYTERHUB_API_TOKEN")
	}
	set(&c.Hub.URL, s.getenv("JUPYTERHUB_PUBLIC_HUB_URL"), s.hubFromHost())
	if public := s.getenv("JUPYTERHUB_PUBLIC_URL"); public != "" {
		set(&c.URL, public)
	} else if prefix := s.getenv("JUPYTERHUB_SERVICE_PREFIX"); prefix != "" && c.Hub.URL != "" {
		if u, err := url.Parse(c.Hub.URL); err == nil {
			set(&c.URL, u.Scheme+"://"+u.Host+prefix)
		}
	}
	set(&c.TLS.Cert, s.getenv("JUPYTERHUB_SSL_CERTFILE"))
	set(&c.TLS.Key, s.getenv("JUPYTERHUB_SSL_KEYFILE"))
	set(&c.TLS.ClientCA, s.getenv("JUPYTERHUB_SSL_CLIENT_CA"))
	set(&c.Hub.ID, "hub")
	set(&c.Hub.Title, "JupyterHub")
	if u, err := url.Parse(s.getenv("JUPYTERHUB_SERVICE_URL")); err == nil && u.Host != "" {
		set(&c.Listen, u.Host)
	}
	set(&c.Listen, "127.0.0.1:8088")
	c.Hub.API = strings.TrimSuffix(c.Hub.API, "/")
}

func (s *app) hubFromHost() string {
	host := s.getenv("JUPYTERHUB_HOST")
	if host == "" {
		return ""
	}
	return host + s.getenv("JUPYTERHUB_BASE_URL")
}

func (c *serverConfig) check() error {
	if err := c.checkExchange(!c.hubless); err != nil {
		return err
	}
	if c.hubless {
		return c.checkAlone()
	}
	if err := c.checkHub(); err != nil || c.Gateway == nil {
		return err
	}
	if c.Listen == "systemd" && c.Gateway.Listen == "systemd" {
		return errors.New("listen and gateway.listen are both systemd's, which hands over one socket")
	}
	return c.Gateway.check()
}

// checkHub looks at what a hub's access service needs.
func (c *serverConfig) checkHub() error {
	for _, need := range []struct{ key, value string }{
		{"url", c.URL}, {"store", c.Store}, {"keys", c.Keys}, {"hub.api", c.Hub.API}, {"hub.url", c.Hub.URL}, {"hub.token", c.Hub.Token},
	} {
		if need.value == "" {
			return fmt.Errorf("%s is missing", need.key)
		}
	}
	for _, u := range []struct{ key, value string }{{"url", c.URL}, {"hub.url", c.Hub.URL}, {"hub.api", c.Hub.API}} {
		parsed, err := url.Parse(u.value)
		if err != nil || parsed.Host == "" || parsed.Scheme != "https" && parsed.Scheme != "http" {
			return fmt.Errorf("%s is no address: %s", u.key, strconv.QuoteToASCII(u.value))
		}
	}
	if len(c.GitHub) == 0 {
		return errors.New(`no host is served: name one under "github"`)
	}
	seen := map[string]bool{}
	for i := range c.GitHub {
		g := &c.GitHub[i]
		if g.Host == "" {
			g.Host = github.DotCom
		}
		h, err := github.ParseHost(g.Host)
		if err != nil {
			return fmt.Errorf("github: %w", err)
		}
		if seen[h.Name] {
			return fmt.Errorf("github: %s stands there twice; one host has one push App and one content App", h.Name)
		}
		seen[h.Name] = true
		if g.Push.ClientID == "" || len(g.Push.ClientSecrets) == 0 {
			return fmt.Errorf("github: %s needs push.client_id and push.client_secrets", h.Name)
		}
		if g.Push.ClientID == g.Content.ClientID {
			return fmt.Errorf("github: push and content at %s are the same App; they have to be two", h.Name)
		}
	}
	if c.Connections.Keep != "" && c.Connections.Keep != "stored" && c.Connections.Keep != "session" {
		return errors.New(`connections.keep is "stored" or "session"`)
	}
	if c.Origin != "" && c.Origin != "own" && c.Origin != "shared" {
		return errors.New(`origin is "own" or "shared"`)
	}
	if c.Passes.Realm != "" && !realmName.MatchString(c.Passes.Realm) {
		return errors.New("passes.realm has 1 to 32 letters, digits and _")
	}
	return c.checkSources()
}

// hosts names what is served, as git does.
func (c *serverConfig) hosts() []string {
	var out []string
	for _, g := range c.GitHub {
		if h, err := github.ParseHost(g.Host); err == nil {
			out = append(out, h.Name)
		}
	}
	return out
}

// shared reports whether users' servers have the same origin as the pages. An
// admin may say so; where the origins are the same there is no choice.
func (c *serverConfig) shared() bool {
	a, _ := url.Parse(c.URL)
	b, _ := url.Parse(c.Hub.URL)
	return c.Origin == "shared" || strings.EqualFold(a.Host, b.Host) && a.Scheme == b.Scheme
}

// duration reads 90s, 8h or 30d; "" is zero.
func duration(key, s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	if n, ok := strings.CutSuffix(s, "d"); ok {
		if days, err := strconv.ParseUint(n, 10, 16); err == nil {
			return time.Duration(days) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%s: %s is no length of time; write it like 8h or 30d", key, strconv.QuoteToASCII(s))
	}
	return d, nil
}

func (c *serverConfig) rules() (rules, audit *policy.Set, err error) {
	if rules, err = compileRules(c.Rules, policy.Preset()); err != nil {
		return nil, nil, fmt.Errorf("rules: %w", err)
	}
	if len(c.AuditRules) == 0 {
		return rules, nil, nil
	}
	if audit, err = compileRules(c.AuditRules, nil); err != nil {
		return nil, nil, fmt.Errorf("audit_rules: %w", err)
	}
	return rules, audit, nil
}

// compileRules reads rules; where nothing is said of them, the preset's hold. A
// list of none is no rules, which allow nothing.
func compileRules(texts []rulefile.RuleText, preset []policy.Rule) (*policy.Set, error) {
	if texts == nil {
		return policy.Compile(preset)
	}
	return rulefile.Rules(texts)
}

func (c *serverConfig) proxies() ([]netip.Prefix, error) { return prefixes("proxies", c.Proxies) }

// secret reads a secret from where the configuration says: "file:/path",
// "credential:NAME" (systemd.exec(5), LoadCredential) or "env:NAME". A secret
// itself in the configuration is refused.
func (s *app) secret(key, where string) (daypass.Secret, error) {
	text, err := s.secretText(key, where)
	return daypass.NewSecret(strings.TrimSpace(string(text))), err
}

func (s *app) secretText(key, where string) ([]byte, error) {
	kind, name, ok := strings.Cut(where, ":")
	if !ok {
		kind = ""
	}
	var text []byte
	var err error
	switch kind {
	case "file":
		text, err = readGuarded(name, true)
	case "credential":
		dir := s.getenv("CREDENTIALS_DIRECTORY")
		if dir == "" || filepath.Base(name) != name || name == "" || name[0] == '.' {
			err = errors.New("systemd gave no such credential")
			break
		}
		text, err = readGuarded(filepath.Join(dir, name), true)
	case "env":
		text = []byte(s.getenv(name))
	default:
		return nil, fmt.Errorf("%s says where the secret is, not the secret itself: file:/PATH, credential:NAME or env:NAME", key)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, fmt.Errorf("%s: %s is empty", key, where)
	}
	return text, nil
}

// readGuarded reads a file that nobody but its owner, this user or root, can
// change; a secret may be read by nobody else either.
func readGuarded(path string, secret bool) ([]byte, error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("%s is no full path", strconv.QuoteToASCII(path))
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	mask := os.FileMode(0o022)
	if secret {
		mask = 0o077
		if sys != nil && sys.Uid == 0 && os.Getuid() != 0 {
			mask = 0o037 // root may hand it to the service's group
		}
	}
	switch {
	case !st.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file", path)
	case !ok || sys.Uid != 0 && int(sys.Uid) != os.Getuid():
		return nil, fmt.Errorf("%s belongs to somebody else", path)
	case st.Mode().Perm()&mask != 0 && secret:
		return nil, fmt.Errorf("%s can be read by others: chmod 600 it", path)
	case st.Mode().Perm()&mask != 0:
		return nil, fmt.Errorf("%s can be written by others: chmod go-w it", path)
	}
	const most = 1 << 20
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && len(text) > most {
		err = fmt.Errorf("%s is longer than 1 MiB", path)
	}
	return text, err
}

// keys reads the keyset.
func (s *app) keys(c *serverConfig) (*store.Keys, error) {
	if path, ok := strings.CutPrefix(c.Keys, "file:"); ok {
		if err := store.KeysApart(path, c.Store); err != nil {
			return nil, err
		}
	}
	text, err := s.secretText("keys", c.Keys)
	if err != nil {
		return nil, err
	}
	return store.ParseKeys(text)
}
