package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/provider/github"
)

// maxConfig bounds a configuration file; ours are a page long.
const maxConfig = 256 << 10

// A hostConfig is what is configured for one GitHub host.
type hostConfig struct {
	ClientID string `yaml:"client_id"`
	AppURL   string `yaml:"app_url"`

	// Admin keys: taken from a root-owned file in /etc only.
	MaxRenew          string   `yaml:"max_renew"`          // such as 7d; the longest --renew; 0 forbids it
	MaxSelection      string   `yaml:"max_selection"`      // "selected" refuses an App installed on all repositories
	AllowTokens       []string `yaml:"allow_tokens"`       // "oauth" and "never_expiring" are refused unless listed
	RefreshRevocation string   `yaml:"refresh_revocation"` // "alone" or "both": what revoking a refresh token ends
}

// A fileConfig is one config.yaml.
type fileConfig struct {
	Host        string                `yaml:"host"` // the default host
	Hosts       map[string]hostConfig `yaml:"hosts"`
	FallThrough *bool                 `yaml:"fallthrough"`
}

// adminKeys may stand in root-owned /etc only.
var adminKeys = []string{"max_renew", "max_selection", "allow_tokens", "refresh_revocation"}

// A config is what all sources say together: /etc, the user's file, environment.
type config struct {
	host        github.Host
	hosts       map[string]hostConfig
	fallThrough bool
}

// forHost returns the configuration of a host; none is the zero value.
func (c config) forHost(h github.Host) hostConfig { return c.hosts[h.Name] }

// loadConfig reads /etc/daypass/config.yaml, then the user's file, then the
// environment. A mistake is an error that names file, line and key.
func (a *app) loadConfig() (config, error) {
	out := config{hosts: map[string]hostConfig{}}
	hostName := github.DotCom
	for _, file := range a.configFiles() {
		fc, err := file.read(a.uid)
		if err != nil {
			return config{}, err
		}
		if fc.Host != "" {
			hostName = fc.Host
		}
		if fc.FallThrough != nil {
			out.fallThrough = *fc.FallThrough
		}
		for name, hc := range fc.Hosts {
			if err := mergeHost(out.hosts, file.path, name, hc); err != nil {
				return config{}, err
			}
		}
	}
	if v := first(a.getenv("GITHUB_URL"), a.getenv("GITHUB_HOST")); v != "" {
		hostName = v
	}
	host, err := github.ParseHost(hostName)
	if err != nil {
		return config{}, err
	}
	out.host = host
	return out, nil
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func mergeHost(hosts map[string]hostConfig, path, name string, hc hostConfig) error {
	h, err := github.ParseHost(name)
	if err != nil {
		return configProblem(path, 0, "hosts."+name, "it is no host name", err)
	}
	have := hosts[h.Name]
	have.ClientID = first(hc.ClientID, have.ClientID)
	have.AppURL = first(hc.AppURL, have.AppURL)
	have.MaxRenew = first(hc.MaxRenew, have.MaxRenew)
	have.MaxSelection = first(hc.MaxSelection, have.MaxSelection)
	have.RefreshRevocation = first(hc.RefreshRevocation, have.RefreshRevocation)
	if hc.AllowTokens != nil {
		have.AllowTokens = hc.AllowTokens
	}
	hosts[h.Name] = have
	return nil
}

// A configFile is one place to read from.
type configFile struct {
	path  string
	admin bool // may hold admin keys: root-owned /etc
	named bool // the user named it, so that it must exist
}

func (a *app) configFiles() []configFile {
	files := []configFile{{path: a.etcConfig, admin: true}}
	if v := a.getenv("DAYPASS_CONFIG"); v != "" {
		return append(files, configFile{path: v, named: true})
	}
	dir := a.getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(dir) {
		home := a.getenv("HOME")
		if !filepath.IsAbs(home) {
			return files
		}
		dir = filepath.Join(home, ".config")
	}
	return append(files, configFile{path: filepath.Join(dir, "daypass", "config.yaml")})
}

func (f configFile) read(uid int) (fileConfig, error) {
	file, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) && !f.named {
		return fileConfig{}, nil
	}
	if err != nil {
		return fileConfig{}, configProblem(f.path, 0, "", "it cannot be read", err)
	}
	defer file.Close()
	if err := f.trusted(file, uid); err != nil {
		return fileConfig{}, err
	}
	text, err := io.ReadAll(io.LimitReader(file, maxConfig+1))
	if err != nil || len(text) > maxConfig {
		return fileConfig{}, configProblem(f.path, 0, "", "it cannot be read, or is longer than 256 KiB", err)
	}
	return f.parse(text)
}

// trusted refuses a file that somebody else could have written.
func (f configFile) trusted(file *os.File, uid int) error {
	st, err := file.Stat()
	if err != nil {
		return configProblem(f.path, 0, "", "it cannot be read", err)
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	owner := uint32(0)
	if ok {
		owner = sys.Uid
	}
	switch {
	case !st.Mode().IsRegular():
		return configProblem(f.path, 0, "", "it is not a regular file", nil)
	case st.Mode().Perm()&0o022 != 0:
		return configProblem(f.path, 0, "", "others may write to it (chmod go-w it)", nil)
	case f.admin && owner != 0:
		return configProblem(f.path, 0, "", "it does not belong to root", nil)
	case owner != 0 && int(owner) != uid:
		return configProblem(f.path, 0, "", "it belongs to somebody else", nil)
	}
	return nil
}

func (f configFile) parse(text []byte) (fileConfig, error) {
	var out fileConfig
	dec := yaml.NewDecoder(strings.NewReader(string(text)))
	dec.KnownFields(true)
	if err := dec.Decode(&out); err != nil && !errors.Is(err, io.EOF) {
		line, why := yamlMistake(err)
		return fileConfig{}, configProblem(f.path, line, "", printable(why), nil)
	}
	var tree yaml.Node
	if err := yaml.Unmarshal(text, &tree); err != nil {
		return fileConfig{}, configProblem(f.path, 0, "", "it is not valid YAML", nil)
	}
	for _, k := range hostKeys(&tree) {
		if err := f.checkKey(k); err != nil {
			return fileConfig{}, err
		}
	}
	return out, nil
}

// yamlMistake takes "line 3: what is wrong" out of the library's error.
func yamlMistake(err error) (line int, why string) {
	_, rest, ok := strings.Cut(err.Error(), "line ")
	number, text, ok2 := strings.Cut(rest, ": ")
	line, aerr := strconv.Atoi(number)
	if !ok || !ok2 || aerr != nil {
		return 0, "it is not valid YAML"
	}
	text, _, _ = strings.Cut(text, "\n")
	if key, ok := strings.CutPrefix(text, "field "); ok {
		key, _, _ = strings.Cut(key, " not found")
		text = "there is no key " + strconv.Quote(key)
	}
	return line, text
}

// A hostKey is one key under hosts.NAME, with its place in the file.
type hostKey struct {
	host, key string
	value     *yaml.Node
	line      int
}

func hostKeys(tree *yaml.Node) []hostKey {
	var out []hostKey
	eachPair(tree, func(key, value *yaml.Node) {
		if key.Value != "hosts" {
			return
		}
		eachPair(value, func(host, settings *yaml.Node) {
			eachPair(settings, func(k, v *yaml.Node) {
				out = append(out, hostKey{host.Value, k.Value, v, k.Line})
			})
		})
	})
	return out
}

func eachPair(n *yaml.Node, do func(key, value *yaml.Node)) {
	if n.Kind == yaml.DocumentNode && len(n.Content) > 0 {
		n = n.Content[0]
	}
	if n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		do(n.Content[i], n.Content[i+1])
	}
}

// checkKey checks shapes, so that swapped or pasted values are named at once
// rather than failing at the host.
func (f configFile) checkKey(k hostKey) error {
	name := "hosts." + k.host + "." + k.key
	if slices.Contains(adminKeys, k.key) && !f.admin {
		return configProblem(f.path, k.line, name, "only the admin's /etc/daypass/config.yaml may set it", nil)
	}
	var why string
	switch k.key {
	case "client_id":
		why = github.ClientIDMistake(k.value.Value)
	case "app_url":
		why = github.AppLinkMistake(k.value.Value)
	case "max_renew":
		if _, err := parseDuration(k.value.Value); err != nil {
			why = "it is no duration such as 24h or 7d"
		}
	case "max_selection":
		if k.value.Value != "selected" && k.value.Value != "all" {
			why = `it is "selected" or "all"`
		}
	case "refresh_revocation":
		if k.value.Value != "alone" && k.value.Value != "both" {
			why = `it is "alone" or "both"`
		}
	case "allow_tokens":
		for _, v := range k.value.Content {
			if v.Value != "oauth" && v.Value != "never_expiring" {
				why = `it lists "oauth" and "never_expiring" only`
			}
		}
	}
	if why == "" {
		return nil
	}
	return configProblem(f.path, k.line, name, why, nil)
}

func configProblem(path string, line int, key, why string, err error) error {
	where := path
	if line > 0 {
		where = fmt.Sprintf("%s, line %d", path, line)
	}
	what := "the configuration in " + where + " is not right"
	if key != "" {
		what = key + " in " + where + " is not right"
	}
	p := &daypass.Problem{
		Code: "DP-502", What: what, Why: why,
		Next: "Correct that file; the manual (doc/configuration.md) lists every key.", Err: err,
	}
	if strings.HasPrefix(path, "/etc/") {
		p.Who = "It belongs to the admins of this machine."
	}
	return p
}

// parseDuration reads Go's durations and whole days, such as 7d.
func parseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 || n > 3650 {
			return 0, fmt.Errorf("%q is no duration such as 24h or 7d", s)
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is no duration such as 24h or 7d", s)
	}
	return d, nil
}
