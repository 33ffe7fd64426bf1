package main

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/store"
)

const passesListHelp = `List passes: those of the access service's people, and those of the package index, whose owner is then written
INDEX/USER. NAME chooses one owner. The pass itself is kept nowhere; its id says which is meant. Uses are told some
seconds late.`

func (s *app) passesListCommand() *cobra.Command {
	var config string
	var all, asJSON bool
	c := &cobra.Command{
		Use: "list [NAME]", Short: "List passes that are good, of everybody or of one owner", Long: passesListHelp,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage(c, "too many arguments")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return s.passesList(c.Context(), config, strings.Join(args, ""), all, asJSON)
		},
	}
	configFlag(c, &config)
	c.Flags().BoolVar(&all, "all", false, "those that ended or are over too")
	jsonFlag(c, &asJSON, "as a list in JSON")
	return c
}

// A passView is a pass as "admin passes list" tells it, and its JSON.
type passView struct {
	Realm   string     `json:"realm"`
	Owner   string     `json:"owner"`
	ID      string     `json:"id"`
	Label   string     `json:"label"`
	Via     string     `json:"via"`
	By      string     `json:"by,omitempty"`
	Server  string     `json:"server,omitempty"`
	Created time.Time  `json:"created"`
	Until   *time.Time `json:"until"` // null: no end
	Used    *time.Time `json:"used"`
	Uses    int64      `json:"uses"`
	Ended   *time.Time `json:"ended"`
	Why     string     `json:"why,omitempty"`
	Limits  []string   `json:"limits"`
}

func (s *app) passesList(ctx context.Context, config, name string, all, asJSON bool) (err error) {
	d, err := s.desk(ctx, config)
	if err != nil {
		return err
	}
	defer d.leave(&err)
	list, err := d.passesOf(ctx, name, all)
	if err != nil {
		return err
	}
	if asJSON {
		return s.object(list)
	}
	if len(list) == 0 {
		s.say("No passes that fit.")
		return nil
	}
	now := d.now()
	rows := [][]string{{"OWNER", "ID", "CALLED", "USED", "ENDS", "LIMITS"}}
	for _, v := range list {
		used, ends := "never", "never"
		if v.Used != nil {
			used = ago(*v.Used, now) + ", " + plural(v.Uses, "time")
		}
		if v.Until != nil {
			ends = ago(*v.Until, now)
		}
		if v.Ended != nil {
			ends = "ENDED " + ago(*v.Ended, now) + ", " + v.Why
		}
		owner := v.Owner
		if _, index, ok := strings.Cut(v.Realm, ":"); ok && !strings.HasPrefix(v.Realm, "hub:") {
			owner = index + "/" + v.Owner
		}
		rows = append(rows, []string{owner, v.ID, v.Label, used, ends, strings.Join(v.Limits, " ")})
	}
	s.table(rows)
	return nil
}

// passesOf are the passes of everybody, or of whoever bears a name at the hub or
// at the index.
func (d *desk) passesOf(ctx context.Context, name string, all bool) ([]passView, error) {
	f := store.PassFilter{}
	if !all {
		f.LiveAt = d.now()
	}
	list, err := d.db.Passes(ctx, f)
	if err != nil {
		return nil, err
	}
	names := map[int64]string{}
	out := []passView{}
	for _, p := range list {
		owner := p.User
		if p.Person != 0 {
			if names[p.Person] == "" {
				who, _, err := d.db.PersonByID(ctx, p.Person)
				if err != nil {
					return nil, err
				}
				names[p.Person] = who.User.Name
			}
			owner = names[p.Person]
		}
		if name != "" && owner != name {
			continue
		}
		out = append(out, passViewOf(p, owner))
	}
	slices.Reverse(out)
	return out, nil
}

func passViewOf(p store.Pass, owner string) passView {
	v := passView{
		Realm: p.Realm, Owner: owner, ID: p.ID, Label: p.Label, Via: p.Via, By: p.By, Created: p.Created.UTC(), Until: given(p.Until),
		Used: given(p.Used), Uses: p.Uses, Ended: given(p.Ended), Why: p.Why, Limits: p.Caveats,
	}
	if p.Server.Known {
		v.Server = p.Server.String()
	}
	return v
}

const passesEndHelp = `End a pass, and with it all that were narrowed from it and the tokens that were made by it: at once here, and within a
second in the service that runs. ID is the one that "daypass admin passes list", an event or a message names; of an
index it may be written USER/ID.`

func (s *app) passesEndCommand() *cobra.Command {
	var config string
	c := &cobra.Command{
		Use: "end ID", Short: "End a pass and all that were narrowed from it", Long: passesEndHelp, Args: exactly("ID"),
		RunE: func(c *cobra.Command, args []string) error { return s.passesEnd(c.Context(), config, args[0]) },
	}
	configFlag(c, &config)
	return c
}

func (s *app) passesEnd(ctx context.Context, config, id string) (err error) {
	d, err := s.desk(ctx, config)
	if err != nil {
		return err
	}
	defer d.leave(&err)
	f := store.PassFilter{ID: id}
	if i := strings.LastIndexByte(id, '/'); i > 0 {
		f.User, f.ID = id[:i], id[i+1:]
	}
	list, err := d.db.Passes(ctx, f)
	if err != nil {
		return err
	}
	refuse := func(why, next string) error {
		return &daypass.Problem{Code: "DP-949", What: "no pass was ended", Why: why, Next: next}
	}
	if len(list) == 0 {
		return refuse("there is none with the id "+strconv.QuoteToASCII(id), `"daypass admin passes list" shows those that are good.`)
	}
	if len(list) > 1 {
		var names []string
		for _, p := range list {
			names = append(names, p.User+"/"+p.ID)
		}
		return refuse("several have that id: "+strings.Join(names, ", "), "Write it with its user.")
	}
	p := list[0]
	var ended bool
	err = d.db.Write(ctx, func(tx *store.Tx) error {
		var err error
		if ended, err = tx.EndPass(p.Realm, p.User, p.ID, "by "+s.whoRuns()); err != nil || !ended {
			return err
		}
		e := store.Event{At: d.now(), Kind: store.PassEnded, Person: p.Person, User: p.User, Outcome: store.OK, Realm: p.Realm, Pass: p.ID, Why: "by " + s.whoRuns()}
		if p.User != "" {
			e.Pass = p.User + "/" + p.ID
		} else if who, ok, err := d.db.PersonByID(ctx, p.Person); err == nil && ok {
			e.User, e.Hub = who.User.Name, who.User.Hub
		}
		tx.Record(e)
		return nil
	})
	if err != nil {
		return err
	}
	if !ended {
		return refuse("it had ended, "+ago(p.Ended, d.now()), "")
	}
	s.say("Ended %s, with all that were narrowed from it.", id)
	if p.Person != 0 {
		s.say("What was made by it is revoked at the hosts by the service that runs.")
	}
	return nil
}
