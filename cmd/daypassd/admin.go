package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/provider/github"
)

const appNewHelp = `Make the GitHub App that logins go through: once for everybody by an admin, or one of
your own in three minutes. A link opens GitHub's form with everything filled in that
a link can carry; the rest is named. No key and no secret is made.`

func (s *app) adminCommand() *cobra.Command {
	admin := &cobra.Command{Use: "admin", Short: "For admins", RunE: s.incomplete}
	app := &cobra.Command{Use: "app", Short: "The GitHub App", RunE: s.incomplete}
	var o appOptions
	newApp := &cobra.Command{
		Use: "new", Short: "Make the GitHub App that logins go through", Long: appNewHelp, Args: none,
		RunE: func(c *cobra.Command, _ []string) error { return s.appNew(c, o) },
	}
	f := newApp.Flags()
	f.StringVar(&o.host, "host", github.DotCom, "the GitHub host")
	f.StringVar(&o.org, "org", "", "make it for this organisation instead of your own account")
	f.StringVar(&o.name, "name", "", "the App's name, which people see when they are asked (default: \"push from NAME\")")
	f.StringVar(&o.page, "url", "", "a page about your service, such as the hub's address")
	app.AddCommand(newApp)
	admin.AddCommand(app)
	return admin
}

// incomplete answers a command that only has others below it.
func (s *app) incomplete(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(c, "there is no command "+args[0])
	}
	return c.Help()
}

// none refuses arguments.
func none(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(c, "too many arguments")
	}
	return nil
}

type appOptions struct{ host, org, name, page string }

// appLink is GitHub's registration form, filled in (docs: "Registering a GitHub
// App using URL parameters").
func appLink(h github.Host, o appOptions) string {
	q := url.Values{
		"name":                     {o.name},
		"description":              {"Lets you pull from and push to the repositories that you choose, from " + o.page + ", for hours at a time. Nobody else gets access."},
		"url":                      {o.page},
		"public":                   {"true"},
		"webhook_active":           {"false"},
		"contents":                 {"write"},
		"metadata":                 {"read"},
		"request_oauth_on_install": {"false"},
	}
	path := "/settings/apps/new"
	if o.org != "" {
		path = "/organizations/" + url.PathEscape(o.org) + path
	}
	return h.Web + path + "?" + q.Encode()
}

func (s *app) appNew(c *cobra.Command, o appOptions) error {
	h, err := github.ParseHost(o.host)
	if err != nil {
		return err
	}
	if err := o.complete(c); err != nil {
		return err
	}
	p := func(format string, args ...any) { fmt.Fprintf(s.stdout, format+"\n", args...) }
	p("1. Open this link, signed in to %s:\n", h.Title())
	p("   %s\n", appLink(h, o))
	p("   Filled in for you: name, description, page, no webhook, Contents: read and write,")
	p("   and that any account may install it (so that people can choose their own repositories).")
	p("")
	p("2. Two settings a link cannot carry. On the same form, under \"Identifying and authorizing users\":")
	p("   - leave \"Expire user authorization tokens\" ticked (access ends after 8 hours)")
	p("   - tick \"Enable Device Flow\" (people log in by typing a code)")
	p("   Then press \"Create GitHub App\". Make no client secret and no private key: daypass needs neither.")
	p("")
	p("3. Copy the Client ID from the page that follows (it starts with Iv), and the public link.")
	p("")
	if !s.interactive {
		p("4. Put it where daypass finds it, in /etc/daypass/config.yaml for everybody or in")
		p("   ~/.config/daypass/config.yaml for yourself:\n")
		p("%s", snippet(h, "Iv23…", h.AppPage("NAME")))
		p("   Then: daypass login")
		return nil
	}
	return s.askClientID(h, p)
}

func (o *appOptions) complete(c *cobra.Command) error {
	host, err := os.Hostname()
	if err != nil {
		host = "our hub"
	}
	if o.name == "" {
		o.name = "push from " + host
	}
	if len([]rune(o.name)) > 34 { // GitHub's limit for an App's name
		o.name = string([]rune(o.name)[:34])
	}
	if o.page == "" {
		o.page = "https://github.com/daypass-dev/daypass"
	}
	u, err := url.Parse(o.page)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return usage(c, "--url is the https address of a page")
	}
	if _, ok := daypass.ParseRepo(o.org + "/x"); o.org != "" && !ok {
		return usage(c, "--org is an organisation's name, as in its address")
	}
	return nil
}

// askClientID takes the id and writes the user's own configuration.
func (s *app) askClientID(h github.Host, p func(string, ...any)) error {
	var id string
	for range 3 {
		fmt.Fprint(s.stdout, "4. Paste the Client ID here: ")
		line, err := s.stdin.ReadString('\n')
		if err != nil {
			return fmt.Errorf("nothing was typed; run this again when you have the Client ID")
		}
		if id = strings.TrimSpace(line); github.ClientIDMistake(id) == "" && strings.HasPrefix(id, "Iv") {
			break
		}
		p("   That is no Client ID: it starts with Iv, and is neither the App's number nor a secret.")
		id = ""
	}
	if id == "" {
		return fmt.Errorf("no Client ID was given; it is on the App's page under \"About\"")
	}
	return s.keepClientID(h, id, p)
}

func (s *app) keepClientID(h github.Host, id string, p func(string, ...any)) error {
	dir := s.getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(s.getenv("HOME"), ".config")
	}
	path := filepath.Join(dir, "daypass", "config.yaml")
	text := snippet(h, id, "")
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		p("   You have a %s already; add this to it:\n", path)
		p("%s", text)
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make %s: %w", filepath.Dir(path), err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	p("   Kept in %s.", path)
	p("")
	p("Now install the App on the repositories you want to push to (\"Install App\" on its page), then: daypass login")
	return nil
}

func snippet(h github.Host, id, appURL string) string {
	text := "hosts:\n  " + h.Name + ":\n    client_id: " + id + "\n"
	if appURL != "" {
		text += "    app_url: " + appURL + "\n"
	}
	return text
}
