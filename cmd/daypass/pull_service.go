package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
	"github.com/daypass-dev/daypass/client"
	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/pull"
	"github.com/daypass-dev/daypass/snapshot"
)

// linkPrefix begins the name of a link of the access service, where a source is asked
// for.
const linkPrefix = "link:"

// linkNamed is the name of a link of the configured access service: link:NAME, or its
// address there.
func (a *app) linkNamed(cfg config, text string) (string, bool) {
	if name, ok := strings.CutPrefix(text, linkPrefix); ok {
		return name, true
	}
	base := strings.TrimSuffix(a.serviceURL(cfg), "/")
	name, ok := strings.CutPrefix(text, base+"/l/")
	return name, ok && base != ""
}

// serviceAsk reads a source that the access service gives out; done is false for every
// other.
func (a *app) serviceAsk(ctx context.Context, p *pull.Puller, cfg config, args []string, ask *pull.Ask) (done bool, err error) {
	name, ok := "", false
	var before []string
	if st, again, err := a.again(p, args); err != nil {
		return false, err
	} else if again {
		name, ok = strings.CutPrefix(st.Via, linkPrefix)
		ask.Folder, before = st.Folder, st.Include
	} else if len(args) > 0 {
		name, ok = a.linkNamed(cfg, args[0])
	}
	if !ok {
		return false, nil
	}
	s, err := a.linkService(cfg, name)
	if err != nil {
		return true, err
	}
	if len(args) == 2 { // as the page asks; it may have been pulled into
		if st, known, err := knownAt(p, args[1]); err != nil {
			return true, err
		} else if known {
			before = st.Include
		}
	}
	include, err := pull.Included(before, ask.Include)
	if err != nil {
		return true, err
	}
	content, found := s.packed(api.SnapshotQuery{Link: name}, p.Limits)
	if _, err := content.Ask(ctx, include); err != nil {
		return true, err
	}
	ask.Content, ask.Via, ask.Service = content, linkPrefix+name, strings.TrimSuffix(s.URL(), "/")
	if ask.Folder == "" {
		ask.Folder, ask.Root, err = linkFolder(args, found.Folder, name)
	}
	return true, err
}

// tellFailure tells the service that a link's pull failed here, so that whoever made the
// link sees it: the code, and nothing else. What the service said itself it knows. It is
// no failure of the pull's where that cannot be told.
func (a *app) tellFailure(ctx context.Context, ask pull.Ask, err error) {
	name, ok := strings.CutPrefix(ask.Via, linkPrefix)
	var p *daypass.Problem
	var said *client.Error
	if !ok || ask.DryRun || ctx.Err() != nil || !errors.As(err, &p) || errors.As(err, &said) {
		return
	}
	cfg, err := a.loadConfig()
	if err != nil {
		return
	}
	s, err := a.service(cfg)
	if err != nil || s == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tellTime)
	defer cancel()
	_ = s.PullFailed(ctx, name, p.Code) // it is for another than whoever waits here
}

// tellTime is how long a pull that failed waits for that.
const tellTime = 3 * time.Second

// knownAt is what is known of the folder that was named.
func knownAt(p *pull.Puller, folder string) (pull.State, bool, error) {
	dir, err := filepath.Abs(folder)
	if err != nil {
		return pull.State{}, false, err
	}
	return stateOf(p, dir)
}

// linkService is the access service, for a link of that name.
func (a *app) linkService(cfg config, name string) (*service, error) {
	if (api.SnapshotQuery{Link: name}).Check() != "" {
		return nil, &daypass.Problem{Code: "DP-482", What: fmt.Sprintf("%q is no name of a link", printable(name)), Why: "it has 3 to 64 small letters, digits and hyphens", Next: "Check it: link:NAME, as whoever made it gave it to you.", Kind: daypass.ErrUsage}
	}
	s, err := a.service(cfg)
	if err == nil && s == nil {
		err = &daypass.Problem{Code: "DP-483", What: "this link is the access service's, and none is set up here", Next: "Open the link in a browser, or pull it in a server of the hub.",
			Who: "The hub's admins name the service: \"broker: URL\" in /etc/daypass/config.yaml.", Kind: daypass.ErrNoLogin}
	}
	return s, err
}

// linkFolder is where a link goes: as typed, else as its maker calls the folder, from
// here on. Where that is below others, root is here: a link leads through no folder that
// is hidden or a link itself.
func linkFolder(args []string, folder, name string) (dir, root string, err error) {
	if len(args) == 2 {
		dir, err = filepath.Abs(args[1])
		return dir, "", err
	}
	parts := strings.Split(strings.TrimSuffix(folder, "/"), "/")
	for i, part := range parts {
		clean, _, ok := snapshot.Name(part)
		if !ok || strings.HasPrefix(clean, ".") || strings.Contains(clean, "/") {
			parts = []string{name}
			break
		}
		parts[i] = clean
	}
	if dir, err = filepath.Abs(filepath.Join(parts...)); err == nil && len(parts) > 1 {
		root, err = filepath.Abs(".")
	}
	return dir, root, err
}

// packed is what the service gives out of one source; found is its last answer.
func (s *service) packed(q api.SnapshotQuery, limits snapshot.Limits) (packed *snapshot.Packed, found *api.Snapshot) {
	found = &api.Snapshot{}
	with := func(include []string) api.SnapshotQuery {
		q := q
		q.Include = include
		return q
	}
	return &snapshot.Packed{
		Limits: limits,
		Find: func(ctx context.Context, include []string) (snapshot.Offer, error) {
			var err error
			if *found, err = s.Snapshot(ctx, with(include)); err != nil {
				return snapshot.Offer{}, toldOfLink(err)
			}
			return snapshot.Offer{Commit: plumbing.OID(found.ID), Source: found.Source, Title: printable(found.Title), Bytes: found.Bytes}, nil
		},
		Open: func(ctx context.Context, o snapshot.Offer, include []string, have plumbing.OID, from int64, tag string) (snapshot.PackStream, error) {
			q := with(include)
			if api.SnapshotID(string(have)) {
				q.Have = string(have)
			}
			p, err := s.Pack(ctx, string(o.Commit), q, from, tag)
			return snapshot.PackStream(p), toldOfLink(err)
		},
	}, found
}

// toldOfLink turns what the service said into a problem for people.
func toldOfLink(err error) error {
	e, ok := client.NotConnected(err)
	if !ok || e.Link == "" {
		return toldPlain(err)
	}
	p := *e.Problem
	p.Next, p.Err = "Open "+e.Link+", then pull again.", err
	return &p
}
