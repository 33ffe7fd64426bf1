package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pass"
)

const passNarrowHelp = `Make a narrower pass of one that you have, without a network. The old one stays
as it is; whatever ends the old one ends the new one too.

  daypass pass narrow --file me.pass --repo octo/data --read-only --expires 2h
  daypass pass narrow --token - --indexes alice/dev --projects maps --upload-only

The pass is read from --file, from standard input with --token -, from
DAYPASS_TOKEN or DAYPASS_TOKEN_FILE, or typed. The new one goes to standard
output and nowhere else, or with --output to a file that only you can read.

Lists may be given as a,b or by repeating the flag. An end is "8h", "1 year",
"2027-01-31 18:00", "2027-01-31" (as that day begins), seconds since 1970, or "never".

Permissions of a package index: `

// A narrowing is what the flags of pass narrow ask for.
type narrowing struct {
	from                             passSource
	limits                           pass.Limits
	expires, notBefore               string
	readOnly, uploadOnly, installing bool
	servers                          []string
	forJob                           bool
	output                           string
	yes, asJSON                      bool
}

func (a *app) passNarrowCommand() *cobra.Command {
	n := &narrowing{}
	c := &cobra.Command{
		Use: "narrow", Short: "Make a narrower pass, without a network", Args: atMost(0),
		Long: passNarrowHelp + "\n" + strings.Join(pass.Permissions(), ", "),
		RunE: func(c *cobra.Command, _ []string) error { return a.passNarrow(c, n) },
	}
	n.from.flags(c)
	n.flags(c)
	return c
}

// flags are those that say what a new pass is limited to, and where it goes.
func (n *narrowing) flags(c *cobra.Command) {
	f, l := c.Flags(), &n.limits
	f.StringSliceVarP(&l.Allowed, "allowed", "a", nil, "only these permissions of a package index")
	f.StringSliceVarP(&l.Indexes, "indexes", "i", nil, "only these package indexes, as USER/INDEX")
	f.StringSliceVarP(&l.Projects, "projects", "p", nil, "only these projects of a package index")
	f.StringVarP(&n.expires, "expires", "e", "", "when it ends")
	f.StringVar(&n.notBefore, "not-before", "", "when it begins, said like an end")
	f.StringSliceVar(&l.Hosts, "host", nil, "only these git hosts; with --repo the default is your default host, or the only one that the service or the pass is for")
	f.StringSliceVar(&l.Repos, "repo", nil, "only these repositories, as OWNER/NAME, with #NUMBER where you know it")
	f.StringSliceVar(&l.Sources, "source", nil, "only these sources of course content")
	f.StringSliceVar(&l.Addresses, "address", nil, "only from these addresses, or ranges such as 192.0.2.0/24")
	f.StringSliceVar(&l.Digests, "digest", nil, "only the upload of files with these sums, as sha256:...")
	f.IntVar(&l.Uses, "uses", 0, "so many uses, counted by the service")
	f.BoolVar(&n.readOnly, "read-only", false, "only reading: clone and fetch, or install")
	f.BoolVar(&n.uploadOnly, "upload-only", false, "only uploading to a package index")
	f.BoolVar(&n.installing, "install-only", false, "only installing from a package index")
	f.StringVarP(&n.output, "output", "o", "", "write the new pass to this file")
	f.BoolVarP(&n.yes, "yes", "y", false, "do not ask")
	f.BoolVar(&n.asJSON, "json", false, "one object, for programs")
	f.StringSliceVar(&n.servers, "server", nil, "only while this server of yours at the hub runs: its name, or \"default\"")
	f.BoolVar(&n.forJob, "for-job", false, "it ends with the Slurm job, or with the hub's server, that this is run in")
}

func (a *app) passNarrow(c *cobra.Command, n *narrowing) error {
	if err := a.prepareLimits(c, n); err != nil {
		return err
	}
	if n.forJob {
		if err := a.forJob(c.Context(), &n.limits); err != nil {
			return err
		}
	}
	if n.limits.IsZero() && !n.readOnly && !n.uploadOnly && !n.installing {
		return &daypass.Problem{
			Code: "DP-124", What: "no limit was given, so the new pass would be the old one",
			Next: `Say what it is to be limited to: "daypass pass narrow --help" lists it.`, Kind: daypass.ErrUsage,
		}
	}
	if n.from.file != "" && n.from.file == n.output {
		return usageProblem(c, "--file and --output name the same file, and the wider pass would be lost")
	}
	old, err := a.readPass(n.from)
	if err != nil {
		return err
	}
	if err := a.presets(n, old); err != nil {
		return err
	}
	caveats, err := caveatsFor(old, n.limits)
	if err != nil {
		return err
	}
	narrowed, err := old.Narrow(caveats...)
	if err != nil {
		return passProblem(err)
	}
	rights, _ := narrowed.Effective()
	if !a.now().Before(rights.Expires) || !rights.NotBefore.Before(rights.Expires) {
		return &daypass.Problem{
			Code: "DP-126", What: "the new pass would never be good", Why: "it ends before it begins, or the old one has ended",
			Next: `"daypass pass show" says when the old one ends; ask for a later end, or for a new pass.`, Kind: daypass.ErrUsage,
		}
	}
	return a.handOver(n, narrowed, outForm(old))
}

// prepareLimits reads what the flags say, before anything is asked or sent.
func (a *app) prepareLimits(c *cobra.Command, n *narrowing) error {
	if err := a.times(n); err != nil {
		return err
	}
	if given(n.readOnly, n.uploadOnly, n.installing, n.limits.Allowed != nil) > 1 {
		return usageProblem(c, "--read-only, --upload-only, --install-only and --allowed do not go together")
	}
	if err := oneKind(n.limits); err != nil {
		return err
	}
	for _, name := range n.servers {
		switch name = strings.TrimSpace(name); {
		case name == "default":
			name = pass.ServerItem("", time.Time{})
		case !strings.Contains(name, "@"):
			name = pass.ServerItem(name, time.Time{})
		}
		n.limits.Servers = append(n.limits.Servers, name)
	}
	return a.knownPermissions(n)
}

// oneKind refuses limits of which each request lacks one: what a limit is about
// and a request is not, refuses it.
func oneKind(l pass.Limits) error {
	git, index := l.Repos != nil || l.Hosts != nil, l.Allowed != nil || l.Indexes != nil || l.Projects != nil || l.Digests != nil
	switch {
	case l.Repos != nil && l.Sources != nil:
		return limitProblem("no request is about a repository and a source of content at once, so the pass would be good for none", "Make two passes: one with --repo, one with --source.", nil)
	case (git || l.Sources != nil) && index:
		return limitProblem("no request is for git or content and for a package index at once, so the pass would be good for none",
			"Leave out --repo, --host and --source, or --allowed, --indexes, --projects and --digest.", nil)
	}
	return nil
}

// given counts.
func given(flags ...bool) int {
	n := 0
	for _, f := range flags {
		if f {
			n++
		}
	}
	return n
}

// times reads --expires and --not-before.
func (a *app) times(n *narrowing) error {
	for _, x := range []struct {
		flag, text, next string
		to               *time.Time
	}{
		{"--expires", n.expires, `8h, "1 year", 2027-01-31, "2027-01-31 18:00", seconds since 1970, or never.`, &n.limits.Expires},
		{"--not-before", n.notBefore, `2027-01-31, "2027-01-31 18:00", 8h for in 8 hours, or seconds since 1970.`, &n.limits.NotBefore},
	} {
		if x.text == "" {
			continue
		}
		t, err := pass.ParseWhen(x.text, a.now())
		if err == nil && x.to == &n.limits.NotBefore && !t.Before(daypass.Forever) {
			err = pass.ErrWhen
		}
		if err != nil {
			why := strings.TrimPrefix(err.Error(), "pass: ")
			if errors.Is(err, pass.ErrWhen) {
				why = "it is none that a pass can have there"
			}
			return &daypass.Problem{
				Code: "DP-125", What: "daypass cannot read the time after " + x.flag, Why: why,
				Next: "Say for example " + x.flag + " " + x.next, Kind: daypass.ErrUsage, Err: err,
			}
		}
		*x.to = t
	}
	return nil
}

// knownPermissions asks before a permission that devpi does not have: it may
// come from a plugin, or be a slip that makes the pass useless.
func (a *app) knownPermissions(n *narrowing) error {
	var unknown []string
	for _, p := range n.limits.Allowed {
		if p = strings.TrimSpace(p); !slices.Contains(pass.Permissions(), p) {
			unknown = append(unknown, p)
		}
	}
	if len(unknown) == 0 || n.yes {
		return nil
	}
	slices.Sort(unknown)
	names := strings.Join(slices.Compact(unknown), ", ")
	if a.ask("The following permissions are not known: %s\nAre you sure you want to use them?", names) {
		return nil
	}
	return &daypass.Problem{
		Code: "DP-127", What: "these permissions are not known: " + printable(names), Why: "nobody confirmed them",
		Next: "Known are " + strings.Join(pass.Permissions(), ", ") + ". For one of a plugin of devpi say --yes.", Kind: daypass.ErrUsage,
	}
}

// presets turns --read-only and its like into what they mean for this pass.
func (a *app) presets(n *narrowing, old pass.Pass) error {
	id, _ := old.Identity()
	if err := presetsFor(n, id.Realm.Kind == pass.Hub); err != nil || n.limits.Repos == nil || n.limits.Hosts != nil {
		return err
	}
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	n.limits.Hosts = []string{cfg.host.Name}
	if rights, _ := old.Effective(); !cfg.hostNamed && !rights.Hosts.All && len(rights.Hosts.Names) == 1 {
		n.limits.Hosts = slices.Clone(rights.Hosts.Names)
	}
	return nil
}

func presetsFor(n *narrowing, hub bool) error {
	switch {
	case n.readOnly && hub:
		n.limits.Access = daypass.Read
	case n.uploadOnly && hub, n.installing && hub:
		return limitProblem("this pass is for git and content, not for a package index", "Use --read-only, --repo or --source.", nil)
	case n.uploadOnly:
		n.limits.Allowed = []string{"upload"}
	case n.readOnly, n.installing:
		n.limits.Allowed = []string{"pkg_read"}
	}
	return nil
}

func caveatsFor(old pass.Pass, l pass.Limits) ([]string, error) {
	write := l.Caveats
	if old.Form() == pass.PyPI {
		write = l.PyPICaveats
	}
	caveats, err := write()
	var e *pass.LimitError
	if errors.As(err, &e) {
		return nil, limitProblem(strings.TrimPrefix(err.Error(), "pass: "), "Correct it; doc/passes.md lists all limits.", err)
	}
	return caveats, err
}

func limitProblem(why, next string, err error) error {
	return &daypass.Problem{Code: "DP-128", What: "that limit cannot be written", Why: why, Next: next, Kind: daypass.ErrUsage, Err: err}
}

// outForm is the old pass's form; where it had no prefix, the one of its realm.
func outForm(p pass.Pass) pass.Form {
	id, known := p.Identity()
	switch {
	case p.Form() != pass.Bare || !known:
		return p.Form()
	case id.Realm.Kind == pass.Hub:
		return pass.Daypass
	}
	return pass.Devpi
}

// handOver writes the pass to where it was asked for, and says what it is.
func (a *app) handOver(n *narrowing, p pass.Pass, form pass.Form) error {
	s := a.screen(n.asJSON)
	if n.output != "" {
		if err := a.writePass(n, p, form); err != nil {
			return err
		}
	}
	if n.asJSON {
		o := a.passObject(p)
		if n.output == "" {
			o["pass"] = p.Text(form).Reveal()
		} else {
			o["file"] = n.output
		}
		s.object(o)
		return nil
	}
	a.passSummary(s.say, p)
	if n.output == "" {
		s.result("%s", p.Text(form).Reveal())
	} else {
		s.say("Written to %s.", n.output)
	}
	return nil
}

// writePass makes the file as a whole, readable by its owner only.
func (a *app) writePass(n *narrowing, p pass.Pass, form pass.Form) error {
	return a.writeSecret(n.output, p.Text(form), func() bool {
		return n.yes || a.ask("There already exists a file at '%s'.\nDo you want to overwrite it?", n.output)
	})
}

// writeSecret writes what overwrite lets it.
func (a *app) writeSecret(path string, text daypass.Secret, overwrite func() bool) error {
	problem := func(why, next string, err error) error {
		return &daypass.Problem{Code: "DP-129", What: "the pass was not written to " + printable(path), Why: why, Next: next, Err: err}
	}
	st, err := os.Lstat(path)
	switch {
	case err == nil && !st.Mode().IsRegular():
		return problem("something that is no plain file lies there", "Name another file.", nil)
	case err == nil && !overwrite():
		return problem("there is a file already", "Name another file, or say --yes to replace it.", nil)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return problem("its folder cannot be read", "Name a file in a folder of yours.", err)
	}
	dir := filepath.Dir(path)
	if err := ownedFolder(dir, a.uid); err != nil {
		return problem("others can put files in place of yours in its folder, or it is not there", "Name a file in a folder of yours.", err)
	}
	if err := replaceFile(path, []byte(text.Reveal())); err != nil {
		return problem("its folder cannot be written to", "Name a file in a folder of yours.", err)
	}
	return nil
}
