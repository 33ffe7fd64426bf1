package main

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/depot"
	"github.com/daypass-dev/daypass/store"
)

const sourcesListHelp = `Show what the access service reads content with, and what of it: the accounts at Google and whom they are for, the
folders that are enrolled, and how much its snapshots take.`

func (s *app) sourcesListCommand() *cobra.Command {
	var config string
	var check, asJSON bool
	c := &cobra.Command{
		Use: "list", Short: "Show accounts, what is enrolled, and what snapshots take", Long: sourcesListHelp, Args: none,
		RunE: func(c *cobra.Command, _ []string) error { return s.sourcesList(c.Context(), config, check, asJSON) },
	}
	configFlag(c, &config)
	c.Flags().BoolVar(&check, "check", false, "ask Google whether each can be read now")
	jsonFlag(c, &asJSON, "as one object in JSON")
	return c
}

// A sourcesView is what "admin sources list" tells, and its JSON.
type sourcesView struct {
	Accounts  []accountView  `json:"accounts"`
	Enrolled  []enrolledView `json:"enrolled"`
	Rules     []string       `json:"rules"`
	Hosts     []string       `json:"hosts"`
	Snapshots struct {
		Dir   string `json:"dir"`
		Bytes int64  `json:"bytes"`
		Count int    `json:"count"`
	} `json:"snapshots"`
}

type accountView struct {
	Account string   `json:"account"`
	Address string   `json:"address"`
	Groups  []string `json:"groups"`
}

type enrolledView struct {
	Source  string     `json:"source"`
	Title   string     `json:"title,omitempty"` // when it was read last
	Account string     `json:"account"`
	By      string     `json:"by"`
	Since   *time.Time `json:"since"`
	Checked *time.Time `json:"checked"`
	Problem string     `json:"problem,omitempty"`
}

func (s *app) sourcesList(ctx context.Context, config string, check, asJSON bool) (err error) {
	d, err := s.wholeDesk(ctx, config)
	if err != nil {
		return err
	}
	defer d.leave(&err)
	v, err := d.sourcesView(ctx, check)
	if err != nil {
		return err
	}
	if asJSON {
		return s.object(v)
	}
	s.tellSources(v, d.now())
	return nil
}

func (d *desk) sourcesView(ctx context.Context, check bool) (sourcesView, error) {
	v := sourcesView{Accounts: []accountView{}, Enrolled: []enrolledView{}, Rules: []string{}, Hosts: append([]string{}, d.config.Sources.Hosts...)}
	for _, a := range d.broker.Accounts() {
		v.Accounts = append(v.Accounts, accountView{a.Account, a.Address, append([]string{}, a.Groups...)})
	}
	for _, r := range d.config.Sources.Rules {
		v.Rules = append(v.Rules, r.Name)
	}
	v.Snapshots.Dir = d.config.Snapshots.Dir
	list, err := d.broker.Enrolled(ctx, check)
	if err != nil {
		return v, err
	}
	at := func(t time.Time) *time.Time {
		if t.IsZero() {
			return nil
		}
		return &t
	}
	for _, e := range list {
		v.Enrolled = append(v.Enrolled, enrolledView{e.Source.String(), depot.Title(v.Snapshots.Dir, depot.Key{Source: e.Source, As: broker.AsHub(e.Account)}), e.Account, e.By, at(e.Created), at(e.Checked), e.Problem})
	}
	v.Snapshots.Bytes, v.Snapshots.Count, err = sizeOf(v.Snapshots.Dir)
	return v, err
}

// sizeOf counts what snapshots take, and how many there are.
func sizeOf(dir string) (bytes int64, n int, err error) {
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // none was kept yet, or it is being taken away
			return nil
		}
		if err != nil {
			return err
		}
		if e.IsDir() {
			if filepath.Dir(path) == dir {
				n++
			}
			return nil
		}
		if info, err := e.Info(); err == nil {
			bytes += info.Size()
		}
		return nil
	})
	return bytes, n, err
}

func (s *app) tellSources(v sourcesView, now time.Time) {
	rows := [][]string{{"ACCOUNT", "SHARE FOLDERS WITH", "FOR LINKS OF"}}
	for _, a := range v.Accounts {
		rows = append(rows, []string{a.Account, a.Address, strings.Join(a.Groups, ", ")})
	}
	if len(v.Accounts) > 0 {
		s.table(rows)
		s.say("")
	}
	rows = [][]string{{"ENROLLED", "ACCOUNT", "BY", "LAST LOOK"}}
	for _, e := range v.Enrolled {
		look := "never"
		if e.Checked != nil {
			look = ago(*e.Checked, now) + ": fine"
			if e.Problem != "" {
				look = ago(*e.Checked, now) + ": " + e.Problem
			}
		}
		rows = append(rows, []string{sourceNamed(e.Source, e.Title), e.Account, e.By, look})
	}
	if len(v.Enrolled) > 0 {
		s.table(rows)
		s.say("")
	}
	if len(v.Hosts) > 0 {
		s.say("Public hosts: %s", strings.Join(v.Hosts, ", "))
	}
	if len(v.Rules) > 0 {
		s.say("Rules: %s", strings.Join(v.Rules, ", "))
	}
	s.say("Snapshots: %s in %s, %s", plural(int64(v.Snapshots.Count), "folder"), v.Snapshots.Dir, megabytes(v.Snapshots.Bytes))
}

// sourceNamed writes a source as commands take it, and beside it what it is called.
func sourceNamed(source, title string) string { return strings.TrimSpace(source + " " + quoted(title)) }

func megabytes(n int64) string { return strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64) + " MB" }

const sourcesEnrolHelp = `Let an account read a folder for rules that name it and, where several groups may use the account, for links of theirs.
ID is the last part of the folder's address at Google Drive.`

func (s *app) sourcesEnrolCommand() *cobra.Command {
	return s.enrolling("enrol ID", "Let an account read a folder", sourcesEnrolHelp, (*broker.Broker).Enrol, "Enrolled %s for the account %s.")
}

const sourcesUnenrolHelp = `Take a folder off that list: what stands on it is refused at once. What the configuration lists is changed there.`

func (s *app) sourcesUnenrolCommand() *cobra.Command {
	return s.enrolling("unenrol ID", "Take a folder off the list", sourcesUnenrolHelp, (*broker.Broker).Unenrol, "%s is off the list of the account %s.")
}

func (s *app) enrolling(use, short, long string, do func(*broker.Broker, context.Context, daypass.Source, string, string) error, done string) *cobra.Command {
	var config, account string
	c := &cobra.Command{
		Use: use, Short: short, Long: long, Args: exactly("ID"),
		RunE: func(c *cobra.Command, args []string) (err error) {
			d, err := s.wholeDesk(c.Context(), config)
			if err != nil {
				return err
			}
			defer d.leave(&err)
			src := daypass.Source{Kind: daypass.KindDrive, Host: "drive.google.com", ID: args[0]}
			if named, ok := daypass.ParseSource(args[0]); ok {
				src = named
			}
			if err := do(d.broker, c.Context(), src, account, s.whoRuns()); err != nil {
				return err
			}
			s.say(done, src.String(), account)
			return nil
		},
	}
	configFlag(c, &config)
	c.Flags().StringVar(&account, "account", "", "the account, as the configuration calls it")
	return c
}

const linksListHelp = `List links to content, of everybody: who made them, for whom, until when, how often they were opened and failed.`

func (s *app) linksListCommand() *cobra.Command {
	var config string
	var asJSON bool
	c := &cobra.Command{
		Use: "list", Short: "List links to content, of everybody", Long: linksListHelp, Args: none,
		RunE: func(c *cobra.Command, _ []string) error { return s.linksList(c.Context(), config, asJSON) },
	}
	configFlag(c, &config)
	jsonFlag(c, &asJSON, "as a list in JSON")
	return c
}

// A linkView is a link as "admin links list" tells it, and its JSON.
type linkView struct {
	Name     string     `json:"name"`
	Maker    string     `json:"maker"`
	Source   string     `json:"source"`
	Title    string     `json:"title,omitempty"` // of the source, when it was read last
	As       string     `json:"as"`
	Audience string     `json:"audience"`
	State    string     `json:"state"`
	Until    *time.Time `json:"until"`
	Pulls    int64      `json:"pulls"`
	Failures int64      `json:"failures"`
	Failure  string     `json:"failure,omitempty"`
}

func (s *app) linksList(ctx context.Context, config string, asJSON bool) (err error) {
	d, err := s.desk(ctx, config)
	if err != nil {
		return err
	}
	defer d.leave(&err)
	list, err := d.db.Links(ctx, store.LinkFilter{})
	if err != nil {
		return err
	}
	out := []linkView{}
	for _, l := range list {
		if l.Maker == 0 {
			continue
		}
		v := linkView{Name: l.Name, Source: l.Source.String(), Title: depot.Title(d.config.Snapshots.Dir, depot.Key{Source: l.Source, As: l.As, Number: l.Repo}), As: l.As, Audience: l.Audience, State: string(l.State(d.now())), Until: &l.Until,
			Pulls: l.Pulls, Failures: l.Failures, Failure: l.Failure}
		if p, ok, err := d.db.PersonByID(ctx, l.Maker); err == nil && ok {
			v.Maker = p.User.Name
		}
		out = append(out, v)
	}
	if asJSON {
		return s.object(out)
	}
	if len(out) == 0 {
		s.say("No links.")
		return nil
	}
	rows := [][]string{{"LINK", "OF", "FOR", "STATE", "ENDS", "ARRIVED", "FAILED", "SOURCE"}}
	for _, v := range out {
		rows = append(rows, []string{v.Name, v.Maker, v.Audience, v.State, ago(*v.Until, d.now()), strconv.FormatInt(v.Pulls, 10), strconv.FormatInt(v.Failures, 10), sourceNamed(v.Source, v.Title)})
	}
	s.table(rows)
	return nil
}

const linksEndHelp = `End somebody's link, for good and at once. Its name stays taken.`

func (s *app) linksEndCommand() *cobra.Command {
	var config string
	c := &cobra.Command{
		Use: "end NAME", Short: "End somebody's link to content", Long: linksEndHelp, Args: exactly("NAME"),
		RunE: func(c *cobra.Command, args []string) (err error) {
			d, err := s.wholeDesk(c.Context(), config)
			if err != nil {
				return err
			}
			defer d.leave(&err)
			if err := d.broker.CloseLink(c.Context(), args[0], s.whoRuns()); err != nil {
				return err
			}
			s.say("The link %s has ended.", args[0])
			return nil
		},
	}
	configFlag(c, &config)
	return c
}
