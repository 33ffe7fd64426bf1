package main

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pass"
)

const passShowHelp = `What a pass allows, without a network: what all its limits together leave, when it
ends, and which programs understand it. It does not show the pass.

  daypass pass show --file job.pass

Whether a pass is genuine, revoked or used up is known only to the service that
made it.`

func (a *app) passShowCommand() *cobra.Command {
	var from passSource
	var asJSON bool
	c := &cobra.Command{
		Use: "show", Short: "See what a pass allows, without a network", Long: passShowHelp, Args: atMost(0),
		RunE: func(*cobra.Command, []string) error {
			p, err := a.readPass(from)
			if err != nil {
				return err
			}
			s := a.screen(asJSON)
			if asJSON {
				s.object(a.passObject(p))
				return nil
			}
			a.passSummary(s.result, p)
			a.passLimits(s, p)
			return nil
		},
	}
	from.flags(c)
	c.Flags().BoolVar(&asJSON, "json", false, "one object, for programs")
	return c
}

// passSummary writes whose pass it is and what its limits together leave.
func (a *app) passSummary(write func(string, ...any), p pass.Pass) {
	write("%s", passOwner(p))
	rights, doubts := p.Effective()
	write("  Good:         %s", a.goodFrom(rights))
	for _, line := range rightsLines(rights) {
		write("  %-13s %s", line[0]+":", line[1])
	}
	write("  Fingerprint:  %s", p.Link().Short())
	if len(doubts) > 0 {
		write("  Good for nothing at daypass: limit %s is not known to it.", numbers(doubts))
	}
	if id, _ := p.Identity(); id.Realm.Kind == pass.Hub || p.Form() == pass.PyPI {
		return
	}
	if refused := refusedBy(p, pass.ReadByDevpiTokens); len(refused) > 0 {
		write("  A plain devpi-tokens server refuses it, because of limit %s; a daypass gateway understands %s.", numbers(refused), them(len(refused)))
	}
}

func them(n int) string {
	if n == 1 {
		return "it"
	}
	return "them"
}

func passOwner(p pass.Pass) string {
	id, known := p.Identity()
	switch {
	case !known && p.Form() == pass.PyPI:
		return "A token of PyPI"
	case !known:
		return "A macaroon that daypass did not make"
	case id.Realm.Kind == pass.Hub:
		return fmt.Sprintf("Pass %s of the access service %q", id.ID, id.Realm.Name)
	case id.Realm.Kind == pass.Index:
		return fmt.Sprintf("Pass %s of user %s at the package gateway %q", id.ID, id.User, id.Realm.Name)
	}
	return fmt.Sprintf("Token %s of user %s, made by devpi-tokens", id.ID, id.User)
}

// goodFrom says from when until when, in local time and in UTC.
func (a *app) goodFrom(r pass.Rights) string {
	s := a.screen(false)
	out := "with no end"
	if r.Expires.Before(daypass.Forever) {
		out = "until " + s.moment(r.Expires) + ", " + r.Expires.UTC().Format("2006-01-02 15:04:05 UTC")
	}
	if r.NotBefore.After(a.now()) {
		out = "from " + clock(r.NotBefore, a.now()) + " (not yet), " + r.NotBefore.UTC().Format("2006-01-02 15:04:05 UTC") + ", " + out
	}
	return out
}

// rightsLines says what is left of each kind that some limit speaks of.
func rightsLines(r pass.Rights) [][2]string {
	var out [][2]string
	add := func(kind pass.Kinds, name, text string) {
		if !r.Limited.Has(kind) {
			return
		}
		if text == "" {
			text = "none: the limits have nothing in common"
		}
		out = append(out, [2]string{name, text})
	}
	join := func(s pass.Set) string { return strings.Join(s.Names, ", ") }
	add(pass.KindAllowed, "Permissions", join(r.Permissions))
	add(pass.KindIndexes, "Indexes", join(r.Indexes))
	add(pass.KindProjects, "Projects", join(r.Projects))
	add(pass.KindHost, "Hosts", join(r.Hosts))
	add(pass.KindRepo, "Repositories", strings.Join(passRepos(r.Repos.List), ", "))
	add(pass.KindAccess, "Access", r.Access.String())
	add(pass.KindSource, "Sources", join(r.Sources))
	add(pass.KindServer, "Servers", strings.Join(serverNames(r.Servers.Names), ", "))
	add(pass.KindAddress, "Addresses", strings.Join(addressNames(r.Addresses.List), ", "))
	add(pass.KindDigest, "Files", join(r.Digests))
	var uses []string
	for _, u := range r.Uses {
		uses = append(uses, strconv.Itoa(u.Max))
	}
	add(pass.KindUses, "Uses", strings.Join(uses, ", and of those ")+", counted by the service")
	return out
}

func passRepos(list []daypass.Repo) []string {
	var out []string
	for _, r := range list {
		name := r.String()
		if r.ID != 0 {
			name += "#" + strconv.FormatInt(r.ID, 10)
		}
		out = append(out, name)
	}
	return out
}

// serverNames says which servers, and which start of each.
func serverNames(list []string) []string {
	var out []string
	for _, item := range list {
		escaped, start, _ := strings.Cut(item, "@")
		name, err := url.PathUnescape(escaped)
		if err != nil {
			name = escaped
		}
		name = first(name, "default")
		if n, err := strconv.ParseInt(start, 10, 64); err == nil && n > 0 {
			name += " (started " + time.Unix(n, 0).Local().Format("2006-01-02 15:04 MST") + ")"
		}
		out = append(out, name)
	}
	return out
}

func addressNames(list []netip.Prefix) []string {
	var out []string
	for _, p := range list {
		if p.IsSingleIP() {
			out = append(out, p.Addr().String())
		} else {
			out = append(out, p.String())
		}
	}
	return out
}

// passLimits lists the limits one by one, with what each means.
func (a *app) passLimits(s *screen, p pass.Pass) {
	for i, text := range p.Caveats() {
		if i == 0 {
			s.result("  Limits, in their order:")
		}
		row, ok := pass.Describe(text)
		note := row.Meaning
		if !ok {
			note = "not known to daypass, which refuses a pass that has it"
		}
		if at, ok := momentOf(text); ok {
			note += " (" + at.Local().Format("2006-01-02 15:04:05 MST") + ")"
			if strings.HasPrefix(text, "expires=") && !a.now().Before(at) {
				note += ": ended"
			}
		}
		s.result("    %d  %s", i+1, text)
		s.result("       %s", note)
	}
}

// momentOf reads the time of expires= and not_before=.
func momentOf(text string) (time.Time, bool) {
	name, value, _ := strings.Cut(text, "=")
	n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
	return time.Unix(n, 0), err == nil && (name == "expires" || name == "not_before")
}

// refusedBy lists the limits that a reader does not understand.
func refusedBy(p pass.Pass, reader pass.Readers) []int {
	var out []int
	for i, text := range p.Caveats() {
		if row, ok := pass.Describe(text); !ok || row.Readers&reader == 0 {
			out = append(out, i+1)
		}
	}
	return out
}

func numbers(list []int) string {
	var out []string
	for _, n := range list {
		out = append(out, strconv.Itoa(n))
	}
	return strings.Join(out, ", ")
}

// passObject is what --json shows; the pass is not in it.
func (a *app) passObject(p pass.Pass) map[string]any {
	rights, doubts := p.Effective()
	o := map[string]any{"fingerprint": p.Link().Short(), "unknown_limits": listOf(doubts), "refused_by_devpi_tokens": listOf(refusedBy(p, pass.ReadByDevpiTokens))}
	if id, known := p.Identity(); known {
		o["id"], o["user"], o["realm"] = id.ID, id.User, map[string]string{"kind": realmWord(id.Realm.Kind), "name": id.Realm.Name}
	}
	limits := []map[string]any{}
	for _, text := range p.Caveats() {
		row, _ := pass.Describe(text)
		limits = append(limits, map[string]any{"text": text, "meaning": row.Meaning})
	}
	o["limits"] = limits
	if rights.Expires.Before(daypass.Forever) {
		o["expires"] = rights.Expires.UTC().Format(time.RFC3339)
	}
	if !rights.NotBefore.IsZero() {
		o["not_before"] = rights.NotBefore.UTC().Format(time.RFC3339)
	}
	o["expired"] = !a.now().Before(rights.Expires)
	set := func(kind pass.Kinds, name string, value any) {
		if rights.Limited.Has(kind) {
			o[name] = value
		}
	}
	set(pass.KindAllowed, "permissions", listOf(rights.Permissions.Names))
	set(pass.KindIndexes, "indexes", listOf(rights.Indexes.Names))
	set(pass.KindProjects, "projects", listOf(rights.Projects.Names))
	set(pass.KindHost, "hosts", listOf(rights.Hosts.Names))
	set(pass.KindRepo, "repositories", listOf(passRepos(rights.Repos.List)))
	set(pass.KindAccess, "access", rights.Access.String())
	set(pass.KindSource, "sources", listOf(rights.Sources.Names))
	set(pass.KindServer, "servers", listOf(rights.Servers.Names))
	set(pass.KindAddress, "addresses", listOf(addressNames(rights.Addresses.List)))
	set(pass.KindDigest, "files", listOf(rights.Digests.Names))
	uses := []int{}
	for _, u := range rights.Uses {
		uses = append(uses, u.Max)
	}
	set(pass.KindUses, "uses", uses)
	return o
}

// listOf is never null in JSON.
func listOf[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func realmWord(k pass.Kind) string {
	switch k {
	case pass.Hub:
		return "access service"
	case pass.Index:
		return "package gateway"
	}
	return "devpi-tokens"
}
