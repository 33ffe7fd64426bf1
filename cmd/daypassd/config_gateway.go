package main

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/daypass-dev/daypass/exchange"
)

// passesConfig is about the access service's passes.
type passesConfig struct {
	Realm      string `yaml:"realm"`       // "": made of hub.id
	AllowNever bool   `yaml:"allow_never"` // some may be without an end
}

type exchangeConfig struct {
	Audience string          `yaml:"audience"`
	Issuers  []issuerConfig  `yaml:"issuers"`
	Rules    []exchange.Rule `yaml:"rules"`
}

// An issuerConfig is an issuer, and of a hub how to ask it.
type issuerConfig struct {
	exchange.Issuer `yaml:",inline"`

	API     string `yaml:"api"`
	Service string `yaml:"service"`
	Token   string `yaml:"token"`
}

// gatewayConfig is a package gateway in front of one devpi-server.
type gatewayConfig struct {
	Listen         string               `yaml:"listen"`
	URL            string               `yaml:"url"`
	Upstream       string               `yaml:"upstream"`
	Mode           string               `yaml:"mode"`
	Name           string               `yaml:"name"` // in each pass; "": devpi
	Key            string               `yaml:"key"`
	ServiceAccount serviceAccountConfig `yaml:"service_account"`
	Admins         []string             `yaml:"admins"`
	ActAsAdmins    bool                 `yaml:"act_as_admins"`
	ListProjects   bool                 `yaml:"list_projects"`
	PushOut        bool                 `yaml:"push_out"`
	Proxies        []string             `yaml:"proxies"`
	TLS            tlsConfig            `yaml:"tls"`
	SelfTest       string               `yaml:"self_test"` // a user whom "admin check" acts as, to see whether devpi believes it
}

type serviceAccountConfig struct {
	User     string `yaml:"user"`
	Password string `yaml:"password"`
}

const gatewayListen = "127.0.0.1:3142"

// alone reports whether the file is a gateway's only: nothing in it is a hub's.
func (c *serverConfig) alone() bool {
	h := c.Hub
	return c.Gateway != nil && c.URL == "" && len(c.GitHub) == 0 && h.API == "" && h.URL == "" && h.Token == ""
}

// hubOnly are the keys that say something about a hub's access service, and
// nothing where there is only a gateway.
func hubOnly(text []byte) string {
	var tree yaml.Node
	if yaml.Unmarshal(text, &tree) != nil || len(tree.Content) != 1 {
		return ""
	}
	keys := tree.Content[0].Content
	for i := 0; i+1 < len(keys); i += 2 {
		switch k := keys[i]; k.Value {
		case "listen", "tls", "proxies":
			return fmt.Sprintf("line %d: with a gateway alone, %s belongs below gateway", k.Line, k.Value)
		case "origin", "hub", "connections", "rules", "audit_rules", "sharing", "servers", "limits", "passes", "sources", "links", "snapshots":
			return fmt.Sprintf("line %d: %s is about a hub, and the lines of a hub's access service are not there: url, hub.api, hub.url, hub.token, github; take it out, or write them", k.Line, k.Value)
		}
	}
	return ""
}

// checkAlone looks at what a gateway needs that runs by itself.
func (c *serverConfig) checkAlone() error {
	for _, need := range []struct{ key, value string }{{"store", c.Store}, {"keys", c.Keys}} {
		if need.value == "" {
			return errors.New(need.key + " is missing")
		}
	}
	return c.Gateway.check()
}

var realmName = regexp.MustCompile(`^[A-Za-z0-9_]{1,32}$`)

func (g *gatewayConfig) fill() {
	if g.Listen == "" {
		g.Listen = gatewayListen
	}
	if g.Mode == "" {
		g.Mode = "strict"
	}
	if g.Name == "" {
		g.Name = "devpi"
	}
}

func (g *gatewayConfig) check() error {
	for _, need := range []struct{ key, value string }{{"gateway.url", g.URL}, {"gateway.upstream", g.Upstream}} {
		if need.value == "" {
			return errors.New(need.key + " is missing")
		}
		u, err := url.Parse(need.value)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return fmt.Errorf("%s is no address: %s", need.key, strconv.QuoteToASCII(need.value))
		}
	}
	account := g.ServiceAccount
	switch {
	case g.Key == "" && account.User == "" && account.Password == "":
		return errors.New(`gateway.key is missing: how to act at devpi ("daypass admin devpi-key" makes the file), or gateway.service_account`)
	case g.Key != "" && account.User+account.Password != "":
		return errors.New("gateway.key and gateway.service_account are two ways to do one thing; take one out")
	case g.Key == "" && account.User == "":
		return errors.New("gateway.service_account.user is missing")
	case g.Key == "" && account.Password == "":
		return errors.New("gateway.service_account.password is missing: where it is")
	case g.Mode != "strict" && g.Mode != "compat":
		return errors.New(`gateway.mode is "strict" or "compat"`)
	case !realmName.MatchString(g.Name):
		return errors.New("gateway.name has 1 to 32 letters, digits and _")
	}
	_, err := prefixes("gateway.proxies", g.Proxies)
	return err
}

// checkExchange looks at what can be seen without secrets: a rule gives something
// that this service has.
func (c *serverConfig) checkExchange(hub bool) error {
	x := c.Exchange
	if x == nil {
		return nil
	}
	if x.Audience == "" || len(x.Issuers) == 0 {
		return errors.New("exchange.audience or exchange.issuers is missing")
	}
	for i, is := range x.Issuers {
		if is.Kind == exchange.JupyterHub && (is.API == "" || is.Service == "" || is.Token == "") {
			return fmt.Errorf("exchange.issuers: %s: api, service or token is missing", strconv.QuoteToASCII(is.Name))
		}
		if is.Kind != exchange.JupyterHub && is.API+is.Service+is.Token != "" {
			return fmt.Errorf("exchange.issuers: number %d: api, service and token are a hub's", i+1)
		}
	}
	for _, r := range x.Rules {
		if r.Gives.Hub != nil && !hub || r.Gives.Index != nil && c.Gateway == nil {
			return fmt.Errorf("exchange.rules: %s gives a pass at a hub or an index that this service is not in front of", strconv.QuoteToASCII(r.Name))
		}
	}
	return nil
}

func prefixes(key string, texts []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			a, aerr := netip.ParseAddr(text)
			if aerr != nil {
				return nil, fmt.Errorf("%s: %s is no address or network", key, strconv.QuoteToASCII(text))
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		out = append(out, p)
	}
	return out, nil
}
