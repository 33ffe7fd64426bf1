package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/client"
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
	Pull        pullConfig            `yaml:"pull"`
	Sources     sourcesConfig         `yaml:"sources"`

	// Admin keys too: where the hub's token may go.
	Broker           string   `yaml:"broker"`             // the access service's URL
	BrokerOrigins    []string `yaml:"broker_origins"`     // further origins of access services
	PlainHTTPOrigins []string `yaml:"plain_http_origins"` // may be asked by plain http
}

// A pullConfig is what is configured for pulling content.
type pullConfig struct {
	Depth  *int   `yaml:"depth"`  // commits that a first pull fetches; 0: all
	Parent string `yaml:"parent"` // the folder that links put theirs into, relative to the server's root
	App    string `yaml:"app"`    // what opens content where a link does not say

	// Admin keys.
	MaxFile      string   `yaml:"max_file"`      // such as 100MB
	MaxTotal     string   `yaml:"max_total"`     // such as 1GB
	MaxFiles     int      `yaml:"max_files"`     // how many
	Owners       []string `yaml:"owners"`        // whose content comes without a question
	AllowedHosts []string `yaml:"allowed_hosts"` // none: every host
	Protocols    []string `yaml:"protocols"`     // none: https, ssh, http, git and file
}

// adminKeys and adminLines, which stand outside of hosts, may stand in
// root-owned /etc only.
var (
	adminKeys  = []string{"max_renew", "max_selection", "allow_tokens", "refresh_revocation"}
	adminLines = []string{"broker", "broker_origins", "plain_http_origins"}
)

// A config is what all sources say together: /etc, the user's file, environment.
type config struct {
	host        github.Host
	hostNamed   bool // a file or the environment names it; else it is github.com
	hosts       map[string]hostConfig
	fallThrough bool
	admin       client.Admin // what /etc says about the access service
	pull        pullConfig
	sources     sourcesConfig
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
			hostName, out.hostNamed = fc.Host, true
		}
		if fc.FallThrough != nil {
			out.fallThrough = *fc.FallThrough
		}
		if file.admin {
			out.admin = client.Admin{Broker: fc.Broker, Origins: fc.BrokerOrigins, PlainHTTP: fc.PlainHTTPOrigins}
		}
		out.pull = out.pull.with(fc.Pull, file.admin)
		out.sources = out.sources.with(fc.Sources)
		for _, name := range slices.Sorted(maps.Keys(fc.Hosts)) {
			if err := mergeHost(out.hosts, file.path, name, fc.Hosts[name]); err != nil {
				return config{}, err
			}
		}
	}
	if v := first(a.getenv("GITHUB_URL"), a.getenv("GITHUB_HOST")); v != "" {
		hostName, out.hostNamed = v, true
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
	if !filepath.IsAbs(f.path) { // only DAYPASS_CONFIG can name such a one
		return fileConfig{}, &daypass.Problem{
			Code: "DP-502", What: "DAYPASS_CONFIG names " + strconv.QuoteToASCII(f.path) + ", which is no full path",
			Why:  "it would be taken from the current folder, which may be a clone from a stranger",
			Next: "Set DAYPASS_CONFIG to the full path, beginning with /, or unset it.", Kind: daypass.ErrUsage,
		}
	}
	// Nonblocking, so that opening a pipe in its place does not wait for a writer.
	file, err := os.OpenFile(f.path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
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
	switch {
	case !ok:
		return configProblem(f.path, 0, "", "whose it is cannot be told", nil)
	case !st.Mode().IsRegular():
		return configProblem(f.path, 0, "", "it is not a regular file", nil)
	case st.Mode().Perm()&0o022 != 0:
		return configProblem(f.path, 0, "", "others may write to it (chmod go-w it)", nil)
	case f.admin && sys.Uid != 0 && !hostRoot(f.path, sys.Uid, uid):
		return configProblem(f.path, 0, "", "it does not belong to root", nil)
	case !f.admin && sys.Uid != 0 && int(sys.Uid) != uid:
		return configProblem(f.path, 0, "", "it belongs to somebody else", nil)
	}
	return nil
}

// hostRoot reports whether the owner of the admin's file stands for root outside
// of an unprivileged container. There every user who has no number inside shows
// as the overflow user (user_namespaces(7)), root among them; but so does any
// stranger, so that the number alone proves nothing. What does: nobody inside
// can become that user; the folders from / down to the file show the same owner
// and are closed to all others, so that only their owner could put the file
// there, and whoever owns / is the system; and we cannot write to it. Unsure is no.
func hostRoot(path string, owner uint32, uid int) bool {
	overflow, err := os.ReadFile("/proc/sys/kernel/overflowuid")
	if err != nil {
		return false
	}
	mapped, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return false
	}
	return int(owner) != uid && outsider(owner, string(overflow), string(mapped)) && closedPath(path, owner)
}

// outsider reports whether a number is the overflow user's, and no user inside
// this namespace has it, by the words of the two files under /proc.
func outsider(owner uint32, overflow, mapped string) bool {
	if n, err := strconv.ParseUint(strings.TrimSpace(overflow), 10, 32); err != nil || uint32(n) != owner {
		return false
	}
	lines := 0
	for line := range strings.Lines(mapped) {
		var inside, outside, count uint64
		if n, err := fmt.Sscan(line, &inside, &outside, &count); err != nil || n != 3 {
			return false
		}
		if uint64(owner) >= inside && uint64(owner)-inside < count {
			return false
		}
		lines++
	}
	return lines > 0
}

// closedPath reports whether owner, and nobody else, can change a file or any
// folder above it.
func closedPath(path string, owner uint32) bool {
	const write = 2 // W_OK
	if !filepath.IsAbs(path) || syscall.Access(path, write) == nil {
		return false
	}
	for {
		st, err := os.Lstat(path)
		if err != nil {
			return false
		}
		sys, ok := st.Sys().(*syscall.Stat_t)
		if !ok || sys.Uid != owner || st.Mode()&fs.ModeSymlink != 0 || st.Mode().Perm()&0o022 != 0 {
			return false
		}
		if path == "/" {
			return true
		}
		path = filepath.Dir(path)
	}
}

// parse reads a file and checks it twice: as it is written, where only plain
// maps, lists and words are taken, and as it was understood. The library follows
// merges, aliases and tags, so that a key can stand where nobody reads it.
func (f configFile) parse(text []byte) (fileConfig, error) {
	tree, err := f.tree(text)
	if err != nil {
		return fileConfig{}, err
	}
	var out fileConfig
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&out); err != nil && !errors.Is(err, io.EOF) {
		line, why := yamlMistake(err)
		return fileConfig{}, configProblem(f.path, line, "", printable(why), nil)
	}
	for _, k := range writtenKeys(tree) {
		if err := f.checkKey(k); err != nil {
			return fileConfig{}, err
		}
	}
	if err := f.checkUnderstood(out); err != nil {
		return fileConfig{}, err
	}
	if err := f.checkService(tree, out); err != nil {
		return out, err
	}
	if err := f.checkPull(tree, out.Pull); err != nil {
		return out, err
	}
	return out, f.checkSources(tree, out.Sources)
}

// checkService checks what the file says about the access service. Only the
// admin may say it: it decides where the hub's token goes.
func (f configFile) checkService(tree *yaml.Node, fc fileConfig) error {
	lines := map[string]int{}
	eachPair(tree, func(key, _ *yaml.Node) { lines[key.Value] = key.Line })
	for _, key := range adminLines {
		if line, ok := lines[key]; ok && !f.admin {
			return configProblem(f.path, line, key, "only the admin's /etc/daypass/config.yaml may set it", nil)
		}
	}
	if fc.Broker != "" {
		if why := client.BaseMistake(fc.Broker); why != "" {
			return configProblem(f.path, lines["broker"], "broker", why, nil)
		}
	}
	for key, list := range map[string][]string{"broker_origins": fc.BrokerOrigins, "plain_http_origins": fc.PlainHTTPOrigins} {
		for _, v := range list {
			if !client.Origin(v) {
				return configProblem(f.path, lines[key], key, "it lists origins, such as https://HOST or http://HOST:8000, with nothing behind them", nil)
			}
		}
	}
	return nil
}

// tree returns the one document of a file, of which every part is plain.
func (f configFile) tree(text []byte) (*yaml.Node, error) {
	var tree, more yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(text))
	err := dec.Decode(&tree)
	if errors.Is(err, io.EOF) {
		return &tree, nil
	}
	if err == nil {
		err = dec.Decode(&more)
		if err == nil {
			return nil, configProblem(f.path, more.Line, "", "it holds more than one document", nil)
		}
	}
	if !errors.Is(err, io.EOF) {
		line, why := yamlMistake(err)
		return nil, configProblem(f.path, line, "", printable(why), nil)
	}
	if line, why := notPlain(&tree); why != "" {
		return nil, configProblem(f.path, line, "", why, nil)
	}
	return &tree, nil
}

// notPlain finds what makes a file mean something else than it seems to say.
func notPlain(n *yaml.Node) (line int, why string) {
	switch {
	case n.Kind == yaml.AliasNode:
		return n.Line, "it uses an alias (*), which is not taken here"
	case n.Anchor != "":
		return n.Line, "it uses an anchor (&), which is not taken here"
	case n.Style&yaml.TaggedStyle != 0:
		return n.Line, "it uses a tag (!), which is not taken here"
	}
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			switch {
			case c.Kind == yaml.ScalarNode && (c.Value == "<<" || c.Tag == "!!merge"):
				return c.Line, "it uses a merge (<<), which is not taken here"
			case c.Kind != yaml.ScalarNode && c.Kind != yaml.AliasNode:
				return c.Line, "it has a key that is not a word"
			}
		}
		if line, why := notPlain(c); why != "" {
			return line, why
		}
	}
	return 0, ""
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

// A hostKey is one key under hosts.NAME, with its values and its line, if known.
type hostKey struct {
	host, key string
	values    []string
	line      int
}

// writtenKeys lists the keys as they stand in the file.
func writtenKeys(tree *yaml.Node) []hostKey {
	var out []hostKey
	eachPair(tree, func(key, value *yaml.Node) {
		if key.Value != "hosts" {
			return
		}
		eachPair(value, func(host, settings *yaml.Node) {
			eachPair(settings, func(k, v *yaml.Node) {
				values := []string{v.Value}
				if v.Kind == yaml.SequenceNode {
					values = nil
					for _, one := range v.Content {
						values = append(values, one.Value)
					}
				}
				out = append(out, hostKey{host.Value, k.Value, values, k.Line})
			})
		})
	})
	return out
}

// understoodKeys lists the keys that a host's configuration holds.
func understoodKeys(host string, hc hostConfig) []hostKey {
	var out []hostKey
	for _, k := range []struct{ key, value string }{
		{"client_id", hc.ClientID}, {"app_url", hc.AppURL}, {"max_renew", hc.MaxRenew},
		{"max_selection", hc.MaxSelection}, {"refresh_revocation", hc.RefreshRevocation},
	} {
		if k.value != "" {
			out = append(out, hostKey{host: host, key: k.key, values: []string{k.value}})
		}
	}
	if hc.AllowTokens != nil {
		out = append(out, hostKey{host: host, key: "allow_tokens", values: hc.AllowTokens})
	}
	return out
}

// checkUnderstood checks what was understood, by whatever way it got there.
func (f configFile) checkUnderstood(fc fileConfig) error {
	names := map[string]string{}
	for _, host := range slices.Sorted(maps.Keys(fc.Hosts)) {
		if h, err := github.ParseHost(host); err == nil {
			if other, twice := names[h.Name]; twice {
				return configProblem(f.path, 0, "hosts."+host, "it is the same host as hosts."+other, nil)
			}
			names[h.Name] = host
		}
		for _, k := range understoodKeys(host, fc.Hosts[host]) {
			if err := f.checkKey(k); err != nil {
				return err
			}
		}
	}
	return nil
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
	for _, v := range k.values {
		if why := mistake(k.key, v); why != "" {
			return configProblem(f.path, k.line, name, why, nil)
		}
	}
	return nil
}

// mistake says what is wrong with the value of a key, or "".
func mistake(key, value string) string {
	switch key {
	case "client_id":
		return github.ClientIDMistake(value)
	case "app_url":
		return github.AppLinkMistake(value)
	case "max_renew":
		if _, err := parseDuration(value); err != nil {
			return "it is no duration such as 24h or 7d"
		}
	case "max_selection":
		if value != "selected" && value != "all" {
			return `it is "selected" or "all"`
		}
	case "refresh_revocation":
		if value != "alone" && value != "both" {
			return `it is "alone" or "both"`
		}
	case "allow_tokens":
		if value != "oauth" && value != "never_expiring" {
			return `it lists "oauth" and "never_expiring" only`
		}
	}
	return ""
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
