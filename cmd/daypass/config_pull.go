package main

import (
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/daypass-dev/daypass"
)

// adminPull are the keys below pull that may stand in root-owned /etc only.
var adminPull = []string{"max_file", "max_total", "max_files", "owners", "allowed_hosts", "protocols"}

// pullProtocols are those that a site can allow; all of them, where it says nothing.
var pullProtocols = []string{"https", "ssh", "http", "git", "file"}

// with lays what a later file says over what is known.
func (p pullConfig) with(over pullConfig, admin bool) pullConfig {
	if over.Depth != nil {
		p.Depth = over.Depth
	}
	p.Parent = first(over.Parent, p.Parent)
	p.App = first(over.App, p.App)
	if admin {
		p.MaxFile, p.MaxTotal, p.MaxFiles = over.MaxFile, over.MaxTotal, over.MaxFiles
		p.Owners, p.AllowedHosts, p.Protocols = over.Owners, over.AllowedHosts, over.Protocols
	}
	return p
}

// checkPull checks what a file says about pulls.
func (f configFile) checkPull(tree *yaml.Node, p pullConfig) error {
	lines := map[string]int{}
	eachPair(tree, func(key, value *yaml.Node) {
		if key.Value == "pull" {
			eachPair(value, func(k, _ *yaml.Node) { lines[k.Value] = k.Line })
		}
	})
	for _, key := range adminPull {
		if line, ok := lines[key]; ok && !f.admin {
			return configProblem(f.path, line, "pull."+key, "only the admin's /etc/daypass/config.yaml may set it", nil)
		}
	}
	for _, c := range []struct{ key, why string }{
		{"depth", depthMistake(p.Depth)}, {"parent", parentMistake(p.Parent)}, {"app", appMistake(p.App)},
		{"max_file", sizeMistake(p.MaxFile)}, {"max_total", sizeMistake(p.MaxTotal)},
	} {
		if c.why != "" {
			return configProblem(f.path, lines[c.key], "pull."+c.key, c.why, nil)
		}
	}
	if p.MaxFiles < 0 {
		return configProblem(f.path, lines["max_files"], "pull.max_files", "it is a number above 0", nil)
	}
	for _, v := range p.Protocols {
		if !slices.Contains(pullProtocols, v) {
			return configProblem(f.path, lines["protocols"], "pull.protocols", "it lists https, ssh, http, git and file only", nil)
		}
	}
	for _, v := range p.AllowedHosts {
		if !daypass.CleanHost(v) {
			return configProblem(f.path, lines["allowed_hosts"], "pull.allowed_hosts", "it lists hosts, such as github.com or git.example.org:8443", nil)
		}
	}
	for _, v := range p.Owners {
		scheme, rest, named := strings.Cut(v, "://") // then only that
		if !named {
			scheme, rest = "https", v
		}
		host, owner, _ := strings.Cut(rest, "/")
		if !slices.Contains([]string{"https", "ssh", "http", "git"}, scheme) || !daypass.CleanHost(host) || strings.ContainsAny(owner, " \\?#") || strings.Contains(owner, "//") {
			return configProblem(f.path, lines["owners"], "pull.owners", "it lists github.com/ORG, github.com/ORG/NAME or a host", nil)
		}
	}
	return nil
}

func depthMistake(n *int) string {
	if n != nil && (*n < 0 || *n > math.MaxInt32) {
		return "it is a number of commits; 0 means all"
	}
	return ""
}

func parentMistake(dir string) string {
	if dir != "" && (!filepath.IsLocal(dir) || strings.ContainsAny(dir, "\\\x00")) {
		return "it is a folder below the server's root, such as courses"
	}
	return ""
}

func appMistake(app string) string {
	if app != "" && !slices.Contains([]string{"notebook", "lab", "retro"}, app) {
		return `it is "notebook", "lab" or "retro"`
	}
	return ""
}

func sizeMistake(size string) string {
	if _, err := parseSize(size); size != "" && err != nil {
		return "it is no size such as 100MB or 1GB"
	}
	return ""
}

// parseSize reads bytes, kB, MB, GB, TB (of 1000) and KiB, MiB, GiB, TiB.
func parseSize(s string) (int64, error) {
	number := strings.TrimRight(s, "kKMGTiB ")
	unit := strings.TrimSpace(s[len(number):])
	units := map[string]float64{
		"": 1, "B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
	}
	factor, ok := units[unit]
	n, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(n > 0) || n*factor < 1 || n*factor > math.MaxInt64/2 {
		return 0, strconv.ErrSyntax
	}
	return int64(n * factor), nil
}

// depth is how many commits a first pull fetches, where nothing else is said:
// nbgitpuller's variable and its default.
func (a *app) pullDepth(p pullConfig) (int, error) {
	for _, name := range []string{"DAYPASS_PULL_DEPTH", "NBGITPULLER_DEPTH"} {
		v := a.getenv(name)
		if v == "" {
			continue
		}
		n, err := strconv.Atoi(v)
		if err != nil || depthMistake(&n) != "" {
			return 0, variableProblem(name, "it is a number of commits; 0 means all")
		}
		return n, nil
	}
	if p.Depth != nil {
		return *p.Depth, nil
	}
	return 1, nil
}

func variableProblem(name, why string) error {
	return &daypass.Problem{
		Code: "DP-363", What: "the environment variable " + name + " is not right", Why: why,
		Next: "Correct it or unset it.", Who: "On a hub it is set by the admins.", Kind: daypass.ErrUsage,
	}
}
