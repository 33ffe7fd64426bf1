package main

import (
	"cmp"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/provider/drive"
	"github.com/daypass-dev/daypass/resolve"
)

// A sourcesConfig is what is configured for content that is not git's: with which
// credentials this user's own process reads it, and which hosts are of which kind.
type sourcesConfig struct {
	Drive  driveConfig    `yaml:"drive"`
	Canvas []canvasConfig `yaml:"canvas"`
	WebDAV []webdavConfig `yaml:"webdav"`

	// Hosts that cannot be told by their names.
	Invenio   []string `yaml:"invenio"`
	Figshare  []string `yaml:"figshare"`
	Dataverse []string `yaml:"dataverse"`
	CKAN      []string `yaml:"ckan"`
}

// A driveConfig is as which service account Google Drive is read.
type driveConfig struct {
	Key      string `yaml:"key"`      // file:/PATH of its key file
	Identity string `yaml:"identity"` // "metadata": the one that this machine runs as
	// SharedBy is how many read as this account at once, each by itself, and Accounts how
	// many accounts of its project are read so; 0 means [drive.Share]'s.
	SharedBy int `yaml:"shared_by"`
	Accounts int `yaml:"accounts"`
}

// maxShare bounds what can be said of others: Drive gives less than a file a minute to
// one of more.
const maxShare = 1000

// with lays what a later file says over what is known: of whose account it is, and of
// how many share it.
func (d driveConfig) with(over driveConfig) driveConfig {
	if over.Key != "" || over.Identity != "" {
		d = driveConfig{Key: over.Key, Identity: over.Identity}
	}
	d.SharedBy, d.Accounts = cmp.Or(over.SharedBy, d.SharedBy), cmp.Or(over.Accounts, d.Accounts)
	return d
}

// share is who else reads as the account at once.
func (a *app) share(d driveConfig) (drive.Share, error) {
	s := drive.Share{By: d.SharedBy, Accounts: d.Accounts}
	v := a.getenv("DAYPASS_DRIVE_SHARED_BY")
	if v == "" {
		return s, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > maxShare {
		return s, &daypass.Problem{
			Code: "DP-502", What: "DAYPASS_DRIVE_SHARED_BY is not right", Why: "it is no number from 1 to " + strconv.Itoa(maxShare),
			Next: "Set it to how many read with this key at once: 1 where you alone do.", Kind: daypass.ErrUsage,
		}
	}
	s.By = n
	return s, nil
}

// A canvasConfig is a Canvas site, and its user's token.
type canvasConfig struct {
	Host  string   `yaml:"host"`
	Token string   `yaml:"token"` // env:NAME or file:/PATH
	Files []string `yaml:"files"` // further hosts that its files come from
}

// A webdavConfig is a WebDAV server, and as whom it is read; without a user as everybody.
type webdavConfig struct {
	Host     string `yaml:"host"`
	User     string `yaml:"user"`
	Password string `yaml:"password"` // as a token
}

// with lays what a later file says over what is known.
func (s sourcesConfig) with(over sourcesConfig) sourcesConfig {
	s.Drive = s.Drive.with(over.Drive)
	s.Canvas = append(slices.Clone(over.Canvas), s.Canvas...) // the first of a host counts
	s.WebDAV = append(slices.Clone(over.WebDAV), s.WebDAV...)
	s.Invenio, s.Figshare = slices.Concat(s.Invenio, over.Invenio), slices.Concat(s.Figshare, over.Figshare)
	s.Dataverse, s.CKAN = slices.Concat(s.Dataverse, over.Dataverse), slices.Concat(s.CKAN, over.CKAN)
	return s
}

// sites are the hosts that addresses are told by.
func (a *app) sites(cfg config) resolve.Sites {
	s := cfg.sources
	out := resolve.Sites{Invenio: s.Invenio, Figshare: s.Figshare, Dataverse: s.Dataverse, CKAN: s.CKAN}
	for _, c := range s.Canvas {
		out.Canvas = append(out.Canvas, c.Host)
	}
	if h := a.getenv("DAYPASS_CANVAS_HOST"); cleanHost(h) {
		out.Canvas = append(out.Canvas, h)
	}
	for _, w := range s.WebDAV {
		out.WebDAV = append(out.WebDAV, w.Host)
	}
	return out
}

// checkSources checks what a file says about sources.
func (f configFile) checkSources(tree *yaml.Node, s sourcesConfig) error {
	lines := map[string]int{}
	eachPair(tree, func(key, value *yaml.Node) {
		if key.Value == "sources" {
			eachPair(value, func(k, _ *yaml.Node) { lines[k.Value] = k.Line })
		}
	})
	mistake := func(key, why string) error { return configProblem(f.path, lines[key], "sources."+key, why, nil) }
	switch d := s.Drive; {
	case d.Key != "" && !secretFileNamed(d.Key):
		return mistake("drive", "key is file: and a full path, such as file:/home/ada/drive-key.json")
	case d.Identity != "" && (d.Identity != "metadata" || d.Key != ""):
		return mistake("drive", "identity is metadata, and stands in place of key")
	case min(d.SharedBy, d.Accounts) < 0 || max(d.SharedBy, d.Accounts) > maxShare:
		return mistake("drive", "shared_by and accounts are numbers from 1 to "+strconv.Itoa(maxShare))
	}
	for _, c := range s.Canvas {
		if !cleanHost(c.Host) || !secretNamed(c.Token) || slices.ContainsFunc(c.Files, func(h string) bool { return !cleanHost(strings.TrimPrefix(h, "*.")) }) {
			return mistake("canvas", "each has a host, such as canvas.example.edu, and a token, env:NAME or file:/PATH; files lists hosts")
		}
	}
	for _, w := range s.WebDAV {
		if !cleanHost(w.Host) || w.Password != "" && !secretNamed(w.Password) || (w.User == "") != (w.Password == "") || strings.ContainsAny(w.User, ":\r\n") {
			return mistake("webdav", "each has a host, such as cloud.example.edu, and may have user and password, env:NAME or file:/PATH")
		}
	}
	for _, list := range []struct {
		key   string
		hosts []string
	}{{"invenio", s.Invenio}, {"figshare", s.Figshare}, {"dataverse", s.Dataverse}, {"ckan", s.CKAN}} {
		if slices.ContainsFunc(list.hosts, func(h string) bool { return !cleanHost(h) }) {
			return mistake(list.key, "it lists hosts, in lower case, such as data.example.edu")
		}
	}
	return nil
}

// variables are those that hold secrets: no program that daypass starts is given them.
func (s sourcesConfig) variables() []string {
	out := []string{canvasToken}
	for _, c := range s.Canvas {
		if name, ok := strings.CutPrefix(c.Token, "env:"); ok {
			out = append(out, name)
		}
	}
	for _, w := range s.WebDAV {
		if name, ok := strings.CutPrefix(w.Password, "env:"); ok {
			out = append(out, name)
		}
	}
	return out
}

func cleanHost(h string) bool { return daypass.CleanHost(h) && h == daypass.FoldASCII(h) }

func secretFileNamed(s string) bool {
	path, ok := strings.CutPrefix(s, "file:")
	return ok && filepath.IsAbs(path)
}

// secretNamed reports whether s says where a secret is, and is none itself.
func secretNamed(s string) bool {
	name, ok := strings.CutPrefix(s, "env:")
	if !ok {
		return secretFileNamed(s)
	}
	return name != "" && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == ""
}
