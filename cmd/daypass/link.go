package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
	"github.com/daypass-dev/daypass/client"
	"github.com/daypass-dev/daypass/pass"
	"github.com/daypass-dev/daypass/resolve"
)

const linkHelp = `A link gives the people of one group of the hub read of a folder or a repository, and
opens it at their own servers. Its address is only a name and holds no secret.

  daypass link sources
  daypass link make ph142-lab1 --source URL --for ph142 --open start.ipynb
  daypass link check ph142-lab1
  daypass link url ph142-lab1 --as markdown
  daypass link copy ph142-lab1 ph142-fall-lab1 --for ph142-fall
  daypass link copy --group ph142 --for ph142-fall --replace ph142=ph142-fall`

// linkFlags are what a link is to be.
type linkFlags struct {
	source, title, accept, open, folder, app, group, from, until string
	everybody, pause, resume, json                               bool
}

func (a *app) linkCommand() *cobra.Command {
	c := &cobra.Command{Use: "link", Short: "Make a link to course content, change it, end it", Long: linkHelp, Args: atMost(0),
		RunE: func(c *cobra.Command, _ []string) error {
			return usageProblem(c, "say make, sources, list, check, url, edit, copy or end")
		}}
	c.AddCommand(a.linkMakeCommand(), a.linkSourcesCommand(), a.linkListCommand(), a.linkCheckCommand(), a.linkURLCommand(), a.linkEditCommand(), a.linkCopyCommand(), a.linkEndCommand())
	return c
}

func (f *linkFlags) flags(c *cobra.Command) {
	l := c.Flags()
	l.StringVar(&f.source, "source", "", "what it reads: the address of a repository, folder or record, or as \"daypass resolve\" writes it")
	l.StringVar(&f.title, "title", "", "what it is called, for people")
	l.StringVar(&f.accept, "accept", "", "where a student who has no copy of {github} yet accepts the assignment: https://classroom.github.com/a/XXXX")
	l.StringVar(&f.open, "open", "", "the file to open, from the source on")
	l.StringVar(&f.folder, "folder", "", "the folder in a student's home (default: the link's name)")
	l.StringVar(&f.app, "app", "", "what opens it: lab, notebook, rstudio, …")
	l.StringVar(&f.group, "for", "", "the group of the hub that may open it")
	l.BoolVar(&f.everybody, "for-everybody", false, "everybody at the hub may, instead of a group")
	l.StringVar(&f.from, "from", "", "from when on: 2027-01-31, or 8h for in 8 hours")
	l.StringVar(&f.until, "until", "", "until when: 2027-01-31 (to its end, UTC), or 90d (default: as long as may be)")
	f.jsonFlag(c)
}

func (f *linkFlags) jsonFlag(c *cobra.Command) {
	c.Flags().BoolVar(&f.json, "json", false, "one object, for programs")
}

func needs(n int, words string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return usageProblem(c, "say "+words)
		}
		return nil
	}
}

// request is what the flags that were given say.
func (f *linkFlags) request(c *cobra.Command, now time.Time) (api.LinkRequest, error) {
	var q api.LinkRequest
	for _, x := range []struct {
		flag string
		from *string
		to   **string
	}{{"title", &f.title, &q.Title}, {"accept", &f.accept, &q.Accept}, {"open", &f.open, &q.Open}, {"folder", &f.folder, &q.Folder}, {"app", &f.app, &q.App}, {"for", &f.group, &q.Audience}} {
		if c.Flags().Changed(x.flag) {
			*x.to = x.from
		}
	}
	if f.everybody {
		if f.group != "" {
			return q, usageProblem(c, "--for and --for-everybody do not go together")
		}
		everybody := api.Everybody
		q.Audience = &everybody
	}
	if f.pause || f.resume {
		if f.pause && f.resume {
			return q, usageProblem(c, "--pause and --resume do not go together")
		}
		q.Paused = &f.pause
	}
	var err error
	if q.From, err = linkTime("--from", f.from, now, false); err == nil {
		q.Until, err = linkTime("--until", f.until, now, true)
	}
	return q, err
}

// linkTime reads a time; nil where none was given. A day goes to its end where end.
func linkTime(flag, text string, now time.Time, end bool) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		if end {
			day = day.Add(24*time.Hour - time.Second)
		}
		return &day, nil
	}
	t, err := pass.ParseWhen(text, now)
	if err != nil || !t.Before(daypass.Forever) {
		return nil, &daypass.Problem{
			Code: "DP-790", What: "daypass cannot read the time after " + flag, Why: printable(text) + " is none", Next: "Say for example " + flag + " 2027-01-31, or " + flag + " 90d.", Kind: daypass.ErrUsage,
		}
	}
	t = t.UTC()
	return &t, nil
}

// linkAt is the service at which links are.
func (a *app) linkAt() (*service, error) {
	cfg, err := a.loadConfig()
	if err != nil {
		return nil, err
	}
	return a.anyService(cfg)
}

// linkNameOf takes a link's name, "link:NAME" or its address.
func (a *app) linkNameOf(text string) (string, error) {
	name := text
	if cfg, err := a.loadConfig(); err != nil {
		return "", err
	} else if n, ok := a.linkNamed(cfg, text); ok {
		name = n
	}
	if !api.LinkName(name) {
		return "", &daypass.Problem{
			Code: "DP-791", What: "that is no name of a link", Why: "it has 3 to 64 small letters, digits and hyphens, such as ph142-lab1", Next: "Choose another, or copy it from \"daypass link list\".", Kind: daypass.ErrUsage,
		}
	}
	return name, nil
}

// linkSource reads what was given as a source. The service's own list says which
// sites are Canvas.
func (a *app) linkSource(ctx context.Context, s *service, text string) (source string, open string, err error) {
	if p, ok := daypass.ParseSource(text); ok && strings.Trim(p.Kind, "abcdefghijklmnopqrstuvwxyz") == "" && p.Kind != "hdl" && (p.Kind != daypass.KindDOI || p.Host == "doi.org") {
		return text, "", nil
	}
	list, err := s.Links(ctx)
	if err != nil {
		return "", "", toldPlain(err)
	}
	const stand = "x0daypass0template0login0that0no0account0could0ever0have0x" // while an address is read
	places, err := resolve.Places(strings.ReplaceAll(text, api.TemplateX, stand), resolve.Sites{Canvas: list.Terms.Canvas})
	if err != nil {
		return "", "", err
	}
	p := places[0]
	if p.Source == (daypass.Source{}) {
		return "", "", &daypass.Problem{
			Code: "DP-792", What: "a link does not read that", Why: "it is a repository by ssh, or a folder of this machine", Next: "Give the address of its page, or of the repository by https.", Kind: daypass.ErrUsage,
		}
	}
	if !p.Certain || len(places) > 1 || p.Ask != "" && p.Source.Kind != daypass.KindDOI || p.Ask == resolve.AskConcept {
		return text, "", nil // the service reads it, and asks the hosts of its list
	}
	if p.Source.Kind == daypass.KindDrive {
		p.Source.Ref = "" // a resource key: whom a folder is shared with needs none
	}
	p.Source.ID = strings.ReplaceAll(p.Source.ID, stand, api.TemplateX)
	return p.Source.String(), p.Open, nil
}

// sourced puts the source into a request, with the file that its address shows.
func (a *app) sourced(ctx context.Context, s *service, f *linkFlags, q *api.LinkRequest) error {
	if f.source == "" {
		return nil
	}
	source, open, err := a.linkSource(ctx, s, f.source)
	if err != nil {
		return err
	}
	if q.Source = &source; open != "" && q.Open == nil {
		q.Open = &open
	}
	return nil
}

func (a *app) linkMakeCommand() *cobra.Command {
	f := &linkFlags{}
	c := &cobra.Command{
		Use: "make NAME --source ADDRESS --for GROUP", Short: "Make a link", Args: needs(1, "a NAME for it, such as ph142-lab1"),
		RunE: func(c *cobra.Command, args []string) error {
			if f.source == "" || f.group == "" && !f.everybody {
				return usageProblem(c, "say what it reads, with --source, and who may, with --for")
			}
			return a.changeLink(c, f, args[0], func(ctx context.Context, s *service, q api.LinkRequest) (api.Link, error) {
				q.Name = args[0]
				return s.MakeLink(ctx, q)
			})
		},
	}
	f.flags(c)
	return c
}

func (a *app) linkEditCommand() *cobra.Command {
	f := &linkFlags{}
	c := &cobra.Command{
		Use: "edit NAME", Short: "Change a link: what, for whom, until when; pause it", Args: needs(1, "the NAME of the link"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.changeLink(c, f, args[0], func(ctx context.Context, s *service, q api.LinkRequest) (api.Link, error) {
				name, err := a.linkNameOf(args[0])
				if err != nil {
					return api.Link{}, err
				}
				return s.EditLink(ctx, name, q)
			})
		},
	}
	f.flags(c)
	c.Flags().BoolVar(&f.pause, "pause", false, "nobody can open it for now")
	c.Flags().BoolVar(&f.resume, "resume", false, "it goes on")
	return c
}

func (a *app) linkCopyCommand() *cobra.Command {
	f, many := &linkFlags{}, &manyFlags{}
	c := &cobra.Command{
		Use: "copy NAME NEW-NAME", Short: "Make a link like another, or a whole course's, for a new term", Long: copyHelp,
		RunE: func(c *cobra.Command, args []string) error {
			if many.group != "" || many.replace != "" || many.suffix != "" {
				return a.copyMany(c, f, many, args)
			}
			if err := needs(2, "the NAME of the link and a NEW-NAME, or --group with the group whose links to copy")(c, args); err != nil {
				return err
			}
			return a.changeLink(c, f, args[1], func(ctx context.Context, s *service, q api.LinkRequest) (api.Link, error) {
				name, err := a.linkNameOf(args[0])
				if err != nil {
					return api.Link{}, err
				}
				q.Name = args[1]
				return s.CopyLink(ctx, name, q)
			})
		},
	}
	f.flags(c)
	many.flags(c)
	return c
}

// changeLink makes or changes a link, and shows it.
func (a *app) changeLink(c *cobra.Command, f *linkFlags, name string, change func(context.Context, *service, api.LinkRequest) (api.Link, error)) error {
	if _, err := a.linkNameOf(name); err != nil {
		return err
	}
	q, err := f.request(c, a.now())
	if err != nil {
		return err
	}
	s, err := a.linkAt()
	if err != nil {
		return err
	}
	if err := a.sourced(c.Context(), s, f, &q); err != nil {
		return err
	}
	l, err := change(c.Context(), s, q)
	if err != nil {
		return toldPlain(err)
	}
	out := a.screen(f.json)
	if f.json {
		out.object(l)
		return nil
	}
	out.ownLink(l, a.now())
	return nil
}

// ownLink shows a link of one's own.
func (s *screen) ownLink(l api.Link, now time.Time) {
	s.result("%s%s", s.bold(l.Name), with("  ", l.Title))
	state := map[string]string{"live": "open", "early": "not open yet", "over": "over", "ended": "ended", "lost": "cannot be opened"}[l.State]
	s.result("  Address: %s", l.URL)
	s.result("  State:   %s%s", first(state, l.State), with(": ", l.Why))
	s.result("  Reads:   %s", l.Words)
	if l.Accept != "" {
		s.result("  Accept:  %s", l.Accept)
	}
	audience := "the group " + l.Audience
	if l.Audience == api.Everybody {
		audience = "everybody at this hub"
	}
	s.result("  For:     %s", audience)
	if l.From != nil && l.From.After(now) {
		s.result("  From:    %s", s.moment(*l.From))
	}
	soon := ""
	if l.EndsSoon {
		soon = "; it ends within a week: daypass link edit " + l.Name + " --until 90d"
	}
	s.result("  Until:   %s%s", s.moment(l.Until), soon)
	if l.Open != "" {
		s.result("  Opens:   %s", l.Open)
	}
	s.counts(l, now)
}

// counts says what came of a link: each time that it was opened it arrived or failed.
func (s *screen) counts(l api.Link, now time.Time) {
	if l.Pulls+l.Failures == 0 {
		s.result("  Opened:  never")
		return
	}
	s.result("  Opened:  %s", plural(int(l.Pulls+l.Failures), "time"))
	arrived := "never"
	if l.Pulls > 0 {
		arrived = plural(int(l.Pulls), "time") + ", last at " + clock(timeOf(l.Pulled), now)
	}
	s.result("  Arrived: %s", arrived)
	if l.Failures > 0 {
		s.result("  Failed:  %s, last at %s%s", plural(int(l.Failures), "time"), clock(timeOf(l.Failed), now), with(" with ", l.Failure))
	}
}

func (a *app) linkListCommand() *cobra.Command {
	f := &linkFlags{}
	var all bool
	c := &cobra.Command{
		Use: "list", Short: "List your links: how they stand, how often they were opened and failed", Args: atMost(0),
		RunE: func(c *cobra.Command, _ []string) error { return a.linkList(c.Context(), all, f.json) },
	}
	c.Flags().BoolVar(&all, "all", false, "those that are over too")
	f.jsonFlag(c)
	return c
}

func (a *app) linkList(ctx context.Context, all, asJSON bool) error {
	s, err := a.linkAt()
	if err != nil {
		return err
	}
	list, err := s.Links(ctx)
	if err != nil {
		return toldPlain(err)
	}
	if !all {
		list.Links = slices.DeleteFunc(list.Links, func(l api.Link) bool { return l.State == "ended" || l.State == "over" })
	}
	out := a.screen(asJSON)
	if asJSON {
		list.Links = listOf(list.Links)
		out.object(list)
		return nil
	}
	for _, l := range list.Links {
		out.ownLink(l, a.now())
	}
	switch {
	case len(list.Links) > 0:
	case list.Terms.May:
		out.result("You have no links at %s.", s.URL())
	default:
		out.result("You have no links at %s, and may make none: %s", s.URL(), list.Terms.Why)
	}
	return nil
}

func (a *app) linkEndCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use: "end NAME", Short: "End a link for good", Args: needs(1, "the NAME of the link"),
		Long: "End a link, at once and for good: nobody can open it any more, and its name is not\nused again. \"daypass link edit NAME --pause\" can be taken back.",
		RunE: func(c *cobra.Command, args []string) error {
			name, err := a.linkNameOf(args[0])
			if err != nil {
				return err
			}
			s, err := a.linkAt()
			if err != nil {
				return err
			}
			if !yes && !a.ask("End the link %s for good", name) {
				return usageProblem(c, "say --yes, so that it is ended without a question")
			}
			if err := s.EndLink(c.Context(), name); err != nil {
				return toldPlain(err)
			}
			a.screen(false).result("Ended: the link %s. Nobody can open it any more.", name)
			return nil
		},
	}
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return c
}

// linkAs are the forms of "daypass link url --as".
var linkAs = []string{"url", "markdown", "lti", "lti_custom", "nbgitpuller", "binder"}

func (a *app) linkURLCommand() *cobra.Command {
	as := "url"
	c := &cobra.Command{
		Use: "url NAME", Short: "Write a link down: address, Markdown, LTI, nbgitpuller, Binder", Args: needs(1, "the NAME of the link"),
		RunE: func(c *cobra.Command, args []string) error {
			if !slices.Contains(linkAs, as) {
				return usageProblem(c, "--as is one of "+strings.Join(linkAs, ", "))
			}
			name, err := a.linkNameOf(args[0])
			if err != nil {
				return err
			}
			s, err := a.linkAt()
			if err != nil {
				return err
			}
			l, err := s.Link(c.Context(), name)
			if err != nil {
				return toldOfLink(err)
			}
			text := l.Forms[as]
			if as == "url" {
				text = l.URL
			}
			if text == "" {
				return &daypass.Problem{
					Code: "DP-793", What: "this link has no such form", Why: "nbgitpuller and Binder read public repositories only, and forms are shown to its maker", Next: "Use its address: " + l.URL, Kind: daypass.ErrUsage,
				}
			}
			a.screen(false).result("%s", text)
			return nil
		},
	}
	c.Flags().StringVar(&as, "as", as, "one of "+strings.Join(linkAs, ", "))
	return c
}

// A linkCheck is what "daypass link check --json" prints.
type linkCheck struct {
	Link  api.Link        `json:"link"`
	OK    bool            `json:"ok"`             // a student can open it now
	Test  *api.SourceTest `json:"test,omitempty"` // what was read
	Files int             `json:"files"`
	Whole bool            `json:"whole"` // all files are known
	// Left are those that a student does not get, with the reason. Own: each reads with
	// an account of their own, which decides.
	Left    []api.SourceFile `json:"left,omitempty"`
	Own     bool             `json:"own,omitempty"`
	Missing string           `json:"missing,omitempty"`
	Why     string           `json:"why,omitempty"`
}

func (a *app) linkCheckCommand() *cobra.Command {
	f := &linkFlags{}
	c := &cobra.Command{
		Use: "check NAME", Short: "Try a link: can it be read, and what would a student get", Args: needs(1, "the NAME of the link"),
		Annotations: map[string]string{problemLines: "yes"},
		RunE:        func(c *cobra.Command, args []string) error { return a.linkCheck(c.Context(), args[0], f.json) },
	}
	f.jsonFlag(c)
	return c
}

func (a *app) linkCheck(ctx context.Context, text string, asJSON bool) error {
	name, err := a.linkNameOf(text)
	if err != nil {
		return err
	}
	s, err := a.linkAt()
	if err != nil {
		return err
	}
	l, err := s.Link(ctx, name)
	if err != nil {
		return toldOfLink(err)
	}
	got := linkCheck{Link: l, OK: l.State == "live" || l.State == "lost"}
	if !got.OK {
		got.Why = "the link is not open: " + l.State
	}
	if l.Mine {
		if err := checkSource(ctx, s.Client, l, &got); err != nil {
			return toldPlain(err)
		}
		if got.Link, err = s.Link(ctx, name); err != nil { // how it stands by what was seen
			return toldOfLink(err)
		}
	}
	out := a.screen(asJSON)
	if asJSON {
		out.object(got)
	} else {
		out.checked(got, a.now())
	}
	if got.OK {
		return nil
	}
	return &daypass.Problem{Code: "DP-794", What: "a student cannot open this link now", Why: got.Why, Next: "Then check again.", Kind: daypass.ErrRefused}
}

// wrongOf is what is wrong with a source and what to do, to stand inside a sentence.
func wrongOf(e *client.Error) string {
	out := strings.TrimRight(e.Problem.What, ". ")
	if next := strings.TrimRight(e.Problem.Next, ". "); next != "" {
		out += ". " + next
	}
	return out
}

// checkSource reads what the link reads, as it does. A template's copies are each
// student's own.
func checkSource(ctx context.Context, c *client.Client, l api.Link, got *linkCheck) error {
	t, err := c.TestSource(ctx, api.SourceQuestion{Source: l.Source})
	if err != nil {
		var e *client.Error
		if !errors.As(err, &e) || !errors.Is(err, daypass.ErrRefused) {
			return err
		}
		got.OK, got.Why = false, wrongOf(e)
		return nil
	}
	got.Test = &t
	if l.Template {
		return nil
	}
	files, err := c.AsStudent(ctx, l.Name)
	var e *client.Error
	if errors.As(err, &e) && errors.Is(err, daypass.ErrRefused) {
		got.OK, got.Why = false, wrongOf(e)
		return nil
	}
	if err != nil {
		return err
	}
	got.Whole, got.Own = files.Complete, files.Own
	for _, f := range files.Files {
		if f.Skip == "" {
			got.Files++
		} else {
			got.Left = append(got.Left, f)
		}
	}
	there := func(f api.SourceFile) bool {
		return f.Path == l.Open || strings.HasPrefix(f.Path, strings.TrimSuffix(l.Open, "/")+"/")
	}
	if l.Open != "" && files.Complete && !slices.ContainsFunc(files.Files, there) {
		got.OK, got.Missing, got.Why = false, l.Open, "the file that it opens is not there: "+l.Open
	}
	return nil
}

// maxLeft bounds how many files are named that a student does not get.
const maxLeft = 20

func (s *screen) checked(got linkCheck, now time.Time) {
	s.ownLink(got.Link, now)
	switch {
	case got.Test == nil:
	case got.Link.Template:
		s.result("  Read:    each student's own copy, by their own account")
	default:
		s.result("  Read:    %s%s%s", plural(got.Files, "file"), with(" of ", got.Test.Title), with(", ", got.Test.Reads))
	}
	for i, f := range got.Left {
		if i == maxLeft {
			s.result("           and %d more", len(got.Left)-i)
			break
		}
		s.result("  Left out: %s: %s", printable(f.Path), printable(f.Skip))
	}
	if got.Own && !got.Link.Template {
		s.result("Each student reads with their own account, which decides what they see. This is what yours does, without what is marked as hidden or locked for students.")
	}
	if l := got.Link; l.Failures > 0 && timeOf(l.Failed).After(timeOf(l.Pulled)) {
		s.result("The last one who opened it could not have it%s: the list of codes says why.", with(", with ", l.Failure))
	}
	if got.OK {
		s.result("A student of %s can open it: it comes from %s into the folder %s.", got.Link.Audience, first(got.Link.Maker, "you"), first(got.Link.Folder, got.Link.Name))
	}
}
