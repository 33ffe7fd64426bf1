package main

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/depot"
	"github.com/daypass-dev/daypass/snapshot"
)

// sourcesConfig says what content the service reads.
type sourcesConfig struct {
	Hosts []string      `yaml:"hosts"` // public ones
	Dial  []string      `yaml:"dial"`  // addresses that are not public and fine
	Drive []driveConfig `yaml:"drive"`
	// DriveSharedBy is how many services read as these accounts at once; 0 means 1.
	DriveSharedBy int                `yaml:"drive_shared_by"`
	Canvas        []canvasConfig     `yaml:"canvas"`
	Rules         []sourceRuleConfig `yaml:"rules"`
}

// driveConfig is a service account of Google's.
type driveConfig struct {
	Account      string   `yaml:"account"`
	Key          string   `yaml:"key"`        // where its key file is
	Identity     string   `yaml:"identity"`   // "metadata": the machine's own
	Federation   string   `yaml:"federation"` // where the configuration of a federation is
	Address      string   `yaml:"address"`    // to share folders with; "": as the key says
	Project      string   `yaml:"project"`    // whose quota it spends; "": as the address or key says
	Groups       []string `yaml:"groups"`
	Folders      []string `yaml:"folders"`
	SharedDrives []string `yaml:"shared_drives"`
	// Shortcuts are ids that shortcuts in any folder of the account may lead to.
	Shortcuts []string `yaml:"shortcuts"`
	// Endpoints take the place of Google's, for a stand-in.
	Endpoints struct {
		API      string `yaml:"api"`
		Token    string `yaml:"token"`
		STS      string `yaml:"sts"`
		IAM      string `yaml:"iam"`
		Metadata string `yaml:"metadata"`
	} `yaml:"endpoints"`
}

// canvasConfig is a Canvas site and the developer key that its admins made.
type canvasConfig struct {
	Host         string `yaml:"host"`
	ClientID     string `yaml:"client_id"`
	ClientSecret string `yaml:"client_secret"`
	// Files are further hosts that its files come from: "*.files.example.edu".
	Files []string `yaml:"files"`
}

type sourceRuleConfig struct {
	Name    string   `yaml:"name"`
	Groups  []string `yaml:"groups"`
	Users   []string `yaml:"users"`
	Sources []string `yaml:"sources"`
}

type linksConfig struct {
	Groups      []string `yaml:"groups"`
	Max         string   `yaml:"max"`
	Everybody   bool     `yaml:"everybody"`
	FromServers *bool    `yaml:"from_servers"` // left out: yes
}

type snapshotsConfig struct {
	Dir       string `yaml:"dir"`
	MaxSize   string `yaml:"max_size"`
	MaxAge    string `yaml:"max_age"`
	MaxSource string `yaml:"max_source"`
	MaxFile   string `yaml:"max_file"`
	MaxFiles  int    `yaml:"max_files"`
	Time      string `yaml:"time"`
	Look      string `yaml:"look"`
}

// defaultSnapshots is where snapshots are kept.
const defaultSnapshots = "/var/lib/daypass/snapshots"

// maxServices is how many may read as one account at once.
const maxServices = 100

// reads reports whether the service reads any content.
func (c *serverConfig) reads() bool {
	s := c.Sources
	return !c.hubless && (len(s.Hosts)+len(s.Drive)+len(s.Canvas)+len(s.Rules)+len(c.Links.Groups) > 0)
}

var (
	accountName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
	projectName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,128}$`)
	driveID     = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)
)

// checkSources looks at what is said of sources, links and snapshots.
func (c *serverConfig) checkSources() error {
	s := &c.Sources
	for _, h := range s.Hosts {
		if !daypass.CleanHost(h) {
			return fmt.Errorf("sources.hosts: %s is no host: write it like zenodo.org, in lower case", strconv.QuoteToASCII(h))
		}
	}
	if _, err := prefixes("sources.dial", s.Dial); err != nil {
		return err
	}
	if s.DriveSharedBy < 0 || s.DriveSharedBy > maxServices {
		return fmt.Errorf("sources.drive_shared_by is a number of services, from 1 to %d", maxServices)
	}
	names := map[string]bool{}
	for _, d := range s.Drive {
		if err := d.check(); err != nil {
			return err
		}
		if names[d.Account] {
			return fmt.Errorf("sources.drive: two accounts are called %s; give each its own name", d.Account)
		}
		names[d.Account] = true
	}
	if err := c.checkCanvas(); err != nil {
		return err
	}
	if _, err := c.sourceRules(); err != nil {
		return err
	}
	if slices.Contains(c.Links.Groups, "") {
		return errors.New("links.groups has an empty name")
	}
	if _, err := c.linkRules(); err != nil {
		return err
	}
	if c.Snapshots.Dir == "" {
		c.Snapshots.Dir = defaultSnapshots
	}
	if !filepath.IsAbs(c.Snapshots.Dir) {
		return fmt.Errorf("snapshots.dir: %s is no full path", strconv.QuoteToASCII(c.Snapshots.Dir))
	}
	_, err := c.Snapshots.limits()
	return err
}

func (d driveConfig) check() error {
	if !accountName.MatchString(d.Account) {
		return fmt.Errorf("sources.drive: %s is no name for an account: write it like ph142, of a to z, 0 to 9 and hyphens", strconv.QuoteToASCII(d.Account))
	}
	at := "sources.drive: " + d.Account
	given := 0
	for _, v := range []string{d.Key, d.Identity, d.Federation} {
		if v != "" {
			given++
		}
	}
	switch {
	case given != 1:
		return errors.New(at + ` needs one of key, identity and federation: where its key file is, "metadata", or where its federation is`)
	case d.Identity != "" && d.Identity != "metadata":
		return errors.New(at + ` has an identity that there is not: write "metadata"`)
	case d.Identity != "" && d.Address == "":
		return errors.New(at + " needs its address too: nobody could share a folder with it otherwise")
	case d.Project != "" && !projectName.MatchString(d.Project):
		return fmt.Errorf("%s: %s is no id of a project", at, strconv.QuoteToASCII(d.Project))
	case slices.Contains(d.Groups, ""):
		return errors.New(at + " has a group without a name")
	}
	for _, id := range slices.Concat(d.Folders, d.SharedDrives, d.Shortcuts) {
		if !driveID.MatchString(id) {
			return fmt.Errorf("%s: %s is no id of a folder; it is the last part of the folder's address", at, strconv.QuoteToASCII(id))
		}
	}
	return nil
}

func (c *serverConfig) checkCanvas() error {
	seen := map[string]bool{}
	for _, h := range c.hosts() {
		seen[h] = true
	}
	for _, s := range c.Sources.Canvas {
		switch {
		case !daypass.CleanHost(s.Host):
			return fmt.Errorf("sources.canvas: %s is no host: write it like canvas.example.edu, in lower case", strconv.QuoteToASCII(s.Host))
		case seen[s.Host]:
			return fmt.Errorf("sources.canvas: %s stands there twice, or is a git host too", s.Host)
		case s.ClientID == "" || s.ClientSecret == "":
			return fmt.Errorf("sources.canvas: %s needs client_id and client_secret, of the developer key that its admins made", s.Host)
		}
		for _, f := range s.Files {
			if !daypass.CleanHost(strings.TrimPrefix(f, "*.")) {
				return fmt.Errorf("sources.canvas: %s: files: %s is no host: write it like files.example.edu or *.example.edu", s.Host, strconv.QuoteToASCII(f))
			}
		}
		seen[s.Host] = true
	}
	return nil
}

func (c *serverConfig) linkRules() (broker.LinkRules, error) {
	most, err := duration("links.max", c.Links.Max)
	if err == nil && most > 366*24*time.Hour {
		err = errors.New("links.max is 366d at most")
	}
	l := c.Links
	return broker.LinkRules{Groups: l.Groups, Max: most, Everybody: l.Everybody, BrowserOnly: l.FromServers != nil && !*l.FromServers}, err
}

func (s snapshotsConfig) limits() (depot.Limits, error) {
	var out depot.Limits
	var errs []error
	size := func(to *int64, key, text string) {
		n, err := bytesOf(key, text)
		*to, errs = n, append(errs, err)
	}
	age := func(to *time.Duration, key, text string) {
		d, err := duration(key, text)
		*to, errs = d, append(errs, err)
	}
	size(&out.Size, "snapshots.max_size", s.MaxSize)
	age(&out.Age, "snapshots.max_age", s.MaxAge)
	age(&out.Fetch, "snapshots.time", s.Time)
	age(&out.Look, "snapshots.look", s.Look)
	var of snapshot.Limits
	size(&of.Total, "snapshots.max_source", s.MaxSource)
	size(&of.File, "snapshots.max_file", s.MaxFile)
	if of.Files = s.MaxFiles; of.Files < 0 {
		errs = append(errs, errors.New("snapshots.max_files is no number of files"))
	}
	out.Source = of
	return out, errors.Join(errs...)
}

// bytesOf reads 100MB, 20GB or 512KB, in powers of 1024; "" is zero.
func bytesOf(key, text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	digits, unit := text, int64(1)
	for _, u := range []struct {
		name string
		n    int64
	}{{"KB", 1 << 10}, {"MB", 1 << 20}, {"GB", 1 << 30}, {"TB", 1 << 40}} {
		if d, ok := strings.CutSuffix(text, u.name); ok {
			digits, unit = strings.TrimSpace(d), u.n
		}
	}
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("%s: %s is no size; write it like 100MB or 20GB", key, strconv.QuoteToASCII(text))
	}
	return n * unit, nil
}

// brokerSources is what the broker decides by.
func (c *serverConfig) brokerSources() (broker.Sources, error) {
	rules, err := c.sourceRules()
	if err != nil {
		return broker.Sources{}, err
	}
	links, err := c.linkRules()
	out := broker.Sources{Hosts: c.Sources.Hosts, Rules: rules, Links: links}
	for _, d := range c.Sources.Drive {
		out.Drive = append(out.Drive, broker.DriveAccount{Account: d.Account, Address: d.Address, Groups: d.Groups, Folders: slices.Concat(d.Folders, d.SharedDrives)})
	}
	return out, err
}

func (c *serverConfig) dialled() ([]netip.Prefix, error) {
	return prefixes("sources.dial", c.Sources.Dial)
}
