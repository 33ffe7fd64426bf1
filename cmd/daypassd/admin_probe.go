package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/provider/github"
	"github.com/daypass-dev/daypass/store"
)

const appProbeHelp = `Find out, at a live App, what GitHub leaves undocumented about tokens for one repository: whether they go on when the
connection that they were made of is renewed, how many live at once, when they end, what GitHub says that they are for.

It uses the connection of the person whom --user names. That has to be your own, of a test account: the connection is
renewed, and every running server of that person loses its tokens and asks for new ones. It asks before it begins. The
service may run; it leaves the connection alone until this has ended.`

func (s *app) appProbeCommand() *cobra.Command {
	var config, host, user string
	c := &cobra.Command{
		Use: "probe", Short: "Find out at a live App what GitHub leaves undocumented", Long: appProbeHelp, Args: none,
		RunE: func(c *cobra.Command, _ []string) error {
			if user == "" {
				return usage(c, "--user is missing: whose connection is to be used, as the hub names them")
			}
			return s.appProbe(c, config, host, user)
		},
	}
	configFlag(c, &config)
	c.Flags().StringVar(&host, "host", "", "at this host; needed where the configuration has several")
	c.Flags().StringVar(&user, "user", "", "the person whose connection is used; your own, of a test account")
	return c
}

func (s *app) appProbe(c *cobra.Command, config, host, user string) (err error) {
	ctx, cancel := context.WithTimeout(c.Context(), 10*time.Minute)
	defer cancel()
	d, err := s.wholeDesk(ctx, config)
	if err != nil {
		return err
	}
	defer d.leave(&err)
	is, err := d.issuerAt(c, host)
	if err != nil {
		return err
	}
	person, conn, err := d.connectionOf(ctx, user, is.Host())
	if err != nil {
		return err
	}
	s.say("This uses %s's connection to %s.", person.User.Name, is.Host())
	s.say("It has to be your own, of a test account. The connection is renewed, and every running server of %s loses its", person.User.Name)
	s.say("tokens for %s and asks for new ones. Eleven tokens to read one repository are made and revoked.", is.Host())
	fmt.Fprintf(s.stdout, "To go on, type the account's login at %s: ", is.Host())
	line, rerr := s.stdin.ReadString('\n')
	s.say("")
	if strings.TrimSpace(line) != conn.Account.Login {
		return errors.Join(&daypass.Problem{
			Code: "DP-966", What: "nothing was done: that is not the account's login", Next: "Run it again with a connection of your own, and type its login.", Kind: daypass.ErrUsage,
		}, readError(rerr))
	}
	found, err := d.broker.Probe(ctx, broker.Probe{Person: person.ID, Host: is.Host(), By: s.whoRuns(), Make: tries(is)})
	if found.Left > 0 {
		s.say("%s could not be revoked yet. That is noted, and the service tries until it is done.", plural(int64(found.Left), "token"))
	}
	if err != nil {
		return probeProblem(err)
	}
	d.showFindings(is, found)
	return nil
}

// readError is nothing where the input just ended.
func readError(err error) error {
	if err == nil || err.Error() == "EOF" {
		return nil
	}
	return err
}

func tries(is *github.Issuer) func(context.Context, daypass.Secret, daypass.Scope) (broker.Trial, error) {
	return func(ctx context.Context, access daypass.Secret, scope daypass.Scope) (broker.Trial, error) {
		t, err := is.Try(ctx, access, scope)
		return broker.Trial(t), err
	}
}

// probeProblem says of what went wrong at the host that it was the probe.
func probeProblem(err error) error {
	var p *daypass.Problem
	if errors.As(err, &p) && p.Code == "DP-969" {
		return p
	}
	out := &daypass.Problem{
		Code: "DP-968", What: "the probe could not be finished", Why: err.Error(), Next: "Run it again; what was made is revoked, or noted to be.", Err: err,
	}
	if p != nil {
		out.Why, out.Kind = p.What+" ["+p.Code+"]", p.Kind
		if p.Why != "" {
			out.Why = p.What + ", " + p.Why + " [" + p.Code + "]"
		}
	}
	return out
}

func (d *desk) issuerAt(c *cobra.Command, host string) (*github.Issuer, error) {
	var names []string
	for _, is := range d.issuers {
		if host == is.Host() || host == "" && len(d.issuers) == 1 {
			return is, nil
		}
		names = append(names, is.Host())
	}
	return nil, usage(c, "--host is one of the configuration's: "+strings.Join(names, ", "))
}

// connectionOf finds the person of that name who is connected to a host.
func (d *desk) connectionOf(ctx context.Context, name, host string) (store.Person, store.Connection, error) {
	why := "this person is not connected to " + host
	if d.config.Connections.Keep == "session" {
		why = "this service keeps connections in its memory alone (connections.keep)"
	}
	list, err := d.peopleNamed(ctx, name)
	if err != nil {
		return store.Person{}, store.Connection{}, err
	}
	for _, p := range list {
		c, err := d.db.Connection(ctx, p.ID, host)
		if err == nil && c.State != store.Ended && c.State != store.NeedsConsent {
			return p, c, nil
		}
		if err != nil && !errors.Is(err, store.ErrNone) {
			return p, c, err
		}
	}
	return store.Person{}, store.Connection{}, &daypass.Problem{
		Code: "DP-967", What: "there is no connection to use", Why: why, Next: "Connect a test account of yours on the page of your access, and run this again.", Kind: daypass.ErrUsage,
	}
}

// showFindings says what was seen, and what follows for the configuration.
func (d *desk) showFindings(is *github.Issuer, f broker.Findings) {
	s := d.app
	s.say("What %s does with tokens for %s alone, at %s:", is.Host(), f.Repo.String(), stamp(d.now()))
	s.table([][]string{
		{"  end", endFound(f)}, {"  for", forFound(f)}, {"  number", numberFound(f)}, {"  renewal", renewalFound(f)},
	})
	if f.Live == 0 {
		s.say("\nNothing follows for server.yaml: leave children_survive_refresh as it is.")
		return
	}
	survive := f.Survived == f.Live
	s.say("\nIn server.yaml, in the entry of this host:\n    children_survive_refresh: %v", survive)
	if survive == is.Traits().ChildrenSurvive {
		s.say("It is so already.")
	}
}

func endFound(f broker.Findings) string {
	switch ends := f.First.Ends; {
	case !ends.Before(daypass.Forever):
		return "the answer names none; daypass revokes them when their time is over"
	case ends.Sub(f.Parent).Abs() < 2*time.Minute:
		return "the answer names one, " + stamp(ends) + ": the same as the connection's own token's"
	default:
		return "the answer names one, " + stamp(ends) + "; the connection's own token would have ended at " + stamp(f.Parent)
	}
}

func forFound(f broker.Findings) string {
	text := fmt.Sprintf("the answer says %q", f.First.Selection)
	switch {
	case !f.First.Exact:
		return text + ", and the token REACHES MORE than the one repository: daypass hands out none of these"
	case f.First.Selection != "selected":
		return text + ", though the token reaches the one repository alone: unless server.yaml has any_selection: true, daypass refuses such tokens"
	}
	return text + ", and the token reaches the one repository alone"
}

func numberFound(f broker.Findings) string {
	text := fmt.Sprintf("%d were made, and %d of them lived at once; ", f.Made, f.Live)
	if !f.ParentLive {
		return text + "the connection's own token was ended by them"
	}
	if f.Live == f.Made {
		return text + "no limit was seen"
	}
	return text + "the connection's own token lived on"
}

func renewalFound(f broker.Findings) string {
	switch f.Survived {
	case f.Live:
		if f.Live == 0 {
			return "none lived any more when the connection was renewed"
		}
		return "they go on when the connection is renewed"
	case 0:
		return "they end when the connection is renewed"
	}
	return fmt.Sprintf("%d of %d went on when the connection was renewed", f.Survived, f.Live)
}
