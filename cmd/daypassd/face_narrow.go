package main

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
	"github.com/daypass-dev/daypass/pass"
)

// narrowPass makes a narrower pass of one, as "daypass pass narrow" does, for the
// page that has just shown it. What was narrowed from a pass of no worth is of
// none: nothing is looked up.
func (f *face) narrowPass(text daypass.Secret, l api.PassLimits, until time.Time) (api.PassReply, error) {
	old, err := pass.Parse(text)
	if err != nil {
		return api.PassReply{}, errors.New("it holds no pass that is whole")
	}
	if id, ok := old.Identity(); !ok || id.Realm.Kind != pass.Hub {
		return api.PassReply{}, errors.New("the pass is of a package index; \"daypass pass narrow\" narrows it")
	}
	limits := limitsOf(l)
	limits.Expires = until
	caveats, err := limits.Caveats()
	if err != nil {
		return api.PassReply{}, errors.New(strings.TrimPrefix(err.Error(), "pass: "))
	}
	made := old
	if len(caveats) > 0 {
		if made, err = old.Narrow(caveats...); err != nil {
			return api.PassReply{}, errors.New(strings.TrimPrefix(err.Error(), "pass: "))
		}
	}
	rights, doubts := made.Effective()
	switch {
	case len(doubts) > 0:
		return api.PassReply{}, errors.New("the pass has a limit that is not understood here, so that it opens nothing")
	case !f.now().Before(rights.Expires), !rights.NotBefore.Before(rights.Expires):
		return api.PassReply{}, errors.New("the pass would never be good: it has ended, or ends before it begins")
	case !rights.Repos.All && len(rights.Repos.List) == 0:
		return api.PassReply{}, errors.New("the pass is for none of these repositories, so that the new one would be for none at all")
	}
	all, err := together(rights).Caveats()
	if err != nil {
		return api.PassReply{}, errors.New("the pass has limits that leave nothing")
	}
	return api.PassReply{Pass: made.Text(pass.Daypass), Until: given(rights.Expires), Limits: all}, nil
}

// together are all limits of a pass as if each had been said once.
func together(r pass.Rights) pass.Limits {
	l := pass.Limits{
		Allowed: names(r.Permissions), Indexes: names(r.Indexes), Projects: names(r.Projects), Hosts: names(r.Hosts), Sources: names(r.Sources), Servers: names(r.Servers),
		Digests: names(r.Digests), Expires: r.Expires, NotBefore: r.NotBefore,
	}
	if r.Limited.Has(pass.KindAccess) {
		l.Access = r.Access
	}
	if !r.Repos.All {
		l.Repos = texts(r.Repos.List, numbered)
	}
	if !r.Addresses.All {
		l.Addresses = texts(r.Addresses.List, netip.Prefix.String)
	}
	for _, u := range r.Uses {
		if l.Uses == 0 || u.Max < l.Uses {
			l.Uses = u.Max
		}
	}
	return l
}

func numbered(r daypass.Repo) string {
	if r.ID == 0 {
		return r.String()
	}
	return r.String() + "#" + strconv.FormatInt(r.ID, 10)
}

func names(s pass.Set) []string {
	if s.All {
		return nil
	}
	return append([]string{}, s.Names...)
}

func texts[T any](list []T, text func(T) string) []string {
	out := []string{}
	for _, x := range list {
		out = append(out, text(x))
	}
	return out
}
