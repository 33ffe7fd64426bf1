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

const appNewHelp = `Make a GitHub App. A link opens GitHub's form with everything filled in that a link can carry; the rest is named.

  daypass admin app new                 the App that logins go through, on machines without an access service:
                                        made once for everybody, or one of your own; no key and no secret
  daypass admin app new --broker URL    the App that people connect at the access service: a client secret, no key
  daypass admin app new --content       the App with which the access service reads course content: a key, no secret`

func (s *app) appNewCommand() *cobra.Command {
	var o appOptions
	c := &cobra.Command{
		Use: "new", Short: "Make a GitHub App: a link with the form filled in, and what is left to tick", Long: appNewHelp, Args: none,
		RunE: func(c *cobra.Command, _ []string) error { return s.appNew(c, o) },
	}
	f := c.Flags()
	f.StringVar(&o.host, "host", github.DotCom, "the GitHub host")
	f.StringVar(&o.org, "org", "", "make it for this organisation instead of your own account")
	f.StringVar(&o.name, "name", "", "the App's name, which people see when they are asked (default: \"push from NAME\")")
	f.StringVar(&o.page, "url", "", "a page about your service, such as the hub's address")
	f.StringVar(&o.broker, "broker", "", "the access service's address (url: in its configuration)")
	f.BoolVar(&o.content, "content", false, "the App that reads course content for the access service")
	return c
}

type appOptions struct {
	host, org, name, page string
	broker                string // the access service's address, with its slash
	content               bool
}

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
	switch {
	case o.content:
		q.Set("description", "Reads the repositories that it is installed on, for the people whom the rules of our hub name. It cannot write.")
		q.Set("contents", "read")
		q.Set("public", "false")
	case o.broker != "":
		q.Set("callback_urls[]", callbackURL(h, o.broker))
	}
	path := "/settings/apps/new"
	if o.org != "" {
		path = "/organizations/" + url.PathEscape(o.org) + path
	}
	return h.Web + path + "?" + q.Encode()
}

// callbackURL is where a host sends browsers back to; see service.face.
func callbackURL(h github.Host, broker string) string {
	return broker + "oauth/github/" + url.PathEscape(h.Name) + "/callback"
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
	switch {
	case o.content:
		contentAppSteps(h, p)
		return nil
	case o.broker != "":
		pushAppSteps(h, o, p)
		return nil
	}
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

// pushAppSteps goes on for the App that people connect at an access service.
func pushAppSteps(h github.Host, o appOptions, p func(string, ...any)) {
	p("   Filled in for you: name, description, page, no webhook, Contents: read and write, that any account may")
	p("   install it, and the callback URL, which has to stay exactly so:\n")
	p("   %s\n", callbackURL(h, o.broker))
	p("2. Two settings a link cannot carry. On the same form, under \"Identifying and authorizing users\":")
	p("   - leave \"Expire user authorization tokens\" ticked: a connection is renewed every 8 hours, and a lost token ends")
	p("   - tick \"Enable Device Flow\": people without a browser in reach connect by typing a code")
	p("   Then press \"Create GitHub App\".\n")
	p("3. On the page that follows, press \"Generate a new client secret\", and put it into a file that only the")
	p("   service's user reads, without showing it on the screen or in the shell's history:\n")
	p("   install -m 600 -o daypass /dev/null /etc/daypass/push-secret")
	p("   read -rs s; printf %%s \"$s\" > /etc/daypass/push-secret; unset s        (paste it, Enter)\n")
	p("   Make no private key: without one, nobody acts but for a person who said yes.\n")
	p("4. Copy the Client ID (it starts with Iv) and the public link into the service's configuration:\n")
	p("%s", serverSnippet(h, true, false))
	p("   Then: daypass admin app check")
	p("   Course content that people read without a connection needs a second App: daypass admin app new --content")
}

// contentAppSteps goes on for the App that reads as the hub.
func contentAppSteps(h github.Host, p func(string, ...any)) {
	p("   Filled in for you: name, description, page, no webhook, Contents: read only, and that it can be installed on")
	p("   this account alone. Where the courses are in several organisations, choose \"Any account\".\n")
	p("2. On the same form, leave \"Enable Device Flow\" unticked: nobody connects this App. No callback URL, no client secret.")
	p("   Then press \"Create GitHub App\".\n")
	p("3. On the page that follows, under \"Private keys\", press \"Generate a private key\". Move the file that the browser")
	p("   keeps to the service, readable by the service's user alone, and delete it where it was downloaded:\n")
	p("   install -m 600 -o daypass NAME.private-key.pem /etc/daypass/content-key.pem\n")
	p("4. \"Install App\" on the organisation with the courses, on the repositories that people shall read, not on all.\n")
	p("5. Put the Client ID into the service's configuration, under the host's entry, beside the App that people connect.")
	p("   The two have to be two Apps:\n")
	p("%s", serverSnippet(h, true, true))
	p("6. Nothing is read by it until a rule says who, what and \"as: hub\", or until \"sharing\" names a group.")
	p("   Then: daypass admin app check")
}

// serverSnippet is what belongs into the access service's configuration.
func serverSnippet(h github.Host, push, content bool) string {
	name := h.Name
	if h.Scheme == "http" {
		name = h.Web
	}
	text := "   github:\n     - host: " + name + "\n"
	if push {
		text += "       push:\n         client_id: Iv23…\n         client_secrets: [file:/etc/daypass/push-secret]\n         app_url: " + h.AppPage("NAME") + "\n"
	}
	if content {
		text += "       content:\n         client_id: Iv23…\n         key: file:/etc/daypass/content-key.pem\n"
	}
	return text
}

func (o *appOptions) complete(c *cobra.Command) error {
	if o.broker != "" && o.content {
		return usage(c, "--broker and --content are two Apps; make one after the other")
	}
	host, err := os.Hostname()
	if err != nil {
		host = "our hub"
	}
	if o.broker != "" {
		u, err := url.Parse(o.broker)
		if err != nil || u.Scheme != "https" && (u.Scheme != "http" || !github.Loopback(u.Hostname())) || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			return usage(c, "--broker is the https address of the access service, as \"url\" in its configuration")
		}
		o.broker = strings.TrimSuffix(u.String(), "/") + "/"
		host = u.Hostname()
		if o.page == "" {
			o.page = o.broker
		}
	}
	if o.name == "" && o.content {
		o.name = "content for " + host
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

func (s *app) appCheckCommand() *cobra.Command {
	var config string
	c := &cobra.Command{
		Use: "check", Short: "Compare the Apps' settings with what daypass needs", Args: none,
		Long: "Look at every App of the service's configuration, at its host, and compare its settings with what daypass needs:\nneither less nor more. Each line says how to mend what is not so.",
		RunE: func(c *cobra.Command, _ []string) error {
			conf, err := s.adminConfig(config)
			if err != nil {
				return err
			}
			l := &checklist{app: s}
			for _, g := range conf.GitHub {
				s.checkApp(c.Context(), l, g)
			}
			l.print()
			return l.verdict("DP-965", "the Apps are not as they have to be")
		},
	}
	configFlag(c, &config)
	return c
}
