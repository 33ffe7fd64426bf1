package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
)

const repoprovidersHelp = `The command of that name, done by daypass, with its arguments:

  repoproviders resolve [--no-recurse] QUESTION   one answer a line, as JSON
  repoproviders fetch QUESTION DIR                DIR is empty, or not there yet

A folder that was fetched is brought up to date by "daypass pull".`

// repoprovidersCommand is what is run under that program's name.
func (a *app) repoprovidersCommand() *cobra.Command {
	c := &cobra.Command{Use: "repoproviders", Hidden: true, Long: repoprovidersHelp, Args: atMost(0), RunE: func(c *cobra.Command, _ []string) error {
		return usageProblem(c, "say resolve or fetch")
	}}
	c.PersistentFlags().String("log-level", "warning", "taken, and not used")
	var once, asJSON bool
	r := &cobra.Command{Use: "resolve QUESTION…", Long: repoprovidersHelp, RunE: func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usageProblem(c, "give the address or identifier to resolve")
		}
		return a.oldResolve(c.Context(), args, once)
	}}
	r.Flags().BoolVar(&once, "no-recurse", false, "do not go on after the first answer")
	r.Flags().BoolVar(&asJSON, "json", false, "as it does without")
	f := &cobra.Command{Use: "fetch QUESTION DIR", Long: repoprovidersHelp, RunE: func(c *cobra.Command, args []string) error {
		if len(args) != 2 {
			return usageProblem(c, "give the address or identifier to fetch, and a folder")
		}
		return a.oldFetch(c, args)
	}}
	c.AddCommand(r, f)
	return c
}

// An oldAnswer is what that program says of a question, or of its own last answer.
type oldAnswer struct {
	Certainty string   `json:"certainity"` // its spelling
	Kind      string   `json:"kind"`
	Data      oldRepo  `json:"data"`
	repo      question // what is asked next
}

// How sure it is.
const (
	oldExists = "Exists"
	oldMaybe  = "MaybeExists"
	oldNone   = "DoesNotExist"
)

// An oldRepo is an object whose members keep their order.
type oldRepo []oldField

type oldField struct {
	name  string
	value any
}

// MarshalJSON writes them in their order.
func (r oldRepo) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i, f := range r {
		if i > 0 {
			out = append(out, ',')
		}
		name, err := json.Marshal(f.name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(f.value)
		if err != nil {
			return nil, err
		}
		out = append(append(append(out, name...), ':'), value...)
	}
	return append(out, '}'), nil
}

func (a *app) oldResolve(ctx context.Context, questions []string, once bool) error {
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	for _, q := range questions {
		answers, err := a.oldAnswers(ctx, cfg, q, once)
		if err != nil {
			return err
		}
		for _, answer := range answers {
			a.screen(true).object(answer)
		}
		if len(answers) == 0 {
			a.screen(false).result("Unable to resolve %s", printable(q))
		}
	}
	return nil
}

func (a *app) oldAnswers(ctx context.Context, cfg config, text string, once bool) ([]oldAnswer, error) {
	t := &oldTrail{trail: a.newTrail(cfg, false)}
	var out []oldAnswer
	for next := (question{text: text}); len(out) < 2*maxSteps; {
		answer, err := t.answer(ctx, next)
		if err != nil || answer == nil {
			return out, err
		}
		out = append(out, *answer)
		if once || answer.Certainty == oldNone {
			break
		}
		next = answer.repo
	}
	return out, nil
}

// oldFetch pulls into a folder that has nothing in it.
func (a *app) oldFetch(c *cobra.Command, args []string) error {
	dir, err := filepath.Abs(args[1])
	if err != nil {
		return err
	}
	list, err := os.ReadDir(dir)
	if len(list) > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &daypass.Problem{
			Code: "DP-458", What: printable(dir) + " should either not exist, or be an empty folder", Next: "Name another folder, or bring this one up to date: daypass pull " + shellWord(dir) + ".",
		}
	}
	return a.pull(c, []string{args[0], dir}, pullOptions{depth: -1})
}
